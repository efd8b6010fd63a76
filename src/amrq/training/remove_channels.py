# SPDX-License-Identifier: GPL-3.0-or-later
"""Structured pruning: whole filters and neurons taken out of a network."""

import math

import torch

from amrq.errors import AmrqError
from amrq.training.architectures.vgglike import VggLikeNet
from amrq.training.quantise import QuantisedLayer

__all__ = ["remove_channels"]


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
