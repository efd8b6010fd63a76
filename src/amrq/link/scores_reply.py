# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores into a message."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from amrq.hardware import Scores
from amrq.link.frame import Frame
from amrq.link.is_scale import is_scale
from amrq.link.message_type import MessageType
from amrq.link.score_format import ScoreFormat

__all__ = ["joined_scores", "scores_reply"]

_INT32 = np.iinfo(np.int32)


def joined_scores(parts: Sequence[Scores | NDArray[np.float32]]) -> Scores | NDArray[np.float32]:
    """Return the scores of a message that the engine computed in parts, in order."""
    if len(parts) == 1:
        return parts[0]
    whole = [part for part in parts if isinstance(part, Scores)]
    if len(whole) == len(parts) and len({part.exponent for part in whole}) == 1:
        return Scores(np.concatenate([part.integers for part in whole]), whole[0].exponent)
    return np.concatenate([part.logits if isinstance(part, Scores) else part for part in parts])


def scores_reply(request: Frame, scores: Scores | NDArray[np.float32]) -> Frame:
    """Answer a classify message.

    Args:
        request: that message.
        scores: of its chunks; integers of which one does not fit int32 are sent as floating point.
    """
    format, scale = ScoreFormat.FLOAT32, 1.0
    if isinstance(scores, Scores):
        values: NDArray[np.generic] = scores.integers
        fits = scores.integers.size == 0 or (
            scores.integers.min() >= _INT32.min and scores.integers.max() <= _INT32.max
        )
        if fits and is_scale(2.0**scores.exponent):
            format, scale = ScoreFormat.INT32, 2.0**scores.exponent
        else:
            values = scores.logits
    else:
        values = scores
    return Frame(
        type=MessageType.SCORES,
        session=request.session,
        sequence=request.sequence,
        payload=values.astype(format.dtype, copy=False).tobytes(),
        format=format,
        flags=0,
        sample_index=request.sample_index,
        chunks=request.chunks,
        chunk_length=request.chunk_length,
        scores=values.shape[1],
        scale=scale,
    )
