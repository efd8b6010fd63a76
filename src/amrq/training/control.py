# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a training run (checkpoint, progress, stopping), of training further, and of a family model's examples."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from amrq.options import Range, above, at_least, between, check, described, option

__all__ = ["FamilyRun", "Progress", "RunControl", "TuneSettings"]


class Progress(NamedTuple):
    """The progress of a training run.

    Attributes:
        step: steps done, over all stages of the training.
        steps: steps in all.
        phase: `float32`, or `int8` and the like.
        loss: cross entropy of the classes, nats, running mean.
        accuracy: share of right decisions on the batches just trained on (each is fresh), running mean.
    """

    step: int
    steps: int
    phase: str
    loss: float
    accuracy: float


@described
@dataclass(frozen=True)
class RunControl:
    """Options of a training run. They do not change the result.

    Beside the options there are functions that a program may hand in. `stopped` is asked between steps: where it says
    so, the state is kept and the training stops. `progress` is called every 20 steps, `taught` with (chunks judged,
    chunks in all) as a teacher gets ready, `evaluated` with (steps done, steps in all) of the evaluation that follows.

    Raises:
        AmrqError: a value is out of its range.

    >>> RunControl("mine.checkpoint", save_every=100).checkpoint.name
    'mine.checkpoint'
    """

    checkpoint: Path | None = option(
        None,
        "File with the state of the training, to continue from later. Without it, the state is not kept.",
        flag="--checkpoint FILE",
    )
    fresh: bool = option(False, "Start again even if there is a checkpoint.")
    save_every: int = option(
        500,
        "Number of steps after which the state is kept again.",
        within=at_least(1),
        flag="--save-every STEPS",
    )
    stop_at: int | None = option(
        None, "Stop after this many steps in total, and keep the state.", within=at_least(0)
    )
    stopped: Callable[[], bool] = lambda: False
    progress: Callable[[Progress], None] = lambda _: None
    taught: Callable[[int, int], None] = lambda done, of: None
    evaluated: Callable[[int, int], None] = lambda done, of: None

    def __post_init__(self) -> None:
        """Refuse what no training can keep to."""
        check(self)


@described
@dataclass(frozen=True)
class TuneSettings:
    """How a finished model is trained on with labelled chunks (`tune_model`).

    `hold_out` names recordings to test on. Without any, the last fifth of each label in each recording is held out.

    Raises:
        AmrqError: a value is out of its range.
    """

    steps: int = option(1_000, "Training steps.", within=at_least(1))
    share: float = option(
        0.5,
        "Share of labelled chunks in the weight of each class that has some, at each Es/N0. The rest are synthetic "
        "chunks.",
        within=Range(0, 1, low_open=True, high_open=True),
    )
    learning_rate: float | None = option(
        None, "Highest learning rate. Without it, a quarter of the recipe's.", within=above(0, at_most=1)
    )
    hold_out: tuple[str, ...] = ()
    tolerance: float = option(
        0.01,
        "Largest loss of accuracy on synthetic chunks, a share. With a larger loss, the result counts as worse.",
        within=between(0, 1),
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        check(self)


@described
@dataclass(frozen=True)
class FamilyRun:
    """What a family model is made with, beside its recipe.

    Raises:
        AmrqError: a value is out of its range.

    >>> FamilyRun(workers=2).examples is None
    True
    """

    examples: Path | None = option(
        None,
        "Folder of the examples, which are made once and kept. Without it, the output's name with .examples.",
        flag="--examples DIR",
    )
    workers: int = option(1, "Processes that make examples.", within=between(1, 256))
    start: Path | None = option(
        None,
        "File of weights to start from, as torch.save writes a state_dict of the recipe's network. Training in "
        "floating point is then left out, unless --steps says how much of it there is to be.",
        flag="--start FILE",
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)
