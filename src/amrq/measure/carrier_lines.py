# SPDX-License-Identifier: GPL-3.0-or-later
"""Spectral lines that a carrier leaves in powers of its symbols: what makes them, and how their frequency is measured.

Raising an M-fold symmetric constellation to its M-th power leaves a line at M times the carrier offset (A. J. Viterbi
and A. M. Viterbi, "Nonlinear estimation of PSK-modulated carrier phase with application to burst digital
transmission", IEEE Trans. Inf. Theory 29(4), 1983, eq. 1-3, replace the amplitude |z|^M by a free function F(|z|)). Its
frequency is where a periodogram has its peak (D. C. Rife and R. R. Boorstyn, "Single-tone parameter estimation from
discrete-time observations", IEEE Trans. Inf. Theory 20(5), 1974), with a drift where that of a dechirped sequence has
it (T. J. Abatzoglou, "Fast maximum likelihood joint estimation of frequency and frequency rate", IEEE Trans. Aerosp.
Electron. Syst. 22(6), 1986).

Frequencies and drifts of lines are M times those of the carrier. The power of a line is in units of the floor: the
squared sum of a window's values over the sum of their squares, 1 on average in noise and the number of symbols for a
line without noise.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from amrq.classes import THESIS_9
from amrq.native import CHIRPS, LineChirps, LineGrid, kernels

__all__ = [
    "ORDERS",
    "Chirps",
    "Fit",
    "Line",
    "PowerFunctions",
    "averages",
    "binary_lines",
    "binary_places",
    "is_binary",
    "peak_frequencies",
    "sliding",
    "spectra",
    "turned",
    "turns_by_half",
    "wander",
]

Complex = NDArray[np.complexfloating[Any, Any]]

ORDERS = np.array([2, 4, 4, 4, 8, 16])
"""M of each of the six functions: BPSK and ASK; QPSK, 16QAM, 32QAM; 8PSK; 16PSK."""

_LARGEST_RADIUS = 1.6  # amplitude over RMS: 8ASK's is 1.53; what is beyond counts no more than this
_BLOCKS = 16  # sums that a fit is made of; the grid's edge loses 2.2 dB by summing first, its middle nothing

# Grid of the fine fit, for the M-th power and a window of 256 symbols: frequencies half a main lobe apart
# (cycles/symbol), drifts so far apart that half a step turns the window's ends by an eighth of a cycle
# (cycles/symbol^2). They go with the inverse of the window's length and of its square.
_FIT = 256
_RATE_STEP, _RATES = 1 / 512, 12
_DRIFT_STEP = 3e-5

_CLEAR = 0.12  # a line's share in the energy from which its phase may be followed
_CLEARER, _LESS_BROAD = 0.35, 0.9  # the same for lines that stand out so far
_BROAD = 0.72  # a line shows so much of that share in the whole window, or it is broad
TURNING = 0.34  # quarters of the symbol rate between a line at M = 4 and the spectrum's middle
_BINARY_LINE, BINARY_AWAY = 8.0, 1 / 64  # short average, of pi/2-BPSK; cycles/symbol that it may be off
_LEAST_POLE = 0.4  # of the phase's smoothing: 4 symbols weigh as much as all others


class PowerFunctions:
    """The six functions of a symbol that leave a line: its phase times M, its amplitude weighed.

    >>> import numpy as np
    >>> shaped = PowerFunctions()(np.exp(0.5j * np.pi * np.arange(4)), np.ones(4))
    >>> shaped.shape, bool(np.allclose(shaped[1], 1))
    ((6, 4), True)
    """

    def __init__(self) -> None:
        self._ring16 = _ring_weight("16QAM")
        self._ring32 = _ring_weight("32QAM")
        self._rings = np.stack((self._ring16, self._ring32))

    def write(
        self, symbols: NDArray[np.complex64], levels: NDArray[np.float32], out: NDArray[np.complex64]
    ) -> None:
        """Write the functions of whole steps to the end of each row.

        Args:
            symbols: complex64 [32 n].
            levels: mean |z|^2 around each step, float32 [n].
            out: complex64 [6, at least 32 n].
        """
        native = kernels()
        if native is not None:
            native.line_functions(symbols, levels, self._rings, _LARGEST_RADIUS, out)
        elif len(levels):
            out[:, -len(symbols) :] = self(symbols, np.repeat(levels, len(symbols) // len(levels)))

    def __call__(self, symbols: Complex, power: NDArray[np.floating[Any]]) -> NDArray[np.complex64]:
        """Return the functions of symbols.

        Args:
            symbols: complex [n], of any level.
            power: [n], mean |z|^2 around each symbol.

        Returns:
            complex64 [6, n], in the order of `ORDERS`.
        """
        amplitude = np.abs(symbols)
        scale = (1.0 / np.sqrt(np.maximum(power, 1e-30))).astype(np.float32)
        unit = symbols / np.maximum(amplitude, np.float32(1e-30))
        radius = np.minimum(amplitude * scale, np.float32(_LARGEST_RADIUS))
        out = np.empty((len(ORDERS), len(symbols)), np.complex64)
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


@cache
def _ring_weight(name: str) -> NDArray[np.float32]:
    """E[cos 4 theta | r] of a constellation with points on the diagonals, in white noise, float32 [129 radii].

    The function of the amplitude that gives the fourth-power line the most power for its floor: rings whose
    points lie on the diagonals count negative, those on the axes positive, unclear ones little. The noise
    is that of Es/N0 = 17 dB, about the least at which 32QAM can be followed; weights for 22 dB gain nothing
    above it.
    """
    radii, phase = np.linspace(0.0, _LARGEST_RADIUS, 129), np.arange(128) * (2 * np.pi / 128)
    received = radii[:, None] * np.exp(1j * phase)
    n0 = 10 ** (-17 / 10)
    density = np.zeros(received.shape)
    for point in THESIS_9[name].points:
        density += np.exp(-(np.abs(received - point) ** 2) / n0)
    total = density.sum(axis=1)
    weight = (density @ np.cos(4 * phase)) / np.maximum(total, 1e-12 * total.max())
    return np.asarray(weight, dtype=np.float32)


class Line(NamedTuple):
    """Lines found in windows, each array [n]."""

    rates: NDArray[np.float64]  # cycles/symbol in the window's middle
    drifts: NDArray[np.float64]  # cycles/symbol^2
    quality: NDArray[np.float64]  # power in units of the floor
    broad: NDArray[
        np.bool_
    ]  # its phase wanders: sums of 16 symbols show much more of it than the whole window does


class Chirps:
    """A bank of dechirped periodograms of windows of one length: finds lines that drift fast.

    Args:
        window: symbols.
        spacing: between drifts, cycles/symbol^2: half of it turns the window's ends by a quarter cycle at most.
        counts: for each of the six functions, drifts on either side of 0.
        max_offset: largest offset of the carrier, cycles/symbol.
        least: power, in units of the floor, that a line must have.
    """

    def __init__(
        self, window: int, spacing: float, counts: tuple[int, ...], max_offset: float, least: float
    ) -> None:
        self._least = least
        bins = scipy.fft.next_fast_len(2 * window)
        self._frequencies = scipy.fft.fftfreq(bins)
        self._function = np.repeat(np.arange(len(ORDERS)), [2 * count + 1 for count in counts])
        self._first = np.flatnonzero(np.diff(self._function, prepend=-1))
        self._drifts = np.concatenate([np.arange(-count, count + 1) * spacing for count in counts])
        time = np.arange(window) - (window - 1) / 2
        self._table = turned(self._drifts[:, None] / 2 * time**2)
        limit = ORDERS[self._function] * max_offset + 0.5 / bins
        self._allowed = (np.abs(self._frequencies) <= limit[:, None]).astype(np.float32)
        self._native_tables = _chirp_tables(self._table, counts, bins)
        self._native_allowed = np.ascontiguousarray(self._allowed[self._first] > 0)
        self._counts = counts
        self._native: LineChirps | None = None

    def native(self, every: int, fit: int) -> LineChirps | None:
        """Return the same for the compiled kernel; None if it is not for it.

        Args:
            every: steps from one search to the next, where a line moves.
            fit: symbols of a fit that chirps are handed to.
        """
        if self._native is None and self._native_tables is not None:
            drifts = np.zeros((len(ORDERS), CHIRPS))
            for row, (first, count) in enumerate(zip(self._first.tolist(), self._counts, strict=True)):
                drifts[row, : 2 * count + 1] = self._drifts[first : first + 2 * count + 1]
            numbers = (self._frequencies.astype(np.float64), drifts, ORDERS)
            self._native = LineChirps(
                self._native_tables, self._native_allowed, numbers, self._least, (every, fit)
            )
        return self._native

    def search(self, shaped: NDArray[np.complex64], first: int) -> NDArray[np.float64]:
        """Look for the strongest line of each function's window.

        Args:
            shaped: the functions, complex64 [6, n].
            first: first symbol of the window.

        Returns:
            float64 [3, 6]: frequencies, drifts, and powers, which are zero where there is no line, or one at a lesser
            M.
        """
        windows = shaped[:, first : first + self._table.shape[1]]
        energies = np.maximum(_energies(windows), 1e-20)
        native = kernels()
        if native is not None and self._native_tables is not None:
            best, bins, highest = native.line_chirps(shaped, first, self._native_tables, self._native_allowed)
            best, quality = best + self._first, highest / energies
        else:
            match = spectra(windows[self._function] * self._table, self._allowed.shape[1])
            power = (match.real**2 + match.imag**2) * self._allowed
            peaks = power.argmax(axis=1)
            tops = power[np.arange(len(peaks)), peaks]
            best = np.array(
                [
                    first + part.argmax()
                    for first, part in zip(self._first, np.split(tops, self._first[1:]), strict=True)
                ]
            )
            bins, quality = peaks[best], tops[best] / energies
        quality[quality < self._least] = 0
        seen = ORDERS[quality > 0]
        quality[min(seen, default=0) < ORDERS] = 0
        return np.stack((self._frequencies[bins], self._drifts[best], quality))


def _chirp_tables(
    table: NDArray[np.complex64], counts: tuple[int, ...], bins: int
) -> NDArray[np.float32] | None:
    """Return the table of `Chirps` for the compiled kernel, float32 [6, 2, window, 16]; None if it is not for it.

    Args:
        table: complex64 [rows, window].
        counts: drifts on either side of 0, of each function.
        bins: of the transform.
    """
    if bins not in (64, 128, 256) or 2 * max(counts) + 1 > CHIRPS:
        return None
    found = np.zeros((len(counts), 2, table.shape[1], CHIRPS), np.float32)
    first = 0
    for row, count in enumerate(counts):
        part = table[first : first + 2 * count + 1].T
        found[row, 0, :, : part.shape[1]], found[row, 1, :, : part.shape[1]] = part.real, part.imag
        first += 2 * count + 1
    return found


class Fit:
    """The fine fit of a line: windows of one length are matched with a grid of frequencies and drifts.

    Args:
        window: symbols, a multiple of 16.
        drifts: of the grid on either side; each turns the window's ends by a quarter cycle.
    """

    def __init__(self, window: int, drifts: int) -> None:
        self.window, self._drifts = window, drifts
        self._rate_step = _RATE_STEP * _FIT / window
        self._drift_step = _DRIFT_STEP * (_FIT / window) ** 2
        self._time = (np.arange(window) - (window - 1) / 2).astype(np.float32)
        centre = (np.arange(_BLOCKS) - (_BLOCKS - 1) / 2) * (window // _BLOCKS)
        self._straighten = turned(np.arange(-drifts, drifts + 1)[:, None] * self._drift_step / 2 * centre**2)
        self._lags = np.arange(-_RATES, _RATES + 1)
        self._native: LineGrid | None = None

    @property
    def native(self) -> LineGrid:
        """The same for the compiled kernel."""
        if self._native is None:
            steps, broad = (self._rate_step, self._drift_step), (_CLEAR, _CLEARER, _LESS_BROAD, _BROAD)
            self._native = LineGrid(self.window, self._straighten, steps, broad)
        return self._native

    def __call__(
        self,
        windows: NDArray[np.complex64],
        rates: NDArray[np.float64],
        drifts: NDArray[np.float64],
        drift_cost: float = 0.0,
    ) -> Line:
        """Return the line of each window, complex64 [n, window], around these rates and drifts [n].

        With `drift_cost`, the drift is left as it is unless another gives so much more power, in units of the floor.
        """
        mixed = self._mixed(windows, rates, drifts)
        blocks = mixed.reshape(len(windows), _BLOCKS, self.window // _BLOCKS).sum(axis=2)
        columns = 2 * self._drifts + 1
        match = spectra(blocks[:, None, :] * self._straighten, 2 * _BLOCKS)[:, :, self._lags]
        level = np.swapaxes(match.real**2 + match.imag**2, 1, 2)
        i, j = np.divmod(level.reshape(len(windows), -1).argmax(axis=1), columns)
        n = np.arange(len(windows))
        block_energy = _energies(windows.reshape(-1, self.window // _BLOCKS)).reshape(-1, _BLOCKS)
        energy = np.maximum(block_energy.sum(axis=1), 1e-20)
        if drift_cost:
            straight = level[:, :, self._drifts].argmax(axis=1)
            stays = level[n, i, j] - level[n, straight, self._drifts] < drift_cost * energy
            i, j = np.where(stays, straight, i), np.where(stays, self._drifts, j)
        quality = level[n, i, j] / energy
        # The line's share in the energy, by the whole window, as far as there is a signal in it, and by its blocks.
        filled = self.window * energy**2 / np.maximum(_BLOCKS * (block_energy**2).sum(axis=1), 1e-30)
        rate, gain = _vertex(level, n, i, j, 1)
        whole = (quality * gain - 1) / np.maximum(filled - 1, 1)
        parts = (_energies(blocks) / energy - 1) / (self.window / _BLOCKS - 1)
        return Line(
            rates + self._rate_step * (i - _RATES + rate),
            drifts + self._drift_step * (j - self._drifts + _vertex(level, n, i, j, 2)[0]),
            quality.astype(np.float64),
            (parts > _CLEAR) & (whole < np.where(parts > _CLEARER, _LESS_BROAD, _BROAD) * parts),
        )

    @property
    def reach(self) -> float:
        """Largest drift, cycles/symbol^2, that is not on the grid's edge."""
        return (self._drifts - 0.75) * self._drift_step

    def _mixed(
        self, windows: NDArray[np.complex64], rates: NDArray[np.float64], drifts: NDArray[np.float64]
    ) -> NDArray[np.complex64]:
        """Return windows moved to frequency 0 and drift 0."""
        turn = rates.astype(np.float32)[:, None] * self._time
        if drifts.any():
            turn += (drifts / 2).astype(np.float32)[:, None] * self._time**2
        return np.asarray(windows * turned(turn), dtype=np.complex64)


def wander(
    windows: NDArray[np.complex64], rates: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return frequency and phase of broad lines in the middle third of each window.

    The phase is a random walk, of which the line's correlation over 1 and 4 symbols tells the step and the noise that
    it is seen in. It is smoothed as a Kalman smoother does in its steady state, but without the symbol itself, whose
    own noise would otherwise be taken for phase.

    Args:
        windows: complex64 [n, 3 L].
        rates: [n], cycles/symbol, nearly.

    Returns:
        Frequency, float64 [n], cycles/symbol; what the phase is besides, float32 [n, L], cycles, without jumps.
    """
    length = windows.shape[1]
    time = np.arange(length, dtype=np.float32) - (length - 1) / 2
    straight = windows * turned(rates.astype(np.float32)[:, None] * time)
    energy = np.maximum(_energies(windows), 1e-20)
    near, far = (
        np.abs(np.einsum("ij,ij->i", straight[:, lag:], straight[:, :-lag].conj())) / energy for lag in (1, 4)
    )
    step = 2 / 3 * np.log(np.clip(near / np.maximum(far, 1e-3), 1.0, 10.0))  # variance, rad^2
    share = np.clip(near * np.exp(step / 2), 0.02, 0.98)
    ratio = step * 2 * share / (1 - share)
    pole = np.clip(1 + ratio / 2 - np.sqrt(ratio + ratio**2 / 4), _LEAST_POLE, 0.95)
    middle = time[length // 3 : 2 * length // 3]
    # The same few powers of a pole again and again; none of the symbol itself.
    powers = pole[:, None] ** np.arange(length, dtype=np.float32)
    powers[:, 0] = 0
    weight = powers.astype(np.float32)[:, _distances(length)]
    phase = np.unwrap(np.angle(np.einsum("ij,ijk->ik", straight, weight)), axis=1) / (2 * np.pi)
    slope = (phase * middle).sum(axis=1) / (
        middle @ middle
    )  # a product of matrices would round by their size
    return rates + slope, np.asarray(phase - slope[:, None] * middle, dtype=np.float32)


@cache
def _distances(length: int) -> NDArray[np.intp]:
    """Return how far symbols are from those of the middle third, int [length, a third]."""
    places = np.arange(length)
    return np.asarray(np.abs(places[:, None] - places[length // 3 : 2 * length // 3]))


def spectra(rows: NDArray[np.complex64], bins: int) -> NDArray[np.complex64]:
    """Return the spectra of rows, complex64 [..., n], in so many bins; other rows do not change a bit of it.

    The FFT takes as many rows at once as a register holds, 16 at most, and rounds otherwise for those left over.
    """
    flat = rows.reshape(-1, rows.shape[-1])
    whole = np.zeros((-(-len(flat) // 16) * 16, bins), np.complex64)
    whole[: len(flat), : flat.shape[1]] = flat
    out = scipy.fft.fft(whole, axis=1, overwrite_x=True)[: len(flat)]
    return np.asarray(out, dtype=np.complex64).reshape(*rows.shape[:-1], bins)


def averages(
    powers: NDArray[np.float32], energies: NDArray[np.float32], steps: int, spans: tuple[int, ...]
) -> list[NDArray[np.float32]]:
    """Return running sums of spectra in units of their floor, float32 [6, steps, bins] for each span.

    Sums by doubling: the order of additions is the same wherever the stream is cut.

    Args:
        powers: float32 [6, spans[-1] - 1 + steps, bins], power spectra, one a step.
        energies: float32 [6, spans[-1] - 1 + steps], of what they are made of.
        steps: the last so many are wanted.
        spans: numbers of spectra that are added, powers of 2, rising.
    """
    total, floor = powers, energies
    wanted: list[NDArray[np.float32]] = []
    span = 1
    while span < spans[-1]:
        total = total[:, span:] + total[:, :-span]
        floor = floor[:, span:] + floor[:, :-span]
        span *= 2
        if span in spans:
            recent = floor[:, -steps:]
            wanted.append(total[:, -steps:] / np.maximum(recent, np.float32(1e-20))[..., None])
    return wanted


def peak_frequencies(powers: NDArray[np.float32], peaks: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the frequencies of the peaks of spectra, cycles/symbol: parabolas through three bins.

    Args:
        powers: float32 [..., bins].
        peaks: [...], their largest bins.
    """
    bins = powers.shape[-1]
    left, mid, right = (
        np.take_along_axis(powers, (peaks[..., None] + k) % bins, -1)[..., 0] for k in (-1, 0, 1)
    )
    bend = left - 2 * mid + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1), 0.0)
    frequency: NDArray[np.float64] = scipy.fft.fftfreq(bins)[peaks] + np.clip(shift, -0.5, 0.5) / bins
    return frequency


def turns_by_half(rate: float, middle: float) -> bool:
    """Return whether a line at M = 4 is not a carrier's in the spectrum's middle, but an eighth of the symbol rate off.

    Args:
        rate: a quarter of the line's frequency, cycles/symbol.
        middle: of the spectrum, cycles/symbol.

    >>> turns_by_half(0.01, 0.0), turns_by_half(-0.115, 0.0), turns_by_half(0.26, 0.0)
    (False, True, False)
    """
    away = 4 * (rate - middle)
    return abs(away - round(away)) > TURNING


def binary_lines(powers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the frequency of the strongest line of each spectrum, cycles/symbol, if it may be pi/2-BPSK's, else NaN.

    Args:
        powers: float32 [n, bins], spectra for M = 2 in units of their floor, zero where a carrier is looked for.
    """
    peaks = powers.argmax(axis=1)
    return binary_places(peaks, powers[np.arange(len(peaks)), peaks], powers.shape[1])


def binary_places(peaks: NDArray[Any], powers: NDArray[np.floating[Any]], bins: int) -> NDArray[np.float64]:
    """Return the same of the strongest bin of each spectrum and its power, [n] each."""
    return np.where(powers > _BINARY_LINE, peaks / bins, np.nan)


def is_binary(line: float, rate: float) -> bool:
    """Return whether what shows a line at M = 4 is pi/2-BPSK.

    Args:
        line: frequency of the line at M = 2, see `binary_lines`; NaN for none.
        rate: of the carrier by the line at M = 4, cycles/symbol.

    >>> is_binary(0.52, 0.01), is_binary(0.02, 0.01), is_binary(float("nan"), 0.01)
    (True, False, False)
    """
    return abs((line - 2 * rate) % 1.0 - 0.5) < BINARY_AWAY


def sliding(values: NDArray[np.complex64], length: int) -> NDArray[np.complex64]:
    """Return all windows of so many values, complex64 [..., windows, length]."""
    return np.lib.stride_tricks.sliding_window_view(values, length, axis=-1)


def turned(cycles: NDArray[np.floating[Any]]) -> NDArray[np.complex64]:
    """Return exp(-2j pi cycles), complex64 of the same shape, for finite cycles."""
    native = kernels()
    if native is not None:
        return native.turned(np.asarray(cycles, np.float64))
    cycles = cycles - np.rint(cycles)
    angle = np.float32(-2 * np.pi) * cycles.astype(np.float32)
    out = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=out.real)
    np.sin(angle, out=out.imag)
    return out


def _energies(windows: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the sum of the squares of each window, complex64 [n, window]."""
    real, imag = windows.real, windows.imag
    energy: NDArray[np.float32] = np.einsum("ij,ij->i", real, real) + np.einsum("ij,ij->i", imag, imag)
    return energy


def _vertex(
    level: NDArray[np.float32], n: NDArray[np.intp], i: NDArray[np.intp], j: NDArray[np.intp], axis: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where between grid points the parabola through a peak's logarithm has its top (-0.5 to 0.5 steps); its gain."""
    size = level.shape[axis]
    at = i if axis == 1 else j
    mid = np.clip(at, 1, size - 2)
    value = []
    for k in (-1, 0, 1):
        index = (n, mid + k, j) if axis == 1 else (n, i, mid + k)
        value.append(np.log(np.maximum(level[index], 1e-30)).astype(np.float64))
    bend = value[0] - 2 * value[1] + value[2]
    shift = np.where(bend < 0, 0.5 * (value[0] - value[2]) / np.where(bend < 0, bend, -1.0), 0.0)
    shift = np.where(at == mid, np.clip(shift, -0.5, 0.5), 0.0)
    return shift, np.exp(0.25 * (value[2] - value[0]) * shift)
