# SPDX-License-Identifier: GPL-3.0-or-later
"""A model run by onnxruntime on the CPU."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import level_features, normalise
from amrq.classifier.evidence import Evidence
from amrq.classifier.weigh import Weigh
from amrq.errors import AmrqError
from amrq.model import Contract, find_model
from amrq.model.contract_file import open_model
from amrq.options import at_least, check, described, option

__all__ = ["OnnxBackend", "OnnxClassifier"]


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
        loaded = open_model(self.path, threads)
        self._session: Any = loaded.session
        self._contract = loaded.contract
        self._largest_call = loaded.largest_call
        self._input = self._session.get_inputs()[0].name
        # The hypotheses' output where there is one: the classes' probabilities follow from it.
        self._output = [self._session.get_outputs()[-1].name]
        self._weigh = Weigh(self._contract)

    @property
    def contract(self) -> Contract:
        """The contract in the model file."""
        return self._contract

    def classify(
        self, chunks: NDArray[np.complex64], tracked_power: NDArray[np.float32] | None = None
    ) -> Evidence:
        """Classify complex64 [N, L] chunks of any level.

        Args:
            chunks: complex64 [N, L].
            tracked_power: float32 [N], mean |z|^2 of the stream around each chunk; NaN or None where it is not known. A
                model without a level input has no use for it.

        Raises:
            AmrqError: the chunks are not of the model's length, or the model gave something not finite.
        """
        length = self._contract.chunk_length
        if chunks.ndim != 2 or chunks.shape[1] != length:
            raise AmrqError(
                f"{self.path.name} takes chunks of {length} samples, not an array of shape {chunks.shape}."
            )
        normalised = normalise(chunks, self._contract.normalisation == "unit-rms")
        log_probabilities = np.empty((len(chunks), self._weigh.classes), dtype=np.float32)
        log_likelihoods = np.empty((len(chunks), self._weigh.hypotheses), dtype=np.float32)
        inputs = {self._input: normalised.iq}
        if self._contract.level_input:
            inputs["level"] = level_features(normalised.power, tracked_power)
        for start in range(0, len(chunks), self._largest_call):
            part = slice(start, start + self._largest_call)
            fed = {name: values[part] for name, values in inputs.items()}
            (logits,) = self._session.run(self._output, fed)
            self._weigh(logits, log_probabilities[part], log_likelihoods[part])
            if not np.isfinite(log_probabilities[part]).all():  # one broken logit spoils its whole row here
                raise AmrqError(f"{self.path.name} gave outputs that are not finite: the model is broken.")
        if not normalised.usable.all():
            log_probabilities[~normalised.usable] = 0.0
            log_likelihoods[~normalised.usable] = 0.0
        return Evidence(log_probabilities, log_likelihoods, normalised.power, normalised.usable)

    def open(self) -> None:
        """Do nothing: the session is there as long as the classifier."""

    def close(self) -> None:
        """Do nothing."""


@described
@dataclass(frozen=True)
class OnnxBackend:
    """Chunks are classified on this CPU, by ONNX Runtime: a `Backend`.

    Raises:
        AmrqError: a value is out of its range.
    """

    threads: int = option(1, "Threads of one call of the classifier.", within=at_least(1), advanced=True)

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)

    def classifier(
        self, model: str, live: bool = False, say: Callable[[str], None] | None = None
    ) -> OnnxClassifier:
        """Return a classifier that runs a model; it needs neither `live` nor `say`."""
        return OnnxClassifier(model, self.threads)
