# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels of what a receiver does step by step and block by block do what the NumPy code does."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import linear_class
from amrq.measure import CarrierRecovery, carrier_recovery
from amrq.native import CarrierLimits, CarrierLines, CarrierNow, Kernels


def _stream(case: str) -> NDArray[np.complex64]:
    """Symbols of several signals one after the other, complex64 [3200], with noise between them."""
    random = rng("native receiver", case)
    time = np.arange(1600)
    parts = []
    for name, offset, drift, wander in (
        (("pi/2" in case and "BPSK") or "QPSK", 0.03, 2e-5, 0.0),
        ("8PSK", -0.05, 0.0, 0.05),
    ):
        sent = random.choice(linear_class(name).points, len(time))
        if "pi/" in case:
            sent = sent * np.exp(2j * np.pi * time / (4 if "pi/2" in case else 8))
        phase = (
            offset * time + drift / 2 * time**2 + np.cumsum(random.normal(0, wander, len(time))) / (2 * np.pi)
        )
        parts.append(sent * np.exp(2j * np.pi * phase))
    parts.insert(1, np.zeros(640 if "gap" in case else 0))
    clean = np.concatenate(parts)
    noise = random.standard_normal((len(clean), 2)) @ (1, 1j)
    return np.asarray(clean + 0.1 * noise, np.complex64)


@pytest.mark.parametrize("case", ["plain", "gap", "pi/2", "pi/4"])
@pytest.mark.parametrize("hold", [0, 16])
def test_carriers_are_followed_alike(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, case: str, hold: int
) -> None:
    symbols = _stream(case)
    middles = np.where(np.arange(len(symbols) // 32) % 7 == 0, np.nan, 0.03).tolist()
    found = []
    for compiled in (True, False):
        with monkeypatch.context() as context:
            if not compiled:
                context.setattr(carrier_recovery, "kernels", lambda: None)
            recovery, told = CarrierRecovery(0.15, hold), []
            for part in np.split(symbols, [100, 1000, 1700]):
                out = recovery.process(part, middles[: len(part) // 32])
                told.append((out, recovery.rates, recovery.orders, recovery.turning, recovery.shares))
            told.append(
                (
                    recovery.finish(symbols[:0]),
                    recovery.rates,
                    recovery.orders,
                    recovery.turning,
                    recovery.shares,
                )
            )
        found.append(told)
    assert any(any(one[2]) for one in found[0])
    for one, other in zip(*found, strict=True):
        assert one[2:4] == other[2:4]
        np.testing.assert_allclose(one[1], other[1], rtol=0, atol=1e-12)
        np.testing.assert_allclose(one[4], other[4], rtol=1e-12)
        np.testing.assert_allclose(one[0], other[0], atol=1e-6 * np.abs(symbols).max())


def test_wrong_shapes_are_refused(native: Kernels) -> None:
    two = np.zeros((6, 2))
    flags = two > 0
    lines = CarrierLines(
        *(np.zeros((3, 6, 2)), np.zeros((3, 6, 3)), two, two[0], two),
        *(flags[0], flags, flags, flags, flags, np.ones(6, np.int64)),
    )
    with pytest.raises(ValueError, match="2 steps"):
        native.carrier_follow(0, lines, CarrierLimits(), np.zeros(0), CarrierNow())
