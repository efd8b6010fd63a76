# SPDX-License-Identifier: GPL-3.0-or-later
"""What is accepted against what is falsely claimed."""

from typing import Any

import numpy as np

from amrq.evaluation.open_set import OpenSet
from amrq.evaluation.palette import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION

__all__ = ["draw_open_set"]

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

    left.plot(thresholds, known, color=BLUE, linewidth=2.2, label="the nine: accepted")
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
        ylabel=f"share of the nine accepted, {found.es_n0_db:g} dB and up",
        xlim=(0, 1.02),
        ylim=(max(0.0, float(np.floor(20 * known.min() - 1) / 20)), 1.005),
    )
    right.set_title("one against the other", fontsize=10)
    right.legend(loc="lower right", fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.suptitle(f"{model}: open set, decisions on 1,024 symbols", fontsize=11)
    return figure
