# SPDX-License-Identifier: GPL-3.0-or-later
"""A name needs a proof of its own family, or a model that is very sure; what looks alike is not told apart for sure."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from seeds import rng
from test_identify_families import _OUTPUTS, filtered_noise, keyed, said

from amrq.identify import case, proof
from amrq.measure import FrequencyKeying, PhaseKeying, measure_frequency_keying
from amrq.signals import FAMILY_CLASSES, Reception, received_family, received_signal


@pytest.mark.parametrize(
    "family", ["ofdm", "linear", "dsss", "pi4dqpsk", "oqpsk", "chirp", "pulse", "ook", "am"]
)
def test_noise_that_is_wide_proves_no_family(family: str) -> None:
    found = said(filtered_noise(f"unproven {family}"), 40e3, 10e3, **{family: 0.6})
    assert found.families.get(family, 0.0) < 0.5 and found.family in ("unknown", "noise")
    assert sum(found.families.values()) == pytest.approx(1)


@pytest.mark.parametrize("family", ["fsk2", "fskm", "ook", "fm"])
def test_a_chirp_is_nothing_else_where_no_model_knows_chirps(family: str) -> None:
    generator = rng("a chirp that nobody knows")
    told = FAMILY_CLASSES["chirp"].draw(generator)
    reception = Reception(snr_db=25.0)
    iq = received_family("chirp", told, generator, reception, 8192)
    found = said(iq, 4 * told.bandwidth, told.bandwidth, **{family: 0.7, "chirp": 1e-4})
    assert found.family in ("chirp", "unknown")


def test_a_tone_in_a_wide_box_is_no_am() -> None:
    """A carrier without sidebands: AM in a pause, FM in a pause, or nothing else."""
    iq = np.exp(0.3j * np.arange(8_000)).astype(np.complex64)
    for share in (0.5, 0.65):
        found = said(iq, 40e3, 40e3, am=share)
        assert found.family == "unknown" and "am" in found.reason


def test_keying_that_a_phase_keying_looks_like_is_not_sure() -> None:
    """BPSK turned by a quarter with round pulses has the frequency of MSK; only its envelope is another."""
    generator = rng("quarter turns")
    bits = generator.choice([-1, 1], 512) * 1j ** np.arange(512)
    impulses = np.zeros(8 * 512, complex)
    impulses[::8] = bits
    at = np.arange(-32, 33) / 8 + 1e-9
    pulse = np.sinc(at) * np.cos(np.pi * 0.4 * at) / (1 - (0.8 * at) ** 2)
    iq = np.convolve(impulses, pulse, "same") + generator.normal(size=(4096, 2)) @ [0.02, 0.02j]
    found = said(iq.astype(np.complex64), 38.4e3, 5.5e3, fsk2=0.6)
    assert found.family in ("fsk2", "linear", "unknown")
    assert found.families["fsk2"] <= 0.7
    iq, rate, width = keyed("not ambiguous")
    assert said(iq, rate, width, fsk2=0.6).confidence > 0.9


def test_a_family_that_the_model_was_trained_without_is_not_named() -> None:
    generator = rng("a chirp that the model was trained without")
    told = FAMILY_CLASSES["chirp"].draw(generator)
    iq = received_family("chirp", told, generator, Reception(snr_db=25.0), 8192)
    known = tuple(name for name in _OUTPUTS if name != "chirp")
    found = said(iq, 4 * told.bandwidth, told.bandwidth, known, fskm=0.3)
    assert found.family == "unknown" and found.families["chirp"] == 0
    assert "chirp, which the model was trained without" in found.reason
    assert said(iq, 4 * told.bandwidth, told.bandwidth, chirp=0.3).family == "chirp"


def test_a_weak_proof_carries_no_family_that_the_model_does_not_think_of() -> None:
    """A line that holds most of the power is a carrier's, AM's, and of others that rest meanwhile."""
    generator = rng("a line in noise")
    iq = np.exp(0.1j * np.arange(8_000)) + generator.normal(size=(8_000, 2)) @ [0.3, 0.3j]
    iq = iq.astype(np.complex64)
    assert said(iq, 40e3, 3e3, carrier=0.6).family == "carrier"
    assert said(iq, 40e3, 3e3, carrier=0.02, fsk4=0.5).family == "unknown"


def test_tones_that_go_on_and_on_are_a_sweep() -> None:
    generator = rng("tones of a sweep")
    for numbers, swept in (
        (np.arange(200) % 8, True),
        (generator.integers(8, size=200), False),
        (generator.integers(2, size=200) * 7, False),
    ):
        tones = np.repeat(numbers, 20) * 50.0 - 175
        iq = np.exp(2j * np.pi * np.cumsum(tones) / 1000).astype(np.complex64)
        found = measure_frequency_keying(iq, 1000.0, 400.0)
        # Of 198 steps between eight tones one in eight goes on by chance: three times as many do not.
        assert found.swept > 0.9 if swept else found.swept < 0.375


def test_a_carrier_that_drifts_is_no_chirp() -> None:
    """One ramp through a part of a narrow box: a sweep would go through all of it, and come back."""
    time = np.arange(4_000) / 8e3
    noise = rng("a carrier that drifts").normal(size=(4_000, 2)) @ [0.1, 0.1j]
    drift = np.exp(2j * np.pi * (900 * time**2 - 450 * time)) + noise
    found = said(drift.astype(np.complex64), 8e3, 2e3, chirp=0.6, carrier=0.3)
    assert found.family in ("carrier", "unknown") and found.families["chirp"] < 0.5


@pytest.mark.parametrize("deviation", [0.35, 0.5])
def test_chips_of_a_code_are_no_sure_symbols(deviation: float) -> None:
    """BPSK data on a code of 31 chips: a model takes the chips for symbols, and the code speaks against it."""
    generator = rng(f"chips {deviation}")
    chips = np.outer(generator.choice([-1, 1], 50), generator.choice([-1, 1], 31)).ravel()
    pulse = np.sinc(np.arange(-16, 17) / 4) * np.hanning(33)
    iq = np.convolve(np.kron(chips, [1, 0, 0, 0]), pulse, "same")
    iq = iq + generator.normal(size=(len(iq), 2)) @ [deviation, 1j * deviation]
    found = said(iq.astype(np.complex64), 40e3, 11e3, linear=0.9)
    assert found.families.get("linear", 0.0) < 0.9


@pytest.mark.parametrize("place", range(3))
def test_a_band_of_noise_is_no_sure_ofdm_whatever_a_model_thinks(place: int) -> None:
    """Nothing repeats itself; a prefix that shows by chance is one of thousands that are looked for."""
    found = said(filtered_noise(f"like subcarriers {place}"), 40e3, 10e3, ofdm=0.99)
    assert found.families["ofdm"] < 0.9
    if found.details.get("spacing") is None:
        assert found.families["ofdm"] <= 0.7


@pytest.mark.parametrize(("samples", "sure"), [(1024, False), (8192, True)])
def test_sidebands_in_a_short_look_are_no_sure_am(samples: int, sure: bool) -> None:
    """A burst's edges and a few keys have them as well: 256 bandwidths times seconds, and 2,048."""
    generator = rng(f"a short look {samples}")
    spectrum = generator.normal(size=(samples, 2)) @ [1, 1j]
    audio = np.fft.ifft(np.where(abs(np.fft.fftfreq(samples) - 0.05) < 0.04, spectrum, 0)).real
    carrier = 1 + 0.3 * audio / audio.std() + generator.normal(size=(samples, 2)) @ [0.03, 0.03j]
    found = said(carrier.astype(np.complex64), 40e3, 10e3, am=0.9)
    assert found.family == "am" and (found.confidence > 0.9) == sure


def test_a_line_at_the_edge_of_a_box_is_not_all_that_is_there() -> None:
    """What lies on its other side made the box as wide."""
    generator = rng("a line aside")
    for offset, most in ((0.0, 1.0), (0.35, 0.7)):
        spectrum = generator.normal(size=(8192, 2)) @ [1, 1j]
        beside = np.fft.ifft(np.where(abs(np.fft.fftfreq(8192) + 0.04) < 0.04, spectrum, 0))
        line = np.exp(2j * np.pi * offset * 500 * np.arange(8192) / 2e3)
        iq = line + 0.4 * beside / beside.std() + generator.normal(size=(8192, 2)) @ [0.02, 0.02j]
        found = said(iq.astype(np.complex64), 2e3, 500.0, carrier=0.99)
        assert found.families["carrier"] <= most
        assert offset or found.families["carrier"] > 0.7


def _in_noise(iq: np.ndarray, name: str) -> np.ndarray:
    return np.asarray(iq + rng(name).normal(size=(len(iq), 2)) @ [0.1, 0.1j], np.complex64)


@pytest.mark.parametrize("place", range(3))
def test_a_line_code_is_no_sure_direct_sequence(place: int) -> None:
    """Manchester: a few bits are like a few others, as a short code is like itself."""
    bits = rng(f"manchester {place}").choice([-1, 1], 1200)
    iq = np.kron(bits, np.repeat([1, -1], 5)).astype(complex)
    found = said(_in_noise(iq, f"beside manchester {place}"), 1e6, 450e3, dsss=0.8, linear=0.15)
    assert found.families["dsss"] <= 0.6


def _received(family: str, name: str, **changed: object) -> tuple[np.ndarray, float]:
    """Samples of a family in 20 dB and its bandwidth, four samples over that."""
    generator = rng(name)
    told = replace(FAMILY_CLASSES[family].draw(generator), bandwidth=1.2e5, **changed)
    return received_family(family, told, generator, Reception(snr_db=20.0), 12_000), told.bandwidth


def test_symbols_that_a_code_repeats_are_chips() -> None:
    """Chips of a quadrature code that is half a chip late were OQPSK with up to .99."""
    for number, code in enumerate((16, 32, 63)):
        iq, wide = _received(
            *("dsss", f"staggered {number}"),
            **{"chip_rate": 1e5, "code": code, "order": 4, "rolloff": 0.4},
            **{"quadrature": True, "staggered": True},
        )
        assert said(iq, 4 * wide, wide, oqpsk=0.6, dsss=0.2).family == "dsss"


def test_idle_symbols_are_no_chips() -> None:
    """A pattern that ends in the look was DSSS with .83 where a model took it for that."""
    random = rng("idle symbols")
    for long in (19, 33, 46):
        points = random.choice([1, 1j, -1, -1j], 2500)
        points[:1300] = np.resize(points[:long], 1300)
        iq = received_signal(points, samples_per_symbol=4.8, rolloff=0.35, es_n0_db=18.0, rng=random)
        assert said(iq, 480e3, 125e3, dsss=0.8, linear=0.1).family != "dsss"


def test_keys_of_either_sign_are_no_sure_on_off_keying() -> None:
    """AMI: every other pulse is negative, so that nothing is left of a carrier but in the square."""
    for name, bipolar in (("bipolar", True), ("unipolar", False)):
        bits = rng(name).integers(0, 2, 1200).astype(float)
        if bipolar:
            bits[bits > 0] = (-1.0) ** np.arange(np.count_nonzero(bits))
        edges = np.convolve(np.repeat(bits, 10), np.hanning(7) / 3, "same").astype(complex)
        found = said(_in_noise(edges, f"beside {name}"), 1e6, 250e3, ook=0.95)
        assert found.family == "ook" and (found.confidence > 0.9) != bipolar


def test_two_levels_with_symbols_between_them_are_not_surely_two() -> None:
    """Of four tones the inner ones are sent by one symbol in ten."""
    for seldom in (0.0, 0.1):
        generator = rng(f"inner tones {seldom}")
        inner = generator.random(1024) < seldom
        tones = np.where(inner, generator.choice([-1, 1], 1024), generator.choice([-3, 3], 1024))
        iq = np.exp(1j * np.pi * 0.5 * np.cumsum(np.repeat(tones, 8)) / 8)
        found = said(_in_noise(iq, f"beside inner tones {seldom}"), 80e3, 35e3, fsk2=0.8, fsk4=0.1)
        assert (found.families["fsk2"] > 0.9) == (not seldom)


def test_a_line_alone_is_a_carrier_whatever_a_model_thinks_of_its_place() -> None:
    """Off the middle of its box a model takes it for AM or a single sideband; what has sidebands is AM all the same."""
    generator = rng("a line alone")
    time = np.arange(8_000) / 16e3
    noise = generator.normal(size=(8_000, 2)) @ [0.1, 0.1j]
    hum = 1 + 0.08 * np.sin(2 * np.pi * 300 * time)
    sound = 1 + 0.05 * sum(np.sin(2 * np.pi * (f * time + f)) for f in generator.uniform(300, 1500, 12))
    for amplitude, family in ((np.ones(8_000), "carrier"), (hum, "carrier"), (sound, "am")):
        iq = (amplitude * np.exp(2j * np.pi * 700 * time) + noise).astype(np.complex64)
        found = said(iq, 16e3, 4e3, am=0.5, ssb=0.3, carrier=0.1)
        assert found.family == family and (found.confidence < 0.9 or family == "am")


def _eights(name: str) -> np.ndarray:
    """Return tones of eight levels, each a quarter of the symbol rate from the next, 8 samples a symbol."""
    tones = 2 * rng(name).integers(8, size=700) - 7
    return np.exp(1j * np.pi * 0.25 * np.cumsum(np.repeat(tones, 8)) / 8)


def test_tones_that_show_are_counted_whatever_a_model_thinks_of_their_number() -> None:
    """Eight tones close to each other are as wide as four: a model took them for those, and nothing was named."""
    found = said(_in_noise(_eights("eight tones"), "beside eight tones"), 160e3, 46e3, fsk4=0.97, fskm=0.001)
    assert found.family == "fskm" and found.label == "8FSK"


def test_tones_that_show_are_named_however_wide_they_are() -> None:
    """Eight tones 2.3 MHz wide were `unknown` though they showed: many tones seldom have more than 400 kHz."""
    iq = _in_noise(_eights("wide tones"), "beside wide tones")
    found = said(iq, 8e6, 2.3e6, fskm=0.97)
    assert found.family == "fskm" and found.label == "8FSK"


def _staggered(values: np.ndarray, rolloff: float) -> np.ndarray:
    """Return levels behind a root-raised-cosine filter, 8 samples apart, by way of their spectrum."""
    spread = np.zeros(8 * len(values))
    spread[::8] = values
    at = np.abs(np.fft.fftfreq(len(spread), 1 / 8))
    edge = np.cos(np.pi / 2 * np.clip((at - (1 - rolloff) / 2) / rolloff, 0, 1))
    return np.fft.ifft(np.fft.fft(spread) * edge).real * 8


def test_turns_of_oqpsk_with_an_amplitude_that_stays_are_keys_of_the_frequency() -> None:
    """Tamed FM leaves no levels to be seen; OQPSK has an amplitude that varies, whatever its filter."""
    bits = rng("tamed").choice([-1.0, 1.0], (2, 3000))
    pulse = np.hanning(35)
    tamed = np.convolve(np.repeat(bits[0], 8), pulse / pulse.sum(), "same")
    tamed = np.exp(1j * np.pi / 2 * np.cumsum(tamed) / 8)
    found = said(_in_noise(tamed, "beside tamed"), 160e3, 16e3, fsk4=0.5, oqpsk=0.3)
    assert found.family == "fsk2" and found.confidence <= 0.7
    round_points = _staggered(bits[0], 1.0) + 1j * np.roll(_staggered(bits[1], 1.0), 4)
    found = said(_in_noise(round_points, "beside round points"), 160e3, 29e3, fsk4=0.3, oqpsk=0.5)
    assert found.family == "oqpsk"


def test_one_sideband_of_levels_is_no_ofdm() -> None:
    """8VSB is like noise to all measures but one: its square has a line at twice each edge of its band."""
    levels = 2.0 * rng("eight levels of a sideband").integers(8, size=4000) - 7
    count = 8 * len(levels)
    at = np.fft.fftfreq(count, 1 / 8)  # in symbol rates: the band goes from 0 to one half
    vestige = np.clip((at + 0.03) / 0.06, 0, 1) * np.clip((0.53 - at) / 0.06, 0, 1)
    spread = np.zeros(count)
    spread[::8] = levels
    sideband = np.fft.ifft(np.fft.fft(spread) * np.sqrt(vestige))
    iq = sideband * np.exp(-2j * np.pi * 0.25 * np.arange(count) / 8)
    iq = _in_noise(iq / np.abs(iq).std(), "beside a sideband")
    assert said(iq, 8e6, 0.53e6, ofdm=0.97).family != "ofdm"
    like_noise = filtered_noise("as wide as a sideband")
    assert said(like_noise, 40e3, 10e3, ofdm=0.97).family == "ofdm"


def test_symbols_with_a_clock_are_linear_though_a_pattern_hides_their_rate() -> None:
    """Idle 8PSK was `unknown`: a part of its points is no constellation, and lines of the pattern hide the clock's."""
    random = rng("idle 8PSK")
    for long in (9, 13, 19):
        points = np.exp(0.25j * np.pi * np.resize(random.integers(8, size=long), 2400))
        points[1900:] = np.exp(0.25j * np.pi * random.integers(8, size=500))
        iq = received_signal(points, samples_per_symbol=4.6, rolloff=0.35, es_n0_db=20.0, rng=random)
        assert said(iq, 460e3, 125e3, linear=0.4, pi4dqpsk=0.35, oqpsk=0.1).family == "linear"


def test_preambles_of_eight_phases_are_no_turns_by_eighths() -> None:
    """8PSK in frames that begin with two points by turns was `unknown`: its lines are those of pi/4-DQPSK."""
    random = rng("framed 8PSK")
    symbols = random.integers(8, size=2600)
    for start in range(0, 2600, 130):
        symbols[start : start + 24] = np.arange(24) % 2 * 7
    points = np.exp(0.25j * np.pi * symbols)
    iq = received_signal(points, samples_per_symbol=4.6, rolloff=0.35, es_n0_db=20.0, rng=random)
    found = said(iq, 460e3, 125e3, linear=0.8, pi4dqpsk=0.1)
    assert (found.family, found.label) == ("linear", "8PSK")


def test_four_turns_are_no_four_tones() -> None:
    """pi/4-DQPSK turns by one of four angles a symbol, as 4FSK of an index of .25 does, in an envelope that varies.

    DMR and P25 in a box that cuts them were `unknown`: their envelope varies as well, but their tones are held.
    """
    for envelope, index, square, against in (
        *((1.0, 0.25, 0.6, 0.0), (1.2, 0.25, 0.6, 1.0), (1.2, 0.5, 0.6, 0.0)),
        (1.13, 0.25, 0.86, 0.0),
    ):
        found = FrequencyKeying(envelope=envelope, index=index, squareness=square)
        assert proof._eighths_as_tones(found) == against


@pytest.mark.parametrize(("clear", "symbols"), [(50.0, 0.0), (900.0, 1.0), (1e10, 0.0)])
def test_beats_of_a_few_tones_are_no_clock_of_symbols(clear: float, symbols: float) -> None:
    """Music in a single sideband was `linear`: its envelope has lines without a floor, which symbols have not."""
    look: Any = SimpleNamespace(phase_keying=PhaseKeying(clear=clear), envelope=0.5)
    assert case.Case(look).clock_of_symbols() == symbols
