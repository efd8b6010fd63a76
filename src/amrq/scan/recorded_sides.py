# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands beside a carrier of a recording: sidebands are one signal with it; what may be some make it less sure."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from amrq.scan.lines_together import without_name
from amrq.scan.mirrored_sidebands import mirrored_sidebands
from amrq.scan.parts import FAINT, LINES, SPLATTER, TOGETHER, Part, capped
from amrq.scan.recorded_looks import RecordedLooks, RecordedSamples
from amrq.scan.records import EmissionRecord

__all__ = ["RecordedSides"]

_Reals = NDArray[np.float64]

_CARRIER, _AUDIO = 1500.0, 12e3
"""Hz: as wide is at most what may be a carrier with sidebands; as far from it, what may be one of these."""
_RAISED, _DEVIATIONS, _UNEVEN, _SPREADS = 0.15, 6.0, 0.03, 4
"""Of a carrier's energy, that what stands about it has at least; deviations of the mean spectrum, and the share of it
that a floor may be off, which are chance; bins that a line is spread over, to either side."""
_WIDER, _FEWEST, _FLAT, _LONGER, _NO_CARRIER = 32, 16, 0.015, 1.25, 0.3
"""Bins from a line, from which on a raised band is looked for, and of them on either side at least; the share of a
floor that it may be uneven by; steps in which its reach grows; and its power over the line's that is no carrier's."""
_MOST_RAISED = 0.7
"""How sure a name of both is: a receiver's own line in the middle of a weak signal looks the same."""
_RAISED_UNKNOWN = "a line with a raised band about it that is too weak to be named"
_SIDED, _AS_STRONG = ("ook", "am", "pulse", "dsss"), 3.0
"""What has a carrier with sidebands, or lines, that mirror each other; and how much stronger one of them is at most."""


class RecordedSides:
    """What stands beside a recording's carrier.

    Args:
        samples: the recording.
        sample_rate: samples a second.
        looks: at parts of it.
    """

    def __init__(self, samples: RecordedSamples, sample_rate: float, looks: RecordedLooks) -> None:
        self._samples, self._rate, self._looks = samples, sample_rate, looks

    def with_sidebands(self, main: Part, record: EmissionRecord) -> tuple[Part, EmissionRecord] | None:
        """Return a carrier and its sidebands as one signal, where it has some; if that has no name, no sure carrier."""
        if record.family not in LINES or main.width > _CARRIER:
            return None
        edges = record.lower, record.upper
        found = mirrored_sidebands(self._samples.read, main.stretches, self._rate, edges)
        if found is None:
            return None
        if not found.certain:
            return main, capped(record)
        lower, upper = found.centre - found.reach, found.centre + found.reach
        whole = replace(main, record=replace(main.record, lower=lower, upper=upper))
        named = self._looks.identified(whole)
        if named.family in found.families and named.confidence >= TOGETHER:
            return whole, named
        return main, capped(record)

    def with_far_sidebands(
        self, main: Part, record: EmissionRecord, rest: Sequence[Part], at: _Reals, above: _Reals
    ) -> tuple[Part, EmissionRecord] | None:
        """Return a carrier and what lies on both of its sides as far and as strong: fast keys, or one line of several.

        If all of it together has no name that such sidebands have, it is no sure carrier.
        """
        if record.family != "carrier":
            return None
        centre = record.centre
        sides = [
            one for one in rest if SPLATTER * main.energy < one.energy and _has_mirror(one, centre, at, above)
        ]
        if not sides:
            return None
        reach = max(max(one.record.upper - centre, centre - one.record.lower) for one in sides)
        whole = replace(main, record=replace(main.record, lower=centre - reach, upper=centre + reach))
        if centre - reach > -self._rate / 2 and centre + reach < self._rate / 2:
            named = self._looks.identified(whole)
            if named.family in _SIDED and named.confidence >= TOGETHER:
                return whole, named
        return main, capped(record)

    def with_raised(
        self,
        main: Part,
        record: EmissionRecord,
        rest: Sequence[Part],
        at: _Reals,
        spectrum: _Reals,
        spectra: int,
    ) -> tuple[Part, EmissionRecord] | None:
        """Return a line and what is raised about it, in a band that is too weak for a detector, as one signal.

        Keys that are fast, and noise in amplitude modulation, spread as much power as the line has over so wide a band
        that it is hardly above the noise there, and then the line is all that is seen.

        If it has no name that such signals have, and has more power than a carrier's noise, it is no carrier.
        """
        if record.family not in ("carrier", "am"):
            return None
        found = _raised(main, rest, at, spectrum, spectra)
        if found is None:
            return None
        reach, share = found
        centre = record.centre
        if not (centre - reach > -self._rate / 2 and centre + reach < self._rate / 2):
            return None
        gain, wider = 10 * math.log10(1 + share), 10 * math.log10(2 * reach / main.width)
        level, snr = main.record.level_dbfs + gain, main.record.snr_db + gain - wider
        lower, upper = centre - reach, centre + reach
        wide = replace(main.record, lower=lower, upper=upper, level_dbfs=level, snr_db=snr)
        whole = replace(main, record=wide)
        named = self._looks.identified(whole)
        if named.family in _SIDED and named.confidence >= TOGETHER:
            return whole, capped(named, _MOST_RAISED)
        return None if share < _NO_CARRIER else (whole, without_name(record, _RAISED_UNKNOWN))

    def has_beside(self, main: Part, rest: Sequence[Part]) -> bool:
        """Return whether something lies beside a carrier that may be a sideband of it; what is faint, on both sides."""
        near = [one for one in rest if abs(one.record.centre - main.record.centre) < _AUDIO]
        below = {one.record.centre < main.record.centre for one in near if one.energy > FAINT * main.energy}
        return len(below) > 1 or any(one.energy > SPLATTER * main.energy for one in near)

    def has_around(
        self, main: Part, rest: Sequence[Part], at: _Reals, spectrum: _Reals, spectra: int
    ) -> bool:
        """Return whether a part of a carrier's power stands about it: sidebands, too weak to be found as emissions."""
        floor, away = float(np.median(spectrum)), np.abs(at - main.record.centre)
        step = at[1] - at[0]
        free = away > main.width / 2 + _SPREADS * step
        for one in rest:
            free &= (at < one.record.lower - step) | (at > one.record.upper + step)
        reach = 2 * _SPREADS * step
        while reach < self._rate / 2:
            inside = free & (away < reach)
            count = int(np.count_nonzero(inside))
            excess = float((spectrum[inside] - floor).sum())
            chance = floor * (_DEVIATIONS * math.sqrt(count / max(1, spectra)) + _UNEVEN * count)
            if excess > max(_RAISED * main.energy, chance):
                return True
            reach *= 2
        return False


def _raised(
    main: Part, rest: Sequence[Part], at: _Reals, spectrum: _Reals, spectra: int
) -> tuple[float, float] | None:
    """Return how far a mean spectrum is raised on both sides of a line, Hz, and by how much of the line's power.

    Each side is compared with what lies beyond it, on both as far: noise that rises to one side raises none.
    """
    step, offset = float(at[1] - at[0]), at - main.record.centre
    free = np.abs(offset) > main.width / 2 + _SPREADS * step
    for one in rest:
        free &= (at < one.record.lower - step) | (at > one.record.upper + step)
    best, clearest = None, _DEVIATIONS
    reach = max(main.width, _WIDER * step)
    while 2 * reach < (at[-1] - at[0]) / 2:
        sides = []
        for side in (offset < 0, offset > 0):
            near = spectrum[free & side & (np.abs(offset) < reach)]
            far = spectrum[free & side & (np.abs(offset) >= 1.2 * reach) & (np.abs(offset) < 2 * reach)]
            if len(near) < _FEWEST or len(far) < _FEWEST:
                break
            floor = float(far.mean())
            chance = floor * (math.sqrt((1 / len(near) + 1 / len(far)) / max(1, spectra)) + _FLAT)
            sides.append(((float(near.mean()) - floor) / chance, (float(near.mean()) - floor) * reach / step))
        if len(sides) == 2:
            clear = min(one[0] for one in sides)
            powers = [one[1] for one in sides]
            if clear > clearest and max(powers) < _AS_STRONG * min(powers):
                best, clearest = (reach, sum(powers) / max(main.energy, 1e-300)), clear
        reach *= _LONGER
    return best


def _has_mirror(one: Part, centre: float, at: _Reals, above: _Reals) -> bool:
    """Return whether as far from a centre on the other side is as much power, within a factor."""
    lower, upper = 2 * centre - one.record.upper, 2 * centre - one.record.lower
    if lower <= centre <= upper:
        return False
    step = at[1] - at[0]
    wide = (at >= lower - step) & (at <= upper + step)
    there = (at >= one.record.lower - step) & (at <= one.record.upper + step)
    ratio = float(above[wide].sum()) / max(float(above[there].sum()), 1e-300)
    return 1 / _AS_STRONG < ratio < _AS_STRONG
