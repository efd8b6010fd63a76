# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove single weights."""

import torch
from torch import nn

from amrq.training.quantise import QuantisedLayer

__all__ = ["nonzero_weights", "prune", "pruned_share"]

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
    """Return how many weights and biases are left in the network."""
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
