# SPDX-License-Identifier: GPL-3.0-or-later
"""Classes of signals, their constellations and rendering, and sets of them."""

from typing import Any

import numpy as np
import pytest
from seeds import rng

from amrq.classes import (
    CLASS_SETS,
    LINEAR_CLASSES,
    OTHER_LINEAR,
    THESIS_9,
    LinearClass,
    NamedClass,
    SignalClass,
    class_set,
    linear_class,
    root_raised_cosine,
)
from amrq.errors import AmrqError
from amrq.signals import HELD_OUT_SIGNALS, OTHER_SIGNALS

ORDERS = {
    "4ASK": 4,
    "8ASK": 8,
    "BPSK": 2,
    "QPSK": 4,
    "8PSK": 8,
    "16PSK": 16,
    "8QAM": 8,
    "16QAM": 16,
    "32QAM": 32,
}


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    """The constellation turned, as a sorted set that rounding does not disturb."""
    return np.unique(np.round(points.astype(complex) * np.exp(1j * angle), 5) + 0.0)


def test_the_nine_classes_in_order() -> None:
    assert {name: entry.order for name, entry in THESIS_9.items()} == ORDERS
    assert list(THESIS_9) == list(ORDERS)


@pytest.mark.parametrize("name", ORDERS)
def test_unit_mean_power_zero_mean_distinct_points(name: str) -> None:
    points = linear_class(name).points
    assert points.dtype == np.complex64
    assert np.mean(np.abs(points) ** 2) == pytest.approx(1.0, abs=1e-6)
    assert abs(points.mean()) < 1e-6
    assert len(turned(points, 0.0)) == ORDERS[name] == 2 ** linear_class(name).bits_per_symbol


@pytest.mark.parametrize("name", ORDERS)
def test_symmetry_is_the_largest_that_holds(name: str) -> None:
    points, symmetry = linear_class(name).points, linear_class(name).symmetry
    holds = [
        m
        for m in range(1, 33)
        if (other := turned(points, 2 * np.pi / m)).shape == turned(points, 0).shape
        and np.abs(other - turned(points, 0)).max() < 1e-4
    ]
    assert max(holds) == symmetry


def test_known_points() -> None:
    # 16QAM's corner and 8QAM's (4 x 2 grid, mean power 6), 32QAM's outermost (5, 3) of mean power 20.
    assert np.abs(linear_class("16QAM").points).max() == pytest.approx(np.sqrt(18 / 10))
    assert np.abs(linear_class("8QAM").points).max() == pytest.approx(np.sqrt(10 / 6))
    assert np.abs(linear_class("32QAM").points).max() == pytest.approx(np.sqrt(34 / 20))
    assert np.abs(linear_class("8ASK").points.real).max() == pytest.approx(7 / np.sqrt(21))


def test_points_cannot_be_changed_and_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError):
        linear_class("BPSK").points[0] = 0
    with pytest.raises(AmrqError, match=r"'65QAM'.*BPSK"):
        linear_class("65QAM")


@pytest.mark.parametrize("member", LINEAR_CLASSES.values(), ids=LINEAR_CLASSES)
def test_every_named_class_has_unit_power_and_the_symmetry_that_it_says(member: LinearClass) -> None:
    assert np.mean(np.abs(member.points) ** 2) == pytest.approx(1.0, abs=1e-5)
    assert LinearClass.of(member.name, member.points * 3.7).symmetry == member.symmetry
    assert member.mirrored


def test_symmetry_and_mirror_images_are_found() -> None:
    star = LinearClass.of("star", [0, 1, 1j, -1, -1j])
    assert (star.symmetry, star.order, star.mirrored, star.family) == (4, 5, True, "linear")
    triangle = LinearClass.of("triangle", np.exp(2j * np.pi * np.arange(3) / 3))
    assert (triangle.symmetry, triangle.mirrored) == (3, True)
    assert not LinearClass.of("turned", triangle.points * np.exp(0.2j)).mirrored
    assert LinearClass.of("flag", [1, 1j, -1, -1j, 2]).symmetry == 1
    assert LINEAR_CLASSES["OQPSK"].family == "oqpsk" and LINEAR_CLASSES["pi/4-DQPSK"].family == "pi4dqpsk"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("", [1, -1]), "name of a class is empty"),
        (("x" * 65, [1, -1]), "65 characters"),
        (("one", [1]), "2 to 1,024 points"),
        (("flat", [[1, -1], [1j, -1j]]), "2 to 1,024 points"),
        (("twice", [1, -1, 1]), "the same point twice"),
        (("endless", [1, np.inf]), "not finite"),
        (("nothing", [0, 0]), "mean power"),
        (("wrong", [1, -1, 1j, -1j], 8), "a symmetry of 4, not of 8"),
    ],
)
def test_what_is_no_constellation(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(AmrqError, match=words):
        LinearClass.of(*arguments)


def test_seeds_come_from_the_name() -> None:
    assert [member.stream for member in THESIS_9.members] == list(range(9))
    moved = class_set(["32QAM", "4ASK"])
    assert [member.stream for member in moved.members] == [8, 0]
    others = [member.stream for member in OTHER_LINEAR.members]
    assert len(set(others)) == len(others) and min(others) >= 9
    assert LinearClass.of("mine", [1, -1]).stream == LinearClass.of("mine", [1, 1j]).stream


@pytest.mark.parametrize("rate", [1.0, 2.5, 4.0])
@pytest.mark.parametrize("name", ["QPSK", "16QAM", "pi/4-DQPSK"])
def test_a_class_renders_itself_at_any_rate(name: str, rate: float) -> None:
    member = LINEAR_CLASSES[name]
    made = member.render(rng("render", name), 40, 300, rate)
    assert made.shape == (40, 300) and made.dtype == np.complex64
    assert np.mean(np.abs(made) ** 2) == pytest.approx(1.0, rel=0.05)
    # Occupied: nearly all power lies within (1 + roll-off) of the symbol rate.
    spectrum = np.mean(np.abs(np.fft.fft(made * np.hanning(300), axis=1)) ** 2, axis=0)
    inside = np.abs(np.fft.fftfreq(300)) <= (1 + 0.35) / 2 / rate + 2 / 300
    assert spectrum[inside].sum() > 0.99 * spectrum.sum()
    assert not np.array_equal(made[0], made[1])


def test_rendered_symbols_are_those_of_the_constellation() -> None:
    bare = THESIS_9["8PSK"].render(rng("bare"), 3, 500)
    assert set(np.unique(bare)) == set(THESIS_9["8PSK"].points)
    # Through the matched filter at its own times, what comes out is the constellation again.
    rate = 32
    made = THESIS_9["BPSK"].render(rng("matched"), 4, 8000, rate)
    taps = root_raised_cosine(np.arange(-12 * rate, 12 * rate + 1) / rate, 0.35) / rate
    for piece in made:
        received = np.convolve(piece, taps, "valid")
        spread = [np.std(np.abs(received[k::rate].real)) for k in range(rate)]
        assert min(spread) < 0.05
    for broken, words in ((0.5, "at least 1"), (np.nan, "at least 1")):
        with pytest.raises(AmrqError, match=words):
            THESIS_9["BPSK"].render(rng("rate"), 1, 10, broken)
    with pytest.raises(AmrqError, match="more than 1"):
        LINEAR_CLASSES["OQPSK"].render(rng("rate"), 1, 10)
    assert LINEAR_CLASSES["OQPSK"].render(rng("rate"), 2, 10, 2.0).shape == (2, 10)
    with pytest.raises(AmrqError, match="only the name"):
        NamedClass("GMSK").render(rng("rate"), 1, 10)


def test_other_signals_are_classes_too() -> None:
    for kind in (*OTHER_SIGNALS.values(), *HELD_OUT_SIGNALS.values()):
        assert isinstance(kind, SignalClass) and kind.family
        made = kind.render(rng("others"), 2, 16)
        assert made.shape == (2, 16) and np.mean(np.abs(made) ** 2) == pytest.approx(1.0, abs=1e-3)
        with pytest.raises(AmrqError, match="one sample a symbol"):
            kind.render(rng("others"), 2, 16, 4.0)


def test_sets_are_ordered_named_and_hashable() -> None:
    ten = class_set(["thesis-9", "64QAM"], name="ten")
    assert list(ten)[-2:] == ["32QAM", "64QAM"] and ten.name == "ten" and len(ten) == 10
    assert ten.index("64QAM") == 9 and "64QAM" in ten and "64QAM" not in THESIS_9
    assert class_set(list(THESIS_9)) == THESIS_9 and class_set(list(THESIS_9)).name == "thesis-9"
    assert next(reversed(ten)) == "64QAM"
    assert {THESIS_9: 1}[class_set("thesis-9")] == 1
    assert class_set(["QPSK", "BPSK"]) != class_set(["BPSK", "QPSK"])
    own = LinearClass.of("QPSK", [1, 1j, -1, -1j])
    assert class_set(["QPSK", "BPSK"], {"QPSK": own}) != class_set(["QPSK", "BPSK"])
    for names, words in (
        ([], "at least one class"),
        (["QPSK", "thesis-9"], "QPSK twice"),
        (["65QAM"], "'65QAM' is neither a class nor a class set"),
    ):
        with pytest.raises(AmrqError, match=words):
            class_set(names)
    with pytest.raises(AmrqError, match=r"no class '64QAM' in thesis-9: choose from 4ASK"):
        THESIS_9.find("64QAM")
    assert CLASS_SETS["other-linear"] is OTHER_LINEAR


@pytest.mark.filterwarnings("error")
def test_points_beyond_all_power_are_refused() -> None:
    with pytest.raises(AmrqError, match="a mean power of inf, which cannot be sent"):
        LinearClass.of("far", [1e200, 1j])
