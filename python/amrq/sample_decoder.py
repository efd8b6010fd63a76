# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes off a wire as complex samples."""

from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._guarded import guarded

from amrq.errors import AmrqError
from amrq.recordings import RAW_FORMATS

__all__ = ["sample_decoder"]


class sample_decoder(gr.sync_block):
    """Turn vectors of bytes, one raw sample each, into complex samples, full scale 1 for integers.

    Args:
        format: cf32, ci16, ci8 or cu8: interleaved I and Q, little-endian.

    Raises:
        AmrqError: there is no such format.
    """

    @checked_arguments
    def __init__(self, format: str = "cf32") -> None:
        if format not in RAW_FORMATS:
            raise AmrqError(f"there is no sample format {format!r}: choose from {', '.join(RAW_FORMATS)}.")
        self._format = RAW_FORMATS[format]
        self.sample_size = self._format.sample_size
        gr.sync_block.__init__(
            self,
            name="amrq_sample_decoder",
            in_sig=[(np.uint8, self.sample_size)],
            out_sig=[np.complex64],
        )
        self.error: Exception | None = None

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Decode what is there."""
        items = np.ascontiguousarray(input_items[0])
        output_items[0][:] = self._format.decode(items.view(self._format.dtype).reshape(-1))
        return len(items)
