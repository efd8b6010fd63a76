# SPDX-License-Identifier: GPL-3.0-or-later
"""Classifiers: from chunks to evidence for each class, with any engine."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import level_features, normalise
from amrq.classifier.engine import AUTO, ENGINES, Engine, engine_choices, engine_help, logits_of, make_engine
from amrq.errors import AmrqError, ModelError
from amrq.model import Contract
from amrq.options import at_least, check, described, option
from amrq.text import printable

__all__ = [
    "Backend",
    "ChunkClassifier",
    "Classifier",
    "EngineBackend",
    "Evidence",
    "Weigher",
    "make_classifier",
    "weighable",
]

_SMALLEST = np.float32(1e-30)
"""Probability that stands for none, so that its logarithm stays a number."""
_BLOCK = 512
"""Chunks that are weighed at a time, so that their numbers stay in a core's cache."""


class Evidence(NamedTuple):
    """The evidence of N chunks on C classes and H hypotheses.

    Attributes:
        log_probabilities: float32 [N, C], of each class given this chunk alone; natural logarithms. `exp` of a row
            sums to 1.
        log_likelihoods: float32 [N, H], of this chunk given each hypothesis, up to a constant for each row. Fusing
            chunks sums these.
        power: float32 [N], mean |z|^2 of each chunk; NaN if its samples are not finite.
        usable: bool [N]; False for silence and for chunks with samples that are not finite. Their rows are zero and
            hold no evidence.
        lost: bool [N]; True for chunks that were not classified, for example because a board is gone. They are not
            usable, and it is not known whether they are silent. None: no chunk was lost.
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
        """Return the evidence of selected chunks."""
        return Evidence(*(None if column is None else column[chunks] for column in self))  # type: ignore[arg-type]


class Classifier(ABC):
    """The interface of classifiers: `ChunkClassifier`, or a class of your own with these methods.

    Attributes:
        contract: of the model.
    """

    contract: Contract

    @abstractmethod
    def classify(
        self, chunks: NDArray[np.complex64], tracked_power: NDArray[np.float32] | None = None
    ) -> Evidence:
        """Classify complex64 [N, L] chunks of any level; N may be 0.

        Args:
            chunks: complex64 [N, L].
            tracked_power: float32 [N], mean |z|^2 of the stream around each chunk, NaN where it is not known; None if
                it is not known for any chunk. A model without a level input ignores it.

        Raises:
            AmrqError: the chunks do not have the model's length.
            ModelError: the model's output is not finite.
        """

    def open(self) -> None:  # noqa: B027 - most have nothing to open
        """Prepare for a run: connect to a board, if there is one."""

    def close(self) -> None:  # noqa: B027 - nor to close
        """Release what `open` acquired; `open` may be called again."""

    def hurry(self, seconds: float | None) -> None:  # noqa: B027 - nor to wait for
        """Let every call of `classify` return within so many seconds, until the next `open`; from any thread.

        None: it may take its time again.
        """

    def counters(self) -> dict[str, int]:
        """Return counters other than those of chunks, by name; from any thread."""
        return {}


class ChunkClassifier(Classifier):
    """Classify chunks with a model that an engine runs.

    The classifier checks and normalises chunks and passes the usable ones to the engine. It also computes the evidence
    from the scores, so that the evidence does not depend on the engine.

    Args:
        engine: computes the scores; `make_classifier` makes a classifier from an engine's name.

    Attributes:
        engine: as given.
        contract: of the engine's model.

    Raises:
        ModelError: the engine's model takes samples of a signal, not symbols.

    Example:
        >>> import numpy as np
        >>> from amrq.classifier import make_classifier
        >>> classifier = make_classifier("default")
        >>> bpsk = np.resize(np.complex64([1, -1, -1, 1, -1]), (1, 32))
        >>> evidence = classifier.classify(bpsk)
        >>> classifier.contract.classes[evidence.log_probabilities[0].argmax()]
        'BPSK'
    """

    def __init__(self, engine: Engine) -> None:
        engine.contract.require_symbols()
        self.engine = engine
        self.contract = engine.contract
        self._weigher = Weigher(engine.contract)

    def classify(
        self, chunks: NDArray[np.complex64], tracked_power: NDArray[np.float32] | None = None
    ) -> Evidence:
        """Classify complex64 [N, L] chunks of any level; see `Classifier.classify`."""
        contract = self.contract
        if chunks.ndim != 2 or chunks.shape[1] != contract.chunk_length:
            raise AmrqError(
                f"{printable(self.engine.source)} takes chunks of {contract.chunk_length} samples, not an array of "
                f"shape {chunks.shape}."
            )
        iq, power, usable = normalise(chunks, contract.normalisation == "unit-rms")
        level = level_features(power, tracked_power) if contract.level_input else None
        every = np.count_nonzero(usable) == len(usable)  # quicker than all() on the few chunks of a live call
        if not every:
            iq, level = iq[usable], None if level is None else level[usable]
        if len(iq):
            logits = logits_of(self.engine.run(iq, level))
        else:
            logits = np.zeros((0, self._weigher.hypotheses), np.float32)
        lost = None
        if self.engine.may_lose:
            gone = np.isnan(logits[:, 0])
            lost = np.zeros(len(chunks), np.bool_)
            if gone.any():
                lost[usable] = gone
                usable = usable & ~lost
                every = False
                logits = logits[~gone]
        said = self._weigher.weigh(logits)
        # A logit that is not finite spoils its whole row.
        if np.count_nonzero(np.isfinite(said[0])) != said[0].size:
            raise ModelError(
                f"{printable(self.engine.source)} gave outputs that are not finite: the model is not usable."
            )
        if not every:
            said = _spread(said[0], usable), _spread(said[1], usable)
        return Evidence(*said, power, usable, lost)

    def open(self) -> None:
        """Open the engine."""
        self.engine.open()

    def close(self) -> None:
        """Close the engine; `open` may be called again."""
        self.engine.close()

    def hurry(self, seconds: float | None) -> None:
        """Let every call of `classify` return within so many seconds; None: it may take its time again."""
        self.engine.hurry(seconds)

    def counters(self) -> dict[str, int]:
        """Return the engine's counters."""
        return self.engine.counters()


def _spread(rows: NDArray[np.float32], places: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return rows at their chunks' places, and zeros elsewhere."""
    whole = np.zeros((len(places), rows.shape[1]), np.float32)
    whole[places] = rows
    return whole


def make_classifier(
    model: str | os.PathLike[str] = "default", engine: str = "onnx", **options: object
) -> ChunkClassifier:
    """Return a classifier that runs a model on an engine.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.
        engine: one of `amrq.classifier.ENGINES`, or `auto`.
        options: of that engine, for example `threads=2` for `onnx`.

    Raises:
        AmrqError: the engine or option does not exist, or the engine cannot run the model.

    >>> import numpy as np
    >>> from amrq.evaluation import fresh_chunks
    >>> classifier = make_classifier("default")
    >>> evidence = classifier.classify(fresh_chunks("BPSK", 4, 32, 15.0, np.random.default_rng(1)))
    >>> [classifier.contract.classes[best] for best in evidence.log_probabilities.argmax(axis=1)]
    ['BPSK', 'BPSK', 'BPSK', 'BPSK']
    """
    return ChunkClassifier(make_engine(engine, model, **options))


class Backend(Protocol):
    """A record of options that makes a classifier: the place where chunks are classified."""

    def classifier(
        self, model: str, live: bool = False, say: Callable[[str], None] | None = None
    ) -> Classifier:
        """Return a classifier that runs a model at this place.

        Args:
            model: path of an ONNX file, name of a shipped model, or `default`.
            live: the stream must not be held up.
            say: called with each sentence for the user; None writes it to the log.

        Raises:
            ModelError: the model cannot be used.
        """
        ...


@described
@dataclass(frozen=True)
class EngineBackend:
    """A `Backend` that classifies chunks on this machine, with an engine.

    Raises:
        AmrqError: a value is out of its range.

    >>> EngineBackend("integer").classifier("coherent-small-int4").engine.name
    'integer'
    """

    engine: str = option(
        AUTO,
        engine_help(),
        choices=engine_choices(),
        flag="--engine NAME",
    )
    threads: int = option(
        1, "Threads that one call of the engine onnx uses.", within=at_least(1), advanced=True
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)

    def classifier(
        self, model: str, live: bool = False, say: Callable[[str], None] | None = None
    ) -> ChunkClassifier:
        """Return a classifier that runs a model; `live` has no effect."""
        kind = ENGINES["onnx" if self.engine == AUTO else self.engine]
        options = kind.taken(threads=self.threads, say=say)
        return make_classifier(model, self.engine, **options)


class Weigher:
    """Turns the logits of a model's hypotheses into log-probabilities and log-likelihoods.

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
        self._scale = _scale(contract)
        self._log_prior = np.log([hypothesis.prior for hypothesis in hypotheses]).astype(np.float32)
        self._least = np.log(np.maximum(np.float32(contract.outlier_share), _SMALLEST))
        self._class_start = [labels.index(name) for name in contract.classes]

    def weigh(self, logits: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weigh logits.

        Args:
            logits: float32 [N, H]; overwritten.

        Returns:
            log-probabilities float32 [N, C] and log-likelihoods float32 [N, H]: see `Evidence`. A logit that is not
            finite makes its whole row useless.
        """
        log_probabilities = np.empty((len(logits), self.classes), np.float32)
        log_likelihoods = np.empty((len(logits), self.hypotheses), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # the caller checks that all is finite
            for start in range(0, len(logits), _BLOCK):
                block = slice(start, start + _BLOCK)
                self._weigh_block(logits[block], log_probabilities[block], log_likelihoods[block])
        return log_probabilities, log_likelihoods

    def _weigh_block(
        self,
        logits: NDArray[np.float32],
        log_probabilities: NDArray[np.float32],
        log_likelihoods: NDArray[np.float32],
    ) -> None:
        """Weigh a block of logits in place, without new arrays: this runs while the radio receives."""
        if self._scale != 1:
            logits *= self._scale
        logits -= logits.max(axis=1, keepdims=True)
        probabilities = np.exp(logits)
        by_class = np.add.reduceat(probabilities, self._class_start, axis=1)
        total = by_class.sum(axis=1, keepdims=True)
        np.log(np.maximum(by_class / total, _SMALLEST), out=log_probabilities)
        # p(x|h) is p(h|x) / p(h) up to p(x). A share of chunks is spoilt and gives no evidence, which bounds the
        # evidence of any chunk: log((1 - share) p(x|h) + share). The larger of the two terms is within log 2 of it.
        np.subtract(logits, np.log(total), out=log_likelihoods)
        log_likelihoods -= self._log_prior
        np.maximum(log_likelihoods, self._least, out=log_likelihoods)


def weighable(logits: NDArray[np.float32], contract: Contract) -> NDArray[np.bool_]:
    """Return which rows of logits can be weighed: bool [N], False if a number is not finite or too large.

    Args:
        logits: float32 [N, H].
        contract: of the model.
    """
    with np.errstate(over="ignore"):
        return np.asarray(np.isfinite(logits * _scale(contract)).all(axis=1))


def _scale(contract: Contract) -> np.float32:
    """Return the factor on logits: 1 / temperature."""
    return np.float32(1) if contract.temperature == 1 else np.float32(1 / contract.temperature)
