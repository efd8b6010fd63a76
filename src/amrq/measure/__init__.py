# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of a signal: its symbol rate, its carrier, its SNR; and what the symbol front end is given."""

from amrq.measure.carrier_recovery import STEP, CarrierRecovery
from amrq.measure.front_end import FrontEndOptions, StreamInfo, check_offset, check_rates
from amrq.measure.snr_meter import SnrMeter
from amrq.measure.symbol_rate import SymbolRate, estimate_symbol_rate

__all__ = [
    "STEP",
    "CarrierRecovery",
    "FrontEndOptions",
    "SnrMeter",
    "StreamInfo",
    "SymbolRate",
    "check_offset",
    "check_rates",
    "estimate_symbol_rate",
]
