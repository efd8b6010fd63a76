# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that classifies chunks beside the flowgraph, with a bounded queue in front of it."""

import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from amrq.classifier import Classifier, Evidence
from amrq.decision import Decision, DecisionChecker, DecisionMaker
from amrq.errors import AmrqError
from amrq.tracking import TrackedLevel, Tracker
from amrq.worker.batch import Batch, KeptChunks, Statistics

__all__ = ["ClassifierWorker"]


_MOST_AT_ONCE = 1024
"""Chunks classified between two looks at the queue: enough to make a call's fixed cost small, few enough that
`stop` need not wait long for a slow model."""


_GATHERING = 5e-3
"""Seconds that a call waits for so many, unless the stream is live: a call for each buffer of the stream costs several
times as much, most of it for threads that wait for one another."""
_BATCHES_AHEAD = 2  # batches that may be classified and not decided on yet
_HURRY, _LIVE_HURRY = 2.0, 0.3
"""Seconds that a classifier gets when the stream stops, for what it has taken already: a slow model, or one that has to
wait for something. Of a live stream that is stopped nobody waits for the last decision longer."""


class ClassifierWorker:
    """Classify batches in threads of its own, and call back with decisions.

    A *live* stream is never held up: when the queue is full the oldest chunks are dropped and counted, and no decision
    spans the gap. Any other stream waits for room in the queue, and `wait_until_idle` returns when all that was handed
    over is decided on.
    Chunks that the classifier itself loses are dropped ones too, and break the stream likewise.

    Args:
        classifier: the classifier; only one thread uses it while the worker runs.
        decision_maker: fuses evidence and makes decisions.
        on_decision: called in one of the worker's threads with each decision and the true class (None where it is not
            known or changed underway).
        live: drop rather than wait.
        queue_chunks: how many chunks may wait.
        track: track level and Es/N0 over the chunks for a model with level input; other models ignore it.

    Raises:
        AmrqError: the queue's length is below 1.
    """

    def __init__(
        self,
        classifier: Classifier,
        decision_maker: DecisionMaker,
        on_decision: Callable[[Decision, str | None], None],
        live: bool = False,
        queue_chunks: int = 8192,
        track: bool = True,
    ) -> None:
        if queue_chunks < 1:
            raise AmrqError(f"the queue must hold at least 1 chunk, not {queue_chunks}.")
        self._classifier = classifier
        self._decision_maker = decision_maker
        self._on_decision = on_decision
        self._live = live
        self._capacity = queue_chunks
        self._track = track
        self._tracker = self._new_tracker()
        self._checker = self._new_checker()
        self._kept = KeptChunks()
        self._successor: tuple[Classifier, DecisionMaker, Callable[[], None] | None] | None = None
        self._queue: deque[Batch] = deque()
        self._waiting = 0  # chunks in the queue
        self._busy = 0  # chunks being classified
        self._active = False  # a batch is being classified
        self._changed = threading.Condition()
        self._arrived = threading.Condition(self._changed._lock)  # type: ignore[attr-defined]
        self._pressed = False  # somebody waits for what is queued, however little it is
        self._closing = False
        self._error: BaseException | None = None
        self._statistics = Statistics()
        self._truths: deque[tuple[int, str | None]] = deque()
        self._broken = False  # the last chunk was lost
        # Inference releases Python's lock, so that deciding on one batch goes on beside classifying the next.
        self._classified: deque[tuple[Batch, Evidence, TrackedLevel | None]] = deque()  # not decided on yet
        self._deciding = False
        self._all_classified = False
        self._threads: list[threading.Thread] = []  # few chunks need none, see `decide_here`

    def _new_tracker(self) -> Tracker | None:
        contract = self._classifier.contract
        if not (self._track and contract.level_input):
            return None
        return Tracker(contract.weighed(), contract.chunk_length)

    def _new_checker(self) -> DecisionChecker:
        return DecisionChecker(self._classifier.contract.class_set.members)

    @property
    def error(self) -> BaseException | None:
        """The error that ended a thread early; None if there was none."""
        return self._error

    @property
    def waiting(self) -> int:
        """Chunks in the queue."""
        return self._waiting

    def statistics(self) -> Statistics:
        """Return a copy of the counters as they stand now."""
        with self._changed:
            return replace(self._statistics, queued=self._waiting + self._busy)

    def start(self) -> None:
        """Start the threads."""
        self._threads = self._threads or [
            threading.Thread(target=self._guard, args=(work,), name=name, daemon=True)
            for work, name in (
                (self._classify_all, "amrq classifier"),
                (self._decide_all, "amrq decisions"),
            )
        ]
        for thread in self._threads:
            thread.start()

    def wait_for_room(self, timeout: float) -> bool:
        """Wait until the queue is not over-full, for so many seconds at most; return whether that is so.

        Raises:
            Exception: whatever ended the worker's thread.
        """
        with self._changed:
            room = self._changed.wait_for(
                lambda: self._error is not None or self._waiting <= self._capacity, timeout
            )
            self._raise_error()
            return room

    def submit(self, batch: Batch, wait: bool = True) -> None:
        """Hand over a batch, whose arrays must not change any more.

        Args:
            batch: the chunks.
            wait: where the stream is not live, return only when the queue is not over-full; whoever must not be held up
                here calls `wait_for_room` before.

        Raises:
            Exception: whatever ended the worker's thread.
        """
        with self._changed:
            self._raise_error()
            self._statistics.received += len(batch.chunks)
            first = not self._queue
            self._queue.append(batch)
            self._waiting += len(batch.chunks)
            if first or self._is_enough():
                self._arrived.notify()
            if self._live:
                self._drop_oldest(self._waiting - self._capacity)
            elif wait:
                self._changed.wait_for(lambda: self._error is not None or self._waiting <= self._capacity)
                self._raise_error()

    def swap(
        self,
        classifier: Classifier,
        decision_maker: DecisionMaker,
        on_taken_over: Callable[[], None] | None = None,
    ) -> None:
        """Use another classifier, which is already open, from the next call on; no chunk is lost.

        Evidence from the former classifier goes to the former decision maker; the former classifier is then closed.
        Nothing is fused or tracked across the change.

        Args:
            classifier: of chunks as long as the former one's.
            decision_maker: for its classes.
            on_taken_over: called, in one of the worker's threads, when all decisions of the former one are made.
        """
        with self._changed:
            given_up = self._successor
            self._successor = (classifier, decision_maker, on_taken_over)
            self._changed.notify_all()
        if given_up is not None:  # it came and went before a chunk did
            given_up[0].close()

    def _succeed(self) -> None:
        """Let the successor take over, where there is one; between two calls, in the classifying thread."""
        with self._changed:
            if self._successor is None:
                return
            self._changed.wait_for(lambda: self._error or not (self._classified or self._deciding))
            if self._error is not None:
                return
            successor, self._successor = self._successor, None
        self._publish(self._decision_maker.flush())  # the deciding thread has nothing to do meanwhile
        self._classifier.close()
        self._classifier, self._decision_maker, on_taken_over = successor
        if on_taken_over is not None:
            on_taken_over()
        self._tracker = self._new_tracker()
        self._checker = self._new_checker()

    def wait_until_idle(self, timeout: float | None = None, press: bool = True) -> bool:
        """Wait until every full decision on what was handed over has been called back.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.
            press: more may not come: the classifier need not wait for it.

        Returns:
            Whether that is so.

        Raises:
            Exception: whatever ended the worker's thread.
        """
        with self._changed:
            if press:
                self._pressed = True
                self._arrived.notify()
            idle = self._changed.wait_for(
                lambda: (
                    self._error is not None
                    or not (self._waiting or self._active or self._classified or self._deciding)
                ),
                timeout,
            )
            self._raise_error()
            return idle

    def stop(self) -> None:
        """End the thread: what waits beyond one call of the classifier is dropped, and counted; the rest is decided on.

        What a slow classifier has not done after two seconds, of a live stream after a third of one, is dropped too.

        A stream that is not live and ends by itself has waited until nothing waits any more: nothing is dropped then.

        Raises:
            Exception: the error that ended the worker's thread.
        """
        with self._changed:
            self._drop_oldest(self._waiting - _MOST_AT_ONCE)
            self._closing = True
            self._arrived.notify()
        self._classifier.hurry(_LIVE_HURRY if self._live else _HURRY)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._classifier.hurry(None)  # whoever gave it may go on using it
        if self._successor is not None:  # no chunk came for it any more
            self._classifier.close()
        self._raise_error()

    def decide_here(self) -> bool:
        """Classify and decide on what was handed over in the calling thread, and end; the worker has not been started.

        For few chunks: threads of their own would cost as much as the chunks. Where there are more than one call of the
        classifier takes, nothing is done.

        Returns:
            Whether it was done.

        Raises:
            Exception: what went wrong.
        """
        if self._waiting > _MOST_AT_ONCE:
            return False
        self._closing = True
        for work in (self._classify_all, self._decide_all):
            self._guard(work)
        self._raise_error()
        return True

    def _raise_error(self) -> None:
        if self._error is None:
            return
        if isinstance(self._error, Exception):
            raise self._error
        # SystemExit and its like from a callback: an error of this stream, not an order to the stream's thread.
        raise RuntimeError(f"the classifier's thread ended with {self._error!r}") from self._error

    def _drop_oldest(self, count: int) -> None:
        """Drop `count` waiting chunks, the oldest first; the lock is held."""
        while count > 0 and self._queue:
            batch = self._queue.popleft()
            gone = min(count, len(batch.chunks))
            dropped, rest = batch.split(gone)
            # Tags of dropped chunks still hold for the chunks after them.
            self._truths.extend(dropped.truths)
            if len(rest.chunks):
                self._queue.appendleft(rest)
            if dropped.breaks and self._queue:
                following = self._queue.popleft()
                self._queue.appendleft(replace(following, breaks=(0, *following.breaks)))
            if dropped.borders and self._queue:
                following = self._queue.popleft()
                self._queue.appendleft(replace(following, borders=(0, *following.borders)))
            if self._queue:
                following = self._queue.popleft()
                self._queue.appendleft(replace(following, gaps=(0, *following.gaps)))
            count -= gone
            self._waiting -= gone
            self._statistics.dropped += gone

    def _is_enough(self) -> bool:
        """Return whether a call need not wait for more; the lock is held."""
        return (
            self._live
            or self._pressed
            or self._closing
            or self._waiting >= min(_MOST_AT_ONCE, self._capacity)
        )

    def _next(self) -> list[Batch]:
        """Wait for batches and take as many as make up one call; none are left when the stream has ended."""
        with self._changed:
            self._active = False
            self._changed.notify_all()
            self._arrived.wait_for(lambda: self._queue or self._closing)
            if not self._live:
                self._arrived.wait_for(self._is_enough, _GATHERING)
            self._active, self._pressed = True, False
            taken: list[Batch] = []
            while self._queue and self._busy < _MOST_AT_ONCE:
                batch = self._queue.popleft()
                room = _MOST_AT_ONCE - self._busy
                if len(batch.chunks) > room:
                    batch, rest = batch.split(room)
                    self._queue.appendleft(rest)
                taken.append(batch)
                self._truths.extend(batch.truths)
                self._busy += len(batch.chunks)
            self._waiting -= self._busy
            return taken

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            # Any error must reach the stream, which would otherwise wait forever.
            with self._changed:
                self._error = self._error or error
                self._active = self._deciding = False
                self._changed.notify_all()

    def _classify_all(self) -> None:
        while batches := self._next():
            self._succeed()
            batch = Batch.join(batches)
            level = None
            if self._tracker is None:
                evidence = self._classifier.classify(batch.chunks)
            else:
                level = self._tracker.level(batch.chunks, batch.sample_indices, batch.breaks)
                evidence = self._classifier.classify(batch.chunks, level.power)
            lost = 0
            if evidence.lost is not None:
                lost = int(evidence.lost.sum())
                batch, evidence, level = self._without_lost(batch, evidence, level)
            not_finite = int(np.isnan(evidence.power).sum())
            usable = int(evidence.usable.sum())
            with self._changed:
                self._statistics.classified += usable
                self._statistics.not_finite += not_finite
                self._statistics.silent += len(batch.chunks) - usable - not_finite
                self._statistics.dropped += lost
                self._busy = 0
                if not len(batch.chunks):
                    continue
                self._classified.append((batch, evidence, level))
                self._changed.notify_all()
                self._changed.wait_for(lambda: len(self._classified) < _BATCHES_AHEAD or self._error)
                if self._error is not None:
                    return
        with self._changed:
            self._all_classified = True
            self._changed.notify_all()

    def _without_lost(
        self, batch: Batch, evidence: Evidence, level: TrackedLevel | None
    ) -> tuple[Batch, Evidence, TrackedLevel | None]:
        """Leave out the chunks that the classifier lost; fusing and tracking start again after them."""
        lost = evidence.lost
        if lost is None or not len(lost):
            return batch, evidence, level
        broken, self._broken = self._broken, bool(lost[-1])
        if not lost.any() and not broken:
            return batch, evidence._replace(lost=None), level
        kept = ~lost
        batch = batch.without(lost)
        if broken and not lost[0]:
            batch = replace(batch, breaks=tuple(sorted({0, *batch.breaks})))
        if level is not None:
            level = TrackedLevel(level.power[kept], level.began[kept])
            level.began[list(batch.breaks)] = True
        return batch, evidence.select(kept)._replace(lost=None), level

    def _decide_all(self) -> None:
        while True:
            with self._changed:
                self._deciding = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._classified or self._all_classified or self._error)
                if not self._classified:
                    break
                batch, evidence, level = self._classified.popleft()
                self._deciding = True
                self._changed.notify_all()
            weights = None
            if self._tracker is not None and level is not None:
                weights = self._tracker.noise(evidence, batch.sample_indices, level)
            split_at = {*batch.breaks, *batch.gaps, *batch.borders}
            for start, end in itertools.pairwise(sorted({0, *split_at, len(batch.chunks)})):
                if start in split_at:
                    self._publish(self._decision_maker.flush())
                    self._kept.clear()
                if self._decision_maker.options.check:
                    self._kept.add(batch, start, end)
                self._publish(
                    self._decision_maker.update(
                        evidence.part(start, end),
                        batch.sample_indices[start:end],
                        None if weights is None else weights[start:end],
                        None if batch.es_n0_db is None else batch.es_n0_db[start:end],
                    )
                )
        if self._error is None:
            self._publish(self._decision_maker.flush())

    def _publish(self, decisions: list[Decision]) -> None:
        options = self._decision_maker.options
        checked = decisions
        if options.check and decisions:
            seen = [(decision, *self._kept.of(decision)) for decision in decisions]
            checked = self._checker.check_all(seen, options.threshold)
        for decision, final in zip(decisions, checked, strict=True):
            self._on_decision(final, self._truth_of(decision))

    def _truth_of(self, decision: Decision) -> str | None:
        first, end = decision.sample_index, decision.sample_index + decision.sample_count
        with self._changed:  # a full live queue hands on the truths of what it drops
            self._statistics.decisions += 1
            if not self._truths:
                return None
            # The truth in force at the first sample is the last one that began at or before it.
            while len(self._truths) > 1 and self._truths[1][0] <= first:
                self._truths.popleft()
            if self._truths[0][0] > first:
                return None
            inside = itertools.takewhile(lambda truth: truth[0] < end, self._truths)
            constant = all(name == self._truths[0][1] for _, name in inside)
            return self._truths[0][1] if constant else None
