# SPDX-License-Identifier: GPL-3.0-or-later
"""How likely the frequencies of symbols are with levels, and without any."""

import math

import numpy as np
from numpy.typing import NDArray

from amrq.native import kernels

__all__ = ["level_likelihood", "smooth_likelihood"]

_NORMAL = 0.5 * math.log(2 * math.pi * math.e)

_Reals = NDArray[np.float64]
_Ints = NDArray[np.int64]


def smooth_likelihood(values: _Reals) -> float:
    """Return the log-likelihood of values by the best of three densities without levels, less what two numbers cost."""
    count = len(values)
    reach, variance, away = _spreads(values)
    if not reach > 0:
        return math.inf
    uniform = -math.log(reach)
    normal = -math.log(math.sqrt(variance)) - _NORMAL
    laplace = -math.log(2 * away) - 1
    return count * max(uniform, normal, laplace) - math.log(count)


def _spreads(values: _Reals) -> tuple[float, float, float]:
    """Return how far values reach, their variance, and their mean distance from the median."""
    native = kernels()
    if native is not None and native.has_row_tops:
        return native.spreads(values)
    ordered, count = np.sort(values), len(values)
    away = values - float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    beside = values - float(values.mean())
    return float(ordered[-1] - ordered[0]), float(beside @ beside) / count, float(np.mean(np.abs(away)))


def level_likelihood(left: float, numbers: _Ints, levels: int, parameters: int) -> float:
    """Return the log-likelihood of levels with normal errors, less what the parameters cost.

    Args:
        left: RMS error, Hz.
        numbers: int64 [n], level of each symbol.
        levels: how many there are.
        parameters: numbers that were fitted, beside the shares of the levels.
    """
    count = len(numbers)
    shares = np.bincount(numbers, minlength=levels)[:levels] / count
    shares = shares[shares > 0]
    entropy = -float(shares @ np.log(shares))
    cost = 0.5 * math.log(count)
    # Shares are fitted where there are few levels, and equal where there are many.
    if (levels - 1) * cost > count * (math.log(levels) - entropy):
        chosen = count * math.log(levels)
    else:
        chosen = count * entropy + (levels - 1) * cost
    return -count * (math.log(max(left, 1e-9)) + _NORMAL) - chosen - parameters * cost
