# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a model's probabilities mean what they say."""

from collections.abc import Sequence

import torch

from amrq.model import Hypothesis
from amrq.training.class_logits import class_logits

__all__ = ["calibrate"]


def calibrate(logits: torch.Tensor, labels: torch.Tensor, hypotheses: Sequence[Hypothesis]) -> float:
    """Return the temperature that gives held-out chunks the lowest cross entropy of the classes.

    Args:
        logits: float32 [N, hypotheses] of held-out chunks.
        labels: int64 [N], the true classes.
        hypotheses: what the columns stand for, grouped by class.

    Returns:
        the temperature, 0.2 to 5: divide the logits by it (Guo et al. 2017, section 4.2).
    """
    exact = logits.double()

    def cross_entropy(inverse: float) -> float:
        return float(torch.nn.functional.cross_entropy(class_logits(exact * inverse, hypotheses), labels))

    # Golden sections close in on the one minimum over 1/temperature.
    low, high = 0.2, 5.0
    ratio = (5**0.5 - 1) / 2
    for _ in range(30):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if cross_entropy(a) < cross_entropy(b):
            high = b
        else:
            low = a
    return 2 / (low + high)
