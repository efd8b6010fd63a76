# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions on many chunks at once, for statistics."""

import math

import numpy as np

from amrq.classifier import Evidence
from amrq.decision import Decision, DecisionMaker, DecisionOptions
from amrq.model import Contract

__all__ = ["fuse"]


def fuse(contract: Contract, evidence: Evidence, chunks: int) -> list[Decision]:
    """Return what a `DecisionMaker` with its own settings says of each `chunks` chunks of some evidence.

    No change of class is looked for, since there is none; chunks left over at the end are left out.
    """
    whole = len(evidence.power) // chunks * chunks
    if not whole:
        return []
    maker = DecisionMaker(
        contract.weighed(),
        contract.chunk_length,
        DecisionOptions(chunks_per_decision=chunks, change_evidence=math.inf),
        contract.fusion_chunks,
    )
    return maker.update(evidence.part(0, whole), contract.chunk_length * np.arange(whole, dtype=np.int64))
