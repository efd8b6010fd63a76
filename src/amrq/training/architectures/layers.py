# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers that several architectures share."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from amrq.training import ActivationQuantiser, QuantisedConv1d, QuantisedLinear

__all__ = ["PooledHead", "SymbolLayers"]


class PooledHead(nn.Module):
    """The mean over the symbols, beside it what is known of the chunk as a whole, and fully connected layers.

    Args:
        channels: at each symbol, from 0 up.
        extras: numbers a chunk that join the mean, from 0 up.
        widths: of the hidden layers.
        outputs: number of outputs.
    """

    def __init__(self, channels: int, extras: int, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.symbol_output = ActivationQuantiser(signed=False)
        sizes = [channels + extras, *widths, outputs]
        self.layers = nn.ModuleList(QuantisedLinear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: torch.Tensor, extras: Sequence[torch.Tensor], symbols: int) -> torch.Tensor:
        """Return float32 [N, outputs].

        Args:
            x: of three axes, channels and symbols behind the chunks.
            extras: float32 [N, any], joined behind the means.
            symbols: which axis of `x` is that of the symbols.
        """
        x = self.symbol_output(x).mean(dim=symbols)
        if extras:
            x = torch.cat([x, *extras], dim=1)
        for number, layer in enumerate(self.layers):
            x = layer(x if number == 0 else torch.relu(x))
        return x


class SymbolLayers(nn.Module):
    """Convolutions of kernel 1, the first one wider if wanted, each followed by a ReLU.

    Args:
        channels_in: numbers a symbol.
        channels: widths of the layers.
        signed_input: whether numbers below zero go in.
        first_kernel: symbols that the first layer sees at a time.
    """

    def __init__(
        self, channels_in: int, channels: Sequence[int], signed_input: bool, first_kernel: int = 1
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            QuantisedConv1d(
                a, b, signed_input=signed_input and number == 0, kernel=1 if number else first_kernel
            )
            for number, (a, b) in enumerate(pairwise([channels_in, *channels]))
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Map [N, channels, L]; return the result and which of its axes is that of the symbols."""
        if not self.training:
            for layer in self.layers:
                x = torch.relu(layer(x))
            return x, 2
        # The same with rows of symbols, which trains twice as fast.
        x = x.transpose(1, 2)
        for layer in self.layers:
            assert isinstance(layer, QuantisedConv1d)  # a ModuleList forgets what it holds
            x = torch.relu(layer.forward_rows(x))
        return x, 1
