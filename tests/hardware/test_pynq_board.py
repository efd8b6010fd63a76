# SPDX-License-Identifier: GPL-3.0-or-later
"""The design for a PYNQ's DMA, simulated, and its driver against a model of the DMA."""

import dataclasses
import importlib.util
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seeds import rng

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import quantised_onnx, random_layer, random_spec  # noqa: E402

from amrq.chunks import normalise  # noqa: E402
from amrq.errors import AmrqError, ModelError  # noqa: E402
from amrq.hardware import IntegerEngine  # noqa: E402
from amrq.hardware.rtl import DesignOptions, PynqBoard, make_design, make_stimuli, write_rtl  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def made(folder: Path, bits: int, outputs: int, level: bool = False) -> tuple[PynqBoard, str]:
    """Return the board of a network of a few neurons, and its file."""
    generator = rng("pynq", str(bits))
    spec = random_spec(generator, 4, level=level)
    spec.symbol = [random_layer(generator, 2, 3, spec.symbol[0].exponent, 4)]
    spec.head = [random_layer(generator, 3 + 3 * level, outputs, -7, 4)]
    model = str(quantised_onnx(folder / "m.onnx", dataclasses.replace(spec, length=8)))
    engine = IntegerEngine(model)
    return PynqBoard(make_design(engine.network, DesignOptions(bits)), engine.model_sha256), model


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
@pytest.mark.parametrize(("bits", "outputs"), [(8, 5), (9, 11)])
def test_transfers_of_any_number_of_chunks(tmp_path: Path, bits: int, outputs: int) -> None:
    board, _ = made(tmp_path, bits, outputs)
    assert board.design.per_beat == (2 if outputs == 11 else 1)
    symbols = make_stimuli(board.design, 20, 1).symbols
    beats, words = board.transfer_in(symbols), board.transfer_out(symbols)
    ends = np.zeros(20, np.int64)
    ends[[0, 3, 18, 19]] = 1  # of 1, 3, 15 and 1 chunks
    last = np.zeros((20, 8), np.int64)
    last[:, -1] = ends
    width = board.design.symbol_bits
    words[:, -1] |= ends << 32
    (tmp_path / "beats.hex").write_text("".join(f"{n:x}\n" for n in beats | last.ravel() << width))
    (tmp_path / "words.hex").write_text("".join(f"{n:x}\n" for n in words.ravel()))
    for name, text in board.files.items():
        (tmp_path / name).write_text(text)
    sources = [name for name in board.files if name.endswith(".v")]
    sizes = (f"-DSYMBOL_BITS={width}", f"-DBEATS={beats.size}", f"-DWORDS={words.size}")
    bench = str(Path(__file__).with_name("dma_bench.v"))
    command = ["iverilog", "-g2005", *sizes, "-s", "dma_bench", "-o", "sim", bench, *sources]
    subprocess.run(command, cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "sim"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "PASS", said


@pytest.mark.skipif(shutil.which("verilator") is None, reason="verilator is not installed")
def test_verilator_has_no_warning(tmp_path: Path) -> None:
    board, _ = made(tmp_path, 8, 5)
    write_rtl(board.design, tmp_path / "out", make_stimuli(board.design, 16, 1), board=board)
    sources = [name for name in board.files if name.endswith(".v")]
    command = ["verilator", "--lint-only", "-Wall", "--top-module", "amrq_pynq", *sources]
    result = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "neither Vivado nor a board has seen it" in (tmp_path / "out" / "README.md").read_text()


class Dma:
    """Answers a transfer in with the integer reference's words."""

    def __init__(self, board: PynqBoard) -> None:
        self.board = board
        self.sendchannel = types.SimpleNamespace(transfer=self._send, wait=lambda: None)
        self.recvchannel = types.SimpleNamespace(transfer=self._receive, wait=lambda: None)
        self.transfers = 0

    def _receive(self, buffer: np.ndarray, nbytes: int) -> None:
        self._wanted, self._buffer = nbytes // 4, buffer

    def _send(self, buffer: np.ndarray, nbytes: int) -> None:
        kind = np.int8 if buffer.dtype == np.uint16 else np.int16
        flat = buffer[: nbytes // buffer.itemsize].view(kind).astype(np.int64)
        symbols = flat.reshape(-1, self.board.design.network.contract.chunk_length, 2)
        words = self.board.transfer_out(symbols).ravel()
        assert len(words) == self._wanted
        self._buffer[: self._wanted] = words
        self.transfers += 1


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return examples/pynq/serve.py as a module."""
    spec = importlib.util.spec_from_file_location("pynq_serve", ROOT / "examples" / "pynq" / "serve.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("bits", [8, 9])
def test_the_driver_packs_and_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: Any, bits: int
) -> None:
    board, model = made(tmp_path, bits, 5)
    (tmp_path / "amrq_pynq.json").write_text(board.files["amrq_pynq.json"])
    dma = Dma(board)
    fake = types.SimpleNamespace(Overlay=lambda _: types.SimpleNamespace(dma=dma), allocate=np.zeros)
    monkeypatch.setitem(sys.modules, "pynq", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(driver, "MOST_CHUNKS", 8)
    engine = driver.PynqEngine(model, str(tmp_path / "amrq_pynq.bit"))
    chunks = rng("pynq", "chunks").standard_normal((20, 16)).astype(np.float32).view(np.complex64)
    iq = normalise(chunks).iq
    symbols = board.design.port.integers(iq)
    expected = board.design.network.run(board.design.given(symbols, np.zeros((20, 0), np.int64)))
    found = engine.run(iq, None)
    np.testing.assert_array_equal(found.integers, expected.integers)
    assert found.exponent == expected.exponent and dma.transfers == 3
    with pytest.raises(ModelError, match="made of another model"):
        driver.PynqEngine("coherent-small-int4", str(tmp_path / "amrq_pynq.bit"))
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(AmrqError, match="package pynq is missing"):
        driver.PynqEngine(model, str(tmp_path / "amrq_pynq.bit"))


def test_a_model_with_side_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="for which a DMA has no place"):
        made(tmp_path, 8, 5, level=True)
