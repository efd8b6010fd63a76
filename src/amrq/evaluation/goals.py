# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shipped model is to keep."""

__all__ = ["CALIBRATION_GOAL", "claim_goal"]

CALIBRATION_GOAL = 0.02
"""Expected calibration error at every Es/N0, at most."""

_NOISE_GOAL = 0.01
_CLAIM_GOAL = 0.05
_CLAIM_KINDS = ("FM", "FSK", "OFDM", "tone", "speech")


def claim_goal(kind: str) -> float | None:
    """Return the largest share of decisions on a kind of other signal that may claim one of the nine; None if any."""
    if kind == "noise":
        return _NOISE_GOAL
    return _CLAIM_GOAL if kind in _CLAIM_KINDS else None
