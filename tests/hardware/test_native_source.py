# SPDX-License-Identifier: GPL-3.0-or-later
"""A model as C: it compiles, gives the reference's scores, and whatever its names are they do nothing in it."""

import ctypes
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seeds import rng

from amrq.errors import AmrqError
from amrq.hardware import (
    IntegerAligner,
    IntegerNetwork,
    build_native_source,
    c_name,
    native_source,
    write_native_source,
)

pytest.importorskip("onnx", reason="the package onnx is not installed")

NAME = "amrq_blind_small_int4"
COMPILER = "cc -DAMRQ_PLAIN"  # one kind of the aligner instead of three: a third of the time


@pytest.fixture(scope="module")
def network() -> IntegerNetwork:
    return IntegerNetwork.from_onnx("blind-small-int4")


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_what_is_compiled_gives_the_reference_s_scores(network: IntegerNetwork, tmp_path: Path) -> None:
    write_native_source(network, tmp_path / "c", 64, COMPILER)
    said = build_native_source(tmp_path / "c", NAME, COMPILER)
    assert said.startswith("plain: 64 chunks, 0 scores differ")
    library = ctypes.CDLL(str(tmp_path / "c" / f"lib{NAME}.so"))
    count, scores = 40, network.head_layers[-1].outputs
    chunks = rng("native source").integers(-900, 900, (count, 2, 32)).astype(np.int16)
    expected = network.run(IntegerAligner().align(chunks))
    found = np.zeros((count, scores), np.int64)
    classes = np.zeros(count, np.int32)
    opened = getattr(library, f"{NAME}_open")
    opened.restype = ctypes.c_void_p
    for kind in range(-1, getattr(library, f"{NAME}_best")() + 1):
        model = ctypes.c_void_p(opened(kind))
        found[:] = 0
        getattr(library, f"{NAME}_scores")(
            model,
            chunks.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(count),
            found.ctypes.data_as(ctypes.c_void_p),
        )
        np.testing.assert_array_equal(found, expected.integers)
        getattr(library, f"{NAME}_close")(model)
    assert not opened(9)
    getattr(library, f"{NAME}_classes")(
        found.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(count), classes.ctypes.data_as(ctypes.c_void_p)
    )
    np.testing.assert_array_equal(classes, network.decide(expected))


def test_without_a_compiler_the_sources_are_there(network: IntegerNetwork, tmp_path: Path) -> None:
    write_native_source(network, tmp_path, 16)
    with pytest.raises(AmrqError, match="there is no compiler no-such-cc: give another with --cc"):
        build_native_source(tmp_path, NAME, "no-such-cc")
    assert {"Makefile", "README.md", "check.c", f"{NAME}.c", f"{NAME}.h", "vectors.bin"} == {
        path.name for path in tmp_path.iterdir()
    }
    text = (tmp_path / f"{NAME}.c").read_text()
    assert re.findall(r'#include "(.*)"', text) == [f"{NAME}.h"]  # else it needs nothing of ours
    with pytest.raises(AmrqError, match="false does not compile"):
        build_native_source(tmp_path, NAME, "false")


def test_models_that_it_does_not_take_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AmrqError, match="does not align in integers"):
        native_source(IntegerNetwork.from_onnx("coherent-small-int4"))


@pytest.mark.parametrize("name", ['*/ #error "x"', "int", "$(shell touch seen)", "check", "\n"])
def test_names_do_nothing_in_the_source(network: IntegerNetwork, name: str) -> None:
    hostile = replace(network.contract)
    object.__setattr__(hostile, "name", name)
    labels = ('a"; system("touch seen"); //', "*/\\ `b` |\n", *network.contract.classes[2:])
    object.__setattr__(hostile, "classes", labels)
    renamed = IntegerNetwork.__new__(IntegerNetwork)
    renamed.__dict__.update(network.__dict__, contract=hostile)
    owners = network.class_of_hypothesis
    renamed.__class__ = type("Renamed", (IntegerNetwork,), {"class_of_hypothesis": owners})
    files = native_source(renamed, "cc\n\ttouch seen")
    assert re.fullmatch(r"amrq_[a-z0-9_]+", c_name(name)) and f"{c_name(name)}.c" in files
    assert "touch seen" not in files["Makefile"]
    source = files[f"{c_name(name)}.c"]
    (array,) = re.findall(r"class_names\[\] = \{\n(.*?)\n\};", source, re.DOTALL)
    literals = array.split(",\n")
    assert len(literals) == len(labels)
    for literal, label in zip(literals, labels, strict=True):
        inside = re.fullmatch(r'\s*"([^"\\]|\\[0-7]{3})*"', literal)
        assert inside, literal
        plain = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), literal.strip()[1:-1])
        assert plain == label
