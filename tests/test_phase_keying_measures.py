# SPDX-License-Identifier: GPL-3.0-or-later
"""Pi/4-DQPSK and OQPSK are told from other phase keying by lines of their powers."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import linear_class
from amrq.errors import AmrqError
from amrq.measure import measure_phase_keying
from amrq.signals import FAMILY_CLASSES, LinearParameters, received_signal

SYMBOLS = 1800


def _received(family: str, random: np.random.Generator, drift: float = 0.0) -> NDArray[np.complex64]:
    """Return 10 kBd at 47.6 kS/s, roll-off 0.35, in-band SNR 15 dB; it drifts by so many Hz from begin to end."""
    label = {"oqpsk": "OQPSK", "pi4dqpsk": "pi/4-DQPSK"}[family]
    told = LinearParameters(label=label, bandwidth=11.9e3, symbol_rate=10e3, order=4, rolloff=0.35)
    one = FAMILY_CLASSES[family].signal(told, random, 8192, 4.0)
    time = np.arange(8192) / 47.6e3
    noise = random.standard_normal((8192, 2)) @ [1, 1j] * np.sqrt(2 * 10**-1.5)
    return (one * np.exp(1j * np.pi * drift * time * (time - time[-1]) / time[-1]) + noise).astype(
        np.complex64
    )


@pytest.mark.parametrize(("family", "kind"), [("pi4dqpsk", "pi/4-dqpsk"), ("oqpsk", "oqpsk")])
def test_what_is_turned_or_staggered_is_named_with_its_symbol_rate(family: str, kind: str) -> None:
    """Right in 90 %: of 16, fewer than 10 but once in 1,800 runs."""
    random, right = rng(kind), 0
    for _ in range(16):
        found = measure_phase_keying(_received(family, random), 47.6e3, 11.9e3 * random.uniform(0.9, 1.1))
        same = found.kind == kind and found.symbol_rate == pytest.approx(10e3, rel=0.005)
        right += same and found.confidence > 0.5
        assert same or found.confidence < 0.9
    assert right >= 10


def test_a_carrier_that_drifts_is_followed() -> None:
    found = measure_phase_keying(_received("pi4dqpsk", rng("drift"), drift=150.0), 47.6e3, 12e3)
    assert found.kind == "pi/4-dqpsk" and found.symbol_rate == pytest.approx(10e3, rel=0.005)


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "8PSK", "16QAM", "noise"])
def test_others_are_not_claimed(name: str) -> None:
    random = rng(f"phase keying {name}")
    claimed = 0
    for _ in range(8):
        noise = (random.standard_normal((8192, 2)) @ [1, 1j]).astype(np.complex64)
        if name != "noise":
            symbols = random.choice(linear_class(name).points, SYMBOLS)
            noise = received_signal(symbols, samples_per_symbol=4.8, rolloff=0.35, es_n0_db=15.0, rng=random)
        claimed += measure_phase_keying(noise, 48e3, 12e3).confidence > 0.5
    assert claimed <= 2  # of 3 %: more but once in 500 runs


def test_bits_that_stay_and_turn_by_a_quarter_are_no_turns_of_an_eighth() -> None:
    # Equal bits of pi/2-BPSK turn steadily: the middle of the spectrum is off, as far as pi/4-DQPSK's lines are.
    random = rng("bits that stay")
    for _ in range(4):
        bits = random.integers(2, size=SYMBOLS)
        bits = bits[np.maximum.accumulate(np.where(random.random(SYMBOLS) < 0.5, np.arange(SYMBOLS), 0))]
        symbols = ((2 * bits - 1) * np.exp(0.5j * np.pi * np.arange(SYMBOLS))).astype(np.complex64)
        iq = received_signal(symbols, samples_per_symbol=4.8, rolloff=0.5, es_n0_db=15.0, rng=random)
        assert measure_phase_keying(iq, 48e3, 13e3).pi4dqpsk < 0.3


@pytest.mark.filterwarnings("error")
def test_nothing_has_no_phases() -> None:
    random = rng("no phases")
    noise = (random.standard_normal((9000, 2)) @ [1, 1j]).astype(np.complex64)
    pulse = np.where(np.arange(9000) == 5000, np.complex64(1), np.complex64(0))
    for iq in (
        noise[:0],
        noise[:1],
        noise[:600],
        noise,
        noise * np.nan,
        noise * np.float32(1e30),
        pulse,
        pulse * 0,
    ):
        for sample_rate, width in ((1e5, 2e4), (1e5, None), (1.0, 1.0), (1e5, 10.0)):
            assert measure_phase_keying(iq.astype(np.complex64), sample_rate, width).confidence < 0.6
    with pytest.raises(AmrqError, match="above 0 Hz, not 0"):
        measure_phase_keying(noise, 0.0)
