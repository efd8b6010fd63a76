# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples that can be computed with, and chunks of symbols as input of a network: normalisation, level features."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "LEVEL_FEATURES",
    "SILENCE_POWER",
    "NormalisedChunks",
    "finite_samples",
    "level_features",
    "normalise",
]

SILENCE_POWER = 1e-20
"""Mean power (full scale 1) below which a chunk is silence: -200 dB, far under a 16-bit converter's last bit
and far enough above the smallest float32 that the division stays exact."""


_LARGEST_POWER = np.float32(1e24)
"""Of a sample: the squared magnitude of a transform of a million such samples is still a float32."""


def finite_samples(samples: ArrayLike) -> NDArray[np.complex64]:
    """Return samples as complex64 [N], with zeros for those that cannot be computed with: NaN, infinite, above 1e12.

    What is good throughout is returned as it is, not copied; that it is costs one pass.

    Args:
        samples: complex [N].

    >>> finite_samples(np.array([1 + 1j, np.nan, 1e13, 3], np.complex64)).tolist()
    [(1+1j), 0j, 0j, (3+0j)]
    """
    # The product of what is complex64 already warns of nothing, and so needs no state of its own.
    if (
        isinstance(samples, np.ndarray)
        and samples.dtype == np.complex64
        and np.vdot(samples, samples).real < _LARGEST_POWER
    ):
        return samples
    with np.errstate(over="ignore", invalid="ignore"):
        good = np.asarray(samples, dtype=np.complex64)
        if not np.vdot(good, good).real < _LARGEST_POWER:
            power = good.real * good.real + good.imag * good.imag
            good = np.where(power < _LARGEST_POWER, good, np.complex64(0))
    return good


class NormalisedChunks(NamedTuple):
    """Chunks as input of a model.

    Attributes:
        iq: float32 [N, 2, L], row 0 I and row 1 Q, each chunk of mean power 1; all zero if not usable.
        power: float32 [N], mean |z|^2 of each chunk before normalisation; NaN if samples are not finite.
        usable: bool [N]; False for silence and for chunks with a sample that is not finite.
    """

    iq: NDArray[np.float32]
    power: NDArray[np.float32]
    usable: NDArray[np.bool_]


def normalise(chunks: NDArray[np.complex64], unit_rms: bool = True) -> NormalisedChunks:
    """Convert complex64 [N, L] chunks to the layout and level of a model's input.

    A silent chunk (mean power below `SILENCE_POWER`) cannot be scaled, and a chunk with a NaN, an infinity or an
    overflowing power cannot be used. Both become zeros and are marked not usable.

    Args:
        chunks: complex64 [N, L].
        unit_rms: divide each chunk by its own root mean square; otherwise only the layout changes.

    >>> import numpy as np
    >>> found = normalise(np.full((2, 32), 3 + 4j, dtype=np.complex64))
    >>> found.iq.shape, found.power.tolist(), found.usable.tolist()
    ((2, 2, 32), [25.0, 25.0], [True, True])
    >>> round(float(np.mean(found.iq[0, 0] ** 2 + found.iq[0, 1] ** 2)), 3)
    1.0
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
    if np.count_nonzero(usable) != count:
        iq[~usable] = 0.0
        power = np.where(finite, power, np.float32(np.nan)).astype(np.float32)
    return NormalisedChunks(iq, power, usable)


LEVEL_FEATURES = 3
"""Numbers a chunk."""

_GAIN = np.float32(4)
_LARGEST_RATIO = np.float32(2)
"""A chunk twice as strong as its stream in amplitude is none of that stream: more would only cost resolution."""


def level_features(
    power: NDArray[np.float32], tracked_power: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return the level features of chunks: their power relative to their stream, for a model with a level input.

    With r = sqrt(power / tracked_power), at most 2: 4 max(r - 1, 0), 4 max(1 - r, 0), and 1; all zero if the stream's
    level is not known. No feature is negative: integer models need no sign bit.

    Args:
        power: float32 [N], mean |z|^2 of each chunk.
        tracked_power: float32 [N], mean |z|^2 of the stream around each chunk, noise included; NaN where it is not
            known; None if it is not known for any chunk.

    Returns:
        float32 [N, 3].

    >>> import numpy as np
    >>> level_features(np.array([1.0, 4.0], dtype=np.float32), None).shape
    (2, 3)
    """
    features = np.zeros((len(power), LEVEL_FEATURES), dtype=np.float32)
    if tracked_power is None:
        return features
    known = np.isfinite(power) & np.isfinite(tracked_power) & (tracked_power > 0)
    ratio = np.minimum(np.sqrt(power[known] / tracked_power[known]), _LARGEST_RATIO)
    features[known, 0] = _GAIN * np.maximum(ratio - 1, 0)
    features[known, 1] = _GAIN * np.maximum(1 - ratio, 0)
    features[known, 2] = 1
    return features
