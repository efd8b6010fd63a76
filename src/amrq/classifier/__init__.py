# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks in, log-probabilities out."""

from amrq.classifier.classifier import (
    Backend,
    Classifier,
    Evidence,
    LossyClassifier,
    OnnxBackend,
    OnnxClassifier,
    Weigh,
)

__all__ = [
    "Backend",
    "Classifier",
    "Evidence",
    "LossyClassifier",
    "OnnxBackend",
    "OnnxClassifier",
    "Weigh",
]
