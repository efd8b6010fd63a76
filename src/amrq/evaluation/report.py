# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation as a page of Markdown."""

from collections.abc import Sequence

import numpy as np

from amrq.evaluation.open_set import OpenSet
from amrq.evaluation.results import Evaluation, NamedDecisions
from amrq.evaluation.statistics import Share
from amrq.evaluation.verdict import verdict
from amrq.text import markdown

__all__ = ["report"]

_THRESHOLDS = (0.5, 0.8, 0.9, 0.99, 0.999, 0.999999)


def report(evaluation: Evaluation, pictures: Sequence[str] = (), made: str = "") -> str:
    """Return a Markdown page: the verdict, then tables and pictures of everything that was measured.

    Args:
        evaluation: what was found.
        pictures: files that `draw_pictures` wrote, relative to the page; each is shown in its section.
        made: how the page was made, a sentence or two for its end.
    """

    def shown(stem: str, words: str) -> list[str]:
        return [
            line
            for picture in pictures
            if picture.rsplit("/", 1)[-1] == f"{stem}.png"
            for line in ("", f"![{words}]({picture})")
        ]

    lines = [f"# Evaluation of {markdown(evaluation.model)}", "", *_verdict(evaluation)]
    lines += ["", "## On one chunk, and on 1,024 symbols", "", *_accuracy(evaluation)]
    lines += shown("accuracy", "Accuracy against Es/N0 beside the bound, and the gap")
    lines += [
        "",
        *_class_tables(evaluation),
        *shown("classes", "Accuracy of each modulation beside the bound"),
    ]
    lines += _known(evaluation)
    confusion = shown("confusion", "Confusion matrices")
    if confusion:
        lines += [
            "",
            "## Confusion",
            "",
            "Of single chunks, among all outputs, a matrix for each Es/N0.",
            *confusion,
        ]
    lines += ["", "## Calibration", "", *_calibration(evaluation)]
    lines += shown("reliability", "Reliability diagrams")
    lines += ["", "## Signals outside the classes", "", *_others(evaluation)]
    if evaluation.open_set is not None:
        lines += ["", *_open_set(evaluation.open_set), *shown("open_set", "Open-set curve")]
    if evaluation.impairments:
        lines += [
            "",
            "## Robustness",
            "",
            *_impairments(evaluation),
            *shown("robustness", "Accuracy against impairments"),
        ]
    lines += ["", "## How this was measured", "", *_method(evaluation)]
    if made:
        lines += ["", made]
    return "\n".join(lines) + "\n"


def _verdict(evaluation: Evaluation) -> list[str]:
    return [
        f"- *{found.about}*: {found.text}" + (f" **{found.goal}**" if found.goal else "")
        for found in verdict(evaluation)
    ]


def _interval(share: Share) -> str:
    low, high = share.exact
    return f"{low:.4f} to {high:.4f}"


def _wald(share: Share) -> str:
    low, high = share.wald
    return f"{low:.4f} to {high:.4f}"


def _gap(decisions: NamedDecisions) -> str:
    if decisions.gap is None:
        return "- | -"
    low, high = decisions.gap.interval
    return f"{100 * decisions.gap.difference:.2f} | {100 * low:.2f} to {100 * high:.2f}"


def _accuracy(evaluation: Evaluation) -> list[str]:
    held = evaluation.bound_es_n0_db is not None
    bound = " bound | bound - model, points | 95 % interval |" if held else ""
    lines = [
        "*Named* decides for the most probable of the named modulations, as a receiver does that knows there is one "
        "of them: this is what compares with the bound. *All outputs* counts every answer that is none of them as "
        "wrong.",
        "",
        f"| Es/N0 dB | named | Clopper-Pearson | Wald | chunks |{bound} all outputs | 1,024 symbols, named "
        "| Clopper-Pearson | decisions |",
        f"|---:|---:|:---:|:---:|---:|{'---:|---:|:---:|' if held else ''}---:|---:|:---:|---:|",
    ]
    for level in evaluation.levels:
        share = level.named.share
        beside = ""
        if held:
            value = f"{level.named.bound.share.value:.4f}" if level.named.bound else "-"
            beside = f" {value} | {_gap(level.named)} |"
        fused = level.fused_share
        together = f"{fused.value:.4f} | {_interval(fused)} | {fused.of}" if fused else "- | - | -"
        lines.append(
            f"| {level.es_n0_db:g} | {share.value:.4f} | {_interval(share)} | {_wald(share)} | {share.of} |{beside} "
            f"{level.all_share.value:.4f} | {together} |"
        )
    if evaluation.bound_es_n0_db is not None:
        low, high = evaluation.bound_es_n0_db
        lines += [
            "",
            "The bound is the average-likelihood-ratio receiver on the same chunks, which expects Es/N0 anywhere "
            f"from {low:g} to {high:g} dB and is best on average over that range: at a single Es/N0 a model may beat "
            "it, and gives that back elsewhere. Intervals of the difference are for paired decisions.",
        ]
    return lines


def _class_tables(evaluation: Evaluation) -> list[str]:
    head = [
        "| Es/N0 dB | " + " | ".join(evaluation.truths) + " |",
        "|---:" * (1 + len(evaluation.truths)) + "|",
    ]
    lines = ["Named, by class:", "", *head]
    for level in evaluation.levels:
        shares = " | ".join(f"{share.value:.3f}" for share in level.named.class_shares())
        lines.append(f"| {level.es_n0_db:g} | {shares} |")
    if evaluation.bound_es_n0_db is not None:
        lines += ["", "The bound, by class:", "", *head]
        for level in evaluation.levels:
            if level.named.bound is not None:
                shares = " | ".join(f"{share.value:.3f}" for share in level.named.bound.class_shares())
                lines.append(f"| {level.es_n0_db:g} | {shares} |")
    return lines


def _known(evaluation: Evaluation) -> list[str]:
    columns = list(evaluation.levels[0].by_knowledge)[1:]
    if not columns:
        return []
    held = evaluation.bound_es_n0_db is not None
    weighed = evaluation.tracked_reliability is not None
    beside = " its bound | bound - model, points | 95 % interval |" if held else ""
    if evaluation.level_input:
        title = "What the stream's level and Es/N0 add" if weighed else "What the stream's level adds"
        words = (
            "This model takes the level that a receiver tracks over many chunks beside each chunk: here the true one, "
            "symbol power plus noise power. (The bound that knows the level alone knows that of the symbols, which "
            "tells it more, the noise in a chunk above all; only with Es/N0 are both told the same.)"
        )
        if weighed:
            words += " A receiver that tracks Es/N0 too reads the hypotheses at that Es/N0."
    else:
        title = "What the stream's Es/N0 adds"
        words = (
            "A receiver that tracks Es/N0 over many chunks reads this model's hypotheses at that Es/N0: here the true "
            "one, on each chunk of unit RMS."
        )
    if held:
        words += " Each is held against the bound that knows as much."
    if weighed:
        words += (
            f" The calibration error is that with {columns[-1]}: only who knows Es/N0 can be calibrated at each. "
            "*By chance* is what a perfectly calibrated one would show on so few chunks."
        )
    lines = [
        "",
        f"## {title}",
        "",
        words,
        "",
        "| Es/N0 dB | unit-RMS chunk alone |"
        + "".join(f" {name} |{beside}" for name in columns)
        + (" calibration error | by chance |" if weighed else ""),
        "|---:|---:|"
        + ("---:|" + ("---:|---:|:---:|" if held else "")) * len(columns)
        + ("---:|---:|" if weighed else ""),
    ]
    for level in evaluation.levels:
        line = f"| {level.es_n0_db:g} | {level.named.share.value:.4f} |"
        for name in columns:
            known = level.by_knowledge[name]
            line += f" {known.share.value:.4f} |"
            if held:
                line += f" {known.bound.share.value:.4f} |" if known.bound else " - |"
                line += f" {_gap(known)} |"
        if level.tracked is not None:
            reliability = level.tracked.reliability
            line += f" {reliability.error:.4f} | {reliability.error_by_chance:.4f} |"
        lines.append(line)
    return lines


def _calibration(evaluation: Evaluation) -> list[str]:
    bound = evaluation.bound_reliability
    extra = len(evaluation.outputs) > len(evaluation.truths)
    lines = [
        "Expected calibration error, 15 bins. *By chance* is what a perfectly calibrated receiver would show on so "
        "few chunks.",
        "",
        "| Es/N0 dB | named | by chance |"
        + (" bound |" if bound else "")
        + (" all outputs |" if extra else "")
        + " 1,024 symbols |",
        "|---:|---:|---:|" + ("---:|" if bound else "") + ("---:|" if extra else "") + "---:|",
    ]
    rows = [
        (
            f"{level.es_n0_db:g}",
            level.named.reliability,
            level.named.bound.reliability if level.named.bound else None,
            level.reliability,
            level.fused_reliability,
        )
        for level in evaluation.levels
    ]
    rows.append(
        (
            "all together",
            evaluation.reliability,
            bound,
            evaluation.all_reliability,
            evaluation.fused_reliability,
        )
    )
    for name, named, best, everything, fused in rows:
        lines.append(
            f"| {name} | {named.error:.4f} | {named.error_by_chance:.4f} |"
            + (f" {best.error:.4f} |" if best else " - |" if bound else "")
            + (f" {everything.error:.4f} |" if extra else "")
            + (f" {fused.error:.4f} |" if fused.decisions else " - |")
        )
    lines += [
        "",
        "A receiver that does not know Es/N0 is calibrated over the whole range that it expects, not at each Es/N0: "
        "it is too sure where there is more noise than it thinks likely, and not sure enough where there is less. "
        "That holds for the bound "
        "as well" + (", whose error stands beside." if bound else "."),
    ]
    return lines


def _others(evaluation: Evaluation) -> list[str]:
    fused = evaluation.others[0].fused
    lines = [
        "How often a decision claims one of the classes, with the threshold that `DecisionMaker` has by default: on "
        f"one chunk, and on {fused} chunks fused ({fused * evaluation.chunk_length} symbols). Noise lies 10 to 25 dB "
        "below each signal."
        + (
            ""
            if evaluation.knows_others
            else " This model has no output for anything but its classes, so that goals for its claims do not apply."
        ),
        "",
        "| signal | one chunk | fused | Clopper-Pearson | Wald | decisions | goal | | most often | claims are mostly |",
        "|---|---:|---:|:---:|:---:|---:|---:|---|---|---|",
    ]
    for other in evaluation.others:
        share = other.claimed
        goal, kept = "-", ""
        if other.goal is not None:
            goal = f"{other.goal:g}"
            kept = "met" if share.value <= other.goal else "missed"
        usual = other.labels.most_common(1)[0][0]
        lines.append(
            f"| {other.kind} | {other.chunks_claimed.value:.4f} | {share.value:.4f} | {_interval(share)} | "
            f"{_wald(share)} "
            f"| {share.of} | {goal} | {kept} | {markdown(usual)} | {markdown(other.mistaken_for)} |"
        )
    return lines


def _open_set(found: OpenSet) -> list[str]:
    scores = [OpenSet.log_odds(confidence) for confidence in _THRESHOLDS]
    known = OpenSet.passed(found.known, scores)
    right = OpenSet.passed(found.known[found.right], scores)
    pooled = np.concatenate(list(found.others.values()))
    others, total = OpenSet.passed(pooled, scores), len(pooled)
    lines = [
        f"As the threshold on the confidence runs (default {found.min_confidence:g}): fused decisions that are "
        f"accepted as one of the classes, on these themselves ({len(found.known)} decisions from {found.es_n0_db:g} "
        f"dB up) and falsely on all other signals together ({total} decisions).",
        "",
        "| least confidence | named, of the classes | named rightly | falsely claimed, of other signals |",
        "|---:|---:|---:|---:|",
    ]
    for number, confidence in enumerate(_THRESHOLDS):
        lines.append(
            f"| {confidence:g} | {known[number] / len(found.known):.4f} | {right[number] / len(found.known):.4f} "
            f"| {others[number] / total:.4f} |"
        )
    return lines


def _impairments(evaluation: Evaluation) -> list[str]:
    lines = [
        "Share of single chunks decided rightly among the named modulations, with one thing wrong at a time and the "
        f"same symbols and noise at every value ({evaluation.impairments[0].shares()[0].of} chunks a point)."
    ]
    if evaluation.phase == "coherent":
        lines[0] += (
            " This model is coherent: it expects the carrier to be recovered, and the tables against rotation, "
            "frequency offset and phase noise show how it breaks where that is not so."
        )
    for name in dict.fromkeys(curve.name for curve in evaluation.impairments):
        same = [curve for curve in evaluation.impairments if curve.name == name]
        values = " | ".join(f"{value:g}" for value in same[0].values)
        lines += [
            "",
            f"| {name} ({same[0].unit}) | {values} |",
            "|---|" + "---:|" * len(same[0].values),
        ]
        for curve in same:
            shares = " | ".join(f"{share.value:.3f}" for share in curve.shares())
            lines.append(f"| at {curve.es_n0_db:g} dB | {shares} |")
    return lines


def _method(evaluation: Evaluation) -> list[str]:
    low, high = evaluation.trained_es_n0_db
    turned = (
        "each turned by an angle of its own"
        if evaluation.phase == "any"
        else "with the carrier's phase known"
    )
    return [
        f"Fresh ideal chunks of {evaluation.chunk_length} symbols, one sample a symbol, {turned}, in white noise; "
        f"phase noise {evaluation.phase_noise:g} rad; seed {evaluation.seed}. The model was trained on Es/N0 of "
        f"{low:g} to {high:g} dB. Fused decisions rest on chunks of one transmission, each class as probable as any "
        "other" + (", with the stream's level given beside each chunk." if evaluation.level_input else "."),
        "",
        "Intervals hold the true share with a probability of 95 %. Clopper and Pearson's is exact; Wald's, which "
        "the thesis takes its upper bound from, is p -+ 1.96 sqrt(p (1 - p) / n), too narrow near 0 and 1 and of no "
        "width at 0 and 1 themselves. The interval of a difference of paired decisions is Wald's with half a trial "
        "added to each cell (Agresti and Min 2005).",
    ]
