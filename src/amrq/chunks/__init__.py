# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a stream into chunks, normalising them, and the data set of Algorithm I."""

from amrq.chunks.dataset import DataSet, make_dataset
from amrq.chunks.level_features import LEVEL_FEATURES, level_features
from amrq.chunks.normalise import SILENCE_POWER, NormalisedChunks, normalise

__all__ = [
    "LEVEL_FEATURES",
    "SILENCE_POWER",
    "DataSet",
    "NormalisedChunks",
    "level_features",
    "make_dataset",
    "normalise",
]
