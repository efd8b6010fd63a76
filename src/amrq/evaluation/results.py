# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of an evaluation's results."""

import json
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.evaluation.open_set import OpenSet, OtherSignal
from amrq.evaluation.open_world import OpenWorldRow
from amrq.evaluation.statistics import PairedDifference, Share
from amrq.files import parsing
from amrq.model import NO_SIGNAL, UNKNOWN, AccuracyRow
from amrq.text import printable

__all__ = ["Evaluation", "ImpairmentCurve", "NamedDecisions", "NoiseLevel", "Reliability", "read_evaluation"]

_BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Decisions by confidence, in 15 bins of equal width (Guo et al. 2017, "On calibration of modern neural networks").

    Attributes:
        count: int64 [15], decisions.
        confidence: float64 [15], sum of their confidences.
        right: int64 [15], how many were right.
        variance: float64 [15], sum of c (1 - c) over their confidences c.

    >>> import numpy as np
    >>> table = Reliability.measure(np.full(10, 0.9), np.arange(10) < 7)
    >>> table.decisions, round(table.error, 3)
    (10, 0.2)
    """

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.int64]
    variance: NDArray[np.float64]

    @classmethod
    def measure(cls, confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> "Reliability":
        """Sort decisions into bins.

        Args:
            confidence: float [N], 0 to 1.
            right: bool [N].
        """
        sure = np.clip(confidence.astype(np.float64), 0, 1)
        bins = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
        return cls(
            np.bincount(bins, minlength=_BINS),
            np.bincount(bins, sure, _BINS).astype(np.float64),
            np.bincount(bins[right], minlength=_BINS),
            np.bincount(bins, sure * (1 - sure), _BINS).astype(np.float64),
        )

    @classmethod
    def total(cls, parts: "list[Reliability]") -> "Reliability":
        """Return the sum of some tables; without any, an empty table."""
        if not parts:
            return cls.measure(np.empty(0), np.empty(0, dtype=np.bool_))
        return cls(
            np.sum([part.count for part in parts], axis=0),
            np.sum([part.confidence for part in parts], axis=0),
            np.sum([part.right for part in parts], axis=0),
            np.sum([part.variance for part in parts], axis=0),
        )

    @property
    def decisions(self) -> int:
        """Number of decisions."""
        return int(self.count.sum())

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1 (Guo et al. 2017, eq. 3); 0 for an empty table.

        It is the mean over decisions of the distance between their bin's mean confidence and its share of right
        decisions.
        """
        return float(np.abs(self.confidence - self.right).sum() / max(1, self.decisions))

    @property
    def error_by_chance(self) -> float:
        """Expected `error` of a perfectly calibrated classifier with these decisions and confidences.

        In each bin the number of right decisions is nearly normal; its mean deviation is sqrt(2 v / pi) for a variance
        v.
        """
        return float(np.sqrt(2 * self.variance / np.pi).sum() / max(1, self.decisions))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "expected_calibration_error": round(self.error, 6),
            "error_by_chance": round(self.error_by_chance, 6),
            "decisions": self.count.tolist(),
            "confidence_sum": [round(value, 4) for value in self.confidence.tolist()],
            "right": self.right.tolist(),
            "variance_sum": [round(value, 6) for value in self.variance.tolist()],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Reliability":
        """Return what `as_dict` gave.

        Files of version 0.1 have no `variance_sum`: variances are then those of each bin's mean confidence, scaled to
        give the file's `error_by_chance`.
        """
        count = np.asarray(values["decisions"], dtype=np.int64)
        confidence = np.asarray(values["confidence_sum"], dtype=np.float64)
        right = np.asarray(values["right"], dtype=np.int64)
        if "variance_sum" in values:
            return cls(count, confidence, right, np.asarray(values["variance_sum"], dtype=np.float64))
        mean = np.clip(confidence / np.maximum(1, count), 0, 1)
        rough = cls(count, confidence, right, count * mean * (1 - mean))
        if rough.error_by_chance == 0:
            return rough
        return replace(
            rough, variance=rough.variance * (values["error_by_chance"] / rough.error_by_chance) ** 2
        )


@dataclass(frozen=True, eq=False)
class NamedDecisions:
    """Decisions on single chunks among the named modulations alone.

    Attributes:
        confusion: int64 [T, T], chunks by true modulation (rows) and decision (columns).
        reliability: calibration of the probabilities among these modulations.
        bound: the best possible receiver's decisions on the same chunks; None if it was not measured.
        gap: share of right decisions of the bound minus that of the model, on the same chunks; None without a bound.
    """

    confusion: NDArray[np.int64]
    reliability: Reliability
    bound: "NamedDecisions | None" = None
    gap: PairedDifference | None = None

    @classmethod
    def measure(
        cls,
        log_probabilities: NDArray[np.floating[Any]],
        truths: NDArray[np.int64],
        bound: NDArray[np.floating[Any]] | None = None,
    ) -> "NamedDecisions":
        """Return the decisions for some log-probabilities.

        Args:
            log_probabilities: float [N, T], natural logarithms, up to a constant a row.
            truths: int64 [N], the true column.
            bound: float [N, T], log-probabilities of the bound.
        """
        values = log_probabilities.astype(np.float64)
        values -= np.logaddexp.reduce(values, axis=1, keepdims=True)
        decided = values.argmax(axis=1)
        right = decided == truths
        size = values.shape[1]
        confusion = np.bincount(truths * size + decided, minlength=size * size).reshape(size, size)
        reliability = Reliability.measure(np.exp(values.max(axis=1)), right)
        if bound is None:
            return cls(confusion, reliability)
        bound_right = bound.argmax(axis=1) == truths
        gap = PairedDifference(
            int((bound_right & ~right).sum()), int((right & ~bound_right).sum()), len(truths)
        )
        return cls(confusion, reliability, cls.measure(bound, truths), gap)

    @property
    def share(self) -> Share:
        """Share of right decisions over all modulations."""
        return Share(int(np.trace(self.confusion)), int(self.confusion.sum()))

    def class_shares(self) -> list[Share]:
        """Share of right decisions for each true modulation."""
        return [Share(int(row[number]), int(row.sum())) for number, row in enumerate(self.confusion)]

    def as_dict(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return plain values, ready for JSON; `names` are the T modulations."""
        values: dict[str, Any] = {
            "accuracy": self.share.as_dict(),
            "per_class": {
                name: share.as_dict() for name, share in zip(names, self.class_shares(), strict=True)
            },
            "confusion": self.confusion.tolist(),
            "calibration": self.reliability.as_dict(),
        }
        if self.bound is not None and self.gap is not None:
            values["bound"] = self.bound.as_dict(names)
            values["bound_minus_model"] = self.gap.as_dict()
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NamedDecisions":
        """Return what `as_dict` gave."""
        bound, gap = values.get("bound"), values.get("bound_minus_model")
        return cls(
            _counts(values["confusion"]),
            Reliability.from_dict(values["calibration"]),
            None if bound is None else cls.from_dict(bound),
            None if gap is None else PairedDifference(gap["first_only"], gap["second_only"], gap["of"]),
        )


@dataclass(frozen=True, eq=False)
class NoiseLevel:
    """Results at one Es/N0 for T modulations and a model of O outputs, the modulations first.

    Attributes:
        es_n0_db: Es/N0 in dB.
        named: decisions among the modulations alone, comparable with the bound.
        confusion: int64 [T, O], chunks by true modulation and most probable output, including `unknown` and `no
            signal`.
        reliability: of the probabilities of all outputs.
        fused: int64 [T, O], decisions on 1,024 symbols of one Es/N0 each; all zero if there were too few chunks.
        fused_named: int64 [T, T], the same among the modulations alone.
        fused_reliability: of the confidences of the decisions in `fused`.
        level_known: `named` with the stream's level given; None if the model has no level input.
        es_n0_known: `named` with the true Es/N0 given, decided by the hypotheses there; None if the model has a level
            input or does not weigh its modulations by Es/N0.
        all_known: `named` with level and true Es/N0 given; None if the model cannot use both.
    """

    es_n0_db: float
    named: NamedDecisions
    confusion: NDArray[np.int64]
    reliability: Reliability
    fused: NDArray[np.int64]
    fused_named: NDArray[np.int64]
    fused_reliability: Reliability
    level_known: NamedDecisions | None = None
    es_n0_known: NamedDecisions | None = None
    all_known: NamedDecisions | None = None

    @property
    def by_knowledge(self) -> dict[str, NamedDecisions]:
        """Decisions among the named modulations by the receiver's knowledge, as far as measured."""
        known = {
            "chunk alone": self.named,
            "level known": self.level_known,
            "Es/N0 known": self.es_n0_known,
            "level and Es/N0 known": self.all_known,
        }
        return {name: decisions for name, decisions in known.items() if decisions is not None}

    @property
    def tracked(self) -> NamedDecisions | None:
        """`named` with Es/N0 given, and the level if the model has a level input; None if it does not weigh Es/N0."""
        return self.all_known or self.es_n0_known

    @property
    def calibration_error(self) -> float:
        """Expected calibration error among the named modulations, 0 to 1."""
        return self.named.reliability.error

    @property
    def all_share(self) -> Share:
        """Share of right decisions among all outputs."""
        return Share(int(np.trace(self.confusion)), int(self.confusion.sum()))

    @property
    def fused_share(self) -> Share | None:
        """Share of right decisions on 1,024 symbols, among the named modulations; None without such decisions."""
        decisions = int(self.fused_named.sum())
        return Share(int(np.trace(self.fused_named)), decisions) if decisions else None

    def row(self) -> AccuracyRow:
        """Return the accuracy among the named modulations, over all of them."""
        return self._row(self.named.share)

    def all_row(self) -> AccuracyRow:
        """Return the accuracy among all outputs: `unknown` counts as wrong."""
        return self._row(self.all_share)

    def class_rows(self) -> list[AccuracyRow]:
        """Return the accuracy of each true modulation, among the named modulations."""
        return [self._row(share) for share in self.named.class_shares()]

    def _row(self, share: Share) -> AccuracyRow:
        return AccuracyRow(self.es_n0_db, share.value, *share.exact, share.of)

    def as_dict(self, truths: tuple[str, ...]) -> dict[str, Any]:
        """Return plain values, ready for JSON; `truths` are the T modulations."""
        row = self.row()
        values: dict[str, Any] = {
            "es_n0_db": self.es_n0_db,
            "accuracy": row.accuracy,
            "low": row.low,
            "high": row.high,
            "chunks": row.chunks,
            "named": self.named.as_dict(truths),
            "all_outputs": {
                "accuracy": self.all_share.as_dict(),
                "confusion": self.confusion.tolist(),
                "calibration": self.reliability.as_dict(),
            },
            "fused": {
                "accuracy": self.fused_share.as_dict() if self.fused_share else None,
                "confusion": self.fused.tolist(),
                "named_confusion": self.fused_named.tolist(),
                "calibration": self.fused_reliability.as_dict(),
            },
        }
        for name in ("level_known", "es_n0_known", "all_known"):
            decisions: NamedDecisions | None = getattr(self, name)
            if decisions is not None:
                values[name] = decisions.as_dict(truths)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NoiseLevel":
        """Return what `as_dict` gave."""
        everything, fused = values["all_outputs"], values["fused"]
        known = ("level_known", "es_n0_known", "all_known")
        return cls(
            float(values["es_n0_db"]),
            NamedDecisions.from_dict(values["named"]),
            _counts(everything["confusion"]),
            Reliability.from_dict(everything["calibration"]),
            _counts(fused["confusion"]),
            _counts(fused["named_confusion"]),
            Reliability.from_dict(fused["calibration"]),
            *(NamedDecisions.from_dict(values[name]) if name in values else None for name in known),
        )


@dataclass(frozen=True, eq=False)
class ImpairmentCurve:
    """Right decisions among the named modulations against an impairment, on the same symbols and noise at every value.

    Attributes:
        name: of the impairment.
        unit: of the values.
        es_n0_db: Es/N0 in dB.
        values: V values, rising.
        right: int64 [V, T], right decisions on each modulation.
        chunks: chunks of each modulation at each value.
    """

    name: str
    unit: str
    es_n0_db: float
    values: tuple[float, ...]
    right: NDArray[np.int64]
    chunks: int

    def shares(self) -> list[Share]:
        """Return the share of right decisions over all modulations, at each value."""
        return [Share(int(row.sum()), self.chunks * len(row)) for row in self.right]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "es_n0_db": self.es_n0_db,
            "values": list(self.values),
            "chunks_per_class": self.chunks,
            "right_per_class": self.right.tolist(),
            "accuracy": [share.as_dict() for share in self.shares()],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ImpairmentCurve":
        """Return what `as_dict` gave."""
        return cls(
            values["name"],
            values["unit"],
            float(values["es_n0_db"]),
            tuple(float(value) for value in values["values"]),
            _counts(values["right_per_class"]),
            values["chunks_per_class"],
        )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results of a model on fresh chunks.

    Attributes:
        model: the model's name.
        phase: its phase regime, `coherent` or `any`.
        chunk_length: symbols a chunk.
        level_input: whether the model has a level input; fused decisions and other signals then use the stream's level.
        trained_es_n0_db: lowest and highest Es/N0 that it was trained on, dB.
        truths: the modulations that were sent.
        outputs: the model's labels, the modulations first.
        phase_noise: standard deviation of the phase noise, radians.
        seed: of the chunks.
        bound_es_n0_db: the range of Es/N0 that the bound assumes, dB; None without a bound.
        levels: results by Es/N0, rising.
        others: results on other signals.
        open_set: shares accepted at each threshold; None without a level of 10 dB or more, or with too few chunks for
            a fused decision.
        impairments: accuracy against impairments; empty if they were not measured.
        open_world: decisions on signals with something wrong, through the receiver; empty if they were not measured.
    """

    model: str
    phase: str
    chunk_length: int
    level_input: bool
    trained_es_n0_db: tuple[float, float]
    truths: tuple[str, ...]
    outputs: tuple[str, ...]
    phase_noise: float
    seed: int
    bound_es_n0_db: tuple[float, float] | None
    levels: tuple[NoiseLevel, ...]
    others: tuple[OtherSignal, ...]
    open_set: OpenSet | None
    impairments: tuple[ImpairmentCurve, ...]
    open_world: tuple[OpenWorldRow, ...] = ()

    @property
    def knows_others(self) -> bool:
        """Whether the model has an output for signals outside its modulations: `unknown` or `no signal`."""
        return UNKNOWN in self.outputs or NO_SIGNAL in self.outputs

    @property
    def reliability(self) -> Reliability:
        """Calibration of the probabilities among the named modulations, over all levels."""
        return Reliability.total([level.named.reliability for level in self.levels])

    @property
    def all_reliability(self) -> Reliability:
        """Calibration of the probabilities of all outputs, over all levels."""
        return Reliability.total([level.reliability for level in self.levels])

    @property
    def fused_reliability(self) -> Reliability:
        """Calibration of the confidences of fused decisions, over all levels."""
        return Reliability.total([level.fused_reliability for level in self.levels])

    @property
    def tracked_reliability(self) -> Reliability | None:
        """Calibration with the tracked quantities known, over all levels; None if the model does not weigh Es/N0."""
        tracked = [level.tracked.reliability for level in self.levels if level.tracked is not None]
        return Reliability.total(tracked) if tracked else None

    @property
    def bound_reliability(self) -> Reliability | None:
        """Calibration of the bound's probabilities, over all levels; None if it was not measured."""
        bounds = [level.named.bound.reliability for level in self.levels if level.named.bound is not None]
        return Reliability.total(bounds) if bounds else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON, with all counts."""
        bound, tracked = self.bound_reliability, self.tracked_reliability
        return {
            "model": self.model,
            "phase": self.phase,
            "chunk_length": self.chunk_length,
            "level_input": self.level_input,
            "trained_es_n0_db": list(self.trained_es_n0_db),
            "classes": list(self.truths),
            "outputs": list(self.outputs),
            "phase_noise": self.phase_noise,
            "seed": self.seed,
            "bound_es_n0_db": None if self.bound_es_n0_db is None else list(self.bound_es_n0_db),
            "levels": [level.as_dict(self.truths) for level in self.levels],
            "all_levels": {
                "calibration": self.reliability.as_dict(),
                "calibration_all_outputs": self.all_reliability.as_dict(),
                "calibration_fused": self.fused_reliability.as_dict(),
                "calibration_tracked": None if tracked is None else tracked.as_dict(),
                "calibration_bound": None if bound is None else bound.as_dict(),
            },
            "other_signals": [other.as_dict() for other in self.others],
            "open_set": None if self.open_set is None else self.open_set.as_dict(),
            "sweeps": [curve.as_dict() for curve in self.impairments],
            "open_world": [row.as_dict() for row in self.open_world],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Evaluation":
        """Read the values that `as_dict` returned; scores of decisions are rounded down to the thresholds there."""
        bound = values["bound_es_n0_db"]
        return cls(
            **{
                name: values[name]
                for name in ("model", "phase", "chunk_length", "level_input", "phase_noise", "seed")
            },
            trained_es_n0_db=_pair(values["trained_es_n0_db"]),
            truths=tuple(values["classes"]),
            outputs=tuple(values["outputs"]),
            bound_es_n0_db=None if bound is None else _pair(bound),
            levels=tuple(NoiseLevel.from_dict(level) for level in values["levels"]),
            others=tuple(OtherSignal.from_dict(other) for other in values["other_signals"]),
            open_set=None if values["open_set"] is None else OpenSet.from_dict(values["open_set"]),
            impairments=tuple(ImpairmentCurve.from_dict(curve) for curve in values["sweeps"]),
            open_world=tuple(OpenWorldRow.from_dict(row) for row in values.get("open_world", ())),
        )


def read_evaluation(path: str | os.PathLike[str]) -> tuple[Evaluation, str]:
    """Read the evaluation.json of `amrq evaluate -o`; return the results and how they were made (empty in old files).

    Raises:
        AmrqError: the file is missing or not a valid one.
    """
    if not os.path.isfile(path):
        raise AmrqError(f"there is no file {printable(path)}: `amrq evaluate -o FOLDER` writes one.")
    with (
        parsing(f"{printable(path)}, which should hold an evaluation,"),
        open(path, encoding="utf-8") as file,
    ):
        values = json.load(file)
        return Evaluation.from_dict(values), str(values.get("made", ""))


def _counts(rows: list[list[int]]) -> NDArray[np.int64]:
    return np.asarray(rows, dtype=np.int64)


def _pair(values: list[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)
