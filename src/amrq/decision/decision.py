# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions: the answer, the samples it refers to, and the evidence for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from amrq.model import NO_SIGNAL, UNKNOWN

__all__ = ["REASONS", "Decision", "EsN0Bound", "Reason", "answer_text", "answer_words", "es_n0_text"]

Reason = Literal["named", "unsure", "foreign", "noise", "silent"]
"""What kind of answer a decision is; see `Decision`."""

REASONS: tuple[Reason, ...] = ("named", "unsure", "foreign", "noise", "silent")

EsN0Bound = Literal["above", "below"]
"""On which side of an estimate the value lies, where the model cannot say more."""

_MOST_ALIKE = 3
"""Names that a decision gives beside its own."""
_OUTSIDE = {UNKNOWN: "outside the classes", NO_SIGNAL: "noise"}


@dataclass(frozen=True)
class Decision:
    """A decision on some chunks.

    `reason` gives the kind of answer; `label` gives the same in the form of earlier versions:

    | reason | label | what it means |
    |---|---|---|
    | `named` | a modulation | it is at least as probable as `min_confidence` |
    | `unsure` | `unknown` | the evidence is not enough: `best` is only the most probable answer |
    | `foreign` | `unknown` | none of the modulations fits, by the model or by `refuted`: `best` is `unknown` |
    | `noise` | `unknown`; `no signal` with `name_noise` | the model is sure of noise: `best` is `no signal` |
    | `silent` | `no signal` | chunks without power, or below a gate, which are not classified: `best` is empty |

    Attributes:
        label: a modulation, `unknown` or `no signal`.
        confidence: probability of `best` given the chunks, 0 to 1; for silent chunks 1.
        best: the most probable output of the model: a modulation, `unknown` or `no signal`; empty for silent chunks.
        log_probabilities: class name to fused natural log-probability; empty for silent chunks.
        chunks: number of chunks of this decision, without the remembered earlier ones.
        sample_index: index of the first chunk's first sample in the stream of symbols.
        sample_count: samples from `sample_index` to the end of the last chunk.
        es_n0_db: estimate of Es/N0 in dB if `best` is right; None if the model does not weigh noise levels.
        power_db: mean power of these chunks in dB relative to 1; None for silent chunks.
        reason: see above.
        es_n0_bound: `above` or `below` if Es/N0 is beyond the model's noise levels: it is then above, or below,
            `es_n0_db`. None if `es_n0_db` is the estimate itself.
        measured_es_n0_db: Es/N0 by the noise beside the signal, without any model, dB; None where it is not known.
        misfit: how badly the symbols fit the points of the modulation that the model named, over what is still
            accepted: above 1 it is refuted (see `DecisionChecker`). None where that was not tested.
        refuted: the modulation that the model named and that was refuted; empty if none was.
        alike: modulations that are no classes of the model and that these symbols do not tell from `best`, the
            likeliest first, at most three: `confidence` allows for them. Empty where there are none.
    """

    label: str
    confidence: float
    best: str
    log_probabilities: dict[str, float]
    chunks: int
    sample_index: int
    sample_count: int
    es_n0_db: float | None
    power_db: float | None
    reason: Reason
    es_n0_bound: EsN0Bound | None = None
    measured_es_n0_db: float | None = None
    misfit: float | None = None
    refuted: str = ""
    alike: tuple[str, ...] = ()

    def changed(self, **fields: Any) -> "Decision":
        """Return a decision with other values of these fields: `dataclasses.replace`, in a tenth of its time."""
        found = object.__new__(Decision)
        found.__dict__.update(self.__dict__)
        found.__dict__.update(fields)
        return found

    def limited(self, most: float, alike: Sequence[str], threshold: float) -> "Decision":
        """Return a decision that names a modulation, no surer than others allow, which may be `unsure` then.

        Args:
            most: probability that the others leave its name, 0 to 1.
            alike: the others, the likeliest first.
            threshold: lowest confidence of a name.

        >>> named = Decision("QPSK", 0.99, "QPSK", {}, 32, 0, 1024, 13.0, 0.0, "named")
        >>> limited = named.limited(0.6, ["pi/4-DQPSK"], 0.75)
        >>> limited.label, limited.reason, limited.confidence, limited.alike
        ('unknown', 'unsure', 0.6, ('pi/4-DQPSK',))
        """
        if self.reason != "named":
            return self
        alike = tuple(dict.fromkeys((*alike, *self.alike)))[:_MOST_ALIKE]
        found = self.changed(confidence=min(self.confidence, most), alike=alike)
        return found if found.confidence >= threshold else found.changed(label=UNKNOWN, reason="unsure")

    def as_dict(self) -> dict[str, Any]:
        """Return plain Python values, ready for JSON."""
        return {
            "reason": self.reason,
            "label": self.label,
            "confidence": round(self.confidence, 6),
            "best": self.best,
            "log_probabilities": {k: round(v, 4) for k, v in self.log_probabilities.items()},
            "chunks": self.chunks,
            "sample_index": self.sample_index,
            "sample_count": self.sample_count,
            "es_n0_db": None if self.es_n0_db is None else round(self.es_n0_db, 1),
            "es_n0_bound": self.es_n0_bound,
            "power_db": None if self.power_db is None else round(self.power_db, 2),
            "measured_es_n0_db": None if self.measured_es_n0_db is None else round(self.measured_es_n0_db, 1),
            "misfit": None if self.misfit is None else round(self.misfit, 3),
            "refuted": self.refuted,
            "alike": list(self.alike),
        }


def answer_words(reason: str, *best: str, refuted: str = "", alike: Sequence[str] = ()) -> tuple[str, str]:
    """Return an answer in words: the word itself and a remark, which may be empty.

    The decision's `confidence` is the probability of the answer.

    Args:
        reason: of the decision.
        best: of the decision, or of several unsure decisions.
        refuted: of the decision.
        alike: of the decision.

    Example:
        >>> answer_words("unsure", "8PSK"), answer_words("foreign", "unknown", refuted="16QAM")
        (('unsure', 'perhaps 8PSK'), ('unknown', '16QAM does not fit'))
        >>> answer_words("named", "8ASK", alike=["16ASK", "12ASK"])
        ('8ASK', 'or 16ASK or 12ASK')
    """
    if reason == "unsure":
        return "unsure", f"perhaps {' or '.join(_OUTSIDE.get(name, name) for name in best)}"
    if reason == "foreign":
        return UNKNOWN, f"{refuted} does not fit" if refuted else _OUTSIDE[UNKNOWN]
    if reason == "named":
        return best[0], f"or {' or '.join(alike)}" if alike else ""
    return _OUTSIDE[NO_SIGNAL] if reason == "noise" else NO_SIGNAL, ""


def answer_text(reason: str, *best: str, refuted: str = "", alike: Sequence[str] = ()) -> str:
    """Return `answer_words` as one text: `unsure, perhaps 8PSK`.

    >>> answer_text("named", "QPSK"), answer_text("unsure", "8PSK")
    ('QPSK', 'unsure, perhaps 8PSK')
    """
    word, more = answer_words(reason, *best, refuted=refuted, alike=alike)
    return f"{word}, {more}" if more else word


def es_n0_text(es_n0_db: float | None, bound: str | None = None) -> str:
    """Return Es/N0 as text, rounded to its accuracy: `12 dB`, `above 20 dB`; a dash if it is not known.

    >>> es_n0_text(12.3), es_n0_text(20.0, "above"), es_n0_text(None)
    ('12 dB', 'above 20 dB', '–')
    """
    if es_n0_db is None:
        return "–"
    value = f"{round(es_n0_db):d} dB".replace("-", "−")
    return f"{bound} {value}" if bound else value
