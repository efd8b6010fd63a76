# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modulation is taken for which."""

from typing import Any

from amrq.evaluation.evaluation import Evaluation

__all__ = ["draw_confusion"]


def draw_confusion(evaluation: Evaluation, figure_class: Any) -> Any:
    """Return a figure with a matrix for each Es/N0: single chunks, among all outputs."""
    columns = min(3, len(evaluation.levels))
    rows = -(-len(evaluation.levels) // columns)
    figure = figure_class(figsize=(4.8 * columns, 4.4 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel()[len(evaluation.levels) :]:
        axes.set_visible(False)
    for axes, level in zip(grid.ravel(), evaluation.levels, strict=False):
        shares = level.confusion / level.confusion.sum(axis=1, keepdims=True)
        axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        axes.set_xticks(range(len(evaluation.outputs)), evaluation.outputs, rotation=90, fontsize=8)
        axes.set_yticks(range(len(evaluation.truths)), evaluation.truths, fontsize=8)
        axes.set_title(f"{level.es_n0_db:g} dB", fontsize=11)
        axes.set(xlabel="decision", ylabel="truth")
        for row, column in zip(*shares.round(2).nonzero(), strict=True):
            share = shares[row, column]
            axes.text(
                column,
                row,
                f"{share:.2f}".lstrip("0"),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if share > 0.5 else "black",
            )
    figure.suptitle(f"{evaluation.model}: decisions on one chunk, shares of each true modulation")
    return figure
