# SPDX-License-Identifier: GPL-3.0-or-later
"""Classification of chunks: engines that compute scores, the classifier that turns scores into evidence, families."""

from amrq.classifier.classifier import (
    Backend,
    ChunkClassifier,
    Classifier,
    EngineBackend,
    Evidence,
    Weigher,
    make_classifier,
    weighable,
)
from amrq.classifier.engine import (
    AUTO,
    ENGINES,
    Engine,
    EngineKind,
    EngineScores,
    IntegerScores,
    OnnxEngine,
    engine_choices,
    engine_help,
    engines_here,
    logits_of,
    make_engine,
)
from amrq.classifier.family import FamilyModel, level_chunks

__all__ = [
    "AUTO",
    "ENGINES",
    "Backend",
    "ChunkClassifier",
    "Classifier",
    "Engine",
    "EngineBackend",
    "EngineKind",
    "EngineScores",
    "Evidence",
    "FamilyModel",
    "IntegerScores",
    "OnnxEngine",
    "Weigher",
    "engine_choices",
    "engine_help",
    "engines_here",
    "level_chunks",
    "logits_of",
    "make_classifier",
    "make_engine",
    "weighable",
]
