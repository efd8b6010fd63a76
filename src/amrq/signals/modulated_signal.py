# SPDX-License-Identifier: GPL-3.0-or-later
"""A modulated signal as a stream: its pulses, its noise and phase noise, and when these change."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amrq.classes import LinearClass, linear_class, root_raised_cosine
from amrq.errors import AmrqError
from amrq.options import at_least, between, check, described, option

__all__ = [
    "ModulatedSignal",
    "Order",
    "PulseOptions",
    "PulseShaper",
    "Schedule",
    "add_noise",
    "add_phase_noise",
    "es_n0_db_from_noise_power",
    "noise_power_from_es_n0_db",
    "rotate",
]


def noise_power_from_es_n0_db(es_n0_db: float) -> float:
    """Return the complex noise power N_a per symbol of unit power: 10^(-x/10).

    Args:
        es_n0_db: energy per symbol over noise density, dB; `inf` means no noise.

    Raises:
        AmrqError: it is not a number, or minus infinity.

    >>> noise_power_from_es_n0_db(20.0)
    0.01
    """
    if not es_n0_db >= -300:
        raise AmrqError(f"Es/N0 must be a number in dB from -300 up (or inf for no noise), not {es_n0_db}.")
    return float(10.0 ** (-es_n0_db / 10.0))


def es_n0_db_from_noise_power(noise_power: float) -> float:
    """Return Es/N0 in dB of unit-power symbols in complex noise of power `noise_power` (N_a).

    N_a = 0.005, the thesis's operating point, is 23.01 dB; 0 is `inf`.

    Raises:
        AmrqError: the power is negative or not finite.

    >>> round(es_n0_db_from_noise_power(0.005), 2)
    23.01
    """
    if not math.isfinite(noise_power) or noise_power < 0:
        raise AmrqError(f"noise power N_a must be finite and not negative, not {noise_power}.")
    return math.inf if noise_power == 0 else -10.0 * math.log10(noise_power)


def _per_sample(value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Let a scalar serve all samples and an array [N] serve the rows of [N, L]."""
    array = np.asarray(value, dtype=np.float64)
    return array.reshape(array.shape + (1,) * (len(shape) - array.ndim)) if array.ndim else array


def add_noise(
    samples: NDArray[np.complex64], noise_power: ArrayLike, rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Add circular white Gaussian noise.

    Args:
        samples: complex64 [..., L].
        noise_power: total complex power (N_a), a scalar or one a row.
        rng: source of randomness.

    Returns:
        complex64, the shape of `samples`.

    >>> import numpy as np
    >>> noisy = add_noise(np.ones(10_000, dtype=np.complex64), 0.01, np.random.default_rng(1))
    >>> round(float(np.mean(np.abs(noisy - 1) ** 2)), 3)
    0.01
    """
    noise = rng.standard_normal((*samples.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    scale = np.sqrt(_per_sample(noise_power, samples.shape) / 2).astype(np.float32)
    return np.asarray(samples + scale * noise, dtype=np.complex64)


def add_phase_noise(
    samples: NDArray[np.complex64], phase_noise: ArrayLike, rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Turn every sample by an independent Gaussian angle, as in the thesis.

    Args:
        samples: complex64 [..., L].
        phase_noise: standard deviation (N_p), radians, a scalar or one a row.
        rng: source of randomness.
    """
    deviation = _per_sample(phase_noise, samples.shape).astype(np.float32)
    angle = deviation * rng.standard_normal(samples.shape, dtype=np.float32)
    return np.asarray(samples * np.exp(1j * angle), dtype=np.complex64)


def rotate(samples: NDArray[np.complex64], angle: ArrayLike) -> NDArray[np.complex64]:
    """Turn all samples by `angle` radians, a scalar or one a row.

    >>> import numpy as np
    >>> rotate(np.ones(2, dtype=np.complex64), np.pi / 2).round(3).tolist()
    [1j, 1j]
    """
    turn = np.exp(1j * _per_sample(angle, samples.shape)).astype(np.complex64)
    return np.asarray(samples * turn, dtype=np.complex64)


@described
@dataclass(frozen=True)
class PulseOptions:
    """How symbols become samples.

    Raises:
        AmrqError: a value is out of its range.
    """

    samples_per_symbol: int = option(
        1,
        "1: bare symbols, ready for the Chunker. More: symbols shaped with a root-raised-cosine pulse.",
        within=at_least(1),
    )
    rolloff: float = option(
        0.35, "Roll-off of the pulse, its excess bandwidth.", within=between(0, 1), label="Roll-off"
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)


class PulseShaper:
    """A streaming interpolating root-raised-cosine filter.

    The output has the mean power of the symbols, and a filter matched to it returns the symbols
    (times sqrt(samples_per_symbol), with unit-energy taps). With one sample a symbol it changes nothing.

    Args:
        samples_per_symbol: 1 or more.
        rolloff: excess bandwidth, 0 to 1.
        span: length of the pulse in symbols.

    Raises:
        AmrqError: an argument is out of its range.

    Attributes:
        delay: samples from a symbol's entry to the peak of its pulse.

    >>> import numpy as np
    >>> shaper = PulseShaper(samples_per_symbol=4, rolloff=0.35)
    >>> shaper.shape(np.ones(16, dtype=np.complex64)).shape
    (64,)
    """

    def __init__(self, samples_per_symbol: int = 1, rolloff: float = 0.35, span: int = 24) -> None:
        if samples_per_symbol < 1 or int(samples_per_symbol) != samples_per_symbol:
            raise AmrqError(
                f"samples per symbol must be a whole number of at least 1, not {samples_per_symbol}."
            )
        if not 0 <= rolloff <= 1:
            raise AmrqError(f"the roll-off must lie between 0 and 1, not {rolloff}.")
        self.samples_per_symbol = int(samples_per_symbol)
        self.rolloff = float(rolloff)
        self.delay = 0
        self._branches: NDArray[np.float32] | None = None
        if self.samples_per_symbol > 1:
            sps = self.samples_per_symbol
            self.delay = span * sps // 2
            t = (np.arange(span * sps) - span * sps / 2) / sps
            taps = root_raised_cosine(t, self.rolloff)
            taps *= np.sqrt(sps / np.sum(taps**2))
            # Branch p holds every sps-th tap from p on: output sample n*sps + p of a polyphase interpolator.
            self._branches = np.ascontiguousarray(taps.reshape(span, sps).T[:, ::-1], dtype=np.float32)
            self._past = np.zeros(span - 1, dtype=np.complex64)

    def shape(self, symbols: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Turn complex64 [n] symbols into complex64 [n * samples_per_symbol], keeping the filter's state."""
        if self._branches is None:
            return symbols
        stream = np.concatenate([self._past, symbols])
        self._past = stream[len(stream) - len(self._past) :]
        windows = np.lib.stride_tricks.sliding_window_view(stream, self._branches.shape[1])
        return np.asarray((windows @ self._branches.T).ravel(), dtype=np.complex64)


Order = Literal["cycle", "random"]


class Schedule:
    """An endless sequence of classes, each sent for `dwell` symbols.

    Args:
        modulations: the classes, or names of those that have one in `amrq.classes`; one alone is sent for ever.
        dwell: symbols before the next class.
        order: `cycle` takes the names in turn, `random` draws one of the others each time.

    Raises:
        AmrqError: no class, an unknown name, a class whose symbols are turned or staggered as they are sent, a dwell
            below 1 or an unknown order.

    >>> import numpy as np
    >>> schedule, rng = Schedule(["BPSK", "QPSK"], dwell=100), np.random.default_rng(1)
    >>> [schedule.next(rng).name for _ in range(3)]
    ['BPSK', 'QPSK', 'BPSK']
    """

    def __init__(
        self,
        modulations: Sequence[str | LinearClass] | str | LinearClass,
        dwell: int = 1024,
        order: Order = "cycle",
    ) -> None:
        if isinstance(modulations, str | LinearClass):
            modulations = [modulations]
        if not isinstance(modulations, Sequence) or not all(
            isinstance(one, str | LinearClass) for one in modulations
        ):
            raise AmrqError("the modulations of a schedule must be a list of names.")
        if not modulations:
            raise AmrqError("a schedule needs at least one modulation.")
        if dwell < 1:
            raise AmrqError(f"the dwell must be at least 1 symbol, not {dwell}.")
        if order not in get_args(Order):
            raise AmrqError(f"the order must be one of {', '.join(get_args(Order))}, not {order!r}.")
        self.modulations: tuple[LinearClass, ...] = tuple(
            linear_class(one) if isinstance(one, str) else one for one in modulations
        )
        special = next((one.name for one in self.modulations if not one.plain), None)
        if special is not None:
            raise AmrqError(f"{special} cannot be sent by a schedule: its symbols are turned or staggered.")
        self.dwell = int(dwell)
        self.order: Order = order
        self._current = -1

    def next(self, rng: np.random.Generator) -> LinearClass:
        """Return the class of the next dwell."""
        count = len(self.modulations)
        if self.order == "cycle" or self._current < 0:
            first = int(rng.integers(count)) if self.order == "random" else 0
            self._current = first if self._current < 0 else (self._current + 1) % count
        elif count > 1:
            self._current = (self._current + 1 + int(rng.integers(count - 1))) % count
        return self.modulations[self._current]


class ModulatedSignal:
    """Unit-power symbols of a schedule of classes, shaped, turned and in noise.

    All settings may be changed between calls of `generate`, and count from the next sample on (a new
    schedule from the next symbol on).

    Args:
        schedule: the classes to send.
        es_n0_db: Es/N0 in dB of the unit-power symbols; complex noise power per symbol 10^(-x/10),
            as seen after a matched filter when there is more than one sample a symbol.
        phase_noise: standard deviation of an independent Gaussian phase, radians, every sample.
        rotation: fixed phase, radians.
        samples_per_symbol: 1 sends bare symbols; more shapes them with root raised cosine.
        rolloff: excess bandwidth of the pulse, 0 to 1.
        seed: of all randomness; the same seed and calls give the same signal, however it is cut.

    Raises:
        AmrqError: a value is out of its range.

    >>> signal = ModulatedSignal(Schedule(["BPSK", "QPSK"], dwell=64), es_n0_db=20.0)
    >>> samples, changes = signal.generate(128)
    >>> len(samples), changes
    (128, [(0, 'BPSK'), (64, 'QPSK')])
    """

    def __init__(
        self,
        schedule: Schedule,
        es_n0_db: float = 23.0,
        phase_noise: float = 0.0,
        rotation: float = 0.0,
        samples_per_symbol: int = 1,
        rolloff: float = 0.35,
        seed: int = 0,
    ) -> None:
        # Symbols and noise draw from streams of their own, so that another noise level keeps the symbols,
        # and so that the signal does not depend on how many samples are asked for at a time.
        seeds = np.random.SeedSequence(seed).spawn(4)
        self._choice, self._symbol, self._noise, self._phase = (np.random.default_rng(s) for s in seeds)
        self._shaper = PulseShaper(samples_per_symbol, rolloff)
        self._pending = np.empty(0, dtype=np.complex64)
        self._made = 0  # samples shaped so far, those pending included
        self._changes: list[tuple[int, str]] = []  # (sample, class) not yet reached
        self._left = 0
        self._current: LinearClass | None = None
        self.set_schedule(schedule)
        self.set_es_n0_db(es_n0_db)
        self.set_phase_noise(phase_noise)
        self.set_rotation(rotation)

    @property
    def samples_per_symbol(self) -> int:
        """Samples per symbol of the output."""
        return self._shaper.samples_per_symbol

    def set_schedule(self, schedule: Schedule) -> None:
        """Send these classes, from the next symbol on."""
        self._schedule = schedule
        self._left = 0

    def set_es_n0_db(self, es_n0_db: float) -> None:
        """Set Es/N0 in dB, or `inf` for no noise."""
        self._noise_power = noise_power_from_es_n0_db(es_n0_db)

    def set_phase_noise(self, phase_noise: float) -> None:
        """Set the standard deviation of the phase noise in radians."""
        if not (np.isfinite(phase_noise) and phase_noise >= 0):
            raise AmrqError(f"phase noise must be finite and not negative (radians), not {phase_noise}.")
        self._phase_noise = float(phase_noise)

    def set_rotation(self, rotation: float) -> None:
        """Set the fixed phase in radians."""
        if not np.isfinite(rotation):
            raise AmrqError(f"the rotation must be a finite angle in radians, not {rotation}.")
        self._rotation = float(rotation)

    def set_pulse(self, samples_per_symbol: int, rolloff: float) -> None:
        """Use another pulse; the filter starts from silence."""
        self._shaper = PulseShaper(samples_per_symbol, rolloff)
        self._made -= len(self._pending)
        self._pending = np.empty(0, dtype=np.complex64)
        # Symbols inside the old filter are lost: what has begun there begins with the first one that is sent now.
        if self._changes:
            self._changes = [(self._made + self._shaper.delay, self._changes[-1][1])]

    def _symbols(self, count: int) -> tuple[NDArray[np.complex64], list[tuple[int, str]]]:
        parts: list[NDArray[np.complex64]] = []
        changes: list[tuple[int, str]] = []
        done = 0
        while done < count:
            if self._left == 0:
                following = self._schedule.next(self._choice)
                self._left = self._schedule.dwell
                if following is not self._current:
                    self._current = following
                    changes.append((done, following.name))
            assert self._current is not None  # set above, when the first dwell began
            n = min(count - done, self._left)
            parts.append(self._current.points[self._symbol.integers(self._current.order, size=n)])
            self._left -= n
            done += n
        return np.concatenate(parts), changes

    def generate(self, count: int) -> tuple[NDArray[np.complex64], list[tuple[int, str]]]:
        """Return the next `count` samples and where in them a class begins.

        Returns:
            complex64 [count]; and (offset, class name) for each change of class. With a pulse, a class begins
            at the peak of its first symbol's pulse.
        """
        sps = self.samples_per_symbol
        start = self._made - len(self._pending)
        missing = count - len(self._pending)
        if missing > 0:
            symbols, changes = self._symbols(-(-missing // sps))
            self._changes += [(self._made + self._shaper.delay + n * sps, name) for n, name in changes]
            self._pending = np.concatenate([self._pending, self._shaper.shape(symbols)])
            self._made += len(symbols) * sps
        samples, self._pending = self._pending[:count], self._pending[count:]
        due = [(offset - start, name) for offset, name in self._changes if offset < start + count]
        self._changes = [change for change in self._changes if change[0] >= start + count]
        if self._rotation:
            samples = rotate(samples, self._rotation)
        if self._phase_noise:
            samples = add_phase_noise(samples, self._phase_noise, self._phase)
        if self._noise_power:
            samples = add_noise(samples, self._noise_power * sps, self._noise)
        return samples, due
