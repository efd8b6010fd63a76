# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation as a Markdown page with conclusions and pictures, and its long tables as CSV."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from amrq.evaluation.open_set import OpenSet
from amrq.evaluation.open_world import open_world_csv, open_world_table
from amrq.evaluation.pictures import PICTURES
from amrq.evaluation.results import Evaluation, NamedDecisions, Reliability, read_evaluation
from amrq.evaluation.statistics import Share
from amrq.evaluation.verdict import verdict
from amrq.files import parsing
from amrq.text import csv_text, markdown, printable, unbroken

__all__ = ["evaluation_tables", "page_anew", "report"]

_THRESHOLDS = (0.5, 0.8, 0.9, 0.99, 0.999, 0.999999)


def report(evaluation: Evaluation, pictures: Sequence[str] = (), made: str = "") -> str:
    """Return a Markdown page: conclusions, pictures and short tables, with links to the files of `evaluation_tables`.

    Args:
        evaluation: the results.
        pictures: files that `draw_pictures` wrote, relative to the page; each is shown in its section.
        made: how the page was made, a sentence or two at its end.
    """

    def shown(stem: str, words: str) -> list[str]:
        return [
            line
            for picture in pictures
            if picture.rsplit("/", 1)[-1] == f"{stem}.png"
            for line in (f"![{words}]({picture})", "")
        ]

    held = evaluation.bound_es_n0_db is not None
    lines = [f"# Evaluation of {markdown(evaluation.model)}", "", "## What was asked", ""]
    lines += [
        "How often the model is right on fresh chunks"
        + (", and how far that is from the best possible" * held)
    ]
    lines[-1] += "; how far its confidence can be trusted; what it says of other signals; what it tolerates."
    lines += ["", "## What came out", "", *_verdict(evaluation), ""]
    lines += shown("accuracy", "Accuracy against Es/N0" + " beside the bound, and the gap" * held)
    lines += [*_accuracy(evaluation), "", *_known_words(evaluation)]
    lines += [
        "## By class",
        "",
        *shown("classes", "Accuracy of each modulation" + " beside the bound" * held),
    ]
    lines += [_weakest_class(evaluation), ""]
    lines += shown("confusion", "Confusion matrices of single chunks, all outputs, for each Es/N0")
    lines += [
        "## Confidence",
        "",
        *shown("reliability", "Reliability diagrams"),
        *_calibration(evaluation),
        "",
    ]
    lines += ["## Signals outside its classes", "", *_others(evaluation), ""]
    if evaluation.open_set is not None:
        lines += [*shown("open_set", "Open-set curve"), *_open_set(evaluation.open_set), ""]
    if evaluation.open_world:
        lines += ["## In the open", "", *open_world_table(evaluation.open_world), "", _OPEN_WORLD, ""]
    if evaluation.impairments:
        lines += ["## Robustness", "", *shown("robustness", "Accuracy against impairments")]
        lines += [*_robustness(evaluation), ""]
    lines += [
        "## All figures",
        "",
        *_files(evaluation),
        "",
        "## How this was measured",
        "",
        *_method(evaluation),
    ]
    if made:
        lines += ["", made]
    return "\n".join(lines) + "\n"


def page_anew(folder: str | os.PathLike[str]) -> dict[str, str]:
    """Return page and tables by file name, made again from the counts in a folder that `amrq evaluate -o` wrote.

    Raises:
        AmrqError: the folder's evaluation.json is missing or not a valid one.
    """
    path = Path(folder) / "evaluation.json"
    evaluation, made = read_evaluation(path)
    pictures = [name for name in PICTURES if (path.parent / name).is_file()]
    with parsing(f"{printable(path)}, which should hold an evaluation,"):
        return {"evaluation.md": report(evaluation, pictures, made), **evaluation_tables(evaluation)}


def evaluation_tables(evaluation: Evaluation) -> dict[str, str]:
    """Return all figures as CSV text, by file name. Shares are 0 to 1; intervals are 95 %."""
    tables = {
        "accuracy.csv": _accuracy_csv(evaluation),
        "classes.csv": _classes_csv(evaluation),
        "calibration.csv": _calibration_csv(evaluation),
        "other_signals.csv": _others_csv(evaluation),
    }
    if evaluation.open_set is not None:
        tables["open_set.csv"] = _open_set_csv(evaluation.open_set)
    if evaluation.impairments:
        tables["robustness.csv"] = _robustness_csv(evaluation)
    if evaluation.open_world:
        tables["open_world.csv"] = open_world_csv(evaluation.open_world)
    return tables


_CONTENTS = {
    "accuracy.csv": "right decisions at each Es/N0, by what the receiver knows, and the bound's",
    "classes.csv": "the same for each modulation, one chunk",
    "calibration.csv": "expected calibration error at each Es/N0",
    "other_signals.csv": "decisions that name a class, for each kind of other signal",
    "open_set.csv": "decisions accepted at each threshold of the confidence",
    "robustness.csv": "right decisions for each impairment and value",
    "open_world.csv": "outcomes of decisions on received signals with something wrong",
}

_OPEN_WORLD = (
    "Decisions on 1,024 symbols, or on a burst, through the whole receiver, which is given the symbol rate: "
    "root-raised-cosine pulses of roll-off 0.2 to 0.5, 2.5 to 8 samples a symbol, carrier within 2 % of the symbol "
    "rate. The other constellations are some that no model is trained on; `unknown` is right for them."
)


def _files(evaluation: Evaluation) -> list[str]:
    lines = ["| table | what is in it |", "|---|---|"]
    return lines + [f"| [{name}]({name}) | {_CONTENTS[name]} |" for name in evaluation_tables(evaluation)]


def _verdict(evaluation: Evaluation) -> list[str]:
    lines = ["| question | answer | goal |", "|---|---|---|"]
    return lines + [
        f"| {found.about} | {found.text} | {found.goal or '-'} |" for found in verdict(evaluation)
    ]


def _percent(share: Share, digits: int = 1) -> str:
    low, high = (f"{100 * end:.{digits}f}" for end in share.exact)
    return unbroken(f"{100 * share.value:.{digits}f} % ({low} to {high})")


def _gap(decisions: NamedDecisions) -> str:
    if decisions.gap is None:
        return "-"
    # Rounded first, to avoid -0.0.
    values = (decisions.gap.difference, *decisions.gap.interval)
    return unbroken("{:.1f} ({:.1f} to {:.1f})".format(*(round(100 * value, 1) + 0.0 for value in values)))


def _accuracy(evaluation: Evaluation) -> list[str]:
    held = evaluation.bound_es_n0_db is not None
    columns = ["Es/N0, dB", "one chunk"] + ["bound", "bound minus model, points"] * held + ["1,024 symbols"]
    lines = [f"| {' | '.join(columns)} |", "|" + "---:|" * len(columns)]
    for level in evaluation.levels:
        cells = [f"{level.es_n0_db:g}", _percent(level.named.share)]
        if held:
            bound = level.named.bound
            cells += [unbroken(f"{100 * bound.share.value:.1f} %") if bound else "-", _gap(level.named)]
        fused = level.fused_share
        lines.append(f"| {' | '.join([*cells, _percent(fused) if fused else '-'])} |")
    lines += [
        "",
        "The receiver knows that one of the modulations is sent, and decides for the most probable of them. Brackets "
        "hold 95 % intervals.",
    ]
    if evaluation.bound_es_n0_db is not None:
        low, high = evaluation.bound_es_n0_db
        lines[-1] += (
            f" The bound is the average-likelihood-ratio receiver for an Es/N0 of {low:g} to {high:g} dB. It is the "
            "best on average over that range; at a single Es/N0 a model can be better."
        )
    return lines


def _known_words(evaluation: Evaluation) -> list[str]:
    columns = list(evaluation.levels[0].by_knowledge)[1:]
    if not columns:
        return []
    title = "What the stream's level and Es/N0 add"
    if not evaluation.level_input:
        title = "What the stream's Es/N0 adds"
    elif evaluation.tracked_reliability is None:
        title = "What the stream's level adds"
    held = evaluation.bound_es_n0_db is not None
    heads = ["Es/N0, dB", "one chunk alone"]
    for name in columns:
        heads += [name] + [f"bound minus model, points ({name})"] * held
    lines = [
        f"## {title}",
        "",
        "In a stream, level and Es/N0 are followed over many chunks. Here the true values are given beside each chunk. "
        "The bound is then given the same.",
        "",
        f"| {' | '.join(heads)} |",
        "|" + "---:|" * len(heads),
    ]
    for level in evaluation.levels:
        cells = [f"{level.es_n0_db:g}", _percent(level.named.share)]
        for name in columns:
            known = level.by_knowledge[name]
            cells += [_percent(known.share)] + [_gap(known)] * held
        lines.append(f"| {' | '.join(cells)} |")
    if held and "level known" in columns:
        lines += [
            "",
            "The bound that knows the level is given that of the symbols without noise, which says more.",
        ]
    return [*lines, ""]


def _weakest_class(evaluation: Evaluation) -> str:
    level = min(evaluation.levels, key=lambda level: abs(level.es_n0_db - 10))
    shares = level.named.class_shares()
    worst = min(range(len(shares)), key=lambda number: shares[number].value)
    return (
        f"At {level.es_n0_db:g} dB, {markdown(evaluation.truths[worst])} is recognised least often on one chunk: "
        f"{_percent(shares[worst])}."
    )


def _calibration(evaluation: Evaluation) -> list[str]:
    rows = [("one chunk, among the modulations", evaluation.reliability)]
    if evaluation.bound_reliability is not None:
        rows.append(("the bound, one chunk", evaluation.bound_reliability))
    if evaluation.tracked_reliability is not None:
        known = "level and Es/N0" if evaluation.level_input else "Es/N0"
        rows.append((f"one chunk, {known} known", evaluation.tracked_reliability))
    if len(evaluation.outputs) > len(evaluation.truths):
        rows.append(("one chunk, all outputs", evaluation.all_reliability))
    if evaluation.fused_reliability.decisions:
        rows.append(("1,024 symbols, all outputs", evaluation.fused_reliability))
    lines = ["| decisions, all Es/N0 together | expected calibration error | by chance |", "|---|---:|---:|"]
    lines += [
        f"| {name} | {100 * table.error:.1f} % | {100 * table.error_by_chance:.1f} % |"
        for name, table in rows
    ]
    return [
        *lines,
        "",
        "The error is the mean distance between confidence and share of right decisions, in 15 bins. *By chance* is "
        "what a perfectly calibrated receiver would show on as many chunks. A receiver that does not know Es/N0 is too "
        "sure at low Es/N0 and not sure enough at high Es/N0. This holds for the bound as well.",
    ]


def _others(evaluation: Evaluation) -> list[str]:
    fused = evaluation.others[0].fused
    lines = [
        f"| signal | named, one chunk | named, {fused * evaluation.chunk_length:,} symbols | goal | named mostly |",
        "|---|---:|---:|---|---|",
    ]
    for other in evaluation.others:
        goal = "-"
        if other.goal is not None:
            goal = f"{100 * other.goal:g} %: {'met' if other.claimed.value <= other.goal else 'missed'}"
        lines.append(
            f"| {other.kind} | {100 * other.chunks_claimed.value:.1f} % | {_percent(other.claimed)} | "
            f"{unbroken(goal)} | {markdown(other.mistaken_for) or '-'} |"
        )
    lines += [
        "",
        "The share of decisions that name one of the model's classes, at the default threshold of the confidence. "
        "Noise is 10 to 25 dB below each signal.",
    ]
    if not evaluation.knows_others:
        lines[-1] += " The model has no output for anything but its classes, so goals do not apply."
    return lines


def _open_set(found: OpenSet) -> list[str]:
    at = [OpenSet.log_odds(found.min_confidence)]
    pooled = np.concatenate(list(found.others.values()))
    known, others = (int(OpenSet.passed(scores, at)[0]) for scores in (found.known, pooled))
    return [
        f"At the default threshold, {found.min_confidence:g}, {_percent(Share(known, len(found.known)))} of the "
        f"decisions on its own classes name one (from {found.es_n0_db:g} dB up), and "
        f"{_percent(Share(others, len(pooled)))} of those on all other signals together."
    ]


def _robustness(evaluation: Evaluation) -> list[str]:
    lines = ["| impairment | Es/N0, dB | without it | worst | at |", "|---|---:|---:|---:|---:|"]
    for curve in evaluation.impairments:
        shares = [share.value for share in curve.shares()]
        worst = int(np.argmin(shares))
        lines.append(
            f"| {curve.name} | {curve.es_n0_db:g} | {100 * shares[_least(curve.values)]:.1f} % | "
            f"{100 * shares[worst]:.1f} % | {unbroken(f'{curve.values[worst]:g} {curve.unit}')} |"
        )
    lines += [
        "",
        "Right decisions on one chunk, with one impairment at a time, on the same symbols and noise at every value "
        f"({evaluation.impairments[0].shares()[0].of:,} chunks a value).",
    ]
    if evaluation.phase == "coherent":
        lines[-1] += (
            " This model is coherent: it expects a recovered carrier. Rotation, frequency offset and phase noise show "
            "what happens without one."
        )
    return lines


def _least(values: Sequence[float]) -> int:
    return min(range(len(values)), key=lambda number: abs(values[number]))


def _method(evaluation: Evaluation) -> list[str]:
    low, high = evaluation.trained_es_n0_db
    turned = "each with a random phase" if evaluation.phase == "any" else "with a known carrier phase"
    level = ", with the stream's level given beside each chunk" if evaluation.level_input else ""
    return [
        f"Fresh ideal chunks of {evaluation.chunk_length} symbols, one sample a symbol, {turned}, in white noise; "
        f"phase noise {evaluation.phase_noise:g} rad; seed {evaluation.seed}. The model was trained on Es/N0 of "
        f"{low:g} to {high:g} dB. Decisions on 1,024 symbols are on chunks of one transmission{level}; each class is "
        "as probable as any other.",
        "",
        "Intervals hold the true share with a probability of 95 %: Clopper and Pearson's exact interval. Tables as CSV "
        "have Wald's beside it, p ± 1.96 sqrt(p (1 - p) / n), which the thesis uses for its upper limit; it is too "
        "narrow near 0 and 1. The interval of a difference of paired decisions is Wald's with half a trial added to "
        "each cell (Agresti and Min 2005).",
    ]


_SHARE = ("right", "of", "share", "low", "high", "wald_low", "wald_high")
_GAP = ("bound_share", "bound_minus_model", "difference_low", "difference_high")


def _share_cells(share: Share) -> list[object]:
    return [share.count, share.of, *(f"{value:.4f}" for value in (share.value, *share.exact, *share.wald))]


def _gap_cells(decisions: NamedDecisions) -> list[object]:
    if decisions.bound is None or decisions.gap is None:
        return [""] * 4
    gap = decisions.gap
    return [f"{value:.4f}" for value in (decisions.bound.share.value, gap.difference, *gap.interval)]


def _accuracy_csv(evaluation: Evaluation) -> str:
    rows: list[list[object]] = []
    for level in evaluation.levels:
        for name, known in level.by_knowledge.items():
            rows.append([level.es_n0_db, name, *_share_cells(known.share), *_gap_cells(known)])
        rows.append([level.es_n0_db, "chunk alone, all outputs", *_share_cells(level.all_share), *[""] * 4])
        if level.fused_share:
            rows.append([level.es_n0_db, "1024 symbols", *_share_cells(level.fused_share), *[""] * 4])
    return csv_text(("es_n0_db", "decided_on", *_SHARE, *_GAP), rows)


def _classes_csv(evaluation: Evaluation) -> str:
    rows: list[list[object]] = []
    for level in evaluation.levels:
        bound = level.named.bound
        best = bound.class_shares() if bound else [None] * len(evaluation.truths)
        for name, share, other in zip(evaluation.truths, level.named.class_shares(), best, strict=True):
            rows.append([level.es_n0_db, name, *_share_cells(share), f"{other.value:.4f}" if other else ""])
    return csv_text(("es_n0_db", "modulation", *_SHARE, "bound_share"), rows)


def _calibration_csv(evaluation: Evaluation) -> str:
    rows: list[list[object]] = []

    def add(where: object, name: str, table: Reliability | None) -> None:
        if table is not None and table.decisions:
            rows.append([where, name, f"{table.error:.4f}", f"{table.error_by_chance:.4f}", table.decisions])

    for level in evaluation.levels:
        bound, tracked = level.named.bound, level.tracked
        add(level.es_n0_db, "named", level.named.reliability)
        add(level.es_n0_db, "bound", bound.reliability if bound else None)
        add(level.es_n0_db, "tracked", tracked.reliability if tracked else None)
        add(level.es_n0_db, "all outputs", level.reliability)
        add(level.es_n0_db, "1024 symbols", level.fused_reliability)
    add("all", "named", evaluation.reliability)
    add("all", "bound", evaluation.bound_reliability)
    add("all", "tracked", evaluation.tracked_reliability)
    add("all", "all outputs", evaluation.all_reliability)
    add("all", "1024 symbols", evaluation.fused_reliability)
    return csv_text(
        ("es_n0_db", "decisions_by", "expected_calibration_error", "by_chance", "decisions"), rows
    )


def _others_csv(evaluation: Evaluation) -> str:
    rows = [
        [
            *(other.kind, *_share_cells(other.claimed), f"{other.chunks_claimed.value:.4f}"),
            *(
                "" if other.goal is None else other.goal,
                other.most_often,
                other.mistaken_for,
            ),
        ]
        for other in evaluation.others
    ]
    share = ("named", *_SHARE[1:])
    return csv_text(("signal", *share, "one_chunk_share", "goal", "most_often", "named_mostly"), rows)


def _open_set_csv(found: OpenSet) -> str:
    scores = [OpenSet.log_odds(confidence) for confidence in _THRESHOLDS]
    pooled = np.concatenate(list(found.others.values()))
    counts = [OpenSet.passed(each, scores) for each in (found.known, found.known[found.right], pooled)]
    total, other = len(found.known), len(pooled)
    rows = [
        [confidence, f"{known / total:.4f}", f"{right / total:.4f}", f"{claimed / other:.4f}"]
        for confidence, known, right, claimed in zip(_THRESHOLDS, *counts, strict=True)
    ]
    return csv_text(("least_confidence", "named", "named_rightly", "other_signals_named"), rows)


def _robustness_csv(evaluation: Evaluation) -> str:
    rows = [
        [curve.name, curve.unit, curve.es_n0_db, value, *_share_cells(share)]
        for curve in evaluation.impairments
        for value, share in zip(curve.values, curve.shares(), strict=True)
    ]
    return csv_text(("impairment", "unit", "es_n0_db", "value", *_SHARE), rows)
