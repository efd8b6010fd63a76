# SPDX-License-Identifier: GPL-3.0-or-later
"""Which chunks of a recording can be labelled, and with what."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.labels.labelled_spans import Span

__all__ = ["Reason", "SelectedChunks", "select_chunks"]


class Reason:
    """Why a chunk is not used."""

    OUTSIDE = "outside annotations"
    DISAGREE = "labels disagree"
    GATED = "below the gate"
    SETTLING = "front end settling"
    THINNED = "more than wanted"


class SelectedChunks(NamedTuple):
    """Chunks with labels.

    Attributes:
        rows: int64 [N], which of the chunks, rising.
        labels: their labels, N of them.
        dropped: how many others were left out, by reason: one of `Reason`, or `label not known: NAME`.
    """

    rows: NDArray[np.int64]
    labels: list[str]
    dropped: Counter[str]


def select_chunks(
    starts: NDArray[np.float64],
    stops: NDArray[np.float64],
    audible: NDArray[np.bool_],
    spans: Sequence[Span],
    settling: float = 0.0,
    margin: float = 0.0,
    most: int = 0,
) -> SelectedChunks:
    """Label the chunks that lie wholly within a stretch of one label, behind the front end's settling.

    A chunk that a stretch of another label reaches into, whether that label is known or not, has none.

    Args:
        starts: float64 [M], rising: where each chunk begins, samples of the recording.
        stops: float64 [M], rising: where it ends.
        audible: bool [M], False for chunks that a gate has closed on.
        spans: in order of their starts.
        settling: samples behind the start of a stretch that a front end needs.
        margin: samples that a chunk must keep from either end of a stretch, since places are not exact.
        most: of each label; of more, evenly spread ones are used. 0 for no limit.
    """
    count = len(starts)
    names = list(dict.fromkeys(span.label for span in spans))
    known = {span.label for span in spans if span.known}
    label = np.full(count, -1)
    disagree = np.zeros(count, dtype=np.bool_)
    within = np.zeros(count, dtype=np.bool_)
    settled = np.zeros(count, dtype=np.bool_)
    for span in spans:
        number = names.index(span.label)
        # Those that the stretch reaches into, and of these the ones wholly in it.
        near = slice(
            int(np.searchsorted(stops, span.start, side="right")), int(np.searchsorted(starts, span.stop))
        )
        disagree[near] |= (label[near] >= 0) & (label[near] != number)
        label[near] = number
        inside = (starts[near] >= span.start + margin) & (stops[near] <= span.stop - margin)
        within[near] |= inside
        settled[near] |= inside & (starts[near] >= span.start + settling)
    # Of several reasons the first counts.
    unknown = [(label == n, f"label not known: {name}") for n, name in enumerate(names) if name not in known]
    rules = [
        (~within, Reason.OUTSIDE),
        (disagree, Reason.DISAGREE),
        *unknown,
        (~audible, Reason.GATED),
        (~settled, Reason.SETTLING),
    ]
    usable = np.ones(count, dtype=np.bool_)
    dropped: Counter[str] = Counter()
    for holds, why in rules:
        dropped[why] += int((usable & holds).sum())
        usable &= ~holds
    for number in range(len(names)) if most else ():
        mine = np.flatnonzero(usable & (label == number))
        if len(mine) > most:
            usable[mine] = False
            usable[mine[np.arange(most) * len(mine) // most]] = True
            dropped[Reason.THINNED] += len(mine) - most
    rows = np.flatnonzero(usable).astype(np.int64)
    return SelectedChunks(rows, [names[number] for number in label[rows]], +dropped)
