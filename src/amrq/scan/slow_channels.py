# SPDX-License-Identifier: GPL-3.0-or-later
"""Narrow emissions of a band, kept for longer than the band is: a continuous channel of a low rate for each.

A band's last seconds are all that a look can take from it: 1.7 s at 2.4 MS/s, a fifth of a second at 20 MS/s. An FT8
symbol takes 0.16 s, WSPR's 0.68 s, so that such a look sees few of them, and takes what goes from tone to tone for a
carrier. At the rate that its bandwidth needs, half a minute of such an emission is less than a megabyte.

All channels are taken out of the band by one transform, a piece at a time. Where a filter's phase is linear and pieces
begin on a grid of output samples, they fit together without a seam.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from amrq.channel import Channel, ChannelSamples, SampleRing, extract, extract_all
from amrq.errors import AmrqError
from amrq.scan.records import EmissionRecord

__all__ = ["SlowChannels"]

_SECONDS, _AT_WIDTH = 16.0, 2000.0
"""Of a long look at a box so wide, Hz, at most; at a wider one it is shorter by as much. In 16 s are 23 of WSPR's
symbols, and all of FT8's transmission; at 2.4 MS/s, the box of what is narrower is one or two kHz wide."""
_WORTH = 2.0
"""Times as long as a look at the band a long look is at least, or there is no channel."""
_RATE = 4.5
"""Bandwidths of a slow channel's rate at least: a look's channel of 3.2 and its filter lie within it."""
_LOOKED, _LEAST = 3.2, 500.0
"""Bandwidths, and Hz of the narrowest one, that pass of what a look gets: the same as of a look at the band."""
_PASSES = 0.8
"""Of a slow channel's rate, that passes unchanged."""
_NEAR, _WIDER = 0.4, 1.5
"""Of what passes: how far from its middle the middle of a box may be, and how wide the box."""
_KEPT = 1.25
"""Times a long look is kept."""
_PIECE, _BEYOND = 0.4, 0.125
"""Seconds of the band that are taken at a time, about; of those, that must be there beyond: the filters see them."""
_MOST = 32
"""Emissions that are kept, of 1.5 to 3 MB each."""
_GAP = 2.0
"""Seconds: through shorter gaps a long look goes on, as through those between Morse's words, not through FT8's."""
_GONE = 3.5
"""Seconds after an emission's end when its channel ends: it may have begun again until then."""
_CARRIER = "carrier"


@dataclass
class _Slow:
    """A channel that is kept, and when its emission was on."""

    channel: Channel
    step: int
    """Samples of the band for each of its own, a power of 2."""
    base: int
    """Sample of the band that its first one is about."""
    ring: SampleRing
    heard: int
    """Sample of the band up to which it was taken out of it last; what was left out since is zeros."""
    times: list[list[int]] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.base + self.ring.first * self.step

    @property
    def end(self) -> int:
        return self.base + self.ring.end * self.step

    def see(self, record: EmissionRecord, kept: int) -> None:
        """Note when an emission is on; what is over for longer than so many samples is forgotten."""
        if not self.times or record.start > self.times[-1][0]:
            self.times.append([record.start, record.stop])
        elif record.start == self.times[-1][0]:
            self.times[-1][1] = max(self.times[-1][1], record.stop)
        while len(self.times) > 1 and self.times[0][1] < record.stop - kept:
            del self.times[0]

    def holds(self, record: EmissionRecord) -> bool:
        """Return whether an emission lies in the channel; its box may be somewhat wider for a while."""
        wide = self.channel.bandwidth
        return abs(record.centre - self.channel.centre) < _NEAR * wide and record.bandwidth < _WIDER * wide


class SlowChannels:
    """Keeps channels of narrow emissions, and gives the samples of long looks at them.

    One thread uses it.

    Args:
        ring: of the band.
        longest: samples of the band that a look takes out of it at most.

    Attributes:
        missed: emissions for which there was no room, or samples of which had gone before they were taken, each once.

    >>> from dataclasses import replace
    >>> import numpy as np
    >>> ring = SampleRing(1e6, 2.0)
    >>> slow = SlowChannels(ring, 1 << 19)
    >>> record = EmissionRecord(1, 0, 600_000, 0, 600_000, 99_900.0, 100_100.0, 20.0, -20.0)
    >>> for start in range(0, 6_000_000, 600_000):
    ...     ring.append(np.exp(0.2j * np.pi * np.arange(start, start + 600_000)).astype(np.complex64))
    ...     record = replace(record, stop=start + 600_000)
    ...     slow.follow([record])
    ...     slow.feed()
    >>> start, stop = slow.stretch(record, 6_000_000)
    >>> round((stop - start) / 1e6), slow.samples(record, start, stop).sample_rate < 3e3
    (6, True)
    """

    def __init__(self, ring: SampleRing, longest: int) -> None:
        self._ring, self._longest, self._rate = ring, longest, ring.sample_rate
        self._grid = self._step(_AT_WIDTH)
        self._piece = max(self._grid, 1 << max(0, round(math.log2(_PIECE * self._rate))))
        self._kept: dict[int, _Slow] = {}
        self._resting: set[int] = set()
        self._counted: set[int] = set()
        self._position = 0  # of the band, up to which the channels were taken out of it
        self.missed = 0

    def longest(self, record: EmissionRecord) -> int:
        """Return the samples of the band that a long look at an emission takes; 0 where there is none."""
        return round(self._seconds(record) * self._rate) if record.id in self._kept else 0

    def follow(self, records: Sequence[EmissionRecord]) -> None:
        """Take in which emissions there are: channels are opened and closed.

        A channel is opened for what is on for longer than a look at the band, and narrow enough to be worth a long
        look; one of a carrier that is at rest (`rest`) stays closed.

        Args:
            records: those on the air, and those that have ended lately.
        """
        end, opened = self._ring.end, list[EmissionRecord]()
        there = {one.id: one for one in records if one.on or end - one.last_seen < _GONE * self._rate}
        self._resting = {one for one in self._resting if one in there and there[one].label == _CARRIER}
        self._counted &= set(there)
        for id in [id for id in self._kept if id not in there or id in self._resting]:
            del self._kept[id]
        for id, record in there.items():
            known = self._kept.get(id)
            if known is not None and not known.holds(record):
                del self._kept[id]
                known = None
            if known is not None:
                known.see(record, self._samples(record))
            elif id not in self._resting and self._is_worth(record):
                if len(self._kept) + len(opened) < _MOST:
                    opened.append(record)
                elif id not in self._counted:
                    self._counted.add(id)
                    self.missed += 1
        if opened:
            self._open(opened)

    def rest(self, id: int) -> None:
        """Close the channel of a carrier: a long look has found it in one place. It is opened again when it changes."""
        self._resting.add(id)
        self._kept.pop(id, None)

    def feed(self, last: bool = False) -> None:
        """Take what has come of the band out of it.

        Args:
            last: nothing more comes.
        """
        if not self._kept:
            return
        if self._position < self._ring.first:
            self._skip(-(-self._ring.first // self._piece) * self._piece)
            late = set(self._kept) - self._counted
            self._counted |= late
            self.missed += len(late)
        beyond = 0 if last else round(_BEYOND * self._piece)
        while True:
            stop = (self._position // self._piece + 1) * self._piece
            if stop + beyond > self._ring.end:
                stop = self._ring.end // self._grid * self._grid if last else 0
            if stop <= self._position:
                return
            self._take(stop)

    def stretch(self, record: EmissionRecord, end: int) -> tuple[int, int] | None:
        """Return the samples of the band that a long look takes: the latest of an emission, with its short gaps.

        Returns:
            None where a look at the band itself takes as many.
        """
        kept = self._kept.get(record.id)
        if kept is None:
            return None
        kept.see(record, self._samples(record))
        stop = min(end, record.stop, kept.heard)
        start = record.start
        for before, after in reversed(kept.times):
            if after < start - _GAP * self._rate:
                break
            start = min(start, before)
        start = max(start, stop - round(self._seconds(record) * self._rate), kept.first)
        first, last = (-(-(start - kept.base) // kept.step), (stop - kept.base) // kept.step)
        first = max([first, *kept.ring.breaks(first, last)])
        start, stop = kept.base + first * kept.step, kept.base + last * kept.step
        return (start, stop) if stop - start > self._longest else None

    def samples(self, record: EmissionRecord, start: int, stop: int) -> ChannelSamples | None:
        """Return an emission's samples of such a stretch; None where they have gone."""
        kept = self._kept.get(record.id)
        if kept is None:
            return None
        base, step = kept.base, kept.step
        rate = self._rate / step
        width = min(_LOOKED * max(record.bandwidth, _LEAST), rate)
        centre = record.centre - kept.channel.centre
        try:
            found = extract(kept.ring, rate, centre, width, (start - base) // step, (stop - base) // step)
        except AmrqError:
            return None
        centre = found.centre + kept.channel.centre
        return ChannelSamples(
            found.iq, found.sample_rate, base + found.start * step, centre, found.step * step
        )

    def _seconds(self, record: EmissionRecord) -> float:
        return _SECONDS * _AT_WIDTH / max(record.bandwidth, _AT_WIDTH)

    def _samples(self, record: EmissionRecord) -> int:
        return round(_KEPT * self._seconds(record) * self._rate)

    def _is_worth(self, record: EmissionRecord) -> bool:
        long = self._seconds(record) * self._rate >= _WORTH * self._longest
        return long and record.on and record.stop - record.first_seen > self._longest

    def _step(self, width: float) -> int:
        return 1 << max(0, math.floor(math.log2(self._rate / (_RATE * max(width, _AT_WIDTH)))))

    def _open(self, records: list[EmissionRecord]) -> None:
        """Open channels, with what is still there of the emissions."""
        ring, grid = self._ring, self._grid
        # What goes next is not begun with: it may go while it is read.
        first = max(ring.first + self._piece // 4, min(one.first_seen for one in records))
        first = max([0, min(first, ring.end), *ring.breaks(ring.first, ring.end)])
        first = -(-first // grid) * grid
        if not self._kept:
            self._position = first
        made = []
        for one in records:
            step = self._step(one.bandwidth)
            channel = Channel(one.centre, _PASSES * self._rate / step, self._rate / step)
            made.append(
                _Slow(channel, step, first, SampleRing(self._rate / step, _KEPT * self._seconds(one)), first)
            )
        taken = self._taken([one.channel for one in made], first, self._position)
        for number, (one, slow) in enumerate(zip(records, made, strict=True)):
            slow.base = first if taken else self._position
            if taken:
                slow.ring.append(taken[number].iq[: (self._position - first) // slow.step])
            slow.heard = slow.end
            slow.see(one, 0)
            self._kept[one.id] = slow

    def _taken(self, channels: list[Channel], start: int, stop: int) -> list[ChannelSamples]:
        """Return channels of a stretch of the band; none where it has gone, or is broken."""
        if stop <= start or self._ring.breaks(start, stop):
            return []
        try:
            return extract_all(self._ring, self._rate, channels, start, stop)
        except AmrqError:
            return []

    def _take(self, stop: int) -> None:
        found = self._taken([one.channel for one in self._kept.values()], self._position, stop)
        lost = bool(self._ring.breaks(stop - 1, self._ring.end + 1)) and not any(
            one.iq.any() for one in found
        )
        if not found or lost:  # what is lost is zeros up to a break
            self._skip(stop)
            return
        for kept, channel in zip(self._kept.values(), found, strict=True):
            kept.ring.append(channel.iq[: (stop - kept.end) // kept.step])
            kept.heard = kept.end
        self._position = stop

    def _skip(self, stop: int) -> None:
        """Leave out what has gone, and a piece in which samples were lost."""
        for kept in self._kept.values():
            kept.ring.skip(max(0, stop - kept.end) // kept.step)
        self._position = max(self._position, stop)
