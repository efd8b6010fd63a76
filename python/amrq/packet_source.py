# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from another program, in UDP packets."""

from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._feed_source import feed_source

from amrq.sources import PacketFeed

__all__ = ["packet_source"]


class packet_source(feed_source):
    """Receive raw samples in UDP packets without headers; each packet holds whole samples.

    A packet that does not hold a whole number of samples is left out, counted (`counts().refused`) and reported in the
    log. The samples of other packets are not affected. GNU Radio's own source inserts zeros when packets arrive
    unevenly, and a classifier takes zeros for silence.

    Args:
        port: of this machine, 1 to 65535; 0 takes a free one.
        host: address of this machine to listen on; 0.0.0.0 for all addresses.
        format: one of `amrq.recordings.RAW_FORMATS`, such as cf32: interleaved I and Q; integers become full scale 1.

    Raises:
        AmrqError: the format does not exist, or the port cannot be opened.
    """

    @checked_arguments
    def __init__(self, port: int, host: str = "127.0.0.1", format: str = "cf32") -> None:
        feed = PacketFeed(port, host, format)
        super().__init__(feed)
        self.port: int = feed.port
        """The port that is listened at."""
