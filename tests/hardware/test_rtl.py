# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as Verilog: their arithmetic, and simulated against the integer reference."""

import importlib
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from seeds import SEED, rng

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import CLASSES, Spec, quantised_onnx, random_layer, random_spec  # noqa: E402

from amrq.chunks import normalise  # noqa: E402
from amrq.classifier import IntegerScores  # noqa: E402
from amrq.errors import AmrqError  # noqa: E402
from amrq.hardware import FixedPoint, IntegerInputs, IntegerNetwork  # noqa: E402
from amrq.hardware.rtl import (  # noqa: E402
    AdderGraph,
    AlignerDesign,
    ArrayDesign,
    InputPort,
    PipelineDesign,
    PynqBoard,
    SerialBoard,
    bits_for,
    cosimulate,
    make_stimuli,
    signed_digits,
    templates,
    write_rtl,
)

KNOWN = {"classes": ("BPSK", "QPSK", "8PSK")}


def test_signed_digits() -> None:
    for value in range(-300, 300):
        digits = signed_digits(value)
        assert sum(sign << place for place, sign in digits) == value
        assert all(b - a >= 2 for (a, _), (b, _) in pairwise(digits))
    assert signed_digits(7) == [(0, -1), (3, 1)]


@pytest.mark.parametrize(
    ("lowest", "highest", "bits"),
    [(0, 0, 1), (0, 255, 8), (-1, 0, 1), (-128, 127, 8), (-129, 5, 9), (-3, -2, 3)],
)
def test_bits_for(lowest: int, highest: int, bits: int) -> None:
    assert bits_for(lowest, highest) == bits


@pytest.mark.parametrize(("lowest", "highest"), [(0, 255), (-128, 127)])
@pytest.mark.parametrize("most", [1, 7, 127])
def test_an_adder_graph_multiplies(lowest: int, highest: int, most: int) -> None:
    generator = rng("adders", lowest, most)
    weights = generator.integers(-most, most + 1, (20, 12)) * (generator.random((20, 12)) < 0.6)
    weights[3], weights[4] = 0, np.eye(12, dtype=np.int64)[5]
    weights[5], weights[6] = -8 * weights[4], weights[7]
    biases = generator.integers(-500, 500, 20)
    biases[4:6] = 0
    graph = AdderGraph(weights, biases, lowest, highest)
    x = generator.integers(lowest, highest + 1, (12, 300))
    x[:, :3] = lowest, highest, 0
    values: list[np.ndarray] = list(x)
    for node in graph.nodes[graph.inputs :]:
        terms = [t.sign * (values[t.node] << t.shift) for t in node.terms]
        values.append(np.sum(terms, axis=0) if terms else np.full(300, node.lowest))
        assert node.lowest <= values[-1].min() and values[-1].max() <= node.highest
        assert all(graph.nodes[t.node].level < node.level for t in node.terms)
        assert not terms or max(t.sign for t in node.terms) == 1  # hardware adds or subtracts
    np.testing.assert_array_equal([values[n] for n in graph.outputs], weights @ x + biases[:, None])
    digits = sum(len(signed_digits(int(w))) for w in weights.ravel())
    assert graph.additions < digits


def test_a_port_of_8_bits_reads_all_that_a_layer_does() -> None:
    port = InputPort(8, True, FixedPoint(-7, signed=False))
    assert (port.exponent, port.lowest, port.highest) == (-6, -128, 127)
    given = np.array([[[0.0, 1.0, -1.0, -3.0, 3.0], [1 / 128, 3 / 128, -1.5, 1.99, -2]]], np.float32)
    integers = port.integers(given)
    # Halves go to even; the magnitude of -128 is 128, and twice that is cut to 255.
    assert integers[0].T.tolist() == [[0, 64, -64, -128, 127], [0, 2, -96, 127, -128]]
    assert port.symbols(integers)[0].T.tolist() == [[0, 128, 128, 255, 254], [0, 4, 192, 254, 255]]
    assert InputPort(8, False, FixedPoint(-5, signed=True)).exponent == -5


@pytest.mark.parametrize("folded", [True, False])
def test_from_9_bits_on_the_port_loses_nothing(tmp_path: Path, folded: bool) -> None:
    generator = rng("port", folded)
    network = IntegerNetwork.from_onnx(
        quantised_onnx(tmp_path / "m.onnx", random_spec(generator, folded=folded))
    )
    iq = (3 * generator.standard_normal((200, 2, 32))).astype(np.float32)
    expected = network.round_inputs(iq).symbols
    for bits in (9, 12, 16):
        port = PipelineDesign(network, bits).port
        np.testing.assert_array_equal(port.symbols(port.integers(iq)), expected)


def test_the_class_is_that_of_the_best_hypothesis_and_of_equal_ones_the_first(tmp_path: Path) -> None:
    network = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", random_spec(rng("decide"))))
    names = [h.label for h in network.contract.weighed()]
    scores = np.full((2, 7), -5)
    scores[0, [2, 6]] = 3
    scores[1, 4] = 1
    found = network.decide(IntegerScores(scores, 0))
    assert [CLASSES[c] for c in found] == [names[2], names[4]]


def _spec(generator: np.random.Generator, kind: str) -> Spec:
    """Networks that differ in what hardware does differently."""
    level, signed, kernel = (
        kind in ("level", "window"),
        kind in ("signed", "window"),
        3 if kind == "window" else 1,
    )
    small = random_spec(generator, 4, level=level, folded=not signed)
    small.symbol = [
        random_layer(generator, 2, 10, small.symbol[0].exponent, 4, kernel, signed=signed),
        random_layer(generator, 10, 9, -8, 4, kernel),
    ]
    # With more hypotheses than a chunk has clocks, two go in a beat.
    hypotheses = {"many": 37, "short": 5}.get(kind, 7)
    side = 3 if level else 0
    small.head = [
        random_layer(generator, 9 + side, 11, -7, 4),
        random_layer(generator, 11, hypotheses, -7, 4),
    ]
    small.contract = dict(KNOWN)
    if kind == "short":
        small = replace(small, length=8)
    if kind == "one":
        small.head = [random_layer(generator, 9, 3, -7, 8)]
    return small


def _network(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> IntegerNetwork:
    import quantised_onnx as networks

    monkeypatch.setattr(networks, "CLASSES", KNOWN["classes"])
    generator = rng("rtl", kind)
    spec = _spec(generator, kind)
    network = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", spec))
    # Brings the scores together, so that the best is not the same one for every chunk.
    iq = generator.standard_normal((100, 2, spec.length)).astype(np.float32)
    level = np.zeros((100, 3), np.float32) if spec.level else None
    scores = network.trace(network.round_inputs(iq, level))[network.layers[-1].name]
    spec.head[-1].biases -= np.median(scores, axis=0).astype(np.int64)
    return IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", spec))


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
@pytest.mark.parametrize("kind", ["plain", "level", "signed", "many", "short", "one", "window"])
def test_simulated_hardware_equals_the_reference(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(tmp_path, kind, monkeypatch)
    design = PipelineDesign(network, 9 if kind == "many" else 8)
    inputs = make_stimuli(design, 200 if kind == "plain" else 40, SEED)
    scores = network.run(IntegerInputs(design.port.symbols(inputs.symbols), inputs.side)).integers
    assert len(np.unique(scores.argmax(axis=1))) > 2
    write_rtl(design, tmp_path / "rtl", inputs)
    assert cosimulate(tmp_path / "rtl").startswith(f"PASS: {len(inputs.symbols)} chunks")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
@pytest.mark.parametrize(
    ("kind", "fold"),
    [
        *(("plain", 2), ("window", 4), ("short", 2)),
        *(
            pytest.param(*one, marks=pytest.mark.long)
            for one in (("plain", 8), ("signed", 8), ("signed", 4), ("level", 4))
        ),
    ],
)
def test_folded_hardware_equals_the_reference(
    tmp_path: Path, kind: str, fold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(tmp_path, kind, monkeypatch)
    design = PipelineDesign(network, fold=fold)
    assert design.clocks_a_chunk >= fold * network.mean.symbols
    inputs = make_stimuli(design, 40, SEED)
    write_rtl(design, tmp_path / "rtl", inputs)
    assert cosimulate(tmp_path / "rtl").startswith("PASS: 40 chunks")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_a_wrong_weight_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    design = PipelineDesign(_network(tmp_path, "plain", monkeypatch))
    write_rtl(design, tmp_path / "rtl", make_stimuli(design, 32, SEED))
    file = tmp_path / "rtl" / "symbol_1.v"
    text = file.read_text()
    place = text.index(" + ", text.index("always @(posedge aclk) begin"))
    file.write_text(text[:place] + " - " + text[place + 3 :])
    with pytest.raises(AmrqError, match="differs from the integer reference: FAIL: chunk"):
        cosimulate(tmp_path / "rtl")


@pytest.mark.skipif(shutil.which("verilator") is None, reason="verilator is not installed")
@pytest.mark.parametrize(
    ("kind", "fold", "bits"),
    [
        *((kind, 1, 8) for kind in ("plain", "level", "signed", "many", "short", "one")),
        *(("plain", 2, 8), ("signed", 4, 8), ("level", 8, 8), ("plain", 1, 9), ("level", 1, 16)),
        *(("window", 1, 8), ("window", 4, 8)),
    ],
)
def test_lint_has_nothing_to_say(
    tmp_path: Path, kind: str, fold: int, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(tmp_path, kind, monkeypatch)
    design = PipelineDesign(network, bits, fold)
    write_rtl(design, tmp_path / "rtl", make_stimuli(design, 16, SEED))
    result = subprocess.run(
        ["make", "-s", "-C", str(tmp_path / "rtl"), "lint"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_testbench_covers_classes_levels_and_extremes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = PipelineDesign(_network(tmp_path, "level", monkeypatch))
    inputs = make_stimuli(design, 640, SEED)
    assert set(inputs.labels) == {-1, 0, 1, 2}
    extreme = inputs.symbols[inputs.labels < 0]
    assert len(extreme) == 40
    assert set(np.unique(extreme)) == {-128, 0, 127}
    assert (inputs.side[inputs.labels >= 0] == 0).all(axis=1).any()
    assert (inputs.side[inputs.labels >= 0][:, :2] > 0).any(axis=0).all()
    again = make_stimuli(design, 640, SEED)
    np.testing.assert_array_equal(again.symbols, inputs.symbols)
    # They are what a receiver would hand over: unit RMS.
    real = inputs.symbols[inputs.labels >= 0] * 2.0**design.port.exponent
    chunks = (real[..., 0] + 1j * real[..., 1]).astype(np.complex64)
    np.testing.assert_allclose(normalise(chunks).power, 1, atol=0.15)


def test_a_layer_that_looks_further_than_at_its_neighbours_is_refused(tmp_path: Path) -> None:
    network = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", random_spec(rng("k"), kernel=5)))
    for fold in (1, 4):
        with pytest.raises(AmrqError, match=r"looks at 5 symbols at a time: .* look at 1 or 3"):
            PipelineDesign(network, fold=fold)


def test_a_fold_that_does_not_divide_8_bits_is_refused(tmp_path: Path) -> None:
    network = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", random_spec(rng("fold"))))
    with pytest.raises(AmrqError, match=r"1, 2, 4 or 8 clocks \(fold\), not 3"):
        PipelineDesign(network, fold=3)


def test_another_prefix_is_refused(tmp_path: Path) -> None:
    spec = replace(random_spec(rng("prefix")), prefix=("Abs", "Sqrt"))
    network = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", spec))
    with pytest.raises(AmrqError, match=r"computes more before its first layer \(Abs, Sqrt\)"):
        PipelineDesign(network)


def test_a_model_with_the_name_of_a_part(tmp_path: Path) -> None:
    spec = replace(random_spec(rng("name")), contract={"name": "Mean"})
    design = PipelineDesign(IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", spec)))
    assert design.module == "amrq_mean_top"
    assert {"amrq_mean.v", "amrq_mean_top.v"} <= set(design.files)


def test_a_missing_simulator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "verilator" else f"/bin/{name}")
    with pytest.raises(AmrqError, match="needs verilator, which is not installed"):
        cosimulate(tmp_path, "verilator")


def test_without_jinja_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(tmp_path, "plain", monkeypatch)
    templates._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(
        AmrqError, match=r"making Verilog needs the Python package jinja2, .*'pip install jinja2'"
    ):
        PipelineDesign(network)
    monkeypatch.undo()
    assert PipelineDesign(network).files


def test_a_template_that_lacks_a_value_is_no_file() -> None:
    jinja2 = pytest.importorskip("jinja2")
    with pytest.raises(jinja2.UndefinedError, match="design"):
        templates.rendered("Makefile.in", sources=["a.v"])


def test_each_template_and_module_of_the_folder_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = {*AlignerDesign.copied, *PipelineDesign.copied, *ArrayDesign.copied}
    used |= {*SerialBoard.copied, *PynqBoard.copied}
    folder = files("amrq.hardware.rtl") / "verilog"
    names = {path.name for path in folder.iterdir()}
    assert {name.removesuffix(".v") for name in names if name.endswith(".v")} == used
    source = "".join(path.read_text() for path in Path(templates.__file__).parent.glob("*.py"))
    source += "".join((folder / name).read_text() for name in names if name.endswith(".in"))
    assert all(f'"{name}"' in source for name in names if name.endswith(".in"))


def test_the_block_diagrams_show_the_designs_that_are_made() -> None:
    """Where this fails after a change of the designs: python3 docs/make_diagrams.py."""
    docs = Path(__file__).resolve().parents[2] / "docs"
    made = runpy.run_path(str(docs / "make_diagrams.py"))["pictures"]()
    assert set(made) == {"pipeline.svg", "array.svg"}
    for name, picture in made.items():
        ElementTree.fromstring(picture)
        assert (docs / "hardware" / name).read_text() == picture, name


def test_the_readme_names_functions_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    design = PipelineDesign(_network(tmp_path, "level", monkeypatch))
    write_rtl(design, tmp_path / "rtl", make_stimuli(design, 16, SEED))
    named = re.findall(r"`(amrq\.[\w.]+)\.(\w+)`", (tmp_path / "rtl" / "README.md").read_text())
    assert len(named) == 2
    assert all(hasattr(importlib.import_module(module), name) for module, name in named)
