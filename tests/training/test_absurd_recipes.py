# SPDX-License-Identifier: GPL-3.0-or-later
"""A few bytes of a recipe cannot ask for all memory there is."""

from pathlib import Path

import pytest

from amrq.errors import AmrqError
from amrq.sweep import read_sweep_recipe
from amrq.training import read_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.mark.parametrize(
    ("text", "other", "words"),
    [
        ("[net]", f"[net]\nhead_widths = {[4096] * 60}", "weights"),
        ("[net]", f"[net]\nhead_widths = {[1] * 100}", "layers"),
        ("batch_size = 256", "batch_size = 1_000_000_000", "batch_size"),
        ("accuracy_chunks = 100", "accuracy_chunks = 9_000_000_000_000", "accuracy_chunks"),
        ("seed = 7", "seed = 1_000_000_000_000_000_000_000", "seed"),
        ("seed = 7", "seed = 7\nchunk_length = 1_000_000_000", "chunk_length"),
        ("caution = 0.5", "caution = inf", "caution"),
        ("seed = 7", "seed = 7\nx = " + "[" * 5000, "recipe"),
        ("seed = 7", "seed = 7\nx = " + "9" * 5000, "recipe"),
    ],
)
def test_a_recipe(text: str, other: str, words: str, tmp_path: Path) -> None:
    source = (RECIPES / "smoke.toml").read_text()
    source = source.replace("head_widths", "# head_widths") if "head_widths" in other else source
    assert text in source
    (tmp_path / "r.toml").write_text(source.replace(text, other))
    with pytest.raises(AmrqError, match=words) as refused:
        read_recipe(tmp_path / "r.toml")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("text", "other", "words"),
    [
        ("gate_chunks = 288", "gate_chunks = 9_000_000_000_000", "gate_chunks"),
        ("level_chunks = 288", "level_chunks = 9_000_000_000_000", "level_chunks"),
        ("hidden = [32]", f"hidden = {[4096] * 60}", "weights"),
        ("pruned = [0.0, 0.3]", f"pruned = {[k / 10_000 for k in range(9_000)]}", "cells"),
        ("[signal]", "[signal]\nnoise_power = nan", "noise_power"),
        ("[signal]", "[signal]\nnoise_power = -1", "noise_power"),
    ],
)
def test_a_sweep_s_recipe(text: str, other: str, words: str, tmp_path: Path) -> None:
    source = (RECIPES / "sweep-smoke.toml").read_text()
    assert text in source
    (tmp_path / "r.toml").write_text(source.replace(text, other, 1))
    with pytest.raises(AmrqError, match=words):
        read_sweep_recipe(tmp_path / "r.toml")
