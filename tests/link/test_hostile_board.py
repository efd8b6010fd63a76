# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a board says, its client goes on: locally, dropping and counting, or waiting, as its policy says."""

import contextlib
import dataclasses
import json
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from boards import MODEL, Liar, Says, Told, board, chunks, client, image, in_thread, refusal
from patience import PATIENCE
from seeds import rng
from zmtp import endless

from amrq.classifier import ChunkClassifier
from amrq.errors import AmrqError
from amrq.hardware import IntegerEngine
from amrq.link import (
    BoardEngine,
    Capabilities,
    Frame,
    FrameError,
    LinkSettings,
    MessageType,
    Status,
    scores_reply,
)
from amrq.model import Contract, Hypothesis

HASTY = LinkSettings(
    batch=16, window=4, timeout=10.0, resends=1, heartbeat=5.0, connect_timeout=20.0, backoff=0.02
)
AWAY = dataclasses.replace(HASTY, connect_timeout=0.05)
"""For a board that will not be there at the beginning."""
NOISE = "\x1b]0;title\x07\x1b[2J\r\n\u202eevil"


@pytest.fixture(scope="module")
def engine() -> IntegerEngine:
    return IntegerEngine(image(MODEL))


def truth(engine: IntegerEngine, **changes: object) -> Capabilities:
    right = Capabilities.of(engine, 256)
    return dataclasses.replace(right, **changes)  # type: ignore[arg-type]


def honest(engine: IntegerEngine) -> Says:
    def says(frame: Frame) -> list[bytes]:
        if frame.type is MessageType.HELLO:
            payload = truth(engine).to_bytes()
            return [
                Frame(
                    type=MessageType.CAPABILITIES,
                    session=frame.session,
                    sequence=frame.sequence,
                    payload=payload,
                ).to_bytes()
            ]
        if frame.type is MessageType.PING:
            return [Frame(type=MessageType.PONG, session=frame.session, sequence=frame.sequence).to_bytes()]
        samples = np.frombuffer(frame.payload, "<f4") if frame.format == 3 else None
        if samples is None:
            dtype = {1: "<i1", 2: "<i2"}[frame.format]
            samples = np.frombuffer(frame.payload, dtype).astype(np.float32) * np.float32(frame.scale)
        iq = np.ascontiguousarray(samples.reshape(frame.chunks, frame.chunk_length, 2).transpose(0, 2, 1))
        return [scores_reply(frame, engine.run(iq, None)).to_bytes()]

    return says


def with_capabilities(payload: bytes) -> Says:
    def says(frame: Frame) -> list[bytes]:
        if frame.type is not MessageType.HELLO:
            return []
        return [
            Frame(
                type=MessageType.CAPABILITIES, session=frame.session, sequence=frame.sequence, payload=payload
            ).to_bytes()
        ]

    return says


def spoilt(contract: str | bytes, engine: IntegerEngine) -> bytes:
    return truth(engine).to_bytes()[:56] + (contract if isinstance(contract, bytes) else contract.encode())


def json_of(engine: IntegerEngine, **changes: object) -> str:
    return json.dumps({**json.loads(engine.contract.to_json()), **changes})


def hostile_capabilities(engine: IntegerEngine) -> dict[str, bytes]:
    digits = json_of(engine).replace(
        f'"chunk_length": {engine.contract.chunk_length}', f'"weights": {"9" * 5000}'
    )
    other = dataclasses.replace(engine.contract, chunk_length=64)
    level = dataclasses.replace(engine.contract, level_input=True)
    each = [Hypothesis(label, float(level), 1e-3) for label in ("a", "b") for level in range(1000)]
    fewer = Contract(engine.contract.name, ("a", "b"), engine.contract.chunk_length)
    many = dataclasses.replace(fewer, hypotheses=tuple(each))
    return {
        "a number of 5,000 digits": spoilt(digits, engine),
        "deep nesting": spoilt("[" * 100_000, engine),
        "no UTF-8": spoilt(b"\xff\xfe{}", engine),
        "a list": spoilt("[]", engine),
        "infinities": spoilt(json_of(engine, temperature=1e999), engine),
        "numbers for names": spoilt(json_of(engine, name=5, classes=[1, 2]), engine),
        "null": spoilt(json_of(engine, es_n0_db=None, hypotheses=None), engine),
        "nothing": b"",
        "other chunks": truth(engine, chunk_length=64, contract=other).to_bytes(),
        "level features": truth(engine, contract=level).to_bytes(),
        "many scores": truth(engine, scores=2000, contract=many).to_bytes(),
        "few scores": truth(engine, scores=2, contract=fewer).to_bytes(),
        "no formats": truth(engine, sample_formats=0).to_bytes(),
        "1 GiB a batch at no scale": truth(engine, largest_batch=2**32 - 1, input_scale=0.0).to_bytes(),
    }


NAMES = list(hostile_capabilities(IntegerEngine(image(MODEL))))


@contextlib.contextmanager
def asking(
    says: Says, policy: str, told: Told, settings: LinkSettings = HASTY
) -> Iterator[tuple[Liar, ChunkClassifier]]:
    with Liar(says) as liar:
        try:
            with client(liar.endpoint, policy, settings=settings, say=told) as classifier:
                yield liar, classifier
        finally:
            assert all(line.isprintable() and len(line) < 1000 for line in told.lines), told.lines


@pytest.mark.parametrize("name", NAMES)
def test_capabilities_of_any_kind_leave_a_client_that_goes_on(engine: IntegerEngine, name: str) -> None:
    """It classifies here what the board cannot be asked, and there again once the board comes to its senses."""
    said = hostile_capabilities(engine)[name]
    told = Told()
    with Liar(with_capabilities(said)) as liar:
        classifier = ChunkClassifier(BoardEngine(MODEL, liar.endpoint, "local", HASTY, say=told))
        classifier.open()
        assert classifier.classify(chunks(16, "hostile")).usable.all()
        assert classifier.counters()["locally"] == 16
        classifier.close()
        told.wait_for("says of")  # itself, or its model, and what is wrong with that
        classifier = ChunkClassifier(BoardEngine(MODEL, liar.endpoint, "drop", HASTY, say=Told()))
        with pytest.raises(AmrqError, match="says of"):  # there, but of no use: no sense in going on
            classifier.open()
    with asking(honest(engine), "local", told) as (liar, classifier):
        given = chunks(64, "hostile")
        assert classifier.engine._link.wait_for_board(PATIENCE)
        assert classifier.classify(given).usable.all()
        assert classifier.counters()["by_board"] == 64
        liar.says = lambda frame: (
            with_capabilities(said)(frame)
            if frame.type is MessageType.HELLO
            else refusal(frame, Status.NO_SESSION)
        )
        hellos = liar.heard[MessageType.HELLO]
        found = classifier.classify(given)
        assert found.usable.all() and found.lost is not None and not found.lost.any()
        assert classifier.counters()["locally"] == 64
        liar.wait_for(MessageType.HELLO, hellos + 2)  # it tries again, and again
        assert classifier.classify(given).usable.all()
        liar.says = honest(engine)
        told.wait_for("is there again")
        assert classifier.classify(given).usable.all()
        counted = classifier.counters()
        assert counted["locally"] == 128 and counted["by_board"] == 128 and counted["lost"] == 0, counted


def test_capabilities_of_more_than_a_mebibyte_are_not_looked_at(engine: IntegerEngine) -> None:
    with pytest.raises(FrameError, match="at most 1048576 bytes"):
        Capabilities.from_bytes(spoilt(" " * (1 << 20), engine))


def test_mutated_capabilities_never_raise_anything_else(engine: IntegerEngine) -> None:
    whole = truth(engine).to_bytes()
    generator = rng("capabilities")
    for _ in range(2000):
        mutated = bytearray(whole)
        for place in generator.integers(len(whole), size=generator.integers(1, 9)):
            mutated[place] = generator.integers(256)
        cut = mutated[: generator.integers(len(mutated))] if generator.random() < 0.1 else mutated
        with contextlib.suppress(FrameError):
            Capabilities.from_bytes(bytes(cut))


def with_scores(engine: IntegerEngine, value: float) -> Says:
    right = honest(engine)

    def says(frame: Frame) -> list[bytes]:
        if frame.type is not MessageType.CLASSIFY:
            return right(frame)
        scores = np.zeros((frame.chunks, len(engine.contract.weighed())), np.float32)
        scores[0, 0] = value
        scores[0, 1] = -value
        return [scores_reply(frame, scores).to_bytes()]

    return says


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.4e38], ids=["nan", "inf", "too large"])
@pytest.mark.parametrize("policy", ["local", "drop", "wait"])
def test_scores_that_are_not_finite_are_called_that(engine: IntegerEngine, value: float, policy: str) -> None:
    told = Told()
    given = chunks(16, "nan")
    with asking(with_scores(engine, value), policy, told) as (_, classifier):
        assert classifier.engine._link.wait_for_board(PATIENCE)
        if policy == "wait":
            if np.isfinite(value):  # the largest numbers can be weighed by some models
                with contextlib.suppress(AmrqError):
                    classifier.classify(given)
                return
            with pytest.raises(AmrqError, match="its scores are not finite"):
                classifier.classify(given)
            assert classifier.counters()["board_not_finite"] >= 1
            return
        found = classifier.classify(given)
        assert np.isfinite(found.log_probabilities).all() and np.isfinite(found.log_likelihoods).all()
        counted = classifier.counters()
        assert counted["by_board"] + counted["locally"] + counted["lost"] == 16
        if not np.isfinite(value):
            assert counted["locally" if policy == "local" else "lost"] == 16
            assert counted["board_not_finite"] >= 1
            what = "classified on this machine" if policy == "local" else "dropped"
            (line,) = told.lines
            assert "cannot classify some chunks (its scores are not finite)" in line and what in line
            assert classifier.engine.connected  # the board is there; it is its scores that cannot be used


def test_escape_sequences_of_a_board_are_shown_as_such(engine: IntegerEngine) -> None:
    told = Told()

    def refuses(frame: Frame) -> list[bytes]:
        text = NOISE.encode() * 5000
        return refusal(frame, Status.FULL, text)

    with asking(refuses, "local", told, AWAY):
        told.wait_for("refuses: \\x1b]0;title")

    def fails(frame: Frame) -> list[bytes]:
        if frame.type is not MessageType.CLASSIFY:
            return honest(engine)(frame)
        text = b"\xff\x1b[31m"
        return refusal(frame, Status.FAILED, text)

    told = Told()
    with asking(fails, "local", told) as (_, classifier):
        assert classifier.engine._link.wait_for_board(PATIENCE)
        assert classifier.classify(chunks(16, "escape")).usable.all()
        assert classifier.counters()["locally"] == 16
        told.wait_for("\\x1b[31m")
    with (
        asking(fails, "wait", Told()) as (_, classifier),
        pytest.raises(AmrqError, match=r"\\x1b\[31m") as caught,
    ):
        classifier.classify(chunks(16, "escape"))
    assert str(caught.value).isprintable()

    named = dataclasses.replace(engine.contract, name="evil")
    other = truth(engine, model_sha256=bytes(32), contract=named).to_bytes()
    with Liar(with_capabilities(other)) as liar:
        classifier = ChunkClassifier(BoardEngine(MODEL, liar.endpoint, "drop", HASTY, say=Told()))
        with pytest.raises(AmrqError, match="runs the model evil") as caught:
            classifier.open()
    assert str(caught.value).isprintable()


def test_a_flood_ends_the_connection_and_not_the_client(engine: IntegerEngine) -> None:
    told = Told()

    def floods(frame: Frame) -> list[bytes]:
        pong = Frame(type=MessageType.PONG, session=frame.session, sequence=0).to_bytes()
        return [*honest(engine)(frame), *([pong] * 4000)] if frame.type is MessageType.HELLO else []

    with asking(floods, "local", told) as (_, classifier):
        told.wait_for("floods this client")
        assert classifier.classify(chunks(16, "flood")).usable.all()


def test_nonsense_instead_of_answers_is_named_as_the_reason(engine: IntegerEngine) -> None:
    told = Told()

    def mumbles(frame: Frame) -> list[bytes]:
        if frame.type is not MessageType.CLASSIFY:
            return honest(engine)(frame)
        answer = bytearray(honest(engine)(frame)[0])
        answer[-1] ^= 1
        return [bytes(answer)]

    with asking(mumbles, "drop", told, dataclasses.replace(HASTY, timeout=0.2)) as (_, classifier):
        assert classifier.engine._link.wait_for_board(PATIENCE)
        found = classifier.classify(chunks(16, "mumble"))
        assert found.lost is not None and found.lost.all()
        assert classifier.counters()["board_damaged"] >= 1
        told.wait_for("leaves questions unanswered (of what it says last: the message's CRC-32 is wrong")


def test_trouble_of_the_client_s_own_does_not_end_it(
    engine: IntegerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that cannot be made, and a log that cannot be written, leave it classifying on this machine."""
    said: list[str] = []
    heard = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        heard.set()
        raise BrokenPipeError("nobody reads")

    with Liar(honest(engine)) as liar:
        classifier = ChunkClassifier(BoardEngine(MODEL, liar.endpoint, "local", AWAY, say=say))

        def fail(*_: object) -> None:
            raise OSError("too many open files")

        with monkeypatch.context() as patched:
            patched.setattr(classifier.engine._link._address, "call", fail)
            classifier.open()
            assert heard.wait(PATIENCE)
            assert classifier.classify(chunks(16, "own")).usable.all()
            assert classifier.counters()["locally"] == 16
            assert "cannot be called (too many open files)" in said[0]
        assert classifier.engine._link.wait_for_board(PATIENCE)
        assert classifier.classify(chunks(16, "own")).usable.all()
        assert classifier.counters()["by_board"] == 16
        classifier.close()


def test_a_message_without_end_ends_the_connection(engine: IntegerEngine) -> None:
    """ZMQ takes in parts until there is no memory left; nobody waits for that on either side."""
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = f"tcp://127.0.0.1:{listening.getsockname()[1]}"

        def answer() -> None:
            for _ in range(2):  # the first only looks whether the address can be one
                connection, _ = listening.accept()
                with connection:
                    endless(b"ROUTER", connection)

        finish = in_thread(answer)
        classifier = ChunkClassifier(BoardEngine(MODEL, endpoint, "local", AWAY, say=told))
        classifier.open()
        told.wait_for("sends what has no end")
        assert classifier.classify(chunks(16, "endless")).usable.all()
        assert classifier.counters()["locally"] == 16
        finish()
        classifier.close()
    with board() as started:
        host, port = started.endpoint.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            endless(b"DEALER", connection)
        with client(started.endpoint) as asking_on:
            assert asking_on.classify(chunks(16, "endless")).usable.all()
