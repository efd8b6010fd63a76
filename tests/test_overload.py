# SPDX-License-Identifier: GPL-3.0-or-later
"""A live stream with a model ten times slower than it needs."""

import itertools
import json
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seeds import SEED

from amrq.classifier import Classifier, Evidence, make_classifier
from amrq.identify import SignalSearch
from amrq.live import LiveStream
from amrq.measure import StreamInfo
from amrq.outputs import Origin, SigmfRecorder
from amrq.signals import ModulatedSignal, Schedule
from amrq.sources import LiveSource

pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")

import pmt
from gnuradio import gr
from gnuradio.amrq.classifier_sink import classifier_sink
from gnuradio.amrq.decision_flowgraph import decision_flowgraph

RATE, SPS, LENGTH = 100e3, 4, 32
NAMES = ("BPSK", "8PSK", "4ASK", "QPSK")
DWELL = 5_000  # symbols; no whole number of chunks, decisions or calls
CHUNKS = 6_000  # sent
SLOWER = 10
QUEUE = 96
BEGUN = 1_800_000_000  # seconds since 1970 that the radio's clock says at first


class Progress:
    """How far the stream has come, in chunks; the only clock of the slow classifier."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._come = 0.0

    def tell(self, chunks: float) -> None:
        with self._changed:
            self._come = chunks
            self._changed.notify_all()

    def wait(self, chunks: float) -> None:
        """Wait while so many chunks are sent, or until the stream's end."""
        with self._changed:
            end = min(self._come + chunks, CHUNKS - 3)
            # Were the stream held up by the classifier, each would wait for the other.
            assert self._changed.wait_for(lambda: self._come >= end, 60), "the stream does not go on"


class SlowClassifier(Classifier):
    """The default model, that needs the time of ten chunks of the stream for one."""

    def __init__(self, progress: Progress) -> None:
        self._model = make_classifier("default", threads=1)
        self.contract = self._model.contract
        self._progress = progress

    def classify(self, chunks: np.ndarray, *level: np.ndarray) -> Evidence:
        self._progress.wait(SLOWER * len(chunks))
        return self._model.classify(chunks, *level)


class radio(gr.sync_block):  # noqa: N801
    """Send samples with their truth and the time of the first, as fast as they are taken."""

    def __init__(self, samples: np.ndarray, changes: list[tuple[int, str]]) -> None:
        gr.sync_block.__init__(self, name="radio", in_sig=None, out_sig=[np.complex64])
        self.error = None
        self.sent = 0
        self._samples, self._changes = samples, changes

    def work(self, input_items: Any, output_items: Any) -> int:
        count = min(len(output_items[0]), len(self._samples) - self.sent, 64 * SPS * LENGTH)
        output_items[0][:count] = self._samples[self.sent : self.sent + count]
        if self.sent == 0:
            time = pmt.make_tuple(pmt.from_uint64(BEGUN), pmt.from_double(0.25))
            self.add_item_tag(0, 0, pmt.intern("rx_time"), time)
        for sample, name in self._changes:
            if self.sent <= sample < self.sent + count:
                self.add_item_tag(0, sample, pmt.intern("modulation"), pmt.intern(name))
        self.sent += count
        return count or -1


class symbol_counter(gr.sync_block):  # noqa: N801
    """Tell how far the stream has come, where chunks are cut from it."""

    def __init__(self, progress: Progress) -> None:
        gr.sync_block.__init__(self, name="symbol_counter", in_sig=[np.complex64], out_sig=None)
        self._progress = progress

    def work(self, input_items: Any, output_items: Any) -> int:
        count = len(input_items[0])
        self._progress.tell((self.nitems_read(0) + count) / LENGTH)
        return count


def test_the_stream_is_untouched_and_every_decision_keeps_its_place() -> None:
    progress = Progress()
    signal = ModulatedSignal(Schedule(NAMES, DWELL), 25.0, 0.0, 0.3, SPS, 0.35, SEED)
    samples, changes = signal.generate(CHUNKS * LENGTH * SPS)
    source = radio(samples.astype(np.complex64), changes)
    flowgraphs: list[Any] = []
    counter = symbol_counter(progress)

    def make(symbol_rate: float, offset: float, on_decision: Any) -> Any:
        flowgraphs.append(
            decision_flowgraph(
                source,
                classifier_sink(
                    stream=StreamInfo(RATE, symbol_rate),
                    backend=lambda model: SlowClassifier(progress),
                    live=True,
                    queue_chunks=QUEUE,
                    on_decision=on_decision,
                ),
            )
        )
        flowgraphs[-1].connect(flowgraphs[-1].front_end, counter)
        return flowgraphs[-1]

    session = LiveStream(
        LiveSource(source, "radio", RATE),
        SignalSearch(0.0, RATE / SPS),
        Origin("radio", RATE / SPS, "m", "0" * 64),
        threading.Event(),
        make,
    )
    decided = list(session.run())

    # All samples were taken, and every chunk is accounted for; a tenth could be classified.
    (flowgraph,) = flowgraphs
    assert source.sent == len(samples) == flowgraph.front_end.samples_read()
    counted = session.statistics()
    assert counted.received == flowgraph.chunker.nitems_written(0)
    assert counted.received == pytest.approx(CHUNKS, abs=3)
    assert counted.received == counted.classified + counted.dropped
    # And what lay in GNU Radio's buffers when the stream ended, which the classifier then waits for no more.
    assert counted.classified <= CHUNKS / SLOWER + 600
    assert counted.decisions == len(decided)

    # The drops are told as they happen.
    told = [record["dropped"] for _, _, record in decided]
    assert told == sorted(told) and 0 < told[-1] <= counted.dropped

    begun = datetime.fromtimestamp(BEGUN + 0.25, timezone.utc)
    sure = 0
    for decision, truth, record in decided:
        # No decision claims anything of chunks that it has not seen.
        assert decision.sample_count == decision.chunks * LENGTH
        begin = decision.sample_index
        assert record["time"] == pytest.approx(begin / (RATE / SPS), abs=3 * SPS / RATE)
        utc = datetime.fromisoformat(record["utc"].replace("Z", "+00:00"))
        assert (utc - begun).total_seconds() == pytest.approx(record["time"], abs=0.5 * SPS / RATE)
        settled = begin % DWELL > 300
        if settled and begin // DWELL == (begin + decision.sample_count) // DWELL:
            sent = NAMES[begin // DWELL % len(NAMES)]
            assert truth == sent
            assert decision.label == sent or (decision.label == "unknown" and decision.chunks < 16)
            sure += decision.label == sent
    assert sure >= 5
    # What was dropped lies between decisions.
    for (before, _, _), (after, _, _) in itertools.pairwise(decided):
        assert after.sample_index >= before.sample_index + before.sample_count


def test_a_slow_disk_does_not_hold_up_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = ModulatedSignal(Schedule(NAMES, DWELL), 25.0, 0.0, 0.3, SPS, 0.35, SEED).generate(
        CHUNKS * LENGTH * SPS
    )[0]
    source = radio(samples.astype(np.complex64), [])
    progress = Progress()
    write = SigmfRecorder._write

    def slow(*job: Any) -> None:
        progress.wait(CHUNKS // 8)
        write(*job)

    monkeypatch.setattr(SigmfRecorder, "_write", slow)
    recorder = SigmfRecorder(tmp_path / "r", RATE, queue_seconds=0.5, numbered=False)
    recorder.begin()
    counter = symbol_counter(progress)

    def make(symbol_rate: float, offset: float, on_decision: Any) -> Any:
        sink = classifier_sink(stream=StreamInfo(RATE, symbol_rate), live=True, on_decision=on_decision)
        made = decision_flowgraph(source, sink, recorder=recorder)
        made.connect(made.front_end, counter)
        return made

    session = LiveStream(
        LiveSource(source, "radio", RATE),
        SignalSearch(0.0, RATE / SPS),
        Origin("radio", RATE / SPS, "m", "0" * 64),
        threading.Event(),
        make,
        recorder,
    )
    for _, _, record in session.run():
        recorder.annotate(record)
    recorder.close()

    assert source.sent == len(samples)
    state = session.recording()
    assert state is not None and not state.failure
    assert state.dropped > 0 and state.samples + state.dropped == len(samples)
    meta = json.loads((tmp_path / "r.sigmf-meta").read_text())
    got = np.fromfile(tmp_path / "r.sigmf-data", np.complex64)
    starts = [capture["core:sample_start"] for capture in meta["captures"]]
    for capture, (start, end) in zip(meta["captures"], itertools.pairwise([*starts, len(got)]), strict=True):
        place = capture["core:global_index"]
        np.testing.assert_array_equal(got[start:end], samples[place : place + end - start])
        moment = datetime.fromisoformat(capture["core:datetime"].replace("Z", "+00:00")).timestamp()
        assert moment == pytest.approx(BEGUN + 0.25 + place / RATE, abs=1e-4)
    assert meta["annotations"]
