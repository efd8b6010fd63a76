# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages say of right and wrong answers is what was measured, and can be measured again."""

import csv
import importlib
import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from amrq.classes import OTHER_LINEAR, THESIS_9
from amrq.evaluation import Tally

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "named.csv"


@pytest.fixture(scope="module")
def named() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("named")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_everything_was_measured(named: ModuleType, rows: list[dict[str, str]]) -> None:
    wanted = {tuple(map(str, case)): draws for case, draws in named.cases()}
    found = {tuple(row[field] for field in named.Case._fields): row for row in rows}
    about = json.loads(RESULTS.with_suffix(".json").read_text())
    assert about["date"] and about["model"] == "blind-full-int8"
    assert set(found) == set(wanted) and len(rows) == len(wanted)
    for case, row in found.items():
        decisions = max(1, round(about["share_of_the_draws"] * wanted[case])) * (
            named.BURSTS if row["kind"] == "bursts" else 1
        )
        assert int(row["decisions"]) == sum(int(row[what]) for what in named.OUTCOMES)
        assert int(row["decisions"]) == decisions or not about["whole"]
        tally = Tally.of_answers(Counter(named.answers_in(row)), row["sent"])
        assert [getattr(tally, what) for what in named.OUTCOMES] == [int(row[w]) for w in named.OUTCOMES]


def test_es_n0_is_stated_as_docs_answers_md_says(rows: list[dict[str, str]]) -> None:
    plain = [row for row in rows if row["kind"] == "nothing wrong" and row["es_n0_low"]]
    for row in plain:
        sent = float(row["es_n0_db"])
        if sent >= 5:
            assert abs(float(row["es_n0_low"]) - sent) <= 3 and abs(float(row["es_n0_high"]) - sent) <= 3
    (line,) = (
        line
        for line in (ROOT / "docs" / "answers.md").read_text().splitlines()
        if line.startswith("| `es_n0_db`")
    )
    assert "right to 3 dB in this, from 5 to 20 dB" in line


def test_the_tables_in_the_pages_are_the_measured_ones(named: ModuleType, rows: list[dict[str, str]]) -> None:
    shown = []
    for page in named.PAGES:
        text = page.read_text(encoding="utf-8")
        assert text == named.filled(text, rows), f"{page}: run benchmarks/named.py --pages"
        found = named.PLACE.findall(text)
        assert text.count("<!-- measured: ") == len(found)
        shown += found
    assert set(shown) == set(named.TABLES)


def test_pages_name_what_users_must_know(named: ModuleType, rows: list[dict[str, str]]) -> None:
    text = (ROOT / "docs" / "answers.md").read_text()
    table = text[text.index("<!-- measured: other in short") :]
    for name in OTHER_LINEAR:
        assert f"| {name} |" in table
    for kind in named.IN_SHORT:
        assert f"| {kind}: " in text
    # Those that the front page names are called so in nearly all decisions at 10 dB.
    front = " ".join((ROOT / "README.md").read_text().split())
    for name, called in (("128QAM", "32QAM"), ("16ASK", "8ASK"), ("32PSK", "16PSK")):
        assert f"{name} is called {called}" in front
        found = named.together(named.of(rows, "another modulation", es_n0_db=10.0, sent=name))
        assert found.called[called] > 0.8 * found.tally.total
    # Both ends of the first table: where it is right, and where no answer is.
    shares = {}
    for level in named.KNOWN_LEVELS:
        tally = named.together(named.of(rows, "nothing wrong", es_n0_db=level)).tally
        shares[level] = tally.right / tally.total
    assert shares[0.0] < 0.02 and shares[20.0] > 0.99


@pytest.mark.parametrize(
    ("kind", "value", "es_n0_db", "sent", "answer"),
    [
        ("nothing wrong", "", 20.0, "8PSK", "8PSK"),
        ("another modulation", "", 25.0, "64QAM", "unknown"),
        ("another modulation", "", 15.0, "32PSK", "16PSK"),
        ("another modulation", "", 25.0, "OQPSK", "unknown"),
        ("symbol rate given wrongly", "2 times", 20.0, "QPSK", "unknown"),
        ("off the middle", "15 % of the symbol rate", 20.0, "BPSK", "BPSK"),
    ],
)
def test_it_can_be_measured_again(
    named: ModuleType, kind: str, value: str, es_n0_db: float, sent: str, answer: str
) -> None:
    row = named.measure(named.Case(kind, value, es_n0_db, sent, "symbol rate"), [0])
    assert row["answers"] == f"{answer}:1"
    assert row["decisions"] == 1 and row["right"] == (
        answer == sent or (answer == "unknown" and sent in ("64QAM", "OQPSK"))
    )
    assert row["misnamed"] == (answer != sent and answer in THESIS_9)


def test_bursts_are_counted_one_by_one(named: ModuleType) -> None:
    row = named.measure(named.Case("bursts", "500 symbols", 20.0, "QPSK", "symbol rate"), [0])
    assert row["decisions"] == 10 and row["right"] >= 9 and not row["misnamed"]


def test_where_no_symbol_rate_is_given_one_is_looked_for(named: ModuleType) -> None:
    row = named.measure(named.Case("rectangular pulses", "4 samples a symbol", 20.0, "QPSK", "nothing"), [0])
    assert row["answers"] == "QPSK:1"
