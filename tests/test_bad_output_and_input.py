# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command with every kind of bad output and bad input: one sentence, a status, nothing left behind, no hang.

A kind more is a line in one of the tables; a command, an option that names a file, must be in them.
"""

from __future__ import annotations

import inspect
import json
import os
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
import walk_commands
from run_amrq import amrq, forked

from amrq.cli.main import app

pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[1]
RECORDING = str(ROOT / "examples" / "recordings" / "generic_qpsk.sigmf-meta")
SMALL = str(ROOT / "models" / "coherent-small-int4.onnx")
KNOWN = ("--symbol-rate", "25k")
HERE = "@"  # stands for what is bad

# What commands are given beside it; the word before HERE is the option that it belongs to.
OUTPUTS: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("classify", "log"): ("file", ("classify", RECORDING, *KNOWN, "--log", HERE)),
    ("classify", "annotate"): ("named file", ("classify", RECORDING, *KNOWN, "--annotate", HERE)),
    ("classify", "counters"): ("file", ("classify", RECORDING, *KNOWN, "--counters", HERE)),
    ("live", "log"): ("file", ("live", "--file", RECORDING, *KNOWN, "--log", HERE)),
    ("live", "counters"): ("file", ("live", "--file", RECORDING, *KNOWN, "--counters", HERE)),
    ("live", "record"): ("name", ("live", "--file", RECORDING, *KNOWN, "--record", HERE)),
    # The recording is too short for an emission, and a full disk is not noticed where nothing is written.
    ("scan", "log"): ("name", ("scan", RECORDING, "--log", HERE)),
    ("scan", "counters"): ("file", ("scan", RECORDING, "--counters", HERE)),
    ("scan", "annotate"): ("named file", ("scan", RECORDING, "--annotate", HERE)),
    ("scan", "database"): ("file", ("scan", RECORDING, "--database", HERE)),
    ("label", "output"): ("folder", ("label", RECORDING, *KNOWN, "-o", HERE)),
    ("train", "output"): ("file", ("train", str(ROOT / "recipes" / "smoke.toml"), "-o", HERE)),
    ("train", "checkpoint"): (
        "file",
        ("train", str(ROOT / "recipes" / "smoke.toml"), "-o", "made.onnx", "--checkpoint", HERE),
    ),
    ("train", "examples"): (
        "folder",
        ("train", str(ROOT / "recipes" / "family.toml"), "-o", "made.onnx", "--examples", HERE),
    ),
    ("evaluate", "output"): ("folder", ("evaluate", SMALL, "--chunks", "1", "--es-n0", "10", "-o", HERE)),
    ("rtl", "output"): ("folder", ("rtl", SMALL, "-o", HERE)),
    ("compile", "output"): ("folder", ("compile", "blind-small-int4", "--chunks", "16", "-o", HERE)),
    ("sweep", "output"): ("folder", ("sweep", str(ROOT / "recipes" / "sweep-smoke.toml"), "-o", HERE)),
    ("sweep-report", "output"): (
        "folder",
        ("sweep-report", str(ROOT / "docs" / "thesis" / "as-in-thesis"), "-o", HERE),
    ),
    ("bound", "output"): ("folder", ("bound", "--chunks", "1", "--es-n0", "10", "-o", HERE)),
    ("board keygen", "output"): ("name", ("board", "keygen", "-o", HERE)),
    ("board export", "output"): ("named file", ("board", "export", SMALL, "-o", HERE)),
}
INPUTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("classify", "files"): ("classify", HERE, "--rate", "100k", *KNOWN),
    ("classify", "model"): ("classify", RECORDING, *KNOWN, "--model", HERE),
    ("classify", "key"): (
        *(
            "classify",
            RECORDING,
            *KNOWN,
            "--board",
            "tcp://127.0.0.1:9",
            "--board-key",
            "file",
            "--key",
            HERE,
        ),
    ),
    ("classify", "board_key"): (
        *(
            "classify",
            RECORDING,
            *KNOWN,
            "--board",
            "tcp://127.0.0.1:9",
            "--key",
            "file",
            "--board-key",
            HERE,
        ),
    ),
    ("live", "file"): ("live", "--file", HERE, "--rate", "100k", *KNOWN),
    ("live", "model"): ("live", "--file", RECORDING, *KNOWN, "--model", HERE),
    ("live", "key"): (
        "live",
        "--simulate",
        "--board",
        "tcp://127.0.0.1:9",
        "--board-key",
        "file",
        "--key",
        HERE,
    ),
    ("live", "board_key"): (
        "live",
        "--simulate",
        "--board",
        "tcp://127.0.0.1:9",
        "--key",
        "file",
        "--board-key",
        HERE,
    ),
    ("scan", "path"): ("scan", HERE, "--rate", "100k"),
    ("scan", "file"): ("scan", "--file", HERE, "--rate", "100k"),
    ("scan", "model"): ("scan", RECORDING, "--model", HERE),
    ("history", "file"): ("history", HERE),
    # Another mistake beside it, lest a window opens where there is a screen and a raw file is a recording.
    ("gui", "file"): ("gui", "--file", HERE, "--rate", "100k", "--model", "none"),
    ("protocols", "folder"): ("protocols", "--protocols", HERE),
    ("protocols show", "folder"): ("protocols", "show", "ais", "--protocols", HERE),
    ("label", "files"): ("label", HERE, "--rate", "100k", *KNOWN, "--label", "QPSK", "-o", "labels"),
    ("train", "recipe"): ("train", HERE),
    ("train", "start"): ("train", str(ROOT / "recipes" / "family.toml"), "--start", HERE),
    ("train", "add"): ("train", "--add", HERE, "--from", SMALL),
    ("train", "from_"): ("train", "--add", "dir", "--from", HERE),
    ("evaluate", "models"): ("evaluate", HERE),
    ("evaluate-report", "folders"): ("evaluate-report", HERE),
    ("estimate", "model"): ("estimate", HERE),
    ("rtl", "model"): ("rtl", HERE, "-o", "rtl"),
    ("compile", "model"): ("compile", HERE, "-o", "c"),
    ("sweep", "recipe"): ("sweep", HERE, "--dry-run"),
    ("sweep-report", "sweeps"): ("sweep-report", HERE, "-o", "report"),
    ("sweep-report", "published"): (
        *("sweep-report", str(ROOT / "docs" / "thesis" / "as-in-thesis"), "-o", "report"),
        *("--published", HERE),
    ),
    ("model show", "model"): ("model", "show", HERE),
    ("model annotate", "model"): ("model", "annotate", HERE, "--contract", "file"),
    ("model annotate", "contract"): ("model", "annotate", SMALL, "--contract", HERE),
    ("board", "model"): ("board", "--model", HERE, "--listen", "tcp://127.0.0.1:*"),
    ("board", "key"): ("board", "--model", SMALL, "--listen", "tcp://127.0.0.1:*", "--key", HERE),
    ("board", "client"): (
        *("board", "--model", SMALL, "--listen", "tcp://127.0.0.1:*", "--key", "file", "--client", HERE),
    ),
    ("board export", "model"): ("board", "export", HERE, "-o", "image.npz"),
}
BAD_OUTPUTS = {
    # Devices and folders in place of a file; a name is made longer before it becomes a file's.
    "file": {
        "full": "/dev/full",
        "folder": "dir",
        "below a file": "file/x",
        "nowhere": "no/such/x",
        "empty": "",
    },
    "named file": {"of another name": "x.txt", "below a file": "file/x.sigmf-meta", "empty": ""},
    "folder": {"full": "/dev/full", "below a file": "file/x", "empty": ""},
    "name": {"below a file": "file/x", "nowhere": "no/such/x", "empty": ""},
}
BAD_INPUTS = {"missing": "nothing", "empty file": "empty", "folder": "dir", "garbage": "garbage", "empty": ""}
PRINTING: dict[str, tuple[str, ...]] = {
    "classify": ("classify", RECORDING, *KNOWN),
    "classify as JSON": ("classify", RECORDING, *KNOWN, "--json"),
    "live": ("live", "--file", RECORDING, *KNOWN),
    "live as JSON": ("live", "--file", RECORDING, *KNOWN, "--json"),
    "scan": ("scan", RECORDING),
    "label": ("label", RECORDING, *KNOWN, "-o", "labels"),
    "models": ("models",),
    "protocols": ("protocols",),
    "model show": ("model", "show", SMALL),
    "estimate": ("estimate", SMALL),
    "board": ("board", "--model", SMALL, "--listen", "tcp://127.0.0.1:*"),
    "board keygen": ("board", "keygen", "-o", "key"),
}
MADE = {"label": {"labels"}, "board keygen": {"key.public", "key.secret"}}
"""What a command has made before it says so."""
FINE = {("train", "recipe", "empty file"), ("sweep-report", "published", "empty file")}
"""Files without a line that are what they are taken for: a recipe of defaults, a table without rows."""


def commands(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every command and its function."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        inside = hasattr(command, "commands")
        if not inside or command.invoke_without_command:
            yield " ".join((*before, name)), command.callback
        if inside:
            yield from commands(command, (*before, name))


@dataclass(frozen=True)
class Outcome:
    """What came of a command, and what lay in its folder then that had not been there."""

    arguments: tuple[str, ...]
    status: int
    late: bool
    out: str
    err: str
    new: frozenset[str]


def walked(folder: Path, cases: dict[Any, dict[str, Any]]) -> dict[Any, Outcome]:
    """Run the cases, each in a folder of its own with some bad files."""
    for number, case in enumerate(cases.values()):
        place = folder / str(number)
        (place / "dir").mkdir(parents=True)
        for name, content in {"file": b"text\n", "empty": b"", "garbage": os.urandom(3000)}.items():
            (place / name).write_bytes(content)
        case["folder"] = str(place)
    # Python tidies up all that is loaded, so where it does nothing is that these commands do not need.
    whole = any(case.get("whole") for case in cases.values())
    results = list(forked(cases.values(), *(() if whole else walk_commands.AHEAD_OF)))
    outcomes = {}
    for key, result in zip(cases, results, strict=True):
        names = {str(path.relative_to(result["folder"])) for path in Path(result["folder"]).rglob("*")}
        new = frozenset(name.partition("/")[0] for name in names) - {"dir", "file", "empty", "garbage"}
        inside = frozenset(name for name in names if name.startswith("dir/"))
        fields = {name: result[name] for name in ("status", "late", "out", "err")}
        outcomes[key] = Outcome(tuple(result["arguments"]), **fields, new=new | inside)
    return outcomes


def fault(
    outcome: Outcome, statuses: tuple[int, ...] = (2,), said: bool = True, made: set[str] | None = None
) -> str:
    """Return what is wrong with an outcome; empty where nothing is."""
    lines = [line for line in outcome.err.splitlines() if line.startswith("amrq: ")]
    # A wrong option is told by the parser of options, in its own way.
    usage = any(line.startswith("Usage: ") for line in outcome.err.splitlines())
    wrong = []
    if outcome.late:
        wrong.append("it hung")
    if outcome.status not in statuses:
        wrong.append(f"status {outcome.status}")
    for word in ("Traceback", "Fatal", "Exception ignored", "Error in", "\x1b"):
        if word in outcome.err:
            wrong.append(f"it said {word!r}")
    if said and not usage and (len(lines) != 1 or not lines[0].endswith(".")):
        wrong.append(f"{len(lines)} sentences")
    if not said and outcome.err:
        wrong.append("it said something")
    if outcome.new - (made or set()):
        wrong.append(f"it left {sorted(outcome.new)}")
    return f"{' '.join(outcome.arguments)}: {', '.join(wrong)}: {outcome.err[-500:]!r}" if wrong else ""


def faults(found: Iterator[str]) -> list[str]:
    return [one for one in found if one]


def test_every_command_and_every_file_is_in_the_tables() -> None:
    names = {name for name, _ in commands()}
    assert {name for name, _ in (*OUTPUTS, *INPUTS)} | {"models", "devices"} >= names
    for name, callback in commands():
        for parameter, kind in typing.get_type_hints(callback).items():
            if "Path" in str(kind):
                assert ((name, parameter) in OUTPUTS) != ((name, parameter) in INPUTS), (name, parameter)
    assert all(
        parameter in inspect.signature(dict(commands())[name]).parameters for name, parameter in INPUTS
    )


def test_outputs_that_cannot_be_written(tmp_path: Path) -> None:
    cases = {
        (*key, bad): {"arguments": [value if word == HERE else word for word in arguments]}
        for key, (kind, arguments) in OUTPUTS.items()
        for bad, value in BAD_OUTPUTS[kind].items()
    }
    assert not faults(fault(outcome) for outcome in walked(tmp_path, cases).values())


def test_inputs_that_cannot_be_used(tmp_path: Path) -> None:
    cases = {
        (*key, bad): {"arguments": [value if word == HERE else word for word in arguments]}
        for key, arguments in INPUTS.items()
        for bad, value in BAD_INPUTS.items()
        if (*key, bad) not in FINE
    }
    assert not faults(fault(outcome) for outcome in walked(tmp_path, cases).values())


@pytest.mark.parametrize("kind", ["full", "closed", "broken"])
def test_standard_output_that_cannot_be_written(kind: str, tmp_path: Path) -> None:
    cases = {
        name: {"arguments": list(arguments), "stdout": kind, "whole": True}
        for name, arguments in PRINTING.items()
    }
    status, said = ((2,), True) if kind != "broken" else ((141,), False)
    found = walked(tmp_path, cases)
    # Where standard output is closed nothing begins.
    made = MADE if kind != "closed" else {}
    assert not faults(fault(one, status, said, made.get(name)) for name, one in found.items())


def test_help_goes_to_any_output(tmp_path: Path) -> None:
    names = ["", *(name for name, _ in commands())]
    kinds = {"full": (2,), "closed": (2,), "broken": (141,), "read": (0,)}
    cases = {
        (name, kind): {"arguments": [*name.split(), "--help"], "stdout": kind}
        for number, name in enumerate(names)
        for kind in (list(kinds) if number < 2 else ["full"])
    }
    found = walked(tmp_path, cases)
    assert not faults(fault(one, kinds[kind], kind in ("full", "closed")) for (_, kind), one in found.items())


def test_a_locale_without_more_than_ascii(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = amrq(*PRINTING["classify"], cwd=tmp_path, environment=plain | {"COLUMNS": "120"}, text=False)
    assert process.returncode == 0, process.stderr
    text = bytes(process.stdout).decode("ascii")  # type: ignore[arg-type]
    assert "#####" in text and "QPSK" in text and "?" not in text


def test_log_and_recording_on_a_full_disk_say_each_what_happened(tmp_path: Path) -> None:
    """The largest size that a file may have stands for a disk without room."""
    arguments = ["live", "--file", RECORDING, *KNOWN, "--chunks", "1", "--log", "log", "--record", "take"]
    cases = {"both": {"arguments": arguments, "limit": 20_000}}
    (outcome,) = walked(tmp_path, cases).values()
    assert outcome.status == 2 and not outcome.late, outcome
    last = outcome.err.splitlines()[-1]
    assert "take.sigmf-data cannot be written: File too large." in last
    assert "the log log cannot be written: File too large." in last
    assert not [name for name in outcome.new if name.endswith(".part")]
    # What was written before is whole.
    lines = (tmp_path / "0" / "log").read_bytes().split(b"\n")
    assert lines[-1] == b"" and all(json.loads(line) for line in lines[:-1])
    meta = json.loads((tmp_path / "0" / "take.sigmf-meta").read_text())
    assert meta["captures"][0]["core:sample_start"] == 0
    assert (tmp_path / "0" / "take.sigmf-data").stat().st_size % 8 == 0


LONG = "a" * 5000


TOO_LONG = (
    ["models"],
    ["estimate", f"{LONG}.onnx"],
    ["rtl", f"{LONG}.onnx", "-o", "out"],
    ["rtl", "coherent-small-int4", "-o", LONG],
    ["compile", "blind-small-int4", "--chunks", "16", "-o", LONG],
    ["board", "--model", f"{LONG}.npz"],
    ["board", "--key", f"{LONG}.secret", "--client", f"{LONG}.public"],
    ["classify", f"{LONG}.wav"],
    ["classify", RECORDING, *KNOWN, "--log", LONG],
    ["live", "--simulate", "--model", f"{LONG}.onnx"],
    ["live", "--file", LONG],
    ["label", LONG, "-o", LONG],
    ["train", f"{LONG}.toml", "-o", "out"],
    ["sweep", f"{LONG}.toml", "-o", "out"],
)


def test_a_path_longer_than_paths_may_be(tmp_path: Path) -> None:
    environment = {"AMRQ_MODELS": LONG}
    cases = {" ".join(words): {"arguments": words, "environment": environment} for words in TOO_LONG}
    found = walked(tmp_path, cases)
    for name, outcome in found.items():
        assert outcome.status == (0 if name == "models" else 2), outcome
        assert not outcome.late and "Traceback" not in outcome.err and not outcome.new, outcome
