# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions of a flowgraph that runs, whose reader goes away."""

import threading
from typing import Any

import pytest

from amrq.errors import AmrqError
from amrq.live import DecisionStream, decision_stream


class Stuck:
    """A flowgraph that has made one decision, and does not end when it is told to."""

    def __init__(self, stream: DecisionStream) -> None:
        self._stream, self.over = stream, threading.Event()

    def keep_errors(self) -> None:
        """Nothing goes wrong."""

    raise_error = stop = keep_errors

    def start(self) -> None:
        decision: Any = "a decision"
        self._stream.put(decision, None)

    def wait(self) -> None:
        self.over.wait()


def test_a_reader_that_goes_away_is_told_of_no_second_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Python would print it with a traceback, "Exception ignored", beside the sentence that the reader ends with."""
    monkeypatch.setattr(decision_stream, "joined", lambda thread: False)
    caplog.set_level("INFO", logger="amrq")
    stream = DecisionStream()
    flowgraph = Stuck(stream)
    decisions = stream.run(flowgraph)
    assert next(decisions) == ("a decision", None)
    decisions.close()  # type: ignore[attr-defined]
    assert "was abandoned" in caplog.text
    flowgraph.over.set()


def test_who_ends_it_is_told_that_it_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_stream, "joined", lambda thread: False)
    stream = DecisionStream()
    flowgraph = Stuck(stream)
    decisions = stream.run(flowgraph)
    assert next(decisions) == ("a decision", None)
    with pytest.raises(AmrqError, match="was abandoned"):
        stream.end()
    flowgraph.over.set()
