# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels of the receiver do what the NumPy code beside them does."""

import math
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import linear_class
from amrq.measure import CarrierRecovery, carrier_lines, carrier_search
from amrq.native import Kernels, LineGrid
from amrq.receive import BurstReceiver, pulse
from amrq.signals import received_signal


def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (carrier_lines, carrier_search, pulse):
        monkeypatch.setattr(module, "kernels", lambda: None)


def _received(name: str, es_n0_db: float, drift: float = 0.0, steps: int = 100) -> NDArray[np.complex64]:
    random = rng("native lines", name, es_n0_db, drift)
    time = np.arange(32 * steps)
    sent = random.choice(linear_class(name).points, len(time)) if name != "noise" else np.zeros(len(time))
    noise = random.standard_normal((len(time), 2)) @ (1, 1j) * 10 ** (-es_n0_db / 20) / np.sqrt(2)
    carrier = np.exp(2j * np.pi * (0.02 * time + drift / 2 * time**2))
    return np.asarray((sent * carrier + noise) * random.uniform(0.1, 10), np.complex64)


@pytest.mark.parametrize(
    ("name", "es_n0_db", "drift"),
    [
        ("BPSK", 8, 0.0),
        ("QPSK", 12, 1e-5),
        ("16QAM", 15, 0.0),
        ("32QAM", 20, 0.0),
        ("8PSK", 15, 3e-5),
        ("16PSK", 25, 0.0),
        ("QPSK", 15, 8e-5),
        ("noise", 0, 0.0),
    ],
)
def test_carrier_recovery_turns_symbols_alike(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, name: str, es_n0_db: float, drift: float
) -> None:
    symbols = _received(name, es_n0_db, drift)
    compiled = CarrierRecovery(0.15, 16)
    with_it = compiled.finish(symbols)
    _without(monkeypatch)
    plain = CarrierRecovery(0.15, 16)
    without = plain.finish(symbols)
    assert compiled.orders == plain.orders
    assert np.allclose(compiled.rates, plain.rates, rtol=0, atol=1e-6, equal_nan=True)
    # A phase of single precision, over some thousand symbols.
    assert np.abs(with_it - without).max() < 2e-3 * np.abs(without).max()


def test_the_same_to_the_bit_however_the_stream_is_cut(native: Kernels) -> None:
    symbols = _received("16QAM", 15.0)
    whole, cut = CarrierRecovery(0.15, 16), CarrierRecovery(0.15, 16)
    parts = [cut.process(part) for part in np.split(symbols, [5, 333, 1000, 1001, 2500])]
    assert np.array_equal(whole.process(symbols), np.concatenate(parts))


def test_nothing_in_leaves_nothing_undefined(native: Kernels) -> None:
    silent = CarrierRecovery(0.15, 16).finish(np.zeros(32 * 40, np.complex64))
    assert np.array_equal(silent, np.zeros_like(silent))


def test_functions_of_symbols_of_any_level(native: Kernels) -> None:
    of_symbols = carrier_lines.PowerFunctions()
    symbols = np.tile(_received("QPSK", 20.0, steps=2), 20)
    symbols *= np.repeat(10.0 ** np.arange(-45, 15, 3), 64).astype(np.float32)
    for power in (1e-40, 1.0, 1e28):
        levels = np.full(len(symbols) // 32, power, np.float32)
        compiled = np.zeros((6, len(symbols)), np.complex64)
        of_symbols.write(symbols, levels, compiled)
        assert np.isfinite(compiled).all()
        plain = of_symbols(symbols, np.repeat(levels, 32))
        some = np.abs(symbols) > 1e-27  # below, NumPy's own single precision is none
        assert np.abs(compiled - plain)[:, some].max() < 1e-4


def test_turns(native: Kernels) -> None:
    cycles = rng("native turns").uniform(-1000, 1000, (37, 5))
    assert np.abs(native.turned(cycles) - np.exp(-2j * np.pi * cycles)).max() < 1e-6
    assert (
        np.abs(native.turned(np.arange(-8, 9) / 8) - np.exp(-2j * np.pi * np.arange(-8, 9) / 8)).max() < 1e-6
    )


def test_wrong_shapes_are_refused(native: Kernels) -> None:
    shaped = np.zeros((6, 256), np.complex64)
    levels, rings = np.ones(9, np.float32), np.zeros((2, 129), np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        native.line_functions(np.zeros(288, np.complex64), levels, rings, 1.6, shaped)
    with pytest.raises(ValueError, match="need more"):
        native.line_spectra(shaped, 8, np.zeros((6, 9, 128), np.float32), np.zeros((6, 9), np.float32))
    with pytest.raises(ValueError, match="an average needs"):
        spectra, energies = np.zeros((6, 9, 128), np.float32), np.zeros((6, 9), np.float32)
        native.line_averages(spectra, energies, np.zeros((6, 128), np.bool_))
    with pytest.raises(ValueError, match="256, 512, 768"):
        LineGrid(100, np.ones((3, 16), np.complex64), (1.0, 1.0), (1.0, 1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="turns must be"):
        LineGrid(256, np.ones((33, 16), np.complex64), (1.0, 1.0), (1.0, 1.0, 1.0, 1.0))
    grid = LineGrid(256, np.ones((3, 16), np.complex64), (1.0, 1.0), (1.0, 1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="need more"):
        seen, near = np.ones((6, 2), np.bool_), np.zeros((2, 6, 2))
        native.line_fits(shaped, carrier_lines.ORDERS, seen, near, grid, (100.0, 17.0))
    with pytest.raises(ValueError, match="no window"):
        table = np.zeros((6, 2, 128, 16), np.float32)
        native.line_chirps(shaped, 129, table, np.ones((6, 256), np.bool_))


def test_a_grid_can_be_sent_elsewhere(native: Kernels) -> None:
    grid = LineGrid(256, np.ones((3, 16), np.complex64), (1.0, 1.0), (1.0, 1.0, 1.0, 1.0))
    again = pickle.loads(pickle.dumps(grid))
    assert (again.window, again.drifts) == (256, 1)


@pytest.mark.parametrize(("name", "spacing"), [("QPSK", 4.0), ("16QAM", 9.7)])
def test_a_receiver_makes_the_same_symbols(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, name: str, spacing: float
) -> None:
    random = rng("native receiver", name)
    sent = random.choice(linear_class(name).points, 6000)
    samples = received_signal(sent, spacing, 0.3, 15.0, random, offset=0.02)
    first = BurstReceiver(spacing, 1.0)
    compiled = first.process(samples)
    _without(monkeypatch)
    second = BurstReceiver(spacing, 1.0)
    plain = second.process(samples)
    assert np.abs(compiled.positions - plain.positions).max() < 0.01 * spacing
    assert np.abs(compiled.symbols - plain.symbols).max() < 0.02
    assert np.allclose(compiled.snr_db, plain.snr_db, atol=0.05, equal_nan=True)
    assert math.isclose(first.report().rolloff or 0, second.report().rolloff or 0)


def test_powers_under_a_window_and_places(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    random = rng("native powers")
    finder = pulse.PulseFinder(4.0, 128.0)
    spectra = random.normal(size=(9, 512, 2)).astype(np.float32).view(np.complex64)[..., 0]
    spectra[3] *= np.float32(1e25)  # their squares leave the range
    found = finder._powers(spectra)
    _without(monkeypatch)
    for one, other in zip(found, finder._powers(spectra), strict=True):
        assert np.allclose(one, other, rtol=1e-5)


def test_spectra_of_other_shapes_are_refused(native: Kernels) -> None:
    spectra, powers = np.zeros((2, 512), np.complex64), np.zeros((2, 512), np.float32)
    for edges in ([0, 513], [3, 3], [-1, 5], [7]):
        with pytest.raises(ValueError, match="must rise"):
            native.hann_powers(spectra, np.array(edges), 1.0)
    with pytest.raises(ValueError, match="even number"):
        native.hann_powers(spectra[:, :7], np.array([0, 7]), 1.0)
    inverse, log, weight = np.ones((5, 100), np.float32), np.ones(5, np.float32), np.ones(100, np.float32)
    for first in (-1, 413):
        with pytest.raises(ValueError, match="are not in"):
            native.pulse_places(powers, first, inverse, log, weight, 1.0)
    with pytest.raises(ValueError, match="without gaps"):
        native.pulse_places(powers, 0, inverse, log[:4], weight, 1.0)
