# SPDX-License-Identifier: GPL-3.0-or-later
"""GNU Radio blocks that recognise the modulation of a radio signal."""

import importlib
from typing import Any

from gnuradio.amrq.band_source import band_source
from gnuradio.amrq.blind_receiver import blind_receiver
from gnuradio.amrq.carrier_recovery import carrier_recovery
from gnuradio.amrq.chunker import chunker
from gnuradio.amrq.classifier_sink import classifier_sink
from gnuradio.amrq.emission_source import emission_source
from gnuradio.amrq.modulation_source import modulation_source
from gnuradio.amrq.packet_source import packet_source
from gnuradio.amrq.radio_source import radio_source
from gnuradio.amrq.recording_source import recording_source
from gnuradio.amrq.rtl_tcp_source import rtl_tcp_source
from gnuradio.amrq.sigmf_recorder import sigmf_recorder
from gnuradio.amrq.symbol_front_end import symbol_front_end
from gnuradio.amrq.symbol_rate_probe import symbol_rate_probe
from gnuradio.amrq.zmq_source import zmq_source

# The option records that blocks take. A flowgraph finds them beside the blocks.
from amrq.classifier import EngineBackend
from amrq.decision import DecisionOptions
from amrq.link import BoardBackend
from amrq.measure import FrontEndOptions, StreamInfo
from amrq.outputs import OutputOptions
from amrq.signals import PulseOptions

__all__ = [
    "BoardBackend",
    "DecisionOptions",
    "EngineBackend",
    "FrontEndOptions",
    "OutputOptions",
    "PulseOptions",
    "ScanOptions",
    "SignalOptions",
    "StreamInfo",
    "band_display",
    "band_scanner",
    "band_source",
    "blind_receiver",
    "carrier_recovery",
    "chunker",
    "classification_display",
    "classifier_sink",
    "confusion_display",
    "emission_source",
    "family_classifier",
    "modulation_source",
    "packet_source",
    "radio_source",
    "recording_source",
    "rtl_tcp_source",
    "sigmf_recorder",
    "symbol_front_end",
    "symbol_rate_probe",
    "zmq_source",
]


_LATER = (
    *(
        "band_display",
        "classification_display",
        "confusion_display",
    ),  # they need Qt, which not every machine has
    *("band_scanner", "family_classifier"),  # a scanner takes its time to load
)


def __getattr__(name: str) -> Any:
    if name in _LATER:  # loaded when one is made
        block = getattr(importlib.import_module(f"gnuradio.amrq.{name}"), name)
        # Loading it has put the module of the same name in this place.
        globals()[name] = block
        return block
    if name in ("ScanOptions", "SignalOptions"):
        return getattr(importlib.import_module("amrq.scan"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
