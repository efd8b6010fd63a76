# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated band: a dozen emissions of several kinds in noise, some of them in bursts."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.text import engineering

__all__ = ["SIMULATED_EMISSIONS", "SimulatedBand", "SimulatedBurst", "SimulatedEmission"]

_LOOP_SECONDS = 0.9
"""Signals repeat after about this time: long enough for thousands of symbols, short enough for memory."""
_RAMP = 1e-4
"""Rise and fall of a burst as a part of a second, so that keying does not splatter over the band."""
_NOISE_RMS = 0.02
"""Of the noise in the whole band: full scale is 34 dB above it."""
_REFERENCE_RATE = 2.4e6
"""Sample rate for which the table of emissions is written, S/s; other rates stretch it."""

_Samples = NDArray[np.complex64]
_Spectrum = NDArray[np.complex128]


@dataclass(frozen=True)
class SimulatedEmission:
    """One emission of a simulated band, at 2.4 MS/s; at another sample rate all frequencies are stretched.

    Attributes:
        label: a class of linear modulations, or `carrier`, `AM`, `FM`, `FSK`, `4FSK`, `OOK`.
        centre: Hz from the middle of the band.
        bandwidth: occupied, Hz; of a carrier, 0.
        snr_db: power over that of the noise in the bandwidth, dB; of a carrier, in 1 kHz.
        symbol_rate: Bd; 0 where it has no symbols.
        on: length of a burst, s; 0: always on.
        off: mean time between two bursts, s; the times are drawn at random.
    """

    label: str
    centre: float
    bandwidth: float
    snr_db: float
    symbol_rate: float = 0.0
    on: float = 0.0
    off: float = 0.0


SIMULATED_EMISSIONS: tuple[SimulatedEmission, ...] = (
    SimulatedEmission("QPSK", -920e3, 135e3, 22.0, 100e3),
    SimulatedEmission("16QAM", -690e3, 81e3, 27.0, 60e3),
    SimulatedEmission("8PSK", -520e3, 65e3, 22.0, 48e3, on=4.0, off=2.5),
    SimulatedEmission("BPSK", -390e3, 33e3, 16.0, 24e3),
    SimulatedEmission("FM", -290e3, 12.5e3, 22.0),
    SimulatedEmission("carrier", -200e3, 0.0, 26.0),
    SimulatedEmission("AM", -110e3, 9e3, 22.0),
    SimulatedEmission("FSK", 90e3, 40e3, 20.0, 19.2e3, on=0.06, off=0.5),
    SimulatedEmission("OOK", 190e3, 24e3, 24.0, 8e3, on=0.12, off=0.8),
    SimulatedEmission("4FSK", 300e3, 25e3, 18.0, 9.6e3),
    SimulatedEmission("QPSK", 480e3, 97e3, 18.0, 72e3, on=0.25, off=0.35),
    SimulatedEmission("8QAM", 650e3, 54e3, 24.0, 40e3, on=6.0, off=3.0),
    SimulatedEmission("FM", 900e3, 180e3, 26.0),
)
"""What `amrq gui --simulate` shows."""


@dataclass(frozen=True)
class SimulatedBurst:
    """When an emission was on.

    Attributes:
        emission: its place in the band's list.
        start: first sample.
        stop: sample after the last one.
    """

    emission: int
    start: int
    stop: int


class SimulatedBand:
    """Samples of a band with several emissions, made piece by piece, at once and without end.

    Each emission is made once, as a signal that repeats without a seam: its spectrum is put into its place among the
    frequencies of the whole loop, and one inverse transform makes the samples. Noise is fresh in every sample, and
    bursts begin at random times.

    Args:
        sample_rate: samples a second, at least 10 kS/s.
        seed: of all randomness.
        emissions: what is on the air.

    Raises:
        AmrqError: the sample rate is too low, or an emission lies outside the band.

    >>> band = SimulatedBand(240e3)
    >>> band.next_samples(1000).shape, band.emissions[0].label, band.emissions[0].centre
    ((1000,), 'QPSK', -92000.0)
    """

    def __init__(
        self,
        sample_rate: float = _REFERENCE_RATE,
        seed: int = 0,
        emissions: Sequence[SimulatedEmission] = SIMULATED_EMISSIONS,
    ) -> None:
        if not 10e3 <= sample_rate < 1e9:
            raise AmrqError(f"a simulated band has 10 kS/s to 1 GS/s, not {engineering(sample_rate, 'S/s')}.")
        self.sample_rate = float(sample_rate)
        stretch = self.sample_rate / _REFERENCE_RATE
        self.emissions = tuple(_stretched(emission, stretch) for emission in emissions)
        """The emissions at this sample rate."""
        for emission in self.emissions:
            if abs(emission.centre) + emission.bandwidth / 2 > self.sample_rate / 2:
                raise AmrqError(
                    f"the {emission.label} at {engineering(emission.centre, 'Hz')} lies outside the band."
                )
        self._rng = np.random.default_rng(seed)
        self._length = 2 ** round(np.log2(_LOOP_SECONDS * self.sample_rate))
        self._position = 0
        steady = np.zeros(self._length, dtype=np.complex128)
        self._bursts: list[tuple[int, _Samples]] = []
        self._next: dict[int, SimulatedBurst] = {}
        for number, emission in enumerate(self.emissions):
            if not emission.on:
                self._place(steady, emission)
                continue
            alone = np.zeros(self._length, dtype=np.complex128)
            self._place(alone, emission)
            self._bursts.append((number, _to_samples(alone)))
            self._next[number] = self._drawn(number, 0)
        self._steady = _to_samples(steady)

    def next_samples(self, count: int) -> _Samples:
        """Return the next samples [count], complex64; full scale is 1.

        Args:
            count: how many, 0 or more.
        """
        first, last = self._position, self._position + count
        out = self._noise(count)
        for start, stop in _laps(first, last, self._length):
            place = start % self._length
            out[start - first : stop - first] += self._steady[place : place + stop - start]
        for number, samples in self._bursts:
            while self._next[number].start < last:
                burst = self._next[number]
                self._add_burst(out, first, burst, samples)
                if burst.stop > last:
                    break
                self._next[number] = self._drawn(number, burst.stop)
        self._position = last
        return out

    def on_the_air(self) -> list[SimulatedBurst]:
        """Return for each emission in bursts the burst that is on, or else its next one, in samples from the start."""
        return [self._next[number] for number, _ in self._bursts]

    def _noise(self, count: int) -> _Samples:
        pairs = self._rng.standard_normal(2 * count, dtype=np.float32)
        pairs *= np.float32(_NOISE_RMS * np.sqrt(0.5))
        return pairs.view(np.complex64)

    def _drawn(self, number: int, after: int) -> SimulatedBurst:
        emission = self.emissions[number]
        start = after + round(self._rng.uniform(0.5, 1.5) * emission.off * self.sample_rate)
        return SimulatedBurst(number, start, start + round(emission.on * self.sample_rate))

    def _add_burst(self, out: _Samples, first: int, burst: SimulatedBurst, samples: _Samples) -> None:
        begin, end = max(burst.start, first), min(burst.stop, first + len(out))
        ramp = max(1.0, _RAMP * self.sample_rate)
        for start, stop in _laps(begin, end, self._length):
            place = start % self._length
            piece = samples[place : place + stop - start]
            if start < burst.start + ramp or stop > burst.stop - ramp:
                index = np.arange(start, stop)
                edge = np.minimum(index - burst.start, burst.stop - 1 - index) / ramp
                piece = piece * np.sin(np.pi / 2 * np.clip(edge, 0, 1)).astype(np.float32) ** 2
            out[start - first : stop - first] += piece

    def _place(self, spectrum: _Spectrum, emission: SimulatedEmission) -> None:
        """Add an emission's transform to that of the loop."""
        own = self._own_spectrum(emission)
        noise = _NOISE_RMS**2 * (emission.bandwidth or 1e3) / self.sample_rate
        power = np.sum(np.abs(own) ** 2) / self._length**2
        own *= np.sqrt(10 ** (emission.snr_db / 10) * noise / power)
        middle = round(emission.centre / self.sample_rate * self._length)
        places = (np.arange(len(own)) - len(own) // 2 + middle) % self._length
        spectrum[places] += own

    def _own_spectrum(self, emission: SimulatedEmission) -> _Spectrum:
        """Return an emission's transform around 0 Hz, its middle at the middle."""
        if emission.label == "carrier":
            return np.ones(1, dtype=np.complex128)
        width = emission.bandwidth / self.sample_rate * self._length
        symbols = round(emission.symbol_rate / self.sample_rate * self._length)
        if emission.label in THESIS_9:
            return self._linear(emission.label, symbols, width / symbols - 1)
        count = 2 ** int(np.ceil(np.log2(4 * width)))
        own = np.fft.fft(self._other(emission, count, symbols, width))
        return np.asarray(np.fft.fftshift(own), dtype=np.complex128)

    def _linear(self, label: str, symbols: int, rolloff: float) -> _Spectrum:
        """Return random symbols with a root-raised-cosine pulse."""
        points = THESIS_9[label].points
        drawn = np.fft.fft(points[self._rng.integers(len(points), size=symbols)])
        reach = int(np.ceil(symbols * (1 + rolloff) / 2))
        index = np.arange(-reach, reach + 1)
        beyond = np.clip((np.abs(index) / symbols - (1 - rolloff) / 2) / rolloff, 0, 1)
        return np.asarray(drawn[index % symbols] * np.cos(np.pi / 2 * beyond), dtype=np.complex128)

    def _other(
        self, emission: SimulatedEmission, count: int, symbols: int, width: float
    ) -> NDArray[np.complex128]:
        """Return one loop of a signal that is no linear modulation, `count` samples of it."""
        if emission.label == "AM":
            return (1 + 0.35 * self._voice(count, width / 2)).astype(np.complex128)
        if emission.label == "FM":
            # Carson's rule: half the width is the deviation and the highest frequency of the message.
            message = self._voice(count, width / 5)
            return _turning(message * width * 0.14 / count)
        place = np.arange(count) * symbols // count
        levels = self._rng.permutation(np.arange(symbols) % (4 if emission.label == "4FSK" else 2))
        if emission.label == "OOK":
            keyed = levels[place].astype(np.float64)
            return _smoothed(keyed, symbols).astype(np.complex128)
        centred = levels - levels.mean()
        return _turning(_smoothed(centred[place], symbols) * (width - symbols) / np.ptp(centred) / count)

    def _voice(self, count: int, highest: float) -> NDArray[np.float64]:
        """Return low-pass noise of unit power with syllables: what a microphone gives."""
        noise = np.fft.rfft(self._rng.standard_normal(count))
        index = np.arange(len(noise))
        message = np.fft.irfft(noise * (index < highest) * (index > 0) / (1 + 3 * index / highest), count)
        loud = np.fft.rfft(self._rng.standard_normal(count)) * (index < 6)
        message *= 0.4 + np.abs(np.fft.irfft(loud, count)) / np.std(np.fft.irfft(loud, count))
        message -= message.mean()
        return np.asarray(np.clip(message / message.std(), -2.5, 2.5))


def _stretched(emission: SimulatedEmission, stretch: float) -> SimulatedEmission:
    return SimulatedEmission(
        emission.label,
        emission.centre * stretch,
        emission.bandwidth * stretch,
        emission.snr_db,
        emission.symbol_rate * stretch,
        emission.on,
        emission.off,
    )


def _turning(frequency: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return a phasor of this frequency in cycles a sample, that ends where it began."""
    return np.exp(2j * np.pi * np.cumsum(frequency - frequency.mean())).astype(np.complex128)


def _smoothed(held: NDArray[np.float64], symbols: int) -> NDArray[np.float64]:
    """Pass symbols that are held through a Gaussian filter with a bandwidth of the symbol rate, around the loop."""
    index = np.arange(len(held) // 2 + 1)
    return np.fft.irfft(np.fft.rfft(held) * np.exp(-np.log(2) / 2 * (index / symbols) ** 2), len(held))


def _to_samples(spectrum: _Spectrum) -> _Samples:
    # In single precision: a third of the time, and its errors are 120 dB down.
    return np.asarray(scipy.fft.ifft(spectrum.astype(np.complex64), overwrite_x=True), dtype=np.complex64)


def _laps(first: int, last: int, length: int) -> list[tuple[int, int]]:
    """Return the parts of [first, last) that do not go over the end of a loop."""
    edges = [first, *range((first // length + 1) * length, last, length), last]
    return [(start, stop) for start, stop in itertools.pairwise(edges) if start < stop]
