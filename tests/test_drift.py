# SPDX-License-Identifier: GPL-3.0-or-later
"""A carrier that drifts: how fast, and what is keyed on it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.errors import AmrqError
from amrq.identify import EmissionIdentity, identify_emission
from amrq.measure import Drift, measure_drift, steadied

RATE, WIDTH, COUNT, SNR_DB = 16e3, 4e3, 4096, 15.0
SECONDS = COUNT / RATE


def received(envelope: NDArray[np.floating], rate: float, *path: str) -> tuple[NDArray[np.complex64], float]:
    """Return a carrier of unit power that drifts, Hz a second, in noise; and the noise's density."""
    source = rng("drift", *path)
    time = np.arange(COUNT) / RATE - SECONDS / 2
    clean = (
        envelope / np.sqrt(np.mean(envelope**2)) * np.exp(2j * np.pi * (0.5 * rate * time**2 + 100 * time))
    )
    density = 10 ** (-SNR_DB / 10) / WIDTH
    noise = source.standard_normal((COUNT, 2)) @ np.array([1, 1j]) * np.sqrt(density * RATE / 2)
    return (clean + noise).astype(np.complex64), density


def named(iq: NDArray[np.complex64], density: float) -> EmissionIdentity:
    """Return what it is called in a box of the whole width."""
    return identify_emission(iq, RATE, 10 * np.log10(density), (-WIDTH / 2, WIDTH / 2), SNR_DB)


def keys(*path: str) -> NDArray[np.float64]:
    """Return keys of 2,000 Bd that leave half of the amplitude."""
    return np.repeat(rng("drift", "keys", *path).choice([0.45, 1.0], COUNT // 8), 8)


@pytest.mark.parametrize("through", [-0.9, -0.3, 0.1, 0.5, 1.2])
@pytest.mark.parametrize("keyed", [False, True])
def test_the_rate_of_a_drift_is_right(through: float, keyed: bool) -> None:
    rate = through * WIDTH / SECONDS
    iq, density = received(keys("rate") if keyed else np.ones(COUNT), rate, "rate", f"{through} {keyed}")
    found = measure_drift(iq, RATE, WIDTH, density)
    assert found.rate == pytest.approx(rate, abs=4 / SECONDS**2)
    assert found.through == pytest.approx(abs(through) * WIDTH, abs=4 / SECONDS)
    assert found.gathered > (0.7 if keyed else 0.9) > 3 * found.still


def test_what_stands_or_has_no_carrier_does_not_drift() -> None:
    source = rng("drift", "none")
    iq, density = received(np.ones(COUNT), 0.0, "still")
    found = measure_drift(iq, RATE, WIDTH, density)
    assert found.gathered == pytest.approx(found.still, abs=0.01) and found.still > 0.9
    turns = np.exp(0.5j * np.pi * np.repeat(source.integers(4, size=COUNT // 8), 8)).astype(np.complex64)
    for other in (turns, (source.standard_normal((COUNT, 2)) @ np.array([1, 1j])).astype(np.complex64)):
        assert measure_drift(other, RATE, WIDTH).gathered < 0.3


def test_a_carrier_that_drifts_through_a_part_of_its_box_is_a_carrier() -> None:
    called = []
    for number, through in enumerate((0.15, 0.3, 0.45, 0.6)):
        found = named(*received(np.ones(COUNT), through * WIDTH / SECONDS, "carrier", str(number)))
        called.append(found.family)
        assert found.confidence <= 0.9  # it may be a slow sweep
    # Through half of its box it may be a piece of a sweep as well as an oscillator that wanders.
    assert called[:2] == ["carrier"] * 2 and set(called[2:]) <= {"carrier", "chirp"}


def test_keys_on_a_carrier_that_drifts_are_keys() -> None:
    called = []
    for number, through in enumerate((0.3, 0.7, 1.0)):
        iq, density = received(keys(str(number)), through * WIDTH / SECONDS, "keys", str(number))
        called.append(named(iq, density).family)
    assert called.count("ook") >= 2 and "chirp" not in called


def test_what_sweeps_through_all_of_its_box_is_no_carrier() -> None:
    iq, density = received(np.ones(COUNT), WIDTH / SECONDS, "sweep")
    assert named(iq, density).family != "carrier"


def test_a_drift_is_taken_off_and_what_is_not_there_has_none() -> None:
    iq, _ = received(np.ones(COUNT), 4e3, "taken off")
    assert measure_drift(steadied(iq, RATE, 4e3), RATE, WIDTH).through < 2 / SECONDS
    for nothing in (iq[:0], iq[:100], iq * 0, iq * np.nan):
        assert measure_drift(nothing.astype(np.complex64), RATE, WIDTH) == Drift()
    with pytest.raises(AmrqError, match="above 0 Hz, not 0"):
        measure_drift(iq, 0.0)
