# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a model is, with the uncertainty of the figure. Needs no PyTorch."""

from amrq.evaluation.clopper_pearson import clopper_pearson
from amrq.evaluation.evaluate import DEFAULT_ES_N0_DB, FUSED_CHUNKS, evaluate, fresh_chunks
from amrq.evaluation.evaluation import Evaluation, NoiseLevel, OtherSignal
from amrq.evaluation.pictures import draw_pictures
from amrq.evaluation.report import report

__all__ = [
    "DEFAULT_ES_N0_DB",
    "FUSED_CHUNKS",
    "Evaluation",
    "NoiseLevel",
    "OtherSignal",
    "clopper_pearson",
    "draw_pictures",
    "evaluate",
    "fresh_chunks",
    "report",
]
