# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy of each modulation beside the bound."""

from typing import Any

from amrq.evaluation.evaluation import Evaluation
from amrq.evaluation.palette import BLACK, BLUE

__all__ = ["draw_classes"]


def draw_classes(evaluation: Evaluation, figure_class: Any) -> Any:
    """Return a figure with a panel for each modulation: single chunks, among the named modulations."""
    columns = min(3, len(evaluation.truths))
    rows = -(-len(evaluation.truths) // columns)
    figure = figure_class(figsize=(3.1 * columns, 2.3 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.ravel()[len(evaluation.truths) :]:
        axes.set_visible(False)
    levels = [level.es_n0_db for level in evaluation.levels]
    for number, (axes, name) in enumerate(zip(grid.ravel(), evaluation.truths, strict=False)):
        bound = [
            (level.es_n0_db, level.named.bound.class_shares()[number].value)
            for level in evaluation.levels
            if level.named.bound
        ]
        if bound:
            axes.plot(*zip(*bound, strict=True), color=BLACK, linewidth=1.4, label="bound")
        shares = [level.named.class_shares()[number] for level in evaluation.levels]
        axes.errorbar(
            levels,
            [share.value for share in shares],
            yerr=[
                [share.value - share.exact[0] for share in shares],
                [share.exact[1] - share.value for share in shares],
            ],
            color=BLUE,
            marker="o",
            ms=3,
            linewidth=1,
            capsize=2,
            label="model",
        )
        axes.set_title(name, fontsize=10)
        axes.set_ylim(0, 1.03)
        axes.grid(alpha=0.3)
    grid[0, 0].legend(loc="lower right", fontsize="small")
    figure.supxlabel("Es/N0 in dB", fontsize=10)
    figure.supylabel("share of right decisions on one chunk", fontsize=10)
    figure.suptitle(f"{evaluation.model}: by class, 95 % intervals", fontsize=11)
    return figure
