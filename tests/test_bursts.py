# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts: found by their power, received as a whole, and left alone where there are none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import THESIS_9
from amrq.classifier import make_classifier
from amrq.decision import DecisionMaker
from amrq.measure import STEP, BurstCarrier, FrontEndOptions
from amrq.receive import BurstReceiver, ReceivedSymbols, Receiver, receive_all
from amrq.signals import received_signal

SAMPLES = 4.7
"""A symbol."""


def _bursts(
    name: str, length: int, es_n0_db: float = 15.0, offset: float = 0.02, count: int = 6, drift: float = 0.0
) -> tuple[NDArray[np.complex64], list[float]]:
    """Bursts in noise, each at a phase of its own, and the samples that they begin at."""
    generator = rng("bursts", name, length, int(es_n0_db))
    sent: list[NDArray[np.complex128]] = [np.zeros(700, np.complex128)]
    starts = []
    time = np.arange(length)
    for _ in range(count):
        starts.append(sum(map(len, sent)) * SAMPLES)
        turn = np.exp(2j * np.pi * (offset * time + drift / 2 * time**2 + generator.random()))
        gap = np.zeros(int(generator.integers(300, 900)), np.complex128)
        sent += [generator.choice(THESIS_9[name].points, length) * turn, gap]
    sent.append(np.zeros(300, np.complex128))
    return received_signal(np.concatenate(sent), SAMPLES, 0.35, es_n0_db, generator), starts


def _decided(received: ReceivedSymbols) -> list[tuple[str, float]]:
    """The labels between borders, with the samples that they begin at."""
    classifier = make_classifier("default")
    contract = classifier.contract
    evidence = classifier.classify(received.chunks)
    cuts = sorted({0, len(received), *np.flatnonzero(received.borders).tolist()})
    labels = []
    for first, stop in itertools.pairwise(cuts):
        maker = DecisionMaker(contract.hypotheses, STEP, fusion_chunks=contract.fusion_chunks)
        decisions = maker.update(evidence.part(first, stop), STEP * np.arange(stop - first)) + maker.flush()
        labels.append((decisions[0].label, float(received.positions[first])))
    return labels


@pytest.mark.parametrize(("length", "least"), [(100, 0.7), (200, 0.95)])
def test_short_bursts_are_named(length: int, least: float) -> None:
    """At 15 dB, of 24 bursts. Of 480 of each length 478 and 480 had the right name, 2 and 0 a wrong one."""
    right = wrong = 0
    for name in ("BPSK", "QPSK", "8PSK", "16QAM"):
        samples, starts = _bursts(name, length)
        labels = _decided(receive_all(samples, SAMPLES, 1.0))
        named = [(label, place) for label, place in labels if label not in ("unknown", "no signal")]
        found = [label for label, place in named if min(abs(place - start) for start in starts) < 4 * SAMPLES]
        right += found.count(name)
        wrong += len(named) - found.count(name)
    assert right >= least * 24
    assert wrong <= 1


def test_a_bursts_chunks_begin_with_its_first_symbol() -> None:
    samples, starts = _bursts("QPSK", 100)
    received = receive_all(samples, SAMPLES, 1.0)
    first = received.positions[received.borders]
    for start in starts:
        number = int(np.abs(first - start).argmin())
        assert abs(first[number] - start) < 3 * SAMPLES
        chunk = int(np.searchsorted(received.positions, first[number]))
        np.testing.assert_allclose(np.diff(received.positions[chunk : chunk + 3]), STEP * SAMPLES, rtol=0.01)
        np.testing.assert_allclose(received.carrier_offset[chunk : chunk + 3], 0.02, atol=1e-3)
        np.testing.assert_allclose(received.snr_db[chunk : chunk + 3], 15, atol=2)
        # QPSK that is turned by its carrier has a fourth power that stands still.
        four = received.chunks[chunk : chunk + 3] ** 4
        assert np.all(np.abs(four.mean(axis=1)) > 0.7 * np.abs(four).mean())
    assert np.all(np.diff(received.positions) > 0)
    assert np.count_nonzero(received.borders) == 1 + 2 * len(starts)


def test_calls_do_not_matter() -> None:
    samples, _ = _bursts("8PSK", 120)
    whole = receive_all(samples, SAMPLES, 1.0)
    receiver = BurstReceiver(SAMPLES, 1.0)
    cuts = sorted(rng("bursts in pieces").integers(0, len(samples), 9))
    parts = [receiver.process(part) for part in np.split(samples, cuts)]
    parts.append(receiver.finish())
    np.testing.assert_array_equal(np.concatenate([part.positions for part in parts]), whole.positions)
    np.testing.assert_array_equal(np.concatenate([part.borders for part in parts]), whole.borders)
    np.testing.assert_allclose(np.concatenate([part.symbols for part in parts]), whole.symbols, atol=1e-3)


@pytest.mark.parametrize("kind", ["steady", "fading", "noise"])
def test_what_has_no_bursts_is_received_as_without_them(kind: str) -> None:
    generator = rng("no bursts", kind)
    sent = generator.choice(THESIS_9["QPSK"].points, 4_000) * (kind != "noise")
    if kind == "fading":
        sent = sent * (1 + 0.4 * np.sin(2 * np.pi * np.arange(4_000) / 500))
    samples = received_signal(sent, SAMPLES, 0.35, 20.0, generator)
    with_bursts, plain = BurstReceiver(SAMPLES, 1.0), Receiver(SAMPLES, 1.0)
    one = [with_bursts.process(samples), with_bursts.finish()]
    other = [plain.process(samples), plain.finish()]
    for name in ("symbols", "positions", "borders"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(part, name) for part in one]),
            np.concatenate([getattr(part, name) for part in other]),
        )


@pytest.mark.parametrize("kind", ["pi/4-DQPSK", "QPSK with an echo"])
def test_the_carrier_is_in_the_middle_of_the_spectrum(kind: str) -> None:
    """What removes the line of pi/4-DQPSK at M = 4 leaves QPSK; an echo makes a spectrum lopsided."""
    generator = rng("middle of the spectrum", kind)
    sent = generator.choice(THESIS_9["QPSK"].points, 3_000)
    if kind == "pi/4-DQPSK":
        sent = sent * np.exp(0.25j * np.pi * np.arange(3_000))
    else:
        sent[1:] += 0.5j * sent[:-1]
    turn = np.exp(2j * np.pi * 0.01 * np.arange(3_000))
    samples = received_signal(sent * turn, SAMPLES, 0.35, 20.0, generator)
    offset = receive_all(samples, SAMPLES, 1.0, options=FrontEndOptions(equaliser=False)).carrier_offset
    assert np.mean(np.abs(offset - 0.01) < 2e-3) > 0.9


def test_a_sample_that_is_not_finite_marks_its_chunk() -> None:
    samples, starts = _bursts("QPSK", 200)
    samples[int(starts[2] + 50 * SAMPLES)] = np.nan
    received = receive_all(samples, SAMPLES, 1.0)
    assert np.all(np.isfinite(received.symbols))
    broken = received.positions[~received.finite]
    assert 1 <= len(broken) <= 2
    assert np.all(np.abs(broken - starts[2] - 50 * SAMPLES) < 1.2 * STEP * SAMPLES)


def test_the_carrier_stays_without_carrier_recovery_and_the_gate_holds() -> None:
    samples, _ = _bursts("QPSK", 100)
    options = FrontEndOptions(carrier_recovery=False)
    assert not np.any(receive_all(samples, SAMPLES, 1.0, options=options).carrier_offset)
    gated = receive_all(0.01 * samples, SAMPLES, 1.0, options=FrontEndOptions(gate_db=-20.0))
    assert not gated.symbols.any()


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "8PSK", "16QAM"])
@pytest.mark.parametrize(("length", "drift"), [(96, 0.0), (200, 2e-4), (600, 1e-4)])
def test_a_bursts_carrier_is_removed(name: str, length: int, drift: float) -> None:
    """To 2e-3 cycles/symbol in the middle of nine in ten chunks; 12 bursts at 20 dB."""
    generator = rng("carrier of a burst", name, length)
    carrier, order, left = BurstCarrier(), THESIS_9[name].symmetry, []
    time = np.arange(length)
    turn = np.exp(2j * np.pi * (0.03 * time + drift / 2 * (time - length / 2) ** 2))
    for _ in range(12):
        noise = (generator.standard_normal(length) + 1j * generator.standard_normal(length)) * 0.07
        received = generator.choice(THESIS_9[name].points, length) * turn + noise
        _, still = carrier.remove(received)
        whole = len(still) // STEP * STEP
        removed = still[:whole] * received[:whole].conj()
        rest = (removed * turn[:whole]).reshape(-1, STEP)
        rest /= np.abs(rest)
        step = np.angle(np.sum(rest[:, 1:] * rest[:, :-1].conj(), axis=1)) / (2 * np.pi)
        left.append(np.abs((step + 0.5 / order) % (1 / order) - 0.5 / order))
    assert np.quantile(np.concatenate(left), 0.9) < 2e-3


def test_bursts_too_noisy_for_a_line_show_one_together() -> None:
    """8PSK at 11 dB in bursts of 100: of the last 20, nearly all are turned by what they and the 20 before show."""
    generator = rng("bursts together")
    carrier, found = BurstCarrier(), []
    for _ in range(40):
        symbols = generator.choice(THESIS_9["8PSK"].points, 100) * np.exp(2j * np.pi * 0.03 * np.arange(100))
        noise = generator.standard_normal(100) + 1j * generator.standard_normal(100)
        estimate, _ = carrier.remove(symbols + 10 ** (-11 / 20) / np.sqrt(2) * noise)
        found.append((estimate.rate - 0.03 + 1 / 16) % (1 / 8) - 1 / 16 if estimate.order == 8 else np.nan)
    assert np.count_nonzero(np.abs(found[20:]) < 2e-3) >= 16
