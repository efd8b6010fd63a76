# SPDX-License-Identifier: GPL-3.0-or-later
"""The network behind the phase alignment."""

from collections.abc import Sequence

import torch
from torch import nn

from amrq.training.architectures.phase_aligner import PhaseAligner
from amrq.training.architectures.pooled_head import PooledHead
from amrq.training.architectures.symbol_layers import SymbolLayers

__all__ = ["PhaseAlignedNet"]


class PhaseAlignedNet(nn.Module):
    """Look at each symbol and its neighbours, take the mean over the symbols, decide.

    The likelihood of independent symbols is a product over the symbols, so that its logarithm is a sum of one
    function of each symbol: convolutions of kernel 1, then a mean, have just that shape. That symbols are not
    independent (frequency keying, a wrong symbol rate) shows in neighbours only, which is why the first kernel may be
    wider. What follows the mean weighs the phase regimes against each other.

    Args:
        outputs: number of hypotheses.
        symbol_channels: widths of the layers at each symbol.
        head_widths: widths of the hidden layers behind the mean.
        first_kernel: symbols that the first layer sees at a time.
        folded: take magnitudes of I and Q of the turned copies, whose constellations are their own mirror images in
            both axes; without, I and Q themselves.
    """

    def __init__(
        self,
        outputs: int,
        symbol_channels: Sequence[int],
        head_widths: Sequence[int],
        first_kernel: int = 1,
        folded: bool = True,
    ) -> None:
        super().__init__()
        self.folded = folded
        self.align = PhaseAligner()
        self.symbol = SymbolLayers(self.align.channels, symbol_channels, True, first_kernel)
        self.head = PooledHead(symbol_channels[-1], self.align.summaries, head_widths, outputs)

    def forward(self, iq: torch.Tensor) -> torch.Tensor:
        """float32 [N, 2, L] chunks of unit RMS -> logits float32 [N, outputs]."""
        # Nothing trained lies before the alignment, so its gradient is not needed.
        with torch.no_grad():
            x, summaries = self.align(iq)
            if self.folded:
                copies = 2 * self.align.copies
                x = torch.cat([x[:, :copies].abs(), x[:, copies:]], dim=1)
        x, symbols = self.symbol(x)
        return self.head(x, [summaries], symbols)
