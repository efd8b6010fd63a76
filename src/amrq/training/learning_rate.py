# SPDX-License-Identifier: GPL-3.0-or-later
"""How the learning rate goes over a training."""

import math

__all__ = ["learning_rate_share"]


def learning_rate_share(step: int, steps: int) -> float:
    """Return the share of the highest learning rate: a short rise, then a cosine (Loshchilov and Hutter 2017)."""
    warm = max(1, steps // 50)
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)))
