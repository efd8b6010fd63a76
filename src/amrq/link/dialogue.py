# SPDX-License-Identifier: GPL-3.0-or-later
"""State shared by the two threads of a link: the questions on their way to a board, and the board's capabilities."""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from amrq.link.payloads import Capabilities
from amrq.link.protocol import Frame
from amrq.link.settings import LinkSettings

__all__ = ["LOOK", "Dialogue", "Exchange", "Question"]

LOOK = 0.1
"""Longest time between two looks at clocks, seconds."""
_PAUSE = 0.02  # before a question is sent again that the board had no room for; doubled each time
_LONGEST_PAUSE = 0.5
_MOST_PAUSES = 16  # that do not count as a try
_REMEMBERED = 1024  # numbers of questions that were given up, to tell late replies from repeated ones

Answer = tuple[int, NDArray[np.float32]]
"""A question's number in its exchange, and its logits, float32 [N, H]."""


@dataclass(eq=False)
class Question:
    """A classify message on its way.

    Attributes:
        number: of the question in its exchange.
        frame: the message, without its session.
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


@dataclass(eq=False)
class Exchange:
    """Questions that belong together.

    Attributes:
        patient: a board that is away is waited for.
        answers: those not taken yet.
        failure: what the board says it cannot do, or what is wrong with its answers.
    """

    patient: bool
    answers: deque[Answer] = field(default_factory=deque)
    failure: str | None = None


class Dialogue:
    """What the thread that asks a board and the thread that looks after the connection share, and its lock.

    Args:
        settings: of the link.

    Attributes:
        counted: what happened, by name; see `BoardLink`.
        capabilities: what the board said of itself; None while it is not there.
        refusal: why the board that answered last cannot be used.
        closed: the link's thread has ended, or is to end.
        error: what ended the thread before its time.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self.counted: Counter[str] = Counter()
        self.capabilities: Capabilities | None = None
        self.refusal: str | None = None
        self.closed = False
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self._deadline = float("inf")
        self._exchange: Exchange | None = None
        self._asked: dict[int, Question] = {}  # by sequence, in the order of asking
        self._given_up: deque[int] = deque(maxlen=_REMEMBERED)
        self._sequence = 0

    def next_sequence(self) -> int:
        """Return a number that no message of this link has had."""
        with self._changed:
            self._sequence += 1
            return self._sequence

    def close(self, error: Exception | None = None) -> None:
        """End the waiting of both sides.

        Args:
            error: what ended the link's thread, if anything did.
        """
        with self._changed:
            self.error = self.error or error
            self.closed = True
            self._changed.notify_all()

    # The side that asks.

    @property
    def over(self) -> bool:
        """Whether there is nothing to wait for: the link was closed, or the time that `hurry` allowed has passed."""
        return self.closed or time.monotonic() >= self._deadline

    def hurry(self, seconds: float | None) -> None:
        """Let all waiting end within so many seconds; None: there is no hurry any more."""
        with self._changed:
            self._deadline = (
                float("inf") if seconds is None else min(self._deadline, time.monotonic() + seconds)
            )
            self._changed.notify_all()

    def wait_for_board(self, seconds: float) -> bool:
        """Wait until a board that can be used is there, or one that cannot; return whether one that can is."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.capabilities is not None or self.refusal is not None or self.closed, seconds
            )
            return self.capabilities is not None

    def begin(self, patient: bool) -> Exchange:
        """Begin an exchange: one at a time."""
        with self._changed:
            self._exchange = Exchange(patient)
            return self._exchange

    def end(self) -> None:
        """End the exchange; what is still on its way is given up."""
        with self._changed:
            self._give_up(list(self._asked))
            self._exchange = None

    def ask(self, number: int, frame: Frame) -> None:
        """Let a question of the exchange be sent."""
        with self._changed:
            sequence = self.next_sequence()
            self._asked[sequence] = Question(number, replace(frame, sequence=sequence))

    def wait(self, exchange: Exchange, most: int) -> tuple[list[Answer], bool, bool]:
        """Wait for answers, or until at most `most` questions are on their way, or the exchange is over.

        Returns:
            answers; whether the exchange is over; whether so few questions are on their way.
        """
        with self._changed:
            while not (exchange.answers or self._over(exchange) or len(self._asked) <= most):
                self._changed.wait(min(LOOK, max(0.0, self._deadline - time.monotonic())))
            answers = list(exchange.answers)
            exchange.answers.clear()
            return answers, self._over(exchange), len(self._asked) <= most

    def _over(self, exchange: Exchange) -> bool:
        away = self.capabilities is None and not exchange.patient
        failed = exchange.failure is not None and exchange.patient
        return away or failed or self.over

    @property
    def patient(self) -> bool:
        """Whether there is an exchange that waits for a board that is away."""
        with self._changed:
            return self._exchange is not None and self._exchange.patient

    # The side that looks after the connection.

    def board_came(self, found: Capabilities) -> None:
        """Take in that the board is there; what was asked in a session before is sent again."""
        with self._changed:
            self.capabilities, self.refusal = found, None
            for question in self._asked.values():
                question.since, question.not_before = None, 0.0
            self._changed.notify_all()

    def board_left(self, refusal: str | None = None) -> None:
        """Take in that the board is gone; unless the exchange is patient, what it owes is given up.

        Args:
            refusal: why it cannot be used, where it is there and cannot.
        """
        with self._changed:
            self.capabilities = None
            if refusal is not None:
                self.refusal = refusal
            if not self.patient:
                self._give_up(list(self._asked))
            self._changed.notify_all()

    def question(self, sequence: int) -> Question | None:
        """Return the question that a reply of this number belongs to; None where none waits for one."""
        with self._changed:
            question = self._asked.get(sequence)
            return None if question is None or question.since is None else question

    def count_useless(self, sequence: int) -> None:
        """Count scores that nobody waits for."""
        with self._changed:
            known = 0 < sequence <= self._sequence
            late = sequence in self._given_up
            self.counted["late" if late else "repeated" if known else "foreign"] += 1

    def answer(self, question: Question, logits: NDArray[np.float32], now: float) -> None:
        """Hand over the answer to a question, unless it was given up meanwhile."""
        sequence = question.frame.sequence
        with self._changed:
            if self._asked.pop(sequence, None) is None:
                self.counted["late"] += 1
                return
            # A board answers in order: those asked later have not been neglected.
            for other_sequence, other in self._asked.items():
                if other_sequence > sequence and other.since is not None:
                    other.since = now
            if self._exchange is not None:
                self._exchange.answers.append((question.number, logits))
            self._changed.notify_all()

    def postpone(self, question: Question, now: float) -> None:
        """Send a question again a little later, since the board had no room for it."""
        with self._changed:
            question.since = None
            question.not_before = now + min(_PAUSE * 2**question.pauses, _LONGEST_PAUSE)
            question.pauses += 1
            if question.pauses <= _MOST_PAUSES:
                question.tries -= 1

    def try_again(self, question: Question, reason: str) -> bool:
        """Send a question again that the board could not read or answer, or give it up after some tries.

        Returns:
            False where it was given up.
        """
        with self._changed:
            if question.frame.sequence not in self._asked:
                return True  # nobody waits for it any more
            if question.tries <= self._settings.resends:
                question.since = None
                return True
            if self._exchange is not None:
                self._exchange.failure = reason
            self._give_up([question.frame.sequence])
            self._changed.notify_all()
            return False

    def due(self, now: float) -> list[Frame] | None:
        """Return what is to be sent now, for the first time or again; None where one was sent often enough."""
        due = []
        with self._changed:
            patient = self.patient
            for question in self._asked.values():
                if question.since is not None and now - question.since > self._settings.timeout:
                    question.since = None
                if question.since is not None or question.not_before > now:
                    continue
                if question.tries > self._settings.resends and not patient:
                    return None
                self.counted["resent"] += question.tries > 0
                question.tries += 1
                question.since = now
                due.append(question.frame)
        return due

    def next_look(self, now: float) -> float:
        """Return in how many seconds the clocks are to be looked at again."""
        with self._changed:
            pauses = [q.not_before - now for q in self._asked.values() if q.since is None]
        return max(0.0, min([LOOK, *(pause for pause in pauses if pause > 0)]))

    def _give_up(self, sequences: list[int]) -> None:
        """Forget questions; the lock is held."""
        for sequence in sequences:
            self._asked.pop(sequence, None)
        self._given_up.extend(sequences)
