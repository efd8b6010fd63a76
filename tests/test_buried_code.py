# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes below the noise: measured, and named by a survey; noise, lines and prefixes are none."""

import numpy as np
import pytest
import seeds
from numpy.typing import NDArray

from amrq.measure import measure_buried_code
from amrq.scan import survey_recording

RATE = 4e6
"""Samples a second."""


class _Samples:
    def __init__(self, iq: NDArray[np.complex128]) -> None:
        self._iq = iq.astype(np.complex64)
        self.length = len(iq)

    def read(self, start: int, count: int) -> NDArray[np.complex64]:
        return self._iq[start : start + count]


def _noise(count: int, rng: np.random.Generator) -> NDArray[np.complex128]:
    return np.asarray(rng.normal(size=(count, 2)) @ [1, 1j] / np.sqrt(2))


def _satellites(count: int, rng: np.random.Generator, level_db: float) -> NDArray[np.complex128]:
    """Codes of 1,023 chips in a millisecond, each with its Doppler shift and data, as navigation satellites send."""
    at = np.arange(count) / RATE
    out = np.zeros(count, np.complex128)
    for _ in range(6):
        code = rng.choice([-1.0, 1.0], 1023)
        data = rng.choice([-1.0, 1.0], 1 + int(at[-1] / 20e-3))
        chips = (
            code[(at * 1.023e6 + rng.uniform(0, 1023)).astype(int) % 1023] * data[(at / 20e-3).astype(int)]
        )
        out += chips * np.exp(2j * np.pi * (rng.uniform(-4e3, 4e3) * at + rng.uniform()))
    return 10 ** (level_db / 20) * out


@pytest.mark.parametrize("centre", [0.0, 800e3])
def test_satellites_below_the_noise_are_a_direct_sequence(centre: float) -> None:
    rng = seeds.rng("buried", int(centre))
    count = 100_000
    turn = np.exp(2j * np.pi * centre / RATE * np.arange(count))
    found = measure_buried_code(
        (_noise(count, rng) + _satellites(count, rng, -19) * turn).astype(np.complex64), RATE
    )
    assert found.period == pytest.approx(1e-3, rel=1e-3)
    assert found.bandwidth is not None and 2.046e6 / 1.6 < found.bandwidth < 2.046e6 * 1.6
    assert found.centre == pytest.approx(centre, abs=300e3)


@pytest.mark.parametrize("receiver", ["gain that changes", "two bits"])
def test_satellites_are_found_behind_any_receiver(receiver: str) -> None:
    rng = seeds.rng("buried", receiver)
    count = 100_000
    iq = _noise(count, rng) + _satellites(count, rng, -17)
    if receiver == "two bits":
        real, imag = (np.sign(part) * np.where(np.abs(part) > 0.7, 3, 1) for part in (iq.real, iq.imag))
        iq = real + 1j * imag
    else:
        iq[count // 3 :] *= 2.5
    found = measure_buried_code(iq.astype(np.complex64), RATE)
    assert found.period == pytest.approx(1e-3, rel=1e-3)


def test_noise_that_a_filter_passes_is_not_what_repeats() -> None:
    """Where the band is wider than the filter, the noise stands out, and was OFDM with .64."""
    rng = seeds.rng("buried in a filter")
    count = 60_000
    spectrum = np.fft.fft(_noise(count, rng) + _satellites(count, rng, -17))
    faster = np.concatenate([spectrum[: count // 2], np.zeros(3 * count // 2), spectrum[count // 2 :]])
    found = survey_recording(_Samples(np.fft.ifft(faster)), 2.5 * RATE)
    assert found.main is not None
    assert found.main.family == "dsss"


def test_a_survey_names_them_beside_a_line() -> None:
    rng = seeds.rng("buried survey")
    count = 80_000
    line = 0.12 * np.exp(2j * np.pi * 0.11 * np.arange(count))
    found = survey_recording(_Samples(_noise(count, rng) + _satellites(count, rng, -18) + line), RATE)
    assert found.main is not None
    assert (found.main.family, found.main.label) == ("dsss", "DSSS")
    assert found.main.details["code_period"].value == pytest.approx(1e-3, rel=1e-3)
    assert found.main.confidence <= 0.9


def test_a_code_as_long_as_the_longest_lag_is_measured() -> None:
    """Its line is the last that is looked at, and has one side."""
    count, rng = 1 << 15, seeds.rng("buried", "the longest lag")
    period = 13_106 // 2  # twice it is the last lag, two fifths of the count
    often, seldom = _noise(period, rng), _noise(2 * period, rng)
    found = measure_buried_code(
        0.8 * np.resize(often, count) + np.resize(seldom, count) + 0.5 * _noise(count, rng), RATE
    )
    assert found.period == pytest.approx(period / RATE) and found.bandwidth is not None
    assert 0.5 * RATE < found.bandwidth <= RATE


def test_noise_and_lines_and_prefixes_have_no_code() -> None:
    rng = seeds.rng("no code")
    count = 60_000
    noise = _noise(count, rng)
    comb = sum(np.exp(2j * np.pi * 0.01 * many * np.arange(count)) for many in range(-20, 21))
    symbols = np.fft.ifft(rng.choice([-1, 1], (count // 1280 + 1, 1024)) + 0j, axis=1)
    ofdm = 20 * np.concatenate([symbols[:, -256:], symbols], axis=1).ravel()[:count]
    for iq in (noise, noise + 0.3 * comb, noise + 0.3 * ofdm, ofdm, np.zeros(count), np.ones(count)):
        assert measure_buried_code(iq.astype(np.complex64), RATE).period is None


@pytest.mark.parametrize("count", [4097, 10_000, 99_991])
def test_errors_of_single_precision_are_no_code(count: int) -> None:
    """What is left of lines without noise repeats itself, 140 dB below them."""
    at = np.arange(count)
    audio = 3 * np.sin(2 * np.pi * 0.0017 * at)
    for iq in (np.ones(count), np.exp(1j * (0.1 * 2 * np.pi * at + audio)), 1 + 0.5 * np.sin(0.01 * at)):
        assert measure_buried_code(iq.astype(np.complex64), RATE).period is None


@pytest.mark.parametrize(("chips", "changing"), [(1023, True), (511, False)])
def test_symbols_that_come_again_in_a_longer_look_are_no_sure_ones(chips: int, changing: bool) -> None:
    """A code longer than half of a look is chips without one there; an idle pattern is a code without data."""
    rng = seeds.rng("long code", chips)
    data = rng.choice([-1.0, 1.0], 30_000 // chips) if changing else np.ones(30_000 // chips)
    pulses = np.kron(np.kron(data, rng.choice([-1.0, 1.0], chips)), [1, 0, 0, 0])
    shape = np.sinc(np.arange(-24, 25) / 4) * np.hanning(49)
    iq = np.convolve(pulses, shape, "same") + 0.15 * _noise(len(pulses), rng)
    found = survey_recording(_Samples(iq), RATE)
    assert found.main is not None
    assert found.main.family == "dsss" if changing else found.main.family in ("linear", "dsss")
    assert found.main.confidence <= 0.9


@pytest.mark.parametrize("name", ["frames that repeat", "b"])
def test_what_stands_out_and_repeats_itself_is_no_code_below_the_noise(name: str) -> None:
    """Frames of MSK144, the same again and again, were a direct sequence with .85, or four tones."""
    rng = seeds.rng(name)
    frame = np.repeat(rng.choice([-1, 1], 144), 6)
    iq = np.exp(0.5j * np.pi / 6 * np.cumsum(np.tile(frame, 60)) + 1.3j * np.arange(60 * len(frame)))
    found = survey_recording(_Samples(iq + 0.25 * _noise(len(iq), rng)), 12e3)
    assert found.main is not None and found.main.family in ("fsk2", "unknown")
