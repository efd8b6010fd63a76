# SPDX-License-Identifier: GPL-3.0-or-later
"""Root-raised-cosine pulse shaping of a symbol stream."""

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.signals.root_raised_cosine import root_raised_cosine

__all__ = ["PulseShaper"]


class PulseShaper:
    """A streaming interpolating root-raised-cosine filter.

    The output has the mean power of the symbols, and a filter matched to it returns the symbols
    (times sqrt(samples_per_symbol), with unit-energy taps). With one sample a symbol it changes nothing.

    Args:
        samples_per_symbol: 1 or more.
        rolloff: excess bandwidth, 0 to 1.
        span: length of the pulse in symbols.

    Raises:
        AmrqError: an argument is out of its range.

    Attributes:
        delay: samples from a symbol's entry to the peak of its pulse.
    """

    def __init__(self, samples_per_symbol: int = 1, rolloff: float = 0.35, span: int = 24) -> None:
        if samples_per_symbol < 1 or int(samples_per_symbol) != samples_per_symbol:
            raise AmrqError(f"samples per symbol must be a whole number from 1 up, not {samples_per_symbol}.")
        if not 0 <= rolloff <= 1:
            raise AmrqError(f"the roll-off must lie between 0 and 1, not {rolloff}.")
        self.samples_per_symbol = int(samples_per_symbol)
        self.rolloff = float(rolloff)
        self.delay = 0
        self._branches: NDArray[np.float32] | None = None
        if self.samples_per_symbol > 1:
            sps = self.samples_per_symbol
            self.delay = span * sps // 2
            t = (np.arange(span * sps) - span * sps / 2) / sps
            taps = root_raised_cosine(t, self.rolloff)
            taps *= np.sqrt(sps / np.sum(taps**2))
            # Branch p holds every sps-th tap from p on: output sample n*sps + p of a polyphase interpolator.
            self._branches = np.ascontiguousarray(taps.reshape(span, sps).T[:, ::-1], dtype=np.float32)
            self._past = np.zeros(span - 1, dtype=np.complex64)

    def shape(self, symbols: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Turn complex64 [n] symbols into complex64 [n * samples_per_symbol], keeping the filter's state."""
        if self._branches is None:
            return symbols
        stream = np.concatenate([self._past, symbols])
        self._past = stream[len(stream) - len(self._past) :]
        windows = np.lib.stride_tricks.sliding_window_view(stream, self._branches.shape[1])
        return np.asarray((windows @ self._branches.T).ravel(), dtype=np.complex64)
