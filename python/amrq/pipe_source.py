# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from another program, through a pipe."""

from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._feed_source import feed_source

from amrq.sources import PipeFeed

__all__ = ["pipe_source"]


class pipe_source(feed_source):
    """Raw samples from a file descriptor, standard input for instance, until the other end closes it.

    Args:
        format: one of `amrq.recordings.RAW_FORMATS`, such as cf32: interleaved I and Q; integers become full scale 1.
        descriptor: to read from; 0 is standard input. It stays open.

    Raises:
        AmrqError: there is no such format, or nothing can be read there.
    """

    @checked_arguments
    def __init__(self, format: str = "cu8", descriptor: int = 0) -> None:
        super().__init__(PipeFeed(format, descriptor))
