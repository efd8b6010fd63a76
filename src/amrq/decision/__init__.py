# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions from the evidence of many chunks."""

from amrq.decision.checker import DecisionChecker
from amrq.decision.decision import REASONS, Decision, EsN0Bound, Reason, answer_text, answer_words, es_n0_text
from amrq.decision.decision_maker import DecisionMaker
from amrq.decision.decision_options import DecisionOptions
from amrq.decision.nuisances import Nuisances, without_nuisances
from amrq.model import NO_SIGNAL

__all__ = [
    "NO_SIGNAL",
    "REASONS",
    "Decision",
    "DecisionChecker",
    "DecisionMaker",
    "DecisionOptions",
    "EsN0Bound",
    "Nuisances",
    "Reason",
    "answer_text",
    "answer_words",
    "es_n0_text",
    "without_nuisances",
]
