# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at packets: what is in their bursts is identified, and a keyed carrier stays one."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.identify import EmissionIdentity, bursts_inside, identify_emission
from amrq.measure import measure_emission

bursts_within = bursts_inside.bursts_within

_RATE, _SYMBOL_RATE = 4e6, 1e6


def _packets(random: np.random.Generator, symbols: int, pause: int, count: int) -> NDArray[np.complex64]:
    """Return packets of 2FSK with index .7, four samples a symbol, with noise 20 dB below in their band."""
    parts = []
    for _ in range(count):
        levels = np.repeat(random.choice([-1.0, 1.0], symbols), 4)
        parts += [np.exp(0.7j * np.pi * np.cumsum(levels) / 4), np.zeros(4 * pause)]
    clean = np.concatenate(parts)
    noise = random.normal(size=(len(clean), 2)) @ [0.14, 0.14j]
    return np.asarray(clean + noise, np.complex64)


@pytest.mark.parametrize(("symbols", "pause"), [(376, 800), (160, 300)])
def test_packets_are_named_by_what_they_carry(symbols: int, pause: int) -> None:
    iq = _packets(rng("bursts", symbols), symbols, pause, 1200 // symbols + 1)
    found = identify_emission(iq, _RATE, 10 * np.log10(2 * 0.14**2 / _RATE), (-0.75e6, 0.75e6), 20.0)
    assert found.family == "fsk2"
    assert 0.5 < found.confidence <= 0.9
    assert found.symbol_rate == pytest.approx(_SYMBOL_RATE, rel=0.005)


def test_the_pauses_are_left_out_and_short_keys_are_no_bursts() -> None:
    random = rng("bursts", "pauses")
    edges = (-0.75e6, 0.75e6)
    inside = bursts_within(_packets(random, 160, 300, 6), _RATE, edges)
    assert inside is not None
    # Each end of a burst is known to half of the mean's length, 8 over the bandwidth: 27 samples.
    assert abs(len(inside) - 6 * 640) < 6 * 2 * 27
    assert bursts_within(_packets(random, 40, 60, 30), _RATE, edges) is None
    assert bursts_within(_packets(random, 2000, 0, 1), _RATE, edges) is None


def test_a_keyed_carrier_stays_keyed() -> None:
    random = rng("bursts", "keys")
    keys = np.repeat(np.kron(random.integers(2, size=60), [1, 0]), 100)
    noise = random.normal(size=(len(keys), 2)) @ [0.05, 0.05j]
    found = identify_emission(
        np.asarray(keys + noise, np.complex64), 40e3, 10 * np.log10(2 * 0.05**2 / 40e3), (-1e3, 1e3), 20.0
    )
    assert found.family in ("ook", "unknown")


def test_long_keys_fill_little_of_a_wide_box_and_packets_do() -> None:
    random = rng("bursts", "filled")
    edges = (-0.75e6, 0.75e6)
    packets = bursts_within(_packets(random, 376, 800, 4), _RATE, edges)
    keys = np.repeat(np.kron(random.integers(2, size=12), [1, 0]), 400)
    keyed = keys + random.normal(size=(len(keys), 2)) @ [0.1, 0.1j]
    long = bursts_within(keyed.astype(np.complex64), _RATE, edges)
    assert packets is not None and long is not None
    # Of 128 steps of the box; a run of 400 samples is as wide as one and a half of them.
    assert bursts_inside.filled(long, _RATE, edges) < 0.05
    assert bursts_inside.filled(packets, _RATE, edges) > 0.2


@pytest.mark.parametrize(
    ("first", "confidence", "answer"), [("ook", 0.95, "am"), ("ook", 0.8, "ook"), ("ssb", 0.95, "ssb")]
)
def test_what_is_said_on_a_carrier_is_no_keying_of_it(first: str, confidence: float, answer: str) -> None:
    # as ACARS: a modem's half waves fill little of the box, and the whole look has pauses
    noise = (rng("bursts", "said").normal(size=(4000, 2)) @ [1, 1j]).astype(np.complex64)
    measures = measure_emission(noise, 4.0)
    whole = EmissionIdentity(first, first, confidence=0.97, measures=measures)
    inside = EmissionIdentity("AM", "am", confidence=confidence, measures=measures)
    found = bursts_inside.of_bursts(whole, inside, 0.03)
    assert found.family == answer
    assert answer == first or found.confidence < 0.9
