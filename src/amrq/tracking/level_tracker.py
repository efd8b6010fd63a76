# SPDX-License-Identifier: GPL-3.0-or-later
"""The level of a stream from the powers of its chunks."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import SILENCE_POWER
from amrq.errors import AmrqError
from amrq.tracking.new_share import new_share

__all__ = ["LevelTracker", "TrackedLevel"]

_MEMORY = 128
"""Chunks averaged at most: the mean is then right to 0.07 dB at the roughest, finer than any decision needs."""
_KNOWN = 16
"""Chunks that make a level known: right to 0.2 dB at the roughest."""
_PAUSE = 16
"""Chunks without power or meaning in a row behind which a stream begins anew."""
_WINDOWS = (1, 2, 4, 8, 16, 32)
"""Numbers of newest chunks that are held against those before them."""
_DEVIATIONS = 4.5
"""Standard deviations that a step takes: on a steady stream one false alarm in some tens of thousands of chunks."""
_STRETCHES = (64, 1024)
"""Chunks looked at in one go, just behind a step and at most: bounds the work that a step throws away."""
_TINY = 1e-300


class TrackedLevel(NamedTuple):
    """The level around N chunks.

    Attributes:
        power: float32 [N], mean |z|^2 of the stream before each chunk, noise included; NaN where it is not known.
        began: bool [N]; True where a chunk showed that the level is another than before.
    """

    power: NDArray[np.float32]
    began: NDArray[np.bool_]


class LevelTracker:
    """Average the powers of the chunks since the level last changed.

    The level at a chunk is the mean power of up to 128 chunks before it. A step is looked for at every chunk, causally:
    the mean of the newest 1, 2, 4, ... 32 chunks against the mean of those before them, in standard deviations of the
    logarithm of their ratio; the newest chunks then become the new beginning. No linear modulation in noise has a
    rougher power than noise alone, the kurtosis of whose samples is 2: the power of L symbols deviates by at most
    1 / sqrt(L) of its mean. So a step of 20 dB is seen in its first chunk, one of 3 dB in about 2, one of 1 dB in about
    15; until then the old level stands.

    A level is known from 16 chunks on. All constellations have the same mean power, so that a change of modulation
    is no step. Chunks without power or with samples that are not finite are left out; behind 16 of them in a row
    the level begins anew. Of chunks that overlap each counts for its new part, and an average over 128 of them holds
    fewer than 16 chunks' worth of symbols when the hop is below an eighth of a chunk: then no level is ever known.

    Args:
        chunk_length: samples a chunk.

    Raises:
        AmrqError: it is below 1.
    """

    def __init__(self, chunk_length: int) -> None:
        if chunk_length < 1:
            raise AmrqError(f"a chunk needs at least 1 sample, not {chunk_length}.")
        self.chunk_length = chunk_length
        self._deviation = _DEVIATIONS / math.sqrt(chunk_length)
        self.reset()

    def reset(self) -> None:
        """Forget the level: the stream broke."""
        self._last: int | None = None  # first sample of the last chunk
        self._missing = 0  # chunks left out since the last one that was not
        self._begin()

    def _begin(self) -> None:
        # Running sums over the chunks since the last step: of their shares, and of their powers by share.
        self._sums: NDArray[np.float64] = np.zeros((2, 1))

    def update(self, power: NDArray[np.float32], sample_indices: NDArray[np.int64]) -> TrackedLevel:
        """Take in N chunks and return the level before each of them.

        How chunks are parted into calls makes no difference.

        Args:
            power: float32 [N], mean |z|^2 of each chunk; NaN where it means nothing.
            sample_indices: int64 [N], the stream's index of each chunk's first sample.
        """
        count = len(power)
        tracked = TrackedLevel(np.full(count, np.nan, dtype=np.float32), np.zeros(count, dtype=np.bool_))
        if not count:
            return tracked
        share = new_share(sample_indices, self._last, self.chunk_length)
        self._last = int(sample_indices[-1])
        usable = np.isfinite(power) & (power >= SILENCE_POWER)
        if usable.all() and not self._missing:
            self._follow(power.astype(np.float64), share, tracked)
            return tracked
        numbers = np.flatnonzero(usable)
        gaps = np.diff(numbers, prepend=-1 - self._missing) - 1
        self._missing = count - 1 - int(numbers[-1]) if len(numbers) else self._missing + count
        for part in np.split(np.arange(len(numbers)), np.flatnonzero(gaps >= _PAUSE)):
            if not len(part):
                continue
            new = gaps[part[0]] >= _PAUSE
            if new:
                self._begin()
            some = numbers[part]
            found = TrackedLevel(tracked.power[some], tracked.began[some])
            self._follow(power[some].astype(np.float64), share[some], found)
            found.began[0] |= new
            tracked.power[some], tracked.began[some] = found
        return tracked

    def _follow(self, power: NDArray[np.float64], share: NDArray[np.float64], tracked: TrackedLevel) -> None:
        """Take in chunks that all have power, and fill in the level before each."""
        new = np.stack([share, share * power])
        start, size = 0, _STRETCHES[0]
        while start < len(power):
            stop = min(start + size, len(power))
            # Summed one by one from the beginning on, so that the sums are the same however chunks arrive.
            grown = np.cumsum(np.concatenate([self._sums[:, -1:], new[:, start:stop]], axis=1), axis=1)
            sums = np.concatenate([self._sums, grown[:, 1:]], axis=1)
            end = np.arange(self._sums.shape[1], sums.shape[1])  # sums up to and with each new chunk
            step = self._first_step(sums, end)
            if step is None:
                tracked.power[start:stop] = self._mean(sums, end - 1)
                self._sums = sums[:, -_MEMORY - 1 :]
                start, size = stop, min(2 * size, _STRETCHES[1])
                continue
            at, window = step
            tracked.power[start : start + at] = self._mean(sums, end[:at] - 1)
            tracked.began[start + at] = True
            self._sums = sums[:, end[at] - window : end[at] + 1] - sums[:, end[at] - window, None]
            tracked.power[start + at] = self._mean(self._sums, np.array([window - 1]))[0]
            start, size = start + at + 1, _STRETCHES[0]

    def _mean(self, sums: NDArray[np.float64], end: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean of the chunks before `end`, NaN where they are too few."""
        share, power = sums[:, end] - sums[:, np.maximum(end - _MEMORY, 0)]
        return np.where(share >= _KNOWN, np.maximum(power, _TINY) / np.maximum(share, 1), np.nan)

    def _first_step(self, sums: NDArray[np.float64], end: NDArray[np.int64]) -> tuple[int, int] | None:
        """Return the first of the new chunks at which a step shows, and of how many chunks it shows best."""
        found = np.zeros((len(_WINDOWS), len(end)))
        whole = sums[:, end]
        oldest = sums[:, np.maximum(end - _MEMORY, 0)]
        for number, window in enumerate(_WINDOWS):
            first = max(0, window + 1 - int(end[0]))  # there must be something before the window
            if first >= len(end):
                break
            border = sums[:, int(end[first]) - window : int(end[-1]) - window + 1]
            after_share, after = whole[:, first:] - border
            before_share, before = border - oldest[:, first:]
            ratio = np.log(
                np.maximum(after, _TINY) * before_share / (np.maximum(before, _TINY) * after_share + _TINY)
                + _TINY
            )
            # Chunks of which little is new vary together: no number of them is less rough than one.
            scale = np.sqrt(1 / np.maximum(after_share, 1) + 1 / np.maximum(before_share, 1))
            found[number, first:] = np.abs(ratio) / (self._deviation * scale)
        steps = np.flatnonzero((found > 1).any(axis=0))
        if not len(steps):
            return None
        at = int(steps[0])
        return at, _WINDOWS[int(found[:, at].argmax())]
