# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates of a stream's symbol rate, made repeatedly in a thread of their own without holding up the stream."""

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.measure import SymbolRate, check_offset, estimate_symbol_rate
from amrq.text import engineering

__all__ = [
    "LOOKED_AT",
    "SURE",
    "RateEstimate",
    "RecentSamples",
    "SymbolRateWatch",
    "WatchCounts",
    "is_same_rate",
    "look_for_symbol_rate",
    "unclear",
]

LOOKED_AT = 1 << 17
"""Samples that a symbol rate is estimated from."""
SURE = 0.999
"""Confidence from which an estimate is believed."""
_CHANGED = 0.003
"""A symbol rate that is off by this part of it is another one: the front end follows 0.005."""
_LEAST = 256
"""Samples without a break that are worth a look."""


def look_for_symbol_rate(
    samples: NDArray[np.complex64],
    sample_rate: float,
    offset: float,
    lowest: float = 0.0,
    highest: float = math.inf,
) -> SymbolRate | None:
    """Return the estimate for a signal at an offset in Hz; None if the samples are too few or silent.

    Samples that are not finite count as zeros. For `lowest` and `highest` see `estimate_symbol_rate`.
    """
    samples = np.where(np.isfinite(samples), samples, np.complex64(0))
    if offset:
        samples = samples * np.exp(-2j * np.pi * offset / sample_rate * np.arange(len(samples)))
    try:
        return estimate_symbol_rate(np.asarray(samples, dtype=np.complex64), sample_rate, lowest, highest)
    except AmrqError:
        return None


def unclear(found: SymbolRate | None) -> str:
    """Return the begin of a sentence which says that the symbol rate is not clear."""
    if found is None:
        return "no symbol rate is to be seen"
    if found.confidence < 0.01:
        return "its symbol rate is not clear (none stands out of the noise)"
    # Rounded down: a confidence that is too low must not look like 1.
    confidence = math.floor(1000 * found.confidence) / 1000
    perhaps = f"perhaps {engineering(found.rate, 'Bd', 6)}, with a confidence of {confidence:.3f}"
    return f"its symbol rate is not clear ({perhaps} where {SURE:g} is needed)"


def is_same_rate(rate: float, other: float) -> bool:
    """Return whether two symbol rates agree to 0.3 %; False if one is NaN."""
    return abs(rate / other - 1) < _CHANGED


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
    """

    symbol_rate: float
    samples_per_symbol: float
    confidence: float
    sample_offset: int
    sample_count: int

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
    """Estimates a stream's symbol rate repeatedly, in a thread of its own.

    The stream is never held up: the last `length` samples are kept, and each estimate uses the samples that are there.
    Samples overwritten between two estimates are counted as dropped.

    Args:
        sample_rate: samples a second, above 0.
        found: called in the thread with each estimate of at least `min_confidence`. An exception in it ends the watch.
        offset: of the signal from the middle of the band, Hz.
        interval: seconds of the stream from one estimate to the next; 0: as often as possible. The first estimate is
            made with half of `length`.
        length: most samples that an estimate uses, at least 256.
        search: lowest and highest symbol rate searched, symbols a second; see `estimate_symbol_rate`.
        min_confidence: estimates below this are not passed to `found`, 0 to 1.

    Raises:
        AmrqError: a value is out of its range.
    """

    def __init__(
        self,
        sample_rate: float,
        found: Callable[[RateEstimate], None],
        offset: float = 0.0,
        interval: float = 1.0,
        length: int = LOOKED_AT,
        search: tuple[float, float] = (0.0, math.inf),
        min_confidence: float = SURE,
    ) -> None:
        _check_rate(sample_rate)
        if not 0 <= interval < math.inf:
            raise AmrqError(f"interval must be a number of seconds of at least 0, not {interval}.")
        if length < _LEAST:
            raise AmrqError(f"length must be at least {_LEAST} samples, not {length}.")
        if not 0 <= search[0] < search[1]:
            raise AmrqError(
                f"a symbol rate from {engineering(search[0], 'Bd')} to {engineering(search[1], 'Bd')} cannot be looked "
                "for: the lowest must be at least 0 and below the highest."
            )
        if not 0 <= min_confidence <= 1:
            raise AmrqError(f"min_confidence must be a probability from 0 to 1, not {min_confidence}.")
        self.error: Exception | None = None
        """What ended the watch before `stop`; None if nothing did."""
        self._sample_rate, self._interval = sample_rate, interval
        self._found, self._search, self._min_confidence = found, search, min_confidence
        self._generation = 0  # of sample rate, frequency and offset
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

    def set_offset(self, offset: float) -> None:
        """Set the signal's offset from the middle of the band, Hz, from now on.

        Raises:
            AmrqError: the offset is outside the band.
        """
        check_offset(offset, self._sample_rate)
        self._offset = offset
        self._generation += 1  # an estimate in progress uses the former offset

    def start(self) -> None:
        """Begin a run without anything of a former run."""
        self.error = None
        self._begin()
        self._thread = threading.Thread(target=self._run, name="amrq symbol rate", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the run; wait for an estimate in progress, and pass it to `found`."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

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

    def _run(self) -> None:
        try:
            while self._wait():
                self._look()
        except Exception as error:
            self.error = error
        finally:
            with self._changed:
                self._busy = self._wanted = False

    def _wait(self) -> bool:
        """Wait until an estimate is due; return whether the run goes on."""
        with self._changed:
            self._busy = False
            self._changed.wait_for(lambda: self._over or self._wanted or self.recent.taken() >= self._next)
            self._busy, self._wanted = not self._over, False
            return self._busy

    def _look(self) -> None:
        with self._changed:
            generation, sample_rate, offset = self._generation, self._sample_rate, self._offset
            begin, samples = self.recent.placed_stretch(self._from)
            end = begin + len(samples)
            self._drop(begin)
            self._count(looks=1, looked_at=max(0, end - self._looked))
            self._looked = max(self._looked, end)
            self._next = self.recent.taken() + max(1, round(self._interval * sample_rate))
        found = None
        if len(samples) >= _LEAST:
            found = look_for_symbol_rate(samples, sample_rate, offset, *self._search)
        if found is None or found.confidence < self._min_confidence:
            return
        with self._changed:
            if generation != self._generation:
                return
            self._count(estimates=1)
        self._found(RateEstimate(found.rate, sample_rate / found.rate, found.confidence, begin, len(samples)))


def _check_rate(sample_rate: float) -> None:
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be a number above 0, not {sample_rate}.")
