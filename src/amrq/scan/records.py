# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scanner knows: emissions, what happened to them, counters, and spectra to draw."""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime, timezone
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from amrq.detect import DrawnLine, Emission
from amrq.identify import DETAILS, Glance, ProtocolGuess, emission_text, guess_protocols
from amrq.measure import EmissionMeasures
from amrq.model import UNKNOWN
from amrq.outputs import EMISSION_RECORD_VERSION
from amrq.protocols import Measure
from amrq.scan.findings import Findings

__all__ = [
    "KEPT",
    "BandPicture",
    "EmissionRecord",
    "Event",
    "Gaps",
    "KnownEmission",
    "ScanCounters",
    "ScanEvent",
    "ScanSnapshot",
    "emission_record",
    "measured_fields",
    "numbers_of",
    "picture_of",
    "places_of",
    "with_findings",
]

Event = Literal["begin", "change", "end"]


@dataclass(frozen=True)
class EmissionRecord:
    """An emission as it is known now.

    Places are Hz from the middle of the band, times samples of the source.

    Attributes:
        id: the same as long as it lasts, through its gaps.
        start: first sample of the stretch that it is on, or was on last.
        stop: sample after the last one of this stretch that was seen.
        first_seen: first sample of its first stretch.
        last_seen: sample after the last one.
        lower: its lower edge.
        upper: its upper edge.
        snr_db: its power over the noise's in its box, dB.
        level_dbfs: its power, dB of full scale.
        on: whether it is on the air.
        bursts: how many stretches there were.
        label: the most specific name that the evidence carries, for example `GMSK`; `unknown` where it has none.
        family: of `amrq.protocols.FAMILIES`, for example `fsk2`; `unknown` where it fits none.
        reason: why the label is no better; `named` where there is nothing to add.
        confidence: probability that the family is right; 0 where nothing is claimed. That of the label, where others
            look alike.
        symbol_rate: symbols a second; None where it is not clear.
        measures: further measurements by name, those of the family (`details`) with them.
        probabilities: of each answer of the model; empty where it was not asked.
        symbols: received symbols of the last look, complex64; None where it is not linear.
        since: sample from which on it has this label.
        looks: how often it was looked at.
        gaps: how often samples were lost while it was on: it was there again right after.
        hop_group: number that it shares with the other hops of what seems one transmitter; 0 for none.
        families: probability of each family; empty where they were not compared.
        details: what was measured of its family, each with its confidence.
        protocols: which protocols it may be, the likeliest first.
        summary: protocol, modulation and parameters in one line; empty where it has no name.
        part_of: id of the emission that it is a tone, a sideband, a skirt or a line of; 0: of none.
        alike: linear modulations that no model here names and that its symbols do not tell from the label; often none.
    """

    id: int
    start: int
    stop: int
    first_seen: int
    last_seen: int
    lower: float
    upper: float
    snr_db: float
    level_dbfs: float
    on: bool = True
    bursts: int = 1
    label: str = UNKNOWN
    family: str = UNKNOWN
    reason: str = "not looked at yet"
    confidence: float = 0.0
    symbol_rate: float | None = None
    measures: Mapping[str, float | None] = field(default_factory=dict)
    probabilities: Mapping[str, float] = field(default_factory=dict)
    symbols: NDArray[np.complex64] | None = field(default=None, compare=False)
    since: int = 0
    looks: int = 0
    gaps: int = 0
    hop_group: int = 0
    families: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Measure] = field(default_factory=dict)
    protocols: tuple[ProtocolGuess, ...] = ()
    summary: str = ""
    part_of: int = 0
    alike: tuple[str, ...] = ()

    @property
    def centre(self) -> float:
        """Its middle, Hz from the middle of the band."""
        return (self.lower + self.upper) / 2

    @property
    def bandwidth(self) -> float:
        """Its bandwidth, Hz."""
        return self.upper - self.lower

    def moved(self, hertz: float, samples: int) -> "EmissionRecord":
        """Return it as another source has it: `hertz` higher, each of its samples so many of that source's.

        >>> record = EmissionRecord(1, 10, 20, 10, 20, -100.0, 100.0, 9.0, -20.0).moved(3000.0, 2)
        >>> record.start, record.stop, record.lower, record.upper
        (20, 40, 2900.0, 3100.0)
        """
        measures = dict(self.measures)
        if measures.get("centre") is not None:
            measures["centre"] = float(measures["centre"] or 0.0) + hertz
        times = ("start", "stop", "first_seen", "last_seen", "since")
        changes: dict[str, Any] = {name: samples * getattr(self, name) for name in times}
        return replace(self, lower=self.lower + hertz, upper=self.upper + hertz, measures=measures, **changes)


@dataclass(frozen=True)
class ScanEvent:
    """Something that has happened: an emission began, got another name, or ended.

    Attributes:
        event: what.
        record: the emission.
        centre_hz: what the middle of the band stood for, Hz; None where it is not known.
    """

    event: Event
    record: EmissionRecord
    centre_hz: float | None = None


@dataclass(frozen=True)
class ScanCounters:
    """What a scanner has done so far.

    Attributes:
        samples: taken in.
        dropped: samples lost because there was no time for them.
        breaks: how often samples were lost or the radio was retuned.
        not_finite: samples that are not finite; they count as zeros.
        emissions: stretches that began.
        waiting: emissions that wait for a look.
        missed: emissions that ended without a look, for want of time.
        suppressed: emissions that were not reported, because there were too many at a time.
        unkept: narrow emissions whose long looks lack samples, for want of room or time (`amrq.scan.slow_channels`).
        looks: taken.
        seconds: processor time used, all in all.
        load: processor time over the time of the stream: cores.
        notes: sentences about what hinders finding emissions in this band, a receiver's filter for example.
    """

    samples: int = 0
    dropped: int = 0
    breaks: int = 0
    not_finite: int = 0
    emissions: int = 0
    waiting: int = 0
    missed: int = 0
    suppressed: int = 0
    unkept: int = 0
    looks: int = 0
    seconds: float = 0.0
    load: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanSnapshot:
    """A scanner's table and counters at a moment.

    Attributes:
        sample_rate: samples a second.
        centre_hz: what the middle of the band stands for, Hz; None where it is not known.
        now: samples so far.
        emissions: on the air, or ended lately; by frequency.
        counters: what was done.
    """

    sample_rate: float
    centre_hz: float | None
    now: int
    emissions: tuple[EmissionRecord, ...]
    counters: ScanCounters


@dataclass(frozen=True)
class BandPicture:
    """What a display draws: float32 [bins], lowest frequency first, dB of full scale per Hz.

    Attributes:
        mean: mean spectrum of some 45 ms; None where there is none to be drawn.
        peak: largest short spectrum in them, as many bins; None likewise.
        floor: the noise floor; it may have fewer bins.
        threshold: what a short emission of one bin has to exceed; as many bins as the floor.
        stop: sample of the source at which mean and peak end; None likewise.
    """

    mean: NDArray[np.float32] | None
    peak: NDArray[np.float32] | None
    floor: NDArray[np.float32]
    threshold: NDArray[np.float32]
    stop: int | None = None


def picture_of(floor: NDArray[Any], threshold: NDArray[Any], line: DrawnLine | None) -> BandPicture:
    """Return what is drawn of a line, a noise floor and a threshold; the latter in dBFS/Hz."""
    levels = floor.astype(np.float32), threshold.astype(np.float32)
    if line is None:
        return BandPicture(None, None, *levels)
    mean, peak = (10 * np.log10(np.maximum(one, 1e-30)).astype(np.float32) for one in (line.mean, line.peak))
    return BandPicture(mean, peak, *levels, line.stop)


_OFTEN = 3
"""Identifications after which an emission without a name is known well enough."""
_GAP, _AGAIN, _BESIDE = 1.0, 0.5, 0.01
"""Seconds of lost samples through which an emission goes on, within which it must be there again, and by which its end
may be known wrongly where samples were lost."""
_MOST_GAPS = 10_000
"""That are known, the last ones."""


class Gaps:
    """Where samples were lost.

    Args:
        sample_rate: of the band.
        step: samples by which a detector knows an end at best.

    >>> gaps = Gaps(1e3, 1)
    >>> gaps.add(100, 120)
    >>> [gaps.within(EmissionRecord(1, 0, stop, 0, stop, 0, 1, 0, 0)) for stop in (90, 200)]
    [0, 1]
    """

    def __init__(self, sample_rate: float, step: int) -> None:
        self._rate, self._step = sample_rate, step
        self._places: list[tuple[int, int]] = []

    def add(self, start: int, stop: int) -> None:
        """Note a gap; its ends are the same where it is not known how long it is."""
        self._places.append((start, stop))
        del self._places[:-_MOST_GAPS]

    def until(self, emission: Emission) -> float:
        """Return until which second an emission may come again that ended where samples were lost; 0: it was over."""
        at = bisect.bisect_left(self._places, (emission.stop - self._step, 0))
        if at == len(self._places):
            return 0.0
        start, stop = self._places[at]
        near = start - emission.stop <= max(_BESIDE * self._rate, 4 * self._step)
        return stop / self._rate + _AGAIN if near and stop - start <= _GAP * self._rate else 0.0

    def within(self, record: EmissionRecord) -> int:
        """Return how often samples were lost while an emission was on."""
        low = bisect.bisect_left(self._places, (record.start, 0))
        return sum(stop < record.stop for _, stop in self._places[low:])


@dataclass
class KnownEmission:
    """An emission in the table, and what is not shown of it."""

    record: EmissionRecord
    key: int
    """In the table and of its turns: its id; below 0 where it waits for a look and has begun again meanwhile."""
    findings: Findings = field(default_factory=Findings)
    """Of all its stretches in which it was the same."""
    found_before: int = 0
    """How many of them are of stretches before this one."""
    looked: int = 0
    """Samples of the source that the best look rested on, in this stretch."""
    glances: tuple[Glance, ...] = ()
    """At identifications that gave the label which it has."""
    restless: int = 0
    """How often it seemed to have changed, and was the same: voice and keying do."""
    named_at: float = 0.0
    """Time of the last identification."""
    effort: int = 0
    """How often its looks got longer, since it had no name."""
    suppressed: bool = False
    ending: float | None = None
    """Time until which its end waits for a look."""
    joined: int = 0
    """Stretches, as the tracker counts them, that followed another one after a gap of lost samples alone."""
    resumed: int | None = None
    """First sample of its stretch, where samples were lost since."""
    paused: tuple[float, Emission] | None = None
    """Samples were lost while it was on: the time until which it may come again, and what it was."""
    reach: tuple[float, float] | None = None
    """Edges of it and of its other tone, or of its sidebands, which the detector takes for another emission, or for
    noise."""
    searched: int = 0
    """Samples of the band in which its sidebands were looked for."""
    sided: bool = False
    """They were seen there, and are not certain."""
    grid: tuple[float, float] | None = None
    """Distance of its lines and the place of one of them, Hz, where it was found by its lines."""
    compared: int = 0
    """How long it had been on, in samples, when it was compared with what may be its twin beside a stronger one."""

    @property
    def part_of(self) -> int:
        """Id of the emission that it is a part of; 0: of none."""
        return self.record.part_of

    @property
    def is_open(self) -> bool:
        """Whether its end was not reported yet."""
        return self.record.on or self.ending is not None

    @property
    def familiar(self) -> bool:
        """Whether a glance will do for its next stretch: it has a name, or was looked at often enough for none."""
        named = self.record.label != UNKNOWN or len(self.findings) >= _OFTEN
        return bool(self.glances) and named

    def at(self, emission: Emission) -> EmissionRecord:
        """Return its record with the place of the emission as the tracker has it now."""
        places = places_of(emission) | {"bursts": emission.bursts - self.joined}
        if self.resumed is not None:
            places["start"] = self.resumed
        if self.reach is not None:
            places["lower"] = min(places["lower"], self.reach[0])
            places["upper"] = max(places["upper"], self.reach[1])
        return replace(self.record, **places)


def places_of(emission: Emission) -> dict[str, Any]:
    """Return where and when an emission is, as fields of its record."""
    names = (
        "id",
        "start",
        "stop",
        "first_seen",
        "last_seen",
        "lower",
        "upper",
        "snr_db",
        "level_dbfs",
        "on",
        "bursts",
        "hop_group",
    )
    return {name: getattr(emission, name) for name in names}


KEPT = (
    *(
        "label",
        "family",
        "reason",
        "confidence",
        "symbol_rate",
        "measures",
        "probabilities",
        "since",
        "looks",
    ),
    *("families", "details", "protocols", "summary", "alike"),
)
"""Fields of a record that stay when an emission begins again."""
_CUT, _CUT_SAMPLES = 0.01, 1024
"""Seconds, and samples, from the begin of the source, or from its end: what begins or ends there was perhaps cut off;
in a narrow band the detector knows times no better than by some hundred samples."""


def with_findings(
    record: EmissionRecord,
    found: Mapping[str, Any],
    sample_rate: float,
    now: int,
    centre_hz: float | None,
    stretches: Sequence[tuple[int, int]] = (),
) -> EmissionRecord:
    """Return a record with what was found, the protocols that it may be, and its summary.

    Args:
        record: the emission; where it is over, the lengths of its stretches count that were not cut off by the begin or
            the end of the source.
        found: fields of it, as `Findings.fields` gives them.
        sample_rate: samples a second.
        now: samples of the source so far.
        centre_hz: what the middle of the band stands for, Hz; None where it is not known.
        stretches: in which it was on; none: one, from the record's start to its stop.
    """
    record = replace(record, **found)
    centre = None if centre_hz is None else centre_hz + record.centre
    cut = max(_CUT * sample_rate, _CUT_SAMPLES)
    on = () if record.on else stretches or ((record.start, record.stop),)
    bursts = [(stop - start) / sample_rate for start, stop in on if start > cut and stop < now - cut]
    words = record.family, record.label, record.details
    protocols = guess_protocols(*words, centre, bursts, record.bandwidth)
    summary = emission_text(*words, protocols, centre, record.alike)
    return replace(record, protocols=protocols, summary=summary)


def numbers_of(measures: object) -> dict[str, float | None]:
    """Return the numbers in a record of measures, by name."""
    found: dict[str, float | None] = {}
    if measures is None or not is_dataclass(measures):
        return found
    for one in fields(measures):
        value = getattr(measures, one.name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found[one.name] = float(value) if math.isfinite(value) else None
    return found


def measured_fields() -> frozenset[str]:
    """Return the names of what is measured of an emission, as its record holds them under `measures`.

    >>> {"envelope_variation", "deviation", "depth"} <= measured_fields()
    True
    """
    plain = (one.name for one in fields(EmissionMeasures) if one.type in (int, float, "int", "float"))
    return DETAILS.union(plain)


def emission_record(
    event: ScanEvent,
    source: str,
    sample_rate: float,
    centre_hz: float | None = None,
    moment: datetime | None = None,
    dropped: int = 0,
) -> dict[str, Any]:
    """Return an event as plain values, ready for JSON, as `amrq.outputs.emission_schema` describes them.

    Args:
        event: what has happened.
        source: a file, device or address.
        sample_rate: samples a second.
        centre_hz: what the middle of the band stands for, Hz; None where it is not known.
        moment: when the stretch began, with its time zone; None where the source does not say.
        dropped: samples lost so far for want of time.
    """
    record = event.record
    middle = centre_hz or 0.0
    utc = None
    if moment is not None:
        utc = moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "schema": EMISSION_RECORD_VERSION,
        "event": event.event,
        "id": record.id,
        "source": source,
        "sample_start": max(0, record.start),
        "sample_count": max(1, record.stop - max(0, record.start)),
        "time": round(max(0, record.start) / sample_rate, 6),
        "duration": round(max(0, record.stop - record.start) / sample_rate, 6),
        "utc": utc,
        "freq_lower_edge": round(middle + record.lower, 3),
        "freq_upper_edge": round(middle + record.upper, 3),
        "frequency_hz": None if centre_hz is None else round(middle + record.centre, 3),
        "offset_hz": round(record.centre, 3),
        "bandwidth_hz": round(record.bandwidth, 3),
        "snr_db": _rounded(record.snr_db, 2),
        "level_dbfs": _rounded(record.level_dbfs, 2),
        "label": record.label,
        "family": record.family,
        "summary": record.summary,
        "reason": record.reason,
        "confidence": round(min(1.0, max(0.0, record.confidence)), 4),
        "alike": list(record.alike),
        "symbol_rate_hz": _rounded(record.symbol_rate, 4),
        "bursts": record.bursts,
        "first_seen": round(max(0, record.first_seen) / sample_rate, 6),
        "looks": record.looks,
        "gaps": record.gaps,
        "hop_group": record.hop_group or None,
        "part_of": record.part_of or None,
        "measures": {name: _rounded(value, 6) for name, value in record.measures.items()},
        "protocols": [one.as_dict() for one in record.protocols],
        "families": {name: round(value, 4) for name, value in record.families.items()},
        "probabilities": {name: round(value, 4) for name, value in record.probabilities.items()},
        "dropped": dropped,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)
