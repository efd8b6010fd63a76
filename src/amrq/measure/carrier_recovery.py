# SPDX-License-Identifier: GPL-3.0-or-later
"""Blind, feed-forward carrier recovery on one-sample-a-symbol signals.

How it works
------------
Raising an M-fold symmetric constellation to its M-th power leaves a spectral line at M times the carrier
offset (A. J. Viterbi and A. M. Viterbi, "Nonlinear estimation of PSK-modulated carrier phase with
application to burst digital transmission", IEEE Trans. Inf. Theory 29(4), 1983, eq. 1-3, replace the
amplitude |z|^M by a free function F(|z|); the frequency version is the periodogram of that sequence: D. C.
Rife and R. R. Boorstyn, "Single-tone parameter estimation from discrete-time observations", IEEE Trans.
Inf. Theory 20(5), 1974).

Every 32 symbols (a *step*):

1. The newest 64 symbols pass six such functions (M = 2; M = 4 for QPSK, 16QAM and 32QAM; M = 8; M = 16),
   each of which gives a power spectrum of 128 bins. Spectra of the last 8 steps (288 symbols) and of the
   last 32 steps (1,056 symbols) are added without their phases, so that a drifting line still adds up
   (Bartlett's method).
2. Of the lines that stand out of the floor, the one with the least M wins: a line at 2 also shows at 4, 8
   and 16, never the other way round. A line at M leaves the frequency unknown by k/M cycles/symbol, which
   an M-fold symmetric constellation does not notice, and a less symmetric one would have shown a line at a
   lesser M.
3. The last 256 symbols are matched against a grid of frequencies and drifts around that line, the peak is
   interpolated, and the frequency is carried forward to the step that is put out. Where only the long
   average shows a line (high order, low Es/N0), 1,024 symbols are matched; where that fails too, the
   frequency is read from the average.
4. Nothing stands out: the last frequency is held, so that noise, OFDM and the like are turned evenly.

A step is turned by what it and the steps before it show. Where no line has been seen yet, at the start of a stream,
behind a break, or when the signal has been gone for a while, that is nothing: its steps may be held back until a line
shows, and are then turned by what it says of them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.classes import THESIS_9
from amrq.errors import AmrqError

__all__ = ["STEP", "CarrierRecovery"]

Complex = NDArray[np.complexfloating[Any, Any]]

STEP = 32
"""Symbols a step, and a chunk of the classifier: frequency changes at the borders of chunks only."""

_SEGMENT = 64  # symbols in one short spectrum: two steps
_BINS = 128  # twice the segment, so that a line between two bins loses 0.9 dB instead of 3.9 dB
_SHORT, _LONG = 8, 32  # spectra in the two averages
_FIT = 256  # symbols in the fine fit
_SLOW_FIT = 1024  # symbols in the fine fit of a line that only the long average shows
_BLOCKS = 16  # sums that a fit is made of; the grid's edge loses 2.2 dB by summing first, its middle nothing
_BATCH = 256  # steps handled at a time: bounds memory, has no effect on the result

# Grid of the fine fit, for the M-th power and a window of 256 symbols: frequencies half a main lobe apart
# (cycles/symbol), drifts so far apart that half a step turns the window's ends by an eighth of a cycle
# (cycles/symbol^2). For 1,024 symbols divide by 4 and by 16.
_RATE_STEP, _RATES = 0.002, 12
_DRIFT_STEP, _DRIFTS, _SLOW_DRIFTS = 3e-5, 6, 12

# Powers, in units of the floor, that a line must have. White noise and the lesser powers of noise-free
# constellations reached 5.7 (short), 2.8 (long) and 21 (fit, 1 in 1,000 above 15) in 12,500 steps each;
# several must agree.
_SHORT_LINE = 5.0
_LONG_LINE = 2.5
_FIT_LINE = 17.0
_READ_LINE = 3.0  # long average, where no fit succeeds
_PLAIN_LINE = 100.0  # fit that needs no comparing with other functions of the same order
_SURE_LINE = 40.0  # fit that is believed at once even if it contradicts the steps before

_LARGEST = 1e15  # amplitude whose square a float32 still holds
_LARGEST_RADIUS = 1.6  # amplitude over RMS: 8ASK's is 1.53; what is beyond counts no more than this
_SAME = 0.004  # cycles/symbol between two steps of one signal
_COAST = 8  # steps without a fit for which the last drift goes on
_MOST_HELD = 64  # steps
_CONFIRMED = 4  # steps after which a first line is believed: its first fit may be off by 0.003 cycles/symbol


def _ring_weight(points: Complex, radii: NDArray[np.float64]) -> NDArray[np.float32]:
    """E[cos 4 theta | r] of a constellation with points on the diagonals, in white noise, float32 as radii.

    The function of the amplitude that gives the fourth-power line the most power for its floor: rings whose
    points lie on the diagonals count negative, those on the axes positive, unclear ones little. The noise
    is that of Es/N0 = 17 dB, about the least at which 32QAM can be followed; weights for 22 dB gain nothing
    above it.
    """
    phase = np.arange(128) * (2 * np.pi / 128)
    received = radii[:, None] * np.exp(1j * phase)
    n0 = 10 ** (-17 / 10)
    density = np.zeros(received.shape)
    for point in points:
        density += np.exp(-(np.abs(received - point) ** 2) / n0)
    total = density.sum(axis=1)
    weight = (density @ np.cos(4 * phase)) / np.maximum(total, 1e-12 * total.max())
    return np.asarray(weight, dtype=np.float32)


def _fit_grid(drifts: int) -> NDArray[np.complex64]:
    """What undoes each (frequency, drift) of the grid in a fit's blocks, complex64 [blocks, grid points]."""
    centre = (np.arange(_BLOCKS) - (_BLOCKS - 1) / 2) * (_FIT // _BLOCKS)
    rates = np.arange(-_RATES, _RATES + 1) * _RATE_STEP
    rate, drift = np.meshgrid(rates, np.arange(-drifts, drifts + 1) * _DRIFT_STEP, indexing="ij")
    phase = rate.ravel()[None, :] * centre[:, None] + drift.ravel()[None, :] * centre[:, None] ** 2 / 2
    return np.asarray(np.exp(-2j * np.pi * phase), dtype=np.complex64)


class _Fits(NamedTuple):
    """Fine fits of the M-th power, each array [6, steps]; quality is zero where nothing was fitted."""

    rates: NDArray[np.float64]  # cycles/symbol in the window's middle
    drifts: NDArray[np.float64]  # cycles/symbol^2
    quality: NDArray[np.float64]  # the line's power in units of the floor
    ahead: float  # symbols from the window's middle to that of the step


class CarrierRecovery:
    """Remove the carrier's offset and drift from a stream of symbols of unknown modulation.

    Symbols come in and go out in order, nothing is inserted: output k is input k, turned. Output comes in
    whole steps of 32 symbols, so that up to 31 symbols wait for the rest of their step (`pending`); where the
    stream ends, `finish` gives these too. The result does not depend on how the stream is cut
    into calls (but for the rounding of floating-point sums).

    Drifts up to 1.8e-4/M cycles/symbol^2 are followed. A first estimate needs 100 to 300 symbols of signal
    (up to 1,000 for high orders at low Es/N0). An offset left over of k/M cycles/symbol, which an M-fold
    symmetric constellation does not notice, is possible for M = 8 above 1/16 and for M = 16 above 1/32
    cycles/symbol.

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
        radii = np.linspace(0.0, _LARGEST_RADIUS, 129)
        self._ring16 = _ring_weight(THESIS_9["16QAM"].points, radii)
        self._ring32 = _ring_weight(THESIS_9["32QAM"].points, radii)
        self._orders = np.array([2, 4, 4, 4, 8, 16])
        self._bins = np.fft.fftfreq(_BINS, 1.0).astype(np.float64)
        self._barred = np.abs(self._bins)[None, :] > self._orders[:, None] * self.max_offset + 0.5 / _BINS
        self._grids = {
            _FIT: (_DRIFTS, _fit_grid(_DRIFTS)),
            _SLOW_FIT: (_SLOW_DRIFTS, _fit_grid(_SLOW_DRIFTS)),
        }
        self.reset()

    def reset(self) -> None:
        """Forget the signal so far, the waiting symbols included."""
        self._wait = np.zeros(0, np.complex64)
        self._held = np.zeros(0, np.complex64)  # whole steps before a line has shown
        self._held_rates: list[float] = []  # what they are turned by if none does
        self.rates: list[float] = []
        """Of each step that the last call put out, the offset removed from it, cycles/symbol; NaN where no line had
        been seen of late, so that it is the former signal's or none."""
        self._turn = 0.0  # cycles by which the next symbol put out is turned
        self._rate = 0.0  # cycles/symbol at the middle of the last step
        self._forget()

    def _forget(self) -> None:
        """Forget what has been seen of a carrier, but not the frequency."""
        orders = len(self._orders)
        self._power = np.zeros(_SHORT - 1)
        self._shaped = np.zeros((orders, _SLOW_FIT - STEP), np.complex64)
        self._spectra = np.zeros((orders, _LONG - 1, _BINS), np.float32)
        self._energy = np.zeros((orders, _LONG - 1), np.float32)
        self._drift = 0.0  # cycles/symbol^2
        self._order = 0
        self._age = _COAST  # steps since the last fit
        self._blind = _COAST  # steps since the last line
        self._holding = self.hold > 0  # steps are held back
        self._lined = 0  # of these, since a line has been seen
        self._seen = 0  # steps since the start, up to the long average's
        self._doubt: float | None = None  # an offset that contradicts the steps before, seen once

    @property
    def pending(self) -> int:
        """Symbols that wait: for the rest of their step, 0 to 31, and those of the steps held back."""
        return len(self._held) + len(self._wait)

    @property
    def offset(self) -> float:
        """The offset removed from the last step, in cycles/symbol."""
        return self._rate

    @property
    def order(self) -> int:
        """M of the line that the last step was turned by; 0: none, the offset is held."""
        return self._order

    def process(self, symbols: Complex) -> NDArray[np.complex64]:
        """Take symbols, complex [n] of any n and level; return those of whole steps, complex64 [32 m].

        These are all steps, but for what is held back.

        Symbols that are not finite, or of 1e15 and more, become zero.
        """
        fresh = np.asarray(symbols, dtype=np.complex64).ravel()
        with np.errstate(over="ignore", invalid="ignore"):
            fresh = np.where(np.abs(fresh) < _LARGEST, fresh, np.complex64(0))
        data = np.concatenate((self._wait, fresh))
        steps = len(data) // STEP
        out = [np.zeros(0, np.complex64)]
        self.rates = []
        for first in range(0, steps, _BATCH):
            last = min(first + _BATCH, steps)
            out.append(self._batch(data[first * STEP : last * STEP]))
        self._wait = data[steps * STEP :].copy()
        return np.concatenate(out)

    def restart(self) -> NDArray[np.complex64]:
        """Take in that the stream broke (a retune, an overflow): what comes may be of another carrier.

        Returns:
            complex64 [32 m], what was held back; symbols that wait for the rest of their step go on waiting.
        """
        self.rates = []
        out = self._release()
        self._forget()
        return out

    def _release(self) -> NDArray[np.complex64]:
        """Put out what is held back, by the line that it shows or as it is."""
        rates, drifts = self._held_rates, [0.0] * len(self._held_rates)
        if self._lined:
            rates, drifts = self._backwards()
        self.rates += rates if self._lined else [math.nan] * len(rates)
        out, self._held = self._held, np.zeros(0, np.complex64)
        self._held_rates, self._lined = [], 0
        return self._turned(out, rates, drifts)

    def finish(self, symbols: Complex) -> NDArray[np.complex64]:
        """Take a stream's last symbols, complex [n]; return those and the ones that waited, complex64, none held back.

        What is left of a step is turned on at the frequency of the step before. Symbols that come after that begin a
        step.
        """
        out = np.concatenate((self.process(symbols), self._release()))
        t = np.arange(len(self._wait))
        rest = self._wait * np.exp(-2j * np.pi * (self._turn + (self._rate + self._drift * STEP) * t))
        self._turn = (self._turn + self._rate * len(t)) % 1.0
        self._wait = np.zeros(0, np.complex64)
        return np.concatenate((out, rest.astype(np.complex64)))

    def _batch(self, data: NDArray[np.complex64]) -> NDArray[np.complex64]:
        steps = len(data) // STEP
        shaped = np.concatenate((self._shaped, self._shape(data)), axis=1)
        orders = len(self._orders)

        # Short spectra, one a step, over the step and the one before it.
        start = shaped.shape[1] - (steps + 1) * STEP
        pieces = np.lib.stride_tricks.as_strided(
            shaped[:, start:],
            (orders, steps, _SEGMENT),
            (shaped.strides[0], STEP * shaped.strides[1], shaped.strides[1]),
            writeable=False,
        )
        spectrum = np.fft.fft(pieces, _BINS, axis=2)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        energy = np.einsum("ijk,ijk->ij", pieces.real, pieces.real) + np.einsum(
            "ijk,ijk->ij", pieces.imag, pieces.imag
        )
        spectra = np.concatenate((self._spectra, power), axis=1)
        energies = np.concatenate((self._energy, energy), axis=1)
        self._spectra = spectra[:, -(_LONG - 1) :].copy()
        self._energy = energies[:, -(_LONG - 1) :].copy()
        self._shaped = shaped[:, -(_SLOW_FIT - STEP) :].copy()

        short, long = self._averages(spectra, energies, steps)
        for level in (short, long):
            level[np.broadcast_to(self._barred[:, None, :], level.shape)] = 0.0
        short_bin, long_bin = short.argmax(axis=2), long.argmax(axis=2)
        short_line = np.take_along_axis(short, short_bin[..., None], 2)[..., 0]
        long_line = np.take_along_axis(long, long_bin[..., None], 2)[..., 0]

        # Averages that are not full yet are noisier.
        seen = np.minimum(self._seen + 1 + np.arange(steps), _LONG)
        self._seen = int(seen[-1])
        short_seen = short_line > 1 + (_SHORT_LINE - 1) * np.sqrt(_SHORT / np.minimum(seen, _SHORT))
        long_seen = long_line > 1 + (_LONG_LINE - 1) * _LONG / seen
        fits = self._fits(shaped, _FIT, short_bin, short_seen)
        slow = self._fits(shaped, _SLOW_FIT, long_bin, long_seen & ~short_seen)
        readable = long_seen & (long_line > _READ_LINE) & (seen == _LONG)
        return self._followed(data, fits, slow, readable, long, long_bin)

    def _shape(self, data: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """The six functions of each symbol, complex64 [6, n]."""
        amplitude = np.abs(data)
        steps = len(data) // STEP
        power = np.concatenate(
            (self._power, np.mean(amplitude.reshape(steps, STEP).astype(np.float64) ** 2, axis=1))
        )
        self._power = power[-(_SHORT - 1) :].copy()
        pair = power[1:] + power[:-1]
        quad = pair[2:] + pair[:-2]
        mean = (quad[4:] + quad[:-4]) / _SHORT
        scale = np.repeat(1.0 / np.sqrt(np.maximum(mean, 1e-30)), STEP).astype(np.float32)
        unit = data / np.maximum(amplitude, np.float32(1e-30))
        radius = np.minimum(amplitude * scale, np.float32(_LARGEST_RADIUS))
        out = np.empty((len(self._orders), len(data)), np.complex64)
        two = unit * unit
        four = two * two
        eight = four * four
        square = radius * radius
        soft = np.minimum(square, np.float32(1))
        place = (radius * np.float32(128 / _LARGEST_RADIUS) + np.float32(0.5)).astype(np.intp)
        np.multiply(two, square, out=out[0])
        np.multiply(four, square * square, out=out[1])
        np.multiply(four, self._ring16[place], out=out[2])
        np.multiply(four, self._ring32[place], out=out[3])
        np.multiply(eight, soft, out=out[4])
        np.multiply(eight * eight, soft, out=out[5])
        return out

    def _averages(
        self, spectra: NDArray[np.float32], energies: NDArray[np.float32], steps: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Spectra over 8 and 32 steps in units of their floor, float32 [6, steps, bins].

        Sums by doubling: the order of additions is the same wherever the stream is cut.
        """
        total, floor = spectra, energies
        wanted: list[NDArray[np.float32]] = []
        span = 1
        while span < _LONG:
            total = total[:, span:] + total[:, :-span]
            floor = floor[:, span:] + floor[:, :-span]
            span *= 2
            if span in (_SHORT, _LONG):
                recent = floor[:, -steps:]
                wanted.append(total[:, -steps:] / np.maximum(recent, np.float32(1e-20))[..., None])
        return wanted[0], wanted[1]

    def _fits(
        self, shaped: NDArray[np.complex64], span: int, peak: NDArray[np.intp], seen: NDArray[np.bool_]
    ) -> _Fits:
        """Fine fits over the last `span` symbols of each step, for the least order with a line."""
        rates, drifts, quality = (np.zeros(seen.shape) for _ in range(3))
        unsettled = np.ones(seen.shape[1], bool)
        for order in np.unique(self._orders):
            rows = np.flatnonzero(self._orders == order)
            wanted = unsettled.copy()
            for row in rows:
                which = np.flatnonzero(seen[row] & wanted)
                if len(which):
                    found = self._fit(shaped[row], span, self._bins[peak[row, which]], which - seen.shape[1])
                    rates[row, which], drifts[row, which], quality[row, which] = found
                    wanted[which] &= found[2] < _PLAIN_LINE
            best = quality[rows].max(axis=0)
            quality[rows] *= quality[rows] == best
            unsettled &= best <= _FIT_LINE
        return _Fits(rates, drifts, quality, (span - STEP) / 2)

    def _fit(
        self,
        shaped: NDArray[np.complex64],
        span: int,
        coarse: NDArray[np.float64],
        which: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Frequency, drift and line power around `coarse` in the steps `which`, counted from -1 backwards."""
        scale = _FIT / span
        half, grid = self._grids[span]
        time = np.arange(span) - (span - 1) / 2
        ends = len(shaped) + (which + 1) * STEP
        windows = np.lib.stride_tricks.sliding_window_view(shaped, span)[ends - span]
        mixer = np.exp(np.complex64(-2j * np.pi) * (coarse[:, None] * time[None, :]).astype(np.float32))
        blocks = (windows * mixer).reshape(len(which), _BLOCKS, span // _BLOCKS).sum(axis=2)
        # A window at a time: a product of many rows is added up in another order than that of one.
        match = np.stack([row @ grid for row in blocks])
        level = (match.real**2 + match.imag**2).reshape(len(which), 2 * _RATES + 1, 2 * half + 1)
        i, j = np.divmod(level.reshape(len(which), -1).argmax(axis=1), 2 * half + 1)
        n = np.arange(len(which))
        rate = coarse + scale * _RATE_STEP * (i - _RATES + _vertex(level, n, i, j, 1))
        drift = scale**2 * _DRIFT_STEP * (j - half + _vertex(level, n, i, j, 2))
        energy = np.einsum("ij,ij->i", windows, windows.conj()).real
        return rate, drift, level[n, i, j] / np.maximum(energy, 1e-20)

    def _followed(
        self,
        data: NDArray[np.complex64],
        fits: _Fits,
        slow: _Fits,
        readable: NDArray[np.bool_],
        long: NDArray[np.float32],
        long_bin: NDArray[np.intp],
    ) -> NDArray[np.complex64]:
        """Choose, hold, and turn: the only part that goes step by step."""
        steps = len(data) // STEP
        rates, drifts = [], []  # of the steps that leave
        fit_ok, slow_ok = fits.quality > _FIT_LINE, slow.quality > _FIT_LINE
        # What is clear in the last 256 symbols outdoes the last 1,000: the signal may have changed since.
        clear = (fits.quality > _SURE_LINE).any(axis=0)
        slow_ok &= ~clear
        readable &= ~clear
        any_ok = np.asarray((fit_ok | slow_ok | readable).any(axis=0)).tolist()
        orders = self._orders.tolist()
        for step in range(steps):
            self._age = min(self._age + 1, _COAST)
            if self._age == _COAST:
                self._drift = 0.0
            self._rate += self._drift * STEP
            self._order = 0
            doubt: float | None = None
            for row, order in enumerate(orders if any_ok[step] else ()):
                if fit_ok[row, step] or slow_ok[row, step]:
                    fit = fits if fit_ok[row, step] else slow
                    found_drift = float(fit.drifts[row, step]) / order
                    found = float(fit.rates[row, step]) / order + found_drift * fit.ahead
                    sure, fitted = fit.quality[row, step] > _SURE_LINE, True
                elif readable[row, step]:
                    if self._age < _COAST:
                        continue  # half a thousand symbols old on average: the fits of late know better
                    found, found_drift = self._read(long[row, step], int(long_bin[row, step])) / order, 0.0
                    sure, fitted = True, False
                else:
                    continue
                found = self._nearest(found, order)
                doubtful = self._age < _COAST and not sure and abs(found - self._rate) > _SAME
                if doubtful and (self._doubt is None or abs(found - self._doubt) > _SAME):
                    doubt = found
                    continue
                self._rate, self._drift, self._order = found, found_drift, order
                if fitted:
                    self._age = 0
                break
            self._doubt = doubt
            self._blind = 0 if self._order else min(self._blind + 1, _COAST)
            if not self._holding:
                rates.append(self._rate)
                drifts.append(self._drift)
                self.rates.append(self._rate if self._blind < _COAST else math.nan)
                self._holding = self.hold > 0 and self._blind == _COAST
                continue
            self._held_rates.append(self._rate)
            self._lined = self._lined + 1 if self._blind < _COAST else 0
            full = len(self._held_rates) > self.hold
            if self._lined == _CONFIRMED or (self._lined and full):
                found_rates, found_drifts = self._backwards()
                rates += found_rates
                drifts += found_drifts
                self.rates += found_rates
                self._held_rates, self._lined, self._holding = [], 0, False
            elif full:
                rates.append(self._held_rates.pop(0))
                drifts.append(0.0)
                self.rates.append(math.nan)
        data = np.concatenate((self._held, data))
        leaving = len(rates) * STEP
        self._held = data[leaving:].copy()
        return self._turned(data[:leaving], rates, drifts)

    def _backwards(self) -> tuple[list[float], list[float]]:
        """Return frequencies and drifts of the steps held back, by what the last of them shows."""
        # Behind its window a fit's drift is no longer to be relied on.
        back = np.minimum(np.arange(len(self._held_rates))[::-1], _SHORT) * STEP
        rates = (self._rate - self._drift * back).tolist()
        return rates, np.where(back < _SHORT * STEP, self._drift, 0.0).tolist()

    def _turned(
        self, data: NDArray[np.complex64], rates: list[float], drifts: list[float]
    ) -> NDArray[np.complex64]:
        """Turn whole steps by these frequencies, in cycles/symbol in their middle, and drifts."""
        if not rates:
            return data
        rate, drift, turn = np.array(rates), np.array(drifts), np.empty(len(rates))
        for step, cycles_a_symbol in enumerate(
            rates
        ):  # one by one: the same to the bit wherever the stream is cut
            turn[step] = self._turn
            self._turn = (self._turn + cycles_a_symbol * STEP) % 1.0
        # Cycles since the step's start; in its middle the frequency is `rate`.
        t = np.arange(STEP)
        cycles = turn[:, None] + rate[:, None] * t + drift[:, None] * (t * (t - STEP) / 2)
        return np.asarray(data * np.exp(-2j * np.pi * cycles).ravel(), dtype=np.complex64)

    def _nearest(self, found: float, order: int) -> float:
        """Of found + k/order: the one by the present offset if that is the same line, else the least."""
        alias = found + round((self._rate - found) * order) / order
        if abs(alias - self._rate) > 0.01:
            alias = found - round(found * order) / order
        return alias

    def _read(self, spectrum: NDArray[np.float32], peak: int) -> float:
        """Frequency of a spectrum's peak, cycles/symbol: a parabola through three bins."""
        left, mid, right = (float(spectrum[(peak + k) % _BINS]) for k in (-1, 0, 1))
        bend = left - 2 * mid + right
        shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
        return float(self._bins[peak]) + min(max(shift, -0.5), 0.5) / _BINS


def _vertex(
    level: NDArray[np.float32], n: NDArray[np.intp], i: NDArray[np.intp], j: NDArray[np.intp], axis: int
) -> NDArray[np.float64]:
    """Where between grid points the parabola through a peak's logarithm has its top, -0.5 to 0.5 steps."""
    size = level.shape[axis]
    at = i if axis == 1 else j
    mid = np.clip(at, 1, size - 2)
    value = []
    for k in (-1, 0, 1):
        index = (n, mid + k, j) if axis == 1 else (n, i, mid + k)
        value.append(np.log(np.maximum(level[index], 1e-30)).astype(np.float64))
    bend = value[0] - 2 * value[1] + value[2]
    shift = np.where(bend < 0, 0.5 * (value[0] - value[2]) / np.where(bend < 0, bend, -1.0), 0.0)
    return np.where(at == mid, np.clip(shift, -0.5, 0.5), 0.0)
