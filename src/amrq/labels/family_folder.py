# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts of recorded signals with the name of their family, and the folder in which they are kept."""

import hashlib
import io
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq._version import __version__
from amrq.errors import AmrqError
from amrq.files import made_folder, parsing, read_arrays, write_whole
from amrq.labels.labels_folder import label_name
from amrq.plain_values import from_plain
from amrq.text import is_file_name, printable

__all__ = ["FamilyCuts", "FamilyFolder", "HeldOutCuts"]

_FORMAT, _VERSION = "gr-amrq family cuts", 1
_LARGEST_ABOUT, _LARGEST_ARRAYS = 1 << 20, 1 << 32
_HELD_OUT = 0.2
_FEWEST_RECORDINGS = 3


@dataclass(frozen=True)
class FamilyCuts:
    """Cuts of one recording: each a signal of a family about 0 Hz, four samples in the reciprocal of its bandwidth.

    Attributes:
        name: of the recording, and of its files.
        source: file that was cut.
        recording_sha256: of its samples.
        labels: names of families.
        chunks: complex64 [n, length], zeros around bursts that are shorter.
        families: uint8 [n], indices in `labels`.
        starts: int64 [n], first sample of each cut in the recording.
        sha256: of the file of arrays.

    Raises:
        AmrqError: the arrays do not fit each other.
    """

    name: str
    source: str
    recording_sha256: str
    labels: tuple[str, ...]
    chunks: NDArray[np.complex64]
    families: NDArray[np.uint8]
    starts: NDArray[np.int64]
    sha256: str = ""

    def __post_init__(self) -> None:
        """Check the arrays."""
        fits = (
            self.chunks.ndim == 2
            and self.chunks.dtype == np.complex64
            and len(self.chunks) == len(self.families) == len(self.starts)
            and bool(np.isfinite(self.chunks).all())
            and bool((self.families < len(self.labels)).all())
            and all(label_name(one) == one for one in self.labels)
        )
        if not fits:
            raise AmrqError(f"{printable(self.name)} holds no cuts of families: label the recording again.")

    @property
    def counts(self) -> dict[str, int]:
        """Cuts of each family."""
        found = Counter(int(one) for one in self.families)
        return {name: found[number] for number, name in enumerate(self.labels)}


class HeldOutCuts(NamedTuple):
    """Cuts by family, complex64 [n, length]: those to learn from, and those to test with."""

    learnt: dict[str, NDArray[np.complex64]]
    tested: dict[str, NDArray[np.complex64]]


class FamilyFolder:
    """A folder of cuts: `NAME.npz` with the arrays `chunks`, `families` and `starts`, and `NAME.json`.

    Labelling a recording again replaces its own files; those of another recording of that name are refused.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def holds_cuts(self) -> bool:
        """Return whether there is anything in it that describes itself as cuts."""
        return any(_FORMAT.encode() in about.read_bytes()[:1000] for about in self.path.glob("*.json"))

    def write(self, cuts: FamilyCuts) -> FamilyCuts:
        """Write a recording's cuts.

        Returns:
            the cuts, with the file's hash.

        Raises:
            AmrqError: the files of that name are of another recording, or cannot be written.
        """
        if not is_file_name(cuts.name):
            raise AmrqError(f"{printable(cuts.name, 80)!r} cannot be a file's name: rename the recording.")
        made_folder(self.path)
        about, arrays = self.path / f"{cuts.name}.json", self.path / f"{cuts.name}.npz"
        if about.exists() and self._described(about).recording_sha256 != cuts.recording_sha256:
            raise AmrqError(
                f"{about} holds the cuts of another recording, which are not overwritten: choose another folder, or "
                "another name for the recording."
            )
        buffer = io.BytesIO()
        np.savez(buffer, chunks=cuts.chunks, families=cuts.families, starts=cuts.starts)
        content = buffer.getvalue()
        written = replace(cuts, sha256=hashlib.sha256(content).hexdigest())
        write_whole(arrays, content)
        write_whole(about, (json.dumps(asdict(_Description.of(written)), indent=1) + "\n").encode())
        return written

    def read(self) -> list[FamilyCuts]:
        """Return the cuts of all recordings, in the order of their names.

        Raises:
            AmrqError: the folder is missing or holds no cuts, or a file cannot be used.
        """
        if not os.path.isdir(self.path):
            raise AmrqError(f"there is no folder {printable(self.path)}: 'amrq label --family' makes one.")
        found = [self._read(about) for about in sorted(self.path.glob("*.json"))]
        if not found:
            raise AmrqError(f"{printable(self.path)} holds no cuts: 'amrq label --family' writes them.")
        lengths = {one.chunks.shape[1] for one in found}
        if len(lengths) > 1:
            raise AmrqError(
                f"{printable(self.path)} holds cuts of different lengths: label all of them again."
            )
        return found

    def held_out(self) -> HeldOutCuts:
        """Return the cuts by family, divided: of three recordings of a family or more, the last one is for testing.

        Of fewer recordings, the last fifth of the cuts of each, in time.

        Raises:
            AmrqError: as `read`.
        """
        learnt: dict[str, list[NDArray[np.complex64]]] = {}
        tested: dict[str, list[NDArray[np.complex64]]] = {}
        recordings = self.read()
        for label in dict.fromkeys(name for one in recordings for name in one.labels):
            mine = [
                one.chunks[one.families == one.labels.index(label)]
                for one in recordings
                if label in one.labels
            ]
            mine = [chunks for chunks in mine if len(chunks)]
            if len(mine) >= _FEWEST_RECORDINGS:
                learnt[label], tested[label] = mine[:-1], mine[-1:]
                continue
            for chunks in mine:
                kept = len(chunks) - round(_HELD_OUT * len(chunks))
                learnt.setdefault(label, []).append(chunks[:kept])
                tested.setdefault(label, []).append(chunks[kept:])
        return HeldOutCuts(
            *({name: np.concatenate(some) for name, some in one.items()} for one in (learnt, tested))
        )

    def _described(self, about: Path) -> "_Description":
        with about.open("rb") as file:
            content = file.read(_LARGEST_ABOUT + 1)
        with parsing(about):
            values = json.loads(content[:_LARGEST_ABOUT])
            if values.get("format") != _FORMAT or values.get("version") != _VERSION:
                raise AmrqError(
                    f"{printable(about)} does not describe cuts of families of version {_VERSION}: remove it from the "
                    "folder, or label again."
                )
            return from_plain(values, _Description, "entry of a description of cuts")

    def _read(self, about: Path) -> FamilyCuts:
        said, arrays = self._described(about), about.with_suffix(".npz")
        try:
            content = arrays.read_bytes() if arrays.stat().st_size <= _LARGEST_ARRAYS else b""
        except OSError as error:
            raise AmrqError(f"{printable(arrays)} cannot be read: {error.strerror}.") from None
        if hashlib.sha256(content).hexdigest() != said.sha256:
            raise AmrqError(
                f"{printable(arrays)} is not the file that {printable(about.name)} describes: label again."
            )
        with parsing(arrays):
            file = read_arrays(content, len(content), name=arrays)
            chunks, families, starts = (file[name] for name in ("chunks", "families", "starts"))
        return FamilyCuts(
            about.stem, said.source, said.recording_sha256, said.labels, chunks, families, starts, said.sha256
        )


@dataclass(frozen=True)
class _Description:
    """The content of `NAME.json`."""

    format: str
    version: int
    program: str
    source: str
    recording_sha256: str
    labels: tuple[str, ...]
    counts: dict[str, int]
    length: int
    sha256: str

    @classmethod
    def of(cls, cuts: FamilyCuts) -> "_Description":
        return cls(
            _FORMAT,
            _VERSION,
            f"gr-amrq {__version__}",
            cuts.source,
            cuts.recording_sha256,
            cuts.labels,
            cuts.counts,
            cuts.chunks.shape[1],
            cuts.sha256,
        )
