# SPDX-License-Identifier: GPL-3.0-or-later
"""Sidebands of a carrier: what mirrors itself about it is modulation; what lies there by chance is a neighbour."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal
from seeds import rng

from amrq.scan import mirrored_sidebands as sidebands_module
from amrq.scan import survey_recording

RATE, CARRIER, COUNT = 48e3, 5_000.0, 96_000
mirrored_sidebands = sidebands_module.mirrored_sidebands


class Samples:
    """Samples in memory, as a recording."""

    def __init__(self, iq: np.ndarray) -> None:
        self.iq, self.length = iq.astype(np.complex64), len(iq)

    def read(self, start: int, count: int, /) -> np.ndarray:
        return self.iq[start : start + count]


def audio(name: str) -> np.ndarray:
    """Noise of 300 to 3,000 Hz, of unit power."""
    band = signal.butter(4, (300, 3000), "band", fs=RATE, output="sos")
    made = signal.sosfilt(band, rng("mirrored", name).standard_normal(COUNT))
    return made / made.std()


def received(baseband: np.ndarray, snr_db: float, *path: str) -> np.ndarray:
    """Return a carrier that is modulated by something, with noise; its power is over that in 6 kHz."""
    noise = rng("mirrored", "noise", *path).standard_normal((COUNT, 2)) @ [1, 1j]
    at = np.exp(2j * np.pi * CARRIER / RATE * np.arange(COUNT))
    return 0.1 * (baseband * at + np.sqrt(10 ** (-snr_db / 10) * RATE / 6e3 / 2) * noise)


def found(iq: np.ndarray) -> sidebands_module.MirroredSidebands | None:
    return mirrored_sidebands(Samples(iq).read, [(0, COUNT)], RATE, (CARRIER - 20, CARRIER + 20))


@pytest.mark.parametrize(
    ("kind", "modulated"),
    [("am", lambda voice: 1 + 0.2 * voice), ("fm", lambda voice: np.exp(0.2j * voice))],
)
def test_modulation_is_told_from_its_sidebands_below_the_noise(
    kind: str, modulated: Callable[[np.ndarray], np.ndarray]
) -> None:
    # 14 dB below the carrier and as wide as the noise: at 12 dB they are 2 dB below it.
    sidebands = found(received(modulated(audio("voice")), 12.0, kind))
    assert sidebands is not None and sidebands.kind == kind
    assert abs(sidebands.centre - CARRIER) < 2 and 2000 < sidebands.reach < 5000
    assert sidebands.share == pytest.approx(0.04, rel=0.4)


def test_a_stronger_neighbour_on_one_side_hides_no_sidebands() -> None:
    beside = 3 * np.exp(2j * np.pi * np.cumsum(6000 + 800 * np.sign(audio("neighbour"))) / RATE)
    sidebands = found(received(1 + 0.2 * audio("voice") + beside, 12.0, "beside"))
    assert sidebands is not None and sidebands.kind == "am"
    assert found(received(1 + beside, 12.0, "beside a carrier")) is None


@pytest.mark.parametrize(
    "beside", ["one sideband", "two of different voices", "two tones", "nothing", "an image"]
)
def test_neighbours_of_a_carrier_are_none(beside: str) -> None:
    one, other = signal.hilbert(audio("one")), signal.hilbert(audio("other"))
    at = np.arange(COUNT) / RATE
    added = {
        "one sideband": 0.3 * one,
        "two of different voices": 0.3 * (one + other.conj()),
        "two tones": 0.3 * (np.exp(2j * np.pi * 1000 * at) + np.exp(-2j * np.pi * 1013.7 * at)),
        "nothing": 0 * one,
        "an image": 0.3 * (one + 0.03 * one.conj()),
    }[beside]
    assert found(received(1 + added, 25.0, beside)) is None


def test_a_keyed_carrier_has_sidebands_that_say_nothing() -> None:
    keys = np.repeat(rng("mirrored", "keys").integers(2, size=COUNT // 2400), 2400)
    assert found(received(keys.astype(complex), 25.0, "keyed")) is None


def test_a_carrier_whose_sidebands_were_not_found_is_no_sure_carrier() -> None:
    survey = survey_recording(Samples(received(1 + 0.2 * audio("voice"), 15.0, "survey")), RATE)
    assert survey.main is not None
    assert survey.main.family == "am" or survey.main.confidence <= 0.85
