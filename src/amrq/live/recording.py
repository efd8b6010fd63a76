# SPDX-License-Identifier: GPL-3.0-or-later
"""The signal in a recording: its part of the recording, its place in the band, its symbol rate."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from amrq.identify import (
    FoundSignal,
    SignalSearch,
    find_in_windows,
    found_text,
    input_texts,
    signals_text,
    unclear_text,
)
from amrq.live.symbol_rate import LOOKED_AT
from amrq.measure import SymbolRate, check_offset, check_rates
from amrq.model import find_model
from amrq.options import OptionError, Range, above, at_least, check, described, option
from amrq.outputs import Origin
from amrq.recordings import FORMATS, Recording, SampleStream, is_stream, open_recording
from amrq.text import engineering, printable

__all__ = [
    "RecordedSignal",
    "RecordingOptions",
    "find_in_recording",
    "find_opened",
    "open_part",
    "open_signal",
    "recording_origin",
    "recording_symbol_rate",
    "say_found",
    "say_notes",
]

_WINDOWS = 8
"""Pieces of a recording that are looked at, at most, where the signal is not clear in the first."""


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
        None,
        "Symbols a second, 9600 for instance, right to 2 %. Without it, estimated.",
        unit="Bd",
        within=above(0),
    )
    offset: float | None = option(
        None,
        "About where the signal is, relative to the middle of the band, in real samples to 0 Hz: the signal nearest to "
        "this place is received. Without it, the strongest one.",
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
        found: the signal as it was found, with its place and symbol rate, and what else is in the band; empty before it
            was looked for.
        start: first sample; 0 for a pipe.
        count: samples; 0 for all that follow.
        begun: time of `start` from the beginning of the recording, seconds.
    """

    recording: Recording | SampleStream
    found: FoundSignal
    start: int = 0
    count: int = 0
    begun: float = 0.0

    @property
    def symbol_rate(self) -> float:
        """Symbols a second, given or found; 0 if it is neither."""
        return 0.0 if self.found.symbol_rate is None else self.found.symbol_rate.rate

    @property
    def confidence(self) -> float:
        """Of the symbol rate, 0 to 1; 1 if it was given."""
        return 0.0 if self.found.symbol_rate is None else self.found.symbol_rate.confidence

    @property
    def offset(self) -> float:
        """The signal's offset from the middle of the band, Hz."""
        return self.found.offset

    @property
    def estimated(self) -> bool:
        """Whether the symbol rate was estimated; a given one that was corrected does not count."""
        return self.found.given is None

    @property
    def name(self) -> str:
        """The recording's name, for people."""
        return _name(self.recording)

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
        return recording_origin(self.recording, model, self.found, self.begun)

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
    return find_opened(open_part(path, options, say, interrupted), options, say, interrupted)


def open_part(
    path: Path,
    options: RecordingOptions | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    interrupted: threading.Event | None = None,
) -> RecordedSignal:
    """Open a recording or a pipe, in which no signal was looked for yet.

    Args:
        path: a recording, a FIFO, or `-` for standard input.
        options: the part of the recording; None: all of it.
        say: called with each sentence for the user about the recording.
        interrupted: set it to stop waiting for a pipe.

    Raises:
        AmrqError: the recording cannot be read.
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
        return _opened(recording, options, say, interrupted)
    except BaseException:
        if isinstance(recording, SampleStream):
            recording.close()
        raise


def find_opened(
    opened: RecordedSignal,
    options: RecordingOptions | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    interrupted: threading.Event | None = None,
) -> RecordedSignal:
    """Find the signal in what `open_part` has opened; where there is none, a pipe is closed.

    Args:
        opened: the recording or pipe.
        options: as it was opened with.
        say: called with each sentence for the user about the signal.
        interrupted: set it to stop waiting for a pipe.

    Raises:
        AmrqError: the symbol rate is neither given nor clear.
        KeyboardInterrupt: `interrupted` was set.
    """
    options, recording = options or RecordingOptions(), opened.recording
    try:
        found = find_in_recording(recording, options, (opened.start, opened.count), interrupted)
    except BaseException:
        opened.close()
        raise
    say_found(recording, found, options, say)
    return replace(opened, found=found)


def _opened(
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
    if isinstance(recording, Recording):
        say_notes(recording, say)
    count = 0 if options.duration is None else max(1, round(options.duration * recording.sample_rate))
    return RecordedSignal(recording, FoundSignal(), first, count, options.start)


def say_notes(recording: Recording, say: Callable[[str], None]) -> None:
    """Report the notes on a recording: call `say` with each sentence."""
    for note in recording.notes:
        say(note)


def say_found(
    recording: Recording | SampleStream,
    found: FoundSignal,
    options: RecordingOptions,
    say: Callable[[str], None],
) -> None:
    """Report what was found in a recording, as far as it is not what was to be expected: call `say` with sentences."""
    name = _name(recording)
    sentences = [found_text(found, _search(recording, options))]
    if found.corrected and found.symbol_rate is not None:
        rates = (engineering(rate, "Bd", 6) for rate in (found.symbol_rate.rate, found.given or 0.0))
        sentences.append("the symbol rate is {}, not {}".format(*rates))
    for sentence in (*sentences, *input_texts(found.report)):
        if sentence:
            say(f"{name}: {sentence}.")


def find_in_recording(
    recording: Recording | SampleStream,
    options: RecordingOptions | None = None,
    part: tuple[int, int] = (0, 0),
    interrupted: threading.Event | None = None,
) -> FoundSignal:
    """Find the place and the symbol rate of a recording's signal.

    It is looked for in the first 131,072 samples; where it is not clear, in further pieces of the recording, spread
    over all of it, or in the next ones of a stream.

    Args:
        recording: the recording; a stream is read ahead from its present position, without loss.
        options: what is known of the signal: `offset` and `symbol_rate`; None: nothing.
        part: first sample of a recording and the number of samples to look at; 0 for all that follow.
        interrupted: set it to stop waiting for a stream.

    Raises:
        AmrqError: the symbol rate is neither given nor clear.
        KeyboardInterrupt: `interrupted` was set.
    """
    options = options or RecordingOptions()
    if options.offset is not None:
        check_offset(options.offset, recording.sample_rate)
    if options.symbol_rate is not None:
        check_rates(recording.sample_rate, options.symbol_rate)
    windows = _windows(recording, *part, interrupted or threading.Event())
    found = find_in_windows(windows, recording.sample_rate, _search(recording, options))
    if not found.sure:
        raise OptionError(
            RecordingOptions,
            "{name}: {unclear}: give it ({symbol_rate}).{band}",
            name=_name(recording),
            unclear=unclear_text(found),
            band=f" In the band: {signals_text(found)}." if found.signals else "",
        )
    return found


def recording_symbol_rate(
    recording: Recording | SampleStream,
    offset: float | None = None,
    start: int = 0,
    interrupted: threading.Event | None = None,
) -> SymbolRate:
    """Return the symbol rate of a recording's signal: see `find_in_recording`.

    Args:
        recording: the recording; a stream is read ahead from its present position, without loss.
        offset: of the signal from the middle of the band, Hz; None: that of the strongest signal.
        start: first sample of a recording.
        interrupted: set it to stop waiting for a stream.

    Raises:
        AmrqError: the symbol rate is not clear.
        KeyboardInterrupt: `interrupted` was set.
    """
    found = find_in_recording(recording, RecordingOptions(offset=offset), (start, 0), interrupted)
    assert found.symbol_rate is not None  # it is sure
    return found.symbol_rate


def _search(recording: Recording | SampleStream, options: RecordingOptions) -> SignalSearch:
    real = isinstance(recording, Recording) and recording.real
    return SignalSearch(options.offset, options.symbol_rate, highest=recording.sample_rate / 2, real=real)


def _windows(
    recording: Recording | SampleStream, start: int, count: int, interrupted: threading.Event
) -> Iterator[NDArray[np.complex64]]:
    """Yield pieces of a recording to look at, the first ones first."""
    if isinstance(recording, SampleStream):
        for number in range(_WINDOWS):
            samples = recording.head((number + 1) * LOOKED_AT, interrupted.is_set)[number * LOOKED_AT :]
            if interrupted.is_set():
                raise KeyboardInterrupt
            if number and len(samples) < LOOKED_AT:
                return
            yield samples
        return
    start = min(start, recording.length - 1)
    yield recording.read(start, LOOKED_AT)
    last = recording.length if not count else min(recording.length, start + count)
    spare = last - start - LOOKED_AT  # after the first window
    further = min(_WINDOWS - 1, -(-spare // LOOKED_AT)) if spare > 0 else 0
    for number in range(1, further + 1):
        yield recording.read(start + round(spare * number / further), LOOKED_AT)


def _name(recording: Recording | SampleStream) -> str:
    return printable(recording.name if isinstance(recording, SampleStream) else recording.path.name)


def recording_origin(
    recording: Recording | SampleStream, model: str, found: FoundSignal | None = None, start: float = 0.0
) -> Origin:
    """Return the origin of decisions on a recording.

    Args:
        recording: the classified recording; a stream gives neither time nor frequency.
        model: an ONNX file, a shipped model's name, or `default`.
        found: the signal in it; None if it is not found yet: symbol rate and offset must then be set later.
        start: time at which classifying begins, seconds from the beginning of the recording.
    """
    file, found = find_model(model), found or FoundSignal()
    rate = found.symbol_rate or SymbolRate(1.0, 1.0)
    origin = Origin(
        recording.name if isinstance(recording, SampleStream) else str(recording.path),
        rate.rate,
        file.stem,
        Origin.hash_of(file),
        start=start,
        sample_rate=recording.sample_rate,
        symbol_rate_confidence=rate.confidence,
        report=found.report,
    )
    if isinstance(recording, SampleStream):
        return origin
    return replace(
        origin,
        begun=recording.begun,
        times=tuple((sample / recording.sample_rate, moment) for sample, moment in recording.times),
        tunings=tuple(
            (sample / recording.sample_rate, hz + found.offset) for sample, hz in recording.tunings
        ),
    )
