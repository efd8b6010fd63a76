# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shipped model is to keep."""

from amrq.model import NO_SIGNAL, UNKNOWN, Contract

__all__ = ["CALIBRATION_GOAL", "claim_goal"]

CALIBRATION_GOAL = 0.02
"""Expected calibration error at every Es/N0, at most."""

_NOISE_GOAL = 0.01
_CLAIM_GOAL = 0.05
_CLAIM_KINDS = ("FM", "FSK", "OFDM", "tone", "speech")


def claim_goal(kind: str, contract: Contract) -> float | None:
    """Return the largest share of decisions on a kind of other signal that may claim one of the nine.

    None where no goal is set, and for a model without an output `unknown` or `no signal`: it weighs its modulations
    against each other alone, so that no goal of this sort can apply to it.
    """
    if UNKNOWN not in contract.classes and NO_SIGNAL not in contract.classes:
        return None
    if kind == "noise":
        return _NOISE_GOAL
    return _CLAIM_GOAL if kind in _CLAIM_KINDS else None
