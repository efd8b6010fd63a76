# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that is compiled: the integer network of a model in C, equal to the reference to the bit."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Engine, IntegerScores
from amrq.errors import AmrqError
from amrq.hardware.aligner_tables import aligner_tables
from amrq.hardware.integer_aligner import AlignerPrefix
from amrq.hardware.integer_engine import IMAGE_SUFFIX, exact_input, read_network
from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.layers import IntegerLayer
from amrq.model import find_model
from amrq.native import CompiledNetwork, NetworkLayer, check_layers, kernels

__all__ = ["NativeEngine", "NativeParts", "compiled", "native_parts"]


class NativeParts(NamedTuple):
    """What the compiled library is given of a network.

    Attributes:
        tables: of the aligner, by name.
        symbol_layers: run at every symbol.
        head_layers: run once a chunk.
        mean_shift: from the sum over the symbols to what the head is given, to the right.
        aligned: the network begins with the integer aligner.
    """

    tables: dict[str, NDArray[np.int64]]
    symbol_layers: list[NetworkLayer]
    head_layers: list[NetworkLayer]
    mean_shift: int
    aligned: bool


def native_parts(network: IntegerNetwork) -> NativeParts:
    """Return a network as the compiled library takes it.

    Args:
        network: of chunks of 32; with the integer aligner, or with no more than magnitudes before its first layer.

    Raises:
        AmrqError: the library does not run such a network.
    """
    if network.contract.chunk_length != 32:
        raise AmrqError(
            f"the engine native runs models of chunks of 32 samples, not of {network.contract.chunk_length}."
        )
    points = (network.symbol_layers[0].input, network.head_layers[0].input)
    aligned = isinstance(network.prefix, AlignerPrefix)
    if aligned and points != AlignerPrefix.points:
        raise AmrqError(
            "the engine native runs models whose first layer takes what the integer aligner gives."
        )
    if not aligned and not set(network.prefix.operations) <= {"Abs"}:
        raise AmrqError(
            "the engine native runs models whose phase is aligned in integers, and this one's is in floating point."
        )
    hidden = [layer for layer in network.layers if layer.output is not None]
    if any(layer.pool > 1 or not layer.relu or (layer.output and layer.output.signed) for layer in hidden):
        raise AmrqError("the engine native runs layers with a ReLU and without pools.")
    tables = aligner_tables()
    by_name = {
        "level": tables.level,
        "shrink": tables.shrink,
        "weights": tables.weights.T,
        "magnitude": tables.magnitude,
        "cosine": tables.cosine,
    }

    def described(layer: IntegerLayer) -> NetworkLayer:
        shifts = network.score_shifts if layer.output is None else layer.shifts
        return NetworkLayer(layer.weights, layer.biases, shifts, layer.input.signed)

    parts = NativeParts(
        by_name,
        [described(layer) for layer in network.symbol_layers],
        [described(layer) for layer in network.head_layers],
        network.mean.shift,
        aligned,
    )
    try:
        check_layers(parts.symbol_layers, parts.head_layers, parts.mean_shift)
    except ValueError as error:
        raise AmrqError(f"the engine native cannot run this model: {error}") from None
    return parts


def compiled(network: IntegerNetwork, instructions: str | None = None) -> CompiledNetwork:
    """Return a network as the compiled library runs it.

    Args:
        network: see `native_parts`.
        instructions: one of `amrq.native.INSTRUCTIONS`; the best of this processor where it is None.

    Raises:
        AmrqError: the library is not there, or does not run such a network.
    """
    library = kernels()
    if library is None or not library.network_instructions():
        raise AmrqError("the engine native needs the compiled library, which make and CMake build.")
    try:
        return library.network(*native_parts(network), instructions=instructions)
    except ValueError as error:
        raise AmrqError(f"the engine native cannot run this model: {error}") from None


class NativeEngine(Engine):
    """Computes scores with the compiled library: those of `IntegerEngine` to the bit, hundreds of thousands a second.

    It runs quantised models for chunks of 32: those with the integer aligner from the received symbols on, and those
    for a known phase. Layers use AVX-512 VNNI or AVX2 where the processor has them, plain C elsewhere.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`; or an image that `amrq board export` wrote,
            which does not need the package onnx.
        instructions: `plain`, `avx2` or `vnni`; empty: the best that the processor has.

    Attributes:
        network: the model's layers, as the reference has them.

    Raises:
        AmrqError: the library is not there or cannot run the model, or the package onnx is missing.
        ModelError: as `IntegerNetwork.from_onnx` and `read_image`.
    """

    name = "native"
    integer_scores = True

    def __init__(self, model: str | os.PathLike[str] = "default", instructions: str = "") -> None:
        self.network, self.model_sha256 = read_network(model)
        self.contract = self.network.contract
        self.input_scale, self.exact_bits = exact_input(self.network)
        self._source = Path(model if Path(model).suffix == IMAGE_SUFFIX else find_model(model)).name
        self._compiled = compiled(self.network, instructions or None)
        self._aligned = isinstance(self.network.prefix, AlignerPrefix)

    @property
    def source(self) -> str:
        """The model's name in messages: its file's name."""
        return self._source

    @property
    def instructions(self) -> str:
        """What the layers are computed with."""
        return self._compiled.instructions

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> IntegerScores:
        """Return scores; see `Engine`."""
        if self._aligned:
            return self.run_integers(self._compiled.received(iq))
        given = self.network.round_inputs(iq, level)
        return IntegerScores(self._compiled.run_layers(*given), self.network.score_exponent)

    def run_integers(self, iq: NDArray[np.int16]) -> IntegerScores:
        """Return the scores of received symbols, int16 [N, 2, 32] at any level, of a model with the integer aligner."""
        return IntegerScores(self._compiled.run(iq), self.network.score_exponent)
