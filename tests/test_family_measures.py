# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures by family, held against signals whose parameters are known: 16,384 samples, four a bandwidth, 15 dB.

Bounds: a measure that is right in 90 % of signals is right in 28 of 40 or more but once in 3,000 runs.
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.errors import AmrqError
from amrq.identify import identify_emission
from amrq.measure import (
    measure_am,
    measure_fm,
    measure_frequency_keying,
    measure_keyed_carriers,
    measure_keying,
    measure_ssb,
    measure_subcarriers,
)
from amrq.signals import FAMILY_CLASSES

SAMPLES, WIDE = 16_384, 4.0
LEAST = 28
"""Of 40."""


def _received(
    clean: NDArray[np.complex64], snr_db: float, random: np.random.Generator
) -> NDArray[np.complex64]:
    """Add noise, in-band SNR of a signal of unit power that takes a quarter of the sample rate."""
    noise = random.standard_normal((len(clean), 2)) @ [1, 1j]
    return (clean + noise * math.sqrt(WIDE / 2 * 10 ** (-snr_db / 10))).astype(np.complex64)


@pytest.mark.parametrize("family", ["fsk2", "fsk4"])
def test_frequency_keying_at_15_db(family: str) -> None:
    random, one = rng(f"measures of {family}"), FAMILY_CLASSES[family]
    rates, deviations, orders, worth = 0, 0, 0, []
    for _ in range(40):
        true = one.draw(random)
        iq = _received(one.signal(true, random, SAMPLES, WIDE), 15.0, random)
        found = measure_frequency_keying(
            iq, WIDE * true.bandwidth, true.bandwidth * random.uniform(0.92, 1.1)
        )
        assert found.symbol_rate is not None and found.deviation is not None
        right = abs(found.symbol_rate / true.symbol_rate - 1) < 0.005
        near = abs(found.deviation / true.deviation - 1) < 0.05
        rates, deviations, orders = rates + right, deviations + near, orders + (found.levels == true.order)
        worth.append((found.confidence, right and near))
    assert min(rates, orders) >= LEAST and deviations >= LEAST - 2
    sure = [right for confidence, right in worth if confidence > 0.9]
    assert np.mean(sure) > 0.75  # 0.9 less five deviations of a mean of 20


def test_msk_and_gaussian_shaping_show() -> None:
    random = rng("gmsk")
    for bt in (0.3, 0.5):
        symbols = random.choice([-1.0, 1.0], 2000)
        time = np.arange(-24, 25) / 8
        spread = math.sqrt(math.log(2)) / (2 * math.pi * bt)
        pulse = np.exp(-0.5 * (time / spread) ** 2)
        shaped = np.convolve(np.repeat(symbols, 8), pulse / pulse.sum(), "same")
        clean = np.exp(1j * np.pi * 0.5 / 8 * np.cumsum(shaped)).astype(np.complex64)
        found = measure_frequency_keying(_received(clean, 20.0, random), 76.8e3, 10e3)
        assert found.levels == 2 and found.symbol_rate == pytest.approx(9600, rel=1e-3)
        assert found.index == pytest.approx(0.5, rel=0.05)
        assert found.bt == pytest.approx(bt, abs=0.12)
        assert found.eye_deviation is not None and found.deviation is not None
        assert found.eye_deviation < found.deviation


@pytest.mark.filterwarnings("error")
def test_nothing_is_claimed_of_what_is_nothing() -> None:
    random = rng("no keying")
    noise = (random.standard_normal((SAMPLES, 2)) @ [1, 1j]).astype(np.complex64)
    for iq in (noise[:0], noise[:1], noise[:100], np.zeros(5000, np.complex64), np.full(5000, np.nan)):
        assert measure_frequency_keying(iq.astype(np.complex64), 1e5, 2e4).symbol_rate is None
    for iq in (np.ones(5000, np.complex64), noise, noise * np.float32(1e30)):
        assert measure_frequency_keying(iq, 1e5, 2e4).confidence < 0.6
    with pytest.raises(AmrqError, match="above 0 Hz, not 0"):
        measure_frequency_keying(noise, 0.0)


def _multicarrier(
    used: int, prefix: float, pilots: int, symbols: int, random: np.random.Generator
) -> NDArray[np.complex64]:
    """OFDM at four samples a bandwidth, of QPSK with steady pilots, subcarrier 0 left out; unit power."""
    size = 4 * used
    data = np.zeros((symbols, size), complex)
    places = np.delete(np.arange(-(used // 2), used // 2 + 1), used // 2)
    data[:, places] = random.choice([1, -1, 1j, -1j], (symbols, len(places)))
    if pilots:
        data[:, places[::pilots]] = 1.2
    bodies = np.fft.ifft(data, axis=1)
    stream = np.concatenate([bodies[:, size - round(size * prefix) :], bodies], axis=1).ravel()[:SAMPLES]
    return np.asarray(stream / np.sqrt(np.mean(np.abs(stream) ** 2)), dtype=np.complex64)


def test_subcarriers_at_15_db() -> None:
    random = rng("subcarriers")
    spacings, prefixes, counts, claims = [], [], [], []
    for number in range(24):
        used = int(random.choice([52, 100, 200, 400]))
        prefix = (1 / 4, 1 / 8, 1 / 16, 9 / 128)[number % 4]
        symbols = SAMPLES // round(4 * used * (1 + prefix)) + 1
        clean = _multicarrier(used, prefix, (0, 8, 13)[number // 4 % 3], symbols, random)
        rate = 4 * used * 15e3
        found = measure_subcarriers(
            _received(clean, 15.0, random), rate, rate / 4 * random.uniform(0.95, 1.05)
        )
        claims.append(found.confidence)
        spacings.append(found.spacing is not None and abs(found.spacing / 15e3 - 1) < 0.01)
        prefixes.append(found.prefix is not None and abs(found.prefix - prefix) < 0.02)
        counts.append(found.occupied is not None and abs(found.occupied - used) <= max(3, 0.04 * used))
    # Right in 90 %: of 24, 17 or more but once in 400 runs.
    assert min(map(sum, (spacings, prefixes, counts))) >= 17
    assert np.median(claims) > 0.9


def test_short_prefixes_and_few_symbols_show() -> None:
    """The power in a prefix over noise's: 2 dB above 20 for all of these, where noise has 12 at most."""
    random = rng("short prefixes")
    right = 0
    for number in range(12):
        used, prefix = ((100, 1 / 32), (400, 1 / 32), (1700, 1 / 16))[number % 3]
        clean = _multicarrier(used, prefix, 8, SAMPLES // round(4 * used * (1 + prefix)) + 1, random)
        found = measure_subcarriers(_received(clean, 15.0, random), 4 * used * 15e3, used * 15e3)
        right += found.spacing is not None and abs(found.spacing / 15e3 - 1) < 0.01
    assert right >= 8  # of 12 that are right in 90 %, but once in 200 runs


def test_frames_of_one_symbol_show_by_their_training_symbols() -> None:
    """IEEE 802.11: ten short symbols, a prefix and two long ones, one symbol of data; four samples a bandwidth."""
    random = rng("frames of one symbol")
    rate, size = 80e6, 256
    right = claims = 0
    for _ in range(12):
        grid = np.zeros((3, size), complex)
        places = np.r_[1:27, -26:0]
        grid[0, np.r_[4:27:4, -24:0:4]] = random.choice([1 + 1j, -1 - 1j], 12) * np.sqrt(13 / 6)
        grid[1:, places] = random.choice([1, -1], (2, 52))
        short, long, data = np.fft.ifft(grid, axis=1)
        frame = np.concatenate([short, short, short[:128], long[128:], long, long, data[-64:], data])
        clean = np.zeros(2000, complex)
        clean[300 : 300 + len(frame)] = frame / np.sqrt(np.mean(np.abs(frame) ** 2))
        found = measure_subcarriers(_received(clean, 15.0, random), rate, 17e6)
        claims += found.confidence > 0.5
        right += found.spacing is not None and abs(found.spacing / 312.5e3 - 1) < 0.01
    assert min(right, claims) >= 8


def test_pauses_with_a_pattern_are_no_training_symbols() -> None:
    """A burst of one carrier, then weak lines that repeat each 11 samples: alike at a quarter of four times as much."""
    random = rng("pauses with a pattern")
    claims = []
    for _ in range(12):
        symbols = np.repeat(random.choice([1, -1, 1j, -1j], 225), 4)
        iq = 0.001 * (random.standard_normal((6000, 2)) @ [1, 1j])
        turns = (
            2j * np.pi * (np.array([-2, -1, 0, 1])[:, None] / 21.6 * np.arange(6000) + random.random((4, 1)))
        )
        iq += 0.01 * np.exp(turns).sum(axis=0)
        iq[:900] += symbols
        claims.append(measure_subcarriers(iq.astype(np.complex64), 1.0, 0.27).confidence)
    assert max(claims) < 0.5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bandwidth", [10.0, 300.0])
def test_a_line_alone_has_no_subcarriers(bandwidth: float) -> None:
    """Its spectrum ends where it begins: there is nothing whose flatness could be measured."""
    assert measure_subcarriers(np.ones(2000, np.complex64), 1e3, bandwidth).confidence == 0


def test_subcarriers_are_not_claimed_of_noise_and_of_single_carriers() -> None:
    random = rng("no subcarriers")
    sure = 0
    for number in range(20):
        noise = (random.standard_normal((SAMPLES, 2)) @ [1, 1j]).astype(np.complex64)
        iq = noise
        if number % 2:
            symbols = np.repeat(random.choice([1, -1, 1j, -1j], SAMPLES // 8), 8)
            iq = (symbols + 0.1 * noise).astype(np.complex64)
        sure += measure_subcarriers(iq, 1e6, 0.25e6).confidence > 0.5
    assert sure <= 1
    for nothing in (iq[:0], iq[:1], iq[:600] * np.nan, np.zeros(5000, np.complex64)):
        assert measure_subcarriers(nothing, 1e6, 0.25e6).spacing is None
    with pytest.raises(AmrqError, match="above 0 Hz, not 0"):
        measure_subcarriers(iq, 0.0)


def test_fm_of_tones_at_15_db() -> None:
    random = rng("fm of tones")
    near = []
    for _ in range(30):
        deviation, tone = math.exp(random.uniform(7.3, 8.7)), random.uniform(400, 2500)
        width = 2 * (deviation + tone)
        turns = tone / (WIDE * width) * np.arange(SAMPLES)
        clean = np.exp(1j * deviation / tone * np.sin(2 * np.pi * turns)).astype(np.complex64)
        found = measure_fm(_received(clean, 15.0, random), WIDE * width, width)
        assert found.deviation is not None and found.audio_band is not None
        near.append(abs(found.deviation / deviation - 1) < 0.05)
        assert found.audio_band[0] == pytest.approx(tone, abs=0.05 * width)
        assert found.pilot_deviation is None
    assert sum(near) >= 21  # right in 90 %: less but once in 500 runs


def test_pilot_and_rds_of_broadcasts() -> None:
    random, one = rng("broadcasts"), FAMILY_CLASSES["fm_wide"]
    seen: dict[tuple[str, bool], list[bool]] = {}
    while sum(map(len, seen.values())) < 24:
        true = one.draw(random)
        if getattr(true, "audio", "video") == "video":
            continue
        iq = _received(one.signal(true, random, 1 << 16, WIDE), 15.0, random)
        found = measure_fm(iq, WIDE * true.bandwidth, true.bandwidth)
        pilot, rds = bool(getattr(true, "pilot", 0)), bool(getattr(true, "rds", 0))
        seen.setdefault(("pilot", pilot), []).append(bool(found.pilot_deviation))
        seen.setdefault(("rds", rds), []).append(bool(found.rds))
    assert np.mean(seen["pilot", True]) > 0.7
    assert sum(seen.get(("pilot", False), [])) == 0
    assert sum(seen.get(("rds", False), [])) <= 1


def test_a_modem_in_fm_shows_and_voice_shows_none() -> None:
    random, one = rng("modems in fm"), FAMILY_CLASSES["fm_narrow"]
    modems, others = [], []
    while len(modems) < 16:
        true = one.draw(random)
        iq = _received(one.signal(true, random, SAMPLES, WIDE), 15.0, random)
        found = measure_fm(iq, WIDE * true.bandwidth, true.bandwidth)
        if true.symbol_rate:
            rate = found.inner_symbol_rate
            modems.append(rate is not None and abs(rate / true.symbol_rate - 1) < 0.005)
        elif getattr(true, "audio", "") == "voice":
            others.append(found.inner_confidence > 0.5)
    assert sum(modems) >= 8  # right in 80 %: less but once in 140 runs
    assert sum(others) <= 2


def test_am_depth_and_carrier() -> None:
    random = rng("am depth")
    near = []
    for _ in range(30):
        depth, tone, carrier = random.uniform(0.25, 1), random.uniform(300, 2500), random.uniform(-100, 100)
        time = np.arange(SAMPLES) / (WIDE * 5600)
        shaped = (1 + depth * np.sin(2 * np.pi * tone * time)) * np.exp(2j * np.pi * carrier * time)
        clean = (shaped / np.sqrt(np.mean(np.abs(shaped) ** 2))).astype(np.complex64)
        found = measure_am(_received(clean, 15.0, random), WIDE * 5600, 5600.0)
        assert found.depth is not None and found.carrier == pytest.approx(carrier, abs=2.0)
        near.append(abs(found.depth - depth) < 0.15)
    assert sum(near) >= 21


def test_sides_of_voices() -> None:
    random, one = rng("sides"), FAMILY_CLASSES["ssb"]
    right = []
    while len(right) < 16:
        true = one.draw(random)
        if getattr(true, "audio", "") != "voice":
            continue
        iq = _received(one.signal(true, random, SAMPLES, WIDE), 15.0, random)
        right.append(measure_ssb(iq, WIDE * true.bandwidth, true.bandwidth).side == getattr(true, "side", ""))
    assert sum(right) >= 11


@pytest.mark.filterwarnings("error")
def test_audio_is_not_measured_of_nothing() -> None:
    random = rng("no audio")
    noise = (random.standard_normal((SAMPLES, 2)) @ [1, 1j]).astype(np.complex64)
    for measure in (measure_fm, measure_am, measure_ssb):
        for iq in (noise[:0], noise[:1], np.zeros(5000, np.complex64), np.full(5000, np.nan, np.complex64)):
            assert measure(iq, 1e5, 2e4).confidence == 0
        for iq in (noise[:600], noise, np.ones(5000, np.complex64), noise * np.float32(1e30)):
            measure(iq, 1e5, 2e4)
            measure(iq, 1e5)
            measure(iq, 2e7, 5e6)
        # A carrier, and beside its band a line: what is left of that is so little that its square is none.
        measure((np.arange(16384) % 2).astype(np.complex64), 48e3, 2e3)
        with pytest.raises(AmrqError, match="above 0 Hz, not 0"):
            measure(noise, 0.0)
    assert measure_am(noise, 1e5, 2e4).depth is None


def test_pulses_and_duty_of_on_off_keying_at_15_db() -> None:
    random, one = rng("keying"), FAMILY_CLASSES["ook"]
    pulses, duties, sure = [], [], []
    for _ in range(40):
        true = one.draw(random)
        iq = _received(one.signal(true, random, SAMPLES, WIDE), 15.0, random)
        found = measure_keying(iq, WIDE * true.bandwidth, true.bandwidth * random.uniform(0.92, 1.1))
        assert found.pulse is not None and found.duty is not None
        pulses.append(abs(found.pulse / getattr(true, "pulse", math.nan) - 1) < 0.05)
        duties.append(abs(found.duty - getattr(true, "duty", math.nan)) < 0.1)
        sure += [pulses[-1]] if found.confidence > 0.8 else []
    assert min(sum(pulses), sum(duties)) >= LEAST
    assert np.mean(sure) > 0.75


def test_the_speed_of_morse() -> None:
    random = rng("morse")
    for speed in (12, 25):
        units = "".join(str(random.choice(["10", "1110", "100", "1110000000"])) for _ in range(60))
        keyed = np.repeat([float(unit) for unit in units], round(1.2 / speed * 2000))
        clean = (keyed / math.sqrt(np.mean(keyed**2)) * np.exp(0.1j * np.arange(len(keyed)))).astype(
            np.complex64
        )
        found = measure_keying(_received(clean, 20.0, random), 2000.0, 300.0)
        assert found.speed == pytest.approx(speed, rel=0.05)
        assert found.pulses == pytest.approx(3, rel=0.1)


@pytest.mark.filterwarnings("error")
def test_nothing_keyed_has_no_pulses() -> None:
    random = rng("not keyed")
    noise = (random.standard_normal((SAMPLES, 2)) @ [1, 1j]).astype(np.complex64)
    pulse = np.where(np.arange(SAMPLES) == 5000, np.complex64(1), np.complex64(0))
    for iq in (noise[:0], noise[:1], noise, noise * np.nan, pulse, np.ones(5000, np.complex64), pulse * 0):
        assert measure_keying(iq.astype(np.complex64), 1e5, 2e4).confidence < 0.5
    with pytest.raises(AmrqError, match="above 0 Hz, not 0"):
        measure_keying(noise, 0.0)


def test_what_is_beside_the_band_alone_has_no_subcarriers() -> None:
    iq = ((-1.0) ** np.arange(8192)).astype(np.complex64)  # nothing at all about 0 Hz
    assert measure_subcarriers(iq, 48e3, 20e3).confidence == 0


def _side_by_side(
    carriers: int, apart: float, random: np.random.Generator
) -> tuple[NDArray[np.complex128], float]:
    """Return carriers of QPSK with raised cosines over two symbols, 1 kBd each, and their bandwidth."""
    pulse = np.hanning(129)
    middle = (carriers - 1) / 2
    iq = np.zeros(SAMPLES, complex)
    for number in range(carriers):
        symbols = np.zeros(SAMPLES, complex)
        symbols[::64] = random.choice([1, -1, 1j, -1j], SAMPLES // 64)
        turn = np.exp(2j * np.pi * apart * (number - middle) * np.arange(SAMPLES) / 64)
        iq += np.convolve(symbols, pulse, "same") * turn
    iq /= np.sqrt(np.mean(np.abs(iq) ** 2))
    return iq, ((carriers - 1) * apart + 1.5) * 1e3


@pytest.mark.parametrize(("carriers", "apart"), [(2, 1.6), (4, 2.0), (6, 1.4), (8, 1.6)])
def test_carriers_side_by_side_show_and_are_called_ofdm(carriers: int, apart: float) -> None:
    random = rng(f"{carriers} carriers side by side")
    clean, width = _side_by_side(carriers, apart, random)
    scale = math.sqrt(64e3 / width / 2 * 10**-1.5)
    iq = (clean + random.standard_normal((SAMPLES, 2)) @ [scale, 1j * scale]).astype(np.complex64)
    found = measure_keyed_carriers(iq, 64e3, width * 1.05)
    assert found.confidence > 0.5
    assert found.symbol_rate == pytest.approx(1000, rel=5e-3)
    assert found.spacing == pytest.approx(apart * 1e3, rel=0.15)
    if carriers == 2:
        return  # one of them may be received, and its points named
    said = identify_emission(iq, 64e3, edges=(-0.52 * width, 0.52 * width), snr_db=15.0)
    assert said.family == "ofdm" and said.confidence > 0.5


def test_carriers_side_by_side_are_not_claimed_of_others() -> None:
    random = rng("no carriers side by side")
    for family, one in FAMILY_CLASSES.items():
        if family not in ("ofdm", "dsss"):  # pilots and short codes have such lines
            for _ in range(4):
                true = one.draw(random)
                iq = _received(one.signal(true, random, SAMPLES, WIDE), 20.0, random)
                assert measure_keyed_carriers(iq, WIDE * true.bandwidth, true.bandwidth).confidence < 0.5
    for nothing in (iq[:0], iq[:1], iq[:600] * np.nan, np.zeros(5000, np.complex64)):
        assert measure_keyed_carriers(nothing, 1e6, 0.25e6).confidence == 0


def test_side_lobes_of_a_cut_filter_are_no_carriers() -> None:
    """QAM was OFDM in a wide box: side lobes, 10 dB weaker here, were taken for carriers beside it."""
    random = rng("side lobes")
    wide, width = _side_by_side(3, 2.0, random)
    alone, _ = _side_by_side(1, 2.0, random)
    iq = alone + 0.3 * wide + random.standard_normal((SAMPLES, 2)) @ [3e-3, 3e-3j]
    assert measure_keyed_carriers(iq.astype(np.complex64), 64e3, width).confidence < 0.1


@pytest.mark.parametrize("times", [4, 12])
def test_a_pulse_of_noise_that_is_sent_at_uneven_times_is_no_sure_prefix(times: int) -> None:
    random = rng("pulses of noise", times)
    pulse = random.standard_normal((800, 2)) @ [1, 1j]
    for gaps in ((240, 300, 266), (800, 1000, 888)):
        iq = np.concatenate([np.append(pulse, np.zeros(gaps[number % 3])) for number in range(times)])
        iq = iq + random.standard_normal((len(iq), 2)) @ [0.1, 0.1j]
        found = measure_subcarriers(np.repeat(iq, 2).astype(np.complex64), 2.0, 0.9, 32768.0)
        assert found.confidence < (0.86 if times == 4 else 0.5)
