# SPDX-License-Identifier: GPL-3.0-or-later
"""A design for the programmable logic of a PYNQ board: streams for a DMA, a Vivado project, what a driver must know."""

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from amrq.errors import ModelError
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.templates import VerilogText, module_text, rendered

__all__ = ["PynqBoard"]

_CLOCK = 100.0
"""MHz: what a PYNQ's processor gives the logic where it is not asked for another."""


class PynqBoard:
    """A design between the two streams of an AXI DMA. Simulated; neither Vivado nor a board has seen it.

    A transfer in is any number of chunks, a symbol a beat. A transfer out has `words_a_chunk` words of 32 bits for
    each of them: the scores, what is left over of the last beat, and {hypothesis, class} of the best score.

    Args:
        design: the classifier; one without side inputs, since a DMA has no place for them.
        model_sha256: SHA-256 of the model's ONNX file.
        clock_mhz: of the programmable logic; None: 100.

    Attributes:
        design: as given.
        clock_mhz: of the programmable logic.
        module: name of the top level.
        words_a_chunk: words that come out for a chunk.
        files: Verilog, contents of memories, Vivado's script and `amrq_pynq.json` by file name, those of the
            classifier included.

    Raises:
        ModelError: the model takes its level as side inputs.

    >>> from amrq.hardware import IntegerNetwork
    >>> from amrq.hardware.rtl import make_design
    >>> board = PynqBoard(make_design(IntegerNetwork.from_onnx("coherent-small-int4")), bytes(32))
    >>> board.words_a_chunk, sorted(board.description())[:3]
    (28, ['chunk_length', 'input_bits', 'input_exponent'])
    """

    module = "amrq_pynq"
    copied = ("amrq_dma",)
    """Modules beside the design's that are the same on every board."""

    def __init__(self, design: Design, model_sha256: bytes, clock_mhz: float | None = None) -> None:
        if design.given_sides:
            raise ModelError(
                f"model {design.network.contract.name!r} takes its level beside the symbols, for which a DMA has no "
                "place: choose one of any phase, such as blind-small-int4."
            )
        self.design = design
        self.clock_mhz = _CLOCK if clock_mhz is None else clock_mhz
        self.words_a_chunk = design.beats * design.per_beat + 1
        self._sha256 = model_sha256
        self.files = {
            **design.files,
            **{f"{name}.v": module_text(name) for name in self.copied},
            f"{self.module}.v": rendered("pynq.v.in", board=self),
            f"{self.module}.tcl": rendered("pynq.tcl.in", board=self),
            f"{self.module}.json": json.dumps(self.description(), indent=1) + "\n",
        }

    @property
    def sources(self) -> list[str]:
        """Names of the Verilog files beside the classifier's."""
        return sorted(name for name in self.files if name.endswith(".v") and name not in self.design.files)

    @property
    def parameters(self) -> Mapping[str, int]:
        """Parameters of `amrq_dma`."""
        length = self.design.network.contract.chunk_length
        return {
            "LENGTH": length,
            "COUNT_BITS": length.bit_length(),
            "PER_BEAT": self.design.per_beat,
            "PART_BITS": VerilogText.index(self.design.per_beat),
            "QUEUE_BITS": VerilogText.index(self.design.places + 2),
        }

    def description(self) -> dict[str, object]:
        """Return what a driver must know of the bitstream; exponents: an integer n stands for n times 2^exponent."""
        network = self.design.network
        return {
            "model_sha256": self._sha256.hex(),
            "chunk_length": network.contract.chunk_length,
            "input_bits": self.design.port.bits,
            "input_exponent": self.design.port.exponent,
            "scores": network.head_layers[-1].outputs,
            "score_exponent": network.score_exponent,
            "words_a_chunk": self.words_a_chunk,
        }

    def transfer_in(self, symbols: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the beats of a transfer, without sign.

        Args:
            symbols: int64 [N, L, 2], I and Q within the width of the input.

        Returns:
            int64 [N L].
        """
        unit = 1 << self.design.symbol_bits // 2
        flat = symbols.reshape(-1, 2) % unit
        beats: NDArray[np.int64] = flat[:, 0] + flat[:, 1] * unit
        return beats

    def transfer_out(self, symbols: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the words that the hardware must answer with, by the integer reference: int64 [N, words_a_chunk]."""
        network = self.design.network
        side = np.zeros((len(symbols), 0), np.int64)
        scores = network.run(self.design.given(symbols, side)).integers
        best = scores.argmax(axis=1)
        words = np.zeros((len(symbols), self.words_a_chunk), np.int64)
        words[:, : scores.shape[1]] = scores % (1 << 32)
        words[:, -1] = best << 8 | network.class_of_hypothesis[best]
        return words
