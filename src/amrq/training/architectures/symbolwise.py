# SPDX-License-Identifier: GPL-3.0-or-later
"""The network for a known carrier phase."""

from collections.abc import Sequence

import torch
from torch import nn

from amrq.chunks import LEVEL_FEATURES
from amrq.training.architectures.layers import PooledHead, SymbolLayers

__all__ = ["SymbolwiseNet"]


class SymbolwiseNet(nn.Module):
    """Look at |I| and |Q| of each symbol, take the mean over the symbols, decide.

    The likelihood of independent symbols is a product over the symbols, so that its logarithm is a sum of one function
    of each symbol: convolutions of kernel 1, then a mean, have just that shape. Every constellation of the thesis is
    its own mirror image in both axes, and so is the noise: the magnitudes of I and Q carry all there is, and leave a
    quarter of the plane to be learned.

    Args:
        outputs: number of hypotheses.
        symbol_channels: widths of the layers at each symbol.
        head_widths: widths of the hidden layers after the mean.
        first_kernel: symbols that the first layer sees at a time; more than 1 only to compare with.
        level_input: take what `amrq.chunks.level_features` gives, after the mean.
        folded: take the magnitudes of I and Q; without, I and Q themselves.
    """

    def __init__(
        self,
        outputs: int,
        symbol_channels: Sequence[int],
        head_widths: Sequence[int],
        first_kernel: int = 1,
        level_input: bool = False,
        folded: bool = True,
    ) -> None:
        super().__init__()
        self.folded = folded
        self.symbol = SymbolLayers(2, symbol_channels, not folded, first_kernel)
        extras = LEVEL_FEATURES if level_input else 0
        self.head = PooledHead(symbol_channels[-1], extras, head_widths, outputs)

    def forward(self, iq: torch.Tensor, *level: torch.Tensor) -> torch.Tensor:
        """float32 [N, 2, L] chunks of unit RMS, float32 [N, 3] where the level is taken -> logits [N, outputs]."""
        x, symbols = self.symbol(iq.abs() if self.folded else iq)
        return self.head(x, level, symbols)
