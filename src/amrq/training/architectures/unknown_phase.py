# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks for an unknown carrier phase: one shared over candidate phases, and one of what no rotation changes."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from amrq.training.architectures.layers import PooledHead, SymbolLayers

__all__ = ["CandidatePhasesNet", "InvariantNet"]

_POWERS = (2, 4, 8, 16)
_EPSILON = 1e-8


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


class InvariantNet(nn.Module):
    """Magnitudes, products of neighbours, and the magnitudes of the mean M-th powers.

    |mean z^M| for M = 2, 4, 8, 16 are the moments that feature-based classifiers use (Swami and Sadler 2000); each
    symbol's magnitude goes through a network of its own, which amounts to a learned histogram. Products of each symbol
    with the conjugate of the one before bring back some of the phase.

    Args:
        outputs: number of hypotheses.
        symbol_channels: widths of the layers at each symbol.
        head_widths: widths of the hidden layers after the mean.
    """

    def __init__(self, outputs: int, symbol_channels: Sequence[int], head_widths: Sequence[int]) -> None:
        super().__init__()
        self.symbol = SymbolLayers(3, symbol_channels, signed_input=True)
        self.head = PooledHead(symbol_channels[-1], 2 * len(_POWERS), head_widths, outputs)

    def forward(self, iq: torch.Tensor) -> torch.Tensor:
        """float32 [N, 2, L] chunks of unit RMS -> logits float32 [N, outputs]."""
        re, im = iq[:, 0:1], iq[:, 1:2]
        squared = re * re + im * im
        moments = []
        # Of the symbols themselves, and of their directions alone, which weigh weak symbols as much as strong ones.
        unit = torch.rsqrt(squared + _EPSILON)
        for c, s in ((re, im), (re * unit, im * unit)):
            for _ in _POWERS:
                c, s = c * c - s * s, 2 * c * s
                size = torch.sqrt(c.mean(dim=2) ** 2 + s.mean(dim=2) ** 2 + _EPSILON)
                # High powers of the outer points would drown the rest.
                moments.append(size.clamp_max(16.0))
        before_re = torch.cat([re[:, :, -1:], re[:, :, :-1]], dim=2)
        before_im = torch.cat([im[:, :, -1:], im[:, :, :-1]], dim=2)
        product = [re * before_re + im * before_im, im * before_re - re * before_im]
        x, symbols = self.symbol(torch.cat([*product, torch.sqrt(squared + _EPSILON)], dim=1))
        return self.head(x, moments, symbols)
