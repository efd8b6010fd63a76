# SPDX-License-Identifier: GPL-3.0-or-later
"""What computes on a board."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from amrq.hardware import Scores
from amrq.model import Contract

__all__ = ["Engine"]


class Engine(Protocol):
    """A model, and something that runs it; an AXI driver on an FPGA's processor is one more."""

    @property
    def name(self) -> str:
        """Of the engine, `integer` for instance."""
        ...

    @property
    def model_sha256(self) -> bytes:
        """SHA-256 of the ONNX file's bytes."""
        ...

    @property
    def contract(self) -> Contract:
        """Of the model."""
        ...

    @property
    def input_scale(self) -> float:
        """What one step of integer samples is to stand for, a power of two."""
        ...

    @property
    def exact_formats(self) -> int:
        """Mask of sample formats that lose nothing against cf32, integers at `input_scale`."""
        ...

    @property
    def score_formats(self) -> int:
        """Mask of the score formats that `run` may lead to."""
        ...

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> Scores | NDArray[np.float32]:
        """Return the scores of N chunks, N at least 1; called in one thread alone.

        Args:
            iq: float32 [N, 2, L], finite, normalised as the contract says; whole steps of the scale where the samples
                came as integers.
            level: float32 [N, 3], finite, for a model with level input; None for any other.

        Returns:
            integers, or logits float32 [N, H].
        """
        ...

    def close(self) -> None:
        """Free what it holds, once it is no longer needed; a `run` that still goes on in its thread fails soon."""
        ...
