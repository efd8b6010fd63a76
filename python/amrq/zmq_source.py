# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from another program, over ZMQ."""

from typing import Any

from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq.sample_decoder import sample_decoder

from amrq.errors import AmrqError

__all__ = ["zmq_source"]

_PATIENCE_MS = 100
_PULL = "pull+"


class zmq_source(gr.hier_block2):
    """A stream as the sinks of gr-zeromq send it; the other end may come later.

    Args:
        address: `tcp://host:port` (or another ZMQ address) of a ZMQ PUB sink, or the same behind `pull+` of a ZMQ PUSH
            sink, which loses nothing and is held up instead.
        format: cf32, ci16, ci8 or cu8: interleaved I and Q, little-endian; integers become full scale 1.
        tags: the ZMQ sink sends tags as well ("Pass Tags" in its settings); both ends must agree.

    Raises:
        AmrqError: the address is none of these, or GNU Radio's ZMQ blocks are missing.
    """

    @checked_arguments
    def __init__(self, address: str, format: str = "cf32", tags: bool = False) -> None:
        gr.hier_block2.__init__(
            self, "amrq_zmq_source", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex)
        )
        self._decoder = sample_decoder(format)
        size = self._decoder.sample_size
        self._source = _zmq(address, size, tags)
        self.parts = (self._source, self._decoder)
        self.connect(*self.parts, self)

    @property
    def error(self) -> Exception | None:
        """What ended the stream before its time; None if nothing did."""
        return self._decoder.error


def _zmq(address: str, size: int, tags: bool) -> Any:
    endpoint = address.removeprefix(_PULL)
    transport, found, rest = endpoint.partition("://")
    if not (found and transport in ("tcp", "ipc", "inproc") and rest):
        raise AmrqError(
            f"{address!r} is no address that samples can come from: give tcp://host:port of a ZMQ PUB sink, "
            "or pull+tcp://host:port of a PUSH sink."
        )
    try:
        from gnuradio import zeromq
    except ImportError as error:
        raise AmrqError(f"this GNU Radio has no ZMQ blocks ({error}): install gr-zeromq.") from None
    try:
        if address.startswith(_PULL):
            return zeromq.pull_source(1, size, endpoint, _PATIENCE_MS, tags, -1)
        return zeromq.sub_source(1, size, endpoint, _PATIENCE_MS, tags, -1, "")
    except (RuntimeError, ValueError) as error:
        raise AmrqError(f"samples cannot come from {address!r}: {str(error).rstrip('.')}.") from None
