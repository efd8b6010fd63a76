# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the probabilities of fused decisions mean what they say."""

import math
from dataclasses import replace

import numpy as np

from amrq.classifier import Classifier, Evidence
from amrq.evaluation import fresh_chunks, fuse
from amrq.model import NO_SIGNAL, UNKNOWN, Contract
from amrq.modulations import MODULATIONS
from amrq.signals import OTHER_SIGNALS, add_noise, noise_power_from_es_n0_db, other_signal

__all__ = ["calibrate_fusion"]

_RUNS = 80
"""Transmissions of each class, and of each kind of other signal."""
_CHUNKS = 32
_FUSED = (2, 8, 32)
_ES_N0_DB = (0.0, 15.0)
"""Where the answer is in doubt."""
_CANDIDATES = (2.0, 3.5, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 57.0, 80.0, 113.0, 160.0, 320.0, 0.0)
_MOMENTARY = "burst edge"


def calibrate_fusion(classifier: Classifier, seed: int) -> float:
    """Return the `fusion_chunks` of a contract that gives fused decisions on fresh signals the lowest cross entropy.

    Every run is one transmission of 32 chunks at one Es/N0, drawn from 0 to 15 dB. The cross entropy is that of
    the class sent, over decisions on 2, 8 and 32 chunks, each number of chunks and each run counting alike.

    Args:
        classifier: the model, its temperature fitted already.
        seed: of the signals.

    Returns:
        chunks, or 0 where sums should count in full.
    """
    contract = classifier.contract
    evidence: list[tuple[str, Evidence]] = []
    for name in contract.classes:
        if name not in MODULATIONS:
            continue
        rng = np.random.default_rng([seed, 2, len(evidence)])
        for _ in range(_RUNS):
            level = float(rng.uniform(*_ES_N0_DB))
            phase = contract.phase == "any"
            chunks = fresh_chunks(name, _CHUNKS, contract.chunk_length, level, rng, any_phase=phase)
            evidence.append((name, classifier.classify(chunks)))
    for number, kind in enumerate(OTHER_SIGNALS if UNKNOWN in contract.classes else ()):
        if kind == _MOMENTARY:
            continue
        rng = np.random.default_rng([seed, 3, number])
        truth = NO_SIGNAL if kind == "noise" and NO_SIGNAL in contract.classes else UNKNOWN
        for _ in range(_RUNS):
            samples = other_signal(kind, 1, _CHUNKS * contract.chunk_length, rng)
            noise = noise_power_from_es_n0_db(float(rng.uniform(*_ES_N0_DB)))
            chunks = add_noise(samples, noise, rng).reshape(_CHUNKS, -1)
            evidence.append((truth, classifier.classify(chunks)))

    def cross_entropy(tried: Contract) -> float:
        total = 0.0
        for count in _FUSED:
            for truth, of_run in evidence:
                decisions = fuse(tried, of_run, count)
                total -= math.fsum(d.log_probabilities[truth] for d in decisions) / len(decisions)
        return total

    return min(_CANDIDATES, key=lambda n0: cross_entropy(replace(contract, fusion_chunks=n0)))
