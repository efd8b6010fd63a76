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
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from scipy import fft, special

from amrq.channel.plan import ATTENUATION, OVERLAP, TAPS, Channel, Plan, planned
from amrq.channel.ring import SampleRing
from amrq.chunks import finite_samples
from amrq.errors import AmrqError

__all__ = ["ChannelSamples", "Channeliser", "channel_rate", "extract", "extract_all"]

_Samples = NDArray[np.complex64]
_Stored = NDArray[Any]
"""Samples as a ring keeps them: complex64 [N], or integers [N, 2] that count in steps of its scale."""

_BETA = 0.1102 * (ATTENUATION - 8.7)
_BATCH, _FEWEST = 1 << 17, 4
"""Samples that are transformed at a time, which a processor's cache holds; and the fewest blocks: four cost as two."""
_HELD = 1 << 19
"""Samples of a first stage that are kept, about, before they are transformed back."""


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
        before: samples of the source up to `start`, at most `lead` of them count.
        scale: what 1 of the samples stands for.

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
        before: _Stored | None = None,
        scale: float = 1.0,
    ) -> None:
        if not 0 < sample_rate < 1e12:
            raise AmrqError(f"the sample rate must be above 0 Hz and below 1 THz, not {sample_rate:g}.")
        self._length, plans = planned(sample_rate, channels)
        self.rates = [plan.rate for plan in plans]
        """Samples a second of each channel."""
        grid = self._length // 8
        self._extra = max([-(-plan.lead // grid) * grid for plan in plans], default=0)
        self.lead = grid + self._extra
        """How many samples before and after a stretch its channels depend on."""
        self._start, self._plans, self._scale = start, plans, scale
        self._outputs: list[_Output] = []
        self._blocks = _Blocks(self._length)
        self.piece = self._blocks.batch * self._blocks.hop
        """Samples that are best taken in at a time."""
        self._taken = -self.lead
        self._history: _Stored | None = before if before is not None else np.zeros(0, dtype=np.complex64)

    def process(self, samples: _Stored) -> list[ChannelSamples]:
        """Take in the next samples of the source; return what is new of each channel, which may be nothing.

        Args:
            samples: complex [N], of which those that are not finite count as zeros; or integers [N, 2], I before Q.
        """
        self.feed(samples)
        return [output.given() for output in self._outputs]

    def feed(self, samples: _Stored) -> None:
        """Take in the next samples of the source; `process` or `finish` give what they are for.

        Args:
            samples: complex [N], of which those that are not finite count as zeros; or integers [N, 2], I before Q.
        """
        for at in range(0, max(1, len(samples)), self.piece):
            self._feed(_computable(samples[at : at + self.piece]))

    def finish(self, after: _Stored | None = None) -> list[ChannelSamples]:
        """Return the rest of each channel, up to the last sample taken in. It then takes in nothing more.

        Args:
            after: samples of the source that follow, which belong to the channels no more, but which the
                filters see; at most `lead` of them count, and zeros follow.
        """
        self._feed(self._blocks.zeros(0))
        taken = self._taken
        following = _computable(after[: self.lead]) if after is not None else self._blocks.zeros(0)
        self._feed(following)
        self._feed(self._blocks.zeros(self.lead - len(following) + self._length))
        return [output.given(taken) for output in self._outputs]

    def take(self, samples: _Stored, after: _Stored | None = None) -> list[ChannelSamples]:
        """Return the channels of a stretch as a whole: `process` and `finish` together."""
        self.feed(samples)
        return self.finish(after)

    def _feed(self, samples: _Stored) -> None:
        if self._history is not None:
            self._outputs = [
                _Output(plan, self._start, self._extra, self.lead, self._scale) for plan in self._plans
            ]
            before = self._history if len(self._history) else samples[:0]
            known, self._history = _computable(before[-self.lead :]), None
            self._feed(np.concatenate([_zeros(self.lead - len(known), known), known]))
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

    def read(low: int, high: int) -> _Stored:
        return ring.stored(low, high) if ring else samples[low:high]  # type: ignore[index]

    lead = Channeliser(sample_rate, channels).lead
    low, high = max(first, start - lead), min(end, stop + lead)
    if ring:
        low = max([low, *ring.breaks(low, start + 1)])
        high = min([high, *ring.breaks(stop - 1, high)])
    channeliser = Channeliser(sample_rate, channels, start, read(low, start), ring.scale if ring else 1.0)
    for at in range(start, stop, channeliser.piece):
        channeliser.feed(read(at, min(stop, at + channeliser.piece)))
    return channeliser.finish(read(stop, high))


def _computable(samples: _Stored) -> _Stored:
    """Return samples that can be computed with; integers always can."""
    return samples if np.ndim(samples) == 2 else finite_samples(samples)


def _zeros(count: int, like: _Stored) -> _Stored:
    return np.zeros((count, *like.shape[1:]), like.dtype)


class _Blocks:
    """The spectra of overlapping blocks of a stream.

    Args:
        length: samples of a block, a multiple of 8. A block begins 3/4 of this after the one before.
    """

    def __init__(self, length: int) -> None:
        self._length, self.hop = length, length - length // OVERLAP
        self._held: _Stored = np.zeros(0, dtype=np.complex64)
        self._number = 0  # of the block that comes next
        self.batch = max(_FEWEST, _BATCH // length)
        self._room = np.empty((0, length), dtype=np.complex64)  # used again and again: new memory costs more

    def zeros(self, count: int) -> _Stored:
        """Return zeros of the kind that was taken in."""
        return _zeros(count, self._held)

    def spectra(self, samples: _Stored) -> Iterator[tuple[int, _Samples]]:
        """Take in samples; give spectra of whole blocks, complex64 [blocks, length], with the number of the first.

        Spectra are overwritten by the next ones.
        """
        held = np.concatenate([self._held, samples]) if len(self._held) else samples
        count = max(0, (len(held) - self._length) // self.hop + 1)
        if count:
            windows = as_strided(
                held, (count, self._length, *held.shape[1:]), (self.hop * held.strides[0], *held.strides)
            )
            size = min(count, self.batch)
            if size > len(self._room):
                self._room = np.empty((size, self._length), dtype=np.complex64)
            for at in range(0, count, size):
                part = self._room[: min(size, count - at)]
                kept = part if held.ndim == 1 else part.view(np.float32).reshape(*part.shape, 2)
                kept[:] = windows[at : at + len(part)]
                yield self._number + at, fft.fft(part, axis=1, overwrite_x=True)
        self._number += count
        self._held = held[count * self.hop :].copy()


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
        self._length, self._bins, self._hop = length, bins, length - length // OVERLAP
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
        return self.inverse(number, self.taken(spectra))

    def taken(self, spectra: _Samples) -> _Samples:
        """Return the bins that count, of each block: complex64 [blocks, bins]."""
        half, bins, length = self._bins // 2, self._bins, self._length
        part = np.empty((len(spectra), bins), dtype=np.complex64)
        for at, first in ((0, self._middle), (half, self._middle - half)):
            first %= length
            until = min(half, length - first)
            part[:, at : at + until] = spectra[:, first : first + until]
            part[:, at + until : at + half] = spectra[:, : half - until]
        return part

    def inverse(self, number: int, part: _Samples) -> _Samples:
        """Return the output samples of successive blocks' bins, which are overwritten: complex64 [N]."""
        length, count = self._length, len(part)
        part *= self._response
        found = fft.ifft(part, axis=1, overwrite_x=True)[:, self._kept]
        starts = (number + np.arange(count)) * self._hop
        cycles = starts % length * self._middle % length / length + self._rest * (starts + length // 8)
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
        scale: what 1 of the source's samples stands for.
    """

    def __init__(self, plan: Plan, start: int, extra: int, lead: int, scale: float) -> None:
        self._plan, self._start, self._given = plan, start, 0
        frequency = plan.channel.centre / plan.sample_rate  # cycles a source sample
        length = (lead - extra) * 8
        self._first: _Bins | None = None
        self._second: _Bins | None = None
        self._parts: list[_Samples] = []
        self._heard: list[_Samples] = []  # bins of successive blocks, from the one with this number
        self._heard_from = 0
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
        self._factor = np.complex64(scale * np.exp(-2j * np.pi * turned))

    def _wide_filter(self, length: int) -> tuple[int, float]:
        plan = self._plan
        rate = plan.sample_rate * plan.first / length
        width = plan.channel.bandwidth
        taps = plan.first // OVERLAP // 2
        fall = TAPS * rate / (2 * taps)
        cutoff = 0.5 * (rate - fall)
        assert cutoff - fall / 2 > 0.5 * width
        return taps, cutoff / rate

    @staticmethod
    def _turn_of(frequency: float, start: int) -> float:
        return math.fmod(frequency * start, 1.0)

    def see(self, samples: _Stored) -> None:
        """Take in samples of the source, where the channel has no part in the large transform."""
        if self._first is None:
            skipped = min(self._see_drop, len(samples))
            self._see_drop -= skipped
            self._narrow(samples[skipped:])

    def hear(self, number: int, spectra: _Samples) -> None:
        """Take in spectra of the large transform."""
        if self._first is None:
            return
        if not self._heard:
            self._heard_from = number
        self._heard.append(self._first.taken(spectra))
        if len(self._heard) * self._heard[-1].size > _HELD:
            self._settle()

    def _settle(self) -> None:
        """Transform back what was heard: many blocks at a time cost less."""
        if self._first is None or not self._heard:
            return
        found = self._first.inverse(self._heard_from, np.concatenate(self._heard))
        self._heard = []
        skipped = min(self._drop, len(found))
        self._drop -= skipped
        found = found[skipped:]
        if self._second is None:
            self._parts.append(found)
        else:
            self._narrow(found)

    def _narrow(self, samples: _Stored) -> None:
        assert self._second is not None
        for number, spectra in self._own_blocks.spectra(samples):
            self._parts.append(self._second.outputs(number, spectra))

    def given(self, until: int | None = None) -> ChannelSamples:
        """Return the new samples; with the last of them before source sample `start + until`."""
        plan = self._plan
        self._settle()
        if until is not None:
            wanted = max(0, math.ceil(until / plan.step) - self._given)
            while self._second and sum(map(len, self._parts)) < wanted:  # what waits for a whole block
                self._narrow(self._own_blocks.zeros(self._own_blocks.hop))
        iq = np.concatenate([*self._parts, np.zeros(0, dtype=np.complex64)]) * self._factor
        self._parts = []
        if until is not None:
            iq = iq[:wanted]
        start = self._start + self._given * float(plan.step)
        self._given += len(iq)
        begins = self._given == len(iq)
        return ChannelSamples(iq, plan.rate, start, plan.channel.centre, float(plan.step), begins)
