# SPDX-License-Identifier: GPL-3.0-or-later
"""What one integer step may stand for."""

import numpy as np

__all__ = ["is_scale"]


def is_scale(scale: float) -> bool:
    """Return whether `scale` is a power of two that float32 holds as a normal number."""
    mantissa, exponent = np.frexp(np.float64(scale))
    return bool(mantissa == 0.5 and -125 <= exponent <= 128)
