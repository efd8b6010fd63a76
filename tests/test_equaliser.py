# SPDX-License-Identifier: GPL-3.0-or-later
"""The equaliser: echoes are removed from symbols of any class, and everything else is left as it is."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import THESIS_9, linear_class, root_raised_cosine
from amrq.measure import FrontEndOptions
from amrq.receive import ConstellationFitter, Equaliser, receive_all
from amrq.signals import HELD_OUT_SIGNALS, OTHER_SIGNALS, Conditions, other_signal, received_under


def raised_cosine(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """The pulse after a matched filter, roll-off 0.35."""
    edge = np.abs(np.abs(0.7 * t) - 1) < 1e-9
    safe = np.where(edge, 0.0, t)
    value = np.sinc(safe) * np.cos(np.pi * 0.35 * safe) / (1 - (0.7 * safe) ** 2)
    return np.where(edge, np.pi / 4 * np.sinc(1 / 0.7), value)


def echoed(
    sent: NDArray[np.complex64],
    delay: float,
    echo: complex,
    generator: np.random.Generator,
    es_n0_db: float = 20.0,
) -> NDArray[np.complex64]:
    """Symbols with one echo, turning, in noise; Es/N0 is that of both paths together."""
    places = np.arange(-20, 21)
    path = raised_cosine(places.astype(np.float64)) + echo * raised_cosine(places - delay)
    heard = np.convolve(sent, path, "same")
    heard = heard / np.sqrt(np.mean(np.abs(heard) ** 2))
    noise = generator.standard_normal((len(sent), 2)).view(np.complex128)[:, 0]
    noisy = heard + math.sqrt(0.5 * 10 ** (-es_n0_db / 10)) * noise
    turn = generator.uniform(-0.1, 0.1) * np.arange(len(sent)) + generator.random()
    return np.asarray(noisy * np.exp(2j * np.pi * turn), dtype=np.complex64)


def equalised(symbols: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], str]:
    equaliser = Equaliser()
    out = equaliser.process(symbols)
    kind = equaliser.kind
    return np.concatenate((out, equaliser.finish())), kind


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "8PSK", "16QAM", "4ASK"])
@pytest.mark.parametrize("delay", [1.0, 1.5, 3.0, -1.0, -1.5, -3.0])
def test_echoes_of_half_the_amplitude_are_removed_from_the_first_1024_symbols_on(
    name: str, delay: float
) -> None:
    generator = rng("equaliser", name, str(delay))
    for _ in range(2):
        sent = linear_class(name).symbols(1100, generator)
        symbols = echoed(sent, delay, 0.5 * np.exp(2j * np.pi * generator.random()), generator)
        out, kind = equalised(symbols)
        assert kind == "linear"
        fit = ConstellationFitter().best(out[:1024])
        assert fit.name == name
        # The best that a linear filter can do is 17 to 18 dB for these.
        assert -10 * math.log10(fit.noise) > 15


@pytest.mark.parametrize("turn", [0.0, np.pi])
def test_an_echo_that_makes_another_class_of_one_is_removed(turn: float) -> None:
    # BPSK with half of itself is 4ASK exactly, QPSK is 16QAM.
    generator = rng("equaliser", "alike", str(turn))
    for name in ("BPSK", "QPSK"):
        for delay in (1.0, -3.0):
            sent = linear_class(name).symbols(1100, generator)
            out, _ = equalised(echoed(sent, delay, 0.5 * np.exp(1j * turn), generator))
            assert ConstellationFitter().best(out).name == name


@pytest.mark.parametrize("name", list(THESIS_9))
def test_clean_symbols_are_unchanged(name: str) -> None:
    generator = rng("equaliser", "clean", name)
    for es_n0_db in (5.0, 12.5, 25.0):
        symbols = echoed(linear_class(name).symbols(5000, generator), 0.0, 0.0, generator, es_n0_db)
        out, kind = equalised(symbols)
        assert kind == ""
        np.testing.assert_array_equal(out, symbols)


@pytest.mark.parametrize("kind", [*OTHER_SIGNALS, *HELD_OUT_SIGNALS])
def test_what_is_no_sequence_of_symbols_is_seldom_touched(kind: str) -> None:
    generator = rng("equaliser", "others", kind)
    used = 0
    for signal in other_signal(kind, 12, 1100, generator):
        used += equalised(signal)[1] != ""
    assert used <= 2


def test_coloured_noise_is_unchanged() -> None:
    generator = rng("equaliser", "coloured")
    for _ in range(8):
        noise = generator.standard_normal((3000, 2)).view(np.complex128)[:, 0]
        symbols = (noise[1:] + 0.5j * noise[:-1]).astype(np.complex64)
        out, kind = equalised(symbols)
        assert kind == ""
        np.testing.assert_array_equal(out, symbols)


def test_minimum_shift_keying_does_not_become_bpsk() -> None:
    generator = rng("equaliser", "msk")
    for _ in range(4):
        bits = generator.choice([-1.0, 1.0], 1100)
        # Real and imaginary by turns, each with both of its neighbours: MSK at one sample a symbol.
        even = (1j ** np.arange(1100)) * np.convolve(bits, [0.3, 1.0, 0.3], "same")
        assert equalised(even.astype(np.complex64))[1] == ""


def test_fsk_of_index_1_does_not_become_bpsk() -> None:
    # Sunde's FSK is BPSK with half-sine pulses and two lines, which a filter could take away.
    generator = rng("equaliser", "sunde")
    for _ in range(12):
        bits = np.repeat(generator.choice([-1.0, 1.0], 1140), 16)
        pulses = np.exp(1j * np.pi * np.cumsum(bits) / 16)
        matched = np.convolve(pulses, root_raised_cosine(np.arange(-160, 161) / 16, 0.35) / 16, "same")
        symbols = matched[int(generator.integers(16)) :: 16][20:1120]
        noise = generator.standard_normal((1100, 2)).view(np.complex128)[:, 0]
        assert equalised((symbols + 0.05 * noise).astype(np.complex64))[1] == ""


def test_the_result_does_not_depend_on_the_cut() -> None:
    generator = rng("equaliser", "cut")
    sent = linear_class("16QAM").symbols(4000, generator)
    symbols = echoed(sent, -1.5, 0.5, generator)
    whole, kind = equalised(symbols)
    assert kind == "linear"
    equaliser, parts, at = Equaliser(), [], 0
    while at < len(symbols):
        step = int(generator.integers(1, 400))
        parts.append(equaliser.process(symbols[at : at + step]))
        at += step
        assert equaliser.pending == min(at, len(symbols)) - sum(map(len, parts))
    parts.append(equaliser.finish())
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


def test_a_filter_is_taken_up_and_left_within_a_stream() -> None:
    generator = rng("equaliser", "change")
    sent = linear_class("QPSK").symbols(12_000, generator)
    symbols = np.concatenate(
        (
            echoed(sent[:4000], 0.0, 0.0, generator),
            echoed(sent[4000:8000], 1.0, 0.5, generator),
            echoed(sent[8000:], 0.0, 0.0, generator),
        )
    )
    equaliser, kinds = Equaliser(), []
    out = []
    for first in range(0, len(symbols), 500):
        out.append(equaliser.process(symbols[first : first + 500]))
        kinds.append(equaliser.kind)
    assert kinds[:8] == [""] * 8
    assert kinds[15] == "linear"
    assert kinds[-1] == ""
    assert ConstellationFitter().best(np.concatenate(out)[6000:7900]).name == "QPSK"


def test_another_channel_has_another_filter_soon() -> None:
    generator = rng("equaliser", "another")
    sent = linear_class("QPSK").symbols(24_000, generator)
    changes = [(1.0, 0.5), (-2.0, 0.5j), (0.0, 0.0)]
    symbols = np.concatenate(
        [echoed(sent[8000 * k : 8000 * (k + 1)], *change, generator) for k, change in enumerate(changes)]
    )
    out, kind = equalised(symbols)
    assert kind == ""
    for first in (1000, 9500, 17_500):
        fit = ConstellationFitter().best(out[first : first + 1024])
        assert fit.name == "QPSK"
        assert -10 * math.log10(fit.noise) > 15


def test_the_first_symbols_leave_soon_where_nothing_is_wrong() -> None:
    generator = rng("equaliser", "soon")
    symbols = echoed(linear_class("8PSK").symbols(300, generator), 0.0, 0.0, generator)
    equaliser = Equaliser()
    assert len(equaliser.process(symbols)) == 256
    assert equaliser.noise_gains == [None] * 8
    assert len(equaliser.finish()) == 44


def test_the_noise_gain_is_what_the_noise_grows_by() -> None:
    generator = rng("equaliser", "gain")
    sent = linear_class("QPSK").symbols(6000, generator)
    symbols = echoed(sent, 1.0, 0.5, generator)
    equaliser = Equaliser()
    out = equaliser.process(symbols)
    # Zero forcing of 1 + z / 2: the noise grows by 4/3, the signal shrinks by 5/4.
    gain = equaliser.noise_gains[-1]
    assert gain is not None
    assert gain == pytest.approx(5 / 3, rel=0.1)
    fit = ConstellationFitter().best(out)
    assert -10 * math.log10(fit.noise) == pytest.approx(20 - 10 * math.log10(gain), abs=0.7)


@pytest.mark.parametrize(
    "symbols", [np.zeros(3000, np.complex64), np.ones(3000, np.complex64), np.zeros(0, np.complex64)]
)
def test_silence_and_a_carrier_are_unchanged(symbols: NDArray[np.complex64]) -> None:
    out, kind = equalised(symbols)
    assert kind == ""
    np.testing.assert_array_equal(out, symbols)


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "8PSK", "16QAM", "4ASK"])
@pytest.mark.parametrize("late", [1.5, -2.5])
def test_a_receiver_removes_echoes_and_says_so(name: str, late: float) -> None:
    generator = rng("equaliser", "receiver", name, str(late))
    # A first path of half the amplitude is an echo that comes early.
    echo = {"echo_db": -6.0 if late > 0 else 6.0, "echo_delay": abs(late)}
    conditions = Conditions(samples_per_symbol=4.7, offset=0.02, **echo)
    samples = received_under(linear_class(name).symbols(3000, generator), conditions, 20.0, generator)
    received = receive_all(samples, 47e3, 10e3)
    assert received.equalised.all()
    for part in (received.chunks[1:33], received.chunks[33:65]):
        fit = ConstellationFitter().best(part.ravel())
        assert fit.name == name
    # Es/N0 of what left is that of the signal less what the filter added.
    assert np.nanmedian(received.snr_db) == pytest.approx(-10 * math.log10(fit.noise), abs=1.5)
    without = receive_all(samples, 47e3, 10e3, options=FrontEndOptions(equaliser=False))
    assert not without.equalised.any()
    assert ConstellationFitter().of(name, without.symbols[32:1056]).noise > 2 * fit.noise
