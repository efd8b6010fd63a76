# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind the mean over the symbols."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from amrq.training.quantise import ActivationQuantiser, QuantisedLinear

__all__ = ["PooledHead"]


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
