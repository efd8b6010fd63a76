# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread beside the stream."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from patience import PATIENCE
from seeds import rng

from amrq.classes import linear_class
from amrq.classifier import Classifier, Evidence
from amrq.decision import Decision, DecisionMaker, DecisionOptions
from amrq.errors import AmrqError
from amrq.model import Contract, Hypothesis
from amrq.worker import Batch, ClassifierWorker
from amrq.worker import batch as batches

CLASSES = ("a", "b")


class Stub(Classifier):
    """Class a for all; waits for `gate`, and fails on request."""

    contract = Contract("stub", CLASSES, 4)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.failure: Exception | None = None
        self.seen: list[int] = []

    def classify(self, chunks: np.ndarray) -> Evidence:
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        self.seen += chunks[:, 0].real.astype(int).tolist()
        count = len(chunks)
        rows = np.tile(np.float32([-0.01, -4.6]), (count, 1))
        return Evidence(rows, rows, np.ones(count, np.float32), np.ones(count, bool))


def batch(first: int, count: int, truths=(), breaks=(), gaps=()) -> Batch:
    numbers = np.arange(first, first + count)
    chunks = np.repeat(numbers[:, None], 4, axis=1).astype(np.complex64)
    return Batch(chunks, 4 * numbers.astype(np.int64), tuple(truths), tuple(breaks), tuple(gaps))


def make(
    stub: Stub, chunks: int = 1, **settings
) -> tuple[ClassifierWorker, list[tuple[Decision, str | None]]]:
    decisions: list[tuple[Decision, str | None]] = []
    maker = DecisionMaker(Stub.contract.weighed(), 4, DecisionOptions(chunks))
    return ClassifierWorker(stub, maker, lambda d, t: decisions.append((d, t)), **settings), decisions


def test_a_file_is_waited_for() -> None:
    stub = Stub()
    worker, decisions = make(stub)
    worker.start()
    for first in range(0, 10_000, 2500):
        worker.submit(batch(first, 2500))
        worker.wait_until_idle()
        assert len(decisions) == first + 2500
    worker.stop()
    assert stub.seen == list(range(10_000))
    assert worker.statistics().as_dict() == {
        "received": 10_000,
        "classified": 10_000,
        "silent": 0,
        "not_finite": 0,
        "dropped": 0,
        "queued": 0,
        "decisions": 10_000,
    }


def test_a_file_waits_when_the_queue_is_full() -> None:
    stub = Stub()
    stub.gate.clear()
    worker, decisions = make(stub, queue_chunks=10)
    worker.start()
    worker.submit(batch(0, 3))
    assert stub.entered.wait(PATIENCE)
    worker.submit(batch(3, 10))
    blocked = threading.Thread(target=worker.submit, args=(batch(13, 1),))
    blocked.start()
    while worker.statistics().received < 14:
        threading.Event().wait(0.001)
    assert blocked.is_alive() and not decisions
    stub.gate.set()
    blocked.join(PATIENCE)
    assert not blocked.is_alive()
    worker.wait_until_idle()
    assert stub.seen == list(range(14))
    worker.stop()


def test_batches_split_and_join_with_their_tags() -> None:
    whole = batch(0, 50, truths=[(0, "a"), (80, "b"), (196, None)], breaks=[0, 20, 49], gaps=[1, 21])
    for cut in (0, 1, 20, 21, 49, 50, 60):
        joined = Batch.join(whole.split(cut))
        np.testing.assert_array_equal(joined.chunks, whole.chunks)
        np.testing.assert_array_equal(joined.sample_indices, whole.sample_indices)
        assert (joined.truths, joined.breaks, joined.gaps) == (whole.truths, whole.breaks, whole.gaps)
    rest = whole.without(np.arange(50) < 3)
    assert (rest.breaks, rest.gaps) == ((0, 17, 46), (0, 18))


def test_live_drops_the_oldest_and_accounts_for_all() -> None:
    stub = Stub()
    stub.gate.clear()
    worker, decisions = make(stub, live=True, queue_chunks=10)
    worker.start()
    worker.submit(batch(0, 3))
    assert stub.entered.wait(PATIENCE)
    for first in range(3, 103, 4):
        worker.submit(batch(first, 4))
    statistics = worker.statistics()
    assert statistics.received == 103
    assert statistics.queued == 3 + 10
    assert statistics.dropped == 103 - 13
    stub.gate.set()
    assert worker.wait_until_idle(60)
    worker.stop()
    # The three in work, and the ten newest.
    assert stub.seen == [0, 1, 2, *range(93, 103)]
    assert [decision.sample_index for decision, _ in decisions] == [4 * n for n in stub.seen]


def test_truth_and_break_survive_the_drop_of_their_chunk() -> None:
    stub = Stub()
    stub.gate.clear()
    worker, decisions = make(stub, chunks=100, live=True, queue_chunks=6)
    worker.start()
    worker.submit(batch(0, 1, truths=[(0, "a")]))
    assert stub.entered.wait(PATIENCE)
    worker.submit(batch(1, 4, truths=[(8, "b")], breaks=[1]))
    worker.submit(batch(5, 5))
    stub.gate.set()
    assert worker.wait_until_idle(60)
    worker.stop()
    # Chunks 1 to 3 were dropped; the break on chunk 2 still parts chunk 0 from what follows, whose truth is b.
    assert [(d.sample_index // 4, d.chunks, truth) for d, truth in decisions] == [(0, 1, "a"), (4, 6, "b")]


def test_nothing_is_fused_across_a_break() -> None:
    stub = Stub()
    worker, decisions = make(stub, chunks=8)
    worker.start()
    worker.submit(batch(0, 3000, breaks=[5, 2500]))
    worker.wait_until_idle()
    worker.stop()
    edges = {decision.sample_index // 4 for decision, _ in decisions}
    assert {0, 5, 2500} <= edges
    assert sum(decision.chunks for decision, _ in decisions) == 3000


@pytest.mark.parametrize("live", [False, True])
def test_a_failure_reaches_the_stream(live: bool) -> None:
    stub = Stub()
    stub.failure = RuntimeError("no")
    worker, _ = make(stub, live=live)
    worker.start()
    with pytest.raises(RuntimeError, match="no"):
        for first in range(1_000_000):
            worker.submit(batch(first, 1))
    with pytest.raises(RuntimeError, match="no"):
        worker.stop()


def test_stop_without_start_and_bad_queue() -> None:
    worker, decisions = make(Stub())
    worker.stop()
    assert decisions == []
    with pytest.raises(AmrqError):
        make(Stub(), queue_chunks=0)


def test_statistics_add_up_at_every_moment() -> None:
    stub = Stub()
    readings = []
    worker = ClassifierWorker(
        stub,
        DecisionMaker(Stub.contract.weighed(), 4, DecisionOptions(1)),
        lambda decision, truth: readings.append(worker.statistics()),
    )
    worker.start()
    for first in range(0, 5000, 1250):
        worker.submit(batch(first, 1250))
    worker.wait_until_idle()
    worker.stop()
    assert len(readings) == 5000
    for s in readings:
        assert s.received == s.classified + s.silent + s.not_finite + s.dropped + s.queued


def test_truths_survive_an_overload() -> None:
    stub = Stub()
    worker, decisions = make(stub, live=True, queue_chunks=50)
    worker.start()
    for first in range(0, 40_000, 8):
        worker.submit(batch(first, 8, truths=[(4 * n, str(n)) for n in range(first, first + 8)]))
    worker.stop()
    assert decisions
    assert all(truth == str(decision.sample_index // 4) for decision, truth in decisions)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_a_callback_that_exits_ends_the_stream(error: BaseException) -> None:
    def leave(decision: Decision, truth: str | None) -> None:
        raise error

    worker = ClassifierWorker(Stub(), DecisionMaker(Stub.contract.weighed(), 4, DecisionOptions(1)), leave)
    worker.start()
    with pytest.raises(RuntimeError, match="thread ended"):
        for first in range(1_000_000):
            worker.submit(batch(first, 1))
    with pytest.raises(RuntimeError, match="thread ended"):
        worker.stop()


def test_no_decision_spans_what_was_dropped() -> None:
    stub = Stub()
    stub.gate.clear()
    worker, decisions = make(stub, chunks=8, live=True, queue_chunks=20)
    worker.start()
    worker.submit(batch(0, 5))
    assert stub.entered.wait(PATIENCE)
    for first in range(5, 505, 4):
        worker.submit(batch(first, 4))
    stub.gate.set()
    assert worker.wait_until_idle(60)
    worker.stop()
    # Chunks 0 to 4, a gap, and the 20 newest.
    assert [(d.sample_index // 4, d.chunks) for d, _ in decisions] == [(0, 5), (485, 8), (493, 8), (501, 4)]
    assert all(d.sample_count == 4 * d.chunks for d, _ in decisions)


def test_stop_does_not_wait_for_a_long_queue() -> None:
    stub = Stub()
    stub.gate.clear()
    worker, _ = make(stub, queue_chunks=8192)
    worker.start()
    worker.submit(batch(0, 8000))
    assert stub.entered.wait(PATIENCE)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    while worker.statistics().dropped == 0:
        threading.Event().wait(0.001)
    stub.gate.set()
    stopping.join(PATIENCE)
    statistics = worker.statistics()
    assert len(stub.seen) == statistics.classified == 2048
    assert statistics.dropped == 8000 - 2048


class Other(Stub):
    """Class d for all."""

    contract = Contract("other", ("c", "d"), 4)

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def classify(self, chunks: np.ndarray) -> Evidence:
        evidence = super().classify(chunks)
        return evidence._replace(
            log_probabilities=evidence.log_probabilities[:, ::-1],
            log_likelihoods=evidence.log_likelihoods[:, ::-1],
        )

    def close(self) -> None:
        self.closed = True


def test_another_classifier_takes_over_without_losing_a_chunk() -> None:
    first, second, third = Stub(), Other(), Other()
    first.gate.clear()
    worker, decisions = make(first, chunks=7)
    worker.start()
    worker.submit(batch(0, 100))
    assert first.entered.wait(PATIENCE)  # these are the first one's
    worker.submit(batch(100, 50))
    made: list[int] = []  # decisions made when a successor took over
    for successor in (third, second):  # the third never gets a turn
        maker = DecisionMaker(Other.contract.weighed(), 4, DecisionOptions(7))
        worker.swap(successor, maker, lambda: made.append(len(decisions)))
    assert third.closed
    first.gate.set()
    worker.wait_until_idle()
    worker.stop()
    assert (first.seen, second.seen, third.seen) == ([*range(100)], [*range(100, 150)], [])
    assert made == [15]
    assert sum(decision.chunks for decision, _ in decisions) == 150
    # Nothing is fused across the change: 100 chunks are 14 decisions of 7 and one of 2.
    assert [d.best for d, _ in decisions] == ["a"] * 15 + ["d"] * 8
    assert [d.chunks for d, _ in decisions[13:16]] == [7, 2, 7]
    assert worker.statistics().classified == 150
    assert not second.closed  # whoever opened it closes it


class LevelStub(Stub):
    """Takes a level; knows two classes at two levels of Es/N0, and says each chunk's level is the first."""

    contract = Contract(
        "level stub",
        CLASSES,
        4,
        level_input=True,
        hypotheses=tuple(Hypothesis(name, x, 0.25) for name in CLASSES for x in (5.0, 15.0)),
    )

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[np.ndarray | None] = []

    def classify(self, chunks: np.ndarray, tracked_power: np.ndarray | None = None) -> Evidence:
        self.levels.append(tracked_power)
        rows = np.tile(np.log(np.float32([0.5, 0.1, 0.2, 0.4])), (len(chunks), 1))
        return super().classify(chunks)._replace(log_likelihoods=rows)


def run_levels(track: bool) -> tuple[LevelStub, list[Decision]]:
    stub = LevelStub()
    decisions: list[Decision] = []
    maker = DecisionMaker(stub.contract.weighed(), 4, DecisionOptions(1))
    worker = ClassifierWorker(stub, maker, lambda decision, truth: decisions.append(decision), track=track)
    worker.start()
    for first in range(0, 3000, 750):
        chunks = np.full((750, 4), 3, np.complex64)
        indices = 4 * np.arange(first, first + 750)
        worker.submit(Batch(chunks, indices, (), (250,) if first == 1500 else ()))
    worker.wait_until_idle()
    worker.stop()
    return stub, decisions


def test_a_model_that_takes_a_level_gets_it_and_a_break_ends_it() -> None:
    stub, decisions = run_levels(track=True)
    level = np.concatenate([part for part in stub.levels if part is not None])
    unknown = np.flatnonzero(np.isnan(level))
    assert unknown.tolist() == [*range(16), *range(1750, 1766)]
    np.testing.assert_allclose(level[~np.isnan(level)], 9, rtol=1e-6)
    # Without knowledge of Es/N0 both classes are as likely, .3; where the first level is tracked, .5 against .2.
    confidence = np.array([decision.confidence for decision in decisions])
    assert confidence[[0, 1750]] == pytest.approx(0.5, abs=1e-3)
    assert confidence[[1749, 2999]] == pytest.approx(0.5 / 0.7, abs=0.02)


def test_tracking_can_be_left_out() -> None:
    stub, decisions = run_levels(track=False)
    assert all(part is None for part in stub.levels)
    assert {round(decision.confidence, 3) for decision in decisions} == {0.5}


class Losing(Stub):
    """Loses the chunks whose numbers it is told to lose."""

    def __init__(self, lost: set[int]) -> None:
        super().__init__()
        self.lost = lost
        self.hurried: list[float | None] = []

    def classify(self, chunks: np.ndarray) -> Evidence:
        lost = np.isin(chunks[:, 0].real.astype(int), list(self.lost))
        evidence = super().classify(chunks)
        return evidence._replace(usable=evidence.usable & ~lost, lost=lost)

    def hurry(self, seconds: float | None) -> None:
        self.hurried.append(seconds)

    def counters(self) -> dict[str, int]:
        return {"lost": len(self.lost)}


@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_what_a_classifier_loses_is_dropped_and_nothing_is_fused_across_it(size: int) -> None:
    lost = {0, 1, 20, 39, 40, 41, 70}
    stub = Losing(lost)
    worker, decisions = make(stub, chunks=1000)
    worker.start()
    for first in range(0, 100, size):
        worker.submit(batch(first, min(size, 100 - first), breaks=[2] if size == 7 and first == 49 else []))
    worker.wait_until_idle()
    worker.stop()
    counted = worker.statistics()
    assert (counted.received, counted.classified, counted.dropped, counted.silent) == (100, 93, 7, 0)
    found = [(d.sample_index // 4, d.chunks) for d, _ in decisions]
    broken = [(42, 9), (51, 19)] if size == 7 else [(42, 28)]
    assert found == [(2, 18), (21, 18), *broken, (71, 29)]
    # `stop` does not wait for what may never come, and leaves no hurry to whoever uses the classifier next.
    assert stub.hurried == [2.0, None]


def test_all_can_be_lost() -> None:
    stub = Losing(set(range(50)))
    worker, decisions = make(stub)
    worker.start()
    worker.submit(batch(0, 50))
    assert worker.wait_until_idle(60)
    worker.submit(batch(50, 3))
    worker.wait_until_idle()
    worker.stop()
    assert worker.statistics().dropped == 50
    assert [d.sample_index // 4 for d, _ in decisions] == [50, 51, 52]


def test_room_in_the_queue_can_be_waited_for() -> None:
    stub = Stub()
    stub.gate.clear()
    worker, _ = make(stub, queue_chunks=10)
    worker.start()
    worker.submit(batch(0, 3))
    assert stub.entered.wait(PATIENCE)
    worker.submit(batch(3, 11), wait=False)
    assert not worker.wait_for_room(0.001)
    stub.gate.set()
    assert worker.wait_for_room(60)
    worker.wait_until_idle()
    worker.stop()
    assert stub.seen == list(range(14))


def test_a_border_ends_a_decision_and_nothing_else() -> None:
    stub = Stub()
    worker, decisions = make(stub, chunks=10)
    worker.start()
    joined = Batch.join([replace(batch(0, 7), borders=(3,)), replace(batch(7, 5), borders=(0, 4))])
    assert joined.borders == (3, 7, 11)
    first, rest = joined.split(7)
    assert (first.borders, rest.borders) == ((3,), (0, 4))
    assert joined.without(np.arange(12) == 5).borders == (3, 6, 10)
    worker.submit(first)
    worker.submit(rest)
    worker.wait_until_idle()
    worker.stop()
    assert [(d.sample_index // 4, d.chunks) for d, _ in decisions] == [(0, 3), (3, 4), (7, 4), (11, 1)]


def test_measured_es_n0_goes_with_its_chunks() -> None:
    known = replace(batch(0, 3), es_n0_db=np.float32([1, 2, 3]))
    joined = Batch.join([known, batch(3, 2)])
    assert joined.es_n0_db is not None
    np.testing.assert_array_equal(joined.es_n0_db, [1, 2, 3, np.nan, np.nan])
    first, rest = joined.split(2)
    assert first.es_n0_db is not None and rest.es_n0_db is not None
    assert (len(first.es_n0_db), rest.es_n0_db[0]) == (2, 3)
    assert Batch.join([batch(0, 1), batch(1, 1)]).es_n0_db is None


@pytest.mark.parametrize("cut", [1000, 7])
def test_names_are_checked_with_the_symbols_and_the_noise_of_their_decision(cut: int) -> None:
    """First 16QAM, then 64QAM that the model takes for it, then 16QAM with more noise than there is beside it."""
    generator = rng("worker, checked")
    classes = ("16QAM", "QPSK")

    class Sure(Stub):
        contract = Contract("sure", classes, 32)

        def classify(self, chunks: np.ndarray) -> Evidence:
            rows = np.tile(np.float32([-0.01, -4.6]), (len(chunks), 1))
            return Evidence(rows, rows, np.ones(len(chunks), np.float32), np.ones(len(chunks), bool))

    noise = generator.standard_normal((96, 64)).view(np.complex128) * 0.1 / math.sqrt(2)
    noise[64:] *= 2
    sent = [generator.choice(linear_class(name).points, (32, 32)) for name in ("16QAM", "64QAM", "16QAM")]
    chunks = (np.concatenate(sent) + noise).astype(np.complex64)
    es_n0_db = np.float32([20] * 96)
    sure, decisions = Sure(), []
    maker = DecisionMaker(Sure.contract.weighed(), 32, DecisionOptions(32))
    worker = ClassifierWorker(sure, maker, lambda d, t: decisions.append(d))
    worker.start()
    for start in range(0, 96, cut):
        part = slice(start, start + cut)
        worker.submit(Batch(chunks[part], 32 * np.arange(96)[part], es_n0_db=es_n0_db[part]))
        worker.wait_until_idle()
    worker.stop()
    assert [(d.reason, d.refuted) for d in decisions] == [
        ("named", ""),
        ("foreign", "16QAM"),
        ("foreign", "16QAM"),
    ]
    assert [d.measured_es_n0_db for d in decisions] == [20, 20, 20]


@pytest.mark.parametrize("hop", [5, 32, 40])
def test_a_decision_gets_the_chunks_that_lie_whole_within_it(hop: int) -> None:
    """Also where they begin anywhere, and where some are not finite."""
    random = rng("worker, kept", hop)
    for jump in (0, 3):
        indices = 100 + hop * np.arange(24) + jump * (np.arange(24) > 10)
        chunks = random.standard_normal((24, 64)).view(np.complex128).astype(np.complex64)
        chunks[7, 3] = np.nan
        for first in range(90, 130, 7):
            kept = batches.KeptChunks()
            kept.add(Batch(chunks[:10], indices[:10]))
            kept.add(Batch(chunks, indices), 10)
            end = first + int(random.integers(40, 600))
            found, measured = kept.of(
                Decision("QPSK", 1.0, "QPSK", {}, 1, first, end - first, None, 0.0, "named")
            )
            inside = (indices >= first) & (indices + 32 <= end) & np.isfinite(chunks).all(axis=1)
            assert math.isnan(measured)
            if hop >= 32:
                np.testing.assert_array_equal(found[:, :1] if len(found) else [], chunks[inside, :1])
            else:
                assert np.isfinite(found).all()
                assert len(found) <= int(inside.sum())
