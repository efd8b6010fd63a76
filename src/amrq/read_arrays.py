# SPDX-License-Identifier: GPL-3.0-or-later
"""NumPy's archives (.npz) of strangers: what they claim is bounded before it is believed."""

import io
import math
import os
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as _format
from numpy.typing import NDArray

from amrq.parsing import parsing
from amrq.plain_text import printable

__all__ = ["read_arrays"]

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
                    array != member.filename and array not in found, f"{shown} is no array, or there twice"
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
