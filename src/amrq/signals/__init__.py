# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbols to received I/Q: noise, phase noise, rotation, pulse shaping, schedules of classes."""

from amrq.signals.impairments import add_noise, add_phase_noise, rotate
from amrq.signals.modulated_signal import ModulatedSignal
from amrq.signals.noise_level import es_n0_db_from_noise_power, noise_power_from_es_n0_db
from amrq.signals.other_modulations import OTHER_MODULATIONS, OtherModulation, other_modulation
from amrq.signals.other_signals import HELD_OUT_SIGNALS, OTHER_SIGNALS, other_signal
from amrq.signals.pulse_shaper import PulseShaper
from amrq.signals.received_signal import Conditions, received_signal, received_under
from amrq.signals.root_raised_cosine import root_raised_cosine
from amrq.signals.schedule import Schedule

__all__ = [
    "HELD_OUT_SIGNALS",
    "OTHER_MODULATIONS",
    "OTHER_SIGNALS",
    "Conditions",
    "ModulatedSignal",
    "OtherModulation",
    "PulseShaper",
    "Schedule",
    "add_noise",
    "add_phase_noise",
    "es_n0_db_from_noise_power",
    "noise_power_from_es_n0_db",
    "other_modulation",
    "other_signal",
    "received_signal",
    "received_under",
    "root_raised_cosine",
    "rotate",
]
