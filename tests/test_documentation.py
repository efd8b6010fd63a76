# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages say against what there is: links, commands and their options, code. `make docs` sees to the rest."""

import ast
import importlib
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import run_amrq
import typer
import yaml

from amrq.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "models").glob("*.md"),
        *ROOT.glob("*.md"),
        ROOT / "benchmarks" / "README.md",
    ]
)
OTHERS_OPTIONS = {
    *("--break-system-packages", "--user", "--nthreads", "--nworkers"),
    *("--probe", "--collector.textfile.directory"),
}
"""Options that pages name in running text and that are pip's, Dask's, SoapySDR's and the like."""
EXAMPLES_OPTIONS = {
    "--" + block["name"].replace("_", "-")
    for path in (ROOT / "examples").glob("*.grc")
    for block in yaml.safe_load(path.read_text())["blocks"]
    if block["id"] == "parameter"
}
"""Options of the programs that the Companion makes of the examples."""
SCRIPTS_OPTIONS = {
    option
    for path in (ROOT / "benchmarks").glob("*.py")
    for option in re.findall(r'add_argument\(\s*(?:"-\w", )?"(--[a-z-]+)"', path.read_text())
}
"""Options of the benchmarks."""

FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
PLACEHOLDER = re.compile(r"<[a-z][a-z ]*>")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


class Command(NamedTuple):
    """A command of `amrq` with its options."""

    options: frozenset[str]
    below: dict[str, "Command"]


def command_tree(command: Any) -> Command:
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    below = {name: command_tree(child) for name, child in getattr(command, "commands", {}).items()}
    return Command(frozenset({*options, "--help"}), below)


AMRQ = command_tree(typer.main.get_command(app))
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def all_options(command: Command) -> frozenset[str]:
    return command.options.union(*map(all_options, command.below.values()))


def blocks(page: Path, language: str) -> list[str]:
    return [found["body"] for found in FENCE.finditer(page.read_text()) if found["language"] == language]


def running_text(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def simple_commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell text, without assignments before it."""
    for line in PLACEHOLDER.sub("X", text).replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.wordchars += "$%,:+@^"
        words: list[str] = []
        for token in [*lexer, ";"]:
            if set(token) <= set(";|&()<>"):
                if words:
                    yield words
                words = []
            elif words or not re.fullmatch(r"\w+=.*", token):
                words.append(token)


def check_amrq(words: list[str]) -> None:
    """Hold the words behind `amrq` against the command's own options."""
    command = AMRQ
    for word in words:
        if word in command.below:
            command = command.below[word]
        elif word.startswith("-") and not re.fullmatch(r"-?\d.*|-", word):
            assert word.partition("=")[0] in command.options, f"amrq {' '.join(words)}: no option {word}"


def headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", running_text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for found in LINK.finditer(running_text(page)):
        target, _, anchor = found["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.is_file() and file.is_relative_to(ROOT), f"{target} is not a file"
        assert not anchor or anchor in headings(file), f"{file.name} has no heading #{anchor}"


@every_page
def test_commands_are_what_the_program_takes(page: Path) -> None:
    for block in blocks(page, "sh"):
        text = PLACEHOLDER.sub("X", block)
        parsed = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True)
        assert parsed.returncode == 0, parsed.stderr + text
        for words in simple_commands(text):
            if Path(words[0]).name == "amrq":
                check_amrq(words[1:])
            elif words[0] == "make" and "-C" not in words:  # elsewhere there is another Makefile
                wanted = {word for word in words[1:] if "=" not in word}
                assert wanted <= MAKE_TARGETS, f"make has no target {wanted - MAKE_TARGETS}"
    for span in INLINE.findall(running_text(page)):
        words = span.replace("/--", " --").split()
        if Path(words[0]).name == "amrq":
            check_amrq(words[1:])
        elif words[0] == "make" and len(words) > 1 and re.fullmatch(r"[a-z-]+", words[1]):
            assert words[1] in MAKE_TARGETS, f"make has no target {words[1]}"
        elif words[0].startswith("--"):
            known = all_options(AMRQ) | OTHERS_OPTIONS | EXAMPLES_OPTIONS | SCRIPTS_OPTIONS
            assert words[0] in known, f"no command has an option {words[0]}"


@every_page
def test_python_compiles_and_imports(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Import):
                for name in node.names:
                    importlib.import_module(name.name)
            elif isinstance(node, ast.ImportFrom):
                assert node.module and not node.level
                module = importlib.import_module(node.module)
                for name in node.names:
                    if not hasattr(module, name.name):
                        importlib.import_module(f"{node.module}.{name.name}")


def test_the_checks_find_what_is_wrong() -> None:
    for wrong in (
        "classify a.cf32 --symbolrate 9600",
        "model show default --contract x",
        "live --soapy x -o y",
    ):
        with pytest.raises(AssertionError):
            check_amrq(wrong.split())
    text = "rtl_sdr -f 1M - | X=1 .venv/bin/amrq live --stdin  # it's\ncd <this place> && amrq models"
    assert [Path(words[0]).name for words in simple_commands(text)] == ["rtl_sdr", "amrq", "cd", "amrq"]


def test_the_model_of_ones_own(tmp_path: Path) -> None:
    """The example of docs/own-model.md, with the contract that stands there."""
    (contract,) = re.findall(
        r"<<'END'\n(.*?)^END$", (ROOT / "docs" / "own-model.md").read_text(), re.M | re.S
    )
    (tmp_path / "contract.json").write_text(contract)

    def python(*arguments: object) -> str:
        result = run_amrq.run(run_amrq.warm(*arguments), cwd=ROOT)
        assert result.returncode == 0, result.stderr
        return result.stdout

    model = tmp_path / "mine.onnx"
    python("examples/two_class_model.py", model)
    python("-m", "amrq", "model", "annotate", model, "--contract", tmp_path / "contract.json")
    for name in ("BPSK", "QPSK"):
        recording = f"examples/recordings/generic_{name.lower()}.sigmf-meta"
        said = python(
            "-m", "amrq", "classify", recording, "--symbol-rate", "25e3", "--model", model, "--json"
        )
        assert json.loads(said.splitlines()[1])["label"] == name
