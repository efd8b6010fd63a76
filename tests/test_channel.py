# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels out of a band, and the ring of its last seconds."""

import threading

import numpy as np
import pytest
from seeds import rng

from amrq.channel import Channel, Channeliser, ChannelReader, SampleRing, channel_rate, extract, extract_all
from amrq.errors import AmrqError

CASES = [
    # sample rate, centre, bandwidth, rate wanted
    (20e6, 3.3e6, 78e3, None),
    (20e6, -9.9e6, 10e3, None),
    (20e6, -3.333e6, 1.5e6, None),
    (61.44e6, -20e6, 25e3, None),
    (8e6, 2e6, 16e3, 20e3),
    (2.4e6, -333e3, 10e3, 48e3),
    (2.4e6, 1.1e6, 10e3, 44_100.0),
    (2.4e6, 333e3, 1.5e6, 2.0e6),
    (100e3, 20e3, 30e3, None),
    (48e3, 3.3e3, 50.0, None),
]
every_case = pytest.mark.parametrize(("sample_rate", "centre", "bandwidth", "rate"), CASES)


def _tone(sample_rate: float, frequency: float, start: int, count: int) -> np.ndarray:
    cycles = (frequency / sample_rate * np.arange(start, start + count)) % 1.0
    return np.exp(2j * np.pi * cycles).astype(np.complex64)


def _span(sample_rate: float, bandwidth: float) -> int:
    return int(100 * sample_rate / bandwidth) + 20_000


@every_case
def test_what_is_inside_is_delayed_by_nothing_and_changed_by_nothing(
    sample_rate: float, centre: float, bandwidth: float, rate: float | None
) -> None:
    count = _span(sample_rate, bandwidth)
    start, stop = count // 5 + 7, count * 4 // 5
    for place in (-0.49, 0.0, 0.31, 0.49):
        inside = centre + place * bandwidth
        tone = _tone(sample_rate, inside, 0, count)
        found = extract(tone, sample_rate, centre, bandwidth, start, stop, rate)
        times = found.place(0) + found.step * np.arange(len(found.iq))
        assert found.start == start
        assert times[-1] < stop <= times[-1] + found.step
        expected = np.exp(2j * np.pi * (inside - centre) / sample_rate * times)
        np.testing.assert_allclose(found.iq, expected, atol=1e-3)  # 0.01 dB
        assert rate is None or found.sample_rate == pytest.approx(rate, rel=1e-12)
        assert found.sample_rate >= 1.25 * bandwidth * (1 - 1e-9)


@every_case
def test_what_is_outside_is_75_db_weaker(
    sample_rate: float, centre: float, bandwidth: float, rate: float | None
) -> None:
    count = _span(sample_rate, bandwidth)
    start, stop = count // 5 + 7, count * 4 // 5
    away = 10 ** rng("outside", int(sample_rate)).uniform(
        np.log10(0.63), np.log10(0.5 * sample_rate / bandwidth), 6
    )
    for place in (0.626, *away):
        for side in (-1, 1):
            outside = centre + side * place * bandwidth
            beside = abs((outside - centre + sample_rate / 2) % sample_rate - sample_rate / 2)
            if beside < 0.626 * bandwidth:
                continue  # the band is a circle: this is inside again
            tone = _tone(sample_rate, outside, 0, count)
            found = extract(tone, sample_rate, centre, bandwidth, start, stop, rate)
            assert np.abs(found.iq).max() < 10 ** (-75 / 20)


def test_pieces_of_any_size_give_the_whole() -> None:
    random = rng("pieces")
    samples = random.standard_normal((300_000, 2)).astype(np.float32).view(np.complex64)[:, 0]
    channels = [
        Channel(500e3, 200e3),
        Channel(-700e3, 4e3, 10e3),
        Channel(1e5, 1.5e6, 2.4e6),
        Channel(0, 300.0),
    ]
    whole = Channeliser(2.4e6, channels, start=1000).take(samples)
    channeliser = Channeliser(2.4e6, channels, start=1000)
    cuts = np.sort(random.integers(0, len(samples), 40))
    pieces = [channeliser.process(part) for part in np.split(samples, cuts)] + [channeliser.finish()]
    for number, one in enumerate(whole):
        parts = [piece[number] for piece in pieces]
        iq = np.concatenate([part.iq for part in parts])
        np.testing.assert_allclose(iq, one.iq, atol=2e-6)
        at = 0
        for part in parts:
            assert part.start == pytest.approx(1000 + at * one.step)
            at += len(part.iq)


def test_one_transform_gives_what_each_alone_gives() -> None:
    random = rng("together")
    samples = random.standard_normal((200_000, 2)).astype(np.float32).view(np.complex64)[:, 0]
    channels = [Channel(500e3, 200e3), Channel(-700e3, 4e3), Channel(-1.2e6, 12.5e3)]
    together = extract_all(samples, 2.4e6, channels, 50_001, 150_000)
    for channel, one in zip(channels, together, strict=True):
        alone = extract(samples, 2.4e6, channel.centre, channel.bandwidth, 50_001, 150_000)
        np.testing.assert_allclose(one.iq, alone.iq, atol=1e-5)


def test_a_channel_is_the_same_wherever_it_begins() -> None:
    random = rng("begins")
    samples = random.standard_normal((200_000, 2)).astype(np.float32).view(np.complex64)[:, 0]
    for rate in (24e3, 60e3):
        step = round(2.4e6 / rate)
        early = extract(samples, 2.4e6, 123_456.7, 10e3, 50_000, 150_000, rate)
        late = extract(samples, 2.4e6, 123_456.7, 10e3, 50_000 + 300 * step, 150_000, rate)
        np.testing.assert_allclose(early.iq[300:], late.iq, atol=2e-5)


def test_the_phase_is_right_after_a_day_of_samples() -> None:
    start = 20_000_000 * 86_400 + 12_345
    tone = _tone(20e6, 3_333_333.0, start, 200_000)
    [found] = Channeliser(20e6, [Channel(3_333_000.0, 50e3)], start).take(tone)
    times = found.place(0) + found.step * np.arange(len(found.iq))
    expected = np.exp(2j * np.pi * ((333.0 / 20e6 * times) % 1.0))
    middle = slice(50, -50)
    np.testing.assert_allclose(found.iq[middle], expected[middle], atol=5e-3)


def test_a_step_begins_and_ends_where_it_does() -> None:
    samples = np.zeros(400_000, dtype=np.complex64)
    samples[100_000:250_000] = _tone(2.4e6, 300e3, 100_000, 150_000)
    found = extract(samples, 2.4e6, 300e3, 20e3)
    on = np.flatnonzero(np.abs(found.iq) > 0.5)
    assert abs(found.place(float(on[0])) - 100_000) <= found.step
    assert abs(found.place(float(on[-1])) - 250_000) <= found.step


def test_a_strong_neighbour_on_the_raster_is_kept_out() -> None:
    random = rng("neighbour")
    noise = random.standard_normal((480_000, 2)).astype(np.float32).view(np.complex64)[:, 0] * 1e-4
    strong = 10 ** (30 / 20) * _tone(2.4e6, 112_500.0 - 4_000.0, 0, len(noise))
    found = extract(noise + strong, 2.4e6, 100_000.0, 10e3)
    alone = extract(noise, 2.4e6, 100_000.0, 10e3)
    middle = slice(100, -100)
    assert np.abs(found.iq[middle] - alone.iq[middle]).max() < 10 ** (-40 / 20)


def test_samples_that_are_not_finite_count_as_zeros() -> None:
    tone = _tone(2.4e6, 300e3, 0, 100_000)
    tone[[5, 40_000, 77_000]] = [np.nan, np.inf, complex(0, np.nan)]
    clean = np.where(np.isfinite(tone), tone, 0)
    found, expected = (extract(one, 2.4e6, 300e3, 20e3).iq for one in (tone, clean))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("datatype", ["complex64", "ci8", "ci16"])
def test_a_ring_gives_back_what_it_was_given_by_number(datatype: str) -> None:
    random = rng("ring", datatype)
    values = random.integers(-128, 128, (10_000, 2))
    ring = SampleRing(1000.0, 2.5, datatype)
    stored = {
        "complex64": (values @ [1, 1j] / 128).astype(np.complex64),
        "ci8": values.astype(np.int8),
        "ci16": (values * 256).astype(np.int16),
    }[datatype]
    at = 0
    for count in (1, 700, 0, 1799, 2500, 999, 4001):
        ring.append(stored[at : at + count])
        at += count
        assert (ring.first, ring.end) == (max(0, at - 2500), at)
        for start, stop in ((ring.first, at), (ring.first + 1, at - 1), (at, at)):
            if start <= stop:
                expected = (values[start:stop] @ [1, 1j] / 128).astype(np.complex64)
                np.testing.assert_array_equal(ring.read(start, stop), expected)
    with pytest.raises(AmrqError, match="have gone"):
        ring.read(ring.first - 1, at)
    with pytest.raises(AmrqError, match="have come so far"):
        ring.read(ring.first, at + 1)


def test_a_ring_counts_far_and_keeps_its_size() -> None:
    ring = SampleRing(1e6, 0.01, "ci8")
    ring.skip(10**11 + 3)
    assert (ring.first, ring.end) == (10**11 + 3 - 10_000, 10**11 + 3)
    ring.append(np.full((2500, 2), 64, np.int8))
    assert ring.end == 10**11 + 2503
    np.testing.assert_array_equal(ring.read(ring.end - 2501, ring.end)[:2], [0, 0.5 + 0.5j])
    assert ring.breaks(0, ring.end) == [10**11 + 3]


def test_breaks_are_known_as_long_as_their_samples() -> None:
    ring = SampleRing(1000.0, 1.0)
    block = np.ones(400, np.complex64)
    ring.add_break()  # before the first sample there is nothing to break
    for _ in range(4):
        ring.append(block)
        ring.add_break()
        ring.add_break()
    assert ring.breaks(0, 10_000) == [800, 1200, 1600]
    assert ring.breaks(800, 1600) == [1200]
    ring.append(block)
    assert ring.breaks(0, 10_000) == [1200, 1600]


def test_a_channel_sees_nothing_beyond_a_break() -> None:
    ring = SampleRing(1e6, 1.0)
    loud, quiet = np.full(100_000, 100, np.complex64), np.zeros(100_000, np.complex64)
    for block in (loud, quiet, loud):
        ring.append(block)
        ring.add_break()
    found = extract(ring, 1e6, 0.0, 10e3, 100_000, 200_000)
    assert np.abs(found.iq).max() == 0
    assert np.abs(extract(ring, 1e6, 0.0, 10e3, 90_000, 200_000).iq).max() > 50


def test_readers_get_right_samples_or_an_error_while_one_writes() -> None:
    ring = SampleRing(1e6, 0.05)
    stop, read, wrong, gone = threading.Event(), [0], [0], [0]

    def reader() -> None:
        while not stop.is_set():
            first = ring.first
            try:
                found = ring.read(first, min(ring.end, first + 20_000))
            except AmrqError:
                gone[0] += 1
                continue
            wrong[0] += int(np.count_nonzero(found != (first + np.arange(len(found))) % 65_536))
            read[0] += len(found)

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for at in range(0, 3_000_000, 4096):
        ring.append(((at + np.arange(4096)) % 65_536).astype(np.complex64))
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == [0]
    assert read[0] + gone[0] > 0


@pytest.mark.parametrize(
    ("centre", "bandwidth", "rate", "words"),
    [
        (60e3, 1e3, None, "does not lie in a band of 100 kHz"),
        (0.0, 0.0, None, "does not lie in a band"),
        (0.0, float("nan"), None, "does not lie in a band"),
        (float("nan"), 1e3, None, "does not lie in a band"),
        (0.0, 1e3, 500.0, "at least 1.02 times the bandwidth"),
        (0.0, 1e3, 200e3, "at most the band's 100 kS/s"),
        (0.0, 5e-324, None, "does not lie in a band"),
        (0.0, 1e-4, None, "needs a transform of .* of at most 4,194,304: give more bandwidth or a lower"),
        (0.0, 1e-4, 2e-4, "give more bandwidth, a higher rate or a lower sample rate"),
    ],
)
def test_an_impossible_channel_is_refused(
    centre: float, bandwidth: float, rate: float | None, words: str
) -> None:
    with pytest.raises(AmrqError, match=words):
        extract(np.zeros(1000, np.complex64), 100e3, centre, bandwidth, rate=rate)


def test_samples_that_are_not_there_are_refused() -> None:
    with pytest.raises(AmrqError, match="samples 500 to 1001 are not there: there are 0 to 1000"):
        extract(np.zeros(1000, np.complex64), 100e3, 0.0, 1e3, 500, 1001)


@pytest.mark.parametrize(
    ("seconds", "datatype", "words"),
    [
        (0.0, "ci8", "time above 0"),
        (1e7, "ci8", "64 GiB"),
        (1.0, "cu8", "keeps samples as complex64, ci8, ci16"),
    ],
)
def test_an_impossible_ring_is_refused(seconds: float, datatype: str, words: str) -> None:
    with pytest.raises(AmrqError, match=words):
        SampleRing(1e6, seconds, datatype)


def test_a_ring_refuses_samples_of_another_kind() -> None:
    with pytest.raises(AmrqError, match=r"takes int8 \[N, 2\] or \[2 N\], not complex64 \[4\]"):
        SampleRing(1e6, 1.0, "ci8").append(np.zeros(4, np.complex64))


def test_an_empty_stretch_gives_nothing() -> None:
    found = extract(np.zeros(1000, np.complex64), 100e3, 0.0, 1e3, 500, 500)
    assert len(found.iq) == 0


def _ring_with(samples: np.ndarray, sample_rate: float, seconds: float = 1.0) -> SampleRing:
    ring = SampleRing(sample_rate, seconds)
    ring.append(samples)
    return ring


def test_a_reader_follows_a_ring_as_it_fills() -> None:
    random = rng("reader")
    samples = random.standard_normal((900_000, 2)).astype(np.float32).view(np.complex64)[:, 0]
    ring, channel = SampleRing(2.4e6, 0.1), Channel(300e3, 20e3)
    at, pieces, reader = 0, [], None
    for count in random.integers(1, 60_000, 30):
        ring.append(samples[at : at + count])
        at = ring.end
        if reader is None and at > 150_000:
            reader = ChannelReader(ring, channel, at - 100_000)
            began = at - 100_000
        if reader is not None:
            pieces += reader.read()
    assert reader is not None
    pieces += reader.finish()
    whole = extract(samples, 2.4e6, 300e3, 20e3, began, at)
    assert [piece.begins for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    iq = np.concatenate([piece.iq for piece in pieces])
    assert len(iq) == len(whole.iq)
    np.testing.assert_allclose(iq[:-100], whole.iq[:-100], atol=1e-5)
    assert (reader.lost, reader.waiting, reader.read()) == (0, 0, [])


def test_a_reader_begins_anew_after_a_break_and_after_a_loss() -> None:
    ring, tone = SampleRing(1e6, 0.2), _tone(1e6, 1e3, 0, 700_000)
    reader = ChannelReader(ring, Channel(0.0, 10e3, 20e3), 0)
    ring.append(tone[:100_000])
    pieces = reader.read()
    ring.add_break()  # at what the reader has read up to
    ring.append(tone[100_000:150_000])
    ring.add_break()
    ring.append(tone[150_000:190_000])
    while reader.waiting:
        pieces += reader.read(30_000)
    ring.append(tone[190_000:600_000])
    pieces += [*reader.read(50_000), *reader.finish(500_000)]
    starts = [round(piece.start) for piece in pieces if piece.begins]
    assert starts == [0, 100_000, 150_000, 400_000]
    assert reader.lost == 400_000 - 190_000
    ends = [0, 2000, 3000, 3800, 3800 + 2000]
    counts = np.cumsum([len(piece.iq) for piece in pieces])
    assert [int(counts[n - 1]) if n else 0 for n, piece in enumerate(pieces) if piece.begins] == ends[:-1]
    assert counts[-1] == ends[-1]


def test_a_reader_of_what_has_gone_begins_with_the_oldest() -> None:
    ring = _ring_with(np.ones(300_000, np.complex64), 1e6, 0.1)
    reader = ChannelReader(ring, Channel(0.0, 10e3, 20e3), 5)
    pieces = reader.finish(220_000)
    assert (pieces[0].start, sum(len(piece.iq) for piece in pieces), reader.lost) == (200_000.0, 400, 0)
    with pytest.raises(AmrqError, match="does not lie in a band"):
        ChannelReader(ring, Channel(0.0, -1.0))


def test_a_rate_is_exact_or_a_little_more() -> None:
    random = rng("rates")
    for rate in (48e3, 44_100.0, 25e3, 250e3 / 3, *random.uniform(20e3, 1e6, 20)):
        for sample_rate in (2.4e6, 2.048e6):
            found = channel_rate(sample_rate, Channel(1e5, 0.8 * rate, rate))
            exact = rate in (48e3, 44_100.0, 25e3, 250e3 / 3)
            assert rate * (1 - 1e-12) <= found <= rate * (1 + (1e-12 if exact else 0.042))
