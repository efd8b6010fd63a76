# SPDX-License-Identifier: GPL-3.0-or-later
"""A second look in the band of an emission's core, where its box does not fit: the band, and which answer is taken."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import linear_class
from amrq.identify import EmissionIdentity, identify_emission, second_look
from amrq.signals import received_signal

of_both_looks, refocused = second_look.of_both_looks, second_look.refocused
standing_out = second_look.standing_out

RATE = 2000.0


def narrow(*path: str | int, symbol_rate: float = 62.5, shift: float = 200.0) -> NDArray[np.complex64]:
    """QPSK of 62.5 Bd beside the middle of a box of 500 Hz, in noise of density 1 a Hz and 13 dB Es/N0."""
    source = rng("second look", *path)
    symbols = source.choice(linear_class("QPSK").points, 900)
    per_symbol = RATE / symbol_rate
    clean = received_signal(symbols, samples_per_symbol=per_symbol, rolloff=0.35, es_n0_db=300.0, rng=source)
    clean = clean / np.sqrt(np.mean(np.abs(clean) ** 2)) * np.sqrt(20.0 * symbol_rate)
    noise = source.standard_normal((len(clean), 2)) @ np.array([1, 1j]) * np.sqrt(RATE / 2)
    turn = np.exp(2j * np.pi * shift / RATE * np.arange(len(clean)))
    return np.asarray(clean * turn + noise, np.complex64)


@pytest.mark.parametrize("low, high", [(-30.0, 50.0), (140.0, 230.0), (-240.0, -190.0)])
def test_what_stands_out_has_the_edges_that_were_made(low: float, high: float) -> None:
    source = rng("second look", "edges", round(low))
    power = source.exponential(size=20_000)
    hertz = (np.arange(20_000) - 10_000) * 0.1
    power[(hertz >= low) & (hertz <= high)] *= 11  # 10 dB
    found = standing_out(power, 0.1, (-250.0, 250.0), 1.0)
    assert found is not None
    # A mean over a step of 5.2 Hz makes each edge as uncertain as half of that.
    assert abs(found[0] - low) < 2.7 and abs(found[1] - high) < 2.7


def test_noise_alone_stands_out_nowhere() -> None:
    # A step of 52 bins exceeds its mean by four deviations and a twentieth once in some 30,000; a box has 96 steps.
    source = rng("second look", "noise")
    found = [standing_out(source.exponential(size=20_000), 0.1, (-250.0, 250.0), 1.0) for _ in range(20)]
    assert found.count(None) >= 18


def test_a_gap_ends_an_emission_and_a_notch_does_not() -> None:
    power = np.ones(2000)
    power[1000:1100] = power[1110:1200] = 20.0  # 10 values of noise between
    power[1400:1500] = 10.0  # another emission, beyond the box's tenth
    found = standing_out(power, 1.0, (-500.0, 500.0), 1.0)
    assert found is not None
    assert abs(found[0]) < 6 and abs(found[1] - 200) < 6


def test_a_box_that_fits_is_not_looked_at_again() -> None:
    iq = narrow("fits")
    width = 62.5 * 1.2
    assert refocused(iq, RATE, (200 - width / 2, 200 + width / 2), 1.0) is None
    assert refocused(iq, RATE, None, 1.0) is None
    assert refocused(iq, RATE, (-250.0, 250.0), None) is None


def test_a_line_in_a_box_is_no_band_of_its_own() -> None:
    source = rng("second look", "line")
    noise = source.standard_normal((20_000, 2)) @ np.array([1, 1j]) * np.sqrt(RATE / 2)
    tone = 100 * np.exp(2j * np.pi * 0.03 * np.arange(20_000))
    assert refocused((tone + noise).astype(np.complex64), RATE, (-250.0, 250.0), 1.0) is None


def test_the_band_about_a_core_keeps_level_and_noise() -> None:
    iq = narrow("band")
    found = refocused(iq, RATE, (-250.0, 250.0), 1.0)
    assert found is not None
    assert 62.5 < found.width < 62.5 * 1.5 and abs(found.centre - 200) < 6
    assert found.sample_rate / found.width == pytest.approx(4.0, rel=0.1)
    # Power a Hz is that of the samples before: Es/N0 is 13 dB, the band some 1.2 symbol rates wide.
    middle = np.abs(np.fft.fftfreq(len(found.iq), 1 / found.sample_rate)) < 20
    power = np.abs(np.fft.fft(found.iq)) ** 2 / (len(found.iq) * found.sample_rate)
    inside = np.abs(np.arange(len(iq)) * RATE / len(iq) - 200) < 20
    assert power[middle].mean() == pytest.approx(
        (np.abs(np.fft.fft(iq)) ** 2 / (len(iq) * RATE))[inside].mean(), rel=0.05
    )
    assert 10.5 < found.snr_db < 14.5


def test_an_emission_narrower_than_its_box_is_named_and_placed() -> None:
    found = identify_emission(narrow("named"), RATE, 0.0, (-250.0, 250.0), 4.0)
    assert (found.family, found.label) == ("linear", "QPSK")
    assert found.symbol_rate == pytest.approx(62.5, rel=0.005)
    assert found.measures is not None
    assert abs(found.measures.centre - 200) < 6 and found.measures.bandwidth < 100


def test_the_surer_answer_is_taken_and_a_doubtful_second_one_is_not() -> None:
    unknown = EmissionIdentity()
    carrier = EmissionIdentity("carrier", "carrier", "named", 0.8)
    linear = EmissionIdentity("QPSK", "linear", "named", 0.85)
    assert of_both_looks(unknown, linear, 0.0) == replace(linear, most=0.9)
    assert of_both_looks(carrier, replace(linear, confidence=0.99), 0.0).confidence == 0.9
    assert of_both_looks(linear, carrier, 0.0) is linear
    assert of_both_looks(linear, unknown, 0.0) is linear
    assert of_both_looks(unknown, replace(linear, confidence=0.55), 0.0) is unknown
    wide, narrow_fm = replace(carrier, family="fm_wide"), replace(linear, family="fm_narrow")
    assert of_both_looks(wide, narrow_fm, 0.0) is wide


def test_a_spectrum_that_stays_has_not_changed_and_one_that_changes_has() -> None:
    # Of white noise 1,024 bandwidths times seconds long the halves differ by a tenth, and hardly ever by a fifth.
    source = rng("second look", "changes")
    steady = [(source.standard_normal((4096, 2)) @ np.array([1, 1j])).astype(np.complex64) for _ in range(20)]
    assert not any(second_look.changed(iq, 4.0, (-0.5, 0.5)) for iq in steady)
    tone = 4 * np.exp(0.3j * np.arange(4096)) * (np.arange(4096) < 2500)
    assert all(second_look.changed((iq + tone).astype(np.complex64), 4.0, (-0.5, 0.5)) for iq in steady)


def test_halves_decide_where_they_agree_and_say_no_more_than_half_a_look() -> None:
    whole = replace(identify_emission(narrow("whole"), RATE, 0.0, None, None, thorough=False), confidence=0.0)
    unknown = replace(whole, family="unknown", label="unknown", confidence=0.0)
    linear = replace(whole, family="linear", label="QPSK", confidence=0.99)
    chirp = replace(linear, family="chirp", label="chirp")
    found = second_look.of_halves(unknown, [unknown, linear])
    assert (found.family, found.confidence) == ("linear", 0.85)
    assert second_look.of_halves(unknown, [chirp, linear]) is unknown
    assert second_look.of_halves(unknown, [unknown, replace(linear, family="noise")]) is unknown
    assert second_look.of_halves(unknown, [unknown, replace(linear, confidence=0.5)]) is unknown
    assert second_look.of_halves(replace(chirp, confidence=0.88), [linear, linear]).family == "chirp"
    assert whole.measures is not None
    aside = replace(unknown, measures=replace(whole.measures, centre=whole.measures.centre + 50))
    assert second_look.of_halves(unknown, [aside, linear]) is unknown
    carrier = replace(linear, family="carrier", label="carrier")
    further = replace(whole.measures, centre=whole.measures.centre + whole.measures.bandwidth)
    elsewhere = replace(carrier, measures=further)
    assert second_look.of_halves(unknown, [carrier, carrier]).family == "carrier"
    assert second_look.of_halves(unknown, [carrier, elsewhere]) is unknown  # one tone of several, and another
    assert second_look.is_doubtful(replace(unknown, measures=whole.measures)) == (
        whole.measures is not None and whole.measures.snr_db > 6
    )


def test_a_tone_that_rests_is_within_the_band_of_all() -> None:
    whole = replace(identify_emission(narrow("whole"), RATE, 0.0, None, None, thorough=False), confidence=0.0)
    assert whole.measures is not None
    wide = replace(whole.measures, bandwidth=100.0)
    data = replace(whole, family="fsk4", label="4FSK", confidence=0.9, measures=wide)
    for width, centre, within in ((2.0, 45.0, True), (2.0, 70.0, False), (60.0, 45.0, False)):
        part = replace(whole.measures, bandwidth=width, centre=wide.centre + centre)
        rests = replace(whole, family="unknown", label="unknown", measures=part)
        found = second_look.of_halves(replace(whole, family="unknown"), [rests, data])
        assert (found.family == "fsk4") is within


def test_two_tones_by_turns_come_before_data_of_four() -> None:
    whole = replace(identify_emission(narrow("whole"), RATE, 0.0, None, None, thorough=False), confidence=0.0)
    two = replace(whole, family="fsk2", label="2FSK", confidence=0.95)
    four = replace(whole, family="fsk4", label="4FSK", confidence=0.7)
    found = second_look.of_halves(replace(whole, family="unknown"), [two, four])
    assert (found.family, found.confidence) == ("fsk4", 0.7)


def test_a_carrier_at_rest_comes_before_what_it_carries() -> None:
    whole = replace(identify_emission(narrow("whole"), RATE, 0.0, None, None, thorough=False), confidence=0.0)
    assert whole.measures is not None
    data = replace(whole, family="pi4dqpsk", label="pi/4-DQPSK", confidence=0.95)
    for width, centre, within in ((2.0, 10.0, True), (2.0, 70.0, False), (60.0, 10.0, False)):
        line = replace(whole.measures, bandwidth=width, centre=whole.measures.centre + centre)
        rests = replace(whole, family="carrier", label="carrier", confidence=0.75, measures=line)
        for halves in ([rests, data], [data, rests]):
            found = second_look.of_halves(replace(whole, family="unknown"), halves)
            assert (found.family, found.confidence) == (("pi4dqpsk", 0.85) if within else ("unknown", 0.0))
