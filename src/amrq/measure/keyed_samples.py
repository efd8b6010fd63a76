# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of a keyed signal in a band as wide as the signal, and their frequency by a discriminator.

A box that is wider than the signal lets noise in, which a discriminator does not forgive: the band is first made as
narrow as what stands out of the noise beside it.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import median, noise_beside, row_tops, squares, turned
from amrq.native import kernels

__all__ = ["KeyedSamples", "keyed_samples", "narrowed", "symbol_means"]

MOST_SAMPLES = 12_000
"""Of the signal at the discriminator's rate: enough, and no more is looked at."""
_WIDER, _RATE = 1.2, 2.5
"""Of the bandwidth: what the discriminator sees, and its rate."""
_STEPS, _OUTSIDE, _STANDS_OUT = 64, 0.62, 4.0
"""Over a bandwidth, in which its spectrum is looked at, how far to either side, and the standard deviations of the
noise that a step is above it where it counts."""
_HELD, _NARROWER, _MARGIN = 0.01, 0.6, 1.15
"""Of the power on either side, what is beyond the signal's edges; of the bandwidth, below which it is made as narrow as
these times the margin."""
_TONE_STEPS, _FARTHEST, _LIKE_INSIDE = 32, 0.8, 0.15
"""Over a bandwidth, in which is looked whether a signal goes on beyond its box, and how far from the middle at most;
of the usual density inside, what it has there at least."""
_PARTS = 8
"""Of a length, whose mean frequencies show the slope of the phase."""
_LEAST_TRANSFORM, _FINER = 12, 3
"""Samples of a symbol whose tone is found by a transform, and how much finer that is."""
_SLICES, _MOST_BEATS = 8, 1500
"""Of a symbol, whose power is compared, and symbols that are added up."""
_ENDS, _LEAST_ON, _FADED, _OVER_NOISE = 16, 64, 0.1, 3.0
"""Samples whose mean power shows where a burst begins and ends, and those that it has at least; of the usual power, and
over the noise's share, what it has there: less than that is no fade."""
_SMOOTHED, _STAYS, _LEAST_KEYS = 24, 0.25, 256
"""Samples whose mean frequency shows where it rests; of its reach, by how much it differs there, at most; and samples
of keys that follow, at least."""
_WEAK = 0.1
"""Of the median power: below, the frequency is held from before."""
_ON = 0.4
"""Of the usual power: where there is less, the signal is off."""

_Samples = NDArray[np.complex64]
_Reals = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class KeyedSamples:
    """Samples of a keyed signal in its band; places are in samples, and may lie between them.

    Attributes:
        samples: complex64 [n + 1].
        frequency: float64 [n], from one sample to the next, Hz from `middle`.
        rate: samples a second.
        middle: median frequency, Hz.
        power: float64 [n].
        noise: share of the power that is noise, 0 to 1.
        width: of the signal, Hz.
    """

    samples: _Samples
    frequency: _Reals
    rate: float
    middle: float
    power: _Reals
    noise: float
    width: float

    def __len__(self) -> int:
        return len(self.frequency)

    @cached_property
    def _phase(self) -> _Reals:
        return np.concatenate([[0.0], np.cumsum(self.frequency)])

    @cached_property
    def _area(self) -> _Reals:
        # The phase is a straight line between samples, and its sum a parabola.
        return np.concatenate([[0.0], np.cumsum(self._phase[:-1] + self.frequency / 2)])

    def symbol_means(self, step: float, away: float, count: int, phases: int) -> _Reals:
        """Return the mean frequency over each symbol, Hz, for phases of their clock, float64 [phases, count].

        Args:
            step: samples a symbol.
            away: samples before the first symbol.
            count: of symbols; those of the last phase end within the samples.
            phases: of the clock: the first symbol begins later by parts of it.
        """
        return symbol_means(self._phase, self.frequency, (step, away), count, phases)

    def phase(self, places: _Reals) -> _Reals:
        """Return the sum of the frequency up to places."""
        return _sum_up_to(self._phase, self.frequency, places)

    def area(self, places: _Reals) -> _Reals:
        """Return the sum of the phase up to places."""
        whole = places.astype(np.int64)
        beyond = places - whole
        more = self._phase[whole] + 0.5 * beyond * self.frequency[whole]
        return np.asarray(self._area[whole] + beyond * more)

    def tones(self, middles: _Reals, length: float) -> tuple[_Reals, _Reals]:
        """Return the frequency of the strongest tone over a length about each middle, Hz from `middle`, and its power.

        A discriminator fails where the noise is stronger than the signal for a moment. A transform of all samples of a
        symbol does not, and is as exact (Rife and Boorstyn 1974). Of a few samples it is the slope of the phase.
        """
        count = int(length)
        if count < _LEAST_TRANSFORM:
            return self._slopes(middles, length), np.ones(len(middles))
        first = np.rint(middles - (count - 1) / 2).astype(np.int64)
        pieces = self.samples[np.clip(first, 0, len(self.samples) - count)[:, None] + np.arange(count)]
        size = int(fft.next_fast_len(_FINER * count))
        place, power = row_tops(fft.fft(pieces, size, axis=1))
        return ((place / size + 0.5) % 1 - 0.5) * self.rate - self.middle, power

    def _slopes(self, middles: _Reals, length: float) -> _Reals:
        """Return the slope of the phase over a length about each middle, Hz: that of a steady tone has least noise."""
        edges = (np.arange(_PARTS + 1) / _PARTS - 0.5) * length
        parts = np.diff(self.area(middles[:, None] + edges), axis=1) * (_PARTS / length)
        at = (np.arange(_PARTS) - (_PARTS - 1) / 2) * (length / _PARTS)
        return np.asarray(parts @ at / float(at @ at))

    def beat(self, symbol_rate: float) -> float:
        """Return how far the power swings with the symbols, over its mean: 0 of a steady envelope.

        Symbols of a linear modulation swing by .2 to 1; a keyed frequency that a filter touches hardly does.
        """
        step = self.rate / symbol_rate
        count = min(int((len(self.power) - 1) / step), _MOST_BEATS)
        if count < 1:
            return 0.0
        sums = np.concatenate([[0.0], np.cumsum(self.power[: int(count * step) + 2])])
        places = np.arange(_SLICES * count + 1) * (step / _SLICES)
        whole = places.astype(np.int64)
        at = sums[whole] + (places - whole) * (sums[whole + 1] - sums[whole])
        slices = np.diff(at).reshape(count, _SLICES).sum(axis=0)
        turn = np.exp(2j * np.pi * np.arange(_SLICES) / _SLICES)
        return 2 * abs(complex(slices @ turn)) / max(float(slices.sum()), 1e-300)

    def rest(self) -> int:
        """Return for how many samples the frequency stays where it begins: a carrier that is there before its keys.

        0 where too few samples follow, or none, as of a carrier alone.
        """
        size = max(1, min(_SMOOTHED, len(self) // 16))
        sums = np.concatenate([[0.0], np.cumsum(self.frequency)])
        smooth = (sums[size:] - sums[:-size]) / size
        ordered = np.sort(smooth)
        reach = float(ordered[int(0.97 * len(ordered))] - ordered[int(0.03 * len(ordered))])
        away = np.abs(smooth - median(smooth[: max(1, len(smooth) // 32)])) > _STAYS * reach
        first = int(np.argmax(away))
        return first if len(self) - first >= _LEAST_KEYS else 0

    def trimmed(self) -> "KeyedSamples":
        """Return the samples from where the signal begins to where it ends: what is beside a burst keys nothing."""
        size = max(1, min(_ENDS, len(self.power) // 8))
        sums = np.concatenate([[0.0], np.cumsum(self.power)])
        smooth = sums[size:] - sums[:-size]
        least = min(_ON, max(_FADED, _OVER_NOISE * self.noise))
        on = np.flatnonzero(smooth > least * float(np.sort(smooth)[int(0.9 * (len(smooth) - 1))]))
        if not len(on):  # all of it is beside the band
            return self
        first, last = int(on[0]), int(on[-1]) + size
        away = len(self) - (last - first)
        if away < size or last - first < _LEAST_ON:
            return self
        return replace(
            self,
            samples=self.samples[first : last + 1],
            frequency=self.frequency[first:last],
            power=self.power[first:last],
            noise=self.noise * (1 - away / len(self)),
        )

    @cached_property
    def envelope(self) -> float:
        """Mean squared power over squared mean power while the signal is there, less what noise makes of it.

        It is 1 where the envelope is steady. Noise of a share s of the power adds 2 s - s^2.
        """
        power = self.power
        size = max(1, min(16, len(power) // 8))
        sums = np.concatenate([[0.0], np.cumsum(power)])
        smooth = (sums[size:] - sums[:-size])[:: max(1, size // 2)]
        usual = float(np.sort(smooth)[int(0.9 * (len(smooth) - 1))])
        on = np.repeat(smooth > _ON * usual, max(1, size // 2))[: len(power) - size // 2]
        there = power[size // 2 :][: len(on)][on[: len(power) - size // 2]]
        mean = float(there.mean()) if len(there) else 0.0
        found = float(there @ there) / (len(there) * max(mean**2, 1e-300)) if len(there) else 2.0
        return max(1.0, found - self.noise * (2 - self.noise))


def keyed_samples(
    iq: _Samples, sample_rate: float, width: float, most: int = MOST_SAMPLES, narrower: bool = True
) -> KeyedSamples:
    """Return the samples of a keyed signal in its band, and their frequency.

    Args:
        iq: complex64 [N], a signal about 0 Hz, finite.
        sample_rate: of the signal, samples a second.
        width: of the signal, Hz: 1.2 times this is looked at.
        most: samples that are returned at most, 2.5 times the width of them a second.
        narrower: where much less than the width stands out of the noise, that is looked at instead.

    >>> tone = np.exp(2j * np.pi * 0.1 * np.arange(1000)).astype(np.complex64)
    >>> found = keyed_samples(tone, 1000.0, 300.0)
    >>> round(found.middle), round(found.envelope, 2)
    (100, 1.0)
    """
    width = min(width, sample_rate / _WIDER)
    iq = iq[: int(most * sample_rate / (_RATE * width))]
    count = len(iq)
    spectrum = fft.fft(iq)
    powers = squares(spectrum)
    bins = sample_rate / count
    noise = noise_beside(powers, bins, width)
    if narrower and noise > 0:
        low, high = _occupied(powers, bins, width, noise)
        if high - low < _NARROWER * width:
            return _within(iq, sample_rate, (low + high) / 2, max(high - low, 64 * bins), most)
        low, high = _beyond_box(powers, bins, width, noise)
        if high - low > width and high - low < sample_rate / _WIDER:
            return _within(iq, sample_rate, (low + high) / 2, high - low, most)
    kept = max(16, math.ceil(_WIDER * width / bins)) // 2 * 2
    size = int(fft.next_fast_len(max(kept, math.ceil(_RATE * width / bins))))
    narrow = np.zeros(size, dtype=np.complex64)
    narrow[: kept // 2] = spectrum[: kept // 2]
    narrow[-(kept // 2) :] = spectrum[-(kept // 2) :]
    samples = fft.ifft(narrow)
    inside = float(powers[: kept // 2].sum()) + float(powers[-(kept // 2) :].sum())
    found = _discriminated(samples, bins * size, min(0.9, noise * kept / max(inside, 1e-300)), width)
    return found.trimmed() if narrower else found


def narrowed(
    iq: _Samples, sample_rate: float, width: float, share: float = _NARROWER
) -> tuple[_Samples, float]:
    """Return samples about 0 Hz and a width that is no more than what stands out of the noise beside it.

    Args:
        iq: complex64 [N], a signal about 0 Hz, finite.
        sample_rate: samples a second.
        width: of its box, Hz.
        share: of the width; where more stands out, all of it is returned.

    >>> noise = np.random.default_rng(1).normal(size=(4000, 2)) @ [0.1, 0.1j]
    >>> tone = np.exp(2j * np.pi * 0.05 * np.arange(4000)) + noise
    >>> moved, width = narrowed(tone.astype(np.complex64), 1000.0, 300.0)
    >>> width < 40
    True
    """
    bins = sample_rate / max(1, len(iq))
    powers = squares(fft.fft(iq))
    noise = noise_beside(powers, bins, width)
    if not noise > 0:
        return iq, width
    low, high = _occupied(powers, bins, width, noise)
    if high - low >= share * width:
        return iq, width
    return turned(iq, -(low + high) / (2 * sample_rate)), max(high - low, 64 * bins)


def _beyond_box(powers: NDArray[np.float32], bins: float, width: float, noise: float) -> tuple[float, float]:
    """Return the edges, Hz, to which a signal goes on beyond its box without a hole, as outermost tones do."""
    step = max(1, round(width / bins / _TONE_STEPS))
    reach = min(round(_FARTHEST * _TONE_STEPS), len(powers) // 2 // step)
    both = np.concatenate([powers[len(powers) - reach * step :], powers[: reach * step]])
    steps = both.reshape(2 * reach, step).mean(axis=1, dtype=np.float64) - noise
    box = min(_TONE_STEPS // 2, reach)
    usual = median(steps[reach - box : reach + box])
    least = max(_LIKE_INSIDE * usual, _STANDS_OUT * noise / math.sqrt(step))
    low, high = (
        max(width / 2, (box - 1 + int(np.argmax(np.append(side[box - 1 :] < least, True)))) * step * bins)
        for side in (steps[:reach][::-1], steps[reach:])
    )
    return -low, high


def _within(iq: _Samples, sample_rate: float, centre: float, width: float, most: int) -> KeyedSamples:
    """Return what `keyed_samples` does, of a narrower band that need not be about 0 Hz."""
    moved = turned(iq, -centre / sample_rate)
    found = keyed_samples(moved, sample_rate, width, most, narrower=False).trimmed()
    return KeyedSamples(
        turned(found.samples, centre / found.rate),
        found.frequency,
        found.rate,
        found.middle + centre,
        found.power,
        found.noise,
        found.width,
    )


def _discriminated(samples: _Samples, rate: float, noise: float, width: float) -> KeyedSamples:
    turns = samples[1:] * np.conj(samples[:-1])
    frequency = np.angle(turns).astype(np.float64) * (rate / (2 * math.pi))
    power = np.abs(turns).astype(np.float64)
    # Where the envelope is small the phase is noise: a click. Its frequency is held from before.
    weak = power < _WEAK * median(power)
    if weak.any() and not weak.all():
        good = np.flatnonzero(~weak)
        frequency = np.interp(np.arange(len(frequency)), good, frequency[good])
    middle = median(frequency)
    return KeyedSamples(samples, frequency - middle, rate, middle, power, noise, width)


def _occupied(powers: NDArray[np.float32], bins: float, width: float, noise: float) -> tuple[float, float]:
    """Return the edges, Hz, between which nearly all of what stands out of the noise is."""
    step = max(1, round(width / bins / _STEPS))
    reach = min(round(_OUTSIDE * _STEPS), len(powers) // 2 // step)
    both = np.concatenate([powers[len(powers) - reach * step :], powers[: reach * step]])
    steps = both.reshape(2 * reach, step).mean(axis=1, dtype=np.float64) - noise
    steps[steps < _STANDS_OUT * noise / math.sqrt(step)] = 0
    sums = np.cumsum(steps)
    if not sums[-1] > 0:
        return -width / 2, width / 2
    first, last = np.searchsorted(sums, np.array([_HELD, 1 - _HELD]) * sums[-1])
    middle, half = (first + last + 1) / 2 - reach, (last + 1 - first) / 2 * _MARGIN
    return (middle - half) * step * bins, (middle + half) * step * bins


def symbol_means(
    sums: _Reals, frequency: _Reals, clock: tuple[float, float], count: int, phases: int
) -> _Reals:
    """Return the mean frequency over each symbol, for phases of their clock, float64 [phases, count].

    Args:
        sums: of the frequency before each sample, and after the last one, float64 [n + 1].
        frequency: float64 [n].
        clock: samples a symbol, and samples before the first one.
        count: of symbols; those of the last phase end within the samples.
        phases: of the clock: the first symbol begins later by parts of it.
    """
    native = kernels()
    if native is not None and native.has_levels:
        return native.symbol_means(sums, frequency, clock, count, phases)
    step, away = clock
    edges = (np.arange(count + 1)[None, :] + np.arange(phases)[:, None] / phases) * step + away
    return np.asarray(np.diff(_sum_up_to(sums, frequency, edges), axis=1) / step)


def _sum_up_to(sums: _Reals, frequency: _Reals, places: _Reals) -> _Reals:
    whole = places.astype(np.int64)
    return np.asarray(sums[whole] + (places - whole) * frequency[whole])
