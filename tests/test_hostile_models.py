# SPDX-License-Identifier: GPL-3.0-or-later
"""Small model files with huge claims are refused in a sentence, before anything of the claim is done."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_amrq import amrq, python
from small_models import CLASSES, linear_model

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from amrq.classifier import OnnxEngine, make_classifier  # noqa: E402
from amrq.errors import AmrqError  # noqa: E402
from amrq.machine import memory_limit  # noqa: E402
from amrq.model import (  # noqa: E402
    Contract,
    read_contract,
    scan_model,
    write_contract,
)

Node = Any
CONTRACT = Contract("hostile", CLASSES, 32)


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Node:
    return helper.make_node(operator, list(inputs), list(outputs), **attributes)


def whole(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def tail(name: str) -> list[Node]:
    """Return nodes that bring a huge tensor into the scores, so that nothing can leave it out."""
    return [
        node("ReduceSum", [name], ["all"], keepdims=0),
        node("Flatten", ["iq"], ["flat"]),
        node("MatMul", ["flat", "weights"], ["scores"]),
        node("Add", ["scores", "all"], ["logits"]),
    ]


def model(nodes: Sequence[Node], *stored: Any, functions: Sequence[Any] = ()) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "hostile",
        [helper.make_tensor_value_info("iq", TensorProto.FLOAT, ["N", 2, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(CLASSES)])],
        [numpy_helper.from_array(np.zeros((64, len(CLASSES)), np.float32), "weights"), *stored],
    )
    domains = [helper.make_opsetid("", 17), *([helper.make_opsetid("f", 1)] if functions else [])]
    proto = helper.make_model(graph, opset_imports=domains, functions=list(functions))
    proto.ir_version = 8
    helper.set_model_props(proto, {"amrq.contract": CONTRACT.to_json()})
    return proto.SerializeToString()


def filled() -> bytes:
    """A constant of 16 GiB, computed beforehand."""
    return model([node("ConstantOfShape", ["size"], ["x"]), *tail("x")], whole("size", 1 << 32))


def expanded() -> bytes:
    return model(
        [node("Expand", ["one", "size"], ["x"]), *tail("x")],
        whole("size", 1 << 16, 1 << 16),
        numpy_helper.from_array(np.ones(1, np.float32), "one"),
    )


def tiled() -> bytes:
    return model(
        [node("Tile", ["row", "size"], ["x"]), *tail("x")],
        whole("size", 1 << 20),
        numpy_helper.from_array(np.ones(1 << 14, np.float32), "row"),
    )


def doubled() -> bytes:
    """34 concatenations of a tensor with itself."""
    nodes = [node("Concat", [f"x{k}", f"x{k}"], [f"x{k + 1}"], axis=0) for k in range(34)]
    return model([*nodes, *tail("x34")], numpy_helper.from_array(np.ones(1, np.float32), "x0"))


def broadcast() -> bytes:
    """The sum of a column and a row of 80 kB each."""
    side = np.ones(1 << 16, np.float32)
    return model(
        [node("Add", ["column", "row"], ["x"]), *tail("x")],
        numpy_helper.from_array(side[:, None], "column"),
        numpy_helper.from_array(side[None, :], "row"),
    )


def each_chunk() -> bytes:
    """400 MB for each chunk: one of them passes, 512 do not."""
    nodes = [
        node("Shape", ["iq"], ["shape"]),
        node("Slice", ["shape", "from", "to"], ["n"]),
        node("Concat", ["n", "size"], ["wanted"], axis=0),
        node("Expand", ["one", "wanted"], ["x"]),
    ]
    return model(
        [*nodes, *tail("x")],
        *(whole("from", 0), whole("to", 1), whole("size", 500_000_000)),
        numpy_helper.from_array(np.ones((1, 1), np.float32), "one"),
    )


def looped() -> bytes:
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Identity", ["v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("k", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, None),
        ],
    )
    times = numpy_helper.from_array(np.array(1 << 62, np.int64), "times")
    on = numpy_helper.from_array(np.array(True), "go_on")
    return model([node("Loop", ["times", "go_on", "iq"], ["x"], body=body), *tail("x")], times, on)


def hidden_loop() -> bytes:
    """The same in a branch, and in a function."""
    proto = onnx.load_from_string(looped())
    loop = proto.graph.node[0]
    branch = helper.make_graph(
        [loop], "branch", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    )
    proto.graph.node[0].CopyFrom(
        helper.make_node("If", ["go_on"], ["x"], then_branch=branch, else_branch=branch)
    )
    return proto.SerializeToString()


def functions() -> bytes:
    """Each of 12 functions calls the one before 10 times."""
    made = [
        helper.make_function(
            "f", "f0", ["a"], ["b"], [node("Abs", ["a"], ["b"])], [helper.make_opsetid("", 17)]
        )
    ]
    for level in range(1, 13):
        calls = [node(f"f{level - 1}", [f"a{k}" if k else "a"], [f"a{k + 1}"], domain="f") for k in range(10)]
        calls[-1].output[0] = "b"
        domains = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
        made.append(helper.make_function("f", f"f{level}", ["a"], ["b"], calls, domains))
    return model([node("f12", ["iq"], ["x"], domain="f"), *tail("x")], functions=made)


def by_samples() -> bytes:
    """As many numbers as the first sample says."""
    nodes = [
        node("ReduceMax", ["iq"], ["top"], keepdims=0),
        node("Cast", ["top"], ["n"], to=TensorProto.INT64),
        node("Reshape", ["n", "one"], ["size"]),
        node("ConstantOfShape", ["size"], ["x"]),
    ]
    return model([*nodes, *tail("x")], whole("one", 1))


def by_samples_in_any_order() -> bytes:
    """The same, what is computed last written first."""
    proto = onnx.load_from_string(by_samples())
    nodes = list(proto.graph.node)[::-1]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto.SerializeToString()


def by_shape_of_samples() -> bytes:
    """As many numbers as there are samples that are not 0, times 10^9: as many as a shape says."""
    nodes = [
        node("Relu", ["iq"], ["above"]),
        node("NonZero", ["above"], ["where"]),
        node("Shape", ["where"], ["count"]),
        node("Mul", ["count", "billion"], ["size"]),
        node("ConstantOfShape", ["size"], ["x"]),
    ]
    return model([*nodes, *tail("x")], whole("billion", 10**9))


def by_chance() -> bytes:
    nodes = [
        node("RandomUniform", [], ["chance"], shape=[1], high=1e12),
        node("Cast", ["chance"], ["size"], to=TensorProto.INT64),
        node("ConstantOfShape", ["size"], ["x"]),
    ]
    return model([*nodes, *tail("x")])


def branch_by_samples() -> bytes:
    """16 GiB, but not for noise of a usual power."""
    made = {}
    for name, size in (("then_branch", "much"), ("else_branch", "little")):
        out = helper.make_tensor_value_info(f"{name}_x", TensorProto.FLOAT, None)
        made[name] = helper.make_graph([node("Expand", ["top", size], [f"{name}_x"])], name, [], [out])
    nodes = [
        node("ReduceMax", ["iq"], ["top"], keepdims=0),
        node("Greater", ["top", "limit"], ["go"]),
        node("If", ["go"], ["x"], **made),
    ]
    limit = numpy_helper.from_array(np.array(1e6, np.float32), "limit")
    return model([*nodes, *tail("x")], whole("much", 1 << 32), whole("little", 1), limit)


def sparse() -> bytes:
    """One number in a sparse tensor of 2^33."""
    proto = onnx.load_from_string(model(tail("x")))
    proto.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            helper.make_tensor("x", TensorProto.FLOAT, [1], [1.0]),
            helper.make_tensor("", TensorProto.INT64, [1], [5]),
            [1 << 33],
        )
    )
    return proto.SerializeToString()


def empty_claim() -> bytes:
    """An initialiser of 2^40 numbers without any."""
    proto = onnx.load_from_string(model(tail("x")))
    proto.graph.initializer.append(
        TensorProto(name="x", dims=[1 << 40], data_type=TensorProto.FLOAT, raw_data=b"")
    )
    return proto.SerializeToString()


def elsewhere() -> bytes:
    """Weights in another file of the machine."""
    proto = onnx.load_from_string(model(tail("x")))
    tensor = TensorProto(name="x", dims=[4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"
    proto.graph.initializer.append(tensor)
    return proto.SerializeToString()


def long_work() -> bytes:
    """Products of matrices that need the memory of one, again and again."""
    nodes = [node("ConstantOfShape", ["size"], ["x0"])]
    nodes += [node("MatMul", [f"x{k}", "x0"], [f"x{k + 1}"]) for k in range(2000)]
    return model([*nodes, *tail("x2000")], whole("size", 2000, 2000))


def other_shape() -> bytes:
    """Scores of another shape than the file declares."""
    nodes = [
        node("Flatten", ["iq"], ["flat"]),
        node("MatMul", ["flat", "weights"], ["scores"]),
        node("Reshape", ["scores", "shape"], ["logits"], allowzero=0),
    ]
    return model(nodes, whole("shape", -1, 1))


HOSTILE: dict[Callable[[], bytes], str] = {
    filled: "memory",
    expanded: "memory",
    tiled: "memory|bytes",  # onnxruntime has a limit of its own there
    doubled: "memory",
    broadcast: "memory",
    looped: "Loop",
    hidden_loop: "Loop",
    functions: "operators",
    by_samples: "as the samples say",
    by_samples_in_any_order: "as the samples say",
    by_shape_of_samples: "as the samples say",
    by_chance: "as the samples say",
    branch_by_samples: "condition",
    sparse: "memory|cannot be",
    empty_claim: "cannot be",
    elsewhere: "another file",
    other_shape: r"\(1, 1\)|\(3, 1\)|shape|outputs",
}

IN_A_PROCESS = """
import resource, sys
from amrq.classifier import OnnxEngine
from amrq.errors import AmrqError
OnnxEngine("coherent-small-int4")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    engine = OnnxEngine(sys.argv[1])
    print("loaded", engine._largest_call)
except AmrqError as error:
    print("refused", error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("make", [*HOSTILE, each_chunk], ids=lambda make: make.__name__)
def test_a_small_file_takes_no_memory_to_speak_of(make: Callable[[], bytes], tmp_path: Path) -> None:
    import re

    data = make()
    assert len(data) < 1_500_000
    (tmp_path / "hostile.onnx").write_bytes(data)
    done = python("-c", IN_A_PROCESS, tmp_path / "hostile.onnx")
    assert done.returncode == 0, done.stderr
    said, megabytes = done.stdout.splitlines()
    assert int(megabytes) < 1500, said
    if make is not each_chunk:
        assert said.startswith("refused") and re.search(HOSTILE[make], said), said
    else:
        assert said.startswith("refused") or said == "loaded 1", said


def test_work_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from amrq.model import contract_file

    monkeypatch.setattr(contract_file, "_PATIENCE", 0.3)
    (tmp_path / "m.onnx").write_bytes(long_work())
    with pytest.raises(AmrqError, match=r"more than 0\.3 s"):
        make_classifier(tmp_path / "m.onnx")


def test_a_branch_is_allowed(tmp_path: Path) -> None:
    """PyTorch writes one where a dimension may be 1."""
    made = {}
    for name, sign in (("then_branch", "Abs"), ("else_branch", "Neg")):
        out = helper.make_tensor_value_info(f"{name}_x", TensorProto.FLOAT, None)
        made[name] = helper.make_graph([node(sign, ["iq"], [f"{name}_x"])], name, [], [out])
    go = numpy_helper.from_array(np.array(True), "go")
    nodes = [
        node("If", ["go"], ["x"], **made),
        node("Flatten", ["x"], ["flat"]),
        node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    (tmp_path / "m.onnx").write_bytes(model(nodes, go))
    assert make_classifier(tmp_path / "m.onnx").contract == CONTRACT


def test_sizes_by_the_number_of_chunks_are_allowed(tmp_path: Path) -> None:
    """What exporters write where a tensor is reshaped: its own first dimension, and the rest."""
    nodes = [
        node("Shape", ["iq"], ["shape"]),
        node("Gather", ["shape", "zero"], ["n"]),
        node("Concat", ["n", "rest"], ["wanted"], axis=0),
        node("Reshape", ["iq", "wanted"], ["flat"]),
        node("Expand", ["flat", "wanted"], ["again"]),
        node("MatMul", ["again", "weights"], ["logits"]),
    ]
    (tmp_path / "m.onnx").write_bytes(model(nodes, whole("zero", 0), whole("rest", 64)))
    classifier = make_classifier(tmp_path / "m.onnx")
    assert classifier.engine._largest_call == 512


def test_numbers_in_another_file_are_taken_in_by_annotating(tmp_path: Path) -> None:
    linear_model(tmp_path / "m.onnx")
    proto = onnx.load(str(tmp_path / "m.onnx"))
    onnx.save(
        proto, str(tmp_path / "m.onnx"), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    for use in (read_contract, OnnxEngine):
        with pytest.raises(AmrqError, match=r"another file.*annotate"):
            use(tmp_path / "m.onnx")
    write_contract(tmp_path / "m.onnx", CONTRACT)
    (tmp_path / "weights.bin").unlink()
    assert make_classifier(tmp_path / "m.onnx").contract == CONTRACT


def test_onnxruntime_s_own_format_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x10\0\0\0ORTM" + bytes(200))
    with pytest.raises(AmrqError, match="cannot be"):
        read_contract(tmp_path / "m.onnx")


def test_what_a_scan_finds(tmp_path: Path) -> None:
    found = scan_model(linear_model(tmp_path / "m.onnx").read_bytes())
    assert found.operators == {"Cast", "Flatten", "MatMul"}
    assert Contract.from_json(found.metadata["amrq.contract"]).name == "linear"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "m.onnx").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(AmrqError, match="bytes"):
        read_contract(tmp_path / "m.onnx")


def test_memory_is_limited_inside_alone() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    with memory_limit(1 << 28):
        assert np.ones(1 << 24, np.uint8).sum() == 1 << 24
        with memory_limit(1 << 28), pytest.raises(MemoryError):
            np.ones(1 << 40, np.uint8)
        assert resource.getrlimit(resource.RLIMIT_AS)[0] != before[0]
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_one_bad_file_does_not_end_the_list(tmp_path: Path) -> None:
    linear_model(tmp_path / "good.onnx")
    (tmp_path / "garbage.onnx").write_bytes(b"\xff" * 300)
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "dangling.onnx").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "loop.onnx").write_bytes(looped())
    (tmp_path / "steers\x1b[2J.onnx").write_bytes(b"\x08")
    (tmp_path / "[red]markup.onnx").write_bytes(b"\x08")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(1 << 40)
    done = amrq("models", environment={"AMRQ_MODELS": str(tmp_path), "COLUMNS": "250"})
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    for name in (
        "good",
        "garbage",
        "empty",
        "folder",
        "pipe",
        "loop",
        "huge",
        "[red]markup",
        "blind-full-int8",
    ):
        assert name in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "part", [b"\x3a\x00", b"\x72\x00", b"\x08\x01"], ids=["graphs", "metadata", "numbers"]
)
def test_a_file_of_nothing_but_parts_is_not_read_to_its_end(part: bytes) -> None:
    with pytest.raises(AmrqError, match="parts"):
        scan_model(part * 10_000_000)
