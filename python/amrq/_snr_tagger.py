# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags with the SNR of a signal."""

import math
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._errors import guarded, guarded_run
from gnuradio.amrq._tags import Breaks

from amrq.measure import SnrMeter

__all__ = ["SNR_KEY", "snr_tagger"]

SNR_KEY = "snr_db"
"""Tag on a sample now and then: a PMT double, power of the signal in its band over that of the noise there, dB, over
about the last 1,024 symbols; NaN where the noise floor does not show beside the signal."""

_STEPS = 8  # of the meter from one tag to the next


class snr_tagger(gr.sync_block):
    """Pass samples on, and tag them with the SNR that a meter measures.

    Args:
        meter: of these samples.
    """

    def __init__(self, meter: SnrMeter) -> None:
        gr.sync_block.__init__(self, name="amrq_snr_tagger", in_sig=[np.complex64], out_sig=[np.complex64])
        self.error: Exception | None = None
        self._meter = meter
        self._begin()

    def _begin(self) -> None:
        self._breaks = Breaks()
        self._next = 0  # sample that the next stretch begins with
        self._piece = np.zeros(self._meter.length, np.complex64)
        self._filled = 0
        self._steps = 0

    @guarded_run
    def start(self) -> bool:
        """Begin a run."""
        self.error = None
        self._meter.reset()
        self._begin()
        return True

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Pass on the samples that have arrived, and measure their SNR."""
        samples = input_items[0]
        output_items[0][:] = samples
        read = self.nitems_read(0)
        end = read + len(samples)
        broken = self._breaks.find(self.get_tags_in_range(0, read, end))
        if broken and broken[-1]:
            self._meter.reset()
            self._next, self._filled = broken[-1], 0
        while self._next + self._filled < end:
            begin = self._next + self._filled - read
            part = samples[begin : begin + self._meter.length - self._filled]
            self._piece[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            if self._filled == self._meter.length:
                self._meter.take([self._piece])
                self._tag(self._next + self._meter.length - 1)
                self._next += self._meter.step
                self._filled = 0
        return len(samples)

    def _tag(self, place: int) -> None:
        self._steps += 1
        if self._steps % _STEPS == 0:
            found = self._meter.snr_db()
            value = pmt.from_double(math.nan if found is None else found)
            self.add_item_tag(0, place, pmt.intern(SNR_KEY), value)
