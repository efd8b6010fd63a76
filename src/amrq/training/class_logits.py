# SPDX-License-Identifier: GPL-3.0-or-later
"""From hypotheses to classes."""

from collections.abc import Sequence
from itertools import groupby

import torch

from amrq.model import Hypothesis

__all__ = ["class_logits"]


def class_logits(logits: torch.Tensor, hypotheses: Sequence[Hypothesis]) -> torch.Tensor:
    """Add up the probabilities of each class's hypotheses: float32 [N, hypotheses] -> [N, classes].

    Args:
        logits: of the hypotheses.
        hypotheses: what the columns stand for, grouped by class.
    """
    sizes = [len(list(group)) for _, group in groupby(hypothesis.label for hypothesis in hypotheses)]
    parts = torch.split(logits, sizes, dim=1)
    return torch.cat([torch.logsumexp(part, dim=1, keepdim=True) for part in parts], dim=1)
