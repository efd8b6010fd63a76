# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that is ONNX Runtime."""

import hashlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classifier.engine import Engine
from amrq.errors import AmrqError
from amrq.model import find_model, open_model

__all__ = ["OnnxEngine"]


class OnnxEngine(Engine):
    """Logits by ONNX Runtime on the CPU, of any model, quantised or not.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.
        threads: threads inside one call; 1 is fastest on small machines and leaves the rest to the radio.

    Attributes:
        path: of the model's file.

    Raises:
        ModelError: the model is missing, no ONNX file, has no contract or breaks it.
        AmrqError: there is less than one thread.
    """

    name = "onnx"

    def __init__(self, model: str | os.PathLike[str] = "default", threads: int = 1) -> None:
        if threads < 1:
            raise AmrqError(f"a classifier needs at least 1 thread, not {threads}.")
        self.path = find_model(model)
        loaded = open_model(self.path, threads)
        self.model_sha256 = hashlib.sha256(self.path.read_bytes()).digest()
        self.contract = loaded.contract
        self._session: Any = loaded.session
        self._largest_call = loaded.largest_call
        self._inputs = [i.name for i in self._session.get_inputs()]
        # The hypotheses' output where there is one: the classes' probabilities follow from it.
        self._output = [self._session.get_outputs()[-1].name]

    @property
    def source(self) -> str:
        """What the model is called in messages: its file's name."""
        return self.path.name

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return logits float32 [N, H]; see `Engine`."""
        given = [values for values in (iq, level) if values is not None]
        parts = []
        for start in range(0, len(iq), self._largest_call):
            fed = [values[start : start + self._largest_call] for values in given]
            parts += self._session.run(self._output, dict(zip(self._inputs, fed, strict=True)))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
