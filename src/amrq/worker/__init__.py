# SPDX-License-Identifier: GPL-3.0-or-later
"""Classification beside the stream: a thread behind a bounded queue."""

from amrq.worker.batch import Batch
from amrq.worker.classifier_worker import ClassifierWorker
from amrq.worker.statistics import Statistics

__all__ = ["Batch", "ClassifierWorker", "Statistics"]
