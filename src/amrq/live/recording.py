# SPDX-License-Identifier: GPL-3.0-or-later
"""The signal in a recording: its part of the recording, its place in the band, its symbol rate."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from amrq.live.symbol_rate import LOOKED_AT, SURE, look_for_symbol_rate, unclear
from amrq.measure import SymbolRate
from amrq.model import find_model
from amrq.options import OptionError, Range, above, at_least, check, described, option
from amrq.outputs import Origin
from amrq.recordings import FORMATS, Recording, SampleStream, band_of_signal, is_stream, open_recording
from amrq.text import engineering, printable

__all__ = [
    "RecordedSignal",
    "RecordingOptions",
    "open_signal",
    "recording_offset",
    "recording_origin",
    "recording_symbol_rate",
    "say_notes",
]

_KEPT = 2.0
"""Of a real recording, so many times the width of its signal is looked at."""


@described
@dataclass(frozen=True)
class RecordingOptions:
    """Options that select a recording and a part of it, and describe its signal.

    Raises:
        AmrqError: a value is out of its range.
    """

    sample_rate: float | None = option(
        None,
        "Samples a second, 250k for instance. Raw samples need it; other files have their own.",
        unit="S/s",
        flag="--rate",
    )
    format: str = option("auto", "Format of the file. auto: by the file's name.", choices=FORMATS)
    recording_name: str | None = option(
        None,
        "Which recording of a SigMF archive or collection; without it, the first.",
        flag="--recording NAME",
    )
    start: float = option(0.0, "Start this many seconds into the recording.", unit="s", within=at_least(0))
    duration: float | None = option(
        None, "Stop after this many seconds. Without it, at the end.", unit="s", within=above(0)
    )
    symbol_rate: float | None = option(
        None, "Symbols a second, 9600 for instance. Without it, estimated.", unit="Bd", within=above(0)
    )
    offset: float | None = option(
        None,
        "Frequency of the signal relative to the middle of the band, which is the default; in real samples relative to "
        "0 Hz, where the strongest signal is the default.",
        unit="Hz",
        within=Range(),
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)


@dataclass(frozen=True)
class RecordedSignal:
    """A signal in a recording or a pipe, ready to be received. As a context manager, it closes a pipe at the end.

    Attributes:
        recording: the recording, or the pipe, which is read from its present position.
        symbol_rate: symbols a second, given or estimated.
        confidence: of the symbol rate, 0 to 1; 1 if it was given.
        estimated: whether the symbol rate was estimated.
        offset: of the signal from the middle of the band, Hz.
        start: first sample; 0 for a pipe.
        count: samples; 0 for all that follow.
        begun: time of `start` from the beginning of the recording, seconds.
    """

    recording: Recording | SampleStream
    symbol_rate: float
    confidence: float = 1.0
    estimated: bool = False
    offset: float = 0.0
    start: int = 0
    count: int = 0
    begun: float = 0.0

    @property
    def name(self) -> str:
        """The recording's name, for people."""
        recording = self.recording
        return printable(recording.name if isinstance(recording, SampleStream) else recording.path.name)

    @property
    def first_index(self) -> int:
        """The index of the recording's first sample in its metadata."""
        return 0 if isinstance(self.recording, SampleStream) else self.recording.first_index

    @property
    def late_notes(self) -> tuple[str, ...]:
        """Notes on a pipe that are known only after it has been read."""
        return self.recording.notes if isinstance(self.recording, SampleStream) else ()

    def origin(self, model: str) -> Origin:
        """Return the origin of a model's decisions on this signal."""
        return recording_origin(self.recording, model, self.symbol_rate, self.begun, self.offset)

    def close(self) -> None:
        """Close a pipe; a recording needs no closing."""
        if isinstance(self.recording, SampleStream):
            self.recording.close()

    def __enter__(self) -> "RecordedSignal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_signal(
    path: Path,
    options: RecordingOptions | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    interrupted: threading.Event | None = None,
) -> RecordedSignal:
    """Open a recording or a pipe and find the signal in it.

    Args:
        path: a recording, a FIFO, or `-` for standard input.
        options: the part of the recording, and the description of its signal; None: the defaults.
        say: called with each sentence for the user about the recording.
        interrupted: set it to stop waiting for a pipe.

    Raises:
        AmrqError: the recording cannot be read, or its symbol rate is neither given nor clear.
        KeyboardInterrupt: `interrupted` was set.
    """
    options, interrupted = options or RecordingOptions(), interrupted or threading.Event()
    recording: Recording | SampleStream
    if is_stream(path):
        if options.recording_name is not None:
            text = "{recording_name} belongs to a SigMF archive or collection, and a pipe is neither: leave it out."
            raise OptionError(RecordingOptions, text)
        recording = SampleStream(path, options.format, options.sample_rate)
    else:
        recording = open_recording(path, options.format, options.sample_rate, options.recording_name)
    try:
        return _found(recording, options, say, interrupted)
    except BaseException:
        if isinstance(recording, SampleStream):
            recording.close()
        raise


def _found(
    recording: Recording | SampleStream,
    options: RecordingOptions,
    say: Callable[[str], None],
    interrupted: threading.Event,
) -> RecordedSignal:
    first = round(options.start * recording.sample_rate)
    if isinstance(recording, SampleStream):
        recording.begin(first, interrupted.is_set)
        first = 0
    elif first >= recording.length:
        raise OptionError(
            RecordingOptions,
            "{start} {given} s is after the end of {shown}, which lasts {length:.6g} s.",
            given=f"{options.start:g}",
            shown=printable(recording.path),
            length=recording.length / recording.sample_rate,
        )
    place = recording_offset(recording, options.offset, first)
    if isinstance(recording, Recording):
        say_notes(recording, say, place if options.offset is None else 0.0)
    found, estimated = SymbolRate(options.symbol_rate or 0.0, 1.0), options.symbol_rate is None
    if estimated:
        found = recording_symbol_rate(recording, place, first, interrupted)
    count = 0 if options.duration is None else max(1, round(options.duration * recording.sample_rate))
    return RecordedSignal(
        recording, found.rate, found.confidence, estimated, place, first, count, options.start
    )


def say_notes(recording: Recording, say: Callable[[str], None], taken: float = 0.0) -> None:
    """Report the notes on a recording.

    Args:
        recording: an open recording.
        say: called with each sentence.
        taken: offset at which the signal was found, Hz; 0 if it was not searched for.
    """
    for note in recording.notes:
        say(note)
    if taken:
        at = engineering(taken, "Hz", 6)
        name = printable(recording.path.name)
        say(f"{name}: no offset is given, and the strongest signal, at {at}, is taken.")


def recording_symbol_rate(
    recording: Recording | SampleStream,
    offset: float = 0.0,
    start: int = 0,
    interrupted: threading.Event | None = None,
) -> SymbolRate:
    """Return the symbol rate of a recording's signal, from its first 131,072 samples after `start`.

    Args:
        recording: the recording; a stream is read ahead from its present position, without loss.
        offset: of the signal from the middle of the band, Hz.
        start: first sample of a recording.
        interrupted: set it to stop waiting for a stream.

    Raises:
        AmrqError: the symbol rate is not clear.
        KeyboardInterrupt: `interrupted` was set.
    """
    samples = _first_samples(recording, start, interrupted or threading.Event())
    sample_rate = recording.sample_rate
    if isinstance(recording, Recording) and recording.real:
        samples, sample_rate = _narrowed(samples, sample_rate, offset)
        offset = 0.0
    found = look_for_symbol_rate(samples, sample_rate, offset)
    if found is None or found.confidence < SURE:
        name = recording.name if isinstance(recording, SampleStream) else recording.path
        text = "{name}: {unclear}: give it ({symbol_rate})."
        raise OptionError(RecordingOptions, text, name=name, unclear=unclear(found))
    return found


def _narrowed(
    samples: NDArray[np.complex64], sample_rate: float, offset: float
) -> tuple[NDArray[np.complex64], float]:
    """Return the signal at an offset, filtered and decimated, and its sample rate.

    In a receiver's audio most of the band is empty and gives no information on the symbol rate.
    """
    samples = np.where(np.isfinite(samples), samples, np.complex64(0))
    width = _KEPT * band_of_signal(samples, sample_rate)[1]
    kept = min(len(samples), max(1024, round(width / sample_rate * len(samples))))
    spectrum = np.roll(np.fft.fft(samples), kept // 2 - round(offset / sample_rate * len(samples)))[:kept]
    narrow = np.fft.ifft(np.roll(spectrum, -(kept // 2)))
    return narrow.astype(np.complex64), sample_rate * kept / len(samples)


def recording_offset(recording: Recording | SampleStream, offset: float | None, start: int = 0) -> float:
    """Return the signal's offset from the middle of the band, Hz: the given one, else 0.

    The middle of a real recording is its 0 Hz, where no signal can be: in such a recording the strongest signal is
    searched for.
    """
    if offset is not None or isinstance(recording, SampleStream) or not recording.real:
        return offset or 0.0
    return band_of_signal(_first_samples(recording, start, threading.Event()), recording.sample_rate)[0]


def _first_samples(
    recording: Recording | SampleStream, start: int, interrupted: threading.Event
) -> NDArray[np.complex64]:
    if isinstance(recording, SampleStream):
        samples = recording.head(LOOKED_AT, interrupted.is_set)
        if interrupted.is_set():
            raise KeyboardInterrupt
        return samples
    start = min(start, recording.length - 1)
    return recording.read(start, min(recording.length - start, LOOKED_AT))


def recording_origin(
    recording: Recording | SampleStream,
    model: str,
    symbol_rate: float,
    start: float = 0.0,
    offset: float = 0.0,
) -> Origin:
    """Return the origin of decisions on a recording.

    Args:
        recording: the classified recording; a stream gives neither time nor frequency.
        model: an ONNX file, a shipped model's name, or `default`.
        symbol_rate: symbols a second.
        start: time at which classifying begins, seconds from the beginning of the recording.
        offset: of the signal from the middle of the band, Hz.
    """
    file = find_model(model)
    if isinstance(recording, SampleStream):
        digest, rate = Origin.hash_of(file), recording.sample_rate
        return Origin(recording.name, symbol_rate, file.stem, digest, start=start, sample_rate=rate)
    return Origin(
        source=str(recording.path),
        symbol_rate=symbol_rate,
        model=file.stem,
        model_sha256=Origin.hash_of(file),
        start=start,
        begun=recording.begun,
        times=tuple((sample / recording.sample_rate, moment) for sample, moment in recording.times),
        sample_rate=recording.sample_rate,
        tunings=tuple((sample / recording.sample_rate, hz + offset) for sample, hz in recording.tunings),
    )
