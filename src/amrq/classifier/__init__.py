# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks in, log-probabilities out."""

from amrq.classifier.classifier import Backend, Classifier
from amrq.classifier.evidence import Evidence
from amrq.classifier.lossy_classifier import LossyClassifier
from amrq.classifier.onnx_classifier import OnnxBackend, OnnxClassifier

__all__ = ["Backend", "Classifier", "Evidence", "LossyClassifier", "OnnxBackend", "OnnxClassifier"]
