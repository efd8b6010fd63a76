# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a radio's stream broke."""

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


class overflow_marker(gr.sync_block):
    """Pass a radio's samples on, and tag what GNU Radio's Soapy source leaves unsaid.

    Behind an overflow that source repeats `rx_rate` and `rx_freq`; of a radio without a clock these are the same as
    before and say nothing. Here `rx_overflow` joins them. Of a retune it says nothing before GNU Radio 3.10.6, and
    repeats the tags from then on: here `rx_freq` stands on the first sample that is handed on after it.

    Args:
        repeats_at_retunes: the source repeats its tags behind a retune too, which is no overflow.
    """

    def __init__(self, repeats_at_retunes: bool) -> None:
        gr.sync_block.__init__(
            self, name="amrq_overflow_marker", in_sig=[np.complex64], out_sig=[np.complex64]
        )
        self.error: Exception | None = None
        self.overflows = 0
        """How often samples were lost since the block was made."""
        self._repeats_at_retunes = repeats_at_retunes
        self._lock = threading.Lock()
        self._retuned: float | None = None  # to be tagged
        self._expected: float | None = None  # what the source will still say of a retune

    def retuned(self, frequency: float) -> None:
        """Take in that the radio stands at another frequency, Hz, from now on."""
        with self._lock:
            self._retuned = frequency
            self._expected = frequency if self._repeats_at_retunes else None

    @guarded_run
    def start(self) -> bool:
        """Begin a run: the source tells rate and frequency itself."""
        with self._lock:
            self._retuned = self._expected = None
        self.error = None
        return True

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Hand on what is there."""
        count = len(input_items[0])
        output_items[0][:] = input_items[0]
        with self._lock:
            if self._retuned is not None and count:
                self.add_item_tag(0, self.nitems_written(0), _FREQUENCY, pmt.from_double(self._retuned))
                self._retuned = None
            for tag in self.get_tags_in_window(0, 0, count, _RATE):
                if tag.offset:  # the stream's first sample has it too
                    self._tag_break(tag.offset)
        return count

    def _tag_break(self, offset: int) -> None:
        expected, self._expected = self._expected, None
        here = self.get_tags_in_range(0, offset, offset + 1, _FREQUENCY)
        if any(read_number(tag.value) == expected for tag in here):
            return  # that was the retune
        self.overflows += 1
        self.add_item_tag(0, offset, pmt.intern(OVERFLOW_KEY), pmt.from_uint64(self.overflows))
