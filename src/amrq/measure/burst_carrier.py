# SPDX-License-Identifier: GPL-3.0-or-later
"""The carrier of a burst of symbols, estimated from all of them at once."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from amrq.measure.carrier_lines import (
    ORDERS,
    Chirps,
    Fit,
    PowerFunctions,
    spectra,
    turned,
    turns_by_half,
    wander,
)
from amrq.measure.carrier_recovery import STEP, CarrierRecovery

__all__ = ["BurstCarrier", "CarrierEstimate"]

Complex = NDArray[np.complexfloating[Any, Any]]

_LINE = 14.0  # power of a line that stands still, in units of the floor
_CHIRP_LINE = 17.0  # of one that drifts: many more places are searched
_SEARCHED_LINE = 13.0  # of one in the middle 128 symbols
_DRIFT_COST = 6.0  # power by which a drift must be better than none
_CLEAR_SHARE = 0.5  # of a line's energy: it does not drift further than its fit says
_WHOLE = 320  # symbols in which a drift is constant enough
_DRIFTS = 6  # of the fine fit's grid on either side
_FASTEST = 2.2e-4  # drift, cycles/symbol^2
_BINS = 1024  # of the spectra that are remembered
_REMEMBERED = 0.95  # of earlier bursts, at each burst


class CarrierEstimate(NamedTuple):
    """The carrier of a burst.

    Attributes:
        rate: cycles/symbol in the burst's middle; NaN where no line stands out.
        drift: cycles/symbol^2.
        order: M of the line; 0: none.
        share: of the line in the energy of the M-th power; 0 where only the bursts before show it.
        broad: the phase wanders.
    """

    rate: float = math.nan
    drift: float = 0.0
    order: int = 0
    share: float = 0.0
    broad: bool = False


class _Fits(NamedTuple):
    """Fits of each function's line, each array [6]."""

    rates: NDArray[np.float64]
    drifts: NDArray[np.float64]
    quality: NDArray[np.float64]
    broad: NDArray[np.bool_]
    length: int  # symbols


class BurstCarrier:
    """Remove the carrier of bursts, each as a whole.

    A burst that shows no line of its own is turned by the frequency that it and the bursts before show together.

    Args:
        max_offset: largest offset looked for, cycles/symbol.

    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(np.exp(0.5j * np.pi * np.arange(4)), 100) * np.exp(0.1j * np.arange(100))
    >>> estimate, _ = BurstCarrier().remove(symbols)
    >>> estimate.order, round(estimate.rate, 4)
    (4, 0.0159)
    """

    def __init__(self, max_offset: float = 0.15) -> None:
        self.max_offset = float(max_offset)
        self._functions = PowerFunctions()
        self._recovery = CarrierRecovery(max_offset, hold=64)
        self._fits: dict[int, Fit] = {}
        self._chirps: dict[int, Chirps] = {}
        self._frequencies = scipy.fft.fftfreq(_BINS)
        self._barred = np.abs(self._frequencies) > ORDERS[:, None] * self.max_offset + 0.5 / _BINS
        self.reset()

    def reset(self) -> None:
        """Forget the bursts so far."""
        self._powers = np.zeros((len(ORDERS), _BINS))
        self._bursts = 0.0

    def remove(
        self, symbols: Complex, middle: float = math.nan
    ) -> tuple[CarrierEstimate, NDArray[np.complex64]]:
        """Return the carrier of a burst's symbols, complex [n] of any level, and the symbols turned by it.

        Up to 320 symbols, the drift is taken for constant; it is followed in longer bursts. For `middle`, the middle of
        the spectrum, cycles/symbol, see `CarrierRecovery.process`.
        """
        if len(symbols) > _WHOLE:
            return self._followed(symbols, middle)
        estimate = self._estimate(symbols)
        if estimate.order == 4 and math.isfinite(middle) and turns_by_half(estimate.rate, middle):
            estimate = estimate._replace(rate=_least(estimate.rate + 0.125, 4))
        symbols = np.asarray(symbols, dtype=np.complex64)
        if not estimate.order:
            return estimate, symbols
        time = np.arange(len(symbols)) - (len(symbols) - 1) / 2
        symbols = symbols * turned(estimate.rate * time + estimate.drift / 2 * time**2)
        return estimate, self._stilled(symbols, estimate.order) if estimate.broad else symbols

    def _followed(self, symbols: Complex, middle: float) -> tuple[CarrierEstimate, NDArray[np.complex64]]:
        """Remove the carrier of a long burst step by step."""
        self._recovery.reset()
        parts = [self._recovery.process(symbols, [middle] * (len(symbols) // STEP))]
        steps = [(self._recovery.rates, self._recovery.orders, self._recovery.shares)]
        parts.append(self._recovery.finish(symbols[:0]))
        steps.append((self._recovery.rates, self._recovery.orders, self._recovery.shares))
        out = np.concatenate(parts)
        rates, orders, shares = ([*one, *two] for one, two in zip(*steps, strict=True))
        best = int(np.argmax(shares))
        rate = rates[len(rates) // 2]
        return CarrierEstimate(rate, 0.0, orders[best], float(np.median(shares))), out

    def _estimate(self, symbols: Complex) -> CarrierEstimate:
        count = len(symbols) // 16 * 16
        if count < STEP:
            return CarrierEstimate()
        first = (len(symbols) - count) // 2
        shaped = self._shaped(symbols[first : first + count])
        powers = np.abs(spectra(np.pad(shaped, ((0, 0), (0, _BINS - count))), _BINS)) ** 2
        powers[self._barred] = 0
        still = self._fitted(shaped, self._frequencies[powers.argmax(axis=1)], np.zeros(len(ORDERS)))
        self._powers = _REMEMBERED * self._powers + powers / np.maximum(_energies(shaped), 1e-20)[:, None]
        self._bursts = _REMEMBERED * self._bursts + 1
        best = _chosen(still, _LINE)
        if best.share > _CLEAR_SHARE:
            return best
        moving = _chosen(self._moving(shaped), _CHIRP_LINE)
        if moving.order and (not best.order or (moving.share - best.share) * count > _DRIFT_COST):
            return moving
        return best if best.order else self._remembered()

    def _shaped(self, symbols: Complex) -> NDArray[np.complex64]:
        return self._functions(symbols, np.full(len(symbols), np.mean(np.abs(symbols) ** 2)))

    def _moving(self, shaped: NDArray[np.complex64]) -> _Fits:
        """Return the fits of each function's strongest chirp; their quality is zero where there is none."""
        count = shaped.shape[1]
        window = min(count // 32 * 32, 128)
        if window not in self._chirps:
            spacing = 4.0 / window**2
            counts = tuple(math.ceil(min(order, 8) * _FASTEST / spacing) for order in ORDERS.tolist())
            self._chirps[window] = Chirps(window, spacing, counts, self.max_offset, _SEARCHED_LINE)
        first = (count - window) // 2
        found = self._chirps[window].search(shaped, first)
        fits = self._fitted(shaped, found[0], found[1])
        return fits._replace(quality=np.where(found[2] > 0, fits.quality, 0.0))

    def _fitted(
        self, shaped: NDArray[np.complex64], rates: NDArray[np.float64], drifts: NDArray[np.float64]
    ) -> _Fits:
        """Return the fits around these rates and drifts [6]."""
        count = shaped.shape[1]
        if count not in self._fits:
            self._fits[count] = Fit(count, _DRIFTS)
        return _Fits(*self._fits[count](shaped, rates, drifts, _DRIFT_COST), count)

    def _remembered(self) -> CarrierEstimate:
        """Return the line that the last bursts show together."""
        level = self._powers / self._bursts
        peaks = level.argmax(axis=1)
        tops = level[np.arange(len(ORDERS)), peaks]
        seen = tops > 1 + 5.5 / math.sqrt(self._bursts) + 10 / self._bursts
        if not seen.any():
            return CarrierEstimate()
        order = int(ORDERS[seen].min())
        row = int(np.where(order == ORDERS, tops, 0).argmax())
        return CarrierEstimate(_least(float(self._frequencies[peaks[row]]) / order, order), 0.0, order)

    def _stilled(self, symbols: NDArray[np.complex64], order: int) -> NDArray[np.complex64]:
        """Remove a phase that wanders from whole chunks of 32 symbols; the others are left out."""
        count = len(symbols) // STEP
        symbols = symbols[: count * STEP]
        shaped = self._shaped(symbols)[order == ORDERS]
        # Of several functions, the one whose neighbours agree best.
        alike = np.abs((shaped[:, 1:] * shaped[:, :-1].conj()).sum(axis=1)) / np.maximum(
            _energies(shaped), 1e-20
        )
        padded = np.pad(shaped[alike.argmax()], STEP)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 3 * STEP)[::STEP]
        rates, phases = wander(windows, np.zeros(count))
        time = np.arange(STEP) - (STEP - 1) / 2
        return symbols * turned((rates[:, None] * time + phases) / order).ravel()


def _energies(shaped: NDArray[np.complex64]) -> NDArray[np.float64]:
    return np.asarray(np.sum(np.abs(shaped) ** 2, axis=1), dtype=np.float64)


def _least(rate: float, order: int) -> float:
    """Return the least of rate + k/order."""
    return rate - round(rate * order) / order


def _chosen(fits: _Fits, least: float) -> CarrierEstimate:
    """Return the line of the least order that has this power."""
    seen = fits.quality > least
    if not seen.any():
        return CarrierEstimate()
    order = int(ORDERS[seen].min())
    row = int(np.where(order == ORDERS, fits.quality, 0).argmax())
    return CarrierEstimate(
        rate=_least(float(fits.rates[row]) / order, order),
        drift=float(fits.drifts[row]) / order,
        order=order,
        share=float(fits.quality[row] - 1) / (fits.length - 1),
        broad=bool(fits.broad[row]),
    )
