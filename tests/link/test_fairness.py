# SPDX-License-Identifier: GPL-3.0-or-later
"""One client costs the others little, and a client that has left costs nothing."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from boards import ANYWHERE, MODEL, ODD_BOARD, Stranger, board, chunks, image, in_thread
from patience import PATIENCE

from amrq.classifier import Engine, IntegerScores
from amrq.errors import AmrqError
from amrq.hardware import IntegerEngine
from amrq.link import (
    BoardServer,
    ClientTable,
    Frame,
    Limits,
    MessageType,
    Request,
    RequestQueue,
    SampleFormat,
    Status,
    read_frame,
)

LENGTH = 32


def question(count: int, session: int = 1, sequence: int = 1) -> Frame:
    return Frame(
        type=MessageType.CLASSIFY,
        session=session,
        sequence=sequence,
        payload=chunks(count, "fair").tobytes(),
        format=SampleFormat.CF32,
        flags=0,
        sample_index=0,
        chunks=count,
        chunk_length=LENGTH,
        scores=0,
        scale=1.0,
    )


BIG, SMALL = question(4096), question(256)


def served(queue: RequestQueue) -> Iterator[tuple[bytes, int, bool]]:
    """Compute what waits: whose it is, how many chunks, and whether a request was finished thereby."""
    while queue.waiting(b"a") or queue.waiting(b"b") or queue.waiting(b"c"):
        turn = queue.take()
        assert turn is not None
        request, count = turn
        over = request.done + count == request.frame.chunks
        assert queue.advance(request, count, over)
        yield request.identity, count, over


def put(queue: RequestQueue, identity: bytes, frame: Frame, sequence: int) -> bool:
    return queue.put(identity, Frame(**{**vars(frame), "sequence": sequence}))


def test_a_small_request_waits_for_one_turn_of_each_other() -> None:
    queue = RequestQueue(Limits())
    held = sum(put(queue, b"a", BIG, number) for number in range(64))
    assert held >= 4
    assert put(queue, b"b", SMALL, 1) and put(queue, b"c", SMALL, 1)
    turns = served(queue)
    begun = [next(turns) for _ in range(4)]
    assert [identity for identity, _, _ in begun] == [b"a", b"b", b"c", b"a"]
    assert all(count <= 256 for _, count, _ in begun)
    rest = list(turns)
    assert sum(over for _, _, over in begun + rest) == held + 2  # each is finished once, in order
    assert sum(count for _, count, _ in begun + rest) == held * 4096 + 512


def test_many_small_requests_share_a_turn() -> None:
    queue = RequestQueue(Limits())
    assert put(queue, b"a", BIG, 1)
    assert all(put(queue, b"b", question(32), number) for number in range(10))
    order = [identity for identity, _, _ in served(queue)]
    assert order[:10] == [b"a", *[b"b"] * 8, b"a"]


def test_what_one_holds_leaves_room_for_all_the_others() -> None:
    limits = Limits(clients=4, waiting_bytes=1 << 23, waiting_bytes_per_client=1 << 23)
    queue = RequestQueue(limits)
    filled = 0
    while put(queue, b"a", BIG, filled):
        filled += 1
    assert 0 < filled * len(BIG.payload) <= limits.waiting_bytes
    for other in (b"b", b"c", b"d"):  # each has its share, a MiB of the 8, whatever others hold
        assert put(queue, other, BIG, 1)
    total = sum(len(request.frame.payload) for request in queue.close())
    assert total <= limits.waiting_bytes


def test_bytes_and_requests_of_one_client_are_limited() -> None:
    queue = RequestQueue(Limits(waiting_bytes_per_client=2 * len(BIG.payload)))
    assert put(queue, b"a", BIG, 1) and put(queue, b"a", BIG, 2) and not put(queue, b"a", BIG, 3)
    queue = RequestQueue(Limits(waiting_per_client=3))
    assert [put(queue, b"a", SMALL, number) for number in range(4)] == [True, True, True, False]
    queue = RequestQueue(Limits(waiting_bytes=1))  # less than any request: one at a time all the same
    assert put(queue, b"a", BIG, 1) and not put(queue, b"a", BIG, 2)
    with pytest.raises(AmrqError, match="waiting_bytes_per_client"):
        Limits(waiting_bytes_per_client=0)


def test_what_was_dropped_is_not_answered() -> None:
    queue = RequestQueue(Limits())
    assert put(queue, b"a", BIG, 1) and put(queue, b"a", BIG, 2) and put(queue, b"b", SMALL, 1)
    turn = queue.take()
    assert turn is not None and turn[0].identity == b"a"
    assert len(queue.drop(b"a")) == 2
    assert not queue.advance(turn[0], turn[1], False)
    assert [identity for identity, _, _ in served(queue)] == [b"b"]
    assert queue.close() == [] and queue.take() is None
    assert not queue.advance(Request(b"a", BIG), 1, True)


def test_a_busy_session_is_no_reason_to_keep_idle_ones() -> None:
    limits = Limits(clients=3, idle=5.0)
    table = ClientTable(limits)
    busy = {b"a"}
    for time, identity in enumerate((b"a", b"b", b"c")):
        table.heard(identity, float(time))
        assert table.greet(identity, 1, float(time), busy.__contains__)
    assert not table.greet(b"d", 1, 5.5, busy.__contains__)  # b is not idle for long enough
    assert table.greet(
        b"d", 1, 6.5, busy.__contains__
    )  # a, silent longest, has work that waits; b makes room
    table.heard(b"a", 7.0)
    assert len(table) == 3
    table.forget(b"c")
    assert len(table) == 2 and table.greet(b"e", 1, 7.0, busy.__contains__)


class Gated(Engine):
    """An engine that computes when it is let.

    Attributes:
        calls: chunks of each call.
        gate: open or not.
    """

    def __init__(self) -> None:
        self._inner = IntegerEngine(image(MODEL))
        for name in ("name", "model_sha256", "contract", "input_scale", "exact_bits", "integer_scores"):
            setattr(self, name, getattr(self._inner, name))
        self.calls: list[int] = []
        self.gate = threading.Event()

    def run(self, iq: np.ndarray, level: np.ndarray | None) -> IntegerScores:
        assert self.gate.wait(PATIENCE)
        self.calls.append(len(iq))
        return self._inner.run(iq, level)


@contextlib.contextmanager
def serving(limits: Limits | None = None) -> Iterator[tuple[BoardServer, Gated]]:
    engine = Gated()
    server = BoardServer(engine, ANYWHERE, limits)
    finish = in_thread(server.run)
    try:
        yield server, engine
    finally:
        engine.gate.set()
        server.stop()
        finish()


def greeted(endpoint: str) -> Stranger:
    one = Stranger(endpoint)
    assert one.ask(Frame(type=MessageType.HELLO, session=1, sequence=1)).type is MessageType.CAPABILITIES
    return one


def test_a_client_that_asks_much_does_not_starve_another() -> None:
    with serving() as (server, engine), greeted(server.endpoint) as hog, greeted(server.endpoint) as other:
        for number in range(64):
            hog.socket.send(Frame(**{**vars(BIG), "sequence": number + 2}).to_bytes())
        pong = None
        refused = 0
        hog.socket.send(Frame(type=MessageType.PING, session=1, sequence=99).to_bytes())
        while pong is None:  # all that it asked is there; the engine stands
            answer = read_frame(hog.socket.recv())
            if answer.type is MessageType.PONG:
                pong = answer
            else:
                assert answer.status is Status.BUSY
                refused += 1
        assert 0 < refused < 64
        other.socket.send(SMALL.to_bytes())
        assert other.ask(Frame(type=MessageType.PING, session=1, sequence=99)).type is MessageType.PONG
        engine.gate.set()
        answer = read_frame(other.socket.recv())
        assert answer.type is MessageType.SCORES and answer.chunks == 256
        assert engine.calls.index(256) >= 0 and engine.calls[:2] == [256, 256]
        answers = [read_frame(hog.socket.recv()) for _ in range(64 - refused)]
        assert all(found.type is MessageType.SCORES and found.chunks == 4096 for found in answers)
        assert [found.sequence for found in answers] == sorted(found.sequence for found in answers)
        assert len({bytes(found.payload) for found in answers}) == 1  # in parts or not, the same to the bit
        reference = IntegerEngine(image(MODEL))
        iq = chunks(4096, "fair").view("f4").reshape(4096, LENGTH, 2).transpose(0, 2, 1)
        expected = reference.run(np.ascontiguousarray(iq), None).integers.astype("<i4").tobytes()
        assert bytes(answers[0].payload) == expected


def test_work_of_a_client_that_left_is_not_done() -> None:
    with serving() as (server, engine), greeted(server.endpoint) as other:
        with greeted(server.endpoint) as gone:
            for number in range(60):
                gone.socket.send(question(16, sequence=number + 2).to_bytes())
            assert gone.ask(Frame(type=MessageType.PING, session=1, sequence=99)).type is MessageType.PONG
        engine.gate.set()
        # While this one is answered, the first reply to the other that cannot be delivered drops all of its rest.
        for number in range(20):
            assert other.ask(question(256, sequence=number + 2)).type is MessageType.SCORES
        assert server.counted["dropped"] > 0
        assert engine.calls.count(16) <= 60 + 1 - server.counted["dropped"]  # one was being computed


def test_another_session_of_a_client_ends_what_the_former_asked() -> None:
    with serving() as (server, engine), greeted(server.endpoint) as one:
        for number in range(8):
            one.socket.send(question(16, sequence=number + 2).to_bytes())
        one.socket.send(Frame(type=MessageType.HELLO, session=2, sequence=1).to_bytes())
        answers = [read_frame(one.socket.recv()) for _ in range(9)]
        assert [answer.status for answer in answers[:8]] == [Status.NO_SESSION] * 8
        assert answers[8].type is MessageType.CAPABILITIES
        engine.gate.set()
        assert one.ask(question(16, session=2)).type is MessageType.SCORES


def test_sessions_of_clients_that_left_make_room() -> None:
    with serving(Limits(clients=1, idle=1000.0)) as (server, engine), Stranger(server.endpoint) as waits:
        with greeted(server.endpoint) as gone:
            gone.socket.send(question(16).to_bytes())
            assert gone.ask(Frame(type=MessageType.PING, session=1, sequence=99)).type is MessageType.PONG
            assert waits.ask(Frame(type=MessageType.HELLO, session=1, sequence=1)).status is Status.FULL
        engine.gate.set()
        while (
            answer := waits.ask(Frame(type=MessageType.HELLO, session=1, sequence=1))
        ).type is MessageType.ERROR:
            assert answer.status in (Status.FULL, Status.TOO_FAST)  # until the board has noticed
            assert len(server._clients) == 1 or engine.calls


def test_a_signal_ends_a_board_whose_engine_does_not_return() -> None:
    """The engine would take ten minutes; the board does not wait for it, nor does its process."""
    slow = ("--delay", "600")
    with board(MODEL, *slow, program=(ODD_BOARD,)) as started, greeted(started.endpoint) as one:
        one.socket.send(question(16).to_bytes())
        one.socket.send(question(16, sequence=2).to_bytes())
        assert one.ask(Frame(type=MessageType.PING, session=1, sequence=99)).type is MessageType.PONG
        assert "0 chunks in 2 requests" in started.end()
        assert {read_frame(one.socket.recv()).status for _ in range(2)} == {Status.STOPPING}


def test_connections_of_strangers_do_not_keep_clients_out() -> None:
    with serving(Limits(clients=2)) as (server, engine), greeted(server.endpoint) as known:
        engine.gate.set()
        host, port = server.endpoint.removeprefix("tcp://").split(":")
        with contextlib.ExitStack() as opened:
            for _ in range(100):
                opened.enter_context(socket.create_connection((host, int(port)), PATIENCE))
            with greeted(server.endpoint) as new:  # takes the place of the stranger that came first
                for one in (known, new):
                    assert one.ask(question(16, sequence=5)).type is MessageType.SCORES
            assert server._connections.ended >= 100 + 2 - (2 * 2 + 64)
            assert len(server._connections) <= 2 * 2 + 64
