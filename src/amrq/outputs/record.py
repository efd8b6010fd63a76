# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision as a record: its fields, its schema, and the time and frequency it is about."""

import bisect
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.model import NO_SIGNAL, UNKNOWN

__all__ = ["RECORD_VERSION", "Origin", "decision_record", "decision_schema"]


@dataclass(frozen=True)
class Origin:
    """What a decision does not know of itself: its stream, and the model that made it.

    Attributes:
        source: a file, device or address.
        symbol_rate: symbols a second, above 0.
        model: name of the model.
        model_sha256: of its file, in hexadecimal digits.
        start: seconds from the beginning of the source to the first symbol of the stream.
        begun: when the source began, with its time zone; None where that is not known.
        tunings: (seconds from the beginning of the source, carrier frequency of the signal from there on in Hz), in
            order; empty where it is not known.
        sample_rate: samples a second of the source; None where it is not known.
        missing: samples that would have come in `start` seconds and did not, so that they are not counted.
        offset: where the carrier was found, Hz from the middle of the source's band; None where none stands out.
        snr_db: of the signal in its band, over the noise floor in the same band; None where it is not known.
        times: (seconds from the beginning of the source, when that was received), in order, where it is known anew:
            behind a gap in the source.

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
        """Return when what lies at a time in seconds from the beginning of the source was received."""
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
    values = decision.as_dict()
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
        "offset_hz": _rounded(origin.offset, 3) if signal else None,
        "snr_db": _rounded(origin.snr_db, 1),
        **{_RENAMED.get(name, name): value for name, value in values.items()},
        "truth": truth,
        "dropped": dropped,
        "model": origin.model,
        "model_sha256": origin.model_sha256,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
