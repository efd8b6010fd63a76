# SPDX-License-Identifier: GPL-3.0-or-later
"""Narrow emissions of a wide band, kept for longer than the band: what is taken, what is left out, what is named."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.channel import SampleRing
from amrq.identify import EmissionIdentity
from amrq.scan import BandScanner, EmissionRecord, Findings, slow_channels

_RATE = 500e3
_PLACE = 60e3 + 13.0
_LOOK = 1 << 19
"""Samples of the band that a look takes at most."""


def record(
    id: int, stop: int, start: int = 0, label: str = "unknown", width: float = 300.0
) -> EmissionRecord:
    edges = _PLACE - width / 2, _PLACE + width / 2
    return EmissionRecord(id, start, stop, 0, stop, *edges, 20.0, -20.0, label=label)


def tone(start: int, count: int) -> NDArray[np.complex64]:
    cycles = (_PLACE / _RATE * np.arange(start, start + count)) % 1
    return np.exp(2j * np.pi * cycles).astype(np.complex64)


def play(slow: slow_channels.SlowChannels, ring: SampleRing, seconds: float, block: int = 50_021) -> int:
    """Feed a tone that is on all the time, in odd blocks; return how many samples there are then."""
    for start in range(ring.end, ring.end + round(seconds * _RATE), block):
        ring.append(tone(start, block))
        slow.follow([record(1, ring.end)])
        slow.feed()
    return ring.end


def test_pieces_fit_together_and_hold_more_than_the_band_does() -> None:
    ring = SampleRing(_RATE, 3.0)
    slow = slow_channels.SlowChannels(ring, _LOOK)
    end = play(slow, ring, 9.0)
    found = slow.stretch(record(1, end), end)
    assert found is not None and found[0] < ring.first - 4 * _RATE and end - found[1] < _RATE
    channel = slow.samples(record(1, end), *found)
    assert channel is not None and abs(channel.place(len(channel.iq)) - found[1]) < 2 * channel.step
    turned = channel.iq * np.exp(
        -2j * np.pi * (_PLACE - channel.centre) / channel.sample_rate * np.arange(len(channel.iq))
    )
    still = turned[50:-50] / turned[50]
    assert np.abs(still - 1).max() < 1e-3


def test_nothing_is_looked_at_over_lost_samples() -> None:
    ring = SampleRing(_RATE, 3.0)
    slow = slow_channels.SlowChannels(ring, _LOOK)
    broken = play(slow, ring, 6.0)
    ring.add_break()
    end = play(slow, ring, 4.0)
    found = slow.stretch(record(1, end), end)
    assert found is not None and found[0] >= broken - 1
    assert slow.missed == 0


def test_what_goes_before_it_is_taken_is_left_out_and_counted() -> None:
    ring = SampleRing(_RATE, 3.0)
    slow = slow_channels.SlowChannels(ring, _LOOK)
    play(slow, ring, 6.0)
    for _ in range(5):
        ring.append(tone(ring.end, round(_RATE)))
    slow.feed()
    for _ in range(5):
        ring.append(tone(ring.end, round(_RATE)))
    slow.feed()
    assert slow.missed == 1  # however often
    end = play(slow, ring, 3.0)
    found = slow.stretch(record(1, end), end)
    assert found is None or found[0] >= 6.0 * _RATE


def test_so_many_are_kept_and_the_others_counted_once() -> None:
    ring = SampleRing(_RATE, 3.0)
    slow = slow_channels.SlowChannels(ring, _LOOK)
    ring.append(tone(0, round(2 * _RATE)))
    many = [record(id, ring.end) for id in range(1, 41)]
    for _ in range(3):
        slow.follow(many)
    kept = sum(slow.longest(one) > 0 for one in many)
    assert kept < 40 and slow.missed == 40 - kept
    slow.follow(many[-5:])  # the others have gone: there is room
    assert all(slow.longest(one) > 0 for one in many[-5:])


def test_what_is_wide_short_or_a_carrier_at_rest_is_not_kept() -> None:
    ring = SampleRing(_RATE, 3.0)
    slow = slow_channels.SlowChannels(ring, _LOOK)
    ring.append(tone(0, round(2 * _RATE)))
    others = [record(1, ring.end, width=25e3), replace(record(2, ring.end), first_seen=ring.end - 1000)]
    slow.follow([*others, record(3, ring.end)])
    assert [slow.longest(one) > 0 for one in (*others, record(3, ring.end))] == [False, False, True]
    carrier = record(3, ring.end, label="carrier")
    slow.rest(3)
    slow.follow([carrier])
    assert slow.longest(carrier) == 0
    slow.follow([replace(carrier, label="unknown")])  # it has changed
    assert slow.longest(carrier) > 0


def test_looks_lie_within_a_longer_one_that_begins_as_early() -> None:
    found = Findings()
    assert found.lie_within(0.0)
    found.add(EmissionIdentity("carrier", family="carrier", confidence=0.8), {}, 1.0, 0.5)
    found.add(EmissionIdentity("carrier", family="carrier", confidence=0.8), {}, 2.0, 1.0)
    assert found.lie_within(0.52) and not found.lie_within(0.9)


@pytest.mark.parametrize(("tones", "rate", "family"), [(8, 6.25, "fskm"), (2, 10.0, "fsk2")])
def test_slow_keys_in_a_wide_band_are_named_after_some_seconds(tones: int, rate: float, family: str) -> None:
    count = round(9 * _RATE)
    symbols = rng("slow channels", tones).integers(0, tones, 1000)
    hertz = (symbols - (tones - 1) / 2) * (50 / tones)
    level = 0.01 * np.sqrt(100 / _RATE) * 10 ** (18 / 20)
    scanner, phase = BandScanner(_RATE), 0.0
    for start in range(0, count, 20_000):
        time = np.arange(start, start + 20_000) / _RATE
        turns = phase + np.cumsum(_PLACE + hertz[(time * rate).astype(int)]) / _RATE
        phase = turns[-1] % 1
        noise = rng("noise about slow channels", start).normal(size=(20_000, 2)) @ [0.00707, 0.00707j]
        scanner.process((level * np.exp(2j * np.pi * turns) + noise).astype(np.complex64))
    said = [one for one in scanner.snapshot().emissions if abs(one.centre - _PLACE) < 300]
    assert [one.family for one in said] == [family]
    assert said[0].confidence > 0.85 and abs((said[0].symbol_rate or 0) / rate - 1) < 0.01


def test_lost_samples_are_no_long_look() -> None:
    """A look that is due just after many samples were lost does not see the zeros in their place."""
    ring = SampleRing(_RATE, 3.0)
    slow = slow_channels.SlowChannels(ring, 1 << 17)
    play(slow, ring, 4.0)
    ring.skip(round(1.5 * _RATE))
    end = play(slow, ring, 0.1)
    found = slow.stretch(record(1, end), end)
    assert found is not None  # what came before is still there
    channel = slow.samples(record(1, end), *found)
    assert channel is not None and np.abs(channel.iq[50:-50]).min() > 0.5


@pytest.mark.parametrize("rate", [0.1, 1.0, 12_345.678])
def test_a_band_of_a_low_rate_is_scanned(rate: float) -> None:
    scanner = BandScanner(rate)
    samples = rng("low rate", str(rate)).normal(size=(20_000, 2)) @ [0.01, 0.01j]
    scanner.process((samples + np.exp(0.5j * np.arange(20_000))).astype(np.complex64))
    scanner.finish()
    assert scanner.snapshot().emissions


def test_bursts_in_a_band_of_a_low_rate_are_looked_at() -> None:
    scanner = BandScanner(1000.0)
    samples = rng("bursts of a low rate").normal(size=(400_000, 2)) @ [0.007, 0.007j]
    for start in range(50_000, 400_000, 100_000):
        samples[start : start + 3000] += 0.3 * np.exp(0.7j * np.arange(3000))
    for start in range(0, len(samples), 4096):
        scanner.process(samples[start : start + 4096].astype(np.complex64))
    scanner.finish()
    said = scanner.snapshot()
    assert said.emissions and not said.counters.missed
