# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of labelled chunks, two files a recording."""

import hashlib
import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from amrq._version import __version__
from amrq.errors import AmrqError
from amrq.labels.label_name import LABELS
from amrq.labels.labelled_chunks import LabelledChunks
from amrq.whole_file import write_whole

__all__ = ["LabelsFolder"]

_FORMAT = "gr-amrq labelled chunks"
_VERSION = 1
_ARRAYS = ("chunks", "labels", "sample_index")


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
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AmrqError(f"the folder {self.path} cannot be made: {error.strerror}.") from None

    def check_free(self, name: str, recording_sha256: str) -> None:
        """Refuse a name whose files hold another recording's chunks, or are none of this program's.

        Raises:
            AmrqError: they do.
        """
        about, arrays = self._files(name)
        if not about.exists() and not arrays.exists():
            return
        try:
            found = json.loads(about.read_text(encoding="utf-8"))
            same = found["format"] == _FORMAT and found["recording_sha256"] == recording_sha256
        except (OSError, ValueError, KeyError, TypeError):
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
        if not self.path.is_dir():
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
        return self.path / f"{name}.json", self.path / f"{name}.npz"

    def _read(self, about: Path) -> LabelledChunks:
        arrays = about.with_name(about.name.removesuffix(".json") + ".npz")
        try:
            said: dict[str, Any] = json.loads(about.read_text(encoding="utf-8"))
            if not isinstance(said, dict) or said.get("format") != _FORMAT:
                raise AmrqError(f"{about} does not describe labelled chunks: remove it from the folder.")
            if said["version"] != _VERSION:
                raise AmrqError(
                    f"{about} is of version {said['version']} and this program reads version {_VERSION}: label the "
                    "recording anew."
                )
            content = arrays.read_bytes()
            if hashlib.sha256(content).hexdigest() != said["sha256"]:
                raise AmrqError(
                    f"{arrays} is not the file that {about.name} describes: label the recording anew."
                )
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                chunks, labels, index = (file[name] for name in _ARRAYS)
                es_n0_db = file.get("es_n0_db")
            names = said["labels"]
            if any(name not in LABELS for name in names):
                strange = next(name for name in names if name not in LABELS)
                raise AmrqError(f"{about} names a label {strange!r} that is none of {', '.join(LABELS)}.")
            if len(labels) and labels.max() >= len(names):
                raise AmrqError(
                    f"{arrays} holds a label {labels.max()}, but {about.name} names {len(names)}."
                )
            found = LabelledChunks(
                name=about.name.removesuffix(".json"),
                source=str(said["source"]),
                recording_sha256=str(said["recording_sha256"]),
                sample_rate=float(said["sample_rate"]),
                symbol_rate=float(said["symbol_rate"]),
                offset=float(said["offset"]),
                chunks=chunks,
                labels=np.array([LABELS.index(name) for name in names], np.uint8)[labels],
                sample_index=index,
                dropped={str(why): int(count) for why, count in said["dropped"].items()},
                sha256=str(said["sha256"]),
                es_n0_db=es_n0_db,
            )
        except AmrqError:
            raise
        except OSError as error:
            raise AmrqError(f"{error.filename} cannot be read: {error.strerror}.") from None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, zipfile.BadZipFile) as error:
            raise AmrqError(
                f"{about} and {arrays.name} are no labelled chunks ({type(error).__name__}: {error}): label the "
                "recording anew."
            ) from None
        return found


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
