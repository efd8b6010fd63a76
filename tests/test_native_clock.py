# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels follow the line of the symbol rate as the NumPy code does."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.native import ClockLimits, ClockTrack, ClockWindow
from amrq.native import kernels as loaded
from amrq.receive import timing

pytestmark = pytest.mark.skipif(loaded() is None, reason="the kernels were not built")


def _line(case: str, rate: float, strength: float) -> NDArray[np.complex64]:
    """A tone in noise, complex64 [2400]; "changes": half way another one, and at last none."""
    random, time = rng("native clock", case), np.arange(2400)
    tone = np.exp(2j * np.pi * (rate * time + 0.3))
    if case == "changes":
        tone[1200:] = np.exp(2j * np.pi * (0.7 - rate * time[1200:]))
        tone[1800:] = 0
    return np.asarray(strength * tone + random.standard_normal((len(time), 2)) @ (1, 1j), np.complex64)


@pytest.mark.parametrize("case", ["stays", "changes"])
@pytest.mark.parametrize(("bandwidth", "spacing"), [(0.008, 4.0), (0.004, 3.8), (0.03, 4.0), (0.0117, 4.2)])
def test_the_clock_is_numpys(
    case: str, bandwidth: float, spacing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rate, strength in ((0.0, 0.3), (0.004, 0.7), (0.08, 3.0)):
        line = _line(case, rate, strength)
        found = []
        for native in (loaded(), None):
            monkeypatch.setattr(timing, "kernels", lambda native=native: native)
            clock = timing.Clock(spacing, bandwidth)
            calls = [clock.process(line[:120]), clock.process(line[120:132]), clock.process(line[132:], True)]
            found.append(np.array([clock for call in calls for clock in call], np.float64))
        (cycles, rates, seen), (known_cycles, known_rates, known_seen) = found[0].T, found[1].T
        # Spectra are of single precision: 1e-4 cycles are a thousand times its last digit.
        assert np.abs((cycles - known_cycles + 0.5) % 1.0 - 0.5).max() < 1e-4
        assert np.abs(rates - known_rates).max() < 1e-6 and np.array_equal(seen, known_seen)


def test_what_cannot_be_is_refused() -> None:
    native, line, limits = loaded(), np.zeros(40, np.complex64), ClockLimits(8.0, 0.003, 6.0)
    assert native is not None
    window = pickle.loads(pickle.dumps(ClockWindow(32, 512, 105)))
    with pytest.raises(ValueError, match="cannot be looked at"):
        ClockWindow(32, 500, 105)
    with pytest.raises(ValueError, match="are not within 40"):
        native.clock_tones(line, np.array([9]), np.array([40]), window, limits)
    with pytest.raises(ValueError, match="ends above 0"):
        native.clock_tones(line, np.array([8]), np.array([0]), window, limits)
    limits.lines = limits.ahead = 12
    with pytest.raises(ValueError, match="are not within 40 samples"):
        native.clock_follow(line, 400, (2, 1), (window,) * 3, limits, ClockTrack())
