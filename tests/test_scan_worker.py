# SPDX-License-Identifier: GPL-3.0-or-later
"""A scanner beside its source: the detector in a process of its own or in a thread, what is lost, and how it ends."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from patience import PATIENCE
from seeds import rng

from amrq.channel import SampleRing
from amrq.classifier import Classifier, make_classifier
from amrq.errors import AmrqError
from amrq.finder import Finder, FinderOptions, FinderProcess, Job, finder_process
from amrq.scan import BandScanner, ScanEvent, ScanWorker

RATE = 1e6
MODES = ("process", "thread")

_Samples = NDArray[np.complex64]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return make_classifier("default")


@pytest.fixture(scope="module")
def samples() -> _Samples:
    """Two carriers, one of them keyed, in noise."""
    generator = rng("a band for a worker")
    count = np.arange(700_000)
    noise = (generator.normal(size=(len(count), 2)) @ [0.007, 0.007j]).astype(np.complex64)
    keyed = (count // 60_000) % 3 == 1
    tones = 0.02 * np.exp(0.4j * np.pi * count) + 0.03 * keyed * np.exp(-0.3j * np.pi * count)
    return (noise + tones).astype(np.complex64)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AMRQ_DETECTOR_PROCESS", str(int(request.param == "process")))
    return str(request.param)


@pytest.fixture
def make(classifier: Classifier) -> Iterator[Any]:
    """Makes workers, which are closed after the test."""
    made = []

    def one(queue_seconds: float = 1.0) -> ScanWorker:
        made.append(ScanWorker(BandScanner(RATE, 100e6, classifier=classifier), queue_seconds))
        return made[-1]

    yield one
    for worker in made:
        worker.close(finish=False)


def found(events: list[ScanEvent]) -> list[tuple[Any, ...]]:
    """What the detector says in events, and in which order."""
    names = ("id", "start", "stop", "lower", "upper", "snr_db", "level_dbfs", "bursts")
    return [
        (one.event, one.centre_hz, *(getattr(one.record, name) for name in names))
        for one in events
        if one.event != "change"
    ]


def fed(worker: ScanWorker, samples: _Samples, block: int) -> list[ScanEvent]:
    """Feed samples in blocks, with a break and a retune at places of their own."""
    edges = {250_000: worker.add_break, 480_000: lambda: worker.retune(200e6)}
    places = sorted({*range(0, len(samples), block), *edges, len(samples)})
    for start, stop in itertools.pairwise(places):
        if start in edges:
            edges[start]()
        worker.put(samples[start:stop], wait=True)
    worker.close()
    assert worker.error is None
    return worker.take_events()


def test_a_process_finds_what_a_thread_finds(
    make: Any, samples: _Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the blocks that samples come in, and whenever they come: the same pieces are searched."""
    results = []
    for wanted, block in (("1", 7_000), ("0", 33_333)):
        monkeypatch.setenv("AMRQ_DETECTOR_PROCESS", wanted)
        worker = make(0.2)
        worker.start()
        assert (worker.process_id is None) == (wanted == "0")
        results.append(found(fed(worker, samples, block)))
        counters = worker.snapshot().counters
        assert (counters.samples, counters.dropped, counters.breaks) == (700_000, 0, 1)
    assert results[0] == results[1]
    assert len(results[0]) >= 8 and {one[1] for one in results[0]} == {100e6, 200e6}


def test_levels_are_those_of_a_detector_here(make: Any, samples: _Samples) -> None:
    worker = make()
    worker.start()
    worker.put(samples, wait=True)
    worker.close()
    finder = Finder(RATE, FinderOptions())
    for start in range(0, len(samples), worker._piece):
        finder.process(samples[start : start + worker._piece])
    finder.finish()
    picture = worker.scanner.picture()
    assert np.array_equal(picture.floor, finder.levels.floor.astype(np.float32))
    assert np.array_equal(picture.threshold, finder.levels.threshold.astype(np.float32))


def test_what_is_not_searched_in_time_is_lost_in_few_long_gaps(
    make: Any, samples: _Samples, mode: str
) -> None:
    worker = make(0.2)
    worker._starting = False
    for start in range(0, 400_000, 50_000):  # not started: all of it waits
        worker.put(samples[start : start + 50_000])
    worker.start()
    worker.put(samples[400_000:450_000], wait=True)
    worker.close()
    counters = worker.snapshot().counters
    assert worker.error is None and counters.breaks == 1
    assert counters.dropped in (300_000, 350_000)  # before the last put, or after it
    assert counters.samples + counters.dropped == worker.snapshot().now == 450_000
    assert {one.event for one in worker.take_events()} >= {"begin", "end"}


def test_nothing_is_lost_while_the_detector_starts(make: Any, samples: _Samples, mode: str) -> None:
    """The queue is as long as the ring until the detector has caught up once."""
    worker = make(0.1)
    worker.put(samples)
    worker.start()
    worker.close()
    assert worker.snapshot().counters.dropped == 0 and worker.snapshot().now == len(samples)


def test_what_waits_is_thrown_away_where_nobody_wants_it(make: Any, samples: _Samples, mode: str) -> None:
    worker = make()
    worker.put(samples)
    worker.start()
    worker.close(finish=False)
    assert worker.error is None and worker.snapshot().now < len(samples)
    assert not any(one.on for one in worker.snapshot().emissions)


def test_a_queue_that_is_shorter_than_a_piece_does_not_wait_for_ever(
    make: Any, samples: _Samples, mode: str
) -> None:
    worker = make(0.005)
    worker.start()
    worker.put(samples[:200_000], wait=True)
    worker.close()
    assert worker.error is None and worker.snapshot().counters.samples == 200_000


def test_a_process_that_started_early_serves_one_worker(classifier: Classifier, samples: _Samples) -> None:
    scanner = BandScanner(RATE, classifier=classifier, apart=True)
    first = ScanWorker(scanner)
    first.start()
    assert first.process_id is not None
    first.close()
    other = ScanWorker(scanner)
    other.start()
    other.put(samples[:100_000], wait=True)
    other.close()
    assert other.error is None and other.snapshot().now == 100_000
    assert scanner.finder_apart is None


def test_samples_of_a_wrong_shape_are_refused(make: Any) -> None:
    with pytest.raises(AmrqError, match="a row of complex numbers"):
        make().put(np.zeros((2, 2), np.complex64))


def test_a_fault_of_the_detector_ends_the_scan(make: Any, samples: _Samples, mode: str) -> None:
    worker = make()
    worker.scanner.finding = None  # the process needs them, a thread has them
    worker.scanner.finder.do = None
    worker.start()
    worker.put(samples)
    worker._threads[0].join(PATIENCE)
    assert isinstance(worker.error, (AmrqError, TypeError))
    worker.put(samples, wait=True)  # waits for nothing
    worker.close()


def test_what_does_not_end_in_time_is_said_and_what_was_found_is_kept(
    make: Any, samples: _Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detector that hangs: the records of what it had found come, and the error says that some may be missing."""
    monkeypatch.setattr("amrq.scan.worker._PATIENCE", 0.2)
    worker, hung = make(), threading.Event()
    worker.scanner.process(samples[:400_000])
    worker = ScanWorker(worker.scanner)  # what has begun here goes on here
    worker.scanner.finder.do = lambda job, ring: hung.wait(PATIENCE)
    worker.start()
    assert worker.process_id is None
    worker.put(samples[400_000:600_000])
    worker.close()
    hung.set()
    assert isinstance(worker.error, AmrqError) and "did not end" in str(worker.error)
    assert "end" in {one.event for one in worker.take_events()}
    assert worker.snapshot().counters.dropped >= 100_000
    assert not any(one.on for one in worker.snapshot().emissions)


# The process


def test_a_detector_that_is_killed_ends_the_scan_with_a_sentence(make: Any, samples: _Samples) -> None:
    worker = make(0.1)
    worker.start()
    worker.put(samples[:400_000], wait=True)
    os.kill(worker.process_id, signal.SIGKILL)  # it has started, since most was searched
    worker._threads[0].join(PATIENCE)
    assert isinstance(worker.error, AmrqError) and "was killed" in str(worker.error)
    worker.put(samples[400_000:])
    worker.close()
    assert not any(one.on for one in worker.snapshot().emissions)
    counters = worker.snapshot().counters  # what waited, was on its way and came later is lost
    assert counters.samples + counters.dropped == len(samples)


def test_a_detector_that_is_stopped_holds_nothing_up(
    make: Any, samples: _Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amrq.scan.worker._PATIENCE", 0.2)
    worker = make(0.1)
    worker.start()
    worker.put(samples, wait=True)
    os.kill(worker.process_id, signal.SIGSTOP)
    for _ in range(10):  # more than the ring holds
        worker.put(samples)
    worker.close()
    assert isinstance(worker.error, AmrqError)


def test_signals_to_all_processes_are_the_parents_to_follow(make: Any, samples: _Samples) -> None:
    worker = make()
    worker.start()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(worker.process_id, name)
    worker.put(samples, wait=True)
    worker.close()
    assert worker.error is None and worker.snapshot().now == len(samples)


SCRIPT = """
import os, signal, sys
import numpy as np
from amrq.scan import BandScanner, ScanWorker
worker = ScanWorker(BandScanner(1e6))
worker.start()
worker.put(np.ones(700_000, np.complex64), wait=True)
print(worker.process_id, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("way", ["killed", "left", "left with a thread"])
def test_the_process_ends_with_its_parent(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its standard error is open until it ends: so long this waits. The script has no guard around it.

    A detector in a thread is in SciPy then: an end that unwinds it would abort the script.
    """
    monkeypatch.setenv("AMRQ_DETECTOR_PROCESS", "0" if "thread" in way else "1")
    script = tmp_path / "scan.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, way], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == (-signal.SIGKILL if way == "killed" else 0), done.stderr
    assert done.stderr == "" and (done.stdout == "None\n") == ("thread" in way)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize("missing", ["Pipe", "_started"])
def test_a_process_that_cannot_be_started_leaves_no_files_open(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(f"amrq.finder.process.{missing}", none)
    monkeypatch.setattr("amrq.finder.process._LOG.warning", lambda *_: None)  # its record keeps the error
    ring = SampleRing(RATE, 0.1)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    assert finder_process(ring, FinderOptions()) is None
    del ring  # its memory holds one
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_where_no_process_can_be_started_a_thread_does_it(
    make: Any, samples: _Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> None:
        raise OSError("no memory of this kind")

    with monkeypatch.context() as without:
        without.setattr("os.memfd_create", none)
        worker = make()
        worker.start()
    assert worker.process_id is None
    with monkeypatch.context() as broken:
        broken.setattr("amrq.finder.process._CODE", "raise SystemExit(3)")
        other = make()
        other.start()
    assert found(fed(worker, samples, 10_000)) == found(fed(other, samples, 10_000))


def test_samples_that_were_overwritten_before_they_were_searched_are_a_break() -> None:
    ring = SampleRing(1e5, 1.0)
    process, here = FinderProcess(ring, FinderOptions()), Finder(1e5, FinderOptions())
    ring.append(np.zeros(150_000, np.complex64))
    for job in (Job("samples", 0, 60_000), Job("samples", 60_000, 100_000), Job("end", 100_000, 100_000)):
        process.send(job)
        results = process.receive(), here.do(job, ring)
        assert [(one.gone, one.now) for one in results] == [(60_000 * (job.start == 0), job.stop)] * 2
    process.close()
