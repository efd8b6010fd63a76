# SPDX-License-Identifier: GPL-3.0-or-later
"""From a model file back to the network it was exported from."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from amrq.errors import AmrqError
from amrq.hardware.onnx_graph import OnnxGraph
from amrq.memory_limit import memory_limit
from amrq.model import Contract
from amrq.parsing import parsing
from amrq.plain_values import from_plain
from amrq.training.architectures import make_net
from amrq.training.quantise import ActivationQuantiser, QuantisedLayer, quantise
from amrq.training.recipe import Recipe
from amrq.training.signal_batches import SignalBatches

__all__ = ["RebuiltNet", "rebuild_net"]


@dataclass(frozen=True)
class RebuiltNet:
    """A network that can be trained on.

    Attributes:
        net: in evaluation mode, on integers where the file is.
        recipe: what made it.
        contract: of the file.
    """

    net: nn.Module
    recipe: Recipe
    contract: Contract


@dataclass(frozen=True)
class _Layer:
    """A layer as the file has it: scales are None in floating point."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    weight_scale: NDArray[np.float32] | None


def rebuild_net(path: str | os.PathLike[str]) -> RebuiltNet:
    """Rebuild the network of an ONNX file that `amrq train` made, from the recipe in its contract and its own weights.

    Weights on integers come back as these times their steps, biases too, all steps as they are: exported again, the
    network gives the same integers. What is zero in a pruned file counts as removed and stays zero: whether it was
    removed or rounded to zero, a file does not tell.

    Args:
        path: the file.

    Raises:
        AmrqError: there is no such file, `amrq train` did not make it, or it is not what its recipe says.
    """
    path = Path(path)
    graph = OnnxGraph(path)
    contract = graph.contract()
    settings = contract.recipe.get("settings")
    if not isinstance(settings, dict) or "net" not in settings:
        raise AmrqError(
            f"{path} was not made by 'amrq train': its contract has no settings to rebuild the network from, so give a "
            "model that was."
        )
    try:
        recipe = from_plain(settings, Recipe)
    except AmrqError as error:
        raise AmrqError(f"the recipe in {path}: {error}") from None
    batches = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed)
    same = [(h.label, h.es_n0_db) for h in batches.hypotheses] == [
        (h.label, h.es_n0_db) for h in contract.hypotheses
    ]
    if not same or batches.classes != contract.classes or recipe.chunk_length != contract.chunk_length:
        raise AmrqError(
            f"{path} has other outputs or chunks than its recipe would make today: use the release that made it."
        )
    with parsing(path), memory_limit(1 << 31):
        net = make_net(len(batches.hypotheses), recipe.net)
    try:
        _fill(net, graph, contract)
    except (AmrqError, KeyError, IndexError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()).rpartition("hardware: ")[2][:150].rstrip(".")
        raise AmrqError(f"{path} does not hold the network that its recipe describes ({reason}).") from None
    return RebuiltNet(net.eval(), recipe, contract)


def _fill(net: nn.Module, graph: OnnxGraph, contract: Contract) -> None:
    """Put the file's numbers into the network, layer by layer in the order in which both run."""
    layers = [module for module in net.modules() if isinstance(module, QuantisedLayer)]
    nodes = [node for node in graph.model.graph.node if node.op_type in ("Conv", "Gemm")]
    if len(nodes) != len(layers):
        raise ValueError(f"{len(nodes)} layers in place of {len(layers)}")
    integer = contract.weight_bits < 32
    with torch.no_grad():
        for layer, node in zip(layers, nodes, strict=True):
            found = _layer(graph, node, integer)
            for parameter, values in ((layer.weight, found.weight), (layer.bias, found.bias)):
                if tuple(parameter.shape) != values.shape:
                    raise ValueError(f"a layer of shape {values.shape} in place of {tuple(parameter.shape)}")
                parameter.copy_(torch.tensor(values))
            if found.weight_scale is not None:
                layer.weight_scale.copy_(torch.tensor(found.weight_scale))
            if contract.pruned:
                layer.kept.copy_(layer.weight != 0)
                layer.masked = not bool(layer.kept.all())
        if integer:
            _fill_quantisers(net, graph)
            quantise(net, contract.weight_bits, None)


def _fill_quantisers(net: nn.Module, graph: OnnxGraph) -> None:
    quantisers = [module for module in net.modules() if isinstance(module, ActivationQuantiser)]
    nodes = [node for node in graph.model.graph.node if node.op_type == "QuantizeLinear"]
    if len(nodes) != len(quantisers):
        raise ValueError(f"{len(nodes)} roundings in place of {len(quantisers)}")
    for quantiser, node in zip(quantisers, nodes, strict=True):
        scale, zero = graph.constant(node.input[1]), graph.constant(node.input[2])
        if scale.size != 1 or zero.size != 1 or int(zero.ravel()[0]) != quantiser.zero_point:
            raise ValueError(f"a rounding about {zero.ravel()[:3]} in place of {quantiser.zero_point}")
        quantiser.scale.copy_(torch.tensor(float(scale.ravel()[0])))


def _layer(graph: OnnxGraph, node: Any, integer: bool) -> _Layer:
    """Read a Conv or Gemm."""
    if node.op_type == "Gemm":
        graph.require(node, alpha=1.0, beta=1.0, transA=0, transB=1)
    if not integer:
        weight, bias = (np.asarray(graph.constant(name), np.float32) for name in node.input[1:3])
        return _Layer(weight, bias, None)
    (weight, weight_scale), (bias, bias_scale) = (
        (graph.constant(read.input[0]), np.asarray(graph.constant(read.input[1]), np.float32))
        for read in (graph.made_by(name, "DequantizeLinear") for name in node.input[1:3])
    )
    steps = weight_scale.reshape(-1, *[1] * (weight.ndim - 1))
    # Steps are powers of two and the integers below 2^24: the products are exact.
    return _Layer(
        weight.astype(np.float32) * steps, bias.astype(np.float32) * bias_scale, weight_scale.ravel()
    )
