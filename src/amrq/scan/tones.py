# SPDX-License-Identifier: GPL-3.0-or-later
"""Two emissions that are the tones of one: of keyed frequencies, one is strong while the other is weak.

The detector's spectra may be longer than a symbol: then it sees both tones all the time, beside each other, and each of
them looks keyed on and off. From moment to moment their powers go against each other.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.scan.parts import OPPOSITE, likeness_of
from amrq.scan.records import EmissionRecord, KnownEmission
from amrq.scan.table import EmissionTable

__all__ = ["ToneJoiner", "may_be_tones"]

_GAP = 0.6
"""Of the narrower one's width: tones of one signal are apart at most."""
_TOGETHER = 0.5
"""Of the shorter one's time, tones are on together at least."""
_LIKE_WIDE, _LIKE_STRONG = 3.0, 10.0
"""Times, of widths, and dB, of levels, that tones of one signal differ by at most."""
_MOMENTS = 64
"""That are compared at least: of two signals of their own the correlation is below -0.4 once in 1,000 times then."""
_MOMENT, _MOST = 4.0, 1 << 17
"""Over the narrower bandwidth: a moment; samples of the band that are looked at, at most."""


def may_be_tones(one: EmissionRecord, other: EmissionRecord) -> bool:
    """Return whether two emissions lie as the tones of one do: beside each other, on together, alike.

    >>> from dataclasses import replace
    >>> low = EmissionRecord(1, 0, 9000, 0, 9000, -9e3, -2e3, 20.0, -30.0)
    >>> may_be_tones(low, replace(low, lower=-1e3, upper=7e3)), may_be_tones(low, replace(low, lower=9e3, upper=17e3))
    (True, False)
    """
    narrow, wide = sorted((one.bandwidth, other.bandwidth))
    gap = max(one.lower, other.lower) - min(one.upper, other.upper)
    shared = min(one.stop, other.stop) - max(one.start, other.start)
    shorter = min(one.stop - one.start, other.stop - other.start)
    return (
        -0.5 * narrow < gap < _GAP * narrow
        and wide < _LIKE_WIDE * narrow
        and abs(one.level_dbfs - other.level_dbfs) < _LIKE_STRONG
        and shared > _TOGETHER * max(1, shorter)
    )


class ToneJoiner:
    """Finds the other tone of an emission, and makes the two one.

    Args:
        table: of the emissions.
        read: returns samples of the band from a first one up to a last one; it raises `AmrqError` where they have gone.
    """

    def __init__(
        self,
        table: EmissionTable,
        read: Callable[[int, int], NDArray[np.complex64]],
    ) -> None:
        self._table, self._read = table, read

    def join(self, known: KnownEmission) -> KnownEmission | None:
        """Return the emission that an emission and its other tone are, with new edges and nothing found of it yet.

        Returns:
            One of the two entries of the table, the older one; None where there is no other tone.
        """
        with self._table.lock:
            record = known.record
            others = [
                (one, one.record)
                for one in self._table.entries()
                if one is not known and one.is_open and may_be_tones(record, one.record)
            ]
        for other, place in others:
            if self._are_opposite(record, place):
                with self._table.lock:
                    if known.part_of or other.part_of or self._table.get(other.key) is not other:
                        return None
                    whole, part = (known, other) if known.record.id < other.record.id else (other, known)
                    self._table.make_one(whole, [part], "a tone")
                    return whole
        return None

    def _are_opposite(self, one: EmissionRecord, other: EmissionRecord) -> bool:
        start, stop = max(one.start, other.start), min(one.stop, other.stop, self._table.now)
        rate, narrow = self._table.sample_rate, min(one.bandwidth, other.bandwidth)
        if stop - start < _MOMENTS * 2 * _MOMENT * rate / max(narrow, 1.0):
            return False
        start = max(start, stop - _MOST)
        try:
            iq = self._read(start, stop)
        except AmrqError:
            return False  # it has gone

        def read(first: int, count: int) -> NDArray[np.complex64]:
            return iq[first : first + count]

        return likeness_of(read, 0, len(iq), rate, one, other) < OPPOSITE
