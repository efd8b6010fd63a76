# SPDX-License-Identifier: GPL-3.0-or-later
"""Blind, feed-forward carrier recovery on one-sample-a-symbol signals.

How it works
------------
Every 32 symbols (a *step*):

1. The newest 64 symbols pass six functions that leave a line at M times the carrier's offset (see `carrier_lines`),
   each of which gives a power spectrum of 128 bins. Spectra of the last 8 steps (288 symbols) and of the
   last 32 steps (1,056 symbols) are added without their phases (Bartlett's method).
2. Of the lines that stand out of the floor, the one with the least M wins: a line at 2 also shows at 4, 8
   and 16, never the other way round. A line at M leaves the frequency unknown by k/M cycles/symbol, which
   an M-fold symmetric constellation does not notice, and a less symmetric one would have shown a line at a
   lesser M.
3. The last 256 symbols are matched against a grid of frequencies and drifts around that line and the peak is
   interpolated. Where no line stands still, the last 128 symbols are searched for chirps, and the match is made
   around what is found. Where only the long average shows a line (high order, low Es/N0), 1,024 symbols are matched;
   where that fails too, the frequency is read from the average.
4. A step leaves four steps late, in the middle of the 256 symbols: what comes after it counts like what came before.
5. A line that shows more in sums of 16 symbols than in the whole window is broad: the phase wanders, and is removed.
6. Nothing stands out: the last frequency is held, so that noise, OFDM and the like are turned evenly.

Where no line has been seen yet, at the start of a stream, after a break, or when the signal has been gone for a while,
steps may be held back until a line shows, and are then turned by what it says of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.measure.carrier_lines import (
    ORDERS,
    Chirps,
    Fit,
    PowerFunctions,
    averages,
    is_binary,
    peak_frequencies,
    sliding,
    spectra,
    turned,
    turns_by_half,
    wander,
)

__all__ = ["STEP", "CarrierRecovery"]

Complex = NDArray[np.complexfloating[Any, Any]]

STEP = 32
"""Symbols a step, and a chunk of the classifier: frequency changes at the borders of chunks only."""

_LATE = 4  # steps by which a step leaves late: the windows of its fits then lie around it
_SEGMENT = 64  # symbols in one short spectrum: two steps
_BINS = 128  # twice the segment, so that a line between two bins loses 0.9 dB instead of 3.9 dB
_SHORT, _LONG = 8, 32  # spectra in the two averages
_FIT = 256  # symbols in the fine fit
_SLOW_FIT = 1024  # symbols in the fine fit of a line that only the long average shows
_DRIFTS, _SLOW_DRIFTS = 6, 12  # of their grids on either side
_BATCH = 256  # steps handled at a time: bounds memory, has no effect on the result

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
_FIT_LINE = 17.0
_READ_LINE = 3.0  # long average, where no fit succeeds
_PLAIN_LINE = 100.0  # fit that needs no comparing with other functions of the same order
_SURE_LINE = 40.0  # fit that is believed at once even if it contradicts the steps before

_LARGEST = 1e15  # amplitude whose square a float32 still holds
_STEADY = 3e-5  # drift, cycles/symbol^2, with which a line's distance from the spectrum's middle is looked at
_SAME = 0.004  # cycles/symbol between two steps of one signal
_COAST = 8  # steps without a fit for which the last drift goes on
_MOST_HELD = 64  # steps
_CONFIRMED = 4  # steps after which a first line is believed: its first fit may be off by 0.003 cycles/symbol

# Symbols from the middle of a window, which ends with the newest step, to the middle of the step that leaves.
_LEAVING = (_LATE + 0.5) * STEP
_FIT_AHEAD = _FIT / 2 - _LEAVING
_SLOW_AHEAD = _SLOW_FIT / 2 - _LEAVING


class _Fits(NamedTuple):
    """Fine fits of the M-th power, each array [6, steps]; quality is zero where nothing was fitted."""

    rates: NDArray[np.float64]  # cycles/symbol in the window's middle
    drifts: NDArray[np.float64]  # cycles/symbol^2
    quality: NDArray[np.float64]  # the line's power in units of the floor
    broad: NDArray[np.bool_]  # the line's phase wanders


class _Lines(NamedTuple):
    """What a batch shows, each array [6, steps] unless said."""

    fits: _Fits
    slow: _Fits
    near: NDArray[np.float64]  # frequency of the short average's peak
    readable: NDArray[np.bool_]  # the long average alone shows the line
    far: NDArray[np.float64]  # its frequency there
    shaped: NDArray[np.complex64]  # [6, symbols], up to the newest
    quarter: NDArray[np.float32]  # [steps, bins], short average for M = 2, where no carrier is looked for


class _Step(NamedTuple):
    """How a step is turned."""

    rate: float  # cycles/symbol in its middle
    drift: float  # cycles/symbol^2
    order: int  # M of the line; 0: none
    share: float  # of the line in the energy
    seen: bool  # a line has been seen of late
    turning: bool = False  # the constellation turns from symbol to symbol
    wander: NDArray[np.float32] | None = None  # cycles by which its symbols are turned besides


class CarrierRecovery:
    """Remove the carrier's offset and drift from a stream of symbols of unknown modulation.

    Symbols come in and go out in order, nothing is inserted: output k is input k, turned. Output comes in
    whole steps of 32 symbols, four steps late, so that 128 to 159 symbols wait (`pending`); where the stream ends,
    `finish` gives these too. The result does not depend on how the stream is cut into calls.

    Drifts up to 2e-4 cycles/symbol^2 are followed, for M = 16 up to 6e-5; phase noise up to 0.1 rad a symbol, for
    8PSK from about 18 dB Es/N0, for 16PSK up to 0.03 rad. `orders` and `shares` say how well: 16PSK whose steps show
    a line at M = 8, or none at 20 dB, is a carrier that was not followed. A first estimate needs 100 to 300 symbols
    of signal (up to 1,000 for high orders at low Es/N0). An offset of k/M cycles/symbol, which an M-fold symmetric
    constellation does not notice, may be left for M = 8 above 1/16 and for M = 16 above 1/32 cycles/symbol.

    With `hold`, the steps before the first line are held back until it shows, so many of them at most, and turned by
    its frequency: without that they leave spinning, and a spinning 16QAM, for one, is taken for 32QAM. While no line
    shows, symbols leave so much later.

    No line is seen, and the offset stays, for 8PSK below 10 dB, 32QAM below 15 dB and 16PSK below 15 dB
    Es/N0.

    Args:
        max_offset: largest offset looked for, in cycles/symbol, 0 < max_offset <= 0.25. A line at M reaches
            1/(2M) at most. Above about 0.18 a pi/2-BPSK signal may be turned into BPSK.
        hold: steps held back at most while no line has been seen, 0 to 64.

    Raises:
        AmrqError: a value is out of its range.

    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(np.exp(0.5j * np.pi * np.arange(4)), 1024)
    >>> recovery = CarrierRecovery()
    >>> still = recovery.finish(symbols * np.exp(2j * np.pi * 0.05 * np.arange(1024)))
    >>> len(still), round(float(recovery.offset), 3)
    (1024, 0.05)
    """

    def __init__(self, max_offset: float = 0.15, hold: int = 0) -> None:
        if not 0.0 < max_offset <= 0.25:
            raise AmrqError(
                f"max_offset {max_offset} is outside 0 to 0.25 cycles/symbol: give the largest carrier "
                "offset divided by the symbol rate."
            )
        if not 0 <= hold <= _MOST_HELD:
            raise AmrqError(f"at most 0 to {_MOST_HELD} steps can be held back, not {hold}.")
        self.max_offset = float(max_offset)
        self.hold = int(hold)
        self._functions = PowerFunctions()
        self._bins = np.fft.fftfreq(_BINS, 1.0).astype(np.float64)
        self._barred = np.abs(self._bins)[None, :] > ORDERS[:, None] * self.max_offset + 0.5 / _BINS
        self._fit, self._slow_fit = Fit(_FIT, _DRIFTS), Fit(_SLOW_FIT, _SLOW_DRIFTS)
        self._chirps = Chirps(_CHIRP, _CHIRP_SPACING, _CHIRP_COUNTS, self.max_offset, _CHIRP_LINE)
        self.reset()

    def reset(self) -> None:
        """Forget the signal so far, the waiting symbols included."""
        self._wait = np.zeros(0, np.complex64)
        self._held = np.zeros(0, np.complex64)  # whole steps that have not left
        self._held_steps: list[_Step] = []  # how the first of them are turned if no line shows
        self._steps: list[_Step] = []  # what the last call put out
        self._turn = 0.0  # cycles by which the next symbol put out is turned
        self._rate = 0.0  # cycles/symbol at the middle of the last step
        self._forget()

    def _forget(self) -> None:
        """Forget what has been seen of a carrier, but not the frequency."""
        self._power = np.zeros(_SHORT - 1)
        self._shaped = np.zeros((len(ORDERS), _SLOW_FIT - STEP), np.complex64)
        self._spectra = np.zeros((len(ORDERS), _LONG - 1, _BINS), np.float32)
        self._energy = np.zeros((len(ORDERS), _LONG - 1), np.float32)
        self._chirped = np.zeros((3, len(ORDERS)))  # the last search: rates, drifts, whether there is a line
        self._drift = 0.0  # cycles/symbol^2
        self._order = 0
        self._age = _COAST  # steps since the last fit
        self._blind = _COAST  # steps since the last line
        self._holding = self.hold > 0  # steps are held back
        self._lined = 0  # of these, since a line has been seen
        self._count = 0  # steps since the start
        self._doubt: float | None = None  # an offset that contradicts the steps before, seen once
        self._middles: list[float] = []  # of the spectrum, in the steps that come
        self._middle, self._half = math.nan, False  # and whether the constellation turns by half its symmetry

    @property
    def pending(self) -> int:
        """Symbols that wait: for the rest of their step, for the 4 steps after it, and those of steps held back."""
        return len(self._held) + len(self._wait)

    @property
    def offset(self) -> float:
        """The offset removed from the last step, in cycles/symbol."""
        return self._rate

    @property
    def order(self) -> int:
        """M of the line that the last step was turned by; 0: none, the offset is held."""
        return self._order

    @property
    def rates(self) -> list[float]:
        """Of each step that the last call put out, the offset removed from it, cycles/symbol.

        NaN where no line had been seen of late, so that it is the former signal's or none.
        """
        return [step.rate if step.seen else math.nan for step in self._steps]

    @property
    def orders(self) -> list[int]:
        """Of each step that the last call put out, M of the line that it was turned by: 2, 4, 8, 16; 0: none."""
        return [step.order for step in self._steps]

    @property
    def turning(self) -> list[bool]:
        """Of each step that the last call put out, whether its constellation turns by half its symmetry each symbol.

        pi/2-BPSK shows so by a line at M = 2, pi/4-DQPSK by the middle of its spectrum: see `process`.
        """
        return [step.turning for step in self._steps]

    @property
    def shares(self) -> list[float]:
        """Of each step that the last call put out, the line's share in the energy of the M-th power, 0 to 1.

        0 where there was none, or only in the long average. Low values at high Es/N0: it was not followed well.
        """
        return [step.share for step in self._steps]

    def process(self, symbols: Complex, middles: Sequence[float] = ()) -> NDArray[np.complex64]:
        """Take symbols, complex [n] of any n and level; return those of whole steps, complex64 [32 m].

        These are all steps, but for the last four and what is held back.

        Symbols that are not finite, or of 1e15 and more, become zero.

        Args:
            symbols: the next ones.
            middles: middle of the signal's spectrum in each of the next steps, cycles/symbol, right to 0.03; NaN where
                it is not known. The line of pi/4-DQPSK at M = 4 is an eighth of the symbol rate away from it; removing
                it would leave QPSK exactly. With the middle, what is removed is the carrier.
        """
        self._middles += list(middles)
        fresh = np.asarray(symbols, dtype=np.complex64).ravel()
        with np.errstate(over="ignore", invalid="ignore"):
            fresh = np.where(np.abs(fresh) < _LARGEST, fresh, np.complex64(0))
        data = np.concatenate((self._wait, fresh))
        whole = len(data) // STEP * STEP
        leaving: list[_Step] = []
        for first in range(0, whole, _BATCH * STEP):
            batch = data[first : min(first + _BATCH * STEP, whole)]
            self._follow(len(batch) // STEP, self._lines(batch), leaving)
        self._wait = data[whole:].copy()
        self._held = np.concatenate((self._held, data[:whole]))
        return self._leave(leaving)

    def restart(self) -> NDArray[np.complex64]:
        """Take in that the stream broke (a retune, an overflow): what comes may be of another carrier.

        Returns:
            complex64 [32 m], what was held back; symbols that wait for the rest of their step go on waiting.
        """
        steps = self._backwards() if self._lined else self._held_steps
        self._held_steps, self._lined = [], 0
        # The carrier goes on as it was in the steps whose surroundings are not known.
        for _ in range(len(self._held) // STEP - len(steps)):
            self._move_on()
            steps = [*steps, _Step(self._rate, self._drift, 0, 0.0, self._blind < _COAST)]
        out = self._leave(steps)
        self._forget()
        return out

    def finish(self, symbols: Complex) -> NDArray[np.complex64]:
        """Take a stream's last symbols, complex [n]; return those and the ones that waited, complex64, none held back.

        What is left of a step is turned on at the frequency of the step before. Symbols that come after that begin a
        step, as after a break.
        """
        before, steps = self.process(symbols), self._steps
        drift, order = self._drift, self._order
        out = np.concatenate((before, self.restart()))
        self._steps, self._order = [*steps, *self._steps], order
        t = np.arange(len(self._wait))
        rest = self._wait * turned(self._turn + (self._rate + drift * STEP) * t)
        self._turn = (self._turn + self._rate * len(t)) % 1.0
        self._wait = np.zeros(0, np.complex64)
        return np.concatenate((out, rest))

    def _lines(self, data: NDArray[np.complex64]) -> _Lines:
        """Look for lines in whole steps and those before them."""
        steps = len(data) // STEP
        shaped = np.concatenate((self._shaped, self._functions(data, self._level(data))), axis=1)

        # Short spectra, one a step, over the step and the one before it.
        pieces = sliding(shaped[:, -(steps + 1) * STEP :], _SEGMENT)[:, ::STEP]
        spectrum = spectra(pieces, _BINS)
        power = spectrum.real**2 + spectrum.imag**2
        energy = np.einsum("ijk,ijk->ij", pieces.real, pieces.real) + np.einsum(
            "ijk,ijk->ij", pieces.imag, pieces.imag
        )
        powers = np.concatenate((self._spectra, power), axis=1)
        energies = np.concatenate((self._energy, energy), axis=1)
        self._spectra = powers[:, -(_LONG - 1) :].copy()
        self._energy = energies[:, -(_LONG - 1) :].copy()
        self._shaped = shaped[:, -(_SLOW_FIT - STEP) :].copy()

        short, long = averages(powers, energies, steps, (_SHORT, _LONG))
        quarter = np.where(self._barred[0], short[0], 0.0)
        for level in (short, long):
            level[np.broadcast_to(self._barred[:, None, :], level.shape)] = 0.0
        short_bin, long_bin = short.argmax(axis=2), long.argmax(axis=2)
        short_line = np.take_along_axis(short, short_bin[..., None], 2)[..., 0]
        long_line = np.take_along_axis(long, long_bin[..., None], 2)[..., 0]

        # Averages that are not full yet are noisier.
        seen = np.minimum(self._count + 1 + np.arange(steps), _LONG)
        short_seen = short_line > 1 + (_SHORT_LINE - 1) * np.sqrt(_SHORT / np.minimum(seen, _SHORT))
        long_seen = long_line > 1 + (_LONG_LINE - 1) * _LONG / seen
        still = np.zeros(short_seen.shape)
        fits = self._fits(shaped, self._fit, self._bins[short_bin], still, short_seen)
        fits = self._with_chirps(shaped, fits, short_seen)
        slow_seen = long_seen & ~short_seen & ~(fits.quality > _FIT_LINE).any(axis=0)
        slow = self._fits(shaped, self._slow_fit, self._bins[long_bin], still, slow_seen)
        readable = long_seen & (long_line > _READ_LINE) & (seen == _LONG)
        self._count += steps
        return _Lines(
            fits,
            slow,
            peak_frequencies(short, short_bin),
            readable,
            peak_frequencies(long, long_bin),
            shaped,
            quarter,
        )

    def _level(self, data: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Mean power of the eight steps up to that of each symbol, float32 [n]."""
        steps = len(data) // STEP
        recent = np.mean(np.abs(data).reshape(steps, STEP).astype(np.float64) ** 2, axis=1)
        power = np.concatenate((self._power, recent))
        self._power = power[-(_SHORT - 1) :].copy()
        pair = power[1:] + power[:-1]
        quad = pair[2:] + pair[:-2]
        return np.repeat(np.asarray((quad[4:] + quad[:-4]) / _SHORT, dtype=np.float32), STEP)

    def _fits(
        self,
        shaped: NDArray[np.complex64],
        fit: Fit,
        rates: NDArray[np.float64],
        drifts: NDArray[np.float64],
        seen: NDArray[np.bool_],
    ) -> _Fits:
        """Fine fits over the last symbols of each step, for the least order with a line; all arrays [6, steps]."""
        empty = np.zeros(seen.shape)
        found = _Fits(empty, empty.copy(), empty.copy(), np.zeros(seen.shape, np.bool_))
        unsettled = np.ones(seen.shape[1], bool)
        windows = sliding(shaped[:, -(seen.shape[1] - 1) * STEP - fit.window :], fit.window)[:, ::STEP]
        for order in np.unique(ORDERS):
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
            unsettled &= best <= _FIT_LINE
        return found

    def _with_chirps(
        self, shaped: NDArray[np.complex64], fits: _Fits, short_seen: NDArray[np.bool_]
    ) -> _Fits:
        """Add fits of lines that drift faster than the short average shows."""
        steps = fits.quality.shape[1]
        good = (fits.quality > _FIT_LINE) & ~fits.broad & (np.abs(fits.drifts) < self._fit.reach)
        settled, lined = np.asarray(good.any(axis=0)), np.asarray(short_seen.any(axis=0))
        windows = sliding(shaped[:, -(steps - 1) * STEP - _CHIRP :], _CHIRP)[:, ::STEP]
        rates, drifts = np.zeros(fits.quality.shape), np.zeros(fits.quality.shape)
        seen = np.zeros(fits.quality.shape, bool)
        for step in range(steps):
            place = (self._count + step + 1) % (2 * _CHIRP_STEPS)
            if place % _CHIRP_STEPS == 0:
                wanted = self._chirped[2].any() or (not settled[step] and (place == 0 or lined[step]))
                self._chirped = (
                    self._chirps.search(windows[:, step]) if wanted else np.zeros((3, len(ORDERS)))
                )
            if self._chirped[2].any():
                back = _FIT / 2 - _CHIRP / 2 - place % _CHIRP_STEPS * STEP
                rates[:, step] = self._chirped[0] - back * self._chirped[1]
                drifts[:, step] = self._chirped[1]
                seen[:, step] = self._chirped[2] > 0
        if not seen.any():
            return fits
        chirped = self._fits(shaped, self._fit, rates, drifts, seen)
        better = chirped.quality.max(axis=0) > fits.quality.max(axis=0)
        rates, drifts, quality = (
            np.where(better, one, other) for one, other in zip(chirped[:3], fits[:3], strict=True)
        )
        return _Fits(rates, drifts, quality, np.where(better, chirped.broad, fits.broad))

    def _follow(self, steps: int, lines: _Lines, leaving: list[_Step]) -> None:
        """Choose and hold, the only part that goes step by step; add the steps that leave to `leaving`."""
        first = self._count - steps
        fits, slow = lines.fits, lines.slow
        fit_ok, slow_ok = fits.quality > _FIT_LINE, slow.quality > _FIT_LINE
        # What is clear in the last 256 symbols outdoes the last 1,000: the signal may have changed since.
        clear = (fits.quality > _SURE_LINE).any(axis=0)
        slow_ok &= ~clear
        lines.readable[:] &= ~clear
        any_ok = np.asarray((fit_ok | fits.broad | slow_ok | lines.readable).any(axis=0)).tolist()
        wanders = self._wanders(steps, lines, fit_ok)
        for step in range(steps):
            if self._middles:
                self._middle = self._middles[0]
                del self._middles[: first + step >= _LATE]
            self._move_on()
            share, wander = 0.0, None
            if any_ok[step]:
                share, wander = self._take(step, lines, fit_ok, slow_ok, wanders)
            else:
                self._doubt = None
            self._blind = 0 if self._order else min(self._blind + 1, _COAST)
            if first + step < _LATE:
                continue  # what is around the first steps is not known yet
            turning = self._order == 4 and (self._half or is_binary(lines.quarter[step], self._rate))
            now = _Step(self._rate, self._drift, self._order, share, self._blind < _COAST, turning, wander)
            if self._holding:
                self._hold(now, leaving)
            else:
                leaving.append(now)
                self._holding = self.hold > 0 and self._blind == _COAST

    def _move_on(self) -> None:
        """Take the carrier one step further, by what it did before."""
        self._age = min(self._age + 1, _COAST)
        if self._age == _COAST:
            self._drift = 0.0
        self._rate += self._drift * STEP
        self._order = 0

    def _take(
        self,
        step: int,
        lines: _Lines,
        fit_ok: NDArray[np.bool_],
        slow_ok: NDArray[np.bool_],
        wanders: dict[tuple[int, int], tuple[float, NDArray[np.float32]]],
    ) -> tuple[float, NDArray[np.float32] | None]:
        """Take over the carrier that a step shows, if it is to be believed; return the line's share and wander."""
        doubt: float | None = None
        for row, order in enumerate(ORDERS.tolist()):
            share, sure, found_drift, wander = 0.0, True, 0.0, None
            if (row, step) in wanders:
                found, wander = wanders[row, step]
                share = max(float(lines.fits.quality[row, step] - 1), 1.0) / (_FIT - 1)
            elif fit_ok[row, step] or slow_ok[row, step]:
                fit, ahead, span = (
                    (lines.fits, _FIT_AHEAD, _FIT)
                    if fit_ok[row, step]
                    else (lines.slow, _SLOW_AHEAD, _SLOW_FIT)
                )
                found_drift = float(fit.drifts[row, step]) / order
                found = float(fit.rates[row, step]) / order + found_drift * ahead
                sure = bool(fit.quality[row, step] > _SURE_LINE)
                share = float(fit.quality[row, step] - 1) / (span - 1)
            elif lines.readable[row, step] and self._age == _COAST:
                # Half a thousand symbols old on average: fits of late know better.
                found = float(lines.far[row, step]) / order
            else:
                continue
            found = self._nearest(found, order, abs(found_drift) < _STEADY)
            doubtful = self._age < _COAST and not sure and abs(found - self._rate) > _SAME
            if doubtful and (self._doubt is None or abs(found - self._doubt) > _SAME):
                doubt = found
                continue
            self._rate, self._drift, self._order = found, found_drift, order
            if share:
                self._age = 0
            self._doubt = doubt
            return share, wander
        self._doubt = doubt
        return 0.0, None

    def _hold(self, now: _Step, leaving: list[_Step]) -> None:
        """Hold a step back; if a line has shown for a while, let all leave, or the first if they are too many."""
        self._held_steps.append(now)
        self._lined = self._lined + 1 if self._blind < _COAST else 0
        full = len(self._held_steps) > self.hold
        if self._lined == _CONFIRMED or (self._lined and full):
            leaving += self._backwards()
            self._held_steps, self._lined, self._holding = [], 0, False
        elif full:
            leaving.append(self._held_steps.pop(0))

    def _backwards(self) -> list[_Step]:
        """Return the steps held back, turned by what the last of them show."""
        out: list[_Step] = []
        near, back = self._held_steps[-1], 0  # the step that is gone by, and symbols from it back
        for step in reversed(self._held_steps):
            # Before its window a fit's drift is no longer to be relied on.
            far = back > _SHORT * STEP
            expected = near.rate - self._drift * min(back, _SHORT * STEP)
            if step.order and abs(step.rate - expected) < _SAME and 2 * step.share > near.share:
                near, back = step, 0
                out.append(step._replace(seen=True))
            elif step.wander is not None:
                out.append(step)  # its surroundings say nothing of it
            else:
                out.append(step._replace(rate=expected, drift=0.0 if far else self._drift, seen=True))
            back += STEP
        return out[::-1]

    def _leave(self, steps: list[_Step]) -> NDArray[np.complex64]:
        """Put out so many steps of those held, turned."""
        self._steps = steps
        data, self._held = np.split(self._held, [len(steps) * STEP])
        if not steps:
            return data
        rate, drift = np.array([step.rate for step in steps]), np.array([step.drift for step in steps])
        turn = np.empty(len(steps))
        for number, step in enumerate(steps):  # one by one: the same to the bit wherever the stream is cut
            turn[number] = self._turn
            self._turn = (self._turn + step.rate * STEP) % 1.0
        # Cycles since the step's start; in its middle the frequency is `rate`.
        t = np.arange(STEP)
        cycles = turn[:, None] + rate[:, None] * t + drift[:, None] * (t * (t - STEP) / 2)
        for number, step in enumerate(steps):
            if step.wander is not None:
                cycles[number] += step.wander
        return data * turned(cycles).ravel()

    def _wanders(
        self, steps: int, lines: _Lines, fit_ok: NDArray[np.bool_]
    ) -> dict[tuple[int, int], tuple[float, NDArray[np.float32]]]:
        """Return the frequency in the steps that leave, and the phase besides, of broad lines, by function and step."""
        found: dict[tuple[int, int], tuple[float, NDArray[np.float32]]] = {}
        unsettled = np.ones(steps, bool)
        for row, order in enumerate(ORDERS.tolist()):
            fits = lines.fits
            which = np.flatnonzero(fits.broad[row] & (fits.quality[row] > 0) & unsettled)
            if row + 1 == len(ORDERS) or ORDERS[row + 1] > order:
                rows = order == ORDERS
                unsettled &= ~(fit_ok | fits.broad)[rows].any(axis=0)
            if len(which):
                end = lines.shaped.shape[1] - (steps - 1 - which + _LATE - 1) * STEP
                windows = sliding(lines.shaped[row], 3 * STEP)[end - 3 * STEP]
                fast = np.abs(fits.drifts[row, which]) > self._fit.reach
                near = np.where(
                    fast,
                    fits.rates[row, which] + _FIT_AHEAD * fits.drifts[row, which],
                    lines.near[row, which],
                )
                rates, phases = wander(windows, near)
                for step, rate, phase in zip(which.tolist(), rates / order, phases / order, strict=True):
                    found[row, step] = float(rate), phase
        return found

    def _nearest(self, found: float, order: int, steady: bool) -> float:
        """Of found + k/order: the one by the present offset if that is the same line, else the least."""
        if order == 4 and math.isfinite(self._middle):
            if steady:  # the middle is known late
                self._half = turns_by_half(found, self._middle)
            found += 0.125 * self._half
        alias = found + round((self._rate - found) * order) / order
        if abs(alias - self._rate) > 0.01:
            alias = found - round(found * order) / order
        return alias
