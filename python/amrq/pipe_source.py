# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from another program, through a pipe."""

import os
import select
from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._guarded import guarded
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.recordings import RAW_FORMATS

__all__ = ["pipe_source"]

_PATIENCE = 0.1  # seconds without anything to read after which the flowgraph may look whether it is to stop
_READ = 65_536  # bytes at a time: a pipe's content, and more than any packet's


class pipe_source(gr.sync_block):
    """Raw samples from a file descriptor, standard input for instance, until the other end closes it.

    Args:
        format: cf32, ci16, ci8 or cu8: interleaved I and Q, little-endian; integers become full scale 1.
        descriptor: to read from; 0 is standard input. It stays open.

    Raises:
        AmrqError: there is no such format, or nothing can be read there.
    """

    _ends = True
    """Whether nothing to read means that nothing more will come."""

    @checked_arguments
    def __init__(self, format: str = "cu8", descriptor: int = 0) -> None:
        if format not in RAW_FORMATS:
            raise AmrqError(f"there is no sample format {format!r}: choose from {', '.join(RAW_FORMATS)}.")
        try:
            os.fstat(descriptor)
        except OSError as error:
            raise AmrqError(f"samples cannot be read from the pipe: {error.strerror}.") from None
        gr.sync_block.__init__(self, name=f"amrq_{type(self).__name__}", in_sig=None, out_sig=[np.complex64])
        self.error: Exception | None = None
        self._format = RAW_FORMATS[format]
        self._descriptor = descriptor
        self._waiting = bytearray()
        self._first = np.empty(0, dtype=np.complex64)

    def put_back(self, samples: NDArray[np.complex64]) -> None:
        """Send these samples before anything else: they were only looked at. Not while the flowgraph runs."""
        self._first = np.concatenate([samples, self._first])

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Send what is there."""
        out = output_items[0]
        if len(self._first):
            count = min(len(out), len(self._first))
            out[:count], self._first = self._first[:count], self._first[count:]
            return count
        size = self._format.sample_size
        patience = _PATIENCE  # only for the first: what is there goes on at once
        while len(self._waiting) < len(out) * size:
            if not select.select([self._descriptor], [], [], patience)[0]:
                break
            read = os.read(self._descriptor, _READ)
            if not read and self._ends:
                if len(self._waiting) < size:
                    return -1
                break
            self._waiting += read
            patience = 0.0
        count = min(len(out), len(self._waiting) // size)
        # A copy: the buffer cannot shrink while an array looks at it.
        values = np.frombuffer(bytes(self._waiting[: count * size]), self._format.dtype)
        out[:count] = self._format.decode(values)
        del self._waiting[: count * size]
        return count
