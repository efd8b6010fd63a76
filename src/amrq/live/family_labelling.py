# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts of recorded signals with the name of their family: what a family model is trained with."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import FamilyModel
from amrq.errors import AmrqError
from amrq.labels import FamilyCuts, FamilyFolder, label_name
from amrq.live.labelling import Naming
from amrq.live.recording import RecordingOptions, say_notes
from amrq.measure import measure_emission
from amrq.options import OptionError
from amrq.recordings import Annotation, Recording, open_recording
from amrq.text import printable

__all__ = ["FamilyLabeller", "LabelledFamilies"]

_LONGEST = 1 << 21
"""Samples of a recording that are measured at a time."""
_FEWEST = 256
"""Samples of a cut, at its own rate, at least: shorter bursts say too little."""
_OWN = "gr-amrq"
_HASHED = 1 << 20
_MOST = 2_000
"""Cuts of a recording: further ones are left out, evenly."""


class LabelledFamilies(NamedTuple):
    """What was cut out of a recording.

    Attributes:
        cuts: of each family.
        short: stretches that were too short.
        unseen: labelled stretches in which nothing stood out of the noise.
    """

    cuts: dict[str, int]
    short: int
    unseen: int


@dataclass
class _Found:
    chunks: list[NDArray[np.complex64]]
    labels: list[str]
    starts: list[int]
    short: int = 0
    unseen: int = 0


class FamilyLabeller:
    """Cuts labelled signals out of recordings, and writes them to a folder.

    A signal's edges are those of its annotation; where that has none, those of what stands out of the noise in it. A
    stretch that is longer than a chunk of the model gives several cuts, each burst at least one.

    Args:
        folder: where cuts are written.
        recording: options of the recordings; `symbol_rate` and `offset` are not used.
        naming: labels of recordings' parts.
        model: family model, for the length of a cut.
        say: called with each sentence for the user about a recording.
        interrupted: set it to stop: `label` then raises `KeyboardInterrupt`.

    Raises:
        AmrqError: the model cannot be used.
    """

    def __init__(
        self,
        folder: FamilyFolder,
        recording: RecordingOptions | None = None,
        naming: Naming | None = None,
        model: str = "family",
        say: Callable[[str], None] = lambda sentence: None,
        interrupted: threading.Event | None = None,
    ) -> None:
        self._folder, self._options = folder, recording or RecordingOptions()
        self._naming, self._say = naming or Naming(), say
        self._interrupted = interrupted or threading.Event()
        self._model = FamilyModel(model)

    def label(
        self, path: Path, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> LabelledFamilies:
        """Cut a recording, and write the cuts, if there are any.

        Args:
            path: a recording.
            progress: called repeatedly with the samples read and the samples in all.

        Raises:
            AmrqError: the recording cannot be read, nothing in it is labelled, or nothing of it can be used.
            KeyboardInterrupt: `interrupted` was set.
        """
        options = self._options
        recording = open_recording(path, options.format, options.sample_rate, options.recording_name)
        say_notes(recording, self._say)
        found = _Found([], [], [])
        for annotation, label in self._labelled(recording):
            stop = min(recording.length, annotation.start + annotation.count)
            for start in range(max(0, annotation.start), stop, _LONGEST):
                if self._interrupted.is_set():
                    raise KeyboardInterrupt
                self._cut(recording, start, min(stop, start + _LONGEST), annotation.band, label, found)
                progress(min(stop, start + _LONGEST), recording.length)
        if not found.chunks:
            why = "nothing stands out of the noise in them" if found.unseen else "they are too short"
            raise AmrqError(f"{printable(path)}: none of its labelled parts can be used: {why}.")
        order = np.argsort(found.starts, kind="stable")
        if len(order) > _MOST:
            order = order[np.linspace(0, len(order) - 1, _MOST).round().astype(np.int64)]
        labels = tuple(dict.fromkeys(found.labels))
        stem = recording.path.name.removesuffix(recording.path.suffix)
        written = self._folder.write(
            FamilyCuts(
                stem,
                recording.path.name,
                self._sha256(recording),
                labels,
                np.stack([found.chunks[one] for one in order]),
                np.array([labels.index(found.labels[one]) for one in order], np.uint8),
                np.array([found.starts[one] for one in order], np.int64),
            )
        )
        return LabelledFamilies(written.counts, found.short, found.unseen)

    def _labelled(self, recording: Recording) -> list[tuple[Annotation, str]]:
        """Return the labelled parts of a recording, each with the name of its family."""
        aliases = {text.casefold(): meant for text, meant in self._naming.aliases.items()}
        theirs = [one for one in recording.annotations if one.label and not one.generator.startswith(_OWN)]
        if self._naming.whole is not None:
            if theirs:
                raise AmrqError(f"{printable(recording.path)} has annotations: leave --label out.")
            name = label_name(self._naming.whole)
            if name is None:
                raise AmrqError(
                    f"{printable(self._naming.whole, 80)!r} is no family's name: at most 64 characters."
                )
            return [(Annotation(0, recording.length, name), name)]
        named = [(one, label_name(aliases.get(one.label.casefold(), one.label))) for one in theirs]
        kept = [(one, name) for one, name in named if name is not None]
        if not kept:
            raise OptionError(
                {"whole": "--label"},
                "{path} has no annotations with a label: annotate it, or give its label ({whole}).",
                path=recording.path,
            )
        return kept

    def _cut(
        self,
        recording: Recording,
        start: int,
        stop: int,
        band: tuple[float, float] | None,
        label: str,
        found: _Found,
    ) -> None:
        """Cut a labelled stretch into chunks of the model."""
        iq = np.asarray(recording.read(start, stop - start), np.complex64)
        rate = recording.sample_rate
        if band is not None and 0 < band[1] - band[0] <= rate:
            edges, on = band, [(0, len(iq))]
        else:
            measured = measure_emission(iq, rate, with_symbol_rate=False)
            if not (measured.bandwidth > 0 and len(measured.on_times)):
                found.unseen += 1
                return
            edges = measured.lower, measured.upper
            on = [(int(first), int(last)) for first, last in measured.on_times]
        step = rate / (self._model.samples_per_bandwidth * (edges[1] - edges[0]))
        window = max(1, round(self._model.length * step))
        for first, last in _joined(on, window // 8):
            if (last - first) / step < _FEWEST:
                found.short += 1
                continue
            for at in range(first, last, window):
                until = min(last, at + window)
                if (until - at) / step < _FEWEST:
                    continue
                [chunk] = self._model.prepare(iq[at:until], rate, edges, 1)
                if np.abs(chunk).max() > 0:
                    found.chunks.append(chunk)
                    found.labels.append(label)
                    found.starts.append(start + at)

    def _sha256(self, recording: Recording) -> str:
        hashed = hashlib.sha256()
        for start in range(0, recording.length, _HASHED):
            hashed.update(recording.read(start, min(_HASHED, recording.length - start)).tobytes())
        return hashed.hexdigest()


def _joined(times: list[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    """Return times with short gaps closed.

    >>> _joined([(0, 10), (12, 20), (40, 50)], 5)
    [(0, 20), (40, 50)]
    """
    kept: list[tuple[int, int]] = []
    for start, stop in times:
        if kept and start - kept[-1][1] <= gap:
            kept[-1] = (kept[-1][0], stop)
        else:
            kept.append((start, stop))
    return kept
