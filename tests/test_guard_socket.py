# SPDX-License-Identifier: GPL-3.0-or-later
"""What peers on a network can make a ZMQ socket of ours hold is bounded."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq
from patience import PATIENCE
from zmtp import endless

from amrq.guard_socket import Connections, guard_socket
from amrq.outputs import ZmqPublisher
from amrq.sources import feeds

RECORD = {"label": "QPSK"}


def until(holds: Callable[[], Any]) -> None:
    """Wait for something that another thread does."""
    waiting = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if holds():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not happen")


@contextlib.contextmanager
def subscriber(endpoint: str, *topics: bytes, once: bool = True) -> Iterator[Any]:
    """Subscribe; once it is cut off, not again."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        if once:  # what has come and was not read is lost then, too
            socket.setsockopt(zmq.RECONNECT_IVL, -1)
        socket.connect(endpoint)
        for topic in topics:
            socket.subscribe(topic)
        yield socket


def hears(publisher: ZmqPublisher, socket: Any) -> bool:
    publisher.write(RECORD)
    if not socket.poll(50):
        return False
    assert json.loads(socket.recv()) == RECORD
    return True


def test_subscriptions_of_one_connection_are_bounded() -> None:
    publisher = ZmqPublisher("tcp://127.0.0.1:*")
    with subscriber(publisher.endpoint, b"", b"{", b'{"label"') as honest:
        until(lambda: hears(publisher, honest))
        with subscriber(publisher.endpoint, *(b"%d" % number for number in range(5000))):
            until(lambda: publisher.ended == 1)
            until(lambda: hears(publisher, honest))
            until(lambda: len(publisher._connections) == 1)
        # The same again and again is not more, but is ended as well.
        with subscriber(publisher.endpoint, *([b"same"] * 5000)):
            until(lambda: publisher.ended == 2)
        until(lambda: hears(publisher, honest))
    publisher.close()


def test_a_long_subscription_is_not_taken_in() -> None:
    publisher = ZmqPublisher("tcp://127.0.0.1:*")
    with subscriber(publisher.endpoint, b"") as honest:
        until(lambda: hears(publisher, honest))
        with zmq.Context() as context, context.socket(zmq.SUB) as greedy:
            greedy.setsockopt(zmq.LINGER, 0)
            monitor = greedy.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            greedy.connect(publisher.endpoint)
            greedy.subscribe(b"x" * 5000)
            gone = monitor.poll(1000 * PATIENCE)  # cut off by ZMQ itself
            greedy.disable_monitor()
        assert gone
        until(lambda: hears(publisher, honest))
    publisher.close()


def test_connections_are_bounded() -> None:
    publisher = ZmqPublisher("tcp://127.0.0.1:*", most_subscribers=4)
    with contextlib.ExitStack() as opened:
        honest = opened.enter_context(subscriber(publisher.endpoint, b""))
        until(lambda: hears(publisher, honest))
        for _ in range(8):
            opened.enter_context(subscriber(publisher.endpoint))
        until(lambda: publisher.ended == 5)
        until(lambda: len(publisher._connections) == 4)
        until(lambda: hears(publisher, honest))  # it has subscribed; those that only connected go first
    publisher.close()


def test_what_is_written_before_the_end_arrives() -> None:
    publisher = ZmqPublisher("tcp://127.0.0.1:*")
    with subscriber(publisher.endpoint, b"", once=False) as honest:
        until(lambda: hears(publisher, honest))
        for number in range(500):
            publisher.write({"number": number})
        publisher.close()
        found: list[int] = []
        while len(found) < 500:
            assert honest.poll(1000 * PATIENCE)
            record = json.loads(honest.recv())
            found += [record["number"]] if "number" in record else []
    assert found == list(range(500))


def test_a_connection_is_counted_once_it_is_there_and_forgotten_once_it_is_gone() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        guard_socket(router, 100)
        connections = Connections(router, 2, 1 << 20)
        port = router.bind_to_random_port("tcp://127.0.0.1")

        def look() -> int:
            connections.look()
            return len(connections)

        with context.socket(zmq.DEALER) as dealer:
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.connect(f"tcp://127.0.0.1:{port}")
            for counted in (1, 2, 3):
                dealer.send(b"x")
                frame = router.recv_multipart(copy=False)[-1]
                assert connections.heard(frame, count=True) == counted
            assert look() == 1
            dealer.send(b"x" * 101)  # larger than it takes
            until(lambda: look() == 0)
        assert connections.ended == 0
        connections.close()


def test_a_message_of_samples_without_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_LARGEST_MESSAGE", 1 << 20)
    monkeypatch.setattr(feeds, "_WAITING", 4)
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def send() -> None:
            connection, _ = listening.accept()
            with connection:
                endless(b"PUB", connection)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        feed = feeds.ZmqFeed(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        feed.report = said.append
        until(lambda: feed.read(0.02) is not None and feed.counts().refused)
        sender.join(PATIENCE)
        assert not sender.is_alive()
        feed.close()
    assert said[0].endswith("a message of more than 4,194,304 bytes is not read to its end; it is left out.")


def test_a_subscription_without_end_is_not_waited_for() -> None:
    publisher = ZmqPublisher("tcp://127.0.0.1:*")
    port = int(publisher.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        endless(b"SUB", connection, 256)
    with subscriber(publisher.endpoint, b"") as honest:
        until(lambda: hears(publisher, honest))
    publisher.close()


def test_what_waits_of_all_connections_together_is_bounded() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        guard_socket(router, 200_000)
        connections = Connections(router, 10, 100_000, 250_000)
        port = router.bind_to_random_port("tcp://127.0.0.1")
        with contextlib.ExitStack() as opened, contextlib.closing(connections):
            dealers = [opened.enter_context(context.socket(zmq.DEALER)) for _ in range(5)]
            for number, dealer in enumerate(dealers):
                dealer.setsockopt(zmq.LINGER, 0)
                dealer.setsockopt(zmq.RECONNECT_IVL, -1)
                dealer.connect(f"tcp://127.0.0.1:{port}")
                dealer.send(bytes(60_000 + 1000 * number))  # none of which is read

            def look() -> int:
                connections.look()
                return connections.ended

            until(lambda: look() == 1)
            assert (look(), len(connections)) == (1, 4)
            for dealer in dealers:  # more than one may
                with contextlib.suppress(zmq.Again):
                    dealer.send(bytes(60_000), zmq.NOBLOCK)
            until(lambda: look() >= 2)
