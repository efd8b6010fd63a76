# SPDX-License-Identifier: GPL-3.0-or-later
"""The accuracy of the likelihood classifier, measured: what no model can surpass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.evaluation import clopper_pearson, fresh_chunks
from amrq.likelihood.likelihood_classifier import LikelihoodClassifier
from amrq.likelihood.receiver import Receiver
from amrq.modulations import MODULATIONS

__all__ = ["BoundCurve", "BoundPoint", "measure_bound"]


@dataclass(frozen=True, eq=False)
class BoundPoint:
    """Decisions at one Es/N0.

    Attributes:
        receiver: what was known; an Es/N0 known is this point's.
        es_n0_db: dB.
        confusion: int64 [classes, classes], chunks by truth (rows) and decision (columns).
    """

    receiver: Receiver
    es_n0_db: float
    confusion: NDArray[np.int64]

    def share(self, name: str | None = None) -> tuple[int, int, float, float, float]:
        """Return chunks right, chunks, accuracy, and its Clopper-Pearson 95 % interval: of a class, or of all."""
        if name is None:
            right, chunks = int(self.confusion.trace()), int(self.confusion.sum())
        else:
            row = list(MODULATIONS).index(name)
            right, chunks = int(self.confusion[row, row]), int(self.confusion[row].sum())
        low, high = clopper_pearson(right, chunks)
        return right, chunks, right / chunks, low, high


@dataclass(frozen=True, eq=False)
class BoundCurve:
    """Accuracy against Es/N0 for one receiver and one chunk length.

    Attributes:
        name: of the receiver, for tables and legends.
        symbols: L, symbols a chunk.
        points: one for each Es/N0.
    """

    name: str
    symbols: int
    points: tuple[BoundPoint, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return what was found as plain values, a row for all classes and one for each class at each Es/N0."""
        rows = []
        for point in self.points:
            for name in (None, *MODULATIONS):
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
) -> BoundCurve:
    """Let the likelihood classifier decide on fresh chunks of all nine classes.

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

    Raises:
        AmrqError: a number is out of its range, or an Es/N0 outside the range that the receiver expects.
    """
    if symbols < 1 or chunks_per_class < 1 or not es_n0_db:
        raise AmrqError("a bound needs at least 1 symbol a chunk, 1 chunk a class and one Es/N0.")
    low, high = receiver.es_n0_range
    if not es_n0_known and not all(low <= level <= high for level in es_n0_db):
        raise AmrqError(
            f"Es/N0 must lie in the range that the receiver expects, {low:g} to {high:g} dB: widen that range, or "
            "leave points out."
        )
    shared = None if es_n0_known else LikelihoodClassifier(receiver)
    points = []
    for level in es_n0_db:
        classifier = shared or LikelihoodClassifier(replace(receiver, es_n0_db=float(level)))
        confusion = np.zeros((len(MODULATIONS), len(MODULATIONS)), dtype=np.int64)
        for row, name in enumerate(MODULATIONS):
            # In whole millidecibels, so that a point's chunks do not depend on which others are measured.
            rng = np.random.default_rng([seed, symbols, round(1000 * level) % 2**32, row])
            chunks = fresh_chunks(
                name,
                chunks_per_class,
                symbols,
                float(level),
                rng,
                receiver.phase_noise,
                receiver.phase == "uniform",
            )
            decided = classifier.log_likelihoods(chunks).argmax(axis=1)
            confusion[row] = np.bincount(decided, minlength=len(MODULATIONS))
            progress(chunks_per_class)
        points.append(BoundPoint(classifier.receiver, float(level), confusion))
    name = receiver.description
    if es_n0_known:
        name = replace(receiver, es_n0_db=0.0).description
    return BoundCurve(name, symbols, tuple(points))
