# SPDX-License-Identifier: GPL-3.0-or-later
"""The pulse of nearly all linear modulations."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["root_raised_cosine"]


def root_raised_cosine(t: NDArray[np.float64], rolloff: float) -> NDArray[np.float64]:
    """Root-raised-cosine pulse of unit energy at times `t` in symbols (Proakis and Salehi 2008, problem 9.15)."""
    if rolloff == 0:
        return np.sinc(t)
    four_bt = 4 * rolloff * t
    with np.errstate(divide="ignore", invalid="ignore"):
        pulse = (np.sin(np.pi * t * (1 - rolloff)) + four_bt * np.cos(np.pi * t * (1 + rolloff))) / (
            np.pi * t * (1 - four_bt**2)
        )
    # The two removable singularities, t = 0 and |t| = 1/(4 rolloff).
    pulse[np.abs(t) < 1e-9] = 1 + rolloff * (4 / np.pi - 1)
    edge = np.abs(np.abs(four_bt) - 1) < 1e-9
    angle = np.pi / (4 * rolloff)
    pulse[edge] = (rolloff / np.sqrt(2)) * ((1 + 2 / np.pi) * np.sin(angle) + (1 - 2 / np.pi) * np.cos(angle))
    return pulse
