# SPDX-License-Identifier: GPL-3.0-or-later
"""Live sources of samples."""

from amrq.sources.feed import SILENCE_IS_NEWS, Feed, Piece, SampleCheck, SilenceWatch, SourceCounts, StreamTag
from amrq.sources.feeds import PacketFeed, PipeFeed, ZmqFeed, pmt_length, read_tag_header
from amrq.sources.rtl_tcp_feed import RtlTcpFeed, RtlTcpSettings, read_address
from amrq.sources.source_options import (
    Gain,
    GainElement,
    LiveSource,
    RadioDevice,
    SourceOptions,
    find_devices,
    read_gain,
)

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
    "pmt_length",
    "read_address",
    "read_gain",
    "read_tag_header",
]
