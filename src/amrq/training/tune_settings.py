# SPDX-License-Identifier: GPL-3.0-or-later
"""How a finished model is trained on."""

from dataclasses import dataclass

from amrq.errors import AmrqError

__all__ = ["TuneSettings"]


@dataclass(frozen=True)
class TuneSettings:
    """Settings of `tune_model`.

    Attributes:
        steps: batches.
        share: of the weight of each class that has labelled chunks, which these get; the rest stays with synthetic
            ones. Above 0, below 1.
        learning_rate: Adam's, at its highest; None for a quarter of that of the recipe's fine-tuning.
        hold_out: recordings to test on; without any, the last fifth of each label in each.
        tolerance: share by which accuracy on synthetic chunks may fall before the result counts as worse.

    Raises:
        AmrqError: a number is out of its range.
    """

    steps: int = 1_000
    share: float = 0.5
    learning_rate: float | None = None
    hold_out: tuple[str, ...] = ()
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.steps < 1:
            raise AmrqError(f"--steps must be at least 1, not {self.steps}.")
        if not 0 < self.share < 1:
            raise AmrqError(f"--share must be above 0 and below 1, not {self.share}.")
        if self.learning_rate is not None and not 0 < self.learning_rate <= 1:
            raise AmrqError(f"--learning-rate must be above 0, at most 1, not {self.learning_rate}.")
        if not 0 <= self.tolerance <= 1:
            raise AmrqError(f"the tolerance must be a share from 0 to 1, not {self.tolerance}.")
