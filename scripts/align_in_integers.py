#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the integer aligner in the place of the one in floating point, in finished `phase_aligned` models.

The weights stay as they were trained; accuracy is measured anew. What a training makes with `net.aligner = "integer"`
needs none of this.

Example: python3 scripts/align_in_integers.py models/blind-*.onnx -o aligned
"""

import argparse
import copy
import datetime
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import onnx
import torch

from amrq.classifier import make_classifier
from amrq.errors import AmrqError
from amrq.evaluation import evaluate
from amrq.hardware import ALIGNER_KEY
from amrq.model import read_contract, write_contract
from amrq.training import HELD_OUT_SEED, model_page
from amrq.training.architectures import IntegerPhaseAligner


def aligner_graph() -> onnx.GraphProto:
    """Return the aligner as a graph: iq -> symbols, side."""
    names = ("iq", "symbols", "side")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as `amrq.training.export`
        path = str(Path(folder) / "aligner.onnx")
        torch.onnx.export(
            IntegerPhaseAligner().eval(),
            (torch.randn(3, 2, 32),),
            path,
            dynamo=False,
            opset_version=17,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "N"} for name in names},
        )
        return onnx.load(path).graph


def _unrounded(makers: dict[str, onnx.NodeProto], name: str) -> str:
    while makers[name].op_type in ("DequantizeLinear", "QuantizeLinear"):
        name = makers[name].input[0]
    return name


def aligned(model: onnx.ModelProto, aligner: onnx.GraphProto) -> onnx.ModelProto:
    """Return the model with the aligner before its first layer."""
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    first = {kind: next(n for n in graph.node if n.op_type == kind) for kind in ("Conv", "Gemm")}
    symbols, joined = (_unrounded(makers, node.input[0]) for node in first.values())
    if makers[joined].op_type != "Concat" or len(makers[joined].input) != 2:
        raise AmrqError("the model is not of the architecture phase_aligned.")
    side = makers[joined].input[1]

    names = {"iq": graph.input[0].name, "symbols": symbols, "side": side, "": ""}
    tensors = [*(t.name for t in aligner.initializer), *(o for n in aligner.node for o in n.output)]
    for name in tensors:
        names.setdefault(name, f"a{len(names)}")
    nodes = [copy.deepcopy(node) for node in aligner.node]
    constants = [copy.deepcopy(tensor) for tensor in aligner.initializer]
    for tensor in constants:
        tensor.name = names[tensor.name]
    for node in nodes:
        node.name = ""
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    wanted = {output.name for output in graph.output}
    body: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if set(node.output) & wanted and not set(node.output) & {symbols, side}:
            body.insert(0, node)
            wanted |= set(node.input)
    constants += [tensor for tensor in graph.initializer if tensor.name in wanted]
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            _without_twins([*nodes, *body]), graph.name, graph.input, graph.output, constants
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
        producer_name=model.producer_name,
    )
    metadata = {entry.key: entry.value for entry in model.metadata_props} | {ALIGNER_KEY: "integer"}
    onnx.helper.set_model_props(made, metadata)
    onnx.checker.check_model(made)
    return made


def _without_twins(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Keep one of equal constants."""
    kept: list[onnx.NodeProto] = []
    first: dict[bytes, str] = {}
    names: dict[str, str] = {}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        if node.op_type == "Constant":
            value = node.attribute[0].SerializeToString()
            if value in first:
                names[node.output[0]] = first[value]
                continue
            first[value] = node.output[0]
        kept.append(node)
    return kept


def main() -> None:
    """Write models with the integer aligner."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    parser.add_argument(
        "--chunks", type=int, default=4000, help="for the accuracy, of each class at each Es/N0"
    )
    given = parser.parse_args()
    given.output.mkdir(exist_ok=True)
    aligner = aligner_graph()
    for path in given.models:
        target = given.output / path.name
        onnx.save(aligned(onnx.load(str(path)), aligner), str(target))
        contract = read_contract(target)
        settings = contract.recipe["settings"]
        recipe = contract.recipe | {
            "settings": settings | {"net": settings["net"] | {"aligner": "integer"}},
            "aligned_in_integers": f"{datetime.date.today().isoformat()}, with the weights as they were trained",
        }
        write_contract(target, replace(contract, recipe=recipe))
        seed = int(contract.recipe["seed"]) + HELD_OUT_SEED
        found = evaluate(make_classifier(target, "auto"), given.chunks, seed=seed)
        accuracy = tuple(level.row() for level in found.levels)
        contract = replace(contract, recipe=recipe, accuracy=accuracy)
        write_contract(target, contract)
        target.with_suffix(".md").write_text(model_page(contract), encoding="utf-8")
        print(target, [round(row.accuracy, 3) for row in accuracy])


if __name__ == "__main__":
    main()
