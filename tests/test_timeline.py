# SPDX-License-Identifier: GPL-3.0-or-later
"""When and where the symbols of a live stream were received."""

import math
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amrq.outputs import Origin, Timeline

RATE = 1000.0
NOW = 1_800_000_000.0
ORIGIN = Origin("radio", RATE, "m", "0" * 64)


def utc(timeline: Timeline, symbol: int) -> float:
    begun = timeline.place(ORIGIN, symbol).begun
    assert begun is not None
    return begun.timestamp() + symbol / RATE


def test_nothing_is_claimed_before_anything_is_told() -> None:
    begun = datetime(2026, 1, 2, tzinfo=timezone.utc)
    known = Origin("radio", RATE, "m", "0" * 64, 0.0, begun, ((0.0, 5e6),))
    assert Timeline(RATE).place(ORIGIN, 0) == ORIGIN
    assert Timeline(RATE).place(known, 0) == known


def test_a_radio_that_knows_the_time_is_believed_also_after_an_overflow() -> None:
    timeline = Timeline(RATE)
    timeline.add_time(0, NOW, NOW + 5)
    timeline.add_time(1000, NOW + 3.5, NOW + 9)  # 2.5 s were lost
    timeline.add_arrival(10, NOW - 100)  # the computer's clock no longer counts
    assert utc(timeline, 999) == pytest.approx(NOW + 0.999, abs=1e-5)
    assert utc(timeline, 1500) == pytest.approx(NOW + 4.0, abs=1e-5)


def test_a_radio_that_counts_from_zero_keeps_its_distances() -> None:
    timeline = Timeline(RATE)
    timeline.add_time(0, 7.0, NOW)
    timeline.add_time(2000, 12.0, NOW + 60)
    assert utc(timeline, 0) == pytest.approx(NOW, abs=1e-5)
    assert utc(timeline, 2000) == pytest.approx(NOW + 5, abs=1e-5)


@given(st.lists(st.floats(0, 0.4), min_size=1, max_size=40))
def test_without_a_radios_clock_the_promptest_arrival_counts(delays: list[float]) -> None:
    timeline = Timeline(RATE)
    for number, delay in enumerate(delays, 1):
        timeline.add_arrival(32 * number, NOW + 32 * number / RATE + delay)
    assert utc(timeline, 0) == pytest.approx(NOW + min(delays), abs=1e-5)


def test_symbols_that_come_far_too_late_lost_others_on_the_way() -> None:
    timeline = Timeline(RATE)
    timeline.add_arrival(100, NOW + 0.1)
    timeline.add_arrival(200, NOW + 0.2 + 3.0)
    assert utc(timeline, 0) == pytest.approx(NOW, abs=1e-5)
    assert utc(timeline, 200) == pytest.approx(NOW + 3.2, abs=1e-5)


def test_behind_a_break_arrivals_count_anew() -> None:
    timeline = Timeline(RATE)
    timeline.add_arrival(100, NOW + 0.1)
    timeline.add_break(150)  # 0.5 s are lost there, too little to be noticed by the clock
    timeline.add_arrival(200, NOW + 0.2 + 0.5)
    timeline.add_arrival(300, NOW + 0.3 + 0.6)
    assert utc(timeline, 149) == pytest.approx(NOW + 0.149, abs=1e-5)
    assert utc(timeline, 150) == pytest.approx(NOW + 0.65, abs=1e-5)
    assert utc(timeline, 300) == pytest.approx(NOW + 0.8, abs=1e-5)


def test_what_comes_after_the_last_symbol_changes_nothing() -> None:
    """Whether it has been read by then depends on how a stream is cut."""
    timeline = Timeline(RATE)
    timeline.add_snr(0, 12.0)
    timeline.add_equaliser(0, "linear")
    before = timeline.locate(ORIGIN, 0, 1024)
    timeline.add_snr(1024, 15.0)
    timeline.add_equaliser(1024, "")
    assert timeline.locate(ORIGIN, 0, 1024) == before
    assert (before.snr_db, before.equaliser) == (12.0, "linear")
    after = timeline.locate(ORIGIN, 1024, 1024)
    assert (after.snr_db, after.equaliser) == (15.0, "")


def test_a_break_is_nothing_new_where_the_radio_tells_the_time() -> None:
    timeline = Timeline(RATE)
    timeline.add_time(0, NOW, NOW)
    timeline.add_break(150)
    timeline.add_arrival(200, NOW + 7)
    assert utc(timeline, 200) == pytest.approx(NOW + 0.2, abs=1e-5)


def test_positions_count_more_than_counting_symbols() -> None:
    timeline = Timeline(RATE)
    for symbol in range(0, 100_001, 500):  # symbols are 0.4 % longer than their nominal rate says
        timeline.add_position(symbol + 16, symbol * 1.004 / RATE)
    timeline.add_time(16, NOW, NOW)
    start = Origin("radio", RATE, "m", "0" * 64, start=2.0)
    for symbol in (0, 16, 700, 50_016, 100_000):
        expected = max(0.0, (symbol - 16) * 1.004 / RATE)
        placed = timeline.place(start, symbol)
        assert placed.seconds(symbol) == pytest.approx(2.0 + expected, abs=2.5 / RATE)
        assert timeline.locate(start, symbol).seconds(symbol) == placed.seconds(symbol)
        if symbol >= 16:  # nothing is told of the time before
            assert placed.begun is not None
            moment = placed.begun.timestamp() + placed.seconds(symbol)
            assert moment == pytest.approx(NOW + expected, abs=2.5 / RATE)


def test_old_positions_are_forgotten_one_day() -> None:
    timeline = Timeline(RATE)
    for number in range(100_000):
        timeline.add_position(number, 2.0 * number / RATE)
    origin = timeline.locate(ORIGIN, 99_990)
    assert origin.seconds(99_990) == pytest.approx(2 * 99_990 / RATE)


def test_the_carrier_is_told_where_it_stands_out() -> None:
    timeline = Timeline(RATE, offset=-12.5e3)
    assert timeline.locate(ORIGIN, 10).offset is None
    timeline.add_carrier(0, math.nan)
    timeline.add_carrier(512, 0.02)
    timeline.add_carrier(1024, math.nan)
    for symbol, expected in (
        (100, None),
        (512, -12.5e3 + 0.02 * RATE),
        (1000, -12.5e3 + 0.02 * RATE),
        (2000, None),
    ):
        for placed in (timeline.locate(ORIGIN, symbol), timeline.place(ORIGIN, symbol)):
            assert placed.offset == (None if expected is None else pytest.approx(expected))
    timeline.set_sample_rate(4 * RATE)
    assert timeline.locate(ORIGIN, 0).sample_rate == 4 * RATE
    for number in range(100_000):
        timeline.add_carrier(2_000 + number, number * 1e-6)
    assert timeline.locate(ORIGIN, 101_990).offset == pytest.approx(-12.5e3 + 99_990e-6 * RATE)


def test_frequencies_hold_from_their_symbol_on_and_take_the_offset_in() -> None:
    timeline = Timeline(RATE, offset=-12.5e3)
    timeline.add_frequency(0, 100e6)
    timeline.add_frequency(640, 101e6)
    found = [timeline.place(ORIGIN, symbol).frequency(symbol / RATE) for symbol in (0, 639, 640, 10**6)]
    assert found == [99.9875e6, 99.9875e6, 100.9875e6, 100.9875e6]
