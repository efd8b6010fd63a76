# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from another program, in UDP packets."""

import contextlib
import socket

from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq.pipe_source import pipe_source

from amrq.errors import AmrqError

__all__ = ["packet_source"]

_BUFFER = 4 << 20  # bytes that may wait in the kernel, where it allows so many


class packet_source(pipe_source):
    """Raw samples as the contents of UDP packets, without headers; a sample may span two packets.

    GNU Radio's own source sends zeros where packets come unevenly, which a classifier takes for silence.

    Args:
        port: of this machine, 1 to 65535; 0 takes a free one.
        host: address of this machine that is listened at; 0.0.0.0 for all of them.
        format: cf32, ci16, ci8 or cu8: interleaved I and Q, little-endian; integers become full scale 1.

    Raises:
        AmrqError: there is no such format, or the port cannot be listened at.
    """

    _ends = False

    @checked_arguments
    def __init__(self, port: int, host: str = "127.0.0.1", format: str = "cf32") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        try:
            self._socket.bind((host, port))
        except (OSError, OverflowError) as error:
            self._socket.close()
            reason = getattr(error, "strerror", None) or error
            raise AmrqError(
                f"packets cannot be received at {host}:{port} ({reason}): give an address of this machine and a free "
                "port."
            ) from None
        super().__init__(format, self._socket.fileno())
        self.port: int = self._socket.getsockname()[1]
        """The port that is listened at."""
