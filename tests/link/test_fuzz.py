# SPDX-License-Identifier: GPL-3.0-or-later
"""Anything at all is sent to a board: it answers each message once, and goes on."""

import dataclasses
from collections.abc import Iterator

import pytest
from boards import MODEL, Stranger, board, chunks, image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amrq.hardware import IntegerEngine
from amrq.link import Frame, MessageType, SampleFormat, Status, read_frame

SESSION = 7


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    with board() as started, Stranger(started.endpoint) as one:
        assert (
            one.ask(Frame(type=MessageType.HELLO, session=SESSION, sequence=1)).type
            is MessageType.CAPABILITIES
        )
        yield one
        # After all that it still classifies rightly.
        engine = IntegerEngine(image(MODEL))
        answer = one.ask(question())
        assert answer.type is MessageType.SCORES
        iq = chunks(2, "fuzz").view("f4").reshape(2, 32, 2).transpose(0, 2, 1)
        assert bytes(answer.payload) == engine.run(iq, None).integers.astype("<i4").tobytes()


def question() -> Frame:
    payload = chunks(2, "fuzz").tobytes()
    return Frame(
        type=MessageType.CLASSIFY,
        session=SESSION,
        sequence=2,
        payload=payload,
        format=SampleFormat.CF32,
        flags=0,
        sample_index=64,
        chunks=2,
        chunk_length=32,
        scores=0,
        scale=1.0,
    )


whole = st.builds(
    Frame,
    type=st.sampled_from(MessageType),
    session=st.sampled_from([0, 1, SESSION, 2**64 - 1]),
    sequence=st.integers(0, 2**64 - 1),
    payload=st.one_of(st.binary(max_size=600), st.just(question().payload)),
    format=st.integers(0, 255),
    flags=st.integers(0, 255),
    sample_index=st.integers(0, 2**64 - 1),
    chunks=st.one_of(st.integers(0, 5), st.integers(0, 2**32 - 1)),
    chunk_length=st.one_of(st.just(32), st.integers(0, 2**16 - 1)),
    scores=st.integers(0, 2),
    scale=st.floats(width=32),
    status=st.sampled_from(Status),
).map(Frame.to_bytes)
nearly = st.tuples(st.integers(0, 55), st.integers(0, 255)).map(
    lambda change: change_byte(question().to_bytes(), *change)
)
close = st.builds(
    dataclasses.replace,
    st.just(question()),
    format=st.integers(0, 4),
    chunks=st.integers(0, 3),
    scale=st.sampled_from([1.0, 0.5, 0.3, 0.0]),
).map(Frame.to_bytes)


def change_byte(message: bytes, place: int, value: int) -> bytes:
    return message[:place] + bytes([value]) + message[place + 1 :]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=300), whole, nearly, close))
def test_one_answer_to_anything(stranger: Stranger, message: bytes) -> None:
    answer = stranger.ask(message)
    if answer.type is MessageType.ERROR:
        assert answer.status is not Status.OK and bytes(answer.payload).decode()
        return
    asked = read_frame(message)  # only what can be read is answered otherwise
    pairs = {
        MessageType.HELLO: MessageType.CAPABILITIES,
        MessageType.PING: MessageType.PONG,
        MessageType.CLASSIFY: MessageType.SCORES,
    }
    assert answer.type is pairs[asked.type]
    assert (answer.session, answer.sequence) == (asked.session, asked.sequence)
    if asked.type is MessageType.HELLO and asked.session != SESSION:
        stranger.ask(Frame(type=MessageType.HELLO, session=SESSION, sequence=1))
