# SPDX-License-Identifier: GPL-3.0-or-later
"""What a terminal shows of a live stream."""

import io
import math
import re
from datetime import datetime, timezone
from typing import Any

import pytest
from rich.console import Console

from amrq.cli.views import LiveView
from amrq.decision import Decision, EsN0Bound, Reason
from amrq.outputs import Origin, decision_record
from amrq.worker import Statistics

NAMES = ("BPSK", "QPSK", "8PSK", "unknown", "no signal")
SECONDS = 0.25  # between two decisions
WIDTHS = (80, 120, 163, 200)


class Session:
    """A session that stands still."""

    symbol_rate: float | None = 9600.0
    confidence = 0.9999
    received = 100

    def statistics(self) -> Statistics:
        return Statistics(received=self.received, dropped=3)

    def level_db(self) -> float:
        return -23.14

    def board_statistics(self) -> dict[str, int]:
        return {}

    def recording(self) -> None:
        return None

    def overflows(self) -> int:
        return 2

    def silent_seconds(self) -> float:
        return 7.0


class Shown:
    """A view, and a clock that goes by the decisions."""

    def __init__(self, source: str = "radio", names: tuple[str, ...] = NAMES) -> None:
        self.seconds, self.count, self.names = 0.0, 0, names
        self.session = Session()
        session: Any = self.session
        self.view = LiveView(source, names, session, lambda: self.seconds)

    def show(
        self,
        reason: Reason,
        best: str,
        confidence: float = 0.9,
        es_n0: tuple[float | None, EsN0Bound | None] = (12.3, None),
        truth: str | None = None,
        seconds: float = SECONDS,
    ) -> None:
        rest = math.log((1 - confidence) / (len(self.names) - 1)) if confidence < 1 else -50.0
        odds = {name: math.log(confidence) if name == best else rest for name in self.names} if best else {}
        label = {"named": best, "silent": "no signal"}.get(reason, "unknown")
        index, count = 2400 * self.count, round(9600 * seconds)
        made = Decision(label, confidence, best, odds, 32, index, count, es_n0[0], 0.0, reason, es_n0[1])
        begun = datetime(2026, 11, 29, 12, 0, 0, tzinfo=timezone.utc)
        origin = Origin("radio", 9600.0, "m", "0" * 64, 0.0, begun, ((0.0, 433.92e6),), 2.4e6, offset=1234.5)
        self.view.show(made, decision_record(made, truth, origin))
        self.count += 1
        self.seconds += SECONDS

    def lines(self, width: int) -> list[str]:
        out = io.StringIO()
        Console(file=out, width=width, highlight=False, color_system=None).print(self.view)
        return out.getvalue().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_it_takes_the_width_there_is(width: int) -> None:
    shown = Shown()
    for _ in range(300):
        shown.show("named", "QPSK")
    lines = shown.lines(width)
    assert {len(line) for line in lines} == {width}
    assert len(lines) <= 24
    text = "\n".join(lines)
    for word in ("433.92 MHz", "9.6 kBd", "12 dB", "−23.1 dBFS", "dropped", "overflows", "no samples for"):
        assert word in text
    (history,) = (line for line in lines if "history" in line)
    assert history.count("2") == width - 4 - len("history ")  # the whole line, QPSK's number
    axis = lines[lines.index(history) + 1]
    assert axis.rstrip("│ ").endswith("now") and "−5 s" in axis
    # Five seconds are twenty cells of a quarter of a second.
    assert axis.index("now") + len("now") - 1 - axis.index("│", 3) >= 20


@pytest.mark.parametrize(
    ("reason", "best", "words", "row"),
    [
        ("named", "QPSK", "QPSK", "QPSK"),
        ("unsure", "8PSK", "unsure perhaps 8PSK", "8PSK"),
        ("unsure", "unknown", "unsure perhaps outside the classes", "unknown"),
        ("foreign", "unknown", "unknown outside the classes", "unknown"),
        ("noise", "no signal", "noise", "noise"),
    ],
)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_headline_is_about_a_row(width: int, reason: Reason, best: str, words: str, row: str) -> None:
    shown = Shown()
    shown.show(reason, best, 0.631)
    headline = " ".join(shown.lines(width)[1].strip("│ ").split())
    assert headline.startswith(f"{words} 63.1 % since 12:00:00 UTC (0 s)")
    found = re.findall(r"(\S+) \S [█·]+ +([0-9.]+) %", "\n".join(shown.lines(width)))
    shares = {name: float(share) for name, share in found}
    assert set(shares) == {"BPSK", "QPSK", "8PSK", "unknown", "noise"}
    assert max(shares, key=lambda name: shares[name]) == row and shares[row] == 63.1


def test_since_when_an_answer_holds() -> None:
    shown = Shown()
    for _ in range(40):
        shown.show("named", "QPSK")
    assert "QPSK" in shown.lines(80)[1] and "since 12:00:00 UTC (10 s)" in shown.lines(80)[1]
    for n in range(8):
        shown.show("unsure", "8PSK" if n % 2 else "BPSK", 0.4)
    assert "since 12:00:10 UTC (2 s)" in shown.lines(80)[1]


def test_the_strip_goes_on_while_nothing_is_decided() -> None:
    shown = Shown()
    for reason, best in (("silent", ""), ("noise", "no signal"), ("foreign", "unknown"), ("named", "BPSK")):
        shown.show(reason, best)  # type: ignore[arg-type]
    shown.seconds += 5 * SECONDS
    (history,) = (line for line in shown.lines(80) if "history" in line)
    assert history.rstrip("│").rstrip().endswith("·~x1")
    assert len(history.rstrip("│").rstrip()) < 80 - 5
    shown.show("named", "QPSK", seconds=1.0)
    (history,) = (line for line in shown.lines(80) if "history" in line)
    assert "·~x1  22222" in history  # it is about all of a second, and the cell after it has only begun
    shown.seconds += 1e9  # a machine that slept
    assert "1" not in next(line for line in shown.lines(80) if "history" in line)


def test_es_n0_is_shown_as_far_as_it_is_known() -> None:
    shown = Shown()
    shown.show("named", "QPSK", es_n0=(20.0, "above"), truth="8PSK")
    text = "\n".join(shown.lines(80))
    assert "Es/N0 above 20 dB" in text and "sent 8PSK" in text
    shown.show("silent", "", 1.0, (None, None))
    assert "no signal" in shown.lines(80)[1] and "%" not in shown.lines(80)[1]


def test_before_the_first_decision_and_on_a_narrow_terminal() -> None:
    shown = Shown("\x1b[2J[red]radio")
    assert "listening: 100 chunks" in shown.lines(80)[1]
    shown.session.symbol_rate = None
    lines = shown.lines(40)
    assert "looking for a signal" in lines[1] and "\x1b" not in "".join(lines)
