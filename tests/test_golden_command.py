# SPDX-License-Identifier: GPL-3.0-or-later
"""What `amrq classify` says of recordings is what was recorded in tests/golden/data: see test_golden.py."""

import pytest
from golden import parts


@pytest.mark.parametrize("case", parts.CASES["classify"])
def test_decisions_are_as_recorded(case: str) -> None:
    parts.hold("classify", case)


@pytest.mark.skipif(
    not parts.REAL.is_dir(), reason="the real recordings (../shared/iq) are not on this machine"
)
def test_decisions_on_real_recordings_are_as_recorded() -> None:
    parts.hold("real", "counts")
