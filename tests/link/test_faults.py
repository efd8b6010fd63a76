# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong between a client and a board: with real processes, nothing hangs, every chunk is counted."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from boards import (
    ANYWHERE,
    MODEL,
    ODD_BOARD,
    PATIENCE,
    QUICK,
    Board,
    Proxy,
    Stranger,
    Told,
    board,
    chunks,
    client,
    image,
    in_thread,
)
from seeds import rng

from amrq.classifier import ChunkClassifier, make_classifier
from amrq.decision import DecisionMaker, DecisionOptions
from amrq.errors import AmrqError
from amrq.hardware import IntegerEngine
from amrq.link import BoardEngine, BoardServer, Frame, LinkSettings, MessageType, Status, make_keys
from amrq.outputs import ZmqPublisher
from amrq.worker import Batch, ClassifierWorker


@pytest.fixture(scope="module")
def healthy() -> Iterator[Board]:
    with board() as started:
        yield started


@pytest.fixture(scope="module")
def reference() -> ChunkClassifier:
    return make_classifier(MODEL, "integer")


def assert_right(
    classifier: ChunkClassifier, reference: ChunkClassifier, count: int, *path: str | int
) -> None:
    """All of some chunks are the board's, and its answers right to the bit."""
    given = chunks(count, *path)
    found, expected = classifier.classify(given), reference.classify(given)
    assert found.lost is not None and not found.lost.any(), classifier.counters()
    for ours, theirs in zip(found[:4], expected[:4], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def assert_accounted(classifier: ChunkClassifier, count: int) -> None:
    counted = classifier.counters()
    assert counted["by_board"] + counted["locally"] + counted["lost"] == count, counted


def lose_every_fifth() -> object:
    seen: list[bytes] = []

    def tamper(message: bytes) -> list[bytes]:
        seen.append(message)
        return [] if len(seen) % 5 == 2 else [message]

    return tamper


def repeat(message: bytes) -> list[bytes]:
    return [message] * 3


def swap() -> object:
    held: list[bytes] = []

    def tamper(message: bytes) -> list[bytes]:
        held.append(message)
        if len(held) < 3:
            return []
        out = held[::-1]
        held.clear()
        return out

    return tamper


def damage_every_fifth() -> object:
    generator, seen = rng("damage"), [0]

    def tamper(message: bytes) -> list[bytes]:
        seen[0] += 1
        if seen[0] % 5 != 2:
            return [message]
        damaged = bytearray(message)
        damaged[generator.integers(len(damaged))] ^= 1 << int(generator.integers(8))
        return [bytes(damaged)]

    return tamper


def foreign(message: bytes) -> list[bytes]:
    return [
        Frame(type=MessageType.SCORES, session=99, sequence=1, payload=b"", format=1, scale=1.0).to_bytes(),
        message,
    ]


@pytest.mark.parametrize(
    ("tamper", "counter"),
    [
        (lose_every_fifth(), "board_resent"),
        (repeat, "board_repeated"),
        (swap(), None),
        (damage_every_fifth(), "board_damaged"),
        (foreign, "board_foreign"),
    ],
    ids=["lost", "repeated", "reordered", "corrupted", "foreign"],
)
def test_replies_that_suffer_on_the_way(healthy, reference, tamper, counter) -> None:
    with Proxy(healthy.endpoint, tamper) as proxy, client(proxy.endpoint) as classifier:
        assert_right(classifier, reference, 16 * 20, "proxy")
        assert_accounted(classifier, 16 * 20)
        if counter is not None:
            assert classifier.counters()[counter] > 0


def test_replies_that_are_all_lost_end_in_counted_drops(healthy) -> None:
    with Proxy(healthy.endpoint, lambda message: []) as proxy, client(proxy.endpoint) as classifier:
        found = classifier.classify(chunks(100, "none"))
        assert found.lost is not None and found.lost.all() and not found.usable.any()
        assert np.isfinite(found.power).all()  # lost, but no silence and not broken
        assert classifier.counters()["lost"] == 100


def test_killed_and_restarted_the_stream_waits(reference) -> None:
    told = Told()
    with board() as first, client(first.endpoint, "wait", say=told) as classifier:
        assert_right(classifier, reference, 200, "before")
        first.kill()
        finish = in_thread(lambda: assert_right(classifier, reference, 200, "while"))
        told.wait_for("the stream waits for it")
        with board(MODEL, listen=first.endpoint):
            finish()
            assert_right(classifier, reference, 200, "after")
        assert_accounted(classifier, 600)
        assert classifier.counters()["by_board"] == 600
        assert sum("waits" in line for line in told.lines) == 1


@pytest.mark.parametrize(("policy", "counter"), [("drop", "lost"), ("local", "locally")])
def test_killed_and_restarted_the_stream_goes_on(reference, policy: str, counter: str) -> None:
    told = Told()
    with board() as first, client(first.endpoint, policy, say=told) as classifier:
        assert_right(classifier, reference, 200, "before")
        first.kill()
        given = chunks(300, "while")
        found = classifier.classify(given)
        assert classifier.counters()[counter] == 300
        if policy == "local":
            expected = reference.classify(given)
            np.testing.assert_array_equal(
                found.log_probabilities.argmax(axis=1), expected.log_probabilities.argmax(axis=1)
            )
            assert any("on this machine" in line for line in told.lines)
        with board(MODEL, listen=first.endpoint):
            told.wait_for("is there again")
            assert_right(classifier, reference, 200, "after")
        assert_accounted(classifier, 700)


def test_stopped_and_resumed(reference) -> None:
    told = Told()
    with board() as stopped, client(stopped.endpoint, say=told) as classifier:
        assert_right(classifier, reference, 100, "before")
        stopped.process.send_signal(signal.SIGSTOP)
        finish = in_thread(lambda: classifier.classify(chunks(500, "while")) and None)
        finish()
        assert classifier.counters()["lost"] == 500
        stopped.process.send_signal(signal.SIGCONT)
        told.wait_for("is there again")
        assert_right(classifier, reference, 100, "after")
        assert_accounted(classifier, 700)


def test_a_slow_board_is_waited_for_while_it_says_it_is_there(reference) -> None:
    settings = LinkSettings(
        batch=16, window=4, timeout=0.2, resends=5, heartbeat=1.0, connect_timeout=PATIENCE
    )
    with board(MODEL, "--delay", "0.3", program=(ODD_BOARD,)) as slow:
        with client(slow.endpoint, settings=settings) as classifier:
            assert_right(classifier, reference, 16 * 6, "slow")
            assert classifier.counters()["board_resent"] > 0
        # What was asked again while it waited was computed once.
        assert "96 chunks" in slow.end()


def worker_on(classifier: ChunkClassifier, **more: object) -> ClassifierWorker:
    maker = DecisionMaker(classifier.contract.weighed(), 32, DecisionOptions(8))
    return ClassifierWorker(classifier, maker, lambda decision, truth: None, **more)


@pytest.mark.parametrize("state", ["gone", "stopped", "slow"])
def test_stop_does_not_wait_for_a_board(state: str) -> None:
    with contextlib.ExitStack() as opened:
        if state == "slow":
            one = opened.enter_context(board(MODEL, "--delay", "30", program=(ODD_BOARD,)))
        else:
            one = opened.enter_context(board())
        classifier = opened.enter_context(client(one.endpoint, "wait"))
        assert classifier.engine.connected
        if state == "gone":
            one.kill()
        elif state == "stopped":
            one.process.send_signal(signal.SIGSTOP)
        worker = worker_on(classifier)
        worker.start()
        worker.submit(Batch(chunks(3000, "stop"), 32 * np.arange(3000)))
        in_thread(worker.stop)()
        counted = worker.statistics()
        assert counted.received == counted.dropped == 3000
        assert counted.queued == 0


def test_an_engine_that_fails(reference) -> None:
    with board(MODEL, "--fail", program=(ODD_BOARD,)) as broken:
        with client(broken.endpoint) as classifier:
            assert classifier.classify(chunks(50, "fail")).lost.all()
        reason = pytest.raises(AmrqError, match="the engine integer failed: the DMA did not finish")
        with client(broken.endpoint, "wait") as classifier, reason:
            classifier.classify(chunks(50, "fail"))
        with client(broken.endpoint, "local") as classifier:
            found = classifier.classify(chunks(50, "fail"))
            assert found.usable.all() and classifier.counters()["locally"] == 50


def test_garbage_from_a_stranger(healthy, reference) -> None:
    generator = rng("garbage")
    with client(healthy.endpoint) as classifier, Stranger(healthy.endpoint) as stranger:
        for number in range(200):
            answer = stranger.ask(generator.bytes(int(generator.integers(0, 200))))
            assert answer.type is MessageType.ERROR and answer.status is Status.MALFORMED
            if number % 50 == 0:
                assert_right(classifier, reference, 40, "garbage", number)
        stranger.socket.send_multipart([b"two", b"frames"])
        assert stranger.socket.recv()
        host, port = healthy.endpoint.removeprefix("tcp://").split(":")
        for _ in range(20):  # what is not even ZMQ
            with socket.create_connection((host, int(port)), PATIENCE) as raw:
                raw.sendall(generator.bytes(300))
        assert_right(classifier, reference, 40, "garbage")


def test_another_version(healthy) -> None:
    message = bytearray(Frame(type=MessageType.HELLO, session=1, sequence=1).to_bytes())
    message[4] = 2
    with Stranger(healthy.endpoint) as stranger:
        assert stranger.ask(bytes(message)).status is Status.VERSION

    def renamed(part: bytes) -> bytes:
        return part[:4] + b"\x02" + part[5:]

    import zmq

    with zmq.Context() as context, context.socket(zmq.ROUTER) as other:
        other.setsockopt(zmq.LINGER, 0)
        other.bind(ANYWHERE)
        endpoint = other.getsockopt(zmq.LAST_ENDPOINT).decode()

        def answer() -> None:
            identity, hello = other.recv_multipart()
            other.send_multipart([identity, renamed(hello)])

        finish = in_thread(answer)
        with pytest.raises(AmrqError, match="speaks another version of the protocol"), client(endpoint):
            pass
        finish()


def test_another_model(healthy) -> None:
    with (
        pytest.raises(AmrqError, match=r"runs the model coherent-small-int4 .* not coherent-small-int8"),
        client(healthy.endpoint, model="coherent-small-int8"),
    ):
        pass


def test_another_model_leaves_the_policy_local_to_go_on(healthy) -> None:
    told = Told()
    with client(healthy.endpoint, "local", model="coherent-small-int8", say=told) as classifier:
        told.wait_for("runs the model coherent-small-int4")
        assert classifier.classify(chunks(50, "other")).usable.all()
        assert classifier.counters()["locally"] == 50


def test_another_model_after_a_restart(reference) -> None:
    told = Told()
    with board() as first, client(first.endpoint, say=told) as classifier:
        assert_right(classifier, reference, 50, "before")
        first.kill()
        with board("coherent-small-int8", listen=first.endpoint) as second:
            told.wait_for("runs the model coherent-small-int8")
            assert classifier.classify(chunks(50, "while")).lost.all()
            second.kill()
        with board(MODEL, listen=first.endpoint):
            told.wait_for("is there again")
            assert_right(classifier, reference, 50, "after")
        assert_accounted(classifier, 150)


def test_keys(tmp_path, reference) -> None:
    for name in ("board", "friend", "stranger"):
        make_keys(tmp_path / name)
    key = {name: str(tmp_path / f"{name}.secret") for name in ("board", "friend", "stranger")}
    public = {name: str(tmp_path / f"{name}.public") for name in key}
    brief = LinkSettings(connect_timeout=0.0)
    with (
        board(MODEL, "--key", key["board"], "--client", public["friend"]) as guarded,
        contextlib.ExitStack() as opened,
    ):
        strangers = [
            opened.enter_context(client(guarded.endpoint, settings=brief, **keys))
            for keys in (
                {},
                {"secret_key": key["stranger"], "board_key": public["board"]},
                {"secret_key": key["friend"], "board_key": public["stranger"]},
            )
        ]
        nobody = opened.enter_context(Stranger(guarded.endpoint))
        nobody.socket.send(Frame(type=MessageType.HELLO, session=1, sequence=1).to_bytes())
        friend = {"secret_key": key["friend"], "board_key": public["board"]}
        for number in range(3):
            with client(guarded.endpoint, **friend) as classifier:
                assert_right(classifier, reference, 50, "keys", number)
        assert not any(one.engine.connected for one in strangers)
        assert not nobody.socket.poll(0)
        assert strangers[1].classify(chunks(10, "keys")).lost.all()


def test_keys_that_are_none(tmp_path: Path) -> None:
    make_keys(tmp_path / "board")
    secret, public = str(tmp_path / "board.secret"), str(tmp_path / "board.public")
    (tmp_path / "long").write_bytes(b"x" * (1 << 20))
    (tmp_path / "overflow").write_bytes(b"#" * 40)
    (tmp_path / "short").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    for name, words in (
        ("long", "holds no key"),
        ("overflow", "holds no key"),
        ("short", "holds no key"),
        ("none", "No such file"),
        ("pipe", "is not a file"),
        (".", "is not a file"),
    ):
        with pytest.raises(AmrqError, match=words):
            BoardServer(IntegerEngine(image(MODEL)), ANYWHERE, None, str(tmp_path / name), [public])
        with pytest.raises(AmrqError, match=words):
            ChunkClassifier(
                BoardEngine(MODEL, "tcp://127.0.0.1:9", secret_key=secret, board_key=str(tmp_path / name))
            )
    with pytest.raises(AmrqError, match=r"a public key by its name: give this side's NAME\.secret"):
        BoardServer(IntegerEngine(image(MODEL)), ANYWHERE, None, public, [public])
    with pytest.raises(AmrqError, match=r"a secret key by its name: give the other side's NAME\.public"):
        BoardServer(IntegerEngine(image(MODEL)), ANYWHERE, None, secret, [secret])
    (tmp_path / "board.public").chmod(0o600)
    with pytest.raises(AmrqError, match="already exists"):
        make_keys(tmp_path / "board")
    (tmp_path / "dangling.secret").symlink_to(tmp_path / "nowhere")
    with pytest.raises(AmrqError, match="already exists"):
        make_keys(tmp_path / "dangling")
    assert not (tmp_path / "dangling.public").exists() and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "endpoint", ["tcp://127.0.0.1:99999", "tcp://127.0.0.1", "tcp://127.0.0.1:-1", "x", "tcp://\udcff:5"]
)
def test_endpoints_that_are_none(endpoint: str) -> None:
    """A port of more than 65535 would be another one without a word."""
    engine = IntegerEngine(image(MODEL))
    for use in (
        lambda: BoardServer(engine, endpoint),
        lambda: ChunkClassifier(BoardEngine(MODEL, endpoint)),
        lambda: ZmqPublisher(endpoint),
    ):
        with pytest.raises(AmrqError, match="for instance"):
            use()


def test_a_port_that_is_taken_is_said_so(healthy) -> None:
    with pytest.raises(AmrqError, match=r"Address already in use.*a free port"):
        BoardServer(IntegerEngine(image(MODEL)), healthy.endpoint)


def test_many_connects(reference) -> None:
    with board(MODEL, "--clients", "20", "--idle", "0.001", program=(ODD_BOARD,)) as busy:
        with client(busy.endpoint) as classifier:
            for number in range(300):
                with Stranger(busy.endpoint) as stranger:
                    answer = stranger.ask(Frame(type=MessageType.HELLO, session=number + 1, sequence=1))
                    assert answer.type is MessageType.CAPABILITIES
                    assert (answer.session, answer.sequence) == (number + 1, 1)
            # It has been silent for longer than 20 others, and was forgotten: it says hello again.
            assert_right(classifier, reference, 100, "connects")
        assert "Traceback" not in busy.end()


def test_as_many_clients_as_there_is_room_for() -> None:
    with board(MODEL, "--clients", "2", program=(ODD_BOARD,)) as small, contextlib.ExitStack() as opened:
        first, second, third = (opened.enter_context(Stranger(small.endpoint)) for _ in range(3))
        for one in (first, second):
            assert (
                one.ask(Frame(type=MessageType.HELLO, session=1, sequence=1)).type is MessageType.CAPABILITIES
            )
        assert third.ask(Frame(type=MessageType.HELLO, session=1, sequence=1)).status is Status.FULL
        assert first.ask(Frame(type=MessageType.PING, session=1, sequence=2)).type is MessageType.PONG


def test_a_client_that_asks_too_fast(reference) -> None:
    with board(MODEL, "--rate", "20", program=(ODD_BOARD,)) as slow:
        with Stranger(slow.endpoint) as stranger:
            answers = [stranger.ask(Frame(type=MessageType.HELLO, session=1, sequence=n)) for n in range(100)]
            assert {answer.status for answer in answers} == {Status.OK, Status.TOO_FAST}
            assert [answer.sequence for answer in answers] == [*range(100)]
        with client(slow.endpoint) as classifier:  # its own allowance; it comes again when told to
            assert_right(classifier, reference, 16 * 30, "fast")
            assert_accounted(classifier, 16 * 30)


def test_more_requests_than_may_wait(reference) -> None:
    with (
        board(MODEL, "--waiting", "1", "--delay", "0.05", program=(ODD_BOARD,)) as small,
        client(small.endpoint) as classifier,
    ):
        assert_right(classifier, reference, 16 * 8, "waiting")
        assert classifier.counters()["board_refused"] > 0


def test_memory_on_both_sides_is_bounded(healthy) -> None:
    with client(healthy.endpoint) as classifier:
        for number in range(30):
            classifier.classify(chunks(64, "memory", number))
        dialogue = classifier.engine._link._dialogue
        assert not dialogue._asked and len(dialogue._given_up) <= dialogue._given_up.maxlen
    assert QUICK.window == 4


def test_the_board_says_goodbye() -> None:
    told = Told()
    with board() as ending, client(ending.endpoint, say=told) as classifier:
        classifier.classify(chunks(64, "end"))
        out = ending.end()
        assert "64 chunks in 4 requests, 0 refused, 1 greetings" in out
        finish = in_thread(lambda: classifier.classify(chunks(64, "end")) and None)
        finish()
        assert classifier.counters()["lost"] == 64
