# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of samples, as far as they need no GNU Radio."""

import threading

import pytest

from amrq.errors import AmrqError, StalledError
from amrq.sources import SilenceWatch


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
    with pytest.raises(StalledError, match="nothing was received from a radio: see that it sends"):
        watch.raise_error()
    watch.look(1)
    watch.raise_error()
    watch.look(0)  # counts of another flowgraph
    watch.raise_error()


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
