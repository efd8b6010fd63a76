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

from amrq.chunks import normalise
from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.evaluation import fresh_chunks
from amrq.hardware import (
    AlignerPrefix,
    FixedPoint,
    IntegerAligner,
    IntegerLayer,
    IntegerMean,
    IntegerNetwork,
)
from amrq.hardware.rtl import (
    AlignerDesign,
    PipelineDesign,
    Simulation,
    cosimulate,
    make_stimuli,
    write_rtl,
)
from amrq.model import Contract

UNSIGNED = FixedPoint(-5, False)


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
    AlignerDesign(8).write(tmp_path, received(8, 1))
    assert cosimulate(tmp_path).startswith("PASS: 16 chunks")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    AlignerDesign(8).write(tmp_path, received(8, 1)[:4])
    table = tmp_path / "amrq_aligner_cosine.hex"
    right = table.read_text()
    table.write_text(right.replace("7f", "7e"))  # cosines near 1, half a per cent less
    assert table.read_text() != right
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


def network(kernel: int = 1) -> IntegerNetwork:
    """A small network with the aligner and random weights."""
    generator = rng("network of any phase")

    def layer(
        name: str, shape: tuple[int, int, int], given: FixedPoint, after: FixedPoint | None
    ) -> IntegerLayer:
        weights = generator.integers(-7, 8, shape).astype(np.int8)
        biases = generator.integers(-300, 300, shape[0]).astype(np.int32)
        exponents = generator.integers(-4, -2, shape[0])
        return IntegerLayer(
            name, weights, biases, exponents, given, after, after is not None, name.startswith("symbol")
        )

    return IntegerNetwork(
        Contract("random", tuple(one.name for one in THESIS_9.members), 32),
        AlignerPrefix(),
        (layer("symbol_0", (5, 15, kernel), FixedPoint(-5, True), FixedPoint(-4, False)),),
        IntegerMean(5, 32, FixedPoint(-4, False), UNSIGNED),
        (layer("head_0", (9, 13, 1), UNSIGNED, None),),
    )


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_a_network_of_any_phase_classifies_received_symbols(tmp_path: Path) -> None:
    """Scores of the other engines with 16 bits; with 8 those of the reference given the same 8 bits."""
    made = network()
    generator = rng("received")
    chunks = np.concatenate([fresh_chunks(one, 1, 32, 20.0, generator) for one in THESIS_9.members])
    iq = normalise(chunks).iq
    design = PipelineDesign(made, 16)
    assert (design.fold, design.clocks_a_chunk, design.side_bits) == (4, 128, 0)
    symbols = design.port.integers(iq)
    np.testing.assert_array_equal(symbols.transpose(0, 2, 1), IntegerAligner.received(iq))
    simulation = Simulation(design, "iverilog")
    try:
        found = simulation.run(symbols, np.zeros((len(iq), 0), np.int64))
    finally:
        simulation.close()
    np.testing.assert_array_equal(found, made.scores(chunks).integers)
    assert len(set(found.argmax(axis=1))) > 1


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_a_network_of_any_phase_with_stalls_and_resets(tmp_path: Path) -> None:
    """Its first layer looks at three symbols, as that of `blind-full-int4`."""
    design = PipelineDesign(network(kernel=3))
    write_rtl(design, tmp_path, make_stimuli(design, 18, 1))
    assert cosimulate(tmp_path).startswith("PASS: 18 chunks")


@pytest.mark.skipif(shutil.which("verilator") is None, reason="verilator is not installed")
def test_lint_has_nothing_to_say_of_a_network_of_any_phase(tmp_path: Path) -> None:
    design = PipelineDesign(network(kernel=3), 10)
    write_rtl(design, tmp_path, make_stimuli(design, 16, 1))
    result = subprocess.run(
        ["make", "-s", "-C", str(tmp_path), "lint"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "as received, of any level and any phase" in (tmp_path / "README.md").read_text()


def test_the_aligner_needs_four_clocks_a_symbol() -> None:
    with pytest.raises(AmrqError, match=r"4 or 8 clocks a symbol \(fold\), not 1"):
        PipelineDesign(network(), 8, 1)
