# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as CMake installs it, in a prefix of its own: what it is started by differs from `python -m amrq`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

pytest.importorskip("gnuradio", reason="GNU Radio is not installed")
ROOT = Path(__file__).resolve().parents[1]
QPSK = ROOT / "examples" / "recordings" / "generic_qpsk.sigmf-meta"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefix")


@pytest.fixture(scope="module")
def build(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that it was built in, and installed from."""
    if shutil.which("cmake") is None:
        pytest.skip("there is no CMake")
    build = tmp_path_factory.mktemp("build")
    steps = [
        [
            "-S",
            ROOT,
            "-B",
            build,
            f"-DCMAKE_INSTALL_PREFIX={prefix}",
            f"-DPYTHON_EXECUTABLE={sys.executable}",
            # The kernels are not optimised, which takes most of a build; what is installed where is the same.
            "-DCMAKE_BUILD_TYPE=Debug",
        ],
        ["--build", build],
        ["--install", build],
    ]
    for step in steps:
        done = subprocess.run(["cmake", *map(str, step)], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
    return build


@pytest.fixture(scope="module")
def command(build: Path, prefix: Path) -> Path:
    """Return the installed command."""
    return prefix / "bin" / "amrq"


def test_ctest_has_each_block_s_qa_and_runs_it(build: Path) -> None:
    """One here; `test_block_qa.py` runs all, which takes less time without a start for each."""
    ctest = ["ctest", "--test-dir", str(build)]
    listed = subprocess.run([*ctest, "-N"], capture_output=True, text=True, timeout=PATIENCE)
    files = {path.stem for path in (ROOT / "python" / "amrq").glob("qa_*.py")}
    assert set(re.findall(r"Test +#\d+: (\w+)", listed.stdout)) == files
    one = [*ctest, "--output-on-failure", "-R", "qa_packet_source"]
    done = subprocess.run(one, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100% tests passed" in done.stdout and "out of 1" in done.stdout, done.stdout


def run(command: Path, *arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it as a user does, who has no PYTHONPATH that leads to this clone."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(command), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
        cwd=folder or command.parent,
        env=environment | {"COLUMNS": "200", "NO_COLOR": "1"},
    )


def test_it_runs_what_was_installed_beside_it(command: Path) -> None:
    source = command.read_text()
    place = 'Path(__file__).resolve().parents[1] / "'
    library = command.parents[1] / source[source.index(place) + len(place) :].partition('"')[0] / "amrq"
    (library / "_version.py").write_text('__version__ = "0.0.0+seen"\n')
    try:
        assert "0.0.0+seen" in run(command, "--version").stdout
    finally:
        shutil.copy(ROOT / "src" / "amrq" / "_version.py", library)


# All commands are loaded before any explains itself; tests/test_help_and_completion.py asks each of them.
@pytest.mark.parametrize("words", [("classify",), ("board", "export")], ids=" ".join)
def test_a_command_explains_itself(command: Path, words: tuple[str, ...]) -> None:
    done = run(command, *words, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.lstrip().startswith("Usage: amrq " + " ".join(words)), done.stdout


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["classify", QPSK], "QPSK"),
        (["live", "--file", QPSK, "--json", "--symbol-rate", "25000"], "QPSK"),
        (["models"], "blind-full-int8"),
        (["model", "show", "default"], "blind-full-int8"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_it_finds_models_and_blocks(command: Path, words: list[object], seen: str) -> None:
    done = run(command, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert seen in done.stdout


def test_an_error_is_a_sentence(command: Path) -> None:
    done = run(command, "classify", "nothing.cf32")
    assert done.returncode == 2
    assert done.stderr.startswith("amrq: ") and "Traceback" not in done.stderr


def test_a_board_s_image_is_written(command: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    done = run(command, "board", "export", "coherent-small-int4", "-o", tmp_path / "small.npz")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "small.npz").stat().st_size > 1_000


@pytest.mark.long
def test_a_sweep_starts_workers_that_start_nothing_else(command: Path, tmp_path: Path) -> None:
    for package in ("torch", "onnx", "distributed"):
        pytest.importorskip(package, reason=f"the package {package} is not installed")
    recipe = ROOT / "recipes" / "sweep-smoke.toml"
    done = run(
        command,
        *("sweep", recipe, "-o", tmp_path / "sweep", "--only", "tiny_2f_1c", "--workers", "1", "--no-speed"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "sweep" / "models" / "tiny_2f_1c.onnx").is_file()
    assert "Nanny" not in done.stderr
