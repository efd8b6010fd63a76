# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture in FM: lines resemble each other and begin with a pulse; what else repeats itself is no picture."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.identify import identify_emission
from amrq.measure import VideoLines, measure_video_lines

RATE, WIDTH, COUNT = 24e6, 8e6, 16_384
DEVIATION = 2e6


def _sent(
    level: NDArray[np.float64], snr_db: float, generator: np.random.Generator
) -> tuple[NDArray[np.complex64], float]:
    """Return FM by a level of -1 to 1 in white noise, SNR in the bandwidth, and the noise's density."""
    density = 10 ** (-snr_db / 10) / WIDTH
    noise = generator.normal(size=(len(level), 2)) @ [1, 1j] * np.sqrt(density * RATE / 2)
    iq = np.exp(2j * np.pi * np.cumsum(DEVIATION * level) / RATE) + noise
    return np.asarray(iq, dtype=np.complex64), density


def _picture(lines: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return lines of a picture, ITU-R BT.470: sync pulses of 4.7 us at one end of the range."""
    time = np.arange(COUNT) / RATE + generator.random() / lines
    place, cell = time * lines % 1, np.linspace(0, 1, 24)
    grey = generator.uniform(-0.1, 1.0, 24)
    shade = np.interp(place, cell, grey) + 0.1 * np.sin(time * lines)
    return np.where(
        place < 4.7e-6 * lines, -1.0, np.where(place < 10.5e-6 * lines, -0.4, shade.clip(-0.4, 1))
    )


@pytest.mark.parametrize("lines", [15_625.0, 15_734.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_lines_of_a_picture_are_found(lines: float, sign: int) -> None:
    generator = rng("lines of a picture")
    iq, density = _sent(sign * _picture(lines, generator), 15.0, generator)
    found = measure_video_lines(iq, RATE, WIDTH)
    assert found.confidence > 0.9
    # A tenth of a sample of some 640 to 1,500 a line.
    assert found.line_rate == pytest.approx(lines, rel=1e-3)
    edges = (-WIDTH / 2, WIDTH / 2)
    named = identify_emission(iq, RATE, 10 * np.log10(density), edges, 15.0)
    assert (named.family, named.label) == ("fm_wide", "FM video")


@pytest.mark.parametrize("message", ["noise", "half a line", "sweep", "silence"])
def test_what_else_modulates_a_frequency_is_no_picture(message: str) -> None:
    generator = rng("no picture")
    time = np.arange(COUNT) / RATE
    level = {
        "noise": lambda: np.convolve(generator.normal(size=COUNT), np.hanning(9), "same") / 4,
        "half a line": lambda: np.sign(np.sin(2 * np.pi * 31_250 * time)),
        "sweep": lambda: 2 * (time * 15_625 % 1) - 1,
        "silence": lambda: np.zeros(COUNT),
    }[message]()
    found = measure_video_lines(_sent(level, 15.0, generator)[0], RATE, WIDTH)
    assert found.confidence <= (0.6 if message == "sweep" else 0.0)  # a sweep has the period alone


def test_what_is_short_or_narrow_says_nothing() -> None:
    assert measure_video_lines(np.ones(2000, np.complex64), RATE, WIDTH) == VideoLines()
    assert measure_video_lines(np.ones(COUNT, np.complex64), 100e3, 20e3) == VideoLines()
