# SPDX-License-Identifier: GPL-3.0-or-later
"""A model run by onnxruntime on the CPU."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import normalise
from amrq.classifier.evidence import Evidence
from amrq.errors import AmrqError
from amrq.model import Contract, find_model
from amrq.model.contract_file import contract_of_session, open_session

__all__ = ["OnnxClassifier"]

_LARGEST_CALL = 512
"""Chunks handed to onnxruntime at a time: enough to spread a call's fixed cost of some 30 us, few enough that the
activations of the shipped models stay in a core's cache."""


_SMALLEST = np.float32(1e-30)
"""Probability that stands for none, so that its logarithm stays a number."""


class OnnxClassifier:
    """Classify chunks with an ONNX model that carries its contract.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.
        threads: threads inside one call; 1 is fastest on small machines and leaves the rest to the radio.

    Raises:
        AmrqError: the model is missing, no ONNX file, has no contract or breaks it.
    """

    def __init__(self, model: str | os.PathLike[str] = "default", threads: int = 1) -> None:
        if threads < 1:
            raise AmrqError(f"a classifier needs at least 1 thread, not {threads}.")
        self.path = find_model(model)
        self._session: Any = open_session(self.path, threads)
        self._contract = contract_of_session(self._session, self.path)
        self._input = self._session.get_inputs()[0].name
        # The hypotheses' output where there is one: the classes' probabilities follow from it.
        self._output = [self._session.get_outputs()[-1].name]
        hypotheses = self._contract.weighed()
        self._prior = np.array([hypothesis.prior for hypothesis in hypotheses], dtype=np.float32)
        labels = [hypothesis.label for hypothesis in hypotheses]
        self._class_start = [labels.index(name) for name in self._contract.classes]

    @property
    def contract(self) -> Contract:
        """The contract in the model file."""
        return self._contract

    def classify(self, chunks: NDArray[np.complex64]) -> Evidence:
        """Classify complex64 [N, L] chunks of any level.

        Raises:
            AmrqError: the chunks are not of the model's length, or the model gave something not finite.
        """
        length = self._contract.chunk_length
        if chunks.ndim != 2 or chunks.shape[1] != length:
            raise AmrqError(
                f"{self.path.name} takes chunks of {length} samples, not an array of shape {chunks.shape}."
            )
        normalised = normalise(chunks, self._contract.normalisation == "unit-rms")
        parts = [
            self._session.run(self._output, {self._input: normalised.iq[start : start + _LARGEST_CALL]})[0]
            for start in range(0, len(chunks), _LARGEST_CALL)
        ]
        logits = np.concatenate(parts) if parts else np.empty((0, len(self._prior)), np.float32)
        # Softmax, in place where it can be: this runs beside the radio.
        logits *= np.float32(1 / self._contract.temperature)
        logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
        probabilities = np.exp(logits)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        by_class = np.add.reduceat(probabilities, self._class_start, axis=1)
        # p(x|h) is p(h|x) / p(h) up to p(x); a spoilt chunk, with probability `outlier_share`, says nothing.
        share = self._contract.outlier_share
        probabilities *= (1 - share) / self._prior
        probabilities += share
        log_probabilities = np.log(np.maximum(by_class, _SMALLEST))
        log_likelihoods = np.log(np.maximum(probabilities, _SMALLEST))
        if not normalised.usable.all():
            log_probabilities[~normalised.usable] = 0.0
            log_likelihoods[~normalised.usable] = 0.0
        if not np.isfinite(log_likelihoods).all():
            raise AmrqError(f"{self.path.name} gave outputs that are not finite: the model is broken.")
        return Evidence(log_probabilities, log_likelihoods, normalised.power, normalised.usable)

    def open(self) -> None:
        """Do nothing: the session is there as long as the classifier."""

    def close(self) -> None:
        """Do nothing."""
