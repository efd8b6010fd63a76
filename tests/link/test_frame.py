# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages, byte by byte, and what is none."""

import dataclasses
import struct
import zlib

import numpy as np
import pytest
from boards import MODEL, chunks, image
from hypothesis import given
from hypothesis import strategies as st
from seeds import rng

from amrq.classifier import IntegerScores
from amrq.errors import AmrqError
from amrq.hardware import IntegerEngine
from amrq.link import (
    HEADER_BYTES,
    BoardServer,
    Capabilities,
    ChunkPayload,
    Frame,
    FrameError,
    MessageType,
    SampleFormat,
    ScoreFormat,
    Status,
    read_frame,
    read_logits,
    scores_reply,
)
from amrq.model import Contract

WHOLE = Frame(
    type=MessageType.CLASSIFY,
    session=2**64 - 1,
    sequence=2**63,
    payload=b"abc",
    format=2,
    flags=1,
    sample_index=2**40,
    chunks=7,
    chunk_length=32,
    scores=27,
    scale=2.0**-7,
    status=Status.MALFORMED,
)


def board(level: bool = False, formats: int = 0b1110) -> Capabilities:
    contract = Contract("m", ("a", "b", "c"), 4, level_input=level)
    return Capabilities(
        model_sha256=bytes(range(32)),
        sample_formats=formats,
        exact_formats=8,
        score_formats=6,
        largest_batch=10,
        chunk_length=4,
        scores=3,
        input_scale=2.0**-7,
        contract=contract,
    )


def question(count: int = 5, level: bool = False, **other: object) -> Frame:
    generator = rng("question", count)
    iq = generator.standard_normal((count, 2, 4)).astype(np.float32)
    features = generator.random((count, 3), dtype=np.float32) if level else None
    payload = ChunkPayload(iq, features).to_bytes(SampleFormat.CF32, 1.0)
    frame = Frame(
        type=MessageType.CLASSIFY,
        session=1,
        sequence=2,
        payload=payload,
        format=SampleFormat.CF32,
        flags=int(level),
        sample_index=64,
        chunks=count,
        chunk_length=4,
        scores=0,
        scale=1.0,
    )
    return dataclasses.replace(frame, **other)  # type: ignore[arg-type]


def test_the_header_is_what_the_document_says() -> None:
    message = WHOLE.to_bytes()
    assert len(message) == HEADER_BYTES + 3 == 59
    fields = struct.unpack("<4sBBBBQQQIHHfHHII", message[:56])
    crc = zlib.crc32(message[:52] + bytes(4) + message[56:])
    assert fields == (
        *(b"AMRQ", 1, 3, 2, 1, 2**64 - 1, 2**63, 2**40),
        *(7, 32, 27, 2.0**-7, 1, 0, 3, crc),
    )
    assert read_frame(message) == WHOLE


def test_every_single_flipped_bit_is_noticed() -> None:
    message = WHOLE.to_bytes()
    for place in range(8 * len(message)):
        damaged = bytearray(message)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(FrameError):
            read_frame(bytes(damaged))
    for length in range(len(message)):
        with pytest.raises(FrameError):
            read_frame(message[:length])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for message in (data, b"AMRQ\x01" + data):
        try:
            assert read_frame(message).to_bytes() == message
        except FrameError as error:
            assert error.status is not Status.OK and str(error)


def sealed(message: bytearray) -> bytes:
    """Give a message the length and the CRC that belong to it."""
    message[48:52] = (len(message) - HEADER_BYTES).to_bytes(4, "little")
    message[52:56] = bytes(4)
    message[52:56] = zlib.crc32(message).to_bytes(4, "little")
    return bytes(message)


@given(
    st.lists(st.tuples(st.integers(5, 47), st.integers(0, 255)), max_size=6),
    st.binary(max_size=400),
    st.booleans(),
)
def test_any_whole_message_is_classified_or_refused(
    changes: list[tuple[int, int]], payload: bytes, level: bool
) -> None:
    message = bytearray(question(level=level).to_bytes())
    for place, value in changes:
        message[place] = value
    try:
        frame = read_frame(sealed(message))
        read = ChunkPayload.from_frame(frame, board(level))
        assert read.iq.shape == (frame.chunks, 2, 4)
    except FrameError as error:
        assert error.status is not Status.OK
    try:
        frame = read_frame(sealed(bytearray(message[:HEADER_BYTES] + payload)))
        read_logits(frame, board(level), 5)
        Capabilities.from_bytes(frame.payload)
    except FrameError as error:
        assert error.status is not Status.OK


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        (question(format=0), Status.FORMAT),
        (question(format=77), Status.FORMAT),
        (question(chunk_length=5), Status.LENGTH),
        (question(flags=1), Status.LENGTH),
        (question(chunks=4), Status.MALFORMED),
        (question(0), Status.MALFORMED),
        (question(11), Status.TOO_LARGE),
        (question(chunks=2**32 - 1), Status.TOO_LARGE),
        (question(scale=0.5), Status.MALFORMED),
        (question(scores=3), Status.MALFORMED),
        (question(payload=np.full(40, np.nan, "<f4").tobytes()), Status.MALFORMED),
        (question(format=SampleFormat.CI8, payload=bytes(40), scale=0.3), Status.MALFORMED),
        (question(format=SampleFormat.CI8, payload=bytes(40), scale=0.0), Status.MALFORMED),
        (question(format=SampleFormat.CI8, payload=bytes(40), scale=-0.5), Status.MALFORMED),
    ],
)
def test_what_a_board_does_not_take(frame: Frame, status: Status) -> None:
    with pytest.raises(FrameError) as caught:
        ChunkPayload.from_frame(read_frame(frame.to_bytes()), board())
    assert (caught.value.status, caught.value.session, caught.value.sequence) == (status, 1, 2)


def test_a_format_that_a_board_does_not_take() -> None:
    with pytest.raises(FrameError, match="sample format 3"):
        ChunkPayload.check(question(), board(formats=0b110))


@pytest.mark.parametrize("level", [False, True])
def test_chunks_arrive_as_they_were_sent(level: bool) -> None:
    frame = question(10, level)
    read = ChunkPayload.from_frame(read_frame(frame.to_bytes()), board(level))
    assert read.to_bytes(SampleFormat.CF32, 1.0) == frame.payload
    assert (read.level is not None) == level


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=2), st.integers(-20, 20))
def test_rounding_is_half_to_even_and_saturates(values: list[float], exponent: int) -> None:
    from fractions import Fraction

    iq = np.float32(values).reshape(1, 2, 1)
    for format, low, high in ((SampleFormat.CI8, -128, 127), (SampleFormat.CI16, -32768, 32767)):
        found = format.quantise(iq, 2.0**exponent)
        assert found.shape == (1, 1, 2) and found.dtype == format.dtype
        for value, integer in zip(values, found.ravel().tolist(), strict=True):
            if np.isinf(value):
                expected = high if value > 0 else low
            else:  # Python's round of a fraction is exact, and half to even
                expected = max(low, min(high, round(Fraction(value) / Fraction(2) ** exponent)))
            assert integer == expected
    np.testing.assert_array_equal(iq.ravel(), np.float32(values))  # what was given is left as it was


@pytest.mark.parametrize("scale", [0.3, 0.0, -1.0, np.nan, np.inf, 2.0**-140])
def test_a_scale_that_is_no_power_of_two(scale: float) -> None:
    with pytest.raises(AmrqError, match="power of two"):
        SampleFormat.CI8.quantise(np.zeros((1, 2, 4), np.float32), scale)
    with pytest.raises(AmrqError, match="must be 1"):
        SampleFormat.CF32.quantise(np.zeros((1, 2, 4), np.float32), 0.5)


def test_integers_stand_for_what_they_stood_for() -> None:
    for format in (SampleFormat.CI8, SampleFormat.CI16):
        whole = np.arange(-128, 128, dtype=format.dtype).reshape(8, 16, 2)
        iq = format.restore(whole, 2.0**-7)
        assert iq.dtype == np.float32
        np.testing.assert_array_equal(format.quantise(iq, 2.0**-7), whole)


def test_scores_are_integers_where_they_fit() -> None:
    integers = np.int64([[2**31 - 1, -(2**31), 0]])
    reply = scores_reply(question(1), IntegerScores(integers, -6))
    assert (reply.format, reply.scale, reply.scores) == (ScoreFormat.INT32, 2.0**-6, 3)
    assert (reply.session, reply.sequence, reply.sample_index) == (1, 2, 64)
    large = IntegerScores(integers * 2, -6)
    reply = scores_reply(question(1), large)
    assert (reply.format, reply.scale) == (ScoreFormat.FLOAT32, 1.0)
    np.testing.assert_array_equal(read_logits(reply, board(), 1), large.logits)


@pytest.mark.parametrize(
    "other",
    [
        {"format": 9},
        {"chunks": 2},
        {"scores": 4},
        {"chunk_length": 5},
        {"payload": b""},
        {"scale": 0.3},
        {"scale": 2.0, "format": ScoreFormat.FLOAT32},
        {"format": ScoreFormat.FLOAT32, "scale": 1.0, "payload": np.float32([1, 2, np.nan]).tobytes()},
    ],
)
def test_scores_that_answer_another_question(other: dict[str, object]) -> None:
    reply = scores_reply(question(1), IntegerScores(np.int64([[1, 2, 3]]), -6))
    np.testing.assert_array_equal(read_logits(reply, board(), 1), np.float32([[1, 2, 3]]) / 64)
    with pytest.raises(FrameError):
        read_logits(dataclasses.replace(reply, **other), board(), 1)


def test_capabilities_are_read_as_written_or_refused() -> None:
    told = board(level=True)
    payload = told.to_bytes()
    assert Capabilities.from_bytes(payload) == told
    for damaged in (
        b"",
        payload[:55],
        payload[:56],
        payload[:-1],
        payload[:48] + b"\x05" + payload[49:],  # a chunk length that the contract does not have
        payload[:44] + bytes(4) + payload[48:],  # no batch at all
        payload[:52] + bytes(4) + payload[56:],  # no scale
        payload[:56] + b"[" * 100_000,
        payload[:56] + b"\xff",
    ):
        with pytest.raises(FrameError):
            Capabilities.from_bytes(damaged)


def test_the_exact_formats_are_exact() -> None:
    engine = IntegerEngine(image(MODEL))
    given_ = chunks(2000, "exact")
    iq = np.stack([given_.real, given_.imag], axis=1)
    expected = engine.run(iq, None).integers
    exact_formats = Capabilities.of(engine, 256).exact_formats
    assert exact_formats & SampleFormat.CI16.bit
    for format in SampleFormat:
        scale = 1.0 if format is SampleFormat.CF32 else engine.input_scale
        found = engine.run(format.restore(format.quantise(iq, scale), scale), None).integers
        assert (found == expected).all() == bool(exact_formats & format.bit), format


@pytest.mark.parametrize("model", [MODEL, "blind-small-int4"])
def test_ci8_keeps_chunks_of_unit_rms_where_it_is_not_exact(model: str) -> None:
    told = Capabilities.of(IntegerEngine(image(model)), 256)
    assert not told.exact_formats & SampleFormat.CI8.bit
    scale = told.scale_of(SampleFormat.CI8)
    iq = np.linspace(-1.98, 1.98, 4000, dtype=np.float32).reshape(1, 2, -1)
    lost = SampleFormat.CI8.restore(SampleFormat.CI8.quantise(iq, scale), scale) - iq
    assert np.abs(lost).max() <= scale / 2
    assert told.scale_of(SampleFormat.CI16) == told.input_scale and told.scale_of(SampleFormat.CF32) == 1


def test_a_server_that_cannot_listen() -> None:
    engine = IntegerEngine(image(MODEL))
    with pytest.raises(AmrqError, match="cannot listen at 'nonsense'"):
        BoardServer(engine, "nonsense")
    with pytest.raises(AmrqError, match="give both or neither"):
        BoardServer(engine, client_keys=[], secret_key="x")
