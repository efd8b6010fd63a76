# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy against Es/N0 beside the bound, and how far it is from it."""

from typing import Any

from amrq.evaluation.evaluation import Evaluation
from amrq.evaluation.palette import BLACK, BLUE, GREEN, PURPLE, SKY, VERMILION
from amrq.evaluation.share import Share

__all__ = ["draw_accuracy"]

_LOOKS = {
    "chunk alone": (BLUE, "o", "-"),
    "level known": (SKY, "^", "--"),
    "Es/N0 known": (PURPLE, "v", ":"),
    "level and Es/N0 known": (PURPLE, "v", ":"),
}
"""Of what is known beside the chunk: colour and marker of the model, line of its bound."""


def draw_accuracy(evaluation: Evaluation, figure_class: Any) -> Any:
    """Return a figure: accuracy with intervals, and below it the gap to the bound where there is one."""
    levels = evaluation.levels
    held = any(level.named.gap is not None for level in levels)
    figure = figure_class(figsize=(8, 7.5 if held else 5), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1)) if held else [figure.subplots()]
    axes = panels[0]

    def line(shares: list[tuple[float, Share]], **style: Any) -> None:
        if not shares:
            return
        intervals = [share.exact for _, share in shares]
        axes.errorbar(
            [level for level, _ in shares],
            [share.value for _, share in shares],
            yerr=[
                [share.value - low for (_, share), (low, _) in zip(shares, intervals, strict=True)],
                [high - share.value for (_, share), (_, high) in zip(shares, intervals, strict=True)],
            ],
            capsize=2,
            **style,
        )

    names = list(levels[0].by_knowledge)
    for name in names:
        bounds = [(x.es_n0_db, bound.share) for x in levels if (bound := x.by_knowledge[name].bound)]
        words = "bound, one chunk" if name == names[0] else f"bound, {name}"
        line(bounds, color=BLACK, linewidth=1.4, linestyle=_LOOKS[name][2], label=words)
    line(
        [(x.es_n0_db, x.named.share) for x in levels], color=BLUE, marker="o", ms=4, label="named, one chunk"
    )
    if len(evaluation.outputs) > len(evaluation.truths):
        line(
            [(x.es_n0_db, x.all_share) for x in levels],
            color=VERMILION,
            marker="s",
            ms=4,
            linestyle="--",
            label="all outputs, one chunk",
        )
    for name in names[1:]:
        line(
            [(x.es_n0_db, x.by_knowledge[name].share) for x in levels],
            color=_LOOKS[name][0],
            marker=_LOOKS[name][1],
            ms=4,
            label=f"named, {name}",
        )
    line(
        [(x.es_n0_db, x.fused_share) for x in levels if x.fused_share],
        color=GREEN,
        marker="D",
        ms=4,
        linestyle=":",
        label="named, 1,024 symbols",
    )
    axes.set(ylabel="share of right decisions", ylim=(0, 1.03))
    axes.set_title(f"{evaluation.model}: accuracy with 95 % intervals")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    if held:
        _gaps(evaluation, panels[1])
    panels[-1].set_xlabel("Es/N0 in dB")
    return figure


def _gaps(evaluation: Evaluation, axes: Any) -> None:
    # Side by side, since intervals would cover each other.
    names = list(evaluation.levels[0].by_knowledge)
    for number, name in enumerate(names):
        color, marker, _ = _LOOKS[name]
        shift = 0.2 * (number - (len(names) - 1) / 2)
        gaps = [
            (level.es_n0_db + shift, gap)
            for level in evaluation.levels
            if (gap := level.by_knowledge[name].gap) is not None
        ]
        if not gaps:
            continue
        middle = [100 * gap.difference for _, gap in gaps]
        ends = [[100 * end for end in gap.interval] for _, gap in gaps]
        axes.errorbar(
            [level for level, _ in gaps],
            middle,
            yerr=[
                [value - low for value, (low, _) in zip(middle, ends, strict=True)],
                [high - value for value, (_, high) in zip(middle, ends, strict=True)],
            ],
            color=color,
            marker=marker,
            ms=4,
            linewidth=1,
            capsize=2,
            label=name,
        )
    axes.axhline(0, color=BLACK, linewidth=1)
    axes.set(ylabel="bound minus model,\npoints")
    axes.grid(alpha=0.3)
    if len(names) > 1:
        axes.legend(loc="upper right", fontsize="small")
