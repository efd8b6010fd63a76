# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver's own faults in the samples: removed where they are seen, and reported."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import THESIS_9
from amrq.measure import Cleaner, InputReport
from amrq.signals import received_signal

COUNT = 65_536


def received(name: str, offset: float, generator: np.random.Generator) -> NDArray[np.complex64]:
    points = np.array([0, np.sqrt(2)]) if name == "OOK" else THESIS_9[name].points
    symbols = generator.choice(points, COUNT // 4 + 40)
    return received_signal(symbols, 4.0, 0.35, 20.0, generator, offset)[:COUNT].astype(np.complex64)


def cleaned(
    samples: NDArray[np.complex64], cuts: list[int] | None = None
) -> tuple[NDArray[np.complex64], InputReport]:
    cleaner = Cleaner(40e3)
    parts = [cleaner.process(part) for part in np.split(samples, cuts or [])]
    return np.concatenate([*parts, cleaner.finish()]), cleaner.report()


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "4ASK", "8ASK", "16QAM"])
@pytest.mark.parametrize("offset", [0.0, 0.01, 0.25])
def test_a_clean_signal_stays_as_it_is(name: str, offset: float) -> None:
    samples = received(name, offset, rng("clean", name, str(offset)))
    after, report = cleaned(samples)
    assert report == InputReport()
    np.testing.assert_array_equal(after, samples)


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "16QAM"])
@pytest.mark.parametrize("line_db", [-20.0, -8.0, -6.0])
def test_a_line_at_0_hz_is_removed(name: str, line_db: float) -> None:
    samples = received(name, 0.01, rng("line", name, str(line_db)))
    line = np.complex64(10 ** (line_db / 20) * np.sqrt(np.mean(np.abs(samples) ** 2)) * np.exp(1j))
    after, report = cleaned(samples + line)
    assert report.dc_db == pytest.approx(line_db, abs=1.5) and report.dc_removed
    assert np.mean(np.abs(after - samples) ** 2) < 2e-3 * np.mean(np.abs(samples) ** 2)


def test_a_carrier_that_is_the_signals_own_is_left() -> None:
    samples = received("OOK", 0.0, rng("OOK"))
    after, report = cleaned(samples)
    assert not report.dc_removed
    np.testing.assert_array_equal(after, samples)


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "16QAM"])
@pytest.mark.parametrize("offset", [0.0, 0.01, 0.25, 1.0])
def test_an_image_is_removed(name: str, offset: float) -> None:
    samples = received(name, offset, rng("image", name, str(offset)))
    image = np.complex64(0.07 * np.exp(2j))
    after, report = cleaned(samples + image * np.conj(samples))
    assert report.image_db == pytest.approx(-23.1, abs=1.5)
    assert np.mean(np.abs(after - samples) ** 2) < 2.5e-4 * np.mean(np.abs(samples) ** 2)  # 5e-3 before


@pytest.mark.parametrize("image_db", [-20.0, -16.0])
def test_an_image_of_the_signal_alone_is_removed(image_db: float) -> None:
    random = rng("image without noise's", str(image_db))
    sent = random.choice(THESIS_9["16QAM"].points, 4_000)
    samples = received_signal(sent, 6.0, 0.35, 60.0, random, offset=0.01)
    noise = (random.standard_normal((len(samples), 2)) * math.sqrt(6 / 200)).astype(np.float32)
    image = np.complex64(10 ** (image_db / 20) * np.exp(1j))
    report = cleaned(samples + image * np.conj(samples) + noise.view(np.complex64)[:, 0])[1]
    assert report.image_db == pytest.approx(image_db, abs=1.5)


@pytest.mark.parametrize("turns", [0.1, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("name", ["BPSK", "8QAM"])
def test_a_signal_of_one_dimension_is_no_image_whatever_its_carrier(name: str, turns: float) -> None:
    random = rng("no image", name, str(turns))
    sent = random.choice(THESIS_9[name].points, 10_000)
    # The spectra of 1,024 samples see its square turn so many times.
    samples = received_signal(sent, 4.0, 0.35, 20.0, random, offset=turns / 2048 * 4.0)
    assert cleaned(samples)[1].image_db is None


def test_clipping_is_reported() -> None:
    samples = received("8PSK", 0.01, rng("clipping"))
    rail = 0.7
    clipped = np.clip(samples.real, -rail, rail) + 1j * np.clip(samples.imag, -rail, rail)
    share = cleaned(clipped.astype(np.complex64))[1].clipped_share
    assert share is not None and 0.1 < share < 1
    assert cleaned(samples)[1].clipped_share is None


def test_a_weak_signal_of_a_few_levels_does_not_clip() -> None:
    samples = received("QPSK", 0.01, rng("few levels"))
    step = float(np.abs(samples.real).max()) / 3.5
    levels = (np.round(samples.real / step - 0.5) + 0.5) + 1j * (np.round(samples.imag / step - 0.5) + 0.5)
    assert cleaned(levels.astype(np.complex64))[1].clipped_share is None


def test_the_result_does_not_depend_on_how_the_stream_is_cut() -> None:
    samples = received("QPSK", 0.01, rng("cuts")) + np.complex64(0.4)
    whole, _ = cleaned(samples)
    parts, _ = cleaned(samples, [1, 17, 5000, 16_384, 50_000])
    np.testing.assert_array_equal(whole, parts)


def test_the_callers_memory_may_be_used_again() -> None:
    """GNU Radio's buffers are."""
    generator = rng("cleaning memory")
    sent = (generator.normal(size=40_000) + 1j * generator.normal(size=40_000)).astype(np.complex64)
    whole = Cleaner(1e6)
    expected = np.concatenate([whole.process(sent), whole.finish()])
    cleaner, buffer, parts = Cleaner(1e6), np.empty(4_000, np.complex64), []
    for start in range(0, 40_000, 4_000):
        buffer[:] = sent[start : start + 4_000]
        parts.append(cleaner.process(buffer))
    np.testing.assert_array_equal(np.concatenate([*parts, cleaner.finish()]), expected)
