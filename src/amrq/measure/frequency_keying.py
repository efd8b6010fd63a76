# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of frequency keying: levels, symbol rate, deviation, index and Gaussian shaping.

A discriminator gives the frequency. Where symbols change it changes fast, and the square of how fast it changes has a
line at the symbol rate. Over one symbol it is averaged: then the responses of all symbols to one symbol's level add
up to one for any pulse, and a linear fit of averages to the levels of neighbouring symbols gives deviation and
shaping at once.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.measure.looks import logistic, noise_beside, squares

__all__ = ["FrequencyKeying", "instantaneous_frequency", "measure_frequency_keying"]

_LEAST_SAMPLES, _LEAST_SYMBOLS = 256, 24
_MOST_SAMPLES = 12_000
"""Of the signal at the discriminator's rate: enough, and no more is looked at."""
_WIDER, _RATE = 1.2, 2.5
"""Of the bandwidth: what the discriminator sees, and its rate."""
_FASTEST, _SLOWEST = 1.3, 0.4
"""Symbol rates that are looked for: times the bandwidth, and one over so many samples of a smoothed frequency."""
_SCALES = 7
_CANDIDATES = 3
_TAPS = 2
"""Symbols on either side whose levels count."""
_ORDERS = (2, 4)
_FEWER, _CLEAN = 0.6, 0.45
"""Of what a fit of two levels leaves, RMS: a fit of four leaves less. Of half the distance of four or more levels: no
more is left, RMS. Where levels are none, 0.58 is left."""
_TWO = 0.36
"""The same of two levels: where more is left, there may be more levels."""
_GOOD = 0.15
"""Of half the distance of the levels: where no more is left, no other rate is looked at."""
_NO_DEVIATION = 1e-3
"""Of the bandwidth: half the distance of levels is more."""
_MULTIPLES = 24
_AT_ONCE = 0.6
"""Where changes of levels keep to each k-th symbol, as far as this, the symbols are k times as long."""
_MOST_LEVELS = 72
_EVEN = 0.3
"""Of the characteristic function: levels that are evenly spaced have more."""
_ROUNDS = 3
_SINGULAR = 1e4
_MOST_SYMBOLS = 700
_UNSTEADY = 1.7
"""Mean squared power over squared mean power while the signal is there: where it is more, nothing keys a frequency."""
_ON = 0.4
"""Of the usual power: where there is less, the signal is off."""

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class FrequencyKeying:
    """What was measured of frequency keying; None where the samples do not carry it.

    Attributes:
        levels: number of tones.
        symbol_rate: symbols a second.
        deviation: of the outermost tone from the middle, Hz.
        eye_deviation: frequency of the outermost symbols at their middle, less that of the middle, Hz: less than the
            deviation where pulses are shaped, since neighbours count.
        spacing: distance of neighbouring tones, Hz.
        index: modulation index: spacing over symbol rate.
        bt: product of bandwidth and symbol time of a Gaussian filter that shapes as much; None where it is not seen:
            above 1.2 a pulse cannot be told from a hard one.
        centre: middle between the tones, Hz from 0 Hz of the samples.
        error: RMS of what the fit leaves, over half the distance of the tones: 0 where all is explained.
        confidence: probability that symbol rate and deviation are right (0.5 and 5 %), 0 to 1.
    """

    levels: int | None = None
    symbol_rate: float | None = None
    deviation: float | None = None
    eye_deviation: float | None = None
    spacing: float | None = None
    index: float | None = None
    bt: float | None = None
    centre: float | None = None
    error: float = math.inf
    confidence: float = 0.0


@dataclass(frozen=True)
class _Fit:
    levels: int
    rate: float
    half: float  # of the distance of levels, Hz
    centre: float
    eye: float  # half the distance at the middle of symbols
    main: float  # response to a symbol in its own time, over the sum of responses
    error: float
    means: _Reals  # of the frequency over each symbol

    @property
    def symbols(self) -> int:
        return len(self.means)


def measure_frequency_keying(
    iq: NDArray[np.complex64],
    sample_rate: float,
    bandwidth: float | None = None,
    symbol_rate: float | None = None,
) -> FrequencyKeying:
    """Measure the frequency keying of an emission about 0 Hz.

    Args:
        iq: complex [N], the emission about 0 Hz; of much more than 16,384 samples at four a bandwidth, the first are
            looked at.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.
        symbol_rate: symbols a second, where it is known, right to 1 %.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> tones = np.repeat(rng.choice([-2400.0, 2400.0], 500), 10)
    >>> iq = np.exp(2j * np.pi * np.cumsum(tones) / 48e3) + rng.normal(size=(5000, 2)) @ [0.05, 0.05j]
    >>> found = measure_frequency_keying(iq, 48e3, bandwidth=11e3)
    >>> found.levels, round(found.symbol_rate, -1), round(found.deviation, -2), round(found.index, 1)
    (2, 4800.0, 2400.0, 1.0)
    """
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be above 0 Hz, not {sample_rate:g}.")
    iq = finite_samples(iq)
    width = bandwidth if bandwidth is not None and 0 < bandwidth < math.inf else 0.8 * sample_rate
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return FrequencyKeying()
    frequency, rate, around, power, share = _discriminated(iq, sample_rate, min(width, sample_rate / _WIDER))
    envelope = _envelope(power, share)
    if envelope > _UNSTEADY:
        return FrequencyKeying()
    known = symbol_rate if symbol_rate is not None and 0 < symbol_rate < rate / 2 else None
    rates = [known] if known else _symbol_rates(frequency, rate, width)
    fits: list[_Fit] = []
    for one in rates:
        fits += _fits(frequency, rate, one)
        if fits and fits[-1].error < _GOOD:
            break
    fits = [fit for fit in fits if fit.half > _NO_DEVIATION * width]
    if not fits:
        return FrequencyKeying()
    least = min(fit.error for fit in fits)
    best = next(fit for fit in fits if fit.error <= 1.3 * least + 0.03)  # the clearest line of those that fit
    spacing = 2 * best.half
    return FrequencyKeying(
        levels=best.levels,
        symbol_rate=best.rate,
        deviation=best.half * (best.levels - 1),
        eye_deviation=best.eye * (best.levels - 1),
        spacing=spacing,
        index=spacing / best.rate,
        bt=_gaussian(best.main),
        centre=around + best.centre,
        error=best.error,
        confidence=_confidence(best, envelope, width),
    )


def instantaneous_frequency(
    iq: NDArray[np.complex64], sample_rate: float, width: float, most: int = _MOST_SAMPLES
) -> tuple[_Reals, float, float]:
    """Return the frequency, Hz from a middle, its sample rate, and that middle.

    Args:
        iq: complex64 [N], a signal about 0 Hz.
        sample_rate: of the signal, samples a second.
        width: of the signal, Hz: 1.2 times this is looked at.
        most: samples that are returned at most, 2.5 times the width of them a second.
    """
    frequency, rate, middle, *_ = _discriminated(iq, sample_rate, width, most)
    return frequency, rate, middle


def _discriminated(
    iq: NDArray[np.complex64], sample_rate: float, width: float, most: int = _MOST_SAMPLES
) -> tuple[_Reals, float, float, _Reals, float]:
    """Return what `instantaneous_frequency` does, the power at each sample, and how much of it is noise, 0 to 1."""
    iq = iq[: int(most * sample_rate / (_RATE * width))]
    count = len(iq)
    spectrum = fft.fft(iq)
    kept = max(16, math.ceil(_WIDER * width / sample_rate * count)) // 2 * 2
    size = int(fft.next_fast_len(max(kept, math.ceil(_RATE * width / sample_rate * count))))
    narrow = np.zeros(size, dtype=np.complex64)
    narrow[: kept // 2] = spectrum[: kept // 2]
    narrow[-(kept // 2) :] = spectrum[-(kept // 2) :]
    samples = fft.ifft(narrow)
    turns = samples[1:] * np.conj(samples[:-1])
    rate = sample_rate * size / count
    # Where the envelope is small the phase is noise: a click. Its frequency is held from before.
    frequency = np.angle(turns).astype(np.float64) * (rate / (2 * math.pi))
    power = np.abs(turns).astype(np.float64)
    weak = power < 0.1 * float(np.median(power))
    if weak.any() and not weak.all():
        good = np.flatnonzero(~weak)
        frequency = np.interp(np.arange(len(frequency)), good, frequency[good])
    middle = float(np.median(frequency))
    noise = noise_beside(squares(spectrum), sample_rate / count, width)
    inside = squares(spectrum[: kept // 2]).sum() + squares(spectrum[-(kept // 2) :]).sum()
    share = min(0.9, noise * kept / max(float(inside), 1e-300))
    return frequency - middle, rate, middle, power, share


def _symbol_rates(frequency: _Reals, rate: float, width: float) -> list[float]:
    """Return symbol rates that a clock's line speaks for, the clearest first."""
    count = len(frequency)
    sums = np.concatenate([[0.0], np.cumsum(np.clip(frequency, -0.75 * width, 0.75 * width))])
    found: list[tuple[float, float]] = []
    for scale in range(_SCALES):
        length = 1 << scale
        if count < 16 * length:
            break
        smooth = (sums[length:] - sums[:-length]) / length
        change = np.square(smooth[length:] - smooth[:-length]) if scale else np.square(np.diff(frequency))
        thinned = max(1, length // 4)
        change = np.minimum(change, 6 * float(change.mean()))[::thinned]
        size = int(fft.next_fast_len(2 * len(change)))
        spectrum = np.abs(fft.rfft((change - change.mean()) * np.hanning(len(change)), size))
        bins = size * thinned / rate  # a Hz
        low = max(8, int(_SLOWEST / (4 * length) * size * thinned))
        high = min(int(min(_FASTEST * width, 0.48 * rate, 0.9 * rate / length) * bins), len(spectrum) - 2)
        if high - low < 40:
            continue
        part = spectrum[low:high]
        floor = np.convolve(part, np.full(33, 1 / 33), "same") + 0.1 * float(part.mean()) + 1e-300
        for _ in range(2):
            top = int(np.argmax(part / floor))
            clear = float(part[top] / floor[top])
            left, here, right = (math.log(spectrum[low + top + step] + 1e-300) for step in (-1, 0, 1))
            bend = left - 2 * here + right
            found.append((clear, (low + top + (0.5 * (left - right) / bend if bend < 0 else 0.0)) / bins))
            part = part.copy()
            part[max(0, top - 6) : top + 7] = 0
    chosen: list[float] = []
    for _, one in sorted(found, reverse=True):
        if all(abs(one / other - 1) > 0.01 for other in chosen):
            chosen.append(one)
    return chosen[:_CANDIDATES]


def _fits(frequency: _Reals, rate: float, symbol_rate: float) -> list[_Fit]:
    """Return the fit of levels at a symbol rate, or at a fraction of it where levels keep longer; or nothing."""
    sums = np.concatenate([[0.0], np.cumsum(frequency)])
    fit = _fit_at(sums, rate, symbol_rate)
    if fit is None:
        return []
    times = _kept_for(fit.means)
    slower = _fit_at(sums, rate, symbol_rate / times) if times > 1 else None
    return [fit if slower is None else slower]


def _fit_at(sums: _Reals, rate: float, symbol_rate: float) -> _Fit | None:
    step = rate / symbol_rate
    count = min(int((len(sums) - 2) / step) - 1, _MOST_SYMBOLS)
    if count < _LEAST_SYMBOLS:
        return None
    # The averages differ most where they are of whole symbols.
    edges = (np.arange(count + 1)[None, :] + np.arange(8)[:, None] / 8) * step
    whole = np.diff(_at(sums, edges), axis=1) / step
    phase = int(np.argmax(whole.var(axis=1)))
    means = whole[phase]
    starts = edges[phase, :-1] + step / 4
    inner = (_at(sums, starts + step / 2) - _at(sums, starts)) / (step / 2)
    eye = (_at(sums, starts + 0.35 * step) - _at(sums, starts + 0.15 * step)) / (0.2 * step)
    two, four = (_fit(means, eye, order, symbol_rate) for order in _ORDERS)
    fewer = two is not None and four is not None and four.error * four.half < _FEWER * two.error * two.half
    if two is not None and two.error < _TWO and not (fewer and four is not None and four.error < _TWO):
        return two
    if four is not None and four.error < _CLEAN:
        return four
    many = _many_levels(inner, symbol_rate)
    if many is not None and (two is None or many.error * many.half < _FEWER * two.error * two.half):
        return many
    return two


def _at(sums: _Reals, places: _Reals) -> _Reals:
    """Return sums at places between samples, by straight lines."""
    whole = places.astype(np.int64)
    low = sums[whole]
    return np.asarray(low + (places - whole) * (sums[whole + 1] - low))


def _kept_for(means: _Reals) -> int:
    """Return for how many symbols levels keep at least: changes are at multiples of this."""
    changes = np.square(np.diff(means))
    changes = np.minimum(changes, 4 * float(changes.mean()))
    whole = float(changes.sum())
    if not whole > 0:
        return 1
    for times in range(min(_MULTIPLES, len(means) // _LEAST_SYMBOLS), 1, -1):
        at = changes[: len(changes) // times * times].reshape(-1, times).sum(axis=0)
        if abs(at @ np.exp(2j * np.pi * np.arange(times) / times)) > _AT_ONCE * whole:
            return times
    return 1


def _fit(means: _Reals, eye: _Reals, levels: int, symbol_rate: float) -> _Fit | None:
    """Return the fit of so many levels to averages over symbols, decided and fitted in turns."""
    low, high = np.quantile(means, [0.04, 0.96])
    centre, half = float(low + high) / 2, float(high - low) / 2 / (levels - 1)
    if not half > 0:
        return None
    count, taps = len(means), 2 * _TAPS + 1
    rest, response = means, np.zeros(taps)
    inner, ones = means[_TAPS : count - _TAPS], np.ones((count - 2 * _TAPS, 1))
    for _ in range(_ROUNDS):
        decided = np.clip(2 * np.round(((rest - centre) / half + levels - 1) / 2), 0, 2 * (levels - 1)) - (
            levels - 1
        )
        columns = np.lib.stride_tricks.sliding_window_view(decided, taps)
        matrix = np.concatenate([columns, ones], axis=1)
        gram = matrix.T @ matrix
        strengths = np.linalg.eigvalsh(gram)
        if not float(strengths[-1]) < _SINGULAR * float(strengths[0]):
            return None  # a pattern that repeats tells too little
        solution = np.linalg.solve(gram, matrix.T @ inner)
        response, centre = solution[:taps], float(solution[-1])
        total = float(response.sum())
        if not total > 0:
            return None
        half = total
        others = np.concatenate([response[:_TAPS], [0.0], response[_TAPS + 1 :]])
        main = float(response[_TAPS])
        if not main > 0.2 * total:
            return None
        # What neighbours add is taken off, and the symbol's own response is what its level is judged by.
        cleaned = (inner - columns @ others - centre) * (half / main) + centre
        rest = np.concatenate([means[:_TAPS], cleaned, means[count - _TAPS :]])
    left = float(np.sqrt(np.mean(np.square(inner - matrix @ solution))))
    if len(np.unique(decided)) < levels:
        return None
    own = columns[:, _TAPS] - columns[:, _TAPS].mean()
    seen = float(own @ eye[_TAPS : count - _TAPS]) / float(own @ own)
    return _Fit(levels, symbol_rate, half, centre, seen, float(response[_TAPS]) / half, left / half, means)


def _many_levels(means: _Reals, symbol_rate: float) -> _Fit | None:
    """Return the fit of many evenly spaced levels: how they are spaced shows in the characteristic function."""
    low, high = (float(value) for value in np.quantile(means, [0.01, 0.99]))
    reach = high - low
    if not reach > 0:
        return None
    # Levels per reach, in steps of a quarter, up to 128: a histogram's transform.
    shares, _ = np.histogram(means, 512, (low - reach / 2, high + reach / 2))
    sums = np.abs(np.fft.rfft(shares, 4096))[: 2 * 4 * _MOST_LEVELS] / len(means)
    first = 16  # two spacings a reach
    top = first + int(np.argmax(sums[first:]))
    if sums[top] < _EVEN:
        return None
    near = first + np.flatnonzero(sums[first:] > max(0.8 * sums[top], _EVEN))
    best = int(near[0])
    while best + 1 < len(sums) and sums[best + 1] > sums[best]:
        best += 1
    spacing = 2 * reach * 4096 / 512 / best / 1.0
    spacing = 2 * reach / (best * 512 / 4096)
    turn = float(np.angle(np.exp(2j * np.pi * means / spacing).mean())) / (2 * math.pi) * spacing
    numbers = np.round((means - turn) / spacing)
    lowest, highest = (int(value) for value in np.quantile(numbers, [0.005, 0.995]))
    levels = highest - lowest + 1
    spacing, offset = (float(value) for value in np.polyfit(numbers, means, 1))
    left = float(np.sqrt(np.mean(np.square(means - numbers * spacing - offset))))
    centre = offset + spacing * (lowest + highest) / 2
    return _Fit(levels, symbol_rate, spacing / 2, centre, spacing / 2, 1.0, 2 * left / spacing, means)


def _gaussian(main: float) -> float | None:
    """Return BT of a Gaussian filter by the response to a symbol in its own time; None where it is hardly there."""
    table, response = _responses()
    if not response[0] <= main <= response[-1]:
        return None
    return float(np.interp(main, response, table))


@lru_cache(maxsize=1)
def _responses() -> tuple[_Reals, _Reals]:
    table = np.array([0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 1.2])
    return table, np.array([_own_response(one) for one in table])


def _own_response(bt: float) -> float:
    """Return the average over a symbol of the pulse that a Gaussian filter makes of it."""
    deviation = math.sqrt(math.log(2)) / (2 * math.pi * bt)
    time = np.linspace(-0.5, 0.5, 201)
    scale = deviation * math.sqrt(2)
    pulse = [0.5 * (math.erf((t + 0.5) / scale) - math.erf((t - 0.5) / scale)) for t in time]
    return float(np.mean(pulse))


def _envelope(power: _Reals, share: float) -> float:
    """Return mean squared power over squared mean power while the signal is there, less what noise makes of it.

    It is 1 where the envelope is steady. Noise of a share s of the power adds 2 s - s^2.
    """
    size = max(1, min(16, len(power) // 8))
    smooth = np.convolve(power, np.full(size, 1 / size), "same")
    on = power[smooth > _ON * float(np.quantile(smooth, 0.9))]
    found = float(np.mean(on * on)) / max(float(on.mean()) ** 2, 1e-300) if len(on) else 2.0
    return max(1.0, found - share * (2 - share))


def _confidence(fit: _Fit, envelope: float, width: float) -> float:
    """Return the probability that a fit is right: a logistic curve through what simulation had (docs/families.md)."""
    return logistic(_odds(fit, envelope, (2 * fit.half * (fit.levels - 1) + fit.rate) / width))


def _odds(fit: _Fit, envelope: float, carson: float) -> float:
    """Return the logarithm of the odds that it is frequency keying, and right."""
    error = min(fit.error, 1.2)
    worth = 7.0 - 11.3 * error - 3.8 * max(0.0, error - 0.3)
    worth -= (
        8.1 * min(envelope, 3.0) + 2.8 * max(0.0, envelope - 1.1) + 2.4 * abs(math.log(max(carson, 0.05)))
    )
    worth += 0.72 * min(math.log(fit.symbols), 7.0) - 0.73 * min(abs(math.log(2 * fit.half / fit.rate)), 4.0)
    if fit.levels > _ORDERS[-1]:
        return worth + 1.6 + 2.4 * error
    return worth + (0.9 if fit.levels == _ORDERS[-1] else 0.0)
