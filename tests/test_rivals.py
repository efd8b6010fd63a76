# SPDX-License-Identifier: GPL-3.0-or-later
"""Constellations that look like a class's: they are found, and a name is no surer than they allow."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import THESIS_9, LinearClass, linear_class
from amrq.decision import Decision, DecisionChecker, answer_text, point_scores
from amrq.decision import rivals as rivals_module
from amrq.decision.rivals import _log_density, _table_of
from amrq.scan import EmissionRecord, Survey

CHECKER = DecisionChecker(THESIS_9.members)


def received(points: NDArray[np.complexfloating], es_n0_db: float, *seed: object) -> NDArray[np.complex64]:
    """Return 32 chunks of unit power with white noise and a carrier that wanders a little."""
    generator = rng("rivals", *seed)
    sent = generator.choice(points, (32, 32))
    noise = generator.standard_normal((32, 64)).view(np.complex128) * 10 ** (-es_n0_db / 20) / math.sqrt(2)
    phase = generator.uniform(0, 2 * np.pi) + np.cumsum(generator.normal(0, 0.02, 32))
    z = (sent + noise) * np.exp(1j * phase)[:, None]
    return (z / np.sqrt(np.mean(np.abs(z) ** 2))).astype(np.complex64)


def checked(name: str, sent: str, es_n0_db: float, number: int, threshold: float = 0.75) -> Decision:
    decision = Decision(name, 0.995, name, {name: math.log(0.995)}, 32, 0, 1024, es_n0_db, 0.0, "named")
    chunks = received(linear_class(sent).points, es_n0_db, name, sent, es_n0_db, number)
    return CHECKER.check(decision, chunks, es_n0_db, threshold)


@pytest.mark.parametrize(
    ("sent", "called"),
    [("16ASK", "8ASK"), ("32PSK", "16PSK"), ("128QAM", "32QAM"), ("32APSK (4+12+16)", "32QAM")],
)
def test_what_cannot_be_told_apart_gets_no_sure_name(sent: str, called: str) -> None:
    for number in range(3):
        found = checked(called, sent, 10.0, number)
        assert found.reason != "named" or (found.confidence <= 0.9 and found.alike)


@pytest.mark.parametrize(("name", "other"), [("8ASK", "16ASK"), ("16PSK", "32PSK"), ("32QAM", "128QAM")])
def test_a_name_stays_where_others_look_alike_and_is_sure_where_they_do_not(name: str, other: str) -> None:
    """At 8 dB some 1,000 symbols differ by less than a nat; at 18 dB by more than 100."""
    found = [checked(name, name, 8.0, number) for number in range(3)]
    assert {one.label for one in found} == {name}
    assert all(one.confidence == pytest.approx(0.8, abs=0.05) and one.alike for one in found)
    assert any(other in one.alike for one in found)
    clear = checked(name, name, 18.0, 0)
    assert (clear.label, clear.confidence, clear.alike) == (name, 0.995, ())


def test_few_points_are_told_from_all_others_at_10_db() -> None:
    for name in ("QPSK", "8PSK", "4ASK"):
        found = checked(name, name, 10.0, 0)
        assert (found.label, found.confidence, found.alike) == (name, 0.995, ())


def test_a_user_who_wants_more_certainty_gets_no_name() -> None:
    found = checked("8ASK", "8ASK", 8.0, 0, threshold=0.9)
    assert (found.reason, found.label, found.best) == ("unsure", "unknown", "8ASK")
    assert found.confidence <= 0.81 and found.alike


def test_a_rival_that_is_likelier_refutes_the_name() -> None:
    """5ASK and 8ASK differ by some 55 nats in 1,000 symbols at 12 dB."""
    five = LinearClass.of("5ASK", np.arange(5.0) - 2)
    near = rivals_module.Rivals(THESIS_9.members)
    z = received(five.points, 11.0, "five")
    upright = z * np.exp(-0.5j * np.angle((z**2).sum(axis=1)))[:, None]
    found = near.compared(linear_class("8ASK"), upright.astype(np.complex64), 11.0)
    assert max(found, key=lambda name: found[name]) in ("5ASK", "6ASK") and found["5ASK"] > 5


def test_what_a_model_knows_is_no_rival() -> None:
    own = [*THESIS_9.members, LinearClass.of("sixteen levels", np.arange(16.0) - 7.5)]
    symbols = received(linear_class("8ASK").points, 8.0, "known")
    assert "16ASK" in rivals_module.Rivals(THESIS_9.members).compared(linear_class("8ASK"), symbols, 8.0)
    assert "16ASK" not in rivals_module.Rivals(own).compared(linear_class("8ASK"), symbols, 8.0)


def test_divergence_is_the_mean_difference_of_log_densities() -> None:
    """By drawing symbols of the class: 20,000 of 8ASK at 12 dB, against 16ASK."""
    names = ("16ASK",)
    own, level = linear_class("8ASK").points.astype(np.complex128), 12
    table = _table_of(own.tobytes(), level, names)
    generator = rng("rivals, divergence")
    noise = (
        generator.standard_normal((20_000, 2)).view(np.complex128)[:, 0] * 10 ** (-level / 20) / math.sqrt(2)
    )
    z = (generator.choice(own, 20_000) + noise) / math.sqrt(1 + 10 ** (-level / 10))
    other = linear_class("16ASK").points.astype(np.complex128)
    apart = log_density(z, own, level) - log_density(z, other, level)
    error = float(apart.std()) / math.sqrt(len(z))
    # The table's rival has the noise level at which it is nearest, in steps of half a dB.
    assert -1e-3 < table.divergence[0] < float(apart.mean()) + 4 * error


def log_density(
    z: NDArray[np.complex128], points: NDArray[np.complex128], level: float
) -> NDArray[np.float64]:
    """Return the logarithm of the mean of Gaussians about points, at z [N]."""
    amplitude, noise = point_scores.level_scale(level)
    density = np.exp(-(np.abs(z[:, None] - amplitude * points) ** 2) / noise).mean(axis=1) / (math.pi * noise)
    return np.asarray(np.log(density), np.float64)


def test_densities_in_cells_are_means_of_gaussians() -> None:
    middle, points = np.linspace(-1.9, 1.9, 21), linear_class("32QAM").points.astype(np.complex128)
    z = (middle[:, None] + 1j * middle).ravel()
    for level in (-2.0, 11.0, 18.0):
        assert _log_density(middle, points, level)[0] == pytest.approx(
            log_density(z, points, level), abs=1e-9
        )


def test_derivatives_of_densities_are_those_of_small_steps() -> None:
    middle = np.array([0.3, -1, 0.01])
    points, step = linear_class("32QAM").points.astype(np.complex128), 1e-4
    _, by_level, by_phase = _log_density(middle, points, 11.0)
    up, down = (_log_density(middle, points, 11.0 + side * step)[0] for side in (1, -1))
    assert by_level == pytest.approx((up - down) / (2 * step), abs=1e-5)
    up, down = (_log_density(middle, points * np.exp(1j * side * step), 11.0)[0] for side in (1, -1))
    assert by_phase == pytest.approx((up - down) / (2 * step), abs=1e-5)


def test_other_families_with_the_same_symbols_make_a_name_less_sure() -> None:
    shares = {"linear": 0.53, "pi4dqpsk": 0.38, "dsss": 0.01, "unknown": 0.05, "ofdm": 0.03}
    record = EmissionRecord(1, 0, 9, 0, 9, 0, 1, 0, 0, family="linear", label="QPSK", families=shares)
    most, names = Survey(10e3, 100, main=record).beside_linear()
    assert most == pytest.approx(0.53 / 0.92) and names == ("pi/4-DQPSK",)
    decision = Decision("QPSK", 1.0, "QPSK", {"QPSK": 0.0}, 32, 0, 1024, 15.0, 0.0, "named")
    found = decision.limited(most, names, 0.75)
    assert (found.reason, found.best, found.alike) == ("unsure", "QPSK", names)
    assert answer_text(found.reason, found.best, alike=found.alike) == "unsure, perhaps QPSK"
    assert Survey(10e3, 100).beside_linear() == (1.0, ())
    clear = replace(record, families={"linear": 0.9, "dsss": 0.01})
    most, names = Survey(10e3, 100, main=clear).beside_linear()
    assert most > 0.95 and not names
    assert decision.limited(most, names, 0.75).label == "QPSK"
