# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from another program, over ZMQ."""

from dataclasses import replace

from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._feed_source import feed_source

from amrq.sources import Piece, ZmqFeed

__all__ = ["zmq_source"]


class zmq_source(feed_source):
    """A stream as the sinks of gr-zeromq send it; the other end may come later.

    Whether the sender passes tags, and whether it puts a key before each message, is seen in the messages. A message
    that is not a whole number of samples (of a vector, of another type), a PMT or text is left out, counted
    (`counts().refused`) and reported in the log.

    Tags made: those of the sender, where it passes them; `rx_overflow` where samples were lost on the way, which is
    noticed where the sender passes tags.

    Args:
        address: `tcp://host:port` (or `ipc://` and a path) of a ZMQ PUB sink, or the same after `pull+` of a ZMQ PUSH
            sink, which loses nothing and is held up instead.
        format: one of `amrq.recordings.RAW_FORMATS`, such as cf32: interleaved I and Q; integers become full scale 1.
        tags: hand on the tags that come along.

    Raises:
        AmrqError: the address is none of these, or the Python package pyzmq is missing.
    """

    @checked_arguments
    def __init__(self, address: str, format: str = "cf32", tags: bool = True) -> None:
        super().__init__(ZmqFeed(address, format))
        self._tags = tags

    def _read(self, patience: float) -> Piece | None:
        piece = super()._read(patience)
        return piece if piece is None or self._tags else replace(piece, tags=())
