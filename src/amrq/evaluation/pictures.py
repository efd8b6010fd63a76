# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of an evaluation."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from amrq.evaluation.open_set import OpenSet
from amrq.evaluation.results import Evaluation, Reliability
from amrq.evaluation.statistics import Share
from amrq.files import whole_file
from amrq.machine import optional_package

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PICTURES",
    "PURPLE",
    "SKY",
    "VERMILION",
    "draw_accuracy",
    "draw_classes",
    "draw_confusion",
    "draw_open_set",
    "draw_pictures",
    "draw_reliability",
    "draw_robustness",
]

BLACK = "#000000"
BLUE = "#0072B2"
GREEN = "#009E73"
GREY = "#B5B5B5"
ORANGE = "#E69F00"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
VERMILION = "#D55E00"


_LOOKS = {
    "chunk alone": (BLUE, "o", "-"),
    "level known": (SKY, "^", "--"),
    "Es/N0 known": (PURPLE, "v", ":"),
    "level and Es/N0 known": (PURPLE, "v", ":"),
}
"""Of what is known beside the chunk: colour and marker of the model, line of its bound."""


def draw_accuracy(evaluation: Evaluation, figure_class: Any) -> Any:
    """Return a figure: accuracy with intervals, and below it the gap to the bound, if there is a bound."""
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
    # Side by side, so that intervals do not cover each other.
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


_SHOWN = 5
"""Kinds in colours of their own, those claimed most often."""
_CONFIDENCES = (0.01, 0.1, 0.5, 0.8, 0.99, 1 - 1e-4, 1 - 1e-6, 1 - 1e-9)
_LABELS = ("0.01", "0.1", "0.5", "0.8", "0.99", "1-1e-4", "1-1e-6", "1-1e-9")


def draw_open_set(found: OpenSet, model: str, figure_class: Any) -> Any:
    """Return a figure: shares accepted against the threshold, and against each other."""
    figure = figure_class(figsize=(12, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    default = OpenSet.log_odds(found.min_confidence)
    thresholds = np.unique(np.append(np.linspace(-6, 22, 281), default))

    def accepted(scores: Any) -> Any:
        return OpenSet.passed(scores, thresholds.tolist()) / len(scores)

    pooled = np.concatenate(list(found.others.values()))
    claims = {kind: int((scores >= default).sum()) for kind, scores in found.others.items()}
    worst = [kind for kind in sorted(claims, key=lambda kind: -claims[kind])[:_SHOWN] if claims[kind]]
    colours = dict(zip(worst, (VERMILION, PURPLE, GREEN, ORANGE, SKY), strict=False))
    known = accepted(found.known)
    at = int(np.searchsorted(thresholds, default))

    left.plot(thresholds, known, color=BLUE, linewidth=2.2, label="its classes: accepted")
    left.plot(thresholds, accepted(pooled), color=BLACK, linewidth=2.2, label="all other signals")
    right.plot(accepted(pooled), known, color=BLACK, linewidth=2.2, label="all other signals")
    right.plot(accepted(pooled)[at], known[at], color=BLACK, marker="o", ms=8)
    for kind, scores in found.others.items():
        style: dict[str, Any] = {
            "color": colours.get(kind, GREY),
            "linewidth": 1.3 if kind in colours else 0.9,
        }
        label = kind if kind in colours else None
        left.plot(thresholds, accepted(scores), label=label, zorder=2 if kind in colours else 1, **style)
        if kind in colours:
            right.plot(accepted(scores), known, label=kind, **style)
            right.plot(accepted(scores)[at], known[at], marker="o", ms=6, color=colours[kind])
    rest = len(found.others) - len(worst)
    if rest:
        left.plot([], [], color=GREY, linewidth=0.9, label=f"{rest} other kinds")
    left.axvline(
        default, color=BLACK, linewidth=1, linestyle="--", label=f"default, {found.min_confidence:g}"
    )
    left.axhline(0.05, color=BLACK, linewidth=1, linestyle=":", label="5 %")
    left.set_xticks([OpenSet.log_odds(value) for value in _CONFIDENCES], _LABELS, rotation=45, fontsize=8)
    left.set(xlabel="least confidence", ylabel="share of fused decisions accepted", ylim=(-0.02, 1.02))
    left.set_title("against the threshold", fontsize=10)
    left.legend(loc="center right", fontsize=8)
    right.axvline(0.05, color=BLACK, linewidth=1, linestyle=":", label="5 %")
    right.plot(
        [], [], color=BLACK, marker="o", ms=6, linestyle="", label=f"default, {found.min_confidence:g}"
    )
    right.set_xscale("symlog", linthresh=0.01, linscale=0.5)
    right.set_xticks(
        [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0", ".01", ".02", ".05", ".1", ".2", ".5", "1"]
    )
    right.set_xticks([], minor=True)
    right.set(
        xlabel="share of other signals falsely claimed (linear below .01)",
        ylabel=f"share of its classes accepted, {found.es_n0_db:g} dB and up",
        xlim=(0, 1.02),
        ylim=(max(0.0, float(np.floor(20 * known.min() - 1) / 20)), 1.005),
    )
    right.set_title("one against the other", fontsize=10)
    right.legend(loc="lower right", fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.suptitle(f"{model}: open set, decisions on 1,024 symbols", fontsize=11)
    return figure


_WANTED_DB = (5.0, 10.0, 15.0)
_LEAST = 10
"""Decisions in a bin that is drawn: fewer would only show chance."""


def draw_reliability(evaluation: Evaluation, figure_class: Any) -> Any:
    """Return a figure: calibration of single chunks, over all levels and at three, and of fused ones; counts below."""
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
        # A logarithmic axis from one decision up.
        axes.stairs(np.maximum(table.count, 0.7), edges, color=color, linestyle=style, baseline=0.7)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.grid(alpha=0.3)


_STYLES = ((BLUE, "o", "-"), (VERMILION, "s", "--"), (GREEN, "^", ":"), (PURPLE, "v", "-."))


def draw_robustness(evaluation: Evaluation, figure_class: Any) -> Any:
    """Return a figure with a panel for each impairment and a curve for each Es/N0."""
    names = list(dict.fromkeys(curve.name for curve in evaluation.impairments))
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = figure_class(figsize=(3.8 * columns, 3.1 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in grid.ravel()[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.ravel(), names, strict=False):
        same = [curve for curve in evaluation.impairments if curve.name == name]
        for curve, (color, marker, style) in zip(same, _STYLES, strict=False):
            shares = curve.shares()
            axes.errorbar(
                curve.values,
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
                label=f"{curve.es_n0_db:g} dB",
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


PICTURES = tuple(
    f"{name}.png" for name in ("accuracy", "classes", "confusion", "reliability", "open_set", "robustness")
)
"""All files that `draw_pictures` writes; the last two only where they were measured."""

_DPI = 110


def draw_pictures(evaluation: Evaluation, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a PNG each of accuracy, classes, confusion, reliability, open_set and robustness, as far as measured.

    Args:
        evaluation: the results.
        folder: an existing folder for the files.

    Returns:
        the files.

    Raises:
        AmrqError: matplotlib is missing.
    """
    # The class `Figure` rather than pyplot: no window system is needed.
    figure_class = optional_package("matplotlib.figure", "drawing pictures").Figure
    # Text between two dollar signs in a name would become a formula.
    evaluation = replace(
        evaluation,
        model=evaluation.model.replace("$", r"\$"),
        outputs=tuple(name.replace("$", r"\$") for name in evaluation.outputs),
    )
    figures = {
        "accuracy": draw_accuracy(evaluation, figure_class),
        "classes": draw_classes(evaluation, figure_class),
        "confusion": draw_confusion(evaluation, figure_class),
        "reliability": draw_reliability(evaluation, figure_class),
    }
    if evaluation.open_set is not None:
        figures["open_set"] = draw_open_set(evaluation.open_set, evaluation.model, figure_class)
    if evaluation.impairments:
        figures["robustness"] = draw_robustness(evaluation, figure_class)
    paths = []
    for name, figure in figures.items():
        path = Path(folder) / f"{name}.png"
        # Without date and version, so that the same figures give the same file.
        with whole_file(path) as file:
            figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
        paths.append(path)
    return paths
