# SPDX-License-Identifier: GPL-3.0-or-later
"""A model run by the integer reference."""

import os

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import normalise
from amrq.classifier import Evidence, Weigh
from amrq.hardware.integer_network import IntegerNetwork
from amrq.model import Contract

__all__ = ["IntegerClassifier"]


class IntegerClassifier:
    """Classify chunks as hardware would, in integers; a `Classifier`.

    It takes the place of `OnnxClassifier` anywhere, and several times its time.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.

    Raises:
        ModelError: as `IntegerNetwork.from_onnx`.
    """

    def __init__(self, model: str | os.PathLike[str] = "default") -> None:
        self.network = IntegerNetwork.from_onnx(model)
        self._weigh = Weigh(self.network.contract)

    @property
    def contract(self) -> Contract:
        """The contract in the model file."""
        return self.network.contract

    def classify(
        self, chunks: NDArray[np.complex64], tracked_power: NDArray[np.float32] | None = None
    ) -> Evidence:
        """Classify complex64 [N, L] chunks of any level.

        Args:
            chunks: complex64 [N, L].
            tracked_power: float32 [N], mean |z|^2 of the stream around each chunk; NaN or None where it is not known. A
                model without a level input has no use for it.

        Raises:
            AmrqError: the chunks are not of the model's length.
        """
        logits = self.network.scores(chunks, tracked_power).logits
        log_probabilities = np.empty((len(chunks), self._weigh.classes), np.float32)
        log_likelihoods = np.empty((len(chunks), self._weigh.hypotheses), np.float32)
        self._weigh(logits, log_probabilities, log_likelihoods)
        normalised = normalise(chunks, self.contract.normalisation == "unit-rms")
        log_probabilities[~normalised.usable] = 0.0
        log_likelihoods[~normalised.usable] = 0.0
        return Evidence(log_probabilities, log_likelihoods, normalised.power, normalised.usable)

    def open(self) -> None:
        """Do nothing: the network is there as long as the classifier."""

    def close(self) -> None:
        """Do nothing."""
