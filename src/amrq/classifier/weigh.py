# SPDX-License-Identifier: GPL-3.0-or-later
"""From a network's logits to evidence, wherever the network was computed."""

import numpy as np
from numpy.typing import NDArray

from amrq.model import Contract

__all__ = ["Weigh"]

_SMALLEST = np.float32(1e-30)
"""Probability that stands for none, so that its logarithm stays a number."""


class Weigh:
    """Turn the logits of a model's hypotheses into both kinds of evidence.

    Args:
        contract: of the model.

    Attributes:
        classes: number of classes (C).
        hypotheses: number of hypotheses, the logits' columns (H).
    """

    def __init__(self, contract: Contract) -> None:
        hypotheses = contract.weighed()
        labels = [hypothesis.label for hypothesis in hypotheses]
        self.classes = len(contract.classes)
        self.hypotheses = len(hypotheses)
        self._temperature = contract.temperature
        self._log_prior = np.log([hypothesis.prior for hypothesis in hypotheses]).astype(np.float32)
        self._least = np.log(np.maximum(np.float32(contract.outlier_share), _SMALLEST))
        self._class_start = [labels.index(name) for name in contract.classes]

    def __call__(
        self,
        logits: NDArray[np.float32],
        log_probabilities: NDArray[np.float32],
        log_likelihoods: NDArray[np.float32],
    ) -> None:
        """Weigh logits; all in place, since this runs beside the radio.

        Args:
            logits: float32 [n, H], spoilt thereby.
            log_probabilities: float32 [n, C], written: see `Evidence`. A logit that is not finite spoils its whole row.
            log_likelihoods: float32 [n, H], written: see `Evidence`.
        """
        if self._temperature != 1:
            logits *= np.float32(1 / self._temperature)
        logits -= logits.max(axis=1, keepdims=True)
        probabilities = np.exp(logits)
        by_class = np.add.reduceat(probabilities, self._class_start, axis=1)
        total = by_class.sum(axis=1, keepdims=True)
        np.log(np.maximum(by_class / total, _SMALLEST), out=log_probabilities)
        # p(x|h) is p(h|x) / p(h) up to p(x). A spoilt chunk says nothing, and bounds what any chunk can say:
        # log((1 - share) p(x|h) + share), of which the larger of the two terms is within log 2.
        np.subtract(logits, np.log(total), out=log_likelihoods)
        log_likelihoods -= self._log_prior
        np.maximum(log_likelihoods, self._least, out=log_likelihoods)
