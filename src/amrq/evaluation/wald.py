# SPDX-License-Identifier: GPL-3.0-or-later
"""The interval that the thesis takes its upper bound from."""

import math
from statistics import NormalDist

from amrq.errors import AmrqError

__all__ = ["wald"]


def wald(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wald interval of a binomial share: p -+ z sqrt(p (1 - p) / n), cut to [0, 1].

    p = k / n, and z is the standard normal quantile of (1 + confidence) / 2, 1.96 at 95 % (Agresti 2013, "Categorical
    Data Analysis", section 1.3.3). The thesis gives its upper end beside the lower end of Clopper and Pearson. It is an
    approximation: too narrow near 0 and 1, and of no width at 0 and 1 themselves, where `clopper_pearson` says what
    n trials really tell.

    Args:
        successes: k, 0 to `trials`.
        trials: n, at least 1.
        confidence: nominal probability that the interval holds the true share, above 0 and below 1.

    Raises:
        AmrqError: a value is out of its range.
    """
    if not (0 <= successes <= trials and trials >= 1 and 0 < confidence < 1):
        raise AmrqError(f"{successes} of {trials} at confidence {confidence} is not a share.")
    share = successes / trials
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(share * (1 - share) / trials)
    return max(0.0, share - reach), min(1.0, share + reach)
