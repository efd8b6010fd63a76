# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit-RMS normalisation of chunks, with silence and broken samples defined."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SILENCE_POWER", "NormalisedChunks", "normalise"]

SILENCE_POWER = 1e-20
"""Mean power (full scale 1) below which a chunk is silence: -200 dB, far under a 16-bit converter's last bit
and far enough above the smallest float32 that the division stays exact."""


class NormalisedChunks(NamedTuple):
    """Chunks as a model takes them.

    Attributes:
        iq: float32 [N, 2, L], row 0 I and row 1 Q, each chunk of mean power 1; all zero where not usable.
        power: float32 [N], mean |z|^2 of each chunk before normalisation; NaN where samples are not finite.
        usable: bool [N]; False for silence and for chunks with a sample that is not finite.
    """

    iq: NDArray[np.float32]
    power: NDArray[np.float32]
    usable: NDArray[np.bool_]


def normalise(chunks: NDArray[np.complex64], unit_rms: bool = True) -> NormalisedChunks:
    """Bring complex64 [N, L] chunks to the layout and level that a model takes.

    A chunk of silence (mean power below `SILENCE_POWER`) has no direction to scale in, and one with a NaN,
    an infinity or an overflowing power has no meaning: both come back as zeros, marked not usable.

    Args:
        chunks: complex64 [N, L].
        unit_rms: divide each chunk by its own root mean square; otherwise only the layout changes.
    """
    chunks = np.ascontiguousarray(chunks, dtype=np.complex64)
    count, length = chunks.shape
    interleaved = chunks.view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        power = np.einsum("nl,nl->n", interleaved, interleaved) / np.float32(max(length, 1))
    finite = np.isfinite(power)
    usable = finite & (power >= SILENCE_POWER)
    scale = np.ones(count, dtype=np.float32)
    if unit_rms:
        np.divide(1.0, np.sqrt(power, where=usable, out=scale), where=usable, out=scale)
    iq = np.empty((count, 2, length), dtype=np.float32)
    np.multiply(chunks.real, scale[:, None], out=iq[:, 0])
    np.multiply(chunks.imag, scale[:, None], out=iq[:, 1])
    if not usable.all():
        iq[~usable] = 0.0
        power = np.where(finite, power, np.float32(np.nan)).astype(np.float32)
    return NormalisedChunks(iq, power, usable)
