# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of every modulation with one thing wrong at a time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.evaluation.impairment import IMPAIRMENTS, Impairment
from amrq.modulations import MODULATIONS
from amrq.signals import noise_power_from_es_n0_db, rotate

__all__ = ["ImpairedChunks"]

_REACH = 8
"""Symbols to either side that leak into a symbol: the pulse is below 1e-3 beyond, at any timing error up to half a
symbol."""
_ROLLOFF = 0.35


class ImpairedChunks:
    """The same symbols and noise again and again, each time with another impairment.

    Args:
        names: T modulations.
        count: chunks of each.
        length: symbols a chunk (L).
        es_n0_db: Es/N0, dB.
        seed: of all randomness.
        any_phase: turn each chunk by an angle of its own, unless the impairment is a rotation.
        phase_noise: standard deviation of the phase of each symbol, radians, unless the impairment is phase noise.
    """

    def __init__(
        self,
        names: Sequence[str],
        count: int,
        length: int,
        es_n0_db: float,
        seed: int,
        any_phase: bool,
        phase_noise: float,
    ) -> None:
        symbols, noise, angle, jitter = [], [], [], []
        for name in names:
            level = round(1000 * es_n0_db) % 2**32
            rng = np.random.default_rng([seed, 2, length, level, list(MODULATIONS).index(name)])
            m = MODULATIONS[name]
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

        * `rotation`: every chunk turned by the value in degrees and by nothing else;
        * `frequency offset`: the carrier turns by the value in cycles a symbol, through its phase at the chunk's
          middle;
        * `timing error`: sampled by the value in symbols beside the peak of a raised-cosine pulse of roll-off 0.35
          (Proakis and Salehi 2008, eq. 9.2-27), so that neighbours leak in;
        * `level`: signal and noise scaled by the value in dB;
        * `phase noise`: an independent Gaussian phase of the value's standard deviation in radians at each symbol.

        Raises:
            AmrqError: there is no such impairment.
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
