# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol rate of a signal, estimated from its samples."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.errors import AmrqError
from amrq.measure.band import BandSignal, find_signals
from amrq.measure.looks import hann_single, quantile, select_channel, sliding_medians, turned
from amrq.text import engineering

__all__ = ["SymbolRate", "estimate_symbol_rate"]

_LEAST_POWER = 1e-70  # what is less is silence: its root is hardly a float32 number
_LEAST_SAMPLES_PER_SYMBOL = 1.25
_LEAST_SYMBOLS = 64
_MOST_SAMPLES = 1 << 18
"""Looked at; of longer inputs those in the middle."""
_NEIGHBOURS = 256
"""Bins on either side of a line that tell the level it stands out from."""
_EVERY = 16  # bins from one median to the next
_OWN = 0.55
"""Of a signal's bandwidth: so much on either side of its middle is its channel, whatever lies there."""
_BLOCKS = 96
"""Over a channel, in which its shape is measured."""
_BAND = 0.07
"""Of a signal's height, -11.5 dB: what is looked at ends here. Side lobes do not count; at twice the symbol rate their
products would make a line as strong as the first."""
_MIDDLE, _GAP = 0.2, 0.05
"""Of the bandwidth: in so much to either side of its middle a signal is not silent; so much may be lower within it."""
_EXTENT = 0.16
"""Of a signal's height, -8 dB. The symbol rate is at most 1.15 of this width: with a roll-off of 0 it is all of it."""
_WIDEST = 1.15
_STEEP, _GENTLE = 0.93, 0.72
"""Of the half-power bandwidth, the lowest symbol rate: with root-raised-cosine pulses it is all of it, with half sines
0.84."""
_MAIN_LOBE, _LEAST_LOBE = 0.8, 0.15
"""Of the power on one side of the middle must be in what is looked at, rectangular pulses have 0.91 there; on the other
side, where a neighbour may be, not as much."""
_DOUBTFUL, _FURTHER = 0.99, 1.15
"""An estimate of less confidence is made again with all of the signal and up to a so much higher rate."""
_NARROW = 0.2
"""Of the highest possible symbol rate, the lowest one: for all pulses it is 0.37 at least. A spectrum with a narrow
middle and a wide foot is that of a voice or of a modulated frequency."""
_TONE = 14.0
"""Times the power around: a bin of the spectrum above is a stray tone."""
_TONES = 0.8
"""Of a signal's power: if tones have more, it is no linear modulation."""
_SMOOTH = 24.0
"""Symbols over which power is averaged to tell signal from silence."""
_QUIET = 0.2
"""Of the usual power: below is silence, if there is both."""
_VOTES, _AGREE = 4, 0.25
"""Parts of the time, and the share of its expected part of the line that half of them must show."""
_HARMONIC = 14.0
"""Times the level around: a line at half or a third of the found rate that stands out so far is the rate."""
_LINEAR = 0.35
"""Of the line that a linear modulation makes: what is certainly weaker is of something else. Echoes and clipping leave
0.8, noise of which nothing is seen beside the signal 0.45; drift leaves 0.2 over all of the time, 0.55 in each part."""
_WEAK = "the line is weaker than that of a linear modulation"
_PARTS = 4
"""In time, in each of which a carrier that drifts is steadier than in all of it."""
_PART_LINE, _BY_CHANCE = 0.1, 20.0
"""Of the line that a linear modulation makes, and times the level around: a line so strong at a half to a fifth of the
rate makes it doubtful. Frequency modulation has such lines, repeated data may have."""
_SAME = 0.02
"""Of a rate: lines closer than this belong to it, as those of bursts and frames do."""
_OTHER = 0.35
"""Of the strongest line: one as strong as this at an unrelated rate makes the rate unclear."""


class SymbolRate(NamedTuple):
    """An estimate of a symbol rate.

    Attributes:
        rate: symbols a second; NaN if there is none to be named.
        confidence: probability, 0 to 1, that noise alone does not show a line as strong anywhere in the searched
            range; near 0 if something else speaks against the rate.
        reason: why the rate is not clear, in a few words; empty if nothing speaks against it.
    """

    rate: float
    confidence: float
    reason: str = ""


def estimate_symbol_rate(
    samples: NDArray[np.complex64],
    sample_rate: float,
    lowest: float = 0.0,
    highest: float = math.inf,
    signals: Sequence[BandSignal] | None = None,
) -> SymbolRate:
    """Estimate the symbol rate from the strongest spectral line of the squared envelope, which repeats each symbol.

    A signal of symbol rate R and roll-off r holds everything twice in the r R that either edge of its band reaches
    beyond R/2, at a distance of R; the products of the two make a line at R in the spectrum of the squared envelope
    (Gardner, "Exploitation of spectral redundancy in cyclostationary signals", IEEE Signal Processing Magazine, 1991).
    The signal's channel is filtered first and its spectrum made flat, so that the edges, where the line comes from,
    count as much as the middle, which gives noise alone. Stray tones and silence are left out.

    Args:
        samples: complex [N]. If several signals are in the band, the one at 0 Hz counts, else the strongest.
        sample_rate: samples a second.
        lowest: lowest rate searched; 0: the rate with 64 symbols in all of the samples.
        highest: highest rate searched; at most 0.8 times the sample rate.
        signals: what `find_signals` found in the samples, the signal that counts first; None: they are looked for.

    Raises:
        AmrqError: the samples are too few, without power or not finite, or the range is empty.

    >>> import numpy as np
    >>> from amrq.classes import linear_class
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(linear_class("QPSK").points, 2000)
    >>> samples = received_signal(symbols, samples_per_symbol=4.0, rolloff=0.35, es_n0_db=20.0, rng=rng)
    >>> found = estimate_symbol_rate(samples, sample_rate=100e3)
    >>> round(found.rate / 1e3, 2), found.confidence > 0.9
    (25.0, True)
    """
    count = len(samples)
    lowest = max(lowest, sample_rate * _LEAST_SYMBOLS / max(1, count))
    highest = min(highest, sample_rate / _LEAST_SAMPLES_PER_SYMBOL)
    if not lowest < highest:
        raise AmrqError(
            f"a symbol rate from {engineering(lowest, 'Bd', 6)} to {engineering(highest, 'Bd', 6)} cannot be found in "
            f"{count} samples at {engineering(sample_rate, 'S/s')}: give more samples or another range."
        )
    samples = np.asarray(samples, dtype=np.complex64)[max(0, (count - _MOST_SAMPLES) // 2) :][:_MOST_SAMPLES]
    power = float(np.mean(samples.real.astype(np.float64) ** 2 + samples.imag.astype(np.float64) ** 2))
    if not (math.isfinite(power) and power > _LEAST_POWER):
        raise AmrqError("there is no symbol rate in silence, or in samples that are not finite.")
    if signals is None:
        signals = _middle_first(find_signals(samples, sample_rate))
    if not signals:
        return SymbolRate(math.nan, 0.0, "no signal stands out of the noise")
    signal, *others = signals
    low, high = _room(signal, others, sample_rate, len(samples))
    if not low < signal.centre < high:
        return SymbolRate(math.nan, 0.0, "the signal lies at the edge of the band")
    channel, rate = select_channel(
        samples / np.float32(math.sqrt(power)), sample_rate, (low + high) / 2, high - low
    )
    away = signal.centre - (low + high) / 2
    on = _on(channel, _SMOOTH * rate / signal.bandwidth)
    loud = np.flatnonzero(on)
    if not len(loud):
        return SymbolRate(math.nan, 0.0, "no signal stands out of the noise")
    channel, on = channel[loud[0] : loud[-1] + 1], on[loud[0] : loud[-1] + 1]
    spectrum = _Spectrum(channel * on, rate, float(np.mean(on)), away)
    noise = 10 ** ((signal.power_db - signal.snr_db) / 10) / power / signal.bandwidth
    beside = [other.centre - signal.centre for other in others]
    shape = spectrum.shape(noise * float(np.mean(on)), signal.bandwidth, beside)
    if spectrum.tones_share(*shape.band) > _TONES:
        return SymbolRate(math.nan, 0.0, "most of the power is in single lines, as of carriers")
    smaller, larger = shape.shares
    if larger < _MAIN_LOBE or smaller < _LEAST_LOBE or shape.lowest < _NARROW * shape.highest:
        return SymbolRate(math.nan, 0.0, "the spectrum is not that of a linear modulation")
    lowest, asked, highest = max(lowest, shape.lowest), highest, min(highest, shape.highest)
    if not lowest < highest:
        return SymbolRate(
            math.nan, 0.0, "a signal of this bandwidth has no symbol rate in the searched range"
        )

    def in_band(band: tuple[float, float], most: float) -> SymbolRate:
        lines = _Lines(*spectrum.flat_envelope(*band), on, partial(spectrum.linear_share, *band))
        found = lines.found(lowest, most, sample_rate)
        # Between the values of the spectrum a line may lie a little above the last one that was asked for.
        return found._replace(rate=asked) if found.rate > asked else found

    found = in_band(shape.band, highest)
    all_of_it = min(asked, max(_FURTHER * highest, shape.wider[1] - shape.wider[0]))
    if found.confidence <= _DOUBTFUL and not found.reason and all_of_it > highest:
        # An echo may have taken the edges, where the line comes from: all of the signal is looked at.
        wider = in_band(shape.wider, all_of_it)
        found = max(found, wider._replace(confidence=wider.confidence**2), key=lambda one: one.confidence)
    if found.reason != _WEAK:
        return found
    if _linear_in_parts(channel * on, rate, away, signal.bandwidth, noise, found.rate):
        return found._replace(reason="")
    return found._replace(confidence=min(found.confidence, 0.5))


def _linear_in_parts(
    channel: NDArray[np.complex64],
    rate: float,
    away: float,
    bandwidth: float,
    noise: float,
    symbol_rate: float,
) -> bool:
    """Return whether a line is as strong as a linear modulation's in each part of the time.

    Over all of the time it is weaker where the carrier drifts: the spectrum is then wider than the signal ever is.
    """
    parts = np.array_split(channel, _PARTS)
    shares = [float(np.mean(part != 0)) for part in parts]
    for part, share in zip(parts, shares, strict=True):
        if share < 0.5 * max(shares):
            continue
        spectrum = _Spectrum(part, rate, share, away)
        band = spectrum.shape(noise * share, bandwidth).band
        on = np.asarray(part != 0, dtype=np.float32)
        lines = _Lines(*spectrum.flat_envelope(*band), on, partial(spectrum.linear_share, *band))
        if not lines.is_linear(symbol_rate):
            return False
    return True


def _middle_first(signals: list[BandSignal]) -> list[BandSignal]:
    """Return signals with the one at 0 Hz, if there is one, first."""
    at_middle = [signal for signal in signals if abs(signal.centre) < 0.6 * signal.bandwidth]
    if not at_middle:
        return signals
    first = min(at_middle, key=lambda one: abs(one.centre) / one.bandwidth)
    return [first, *(signal for signal in signals if signal is not first)]


def _room(
    signal: BandSignal, others: Sequence[BandSignal], sample_rate: float, count: int
) -> tuple[float, float]:
    """Return the edges of a signal's channel, Hz: a little more than the signal, but nothing of those beside it."""
    half = 0.6 * signal.bandwidth + 4 * sample_rate / count
    low, high = signal.centre - half, signal.centre + half
    # Side lobes of one may lie under the other: their spectrum then tells where one ends.
    for other in others:
        upper, lower = other.centre + other.bandwidth / 2, other.centre - other.bandwidth / 2
        if upper < signal.centre - _OWN * signal.bandwidth:
            low = max(low, upper)
        elif lower > signal.centre + _OWN * signal.bandwidth:
            high = min(high, lower)
    return max(low, -0.49 * sample_rate), min(high, 0.49 * sample_rate)


def _on(channel: NDArray[np.complex64], span: float) -> NDArray[np.float32]:
    """Return 1 where the signal is on and 0 in silence, with smooth edges: float32 [N]."""
    count = len(channel)
    width = max(4, min(count // 4, round(span)))
    power = _means(channel.real**2 + channel.imag**2, width)
    usual = quantile(power, 0.9)
    loud = power > _QUIET * usual
    # Where most of the time is silence, the loudest tells what is usual.
    strongest = float(power.max())
    if usual < _QUIET * strongest and np.count_nonzero(power > _QUIET * strongest) > 4 * width:
        loud = power > _QUIET * strongest
    if loud.all():
        return np.ones(count, dtype=np.float32)
    return np.asarray(_means(loud.astype(np.float32), width) ** 2, dtype=np.float32)


@dataclass(frozen=True)
class _Shape:
    """Where a signal's spectrum ends, and between which values its symbol rate may lie, Hz.

    The shares are those of all power to either side of its middle, the smaller first.
    """

    band: tuple[float, float]
    wider: tuple[float, float]
    lowest: float
    highest: float
    shares: tuple[float, float]


class _Spectrum:
    """The spectrum of a channel, with its stray tones known.

    Args:
        channel: complex64 [N], 0 in silence.
        rate: its samples a second.
        on: share of the time that is no silence: where it is small, many neighbouring bins say the same.
        away: the middle of the signal, Hz from that of the channel.
    """

    def __init__(self, channel: NDArray[np.complex64], rate: float, on: float, away: float) -> None:
        self._values = np.fft.fftshift(fft.fft(channel))
        self._step, self._rate = rate / len(channel), rate
        self._middle = len(channel) // 2 + round(away / self._step)
        power = self._values.real.astype(np.float64) ** 2 + self._values.imag.astype(np.float64) ** 2
        self._power = power / (len(channel) * rate)  # a Hz
        width = max(4, len(power) // (2 * _BLOCKS))
        level = _local_level(
            self._power, max(4, min(len(power) // 16, round(min(_NEIGHBOURS, 4 * width) / on)))
        )
        self._tones = self._power > _TONE * level
        self._level = level
        self._smooth = np.maximum(_means(np.where(self._tones, level, self._power), width), 0)

    def shape(self, noise: float, bandwidth: float, others: Sequence[float] = ()) -> _Shape:
        """Return the shape of the signal in the middle above a noise density, other signals being so far away, Hz."""
        self._shares = np.maximum(1 - noise / np.maximum(self._smooth, 1e-300), 0)
        self._shares[self._tones] = 0
        excess = _means(self._smooth, max(1, len(self._smooth) // (2 * _BLOCKS))) - noise
        middle = self._middle
        inside = np.abs(np.arange(len(excess)) - middle) * self._step < 0.6 * bandwidth
        for other in others:  # what lies beyond the lowest place between the two is no part of the signal
            place = min(len(excess), max(0, middle + round(other / self._step)))
            if place < middle:
                inside[: place + int(np.argmin(excess[place:middle]))] = False
            elif place > middle:
                inside[middle + int(np.argmin(excess[middle:place])) + 1 :] = False
        # From the strongest place in the middle outwards: notches of an echo are above this level, what is between
        # signals is not.
        near = np.abs(np.arange(len(excess)) - middle) * self._step < _MIDDLE * bandwidth
        top = int(np.argmax(np.where(near, excess, -math.inf)))
        above = (excess > _BAND * excess[top]) & inside
        gap = max(2, round(_GAP * bandwidth / self._step))
        ends = top - _last_before_gap(above[top::-1], gap), top + _last_before_gap(above[top:], gap)
        height = float(excess[ends[0] : ends[1] + 1].max())

        def edges(level: float) -> tuple[float, float]:
            # At least the highest place, where nothing is above the noise.
            least = min(level * height, height)
            places = ends[0] + np.flatnonzero(excess[ends[0] : ends[1] + 1] >= least) - middle
            return (float(places[0]) - 0.5) * self._step, (float(places[-1]) + 0.5) * self._step

        widths = [high - low for low, high in (edges(0.5), edges(_EXTENT), edges(0.1))]
        gentle = min(1.0, max(0.0, (widths[2] / widths[0] - 1) / 0.5))
        band = edges(_BAND)
        first, last = self._bins(*band)
        sides = (
            (excess[middle:last].sum(), excess[middle:][inside[middle:]].sum()),
            (
                excess[first:middle].sum(),
                excess[:middle][inside[:middle]].sum(),
            ),
        )
        shares = sorted(float(own / max(whole, 1e-300)) for own, whole in sides)
        half = 0.5 * bandwidth + 4 * self._step
        free = (np.flatnonzero(inside)[[0, -1]] - middle) * self._step
        wider = min(band[0], max(-half, free[0])), max(band[1], min(half, free[1]))
        return _Shape(
            band,
            wider,
            (_STEEP + (_GENTLE - _STEEP) * gentle) * widths[0],
            _WIDEST * widths[1],
            (shares[0], shares[1]),
        )

    def tones_share(self, low: float, high: float) -> float:
        """Return the share of the power between two frequencies that is in stray tones."""
        chosen = slice(*self._bins(low, high))
        tones = self._power[chosen][self._tones[chosen]].sum()
        return float(tones / max(self._power[chosen].sum(), 1e-300))

    def linear_share(self, low: float, high: float, rate: float) -> float:
        """Return the line that a linear modulation of this symbol rate makes in the flat envelope, over its mean.

        A linear modulation's bins that are the symbol rate apart are the same but for a factor: their correlation is 1,
        less the noise in them.
        """
        shares = self._shares[slice(*self._bins(low, high))]
        away = round(rate / self._step)
        if away >= len(shares):
            return 0.0
        return float(np.sum(np.sqrt(shares[away:] * shares[: len(shares) - away])) / len(shares))

    def flat_envelope(self, low: float, high: float) -> tuple[NDArray[np.float32], float]:
        """Return the squared envelope of a part with a flat spectrum and no tones, and its sample rate."""
        first, last = self._bins(low, high)
        smooth = self._smooth[first:last]
        gain = 1 / np.sqrt(np.maximum(smooth, 1e-9 * smooth.max() + 1e-300))
        gain[self._tones[first:last]] = 0
        size = fft.next_fast_len(2 * (last - first) + 2)
        padded = np.zeros(size, dtype=np.complex64)
        padded[: last - first] = self._values[first:last] * gain
        flat = fft.ifft(padded)
        return flat.real**2 + flat.imag**2, self._step * size

    def _bins(self, low: float, high: float) -> tuple[int, int]:
        middle = self._middle
        return max(0, middle + math.ceil(low / self._step)), min(
            len(self._values), middle + math.floor(high / self._step) + 1
        )


class _Lines:
    """The lines in the spectrum of a squared envelope.

    Args:
        envelope: float32 [N].
        rate: its samples a second.
        on: float32 [M], where the signal is on, over the same time.
        expected: tells the line that a linear modulation makes, over the envelope's mean, for a symbol rate.
    """

    def __init__(
        self,
        envelope: NDArray[np.float32],
        rate: float,
        on: NDArray[np.float32],
        expected: Callable[[float], float],
    ) -> None:
        count = len(envelope)
        self._expected = expected
        self._on = np.interp(np.arange(count) * (len(on) / count), np.arange(len(on)), on)
        total = float(self._on.sum())
        mean = float(envelope.sum()) / max(total, 1e-30)
        self._varying = np.asarray(envelope - mean * self._on, dtype=np.float32)
        self._size = fft.next_fast_len(2 * count, real=True)  # a line falls on a bin, or nearly
        window = hann_single(count)
        self._total = float(np.dot(window, envelope))
        found = fft.rfft(self._varying * window, self._size)
        self._spectrum = found.real.astype(np.float64) ** 2 + found.imag.astype(np.float64) ** 2
        self._ratios = self._spectrum / np.maximum(_local_level(self._spectrum, _NEIGHBOURS), 1e-200)
        self._step = rate / self._size
        self._rate = rate

    def found(self, lowest: float, highest: float, sample_rate: float) -> SymbolRate:
        """Return the symbol rate between two limits; the rate of the samples tells which lines are mirrored into it."""
        first = max(3, math.ceil(lowest / self._step))
        last = min(len(self._ratios) - 3, math.floor(highest / self._step))
        if last - first < 8:
            return SymbolRate(math.nan, 0.0, "the samples are too few for a signal of this bandwidth")
        ratios = self._ratios
        place = first + int(np.argmax(ratios[first : last + 1]))
        for divisor in (3, 2):
            base = round(place / divisor)
            if base < first:
                continue
            near = base - 2 + int(np.argmax(ratios[base - 2 : base + 3]))
            if ratios[near] > _HARMONIC:
                place = near
                break
        reason = ""
        others = ratios[first : last + 1].copy()
        same = max(6, round(_SAME * place))
        others[max(0, place - first - same) : place - first + same + 1] = 0
        other = first + int(np.argmax(others))
        if ratios[other] > max(25.0, _OTHER * ratios[place]):
            if self._mirrored(place, other, sample_rate):
                place, other = other, place
            if not self._mirrored(other, place, sample_rate):
                reason = "two rates show"
        best = float(ratios[place])
        # Bins of noise are exponentially distributed about their mean; half as many of them are independent.
        tries = float(last - first + 1)
        confidence = math.exp(-tries * math.exp(-best)) if best < 700 else 1.0
        rate = self._refined(place)
        if not reason and not self._steady(rate):
            reason = "the rate shows in a part of the time only"
        if not reason and confidence > _DOUBTFUL and self._has_parts(place):
            reason = "a part of this rate shows too"
        if not reason and confidence > _DOUBTFUL and not self.is_linear(rate):
            return SymbolRate(rate, confidence, _WEAK)
        if reason:
            confidence = min(confidence, 0.5)
        return SymbolRate(rate, confidence, reason)

    def is_linear(self, rate: float) -> bool:
        """Return whether a line, less two standard deviations of it, is about as strong as a linear modulation's."""
        expected, place = self._expected(rate), self._near(rate / self._step)
        ratio = float(self._ratios[place - 2 : place + 3].max())
        certain = 1 - math.sqrt(2 / max(ratio, 2.0))
        return expected > 0 and self._share(place) * certain > _LINEAR * expected

    def _has_parts(self, place: int) -> bool:
        """Return whether there are lines at a half to a fifth of a rate: then that is a harmonic."""
        for divisor in (2, 3, 4, 5):
            part = self._near(place / divisor)
            stands_out = self._ratios[part - 2 : part + 3].max() > _BY_CHANCE
            if stands_out and self._share(part) > _PART_LINE * self._expected(part * self._step):
                return True
        return False

    def _near(self, place: float) -> int:
        """Return the bin at a place that has two others on either side."""
        return max(2, min(len(self._spectrum) - 3, round(place)))

    def _share(self, place: int) -> float:
        """Return the line near a bin over the envelope's mean."""
        return math.sqrt(float(self._spectrum[place - 2 : place + 3].max())) / max(self._total, 1e-300)

    def _refined(self, place: int) -> float:
        left, middle, right = (math.log(max(float(self._spectrum[place + n]), 1e-300)) for n in (-1, 0, 1))
        bend = left - 2 * middle + right
        shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
        return (place + min(0.5, max(-0.5, shift))) * self._step

    def _mirrored(self, place: int, base: int, sample_rate: float) -> bool:
        """Return whether a line is a multiple of another's frequency, mirrored into the band by sampling."""
        rate = self._refined(base)
        for multiple in range(2, 9):
            folded = (multiple * rate + sample_rate / 2) % sample_rate - sample_rate / 2
            if abs(abs(folded) - place * self._step) < (1 + multiple) * self._step:
                return True
        return False

    def _steady(self, rate: float) -> bool:
        """Return whether a line is there, and in step, in half of the parts of the time at least."""
        moved = turned(self._varying.astype(np.complex64), -rate / self._rate)
        cumulated = np.concatenate([[0], np.cumsum(self._on)])
        # Parts with the same time on in each.
        bounds = np.searchsorted(cumulated, cumulated[-1] * np.arange(1, _VOTES) / _VOTES)
        sums = np.array([part.sum(dtype=np.complex128) for part in np.split(moved, bounds)])
        whole = complex(sums.sum())
        shares = (sums * np.conj(whole)).real / max(abs(whole) ** 2, 1e-300) * _VOTES
        return int(np.count_nonzero(shares > _AGREE)) >= _VOTES // 2


def _means(values: NDArray[Any], width: int) -> NDArray[np.float64]:
    """Return the means over `width` values about each; at the ends, of what is mirrored."""
    width = min(width, len(values))
    padded = np.pad(values.astype(np.float64), (width // 2, width - 1 - width // 2), mode="symmetric")
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    return (sums[width:] - sums[:-width]) / width


def _last_before_gap(above: NDArray[np.bool_], gap: int) -> int:
    """Return the last index that is above before more than `gap` are not."""
    places = np.concatenate([[0], np.flatnonzero(above)])
    breaks = np.flatnonzero(np.diff(places) > gap)
    return int(places[breaks[0]] if len(breaks) else places[-1])


def _local_level(spectrum: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """Return the mean power around each bin, as the medians of its neighbours to the left and to the right tell it.

    The larger of the two counts, as in a greatest-of CFAR detector: where the spectrum ends in a cliff, at the signal's
    bandwidth, bins above the cliff are not held against what lies below.
    """
    neighbours = min(neighbours, len(spectrum) // 2)
    padded = np.pad(spectrum, neighbours, mode="reflect")
    step = min(_EVERY, max(1, neighbours // 4))
    places = np.arange(0, len(spectrum), step)
    left = sliding_medians(padded[: len(spectrum) + neighbours - 1], neighbours, step)
    right = sliding_medians(padded[neighbours + 1 :], neighbours, step)
    # The median of an exponential distribution is ln 2 times its mean. Between places the level is a straight line.
    level = np.maximum(left, right) / math.log(2)
    return np.asarray(np.interp(np.arange(len(spectrum)), places, level))
