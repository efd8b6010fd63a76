# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at the samples that passed last."""

import threading
from collections import deque
from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._breaks import Breaks
from gnuradio.amrq._guarded import guarded
from numpy.typing import NDArray

from amrq.errors import AmrqError

__all__ = ["sample_probe"]


class sample_probe(gr.sync_block):
    """Keep the last samples of a stream for whoever asks.

    Tags read: `rx_freq`, `rx_time`, `rx_rate` and `rx_overflow`: before a sample where one of them says something new
    the stream broke (see `chunker`).

    Args:
        count: samples kept, at least 1.

    Raises:
        AmrqError: the count is below 1.
    """

    @checked_arguments
    def __init__(self, count: int = 1 << 17) -> None:
        if count < 1:
            raise AmrqError(f"at least 1 sample must be kept, not {count}.")
        gr.sync_block.__init__(self, name="amrq_sample_probe", in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self._ring = np.zeros(count, dtype=np.complex64)
        self._place = 0  # where the next sample goes
        self._taken = 0
        self._breaks = Breaks()
        self._starts: deque[int] = deque([0])  # first samples of the unbroken stretches that are still kept
        self._lock = threading.Lock()

    def samples(self) -> NDArray[np.complex64]:
        """Return a copy of the last samples, the oldest first: complex64, fewer than `count` at the beginning."""
        with self._lock:
            return self._kept()

    def _kept(self) -> NDArray[np.complex64]:
        if self._taken < len(self._ring):
            return self._ring[: self._place].copy()
        return np.concatenate([self._ring[self._place :], self._ring[: self._place]])

    def stretch(self) -> NDArray[np.complex64]:
        """Return a copy of the longest part of the last samples without a break in it; of equally long ones the latest.

        What is measured over many samples, a symbol rate for instance, is right only where none is missing between
        them.
        """
        with self._lock:
            kept = self._kept()
            oldest = self._taken - len(kept)
            starts = [max(start, oldest) - oldest for start in self._starts]
        ends = [*starts[1:], len(kept)]
        _, first, last = max((end - start, start, end) for start, end in zip(starts, ends, strict=True))
        return kept[first:last]

    def since_break(self) -> NDArray[np.complex64]:
        """Return a copy of those of the last samples that came after the last break."""
        with self._lock:
            kept = self._kept()
            return kept[max(0, self._starts[-1] - (self._taken - len(kept))) :]

    def taken(self) -> int:
        """Return how many samples have come."""
        with self._lock:
            return self._taken

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Keep what comes."""
        new = input_items[0]
        last = new[-len(self._ring) :]
        begin = self.nitems_read(0)
        broken = self._breaks.find(self.get_tags_in_range(0, begin, begin + len(new)))
        with self._lock:
            for offset in broken:
                start = self._taken + offset - begin
                if start > self._starts[-1]:
                    self._starts.append(start)
            first = min(len(last), len(self._ring) - self._place)
            self._ring[self._place : self._place + first] = last[:first]
            self._ring[: len(last) - first] = last[first:]
            self._place = (self._place + len(last)) % len(self._ring)
            self._taken += len(new)
            oldest = self._taken - len(self._ring)
            while len(self._starts) > 1 and self._starts[1] <= oldest:
                self._starts.popleft()
        return len(new)
