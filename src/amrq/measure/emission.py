# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured on an emission's samples: where it is, how wide, how strong, when, its envelope, symbol rate.

The samples are a channel somewhat wider than the emission (`amrq.channel`). When it is on is decided by the likelihood
of its powers, with a price for each change; its spectrum while it is on, less the noise, gives edges and level.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from amrq import transforms as fft
from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.measure.band import find_signals, power_density
from amrq.measure.looks import median, powers, quantile
from amrq.measure.occupied import SHARE, WINDOW, OccupiedBand, occupied_band, spectrum_length
from amrq.measure.symbol_rate import SymbolRate, estimate_symbol_rate
from amrq.native import kernels

__all__ = ["EmissionMeasures", "measure_emission"]

_LEAST_SAMPLES = 64
_FLAT = 0.37
"""Of the sample rate: beyond, the filter of a channel or of a radio falls off."""
_BESIDE = 0.65
"""Of the bandwidth, from its middle: the noise beside the emission begins here."""
_QUANTILE = 0.3
"""Of the bins beside the emission: this one tells the noise, so that a neighbour does not."""
_LOUDEST_DB = 300.0
"""Of a noise density: what is not below, or no number, is not known."""
_CELLS = 4096
"""Powers that on and off are decided on, at most."""
_ENVELOPE = 1.1
"""Of the bandwidth: in so much the envelope is looked at."""
_ENDS = 3
"""Powers in which a stretch begins and ends softly."""
_PRICE = 10.0
"""Of a change between on and off: its log-likelihood. In noise one in exp(10) cells would begin something."""
_FAINT, _FAINTEST = 0.1, 2.0
"""Of the power while it is on, and of the noise's: so weak it is still taken for on."""
_JOINED, _GAPS, _AROUND = 32.0, 4.0, 8.0
"""Over the bandwidth; of the time that it is on; over the bandwidth. Shorter gaps are part of the signal when its
spectrum is measured, and so much before and after it."""
_ENOUGH_OFF = 200
"""Cells that are off: enough of them tell the noise in the band itself."""
_LINE = 0.25
"""Of the bandwidth that was looked at: what is narrower is looked at by itself."""
_PASSES = 4
_SETTLED, _MOVED = 0.05, 0.15
"""Of the bandwidth: a pass that changes edges by less is the last; the second one where it is on all the time."""

_Samples = NDArray[np.complex64]
_Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EmissionMeasures:
    """What was measured; NaN where it cannot be known.

    Attributes:
        centre: middle of the occupied bandwidth, Hz from 0 Hz of the samples.
        bandwidth: occupied bandwidth, Hz that hold 99 % of the power, noise taken off; of amplitude modulation with a
            carrier, 98 % of the power of its sidebands.
        snr_db: in-band SNR: power over noise power in the occupied bandwidth, dB.
        level_dbfs: power while it is on, dB relative to a magnitude of 1.
        noise_dbfs_per_hz: noise density that was taken off, dB relative to a magnitude of 1, a Hz.
        symbol_rate: symbol rate with confidence, and what speaks against it; it supposes a linear modulation.
        envelope_variation: standard deviation of the power over its mean while it is on, noise taken off: 0 for a
            constant envelope, 1 for Gaussian noise.
        on_times: int64 [n, 2], first sample and end of each time that it is on; gaps are at least some 15 divided by
            the bandwidth.
        sample_count: of the samples measured.
    """

    centre: float
    bandwidth: float
    snr_db: float
    level_dbfs: float
    noise_dbfs_per_hz: float
    symbol_rate: SymbolRate
    envelope_variation: float
    on_times: NDArray[np.int64]
    sample_count: int

    @property
    def lower(self) -> float:
        """Lower edge of the occupied bandwidth, Hz."""
        return self.centre - self.bandwidth / 2

    @property
    def upper(self) -> float:
        """Upper edge of the occupied bandwidth, Hz."""
        return self.centre + self.bandwidth / 2

    @property
    def start(self) -> int:
        """First sample that is on; 0 where none is."""
        return int(self.on_times[0, 0]) if len(self.on_times) else 0

    @property
    def stop(self) -> int:
        """The sample after the last one that is on; 0 where none is."""
        return int(self.on_times[-1, 1]) if len(self.on_times) else 0

    @property
    def on_share(self) -> float:
        """Share of the time from the first to the last sample that is on; NaN where none is."""
        if not len(self.on_times):
            return math.nan
        return float(np.diff(self.on_times, axis=1).sum()) / (self.stop - self.start)


def measure_emission(
    iq: _Samples,
    sample_rate: float,
    noise_dbfs_per_hz: float | None = None,
    bandwidth: float | None = None,
    with_symbol_rate: bool = True,
) -> EmissionMeasures:
    """Measure the emission in the middle of a channel.

    At an in-band SNR of 10 dB and a product of bandwidth and time of 1,000 the middle is right to 2 % of the bandwidth,
    the bandwidth to 10 %, begin and end to 2 % of the time in between. Where more than 1 % of the power is in tails
    below the noise, as with pulses and tones that are keyed hard, the bandwidth comes out too small: what is not seen
    is not measured. A voice is on while it speaks, down to 10 dB below its mean power. Noise that is flat on both sides
    of the emission counts as noise.

    Args:
        iq: complex [N], the emission about 0 Hz; a channel of twice its width or more, so that noise is beside it.
            Samples that are not finite count as zeros.
        sample_rate: samples a second, above 0.
        noise_dbfs_per_hz: noise density, where it is known, dB relative to a magnitude of 1; None: estimated from what
            is beside the emission, and from the times when it is off.
        bandwidth: about the emission's, right to some 30 %, Hz; None: that of all that stands out of the noise, so that
            nothing else may be in the channel.
        with_symbol_rate: the symbol rate is wanted, which takes most of the time.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> noise = rng.normal(size=(20_000, 2)) @ [0.1, 0.1j]
    >>> signal = np.zeros(20_000, dtype=complex)
    >>> signal[5_000:12_000] = np.repeat(rng.choice([1, -1, 1j, -1j], 700), 10)
    >>> found = measure_emission((signal + noise).astype(np.complex64), 100e3, bandwidth=20e3)
    >>> abs(found.start - 5_000) < 40, abs(found.stop - 12_000) < 40, round(found.level_dbfs)
    (True, True, 0)
    >>> round(found.symbol_rate.rate / 1e3, 1), found.envelope_variation < 0.4
    (10.0, True)
    """
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be above 0 Hz, not {sample_rate:g}.")
    iq = finite_samples(iq)
    noise = None
    if noise_dbfs_per_hz is not None and noise_dbfs_per_hz < _LOUDEST_DB:
        noise = 10 ** (noise_dbfs_per_hz / 10)
    bandwidth = bandwidth if bandwidth is not None and 0 < bandwidth < math.inf else None
    band = _first_band(iq, sample_rate, noise, bandwidth) if len(iq) >= _LEAST_SAMPLES else None
    if band is None:
        return _nothing(len(iq), noise_dbfs_per_hz)
    window, parts = band, _Parts(iq, sample_rate)  # in which its power is looked for
    for _ in range(_PASSES):
        on_times, band = _on_times(parts, band, known=noise is not None)
        if not len(on_times):
            return _nothing(len(iq), _decibels(band.noise))
        window = replace(window, noise=band.noise)
        pieces = _while_on(iq, on_times, sample_rate, window.width)
        found, power = occupied_band(pieces, sample_rate, window)
        power *= sum(map(len, pieces)) / float(np.diff(on_times, axis=1).sum())
        if found is None:
            return _nothing(len(iq), _decibels(band.noise))
        moved = max(abs(found.lower - band.lower), abs(found.upper - band.upper))
        band, former, window = found, band, _next_window(window, found)
        whole = len(on_times) == 1 and int(np.diff(on_times)[0, 0]) == len(iq)
        if moved < (_MOVED if whole else _SETTLED) * former.width:
            break
    if bandwidth is not None and abs(band.centre) > bandwidth / 2:  # a neighbour's foot is all that is seen
        return _nothing(len(iq), _decibels(band.noise))
    start, stop = int(on_times[0, 0]), int(on_times[-1, 1])
    return EmissionMeasures(
        centre=band.centre,
        bandwidth=band.width,
        snr_db=_decibels(SHARE * power / (band.noise * band.width)) if band.noise > 0 else math.inf,
        level_dbfs=_decibels(power),
        noise_dbfs_per_hz=_decibels(band.noise),
        symbol_rate=_symbol_rate(iq[start:stop], sample_rate)
        if with_symbol_rate
        else SymbolRate(math.nan, 0.0),
        envelope_variation=_envelope_variation(parts, band, on_times),
        on_times=on_times,
        sample_count=len(iq),
    )


def _next_window(window: OccupiedBand, found: OccupiedBand) -> OccupiedBand:
    """Return the band in which power is looked for next: about a line, if that is all; wider, if it ended too soon."""
    if found.width < _LINE * window.width:
        half = found.width / _LINE / 2
        return replace(window, lower=found.centre - half, upper=found.centre + half)
    reach = WINDOW * window.width
    if max(found.upper - window.centre, window.centre - found.lower) > 0.95 * reach:
        half = max(window.width, 1.1 * found.width) / 2
        return replace(window, lower=found.centre - half, upper=found.centre + half)
    return window


def _nothing(count: int, noise_dbfs_per_hz: float | None) -> EmissionMeasures:
    """Return the measures of samples in which nothing stands out of the noise."""
    unknown = math.nan
    noise = unknown if noise_dbfs_per_hz is None else noise_dbfs_per_hz
    rate = SymbolRate(unknown, 0.0, "no signal stands out of the noise")
    none = np.zeros((0, 2), dtype=np.int64)
    return EmissionMeasures(unknown, unknown, unknown, unknown, noise, rate, unknown, none, count)


def _decibels(power: float) -> float:
    return 10 * math.log10(power) if power > 0 else -math.inf


def _symbol_rate(iq: _Samples, sample_rate: float) -> SymbolRate:
    try:
        return estimate_symbol_rate(iq, sample_rate)
    except AmrqError as error:
        return SymbolRate(math.nan, 0.0, str(error).split(":")[0].rstrip("."))


def _first_band(
    iq: _Samples, sample_rate: float, noise: float | None, width: float | None
) -> OccupiedBand | None:
    """Return the band that the measures begin with; None where nothing is found."""
    if width is None:
        signals = find_signals(iq, sample_rate)
        if not signals:
            return None
        # Lines and tones that are found by themselves are parts of one emission.
        lower = min(one.centre - one.bandwidth / 2 for one in signals)
        upper = max(one.centre + one.bandwidth / 2 for one in signals)
        if noise is None:
            strongest = signals[0]
            noise = 10 ** ((strongest.power_db - strongest.snr_db) / 10) / strongest.bandwidth
        return OccupiedBand(lower, upper, noise)
    width = min(max(width, 4 * sample_rate / len(iq)), sample_rate)
    if noise is None:
        noise = _noise_beside(iq, sample_rate, width)
    return OccupiedBand(-width / 2, width / 2, noise)


def _noise_beside(iq: _Samples, sample_rate: float, width: float) -> float:
    """Return the noise density beside a band in the middle; where there is no room, from the lowest part of it."""
    length = spectrum_length(len(iq), sample_rate, min(width, sample_rate / 4))
    density = power_density(iq, sample_rate, length)
    away = np.abs(density.frequencies)
    beside = (away > _BESIDE * width) & (away < _FLAT * sample_rate)
    if np.count_nonzero(beside) < 8:
        beside = away < _FLAT * sample_rate
        level = quantile(density.mean[beside], 0.1)
        return level / density.step
    shape = max(1.0, 0.95 * density.spectra)
    factor = float(special.gammaincinv(shape, _QUANTILE)) / shape
    return quantile(density.mean[beside], _QUANTILE) / factor / density.step


class _Parts:
    """Parts of the band of samples, whose transforms are taken once.

    Args:
        iq: complex64 [n].
        sample_rate: samples a second.
    """

    def __init__(self, iq: _Samples, sample_rate: float) -> None:
        self.iq = iq
        self.sample_rate = sample_rate
        self._softened: dict[int, _Samples] = {}

    def powers(self, centre: float, width: float) -> tuple[_Reals, float]:
        """Return the powers of a part at a rate little above its width, and the rate: no transition at all.

        The stretch begins and ends softly, so that what is beside the part shows nowhere but in the first and last
        samples.
        """
        count = len(self.iq)
        kept = min(count, fft.next_fast_len(max(8, math.ceil(width / self.sample_rate * count))))
        first = round(centre / self.sample_rate * count) - kept // 2
        spectrum = self._transform(count / kept)
        half = kept // 2  # the part's lowest frequency comes first; its middle is to be
        chosen = np.empty(kept, np.complex64)
        for low, high, to in ((first + half, first + kept, 0), (first, first + half, kept - half)):
            start = low % count
            straight = min(high - low, count - start)
            chosen[to : to + straight] = spectrum[start : start + straight]
            chosen[to + straight : to + high - low] = spectrum[: high - low - straight]
        part = fft.ifft(chosen, overwrite_x=True)
        part *= np.float32(kept / count)
        return powers(part), self.sample_rate * kept / count

    def _transform(self, samples: float) -> _Samples:
        """Return the transform of the samples with ends that are soft over a few independent ones."""
        count = len(self.iq)
        ramp = min(count // 8, math.ceil(_ENDS * samples))
        if ramp not in self._softened:
            rise = np.sin(0.5 * np.pi * (np.arange(ramp) + 0.5) / ramp).astype(np.float32) ** 2
            soft = self.iq.copy()
            soft[:ramp] *= rise
            soft[count - ramp :] *= rise[::-1]
            self._softened[ramp] = np.asarray(fft.fft(soft, overwrite_x=True), np.complex64)
        return self._softened[ramp]


def _on_times(parts: _Parts, band: OccupiedBand, known: bool) -> tuple[NDArray[np.int64], OccupiedBand]:
    """Return when something is on in a band, int64 [n, 2], and the band with the noise as it is when nothing is."""
    count = len(parts.iq)
    fine, rate = parts.powers(band.centre, min(parts.sample_rate, band.width))  # they are independent
    ends = min(_ENDS + 1, len(fine) // 4)  # what is said of the first and last ones, those beside them say
    fine[:ends], fine[len(fine) - ends :] = (
        fine[ends : 2 * ends][::-1],
        fine[len(fine) - 2 * ends :][:ends][::-1],
    )
    times = math.ceil(len(fine) / _CELLS)
    cells = fine[: len(fine) // times * times].reshape(-1, times).sum(axis=1)
    noise = band.noise
    on = np.ones(len(cells), dtype=bool)
    for _ in range(3):
        off_power = noise * rate
        on_power = _on_power(cells / times, on, off_power)
        if not on_power > 1.05 * off_power:
            return np.zeros((0, 2), dtype=np.int64), band
        gain = 1 / max(off_power, 1e-9 * on_power) - 1 / on_power
        price = math.log(on_power / max(off_power, 1e-9 * on_power))
        former, on = on, _two_states(cells * gain - times * price, _PRICE)
        quiet = on if known else _shrunk(~on, 1 + _guard(times))
        if not known and np.count_nonzero(quiet) * times >= _ENOUGH_OFF:
            noise = float(cells[quiet].mean()) / times / rate
        if np.array_equal(former, on):
            break
    weak = max(_FAINT * on_power, _FAINTEST * off_power)
    if weak < on_power and off_power > 0:  # a voice that dies away, a fade: in noise it begins nothing either
        gain, price = 1 / off_power - 1 / weak, math.log(weak / off_power)
        on = on | _two_states(cells * gain - times * price, _PRICE)
    evidence = np.concatenate([[0.0], np.cumsum(fine * gain - price)])
    steps = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    bounds = [_refined(evidence, int(step) * times, times, rising=not n % 2) for n, step in enumerate(steps)]
    if on[-1]:
        bounds[-1] = len(fine)
    places = np.array(bounds, dtype=np.float64).reshape(-1, 2) * (count / len(fine))
    found = np.clip(np.round(places), 0, count).astype(np.int64)
    return found[found[:, 1] > found[:, 0]], OccupiedBand(band.lower, band.upper, noise)


def _guard(times: int) -> int:
    return max(1, 8 // times)


def _on_power(cells: _Reals, on: NDArray[np.bool_], off_power: float) -> float:
    """Return the mean power while the signal is on, from the cells that are taken for on."""
    if not on.all():
        return float(cells[on].mean()) if on.any() else 0.0
    width = max(1, min(len(cells) // 8, 16))
    smooth = np.convolve(cells, np.full(width, 1 / width), "valid")
    loud = smooth[smooth >= 0.25 * quantile(smooth, 0.98)]
    return max(float(loud.mean()), float(cells.mean()))


def _two_states(evidence: _Reals, price: float) -> NDArray[np.bool_]:
    """Return where it is on, bool [N]: the path of most evidence, less a price for each change (Viterbi).

    Args:
        evidence: log-likelihood ratios of on to off.
        price: of a change.
    """
    native = kernels()
    if native is not None and native.has_emissions:
        return native.two_states(evidence, price)
    # Between two changes of its sign the evidence speaks for one state: the path changes nowhere else.
    starts = np.concatenate([[0], np.flatnonzero(np.diff(evidence > 0)) + 1])
    sums = np.add.reduceat(evidence, starts)
    # All that counts before a run is by how much the best path to on has more than that to off. More than the price is
    # of no use: that path would come from the other state.
    leads: list[float] = []
    lead = 0.0
    for value in sums.tolist():
        lead = value + (price if lead > price else -price if lead < -price else lead)
        leads.append(lead)
    after = np.array(leads)
    clear = np.abs(after) > price
    clear[-1] = True  # the last run is in the state that has more
    # Backwards: a lead above the price says which state a run was in, whatever comes next; others are in the next's.
    place = np.where(clear, np.arange(len(after)), len(after))
    states = after[np.minimum.accumulate(place[::-1])[::-1]] > 0
    return np.repeat(states, np.diff(np.append(starts, len(evidence))))


def _refined(evidence: _Reals, place: int, times: int, rising: bool) -> int:
    """Return an edge to one power, near where it is among sums of powers: the place that most evidence is for."""
    if times == 1 or not 0 < place < len(evidence) - 1:
        return place
    low, high = max(0, place - 2 * times), min(len(evidence), place + 2 * times + 1)
    near = evidence[low:high]
    return low + int(np.argmin(near) if rising else np.argmax(near))


def _shrunk(marked: NDArray[np.bool_], cells: int) -> NDArray[np.bool_]:
    """Return the marks without so many at either end of each run."""
    size = 2 * cells + 1
    padded = np.concatenate([np.ones(cells, bool), marked, np.ones(cells, bool)])
    sums = np.concatenate([[0], np.cumsum(padded)])
    return np.asarray(sums[size:] - sums[:-size] == size)


def _while_on(iq: _Samples, on_times: NDArray[np.int64], sample_rate: float, width: float) -> list[_Samples]:
    """Return the stretches in which a signal is on: with gaps that its keying makes, and a little before and after.

    The edges of its pulses belong to its spectrum.
    """
    around = math.ceil(_AROUND * sample_rate / width)
    gap = max(
        _JOINED * sample_rate / width, _GAPS * median(np.diff(on_times, axis=1)[:, 0].astype(np.float64))
    )
    joined = [list(on_times[0])]
    for start, stop in on_times[1:]:
        if start - joined[-1][1] < gap:
            joined[-1][1] = stop
        else:
            joined.append([start, stop])
    return [iq[max(0, start - around) : stop + around] for start, stop in joined]


def _envelope_variation(parts: _Parts, band: OccupiedBand, on_times: NDArray[np.int64]) -> float:
    """Return the standard deviation of the signal's power over its mean while it is on, the noise's taken off.

    For a signal s in complex Gaussian noise of power n, E|x|^4 = E|s|^4 + 4 n E|s|^2 + 2 n^2.
    """
    power, rate = parts.powers(band.centre, min(parts.sample_rate, _ENVELOPE * band.width))
    on = np.zeros(len(power), dtype=bool)
    for start, stop in on_times * (len(power) / len(parts.iq)):
        on[math.ceil(start) + 2 : max(0, math.floor(stop) - 2)] = True
    if np.count_nonzero(on) < 16:
        return math.nan
    noise = band.noise * rate
    mean, square = float(power[on].mean()) - noise, float(np.square(power[on]).mean())
    if not mean > 0:
        return math.nan
    return math.sqrt(max(0.0, (square - 4 * mean * noise - 2 * noise**2) / mean**2 - 1))
