# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract, and the files it stands in."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from small_models import CLASSES, linear_model, linear_onnx

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.model import AccuracyRow, Contract, find_model, list_models, read_contract, write_contract
from amrq.model import contract_file as exact_products_module

FULL = Contract(
    name="full",
    classes=("BPSK", "QPSK", "unknown"),
    chunk_length=32,
    samples_per_symbol=1,
    normalisation="unit-rms",
    phase="any",
    es_n0_db=(0.0, 25.0),
    weight_bits=8,
    activation_bits=8,
    weights=1234,
    pruned=0.25,
    temperature=1.3,
    phase_noise=0.01,
    accuracy=(AccuracyRow(10.0, 0.8, 0.79, 0.81, 18000),),
    recipe={"name": "r", "versions": {"torch": "2"}},
)


def test_a_contract_survives_its_file(tmp_path: Path) -> None:
    path = linear_onnx(tmp_path / "m.onnx")
    write_contract(path, FULL)
    assert read_contract(path) == FULL
    other = dataclasses.replace(FULL, name="other")
    write_contract(path, other)
    assert read_contract(path) == other
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_writing_leaves_other_metadata_and_the_graph_alone(tmp_path: Path) -> None:
    path = linear_onnx(tmp_path / "m.onnx")
    proto = onnx.load(str(path))
    onnx.helper.set_model_props(proto, {"author": "somebody"})
    onnx.save(proto, str(path))
    write_contract(path, FULL)
    after = onnx.load(str(path))
    assert after.graph == proto.graph
    assert {p.key for p in after.metadata_props} == {"author", "amrq.contract"}


@given(st.text(max_size=60) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_any_text_is_a_contract_or_a_clear_error(value: object) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(AmrqError):
        Contract.from_json(text)


@given(
    st.sampled_from([field.name for field in dataclasses.fields(Contract)]),
    st.none() | st.integers(-3, 3) | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=3),
)
def test_a_damaged_field_never_crashes_the_reader(field: str, value: object) -> None:
    values = json.loads(FULL.to_json()) | {field: value}
    try:
        Contract.from_json(json.dumps(values))
    except AmrqError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ["a"]}, "two different class names"),
        ({"classes": ["a", "a"]}, "two different class names"),
        ({"chunk_length": 0}, "chunk_length"),
        ({"chunk_length": 1.5}, "whole number"),
        ({"normalisation": "peak"}, "normalisation"),
        ({"phase": "sometimes"}, "phase"),
        ({"temperature": 0}, "temperature"),
        ({"es_n0_db": [3, 1]}, "es_n0_db"),
        ({"pruned": 1.0}, "pruned"),
        ({"accuracy": [{"es_n0_db": 0}]}, "field"),
        ({"accuracy": [{"es_n0_db": 0, "accuracy": 2, "low": 0, "high": 1, "chunks": 1}]}, "accuracy row"),
        ({"contract_version": 99}, "version 99"),
        ({"colour": "red"}, "colour"),
        ({"classes": "ABC"}, "classes .* list"),
        ({"recipe": ["a"]}, "recipe .* object"),
        ({"hypotheses": [{"label": "QPSK", "es_n0_db": None, "prior": 1.0}]}, "grouped by class"),
        ({"hypotheses": [{"label": "QPSK", "es_n0_db": None, "prior": 0.0}]}, "prior"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(AmrqError, match=words):
        Contract.from_json(json.dumps(json.loads(FULL.to_json()) | change))


def test_a_foreign_model_is_refused_until_annotated(tmp_path: Path) -> None:
    path = linear_onnx(tmp_path / "foreign.onnx")
    with pytest.raises(AmrqError, match=r"no gr-amrq contract.*amrq model annotate"):
        read_contract(path)
    write_contract(path, Contract("mine", CLASSES, 32))
    assert read_contract(path).classes == CLASSES


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ["caf\u00e9", "cafe\u0301", "QPSK"]}, "look the same"),
        ({"classes": ["QPSK", "\uff31PSK", "8PSK"]}, "look the same"),
        ({"classes": ["Q  PSK", "Q PSK", "8PSK"]}, "look the same"),
        ({"fusion_chunks": 10**400}, "too large"),
        ({"phase_noise": 10**400}, "too large"),
        ({"temperature": True}, "must be a number"),
        ({"temperature": "1"}, "must be a number"),
        ({"recipe": json.loads('{"a":' * 30 + "1" + "}" * 30)}, "more than 20 deep"),
    ],
)
def test_what_a_contract_cannot_say(changes: dict, words: str) -> None:
    values = json.loads(Contract("small", ("QPSK", "BPSK", "8PSK"), 32).to_json())
    with pytest.raises(AmrqError, match=words):
        Contract.from_json(json.dumps({**values, **changes}))


def test_a_contract_with_a_field_twice_is_refused() -> None:
    text = Contract("small", ("QPSK", "BPSK", "8PSK"), 32).to_json()
    with pytest.raises(AmrqError, match="a field twice: name"):
        Contract.from_json(text[:-1] + ', "name": "another"}')


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        ({"batch": 1}, "exactly 1 chunks"),
        ({"length": 64, "weights": np.zeros((128, 3))}, r"\[N, 2, 32\]"),
        ({"rows": 4, "length": 16, "weights": np.zeros((64, 3))}, r"\[N, 2, 32\]"),
        ({"weights": np.zeros((64, 7))}, "3 classes"),
        ({"outputs": ("logits", "more")}, "3 classes"),
        ({"input_type": TensorProto.DOUBLE}, "float32"),
    ],
)
def test_a_graph_that_breaks_the_contract_is_refused(tmp_path: Path, graph: dict, words: str) -> None:
    path = linear_onnx(tmp_path / "m.onnx", **graph)
    before = path.read_bytes()
    with pytest.raises(AmrqError, match=words):
        write_contract(path, Contract("mine", CLASSES, 32))
    assert path.read_bytes() == before
    # The same on reading, where somebody else wrote the metadata.
    proto = onnx.load(str(path))
    onnx.helper.set_model_props(proto, {"amrq.contract": Contract("mine", CLASSES, 32).to_json()})
    onnx.save(proto, str(path))
    with pytest.raises(AmrqError, match=words):
        read_contract(path)


def test_no_model_at_all(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"not a model")
    empty = tmp_path / "empty.onnx"
    empty.touch()
    for path, words in (
        (garbage, "cannot be"),
        (empty, "cannot be|one float32 input"),
        (tmp_path / "missing.onnx", "no model file"),
    ):
        with pytest.raises(AmrqError, match=words):
            read_contract(path)
        with pytest.raises(AmrqError, match=words):
            write_contract(path, FULL)


def test_models_are_found_by_name_and_in_the_users_folder(tmp_path: Path, monkeypatch) -> None:
    linear_model(tmp_path / "mine.onnx")
    monkeypatch.setenv("AMRQ_MODELS", str(tmp_path))
    assert find_model("mine") == tmp_path / "mine.onnx"
    assert {"mine", "blind-full-int8"} <= {path.stem for path in list_models()}
    assert find_model() == find_model("default") == find_model("blind-full-int8")
    with pytest.raises(AmrqError, match="blind-full-int8"):
        find_model("nothing")
    with pytest.raises(AmrqError, match="no model file"):
        find_model("nothing.onnx")


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\nflags\t\t: fpu avx512_vnni\n", True),
        ("flags\t\t: fpu avx2 avx_vnni\n", True),
        ("flags\t\t: fpu avx2\n", False),
        ("flags\t\t: avx_vnni\nflags\t\t: avx2\n", False),  # a thread may run on either core
        ("Features\t: fp asimd\n", False),
        (None, False),
    ],
)
def test_which_processors_add_exactly(text, exact, tmp_path, monkeypatch):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(exact_products_module, "_CPUINFO", tmp_path / "cpuinfo")
    exact_products_module.exact_products.cache_clear()
    try:
        assert exact_products_module.exact_products() is exact
    finally:
        exact_products_module.exact_products.cache_clear()


STAR = {"name": "star", "points": [[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]]}


def version_2(**fields: object) -> dict[str, object]:
    return {
        "contract_version": 2,
        "name": "mine",
        "classes": ["BPSK", "star", "GMSK", "unknown"],
        "chunk_length": 32,
    } | fields


def test_a_contract_of_version_1_is_of_the_thesiss_classes() -> None:
    values = {
        "contract_version": 1,
        "name": "old",
        "classes": ["BPSK", "64QAM", "unknown"],
        "chunk_length": 32,
    }
    old = Contract.from_json(json.dumps(values))
    # A name that came into the library later is not measured: the file cannot have meant it.
    assert list(old.linear_classes) == ["BPSK"] and old.input == "symbols"
    assert list(old.class_set) == ["BPSK", "64QAM"]
    again = Contract.from_json(old.to_json())
    assert again == old and json.loads(old.to_json())["contract_version"] == 2
    oldest = old.to_json(oldest=True)
    assert json.loads(oldest)["contract_version"] == 1 and Contract.from_json(oldest) == old
    assert list(Contract.from_json(json.dumps(values | {"contract_version": 2})).linear_classes) == [
        "BPSK",
        "64QAM",
    ]
    for field in ("class_set", "input"):
        with pytest.raises(AmrqError, match=f"unknown fields: {field}"):
            Contract.from_json(json.dumps(values | {field: "symbols"}))


def test_a_contract_says_what_its_classes_are() -> None:
    described = {"name": "two", "classes": ["BPSK", STAR]}
    contract = Contract.from_json(json.dumps(version_2(class_set=described)))
    assert contract.class_set.name == "two" and list(contract.class_set) == ["BPSK", "star", "GMSK"]
    assert contract.linear_classes["star"].symmetry == 4 and contract.class_set["GMSK"].family == "unknown"
    for oldest in (False, True):  # version 1 cannot say it
        assert Contract.from_json(contract.to_json(oldest)) == contract
    assert json.loads(Contract("new", ("BPSK", "64QAM"), 32).to_json(oldest=True))["contract_version"] == 2
    named = Contract("nine", (*THESIS_9, "unknown"), 32)
    assert named.linear_classes is THESIS_9 or named.linear_classes.name == "thesis-9"
    assert json.loads(named.to_json())["class_set"] == {"name": "thesis-9", "classes": list(THESIS_9)}
    short = version_2(classes=list(THESIS_9), class_set="thesis-9")
    assert Contract.from_json(json.dumps(short)).linear_classes == THESIS_9


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ("thesis-8", "no class set 'thesis-8'"),
        (5, "name of a set, or an object"),
        ({"name": "x"}, "name of a set, or an object"),
        ({"name": "x", "classes": ["65QAM"]}, "'65QAM'"),
        ({"name": "x", "classes": ["QPSK"]}, "in place of its labels"),
        ({"name": "x", "classes": [7]}, "must be a name, or an object"),
        ({"name": "x", "classes": [STAR | {"colour": "red"}]}, "unknown fields"),
        ({"name": "x", "classes": [STAR | {"points": [[0, 0], [0, 0]]}]}, "mean power"),
        ({"name": "x", "classes": [STAR | {"points": [["a", 0], [0, 0]]}]}, "lacks or mistypes"),
        ({"name": "a\nb", "classes": [STAR]}, "name of a class set"),
    ],
)
def test_what_a_class_set_cannot_say(described: object, words: str) -> None:
    with pytest.raises(AmrqError, match=words):
        Contract.from_json(json.dumps(version_2(class_set=described)))


def test_a_model_of_samples_is_known_and_not_given_symbols() -> None:
    samples = Contract.from_json(
        json.dumps(version_2(input="samples", samples_per_bandwidth=4, chunk_length=1024))
    )
    assert Contract.from_json(samples.to_json(oldest=True)) == samples
    with pytest.raises(AmrqError, match="takes samples of a signal, not the symbols"):
        samples.require_symbols()
    Contract.from_json(json.dumps(version_2())).require_symbols()
    too_many = {"input": "samples", "samples_per_bandwidth": 1e6}
    for fields in ({"input": "samples"}, {"samples_per_bandwidth": 4}, too_many, {"input": "sound"}):
        with pytest.raises(AmrqError, match=r"samples_per_bandwidth must be|input must be"):
            Contract.from_json(json.dumps(version_2(**fields)))
