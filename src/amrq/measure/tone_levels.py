# SPDX-License-Identifier: GPL-3.0-or-later
"""How many levels a keyed frequency has, and how they are spaced, once its symbol clock is known.

Two kinds of fits compete at a symbol rate. The frequency averaged over each symbol: then the responses of all symbols
to one symbol's level add up to one for any pulse, and a linear fit to the levels of neighbouring symbols, two or four,
gives their distance and the pulse's shape at once. And the frequency within each symbol by itself, by the slope of the
phase (of all estimates it has the least noise), which many tones have without neighbours in it: a lattice.

Each fit has an evidence: how much likelier, by the logarithm, the frequencies are with such levels and normal errors
than with the best of three densities without levels (uniform, normal, Laplace), less half a logarithm of the number of
symbols for each parameter (the Bayesian information criterion, Schwarz 1978).
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from amrq.measure.keyed_samples import KeyedSamples
from amrq.measure.level_likelihood import level_likelihood, smooth_likelihood
from amrq.measure.looks import median
from amrq.measure.tone_count import (
    FEW,
    LEAST_MANY,
    NEARLY,
    even_spacing,
    nearest_lattice,
    number_of_tones,
    stray_share,
    usual_spacing,
    without_stray_ends,
)
from amrq.native import LevelRounds, LevelSolution, kernels

__all__ = ["LevelFit", "fit_after_leader", "fit_levels", "fit_symbols", "levels_of_word"]

_LEAST_SYMBOLS, _LEAST_KEPT = 24, 7
"""Symbols that are fitted; where each tone is seen to be kept for some of the clock's steps, so few are enough."""
_LEAST_SLOW, _LEAST_KEYED = 6, 16
"""Symbols of slow tones whose clock is sure, and symbols of two or four levels, which are fitted, at least."""
_MOST_SYMBOLS, _LONG = 700, 1.2
"""Symbols that are fitted, at most; so many times as many there are, and so much more the last ones vary, where those
are taken instead of the first ones."""
_WORD_WITH_TAPS, _LEAST_LEFT = 12, 3
"""Symbols of a word, of which two neighbours on either side are fitted; and how many more symbols than numbers that are
fitted it has, at least."""
_LEADER, _LEAST_DATA = 24, 100
"""Symbols at the begin that are steady or two levels by turns, and symbols after them, from which on those alone are
fitted: data of two levels begin so once in 2^24."""
_TAPS = 2
"""Symbols on either side whose levels count."""
_ORDERS = (2, 4)
_PHASES = 8
_RAREST = 0.03
"""Share of the symbols that each level has at least: a few that err are no level."""
_ROUNDS = 3
_SINGULAR = 1e4
_NEIGHBOURS = 1.0
"""Squared ratio of what a fit leaves to the response to a neighbour's level, about: some tenth of the distance each."""
_INSIDE, _PRECISE = ((0.7, False), (0.9, False), (0.9, True)), 0.25
"""Of a symbol, around its middle, whose strongest tone or mean is its frequency; error of a fit that is good enough."""
_MULTIPLES = 24
_AT_ONCE = 0.6
"""Where changes of levels keep to each k-th symbol, as far as this, the symbols are k times as long."""
_KEPT = 6.5
"""Of so few changes that they may keep to it by chance, more do: of n, a share s with n s^2 above this."""
_CHANCE = 7.0
"""Minus the logarithm of the probability that so many changes keep to it by chance."""
_SWEPT = 0.5
"""How far the levels of means follow each other as those of a sweep do, at most: pieces of one have sharp means."""
_THERE = 0.15
"""Of the median power of tones: where a symbol has less, there was none."""
_TWO = 0.2
"""Of half the distance of two levels: where no more is left, there are no four. Those leave 0.4 and more."""
_PLAIN = 0.5
"""Evidence a symbol of two or four levels: where there is more, many levels are not looked for."""
_LEAST_FREE = 12
"""Symbols, below which only usual spacings are tried."""
_USUAL = 3.0
"""Logarithm of how much likelier a usual spacing is than any other one."""

_Reals = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LevelFit:
    """Levels of a keyed frequency at a symbol rate.

    Attributes:
        levels: number of levels.
        rate: symbols a second.
        half: half the distance of neighbouring levels, Hz.
        centre: middle of the levels, Hz.
        eye: half the distance at the middle of symbols, Hz.
        main: response to a symbol in its own time, over the sum of responses.
        error: RMS of what is left, over `half`.
        evidence: log-likelihood over that of a density without levels, less the cost of the parameters.
        numbers: int64 [n], level of each symbol, from 0 on.
        seen: levels from the lowest to the highest that was sent.
        likely: probability that there are as many as `levels`, where only some of them need have been sent.
        means: float64 [n], mean frequency over each symbol, Hz.
        margin: evidence less that of another number of levels, or of none.
        square: distance of the levels in averages over symbols, over that at their middle.
        first: number of the first symbol that was fitted, from the begin of the samples.
    """

    levels: int
    rate: float
    half: float
    centre: float
    eye: float
    main: float
    error: float
    evidence: float
    numbers: _Ints
    seen: int
    likely: float
    means: _Reals
    margin: float = 0.0
    square: float = 1.0
    first: int = 0

    @property
    def symbols(self) -> int:
        """Number of symbols that were fitted."""
        return len(self.means)

    @cached_property
    def changed(self) -> NDArray[np.bool_]:
        """Whether the level of each symbol but the first is another one than before, bool [n - 1]."""
        return np.asarray(self.numbers[1:] != self.numbers[:-1])

    @property
    def leader(self) -> int:
        """Number of symbols at the begin that are steady, or two levels by turns: what receivers are woken by."""
        if len(self.numbers) < 4:
            return 0
        other = np.flatnonzero(self.numbers[2:] != self.numbers[:-2])
        return int(other[0]) + 2 if len(other) else len(self.numbers)

    @cached_property
    def changes(self) -> float:
        """Share of the symbols whose level is not that of the one before, over that of random symbols, at most 1."""
        shares = np.bincount(self.numbers) / len(self.numbers)
        random = 1 - float(shares @ shares)
        return min(1.0, float(self.changed.mean()) / random) if random > 0 else 0.0

    @property
    def longest(self) -> float:
        """Share of the symbols that the longest stretch on one level takes."""
        ends = np.concatenate([[0], np.flatnonzero(self.changed) + 1, [len(self.numbers)]])
        return float(np.diff(ends).max()) / len(self.numbers)

    @property
    def surprise(self) -> float:
        """Information of a symbol whose two predecessors are known, of that of a random one, 0 to 1.

        It is 1 of random data, and 0 of a pattern that repeats. Of few symbols of many levels it is too small.
        """
        levels, numbers = self.levels, self.numbers
        if len(numbers) < 4:
            return 0.0
        before = numbers[:-2] * levels + numbers[1:-1]
        both = np.bincount(before * levels + numbers[2:], minlength=levels**3).reshape(-1, levels)
        rows = both.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = -float(np.nansum(both * np.log(both / rows)))
        return found / (float(both.sum()) * math.log(levels))

    @property
    def swept(self) -> float:
        """How far levels follow each other as those of a sweep that is cut into symbols do, 0 to 1; 0 of two levels.

        It is the share of steps that are the same as the step before, where a step from the last level seen to the
        first one goes on, too: of n levels sent at random it is about 1 / n. Of more than four levels it is at least
        the correlation of a level with the next one, of whatever sign.
        """
        steps = np.diff(self.numbers) % max(self.seen, 1)
        if self.seen < 3 or len(steps) < 2:
            return 0.0
        same = float(np.mean((steps[1:] == steps[:-1]) & (steps[1:] != 0)))
        away = self.numbers - self.numbers.mean()
        if self.seen <= _ORDERS[-1] or len(away) < _LEAST_SYMBOLS:
            return same
        power = float(away @ away)
        return max(same, abs(float(away[1:] @ away[:-1])) / power) if power > 0 else same

    @property
    def worth(self) -> float:
        """Evidence to compare rates by: of symbols much shorter than the true ones most say what others say."""
        return self.evidence * (self.changes if self.evidence > 0 else 1.0)


def fit_levels(keyed: KeyedSamples, symbol_rate: float, slow: bool = False) -> LevelFit | None:
    """Return the levels at a symbol rate, or at a fraction of it where levels keep longer; None where there are none.

    Args:
        keyed: the samples.
        symbol_rate: symbols a second.
        slow: it is that of slow tones, surely: some seven symbols are enough.

    >>> from amrq.measure.keyed_samples import keyed_samples
    >>> rng = np.random.default_rng(1)
    >>> tones = np.repeat(rng.integers(8, size=200), 20) * 50.0 - 175
    >>> iq = np.exp(2j * np.pi * np.cumsum(tones) / 1000).astype(np.complex64)
    >>> fit = fit_levels(keyed_samples(iq, 1000.0, 400.0), 50.0)
    >>> fit.levels, round(2 * fit.half), fit.evidence > 100
    (8, 50, True)
    """
    best = _fit_at(keyed, symbol_rate, _LEAST_SLOW if slow else _LEAST_SYMBOLS)
    if best is None:
        return None
    times = max(_kept_for(best.means), _changed_at(best))
    slower = _fit_at(keyed, symbol_rate / times, _LEAST_KEPT) if times > 1 else None
    return best if slower is None else slower


def fit_after_leader(keyed: KeyedSamples, fit: LevelFit) -> LevelFit:
    """Return the fit to what follows a leader where a fit begins with one, at the same rate; else the fit itself.

    A leader has the outermost levels alone, and repeats itself: of the data it says too little.
    """
    leader = fit.leader
    later = _fit_at(keyed, fit.rate, _LEAST_DATA, fit.first + leader) if leader > _LEADER else None
    return fit if later is None or not later.evidence > 0 else later


def fit_symbols(keyed: KeyedSamples, starts: _Reals, symbol_rate: float) -> LevelFit | None:
    """Return the fit of two levels to symbols that begin where they are told to; None where it is none.

    Args:
        keyed: the samples.
        starts: float64 [n], where each symbol begins, samples; ascending.
        symbol_rate: symbols a second.
    """
    step = keyed.rate / symbol_rate
    starts = starts[starts + step < len(keyed)][:_MOST_SYMBOLS]
    if len(starts) < _LEAST_SYMBOLS:
        return None
    means = np.diff(keyed.phase(starts[:, None] + np.array([0.0, 1.0]) * step), axis=1)[:, 0] / step
    eye = _eye(keyed, starts, step)
    fit = _fit_keyed(means, eye, 2, symbol_rate)
    return (
        None
        if fit is None
        else replace(fit, margin=fit.evidence, square=_squareness(means, eye, fit.numbers))
    )


def levels_of_word(means: _Reals) -> float:
    """Return the evidence of two or four levels in a word that repeats itself, as `LevelFit.worth`; negative: none.

    So few different symbols are fitted by a few parameters whether they are sent once or often: what is left after
    these is all that tells.

    Args:
        means: float64 [n], mean frequency over each symbol of the word, Hz.

    >>> rng = np.random.default_rng(1)
    >>> word = rng.permutation(np.arange(20) % 4)
    >>> levels_of_word(word + 0.05 * rng.standard_normal(20)) > 5, levels_of_word(rng.random(20)) > 0
    (True, False)
    """
    count, best = len(means), -math.inf
    taps = _TAPS if count >= _WORD_WITH_TAPS else 1
    parameters = 2 * taps + 3
    free = count - parameters
    if free < _LEAST_LEFT or not float(np.ptp(means)) > 0:
        return best
    smooth = smooth_likelihood(means)
    for order in _ORDERS:
        left, numbers = _fit_circle(means, order, taps)
        if math.isfinite(left):
            left *= math.sqrt(count / free)
            found = level_likelihood(left, numbers, order, parameters) - smooth
            changes = int(np.count_nonzero(numbers != np.append(numbers[-1:], numbers[:-1]))) / count
            best = max(best, float(found * changes * free / count if found > 0 else found))
    return best


def _fit_circle(means: _Reals, levels: int, taps: int) -> tuple[float, _Ints]:
    """Return the RMS error of so many levels, Hz, with neighbours in a circle, and the level of each; inf: none."""
    top = levels - 1
    ordered = np.sort(means)
    low, high = (float(ordered[round(share * (len(means) - 1))]) for share in (0.04, 0.96))
    centre, half = (low + high) / 2, (high - low) / 2 / top
    rest, left = means, math.inf
    numbers = np.zeros(len(means), np.int64)
    if not half > 0:
        return left, numbers
    native = kernels()
    if native is not None and native.has_circles:
        return native.circle_fit(
            means, centre, half, taps, LevelRounds(levels, _ROUNDS, _NEIGHBOURS, _SINGULAR)
        )
    around = (np.arange(len(means)) + np.arange(-taps, taps + 1)[:, None]) % len(means)
    matrix, ridge = np.ones((2 * taps + 2, len(means))), _ridge(2 * taps + 1) + 1e-6 * np.eye(2 * taps + 2)
    for _ in range(_ROUNDS):
        numbers = np.clip(np.rint(((rest - centre) / half + top) / 2), 0, top).astype(np.int64)
        points = 2.0 * numbers - top
        matrix[:-1] = points[around]
        solution = np.linalg.solve(matrix @ matrix.T + ridge, matrix @ means)
        main, half, centre = float(solution[taps]), float(solution[:-1].sum()), float(solution[-1])
        if not (half > 0 and main > 0.2 * half):
            return math.inf, numbers
        away = means - solution @ matrix
        left = math.sqrt(float(away @ away) / len(away))
        rest = (away + main * points) * (half / main) + centre
    return (left if numbers.min() == 0 and numbers.max() == top else math.inf), numbers


def _eye(keyed: KeyedSamples, starts: _Reals, step: float) -> _Reals:
    """Return the frequency in the middle fifth of each symbol, Hz."""
    return np.asarray(
        np.diff(keyed.phase(starts[:, None] + np.array([0.4, 0.6]) * step), axis=1)[:, 0] / (0.2 * step)
    )


def _fit_at(keyed: KeyedSamples, symbol_rate: float, least: int, begin: int = 0) -> LevelFit | None:
    """Return the fit from a symbol on; None where there are too few, or none fits."""
    step = keyed.rate / symbol_rate
    there = int((len(keyed) - 2) / step) - 1 - begin
    count = min(there, _MOST_SYMBOLS)
    if count < least:
        return None
    # The averages differ most where they are of whole symbols.
    away = begin * step
    whole = keyed.symbol_means(step, away, count, _PHASES)
    if there > _LONG * count:  # data may follow a leader
        later = (begin + there - count) * step
        last = keyed.symbol_means(step, later, count, _PHASES)
        if last.var() > _LONG * whole.var():
            away, whole, begin = later, last, begin + there - count
    phase = int(np.argmax(whole.var(axis=1)))
    means = whole[phase]
    starts = np.asarray((np.arange(count) + phase / _PHASES) * step + away, np.float64)
    eye = _eye(keyed, starts, step)
    found: list[LevelFit] = []
    for order in _ORDERS if count >= _LEAST_KEYED else ():
        fit = _fit_keyed(means, eye, order, symbol_rate)
        if fit is not None:
            found.append(fit)
            if fit.error < _TWO:
                break
    # Of a pattern that repeats neighbours tell nothing, and of few symbols little.
    fewest = LEAST_MANY if found else 2
    if not found or max(fit.evidence for fit in found) < _PLAIN * count:
        lattice = _fit_lattice(keyed, starts + step / 2, symbol_rate, fewest)
        found += [] if lattice is None else [lattice]
    if not found:
        return None
    best = max(found, key=lambda fit: fit.evidence)
    others = [fit.evidence for fit in found if fit.levels != best.levels]
    square = _squareness(means, eye, best.numbers) if len(best.numbers) == count else 1.0
    margin = best.evidence - max([0.0, *others])
    return replace(best, means=means, margin=margin, square=square, first=begin)


def _squareness(means: _Reals, eye: _Reals, numbers: _Ints) -> float:
    """Return how far levels are apart in averages over symbols, over that at their middle."""
    away = numbers - numbers.mean()
    middle = float(away @ eye)
    return float(away @ means) / middle if middle > 0 else 1.0


def _kept_for(means: _Reals) -> int:
    """Return for how many symbols levels keep at least: changes are at multiples of this."""
    changes = np.square(np.diff(means))
    changes = np.minimum(changes, 4 * float(changes.mean()))
    whole = float(changes.sum())
    most = min(_MULTIPLES, len(means) // _LEAST_KEPT)
    if not whole > 0 or most < 2:
        return 1
    many = whole * whole / float(changes @ changes)  # changes that count
    least = max(_AT_ONCE, math.sqrt(_KEPT / many))
    kept = np.abs(_turns()[: most - 1, : len(changes)] @ changes) > least * whole
    return int(np.flatnonzero(kept)[-1]) + 2 if kept.any() else 1


@lru_cache(maxsize=1)
def _turns() -> NDArray[np.complex128]:
    """Return a turn in each two, three ... symbols, complex [_MULTIPLES - 1, _MOST_SYMBOLS]."""
    return np.exp(2j * np.pi * np.arange(_MOST_SYMBOLS) / np.arange(2, _MULTIPLES + 1)[:, None])


def _changed_at(fit: LevelFit) -> int:
    """Return for how many symbols levels keep by the levels that were decided: their changes are at multiples of this.

    That so many changes are at multiples of k by chance has the probability k^(1 - n).
    """
    places = np.flatnonzero(fit.changed)
    most = min(_MULTIPLES, fit.symbols // _LEAST_KEPT)
    if len(places) < 3 or fit.evidence < 0:
        return 1
    apart = int(np.gcd.reduce(np.diff(places)))  # those at multiples of its divisors are at multiples of it
    for times in range(most, 1, -1):
        if (len(places) - 1) * math.log(times) > _CHANCE and apart % times == 0:
            return times
    return 1


def _fit_keyed(means: _Reals, eye: _Reals, levels: int, symbol_rate: float) -> LevelFit | None:
    """Return the fit of so many levels to averages over symbols, decided and fitted in turns."""
    count = len(means)
    ordered = np.sort(means)
    low, high = float(ordered[round(0.04 * (count - 1))]), float(ordered[round(0.96 * (count - 1))])
    centre, half = (low + high) / 2, (high - low) / 2 / (levels - 1)
    if not half > 0:
        return None
    native = kernels()
    if native is not None and native.has_levels:
        solved = native.level_fit(means, centre, half, LevelRounds(levels, _ROUNDS, _NEIGHBOURS, _SINGULAR))
    else:
        solved = _solved(means, centre, half, levels)
    if solved is None:
        return None
    half, main = float(solved.response.sum()), float(solved.response[_TAPS])
    numbers = np.asarray((solved.points + (levels - 1)) / 2, np.int64)
    # What is left, by the symbols that are not used up by the parameters.
    inner = means[_TAPS : count - _TAPS]
    left = math.sqrt(solved.left / (len(inner) - 2 * _TAPS - 2))
    if np.bincount(numbers, minlength=levels).min() < max(1.0, _RAREST * count):
        return None
    own = solved.points[_TAPS : count - _TAPS] - solved.points[_TAPS : count - _TAPS].mean()
    seen = float(own @ eye[_TAPS : count - _TAPS]) / float(own @ own)
    evidence = level_likelihood(left, numbers[_TAPS : count - _TAPS], levels, 2 * _TAPS + 3)
    return LevelFit(
        levels=levels,
        rate=symbol_rate,
        half=half,
        centre=solved.centre,
        eye=seen,
        main=main / half,
        error=left / half,
        evidence=evidence - smooth_likelihood(inner),
        numbers=numbers,
        seen=levels,
        likely=1.0,
        means=means,
    )


def _solved(means: _Reals, centre: float, half: float, levels: int) -> LevelSolution | None:
    """Return levels, decided and fitted in turns, as `LevelKernels.level_fit`; None where there are no such levels."""
    count, taps = len(means), 2 * _TAPS + 1
    rest, inner = means, means[_TAPS : count - _TAPS]
    matrix = np.ones((len(inner), taps + 1))
    solution, decided = np.zeros(taps + 1), np.zeros(count)
    for _ in range(_ROUNDS):
        numbers = np.clip(np.rint((rest - centre) / (2 * half) + (levels - 1) / 2), 0, levels - 1)
        decided = 2.0 * numbers - (levels - 1)
        for tap in range(taps):
            matrix[:, tap] = decided[tap : len(inner) + tap]
        gram = matrix.T @ matrix
        strengths = np.linalg.eigvalsh(gram)
        if not float(strengths[-1]) < _SINGULAR * float(strengths[0]):
            return None  # a pattern that repeats tells too little
        solution = np.linalg.solve(gram + _ridge(taps), matrix.T @ inner)
        response, centre = solution[:taps], float(solution[-1])
        half = float(response.sum())
        main = float(response[_TAPS])
        if not half > 0 or not main > 0.2 * half:
            return None
        # What neighbours add is taken off, and the symbol's own response is what its level is judged by.
        away = inner - matrix @ solution + main * decided[_TAPS : count - _TAPS]
        rest = np.concatenate([means[:_TAPS], away * (half / main) + centre, means[count - _TAPS :]])
    left = inner - matrix @ solution
    return LevelSolution(solution[:taps], centre, float(left @ left), decided)


@lru_cache(maxsize=3)
def _ridge(taps: int) -> _Reals:
    """Return what is added to the sums of squares: neighbours have little, where nothing else tells."""
    diagonal = np.full(taps + 1, _NEIGHBOURS)
    diagonal[taps // 2] = diagonal[taps] = 0.0
    return np.diag(diagonal)


def _fit_lattice(keyed: KeyedSamples, middles: _Reals, symbol_rate: float, fewest: int) -> LevelFit | None:
    """Return the fit of many evenly spaced levels: of most of each symbol, or of nearly all where that leaves much.

    Where the frequency itself is noisy, more of a symbol has less of it; where pulses are round, neighbours begin.
    """
    best: LevelFit | None = None
    step = keyed.rate / symbol_rate
    found: tuple[float, _Reals, NDArray[np.bool_]] | None = None
    for share, mean in _INSIDE:
        if found is None or found[0] != share:
            tones, strength = keyed.tones(middles, share * step)
            found = share, tones, strength > _THERE * median(strength)
        _, inside, there = found
        if mean:  # of a frequency that is noisy itself the mean tells most
            inside = np.diff(keyed.phase(middles[:, None] + np.array([-0.5, 0.5]) * share * step))[:, 0]
            inside /= share * step
        inside = inside[there]
        fit = _on_lattice(inside, symbol_rate, fewest) if len(inside) >= _LEAST_SLOW else None
        if fit is not None and (best is None or fit.error < best.error) and not (mean and fit.swept > _SWEPT):
            best = fit
        if best is not None and (best.error < _PRECISE or best.levels < LEAST_MANY):
            break
        fewest = LEAST_MANY
    return best


def _on_lattice(inside: _Reals, symbol_rate: float, fewest: int) -> LevelFit | None:
    """Return the fit of evenly spaced levels to frequencies: how they are spaced, the characteristic function shows.

    Where noise hides that, spacings that systems have are likelier than others.
    """
    ordered = np.sort(inside)
    count = len(ordered)
    low, high = float(ordered[round(0.01 * (count - 1))]), float(ordered[round(0.99 * (count - 1))])
    reach = high - low
    if not reach > 0:
        return None
    usual, tried = usual_spacing(inside, symbol_rate)
    smooth = smooth_likelihood(inside)
    best = _spaced_by(inside, (usual, tried), smooth, symbol_rate, fewest) if tried else None
    if count < _LEAST_FREE or (tried and count < FEW):
        return best
    if best is not None and not _is_usual(best, usual):
        best = None
    free, tried = even_spacing(inside, low, reach)
    other = _spaced_by(inside, (free, tried), smooth, symbol_rate, fewest) if tried else None
    if best is None or (other is not None and other.evidence > best.evidence + _USUAL):
        return other
    return best


def _is_usual(fit: LevelFit, spacing: float) -> bool:
    """Return whether a fit is of many tones with a usual spacing: pieces of a sweep are evenly spaced as well."""
    near = abs(2 * fit.half / spacing - 1) < 2 * NEARLY
    return near and fit.seen >= LEAST_MANY and fit.swept <= _SWEPT


def _spaced_by(
    inside: _Reals, spaced: tuple[float, int], smooth: float, symbol_rate: float, fewest: int
) -> LevelFit | None:
    """Return the fit of levels whose spacing is known roughly, of so many that were tried; None where there is none.

    Args:
        inside: float64 [n], frequencies, Hz.
        spaced: spacing, Hz, and how many were tried.
        smooth: likelihood of the frequencies without levels.
        symbol_rate: symbols a second.
        fewest: levels, at least.
    """
    spacing, tried = spaced
    count = len(inside)
    lattice = nearest_lattice(inside, spacing)
    if lattice is None:
        return None
    spacing, numbers = lattice.spacing, lattice.numbers
    strays = round(stray_share(lattice.away) * count / 2)
    inner = np.sort(numbers)[strays : count - strays]
    if not len(inner):
        return None
    lowest, highest = without_stray_ends(inner, lattice.deviation / spacing)
    seen = highest - lowest + 1
    if seen < fewest:
        return None
    left = math.sqrt(lattice.squares / max(1, count - 3))
    placed = np.clip(numbers - lowest, 0, seen - 1)
    evidence = level_likelihood(left, placed, seen, 4) - smooth
    levels, likely = number_of_tones(seen, count, symbol_rate) if seen >= LEAST_MANY else (seen, 1.0)
    middle = lattice.offset + spacing * (lattice.lowest + (lowest + highest) / 2)
    return LevelFit(
        levels=levels,
        rate=symbol_rate,
        half=spacing / 2,
        centre=middle,
        eye=spacing / 2,
        main=1.0,
        error=2 * left / spacing,
        evidence=evidence - math.log(tried),
        numbers=placed,
        seen=seen,
        likely=likely,
        means=inside,
    )
