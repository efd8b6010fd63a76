# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions that receive a source or a recording: they find and follow the symbol rate, decide, and write outputs."""

from amrq.live.decision_stream import Decided, DecisionStream, LiveStream
from amrq.live.family_labelling import FamilyLabeller, LabelledFamilies
from amrq.live.interrupt import (
    deferred_interrupt,
    ended_in_time,
    joined,
    leave_behind,
    something_left_behind,
)
from amrq.live.labelling import CuttingOptions, LabelledRecording, Labeller, Naming
from amrq.live.recording import (
    RecordedSignal,
    RecordingOptions,
    find_in_recording,
    find_opened,
    open_part,
    open_signal,
    recording_origin,
    recording_symbol_rate,
    say_found,
    say_notes,
)
from amrq.live.session import (
    LiveDecision,
    LiveSession,
    Recognition,
    RecordingOutputs,
    RecordingSession,
    RecordingTotals,
    SessionOptions,
    load_flowgraph,
)
from amrq.live.symbol_rate import (
    LOOKED_AT,
    RateEstimate,
    RecentSamples,
    SignalFollower,
    SymbolRateWatch,
    WatchCounts,
)

__all__ = [
    "LOOKED_AT",
    "CuttingOptions",
    "Decided",
    "DecisionStream",
    "FamilyLabeller",
    "LabelledFamilies",
    "LabelledRecording",
    "Labeller",
    "LiveDecision",
    "LiveSession",
    "LiveStream",
    "Naming",
    "RateEstimate",
    "RecentSamples",
    "Recognition",
    "RecordedSignal",
    "RecordingOptions",
    "RecordingOutputs",
    "RecordingSession",
    "RecordingTotals",
    "SessionOptions",
    "SignalFollower",
    "SymbolRateWatch",
    "WatchCounts",
    "deferred_interrupt",
    "ended_in_time",
    "find_in_recording",
    "find_opened",
    "joined",
    "leave_behind",
    "load_flowgraph",
    "open_part",
    "open_signal",
    "recording_origin",
    "recording_symbol_rate",
    "say_found",
    "say_notes",
    "something_left_behind",
]
