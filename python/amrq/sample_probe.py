# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe of the last samples of a stream."""

from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded
from gnuradio.amrq._tags import Breaks
from numpy.typing import NDArray

from amrq.live import RecentSamples

__all__ = ["sample_probe"]


class sample_probe(gr.sync_block):
    """Keep the last samples of a stream for inspection.

    Tags read: `rx_freq`, `rx_time`, `rx_rate` and `rx_overflow`. A new value of one of them marks a break of the
    stream (see `chunker`).

    Args:
        count: samples kept, at least 1.

    Raises:
        AmrqError: the count is below 1.
    """

    @checked_arguments
    def __init__(self, count: int = 1 << 17) -> None:
        self._recent = RecentSamples(count)
        gr.sync_block.__init__(self, name="amrq_sample_probe", in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self._breaks = Breaks()

    def samples(self) -> NDArray[np.complex64]:
        """Return a copy of the last samples, the oldest first: complex64, fewer than `count` at the beginning."""
        return self._recent.samples()

    def stretch(self) -> NDArray[np.complex64]:
        """Return a copy of the longest part of the last samples without a break; of equally long parts the latest."""
        return self._recent.stretch()

    def since_break(self) -> NDArray[np.complex64]:
        """Return a copy of the last samples that follow the last break."""
        return self._recent.since_break()

    def taken(self) -> int:
        """Return how many samples have arrived."""
        return self._recent.taken()

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Keep the samples that arrive."""
        new = input_items[0]
        begin = self.nitems_read(0)
        broken = self._breaks.find(self.get_tags_in_range(0, begin, begin + len(new)))
        self._recent.write(new, [offset - begin for offset in broken])
        return len(new)
