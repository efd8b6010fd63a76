# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy against what a channel does."""

from collections.abc import Callable

import numpy as np

from amrq.classifier import Classifier
from amrq.evaluation.impaired_chunks import ImpairedChunks
from amrq.evaluation.impairment import IMPAIRMENTS
from amrq.evaluation.sweep import Sweep

__all__ = ["measure_sweeps"]


def measure_sweeps(
    classifier: Classifier,
    truths: tuple[str, ...],
    es_n0_db: float,
    chunks: int,
    seed: int,
    phase_noise: float,
    step: Callable[[], None],
) -> list[Sweep]:
    """Sweep every impairment at one Es/N0.

    Args:
        classifier: the model.
        truths: T modulations.
        es_n0_db: Es/N0, dB.
        chunks: chunks of each modulation at each value.
        seed: of all randomness.
        phase_noise: standard deviation, radians, where it is not swept.
        step: called after each sweep.
    """
    contract = classifier.contract
    material = ImpairedChunks(
        truths, chunks, contract.chunk_length, es_n0_db, seed, contract.phase == "any", phase_noise
    )
    columns = [contract.classes.index(name) for name in truths]
    truth = np.arange(len(truths))[:, None]
    sweeps = []
    for impairment in IMPAIRMENTS:
        right = np.empty((len(impairment.values), len(truths)), dtype=np.int64)
        for row, value in zip(right, impairment.values, strict=True):
            log_probabilities = classifier.classify(material.chunks(impairment, value)).log_probabilities
            decided = log_probabilities[:, columns].argmax(axis=1).reshape(len(truths), chunks)
            row[:] = (decided == truth).sum(axis=1)
        sweeps.append(
            Sweep(impairment.name, impairment.unit, float(es_n0_db), impairment.values, right, chunks)
        )
        step()
    return sweeps
