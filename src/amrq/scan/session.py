# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan of a source: samples from a recording, a radio or a network, records of emissions to their outputs."""

import itertools
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from amrq import native
from amrq.errors import AmrqError, DeviceError, OutputClosedError, all_closed, raise_together
from amrq.identify import family_model
from amrq.model import UNKNOWN
from amrq.options import OptionError, OutputFile, above, at_least, check, described, option
from amrq.outputs import (
    EmissionAnnotations,
    EmissionOutputs,
    OutputOptions,
    ScanState,
    emission_fields,
)
from amrq.protocols import FAMILIES, list_protocols
from amrq.recordings import Recording, open_recording
from amrq.scan.bands import STEP, Band, TunedBand, open_band, read_sweep, sweep_steps, tunings_of
from amrq.scan.recorder import Condition, EmissionRecorder
from amrq.scan.records import ScanEvent, ScanSnapshot, emission_record, measured_fields
from amrq.scan.scanner import BandScanner
from amrq.scan.schedule import ScanOptions
from amrq.scan.worker import ScanWorker
from amrq.sources import SilenceWatch, SourceCounts, SourceOptions
from amrq.text import counted, engineering, printable

__all__ = ["ScanOutputOptions", "ScanSession"]

_LOG = logging.getLogger(__name__)
_BLOCK_SECONDS = 0.03
"""Of a recording that is scanned at a time, about: a power of two of samples."""
_PATIENCE = 0.1
"""Seconds to wait for samples before the end of the session is looked for again."""
_LAST_LOOKS = 0.7
"""Seconds of looks after the session was ended from outside."""
_POLL = 0.05
"""Seconds from one look at what has happened to the next."""
_SHORT = 0.1
"""Seconds of a source that are too few for a good noise floor."""
_LIVE_RECORDINGS, _RECORDINGS = 16, 256
"""Recordings of emissions at a time: live, as the time allows; of a recording, as many as files may be open."""
_RADIOS = ("soapy", "rtl_tcp")
_MOST_FAULTS = 20
"""Different sentences of outputs that fail."""
_ASTRAY = 1.0
"""Seconds by which counted samples may differ from this machine's clock."""


class _Clock:
    """When samples were received: the count of samples, set by this machine's clock at the beginning and at breaks.

    One thread sets it, others may ask.

    Args:
        sample_rate: samples a second.
    """

    def __init__(self, sample_rate: float) -> None:
        self._rate = sample_rate
        self._marks: deque[tuple[int, datetime]] = deque(maxlen=1000)

    def see(self, place: int, count: int, broken: bool) -> None:
        """Take in that samples have come just now.

        Args:
            place: number of the first of them in the stream.
            count: how many.
            broken: others were lost before them.
        """
        now = datetime.now(timezone.utc)
        expected = self.moment(place + count)
        if broken or expected is None or abs((now - expected).total_seconds()) > _ASTRAY:
            self._marks.append((place, now - timedelta(seconds=count / self._rate)))

    def moment(self, sample: int) -> datetime | None:
        """Return when a sample was received; None before any was."""
        marks = tuple(self._marks)
        if not marks:
            return None
        at, moment = next((mark for mark in reversed(marks) if mark[0] <= sample), marks[0])
        return moment + timedelta(seconds=(sample - at) / self._rate)


@described
@dataclass(frozen=True)
class ScanOutputOptions:
    """What is written of a scan, beside the records, and how long it lasts.

    Raises:
        AmrqError: a value is out of its range.
    """

    once: float | None = option(
        None,
        "End after this many seconds of the source; a sweep goes to its end first. Without it, with the source or with "
        "Ctrl-C.",
        unit="s",
        within=above(0),
    )
    annotate: OutputFile = option(
        "",
        "Write the emissions of a SigMF recording into this .sigmf-meta, as annotations with frequency edges. The "
        "recording's own is allowed.",
        flag="--annotate FILE",
    )
    record_on: str = option(
        "",
        "Record each emission that meets this condition as SigMF of its own: 'label=QPSK and snr_db>10'.",
        flag="--record-on CONDITION",
    )
    record_to: str = option(
        "", "Folder for these recordings. Without it, this one.", flag="--record-to FOLDER"
    )
    margin: float = option(
        0.02, "Time before and after an emission that is recorded with it.", unit="s", within=at_least(0)
    )
    database: OutputFile = option(
        "", "Keep the emissions in this SQLite file; 'amrq history' reads it.", flag="--database FILE"
    )
    sweep: str = option(
        "",
        "Step a radio over this range of frequencies, again and again: 430M:440M.",
        flag="--sweep LOW:HIGH",
    )
    dwell: float = option(
        0.5, "Time that a sweep stays at a frequency.", unit="s", within=above(0, at_most=3600)
    )
    stall: float | None = option(
        None,
        "End when the source sends no samples for this many seconds. Without it, wait for them.",
        unit="s",
        within=above(0),
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)


def _values(model: str) -> dict[str, frozenset[str]]:
    """Return the texts that a condition may ask of a record's fields: families, a model's own among them, protocols."""
    own = family_model(model).families
    protocols = (protocol.name for protocol in list_protocols())
    return {"family": frozenset({*FAMILIES, UNKNOWN, *own} - {"fm"}), "protocol": frozenset(protocols)}


class ScanSession:
    """Scans a source and hands records of emissions to outputs. A context manager; `run` yields the records.

    A recording given by its path is scanned as fast as possible, and the same samples give the same records. All other
    sources are received in their own time: samples that there is no time for are dropped and counted.

    Args:
        source: the source; or the path of a recording.
        options: how the band is scanned.
        outputs: where records go.
        writing: what else is written.
        ending: set to end the session from another thread.
        say: called with each sentence for the user; None: the log.

    Raises:
        AmrqError: on entering the context: something cannot be opened, or options do not go together. On leaving it: an
            output could not be written, or the source sent nothing.

    Example:
        with ScanSession(Path("band.sigmf-meta")) as session:
            for record in session.run():
                if record["event"] == "end":
                    print(record["freq_lower_edge"], record["label"])
    """

    def __init__(
        self,
        source: SourceOptions | Path,
        options: ScanOptions | None = None,
        outputs: OutputOptions | None = None,
        writing: ScanOutputOptions | None = None,
        ending: threading.Event | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        if isinstance(source, Path):
            source = SourceOptions(file=source)
            self._paced = False
        else:
            self._paced = True
        self._wanted = source
        self._options, self._outputs_wanted = options or ScanOptions(), outputs or OutputOptions()
        self._writing = writing or ScanOutputOptions()
        self._ending, self._say = ending or threading.Event(), say or _LOG.info
        self._closing = all_closed()
        self._band: Band | None = None
        self._recording: Recording | None = None
        self._recorder: EmissionRecorder | None = None
        self._condition: Condition | None = None
        self._clock = _Clock(1.0)
        self._faults: dict[str, AmrqError] = {}  # of outputs, by what they say
        self._silence: SilenceWatch | None = None
        self._received = 0  # samples that came from the source
        self.name = ""
        """What is scanned, for people."""

    @classmethod
    def of_recording(cls, source: SourceOptions, *rest: Any) -> "ScanSession":
        """Return a session that scans the recording of a source (`file`) as fast as possible."""
        session = cls(source, *rest)
        session._paced = False
        return session

    def __enter__(self) -> "ScanSession":
        at_the_end = self._closing.__enter__()
        try:
            self._open(at_the_end)
        except BaseException as error:
            self._closing.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.__exit__(kind, error, trace)
        if error is not None:
            return
        if self._silence is not None:
            self._silence.look(self._received)
            self._silence.raise_error()
        raise_together(self._faults.values())

    def _open(self, at_the_end: Callable[[Callable[[], None]], None]) -> None:
        writing, wanted = self._writing, self._wanted
        if writing.record_on:
            names = emission_fields() | measured_fields() | {"protocol"}
            self._condition = Condition(writing.record_on, names, _values(self._options.family_model))
        elif writing.record_to:
            raise OptionError(ScanOutputOptions, "{record_to} belongs to {record_on}: give that as well.")
        self._sweep = read_sweep(writing.sweep) if writing.sweep else None
        if self._sweep is not None and wanted.chosen not in _RADIOS:
            raise OptionError(
                {"sweep": "--sweep", "soapy": "--soapy", "rtl_tcp": "--rtl-tcp"},
                "{sweep} steps a radio ({soapy}, {rtl_tcp}) over a range: other sources cannot be tuned.",
            )
        if writing.annotate and (self._paced or wanted.file is None):
            raise OptionError(ScanOutputOptions, "{annotate} needs a SigMF recording that is scanned.")
        if self._paced:
            self._band = open_band(wanted, self._say)
            at_the_end(self._band.close)
            self.name, rate, centre = self._band.name, self._band.sample_rate, self._band.frequency
        else:
            assert wanted.file is not None
            self._recording = open_recording(
                wanted.file, wanted.format, wanted.sample_rate, wanted.recording_name
            )
            for note in self._recording.notes:
                self._say(note)
            recording = self._recording
            self.name, rate = str(recording.path), recording.sample_rate
            centre = recording.tunings[0][1] if recording.tunings else wanted.frequency
        if self._paced and wanted.chosen not in ("file", "simulate"):
            self._silence = SilenceWatch(self.name, self._say, writing.stall)
        apart = self._paced and self._sweep is None
        real = self._recording is not None and self._recording.real
        self.scanner = BandScanner(rate, centre, self._options, limited=self._paced, apart=apart, real=real)
        """The scanner: `snapshot` and `picture` for displays."""
        self._clock = _Clock(rate)
        outputs = EmissionOutputs(self._outputs_wanted, self._state, writing.database, self._say)
        self._outputs = outputs
        at_the_end(outputs.close)
        if writing.annotate and self._recording is not None:
            annotations = EmissionAnnotations(self._recording.path, writing.annotate)
            annotations.check()
            annotations.set_samples(rate, self._recording.first_index)
            outputs.annotate(annotations)
        if self._condition is not None:
            folder = Path(writing.record_to or ".")
            most = _LIVE_RECORDINGS if self._paced else _RECORDINGS
            self._recorder = EmissionRecorder(folder, self.scanner.ring, writing.margin, most, self._say)
            at_the_end(self._recorder.close)

    # Records

    def run(self) -> Iterator[dict[str, Any]]:
        """Yield the records of what happens, until the source or the session ends.

        When the session is ended from outside, the emissions that are on end too, and their records come.

        Raises:
            AmrqError: the source failed, or an output cannot take a record.
        """
        if self._recording is not None:
            yield from self._run_recording(self._recording)
        elif self._sweep is not None:
            yield from self._run_sweep(self._sweep)
        else:
            yield from self._run_live()

    def _run_recording(self, recording: Recording) -> Iterator[dict[str, Any]]:
        rate = recording.sample_rate
        size = 1 << max(12, round(math.log2(_BLOCK_SECONDS * rate)))
        length = recording.length
        if self._writing.once is not None:
            length = min(length, max(1, round(self._writing.once * rate)))
        breaks = dict.fromkeys(recording.gaps(), self.scanner.centre_hz)
        retunes = {sample: hz for sample, hz in recording.tunings if sample > 0}
        edges = sorted({*breaks, *retunes, length})
        place = 0
        while place < length and not self._ending.is_set():
            if place in retunes:
                yield from self._written(self.scanner.retune(retunes[place]))
            elif place in breaks:
                self.scanner.add_break()
            until = min(place + size, next(edge for edge in edges if edge > place))
            events = self.scanner.process(recording.read(place, until - place))
            yield from self._written(events)
            place = until
        self.scanner.end_all(_LAST_LOOKS if self._ending.is_set() else math.inf)
        yield from self._written(self.scanner.take_events(), last=True)

    def _run_live(self) -> Iterator[dict[str, Any]]:
        assert self._band is not None
        worker = ScanWorker(self.scanner)
        over = threading.Event()
        failure: list[Exception] = []
        reader = threading.Thread(
            target=self._receive, args=(worker, over, failure), name="amrq source", daemon=True
        )
        worker.start()
        if self._silence is not None:
            self._silence.begin()
        reader.start()
        try:
            while not over.wait(_POLL) and not self._ending.is_set() and worker.error is None:
                yield from self._written(worker.take_events())
                if self._is_silent():
                    break
        finally:
            over.set()
            reader.join(1.0)
            worker.close(finish=not self._ending.is_set())
        yield from self._written(worker.take_events(), last=True)
        if worker.error is not None:
            raise AmrqError(f"the scan failed: {printable(worker.error).rstrip('.')}.") from worker.error
        if failure:
            raise failure[0]

    def _receive(self, worker: ScanWorker, over: threading.Event, failure: list[Exception]) -> None:
        """Hand samples from the source to the worker, in a thread of its own."""
        assert self._band is not None
        once, centre = self._writing.once, self._band.frequency
        left = math.inf if once is None else max(1, round(once * self._band.sample_rate))
        waits = self._wanted.chosen == "stdin"  # the other end of a pipe is held up instead
        try:
            while not over.is_set() and left > 0:
                piece = self._band.read(_PATIENCE)
                if piece is None:
                    break
                if piece.broken:
                    worker.add_break()
                samples = piece.samples[: int(min(left, len(piece.samples)))]
                if not len(samples):
                    continue
                self._clock.see(self._received, len(samples), piece.broken)
                edges = [place for place, hertz in tunings_of(piece) if 0 < place < len(samples)]
                for first, last in itertools.pairwise([0, *edges, len(samples)]):
                    tuned = next((hertz for place, hertz in tunings_of(piece) if place == first), centre)
                    if tuned != centre:
                        centre = tuned
                        worker.retune(centre)
                    worker.put(samples[first:last], wait=waits)
                self._received += len(samples)
                left -= len(samples)
        except Exception as error:  # the session must learn of it
            failure.append(error)
        finally:
            over.set()

    def _is_silent(self) -> bool:
        """Look whether samples come; return whether the source is given up."""
        if self._silence is None:
            return False
        self._silence.look(self._received)
        return self._silence.stalled

    def _run_sweep(self, sweep: tuple[float, float]) -> Iterator[dict[str, Any]]:
        band = cast(TunedBand, self._band)
        centres = sweep_steps(*sweep, band.sample_rate)
        started = time.monotonic()
        self._say(
            f"the sweep has {len(centres)} steps of {engineering(STEP * band.sample_rate, 'Hz')} and takes about "
            f"{len(centres) * (self._writing.dwell + band.settles):.1f} s."
        )
        if self._silence is not None:
            self._silence.begin()
        refused: set[float] = set()
        while not self._ending.is_set():
            failures: list[AmrqError] = []
            for centre in centres:
                try:
                    comes = band.tune(centre, lambda: self._ending.is_set() or self._is_silent())
                except DeviceError as error:
                    failures.append(error)
                    if centre not in refused:
                        self._say(f"{error} The sweep goes on without it.")
                    refused.add(centre)
                    continue
                if not (comes or self._ending.is_set()):
                    self._say(f"no samples have come after tuning to {engineering(centre, 'Hz', 7)}.")
                yield from self._written(self.scanner.retune(centre))
                yield from self._run_step(band)
                yield from self._written(self.scanner.finish(), last=True)
                if self._ending.is_set():
                    return
            if len(failures) == len(centres):
                raise failures[0]
            # samples can come faster than they were sampled, and tuning takes time without any
            gone = max(time.monotonic() - started, self._received / band.sample_rate)
            if self._writing.once is not None and gone > self._writing.once:
                return

    def _run_step(self, band: TunedBand) -> Iterator[dict[str, Any]]:
        """Scan for as long as a sweep stays at a frequency."""
        rate, skipped, taken, broken = band.sample_rate, 0, 0, True
        dwell = round(self._writing.dwell * rate)
        while taken < dwell and not self._ending.is_set():
            piece = band.read(_PATIENCE)
            if piece is None or self._is_silent():
                self._ending.set()
                break
            count = len(piece.samples)
            self._received += count
            if skipped < band.settles * rate:
                skipped += count
                continue
            if not count:
                continue
            if piece.broken and taken:
                self.scanner.add_break()
            if broken or piece.broken:  # in between samples may wait for the detector
                self._clock.see(self.scanner.now, count, broken=True)
            broken, taken = False, taken + count
            yield from self._written(self.scanner.process(piece.samples))

    def _written(self, events: list[ScanEvent], last: bool = False) -> Iterator[dict[str, Any]]:
        """Hand events to the outputs; yield their records."""
        scanner = self.scanner
        for event in events:
            record = emission_record(
                event,
                self.name,
                scanner.sample_rate,
                event.centre_hz,
                self._moment(event.record.start),
                scanner.dropped if self._paced else 0,
            )
            self._output(record)
            if self._recorder is not None and self._condition is not None:
                self._recorder.follow(event, record, self._condition)
            yield record
        if self._recorder is not None:
            self._recorder.advance(last)

    def _output(self, record: dict[str, Any]) -> None:
        """Hand a record to the outputs. One that cannot take it is said once, and the scan goes on without it."""
        try:
            self._outputs.write(record)
        except OutputClosedError:
            raise
        except AmrqError as error:
            if str(error) not in self._faults and len(self._faults) < _MOST_FAULTS:
                self._faults[str(error)] = error
                self._say(f"{error} The scan goes on.")

    def _moment(self, sample: int) -> datetime | None:
        if self._recording is not None:
            return self._recording.received(max(0, sample))
        return None if self._wanted.chosen == "file" else self._clock.moment(sample)

    # For displays

    @property
    def is_recording(self) -> bool:
        """Whether a recording is scanned as fast as possible."""
        return not self._paced

    @property
    def sweeps(self) -> bool:
        """Whether a radio steps over a range of frequencies."""
        return bool(self._writing.sweep)

    def snapshot(self) -> ScanSnapshot:
        """Return the table and the counters."""
        return self.scanner.snapshot()

    def source_counts(self) -> SourceCounts:
        """Return the source's counts of losses and faults."""
        return SourceCounts() if self._band is None else self._band.counts()

    def _state(self) -> ScanState:
        shot, counts = self.scanner.snapshot(), self.source_counts()
        on_air: dict[tuple[str, str], int] = {}
        for record in shot.emissions:
            if record.on:
                named = record.family, record.label
                on_air[named] = on_air.get(named, 0) + 1
        done = shot.counters
        return ScanState(
            self.name,
            shot.now,
            done.dropped,
            counts.lost if counts.overflows is None else counts.overflows,
            on_air,
            done.waiting,
            done.missed,
            done.suppressed,
            done.looks,
            done.seconds,
            done.load,
        )

    def losses(self) -> list[str]:
        """Return a sentence for each kind of loss."""
        said: list[str] = []
        done, counts = self.scanner.snapshot().counters, self.source_counts()
        total = max(self.scanner.now, self._received)
        if done.dropped:
            share = 100 * done.dropped / max(1, total)
            said.append(f"{share:.2g} % of the samples were lost: this machine is too slow for all of them.")
            said += [why] if (why := native.missing()) else []
        said += counts.texts()
        if done.not_finite:
            said.append(f"{counted(done.not_finite, 'sample')} not finite, taken as zero.")
        if total < _SHORT * self.scanner.sample_rate:
            said.append(
                f"There were less than {_SHORT:g} s of samples: too short to find any but strong emissions."
            )
        said += () if self.sweeps else done.notes
        if done.missed:
            said.append(
                f"{counted(done.missed, 'emission')} ended before there was time for a look (--budget)."
            )
        if done.suppressed:
            said.append(
                f"{counted(done.suppressed, 'emission')} not reported: more than {self._options.most_records:g} a "
                "second began (--most-records)."
            )
        if done.unkept:
            said.append(
                f"{counted(done.unkept, 'narrow emission')} not looked at for long: too many at a time, or too "
                "little time."
            )
        if self._recorder is not None and self._recorder.left_out:
            said.append(f"{counted(self._recorder.left_out, 'emission')} not recorded: too many at a time.")
        return said

    def recordings(self) -> list[Path]:
        """Return the recordings of emissions that were written."""
        return [] if self._recorder is None else list(self._recorder.written)
