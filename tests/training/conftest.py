# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of training share."""

import pytest


@pytest.fixture
def quick_fusion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out fitting how evidence adds up, most of the time that a small model takes.

    `test_train_and_evaluate_commands` and `test_evidence_that_errs_together_counts_less` do it.
    """
    monkeypatch.setattr("amrq.training.making.calibrate_fusion", lambda *_: 10.0)
