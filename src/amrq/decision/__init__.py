# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence of many chunks to one honest decision."""

from amrq.decision.decision import NO_SIGNAL, Decision
from amrq.decision.decision_maker import DecisionMaker

__all__ = ["NO_SIGNAL", "Decision", "DecisionMaker"]
