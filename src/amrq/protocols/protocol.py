# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a protocol: family, ranges of its parameters, where it is on the air, and the sources of that."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from amrq.errors import AmrqError
from amrq.text import counted, engineering, is_file_name, name_fault

__all__ = ["FAMILIES", "PARAMETERS", "Band", "Parameter", "ParameterRange", "Protocol"]

FAMILIES = (
    *("noise", "carrier", "am", "ssb", "fm_narrow", "fm_wide", "ook", "pulse", "fsk2", "fsk4", "fskm"),
    *("linear", "pi4dqpsk", "oqpsk", "ofdm", "chirp", "dsss"),
)
"""Families that an emission may be of."""

_LONGEST = 400
_LOWEST, _HIGHEST = 3e3, 300e9
"""Hz: what a radio may receive."""
_SHARES_OF_SECONDS = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"))


@dataclass(frozen=True)
class Parameter:
    """A parameter that protocols state and that can be measured.

    Attributes:
        words: its name for people.
        unit: `Hz`, `Bd`, `s`, or nothing for a plain number.
        low: the least value that makes sense.
        high: the greatest.
        error: standard deviation of a measured value, a share of the value, where the measure does not state its own.
        short: how a value is shown in a table, with `{}` for the value.
    """

    words: str
    unit: str
    low: float
    high: float
    error: float
    short: str = "{}"

    def shown(self, value: float, digits: int = 4) -> str:
        """Return a value in words.

        >>> PARAMETERS["deviation"].shown(4500.0), PARAMETERS["burst"].shown(0.0267), PARAMETERS["tones"].shown(8)
        ('4.5 kHz', '26.7 ms', '8')
        """
        if self.unit == "s":
            factor, prefix = next(
                one for one in _SHARES_OF_SECONDS if value >= one[0] * 0.9995 or one[0] < 1e-5
            )
            return f"{value / factor:.{digits}g} {prefix}s"
        return engineering(value, self.unit, digits) if self.unit else f"{value:.{digits}g}"


PARAMETERS: dict[str, Parameter] = {
    "symbol_rate": Parameter("symbol rate", "Bd", 0.1, 1e8, 0.002),
    "inner_symbol_rate": Parameter(
        "symbol rate of the modem in the audio", "Bd", 1.0, 1e5, 0.005, "{} inside"
    ),
    "deviation": Parameter("deviation", "Hz", 1.0, 1e7, 0.05, "±{}"),
    "index": Parameter("modulation index", "", 0.05, 100.0, 0.05, "index {}"),
    "spacing": Parameter("spacing of tones or subcarriers", "Hz", 0.1, 1e7, 0.01, "spacing {}"),
    "tones": Parameter("number of tones", "", 2.0, 1024.0, 0.05, "{} tones"),
    "subcarriers": Parameter("occupied subcarriers", "", 2.0, 1e5, 0.05, "{} carriers"),
    "prefix": Parameter("cyclic prefix over the useful time", "", 0.001, 1.0, 0.05, "prefix {}"),
    "rolloff": Parameter("roll-off", "", 0.01, 1.0, 0.15, "roll-off {}"),
    "shaping": Parameter("bandwidth-time product of the Gaussian filter", "", 0.1, 2.0, 0.2, "BT {}"),
    "bandwidth": Parameter("occupied bandwidth", "Hz", 1.0, 1e9, 0.15, "{} wide"),
    "pilot": Parameter("pilot or subcarrier in the FM", "Hz", 10.0, 1e6, 0.002, "pilot {}"),
    "spreading_factor": Parameter("spreading factor", "", 1.0, 16.0, 0.01, "SF {}"),
    "chip_rate": Parameter("chip rate", "Bd", 1e3, 1e9, 0.002, "chips {}"),
    "code_period": Parameter("code period", "s", 1e-6, 100.0, 0.01, "code {}"),
    "burst": Parameter("burst length", "s", 1e-6, 3600.0, 0.1, "burst {}"),
    "duty": Parameter("share of the time that it is on", "", 1e-4, 1.0, 0.2, "duty {}"),
}
"""What a protocol's file may state, by name; `deviation` is that of the outermost tones of frequency keying from their
middle, and the peak deviation of FM; the symbol rate of on-off and pulse keying is 1 over its shortest pulse, that of
OFDM 1 over a symbol with its prefix, that of a chirp 1 over a chirp; of Morse, 1 over a dot."""


@dataclass(frozen=True)
class ParameterRange:
    """The values of a parameter that belong to a protocol, with the transmitters' tolerance.

    Attributes:
        low: the least.
        high: the greatest.
        nominal: what the source states; None: the middle.
    """

    low: float
    high: float
    nominal: float | None = None

    @property
    def middle(self) -> float:
        """The nominal value; where none is stated, the geometric mean of the ends."""
        return math.sqrt(self.low * self.high) if self.nominal is None else self.nominal

    def shown(self, parameter: Parameter) -> str:
        """Return it in words: the nominal value where there is one, the range where not.

        >>> ParameterRange(4000, 5000).shown(PARAMETERS["deviation"])
        '4 to 5 kHz'
        """
        if self.nominal is not None or self.low == self.high:
            return parameter.shown(self.middle, 6)
        return _span(parameter.shown(self.low), parameter.shown(self.high))


@dataclass(frozen=True)
class Band:
    """A range of frequencies in which a protocol is on the air.

    Attributes:
        low: lower edge, Hz.
        high: upper edge, Hz.
        where: region, country or service; empty: everywhere.
    """

    low: float
    high: float
    where: str = ""

    def __contains__(self, frequency: float) -> bool:
        """Return whether a frequency in Hz is inside."""
        return self.low <= frequency <= self.high

    def shown(self) -> str:
        """Return it in words.

        >>> Band(433.05e6, 434.79e6, "ITU region 1").shown()
        '433.05 to 434.79 MHz (ITU region 1)'
        """
        span = _span(engineering(self.low, "Hz", 9), engineering(self.high, "Hz", 9))
        return span + (f" ({self.where})" if self.where else "")


@dataclass(frozen=True)
class Protocol:
    """A protocol, as its file states it.

    Attributes:
        name: for people.
        what: what it is, in one sentence.
        families: of `FAMILIES`: what it is received as; the first is what it is by its definition.
        labels: names of modulations, as identification gives them, under which it may be found; the first is its own.
        inside: what is inside: voice, positions, readings; with coding where that is known.
        sources: of the facts: a standard's number or a public document.
        parameters: by name of `PARAMETERS`, one range or several of which one holds.
        bands: where it is on the air; none: anywhere.
        continuous: it is on all the time, without bursts.
        key: the name of its file, without the suffix; empty for one that is made in Python.

    Raises:
        AmrqError: a text is missing or too long, a family or parameter unknown, or a range not sane.
    """

    name: str
    what: str
    families: tuple[str, ...]
    labels: tuple[str, ...]
    inside: str
    sources: tuple[str, ...]
    parameters: dict[str, tuple[ParameterRange, ...]] = field(default_factory=dict)
    bands: tuple[Band, ...] = ()
    continuous: bool = False
    key: str = ""

    def __post_init__(self) -> None:
        """Check the values."""
        fault = next(self._faults(), "")
        if fault:
            raise AmrqError(fault)

    def _faults(self) -> Iterator[str]:
        """Yield what is wrong, as sentences that begin with the field."""
        texts = {"name": (self.name, 40), "what": (self.what, _LONGEST), "inside": (self.inside, _LONGEST)}
        for kind in ("families", "labels", "sources"):
            entries: tuple[str, ...] = getattr(self, kind)
            if not entries or len(set(entries)) < len(entries):
                yield f"{kind} must have one entry at least, and none twice."
            texts |= {f"{kind}[{number}]": (text, _LONGEST) for number, text in enumerate(entries)}
        for where, (text, longest) in texts.items():
            fault = name_fault(text, longest)
            if fault:
                yield f"{where} {fault}."
        for number, family in enumerate(self.families):
            if family not in FAMILIES:
                yield f"families[{number}] must be one of {', '.join(FAMILIES)}, not {family!r}."
        for name, ranges in self.parameters.items():
            yield from _range_faults(name, ranges)
        for number, band in enumerate(self.bands):
            if not _LOWEST <= band.low < band.high <= _HIGHEST:
                yield (
                    f"bands[{number}] must have low below high, both from 3 kHz to 300 GHz, "
                    f"not {engineering(band.low, 'Hz')} to {engineering(band.high, 'Hz')}."
                )
        if self.continuous and "burst" in self.parameters:
            yield "continuous must not be true for a protocol with a burst length."
        if self.key and not is_file_name(self.key):
            yield f"key must be the name of a file, not {self.key!r}."

    def at(self, frequency: float) -> Band | None:
        """Return the narrowest band that a frequency in Hz is in; None where it is in none."""
        return min((b for b in self.bands if frequency in b), key=lambda b: b.high - b.low, default=None)

    def parameters_shown(self) -> str:
        """Return the parameters in short words, on one line.

        >>> Protocol("A", "x", ("fsk2",), ("2FSK",), "x", ("x",), {"deviation": (ParameterRange(4e3, 5e3),)}
        ... ).parameters_shown()
        '±4 to 5 kHz'
        """
        texts = []
        for name, ranges in self.parameters.items():
            parameter = PARAMETERS[name]
            texts.append(parameter.short.format(" or ".join(one.shown(parameter) for one in ranges)))
        if self.continuous:
            texts.append("continuous")
        return ", ".join(texts)

    def bands_shown(self, most: int | None = None) -> str:
        """Return the bands in words, at most so many; `anywhere` where none is stated."""
        if not self.bands:
            return "anywhere"
        shown = [band.shown() for band in self.bands[:most]]
        more = len(self.bands) - len(shown)
        return "; ".join(shown) + (f"; {counted(more, 'more band')}" if more else "")

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, as JSON has them; frequencies in Hz, times in seconds."""
        return {
            "key": self.key,
            "name": self.name,
            "what": self.what,
            "families": list(self.families),
            "labels": list(self.labels),
            "inside": self.inside,
            "parameters": {
                name: [{"low": one.low, "high": one.high, "nominal": one.middle} for one in ranges]
                for name, ranges in self.parameters.items()
            },
            "bands": [{"low": band.low, "high": band.high, "where": band.where} for band in self.bands],
            "continuous": self.continuous,
            "sources": list(self.sources),
        }


def _span(low: str, high: str) -> str:
    """Return `4 to 5 kHz`, with the unit once where it is the same."""
    number, _, unit = low.partition(" ")
    return f"{number if unit == high.partition(' ')[2] else low} to {high}"


def _range_faults(name: str, ranges: tuple[ParameterRange, ...]) -> Iterator[str]:
    known = PARAMETERS.get(name)
    if known is None:
        yield f"parameters.{name} is no parameter: there are {', '.join(PARAMETERS)}."
        return
    if not ranges:
        yield f"parameters.{name} must have a range."
    for number, one in enumerate(ranges):
        where = f"parameters.{name}[{number}]"
        if not known.low <= one.low <= one.high <= known.high:
            yield (
                f"{where} must have low at most high, both from {known.shown(known.low)} to "
                f"{known.shown(known.high)}, not {one.low:g} to {one.high:g}."
            )
        elif not one.low <= one.middle <= one.high:
            yield f"{where} must have nominal from low to high, not {one.nominal:g}."
