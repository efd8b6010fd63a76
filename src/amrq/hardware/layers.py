# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers in integers."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amrq.errors import AmrqError, ModelError
from amrq.text import printable

__all__ = ["FixedPoint", "IntegerFlattening", "IntegerInputs", "IntegerLayer", "IntegerMean", "requantise"]


class IntegerInputs(NamedTuple):
    """What goes into the hardware for N chunks.

    Attributes:
        symbols: int64 [N, L, C], symbol by symbol, within the range of the first layer's `input`.
        side: int64 [N, S], what joins the mean or the flattened symbols, within the range of the first head layer's
            `input`; S may be 0.
    """

    symbols: NDArray[np.int64]
    side: NDArray[np.int64]

    def part(self, start: int, stop: int) -> "IntegerInputs":
        """Return those of chunks `start` up to `stop`."""
        return IntegerInputs(self.symbols[start:stop], self.side[start:stop])


@dataclass(frozen=True)
class FixedPoint:
    """Integers of 8 bits; integer n stands for n times 2^exponent.

    Attributes:
        exponent: of the last bit's weight.
        signed: -128 to 127; otherwise 0 to 255, as after a ReLU.

    >>> import numpy as np
    >>> form = FixedPoint(exponent=-6, signed=True)
    >>> form.integers(np.array([0.5, -1.0, 9.0])).tolist()
    [32, -64, 127]
    """

    exponent: int
    signed: bool

    bits = 8

    @property
    def lowest(self) -> int:
        """The smallest integer."""
        return -128 if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest integer."""
        return 127 if self.signed else 255

    def integers(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Round real numbers, half to even, and saturate: what a converter before the hardware does.

        Args:
            values: float32, any shape.

        Returns:
            int64 of the same shape.

        Raises:
            AmrqError: a value is NaN.
        """
        if np.isnan(values).any():
            raise AmrqError(
                "the network's input holds values that are not numbers (NaN): leave those chunks out."
            )
        with np.errstate(over="ignore"):  # infinity saturates as any large value does
            steps = np.ldexp(values, -self.exponent)
        return np.rint(steps).clip(self.lowest, self.highest).astype(np.int64)


_MOST_SHIFT = 62
"""Shifting further to the right would leave int64 and change nothing: what is below 2^53 is zero by then."""
_WIDEST = 16
"""Bits that the result fits in."""


def requantise(
    accumulators: NDArray[np.int64], shift: ArrayLike, lowest: int, highest: int
) -> NDArray[np.int64]:
    """Return accumulators divided by 2^shift, rounded half to even, saturated.

    Half to even is the rounding of IEEE 754, and so of QuantizeLinear in ONNX and of fake quantisation in PyTorch; in
    hardware it is an adder before the shift, whose carry-in is the last bit that stays.

    Args:
        accumulators: int64, any shape, of magnitudes below 2^53.
        shift: whole number, or one for each element of the last axis; below zero multiplies.
        lowest: smallest result, -2^15 or above.
        highest: largest result, below 2^16.

    Returns:
        int64, of the accumulators' shape.

    >>> import numpy as np
    >>> requantise(np.array([100, 102, -300]), 2, lowest=-64, highest=63).tolist()
    [25, 26, -64]
    """
    shifts = np.asarray(shift, dtype=np.int64)
    right = np.clip(shifts, 0, _MOST_SHIFT)
    # Half a step less 1 carries what is above the half; at just the half, the last bit that stays has to help.
    half = (np.int64(1) << right) >> 1
    carry = np.where(right > 0, half - 1 + ((accumulators >> right) & 1), 0)
    rounded = (accumulators + carry) >> right
    if (shifts < 0).any():
        # What saturates in any case is cut first, so that no bit is lost beyond the 63rd.
        limit = np.int64(1) << _WIDEST
        left = np.clip(-shifts, 0, _WIDEST)
        rounded = np.where(shifts < 0, rounded.clip(-limit, limit) << left, rounded)
    return rounded.clip(lowest, highest)


_NAME = re.compile(r"[a-z]{1,20}_[0-9]{1,6}")
"""No name of a module of the library, no word of Verilog's, and nothing but a name."""
_EXACT_LIMIT = 2**24
"""Below it float32 holds every integer, so that PyTorch's and ONNX Runtime's sums are exact in any order."""
_ACCUMULATOR_LIMIT = 2**31
"""Beyond it ONNX Runtime's integer kernels overflow."""


def _bits(lowest: int, highest: int) -> int:
    """Return the width in two's complement of all integers from `lowest` to `highest`."""
    return (
        max(
            (~lowest if lowest < 0 else lowest).bit_length(),
            (~highest if highest < 0 else highest).bit_length(),
        )
        + 1
    )


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """Weights, biases and shifts of one layer: all that hardware needs of it.

    The accumulator of output o at a symbol n is biases[o] plus the sum over i and k of
    weights[o, i, k] x[n + k - kernel // 2, i], with zeros beyond the ends of the chunk. Accumulator a stands for
    a times 2^(input.exponent + weight_exponents[o]). The layer gives it shifted right by shifts[o], rounded half to
    even and saturated, or as it is where `output` is None, and then takes a max pool where `pool` is 2.

    Attributes:
        name: for people and for the names in generated hardware: letters, an underscore, a number, as symbol_1.
        weights: int8 [out, in, kernel]; kernel 1 for a fully connected layer.
        biases: int32 [out], in the accumulator's unit.
        weight_exponents: int64 [out]; weight w stands for w times 2^exponent.
        input: what its inputs are.
        output: what its outputs are; None for the last layer, which gives its accumulators.
        relu: whether outputs below zero become zero; has no meaning for the last layer.
        per_symbol: whether it runs at every symbol; otherwise once a chunk.
        pool: 2 where of each pair of symbols the larger output goes on, 1 where all do.

    Raises:
        ModelError: the shapes do not belong together, or an accumulator could reach 2^31.
    """

    name: str
    weights: NDArray[np.int8]
    biases: NDArray[np.int32]
    weight_exponents: NDArray[np.int64]
    input: FixedPoint
    output: FixedPoint | None
    relu: bool
    per_symbol: bool
    pool: int = 1

    def __post_init__(self) -> None:
        """Refuse what is not a layer."""
        if not _NAME.fullmatch(self.name):
            raise ModelError(f"a layer's name must be like symbol_1, not {printable(self.name, 40)!r}.")
        outputs = (len(self.weights),)
        if self.weights.ndim != 3 or self.biases.shape != outputs or self.weight_exponents.shape != outputs:
            raise ModelError(
                f"layer {self.name}: weights of shape {self.weights.shape} need as many biases and exponents as "
                f"outputs, not {self.biases.shape} and {self.weight_exponents.shape}."
            )
        if self.kernel % 2 == 0 or (self.kernel > 1 and not self.per_symbol):
            raise ModelError(
                f"layer {self.name}: a kernel must be odd, and 1 in a fully connected layer, not {self.kernel}."
            )
        if self.pool not in (1, 2) or (self.pool > 1 and (self.output is None or not self.per_symbol)):
            raise ModelError(f"layer {self.name}: a max pool must be of 2 symbols and follow a convolution.")
        if self._largest >= _ACCUMULATOR_LIMIT:
            raise ModelError(
                f"layer {self.name}: its sums can reach {self._largest}, beyond 2^31, where ONNX Runtime's overflow: "
                "take fewer inputs, fewer weight bits or smaller biases."
            )

    @property
    def inputs(self) -> int:
        """Channels in."""
        return self.weights.shape[1]

    @property
    def outputs(self) -> int:
        """Channels out."""
        return self.weights.shape[0]

    @property
    def kernel(self) -> int:
        """Symbols that an output sees."""
        return self.weights.shape[2]

    @property
    def weight_bits(self) -> int:
        """Bits, sign included, that hold every weight."""
        return _bits(int(self.weights.min()), int(self.weights.max()))

    @property
    def bias_bits(self) -> int:
        """Bits, sign included, that hold every bias."""
        return _bits(int(self.biases.min()), int(self.biases.max()))

    @cached_property
    def accumulator_range(self) -> tuple[int, int]:
        """Least and most of any sum of products and bias, in whatever order they are added; both are reached."""
        ends = np.stack(
            [self.weights.astype(np.int64) * end for end in (self.input.lowest, self.input.highest)]
        )
        bias = self.biases.astype(np.int64)
        lowest = ends.min(axis=0).clip(None, 0).sum(axis=(1, 2)) + bias.clip(None, 0)
        highest = ends.max(axis=0).clip(0, None).sum(axis=(1, 2)) + bias.clip(0, None)
        return int(lowest.min()), int(highest.max())

    @property
    def _largest(self) -> int:
        lowest, highest = self.accumulator_range
        return max(-lowest, highest)

    @property
    def exact_in_float32(self) -> bool:
        """Whether no sum can reach 2^24, so that PyTorch and ONNX Runtime give the same to the bit whatever comes in.

        Where not, they do so as long as the sums stay below it.
        """
        return self._largest < _EXACT_LIMIT

    @property
    def accumulator_bits(self) -> int:
        """Bits, sign included, that no sum overflows, in whatever order its terms are added."""
        return _bits(*self.accumulator_range)

    @property
    def accumulator_exponents(self) -> NDArray[np.int64]:
        """int64 [out]; accumulator a stands for a times 2^exponent."""
        return self.weight_exponents + self.input.exponent

    @property
    def shifts(self) -> NDArray[np.int64]:
        """int64 [out]: places that the accumulators are shifted to the right; below zero to the left.

        Raises:
            AmrqError: the layer gives its accumulators as they are.
        """
        if self.output is None:
            raise AmrqError(f"layer {self.name} is the last one and shifts nothing.")
        return self.output.exponent - self.accumulator_exponents

    @cached_property
    def _matrix(self) -> NDArray[Any]:
        """[kernel * in, out] in the narrowest floating point that holds every sum."""
        taps = self.weights.transpose(2, 1, 0).reshape(-1, self.outputs)
        return np.ascontiguousarray(taps, dtype=np.float32 if self.exact_in_float32 else np.float64)

    def accumulate(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the accumulators.

        Args:
            x: int64 [N, L, in], or [N, in] for a layer that runs once a chunk; within the range of `input`.

        Returns:
            int64 [N, L, out] or [N, out].
        """
        # The products are added in floating point, in which matrices are multiplied many times faster than in integers.
        # No sum reaches 2^24 in float32, or 2^31 in float64, so every one of them is exact.
        rows = x.astype(self._matrix.dtype)
        if self.kernel > 1:
            reach, length = self.kernel // 2, x.shape[1]
            padded = np.pad(rows, ((0, 0), (reach, reach), (0, 0)))
            rows = np.concatenate([padded[:, k : k + length] for k in range(self.kernel)], axis=2)
        sums = rows.reshape(-1, rows.shape[-1]) @ self._matrix
        return (sums.astype(np.int64) + self.biases).reshape(*x.shape[:-1], self.outputs)

    def run(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what the layer gives for `x`: see `accumulate`, and the class for what becomes of the sums."""
        accumulators = self.accumulate(x)
        if self.output is None:
            return accumulators
        lowest = max(self.output.lowest, 0) if self.relu else self.output.lowest
        y = requantise(accumulators, self.shifts, lowest, self.output.highest)
        return y if self.pool == 1 else np.maximum(y[:, 0::2], y[:, 1::2])


@dataclass(frozen=True)
class IntegerMean:
    """Sum a channel over the symbols of a chunk, shift, round half to even, saturate.

    Attributes:
        channels: of the layer before it.
        symbols: of a chunk (L), a power of two.
        input: what it adds.
        output: what it gives.

    Raises:
        ModelError: dividing by the number of symbols is no shift.
    """

    channels: int
    symbols: int
    input: FixedPoint
    output: FixedPoint

    name = "mean"

    def __post_init__(self) -> None:
        """Refuse what hardware cannot shift."""
        if self.symbols < 1 or self.symbols & (self.symbols - 1):
            raise ModelError(
                f"the mean over {self.symbols} symbols is not a shift: hardware needs a chunk length that is a power "
                "of two."
            )

    @property
    def outputs(self) -> int:
        """Numbers out."""
        return self.channels

    @property
    def shift(self) -> int:
        """Places that a sum is shifted to the right; below zero to the left."""
        return self.output.exponent - self.input.exponent + self.symbols.bit_length() - 1

    @property
    def accumulator_bits(self) -> int:
        """Bits that no sum overflows, sign included where the input has one."""
        return self.input.bits + self.symbols.bit_length() - 1

    def run(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [N, L, channels] -> int64 [N, channels]."""
        return requantise(x.sum(axis=1), self.shift, self.output.lowest, self.output.highest)


@dataclass(frozen=True)
class IntegerFlattening:
    """Put a chunk's symbols into one vector, channel by channel, as ONNX's Flatten does; nothing is computed.

    Attributes:
        channels: of the layer before it.
        symbols: that it gets of a chunk: fewer than the chunk has, where there are max pools.
        output: what it gets and gives.
    """

    channels: int
    symbols: int
    output: FixedPoint

    name = "flatten"

    @property
    def outputs(self) -> int:
        """Numbers out."""
        return self.channels * self.symbols

    def run(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [N, symbols, channels] -> int64 [N, channels * symbols]."""
        return np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(len(x), self.outputs)
