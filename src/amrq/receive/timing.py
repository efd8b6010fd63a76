# SPDX-License-Identifier: GPL-3.0-or-later
"""When a signal's symbols come: timing without feedback, of any linear modulation.

The squared envelope of a matched filter's output has a spectral line at the symbol rate, and its phase says when the
symbols come (M. Oerder and H. Meyr, "Digital filter and square timing recovery", IEEE Trans. Commun. 36(5), 1988).
The line is brought to 0 Hz by the symbol rate that was given, and thinned out to a sample each 8 symbols (`Line`). Its
frequency there is the sender's clock error; frequency and phase are those of the spectrum's peak in a window. Of
several windows the longest counts that the newest symbols do not contradict (`Clock`): a clock runs straight, and the
line of a signal of small roll-off is weak; but another signal has another clock.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from amrq.native import ClockLimits, ClockTrack, ClockWindow, Tone, kernels
from amrq.receive.channel import HOP, windows

__all__ = ["LINES", "MOST", "Clock", "Instants", "Line", "interpolate"]

_SPAN = 32  # channel samples from one sample of the line to the next: 8 symbols
LINES = HOP // _SPAN
"""Samples of the line in a block of the channel."""
_SHORT, _MIDDLE = 32, 96  # samples of the line in two windows: 256 and 768 symbols
_LONG = 3.072  # of the third, times the timing's bandwidth: 3,072 symbols at 0.008
_LONGEST = 768
_AHEAD = LINES  # samples of the line behind a block that are waited for
_FIRST, _LATEST = (
    4 * LINES,
    10 * LINES,
)  # samples of the line that are waited for at the start, least and most
_ERROR = 0.0255  # largest error of the symbol rate that is looked for
_USUAL_ERROR, _COST = 0.003, 6.0  # what an error beyond the usual must outweigh
_CLEAR = 14.0  # log likelihood ratio of a line that is believed
_CONTRADICTED = 8.0  # by which the newest symbols' own line must be likelier
MOST = 1e13
"""Largest squared envelope that counts: its own square must not leave the range of float32."""
_PAD, _LEAST_BINS = 4, 512  # times as many bins as samples, and bins at least
_SIDE_BY_SIDE = 16  # short transforms that a spectrum is made of at most
_SLOWLY, _SETTLED = 4, 64  # blocks from one fit of the longest window to the next, from so many blocks on
_TAPS, _PHASES = 8, 256
_BAND = 0.23  # cycles a channel sample up to which interpolation is exact


def _interpolator() -> NDArray[np.float32]:
    """Return the taps that are nearest to a delay for all frequencies in the band, float32 [phases + 1, taps].

    Least squares over the band: the inner products of two exponentials there are sinc functions.
    """
    place = np.arange(_TAPS) - (_TAPS // 2 - 1)
    gram = np.sinc(2 * _BAND * (place[:, None] - place[None, :]))
    wanted = np.sinc(2 * _BAND * (place[:, None] - np.arange(_PHASES + 1)[None, :] / _PHASES))
    return np.ascontiguousarray(np.linalg.solve(gram + 1e-9 * np.eye(_TAPS), wanted).T, dtype=np.float32)


_TABLE = _interpolator()


def interpolate(samples: NDArray[np.complex64], places: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Return values between samples of a signal that is band-limited to 0.23 of its sample rate.

    Args:
        samples: complex64 [n].
        places: float64 [m], 3 to n - 6.

    Returns:
        complex64 [m], exact to about 1e-3.

    >>> wave = np.exp(0.5j * np.arange(20)).astype(np.complex64)
    >>> bool(abs(interpolate(wave, np.array([9.4]))[0] - np.exp(0.5j * 9.4)) < 1e-3)
    True
    """
    native = kernels()
    if native is not None:
        return native.interpolate(samples, places, _TABLE)
    whole = np.floor(places)
    phase = np.rint((places - whole) * _PHASES).astype(np.intp)
    first = whole.astype(np.intp) - (_TAPS // 2 - 1)
    near = np.lib.stride_tricks.sliding_window_view(samples, _TAPS)[first]
    return np.asarray(np.einsum("ij,ij->i", near, _TABLE[phase]), dtype=np.complex64)


class Line:
    """The line of the symbol rate, a complex sample each 32 channel samples.

    Args:
        samples_per_symbol: of the channel.
    """

    def __init__(self, samples_per_symbol: float) -> None:
        rise = np.sin(np.pi * (np.arange(_SPAN) + 0.5) / (2 * _SPAN)) ** 2
        mixer = np.exp(-2j * np.pi * np.arange(_SPAN) / samples_per_symbol)
        # Each sample is a Hann window over two spans, so that the mean of the envelope does not leak into it.
        self._weights = np.stack((mixer * rise, mixer * rise[::-1]), axis=1).astype(np.complex64)
        self.parts = np.ascontiguousarray(self._weights.view(np.float32).T)
        """The weights' real and imaginary parts, float32 [4, 32]."""
        self._turn = _SPAN / samples_per_symbol
        self.reset()

    def reset(self) -> None:
        """Begin a stream."""
        self._spans = 0
        self._begun = np.complex64(0)

    def halves(self, samples: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return what spans of channel samples, complex64 [b, HOP], say of the line, complex64 [b * LINES, 2]."""
        with np.errstate(over="ignore", invalid="ignore"):
            envelope = np.fmin(samples.real * samples.real + samples.imag * samples.imag, np.float32(MOST))
        return np.asarray(envelope.reshape(-1, _SPAN) @ self._weights)

    def process(self, halves: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Take what spans say, see `halves`; return the line, complex64 [b * LINES].

        Sample k is centred where span k begins, 32 k channel samples from the stream's first.
        """
        native = kernels()
        number = self._spans + np.arange(len(halves))
        cycles = np.asarray(number * self._turn % 1.0, np.float64)
        turns = np.exp(-2j * np.pi * cycles).astype(np.complex64) if native is None else native.turned(cycles)
        halves = halves * turns[:, None]
        line = halves[:, 1].copy()
        line[1:] += halves[:-1, 0]
        line[0] += self._begun
        self._begun, self._spans = halves[-1, 0], self._spans + len(halves)
        return line


class Instants(NamedTuple):
    """A clock in a block: symbol n of any stream comes at channel sample (n - phase) / rate."""

    phase: float  # cycles at channel sample 0 of the block
    rate: float  # cycles a channel sample
    clear: bool  # it was seen, not only held


class _Fits(NamedTuple):
    """Tones fitted to the line, float64 [blocks]."""

    rate: NDArray[np.float64]  # cycles a sample of the line
    phase: NDArray[np.float64]  # cycles, in the line's sample `middle`
    middle: NDArray[np.float64]
    score: NDArray[np.float64]  # log likelihood ratio over noise, less the cost of its rate
    energy: NDArray[np.float64]  # of the samples


def _likelihood(power: Any, energy: Any, count: Any) -> Any:
    """Return the log likelihood ratio, over noise, of tones of a power in `count` samples of an energy."""
    # The Hann windows of neighbours overlap: there are somewhat fewer independent samples.
    return -0.8 * count * np.log1p(-np.minimum(power / energy / count, 1 - 1e-6))


def _bins(window: int) -> int:
    """Return the bins of a window's spectrum: some powers of two together, as many as are needed."""
    least = max(_PAD * window, _LEAST_BINS)
    size: int = 1 << (-(-least // _SIDE_BY_SIDE) - 1).bit_length()
    return -(-least // size) * size


@lru_cache(16)
def _native_window(window: int, symbols: float) -> ClockWindow:
    """Return a window of so many samples for the compiled kernels; symbols: from one sample to the next."""
    bins = _bins(window)
    return ClockWindow(window, bins, int(_ERROR * symbols * bins) + 1)


class Clock:
    """Follow the line of the symbol rate, block by block.

    Args:
        samples_per_symbol: of the channel, by the symbol rate that was given.
        bandwidth: noise bandwidth over the symbol rate, above 0, at most 0.05.
    """

    def __init__(self, samples_per_symbol: float, bandwidth: float = 0.008) -> None:
        self.set_bandwidth(bandwidth)
        self._symbols = _SPAN / samples_per_symbol  # from one sample of the line to the next
        self._nominal = 1.0 / samples_per_symbol
        self.reset()

    def set_bandwidth(self, bandwidth: float) -> None:
        """Set the noise bandwidth over the symbol rate, above 0, at most 0.05: the longest window."""
        self._windows = (_SHORT, _MIDDLE, min(max(round(_LONG / bandwidth), _MIDDLE), _LONGEST))

    def reset(self) -> None:
        """Begin a stream."""
        self._line = np.zeros(_LONGEST, np.complex64)
        self._count = 0  # samples of the line since the stream began; the last of them end `_line`
        self._block = 0  # the block whose clock comes next
        self._locked = False
        self._long: _Fits | None = None  # the last fit in the longest window, [1]
        self._rate, self._phase, self._at = (
            0.0,
            0.0,
            0.0,
        )  # of the tone: cycles a sample, cycles at sample `at`
        self.clear = False
        """Whether the last clock was seen."""

    @property
    def error(self) -> float:
        """The symbol rate's error: found over given, less 1."""
        return self._rate / self._symbols

    def process(self, line: NDArray[np.complex64], ended: bool = False) -> list[Instants]:
        """Take samples of the line; return the clocks of the blocks that can be told now, in order.

        Args:
            line: complex64 [n * LINES].
            ended: these are the last.
        """
        self._line = np.concatenate((self._line, line))
        self._count += len(line)
        found: list[Instants] = []
        if not self._locked:
            found += self._first(ended)
        if self._locked:
            last = self._count // LINES if ended else (self._count - _AHEAD) // LINES
            if last > self._block:
                found += self._follow(np.arange(self._block, last))
        self._line = self._line[-(_LONGEST + 2 * _LATEST) :].copy()
        return found

    def _first(self, ended: bool) -> list[Instants]:
        """Wait for the line at the start of a stream; then tell the clock of all blocks so far."""
        for end in range(_FIRST, _LATEST + 1, LINES):
            end = min(end, self._count) if ended else end
            if end > self._count or end < LINES:
                return []
            fit, _ = self._fit(np.array([end]), _LATEST)
            clear = bool(fit.score[0] > _CLEAR)
            if clear or end == _LATEST or (ended and end == self._count):
                self._locked, self.clear = True, clear
                if clear:
                    self._rate, self._phase = float(fit.rate[0]), float(fit.phase[0])
                    self._at = float(fit.middle[0])
                blocks = end // LINES - (0 if ended else 1)
                found = [self._instants(block) for block in range(blocks)]
                self._block = blocks
                return found
        return []

    def _fit(self, ends: NDArray[np.intp], window: int) -> tuple[_Fits, NDArray[np.complex64]]:
        """Fit a tone to the samples of the line before each end (numbers in the stream).

        Args:
            ends: [blocks].
            window: samples of the line.

        Returns:
            the fits, each array [blocks], and the samples, complex64 [blocks, window].
        """
        last = self._starts(ends, window)
        rows = windows(self._line, window)[last]
        native = kernels()
        if native is not None:
            held = _native_window(window, self._symbols)
            return _Fits(*native.clock_tones(self._line, last, ends, held, self._limits())), rows
        bins = _bins(window)
        reach = int(_ERROR * self._symbols * bins) + 1
        energy = np.maximum((rows.real**2 + rows.imag**2).sum(axis=1, dtype=np.float64), 1e-30)
        spectrum = scipy.fft.fft(rows, bins, axis=1)
        near = np.concatenate((spectrum[:, -reach:], spectrum[:, : reach + 1]), axis=1)
        power = near.real**2 + near.imag**2
        there = np.minimum(ends, window)  # how many of them belong to the stream
        n = np.arange(len(ends))
        peak, score = self._peaks(power, energy, there, reach, bins)
        peak = np.clip(peak, 1, 2 * reach - 1)
        low, mid, high = (np.sqrt(power[n, peak + step]) for step in (-1, 0, 1))
        bend = low - 2 * mid + high
        shift = np.where(bend < 0, 0.5 * (low - high) / np.where(bend < 0, bend, -1.0), 0.0)
        rate = (peak - reach + np.clip(shift, -0.5, 0.5)) / bins
        # In the middle of a window the phase of a bin is that of the tone, wherever between two bins that is.
        middle = window - 0.5 * (there + 1)
        phase = np.angle(near[n, peak]) / (2 * np.pi) + (peak - reach) / bins * middle
        return _Fits(rate, phase, ends - 0.5 * (there + 1), score, energy), rows

    def _starts(self, ends: NDArray[np.intp], window: int) -> NDArray[np.intp]:
        """Return where windows of the line begin in `_line`, given where they end in the stream, [blocks]."""
        return ends - (self._count - len(self._line)) - window

    def _peaks(
        self,
        power: NDArray[np.float32],
        energy: NDArray[np.float64],
        there: NDArray[np.intp],
        reach: int,
        bins: int,
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the likeliest of bins -reach to reach, [blocks], and its log likelihood ratio less its cost.

        Beyond the usual error all cost the same: the one with the most power is the likeliest.
        """
        usual = min(int(_USUAL_ERROR * self._symbols * bins), reach)
        cost = _COST * np.minimum(
            1, (np.arange(-usual, usual + 1) / bins / self._symbols / _USUAL_ERROR) ** 2
        )
        n = np.arange(len(power))
        inner = (
            _likelihood(power[:, reach - usual : reach + usual + 1], energy[:, None], there[:, None]) - cost
        )
        places = [inner.argmax(axis=1) + reach - usual]
        scores = [inner[n, places[0] - (reach - usual)]]
        if usual < reach:
            below = power[:, : reach - usual].argmax(axis=1)
            above = power[:, reach + usual + 1 :].argmax(axis=1) + reach + usual + 1
            outer = [_likelihood(power[n, one], energy, there) - _COST for one in (below, above)]
            places, scores = [below, places[0], above], [outer[0], scores[0], outer[1]]
        best = np.stack(scores).argmax(axis=0)
        return np.stack(places)[best, n], np.stack(scores)[best, n]

    def _long_fits(self, blocks: NDArray[np.intp], ends: NDArray[np.intp], newest: _Fits) -> _Fits:
        """Return the tones in the longest window, [blocks].

        While the line is clear, in the newest samples too, they hardly change from block to block: once settled, every
        fourth has a new one.
        """
        longest, every = self._windows[-1], (blocks % _SLOWLY == 0) | (blocks < _SETTLED)
        if self._long is None:
            every[0] = True
        fresh = np.flatnonzero(every)
        columns = [] if self._long is None else [self._long]
        if len(fresh):
            columns.append(self._fit(ends[fresh], longest)[0])
        known = [np.concatenate(values) for values in zip(*columns, strict=True)]
        self._long = _Fits(*(value[-1:] for value in known))
        which = np.cumsum(every) - (1 if len(known[0]) == len(fresh) else 0)
        fits = _Fits(*(value[which] for value in known))
        unclear = np.flatnonzero(~every & (np.minimum(fits.score, newest.score) < _CLEAR))
        if len(unclear):
            for value, other in zip(fits, self._fit(ends[unclear], longest)[0], strict=True):
                value[unclear] = other
        return fits

    def _is_good(
        self, fits: _Fits, newest: _Fits, rows: NDArray[np.complex64], ends: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Return which tones are clear, and not contradicted by the newest samples of the line, [blocks, 32]."""
        there = np.minimum(ends, _SHORT)
        number = ends[:, None] - _SHORT + np.arange(_SHORT)
        cycles = fits.phase[:, None] + fits.rate[:, None] * (number - fits.middle[:, None])
        angle = (cycles - np.rint(cycles)).astype(np.float32)
        match = (rows * np.exp(np.complex64(-2j * np.pi) * angle)).sum(axis=1).real
        held = _likelihood(np.maximum(match, 0) ** 2, newest.energy, there)
        return np.asarray((fits.score >= _CLEAR) & (newest.score - held < _CONTRADICTED))

    def _follow(self, blocks: NDArray[np.intp]) -> list[Instants]:
        """Tell the clocks of blocks: by the longest window that is clear and not contradicted."""
        if kernels() is not None:
            return self._follow_compiled(blocks)
        ends = np.minimum((blocks + 1) * LINES + _AHEAD, self._count)
        newest, rows = self._fit(ends, _SHORT)
        fits = self._long_fits(blocks, ends, newest)
        good = self._is_good(fits, newest, rows, ends)
        if not good.all():
            bad = np.flatnonzero(~good)
            few, _ = self._fit(ends[bad], self._windows[1])
            fits = _Fits(*(value.copy() for value in fits))
            short = ~self._is_good(few, _Fits(*(value[bad] for value in newest)), rows[bad], ends[bad])
            for value, other, least in zip(fits, few, newest, strict=True):
                value[bad] = np.where(short, least[bad], other)
            good[bad] = ~short | (newest.score[bad] >= _CLEAR)
        # A block whose tone is not clear has the clock of the last one before it that was.
        last = np.maximum.accumulate(np.where(good, np.arange(len(blocks)), -1))
        held = (self._rate, self._phase, self._at)
        rate, phase, at = (
            np.where(last >= 0, value[last], one) for value, one in zip(fits[:3], held, strict=True)
        )
        begin = blocks * LINES
        cycles = (phase + rate * (begin - at) + begin * self._symbols) % 1.0
        rates = self._nominal + rate / _SPAN
        self._rate, self._phase, self._at = float(rate[-1]), float(phase[-1]), float(at[-1])
        self.clear, self._block = bool(good[-1]), int(blocks[-1]) + 1
        return list(map(Instants, cycles.tolist(), rates.tolist(), good.tolist()))

    def _limits(self) -> ClockLimits:
        """Return what the compiled kernels compare tones with."""
        return ClockLimits(
            *(self._symbols, _USUAL_ERROR, _COST, _CLEAR, _CONTRADICTED, self._nominal),
            *(_SPAN, LINES, _AHEAD, _SLOWLY, _SETTLED),
        )

    def _follow_compiled(self, blocks: NDArray[np.intp]) -> list[Instants]:
        """The same as `_follow`, by the compiled kernels."""
        native, long = kernels(), self._long
        assert native is not None
        lasting = Tone() if long is None else Tone(*(float(value[0]) for value in long))
        now = ClockTrack(self._rate, self._phase, self._at, lasting, long is not None, self.clear)
        short, middle, longest = (_native_window(window, self._symbols) for window in self._windows)
        told, seen = native.clock_follow(
            *(self._line, self._count, (int(blocks[0]), len(blocks))),
            *((short, middle, longest), self._limits(), now),
        )
        tone = now.lasting
        known = (tone.rate, tone.phase, tone.middle, tone.score, tone.energy)
        self._long = _Fits(*map(np.atleast_1d, known))
        self._rate, self._phase, self._at = now.rate, now.phase, now.at
        self.clear, self._block = bool(now.clear), int(blocks[-1]) + 1
        return list(map(Instants, *told.tolist(), seen.tolist()))

    def _instants(self, block: int) -> Instants:
        """Return the present tone as the clock of a block."""
        begin = block * LINES
        rate = self._nominal + self._rate / _SPAN
        phase = self._phase + self._rate * (begin - self._at) + begin * self._symbols
        return Instants(phase % 1.0, rate, self.clear)
