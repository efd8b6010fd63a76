# SPDX-License-Identifier: GPL-3.0-or-later
"""Received signals made from symbols, with any rate, timing, carrier offset and noise."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classes import root_raised_cosine
from amrq.errors import AmrqError

__all__ = ["Conditions", "received_signal", "received_under"]

_REACH = 12
"""Symbols to either side whose pulses still count."""

_Pulse = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Conditions:
    """How symbols are sent, what happens on the way, and what the receiver does to them, noise apart.

    Attributes:
        samples_per_symbol: at least 1; it need not be a whole number.
        rolloff: excess bandwidth of the root-raised-cosine pulse, 0 to 1; None for rectangular pulses.
        offset: of the carrier from 0 Hz, cycles a symbol.
        drift: by how much that grows, cycles/symbol^2; the offset is the one in the middle of the signal.
        stagger: symbols by which the quadrature part is late, as in OQPSK (0.5).
        echo_db: power of a second path over the first, dB; its phase is drawn.
        echo_delay: symbols by which the second path is late, 0 or more.
        line_db: power of a line at 0 Hz (a receiver's own) over the signal's, dB; its phase is drawn.
        clip: where both rails end, over the root mean square of a rail.

    Raises:
        AmrqError: a value is out of its range.

    >>> Conditions(samples_per_symbol=8.0, echo_db=-12.0).offset
    0.0
    """

    samples_per_symbol: float = 4.0
    rolloff: float | None = 0.35
    offset: float = 0.0
    drift: float = 0.0
    stagger: float = 0.0
    echo_db: float = -math.inf
    echo_delay: float = 1.0
    line_db: float = -math.inf
    clip: float = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.samples_per_symbol) and self.samples_per_symbol >= 1):
            raise AmrqError(f"samples per symbol must be at least 1, not {self.samples_per_symbol}.")
        if self.rolloff is not None and not 0 <= self.rolloff <= 1:
            raise AmrqError(f"the roll-off must lie between 0 and 1, not {self.rolloff}.")
        for name in ("offset", "drift", "stagger"):
            if not math.isfinite(getattr(self, name)):
                raise AmrqError(f"the {name} must be a finite number, not {getattr(self, name)}.")
        for name in ("echo_db", "line_db"):
            if not getattr(self, name) < math.inf:
                raise AmrqError(
                    f"{name} must be a number of dB (or -inf for none), not {getattr(self, name)}."
                )
        if not (math.isfinite(self.echo_delay) and self.echo_delay >= 0):
            raise AmrqError(f"the echo's delay must be 0 symbols or more, not {self.echo_delay}.")
        if not self.clip > 0:
            raise AmrqError(f"clipping must begin above 0 times the root mean square, not {self.clip}.")


def received_under(
    symbols: NDArray[np.complexfloating[Any, Any]],
    conditions: Conditions,
    es_n0_db: float,
    rng: np.random.Generator,
) -> NDArray[np.complex64]:
    """Return symbols as they are received under given conditions, in white noise, at a random time and phase.

    Es/N0 is that of all that is received of the signal, echo included, in a filter matched to the pulse; a line at
    0 Hz is not part of it.

    Args:
        symbols: complex [N], of unit mean power while they are on; zeros are pauses.
        conditions: what is wrong with the signal.
        es_n0_db: Es/N0 after a matched filter, dB; infinite for no noise.
        rng: draws timing, phases and noise.

    Returns:
        complex64 [about (N + 10) * samples_per_symbol], mean signal power that of the symbols.

    Example:
        >>> import numpy as np
        >>> from amrq.classes.linear import linear_class
        >>> rng = np.random.default_rng(1)
        >>> sent = rng.choice(linear_class("QPSK").points, 1000)
        >>> len(received_under(sent, Conditions(echo_db=-6.0), 20.0, rng))
        4040
    """
    c = conditions
    rolloff = c.rolloff
    pulse = _rectangular if rolloff is None else _tabulated(rolloff)
    total = int((len(symbols) + 10) * c.samples_per_symbol)
    time = np.arange(total) / c.samples_per_symbol + rng.random()
    phase, echo_phase, line_phase = rng.random(3)
    power = float(np.mean(np.abs(symbols) ** 2))

    def arriving(late: float) -> NDArray[np.complex128]:
        if not c.stagger:
            return _pulses(symbols, time - late, pulse)
        in_phase = _pulses(symbols.real, time - late, pulse)
        quadrature = _pulses(symbols.imag, time - late - c.stagger, pulse)
        return np.asarray(in_phase + 1j * quadrature)

    signal = arriving(0.0)
    if c.echo_db > -math.inf:
        signal = signal + 10 ** (c.echo_db / 20) * np.exp(2j * np.pi * echo_phase) * arriving(c.echo_delay)
        heard = float(np.mean(np.abs(signal) ** 2))
        signal = signal * math.sqrt(power / heard) if heard else signal
    from_middle = time - len(symbols) / 2
    signal = signal * np.exp(2j * np.pi * (c.offset * time + c.drift / 2 * from_middle**2 + phase))
    if c.line_db > -math.inf:
        signal = signal + math.sqrt(power) * 10 ** (c.line_db / 20) * np.exp(2j * np.pi * line_phase)
    samples = signal + _noise(total, c.samples_per_symbol, es_n0_db, rng)
    if math.isfinite(c.clip):
        most = c.clip * math.sqrt(float(np.mean(np.abs(samples) ** 2)) / 2)
        samples = np.clip(samples.real, -most, most) + 1j * np.clip(samples.imag, -most, most)
    return np.asarray(samples, dtype=np.complex64)


def received_signal(
    symbols: NDArray[np.complexfloating[Any, Any]],
    samples_per_symbol: float,
    rolloff: float,
    es_n0_db: float,
    rng: np.random.Generator,
    offset: float = 0.0,
    lead: int = 0,
) -> NDArray[np.complex64]:
    """Return symbols as root-raised-cosine pulses in white noise, sampled at a random time and phase.

    Args:
        symbols: complex [N], of unit mean power.
        samples_per_symbol: at least 1, no whole number needed.
        rolloff: excess bandwidth, 0 to 1.
        es_n0_db: Es/N0 after a matched filter, dB; infinite for no noise.
        rng: draws timing, phase and noise.
        offset: of the carrier, cycles a symbol.
        lead: symbol periods of noise alone before the first symbol.

    Returns:
        complex64 [about (lead + N + 10) * samples_per_symbol], mean signal power 1. The symbols' pulses peak at
        (lead + n - t) * samples_per_symbol with t from 0 to 1.

    Raises:
        AmrqError: a value is out of its range.

    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(np.array([1, -1], dtype=np.complex64), 100)
    >>> len(received_signal(symbols, samples_per_symbol=4.0, rolloff=0.35, es_n0_db=20.0, rng=rng)) >= 400
    True
    """
    if not samples_per_symbol >= 1 or not math.isfinite(samples_per_symbol):
        raise AmrqError(f"samples per symbol must be at least 1, not {samples_per_symbol}.")
    if not 0 <= rolloff <= 1:
        raise AmrqError(f"the roll-off must lie between 0 and 1, not {rolloff}.")
    total = int((lead + len(symbols) + 10) * samples_per_symbol)
    time = np.arange(total) / samples_per_symbol - lead + rng.random()
    phase = rng.random()
    clean = _pulses(symbols, time, lambda t: root_raised_cosine(t, rolloff))
    clean *= np.exp(2j * np.pi * (offset * time + phase))
    return np.asarray(clean + _noise(total, samples_per_symbol, es_n0_db, rng), dtype=np.complex64)


def _rectangular(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a pulse of unit energy that fills its symbol's time: 1 from -0.5 to 0.5."""
    return ((t >= -0.5) & (t < 0.5)).astype(np.float64)


@cache
def _tabulated(rolloff: float) -> _Pulse:
    """Return a root-raised-cosine pulse that is looked up: five times as fast, and right to 1e-5."""
    times = np.linspace(-_REACH - 1, _REACH + 1, 1024 * (_REACH + 1) + 1)
    values = root_raised_cosine(times, rolloff)
    return lambda t: np.interp(t, times, values)


def _pulses(symbols: NDArray[Any], time: NDArray[np.float64], pulse: _Pulse) -> NDArray[np.complex128]:
    """Sum the pulses of symbols 0 to N - 1 at times in symbols."""
    count = len(symbols)
    near = np.floor(time).astype(np.int64)
    total = np.zeros(len(time), dtype=np.complex128)
    padded = np.concatenate([symbols, np.zeros(1)])
    for step in range(1 - _REACH, _REACH + 1):
        number = near + step
        number[(number < 0) | (number >= count)] = count
        total += padded[number] * pulse(time - near - step)
    return total


def _noise(
    count: int, samples_per_symbol: float, es_n0_db: float, rng: np.random.Generator
) -> NDArray[np.complex128]:
    """Draw white noise whose density is that of an Es/N0 at unit power."""
    power = samples_per_symbol * 10 ** (-es_n0_db / 10)
    pairs: NDArray[np.float64] = rng.standard_normal((count, 2))
    return np.asarray(math.sqrt(power / 2) * pairs.view(np.complex128)[:, 0])
