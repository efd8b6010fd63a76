# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions as a script uses them, and the watch that looks at a stream's symbol rate."""

import itertools
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE
from prometheus_text import read_metrics
from seeds import rng

from amrq.classes import linear_class
from amrq.decision import DecisionOptions
from amrq.errors import AmrqError, StalledError
from amrq.live import (
    LiveSession,
    RateEstimate,
    RecentSamples,
    Recognition,
    RecordingOptions,
    RecordingSession,
    SessionOptions,
    SymbolRateWatch,
    open_signal,
)
from amrq.options import OptionError
from amrq.outputs import OutputOptions
from amrq.signals import received_signal
from amrq.sources import SourceOptions

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "examples" / "recordings" / "generic_16qam.sigmf-meta"
RATE = 100e3


def qpsk(count: int, samples_per_symbol: float = 4) -> np.ndarray:
    generator = rng("sessions", samples_per_symbol)
    symbols = generator.choice(linear_class("QPSK").points, int(count / samples_per_symbol) + 50)
    signal = received_signal(symbols, samples_per_symbol, 0.35, 20.0, generator)
    return signal[:count].astype(np.complex64)


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=12))
@settings(max_examples=60)
def test_recent_samples_are_the_last_ones_and_stretches_have_no_break(
    count: int, pieces: list[tuple[int, bool]]
) -> None:
    recent, sent, starts = RecentSamples(count), 0, [0]
    for length, broken in pieces:
        recent.write(np.arange(sent, sent + length, dtype=np.complex64), [0] if broken and length else [])
        if broken and length:
            starts.append(sent)
        sent += length
    oldest = max(0, sent - count)
    np.testing.assert_array_equal(recent.samples().real, np.arange(oldest, sent))
    assert recent.taken() == sent
    np.testing.assert_array_equal(recent.since_break().real, np.arange(max(oldest, starts[-1]), sent))
    edges = sorted({oldest, sent, *(start for start in starts if oldest < start < sent)})
    longest = max((b - a for a, b in itertools.pairwise(edges)), default=0)
    first, stretch = recent.placed_stretch()
    assert len(stretch) == longest
    if longest:
        assert first in edges and first + longest in edges
        np.testing.assert_array_equal(stretch.real, np.arange(first, first + longest))


class Watched:
    """A watch, and what it finds."""

    def __init__(self, **settings: object) -> None:
        self.found: list[RateEstimate] = []
        self.news = threading.Event()
        self.watch = SymbolRateWatch(RATE, self._take, **settings)  # type: ignore[arg-type]
        self.watch.start()

    def _take(self, estimate: RateEstimate) -> None:
        self.found.append(estimate)
        self.news.set()

    def next(self) -> RateEstimate:
        assert self.news.wait(PATIENCE)
        self.news.clear()
        return self.found[-1]


def test_a_watch_counts_every_sample_once() -> None:
    """What no look rests on is dropped, what came after the last look waits."""
    watched = Watched(length=8_192, interval=0.0)
    watched.watch.write(qpsk(50_000))
    found = watched.next()
    assert found.symbol_rate == pytest.approx(25e3, rel=1e-3)
    assert (found.sample_offset, found.sample_count) == (50_000 - 8_192, 8_192)
    watched.watch.stop()
    counts = watched.watch.counts()
    assert counts.received == 50_000
    assert (counts.looked_at, counts.dropped) == (8_192, 50_000 - 8_192)
    watched.watch.write(qpsk(20_000))  # nobody looks any more
    counts = watched.watch.counts()
    assert (counts.received, counts.looked_at, counts.dropped) == (70_000, 8_192, 70_000 - 2 * 8_192)


def test_a_watch_begins_anew_with_another_rate() -> None:
    watched = Watched(length=16_384)
    watched.watch.write(qpsk(16_384))
    assert watched.next().symbol_rate == pytest.approx(25e3, rel=1e-3)
    watched.watch.begin_anew(2 * RATE)
    watched.watch.write(qpsk(10_000, 5))
    found = watched.next()
    watched.watch.stop()
    assert found.symbol_rate == pytest.approx(40e3, rel=1e-3)
    assert found.sample_offset == 16_384
    assert found.samples_per_symbol == pytest.approx(5, rel=1e-3)


def test_an_error_of_whoever_listens_ends_the_watch_and_nothing_else() -> None:
    failed = threading.Event()

    def fail(estimate: RateEstimate) -> None:
        failed.set()
        raise ValueError("no more")

    watch = SymbolRateWatch(RATE, fail, length=8_192)
    watch.start()
    watch.write(qpsk(10_000))
    assert failed.wait(PATIENCE)
    watch.stop()
    assert isinstance(watch.error, ValueError)
    watch.write(qpsk(10_000))  # goes nowhere, and does not wait
    assert watch.idle()


def test_a_script_reads_a_recording() -> None:
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    said: list[str] = []
    with open_signal(RECORDING, RecordingOptions(start=0.01), said.append) as signal:
        assert signal.estimated and signal.symbol_rate == pytest.approx(25e3, rel=1e-3)
        recognition = Recognition(decision=DecisionOptions(chunks_per_decision=8))
        found = list(RecordingSession(signal, recognition).run())
    assert [decision.label for decision, _, _ in found[1:]] == ["16QAM"] * (len(found) - 1)
    assert {truth for _, truth, _ in found} == {"16QAM"}
    assert found[0][2]["time"] == pytest.approx(0.01, abs=0.002)
    assert found[0][0].chunks == 8 and found[0][2]["model_sha256"]
    assert said == []


def test_a_script_hears_a_source_live(tmp_path: Path) -> None:
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    log, counters = tmp_path / "log.jsonl", tmp_path / "amrq.prom"
    ending, said = threading.Event(), []
    outputs = OutputOptions(changes=True, log=str(log), counters=str(counters))
    with LiveSession(
        SourceOptions(simulate=True), outputs=outputs, ending=ending, say=said.append
    ) as session:
        found = []
        for one in session.run():
            found.append(one)
            if len(found) == 20:
                ending.set()
        received = session.stream.statistics().received
    assert [one.wanted for one in found[:2]] == [True, False]
    assert [one.record for one in found if one.wanted] == [
        json.loads(line) for line in log.read_text().splitlines()
    ]
    assert read_metrics(counters.read_text())["amrq_chunks_received_total"].value() == received > 0
    assert session.losses() == [] and said == []


def test_a_session_that_cannot_begin_leaves_nothing_open(tmp_path: Path) -> None:
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    before = threading.active_count()
    options = SessionOptions(record=tmp_path / "none" / "r")
    outputs = OutputOptions(log=str(tmp_path / "log.jsonl"))
    session = LiveSession(SourceOptions(simulate=True), outputs=outputs, options=options)
    with pytest.raises(AmrqError, match="cannot be written"), session:
        raise AssertionError("it was entered")
    assert threading.active_count() == before


def test_a_session_tells_a_script_that_its_source_was_silent(tmp_path: Path) -> None:
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    source = SourceOptions(udp="127.0.0.1:0", sample_rate=1e6, symbol_rate=100e3)
    session = LiveSession(source, options=SessionOptions(stall=0.3), say=lambda text: None)
    with pytest.raises(StalledError, match="nothing was received"), session:
        assert list(session.run()) == []


def test_errors_name_the_fields_in_a_script() -> None:
    with pytest.raises(OptionError) as caught, open_signal(RECORDING.with_name("noise.sigmf-meta")):
        pass
    assert str(caught.value).endswith("give it (symbol_rate).")
    assert caught.value.for_command().endswith("give it (--symbol-rate).")
