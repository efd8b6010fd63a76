# SPDX-License-Identifier: GPL-3.0-or-later
"""Writers of decision records: files, standard output, ZMQ; and the choice of which records are written."""

import contextlib
import json
import logging
import math
import os
import threading
import time
import typing
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, BinaryIO

from amrq.errors import AmrqError, OutputError, all_closed
from amrq.files import opened_to_write
from amrq.guard_socket import Connections, endpoint_fault, guard_socket
from amrq.machine import optional_package
from amrq.options import OutputFile, at_least, check, described, option
from amrq.outputs.metrics import CountersFile, StreamState
from amrq.outputs.own_stdout import own_stdout
from amrq.text import printable

__all__ = [
    "ALL",
    "MEANWHILE",
    "DecisionOutputs",
    "JsonLinesFile",
    "JsonLinesStdout",
    "OutputOptions",
    "RecordThinner",
    "Thinning",
    "ZmqPublisher",
]


class JsonLinesFile:
    """A file of one JSON object a line; what is there already stays.

    A line that would make the file larger than it may be begins a new one: `log.jsonl` becomes `log.jsonl.1`, that
    `log.jsonl.2`, and the oldest goes. No line is ever split, and each is handed to the system at once. A pipe takes
    its lines as they come.

    Args:
        path: the file.
        largest: bytes, at least 1,000.
        kept: former files kept beside it, at least 1.

    Raises:
        AmrqError: the file cannot be opened, or a number is too small.
    """

    def __init__(self, path: str | os.PathLike[str], largest: int = 50_000_000, kept: int = 5) -> None:
        if largest < 1_000 or kept < 1:
            raise AmrqError(
                f"a log must be allowed at least 1000 bytes and 1 former file, not {largest} and {kept}."
            )
        self.path = Path(path)
        self._largest = largest
        try:
            self._files = _RotatingFiles(os.fspath(path), largest, kept)
        except (OSError, ValueError) as error:
            raise OutputError(f"the log {printable(self.path)} cannot be opened: {_reason(error)}.") from None

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record; a line that is not taken whole is taken back.

        Raises:
            OutputError: it cannot be written, since the disk is full for instance.
        """
        line = memoryview((json.dumps(record) + "\n").encode())
        try:
            file = self._files.current()
            size = file.tell() if file.seekable() else 0
            if size and size + len(line) > self._largest:
                self._files.doRollover()
                file, size = self._files.current(), 0
            rest = line
            try:
                while rest:
                    rest = rest[file.write(rest) or 0 :]
            except OSError:
                if len(rest) < len(line):
                    with contextlib.suppress(OSError):
                        file.truncate(size)
                raise
        except OSError as error:
            raise OutputError(
                f"the log {printable(self.path)} cannot be written: {_reason(error)}."
            ) from None

    def close(self) -> None:
        """Close the file."""
        # Each line was handed on when it was written, and what went wrong reported.
        with contextlib.suppress(OSError):
            self._files.close()


class _RotatingFiles(RotatingFileHandler):
    """The standard library's rotating files, of which lines of bytes are written to the current one."""

    def __init__(self, path: str, largest: int, kept: int) -> None:
        super().__init__(path, "ab", largest, kept)

    def _open(self) -> Any:
        # Without a buffer: what a full disk did not take must not come again when the file is closed.
        return open(self.baseFilename, "ab", buffering=0, opener=opened_to_write)

    def current(self) -> BinaryIO:
        """Return the file to write to, opened again where a rotation failed."""
        stream: Any = self.stream
        if stream is None:
            self.stream = stream = self._open()
        return typing.cast(BinaryIO, stream)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or printable(error)).rstrip(".")


class JsonLinesStdout:
    """One JSON object a line on standard output, each handed on at once.

    Until it is closed standard output is for records alone: what else the process writes there, GNU Radio's log for
    instance, goes to standard error.

    Raises:
        OutputError: standard output is closed.
    """

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()
        self._out = self._opened.enter_context(own_stdout())

    def write(self, record: Mapping[str, Any]) -> None:
        """Print a record.

        Raises:
            OutputError: nobody reads any more, or the disk is full.
        """
        self._out.write(json.dumps(record) + "\n")
        self._out.flush()
        self._out.check()

    def close(self) -> None:
        """Give standard output back."""
        self._opened.close()


_WAITING = 1_000
"""Records kept for a slow subscriber; it loses what comes on top of that, and nobody else does."""
_LINGER_MS = 500
_LARGEST_TOPIC = 512
"""Bytes of a subscription; who sends more at a time is cut off. Nearly all subscribe to everything: 0 bytes."""
_MOST_TOPICS = 64
"""Subscriptions of one connection, former ones included. Each takes memory here, and ZMQ itself has no limit."""
_READ_AHEAD = 64
_UNREAD = 1 << 20
_LOOK_MS = 200
_PATIENCE = 5.0


class ZmqPublisher:
    """A ZMQ publisher: each message is one frame, a record as JSON text in UTF-8. No PMT is needed to read it.

    It never waits: without subscribers records go nowhere. It has a thread of its own, which alone uses the socket, so
    that nothing that subscribers do holds up whoever publishes. What they can make it hold is bounded: 64
    subscriptions of at most 512 bytes each, and so many connections; a connection that wants more is ended.

    Args:
        endpoint: where to listen, `tcp://127.0.0.1:5556` for instance; port 0 or `*` takes a free one.
        most_subscribers: connections at a time.

    Attributes:
        endpoint: where it listens.

    Raises:
        AmrqError: PyZMQ is missing, or the endpoint cannot be listened at.
    """

    def __init__(self, endpoint: str, most_subscribers: int = 256) -> None:
        self._zmq = optional_package("zmq", "publishing decisions")
        zmq, context = self._zmq, self._zmq.Context.instance()
        self._socket = context.socket(zmq.XPUB)
        guard_socket(self._socket, _LARGEST_TOPIC, _LINGER_MS)
        self._socket.setsockopt(zmq.SNDHWM, _WAITING)
        self._socket.setsockopt(zmq.RCVHWM, _READ_AHEAD)
        self._socket.setsockopt(
            zmq.XPUB_VERBOSE, 1
        )  # each subscription is heard of, not only the first of its kind
        self._socket.setsockopt(zmq.IPV6, int("[" in endpoint))
        self._connections = Connections(self._socket, most_subscribers, _UNREAD)
        if fault := endpoint_fault(self._socket.bind, endpoint):
            self._connections.close()
            self._socket.close(linger=0)
            raise AmrqError(
                f"decisions cannot be published at {endpoint!r} ({fault}): give an address of this machine and a free "
                "port, tcp://127.0.0.1:5556 for instance."
            )
        self.endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT).decode()
        # Whoever publishes wakes the thread with these.
        self._bell, self._ear = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        for pair in (self._bell, self._ear):
            pair.setsockopt(zmq.LINGER, 0)
        self._ear.bind(f"inproc://amrq-publisher-{id(self)}")
        self._bell.connect(f"inproc://amrq-publisher-{id(self)}")
        self._waiting: deque[bytes] = deque(maxlen=_WAITING)
        self._ringing = threading.Lock()
        self._closing = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._publish, name="amrq publisher", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> int:
        """Connections that were ended because they were too many, or asked for too much."""
        return self._connections.ended

    def write(self, record: Mapping[str, Any]) -> None:
        """Publish a record.

        Raises:
            AmrqError: the publisher has failed.
        """
        if self._error is not None:
            raise AmrqError(
                f"decisions can no longer be published at {self.endpoint}: {printable(self._error)}."
            )
        self._waiting.append(json.dumps(record).encode())
        self._ring()

    def _ring(self) -> None:
        with self._ringing, contextlib.suppress(self._zmq.ZMQError):  # full: it is awake
            self._bell.send(b"", self._zmq.NOBLOCK)

    def close(self) -> None:
        """Send what still waits, half a second at most, and close the socket."""
        self._closing = True
        self._ring()
        self._thread.join(_PATIENCE)
        self._bell.close()

    def _publish(self) -> None:
        zmq = self._zmq
        poller = zmq.Poller()
        for socket in (self._socket, self._connections.monitor, self._ear):
            poller.register(socket, zmq.POLLIN)
        looked = time.monotonic()
        try:
            while not self._closing:
                # Without a connection there is nothing to look after.
                ready = dict(poller.poll(_LOOK_MS if len(self._connections) else None))
                if self._ear in ready:
                    self._send()
                if self._connections.monitor in ready or time.monotonic() - looked > _LOOK_MS / 1000:
                    self._connections.look()
                    looked = time.monotonic()
                if self._socket in ready:
                    self._hear()
            self._send()
        except Exception as error:  # whoever writes must learn of it
            self._error = error
        finally:
            with contextlib.suppress(zmq.ZMQError):
                self._connections.close()
            self._socket.close()
            self._ear.close()

    def _send(self) -> None:
        with contextlib.suppress(self._zmq.Again):
            while True:
                self._ear.recv(self._zmq.NOBLOCK)
        while self._waiting:
            self._socket.send(self._waiting.popleft())

    def _hear(self) -> None:
        """Take in what subscribers ask for; but not so much that records have to wait."""
        for _ in range(_READ_AHEAD):
            try:
                frame = self._socket.recv(self._zmq.NOBLOCK, copy=False)
            except self._zmq.Again:
                return
            # Whatever it says: a subscription, the end of one, or a message, for which there is no use.
            if self._connections.heard(frame, count=True) > _MOST_TOPICS:
                self._connections.end(self._connections.descriptor(frame))
                logging.getLogger("amrq.outputs").warning(
                    "a subscriber at %s asked for more than %d topics and was cut off",
                    self.endpoint,
                    _MOST_TOPICS,
                )


MEANWHILE = 60.0
"""Seconds between two records of an answer that stays, unless another number is given."""

_STREAM = ("source",)
_ANSWER = ("source", "model", "symbol_rate_hz", "frequency_hz", "reason", "label")
"""Fields that make another answer of a record. What an unsure decision perhaps is changes from one to the next."""

_BACK = 1.0
"""Seconds by which the time of a stream goes back that has started again; times are measured, each for itself."""


@described
@dataclass(frozen=True)
class Thinning:
    """Which records are written. Seconds are those of the stream (a record's `time`), not of the clock on the wall.

    Raises:
        AmrqError: `every` is not a number of seconds.
    """

    changes: bool = option(
        False,
        "Write a record only when the answer changes, and once a minute in between.",
        choices={False: "No", True: "Yes, and One a Minute"},
        label="Records Only of Changes",
    )
    every: float = option(
        0.0,
        "Write one record in this many seconds of the stream; with 'changes', this replaces the minute. 0: all.",
        unit="s",
        within=at_least(0),
        label="Time between Records",
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)

    @property
    def period(self) -> float:
        """Seconds between two records while nothing changes; 0: all are written."""
        return self.every or (MEANWHILE if self.changes else 0.0)


ALL = Thinning()
"""Every record."""


class RecordThinner:
    """Choose, record by record, what is written.

    The first record of a source is. After that one falls due every `period` seconds: the first decision that begins
    then or later. With `changes` another answer is written as soon as it is made, and the period counts from there. An
    answer is another one where its reason or label is, or the source, the frequency, the symbol rate or the model it is
    about. A stream whose time goes back has started again.

    Args:
        thinning: what is wanted.

    Example:
        >>> thinner = RecordThinner(Thinning(every=10.0))
        >>> [thinner.takes({"source": "radio", "time": t}) for t in (0.0, 4.0, 8.0, 12.0, 16.0, 20.0)]
        [True, False, False, True, False, True]
    """

    def __init__(self, thinning: Thinning) -> None:
        self._period = thinning.period
        self._fields = _ANSWER if thinning.changes else _STREAM
        self._said: tuple[Any, ...] | None = None
        self._last = self._due = -math.inf

    def takes(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record of `decision_record` is to be written; each is asked for once, in order."""
        if not self._period:
            return True
        now: float = record["time"]
        answer = tuple(record[name] for name in self._fields)
        back, self._last = now < self._last - _BACK, now
        if back or answer != self._said:
            self._said = answer
            self._due = now + self._period
            return True
        if now < self._due:
            return False
        # On the grid of the first one, so that a record every so many seconds is that many in the long run.
        self._due += self._period * (1 + math.floor((now - self._due) / self._period))
        return True


@described
@dataclass(frozen=True)
class OutputOptions(Thinning):
    """Where records of decisions and counters go, and which records.

    Raises:
        AmrqError: a value is out of its range.

    >>> OutputOptions().wanted, OutputOptions(log="decisions.jsonl").wanted
    (False, True)
    """

    log: OutputFile = option(
        "",
        "Append each decision to this file, as a line of JSON. '-' is standard output, which then carries records "
        "only. At 50 MB the file is renamed to FILE.1 and a new one is started.",
        label='JSON Lines to ("-" prints)',
        flag="--log FILE",
    )
    publish: str = option(
        "",
        "Publish the records on a ZMQ PUB socket at this address, for example tcp://127.0.0.1:5556.",
        label="JSON to ZMQ PUB at",
        flag="--publish ENDPOINT",
    )
    counters: OutputFile = option(
        "",
        "Write counters to this file every five seconds, in Prometheus's text format, for node_exporter.",
        label="Counters to (.prom)",
        flag="--counters FILE.prom",
    )

    @property
    def wanted(self) -> bool:
        """Whether there is any output."""
        return bool(self.log or self.publish or self.counters)


class DecisionOutputs:
    """Records to every output that has a name; an empty name is no output.

    Args:
        options: where records go, and which ones; the counters count all decisions.
        classes: that the model knows, for the counters.
        observe: reports the state of the stream, for the counters.

    Raises:
        AmrqError: one of them cannot be opened; none is then.
    """

    def __init__(
        self,
        options: OutputOptions,
        classes: Sequence[str],
        observe: Callable[[], StreamState],
    ) -> None:
        self._thinner = RecordThinner(options)
        self._writers: list[JsonLinesFile | JsonLinesStdout | ZmqPublisher | CountersFile] = []
        try:
            if options.log:
                self._writers.append(JsonLinesStdout() if options.log == "-" else JsonLinesFile(options.log))
            if options.publish:
                self._writers.append(ZmqPublisher(options.publish))
            if options.counters:
                self._writers.append(CountersFile(options.counters, classes, observe))
        except AmrqError:
            with contextlib.suppress(AmrqError):
                self.close()
            raise

    def write(self, record: Mapping[str, Any]) -> bool:
        """Hand on a record of `decision_record`, to each output, whatever another one says.

        Returns:
            Whether `changes` and `every` leave it in.

        Raises:
            AmrqError: outputs cannot take it; what each of them says.
        """
        wanted = self._thinner.takes(record)
        with all_closed() as to_do:
            for writer in reversed(self._writers):
                if wanted or isinstance(writer, CountersFile):
                    to_do(partial(writer.write, record))
        return wanted

    def write_emission(self, record: Mapping[str, Any]) -> None:
        """Hand on a record of an emission, which is no decision: to the log and to subscribers.

        Raises:
            AmrqError: outputs cannot take it; what each of them says.
        """
        with all_closed() as to_do:
            for writer in reversed(self._writers):
                if not isinstance(writer, CountersFile):
                    to_do(partial(writer.write, record))

    def close(self) -> None:
        """Close them all.

        Raises:
            AmrqError: outputs cannot write their last; what each of them says.
        """
        writers, self._writers = self._writers, []
        with all_closed() as to_do:
            for writer in writers:
                to_do(writer.close)
