# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that is the integer reference."""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Engine, IntegerScores
from amrq.hardware.board_image import IMAGE_SUFFIX, read_image
from amrq.hardware.integer_network import IntegerNetwork
from amrq.model import find_model

__all__ = ["IntegerEngine"]


class IntegerEngine(Engine):
    """What the hardware computes, to the bit, in NumPy; several times slower than ONNX Runtime.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`; or an image that `amrq board export` wrote,
            which needs neither onnx nor onnxruntime.

    Attributes:
        network: the model's layers.

    Raises:
        ModelError: as `IntegerNetwork.from_onnx` and `read_image`.
    """

    name = "integer"
    integer_scores = True

    def __init__(self, model: str | os.PathLike[str] = "default") -> None:
        if Path(model).suffix == IMAGE_SUFFIX:
            self.network, self.model_sha256 = read_image(model)
        else:
            path = find_model(model)
            self.model_sha256 = hashlib.sha256(path.read_bytes()).digest()
            self.network = IntegerNetwork.from_onnx(path)
        self.contract = self.network.contract
        first = self.network.symbol_layers[0].input
        self.input_scale = 2.0**first.exponent
        operations, tensors = self.network.prefix.operations, self.network.prefix.tensors
        if operations in ((), ("Abs",)) and set(tensors[1:]) <= {"level"}:
            # The first rounding is the client's own then; it stays so if nothing is cut off that the network would see.
            self.exact_bits = 8 if first.highest <= np.iinfo(np.int8).max else 16

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> IntegerScores:
        """Return scores; see `Engine`."""
        return self.network.run(self.network.round_inputs(iq, level))
