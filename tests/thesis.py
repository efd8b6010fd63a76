# SPDX-License-Identifier: GPL-3.0-or-later
"""The thesis's tables and networks, for tests."""

import csv
from pathlib import Path

from amrq.sweep import read_sweep_recipe
from amrq.training.architectures import VggLikeNet

ROOT = Path(__file__).resolve().parents[1]
RECIPE = read_sweep_recipe(ROOT / "recipes" / "thesis.toml")


def published() -> list[dict[str, str]]:
    """Return the rows of the thesis's tables."""
    with (ROOT / "docs" / "thesis" / "published.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def network(architecture: str) -> VggLikeNet:
    """Return one of the thesis's networks, untrained."""
    a = RECIPE.architecture(architecture)
    return VggLikeNet(9, a.channels, a.pools, a.hidden)
