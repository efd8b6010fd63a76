# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream's signal found again and again, in a thread of its own and without holding up the stream: place and rate."""

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.identify import SURE, FoundSignal, SignalSearch, find_signal, is_same_rate
from amrq.measure import check_offset

__all__ = [
    "LOOKED_AT",
    "RateEstimate",
    "RecentSamples",
    "SignalFollower",
    "SymbolRateWatch",
    "WatchCounts",
]

LOOKED_AT = 1 << 17
"""Samples that a symbol rate is estimated from."""
_MOVED = 0.1
"""A signal that is off its place by this part of the symbol rate has moved: carrier recovery follows 0.15."""
_PATIENCE = 0.5
"""Seconds that the end of a run waits for an estimate in progress: on a busy machine it may take longer."""
_LEAST = 256
"""Samples without a break that are worth a look."""


class RecentSamples:
    """The last samples of a stream and its breaks; different threads may write and read.

    Args:
        count: samples kept, at least 1.

    Raises:
        AmrqError: the count is below 1.

    >>> recent = RecentSamples(4)
    >>> recent.write(np.arange(6, dtype=np.complex64), breaks=[5])
    >>> recent.stretch().real.tolist(), recent.since_break().real.tolist()
    ([2.0, 3.0, 4.0], [5.0])
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise AmrqError(f"at least 1 sample must be kept, not {count}.")
        self._ring = np.zeros(count, dtype=np.complex64)
        self._place = 0  # place of the next sample
        self._taken = 0
        self._starts: deque[int] = deque([0])  # first samples of the kept stretches without a break
        self._lock = threading.Lock()

    def write(self, new: NDArray[np.complex64], breaks: list[int] | None = None) -> None:
        """Take in the next samples.

        Args:
            new: complex64 [N].
            breaks: ascending indices into `new` of samples before which samples are missing.
        """
        last = new[-len(self._ring) :]
        with self._lock:
            for index in breaks or ():
                start = self._taken + index
                if start > self._starts[-1]:
                    self._starts.append(start)
            first = min(len(last), len(self._ring) - self._place)
            self._ring[self._place : self._place + first] = last[:first]
            self._ring[: len(last) - first] = last[first:]
            self._place = (self._place + len(last)) % len(self._ring)
            self._taken += len(new)
            oldest = self._taken - len(self._ring)
            while len(self._starts) > 1 and self._starts[1] <= oldest:
                self._starts.popleft()

    def samples(self) -> NDArray[np.complex64]:
        """Return a copy of the last samples, the oldest first: complex64, fewer than `count` at the beginning."""
        with self._lock:
            return self._kept()

    def stretch(self) -> NDArray[np.complex64]:
        """Return a copy of the longest part of the last samples without a break; of equal ones the latest.

        A measure over many samples, such as a symbol rate, needs samples without a gap.
        """
        return self.placed_stretch()[1]

    def placed_stretch(self, since: int = 0) -> tuple[int, NDArray[np.complex64]]:
        """Return the first index and the samples of the longest part without a break from index `since` on."""
        with self._lock:
            kept = self._kept()
            oldest = self._taken - len(kept)
            starts = [max(start, oldest, since) - oldest for start in self._starts]
        ends = [*starts[1:], len(kept)]
        _, first, last = max((end - start, start, end) for start, end in zip(starts, ends, strict=True))
        return oldest + first, kept[first:last]

    def since_break(self) -> NDArray[np.complex64]:
        """Return a copy of the last samples that follow the last break."""
        with self._lock:
            kept = self._kept()
            return kept[max(0, self._starts[-1] - (self._taken - len(kept))) :]

    def taken(self) -> int:
        """Return how many samples have arrived."""
        with self._lock:
            return self._taken

    def _kept(self) -> NDArray[np.complex64]:
        if self._taken < len(self._ring):
            return self._ring[: self._place].copy()
        return np.concatenate([self._ring[self._place :], self._ring[: self._place]])


@dataclass(frozen=True)
class RateEstimate:
    """An estimate of a stream's symbol rate.

    Attributes:
        symbol_rate: symbols a second.
        samples_per_symbol: the sample rate divided by the symbol rate.
        confidence: probability that noise alone would not have shown a line as strong, 0 to 1 (see `SymbolRate`).
        sample_offset: index in the stream of the first sample used.
        sample_count: number of samples used.
        offset: where the signal was found, Hz from the middle of the band; the place looked at if none stands out.
        bandwidth: 99 % of its power is in this, Hz; None if no signal stands out of the noise.
        snr_db: power over that of the noise in the same band, dB; None if no signal stands out.
        signals: number of signals in the band.
    """

    symbol_rate: float
    samples_per_symbol: float
    confidence: float
    sample_offset: int
    sample_count: int
    offset: float = 0.0
    bandwidth: float | None = None
    snr_db: float | None = None
    signals: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return asdict(self)


@dataclass(frozen=True)
class WatchCounts:
    """Counters of a stream's samples and of the estimates from them.

    Samples that are neither used nor dropped are still kept.

    Attributes:
        received: samples received.
        looked_at: samples that at least one estimate used.
        dropped: samples never used, because newer ones replaced them or the rate or frequency changed.
        looks: number of estimates attempted.
        estimates: number of estimates with at least the wanted confidence.
    """

    received: int = 0
    looked_at: int = 0
    dropped: int = 0
    looks: int = 0
    estimates: int = 0


class SymbolRateWatch:
    """Finds a stream's signal and estimates its symbol rate repeatedly, in a thread of its own.

    A signal that was found is preferred from then on, as long as it is there, to others that may be stronger.

    The stream is never held up: the last `length` samples are kept, and each estimate uses the samples that are there.
    Samples overwritten between two estimates are counted as dropped.

    Args:
        sample_rate: samples a second, above 0.
        found: called in the thread with each estimate of at least `min_confidence`. An exception in it ends the watch.
        offset: the signal is the one nearest to this place, Hz from the middle of the band; None: the strongest one.
        interval: seconds of the stream from one estimate to the next; 0: as often as possible. The first estimate is
            made with half of `length`.
        length: most samples that an estimate uses, at least 256.
        search: what is known of the signal; its own `offset` is not used. None: nothing.
        min_confidence: estimates below this are not passed to `found`, 0 to 1.

    Raises:
        AmrqError: a value is out of its range.
    """

    def __init__(
        self,
        sample_rate: float,
        found: Callable[[RateEstimate], None],
        offset: float | None = None,
        interval: float = 1.0,
        length: int = LOOKED_AT,
        search: SignalSearch | None = None,
        min_confidence: float = SURE,
    ) -> None:
        _check_rate(sample_rate)
        if not 0 <= interval < math.inf:
            raise AmrqError(f"interval must be a number of seconds of at least 0, not {interval}.")
        if length < _LEAST:
            raise AmrqError(f"length must be at least {_LEAST} samples, not {length}.")
        if not 0 <= min_confidence <= 1:
            raise AmrqError(f"min_confidence must be a probability from 0 to 1, not {min_confidence}.")
        self.error: Exception | None = None
        """What ended the watch before `stop`; None if nothing did."""
        self._sample_rate, self._interval = sample_rate, interval
        self._found, self._search, self._min_confidence = found, search or SignalSearch(), min_confidence
        self._generation = 0  # of sample rate, frequency, offset and run
        self._runs = 0
        self.set_offset(offset)
        self._length = length
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._begin()

    def _begin(self) -> None:
        self.recent = RecentSamples(self._length)
        """The samples that are kept."""
        self._from = 0  # first sample of the present rate and frequency
        self._looked = 0  # samples before this have been used or dropped
        self._asked = -1  # number of samples at the last `look_now`
        self._next = self._length // 2  # number of samples needed for the next estimate
        self._busy = self._wanted = self._over = False
        self._counts = WatchCounts()

    def set_offset(self, offset: float | None) -> None:
        """Look for the signal nearest to this offset from the middle of the band, Hz, from now on; None: the strongest.

        Raises:
            AmrqError: the offset is outside the band.
        """
        if offset is not None:
            check_offset(offset, self._sample_rate)
        self._offset, self._preferred = offset, offset
        self._generation += 1  # an estimate in progress uses the former offset

    def prefer(self, offset: float) -> None:
        """Prefer the signal at this offset, Hz, to others as long as there is one."""
        self._preferred = offset

    def start(self) -> None:
        """Begin a run without anything of a former run."""
        self.error = None
        self._begin()
        self._runs += 1
        self._thread = threading.Thread(
            target=self._run, args=(self._runs,), name="amrq symbol rate", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the run; wait a moment for an estimate in progress, and pass it to `found`, or else forget it."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)
        with self._changed:
            self._generation += 1

    def write(self, samples: NDArray[np.complex64], breaks: list[int] | None = None) -> None:
        """Take in the next samples, without waiting for anything.

        Args:
            samples: complex64 [N]; they are copied.
            breaks: ascending indices of samples before which samples are missing.
        """
        self.recent.write(samples, breaks)
        if self.recent.taken() >= self._next and not self._busy:
            with self._changed:
                self._changed.notify_all()

    def begin_anew(self, sample_rate: float | None = None) -> None:
        """Drop the samples so far: the next ones have another frequency or sample rate.

        An estimate in progress is not passed to `found`.

        Args:
            sample_rate: samples a second from now on; None: as before.

        Raises:
            AmrqError: the sample rate is not valid.
        """
        if sample_rate is not None:
            _check_rate(sample_rate)
        with self._changed:
            self._sample_rate = sample_rate or self._sample_rate
            self._from = self.recent.taken()
            self._drop(self._from)
            self._next = self._from + self._length // 2
            self._generation += 1
            self._preferred = self._offset

    def look_now(self) -> None:
        """Make the first estimate with the samples so far, because the stream ended or paused early."""
        with self._changed:
            asked, self._asked = self._asked, self.recent.taken()
            if asked != self._asked and self._looked == self._from <= self._asked - _LEAST:
                self._wanted = True
                self._changed.notify_all()

    def idle(self) -> bool:
        """Return whether an estimate has been made and no other is due or in progress."""
        with self._changed:
            if self._over or self.error is not None:
                return True
            due = self._busy or self._wanted or self.recent.taken() >= self._next
            return not due and (self._looked > self._from or self._asked == self.recent.taken())

    def is_due(self) -> bool:
        """Return whether an estimate is due or in progress."""
        with self._changed:
            waiting = self._busy or self._wanted or self.recent.taken() >= self._next
            return waiting and not self._over and self.error is None

    def counts(self) -> WatchCounts:
        """Return the counters as they stand now."""
        with self._changed:
            received, counts = self.recent.taken(), self._counts
            gone = max(0, received - self._length - self._looked)  # since the last estimate
        return replace(counts, received=received, dropped=counts.dropped + gone)

    def _drop(self, start: int) -> None:
        """Count samples before `start` that no estimate used; the lock is held."""
        if start > self._looked:
            self._count(dropped=start - self._looked)
            self._looked = start

    def _count(self, **more: int) -> None:
        values = asdict(self._counts)
        self._counts = WatchCounts(**{name: value + more.get(name, 0) for name, value in values.items()})

    def _run(self, run: int) -> None:
        try:
            while self._wait(run):
                self._look()
        except Exception as error:
            if run == self._runs:
                self.error = error
        finally:
            with self._changed:
                if run == self._runs:
                    self._busy = self._wanted = False

    def _wait(self, run: int) -> bool:
        """Wait until an estimate is due; return whether the run goes on."""
        with self._changed:
            if run != self._runs:  # this one was left behind
                return False
            self._busy = False
            self._changed.wait_for(lambda: self._over or self._wanted or self.recent.taken() >= self._next)
            self._busy, self._wanted = not self._over, False
            return self._busy

    def _look(self) -> None:
        with self._changed:
            generation, sample_rate = self._generation, self._sample_rate
            begin, samples = self.recent.placed_stretch(self._from)
            end = begin + len(samples)
            self._drop(begin)
            self._count(looks=1, looked_at=max(0, end - self._looked))
            self._looked = max(self._looked, end)
            self._next = self.recent.taken() + max(1, round(self._interval * sample_rate))
        found = self._signal(samples, sample_rate) if len(samples) >= _LEAST else FoundSignal()
        rate = found.symbol_rate
        if rate is None or rate.confidence < self._min_confidence:
            return
        with self._changed:
            if generation != self._generation:
                return
            self._count(estimates=1)
            if found.chosen is not None and rate.confidence >= SURE:
                self._preferred = found.offset
        chosen = found.chosen
        self._found(
            RateEstimate(
                rate.rate,
                sample_rate / rate.rate,
                rate.confidence,
                begin,
                len(samples),
                found.offset,
                None if chosen is None else chosen.bandwidth,
                None if chosen is None else chosen.snr_db,
                len(found.signals),
            )
        )

    def _signal(self, samples: NDArray[np.complex64], sample_rate: float) -> FoundSignal:
        """Find the preferred signal; where it is gone and no offset is given, another one."""
        search = replace(self._search, offset=self._preferred)
        found = find_signal(samples, sample_rate, search)
        if (
            self._offset is None
            and search.offset is not None
            and not (found.chosen is not None and found.sure)
        ):
            found = find_signal(samples, sample_rate, replace(search, offset=None))
        return found


def _check_rate(sample_rate: float) -> None:
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be a number above 0, not {sample_rate}.")


class SignalFollower:
    """Follows what is found of the signal while a flowgraph runs, and detects a change.

    Args:
        symbol_rate: of the signal that is received, Bd.
        offset: its place, Hz from the middle of the band.

    Attributes:
        found: the signal with its new symbol rate or place; None while there is no change.
    """

    def __init__(self, symbol_rate: float, offset: float) -> None:
        self.found: RateEstimate | None = None
        self._symbol_rate, self._offset = symbol_rate, offset
        self._suspect = (math.nan, math.nan)

    def take(self, found: RateEstimate, finish: Callable[[], None]) -> None:
        """Take in an estimate; call `finish` when two successive ones are sure of the same new rate and place."""
        if found.confidence < SURE or _is_same(found, self._symbol_rate, self._offset):
            self._suspect = (math.nan, math.nan)
        elif _is_same(found, *self._suspect):
            self.found = found
            finish()
        else:
            self._suspect = (found.symbol_rate, found.offset)


def _is_same(found: RateEstimate, symbol_rate: float, offset: float) -> bool:
    return is_same_rate(found.symbol_rate, symbol_rate) and abs(found.offset - offset) < _MOVED * symbol_rate
