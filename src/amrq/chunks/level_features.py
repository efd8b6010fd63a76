# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tracked level of a stream adds to a chunk of unit RMS."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVEL_FEATURES", "level_features"]

LEVEL_FEATURES = 3
"""Numbers a chunk."""

_GAIN = np.float32(4)
_LARGEST_RATIO = np.float32(2)
"""A chunk twice as strong as its stream in amplitude is none of that stream: more would only cost resolution."""


def level_features(
    power: NDArray[np.float32], tracked_power: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return how much stronger or weaker than their stream chunks are, as a model with a level input takes it.

    With r = sqrt(power / tracked_power), at most 2: 4 max(r - 1, 0), 4 max(1 - r, 0), and 1; all zero where the
    stream's level is not known. None is negative, so that integer models lose no bit to a sign.

    Args:
        power: float32 [N], mean |z|^2 of each chunk.
        tracked_power: float32 [N], mean |z|^2 of the stream around it, noise included; NaN where it is not known, None
            if it is known nowhere.

    Returns:
        float32 [N, 3].
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
