# SPDX-License-Identifier: GPL-3.0-or-later
"""The thesis's networks: convolutions of kernel 3, max pools, fully connected layers."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from amrq.training import QuantisedConv1d, QuantisedLinear

__all__ = ["VggLikeNet"]

_KERNEL = 3
_SIDE_TAPS = 0.1
"""Initial size of the two outer taps, relative to that of the middle one."""
_BIAS_REACH = 0.9
"""The first layer's initial biases reach this far to either side, in units of the norm of their weights."""


class VggLikeNet(nn.Module):
    """Convolutions of kernel 3, the first of them followed by max pools, then dense layers ("VGG-like", Rothe 2024).

    The shape is the thesis's; where training starts is not. The symbols of a chunk are independent, so that a filter
    over three of them can tell no more than one over each, and a ReLU through the origin tells no amplitude from
    another. The outer taps therefore start small, and the first layer's biases spread over the range of the symbols.
    After the same 20 s of training the smallest of the networks was wrong on 0.4 % of fresh chunks, with He's
    initialisation (zero biases, three equal taps) on 8.9 %.

    Args:
        outputs: number of classes.
        channels: filters of each convolution.
        pools: how many of the convolutions, from the first on, are followed by a max pool.
        hidden: widths of the hidden dense layers.
        chunk_length: symbols a chunk; must be divisible by 2^pools.
    """

    def __init__(
        self,
        outputs: int,
        channels: Sequence[int],
        pools: int,
        hidden: Sequence[int],
        chunk_length: int = 32,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        self.chunk_length = chunk_length
        self.convolutions = nn.ModuleList(
            QuantisedConv1d(a, b, signed_input=number == 0, kernel=_KERNEL)
            for number, (a, b) in enumerate(pairwise([2, *channels]))
        )
        self.pools = nn.ModuleList(nn.MaxPool1d(2) for _ in range(pools))
        widths = [channels[-1] * (chunk_length >> pools), *hidden, outputs]
        self.dense = nn.ModuleList(QuantisedLinear(a, b) for a, b in pairwise(widths))
        self._initialise()

    def _initialise(self) -> None:
        with torch.no_grad():
            for layer in self.convolutions:
                assert isinstance(layer, QuantisedConv1d)
                layer.weight[:, :, 0] *= _SIDE_TAPS
                layer.weight[:, :, 2] *= _SIDE_TAPS
                layer.weight.mul_((_KERNEL / (1 + 2 * _SIDE_TAPS**2)) ** 0.5)
            first = self.convolutions[0]
            assert isinstance(first, QuantisedConv1d)
            reach = _BIAS_REACH * first.weight.flatten(1).norm(dim=1)
            first.bias.copy_(reach * (2 * torch.rand(len(reach)) - 1))

    @property
    def channels(self) -> tuple[int, ...]:
        """Filters of each convolution."""
        return tuple(int(layer.weight.shape[0]) for layer in self.convolutions)  # type: ignore[index]

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of the hidden dense layers."""
        return tuple(int(layer.weight.shape[0]) for layer in self.dense)[:-1]  # type: ignore[index]

    def forward(self, iq: torch.Tensor) -> torch.Tensor:
        """float32 [N, 2, L] -> logits float32 [N, outputs]."""
        x = self._rows(iq) if self.training else self._channels(iq)
        for number, layer in enumerate(self.dense):
            x = layer(x if number == 0 else torch.relu(x))
        return x

    def _channels(self, x: torch.Tensor) -> torch.Tensor:
        # What comes out of a convolution is rounded before it is pooled and flattened, which changes nothing, since
        # rounding keeps the order; the exported graph then pools integers.
        for number, layer in enumerate(self.convolutions):
            after = [*self.convolutions, self.dense[0]][number + 1]
            assert isinstance(after, QuantisedConv1d | QuantisedLinear)
            x = after.input(torch.relu(layer(x)))
            if number < len(self.pools):
                x = after.input(self.pools[number](x))
        return x.flatten(1)

    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        """Do the same in the layout [N, L, channels], which trains faster, rounded in the layers alone."""
        x = x.transpose(1, 2)
        for number, layer in enumerate(self.convolutions):
            assert isinstance(layer, QuantisedConv1d)
            x = torch.relu(layer.forward_rows(x))
            if number < len(self.pools):
                x = torch.maximum(x[:, 0::2], x[:, 1::2])
        return x.transpose(1, 2).flatten(1)
