# SPDX-License-Identifier: GPL-3.0-or-later
"""One emission's samples out of a band, at its own rate; and the last seconds of a band, to take them from."""

from amrq.channel.extract import Channel, Channeliser, ChannelSamples, extract, extract_all
from amrq.channel.ring import RingFormat, SampleRing

__all__ = ["Channel", "ChannelSamples", "Channeliser", "RingFormat", "SampleRing", "extract", "extract_all"]
