# SPDX-License-Identifier: GPL-3.0-or-later
"""The link to a board, kept up beside the stream."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, LinkError
from amrq.link.connection import BoardAddress, Connection, News
from amrq.link.dialogue import Dialogue, Exchange
from amrq.link.payloads import Capabilities
from amrq.link.protocol import Frame, Status
from amrq.link.settings import LinkSettings
from amrq.machine import optional_package

__all__ = ["BoardLink"]


class BoardLink:
    """Asks a board, and looks after the connection in a thread of its own.

    Args:
        endpoint: of the board, tcp://192.168.2.99:5555 for instance.
        settings: batch, window, times.
        fits: returns why a board with such capabilities cannot be used; None where it can.
        report: called in the link's thread with a sentence's end when the board is gone ("does not answer"), and with
            None when it is there (again).
        complain: called there with a reason, once for each kind, when a board that is there cannot answer a question.
        secret_key: file with this client's secret key; None: no encryption.
        board_key: file with the board's public key.

    Raises:
        LinkError: the endpoint is not one, or a key cannot be read.
        AmrqError: PyZMQ is missing.
    """

    def __init__(
        self,
        endpoint: str,
        settings: LinkSettings,
        fits: Callable[[Capabilities], str | None],
        report: Callable[[str | None], None],
        complain: Callable[[str], None],
        secret_key: str | None = None,
        board_key: str | None = None,
    ) -> None:
        self._zmq = optional_package("zmq", "a board")
        self._address = BoardAddress(endpoint, settings, secret_key, board_key)
        self._settings, self._fits = settings, fits
        self._news = News(report, complain)
        self._dialogue = Dialogue(settings)
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """Of the board."""
        return self._address.endpoint

    @property
    def counted(self) -> Counter[str]:
        """What happened since `open`.

        `resent`, `late`, `repeated`, `foreign`, `damaged`, `refused` messages, `connections`, and `not_finite`, answers
        with scores that are not finite.
        """
        return self._dialogue.counted

    @property
    def capabilities(self) -> Capabilities | None:
        """What the board said of itself; None while it is not there."""
        return self._dialogue.capabilities

    @property
    def refusal(self) -> str | None:
        """Why the board that answered last cannot be used."""
        return self._dialogue.refusal

    @property
    def over(self) -> bool:
        """Whether there is nothing to wait for: the link was closed, or the time that `hurry` allowed has passed."""
        return self._dialogue.over

    def open(self) -> None:
        """Begin to look for the board, in a thread; it need not be there."""
        self._news.forget()
        self._dialogue = dialogue = Dialogue(self._settings)
        self._context = self._zmq.Context()
        # Whoever asks wakes the thread with these; only one thread asks at a time.
        self._bell, ear = (self._context.socket(kind) for kind in (self._zmq.PAIR, self._zmq.PAIR))
        for socket in (self._bell, ear):
            socket.setsockopt(self._zmq.LINGER, 0)
        ear.bind("inproc://bell")
        self._bell.connect("inproc://bell")
        connection = Connection(
            self._address, self._settings, dialogue, self._fits, self._news, self._context
        )
        self._thread = threading.Thread(
            target=self._look_after, args=(connection, dialogue, ear), name="amrq board link", daemon=True
        )
        self._thread.start()

    def wait_for_board(self, seconds: float) -> bool:
        """Wait until a board that fits is there, or one that does not; return whether one that fits is."""
        return self._dialogue.wait_for_board(seconds)

    def hurry(self, seconds: float | None) -> None:
        """Let every exchange end within so many seconds, until the next `open`; None: there is no hurry any more."""
        self._dialogue.hurry(seconds)

    def close(self) -> None:
        """End the thread and the connection."""
        if self._thread is None:
            return
        self._dialogue.close()
        self._thread.join()  # it never waits longer than a look at the clocks takes
        self._thread = None
        self._bell.close()
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
            LinkError: the board is there and cannot answer a question, and `patient` allows no other way out.
        """
        dialogue = self._dialogue
        exchange = dialogue.begin(patient)
        try:
            for number, frame in enumerate(questions):
                if not self._wait(exchange, take, self._settings.window - 1):
                    return
                dialogue.ask(number, frame)
                self._ring()
            self._wait(exchange, take, 0)
        finally:
            dialogue.end()
        if dialogue.error is not None and patient:
            raise dialogue.error
        if exchange.failure is not None and patient:
            raise self._unanswered(exchange.failure)

    def _wait(self, exchange: Exchange, take: Callable[[int, NDArray[np.float32]], None], most: int) -> bool:
        """Hand on answers until at most so many questions are on their way; return whether more may be asked."""
        while True:
            answers, over, few = self._dialogue.wait(exchange, most)
            for number, logits in answers:
                take(number, logits)
            if over and not answers:
                return False
            if not over and few:
                return True

    def doubt(self, reason: str) -> None:
        """Take in, from within `take`, that scores that were handed over cannot be used.

        Raises:
            LinkError: the exchange is patient, and so allows no other way out.
        """
        self.counted["not_finite"] += 1
        if self._dialogue.patient:
            raise self._unanswered(reason)
        self._news.cannot_answer(Status.FAILED, reason)

    def _unanswered(self, reason: str) -> AmrqError:
        return LinkError(f"the board at {self.endpoint} cannot answer: {reason.rstrip('.')}.")

    def _ring(self) -> None:
        with contextlib.suppress(self._zmq.ZMQError):  # full: it is awake
            self._bell.send(b"", self._zmq.NOBLOCK)

    def _look_after(self, connection: Connection, dialogue: Dialogue, ear: Any) -> None:
        """Keep the connection up until the link is closed; in a thread of its own."""
        watched, poller = None, self._poller(ear)
        try:
            while not dialogue.closed:
                now = time.monotonic()
                connection.call(now)
                if connection.socket is not watched:
                    watched = connection.socket
                    poller = self._poller(ear, watched)
                poller.poll(1000 * dialogue.next_look(now))
                with contextlib.suppress(self._zmq.Again):
                    while True:
                        ear.recv(self._zmq.NOBLOCK)
                connection.work()
        except Exception as error:  # whoever waits for the board must learn of it; others go on without
            dialogue.close(error)
        finally:
            connection.hang_up()
            ear.close()
            dialogue.board_left()
            dialogue.close()

    def _poller(self, *sockets: Any) -> Any:
        poller = self._zmq.Poller()
        for socket in sockets:
            if socket is not None:
                poller.register(socket, self._zmq.POLLIN)
        return poller
