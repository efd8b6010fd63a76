# SPDX-License-Identifier: GPL-3.0-or-later
"""Direct sequences are told by their code: its period and the chip rate; patterns without data, and noise, are not."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.errors import AmrqError
from amrq.measure import measure_spreading, spreading
from amrq.native import kernels, missing

_RATE, _CHIP_RATE = 4e6, 0.82e6


def _shaped(
    chips: NDArray[np.complex128], random: np.random.Generator, snr_db: float
) -> NDArray[np.complex64]:
    """Chips with a raised-cosine spectrum, roll-off .5, in noise: in-band SNR of 1 MHz of 4."""
    count = 12_000
    held = np.zeros(count, complex)
    at = np.arange(0, count - 1, _RATE / _CHIP_RATE)
    held[np.rint(at).astype(int)] = chips[: len(at)]
    offset = np.abs(np.fft.fftfreq(count, 1 / _RATE)) / _CHIP_RATE
    shape = np.clip(np.cos(np.pi / 2 * np.clip((offset - 0.25) / 0.5, 0, 1)), 0, 1)
    iq = np.fft.ifft(np.fft.fft(held) * shape)
    iq /= np.sqrt(np.mean(np.abs(iq) ** 2))
    noise = random.standard_normal((count, 2)) @ [1, 1j]
    return np.asarray(iq + noise * math.sqrt(4 / 2 * 10 ** (-snr_db / 10)), np.complex64)


@pytest.mark.parametrize("length", [31, 127, 500])
def test_the_code_of_direct_sequences(length: int) -> None:
    random = rng("code", length)
    right = claims = 0
    for _ in range(4):
        data = random.choice([1, -1, 1j, -1j], 12_000 // (4 * length) + 2)
        iq = _shaped(np.outer(data, random.choice([-1.0, 1.0], length)).ravel(), random, 12.0)
        found = measure_spreading(iq, _RATE, 1e6 * random.uniform(0.95, 1.05))
        claims += found.confidence > 0.5
        right += found.code_period is not None and abs(found.code_period * _CHIP_RATE / length - 1) < 0.01
    # Right in 90 %: all but one of four, and in one of 20 runs one more.
    assert min(right, claims) >= 2


def test_symbols_patterns_and_noise_have_no_code() -> None:
    random = rng("no code")
    for number in range(6):
        chips = random.choice([1, -1, 1j, -1j], 3000)
        if number % 3 == 1:  # an idle pattern: the same again and again, and nothing changes
            chips = np.tile(random.choice([1, -1, 1j, -1j], 40), 75)
        iq = _shaped(chips, random, -40.0 if number % 3 == 2 else 15.0)
        assert measure_spreading(iq, _RATE, 1e6).confidence < 0.5
    for nothing in (iq[:0], iq[:1], iq[:600] * np.nan, np.zeros(5000, np.complex64)):
        assert measure_spreading(nothing, 1e6, 0.25e6).code_period is None
    with pytest.raises(AmrqError, match="above 0 Hz, not 0"):
        measure_spreading(iq, 0.0)


@pytest.mark.parametrize("code", ["manchester", "differential"])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_bits_of_a_line_code_are_no_spreading_code(code: str, size: int) -> None:
    """A bit of Manchester code is a code of two chips, and some bits in a row come again by chance."""
    random = rng("line code", code, size)
    claims = 0
    for _ in range(6):
        values = random.integers(2, size=1500)
        turns = -np.ones(3000)
        turns[1::2] = 1 - 2 * values  # of each half: one in the middle of a bit for a one
        halves = (
            np.repeat(2 * values - 1, 2) * np.tile([1, -1], 1500) if code == "manchester" else turns.cumprod()
        )
        iq = np.repeat(halves, size)[:6000] + random.standard_normal((6000, 2)) @ [0.1, 0.1j]
        claims += (
            measure_spreading(iq.astype(np.complex64), 1.0, random.uniform(1.4, 2.0) / size).confidence > 0.5
        )
    assert claims <= 1


def test_a_code_is_the_shortest_that_comes_again() -> None:
    random = rng("one code")
    for length in (11, 20, 31):
        data = np.repeat(random.choice([1, -1], 1500 // length + 1), 2)  # it changes with every other code
        iq = _shaped(np.outer(data, random.choice([-1.0, 1.0], length)).ravel() + 0j, random, 15.0)
        found = measure_spreading(iq, _RATE, 1e6)
        assert found.code_period == pytest.approx(length / _CHIP_RATE, rel=0.01)


def test_the_same_repetitions_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    native = kernels()
    if native is None:
        pytest.skip(str(missing()))
    random = rng("repetitions")
    iq = (random.standard_normal((700, 2)) @ [1, 1j]).astype(np.complex64)
    iq[100:400] = np.tile(iq[:50], 6)
    lags, steps = np.array([1, 7, 50, 100, 333, 690]), np.array([1, 2, 16, 33, 100, 10])
    compiled = spreading.repetitions(iq, lags, steps)
    monkeypatch.setattr(spreading, "kernels", lambda: None)
    assert np.allclose(compiled, spreading.repetitions(iq, lags, steps), rtol=1e-3)
    with pytest.raises(ValueError, match="within 700 samples"):
        native.repetitions(iq, np.array([695]), np.array([10]))


@pytest.mark.parametrize("length", [9, 11, 13])
def test_a_code_between_samples_has_its_own_length_and_no_multiple(length: int) -> None:
    # At some 1.1 samples a bandwidth a code is no whole number of samples, so that multiples of it repeat more clearly.
    random = rng("a code between samples", length)
    right = 0
    for _ in range(4):
        code = random.choice([-1.0, 1.0], length)
        code[0], code[-1] = 1, -1
        iq = _shaped(np.outer(random.choice([-1, 1], 12_000 // (4 * length)), code).ravel(), random, 15.0)
        found = measure_spreading(iq, _RATE, 1.2e6 * random.uniform(0.95, 1.05))
        right += found.code_period is not None and abs(found.code_period * _CHIP_RATE / length - 1) < 0.01
    assert right >= 3


def test_a_pattern_for_half_of_the_time_is_no_code() -> None:
    random = rng("a pattern, then data")
    pattern = np.tile(random.choice([1, -1, 1j, -1j], 46), 34)
    iq = _shaped(np.concatenate([pattern, random.choice([1, -1, 1j, -1j], 1500)]), random, 15.0)
    assert measure_spreading(iq, _RATE, 1.2e6).confidence < 0.5


def test_a_long_code_is_found_in_a_box_that_is_too_wide() -> None:
    """Of 2.7 codes no fewer than 2.2 are left to be looked at, whatever the box."""
    random = rng("a long code in a wide box")
    data = random.choice([1, -1, 1j, -1j], 4)
    iq = _shaped(np.outer(data, random.choice([-1.0, 1.0], 900)).ravel(), random, 12.0)
    period = 900 / _CHIP_RATE
    for wide in (1.0, 1.35):
        found = measure_spreading(iq, _RATE, wide * 1.23e6)
        assert found.code_period is not None and found.code_period == pytest.approx(period, rel=2e-3)


def _chips(
    code: NDArray[np.complex128], staggered: bool, random: np.random.Generator
) -> NDArray[np.complex64]:
    """A code with data, the quadrature half a chip late or not, 15 dB."""
    data = random.choice([1, -1, 1j, -1j], 2600 // len(code) + 1)
    chips = np.outer(data, code).ravel()
    if not staggered:
        return _shaped(chips, random, 15.0)
    real, late = (_shaped(part + 0j, random, 60.0) for part in (chips.real, chips.imag))
    iq = real.real[4:] + 1j * np.roll(late.real, round(0.5 * _RATE / _CHIP_RATE))[4:]
    return np.asarray(iq + random.standard_normal((len(iq), 2)) @ [0.18, 0.18j], np.complex64)


@pytest.mark.parametrize("length", [16, 32, 63])
def test_staggered_chips_turn_with_the_data(length: int) -> None:
    """OQPSK whose symbols a code repeats: no clock shows in its envelope, but phases that data turns."""
    random = rng("staggered chips", length)
    turned = [
        measure_spreading(_chips(random.choice([1, -1, 1j, -1j], length), True, random), _RATE, 1.1e6).turned
        for _ in range(3)
    ]
    assert sorted(turned)[1] > 0.8


def test_few_long_codes_are_alike_between_samples() -> None:
    """A lag of more than a thousand samples is known to a part of one, or the second code is not like the first."""
    random = rng("few long codes")
    found = [
        measure_spreading(
            _shaped(np.outer([1, -1, -1, 1], random.choice([-1.0, 1.0], length)).ravel() + 0j, random, 15.0),
            _RATE,
            1.23e6,
        )
        for length in (801, 850, 899)
    ]
    assert all(one.alike > 0.8 and one.turned > 0.8 for one in found)


def test_a_pattern_has_the_same_phase_each_time() -> None:
    random = rng("a pattern and its phase")
    pattern = np.tile(random.choice([1, -1, 1j, -1j], 46), 34)
    idle = _shaped(np.concatenate([pattern, random.choice([1, -1, 1j, -1j], 1500)]), random, 15.0)
    assert measure_spreading(idle, _RATE, 1.2e6).pattern
    coded = measure_spreading(_chips(random.choice([1, -1, 1j, -1j], 46), False, random), _RATE, 1.2e6)
    assert not coded.pattern and coded.turned > 0.8
    frames = random.choice([1, -1, 1j, -1j], (12, 220))
    frames[:, :70] = frames[0, :70]  # preamble and word of synchronisation
    framed = measure_spreading(_shaped(frames.ravel(), random, 15.0), _RATE, 1.2e6)
    assert framed.turned == 0 and not framed.again


def test_a_look_that_comes_again_once_may_be_of_chips() -> None:
    """One code and a half: nothing tells a code from symbols that are sent twice."""
    random = rng("once again")
    symbols = random.choice([1.0, -1.0], 3000) + 0j
    for length, again in ((1700, True), (3000, False)):
        assert (
            measure_spreading(_shaped(np.resize(symbols[:length], 3000), random, 15.0), _RATE, 1.2e6).again
            is again
        )


def test_a_frame_that_comes_again_in_part_is_no_code() -> None:
    random = rng("frames in part")
    frames = random.choice([1, -1], (3, 820)) + 0j
    frames[1:, 100:260] = -frames[0, 100:260]
    frames[2, 100:260] *= -1
    assert measure_spreading(_shaped(frames.ravel(), random, 20.0), _RATE, 1.2e6).confidence < 0.3


@pytest.mark.parametrize("halves", [[1.0], [1.0, -1.0]])
def test_symbols_without_a_filter_are_no_code_of_one_chip(halves: list[float]) -> None:
    """Made flat, each is like the one before but for its phase: QPSK and Manchester code were dsss with .9 and more."""
    for place in range(6):
        generator = rng(f"symbols without a filter {halves} {place}")
        turns = generator.integers(4, size=700) if len(halves) == 1 else 2 * generator.integers(2, size=700)
        iq = np.kron(1j**turns, np.repeat(halves, 28 // len(halves)))
        iq = iq + generator.normal(size=(len(iq), 2)) @ [0.02, 0.02j]
        assert measure_spreading(iq.astype(np.complex64), 28.0, 7.0).turned < 0.5
