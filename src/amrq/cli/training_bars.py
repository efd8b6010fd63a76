# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a training is, on standard error."""

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from amrq.training.fit import Progress as FitProgress

__all__ = ["TrainingBars"]


class TrainingBars:
    """Bars for training, teacher and evaluation; the last two appear when they have something to show."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._training = self._bar.add_task("training", total=None, figures="")
        self._teaching = self._bar.add_task("likelihoods", total=None, figures="", visible=False)
        self._evaluating = self._bar.add_task("evaluating", total=None, figures="", visible=False)

    def __enter__(self) -> "TrainingBars":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def trained(self, at: "FitProgress") -> None:
        """Show how a training stands."""
        figures = f"{at.phase}  loss {at.loss:.3f}  accuracy {at.accuracy:.3f}"
        self._bar.update(self._training, completed=at.step, total=at.steps, figures=figures)

    def taught(self, done: int, of: int) -> None:
        """Show how many chunks the teacher has judged."""
        self._bar.update(self._teaching, completed=done, total=of, visible=True)

    def evaluated(self, done: int, of: int) -> None:
        """Show how far the evaluation is."""
        self._bar.update(self._evaluating, completed=done, total=of, visible=True)
