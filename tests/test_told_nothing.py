# SPDX-License-Identifier: GPL-3.0-or-later
"""The front page's figures: what counts as what, and the page has what was measured."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def told() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("told_nothing")


def test_the_front_page_has_what_was_measured(told: ModuleType) -> None:
    page, rows = told.PAGE.read_text(encoding="utf-8"), told.read(told.RESULTS)
    assert page == told.filled(page, rows), "run benchmarks/told_nothing.py --pages"
    about = json.loads(told.RESULTS.with_suffix(".json").read_text(encoding="utf-8"))
    wanted = {tuple(map(str, case)): draws for case, draws in told.cases()}
    assert {tuple(row[field] for field in told.Case._fields) for row in rows} == set(wanted)
    for row in rows:
        draws = wanted[row["kind"], row["level_db"], row["sent"]]
        count = sum(int(row[name]) for name in told.OUTCOMES)
        assert count == max(1, round(about["share_of_the_draws"] * draws)) or not about["whole"]


@pytest.mark.parametrize(
    ("kind", "sent", "text", "confidence", "worth"),
    [
        ("one of the nine", "QPSK", "QPSK", 0.8, "right"),
        ("one of the nine", "QPSK", "8PSK", 0.8, "wrong"),
        ("one of the nine", "QPSK", "fsk2", 0.95, "sure"),
        ("one of the nine", "QPSK", "unknown", 0.99, "unknown"),
        ("one of the nine", "QPSK", "nothing", 0.0, "unknown"),
        ("one of the nine", "QPSK", "unsure", 0.6, "unsure"),
        ("another linear modulation", "OQPSK", "oqpsk", 0.95, "right"),
        ("another linear modulation", "64QAM", "unknown", 0.95, "right"),
        ("another linear modulation", "64QAM", "16QAM", 0.95, "sure"),
        ("another family", "fsk4", "fsk2", 0.5, "wrong"),
        ("another family", "fsk4", "unknown", 0.5, "unknown"),
        ("noise alone", "noise", "nothing", 0.0, "right"),
        ("noise alone", "noise", "carrier", 0.5, "wrong"),
    ],
)
def test_what_an_answer_is_worth(
    told: ModuleType, kind: str, sent: str, text: str, confidence: float, worth: str
) -> None:
    assert told.outcome(told.Case(kind, 20.0, sent), told.Answer(text, confidence)) == worth


def test_what_the_command_prints_is_read(told: ModuleType) -> None:
    ends: list[dict[str, Any]] = [
        {
            "source": "a",
            "event": "end",
            "family": family,
            "label": family,
            "confidence": 0.9,
            "level_dbfs": db,
        }
        for family, db in (("am", -30.0), ("ook", -20.0), ("fsk2", None))
    ]
    decisions = [
        {"source": "b", "reason": reason, "label": label, "confidence": 0.9}
        for reason, label in (("named", "QPSK"), ("noise", "unknown"), ("noise", "unknown"), ("silent", ""))
    ]
    unsure = [{"source": "c", "reason": "unsure", "label": "unknown", "confidence": 0.4}]
    found = told.said(json.dumps(one) for one in (*ends, *decisions, *unsure))
    assert {source: answer.text for source, answer in found.items()} == {
        "a": "ook",
        "b": "QPSK",
        "c": "unsure",
    }


def test_recordings_are_somewhere_in_the_band(told: ModuleType) -> None:
    middles = []
    for number in range(4):
        samples, rate = told.recording(told.Case(told.NOTHING, 20.0, "QPSK"), number)
        assert samples.dtype == np.complex64 and np.isfinite(samples).all() and rate >= 20e3
        power = np.abs(np.fft.fft(samples)) ** 2
        middles.append(
            float(np.angle(np.sum(power * np.exp(2j * np.pi * np.arange(len(power)) / len(power)))))
        )
        again, _ = told.recording(told.Case(told.NOTHING, 20.0, "QPSK"), number)
        assert np.array_equal(samples, again)
    assert np.ptp(middles) > 0.1
    family, rate = told.recording(told.Case(told.FAMILY, 20.0, "fsk2"), 0)
    assert len(family) > 1000 and np.isfinite(family).all() and rate > 0
