# SPDX-License-Identifier: GPL-3.0-or-later
"""What the chunks before a chunk say of its level and its Es/N0."""

from amrq.tracking.es_n0_prior import EsN0Prior
from amrq.tracking.level_tracker import LevelTracker, TrackedLevel
from amrq.tracking.new_share import new_share
from amrq.tracking.noise_tracker import NoiseTracker
from amrq.tracking.tracker import Tracker

__all__ = ["EsN0Prior", "LevelTracker", "NoiseTracker", "TrackedLevel", "Tracker", "new_share"]
