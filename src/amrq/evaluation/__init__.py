# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a model is, with the uncertainty of the figure. Needs no PyTorch."""

from amrq.evaluation.bound import Bound
from amrq.evaluation.clopper_pearson import clopper_pearson
from amrq.evaluation.evaluate import DEFAULT_ES_N0_DB, FUSED_SYMBOLS, evaluate
from amrq.evaluation.evaluation import Evaluation
from amrq.evaluation.fresh_chunks import fresh_chunks
from amrq.evaluation.fuse import fuse
from amrq.evaluation.noise_level import NoiseLevel
from amrq.evaluation.open_set import OpenSet
from amrq.evaluation.other_signal import OtherSignal
from amrq.evaluation.outcome import NO_ANSWER, NO_SYMBOL_RATE, UNSURE, Outcome, Tally, answer_of, outcome
from amrq.evaluation.paired_difference import PairedDifference
from amrq.evaluation.pictures import draw_pictures
from amrq.evaluation.reliability import Reliability
from amrq.evaluation.report import report
from amrq.evaluation.share import Share
from amrq.evaluation.sweep import Sweep
from amrq.evaluation.verdict import Finding, verdict
from amrq.evaluation.wald import wald

__all__ = [
    "DEFAULT_ES_N0_DB",
    "FUSED_SYMBOLS",
    "NO_ANSWER",
    "NO_SYMBOL_RATE",
    "UNSURE",
    "Bound",
    "Evaluation",
    "Finding",
    "NoiseLevel",
    "OpenSet",
    "OtherSignal",
    "Outcome",
    "PairedDifference",
    "Reliability",
    "Share",
    "Sweep",
    "Tally",
    "answer_of",
    "clopper_pearson",
    "draw_pictures",
    "evaluate",
    "fresh_chunks",
    "fuse",
    "outcome",
    "report",
    "verdict",
    "wald",
]
