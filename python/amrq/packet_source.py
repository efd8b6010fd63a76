# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from another program, in UDP packets."""

from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._feed_source import feed_source

from amrq.sources import PacketFeed

__all__ = ["packet_source"]


class packet_source(feed_source):
    """Raw samples as the contents of UDP packets, without headers, whole samples in each.

    A packet of no whole number of samples, whoever sent it, is left out, counted (`counts().refused`) and reported in
    the log: the samples of the others stay what they are. GNU Radio's own source sends zeros where packets come
    unevenly, which a classifier takes for silence.

    Args:
        port: of this machine, 1 to 65535; 0 takes a free one.
        host: address of this machine that is listened at; 0.0.0.0 for all of them.
        format: one of `amrq.recordings.RAW_FORMATS`, such as cf32: interleaved I and Q; integers become full scale 1.

    Raises:
        AmrqError: there is no such format, or the port cannot be listened at.
    """

    @checked_arguments
    def __init__(self, port: int, host: str = "127.0.0.1", format: str = "cf32") -> None:
        feed = PacketFeed(port, host, format)
        super().__init__(feed)
        self.port: int = feed.port
        """The port that is listened at."""
