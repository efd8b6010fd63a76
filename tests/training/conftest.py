# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of training share."""

import pytest
from small_models import calibrate_quickly


@pytest.fixture
def quick_fusion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out fitting how evidence adds up, and calibrate on fewer chunks: most of the time that a small model takes.

    `test_train_and_evaluate_commands` and `test_evidence_that_errs_together_counts_less` do it.
    """
    calibrate_quickly(monkeypatch)
