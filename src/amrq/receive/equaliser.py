# SPDX-License-Identifier: GPL-3.0-or-later
"""A blind equaliser for one signal of unknown modulation, used where its symbols show that one is needed.

How it works
------------
Symbols of a signal that came one way are uncorrelated; an echo, or a filter that cuts into the signal, correlates
neighbouring ones. Only where they are correlated is anything done:

1. A linear filter is found by the super-exponential method (O. Shalvi and E. Weinstein, "Super-exponential methods for
   blind deconvolution", IEEE Trans. Inf. Theory 39(2), 1993, eq. 28-30): the fourth cumulant of its output, which any
   mixing of independent symbols brings nearer to zero, becomes largest in size. Unlike the constant-modulus algorithm
   this suits every constellation that is not Gaussian, those on a line included: the cumulant has the term of
   signals whose square has a mean, whose carrier offset is found for it. It needs no carrier recovery, and it inverts
   channels of any phase: echoes before the main path and after it.
2. The filter's own noise, that of fourth powers, is removed by the points themselves: the constellation that fits best
   says what the symbols stand for, and the filter becomes the one of least mean square error for these decisions.
3. The filter is used if its symbols fit some constellation better than the symbols without it do, in likelihood at
   equal power. Mixtures of symbols are nearer to Gaussian, so that this holds for signals of any constellation; noise,
   OFDM and the like gain nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classes import THESIS_9, LinearClass, LinearSet
from amrq.measure import STEP, CarrierRecovery
from amrq.native import FitRounds, kernels
from amrq.transforms import fft, next_fast_len

__all__ = ["LINEAR_EQUALISER", "ConstellationFitter", "Equaliser", "Fit"]

Complex = NDArray[np.complexfloating[Any, Any]]
_Real = NDArray[np.float32]

LINEAR_EQUALISER = "linear"
"""The kind of equaliser that there is."""

_REACH = 10  # symbols to either side: the inverse of an echo of -6 dB three symbols away ends at -24 dB
_TAPS = 2 * _REACH + 1
_LATE = STEP  # symbols by which the output is late: more than _REACH, and filters change between chunks
_GRID = 256  # symbols between two looks at the correlation
_MEMORY = 2048  # newest symbols that correlation and filter are found from
_FEWEST = 512  # symbols from which a filter can be found
_HELD = 1024  # first symbols that are held back at most, for a filter found from them
_LAGS = range(1, 7)  # at which correlation is looked for, symbols
_FAR_LAGS = range(40, 56)  # at which no echo correlates symbols, but a tone or a repeated pattern does
# The correlation of N independent symbols exceeds c with probability exp(-N c^2). Clean signals of any roll-off
# reached 0.04, rectangular pulses have 0.07, names were wrong from 0.08 on.
_NEEDED, _GONE = 0.08, 0.05  # correlation from which a filter is looked for, and below which it is left
_NEEDED_NOISE = 3.6  # the same over that of sqrt(N) symbols
_SUSPECTED_NOISE = 2.1  # that over the correlation of sqrt(N) symbols from which the first N are held back
_LASTING = 0.075  # root mean square of the correlation at far lags from which no filter is looked for
_LEFT = 0.25  # correlation that a filter may leave: more is left where symbols were not independent
_OUTDATED = 0.3  # correlation in 256 symbols after a filter that no longer suits them
_GAIN = 0.1  # of log-likelihood a symbol, nats, from which a filter is used
_NOISE_FIT = (
    -math.log(math.pi) - 1 + 0.05
)  # log-likelihood a symbol, nats: a little more than Gaussian noise fits
_JUDGED = 1024  # newest symbols that are fitted to constellations
_FIRST_KEPT, _MOST_KEPT = 512, 8192  # symbols after which a filter is found anew; twice as many each time
_MOST_SPARED = 16 * 1024  # symbols until the next try, at most, after several in vain
_LOAD = 1e-3  # white noise added to the covariance, over the symbols' power
_ROUNDS, _DECIDED_ROUNDS = 20, 10
_CLOSE, _MOST_CLOSE = 0.3, 3  # log-likelihood a symbol, nats, and classes that may all be the one decided for
_SETTLED = 1e-5  # of the outputs' correlation from one round to the next
_BETTER = 0.005  # of log-likelihood a symbol, nats, for another round of decisions
_REAL = 0.25  # mean of the squared symbols, over their power, of signals whose constellation is no circle's
_QUARTER = 0.125  # cycles/symbol: a square's line further off is that of minimum-shift keying

_STRETCH = 64
"""Symbols over which the phase is held to stay the same once the carrier's offset is removed."""
_PHASES = 8  # tried in a sector of the constellation's symmetry
_FIT_ROUNDS = 3  # of fitting phase, level and noise to the decisions
_LEAST_NOISE = 1e-3  # noise power of unit-power symbols, 30 dB: more certainty decides nothing


class Equaliser:
    """Removes echoes and the like from a stream of symbols of unknown modulation.

    Symbols come in and go out in order, nothing is inserted: output k is symbol k, filtered or as it came, at the power
    it came with. Output is 32 symbols late. Where the first 256, 512 and 768 symbols look correlated, the first 1,024
    are held back until a filter is found from them. The result does not depend on how the stream is cut into calls.

    Args:
        classes: whose constellations judge whether a filter helped.

    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> sent = rng.choice(np.exp(0.5j * np.pi * np.arange(4)), 2000)
    >>> equaliser = Equaliser()
    >>> clean = equaliser.process(sent + 0.5j * np.roll(sent, 1))  # an echo a symbol late
    >>> equaliser.kind, len(clean), len(equaliser.finish())
    ('linear', 1952, 48)
    >>> bool(np.std(np.abs(clean[20:])) < 0.05)
    True
    """

    def __init__(self, classes: LinearSet = THESIS_9) -> None:
        self._fitter = ConstellationFitter(classes)
        self.reset()

    def reset(self) -> None:
        """Forget the signal so far, symbols that wait included."""
        self._known = np.zeros(_REACH, dtype=np.complex64)  # the newest symbols, those that wait among them
        self._pending = 0  # symbols that wait, the newest
        self._count = 0  # symbols so far
        self._since = 0  # count where the present signal began
        self._holding = True
        self._taps: NDArray[np.complex64] | None = None
        self._due = 0  # count from which a filter is looked for again
        self._spared = 0  # symbols until then, after a try in vain
        self._kept = 0  # symbols until then, after one that was not
        self._noise_gain = 1.0
        self._correlation = 0.0
        self._ended = False
        self.noise_gains: list[float | None] = []
        """Of each 32 symbols that the last call put out: power of white noise in them over that in what came, both
        at equal power of signal and noise together. Es/N0 falls by this much. None where no filter was used."""

    @property
    def kind(self) -> str:
        """`linear` while a filter is used, otherwise empty."""
        return "" if self._taps is None else LINEAR_EQUALISER

    @property
    def correlation(self) -> float:
        """Largest correlation of symbols 1 to 6 apart before any filter, 0 to 1, when it was last looked at."""
        return self._correlation

    @property
    def pending(self) -> int:
        """Symbols that wait."""
        return self._pending

    def process(self, symbols: Complex) -> NDArray[np.complex64]:
        """Take symbols, complex [n] of any n, finite; return those that leave, complex64 [32 m]."""
        if self._ended:
            self.reset()
        self.noise_gains = []
        fresh = np.asarray(symbols, dtype=np.complex64).ravel()
        out = [np.zeros(0, dtype=np.complex64)]
        while len(fresh):
            clean = self._clean(fresh)
            some = fresh[: clean or _GRID - self._count % _GRID]
            fresh = fresh[len(some) :]
            self._known = np.concatenate((self._known, some))
            self._count += len(some)
            self._pending += len(some)
            if not self._holding:
                out.append(self._released(_LATE))
            if self._count % _GRID == 0 and not clean:
                self._look()
                if not self._holding:
                    out.append(self._released(_LATE))
        return np.concatenate(out)

    def _clean(self, fresh: NDArray[np.complex64]) -> int:
        """Return how many of the symbols that come, complex64 [n], are over before a filter is looked for.

        0 where one is looked for at once, where there is one, and without compiled kernels.
        """
        native, first = kernels(), _GRID - self._count % _GRID
        if native is None or self._holding or self._taps is not None or len(fresh) < first:
            return 0
        ends = np.arange(first, len(fresh) + 1, _GRID)
        counts = self._count + ends
        lengths = np.minimum(counts - self._since, _MEMORY)
        symbols = np.concatenate((self._known[-_MEMORY:], fresh))
        found = native.correlations(symbols, ends + len(symbols) - len(fresh), lengths, _LAGS[-1])
        least = np.maximum(_NEEDED, _NEEDED_NOISE / np.sqrt(lengths))
        looked = (counts >= max(self._due, self._since + _FEWEST)) & (found > least)
        if not looked.any():
            self._correlation = float(found[-1])
            return len(fresh)
        at = int(looked.argmax())
        self._correlation = float(found[at - 1]) if at else self._correlation
        return int(ends[at - 1]) if at else 0

    def finish(self) -> NDArray[np.complex64]:
        """Return the symbols that wait, complex64 [m], at the end of a stream; what comes then is another one."""
        self.noise_gains = []
        if self._holding and self._count >= _FEWEST:
            self._renew(self._known[-self._count :])
        self._known = np.concatenate((self._known, np.zeros(_REACH, dtype=np.complex64)))
        self._pending += _REACH
        self._ended = True
        return self._released(_REACH, 1)

    def _released(self, late: int, whole: int = STEP) -> NDArray[np.complex64]:
        """Put out the symbols that wait, but for the newest, so many at a time."""
        count = max(self._pending - late, 0) // whole * whole
        stop = len(self._known) - self._pending + count
        around = self._known[stop - count - _REACH : stop + _REACH]
        self._pending -= count
        self._known = self._known[-max(_MEMORY, self._pending + _REACH) - _REACH :].copy()
        self.noise_gains += [None if self._taps is None else self._noise_gain] * -(-count // STEP)
        if self._taps is None or not count:
            return around[_REACH : _REACH + count].copy()
        return np.asarray(_windows(around) @ self._taps.conj(), dtype=np.complex64)

    def _look(self) -> None:
        """Look at the correlation of the newest symbols, and for a filter if there is some and it is time."""
        if self._taps is not None and self._outdated():
            # Another signal, or another channel.
            self._taps, self._due, self._spared, self._kept = None, 0, 0, 0
            self._since = self._count - _GRID
        newest = self._known[-min(self._count - self._since, _MEMORY) :]
        self._correlation = _correlation(newest)
        if self._holding and self._count < _HELD:
            self._holding = self._correlation > _SUSPECTED_NOISE / math.sqrt(self._count)
            return
        self._holding = False
        if self._taps is not None and self._correlation < _GONE:
            self._taps, self._due, self._spared, self._kept = None, 0, 0, 0
        least = max(_NEEDED, _NEEDED_NOISE / math.sqrt(len(newest)))
        if self._count >= max(self._due, self._since + _FEWEST) and (
            self._taps is not None or self._correlation > least
        ):
            self._renew(newest)

    def _outdated(self) -> bool:
        """Return whether the filter leaves the newest symbols correlated."""
        assert self._taps is not None
        return _correlation(_windows(self._known[-_GRID:]) @ self._taps.conj()) > _OUTDATED

    def _renew(self, newest: NDArray[np.complex64]) -> None:
        """Find the filter that suits the newest symbols, complex64 [n], if there is one."""
        had = self._taps
        self._taps = None
        power = float(np.mean(np.abs(newest) ** 2))
        if 0 < power < math.inf and np.mean(_correlations(newest, _FAR_LAGS) ** 2) < _LASTING**2:
            windows = _windows(newest) / np.float32(math.sqrt(power))
            covariance = _covariance(windows)
            plain = self._fitter.best(newest[-_JUDGED:]).log_likelihood
            self._taps = self._filter(had, windows, covariance, plain + _GAIN)
        if self._taps is None:
            self._spared, self._kept = min(max(2 * self._spared, _GRID), _MOST_SPARED), 0
            self._due = self._count + self._spared
            return
        self._spared, self._kept = 0, min(max(2 * self._kept, _FIRST_KEPT), _MOST_KEPT)
        self._due = self._count + self._kept
        self._noise_gain = float(np.sum(np.abs(self._taps) ** 2))

    def _filter(
        self,
        had: NDArray[np.complex64] | None,
        windows: NDArray[np.complex64],
        covariance: Complex,
        least: float,
    ) -> NDArray[np.complex64] | None:
        """Return a filter, complex64 [taps], whose output fits a class better than `least`; None if there is none."""
        tries = [] if had is None else self._decided(had, windows, covariance, least)
        # The first filters are found from few symbols.
        if not tries or self._count - self._since <= _MEMORY:
            start = np.zeros(_TAPS, dtype=np.complex64)
            start[_REACH] = 1
            blind = _super_exponential(start, windows, covariance)
            if blind is not None:
                tries += self._decided(blind, windows, covariance, least)
        if not tries:
            return None
        taps = max(tries, key=lambda one: one[0])[1]
        # All filters turn the symbols alike, so that these go on as they did.
        before = windows[:, _REACH] if had is None else windows @ had.conj()
        turn = complex(np.vdot(windows @ taps.conj(), before))
        return np.asarray(taps * turn.conjugate() / max(abs(turn), 1e-20), dtype=np.complex64)

    def _decided(
        self, taps: Complex, windows: NDArray[np.complex64], covariance: Complex, least: float
    ) -> list[tuple[float, Complex]]:
        """Return filters of least mean square error for what the output of one stands for, with how well they fit."""
        output = windows @ taps.conj()
        if _correlation(output) > _LEFT:
            return []
        # The decisions keep the carrier that the output has: it is looked for once, not in every round.
        turn = self._fitter.turn(output)
        count = len(turn)
        # What is left of the other symbols can make a denser class fit better at first: each that is close is tried.
        fits = self._fitter.ranked(output[:count][-_JUDGED:], turn[-_JUDGED:])[:_MOST_CLOSE]
        close = [fit.name for fit in fits if fit.log_likelihood > fits[0].log_likelihood - _CLOSE]
        tries: list[tuple[float, Complex]] = []
        for name in close:
            found, reached = taps, -math.inf
            for _ in range(_DECIDED_ROUNDS):
                fit = self._fitter.of(name, windows[:count] @ found.conj(), turn)
                if fit.log_likelihood < reached + _BETTER:
                    break
                reached, decided = fit.log_likelihood, fit.decisions
                match = windows[: len(decided)].T @ decided.conj() / np.float32(len(decided))
                found = _of_unit_power(np.linalg.solve(covariance, match), covariance)
            output = windows @ found.conj()
            # Decisions for a class make its points: no other one fits much better, but for those that were close.
            fit = self._fitter.best(output[-_JUDGED:], close)
            gain = float(np.mean(np.log(np.abs(fft(found, 256)) ** 2 + 1e-6)))
            if fit.log_likelihood > max(least - gain, _NOISE_FIT) and _correlation(output) < _LEFT:
                tries.append((fit.log_likelihood + gain, found))
        return tries


def _windows(symbols: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The symbols around each that has enough on both sides, complex64 [n - taps + 1, taps]."""
    return np.lib.stride_tricks.sliding_window_view(symbols, _TAPS)


def _correlation(symbols: Complex) -> float:
    """Largest correlation of symbols 1 to 6 apart, 0 to 1."""
    native = kernels()
    if native is not None and len(symbols) > _LAGS[-1]:
        return native.correlation(np.asarray(symbols, np.complex64), _LAGS[-1])
    return float(_correlations(symbols, _LAGS).max())


def _correlations(symbols: Complex, lags: range) -> NDArray[np.float64]:
    """Size of the correlation of symbols so far apart, 0 to 1."""
    products = [abs(np.vdot(symbols[:-lag], symbols[lag:])) for lag in lags]
    return np.array(products) / max(float(np.vdot(symbols, symbols).real), 1e-30)


def _covariance(windows: NDArray[np.complex64]) -> Complex:
    """E[y y^H] of windows y, complex128 [taps, taps], with a little white noise."""
    found = (windows.T @ windows.conj()).astype(np.complex128) / len(windows)
    return np.asarray(found + _LOAD * np.trace(found).real / _TAPS * np.eye(_TAPS))


def _of_unit_power(taps: Complex, covariance: Complex) -> Complex:
    return np.asarray(taps / math.sqrt(max(float((taps.conj() @ covariance @ taps).real), 1e-30)))


def _super_exponential(taps: Complex, windows: NDArray[np.complex64], covariance: Complex) -> Complex | None:
    """Return the filter of greatest fourth cumulant that a start leads to; None for minimum-shift keying.

    In each round the filter becomes -R^-1 cum(y, z, z*, z*), with windows y, their covariance R and the output z. The
    cumulants of digital modulations are negative; the sign keeps the phase from round to round.
    """
    inverse = np.linalg.inv(covariance)
    taps = _of_unit_power(taps, covariance)
    output = windows @ taps.conj().astype(np.complex64)
    for _ in range(_ROUNDS):
        conjugate = output.conj()
        slope = (np.abs(output) ** 2 - 2) * conjugate
        offset, strength = _square_line(output)
        if strength > _REAL:
            if abs(offset) > _QUARTER:
                return None
            turn = np.exp(-4j * np.pi * offset * np.arange(len(output)))
            slope = slope - np.mean(conjugate**2 * turn.conj()) * turn * output
        taps = _of_unit_power(-inverse @ (windows.T @ slope.astype(np.complex64)), covariance)
        before, output = output, windows @ taps.conj().astype(np.complex64)
        if abs(np.vdot(before, output)) > (1 - _SETTLED) * len(output):
            break
    return taps


def _square_line(output: Complex) -> tuple[float, float]:
    """Carrier offset, -0.25 to 0.25 cycles/symbol, by the squared symbols' strongest line, and that line's size."""
    square = output * output
    bins = int(next_fast_len(4 * len(square)))
    spectrum = np.abs(fft(square, bins))
    peak = int(spectrum.argmax())
    return (peak if peak < bins // 2 else peak - bins) / bins / 2, float(spectrum[peak]) / max(
        float(np.abs(square).sum()), 1e-30
    )


@dataclass(frozen=True)
class Fit:
    """A constellation fitted to symbols.

    Attributes:
        name: of the class.
        log_likelihood: mean over the symbols, nats: of symbols scaled to unit power, under independent points of the
            class in white noise whose phase (a stretch of 64 symbols), level and power are fitted.
        noise: power of what the points do not explain, over the symbols' power.
        decisions: complex64 [n], the points that the symbols most probably stand for (their mean, where it is not clear
            which), turned as the symbols are.
    """

    name: str
    log_likelihood: float
    noise: float
    decisions: NDArray[np.complex64]


class ConstellationFitter:
    """Fits constellations to symbols of any level, phase and carrier offset (see `CarrierRecovery`).

    Args:
        classes: what the symbols may be.

    >>> rng = np.random.default_rng(1)
    >>> sent = rng.choice(np.exp(0.5j * np.pi * np.arange(4)), 512) * np.exp(0.2j * np.arange(512))
    >>> noise = rng.standard_normal((512, 2)).view(np.complex128)[:, 0]
    >>> fit = ConstellationFitter().best(sent + 0.1 * noise)
    >>> fit.name, len(fit.decisions), round(fit.noise, 2)
    ('QPSK', 512, 0.02)
    """

    def __init__(self, classes: LinearSet = THESIS_9) -> None:
        self._classes = classes
        self._recovery = CarrierRecovery(hold=64)

    def best(self, symbols: Complex, names: Sequence[str] | None = None) -> Fit:
        """Return the class that fits best: the first of `ranked`."""
        return self.ranked(symbols, names=names)[0]

    def ranked(
        self,
        symbols: Complex,
        turn: NDArray[np.complex64] | None = None,
        names: Sequence[str] | None = None,
    ) -> list[Fit]:
        """Return the fits of all classes, the best first.

        Args:
            symbols: complex [n], n at least 64; what is left of a stretch of 64 is not looked at, nor decided.
            turn: complex64 [n], n a multiple of 64, of unit size: what takes the carrier off the symbols, where that is
                known; None: it is found.
            names: of the classes that are fitted; None: of all.
        """
        still, turn = self._still(symbols, turn)
        fits = [_turned_back(_fit(still, self._classes[name]), turn) for name in names or self._classes]
        return sorted(fits, key=lambda fit: -fit.log_likelihood)

    def of(self, name: str, symbols: Complex, turn: NDArray[np.complex64] | None = None) -> Fit:
        """Return the fit of one class to symbols, complex [n], as `ranked` does of all."""
        still, turn = self._still(symbols, turn)
        return _turned_back(_fit(still, self._classes[name]), turn)

    def turn(self, symbols: Complex) -> NDArray[np.complex64]:
        """Return what takes the carrier off symbols, complex [n]: complex64 [64 m] of unit size."""
        return self._still(symbols)[1]

    def _still(
        self, symbols: Complex, turn: NDArray[np.complex64] | None = None
    ) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
        """Return symbols at unit power without their carrier offset, and what turned them, complex64 [64 m]."""
        whole = np.asarray(symbols[: len(symbols) // _STRETCH * _STRETCH], dtype=np.complex64)
        whole = whole * np.float32(1 / np.sqrt(max(float(np.mean(np.abs(whole) ** 2)), 1e-30)))
        if turn is not None:
            return whole * turn, turn
        self._recovery.reset()
        still = self._recovery.finish(whole)
        turn = still * whole.conj()
        return still, np.asarray(turn / np.maximum(np.abs(turn), 1e-20), dtype=np.complex64)


def _turned_back(fit: Fit, turn: NDArray[np.complex64]) -> Fit:
    return Fit(fit.name, fit.log_likelihood, fit.noise, np.asarray(fit.decisions * turn.conj()))


def _fit(symbols: NDArray[np.complex64], fitted: LinearClass) -> Fit:
    """Fit one class to symbols of unit power and steady phase, complex64 [64 m]."""
    native = kernels()
    if native is not None and native.has_fits and len(symbols):
        how = FitRounds(fitted.symmetry, _PHASES, _FIT_ROUNDS, _LEAST_NOISE)
        found = native.fit_points(symbols, fitted.points, how)
        return Fit(fitted.name, found.log_likelihood, found.noise, found.decisions)
    points, order, count = fitted.points, fitted.order, len(symbols)
    square = (np.abs(points) ** 2).astype(np.float32)
    # Real part, imaginary part and power of each point: sums over the points are one product of matrices.
    sums = np.stack((points.real, points.imag, square)).astype(np.float32)
    stretches = symbols.reshape(-1, _STRETCH)
    # The phase of each stretch: of some in a sector the one whose points lie nearest.
    angles = np.arange(_PHASES) * (2 * np.pi / (fitted.symmetry * _PHASES))
    turned = (2 * np.exp(1j * angles)[:, None] * points).astype(np.complex64).ravel()
    nearness = _product(turned, symbols).reshape(_PHASES, order, count)
    nearness -= square[:, None]
    match = nearness.max(axis=1).reshape(_PHASES, -1, _STRETCH).sum(axis=2)
    phase = angles[match.argmax(axis=0)]
    level, noise = 1.0, max(1 - float(match.max(axis=0).sum()) / count, _LEAST_NOISE)
    answer = Fit(fitted.name, 0.0, noise, symbols)
    for _ in range(_FIT_ROUNDS):
        turn = np.exp(1j * phase).astype(np.complex64)[:, None]
        upright = (stretches * turn.conj()).ravel()
        # The part of -|r - level * s|^2 / noise that depends on the point.
        weight = _product(points * np.float32(2 * level / noise), upright)
        weight -= (np.float32(level**2 / noise) * square)[:, None]
        largest = weight.max(axis=0)
        weight -= largest
        np.exp(weight, out=weight)
        total = weight.sum(axis=0)
        log_likelihood = float(np.mean(np.log(total) + largest)) - 1 / noise - np.log(order * np.pi * noise)
        real, imaginary, powers = (sums @ weight) / total
        decided = np.empty(count, np.complex64)
        decided.real, decided.imag = real, imaginary
        power = float(powers.sum())
        answer = Fit(
            fitted.name, float(log_likelihood), noise, (decided.reshape(-1, _STRETCH) * turn).ravel()
        )
        matched = np.sum((upright * decided.conj()).reshape(-1, _STRETCH), axis=1)
        phase = phase + np.angle(matched)
        explained = float(np.abs(matched).sum())
        level = explained / max(power, 1e-20)
        noise = max(1 - level * explained / count, _LEAST_NOISE)
    return answer


def _product(points: NDArray[np.complex64], symbols: NDArray[np.complex64]) -> _Real:
    """Re(r s*) of each point with each symbol, float32 [points, n]."""
    parts = np.ascontiguousarray(symbols.view(np.float32).reshape(-1, 2).T)
    return points.view(np.float32).reshape(-1, 2) @ parts
