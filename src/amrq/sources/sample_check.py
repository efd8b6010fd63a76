# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether bytes are likely to be samples of the format that they are taken for."""

import numpy as np
from numpy.typing import NDArray

from amrq.recordings import RAW_FORMATS

__all__ = ["SampleCheck", "is_json"]

_ENOUGH = 1 << 14  # bytes that are looked at
_LARGEST, _SMALLEST = 1e9, 1e-20
"""Samples of a receiver lie between, in any unit that is in use. Of other numbers read as float32 many do not."""
_MANY = 1 / 8
"""Share of values outside that no stream of float32 has. 64-bit floats read as 32-bit ones have a quarter or more."""
_FLOAT_LARGEST, _FLOAT_SMALLEST = 1e4, 1e-6
_ALL_BUT_FEW = 0.98
"""Share of values within, from which bytes are likely to be float32; of integers read so, few lie there."""
_FEW = 64  # values that are not 0, below which nothing is said


class SampleCheck:
    """Looks at the beginning of a stream, and says once where its format is not likely to be the one given.

    It is a likelihood, not a proof: silence, and samples of another format of the same width, look well.

    Args:
        format: a name in `amrq.recordings.RAW_FORMATS`.

    >>> check = SampleCheck("ci16")
    >>> check.look(np.linspace(-1, 1, 8192, dtype="<f4").tobytes())
    'the samples are likely to be cf32, not ci16: see --format.'
    """

    def __init__(self, format: str) -> None:
        self._format = format
        self._seen = bytearray()
        self._done = False

    def look(self, data: bytes) -> str | None:
        """Take in bytes of the stream, whole samples; return a sentence where they are not likely to be samples."""
        if self._done:
            return None
        self._seen += data[: _ENOUGH - len(self._seen)]
        if len(self._seen) < _ENOUGH:
            return None
        self._done = True
        seen, self._seen = bytes(self._seen), bytearray()
        if self._format == "cf32":
            share = _outside(np.frombuffer(seen, "<f4"), _LARGEST, _SMALLEST)
            if share <= _MANY:
                return None
            others = ", ".join(name for name in RAW_FORMATS if name != "cf32")
            return (
                f"the samples are not likely to be cf32: {100 * share:.0f} % of the numbers are not finite, above "
                f"{_LARGEST:g} or below {_SMALLEST:g}; give the format that is sent (--format {others})."
            )
        if _outside(np.frombuffer(seen, "<f4"), _FLOAT_LARGEST, _FLOAT_SMALLEST) < 1 - _ALL_BUT_FEW:
            return f"the samples are likely to be cf32, not {self._format}: see --format."
        return None


def _outside(values: NDArray[np.float32], largest: float, smallest: float) -> float:
    """Return the share of numbers that are not 0 outside the range; half where there are too few to say."""
    with np.errstate(invalid="ignore"):
        size = np.abs(values.astype(np.float64))
        some = size[size != 0]  # NaN is not 0
        if len(some) < _FEW:
            return 0.0 if smallest == _SMALLEST else 1.0
        return float(1 - np.mean((some <= largest) & (some >= smallest)))


def is_json(data: bytes) -> bool:
    """Return whether bytes are likely to be a JSON object, as many programs send them.

    >>> is_json(b'{"label": "QPSK"}'), is_json(b"@@@@@@@@@@@@@@@@")
    (True, False)
    """
    return data.startswith(b'{"') and data.rstrip().endswith(b"}") and data.isascii()
