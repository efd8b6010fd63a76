# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for levels of a keyed frequency.

What they compute, `amrq.measure.tone_levels`, `tone_count`, `tone_clock` and `closed_eye` say with NumPy.
"""

import ctypes
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["EvenLevels", "Lattice", "LevelKernels", "LevelRounds", "LevelSolution"]

_SIDE = 2
"""Neighbours on either side whose levels count."""
_SMALL = 1e-6
"""Added to each sum of squares of a word's levels, so that a word of one level alone has a solution."""

_Reals = NDArray[np.float64]


class LevelRounds(NamedTuple):
    """How levels are fitted.

    Attributes:
        levels: how many there are, at least 2.
        rounds: of deciding and fitting, at least 1.
        ridge: added to the sum of squares of each neighbour: it has little response where nothing else tells.
        singular: largest over smallest eigenvalue of the sums of squares, at most: a pattern that repeats has more.
    """

    levels: int
    rounds: int
    ridge: float
    singular: float


class LevelSolution(NamedTuple):
    """Levels fitted to mean frequencies.

    Attributes:
        response: to each symbol, in the time of two before to two after it, float64 [5].
        centre: middle of the levels.
        left: sum of the squares of what the fit leaves.
        points: level of each symbol, -(levels - 1), ... in steps of 2, float64 [n].
    """

    response: _Reals
    centre: float
    left: float
    points: _Reals


class EvenLevels(NamedTuple):
    """Evenly spaced levels fitted to values.

    Attributes:
        error: RMS of what is left, over `half`; infinite where nothing fits.
        half: half the distance of neighbouring levels.
        centre: middle of the levels.
        numbers: level of each value, int64 [n], from 0 on.
    """

    error: float
    half: float
    centre: float
    numbers: NDArray[np.int64]


class Lattice(NamedTuple):
    """Many evenly spaced levels fitted to values.

    Attributes:
        spacing: of the levels.
        offset: place of level 0.
        lowest: number of the lowest level.
        numbers: level of each value, int64 [n], from 0, the lowest one, on.
        away: how far each value is from its level, spacings, float64 [n], 0 or more.
        squares: sum of the squares of what is left.
        deviation: standard deviation of what is left.
    """

    spacing: float
    offset: float
    lowest: int
    numbers: NDArray[np.int64]
    away: _Reals
    squares: float
    deviation: float


class LevelKernels:
    """Functions of the library for levels of a keyed frequency.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
        # Not in a library that was built before.
        self.has_levels = hasattr(library, "amrq_even_levels")
        self.has_lines_of_clocks = self.has_lattices = self.has_row_tops = self.has_circles = False
        if not self.has_levels:
            return
        self._symbol_means = library.amrq_symbol_means
        self._symbol_means.argtypes = [pointer, pointer, real, real, number, number, pointer]
        self._symbol_means.restype = None
        self._level_fit = library.amrq_level_fit
        self._level_fit.argtypes = [
            *(pointer, number, number, pointer, number),
            *(real, real, pointer, pointer, pointer),
        ]
        self._level_fit.restype = real
        self._even_levels = library.amrq_even_levels
        self._even_levels.argtypes = [pointer, number, number, real, number, pointer, pointer]
        self._even_levels.restype = real
        self.has_lines_of_clocks = hasattr(library, "amrq_clearest_line")
        if not self.has_lines_of_clocks:
            return
        self._faded = library.amrq_faded
        self._faded.argtypes = [pointer, pointer, number, number, pointer]
        self._faded.restype = None
        self._clearest_line = library.amrq_clearest_line
        self._clearest_line.argtypes = [pointer, *[number] * 4, real, *[pointer] * 3]
        self._clearest_line.restype = number
        self.has_lattices = hasattr(library, "amrq_lattice")
        if not self.has_lattices:
            return
        self._evenness = library.amrq_evenness
        self._evenness.argtypes = [pointer, number, pointer, number, pointer]
        self._evenness.restype = None
        self._lattice = library.amrq_lattice
        self._lattice.argtypes = [pointer, number, pointer, pointer, pointer]
        self._lattice.restype = number
        self.has_row_tops = hasattr(library, "amrq_row_tops")
        if not self.has_row_tops:
            return
        self._spreads = library.amrq_spreads
        self._spreads.argtypes = [pointer, number, pointer, pointer]
        self._spreads.restype = None
        self._row_tops = library.amrq_row_tops
        self._row_tops.argtypes = [pointer, number, number, pointer, pointer]
        self._row_tops.restype = None
        self._tone_changes = library.amrq_tone_changes
        self._tone_changes.argtypes = [*[pointer] * 4, number, number, pointer, pointer]
        self._tone_changes.restype = None
        self.has_circles = hasattr(library, "amrq_circle_fit")
        if not self.has_circles:
            return
        self._circle_fit = library.amrq_circle_fit
        self._circle_fit.argtypes = [
            *(pointer, number, number, number, pointer, number),
            *(real, real, pointer, pointer),
        ]
        self._circle_fit.restype = real

    def symbol_means(
        self, phase: _Reals, frequency: _Reals, clock: tuple[float, float], count: int, phases: int
    ) -> _Reals:
        """Return the mean frequency over each of `count` symbols, for phases of the clock, float64 [phases, count].

        Args:
            phase: sum of the frequency before each sample and after the last one, float64 [n + 1].
            frequency: float64 [n].
            clock: samples a symbol, and samples before the first one.
            count: of symbols; those of the last phase end within the samples.
            phases: of the clock, at least 1.

        Raises:
            ValueError: the symbols do not lie within the samples.
        """
        step, away = clock
        held, sums = _row(frequency), _row(phase)
        if not (step > 0 and away >= 0 and count >= 0 and phases > 0 and len(sums) > len(held)) or not (
            (count + (phases - 1) / phases) * step + away < len(held)
        ):
            raise ValueError(
                f"{count} symbols of {step:g} from {away:g} do not lie within {len(held)} samples."
            )
        out = np.empty((phases, count))
        self._symbol_means(address(sums), address(held), step, away, count, phases, address(out))
        return out

    def level_fit(self, means: _Reals, centre: float, half: float, how: LevelRounds) -> LevelSolution | None:
        """Return the levels of symbols by their mean frequencies; None where there are no such levels.

        Args:
            means: float64 [n], n above 4, finite.
            centre: middle of the levels, to begin with.
            half: half their distance, above 0, to begin with.
            how: they are fitted.

        Raises:
            ValueError: there are too few values, levels or rounds, or no distance.
        """
        held = _row(means)
        if len(held) <= 2 * _SIDE or how.levels < 2 or how.rounds < 1 or not half > 0:
            raise ValueError(f"{len(held)} values cannot be fitted {how.levels} levels, {half:g} apart.")
        start, solution = np.array([centre, half]), np.empty(2 * _SIDE + 2)
        points, room = np.empty(len(held)), np.empty(len(held))
        left = self._level_fit(
            *(address(held), len(held), how.levels - 1, address(start), how.rounds),
            *(how.ridge, how.singular, address(solution), address(points), address(room)),
        )
        if left < 0:
            return None
        return LevelSolution(solution[:-1], float(solution[-1]), left, points)

    def circle_fit(
        self, means: _Reals, centre: float, half: float, taps: int, how: LevelRounds
    ) -> tuple[float, NDArray[np.int64]]:
        """Return the RMS error of levels of a word that is sent again and again, and the level of each of its symbols.

        Args:
            means: float64 [n], the mean frequency over each symbol of the word, finite.
            centre: middle of the levels, to begin with.
            half: half their distance, above 0, to begin with.
            taps: neighbours on either side whose levels count, 1 or 2, fewer than n.
            how: they are fitted; a word that is singular has infinite error, whatever `singular` is.

        Raises:
            ValueError: there are too few values, levels or rounds, or no distance, or there are too many neighbours.
        """
        held = _row(means)
        if not 1 <= taps <= _SIDE or len(held) <= taps or how.levels < 2 or how.rounds < 1 or not half > 0:
            raise ValueError(
                f"{len(held)} values cannot be fitted {how.levels} levels and {taps} neighbours."
            )
        start, numbers, room = (
            np.array([centre, half]),
            np.zeros(len(held), np.int64),
            np.empty(2 * len(held) + 2 * taps),
        )
        left = self._circle_fit(
            *(address(held), len(held), how.levels - 1, taps, address(start), how.rounds),
            *(how.ridge, _SMALL, address(numbers), address(room)),
        )
        return left if left >= 0 else math.inf, numbers

    def even_levels(self, values: _Reals, levels: int, half: float, rounds: int) -> EvenLevels:
        """Return evenly spaced levels about 0 that are nearest to values.

        Args:
            values: float64 [n], n at least 1, finite.
            levels: how many there are, at least 2.
            half: half their distance, to begin with.
            rounds: of deciding and fitting, at least 1.
        """
        held = _row(values)
        if not len(held) or levels < 2 or rounds < 1:
            raise ValueError(f"{len(held)} values cannot be fitted {levels} levels.")
        found, numbers = np.empty(2), np.zeros(len(held), np.int64)
        error = self._even_levels(
            *(address(held), len(held), levels - 1, half, rounds, address(found), address(numbers))
        )
        return EvenLevels(error if error >= 0 else math.inf, float(found[0]), float(found[1]), numbers)

    def evenness(self, values: _Reals, spacings: _Reals) -> _Reals:
        """Return how even values are at spacings, 0 to 1, float64 [k]: 1 where they are multiples apart.

        Args:
            values: float64 [n], n at least 1, finite.
            spacings: float64 [k], above 0.
        """
        held, tried = _row(values), _row(spacings)
        if not len(held):
            raise ValueError("there are no values.")
        even = np.empty(len(tried))
        self._evenness(address(held), len(held), address(tried), len(tried), address(even))
        return even

    def lattice(self, values: _Reals, spacing: float) -> Lattice | None:
        """Return the evenly spaced levels that are nearest to values; None where there are no two.

        Args:
            values: float64 [n], n at least 1, finite.
            spacing: of the levels, right to some hundredths of their number, above 0.
        """
        held = _row(values)
        if not len(held) or not spacing > 0:
            raise ValueError(f"{len(held)} values have no levels {spacing:g} apart.")
        count, found = len(held), np.empty(5)
        found[0] = spacing
        numbers, away = np.empty(count, np.int64), np.empty(count)
        if not self._lattice(address(held), count, address(found), address(numbers), address(away)):
            return None
        distance, offset, lowest, squares, left = found.tolist()
        spread = max(0.0, squares / count - (left / count) ** 2)
        return Lattice(distance, offset, int(lowest), numbers, away, squares, math.sqrt(spread))

    def spreads(self, values: _Reals) -> tuple[float, float, float]:
        """Return how far values reach, their variance, and their mean distance from the median.

        Args:
            values: float64 [n], n at least 1, finite.
        """
        held = _row(values)
        if not len(held):
            raise ValueError("there are no values.")
        found, room = np.empty(3), np.empty(2 * len(held) + 9)
        self._spreads(address(held), len(held), address(room), address(found))
        reach, variance, away = found.tolist()
        return reach, variance, away

    def row_tops(self, spectra: NDArray[np.complex64]) -> tuple[_Reals, NDArray[np.float32]]:
        """Return where each row of spectra is highest, between bins, float64 [rows], and its square, float32 [rows].

        Args:
            spectra: complex64 [rows, n], n at least 1.
        """
        if spectra.dtype != np.complex64 or spectra.ndim != 2 or not spectra.shape[1]:
            raise ValueError(f"complex64 [rows, n] is needed, not {spectra.dtype} {list(spectra.shape)}.")
        held = np.ascontiguousarray(spectra)
        places, powers = np.empty(len(held)), np.empty(len(held), np.float32)
        self._row_tops(address(held), *held.shape, address(places), address(powers))
        return places, powers

    def tone_changes(
        self,
        samples: NDArray[np.complex64],
        middles: NDArray[np.int64],
        tones: tuple[_Reals, _Reals],
        reach: int,
    ) -> NDArray[np.int64]:
        """Return the moments at which one tone becomes another, samples from middles, int64 [changes].

        Args:
            samples: complex64 [n].
            middles: int64 [changes], samples about which each one is looked for.
            tones: before and after, turns a sample, float64 [changes] each.
            reach: samples to either side of a middle, at least 3, which are within the samples.

        Raises:
            ValueError: they are not.
        """
        before, after = map(_row, tones)
        if (
            samples.dtype != np.complex64
            or samples.ndim != 1
            or not len(before) == len(after) == len(middles)
        ):
            raise ValueError(f"complex64 [n] and as many tones as middles are needed, not {samples.dtype}.")
        held, places = np.ascontiguousarray(samples), np.ascontiguousarray(middles, np.int64)
        if reach < 3 or (len(places) and not reach <= places.min() <= places.max() <= len(held) - reach):
            raise ValueError(f"{reach} samples about middles must be within {len(held)}.")
        moments, room = np.empty(len(places), np.int64), np.empty(2 * reach + 1)
        self._tone_changes(
            *(address(held), address(places), address(before), address(after), len(places), reach),
            *(address(room), address(moments)),
        )
        return moments

    def faded(
        self, values: NDArray[np.float32], window: NDArray[np.float32], length: int
    ) -> NDArray[np.float32]:
        """Return values less their mean, times a window, with zeros behind them, float32 [length].

        Args:
            values: float32 [n], n at least 1.
            window: float32 [n].
            length: at least n.
        """
        if not values.dtype == window.dtype == np.float32 or not values.shape == window.shape == (
            len(values),
        ):
            raise ValueError(f"float32 [n], and as long a window, are needed, not {values.dtype}.")
        if not 1 <= len(values) <= length:
            raise ValueError(f"1 to {length} values are needed, not {len(values)}.")
        held, weights = np.ascontiguousarray(values), np.ascontiguousarray(window)
        out = np.empty(length, np.float32)
        self._faded(address(held), address(weights), len(held), length, address(out))
        return out

    def clearest_line(
        self, spectrum: NDArray[np.complex64], places: tuple[int, int], local: int, share: float
    ) -> tuple[float, int, _Reals]:
        """Return how far the clearest line stands out of those around it, its place, and magnitudes about it.

        Args:
            spectrum: complex64 [n].
            places: the first one that is looked at, at least 1, and the one after the last, below n.
            local: places to either side that are the floor, at least 1.
            share: of the mean floor, that is added to each.

        Returns:
            Magnitude over the floor; its place; magnitudes before, at and after it, float64 [3].
        """
        first, last = places
        if spectrum.dtype != np.complex64 or spectrum.ndim != 1:
            raise ValueError(f"complex64 [n] is needed, not {spectrum.dtype} {list(spectrum.shape)}.")
        if not 1 <= first < last < len(spectrum) or local < 1:
            raise ValueError(f"places {first} to {last} must lie within {len(spectrum)}.")
        held, found = np.ascontiguousarray(spectrum), np.empty(4)
        sums, magnitudes = np.empty(len(held) + 1), np.empty(len(held), np.float32)
        top = self._clearest_line(
            *(address(held), len(held), first, last, local, share),
            *(address(sums), address(magnitudes), address(found)),
        )
        return float(found[0]), int(top), found[1:]


def _row(values: _Reals) -> _Reals:
    held = np.ascontiguousarray(values, np.float64)
    if held.ndim != 1:
        raise ValueError(f"one axis is needed, not {list(held.shape)}.")
    return held
