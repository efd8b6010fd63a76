# SPDX-License-Identifier: GPL-3.0-or-later
"""Wav files as SDR programs and SSB receivers write them: left I and right Q, or one channel of real samples."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.engineering import counted, engineering
from amrq.errors import AmrqError
from amrq.plain_text import printable
from amrq.recordings.raw_formats import RawFormat, number_format
from amrq.recordings.reader import Reader, Request, add_named_facts, shown_time
from amrq.recordings.recording import Recording, RecordingInfo, Samples
from amrq.recordings.sample_file import SampleFile
from amrq.recordings.wav_header import Auxi, WavHeader, read_wav_header

__all__ = ["READERS"]

_INTEGERS, _FLOATS = 1, 3  # codecs
_WRAP = 1 << 32
_LOOKED_AT = 65_536


def _open(request: Request) -> Recording:
    """Open a wav file, RF64 and BW64 among them; W64, FLAC and compressed wav with libsndfile.

    Raises:
        AmrqError: it is no such file, or has more than two channels.
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
        raise AmrqError(
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
        return AmrqError(f"{printable(self._path)} cannot be read as {kind}: {reason}.")

    def read(self, start: int, count: int) -> NDArray[Any]:
        try:
            self._file.seek(start)
            values = np.ascontiguousarray(self._file.read(count, dtype="float32", always_2d=True), np.float32)
        except self._errors as error:
            raise self._refused(error) from None
        if len(values) < count:
            raise AmrqError(
                f"{printable(self._path)} ends at sample {start + len(values)} of {self.length}: it was cut."
            )
        return values[:, 0] if self.real else values.view(np.complex64)[:, 0]


READERS = (
    Reader(
        "wav",
        (".wav", ".wave", ".rf64", ".bw64", ".bwf", ".w64", ".flac"),
        "wav, RF64, W64, FLAC: I and Q, or real",
        _open,
    ),
)
"""One, for all that libsndfile reads as well."""
