# SPDX-License-Identifier: GPL-3.0-or-later
"""What messages and pages tell people to install, against what pyproject.toml and requirements/ name."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_amrq import python

import amrq
from amrq.errors import AmrqError
from amrq.machine import distribution_of, optional_package

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CODE = [
    path
    for folder in ("src", "python", "apps", "scripts", "examples", "benchmarks", "grc")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".in", ".yml", "") and path.is_file() and "__pycache__" not in path.parts
]
PAGES = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]


def bare(requirement: str) -> str:
    """The name of a requirement, as pip compares names."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


NAMED = {bare(r) for r in (*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra))}


def required(file: str) -> set[str]:
    lines = (ROOT / "requirements" / file).read_text().splitlines()
    return {bare(line) for line in lines if line and not line.startswith("#")}


def modules_asked_for() -> Iterator[str]:
    """The first argument of each call of optional_package."""
    for path in CODE:
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "optional_package":
                assert isinstance(node.args[0], ast.Constant), f"{path}: a name that is computed"
                yield str(node.args[0].value)


def test_a_package_that_is_missing_is_named_as_pip_knows_it() -> None:
    asked = set(modules_asked_for())
    assert {"zmq", "onnx", "onnxruntime", "sigmf"} <= asked
    unknown = {
        module: distribution_of(module) for module in asked if bare(distribution_of(module)) not in NAMED
    }
    assert not unknown, f"pyproject.toml does not know them: {unknown}"
    assert distribution_of("zmq.utils.z85") == "pyzmq"


def test_the_sentence_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zmq", None)
    with pytest.raises(AmrqError, match=r"package pyzmq, .*'pip install pyzmq'"):
        optional_package("zmq", "a board")


def test_every_extra_that_is_named_exists() -> None:
    found = 0
    for path in (*CODE, *PAGES):
        for extra in re.findall(
            r"(?:amrq|'\.|\s\.)\[(\w+)\]|extra \[?`?(\w+)[\]`]", path.read_text(errors="replace")
        ):
            found += 1
            assert (extra[0] or extra[1]) in EXTRAS, f"{path.relative_to(ROOT)}: no extra {extra}"
    assert found >= 3


def test_what_messages_tell_to_install_is_what_is_needed() -> None:
    for path in CODE:
        for name in re.findall(r"pip install (\w[\w-]*)", path.read_text(errors="replace")):
            assert bare(name) in NAMED, f"{path.relative_to(ROOT)} tells to install {name}"


def test_setup_installs_what_boards_and_hardware_need_and_no_pytorch() -> None:
    live, train = required("live.txt"), required("train.txt")
    missing = {*map(bare, PROJECT["dependencies"]), *map(bare, EXTRAS["hardware"])} - live
    assert missing == {"numpy", "pyyaml"}  # NumPy has files of its own; GNU Radio depends on PyYAML
    assert "torch" in train and not live & {"torch", "distributed"}
    wanted = {bare(r) for r in EXTRAS["train"]} - {"tomli", "numpy"}
    assert wanted <= live | train


@pytest.mark.parametrize(
    "words",
    [
        ["estimate", "coherent-small-int4"],
        ["rtl", "coherent-small-int4", "-o", "verilog"],
        ["board", "export", "default", "-o", "image.npz"],
        ["models"],
    ],
    ids=" ".join,
)
def test_boards_and_hardware_need_no_pytorch(words: list[str], tmp_path: Path) -> None:
    without = "import sys; sys.modules['torch'] = None; from amrq.cli import main; sys.exit(main())"
    result = python("-c", without, *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_version_is_the_same_everywhere() -> None:
    """One place has it, src/amrq/_version.py; CMake and the wheel read it there."""
    files = {
        name: re.findall(r"(?m)^version: (\S+)$", (ROOT / name).read_text())
        for name in ("CITATION.cff", "MANIFEST.yml")
    }
    assert files == {"CITATION.cff": [amrq.__version__], "MANIFEST.yml": [amrq.__version__]}
    assert "src/amrq/_version.py" in (ROOT / "CMakeLists.txt").read_text()
    (latest, date), *_ = re.findall(r"(?m)^## (\d\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text())
    assert latest == amrq.__version__
    assert f"date-released: {date}\n" in (ROOT / "CITATION.cff").read_text()
    named = {version for page in PAGES for version in re.findall(r"amrq-([\d.]+\d)-py3", page.read_text())}
    assert named == {amrq.__version__}
