# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines at equal distances that are one emission: what repeats itself, as trains of pulses and sweeps do.

A detector whose bins are narrower than the rate of repetition sees each line as a carrier. Carriers of several
transmitters may lie on a grid, too, but no two are as exact: so much of the power is the same again after many periods
only where all lines have one clock.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.chunks import finite_samples
from amrq.scan.looks import Looker
from amrq.scan.records import EmissionRecord, KnownEmission
from amrq.scan.table import EmissionTable

__all__ = ["CombJoiner", "line_numbers", "repeats"]

_FEWEST = 6
"""Lines in a row, at least."""
_APART = 3.0
"""Widths of a line, that lines are apart at least."""
_LIKE_STRONG = 15.0
"""dB that lines differ by, at most."""
_TOGETHER = 0.5
"""Of the shorter one's time, lines are on together at least."""
_NEAREST = 6
"""Lines on either side whose distances are looked at."""
_OFF, _MOST_OFF = 1.0, 1 / 6
"""Of its width, and of the distance of lines, that a line may be off: what is exact is seen in the samples."""
_MISSING = 3
"""Lines that may be missing between two."""
_MOST = 1 << 19
"""Samples of the band that are looked at, at most."""
_PEAK = 0.5
"""Over the width of all lines, that the lag after which samples are alike may be off."""
_SAME = 0.6
"""Of the power that is the same after one period, that is so after many."""
_CLEAR = 0.1
"""Of all power, that is the same after one period, at least."""


def line_numbers(centre: float, spacing: float, others: Sequence[float], off: float) -> dict[int, int]:
    """Return which of some frequencies lie on a grid about another one, in a row: places by the number of the line.

    Args:
        centre: of a line, Hz.
        spacing: of the grid, Hz.
        others: frequencies, Hz.
        off: that they may be off, Hz.

    >>> line_numbers(100.0, 10.0, [110.1, 119.9, 140.0, 95.0, 500.0], 0.5)
    {1: 0, 2: 1, 4: 2}
    """
    found: dict[int, int] = {}
    steps = (np.asarray(others, np.float64) - centre) / spacing
    numbers = np.round(steps).astype(int)
    near = np.abs(steps - numbers) * spacing <= off
    by_number = {number: place for place, number in enumerate(numbers.tolist()) if near[place] and number}
    for side in (1, -1):
        number, missing = side, 0
        while missing <= _MISSING:
            if number in by_number:
                found[number], missing = by_number[number], 0
            else:
                missing += 1
            number += side
    return found


def repeats(iq: NDArray[np.complex64], sample_rate: float, period: float, width: float) -> bool:
    """Return whether samples are as alike after many periods as after one.

    Args:
        iq: samples, complex [n].
        sample_rate: samples a second.
        period: seconds, about.
        width: from the lowest to the highest line, Hz.

    >>> rng = np.random.default_rng(1)
    >>> train = np.tile(np.r_[np.exp(1j * np.arange(20) ** 2 / 20), np.zeros(80)], 200)
    >>> noise = rng.normal(size=(20000, 2)) @ [0.1, 0.1j]
    >>> repeats((train + noise).astype(np.complex64), 1e3, 0.1, 300.0)
    True
    >>> grid = 0.01 * np.arange(-8, 9) + rng.uniform(-1e-4, 1e-4, 17)
    >>> carriers = np.exp(2j * np.pi * np.outer(grid, np.arange(20000)) + 6j * rng.random((17, 1))).sum(axis=0)
    >>> repeats((carriers + noise).astype(np.complex64), 1e3, 0.1, 160.0)
    False
    """
    count = len(iq)
    if not count:  # they have gone meanwhile
        return False
    spectrum = fft.fft(finite_samples(iq), fft.next_fast_len(2 * count))
    alike = np.abs(fft.ifft(np.square(np.abs(spectrum)))[:count]) * (count / np.arange(count, 0, -1))
    around = max(1, round(_PEAK * sample_rate / width))
    lag, times, once = period * sample_rate, 1, 0.0
    while (times + 1) * lag / times < count / 2 + around:
        first = max(1, round(lag) - around)
        peak = first + int(alike[first : round(lag) + around + 1].argmax())
        if times == 1:
            once = float(alike[peak])
        if once < _CLEAR * float(alike[0]) or alike[peak] < _SAME * once:
            return False
        # The longer the lag, the better the period is known.
        step = min(times, max(1, int(count / 2 / (peak / times)) - times))
        if 2 * peak / times * (times + step) > count:
            break
        lag, times = peak / times * (times + step), times + step
    return times >= _FEWEST


class CombJoiner:
    """Makes the lines of what repeats itself one emission.

    Args:
        table: of the emissions.
        looker: takes samples out of the band.
    """

    def __init__(self, table: EmissionTable, looker: Looker) -> None:
        self._table, self._looker = table, looker

    def join(self, known: KnownEmission) -> KnownEmission | None:
        """Return the emission whose lines an emission and others are, with new edges and nothing found of it yet.

        Returns:
            one of them, the oldest; None where it is no line of several.
        """
        with self._table.lock:
            record = known.record
            others = [
                (one, one.record)
                for one in self._table.entries()
                if one is not known and one.is_open and _may_be_lines(record, one.record)
            ]
        if len(others) < _FEWEST - 1:
            return None
        centres = [place.centre for _, place in others]
        off = _OFF * max(record.bandwidth, float(np.median([place.bandwidth for _, place in others])))
        spacing = _spacing(record.centre, centres)
        lines = (
            line_numbers(record.centre, spacing, centres, off) if spacing > _APART * record.bandwidth else {}
        )
        if len(lines) < _FEWEST - 1:
            return None
        numbers = np.array([0, *lines])
        places = np.array([record.centre, *(centres[place] for place in lines.values())])
        spacing = float(np.polyfit(numbers, places, 1)[0])
        if not self._repeat(record, float(places.min()), float(places.max()), spacing):
            return None
        with self._table.lock:
            parts = [known, *(others[place][0] for place in lines.values())]
            if any(one.part_of or self._table.get(one.key) is not one for one in parts):
                return None
            whole = min(parts, key=lambda one: one.record.id)
            self._table.make_one(whole, [one for one in parts if one is not whole], "a line")
            whole.grid = spacing, record.centre
            return whole

    def takes(self, known: KnownEmission) -> bool:
        """Return whether an emission is another line of one that repeats itself; it has ended as its part then."""
        with self._table.lock:
            record = known.record
            for whole in self._table.entries():
                if whole is known or whole.grid is None or whole.reach is None or not whole.is_open:
                    continue
                spacing, place = whole.grid
                more = (_MISSING + 1) * spacing
                near = whole.reach[0] - more < record.centre < whole.reach[1] + more
                off = abs((record.centre - place + spacing / 2) % spacing - spacing / 2)
                if near and off < _MOST_OFF * spacing and record.bandwidth < spacing:
                    whole.reach = min(whole.reach[0], record.lower), max(whole.reach[1], record.upper)
                    whole.record = replace(whole.record, lower=whole.reach[0], upper=whole.reach[1])
                    self._table.end_as_part(known, whole, "a line")
                    return True
        return False

    def _repeat(self, record: EmissionRecord, lower: float, upper: float, spacing: float) -> bool:
        start, stop = self._looker.latest(record, _MOST)
        found = self._looker.about((lower + upper) / 2, upper - lower + spacing, start, stop)
        return found is not None and repeats(found.iq, found.sample_rate, 1 / spacing, upper - lower)


def _may_be_lines(one: EmissionRecord, other: EmissionRecord) -> bool:
    shared = min(one.stop, other.stop) - max(one.start, other.start)
    shorter = min(one.stop - one.start, other.stop - other.start)
    return abs(one.level_dbfs - other.level_dbfs) < _LIKE_STRONG and shared > _TOGETHER * max(1, shorter)


def _spacing(centre: float, others: Sequence[float]) -> float:
    """Return the usual distance of the frequencies nearest to one."""
    places = np.sort(np.array([centre, *others]))
    at = int(np.searchsorted(places, centre))
    near = places[max(0, at - _NEAREST) : at + _NEAREST + 1]
    return float(np.median(np.diff(near)))
