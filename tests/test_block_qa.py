# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks' QA, as ctest runs it: each file a program of its own, whose packages are loaded already."""

import re
from pathlib import Path

import pytest
from run_amrq import run, warm

pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")

FILES = sorted((Path(__file__).resolve().parents[1] / "python" / "amrq").glob("qa_*.py"))
AS_CTEST_SETS = {"GR_DONT_LOAD_PREFS": "1", "VOLK_GENERIC": "1", "QT_QPA_PLATFORM": "offscreen"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_qa(path: Path, tmp_path: Path) -> None:
    command = warm(path, more=("PyQt5.Qt", "PyQt5.QtWidgets", "pyqtgraph"))
    done = run(command, AS_CTEST_SETS, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.search(r"^Ran (\d+) tests?", done.stderr, re.MULTILINE)
    assert ran is not None and int(ran[1]) > 0, done.stderr
    skipped = re.search(r"^OK \(skipped=\d+\)", done.stderr, re.MULTILINE)
    if skipped:
        pytest.skip(f"{path.name}: {skipped[0]}; {done.stderr}")
