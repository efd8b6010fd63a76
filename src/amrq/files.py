# SPDX-License-Identifier: GPL-3.0-or-later
"""Files read and written whole: a parser's errors as one sentence, arrays checked before they are read."""

import contextlib
import errno
import io
import math
import os
import secrets
import stat
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as _format
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.text import printable

__all__ = [
    "check_writable",
    "made_folder",
    "opened_to_write",
    "parsing",
    "read_arrays",
    "whole_file",
    "write_whole",
]

_LONGEST = 1000
"""Characters of a sentence."""


@contextmanager
def parsing(what: object, advice: str = "", kind: type[AmrqError] = AmrqError) -> Iterator[None]:
    """Turn any exception raised inside into an `AmrqError` that names what was being read.

    Parsers, ours and those of libraries, raise what they please on a file that is broken or hostile: OverflowError,
    RecursionError, UnicodeDecodeError, zlib.error and more. Whoever reads a file of one kind does so inside this, and
    callers know one kind of error. An `AmrqError`, which says already what is wrong, passes, its text on one printable
    line and cut where it is very long.

    Args:
        what: what is read, a path for instance; the subject of the sentence.
        advice: what to do about it, a part of a sentence.
        kind: of the error that is raised.

    Raises:
        AmrqError: something inside raised another exception.

    >>> with parsing("recipe.toml"):
    ...     int("many")
    Traceback (most recent call last):
    amrq.errors.AmrqError: recipe.toml cannot be read: invalid literal for int() with base 10: 'many'.
    """
    try:
        yield
    except AmrqError as error:
        # What it quotes of the file may be anything, and of any length.
        error.args = (printable(error, _LONGEST),)
        raise
    except Exception as error:
        reason = printable(error, 200).strip().rstrip(".") or type(error).__name__
        ending = f"; {advice}" if advice else ""
        raise kind(f"{printable(what)} cannot be read: {reason}{ending}.") from error


_PATIENCE = 1.0
"""Seconds that the reader of a pipe has to come."""
_NAME_KEPT = 50
"""Characters of the file's name that its temporary file keeps: a name has 255 bytes at most, a character up to 4."""


def opened_to_write(path: str, flags: int) -> int:
    """Open a file to write, as the `opener` of `open`; for the reader of a pipe it waits a second, not for ever.

    Raises:
        OSError: it cannot be opened.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > until:
                raise OSError(errno.ENXIO, "no program reads from this pipe") from None
        time.sleep(_PATIENCE / 50)
    os.set_blocking(descriptor, True)
    return descriptor


@contextlib.contextmanager
def whole_file(
    path: str | os.PathLike[str], durable: bool = True, suffix: str = ".part"
) -> Iterator[BinaryIO]:
    """Open a file to write that takes its place only once the block has ended without an exception.

    What is written goes into a new file in the same folder, with a name that nobody can know beforehand; a file or a
    symbolic link that is there already is never opened. At the end it replaces what was at `path`, a symbolic link
    itself and not what it points to. An exception, of whatever kind, removes it and leaves `path` as it was. A device
    or a pipe at `path` is written to as it is, since it must not be replaced.

    The file that is given has a `name`: whoever needs a path, not an open file, may write there.

    Args:
        path: the file. Its folder must be there.
        durable: see to it that the content is on the disk before it takes its place, so that a loss of power leaves the
            former or the new one. False for what is written again every few seconds.
        suffix: how the temporary file's name ends.

    Raises:
        AmrqError: it cannot be written: an OSError, in the block too, becomes one.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with whole_file(folder / "answer.txt") as file:
    ...     _ = file.write(b"QPSK")
    >>> (folder / "answer.txt").read_bytes()
    b'QPSK'
    """
    path = Path(path)
    try:
        with _written_as_it_is(path) if _is_no_file(path) else _replacing(path, durable, suffix) as file:
            yield file
    except OSError as error:
        reason = error.strerror or printable(error).rstrip(".") or type(error).__name__
        raise AmrqError(f"{printable(path)} cannot be written: {reason}.") from error


@contextlib.contextmanager
def _written_as_it_is(path: Path) -> Iterator[BinaryIO]:
    with open(path, "wb", opener=opened_to_write) as file:
        yield file


@contextlib.contextmanager
def _replacing(path: Path, durable: bool, suffix: str) -> Iterator[BinaryIO]:
    # O_EXCL refuses whatever is there, a dangling link included; O_NOFOLLOW says it once more.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    temporary = path.with_name(f"{path.name[:_NAME_KEPT]}.{secrets.token_hex(6)}{suffix}")
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with open(temporary, "wb", opener=lambda *_: descriptor) as file:
            yield file
            file.flush()
            if durable:
                _to_disk(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        with contextlib.suppress(OSError):  # some file systems sync no folders; the content is there
            _to_disk(path.parent)


def write_whole(path: str | os.PathLike[str], content: str | bytes, durable: bool = True) -> None:
    r"""Write a file, whole or not at all; see `whole_file`.

    Args:
        path: the file. Its folder must be there.
        content: text, which becomes UTF-8 with its line ends as they are, or bytes.
        durable: see `whole_file`.

    Raises:
        AmrqError: it cannot be written.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_whole(path, "QPSK")
    >>> path.read_text()
    'QPSK'
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with whole_file(path, durable) as file:
        file.write(data)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse, before long work, a file that could not be written at its end.

    Args:
        path: the file.

    Raises:
        AmrqError: it is a folder or a device, or its folder is not there or cannot be written.
    """
    path = Path(path)
    shown, folder = printable(path), path.parent
    if os.path.isdir(path):
        raise AmrqError(f"{shown} is a folder: give a file's name.")
    if _is_no_file(path):
        raise AmrqError(f"{shown} is not a file: give a file's name.")
    if not os.path.isdir(folder):
        raise AmrqError(f"there is no folder {printable(folder)} to write {printable(path.name)} to.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AmrqError(f"{shown} cannot be written: its folder is not yours to write to.")


def made_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder, and those above it, where it is not there; return it.

    Args:
        path: the folder.

    Raises:
        AmrqError: it cannot be made, or nothing can be written there.

    >>> import tempfile
    >>> made_folder(tempfile.mkdtemp() + "/a/b").is_dir()
    True
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or printable(error).rstrip(".")
        raise AmrqError(f"the folder {printable(path)} cannot be made: {reason}.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise AmrqError(f"the folder {printable(path)} cannot be written to: give another one.")
    return path


def _is_no_file(path: Path) -> bool:
    """Return whether something is at a path that is no file: a folder, which then refuses, a device or a pipe."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_npy: Any = _format  # NumPy 1 declares no types of it
_LONGEST_HEADER = 10_000
_MOST_AXES = 8
_KINDS = "biufc"
"""Booleans, integers, real and complex numbers: no objects, no texts, nothing composed."""
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What NumPy writes; of the others Python unpacks more than was asked for."""


def read_arrays(
    file: str | os.PathLike[str] | bytes, most_bytes: int, most_arrays: int = 1000, name: object = None
) -> dict[str, NDArray[Any]]:
    """Read the arrays of an archive as `numpy.savez` writes it.

    Nothing is allocated for what a header claims before the claims of all arrays so far are within the limit.

    Args:
        file: path, or the content.
        most_bytes: of all arrays in memory, and of the file.
        most_arrays: in the archive.
        name: what an error calls it; None: by its path.

    Returns:
        arrays of numbers, by name.

    Raises:
        AmrqError: it cannot be read, holds anything else, or claims more.
    """
    what = name or ("the archive" if isinstance(file, bytes) else file)
    with parsing(what), io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        _require(size <= most_bytes, f"its {size:,} bytes are more than {most_bytes:,}")
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            _require(len(members) <= most_arrays, f"its {len(members)} arrays are more than {most_arrays}")
            found: dict[str, NDArray[Any]] = {}
            left = most_bytes
            for member in members:
                array = member.filename.removesuffix(".npy")
                shown = f"the array {printable(array, 40)}"
                _require(
                    array != member.filename and array not in found,
                    f"{shown} is not an array, or stands there twice",
                )
                _require(member.compress_type in _COMPRESSIONS, f"{shown} is compressed in an unknown way")
                with archive.open(member) as content:
                    found[array] = _read_array(content, left, shown)
                left -= found[array].nbytes
            return found


def _require(holds: bool, fault: str) -> None:
    if not holds:
        raise ValueError(fault)


def _read_array(content: Any, most_bytes: int, shown: str) -> NDArray[Any]:
    version = _npy.read_magic(content)
    _require(version in ((1, 0), (2, 0)), f"{shown} is of version {version}")
    prefix = content.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(prefix, "little")
    _require(length <= _LONGEST_HEADER, f"the header of {shown} has {length:,} bytes")
    header: BinaryIO = io.BytesIO(prefix + content.read(length))
    read = _npy.read_array_header_1_0 if version == (1, 0) else _npy.read_array_header_2_0
    shape, in_columns, dtype = read(header)
    _require(dtype.kind in _KINDS and dtype.names is None, f"{shown} is of {dtype}, not of numbers")
    _require(len(shape) <= _MOST_AXES and all(axis >= 0 for axis in shape), f"{shown} has {len(shape)} axes")
    wanted = math.prod(shape) * dtype.itemsize
    _require(wanted <= most_bytes, f"{shown} claims {printable(wanted, 30)} bytes, more than {most_bytes:,}")
    data = bytearray(wanted)
    filled = memoryview(data)
    while len(filled):
        got = content.readinto(filled)
        _require(got > 0, f"{shown} ends too soon")
        filled = filled[got:]
    _require(not content.read(1), f"{shown} holds more than it claims")  # and its checksum is looked at
    return np.frombuffer(data, dtype).reshape(shape, order="F" if in_columns else "C")
