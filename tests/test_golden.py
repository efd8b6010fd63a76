# SPDX-License-Identifier: GPL-3.0-or-later
"""Behaviour is what was recorded in tests/golden/data: scores, decisions, Verilog, training, options, names.

What fails here and is meant: `make golden` records it anew; name it in the commit and in CHANGELOG.md.
"""

import shutil

import pytest

pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from golden import parts

NOT_HERE = ("classify", "real")
"""tests/test_golden_command.py: another process of the tests can have them."""


@pytest.mark.parametrize("part", parts.CASES)
def test_all_that_is_recorded_is_compared(part: str) -> None:
    assert set(parts.read(part)["data"]) == set(parts.CASES[part]), "record it anew: make golden"


@pytest.mark.parametrize(
    ("part", "case"),
    [(part, case) for part, cases in parts.CASES.items() if part not in NOT_HERE for case in cases],
)
def test_behaviour_is_as_recorded(part: str, case: str) -> None:
    if part == "training":
        pytest.importorskip("torch", reason="PyTorch is not installed: training is not tested")
        pytest.importorskip("distributed", reason="the package distributed is not installed")
    if case == "simulated hardware" and shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    parts.hold(part, case)
