# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol rate of a signal that nobody has told it of."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rate_signals import PULSES, in_noise, sent, with_neighbour
from scipy import signal
from seeds import rng

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.identify import SignalSearch, find_signal
from amrq.measure import BandSignal, estimate_symbol_rate, find_signals
from amrq.recordings import open_recording
from amrq.signals import received_signal

ROOT = Path(__file__).resolve().parents[1]


def noise(count: int, generator: np.random.Generator) -> NDArray[np.complex64]:
    return (generator.normal(size=count) + 1j * generator.normal(size=count)).astype(np.complex64)


@settings(max_examples=30)
@given(
    st.sampled_from(list(THESIS_9)),
    st.floats(2.5, 16),
    st.floats(0.2, 0.5),
    st.floats(12.5, 25),
    st.integers(0, 10**6),
)
def test_any_class_at_any_rate(
    name: str, samples_per_symbol: float, rolloff: float, es_n0_db: float, number: int
) -> None:
    generator = rng("symbol rate", number)
    symbols = generator.choice(THESIS_9[name].points, 2048)
    offset = generator.uniform(-0.05, 0.05)
    samples = received_signal(symbols, samples_per_symbol, rolloff, es_n0_db, generator, offset)
    found = estimate_symbol_rate(samples, 1e6)
    assert found.rate == pytest.approx(1e6 / samples_per_symbol, rel=0.002)
    assert found.confidence > 0.99


@pytest.mark.parametrize("bandwidth", [1.0, 0.4, 0.1])
def test_noise_has_no_symbol_rate(bandwidth: float) -> None:
    """A confidence of 0.99 is reached by noise at most as often as it says: 6 or more of 100 in one run of 1,800."""
    generator = rng("symbol rate of noise", str(bandwidth))
    taps = np.sinc(bandwidth * (np.arange(101) - 50)) * np.hanning(101)
    sure = 0
    for _ in range(100):
        samples = np.convolve(noise(8192, generator), taps, "same") + 0.05 * noise(8192, generator)
        sure += estimate_symbol_rate(samples.astype(np.complex64), 1e5).confidence > 0.99
    assert sure < 6


@pytest.mark.parametrize("folder", [ROOT / "examples" / "recordings", ROOT.parent / "shared" / "iq"])
def test_recordings_have_the_rate_of_their_truth(folder: Path) -> None:
    if not (folder / "truth.json").is_file():
        pytest.skip(f"{folder} is not there")
    for truth in json.loads((folder / "truth.json").read_text()):
        if truth["modulation"].partition(" ")[0].split("-")[-1] not in {
            "BPSK",
            "QPSK",
            "8PSK",
            "16QAM",
            "SDPSK",
            "D8PSK",
        }:
            continue
        recording = open_recording(folder / f"{truth['name']}.sigmf-meta")
        start, stop = max(truth["segments"], key=lambda segment: segment[1] - segment[0])
        found = estimate_symbol_rate(recording.read(start, min(stop - start, 1 << 17)), recording.sample_rate)
        # What satellites really send is up to 0.32 % beside their nominal rate.
        assert found.rate == pytest.approx(truth["symbol_rate"], rel=0.004), truth["name"]
        assert found.confidence > 0.999


@pytest.mark.parametrize("pulse", PULSES)
def test_any_pulse_alone_and_beside_a_neighbour(pulse: str) -> None:
    """Of 16 signals of each pulse at 10 to 25 dB, 2 to 48 samples a symbol, at most 1 is not clear and none wrong."""
    unclear = 0
    for number in range(16):
        generator = rng("pulses", pulse, number)
        samples_per_symbol = float(np.exp(generator.uniform(np.log(2.1), np.log(48))))
        count = int(min(49_152, 3072 * samples_per_symbol))
        offset = generator.uniform(-0.1, 0.1) / samples_per_symbol
        made = sent(generator, pulse, samples_per_symbol, count, offset)
        neighbour = number % 2 and samples_per_symbol > 8
        band = with_neighbour(generator, made) if neighbour else made.samples
        found = estimate_symbol_rate(
            in_noise(band, generator.uniform(10, 25), samples_per_symbol, generator), 1.0
        )
        if found.confidence > 0.999:
            assert found.rate == pytest.approx(1 / samples_per_symbol, rel=0.002), number
        else:
            unclear += 1
    assert unclear <= 1


@pytest.mark.parametrize("beside", ["rectangular", "root raised cosine 0.35", "half sine"])
def test_a_neighbour_of_any_pulse_leaves_the_rate_right(beside: str) -> None:
    """Of 8 signals at 10 to 20 dB beside one as strong, whose side lobes lie under them, all are right."""
    for number in range(8):
        generator = rng("rate beside a neighbour", beside, number)
        pulse, samples_per_symbol = str(generator.choice(PULSES)), generator.uniform(8, 40)
        made = sent(generator, pulse, samples_per_symbol, 65_536)
        rate = generator.uniform(0.6, 1.5) / samples_per_symbol
        # Half sines have the widest main lobes.
        place = generator.choice([-1, 1]) * 1.55 * (1 / samples_per_symbol + rate)
        if abs(place) + 1.5 * rate > 0.49:
            place = math.copysign(0.49 - 1.5 * rate, place)
        band = made.samples + sent(generator, beside, 1 / rate, 65_536, float(place)).samples
        samples = in_noise(band, generator.uniform(10, 20), samples_per_symbol, generator)
        found = find_signal(samples, 1.0, SignalSearch(offset=0.0))
        assert found.sure and found.symbol_rate is not None, number
        assert found.symbol_rate.rate == pytest.approx(1 / samples_per_symbol, rel=0.002), number


def test_the_signals_that_are_known_are_not_looked_for() -> None:
    generator = rng("rate of a known signal")
    made = sent(generator, "root raised cosine 0.35", 10.0, 32_768, 0.2)
    other = sent(generator, "root raised cosine 0.35", 14.0, 32_768, -0.2)
    samples = in_noise(2 * made.samples + other.samples, 20.0, 10.0, generator)
    strong, weak = find_signals(samples, 1.0)
    for signals, rate in (([strong, weak], 0.1), ([weak, strong], 1 / 14)):
        found = estimate_symbol_rate(samples, 1.0, signals=signals)
        assert found.rate == pytest.approx(rate, rel=0.002) and found.confidence > 0.999
    assert math.isnan(estimate_symbol_rate(samples, 1.0, signals=[]).rate)


def frequency_shift_keyed(
    generator: np.random.Generator, levels: int, index: float, per_symbol: int
) -> NDArray[np.complex128]:
    steps = np.repeat(2.0 * generator.integers(levels, size=32_768 // per_symbol) - levels + 1, per_symbol)
    return np.exp(1j * np.pi * index * np.cumsum(steps) / per_symbol)


@pytest.mark.parametrize(("levels", "index"), [(2, 0.5), (2, 1.5), (2, 4.0), (2, 7.5), (4, 1.5)])
def test_a_harmonic_of_frequency_shift_keying_is_not_clear(levels: int, index: float) -> None:
    """Of 6 signals of each deviation none has another rate than its own called clear.

    4FSK of a small deviation is at twice its rate now and then: see benchmarks/symbol_rate.py.
    """
    for number in range(6):
        generator = rng("rate of FSK", levels, str(index), number)
        per_symbol = int(generator.integers(20, 80))
        made = frequency_shift_keyed(generator, levels, index, per_symbol)
        found = estimate_symbol_rate(in_noise(made, generator.uniform(15, 30), per_symbol, generator), 1.0)
        if found.confidence > 0.999:
            assert found.rate == pytest.approx(1 / per_symbol, rel=0.002), number


@pytest.mark.parametrize("family", ["fsk2", "fsk4", "fm_narrow", "ook", "pulse", "linear"])
def test_recordings_of_other_kinds_have_no_wrong_rate(family: str) -> None:
    """None is called clear at another rate than its own, in 65,536 samples; all that are linear are clear."""
    folder = ROOT.parent / "shared" / "air" / "given"
    if not (folder / "truth.json").is_file():
        pytest.skip(f"{folder} is not there")
    for truth in json.loads((folder / "truth.json").read_text()):
        if truth["family"] != family:
            continue
        recording = open_recording(folder / f"{truth['name']}.sigmf-meta")
        # Some are silent at the beginning.
        start = max(0, int(truth["segments"][0][0]) - 1000)
        found = find_signal(recording.read(start, 1 << 16), recording.sample_rate)
        assert found.sure or family != "linear", truth["name"]
        if found.sure and found.symbol_rate is not None:
            assert found.symbol_rate.rate == pytest.approx(truth["symbol_rate"], rel=0.005), truth["name"]


@pytest.mark.parametrize("fault", ["bursts", "silence", "stray tones", "carrier drift", "a line at 0 Hz"])
def test_what_stands_beside_the_line_does_not_win(fault: str) -> None:
    """Of 12 signals with each fault, of 4,000 to 20,000 symbols, at most 1 is not clear and none wrong.

    Of bursts a quarter to half of that is left. With 800 to 1,200 symbols in bursts, small roll-offs
    are often not clear.
    """
    unclear = 0
    for number in range(12):
        generator = rng("rate with faults", fault, number)
        samples_per_symbol = generator.uniform(3, 16)
        made = sent(generator, generator.choice(PULSES), samples_per_symbol, 65_536).samples
        time = np.arange(len(made)) / samples_per_symbol
        if fault == "bursts":
            made = made * (time % generator.uniform(400, 800) < 200)
        elif fault == "silence":
            made = made * (time > generator.uniform(0.2, 0.6) * time[-1])
        elif fault == "stray tones":
            for away in generator.uniform(-0.5, 0.5, size=2):
                made = made + 0.1 * np.exp(2j * np.pi * (away * time + generator.uniform()))
        elif fault == "carrier drift":
            made = made * np.exp(1j * np.pi * generator.uniform(-1, 1) * 1e-4 * time**2)
        else:
            made = made + 0.4
        found = estimate_symbol_rate(
            in_noise(made, generator.uniform(12, 25), samples_per_symbol, generator), 1.0
        )
        if found.confidence > 0.999:
            assert found.rate == pytest.approx(1 / samples_per_symbol, rel=0.002), number
        else:
            unclear += 1
    assert unclear <= 1


@pytest.mark.parametrize("kind", ["white noise", "noise in a filter", "FM", "AM"])
def test_what_has_no_symbol_rate_is_not_clear(kind: str) -> None:
    """Of 25 signals without a symbol rate, at most 1 is called clear."""
    clear = 0
    for number in range(25):
        generator = rng("no symbol rate", kind, number)
        count = 32_768
        audio = signal.lfilter(*signal.butter(2, generator.uniform(0.01, 0.05)), generator.normal(size=count))
        audio /= audio.std()
        if kind == "FM":
            samples = np.exp(1j * np.cumsum(generator.uniform(0.02, 0.3) * audio))
        elif kind == "AM":
            samples = (1 + 0.3 * audio).astype(complex)
        else:
            samples = noise(count, generator).astype(complex)
            if kind == "noise in a filter":
                samples = signal.lfilter(signal.firwin(101, generator.uniform(0.1, 0.9)), 1, samples)
                samples /= np.sqrt(np.mean(np.abs(samples) ** 2))
        found = estimate_symbol_rate(in_noise(samples, generator.uniform(15, 30), 1.0, generator), 1.0)
        clear += found.confidence > 0.999
    assert clear <= 1


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(AmrqError, match="silence"):
        estimate_symbol_rate(np.zeros(4096, np.complex64), 1e6)
    with pytest.raises(AmrqError, match="not finite"):
        estimate_symbol_rate(np.full(4096, np.nan, np.complex64), 1e6)
    with pytest.raises(AmrqError, match="cannot be found"):
        estimate_symbol_rate(np.ones(50, np.complex64), 1e6)
    with pytest.raises(AmrqError, match="cannot be found"):
        estimate_symbol_rate(np.ones(4096, np.complex64), 1e6, lowest=5e5, highest=4e5)


def test_a_signal_at_the_edge_of_the_band_has_no_clear_symbol_rate() -> None:
    """Its middle lies outside of what a channel can be cut out of: that is said, whatever stands beside it."""
    generator = rng("edge of the band")
    noise = generator.standard_normal(2 * 4096).astype(np.float32).view(np.complex64)
    edge = BandSignal(centre=-49_900.0, bandwidth=350.0, snr_db=10.0, power_db=-20.0)
    beside = BandSignal(centre=-48_600.0, bandwidth=900.0, snr_db=10.0, power_db=-20.0)
    for signals in ([edge], [edge, beside]):
        found = estimate_symbol_rate(noise, 100e3, signals=signals)
        assert found.confidence == 0 and found.reason == "the signal lies at the edge of the band"


def test_no_rate_is_above_the_highest_that_is_looked_for() -> None:
    """At two samples a symbol a line may lie between the values of its spectrum, above what can be received."""
    symbols = rng("two samples a symbol").choice([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j], 2000) / math.sqrt(2)
    samples = received_signal(symbols, samples_per_symbol=2.0, rolloff=0.5, es_n0_db=25.0, rng=rng("two"))
    for count in range(3000, 3200, 10):
        found = estimate_symbol_rate(samples[:count], 9600.0, highest=4800.0)
        assert not found.rate > 4800.0
        found = estimate_symbol_rate(samples[:count], 9600.0, highest=4799.0)
        assert not found.rate > 4799.0
