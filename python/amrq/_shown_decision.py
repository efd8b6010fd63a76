# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision as a display keeps it."""

import math
from dataclasses import dataclass, field
from typing import Any

import pmt

from amrq.model import UNKNOWN

__all__ = ["ShownDecision", "read_decision", "read_dictionary"]


@dataclass(frozen=True)
class ShownDecision:
    """What a display keeps of a decision."""

    label: str
    confidence: float
    probabilities: dict[str, float] = field(default_factory=dict)
    truth: str | None = None
    chunks: int = 0
    power_db: float | None = None
    es_n0_db: float | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether the label is the truth, or `unknown` where the model has no such class; None without truth."""
        if self.truth is None:
            return None
        foreign = bool(self.probabilities) and self.truth not in self.probabilities
        return self.label == (UNKNOWN if foreign else self.truth)


def read_dictionary(message: Any) -> dict[Any, Any]:
    """Return the dictionary that a message is.

    Raises:
        TypeError: it is none.
    """
    values = pmt.to_python(message)
    if not isinstance(values, dict):
        raise TypeError("it is no dictionary")
    return values


def read_decision(message: Any) -> ShownDecision:
    """Return what a PDU of `classifier_sink`, or its dictionary alone, says.

    Raises:
        Exception: it says nothing that can be shown.
    """
    values = read_dictionary(pmt.car(message) if pmt.is_pdu(message) else message)
    # A PMT dictionary gives its entries back from the last to the first.
    logarithms = dict(reversed(list((values.get("log_probabilities") or {}).items())))
    power, es_n0, truth = (values.get(name) for name in ("power_db", "es_n0_db", "truth"))
    return ShownDecision(
        label=str(values["label"]),
        confidence=min(1.0, max(0.0, float(values["confidence"]))),
        probabilities={str(name): min(1.0, math.exp(min(0.0, value))) for name, value in logarithms.items()},
        truth=None if truth is None else str(truth),
        chunks=int(values.get("chunks", 0)),
        power_db=None if power is None else float(power),
        es_n0_db=None if es_n0 is None else float(es_n0),
    )
