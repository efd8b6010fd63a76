# SPDX-License-Identifier: GPL-3.0-or-later
"""Classifiers of chunks: from scores to the weight of each class."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import level_features, normalise
from amrq.errors import AmrqError, ModelError
from amrq.model import Contract, find_model, open_model
from amrq.options import at_least, check, described, option

__all__ = ["Backend", "Classifier", "Evidence", "LossyClassifier", "OnnxBackend", "OnnxClassifier", "Weigh"]


class Evidence(NamedTuple):
    """What a batch of N chunks says about C classes and H hypotheses.

    Attributes:
        log_probabilities: float32 [N, C], of each class given this chunk alone; natural logarithms, each row sums
            to 1 after `exp`.
        log_likelihoods: float32 [N, H], of this chunk given each hypothesis, up to a constant a row: what is summed
            when chunks are fused.
        power: float32 [N], mean |z|^2 of each chunk; NaN where its samples are not finite.
        usable: bool [N]; False for silence and for chunks with samples that are not finite, whose rows are zero
            and say nothing.
        lost: bool [N]; True for chunks that nobody classified (a board that is gone), which are not usable either but
            are no silence: nothing is known of them. None: there are none.
    """

    log_probabilities: NDArray[np.float32]
    log_likelihoods: NDArray[np.float32]
    power: NDArray[np.float32]
    usable: NDArray[np.bool_]
    lost: NDArray[np.bool_] | None = None

    def part(self, start: int, stop: int) -> "Evidence":
        """Return the evidence of chunks `start` up to `stop`."""
        return self.select(slice(start, stop))

    def select(self, chunks: slice | NDArray[np.bool_] | NDArray[np.int64]) -> "Evidence":
        """Return the evidence of some chunks."""
        return Evidence(*(None if column is None else column[chunks] for column in self))  # type: ignore[arg-type]


class Classifier(Protocol):
    """A classifier on this machine's CPU, or on a board behind a link."""

    @property
    def contract(self) -> Contract:
        """What the model promises and needs."""
        ...

    def open(self) -> None:
        """Get ready for a run: connect, if there is something to connect to."""
        ...

    def classify(
        self, chunks: NDArray[np.complex64], tracked_power: NDArray[np.float32] | None = None
    ) -> Evidence:
        """Classify complex64 [N, L] chunks; N may be 0.

        Args:
            chunks: complex64 [N, L].
            tracked_power: float32 [N], mean |z|^2 of the stream around each chunk, NaN where it is not known; None if
                it is known nowhere.
        """
        ...

    def close(self) -> None:
        """Give back what `open` took; a next run opens it again."""
        ...


class Backend(Protocol):
    """Where chunks are classified: a record of options that makes a classifier."""

    def classifier(
        self, model: str, live: bool = False, say: Callable[[str], None] | None = None
    ) -> Classifier:
        """Return a classifier that runs a model there.

        Args:
            model: path of an ONNX file, name of a shipped model, or `default`.
            live: the stream must not be held up.
            say: called with a sentence for people; None: the log.

        Raises:
            ModelError: the model cannot be used.
        """
        ...


@runtime_checkable
class LossyClassifier(Classifier, Protocol):
    """A classifier that may lose chunks, and may have to wait: one on a board behind a link.

    Chunks that it loses are marked in its evidence.
    """

    def hurry(self, seconds: float) -> None:
        """Let every call of `classify` return within so many seconds, until the next `open`; from any thread."""
        ...

    def counters(self) -> dict[str, int]:
        """Return counters by name; from any thread."""
        ...


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


class OnnxClassifier:
    """Classify chunks with an ONNX model that carries its contract.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.
        threads: threads inside one call; 1 is fastest on small machines and leaves the rest to the radio.

    Raises:
        ModelError: the model is missing, no ONNX file, has no contract or breaks it.
        AmrqError: there is less than one thread.
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
            AmrqError: the chunks are not of the model's length.
            ModelError: the model gave something not finite.
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
                raise ModelError(f"{self.path.name} gave outputs that are not finite: the model is broken.")
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
