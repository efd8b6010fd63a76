# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags at the breaks of a radio's stream."""

import threading
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._errors import guarded, guarded_run
from gnuradio.amrq._tags import OVERFLOW_KEY, read_number

__all__ = ["overflow_marker"]

_RATE = pmt.intern("rx_rate")
_FREQUENCY = pmt.intern("rx_freq")


class overflow_marker(gr.basic_block):
    """Pass a radio's samples on, and add tags for overflows and retunes that GNU Radio's Soapy source does not mark.

    After an overflow the Soapy source repeats `rx_rate` and `rx_freq`. If the radio has no clock, the values are those
    of before and do not show the overflow; this block adds `rx_overflow`. After a retune the Soapy source writes no
    tag before GNU Radio 3.10.6, and repeats its tags from 3.10.6 on. This block puts `rx_freq` on the first sample
    that it passes on after the retune.

    Args:
        repeats_at_retunes: the source repeats its tags after a retune too; such a repetition is not an overflow.
    """

    def __init__(self, repeats_at_retunes: bool) -> None:
        gr.basic_block.__init__(
            self, name="amrq_overflow_marker", in_sig=[np.complex64], out_sig=[np.complex64]
        )
        self.error: Exception | None = None
        self.overflows = 0
        """How often samples were lost since the block was made."""
        self._repeats_at_retunes = repeats_at_retunes
        self._lock = threading.Lock()
        self._retuned: float | None = None  # to be tagged
        self._expected: float | None = None  # frequency of a retune that the source has not tagged yet

    def retuned(self, frequency: float) -> None:
        """Note that the radio is tuned to another frequency, Hz, from now on."""
        with self._lock:
            self._retuned = frequency
            self._expected = frequency if self._repeats_at_retunes else None

    @guarded_run
    def start(self) -> bool:
        """Begin a run: the source itself tags rate and frequency."""
        with self._lock:
            self._retuned = self._expected = None
        self.error = None
        return True

    @guarded_run
    def stop(self) -> bool:
        """End a run."""
        return True

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Return that one sample is enough: as many are passed on as there are, and there is room for."""
        return [1] * ninputs

    @guarded
    def general_work(self, input_items: Any, output_items: Any) -> int:
        """Pass on the samples that have arrived."""
        count = min(len(input_items[0]), len(output_items[0]))
        output_items[0][:count] = input_items[0][:count]
        with self._lock:
            if self._retuned is not None and count:
                self.add_item_tag(0, self.nitems_written(0), _FREQUENCY, pmt.from_double(self._retuned))
                self._retuned = None
            for tag in self.get_tags_in_window(0, 0, count, _RATE):
                if tag.offset:  # the stream's first sample has it too
                    self._tag_break(tag.offset)
        self.consume(0, count)
        return count

    def _tag_break(self, offset: int) -> None:
        expected, self._expected = self._expected, None
        here = self.get_tags_in_range(0, offset, offset + 1, _FREQUENCY)
        if any(read_number(tag.value) == expected for tag in here):
            return  # that was the retune
        self.overflows += 1
        self.add_item_tag(0, offset, pmt.intern(OVERFLOW_KEY), pmt.from_uint64(self.overflows))
