# SPDX-License-Identifier: GPL-3.0-or-later
"""WAV recordings: the header with its extensions for radio, and the samples."""

import os
import re
import struct
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, RecordingError
from amrq.recordings.open_recording import Reader, Request, add_named_facts, shown_time
from amrq.recordings.recording import Recording, RecordingInfo, Samples
from amrq.recordings.sample_file import RawFormat, SampleFile, file_size, number_format
from amrq.text import counted, engineering, printable

__all__ = ["READERS", "Auxi", "WavHeader", "read_wav_header"]

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
        RecordingError: it lacks what describes the samples, or the samples.
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
                    raise RecordingError(
                        f"{shown} cannot be read as a wav file: its samples come before their description (fmt chunk)."
                    )
                size = wide if wide is not None and size == _UNKNOWN else size
                header = _with_samples(header, descriptor, (place + 8, size, end), shown)
                auxi = auxi or _auxi_behind(descriptor, header.begin + header.size, end)
                return replace(header, auxi=auxi)
            place = _behind(descriptor, place + 8 + size, size)
    raise RecordingError(f"{shown} cannot be read as a wav file: it has no samples (no data chunk).")


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
        raise RecordingError(f"{shown} cannot be read as a wav file: its description of the samples is cut.")
    codec, channels, sample_rate, _, frame, bits = struct.unpack("<HHIIHH", body[:16])
    if codec == 0xFFFE and len(body) >= 26:  # "extensible": the true one follows
        codec = struct.unpack("<H", body[24:26])[0]
    if not channels:
        raise RecordingError(f"{shown} cannot be read as a wav file: it says that it has no channel.")
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


_INTEGERS, _FLOATS = 1, 3  # codecs
_WRAP = 1 << 32
_LOOKED_AT = 65_536


def _open(request: Request) -> Recording:
    """Open a wav file, RF64 and BW64 among them; W64, FLAC and compressed wav with libsndfile.

    Raises:
        RecordingError: it is no such file, or has more than two channels.
    """
    request.single()
    header = read_wav_header(request.path)
    format = None if header is None else _number_format(header)
    auxi: Auxi | None = None
    notes: tuple[str, ...] = ()
    samples: Samples
    if header is None or format is None:
        sound = _SoundFile(request.path)
        samples, channels, sample_rate = sound, sound.channels, float(sound.sample_rate)
        notes += sound.notes
    else:
        channels, sample_rate, auxi = header.channels, float(header.sample_rate), header.auxi
        samples, notes = _samples(request, header, format)
    if channels > 2:
        raise RecordingError(
            f"{request.shown} has {channels} channels: I/Q has two (left I, right Q), an SSB receiver's audio one."
        )
    if channels == 2 and _alike(samples):
        samples = _LeftChannel(samples)
        notes += (
            f"both channels of {request.shown} are the same, so it is audio and not I/Q: one of them is read.",
        )
    if request.sample_rate is not None:
        sample_rate = request.sample_rate
    elif not sample_rate and request.facts is not None and request.facts.sample_rate is not None:
        sample_rate = request.facts.sample_rate
    info = RecordingInfo(request.path, sample_rate, notes=notes)
    if auxi is not None:
        info = _with_auxi(info, auxi, request)
    return Recording(add_named_facts(info, request), samples)


def _alike(samples: Samples) -> bool:
    """Return whether I and Q are the same throughout the beginning, and not silent."""
    first = samples.read(0, min(samples.length, _LOOKED_AT))
    return bool(len(first) > 1 and np.any(first.real) and np.array_equal(first.real, first.imag))


class _LeftChannel:
    """The left one of two channels, as real samples."""

    real = True

    def __init__(self, samples: Samples) -> None:
        self.length, self._samples = samples.length, samples

    def read(self, start: int, count: int) -> NDArray[np.float32]:
        return np.ascontiguousarray(self._samples.read(start, count).real)


def _number_format(header: WavHeader) -> RawFormat | None:
    """Return the format of the numbers; None for what libsndfile has to decompress."""
    kind = "r" if header.channels == 1 else "c"
    if header.codec == _INTEGERS and header.width == 3:
        return RawFormat(np.dtype("<i4"), 0.0, 2.0**-31, header.channels == 1, packed=3)
    if header.codec == _INTEGERS and header.width in (1, 2, 4):
        # Bytes are unsigned, and their zero lies between 127 and 128 as an RTL-SDR's does.
        return number_format(f"{kind}u8" if header.width == 1 else f"{kind}i{8 * header.width}_le")
    if header.codec == _FLOATS and header.width in (4, 8):
        return number_format(f"{kind}f{8 * header.width}_le")
    return None


def _samples(request: Request, header: WavHeader, format: RawFormat) -> tuple[SampleFile, tuple[str, ...]]:
    length, rest = divmod(header.size, format.sample_size)
    notes: tuple[str, ...] = (header.note,) if header.note else ()
    if rest:
        notes += (f"{request.shown} ends with {counted(rest, 'byte')} of a sample, left out.",)
    return SampleFile(request.path, format, length, [(0, header.begin)]), notes


def _with_auxi(info: RecordingInfo, auxi: Auxi, request: Request) -> RecordingInfo:
    taken = []
    frequency = auxi.frequency
    if frequency is not None:
        named = request.facts.frequency if request.facts is not None else None
        # The chunk has 32 bits for the frequency; the name has all of it, perhaps rounded to kHz.
        wraps = 0 if named is None else round((named - frequency) / _WRAP)
        if named is not None and wraps > 0 and abs(named - frequency - wraps * _WRAP) < 1e6:
            frequency += wraps * _WRAP
        info = replace(info, tunings=((0, frequency),))
        taken.append(f"frequency {engineering(frequency, 'Hz')}")
    if auxi.begun is not None:
        info = replace(info, begun=auxi.begun)
        taken.append(shown_time(auxi.begun))
    note = f"from the auxi chunk of {request.shown}: {', '.join(taken)}."
    return replace(info, notes=(*info.notes, note)) if taken else info


class _SoundFile:
    """What libsndfile reads."""

    def __init__(self, path: Path) -> None:
        import soundfile

        self._errors = (soundfile.LibsndfileError, RuntimeError, OSError)
        self._path = path
        try:
            self._file = self._opened()
        except self._errors as error:
            raise self._refused(error) from None
        self.channels, self.sample_rate = int(self._file.channels), int(self._file.samplerate)
        self.real = self.channels == 1
        said = int(self._file.frames)
        self.length = self._readable(said)
        self.notes: tuple[str, ...] = ()
        if self.length < said:
            self.notes += (
                f"the header of {printable(path)} says more samples than can be read (it was cut, or the recorder did "
                f"not end it): {self.length} of them are read.",
            )

    def _readable(self, said: int) -> int:
        """Return the number of samples that can be read: those said, or what is found by reading all of them."""
        if self._read_whole(said - 1, 1) or not said:
            return said
        count, block = 0, _LOOKED_AT
        while block:
            self._file = self._opened()  # after a failure at the end libsndfile reads nothing more
            while self._read_whole(count, block):
                count += block
            block //= 2
        self._file = self._opened()
        return count

    def _read_whole(self, start: int, count: int) -> bool:
        try:
            self._file.seek(start)
            return len(self._file.read(count, dtype="float32")) == count
        except self._errors:
            return False

    def _opened(self) -> Any:
        import soundfile

        return soundfile.SoundFile(str(self._path))

    def _refused(self, error: Exception) -> AmrqError:
        reason = printable(getattr(error, "error_string", error)).rstrip(". ")
        kind = "a FLAC file" if self._path.suffix.lower() == ".flac" else "a wav file"
        return RecordingError(f"{printable(self._path)} cannot be read as {kind}: {reason}.")

    def read(self, start: int, count: int) -> NDArray[Any]:
        try:
            self._file.seek(start)
            values = np.ascontiguousarray(self._file.read(count, dtype="float32", always_2d=True), np.float32)
        except self._errors as error:
            raise self._refused(error) from None
        if len(values) < count:
            raise RecordingError(
                f"{printable(self._path)} ends at sample {start + len(values)} of {self.length}: it was cut."
            )
        return values[:, 0] if self.real else values.view(np.complex64)[:, 0]


READERS = (
    Reader(
        "wav",
        "wav, RF64, W64, FLAC: I and Q, or real",
        (".wav", ".wave", ".rf64", ".bw64", ".bwf", ".w64", ".flac"),
        _open,
    ),
)
"""One, for all that libsndfile reads as well."""
