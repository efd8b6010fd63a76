# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain values into dataclasses: what is read, and what is said of the rest."""

import datetime
import sys
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from amrq.errors import AmrqError
from amrq.plain_values import from_plain, from_row


@dataclass(frozen=True)
class Point:
    name: str
    levels: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.name == "none":
            raise AmrqError("a point needs a name, not 'none'.")


@dataclass(frozen=True)
class Inner:
    steps: int = 1
    bounds: tuple[float, float] = (0.0, 1.0)
    weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outer:
    title: str
    inner: Inner = field(default_factory=Inner)
    points: str | tuple[str | Point, ...] = ()
    rate: float | None = None
    kind: Literal["a", "b"] = "a"
    fast: bool = False


def test_what_is_read() -> None:
    values = {
        "title": "t",
        "inner": {"bounds": [1, 2.5], "weights": {"x": 3}},
        "points": ["p", {"name": "q", "levels": [[0, 1]]}],
        "fast": True,
    }
    made = from_plain(values, Outer)
    assert made == Outer("t", Inner(1, (1.0, 2.5), {"x": 3.0}), ("p", Point("q", ((0.0, 1.0),))), fast=True)
    assert isinstance(made.inner.bounds[0], float) and isinstance(made.inner.weights["x"], float)
    assert from_plain({"title": "t", "points": "all", "rate": 2}, Outer) == Outer("t", points="all", rate=2.0)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"titel": "t"}, "titel is no setting of a recipe: there are title, inner, points, rate, kind, fast."),
        ({"inner": {"step": 1}}, "inner.step is no setting of a recipe: there are steps, bounds, weights."),
        ({"inner": 3}, "inner must be a table, not 3."),
        ({"inner": {"steps": "1"}}, "inner.steps must be a whole number, not '1'."),
        ({"inner": {"steps": True}}, "inner.steps must be a whole number, not True."),
        ({"inner": {"steps": 1.0}}, "inner.steps must be a whole number, not 1.0."),
        ({"inner": {"steps": 2**60}}, "inner.steps must be a whole number within 9,007,199,254,740,992."),
        ({"inner": {"bounds": [1]}}, "inner.bounds must be a list of 2, not [1]."),
        ({"inner": {"bounds": [1, 2, 3]}}, "inner.bounds must be a list of 2, not [1, 2, 3]."),
        ({"inner": {"bounds": 1}}, "inner.bounds must be a list of 2, not 1."),
        ({"inner": {"bounds": [1, float("inf")]}}, "inner.bounds[1] must be a finite number, not inf."),
        ({"inner": {"weights": {"x\n": "y"}}}, "inner.weights.x  must be a number, not 'y'."),
        ({"points": 3}, "points must be a text or a list, not 3."),
        ({"points": ["p", 3]}, "points[1] must be a text or a table, not 3."),
        ({"points": [{}]}, "points[0].name is missing."),
        ({"points": [{"name": "none"}]}, "a point needs a name, not 'none'."),
        ({"points": [{"name": "p", "levels": [[1]]}]}, "points[0].levels[0] must be a list of 2, not [1]."),
        ({"points": [{"name": "p", "x": 1}]}, "points[0].x is no setting of a recipe: there are name, levels."),
        ({"rate": "x"}, "rate must be a number or null, not 'x'."),
        ({"kind": "c"}, "kind must be 'a' or 'b', not 'c'."),
        ({"fast": 1}, "fast must be true or false, not 1."),
        ({"rate": datetime.time(1)}, "rate must not be a date or a time: put it in quotes if it is a text."),
        (
            {"points": [datetime.date(1979, 5, 27)]},
            "points must not be a date or a time: put it in quotes if it is a text.",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_each_refusal_names_the_setting_and_what_is_allowed(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AmrqError) as refused:
        from_plain({"title": "t", **values}, Outer)
    assert str(refused.value) == sentence


def test_what_is_missing_is_named() -> None:
    with pytest.raises(AmrqError, match=r"^title is missing\.$"):
        from_plain({}, Outer)


def test_values_as_deep_as_you_like_are_a_sentence() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(AmrqError, match="its settings cannot be read"):
        from_plain({"title": "t", "points": deep}, Outer)


def test_a_row_of_texts() -> None:
    row = {"steps": "7", "bounds": ["0.5", "2"], "more": "x"}
    assert from_row(row, Inner) == Inner(7, (0.5, 2.0))
    for column, text, allowed in (
        ("steps", "7.5", "a whole number"),
        ("steps", "", "a whole number"),
        ("bounds", ["nan", "1"], "a finite number"),
    ):
        with pytest.raises(AmrqError, match=f"{column}.* must be {allowed}, not "):
            from_row({**row, column: text}, Inner)
    with pytest.raises(AmrqError, match=r"^title is missing\.$"):
        from_row({"kind": "a"}, Outer)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(AmrqError, match=r"needs the Python package pydantic, .*'pip install pydantic'"):
        from_plain({"title": "t"}, Outer)
