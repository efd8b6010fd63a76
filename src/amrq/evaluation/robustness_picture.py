# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy against what a channel does."""

from typing import Any

from amrq.evaluation.evaluation import Evaluation
from amrq.evaluation.palette import BLUE, GREEN, PURPLE, VERMILION

__all__ = ["draw_robustness"]

_STYLES = ((BLUE, "o", "-"), (VERMILION, "s", "--"), (GREEN, "^", ":"), (PURPLE, "v", "-."))


def draw_robustness(evaluation: Evaluation, figure_class: Any) -> Any:
    """Return a figure with a panel for each impairment and a curve for each Es/N0."""
    names = list(dict.fromkeys(sweep.name for sweep in evaluation.sweeps))
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = figure_class(figsize=(3.8 * columns, 3.1 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in grid.ravel()[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.ravel(), names, strict=False):
        same = [sweep for sweep in evaluation.sweeps if sweep.name == name]
        for sweep, (color, marker, style) in zip(same, _STYLES, strict=False):
            shares = sweep.shares()
            axes.errorbar(
                sweep.values,
                [share.value for share in shares],
                yerr=[
                    [share.value - share.exact[0] for share in shares],
                    [share.exact[1] - share.value for share in shares],
                ],
                color=color,
                marker=marker,
                linestyle=style,
                ms=4,
                linewidth=1.2,
                capsize=2,
                label=f"{sweep.es_n0_db:g} dB",
            )
        axes.set_xlabel(f"{name}, {same[0].unit}")
        axes.set_ylim(0, 1.03)
        if name == "rotation":
            axes.set_xticks(range(0, 91, 15))
        axes.grid(alpha=0.3)
    for axes in grid[:, 0]:
        axes.set_ylabel("share of right decisions")
    grid[0, 0].legend(loc="lower left", fontsize="small", title="Es/N0", title_fontsize="small")
    words = ", a coherent model" if evaluation.phase == "coherent" else ""
    figure.suptitle(
        f"{evaluation.model}{words}: one chunk, named modulations, one thing wrong at a time", fontsize=11
    )
    return figure
