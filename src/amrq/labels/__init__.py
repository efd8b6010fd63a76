# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of recordings whose class somebody has told: from annotations to files, and back."""

from amrq.labels.hold_out import HeldOut, hold_out
from amrq.labels.label_name import LABELS, label_name
from amrq.labels.labelled_chunks import LabelledChunks
from amrq.labels.labelled_spans import LabelledSpans, Span, labelled_spans
from amrq.labels.labels_folder import LabelsFolder
from amrq.labels.select_chunks import Reason, SelectedChunks, select_chunks
from amrq.labels.symbol_places import symbol_places

__all__ = [
    "LABELS",
    "HeldOut",
    "LabelledChunks",
    "LabelledSpans",
    "LabelsFolder",
    "Reason",
    "SelectedChunks",
    "Span",
    "hold_out",
    "label_name",
    "labelled_spans",
    "select_chunks",
    "symbol_places",
]
