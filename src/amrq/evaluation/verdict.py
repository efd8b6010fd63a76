# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on an evaluation, in a few sentences."""

from dataclasses import dataclass

from amrq.evaluation.results import Evaluation, NoiseLevel
from amrq.model import NO_SIGNAL, UNKNOWN, Contract

__all__ = ["CALIBRATION_GOAL", "Finding", "claim_goal", "verdict"]

CALIBRATION_GOAL = 0.02
"""Expected calibration error at every Es/N0, at most."""

_NOISE_GOAL = 0.01
_CLAIM_GOAL = 0.05
_CLAIM_KINDS = ("FM", "FSK", "OFDM", "tone", "speech")


def claim_goal(kind: str, contract: Contract) -> float | None:
    """Return the largest allowed share of decisions on a kind of other signal that claim one of the model's classes.

    None if no goal is set, and for a model without an output `unknown` or `no signal`: it can only choose among its
    modulations, so the goal does not apply.
    """
    if UNKNOWN not in contract.classes and NO_SIGNAL not in contract.classes:
        return None
    if kind == "noise":
        return _NOISE_GOAL
    return _CLAIM_GOAL if kind in _CLAIM_KINDS else None


@dataclass(frozen=True)
class Finding:
    """A finding.

    Attributes:
        about: the subject, a word or two.
        text: a sentence or two.
        goal: the goal in Markdown, and whether it is met, by how much it is missed, or that it does not apply; empty
            without a goal.
        met: whether the goal is met; None without a goal, or if it does not apply.
    """

    about: str
    text: str
    goal: str = ""
    met: bool | None = None


def verdict(evaluation: Evaluation) -> list[Finding]:
    """Return the worst result of each kind, and by how much it misses its goal."""
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
            f"{_percent(best.named.share.value)} right on one chunk at {best.es_n0_db:g} dB. The bound was not "
            "measured.",
        )
    level, gap = max(held, key=lambda pair: pair[1].difference)
    low, high = gap.interval
    assert level.named.bound is not None  # there is a gap
    if gap.difference < 0:
        return Finding(
            "accuracy",
            f"Nowhere below the bound on one chunk. At {level.es_n0_db:g} dB, where they are closest, it is "
            f"{_points(-gap.difference)} points above ({_points(-high)} to {_points(-low)}): the bound is the best on "
            "average over its range of Es/N0, not at each.",
        )
    return Finding(
        "accuracy",
        f"At most {_points(gap.difference)} points below the bound on one chunk ({_points(low)} to {_points(high)}), "
        f"at {level.es_n0_db:g} dB.",
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
                    f"At most {_points(gaps[where])} points below the bound that knows the same, at {where:g} dB.",
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
    names = " and ".join("`" + name.replace("`", "'") + "`" for name in extra)
    return [
        Finding(
            "all outputs",
            f"With {names} allowed, and counted as wrong, accuracy is at most {_points(cost(worst))} points lower, at "
            f"{worst.es_n0_db:g} dB.",
        )
    ]


def _calibration(evaluation: Evaluation) -> list[Finding]:
    worst = max(evaluation.levels, key=lambda level: level.named.reliability.error)
    chance = worst.named.reliability.error_by_chance
    text = (
        f"Expected calibration error at most {_percent(worst.named.reliability.error)}, at {worst.es_n0_db:g} dB "
        f"(by chance: {_percent(chance)}). All levels together: {_percent(evaluation.reliability.error)}."
    )
    text += _calibration_of_bound(evaluation, worst)
    findings = [_goal("calibration", text, worst.named.reliability.error, CALIBRATION_GOAL)]
    if len(evaluation.outputs) > len(evaluation.truths):
        worst = max(evaluation.levels, key=lambda level: level.reliability.error)
        text = (
            f"Expected calibration error at most {_percent(worst.reliability.error)}, at {worst.es_n0_db:g} dB. All "
            f"levels together: {_percent(evaluation.all_reliability.error)}."
        )
        findings.append(_goal("calibration, all outputs", text, worst.reliability.error, CALIBRATION_GOAL))
    return [*findings, *_calibration_tracked(evaluation)]


def _calibration_of_bound(evaluation: Evaluation, worst: NoiseLevel) -> str:
    """Return a sentence that compares the bound's calibration with the model's at the model's worst level."""
    bounds = {
        level.es_n0_db: level.named.bound.reliability for level in evaluation.levels if level.named.bound
    }
    if not bounds:
        return ""
    where = max(bounds, key=lambda es_n0_db: bounds[es_n0_db].error)
    most = f"at most {_percent(bounds[where].error)}, at {where:g} dB"

    def misses(es_n0_db: float) -> bool:
        # The error must exceed that of a calibrated model by chance: few chunks must not excuse a model.
        found = bounds[es_n0_db]
        return found.error - found.error_by_chance > CALIBRATION_GOAL

    if not (
        worst.es_n0_db in bounds and worst.calibration_error > CALIBRATION_GOAL and misses(worst.es_n0_db)
    ):
        return f" The bound's: {most}."
    text = (
        f" The bound has {_percent(bounds[worst.es_n0_db].error)} there"
        + (f" ({most})" if where != worst.es_n0_db else "")
        + ": this much is due to the task, not to the model."
    )
    kept = [level for level in evaluation.levels if level.es_n0_db in bounds and not misses(level.es_n0_db)]
    if kept:
        level = max(kept, key=lambda level: level.calibration_error)
        text += (
            f" Where the bound meets the goal, the model's error is at most {_percent(level.calibration_error)}, at "
            f"{level.es_n0_db:g} dB."
        )
    return text


def _calibration_tracked(evaluation: Evaluation) -> list[Finding]:
    tracked = {level.es_n0_db: level.tracked.reliability for level in evaluation.levels if level.tracked}
    together = evaluation.tracked_reliability
    if together is None:
        return []
    where = max(tracked, key=lambda es_n0_db: tracked[es_n0_db].error)
    worst = tracked[where]
    known = "level and Es/N0" if evaluation.level_input else "Es/N0"
    text = (
        f"With {known} known: expected calibration error at most {_percent(worst.error)}, at {where:g} dB (by chance: "
        f"{_percent(worst.error_by_chance)}). All levels together: {_percent(together.error)}."
    )
    return [_goal("calibration, tracked", text, worst.error, CALIBRATION_GOAL)]


def _others(evaluation: Evaluation) -> list[Finding]:
    if not evaluation.knows_others:
        return [
            Finding(
                "noise and other signals",
                f"The model knows nothing but its {len(evaluation.outputs)} classes: every decision names one of them "
                "or falls below `min_confidence`.",
                "not applicable to such a model",
            )
        ]
    findings = []
    for other in evaluation.others:
        if other.kind == "noise" and other.goal is not None:
            share, (low, high) = other.claimed, other.claimed.exact
            text = (
                f"Named in {_percent(share.value)} of {share.of:,} decisions on 1,024 symbols ({_percent(low)} to "
                f"{_percent(high)})."
            )
            findings.append(_goal("noise alone", text, share.value, other.goal, high))
    held = [other for other in evaluation.others if other.goal is not None and other.kind != "noise"]
    if held:
        worst = max(held, key=lambda other: other.claimed.value)
        low, high = worst.claimed.exact
        names = ", ".join(other.kind for other in held)
        text = (
            f"Worst of {names}: {worst.kind}, named in {_percent(worst.claimed.value)} of {worst.claimed.of:,} "
            f"decisions on 1,024 symbols ({_percent(low)} to {_percent(high)})"
        )
        text += f", mostly as {worst.mistaken_for}." if worst.mistaken_for else "."
        findings.append(_goal("other signals", text, worst.claimed.value, worst.goal or 0.0, high))
    free = [other for other in evaluation.others if other.goal is None]
    if free:
        worst = max(free, key=lambda other: other.claimed.value)
        findings.append(
            Finding(
                "other signals, no goal set",
                f"Worst of the rest: {worst.kind}, named in {_percent(worst.claimed.value)} of {worst.claimed.of:,} "
                "decisions on 1,024 symbols.",
            )
        )
    return findings


def _goal(about: str, text: str, value: float, goal: float, high: float = 0.0) -> Finding:
    """Compare a value with its goal; `high` is the upper end of the value's interval."""
    met = value <= goal
    end = "**met**" if met else f"**missed** by {_points(value - goal)} points"
    if met and high > goal:
        end += f", though so few decisions do not rule out {_percent(high)}"
    return Finding(about, text, f"{100 * goal:g} %: {end}", met)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(difference: float) -> str:
    return f"{100 * difference:.1f}"
