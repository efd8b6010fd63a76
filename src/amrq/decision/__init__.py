# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence of many chunks to one honest decision."""

from amrq.decision.decision import Decision
from amrq.decision.decision_maker import DecisionMaker
from amrq.model import NO_SIGNAL

__all__ = ["NO_SIGNAL", "Decision", "DecisionMaker"]
