# SPDX-License-Identifier: GPL-3.0-or-later
"""How many tones a keyed frequency has: signals with 2, 4, 8, 16 and more, and what has none.

Bounds of counts: a law that holds in 95 of 100 signals fails in more than 4 of 16 of them once in 1,000 runs.
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.measure import measure_frequency_keying, tone_count, tone_levels
from amrq.signals import received_signal

RATE = 48e3
COUNT, LEAST = 16, 12


def _keyed(
    numbers: NDArray[np.int64], symbol_rate: float, spacing: float, random: np.random.Generator, snr_db: float
) -> tuple[NDArray[np.complex64], float]:
    """Return tones held for a symbol each in white noise, and the bandwidth, some Carson's."""
    levels = int(numbers.max()) + 1
    start = random.random()
    held = numbers[
        ((np.arange(int((len(numbers) - 1) * RATE / symbol_rate))) * symbol_rate / RATE + start).astype(int)
    ]
    frequency = (held - (levels - 1) / 2) * spacing
    width = spacing * (levels - 1) + 2 * symbol_rate
    noise = random.standard_normal((len(held), 2)) @ [1, 1j]
    level = math.sqrt(10 ** (-snr_db / 10) * RATE / width / 2)
    return (np.exp(2j * np.pi * np.cumsum(frequency) / RATE) + level * noise).astype(np.complex64), width


@pytest.mark.parametrize("levels", [2, 4, 8, 16])
def test_number_of_tones_spacing_and_rate(levels: int) -> None:
    random, right = rng(f"{levels} tones"), 0
    for _ in range(COUNT):
        symbol_rate = random.uniform(300, 1200)
        spacing = symbol_rate * random.uniform(1.0, 2.0)
        numbers = random.integers(levels, size=200)
        iq, width = _keyed(numbers, symbol_rate, spacing, random, 15.0)
        found = measure_frequency_keying(iq, RATE, width * random.uniform(0.9, 1.1))
        assert found.symbol_rate is not None and found.spacing is not None
        right += (
            found.levels == levels
            and abs(found.symbol_rate / symbol_rate - 1) < 0.005
            and abs(found.spacing / spacing - 1) < 0.02
            and found.level_evidence > 0
        )
    assert right >= LEAST


def test_a_look_at_few_of_many_tones_gives_their_spacing() -> None:
    random, spacings, rates, within = rng("few of many tones"), 0, 0, 0
    for _ in range(COUNT):
        symbol_rate = random.uniform(20, 60)
        numbers = random.integers(64, size=14)
        numbers[[2, 9]] = 0, 63  # so that the box is known
        iq, width = _keyed(numbers, symbol_rate, 2 * symbol_rate, random, 15.0)
        found = measure_frequency_keying(iq, RATE, width)
        assert found.symbol_rate is not None and found.spacing is not None and found.tones_seen is not None
        rates += abs(found.symbol_rate / symbol_rate - 1) < 0.005
        spacings += abs(found.spacing / (2 * symbol_rate) - 1) < 0.02
        within += found.tones_seen <= (found.levels or 0)
    assert min(rates, spacings) >= LEAST and within == COUNT


def test_the_clock_of_slow_tones_in_noise_nearly_as_strong() -> None:
    random, right = rng("slow tones in noise"), 0
    for _ in range(COUNT):
        symbol_rate = random.uniform(20, 60)
        iq, width = _keyed(random.integers(8, size=80), symbol_rate, symbol_rate, random, 3.0)
        found = measure_frequency_keying(iq, RATE, width)
        right += found.symbol_rate is not None and abs(found.symbol_rate / symbol_rate - 1) < 0.005
    assert right >= LEAST


def test_eight_symbols_of_many_slow_tones_give_their_clock() -> None:
    random, right = rng("eight symbols of slow tones"), 0
    for _ in range(COUNT):
        symbol_rate = random.uniform(20, 40)
        iq, width = _keyed(random.permutation(65)[:9], symbol_rate, 2 * symbol_rate, random, 15.0)
        found = measure_frequency_keying(iq, RATE, width)
        assert found.symbol_rate is not None and found.spacing is not None
        right += (
            abs(found.symbol_rate / symbol_rate - 1) < 0.005
            and abs(found.spacing / (2 * symbol_rate) - 1) < 0.01
        )
    assert right >= LEAST


def test_what_is_beside_a_burst_has_no_level() -> None:
    # Half of a look without a signal, whose frequency would be a level between both, makes the deviation no smaller.
    random = rng("beside a burst")
    iq, width = _keyed(random.integers(2, size=150), 1200.0, 2400.0, random, 30.0)
    quiet = (random.standard_normal((len(iq) // 2, 2)) @ [0.02, 0.02j]).astype(np.complex64)
    found = measure_frequency_keying(np.concatenate([quiet, iq, quiet]), RATE, width)
    assert found.levels == 2 and found.deviation == pytest.approx(1200.0, rel=0.02)


def test_data_after_a_long_leader_have_their_levels() -> None:
    # Of 1,600 symbols 700 are fitted: the first ones say nothing.
    random = rng("leader and data")
    numbers = np.concatenate([np.zeros(900, np.int64), random.integers(4, size=700)])
    iq, width = _keyed(numbers, 4800.0, 2400.0, random, 20.0)
    found = measure_frequency_keying(iq, RATE, width)
    assert found.levels == 4 and found.deviation == pytest.approx(3600.0, rel=0.02)


def test_outermost_tones_beyond_the_edges_of_a_box_are_seen() -> None:
    random = rng("tones beyond the box")
    iq, width = _keyed(random.integers(8, size=150), 300.0, 600.0, random, 20.0)
    found = measure_frequency_keying(iq, RATE, 0.75 * width)  # the outermost tones are at its edges
    assert found.levels == 8 and found.deviation == pytest.approx(2100.0, rel=0.02)


def test_the_likeliest_number_of_tones_by_those_that_were_seen() -> None:
    # All of 16 are seen in 400 symbols, 15 of 16 often in 40; 40 of 64 symbols seldom reach over all of 37 alone.
    assert tone_count.number_of_tones(16, 400) == (16, pytest.approx(1.0, abs=1e-3))
    assert tone_count.number_of_tones(15, 40)[0] == 16
    assert tone_count.number_of_tones(15, 4000)[0] == 15
    assert tone_count.number_of_tones(61, 64)[0] == 64
    # At the symbol rate of JT65 there are its 65 tones, elsewhere the 64 of Olivia and others.
    assert [tone_count.number_of_tones(50, 10, rate)[0] for rate in (31.25, 2.69, 5.39)] == [64, 65, 65]


def test_a_box_that_is_too_wide_does_not_let_noise_in() -> None:
    random = rng("wide box")
    numbers = random.integers(8, size=100)
    iq, width = _keyed(numbers, 20.0, 20.0, random, 25.0)  # 15 dB in a box ten times as wide
    found = measure_frequency_keying(iq, RATE, 10 * width)
    assert found.levels == 8 and found.symbol_rate == pytest.approx(20.0, rel=0.005)


def test_frequencies_without_levels_have_no_evidence_for_them() -> None:
    random, none, still = rng("no levels"), 0, []
    for _ in range(COUNT):
        # Noise below 300 Hz in the frequency: no clock, no levels.
        audio = np.convolve(random.standard_normal(16_384), np.hanning(150), "same")
        audio *= 1200 / audio.std()
        iq = np.exp(2j * np.pi * np.cumsum(audio) / RATE) + random.standard_normal((16_384, 2)) @ [0.1, 0.1j]
        found = measure_frequency_keying(iq.astype(np.complex64), RATE, 6e3)
        none += found.levels_confidence < 0.5
        # A tone, then silence: it stands still for most of the time.
        tone = 1000 * np.sin(2 * np.pi * 700 / RATE * np.arange(16_384)) * (np.arange(16_384) < 4000)
        iq = np.exp(2j * np.pi * np.cumsum(tone) / RATE) + random.standard_normal((16_384, 2)) @ [0.1, 0.1j]
        found = measure_frequency_keying(iq.astype(np.complex64), RATE, 4e3)
        still.append(found.levels_confidence < 0.5 or found.longest > 0.5)
    assert none >= LEAST and sum(still) >= LEAST


def test_a_pattern_that_repeats_surprises_little_and_data_do() -> None:
    random = rng("surprise")
    data, _ = _keyed(random.integers(2, size=300), 600.0, 900.0, random, 20.0)
    pattern, width = _keyed(np.resize([1, 1, 0, 0], 300), 600.0, 900.0, random, 20.0)
    told = [measure_frequency_keying(iq, RATE, width) for iq in (data, pattern)]
    assert [one.levels for one in told] == [2, 2]
    assert told[0].surprise is not None and told[0].surprise > 0.9
    assert told[1].surprise is not None and told[1].surprise < 0.5
    assert told[0].confidence > told[1].confidence


def test_power_that_swings_with_the_symbols_counts_against_frequency_keying() -> None:
    random = rng("beat")
    keyed, width = _keyed(random.integers(2, size=400), 1200.0, 1200.0, random, 20.0)
    swung = keyed * (1 + 0.3 * np.cos(2 * np.pi * 1200 / RATE * np.arange(len(keyed))))
    steady, swinging = (
        measure_frequency_keying(iq.astype(np.complex64), RATE, width) for iq in (keyed, swung)
    )
    assert steady.beat < 0.05 and swinging.beat > 0.3
    assert steady.confidence > 0.8 and swinging.confidence < 0.2


def test_phase_keying_with_turns_of_a_quarter_is_no_msk() -> None:
    random = rng("pi/2-BPSK"), rng("MSK")
    for rolloff in (0.25, 0.35, 0.5):
        symbols = random[0].choice([-1.0, 1.0], 1200) * np.exp(0.5j * np.pi * np.arange(1200))
        iq = received_signal(symbols, samples_per_symbol=4.0, rolloff=rolloff, es_n0_db=17.0, rng=random[0])
        assert measure_frequency_keying(iq, 40e3, 10e3 * (1 + 0.7 * rolloff)).confidence < 0.2
    for bandwidth in (10e3, 12e3, 16e3):
        turns = np.repeat(random[1].choice([-1.0, 1.0], 1200), 5) * (np.pi / 10)
        iq = np.exp(1j * np.cumsum(turns)) + random[1].standard_normal((6000, 2)) @ [0.1, 0.1j]
        found = measure_frequency_keying(iq.astype(np.complex64), 50e3, bandwidth)
        assert found.index == pytest.approx(0.5, rel=0.1) and found.confidence > 0.5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("turn", [-1, 1j], ids=["half of the sample rate", "a quarter"])
def test_what_is_beside_the_band_alone_has_no_levels(turn: complex) -> None:
    iq = (np.array(turn, np.complex64) ** (np.arange(8192) % 4)).astype(
        np.complex64
    )  # nothing at all about 0 Hz
    assert measure_frequency_keying(iq, 1e3, 200.0).levels is None


@pytest.mark.filterwarnings("error")
def test_a_word_with_hardly_any_other_symbols_has_no_levels() -> None:
    means = np.zeros(64)
    means[3] = 1.0
    assert tone_levels.levels_of_word(means) < 0
