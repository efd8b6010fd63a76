# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of a signal in its band over that of the noise floor beside it.

The spectra of a stretch of samples are averaged (Welch 1967). The noise floor is read from the bins beside the signal,
by their lower quartile, so that other signals there do little harm, corrected for what the quartile of so many
averaged spectra is below their mean (Wilson and Hilferty 1931). It is used only if it is flat on both sides of the
signal: after a filter as narrow as the signal, or between two other signals, the noise inside the band cannot be
determined.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["SnrMeter"]

_SPECTRA = 16  # averaged
_LEAST_SPECTRA = 8
_SYMBOLS = 64  # from one spectrum to the next
_SMALLEST, _LARGEST = 256, 16_384  # samples of a spectrum
_BINS_A_SYMBOL_RATE = 16
_EDGE = 0.45  # of the sample rate: beyond, a radio's filter falls off
_GUARD = 0.9  # of the symbol rate: a roll-off of 0.5 and an offset of 0.15 end here
_OFF = 0.15  # of the symbol rate that a carrier may be off
_LEAST_BINS = 16  # on a side
_QUARTILE = -0.6745  # of the normal distribution
_FLAT_DB = 2.5  # between the floors on either side, near and further off
_LEAST_SHARE = (
    0.25  # of the noise in the band that a signal must have, -6 dB: what noise alone does not reach
)


class SnrMeter:
    """Measure the in-band SNR of a signal, over about its last 1,024 symbols.

    Args:
        sample_rate: samples a second.
        symbol_rate: symbols a second, at most half of that.
        rolloff: of the signal's pulse; its band is (1 + rolloff) symbol rates wide.
        offset: of the signal from the middle of the band, Hz, accurate to 15 % of the symbol rate.

    Example:
        >>> meter = SnrMeter(4.0, 1.0)
        >>> meter.snr_db() is None
        True
    """

    def __init__(
        self, sample_rate: float, symbol_rate: float, rolloff: float = 0.35, offset: float = 0.0
    ) -> None:
        per_symbol = sample_rate / symbol_rate
        wanted = 2 ** math.ceil(math.log2(_BINS_A_SYMBOL_RATE * per_symbol))
        self.length = int(min(max(wanted, _SMALLEST), _LARGEST))
        """Samples of a spectrum."""
        self.step = max(self.length, round(_SYMBOLS * per_symbol))
        """Samples from the beginning of one to that of the next."""
        window = np.hanning(self.length + 1)[:-1]
        self._window = (window / math.sqrt(float(np.sum(window**2)))).astype(np.float32)
        self._spectra = np.zeros((_SPECTRA, self.length))
        self._count = 0
        self._frequencies = np.fft.fftfreq(self.length, 1 / per_symbol)  # in symbol rates
        self._edge, self._rolloff, self._symbol_rate = _EDGE * per_symbol, rolloff, symbol_rate
        self.set_offset(offset)

    def set_offset(self, offset: float) -> None:
        """Set the signal's offset from the middle of the band, Hz."""
        away = self._frequencies - offset / self._symbol_rate
        # A radio leaves a line of its own in the middle of its band.
        floor = (np.abs(self._frequencies) < self._edge) & (np.abs(np.arange(self.length)) > 2)
        floor &= np.arange(self.length) < self.length - 2
        self._sides = [np.flatnonzero(floor & side) for side in (away < -_GUARD, away > _GUARD)]
        middle = offset / self._symbol_rate
        self._near = [
            side[np.argsort(np.abs(self._frequencies[side] - middle))[: max(_LEAST_BINS, len(side) // 4)]]
            for side in self._sides
        ]
        half = (1 + self._rolloff) / 2
        self._band = np.flatnonzero(np.abs(away) <= half + _OFF)
        self._bins = float(2 * half * self.length / (self._frequencies.max() - self._frequencies.min()))
        # The band must lie within what was received, and be seen in some detail.
        whole = abs(middle) + half + _OFF <= -self._frequencies.min()
        # On one side alone nobody sees whether the floor is flat.
        sides = min(len(side) for side in self._sides)
        self._seen = bool(whole) and len(self._band) >= 8 and sides >= _LEAST_BINS
        self.reset()

    def reset(self) -> None:
        """Forget the samples so far: the stream broke."""
        self._count = 0

    def take(self, pieces: Sequence[NDArray[np.complex64]]) -> None:
        """Take in stretches of samples, complex64 [length] each, `step` samples after the one before."""
        for piece in pieces:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is left out
                found = np.fft.fft(piece * self._window)
                power = found.real.astype(np.float64) ** 2 + found.imag.astype(np.float64) ** 2
            if math.isfinite(power.sum()):
                self._spectra[self._count % _SPECTRA] = power
                self._count += 1

    def snr_db(self) -> float | None:
        """Return the signal's power over the noise power in its band, dB; None if it cannot be measured."""
        count = min(self._count, _SPECTRA)
        if not self._seen or count < _LEAST_SPECTRA:
            return None
        power = self._spectra[:count].mean(axis=0)
        below = (1 - 1 / (9 * count) + _QUARTILE / (3 * math.sqrt(count))) ** 3
        floors = [_quartile(power[side]) / below for side in (*self._sides, *self._near)]
        # Flat on both sides, and no other towards the signal than further off.
        if min(floors) <= 0 or 10 * math.log10(max(floors) / min(floors)) > _FLAT_DB:
            return None
        floor = (floors[0] + floors[1]) / 2
        noise = floor * len(self._band)
        signal = float(power[self._band].sum()) - noise
        if signal < _LEAST_SHARE * noise:
            return None
        return 10 * math.log10(signal / (floor * self._bins))


def _quartile(values: NDArray[np.float64]) -> float:
    place = len(values) // 4
    return float(np.partition(values, place)[place])
