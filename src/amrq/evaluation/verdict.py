# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation in a few sentences."""

from dataclasses import dataclass

from amrq.evaluation.evaluation import Evaluation
from amrq.evaluation.goals import CALIBRATION_GOAL
from amrq.evaluation.noise_level import NoiseLevel

__all__ = ["Finding", "verdict"]


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        about: what it is about, a word or two.
        text: a sentence or two.
        goal: its goal, and whether or by how much it is missed; empty where there is none.
        met: whether the goal is met; None where there is none.
    """

    about: str
    text: str
    goal: str = ""
    met: bool | None = None


def verdict(evaluation: Evaluation) -> list[Finding]:
    """Return what a reader should know first: the worst of everything, and by how much a goal is missed."""
    return [
        _accuracy(evaluation),
        *_known(evaluation),
        *_all_outputs(evaluation),
        *_calibration(evaluation),
        *_others(evaluation),
    ]


def _accuracy(evaluation: Evaluation) -> Finding:
    held = [(level, gap) for level in evaluation.levels if (gap := level.named.gap) is not None]
    if not held:
        best = max(evaluation.levels, key=lambda level: level.named.share.value)
        return Finding(
            "accuracy",
            f"{_percent(best.named.share.value)} on one chunk at {best.es_n0_db:g} dB; not held against the bound in "
            "this run.",
        )
    level, gap = max(held, key=lambda pair: pair[1].difference)
    low, high = gap.interval
    assert level.named.bound is not None  # there is a gap
    if gap.difference < 0:
        return Finding(
            "accuracy",
            f"nowhere below the bound on one chunk; least above it at {level.es_n0_db:g} dB, by "
            f"{_points(-gap.difference)} points ({_points(-high)} to {_points(-low)}). The bound is best on average "
            "over the Es/N0 that it expects, not at each.",
        )
    return Finding(
        "accuracy",
        f"at most {_points(gap.difference)} points below the bound on one chunk ({_points(low)} to {_points(high)}), "
        f"at {level.es_n0_db:g} dB: {_percent(level.named.share.value)} where the bound has "
        f"{_percent(level.named.bound.share.value)}.",
    )


def _known(evaluation: Evaluation) -> list[Finding]:
    findings = []
    for about in list(evaluation.levels[0].by_knowledge)[1:]:
        gaps = {
            level.es_n0_db: gap.difference
            for level in evaluation.levels
            if (gap := level.by_knowledge[about].gap) is not None
        }
        if gaps:
            where = max(gaps, key=lambda level: gaps[level])
            findings.append(
                Finding(
                    about,
                    f"at most {_points(gaps[where])} points below the bound that knows as much, at {where:g} dB.",
                )
            )
    return findings


def _all_outputs(evaluation: Evaluation) -> list[Finding]:
    extra = evaluation.outputs[len(evaluation.truths) :]
    if not extra:
        return []

    def cost(level: NoiseLevel) -> float:
        return level.named.share.value - level.all_share.value

    worst = max(evaluation.levels, key=cost)
    return [
        Finding(
            "all outputs",
            f"where {' and '.join(f'`{name}`' for name in extra)} may be said too, and then counts as wrong, "
            f"accuracy is at most {_points(cost(worst))} points lower, at {worst.es_n0_db:g} dB.",
        )
    ]


def _calibration(evaluation: Evaluation) -> list[Finding]:
    worst = max(evaluation.levels, key=lambda level: level.named.reliability.error)
    chance = worst.named.reliability.error_by_chance
    text = (
        f"expected calibration error at most {_percent(worst.named.reliability.error)} among the named modulations, "
        f"at {worst.es_n0_db:g} dB (chance alone would show {_percent(chance)} there); "
        f"{_percent(evaluation.reliability.error)} over all levels together"
    )
    bounds = [level for level in evaluation.levels if level.named.bound is not None]
    if bounds:
        errors = {
            level.es_n0_db: level.named.bound.reliability.error for level in bounds if level.named.bound
        }
        where = max(errors, key=lambda level: errors[level])
        text += f"; the bound's own is at most {_percent(errors[where])}, at {where:g} dB"
    findings = [_goal("calibration", text, worst.named.reliability.error, CALIBRATION_GOAL)]
    if len(evaluation.outputs) > len(evaluation.truths):
        worst = max(evaluation.levels, key=lambda level: level.reliability.error)
        text = (
            f"expected calibration error at most {_percent(worst.reliability.error)} over all outputs, at "
            f"{worst.es_n0_db:g} dB; {_percent(evaluation.all_reliability.error)} over all levels together"
        )
        findings.append(_goal("calibration, all outputs", text, worst.reliability.error, CALIBRATION_GOAL))
    return findings


def _others(evaluation: Evaluation) -> list[Finding]:
    findings = []
    for other in evaluation.others:
        if other.kind == "noise" and other.goal is not None:
            share, (low, high) = other.claimed, other.claimed.exact
            text = (
                f"called a modulation in {_percent(share.value)} of {share.of} fused decisions ({_percent(low)} to "
                f"{_percent(high)})"
            )
            findings.append(_goal("noise alone", text, share.value, other.goal, high))
    held = [other for other in evaluation.others if other.goal is not None and other.kind != "noise"]
    if held:
        worst = max(held, key=lambda other: other.claimed.value)
        low, high = worst.claimed.exact
        names = ", ".join(other.kind for other in held)
        text = (
            f"of {names}, {worst.kind} is worst: {_percent(worst.claimed.value)} of {worst.claimed.of} fused "
            f"decisions ({_percent(low)} to {_percent(high)}) claim one of the nine"
        )
        if worst.mistaken_for:
            text += f", mostly {worst.mistaken_for}"
        findings.append(_goal("other signals", text, worst.claimed.value, worst.goal or 0.0, high))
    free = [other for other in evaluation.others if other.goal is None]
    if free:
        worst = max(free, key=lambda other: other.claimed.value)
        findings.append(
            Finding(
                "other signals, no goal set",
                f"of the rest, {worst.kind} is worst: {_percent(worst.claimed.value)} of {worst.claimed.of} fused "
                "decisions claim one of the nine.",
            )
        )
    return findings


def _goal(about: str, text: str, value: float, goal: float, high: float = 0.0) -> Finding:
    """Hold a value against its goal; `high` is the upper end of its interval."""
    met = value <= goal
    end = "met" if met else f"missed by {_points(value - goal)} points"
    if met and high > goal:
        end += f", though so few decisions do not rule out {_percent(high)}"
    return Finding(about, f"{text}.", f"Goal {100 * goal:g} %: {end}.", met)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(difference: float) -> str:
    return f"{100 * difference:.1f}"
