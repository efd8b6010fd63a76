# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation as pictures."""

import os
from pathlib import Path
from typing import Any

from amrq.evaluation.evaluation import Evaluation
from amrq.optional_package import optional_package

__all__ = ["draw_pictures"]


def draw_pictures(evaluation: Evaluation, folder: str | os.PathLike[str]) -> list[Path]:
    """Write `accuracy.png` (against Es/N0, with intervals) and `confusion.png` (a matrix for each Es/N0).

    Args:
        evaluation: what was found.
        folder: where to; it must be there.

    Returns:
        the files.

    Raises:
        AmrqError: matplotlib is missing.
    """
    # The class, not pyplot: no window system is needed or touched.
    figure_class = optional_package("matplotlib.figure", "drawing pictures").Figure
    folder = Path(folder)
    return [_accuracy(evaluation, folder, figure_class), _confusion(evaluation, folder, figure_class)]


def _accuracy(evaluation: Evaluation, folder: Path, figure_class: Any) -> Path:
    figure = figure_class(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    levels = [level.es_n0_db for level in evaluation.levels]
    for number, name in enumerate(evaluation.truths):
        shares = [level.class_rows()[number].accuracy for level in evaluation.levels]
        axes.plot(levels, shares, marker=".", linewidth=1, alpha=0.7, label=name)
    rows = [level.row() for level in evaluation.levels]
    axes.errorbar(
        levels,
        [row.accuracy for row in rows],
        yerr=[[row.accuracy - row.low for row in rows], [row.high - row.accuracy for row in rows]],
        color="black",
        linewidth=2,
        capsize=3,
        label="all classes",
    )
    fused = [(row.es_n0_db, row.accuracy) for level in evaluation.levels if (row := level.fused_row())]
    if fused:
        axes.plot(*zip(*fused, strict=True), color="black", linestyle="--", label="all, 32 chunks fused")
    axes.set(xlabel="Es/N0 in dB", ylabel="share of right decisions", ylim=(0, 1.02))
    axes.set_title(f"{evaluation.model}: accuracy on one chunk and fused, 95 % intervals")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small", ncols=2)
    path = folder / "accuracy.png"
    figure.savefig(path, dpi=110)
    return path


def _confusion(evaluation: Evaluation, folder: Path, figure_class: Any) -> Path:
    columns = min(3, len(evaluation.levels))
    rows = -(-len(evaluation.levels) // columns)
    figure = figure_class(figsize=(4.6 * columns, 4.4 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel()[len(evaluation.levels) :]:
        axes.set_visible(False)
    for axes, level in zip(grid.ravel(), evaluation.levels, strict=False):
        shares = level.confusion / level.confusion.sum(axis=1, keepdims=True)
        axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        axes.set_xticks(range(len(evaluation.outputs)), evaluation.outputs, rotation=90, fontsize=7)
        axes.set_yticks(range(len(evaluation.truths)), evaluation.truths, fontsize=7)
        axes.set_title(f"{level.es_n0_db:g} dB", fontsize=9)
        axes.set(xlabel="decision", ylabel="truth")
        for row, column in zip(*shares.round(2).nonzero(), strict=True):
            share = shares[row, column]
            axes.text(
                column,
                row,
                f"{share:.2f}".lstrip("0"),
                ha="center",
                va="center",
                fontsize=6,
                color="white" if share > 0.5 else "black",
            )
    figure.suptitle(f"{evaluation.model}: decisions on one chunk")
    path = folder / "confusion.png"
    figure.savefig(path, dpi=110)
    return path
