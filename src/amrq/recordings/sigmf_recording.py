# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF recordings, read and written."""

import contextlib
import hashlib
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from amrq._version import __version__
from amrq.errors import RecordingError
from amrq.files import parsing, write_whole
from amrq.recordings.open_recording import Reader, Request, add_named_facts
from amrq.recordings.recording import Recording, RecordingInfo
from amrq.recordings.sample_file import RawFormat, SampleFile, file_size, number_format
from amrq.recordings.sigmf_metadata import Capture, SigmfMetadata, read_sigmf_json
from amrq.text import counted, printable

__all__ = ["READERS", "write_sigmf"]

# SigMF recordings: pairs of files, archives, collections.
#
# Read by this module and not by the package `sigmf`, which takes bytes in front of later captures for samples,
# 128 for
# the zero of unsigned bytes, the first of several recordings in an archive without a word, and fails on
# metadata that
# other programs write.

_LARGEST_CHECKSUM = 1 << 30
"""Bytes up to which the data are held against their SHA-512: about two seconds of work."""
_LARGEST_METADATA = 1 << 29
_HASHED = 1 << 20
_MOST_NAMES_SHOWN = 20


@dataclass(frozen=True)
class _Data:
    """Where samples lie: `size` bytes of a file from byte `begin` on."""

    path: Path
    begin: int
    size: int


def _open(request: Request) -> Recording:
    """Open a `.sigmf-meta` with `.sigmf-data` beside it, or one recording of a `.sigmf` archive or a collection.

    Raises:
        RecordingError: a file is missing, broken, or not of one channel.
    """
    path = request.path
    if path.suffix == ".sigmf-data":
        path = path.with_suffix(".sigmf-meta")
        if not path.is_file():
            raise RecordingError(
                f"{request.shown} has no metadata: {printable(path)} is missing; --format would read it as raw."
            )
    with path.open("rb") as file:
        beginning = file.read(512)
    if path.suffix == ".sigmf" or beginning[257:262] == b"ustar":
        return _open_archive(request)
    document = _read_metadata(path)
    if "collection" in document and "global" not in document:
        return _open_collection(request, document)
    request.single()
    return _open_pair(request, path, document, ())


def _read_metadata(path: Path) -> dict[str, Any]:
    if file_size(path) > _LARGEST_METADATA:
        raise RecordingError(f"{printable(path)} is too large for SigMF metadata: more than 512 MiB.")
    return read_sigmf_json(path.read_bytes(), printable(path))


def _open_pair(request: Request, path: Path, document: dict[str, Any], notes: tuple[str, ...]) -> Recording:
    metadata = SigmfMetadata(document, printable(path))
    if metadata.without_data:
        raise RecordingError(
            f"{metadata.name} has no data, as its core:metadata_only says: there is nothing to read."
        )
    data = path.with_suffix(".sigmf-data")
    if metadata.dataset:
        data = _inside(path.parent, metadata.dataset, f"core:dataset of {metadata.name}")
    if not data.exists():
        what = (
            f"its data file {printable(data.name)} is missing"
            if metadata.dataset
            else "its .sigmf-data file is missing"
        )
        raise RecordingError(f"{metadata.name} has no data: {what}.")
    return _recording(request, metadata, _Data(data, 0, file_size(data)), notes)


def _inside(folder: Path, name: str, what: str) -> Path:
    """Return the file of a name from outside, which must lie in the folder.

    Raises:
        RecordingError: it does not, be it by a path or by a symbolic link.
    """
    parts = PurePosixPath(name)
    ended = RecordingError(
        f"{what} is {printable(name, 100)!r}, which lies outside the recording's folder: only files in it are read."
    )
    if parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name or not parts.name:
        raise ended
    found = folder / parts
    if not found.resolve().is_relative_to(folder.resolve()):
        raise ended
    return found


def _open_collection(request: Request, document: dict[str, Any]) -> Recording:
    collection = document["collection"]
    streams = collection.get("core:streams") if isinstance(collection, dict) else None
    names = []
    for stream in streams if isinstance(streams, list) else []:
        # An object with a name; up to SigMF 1.0 a pair of name and hash.
        name = (
            stream.get("name")
            if isinstance(stream, dict)
            else stream[0]
            if isinstance(stream, list) and stream
            else None
        )
        if isinstance(name, str) and name:
            names.append(name.removesuffix(".sigmf-meta"))
    if not names:
        raise RecordingError(
            f"{request.shown} is a SigMF collection without recordings: give one of them itself."
        )
    chosen, notes = _chosen(request, names, "collection")
    meta = _inside(
        request.path.parent, chosen + ".sigmf-meta", f"a recording of the collection {request.shown}"
    )
    if not meta.is_file():
        raise RecordingError(
            f"{request.shown} is a SigMF collection, and its recording {printable(meta)} is missing."
        )
    return _open_pair(request, meta, _read_metadata(meta), notes)


def _chosen(request: Request, names: list[str], kind: str) -> tuple[str, tuple[str, ...]]:
    """Return which of the recordings is asked for, and what to say of it.

    Raises:
        RecordingError: there is no such one.
    """
    shown = ", ".join(printable(name, 100) for name in names[:_MOST_NAMES_SHOWN])
    if len(names) > _MOST_NAMES_SHOWN:
        shown += " ..."
    if request.name is None:
        if len(names) == 1:
            return names[0], ()
        note = (
            f"{request.shown} is a SigMF {kind} of {len(names)} recordings ({shown}): "
            f"{printable(names[0], 100)} is read; "
            "--recording NAME chooses another."
        )
        return names[0], (note,)
    matching = [name for name in names if request.name in (name, PurePosixPath(name).name)]
    if not matching:
        raise RecordingError(
            f"{request.shown} has no recording {printable(request.name, 100)!r}: it holds {shown}."
        )
    return matching[0], ()


def _open_archive(request: Request) -> Recording:
    try:
        with tarfile.open(request.path, "r:") as archive:
            members = _members(archive)
            names = [name.removesuffix(".sigmf-meta") for name in members if name.endswith(".sigmf-meta")]
            if not names:
                raise RecordingError(
                    f"{request.shown} is an archive without SigMF metadata (a .sigmf-meta file), or was cut off before "
                    "it."
                )
            chosen, notes = _chosen(request, names, "archive")
            shown = f"{request.shown} ({printable(chosen, 100)})"
            member = members[chosen + ".sigmf-meta"]
            if member.size > _LARGEST_METADATA or member.issparse():
                raise RecordingError(
                    f"the metadata of {shown} are too large, more than 512 MiB, or have holes."
                )
            file = archive.extractfile(member)
            document = read_sigmf_json(b"" if file is None else file.read(), shown)
    except tarfile.TarError as error:
        raise RecordingError(
            f"{request.shown} cannot be read as a SigMF archive, which is a tar file without compression: "
            f"{printable(error).rstrip('.')}; unpack it and give its .sigmf-meta."
        ) from None
    metadata = SigmfMetadata(document, shown)
    data = members.get(chosen + ".sigmf-data")
    if data is None and metadata.dataset:
        data = members.get(str(PurePosixPath(chosen).with_name(PurePosixPath(metadata.dataset).name)))
    if data is None or data.issparse():
        raise RecordingError(f"{shown} has no data: its .sigmf-data is not in the archive.")
    there = max(0, min(data.size, file_size(request.path) - data.offset_data))
    if there < data.size:
        lost = counted(data.size - there, "byte")
        notes += (f"{request.shown} is cut: {lost} of its data missing at the end.",)
    return _recording(request, metadata, _Data(request.path, data.offset_data, there), notes)


def _members(archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """Return the ordinary files of an archive by name; of one that was cut, those that begin before its end."""
    members: dict[str, tarfile.TarInfo] = {}
    with contextlib.suppress(tarfile.ReadError):
        for member in archive:
            if member.size < 0:  # the next one would be this one, or one before it, for ever
                raise tarfile.HeaderError("a file in it has a size below 0")
            if member.isreg():
                members.setdefault(member.name.removeprefix("./"), member)
    return members


def _recording(request: Request, metadata: SigmfMetadata, data: _Data, notes: tuple[str, ...]) -> Recording:
    format = number_format(metadata.datatype)
    if format is None:
        raise RecordingError(
            f"core:datatype of {metadata.name} is {printable(metadata.datatype, 60)!r}, which SigMF does not know: "
            "cf32_le, ci16_le or cu8 for instance."
        )
    if metadata.channels != 1:
        raise RecordingError(f"{metadata.name} holds {metadata.channels} channels: give a recording of one.")
    sample_rate = request.sample_rate if request.sample_rate is not None else metadata.sample_rate
    if sample_rate is None and request.facts is not None:
        sample_rate = request.facts.sample_rate
    if sample_rate is None:
        raise RecordingError(f"{metadata.name} does not state its sample rate: give it (--rate).")
    first_index = metadata.first_index(data.size // format.sample_size)
    length, pieces, captures = _layout(metadata, data, format, first_index)
    _check_hash(metadata, data)
    tunings = tuple(
        (max(0, capture.index - first_index), capture.frequency)
        for capture in captures
        if capture.frequency is not None
    )
    times = metadata.times(first_index, length, sample_rate) if sample_rate > 0 else ()
    begun = times[0][1] if times else None
    annotations = metadata.annotations(first_index, length, tunings)
    said = (*notes, *metadata.notes, *metadata.field_notes())
    info = RecordingInfo(request.path, sample_rate, tunings, annotations, begun, said, first_index, times)
    return Recording(add_named_facts(info, request), SampleFile(data.path, format, length, pieces))


def _layout(
    metadata: SigmfMetadata, data: _Data, format: RawFormat, first_index: int
) -> tuple[int, list[tuple[int, int]], list[Capture]]:
    """Return the number of samples, where stretches of them lie in the file, and the captures that begin inside."""
    size = format.sample_size
    usable = data.size - metadata.trailing_bytes
    headers = 0
    pieces = [(0, data.begin)]
    captures: list[Capture] = []
    for capture in metadata.captures:
        first = max(0, capture.index - first_index)
        end = first * size + headers
        if captures and end == usable and not capture.header_bytes:
            break  # nothing came after a retune: not worth a word
        if end + capture.header_bytes > usable:
            left, every = len(metadata.captures) - len(captures), len(metadata.captures)
            metadata.notes.append(
                f"{left} of {every} captures in {metadata.name} lie after the end of its data: left out."
            )
            usable = min(usable, end)
            break
        headers += capture.header_bytes
        if capture.header_bytes:
            pieces.append((first, data.begin + first * size + headers))
        captures.append(capture)
    length, rest = divmod(max(0, usable - headers), size)
    if rest:
        metadata.notes.append(
            f"the data of {metadata.name} end with {counted(rest, 'byte')} of a {metadata.datatype} sample, left out: "
            "they were cut, or core:datatype is another one."
        )
    return length, pieces, captures


def _check_hash(metadata: SigmfMetadata, data: _Data) -> None:
    """Hold the data against their hash, where it is there and they are not too large."""
    if not metadata.sha512 or data.size > _LARGEST_CHECKSUM:
        return
    hashed = hashlib.sha512()
    with parsing(data.path, kind=RecordingError), data.path.open("rb") as file:
        file.seek(data.begin)
        left = data.size
        while left and (block := file.read(min(left, _HASHED))):
            hashed.update(block)
            left -= len(block)
    if hashed.hexdigest() != metadata.sha512.strip().lower():
        raise RecordingError(
            f"the data of {metadata.name} are not those that its core:sha512 was computed from: they were "
            "damaged, cut or "
            "changed; to read them all the same, remove core:sha512 from the metadata."
        )


READERS = (
    Reader(
        "sigmf",
        "SigMF: pair, archive or collection",
        (".sigmf-meta", ".sigmf-data", ".sigmf-collection", ".sigmf"),
        _open,
    ),
)
"""One, for all of SigMF's files."""


def write_sigmf(path: Path, sample_rate: float, frequency: float | None, description: str) -> None:
    """Write the `.sigmf-meta` beside a `.sigmf-data` of little-endian complex float samples.

    Args:
        path: of the metadata.
        sample_rate: samples a second.
        frequency: what 0 Hz stands for, Hz; None where it is not known.
        description: what it is, for people.

    Raises:
        RecordingError: it cannot be written.
    """
    capture: dict[str, Any] = {"core:sample_start": 0}
    if frequency is not None:
        capture["core:frequency"] = frequency
    document = {
        "global": {
            "core:datatype": "cf32_le",
            "core:sample_rate": sample_rate,
            "core:version": "1.0.0",
            "core:recorder": f"gr-amrq {__version__}",
            "core:description": description,
        },
        "captures": [capture],
        "annotations": [],
    }
    write_whole(path, json.dumps(document, indent=4) + "\n")
