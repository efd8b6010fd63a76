# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of chunks with known labels: fresh, impaired, and the data set of the thesis."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.classes import THESIS_9, LinearClass, LinearSet, linear_class
from amrq.errors import AmrqError
from amrq.signals import add_noise, add_phase_noise, noise_power_from_es_n0_db, rotate

__all__ = [
    "IMPAIRMENTS",
    "ChunkSet",
    "DataSet",
    "ImpairedChunks",
    "Impairment",
    "fresh_chunks",
    "make_dataset",
]


@dataclass(frozen=True)
class Impairment:
    """An impairment and the values at which it is measured; see `ImpairedChunks.chunks`.

    Attributes:
        name: of the impairment.
        unit: of the values.
        values: where accuracy is measured, rising.
    """

    name: str
    unit: str
    values: tuple[float, ...]


IMPAIRMENTS = (
    Impairment("rotation", "degrees", tuple(7.5 * step for step in range(13))),
    Impairment("frequency offset", "cycles/symbol", tuple(round(5e-4 * step, 6) for step in range(9))),
    Impairment("timing error", "symbols", tuple(round(0.025 * step, 6) for step in range(9))),
    Impairment("level", "dB", (-60.0, -40.0, -20.0, 0.0, 20.0, 40.0, 60.0)),
    Impairment("phase noise", "rad", tuple(round(0.025 * step, 6) for step in range(9))),
)
"""A quarter turn is the whole circle for six of the nine; 4e-3 cycles/symbol is an eighth of a turn over 32 symbols."""


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
    classes: LinearSet = THESIS_9,
    peak_scaled: bool = False,
) -> DataSet:
    """Make a data set as Algorithm I does (Rothe 2024).

    For each class, V_d noisy I/Q pairs are made, shuffled and divided into V_d / c_s chunks of one label. The chunks
    of all classes are then joined and shuffled; the order inside a chunk stays.

    Args:
        noise_power: N_a, complex noise power a symbol, relative to a unit-power symbol.
        phase_noise: N_p, standard deviation of the phase, radians.
        chunk_length: c_s, pairs a chunk.
        pairs_per_class: V_d.
        rng: source of randomness.
        classes: the class set; by default that of the thesis.
        peak_scaled: scale each constellation to a largest level of 1 in I or Q, as the thesis does, rather than to a
            mean power of 1.

    Raises:
        AmrqError: V_d is not a positive multiple of c_s.

    >>> import numpy as np
    >>> data = make_dataset(0.005, 0.005, chunk_length=32, pairs_per_class=64, rng=np.random.default_rng(1))
    >>> data.chunks.shape
    (18, 32)
    """
    if chunk_length < 1 or pairs_per_class < 1 or pairs_per_class % chunk_length:
        raise AmrqError(
            f"the {pairs_per_class} pairs of a class cannot be cut into whole chunks of {chunk_length}: "
            "give a positive multiple of the chunk length."
        )
    parts = []
    for member in classes.members:
        # Each point occurs equally often, as far as V_d allows; therefore Algorithm I then shuffles the pairs.
        sent = member.scaled_to_peak() if peak_scaled else member
        symbols = np.resize(sent.points, pairs_per_class)
        pairs = add_noise(add_phase_noise(symbols, phase_noise, rng), noise_power, rng)
        parts.append(rng.permutation(pairs).reshape(-1, chunk_length))
    chunks = np.concatenate(parts)
    labels = np.repeat(np.arange(len(parts)), len(parts[0]))
    order = rng.permutation(len(chunks))
    return DataSet(chunks[order], labels[order], classes.names)


def fresh_chunks(
    sent: LinearClass | str,
    count: int,
    length: int,
    es_n0_db: float,
    rng: np.random.Generator,
    phase_noise: float = 0.0,
    any_phase: bool = True,
    peak_scaled: bool = False,
) -> NDArray[np.complex64]:
    """Return ideal chunks of one modulation: random symbols, one random rotation a chunk, noise.

    Args:
        sent: the modulation, or the name of one in `amrq.classes`.
        count: number of chunks (N).
        length: symbols a chunk (L).
        es_n0_db: Es/N0, dB.
        rng: source of randomness.
        phase_noise: standard deviation of the independent phase noise of each symbol, radians.
        any_phase: turn each chunk by a random angle.
        peak_scaled: scale the constellation to a largest level of 1 in I or Q, as the thesis does, rather than to a
            mean power of 1. Es in `es_n0_db` is still 1.

    Returns:
        complex64 [N, L].

    >>> import numpy as np
    >>> chunks = fresh_chunks("8PSK", count=5, length=32, es_n0_db=20.0, rng=np.random.default_rng(1))
    >>> chunks.shape, chunks.dtype.name
    ((5, 32), 'complex64')
    """
    m = linear_class(sent) if isinstance(sent, str) else sent
    m = m.scaled_to_peak() if peak_scaled else m
    chunks = m.points[rng.integers(m.order, size=(count, length))]
    if any_phase:
        chunks = rotate(chunks, rng.uniform(0, 2 * np.pi, count))
    if phase_noise:
        chunks = add_phase_noise(chunks, phase_noise, rng)
    return add_noise(chunks, noise_power_from_es_n0_db(es_n0_db), rng)


@dataclass(frozen=True)
class ChunkSet:
    """Fresh ideal chunks by modulation and Es/N0; the same seed gives the same chunks.

    A class's chunks at one Es/N0 do not depend on the other levels and classes. `amrq bound` draws the same chunks
    from the same seed.

    Attributes:
        classes: the class set.
        length: symbols a chunk.
        chunks_per_class: chunks of each modulation at each Es/N0.
        seed: of all randomness.
        phase_noise: standard deviation, radians.
        any_phase: each chunk is turned by a random angle.
    """

    classes: LinearSet
    length: int
    chunks_per_class: int
    seed: int
    phase_noise: float
    any_phase: bool

    def chunks(self, name: str, es_n0_db: float) -> NDArray[np.complex64]:
        """Return complex64 [chunks_per_class, length] of one modulation at one Es/N0 in dB."""
        # In whole millidecibels: a point's chunks do not depend on how its level was written.
        level = round(1000 * es_n0_db) % 2**32
        rng = np.random.default_rng([self.seed, self.length, level, self.classes[name].stream])
        return fresh_chunks(
            self.classes[name],
            self.chunks_per_class,
            self.length,
            es_n0_db,
            rng,
            self.phase_noise,
            self.any_phase,
        )


_REACH = 8
"""Symbols to either side that leak into a symbol: the pulse is below 1e-3 beyond, at any timing error up to half a
symbol."""
_ROLLOFF = 0.35


class ImpairedChunks:
    """Chunks of the same symbols and noise under different impairments.

    Args:
        classes: T modulations.
        count: chunks of each.
        length: symbols a chunk (L).
        es_n0_db: Es/N0, dB.
        seed: of all randomness.
        any_phase: turn each chunk by a random angle, unless the impairment is a rotation.
        phase_noise: standard deviation of the phase of each symbol, radians, unless the impairment is phase noise.
    """

    def __init__(
        self,
        classes: LinearSet,
        count: int,
        length: int,
        es_n0_db: float,
        seed: int,
        any_phase: bool,
        phase_noise: float,
    ) -> None:
        symbols, noise, angle, jitter = [], [], [], []
        for m in classes.members:
            level = round(1000 * es_n0_db) % 2**32
            rng = np.random.default_rng([seed, 2, length, level, m.stream])
            symbols.append(m.points[rng.integers(m.order, size=(count, length + 2 * _REACH))])
            pairs = rng.standard_normal((count, length, 2), dtype=np.float32)
            noise.append(pairs.view(np.complex64)[..., 0])
            angle.append(rng.uniform(0, 2 * np.pi, count))
            jitter.append(rng.standard_normal((count, length), dtype=np.float32))
        self._length = length
        self._any_phase = any_phase
        self._phase_noise = phase_noise
        self._symbols: NDArray[np.complex64] = np.concatenate(symbols)
        deviation = np.float32(np.sqrt(noise_power_from_es_n0_db(es_n0_db) / 2))
        self._noise: NDArray[np.complex64] = deviation * np.concatenate(noise)
        self._angle: NDArray[np.float64] = np.concatenate(angle)
        self._jitter: NDArray[np.float32] = np.concatenate(jitter)

    def chunks(self, impairment: Impairment, value: float) -> NDArray[np.complex64]:
        """Return complex64 [T count, L], modulation by modulation.

        * `rotation`: every chunk turned by the value in degrees only;
        * `frequency offset`: the carrier turns by the value in cycles a symbol; its phase at the chunk's middle is
          unchanged;
        * `timing error`: sampled off the peak of a raised-cosine pulse of roll-off 0.35 by the value in symbols
          (Proakis and Salehi 2008, eq. 9.2-27), which adds interference from neighbouring symbols;
        * `level`: signal and noise scaled by the value in dB;
        * `phase noise`: an independent Gaussian phase of the value's standard deviation in radians at each symbol.

        Raises:
            AmrqError: the impairment does not exist.
        """
        kind = impairment.name
        if impairment not in IMPAIRMENTS:
            raise AmrqError(f"there is no impairment called {kind!r}.")
        if kind == "timing error":
            samples = self._beside_the_peak(value)
        else:
            samples = self._symbols[:, _REACH : _REACH + self._length]
        if kind == "rotation":
            samples = rotate(samples, np.deg2rad(value))
        elif self._any_phase:
            samples = rotate(samples, self._angle)
        if kind == "frequency offset":
            n = np.arange(self._length) - (self._length - 1) / 2
            samples = samples * np.exp(2j * np.pi * value * n).astype(np.complex64)
        deviation = np.float32(value if kind == "phase noise" else self._phase_noise)
        if deviation:
            samples = samples * np.exp(1j * deviation * self._jitter)
        received = samples + self._noise
        if kind == "level":
            received = received * np.float32(10 ** (value / 20))
        return np.asarray(received, dtype=np.complex64)

    def _beside_the_peak(self, offset: float) -> NDArray[np.complex64]:
        t = np.arange(-_REACH, _REACH + 1) + offset
        denominator = 1 - (2 * _ROLLOFF * t) ** 2
        near = np.abs(denominator) < 1e-6
        pulse = np.sinc(t) * np.cos(np.pi * _ROLLOFF * t) / np.where(near, 1, denominator)
        pulse = np.where(near, np.pi / 4 * np.sinc(1 / (2 * _ROLLOFF)), pulse)
        samples = np.zeros((len(self._symbols), self._length), dtype=np.complex64)
        for k, tap in enumerate(pulse.astype(np.float32)):
            samples += tap * self._symbols[:, k : k + self._length]
        return samples
