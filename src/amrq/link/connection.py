# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to a board: its socket, its session, and reports to the user."""

import contextlib
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from amrq.errors import AmrqError, LinkError
from amrq.guard_socket import Connections, endpoint_fault, guard_socket
from amrq.link.dialogue import Dialogue, Question
from amrq.link.payloads import LARGEST_CAPABILITIES, MOST_SCORES, Capabilities, read_logits
from amrq.link.protocol import HEADER_BYTES, Frame, FrameError, MessageType, Status, read_frame
from amrq.link.settings import LinkSettings, read_public_key, read_secret_key
from amrq.machine import optional_package
from amrq.text import printable

__all__ = ["BoardAddress", "Connection", "News"]

_GREETING = 2.0  # seconds that an attempt to connect is given
_SILENCES = 4  # heartbeats without a word after which a board is gone
_CONNECTIONS = 4  # that ZMQ makes at a time: one, and for a moment the one before
_LONGEST_TEXT = 1000  # bytes of a board's error text that are looked at
_MOST_USELESS = (
    1000  # messages that answer no question, in a row; a resend or two of all that was asked makes fewer
)

_COME_AGAIN = (Status.BUSY, Status.TOO_FAST)
_DAMAGED = (Status.MALFORMED, Status.CHECKSUM)


class _Line:
    """A connected socket, and the bounds of what may come by it."""

    def __init__(self, socket: Any, bounds: Connections) -> None:
        self.socket, self.bounds = socket, bounds

    def close(self) -> None:
        self.bounds.close()
        self.socket.close()


class BoardAddress:
    """Where a board is, and how it is called.

    Args:
        endpoint: of the board, tcp://192.168.2.99:5555 for instance.
        settings: of the link.
        secret_key: file with this client's secret key; None: no encryption.
        board_key: file with the board's public key.

    Raises:
        AmrqError: PyZMQ is missing, the endpoint is not valid, or a key cannot be read.
    """

    def __init__(
        self, endpoint: str, settings: LinkSettings, secret_key: str | None, board_key: str | None
    ) -> None:
        self._zmq = optional_package("zmq", "a board")
        self.endpoint, self._settings = endpoint, settings
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
            self.call(context).close()

    def call(self, context: Any) -> _Line:
        """Return a new connection, in the thread that is to use it.

        Raises:
            LinkError: there cannot be a board at this endpoint.
        """
        zmq = self._zmq
        socket = context.socket(zmq.DEALER)
        # A score has 4 bytes.
        largest = HEADER_BYTES + max(LARGEST_CAPABILITIES, self._settings.batch * 4 * MOST_SCORES)
        guard_socket(socket, largest)
        ahead = 2 * self._settings.window + 16
        line = _Line(socket, Connections(socket, _CONNECTIONS, (ahead + 1) * largest))
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
            line.close()
            raise LinkError(
                f"there cannot be a board at {self.endpoint!r} ({fault}): give its address and port, "
                "tcp://127.0.0.1:5555 for instance."
            )
        return line


class News:
    """What is reported to the user of a board, each thing once.

    Args:
        report: called with a sentence's end when the board is gone ("does not answer") and with None when it is there
            (again).
        complain: called with a reason, once for each kind, when a board that is there cannot answer a question.
    """

    def __init__(self, report: Callable[[str | None], None], complain: Callable[[str], None]) -> None:
        self._report, self._complain = report, complain
        self.forget()

    def forget(self) -> None:
        """Start again, with another run."""
        self._last_reason: str | None = ""  # "" before the first report, None after `there`
        self._complained: set[Status] = set()

    def gone(self, reason: str, refusal: bool = False) -> None:
        """Report that the board is gone, or (`refusal`) why one that answered is refused."""
        if (refusal or self._last_reason in ("", None)) and reason != self._last_reason:
            self._say(self._report, reason)
        self._last_reason = reason

    def there(self) -> None:
        """Report that a board that was gone is there again."""
        if self._last_reason not in ("", None):
            self._say(self._report, None)
        self._last_reason = None

    def cannot_answer(self, status: Status, reason: str) -> None:
        """Report why a board that is there does not answer a question."""
        if status not in self._complained:
            self._complained.add(status)
            self._say(self._complain, reason.rstrip("."))

    @staticmethod
    def _say(how: Callable[[Any], None], what: str | None) -> None:
        with contextlib.suppress(Exception):  # what cannot be shown ends nothing
            how(what)


class Connection:
    """Keeps a connection up and sends what is to be asked; used by the link's thread alone.

    Args:
        address: of the board.
        settings: of the link.
        dialogue: what is to be asked, and where answers go.
        fits: returns why a board with such capabilities cannot be used; None where it can.
        news: what is reported to the user.
        context: of ZMQ.

    Attributes:
        socket: to look for messages at; None while there is no connection.
    """

    def __init__(
        self,
        address: BoardAddress,
        settings: LinkSettings,
        dialogue: Dialogue,
        fits: Callable[[Capabilities], str | None],
        news: News,
        context: Any,
    ) -> None:
        self._zmq = optional_package("zmq", "a board")
        self._address, self._settings, self._context = address, settings, context
        self._dialogue, self._fits, self._news = dialogue, fits, news
        self._counted = dialogue.counted
        self._line: _Line | None = None
        self._call_at = 0.0  # time of the next attempt
        self._backoff = settings.backoff
        self._session = self._former_session = self._hello = 0
        self._settled = False  # the hello of this session was answered
        self._greeted = self._pinged = self._heard = 0.0  # when that was last
        self._unheard: float | None = None  # since when a ping waits for any sign of life
        self._useless = 0  # messages in a row that answer nothing
        self._unread = ""  # what was wrong with the last message that could not be read

    @property
    def socket(self) -> Any:
        """Of the connection; None while there is no connection."""
        return None if self._line is None else self._line.socket

    def call(self, now: float) -> None:
        """Call the board where there is no connection and it is time to."""
        if self._line is not None or now < self._call_at:
            return
        try:
            self._line = self._address.call(self._context)
            self._greet(now)
        except Exception as error:  # no more files may be opened, for instance; there may be again
            self._leave(f"cannot be called ({_reason(error)})", now)

    def work(self) -> None:
        """Take in what has come, and send what is due."""
        try:
            if self._line is not None:
                self._receive(self._line)
            if self._line is not None:
                self._line.bounds.look()
                if self._line.bounds.ended:
                    self._leave("sends what has no end", time.monotonic())
            if self._line is not None:
                self._keep_time(time.monotonic())
        except Exception as error:  # whatever a board says, it ends a connection at most
            self._counted["damaged"] += 1
            self._leave(f"says what cannot be understood ({_reason(error)})", time.monotonic())

    def hang_up(self) -> None:
        """End the connection, if there is one."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _leave(self, reason: str, now: float, refusal: bool = False) -> None:
        """Count the board as gone and try again later."""
        self.hang_up()
        self._call_at = now + self._backoff * (0.5 + 0.5 * random.random())
        self._backoff = min(2 * self._backoff, self._settings.longest_backoff)
        self._settled = False
        self._dialogue.board_left(reason if refusal else None)
        self._news.gone(reason, refusal)

    def _post(self, frame: Frame) -> None:
        with contextlib.suppress(self._zmq.ZMQError):  # what does not get away is missed in time
            self.socket.send(replace(frame, session=self._session).to_bytes(), self._zmq.NOBLOCK)

    def _greet(self, now: float) -> None:
        self._former_session, self._session = self._session, secrets.randbits(63) + 1
        self._hello = self._dialogue.next_sequence()
        self._settled = False
        self._greeted = self._pinged = self._heard = now
        self._useless = 0
        self._unread = ""
        self._unheard = None
        self._post(Frame(type=MessageType.HELLO, session=0, sequence=self._hello))

    # What comes.

    def _receive(self, line: _Line) -> None:
        for _ in range(4 * self._settings.window):
            if self._line is not line:
                return
            try:
                parts = line.socket.recv_multipart(self._zmq.NOBLOCK, copy=False)
            except self._zmq.Again:
                return
            now = time.monotonic()
            line.bounds.heard(parts[-1])
            self._useless += 1
            if self._useless > _MOST_USELESS:
                self._leave("floods this client with messages that answer nothing", now)
                return
            try:
                if len(parts) != 1:
                    raise FrameError(Status.MALFORMED, "a message is one ZMQ frame.")
                self._take(read_frame(parts[0].bytes), now)
            except FrameError as error:
                self._unread = str(error)
                self._counted["damaged"] += 1
                if error.status is Status.VERSION:
                    self._leave("speaks another version of the protocol", now, refusal=True)

    def _take(self, frame: Frame, now: float) -> None:
        # A question that could not be read at all is answered without a session.
        unread = frame.type is MessageType.ERROR and not frame.session
        if frame.session != self._session and not unread:
            self._counted["late" if frame.session == self._former_session else "foreign"] += 1
            return
        self._heard, self._unheard = now, None
        if frame.type is MessageType.SCORES:
            self._take_scores(frame, now)
        elif frame.type is MessageType.CAPABILITIES:
            self._take_capabilities(frame, now)
        elif frame.type is MessageType.ERROR:
            self._take_error(frame, now)
        elif frame.type is not MessageType.PONG:
            self._counted["foreign"] += 1

    def _take_capabilities(self, frame: Frame, now: float) -> None:
        if self._settled or frame.sequence != self._hello:
            self._counted["repeated"] += 1
            return
        try:
            found = Capabilities.from_bytes(frame.payload)
        except FrameError as error:  # asked again it would say the same
            self._counted["damaged"] += 1
            reason = f"says of itself what cannot be read ({str(error).rstrip('.')})"
            self._leave(reason, now, refusal=True)
            return
        misfit = self._fits(found)
        if misfit is not None:
            self._leave(misfit, now, refusal=True)
            return
        self._settled = True
        self._dialogue.board_came(found)
        self._counted["connections"] += 1
        self._backoff = self._settings.backoff
        self._news.there()

    def _take_scores(self, frame: Frame, now: float) -> None:
        question, board = self._dialogue.question(frame.sequence), self._dialogue.capabilities
        if question is None or board is None:
            self._dialogue.count_useless(frame.sequence)
            return
        if frame.sample_index != question.frame.sample_index:
            raise FrameError(Status.MALFORMED, "the scores are of other samples.")
        try:
            logits = read_logits(frame, board, question.frame.chunks)
        except FrameError as error:
            if error.status is not Status.FAILED:
                raise
            self._counted["not_finite"] += 1
            self._useless = 0
            self._try_again(question, Status.FAILED, str(error))
            return
        self._useless = 0
        self._unread = ""
        self._dialogue.answer(question, logits, now)

    def _take_error(self, frame: Frame, now: float) -> None:
        self._counted["refused"] += 1
        said = printable(bytes(frame.payload[:_LONGEST_TEXT]).decode(errors="replace"), 200).rstrip(".")
        reason = said or frame.status.name.lower()
        question = self._dialogue.question(frame.sequence)
        if question is not None:
            self._useless = 0
        if frame.status is Status.NO_SESSION:
            if self._settled:  # it was started again, or the connection was
                self._greet(now)
        elif frame.status is Status.STOPPING:
            self._leave("is being shut down", now)
        elif frame.status is Status.VERSION:
            self._leave("speaks another version of the protocol", now, refusal=True)
        elif not self._settled and frame.sequence == self._hello:
            if frame.status not in _DAMAGED:
                self._leave(f"refuses: {reason}", now)
        elif question is None:
            pass  # of a ping, late, or of a question that cannot be told: that one is missed in time
        elif frame.status in _COME_AGAIN:
            self._dialogue.postpone(question, now)
        else:
            self._try_again(question, frame.status, reason)

    def _try_again(self, question: Question, status: Status, reason: str) -> None:
        """Send a question that the board could not read or answer again, or give it up and say why."""
        if not self._dialogue.try_again(question, reason):
            self._news.cannot_answer(status, reason)

    # What is due.

    def _keep_time(self, now: float) -> None:
        if not self._settled:
            if now - self._greeted > _GREETING:
                self._leave("does not answer", now)
            return
        if self._unheard is not None and now - self._unheard > _SILENCES * self._settings.heartbeat:
            self._leave("says nothing any more", now)
            return
        if now - max(self._heard, self._pinged) > self._settings.heartbeat:
            self._useless = 0  # it lets this client have its quiet
            self._pinged = now
            self._unheard = self._unheard or now
            self._post(Frame(type=MessageType.PING, session=0, sequence=self._dialogue.next_sequence()))
        due = self._dialogue.due(now)
        if due is None:
            unread = f" (of what it says last: {self._unread.rstrip('.')})" if self._unread else ""
            self._leave(f"leaves questions unanswered{unread}", now)
            return
        for frame in due:
            self._post(frame)


def _reason(error: Exception) -> str:
    return printable(error, 200).strip().rstrip(".") or type(error).__name__
