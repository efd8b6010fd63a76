# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel goes with a signal that drifts, and stays where one does not."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import THESIS_9
from amrq.receive import BurstReceiver, ReceivedSymbols, following, receive_all
from amrq.signals import Conditions, received_under

SAMPLES, COUNT = 4.7, 6_000


def drifting(name: str, drift: float, start: float, es_n0_db: float = 20.0) -> NDArray[np.complex64]:
    """Return a signal that is `start` cycles/symbol off at first and drifts from there, or in an S if drift is 0."""
    random = rng("following", name, repr(drift), repr(start))
    sent = random.choice(THESIS_9[name].points, COUNT)
    conditions = Conditions(SAMPLES, drift=drift, offset=start + drift * COUNT / 2)
    samples = received_under(sent, conditions, es_n0_db, random)
    if not drift:  # a satellite that passes: 0.2 cycles/symbol to either side
        time = np.arange(len(samples)) / SAMPLES
        samples = samples * np.exp(2j * np.pi * 0.2 * np.sqrt(800**2 + (time - COUNT / 2) ** 2))
    return samples.astype(np.complex64)


def errors(received: ReceivedSymbols, order: int) -> NDArray[np.float64]:
    """Return how far the phases of 64 symbols each, times the order, are from one line: 0 to 1, as noise is."""
    power = (received.symbols / np.abs(received.symbols)) ** order
    pieces = power[: len(power) // 64 * 64].reshape(-1, 64)
    lines = np.abs(np.fft.fft(pieces, 1024, axis=1)).max(axis=1) / 64
    return np.asarray(1 - lines)


@pytest.mark.parametrize(
    ("name", "order", "drift", "start"),
    [("QPSK", 4, 2e-4, 0.0), ("BPSK", 2, -2e-4, 0.1), ("8PSK", 8, -1e-4, -0.05), ("QPSK", 4, 0.0, 0.0)],
)
def test_a_drift_is_followed_as_far_as_it_goes(name: str, order: int, drift: float, start: float) -> None:
    received = receive_all(drifting(name, drift, start), SAMPLES, 1.0)
    assert len(received) > COUNT // 32 - 4
    assert np.median(errors(received, order)) < 0.2 and np.mean(errors(received, order) < 0.4) > 0.97
    if drift:
        symbols = received.positions / SAMPLES + 16
        away = received.carrier_offset - (start + drift * symbols)
        away -= np.rint(away * order) / order
        # The stream's last symbols have no surroundings; where the line leaves the range, another that fits is taken.
        assert np.median(np.abs(away)) < 2e-3 and np.mean(np.abs(away[:-8]) > 0.02) < 0.02


def test_cuts_do_not_matter_while_the_channel_moves() -> None:
    samples = drifting("QPSK", 2e-4, 0.0)[:12_000]
    whole = receive_all(samples, SAMPLES, 1.0)
    receiver, random, at, parts = BurstReceiver(SAMPLES, 1.0), rng("following cuts"), 0, []
    while at < len(samples):
        size = int(random.integers(1, 2_000))
        parts.append(receiver.process(samples[at : at + size]))
        at += size
    parts.append(receiver.finish())
    for name in ("symbols", "positions", "carrier_offset"):
        cut = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(cut, getattr(whole, name), atol=1e-4)


def test_a_long_call_is_followed_as_short_ones_are() -> None:
    """More blocks in a call than those whose motions are remembered else."""
    samples = np.concatenate([drifting("QPSK", 5e-5, start) for start in (0.0, 0.02, -0.02, 0.0)])
    whole = receive_all(samples, SAMPLES, 1.0)
    receiver = BurstReceiver(SAMPLES, 1.0)
    parts = [receiver.process(piece) for piece in np.array_split(samples, 9)]
    parts.append(receiver.finish())
    for name in ("symbols", "positions", "carrier_offset"):
        cut = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(cut, getattr(whole, name), atol=1e-4)


def test_a_signal_that_begins_beside_the_middle_is_gone_to_at_once() -> None:
    received = receive_all(drifting("QPSK", 1e-9, 0.6)[:9_000], SAMPLES, 1.0)
    assert abs(np.median(received.carrier_offset) - 0.6) < 1e-3
    assert np.median(errors(received, 4)) < 0.2


@pytest.mark.parametrize("name", ["BPSK", "16QAM", "8ASK"])
def test_a_signal_that_stands_still_is_left_as_it_is(name: str) -> None:
    receiver = BurstReceiver(SAMPLES, 1.0)
    for es_n0_db in (5.0, 20.0):
        receiver.process(drifting(name, 1e-9, 0.05, es_n0_db))
        assert receiver._path.motion.shift == 0
        receiver.reset()


def test_noise_and_pauses_do_not_move_the_channel_and_a_long_pause_ends_it() -> None:
    random = rng("following noise")
    follower = following.Follower(128.0)
    for _ in range(5_000):
        assert not follower.take(following.Middle(float(random.normal(0, 1.5)), 1.5))
    follower.reset()
    for block in range(100):
        follower.take(following.Middle(2.0 * block - follower.motion.shift, 1.0))
    assert abs(follower.motion.begin - 200) < 5
    for _ in range(70):
        follower.take(None)
    assert follower.motion.begin == follower.motion.shift == 0
