# SPDX-License-Identifier: GPL-3.0-or-later
"""From stored samples to what they hold: found, received, classified and decided on, in one pass."""

from amrq.identify.emission import family_model, identify_emission
from amrq.identify.identity import EmissionIdentity, Glance
from amrq.identify.labels import DETAILS, ofdm_details
from amrq.identify.linear import Identification, IdentifyOptions, identify_linear
from amrq.identify.look import IdentifyModels
from amrq.identify.naming import ProtocolGuess, emission_text, guess_protocols
from amrq.identify.search import (
    SURE,
    FoundSignal,
    SignalSearch,
    find_in_windows,
    find_signal,
    found_text,
    input_texts,
    is_same_rate,
    signals_text,
    unclear_text,
)

__all__ = [
    "DETAILS",
    "SURE",
    "EmissionIdentity",
    "FoundSignal",
    "Glance",
    "Identification",
    "IdentifyModels",
    "IdentifyOptions",
    "ProtocolGuess",
    "SignalSearch",
    "emission_text",
    "family_model",
    "find_in_windows",
    "find_signal",
    "found_text",
    "guess_protocols",
    "identify_emission",
    "identify_linear",
    "input_texts",
    "is_same_rate",
    "ofdm_details",
    "signals_text",
    "unclear_text",
]
