# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled chunks to learn from, and others to be tested on."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.labels.labelled_chunks import LabelledChunks

__all__ = ["HeldOut", "hold_out"]

_SHARE = 0.2
_GAP = 4
"""Chunks left out before the held-out ones: a front end's loops remember some 100 symbols, its level 64."""
_FEWEST = 16
"""Of a label in a recording: of fewer, none is held out."""


class HeldOut(NamedTuple):
    """One recording's chunks, parted.

    Attributes:
        learnt: int64, rows to learn from.
        tested: int64, rows held out.
    """

    learnt: NDArray[np.int64]
    tested: NDArray[np.int64]


def hold_out(recordings: Sequence[LabelledChunks], whole: Collection[str] = ()) -> list[HeldOut]:
    """Part recordings in time: neighbouring chunks share channel, level and carrier, and would test memory.

    Of each label in each recording the last fifth in time is held out, and the 4 chunks before it are not used; of a
    label with fewer than 16 chunks none is. Where whole recordings are named, these are held out and nothing of the
    others is.

    Args:
        recordings: what there is.
        whole: names of recordings to hold out.

    Raises:
        AmrqError: there is no recording of such a name, or nothing is left to learn from.
    """
    names = [recording.name for recording in recordings]
    for name in whole:
        if name not in names:
            raise AmrqError(
                f"there are no labelled chunks {name!r} to hold out: choose from {', '.join(names)}."
            )
    nothing = np.empty(0, np.int64)
    parted: list[HeldOut] = []
    for recording in recordings:
        every = np.arange(len(recording.labels))
        if whole:
            parted.append(HeldOut(nothing, every) if recording.name in whole else HeldOut(every, nothing))
            continue
        learnt, tested = [nothing], [nothing]
        for label in np.unique(recording.labels):
            mine = np.flatnonzero(recording.labels == label)  # in the order of time
            held = round(_SHARE * len(mine)) if len(mine) >= _FEWEST else 0
            tested.append(mine[len(mine) - held :])
            learnt.append(mine[: len(mine) - held - (_GAP if held else 0)])
        parted.append(HeldOut(np.sort(np.concatenate(learnt)), np.sort(np.concatenate(tested))))
    if not any(len(part.learnt) for part in parted):
        raise AmrqError("all labelled chunks are held out, and none is left to learn from.")
    return parted
