# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as the thesis's by an array of multipliers, simulated against the integer reference."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from seeds import SEED, rng

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import FlatShape, quantised_onnx, random_flat_spec, random_spec  # noqa: E402

from amrq.errors import AmrqError  # noqa: E402
from amrq.hardware import IntegerInputs, IntegerNetwork  # noqa: E402
from amrq.hardware.rtl import (  # noqa: E402
    ArrayDesign,
    DesignOptions,
    PipelineDesign,
    cosimulate,
    make_design,
    make_stimuli,
    write_rtl,
)

KNOWN = ("BPSK", "QPSK", "8PSK")
KINDS = {
    # the network, lanes, chunks
    "plain": (FlatShape(bits=8), 4, 160),
    "two": (FlatShape(bits=4, channels=(6, 9), pools=(0, 1), hidden=(10, 7)), 5, 40),
    "no pool": (FlatShape(bits=4, pools=(), hidden=(), length=8), 16, 40),
    "signed": (FlatShape(bits=8, channels=(5, 4), pools=(1,), relu=False, length=8), 3, 40),
    "one lane": (FlatShape(bits=4, channels=(3,), hidden=(4,), length=8), 1, 40),
    "magnitudes": (FlatShape(bits=8, channels=(4, 3), kernel=5, folded=True, length=12), 7, 40),
}
"""They differ in what hardware does differently: most lanes divide no width."""


def _network(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> IntegerNetwork:
    import quantised_onnx as networks

    monkeypatch.setattr(networks, "CLASSES", KNOWN)
    generator = rng("array", kind)
    spec = random_flat_spec(generator, KINDS[kind][0])
    spec.contract = {"classes": KNOWN, "normalisation": "none" if kind == "two" else "unit-rms"}
    network = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", spec))
    # Brings the scores together, so that the best is not the same one for every chunk.
    iq = generator.standard_normal((100, 2, spec.length)).astype(np.float32)
    scores = network.trace(network.round_inputs(iq))[network.layers[-1].name]
    spec.head[-1].biases -= np.median(scores, axis=0).astype(np.int64)
    return IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", spec))


def _design(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> ArrayDesign:
    bits = 9 if kind == "magnitudes" else 8
    return ArrayDesign(_network(tmp_path, kind, monkeypatch), bits, KINDS[kind][1])


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_simulated_hardware_equals_the_reference(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = _design(tmp_path, kind, monkeypatch)
    inputs = make_stimuli(design, KINDS[kind][2], SEED)
    found = design.network.trace(IntegerInputs(design.port.symbols(inputs.symbols), inputs.side))
    assert len(np.unique(found[design.network.layers[-1].name].argmax(axis=1))) > 2
    # Rounding, saturation and ReLU have been seen in every layer that has them.
    for layer in design.network.layers[:-1]:
        assert len(np.unique(found[layer.name])) > 20
    write_rtl(design, tmp_path / "rtl", inputs)
    assert cosimulate(tmp_path / "rtl").startswith(f"PASS: {len(inputs.symbols)} chunks")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
@pytest.mark.parametrize("memory", ["weights_0", "parameters"])
def test_one_wrong_bit_in_a_memory_is_found(
    tmp_path: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = _design(tmp_path, "two", monkeypatch)
    write_rtl(design, tmp_path / "rtl", make_stimuli(design, 32, SEED))
    file = tmp_path / "rtl" / f"{design.module}_{memory}.hex"
    words = file.read_text().split()
    words[3] = f"{int(words[3], 16) ^ 2:0{len(words[3])}x}"
    file.write_text("\n".join(words) + "\n")
    with pytest.raises(AmrqError, match="differs from the integer reference: FAIL: chunk"):
        cosimulate(tmp_path / "rtl")


@pytest.mark.skipif(shutil.which("verilator") is None, reason="verilator is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_lint_has_nothing_to_say(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    design = _design(tmp_path, kind, monkeypatch)
    write_rtl(design, tmp_path / "rtl", make_stimuli(design, 16, SEED))
    result = subprocess.run(
        ["make", "-s", "-C", str(tmp_path / "rtl"), "lint"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_memory_of_weights_holds_each_once_in_the_order_of_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = _design(tmp_path, "two", monkeypatch)
    words = [
        int(word, 16)
        for name in sorted(design.files)
        if "_weights_" in name
        for word in design.files[name].split()
    ]
    layers = design.network.layers
    assert len(words) == sum(-(-layer.outputs // 5) * layer.weights[0].size for layer in layers)
    first = [(words[term] >> 4 * lane) % 16 for term in range(6) for lane in range(5)]
    assert first == [int(w) % 16 for w in layers[0].weights[:5].transpose(2, 1, 0).ravel()]


def test_clocks_of_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = _network(tmp_path, "plain", monkeypatch)
    # 6 outputs of 6 products at 16 symbols; 11 of 48; 5 of 11; each layer begins, and ends when its last output lies.
    by_hand = {4: 2 * 16 * 6 + 3 * 48 + 2 * 11, 16: 16 * 16 + 48 + 16}
    for lanes, clocks in by_hand.items():
        design = ArrayDesign(network, lanes=lanes)
        assert design.clocks_a_chunk == 1 + clocks + 3 * (1 + lanes + 14)
        assert design.multiplications == 16 * 36 + 11 * 48 + 5 * 11


def test_the_model_chooses_the_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = _network(tmp_path, "plain", monkeypatch)
    mean = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "mean.onnx", random_spec(rng("mean"))))
    made = make_design(flat, DesignOptions(lanes=3))
    assert isinstance(made, ArrayDesign)
    assert (made.architecture, made.lanes) == ("array", 3)
    assert isinstance(make_design(mean, DesignOptions(architecture="pipeline")), PipelineDesign)
    with pytest.raises(AmrqError, match="needs the architecture 'array'"):
        make_design(flat, DesignOptions(architecture="pipeline"))
    with pytest.raises(AmrqError, match="needs the architecture 'pipeline'"):
        make_design(mean, DesignOptions(architecture="array"))
    with pytest.raises(AmrqError, match="becomes a pipeline: leave lanes out"):
        make_design(mean, DesignOptions(lanes=4))
    with pytest.raises(AmrqError, match="lanes must be from 1 to 256, not 0"):
        DesignOptions(lanes=0)
    with pytest.raises(AmrqError, match="1 to 256 lanes"):
        ArrayDesign(flat, lanes=0)
    with pytest.raises(AmrqError, match="becomes an array: leave fold out"):
        make_design(flat, DesignOptions(fold=2))
    with pytest.raises(AmrqError, match="takes no mean"):
        PipelineDesign(flat)
