# SPDX-License-Identifier: GPL-3.0-or-later
"""A board's engine that is the integer reference."""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amrq.hardware import IntegerNetwork, Scores
from amrq.link.board_image import IMAGE_SUFFIX, read_image
from amrq.link.sample_format import SampleFormat
from amrq.link.score_format import ScoreFormat
from amrq.model import Contract, find_model

__all__ = ["IntegerEngine"]


class IntegerEngine:
    """What the hardware computes, to the bit, in NumPy.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`; or an image that `amrq board export` wrote,
            which needs neither onnx nor onnxruntime.

    Raises:
        AmrqError: as `IntegerNetwork.from_onnx` and `read_image`.
    """

    name = "integer"
    score_formats = ScoreFormat.INT32.bit | ScoreFormat.FLOAT32.bit

    def __init__(self, model: str | os.PathLike[str] = "default") -> None:
        if Path(model).suffix == IMAGE_SUFFIX:
            self.network, self.model_sha256 = read_image(model)
        else:
            path = find_model(model)
            self.model_sha256 = hashlib.sha256(path.read_bytes()).digest()
            self.network = IntegerNetwork.from_onnx(path)
        first = self.network.symbol_layers[0].input
        self.input_scale = 2.0**first.exponent
        self.exact_formats = SampleFormat.CF32.bit
        operations, tensors = self.network.prefix.operations, self.network.prefix.tensors
        if operations in ((), ("Abs",)) and set(tensors[1:]) <= {"level"}:
            # The first rounding is the client's own then; it stays so if nothing is cut off that the network would see.
            self.exact_formats |= SampleFormat.CI16.bit
            if first.highest <= np.iinfo(np.int8).max:
                self.exact_formats |= SampleFormat.CI8.bit

    @property
    def contract(self) -> Contract:
        """Of the model."""
        return self.network.contract

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> Scores:
        """Return scores; see `Engine`."""
        return self.network.run(self.network.round_inputs(iq, level))

    def close(self) -> None:
        """Free nothing: it holds memory alone."""
