# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol rate of a recording that nobody has told it of."""

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.recordings import Recording
from amrq.symbol_rate import SymbolRate, estimate_symbol_rate

__all__ = ["LOOKED_AT", "SURE", "look_for_symbol_rate", "recording_symbol_rate", "unclear"]

LOOKED_AT = 1 << 17
"""Samples that a symbol rate is estimated from."""
SURE = 0.999
"""Confidence from which an estimate is believed."""


def look_for_symbol_rate(
    samples: NDArray[np.complex64], sample_rate: float, offset: float
) -> SymbolRate | None:
    """Return the estimate for a signal at an offset in Hz; None where samples give none: too few, or silence."""
    if offset:
        samples = samples * np.exp(-2j * np.pi * offset / sample_rate * np.arange(len(samples)))
    try:
        return estimate_symbol_rate(np.asarray(samples, dtype=np.complex64), sample_rate)
    except AmrqError:
        return None


def unclear(found: SymbolRate | None) -> str:
    """Say that an estimate is not to be believed, as the subject and verb of a sentence."""
    if found is None:
        return "no symbol rate is to be seen"
    return f"its symbol rate is not clear (perhaps {found.rate:.6g} Bd, but only to {found.confidence:.2f})"


def recording_symbol_rate(recording: Recording, offset: float = 0.0, start: int = 0) -> SymbolRate:
    """Return the symbol rate of a recording's signal, from its first 131,072 samples behind `start`.

    Raises:
        AmrqError: it is not clear.
    """
    samples = recording.read(start, min(recording.length - start, LOOKED_AT))
    found = look_for_symbol_rate(samples, recording.sample_rate, offset)
    if found is None or found.confidence < SURE:
        raise AmrqError(f"{recording.path}: {unclear(found)}: give it (--symbol-rate).")
    return found
