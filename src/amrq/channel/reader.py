# SPDX-License-Identifier: GPL-3.0-or-later
"""One channel of a stream, from a moment in the past on and then as it comes."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from amrq.channel.extract import Channeliser, ChannelSamples, channel_rate
from amrq.channel.plan import Channel
from amrq.channel.ring import SampleRing
from amrq.errors import AmrqError

__all__ = ["ChannelReader"]


class ChannelReader:
    """Reads a channel out of a ring, piece by piece, as the ring fills.

    Where the stream breaks, the channel ends and begins anew: nothing is filtered over a break. If the reader is so
    late that samples have gone, it goes on with the oldest that are there, and counts those that are lost.

    Args:
        ring: the last seconds of the stream.
        channel: what is read.
        start: number of the source's sample that it begins with; None: the next one that comes. What has gone is left
            out without being counted.

    Raises:
        AmrqError: the channel is not possible.

    >>> ring = SampleRing(sample_rate=100e3, seconds=1.0)
    >>> ring.append(np.exp(2j * np.pi * 0.2 * np.arange(60_000)))
    >>> reader = ChannelReader(ring, Channel(centre=20e3, bandwidth=4e3, rate=5e3), start=10_000)
    >>> pieces = [*reader.read(), *reader.finish()]
    >>> pieces[0].begins, pieces[0].start, sum(len(piece.iq) for piece in pieces)
    (True, 10000.0, 2500)
    """

    def __init__(self, ring: SampleRing, channel: Channel, start: int | None = None) -> None:
        self.channel = channel
        self._ring = ring
        self._channeliser: Channeliser | None = (
            None  # of what is in progress; None before its first sample came
        )
        self._over = False
        self._position = self._start = 0  # what is read next, and where what is in progress began
        self._begun = False  # a piece of it was given
        self.lost = 0
        """Samples of the source that had gone before they were read."""
        channel_rate(ring.sample_rate, channel)  # refuses what is not possible
        self._begin(ring.end if start is None else max(start, ring.first))

    @property
    def position(self) -> int:
        """Number of the source's sample that is read next."""
        return self._position

    @property
    def waiting(self) -> int:
        """How many samples of the source are there and not read yet."""
        return 0 if self._over else max(0, self._ring.end - self._position)

    def read(self, most: int = 1 << 18) -> list[ChannelSamples]:
        """Return what is new of the channel, from at most so many samples of the source; an empty list for nothing.

        Args:
            most: samples of the source, at least 1.
        """
        ring, found = self._ring, list[ChannelSamples]()
        if self._over:
            return found
        if self._position < ring.first:
            found += self._ended()
            self.lost += ring.first - self._position
            self._begin(ring.first)
        stop = min(ring.end, self._position + most)
        if stop <= self._position:
            return found
        breaks = [place for place in ring.breaks(self._position - 1, stop + 1) if place != self._start]
        stop = breaks[0] if breaks else stop
        try:
            samples = ring.read(self._position, stop)
        except AmrqError:  # overwritten meanwhile: the next call goes on with what is there
            return found
        if self._channeliser is None:
            self._channeliser = self._opened()
        found += self._marked(self._channeliser.process(samples))
        self._position = stop
        if breaks and stop == breaks[0]:
            found += self._ended()
            self._begin(stop)
        return found

    def finish(self, stop: int | None = None) -> list[ChannelSamples]:
        """Return the rest of the channel, up to sample `stop` of the source; the filters see what follows it.

        It reads no more after that.

        Args:
            stop: number of the source's sample after the last one; None: all that have come. What has been read
                beyond this is given.
        """
        found: list[ChannelSamples] = []
        stop = self._ring.end if stop is None else min(stop, self._ring.end)
        while self._position < stop:
            found += self.read(min(1 << 18, stop - self._position))
        found += self._ended()
        self._over = True
        return found

    def _begin(self, start: int) -> None:
        """Begin with a sample of the source, which need not have come yet."""
        self._channeliser = None
        self._position = self._start = start
        self._begun = False

    def _opened(self) -> Channeliser:
        """Return what takes the channel out; its filters see what is before, as far as no break is between."""
        ring, start = self._ring, self._start
        lead = Channeliser(ring.sample_rate, [self.channel]).lead
        low = max(ring.first, start - lead)
        low = max([low, *ring.breaks(low, start + 1)])
        return Channeliser(ring.sample_rate, [self.channel], start, self._there(low, start))

    def _ended(self) -> list[ChannelSamples]:
        """Return the rest of what is in progress."""
        if self._channeliser is None:
            return []
        high = min(self._ring.end, self._position + self._channeliser.lead)
        high = min([high, *self._ring.breaks(self._position - 1, high + 1)])
        after = self._there(self._position, high)
        found, self._channeliser = self._marked(self._channeliser.finish(after)), None
        return found

    def _there(self, low: int, high: int) -> NDArray[np.complex64]:
        """Return samples of the source; none where they have gone."""
        try:
            return self._ring.read(low, high) if low < high else np.zeros(0, dtype=np.complex64)
        except AmrqError:
            return np.zeros(0, dtype=np.complex64)

    def _marked(self, pieces: list[ChannelSamples]) -> list[ChannelSamples]:
        """Return pieces that are not empty; the first since a break is marked."""
        found = [dataclasses.replace(piece, begins=not self._begun) for piece in pieces if len(piece.iq)]
        self._begun |= bool(found)
        return found
