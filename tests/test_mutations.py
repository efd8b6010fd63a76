# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutated files of every kind: a sentence comes out, in bounded time and memory. `make fuzz` tries many more."""

from pathlib import Path

import pytest
from files.file_kinds import KINDS, FileKind
from files.try_kind import try_kind
from seeds import SEED

CASES = 60


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_nothing_but_a_sentence_comes_out(kind: FileKind, tmp_path: Path) -> None:
    if kind.missing():
        pytest.skip(f"the package {kind.missing()} is not installed")
    try_kind(kind, tmp_path / "case", SEED, -(-CASES // kind.slow))
