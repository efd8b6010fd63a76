# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation as a page of Markdown."""

from amrq.evaluation.evaluation import Evaluation

__all__ = ["report"]


def report(evaluation: Evaluation, pictures: tuple[str, ...] = ()) -> str:
    """Return a Markdown page: accuracy with 95 % intervals, per class, what other signals are called.

    Args:
        evaluation: what was found.
        pictures: files to show, relative to the page.
    """
    lines = [
        f"# Evaluation of {evaluation.model}",
        "",
        "Fresh ideal chunks, one random rotation each where the model is for any phase; phase noise "
        f"{evaluation.phase_noise:g} rad; seed {evaluation.seed}. The decision is the most probable of all outputs; "
        "intervals are Clopper-Pearson at 95 %.",
        "",
        "| Es/N0 dB | one chunk | 95 % interval | chunks | calibration error "
        "| 32 chunks fused | 95 % interval | decisions |",
        "|---:|---:|:---:|---:|---:|---:|:---:|---:|",
    ]
    for level in evaluation.levels:
        row, fused = level.row(), level.fused_row()
        together = "- | - | -"
        if fused:
            together = f"{fused.accuracy:.4f} | {fused.low:.4f} to {fused.high:.4f} | {fused.chunks}"
        lines.append(
            f"| {row.es_n0_db:g} | {row.accuracy:.4f} | {row.low:.4f} to {row.high:.4f} | {row.chunks} "
            f"| {level.calibration_error:.4f} | {together} |"
        )
    lines += [
        "",
        "Per class:",
        "",
        "| Es/N0 dB | " + " | ".join(evaluation.truths) + " |",
        "|---:" * (1 + len(evaluation.truths)) + "|",
    ]
    for level in evaluation.levels:
        shares = " | ".join(f"{row.accuracy:.3f}" for row in level.class_rows())
        lines.append(f"| {level.es_n0_db:g} | {shares} |")
    if evaluation.others:
        lines += [
            "",
            "Called `unknown`, of signals that are none of the nine, alone and with "
            f"{evaluation.others[0].fused} chunks fused:",
            "",
            "| signal | of chunks | chunks | of decisions | decisions | otherwise mostly |",
            "|---|---:|---:|---:|---:|---|",
        ]
        for other in evaluation.others:
            lines.append(
                f"| {other.kind} | {other.unknown:.3f} | {other.chunks} | {other.unknown_fused:.3f} "
                f"| {other.decisions} | {other.mistaken_for} |"
            )
    for picture in pictures:
        lines += ["", f"![{picture.removesuffix('.png')}]({picture})"]
    return "\n".join(lines) + "\n"
