# SPDX-License-Identifier: GPL-3.0-or-later
"""Options as records: ranges, checks, and what is derived from a field."""

import dataclasses
import importlib
import math
import pkgutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import amrq
from amrq.classifier import EngineBackend
from amrq.cli.app import Fields, expanded
from amrq.cli.main import app
from amrq.decision import DecisionMaker, DecisionOptions
from amrq.errors import AmrqError
from amrq.link import BoardBackend
from amrq.measure import FrontEndOptions, StreamInfo
from amrq.model import Hypothesis
from amrq.options import Range, above, at_least, between, check, described, option, options_of
from amrq.outputs import OutputOptions, Thinning
from amrq.sources import SourceOptions
from amrq.training import RunControl, TuneSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import make_options

RECORDS = (
    BoardBackend,
    DecisionOptions,
    FrontEndOptions,
    EngineBackend,
    OutputOptions,
    SourceOptions,
    StreamInfo,
)
MADE: dict[type, dict[str, Any]] = {SourceOptions: {"simulate": True, "sample_rate": 1e6}}
"""What a record cannot do without."""

every_option = pytest.mark.parametrize(
    ("record", "one"),
    [(record, one) for record in RECORDS for one in options_of(record)],
    ids=lambda part: getattr(part, "__name__", getattr(part, "name", "")),
)


def test_every_field_is_an_option() -> None:
    for record in RECORDS:
        assert [one.name for one in options_of(record)] == [
            field.name for field in dataclasses.fields(record)
        ]
        assert record.__dataclass_params__.frozen


@every_option
def test_help_is_a_sentence_and_names_the_range(record: type, one: Any) -> None:
    assert one.help[0].isupper() or one.help[0] in "'" or one.help.startswith(("Es/N0",))
    assert one.sentence.endswith(".") and "\n" not in one.sentence and len(one.sentence) < 240
    assert one.allowed.lower() in one.sentence.lower() or one.kind == "flag"
    assert f"{one.name}: {one.sentence}" in (record.__doc__ or "")


def public_records() -> list[type]:
    """Every record of options that a room shows; without those that are a part of another one there."""
    found: list[Any] = [
        RunControl,
        TuneSettings,
    ]  # to ask the room of training for all it shows takes PyTorch
    for module in pkgutil.walk_packages(amrq.__path__, "amrq."):
        if module.ispkg and not module.name.startswith(("amrq.cli", "amrq.sweep", "amrq.training")):
            room = importlib.import_module(module.name)
            found += [getattr(room, name) for name in getattr(room, "__all__", ())]
    records = [one for one in found if isinstance(one, type) and dataclasses.is_dataclass(one)]
    records = [one for one in dict.fromkeys(records) if options_of(one)]
    assert {*RECORDS} <= {*records}
    return [one for one in records if one is not Thinning]


def test_the_pages_tables_are_made_from_the_records() -> None:
    page = make_options.PAGE.read_text()
    assert make_options.page_up_to_date(page) == page, "run scripts/make_options.py"
    for record in public_records():
        assert f"<!-- made from {record.__name__} -->" in page, "its table is missing: docs/options.md"


@pytest.mark.parametrize("name", ["classify", "live"])
def test_no_command_lacks_an_option(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    offered = {flag for parameter in command.params for flag in parameter.opts}
    for record in (BoardBackend, DecisionOptions, FrontEndOptions, EngineBackend, OutputOptions):
        assert {one.flags[0] for one in options_of(record)} <= offered, record


def test_a_new_option_is_one_field() -> None:
    """The stranger's test: a field more in a record, and commands, page and docstring have it (blocks: tests/grc)."""

    @described
    @dataclass(frozen=True)
    class More(DecisionOptions):
        """As before, and patient."""

        patience: float = option(2.5, "Time after which it is over.", unit="s", within=above(0, at_most=9))

    seen: list[Any] = []

    def decide(decision: Annotated[More, Fields("Decision")]) -> None:
        """Decide."""
        seen.append(decision)

    command_ = command(decide)
    CliRunner().invoke(command_, ["--patience", "4", "--memory", "8"], catch_exceptions=False)
    assert seen == [More(memory=8.0, patience=4.0)]
    assert "--patience" in CliRunner().invoke(command_, ["--help"]).stdout
    records = make_options.RECORDS | {"DecisionOptions": (More, "Decision")}
    page = make_options.page_up_to_date(make_options.PAGE.read_text(), records)
    row = "| `patience` |  | `2.5` | above 0, at most 9 s | Time after which it is over. |"
    assert row in page.splitlines()
    assert "patience: Time after which it is over (above 0, at most 9 s)." in (More.__doc__ or "")
    # What takes the record whole needs no change: a decision maker of a subclass decides as before.
    maker = DecisionMaker([Hypothesis("BPSK", None, 1.0)], 32, More(patience=1.0))
    assert maker.options == More(patience=1.0)


@every_option
def test_the_default_is_allowed_and_what_is_outside_refused(record: type, one: Any) -> None:
    made = MADE.get(record, {})
    assert one.optional or one.checked(one.default) == one.default
    wrong: list[Any] = []
    if one.kind in ("number", "integer"):
        wrong += ["many", [1], math.nan]
    if one.within is not None:
        low, high = one.within.low, one.within.high
        wrong += [low] * one.within.low_open + [low - 1] * math.isfinite(low)
        wrong += [high] * (one.within.high_open and math.isfinite(high)) + [high + 1] * math.isfinite(high)
        wrong += [] if one.within.endless else [math.inf]
    if one.kind == "flag":
        wrong += ["yes"]
    if one.kind == "text":
        wrong += [1, "a\0b"] + ["something else"] * bool(one.choices)
    for value in wrong:
        with pytest.raises(AmrqError, match=f"^{one.name} must be .*[.]$"):
            record(**made | {one.name: value})


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            between(-1, 2),
            at_least(0.5),
            above(0),
            above(0, at_most=0.05),
            Range(0, 1e12, True, True),
            Range(high=3),
        ]
    ),
)
def test_a_condition_says_what_the_range_says(value: float, within: Range) -> None:
    assert eval(within.condition("value"), {"value": value}) == (value in within)


@pytest.mark.parametrize(
    ("within", "words"),
    [
        (between(1, 65536), "1 to 65536"),
        (at_least(0), "at least 0"),
        (above(0, at_most=0.05), "above 0, at most 0.05"),
        (Range(0, 3600, True, True), "above 0, below 3600"),
        (Range(), ""),
    ],
)
def test_ranges_in_words(within: Range, words: str) -> None:
    assert str(within) == words


def test_ranges_in_words_have_their_unit() -> None:
    assert Range(0, 1e12, True, True).words("S/s") == "above 0, below 1 TS/s"
    assert at_least(0).words("Hz") == "at least 0 Hz"
    assert between(1, 65536).words("chunks") == "1 to 65536 chunks"


def test_values_are_converted_to_the_fields_kind() -> None:
    options = DecisionOptions(chunks_per_decision=np.float64(8.0), memory=np.int64(3), track=1)  # type: ignore[arg-type]
    assert (options.chunks_per_decision, options.memory, options.track) == (8, 3.0, True)
    assert type(options.chunks_per_decision) is int and type(options.track) is bool
    assert OutputOptions(log=Path("a")).log == "a"  # type: ignore[arg-type]


@described
@dataclass(frozen=True)
class Hearing:
    """How one listens."""

    patience: float = option(2.0, "Time without a signal after which it is over.", unit="s", within=above(0))
    pitch: float = option(440.0, "Pitch.", unit="Hz", flag="--tone --pitch")
    loud: bool = option(True, "Loud.")
    notes: Path | None = option(None, "Notes are written there.")
    way: str = option("a", "Which way.", choices={"a": "One", "b": "Another"})

    def __post_init__(self) -> None:
        check(self)


def command(function: Any) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(expanded(function))
    return app


def test_a_default_is_converted_and_checked_as_any_value_is() -> None:
    @dataclass(frozen=True)
    class Strange:
        """Its defaults are not as they come out."""

        gain: float = option(7, "A whole number.")
        needed: float = option(math.nan, "Nothing that is allowed.")

        def __post_init__(self) -> None:
            check(self)

    for _ in range(2):
        assert type(Strange(needed=1.0).gain) is float
        with pytest.raises(AmrqError, match="needed"):
            Strange()


def test_a_commands_options_are_the_fields() -> None:
    seen: list[Any] = []

    def listen(
        words: str,
        hearing: Annotated[Hearing, Fields("Hearing", without=("way",), defaults={"patience": 5.0})],
        often: Annotated[int, typer.Option(help="How often.")] = 1,
    ) -> None:
        """Listen."""
        seen.append((words, hearing, often))

    app = command(listen)
    run = CliRunner().invoke
    assert run(app, ["here"], catch_exceptions=False).exit_code == 0
    given_ = ["here", "--tone", "1.2k", "--no-loud", "--notes", "x", "--often", "3", "--patience", "1"]
    assert run(app, given_, catch_exceptions=False).exit_code == 0
    assert seen == [
        ("here", Hearing(5.0), 1),
        ("here", Hearing(1.0, 1200.0, False, Path("x")), 3),
    ]
    shown = run(app, ["--help"]).stdout
    assert "Hearing" in shown and "--tone" in shown and "--way" not in shown
    with pytest.raises(AmrqError, match=r"--patience must be above 0 s, not -1\.0"):
        run(app, ["here", "--patience", "-1"], catch_exceptions=False)


def test_a_record_may_hang_on_one_option() -> None:
    seen: list[Any] = []

    def listen(board: Annotated[BoardBackend | None, Fields("Board", needs="endpoint")]) -> None:
        """Listen."""
        seen.append(board)

    app = command(listen)
    run = CliRunner().invoke
    run(app, [], catch_exceptions=False)
    run(app, ["--board", "tcp://a:1", "--board-timeout", "3"], catch_exceptions=False)
    assert seen == [None, BoardBackend("tcp://a:1", board_timeout=3.0)]
    with pytest.raises(AmrqError, match="--key belongs to --board: give that as well"):
        run(app, ["--key", "x"], catch_exceptions=False)


def test_two_options_of_one_name_are_refused() -> None:
    def both(source: Annotated[SourceOptions, Fields()], stream: Annotated[StreamInfo, Fields()]) -> None: ...

    with pytest.raises(ValueError, match="duplicate parameter name"):
        expanded(both)
