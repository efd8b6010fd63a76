# SPDX-License-Identifier: GPL-3.0-or-later
"""The bound: how often the best possible receiver is right, measured, on a page and in a picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classes import THESIS_9, LinearSet
from amrq.errors import AmrqError
from amrq.files import whole_file
from amrq.likelihood.classifier import LikelihoodClassifier, Receiver
from amrq.machine import optional_package
from amrq.text import markdown, unbroken

__all__ = ["BoundCurve", "BoundPoint", "bound_page", "draw_bound", "measure_bound"]


@dataclass(frozen=True, eq=False)
class BoundPoint:
    """Decisions at one Es/N0.

    Attributes:
        classes: the class set.
        receiver: what was known; an Es/N0 known is this point's.
        es_n0_db: dB.
        confusion: int64 [classes, classes], chunks by truth (rows) and decision (columns).
    """

    classes: LinearSet
    receiver: Receiver
    es_n0_db: float
    confusion: NDArray[np.int64]

    def share(self, name: str | None = None) -> tuple[int, int, float, float, float]:
        """Return chunks right, chunks, accuracy, and its Clopper-Pearson 95 % interval: of a class, or of all."""
        if name is None:
            right, chunks = int(self.confusion.trace()), int(self.confusion.sum())
        else:
            row = self.classes.index(name)
            right, chunks = int(self.confusion[row, row]), int(self.confusion[row].sum())
        from amrq.evaluation import clopper_pearson  # the classifier alone does without that room

        low, high = clopper_pearson(right, chunks)
        return right, chunks, right / chunks, low, high


@dataclass(frozen=True, eq=False)
class BoundCurve:
    """Accuracy against Es/N0 for one receiver and one chunk length.

    Attributes:
        name: of the receiver, for tables and legends.
        symbols: L, symbols a chunk.
        points: one for each Es/N0, at least one.
    """

    name: str
    symbols: int
    points: tuple[BoundPoint, ...]

    @property
    def classes(self) -> LinearSet:
        """The class set."""
        return self.points[0].classes

    def rows(self) -> list[dict[str, Any]]:
        """Return what was found as plain values, a row for all classes and one for each class at each Es/N0."""
        rows = []
        for point in self.points:
            for name in (None, *self.classes):
                right, chunks, accuracy, low, high = point.share(name)
                rows.append(
                    {
                        "receiver": self.name,
                        "phase": point.receiver.phase,
                        "es_n0_low_db": point.receiver.es_n0_range[0],
                        "es_n0_high_db": point.receiver.es_n0_range[1],
                        "level": point.receiver.level,
                        "phase_noise_rad": point.receiver.phase_noise,
                        "symbols": self.symbols,
                        "es_n0_db": point.es_n0_db,
                        "class": name or "all",
                        "chunks": chunks,
                        "right": right,
                        "accuracy": round(accuracy, 6),
                        "low": round(low, 6),
                        "high": round(high, 6),
                    }
                )
        return rows


def measure_bound(
    receiver: Receiver,
    es_n0_known: bool,
    symbols: int,
    es_n0_db: Sequence[float],
    chunks_per_class: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda chunks: None,
    classes: LinearSet = THESIS_9,
) -> BoundCurve:
    """Let the likelihood classifier decide on fresh chunks of every class of a set.

    Receivers are given the same symbols and noise for the same seed, length and Es/N0 (turned, if theirs is any phase),
    so that they compare more sharply than their intervals say.

    Args:
        receiver: what is known.
        es_n0_known: take each point's Es/N0 as known in place of the receiver's.
        symbols: L, symbols a chunk.
        es_n0_db: where to measure, dB.
        chunks_per_class: chunks of each class at each Es/N0.
        seed: of all randomness.
        progress: called with the number of chunks just done.
        classes: the class set; by default that of the thesis.

    Raises:
        AmrqError: a number is out of its range, or an Es/N0 outside the range that the receiver expects.
    """
    from amrq.evaluation import fresh_chunks

    if symbols < 1 or chunks_per_class < 1 or not es_n0_db:
        raise AmrqError("a bound needs at least 1 symbol a chunk, 1 chunk a class and one Es/N0.")
    low, high = receiver.es_n0_range
    if not es_n0_known and not all(low <= level <= high for level in es_n0_db):
        raise AmrqError(
            f"Es/N0 must lie in the range that the receiver expects, {low:g} to {high:g} dB: widen that range, or "
            "leave points out."
        )
    shared = None if es_n0_known else LikelihoodClassifier(receiver, classes)
    points = []
    for level in es_n0_db:
        classifier = shared or LikelihoodClassifier(replace(receiver, es_n0_db=float(level)), classes)
        confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
        for row, sent in enumerate(classes.members):
            # In whole millidecibels, so that a point's chunks do not depend on which others are measured.
            rng = np.random.default_rng([seed, symbols, round(1000 * level) % 2**32, sent.stream])
            chunks = fresh_chunks(
                sent,
                chunks_per_class,
                symbols,
                float(level),
                rng,
                receiver.phase_noise,
                receiver.phase == "uniform",
            )
            decided = classifier.log_likelihoods(chunks).argmax(axis=1)
            confusion[row] = np.bincount(decided, minlength=len(classes))
            progress(chunks_per_class)
        points.append(BoundPoint(classes, classifier.receiver, float(level), confusion))
    name = receiver.description
    if es_n0_known:
        name = replace(receiver, es_n0_db=0.0).description
    return BoundCurve(name, symbols, tuple(points))


def bound_page(curves: Sequence[BoundCurve], made: str, picture: str, table: str) -> str:
    """Return the page: accuracy of every receiver and length; figures of each class are in the CSV file.

    Args:
        curves: what was found, at least one curve, all of one class set.
        made: how, when and with what, a sentence or two.
        picture: the picture's file, relative to the page.
        table: the CSV file, relative to the page.
    """
    single = [curve for curve in curves if len(curve.points) == 1]
    lines = [
        "# The likelihood bound",
        "",
        "## What was asked",
        "",
        f"How often is the best possible classifier right about {_words(curves[0].classes)}, depending on what it "
        "knows?",
        "",
        "## What came out",
        "",
        "No model can be more accurate on chunks of the same kind. If Es/N0 is not known, this holds on average over "
        "its range: at a single Es/N0 a model can be better.",
        "",
        f"![Accuracy against Es/N0]({picture})",
        *_summary(curves),
        *(["", "Single points:", "", *_single_points(single)] if single else []),
        "",
        f"All figures, also for each modulation, with Clopper-Pearson intervals of 95 %: [{table}]({table}). The JSON "
        "file beside it has the confusion matrices.",
        "",
        "## How it was measured",
        "",
        "The classifier compares average likelihood ratios (Wei and Mendel 2000; Dobre, Abdi, Bar-Ness and Su 2007) of "
        "fresh chunks of equally probable classes. All receivers of a phase get the same chunks.",
        "",
        "- A chunk has one sample a symbol. Symbols are independent, equally probable and of mean power 1; Es/N0 is "
        "this power over that of the complex white Gaussian noise.",
        "- *Coherent*: the carrier phase is known. *Any phase*: one random phase per chunk.",
        "- *Es/N0 known*; or one value per chunk, any value in the range given being equally probable in dB.",
        "- *Level known*; or *unit-RMS chunk*: each chunk is divided by its own root mean square, as for models.",
        "- *Phase noise*: an independent Gaussian phase at each symbol, of known standard deviation.",
        "- What a receiver does not know is averaged out of the likelihoods.",
        "",
        made,
    ]
    return "\n".join(lines) + "\n"


def _words(classes: LinearSet) -> str:
    return "the nine modulations" if classes == THESIS_9 else markdown(", ".join(classes))


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


def _single_points(curves: Sequence[BoundCurve]) -> list[str]:
    """Accuracy over all classes of receivers that were measured at one Es/N0."""
    lines = ["| symbols | receiver | Es/N0, dB | right |", "|---:|---|---:|---:|"]
    for curve in curves:
        (point,) = curve.points
        _, _, accuracy, low, high = point.share()
        right = unbroken(f"{accuracy:.4f} ({low:.4f} to {high:.4f})")
        lines.append(f"| {curve.symbols} | {curve.name} | {point.es_n0_db:g} | {right} |")
    return lines


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
