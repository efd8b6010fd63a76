# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the frequency offset and drift out of a symbol stream."""

from typing import Any

import numpy as np
from gnuradio import blocks, gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._guarded import guarded

from amrq.carrier_recovery import STEP, CarrierRecovery

__all__ = ["carrier_recovery"]


class carrier_recovery(gr.hier_block2):
    """Remove the carrier's offset and drift from symbols of unknown modulation.

    Input: complex, one sample a symbol, any level. Output: the same symbols, turned; symbol k leaves as
        sample k, so tags keep their offsets. Symbols leave in whole steps of 32; where a finite stream ends, what
        is left of a step follows, turned on at the frequency of the step before.

    Args:
        max_offset: largest carrier offset looked for, in cycles/symbol (offset in Hz over symbol rate),
            above 0 and at most 0.25.

    Raises:
        AmrqError: max_offset is out of its range.
    """

    @checked_arguments
    def __init__(self, max_offset: float = 0.15) -> None:
        self._recovery = CarrierRecovery(max_offset)  # refuses bad values
        gr.hier_block2.__init__(
            self,
            "amrq_carrier_recovery",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
        )
        # A block does not learn that its stream is over. Of a block of our own before it, it can be read.
        self._before = blocks.copy(gr.sizeof_gr_complex)
        self._steps = _steps(self._recovery, self._before)
        self.connect(self, self._before, self._steps, self)

    @property
    def error(self) -> Exception | None:
        """What ended the stream before its time; None if nothing did."""
        return self._steps.error

    def offset(self) -> float:
        """Return the offset being removed, in cycles/symbol."""
        return self._recovery.offset

    def order(self) -> int:
        """Return M of the line the offset was read from (2, 4, 8, 16), or 0: none stands out, it is held."""
        return self._recovery.order


class _steps(gr.basic_block):
    """The work of `carrier_recovery`, on what comes from the block `before`."""

    def __init__(self, recovery: CarrierRecovery, before: Any) -> None:
        gr.basic_block.__init__(
            self, name="amrq_carrier_recovery", in_sig=[np.complex64], out_sig=[np.complex64]
        )
        self.error: Exception | None = None
        self._recovery, self._before = recovery, before
        # With room for less than a step, GNU Radio would ask again and again, and never see that whatever follows has
        # ended: it looks for that only where there is no room at all.
        self.gateway.set_output_multiple(STEP)

    def _is_over(self) -> bool:
        """Return whether nothing comes any more but what lies at the input."""
        return bool(self._before.detail().done())

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Ask for one whole step of input, whatever the room for output; at the end for what is left."""
        return [1 if self._is_over() else STEP * max(1, noutput_items // STEP)] * ninputs

    @guarded
    def general_work(self, input_items: Any, output_items: Any) -> int:
        """Turn as many whole steps as are there and fit; at the end, what is left."""
        symbols, out = input_items[0], output_items[0]
        count = min(len(symbols), len(out)) // STEP * STEP
        if count:
            out[:count] = self._recovery.process(symbols[:count])
        # GNU Radio counted the input before the stream was over: more than that may have come.
        last = self._is_over() and self._before.nitems_written(0) == self.nitems_read(0) + len(symbols)
        if last and len(symbols) - count < STEP and len(symbols) <= len(out):
            out[count : len(symbols)] = self._recovery.finish(symbols[count:])
            count = len(symbols)
        self.consume(0, count)
        return count
