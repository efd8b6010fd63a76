# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver: signals made here go in as samples and must come out as their symbols."""

import math
import pickle
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import THESIS_9
from amrq.measure import FrontEndOptions
from amrq.receive import BurstReceiver, ReceivedSymbols, Receiver, receive_all
from amrq.signals import Conditions, received_signal, received_under

CHUNK = 32
PLAIN = FrontEndOptions(carrier_recovery=False, equaliser=False, cleaning=False)

Complex = NDArray[np.complexfloating[Any, Any]]


def sent_and_received(
    name: str, conditions: Conditions, es_n0_db: float, count: int = 1_600, seed: int = 1
) -> tuple[Complex, NDArray[np.complex64]]:
    random = rng("receiver", name, repr(conditions), es_n0_db, seed)
    symbols = random.choice(THESIS_9[name].points, count)
    return symbols, received_under(symbols, conditions, es_n0_db, random)


def delay_of(output: Complex, symbols: Complex, first: int) -> int:
    """Return where symbols[first] is in the output, as a delay."""
    part = symbols[first : first + 4 * CHUNK].reshape(-1, CHUNK).conj()
    scores = []
    for delay in range(-20, 60):
        there = output[first + delay : first + delay + 4 * CHUNK].reshape(-1, CHUNK)
        scores.append(np.abs((there * part).sum(axis=1)).sum())
    return int(np.argmax(scores)) - 20


def loss_db(output: Complex, symbols: Complex, es_n0_db: float, symmetry: int = 1, first: int = 64) -> float:
    """Return by how much the error of chunks exceeds the noise, after each chunk's best turn and scale, dB."""
    best = math.inf
    for k in range(symmetry):  # a carrier of k/symmetry cycles/symbol is left where the symmetry hides it
        turned = output * np.exp(2j * np.pi * k / symmetry * np.arange(len(output)))
        delay = delay_of(turned, symbols, first)
        count = (min(len(turned) - delay, len(symbols) - 16) - first) // CHUNK * CHUNK
        got = turned[first + delay : first + delay + count].reshape(-1, CHUNK)
        sent = symbols[first : first + count].reshape(-1, CHUNK)
        gain = (got * sent.conj()).sum(axis=1) / (np.abs(sent) ** 2).sum(axis=1)
        best = min(best, float(np.mean(np.abs(got / gain[:, None] - sent) ** 2)))
    return 10 * math.log10(best) + es_n0_db


def in_pieces(
    receiver: Receiver, samples: NDArray[np.complex64], random: np.random.Generator
) -> ReceivedSymbols:
    parts, at = [], 0
    while at < len(samples):
        size = int(random.integers(1, 3_000))
        parts.append(receiver.process(samples[at : at + size]))
        at += size
    parts.append(receiver.finish())
    names = [field.name for field in fields(ReceivedSymbols)]
    return ReceivedSymbols(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@pytest.mark.parametrize("name", list(THESIS_9))
def test_every_class_comes_out_clean(name: str) -> None:
    symbols, samples = sent_and_received(name, Conditions(4.7, 0.3, offset=0.03), 25.0)
    received = receive_all(samples, 4.7, 1.0)
    assert len(received.symbols) > len(symbols) - CHUNK
    assert loss_db(received.symbols, symbols, 25.0, THESIS_9[name].symmetry, 256) < 0.7


@pytest.mark.parametrize("samples_per_symbol", [2.0, 2.37, 3.0, 8.0, 24.0, 100.0])
def test_any_number_of_samples_a_symbol(samples_per_symbol: float) -> None:
    symbols, samples = sent_and_received("16QAM", Conditions(samples_per_symbol, 0.35), 20.0)
    received = receive_all(samples, 10.0 * samples_per_symbol, 10.0, options=PLAIN)
    assert loss_db(received.symbols, symbols, 20.0) < 0.4


@pytest.mark.parametrize("rolloff", [0.1, 0.15, 0.2, 0.35, 0.6, 1.0, None])
@pytest.mark.parametrize("es_n0_db", [8.0, 20.0])
def test_any_roll_off_and_rectangular_pulses(rolloff: float | None, es_n0_db: float) -> None:
    symbols, samples = sent_and_received("QPSK", Conditions(8.0, rolloff, offset=0.04), es_n0_db, 1_900)
    receiver = Receiver(8.0, 1.0, options=PLAIN)
    parts = receiver.process(samples), receiver.finish()
    output = np.concatenate([part.symbols for part in parts])
    # A rectangular pulse has no end in frequency, but the filter does.
    assert loss_db(output * np.exp(-2j * np.pi * 0.04 * np.arange(len(output))), symbols, es_n0_db) < (
        0.4 if rolloff is not None else 1.2
    )
    found = receiver.report().rolloff
    if es_n0_db == 20.0:
        assert found is not None and found == pytest.approx(rolloff or 0.0, abs=0.26 if rolloff else 0.0)


@pytest.mark.parametrize("rolloff", [0.2, 0.35, 0.5])
def test_raised_cosines_that_are_no_roots_are_told_from_roots(rolloff: float) -> None:
    """Twice a raised cosine would leave 2 dB and more at 20 dB."""
    random = rng("raised cosine", repr(rolloff))
    symbols = random.choice(THESIS_9["16QAM"].points, 4_000)
    spectrum = np.fft.fft(np.kron(symbols, [1, 0, 0, 0]))
    away = (np.abs(np.fft.fftfreq(len(spectrum))) * 4 - (1 - rolloff) / 2) / rolloff
    response = 0.5 + 0.5 * np.cos(np.pi * np.clip(away, 0, 1))
    samples = np.fft.ifft(spectrum * response)
    # Noise after a filter matched to the pulse, relative to the symbols, is that over the pulse's energy.
    noise = random.standard_normal((len(samples), 2)) * np.sqrt(np.mean(np.abs(samples) ** 2) * 4 / 200)
    samples = samples + noise.view(np.complex128)[:, 0]
    output = receive_all(samples, 4.0, 1.0)
    assert loss_db(output.symbols, symbols, 20.0, 4, first=640) < 0.8


def test_the_clock_is_followed_and_reported() -> None:
    """The symbol rate is 2 % off on either side; 5 signals each at 10 dB, one of a small roll-off."""
    for error, rolloff in ((0.02, 0.35), (-0.02, 0.25), (0.015, 0.1), (-0.003, 0.5), (1e-4, 0.2)):
        symbols, samples = sent_and_received("16QAM", Conditions(4.0 / (1 + error), rolloff), 10.0, 2_400)
        receiver = Receiver(40e3, 10e3, options=PLAIN)
        parts = receiver.process(samples), receiver.finish()
        assert loss_db(np.concatenate([part.symbols for part in parts]), symbols, 10.0) < 0.3
        report = receiver.report()
        assert report.symbol_rate_error == pytest.approx(error, abs=3e-5)
        assert report.symbol_rate == pytest.approx(10e3 * (1 + error), rel=3e-5)


def test_positions_are_the_samples_of_the_first_symbols() -> None:
    for samples_per_symbol, error in ((2.5, 0.004), (4.0, 0.0), (24.0, -0.01)):
        real = samples_per_symbol / (1 + error)
        random = rng("receiver positions", samples_per_symbol)
        symbols = random.choice(THESIS_9["QPSK"].points, 1_600)
        before = random.bit_generator.state
        samples = received_signal(symbols, real, 0.35, 30.0, random)
        random.bit_generator.state = before
        begins = random.random()  # of a symbol: how far into the first the first sample is
        received = receive_all(samples, samples_per_symbol, 1.0, options=PLAIN)
        number = received.positions / real + begins
        assert np.abs(number - np.rint(number)).max() < 0.01
        np.testing.assert_array_equal(np.diff(np.rint(number)), CHUNK)
        delay = delay_of(received.symbols, symbols, 64)
        assert round(number[0]) == -delay


def test_the_first_symbols_are_as_good_as_the_last() -> None:
    for es_n0_db in (10.0, 25.0):
        symbols, samples = sent_and_received("QPSK", Conditions(5.0, 0.25, offset=-0.05), es_n0_db)
        output = receive_all(samples, 5.0, 1.0).symbols
        assert loss_db(output[:448], symbols[:420], es_n0_db, 4, 32) < 1.0


@pytest.mark.parametrize("es_n0_db", [12.0, 25.0])
def test_the_result_does_not_depend_on_how_the_stream_is_cut(es_n0_db: float) -> None:
    random = rng("receiver cut", es_n0_db)
    _, first = sent_and_received("8PSK", Conditions(3.3, 0.2, offset=0.02), es_n0_db)
    noise = (random.standard_normal((4_000, 2)) / 3).astype(np.float32).view(np.complex64)[:, 0]
    _, second = sent_and_received("4ASK", Conditions(3.35, 0.4), es_n0_db)
    samples = np.concatenate((first, noise, 3 * second))
    samples[2_000:2_003] = np.nan
    options = FrontEndOptions(gate_db=-20.0)
    whole = receive_all(samples, 3.3, 1.0, options=options)
    cut = in_pieces(Receiver(3.3, 1.0, options=options), samples, random)
    assert len(whole) > 100 and not whole.finite.all()
    for name in ("positions", "borders", "finite", "equalised"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(cut, name))
    for name in ("symbols", "carrier_offset", "snr_db"):
        np.testing.assert_allclose(getattr(whole, name), getattr(cut, name), atol=1e-4)


@pytest.mark.parametrize("scale", [1e-9, 3e4])
def test_scale_does_not_matter(scale: float) -> None:
    _, samples = sent_and_received("16QAM", Conditions(4.0, 0.3, offset=0.01), 15.0, 800)
    one, other = (receive_all(np.float32(factor) * samples, 4.0, 1.0) for factor in (1, scale))
    np.testing.assert_allclose(one.symbols, other.symbols, atol=1e-3)
    assert np.sqrt(np.mean(np.abs(one.symbols) ** 2)) == pytest.approx(1.0, abs=0.06)


def test_a_signal_beside_the_middle_comes_out_the_same() -> None:
    _, samples = sent_and_received("QPSK", Conditions(8.0, 0.3, offset=0.01), 15.0, 800)
    moved = samples * np.exp(2j * np.pi * 2.4567 / 8 * np.arange(len(samples)))
    options = FrontEndOptions(cleaning=False)
    one = receive_all(samples, 8.0, 1.0, options=options)
    other = receive_all(moved.astype(np.complex64), 8.0, 1.0, 2.4567, options)
    turn = np.vdot(one.symbols, other.symbols)
    difference = one.symbols * turn / abs(turn) - other.symbols
    assert np.mean(np.abs(difference) ** 2) < 1e-3  # another roll-off may have been found
    np.testing.assert_allclose(one.positions, other.positions, atol=0.05)


@pytest.mark.parametrize("offset", [-0.1, 0.08])
def test_a_signal_off_the_filters_middle_is_found_there(offset: float) -> None:
    symbols, samples = sent_and_received("QPSK", Conditions(4.0, 0.25, offset=offset), 20.0)
    receiver = Receiver(4e3, 1e3, offset=0.0, options=FrontEndOptions())
    parts = receiver.process(samples), receiver.finish()
    assert loss_db(np.concatenate([part.symbols for part in parts]), symbols, 20.0, 4, 256) < 0.4
    assert receiver.report().offset == pytest.approx(1e3 * offset, abs=20)
    assert parts[-1].carrier_offset[-1] == pytest.approx(offset, abs=1e-3)


@pytest.mark.parametrize("samples_per_symbol", [2.5, 4.0, 11.3, 100.0])
@pytest.mark.parametrize("es_n0_db", [5.0, 12.0, 25.0])
def test_es_n0_is_that_of_the_noise_beside_the_signal(samples_per_symbol: float, es_n0_db: float) -> None:
    for rolloff in (0.2, 0.4):
        _, samples = sent_and_received("16QAM", Conditions(samples_per_symbol, rolloff), es_n0_db)
        found = receive_all(samples, samples_per_symbol, 1.0).snr_db
        assert np.isfinite(found).mean() > 0.9
        assert np.nanmedian(found) == pytest.approx(es_n0_db, abs=0.8)


def test_es_n0_is_not_claimed_where_the_noise_does_not_show() -> None:
    random = rng("receiver noise")
    noise = random.standard_normal((40_000, 2)).astype(np.float32).view(np.complex64)[:, 0]
    assert np.isnan(receive_all(noise, 4.0, 1.0).snr_db).all()
    _, samples = sent_and_received("QPSK", Conditions(2.0, 0.5), 20.0)
    assert np.isnan(receive_all(samples, 2.0, 1.0).snr_db).all()  # no room beside it
    # A filter that falls across the band.
    _, samples = sent_and_received("QPSK", Conditions(4.0, 0.35), 20.0)
    sloping = np.fft.ifft(np.fft.fft(samples) * np.exp(np.fft.fftfreq(len(samples), 0.25)))
    assert np.isnan(receive_all(sloping.astype(np.complex64), 4.0, 1.0).snr_db).all()


def test_a_strong_neighbour_is_filtered_out() -> None:
    symbols, samples = sent_and_received("QPSK", Conditions(8.0, 0.3), 20.0)
    _, other = sent_and_received("8PSK", Conditions(8.0, 0.3), math.inf, seed=2)
    both = samples + 10 * other * np.exp(2j * np.pi * 1.6 / 8 * np.arange(len(other)))
    output = receive_all(both.astype(np.complex64), 8.0, 1.0, options=PLAIN).symbols
    assert loss_db(output, symbols, 20.0) < 1.0


def test_noise_passes_and_silence_is_zero() -> None:
    random = rng("receiver noise", 2)
    noise = random.standard_normal((20_000, 2)).astype(np.float32).view(np.complex64)[:, 0]
    received = receive_all(noise, 4.0, 1.0)
    assert len(received) == 20_000 // 4 // CHUNK
    assert np.sqrt(np.mean(np.abs(received.symbols) ** 2)) == pytest.approx(0.7, abs=0.1)
    assert np.isnan(received.carrier_offset).all()
    silence = receive_all(np.zeros(20_000, np.complex64), 4.0, 1.0)
    assert len(silence) == 20_000 // 4 // CHUNK and not silence.symbols.any()


def test_a_few_samples_and_none() -> None:
    for count in (0, 1, 100, 500, 1_700):
        received = receive_all(np.ones(count, np.complex64), 4.0, 1.0)
        assert len(received) == max(0, count // 4) // CHUNK
        assert np.isfinite(received.symbols).all()


def test_samples_that_are_not_finite_are_marked_and_do_no_lasting_harm() -> None:
    symbols, samples = sent_and_received("QPSK", Conditions(4.0, 0.35), 20.0)
    samples[1_000:1_400] = np.nan  # 100 symbols from 250 on
    samples[4_000] = 3e38
    received = receive_all(samples, 4.0, 1.0, options=PLAIN)
    assert np.isfinite(received.symbols).all()
    assert np.flatnonzero(~received.finite).tolist() == [7, 8, 9, 10, 31]
    assert loss_db(received.symbols, symbols, 20.0, first=1_088) < 0.4


def test_the_gate_makes_zeros_of_weak_noise() -> None:
    random = rng("receiver gate")
    symbols = random.choice(THESIS_9["QPSK"].points, 1_000)
    samples = received_signal(symbols, 4.0, 0.35, 25.0, random, lead=1_000)
    output = receive_all(samples, 4.0, 1.0, options=FrontEndOptions(gate_db=-12.0)).symbols
    assert not output[:980].any() and output[1_010:1_980].all()


def test_a_burst_is_no_louder_at_its_start() -> None:
    """20 dB above the noise around it: level and timing hold from its first symbols on, in each of 5 bursts."""
    for seed in range(5):
        random = rng("receiver burst", seed)
        symbols = random.choice(THESIS_9["QPSK"].points, 600)
        samples = received_signal(symbols, 4.0, 0.35, 20.0, random, lead=1_000)
        receiver = Receiver(4.0, 1.0, options=PLAIN)  # which receives a burst as part of the stream
        output = np.concatenate((receiver.process(samples).symbols, receiver.finish().symbols))
        power = np.abs(output[1_020:1_580].reshape(-1, 20)) ** 2
        assert power.mean(axis=1).max() < 1.5
        assert loss_db(output[1_000:], symbols, 20.0, first=64) < 1.0


@pytest.mark.parametrize("count", [300, 1_000])
def test_es_n0_of_a_burst_is_that_of_the_burst(count: int) -> None:
    random = rng("receiver burst level", count)
    symbols = np.concatenate(
        [np.concatenate((random.choice(THESIS_9["QPSK"].points, count), np.zeros(900))) for _ in range(6)]
    )
    # Of symbols of unit power while they are on.
    samples = received_signal(symbols, 4.0, 0.35, 15.0, random)
    received = receive_all(samples, 4.0, 1.0)
    number = received.positions / 4 % (count + 900)
    on, off = (number > 40) & (number < count - 72), (number > count + 100) & (number < count + 850)
    assert np.nanmedian(received.snr_db[on]) == pytest.approx(15.0, abs=0.8)
    assert np.isfinite(received.snr_db[on]).mean() > 0.9
    assert np.isnan(received.snr_db[off]).mean() > 0.95
    # A border before the first and after the last chunk that a burst lies in, and no others.
    begins = received.positions / 4 // (count + 900) * (count + 900)
    at = (received.positions / 4 - begins)[received.borders]
    assert len(at) in (11, 12)
    # Bursts of up to 768 symbols begin a chunk with their first symbol.
    assert np.all((at < CHUNK) | (at > count + 868) | ((at > count - 33) & (at < count + 64))), at


@pytest.mark.parametrize("level", [1e-42, 1e-30, 1e-15, 1e-8])
def test_noise_of_a_computation_before_a_signal_does_no_harm(level: float) -> None:
    """A filter's response, or rounding, leaves numbers before a signal that are no signal."""
    symbols, samples = sent_and_received("QPSK", Conditions(samples_per_symbol=4.0), 20.0, 4_000)
    samples[:4_000] *= np.float32(level)
    received = receive_all(samples, 4.0, 1.0, options=PLAIN)
    assert loss_db(received.symbols, symbols, 20.0, first=2_048) < 0.5


@pytest.mark.long
@pytest.mark.parametrize("carrier_recovery", [True, False])
@pytest.mark.parametrize("value", [0.0, math.nan])
def test_what_a_receiver_remembers_is_bounded(carrier_recovery: bool, value: float) -> None:
    """A long stream in short pieces, some samples of which are not finite."""
    options = FrontEndOptions(carrier_recovery=carrier_recovery, cleaning=False)
    receiver = BurstReceiver(4.0, 1.0, options=options)
    sizes = []
    samples = rng("bounded receiver").normal(size=(20, 500, 2)).astype(np.float32).view(np.complex64)[..., 0]
    samples[:, ::50] = value
    for _ in range(3):
        for number in range(300):
            receiver.process(samples[number % len(samples)])
        sizes.append(len(pickle.dumps(receiver)))
    # Blocks and chunks that wait are more or fewer; a few numbers of each block that are never given up are 24 kB.
    assert sizes[2] - sizes[0] < 15_000


def _bursts_and_more() -> NDArray[np.complex64]:
    """A burst, a longer signal, silence, and samples that are not finite."""
    random = rng("receiver any cuts")
    parts = [
        (np.zeros(300), random.choice(THESIS_9[name].points, n))
        for name, n in (("8PSK", 200), ("QPSK", 1_500))
    ]
    sent = np.concatenate([one for part in parts for one in part])
    samples = received_signal(sent, 4.0, 0.35, 18.0, random).astype(np.complex64)
    samples[5_000:5_003] = np.nan
    return np.concatenate((samples, np.zeros(9_000, np.complex64)))


ANY_CUTS = _bursts_and_more()


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.sampled_from([0, 1, 2, 31, 383, 384, 385, 512, 4_000, 16_383]), max_size=40))
def test_any_cuts_give_the_same_chunks(cuts: list[int]) -> None:
    samples = ANY_CUTS
    receiver, parts, at = BurstReceiver(4.0, 1.0), [], 0
    for size in [*cuts, len(samples)]:
        parts.append(receiver.process(samples[at : at + size]))
        at = min(at + size, len(samples))
    parts.append(receiver.finish())
    whole = receive_all(samples, 4.0, 1.0)
    for name in ("symbols", "positions", "snr_db", "carrier_offset", "borders", "finite"):
        cut = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(cut, getattr(whole, name), atol=1e-4)
