# SPDX-License-Identifier: GPL-3.0-or-later
"""What computes scores on a board's side."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.hardware import IntegerInputs, IntegerNetwork, Scores
from amrq.hardware.rtl import DesignOptions, Simulation, make_design, make_stimuli
from amrq.link.board_image import IMAGE_SUFFIX, read_image
from amrq.link.payloads import SampleFormat, ScoreFormat
from amrq.model import Contract, find_model, open_model

__all__ = ["ENGINES", "Engine", "IntegerEngine", "OnnxEngine", "RtlEngine", "make_engine"]


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


class IntegerEngine:
    """What the hardware computes, to the bit, in NumPy.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`; or an image that `amrq board export` wrote,
            which needs neither onnx nor onnxruntime.

    Raises:
        ModelError: as `IntegerNetwork.from_onnx` and `read_image`.
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


_CI8_SCALE = 2.0**-5
"""Reaches to 4, beyond any symbol of unit RMS but few of noise."""


class OnnxEngine:
    """Logits by onnxruntime on the CPU, of any model, quantised or not.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.

    Raises:
        ModelError: the model is missing, no ONNX file, has no contract or breaks it.
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


_TRIALS = (8, 512)
"""Chunks it is tried with before it serves: the first for those that take long, the second where it is fast."""
_LONG = 0.5  # seconds


class RtlEngine(IntegerEngine):
    """The Verilog that `amrq rtl` makes of a model, in a simulator that runs as long as the board.

    From 9 bits on its scores are those of the engine `integer`, and so of the ONNX model, to the bit; with 8 a model of
    magnitudes gives up its input's last bit. It is held against the integer reference on a few chunks first.

    Args:
        model: as `IntegerEngine`; of a known phase.
        input_bits: width of I and of Q in hardware, 8 to 16.
        simulator: `verilator` or `iverilog`; None: the first of them that is installed.
        say: called with a line before and after building.

    Raises:
        ModelError: as `IntegerEngine` and `make_design`.
        AmrqError: as `Simulation`; or the hardware differs from the reference.
    """

    name = "rtl"

    def __init__(
        self,
        model: str | os.PathLike[str] = "default",
        input_bits: int = 9,
        simulator: str | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__(model)
        self.design = make_design(self.network, DesignOptions(input_bits))
        port = self.design.port
        self.input_scale = 2.0**port.exponent
        self.exact_formats = SampleFormat.CF32.bit
        steps = np.arange(port.lowest, port.highest + 1)
        for format, bits in ((SampleFormat.CI8, 8), (SampleFormat.CI16, 16)):
            lowest, highest = -(1 << bits - 1), (1 << bits - 1) - 1
            # What the format cuts off must be what the port or the first layer cuts off as well.
            if np.array_equal(port.symbols(steps.clip(lowest, highest)), port.symbols(steps)):
                self.exact_formats |= format.bit
        name = self.network.contract.name
        start = time.monotonic()
        say(
            f"amrq board: building a simulation of {name} in Verilog; with Verilator that takes minutes at most"
        )
        self.simulation = Simulation(self.design, simulator)
        try:
            built = time.monotonic() - start
            rate = self._try()
        except BaseException:
            self.close()
            raise
        say(
            f"amrq board: built by {self.simulation.simulator} in {built:.0f} s, scores equal to the integer "
            f"reference's, about {rate:.{0 if rate >= 10 else 1}f} chunks/s"
        )

    def _try(self) -> float:
        """Hold it against the reference, and return how many chunks a second it takes."""
        rate = 0.0
        for count in _TRIALS:
            stimuli = make_stimuli(self.design, count, seed=1)
            start = time.monotonic()
            found = self.simulation.run(stimuli.symbols, stimuli.side)
            seconds = time.monotonic() - start
            rate = count / seconds
            given = IntegerInputs(self.design.port.symbols(stimuli.symbols), stimuli.side)
            if not np.array_equal(found, self.network.run(given).integers):
                raise AmrqError(
                    f"the simulated hardware of {self.network.contract.name} does not say what the integer reference "
                    "says: its Verilog or the simulator is at fault."
                )
            if seconds > _LONG:
                break
        return rate

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> Scores:
        """Return scores; see `Engine`."""
        with np.errstate(over="ignore"):  # infinity saturates as any large value does
            symbols = self.design.port.integers(iq)
        side = np.zeros((len(iq), 0), np.int64)
        if self.network.side_inputs and level is not None:
            side = self.network.head_layers[0].input.integers(level)
        return Scores(self.simulation.run(symbols, side), self.network.score_exponent)

    def close(self) -> None:
        """End the simulator."""
        self.simulation.close()


def _rtl(model: str | os.PathLike[str], **options: Any) -> Engine:
    return RtlEngine(model, **options)


ENGINES: dict[str, Callable[..., Engine]] = {"integer": IntegerEngine, "onnx": OnnxEngine, "rtl": _rtl}
"""Functions of a model's file or name, and of their own options."""


def make_engine(name: str, model: str | os.PathLike[str], **options: Any) -> Engine:
    """Return an engine that runs a model.

    Args:
        name: of the engine, one of `ENGINES`.
        model: path of an ONNX file or of an exported image, name of a shipped model, or `default`.
        options: of that engine: `rtl` takes those of `RtlEngine`, the others none.

    Raises:
        AmrqError: there is no such engine, or it cannot run the model.
    """
    if name not in ENGINES:
        raise AmrqError(f"there is no engine {name!r}: choose from {', '.join(ENGINES)}.")
    return ENGINES[name](model, **options)
