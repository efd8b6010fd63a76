# SPDX-License-Identifier: GPL-3.0-or-later
"""A voice by its syllables and its pitch, in AM, FM and a single sideband; what is no voice is not called one.

Bounds: a voice of the module's generator is found in more than half of looks of half a second without noise; of 12
looks, 3 or fewer would be found once in 14 runs by chance were it half, so that fewer than 4 say that it is less.
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal
from seeds import rng
from test_identify_families import said

from amrq.errors import AmrqError
from amrq.measure import AudioKind, Voice, measure_am_modem, measure_voice
from amrq.signals.analog_families import _music, _tones, _voice

RATE, COUNT = 24e3, 14_400
TIME = np.arange(COUNT) / RATE
KINDS: tuple[AudioKind, ...] = ("am", "fm", "ssb")
WIDTH = {"am": 6e3, "fm": 10e3, "ssb": 2.7e3}


def _modulated(audio: NDArray[np.float64], kind: AudioKind) -> NDArray[np.complex64]:
    """Return audio on a carrier, or as an upper sideband whose middle is at 0 Hz; with little noise."""
    audio = audio / audio.std()
    if kind == "am":
        clean = np.maximum(1 + 0.25 * audio, 0) + 0j
    elif kind == "fm":
        clean = np.exp(2j * math.pi * np.cumsum(np.clip(1200 * audio, -4e3, 4e3)) / RATE)
    else:
        clean = signal.hilbert(audio) * np.exp(-2j * math.pi * 1600 * TIME)
    noise = rng("voice, noise", kind).normal(size=(COUNT, 2)) @ [0.01, 0.01j]
    return (clean + noise).astype(np.complex64)


@pytest.mark.parametrize("kind", KINDS)
def test_voices_are_found_and_nothing_else(kind: AudioKind) -> None:
    found = []
    for number in range(12):
        audio = _voice(rng("a voice", kind, number), COUNT, RATE, 300.0, 2900.0)
        found.append(measure_voice(_modulated(audio, kind), RATE, WIDTH[kind], kind, 2e-4 / RATE))
    voices = [one for one in found if one.likely > 0.5]
    assert len(voices) >= 4
    assert all(one.pitch is not None and 75 <= one.pitch <= 340 and not one.steady for one in voices)
    for number in range(6):
        random = rng("no voice", kind, number)
        for audio in (
            _music(random, COUNT, RATE, 300.0, 2900.0),
            _tones(random, COUNT, RATE, 300.0, 2900.0),
            np.sin(2 * np.pi * np.cumsum(np.repeat(random.choice([1200.0, 2200.0], 720), 20)) / RATE),
            np.sin(2 * math.pi * 800 * TIME) + random.normal(size=COUNT),
        ):
            assert measure_voice(_modulated(audio, kind), RATE, WIDTH[kind], kind).likely < 0.5


def test_a_level_that_stays_is_steady() -> None:
    random = rng("steady")
    keys = np.cumsum(np.repeat(random.choice([1200.0, 2200.0], 720), 20)) / RATE
    for kind in KINDS:
        found = measure_voice(_modulated(np.sin(2 * math.pi * keys), kind), RATE, WIDTH[kind], kind)
        assert found.steady and found.variation < 1


def test_what_is_short_or_nothing_tells_nothing() -> None:
    tone = np.exp(2j * math.pi * 300 * TIME).astype(np.complex64)
    for iq in (tone[:100], np.zeros(COUNT, np.complex64), np.full(COUNT, np.nan, np.complex64)):
        assert measure_voice(iq, RATE, 3e3, "ssb") == Voice()
    short = measure_voice(tone[:3_000], RATE, 3e3, "ssb")
    assert short.likely == 0 and not short.steady and short.pieces < 14
    for rate, width in ((0.0, 3e3), (RATE, 0.0), (math.nan, 3e3)):
        with pytest.raises(AmrqError, match="above 0 Hz"):
            measure_voice(tone, rate, width, "am")


def test_labels_say_what_is_inside() -> None:
    """Those of the first generator's voice that is found; a modem in AM; data in a single sideband by their clock."""
    voice = next(
        audio
        for number in range(12)
        if measure_voice(
            _modulated(audio := _voice(rng("a voice", "am", number), COUNT, RATE, 300.0, 2900.0), "am"),
            RATE,
            WIDTH["am"],
            "am",
        ).likely
        > 0.8
    )
    assert said(_modulated(voice, "am"), RATE, WIDTH["am"], am=0.9).label == "AM voice"
    assert said(_modulated(voice, "fm"), RATE, WIDTH["fm"], fm=0.9).label in ("NBFM voice", "unknown")
    assert said(_modulated(voice, "ssb"), RATE, WIDTH["ssb"], ssb=0.9).label in (
        "USB voice",
        "SSB voice",
        "unknown",
    )
    bits = rng("acars").choice([1200.0, 2400.0], 1440)
    keys = np.sin(2 * math.pi * np.cumsum(np.repeat(bits, 10)) / RATE)
    modem = said(_modulated(keys, "am"), RATE, WIDTH["am"], am=0.9)
    assert modem.label == "MSK2400 in AM"
    assert modem.details["inner_symbol_rate"].value == pytest.approx(2400, rel=0.02)
    assert measure_am_modem(np.ones(100, np.complex64), RATE, 6e3).tones is None
