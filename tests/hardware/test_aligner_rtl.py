# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer aligner as Verilog equals its definition to the bit."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from integer_chunks import extremes
from seeds import rng

pytest.importorskip("jinja2", reason="the package jinja2 is not installed")

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.evaluation import fresh_chunks
from amrq.hardware.rtl import AlignerDesign, cosimulate


def received(bits: int, each: int) -> np.ndarray:
    """Chunks of all classes at 0 to 30 dB, at levels from the last bits to full scale, and extreme ones: [N, 32, 2]."""
    generator = rng("aligner in Verilog", bits)
    highest = (1 << (bits - 1)) - 1
    found = []
    for sent in THESIS_9.members:
        chunks = fresh_chunks(sent, each, 32, float(generator.uniform(0, 30)), generator)
        level = 10 ** generator.uniform(0, np.log10(highest / 2), (each, 1, 1))
        found.append(np.rint(level * np.stack([chunks.real, chunks.imag], axis=2)))
    for kind, chunks in extremes(generator, each).items():
        # The last bits of 16 are not there in fewer.
        found.append((chunks if kind == "the last bit" else chunks >> (16 - bits)).transpose(0, 2, 1))
    mixed = np.concatenate(found).clip(-highest - 1, highest).astype(np.int64)
    return generator.permutation(mixed)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_the_simulated_aligner_equals_the_definition(tmp_path: Path) -> None:
    AlignerDesign(8).write(tmp_path, received(8, 3))
    assert cosimulate(tmp_path).startswith("PASS: 48 chunks")


@pytest.mark.long
@pytest.mark.skipif(shutil.which("verilator") is None, reason="verilator is not installed")
@pytest.mark.parametrize(("bits", "fold"), [(16, 4), (12, 8), (8, 4)])
def test_many_chunks_equal_the_definition(tmp_path: Path, bits: int, fold: int) -> None:
    AlignerDesign(bits, fold).write(tmp_path, received(bits, 100))
    assert cosimulate(tmp_path, "verilator").startswith("PASS: 1600 chunks")


@pytest.mark.long
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("amrq_align_weigh.v", "s_sum <= s_now", "s_sum <= c_now"),
        ("amrq_align_fold.v", "3'b100", "3'b101"),
        ("amrq_aligner_cosine.hex", "7fe", "7fd"),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, file: str, right: str, wrong: str) -> None:
    AlignerDesign(8).write(tmp_path, received(8, 1))
    text = (tmp_path / file).read_text()
    assert right in text
    (tmp_path / file).write_text(text.replace(right, wrong))
    with pytest.raises(AmrqError, match="differs from the integer reference: FAIL: chunk"):
        cosimulate(tmp_path)


@pytest.mark.skipif(shutil.which("verilator") is None, reason="verilator is not installed")
@pytest.mark.parametrize(("bits", "fold"), [(8, 4), (16, 8)])
def test_lint_has_nothing_to_say_of_the_aligner(tmp_path: Path, bits: int, fold: int) -> None:
    AlignerDesign(bits, fold).write(tmp_path, np.zeros((1, 32, 2), np.int64))
    result = subprocess.run(
        ["make", "-s", "-C", str(tmp_path), "lint"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_other_widths_and_folds_are_refused() -> None:
    with pytest.raises(AmrqError, match="8 to 16 bits each, not 7"):
        AlignerDesign(7)
    with pytest.raises(AmrqError, match=r"4 or 8 clocks a symbol \(fold\), not 2"):
        AlignerDesign(8, 2)
