# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained network as an ONNX model, calibrated."""

import copy
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn

from amrq.chunks import LEVEL_FEATURES
from amrq.classifier import Classifier
from amrq.errors import AmrqError
from amrq.evaluation import fresh_chunks
from amrq.hardware import ALIGNER_KEY
from amrq.model import Contract, Hypothesis
from amrq.training.loop import class_logits
from amrq.training.quantisation import QuantisedLayer

__all__ = ["calibrate", "calibrate_fusion", "export"]


def calibrate(logits: torch.Tensor, labels: torch.Tensor, hypotheses: Sequence[Hypothesis]) -> float:
    """Return the temperature that gives held-out chunks the lowest cross entropy of the classes.

    Args:
        logits: float32 [N, hypotheses] of held-out chunks.
        labels: int64 [N], the true classes.
        hypotheses: what the columns stand for, grouped by class.

    Returns:
        the temperature, 0.2 to 5: divide the logits by it (Guo et al. 2017, section 4.2).
    """
    exact = logits.double()

    def cross_entropy(inverse: float) -> float:
        return float(torch.nn.functional.cross_entropy(class_logits(exact * inverse, hypotheses), labels))

    # Golden sections close in on the one minimum over 1/temperature.
    low, high = 0.2, 5.0
    ratio = (5**0.5 - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = cross_entropy(a), cross_entropy(b)
    for _ in range(30):
        # One of the two points within is a point within the shorter section as well.
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = cross_entropy(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = cross_entropy(b)
    return 2 / (low + high)


_RUNS = 240
"""Transmissions of each modulation."""
_CHUNKS = 32
_FUSED = (2, 8, 32)
_ES_N0_DB = (0.0, 15.0)
"""Where the answer is in doubt."""
_CANDIDATES = (2.0, 3.5, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 57.0, 80.0, 113.0, 160.0, 320.0, 0.0)


def calibrate_fusion(classifier: Classifier, seed: int) -> float:
    """Return the `fusion_chunks` of a contract that gives fused decisions on fresh signals the best Brier score.

    On modulations alone, among each other: how readily a model takes other signals for one of them is set by a recipe's
    caution. Every run is one transmission of 32 chunks at one Es/N0, drawn from 0 to 15 dB. The score (Brier 1950) is
    over decisions on 2, 8 and 32 chunks, each number of chunks and each run counting alike; unlike the cross entropy
    it is bounded, so that a few transmissions that a model gets utterly wrong do not decide alone.

    Args:
        classifier: the model, its temperature fitted already.
        seed: of the signals.

    Returns:
        chunks, or 0 where sums should count in full.
    """
    contract = classifier.contract
    classes = contract.linear_classes
    length, any_phase = contract.chunk_length, contract.phase == "any"
    chunks = []
    for number, member in enumerate(classes.members):
        rng = np.random.default_rng([seed, 2, number * _RUNS])
        for _ in range(_RUNS):
            level = float(rng.uniform(*_ES_N0_DB))
            chunks.append(fresh_chunks(member, _CHUNKS, length, level, rng, any_phase=any_phase))
    evidence = classifier.classify(np.concatenate(chunks)).log_likelihoods
    rows = evidence.reshape(len(chunks), _CHUNKS, -1).astype(np.float64)
    truths = np.repeat(np.arange(len(classes)), _RUNS)
    return min(_CANDIDATES, key=lambda n0: _brier_score(contract, rows, truths, n0))


def _brier_score(
    contract: Contract, rows: NDArray[np.float64], truths: NDArray[np.int64], fusion_chunks: float
) -> float:
    """Return the Brier score of decisions among the modulations, summed over the numbers of chunks that are fused.

    Args:
        contract: of the model.
        rows: [runs, chunks, H], log-likelihoods.
        truths: int64 [runs], which modulation was sent.
        fusion_chunks: what is tried; see `DecisionMaker`, which decides like this.
    """
    weighed, names = contract.weighed(), contract.linear_classes.names
    columns = [[n for n, h in enumerate(weighed) if h.label == name] for name in names]
    log_prior = np.log([h.prior for h in weighed])
    total = 0.0
    for count in _FUSED:
        weight = 1 / (1 + (count - 1) / fusion_chunks) if fusion_chunks else 1.0
        sums = weight * rows.reshape(len(rows), -1, count, rows.shape[2]).sum(axis=2)
        by_class = np.stack(
            [
                np.logaddexp.reduce(sums[..., own] + log_prior[own], axis=2)
                - np.logaddexp.reduce(log_prior[own])
                for own in columns
            ],
            axis=2,
        )
        probabilities = np.exp(by_class - np.logaddexp.reduce(by_class, axis=2, keepdims=True))
        probabilities -= np.eye(len(names))[truths][:, None]
        total += float((probabilities**2).sum(axis=(1, 2)).mean() * count / rows.shape[1])
    return total


_OPSET = 17
_BIAS_LIMIT = 2**24
"""Single precision, in which the rest of the world may compute a model, holds integers exactly up to here."""


def _constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    for node in graph.node:
        # The exporter keeps one of several equal tensors and refers to it.
        if node.op_type == "Identity" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    return values


def _axis(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), 1)


def _store_integers(model: onnx.ModelProto) -> None:
    """Hold weights as int8 and biases as int32, where the exporter leaves float32 and rounds when it runs.

    A float bias would be rounded by onnxruntime by rules of its own; as DequantizeLinear(int32) with the scale
    s_x * s_w it is exactly what the integer kernel adds.
    """
    graph = model.graph
    constants = _constants(graph)
    makers = {output: node for node in graph.node for output in node.output}
    before: list[tuple[str, onnx.NodeProto]] = []  # nodes to put before the node that makes a name

    for node in list(graph.node):
        if node.op_type not in ("Conv", "Gemm"):
            continue
        x_from, w_from = makers.get(node.input[0]), makers.get(node.input[1])
        if w_from is None or w_from.op_type != "DequantizeLinear" or x_from is None:
            continue
        rounded = makers[w_from.input[0]]
        scale, zero = constants[rounded.input[1]], constants[rounded.input[2]]
        weight = constants[rounded.input[0]]
        shape = [1] * weight.ndim
        shape[_axis(rounded)] = -1
        integers = np.rint(weight / scale.reshape(shape)).clip(-128, 127).astype(np.int8)
        stem = rounded.input[0]
        graph.initializer.append(numpy_helper.from_array(integers, stem + ".int"))
        w_from.input[0] = stem + ".int"
        graph.node.remove(rounded)
        graph.initializer.append(numpy_helper.from_array(zero.astype(np.int8), stem + ".zero"))
        w_from.input[2] = stem + ".zero"
        unit = (scale * constants[x_from.input[1]]).astype(np.float32)
        exact = np.rint(constants[node.input[2]].astype(np.float64) / unit)
        if np.abs(exact).max() >= _BIAS_LIMIT:
            raise AmrqError(
                f"a bias of the network ({node.input[2]}) is too large for its weights: train it longer or again."
            )
        bias = exact.astype(np.int32)
        stem = node.input[2]
        graph.initializer.append(numpy_helper.from_array(bias, stem + ".int"))
        graph.initializer.append(numpy_helper.from_array(unit, stem + ".scale"))
        # Without explicit zero points onnxruntime (1.32) leaves fully connected layers in floating point.
        graph.initializer.append(numpy_helper.from_array(np.zeros_like(bias), stem + ".zero"))
        parts = [stem + ".int", stem + ".scale", stem + ".zero"]
        dequantised = helper.make_node("DequantizeLinear", parts, [stem + ".real"], axis=0)
        before.append((node.output[0], dequantised))
        node.input[2] = stem + ".real"
    for output, new in before:
        position = next(i for i, node in enumerate(graph.node) if output in node.output)
        graph.node.insert(position, new)

    used = {name for node in graph.node for name in node.input}
    unused = [n for n in graph.node if n.op_type in ("Constant", "Identity") and n.output[0] not in used]
    for node in unused:
        graph.node.remove(node)
    for tensor in [t for t in graph.initializer if t.name not in used]:
        graph.initializer.remove(tensor)


_LARGE = 1024
"""Bytes from which on it pays to keep one of several equal tensors."""


def _share_constants(model: onnx.ModelProto) -> None:
    """Keep one of each large tensor: what a graph uses twice, the exporter writes twice."""
    graph = model.graph
    kept: dict[tuple[Any, ...], str] = {}
    names: dict[str, str] = {}
    for node in list(graph.node):
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = node.attribute[0].t
            key = (tensor.data_type, tuple(tensor.dims), tensor.raw_data)
            if len(tensor.raw_data) < _LARGE:
                continue
            if key in kept:
                names[node.output[0]] = kept[key]
                graph.node.remove(node)
            else:
                kept[key] = node.output[0]
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)


class _TwoOutputs(nn.Module):
    """A network's hypotheses, and before them the classes they make up."""

    def __init__(self, net: nn.Module, hypotheses: Sequence[Hypothesis]) -> None:
        super().__init__()
        self.net = net
        self.hypotheses = hypotheses

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.net(*inputs)
        return class_logits(logits, self.hypotheses), logits


def export(
    net: nn.Module,
    path: str | os.PathLike[str],
    chunk_length: int,
    hypotheses: Sequence[Hypothesis],
    level_input: bool = False,
) -> None:
    """Write the network as ONNX.

    Input `iq` float32 [N, 2, L], and `level` float32 [N, 3] where the network takes it; outputs `logits` float32 [N,
    classes] and, of a network that weighs hypotheses, `hypothesis_logits` [N, hypotheses]; N free. Rounded layers
    become QuantizeLinear/DequantizeLinear pairs around them (QDQ), signed 8-bit throughout, weights per channel, biases
    int32, every scale a power of two, which ONNX Runtime runs as integer kernels. A network that aligns in integers is
    marked in the file's metadata. The file carries no contract yet.

    Args:
        net: the network.
        path: the file to write.
        chunk_length: samples a chunk (L).
        hypotheses: what the network's outputs stand for, grouped by class; none where they are the classes.
        level_input: whether the network takes the level.

    Raises:
        AmrqError: a bias does not fit its accumulator.
    """
    net = copy.deepcopy(net).eval()
    for module in net.modules():
        if isinstance(module, QuantisedLayer):
            module.freeze()
    path = Path(path)
    inputs = {"iq": torch.randn(3, 2, chunk_length)}
    if level_input:
        inputs["level"] = torch.rand(3, LEVEL_FEATURES)
    outputs = ["logits", "hypothesis_logits"] if hypotheses else ["logits"]
    with warnings.catch_warnings():
        # The exporter built on torch.export needs one more package and unrolls fake quantisation; torch is pinned.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _TwoOutputs(net, hypotheses).eval() if hypotheses else net,
            tuple(inputs.values()),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes={name: {0: "N"} for name in (*inputs, *outputs)},
        )
    model = onnx.load(str(path))
    _store_integers(model)
    _share_constants(model)
    model.producer_name = "gr-amrq"
    if any(getattr(module, "integer_aligner", False) for module in net.modules()):
        entry = model.metadata_props.add()
        entry.key, entry.value = ALIGNER_KEY, "integer"
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
