# SPDX-License-Identifier: GPL-3.0-or-later
"""The noise floor of a band for each frequency and time, with its uncertainty, whatever else is on the air.

The floor is modelled as a gain, common to all frequencies and free to change from block to block, times a shape over
frequency that changes slowly:

1. A block of frames (about .1 s) is divided into groups, and of each bin the quieter half of the groups is averaged. So
   a burst does not count. The expected value of that average in noise is known from the gamma law, and is divided out.
2. The gain of the block is the mean of its bins, relative to the shape, over the bins that are free: those that agree
   with noise.
3. The shape comes from the last blocks, each divided by its gain: of each bin the quieter half is averaged, again
   corrected. A lower envelope over frequency, smooth and stiff (asymmetric least squares: Baek et al., Analyst 140,
   2015), tells free bins from occupied ones. The shape is the mean of the free bins around each frequency, which has no
   bias from the choice of low values. Where a whole neighbourhood is occupied, the mean reaches further.
4. Within a block the gain may drift: a parabola through the gains of the groups, if it is significant. If in a
   group the noise differs from that in nearly all of 64 parts of the free bins alike, the gain has stepped, and each
   frame is divided by its own, again that of the free bins. Bins with emissions have no say in either: many that begin
   together are no step.
"""

import functools
import math

import numpy as np
import scipy.linalg
import scipy.special
from numpy.typing import NDArray

from amrq.detect.energy import equivalent_cells
from amrq.detect.spectra import Grid
from amrq.native import MOST_ROWS, kernels

__all__ = ["NoiseFloor"]

_GROUP = 8
"""Frames of a group."""
_FEWEST_GROUPS = 8
"""Groups that a block is divided into at least, if it has so many frames."""
_SEGMENTS = 128
"""Pieces of the band for the envelope."""
_LOW_SHARE = 8
"""One in so many bins of a piece counts for the envelope: enough are free where 80 % are occupied."""
_HISTORY = 32
"""Blocks whose quieter half makes the shape."""
_SIGMAS = 4.0
"""A bin agrees with noise if it is within so many standard deviations."""
_STIFFNESS = 40.0
"""Of the envelope, which has to follow the ripple of the receiver: half passes at a seventh of the band."""
_HIGHEST = math.log(10**0.8)
"""Logarithm of how far the floor may rise over its low places: 8 dB."""
_FILTERED = math.log(10**3.0)
"""Logarithm of how far a receiver's filter goes down: 30 dB. Signals that fill the band are seldom as strong."""
_FEWEST_PASSED = 8
"""Pieces of the band that a receiver's filter passes, at least: a short recording has few pieces, and two at either end
are its slopes."""
_SIDE = 0.5
"""Logarithm of how far a wide signal's side rises within a 32nd of the band: 2.2 dB. Ripple is not as steep."""
_HIGH = math.log(10**0.5)
"""Logarithm of how far most of a wide signal that is not level, as by an echo, stands out between its sides: 5 dB."""
_CREEP = 1.35
"""How many times the envelope the floor may be: 1.3 dB over it."""
_SETTLED = 8
"""Blocks after which the receiver's passband is known."""
_MISFIT = 0.07
"""Of the envelope from a smooth floor: .3 dB."""
_FEWEST_FREE = 24
"""Free bins that a mean over frequency needs."""
_PARTS = 64
"""Parts of the free bins, by which noise that changes is told from emissions that begin."""
_LEAST_DRIFT = 0.03
"""Relative change of the gain within a block, from its mean, that is worth a correction."""
_STEP = 0.05
"""Relative change of a group's gain that counts as a step."""
_BY_CHANCE, _NO_STEP = 1.25 / 8 / 1.5, 1e-5
"""Of 1.5 times the spread of a part: the spread of the middle of 64. Probability that noise makes a step of a block."""
_LEAST_UNCERTAINTY = 0.004
_ROUNDING = 3e-10
"""Of the mean power density: what float32 and 16 bits make of a strong signal without noise is below this."""


class NoiseFloor:
    """Follows the floor, block by block.

    Args:
        grid: the fine one.

    >>> import numpy as np
    >>> noise = np.random.default_rng(1).exponential(2.0, (64, 512)).astype(np.float32)
    >>> floor = NoiseFloor(Grid(1e6, 512, 512))
    >>> floor.update(noise).shape  # relative gains of its frames
    (64,)
    >>> bool(np.all(np.abs(floor.density / 2 - 1) < 0.3))
    True
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._frame_worth = equivalent_cells(grid, 1, _GROUP) / _GROUP
        self._bin_worth = equivalent_cells(grid, 8, 1) / 8
        # At the band's edges the floor is known from one side only.
        edge = np.minimum(np.arange(grid.bins), grid.bins - 1 - np.arange(grid.bins)) / (grid.bins / 64)
        self._margin = 1 + 0.02 * np.clip(1 - edge, 0, 1)
        self.reset()

    def reset(self) -> None:
        """Forget all: the radio was tuned to something else."""
        self._shape: NDArray[np.float64] | None = None
        self._history: list[NDArray[np.float32]] = []
        self._free: NDArray[np.bool_] = np.ones(self.grid.bins, bool)
        self._passed = (0, min(_SEGMENTS, self.grid.bins // 16))
        self._blocks = 0
        self._most = 0
        self._size, self._group_worth = _GROUP, equivalent_cells(self.grid, 1, _GROUP)
        self.gain = 1.0
        self.stepped = False
        """Whether the gain stepped during the last block: the gain of each frame is then its own."""
        self.uncertainty = 0.05
        """Relative standard deviation of the floor at a typical frequency."""
        self.density: NDArray[np.float32] = np.ones(self.grid.bins, np.float32)
        """Noise power density (full scale squared per Hz) at each bin, for the last block."""

    @property
    def passed(self) -> tuple[float, float]:
        """Edges in Hz of what the receiver's filter passes: the band's, if no filter shows."""
        edges = [
            (one / min(_SEGMENTS, self.grid.bins // 16) - 0.5) * self.grid.sample_rate for one in self._passed
        ]
        return edges[0], edges[1]

    @property
    def known(self) -> bool:
        """Whether there was any noise yet to know it from."""
        return self._blocks > 0

    @property
    def free_share(self) -> float:
        """Share of the band in which there is noise only."""
        return float(np.mean(self._free))

    def update(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next block of frames `[frames, bins]`; return the gain of each relative to `density`."""
        size = min(_GROUP, max(1, len(frames) // _FEWEST_GROUPS))
        groups = max(1, len(frames) // size)
        even = frames[: groups * size]
        means = even.reshape(groups, -1, self.grid.bins).sum(axis=1)
        means[-1] += frames[len(even) :].sum(axis=0)
        sizes = np.full(groups, size)
        sizes[-1] = len(frames) - (groups - 1) * size
        means /= sizes[:, None].astype(np.float32)
        worth = equivalent_cells(self.grid, 1, size)
        low = _lower_mean(means) / _lower_mean_of_gamma(groups, round(worth, 3))
        spread = 1.2 / math.sqrt(len(frames) * worth / size)
        np.maximum(low, 1e-38, out=low)
        if self._shape is None:
            self._shape = self._fit(low.astype(np.float64), spread)
        ratio = low / self._shape
        self.gain = self._common_gain(ratio, spread)
        # All rows of the history must be worth the same: a block of which most was left out tells its gain only.
        if 0.75 * len(frames) > self._most:
            self._history.clear()
        self._most = max(self._most, len(frames))
        if len(frames) > 0.75 * self._most:
            self._history.append((ratio * (self._shape / self.gain)).astype(np.float32))
            if len(self._history) > _HISTORY:
                del self._history[0]
            self._blocks += 1
            if self._blocks <= 8 or self._blocks % 4 == 0:
                self._update_shape(len(frames))
        self.density = (self.gain * self._shape * self._margin).astype(np.float32)
        least = _ROUNDING * float(means.mean(dtype=np.float64))
        exact = float(np.median(self.density)) < least
        if exact:
            # Without noise there is no gain, and what is as low as this is the transform's rounding.
            np.maximum(self.density, np.float32(least), out=self.density)
        self._size, self._group_worth = size, worth
        if exact or groups < _FEWEST_GROUPS // 2:
            self.stepped = False
            return np.ones(len(frames), np.float32)
        relative = self._relative(means)
        drift = self._drift(relative, len(frames))
        self.stepped = self._steps(relative, drift)
        return drift

    def _common_gain(self, ratio: NDArray[np.float64], spread: float) -> float:
        """Return the gain of a block whose bins relative to the shape are these."""
        known = ratio[self._free] if np.count_nonzero(self._free) >= _FEWEST_FREE else ratio
        gain, close = _gain_about(known, len(known) // 4, spread)
        other, close_to_other = _gain_about(known, len(known) // 16, spread)
        # An emission over most of the band leaves the rest as it was; that something has ended does so, too.
        if self._blocks and abs(math.log(other / self.gain)) < abs(math.log(gain / self.gain)):
            gain, close = other, close_to_other
        # A weak wide emission raises the mean; of the means of 64 parts of the band it hardly moves the median.
        parts = len(close) // 64
        if parts:
            gain = float(np.median(close[: parts * 64].reshape(64, parts).mean(axis=1)))
        return max(gain, 1e-38)

    def _update_shape(self, frames: int) -> None:
        history = np.stack(self._history)
        count = len(history)
        worth = frames * self._frame_worth / 1.44
        low = (_lower_mean(history) / _lower_mean_of_gamma(count, round(worth, 1))).astype(np.float64)
        spread = 1.2 / math.sqrt(worth * count)
        # Always from the values: to smooth what is left of the last shape would let their noise in, bit by bit.
        self._shape = self._fit(low, spread)
        # The shape's own level is the mean of what was seen; the gain carries the rest.
        per_window = max(np.count_nonzero(self._free) / self.grid.bins, 0.1) * self.grid.bins / 64
        cells = per_window * self._bin_worth * worth * count / 1.44
        self.uncertainty = max(1.0 / math.sqrt(cells), _LEAST_UNCERTAINTY)

    def _fit(self, values: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
        """Return the floor over frequency below which occupied bins do not matter; note which bins are free."""
        bins = len(values)
        pieces = min(_SEGMENTS, bins // 16)
        sorted_pieces = np.sort(values.reshape(pieces, -1), axis=1)
        count = max(1, sorted_pieces.shape[1] // _LOW_SHARE)
        low = sorted_pieces[:, :count].mean(axis=1) / _lowest_of_gamma(
            sorted_pieces.shape[1], count, round(spread, 4)
        )
        # However well the values are known, the envelope is too stiff for the receiver's ripple by as much as this.
        error = max(spread * 1.5 / math.sqrt(count), _MISFIT)
        scale = (pieces / _SEGMENTS) ** 4
        logarithms = np.log(np.maximum(low, 1e-38))
        if self._blocks < _SETTLED:
            self._passed = _passband(logarithms)
        first, last = self._passed
        found = logarithms.copy()
        logarithms[first:last] = _without_plateaus(logarithms[first:last])
        signal = logarithms < found
        level = _envelope(logarithms[first:last], error, _STIFFNESS * scale)
        level = np.concatenate([np.full(first, level[0]), level, np.full(pieces - last, level[-1])])
        # A receiver's ripple has limits; what stands out more is a signal, however wide.
        low_level = float(np.quantile(level, 0.2))
        tall, highest = level > low_level + _HIGHEST, float(level.max()) - low_level
        if tall.any():
            # Its slopes, too.
            wide = np.convolve(tall, np.ones(2 * (pieces // 32) + 1), mode="same") > 0
            tall = wide if not wide.all() else tall
            level = np.interp(np.arange(pieces), np.flatnonzero(~tall), level[~tall])
            signal |= tall & (highest < _FILTERED)
        at = (np.arange(bins) + 0.5) * pieces / bins - 0.5
        # Half a piece further at both ends, straight on.
        ends = 2 * level[0] - level[1], 2 * level[-1] - level[-2]
        floor = np.exp(np.interp(at, np.arange(-1, pieces + 1), np.concatenate([ends[:1], level, ends[1:]])))
        inside = np.zeros(bins, bool)
        inside[first * bins // pieces : last * bins // pieces] = True
        # The envelope is stiff, so it may be off by more than chance, at the band's edges above all.
        # Within a wide signal and beside it no more than that: its skirts would raise the floor, and then more be free.
        near = np.convolve(signal, np.ones(2 * (pieces // 32) + 1), mode="same") > 0
        most = np.where(np.repeat(near, bins // pieces), _CREEP * floor, np.inf)
        for margin in (0.3, 0.15, 0.0, 0.0):
            self._free = inside & (values < floor * (1 + max(min(_SIGMAS * spread, 1.0), margin)))
            floor = np.minimum(_local_mean(values, self._free, bins // 64, floor), most)
        return floor

    def _drift(self, relative: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
        """Return the gain of each frame relative to the block's: a parabola through the groups', if significant."""
        parts = _PARTS
        each = relative.shape[1] // parts
        groups = len(relative)
        if each < 4 or groups < 3:
            return np.ones(frames, np.float32)
        means_of_parts = relative.reshape(groups, parts, each).mean(axis=2)
        spread = 1 / math.sqrt(each * self._bin_worth * self._group_worth)
        # The eighth of 64 parts: a burst over half of the band hardly moves it.
        low = np.partition(means_of_parts, parts // 8, axis=1)[:, parts // 8].astype(np.float64)
        gains = low / max(float(low.mean()), 1e-38)
        error = 1.6 * spread / math.sqrt(parts)
        middles = (np.arange(groups) + 0.5) * self._size
        fit = np.poly1d(np.polyfit(middles, gains, min(2, groups - 2)))
        # Two coefficients, since the mean is the block's: noise alone gives 2 on average, and 30 once in 10^6 blocks.
        course = fit(middles) - 1
        if float(np.sum(course**2)) < 30 * error**2 or float(np.max(np.abs(course))) < _LEAST_DRIFT:
            return np.ones(frames, np.float32)
        # A gain moves the lowest bins, which lie between emissions, as much; emissions that begin do not.
        tenth = relative.shape[1] // 10
        lowest = np.partition(relative, tenth, axis=1)[:, tenth].astype(np.float64)
        least = max(float(lowest.mean()), 1e-30)  # 0 in samples without noise
        lowest_fit = np.poly1d(np.polyfit(middles, lowest / least, min(2, groups - 2)))
        other = np.abs(lowest_fit(middles) - 1 - course)
        # So it does with the middle of the parts, which many emissions that begin move far more than the lower ones.
        middle_of_parts = np.median(means_of_parts, axis=1).astype(np.float64)
        middle = middle_of_parts / max(float(middle_of_parts.mean()), 1e-30)
        beside = np.abs(np.polyval(np.polyfit(middles, middle, min(2, groups - 2)), middles) - 1 - course)
        most = float(np.max(np.abs(course)))
        if float(np.max(other)) > 0.4 * most + 0.5 * _LEAST_DRIFT:
            return np.ones(frames, np.float32)
        if float(np.max(beside)) > 0.5 * most + _LEAST_DRIFT:
            return np.ones(frames, np.float32)
        # The block's own gain is that of its quieter groups, which is not its mean if the gain drifts.
        level = float(np.mean(middle_of_parts))
        # Bursts over many parts raise the median; the eighth lies 1.15 standard deviations under it otherwise.
        level = min(level, (1 + _MISFIT) * float(low.mean()) / (1 - 1.15 * min(spread, 0.5)))
        drift: NDArray[np.float32] = np.maximum(level * fit(np.arange(frames) + 0.5), 0.05).astype(np.float32)
        return drift

    def _relative(self, means: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the means of groups at free bins relative to the floor, in whole parts: `[groups, bins]`."""
        places = np.flatnonzero(self._free)
        places = places[: len(places) // _PARTS * _PARTS]
        relative: NDArray[np.float32] = np.take(means * np.reciprocal(self.density), places, axis=1)
        return relative

    def _steps(self, relative: NDArray[np.float32], drift: NDArray[np.float32]) -> bool:
        """Return whether the gain of a group differs from the drift's, in all of the noise alike."""
        groups = len(relative)
        # Only bins that hold noise tell: emissions that begin together raise many of the others alike.
        each = relative.shape[1] // _PARTS
        if each < 4 or groups < 3:
            return False
        relative = (
            relative
            / drift[np.minimum(np.arange(groups) * self._size + self._size // 2, len(drift) - 1)][:, None]
        )
        parts = relative.reshape(groups, _PARTS, each).mean(axis=2)
        few = _PARTS // 8
        ordered = np.partition(parts, (few, _PARTS // 2, _PARTS - 1 - few), axis=1)
        # By chance alone, these quantiles of 64 parts lie 1.15 standard deviations off, and a little more in few.
        chance = 1.5 / math.sqrt(each * self._bin_worth * self._group_worth)
        # Against the other groups: a floor that is a little off is no step. All parts together, since emissions that
        # are on for half of the block would make the groups without them look low in each. Groups in which the parts
        # differ hold emissions.
        middle = ordered[:, _PARTS // 2]
        noise = ordered[:, _PARTS - 1 - few] - ordered[:, few] < 2.4 * chance * middle
        # An emission that was on for the rest of the block does not count, where one group at least is without it.
        noise |= not noise.any()
        ordered /= np.median(middle[noise])
        low, middle, high = ordered[:, few], ordered[:, _PARTS // 2], ordered[:, _PARTS - 1 - few]
        change = np.abs(middle - 1)
        # Bursts move the upper parts more than the lower ones, or those only; a gain moves all.
        alike = high - low < 2 * chance * middle + 0.4 * change
        moved = (low + chance * middle > 1 + 0.8 * change) | (high - chance * middle < 1 - 0.8 * change)
        alike &= moved & (change > _STEP)
        # In narrow bands the middle of the parts moves by as much without a cause: by 1.25 / 8 of a part's spread.
        seen = np.square(change[noise] / (_BY_CHANCE * chance))
        if not alike.any() or float(seen.sum()) < scipy.special.chdtri(len(seen), _NO_STEP):
            return False
        # The lowest bins lie between emissions, however many there are.
        tenth = relative.shape[1] // 10
        lowest = np.partition(relative, tenth, axis=1)[:, tenth]
        lowest /= np.median(lowest[noise])
        return bool(np.any(alike & (np.abs(lowest - middle) < 0.35 * change)))

    def frame_gains(self, frames: NDArray[np.float32], density: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the gain of each frame by the lower quartile of its noise, for blocks in which the gain steps.

        Args:
            frames: `[frames, bins]`, on the fine grid or one with fewer bins.
            density: of the noise at gain 1.
        """
        each = len(self._free) // frames.shape[1]
        # A coarse bin's middle is the first of its fine bins.
        free: NDArray[np.bool_] = np.all(np.roll(self._free, each // 2).reshape(-1, each), axis=1)
        places = np.flatnonzero(free)
        if len(places) < _FEWEST_FREE:
            places = np.arange(len(free))
        # Every second bin is enough: neighbours are correlated.
        if len(places) > 8 * _PARTS:
            places = places[::2]
        relative = frames[:, places] / density[places]
        place = len(places) // 4
        # Of an exponential variate: 25 % are below ln(4/3) of the mean.
        quartile = np.partition(relative, place, axis=1)[:, place] / np.float32(math.log(4 / 3))
        gains: NDArray[np.float32] = np.maximum(quartile, np.float32(1e-30))
        return gains


def _lower_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the lower half over the first axis."""
    count = len(values)
    if count < 2:
        return values.mean(axis=0)
    half = (count + 1) // 2
    native = kernels()
    if native is not None and count <= MOST_ROWS:
        return native.lower_means(values)
    # Sorted, so that they are added up in the same order as by the kernel.
    mean: NDArray[np.float32] = np.sort(values, axis=0)[:half].mean(axis=0)
    return mean


@functools.lru_cache(maxsize=256)
def _lower_mean_of_gamma(count: int, shape: float) -> float:
    """Return the expected mean of the lower half of `count` gamma variates of mean 1."""
    if count < 2:
        return 1.0
    half = (count + 1) // 2
    # Order statistics of uniform variates are beta variates; the quantile function is averaged over their densities.
    u = (np.arange(2000) + 0.5) / 2000
    quantile = scipy.special.gammaincinv(shape, u) / shape
    # Sum of the densities of the lowest `half` order statistics: count x P(Binomial(count - 1, u) < half).
    density = count * scipy.special.bdtr(half - 1, count - 1, u)
    return float(np.sum(quantile * density) / np.sum(density))


@functools.lru_cache(maxsize=256)
def _lowest_of_gamma(count: int, lowest: int, spread: float) -> float:
    """Return the expected mean of the lowest of `count` gamma variates of mean 1 and this standard deviation."""
    u = (np.arange(2000) + 0.5) / 2000
    density = scipy.special.bdtr(lowest - 1, count - 1, u)
    shape = 1 / spread**2
    quantile = scipy.special.gammaincinv(shape, u) / shape
    return float(np.sum(quantile * density) / np.sum(density))


def _passband(level: NDArray[np.float64]) -> tuple[int, int]:
    """Return the pieces [first, last) of the band that the receiver's filter passes: all, without steep sides.

    Gentle slopes are ripple; beyond steep ones there is no noise of the receiver's, but what its filter leaves.

    Args:
        level: logarithms of the power density.

    >>> _passband(np.repeat([-12.0, -0.1, 0.0, -12.0], [2, 30, 30, 2]))
    (4, 60)
    """
    pieces = len(level)
    usual = float(np.median(level[pieces // 4 : -(pieces // 4)]))
    within = np.flatnonzero(level > usual - _FILTERED / 6)
    first, last = int(within[0]), int(within[-1]) + 1
    sides = min(first, pieces - last)
    outside = [float(np.min(part, initial=usual)) for part in (level[:first], level[last:])]
    steep = max(outside) < usual - _FILTERED
    even = abs(first - (pieces - last)) <= max(1, pieces // 32)
    # Between emissions there are places without them; in a passband there are none.
    flat = float(np.min(level[first + 1 : last - 1], initial=usual)) > usual - _HIGHEST
    wide = last - first >= max(pieces // 2, _FEWEST_PASSED)
    if not (sides and steep and even and flat and wide):
        return 0, pieces
    return first + 2, last - 2


def _gain_about(ratio: NDArray[np.float64], place: int, spread: float) -> tuple[float, NDArray[np.float64]]:
    """Return the mean of the ratios about the one at a place in their order, and these ratios."""
    gain = max(float(np.partition(ratio, place)[place]), 1e-38)
    close = ratio
    for _ in range(4):
        close = ratio[np.abs(ratio - gain) < _SIGMAS * spread * gain]
        if len(close) < _FEWEST_FREE:
            break
        last, gain = gain, max(float(np.mean(close)), 1e-38)
        if gain == last:
            break
    return gain, close


def _without_plateaus(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return levels over frequency with straight lines in place of wide signals that have steep sides.

    The envelope is stiff, but not as stiff as to leave out what is wider than its ripple.

    Args:
        level: logarithms of the power density in pieces of the band.

    >>> float(_without_plateaus(np.repeat([0.0, 1.0, 0.0], [8, 40, 16])).max())
    0.0
    """
    pieces = len(level)
    reach = max(1, pieces // 32)
    shelf = reach - 1 or 1
    if pieces < 32:
        return level
    up = level[reach:] - level[:-reach]
    rises = [
        k
        for k in np.flatnonzero(up > _SIDE).tolist()
        if k >= shelf and abs(level[k] - level[k - shelf]) < _SIDE / 2
    ]
    falls = [
        k + reach
        for k in np.flatnonzero(up < -_SIDE).tolist()
        if k + reach + shelf < pieces and abs(level[k + reach] - level[k + reach + shelf]) < _SIDE / 2
    ]
    level = level.copy()
    for rise in rises:
        for fall in falls:
            if fall - rise < pieces // 8 or abs(level[rise] - level[fall]) > _SIDE:
                continue
            sides = max(level[rise], level[fall])
            inside = level[rise + reach : fall - reach + 1]
            # One signal is level inside, or high throughout; many narrow ones side by side, whose gaps are noise, are
            # neither. What is far higher throughout is noise that a receiver's filter lets pass.
            if not len(inside):
                continue
            even = np.subtract(*np.percentile(inside, [75, 25])) <= _SIDE / 2
            high = sides + _SIDE < inside.min() < sides + _FILTERED and np.median(inside) > sides + _HIGH
            if high or (even and inside.min() > sides + 0.6 * _SIDE):
                level[rise : fall + 1] = np.linspace(level[rise], level[fall], fall - rise + 1)
    return level


def _envelope(values: NDArray[np.float64], error: float, stiffness: float) -> NDArray[np.float64]:
    """Return the smooth lower envelope of values over frequency, as logarithms, by asymmetric least squares."""
    count = len(values)
    second = np.diff(np.eye(count), 2, axis=0)
    penalty = stiffness * (second.T @ second)
    band = np.zeros((3, count))
    for row in range(3):
        band[2 - row, row:] = np.diagonal(penalty, row)
    weights = np.ones(count)
    envelope = values
    for _ in range(30):
        system = band.copy()
        system[2] += weights
        envelope = scipy.linalg.solveh_banded(system, weights * values)
        residual = values - envelope
        below = residual[residual < 0]
        sigma = max(float(np.sqrt(np.mean(below**2))) if len(below) else error, error)
        new = scipy.special.expit(-2 * (residual - 3 * sigma) / sigma)
        new = np.maximum(new, 1e-6)
        if np.max(np.abs(new - weights)) < 1e-3:
            break
        weights = new
    return np.asarray(envelope, dtype=np.float64)


def _local_mean(
    values: NDArray[np.float64], free: NDArray[np.bool_], width: int, otherwise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the line through the free values within a window, at its middle; the window grows where few are free."""
    native = kernels()
    if native is not None:
        return native.local_mean(values, free, width, _FEWEST_FREE, otherwise)
    bins = len(values)
    # Relative to what is expected, and straight instead of constant: at the edges of the band, and where the free bins
    # are on one side, their mean belongs to another frequency.
    index = np.arange(bins)
    place = index - bins / 2
    relative = np.where(free, values / otherwise, 0.0)
    inside = free.astype(np.float64)
    moments = [inside, inside * place, inside * place * place, relative, relative * place]
    running = [np.concatenate([[0.0], np.cumsum(one)]) for one in moments]
    result = np.full(bins, np.nan)
    reach = max(width // 2, 1)
    while True:
        low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, bins)
        number = running[0][high] - running[0][low]
        enough = np.flatnonzero(np.isnan(result) & (number >= min(_FEWEST_FREE, 2 * reach)))
        if len(enough):
            n, x, xx, y, xy = (one[high[enough]] - one[low[enough]] for one in running)
            middle, mean = x / n, y / n
            # A little less than the steepest line: few values do not make a slope.
            slope = (xy - middle * y) / (xx - middle * x + 0.1 * n * reach**2 / 3)
            result[enough] = mean + slope * (place[enough] - middle)
        if reach >= bins:
            break
        reach *= 2
    result[np.isnan(result)] = 1.0
    # Windows are rectangles, so a second pass takes out their corners.
    smooth = np.concatenate([[0.0], np.cumsum(result)])
    half = np.minimum(np.minimum(index, bins - 1 - index), max(width // 4, 1))
    averaged: NDArray[np.float64] = (
        (smooth[index + half + 1] - smooth[index - half]) / (2 * half + 1) * otherwise
    )
    return averaged
