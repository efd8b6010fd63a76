# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels, where they were built; NumPy does the same without them, slower."""

from amrq.native.block_kernels import (
    FollowNow,
    PlaceModel,
    PulseChoice,
    PulseKinds,
    SpectrumLimits,
    SpectrumNow,
    SpectrumRun,
)
from amrq.native.chunk_kernels import UNKNOWN, BurstLimits, BurstNow, ClockNow, LevelLimits, LevelNow
from amrq.native.clock_kernels import ClockLimits, ClockTrack, ClockWindow, Tone
from amrq.native.fit_kernels import FitRounds, PointFit
from amrq.native.kernels import MOST_ROWS, NEVER, Kernels, kernels, missing
from amrq.native.level_kernels import EvenLevels, Lattice, LevelRounds, LevelSolution
from amrq.native.line_kernels import CHIRPS, LineChirps, LineGrid
from amrq.native.network_kernels import (
    INSTRUCTIONS,
    CompiledNetwork,
    NetworkLayer,
    check_layers,
    layer_arrays,
)
from amrq.native.point_kernels import (
    MOST_CHUNKS,
    Averaging,
    PointAsked,
    PointKind,
    PointLevel,
    PointPlaces,
    PointRules,
)
from amrq.native.receive_kernels import (
    CarrierLimits,
    CarrierLines,
    CarrierNow,
    ChannelFilters,
)
from amrq.native.transform_kernels import TransformPlan

__all__ = [
    "CHIRPS",
    "INSTRUCTIONS",
    "MOST_CHUNKS",
    "MOST_ROWS",
    "NEVER",
    "UNKNOWN",
    "Averaging",
    "BurstLimits",
    "BurstNow",
    "CarrierLimits",
    "CarrierLines",
    "CarrierNow",
    "ChannelFilters",
    "ClockLimits",
    "ClockNow",
    "ClockTrack",
    "ClockWindow",
    "CompiledNetwork",
    "EvenLevels",
    "FitRounds",
    "FollowNow",
    "Kernels",
    "Lattice",
    "LevelLimits",
    "LevelNow",
    "LevelRounds",
    "LevelSolution",
    "LineChirps",
    "LineGrid",
    "NetworkLayer",
    "PlaceModel",
    "PointAsked",
    "PointFit",
    "PointKind",
    "PointLevel",
    "PointPlaces",
    "PointRules",
    "PulseChoice",
    "PulseKinds",
    "SpectrumLimits",
    "SpectrumNow",
    "SpectrumRun",
    "Tone",
    "TransformPlan",
    "check_layers",
    "kernels",
    "layer_arrays",
    "missing",
]
