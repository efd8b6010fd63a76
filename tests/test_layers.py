# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be imported where."""

import ast
import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports
from run_amrq import python

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "src" / "amrq"
TESTS = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "python" / "amrq").glob("qa_*.py")]
ROOMS = sorted(
    path.parent.name for path in LIBRARY.glob("*/__init__.py") if path.parent.name not in ("training", "cli")
)


def test_rooms_stand_on_floors_and_are_entered_by_their_faces(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None)
    assert status == 0, capsys.readouterr().out


def _past_a_face(script: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("amrq."):
            path = LIBRARY.joinpath(*node.module.split(".")[1:])
            # What is private to a module is tested there, by its own name.
            if path.parent == LIBRARY / "cli":
                continue  # the top floor: nothing but its tests and its reference looks inside
            public = any(not name.name.startswith("_") for name in node.names)
            if not path.is_dir() and path.parent != LIBRARY and public:
                yield f"{script.relative_to(ROOT)}:{node.lineno}: {node.module}"


def test_blocks_scripts_and_tests_enter_rooms_by_their_faces() -> None:
    folders = ("python/amrq", "examples", "scripts", "benchmarks", "docs/extensions", "tests")
    scripts = [script for folder in folders for script in (ROOT / folder).rglob("*.py")]
    assert not [place for script in scripts for place in _past_a_face(script)]


def test_only_training_loads_torch_and_nothing_loads_gnuradio() -> None:
    """All rooms in one process: what one of them loads by itself is loaded here too.

    `scipy.signal` brings `scipy.stats`, which would be a third of the time in which a command starts.
    """
    code = """
import importlib, sys
others = ('torch', 'gnuradio', 'onnx', 'matplotlib', 'scipy.stats')
for room in sys.argv[1:]:
    importlib.import_module(room)
    print(*(f"{room}: {name}" for name in others if name in sys.modules))
"""
    result = python("-c", code, "amrq", *(f"amrq.{room}" for room in ROOMS), "amrq.cli")
    assert (result.returncode, result.stdout.split()) == (0, []), result.stdout + result.stderr


def test_the_blocks_need_no_torch_no_qt() -> None:
    code = (
        "import sys; from gnuradio import amrq; "
        "print([name for name in ('torch', 'PyQt5', 'onnx', 'matplotlib') if name in sys.modules])"
    )
    result = python("-c", code)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_all_randomness_of_the_tests_comes_from_one_place() -> None:
    own = re.compile(r"default_rng\((?!\[SEED)|RandomState\(|random\.seed\(|manual_seed\(\d")
    found = [str(path.relative_to(ROOT)) for path in TESTS if own.search(path.read_text())]
    assert found == [], "take it from tests/seeds.py"


def test_modules_are_concepts_not_dust() -> None:
    lines = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in LIBRARY.rglob("*.py"))
    assert len(lines) <= 336
    assert statistics.median(lines) > 120
    assert lines[-1] <= 600


def _long(script: Path) -> Iterator[str]:
    """Yield the tests of a file that are marked long, all of them or with some of their parameters."""
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and any(
            "mark.long" in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            yield f"{script.relative_to(ROOT)}::{node.name}"


def test_every_long_test_has_a_dated_result() -> None:
    """`make test` leaves them out: what `make test-long` wrote must name each."""
    marked = sorted(name for script in TESTS for name in _long(script))
    about = json.loads((ROOT / "tests" / "long_tests.json").read_text())
    assert about["passed"] == marked
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", about["date"]) and re.fullmatch(
        r"[0-9a-f]{10}\+?", about["commit"]
    )


def test_nothing_is_kept_for_a_thread_by_python() -> None:
    """An array in a `threading.local` ends the process when a block's thread ends: Python 3.13 frees it half-way."""
    found = [
        str(path) for path in LIBRARY.rglob("*.py") if re.search(r"= threading\.local\(", path.read_text())
    ]
    assert found == []
