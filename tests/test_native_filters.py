# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled filters of a channel's blocks do what the NumPy code does, for each block by itself."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.native import ChannelFilters, Kernels
from amrq.receive import channel, pulse_shapes, receiver

BINS, HOP, Pulse = channel.BINS, channel.HOP, pulse_shapes.Pulse
_PULSES = [Pulse(0.35), Pulse(0.2, 0.02), Pulse(0.35)]


def _spectra(blocks: int) -> NDArray[np.complex64]:
    """Spectra of noise, of blocks of very different levels."""
    random = rng("native filters", blocks)
    parts = random.standard_normal((blocks, BINS, 2)) * 10.0 ** (np.arange(blocks) % 3 - 1)[:, None, None]
    return np.asarray(parts @ (1, 1j), np.complex64)


@pytest.mark.parametrize("blocks", [1, 16, 37])
@pytest.mark.parametrize("kinds", [1, 3])
def test_filters_are_numpys(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, blocks: int, kinds: int
) -> None:
    spectra, receiving = _spectra(blocks), receiver.Receiver(4.0, 1.0)
    pulses = [_PULSES[block % kinds] for block in range(blocks)]
    compiled = receiving._matched(spectra, pulses)
    monkeypatch.setattr(receiver, "kernels", lambda: None)
    for found, known in zip(compiled, receiving._matched(spectra, pulses), strict=True):
        assert found.shape == known.shape
        # By block: the weak ones are as exact as the strong ones.
        found, known = found.reshape(blocks, -1), known.reshape(blocks, -1)
        assert (np.abs(found - known).max(axis=1) < 1e-6 * np.abs(known).max(axis=1)).all()


def test_blocks_do_not_depend_on_those_beside_them(native: Kernels) -> None:
    spectra, receiving = _spectra(21), receiver.Receiver(4.0, 1.0)
    pulses = [_PULSES[block % 2] for block in range(21)]
    together = receiving._matched(spectra, pulses)
    pieces = [
        receiving._matched(spectra[part], pulses[part]) for part in (slice(1), slice(1, 4), slice(4, 21))
    ]
    for whole, *some in zip(together, *pieces, strict=True):
        assert np.array_equal(whole, np.concatenate(some))


def test_powers_have_a_limit(native: Kernels) -> None:
    spectra = np.full((2, BINS), 1e15, np.complex64)
    filters = ChannelFilters(
        np.ones((1, 3, 2 * BINS), np.float32),
        np.zeros(2, np.int64),
        0,
        BINS,
        7.0,
        0.5,
        np.ones((4, 32), np.float32),
    )
    power, _, halves = native.channel_filtered(spectra, filters)
    assert power[0] == 7.0 and np.allclose(halves[0], 0.5 + 0.5j)


def test_wrong_shapes_are_refused(native: Kernels) -> None:
    spectra, responses = _spectra(2), np.ones((1, 3, 2 * BINS), np.float32)
    which, weights = np.zeros(2, np.int64), np.ones((4, 32), np.float32)
    limits = (BINS // 8, HOP, 1.0, 1.0)
    for given, filters, words in (
        (spectra[:, :500], ChannelFilters(responses, which, *limits, weights), "500 bins"),
        (spectra[:, :256], ChannelFilters(responses, which, *limits, weights), "are not in blocks"),
        (spectra, ChannelFilters(responses, which, 0, 48, 1.0, 1.0, weights), "spans of 32"),
        (spectra, ChannelFilters(responses[:, :2], which, *limits, weights), "three responses"),
        (spectra, ChannelFilters(responses, which[:1], *limits, weights), "for 2 blocks"),
        (spectra, ChannelFilters(responses, which + 1, *limits, weights), "no more responses than 1"),
        (spectra, ChannelFilters(responses, which, *limits, weights[:3]), "weights of 32 samples"),
    ):
        with pytest.raises(ValueError, match=words):
            native.channel_filtered(given, filters)
