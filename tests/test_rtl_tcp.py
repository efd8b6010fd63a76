# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of rtl_tcp against a small server."""

import gc
import itertools
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from patience import PATIENCE
from rtl_tcp_server import HEADER, RtlTcpServer
from seeds import rng

from amrq.errors import AmrqError
from amrq.sources import Piece, RtlTcpFeed, RtlTcpSettings, read_address, read_gain, rtl_tcp_feed
from amrq.sources.rtl_tcp_feed import _RateCheck

SETTINGS = RtlTcpSettings(1_024_000, 433.92e6)
DATA = rng("rtl_tcp").integers(0, 256, 200_000, dtype=np.uint8)
SAMPLES = ((DATA - 127.5) / 127.5).astype(np.float32).view(np.complex64)


def feed_of(
    server: RtlTcpServer, settings: RtlTcpSettings = SETTINGS, patience: float = PATIENCE
) -> RtlTcpFeed:
    return RtlTcpFeed("127.0.0.1", server.port, settings, patience, first_wait=1e-3)


def once(*blocks: bytes | None) -> Callable[[], Iterator[bytes | None]]:
    return lambda: iter(blocks)


def read(feed: RtlTcpFeed, count: int) -> tuple[NDArray[np.complex64], list[Piece]]:
    """Return so many samples, and the pieces that they came in."""
    pieces: list[Piece] = []
    while sum(len(piece.samples) for piece in pieces) < count:
        piece = feed.read(60.0)
        assert piece is not None
        pieces.append(piece)
    return np.concatenate([piece.samples for piece in pieces]), pieces


def test_samples_and_what_the_server_is_asked_for() -> None:
    settings = RtlTcpSettings(2_400_000, 433.92e6, 19.7, -17)
    blocks = [DATA[:1].tobytes(), DATA[1:5000].tobytes(), DATA[5000:].tobytes(), None]  # samples in parts
    with RtlTcpServer(once(*blocks)) as server:
        feed = feed_of(server, settings)
        samples, pieces = read(feed, len(SAMPLES))
        np.testing.assert_allclose(samples, SAMPLES, atol=1e-6)
        first = next(piece for piece in pieces if len(piece.samples))
        assert [(tag.index, tag.key, tag.value) for tag in first.tags] == [
            (0, "rx_rate", 2.4e6),
            (0, "rx_freq", 433.92e6),
        ]
        assert not any(piece.broken for piece in pieces) and not any(piece.tags for piece in pieces[1:])
        while len(server.commands) < 6:
            assert server.commanded.wait(PATIENCE)
        assert server.commands == [
            (2, 2_400_000),
            (5, 2**32 - 17),
            (1, 433_920_000),
            (8, 0),
            (3, 1),
            (4, 197),
        ]
        assert feed.counts().overflows == feed.counts().reconnections == 0
        assert feed.name == f"rtl_tcp://{server.address}"
        feed.close()
        assert feed.read(60.0) is None


def test_settings_that_change() -> None:
    with RtlTcpServer(lambda: itertools.repeat(bytes(1 << 14))) as server:
        feed = feed_of(server)
        read(feed, 1)
        while len(server.commands) < 5:
            assert server.commanded.wait(PATIENCE)
        assert server.commands == [(2, 1_024_000), (5, 0), (1, 433_920_000), (8, 0), (3, 0)]
        feed.set_gain(20)
        feed.set_gain(30)
        feed.set_frequency(868.1e6)
        feed.set_gain(None)
        changes = [(3, 1), (4, 200), (4, 300), (1, 868_100_000), (3, 0)]
        while len(server.commands) < 10:
            server.commanded.clear()
            if len(server.commands) < 10:
                assert server.commanded.wait(PATIENCE)
        assert server.commands[5:] == changes
        while not (piece := feed.read(60.0)) or not piece.tags:
            assert piece is not None
        assert [(tag.key, tag.value) for tag in piece.tags] == [("rx_rate", 1_024_000), ("rx_freq", 868.1e6)]
        with pytest.raises(AmrqError, match="frequency from 1 to"):
            feed.set_frequency(5e9)
        feed.close()


def test_a_server_that_goes_away_is_called_again() -> None:
    told: list[str] = []
    ready = threading.Event()

    def send() -> Iterator[bytes | None]:
        assert ready.wait(PATIENCE)
        while len(server.commands) < 5 * server.clients:  # each connection is told what is wanted
            server.commanded.wait(0.01)
        yield DATA[:4001].tobytes()  # it ends within a sample

    with RtlTcpServer(send) as server:
        feed = feed_of(server)
        feed.report = told.append
        ready.set()
        samples, pieces = read(feed, 3 * 2000)
        np.testing.assert_allclose(samples[:6000], np.tile(SAMPLES[:2000], 4)[:6000], atol=1e-6)
        begins = [piece for piece in pieces if piece.tags]
        assert [piece.broken for piece in begins[:3]] == [False, True, True]
        assert not any(piece.broken for piece in pieces if not piece.tags)
        assert feed.counts().reconnections is not None and feed.counts().reconnections >= 2
        feed.close()
        assert server.commands[:5] == server.commands[5:10]
    assert told[0] == f"the connection to {feed.name} is lost (the server closed it); it is tried again."
    assert told[1] == f"{feed.name} sends again."


def test_a_server_that_is_started_again_after_something_else_was_there() -> None:
    told: list[str] = []
    with RtlTcpServer(once(DATA[:4000].tobytes(), None)) as server:
        feed = feed_of(server)
        feed.report = told.append
        samples, _ = read(feed, 2000)
        np.testing.assert_allclose(samples, SAMPLES[:2000], atol=1e-6)
    with RtlTcpServer(once(), b"220 mail.example ESMTP\r\n", server.port):
        while not any("is not rtl_tcp" in text for text in told):
            piece = feed.read(0.01)
            assert piece is not None and not len(piece.samples)
    with RtlTcpServer(once(DATA[4000:8000].tobytes(), None), port=server.port) as again:
        samples, pieces = read(feed, 2000)
        np.testing.assert_allclose(samples, SAMPLES[2000:4000], atol=1e-6)
        assert pieces[[len(piece.samples) > 0 for piece in pieces].index(True)].broken
        while len(again.commands) < 5:
            assert again.commanded.wait(PATIENCE)
        feed.close()
    assert "is lost (the server closed it)" in told[0] or "is lost (Connection reset" in told[0]
    assert f"the server at {feed.name} is not rtl_tcp: it begins with '220 mail.exa'" in " ".join(told)
    assert told[-1] == f"{feed.name} sends again."
    assert len(told) < 6  # a server that is just closing may say something else, each once


def test_a_server_that_falls_silent_is_called_again() -> None:
    told: list[str] = []
    with RtlTcpServer(once(DATA[:2000].tobytes(), None)) as server:
        feed = feed_of(server, patience=0.05)
        feed.report = told.append
        samples, _ = read(feed, 1000)
        np.testing.assert_allclose(samples, SAMPLES[:1000], atol=1e-6)
        # The server takes one client at a time: the next call is not answered, and that is no news each time.
        while not told:
            feed.read(0.01)
        assert told == [
            f"the connection to {feed.name} is lost (nothing came for 0.05 s); it is tried again."
        ]
        feed.close()


def test_a_connection_that_is_lost_again_and_again_is_reported_once() -> None:
    told: list[str] = []
    with RtlTcpServer(once()) as server:
        feed = feed_of(server)
        feed.report = told.append
        while server.clients < 5:
            feed.read(0.01)
        assert len(told) <= 1
        feed.close()


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "is not rtl_tcp: it begins with 'HTTP/1.1 400', not with 'RTL0'."),
        (b"\x1b[2JRTL0RTL0", "it begins with '\\x1b[2JRTL0RTL0'"),
        (HEADER[:7], "is not rtl_tcp"),
        (b"", "closed the connection without an answer"),
    ],
)
def test_what_is_no_rtl_tcp_is_refused(header: bytes, words: str) -> None:
    with RtlTcpServer(once(), header) as server, pytest.raises(AmrqError) as raised:
        feed_of(server)
    assert words in str(raised.value)


def test_a_server_that_never_answers_is_refused() -> None:
    with (
        RtlTcpServer(once(), None) as server,
        pytest.raises(
            AmrqError,
            match=r"sent no header for 0[.]05 s: it is not rtl_tcp, or it is serving another client",
        ),
    ):
        feed_of(server, patience=0.05)


def test_an_absent_server_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for host in ("127.0.0.1", "nowhere.invalid", "a" * 70, "\x1b[2J"):
        with pytest.raises(AmrqError, match="no server answers at rtl_tcp://") as raised:
            RtlTcpFeed(host, port, SETTINGS)
        assert str(raised.value).isprintable()


def test_what_nobody_fetches_is_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl_tcp_feed, "_LEAST_QUEUE", 1 << 18)
    blocks = [bytes([number]) * (1 << 16) for number in range(100)]
    done = threading.Event()

    def send() -> Iterator[bytes | None]:
        yield from blocks
        yield b"\xff\xff"
        done.set()
        yield None

    with RtlTcpServer(send) as server:
        feed = feed_of(server, RtlTcpSettings(10_000, 1e6))  # room for 262,144 bytes
        assert done.wait(PATIENCE)
        while feed._link._queue[-1].data[-1:] != b"\xff":
            threading.Event().wait(1e-3)
        samples, pieces = read(feed, 1)
        assert pieces[0].broken and pieces[0].tags[1].value == 1e6
        assert feed.counts().overflows == 1
        rest, more = read(feed, sum(len(waiting.data) for waiting in feed._link._queue) // 2)
        assert len(samples) + len(rest) <= (1 << 17) and not any(piece.broken for piece in more)
        assert rest[-1].real == 1.0
        feed.close()


def test_what_comes_at_once_is_kept_and_a_flood_is_held_up() -> None:
    with RtlTcpServer(once(DATA.tobytes() * 10, None)) as server:  # ten seconds at that rate
        feed = feed_of(server, RtlTcpSettings(100_000, 1e6))
        while feed._link._queued < 10 * len(DATA):
            threading.Event().wait(1e-3)
        samples, pieces = read(feed, 10 * len(SAMPLES))
        np.testing.assert_allclose(samples, np.tile(SAMPLES, 10), atol=1e-6)
        assert feed.counts().overflows == 0 and not any(piece.broken for piece in pieces)
        feed.close()
    with RtlTcpServer(lambda: itertools.repeat(bytes(1 << 16))) as server:
        begun = time.monotonic()
        feed = feed_of(server)
        samples, _ = read(feed, 5_000_000)
        received = 2 * len(samples) + feed._link._queued
        assert received <= 8e6 * (time.monotonic() - begun + 1) + (1 << 17)  # whatever time that took
        feed.close()


def test_a_feed_that_nobody_holds_leaves_its_server() -> None:
    with RtlTcpServer(lambda: itertools.repeat(bytes(1 << 14))) as server:
        feed = feed_of(server)
        reference, thread = weakref.ref(feed), feed._thread
        del feed
        gc.collect()
        assert reference() is None
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_the_rate_is_held_against_what_was_asked_for() -> None:
    for real, words in (
        (1e6, None),
        (1.05e6, None),
        (2.048e6, "sends 2.048 MS/s"),
        (4e5, "too slow"),
    ):
        check = _RateCheck(1e6)
        told = [check.look(round(real / 5), 1000 + second / 10) for second in range(100)]
        said = [text for text in told if text]
        assert len(said) == (words is not None)
        assert words is None or words in said[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0, 1e8), "sample rate from 1 to"),
        ((1e6, float("nan")), "frequency from 1 to"),
        ((1e6, 5e9), "frequency from 1 to"),
        ((250_000.5, 1e8), "whole number of samples"),
        ((1e6, 1e8, -1.0), "gain from 0 to 100 dB"),
        ((1e6, 1e8, None, 0.5), "whole number of ppm"),
        ((1e6, 1e8, None, float("inf")), "whole number of ppm"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: tuple[float, ...], words: str) -> None:
    with pytest.raises(AmrqError, match=words):
        RtlTcpSettings(*values)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pi", ("pi", 1234)),
        ("192.168.1.7:7373", ("192.168.1.7", 7373)),
        ("[fe80::1]", ("fe80::1", 1234)),
        ("[::1]:1", ("::1", 1)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text", ["", ":1234", "pi:", "pi:0", "pi:65536", "pi:x", "::1", "[::1", "[]:1", "[::1]x", "a b", "pi:١"]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(AmrqError, match="not the address of a server"):
        read_address(text)


@pytest.mark.parametrize(
    "given",
    ["much", "LNA=", "=3", "LNA=3,LNA=4", "LNA=3,20", "nan", "inf", {}, {"LNA": "x"}, True, b"3", [3]],
)
def test_a_gain_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(AmrqError, match="gain takes a number of dB, or gains of elements"):
        read_gain(given)  # type: ignore[arg-type]


def test_gains() -> None:
    assert read_gain(30) == read_gain(" 30 dB") == 30.0
    assert read_gain("LNA=20, VGA = 16 dB") == read_gain({"LNA": 20, "VGA": 16}) == {"LNA": 20.0, "VGA": 16.0}
    assert read_gain(None) is read_gain("") is read_gain("Auto") is None


def test_closing_does_not_wait_for_a_server_that_does_not_answer() -> None:
    calling, answered, leave = threading.Event(), threading.Event(), threading.Event()

    def blocks() -> Iterator[bytes | None]:
        yield DATA.tobytes()
        assert leave.wait(PATIENCE)  # and the connection is closed

    def unanswered() -> None:
        calling.set()
        assert answered.wait(PATIENCE)

    with RtlTcpServer(blocks) as server:
        feed = feed_of(server)
        read(feed, len(SAMPLES))
        feed._link.connect = unanswered  # type: ignore[method-assign]
        leave.set()
        assert calling.wait(PATIENCE)
        closing = threading.Thread(target=feed.close, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive()
        answered.set()
        feed._thread.join(PATIENCE)
        assert not feed._thread.is_alive()
