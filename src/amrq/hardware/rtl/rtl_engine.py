# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that is the simulated hardware."""

import logging
import os
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import IntegerScores
from amrq.errors import AmrqError
from amrq.hardware import AlignerPrefix, IntegerEngine
from amrq.hardware.rtl.simulation import Simulation
from amrq.hardware.rtl.write_rtl import DesignOptions, make_design, make_stimuli

__all__ = ["RtlEngine"]

_TRIALS = (8, 512)
"""Chunks it is tried with before it serves: the first for those that take long, the second where it is fast."""
_LONG = 0.5  # seconds
_BITS, _ALIGNED_BITS = 9, 16


class RtlEngine(IntegerEngine):
    """The Verilog that `amrq rtl` makes of a model, in a simulator.

    From 9 bits on its scores are those of the engine `integer`, and so of the ONNX model, to the bit; with 8 a model of
    magnitudes gives up its input's last bit. With the integer aligner that takes all 16 bits. It is built, and held
    against the integer reference on a few chunks, when it is made, and again when it is opened after it was closed.

    Args:
        model: as `IntegerEngine`; of a known phase, or with the integer aligner.
        input_bits: width of I and of Q in hardware, 8 to 16; None: the least whose scores are those of the model.
        simulator: `verilator` or `iverilog`; None: the first of them that is installed.
        say: called with a line before and after building; None writes it to the log `amrq.hardware`.

    Attributes:
        design: the hardware.
        simulation: the simulator that runs it.

    Raises:
        ModelError: as `IntegerEngine` and `make_design`.
        AmrqError: as `Simulation`; or the hardware differs from the reference.
    """

    name = "rtl"

    def __init__(
        self,
        model: str | os.PathLike[str] = "default",
        input_bits: int | None = None,
        simulator: str | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(model)
        self._say = say or logging.getLogger("amrq.hardware").info
        self._simulator = simulator
        if input_bits is None:
            input_bits = _ALIGNED_BITS if isinstance(self.network.prefix, AlignerPrefix) else _BITS
        self.design = make_design(self.network, DesignOptions(input_bits))
        port = self.design.port
        self.input_scale = 2.0**port.exponent
        self.exact_bits = port.exact_bits()
        self._build()

    def _build(self) -> None:
        start = time.monotonic()
        self._say(
            f"building a simulation of {self.contract.name} in Verilog; with Verilator that takes minutes at most"
        )
        self.simulation = Simulation(self.design, self._simulator)
        self._closed = False
        try:
            built = time.monotonic() - start
            rate = self._try()
        except BaseException:
            self.close()
            raise
        self._say(
            f"built by {self.simulation.simulator} in {built:.0f} s, scores equal to the integer reference's, about "
            f"{rate:.{0 if rate >= 10 else 1}f} chunks/s"
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
            given = self.design.given(stimuli.symbols, stimuli.side)
            if not np.array_equal(found, self.network.run(given).integers):
                raise AmrqError(
                    f"the simulated hardware of {self.contract.name} does not say what the integer reference says: its "
                    "Verilog or the simulator is at fault."
                )
            if seconds > _LONG:
                break
        return rate

    def open(self) -> None:
        """Build it again, if it was closed."""
        if self._closed:
            self._build()

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> IntegerScores:
        """Return scores; see `Engine`."""
        with np.errstate(over="ignore"):  # infinity saturates as any large value does
            symbols = self.design.port.integers(iq)
        side = np.zeros((len(iq), 0), np.int64)
        if self.network.side_inputs and level is not None:
            side = self.network.head_layers[0].input.integers(level)
        return IntegerScores(self.simulation.run(symbols, side), self.network.score_exponent)

    def close(self) -> None:
        """End the simulator, and remove what was built."""
        self._closed = True
        self.simulation.close()
