# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a wav file as it is found: sizes that lie, and what SDR programs put into it."""

import os
import re
import struct
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from amrq.errors import AmrqError
from amrq.plain_text import printable
from amrq.recordings.sample_file import file_size

__all__ = ["Auxi", "WavHeader", "read_wav_header"]

_MOST_CHUNKS = 1000
_LARGEST_KEPT = 1 << 20  # bytes of a chunk that is read whole
_UNKNOWN = 0xFFFFFFFF
# What is found behind the samples, or in front of them, and is no sample.
_KNOWN = b"LISTauxibextiXML_PMXcue smplfactJUNKjunkPAD FLLRDISPPEAKid3 ID3 afspinstplstadtllevlrcvr"
_KNOWN_CHUNKS = frozenset(_KNOWN[place : place + 4] for place in range(0, len(_KNOWN), 4))


@dataclass(frozen=True)
class Auxi:
    """What SDR programs say of a recording in its `auxi` chunk; None where it does not say.

    Attributes:
        begun: when it began. Programs write it in UTC.
        frequency: what 0 Hz stands for, Hz.
    """

    begun: datetime | None = None
    frequency: float | None = None


@dataclass(frozen=True)
class WavHeader:
    """What a RIFF, RF64 or BW64 file says of its samples.

    Attributes:
        codec: 1 for integers, 3 for floats; anything else is some compression.
        channels: of a sample.
        sample_rate: samples a second.
        width: bytes of a number.
        begin: byte of the file at which the samples begin.
        size: bytes of them that are there.
        note: a sentence on a size that is not true; empty where it is.
        auxi: what an SDR program says; None where there is no such chunk.
    """

    codec: int
    channels: int
    sample_rate: int
    width: int
    begin: int
    size: int
    note: str = ""
    auxi: Auxi | None = None


def read_wav_header(path: Path) -> WavHeader | None:
    """Read the header of a wav file; None where it is another kind of file.

    A size of the samples that reaches behind the end of the file, is 0 or all ones (the recorder was killed), or leaves
    bytes behind the samples that are no chunks (it wrapped at 4 GiB), is not believed: the samples reach to the end
    then.

    Raises:
        AmrqError: it lacks what describes the samples, or the samples.
    """
    end, shown = file_size(path), printable(path)
    with path.open("rb") as file:
        descriptor = file.fileno()
        start = os.pread(descriptor, 12, 0)
        if start[:4] not in (b"RIFF", b"RF64", b"BW64") or start[8:12] != b"WAVE":
            return None
        header, wide, auxi = None, None, None
        place = 12
        for _ in range(_MOST_CHUNKS):
            name, size = _chunk(descriptor, place)
            if not name:
                break
            body = (
                os.pread(descriptor, min(size, _LARGEST_KEPT), place + 8)
                if name in (b"fmt ", b"ds64", b"auxi")
                else b""
            )
            if name == b"ds64" and len(body) >= 16:
                wide = struct.unpack("<Q", body[8:16])[0]
            elif name == b"fmt ":
                header = _format(body, shown)
            elif name == b"auxi":
                auxi = _auxi(body)
            elif name == b"data":
                if header is None:
                    raise AmrqError(
                        f"{shown} cannot be read as a wav file: its samples come before their description (fmt chunk)."
                    )
                size = wide if wide is not None and size == _UNKNOWN else size
                header = _with_samples(header, descriptor, (place + 8, size, end), shown)
                auxi = auxi or _auxi_behind(descriptor, header.begin + header.size, end)
                return replace(header, auxi=auxi)
            place = _behind(descriptor, place + 8 + size, size)
    raise AmrqError(f"{shown} cannot be read as a wav file: it has no samples (no data chunk).")


def _chunk(descriptor: int, place: int) -> tuple[bytes, int]:
    """Return name and size of the chunk at a place of the file; no name where there is none."""
    found = os.pread(descriptor, 8, place)
    return (found[:4], struct.unpack("<I", found[4:])[0]) if len(found) == 8 else (b"", 0)


def _behind(descriptor: int, end: int, size: int) -> int:
    """Return where the chunk behind one of a size begins: at an even place, unless its writer did not know that."""
    if size % 2 == 0:
        return end
    names = [_chunk(descriptor, place)[0] for place in (end, end + 1)]
    begins = [name in _KNOWN_CHUNKS or name in (b"fmt ", b"data", b"ds64") for name in names]
    return end if begins == [True, False] else end + 1


def _format(body: bytes, shown: str) -> WavHeader:
    if len(body) < 16:
        raise AmrqError(f"{shown} cannot be read as a wav file: its description of the samples is cut.")
    codec, channels, sample_rate, _, frame, bits = struct.unpack("<HHIIHH", body[:16])
    if codec == 0xFFFE and len(body) >= 26:  # "extensible": the true one follows
        codec = struct.unpack("<H", body[24:26])[0]
    if not channels:
        raise AmrqError(f"{shown} cannot be read as a wav file: it says that it has no channel.")
    width = frame // channels if frame and frame % channels == 0 else (bits + 7) // 8
    return WavHeader(codec, channels, sample_rate, width, 0, 0)


def _with_samples(header: WavHeader, descriptor: int, there: tuple[int, int, int], shown: str) -> WavHeader:
    """Add where the samples are: where they begin, how many bytes the file says, and where it ends."""
    begin, said, end = there
    left = max(0, end - begin)
    if said == left or (0 < said < left and _chunks_follow(descriptor, begin + said, end)):
        return replace(header, begin=begin, size=said)
    why = f"{said} bytes, which is less than the file holds (such sizes wrap at 4 GiB)"
    if said == 0:
        if not left:
            return replace(header, begin=begin, size=0)
        why = "0 bytes (the recorder did not end it)"
    elif said == _UNKNOWN or said >> 62:
        why = "no size"
    elif said > left:
        why = f"{said} bytes, which is more than the file holds (it was cut, or the recorder did not end it)"
    note = f"the header of {shown} says {why}: its samples are read to the end of the file."
    return replace(header, begin=begin, size=left, note=note)


def _chunks_follow(descriptor: int, place: int, end: int) -> bool:
    """Return whether what follows the samples is chunks up to the end of the file, or next to nothing."""
    if end - place < 8:
        return True
    for padded in (place + place % 2, place):
        name, size = _chunk(descriptor, padded)
        if name in _KNOWN_CHUNKS:
            return True
        at = padded
        for _ in range(_MOST_CHUNKS):
            if not (len(name) == 4 and all(32 <= letter < 127 for letter in name)):
                break
            at += 8 + size + size % 2
            if end - 1 <= at <= end + 1:
                return True
            if at > end:
                break
            name, size = _chunk(descriptor, at)
    return False


def _auxi_behind(descriptor: int, place: int, end: int) -> Auxi | None:
    """Return what an `auxi` chunk behind the samples says."""
    place += place % 2
    for _ in range(_MOST_CHUNKS):
        name, size = _chunk(descriptor, place)
        if not name or place >= end:
            return None
        if name == b"auxi":
            return _auxi(os.pread(descriptor, min(size, _LARGEST_KEPT), place + 8))
        place += 8 + size + size % 2
    return None


def _auxi(body: bytes) -> Auxi | None:
    """Return what an `auxi` chunk says.

    SpectraVue, HDSDR, SDR#, SDRuno and others write two SYSTEMTIMEs (begin and end), then 32-bit numbers, the first of
    which is the frequency in Hz. SDR Console writes XML.
    """
    for encoding in ("utf-16-le", "utf-8"):
        text = body.decode(encoding, "ignore")
        if "RadioCenterFreq" in text:
            return _auxi_xml(text)
    if len(body) < 36:
        return None
    year, month, _, day, hour, minute, second, milliseconds = struct.unpack("<8H", body[:16])
    begun = None
    try:
        if year >= 1970:
            begun = datetime(year, month, day, hour, minute, second, milliseconds * 1000, timezone.utc)
    except ValueError:
        begun = None
    frequency = float(struct.unpack("<I", body[32:36])[0])
    return Auxi(begun, frequency or None) if begun is not None or frequency else None


def _auxi_xml(text: str) -> Auxi:
    found = dict(re.findall(r'\b(\w{1,40})="([^"<]{0,200})"', text))
    frequency = found.get("RadioCenterFreq", "")
    begun = None
    seconds = found.get("UTCSeconds", "")
    if re.fullmatch(r"\d{1,11}", seconds):
        begun = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=int(seconds))
    return Auxi(begun, float(frequency) if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", frequency) else None)
