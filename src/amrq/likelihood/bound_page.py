# SPDX-License-Identifier: GPL-3.0-or-later
"""The bound as a page of Markdown."""

from collections.abc import Sequence

from amrq.likelihood.bound import BoundCurve
from amrq.modulations import MODULATIONS

__all__ = ["bound_page"]


def bound_page(curves: Sequence[BoundCurve], made: str, picture: str, table: str) -> str:
    """Return the page: accuracy with 95 % intervals for every receiver and length, and per class.

    Args:
        curves: what was found.
        made: how, when and with what, a sentence or two.
        picture: the picture's file, relative to the page.
        table: the CSV file, relative to the page.
    """
    lines = [
        "# The likelihood bound",
        "",
        "How often the most accurate classifier there is tells the nine modulations apart, by what it knows: the "
        "average-likelihood-ratio classifier (Wei and Mendel 2000; Dobre, Abdi, Bar-Ness and Su 2007) decides on fresh "
        "chunks of equiprobable classes. No model can be more accurate on chunks of the same kind; where "
        "Es/N0 is not known, that is so on average over its range, and at a single Es/N0 a model may gain what it "
        "loses at others.",
        "",
        "- A chunk has one sample a symbol; symbols are independent, equiprobable and of unit mean power; Es/N0 is "
        "their power over that of the complex white Gaussian noise.",
        "- *Coherent*: the carrier phase is known. *Any phase*: one phase a chunk, uniform over the circle.",
        "- *Es/N0 known*, or one value a chunk, expected uniformly in dB over the range given; it is then "
        "averaged out.",
        "- *Level known*, or *unit-RMS chunk*: each chunk is divided by its own root mean square, as models get it; "
        "the gain is then averaged out.",
        "- *Phase noise*: an independent Gaussian phase at each symbol, its standard deviation known.",
        "",
        made,
        "",
        f"![Accuracy against Es/N0]({picture})",
        *_summary(curves),
        "",
        f"All figures are in [{table}]({table}), which classes are taken for which in the JSON file beside it. "
        "Intervals are Clopper-Pearson at 95 %; the same chunks serve all receivers of a phase, which therefore "
        "compare more sharply.",
    ]
    series = [curve for curve in curves if len(curve.points) > 1]
    for curve in sorted(
        series, key=lambda curve: curve.symbols
    ):  # a stable sort: receivers stay in their order
        lines += ["", f"## {curve.symbols} symbols: {curve.name}", "", *_table([curve], "Es/N0 dB")]
    single = [curve for curve in curves if len(curve.points) == 1]
    if single:
        lines += ["", "## Single points", "", *_table(single, "symbols, receiver, Es/N0 dB")]
    return "\n".join(lines) + "\n"


def _summary(curves: Sequence[BoundCurve]) -> list[str]:
    """Accuracy over all classes, a line for each receiver and length; those of single points are left out."""
    curves = [curve for curve in curves if len(curve.points) > 1]
    if not curves:
        return []
    levels = [point.es_n0_db for point in curves[0].points]
    lines = [
        "",
        "| symbols | receiver | " + " | ".join(f"{level:g} dB" for level in levels) + " |",
        "|---:|---" + "|---:" * len(levels) + "|",
    ]
    for curve in curves:
        shares = " | ".join(f"{point.share()[2]:.3f}" for point in curve.points)
        lines.append(f"| {curve.symbols} | {curve.name} | {shares} |")
    return lines


def _table(curves: Sequence[BoundCurve], heading: str) -> list[str]:
    """Every point of the curves, in all and by class."""
    lines = [
        f"| {heading} | chunks | all | 95 % interval | " + " | ".join(MODULATIONS) + " |",
        "|---:|---:|---:|:---:" + "|---:" * len(MODULATIONS) + "|",
    ]
    for curve in curves:
        for point in curve.points:
            _, chunks, accuracy, low, high = point.share()
            name = (
                f"{point.es_n0_db:g}"
                if len(curves) == 1
                else f"{curve.symbols}, {curve.name}, {point.es_n0_db:g}"
            )
            shares = " | ".join(f"{point.share(of)[2]:.3f}" for of in MODULATIONS)
            lines.append(f"| {name} | {chunks} | {accuracy:.4f} | {low:.4f} to {high:.4f} | {shares} |")
    return lines
