# SPDX-License-Identifier: GPL-3.0-or-later
"""Where samples come from while they are received."""

from amrq.sources.byte_feeds import PacketFeed, PipeFeed
from amrq.sources.feed import Feed, Piece, StreamTag
from amrq.sources.sample_check import SampleCheck
from amrq.sources.silence_watch import SILENCE_IS_NEWS, SilenceWatch
from amrq.sources.source_counts import SourceCounts
from amrq.sources.zmq_feed import ZmqFeed

__all__ = [
    "SILENCE_IS_NEWS",
    "Feed",
    "PacketFeed",
    "Piece",
    "PipeFeed",
    "SampleCheck",
    "SilenceWatch",
    "SourceCounts",
    "StreamTag",
    "ZmqFeed",
]
