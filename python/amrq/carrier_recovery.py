# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the frequency offset and drift out of a symbol stream."""

from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._guarded import guarded

from amrq.carrier_recovery import STEP, CarrierRecovery

__all__ = ["carrier_recovery"]


class carrier_recovery(gr.basic_block):
    """Remove the carrier's offset and drift from symbols of unknown modulation.

    Input: complex, one sample a symbol, any level. Output: the same symbols, turned; symbol k leaves as
        sample k, so tags keep their offsets. Symbols leave in whole steps of 32: up to 31 wait for the rest
        of their step, and are lost where a finite stream ends.

    Args:
        max_offset: largest carrier offset looked for, in cycles/symbol (offset in Hz over symbol rate),
            above 0 and at most 0.25.

    Raises:
        AmrqError: max_offset is out of its range.
    """

    def __init__(self, max_offset: float = 0.15) -> None:
        self._recovery = CarrierRecovery(max_offset)  # refuses bad values
        gr.basic_block.__init__(
            self, name="amrq_carrier_recovery", in_sig=[np.complex64], out_sig=[np.complex64]
        )
        self.error: Exception | None = None

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Ask for one whole step of input, whatever the room for output."""
        return [STEP * max(1, noutput_items // STEP)] * ninputs

    @guarded
    def general_work(self, input_items: Any, output_items: Any) -> int:
        """Turn as many whole steps as are there and fit."""
        count = min(len(input_items[0]), len(output_items[0])) // STEP * STEP
        if count:
            output_items[0][:count] = self._recovery.process(input_items[0][:count])
            self.consume(0, count)
        return count

    def offset(self) -> float:
        """Return the offset being removed, in cycles/symbol."""
        return self._recovery.offset

    def order(self) -> int:
        """Return M of the line the offset was read from (2, 4, 8, 16), or 0: none stands out, it is held."""
        return self._recovery.order
