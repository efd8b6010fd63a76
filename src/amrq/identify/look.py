# SPDX-License-Identifier: GPL-3.0-or-later
"""An emission's samples and all that can be measured of them: each measure is taken once, when it is asked for."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.classifier import Classifier, FamilyModel
from amrq.identify.second_look import changed
from amrq.identify.steady_line import SteadyLine, steady_line
from amrq.measure import (
    AmMeasures,
    AudioKind,
    Chirp,
    Drift,
    EmissionMeasures,
    FmMeasures,
    FrequencyKeying,
    FrequencySpread,
    InnerModem,
    KeyedCarriers,
    KeyedEye,
    Keying,
    PhaseKeying,
    Pulses,
    QuarterTurns,
    RealAxis,
    RepeatedSymbols,
    Sidebands,
    Spreading,
    SsbMeasures,
    Subcarriers,
    VideoLines,
    Voice,
    hann_single,
    measure_am,
    measure_am_modem,
    measure_chirp,
    measure_drift,
    measure_fm,
    measure_frequency_keying,
    measure_frequency_spread,
    measure_keyed_carriers,
    measure_keyed_eye,
    measure_keying,
    measure_phase_keying,
    measure_pulse,
    measure_quarter_turns,
    measure_real_axis,
    measure_repeated_symbols,
    measure_sidebands,
    measure_spreading,
    measure_ssb,
    measure_subcarriers,
    measure_video_lines,
    measure_voice,
    median,
    turned,
)

__all__ = ["EmissionLook", "IdentifyModels", "Line", "PowerLines", "bins_between"]

_LINE_HZ = 50.0
"""A carrier keeps within so much of its frequency during a look; a line is at least four bins of its transform wide."""
_LINE_PART = 0.1
"""Of the emission's box, to either side: what is as wide as that is no line in it."""
_LINE_TIMES = 25.0
"""Times the mean noise in a bin that a line's peak is at least: noise exceeds it once in 7e10 bins."""
_HANN = 0.375
"""Mean square of Hann's window."""
_ALONE, _AM_WIDTH, _AM_BOXES, _WHOLE = 0.9, 6e3, 4.0, 0.9
"""Of a box's power: a line with more is perhaps the carrier of AM whose sidebands are outside the box: they are looked
for so wide, Hz, in so many boxes and so much of the sample rate at most."""
_RESTS = 2.8
"""Peakedness of a frequency that rests near its middle, as of voices and music: slow tones use its range evenly."""
_FILLED = 0.8
"""Of the sample rate: the band where no edges are known and nothing stands out."""
_SIDES = 0.65
"""Of the bandwidth, from its middle: so much of a signal is raised to a power."""
_LOCAL, _OWN, _FIFTH = 65, 7, 0.2
"""Bins around a line whose mean is its floor, and those of the line that do not count; and of the median: a floor is at
least as high."""
_NARROW = 0.4
"""Of the bandwidth: what has a lower symbol rate need not be in its middle."""
_NEAR = 0.25
"""Of the bandwidth: how far such a line may be off the middle; half a symbol rate is some 0.4 of it."""


_KEYS = 8.0
"""Over a key's time, to either side of a carrier: the band that its keys take. Rectangular ones have 0.03 beyond."""


@dataclass(frozen=True)
class IdentifyModels:
    """The models that identify an emission.

    Attributes:
        linear: classifier of symbols, or a model's name, for linear modulations.
        family: family model; None: families are told by their measures alone.
    """

    linear: str | Classifier = "default"
    family: FamilyModel | None = None


class Line(NamedTuple):
    """The strongest line of an emission's spectrum: powers, less the noise."""

    power: float  # of the line; 0 where none stands out of the noise
    beside: float  # of the rest
    doubt: float  # standard deviation of the rest
    place: float = 0.0  # Hz

    @property
    def share(self) -> float:
        """Share of the emission's power that is in the line, 0 to 1."""
        total = self.power + max(self.beside, 0.0)
        return self.power / total if total > 0 else 0.0


class PowerLines(NamedTuple):
    """Lines of an emission's square and fourth power: peaks over the mean power around them.

    Attributes:
        square: near twice the middle of the spectrum: BPSK has one there.
        fourth: near four times the middle: QPSK has one there.
    """

    square: float
    fourth: float


@dataclass(frozen=True)
class EmissionLook:
    """An emission's samples, as families look at them.

    Attributes:
        iq: complex64 [n], the emission about 0 Hz, with some noise beside it.
        sample_rate: samples a second.
        noise_density: of the noise, power per Hz, by the noise floor of the band; None where it is not known.
        edges: lower and upper edge of the emission's box, Hz from 0 Hz of `iq`; None: all of the band.
        snr_db: in its box, as its detector found it, dB; None where it is not known.
        measures: what was measured of it.
        models: what it is identified with.
        thorough: as `identify_emission` takes it.
        symbol_rate: likewise.
        received: the samples as they were given, and their rate, where `iq` has some put in between; None: `iq` itself.
        transform: complex64 [n], the discrete Fourier transform of `iq`, where it is known already.
    """

    iq: NDArray[np.complex64]
    sample_rate: float
    noise_density: float | None
    edges: tuple[float, float] | None
    snr_db: float | None
    measures: EmissionMeasures
    models: IdentifyModels = IdentifyModels()
    thorough: bool = True
    symbol_rate: float | None = None
    received: tuple[NDArray[np.complex64], float] | None = None
    transform: NDArray[np.complex64] | None = None

    @cached_property
    def spectrum(self) -> NDArray[np.complex64]:
        """The discrete Fourier transform of `iq`, complex64 [n]: many measures begin with it."""
        return np.asarray(fft.fft(self.iq) if self.transform is None else self.transform)

    def inside(self) -> tuple[float, float]:
        """Return the edges, within the band of the samples."""
        half = self.sample_rate / 2
        lower, upper = self.edges or (-half, half)
        return max(lower, -half), min(upper, half)

    def band(self) -> tuple[float, float]:
        """Return the edges; where they are not known, those that were measured."""
        if self.edges is not None:
            return self.inside()
        if self.measures.bandwidth > 0:
            return self.measures.lower, self.measures.upper
        half = _FILLED * self.sample_rate / 2
        return -half, half

    @cached_property
    def bandwidth(self) -> float:
        """Width of `band`, Hz."""
        lower, upper = self.band()
        return max(upper - lower, 4 * self.sample_rate / len(self.iq))

    @cached_property
    def centred(self) -> NDArray[np.complex64]:
        """The samples with the middle of `band` at 0 Hz."""
        lower, upper = self.band()
        middle = (lower + upper) / 2
        if abs(middle) < 0.01 * self.bandwidth:
            return self.iq
        return turned(self.iq, -middle / self.sample_rate)

    @cached_property
    def envelope(self) -> float:
        """Variation of the envelope, 0 to 2: 0 where it is constant, 1 of Gaussian noise, and where it is not known."""
        value = self.measures.envelope_variation
        return min(value, 2.0) if math.isfinite(value) else 1.0

    @cached_property
    def line(self) -> Line:
        """The strongest line within the edges."""
        return _strongest_line(self)

    @cached_property
    def steady(self) -> SteadyLine:
        """How steady the strongest line is."""
        if not self.line.power > 0:
            return SteadyLine()
        return steady_line(self.spectrum, self.sample_rate, self.line.place, 2 * _LINE_HZ, self.noise_density)

    @cached_property
    def frequency_keying(self) -> FrequencyKeying:
        """Frequency keying, whatever the emission is."""
        peaked = (self.frequency_spread.peakedness or 0.0) > _RESTS
        return measure_frequency_keying(self.centred, self.sample_rate, self.bandwidth, slow=not peaked)

    @cached_property
    def frequency_spread(self) -> FrequencySpread:
        """How the frequency is spread: by audio, or by keys."""
        density, snr = self.noise_density, self.measures.snr_db
        if density is None and math.isfinite(snr) and self.measures.bandwidth > 0:
            power = float(np.mean(np.square(np.abs(self.iq))))
            ratio = 10 ** (snr / 10) * self.measures.bandwidth  # of the signal's power over the noise in 1 Hz
            density = power / (ratio + self.sample_rate)
        return measure_frequency_spread(self.centred, self.sample_rate, self.bandwidth, density)

    @cached_property
    def subcarriers(self) -> Subcarriers:
        """OFDM's subcarriers."""
        return measure_subcarriers(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def keyed_carriers(self) -> KeyedCarriers:
        """Carriers side by side, each keyed for itself."""
        return measure_keyed_carriers(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def video_lines(self) -> VideoLines:
        """A picture's lines in the frequency."""
        return measure_video_lines(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def fm(self) -> FmMeasures:
        """Frequency modulation by audio."""
        return measure_fm(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def am(self) -> AmMeasures:
        """Amplitude modulation with a carrier."""
        if not self.line.power > 0:
            return measure_am(self.centred, self.sample_rate, self.bandwidth)
        return measure_am(self._on_line, self.sample_rate, 2 * self._reach)

    @cached_property
    def sidebands(self) -> Sidebands:
        """What is beside the strongest line; nothing where there is none."""
        if not self.line.power > 0:
            return Sidebands()
        lower, upper = (edge - self.line.place for edge in self.band())
        return measure_sidebands(
            self._on_line, self.sample_rate, self._reach, self.noise_density, (lower, upper)
        )

    def voice(self, kind: AudioKind) -> Voice:
        """Return whether there is a voice in the audio of AM, narrow FM or a single sideband."""
        density = self.noise_density or 0.0
        if kind == "am" and self.line.power > 0:
            return measure_voice(self._on_line, self.sample_rate, 2 * self._reach, kind, density)
        return measure_voice(self.centred, self.sample_rate, self.bandwidth, kind, density)

    def am_modem(self) -> InnerModem:
        """Return the modem in AM's audio."""
        if not self.line.power > 0:
            return InnerModem()
        return measure_am_modem(self._on_line, self.sample_rate, 2 * self._reach)

    @cached_property
    def _on_line(self) -> NDArray[np.complex64]:
        """The samples with the strongest line at 0 Hz."""
        return turned(self.iq, -self.line.place / self.sample_rate)

    @property
    def _reach(self) -> float:
        """Hz from the line, within which its sidebands are looked for.

        The box may hold the carrier and one sideband only, or the carrier alone: what mirrors is not noise.
        """
        lower, upper = self.band()
        carrier = self.line.place
        width = min(2 * max(upper - carrier, carrier - lower), self.sample_rate)
        if self.line.share > _ALONE:
            width = min(max(width, _AM_WIDTH), _AM_BOXES * width, _WHOLE * self.sample_rate)
        return width / 2

    @cached_property
    def ssb(self) -> SsbMeasures:
        """A single sideband."""
        return measure_ssb(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def keying(self) -> Keying:
        """Amplitude keying."""
        return measure_keying(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def keyed_eye(self) -> KeyedEye:
        """Amplitude keying with rounded edges."""
        return measure_keyed_eye(self.centred, self.sample_rate, self.bandwidth, self.noise_density)

    @cached_property
    def pulses(self) -> Pulses:
        """Pulses, as of transponders and radars."""
        iq, rate = self.received or (self.centred, self.sample_rate)
        return measure_pulse(iq, rate, min(self.bandwidth, rate))

    @cached_property
    def chirp(self) -> Chirp:
        """Chirps."""
        return measure_chirp(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def drift(self) -> Drift:
        """How its carrier drifts, whatever it is."""
        return measure_drift(self.centred, self.sample_rate, self.bandwidth, self.noise_density)

    @cached_property
    def phase_keying(self) -> PhaseKeying:
        """Phase keying with turns of an eighth, or an offset."""
        return measure_phase_keying(self.centred, self.sample_rate, self.bandwidth)

    def quarter_turns(self, symbol_rate: float) -> QuarterTurns:
        """Return what lines of the fourth power tell, where the symbol rate is known."""
        middle = self.middle if symbol_rate < _NARROW * self.bandwidth else sum(self.band()) / 2
        return measure_quarter_turns(self.iq, self.sample_rate, symbol_rate, middle, self.spectrum)

    @property
    def middle(self) -> float:
        """Middle of what was measured, or of `band`, Hz."""
        centre = self.measures.centre
        return centre if math.isfinite(centre) else sum(self.band()) / 2

    @cached_property
    def spreading(self) -> Spreading:
        """Direct sequences."""
        return measure_spreading(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def repeated_symbols(self) -> RepeatedSymbols:
        """Symbols of a word that is sent again and again."""
        return measure_repeated_symbols(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def real_axis(self) -> RealAxis:
        """Whether it is a carrier times something real."""
        return measure_real_axis(self.centred, self.sample_rate, self.bandwidth)

    @cached_property
    def beyond_keys(self) -> float:
        """Share of the power that the band of keys as long as those seen does not hold; 0 where that is not known."""
        rate = self.keying.symbol_rate
        lower, upper = self.band()
        bins = bins_between(len(self.iq), self.sample_rate, lower, upper)
        if self.noise_density is None or rate is None or not len(bins):
            return 0.0
        inside = self.spectrum[bins]
        noise = self.noise_density * self.sample_rate * len(self.iq)
        sums = np.cumsum(inside.real.astype(np.float64) ** 2 + inside.imag.astype(np.float64) ** 2 - noise)
        sums = np.concatenate([[0.0], sums])
        wide = min(len(bins), max(1, round(2 * _KEYS * rate * len(self.iq) / self.sample_rate)))
        most = float((sums[wide:] - sums[:-wide]).max())
        return min(max(1 - most / sums[-1], 0.0), 1.0) if sums[-1] > 0 else 0.0

    @cached_property
    def axes_of_halves(self) -> tuple[RealAxis, RealAxis]:
        """The same of either half of the look."""
        middle = len(self.iq) // 2
        first, second = (
            measure_real_axis(half, self.sample_rate, self.bandwidth)
            for half in (self.centred[:middle], self.centred[middle:])
        )
        return first, second

    @cached_property
    def changed(self) -> bool:
        """Whether its spectrum in the second half of the look is another one than in the first."""
        return changed(self.iq, self.sample_rate, self.band())

    @cached_property
    def power_lines(self) -> PowerLines:
        """Lines of the square and of the fourth power."""
        return _power_lines(self)


def bins_between(count: int, sample_rate: float, lower: float, upper: float) -> NDArray[np.int64]:
    """Return which bins of a discrete Fourier transform lie between two frequencies: negative below 0 Hz, ascending.

    Args:
        count: bins.
        sample_rate: samples a second.
        lower: Hz.
        upper: Hz.

    >>> bins_between(8, 8.0, -2.0, 1.5).tolist(), bins_between(8, 8.0, -9.0, 9.0).tolist()
    ([-2, -1, 0, 1], [-4, -3, -2, -1, 0, 1, 2, 3])
    """
    step = sample_rate / count
    first = max(-(count // 2), math.floor(max(lower, -sample_rate) / step) - 1)
    last = min((count - 1) // 2, math.ceil(min(upper, sample_rate) / step) + 1)
    bins = np.arange(first, last + 1)
    at = bins * step
    return np.asarray(bins[(at >= lower) & (at <= upper)])


def _strongest_line(look: EmissionLook) -> Line:
    count = len(look.iq)
    step = look.sample_rate / count
    lower, upper = look.inside()
    # A box's edges may lie in a line's foot: what the window spreads belongs to the line.
    margin = 4 * step
    # Where the noise is known, nothing is asked of what is beside the box.
    bins = np.arange(-(count // 2), (count + 1) // 2)
    if look.noise_density is not None:
        bins = bins_between(count, look.sample_rate, lower - margin, upper + margin)
    if not len(bins):
        return Line(0.0, 0.0, 0.0)
    # Hann's window is a product in time: [-1/4, 1/2, -1/4] in frequency.
    spectrum = look.spectrum.take(np.arange(bins[0] - 1, bins[-1] + 2), mode="wrap")
    windowed = np.float32(0.5) * spectrum[1:-1] - np.float32(0.25) * (spectrum[:-2] + spectrum[2:])
    power = windowed.real.astype(np.float64) ** 2 + windowed.imag.astype(np.float64) ** 2
    at = bins * step
    inside = (at >= lower - margin) & (at <= upper + margin)
    peak = int(np.argmax(np.where(inside, power, -1.0)))
    half = max(min(_LINE_HZ / 2, _LINE_PART * (upper - lower)), 4 * step)
    away = np.abs((at - at[peak] + look.sample_rate / 2) % look.sample_rate - look.sample_rate / 2)
    line, beside = inside & (away <= half), inside & (away > half)
    noise = _noise_of_bins(power, inside, away > half, look)
    rest = float(power[beside].sum()) - noise * int(beside.sum())
    if noise > 0 and power[peak] < _LINE_TIMES * noise:
        return Line(0.0, rest, 0.0)
    in_line = float(power[line].sum()) - noise * int(line.sum())
    # Bins of a windowed transform are correlated: the deviation of their sum is some 1.4 that of as many free ones.
    return Line(in_line, rest, 1.4 * noise * math.sqrt(max(1, int(beside.sum()))), float(at[peak]))


def _noise_of_bins(
    power: NDArray[np.float64],
    inside: NDArray[np.bool_],
    away: NDArray[np.bool_],
    look: EmissionLook,
) -> float:
    """Return the mean power of the noise in a bin."""
    if look.noise_density is not None:
        return look.noise_density * look.sample_rate * _HANN * len(look.iq)
    # The lower half of the bins beside the emission, or of all but the line: the median of a squared magnitude is ln 2.
    free = power[~inside] if int((~inside).sum()) > 32 else power[away]
    return float(np.median(free)) / math.log(2) if len(free) else 0.0


def _power_lines(look: EmissionLook) -> PowerLines:
    """Find the lines of the square and of the fourth power of what is within the band."""
    iq, width = look.centred, look.bandwidth
    count = len(iq)
    at = fft.fftfreq(count, 1 / look.sample_rate)
    spectrum = look.spectrum.copy() if iq is look.iq else fft.fft(iq)
    spectrum[np.abs(at) > _SIDES * width] = 0
    square = np.square(fft.ifft(spectrum))
    window = hann_single(count)
    near = np.flatnonzero(np.abs(fft.fftshift(at)) < _NEAR * width)
    two, four = (_most_over_floor(fft.fft(power * window), near) for power in (square, np.square(square)))
    return PowerLines(two, four)


def _most_over_floor(spectrum: NDArray[np.complex64], places: NDArray[np.int64]) -> float:
    """Return the most of powers at some places over the mean of those around them, or a fifth of the median of all.

    Args:
        spectrum: complex64 [n].
        places: int64 [k], from the lowest frequency on.
    """
    power = np.square(spectrum.real.astype(np.float64)) + np.square(spectrum.imag.astype(np.float64))
    power = fft.fftshift(power)
    if len(power) <= _LOCAL or not len(places):
        return 0.0
    sums = np.concatenate([[0.0], np.cumsum(power)])

    def sum_of(length: int) -> NDArray[np.float64]:
        first = np.clip(places - length // 2, 0, len(power) - length)
        return np.asarray(sums[first + length] - sums[first])

    floor = (sum_of(_LOCAL) - sum_of(_OWN)) / (_LOCAL - _OWN)
    # No median is above twice the mean: where the floor is above a fifth of that, the median, which takes time, is not
    # needed. Elsewhere what is over the floor alone is no less than over both.
    over = power[places] / np.maximum(floor, 1e-30)
    top = int(np.argmax(over))
    if floor[top] > _FIFTH * 2.001 * sums[-1] / len(power) + 1e-30:
        return float(over[top])
    return float((power[places] / np.maximum(floor, _FIFTH * median(power) + 1e-30)).max())
