# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal of the frequency offset and drift from a symbol stream."""

import math
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded, guarded_run
from gnuradio.amrq._tags import Breaks

from amrq.measure import STEP, CarrierRecovery

__all__ = ["CARRIER_KEY", "carrier_recovery"]

CARRIER_KEY = "carrier_offset"
"""Tag on a symbol now and then: a PMT double, the offset that is removed from there on in cycles a symbol; NaN where no
line of a carrier has been seen of late."""

_TAG_STEPS = 16  # most steps from one tag to the next
_TAG_CHANGE = 1e-3  # cycles/symbol; a larger change is tagged at once


class carrier_recovery(gr.hier_block2):
    """Remove the carrier's offset and drift from symbols of unknown modulation.

    Input: complex, one sample a symbol, any level. Output: the same symbols, turned; symbol k leaves as
        sample k, so tags keep their offsets. Symbols leave in whole steps of 32, four steps late. At the end of a
        finite stream the remaining symbols follow, turned at the frequency of the step before.

    At the start of a stream, after a break (tags `rx_freq`, `rx_time`, `rx_rate`, `rx_overflow` with a new value) and
    after the end of a signal, symbols are held back until the carrier shows as a spectral line. They are then turned
    by its frequency; without the hold the first 300 or so symbols would leave with their offset. If no line shows, the
    symbols leave later by the length of the hold.

    Tags written: `carrier_offset`, every 512 symbols and at each change (see `CARRIER_KEY`).

    Args:
        max_offset: largest carrier offset looked for, in cycles/symbol (offset in Hz over symbol rate),
            above 0 and at most 0.25.
        hold: most steps of 32 symbols that are held back, 0 to 64; 0: none.

    Raises:
        AmrqError: a value is out of its range.
    """

    @checked_arguments
    def __init__(self, max_offset: float = 0.15, hold: int = 16) -> None:
        self._recovery = CarrierRecovery(max_offset, hold)  # refuses bad values
        gr.hier_block2.__init__(
            self,
            "amrq_carrier_recovery",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
        )
        # GNU Radio does not report the end of a stream to a block. A block of this module before it does (see
        # `_is_over`).
        self._before = blocks.copy(gr.sizeof_gr_complex)
        self._steps = _steps(self._recovery, self._before)
        self.connect(self, self._before, self._steps, self)

    @property
    def error(self) -> Exception | None:
        """The error that ended the stream early; None if there was none."""
        return self._steps.error

    def offset(self) -> float:
        """Return the offset being removed, in cycles/symbol."""
        return self._recovery.offset

    def order(self) -> int:
        """Return M of the line that gave the offset (2, 4, 8, 16); 0 if no line stands out and the offset is held."""
        return self._recovery.order


class _steps(gr.basic_block):
    """The work of `carrier_recovery`, on the output of the block `before`."""

    def __init__(self, recovery: CarrierRecovery, before: Any) -> None:
        gr.basic_block.__init__(
            self, name="amrq_carrier_recovery", in_sig=[np.complex64], out_sig=[np.complex64]
        )
        self.error: Exception | None = None
        self._recovery, self._before = recovery, before
        self._begin()
        # With room for less than a step, GNU Radio would ask again and again. It checks whether the following block
        # has ended only when there is no room at all.
        self.gateway.set_output_multiple(STEP)

    def _begin(self) -> None:
        # Symbols held back stay at the input: as many are consumed as are put out, and tags keep their places.
        self._fed = 0  # symbols at the input's beginning that the recovery has already
        self._ready = np.zeros(0, np.complex64)  # what it gave back for the first of them
        self._rates: list[float] = []  # the offset of each of their steps
        self._tagged = math.nan
        self._finished = False
        self._breaks = Breaks()

    @guarded_run
    def start(self) -> bool:
        """Begin a run."""
        self.error = None
        self._begin()
        self._recovery.reset()
        return True

    def _is_over(self) -> bool:
        """Return whether the input buffer holds the last symbols of the stream."""
        return bool(self._before.detail().done())

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Ask for whole new steps; for nothing if output is ready, and at the end of the stream."""
        if len(self._ready) or self._is_over():
            return [1] * ninputs
        return [self._fed + STEP * max(1, noutput_items // STEP)] * ninputs

    @guarded
    def general_work(self, input_items: Any, output_items: Any) -> int:
        """Turn the new whole steps and put out as many as fit; at the end of the stream, put out the rest."""
        symbols, out = input_items[0], output_items[0]
        if not len(self._ready):
            self._feed(symbols)
        count = min(len(self._ready), len(out))
        out[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        self._tag(count // STEP)
        self._fed -= count
        self.consume(0, count)
        return count

    def _feed(self, symbols: Any) -> None:
        """Hand the new symbols at the input to the recovery."""
        read, whole = self.nitems_read(0), len(symbols) // STEP * STEP
        given = [self._ready]
        if whole > self._fed:
            for border in (*self._borders(read + self._fed, read + whole), None):
                stop = whole if border is None else border - read
                given.append(self._recovery.process(symbols[self._fed : stop]))
                self._rates += self._recovery.rates
                self._fed = stop
                if border is not None:
                    given.append(self._recovery.restart())
                    self._rates += self._recovery.rates
        # GNU Radio counted the input before the stream ended: more symbols may have come since.
        over = self._is_over() and self._before.nitems_written(0) == read + len(symbols)
        if over and not self._finished:
            given.append(self._recovery.finish(symbols[self._fed :]))
            self._rates += self._recovery.rates
            self._fed, self._finished = len(symbols), True
        self._ready = np.concatenate(given)

    def _tag(self, steps: int) -> None:
        """Tag the steps that are put out with their offset: every 16 steps, and at once after a large change."""
        first = self.nitems_written(0) // STEP
        for number, rate in enumerate(self._rates[:steps], first):
            # A comparison with NaN is false, so a change to or from NaN is looked for separately.
            changed = abs(rate - self._tagged) > _TAG_CHANGE or math.isnan(rate) != math.isnan(self._tagged)
            if changed or number % _TAG_STEPS == 0:
                self.add_item_tag(0, number * STEP, pmt.intern(CARRIER_KEY), pmt.from_double(rate))
                self._tagged = rate
        del self._rates[:steps]

    def _borders(self, start: int, stop: int) -> list[int]:
        """Return where the recovery starts again: after each step that contains a break of the stream."""
        breaks = self._breaks.find(self.get_tags_in_range(0, start, stop))
        return sorted({-(-place // STEP) * STEP for place in breaks if place})
