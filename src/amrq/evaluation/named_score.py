# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure a decision is of one of the named modulations."""

import numpy as np

from amrq.decision import Decision
from amrq.modulations import MODULATIONS

__all__ = ["named_score"]

_MOST = 700.0
"""Log-odds that stand for certainty: beyond, probabilities leave the range of a double."""


def named_score(decision: Decision) -> tuple[str, float]:
    """Return the most probable named modulation, and ln(p / (1 - p)) of its probability, at most 700 either way.

    A decision that weighed no modulation names none: an empty name at -700.
    """
    named = {name: value for name, value in decision.log_probabilities.items() if name in MODULATIONS}
    if not named:
        return "", -_MOST
    best = max(named, key=lambda name: named[name])
    rest = [value for name, value in decision.log_probabilities.items() if name != best]
    against = float(np.logaddexp.reduce(rest)) if rest else -_MOST
    return best, float(np.clip(named[best] - against, -_MOST, _MOST))
