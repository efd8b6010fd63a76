# SPDX-License-Identifier: GPL-3.0-or-later
"""One small network, shared over candidate phases."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from amrq.training.architectures.layers import PooledHead, SymbolLayers

__all__ = ["CandidatePhasesNet"]


class CandidatePhasesNet(nn.Module):
    """Try phases in equal steps and add up what the network for a known phase makes of each.

    This is the average over the phase that the likelihood takes, on a grid. The magnitudes of I and Q repeat every
    quarter turn, so that the candidates need not go further. What it costs grows with their number.

    Args:
        outputs: number of hypotheses.
        symbol_channels: widths of the layers at each symbol.
        head_widths: widths of the hidden layers after the mean.
        phases: number of candidates.
    """

    turn_c: torch.Tensor
    turn_s: torch.Tensor

    def __init__(
        self, outputs: int, symbol_channels: Sequence[int], head_widths: Sequence[int], phases: int
    ) -> None:
        super().__init__()
        angle = torch.arange(phases).reshape(1, phases, 1) * (math.pi / 2 / phases)
        self.register_buffer("turn_c", angle.cos())
        self.register_buffer("turn_s", angle.sin())
        self.outputs = outputs
        self.symbol = SymbolLayers(2, symbol_channels, signed_input=False)
        self.head = PooledHead(symbol_channels[-1], 0, head_widths, outputs)

    def forward(self, iq: torch.Tensor) -> torch.Tensor:
        """float32 [N, 2, L] chunks of unit RMS -> logits float32 [N, outputs]."""
        re, im = iq[:, 0:1], iq[:, 1:2]
        turned_re = re * self.turn_c - im * self.turn_s
        turned_im = re * self.turn_s + im * self.turn_c
        turned = torch.stack([turned_re, turned_im], dim=2).abs()  # [N, phases, 2, L]
        x, symbols = self.symbol(turned.flatten(0, 1))
        logits = self.head(x, [], symbols)
        return torch.logsumexp(logits.reshape(-1, self.turn_c.shape[1], self.outputs), dim=1)
