# SPDX-License-Identifier: GPL-3.0-or-later
"""A board: chunks in over ZMQ, scores out."""

import contextlib
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from amrq.errors import AmrqError
from amrq.link.capabilities import Capabilities
from amrq.link.chunk_payload import ChunkPayload
from amrq.link.client_table import Client, ClientTable
from amrq.link.engine import Engine
from amrq.link.frame import HEADER_BYTES, LEVEL_FLAG, Frame, read_frame
from amrq.link.frame_error import FrameError
from amrq.link.keys import read_public_key, read_secret_key
from amrq.link.limits import Limits
from amrq.link.message_type import MessageType
from amrq.link.read_logits import read_logits
from amrq.link.sample_format import SampleFormat
from amrq.link.scores_reply import scores_reply
from amrq.link.status import Status
from amrq.optional_package import optional_package

__all__ = ["LOOPBACK", "BoardServer"]

LOOPBACK = "tcp://127.0.0.1:5555"
"""Where a board listens unless told otherwise: only this machine reaches it."""

_POLL_MS = 100
_LINGER_MS = 500
_REPLIES_AHEAD = 64
"""Replies kept for a client that does not fetch them; it loses what comes on top of that."""
_STOP_PATIENCE = 5.0  # seconds that a call of the engine may still take when the board stops
_LARGEST_SAMPLES = 8 + 12  # bytes a sample, level features included, however short a chunk is

_Job = tuple[bytes, Client, Frame]
_Result = tuple[_Job, Frame | FrameError]


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
        capabilities: what it tells clients.
        counted: messages by what became of them: those of each type, each status, and chunks classified.

    Raises:
        AmrqError: PyZMQ is missing, the endpoint cannot be listened at, or a key cannot be read.
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
        self.capabilities = Capabilities(
            engine.model_sha256,
            sum(format.bit for format in SampleFormat),
            engine.exact_formats,
            engine.score_formats,
            self._limits.largest_batch,
            contract.chunk_length,
            len(contract.weighed()),
            engine.input_scale,
            contract,
        )
        self._capabilities = self.capabilities.to_bytes()
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
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._results: deque[_Result] = deque()
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
        for option, value in (
            (zmq.MAXMSGSIZE, largest),
            (zmq.SNDHWM, _REPLIES_AHEAD),
            (zmq.RCVHWM, self._limits.waiting_per_client),
            (zmq.LINGER, _LINGER_MS),
            (zmq.HANDSHAKE_IVL, 5000),
            (zmq.IPV6, int("[" in endpoint)),
        ):
            socket.setsockopt(option, value)
        if secret_key is not None:
            public, secret = read_secret_key(secret_key)
            socket.setsockopt(zmq.ZAP_DOMAIN, b"amrq")
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise AmrqError(
                f"the board cannot listen at {endpoint!r} ({error.strerror}): give an address of this machine and a "
                f"free port, {LOOPBACK} for instance."
            ) from None
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
        sockets = [self._router, self._done, *([] if self._doorman is None else [self._doorman])]
        for socket in sockets:
            poller.register(socket, zmq.POLLIN)
        try:
            while not self._stopping.is_set():
                ready = dict(poller.poll(_POLL_MS))
                if self._doorman in ready:
                    self._let_in()
                if self._done in ready:
                    self._send_finished()
                if self._router in ready:
                    self._receive()
        finally:
            self._stopping.set()
            self._jobs.put(None)
            end = time.monotonic() + _STOP_PATIENCE
            while worker.is_alive() and time.monotonic() < end:
                worker.join(_POLL_MS / 1000)
                self._send_finished()
            self._send_finished()
            self._router.close()
            if not worker.is_alive():  # otherwise it is left to end with the process
                self._finished.close()
                for socket in sockets[1:]:
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
                identity, *parts = self._router.recv_multipart(self._zmq.NOBLOCK, copy=True)
            except self._zmq.Again:
                return
            now = time.monotonic()
            client, may = self._clients.heard(identity, now)
            try:
                if len(parts) != 1:
                    raise FrameError(Status.MALFORMED, f"a message is one ZMQ frame, not {len(parts)}.")
                if not may:
                    session, sequence = _names(parts[0])
                    raise FrameError(
                        Status.TOO_FAST,
                        f"the board takes {self._limits.requests_per_second} requests a second from a client.",
                        session,
                        sequence,
                    )
                frame = read_frame(parts[0])
                self.counted[frame.type.name.lower()] += 1
                self._answer(identity, client, frame, now)
            except FrameError as error:
                self._refuse(identity, error)

    def _answer(self, identity: bytes, client: Client, frame: Frame, now: float) -> None:
        def refuse(status: Status, text: str) -> FrameError:
            return FrameError(status, text, frame.session, frame.sequence)

        if frame.type is MessageType.HELLO:
            if len(frame.payload):
                raise refuse(Status.MALFORMED, "a hello has no payload.")
            if not self._clients.greet(identity, frame.session, now):
                raise refuse(Status.FULL, f"the board serves {self._limits.clients} clients already.")
            level = LEVEL_FLAG if self._engine.contract.level_input else 0
            self._send(
                identity,
                Frame(
                    MessageType.CAPABILITIES, frame.session, frame.sequence, self._capabilities, flags=level
                ),
            )
        elif frame.type not in (MessageType.PING, MessageType.CLASSIFY):
            raise refuse(Status.TYPE, f"a board takes no message of type {frame.type.name.lower()}.")
        elif client.session != frame.session:
            raise refuse(Status.NO_SESSION, "this connection has said no hello with this session.")
        elif frame.type is MessageType.PING:
            if len(frame.payload):
                raise refuse(Status.MALFORMED, "a ping has no payload.")
            self._send(identity, Frame(MessageType.PONG, frame.session, frame.sequence))
        else:
            ChunkPayload.check(frame, self.capabilities)
            key = (frame.session, frame.sequence)
            if key in client.waiting:  # sent again while it waits: one answer serves both
                self.counted["repeated"] += 1
                return
            size = len(frame.payload)
            if (
                len(client.waiting) >= self._limits.waiting_per_client
                or self._waiting_bytes + size > self._limits.waiting_bytes
            ):
                raise refuse(Status.BUSY, "as many requests wait as the board holds.")
            client.waiting.add(key)
            self._waiting_bytes += size
            self._jobs.put((identity, client, frame))

    def _refuse(self, identity: bytes, error: FrameError) -> None:
        self.counted[f"refused: {error.status.name.lower()}"] += 1
        self._send(identity, _error_frame(error))

    def _send(self, identity: bytes, frame: Frame) -> None:
        # A client that is gone or fetches nothing loses its replies; nothing is kept for it beyond the limit.
        with contextlib.suppress(self._zmq.ZMQError):
            self._router.send_multipart([identity, frame.to_bytes()], self._zmq.NOBLOCK)

    def _send_finished(self) -> None:
        """Send what the engine has answered."""
        with contextlib.suppress(self._zmq.Again):
            while True:
                self._done.recv(self._zmq.NOBLOCK)
        while self._results:
            (identity, client, request), result = self._results.popleft()
            client.waiting.discard((request.session, request.sequence))
            self._waiting_bytes -= len(request.payload)
            if isinstance(result, FrameError):
                self._refuse(identity, result)
            else:
                self.counted["chunks"] += request.chunks
                self._send(identity, result)

    def _compute(self) -> None:
        """Run the engine, job by job; in a thread of its own."""
        while (job := self._jobs.get()) is not None:
            self._results.append((job, self._result(job[2])))
            with contextlib.suppress(self._zmq.ZMQError):  # full: the other side has enough to wake it
                self._finished.send(b"", self._zmq.NOBLOCK)

    def _result(self, request: Frame) -> Frame | FrameError:
        names = (request.session, request.sequence)
        if self._stopping.is_set():
            return FrameError(Status.STOPPING, "the board is being shut down.", *names)
        try:
            given = ChunkPayload.from_frame(request, self.capabilities)
            scores = self._engine.run(given.iq, given.level)
            reply = scores_reply(request, scores)
            read_logits(reply, self.capabilities, request.chunks)
            return reply
        except FrameError as error:
            return FrameError(error.status, str(error), *names)
        except Exception as error:  # an engine may raise anything, and the board must go on
            reason = " ".join(str(error).split())[:200].rstrip(".")
            return FrameError(
                Status.FAILED,
                f"the engine {self._engine.name} failed: {reason or type(error).__name__}.",
                *names,
            )


def _names(message: bytes) -> tuple[int, int]:
    """Return session and sequence of a message that is not looked at any further; 0 where it is none."""
    try:
        frame = read_frame(message)
    except FrameError as error:
        return error.session, error.sequence
    return frame.session, frame.sequence


def _error_frame(error: FrameError) -> Frame:
    return Frame(MessageType.ERROR, error.session, error.sequence, str(error).encode(), status=error.status)
