# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw samples through a pipe and in UDP packets."""

import contextlib
import os
import select
import socket
import weakref

from amrq.errors import DeviceError
from amrq.sources.feed import Feed, Piece, is_json
from amrq.text import counted

__all__ = ["PacketFeed", "PipeFeed"]

_READ = 65_536  # bytes at a time: a pipe's content, and more than any packet's
_BUFFER = 4 << 20  # bytes that may wait in the kernel, where it allows so many


class PipeFeed(Feed):
    """Raw samples from a file descriptor, standard input for instance, until the other end closes it.

    Args:
        format: one of `amrq.recordings.RAW_FORMATS`, such as cf32: interleaved I and Q; integers become full scale 1.
        descriptor: to read from; 0 is standard input. It stays open.

    Raises:
        DeviceError: there is no such format, or nothing can be read there.
    """

    def __init__(self, format: str = "cu8", descriptor: int = 0) -> None:
        super().__init__("standard input" if descriptor == 0 else f"descriptor {descriptor}", format)
        try:
            os.fstat(descriptor)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DeviceError(f"samples cannot be read from the pipe: {reason}.") from None
        self._descriptor = descriptor
        self._part = b""  # of a sample

    def read(self, patience: float) -> Piece | None:
        """Return what is there; see `Feed.read`."""
        if not select.select([self._descriptor], [], [], patience)[0]:
            return Piece()
        try:
            read = os.read(self._descriptor, _READ)
        except OSError as error:
            raise DeviceError(f"samples cannot be read from the pipe: {error.strerror}.") from None
        if not read:
            if self._part:
                left = counted(len(self._part), "byte")
                self.report(f"{self.name} ended within a {self.format} sample: {left} left out.")
                self._part = b""
            return None
        data = self._part + read
        whole = len(data) - len(data) % self._raw.sample_size
        self._part = data[whole:]
        return Piece(self._decoded(data[:whole]))


class PacketFeed(Feed):
    """Raw samples in UDP packets without headers. A packet of no whole number of samples is left out and counted.

    Args:
        port: of this machine, 1 to 65535; 0 takes a free one.
        host: address of this machine that is listened at; 0.0.0.0 for all of them.
        format: one of `amrq.recordings.RAW_FORMATS`, such as cf32: interleaved I and Q; integers become full scale 1.

    Attributes:
        port: that is listened at.

    Raises:
        DeviceError: there is no such format, or the port cannot be listened at.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", format: str = "cf32") -> None:
        super().__init__(f"udp://{host}:{port}", format)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._finalizer = weakref.finalize(self, self._socket.close)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        try:
            self._socket.bind((host, port))
        except (OSError, OverflowError, UnicodeError) as error:
            self.close()
            reason = getattr(error, "strerror", None) or error
            raise DeviceError(
                f"packets cannot be received at {host}:{port} ({reason}): give an address of this machine and a free "
                "port."
            ) from None
        self.port: int = self._socket.getsockname()[1]
        self.name = f"udp://{host}:{self.port}"
        self._socket.setblocking(False)

    def read(self, patience: float) -> Piece | None:
        """Return the samples of the next packets; see `Feed.read`."""
        if not select.select([self._socket], [], [], patience)[0]:
            return Piece()
        size, packets, taken = self._raw.sample_size, [], 0
        while taken < _READ:
            try:
                data, (host, port) = self._socket.recvfrom(_READ)
            except OSError:  # that were all; or a checksum was wrong
                break
            said = f"a packet of {counted(len(data), 'byte')} from {host}:{port} is"
            if is_json(data):
                self._refuse(f"{said} JSON, not samples")
            elif len(data) % size:
                self._refuse(f"{said} not a whole number of {self.format} samples of {size} bytes")
            else:
                packets.append(data)
            taken += len(data) + 1  # packets may be empty
        return Piece(self._decoded(b"".join(packets)))

    def close(self) -> None:
        """Listen no more."""
        self._finalizer()
