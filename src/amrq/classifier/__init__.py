# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks in, log-probabilities out."""

from amrq.classifier.classifier import Classifier
from amrq.classifier.evidence import Evidence
from amrq.classifier.lossy_classifier import LossyClassifier
from amrq.classifier.onnx_classifier import OnnxClassifier

__all__ = ["Classifier", "Evidence", "LossyClassifier", "OnnxClassifier"]
