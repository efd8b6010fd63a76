# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements of a band and its signals (places, symbol rate, carrier, SNR), and the settings of the front end."""

from amrq.measure.audio_modulation import (
    AmMeasures,
    FmMeasures,
    InnerModem,
    SsbMeasures,
    measure_am,
    measure_am_modem,
    measure_fm,
    measure_ssb,
)
from amrq.measure.band import BandSignal, find_signals
from amrq.measure.buried_code import BuriedCode, measure_buried_code
from amrq.measure.burst_carrier import BurstCarrier, CarrierEstimate
from amrq.measure.carrier_recovery import STEP, CarrierRecovery
from amrq.measure.chirp import Chirp, measure_chirp
from amrq.measure.cleaning import Cleaner, InputReport, all_usable, usable
from amrq.measure.drift import Drift, measure_drift, steadied
from amrq.measure.emission import EmissionMeasures, measure_emission
from amrq.measure.frequency_keying import FrequencyKeying, measure_frequency_keying
from amrq.measure.frequency_spread import FrequencySpread, measure_frequency_spread
from amrq.measure.front_end import USUAL_ROLLOFF, FrontEndOptions, StreamInfo, check_offset, check_rates
from amrq.measure.keyed_carriers import KeyedCarriers, measure_keyed_carriers
from amrq.measure.keyed_eye import KeyedEye, measure_keyed_eye
from amrq.measure.keying import Keying, measure_keying
from amrq.measure.looks import hann_single, median, powers, quantile, select_channel, turned
from amrq.measure.phase_keying import PhaseKeying, measure_phase_keying
from amrq.measure.pulses import Pulses, measure_pulse
from amrq.measure.quarter_turns import QuarterTurns, measure_quarter_turns
from amrq.measure.real_axis import RealAxis, measure_real_axis
from amrq.measure.repeated_symbols import RepeatedSymbols, measure_repeated_symbols
from amrq.measure.sidebands import Sidebands, measure_sidebands
from amrq.measure.spreading import Spreading, measure_spreading
from amrq.measure.subcarriers import Subcarriers, measure_subcarriers
from amrq.measure.symbol_rate import SymbolRate, estimate_symbol_rate
from amrq.measure.video_lines import VideoLines, measure_video_lines
from amrq.measure.voice import AudioKind, Voice, measure_voice
from amrq.transforms import quick_length

__all__ = [
    "STEP",
    "USUAL_ROLLOFF",
    "AmMeasures",
    "AudioKind",
    "BandSignal",
    "BuriedCode",
    "BurstCarrier",
    "CarrierEstimate",
    "CarrierRecovery",
    "Chirp",
    "Cleaner",
    "Drift",
    "EmissionMeasures",
    "FmMeasures",
    "FrequencyKeying",
    "FrequencySpread",
    "FrontEndOptions",
    "InnerModem",
    "InputReport",
    "KeyedCarriers",
    "KeyedEye",
    "Keying",
    "PhaseKeying",
    "Pulses",
    "QuarterTurns",
    "RealAxis",
    "RepeatedSymbols",
    "Sidebands",
    "Spreading",
    "SsbMeasures",
    "StreamInfo",
    "Subcarriers",
    "SymbolRate",
    "VideoLines",
    "Voice",
    "all_usable",
    "check_offset",
    "check_rates",
    "estimate_symbol_rate",
    "find_signals",
    "hann_single",
    "measure_am",
    "measure_am_modem",
    "measure_buried_code",
    "measure_chirp",
    "measure_drift",
    "measure_emission",
    "measure_fm",
    "measure_frequency_keying",
    "measure_frequency_spread",
    "measure_keyed_carriers",
    "measure_keyed_eye",
    "measure_keying",
    "measure_phase_keying",
    "measure_pulse",
    "measure_quarter_turns",
    "measure_real_axis",
    "measure_repeated_symbols",
    "measure_sidebands",
    "measure_spreading",
    "measure_ssb",
    "measure_subcarriers",
    "measure_video_lines",
    "measure_voice",
    "median",
    "powers",
    "quantile",
    "quick_length",
    "select_channel",
    "steadied",
    "turned",
    "usable",
]
