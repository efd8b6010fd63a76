# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer phase aligner: from received symbols of any level and phase to a network's integers. The reference."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.hardware.aligner_tables import (
    ANGLE_BITS,
    COORDINATE_BITS,
    GRIDS,
    POWERS,
    Grid,
    aligner_tables,
    magnitude_rows,
)
from amrq.hardware.layers import FixedPoint, IntegerInputs

__all__ = ["ALIGNER_KEY", "AlignerPrefix", "IntegerAligner", "rotate_to_axis"]

ALIGNER_KEY = "amrq.aligner"
"""Key of a model file's metadata whose value `integer` says that its graph begins with the integer aligner."""

_LENGTH = 32
_EXPONENT = -5
"""Of what the aligner gives: n stands for n times 2^-5."""
_RECEIVED_BITS = 12
_HALF_TURN, _TURN = 1 << (ANGLE_BITS - 1), 1 << ANGLE_BITS
_REFINEMENTS = 2
_GAIN_BITS = 11
_LEAST_GAIN, _LARGEST_GAIN = 1 << 10, (1 << 12) - 1

_Integers = NDArray[np.int64]


def _rounded(values: _Integers, shift: int) -> _Integers:
    """Return values divided by 2^shift, shift at least 1, rounded half up: an adder before the shift."""
    return (values + (1 << (shift - 1))) >> shift


def rotate_to_axis(x: _Integers, y: _Integers) -> tuple[_Integers, _Integers]:
    """Return magnitude and angle of vectors by CORDIC (Volder 1959), in vectoring mode.

    A vector with x < 0 is first negated. Then step i of 12 turns it by atan(2^-i), clockwise where y >= 0. Shifts are
    arithmetic, so that they round down.

    Args:
        x: integers, |x| up to 2^24, any shape.
        y: the same.

    Returns:
        the magnitude times 1.64676, and the angle in units of 2^-16 turns, -2^15 to 2^15 - 1.

    >>> magnitude, angle = rotate_to_axis(np.array([1000]), np.array([1000]))
    >>> magnitude.tolist(), angle.tolist()
    ([2331], [8193])
    """
    x, y = np.asarray(x, np.int64), np.asarray(y, np.int64)
    behind = x < 0
    x, y = np.where(behind, -x, x), np.where(behind, -y, y)
    angle = np.where(behind, _HALF_TURN, 0)
    for i, step in enumerate(aligner_tables().arctangents.tolist()):
        up = y >= 0
        x, y = np.where(up, x + (y >> i), x - (y >> i)), np.where(up, y - (x >> i), y + (x >> i))
        angle = np.where(up, angle + step, angle - step)
    return x, _wrapped(angle)


def _wrapped(angle: _Integers) -> _Integers:
    return ((angle + _HALF_TURN) & (_TURN - 1)) - _HALF_TURN


def _unit(angle: _Integers) -> tuple[_Integers, _Integers]:
    """Return 2047 times cosine and sine of angles."""
    tables = aligner_tables()
    place = ((angle + 32) >> 6) & 1023
    return tables.cosine[place], tables.sine[place]


class _Fit(NamedTuple):
    """One refinement of a copy on its grid: see `IntegerAligner`."""

    re: _Integers
    im: _Integers
    misfit: _Integers


class IntegerAligner:
    """Bring chunks of 32 symbols to one level, turn copies of them by blind estimates of their phase, in integers.

    All operations are additions, multiplications, shifts, comparisons, small tables, CORDIC and eight divisions a
    chunk. `docs/integer-network.md` defines them stage by stage, with widths; this class is that definition in NumPy,
    and every engine gives its integers.

    A factor of two in the level changes no bit of the result.

    >>> import numpy as np
    >>> from amrq.evaluation import fresh_chunks
    >>> chunks = fresh_chunks("QPSK", 2, 32, 30.0, np.random.default_rng(1))
    >>> integers = np.rint(100 * np.stack([chunks.real, chunks.imag], axis=1)).astype(np.int16)
    >>> aligned = IntegerAligner().align(integers)
    >>> aligned.symbols.shape, aligned.side.shape
    ((2, 32, 15), (2, 8))
    """

    @staticmethod
    def received(iq: NDArray[np.float32]) -> NDArray[np.int16]:
        """Return chunks of unit RMS as the integers that stand for them in every engine.

        Args:
            iq: float32 [N, 2, 32], finite; of unit RMS no sample is beyond 5.7.

        Returns:
            2^12 times them, rounded half to even, saturated to 16 bits.
        """
        return np.rint(iq * np.float32(1 << _RECEIVED_BITS)).clip(-(1 << 15), (1 << 15) - 1).astype(np.int16)

    def align(self, iq: NDArray[np.signedinteger[Any]]) -> IntegerInputs:
        """Return what the network is given: symbols [N, 32, 15], -128 to 127, and side inputs [N, 8], 0 to 255.

        The unit of every number is 2^-5.

        Args:
            iq: integers of at most 16 bits [N, 2, 32], row 0 I and row 1 Q, at any level.

        Raises:
            AmrqError: the array is not of that shape, or of wider integers.
        """
        return self.trace(iq)[0]

    def trace(self, iq: NDArray[np.signedinteger[Any]]) -> tuple[IntegerInputs, dict[str, _Integers]]:
        """Return what the network is given, and what each stage gives, to find where hardware first differs.

        Args:
            iq: as in `align`.

        Returns:
            The result, and by the stage's name: `coordinates` [N, 2, L], `rows` [N, L], `sums` [N, 2, 6], `agreement`
            [N, 6], `angles` [N, 6], `turned` [N, 2, 6, L], `fitted` [N, 2, grids, L], `misfit` [N, grids].
        """
        given = np.asarray(iq)
        if given.ndim != 3 or given.shape[1:] != (2, _LENGTH) or given.dtype.kind not in "iu":
            raise AmrqError(
                f"the integer aligner takes integers [N, 2, {_LENGTH}], not {given.dtype} {list(given.shape)}."
            )
        z = given.astype(np.int64)
        if z.size and not -(1 << 15) <= z.min() <= z.max() < 1 << 15:
            raise AmrqError("the integer aligner takes integers of at most 16 bits.")
        found: dict[str, _Integers] = {}

        def keep(name: str, values: _Integers) -> _Integers:
            found[name] = values
            return values

        z = keep("coordinates", _levelled(z))
        re, im = z[:, 0], z[:, 1]
        squared = re * re + im * im
        rows = keep("rows", magnitude_rows(squared))
        sums = keep("sums", _phase_sums(re, im, rows))
        magnitude, power_angles = rotate_to_axis(_rounded(sums[:, 0], 7), _rounded(sums[:, 1], 7))
        agreement = keep("agreement", np.minimum(_rounded(magnitude * 39, 14), 255))
        angles = keep("angles", _roots(power_angles))
        turned = keep("turned", _turned(re, im, angles))
        fits = [_fitted(grid, turned[:, 0, grid.copy], turned[:, 1, grid.copy]) for grid in GRIDS]
        fitted = keep("fitted", np.stack([np.stack([f.re, f.im], axis=1) for f in fits], axis=2))
        misfit = keep("misfit", np.stack([f.misfit for f in fits], axis=1))

        copies = turned.copy()
        copies[:, :, [grid.copy for grid in GRIDS]] = fitted
        folded = np.minimum(_rounded(np.maximum(copies, -copies), COORDINATE_BITS - 5), 127)
        before_re, before_im = np.roll(re, 1, axis=1), np.roll(im, 1, axis=1)
        step = np.stack([re * before_re + im * before_im, im * before_re - re * before_im], axis=1)
        channels = [
            folded.reshape(len(z), -1, _LENGTH),
            _rounded(step, 2 * COORDINATE_BITS - 5).clip(-128, 127),
            aligner_tables().magnitude[rows][:, None],
        ]
        symbols = np.concatenate(channels, axis=1).transpose(0, 2, 1)
        return IntegerInputs(symbols, np.concatenate([agreement, misfit], axis=1)), found


def _levelled(z: _Integers) -> _Integers:
    """Bring chunks [N, 2, L] to an RMS of 2^9."""
    largest = np.abs(z).max(axis=(1, 2))
    used = sum(
        (largest >= 1 << k).astype(np.int64) for k in range(16)
    )  # bits of the largest coordinate, 0 to 16
    block = _rounded(z << (16 - used)[:, None, None], 5)  # 12 bits and sign, up to 2^11
    power = ((block * block).sum(axis=1) >> 4).sum(axis=1)  # 2^16 to 2^24, or 0
    halvings = sum((power >= 1 << (16 + 2 * k)).astype(np.int64) for k in range(1, 5))
    gain = aligner_tables().level[power >> (10 + 2 * halvings)]
    shift = (10 + halvings)[:, None, None]
    return (block * gain[:, None, None] + (np.int64(1) << (shift - 1))) >> shift


def _phase_sums(re: _Integers, im: _Integers, rows: _Integers) -> _Integers:
    """Return the weighted sums of the powers' phases: [N, 2, copies]."""
    tables = aligner_tables()
    shrink, weights = tables.shrink[rows], tables.weights[rows]
    c = (((re * re - im * im) >> 8) * shrink) >> 9
    s = (((2 * re * im) >> 8) * shrink) >> 9
    of_power = {2: (c, s)}
    for power in (4, 8, 16):
        c, s = (c * c - s * s) >> 11, (c * s) >> 10
        of_power[power] = c, s
    cosines, sines = (np.stack([of_power[power][part] for power in POWERS], axis=2) for part in (0, 1))
    return np.stack([(weights * cosines).sum(axis=1), (weights * sines).sum(axis=1)], axis=1)


def _roots(angles: _Integers) -> _Integers:
    """Return the phase of each copy from the angle of its power's sum: [N, copies], units of 2^-16 turns.

    Where the M-th root jumps must not depend on the rotation, or copies of one chunk would disagree in ways that
    depend on it. So each angle is taken relative to that of the second power, less a right angle: constellations of
    twofold symmetry have real sums, of either sign, relative to it.
    """
    second = angles[:, 0]
    phases = [second >> 1]
    for copy, power in enumerate(POWERS[1:], start=1):
        relative = _wrapped(angles[:, copy] - (power // 2) * second - _TURN // 4)
        phases.append(phases[0] + (relative >> power.bit_length() - 1) + _TURN // 4 // power)
    return _wrapped(np.stack(phases, axis=1))


def _turned(re: _Integers, im: _Integers, angles: _Integers) -> _Integers:
    """Return the chunk turned back by each angle: [N, 2, copies, L]."""
    c, s = (np.expand_dims(part, 2) for part in _unit(angles))
    x, y = np.expand_dims(re, 1), np.expand_dims(im, 1)
    return np.stack([_rounded(x * c + y * s, _GAIN_BITS), _rounded(y * c - x * s, _GAIN_BITS)], axis=1)


def _nearest(x: _Integers, grid: Grid) -> _Integers:
    """Return the nearest odd multiple of the step."""
    size = np.abs(x)
    multiple = 1 + 2 * sum((size >= threshold).astype(np.int64) for threshold in grid.thresholds)
    return np.where(x < 0, -multiple, multiple)


def _fitted(grid: Grid, re: _Integers, im: _Integers) -> _Fit:
    """Fit a copy [N, L] to its grid in phase and level, twice.

    The complex factor a that minimises |a z - q|^2 is sum q conj(z) / sum |z|^2. Dividing by the projection the other
    way round keeps noise from shrinking the copy. The misfit is sum |z|^2 - |sum q conj(z)|^2 / sum |q|^2, a mean in
    squared steps.
    """
    misfit = np.zeros(len(re), np.int64)
    for _ in range(_REFINEMENTS):
        power = (re * re + im * im).sum(axis=1)
        near_re, near_im = _nearest(re, grid), _nearest(im, grid)
        c = (near_re * re + near_im * im).sum(axis=1)
        s = (near_im * re - near_re * im).sum(axis=1)
        near_power = (near_re * near_re + near_im * near_im).sum(axis=1)
        magnitude, angle = rotate_to_axis(c, s)
        ratio = (magnitude << 6) // near_power
        gain = np.clip(grid.gain // np.maximum(ratio, 1), _LEAST_GAIN, _LARGEST_GAIN)
        explained = (((magnitude * ratio) >> 8) * 3021) >> 11
        left = np.maximum(power - explained, 0) * grid.points_power
        misfit = np.minimum(_rounded(left, 2 * COORDINATE_BITS), 255)
        cosine, sine = _unit(angle)
        c, s = ((part * gain) >> _GAIN_BITS for part in (cosine, sine))
        c, s = c[:, None], s[:, None]
        re, im = _rounded(re * c - im * s, _GAIN_BITS), _rounded(re * s + im * c, _GAIN_BITS)
    return _Fit(re, im, misfit)


class AlignerPrefix:
    """What comes before the first rounding of a model with the integer aligner: numbers that are whole already.

    Attributes:
        tensors: names of what it gives.
        operations: that it is the integer aligner.
        points: what the first layer at each symbol and the first once a chunk must take, to take it as it is.
        chunk_length: samples of a chunk.
        input_scale: of the integers that it makes of samples of unit RMS.
        channels: numbers that it gives at each symbol.
        summaries: numbers that it gives once a chunk.
    """

    chunk_length = _LENGTH
    input_scale = 2.0**-_RECEIVED_BITS
    channels = 15
    summaries = 8
    tensors = ("symbols", "side")
    operations = ("IntegerAligner",)
    points = (FixedPoint(_EXPONENT, signed=True), FixedPoint(_EXPONENT, signed=False))

    def __init__(self) -> None:
        self._aligner = IntegerAligner()

    def integers(self, iq: NDArray[np.signedinteger[Any]]) -> IntegerInputs:
        """Return what the layers are given of received symbols [N, 2, 32]: see `IntegerAligner.align`."""
        return self._aligner.align(iq)

    def __call__(
        self, iq: NDArray[np.float32], level: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what goes into the quantisers: see `FloatPrefix`."""
        found = self._aligner.align(self._aligner.received(iq))
        symbols, side = (np.ldexp(part.astype(np.float32), _EXPONENT) for part in found)
        return symbols.transpose(0, 2, 1), side
