# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording holds, as a short report for people."""

import math
from collections.abc import Iterator, Mapping

from amrq.identify import ProtocolGuess
from amrq.model import UNKNOWN
from amrq.protocols import PARAMETERS
from amrq.scan import EmissionRecord, Survey
from amrq.text import counted, engineering, printable

__all__ = ["survey_lines"]

_MOST_LISTED = 10
"""Other emissions that are listed."""
_MOST_FAMILIES, _LEAST_FAMILY = 3, 0.05
"""Families that are named with their probabilities, and what each has at least."""
_MOST_PROTOCOLS, _LEAST_PROTOCOL = 3, 0.2
"""Protocols that are listed, and the probability that each has at least."""
_LEAST_MEASURE = 0.1
"""Confidence of a measure that is shown."""
_SURE = 0.9
"""Probability of a family from which on nothing is said against it."""
_LIKELY = 0.5
"""Probability of a family below which it is only a perhaps."""
_UNITS = {
    "rms_deviation": "Hz",
    "audio_low": "Hz",
    "audio_high": "Hz",
    "pilot_deviation": "Hz",
    "sweep_rate": "Hz/s",
    "sweep_time": "s",
    "tone_low": "Hz",
    "tone_high": "Hz",
    "speed": "wpm",
}
"""Of measures that are no parameters of protocols."""
_WIDTH = 13
"""Characters of the names of lines."""


def survey_lines(name: str, found: Survey, scanned: str = "") -> Iterator[str]:
    r"""Yield the lines of a report, plain text.

    Args:
        name: of the recording.
        found: what it holds.
        scanned: the command that lists the emissions over time; empty: none is named.

    >>> print(*survey_lines("a.wav", Survey(8000.0, 16000, noise=True)), sep="\n")
    a.wav: 2 s at 8 kS/s: noise
    """
    seconds = found.samples / found.sample_rate
    about = f"{printable(name)}: {engineering(seconds, 's', 4)} at {engineering(found.sample_rate, 'S/s', 6)}"
    main = found.main
    if main is None:
        yield f"{about}: {'noise' if found.noise else UNKNOWN}"
        yield from (_line("not certain", doubt) for doubt in found.doubts)
        return
    several = 1 + len(found.others)
    if found.alone:
        yield f"{about}: one signal"
    else:
        yield f"{about}: {counted(several, 'emission')}, the strongest:"
    yield ""
    yield from _signal_lines(main, found)
    if found.others:
        yield ""
        share = "weaker" if found.alone else "other"
        yield f"  {share} emissions in the band:"
        for one in found.others[:_MOST_LISTED]:
            yield f"    {_short(one, found.centre_hz)}"
    left = len(found.others) - _MOST_LISTED
    more = [f"{left} more"] if left > 0 else []
    more += [f"{found.fainter} much weaker"] if found.fainter else []
    if more:
        yield f"    {' and '.join(more)}"
    if scanned and found.others:
        yield f"  Each with its times: {printable(scanned)}"


def _signal_lines(main: EmissionRecord, found: Survey) -> Iterator[str]:
    yield f"  {printable(_headline(main))}"
    if main.family != UNKNOWN:
        yield _line("family", f"{printable(main.family)}, probability {main.confidence:.2f}")
        yield _line("label", printable(main.label))
    elif main.reason:
        yield _line("why", printable(main.reason))
    yield _line("where", _where(main, found.centre_hz))
    rate = found.sample_rate
    times = f"{max(0, main.start) / rate:.4g} to {main.stop / rate:.4g} s"
    yield _line("when", times + (f", in {main.bursts} stretches" if main.bursts > 1 else ""))
    if measures := _measures(main):
        yield _line("measured", ", ".join(measures))
    for number, one in enumerate(_protocols(main)):
        guess = "a guess: " if one.guess else ""
        text = f"{printable(one.name)} {one.probability:.2f} ({guess}{printable(one.reason)})"
        yield _line("" if number else "protocols", text)
    for number, doubt in enumerate(_doubts(main, found)):
        yield _line("" if number else "not certain", doubt)


def _protocols(record: EmissionRecord) -> list[ProtocolGuess]:
    """Return the protocols that are worth a line."""
    likely = [one for one in record.protocols if one.named or one.probability >= _LEAST_PROTOCOL]
    return likely[:_MOST_PROTOCOLS]


def _line(name: str, text: str) -> str:
    return f"    {name:{_WIDTH}s}{text}"


def _headline(record: EmissionRecord) -> str:
    if record.family != UNKNOWN and record.confidence < _LIKELY:
        return f"{UNKNOWN}, perhaps {(record.summary or record.label).removeprefix('perhaps ')}"
    if record.summary:
        return record.summary
    return record.label if record.label != UNKNOWN else f"{UNKNOWN}: it fits none of the families well enough"


def _where(record: EmissionRecord, centre_hz: float | None) -> str:
    place = _frequency(record, centre_hz)
    place += "" if centre_hz is not None else " from the middle of the recording's band"
    text = f"{place}, {engineering(record.bandwidth, 'Hz', 3)} wide"
    return text + (
        f", SNR {record.snr_db:.0f} dB".replace("-", "−") if record.snr_db == record.snr_db else ""
    )


def _frequency(record: EmissionRecord, centre_hz: float | None) -> str:
    """Return the middle of an emission, to a hundredth of its bandwidth."""
    step = 10 ** math.floor(math.log10(max(record.bandwidth, 1.0) / 100))
    place = round((record.centre + (centre_hz or 0.0)) / step) * step
    return engineering(place, "Hz", 10).replace("-", "−")


def _measures(record: EmissionRecord) -> list[str]:
    """Return what was measured of the family, each with its confidence."""
    said = []
    for name, one in record.details.items():
        if one.confidence < _LEAST_MEASURE or name == "bandwidth":
            continue
        parameter = PARAMETERS.get(name)
        if parameter is not None:
            shown = f"{parameter.words} {parameter.shown(one.value)}"
        elif _UNITS.get(name):
            shown = f"{name.replace('_', ' ')} {engineering(one.value, _UNITS[name], 4)}"
        else:
            shown = f"{name.replace('_', ' ')} {one.value:.4g}"
        said.append(f"{shown} ({one.confidence:.2f})")
    if not said and record.symbol_rate is not None:
        said.append(f"symbol rate {engineering(record.symbol_rate, 'Bd', 6)}")
    return said


def _doubts(record: EmissionRecord, found: Survey) -> Iterator[str]:
    """Yield what is not certain, as sentences without their full stop."""
    likely = _likely(record.families)
    if record.family == UNKNOWN:
        if likely:
            yield f"most like {likely}"
    elif record.confidence < _SURE:
        yield f"the family{f': {likely}' if likely else ''}"
    if _protocols(record) and found.centre_hz is None:
        yield "the protocol, since the frequency on the air is not known"
    for doubt in found.doubts:
        yield doubt.rstrip(".")


def _likely(families: Mapping[str, float]) -> str:
    named = [(name, value) for name, value in families.items() if name != UNKNOWN and value >= _LEAST_FAMILY]
    named.sort(key=lambda one: -one[1])
    return ", ".join(f"{printable(name)} {value:.2f}" for name, value in named[:_MOST_FAMILIES])


def _short(record: EmissionRecord, centre_hz: float | None) -> str:
    """Return an emission in one line."""
    frequency = _frequency(record, centre_hz)
    snr = "–" if record.snr_db != record.snr_db else f"{record.snr_db:.0f} dB".replace("-", "−")
    name = record.summary or record.label
    sure = f" ({record.confidence:.2f})" if record.confidence > 0 else ""
    return (
        f"{frequency:>14s}  {engineering(record.bandwidth, 'Hz', 3):>9s}  {snr:>7s}  {printable(name)}{sure}"
    )
