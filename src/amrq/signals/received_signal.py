# SPDX-License-Identifier: GPL-3.0-or-later
"""What a receiver hears of symbols: any number of samples a symbol, any timing, off its carrier, in noise."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.signals.root_raised_cosine import root_raised_cosine

__all__ = ["received_signal"]

_REACH = 12
"""Symbols to either side whose pulses still count."""


def received_signal(
    symbols: NDArray[np.complexfloating[Any, Any]],
    samples_per_symbol: float,
    rolloff: float,
    es_n0_db: float,
    rng: np.random.Generator,
    offset: float = 0.0,
    lead: int = 0,
) -> NDArray[np.complex64]:
    """Return symbols as root-raised-cosine pulses in white noise, sampled at a random time and phase.

    Args:
        symbols: complex [N], of unit mean power.
        samples_per_symbol: at least 1, no whole number needed.
        rolloff: excess bandwidth, 0 to 1.
        es_n0_db: Es/N0 behind a matched filter, dB; infinite for no noise.
        rng: draws timing, phase and noise.
        offset: of the carrier, cycles a symbol.
        lead: symbol periods of noise alone before the first symbol.

    Returns:
        complex64 [about (lead + N + 10) * samples_per_symbol], mean signal power 1. The symbols' pulses peak at
        (lead + n - t) * samples_per_symbol with t from 0 to 1.

    Raises:
        AmrqError: a value is out of its range.
    """
    if not samples_per_symbol >= 1 or not math.isfinite(samples_per_symbol):
        raise AmrqError(f"samples per symbol must be at least 1, not {samples_per_symbol}.")
    if not 0 <= rolloff <= 1:
        raise AmrqError(f"the roll-off must lie between 0 and 1, not {rolloff}.")
    count = len(symbols)
    total = int((lead + count + 10) * samples_per_symbol)
    time = np.arange(total) / samples_per_symbol - lead + rng.random()
    phase = rng.random()
    near = np.floor(time).astype(np.int64)
    clean = np.zeros(total, dtype=np.complex128)
    padded = np.concatenate([symbols, np.zeros(1)])
    for step in range(1 - _REACH, _REACH + 1):
        number = near + step
        number[(number < 0) | (number >= count)] = count
        clean += padded[number] * root_raised_cosine(time - near - step, rolloff)
    clean *= np.exp(2j * np.pi * (offset * time + phase))
    noise_power = samples_per_symbol * 10 ** (-es_n0_db / 10)
    noise = rng.standard_normal((total, 2)).view(np.complex128)[:, 0]
    return np.asarray(clean + math.sqrt(noise_power / 2) * noise, dtype=np.complex64)
