# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of samples, as far as they need no GNU Radio."""

import contextlib
import os
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from seeds import rng

from amrq.errors import AmrqError, StalledError
from amrq.options import OptionError
from amrq.sources import (
    PacketFeed,
    PipeFeed,
    SampleCheck,
    SilenceWatch,
    SourceOptions,
    pmt_length,
    read_tag_header,
)


class Clock:
    """Seconds that a test turns on."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_silence_is_reported_once_then_each_minute_and_its_end_too() -> None:
    clock, told = Clock(), list[str]()
    watch = SilenceWatch("a radio\x1b[2J", told.append, clock=clock)
    heard = []
    for second in range(0, 1500):  # tenths of a second; samples come up to the 20th and from the 1,400th on
        clock.seconds = 100 + second / 10
        watch.look(min(second, 20) if second < 1400 else second)
        heard += [(second, text) for text in told]
        told.clear()
    name = "a radio\\x1b[2J"
    assert heard == [
        (50, f"no samples from {name} for 3 s."),
        (620, f"no samples from {name} for 60 s."),
        (1220, f"no samples from {name} for 120 s."),
        (1400, f"samples from {name} come again, after 138 s."),
    ]
    assert (watch.silences, watch.stalled, watch.silent_seconds()) == (1, False, 0.0)
    watch.raise_error()


def test_short_gaps_are_no_news() -> None:
    clock, told = Clock(), list[str]()
    watch = SilenceWatch("a radio", told.append, 5.0, clock)
    for look in range(100):
        watch.look(look // 29)  # 2.9 s without a sample, again and again
        clock.seconds += 0.1
    assert told == [] and watch.silences == 0 and not watch.stalled


def test_what_never_sent_anything_is_told_apart() -> None:
    clock, told = Clock(), list[str]()
    watch = SilenceWatch("a radio", told.append, clock=clock)
    watch.look(0)
    clock.seconds += 3.0
    watch.look(0)
    assert told == ["no samples from a radio yet for 3 s."]
    with pytest.raises(StalledError, match="nothing was received from a radio: check that it sends"):
        watch.raise_error()
    watch.look(1)
    watch.raise_error()
    clock.seconds += 1.0
    watch.look(0)  # another flowgraph counts from 0
    assert watch.silent_seconds() == 1.0
    watch.raise_error()
    watch.look(1)
    assert watch.silent_seconds() == 0.0


def test_a_source_is_given_up_after_so_long() -> None:
    clock, over, stalled = Clock(), threading.Event(), threading.Event()
    watch = SilenceWatch("a radio", lambda text: None, 2.0, clock)
    looks = 0

    def count() -> int:
        nonlocal looks
        looks += 1
        clock.seconds += 0.5
        return min(looks, 3)

    watch.follow(count, over, stalled.set)
    assert stalled.is_set() and watch.stalled and looks == 7
    with pytest.raises(StalledError, match="no samples came from a radio for 2 s") as raised:
        watch.raise_error()
    assert raised.value.exit_status == 3
    over.set()
    watch.follow(count, over, stalled.clear)  # returns at once
    assert looks == 7 and stalled.is_set()


@pytest.mark.parametrize("stall", [0.0, -1.0, float("nan"), float("inf")])
def test_a_stall_that_cannot_be_is_refused(stall: float) -> None:
    with pytest.raises(AmrqError, match="stall must be a number of seconds above 0"):
        SilenceWatch("a radio", print, stall)


def as_integers(numbers: NDArray[np.float64], kind: str) -> NDArray[Any]:
    limits = np.iinfo(np.dtype(kind))
    return np.round(numbers).clip(limits.min, limits.max).astype(kind)


@pytest.mark.parametrize("format", ["cf32", "ci16", "ci8", "cu8"])
@pytest.mark.parametrize("level", [1e-3, 0.05, 0.3, 1.0])
def test_a_format_that_is_not_what_is_sent_is_noticed(format: str, level: float) -> None:
    """What floats are taken for, and floats taken for something else; nothing is said of what is right."""
    numbers = level * rng("formats", format, str(level)).normal(size=20_000)
    sent = {
        "cf32": numbers.astype("<f4"),
        "cf64": numbers.astype("<f8"),
        "ci16": as_integers(32768 * numbers, "<i2"),
        "ci8": as_integers(128 * numbers, "i1"),
        "cu8": as_integers(127.5 + 127.5 * numbers, "u1"),
    }
    for name, values in sent.items():
        sentence = SampleCheck(format).look(values.tobytes())
        if np.count_nonzero(values) < 200:
            assert sentence is None  # next to silence
        elif format == "cf32" and name != "cf32":
            assert sentence and "not likely to be cf32" in sentence and "--format ci16, ci8, cu8" in sentence
        elif format != "cf32" and name == "cf32":
            assert sentence and f"likely to be cf32, not {format}" in sentence
        else:
            assert sentence is None, (name, sentence)


@pytest.mark.parametrize("format", ["cf32", "ci16", "ci8", "cu8"])
def test_a_format_is_looked_at_once_and_silence_says_nothing(format: str) -> None:
    check = SampleCheck(format)
    assert check.look(bytes(1 << 16)) is None
    wrong = np.full(8192, np.nan if format == "cf32" else 1.0, "<f4").tobytes()
    assert check.look(wrong) is None
    assert SampleCheck(format).look(wrong) is not None


def test_a_pipe_ends_and_keeps_parts_of_samples() -> None:
    reader, writer = os.pipe()
    feed = PipeFeed("ci16", reader)
    told: list[str] = []
    feed.report = told.append
    assert feed.read(0.0) is not None  # nothing there, and not over
    got = []
    for part in (b"\x01", b"\x00\x02\x00\x03", b"\x00\x04", b"\x00\x05\x06\x07"):
        os.write(writer, part)
        piece = feed.read(0.0)
        assert piece is not None
        got += list(piece.samples * 32768)
    os.close(writer)
    assert got == [1 + 2j, 3 + 4j]
    assert feed.read(0.0) is None and feed.read(0.0) is None
    assert told == [f"descriptor {reader} ended within a ci16 sample: 3 bytes left out."]
    os.close(reader)


def test_packets_are_not_taken_from_a_closed_port() -> None:
    feed = PacketFeed(0)
    with pytest.raises(AmrqError, match="packets cannot be received"):
        PacketFeed(feed.port)
    port = feed.port
    feed.close()
    PacketFeed(port).close()


def test_a_tag_header_is_read_and_anything_else_is_none() -> None:
    # As gr-zeromq 3.10 writes it: one tag, key "a", value 1.5, no source.
    tag = (7).to_bytes(8, "little") + bytes.fromhex("020001 61 043ff8000000000000 01")
    header = bytes.fromhex("f05f 01") + (5).to_bytes(8, "little") + (1).to_bytes(8, "little") + tag
    found = read_tag_header(header + b"samples")
    assert found is not None
    assert (found.offset, found.length) == (5, len(header))
    assert found.tags == ((7, "a", bytes.fromhex("043ff8000000000000")),)
    for cut in range(len(header)):
        assert read_tag_header(header[:cut]) is None
    for count in (2, 4097, 2**64 - 1):
        assert read_tag_header(header[:11] + count.to_bytes(8, "little") + tag) is None


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_make_a_header_or_a_pmt_fail_otherwise(data: bytes, count: int) -> None:
    read_tag_header(data)
    read_tag_header(bytes.fromhex("f05f01") + bytes(8) + count.to_bytes(8, "little") + data)
    with contextlib.suppress(ValueError):
        assert 0 < pmt_length(data) <= len(data)


def test_deep_and_long_pmts() -> None:
    assert pmt_length(b"\x07\x01" * 900 + b"\x06") == 1801  # a list
    with pytest.raises(ValueError, match="a list too long"):
        pmt_length(b"\x07\x01" * 100_000 + b"\x06")
    with pytest.raises(ValueError, match="deep"):
        pmt_length(b"\x07" * 100_000)
    with pytest.raises(ValueError, match="cut off"):
        pmt_length(b"\x08\xff\xff\xff\xff\x01")


RADIO: dict[str, Any] = {"rtl_tcp": "pi", "sample_rate": 1e6, "frequency": 1e8}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give one source, not none: one of soapy, rtl_tcp, file"),
        ({"stdin": True, "udp": "1"}, "not stdin and udp"),
        ({"stdin": True}, "stdin needs the sample rate"),
        ({"zmq": "tcp://a:1", "sample_rate": -1.0}, "sample_rate must be above 0"),
        ({"zmq": "tcp://a:1", "sample_rate": float("nan")}, "sample_rate must be above 0"),
        (RADIO | {"frequency": None}, "rtl_tcp needs the frequency"),
        (RADIO | {"antenna": "RX"}, "antenna belongs to a radio of SoapySDR"),
        (RADIO | {"bandwidth": 1e6}, "bandwidth belongs to a radio of SoapySDR"),
        (RADIO | {"gain": "loud"}, "gain takes a number of dB, .* not 'loud'"),
        (RADIO | {"ppm": float("nan")}, "ppm must be a number"),
        (RADIO | {"format": "ci16"}, "samples of rtl_tcp are cu8"),
        ({"stdin": True, "sample_rate": 1e6, "gain": 3.0}, "gain belongs to a radio"),
        ({"simulate": True, "sample_rate": 1e6, "ppm": 3.0}, "ppm belongs to a radio"),
        ({"udp": "1", "sample_rate": 1e6, "format": "wav"}, "samples come in one of cf32"),
        (
            {"simulate": True, "sample_rate": 1e6, "format": "mp3"},
            "format must be auto, sigmf, .*, not 'mp3'",
        ),
    ],
)
def test_sources_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(AmrqError, match=words):
        SourceOptions(**options)


def test_silence_counts_from_the_beginning_of_a_run() -> None:
    seconds, said = 0.0, []
    watch = SilenceWatch("a radio", said.append, stall=0.5, clock=lambda: seconds)
    seconds = 10.0  # so long it took to make a flowgraph
    watch.begin()
    watch.look(0)
    assert not watch.stalled and said == []
    seconds = 10.6
    watch.look(0)
    assert watch.stalled


def test_an_error_names_the_options_of_the_command_there() -> None:
    with pytest.raises(OptionError) as caught:
        SourceOptions(**RADIO | {"antenna": "RX"})
    assert str(caught.value).startswith("antenna belongs to a radio of SoapySDR (soapy), not to rtl_tcp")
    assert caught.value.for_command().startswith(
        "--antenna belongs to a radio of SoapySDR (--soapy), not to --rtl-tcp"
    )


def test_a_simulation_has_rates_of_its_own() -> None:
    options = SourceOptions(simulate=True)
    assert (options.sample_rate, options.symbol_rate) == (400e3, 100e3)
    assert SourceOptions(simulate=True, sample_rate=1e6).symbol_rate == 250e3
    assert SourceOptions(simulate=True, symbol_rate=50e3).sample_rate == 400e3


def test_options_of_a_source() -> None:
    options = SourceOptions(soapy="driver=hackrf", sample_rate=2e6, frequency=1e8, gain="LNA=20,VGA=16")
    assert (options.chosen, options.gain) == ("soapy", {"LNA": 20.0, "VGA": 16.0})
    asked: list[tuple[dict[str, Any], str]] = [
        ({"stdin": True}, "cu8"),
        ({"udp": "1"}, "cf32"),
        ({"zmq": "tcp://a:1"}, "cf32"),
        ({"rtl_tcp": "pi"}, "cu8"),
    ]
    for source, format in asked:
        assert SourceOptions(**source, sample_rate=1e6, frequency=1e8).raw_format == format
    assert SourceOptions(udp="1", sample_rate=1e6, format="ci8").raw_format == "ci8"
