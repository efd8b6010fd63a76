# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to a board, kept up beside the stream."""

import contextlib
import random
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.guard_socket import Connections, endpoint_fault, guard_socket
from amrq.link.capabilities import LARGEST_CAPABILITIES, MOST_SCORES, Capabilities
from amrq.link.frame import HEADER_BYTES, Frame, read_frame
from amrq.link.frame_error import FrameError
from amrq.link.keys import read_public_key, read_secret_key
from amrq.link.link_settings import LinkSettings
from amrq.link.message_type import MessageType
from amrq.link.read_logits import read_logits
from amrq.link.status import Status
from amrq.optional_package import optional_package
from amrq.plain_text import printable

__all__ = ["BoardLink"]

_LOOK = 0.1  # longest time between two looks at clocks, seconds
_GREETING = 2.0  # seconds that an attempt to connect is given
_SILENCES = 4  # heartbeats without a word after which a board is gone
_PAUSE = 0.02  # before a request is sent again that the board had no room for; doubled each time
_LONGEST_PAUSE = 0.5
_MOST_PAUSES = 16  # that do not count as a try
_CONNECTIONS = 4  # that ZMQ makes at a time: one, and for a moment the one before
_LONGEST_TEXT = 1000  # bytes of a board's error text that are looked at
_MOST_USELESS = (
    1000  # messages that answer no question, in a row; a resend or two of all that was asked makes fewer
)
_REMEMBERED = 1024  # numbers of requests that were given up, to tell late replies from repeated ones

_COME_AGAIN = (Status.BUSY, Status.TOO_FAST)
_DAMAGED = (Status.MALFORMED, Status.CHECKSUM)


@dataclass
class _Request:
    """A question on its way.

    Attributes:
        number: of the question in its exchange.
        frame: the question, without its session.
        since: when it was sent, or when one that was sent before it was answered last; None: it is to be sent.
        tries: how often it was sent.
        pauses: how often the board had no room for it.
        not_before: time before which it is not to be sent.
    """

    number: int
    frame: Frame
    since: float | None = None
    tries: int = 0
    pauses: int = 0
    not_before: float = 0.0


@dataclass
class _Exchange:
    """Questions that belong together.

    Attributes:
        patient: a board that is away is waited for.
        answers: (question's number, logits), not taken yet.
        failure: what the board says it cannot do, or what is wrong with its answers.
    """

    patient: bool
    answers: deque[tuple[int, NDArray[np.float32]]] = field(default_factory=deque)
    failure: str | None = None


class BoardLink:
    """Asks a board, and looks after the connection in a thread of its own.

    Args:
        endpoint: of the board, tcp://192.168.2.99:5555 for instance.
        settings: batch, window, times.
        fits: returns why a board with such capabilities cannot be used; None where it can.
        tell: called in the link's thread with a sentence's end when the board is gone ("does not answer") and with None
            when it is there (again).
        complain: called there with a reason, once for each kind, when a board that is there cannot answer a question.
        secret_key: file with this client's secret key; None: no encryption.
        board_key: file with the board's public key.

    Attributes:
        counted: what happened: `resent`, `late`, `repeated`, `foreign`, `damaged`, `refused` messages, `connections`,
            and `not_finite`, answers with scores that are not finite.

    Raises:
        AmrqError: PyZMQ is missing, the endpoint is none, or a key cannot be read.
    """

    def __init__(
        self,
        endpoint: str,
        settings: LinkSettings,
        fits: Callable[[Capabilities], str | None],
        tell: Callable[[str | None], None],
        complain: Callable[[str], None],
        secret_key: str | None = None,
        board_key: str | None = None,
    ) -> None:
        self._zmq = optional_package("zmq", "a board")
        self.endpoint, self._settings, self._fits = endpoint, settings, fits
        self._tell, self._complain = tell, complain
        if (secret_key is None) != (board_key is None):
            raise AmrqError(
                "a board with keys needs both: the client's own secret key and the board's public one."
            )
        self._keys = (
            None
            if secret_key is None or board_key is None
            else (*read_secret_key(secret_key), read_public_key(board_key))
        )
        with self._zmq.Context() as context:  # says now what is wrong with an endpoint
            self._hang_up(self._connect(context))
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._reset()

    def _reset(self) -> None:
        self.counted: Counter[str] = Counter()
        self.capabilities: Capabilities | None = None
        """What the board said of itself; None while it is not there."""
        self.refusal: str | None = None
        """Why the board that answered last cannot be used."""
        self._closing = False
        self._deadline = float("inf")
        self._exchange: _Exchange | None = None
        self._requests: dict[int, _Request] = {}  # by sequence, in the order of asking
        self._given_up: deque[int] = deque(maxlen=_REMEMBERED)
        self._sequence = 0
        self._session = self._former_session = 0
        self._told: str | None = ""  # what was told last; "" nothing yet
        self._settled = False  # the hello of this session was answered
        self._error: Exception | None = None  # what ended the thread
        self._complained: set[Status] = set()  # what the user was told of this run's board
        self._unread = ""  # what was wrong with the last message that could not be read

    def _connect(self, context: Any) -> Any:
        zmq = self._zmq
        socket = context.socket(zmq.DEALER)
        # A score has 4 bytes.
        largest = HEADER_BYTES + max(LARGEST_CAPABILITIES, self._settings.batch * 4 * MOST_SCORES)
        guard_socket(socket, largest)
        ahead = 2 * self._settings.window + 16
        self._connections = Connections(socket, _CONNECTIONS, (ahead + 1) * largest)
        for option, value in (
            (zmq.RCVHWM, ahead),
            (zmq.SNDHWM, ahead),
            (zmq.RECONNECT_IVL, 100),
            (zmq.RECONNECT_IVL_MAX, 1000),
            (zmq.IPV6, int("[" in self.endpoint)),
        ):
            socket.setsockopt(option, value)
        if self._keys is not None:
            public, secret, server = self._keys
            socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
            socket.setsockopt(zmq.CURVE_SERVERKEY, server)
        if fault := endpoint_fault(socket.connect, self.endpoint):
            self._hang_up(socket)
            raise AmrqError(
                f"there can be no board at {self.endpoint!r} ({fault}): give its address and port, "
                "tcp://127.0.0.1:5555 for instance."
            )
        return socket

    def _hang_up(self, socket: Any) -> None:
        self._connections.close()
        socket.close()

    def open(self) -> None:
        """Begin to look for the board, in a thread; it need not be there."""
        self._reset()
        self._context = self._zmq.Context()
        # Whoever asks wakes the thread with these; only one thread asks at a time.
        self._bell, self._ear = (self._context.socket(kind) for kind in (self._zmq.PAIR, self._zmq.PAIR))
        for socket in (self._bell, self._ear):
            socket.setsockopt(self._zmq.LINGER, 0)
        self._ear.bind("inproc://bell")
        self._bell.connect("inproc://bell")
        self._thread = threading.Thread(target=self._look_after, name="amrq board link", daemon=True)
        self._thread.start()

    def wait_for_board(self, seconds: float) -> bool:
        """Wait until a board that fits is there, or one that does not; return whether one that fits is."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.capabilities is not None or self.refusal is not None or self._closing, seconds
            )
            return self.capabilities is not None

    @property
    def over(self) -> bool:
        """Whether nothing more is to be waited for: the link was closed, or told to hurry and has."""
        return self._closing or time.monotonic() >= self._deadline

    def hurry(self, seconds: float) -> None:
        """Let every exchange end within so many seconds, until the next `open`."""
        with self._changed:
            self._deadline = min(self._deadline, time.monotonic() + seconds)
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread and the connection."""
        if self._thread is None:
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()  # it never waits longer than a look at the clocks takes
        self._thread = None
        self._bell.close()
        self._ear.close()
        self._context.term()

    def exchange(
        self,
        questions: Iterable[Frame],
        take: Callable[[int, NDArray[np.float32]], None],
        patient: bool = False,
    ) -> None:
        """Ask, `window` questions at a time, and return when each is answered or given up.

        Args:
            questions: classify messages without session and sequence; made while earlier ones are on their way.
            take: called in this thread with a question's number, from 0 on, and its logits float32 [N, H]; in any
                order, never for one that was given up.
            patient: wait for a board that is away, and ask again; otherwise what it owes is given up, and the rest is
                not asked.

        Raises:
            AmrqError: the board is there and cannot answer a question, and `patient` allows no other way out.
        """
        exchange = _Exchange(patient)
        with self._changed:
            self._exchange = exchange
        try:
            for number, frame in enumerate(questions):
                if not self._wait(exchange, take, self._settings.window - 1):
                    return
                with self._changed:
                    self._sequence += 1
                    self._requests[self._sequence] = _Request(number, replace(frame, sequence=self._sequence))
                self._ring()
            self._wait(exchange, take, 0)
        finally:
            with self._changed:
                self._give_up(list(self._requests))
                self._exchange = None
        if self._error is not None and patient:
            raise self._error
        if exchange.failure is not None and patient:
            raise AmrqError(f"the board at {self.endpoint} cannot answer: {exchange.failure.rstrip('.')}.")

    def doubt(self, reason: str) -> None:
        """Take in, from within `take`, that scores that were handed over cannot be used.

        Raises:
            AmrqError: the exchange is patient, and so allows no other way out.
        """
        with self._changed:
            self.counted["not_finite"] += 1
            patient = self._exchange is not None and self._exchange.patient
        if patient:
            raise AmrqError(f"the board at {self.endpoint} cannot answer: {reason}.")
        self._complain_once(Status.FAILED, reason)

    def _wait(self, exchange: _Exchange, take: Callable[[int, NDArray[np.float32]], None], most: int) -> bool:
        """Hand on answers until at most so many requests are on their way; return whether more may be asked."""
        while True:
            with self._changed:
                while not (exchange.answers or self._over(exchange) or len(self._requests) <= most):
                    self._changed.wait(min(_LOOK, max(0.0, self._deadline - time.monotonic())))
                answers = list(exchange.answers)
                exchange.answers.clear()
                over, on_their_way = self._over(exchange), len(self._requests)
            for number, logits in answers:
                take(number, logits)
            if over and not answers:
                return False
            if not over and on_their_way <= most:
                return True

    def _over(self, exchange: _Exchange) -> bool:
        away = self.capabilities is None and not exchange.patient
        failed = exchange.failure is not None and exchange.patient
        return away or failed or self.over

    def _ring(self) -> None:
        with contextlib.suppress(self._zmq.ZMQError):  # full: it is awake
            self._bell.send(b"", self._zmq.NOBLOCK)

    def _give_up(self, sequences: list[int]) -> None:
        """Forget requests; the lock is held."""
        for sequence in sequences:
            del self._requests[sequence]
        self._given_up.extend(sequences)

    # What follows runs in the link's thread, which alone uses the socket.

    def _look_after(self) -> None:
        settings = self._settings
        self._socket: Any = None
        self._attempt_at = 0.0
        self._backoff = settings.backoff
        poller = self._zmq.Poller()
        poller.register(self._ear, self._zmq.POLLIN)
        registered = None
        try:
            while not self._closing:
                now = time.monotonic()
                try:
                    if self._socket is None and now >= self._attempt_at:
                        self._socket = self._connect(self._context)
                        self._greet(now)
                except Exception as error:  # no more files may be opened, for instance; there may be again
                    self._leave(f"cannot be called ({_reason(error)})", now)
                if registered is not self._socket:
                    if registered is not None:
                        poller.unregister(registered)
                    if self._socket is not None:
                        poller.register(self._socket, self._zmq.POLLIN)
                    registered = self._socket
                poller.poll(1000 * self._next_look(now))
                with contextlib.suppress(self._zmq.Again):
                    while True:
                        self._ear.recv(self._zmq.NOBLOCK)
                try:
                    if self._socket is not None:
                        self._receive()
                    if self._socket is not None:
                        self._connections.look()
                        if self._connections.ended:
                            self._leave("sends what has no end", time.monotonic())
                    if self._socket is not None:
                        self._keep_time(time.monotonic())
                except Exception as error:  # whatever a board says, it ends a connection at most
                    self.counted["damaged"] += 1
                    self._leave(f"says what cannot be understood ({_reason(error)})", time.monotonic())
        except Exception as error:  # whoever waits for the board must learn of it; others go on without
            self._error = error
        finally:
            if self._socket is not None:
                self._hang_up(self._socket)
            with self._changed:
                self.capabilities = None
                self._closing = True
                self._changed.notify_all()

    def _next_look(self, now: float) -> float:
        with self._changed:
            pauses = [r.not_before - now for r in self._requests.values() if r.since is None]
        return max(0.0, min([_LOOK, *(pause for pause in pauses if pause > 0)]))

    def _post(self, frame: Frame, now: float) -> None:
        with contextlib.suppress(self._zmq.ZMQError):  # what does not get away is missed in time
            self._socket.send(replace(frame, session=self._session).to_bytes(), self._zmq.NOBLOCK)

    def _greet(self, now: float) -> None:
        with self._changed:
            self._former_session, self._session = self._session, secrets.randbits(63) + 1
            self._sequence += 1
            self._hello = self._sequence
            self._settled = False
        self._greeted = now
        self._pinged = self._heard = now
        self._useless = 0  # messages in a row that answer nothing
        self._unread = ""
        self._unheard: float | None = None  # since when a ping waits for any sign of life
        self._post(Frame(MessageType.HELLO, 0, self._hello), now)

    def _receive(self) -> None:
        for _ in range(4 * self._settings.window):
            if self._socket is None:
                return
            try:
                parts = self._socket.recv_multipart(self._zmq.NOBLOCK, copy=False)
            except self._zmq.Again:
                return
            now = time.monotonic()
            self._connections.heard(parts[-1])
            self._useless += 1
            if self._useless > _MOST_USELESS:
                self._leave("floods this client with messages that answer nothing", now)
                return
            try:
                if len(parts) != 1:
                    raise FrameError(Status.MALFORMED, "a message is one ZMQ frame.")
                frame = read_frame(parts[0].bytes)
            except FrameError as error:
                self._unread = str(error)
                self.counted["damaged"] += 1
                if error.status is Status.VERSION:
                    self._leave("speaks another version of the protocol", now, refusal=True)
                continue
            # A question that could not be read at all is answered without a session.
            unread = frame.type is MessageType.ERROR and not frame.session
            if frame.session != self._session and not unread:
                self.counted["late" if frame.session == self._former_session else "foreign"] += 1
                continue
            self._heard, self._unheard = now, None
            try:
                self._handle(frame, now)
            except FrameError as error:
                self._unread = str(error)
                self.counted["damaged"] += 1

    def _handle(self, frame: Frame, now: float) -> None:
        if frame.type is MessageType.SCORES:
            self._take_scores(frame, now)
        elif frame.type is MessageType.CAPABILITIES:
            if self._settled or frame.sequence != self._hello:
                self.counted["repeated"] += 1
            else:
                try:
                    found = Capabilities.from_bytes(frame.payload)
                except FrameError as error:  # asked again it would say the same
                    self.counted["damaged"] += 1
                    reason = f"says of itself what cannot be read ({str(error).rstrip('.')})"
                    self._leave(reason, now, refusal=True)
                    return
                self._take_capabilities(found, now)
        elif frame.type is MessageType.ERROR:
            self._take_error(frame, now)
        elif frame.type is not MessageType.PONG:
            self.counted["foreign"] += 1

    def _take_capabilities(self, found: Capabilities, now: float) -> None:
        reason = self._fits(found)
        if reason is not None:
            self._leave(reason, now, refusal=True)
            return
        with self._changed:
            self.capabilities, self.refusal, self._settled = found, None, True
            for request in self._requests.values():  # asked in the session before
                request.since, request.not_before = None, 0.0
            self._changed.notify_all()
        self.counted["connections"] += 1
        self._backoff = self._settings.backoff
        self._say(None)

    def _take_scores(self, frame: Frame, now: float) -> None:
        with self._changed:
            request = self._requests.get(frame.sequence)
            if request is None or request.since is None or self.capabilities is None:
                known = 0 < frame.sequence <= self._sequence
                late = frame.sequence in self._given_up
                self.counted["late" if late else "repeated" if known else "foreign"] += 1
                return
            if frame.sample_index != request.frame.sample_index:
                raise FrameError(Status.MALFORMED, "the scores are of other samples.")
            try:
                logits = read_logits(frame, self.capabilities, request.frame.chunks)
            except FrameError as error:
                if error.status is not Status.FAILED:
                    raise
                self.counted["not_finite"] += 1
                self._useless = 0
                self._try_again(request, now, Status.FAILED, str(error))
                return
            self._useless = 0
            del self._requests[frame.sequence]
            # A board answers in order: those asked later have not been neglected.
            for sequence, other in self._requests.items():
                if sequence > frame.sequence and other.since is not None:
                    other.since = now
            if self._exchange is not None:
                self._exchange.answers.append((request.number, logits))
            self._changed.notify_all()
        self._unread = ""

    def _take_error(self, frame: Frame, now: float) -> None:
        self.counted["refused"] += 1
        text = printable(bytes(frame.payload[:_LONGEST_TEXT]).decode(errors="replace"), 200).rstrip(".")
        with self._changed:
            request = self._requests.get(frame.sequence)
        if request is not None and request.since is not None:
            self._useless = 0
        if frame.status is Status.NO_SESSION:
            if self._settled:  # it was started anew, or the connection was
                self._greet(now)
        elif frame.status is Status.STOPPING:
            self._leave("is being shut down", now)
        elif frame.status is Status.VERSION:
            self._leave("speaks another version of the protocol", now, refusal=True)
        elif not self._settled and frame.sequence == self._hello:
            if frame.status not in _DAMAGED:
                self._leave(f"refuses: {text or frame.status.name.lower()}", now)
        elif request is None or request.since is None:
            pass  # of a ping, late, or of a question that cannot be told: that one is missed in time
        elif frame.status in _COME_AGAIN:
            with self._changed:
                request.since = None
                request.not_before = now + min(_PAUSE * 2**request.pauses, _LONGEST_PAUSE)
                request.pauses += 1
                if request.pauses <= _MOST_PAUSES:
                    request.tries -= 1
        else:
            self._try_again(request, now, frame.status, text or frame.status.name.lower())

    def _try_again(self, request: _Request, now: float, status: Status, reason: str) -> None:
        """Send a request that the board could not read or answer again, or give it up and say why."""
        with self._changed:
            if request.tries <= self._settings.resends:
                request.since = None
                return
            if self._exchange is not None:
                self._exchange.failure = reason
            self._give_up([request.frame.sequence])
            self._changed.notify_all()
        self._complain_once(status, reason)

    def _complain_once(self, status: Status, reason: str) -> None:
        if status not in self._complained:
            self._complained.add(status)
            with contextlib.suppress(Exception):  # what cannot be shown ends nothing
                self._complain(reason.rstrip("."))

    def _keep_time(self, now: float) -> None:
        settings = self._settings
        if not self._settled:
            if now - self._greeted > _GREETING:
                self._leave("does not answer", now)
            return
        if self._unheard is not None and now - self._unheard > _SILENCES * settings.heartbeat:
            self._leave("says nothing any more", now)
            return
        if now - max(self._heard, self._pinged) > settings.heartbeat:
            self._useless = 0  # it lets this client have its quiet
            self._pinged = now
            self._unheard = self._unheard or now
            with self._changed:
                self._sequence += 1
                ping = self._sequence
            self._post(Frame(MessageType.PING, 0, ping), now)
        due = self._due(now)
        if due is None:
            unread = f" (of what it says last: {self._unread.rstrip('.')})" if self._unread else ""
            self._leave(f"leaves questions unanswered{unread}", now)
            return
        for frame in due:
            self._post(frame, now)

    def _due(self, now: float) -> list[Frame] | None:
        """Return what is to be sent now, for the first time or again; None where one was sent often enough."""
        due = []
        with self._changed:
            patient = self._exchange is not None and self._exchange.patient
            for request in self._requests.values():
                if request.since is not None and now - request.since > self._settings.timeout:
                    request.since = None
                if request.since is not None or request.not_before > now:
                    continue
                if request.tries > self._settings.resends and not patient:
                    return None
                self.counted["resent"] += request.tries > 0
                request.tries += 1
                request.since = now
                due.append(request.frame)
        return due

    def _leave(self, reason: str, now: float, refusal: bool = False) -> None:
        """Count the board as gone and try again later."""
        if self._socket is not None:
            self._hang_up(self._socket)
            self._socket = None
        self._attempt_at = now + self._backoff * (0.5 + 0.5 * random.random())
        self._backoff = min(2 * self._backoff, self._settings.longest_backoff)
        with self._changed:
            self.capabilities, self._settled = None, False
            if refusal:
                self.refusal = reason
            if self._exchange is None or not self._exchange.patient:
                self._give_up(list(self._requests))
            self._changed.notify_all()
        self._say(reason, refusal)

    def _say(self, reason: str | None, refusal: bool = False) -> None:
        """Tell once that the board is gone, what is wrong with one that came, and once that it is back."""
        news = self._told not in ("", None) if reason is None else refusal or self._told in ("", None)
        if news and reason != self._told:
            with contextlib.suppress(Exception):  # what cannot be shown ends nothing
                self._tell(reason)
        self._told = reason


def _reason(error: Exception) -> str:
    return printable(error, 200).strip().rstrip(".") or type(error).__name__
