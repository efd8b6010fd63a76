# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in a contract become tables, pages, file names and Verilog: none of them can do anything there."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amrq.classes import ClassSet
from amrq.errors import AmrqError
from amrq.hardware.rtl import VerilogText
from amrq.model import Contract
from amrq.text import is_file_name, markdown, name_fault

FOREIGN = (
    *(
        "pi/4-DQPSK",
        "π/4-QPSK",
        "GMSK BT 0.5",
        "16APSK (DVB-S2)",
        "8-PSK + echo",
        "$display",
        "a|b <b>",
        "`x`",
    ),
    *(
        "verilator lint_off WIDTH",
        "synthesis translate_off",
        "`include secret",
        "ends with a \\",
        "*/ $system(ls); /*",
    ),
)
REFUSED = (
    *(
        "QPSK\n$system(ls);",
        "QPSK\x1b[2J",
        "QPSK\r",
        "tab\there",
        "nul\0",
        "bell\a",
        "\u202eKSPQ",
        "half \ud800",
    ),
    *(
        "",
        " ",
        " QPSK",
        "QPSK ",
        "x" * 65,
        "line\u2028end",
        "soft\u00adhyphen",
        8,
        None,
        ["QPSK"],
        {"a": 1},
        True,
        1.5,
    ),
)
FULL = Contract(name="full", classes=("BPSK", "QPSK"), chunk_length=32)


def contract(**values: object) -> Contract:
    written = json.loads(FULL.to_json()) | values
    if "classes" in values:
        del written["class_set"]  # of the labels that were there before
    return Contract.from_json(json.dumps(written))


@pytest.mark.parametrize("name", FOREIGN)
def test_names_of_the_field_are_names(name: str) -> None:
    assert contract(classes=["BPSK", name], name=name).classes == ("BPSK", name)
    hypotheses = [{"label": label, "es_n0_db": 10.0, "prior": 0.5} for label in ("BPSK", name)]
    assert contract(classes=["BPSK", name], hypotheses=hypotheses).hypotheses[1].label == name


@pytest.mark.parametrize("name", REFUSED, ids=repr)
def test_what_could_do_something_is_refused(name: object) -> None:
    with pytest.raises(AmrqError, match="class 2") as refused:
        contract(classes=["BPSK", name])
    assert str(refused.value).isprintable()
    if name != "x" * 65:
        with pytest.raises(AmrqError, match="name") as refused:
            contract(name=name)
        assert str(refused.value).isprintable()


def test_limits_of_a_contract() -> None:
    assert contract(name="n" * 128).name == "n" * 128
    for values, words in (
        ({"name": "n" * 129}, "129 characters"),
        ({"classes": [f"c{k}" for k in range(1001)]}, "1001 classes"),
        ({"chunk_length": 1 << 40}, "chunk_length"),
        ({"chunk_length": True}, "chunk_length"),
        ({"samples_per_symbol": 0}, "samples_per_symbol"),
        ({"weight_bits": "8"}, "weight_bits"),
        ({"es_n0_db": [0, 1e999]}, "es_n0_db"),
        ({"temperature": float("nan")}, "temperature"),
        ({"phase_noise": float("inf")}, "phase_noise"),
    ):
        with pytest.raises(AmrqError, match=words):
            contract(**values)
    with pytest.raises(AmrqError, match="characters"):
        Contract.from_json(" " * (1 << 23))
    for text in ("[" * 100_000, '{"chunk_length": ' + "9" * 5000 + "}"):
        with pytest.raises(AmrqError, match="the contract"):
            Contract.from_json(text)


@given(st.text())
def test_quoted_verilog_stays_in_its_comment(text: str) -> None:
    quoted = VerilogText.quoted(text)
    assert re.fullmatch(r'"[^"`\\*$\n\r]*"', quoted) and quoted.isascii() and quoted.isprintable()


@given(st.text())
def test_markdown_shows_and_does_nothing(text: str) -> None:
    shown = markdown(text)
    assert shown.isprintable()
    assert not re.search(r"(?<!\\)(\\\\)*[`*\[\]<>|&${}~]", shown)


@given(st.text())
def test_a_file_s_name_leads_nowhere(name: str) -> None:
    if is_file_name(name):
        assert Path("folder", name).parent == Path("folder") and not name_fault(name, 100)
    for leading in ("../" + name, "/" + name, "." + name, name + "/x", "-" + name):
        assert not is_file_name(leading)


def _hostile_network(folder: Path, classes: tuple[str, ...], name: str) -> object:
    """Return a network whose contract says what reading one would refuse, as if that check were not there."""
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    from hardware.quantised_onnx import quantised_onnx, random_spec
    from seeds import rng

    from amrq.hardware import IntegerNetwork

    network = IntegerNetwork.from_onnx(quantised_onnx(folder / "m.onnx", random_spec(rng("hostile"))))
    hostile = dataclasses.replace(network.contract)
    labels = dict(zip(hostile.classes, classes, strict=False))
    kept = tuple(labels.get(label, label) for label in hostile.classes)
    object.__setattr__(hostile, "name", name)
    object.__setattr__(hostile, "classes", kept)
    plain = tuple(member for member in hostile.class_set.linear if member.name in kept)
    object.__setattr__(hostile, "class_set", ClassSet("own", plain))
    for hypothesis in hostile.hypotheses:
        object.__setattr__(hypothesis, "label", labels.get(hypothesis.label, hypothesis.label))
    network.contract = hostile
    return network


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ('A\ninitial $system("touch seen");//', 'B\ninitial $system("touch seen");//'),
        ("verilator lint_off WIDTH", "synthesis translate_off"),
        ('`include "/etc/passwd"', "$(shell touch seen)"),
        ("\x1b]0;title\a <script>", "'; touch seen; '"),
    ],
)
def test_names_do_nothing_in_verilog_and_beside_it(label: str, name: str, tmp_path: Path) -> None:
    from amrq.hardware.rtl import cosimulate, make_design, make_stimuli, write_rtl

    network = _hostile_network(tmp_path, (label, "BPSK"), name)
    design = make_design(network)  # type: ignore[arg-type]
    assert re.fullmatch(r"amrq_[a-z0-9_]*", design.module)
    write_rtl(design, tmp_path / "rtl", make_stimuli(design, 16, 1))  # type: ignore[arg-type]
    for path in (tmp_path / "rtl").iterdir():
        if path.is_dir():
            continue
        assert re.fullmatch(r"[\w.]+", path.name)
        text = path.read_text()
        for line in text.splitlines():
            assert all(c.isprintable() or c == "\t" for c in line)
            assert not re.match(r"\s*initial \$system", line)
            if path.suffix == ".v":  # what is from outside stands in quotes, in a comment
                comment = line.partition("//")[2]
                assert not re.match(r"\s*(verilator|synthesis|synopsys)\b", comment), line
        if path.name == "Makefile":
            assert "touch" not in re.sub(r"amrq_\w+", "", text)
        if path.suffix == ".md":
            assert "<script>" not in re.sub(r"\\<", "", text)
    if shutil.which("iverilog") is not None and shutil.which("make") is not None:
        assert cosimulate(tmp_path / "rtl").startswith("PASS")
    assert not list(tmp_path.rglob("seen")) and not Path("seen").exists()


def test_a_layer_s_name_is_a_name() -> None:
    import numpy as np

    from amrq.hardware import FixedPoint, IntegerLayer

    def layer(name: str) -> IntegerLayer:
        ones = np.ones((2, 2, 1), np.int8)
        few = np.zeros(2, np.int64)
        return IntegerLayer(name, ones, few.astype(np.int32), few, FixedPoint(0, True), None, False, False)

    assert layer("head_1").name == "head_1"
    for name in ("module", "x; $system(ls)", "amrq_input", "../x", "a_1\n", ""):
        with pytest.raises(AmrqError, match="layer's name"):
            layer(name)


def test_files_whose_names_run_commands_are_refused_by_everything_that_reads_them(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    import numpy as np

    from amrq.classifier import OnnxEngine
    from amrq.hardware import IntegerNetwork, read_image, read_layer_sizes, write_image
    from amrq.model import find_model, read_contract

    hostile = 'A\ninitial $system("touch seen");//'

    def changed(text: str) -> str:
        values = json.loads(text)
        old, values["classes"][0] = values["classes"][0], hostile
        for hypothesis in values["hypotheses"]:
            hypothesis["label"] = hostile if hypothesis["label"] == old else hypothesis["label"]
        return json.dumps(values)

    model = onnx.load(str(find_model("coherent-small-int4")))
    (entry,) = [entry for entry in model.metadata_props if entry.key == "amrq.contract"]
    entry.value = changed(entry.value)
    onnx.save(model, str(tmp_path / "m.onnx"))
    for read in (read_contract, OnnxEngine, IntegerNetwork.from_onnx, read_layer_sizes):
        with pytest.raises(AmrqError, match="class 1 has a character") as refused:
            read(tmp_path / "m.onnx")
        assert str(refused.value).isprintable()

    write_image("coherent-small-int4", tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as file:
        arrays = dict(file)
    description = json.loads(arrays["description"].tobytes())
    for change in (
        {"contract": changed(description["contract"])},
        {"layers": [{**layer, "name": "x; initial $system(ls)"} for layer in description["layers"]]},
    ):
        arrays["description"] = np.frombuffer(json.dumps(description | change).encode(), np.uint8)
        np.savez(tmp_path / "hostile.npz", **arrays)
        with pytest.raises(AmrqError) as refused:
            read_image(tmp_path / "hostile.npz")
        assert str(refused.value).isprintable()
