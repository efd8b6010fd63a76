# SPDX-License-Identifier: GPL-3.0-or-later
"""How samples are written in a message, to the bit."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.link.is_scale import is_scale

__all__ = ["SampleFormat"]


class SampleFormat(IntEnum):
    """I and Q in turn, little-endian: an array [N, L, 2]."""

    CI8 = 1
    CI16 = 2
    CF32 = 3

    @property
    def dtype(self) -> np.dtype[np.int8] | np.dtype[np.int16] | np.dtype[np.float32]:
        """Of I and of Q."""
        return np.dtype({1: "<i1", 2: "<i2", 3: "<f4"}[self.value])

    @property
    def bit(self) -> int:
        """Its bit in a mask of formats."""
        return 1 << self.value

    def quantise(self, iq: NDArray[np.float32], scale: float = 1.0) -> NDArray[np.generic]:
        """Write samples: to integers by rounding x / scale, half to even, then saturating.

        x / scale is exact, since scale is a power of two; so the result does not depend on who computes it.

        Args:
            iq: float32 [N, 2, L], finite, row 0 I and row 1 Q.
            scale: what one step stands for, a power of two; 1 for cf32.

        Returns:
            [N, L, 2], contiguous, of `dtype`.

        Raises:
            AmrqError: the scale is no power of two.
        """
        if not is_scale(scale) or (self is SampleFormat.CF32 and scale != 1):
            raise AmrqError(
                f"the scale of {self.name.lower()} must be {'1' if self is SampleFormat.CF32 else 'a power of two'}, "
                f"not {scale}."
            )
        interleaved = iq.transpose(0, 2, 1)
        if self is SampleFormat.CF32:
            return np.ascontiguousarray(interleaved, self.dtype)
        lowest, highest = (-128, 127) if self is SampleFormat.CI8 else (-32768, 32767)
        # A quotient beyond float32 becomes infinite, which saturates as it should.
        with np.errstate(over="ignore"):
            steps = np.divide(interleaved, np.float32(scale), order="C")
        np.rint(steps, out=steps)
        np.clip(steps, lowest, highest, out=steps)
        return steps.astype(self.dtype)

    def restore(self, samples: NDArray[np.generic], scale: float = 1.0) -> NDArray[np.float32]:
        """Return what samples stand for, exactly; what is beyond float32 comes out infinite.

        Args:
            samples: [N, L, 2], of `dtype`.
            scale: what one step stands for, a power of two; 1 for cf32.

        Returns:
            float32 [N, 2, L].
        """
        iq = np.ascontiguousarray(samples.transpose(0, 2, 1), dtype=np.float32)
        with np.errstate(over="ignore"):  # beyond float32 it becomes infinite
            return iq if self is SampleFormat.CF32 else iq * np.float32(scale)
