# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels of what a receiver does step by step and block by block do what the NumPy code does."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import linear_class
from amrq.measure import CarrierRecovery, carrier_lines, carrier_recovery, carrier_search, cleaning
from amrq.native import (
    CarrierLimits,
    CarrierLines,
    CarrierNow,
    ClockNow,
    FollowNow,
    Kernels,
    LevelLimits,
    LevelNow,
    PlaceModel,
    PulseChoice,
    SpectrumLimits,
    SpectrumNow,
    SpectrumRun,
)
from amrq.receive import (
    BurstReceiver,
    ReceivedSymbols,
    bursts,
    channel,
    equaliser,
    following,
    pulse,
    received,
    receiver,
    timing,
)
from amrq.signals import received_signal


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


def _received(kind: str) -> ReceivedSymbols:
    """Receive samples of a signal in pieces, with noise before and after it."""
    random = rng("native receiver, whole", kind)
    sent = random.choice(linear_class("8PSK" if kind == "turning" else "16QAM").points, 3000)
    if kind == "turning":
        sent = random.choice(linear_class("QPSK").points, 3000) * np.exp(0.25j * np.pi * np.arange(3000))
    if kind == "echo":
        sent[2:] += 0.4j * sent[:-2]
    bursts = np.where(np.arange(3000) // 300 % 2 == 0, 1, 0) if kind == "bursts" else 1
    parts = (np.zeros(600), sent * bursts, np.zeros(1500))
    drift = np.exp(2j * np.pi * (2e-5 if kind == "moving" else 0) / 2 * np.arange(5100) ** 2)
    samples = received_signal(np.concatenate(parts) * drift, 6.3, 0.3, 20.0, random, offset=0.02)
    if kind == "not finite":
        samples[9000:9010] = np.nan
    receiving = BurstReceiver(6.3 * 1.001, 1.0)
    pieces = np.split(samples, [1, 1700, 9001, 15_000])
    found = [*(receiving.process(piece) for piece in pieces), receiving.finish()]
    return received.joined([one for one in found if len(one)])


@pytest.mark.parametrize("kind", ["plain", "turning", "echo", "bursts", "moving", "not finite"])
def test_a_receiver_makes_the_same_of_samples(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    compiled = _received(kind)
    for module in (
        carrier_recovery,
        carrier_lines,
        carrier_search,
        cleaning,
        bursts,
        equaliser,
        pulse,
        receiver,
        timing,
    ):
        monkeypatch.setattr(module, "kernels", lambda: None)
    plain = _received(kind)
    assert np.array_equal(compiled.borders, plain.borders)
    assert np.array_equal(compiled.finite, plain.finite)
    assert np.array_equal(compiled.equalised, plain.equalised)
    assert compiled.equalised.any() == (kind == "echo")
    assert np.abs(compiled.positions - plain.positions).max() < 1e-4  # of a channel sample
    assert np.allclose(compiled.carrier_offset, plain.carrier_offset, atol=1e-6, equal_nan=True)
    assert np.allclose(compiled.snr_db, plain.snr_db, atol=1e-4, equal_nan=True)
    away = np.abs(compiled.symbols - plain.symbols)
    # Of phases of single precision over some thousand symbols; now and then of the next place in a table.
    assert np.median(away) < 2e-4 and away.max() < 0.02


@pytest.mark.parametrize("whole", [False, True])
def test_raised_cosines_are_told_from_their_roots_alike(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    bins = 128.0
    frequency = np.fft.fftfreq(channel.BINS, 1 / channel.BINS) / bins
    shape = np.sqrt(pulse.Pulse(0.35, 0.02, whole).spectrum(frequency) + 0.01)
    random = rng("raised cosines", int(whole))
    blocks = (random.normal(size=(24, channel.BINS, 2)) @ [1, 1j] * shape).astype(np.complex64)
    run, taken = native.spectrum_run, []

    def counted(*given: Any) -> NDArray[np.float64]:
        found = run(*given)
        taken.append(len(found))
        return found

    monkeypatch.setattr(native, "spectrum_run", counted)
    found = []
    for compiled in (True, False):
        with monkeypatch.context() as context:
            if not compiled:
                context.setattr(pulse, "kernels", lambda: None)
            finder = pulse.PulseFinder(4.0, bins)
            pairs = finder.process(blocks, lambda middle: False, following.Path(bins))
        found.append([(one, pytest.approx(noise, nan_ok=True)) for one, noise in pairs])
    assert found[0] == [(one, noise.expected) for one, noise in found[1]]
    assert found[0][-1][0].whole == whole
    # Which of them it is, is asked in each of the first 32 blocks: compiled code does.
    assert sum(taken) > 12


@pytest.mark.parametrize("count", [7, 100, 5000])
@pytest.mark.parametrize("clip", [9.0, 1.0, 0.01])
def test_rails_are_counted_alike(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, count: int, clip: float
) -> None:
    counted, plain = cleaning._Rails(), cleaning._Rails()
    random = rng("rails", count, clip)
    for loudness in (1.0, 3.0, 2.0):
        parts = np.clip(loudness * random.standard_normal((count, 2)), -clip, clip).astype(np.float32)
        samples = parts.view(np.complex64)[:, 0]
        counted.look(samples)
        with monkeypatch.context() as context:
            context.setattr(cleaning, "kernels", lambda: None)
            plain.look(samples)
            assert cleaning.all_usable(samples)
        assert cleaning.all_usable(samples)
        for name in ("_tops", "_at", "_beside"):
            assert np.array_equal(getattr(counted, name), getattr(plain, name))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e12, -1e12])
def test_samples_that_cannot_be_used_are_seen(native: Kernels, value: float) -> None:
    samples = np.ones(37, np.complex64)
    for place in (0, 20, 36):
        samples[place] = complex(1, value)
        assert not cleaning.all_usable(samples)
        samples[place] = 1
    assert cleaning.all_usable(samples)


def test_wrong_shapes_are_refused(native: Kernels) -> None:
    two = np.zeros((6, 2))
    flags = two > 0
    lines = CarrierLines(
        *(np.zeros((3, 6, 2)), np.zeros((3, 6, 3)), two, two[0], two),
        *(flags[0], flags, flags, flags, flags, np.ones(6, np.int64)),
    )
    with pytest.raises(ValueError, match="2 steps"):
        native.carrier_follow(0, lines, CarrierLimits(), np.zeros(0), CarrierNow())
    average, cells, powers = np.zeros(3), np.zeros((2, 3)), np.zeros((2, 8), np.float32)
    follow = FollowNow([], [], 0, 0, (16, 48, 2, 64, 2.5))
    run = SpectrumRun(SpectrumNow(), SpectrumLimits(), PulseChoice(), PlaceModel(), follow)
    with pytest.raises(ValueError, match="are not among 3"):
        native.spectrum_run(powers, cells, average, run, [np.array([3])] * 4)
    with pytest.raises(ValueError, match="four lists"):
        native.spectrum_run(powers, cells, average, run, [np.array([0])])
    with pytest.raises(ValueError, match="powers of 0 bins are needed of 2 blocks"):
        native.spectrum_run(powers[:1], cells, average, run, [])
    with pytest.raises(ValueError, match="have 1 deviations"):
        FollowNow([], [0.0], 0, 0, (16, 48, 2, 64, 2.5))
    line, places = np.zeros(40, np.complex64), np.array([9], np.int64)
    with pytest.raises(ValueError, match="are not within 40 samples"):
        native.interpolate(line, np.array([36.5]), np.zeros((257, 8), np.float32))
    with pytest.raises(ValueError, match="are not in blocks"):
        native.span_powers(line[None], 10, 32, 32, 1.0)
    with pytest.raises(ValueError, match="rates above 0"):
        native.symbol_places([0.0], [0.0], 384, ClockNow())
    with pytest.raises(ValueError, match="two ends of each chunk"):
        native.chunk_levels(np.zeros((2, 3)), (np.zeros(3), 0), ([], 0), LevelLimits(), LevelNow())
    with pytest.raises(ValueError, match="two turns of each block"):
        native.chunk_middles(np.zeros((1, 2), complex), places, (8, 0), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="are not within 40 symbols"):
        native.correlations(line, places + 40, places, 6)
    with pytest.raises(ValueError, match="too few symbols"):
        native.correlation(line[:6], 6)
