# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation as pictures."""

import os
from dataclasses import replace
from pathlib import Path

from amrq.evaluation.accuracy_picture import draw_accuracy
from amrq.evaluation.classes_picture import draw_classes
from amrq.evaluation.confusion_picture import draw_confusion
from amrq.evaluation.evaluation import Evaluation
from amrq.evaluation.open_set_picture import draw_open_set
from amrq.evaluation.reliability_picture import draw_reliability
from amrq.evaluation.robustness_picture import draw_robustness
from amrq.optional_package import optional_package
from amrq.whole_file import whole_file

__all__ = ["draw_pictures"]

_DPI = 110


def draw_pictures(evaluation: Evaluation, folder: str | os.PathLike[str]) -> list[Path]:
    """Write what there is of accuracy, classes, confusion, reliability, open_set and robustness, a PNG each.

    Args:
        evaluation: what was found.
        folder: where to; it must be there.

    Returns:
        the files.

    Raises:
        AmrqError: matplotlib is missing.
    """
    # The class, not pyplot: no window system is needed or touched.
    figure_class = optional_package("matplotlib.figure", "drawing pictures").Figure
    # Two dollar signs in a name would make a formula of what is between them.
    evaluation = replace(
        evaluation,
        model=evaluation.model.replace("$", r"\$"),
        outputs=tuple(name.replace("$", r"\$") for name in evaluation.outputs),
    )
    figures = {
        "accuracy": draw_accuracy(evaluation, figure_class),
        "classes": draw_classes(evaluation, figure_class),
        "confusion": draw_confusion(evaluation, figure_class),
        "reliability": draw_reliability(evaluation, figure_class),
    }
    if evaluation.open_set is not None:
        figures["open_set"] = draw_open_set(evaluation.open_set, evaluation.model, figure_class)
    if evaluation.sweeps:
        figures["robustness"] = draw_robustness(evaluation, figure_class)
    paths = []
    for name, figure in figures.items():
        path = Path(folder) / f"{name}.png"
        # No date and version inside, so that the same figures give the same file.
        with whole_file(path) as file:
            figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
        paths.append(path)
    return paths
