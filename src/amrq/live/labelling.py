# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled chunks from annotated recordings: the chunks that `amrq classify` would classify, with their labels."""

import hashlib
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import SILENCE_POWER
from amrq.errors import AmrqError
from amrq.identify import FoundSignal
from amrq.labels import (
    LabelledChunks,
    LabelledSpans,
    LabelsFolder,
    Reason,
    SelectedChunks,
    labelled_spans,
    numbered_labels,
    select_chunks,
)
from amrq.live.interrupt import joined
from amrq.live.recording import RecordingOptions, find_in_recording, say_found, say_notes
from amrq.live.session import load_flowgraph
from amrq.measure import FrontEndOptions, StreamInfo, SymbolRate
from amrq.options import OptionError, at_least, check, described, option
from amrq.recordings import Recording, open_recording
from amrq.text import engineering

__all__ = ["CuttingOptions", "LabelledRecording", "Labeller", "Naming"]

_MARGIN = 2
"""Symbols by which the place of a chunk may be wrong."""
_OWN_MARGIN = 2
"""Chunks at either end of this program's own decisions that are left out."""
_SLACK = 2
"""Samples between annotations of one label that touch: their edges have been rounded."""
_LEAD = 1_000
"""Symbols before the first annotation that the front end is given: it is running when the signal begins."""
_TRAIL = 64
"""Symbols after the last one: what the front end holds back."""
_HASHED = 1 << 20


@described
@dataclass(frozen=True)
class CuttingOptions:
    """Settings for dividing labelled parts of a recording into chunks.

    Raises:
        AmrqError: a value is out of its range.
    """

    settling: int = option(
        300,
        "Symbols left out after the start of a signal, while the front end settles.",
        within=at_least(0),
    )
    chunk_length: int = option(32, "Symbols per chunk.", within=at_least(2))
    most: int = option(
        20_000,
        "Most chunks of one label in one recording. If there are more, evenly spread ones are kept.",
        within=at_least(1),
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)


@dataclass(frozen=True)
class Naming:
    """The labels of a recording's parts.

    Attributes:
        whole: label of a whole recording without annotations; None: recordings need annotations.
        aliases: labels by the names in annotations; an empty label leaves such annotations out.
    """

    whole: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)


class LabelledRecording(NamedTuple):
    """The result of labelling a recording.

    Attributes:
        symbol_rate: symbols a second, and the confidence of an estimate; 1 where it was given.
        estimated: whether it was estimated.
        spans: the labelled parts of the recording.
        selected: the chunks that are kept, and why others are dropped.
    """

    symbol_rate: SymbolRate
    estimated: bool
    spans: LabelledSpans
    selected: SelectedChunks


class Labeller:
    """Divides annotated recordings into labelled chunks, and writes them to a folder.

    Args:
        folder: where chunks are written.
        recording: options of the recordings; `start` and `duration` are not used.
        naming: labels of their parts.
        cutting: settings for the division into chunks.
        front_end: settings of the symbol front end.
        say: called with each sentence for the user about a recording.
        interrupted: set it to stop: `label` then raises `KeyboardInterrupt`.

    Raises:
        AmrqError: GNU Radio is missing.
    """

    def __init__(
        self,
        folder: LabelsFolder,
        recording: RecordingOptions | None = None,
        naming: Naming | None = None,
        cutting: CuttingOptions | None = None,
        front_end: FrontEndOptions | None = None,
        say: Callable[[str], None] = lambda sentence: None,
        interrupted: threading.Event | None = None,
    ) -> None:
        self._flowgraph = load_flowgraph("chunk_flowgraph", "labelling a recording")
        self._folder, self._options = folder, recording or RecordingOptions()
        self._naming, self._cutting = naming or Naming(), cutting or CuttingOptions()
        self._front_end, self._say = front_end or FrontEndOptions(), say
        self._interrupted = interrupted or threading.Event()

    def label(
        self, path: Path, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> LabelledRecording:
        """Divide a recording into chunks, and write those that can be used, if there are any.

        Args:
            path: a recording.
            progress: called repeatedly with the samples read and the samples in all.

        Raises:
            AmrqError: the recording cannot be read, or nothing in it is labelled.
            KeyboardInterrupt: `interrupted` was set.
        """
        options = self._options
        recording = open_recording(path, options.format, options.sample_rate, options.recording_name)
        say_notes(recording, self._say)
        signal = self._find(recording)
        found, place = signal.symbol_rate or SymbolRate(0.0, 0.0), signal.offset
        beside = signal.chosen is not None and abs(place) > signal.chosen.bandwidth / 2
        known = options.offset if options.offset is not None else float(round(place)) if beside else 0.0
        name = _name(recording, known, options.recording_name)
        identity = self._sha256(recording)
        self._folder.make()
        self._folder.check_free(name, identity)
        length = self._cutting.chunk_length * recording.sample_rate / found.rate
        spans = self._spans(recording, place, _OWN_MARGIN * length)
        stream = StreamInfo(symbol_rate=found.rate, offset=place, chunk_length=self._cutting.chunk_length)
        selected, chunks, places = self._cut(recording, stream, spans, progress)
        if len(chunks):
            try:
                names, labels = numbered_labels(selected.labels)
            except AmrqError as error:
                raise AmrqError(f"{recording.path}: {error}") from None
            self._folder.write(
                LabelledChunks(
                    name=name,
                    source=recording.path.name,
                    recording_sha256=identity,
                    sample_rate=recording.sample_rate,
                    symbol_rate=float(found.rate),
                    offset=float(place),
                    chunks=chunks,
                    labels=labels,
                    names=names,
                    sample_index=places,
                    dropped=dict(selected.dropped),
                )
            )
        return LabelledRecording(found, options.symbol_rate is None, spans, selected)

    def _find(self, recording: Recording) -> FoundSignal:
        """Find the signal that is labelled: near the given offset, else in the middle if labels are there, else any."""
        options, annotations = self._options, recording.annotations
        if options.offset is None and any(
            a.band is not None and a.band[0] <= 0 <= a.band[1] for a in annotations
        ):
            options = replace(options, offset=0.0)
        if options.offset is not None or not any(a.band is not None for a in annotations):
            spans = self._spans(recording, options.offset or 0.0)  # refuses what has no label before it looks
            first = next(span.start for span in spans.spans if span.known)
        else:
            first = max(0, min(annotation.start for annotation in annotations))
        found = find_in_recording(recording, options, (first, 0), self._interrupted)
        say_found(recording, found, options, self._say)
        return found

    def _sha256(self, recording: Recording) -> str:
        hashed = hashlib.sha256()
        for start in range(0, recording.length, _HASHED):
            if self._interrupted.is_set():
                raise KeyboardInterrupt
            hashed.update(recording.read(start, _HASHED).tobytes())
        return hashed.hexdigest()

    def _spans(self, recording: Recording, place: float, own_margin: float = 0.0) -> LabelledSpans:
        naming = self._naming
        spans = labelled_spans(recording, place, naming.whole, naming.aliases, _SLACK, own_margin)
        _require_some(recording, spans, place)
        return spans

    def _cut(
        self,
        recording: Recording,
        stream: StreamInfo,
        spans: LabelledSpans,
        progress: Callable[[int, int], None],
    ) -> tuple[SelectedChunks, NDArray[np.complex64], NDArray[np.int64]]:
        """Run the annotated part of a recording through a flowgraph; return selection, chunks and places."""
        known = [span for span in spans.spans if span.known]
        chunk_length, samples_per_symbol = stream.chunk_length, recording.sample_rate / stream.symbol_rate
        start = max(0, round(known[0].start - _LEAD * samples_per_symbol))
        last = max(span.stop for span in known) + _TRAIL * samples_per_symbol
        count = max(1, min(recording.length, round(last)) - start)
        with tempfile.TemporaryFile(dir=self._folder.path) as spool:  # if there is room for them
            flowgraph = self._flowgraph(recording, spool, stream, self._front_end, start, count)
            self._run(flowgraph, lambda: progress(flowgraph.done(), count))
            spool.flush()
            starts, stops = flowgraph.places()
            shape = (len(starts), chunk_length)
            chunks: Any = np.memmap(spool, np.complex64, "r", shape=shape) if len(starts) else np.empty(shape)
            selected = select_chunks(
                starts,
                stops,
                _audible(chunks),
                spans.spans,
                self._cutting.settling * samples_per_symbol,
                _MARGIN * samples_per_symbol,
                self._cutting.most,
            )
            kept = np.array(chunks[selected.rows], dtype=np.complex64)
        # Parts of the recording that the front end did not get are outside all annotations.
        length = chunk_length * samples_per_symbol
        skipped = int(start / length) + int((recording.length - start - count) / length)
        selected.dropped.update({Reason.OUTSIDE: skipped} if skipped else {})
        places = np.maximum(0, np.round(starts[selected.rows])).astype(np.int64)
        return selected, kept, places

    def _run(self, flowgraph: Any, look: Callable[[], None]) -> None:
        """Run the flowgraph to its end, and report its progress."""
        finished = threading.Event()

        def wait() -> None:
            flowgraph.wait()
            finished.set()

        flowgraph.keep_errors()
        flowgraph.start()
        thread = threading.Thread(target=wait, name="amrq flowgraph", daemon=True)
        thread.start()
        try:
            while not finished.wait(0.1):
                look()
                if self._interrupted.is_set():
                    raise KeyboardInterrupt
        finally:
            flowgraph.stop()
            if not joined(thread):
                raise AmrqError("the flowgraph did not end when it was stopped, and was abandoned.")
        flowgraph.raise_error()


def _name(recording: Recording, offset: float, one_of: str | None) -> str:
    """Return the name of the files for a recording's chunks; it differs for two signals in one band."""
    stem = recording.path.name.removesuffix(recording.path.suffix)
    if one_of is not None:
        stem += f".{Path(one_of).name}"
    return f"{stem}@{offset:.15g}" if offset else stem


def _require_some(recording: Recording, spans: LabelledSpans, offset: float) -> None:
    if any(span.known for span in spans.spans):
        return
    if spans.unknown_names:
        raise OptionError(
            {"aliases": "--alias NAME=LABEL"},
            "{path}: its annotations are labelled {names}, which cannot be labels: give each a label "
            "({aliases}).",
            path=recording.path,
            names=", ".join(repr(name) for name in spans.unknown_names),
        )
    if spans.elsewhere:
        raise OptionError(
            RecordingOptions,
            "{path}: its {count} annotations are of other places in the band than {place}: give that of the signal "
            "({offset}).",
            path=recording.path,
            count=spans.elsewhere,
            place=engineering(offset, "Hz"),
        )
    raise OptionError(
        {"whole": "--label"},
        "{path} has no annotations with a label: annotate it, or give its label ({whole}).",
        path=recording.path,
    )


def _audible(chunks: Any) -> Any:
    """Return bool [N], whether the gate was open throughout each chunk."""
    audible = np.empty(len(chunks), dtype=np.bool_)
    for start in range(0, len(chunks), _HASHED):
        part = np.abs(chunks[start : start + _HASHED]) ** 2
        audible[start : start + _HASHED] = part.min(axis=1) > SILENCE_POWER
    return audible
