# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled chunks, their division into training and test chunks, and the folder in which they are stored."""

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq._version import __version__
from amrq.classes import LINEAR_CLASSES, THESIS_9
from amrq.errors import AmrqError
from amrq.files import made_folder, parsing, read_arrays, write_whole
from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.plain_values import from_plain
from amrq.text import name_fault, printable

__all__ = ["LABELS", "HeldOut", "LabelledChunks", "LabelsFolder", "hold_out", "label_name", "numbered_labels"]

LABELS = (*THESIS_9, UNKNOWN, NO_SIGNAL)
"""The usual labels: the thesis's nine modulations, `unknown` for every other signal, `no signal` for noise alone."""

_LONGEST_LABEL = 64
_MOST_LABELS = 256
"""Different labels of one recording's chunks: each chunk's is a byte."""


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter not in " -_")


_BY_PLAIN = {_plain(name): name for name in (*LINEAR_CLASSES, *LABELS)}


def label_name(text: str) -> str | None:
    """Return the label for a text.

    For names of known classes, `unknown` and `no signal`, case, spaces, - and _ do not matter: `qpsk`, `16-QAM`, `No
    signal`. Any other text is a label of its own, unchanged.

    Returns:
        the label; None for a text that is empty, not printable or longer than 64 characters.

    >>> label_name("QPSK"), label_name(" 8psk ")
    ('QPSK', '8PSK')
    """
    own = text.strip()
    return _BY_PLAIN.get(_plain(own)) or (None if name_fault(own, _LONGEST_LABEL) else own)


def numbered_labels(labels: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """Return the names of labels, the usual ones first, and each label as an index into them: uint8 [N].

    Raises:
        AmrqError: there are more than 256 names.

    >>> names, indices = numbered_labels(["GMSK", "4ASK", "GMSK"])
    >>> names[-1], indices.tolist()
    ('GMSK', [11, 0, 11])
    """
    names = tuple(dict.fromkeys((*LABELS, *labels)))
    if len(names) > _MOST_LABELS:
        own = _MOST_LABELS - len(LABELS)
        raise AmrqError(
            f"the chunks of one recording can have {own} labels beside the usual ones, not {len(names) - len(LABELS)}."
        )
    number = {name: index for index, name in enumerate(names)}
    return names, np.array([number[label] for label in labels], dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class LabelledChunks:
    """Chunks of one recording, from a symbol front end.

    Attributes:
        name: of the files: the recording's name, followed by `@` and the offset in Hz if the offset is not 0.
        source: file name of the recording.
        recording_sha256: of its samples (complex64, as read).
        sample_rate: of the recording, Hz.
        symbol_rate: Bd.
        offset: of the signal from the middle of the band, Hz.
        chunks: complex64 [N, L], one sample a symbol, any level and rotation; finite, none silent.
        labels: uint8 [N], index in `names`.
        sample_index: int64 [N], rising: sample of the recording at which each chunk begins.
        es_n0_db: float32 [N], Es/N0 of each chunk if it is known, as in a simulation; otherwise None.
        dropped: number of other chunks, by reason.
        sha256: of the file of arrays; empty until written.
        names: the labels, at most 256 different ones.

    Raises:
        AmrqError: an array is not as described.
    """

    name: str
    source: str
    recording_sha256: str
    sample_rate: float
    symbol_rate: float
    offset: float
    chunks: NDArray[np.complex64]
    labels: NDArray[np.uint8]
    sample_index: NDArray[np.int64]
    dropped: dict[str, int] = field(default_factory=dict)
    sha256: str = ""
    es_n0_db: NDArray[np.float32] | None = None
    names: tuple[str, ...] = LABELS

    def __post_init__(self) -> None:
        """Check the arrays."""

        def require(holds: Any, what: str) -> None:
            if not holds:
                raise AmrqError(f"the labelled chunks {self.name} cannot be used: {what}.")

        chunks, labels, index = self.chunks, self.labels, self.sample_index
        arrays: list[tuple[NDArray[Any], type[np.generic], int, str]] = [
            (chunks, np.complex64, 2, "chunks"),
            (labels, np.uint8, 1, "labels"),
            (index, np.int64, 1, "sample_index"),
        ]
        if self.es_n0_db is not None:
            arrays.append((self.es_n0_db, np.float32, 1, "es_n0_db"))
        for array, dtype, axes, name in arrays:
            require(
                array.dtype == dtype and array.ndim == axes,
                f"{name} must be {np.dtype(dtype).name} of {axes} axes, not {array.dtype} of {array.ndim}",
            )
            require(
                len(array) == len(chunks),
                f"there are {len(chunks)} chunks but {len(array)} entries in {name}",
            )
        require(len(chunks) >= 1 and chunks.shape[1] >= 2, f"chunks of shape {chunks.shape} hold nothing")
        require(
            labels.max(initial=0) < len(self.names),
            f"label {labels.max(initial=0)} is none of {len(self.names)}",
        )
        require(len(self.names) <= _MOST_LABELS, f"it has {len(self.names)} labels, more than {_MOST_LABELS}")
        require(
            len(set(self.names)) == len(self.names) and all(label_name(name) == name for name in self.names),
            f"its labels {list(self.names)} are not different names",
        )
        require((np.diff(index) > 0).all() and index[0] >= 0, "sample_index does not rise from 0 up")
        require(np.isfinite(chunks).all(), "a chunk holds a number that is not finite")
        require((np.abs(chunks) ** 2).mean(axis=1).min() > 0, "a chunk is silent")
        if self.es_n0_db is not None:
            require(np.isfinite(self.es_n0_db).all(), "an Es/N0 is not finite")
        for rate in (self.sample_rate, self.symbol_rate):
            require(np.isfinite(rate) and rate > 0, f"{rate} is not a rate")
        require(np.isfinite(self.offset), f"{self.offset} is not an offset")

    @property
    def chunk_length(self) -> int:
        """Symbols a chunk (L)."""
        return int(self.chunks.shape[1])

    @property
    def counts(self) -> dict[str, int]:
        """Chunks by label, in the order of `names`."""
        counted = Counter(self.labels.tolist())
        return {self.names[number]: counted[number] for number in sorted(counted)}


_SHARE = 0.2
_GAP = 4
"""Chunks left out before the held-out ones: a front end's loops remember some 100 symbols, its level 64."""
_FEWEST = 16
"""Of a label in a recording: of fewer, none is held out."""


class HeldOut(NamedTuple):
    """The division of one recording's chunks.

    Attributes:
        learnt: int64, rows to learn from.
        tested: int64, rows held out.
    """

    learnt: NDArray[np.int64]
    tested: NDArray[np.int64]


def hold_out(recordings: Sequence[LabelledChunks], whole: Collection[str] = ()) -> list[HeldOut]:
    """Divide recordings in time: neighbouring chunks share channel, level and carrier and must not be on both sides.

    Of each label in each recording the last fifth in time is held out, and the 4 chunks before it are not used. A
    label with fewer than 16 chunks has none held out. If whole recordings are named, exactly these are held out.

    Args:
        recordings: all recordings.
        whole: names of recordings to hold out.

    Raises:
        AmrqError: a named recording does not exist, or nothing is left to learn from.
    """
    names = [recording.name for recording in recordings]
    for name in whole:
        if name not in names:
            raise AmrqError(
                f"there are not labelled chunks {name!r} to hold out: choose from {', '.join(names)}."
            )
    nothing = np.empty(0, np.int64)
    parted: list[HeldOut] = []
    for recording in recordings:
        every = np.arange(len(recording.labels))
        if whole:
            parted.append(HeldOut(nothing, every) if recording.name in whole else HeldOut(every, nothing))
            continue
        learnt, tested = [nothing], [nothing]
        for label in np.unique(recording.labels):
            mine = np.flatnonzero(recording.labels == label)  # in the order of time
            held = round(_SHARE * len(mine)) if len(mine) >= _FEWEST else 0
            tested.append(mine[len(mine) - held :])
            learnt.append(mine[: len(mine) - held - (_GAP if held else 0)])
        parted.append(HeldOut(np.sort(np.concatenate(learnt)), np.sort(np.concatenate(tested))))
    if not any(len(part.learnt) for part in parted):
        raise AmrqError("all labelled chunks are held out, and none is left to learn from.")
    return parted


_FORMAT = "gr-amrq labelled chunks"
_VERSION = 1
_ARRAYS = ("chunks", "labels", "sample_index")
_LONGEST_NAME = 200
_LARGEST_ABOUT = 1 << 20
_LARGEST_ARRAYS = 1 << 34


class LabelsFolder:
    """A folder of labelled chunks: `NAME.npz` with the arrays `chunks`, `labels` and `sample_index`, and `NAME.json`.

    If the Es/N0 of the chunks is known, `NAME.npz` also has `es_n0_db`. The content of both files depends only on the
    labelled chunks: writing the same chunks again gives the same files. docs/label.md describes the fields.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def make(self) -> None:
        """Make the folder if it is missing.

        Raises:
            AmrqError: the folder cannot be made.
        """
        made_folder(self.path)

    def check_free(self, name: str, recording_sha256: str) -> None:
        """Refuse a name whose files hold another recording's chunks, or were not written by this program.

        Raises:
            AmrqError: the name is refused.
        """
        about, arrays = self._files(name)
        if not os.path.exists(about) and not os.path.exists(arrays):
            return
        try:
            with parsing(about):
                found = json.loads(self._content(about, _LARGEST_ABOUT))
                same = found["format"] == _FORMAT and found["recording_sha256"] == recording_sha256
        except AmrqError:
            same = False
        if not same:
            raise AmrqError(
                f"{about} holds the chunks of another recording, which are not overwritten: choose another folder, or "
                "another name for the recording."
            )

    def write(self, chunks: LabelledChunks) -> LabelledChunks:
        """Write a recording's chunks; files of an earlier run on the same recording are replaced.

        Returns:
            the chunks, with the file's hash.

        Raises:
            AmrqError: the files of that name hold another recording's chunks, or cannot be written.
        """
        self.check_free(chunks.name, chunks.recording_sha256)
        about, arrays = self._files(chunks.name)
        buffer = io.BytesIO()
        # Not compressed: noise does not shrink, and the bytes do not depend on the version of zlib.
        # Any: NumPy 2's stubs take what stands behind ** for savez's own option too, which is a bool.
        known: dict[str, Any] = {} if chunks.es_n0_db is None else {"es_n0_db": chunks.es_n0_db}
        np.savez(
            buffer, chunks=chunks.chunks, labels=chunks.labels, sample_index=chunks.sample_index, **known
        )
        content = buffer.getvalue()
        written = replace(chunks, sha256=hashlib.sha256(content).hexdigest())
        write_whole(arrays, content)
        write_whole(about, (json.dumps(asdict(_Description.of(written)), indent=1) + "\n").encode())
        return written

    def read(self) -> list[LabelledChunks]:
        """Return the labelled chunks of all recordings, in the order of their names.

        Raises:
            AmrqError: the folder is missing or holds no labelled chunks, or a file cannot be used.
        """
        if not os.path.isdir(self.path):
            raise AmrqError(f"there is no folder {self.path}: 'amrq label' makes one.")
        abouts = sorted(self.path.glob("*.json"))
        if not abouts:
            raise AmrqError(f"the folder {self.path} holds no labelled chunks: 'amrq label' writes them.")
        found = [self._read(about) for about in abouts]
        lengths = {chunks.chunk_length for chunks in found}
        if len(lengths) > 1:
            raise AmrqError(
                f"{self.path} holds chunks of {' and '.join(map(str, sorted(lengths)))} symbols: keep each length in a "
                "folder of its own."
            )
        return found

    def _files(self, name: str) -> tuple[Path, Path]:
        fault = name_fault(name, _LONGEST_NAME) or ("holds a /" if "/" in name or "\\" in name else "")
        if fault or name.startswith("."):
            raise AmrqError(
                f"labelled chunks cannot be called {printable(name, 80)!r}, which {fault or 'begins with a dot'}: give "
                "the recording another name."
            )
        return self.path / f"{name}.json", self.path / f"{name}.npz"

    def _content(self, file: Path, most: int) -> bytes:
        """Return the content of a file, which must lie inside the folder."""
        if file.resolve().parent != self.path.resolve() or (
            os.path.exists(file) and not os.path.isfile(file)
        ):
            raise AmrqError(
                f"{printable(file)} is not a file in the folder itself: put the file there, or label the recording "
                "again."
            )
        with file.open("rb") as stream:
            content = stream.read(most + 1)
        if len(content) > most:
            raise AmrqError(f"{printable(file)} has more than {most:,} bytes: label the recording again.")
        return content

    def _read(self, about: Path) -> LabelledChunks:
        name = about.name.removesuffix(".json")
        arrays = about.with_name(f"{name}.npz")
        try:
            return self._labelled(name, about, arrays)
        except AmrqError as error:
            raise AmrqError(printable(error, 600)) from None
        except OSError as error:
            raise AmrqError(f"{printable(error.filename)} cannot be read: {error.strerror}.") from None
        except Exception as error:  # a parser may raise anything on a broken or hostile file
            raise AmrqError(
                f"{printable(about)} and {printable(arrays.name)} are not labelled chunks ({type(error).__name__}: "
                f"{printable(error, 200)}): label the recording again."
            ) from None

    def _labelled(self, name: str, about: Path, arrays: Path) -> LabelledChunks:
        values = json.loads(self._content(about, _LARGEST_ABOUT))
        if not isinstance(values, dict) or values.get("format") != _FORMAT:
            raise AmrqError(f"{about} does not describe labelled chunks: remove it from the folder.")
        if values.get("version") != _VERSION:
            raise AmrqError(
                f"{about} is of version {printable(values.get('version'), 40)} and this program reads version "
                f"{_VERSION}: label the recording again."
            )
        try:
            said = from_plain(values, _Description, "entry of a description of labelled chunks")
        except AmrqError as error:
            raise AmrqError(
                f"{about} and {arrays.name} are not labelled chunks: {error} Label the recording again."
            ) from None
        content = self._content(arrays, _LARGEST_ARRAYS)
        if hashlib.sha256(content).hexdigest() != said.sha256:
            raise AmrqError(
                f"{arrays} is not the file that {about.name} describes: label the recording again."
            )
        # The arrays are not compressed: an array larger than the file is refused.
        file = read_arrays(content, len(content), name=arrays)
        chunks, labels, index = (file[array] for array in _ARRAYS)
        if labels.ndim != 1 or labels.dtype.kind != "u":
            raise AmrqError(f"{arrays} holds labels of {labels.ndim} axes and type {labels.dtype}.")
        if len(labels) and labels.max() >= len(said.labels):
            raise AmrqError(
                f"{arrays} holds a label {labels.max()}, but {about.name} names {len(said.labels)}."
            )
        return LabelledChunks(
            name=name,
            source=said.source,
            recording_sha256=said.recording_sha256,
            sample_rate=said.sample_rate,
            symbol_rate=said.symbol_rate,
            offset=said.offset,
            chunks=chunks,
            labels=labels.astype(np.uint8, casting="same_kind"),
            sample_index=index,
            dropped=said.dropped,
            sha256=said.sha256,
            es_n0_db=file.get("es_n0_db"),
            names=said.labels,
        )


@dataclass(frozen=True)
class _Description:
    """The content of `NAME.json`; docs/label.md describes the entries."""

    format: str
    version: int
    program: str
    source: str
    recording_sha256: str
    sample_rate: float
    symbol_rate: float
    offset: float
    chunk_length: int
    labels: tuple[str, ...]
    counts: dict[str, int]
    dropped: dict[str, int]
    sha256: str

    @classmethod
    def of(cls, chunks: LabelledChunks) -> "_Description":
        return cls(
            format=_FORMAT,
            version=_VERSION,
            program=f"gr-amrq {__version__}",
            source=chunks.source,
            recording_sha256=chunks.recording_sha256,
            sample_rate=chunks.sample_rate,
            symbol_rate=chunks.symbol_rate,
            offset=chunks.offset,
            chunk_length=chunks.chunk_length,
            labels=chunks.names,
            counts=chunks.counts,
            dropped=chunks.dropped,
            sha256=chunks.sha256,
        )
