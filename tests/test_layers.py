# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be imported where."""

from pathlib import Path

import pytest
from run_amrq import python

ROOMS = sorted(
    path.parent.name
    for path in (Path(__file__).resolve().parents[1] / "src" / "amrq").glob("*/__init__.py")
    if path.parent.name not in ("training", "cli")
)


@pytest.mark.parametrize("room", ["amrq", "amrq.cli", *(f"amrq.{room}" for room in ROOMS)])
def test_only_training_loads_torch_and_nothing_loads_gnuradio(room: str) -> None:
    code = (
        f"import sys; import {room}; "
        "print([name for name in ('torch', 'gnuradio', 'onnx', 'matplotlib') if name in sys.modules])"
    )
    result = python("-c", code)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_the_blocks_need_no_torch_no_qt() -> None:
    code = (
        "import sys; from gnuradio import amrq; "
        "print([name for name in ('torch', 'PyQt5', 'onnx', 'matplotlib') if name in sys.modules])"
    )
    result = python("-c", code)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
