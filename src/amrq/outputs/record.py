# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of decisions: their fields and schema, and the time and frequency at which the symbols were received."""

import bisect
import hashlib
import json
import math
import threading
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.measure import InputReport
from amrq.model import NO_SIGNAL, UNKNOWN

__all__ = ["RECORD_VERSION", "Origin", "Timeline", "decision_record", "decision_schema"]


@dataclass(frozen=True)
class Origin:
    """The origin of a decision: its stream, and the model that made it.

    Attributes:
        source: a file, device or address.
        symbol_rate: symbols a second, above 0.
        model: name of the model.
        model_sha256: of its file, in hexadecimal digits.
        start: seconds from the beginning of the source to the first symbol of the stream.
        begun: when the source began, with its time zone; None if it is not known.
        tunings: (seconds from the beginning of the source, carrier frequency of the signal from there on in Hz), in
            order; empty where it is not known.
        sample_rate: samples a second of the source; None where it is not known.
        missing: samples missing in the `start` seconds, which are not counted.
        offset: of the carrier from the middle of the source's band, Hz; None if no carrier stands out.
        snr_db: Es/N0 by the noise floor beside the signal; None where it is not known.
        times: (seconds from the beginning of the source, when that was received), in order; further known times, after
            gaps in the source.
        symbol_rate_confidence: 0 to 1; 1 if the symbol rate was given, None where it is not known.
        report: what was seen of the input; None where nothing looked at it.
        equaliser: kind of the equaliser, empty for none; None where it is not known.
        borders: whether a burst begins or ends at the first symbol, and after the last one.

    >>> Origin("antenna", symbol_rate=1000.0, model="default", model_sha256="").seconds(500)
    0.5
    """

    source: str
    symbol_rate: float
    model: str
    model_sha256: str
    start: float = 0.0
    begun: datetime | None = None
    tunings: tuple[tuple[float, float], ...] = ()
    sample_rate: float | None = None
    missing: int = 0
    offset: float | None = None
    snr_db: float | None = None
    times: tuple[tuple[float, datetime], ...] = ()
    symbol_rate_confidence: float | None = None
    report: InputReport | None = None
    equaliser: str | None = None
    borders: tuple[bool, bool] = (False, False)

    def seconds(self, symbol: int) -> float:
        """Return when a symbol of the stream was received, in seconds from the beginning of the source."""
        return self.start + symbol / self.symbol_rate

    def source_samples(self, symbol: int, count: int) -> tuple[int, int] | None:
        """Return the index of the source's sample at a symbol, and how many there are in `count` symbols."""
        if self.sample_rate is None:
            return None
        first = self.seconds(symbol) * self.sample_rate
        # Each end is rounded for itself: what follows without a gap in symbols does so in samples.
        begin = round(first)
        end = round(first + count * self.sample_rate / self.symbol_rate)
        return max(0, begin - self.missing), end - begin

    def frequency(self, seconds: float) -> float | None:
        """Return the signal's carrier frequency in Hz at a time in seconds from the beginning of the source."""
        place = bisect.bisect_right(self.tunings, seconds, key=lambda tuning: tuning[0]) - 1
        return self.tunings[place][1] if place >= 0 else None

    def moment(self, seconds: float) -> datetime | None:
        """Return the date and time of reception for a time in seconds from the beginning of the source."""
        place = bisect.bisect_right(self.times, seconds, key=lambda time: time[0]) - 1
        since, moment = self.times[place] if place >= 0 else (0.0, self.begun)
        return None if moment is None else moment + timedelta(seconds=seconds - since)

    @staticmethod
    def hash_of(path: Path) -> str:
        """Return the SHA-256 of a model's file in hexadecimal digits."""
        return hashlib.sha256(path.read_bytes()).hexdigest()


RECORD_VERSION = 2
"""Version of the records that are written, in their field `schema`; version 1 had no such field."""


def decision_schema(version: int = RECORD_VERSION) -> dict[str, Any]:
    """Return the schema (draft 2020-12) that every record of a version keeps.

    Args:
        version: 2, of `decision_record`; or 1, of records written before that, which have no field `schema`.

    Raises:
        AmrqError: there is no such version.

    Example:
        >>> decision_schema(1)["title"]
        'gr-amrq decision, version 1'
    """
    if version not in range(1, RECORD_VERSION + 1):
        raise AmrqError(f"records have schema 1 to {RECORD_VERSION}, not {version}.")
    text = Path(__file__).with_name(f"decision-{version}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


_RENAMED = {"sample_index": "symbol_index", "sample_count": "symbol_count"}
"""A decision counts in the stream that it was made on, a record in symbols and in samples of the source."""


def decision_record(
    decision: Decision, truth: str | None, origin: Origin, dropped: int = 0
) -> dict[str, Any]:
    """Return plain values, ready for JSON, as `decision_schema` describes them.

    Args:
        decision: what was decided.
        truth: what is known of the same samples, None where nothing is.
        origin: of the decision.
        dropped: chunks that were thrown away so far, since the classifier was too slow for a live
            stream or a board was gone.
    """
    seconds = origin.seconds(decision.sample_index)
    utc = None
    moment = origin.moment(seconds)
    if moment is not None:
        at = moment.astimezone(timezone.utc)
        utc = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    frequency = origin.frequency(seconds)
    samples = origin.source_samples(decision.sample_index, decision.sample_count) or (None, None)
    values, report = decision.as_dict(), origin.report
    # A carrier and a power are found of whatever is received; they are the signal's where there is one.
    signal = decision.best not in ("", UNKNOWN, NO_SIGNAL)
    return {
        "schema": RECORD_VERSION,
        "source": origin.source,
        "time": round(seconds, 6),
        "duration": round(decision.sample_count / origin.symbol_rate, 6),
        "utc": utc,
        "frequency_hz": _rounded(frequency, 3),
        "source_sample_index": samples[0],
        "source_sample_count": samples[1],
        "symbol_rate_hz": origin.symbol_rate,
        "symbol_rate_confidence": _rounded(origin.symbol_rate_confidence, 4),
        "offset_hz": _rounded(origin.offset, 3) if signal else None,
        "snr_db": _rounded(origin.snr_db, 1),
        "equaliser": origin.equaliser,
        "burst_begins": origin.borders[0],
        "burst_ends": origin.borders[1],
        "input_dc_db": None if report is None else _rounded(report.dc_db, 1),
        "input_image_db": None if report is None else _rounded(report.image_db, 1),
        "input_clipped_share": None if report is None else _rounded(report.clipped_share, 4),
        **{_RENAMED.get(name, name): value for name, value in values.items()},
        "truth": truth,
        "dropped": dropped,
        "model": origin.model,
        "model_sha256": origin.model_sha256,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


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
    """The times and frequencies of a stream, from a radio's tags or the computer's clock; threads may share it.

    The seconds of a symbol follow from the positions added, or else from counting symbols, which is as accurate as the
    symbol rate.

    If the radio's clock gives UTC, it is used. If the radio's clock counts from an unknown moment, the computer's
    clock sets its offset to UTC once. Without a radio's clock, the time of arrival is the latest possible time of
    reception: the earliest such estimate is used until the stream breaks, or until symbols are so late that some must
    have been lost.

    Args:
        symbol_rate: symbols a second, above 0.
        offset: of the signal from what the radio is tuned to, Hz.

    >>> timeline = Timeline(symbol_rate=1000.0)
    >>> timeline.add_position(500, 0.75)  # a quarter of a second is missing before it
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
        self._equalisers: deque[tuple[int, str]] = deque(
            maxlen=_REMEMBERED
        )  # symbol from which on it is in use, kind
        # Symbol from which on a signal is received; its symbol rate, offset and the confidence of the rate.
        self._signals: deque[tuple[int, float, float, float]] = deque(maxlen=_REMEMBERED)
        self._borders: deque[int] = deque(maxlen=_POSITIONS)  # symbols at which bursts begin or end
        self._sample_rate: float | None = None
        # (symbol from which on it holds, moment of the stream's beginning in seconds since 1970 as it follows from it)
        self._beginnings: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._frequencies: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._has_time = False
        self._clock_offset: float | None = None
        self._broken: int | None = None  # symbol of a break behind which nothing has arrived yet

    def add_position(self, symbol: int, seconds: float) -> None:
        """Add the position of a symbol, in seconds from the stream's beginning; `symbol` never falls."""
        with self._lock:
            self._positions.add(symbol, seconds)

    def add_carrier(self, symbol: int, offset: float) -> None:
        """Add the carrier's offset from a symbol on, cycles/symbol from the frequency that is received.

        Args:
            symbol: index in the stream; never falls from call to call.
            offset: NaN where no carrier stands out.
        """
        with self._lock:
            self._carriers.add(symbol, offset)

    def add_snr(self, symbol: int, snr_db: float) -> None:
        """Add the signal's SNR from a symbol on, dB.

        Args:
            symbol: index in the stream; never falls from call to call.
            snr_db: NaN where it is not known.
        """
        with self._lock:
            self._snrs.add(symbol, snr_db)

    def add_equaliser(self, symbol: int, kind: str) -> None:
        """Add the kind of equaliser that is used from a symbol on; empty for none."""
        with self._lock:
            self._equalisers.append((symbol, kind))

    def add_border(self, symbol: int) -> None:
        """Add a symbol at which a burst begins, or before which one ended."""
        with self._lock:
            self._borders.append(symbol)

    def add_signal(self, symbol: int, symbol_rate: float, offset: float, confidence: float = 1.0) -> None:
        """Add a signal that is received from a symbol on, in place of the one before.

        Args:
            symbol: index in the stream; never falls from call to call.
            symbol_rate: symbols a second, above 0.
            offset: of the signal from what the radio is tuned to, Hz.
            confidence: of the symbol rate, 0 to 1.
        """
        with self._lock:
            self._signals.append((symbol, symbol_rate, offset, confidence))

    def _signal(self, symbol: int) -> tuple[float, float, float | None]:
        """Return symbol rate, offset and confidence at a symbol; the lock is held."""
        for since, symbol_rate, offset, confidence in reversed(self._signals):
            if since <= symbol:
                return symbol_rate, offset, confidence
        return self._symbol_rate, self._offset, None

    def set_sample_rate(self, rate: float) -> None:
        """Set the source's sample rate, samples a second."""
        with self._lock:
            self._sample_rate = rate

    def _carrier(self, symbol: int) -> float | None:
        """Return the carrier's offset at a symbol, Hz from the middle of the band; the lock is held."""
        found = self._carriers.at(symbol)
        symbol_rate, offset, _ = self._signal(symbol)
        return None if found is None else offset + found * symbol_rate

    def _seconds(self, symbol: int) -> float:
        """Return the seconds from the stream's beginning to a symbol; the lock is held."""
        nearest, (symbol_rate, _, _) = self._positions.nearest(symbol), self._signal(symbol)
        if nearest is None:
            return symbol / symbol_rate
        # The symbols that filters send ahead of the first sample's lie before the beginning.
        return max(0.0, nearest[1] + (symbol - nearest[0]) / symbol_rate)

    def add_time(self, symbol: int, seconds: float, now: float) -> None:
        """Add the radio's time at a symbol.

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
            self._has_time = True
            self._beginnings.append((symbol, seconds - self._seconds(symbol)))

    def add_frequency(self, symbol: int, frequency: float) -> None:
        """Add the radio's frequency, Hz, from a symbol on."""
        with self._lock:
            self._frequencies.append((symbol, frequency))

    def add_break(self, symbol: int) -> None:
        """Add a break of unknown length before a symbol: a radio without a clock lost samples or was retuned."""
        with self._lock:
            self._broken = symbol

    def add_arrival(self, symbols: int, now: float) -> None:
        """Add the time, seconds since 1970, by which this many symbols of the stream have arrived."""
        with self._lock:
            if self._has_time:
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
        """Return an origin with the seconds and the carrier offset of a symbol.

        Args:
            origin: of the stream.
            symbol: index of the first symbol of what is located.
            count: symbols of it; SNR and equaliser are those of the last one.
        """
        with self._lock:
            if self._signals:
                symbol_rate, _, confidence = self._signal(symbol)
                origin = replace(origin, symbol_rate=symbol_rate, symbol_rate_confidence=confidence)
            correction = self._seconds(symbol) - symbol / origin.symbol_rate
            offset, rate = self._carrier(symbol), origin.sample_rate or self._sample_rate
            # What comes after the last symbol may be known by now, or not yet.
            last = symbol + max(count - 1, 0)
            snr_db = self._snrs.at(last)
            kinds = [kind for since, kind in self._equalisers if since <= last]
            borders = (symbol in self._borders, symbol + count in self._borders)
        return replace(
            origin,
            start=origin.start + correction,
            offset=offset,
            sample_rate=rate,
            snr_db=snr_db,
            equaliser=kinds[-1] if kinds else origin.equaliser,
            borders=borders,
        )

    def place(self, origin: Origin, symbol: int, count: int = 0) -> Origin:
        """Return an origin with the seconds, time and frequency of a symbol, as far as they are known.

        Args:
            origin: of the stream.
            symbol: index of the first symbol of what is placed.
            count: symbols of it.
        """
        with self._lock:
            beginnings = [value for since, value in self._beginnings if since <= symbol]
            frequencies = [value for since, value in self._frequencies if since <= symbol]
            offset = self._signal(symbol)[1]
        located = self.locate(origin, symbol, count)
        if beginnings:
            # The stream may have begun later than its source: then it is so much less from the source's beginning.
            begun = datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=beginnings[-1] - origin.start)
            located = replace(located, begun=begun)
        if frequencies:
            located = replace(located, tunings=((0.0, frequencies[-1] + offset),))
        return located
