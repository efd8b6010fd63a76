# SPDX-License-Identifier: GPL-3.0-or-later
"""A board's engine that is onnxruntime."""

import hashlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.link.sample_format import SampleFormat
from amrq.link.score_format import ScoreFormat
from amrq.model import Contract, find_model
from amrq.model.contract_file import open_model

__all__ = ["OnnxEngine"]

_CI8_SCALE = 2.0**-5
"""Reaches to 4, beyond any symbol of unit RMS but few of noise."""


class OnnxEngine:
    """Logits by onnxruntime on the CPU, of any model, quantised or not.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.

    Raises:
        AmrqError: the model is missing, no ONNX file, has no contract or breaks it.
    """

    name = "onnx"
    input_scale = _CI8_SCALE
    exact_formats = SampleFormat.CF32.bit
    score_formats = ScoreFormat.FLOAT32.bit

    def __init__(self, model: str | os.PathLike[str] = "default") -> None:
        path = find_model(model)
        self.model_sha256 = hashlib.sha256(path.read_bytes()).digest()
        loaded = open_model(path)
        self._session: Any = loaded.session
        self._largest_call = loaded.largest_call
        self.contract: Contract = loaded.contract
        self._inputs = [i.name for i in self._session.get_inputs()]
        self._output = [self._session.get_outputs()[-1].name]

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return logits float32 [N, H]; see `Engine`."""
        given = [values for values in (iq, level) if values is not None]
        parts = []
        for start in range(0, max(len(iq), 1), self._largest_call):
            fed = [values[start : start + self._largest_call] for values in given]
            parts += self._session.run(self._output, dict(zip(self._inputs, fed, strict=True)))
        return np.concatenate(parts)

    def close(self) -> None:
        """Free nothing: it holds memory alone."""
