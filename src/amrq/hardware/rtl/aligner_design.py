# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer phase aligner as Verilog: from received symbols to what a network of any phase is given."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, OutputError
from amrq.files import write_whole
from amrq.hardware import GRIDS, POWERS, IntegerAligner, aligner_tables
from amrq.hardware.rtl.templates import module_text, rendered

__all__ = ["AlignerDesign"]

_LENGTH = 32
_CHANNELS = 2 * len(POWERS) + 3
_SUMMARIES = len(POWERS) + len(GRIDS)
_FOLDS = (4, 8)
_PASSES = 5
"""Times that a chunk's symbols are gone through after the last one came: power, gain, turning, two fits."""
_BESIDE_PASSES = 406
"""Clocks of a chunk's way that are no symbol's: CORDIC, divisions, tables, pipelines."""
_FILES = {
    "level": "amrq_aligner_level.hex",
    "rows": "amrq_aligner_rows.hex",
    "cosine": "amrq_aligner_cosine.hex",
}


def _lines(words: Sequence[int], bits: int) -> str:
    return "".join(f"{word % (1 << bits):0{-(-bits // 4)}x}\n" for word in words)


class AlignerDesign:
    """Level control and phase aligner as a pipeline of chunks, `fold` clocks a symbol in each of its stages.

    The definition is `amrq.hardware.IntegerAligner`, which it equals to the bit. Its 35 multipliers are each used two
    to four times a symbol; tables are memories. The module `amrq_aligner` takes a symbol where `take` is high, and
    gives 15 numbers a symbol and 8 a chunk after `latency` clocks. It cannot be stopped: who feeds it lets a chunk's
    last symbol in 32 times `fold` clocks after that of the chunk before, or later.

    Args:
        input_bits: width of I and of Q, 8 to 16.
        fold: clocks a symbol, 4 or 8.

    Attributes:
        input_bits: as given.
        fold: as given.
        latency: clocks from a chunk's last symbol to the clock in which the last aligned one is announced.
        clocks_a_chunk: clocks from one chunk to the next, at least.
        files: Verilog and contents of memories by file name.

    Raises:
        AmrqError: the width or the fold is out of range.

    >>> design = AlignerDesign(input_bits=8)
    >>> design.clocks_a_chunk, "amrq_aligner.v" in design.files
    (128, True)
    """

    copied = (
        "amrq_align_copies",
        "amrq_align_fit",
        "amrq_align_fold",
        "amrq_align_level",
        "amrq_align_powers",
        "amrq_align_refine",
        "amrq_align_roots",
        "amrq_align_square",
        "amrq_align_steps",
        "amrq_align_sums",
        "amrq_align_turn",
        "amrq_align_weigh",
        "amrq_cordic",
        "amrq_multiply",
        "amrq_rom",
    )
    """Modules that are copied: they are the same in every design."""
    module = "amrq_aligner"
    channels = _CHANNELS
    summaries = _SUMMARIES

    def __init__(self, input_bits: int = 8, fold: int = 4) -> None:
        if not 8 <= input_bits <= 16:
            raise AmrqError(f"I and Q can have 8 to 16 bits each, not {input_bits}.")
        if fold not in _FOLDS:
            raise AmrqError(f"the aligner takes 4 or 8 clocks a symbol (fold), not {fold}.")
        self.input_bits = input_bits
        self.fold = fold
        self.clocks_a_chunk = _LENGTH * fold
        self.latency = _PASSES * (_LENGTH - 1) * fold + _BESIDE_PASSES
        self.files = self._files()

    def _files(self) -> dict[str, str]:
        tables = aligner_tables()
        rows = [
            int(magnitude) << 63
            | sum((int(weight) % 256) << 15 + 8 * k for k, weight in enumerate(weights))
            | int(shrink)
            for magnitude, weights, shrink in zip(
                tables.magnitude, tables.weights, tables.shrink, strict=True
            )
        ]
        arctangents = sum(int(step) << 14 * k for k, step in enumerate(tables.arctangents))
        top = rendered(
            "aligner.v.in",
            bits=self.input_bits,
            fold=self.fold,
            fold_bits=self.fold.bit_length() - 1,
            latency=self.latency,
            channels=_CHANNELS,
            summaries=_SUMMARIES,
            grids=GRIDS,
            files=_FILES,
            arctangents=f"168'h{arctangents:x}",
        )
        return {
            "amrq_aligner.v": top,
            _FILES["level"]: _lines(tables.level.tolist(), 12),
            _FILES["rows"]: _lines(rows, 70),
            _FILES["cosine"]: _lines(tables.cosine.tolist(), 12),
            **{f"{name}.v": module_text(name) for name in self.copied},
        }

    def testbench(self, received: NDArray[np.int64], seed: int = 1) -> dict[str, str]:
        """Return a testbench of the aligner alone, with its vectors, by file name.

        Args:
            received: int64 [N, 32, 2], I and Q within the width of the input.
            seed: of the times at which symbols come.
        """
        aligned = IntegerAligner().align(received.transpose(0, 2, 1))
        bits = self.input_bits
        given = received % (1 << bits)
        words = (given[..., 0] | given[..., 1] << bits).ravel().tolist()

        def packed(rows: NDArray[np.int64]) -> list[int]:
            return [int.from_bytes((row % 256).astype(np.uint8).tobytes(), "little") for row in rows]

        return {
            "testbench.v": rendered(
                "aligner_testbench.v.in",
                aligner=self,
                chunks=len(received),
                channels=_CHANNELS,
                summaries=_SUMMARIES,
                seed=seed,
            ),
            "vectors/received.hex": _lines(words, 2 * bits),
            "vectors/aligned.hex": _lines(packed(aligned.symbols.reshape(-1, _CHANNELS)), 8 * _CHANNELS),
            "vectors/sides.hex": _lines(packed(aligned.side), 8 * _SUMMARIES),
        }

    def write(self, folder: Path, received: NDArray[np.int64], seed: int = 1) -> None:
        """Write the aligner alone with its testbench and a Makefile, for `cosimulate`.

        Args:
            folder: made where it is not there.
            received: as in `testbench`.
            seed: as in `testbench`.

        Raises:
            OutputError: it cannot be written.
        """
        modules = sorted(name for name in self.files if name.endswith(".v"))
        found = {
            **self.files,
            **self.testbench(received, seed),
            "Makefile": rendered("Makefile.in", design=self, sources=modules),
        }
        try:
            (folder / "vectors").mkdir(parents=True, exist_ok=True)
            for name, text in found.items():
                write_whole(folder / name, text, durable=False)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from None
