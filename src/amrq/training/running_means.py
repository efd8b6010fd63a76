# SPDX-License-Identifier: GPL-3.0-or-later
"""How a training does at present."""

__all__ = ["RunningMeans"]


class RunningMeans:
    """Means of loss and accuracy over some 1,000 steps, told of every 20th; unbiased from the first on."""

    def __init__(self) -> None:
        self.loss = self.accuracy = self._weight = 0.0

    def add(self, loss: float, accuracy: float) -> None:
        """Take in a step's."""
        self._weight = 0.98 * self._weight + 0.02
        self.loss += (loss - self.loss) * 0.02 / self._weight
        self.accuracy += (accuracy - self.accuracy) * 0.02 / self._weight
