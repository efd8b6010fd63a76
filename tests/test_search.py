# SPDX-License-Identifier: GPL-3.0-or-later
"""The signal that is taken from a band: its place and its symbol rate."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import linear_class
from amrq.errors import AmrqError
from amrq.identify import (
    FoundSignal,
    SignalSearch,
    find_in_windows,
    find_signal,
    found_text,
    input_texts,
    signals_text,
    unclear_text,
)
from amrq.measure import BandSignal, InputReport, SymbolRate
from amrq.signals import received_signal

RATE = 250e3
COUNT = 1 << 17


def sent(name: str, symbol_rate: float, offset: float, power_db: float = 0.0) -> NDArray[np.complex64]:
    """Return a signal of a class at a place in the band, without noise."""
    generator = rng("search", name, offset)
    per_symbol = RATE / symbol_rate
    symbols = generator.choice(linear_class(name).points, int(COUNT / per_symbol) + 60)
    samples = received_signal(symbols, per_symbol, 0.35, 60.0, generator)[:COUNT]
    turned = samples * np.exp(2j * np.pi * offset / RATE * np.arange(COUNT)) * 10 ** (power_db / 20)
    return turned.astype(np.complex64)


def noise(power: float, *name: object) -> NDArray[np.complex64]:
    generator = rng("search noise", *name)
    return (np.sqrt(power / 2) * (generator.normal(size=COUNT) + 1j * generator.normal(size=COUNT))).astype(
        np.complex64
    )


TWO = sent("QPSK", 25e3, 40e3) + sent("8PSK", 9_615.4, -60e3, -3) + noise(0.05, "two")


def rate_of(found: FoundSignal) -> float:
    assert found.symbol_rate is not None
    return found.symbol_rate.rate


def test_the_strongest_signal_is_taken_and_the_others_are_named() -> None:
    found = find_signal(TWO, RATE)
    assert found.sure and rate_of(found) == pytest.approx(25e3, rel=2e-3)
    assert found.offset == pytest.approx(40e3, abs=0.03 * 25e3)
    text = found_text(found, SignalSearch())
    assert text.startswith("2 signals: ") and "kHz (" in text and "an offset chooses another" in text
    assert "at -6" in text or "at -5" in text


def test_an_offset_chooses_the_signal_nearest_to_it() -> None:
    """Nearby is enough: its exact middle is found."""
    for offset in (-60e3, -57e3, -64e3):
        found = find_signal(TWO, RATE, SignalSearch(offset))
        assert found.offset == pytest.approx(-60e3, abs=0.05 * 9_615.4)
        assert found.sure and rate_of(found) == pytest.approx(9_615.4, rel=2e-3)
    nowhere = find_signal(TWO, RATE, SignalSearch(100e3, symbol_rate=10e3))
    assert (nowhere.offset, nowhere.chosen) == (100e3, None)
    assert "no signal stands out at 100 kHz; 2 signals" in found_text(nowhere, SignalSearch(100e3))


def test_a_symbol_rate_chooses_the_signal_that_it_fits_and_is_corrected() -> None:
    for given in (9_615.4, 9_450.0, 9_790.0):
        found = find_signal(TWO, RATE, SignalSearch(symbol_rate=given))
        assert found.offset == pytest.approx(-60e3, abs=0.05 * 9_615.4)
        assert rate_of(found) == pytest.approx(9_615.4, rel=1e-4) and found.given == given
        assert found.corrected == (given != 9_615.4)


def test_a_given_symbol_rate_stays_where_no_other_is_clear() -> None:
    found = find_signal(noise(1.0), RATE, SignalSearch(symbol_rate=10e3))
    assert found.symbol_rate == SymbolRate(10e3, 1.0) and found.sure and not found.corrected
    assert (found.offset, found.chosen, found.signals) == (0.0, None, ())


def test_a_signal_without_symbol_rate_gives_way_to_a_weaker_one_that_has_one() -> None:
    tone = 2 * np.exp(2j * np.pi * 0.3 * np.arange(COUNT)).astype(np.complex64)
    found = find_signal(sent("QPSK", 25e3, -30e3) + tone + noise(0.02, "tone"), RATE)
    assert found.sure and found.offset == pytest.approx(-30e3, abs=750)
    assert found.signals[0].centre == pytest.approx(75e3, abs=300)


def test_noise_has_no_signal_and_no_symbol_rate() -> None:
    found = [find_signal(noise(1.0, n), RATE) for n in range(20)]
    assert not any(one.sure or one.signals for one in found)
    assert "not clear" in unclear_text(found[0])
    assert signals_text(found[0]) == "no signal stands out of the noise"


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(5000, np.complex64), "all samples are zero"),
        (np.full(5000, np.nan, np.complex64), "no sample is a finite number"),
        (np.ones(200, np.complex64), "200 samples"),
        (np.zeros(0, np.complex64), "0 samples"),
    ],
)
def test_why_nothing_can_be_found(samples: NDArray[np.complex64], words: str) -> None:
    for real in (False, True):
        assert words in unclear_text(find_signal(samples, 40e3, SignalSearch(real=real)))


@pytest.mark.parametrize("count", [256, 300, 1000, 20_000])
def test_a_constant_has_no_symbol_rate(count: int) -> None:
    for sign in (1.0, -1.0):  # at 0 Hz, and at the edge of the band
        found = find_signal((sign ** np.arange(count)).astype(np.complex64), 40e3)
        assert not found.sure and "not clear" in unclear_text(found)


def test_real_samples_are_searched_above_0_hz() -> None:
    real = sent("QPSK", 12.5e3, 30e3).real
    spectrum = np.fft.fft(real + 0.05 * noise(1.0, "real").real)
    spectrum[COUNT // 2 :] = 0
    found = find_signal(np.fft.ifft(2 * spectrum).astype(np.complex64), RATE, SignalSearch(real=True))
    assert found.offset == pytest.approx(30e3, abs=375) and rate_of(found) == pytest.approx(12.5e3, rel=2e-3)
    assert found.chosen is not None and found.chosen.centre == found.offset and found.report is None


def test_samples_that_are_not_finite_do_no_harm() -> None:
    samples = TWO.copy()
    samples[::5000] = np.nan
    samples[7], samples[8] = np.inf, 3e38
    found = find_signal(samples, RATE)
    assert found.sure and rate_of(found) == pytest.approx(25e3, rel=2e-3)
    assert find_signal(samples[:0], RATE).symbol_rate is None
    for value in (3e38, 1e-42, 0.0):
        assert not find_signal(np.full(4_000, value, np.complex64), RATE).sure


def test_windows_are_asked_for_until_the_signal_is_clear() -> None:
    asked: list[int] = []

    def windows() -> object:
        for number, samples in enumerate([noise(0.05, 1), noise(0.05, 2), TWO, TWO]):
            asked.append(number)
            yield samples

    found = find_in_windows(windows(), RATE, SignalSearch())  # type: ignore[arg-type]
    assert found.sure and asked == [0, 1, 2]
    assert not find_in_windows([], RATE, SignalSearch()).sure


def test_what_is_found_as_expected_needs_no_words() -> None:
    one = BandSignal(200.0, 10e3, 20.0, -3.0)
    found = FoundSignal(200.0, SymbolRate(8e3, 1.0), None, (one,), one)
    assert found_text(found, SignalSearch()) == ""
    far = BandSignal(20e3, 10e3, 20.0, -3.0)
    found = FoundSignal(20e3, SymbolRate(8e3, 1.0), None, (far,), far)
    assert found_text(found, SignalSearch()) == "the signal is at 20 kHz"
    assert found_text(found, SignalSearch(offset=20.1e3)) == ""


def test_weak_signals_are_counted_alone() -> None:
    signals = (BandSignal(0.0, 10e3, 40.0, 0.0), *(BandSignal(1e4 * n, 1e3, 5.0, -35.0) for n in range(1, 4)))
    assert (
        signals_text(FoundSignal(signals=signals))
        == "1 signal: 10 kHz wide at 0 Hz (40 dB) and 3 weaker ones"
    )


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (None, ()),
        (InputReport(), ()),
        (InputReport(clipped_share=0.12), ("clips: 12 % of the samples",)),
        (InputReport(dc_db=-8.0, dc_removed=True), ("line at 0 Hz, -8 dB",)),
        (InputReport(dc_db=-3.0), ()),  # the carrier of a signal
        (InputReport(image_db=-20.0), ("image at -20 dB",)),
        (InputReport(image_db=-40.0), ()),
    ],
)
def test_what_is_wrong_with_the_input_is_said(report: InputReport | None, words: tuple[str, ...]) -> None:
    texts = input_texts(report)
    assert len(texts) == len(words) and all(a in b for a, b in zip(words, texts, strict=True))


def test_a_range_of_symbol_rates_must_be_one() -> None:
    with pytest.raises(AmrqError, match="lowest must be at least 0 and below the highest"):
        SignalSearch(lowest=10e3, highest=5e3)


def test_where_both_are_given_a_middle_that_is_cut_or_too_wide_moves_nothing() -> None:
    """A filter at the band's edge, or a neighbour, moves the middle of what is seen."""
    whole = sent("QPSK", 25e3, 40e3) + noise(0.05, "cut")
    spectrum = np.fft.fft(whole)
    frequencies = np.fft.fftfreq(COUNT, 1 / RATE)
    spectrum[(frequencies > 44e3) & (frequencies < 70e3)] = 0
    cut = np.fft.ifft(spectrum).astype(np.complex64)
    assert find_signal(cut, RATE, SignalSearch(40e3, 25e3)).offset == 40e3
    assert find_signal(whole, RATE, SignalSearch(34e3, 25e3)).offset == pytest.approx(40e3, abs=750)


def test_no_symbol_rate_is_found_that_cannot_be_received() -> None:
    found = find_signal(sent("QPSK", 0.6 * RATE, 0.0) + noise(0.05, "fast"), RATE)
    assert not found.sure or rate_of(found) <= RATE / 2
