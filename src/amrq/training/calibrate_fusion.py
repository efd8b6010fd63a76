# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the probabilities of fused decisions mean what they say."""

from dataclasses import replace

import numpy as np

from amrq.classifier import Classifier, Evidence
from amrq.evaluation import fresh_chunks, fuse
from amrq.model import Contract
from amrq.modulations import MODULATIONS

__all__ = ["calibrate_fusion"]

_RUNS = 80
"""Transmissions of each modulation."""
_CHUNKS = 32
_FUSED = (2, 8, 32)
_ES_N0_DB = (0.0, 15.0)
"""Where the answer is in doubt."""
_CANDIDATES = (2.0, 3.5, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 57.0, 80.0, 113.0, 160.0, 320.0, 0.0)


def calibrate_fusion(classifier: Classifier, seed: int) -> float:
    """Return the `fusion_chunks` of a contract that gives fused decisions on fresh signals the best Brier score.

    On modulations alone, among each other: how readily a model takes other signals for one of them is set by a recipe's
    caution. Every run is one transmission of 32 chunks at one Es/N0, drawn from 0 to 15 dB. The score (Brier 1950) is
    over decisions on 2, 8 and 32 chunks, each number of chunks and each run counting alike; unlike the cross entropy
    it is bounded, so that a few transmissions that a model gets utterly wrong do not decide alone.

    Args:
        classifier: the model, its temperature fitted already.
        seed: of the signals.

    Returns:
        chunks, or 0 where sums should count in full.
    """
    contract = classifier.contract
    names = [name for name in contract.classes if name in MODULATIONS]
    evidence: list[tuple[str, Evidence]] = []
    for name in names:
        rng = np.random.default_rng([seed, 2, len(evidence)])
        for _ in range(_RUNS):
            level = float(rng.uniform(*_ES_N0_DB))
            phase = contract.phase == "any"
            chunks = fresh_chunks(name, _CHUNKS, contract.chunk_length, level, rng, any_phase=phase)
            evidence.append((name, classifier.classify(chunks)))

    def score(tried: Contract) -> float:
        total = 0.0
        for count in _FUSED:
            for truth, of_run in evidence:
                decisions = fuse(tried, of_run, count)
                named = np.array([[d.log_probabilities[name] for name in names] for d in decisions])
                probabilities = np.exp(named - np.logaddexp.reduce(named, axis=1, keepdims=True))
                probabilities[:, names.index(truth)] -= 1
                total += float((probabilities**2).sum(axis=1).mean())
        return total

    return min(_CANDIDATES, key=lambda n0: score(replace(contract, fusion_chunks=n0)))
