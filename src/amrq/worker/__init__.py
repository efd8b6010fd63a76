# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks classified and decided on in threads beside the stream."""

from amrq.worker.batch import Batch, Statistics
from amrq.worker.classifier_worker import ClassifierWorker

__all__ = ["Batch", "ClassifierWorker", "Statistics"]
