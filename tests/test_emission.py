# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of an emission in a channel: signals of our own in noise, of 1,000 and more bandwidth-seconds."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.channel import extract
from amrq.classes import linear_class
from amrq.errors import AmrqError
from amrq.measure import EmissionMeasures, measure_emission
from amrq.measure.occupied import _density, _without_neighbours
from amrq.signals import received_signal

RATE = 400e3
NOISE = 1e-3  # power of it in the whole band
DENSITY_DB = 10 * math.log10(NOISE / RATE)


@dataclass
class Scene:
    """A signal in noise, and what is true of it."""

    samples: NDArray[np.complex64]
    centre: float
    bandwidth: float
    start: int
    stop: int
    snr_db: float

    def errors(self, found: EmissionMeasures, place: float, step: float, centre: float) -> tuple[float, ...]:
        """Centre, bandwidth, start, stop: errors as shares of bandwidth and duration."""
        duration = self.stop - self.start
        return (
            (found.centre + centre - self.centre) / self.bandwidth,
            found.bandwidth / self.bandwidth - 1,
            (place + found.start * step - self.start) / duration,
            (place + found.stop * step - self.stop) / duration,
        )


def _occupied(clean: NDArray[np.complexfloating]) -> tuple[float, float]:
    """Centre and width of 99 % of the power, Hz."""
    power = np.abs(np.fft.fftshift(np.fft.fft(clean))) ** 2
    share = np.cumsum(power) / power.sum()
    low, high = (float(np.searchsorted(share, one)) / len(clean) * RATE - RATE / 2 for one in (0.005, 0.995))
    return (low + high) / 2, high - low


def _scene(
    clean: NDArray[np.complexfloating], centre: float, snr_db: float, random: np.random.Generator
) -> Scene:
    """Put a signal into noise, with silence before and after, at an in-band SNR."""
    middle, width = _occupied(clean)
    power = 10 ** (snr_db / 10) * NOISE / RATE * width / 0.99
    before, after = (int(random.uniform(0.3, 0.6) * len(clean)) for _ in range(2))
    total = before + len(clean) + after
    samples = random.standard_normal((total, 2)) @ [1, 1j] * math.sqrt(NOISE / 2)
    turn = np.exp(2j * np.pi * centre / RATE * np.arange(len(clean)))
    samples[before : before + len(clean)] += clean * turn * math.sqrt(power / np.mean(np.abs(clean) ** 2))
    return Scene(samples.astype(np.complex64), centre + middle, width, before, before + len(clean), snr_db)


def _linear(name: str, rolloff: float, symbols: int, random: np.random.Generator) -> NDArray[np.complex64]:
    points = random.choice(linear_class(name).points, symbols)
    return received_signal(points, samples_per_symbol=16.0, rolloff=rolloff, es_n0_db=90.0, rng=random)[
        : 16 * symbols
    ]


def _gfsk(symbols: int, index: float, random: np.random.Generator) -> NDArray[np.complexfloating]:
    """2FSK with Gaussian pulses of BT .5 at 16 samples a symbol."""
    steps = np.repeat(random.choice([-1.0, 1.0], symbols), 16)
    pulse = np.exp(-0.5 * (np.arange(-32, 33) / (16 * 0.2650)) ** 2)
    shaped = np.convolve(steps, pulse / pulse.sum(), "same")
    return np.exp(1j * np.pi * index / 16 * np.cumsum(shaped))


def _measured(
    scene: Scene, random: np.random.Generator, **known: float
) -> tuple[EmissionMeasures, tuple[float, ...]]:
    """Measure as a scan does: a channel about a box that is some 10 % off."""
    box = scene.bandwidth * random.uniform(0.87, 1.15)
    centre = scene.centre + random.uniform(-0.05, 0.05) * scene.bandwidth
    channel = extract(scene.samples, RATE, centre, 2 * box)
    found = measure_emission(channel.iq, channel.sample_rate, bandwidth=box, **known)
    return found, scene.errors(found, channel.start, channel.step, centre)


KINDS = [
    ("BPSK", 0.35), ("QPSK", 0.2), ("QPSK", 0.5), ("8PSK", 0.35), ("16QAM", 0.25), ("64QAM", 0.35)
]  # fmt: skip


def test_linear_signals_at_10_db() -> None:
    random = rng("linear emissions")
    errors, rates = [], []
    for number in range(30):
        name, rolloff = KINDS[number % len(KINDS)]
        symbols = int(random.uniform(900, 2500))
        scene = _scene(_linear(name, rolloff, symbols, random), random.uniform(-1, 1) * 40e3, 10.0, random)
        known = {"noise_dbfs_per_hz": DENSITY_DB} if number % 2 else {}
        found, error = _measured(scene, random, **known)
        errors.append((*error, (found.snr_db - scene.snr_db) / 20))
        rates.append(found.symbol_rate.rate / (RATE / 16) - 1)
    within = np.abs(errors) < [0.02, 0.1, 0.02, 0.02, 0.05]
    assert np.all(within.mean(axis=0) >= [0.9, 0.95, 0.95, 0.95, 0.95]), within.mean(axis=0)
    assert np.mean(np.abs(rates) < 0.002) >= 0.95


def test_frequency_shift_keying_at_10_db() -> None:
    random = rng("fsk emissions")
    errors, envelopes = [], []
    for number in range(18):
        clean = _gfsk(int(random.uniform(1000, 2000)), (0.5, 1.0, 2.5)[number % 3], random)
        scene = _scene(clean, random.uniform(-1, 1) * 40e3, 10.0, random)
        found, error = _measured(scene, random)
        errors.append(error)
        envelopes.append(found.envelope_variation)
    within = np.abs(errors) < [0.02, 0.1, 0.02, 0.02]
    assert np.all(within.mean(axis=0) >= [0.8, 0.9, 0.95, 0.95]), within.mean(axis=0)
    assert np.median(envelopes) < 0.2


def test_bursts_of_one_emission_are_told_apart() -> None:
    random = rng("bursts")
    burst = _linear("QPSK", 0.35, 400, random)
    clean = np.concatenate([burst, np.zeros(8000), burst, np.zeros(20_000), burst])
    scene = _scene(clean, 20e3, 12.0, random)
    channel = extract(scene.samples, RATE, 20e3, 70e3)
    found = measure_emission(channel.iq, channel.sample_rate, bandwidth=33e3)
    borders = np.cumsum([0, len(burst), 8000, len(burst), 20_000, len(burst)]) + scene.start
    places = channel.start + found.on_times.reshape(-1) * channel.step
    np.testing.assert_allclose(places, borders, atol=0.02 * len(burst))
    assert found.on_share == pytest.approx(3 * len(burst) / len(clean), abs=0.01)


def test_the_envelope_is_known_through_noise() -> None:
    random = rng("envelopes")
    noise_like = np.fft.ifft(np.fft.fft(random.standard_normal((40_000, 2)) @ [1, 1j])[:2500], 40_000)
    for clean, low, high in ((_gfsk(1500, 1.0, random), 0.0, 0.2), (noise_like, 0.85, 1.15)):
        scene = _scene(clean, 10e3, 10.0, random)
        found, _ = _measured(scene, random, noise_dbfs_per_hz=DENSITY_DB)
        assert low <= found.envelope_variation <= high


def test_a_neighbour_is_left_out() -> None:
    random = rng("neighbours")
    for number in range(6):
        clean = _linear("QPSK", 0.35, 1200, random)
        width = _occupied(clean)[1]
        scene = _scene(clean, 20e3, 12.0, random)
        away = random.uniform(1.15, 1.4) * width * (-1) ** number
        neighbour = _linear("8PSK", 0.35, len(scene.samples) // 16, random)[: len(scene.samples)]
        gain = 10 ** (20 / 20) * math.sqrt(
            10 ** (12 / 10) * NOISE / RATE * width / np.mean(np.abs(neighbour) ** 2)
        )
        turn = np.exp(2j * np.pi * (20e3 + away) / RATE * np.arange(len(neighbour)))
        scene.samples[: len(neighbour)] += (gain * neighbour * turn).astype(np.complex64)
        channel = extract(scene.samples, RATE, 20e3, 2 * width)
        found = measure_emission(channel.iq, channel.sample_rate, DENSITY_DB, bandwidth=width)
        error = scene.errors(found, channel.start, channel.step, 20e3)
        assert np.all(np.abs(error) < [0.04, 0.12, 0.02, 0.02]), error
        assert found.symbol_rate.rate == pytest.approx(RATE / 16, rel=0.002)


def test_a_carrier_is_a_line() -> None:
    random = rng("line")
    clean = np.ones(60_000, dtype=complex)
    samples = random.standard_normal((100_000, 2)) @ [1, 1j] * math.sqrt(NOISE / 2)
    samples[20_000:80_000] += 0.05 * clean * np.exp(2j * np.pi * 12_345.0 / RATE * np.arange(20_000, 80_000))
    channel = extract(samples.astype(np.complex64), RATE, 12_200.0, 6e3)
    found = measure_emission(channel.iq, channel.sample_rate, bandwidth=2e3)
    assert abs(found.centre + 12_200.0 - 12_345.0) < 20.0
    assert found.bandwidth < 300.0  # what a line of .15 s is resolved to
    assert found.level_dbfs == pytest.approx(20 * math.log10(0.05), abs=0.5)
    assert math.isnan(found.symbol_rate.rate) or found.symbol_rate.confidence < 0.9


def test_amplitude_modulation_is_as_wide_as_its_sidebands() -> None:
    random = rng("am emissions")
    for _ in range(4):
        audio = np.fft.irfft(np.fft.rfft(random.standard_normal(120_000))[:1500], 120_000)
        audio *= 0.2 / np.std(audio)  # 4 % of the carrier's power, 5 kHz wide
        samples = random.standard_normal((160_000, 2)) @ [1, 1j] * math.sqrt(NOISE / 2)
        level = math.sqrt(100 * NOISE / RATE * 10e3)
        samples[20_000:140_000] += level * (1 + audio) * np.exp(2j * np.pi * 0.1 * np.arange(120_000))
        channel = extract(samples.astype(np.complex64), RATE, 40e3 + random.uniform(-300, 300), 28e3)
        found = measure_emission(channel.iq, channel.sample_rate, bandwidth=9e3)
        assert channel.centre + found.centre == pytest.approx(40e3, abs=100.0)
        assert found.bandwidth == pytest.approx(0.98 * 10e3, rel=0.1)


def test_what_dies_away_is_on_until_it_is_a_tenth() -> None:
    random = rng("fading emissions")
    clean = _linear("QPSK", 0.35, 2000, random)
    half = len(clean) // 2
    clean[half:] *= math.sqrt(0.12)
    scene = _scene(clean, 20e3, 12.0, random)
    _, error = _measured(scene, random, noise_dbfs_per_hz=DENSITY_DB)
    assert max(map(abs, error[2:])) < 0.02


def test_what_cannot_be_known_is_not_a_number() -> None:
    random = rng("nothing")
    noise = (random.standard_normal((20_000, 2)) @ [1, 1j]).astype(np.complex64)
    for iq in (
        noise,
        np.zeros(5000, np.complex64),
        np.full(5000, np.nan, np.complex64),
        noise[:20],
        noise[:0],
    ):
        for known in (None, 10 * math.log10(2 / 100e3)):
            found = measure_emission(iq, 100e3, known)
            assert math.isnan(found.centre) and math.isnan(found.bandwidth) and math.isnan(found.snr_db)
            assert math.isnan(found.symbol_rate.rate) and len(found.on_times) == 0
            assert (found.start, found.stop, found.sample_count) == (0, 0, len(iq))


@pytest.mark.filterwarnings("error")
def test_no_samples_and_no_settings_break_a_measurement() -> None:
    random = rng("hostile emissions")
    for count in (0, 1, 64, 300):
        noise = (random.standard_normal((count, 2)) @ [1, 1j]).astype(np.complex64)
        gaps = np.where(np.arange(count) < count // 3, np.complex64(np.nan), noise)
        pulse = np.where(np.arange(count) == count // 2, noise, np.complex64(0))
        for iq in (noise, gaps, pulse, noise * np.float32(1e30), np.full(count, np.inf, np.complex64)):
            for known in (None, -300.0, 0.0, 300.0, math.inf, -math.inf, math.nan):
                for bandwidth in (None, 1e-3, 30e3, 1e9, 0.0, -5.0, math.nan, math.inf):
                    found = measure_emission(iq, 100e3, known, bandwidth, with_symbol_rate=False)
                    assert 0 <= found.start <= found.stop <= count


def test_a_signal_without_end_is_on_all_the_time() -> None:
    random = rng("without end")
    clean = _linear("QPSK", 0.35, 1500, random)
    power = np.mean(np.abs(clean) ** 2)
    noise = random.standard_normal((len(clean), 2)) @ [1, 1j] * math.sqrt(power / 2)
    found = measure_emission((clean + noise).astype(np.complex64), RATE, bandwidth=33e3)
    assert len(found.on_times) == 1
    assert found.start < 0.02 * len(clean) and found.stop > 0.98 * len(clean)
    assert found.bandwidth == pytest.approx(_occupied(clean)[1], rel=0.1)
    assert found.snr_db == pytest.approx(12.0 - 1.2, abs=1.0)


def test_a_sample_rate_of_nothing_is_refused() -> None:
    with pytest.raises(AmrqError, match="above 0 Hz, not 0"):
        measure_emission(np.zeros(100, np.complex64), 0.0)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_spectrum_of_few_bins_has_no_neighbours(count: int) -> None:
    own = _without_neighbours(np.arange(1.0, count + 1), np.zeros(count, dtype=np.bool_), 0.1)
    assert (own.start, own.stop) == (0, count)


def test_the_spectrum_of_many_stretches_is_the_mean_of_theirs() -> None:
    random = rng("stretches")
    sizes = (64, 65, 100, 300)
    pieces = [(random.normal(size=(size, 2)) @ [1, 1j]).astype(np.complex64) for size in sizes]
    each = [_density([piece], RATE, 64) for piece in pieces]
    mean = sum(one.mean * size for one, size in zip(each, sizes, strict=True)) / sum(sizes)
    found = _density(pieces, RATE, 64)
    np.testing.assert_allclose(found.parts[0], mean, rtol=1e-4)
    assert found.spectra == sum(one.spectra for one in each)
