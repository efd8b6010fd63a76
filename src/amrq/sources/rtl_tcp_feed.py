# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of an RTL-SDR on another machine, from rtl_tcp or a program that speaks as it does.

The protocol: the server sends a header of 12 bytes (`RTL0`, the kind of tuner, the number of its gains; big-endian)
and then samples, interleaved unsigned bytes, for as long as the connection lasts. The client sends commands of 5 bytes
(one that says which, and a big-endian number of 32 bits); none is answered.
"""

import contextlib
import math
import socket
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from amrq.errors import AmrqError, DeviceError
from amrq.sources.feed import Feed, Piece, SourceCounts, StreamTag
from amrq.text import engineering, printable

__all__ = ["RtlTcpFeed", "RtlTcpSettings", "read_address"]

PORT = 1234
"""Where rtl_tcp listens by default."""
_HEADER = struct.Struct(">4sII")
_COMMAND = struct.Struct(">BI")
_FREQUENCY, _RATE, _GAIN_MODE, _GAIN, _CORRECTION, _AGC = 0x01, 0x02, 0x03, 0x04, 0x05, 0x08
_READ = 1 << 16  # bytes at a time
_QUEUE_SECONDS = 2.0  # of samples that wait to be fetched; beyond, the oldest are lost and counted
_LEAST_QUEUE = 1 << 24  # bytes: what plays a file may send at once what lasts for seconds
_FASTEST = 8e6  # bytes a second that are received at most, or twice what was asked for: no tuner sends more
_PIECE = 256  # bytes that a piece takes besides its samples, however few these are
_LONGEST_WAIT = 5.0  # seconds between two tries to connect
_PARTING = 0.5  # seconds that closing waits for the thread, which may be waiting for a server to answer
_SETTLING, _MEASURED = 1.0, 3.0  # seconds before the rate is measured, and at least measured
_NEAR = 0.1


def read_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.

    Raises:
        AmrqError: it is none of these.

    >>> read_address("pi.local"), read_address("[::1]:2000")
    (('pi.local', 1234), ('::1', 2000))
    """
    host, bracket, rest = text[1:].partition("]") if text.startswith("[") else ("", "", text)
    if not bracket:
        host, colon, port = rest.partition(":")
    else:
        (before, colon, port) = rest.partition(":")
        host = "" if before else host
    number = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else 0
    if not host or (colon and not 1 <= number <= 65535) or any(letter.isspace() for letter in host):
        raise AmrqError(f"'{printable(text)}' is not the address of a server: give HOST or HOST:PORT.")
    return host, number if colon else PORT


@dataclass(frozen=True)
class RtlTcpSettings:
    """What the server is asked for.

    Attributes:
        sample_rate: samples a second, a whole number. An RTL-SDR has 225,001 to 300,000 and 900,001 to 3,200,000;
            the server does not say where it has another.
        frequency: centre, Hz, above 0 and below 2^32.
        gain: of the tuner, dB, 0 to 100; None: automatic. The tuner takes the nearest that it has.
        ppm: correction of the oscillator, a whole number of parts per million, -1,000 to 1,000.

    Raises:
        AmrqError: a value is out of its range.
    """

    sample_rate: float
    frequency: float
    gain: float | None = None
    ppm: float = 0.0

    def __post_init__(self) -> None:
        for name, value, unit in (
            ("sample rate", self.sample_rate, "samples/s"),
            ("frequency", self.frequency, "Hz"),
        ):
            if not 1 <= value < 2**32:
                raise AmrqError(f"rtl_tcp takes a {name} from 1 to 4294967295 {unit}, not {value:g}.")
        if self.sample_rate != round(self.sample_rate):
            raise AmrqError(f"rtl_tcp takes a whole number of samples a second, not {self.sample_rate}.")
        if self.gain is not None and not 0 <= self.gain <= 100:
            raise AmrqError(f"rtl_tcp takes a gain from 0 to 100 dB, not {self.gain:g}.")
        if not (math.isfinite(self.ppm) and self.ppm == round(self.ppm) and abs(self.ppm) <= 1000):
            raise AmrqError(
                f"rtl_tcp takes a correction of a whole number of ppm from -1000 to 1000, not {self.ppm:g}."
            )

    def commands(self, before: "RtlTcpSettings | None" = None) -> bytes:
        """Return what sets a server to this, all of it or what differs from `before`."""
        asked = [(_RATE, round(self.sample_rate)), (_CORRECTION, round(self.ppm) & 0xFFFFFFFF)]
        asked += [(_FREQUENCY, round(self.frequency)), (_AGC, 0)]
        asked += [(_GAIN_MODE, 0)] if self.gain is None else [(_GAIN_MODE, 1), (_GAIN, round(10 * self.gain))]
        packed = [_COMMAND.pack(*command) for command in asked]
        known = [] if before is None else [before.commands()[n : n + 5] for n in range(0, 30, 5)]
        return b"".join(command for command in packed if command not in known)


class RtlTcpFeed(Feed):
    """The samples of an rtl_tcp server.

    A thread of its own receives, so that a radio is never held up: where nobody fetches, two seconds of samples wait,
    or 16 MiB where these last longer, and beyond that the oldest are lost and counted. What sends faster than any
    radio is held up. When the server goes away, or sends nothing for `patience` seconds, it is called again, after
    0.25 s, then twice as long each time up to 5 s, until it answers; the first sample after that is marked: samples
    were lost before it. The same holds where samples were lost here.

    Tags made: `rx_rate` and `rx_freq`, on the first sample, after each reconnection and after a retune.

    Args:
        host: of the server.
        port: of the server.
        settings: what it is asked for.
        patience: seconds to wait for a server to answer, and without a sample until it is called again, above 0.
        first_wait: seconds until the first try to connect again.

    Raises:
        DeviceError: no server answers there, or what answers is no rtl_tcp.
    """

    def __init__(
        self,
        host: str,
        port: int,
        settings: RtlTcpSettings,
        patience: float = 5.0,
        first_wait: float = 0.25,
    ) -> None:
        shown = f"[{host}]" if ":" in host else host
        super().__init__(f"rtl_tcp://{shown}:{port}", "cu8")
        reference = weakref.ref(self)  # neither thread nor finalizer may hold on to the feed
        self._link = _Link((host, port), printable(self.name), settings, (patience, first_wait))
        self._link.report = lambda text: _report(reference, text)
        self._link.connect()
        self._finalizer = weakref.finalize(self, self._link.close)
        self._thread = threading.Thread(target=self._link.receive, name="amrq rtl_tcp", daemon=True)
        self._thread.start()

    def read(self, patience: float) -> Piece | None:
        """Return what has come; see `Feed.read`."""
        received = self._link.take(patience)
        if received is None:
            return None
        tags: tuple[StreamTag, ...] = ()
        if (begins := received.begins) is not None:
            tags = (
                StreamTag(0, "rx_rate", float(begins.sample_rate)),
                StreamTag(0, "rx_freq", float(begins.frequency)),
            )
        return Piece(self._decoded(received.data), received.broken, tags)

    def counts(self) -> SourceCounts:
        """Return what went wrong on the way so far."""
        return SourceCounts(overflows=self._link.overflows, reconnections=self._link.reconnections)

    def set_frequency(self, frequency: float) -> None:
        """Tune to another frequency, Hz. What waits to be fetched is of the one before, and so is what is on its way.

        Raises:
            DeviceError: it is out of range.
        """
        self._link.set(frequency=float(frequency))

    def set_gain(self, gain: float | None) -> None:
        """Set the gain, dB; None: automatic.

        Raises:
            DeviceError: it is out of range.
        """
        self._link.set(gain=gain)

    def close(self) -> None:
        """Leave the server."""
        self._finalizer()
        self._thread.join(_PARTING)  # later it ends by itself, and what it connects to is closed at once


def _report(reference: "weakref.ref[RtlTcpFeed]", text: str) -> None:
    feed = reference()
    if feed is not None:
        feed.report(text)


@dataclass
class _Received:
    """Bytes that wait to be fetched, whole samples; after a gap, and after these settings took effect."""

    data: bytes
    broken: bool
    begins: RtlTcpSettings | None


class _NoAnswerError(DeviceError):
    """Nothing listens there."""


class _Link:
    """A connection that is made again when it is lost, and what came through it."""

    def __init__(
        self, address: tuple[str, int], name: str, settings: RtlTcpSettings, times: tuple[float, float]
    ) -> None:
        self.overflows = self.reconnections = 0
        self.report: Callable[[str], None] = lambda text: None
        self._address, self._name, self._settings = address, name, settings
        self._patience, self._first_wait = times
        self._most = max(_LEAST_QUEUE, 2 * round(_QUEUE_SECONDS * settings.sample_rate))
        self._socket: socket.socket | None = None
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._queue: deque[_Received] = deque()
        self._queued = 0  # bytes
        self._broken = False  # before what comes next
        self._begins: RtlTcpSettings | None = settings  # with what comes next
        self._lost = False  # of the queue's beginning, since something was fetched

    def connect(self) -> None:
        """Connect and say what is wanted.

        Raises:
            DeviceError: no server answers, or it is no rtl_tcp.
        """
        try:
            connection = socket.create_connection(self._address, self._patience)
        except (OSError, UnicodeError, OverflowError) as error:
            raise _NoAnswerError(
                f"no server answers at {self._name} ({_reason(error)}): start rtl_tcp there with -a 0.0.0.0, and see "
                "that host and port are right."
            ) from None
        try:
            self._greet(connection)
        except OSError as error:
            connection.close()
            raise DeviceError(f"{self._name} ended the connection at once ({_reason(error)}).") from None
        except AmrqError:
            connection.close()
            raise
        with self._changed:
            self._socket, self._begins = connection, self._settings
            if self._closing.is_set():
                connection.close()

    def _greet(self, connection: socket.socket) -> None:
        header, until = b"", time.monotonic() + self._patience
        while len(header) < _HEADER.size:
            connection.settimeout(max(1e-3, until - time.monotonic()))
            try:
                part = connection.recv(_HEADER.size - len(header))
            except TimeoutError:
                raise DeviceError(
                    f"the server at {self._name} took the connection and sent no header for {self._patience:g} s: "
                    "it is not rtl_tcp, or it is serving another client: it serves one at a time."
                ) from None
            if not part:
                break
            header += part
        if not header:
            raise DeviceError(
                f"the server at {self._name} closed the connection without an answer: it is not rtl_tcp."
            )
        if len(header) < _HEADER.size or header[:4] != b"RTL0":
            shown = printable(header.decode("latin-1"))
            raise DeviceError(
                f"the server at {self._name} is not rtl_tcp: it begins with '{shown}', not with 'RTL0'."
            )
        connection.settimeout(self._patience)
        connection.sendall(self._settings.commands())

    def receive(self) -> None:
        """Receive until it is closed, over one connection after another; runs in a thread."""
        wait, silent, said = self._first_wait, False, ""
        while not self._closing.is_set():
            try:
                reason, came = self._receive_from(silent)
            except Exception as error:  # a thread that ends without a word would look like silence
                reason, came = f"{type(error).__name__}: {error}", False
            if self._closing.is_set():
                return
            if came:
                wait, silent, said = self._first_wait, False, ""
            if not silent:
                self.report(
                    f"the connection to {self._name} is lost ({printable(reason)}); it is tried again."
                )
            silent = True
            while not self._closing.wait(wait):
                wait = min(2 * wait, _LONGEST_WAIT)
                try:
                    self.connect()
                    break
                except _NoAnswerError:  # as was to be expected
                    continue
                except AmrqError as error:  # something else is there now: said once
                    if str(error) != said:
                        self.report(said := str(error))
            with self._changed:
                self._broken = True
                self.reconnections += not self._closing.is_set()

    def _receive_from(self, lost: bool) -> tuple[str, bool]:
        """Receive until the connection is lost; return why, and whether anything came."""
        with self._changed:
            connection = self._socket
        assert connection is not None
        came, part, rate = False, b"", _RateCheck(self._settings.sample_rate)
        begun, total = time.monotonic(), 0
        with connection:
            while True:
                try:
                    data = connection.recv(_READ)
                except TimeoutError:
                    return f"nothing came for {self._patience:g} s", came
                except OSError as error:
                    return _reason(error), came
                if not data:
                    return "the server closed it", came
                if not came and lost:
                    self.report(f"{self._name} sends again.")
                came = True
                total += len(data)
                ahead = total / max(_FASTEST, 4 * self._settings.sample_rate) - (time.monotonic() - begun)
                if ahead > 1:
                    self._closing.wait(min(ahead - 1, _LONGEST_WAIT))
                if sentence := rate.look(len(data), time.monotonic()):
                    self.report(f"{self._name} {sentence}")
                data = part + data
                whole = len(data) & ~1
                part = data[whole:]
                if whole:
                    self._put(data[:whole])

    def _put(self, data: bytes) -> None:
        with self._changed:
            self._queue.append(_Received(data, self._broken, self._begins))
            self._broken, self._begins = False, None
            self._queued += len(data) + _PIECE
            while self._queued > self._most and len(self._queue) > 1:
                oldest = self._queue.popleft()
                self._queued -= len(oldest.data) + _PIECE
                self._queue[0].broken = True
                self._queue[0].begins = self._queue[0].begins or oldest.begins
                self.overflows += not self._lost
                self._lost = True
            self._changed.notify_all()

    def take(self, patience: float) -> _Received | None:
        """Return what waits; nothing after so many seconds without anything; None once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing.is_set(), patience)
            if self._queue:
                taken = self._queue.popleft()
                self._queued -= len(taken.data) + _PIECE
                self._lost = False
                return taken
            return None if self._closing.is_set() else _Received(b"", False, None)

    def set(self, **changes: float | None) -> None:
        """Ask the server for something else, now or when it is connected again."""
        with self._changed:
            before, self._settings = self._settings, replace(self._settings, **changes)  # type: ignore[arg-type]
            if before.frequency != self._settings.frequency:
                self._begins = self._settings
            if self._socket is not None:
                with contextlib.suppress(OSError):  # it is lost, and the thread will see that
                    self._socket.sendall(self._settings.commands(before))

    def close(self) -> None:
        """End the connection and the thread."""
        self._closing.set()
        with self._changed:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)  # wakes who receives
                    self._socket.close()
            self._changed.notify_all()


class _RateCheck:
    """Whether samples come as fast as was asked for: the server does not say where it has no such rate."""

    def __init__(self, asked: float) -> None:
        self._asked = asked
        self._begun: float | None = None
        self._bytes = 0
        self._done = False

    def look(self, count: int, now: float) -> str | None:
        """Take in that so many bytes came; return a sentence once, where the rate is another."""
        if self._done:
            return None
        if self._begun is None:  # what had been waiting does not count
            self._begun = now + _SETTLING
        if now <= self._begun:
            return None
        self._bytes += count
        lasted = now - self._begun
        if lasted < _MEASURED:
            return None
        self._done = True
        real = self._bytes / 2 / lasted
        if abs(real / self._asked - 1) < _NEAR:
            return None
        return (
            f"sends {engineering(real, 'S/s', 4)} where {engineering(self._asked, 'S/s')} were asked for: the tuner "
            "does not have that rate, or the network is too slow."
        )


def _reason(error: Exception) -> str:
    return printable(getattr(error, "strerror", None) or error or type(error).__name__)
