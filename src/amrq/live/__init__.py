# SPDX-License-Identifier: GPL-3.0-or-later
"""A session on a source: what is received, its symbol rate found and followed, decisions as they are made."""

from amrq.live.decision_stream import DecisionStream
from amrq.live.interrupt import deferred_interrupt, ended_in_time, joined, something_left_behind
from amrq.live.recording import recording_offset, recording_origin, recording_symbol_rate, unclear
from amrq.live.session import Decided, LiveSession

__all__ = [
    "Decided",
    "DecisionStream",
    "LiveSession",
    "deferred_interrupt",
    "ended_in_time",
    "joined",
    "recording_offset",
    "recording_origin",
    "recording_symbol_rate",
    "something_left_behind",
    "unclear",
]
