# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of families: a second generator of its own, what is counted, and the page has what was measured."""

import ast
import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from seeds import rng

from amrq.classifier import FamilyModel
from amrq.protocols import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
OWN = ("strangers", "stranger_waves", "stranger_analog", "stranger_digital", "transmitters")


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return {
            name: importlib.import_module(name)
            for name in ("strangers", "families", "families_tables", "psk_order")
        }


def test_strangers_share_no_code_with_the_library() -> None:
    for name in OWN:
        tree = ast.parse((BENCHMARKS / f"{name}.py").read_text(encoding="utf-8"))
        imported = {
            (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        allowed = {"math", "collections.abc", "typing", "numpy", "numpy.typing", "dataclasses", "functools"}
        assert imported <= allowed | set(OWN), name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stranger_is_in_its_edges_and_its_noise_is_as_told(
    modules: dict[str, ModuleType], family: str
) -> None:
    strangers, random = modules["strangers"], rng("stranger", family)
    one = strangers.stranger(family, random)
    assert (one.family, one.made.iq.ndim) == (family, 1)
    assert np.isfinite(one.made.iq).all() and np.mean(np.abs(one.made.iq) ** 2) == pytest.approx(1)
    assert -one.made.rate / 2 <= one.lower < one.upper <= one.made.rate / 2
    # The whole band's power is the signal's and the noise's: with so much noise that the signal does not count.
    band, density = strangers.received_stranger(one, -60.0, random)
    power = float(np.mean(np.abs(band) ** 2))
    assert band.dtype == np.complex64
    # 5 standard deviations of the mean of as many exponential variates, and coarse steps in 8 bits.
    assert power == pytest.approx(density * one.made.rate, rel=5 / np.sqrt(len(band)) + 0.01)


def test_what_is_counted(modules: dict[str, ModuleType]) -> None:
    tables = modules["families_tables"]
    row = {"part": "own", "snr_db": "10.0", "sent": "fsk2", "name": ""}
    row |= {"signals_n": "10", "right": "6", "wrong": "3", "unknown": "1"}
    row["answers"] = "fsk2/95:6 fsk4/92:2 linear/50:1 unknown/0:1"
    found = tables.together([row])
    assert found[:5] == (10, 6, 3, 1, 2)
    assert found.called == {"fsk2 as fsk4": 2, "fsk2 as linear": 1} and found.sure == {"fsk2 as fsk4": 2}
    assert tables.answer_to(row) == ("fsk2", 0.6, 0.95)
    # Wilson (1927): the ends p solve (x/n - p)^2 = z^2 p (1 - p) / n.
    for count, total in ((0, 20), (19, 20), (50, 100)):
        for end in tables.wilson(count, total):
            assert (count / total - end) ** 2 == pytest.approx(
                1.959964**2 * end * (1 - end) / total, abs=1e-9
            )


def test_a_look_holds_what_it_says(modules: dict[str, ModuleType]) -> None:
    families = modules["families"]
    for part in ("own", "faults", "strangers", "noise"):
        look, _ = families.look_of(families.Case(part, 10.0, "noise" if part == "noise" else "fsk2", ""), 0)
        lower, upper = look.edges
        width = max(upper - lower, families.NARROWEST)
        assert 64 <= len(look.iq) <= 4.5 * families.MOST_PRODUCT and look.iq.dtype == np.complex64
        assert 3.5 * width <= look.sample_rate <= 5.5 * width
        assert part == "noise" or look.truth["symbol_rate"] > 0
    # Another number, or another level, is another signal; the same is the same.
    case = families.Case("own", 10.0, "fsk2", "")
    assert np.array_equal(families.look_of(case, 3)[0].iq, families.look_of(case, 3)[0].iq)
    assert len({families.look_of(case, number)[0].sample_rate for number in range(3)}) == 3


def test_the_benchmark_measures(modules: dict[str, ModuleType]) -> None:
    families = modules["families"]
    row = families.measure(families.Case("strangers", 20.0, "fsk2", ""), [0, 1])
    assert row["signals_n"] == 2 == row["right"] + row["wrong"] + row["unknown"]
    assert row["symbol_rate_n"] == row["deviation_n"] == row["order_n"] == 2
    assert sum(int(pair.rsplit(":", 1)[1]) for pair in row["answers"].split()) == 2


@pytest.mark.parametrize("family", ["am", "chirp", "fskm", "ofdm"])
def test_a_model_left_a_family_out(
    modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    families = modules["families"]
    model = families.model_without(family)
    assert family not in FamilyModel(model).families
    monkeypatch.setattr(families, "_MODEL", model)
    row = families.measure(families.Case("left out", 20.0, family, ""), [0])
    assert row["right"] == 0 and row["wrong"] + row["unknown"] == 1


def test_the_page_has_what_was_measured(modules: dict[str, ModuleType]) -> None:
    tables, families = modules["families_tables"], modules["families"]
    page, rows = tables.PAGE.read_text(encoding="utf-8"), tables.read(families.RESULTS)
    about = json.loads(families.RESULTS.with_suffix(".json").read_text(encoding="utf-8"))
    assert page == tables.filled(page, rows, about), "run benchmarks/families.py --pages"
    assert {row["part"] for row in rows} >= {"own", "faults", "strangers", "noise"}


def test_the_page_has_what_was_measured_of_phases(modules: dict[str, ModuleType]) -> None:
    tables, order = modules["families_tables"], modules["psk_order"]
    assert order.order_table(tables.read(order.RESULTS)) in tables.PAGE.read_text(encoding="utf-8")


def test_who_is_told_everything_names_the_number_of_phases(modules: dict[str, ModuleType]) -> None:
    order, families = modules["psk_order"], modules["families"]
    for name in order.PSK:
        row = order.measure(families.Case("bound", 20.0, "linear", name), [0])
        assert (row["order_n"], row["order_right"]) == (1, 1)
    look, _ = families.look_of(families.Case("patterns", 15.0, "linear", "8PSK"), 0)
    assert look.order == 8
