# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheel on a machine without GNU Radio: what needs none works, the rest says so in one line."""

import json
import re
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from run_amrq import run

import amrq

pytest.importorskip("hatchling", reason="hatchling, which builds wheels, is not installed")

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "examples" / "recordings" / "dvbs2_qpsk.sigmf-meta"
AS_INSTALLED = """
import sys
from importlib.metadata import entry_points
sys.argv[0] = "amrq"
(script,) = entry_points(group="console_scripts", name="amrq")
script.load()()
"""


def needed(requirements: list[str]) -> set[str]:
    """Return the distributions that requirements bring, and theirs, and so on, without extras."""
    found: set[str] = set()
    while requirements:
        requirement = requirements.pop()
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()
        if "extra ==" in requirement or name in found:
            continue
        try:
            requirements = requirements + (distribution(name).requires or [])
        except PackageNotFoundError:  # it is for another system or another Python
            continue
        found.add(name)
    return found


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with the wheel and with what it says it needs, and without GNU Radio."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    done = run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT])
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    assert wheel.name == f"amrq-{amrq.__version__}-py3-none-any.whl"
    venv.create(folder / "clean", with_pip=False)
    (place,) = (folder / "clean").glob("lib/python3*/site-packages")
    done = run([*pip, "install", "--no-deps", "--no-index", "--target", place, wheel])
    assert done.returncode == 0, done.stderr
    (made,) = distributions(name="amrq", path=[str(place)])
    # Not downloaded: links to the files that this environment has of it.
    for name in needed(list(made.requires or [])):
        its = distribution(name)
        # A distribution's own packages have no list of their files, but mostly one of what is imported.
        listed = {file.parts[0] for file in its.files or []}
        for part in listed or {name, *(its.read_text("top_level.txt") or "").split()}:
            link = place / part
            if (
                part not in ("..", "__pycache__")
                and not link.exists()
                and Path(str(its.locate_file(part))).exists()
            ):
                link.symlink_to(its.locate_file(part))
    return folder / "clean" / "bin" / "python"


def command(clean: Path, *arguments: object) -> CompletedProcess[str]:
    return run([clean, "-I", "-c", AS_INSTALLED, *arguments])


def test_what_needs_no_gnu_radio_works(clean: Path, tmp_path: Path) -> None:
    assert command(clean, "--version").stdout == f"amrq {amrq.__version__}\n"
    shown = command(clean, "--help")
    assert shown.returncode == 0 and "classify" in shown.stdout
    listed = command(clean, "models")
    assert listed.returncode == 0 and "blind-full-int8" in listed.stdout, listed.stderr
    assert "Weights are not counted: that needs the Python package onnx." in listed.stdout
    there = command(clean, "protocols", "--freq", "162.025M", "--family", "fsk2")
    assert there.returncode == 0 and "AIS" in there.stdout, there.stderr
    code = f"""
import json
from amrq.recordings import open_recording
recording = open_recording({str(RECORDING)!r})
print(json.dumps([recording.sample_rate, recording.length, recording.annotations[0].label]))
"""
    read = run([clean, "-I", "-c", code])
    assert json.loads(read.stdout) == [100e3, 9600, "QPSK"], read.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("classify", RECORDING), "classifying a recording needs GNU Radio 3.10 with this module installed"),
        (("live", "--simulate"), "live classification needs GNU Radio 3.10 with this module installed"),
        (("label", RECORDING, "-o", "labels"), "needs GNU Radio 3.10 with this module installed"),
        (("estimate", "coherent-small-int4"), "needs the Python package onnx"),
        (("train", "recipe.toml", "-o", "made.onnx"), "PyTorch"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_is_missing_is_one_line(clean: Path, arguments: tuple[object, ...], words: str) -> None:
    done = command(clean, *arguments)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and line.startswith("amrq: ") and words in line, done.stderr


def test_hardware_is_estimated_with_one_package_more(clean: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    more = f"import sys; sys.path.append({str(Path(onnx.__file__).parents[1])!r})\n"
    done = run([clean, "-I", "-c", more + AS_INSTALLED, "estimate", "coherent-small-int4"])
    assert done.returncode == 0 and "DSP" in done.stdout, done.stderr
