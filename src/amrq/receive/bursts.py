# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts: each found by its power, and received as a whole.

A burst of some hundred symbols is over before averages over a stream have settled. Here its edges are found by its
power, and level, timing and carrier are those of the whole burst: what its last symbols say counts for its first. Its
chunks begin with its first symbol, so that no chunk is half noise.

* The level of the noise is a low quantile of the power of the last 4,000 symbols: there must be gaps.
* Timing: the phase of the line that the squared envelope has at the symbol rate (M. Oerder and H. Meyr, "Digital
  filter and square timing recovery", IEEE Trans. Commun. 36(5), 1988). The symbol rate is the one given, unless the
  lines of the bursts so far say together that it is another.
* Carrier: frequency and drift of the strongest chirp in a power of the burst's symbols (see `amrq.measure`).
"""

import cmath
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.measure import STEP, BurstCarrier, CarrierEstimate, FrontEndOptions
from amrq.native import UNKNOWN, BurstLimits, BurstNow, kernels
from amrq.receive.channel import HOP, Blocks
from amrq.receive.received import ReceivedSymbols, joined
from amrq.receive.receiver import Receiver
from amrq.receive.timing import interpolate

__all__ = ["Burst", "BurstFinder", "BurstReceiver", "receive_all"]

_MOST_POWER = 3e38
_FRAME = 32  # channel samples: 8 symbols
_LEARNT = 512  # frames from which the noise is learnt
_BLOCK = 32  # frames handled at a time: the result does not depend on calls
_AHEAD = 96  # frames after the first ones that the noise is learnt from too
_QUANTILE = 0.15  # of the power of 4 frames, which is noise if there are gaps
_UNBIASED = 1.2  # mean of the noise over that quantile
_PRESENT = 2.5  # times the noise: a signal is there
_SHORTEST, _LONGEST = 5, 96  # frames of a burst: 40 to 768 symbols
_AROUND = 3  # frames before and after a burst that are looked at
_EDGE = 10  # channel samples that are averaged to find an edge
_EDGE_LEVEL = 0.4  # of the burst's power, where the edge is
_MIDDLE_BLOCKS = 8  # blocks up to a chunk's whose spectrum's middle is looked at
_MIDDLE_FIRST = 4  # blocks that have come before the first chunk leaves
_AGREE = 0.06  # cycles/symbol between two measures of the middle
_CLEAR_EDGES = 0.4  # of what turns by the middle, that it does so together
_WEAK = 0.25  # power of a first symbol over the mean that may be none
_ABRUPT = 0.4  # power beside a burst over that of its first or last symbols, at most
_ERRORS = np.arange(-100, 101) * 2.5e-4
"""Errors of the symbol rate that are looked for."""
_BESIDE = np.array([*np.arange(-0.1, -0.035, 0.01), *np.arange(0.04, 0.105, 0.01)])
"""Errors at which there is no line, but its floor."""
_NEW_RATE = 6.0  # log likelihood by which an error of the symbol rate must be better than none
_REMEMBERED = 0.9  # of what earlier bursts said of it, at each burst
_BURST_LIMITS = BurstLimits(_BLOCK, _LEARNT, _SHORTEST, _LONGEST, _QUANTILE, _UNBIASED, _PRESENT)


@dataclass(frozen=True)
class Burst:
    """A burst.

    Attributes:
        start: its beginning, channel samples since the stream's first.
        stop: its end.
        places: float64 [k], channel samples of its symbols.
        symbols: complex64 [k], turned, of unit RMS.
        power: of its symbols before they were levelled.
        snr_db: Es/N0 by the noise before and after it, dB.
        carrier_offset: removed from its middle, cycles/symbol; NaN where no line was seen.
        order: M of the line; 0: none.
        share: of the line in the energy of the M-th power.
    """

    start: float
    stop: float
    places: NDArray[np.float64]
    symbols: NDArray[np.complex64]
    power: float
    snr_db: float
    carrier_offset: float
    order: int
    share: float


class BurstFinder:
    """Find and receive bursts in the output of a matched filter.

    Args:
        samples_per_symbol: of the channel, 3.7 to 4.3.
        max_offset: largest offset of the carrier looked for, cycles/symbol; None: the carrier is left as it is.
    """

    def __init__(self, samples_per_symbol: float, max_offset: float | None = 0.15) -> None:
        self._samples_per_symbol = samples_per_symbol
        self._carrier = None if max_offset is None else BurstCarrier(max_offset)
        self.reset()

    def reset(self) -> None:
        """Begin a stream."""
        self._samples = np.zeros(0, np.complex64)
        self._first = 0  # number of the first of them
        self._spent = 0  # frames taken
        self._powers = np.zeros(0)  # of the frames after them
        self._recent = np.zeros(0)  # of those before, for the noise
        self._ahead = _AHEAD  # frames after a block's that the noise is learnt from too, at the start
        self._last = 0.0  # power of the last frame
        self._noise = math.inf
        self._begun: int | None = None  # frame in which a burst has begun
        self._lines = np.zeros(len(_ERRORS))
        if self._carrier is not None:
            self._carrier.reset()
        self.settled = 0
        """Channel samples up to which all bursts have been returned."""

    def process(self, samples: NDArray[np.complex64], ended: bool = False) -> list[Burst]:
        """Take channel samples, complex64 [n]; return the bursts that are over.

        With `ended`, those are the stream's last.
        """
        self._samples = np.concatenate((self._samples, samples))
        known = len(self._powers)
        fresh = self._samples[(self._spent + known) * _FRAME - self._first :]
        fresh = fresh[: len(fresh) // _FRAME * _FRAME]
        native = kernels()
        if native is not None and len(fresh):
            power = native.span_powers(fresh[None], 0, len(fresh), _FRAME, _MOST_POWER)
        else:
            power = (fresh.real**2 + fresh.imag**2).reshape(-1, _FRAME).mean(axis=1, dtype=np.float64)
        self._powers = np.concatenate((self._powers, power))
        found: list[Burst] = []
        self._take_all(found)
        while len(self._powers) >= _BLOCK + self._ahead + _AROUND or (ended and len(self._powers)):
            self._take(self._powers[:_BLOCK], self._powers[: _BLOCK + self._ahead], found)
            self._ahead = max(0, self._ahead - _BLOCK)
            self._powers = self._powers[_BLOCK:]
        if ended and self._begun is not None:
            self._end(self._spent, found)
        self._let_go()
        return found

    def _take_all(self, found: list[Burst]) -> None:
        """Take the blocks of frames that have come; none without compiled kernels."""
        native, before = kernels(), len(self._recent)
        if native is None:
            return
        begun = -1 if self._begun is None else self._begun
        now = BurstNow(self._spent, begun, self._ahead, self._last, min(self._noise, _MOST_POWER))
        powers, spent = np.concatenate((self._recent, self._powers)), self._spent
        ended = native.burst_frames(powers, before, _AROUND, _BURST_LIMITS, now)
        for self._begun, stop, self._noise in ended:
            self._end(stop, found)
        taken = now.spent - spent
        if taken:
            self._spent, self._last, self._ahead, self._noise = now.spent, now.last, now.ahead, now.noise
            self._begun = None if now.begun < 0 else now.begun
            self._recent, self._powers = powers[: before + taken][-_LEARNT:], powers[before + taken :]

    def _take(self, powers: NDArray[np.float64], seen: NDArray[np.float64], found: list[Burst]) -> None:
        """Take the powers of a block of frames, and of those after it, which the noise is learnt from too."""
        learnt = np.concatenate((self._recent, seen))
        fours = learnt[: len(learnt) // 4 * 4].reshape(-1, 4).mean(axis=1)
        self._noise = _UNBIASED * _low_quantile(fours) if len(fours) else math.inf
        pairs = powers + np.concatenate(([self._last], powers[:-1]))
        if self._begun is None and not (pairs > 2 * _PRESENT * self._noise).any():
            self._last, self._spent = float(powers[-1]), self._spent + len(powers)
        else:
            for power in powers.tolist():
                present = self._last + power > 2 * _PRESENT * self._noise
                if present and self._begun is None:
                    self._begun = max(self._spent - 1, 0)
                elif not present and self._begun is not None:
                    self._end(self._spent, found)
                self._last = power
                self._spent += 1
        self._recent = np.concatenate((self._recent, powers))[-_LEARNT:]

    def _end(self, stop: int, found: list[Burst]) -> None:
        """End the burst that has begun before this frame."""
        begun, self._begun = self._begun, None
        if begun is None or not _SHORTEST <= stop - begun <= _LONGEST:
            return
        burst = self._received(begun * _FRAME, stop * _FRAME)
        if burst is not None:
            found.append(burst)

    def _let_go(self) -> None:
        """Forget samples that no burst needs any more."""
        frame = self._spent if self._begun is None else self._begun
        if self._begun is not None and self._spent - self._begun > _LONGEST:
            frame = self._spent
        self.settled = max(0, (frame - 1) * _FRAME)
        needed = max(0, (frame - 1 - _AROUND) * _FRAME - self._first)
        self._samples = self._samples[needed:].copy()
        self._first += needed

    def _received(self, begun: int, stopped: int) -> Burst | None:
        """Receive the burst that lies about between two channel samples; None if there is none."""
        first = max(begun - _AROUND * _FRAME, self._first)
        samples = self._samples[first - self._first : stopped + _AROUND * _FRAME - self._first]
        envelope = samples.real.astype(np.float64) ** 2 + samples.imag.astype(np.float64) ** 2
        smooth = np.convolve(envelope, np.full(_EDGE, 1 / _EDGE), "same")
        level = float(np.median(smooth[begun + _FRAME - first : stopped - _FRAME - first]))
        near = slice(max(0, begun - _FRAME - first), stopped + _FRAME - first)
        above = np.flatnonzero(smooth[near] > self._noise + _EDGE_LEVEL * (level - self._noise)) + near.start
        if not len(above) or not self._is_abrupt(envelope, int(above[0]), int(above[-1])):
            return None
        # The pulses of the first and of the last symbol, half a symbol before and after it.
        start, stop = above[0] + (0.5 - _EDGE_LEVEL) * _EDGE, above[-1] - (0.5 - _EDGE_LEVEL) * _EDGE
        rate, phase = self._timing(envelope[int(start) : int(stop) + 1])
        half = 0.5 * self._samples_per_symbol
        numbers = np.arange(
            math.ceil((start + 0.6 * half - int(start)) * rate - phase),
            math.floor((stop - 0.6 * half - int(start)) * rate - phase) + 1,
        )
        places = (numbers + phase) / rate + int(start)
        places = places[(places > 4) & (places < len(samples) - 6)]
        if len(places) < STEP:
            return None
        symbols = interpolate(samples, places)
        # A weak first symbol may be the noise before it; one symbol less does no harm.
        strong = np.abs(symbols) ** 2 > _WEAK * np.mean(np.abs(symbols) ** 2)
        inner = min(int(strong.argmax()), 3)
        places, symbols = places[inner:], symbols[inner:]
        if len(places) < STEP:
            return None
        power = max(float(np.mean(np.abs(symbols) ** 2)), 1e-30)
        still, carrier = symbols / np.float32(math.sqrt(power)), CarrierEstimate(rate=0.0)
        if self._carrier is not None:
            inside = samples[int(start) : int(stop) + 1]
            turns = _turns(inside[None, :], self._samples_per_symbol).tolist()
            middle = _middle(turns, self._samples_per_symbol)
            carrier, still = self._carrier.remove(still, middle)
        return Burst(
            start=first + float(start),
            stop=first + float(stop),
            places=places + first,
            symbols=still,
            power=power,
            snr_db=10 * math.log10(max(power / max(self._noise, 1e-30) - 1, 0.1)),
            carrier_offset=carrier.rate,
            order=carrier.order,
            share=carrier.share,
        )

    def _is_abrupt(self, envelope: NDArray[np.float64], start: int, stop: int) -> bool:
        """Return whether a burst begins and ends within some symbols; fading does not."""
        for outside, inside in (
            (envelope[max(0, start - 40) : max(0, start - 8)], envelope[start + 8 : start + 40]),
            (envelope[stop + 8 : stop + 40], envelope[max(0, stop - 40) : stop - 8]),
        ):
            # At a stream's ends there may be nothing outside.
            if len(outside) >= 16 and outside.mean() > _ABRUPT * inside.mean():
                return False
        return True

    def _timing(self, envelope: NDArray[np.float64]) -> tuple[float, float]:
        """Return symbols a sample, and the number, 0 to 1, of the first symbol at sample number / rate."""
        nominal = 1 / self._samples_per_symbol
        moving = (envelope - envelope.mean()) * np.exp(-2j * np.pi * nominal * np.arange(len(envelope)))
        span = 8
        whole = -(-len(moving) // span) * span
        sums = np.pad(moving, (0, whole - len(moving))).reshape(-1, span).sum(axis=1)
        middle = np.arange(len(sums)) * span + (span - 1) / 2
        lines = np.exp(-2j * np.pi * nominal * _ERRORS[:, None] * middle) @ sums
        beside = np.exp(-2j * np.pi * nominal * _BESIDE[:, None] * middle) @ sums
        floor = max(float(np.mean(np.abs(beside) ** 2)), 1e-30)
        self._lines = _REMEMBERED * self._lines + np.abs(lines) ** 2 / floor
        peak, none = int(self._lines.argmax()), len(_ERRORS) // 2
        if self._lines[peak] - self._lines[none] < _NEW_RATE:
            peak = none
        rate = nominal * (1 + float(_ERRORS[peak]))
        return rate, float(-np.angle(lines[peak]) / (2 * np.pi)) % 1.0


def _low_quantile(values: NDArray[np.float64]) -> float:
    """Return a low quantile of values, float64 [n], as NumPy does, which takes ten times as long for a few."""
    ordered = np.sort(values)
    place = _QUANTILE * (len(ordered) - 1)
    low = int(place)
    near, far = float(ordered[low]), float(ordered[min(low + 1, len(ordered) - 1)])
    return near + (far - near) * (place - low)


@lru_cache(4)
def _rate(samples_per_symbol: float, count: int) -> NDArray[np.float32]:
    """Return turns at the symbol rate, real and imaginary parts, float32 [2, count]."""
    turn = np.exp(-2j * np.pi / samples_per_symbol * np.arange(count))
    return np.stack((turn.real, turn.imag)).astype(np.float32)


def _turns(blocks: NDArray[np.complex64], samples_per_symbol: float) -> NDArray[np.complex128]:
    """Return what tells the middle of a spectrum in each block of samples, complex64 [n, k]: complex128 [2, n].

    The first turns by the middle in two samples. So does the second in eight: it is of the spectral correlation at the
    symbol rate, R(4) R(-4)* for lags of 4 samples, which only the band's edges have a part in (W. A. Gardner,
    "Exploitation of spectral redundancy in cyclostationary signals", IEEE Signal Process. Mag. 8(2), 1991). An echo
    moves the one or the other.
    """
    native = kernels()
    if native is not None:
        sums = native.block_turns(blocks, _rate(samples_per_symbol, blocks.shape[1] - 4))
        return np.stack((sums[0], sums[1] * sums[2].conj()))
    whole = np.einsum("ij,ij->i", blocks[:, 2:], blocks[:, :-2].conj())
    rate = np.exp(-2j * np.pi / samples_per_symbol * np.arange(blocks.shape[1] - 4)).astype(np.complex64)
    lagged = blocks[:, 4:] * blocks[:, :-4].conj()
    after, before = lagged @ rate, lagged.conj() @ rate
    return np.stack((whole.astype(np.complex128), after.astype(np.complex128) * before.conj()))


def _middle(turns: list[list[complex]], samples_per_symbol: float) -> float:
    """Return the middle of a spectrum, cycles/symbol, by the sums of such turns; NaN if the two do not agree."""
    both, rate = sum(turns[0]), sum(turns[1])
    scale = samples_per_symbol / (2 * math.pi)
    whole, edges = cmath.phase(both) * scale / 2, cmath.phase(rate) * scale / 8
    clear = abs(rate) > _CLEAR_EDGES * sum(map(abs, turns[1]))
    return (whole + edges) / 2 if clear and abs(whole - edges) < _AGREE else math.nan


class BurstReceiver(Receiver):
    """A receiver that also receives bursts as a whole.

    As `Receiver`, but the chunks of a burst of 40 to 768 symbols begin with its first symbol, and a border is set there
    and after it. What lies between bursts comes in chunks as before. Symbols leave about 300 later,
    the first ones 1,000, and not before a burst is over.

    >>> from amrq.classes import THESIS_9
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> gap, sent = np.zeros(1000), rng.choice(THESIS_9["QPSK"].points, 100)
    >>> samples = received_signal(np.concatenate((gap, sent, gap)), 4.0, 0.35, 20.0, rng)
    >>> receiver = BurstReceiver(40e3, 10e3)
    >>> received = joined([receiver.process(samples), receiver.finish()])
    >>> (received.positions[received.borders] / 400).round().tolist()
    [0.0, 10.0, 11.0]
    """

    def reset(self) -> None:
        """Begin another stream."""
        super().reset()
        self._finder = BurstFinder(
            self._channel.samples_per_symbol,
            self._options.max_carrier_offset if self._options.carrier_recovery else None,
        )
        self._turns = np.zeros((2, 0), np.complex128)  # of blocks, from `_turns_first` on
        self._turns_first = 0
        self._moved = np.zeros(0)  # of the same blocks, see `_moved_on`
        self._broken: NDArray[np.int64] = np.zeros(0, np.int64)  # samples that are not finite
        self._bursts: list[Burst] = []
        self._waiting = joined([])
        self._resumed = 0.0  # input sample from which chunks are passed on
        self._after = False  # the next chunk comes after a burst

    def process(self, samples: NDArray[np.complexfloating[Any, Any]]) -> ReceivedSymbols:
        """Take samples, complex [n] of any n; return the chunks that are complete."""
        return self._merged(super().process(samples), self._finder.settled * self._channel.ratio)

    def finish(self) -> ReceivedSymbols:
        """Return the chunks that are left at the end of the stream; less than a chunk of symbols is left out."""
        rest = super().finish()
        self._bursts += self._finder.process(np.zeros(0, np.complex64), ended=True)
        return self._merged(rest, math.inf)

    def _finite(self, samples: NDArray[np.complex64]) -> NDArray[np.complex64]:
        before = len(self._bad)
        samples = super()._finite(samples)
        if len(self._bad) > before:
            self._broken = np.concatenate((self._broken, self._bad[before:]))
        return samples

    def _filter(self, band: Blocks, ended: bool) -> None:
        before = len(self._samples)
        super()._filter(band, ended)
        fresh = self._samples[before:]
        if self._carrier is not None:
            turns = _turns(fresh.reshape(-1, HOP), self._channel.samples_per_symbol)
            moved = self._path.turned(turns.shape[1])
            if moved.any():  # a spectrum's middle stays where it is while the channel goes with it
                turns *= np.exp(2j * np.pi * np.array([[2], [8]]) * moved)
            self._turns = np.concatenate((self._turns, turns), axis=1)
            self._moved = np.concatenate((self._moved, moved))
        found = self._finder.process(fresh)
        least = 10 ** (self._options.gate_db / 10) if self._options.gate_db > -200 else 0.0
        least *= (self._channel.scale or 1.0) ** 2
        for burst in found:
            if burst.power >= least:
                path = float(self._path.at(np.array([0.5 * (burst.start + burst.stop)]))[0])
                self._bursts.append(replace(burst, carrier_offset=burst.carrier_offset + path))

    def _turned(self, symbols: NDArray[np.complex64], ended: bool) -> ReceivedSymbols:
        count = len(symbols) // STEP
        if self._carrier is not None and count:
            rest = self._channel.rest * self._sample_rate / self._symbol_rate
            places = self._pending[0, -count:] / self._channel.ratio
            blocks = places.astype(np.int64) // HOP - self._turns_first
            middles = self._middles(blocks, max(0, _MIDDLE_FIRST - self._turns_first))
            moved = rest + self._moved[blocks] * self._channel.samples_per_symbol
            block = int(blocks[-1])
            spent = max(0, block - _MIDDLE_BLOCKS)
            self._turns, self._turns_first = self._turns[:, spent:].copy(), self._turns_first + spent
            self._moved = self._moved[spent:].copy()
            self._carrier.expect((middles - moved).tolist())
        return super()._turned(symbols, ended)

    def _middles(self, blocks: NDArray[np.int64], first: int) -> NDArray[np.float64]:
        """Return the middle of the spectrum, cycles/symbol, around blocks, int64 [n]; NaN where it does not show.

        Args:
            blocks: in which chunks begin, numbers of `_turns`.
            first: blocks that count at least, from the first one on.
        """
        native, samples = kernels(), self._channel.samples_per_symbol
        if native is not None:
            limits = (samples / (2 * math.pi), _AGREE, _CLEAR_EDGES)
            found = native.chunk_middles(self._turns, blocks, (_MIDDLE_BLOCKS, first), limits)
            return np.where(found == UNKNOWN, np.nan, found)
        both, edges = self._turns.tolist()
        known = {}
        for block in set(blocks.tolist()):
            near = slice(max(0, block - _MIDDLE_BLOCKS), max(block + 1, first))
            known[block] = _middle([both[near], edges[near]], samples)
        return np.array([known[block] for block in blocks.tolist()])

    def _merged(self, received: ReceivedSymbols, settled: float) -> ReceivedSymbols:
        """Return the chunks up to an input sample, those of bursts among them."""
        waiting = joined([part for part in (self._waiting, received) if len(part)])
        ratio, length = self._channel.ratio, STEP * self._sample_rate / self._symbol_rate
        out: list[ReceivedSymbols] = []
        while True:
            waiting = waiting.part(int(np.searchsorted(waiting.positions, self._resumed)), len(waiting))
            if len(waiting) and self._after:
                borders = waiting.borders.copy()
                borders[0], self._after = True, False
                waiting = replace(waiting, borders=borders)
            ends = waiting.positions + length
            stop = min(settled, self._bursts[0].start * ratio) if self._bursts else settled
            count = int(np.searchsorted(ends, stop, "right"))
            out.append(waiting.part(0, count))
            waiting = waiting.part(count, len(waiting))
            if not self._bursts or not (len(waiting) or settled == math.inf):
                break
            burst = self._bursts.pop(0)
            out.append(self._of_burst(burst))
            self._resumed, self._after = burst.stop * ratio, True
        self._waiting = waiting
        oldest = self._bursts[0].start * ratio if self._bursts else settled
        self._broken = self._broken[np.searchsorted(self._broken, oldest - length) :]
        return joined([part for part in out if len(part)])

    def _of_burst(self, burst: Burst) -> ReceivedSymbols:
        """Return the chunks of a burst."""
        count = len(burst.symbols) // STEP
        symbol = self._sample_rate / self._symbol_rate
        first = burst.places[: count * STEP : STEP] * self._channel.ratio
        last = burst.places[STEP - 1 : count * STEP : STEP] * self._channel.ratio
        bad = self._broken
        whole = np.searchsorted(bad, last + symbol, "right") == np.searchsorted(bad, first - symbol)
        return ReceivedSymbols(
            symbols=burst.symbols[: count * STEP],
            positions=first,
            carrier_offset=np.full(count, burst.carrier_offset - self._channel.rest * symbol),
            snr_db=np.full(count, burst.snr_db),
            borders=np.arange(count) == 0,
            finite=whole,
            equalised=np.zeros(count, np.bool_),  # the equaliser is for what comes block by block
        )


def receive_all(
    samples: NDArray[np.complexfloating[Any, Any]],
    sample_rate: float,
    symbol_rate: float,
    offset: float = 0.0,
    options: FrontEndOptions | None = None,
) -> ReceivedSymbols:
    """Return the symbols of stored samples, complex [n]; for the rest see `BurstReceiver`.

    >>> len(receive_all(np.zeros(4000, np.complex64), 4.0, 1.0))
    31
    """
    receiver = BurstReceiver(sample_rate, symbol_rate, offset, options)
    return joined([part for part in (receiver.process(samples), receiver.finish()) if len(part)])
