# SPDX-License-Identifier: GPL-3.0-or-later
"""The bank of front-end chunks is what training takes, and the same each time but for rounding."""

from pathlib import Path

import numpy as np
from run_amrq import python

from amrq.classes import THESIS_9
from amrq.labels import LabelsFolder

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "front_end_bank.py"


def made(folder: Path, *options: str) -> None:
    done = python(SCRIPT, "-o", folder, *options)
    assert done.returncode == 0, done.stderr


def test_a_bank_holds_all_classes_and_their_es_n0_and_comes_out_alike(tmp_path: Path) -> None:
    made(tmp_path / "one", "--signals", "2")
    made(tmp_path / "two", "--signals", "2", "--processes", "2")
    first, second = (LabelsFolder(tmp_path / name).read() for name in ("one", "two"))
    assert {recording.name for recording in first} == set(THESIS_9)
    for one, two in zip(first, second, strict=True):
        assert one.counts == {one.name: 64}
        assert one.recording_sha256 == two.recording_sha256
        # How the scheduler cuts the stream decides the last bit of a sum.
        np.testing.assert_allclose(two.chunks, one.chunks, rtol=0, atol=1e-4)
        assert one.es_n0_db is not None and two.es_n0_db is not None
        np.testing.assert_array_equal(one.es_n0_db, two.es_n0_db)
        levels = np.unique(one.es_n0_db)
        assert len(levels) == 2 and levels[0] >= 0 and levels[1] <= 30
        # Locked, the level is about 1 whatever it was before the front end.
        power = (np.abs(one.chunks) ** 2).mean()
        assert 0.4 < power < 2.5
