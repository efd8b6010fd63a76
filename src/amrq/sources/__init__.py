# SPDX-License-Identifier: GPL-3.0-or-later
"""Where samples come from while they are received."""

from amrq.sources.byte_feeds import PacketFeed, PipeFeed
from amrq.sources.devices import GainElement, RadioDevice, find_devices
from amrq.sources.feed import Feed, Piece, StreamTag
from amrq.sources.gain import Gain, read_gain
from amrq.sources.rtl_tcp_feed import RtlTcpFeed, RtlTcpSettings, read_address
from amrq.sources.sample_check import SampleCheck
from amrq.sources.silence_watch import SILENCE_IS_NEWS, SilenceWatch
from amrq.sources.source_counts import SourceCounts
from amrq.sources.source_options import LiveSource, SourceOptions
from amrq.sources.zmq_feed import ZmqFeed

__all__ = [
    "SILENCE_IS_NEWS",
    "Feed",
    "Gain",
    "GainElement",
    "LiveSource",
    "PacketFeed",
    "Piece",
    "PipeFeed",
    "RadioDevice",
    "RtlTcpFeed",
    "RtlTcpSettings",
    "SampleCheck",
    "SilenceWatch",
    "SourceCounts",
    "SourceOptions",
    "StreamTag",
    "ZmqFeed",
    "find_devices",
    "read_address",
    "read_gain",
]
