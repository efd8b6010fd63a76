# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a model is, with the uncertainty of the figure. Needs no PyTorch."""

from amrq.evaluation.clopper_pearson import clopper_pearson
from amrq.evaluation.evaluate import DEFAULT_ES_N0_DB, evaluate, fresh_chunks
from amrq.evaluation.evaluation import Evaluation, NoiseLevel, OtherSignal
from amrq.evaluation.other_signals import HELD_OUT_SIGNALS, OTHER_SIGNALS, other_signal
from amrq.evaluation.pictures import draw_pictures
from amrq.evaluation.report import report

__all__ = [
    "DEFAULT_ES_N0_DB",
    "HELD_OUT_SIGNALS",
    "OTHER_SIGNALS",
    "Evaluation",
    "NoiseLevel",
    "OtherSignal",
    "clopper_pearson",
    "draw_pictures",
    "evaluate",
    "fresh_chunks",
    "other_signal",
    "report",
]
