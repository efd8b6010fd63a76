# SPDX-License-Identifier: GPL-3.0-or-later
"""The spectral lines that a stream of symbols shows, step by step: the search that carrier recovery chooses from.

Every 32 symbols (a *step*) the powers of the newest symbols are looked at in short and long averages of spectra, in
fine fits of the last 256 or 1,024 symbols, and, where no line stands still, in searches for chirps of the last 128.
What is found depends on the symbols alone; which line is a carrier's, `CarrierRecovery` decides.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.measure.carrier_lines import (
    ORDERS,
    Chirps,
    Fit,
    PowerFunctions,
    averages,
    binary_lines,
    binary_places,
    peak_frequencies,
    sliding,
    spectra,
    wander,
)
from amrq.native import kernels

__all__ = [
    "FIT",
    "FIT_AHEAD",
    "FIT_LINE",
    "LATE",
    "SHORT",
    "SLOW_AHEAD",
    "SLOW_FIT",
    "STEP",
    "Fits",
    "LineSearch",
    "Lines",
    "Wander",
]

Complex = NDArray[np.complexfloating[Any, Any]]

STEP = 32
"""Symbols a step, and a chunk of the classifier: frequency changes at the borders of chunks only."""
LATE = 4
"""Steps by which a step leaves late: the windows of its fits then lie around it."""
SHORT = 8
"""Spectra in the short average."""
_LONG = 32  # in the long one
FIT = 256
"""Symbols in the fine fit."""
SLOW_FIT = 1024
"""Symbols in the fine fit of a line that only the long average shows."""
FIT_LINE = 17.0
"""Power, in units of the floor, from which on a fit is a line."""

_DIFFERENT_ORDERS = tuple(sorted(set(ORDERS.tolist())))
_SEGMENT = 64  # symbols in one short spectrum: two steps
_BINS = 128  # twice the segment, so that a line between two bins loses 0.9 dB instead of 3.9 dB
_DRIFTS, _SLOW_DRIFTS = 6, 12  # of the fits' grids on either side

# Where no line stands still, chirps of the last 128 symbols are searched: every 8 steps, every 4 where a line moves.
# Drifts reach 2.4e-4 cycles/symbol^2 for M = 2 and 4, 2.1e-4 for M = 8 and 6e-5 for M = 16; half a spacing turns a
# window's ends by a quarter cycle.
_CHIRP = 128
_CHIRP_SPACING = 2.4e-4
_CHIRP_COUNTS = (2, 4, 4, 4, 7, 4)
_CHIRP_STEPS = 4

# Powers, in units of the floor, that a line must have. White noise and the lesser powers of noise-free
# constellations reached 5.7 (short), 2.8 (long) and 21 (fit, 1 in 1,000 above 15) in 12,500 steps each;
# several must agree.
_SHORT_LINE = 5.0
_LONG_LINE = 2.5
_CHIRP_LINE = 16.0
_READ_LINE = 3.0  # long average, where no fit succeeds
_MOST_POWER = 1e30  # of a symbol: all that carrier recovery takes have less
_PLAIN_LINE = 100.0  # fit that needs no comparing with other functions of the same order

# Symbols from the middle of a window, which ends with the newest step, to the middle of the step that leaves.
_LEAVING = (LATE + 0.5) * STEP
FIT_AHEAD = FIT / 2 - _LEAVING
SLOW_AHEAD = SLOW_FIT / 2 - _LEAVING


class Fits(NamedTuple):
    """Fine fits of the M-th power, each array [6, steps]; quality is zero where nothing was fitted."""

    rates: NDArray[np.float64]  # cycles/symbol in the window's middle
    drifts: NDArray[np.float64]  # cycles/symbol^2
    quality: NDArray[np.float64]  # the line's power in units of the floor
    broad: NDArray[np.bool_]  # the line's phase wanders


class Wander(NamedTuple):
    """A broad line in the step that leaves."""

    rate: float  # cycles/symbol, of the carrier
    phase: NDArray[np.float32]  # cycles by which its symbols are turned besides, [32]


class Lines(NamedTuple):
    """What a batch shows, each array [6, steps] unless said."""

    fits: Fits
    slow: Fits
    readable: NDArray[np.bool_]  # the long average alone shows the line
    far: NDArray[np.float64]  # its frequency there
    wanders: dict[tuple[int, int], Wander]  # of broad lines, by function and step
    binary: NDArray[
        np.float64
    ]  # [steps], frequency of a line at M = 2 where no carrier is looked for; NaN: none


class _Searched(NamedTuple):
    """What all searches up to one offset have in common: constants."""

    functions: PowerFunctions
    bins: NDArray[np.float64]  # cycles/symbol
    barred: NDArray[np.bool_]  # where no carrier is looked for, [6, bins]
    fit: Fit
    slow_fit: Fit
    chirps: Chirps


@lru_cache(maxsize=16)
def _searched(max_offset: float) -> _Searched:
    """Return what is searched for a carrier up to an offset, cycles/symbol."""
    bins = np.fft.fftfreq(_BINS, 1.0).astype(np.float64)
    return _Searched(
        PowerFunctions(),
        bins,
        np.abs(bins)[None, :] > ORDERS[:, None] * max_offset + 0.5 / _BINS,
        Fit(FIT, _DRIFTS),
        Fit(SLOW_FIT, _SLOW_DRIFTS),
        Chirps(_CHIRP, _CHIRP_SPACING, _CHIRP_COUNTS, max_offset, _CHIRP_LINE),
    )


@cache
def _silence() -> tuple[NDArray[np.float64], NDArray[np.complex64], NDArray[np.float32], NDArray[np.float32]]:
    """Return what is before a stream: powers of steps, functions, their spectra, energies; not to be written to."""
    found = (
        np.zeros(SHORT - 1),
        np.zeros((len(ORDERS), SLOW_FIT - STEP), np.complex64),
        np.zeros((len(ORDERS), _LONG - 1, _BINS), np.float32),
        np.zeros((len(ORDERS), _LONG - 1), np.float32),
    )
    for one in found:
        one.setflags(write=False)
    return found


class LineSearch:
    """Look for lines in a stream of symbols.

    The result does not depend on how the stream is cut into calls.

    Args:
        max_offset: largest offset of the carrier that is looked for, cycles/symbol.

    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(np.exp(0.5j * np.pi * np.arange(4)), 512) * np.exp(0.1j * np.arange(512))
    >>> lines = LineSearch(0.15).look(symbols.astype(np.complex64))
    >>> row, step = 1, 15  # the fourth power, after 512 symbols
    >>> lines.fits.quality.shape, round(float(lines.fits.rates[row, step]) / 4, 4)
    ((6, 16), 0.0159)
    """

    def __init__(self, max_offset: float) -> None:
        known = _searched(max_offset)
        self._functions, self._bins, self._barred = known.functions, known.bins, known.barred
        self._fit, self._slow_fit, self._chirps = known.fit, known.slow_fit, known.chirps
        self.reset()

    def reset(self) -> None:
        """Begin a stream."""
        self._power, self._shaped, self._spectra, self._energy = _silence()
        self._chirped = np.zeros((3, len(ORDERS)))  # the last search: rates, drifts, whether there is a line
        self.count = 0
        """Steps since the start."""

    def look(self, data: NDArray[np.complex64]) -> Lines:
        """Look for lines in whole steps, complex64 [32 m], and those before them."""
        steps = len(data) // STEP
        shaped = self._take_in(data, steps)
        short_bin, long_bin, short_line, long_line, short_place, long_place, binary = self._strongest(
            shaped, steps
        )

        # Averages that are not full yet are noisier.
        seen = np.minimum(self.count + 1 + np.arange(steps), _LONG)
        short_seen = short_line > 1 + (_SHORT_LINE - 1) * np.sqrt(SHORT / np.minimum(seen, SHORT))
        long_seen = long_line > 1 + (_LONG_LINE - 1) * _LONG / seen
        still = np.zeros(short_seen.shape)
        fits = self._fits(shaped, self._fit, self._bins[short_bin], still, short_seen)
        fits = self._with_chirps(shaped, fits, short_seen)
        slow_seen = long_seen & ~short_seen & ~(fits.quality > FIT_LINE).any(axis=0)
        slow = self._fits(shaped, self._slow_fit, self._bins[long_bin], still, slow_seen)
        readable = long_seen & (long_line > _READ_LINE) & (seen == _LONG)
        self.count += steps
        wanders = self._wanders(steps, shaped, fits, short_place)
        return Lines(fits, slow, readable, long_place, wanders, binary)

    def _take_in(self, data: NDArray[np.complex64], steps: int) -> NDArray[np.complex64]:
        """Return the functions of these symbols and of those before them, complex64 [6, 992 + 32 steps]."""
        level = self._level(data)
        kept = SLOW_FIT - STEP
        shaped = np.empty((len(ORDERS), kept + len(data)), np.complex64)
        shaped[:, :kept] = self._shaped
        self._functions.write(data, level, shaped)
        self._shaped = shaped[:, -kept:].copy()
        return shaped

    def _strongest(self, shaped: NDArray[np.complex64], steps: int) -> tuple[NDArray[Any], ...]:
        """Return bins, powers and frequencies of the strongest lines of the short and the long average, [6, steps].

        Returns:
            bins (short, long), powers in units of the floor, frequencies in cycles/symbol, and the strongest line of
            the first function where no carrier is looked for, see `binary_lines`.
        """
        # Short spectra, one a step, over the step and the one before it.
        before = _LONG - 1
        powers = np.empty((len(ORDERS), before + steps, _BINS), np.float32)
        energies = np.empty((len(ORDERS), before + steps), np.float32)
        powers[:, :before], energies[:, :before] = self._spectra, self._energy
        native = kernels()
        if native is not None:
            native.line_spectra(shaped, steps, powers, energies)
        else:
            pieces = sliding(shaped[:, -(steps + 1) * STEP :], _SEGMENT)[:, ::STEP]
            spectrum = spectra(pieces, _BINS)
            powers[:, before:] = spectrum.real**2 + spectrum.imag**2
            energies[:, before:] = np.einsum("ijk,ijk->ij", pieces.real, pieces.real) + np.einsum(
                "ijk,ijk->ij", pieces.imag, pieces.imag
            )
        self._spectra, self._energy = powers[:, steps:].copy(), energies[:, steps:].copy()
        if native is not None:
            found = native.line_averages(powers, energies, self._barred)
            place, strength = found.binary
            return (*found.bins, *found.lines, *found.places, binary_places(place, strength, _BINS))
        short, long = averages(powers, energies, steps, (SHORT, _LONG))
        binary = binary_lines(np.where(self._barred[0], short[0], np.float32(0)))
        for level in (short, long):
            level[np.broadcast_to(self._barred[:, None, :], level.shape)] = 0.0
        bins = [level.argmax(axis=2) for level in (short, long)]
        lines = [
            np.take_along_axis(level, peak[..., None], 2)[..., 0]
            for level, peak in zip((short, long), bins, strict=True)
        ]
        places = [peak_frequencies(level, peak) for level, peak in zip((short, long), bins, strict=True)]
        return (*bins, *lines, *places, binary)

    def _level(self, data: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Mean power of the eight steps up to each, float32 [steps]."""
        steps = len(data) // STEP
        native = kernels()
        if native is not None and steps:
            recent = native.span_powers(data[None], 0, len(data), STEP, _MOST_POWER)
        else:
            recent = np.mean(np.abs(data).reshape(steps, STEP).astype(np.float64) ** 2, axis=1)
        power = np.concatenate((self._power, recent))
        self._power = power[-(SHORT - 1) :].copy()
        pair = power[1:] + power[:-1]
        quad = pair[2:] + pair[:-2]
        return np.asarray((quad[4:] + quad[:-4]) / SHORT, dtype=np.float32)

    def _fits(
        self,
        shaped: NDArray[np.complex64],
        fit: Fit,
        rates: NDArray[np.float64],
        drifts: NDArray[np.float64],
        seen: NDArray[np.bool_],
    ) -> Fits:
        """Fine fits over the last symbols of each step, for the least order with a line; all arrays [6, steps]."""
        native = kernels()
        if native is not None:
            near = np.stack((rates, drifts))
            limits = (_PLAIN_LINE, FIT_LINE)
            numbers, broad = native.line_fits(shaped, ORDERS, seen, near, fit.native, limits)
            return Fits(numbers[0], numbers[1], numbers[2], broad)
        empty = np.zeros(seen.shape)
        found = Fits(empty, empty.copy(), empty.copy(), np.zeros(seen.shape, np.bool_))
        unsettled = np.ones(seen.shape[1], bool)
        windows = sliding(shaped[:, -(seen.shape[1] - 1) * STEP - fit.window :], fit.window)[:, ::STEP]
        for order in _DIFFERENT_ORDERS:
            rows = np.flatnonzero(order == ORDERS)
            wanted = unsettled.copy()
            for row in rows:
                which = np.flatnonzero(seen[row] & wanted)
                if len(which):
                    lines = fit(windows[row, which], rates[row, which], drifts[row, which])
                    for one, other in zip(found, lines, strict=True):
                        one[row, which] = other
                    wanted[which] &= lines.quality < _PLAIN_LINE
            best = found.quality[rows].max(axis=0)
            found.quality[rows] *= found.quality[rows] == best
            unsettled &= best <= FIT_LINE
        return found

    def _with_chirps(self, shaped: NDArray[np.complex64], fits: Fits, short_seen: NDArray[np.bool_]) -> Fits:
        """Add fits of lines that drift faster than the short average shows."""
        good = (fits.quality > FIT_LINE) & ~fits.broad & (np.abs(fits.drifts) < self._fit.reach)
        settled, lined = np.asarray(good.any(axis=0)), np.asarray(short_seen.any(axis=0))
        found = self._searched(shaped, settled, lined)
        if found is None:
            return fits
        (rates, drifts), seen = found
        chirped = self._fits(shaped, self._fit, rates, drifts, seen)
        better = chirped.quality.max(axis=0) > fits.quality.max(axis=0)
        rates, drifts, quality = (
            np.where(better, one, other) for one, other in zip(chirped[:3], fits[:3], strict=True)
        )
        return Fits(rates, drifts, quality, np.where(better, chirped.broad, fits.broad))

    def _searched(
        self, shaped: NDArray[np.complex64], settled: NDArray[np.bool_], lined: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
        """Search for chirps where no line stands still.

        Args:
            shaped: the functions, complex64 [6, n].
            settled: whether a fit shows a line in each step, [steps].
            lined: whether an average shows one, [steps].

        Returns:
            rates and drifts, [2, 6, steps], and where there is a line, [6, steps]; None if there is none.
        """
        native, chirps = kernels(), self._chirps.native(_CHIRP_STEPS, FIT)
        if native is not None and chirps is not None:
            return native.line_searches(shaped, self.count, settled, lined, chirps, self._chirped)
        steps, shape = len(settled), (len(ORDERS), len(settled))
        rates, drifts = np.zeros(shape), np.zeros(shape)
        seen = np.zeros(shape, np.bool_)
        moving = bool(self._chirped[2].any())
        for step in range(steps):
            place = (self.count + step + 1) % (2 * _CHIRP_STEPS)
            if place % _CHIRP_STEPS == 0:
                wanted = moving or (not settled[step] and (place == 0 or lined[step]))
                end = shaped.shape[1] - (steps - 1 - step) * STEP
                self._chirped = (
                    self._chirps.search(shaped, end - _CHIRP) if wanted else np.zeros((3, len(ORDERS)))
                )
                moving = wanted and bool(self._chirped[2].any())
            if moving:
                back = FIT / 2 - _CHIRP / 2 - place % _CHIRP_STEPS * STEP
                rates[:, step] = self._chirped[0] - back * self._chirped[1]
                drifts[:, step] = self._chirped[1]
                seen[:, step] = self._chirped[2] > 0
        return (np.stack((rates, drifts)), seen) if seen.any() else None

    def _wanders(
        self, steps: int, shaped: NDArray[np.complex64], fits: Fits, near: NDArray[np.float64]
    ) -> dict[tuple[int, int], Wander]:
        """Return the broad lines in the steps that leave; `near` is where the short average has its peaks."""
        found: dict[tuple[int, int], Wander] = {}
        if not fits.broad.any():
            return found
        unsettled = np.ones(steps, bool)
        settled = (fits.quality > FIT_LINE) | fits.broad
        for row, order in enumerate(ORDERS.tolist()):
            which = np.flatnonzero(fits.broad[row] & (fits.quality[row] > 0) & unsettled)
            if row + 1 == len(ORDERS) or ORDERS[row + 1] > order:
                unsettled &= ~settled[order == ORDERS].any(axis=0)
            if len(which):
                end = shaped.shape[1] - (steps - 1 - which + LATE - 1) * STEP
                windows = sliding(shaped[row], 3 * STEP)[end - 3 * STEP]
                fast = np.abs(fits.drifts[row, which]) > self._fit.reach
                moving = fits.rates[row, which] + FIT_AHEAD * fits.drifts[row, which]
                rates, phases = wander(windows, np.where(fast, moving, near[row, which]))
                for step, rate, phase in zip(which.tolist(), rates / order, phases / order, strict=True):
                    found[row, step] = Wander(float(rate), phase)
        return found
