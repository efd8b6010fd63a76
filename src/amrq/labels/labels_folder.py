# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of labelled chunks, two files a recording."""

import hashlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from amrq._version import __version__
from amrq.errors import AmrqError
from amrq.labels.label_name import LABELS
from amrq.labels.labelled_chunks import LabelledChunks
from amrq.parsing import parsing
from amrq.plain_text import name_fault, printable
from amrq.read_arrays import read_arrays
from amrq.whole_file import made_folder, write_whole

__all__ = ["LabelsFolder"]

_FORMAT = "gr-amrq labelled chunks"
_VERSION = 1
_ARRAYS = ("chunks", "labels", "sample_index")
_LONGEST_NAME = 200
_LARGEST_ABOUT = 1 << 20
_LARGEST_ARRAYS = 1 << 34


class LabelsFolder:
    """Labelled chunks on disk: `NAME.npz` with the arrays `chunks`, `labels` and `sample_index`, and `NAME.json`.

    Where the Es/N0 of the chunks is known, `NAME.npz` holds `es_n0_db` as well. Of both files the content depends on
    nothing but what is labelled, so that writing the same again changes nothing. docs/label.md describes the fields.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def make(self) -> None:
        """Make the folder if it is not there.

        Raises:
            AmrqError: it cannot be made.
        """
        made_folder(self.path)

    def check_free(self, name: str, recording_sha256: str) -> None:
        """Refuse a name whose files hold another recording's chunks, or are none of this program's.

        Raises:
            AmrqError: they do.
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
        """Write a recording's chunks, in place of what an earlier run made of the same recording.

        Returns:
            the same, with the hash of the file.

        Raises:
            AmrqError: the files of that name hold another recording's, or cannot be written.
        """
        self.check_free(chunks.name, chunks.recording_sha256)
        about, arrays = self._files(chunks.name)
        buffer = io.BytesIO()
        # Not compressed: noise does not get smaller, and without zlib's version the bytes are the same everywhere.
        # Any: NumPy 2's stubs take what stands behind ** for savez's own option too, which is a bool.
        known: dict[str, Any] = {} if chunks.es_n0_db is None else {"es_n0_db": chunks.es_n0_db}
        np.savez(
            buffer, chunks=chunks.chunks, labels=chunks.labels, sample_index=chunks.sample_index, **known
        )
        content = buffer.getvalue()
        written = replace(chunks, sha256=hashlib.sha256(content).hexdigest())
        write_whole(arrays, content)
        write_whole(about, (json.dumps(_about(written), indent=1) + "\n").encode())
        return written

    def read(self) -> list[LabelledChunks]:
        """Return all there are, in the order of their names.

        Raises:
            AmrqError: there is no such folder, it holds none, or one cannot be used.
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
        """Return what stands in a file of the folder, and nowhere else."""
        if file.resolve().parent != self.path.resolve() or (
            os.path.exists(file) and not os.path.isfile(file)
        ):
            raise AmrqError(
                f"{printable(file)} is no file in the folder itself: put the file there, or label the recording anew."
            )
        with file.open("rb") as stream:
            content = stream.read(most + 1)
        if len(content) > most:
            raise AmrqError(f"{printable(file)} has more than {most:,} bytes: label the recording anew.")
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
        except Exception as error:  # whatever a parser makes of a file that is broken or hostile
            raise AmrqError(
                f"{printable(about)} and {printable(arrays.name)} are no labelled chunks ({type(error).__name__}: "
                f"{printable(error, 200)}): label the recording anew."
            ) from None

    def _labelled(self, name: str, about: Path, arrays: Path) -> LabelledChunks:
        said: dict[str, Any] = json.loads(self._content(about, _LARGEST_ABOUT))
        if not isinstance(said, dict) or said.get("format") != _FORMAT:
            raise AmrqError(f"{about} does not describe labelled chunks: remove it from the folder.")
        if said["version"] != _VERSION:
            raise AmrqError(
                f"{about} is of version {printable(said['version'], 40)} and this program reads version {_VERSION}: "
                "label the recording anew."
            )
        content = self._content(arrays, _LARGEST_ARRAYS)
        if hashlib.sha256(content).hexdigest() != said["sha256"]:
            raise AmrqError(
                f"{arrays} is not the file that {about.name} describes: label the recording anew."
            )
        # They are not compressed: what claims more than the file holds is refused.
        file = read_arrays(content, len(content), name=arrays)
        chunks, labels, index = (file[array] for array in _ARRAYS)
        names = said["labels"]
        strange = [label for label in names if label not in LABELS]
        if strange:
            raise AmrqError(
                f"{about} names a label {printable(strange[0], 80)!r} that is none of {', '.join(LABELS)}."
            )
        if labels.ndim != 1 or labels.dtype.kind != "u":
            raise AmrqError(f"{arrays} holds labels of {labels.ndim} axes and type {labels.dtype}.")
        if len(labels) and labels.max() >= len(names):
            raise AmrqError(f"{arrays} holds a label {labels.max()}, but {about.name} names {len(names)}.")
        return LabelledChunks(
            name=name,
            source=str(said["source"]),
            recording_sha256=str(said["recording_sha256"]),
            sample_rate=float(said["sample_rate"]),
            symbol_rate=float(said["symbol_rate"]),
            offset=float(said["offset"]),
            chunks=chunks,
            labels=np.array([LABELS.index(label) for label in names], np.uint8)[labels],
            sample_index=index,
            dropped={str(why): int(count) for why, count in said["dropped"].items()},
            sha256=str(said["sha256"]),
            es_n0_db=file.get("es_n0_db"),
        )


def _about(chunks: LabelledChunks) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "program": f"gr-amrq {__version__}",
        "source": chunks.source,
        "recording_sha256": chunks.recording_sha256,
        "sample_rate": chunks.sample_rate,
        "symbol_rate": chunks.symbol_rate,
        "offset": chunks.offset,
        "chunk_length": chunks.chunk_length,
        "labels": list(LABELS),
        "counts": chunks.counts,
        "dropped": chunks.dropped,
        "sha256": chunks.sha256,
    }
