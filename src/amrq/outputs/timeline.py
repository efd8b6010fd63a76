# SPDX-License-Identifier: GPL-3.0-or-later
"""When, and at which frequency, the symbols of a live stream were received."""

import bisect
import math
import threading
from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from amrq.outputs.record import Origin

__all__ = ["Timeline"]

_REMEMBERED = 1_000
"""Retunes and breaks kept: far more than may lie between a sample's arrival and its decision."""
_POSITIONS = 32_768
"""Positions kept, at least: one every 512 symbols."""
_EARLIEST = 1_000_000_000.0
"""Seconds since 1970 (in 2001): a radio's clock that says less counts from when it was switched on, not in UTC."""
_LATE = 1.0
"""Seconds by which samples may be late before they must have been lost on the way; beside what is held back."""
_HELD = 544
"""Symbols that carrier recovery holds back at most, while it has seen no carrier."""


class _Readings:
    """A quantity at rising symbols, of which the last `_POSITIONS` are kept at least."""

    def __init__(self) -> None:
        self._symbols: list[int] = []
        self._values: list[float] = []

    def add(self, symbol: int, value: float) -> None:
        self._symbols.append(symbol)
        self._values.append(value)
        if len(self._symbols) > 2 * _POSITIONS:
            del self._symbols[:_POSITIONS], self._values[:_POSITIONS]

    def nearest(self, symbol: int) -> tuple[int, float] | None:
        """Return the last reading at or before a symbol, or else the first; None where there is none."""
        if not self._symbols:
            return None
        place = max(0, bisect.bisect_right(self._symbols, symbol) - 1)
        return self._symbols[place], self._values[place]

    def at(self, symbol: int) -> float | None:
        """Return the value of the last reading at or before a symbol; None where there is none, or it is no number."""
        found = self.nearest(symbol)
        return None if found is None or found[0] > symbol or math.isnan(found[1]) else found[1]


class Timeline:
    """What the tags of a radio, or the computer's clock, say of a stream; written and read from different threads.

    The stream's own seconds follow from the positions that it tells, or else from counting symbols, which is as good as
    the symbol rate is known.

    Where the radio tells UTC, that counts. A radio whose clock counts from an unknown moment gets UTC from the computer
    once and then keeps its own distances. Without a radio's clock, symbols were received at the latest when they
    arrived: the earliest such moment counts, until the stream breaks, or symbols are so late that some must have been
    lost.

    Args:
        symbol_rate: symbols a second, above 0.
        offset: of the signal from what the radio is tuned to, Hz.

    >>> timeline = Timeline(symbol_rate=1000.0)
    >>> timeline.tell_position(500, 0.75)  # a quarter of a second is missing before it
    >>> origin = timeline.locate(Origin("radio", 1000.0, "default", ""), 500)
    >>> round(origin.seconds(500), 3)
    0.75
    """

    def __init__(self, symbol_rate: float, offset: float = 0.0) -> None:
        self._symbol_rate = symbol_rate
        self._offset = offset
        self._lock = threading.Lock()
        self._positions = _Readings()  # seconds
        self._carriers = _Readings()  # offsets in cycles/symbol
        self._snrs = _Readings()  # dB
        self._sample_rate: float | None = None
        # (symbol from which on it holds, moment of the stream's beginning in seconds since 1970 as it follows from it)
        self._beginnings: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._frequencies: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._told = False
        self._clock_offset: float | None = None
        self._broken: int | None = None  # symbol of a break behind which nothing has arrived yet

    def tell_position(self, symbol: int, seconds: float) -> None:
        """Take in that a symbol lies this many seconds behind the stream's beginning; `symbol` never falls."""
        with self._lock:
            self._positions.add(symbol, seconds)

    def tell_carrier(self, symbol: int, offset: float) -> None:
        """Take in the carrier's offset from a symbol on, cycles/symbol from where it is looked for.

        Args:
            symbol: index in the stream; never falls from call to call.
            offset: NaN where no carrier stands out.
        """
        with self._lock:
            self._carriers.add(symbol, offset)

    def tell_snr(self, symbol: int, snr_db: float) -> None:
        """Take in the signal's SNR over a stretch that ends with a symbol, dB.

        Args:
            symbol: index in the stream; never falls from call to call.
            snr_db: NaN where it is not known.
        """
        with self._lock:
            self._snrs.add(symbol, snr_db)

    def tell_sample_rate(self, rate: float) -> None:
        """Take in how many samples a second the source's are."""
        with self._lock:
            self._sample_rate = rate

    def _carrier(self, symbol: int) -> float | None:
        """Return the carrier's offset at a symbol, Hz from the middle of the band; the lock is held."""
        found = self._carriers.at(symbol)
        return None if found is None else self._offset + found * self._symbol_rate

    def _seconds(self, symbol: int) -> float:
        """Return the seconds from the stream's beginning to a symbol; the lock is held."""
        nearest = self._positions.nearest(symbol)
        if nearest is None:
            return symbol / self._symbol_rate
        # The symbols that filters send ahead of the first sample's lie before the beginning.
        return max(0.0, nearest[1] + (symbol - nearest[0]) / self._symbol_rate)

    def tell_time(self, symbol: int, seconds: float, now: float) -> None:
        """Take in what the radio's clock said at a symbol.

        Args:
            symbol: index in the stream; never falls from call to call.
            seconds: the radio's clock.
            now: the computer's clock, seconds since 1970.
        """
        with self._lock:
            if seconds < _EARLIEST:
                if self._clock_offset is None:
                    self._clock_offset = now - seconds
                seconds += self._clock_offset
            self._told = True
            self._beginnings.append((symbol, seconds - self._seconds(symbol)))

    def tell_frequency(self, symbol: int, frequency: float) -> None:
        """Take in that the radio stands at this frequency, Hz, from a symbol on."""
        with self._lock:
            self._frequencies.append((symbol, frequency))

    def tell_break(self, symbol: int) -> None:
        """Take in that an unknown time passed before a symbol: a radio without clock lost samples, or was retuned."""
        with self._lock:
            self._broken = symbol

    def tell_arrival(self, symbols: int, now: float) -> None:
        """Take in that this many symbols of the stream have arrived by now, seconds since 1970."""
        with self._lock:
            if self._told:
                return
            beginning = now - self._seconds(symbols)
            if not self._beginnings or self._broken is not None:
                self._beginnings.append((self._broken or 0, beginning))
                self._broken = None
                return
            since, known = self._beginnings[-1]
            if beginning < known:
                self._beginnings[-1] = (since, beginning)
            elif beginning > known + _LATE + _HELD / self._symbol_rate:
                self._beginnings.append((symbols, beginning))

    def locate(self, origin: Origin, symbol: int, count: int = 0) -> Origin:
        """Return an origin that tells a symbol's seconds, and its carrier's offset, as the stream told them.

        Args:
            origin: of the stream.
            symbol: index of the first symbol of what is located.
            count: symbols of it; its SNR is that at their end.
        """
        with self._lock:
            correction = self._seconds(symbol) - symbol / origin.symbol_rate
            offset, rate = self._carrier(symbol), origin.sample_rate or self._sample_rate
            snr_db = self._snrs.at(symbol + count)
        return replace(
            origin, start=origin.start + correction, offset=offset, sample_rate=rate, snr_db=snr_db
        )

    def place(self, origin: Origin, symbol: int, count: int = 0) -> Origin:
        """Return an origin with the seconds, time and frequency that hold at a symbol, as far as they are told.

        Args:
            origin: of the stream.
            symbol: index of the first symbol of what is placed.
            count: symbols of it.
        """
        with self._lock:
            beginnings = [value for since, value in self._beginnings if since <= symbol]
            frequencies = [value for since, value in self._frequencies if since <= symbol]
        located = self.locate(origin, symbol, count)
        if beginnings:
            # The stream may have begun later than its source: then it is so much less from the source's beginning.
            begun = datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=beginnings[-1] - origin.start)
            located = replace(located, begun=begun)
        if frequencies:
            located = replace(located, tunings=((0.0, frequencies[-1] + self._offset),))
        return located
