# SPDX-License-Identifier: GPL-3.0-or-later
"""A source slowed down to a radio's rate."""

from typing import Any

from gnuradio import blocks, gr
from gnuradio.amrq._arguments import checked_arguments

__all__ = ["paced_source"]


class paced_source(gr.hier_block2):
    """Slow another source down to its sample rate by the computer's clock.

    Args:
        source: a block with one complex output.
        sample_rate: samples a second.
    """

    @checked_arguments
    def __init__(self, source: Any, sample_rate: float) -> None:
        gr.hier_block2.__init__(
            self, "amrq_paced_source", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex)
        )
        self._source = source
        self._throttle = blocks.throttle(gr.sizeof_gr_complex, sample_rate)
        self.connect(self._source, self._throttle, self)

    @property
    def error(self) -> Exception | None:
        """The error that ended the stream early; None if there was none."""
        error: Exception | None = self._source.error
        return error
