# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings: their samples, their metadata, and the facts in their file names."""

import bisect
import heapq
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from amrq.errors import RecordingError
from amrq.text import engineering, prefix_factor, printable

__all__ = [
    "AnalyticSignal",
    "Annotation",
    "NamedFacts",
    "Recording",
    "RecordingInfo",
    "Samples",
    "UpperHalf",
    "facts_of_name",
    "upper_half",
]

_SIDE = 256
"""Samples of the filter on either side. Negative frequencies are 60 dB down from 0.6 % of the sample rate on (300 Hz at
48 kHz); between there and 0 Hz, and as far from half the sample rate, they are not."""
_BLOCK = 1 << 16


class _Samples(Protocol):
    length: int

    def read(self, start: int, count: int) -> NDArray[Any]: ...


def _hilbert_taps() -> NDArray[np.float64]:
    n = np.arange(-_SIDE, _SIDE + 1)
    taps = np.zeros(len(n))
    odd = n % 2 == 1
    taps[odd] = 2 / (np.pi * n[odd])
    window: NDArray[np.float64] = np.kaiser(len(n), 6.0)
    return taps * window


class AnalyticSignal:
    """x + i H(x), where H shifts each frequency by a quarter of its period: what has a positive frequency in x stays.

    The sample rate stays, and 0 Hz is that of the real signal: a tone of 1,500 Hz is at 1,500 Hz. Its amplitude
    stays too.

    Args:
        samples: float32, as `SampleFile` reads them.
    """

    real = False

    def __init__(self, samples: _Samples) -> None:
        self.length = samples.length
        self._samples = samples
        self._taps = _hilbert_taps()

    def read(self, start: int, count: int) -> NDArray[np.complex64]:
        """Return complex64 samples; `start` and `count` lie inside the recording."""
        parts = [
            self._read_block(place, min(_BLOCK, start + count - place))
            for place in range(start, start + count, _BLOCK)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.complex64), *parts])

    def _read_block(self, start: int, count: int) -> NDArray[np.complex64]:
        first, last = max(0, start - _SIDE), min(self.length, start + count + _SIDE)
        around = np.zeros(count + 2 * _SIDE)
        place = first - (start - _SIDE)
        around[place : place + last - first] = self._samples.read(first, last - first)
        size = 1 << (len(around) + 2 * _SIDE).bit_length()
        # One sample that is not finite would spread over the whole block: outside its filter's length it must not.
        broken = ~np.isfinite(around)
        around[broken] = 0
        shifted = np.fft.irfft(np.fft.rfft(around, size) * np.fft.rfft(self._taps, size), size)
        out = np.empty(count, np.complex64)
        out.real = around[_SIDE : _SIDE + count]
        out.imag = shifted[2 * _SIDE : 2 * _SIDE + count]
        if broken.any():
            near = np.convolve(broken, np.ones(2 * _SIDE + 1))[2 * _SIDE : 2 * _SIDE + count]
            out[near > 0.5] = np.nan
        return out


class UpperHalf:
    """The upper half of a band whose lower half is empty, as of an `AnalyticSignal`: at half the rate, about 0 Hz.

    A filter is not needed: what is at 0 to half of the rate is moved down by a quarter of it, and nothing is there to
    fold back.

    Args:
        samples: complex64, of which negative frequencies hold nothing.

    >>> class Tone:
    ...     length = 8
    ...     def read(self, start, count):
    ...         return np.exp(2j * np.pi * 0.25 * np.arange(start, start + count)).astype(np.complex64)
    >>> bool(np.abs(UpperHalf(Tone()).read(0, 4) - 1).max() < 1e-6)  # a quarter of the rate is 0 Hz now
    True
    """

    def __init__(self, samples: _Samples) -> None:
        self.length = samples.length // 2
        self._samples = samples

    def read(self, start: int, count: int, /) -> NDArray[np.complex64]:
        """Return complex64 samples; `start` and `count` lie inside."""
        return upper_half(self._samples.read(2 * start, 2 * count), 2 * start)


def upper_half(samples: NDArray[np.complex64], start: int) -> NDArray[np.complex64]:
    """Return what stands in the upper half of a band whose lower half is empty: at half the rate, about 0 Hz.

    Args:
        samples: complex64 [n], of which negative frequencies hold nothing.
        start: number of the first one in its stream, so that pieces follow each other.

    >>> tone = np.exp(0.5j * np.pi * np.arange(9)).astype(np.complex64)  # at a quarter of the rate
    >>> [np.round(upper_half(tone[start:], start).real).tolist() for start in (0, 5)]
    [[1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0]]
    """
    taken = samples[start % 2 :: 2].copy()
    taken[1 - (start + 1) // 2 % 2 :: 2] *= -1
    return taken


@dataclass(frozen=True)
class NamedFacts:
    """The facts stated in a file name; None for those not stated.

    Attributes:
        program: the program that uses such names.
        begun: when the recording began, with its time zone.
        local: the name has the time of its recorder's place, which is taken for this machine's.
        frequency: what 0 Hz stands for, Hz.
        sample_rate: samples a second.
        format: of the samples, a name in `RAW_FORMATS`.
    """

    program: str
    begun: datetime | None = None
    local: bool = False
    frequency: float | None = None
    sample_rate: float | None = None
    format: str | None = None


_PROGRAMS = {"sdrsharp": "SDR#", "hdsdr": "HDSDR", "sdruno": "SDRuno"}


def _time(text: str, layout: str, local: bool = False) -> datetime | None:
    try:
        moment = datetime.strptime(text, layout)
        return moment.astimezone() if local else moment.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _gqrx(found: re.Match[str]) -> NamedFacts:
    begun = _time(found[1], "%Y%m%d_%H%M%S")
    return NamedFacts("gqrx", begun, False, float(found[2]), float(found[3]), "cf32")


def _stamped(found: re.Match[str]) -> NamedFacts:
    local = not found[3]
    begun = _time(found[2], "%Y%m%d_%H%M%S", local)
    program = _PROGRAMS.get(found[1].lower(), found[1])
    return NamedFacts(program, begun, local, float(found[4]) * prefix_factor(found[5]))


def _sdrpp(found: re.Match[str]) -> NamedFacts:
    return NamedFacts("SDR++", _time(found[2], "%H-%M-%S_%d-%m-%Y", True), True, float(found[1]))


def _rtl_433(found: re.Match[str]) -> NamedFacts:
    return NamedFacts("rtl_433", frequency=float(found[1]) * 1e6, sample_rate=float(found[2]) * 1e3)


def _satdump(found: re.Match[str]) -> NamedFacts:
    begun = _time(found[1], "%Y-%m-%d_%H-%M-%S")
    return NamedFacts("SatDump", begun, False, float(found[3]), float(found[2]))


_BEFORE = r"(?:.{0,200}[\s.])?"
"""What people put in front, 'copy of' for instance."""

# Longer runs of digits than any frequency's are no frequency; no pattern here can take long on any name.
_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], NamedFacts]], ...] = (
    (rf"(?i:{_BEFORE}gqrx)_(\d{{8}}_\d{{6}})_(\d{{1,12}})_(\d{{1,12}})_fc\b.*", _gqrx),
    # HDSDR, SDR#, SDRuno, hackrf_transfer, airspy_rx and others: program, date, time with Z for UTC, frequency.
    (
        rf"{_BEFORE}([A-Za-z][\w#+-]{{0,30}}?)_(\d{{8}}_\d{{6}})(Z?)_"
        r"(\d{1,12}(?:\.\d{1,9})?)([kKmMgG]?)(?i:Hz)(?![A-Za-z]).*",
        _stamped,
    ),
    (rf"{_BEFORE}(?i:baseband|audio)_(\d{{1,12}})(?i:Hz)_(\d\d-\d\d-\d\d_\d\d-\d\d-\d{{4}})(?!\d).*", _sdrpp),
    (r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)(?:-[\d.]{1,20})?_(\d{1,12})SPS_(\d{1,12})Hz(?![A-Za-z]).*", _satdump),
    # Frequency in M and rate in k: one of them alone may be anything, a symbol rate for instance.
    (
        r"(?:.{0,200}_)?(\d{1,6}(?:\.\d{1,9})?)M(?:Hz)?_(\d{1,9}(?:\.\d{1,9})?)[kK](?:sps)?(?![A-Za-z0-9]).*",
        _rtl_433,
    ),
)


def facts_of_name(name: str) -> NamedFacts | None:
    """Return what a file's name states, if a known program gave it; otherwise None.

    >>> facts = facts_of_name("g001_433.92M_250k.cu8")
    >>> facts.frequency, facts.sample_rate
    (433920000.0, 250000.0)
    """
    for pattern, facts in _PATTERNS:
        found = re.fullmatch(pattern, name, re.DOTALL)
        if found:
            return facts(found)
    return None


_GAP = 1e-3
"""Seconds that times written with three digits are apart without any gap."""


class Samples(Protocol):
    """The source of a recording's samples: complex64, or float32 if `real`."""

    length: int
    real: bool

    def read(self, start: int, count: int) -> NDArray[Any]:
        """Return samples `start` to `start + count`, which are inside."""
        ...


@dataclass(frozen=True)
class Annotation:
    """An annotation of a recording: `count` samples from sample `start` on have the label `label`.

    Attributes:
        start: first sample.
        count: samples.
        label: without characters that could control a terminal; empty if the annotation has no label.
        band: lower and upper edge, Hz from the middle of the recording's band; None where it says none.
        generator: the program that made the annotation; empty if it is not stated.
    """

    start: int
    count: int
    label: str
    band: tuple[float, float] | None = None
    generator: str = ""


@dataclass(frozen=True)
class RecordingInfo:
    """The metadata of a recording, as stated in its file.

    Attributes:
        path: the file.
        sample_rate: samples a second.
        tunings: (first sample, what 0 Hz stands for from there on, in Hz), in order; empty where the file does not say.
        annotations: truth or opinion about stretches of it, in order.
        begun: when the first sample was received, with its time zone; None where the file does not say.
        notes: sentences for the user: faults of the file that are tolerated, and values taken from its name.
        first_index: index of the first sample in the metadata (SigMF's `core:offset`).
        times: (sample, when it was received), if the file states further times: after a gap, time counts from there.
    """

    path: Path
    sample_rate: float
    tunings: tuple[tuple[int, float], ...] = ()
    annotations: tuple[Annotation, ...] = ()
    begun: datetime | None = None
    notes: tuple[str, ...] = ()
    first_index: int = 0
    times: tuple[tuple[int, datetime], ...] = ()


class Recording:
    """Complex samples in a file, read piece by piece.

    Real samples (one channel, as SSB receivers record) become the complex signal of their positive frequencies at the
    same sample rate; 0 Hz stays 0 Hz.

    Args:
        info: the metadata in the file.
        samples: the samples in the file.

    Attributes:
        path, sample_rate, tunings, annotations, begun, notes, first_index, times: see `RecordingInfo`.
        length: number of samples.
        real: whether the samples in the file are real.

    Raises:
        RecordingError: the sample rate is not a rate, or there are no samples.
    """

    def __init__(self, info: RecordingInfo, samples: Samples) -> None:
        name = printable(info.path)
        if not (math.isfinite(info.sample_rate) and info.sample_rate > 0):
            raise RecordingError(
                f"the sample rate of {name} must be a number above 0 Hz, not {info.sample_rate:g}: give the right "
                "one (--rate)."
            )
        if samples.length < 1:
            raise RecordingError(f"{name} holds no samples.")
        self.path = info.path
        self.sample_rate = float(info.sample_rate)
        self.tunings = info.tunings
        self.annotations = info.annotations
        self.begun = info.begun
        self.first_index = info.first_index
        self.times = info.times
        self.length = int(samples.length)
        self.real = samples.real
        self.notes = info.notes
        self._samples: Samples = samples
        if samples.real:
            self._samples = AnalyticSignal(samples)
            widest = engineering(self.sample_rate / 2, "Hz")
            self.notes += (
                f"{name} is read as one channel of real samples, a signal of 0 to {widest}; the offset "
                "counts from its 0 Hz.",
            )

    def received(self, sample: int) -> datetime | None:
        """Return when a sample was received; None where the file does not say."""
        place = bisect.bisect_right(self.times, sample, key=lambda time: time[0]) - 1
        since, moment = self.times[place] if place >= 0 else (0, self.begun)
        return None if moment is None else moment + timedelta(seconds=(sample - since) / self.sample_rate)

    def gaps(self) -> tuple[int, ...]:
        """Return the samples before which others are missing, as the times tell it: by more than a millisecond."""
        found = []
        for sample, moment in self.times:
            before = self.received(sample - 1) if sample else None
            if before is not None:
                missing = (moment - before).total_seconds() - 1 / self.sample_rate
                found += [sample] if abs(missing) > max(_GAP, 1 / self.sample_rate) else []
        return tuple(found)

    def truths(self) -> list[tuple[int, str | None]]:
        """Return where what is annotated changes: (sample, label), or (sample, None) where nothing is annotated.

        Where annotations overlap, the one that began last counts.
        """
        spans = sorted(
            (a.start, a.start + a.count, a.label) for a in self.annotations if a.label and a.count > 0
        )
        changes: list[tuple[int, str | None]] = []
        inside: list[
            int
        ] = []  # a heap of the spans begun, by place from the last on; those over leave at the top
        begun = 0
        for edge in sorted({edge for start, end, _ in spans for edge in (start, end)}):
            while begun < len(spans) and spans[begun][0] <= edge:
                heapq.heappush(inside, -begun)
                begun += 1
            while inside and spans[-inside[0]][1] <= edge:
                heapq.heappop(inside)
            label = spans[-inside[0]][2] if inside else None
            if not changes or changes[-1][1] != label:
                changes.append((edge, label))
        return changes

    def read(self, start: int, count: int) -> NDArray[np.complex64]:
        """Return up to `count` samples from sample `start` on: complex64, full scale 1 for integer formats.

        Samples that are not finite are returned as they are: the classifier counts their chunks and leaves them out.

        Raises:
            RecordingError: the file ends before its own length, or cannot be read.
        """
        count = max(0, min(count, self.length - start))
        if count == 0:
            return np.empty(0, dtype=np.complex64)
        return np.asarray(self._samples.read(start, count), dtype=np.complex64)
