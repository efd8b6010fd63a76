# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and writing of files: whole or not at all, with parser errors as one sentence and bounded arrays."""

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
    """Turn any exception raised inside the block into an `AmrqError` that names the file.

    On a broken or hostile file, parsers raise many types of exceptions: OverflowError, RecursionError,
    UnicodeDecodeError, zlib.error and more. Readers parse inside this context, so that their callers handle one type
    only. An `AmrqError` is passed on; its text is made printable, put on one line, and shortened if it is very long.

    Args:
        what: name of the input, for example a path; the subject of the sentence.
        advice: what the user can do, a part of a sentence.
        kind: class of the error that is raised.

    Raises:
        AmrqError: the block raised another exception.

    >>> with parsing("recipe.toml"):
    ...     int("many")
    Traceback (most recent call last):
    amrq.errors.AmrqError: recipe.toml cannot be read: invalid literal for int() with base 10: 'many'.
    """
    try:
        yield
    except AmrqError as error:
        # The message may quote any part of the file, at any length.
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
    """Open a file to write, as the `opener` of `open`. It waits at most a second for the reader of a pipe.

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
    """Open a file to write; it appears at `path` only after the block has ended without an exception.

    The data go to a new file in the same folder, whose name cannot be predicted; an existing file or symbolic link is
    never opened. At the end the new file replaces the file at `path`; a symbolic link is replaced itself, not its
    target. Any exception removes the new file and leaves `path` unchanged. A device or a pipe at `path` is written
    directly, since it must not be replaced.

    The file object has a `name`, for code that needs a path rather than an open file.

    Args:
        path: the file. Its folder must be there.
        durable: flush the content to the disk before the file takes its place, so that a loss of power leaves the
            former or the new content. Use False for files written again every few seconds.
        suffix: how the temporary file's name ends.

    Raises:
        AmrqError: the file cannot be written; an OSError in the block becomes an AmrqError too.

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
    # O_EXCL refuses any existing entry, also a dangling link; O_NOFOLLOW is a second guard.
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
        with contextlib.suppress(OSError):  # some file systems cannot sync folders; the content is written
            _to_disk(path.parent)


def write_whole(path: str | os.PathLike[str], content: str | bytes, durable: bool = True) -> None:
    r"""Write a file, whole or not at all; see `whole_file`.

    Args:
        path: the file. Its folder must be there.
        content: bytes, or text, which is written as UTF-8 with its line ends unchanged.
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
    """Refuse, before long work, a file that could not be written after it.

    Args:
        path: the file.

    Raises:
        AmrqError: the path is a folder or a device, or its folder is missing or cannot be written.
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
    """Make a folder and its parents, if they are missing; return the folder.

    Args:
        path: the folder.

    Raises:
        AmrqError: the folder cannot be made or written.

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
    """Return whether the path exists and is not an ordinary file: a folder, a device or a pipe."""
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
    """Read the arrays of an archive that `numpy.savez` wrote.

    Memory for an array is allocated only if the sizes in the headers so far are within the limit.

    Args:
        file: path, or the content.
        most_bytes: of all arrays in memory, and of the file.
        most_arrays: in the archive.
        name: of the archive in an error; None: its path.

    Returns:
        arrays of numbers, by name.

    Raises:
        AmrqError: the archive cannot be read, holds something else, or exceeds a limit.
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
    _require(not content.read(1), f"{shown} holds more than it claims")  # this also checks the checksum
    return np.frombuffer(data, dtype).reshape(shape, order="F" if in_columns else "C")
