# SPDX-License-Identifier: GPL-3.0-or-later
"""Es/N0 in dB and the thesis's N_a, two names for one noise level."""

import math

from amrq.errors import AmrqError

__all__ = ["es_n0_db_from_noise_power", "noise_power_from_es_n0_db"]


def noise_power_from_es_n0_db(es_n0_db: float) -> float:
    """Return the complex noise power N_a per symbol of unit power: 10^(-x/10).

    Args:
        es_n0_db: energy per symbol over noise density, dB; `inf` means no noise.

    Raises:
        AmrqError: it is not a number, or minus infinity.
    """
    if not es_n0_db >= -300:
        raise AmrqError(f"Es/N0 must be a number in dB from -300 up (or inf for no noise), not {es_n0_db}.")
    return float(10.0 ** (-es_n0_db / 10.0))


def es_n0_db_from_noise_power(noise_power: float) -> float:
    """Return Es/N0 in dB of unit-power symbols in complex noise of power `noise_power` (N_a).

    N_a = 0.005, the thesis's operating point, is 23.01 dB; 0 is `inf`.

    Raises:
        AmrqError: the power is negative or not finite.
    """
    if not math.isfinite(noise_power) or noise_power < 0:
        raise AmrqError(f"noise power N_a must be finite and not negative, not {noise_power}.")
    return math.inf if noise_power == 0 else -10.0 * math.log10(noise_power)
