# SPDX-License-Identifier: GPL-3.0-or-later
"""Algorithm I of the thesis: labelled chunks of every class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.modulations import MODULATIONS, modulation
from amrq.signals import add_noise, add_phase_noise

__all__ = ["DataSet", "make_dataset"]


class DataSet(NamedTuple):
    """Labelled chunks.

    Attributes:
        chunks: complex64 [N, L], not normalised.
        labels: int64 [N], indices into `classes`.
        classes: class names.
    """

    chunks: NDArray[np.complex64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def make_dataset(
    noise_power: float,
    phase_noise: float,
    chunk_length: int,
    pairs_per_class: int,
    rng: np.random.Generator,
    classes: Sequence[str] = tuple(MODULATIONS),
    peak_scaled: bool = False,
) -> DataSet:
    """Make a data set as Algorithm I does (Rothe 2024).

    For each class V_d noisy I/Q pairs are made, shuffled and cut into V_d / c_s chunks of one label; the classes
    are joined and the chunks shuffled, the pairs inside a chunk left as they are.

    Args:
        noise_power: N_a, complex noise power a symbol, where a power of 1 is that of a unit-power symbol.
        phase_noise: N_p, standard deviation of the phase, radians.
        chunk_length: c_s, pairs a chunk.
        pairs_per_class: V_d.
        rng: source of randomness.
        classes: names of the classes.
        peak_scaled: bring each constellation's largest level in I or Q to 1, as the thesis does, in place of its mean
            power.

    Raises:
        AmrqError: V_d is not a positive multiple of c_s.
    """
    if chunk_length < 1 or pairs_per_class < 1 or pairs_per_class % chunk_length:
        raise AmrqError(
            f"the {pairs_per_class} pairs of a class cannot be cut into whole chunks of {chunk_length}: "
            "give a positive multiple of the chunk length."
        )
    parts = []
    for name in classes:
        # Each point equally often as far as V_d allows, which is why Algorithm I then shuffles the pairs.
        sent = modulation(name).scaled_to_peak() if peak_scaled else modulation(name)
        symbols = np.resize(sent.points, pairs_per_class)
        pairs = add_noise(add_phase_noise(symbols, phase_noise, rng), noise_power, rng)
        parts.append(rng.permutation(pairs).reshape(-1, chunk_length))
    chunks = np.concatenate(parts)
    labels = np.repeat(np.arange(len(parts)), len(parts[0]))
    order = rng.permutation(len(chunks))
    return DataSet(chunks[order], labels[order], tuple(classes))
