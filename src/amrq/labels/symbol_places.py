# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a recording symbols were received."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["symbol_places"]


def symbol_places(
    symbols: NDArray[np.int64],
    marked: NDArray[np.int64],
    samples: NDArray[np.int64],
    samples_per_symbol: float,
) -> NDArray[np.float64]:
    """Return the sample that each symbol was received at, by marks that travelled with the signal.

    A receiver delays what it puts out and follows a clock that is not its own: neither matters here, since a mark has
    been through the same.

    Args:
        symbols: int64 [N], indices of symbols.
        marked: int64 [M], rising: indices of symbols that a mark came with.
        samples: int64 [M], rising: the samples that those marks were put on.
        samples_per_symbol: nominal, which counts before the first mark and behind the last.

    Returns:
        float64 [N], samples of the recording.
    """
    if not len(marked):
        return np.asarray(symbols * samples_per_symbol, dtype=np.float64)
    places = np.interp(symbols, marked, samples)
    before, behind = symbols < marked[0], symbols > marked[-1]
    places[before] = samples[0] + (symbols[before] - marked[0]) * samples_per_symbol
    places[behind] = samples[-1] + (symbols[behind] - marked[-1]) * samples_per_symbol
    return np.asarray(places, dtype=np.float64)
