# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled chunks of annotated recordings: made from annotations, written to files and read back."""

from amrq.labels.family_folder import FamilyCuts, FamilyFolder, HeldOutCuts
from amrq.labels.labelled_spans import (
    LabelledSpans,
    Reason,
    SelectedChunks,
    Span,
    labelled_spans,
    select_chunks,
    symbol_places,
)
from amrq.labels.labels_folder import (
    LABELS,
    HeldOut,
    LabelledChunks,
    LabelsFolder,
    hold_out,
    label_name,
    numbered_labels,
)

__all__ = [
    "LABELS",
    "FamilyCuts",
    "FamilyFolder",
    "HeldOut",
    "HeldOutCuts",
    "LabelledChunks",
    "LabelledSpans",
    "LabelsFolder",
    "Reason",
    "SelectedChunks",
    "Span",
    "hold_out",
    "label_name",
    "labelled_spans",
    "numbered_labels",
    "select_chunks",
    "symbol_places",
]
