# SPDX-License-Identifier: GPL-3.0-or-later
"""Where decisions come from."""

import bisect
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

__all__ = ["Origin"]


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
