# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbols to received I/Q: noise, phase noise, rotation, pulse shaping, schedules of classes; a simulated band."""

from amrq.classes import root_raised_cosine
from amrq.signals.analog_families import (
    AmParameters,
    CarrierParameters,
    FmParameters,
    NoiseParameters,
    SsbParameters,
)
from amrq.signals.constellations import (
    FOREIGN_KINDS,
    HELD_OUT_CONSTELLATIONS,
    ForeignKind,
    ForeignPool,
    alike,
)
from amrq.signals.digital_families import (
    ChirpParameters,
    DsssParameters,
    LinearParameters,
    OfdmParameters,
)
from amrq.signals.family_signal import FamilyClass, FamilyParameters, occupied_edges
from amrq.signals.keyed_families import FskParameters, KeyedParameters
from amrq.signals.modulated_signal import (
    ModulatedSignal,
    Order,
    PulseOptions,
    PulseShaper,
    Schedule,
    add_noise,
    add_phase_noise,
    es_n0_db_from_noise_power,
    noise_power_from_es_n0_db,
    rotate,
)
from amrq.signals.other_signals import HELD_OUT_SIGNALS, OTHER_SIGNALS, OtherSignalClass, other_signal
from amrq.signals.received_family import (
    FAMILY_CLASSES,
    FamilyExample,
    Neighbour,
    Reception,
    family_example,
    received_family,
)
from amrq.signals.received_signal import Conditions, received_signal, received_under
from amrq.signals.simulated_band import (
    SIMULATED_EMISSIONS,
    SimulatedBand,
    SimulatedBurst,
    SimulatedEmission,
)

__all__ = [
    "FAMILY_CLASSES",
    "FOREIGN_KINDS",
    "HELD_OUT_CONSTELLATIONS",
    "HELD_OUT_SIGNALS",
    "OTHER_SIGNALS",
    "SIMULATED_EMISSIONS",
    "AmParameters",
    "CarrierParameters",
    "ChirpParameters",
    "Conditions",
    "DsssParameters",
    "FamilyClass",
    "FamilyExample",
    "FamilyParameters",
    "FmParameters",
    "ForeignKind",
    "ForeignPool",
    "FskParameters",
    "KeyedParameters",
    "LinearParameters",
    "ModulatedSignal",
    "Neighbour",
    "NoiseParameters",
    "OfdmParameters",
    "Order",
    "OtherSignalClass",
    "PulseOptions",
    "PulseShaper",
    "Reception",
    "Schedule",
    "SimulatedBand",
    "SimulatedBurst",
    "SimulatedEmission",
    "SsbParameters",
    "add_noise",
    "add_phase_noise",
    "alike",
    "es_n0_db_from_noise_power",
    "family_example",
    "noise_power_from_es_n0_db",
    "occupied_edges",
    "other_signal",
    "received_family",
    "received_signal",
    "received_under",
    "root_raised_cosine",
    "rotate",
]
