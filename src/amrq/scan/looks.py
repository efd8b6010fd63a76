# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at an emission: which samples of the band it takes, and what it says.

An identification takes some 1,500 times one over the bandwidth, and finds what the emission is. A glance at one that is
known takes a fifth of that, and tells whether it is still the same; glances share few stretches of the band, so that
one transform serves all of them. What is narrow is kept for longer than the band (`amrq.scan.slow_channels`): looks at
it take seconds, and see how narrow it is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from amrq.channel import Channel, ChannelSamples, SampleRing, extract, extract_all
from amrq.classifier import Classifier
from amrq.errors import AmrqError
from amrq.identify import EmissionIdentity, Glance, IdentifyModels, identify_emission
from amrq.measure import measure_emission, turned
from amrq.model import UNKNOWN
from amrq.scan.records import EmissionRecord, KnownEmission
from amrq.scan.slow_channels import SlowChannels

__all__ = ["FIRST_SYMBOLS", "Looker", "symbols_of"]

_LOOK_SYMBOLS = 1500.0
"""Bandwidths times seconds of a full look: about 1,200 symbols, a decision of 32 chunks and some more."""
FIRST_SYMBOLS = 400.0
"""Of a first look: enough to name a strong signal."""
_LONGER = 4
"""Times as long is the next look at an emission that has no name."""
_LONGEST = 1 << 22
"""Samples of the band that a look takes at most."""
_GLANCE = 160.0
"""Bandwidths times seconds of a glance, at least, as far as the longest one goes."""
_GLANCE_SECONDS, _GLANCES = 0.0065, (1, 4)
"""Of the shortest glance, about, and how many times as long glances are."""
_PLACES = 6
"""Stretches that a recording's emission is looked at in, at most, when it is over and has no name."""
_FEW = 64
"""Samples of a glance at least, where they are there."""
_FLOOR_MOVES = 20.0
"""dB by which a noise floor may change while an emission is on."""
_RATE = 4.0
"""Bandwidths of the channel that is looked at: the noise beside the signal is seen."""
_ROOM, _DRIFTS = 1.2, 10.0
"""Times the bandwidth of what is narrower than its box, and Hz besides: it is identified in so much."""
_LEAST_BANDWIDTH, _LEAST_WINDOW = 500.0, 100.0
"""Hz: of the narrowest channel, and of the narrowest emission whose looks are longer than those of wider ones."""


def _narrowed(
    channel: ChannelSamples, record: EmissionRecord, floor: float | None
) -> tuple[ChannelSamples, EmissionRecord]:
    """Return a long look's channel and record with the edges that it shows, where its box is wider.

    A box is as wide as some of the detector's bins at least.
    """
    rate, width = channel.sample_rate, record.bandwidth
    found = measure_emission(channel.iq, rate, floor, width, with_symbol_rate=False)
    narrow = _ROOM * found.bandwidth + _DRIFTS
    if not narrow < width / 2:  # also where it is not known
        return channel, record
    middle = channel.centre + found.centre
    snr_db = record.snr_db + 10 * math.log10(width / narrow)
    record = replace(record, lower=middle - narrow / 2, upper=middle + narrow / 2, snr_db=snr_db)
    passes = _RATE / 1.25 * max(narrow, _LEAST_BANDWIDTH)
    if passes < 0.8 * rate:
        one = extract(channel.iq, rate, found.centre, passes)
        iq, rate, step = one.iq, one.sample_rate, one.step * channel.step
    else:
        iq, step = turned(channel.iq, -found.centre / rate), channel.step
    return ChannelSamples(iq, rate, channel.start, middle, step), record


def symbols_of(known: KnownEmission) -> float:
    """Return the bandwidths times seconds of an identification."""
    # There will be no more of what is over.
    last = not known.record.on and known.record.label == UNKNOWN
    return _LOOK_SYMBOLS * float(_LONGER ** (known.effort + last))


class Looker:
    """Takes emissions' samples out of a band's last seconds, and says what they are.

    Args:
        ring: of the band.
        floor: returns the noise floor, dB of full scale a Hz, at equal steps over the band.
        classifier: for linear modulations, with the shipped family model; or both models.

    >>> ring = SampleRing(1e6, 1.0)
    >>> tone = 0.1 * np.exp(0.2j * np.pi * np.arange(500_000))
    >>> noise = np.random.default_rng(1).normal(size=(500_000, 2)) @ [1e-3, 1e-3j]
    >>> ring.append((tone + noise).astype(np.complex64))
    >>> from amrq.classifier import make_classifier
    >>> looker = Looker(ring, lambda: np.full(8, -117.0), make_classifier("default"))
    >>> record = EmissionRecord(1, 0, 500_000, 0, 500_000, 99_900.0, 100_100.0, 74.0, -20.0)
    >>> [channel] = looker.channels([record], *looker.stretch(record, 500_000, 1500.0))
    >>> looker.identity(channel, record, thorough=False).label
    'carrier'
    """

    def __init__(
        self,
        ring: SampleRing,
        floor: Callable[[], NDArray[np.float64]],
        classifier: Classifier | IdentifyModels,
    ) -> None:
        self._ring, self._floor, self._classifier = ring, floor, classifier
        self._rate = ring.sample_rate
        self.longest = 1 << (min(_LONGEST, ring.capacity).bit_length() - 1)
        """Samples of the band that a look takes at most: a power of 2."""
        self.slow = SlowChannels(ring, self.longest)
        """What is kept for longer."""

    def window(self, record: EmissionRecord, symbols: float) -> int:
        """Return the samples of the band that so many bandwidths times seconds take: a power of 2, or a long look."""
        if long := self.slow.longest(record):
            return long
        bandwidth = min(max(record.bandwidth, _LEAST_WINDOW), self._rate)
        wanted = symbols * self._rate / bandwidth
        return min(1 << round(math.log2(max(wanted, 256))), self.longest)

    def glance_window(self, record: EmissionRecord) -> int:
        """Return the samples of the band that a glance takes."""
        shortest = 1 << max(8, round(math.log2(_GLANCE_SECONDS * self._rate)))
        wanted = _GLANCE * self._rate / max(record.bandwidth, _LEAST_BANDWIDTH)
        chosen = next((times for times in _GLANCES if times * shortest >= wanted), _GLANCES[-1])
        return min(chosen * shortest, self.longest)

    def stretch(self, record: EmissionRecord, end: int, symbols: float | None) -> tuple[int, int]:
        """Return the samples that a look takes: the latest in which the emission was seen.

        Args:
            record: the emission.
            end: of the samples that are there.
            symbols: bandwidths times seconds; None for a glance.
        """
        long = None if symbols is None else self.slow.stretch(record, end)
        if long is not None:
            return long
        window = self.glance_window(record) if symbols is None else self.window(record, symbols)
        window = min(window, self.longest)
        start, stop = record.start, min(end, record.stop)
        # On a grid, so that emissions share stretches.
        grid = window // (4 if symbols is None else 16)
        if stop - start > 4 * grid:
            start, stop = -(-start // grid) * grid, stop // grid * grid
        start = max([start, stop - window, self._ring.first, *self._ring.breaks(start, stop)])
        return min(start, stop), stop

    def places(self, record: EmissionRecord, window: int) -> list[tuple[int, int]]:
        """Return further stretches of an emission, spread over what is there of it, the latest first."""
        first = max(record.start, self._ring.first)
        count = min(_PLACES, (record.stop - first) // max(1, window))
        if count < 2:
            return []
        step = (record.stop - first - window) / (count - 1)
        starts = [round(first + number * step) for number in reversed(range(count - 1))]
        starts = [max([start, *self._ring.breaks(start, start + window)]) for start in starts]
        return [(start, start + window) for start in starts if start + window <= record.stop]

    def channel(self, record: EmissionRecord) -> Channel:
        """Return the channel of an emission, with the noise beside it."""
        bandwidth = max(record.bandwidth, _LEAST_BANDWIDTH)
        # A channel's rate is 1.25 times what passes, or little more.
        return Channel(record.centre, min(_RATE / 1.25 * bandwidth, self._rate))

    def channels(
        self, records: Sequence[EmissionRecord], start: int, stop: int
    ) -> list[ChannelSamples] | None:
        """Return the samples of emissions in a stretch of the band; None where it has gone."""
        if self.is_long(start, stop):
            kept = [self.slow.samples(one, start, stop) for one in records]
            found = [one for one in kept if one is not None]
            return found if len(found) == len(kept) else None
        try:
            return extract_all(self._ring, self._rate, [self.channel(one) for one in records], start, stop)
        except AmrqError:
            return None

    def is_long(self, start: float, stop: float) -> bool:
        """Return whether a look is longer than one at the band can be: of what is kept for longer."""
        return stop - start > self.longest

    def about(self, centre: float, width: float, start: int, stop: int) -> ChannelSamples | None:
        """Return the samples of a part of the band, `width` Hz of it as far as there are so many; None if gone."""
        try:
            return extract(self._ring, self._rate, centre, min(width, 0.95 * self._rate), start, stop)
        except AmrqError:
            return None

    def latest(self, record: EmissionRecord, most: int) -> tuple[int, int]:
        """Return the latest samples that are there of an emission without a break, so many at most."""
        stop = min(self._ring.end, record.stop)
        start = max(record.start, stop - most, self._ring.first)
        start = max([start, *self._ring.breaks(start, stop)])
        return min(start, stop), stop

    def whole(self, record: EmissionRecord) -> tuple[ChannelSamples, int] | None:
        """Return the samples of an identification, and how many of the band they are; None where they have gone."""
        start, stop = self.stretch(record, self._ring.end, _LOOK_SYMBOLS)
        found = self.channels([record], start, stop)
        return None if found is None else (found[0], stop - start)

    def glance(self, channel: ChannelSamples, record: EmissionRecord) -> Glance:
        """Return what is quickly seen of an emission: of the last of its samples."""
        count = max(_FEW, round(self.glance_window(record) / channel.step))
        return Glance.at(channel.iq[-count:], channel.sample_rate, max(record.bandwidth, _LEAST_BANDWIDTH))

    def identity(self, channel: ChannelSamples, record: EmissionRecord, thorough: bool) -> EmissionIdentity:
        """Return what an emission is.

        Args:
            channel: its samples.
            record: the emission; the symbol rate that it is known to have is tried first.
            thorough: it is equalised where it needs that.
        """
        floor = self.noise_at(record)
        if self.is_long(channel.start, channel.place(len(channel.iq))):
            channel, record = _narrowed(channel, record, floor)
        return identify_emission(
            channel.iq,
            channel.sample_rate,
            floor,
            (record.lower - channel.centre, record.upper - channel.centre),
            record.snr_db,
            self._classifier,
            thorough,
            record.symbol_rate if record.label != UNKNOWN else None,
        )

    def noise_at(self, record: EmissionRecord) -> float | None:
        """Return the noise floor where an emission is, dB of full scale a Hz; None where it is not known."""
        floor = self._floor()
        place = int((record.centre / self._rate + 0.5) * len(floor))
        value = float(floor[min(max(place, 0), len(floor) - 1)])
        # What the detector took for noise when it measured the emission. Before its first block it has no other floor.
        own = record.level_dbfs - record.snr_db - 10 * math.log10(max(record.bandwidth, 1.0))
        if math.isfinite(value) and not abs(value - own) > _FLOOR_MOVES:
            return value
        return own if math.isfinite(own) else None
