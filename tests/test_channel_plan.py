# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels by large transforms of any length: the same samples, from any kind of ring, in any company."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

import amrq.channel
from amrq.channel import (
    Channel,
    Channeliser,
    ChannelSamples,
    RingFormat,
    SampleRing,
    channel_rate,
    extract,
    extract_all,
)

Plan, planned = amrq.channel.plan.Plan, amrq.channel.plan.planned
RATE = 20e6
LONGEST = 1 << 16
CHANNELS = [
    Channel(-RATE / 2, 16e3),  # the band is a circle
    Channel(RATE / 2, 80e3),
    Channel(0.0, 16e3),
    Channel(3_333_333.3, 3.2e3, 4e3),
    Channel(-7.7e6, 80e3, 96e3),
    Channel(1e6, 16e3, 44_100.0),
    Channel(4.2e6, 320e3),
    Channel(-2e6, 1.3e6),
]


def _forced(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Let the large transform have this length wherever it can."""

    def plans(sample_rate: float, channels: list[Channel]) -> tuple[int, list[object]]:
        longest = [Plan(sample_rate, LONGEST, channel) for channel in channels]
        shortened = [plan.shortened(length) for plan in longest] if length < LONGEST else longest
        assert None not in shortened
        return length, shortened

    monkeypatch.setitem(extract_all.__globals__, "planned", plans)


def _band(count: int) -> NDArray[np.complex64]:
    """Return noise and a strong tone, and a burst that is a part of it long; all below full scale."""
    random = rng("band", count)
    noise = 0.05 * random.standard_normal((count, 2)).astype(np.float32).view(np.complex64)[:, 0]
    times = np.arange(count)
    tone = 0.3 * np.exp(2j * np.pi * (3_333_000.0 / RATE * times % 1.0))
    burst = (
        0.3 * np.exp(2j * np.pi * (1_001_000.0 / RATE * times % 1.0)) * (abs(times - count / 2) < count / 5)
    )
    return np.asarray(noise + tone + burst, dtype=np.complex64)


def _assert_same(found: list[ChannelSamples], expected: list[ChannelSamples], largest: float) -> None:
    """Assert that channels are the same within what their filters' stop bands let through of such samples."""
    for one, other in zip(found, expected, strict=True):
        assert (one.sample_rate, one.start, one.centre, one.step, one.begins) == (
            other.sample_rate,
            other.start,
            other.centre,
            other.step,
            other.begins,
        )
        assert len(one.iq) == len(other.iq)
        assert np.abs(one.iq - other.iq).max() < 10 ** (-75 / 20) * largest


@pytest.mark.parametrize("length", [1 << 12, 1 << 14])
def test_a_shorter_transform_gives_the_same_samples(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = _band(500_000)
    largest = float(np.abs(samples).max())
    channels = [one for one in CHANNELS if Plan(RATE, LONGEST, one).shortened(length)]
    assert len(channels) >= len(CHANNELS) - 1  # one rate is no simple part of the band's
    for start, stop in (
        (0, len(samples)),
        (123_457, 400_001),
    ):  # with nothing beside them, and with what is there
        _forced(monkeypatch, LONGEST)
        expected = extract_all(samples, RATE, channels, start, stop)
        _forced(monkeypatch, length)
        _assert_same(extract_all(samples, RATE, channels, start, stop), expected, largest)


def test_pieces_of_any_size_give_the_whole_by_any_transform(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, channels = _band(300_000), [CHANNELS[2], CHANNELS[6]]
    cuts = np.sort(rng("cuts").integers(0, len(samples), 12))
    for length in (1 << 12, 1 << 15):
        _forced(monkeypatch, length)
        whole = Channeliser(RATE, channels, 777).take(samples)
        channeliser = Channeliser(RATE, channels, 777)
        assert [len(one.iq) for one in channeliser.process(samples[:0])] == [0, 0]
        pieces = [channeliser.process(part) for part in np.split(samples, cuts)]
        pieces.append(channeliser.finish())
        for number, one in enumerate(whole):
            iq = np.concatenate([piece[number].iq for piece in pieces])
            np.testing.assert_allclose(iq, one.iq, atol=2e-6)


@pytest.mark.parametrize(("datatype", "step"), [("ci8", 1 / 128), ("ci16", 1 / 32768)])
def test_integers_out_of_a_ring_give_what_their_complex_samples_give(
    datatype: RingFormat, step: float
) -> None:
    random = rng("integers", datatype)
    values = random.integers(-100, 101, (400_000, 2))
    ring = SampleRing(RATE, 0.016, datatype)  # 320,000 samples: it wraps
    ring.append(values[:150_000].astype(np.int8 if datatype == "ci8" else np.int16))
    ring.add_break()
    ring.append(values[150_000:].astype(np.int8 if datatype == "ci8" else np.int16))
    samples = (values @ [step, 1j * step]).astype(np.complex64)
    channels = [CHANNELS[0], CHANNELS[2], CHANNELS[7]]
    for start, stop in ((150_000, 300_000), (250_123, 400_000)):
        found = extract_all(ring, RATE, channels, start, stop)
        expected = extract_all(samples[150_000:], RATE, channels, start - 150_000, stop - 150_000)
        for channel, one, other in zip(channels, found, expected, strict=True):
            turn = np.exp(-2j * np.pi * (channel.centre * 150_000 / RATE % 1.0))
            np.testing.assert_allclose(one.iq, other.iq * turn, atol=200 * step * 1e-5)
            assert one.start == start
    stored = ring.stored(150_000, 300_000)
    [streamed] = Channeliser(RATE, channels[1:2], scale=ring.scale).take(stored)
    np.testing.assert_array_equal(
        stored @ [ring.scale, 1j * ring.scale], values[150_000:300_000] @ [step, 1j * step]
    )
    alone = Channeliser(RATE, channels[1:2]).take(samples[150_000:300_000])[0]
    np.testing.assert_allclose(streamed.iq, alone.iq, atol=200 * step * 1e-5)
    # A narrow channel, for which the band itself is transformed.
    slow = SampleRing(48e3, 10.0, datatype)
    slow.append(values.astype(np.int8 if datatype == "ci8" else np.int16)[:100_000])
    narrow = extract(slow, 48e3, 3.3e3, 50.0, 20_000, 80_000).iq
    expected_narrow = extract(samples[:100_000], 48e3, 3.3e3, 50.0, 20_000, 80_000).iq
    np.testing.assert_allclose(narrow, expected_narrow, atol=200 * step * 1e-5)


def test_a_burst_begins_and_ends_when_it_does() -> None:
    begins, ends = 230_123, 371_877
    samples = np.zeros((500_000, 2), np.int8)
    samples[begins:ends, 0] = 64
    ring = SampleRing(RATE, 0.03, "ci8")
    ring.append(samples)
    for width in (16e3, 80e3, 1e6):
        found = extract(ring, RATE, 0.0, width, 100_001, 480_000)
        times = found.place(0) + found.step * np.arange(len(found.iq))
        # A filter of linear phase that passes 0 Hz as it is, to 0.01 dB, keeps a burst's area and where its middle is.
        assert abs(found.iq.imag).max() < 10 ** (-75 / 20)
        area = found.iq.real.sum() * found.step
        assert area == pytest.approx(0.5 * (ends - begins), rel=1.2e-3)
        assert found.iq.real @ times * found.step / area == pytest.approx(
            (begins + ends - 1) / 2, abs=0.01 * found.step
        )


def test_a_rate_does_not_depend_on_the_company() -> None:
    lengths = set()
    for company in ([], CHANNELS[:3], CHANNELS):
        for channel in CHANNELS:
            [*_, found] = Channeliser(RATE, [*company, channel]).rates
            assert found == channel_rate(RATE, channel) == Plan(RATE, LONGEST, channel).rate
            lengths.add(planned(RATE, [*company, channel])[0])
    assert len(lengths) > 1
    assert planned(RATE, [])[1] == []
