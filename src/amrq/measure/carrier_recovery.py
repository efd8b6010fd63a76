# SPDX-License-Identifier: GPL-3.0-or-later
"""Blind, feed-forward carrier recovery on one-sample-a-symbol signals.

How it works
------------
Every 32 symbols (a *step*):

1. The newest 64 symbols pass six functions that leave a line at M times the carrier's offset (see `carrier_lines`),
   each of which gives a power spectrum of 128 bins. Spectra of the last 8 steps (288 symbols) and of the
   last 32 steps (1,056 symbols) are added without their phases (Bartlett's method).
2. Of the lines that stand out of the floor, the one with the least M wins: a line at 2 also shows at 4, 8
   and 16, never the other way round. A line at M leaves the frequency unknown by k/M cycles/symbol, which
   an M-fold symmetric constellation does not notice, and a less symmetric one would have shown a line at a
   lesser M.
3. The last 256 symbols are matched against a grid of frequencies and drifts around that line and the peak is
   interpolated. Where no line stands still, the last 128 symbols are searched for chirps, and the match is made
   around what is found. Where only the long average shows a line (high order, low Es/N0), 1,024 symbols are matched;
   where that fails too, the frequency is read from the average.
4. A step leaves four steps late, in the middle of the 256 symbols: what comes after it counts like what came before.
5. A line that shows more in sums of 16 symbols than in the whole window is broad: the phase wanders, and is removed.
6. Nothing stands out: the last frequency is held, so that noise, OFDM and the like are turned evenly.

Where no line has been seen yet, at the start of a stream, after a break, or when the signal has been gone for a while,
steps may be held back until a line shows, and are then turned by what it says of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.measure.carrier_lines import BINARY_AWAY, ORDERS, TURNING, is_binary, turned, turns_by_half
from amrq.measure.carrier_search import (
    FIT,
    FIT_AHEAD,
    FIT_LINE,
    LATE,
    SHORT,
    SLOW_AHEAD,
    SLOW_FIT,
    STEP,
    Lines,
    LineSearch,
)
from amrq.native import CarrierLimits, CarrierLines, CarrierNow, kernels

__all__ = ["STEP", "CarrierRecovery"]

Complex = NDArray[np.complexfloating[Any, Any]]

_BATCH = 640  # steps handled at a time: those of the blocks that a receiver takes together; has no effect on the result
_SURE_LINE = 40.0  # of a fit that is believed at once even if it contradicts the steps before
_LARGEST = 1e15  # amplitude whose square a float32 still holds
_STEADY = 3e-5  # drift, cycles/symbol^2, with which a line's distance from the spectrum's middle is looked at
_SAME = 0.004  # cycles/symbol between two steps of one signal
_COAST = 8  # steps without a fit for which the last drift goes on
_MOST_HELD = 64  # steps
_TIME = np.arange(STEP)
_BEND = _TIME * (_TIME - STEP) / 2
_ORDERS: tuple[int, ...] = tuple(ORDERS.tolist())
_LIMITS = CarrierLimits(
    *(_STEADY, _SAME, TURNING, BINARY_AWAY, FIT_AHEAD, SLOW_AHEAD, _SURE_LINE, FIT, SLOW_FIT, _COAST, LATE)
)
_NO_LINE = 9.0  # a frequency that is none
_CONFIRMED = 4  # steps after which a first line is believed: its first fit may be off by 0.003 cycles/symbol


class _Step(NamedTuple):
    """How a step is turned."""

    rate: float  # cycles/symbol in its middle
    drift: float  # cycles/symbol^2
    order: int  # M of the line; 0: none
    share: float  # of the line in the energy
    seen: bool  # a line has been seen of late
    turning: bool = False  # the constellation turns from symbol to symbol
    wander: NDArray[np.float32] | None = None  # cycles by which its symbols are turned besides


class _Leaving:
    """Steps that leave, in order: each list as an attribute of `_Step`."""

    def __init__(self) -> None:
        self.rate: list[float] = []
        self.drift: list[float] = []
        self.order: list[int] = []
        self.share: list[float] = []
        self.seen: list[bool] = []
        self.turning: list[bool] = []
        self.wander: dict[int, NDArray[np.float32]] = {}  # by number, of those whose line wanders

    def __len__(self) -> int:
        return len(self.rate)

    def add(self, *steps: _Step) -> None:
        """Add steps."""
        for step in steps:
            if step.wander is not None:
                self.wander[len(self)] = step.wander
            self.rate.append(step.rate)
            self.drift.append(step.drift)
            self.order.append(step.order)
            self.share.append(step.share)
            self.seen.append(step.seen)
            self.turning.append(step.turning)

    def extend(self, other: _Leaving) -> None:
        """Add those of another."""
        self.wander |= {len(self) + number: phase for number, phase in other.wander.items()}
        self.rate += other.rate
        self.drift += other.drift
        self.order += other.order
        self.share += other.share
        self.seen += other.seen
        self.turning += other.turning


def _usable(lines: Lines) -> tuple[NDArray[np.bool_], ...]:
    """Return which lines of fits, slow fits and averages may be a carrier's, [6, steps], and which steps show any."""
    fits, slow = lines.fits, lines.slow
    fit_ok, slow_ok = fits.quality > FIT_LINE, slow.quality > FIT_LINE
    # What is clear in the last 256 symbols outdoes the last 1,000: the signal may have changed since.
    unclear = ~(fits.quality > _SURE_LINE).any(axis=0)
    slow_ok, readable = slow_ok & unclear, lines.readable & unclear
    told = np.asarray((fit_ok | fits.broad | slow_ok | readable).any(axis=0))
    return fit_ok, slow_ok, readable, told


class _Seen:
    """What a batch shows, as lists by function and step: numbers of arrays take long to be got one by one."""

    def __init__(self, lines: Lines) -> None:
        fits, slow = lines.fits, lines.slow
        fit_ok, slow_ok, readable, told = _usable(lines)
        self.any: list[bool] = told.tolist()
        self.fit_ok: list[list[bool]] = fit_ok.tolist()
        self.slow_ok: list[list[bool]] = slow_ok.tolist()
        self.readable: list[list[bool]] = readable.tolist()
        self.fits: list[list[list[float]]] = [one.tolist() for one in fits[:3]]
        self.slow: list[list[list[float]]] = [one.tolist() for one in slow[:3]]
        self.far: list[list[float]] = lines.far.tolist()
        self.wanders = lines.wanders
        self.binary: list[float] = lines.binary.tolist()


class CarrierRecovery:
    """Remove the carrier's offset and drift from a stream of symbols of unknown modulation.

    Symbols come in and go out in order, nothing is inserted: output k is input k, turned. Output comes in
    whole steps of 32 symbols, four steps late, so that 128 to 159 symbols wait (`pending`); where the stream ends,
    `finish` gives these too. The result does not depend on how the stream is cut into calls.

    Drifts up to 2e-4 cycles/symbol^2 are followed, for M = 16 up to 6e-5; phase noise up to 0.1 rad a symbol, for
    8PSK from about 18 dB Es/N0, for 16PSK up to 0.03 rad. `orders` and `shares` say how well: 16PSK whose steps show
    a line at M = 8, or none at 20 dB, is a carrier that was not followed. A first estimate needs 100 to 300 symbols
    of signal (up to 1,000 for high orders at low Es/N0). An offset of k/M cycles/symbol, which an M-fold symmetric
    constellation does not notice, may be left for M = 8 above 1/16 and for M = 16 above 1/32 cycles/symbol.

    With `hold`, the steps before the first line are held back until it shows, so many of them at most, and turned by
    its frequency: without that they leave spinning, and a spinning 16QAM, for one, is taken for 32QAM. While no line
    shows, symbols leave so much later.

    No line is seen, and the offset stays, for 8PSK below 10 dB, 32QAM below 15 dB and 16PSK below 15 dB
    Es/N0.

    Args:
        max_offset: largest offset looked for, in cycles/symbol, 0 < max_offset <= 0.25. A line at M reaches
            1/(2M) at most. Above about 0.18 a pi/2-BPSK signal may be turned into BPSK.
        hold: steps held back at most while no line has been seen, 0 to 64.

    Raises:
        AmrqError: a value is out of its range.

    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(np.exp(0.5j * np.pi * np.arange(4)), 1024)
    >>> recovery = CarrierRecovery()
    >>> still = recovery.finish(symbols * np.exp(2j * np.pi * 0.05 * np.arange(1024)))
    >>> len(still), round(float(recovery.offset), 3)
    (1024, 0.05)
    """

    def __init__(self, max_offset: float = 0.15, hold: int = 0) -> None:
        if not 0.0 < max_offset <= 0.25:
            raise AmrqError(
                f"max_offset {max_offset} is outside 0 to 0.25 cycles/symbol: give the largest carrier "
                "offset divided by the symbol rate."
            )
        if not 0 <= hold <= _MOST_HELD:
            raise AmrqError(f"at most 0 to {_MOST_HELD} steps can be held back, not {hold}.")
        self.max_offset = float(max_offset)
        self.hold = int(hold)
        self._search = LineSearch(self.max_offset)
        self.reset()

    def reset(self) -> None:
        """Forget the signal so far, the waiting symbols included."""
        self._wait = np.zeros(0, np.complex64)
        self._held = np.zeros(0, np.complex64)  # whole steps that have not left
        self._held_steps: list[_Step] = []  # how the first of them are turned if no line shows
        self._steps = _Leaving()  # what the last call put out
        self._turn = 0.0  # cycles by which the next symbol put out is turned
        self._rate = 0.0  # cycles/symbol at the middle of the last step
        self._forget()

    def _forget(self) -> None:
        """Forget what has been seen of a carrier, but not the frequency."""
        self._search.reset()
        self._drift = 0.0  # cycles/symbol^2
        self._order = 0
        self._age = _COAST  # steps since the last fit
        self._blind = _COAST  # steps since the last line
        self._holding = self.hold > 0  # steps are held back
        self._lined = 0  # of these, since a line has been seen
        self._doubt: float | None = None  # an offset that contradicts the steps before, seen once
        self._middles: list[float] = []  # of the spectrum, in the steps that come
        self._middle, self._half = math.nan, False  # and whether the constellation turns by half its symmetry

    @property
    def pending(self) -> int:
        """Symbols that wait: for the rest of their step, for the 4 steps after it, and those of steps held back."""
        return len(self._held) + len(self._wait)

    @property
    def offset(self) -> float:
        """The offset removed from the last step, in cycles/symbol."""
        return self._rate

    @property
    def order(self) -> int:
        """M of the line that the last step was turned by; 0: none, the offset is held."""
        return self._order

    @property
    def rates(self) -> list[float]:
        """Of each step that the last call put out, the offset removed from it, cycles/symbol.

        NaN where no line had been seen of late, so that it is the former signal's or none.
        """
        steps = self._steps
        return [rate if seen else math.nan for rate, seen in zip(steps.rate, steps.seen, strict=True)]

    @property
    def orders(self) -> list[int]:
        """Of each step that the last call put out, M of the line that it was turned by: 2, 4, 8, 16; 0: none."""
        return self._steps.order.copy()

    @property
    def turning(self) -> list[bool]:
        """Of each step that the last call put out, whether its constellation turns by half its symmetry each symbol.

        pi/2-BPSK shows so by a line at M = 2, pi/4-DQPSK by the middle of its spectrum: see `process`.
        """
        return self._steps.turning.copy()

    @property
    def shares(self) -> list[float]:
        """Of each step that the last call put out, the line's share in the energy of the M-th power, 0 to 1.

        0 where there was none, or only in the long average. Low values at high Es/N0: it was not followed well.
        """
        return self._steps.share.copy()

    def expect(self, middles: Sequence[float]) -> None:
        """Take the middle of the signal's spectrum in each of the next steps: see `process`."""
        self._middles += list(middles)

    def process(self, symbols: Complex, middles: Sequence[float] = ()) -> NDArray[np.complex64]:
        """Take symbols, complex [n] of any n and level; return those of whole steps, complex64 [32 m].

        These are all steps, but for the last four and what is held back.

        Symbols that are not finite, or of 1e15 and more, become zero.

        Args:
            symbols: the next ones.
            middles: middle of the signal's spectrum in each of the next steps, cycles/symbol, right to 0.03; NaN where
                it is not known. The line of pi/4-DQPSK at M = 4 is an eighth of the symbol rate away from it; removing
                it would leave QPSK exactly. With the middle, what is removed is the carrier.
        """
        self.expect(middles)
        fresh = np.asarray(symbols, dtype=np.complex64).ravel()
        native = kernels()
        if native is None or not native.largest_part(fresh) < 0.7 * _LARGEST:
            with np.errstate(over="ignore", invalid="ignore"):
                fresh = np.where(np.abs(fresh) < _LARGEST, fresh, np.complex64(0))
        data = np.concatenate((self._wait, fresh))
        whole = len(data) // STEP * STEP
        leaving = _Leaving()
        for first in range(0, whole, _BATCH * STEP):
            batch = data[first : min(first + _BATCH * STEP, whole)]
            self._follow(len(batch) // STEP, self._search.look(batch), leaving)
        self._wait = data[whole:].copy()
        self._held = np.concatenate((self._held, data[:whole]))
        return self._leave(leaving)

    def restart(self) -> NDArray[np.complex64]:
        """Take in that the stream broke (a retune, an overflow): what comes may be of another carrier.

        Returns:
            complex64 [32 m], what was held back; symbols that wait for the rest of their step go on waiting.
        """
        steps = self._backwards() if self._lined else self._held_steps
        self._held_steps, self._lined = [], 0
        # The carrier goes on as it was in the steps whose surroundings are not known.
        for _ in range(len(self._held) // STEP - len(steps)):
            self._move_on()
            steps = [*steps, _Step(self._rate, self._drift, 0, 0.0, self._blind < _COAST)]
        leaving = _Leaving()
        leaving.add(*steps)
        out = self._leave(leaving)
        self._forget()
        return out

    def finish(self, symbols: Complex) -> NDArray[np.complex64]:
        """Take a stream's last symbols, complex [n]; return those and the ones that waited, complex64, none held back.

        What is left of a step is turned on at the frequency of the step before. Symbols that come after that begin a
        step, as after a break.
        """
        before, steps = self.process(symbols), self._steps
        drift, order = self._drift, self._order
        out = np.concatenate((before, self.restart()))
        steps.extend(self._steps)
        self._steps, self._order = steps, order
        t = np.arange(len(self._wait))
        rest = self._wait * turned(self._turn + (self._rate + drift * STEP) * t)
        self._turn = (self._turn + self._rate * len(t)) % 1.0
        self._wait = np.zeros(0, np.complex64)
        return np.concatenate((out, rest))

    def _follow(self, steps: int, lines: Lines, leaving: _Leaving) -> None:
        """Choose and hold, the only part that goes step by step; add the steps that leave to `leaving`."""
        first = self._search.count - steps
        if kernels() is not None:
            self._follow_compiled(first, steps, lines, leaving)
            return
        seen = _Seen(lines)
        for step in range(steps):
            if self._middles:
                self._middle = self._middles[0]
                del self._middles[: first + step >= LATE]
            self._move_on()
            share, wander = 0.0, None
            if seen.any[step]:
                share, wander = self._take(step, seen)
            else:
                self._doubt = None
            self._blind = 0 if self._order else min(self._blind + 1, _COAST)
            if first + step < LATE:
                continue  # what is around the first steps is not known yet
            turning = self._order == 4 and (self._half or is_binary(seen.binary[step], self._rate))
            now = _Step(self._rate, self._drift, self._order, share, self._blind < _COAST, turning, wander)
            if self._holding:
                self._hold(now, leaving)
            else:
                leaving.add(now)
                self._holding = self.hold > 0 and self._blind == _COAST

    def _follow_compiled(self, first: int, steps: int, lines: Lines, leaving: _Leaving) -> None:
        """The same as `_follow`, the first step being number `first`."""
        native = kernels()
        assert native is not None
        fit_ok, slow_ok, readable, seen = _usable(lines)
        broad, wander_rates = np.zeros(fit_ok.shape, np.bool_), np.zeros(fit_ok.shape)
        for place, wandering in lines.wanders.items():
            broad[place], wander_rates[place] = True, wandering.rate
        given = CarrierLines(
            fits=np.stack(lines.fits[:3]),
            slow=np.stack(lines.slow[:3]),
            far=lines.far,
            binary=np.where(np.isnan(lines.binary), _NO_LINE, lines.binary),
            wander_rates=wander_rates,
            any=seen,
            fit_ok=fit_ok,
            slow_ok=slow_ok,
            readable=readable,
            wanders=broad,
            orders=ORDERS,
        )
        known = self._doubt is not None
        now = CarrierNow(
            *(self._rate, self._drift, self._doubt or 0.0, self._middle, self._age, self._blind, self._half),
            *(known, self._middle == self._middle),
        )
        numbers, which, used = native.carrier_follow(first, given, _LIMITS, np.array(self._middles), now)
        del self._middles[:used]
        rates, drifts, shares = numbers.tolist()
        orders, recent, turning, wander = which.tolist()
        begin = max(LATE - first, 0)
        if not self._holding and (not self.hold or all(recent[begin:])):
            wanders = {
                len(leaving) + step - begin: lines.wanders[row, step].phase
                for step, row in enumerate(wander)
                if step >= begin and row >= 0
            }
            leaving.wander |= wanders
            leaving.rate += rates[begin:]
            leaving.drift += drifts[begin:]
            leaving.order += orders[begin:]
            leaving.share += shares[begin:]
            leaving.seen += map(bool, recent[begin:])
            leaving.turning += map(bool, turning[begin:])
            begin = steps
        for step in range(begin, steps):
            phase = None if wander[step] < 0 else lines.wanders[wander[step], step].phase
            self._drift, self._blind = drifts[step], 0 if recent[step] else _COAST
            one = _Step(
                rate=rates[step],
                drift=drifts[step],
                order=orders[step],
                share=shares[step],
                seen=bool(recent[step]),
                turning=bool(turning[step]),
                wander=phase,
            )
            if self._holding:
                self._hold(one, leaving)
            else:
                leaving.add(one)
                self._holding = self.hold > 0 and self._blind == _COAST
        self._rate, self._drift, self._age, self._blind = now.rate, now.drift, now.age, now.blind
        self._doubt = now.doubt if now.doubtful else None
        self._middle, self._half = (now.middle if now.known else math.nan), bool(now.half)
        self._order = orders[-1] if steps else self._order

    def _move_on(self) -> None:
        """Take the carrier one step further, by what it did before."""
        self._age = min(self._age + 1, _COAST)
        if self._age == _COAST:
            self._drift = 0.0
        self._rate += self._drift * STEP
        self._order = 0

    def _take(self, step: int, seen: _Seen) -> tuple[float, NDArray[np.float32] | None]:
        """Take over the carrier that a step shows, if it is to be believed; return the line's share and wander."""
        doubt: float | None = None
        for row, order in enumerate(_ORDERS):
            share, sure, found_drift, wander = 0.0, True, 0.0, None
            fit_ok = seen.fit_ok[row][step]
            if (row, step) in seen.wanders:
                found, wander = seen.wanders[row, step]
                share = max(seen.fits[2][row][step] - 1, 1.0) / (FIT - 1)
            elif fit_ok or seen.slow_ok[row][step]:
                fit, ahead, span = (
                    (seen.fits, FIT_AHEAD, FIT) if fit_ok else (seen.slow, SLOW_AHEAD, SLOW_FIT)
                )
                rates, drifts, quality = fit
                found_drift = drifts[row][step] / order
                found = rates[row][step] / order + found_drift * ahead
                sure = quality[row][step] > _SURE_LINE
                share = (quality[row][step] - 1) / (span - 1)
            elif seen.readable[row][step] and self._age == _COAST:
                # Half a thousand symbols old on average: fits of late know better.
                found = seen.far[row][step] / order
            else:
                continue
            found = self._nearest(found, order, abs(found_drift) < _STEADY)
            doubtful = self._age < _COAST and not sure and abs(found - self._rate) > _SAME
            if doubtful and (self._doubt is None or abs(found - self._doubt) > _SAME):
                doubt = found
                continue
            self._rate, self._drift, self._order = found, found_drift, order
            if share:
                self._age = 0
            self._doubt = doubt
            return share, wander
        self._doubt = doubt
        return 0.0, None

    def _hold(self, now: _Step, leaving: _Leaving) -> None:
        """Hold a step back; if a line has shown for a while, let all leave, or the first if they are too many."""
        self._held_steps.append(now)
        self._lined = self._lined + 1 if self._blind < _COAST else 0
        full = len(self._held_steps) > self.hold
        if self._lined == _CONFIRMED or (self._lined and full):
            leaving.add(*self._backwards())
            self._held_steps, self._lined, self._holding = [], 0, False
        elif full:
            leaving.add(self._held_steps.pop(0))

    def _backwards(self) -> list[_Step]:
        """Return the steps held back, turned by what the last of them show."""
        out: list[_Step] = []
        near, back = self._held_steps[-1], 0  # the step that is gone by, and symbols from it back
        for step in reversed(self._held_steps):
            # Before its window a fit's drift is no longer to be relied on.
            far = back > SHORT * STEP
            expected = near.rate - self._drift * min(back, SHORT * STEP)
            if step.order and abs(step.rate - expected) < _SAME and 2 * step.share > near.share:
                near, back = step, 0
                out.append(step._replace(seen=True))
            elif step.wander is not None:
                out.append(step)  # its surroundings say nothing of it
            else:
                out.append(step._replace(rate=expected, drift=0.0 if far else self._drift, seen=True))
            back += STEP
        return out[::-1]

    def _leave(self, steps: _Leaving) -> NDArray[np.complex64]:
        """Put out so many steps of those held, turned."""
        self._steps = steps
        data, self._held = np.split(self._held, [len(steps) * STEP])
        if not steps:
            return data
        rate, drift = np.array(steps.rate), np.array(steps.drift)
        native = kernels()
        if native is not None:
            phases = np.zeros((len(steps) if steps.wander else 0, STEP), np.float32)
            for number, phase in steps.wander.items():
                phases[number] = phase
            drifts = drift if drift.any() else None
            out, self._turn = native.carrier_turned(
                data, rate, drifts, phases if steps.wander else None, self._turn
            )
            return out
        turn = np.empty(len(steps))
        # One by one: the same to the bit wherever the stream is cut.
        for number, one in enumerate(steps.rate):
            turn[number] = self._turn
            self._turn = (self._turn + one * STEP) % 1.0
        # Cycles since the step's start; in its middle the frequency is `rate`.
        cycles = turn[:, None] + rate[:, None] * _TIME
        if drift.any():
            cycles += drift[:, None] * _BEND
        for number, phase in steps.wander.items():
            cycles[number] += phase
        return data * turned(cycles).ravel()

    def _nearest(self, found: float, order: int, steady: bool) -> float:
        """Of found + k/order: the one by the present offset if that is the same line, else the least."""
        if order == 4 and self._middle == self._middle:  # it is known
            if steady:  # the middle is known late
                self._half = turns_by_half(found, self._middle)
            found += 0.125 * self._half
        alias = found + round((self._rate - found) * order) / order
        if abs(alias - self._rate) > 0.01:
            alias = found - round(found * order) / order
        return alias
