# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision as a display keeps it."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pmt

from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.protocols import FAMILIES

__all__ = ["ShownDecision", "Verdict", "read_decision", "read_dictionary"]

_NOISE = "noise"
"""The family of what is no signal."""


Verdict = Literal["right", "wrong", "undecided"]


@dataclass(frozen=True)
class ShownDecision:
    """What a display keeps of a decision."""

    label: str
    confidence: float
    probabilities: dict[str, float] = field(default_factory=dict)
    truth: str | None = None
    chunks: int = 0
    es_n0_db: float | None = None
    es_n0_bound: str | None = None
    reason: str = "named"
    best: str = ""
    refuted: str = ""
    alike: tuple[str, ...] = ()
    name: str = ""
    """The most specific name of a signal whose family is `best`; empty where the answer is a model output."""
    remark: str = ""
    """What else is said of such a signal: its parameters and likely protocols, or why it has no name."""

    @property
    def row(self) -> str:
        """The model output that the answer refers to; `no signal` for silence."""
        return self.best or self.label

    @property
    def verdict(self) -> Verdict | None:
        """Whether the answer is right; None if the truth is not known.

        An unsure answer is neither right nor wrong. If the true class is not one of the model's classes, `unknown` is
        right.
        """
        if self.truth is None:
            return None
        if self.reason == "unsure":
            return "undecided"
        if self.truth == NO_SIGNAL:
            return "right" if self.reason in ("noise", "silent") else "wrong"
        foreign = bool(self.probabilities) and self.truth not in self.probabilities
        return "right" if self.label == (UNKNOWN if foreign else self.truth) else "wrong"


def read_dictionary(message: Any) -> dict[Any, Any]:
    """Return a message, which must be a dictionary, as a Python dictionary.

    Raises:
        TypeError: the message is not a dictionary.
    """
    values = pmt.to_python(message)
    if not isinstance(values, dict):
        raise TypeError("it is no dictionary")
    return values


def read_decision(message: Any) -> ShownDecision:
    """Return the decision in a PDU of `classifier_sink`, in its dictionary alone, or in that of `family_classifier`.

    Raises:
        Exception: the message holds no decision that can be shown.
    """
    values = read_dictionary(pmt.car(message) if pmt.is_pdu(message) else message)
    if "family" in values:
        return _read_signal(values)
    logarithms = _in_order(values.get("log_probabilities"))
    es_n0, bound, truth = (values.get(name) for name in ("es_n0_db", "es_n0_bound", "truth"))
    label = str(values["label"])
    best = str(values.get("best", "" if label == NO_SIGNAL and not logarithms else label))
    return ShownDecision(
        label=label,
        confidence=min(1.0, max(0.0, float(values["confidence"]))),
        probabilities={str(name): min(1.0, math.exp(min(0.0, value))) for name, value in logarithms.items()},
        truth=None if truth is None else str(truth),
        chunks=int(values.get("chunks", 0)),
        es_n0_db=None if es_n0 is None else float(es_n0),
        es_n0_bound=None if bound is None else str(bound),
        reason=str(values.get("reason") or _reason(label, best)),
        best=best,
        refuted=str(values.get("refuted") or ""),
        alike=tuple(str(name) for name in values.get("alike") or ()),
    )


def _read_signal(values: dict[Any, Any]) -> ShownDecision:
    """Return what `family_classifier` says: the answer is a family, and noise is no signal."""
    names = {_NOISE: NO_SIGNAL}
    family, label = str(values["family"]), str(values["label"])
    reason = "noise" if family == _NOISE else "foreign" if label == UNKNOWN else "named"
    confidence = min(1.0, max(0.0, float(values.get("confidence", 0.0))))
    families = dict(values.get("families") or {family: confidence})
    order = {one: number for number, one in enumerate(FAMILIES)}
    ordered = sorted(families, key=lambda one: order.get(one, len(order)))
    return ShownDecision(
        label=label,
        confidence=confidence,
        probabilities={
            names.get(str(one), str(one)): min(1.0, max(0.0, float(families[one]))) for one in ordered
        },
        reason=reason,
        best=names.get(family, family),
        name=label if reason == "named" else "",
        remark=str(values.get("summary") or values.get("reason") or "") if reason != "noise" else "",
    )


def _in_order(dictionary: Any) -> dict[Any, Any]:
    """Return a dictionary of a message in its order: a PMT dictionary gives entries back from the last to the first."""
    return dict(reversed(list((dictionary or {}).items())))


def _reason(label: str, best: str) -> str:
    """Return the likely reason of a decision whose message has no `reason`."""
    if label == UNKNOWN:
        return {UNKNOWN: "foreign", NO_SIGNAL: "noise"}.get(best, "unsure")
    return "named" if label != NO_SIGNAL else "noise" if best else "silent"
