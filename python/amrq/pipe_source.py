# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from another program, through a pipe."""

from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._feed_source import feed_source

from amrq.sources import PipeFeed

__all__ = ["pipe_source"]


class pipe_source(feed_source):
    """Read raw samples from a file descriptor, for example standard input, until the other end closes it.

    Args:
        format: one of `amrq.recordings.RAW_FORMATS`, such as cf32: interleaved I and Q; integers become full scale 1.
        descriptor: to read from; 0 is standard input. It stays open.

    Raises:
        AmrqError: the format does not exist, or the descriptor cannot be read.
    """

    @checked_arguments
    def __init__(self, format: str = "cu8", descriptor: int = 0) -> None:
        super().__init__(PipeFeed(format, descriptor))
