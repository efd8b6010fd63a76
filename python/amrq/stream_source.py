# SPDX-License-Identifier: GPL-3.0-or-later
"""A source for samples that arrive through a pipe."""

from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._errors import guarded

from amrq.errors import AmrqError
from amrq.recordings import SampleStream

__all__ = ["stream_source"]


class stream_source(gr.sync_block):
    """Send what a `SampleStream` reads, until it ends; the tag `rx_rate` stands on the first sample.

    Args:
        stream: to read from; samples that were read ahead are sent too.
        count: samples to send; 0 sends all.

    Raises:
        AmrqError: the count is below 0.
    """

    def __init__(self, stream: SampleStream, count: int = 0) -> None:
        if count < 0:
            raise AmrqError(f"the number of samples to send must be at least 0, not {count}.")
        gr.sync_block.__init__(self, name="amrq_stream_source", in_sig=None, out_sig=[np.complex64])
        self.error: Exception | None = None
        self.stream = stream
        self._left = int(count) or None

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Send the samples that have arrived."""
        out = output_items[0]
        if self._left == 0:
            return -1
        samples = self.stream.read(len(out) if self._left is None else min(len(out), self._left))
        if samples is None:
            return -1
        if len(samples) and not self.nitems_written(0):  # as any other source of ours
            self.add_item_tag(0, 0, pmt.intern("rx_rate"), pmt.from_double(self.stream.sample_rate))
        out[: len(samples)] = samples
        if self._left is not None:
            self._left -= len(samples)
        return len(samples)
