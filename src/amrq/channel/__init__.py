# SPDX-License-Identifier: GPL-3.0-or-later
"""One emission's samples out of a band, at its own rate; and the last seconds of a band, to take them from."""

from amrq.channel.extract import Channeliser, ChannelSamples, channel_rate, extract, extract_all
from amrq.channel.plan import Channel
from amrq.channel.reader import ChannelReader
from amrq.channel.ring import RingFormat, SampleRing, SharedMemory

__all__ = [
    "Channel",
    "ChannelReader",
    "ChannelSamples",
    "Channeliser",
    "RingFormat",
    "SampleRing",
    "SharedMemory",
    "channel_rate",
    "extract",
    "extract_all",
]
