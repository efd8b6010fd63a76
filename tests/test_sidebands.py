# SPDX-License-Identifier: GPL-3.0-or-later
"""Sidebands about a line: what mirrors, what mirrors with the other sign, what does not, and amplitudes of two levels.

Bounds: with noise alone the evidence is a standard normal variate at its worst of four bands, so that one beyond 5
comes in fewer than 1 of 100,000 looks.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng
from test_identify_families import said

from amrq.errors import AmrqError
from amrq.measure import Sidebands, measure_sidebands

RATE, COUNT = 16e3, 8_000
TIME = np.arange(COUNT) / RATE


def _noisy(clean: NDArray[np.complex128], *path: str | int, sigma: float = 0.1) -> NDArray[np.complex64]:
    """Add noise of a standard deviation in each of both parts, and turn the line by an unknown offset and phase."""
    random = rng("sidebands", *path)
    turn = np.exp(2j * np.pi * (random.uniform(-1, 1) * TIME + random.random()))
    return (clean * turn + random.normal(size=(COUNT, 2)) @ [sigma, 1j * sigma]).astype(np.complex64)


def _sound(number: int) -> NDArray[np.float64]:
    """Return audio of unit power from 300 to 1500 Hz."""
    random = rng("sidebands, sound", number)
    tones = (np.sin(2 * np.pi * (f * TIME + random.random())) for f in random.uniform(300, 1500, 12))
    return np.asarray(sum(tones)) / np.sqrt(6)


@pytest.mark.parametrize("number", range(4))
def test_amplitude_phase_and_one_side_are_told_apart(number: int) -> None:
    sound, random = _sound(number), rng("sidebands, analytic", number)
    side = sum(
        np.exp(2j * np.pi * (f * TIME + random.random())) for f in random.uniform(300, 1500, 12)
    ) / np.sqrt(12)
    am, pm, one = (
        measure_sidebands(_noisy(clean, name, number), RATE, 2e3, 2 * 0.01 / RATE)
        for name, clean in (
            ("am", (1 + 0.15 * sound).astype(complex)),
            ("pm", np.exp(0.15j * sound)),
            ("one side", 1 + 0.15 * side),
        )
    )
    assert am.evidence > 5 and am.symmetry > 0.7
    assert pm.evidence < -5 and pm.symmetry < -0.7
    assert abs(one.symmetry) < 0.4 and one.power > 8
    assert one.aside > 0.6 and one.aside_power > 8 and max(am.aside, pm.aside) < 0.3
    for found in (am, pm, one):
        assert 300 < found.middle < 1500


def test_what_is_beyond_the_edges_is_no_side() -> None:
    """A neighbour where AM's lower sideband is cut off: the upper one still has its mirror image."""
    neighbour = 0.5 * np.exp(-2j * np.pi * 900 * TIME)
    iq = _noisy(1 + 0.15 * _sound(5) + neighbour, "neighbour")
    found = measure_sidebands(iq, RATE, 2e3, 2 * 0.01 / RATE, inside=(-200.0, 2e3))
    assert found.aside < 0.3 and found.aside_power > 8
    assert measure_sidebands(iq, RATE, 2e3, 2 * 0.01 / RATE).aside > 0.6


def test_a_carrier_in_noise_has_no_sidebands() -> None:
    for number in range(20):
        found = measure_sidebands(_noisy(np.ones(COUNT, complex), "none", number), RATE, 2e3, 2 * 0.01 / RATE)
        assert abs(found.evidence) < 5 and found.power < 5 and found.spread is None


def test_phase_noise_lies_near_its_line() -> None:
    """A random walk of the phase: its density falls with the square of the frequency; half is below twice the edge."""
    walk = np.cumsum(rng("sidebands, walk").normal(size=COUNT)) * 0.01
    found = measure_sidebands(np.exp(1j * walk).astype(np.complex64), RATE, 2e3, 1e-9)
    assert found.evidence < -5 and found.middle < 3 * found.followed


@pytest.mark.parametrize(("duty", "rest"), [(0.5, 0.4), (0.3, 0.5)])
def test_the_spread_of_two_levels_is_least_of_all(duty: float, rest: float) -> None:
    random = rng("sidebands, keys", str(duty))
    keys = np.repeat(random.random(COUNT // 16) < duty, 16)
    found = measure_sidebands(
        _noisy(np.where(keys, 1.0, rest) + 0j, "keys", str(duty), sigma=0.02), RATE, 4e3
    )
    assert found.spread is not None and found.spread < 0.25 and found.symmetry > 0.7
    sine = measure_sidebands(
        _noisy(1 + 0.5 * np.sin(2 * np.pi * 700 * TIME) + 0j, "sine", sigma=0.02), RATE, 4e3
    )
    assert sine.spread == pytest.approx(0.5, abs=0.05)  # a sine has 3/2 - 0 - 1


def test_a_hum_is_one_sine_and_audio_is_not() -> None:
    """A hum has all that is in phase, whatever the noise beside it; audio has many lines."""
    for number in range(4):
        hum = 1 + 0.08 * np.sin(2 * np.pi * (300 + 37.3 * number) * TIME)
        found = measure_sidebands(_noisy(hum + 0j, "hum", number), RATE, 2e3, 2 * 0.01 / RATE)
        assert found.tone > 0.8 and found.tone_depth == pytest.approx(0.08, abs=0.015)
        audio = measure_sidebands(
            _noisy(1 + 0.15 * _sound(number) + 0j, "a", number), RATE, 2e3, 2 * 0.01 / RATE
        )
        assert audio.tone < 0.5
        none = measure_sidebands(
            _noisy(np.ones(COUNT, complex), "no hum", number), RATE, 2e3, 2 * 0.01 / RATE
        )
        assert none.tone == 0


def test_noise_hides_two_levels_later_where_there_are_more_values() -> None:
    """The spread of few values in as much noise says nothing; that of many is that of two levels."""
    random = rng("sidebands, noisy keys")
    keys = np.where(np.repeat(random.random(COUNT // 16) < 0.5, 16), 1.0, 0.5)
    iq = _noisy(keys + 0j, "noisy keys", sigma=0.22)
    found = measure_sidebands(iq, RATE, 4e3)
    assert found.spread is not None and found.spread < 0.35
    assert measure_sidebands(iq[:560], RATE, 4e3).spread is None


def test_slow_parts_of_two_levels_have_any_spread_and_are_not_all_of_the_amplitude() -> None:
    """Noise leaves the slow parts of fast keys alone, and all of audio."""
    for number in range(1, 4):
        random = rng("sidebands, slow parts", number)
        keys = np.where(np.repeat(random.random(COUNT // 2) < 0.5, 2), 1.0, 0.5)
        found = measure_sidebands(_noisy(keys + 0j, "fast keys", number, sigma=0.25), RATE, 7e3)
        assert found.spread is None or found.spread < 0.8 or found.spread_over < 0.93
        audio = _noisy(1 + 0.4 * _sound(number) + 0j, "as noisy", number, sigma=0.25)
        found = measure_sidebands(audio, RATE, 7e3)
        assert found.spread is not None and found.spread > 1 and found.spread_over > 0.95


def test_am_is_not_sure_where_noise_hides_two_levels() -> None:
    """Keys that leave more than half of a carrier were AM with .98 where a model gave keys a twentieth."""
    keys = np.where(np.repeat(rng("sidebands, hidden keys").random(COUNT // 4) < 0.5, 4), 1.0, 0.55)
    hidden = said(_noisy(keys + 0j, "hidden keys", sigma=0.3), RATE, 8e3, am=0.9, ook=0.06)
    assert hidden.confidence <= 0.85
    audio = said(_noisy(1 + 0.35 * _sound(0) + 0j, "audio", sigma=0.3), RATE, 8e3, am=0.9, ook=0.06)
    assert audio.family == "am" and audio.confidence > 0.9


def test_what_cannot_be_measured() -> None:
    assert measure_sidebands(np.ones(10, np.complex64), RATE, 1e3) == Sidebands()
    assert measure_sidebands(np.zeros(COUNT, np.complex64), RATE, 1e3) == Sidebands()
    assert measure_sidebands(np.full(COUNT, np.nan, np.complex64), RATE, 1e3) == Sidebands()
    for rate, reach in ((0.0, 1e3), (RATE, 0.0), (np.inf, 1e3), (RATE, np.nan)):
        with pytest.raises(AmrqError, match="above 0 Hz"):
            measure_sidebands(np.ones(COUNT, np.complex64), rate, reach)


def test_sidebands_speak_against_what_a_model_takes_them_for() -> None:
    """A model that takes each for the other: what mirrors, or does not, keeps the wrong name from being sure."""
    sound = _sound(9)
    fm = said(_noisy(np.exp(0.4j * sound), "fm, said"), RATE, 4e3, carrier=0.5, fm=0.2)
    assert fm.family in ("fm_narrow", "unknown") and fm.families["carrier"] < 0.5
    am = said(_noisy(1 + 0.15 * sound + 0j, "am, said"), RATE, 4e3, carrier=0.5, am=0.2)
    assert am.family in ("am", "unknown") and am.families["carrier"] < 0.5
    keys = np.where(np.repeat(rng("sidebands, ask").random(COUNT // 16) < 0.5, 16), 1.0, 0.4) + 0j
    ask = said(_noisy(keys, "ask, said", sigma=0.03), RATE, 6e3, am=0.5, ook=0.2)
    assert ask.family in ("ook", "unknown") and ask.families["am"] < 0.5
