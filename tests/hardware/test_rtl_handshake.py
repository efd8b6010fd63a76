# SPDX-License-Identifier: GPL-3.0-or-later
"""What AXI4-Stream asks of the hardware's ports, proven by Yosys for all inputs and any time (temporal induction)."""

import shutil
import subprocess
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from amrq.hardware.rtl import score_map

pytestmark = pytest.mark.skipif(shutil.which("yosys") is None, reason="yosys is not installed")
PROPERTIES = Path(__file__).with_name("handshake.v")


@cache
def _lowering() -> list[str]:
    """Return the steps that make assertions what `sat` reads: Yosys has them in cells of another kind since 0.36."""
    said = subprocess.run(["yosys", "-p", "help chformal"], capture_output=True, text=True, check=True).stdout
    return ["async2sync; chformal -lower; opt_clean"] if "-lower" in said else []


MODULES = ("amrq_score_stream", "amrq_chunk_gate", "amrq_serial_requests", "amrq_dma")


def _proven(folder: Path, top: str, fold: int = 1, change: tuple[str, str] = ("", "")) -> bool:
    """Return whether the assertions hold; `change` replaces text of the modules, to see that this is found."""
    modules = files("amrq.hardware.rtl") / "verilog"
    text = "".join((modules / f"{name}.v").read_text() for name in MODULES)
    assert change[0] in text
    text = text.replace(*change) if change[0] else text
    (folder / "dut.v").write_text(text + score_map([0, 3, 1], 2, 1, [0, 1, 0], 1, ["a", "b", "c"]))
    steps = (
        f"read_verilog -formal {PROPERTIES} {folder / 'dut.v'}",
        *([f"chparam -set FOLD {fold} {top}"] if fold > 1 else []),
        f"prep -top {top}",
        "flatten; memory_map; opt_clean",
        *_lowering(),
        "sat -tempinduct -prove-asserts -set-assumes -maxsteps 24 -verify",
    )
    result = subprocess.run(["yosys", "-p", "; ".join(steps)], capture_output=True, text=True, check=False)
    said = result.stdout + result.stderr
    assert "Import proof for assert" in said, said[-1000:]
    assert result.returncode == 0 or "proof did fail" in said, said[-1000:]
    return result.returncode == 0


def test_what_the_output_offers_stays_until_it_is_taken(tmp_path: Path) -> None:
    assert _proven(tmp_path, "output_handshake")
    moves = "wire move = ~m_axis_tvalid | m_axis_tready;"
    assert not _proven(tmp_path, "output_handshake", change=(moves, "wire move = 1'b1;"))


@pytest.mark.parametrize("fold", [1, 2, 4, 8])
def test_no_symbol_comes_in_sooner_than_the_layers_take_it(tmp_path: Path, fold: int) -> None:
    assert _proven(tmp_path, "input_handshake", fold)
    if fold > 1:
        early = ("rested = rest == 3'd0", "rested = rest <= 3'd1")
        assert not _proven(tmp_path, "input_handshake", fold, early)


def test_a_serial_line_lets_only_whole_chunks_in(tmp_path: Path) -> None:
    assert _proven(tmp_path, "request_handshake")


def test_what_a_dma_is_offered_stays_until_it_is_taken(tmp_path: Path) -> None:
    assert _proven(tmp_path, "dma_handshake")
    moves, rest = "end else if (move) begin", "\n            if (best)"
    hurries = (moves + rest, moves.replace("move", "m_axis_tvalid") + rest)
    assert not _proven(tmp_path, "dma_handshake", change=hurries)
