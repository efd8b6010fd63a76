# SPDX-License-Identifier: GPL-3.0-or-later
"""The signal to receive, found in samples of a band: its place and its symbol rate; and words for what was found."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.measure import (
    BandSignal,
    Cleaner,
    InputReport,
    SymbolRate,
    estimate_symbol_rate,
    find_signals,
    turned,
    usable,
)
from amrq.text import counted, engineering

__all__ = [
    "SURE",
    "FoundSignal",
    "SignalSearch",
    "find_in_windows",
    "find_signal",
    "found_text",
    "input_texts",
    "is_same_rate",
    "signals_text",
    "unclear_text",
]

SURE = 0.999
"""Confidence from which an estimate of a symbol rate is believed."""
_SAME = 0.003
"""Symbol rates that differ by less than this part are one."""
_GIVEN_WITHIN = 0.022
"""A given symbol rate may be off by 2 %; a little more is searched, so that a line at the edge is a maximum."""
_GIVEN_STAYS = 1e-3
"""A given symbol rate that is right to this part stays: the front end follows the rest."""
_PLACE_STAYS = 0.02
"""Of the bandwidth: a place that is right to this part stays. A matched filter so far off loses less than 0.1 dB."""
_NEAR = 0.1
"""Of the symbol rate: a place that is given with the symbol rate is corrected by this much."""
_AS_WIDE = (0.9, 1.6)
"""Bandwidth over symbol rate of shaped pulses of which nothing is cut off: then it is corrected by more."""
_FITTING = (0.7, 4.0)
"""Bandwidths over symbol rate that go together: sharp filters have 1, rectangular pulses 2 and side lobes."""
_WEAKER_DB = 20.0
"""A signal this far below the strongest is not taken of its own accord: it may be its image."""
_NO_NOISE_DB = 60.0
_LEAST = 256
"""Samples in which signals are looked for."""
_MOST = 6  # signals whose symbol rate is looked for, and signals that are named to the user
_WORTH_NOTING = 0.05
"""Of the bandwidth: a place as near as this to the one expected needs no words."""


@dataclass(frozen=True)
class SignalSearch:
    """What is known of a signal that is looked for.

    Attributes:
        offset: the signal is the one nearest to this place, Hz from the middle of the band; None: anywhere.
        symbol_rate: its symbol rate, right to 2 %; None if it is not known.
        lowest: lowest symbol rate searched, Bd; 0: that of `estimate_symbol_rate`.
        highest: highest symbol rate searched, Bd.
        real: the samples are a real signal, whose band begins at 0 Hz.
        alone: the samples are those of one emission, taken out of a band: a receiver's line and image are not looked
            for, nor bursts beside it.

    Raises:
        AmrqError: the lowest symbol rate is not below the highest.
    """

    offset: float | None = None
    symbol_rate: float | None = None
    lowest: float = 0.0
    highest: float = math.inf
    real: bool = False
    alone: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 <= self.lowest < self.highest:
            lowest, highest = engineering(self.lowest, "Bd"), engineering(self.highest, "Bd")
            raise AmrqError(
                f"a symbol rate from {lowest} to {highest} cannot be looked for: the lowest must be at least 0 and "
                "below the highest."
            )

    def fits(self, signal: BandSignal) -> bool:
        """Return whether a signal may have the symbol rate that is known."""
        lowest, highest = self.range()
        return _FITTING[0] * lowest <= signal.bandwidth <= _FITTING[1] * highest

    def range(self) -> tuple[float, float]:
        """Return the lowest and the highest symbol rate to look for, Bd."""
        given = self.symbol_rate
        if given is None:
            return self.lowest, self.highest
        return given * (1 - _GIVEN_WITHIN), given * (1 + _GIVEN_WITHIN)


@dataclass(frozen=True)
class FoundSignal:
    """A signal that was found, and what else is in the band.

    Attributes:
        offset: of the signal from the middle of the band, Hz; the place looked at where none was found.
        symbol_rate: symbols a second; None where none is to be seen.
        given: the symbol rate that was given; None if none was.
        signals: all signals in the band, strongest first.
        chosen: the one of them that was taken; None where none was found.
        report: what was seen of the input; None if it was not looked at.
        nothing: why nothing can be found in these samples, in a few words; empty if something can.
    """

    offset: float = 0.0
    symbol_rate: SymbolRate | None = None
    given: float | None = None
    signals: tuple[BandSignal, ...] = ()
    chosen: BandSignal | None = None
    report: InputReport | None = None
    nothing: str = ""

    @property
    def sure(self) -> bool:
        """Whether the symbol rate is given or clear."""
        return self.symbol_rate is not None and self.symbol_rate.confidence >= SURE

    @property
    def corrected(self) -> bool:
        """Whether a symbol rate was given and another one, near it, was found."""
        return self.given is not None and self.symbol_rate is not None and self.symbol_rate.rate != self.given


def find_signal(
    samples: NDArray[np.complex64], sample_rate: float, search: SignalSearch | None = None
) -> FoundSignal:
    """Find the place and the symbol rate of the strongest signal, or of the one that `search` describes.

    Of several signals the strongest is taken whose symbol rate is clear. A signal weaker than the strongest by 20 dB or
    more is only taken if `search.offset` is in it. Where no signal stands out of the noise, the symbol rate is looked
    for in all of the band, around `search.offset`.

    Args:
        samples: complex [N]. Samples that are not finite, or of 1e12 and more, count as zeros.
        sample_rate: samples a second, above 0.
        search: what is known of the signal; None: nothing.

    >>> import numpy as np
    >>> from amrq.classes import linear_class
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(linear_class("QPSK").points, 4000)
    >>> samples = received_signal(symbols, samples_per_symbol=8.0, rolloff=0.35, es_n0_db=20.0, rng=rng)
    >>> samples = samples * np.exp(2j * np.pi * 0.1 * np.arange(len(samples)))
    >>> found = find_signal(samples.astype(np.complex64), sample_rate=100e3)
    >>> round(found.offset / 1e3), round(found.symbol_rate.rate), found.sure
    (10, 12500, True)
    """
    search = search or SignalSearch()
    if math.isinf(search.highest):
        search = replace(search, highest=sample_rate / 2)  # more cannot be received
    samples = np.asarray(samples, np.complex64)
    good = usable(samples)
    if nothing := _nothing(samples, good):
        known = None if search.symbol_rate is None else SymbolRate(search.symbol_rate, 1.0)
        return FoundSignal(search.offset or 0.0, known, search.symbol_rate, nothing=nothing)
    samples = np.where(good, samples, np.complex64(0))
    report: InputReport | None = None
    middle = 0.0
    if search.real:
        samples, sample_rate, middle = _positive_half(samples, sample_rate)
    elif not search.alone:
        cleaner = Cleaner(sample_rate)
        samples = np.concatenate([cleaner.process(samples), cleaner.finish()])
        report = cleaner.report()
    signals: tuple[BandSignal, ...] = ()
    if len(samples) >= _LEAST:
        signals = tuple(find_signals(samples, sample_rate, bursts=not search.alone))
    given = search.symbol_rate
    best: FoundSignal | None = None
    for signal in _candidates(signals, search, middle):
        rate, clear = _rate(samples, sample_rate, search, signal, signals)
        place = _place(signal.centre + middle, signal, search)
        found = FoundSignal(place, rate, given, (), signal, report)
        if best is None or (rate is not None and clear):
            best = found
        if clear:
            break
    if best is None:
        rate, _ = _rate(
            _turned(samples, ((search.offset or middle) - middle) / sample_rate), sample_rate, search
        )
        best = FoundSignal(search.offset or 0.0, rate, given, (), None, report)
    chosen = None if best.chosen is None else replace(best.chosen, centre=best.chosen.centre + middle)
    everything = tuple(replace(signal, centre=signal.centre + middle) for signal in signals)
    return replace(best, signals=everything, chosen=chosen)


def _nothing(samples: NDArray[np.complex64], good: NDArray[np.bool_]) -> str:
    """Return why nothing can be found in samples; empty if something can."""
    if len(samples) < _LEAST:
        return f"{counted(len(samples), 'sample')}, and a signal needs at least {_LEAST}"
    if not good.any():
        return "no sample is a finite number below 1e12"
    return "" if samples[good].any() else "all samples are zero"


def _candidates(signals: tuple[BandSignal, ...], search: SignalSearch, middle: float) -> list[BandSignal]:
    """Return the signals to try, the best one first."""
    if search.offset is not None:
        place = search.offset - middle
        near = [signal for signal in signals if abs(signal.centre - place) <= signal.bandwidth]
        return sorted(near, key=lambda signal: abs(signal.centre - place))[:1]
    strong = [signal for signal in signals if signal.power_db > signals[0].power_db - _WEAKER_DB]
    return sorted(strong, key=lambda signal: not search.fits(signal))[:_MOST]


def _turned(samples: NDArray[np.complex64], frequency: float) -> NDArray[np.complex64]:
    """Return samples with a frequency, in cycles a sample, moved to 0."""
    if not frequency:
        return samples
    return turned(samples, -frequency)


def _place(centre: float, signal: BandSignal, search: SignalSearch) -> float:
    """Return where a signal is received, Hz: the given place, or the middle of the band, if that is right enough.

    Where symbol rate and place are both given, the place stays unless the signal found there is as wide as it should be
    or hardly away: the band's edge, or a neighbour, may have moved its middle.
    """
    expected = search.offset if search.offset is not None else None if search.real else 0.0
    if expected is None:
        return centre
    away = abs(centre - expected)
    if away <= _PLACE_STAYS * signal.bandwidth:
        return expected
    known = search.symbol_rate if search.offset is not None else None
    if known is None or away <= _NEAR * known:
        return centre
    return centre if _AS_WIDE[0] <= signal.bandwidth / known <= _AS_WIDE[1] else expected


def _rate(
    samples: NDArray[np.complex64],
    sample_rate: float,
    search: SignalSearch,
    signal: BandSignal | None = None,
    signals: tuple[BandSignal, ...] = (),
) -> tuple[SymbolRate | None, bool]:
    """Return the symbol rate of one of several signals, None: of the one at 0 Hz, and whether it is clear."""
    given = search.symbol_rate
    known = None if signal is None else [signal, *(other for other in signals if other is not signal)]
    try:
        found: SymbolRate | None = estimate_symbol_rate(samples, sample_rate, *search.range(), signals=known)
    except AmrqError:  # too few samples, or silence
        found = None
    clear = found is not None and found.confidence >= SURE
    if given is None or found is None:
        return (found if given is None else SymbolRate(given, 1.0)), clear
    if not clear or abs(found.rate / given - 1) < _GIVEN_STAYS:
        return SymbolRate(given, 1.0), clear
    return found, clear


def _positive_half(
    samples: NDArray[np.complex64], sample_rate: float
) -> tuple[NDArray[np.complex64], float, float]:
    """Return the positive frequencies of samples, at half their rate; that rate, and the frequency of their middle."""
    count = len(samples) // 4 * 4
    half = np.roll(np.fft.fft(samples[:count])[: count // 2], -(count // 4))
    return np.fft.ifft(half).astype(np.complex64), sample_rate / 2, sample_rate / 4


def find_in_windows(
    windows: Iterable[NDArray[np.complex64]],
    sample_rate: float,
    search: SignalSearch,
    say: Callable[[FoundSignal], None] = lambda found: None,
) -> FoundSignal:
    """Find a signal in the first of several windows in which it is clear.

    Args:
        windows: of samples; each is only asked for if the signal was not clear in those before it.
        sample_rate: samples a second.
        search: what is known of the signal.
        say: called with what each window gave.
    """
    best: FoundSignal | None = None
    for samples in windows:
        found = find_signal(samples, sample_rate, search)
        say(found)
        if found.sure and found.chosen is not None:
            return found
        if best is None or _worth(found) > _worth(best):
            best = found
    return best or FoundSignal(search.offset or 0.0)


def _worth(found: FoundSignal) -> tuple[bool, float]:
    confidence = 0.0 if found.symbol_rate is None else found.symbol_rate.confidence
    return found.chosen is not None, confidence


def is_same_rate(rate: float, other: float) -> bool:
    """Return whether two symbol rates agree to 0.3 %; False if one is NaN."""
    return abs(rate / other - 1) < _SAME


def found_text(found: FoundSignal, search: SignalSearch) -> str:
    """Return a sentence on what is in the band and what of it is taken; empty if that is what was to be expected.

    >>> two = (BandSignal(40e3, 30e3, 20.0, -10.0), BandSignal(-60e3, 12e3, 18.0, -16.0))
    >>> print(found_text(FoundSignal(40e3, SymbolRate(25e3, 1.0), None, two, two[0]), SignalSearch()))
    2 signals: 30 kHz wide at 40 kHz (20 dB), 12 kHz wide at -60 kHz (18 dB); taking the one at 40 kHz, an offset \
chooses another
    """
    chosen, expected = found.chosen, search.offset
    if chosen is None:
        if expected is None:
            return ""
        return f"no signal stands out at {_hertz(expected)}; {signals_text(found)}" if found.signals else ""
    if len(_strong(found)) > 1:
        text = f"{signals_text(found)}; taking the one at {_hertz(chosen.centre)}"
        if expected is not None:
            return text if abs(chosen.centre - expected) > _WORTH_NOTING * chosen.bandwidth else ""
        return f"{text}, an offset chooses another"
    if abs(chosen.centre - (expected or 0.0)) <= _WORTH_NOTING * chosen.bandwidth:
        return ""
    return f"the signal is at {_hertz(chosen.centre)}"


def signals_text(found: FoundSignal) -> str:
    """Return how many signals there are, and where: `2 signals: 30 kHz wide at 40 kHz (20 dB), ...`.

    Signals that are weaker than the strongest by 20 dB or more are only counted.
    """
    signals = found.signals
    if not signals:
        return "no signal stands out of the noise"
    strong = _strong(found)
    shown = [
        f"{engineering(signal.bandwidth, 'Hz', 3)} wide at {_hertz(signal.centre)} ({_decibels(signal.snr_db)})"
        for signal in strong
    ]
    weak = len(signals) - len(strong)
    more = f" and {weak} weaker one{'s' if weak > 1 else ''}" if weak else ""
    return f"{len(strong)} signal{'s' if len(strong) > 1 else ''}: {', '.join(shown)}{more}"


def _strong(found: FoundSignal) -> list[BandSignal]:
    """Return the signals that are worth naming."""
    signals = found.signals
    strong = [signal for signal in signals if signal.power_db > signals[0].power_db - _WEAKER_DB][:_MOST]
    return [*strong, found.chosen] if found.chosen in signals and found.chosen not in strong else strong


def _decibels(snr_db: float) -> str:
    """Return an SNR; what a receiver's filter leaves beside a signal is not its noise."""
    return f"{snr_db:.0f} dB" if snr_db < _NO_NOISE_DB else "no noise beside it"


def unclear_text(found: FoundSignal) -> str:
    """Return the beginning of a sentence which says that the symbol rate is not clear."""
    rate = found.symbol_rate
    if rate is None or found.nothing:
        return "no symbol rate is to be seen" + (f" ({found.nothing})" if found.nothing else "")
    if rate.confidence < 0.01 or math.isnan(rate.rate):
        return f"its symbol rate is not clear ({rate.reason or 'none stands out of the noise'})"
    # Rounded down: a confidence that is too low must not look like 1.
    confidence = math.floor(1000 * rate.confidence) / 1000
    perhaps = f"perhaps {engineering(rate.rate, 'Bd', 6)}, with a confidence of {confidence:.3f}"
    reason = f"; {rate.reason}" if rate.reason else ""
    return f"its symbol rate is not clear ({perhaps} where {SURE:g} is needed{reason})"


_DC_DB, _IMAGE_DB = -25.0, -30.0
"""From here on, relative to the signal, a line at 0 Hz and an image are worth a word."""
_CLIPPED = 1e-3  # share of samples


def input_texts(report: InputReport | None) -> list[str]:
    """Return a sentence for each thing that is wrong with the input.

    >>> input_texts(InputReport(dc_db=None, image_db=None, clipped_share=0.12))
    ['the input clips: 12 % of the samples are at full scale; turn the gain down']
    """
    texts: list[str] = []
    if report is None:
        return texts
    if report.clipped_share is not None and report.clipped_share >= _CLIPPED:
        share = f"{100 * report.clipped_share:.2g} %"
        texts.append(f"the input clips: {share} of the samples are at full scale; turn the gain down")
    if report.dc_db is not None and report.dc_removed and report.dc_db >= _DC_DB:
        texts.append(f"there is a line at 0 Hz, {report.dc_db:.0f} dB relative to the signal; it is removed")
    if report.image_db is not None and report.image_db >= _IMAGE_DB:
        texts.append(f"I and Q are not balanced: an image at {report.image_db:.0f} dB is removed")
    return texts


def _hertz(frequency: float) -> str:
    return engineering(frequency, "Hz", 4)
