# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels follow the line of the symbol rate, cut a channel and turn steps as the NumPy code does."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.measure import CarrierRecovery, carrier_recovery
from amrq.native import ClockLimits, ClockTrack, ClockWindow
from amrq.native import kernels as loaded
from amrq.receive import channel, timing

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


@pytest.mark.parametrize(("spacing", "offset"), [(2.0, 0.49), (4.0, -0.5), (24.0, 0.013)])
def test_a_channel_is_cut_as_by_numpy(spacing: float, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = (rng("native cut", spacing).standard_normal((9000, 2)) @ (1, 1j)).astype(np.complex64)
    found = []
    for native in (loaded(), None):
        monkeypatch.setattr(channel, "kernels", lambda native=native: native)
        cutter = channel.Channel(spacing, offset)
        blocks = next(cutter.process(samples))
        found.append([cutter.cut(blocks, 3, shift) for shift in (0, -7, 100)])
    for cut, known in zip(*found, strict=True):  # NumPy's product rounds once less
        assert np.abs(cut - known).max() < 1e-6 * np.abs(known).max()


@pytest.mark.parametrize("drift", [0.0, 3e-5])
def test_steps_are_turned_as_by_numpy(drift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    random, time = rng("native turned", str(drift)), np.arange(2048)
    sent = random.choice(np.exp(0.5j * np.pi * np.arange(4)), len(time))
    symbols = sent * np.exp(2j * np.pi * (0.03 * time + drift / 2 * time**2))
    lines, found = CarrierRecovery(), []
    before = carrier_recovery.CarrierRecovery._leave
    for native in (loaded(), None):

        def leave(self: CarrierRecovery, steps: object, native: object = native) -> NDArray[np.complex64]:
            with monkeypatch.context() as context:
                context.setattr(carrier_recovery, "kernels", lambda: native)
                return before(self, steps)  # type: ignore[arg-type]

        monkeypatch.setattr(carrier_recovery.CarrierRecovery, "_leave", leave)
        lines.reset()
        found.append(np.concatenate((lines.process(symbols[:999]), lines.finish(symbols[999:]))))
    # NumPy's own exponential has the last digit right, that of the kernels some of them.
    assert len(found[0]) == len(time) and np.abs(found[0] - found[1]).max() < 1e-5


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
    with pytest.raises(ValueError, match="do not fit spectra"):
        native.cut(line[None], 0, line[:2], 512)
    with pytest.raises(ValueError, match="2 steps are not made of"):
        native.carrier_turned(line, np.zeros(2), None, None, 0.0)
