# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure a family may be that others look like."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng
from test_identify_families import said

from amrq.identify import case, look, look_alikes, received


@pytest.mark.parametrize(("share", "most"), [(0.0, 1.0), (0.2, 1.0), (0.4, 0.85), (0.9, 0.85)])
def test_symbols_about_a_carrier_may_be_its_keys(share: float, most: float) -> None:
    """Slow keys in noise were `linear` with .92: what they lack of a linear modulation is that it leaves no carrier."""
    found: Any = SimpleNamespace(
        look=SimpleNamespace(line=SimpleNamespace(share=share), changed=False),
        has=lambda name: False,
        received_already=lambda: SimpleNamespace(label=""),
    )
    assert look_alikes.most_of_alike(found, "linear") == most


@pytest.mark.parametrize("name", ["linear", "oqpsk", "pi4dqpsk"])
def test_symbols_that_come_again_may_be_chips(name: str) -> None:
    for again, most in ((False, 1.0), (True, 0.85)):
        spreading = SimpleNamespace(confidence=0.0, turned=0.0, again=again)
        line = SimpleNamespace(share=0.0)
        found: Any = SimpleNamespace(
            look=SimpleNamespace(line=line, spreading=spreading, envelope=0.4),
            has=lambda *names: names == ("spreading",),
            code=lambda: 0.0,
            received_already=lambda: SimpleNamespace(label=""),
        )
        assert look_alikes.most_of_alike(found, name) == most


@pytest.mark.parametrize("name", ["linear", "pi4dqpsk", "oqpsk"])
def test_a_leader_of_two_points_may_be_of_another_phase_keying(name: str) -> None:
    """8PSK with a leader was pi/4-DQPSK with .96: the lines of two points by turns are those of turns by eighths.

    pi/4-DQPSK was `linear` with .93.
    """
    for share, changed, most in ((0.2, True, 0.85), (0.2, False, 1.0), (0.0, True, 1.0)):
        look = SimpleNamespace(line=SimpleNamespace(share=share), changed=changed, envelope=0.4)
        found: Any = SimpleNamespace(
            look=look, has=lambda *names: False, received_already=lambda: SimpleNamespace(label="")
        )
        assert look_alikes.most_of_alike(found, name) == most


@pytest.mark.parametrize(("envelope", "most"), [(1.0, 1.0), (1.05, 1.0), (1.13, 0.85)])
def test_tones_in_an_envelope_that_varies_may_be_a_pattern_of_points(envelope: float, most: float) -> None:
    """OQPSK that sends one word again and again was 6FSK with .91."""
    found: Any = SimpleNamespace(look=SimpleNamespace(frequency_keying=SimpleNamespace(envelope=envelope)))
    assert look_alikes.most_of_alike(found, "fskm") == most


@pytest.mark.parametrize(
    ("label", "turn", "perhaps"), [("", -0.14, True), ("", 0.0, False), ("8PSK", 0.15, True)]
)
def test_faint_turns_by_eighths_leave_a_name_unsure(label: str, turn: float, perhaps: bool) -> None:
    """pi/4-DQPSK in noise, which fits no class, was `linear` with .9."""
    one = case.Case(SimpleNamespace())  # type: ignore[arg-type]
    one.__dict__["received"] = received.ReceivedLinear(label=label, best=label or "unknown", turn=(turn, 0.0))
    assert one.may_be_eighths() is perhaps


def _keys_by_hand(number: int) -> NDArray[np.complex64]:
    """Return 13 s of dots, dashes and gaps at 27 to 45 Bd in noise that is stronger than they are in 500 Hz."""
    random = rng("keys by hand", number)
    dot, marks = int(random.integers(45, 75)), random.choice([1, 3], 200)
    gaps = random.choice([1, 1, 1, 3, 3, 7], 200)
    lengths = np.stack([marks, gaps], axis=1).ravel() * dot
    keys = np.repeat(np.tile([1.0, 0.0], 200), lengths)[:26_000]
    keys = np.convolve(keys, np.hanning(21) / 10, "same")
    noise = random.normal(size=(len(keys), 2)) @ [0.8, 0.8j]
    return (keys * np.exp(0.02j * np.arange(len(keys))) + noise).astype(np.complex64)


def test_keys_by_hand_in_noise_and_a_wide_box_are_morse() -> None:
    """Noise draws on and off together, so that little proved them: they were `unknown`, or a carrier with .55."""
    found = [said(_keys_by_hand(number), 2000.0, 500.0, carrier=0.9) for number in range(6)]
    assert sum(one.label == "Morse" and one.confidence > 0.9 for one in found) >= 5


@pytest.mark.parametrize("place", [0.5, 0.02])
def test_a_line_over_its_floor_is_that_over_the_median_as_well(place: float) -> None:
    """The median, which takes time, is left out only where it changes nothing."""
    random = rng("look alikes", "floor", place)
    noise = random.normal(size=(2000, 2)) @ [1, 1j] * np.where(abs(np.arange(2000) - 1000) < 500, 1.0, 0.01)
    line = round(2000 * place)
    noise[line] += 20.0 * abs(noise[line])
    spectrum, places = np.fft.ifftshift(noise).astype(np.complex64), np.arange(2000)
    power = np.abs(np.fft.fftshift(spectrum).astype(np.complex128)) ** 2
    around = [np.clip(places - size // 2, 0, 2000 - size) for size in (65, 7)]
    sums = np.concatenate([[0.0], np.cumsum(power)])
    floor = (sums[around[0] + 65] - sums[around[0]] - sums[around[1] + 7] + sums[around[1]]) / 58
    due = (power / np.maximum(floor, 0.2 * np.median(power))).max()
    assert look._most_over_floor(spectrum, places) == pytest.approx(due, rel=1e-6)
