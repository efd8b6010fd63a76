# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizes of a PyTorch network's layers."""

from dataclasses import replace

import torch
from torch import nn

from amrq.hardware import LayerSize
from amrq.training.quantise import QuantisedConv1d, QuantisedLayer

__all__ = ["count_layers"]


def count_layers(net: nn.Module, bits: int | None = None) -> tuple[LayerSize, ...]:
    """Count the weights of each layer of a network, for Algorithm II.

    Args:
        net: of convolutions, dense layers and max pools of one dimension, PyTorch's or this package's; parts without
            weights do not matter.
        bits: width of a weight; by default that of each layer as it is quantised, 32 for PyTorch's own.

    Returns:
        in the order of the network's modules; the multiplications are not counted.
    """
    layers: list[LayerSize] = []
    for name, module in net.named_modules():
        if isinstance(module, QuantisedLayer | nn.Conv1d | nn.Linear):
            width, weight, bias = 32, module.weight, module.bias
            if isinstance(module, QuantisedLayer):
                width = module.weight_bits
                with torch.no_grad():
                    weight, bias = module.parameters_as_run()
            layers.append(
                LayerSize(
                    name,
                    "convolution" if isinstance(module, QuantisedConv1d | nn.Conv1d) else "dense",
                    int(torch.count_nonzero(weight)),
                    0 if bias is None else int(torch.count_nonzero(bias)),
                    bits or width,
                )
            )
        elif isinstance(module, nn.MaxPool1d):
            layers.append(LayerSize(name, "max pool", 0, 0, 0))
    # A pool has no weights of its own: it counts with the widest of the others.
    widest = bits or max((layer.bits for layer in layers), default=32)
    return tuple(replace(layer, bits=widest) if layer.kind == "max pool" else layer for layer in layers)
