# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers that see one symbol at a time."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from amrq.training.quantise import QuantisedConv1d

__all__ = ["SymbolLayers"]


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
