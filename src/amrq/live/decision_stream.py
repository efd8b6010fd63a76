# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions on their way from a running flowgraph to the thread that shows them."""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.live.interrupt import joined, too_late

__all__ = ["DecisionStream"]

_AHEAD = 1000  # decisions that may wait to be shown

Decided = tuple[Decision, str | None]


class DecisionStream:
    """Runs a flowgraph and yields what it decides, with the truth where that is known.

    A slow reader slows the classifier: with a file the stream waits, live chunks are dropped and counted.

    Args:
        interrupted: once set, iterating raises `KeyboardInterrupt` between two decisions.
        ending: once set, the flowgraph is stopped, and what it still decides is yielded.
    """

    def __init__(
        self, interrupted: threading.Event | None = None, ending: threading.Event | None = None
    ) -> None:
        self._interrupted = interrupted or threading.Event()
        self._ending = ending or threading.Event()
        self._queue: queue.Queue[Decided | None] = queue.Queue(_AHEAD)
        self._abandoned = False
        self._flowgraph: Any = None
        self._thread: threading.Thread | None = None

    def put(self, decision: Decision, truth: str | None) -> None:
        """Take a decision in: the flowgraph's `on_decision`."""
        self._put((decision, truth))

    def _put(self, result: Decided | None) -> None:
        while not self._abandoned:
            with contextlib.suppress(queue.Full):
                self._queue.put(result, timeout=0.1)
                return

    def run(self, flowgraph: Any) -> Iterator[Decided]:
        """Run the flowgraph to its end and yield what it decides, as it decides it.

        Raises:
            AmrqError: the flowgraph failed, or does not end.
            KeyboardInterrupt: `interrupted` was set.
        """
        failure: list[BaseException] = []

        def wait() -> None:
            try:
                flowgraph.wait()
            except BaseException as error:  # to be raised where somebody reads it
                failure.append(error)
            finally:
                self._put(None)

        flowgraph.keep_errors()
        try:
            flowgraph.start()
        except RuntimeError as error:  # a port in use, for instance
            flowgraph.raise_error()
            raise AmrqError(f"the flowgraph does not start: {str(error).rstrip('.')}.") from error
        self._flowgraph = flowgraph
        self._thread = threading.Thread(target=wait, name="amrq flowgraph", daemon=True)
        self._thread.start()
        stopped: float | None = None
        try:
            while True:
                if self._interrupted.is_set():
                    raise KeyboardInterrupt  # between two results, so that none is shown in part
                if self._ending.is_set() and stopped is None:
                    stopped = time.monotonic()
                    flowgraph.stop()
                try:
                    result = self._queue.get(timeout=0.1)
                except queue.Empty:
                    if stopped is not None and too_late(stopped):
                        break
                    continue
                if result is None:
                    break
                yield result
        finally:
            self.end()
        flowgraph.raise_error()
        if failure:
            raise AmrqError(f"the flowgraph failed: {failure[0]}") from failure[0]

    def end(self) -> None:
        """End the flowgraph, where it still runs: a reader that fails must call this.

        Raises:
            AmrqError: it does not end, and is left behind.
        """
        self._abandoned = True
        flowgraph, self._flowgraph = self._flowgraph, None
        if flowgraph is None or self._thread is None:
            return
        flowgraph.stop()
        if not joined(self._thread):
            raise AmrqError(
                "the flowgraph did not end when it was stopped, and is given up: its last samples are not decided on."
            )
