# SPDX-License-Identifier: GPL-3.0-or-later
"""The network behind the phase alignment."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from amrq.training.architectures.phase_aligner import PhaseAligner
from amrq.training.quantise import ActivationQuantiser, QuantisedConv1d, QuantisedLinear

__all__ = ["PhaseAlignedNet"]


class PhaseAlignedNet(nn.Module):
    """Look at each symbol and its neighbours, take the mean over the symbols, decide.

    The likelihood of independent symbols is a product over the symbols, so that its logarithm is a sum of one
    function of each symbol: convolutions of kernel 1, then a mean, have just that shape. That symbols are not
    independent (frequency keying, a wrong symbol rate) shows in neighbours only, which is why the first kernel may be
    wider. What follows the mean weighs the phase regimes against each other.

    Args:
        outputs: number of classes, `unknown` included.
        symbol_channels: widths of the layers at each symbol.
        head_widths: widths of the hidden layers behind the mean.
        first_kernel: symbols that the first layer sees at a time.
    """

    def __init__(
        self, outputs: int, symbol_channels: Sequence[int], head_widths: Sequence[int], first_kernel: int = 1
    ) -> None:
        super().__init__()
        self.align = PhaseAligner()
        widths = [self.align.channels, *symbol_channels]
        self.symbol = nn.ModuleList(
            QuantisedConv1d(a, b, signed_input=number == 0, kernel=1 if number else first_kernel)
            for number, (a, b) in enumerate(pairwise(widths))
        )
        widths = [symbol_channels[-1] + self.align.summaries, *head_widths, outputs]
        self.head = nn.ModuleList(QuantisedLinear(a, b) for a, b in pairwise(widths))
        self.symbol_output = ActivationQuantiser(signed=False)

    def forward(self, iq: torch.Tensor) -> torch.Tensor:
        """float32 [N, 2, L] chunks of unit RMS -> logits float32 [N, outputs]."""
        # Nothing trained lies before the alignment, so its gradient is not needed.
        with torch.no_grad():
            x, strength = self.align(iq)
        if self.training:
            x = x.transpose(1, 2)
            for layer in self.symbol:
                assert isinstance(layer, QuantisedConv1d)  # a ModuleList forgets what it holds
                x = torch.relu(layer.forward_rows(x))
            x = self.symbol_output(x).mean(dim=1)
        else:
            for layer in self.symbol:
                x = torch.relu(layer(x))
            x = self.symbol_output(x).mean(dim=2)
        x = torch.cat([x, strength], dim=1)
        for number, layer in enumerate(self.head):
            x = layer(x if number == 0 else torch.relu(x))
        return x
