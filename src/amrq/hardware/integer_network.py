# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer reference: a quantised network, run in integers to the bit."""

import os

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import level_features, normalise
from amrq.classifier import IntegerScores
from amrq.errors import AmrqError, ModelError
from amrq.files import parsing
from amrq.hardware.integer_aligner import ALIGNER_KEY, AlignerPrefix
from amrq.hardware.layers import IntegerFlattening, IntegerInputs, IntegerLayer, IntegerMean
from amrq.hardware.prefix import FloatPrefix, NumpyPrefix
from amrq.hardware.read_layers import OnnxGraph, read_layers
from amrq.model import Contract, find_model
from amrq.text import printable

__all__ = ["IntegerNetwork"]


_BATCH = 64
"""Chunks at a time at most, so that a layer's accumulators stay in the processor's cache."""
_BATCH_NUMBERS = 1 << 24
"""Numbers that a layer multiplies or gives, for the chunks at a time: of large layers they are fewer."""
_MOST_NUMBERS = 1 << 26
"""Of one chunk."""
_MOST_SCORE_SHIFT = 31
"""Accumulators have 32 bits with their sign, so that 31 more stay within int64."""


_TRIED, _SEED = 4, 1
"""Chunks that a file's own aligner is held against the one it is marked with, and what they are drawn by."""


def _aligner_of(prefix: FloatPrefix, length: int, source: str) -> AlignerPrefix:
    """Return the integer aligner, which stands for the part of a file's graph that gives the same numbers.

    Args:
        prefix: that part of the graph.
        length: samples of a chunk.
        source: the file's name in messages.

    Raises:
        ModelError: it gives other numbers on a few chunks, or the chunks are not of the aligner's length.
    """
    aligner = AlignerPrefix()
    chunks = np.random.default_rng(_SEED).standard_normal((_TRIED, 2, length)).astype(np.float32)
    chunks *= np.float32(2.0) ** -np.arange(_TRIED, dtype=np.float32)[:, None, None]
    same = length == aligner.chunk_length and all(map(np.array_equal, prefix(chunks), aligner(chunks)))
    if not same:
        raise ModelError(
            f"{source} is marked as one that aligns in integers ({ALIGNER_KEY}), but its graph gives other numbers: "
            "export it again, or take the mark out of its metadata."
        )
    return aligner


class IntegerNetwork:
    """A quantised model as layers of integers, and their arithmetic in NumPy.

    Convolutions at every symbol, with max pools or without; the mean over the symbols, or all symbols as one vector;
    behind it what else is known of the chunk; fully connected layers. It is the reference that generated hardware is
    held against. Its logits equal those of PyTorch and of ONNX Runtime to the bit: powers of two as scales make all
    their arithmetic exact, as long as their sums stay below 2^24 (`IntegerLayer.exact_in_float32`).

    Args:
        contract: of the model.
        prefix: what comes before the first rounding.
        symbol_layers: run at every symbol, in order.
        between: the mean over the symbols, or all of them as one vector.
        head_layers: run once a chunk, in order; the first takes the output of `between`, followed by the side inputs.

    Raises:
        ModelError: the parts do not belong together.

    >>> import numpy as np
    >>> from amrq.evaluation import fresh_chunks
    >>> from amrq.model import find_model
    >>> network = IntegerNetwork.from_onnx(find_model("coherent-small-int4"))
    >>> chunks = fresh_chunks("QPSK", 2, 32, 20.0, np.random.default_rng(1), any_phase=False)
    >>> scores = network.scores(chunks)
    >>> scores.integers.dtype.name, len(scores.integers)
    ('int64', 2)
    """

    def __init__(
        self,
        contract: Contract,
        prefix: FloatPrefix | NumpyPrefix | AlignerPrefix,
        symbol_layers: tuple[IntegerLayer, ...],
        between: IntegerMean | IntegerFlattening,
        head_layers: tuple[IntegerLayer, ...],
    ) -> None:
        self.contract = contract
        self.prefix = prefix
        self.symbol_layers = symbol_layers
        self.between = between
        self.head_layers = head_layers
        # One chunk of nothing tells the widths, and whether the floating-point part runs at all.
        count, length = len(contract.weighed()), contract.chunk_length
        symbols, side = prefix(*self._given(np.zeros((1, length), np.complex64), None))
        if symbols.shape != (1, symbol_layers[0].inputs, length) or head_layers[-1].outputs != count:
            raise ModelError(
                f"model {contract.name!r} gives its first layer {symbols.shape[1:]} numbers and has "
                f"{head_layers[-1].outputs} outputs, but ({symbol_layers[0].inputs}, {length}) and {count} are "
                "needed: its graph and its contract do not belong together."
            )
        chain = [layer for group in (symbol_layers, head_layers) for layer in group]
        given = [chain[0].inputs, *(layer.outputs for layer in chain[:-1])]
        given[len(symbol_layers)] = between.outputs + side.shape[1]
        for layer, width in zip(chain, given, strict=True):
            if layer.inputs != width:
                raise ModelError(
                    f"model {contract.name!r}: layer {layer.name} takes {layer.inputs} inputs but is given {width}."
                )
        pooled = int(np.prod([layer.pool for layer in symbol_layers]))
        if (between.channels, between.symbols * pooled) != (symbol_layers[-1].outputs, length):
            raise ModelError(
                f"model {contract.name!r}: {length} symbols of {symbol_layers[-1].outputs} channels with pools of "
                f"{pooled} in all are not the {between.symbols} of {between.channels} that {between.name} takes."
            )
        numbers = max(
            (length if layer.per_symbol else 1) * max(layer.inputs * layer.kernel, layer.outputs)
            for layer in chain
        )
        if numbers > _MOST_NUMBERS:
            raise ModelError(
                f"model {contract.name!r} has a layer that takes {numbers:,} numbers a chunk, more than "
                f"{_MOST_NUMBERS:,}."
            )
        self._batch = min(_BATCH, max(1, _BATCH_NUMBERS // numbers))
        exponents = head_layers[-1].accumulator_exponents
        self.score_exponent = int(exponents.min())
        self._score_shifts = exponents - self.score_exponent
        if self._score_shifts.max() > _MOST_SCORE_SHIFT:
            raise ModelError(
                f"model {contract.name!r}: the weight scales of the last layer's outputs differ by more than "
                f"2^{_MOST_SCORE_SHIFT}, too far to compare them as integers."
            )

    @classmethod
    def from_onnx(cls, model: str | os.PathLike[str] = "default") -> "IntegerNetwork":
        """Read a model file with its contract.

        Args:
            model: path of an ONNX file, name of a shipped model, or `default`.

        Raises:
            AmrqError: the package onnx is missing.
            ModelError: the file is missing, no ONNX model, without contract, in floating
                point or with scales that are no powers of two; it has operators that hardware is not made of; or a sum
                could reach 2^31.
        """
        graph = OnnxGraph(find_model(model))
        with parsing(graph.path, kind=ModelError):
            contract = graph.contract()
            read = read_layers(graph, graph.outputs[-1], contract.chunk_length)
            given = FloatPrefix(graph.model, read.symbols, read.side)
            prefix: FloatPrefix | AlignerPrefix = given
            if graph.metadata(ALIGNER_KEY) == "integer":
                prefix = _aligner_of(given, contract.chunk_length, printable(graph.path))
            try:
                return cls(contract, prefix, read.symbol_layers, read.between, read.head_layers)
            except AmrqError as error:
                raise ModelError(f"{printable(graph.path)}: {error}") from None

    @property
    def layers(self) -> tuple[IntegerLayer, ...]:
        """All layers in the order of their running; `between` lies between the two kinds."""
        return self.symbol_layers + self.head_layers

    @property
    def mean(self) -> IntegerMean:
        """The mean over the symbols.

        Raises:
            ModelError: the network has none.
        """
        if not isinstance(self.between, IntegerMean):
            raise ModelError(f"model {self.contract.name!r} takes no mean over its symbols.")
        return self.between

    @property
    def side_inputs(self) -> int:
        """Numbers that join what is made of the symbols (S)."""
        return self.head_layers[0].inputs - self.between.outputs

    @property
    def score_shifts(self) -> NDArray[np.int64]:
        """int64 [H], 0 or more: places that the last layer's accumulators are shifted to the left to have one unit."""
        return self._score_shifts

    @property
    def class_of_hypothesis(self) -> NDArray[np.int64]:
        """int64 [H]: for each score the index of its class in the contract's `classes`."""
        index = {label: number for number, label in enumerate(self.contract.classes)}
        return np.array([index[hypothesis.label] for hypothesis in self.contract.weighed()], np.int64)

    def decide(self, scores: IntegerScores) -> NDArray[np.int64]:
        """Return the class that hardware itself names: that of the best hypothesis, of equal ones that of the first.

        It stands in for the sum of the hypotheses' probabilities, which takes exponentials: whoever wants that weighs
        the scores (`amrq.classifier.Weigher`).

        Args:
            scores: of N chunks.

        Returns:
            int64 [N], indices into the contract's `classes`.
        """
        return self.class_of_hypothesis[scores.integers.argmax(axis=1)]

    def _given(
        self, chunks: NDArray[np.complex64], tracked_power: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        normalised = normalise(chunks, self.contract.normalisation == "unit-rms")
        level = level_features(normalised.power, tracked_power) if self.contract.level_input else None
        return normalised.iq, level

    def integers(
        self, chunks: NDArray[np.complex64], tracked_power: NDArray[np.float32] | None = None
    ) -> IntegerInputs:
        """Return what hardware is given for chunks.

        Args:
            chunks: complex64 [N, L]; those that are silent or not finite count as zeros.
            tracked_power: float32 [N], mean |z|^2 of the stream around each chunk; NaN or None where it is not known.

        Raises:
            AmrqError: the chunks are not of the model's length.
        """
        length = self.contract.chunk_length
        if chunks.ndim != 2 or chunks.shape[1] != length:
            raise AmrqError(
                f"model {self.contract.name!r} takes chunks of {length} samples, not an array of shape {chunks.shape}."
            )
        return self.round_inputs(*self._given(chunks, tracked_power))

    def round_inputs(
        self, iq: NDArray[np.float32], level: NDArray[np.float32] | None = None
    ) -> IntegerInputs:
        """Return what hardware is given for inputs of the ONNX model.

        Args:
            iq: float32 [N, 2, L], normalised.
            level: float32 [N, 3], what `amrq.chunks.level_features` gives, for a model with a level input.
        """
        first, head = self.symbol_layers[0], self.head_layers[0]
        if not len(iq):
            return IntegerInputs(
                np.zeros((0, self.contract.chunk_length, first.inputs), np.int64),
                np.zeros((0, self.side_inputs), np.int64),
            )
        symbols, side = self.prefix(iq, level)
        return IntegerInputs(first.input.integers(symbols.transpose(0, 2, 1)), head.input.integers(side))

    def trace(self, inputs: IntegerInputs) -> dict[str, NDArray[np.int64]]:
        """Return what each part gives, to find where hardware first differs.

        Args:
            inputs: as `integers` gives them.

        Returns:
            by the part's name, in order: int64 [N, L, out] of the symbol layers, L halved by each max pool, [N, any] of
            what lies between, [N, out] of the head layers, the last one's accumulators as they are.
        """
        found: dict[str, NDArray[np.int64]] = {}
        x = inputs.symbols
        for layer in self.symbol_layers:
            found[layer.name] = x = layer.run(x)
        found[self.between.name] = x = self.between.run(x)
        x = np.concatenate([x, inputs.side], axis=1)
        for layer in self.head_layers:
            found[layer.name] = x = layer.run(x)
        return found

    def run(self, inputs: IntegerInputs) -> IntegerScores:
        """Return the scores of what `integers` gives."""
        last = self.head_layers[-1].name
        scores = np.empty((len(inputs.symbols), self.head_layers[-1].outputs), np.int64)
        for start in range(0, len(scores), self._batch):
            accumulators = self.trace(inputs.part(start, start + self._batch))[last]
            scores[start : start + self._batch] = accumulators << self._score_shifts
        return IntegerScores(scores, self.score_exponent)

    def scores(
        self, chunks: NDArray[np.complex64], tracked_power: NDArray[np.float32] | None = None
    ) -> IntegerScores:
        """Return the scores of chunks: see `integers`."""
        return self.run(self.integers(chunks, tracked_power))
