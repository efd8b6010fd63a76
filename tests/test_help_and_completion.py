# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command shows of itself: help at 80 columns, the list of models, and what Tab completes."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_amrq import amrq_here, every_command
from small_models import linear_model

from amrq.classifier import ENGINES
from amrq.cli.main import app
from amrq.hardware import count_weights, read_layer_sizes
from amrq.model import find_model, list_models
from amrq.protocols import FAMILIES
from amrq.recordings import FORMATS

WIDTH = 80


Command = Callable[..., subprocess.CompletedProcess[str]]
Completion = Callable[..., list[str]]


@pytest.fixture
def amrq(capfd: pytest.CaptureFixture[str]) -> Command:
    """Return what runs the command in a terminal of 80 columns."""
    return lambda *words, **variables: amrq_here(capfd, *words, **({"COLUMNS": str(WIDTH)} | variables))


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_an_option_without_a_value_is_shown_without_a_type(words: tuple[str, ...]) -> None:
    from typer.testing import CliRunner

    text = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": str(WIDTH)}).output
    assert "--help" in text
    assert "bool" not in text
    assert "--no-json" not in text
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.fixture
def complete(amrq: Command) -> Completion:
    """Return what asks, as a shell does, what would be offered for the last word."""

    def complete(*words: str, **variables: str) -> list[str]:
        asked = {"_AMRQ_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(("amrq", *words))}
        result = amrq(**asked, COMP_CWORD=str(len(words)), **variables)
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
        return result.stdout.split()

    return complete


@pytest.mark.parametrize("words", [words for words in every_command() if words], ids=" ".join)
def test_every_command_has_an_example(words: tuple[str, ...]) -> None:
    from typer.testing import CliRunner

    text = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": str(WIDTH)}).output
    if words in (("model",), ()):  # a group of commands
        return
    assert re.search(r"Example: amrq", text), text


@pytest.mark.parametrize(
    ("command", "panels"),
    [
        ("live", ("Source (one of them)", "Signal", "Front end", "Decision", "Board", "Output")),
        ("classify", ("Recording", "Signal", "Front end", "Decision", "Board", "Output")),
        ("label", ("Recording", "Signal", "Front end", "Labels and chunks")),
        ("board", ("Engine", "Clients")),
    ],
)
def test_options_stand_in_panels(command: str, panels: tuple[str, ...]) -> None:
    from typer.testing import CliRunner

    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": str(WIDTH)}).output
    found = re.findall(r"╭─ (.+?) ─+╮", text)
    assert [panel for panel in found if panel not in ("Arguments", "Options", "Commands")] == list(panels)


@pytest.mark.parametrize(
    "words",
    [
        ("classify", "--model", "bl"),
        ("live", "--model", "bl"),
        ("model", "show", "bl"),
        ("estimate", "bl"),
        ("rtl", "bl"),
        ("compile", "bl"),
        ("evaluate", "bl"),
        ("board", "--model", "bl"),
        ("board", "export", "bl"),
        ("train", "--from", "bl"),
    ],
    ids=" ".join,
)
def test_names_of_models_are_completed(words: tuple[str, ...], complete: Completion) -> None:
    assert complete(*words) == [path.stem for path in list_models() if path.stem.startswith("bl")]


def test_names_of_protocols_are_completed(complete: Completion) -> None:
    assert complete("protocols", "show", "pocsag") == ["pocsag-512", "pocsag-1200", "pocsag-2400"]


@pytest.mark.parametrize(
    "words, choices",
    [
        (("protocols", "--family", "f"), FAMILIES),
        (("classify", "--format", "c"), FORMATS),
        (("live", "--format", "c"), FORMATS),
        (("label", "--format", "c"), FORMATS),
        (("board", "--engine", "i"), ENGINES),
        (("live", "--board-policy", "d"), ("drop", "local")),
        (("rtl", "default", "--check", "v"), ("iverilog", "verilator")),
    ],
    ids=lambda value: " ".join(value),
)
def test_choices_are_completed(words: tuple[str, ...], choices: Any, complete: Completion) -> None:
    expected = [choice for choice in choices if choice.startswith(words[-1])]
    assert complete(*words) == expected != []


def test_models_of_ones_own_are_completed(tmp_path: Path, complete: Completion) -> None:
    linear_model(tmp_path / "mine.onnx")
    (tmp_path / "minefield.onnx").write_text("no model")
    assert complete("classify", "--model", "min", AMRQ_MODELS=str(tmp_path)) == ["mine", "minefield"]


def test_the_list_of_models_fits_80_columns(amrq: Command) -> None:
    lines = amrq("models").stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    for path in list_models():
        (line,) = [line for line in lines if line.startswith(f"{path.stem} ")]
        assert len(re.findall(r"0\.\d{3}|1\.000", line)) == 2


def test_a_long_name_is_not_cut_and_what_cannot_be_read_is_said_below(tmp_path: Path, amrq: Command) -> None:
    name = "a-name-that-is-longer-than-that-of-any-model-shipped-here"
    linear_model(tmp_path / f"{name}.onnx")
    (tmp_path / "broken.onnx").write_text("no model")
    result = amrq("models", AMRQ_MODELS=str(tmp_path))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(name[:10]))
    assert "".join(line.split(" ")[0] for line in lines[start : start + 4]).startswith(name)
    assert "broken.onnx" in lines[-1]


@pytest.mark.parametrize("name", ["blind-full-int8", "blind-full-int4", "coherent-small-float32"])
def test_weights_are_counted_alike(name: str, amrq: Command) -> None:
    weights, _ = count_weights(read_layer_sizes(find_model(name)))
    (row,) = [line for line in amrq("models").stdout.splitlines() if line.startswith(f"{name} ")]
    assert f" {weights:,} " in row
    assert f"{weights:,}, and " in amrq("model", "show", name).stdout
    (total,) = [line for line in amrq("estimate", name).stdout.splitlines() if re.match(r"\W+all ", line)]
    assert f" {weights} " in total
