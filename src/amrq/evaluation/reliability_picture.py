# SPDX-License-Identifier: GPL-3.0-or-later
"""Confidence against accuracy."""

from typing import Any

import numpy as np

from amrq.evaluation.evaluation import Evaluation
from amrq.evaluation.palette import BLACK, BLUE, GREEN, GREY, VERMILION
from amrq.evaluation.reliability import Reliability

__all__ = ["draw_reliability"]

_WANTED_DB = (5.0, 10.0, 15.0)
_LEAST = 10
"""Decisions in a bin that is drawn: fewer would only show chance."""


def draw_reliability(evaluation: Evaluation, figure_class: Any) -> Any:
    """Return a figure: single chunks over all levels and at three, and fused decisions; decisions counted below."""
    extra = len(evaluation.outputs) > len(evaluation.truths)
    chosen = dict.fromkeys(
        min(evaluation.levels, key=lambda level: abs(level.es_n0_db - wanted)) for wanted in _WANTED_DB
    )
    panels = []
    for title, named, everything, bound in [
        ("all Es/N0", evaluation.reliability, evaluation.all_reliability, evaluation.bound_reliability),
        *(
            (
                f"{level.es_n0_db:g} dB",
                level.named.reliability,
                level.reliability,
                level.named.bound.reliability if level.named.bound else None,
            )
            for level in chosen
        ),
    ]:
        curves = [("named", named, BLUE, "o", "-")]
        if extra:
            curves.append(("all outputs", everything, VERMILION, "s", "--"))
        if bound is not None:
            curves.insert(0, ("bound", bound, BLACK, "", "-"))
        panels.append((f"one chunk, {title}", curves))
    fused = evaluation.fused_reliability
    if fused.decisions:
        panels.append(("1,024 symbols, all Es/N0", [("all outputs", fused, GREEN, "D", ":")]))
    figure = figure_class(figsize=(3.1 * len(panels), 5.2), layout="constrained")
    grid = figure.subplots(2, len(panels), sharex=True, sharey="row", squeeze=False, height_ratios=(2.6, 1))
    for column, (title, curves) in enumerate(panels):
        axes, below = grid[0, column], grid[1, column]
        axes.plot((0, 1), (0, 1), color=GREY, linewidth=1)
        for label, table, color, marker, style in curves:
            _curve(axes, table, label, color, marker, style)
        axes.set_title(title, fontsize=10)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize=7, title="expected calibration error", title_fontsize=7)
        _counts(below, curves)
    grid[0, 0].set_ylabel("share right")
    grid[1, 0].set_ylabel("decisions")
    figure.supxlabel("confidence", fontsize=10)
    figure.suptitle(f"{evaluation.model}: reliability", fontsize=11)
    return figure


def _curve(axes: Any, table: Reliability, label: str, color: str, marker: str, style: str) -> None:
    filled = table.count >= min(_LEAST, max(1, int(table.count.max())))
    count = table.count[filled]
    axes.plot(
        table.confidence[filled] / count,
        table.right[filled] / count,
        color=color,
        marker=marker,
        ms=4,
        linewidth=1.2,
        linestyle=style,
        label=f"{label}: {100 * table.error:.1f} %",
    )


def _counts(axes: Any, curves: list[tuple[str, Reliability, str, str, str]]) -> None:
    for _, table, color, _, style in curves:
        edges = np.linspace(0, 1, len(table.count) + 1)
        # From one decision up, on a logarithmic axis.
        axes.stairs(np.maximum(table.count, 0.7), edges, color=color, linestyle=style, baseline=0.7)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.grid(alpha=0.3)
