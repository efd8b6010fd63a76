# SPDX-License-Identifier: GPL-3.0-or-later
"""The first stage for many samples a symbol loses nothing; what is compiled of it does what the NumPy code does."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import linear_class
from amrq.measure import cleaning
from amrq.native import Kernels
from amrq.receive import ReceivedSymbols, Receiver, channel, decimation, received
from amrq.signals import received_signal

_LENGTH, _EVERY = 3072, 3


def _noise(count: int, *path: str) -> NDArray[np.complex64]:
    parts = rng("decimation", *path).standard_normal((count, 2)).astype(np.float32)
    return parts.view(np.complex64)[:, 0]


@pytest.mark.parametrize("every", [2, 3, 5, 64])
def test_what_would_fold_into_the_channel_is_90_db_down(every: int) -> None:
    taps = decimation._taps(every)
    response = np.abs(np.fft.rfft(taps, 1 << 17))
    frequency = np.arange(len(response)) / (1 << 17) * every  # in rates of the output
    edge = (channel.BINS / 2 + channel._NEAR) / 1024  # as few samples as are left of a block
    assert np.abs(response[frequency < edge] / every - 1).max() < 1e-4
    assert 20 * np.log10(response[frequency > 1 - edge].max() / every) < -90


@pytest.mark.parametrize("shift", [0, 200, -1000])
def test_decimated_samples_are_alike_and_in_their_places(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    first = 5000
    tone = np.exp(2j * np.pi * (shift + 40) / _LENGTH * (first + np.arange(700)))
    samples = tone.astype(np.complex64)
    decimator = decimation.Decimator(_LENGTH, _EVERY)
    compiled = decimator.process(samples, shift, first)
    monkeypatch.setattr(decimation, "kernels", lambda: None)
    plain = decimator.process(samples, shift, first)
    assert compiled.shape == plain.shape
    np.testing.assert_allclose(compiled, plain, atol=3e-6)
    # Sample m lies `margin` input samples after the first one, and `every` after the last.
    place = first + decimator.margin + _EVERY * np.arange(len(plain))
    np.testing.assert_allclose(plain, _EVERY * np.exp(2j * np.pi * 40 / _LENGTH * place), atol=1e-3)


@pytest.mark.parametrize("shift", [0, 33, -64, 65, 500])
def test_a_channel_is_the_same_out_of_decimated_samples(monkeypatch: pytest.MonkeyPatch, shift: int) -> None:
    samples = _noise(30_000, "channel")
    found = []
    for decimated in (True, False):
        if not decimated:
            monkeypatch.setattr(channel, "decimation", lambda length: 1)
        one = channel.Channel(24.0, 0.07)
        spectra = [one.cut(blocks, 0, shift) for blocks in one.process(samples)]
        count = len(spectra[0])
        spectra.append(one.cut(next(one.finish()), count, shift))
        found.append(np.concatenate(spectra)[:12])
    mean = np.sqrt(np.mean(np.abs(found[1]) ** 2))
    # All but what is thrown away of a block in time, and what lies at the edge of the channel: 80 dB down.
    time = np.fft.ifft(found[0] - found[1], axis=1)
    kept = time[:, channel.BINS // 8 : -channel.BINS // 8]
    assert np.sqrt(np.mean(np.abs(kept) ** 2)) * np.sqrt(channel.BINS) < 1e-3 * mean


def test_blocks_that_are_held_can_be_joined_and_parted() -> None:
    one = channel.Channel(24.0)
    blocks = next(one.process(_noise(40_000, "blocks")))
    whole = one.cut(blocks)
    both = one.joined(one.joined(channel.Blocks(), blocks.part(0, 3)), blocks.part(3, 99))
    assert len(both) == len(blocks)
    np.testing.assert_array_equal(one.cut(both), whole)
    np.testing.assert_array_equal(one.cut(blocks.part(2, 5), 2), whole[2:5])
    assert one.cut(channel.Blocks()).shape == (0, channel.BINS)


def _received(drift: float, cuts: list[int]) -> ReceivedSymbols:
    """Receive a signal of 17 samples a symbol that moves by so many cycles/symbol^2."""
    random = rng("decimation", "received")
    sent = random.choice(linear_class("QPSK").points, 4000)
    sent = sent * np.exp(1j * np.pi * drift * np.arange(4000) ** 2)
    samples = received_signal(sent, 17.0, 0.35, 20.0, random)
    receiving = Receiver(17.0, 1.0)
    found = [*map(receiving.process, np.split(samples, cuts)), receiving.finish()]
    return received.joined([one for one in found if len(one)])


@pytest.mark.parametrize("drift", [0.0, 2e-4])
def test_symbols_are_the_same_out_of_decimated_samples(monkeypatch: pytest.MonkeyPatch, drift: float) -> None:
    found = _received(drift, [])
    pieces = _received(drift, [1, 20_000, 20_001, 47_000])
    np.testing.assert_array_equal(found.symbols, pieces.symbols)
    np.testing.assert_array_equal(found.positions, pieces.positions)
    monkeypatch.setattr(channel, "decimation", lambda length: 1)
    whole = _received(drift, [])
    assert np.array_equal(found.borders, whole.borders)
    assert np.abs(found.positions - whole.positions).max() < 0.17  # a hundredth of a symbol
    assert np.median(np.abs(found.symbols - whole.symbols)) < 0.01


@pytest.mark.parametrize("length", [1024, 640])
def test_images_are_seen_alike(native: Kernels, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    samples = _noise(16_384, "image", str(length))
    samples += 0.05j * samples.conj()
    compiled = cleaning._image_sums(samples, length)
    monkeypatch.setattr(cleaning, "kernels", lambda: None)
    plain = cleaning._image_sums(samples, length)
    np.testing.assert_allclose(compiled, plain, rtol=1e-5)


def test_bins_beside_a_line_are_seen_alike(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = _noise(cleaning.BLOCK, "beside") + np.complex64(0.3)
    compiled = cleaning._beside(samples)
    monkeypatch.setattr(cleaning, "kernels", lambda: None)
    plain = cleaning._beside(samples)
    np.testing.assert_allclose(compiled, plain, atol=1e-6 * np.abs(plain).max())


def test_what_is_not_changed_may_be_the_callers_memory() -> None:
    cleaner, samples = cleaning.Cleaner(1e6), _noise(50_000, "view")
    first = cleaner.process(samples[:20_000], view=True)
    second = samples[20_000:].copy()
    rest = cleaner.process(second, view=True)
    assert np.shares_memory(rest, second)
    np.testing.assert_array_equal(np.concatenate((first, rest)), samples)


def test_wrong_shapes_of_samples_are_refused(native: Kernels) -> None:
    samples, taps = np.zeros(100, np.complex64), np.zeros(32, np.float32)
    for call in (
        lambda: native.mixed(samples, samples[:10], 10),
        lambda: native.mixed(samples[None], samples, 0),
        lambda: native.decimated(samples, taps[:30], 2),
        lambda: native.decimated(samples[:15], taps, 2),
        lambda: native.decimated(samples, taps, 0),
        lambda: native.decimated(samples, taps.astype(np.float64), 2),
        lambda: native.few_bins(samples, np.zeros(100, np.float32), (1,)),
        lambda: native.few_bins(np.zeros(256, np.complex64), np.zeros(255, np.float32), (1,)),
        lambda: native.few_bins(np.zeros(256, np.complex64), np.zeros(256, np.float32), (-9,)),
        lambda: native.image_pairs(np.zeros((2, 9), np.complex64)),
        lambda: native.image_each(np.zeros((2, 16), np.complex64), np.zeros(6)),
    ):
        with pytest.raises(ValueError):
            call()
