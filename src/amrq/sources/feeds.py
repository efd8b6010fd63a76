# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds: samples from pipes, UDP packets and ZMQ."""

import contextlib
import os
import select
import socket
import struct
import weakref
from dataclasses import dataclass
from typing import Any

from amrq.errors import AmrqError, DeviceError
from amrq.guard_socket import Connections, endpoint_fault, guard_socket
from amrq.machine import optional_package
from amrq.sources.feed import Feed, Piece, SourceCounts, StreamTag, is_json
from amrq.text import counted

__all__ = ["PacketFeed", "PipeFeed", "TagHeader", "ZmqFeed", "pmt_length", "read_tag_header"]

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


_PULL = "pull+"
_TRANSPORTS = ("tcp", "ipc")
_HEADER = struct.Struct("<HBQQ")
"""What gr-zeromq puts before the samples where tags are passed: a magic number, a version, the offset of the first
sample in the sender's stream, the number of tags."""
_MAGIC, _VERSION = 0x5FF0, 1
_BEGINNING = struct.pack("<HB", _MAGIC, _VERSION)
_MOST_TAGS = 4096  # a message: beyond, it is no header
_LARGEST_MESSAGE = 1 << 23  # bytes of a message's part: GNU Radio sends some 10,000 at a time
_WAITING = 64  # messages that wait here; the sender has a queue of its own
_CONNECTIONS = 4  # that ZMQ makes at a time: one, and for a moment the one before
_LARGEST_PMT = 1 << 16  # bytes of a message that is looked through for a PMT
_DEEPEST = 32  # PMTs within PMTs
_LONGEST = 1000  # of a list
_ELEMENTS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 8, 7: 8, 8: 4, 9: 8, 10: 8, 11: 16}
"""Bytes of an element of a uniform vector, by its kind."""
_FIXED = {0x00: 0, 0x01: 0, 0x03: 4, 0x04: 8, 0x05: 16, 0x06: 0, 0x0B: 8, 0x0D: 8}
"""Bytes behind the mark of true, false, an integer, a double, a complex number, nil, a uint64, an int64."""
_SYMBOL, _PAIR, _VECTOR, _DICTIONARY, _UNIFORM, _TUPLE = 0x02, 0x07, 0x08, 0x09, 0x0A, 0x0C
_CONTAINERS = (_PAIR, _VECTOR, _DICTIONARY, _UNIFORM, _TUPLE)


@dataclass(frozen=True)
class TagHeader:
    """What stands before a message's samples.

    Attributes:
        offset: of the first sample, in the sender's stream.
        tags: (offset in the sender's stream, key, value as a serialised PMT).
        length: of the header, bytes.
    """

    offset: int
    tags: tuple[tuple[int, str, bytes], ...]
    length: int


def pmt_length(data: bytes, start: int = 0, depth: int = 0) -> int:
    """Return where the serialised PMT that begins at `start` ends.

    Raises:
        ValueError: no PMT begins there, or it is cut off, nested more than 32 deep, or a list of more than 1,000.
    """
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    for _ in range(
        _LONGEST
    ):  # a list is a pair of its head and the rest of it: not deeper here, but in GNU Radio
        kind = _number(data, start, 1)
        start += 1
        if kind in _FIXED:
            end = start + _FIXED[kind]
        elif kind == _SYMBOL:
            end = start + 2 + _number(data, start, 2)
        elif kind in (_PAIR, _DICTIONARY):
            start = pmt_length(data, start, depth + 1)
            continue
        elif kind in (_VECTOR, _TUPLE):
            end = start + 4
            for _ in range(_number(data, start, 4)):
                end = pmt_length(data, end, depth + 1)
        elif kind == _UNIFORM:
            size = _ELEMENTS.get(_number(data, start, 1))
            if size is None:
                raise ValueError("a vector of no known kind")
            end = start + 6 + _number(data, start + 5, 1) + size * _number(data, start + 1, 4)
        else:
            raise ValueError("no PMT")
        if end > len(data):
            raise ValueError("cut off")
        return end
    raise ValueError("a list too long")


def _number(data: bytes, start: int, size: int) -> int:
    part = data[start : start + size]
    if len(part) < size:
        raise ValueError("cut off")
    return int.from_bytes(part, "big")


def read_tag_header(data: bytes) -> TagHeader | None:
    """Return the header that a message begins with, where the sink passes tags; None where there is none.

    Samples may begin like one by chance, but not so that everything it says fits.
    """
    if len(data) < _HEADER.size:
        return None
    magic, version, offset, count = _HEADER.unpack_from(data)
    if (magic, version) != (_MAGIC, _VERSION) or count > _MOST_TAGS:
        return None
    place, tags = _HEADER.size, []
    try:
        for _ in range(count):
            (tagged,) = struct.unpack_from("<Q", data, place)
            key_end = pmt_length(data, place + 8)
            value_end = pmt_length(data, key_end)
            key = data[place + 8 : key_end]
            if key[0] == _SYMBOL:
                tags.append((tagged, key[3:].decode("utf-8", "replace"), data[key_end:value_end]))
            place = pmt_length(data, value_end)  # the block that made it
    except (ValueError, struct.error):
        return None
    return TagHeader(offset, tuple(tags), place)


class ZmqFeed(Feed):
    """A stream as the sinks of gr-zeromq send it; the other end may come later, go, and come again.

    Whether the sender passes tags, and whether it puts a key before each message, is seen in the messages. Where tags
    are passed, samples that were lost on the way are noticed. A message that is not a whole number of samples is left
    out and counted; one of more than 8 MiB is not received.

    Args:
        address: `tcp://host:port` (or `ipc://` and a path) of a ZMQ PUB sink, or the same after `pull+` of a ZMQ PUSH
            sink, which loses nothing and is held up instead.
        format: one of `amrq.recordings.RAW_FORMATS`, such as cf32: interleaved I and Q; integers become full scale 1.

    Raises:
        DeviceError: samples cannot come from this address.
        AmrqError: the address is none of these, there is no such format, or the Python package pyzmq is missing.
    """

    def __init__(self, address: str, format: str = "cf32") -> None:
        super().__init__(address, format)
        endpoint = address.removeprefix(_PULL)
        transport, found, rest = endpoint.partition("://")
        if not (found and transport in _TRANSPORTS and rest):
            raise AmrqError(
                f"{address!r} is not an address that samples can come from: give tcp://host:port of a ZMQ PUB sink, "
                "or pull+tcp://host:port of a PUSH sink."
            )
        zmq = self._zmq = optional_package("zmq", "receiving samples over ZMQ")
        context = zmq.Context()
        self._socket = context.socket(zmq.PULL if address.startswith(_PULL) else zmq.SUB)
        guard_socket(self._socket, _LARGEST_MESSAGE)
        self._socket.setsockopt(zmq.RCVHWM, _WAITING)
        self._connections = Connections(self._socket, _CONNECTIONS, (_WAITING + 1) * _LARGEST_MESSAGE)
        self._ended = 0
        self._finalizer = weakref.finalize(self, _close, self._connections, self._socket, context)
        if not address.startswith(_PULL):
            self._socket.subscribe(b"")
        if fault := endpoint_fault(self._socket.connect, endpoint):
            self.close()
            raise DeviceError(f"samples cannot come from {address!r}: {fault.rstrip('.')}.")
        self._next: int | None = None  # offset of the next sample in the sender's stream, where it is known
        self._lost = 0

    def read(self, patience: float) -> Piece | None:
        """Return the samples of the next message; see `Feed.read`."""
        self._connections.look()
        if self._connections.ended > self._ended:
            self._ended = self._connections.ended
            self._refuse(
                f"a message of more than {_WAITING * _LARGEST_MESSAGE:,} bytes is not read to its end"
            )
        try:
            if not self._socket.poll(round(1000 * patience)):
                return Piece()
            *before, last = self._socket.recv_multipart(self._zmq.NOBLOCK, copy=False)
        except self._zmq.ZMQError as error:
            if error.errno in (self._zmq.EAGAIN, self._zmq.EINTR):
                return Piece()
            raise DeviceError(f"no more samples come from {self.name}: {str(error).rstrip('.')}.") from None
        self._connections.heard(last)
        if len(before) > 1:
            self._refuse(f"a message of {len(before) + 1} parts is not what a ZMQ sink of GNU Radio sends")
            return Piece()
        data: bytes = last.bytes
        header = read_tag_header(data)
        content = data if header is None else data[header.length :]
        if mistake := self._mistake(content, header is not None):
            self._refuse(mistake)
            return Piece()
        samples = self._decoded(content)
        if header is None:
            return Piece(samples)
        broken = self._next not in (None, header.offset)
        self._lost += broken
        self._next = header.offset + len(samples)
        tags = [
            StreamTag(offset - header.offset, key, value)
            for offset, key, value in header.tags
            if 0 <= offset - header.offset < len(samples)
        ]
        return Piece(samples, broken, tuple(sorted(tags, key=lambda tag: tag.index)))

    def _mistake(self, data: bytes, tagged: bool) -> str:
        """Return why a message is no samples, as a sentence without its end; empty where it may be samples."""
        said = f"a message of {counted(len(data), 'byte')}"
        if not tagged:
            if data.startswith(_BEGINNING):
                return f"{said} begins as one with tags does, and goes on otherwise"
            if is_json(data):
                return f"{said} is JSON, not samples: see that the address is that of a ZMQ PUB or PUSH Sink"
            try:
                if 0 < len(data) <= _LARGEST_PMT and data[0] in _CONTAINERS and pmt_length(data) == len(data):
                    return f"{said} is a PMT, as a ZMQ Message Sink sends it: take a ZMQ PUB or PUSH Sink for a stream"
            except ValueError:
                pass
        size = self._raw.sample_size
        if len(data) % size:
            return (
                f"{said} is not a whole number of {self.format} samples of {size} bytes: the sink's type or vector "
                "length is another (type complex sends cf32; --format)"
            )
        return ""

    def counts(self) -> SourceCounts:
        """Return what went wrong on the way so far; what a sender that passes no tags lost is not known."""
        return SourceCounts(refused=self._refused, lost=None if self._next is None else self._lost)

    def close(self) -> None:
        """Receive no more."""
        self._finalizer()


def _close(connections: Connections, socket: Any, context: Any) -> None:
    connections.close()
    socket.close(0)
    context.term()
