# SPDX-License-Identifier: GPL-3.0-or-later
"""The bound as a picture."""

from collections.abc import Sequence
from pathlib import Path

from amrq.likelihood.bound import BoundCurve
from amrq.optional_package import optional_package
from amrq.whole_file import whole_file

__all__ = ["draw_bound"]


def draw_bound(curves: Sequence[BoundCurve], path: Path) -> None:
    """Draw accuracy against Es/N0: the receivers at the shortest chunks, and the first receiver's chunk lengths.

    Curves of fewer than two points are left out.

    Raises:
        AmrqError: matplotlib is missing.
    """
    # The class, not pyplot: no window system is needed or touched.
    figure_class = optional_package("matplotlib.figure", "drawing pictures").Figure
    curves = [curve for curve in curves if len(curve.points) > 1] or list(curves)
    first, shortest = curves[0].name, min(curve.symbols for curve in curves)
    at_shortest = [curve for curve in curves if curve.symbols == shortest]
    lengths = [curve for curve in curves if curve.name == first]
    panels = []
    if len(at_shortest) > 1:
        panels.append((f"{shortest} symbols", [(curve, curve.name) for curve in at_shortest]))
    if len(lengths) > 1 or not panels:
        panels.append((first, [(curve, f"{curve.symbols} symbols") for curve in lengths]))
    figure = figure_class(figsize=(6.2 * len(panels), 4.6), layout="constrained")
    for axes, (title, named) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for curve, label in named:
            shares = [point.share() for point in curve.points]
            axes.errorbar(
                [point.es_n0_db for point in curve.points],
                [share[2] for share in shares],
                yerr=[
                    [accuracy - low for _, _, accuracy, low, _ in shares],
                    [high - accuracy for _, _, accuracy, _, high in shares],
                ],
                marker=".",
                linewidth=1.2,
                capsize=2,
                label=label,
            )
        axes.set(xlabel="Es/N0 in dB", ylabel="share of right decisions", ylim=(0, 1.02), title=title)
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize="small")
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=100)
