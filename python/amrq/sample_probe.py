# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at the samples that passed last."""

import threading
from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._guarded import guarded
from numpy.typing import NDArray

from amrq.errors import AmrqError

__all__ = ["sample_probe"]


class sample_probe(gr.sync_block):
    """Keep the last samples of a stream for whoever asks.

    Args:
        count: samples kept, at least 1.

    Raises:
        AmrqError: the count is below 1.
    """

    def __init__(self, count: int = 1 << 17) -> None:
        if count < 1:
            raise AmrqError(f"at least 1 sample must be kept, not {count}.")
        gr.sync_block.__init__(self, name="amrq_sample_probe", in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self._ring = np.zeros(count, dtype=np.complex64)
        self._place = 0  # where the next sample goes
        self._taken = 0
        self._lock = threading.Lock()

    def samples(self) -> NDArray[np.complex64]:
        """Return a copy of the last samples, the oldest first: complex64, fewer than `count` at the beginning."""
        with self._lock:
            if self._taken < len(self._ring):
                return self._ring[: self._place].copy()
            return np.concatenate([self._ring[self._place :], self._ring[: self._place]])

    def taken(self) -> int:
        """Return how many samples have come."""
        with self._lock:
            return self._taken

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Keep what comes."""
        new = input_items[0]
        last = new[-len(self._ring) :]
        with self._lock:
            first = min(len(last), len(self._ring) - self._place)
            self._ring[self._place : self._place + first] = last[:first]
            self._ring[: len(last) - first] = last[first:]
            self._place = (self._place + len(last)) % len(self._ring)
            self._taken += len(new)
        return len(new)
