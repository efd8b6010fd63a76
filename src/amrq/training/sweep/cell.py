# SPDX-License-Identifier: GPL-3.0-or-later
"""One model of a sweep."""

import zlib
from dataclasses import dataclass

from amrq.training.sweep.sweep_recipe import SweepRecipe

__all__ = ["Cell", "cells_of"]

_FLOAT_BITS = 32


@dataclass(frozen=True)
class Cell:
    """An architecture at one precision and pruning level.

    Attributes:
        architecture: its name in the recipe.
        bits: of a weight; 32 means floating point.
        pruned: share of filters and neurons removed.
    """

    architecture: str
    bits: int
    pruned: float

    @property
    def name(self) -> str:
        """The name as the thesis spells it, `vgglike_2f_1c_1re_1mp_8bit_pr_20` for instance."""
        bits = "" if self.bits == _FLOAT_BITS else f"_{self.bits}bit"
        return self.architecture + bits + (f"_pr_{100 * self.pruned:g}" if self.pruned else "")

    @property
    def parent(self) -> "Cell | None":
        """The cell whose weights it starts from: a quantised one from the float one, a pruned one from the whole."""
        if self.bits != _FLOAT_BITS:
            return Cell(self.architecture, _FLOAT_BITS, self.pruned)
        return Cell(self.architecture, _FLOAT_BITS, 0.0) if self.pruned else None

    @property
    def stream(self) -> int:
        """A number of its own for its randomness."""
        return zlib.crc32(self.name.encode())


def cells_of(recipe: SweepRecipe) -> tuple[Cell, ...]:
    """Return all cells of a recipe's grid, parents before their children."""
    bits = sorted(recipe.grid.weight_bits, reverse=True)
    return tuple(
        Cell(architecture.name, b, float(pruned))
        for architecture in recipe.architectures
        for pruned in sorted(recipe.grid.pruned)
        for b in bits
    )
