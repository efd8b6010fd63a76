# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning: remove weights and channels from a network, and count those left."""

import math
from dataclasses import replace

import torch
from torch import nn

from amrq.errors import AmrqError
from amrq.hardware import LayerSize
from amrq.training.architectures import VggLikeNet
from amrq.training.quantisation import QuantisedConv1d, QuantisedLayer

__all__ = ["count_layers", "nonzero_weights", "prune", "pruned_share", "remove_channels"]

_LEAST_FAN_IN = 8
"""Layers that see fewer values keep all their weights: there are few, and each is a direction of the plane."""


def prune(net: nn.Module, share: float) -> None:
    """Remove the smallest weights of each layer, biases apart, until `share` of them is gone.

    What is gone stays gone: weights removed before count. Called again and again with a rising share while a network
    trains, this is gradual magnitude pruning (Zhu and Gupta 2017). Nothing else in the training can bring a removed
    weight back, and rounding maps zero to zero, so that the share holds in the exported file.

    Args:
        net: a network of quantised layers.
        share: of each layer's weights, 0 to below 1.
    """
    for layer in net.modules():
        if not isinstance(layer, QuantisedLayer) or layer.weight[0].numel() < _LEAST_FAN_IN:
            continue
        with torch.no_grad():
            # Channels of the same layer are compared by how much they matter to what they feed: by size.
            size = (layer.weight * layer.kept).abs().flatten()
            remove = int(share * size.numel())
            if remove:
                threshold = size.kthvalue(remove).values
                layer.kept.copy_((size > threshold).reshape(layer.kept.shape))
                layer.masked = True


def nonzero_weights(net: nn.Module) -> int:
    """Return how many weights and biases are left in the network.

    >>> from amrq.training import NetSettings
    >>> from amrq.training.architectures import make_net
    >>> nonzero_weights(make_net(9, NetSettings()))
    14601
    """
    count = 0
    for layer in net.modules():
        if isinstance(layer, QuantisedLayer):
            count += int(layer.kept.sum()) + layer.bias.numel()
    return count


def pruned_share(net: nn.Module) -> float:
    """Return the share of all weights and biases that has been removed, 0 to 1."""
    layers = [layer for layer in net.modules() if isinstance(layer, QuantisedLayer)]
    total = sum(layer.weight.numel() + layer.bias.numel() for layer in layers)
    return 1 - nonzero_weights(net) / total


def _kept(layer: QuantisedLayer, share: float) -> torch.Tensor:
    """Return the indices, rising, of the outputs with the largest L1 norms that stay when `share` goes."""
    norms = layer.weight.detach().abs().flatten(1).sum(dim=1)
    removed = math.ceil(share * len(norms) - 1e-9)
    order = torch.argsort(norms, descending=True, stable=True)
    return order[: len(norms) - removed].sort().values


def remove_channels(net: VggLikeNet, share: float) -> VggLikeNet:
    """Return a smaller network without the weakest outputs of every layer but the last.

    Of each convolution the filters, of each dense layer but the last the neurons with the smallest L1 norm of their
    weights go (Li et al. 2017, "Pruning filters for efficient ConvNets", and the thesis's `ln_structured`, n=1, dim=0),
    and with them the weights of the next layer that they fed. Nothing is left to be masked: no training can bring
    anything back.

    Args:
        net: a network in floating point; it stays as it is.
        share: of each layer's outputs, 0 to below 1, rounded up to whole ones: at least this share goes.

    Raises:
        AmrqError: the share is out of range or leaves nothing.
    """
    if not 0 <= share < 1:
        raise AmrqError(f"the share of outputs to remove must be from 0 to below 1, not {share}.")
    layers = [layer for layer in net.modules() if isinstance(layer, QuantisedLayer)]
    kept = [_kept(layer, share) for layer in layers[:-1]]
    if any(len(indices) == 0 for indices in kept):
        raise AmrqError(f"removing {share:.0%} of the outputs would leave a layer without any.")
    count = len(net.convolutions)
    smaller = VggLikeNet(
        net.outputs,
        [len(indices) for indices in kept[:count]],
        len(net.pools),
        [len(indices) for indices in kept[count:]],
        net.chunk_length,
    )
    positions = net.chunk_length >> len(net.pools)
    every = [torch.arange(layers[0].weight.shape[1]), *kept]
    # Flattening lays a channel's positions side by side.
    flat = (every[count][:, None] * positions + torch.arange(positions)).flatten()
    inputs = [*every[:count], flat, *every[count + 1 :]]
    outputs = [*kept, torch.arange(net.outputs)]
    with torch.no_grad():
        for old, new, rows, columns in zip(
            layers,
            [layer for layer in smaller.modules() if isinstance(layer, QuantisedLayer)],
            outputs,
            inputs,
            strict=True,
        ):
            new.weight.copy_(old.weight[rows][:, columns])
            new.bias.copy_(old.bias[rows])
    return smaller


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
