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


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float32)


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
            self._session.run(None, {self._input: normalised.iq[start : start + _LARGEST_CALL]})[0]
            for start in range(0, len(chunks), _LARGEST_CALL)
        ]
        logits = np.concatenate(parts) if parts else np.empty((0, len(self._contract.classes)), np.float32)
        log_probabilities = _log_softmax(logits / np.float32(self._contract.temperature)) if parts else logits
        log_probabilities[~normalised.usable] = 0.0
        if not np.isfinite(log_probabilities).all():
            raise AmrqError(f"{self.path.name} gave outputs that are not finite: the model is broken.")
        return Evidence(log_probabilities, normalised.power, normalised.usable)

    def close(self) -> None:
        """Release the session."""
        self._session = None
