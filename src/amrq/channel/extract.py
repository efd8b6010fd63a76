# SPDX-License-Identifier: GPL-3.0-or-later
"""One emission's samples out of a band, at a rate that fits its bandwidth; many emissions by one transform.

Overlap-save with a large forward transform of the band and a small inverse one of each channel (Borgerding, "Turning
overlap-save into a multiband mixing, downsampling filter bank", IEEE Signal Processing Magazine, 2006). A channel that
is too narrow for the large transform's bins is taken out wider first, and a second transform of its own makes it
narrow. Filters are linear-phase windowed sincs (Kaiser), and their delay is taken off, so that an output sample is
about the time of the source that it says.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from amrq.channel.ring import SampleRing
from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.text import engineering

__all__ = ["Channel", "ChannelSamples", "Channeliser", "channel_rate", "extract", "extract_all"]

_Samples = NDArray[np.complex64]

_ATTENUATION = 84.0
"""dB, of the filters' stop bands. Ripple of the pass bands is as small, 6e-5 of the amplitude."""
_BETA = 0.1102 * (_ATTENUATION - 8.7)
_TAPS = (_ATTENUATION - 7.95) / 14.36
"""Taps of such a filter, times its transition over the sample rate (Kaiser 1974)."""
_TRANSITION = 0.125
"""Of the bandwidth, on either side of it."""
_LEAST_TRANSITION = 0.01
"""Of the sample rate: with less room beside the bandwidth there is no filter."""
_OVERLAP = 4
"""Of a block, one part in so many overlaps its neighbours: as long the filters may be."""
_BIN = 300.0
"""Hz, about, of a bin of the large transform, between its smallest and its largest."""
_SMALLEST, _LARGEST = 10, 16  # logarithms of the large transform's length
_LEAST_FIRST = 64
"""Bins of a first stage's channel."""
_DENOMINATOR, _EXACT = 2000, 1e-12
"""Of fractions of rates: the largest, and how near a rate must be to one. A transform for any other would be slow."""
_BATCH = 1 << 20
"""Samples that are transformed at a time."""
_NARROWEST = 1e-15
"""Of the sample rate: no bandwidth at all."""
_LONGEST = 1 << 22
"""Samples of a channel's own transform, at most: it is held in memory, several times."""
_PIECE = 1 << 20
"""Samples that are read from a ring at a time."""


@dataclass(frozen=True)
class Channel:
    """A part of a band. The band is a circle, as it is for sampled signals: beyond an edge is what is at the other one.

    Attributes:
        centre: Hz from the middle of the band.
        bandwidth: Hz that pass unchanged, to 0.01 dB; beyond 1.25 times this, at least 75 dB are taken off. Where no
            room is left, at `rate` or at the band's own, the fall begins at the same place and is steeper.
        rate: samples a second that are wanted, at least 1.02 times the bandwidth; None: 1.25 times, or little more.
            The rate is exact where it is a fraction of the band's rate with small numbers, and else up to 4 % more.
    """

    centre: float
    bandwidth: float
    rate: float | None = None


@dataclass(frozen=True)
class ChannelSamples:
    """Samples of a channel.

    Attributes:
        iq: complex64 [N], the channel's middle at 0 Hz. A carrier there has the phase that it has in the band, less
            that of a carrier of the same frequency whose phase is 0 at the source's sample 0.
        sample_rate: samples a second.
        start: place of iq[0] among the samples of the source, which need not be whole.
        centre: Hz from the middle of the band.
        step: source samples from one sample to the next.
        begins: nothing is before it: it is the first piece, or the first after a break.
    """

    iq: _Samples
    sample_rate: float
    start: float
    centre: float
    step: float
    begins: bool = True

    def place(self, index: float) -> float:
        """Return the place of a sample of the channel among the samples of the source."""
        return self.start + index * self.step


class Channeliser:
    """Takes channels out of a stream, piece by piece: one large transform for all of them.

    Each channel's first sample is about the source's sample `start`, its sample k about `start + k step`. What the
    filters would see before the first sample is `before`, and zeros before that.

    Args:
        sample_rate: of the source, samples a second.
        channels: what is taken out.
        start: number of the source's sample that the channels begin with.
        before: complex64, samples of the source up to `start`, at most `lead` of them count.

    Raises:
        AmrqError: a channel does not lie in the band, has no bandwidth or an impossible rate.

    >>> tones = np.exp(2j * np.pi * np.arange(50_000) * 0.2) + 3 * np.exp(2j * np.pi * np.arange(50_000) * 0.3)
    >>> channels = [Channel(centre=20e3, bandwidth=5e3), Channel(centre=-30e3, bandwidth=800.0, rate=1e3)]
    >>> [near, empty] = Channeliser(100e3, channels).take(tones.astype(np.complex64))
    >>> len(near.iq) / near.sample_rate, near.place(0), empty.sample_rate
    (0.5, 0.0, 1000.0)
    >>> np.round(np.abs(near.iq[100:102]), 3), np.round(np.abs(empty.iq[100:102]), 3)
    (array([1., 1.], dtype=float32), array([0., 0.], dtype=float32))
    """

    def __init__(
        self,
        sample_rate: float,
        channels: Sequence[Channel],
        start: int = 0,
        before: _Samples | None = None,
    ) -> None:
        if not 0 < sample_rate < 1e12:
            raise AmrqError(f"the sample rate must be above 0 Hz and below 1 THz, not {sample_rate:g}.")
        self._length = 1 << min(_LARGEST, max(_SMALLEST, round(math.log2(sample_rate / _BIN))))
        plans = [_plan(sample_rate, self._length, channel) for channel in channels]
        self.rates = [plan.rate for plan in plans]
        """Samples a second of each channel."""
        grid = self._length // 8
        self._extra = max([-(-plan.lead // grid) * grid for plan in plans], default=0)
        self.lead = grid + self._extra
        """How many samples before and after a stretch its channels depend on."""
        self._start, self._plans = start, plans
        self._outputs: list[_Output] = []
        self._blocks = _Blocks(self._length)
        self._taken = -self.lead
        self._history: _Samples | None = before if before is not None else np.zeros(0, dtype=np.complex64)

    def process(self, samples: _Samples) -> list[ChannelSamples]:
        """Take in the next samples of the source; return what is new of each channel, which may be nothing.

        Args:
            samples: complex [N]; those that are not finite count as zeros.
        """
        self._feed(finite_samples(samples))
        return [output.given() for output in self._outputs]

    def finish(self, after: _Samples | None = None) -> list[ChannelSamples]:
        """Return the rest of each channel, up to the last sample taken in. It then takes in nothing more.

        Args:
            after: complex64, samples of the source that follow, which belong to the channels no more, but which the
                filters see; at most `lead` of them count, and zeros follow.
        """
        self._feed(np.zeros(0, dtype=np.complex64))
        taken = self._taken
        following = (
            finite_samples(after[: self.lead]) if after is not None else np.zeros(0, dtype=np.complex64)
        )
        self._feed(following)
        self._feed(np.zeros(self.lead - len(following) + self._length, dtype=np.complex64))
        for output in self._outputs:
            output.flush()
        return [output.given(taken) for output in self._outputs]

    def take(self, samples: _Samples, after: _Samples | None = None) -> list[ChannelSamples]:
        """Return the channels of a stretch as a whole: `process` and `finish` together."""
        pieces = [self.process(samples[at : at + _PIECE]) for at in range(0, len(samples), _PIECE)]
        return _joined([*pieces, self.finish(after)])

    def _feed(self, samples: _Samples) -> None:
        if self._history is not None:
            self._outputs = [_Output(plan, self._start, self._extra, self.lead) for plan in self._plans]
            known, self._history = finite_samples(self._history[-self.lead :]), None
            self._feed(np.concatenate([np.zeros(self.lead - len(known), dtype=np.complex64), known]))
        self._taken += len(samples)
        for output in self._outputs:
            output.see(samples)
        for number, spectra in self._blocks.spectra(samples):
            for output in self._outputs:
                output.hear(number, spectra)


def channel_rate(sample_rate: float, channel: Channel) -> float:
    """Return the samples a second that a channel of a band has.

    Args:
        sample_rate: of the band, samples a second.
        channel: the channel.

    Raises:
        AmrqError: it is not possible.

    >>> channel_rate(2.4e6, Channel(centre=100e3, bandwidth=12.5e3, rate=16e3))
    16000.0
    """
    return Channeliser(sample_rate, [channel]).rates[0]


def extract(
    samples: _Samples | SampleRing,
    sample_rate: float,
    centre: float,
    bandwidth: float,
    start: int | None = None,
    stop: int | None = None,
    rate: float | None = None,
) -> ChannelSamples:
    """Return one channel of a stretch of samples; see `Channel` and `extract_all`.

    >>> tone = np.exp(2j * np.pi * 0.26 * np.arange(10_000)).astype(np.complex64)
    >>> found = extract(tone, 100e3, centre=25e3, bandwidth=8e3, start=1000, stop=3000, rate=10e3)
    >>> found.sample_rate, len(found.iq), found.start
    (10000.0, 200, 1000.0)
    """
    return extract_all(samples, sample_rate, [Channel(centre, bandwidth, rate)], start, stop)[0]


def extract_all(
    samples: _Samples | SampleRing,
    sample_rate: float,
    channels: Sequence[Channel],
    start: int | None = None,
    stop: int | None = None,
) -> list[ChannelSamples]:
    """Return channels of the same stretch of samples, by one transform of it.

    What lies before and after the stretch is seen by the filters, as far as it is there and no break is between.

    Args:
        samples: complex [N], or a ring.
        sample_rate: samples a second.
        channels: what is taken out.
        start: number of the first sample; None: the oldest one that is there.
        stop: number of the sample after the last one; None: the end.

    Raises:
        AmrqError: the samples are not there, or a channel is not possible.
    """
    ring = samples if isinstance(samples, SampleRing) else None
    first, end = (ring.first, ring.end) if ring else (0, len(samples))  # type: ignore[arg-type]
    start, stop = first if start is None else start, end if stop is None else stop
    if not first <= start <= stop <= end:
        raise AmrqError(f"samples {start} to {stop} are not there: there are {first} to {end}.")

    def read(low: int, high: int) -> _Samples:
        return ring.read(low, high) if ring else samples[low:high]  # type: ignore[index]

    lead = Channeliser(sample_rate, channels).lead
    low, high = max(first, start - lead), min(end, stop + lead)
    if ring:
        low = max([low, *ring.breaks(low, start + 1)])
        high = min([high, *ring.breaks(stop - 1, high)])
    channeliser = Channeliser(sample_rate, channels, start, read(low, start))
    pieces = [channeliser.process(read(at, min(stop, at + _PIECE))) for at in range(start, stop, _PIECE)]
    return _joined([*pieces, channeliser.finish(read(stop, high))])


def _joined(pieces: list[list[ChannelSamples]]) -> list[ChannelSamples]:
    """Return successive pieces of channels as one each."""
    joined = []
    for parts in zip(*pieces, strict=True):
        iq = np.concatenate([part.iq for part in parts])
        joined.append(
            ChannelSamples(iq, parts[0].sample_rate, parts[0].start, parts[0].centre, parts[0].step)
        )
    return joined


class _Plan:
    """Which transforms give a channel.

    Attributes:
        channel: what is wanted.
        first: bins of the large transform that are taken; 0: none, the second transform gets the band itself.
        own: length and bins of the second transform; None: the first gives the channel.
        step: source samples a channel sample.
        taps: of the channel's filter, on either side of its middle one; 0: there is none.
        cutoff: of the channel's filter, cycles a channel sample.
        lead: source samples that a second stage's filter sees before the channel.
    """

    def __init__(self, sample_rate: float, length: int, channel: Channel) -> None:
        self.channel, self.sample_rate = channel, sample_rate
        centre, width, rate = channel.centre, channel.bandwidth, channel.rate
        if not (abs(centre) <= sample_rate / 2 and _NARROWEST * sample_rate < width < math.inf):
            raise AmrqError(
                f"a channel of {engineering(width, 'Hz')} at {engineering(centre, 'Hz')} does not lie in a band of "
                f"{engineering(sample_rate, 'Hz')}."
            )
        width = min(width, sample_rate)
        if rate is not None and not width / (1 - 2 * _LEAST_TRANSITION) <= rate <= sample_rate * (1 + 1e-9):
            whole = width == rate == sample_rate
            if not whole:
                raise AmrqError(
                    f"a channel of {engineering(width, 'Hz')} cannot have {engineering(rate, 'S/s')}: give at least "
                    f"1.02 times the bandwidth and at most the band's {engineering(sample_rate, 'S/s')}."
                )
        wanted = min(sample_rate, (1 + 2 * _TRANSITION) * width) if rate is None else min(rate, sample_rate)
        fall = min(_TRANSITION * width, (wanted - width) / 2)
        filtered = fall > _LEAST_TRANSITION * wanted * (1 - 1e-9)
        bin_width = sample_rate / length
        sharpest = _TAPS * _OVERLAP * bin_width
        direct = _whole_bins(wanted / bin_width, rate is not None)
        self.first, self.own = 0, None
        if direct and direct <= length and (not filtered or fall >= sharpest):
            self.first, step = direct, Fraction(length, direct)
        else:
            self.first, self.own, step = _two_stages(
                length, sample_rate, width + 2 * fall, wanted, fall, rate is None
            )
        if self.own and self.own[0] > _LONGEST:
            raise AmrqError(
                f"a channel of {engineering(channel.bandwidth, 'Hz')} out of {engineering(sample_rate, 'S/s')} needs a "
                f"transform of {self.own[0]:,} samples, of at most {_LONGEST:,}: give more bandwidth"
                f"{', a higher rate' if rate is not None else ''} or a lower sample rate."
            )
        self.step = step
        self.rate = sample_rate / float(step)
        out = _TAPS * self.rate / max(fall, 1e-300)
        self.taps = math.ceil(out / 2) if filtered else 0
        self.cutoff = (width + fall) / 2 / self.rate
        self.lead = 0
        if self.own:
            self.lead = self.own[0] // 8 * (length // self.first if self.first else 1)


@functools.lru_cache(maxsize=1024)
def _plan(sample_rate: float, length: int, channel: Channel) -> _Plan:
    return _Plan(sample_rate, length, channel)


def _whole_bins(bins: float, exact: bool) -> int:
    """Return a number of bins, a multiple of 8, that makes a fast transform; 0 where there is none that is exact."""
    if exact:
        whole = 8 * round(bins / 8)
        return whole if abs(whole - bins) < 1e-9 * bins else 0
    return 8 * int(fft.next_fast_len(math.ceil(bins / 8 * (1 - 1e-12))))


def _two_stages(
    length: int, sample_rate: float, occupied: float, wanted: float, fall: float, free: bool
) -> tuple[int, tuple[int, int], Fraction]:
    """Return the bins of the first stage, the length and the bins of the second one, and the step of both."""
    bin_width = sample_rate / length
    first = _LEAST_FIRST
    while first < length and (
        first * bin_width < 1.2 * wanted or first * bin_width - occupied < 2 * _TAPS * _OVERLAP * bin_width
    ):
        first *= 2
    first = first if first < length else 0
    before = first * bin_width if first else sample_rate
    least = _TAPS * _OVERLAP * before / fall  # samples of the second transform
    ratio = Fraction(wanted / before).limit_denominator(_DENOMINATOR)
    if free or abs(float(ratio) * before / wanted - 1) > _EXACT:
        own = 1 << max(8, math.ceil(math.log2(least)))
        bins = 8 * math.ceil(wanted / before * own / 8 * (1 - 1e-12))  # few, so that any number is fast
    else:
        least = max(least, 256.0)
        times = int(fft.next_fast_len(math.ceil(least / (8 * ratio.denominator))))
        own, bins = 8 * ratio.denominator * times, 8 * ratio.numerator * times
    step = Fraction(own, bins) * (Fraction(length, first) if first else 1)
    return first, (own, bins), step


class _Blocks:
    """The spectra of overlapping blocks of a stream.

    Args:
        length: samples of a block, a multiple of 8. A block begins 3/4 of this after the one before.
    """

    def __init__(self, length: int) -> None:
        self._length, self._hop = length, length - length // _OVERLAP
        self._held = np.zeros(0, dtype=np.complex64)
        self._number = 0  # of the block that comes next
        self._batch = max(1, _BATCH // length)
        self._room = np.empty((0, length), dtype=np.complex64)  # used again and again: new memory costs more

    def spectra(self, samples: _Samples) -> Iterator[tuple[int, _Samples]]:
        """Take in samples; give spectra of whole blocks, complex64 [blocks, length], with the number of the first.

        Spectra are overwritten by the next ones.
        """
        held = np.concatenate([self._held, samples]) if len(self._held) else samples
        count = max(0, (len(held) - self._length) // self._hop + 1)
        if count:
            windows = np.lib.stride_tricks.sliding_window_view(held, self._length)[:: self._hop]
            size = min(count, self._batch)
            if size > len(self._room):
                self._room = np.empty((size, self._length), dtype=np.complex64)
            for at in range(0, count, size):
                part = self._room[: min(size, count - at)]
                part[:] = windows[at : at + len(part)]
                yield self._number + at, fft.fft(part, axis=1, overwrite_x=True)
        self._number += count
        self._held = held[count * self._hop :].copy()


class _Bins:
    """A filter on the bins of a transform, and the inverse transform.

    Output sample k is about input sample length / 8 + k length / bins. The mixer's phase is 0 at input sample 0.

    Args:
        length: of the forward transform.
        bins: of the inverse one, a multiple of 8.
        frequency: what becomes 0 Hz, cycles an input sample.
        cutoff, taps: of the filter, cycles an output sample and taps beside the middle one; 0 taps: none.
        tuned: the rest of the frequency, less than a bin, is mixed too.
    """

    def __init__(
        self, length: int, bins: int, frequency: float, cutoff: float, taps: int, tuned: bool = True
    ) -> None:
        self._length, self._bins, self._hop = length, bins, length - length // _OVERLAP
        self._middle = round(frequency * length)
        rest = frequency - self._middle / length
        self.frequency = frequency if tuned else self._middle / length
        """What is mixed to 0 Hz, cycles an input sample."""
        self._rest = rest if tuned else 0.0
        step = length / bins
        self._response = np.full(bins, bins / length, dtype=np.complex64)
        if taps:
            places = np.arange(-taps, taps + 1)
            pulse = np.sinc(2 * cutoff * places) * _kaiser(taps)
            kernel = np.zeros(bins, dtype=np.complex128)
            kernel[places] = pulse / pulse.sum() * np.exp(2j * np.pi * rest * step * places)
            self._response *= fft.fft(kernel).astype(np.complex64)
        self._kept = slice(bins // 8, bins // 8 + bins * 3 // 4)
        turn = np.exp(-2j * np.pi * self._rest * step * np.arange(bins * 3 // 4))
        self._turn = turn.astype(np.complex64) if self._rest else None

    def outputs(self, number: int, spectra: _Samples) -> _Samples:
        """Return the output samples of successive blocks, the first of which has a number: complex64 [N]."""
        half, bins, length = self._bins // 2, self._bins, self._length
        part = np.empty((len(spectra), bins), dtype=np.complex64)
        for at, first in ((0, self._middle), (half, self._middle - half)):
            first %= length
            until = min(half, length - first)
            part[:, at : at + until] = spectra[:, first : first + until]
            part[:, at + until : at + half] = spectra[:, : half - until]
        part *= self._response
        found = fft.ifft(part, axis=1, overwrite_x=True)[:, self._kept]
        starts = [(number + one) * self._hop for one in range(len(spectra))]
        cycles = np.array(
            [self._middle * start % length / length + self._rest * (start + length // 8) for start in starts]
        )
        found = found * np.exp(-2j * np.pi * cycles).astype(np.complex64)[:, None]
        if self._turn is not None:
            found *= self._turn
        return np.asarray(found).reshape(-1)


@functools.lru_cache(maxsize=256)
def _kaiser(taps: int) -> NDArray[np.float64]:
    """Return Kaiser's window of so many taps on either side of the middle one."""
    place = np.arange(-taps, taps + 1) / max(1, taps)
    return np.asarray(special.i0(_BETA * np.sqrt(1 - place**2)) / special.i0(_BETA))


class _Output:
    """What comes out of one channel.

    Args:
        plan: its transforms.
        start: number of the source's sample that the channel begins with.
        extra: source samples between the first output of the large transform and `start`.
        lead: source samples that are fed before `start`.
    """

    def __init__(self, plan: _Plan, start: int, extra: int, lead: int) -> None:
        self._plan, self._start, self._given = plan, start, 0
        frequency = plan.channel.centre / plan.sample_rate  # cycles a source sample
        length = (lead - extra) * 8
        self._first: _Bins | None = None
        self._second: _Bins | None = None
        self._parts: list[_Samples] = []
        self._drop, self._see_drop = 0, lead - plan.lead
        turned = 0.0  # cycles that the mixers are short of at source sample 0
        if plan.first:
            alone = plan.own is None
            taps, cutoff = plan.taps, plan.cutoff
            if not alone:  # flat over what the second stage needs, and falls from there to half of its rate
                taps, cutoff = self._wide_filter(length)
            self._first = _Bins(length, plan.first, frequency, cutoff, taps, alone)
            turned += self._turn_of(self._first.frequency, start - lead)
            left = extra if alone else extra - plan.lead
            self._drop = left * plan.first // length
        if plan.own:
            done, step = (self._first.frequency, length // plan.first) if self._first else (0.0, 1)
            self._own_blocks = _Blocks(plan.own[0])
            self._second = _Bins(*plan.own, (frequency - done) * step, plan.cutoff, plan.taps)
            turned += self._turn_of(self._second.frequency / step, start - plan.lead)
        self._factor = np.complex64(np.exp(-2j * np.pi * turned))

    def _wide_filter(self, length: int) -> tuple[int, float]:
        plan = self._plan
        rate = plan.sample_rate * plan.first / length
        width = plan.channel.bandwidth
        taps = plan.first // _OVERLAP // 2
        fall = _TAPS * rate / (2 * taps)
        cutoff = 0.5 * (rate - fall)
        assert cutoff - fall / 2 > 0.5 * width
        return taps, cutoff / rate

    @staticmethod
    def _turn_of(frequency: float, start: int) -> float:
        return math.fmod(frequency * start, 1.0)

    def see(self, samples: _Samples) -> None:
        """Take in samples of the source, where the channel has no part in the large transform."""
        if self._first is None:
            skipped = min(self._see_drop, len(samples))
            self._see_drop -= skipped
            self._narrow(samples[skipped:])

    def hear(self, number: int, spectra: _Samples) -> None:
        """Take in spectra of the large transform."""
        if self._first is None:
            return
        found = self._first.outputs(number, spectra)
        skipped = min(self._drop, len(found))
        self._drop -= skipped
        found = found[skipped:]
        if self._second is None:
            self._parts.append(found)
        else:
            self._narrow(found)

    def _narrow(self, samples: _Samples) -> None:
        assert self._second is not None
        for number, spectra in self._own_blocks.spectra(samples):
            self._parts.append(self._second.outputs(number, spectra))

    def flush(self) -> None:
        """Give what waits for a whole block."""
        if self._plan.own:
            self._narrow(np.zeros(2 * self._plan.own[0], dtype=np.complex64))

    def given(self, until: int | None = None) -> ChannelSamples:
        """Return the new samples; with the last of them before source sample `start + until`."""
        plan = self._plan
        iq = np.concatenate([*self._parts, np.zeros(0, dtype=np.complex64)]) * self._factor
        self._parts = []
        if until is not None:
            iq = iq[: max(0, math.ceil(until / plan.step) - self._given)]
        start = self._start + self._given * float(plan.step)
        self._given += len(iq)
        begins = self._given == len(iq)
        return ChannelSamples(iq, plan.rate, start, plan.channel.centre, float(plan.step), begins)
