# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements of a model's accuracy, with confidence intervals. Needs no PyTorch."""

from amrq.evaluation.chunk_sets import IMPAIRMENTS, ImpairedChunks, Impairment, fresh_chunks, make_dataset
from amrq.evaluation.measure import (
    DEFAULT_ES_N0_DB,
    FUSED_SYMBOLS,
    ForeignConstellation,
    evaluate,
    foreign_table,
    fuse,
    measure_foreign,
)
from amrq.evaluation.open_set import (
    NO_ANSWER,
    NO_SYMBOL_RATE,
    UNSURE,
    OpenSet,
    OtherSignal,
    Outcome,
    Tally,
    answer_of,
    outcome,
)
from amrq.evaluation.open_world import OPEN_WORLD, Mishap, OpenWorldRow, measure_open_world
from amrq.evaluation.pictures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PICTURES,
    PURPLE,
    SKY,
    VERMILION,
    draw_pictures,
)
from amrq.evaluation.reference import EsN0Axis, Knowledge, ReferenceReceivers
from amrq.evaluation.report import evaluation_tables, page_anew, report
from amrq.evaluation.results import Evaluation, ImpairmentCurve, NoiseLevel, Reliability, read_evaluation
from amrq.evaluation.statistics import PairedDifference, Share, clopper_pearson, wald
from amrq.evaluation.verdict import Finding, verdict

__all__ = [
    "BLACK",
    "BLUE",
    "DEFAULT_ES_N0_DB",
    "FUSED_SYMBOLS",
    "GREEN",
    "GREY",
    "IMPAIRMENTS",
    "NO_ANSWER",
    "NO_SYMBOL_RATE",
    "OPEN_WORLD",
    "ORANGE",
    "PICTURES",
    "PURPLE",
    "SKY",
    "UNSURE",
    "VERMILION",
    "EsN0Axis",
    "Evaluation",
    "Finding",
    "ForeignConstellation",
    "ImpairedChunks",
    "Impairment",
    "ImpairmentCurve",
    "Knowledge",
    "Mishap",
    "NoiseLevel",
    "OpenSet",
    "OpenWorldRow",
    "OtherSignal",
    "Outcome",
    "PairedDifference",
    "ReferenceReceivers",
    "Reliability",
    "Share",
    "Tally",
    "answer_of",
    "clopper_pearson",
    "draw_pictures",
    "evaluate",
    "evaluation_tables",
    "foreign_table",
    "fresh_chunks",
    "fuse",
    "make_dataset",
    "measure_foreign",
    "measure_open_world",
    "outcome",
    "page_anew",
    "read_evaluation",
    "report",
    "verdict",
    "wald",
]
