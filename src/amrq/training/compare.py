# SPDX-License-Identifier: GPL-3.0-or-later
"""A model before and after it was trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from amrq.classifier import Classifier
from amrq.evaluation import Evaluation
from amrq.labels import LABELS, HeldOut, LabelledChunks

__all__ = ["compare"]


def compare(
    before: tuple[Classifier, Evaluation],
    after: tuple[Classifier, Evaluation],
    recordings: Sequence[LabelledChunks],
    parts: Sequence[HeldOut],
    tolerance: float,
) -> dict[str, Any]:
    """Hold two models against the same chunks.

    Args:
        before: the one model, and what was found of it on synthetic chunks.
        after: the other one, and what was found of it on the same.
        recordings: labelled chunks.
        parts: which of them are held out.
        tolerance: share by which an accuracy may fall, or the share of other signals that are claimed rise, before it
            counts as worse.

    Returns:
        plain values. `labelled`, of single held-out chunks: label, how many, how many right before and after.
        `synthetic`: Es/N0, chunks, accuracy among the modulations before and after. `others`: kind, fused decisions,
        how many claim one of the modulations before and after. `tolerance`. `worse`: a sentence for each thing that is.
    """
    chunks = np.concatenate([r.chunks[p.tested] for r, p in zip(recordings, parts, strict=True)])
    labels = np.concatenate([r.labels[p.tested] for r, p in zip(recordings, parts, strict=True)])
    right = []
    for classifier, _ in (before, after):
        named = np.array([LABELS.index(name) for name in classifier.contract.classes])
        right.append(named[classifier.classify(chunks).log_probabilities.argmax(axis=1)] == labels)
    labelled = [
        {
            "label": LABELS[label],
            "chunks": int((labels == label).sum()),
            "before": int(right[0][labels == label].sum()),
            "after": int(right[1][labels == label].sum()),
        }
        for label in np.unique(labels)
    ]
    synthetic = [
        {
            "es_n0_db": one.es_n0_db,
            "chunks": one.chunks,
            "before": round(one.accuracy, 6),
            "after": round(other.accuracy, 6),
        }
        for one, other in zip(
            *([level.row() for level in found.levels] for _, found in (before, after)), strict=True
        )
    ]
    others = [
        {
            "kind": one.kind,
            "decisions": one.claimed.of,
            "before": one.claimed.count,
            "after": other.claimed.count,
        }
        for one, other in zip(before[1].others, after[1].others, strict=True)
    ]
    return {
        "labelled": labelled,
        "synthetic": synthetic,
        "others": others,
        "tolerance": tolerance,
        "worse": _worse(synthetic, others, tolerance),
    }


def _worse(
    synthetic: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]], tolerance: float
) -> list[str]:
    found = []
    fell = [row for row in synthetic if row["before"] - row["after"] > tolerance]
    if fell:
        row = max(fell, key=lambda row: float(row["before"] - row["after"]))
        where = ", ".join(f"{row['es_n0_db']:g}" for row in fell)
        found.append(
            f"accuracy on synthetic chunks fell by more than {100 * tolerance:g} points at {where} dB, most at "
            f"{row['es_n0_db']:g} dB, from {row['before']:.4f} to {row['after']:.4f}"
        )
    decisions = sum(row["decisions"] for row in others)
    claims = [sum(row[when] for row in others) / max(1, decisions) for when in ("before", "after")]
    if claims[1] - claims[0] > tolerance:
        found.append(
            f"the share of other signals that it claims for one of its modulations rose by more than "
            f"{100 * tolerance:g} points, from {claims[0]:.4f} to {claims[1]:.4f}"
        )
    return found
