# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be imported where."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = sorted(
    path.parent.name
    for path in (Path(__file__).resolve().parents[1] / "src" / "amrq").glob("*/__init__.py")
    if path.parent.name not in ("training", "cli")
)


@pytest.mark.parametrize("room", ["amrq", "amrq.cli", *(f"amrq.{room}" for room in ROOMS)])
def test_only_training_loads_torch_and_nothing_loads_gnuradio(room: str) -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import {room}; "
        "print([name for name in ('torch', 'gnuradio', 'onnx', 'matplotlib') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_the_blocks_need_no_torch_no_qt() -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from gnuradio import amrq; "
        "print([name for name in ('torch', 'PyQt5', 'onnx', 'matplotlib') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
