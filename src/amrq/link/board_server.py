# SPDX-License-Identifier: GPL-3.0-or-later
"""A board as a process of its own."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from amrq.classifier import Engine
from amrq.errors import AmrqError, LinkError, ModelError
from amrq.guard_socket import Connections, endpoint_fault, guard_socket
from amrq.link.payloads import (
    LARGEST_CAPABILITIES,
    MOST_SCORES,
    Capabilities,
    ChunkPayload,
    joined_scores,
    read_logits,
    scores_reply,
)
from amrq.link.protocol import HEADER_BYTES, LEVEL_FLAG, Frame, FrameError, MessageType, Status, read_frame
from amrq.link.request_queue import Client, ClientTable, Request, RequestQueue
from amrq.link.settings import Limits, read_public_key, read_secret_key
from amrq.machine import optional_package
from amrq.text import printable

__all__ = ["LOOPBACK", "BoardServer", "serve"]

LOOPBACK = "tcp://127.0.0.1:5555"
"""Where a board listens by default: only this machine reaches it."""

_POLL_MS = 100
_LINGER_MS = 500
_REPLIES_AHEAD = 64
"""Replies kept for a client that does not fetch them; it loses what comes on top of that."""
_FEWEST_AHEAD, _REPLY_BYTES = 16, 1 << 24
"""Fewer where replies are large, so that they are 16 MiB at most, but not fewer than this."""
_STOP_PATIENCE = 1.0  # seconds that a call of the engine may still take when the board stops
_LONGEST_CHUNK = (1 << 16) - 1  # samples: the header has 16 bits for it
_LOOK = 0.1  # seconds between two looks at how much has come by each connection
_SLACK = 1 << 20  # bytes that are on their way between the network and a message
_STRANGERS = 64
"""Connections on top of two for each client."""
_READ_AHEAD = 16
"""Messages of one connection that are taken in before the board looks at them."""
_LARGEST_SAMPLES = 8 + 12  # bytes a sample, level features included, however short a chunk is


class BoardServer:
    """Answers clients until it is stopped: the reference implementation of docs/board-protocol.md.

    One thread receives, checks and replies, another one runs the engine: pings are answered while it computes.

    Args:
        engine: what computes.
        endpoint: where to listen; port 0 or `*` takes a free one.
        limits: of memory and work.
        secret_key: file with the board's secret key; clients must then know the public one. None: no encryption.
        client_keys: files with public keys of the clients that are let in; with a secret key at least one, without it
            none.

    Attributes:
        endpoint: where it listens.
        capabilities: what it reports to clients.
        counted: messages by what became of them: those of each type, each status, `dropped` those whose client left
            before they were answered; and chunks classified.
        stuck: after `run`: the engine had not returned from its last call a second after the board was stopped.

    Raises:
        LinkError: the endpoint cannot be listened at, or a key cannot be read.
        ModelError: the model is too large for a board.
        AmrqError: PyZMQ is missing, or a key is given without the clients' keys.
    """

    def __init__(
        self,
        engine: Engine,
        endpoint: str = LOOPBACK,
        limits: Limits | None = None,
        secret_key: str | None = None,
        client_keys: Iterable[str] = (),
    ) -> None:
        self._zmq = optional_package("zmq", "a board")
        self._engine = engine
        self._limits = limits or Limits()
        contract = engine.contract
        self.capabilities = Capabilities.of(engine, self._limits.largest_batch)
        if contract.chunk_length > _LONGEST_CHUNK or self.capabilities.scores > MOST_SCORES:
            raise ModelError(
                f"the model {printable(contract.name)} has chunks of {contract.chunk_length} samples and "
                f"{self.capabilities.scores} scores each: a board serves models of at most {_LONGEST_CHUNK} and "
                f"{MOST_SCORES}."
            )
        self._capabilities = self.capabilities.to_bytes()
        if len(self._capabilities) > LARGEST_CAPABILITIES:
            raise ModelError(
                f"the contract of the model {printable(contract.name)} has {len(self._capabilities)} bytes: a board "
                f"sends at most {LARGEST_CAPABILITIES}."
            )
        allowed = {self._raw(read_public_key(file)) for file in client_keys}
        if bool(allowed) != (secret_key is not None):
            raise AmrqError(
                "a board with a key needs the public keys of the clients it lets in, and one without a key can know no "
                "client: give both or neither."
            )
        self._allowed = allowed
        self._clients = ClientTable(self._limits)
        self.counted: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._queue = RequestQueue(self._limits)
        self._results: deque[tuple[Request, Frame | FrameError]] = deque()
        self.stuck = False
        # Its own, so that keys are asked for by nobody else's handler.
        self._context = self._zmq.Context()
        try:
            self._doorman: Any = None if secret_key is None else self._door()
            self._router = self._listen(endpoint, secret_key)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self.endpoint = self._router.getsockopt(self._zmq.LAST_ENDPOINT).decode()
        self._done, self._finished = (self._context.socket(kind) for kind in (self._zmq.PAIR, self._zmq.PAIR))
        for socket in (self._done, self._finished):
            socket.setsockopt(self._zmq.LINGER, 0)
        self._done.bind("inproc://done")
        self._finished.connect("inproc://done")

    def _raw(self, key: bytes) -> bytes:
        return bytes(optional_package("zmq.utils.z85", "a board with keys").decode(key))

    def _door(self) -> Any:
        """Return the socket on which ZMQ asks about keys (ZAP, RFC 27), which must be there before clients are."""
        socket = self._context.socket(self._zmq.REP)
        socket.setsockopt(self._zmq.LINGER, 0)
        socket.bind("inproc://zeromq.zap.01")
        return socket

    def _listen(self, endpoint: str, secret_key: str | None) -> Any:
        zmq = self._zmq
        socket = self._context.socket(zmq.ROUTER)
        # Before anything is received: a message beyond this never gets into memory, and its sender is cut off.
        largest = HEADER_BYTES + self._limits.largest_batch * (
            self.capabilities.chunk_length * 8 + _LARGEST_SAMPLES
        )
        guard_socket(socket, largest, _LINGER_MS)
        reply = HEADER_BYTES + self._limits.largest_batch * 4 * self.capabilities.scores
        for option, value in (
            (zmq.SNDHWM, min(_REPLIES_AHEAD, max(_FEWEST_AHEAD, _REPLY_BYTES // reply))),
            (zmq.RCVHWM, min(_READ_AHEAD, self._limits.waiting_per_client)),
            # A client that is gone is news: what it asked need not be computed.
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.IPV6, int("[" in endpoint)),
        ):
            socket.setsockopt(option, value)
        if secret_key is not None:
            public, secret = read_secret_key(secret_key)
            socket.setsockopt(zmq.ZAP_DOMAIN, b"amrq")
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        # Enough for all clients to come again while their former connections are still there, and some strangers.
        unread = (min(_READ_AHEAD, self._limits.waiting_per_client) + 1) * largest + _SLACK
        self._connections = Connections(socket, 2 * self._limits.clients + _STRANGERS, unread)
        if fault := endpoint_fault(socket.bind, endpoint):
            raise LinkError(
                f"the board cannot listen at {endpoint!r} ({fault}): give an address of this machine and a free port, "
                f"{LOOPBACK} for instance."
            )
        return socket

    def stop(self) -> None:
        """Make `run` return soon; from any thread or signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Answer until `stop`; what waits then is answered with the status STOPPING."""
        zmq = self._zmq
        worker = threading.Thread(target=self._compute, name="amrq board engine", daemon=True)
        worker.start()
        poller = zmq.Poller()
        watched = self._connections.monitor
        sockets = [self._router, watched, self._done, *([] if self._doorman is None else [self._doorman])]
        for socket in sockets:
            poller.register(socket, zmq.POLLIN)
        looked = time.monotonic()
        try:
            while not self._stopping.is_set():
                ready = dict(poller.poll(_POLL_MS))
                if self._doorman in ready:
                    self._let_in()
                if watched in ready or time.monotonic() - looked > _LOOK:
                    self._connections.look()
                    looked = time.monotonic()
                if self._done in ready:
                    self._send_finished()
                if self._router in ready:
                    self._receive()
        finally:
            self._stopping.set()
            for request in self._queue.close():
                self._refuse(
                    request.identity,
                    FrameError(Status.STOPPING, "the board is being shut down.", *request.key),
                )
            worker.join(_STOP_PATIENCE)
            self.stuck = worker.is_alive()
            self._send_finished()
            self._connections.close()
            self._router.close()
            if not self.stuck:  # otherwise it is left to end with the process
                self._finished.close()
                for socket in sockets[2:]:
                    socket.close()
                self._context.term()

    def _let_in(self) -> None:
        """Answer a question about a key."""
        parts = self._doorman.recv_multipart()
        known = len(parts) == 7 and parts[5] == b"CURVE" and parts[6] in self._allowed
        self.counted["connections" if known else "refused keys"] += 1
        verdict = (b"200", b"OK") if known else (b"400", b"")
        self._doorman.send_multipart([b"1.0", parts[1] if len(parts) > 1 else b"", *verdict, b"", b""])

    def _receive(self) -> None:
        """Take in what has come, but not so much that replies have to wait."""
        for _ in range(self._limits.waiting_per_client):
            try:
                name, *parts = self._router.recv_multipart(self._zmq.NOBLOCK, copy=False)
            except self._zmq.Again:
                return
            now = time.monotonic()
            identity: bytes = name.bytes
            message: bytes = parts[0].bytes if len(parts) == 1 else b""
            self._connections.heard(parts[-1] if parts else name)
            client, may = self._clients.heard(identity, now)
            try:
                if len(parts) != 1:
                    raise FrameError(Status.MALFORMED, f"a message is one ZMQ frame, not {len(parts)}.")
                if not may:
                    session, sequence = _names(message)
                    raise FrameError(
                        Status.TOO_FAST,
                        f"the board takes {self._limits.requests_per_second} requests a second from a client.",
                        session,
                        sequence,
                    )
                frame = read_frame(message)
                self.counted[frame.type.name.lower()] += 1
                self._answer(identity, client, frame, now)
                if frame.type is MessageType.HELLO:  # it has a session: strangers go before it does
                    self._connections.heard(parts[0], count=True)
            except FrameError as error:
                self._refuse(identity, error)
            except Exception as error:  # whatever it is that came, the board must go on
                session, sequence = _names(message)
                reason = printable(error, 200) or type(error).__name__
                self._refuse(identity, FrameError(Status.MALFORMED, reason, session, sequence))

    def _answer(self, identity: bytes, client: Client, frame: Frame, now: float) -> None:
        def refuse(status: Status, text: str) -> FrameError:
            return FrameError(status, text, frame.session, frame.sequence)

        if frame.type is MessageType.HELLO:
            if len(frame.payload):
                raise refuse(Status.MALFORMED, "a hello has no payload.")
            former = client.session
            if not self._clients.greet(identity, frame.session, now, self._queue.waiting):
                raise refuse(Status.FULL, f"the board serves {self._limits.clients} clients already.")
            if former not in (None, frame.session):
                for request in self._queue.drop(identity):
                    ended = "the client has begun another session."
                    self._refuse(identity, FrameError(Status.NO_SESSION, ended, *request.key))
            level = LEVEL_FLAG if self._engine.contract.level_input else 0
            self._send(
                identity,
                Frame(
                    type=MessageType.CAPABILITIES,
                    session=frame.session,
                    sequence=frame.sequence,
                    payload=self._capabilities,
                    flags=level,
                ),
            )
        elif frame.type not in (MessageType.PING, MessageType.CLASSIFY):
            raise refuse(Status.TYPE, f"a board takes no message of type {frame.type.name.lower()}.")
        elif client.session != frame.session:
            raise refuse(Status.NO_SESSION, "this connection has said no hello with this session.")
        elif frame.type is MessageType.PING:
            if len(frame.payload):
                raise refuse(Status.MALFORMED, "a ping has no payload.")
            self._send(identity, Frame(type=MessageType.PONG, session=frame.session, sequence=frame.sequence))
        else:
            ChunkPayload.check(frame, self.capabilities)
            if self._queue.holds(identity, frame):  # sent again while it waits: one answer serves both
                self.counted["repeated"] += 1
            elif not self._queue.put(identity, frame):
                raise refuse(Status.BUSY, "as many requests of this client wait as the board holds.")

    def _refuse(self, identity: bytes, error: FrameError) -> None:
        self.counted[f"refused: {error.status.name.lower()}"] += 1
        self._send(identity, _error_frame(error))

    def _send(self, identity: bytes, frame: Frame) -> None:
        try:
            self._router.send_multipart([identity, frame.to_bytes()], self._zmq.NOBLOCK)
        except self._zmq.ZMQError as error:
            # One that fetches nothing loses its replies: nothing is kept for it beyond the limit.
            if error.errno == self._zmq.EHOSTUNREACH:
                self._clients.forget(identity)
                self.counted["dropped"] += len(self._queue.drop(identity))

    def _send_finished(self) -> None:
        """Send what the engine has answered."""
        with contextlib.suppress(self._zmq.Again):
            while True:
                self._done.recv(self._zmq.NOBLOCK)
        while self._results:
            request, result = self._results.popleft()
            if isinstance(result, FrameError):
                self._refuse(request.identity, result)
            else:
                self.counted["chunks"] += request.frame.chunks
                self._send(request.identity, result)

    def _compute(self) -> None:
        """Run the engine, turn by turn; in a thread of its own."""
        while (turn := self._queue.take()) is not None:
            request, chunks = turn
            result = self._compute_part(request, chunks)
            if self._queue.advance(request, chunks, result is not None) and result is not None:
                self._results.append((request, result))
                with contextlib.suppress(self._zmq.ZMQError):  # full: the other side has enough to wake it
                    self._finished.send(b"", self._zmq.NOBLOCK)

    def _compute_part(self, request: Request, chunks: int) -> Frame | FrameError | None:
        """Compute chunks of a request; return the answer with the last of them, or once the engine has failed."""
        frame = request.frame
        try:
            given = ChunkPayload.from_frame(frame, self.capabilities, request.done, chunks)
            request.parts.append(self._engine.run(given.iq, given.level))
            if request.done + chunks < frame.chunks:
                return None
            reply = scores_reply(frame, joined_scores(request.parts))
            read_logits(reply, self.capabilities, frame.chunks)
            return reply
        except FrameError as error:
            return FrameError(error.status, str(error), *request.key)
        except Exception as error:  # an engine may raise anything, and the board must go on
            reason = printable(error, 200).strip().rstrip(".") or type(error).__name__
            return FrameError(
                Status.FAILED,
                f"the engine {self._engine.name} failed: {reason}.",
                *request.key,
            )


def _names(message: bytes) -> tuple[int, int]:
    """Return session and sequence of a message that is not read any further; 0 where they cannot be read."""
    try:
        frame = read_frame(message)
    except FrameError as error:
        return error.session, error.sequence
    return frame.session, frame.sequence


def _error_frame(error: FrameError) -> Frame:
    return Frame(
        type=MessageType.ERROR,
        session=error.session,
        sequence=error.sequence,
        payload=str(error).encode(),
        status=error.status,
    )


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 130


def serve(
    engine: Engine,
    endpoint: str = LOOPBACK,
    limits: Limits | None = None,
    secret_key: str | None = None,
    client_keys: Iterable[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve until SIGTERM, SIGHUP or Ctrl-C; in the main thread.

    The first signal ends it within two seconds: an engine that has not returned by then is left alone, and the process
    ends here. A second signal ends the process at once.

    Args:
        engine: what computes.
        endpoint: where to listen.
        limits: of memory and work.
        secret_key: file with the board's secret key; None: no encryption.
        client_keys: files with public keys of the clients that are let in.
        say: called with a line when it listens, and with a summary when it ends.

    Raises:
        LinkError: as `BoardServer`.
    """
    engine.open()
    server = BoardServer(engine, endpoint, limits, secret_key, client_keys)

    stopping = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(_INTERRUPTED)
        stopping.set()
        server.stop()

    def tell(line: str) -> None:
        with contextlib.suppress(OSError):  # whether or not anybody reads, the board serves
            say(line)

    # A signal that whoever started the process ignores, as nohup does, is left to be ignored.
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    contract = engine.contract
    tell(
        f"amrq board: {printable(contract.name)} ({engine.model_sha256.hex()[:12]}), engine {engine.name}, at "
        f"{server.endpoint}" + ("" if secret_key is None else ", known clients only")
    )
    try:
        server.run()
    finally:
        for number, former in before.items():
            signal.signal(number, former)
    counted = server.counted
    refused = sum(count for name, count in counted.items() if name.startswith("refused"))
    left = f", {counted['dropped']} of clients that left" if counted["dropped"] else ""
    tell(
        f"amrq board: {counted['chunks']} chunks in {counted['classify']} requests, {refused} refused{left}, "
        f"{counted['hello']} greetings"
    )
    if server.stuck:  # a thread inside the engine would hold up, or crash, an orderly end
        engine.close()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(0)
