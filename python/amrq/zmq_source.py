# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from another program, over ZMQ."""

from dataclasses import replace

from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._feed_source import feed_source

from amrq.sources import Piece, ZmqFeed

__all__ = ["zmq_source"]


class zmq_source(feed_source):
    """Receive a stream that a sink of gr-zeromq sends; the sender may start later.

    The block finds out from the messages whether the sender passes tags and whether it puts a key before each message.
    A message that is not a whole number of samples (a vector or another type), a PMT or text is left out, counted
    (`counts().refused`) and reported in the log.

    Tags written: those of the sender, if it passes tags; `rx_overflow` at each loss of samples, which is detected only
    if the sender passes tags.

    Args:
        address: `tcp://host:port` (or `ipc://` and a path) of a ZMQ PUB sink; `pull+` and such an address for a ZMQ
            PUSH sink, which waits for the receiver instead of losing samples.
        format: one of `amrq.recordings.RAW_FORMATS`, such as cf32: interleaved I and Q; integers become full scale 1.
        tags: hand on the tags that come along.

    Raises:
        AmrqError: the address is not valid, or the Python package pyzmq is missing.
    """

    @checked_arguments
    def __init__(self, address: str, format: str = "cf32", tags: bool = True) -> None:
        super().__init__(ZmqFeed(address, format))
        self._tags = tags

    def _read(self, patience: float) -> Piece | None:
        piece = super()._read(patience)
        return piece if piece is None or self._tags else replace(piece, tags=())
