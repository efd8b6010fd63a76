# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transmitter, a channel and a receiver leave in symbols that says nothing about a constellation.

Symbols that scatter around a class's points may do so because the constellation has more points, or because of
something that has few parameters: a phase that wanders, what a filter leaves of neighbouring symbols, the image that an
uneven I/Q mixer makes, a line, an amplifier or converter that compresses. These are fitted by least squares and taken
away. What a denser constellation leaves is independent from symbol to symbol, so that none of them explains it: the
phase of a symbol is taken from its neighbours alone, and the rest has some twenty parameters for all symbols together.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["Nuisances", "leave_one_out", "without_nuisances"]

_TOLD_APART, _WELL_APART = 2.4, 3.0
"""Distance between points over the noise's standard deviation from which more than phase noise, and an image, are
looked for."""
_WIDTHS = (1.5, 3.0, 6.0, 12.0)
"""Symbols over which the phase may be averaged."""
_PHASE_DEVIATIONS = 3.0
"""By how many standard deviations a phase that wanders must foretell symbols better than a still one."""
_WEIGHTY = 0.3
"""Power of a point over the mean power from which its symbol's phase is looked at."""
_MOST_COLOUR = 0.4
"""Share of what is left of symbols that what is left of their neighbours may foretell.

Noise after an equaliser of an echo of -6 dB has 0.25; OQPSK, taken for QPSK, 0.5 and more.
"""
_NEIGHBOURS = 3
"""Symbols on each side of which a filter may have left something, and whose noise may foretell that of a symbol."""
_LEAST_POWER = 10.0
"""What a parameter must explain, over the noise power: 1 in 20,000 does so by chance."""
_SEARCHED = 18.0
"""The same where the frequency is searched for, or where the parameter is one of several."""
_MOST_COMPRESSION = 0.3
"""Largest loss of gain from the innermost to the outermost ring that is made good."""
_NO_RISE = 0.03
"""Rise of the gain from ring to ring that is still none."""


class Nuisances(NamedTuple):
    """What was found.

    Attributes:
        phase_noise: power that following the phase leaves, over that of a symbol; 0 if the phase is still.
        compression: loss of gain from the innermost to the outermost ring; 0 if there is none.
        others: whether something else was found.
        turning: whether a line or an image was, whose phase turns against that of the symbols.
    """

    phase_noise: float = 0.0
    compression: float = 0.0
    others: bool = False
    turning: bool = False

    @property
    def found(self) -> bool:
        """Whether symbols were changed."""
        return self.others or self.phase_noise > 0 or self.compression > 0


@lru_cache(8)
def _kernels(length: int) -> tuple[NDArray[np.complex64], NDArray[np.float64], NDArray[np.float64]]:
    """Return averages over neighbours, [length, widths * length], and the mean squared error of each width.

    The errors are those for a phase whose steps have a variance of 1, and for noise of a variance of 1 in each symbol.
    """
    apart = np.arange(length)[:, None] - np.arange(length)
    walk = np.minimum(np.arange(length)[:, None], np.arange(length)) + 1.0
    found, by_walk, by_noise = [], [], []
    for width in _WIDTHS:
        kernel = np.exp(-0.5 * (apart / width) ** 2) * (apart != 0)
        kernel /= kernel.sum(axis=0)
        error = np.eye(length) - kernel
        found.append(kernel)
        by_walk.append(np.einsum("ij,ik,kj->j", error, walk, error).mean())
        by_noise.append((kernel**2).sum(axis=0).mean())
    return np.concatenate(found, axis=1).astype(np.complex64), np.array(by_walk), np.array(by_noise)


def leave_one_out(line: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Foretell each symbol of chunks from others of its chunk, by several averages.

    Args:
        line: complex64 [n, L], of constant phase within a chunk or slowly changing.

    Returns:
        what is foretold [widths + 1, n, L], the last one from all others; and the part of `line` in that direction.
    """
    count, length = line.shape
    near = (line @ _kernels(length)[0]).reshape(count, len(_WIDTHS), length).transpose(1, 0, 2)
    all_others = line.sum(axis=1, keepdims=True) - line
    foretold = np.concatenate([near, all_others[None]])
    along = (foretold.conj() * line).real / np.maximum(np.abs(foretold), np.float32(1e-12))
    return foretold, along


def without_nuisances(
    symbols: NDArray[np.complex64],
    expected: NDArray[np.complex64],
    turn: NDArray[np.complex64],
    rings: NDArray[np.float64],
    apart: float,
) -> tuple[NDArray[np.complex64], NDArray[np.complex64], Nuisances]:
    """Take away what needs no other constellation to be explained.

    Args:
        symbols: complex64 [n, L], consecutive chunks, turned upright.
        expected: complex64 [n, L], the point that each symbol probably is, at the symbols' level.
        turn: complex64 [n, L], of size 1; `symbols * turn` has the carrier of the received signal.
        rings: distances of the class's points from the middle, rising, at the symbols' level.
        apart: smallest distance between points over the noise's standard deviation. Where the points are not told
            apart well, only phase noise is looked for, or no image: it would not be one that is found.

    Returns:
        the symbols without that, the turn from them to the received signal's carrier, and what was found.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(1)
        >>> sent = rng.choice([1, 1j, -1, -1j], (32, 32)).astype(np.complex64)
        >>> noise = 0.05 * rng.standard_normal((32, 64)).view(np.complex128)
        >>> echo = 0.2j * np.roll(sent.ravel(), 1).reshape(32, 32)
        >>> received = (sent + echo + noise).astype(np.complex64)
        >>> cleaned, turn, found = without_nuisances(received, sent, np.ones_like(sent), np.ones(1), apart=28.0)
        >>> found.others, bool(np.var(cleaned - sent) < 0.2 * np.var(received - sent))
        (True, True)
    """
    told_apart, others, turning, compression = apart > _TOLD_APART, False, False, 0.0
    if told_apart:
        # Of points that are no square or ring an image looks like a phase that wanders: it goes first.
        rest = (symbols - expected).ravel()
        rest, others, turning = _explained(
            rest, expected.ravel(), turn.ravel(), _power(rest), image=apart > _WELL_APART
        )
        symbols = expected + rest.reshape(symbols.shape)
    symbols, followed, phase_noise = _phase_followed(symbols, expected)
    if told_apart and len(rings) > 1:
        rest = (symbols - expected).ravel()
        rest, compression = _expanded(rest, expected.ravel(), rings, _power(rest))
        symbols = (expected + rest.reshape(symbols.shape)).astype(np.complex64)
    return symbols, turn * followed, Nuisances(phase_noise, compression, others, turning)


def _power(rest: NDArray[np.complex64]) -> float:
    return max(float(np.vdot(rest, rest).real) / rest.size, 1e-12)


def _phase_followed(
    symbols: NDArray[np.complex64], expected: NDArray[np.complex64]
) -> tuple[NDArray[np.complex64], NDArray[np.complex64], float]:
    """Turn each symbol back by the phase that its neighbours show.

    Returns:
        the symbols, the turn that was taken from them, and the power of what that leaves, over a symbol's.
    """
    shown = symbols * expected.conj()
    foretold, along = leave_one_out(shown)
    best = int(along[:-1].sum(axis=(1, 2)).argmax())
    better = along[best] - along[-1]
    if better.sum() < _PHASE_DEVIATIONS * math.sqrt(float(np.vdot(better, better))):
        return symbols, np.ones_like(symbols), 0.0
    power = np.abs(expected) ** 2
    mean = float(power.mean())
    weighty = power > _WEIGHTY * mean
    error = shown.imag / np.maximum(power, _WEIGHTY * mean)
    step = np.diff(error, axis=1)
    pair = weighty[:, 1:] & weighty[:, :-1]
    triple = pair[:, 1:] & pair[:, :-1]
    # Of a walk and independent noise in each symbol: successive differences show both.
    variance = float((step**2 * pair).sum()) / max(int(pair.sum()), 1)
    successive = float((step[:, 1:] * step[:, :-1] * triple).sum()) / max(int(triple.sum()), 1)
    _, by_walk, by_noise = _kernels(symbols.shape[1])
    left = max(variance + 2 * successive, 0.0) * by_walk[best] + max(-successive, 0.0) * by_noise[best]
    followed = (foretold[best] / np.maximum(np.abs(foretold[best]), np.float32(1e-20))).astype(np.complex64)
    across = (shown * followed.conj()).imag
    most = float(np.vdot(across, across)) / across.size / max(float((power**2).mean()), 1e-12)
    return symbols * followed.conj(), followed, max(min(float(left), most), 1e-6)


def _explained(
    rest: NDArray[np.complex64],
    expected: NDArray[np.complex64],
    turn: NDArray[np.complex64],
    noise: float,
    image: bool,
) -> tuple[NDArray[np.complex64], bool, bool]:
    """Take from what is left of symbols [N] the part that is linear in neighbours, a line and an image.

    Returns:
        what is left then, whether there was something, and whether a line or image was in it.
    """
    count = len(rest)
    columns: list[NDArray[np.complex64]] = []
    least = []
    # Neighbours show echoes; what is left of neighbours, noise that an equaliser has coloured.
    for source in (expected, rest):
        for shift in range(1, _NEIGHBOURS + 1):
            for late in (True, False):
                column = np.zeros_like(source)
                if late:
                    column[shift:] = source[:-shift]
                else:
                    column[:-shift] = source[shift:]
                columns.append(column)
                least.append(_LEAST_POWER)
    turning = len(columns)
    columns.append(turn.conj())
    least.append(_LEAST_POWER)
    power = max(float(np.vdot(expected, expected).real), 1e-12)
    # Of points on a line the image is the gain as well, where it does not turn against them.
    clear = rest - expected * np.complex64(np.vdot(expected, rest) / power)
    if image:
        spectrum = np.asarray(scipy.fft.fft(clear * expected * turn * turn, 2 * count))
        peak = int((spectrum.real**2 + spectrum.imag**2).argmax())
        line = np.exp(np.complex64(1j * np.pi * peak / count) * np.arange(count, dtype=np.float32))
        mirrored = expected.conj() * turn.conj() ** 2 * line
        mirrored -= expected * np.complex64(np.vdot(expected, mirrored) / power)
        columns.append(mirrored)
        least.append(_SEARCHED)
    by = np.stack(columns)
    products = by.conj() @ by.T
    with_rest = by.conj() @ clear
    own = np.maximum(np.diag(products).real, 1e-9)
    size = np.linalg.solve(products + 1e-3 * np.diag(own), with_rest)
    kept = np.flatnonzero(np.abs(size) ** 2 * own > np.array(least) * noise)
    if not len(kept):
        return rest, False, False
    size = np.linalg.solve(products[np.ix_(kept, kept)] + 1e-4 * np.diag(own[kept]), with_rest[kept])
    coloured = (kept >= 2 * _NEIGHBOURS) & (kept < turning)
    colour = size[coloured] @ by[kept[coloured]]
    if float(np.vdot(colour, colour).real) > _MOST_COLOUR * float(np.vdot(rest, rest).real):
        return rest, False, False
    return rest - size.astype(np.complex64) @ by[kept], True, bool((kept >= turning).any())


def _expanded(
    rest: NDArray[np.complex64], expected: NDArray[np.complex64], rings: NDArray[np.float64], noise: float
) -> tuple[NDArray[np.complex64], float]:
    """Make good a gain that falls with the power, where there is one; also return by how much it was raised."""
    power = (expected.real**2 + expected.imag**2).astype(np.float64)
    along = (rest * expected.conj()).real.astype(np.float64)
    by = power ** np.arange(min(len(rings), 3))[:, None]
    with_rest = by @ along
    products = (by * power) @ by.T
    products += 1e-6 * np.diag(np.diag(products))
    size = np.linalg.solve(products, with_rest)
    gain = size @ rings ** (2 * np.arange(len(by))[:, None])
    if (np.diff(gain) > _NO_RISE).any():
        return rest, 0.0
    fall = float(gain[0] - gain[-1])
    if fall <= 0 or float(size @ with_rest) < _SEARCHED * noise / 2:
        return rest, 0.0
    good = min(fall, _MOST_COMPRESSION)
    return rest - (good / fall * (size @ by)).astype(np.float32) * expected, good
