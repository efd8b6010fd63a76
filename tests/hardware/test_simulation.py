# SPDX-License-Identifier: GPL-3.0-or-later
"""Hardware in a simulator that goes on running."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seeds import SEED, rng

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import FlatShape, quantised_onnx, random_flat_spec, random_layer, random_spec  # noqa: E402

from amrq.errors import AmrqError  # noqa: E402
from amrq.hardware import IntegerInputs, IntegerNetwork  # noqa: E402
from amrq.hardware.rtl import Design, DesignOptions, Simulation, Stimuli, make_design, make_stimuli  # noqa: E402

needs_iverilog = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")


def _design(folder: Path, kind: str = "plain", bits: int = 8) -> Design:
    """A network of a few neurons, so that Icarus is quick."""
    generator = rng("simulation", kind)
    if kind == "array":
        flat = random_flat_spec(generator, FlatShape(bits=4, channels=(3,), hidden=(4,), length=8))
        return make_design(
            IntegerNetwork.from_onnx(quantised_onnx(folder / "m.onnx", flat)), DesignOptions(bits, lanes=2)
        )
    spec = random_spec(generator, 4, level=kind == "level", folded=kind != "signed")
    spec.symbol = [random_layer(generator, 2, 3, spec.symbol[0].exponent, 4, signed=kind == "signed")]
    outputs = {"many": 11}.get(kind, 3)
    spec.head = [random_layer(generator, 3 + 3 * (kind == "level"), outputs, -7, 4)]
    spec = replace(spec, length=8)
    return make_design(IntegerNetwork.from_onnx(quantised_onnx(folder / "m.onnx", spec)), DesignOptions(bits))


def _expected(design: Design, inputs: Stimuli) -> np.ndarray:
    return design.network.run(IntegerInputs(design.port.symbols(inputs.symbols), inputs.side)).integers


def _check(simulation: Simulation, design: Design, count: int) -> None:
    inputs = make_stimuli(design, count, SEED)
    np.testing.assert_array_equal(simulation.run(inputs.symbols, inputs.side), _expected(design, inputs))


def _run_once(design: Design) -> None:
    with closing(Simulation(design, "iverilog")) as simulation:
        _check(simulation, design, 1)


@needs_iverilog
@pytest.mark.parametrize(
    ("kind", "bits"), [("plain", 8), ("plain", 9), ("level", 8), ("signed", 8), ("many", 12), ("array", 8)]
)
def test_scores_are_the_reference_s(tmp_path: Path, kind: str, bits: int) -> None:
    design = _design(tmp_path, kind, bits)
    with closing(Simulation(design, "iverilog")) as simulation:
        for count in (1, 0, 40, 7):
            _check(simulation, design, count)


@needs_iverilog
def test_neither_pipe_fills_up(tmp_path: Path) -> None:
    # More than both pipes hold, in and out.
    design = _design(tmp_path, bits=16)
    with closing(Simulation(design, "iverilog")) as simulation:
        _check(simulation, design, 6000)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Design, Simulation]]:
    design = _design(tmp_path)
    with closing(Simulation(design, "iverilog", patience=1.0)) as simulation:
        yield design, simulation


def _pid(simulation: Simulation) -> int:
    assert simulation._process is not None
    return simulation._process.pid


@needs_iverilog
@pytest.mark.parametrize(
    ("fate", "words"), [(signal.SIGKILL, "ended by itself"), (signal.SIGSTOP, "sent nothing for 1 s")]
)
def test_one_that_dies_or_hangs_is_told_of_and_replaced(
    running: tuple[Design, Simulation], fate: signal.Signals, words: str
) -> None:
    design, simulation = running
    _check(simulation, design, 2)
    os.kill(_pid(simulation), fate)
    with pytest.raises(AmrqError, match=words):
        _check(simulation, design, 2)
    _check(simulation, design, 3)


@needs_iverilog
def test_closing_ends_what_runs(running: tuple[Design, Simulation]) -> None:
    design, simulation = running
    inputs = make_stimuli(design, 2, SEED)
    os.kill(_pid(simulation), signal.SIGSTOP)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            simulation.run(inputs.symbols, inputs.side)
        except AmrqError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    folder = Path(simulation._folder.name)
    simulation.close()
    thread.join()
    assert "closed" in str(failed[0])
    assert not folder.exists()
    with pytest.raises(AmrqError, match="has been closed"):
        simulation.run(inputs.symbols, inputs.side)


@needs_iverilog
def test_what_cannot_be_built_is_said(tmp_path: Path) -> None:
    design = _design(tmp_path)
    design.files["amrq_mean.v"] = "module amrq_mean (input wire a;\nendmodule\n"
    with pytest.raises(AmrqError, match=r"iverilog cannot build the hardware of .*amrq_mean\.v:1: .*error"):
        Simulation(design, "iverilog")


@needs_iverilog
def test_hardware_that_hangs_or_says_nonsense(tmp_path: Path) -> None:
    design = _design(tmp_path)
    top = design.files[f"{design.module}.v"]
    design.files[f"{design.module}.v"] = top.replace("x(s_axis_tdata", "x({16{1'bx}} & s_axis_tdata")
    with pytest.raises(AmrqError, match="not a score"):
        _run_once(design)
    design.files[f"{design.module}.v"] = top.replace(".ready(s_axis_tready)", ".ready()")
    with pytest.raises(AmrqError, match="has not moved for"):
        _run_once(design)


@pytest.mark.parametrize(
    ("there", "given", "words"),
    [
        ((), None, "install the package verilator .* or, far slower, iverilog"),
        (("iverilog",), "verilator", "install the package verilator"),
        (("iverilog",), "abacus", "no simulator 'abacus'"),
    ],
)
def test_a_missing_simulator_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], given: str | None, words: str
) -> None:
    design = _design(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name in there else None)
    with pytest.raises(AmrqError, match=words):
        Simulation(design, given)
