# SPDX-License-Identifier: GPL-3.0-or-later
"""Which transforms take channels out of a band: how long they are, and how many of their bins a channel gets.

A channel's rate and its filter follow from the band's rate and from what is wanted alone. The same channel can be had
from transforms of several lengths, though. A long one has fine bins, and gives a wide channel at once. A short one
stays in the processor's cache and costs half as much a sample, but its bins are coarse: a channel comes out wider
first, and a second transform of its own, on few samples, makes it narrow. The cheapest length for all is taken.
"""

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from scipy import fft

from amrq.errors import AmrqError
from amrq.text import engineering

__all__ = ["ATTENUATION", "OVERLAP", "TAPS", "Channel", "Plan", "planned"]

ATTENUATION = 84.0
"""dB, of the filters' stop bands. Ripple of the pass bands is as small, 6e-5 of the amplitude."""
TAPS = (ATTENUATION - 7.95) / 14.36
"""Taps of such a filter, times its transition over the sample rate (Kaiser 1974)."""
OVERLAP = 4
"""Of a block, one part in so many overlaps its neighbours: as long the filters may be."""
_TRANSITION = 0.125
"""Of the bandwidth, on either side of it."""
_LEAST_TRANSITION = 0.01
"""Of the sample rate: with less room beside the bandwidth there is no filter."""
_BIN = 300.0
"""Hz, about, of a bin of the longest large transform, between its smallest and its largest."""
_SMALLEST, _LARGEST = 10, 16  # logarithms of the large transform's length
_SHORTEST = 12
"""Logarithm of the length below which a shorter transform saves nothing."""
_LEAST_FIRST = 64
"""Bins of a first stage's channel."""
_DENOMINATOR, _EXACT = 2000, 1e-12
"""Of fractions of rates: the largest, and how near a rate must be to one. A transform for any other would be slow."""
_NARROWEST = 1e-15
"""Of the sample rate: no bandwidth at all."""
_LONGEST = 1 << 22
"""Samples of a channel's own transform, at most: it is held in memory, several times."""
_LONGEST_SHORTENED = 1 << 16
"""The same, where the large transform is shorter than the longest."""
_TRANSFORM_COSTS = {12: 5.3, 13: 6.0, 14: 6.3, 15: 6.8, 16: 8.1}
"""Of large transforms by the logarithm of their lengths, and of reading, ns a sample of the band (a server's core)."""
_BIN_COST, _OWN_COST = 15.0, 10.0
"""Of a channel's inverse transform, and of its own ones, ns for each of the inverse one's samples."""


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


class Plan:
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
        sharpest = TAPS * OVERLAP * bin_width
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
        out = TAPS * self.rate / max(fall, 1e-300)
        self.taps = math.ceil(out / 2) if filtered else 0
        self.cutoff = (width + fall) / 2 / self.rate
        self._occupied, self._fall = width + 2 * fall, fall
        self.lead = self._seen_before(length)

    def shortened(self, length: int) -> "Plan | None":
        """Return how a large transform of another length gives the same channel; None where it does not well."""
        if not (self.taps and self.first):
            return None
        plan, bin_width = copy.copy(self), self.sample_rate / length
        bins = length / self.step
        if bins.denominator == 1 and bins.numerator % 8 == 0 and self._fall >= TAPS * OVERLAP * bin_width:
            plan.first, plan.own = bins.numerator, None
        else:
            plan.first = _first_bins(length, bin_width, self._occupied, self.rate)
            if not plan.first:
                return None
            least = TAPS * OVERLAP * plan.first * bin_width / self._fall
            plan.own = _own_transform(plan.first / bins, least)
            if plan.own[0] > _LONGEST_SHORTENED:
                return None
        plan.lead = plan._seen_before(length)
        return plan

    def cost(self, length: int) -> float:
        """Return what the channel costs beside a large transform of this length, ns a sample of the band."""
        if self.own:
            return (_BIN_COST + _OWN_COST) * (self.first / length if self.first else 1.0)
        return _BIN_COST * self.first / length

    def _seen_before(self, length: int) -> int:
        return self.own[0] // 8 * (length // self.first if self.first else 1) if self.own else 0


@functools.lru_cache(maxsize=1024)
def _plan(sample_rate: float, length: int, channel: Channel) -> Plan:
    return Plan(sample_rate, length, channel)


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
    first = _first_bins(length, bin_width, occupied, wanted)
    before = first * bin_width if first else sample_rate
    least = TAPS * OVERLAP * before / fall  # samples of the second transform
    ratio = Fraction(wanted / before).limit_denominator(_DENOMINATOR)
    if free or abs(float(ratio) * before / wanted - 1) > _EXACT:
        own = 1 << max(8, math.ceil(math.log2(least)))
        bins = 8 * math.ceil(wanted / before * own / 8 * (1 - 1e-12))  # few, so that any number is fast
    else:
        own, bins = _own_transform(1 / ratio, least)
    step = Fraction(own, bins) * (Fraction(length, first) if first else 1)
    return first, (own, bins), step


def _first_bins(length: int, bin_width: float, occupied: float, wanted: float) -> int:
    """Return the bins of a first stage, in which a second one finds room for its filter; 0: all of them."""
    first = _LEAST_FIRST
    while first < length and (
        first * bin_width < 1.2 * wanted or first * bin_width - occupied < 2 * TAPS * OVERLAP * bin_width
    ):
        first *= 2
    return first if first < length else 0


def _own_transform(step: Fraction, least: float) -> tuple[int, int]:
    """Return the length, at least `least`, and the bins of a second stage that takes every step-th sample exactly."""
    times = int(fft.next_fast_len(math.ceil(max(least, 256.0) / (8 * step.numerator))))
    return 8 * step.numerator * times, 8 * step.denominator * times


def planned(sample_rate: float, channels: Sequence[Channel]) -> tuple[int, list[Plan]]:
    """Return the length of the large transform, and how it gives each channel, at the least cost.

    Args:
        sample_rate: of the band, samples a second.
        channels: what is taken out. A channel's rate does not depend on the others.

    Raises:
        AmrqError: a channel is not possible.

    >>> channels = [Channel(1e6 * number, 16e3) for number in range(4)]
    >>> length, plans = planned(20e6, channels)
    >>> length < 65_536, [plan.rate for plan in plans] == [planned(20e6, channels[:1])[1][0].rate] * 4
    (True, True)
    """
    longest = min(_LARGEST, max(_SMALLEST, round(math.log2(sample_rate / _BIN))))
    found = 1 << longest, [_plan(sample_rate, 1 << longest, channel) for channel in channels]
    least = _cost(*found)
    for power in range(_SHORTEST, longest):
        length = 1 << power
        plans = [_shortened(sample_rate, 1 << longest, length, channel) for channel in channels]
        there = [plan for plan in plans if plan is not None]
        if len(there) == len(plans) and (cost := _cost(length, there)) < least:
            least, found = cost, (length, there)
    return found


def _cost(length: int, plans: list[Plan]) -> float:
    return _TRANSFORM_COSTS.get(length.bit_length() - 1, 5.0) + sum(plan.cost(length) for plan in plans)


@functools.lru_cache(maxsize=4096)
def _shortened(sample_rate: float, longest: int, length: int, channel: Channel) -> Plan | None:
    return _plan(sample_rate, longest, channel).shortened(length)
