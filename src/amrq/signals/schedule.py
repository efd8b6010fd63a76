# SPDX-License-Identifier: GPL-3.0-or-later
"""Which class is sent when."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from amrq.errors import AmrqError
from amrq.modulations import Modulation, modulation

__all__ = ["Order", "Schedule"]

Order = Literal["cycle", "random"]


class Schedule:
    """An endless sequence of classes, each sent for `dwell` symbols.

    Args:
        modulations: names of the classes; one name alone is sent for ever.
        dwell: symbols before the next class.
        order: `cycle` takes the names in turn, `random` draws one of the others each time.

    Raises:
        AmrqError: no name, an unknown name, a dwell below 1 or an unknown order.
    """

    def __init__(self, modulations: Sequence[str], dwell: int = 1024, order: Order = "cycle") -> None:
        if isinstance(modulations, str):
            modulations = [modulations]
        if not isinstance(modulations, Sequence) or not all(isinstance(name, str) for name in modulations):
            raise AmrqError("the modulations of a schedule must be a list of names.")
        if not modulations:
            raise AmrqError("a schedule needs at least one modulation.")
        if dwell < 1:
            raise AmrqError(f"the dwell must be at least 1 symbol, not {dwell}.")
        if order not in get_args(Order):
            raise AmrqError(f"the order must be one of {', '.join(get_args(Order))}, not {order!r}.")
        self.modulations: tuple[Modulation, ...] = tuple(modulation(name) for name in modulations)
        self.dwell = int(dwell)
        self.order: Order = order
        self._current = -1

    def next(self, rng: np.random.Generator) -> Modulation:
        """Return the class of the next dwell."""
        count = len(self.modulations)
        if self.order == "cycle" or self._current < 0:
            first = int(rng.integers(count)) if self.order == "random" else 0
            self._current = first if self._current < 0 else (self._current + 1) % count
        elif count > 1:
            self._current = (self._current + 1 + int(rng.integers(count - 1))) % count
        return self.modulations[self._current]
