# SPDX-License-Identifier: GPL-3.0-or-later
"""CURVE keys in files."""

import os
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError
from amrq.optional_package import optional_package
from amrq.plain_text import printable

__all__ = ["make_keys", "read_public_key", "read_secret_key"]

_LONGEST = 4096  # bytes that are looked at
_LENGTH = 40  # of a key in ZeroMQ's base 85 (Z85)
_OTHERS = 0o077
_PUBLIC, _SECRET = ".public", ".secret"


def make_keys(name: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Make a key pair and write it to NAME.public, for the other side, and NAME.secret, which only its owner may read.

    Args:
        name: path of the files without their endings.

    Returns:
        Both files.

    Raises:
        AmrqError: one is there already or cannot be written, or PyZMQ has no CURVE.
    """
    zmq = _curve()
    public, secret = zmq.curve_keypair()
    files = Path(f"{os.fspath(name)}{_PUBLIC}"), Path(f"{os.fspath(name)}{_SECRET}")
    for file in files:
        if os.path.lexists(file):
            raise AmrqError(f"{file} is there already: give another name, so that no key is lost.")
    written: list[Path] = []
    for file, key in zip(files, (public, secret), strict=True):
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                written.append(file)
                stream.write(key + b"\n")
        except (OSError, ValueError) as error:
            for half in written:  # one without the other is of no use
                half.unlink()
            reason = getattr(error, "strerror", None) or error
            raise AmrqError(f"{printable(file)} cannot be written: {printable(reason)}.") from None
    return files


def read_public_key(file: str | os.PathLike[str]) -> bytes:
    """Return the key in a file NAME.public, 40 characters of Z85.

    Raises:
        AmrqError: it is missing, holds no key, or is by its name a secret one.
    """
    if Path(file).suffix == _SECRET:
        raise AmrqError(
            f"{printable(file)} is by its name a secret key: give the other side's NAME{_PUBLIC}."
        )
    return _read(Path(file))


def read_secret_key(file: str | os.PathLike[str]) -> tuple[bytes, bytes]:
    """Return the public and the secret key that belong to a file NAME.secret.

    Raises:
        AmrqError: it is missing, holds no key, is by its name a public one, or others than its owner may read it.
    """
    file = Path(file)
    if file.suffix == _PUBLIC:
        raise AmrqError(f"{printable(file)} is by its name a public key: give this side's NAME{_SECRET}.")
    secret = _read(file)
    if file.stat().st_mode & _OTHERS:
        raise AmrqError(
            f"others than its owner may read {printable(file)}: run 'chmod 600 {printable(file)}'."
        )
    return bytes(_curve().curve_public(secret)), secret


def _read(file: Path) -> bytes:
    if os.path.exists(file) and not os.path.isfile(file):  # a device or a pipe may never end
        raise AmrqError(f"the key {printable(file)} cannot be read: it is no file.")
    try:
        with file.open("rb") as stream:
            key = stream.read(_LONGEST).strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AmrqError(f"the key {printable(file)} cannot be read: {printable(reason)}.") from None
    z85 = optional_package("zmq.utils.z85", "a board with keys")
    try:
        if len(key) != _LENGTH:
            raise ValueError
        z85.decode(key)
    except Exception:  # what it raises for other characters depends on which they are
        raise AmrqError(f"{printable(file)} holds no key: 'amrq board keygen' makes one.") from None
    return key


def _curve() -> Any:
    zmq = optional_package("zmq", "a board with keys")
    if not zmq.has("curve"):
        raise AmrqError("this ZeroMQ was built without CURVE: keys cannot be used.")
    return zmq
