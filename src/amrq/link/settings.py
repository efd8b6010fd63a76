# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a link: limits, times, keys."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError, LinkError, OutputError
from amrq.machine import optional_package
from amrq.text import printable

__all__ = ["Limits", "LinkSettings", "make_keys", "read_public_key", "read_secret_key"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a board's memory and work.

    Attributes:
        largest_batch: chunks a message.
        clients: sessions at a time; one that was not heard of for `idle` seconds makes room when another wants it.
        requests_per_second: of one client, on average over a second; 0: any number.
        waiting_per_client: requests of one client that may wait for the engine.
        waiting_bytes: of all requests that wait, 64 MiB by default. Half of it is divided equally among
            `clients`; the other half is for those that ask for more.
        waiting_bytes_per_client: of the requests of one client; a single larger one may wait alone.
        idle: seconds after which a silent client may be forgotten.

    Raises:
        AmrqError: one is out of its range.
    """

    largest_batch: int = 4096
    clients: int = 64
    requests_per_second: int = 5000
    waiting_per_client: int = 64
    waiting_bytes: int = 1 << 26
    waiting_bytes_per_client: int = 1 << 23
    idle: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what bounds nothing, or leaves nothing."""
        for name in (
            "largest_batch",
            "clients",
            "waiting_per_client",
            "waiting_bytes",
            "waiting_bytes_per_client",
        ):
            if getattr(self, name) < 1:
                raise AmrqError(f"{name} of a board must be at least 1, not {getattr(self, name)}.")
        if self.largest_batch > 1 << 20:
            raise AmrqError(f"a message of {self.largest_batch} chunks is too large: take 2^20 at most.")
        if self.requests_per_second < 0 or not self.idle > 0:
            raise AmrqError("requests_per_second of a board must not be negative, and idle must be above 0.")


@dataclass(frozen=True)
class LinkSettings:
    """What a client may choose; all times in seconds.

    Attributes:
        batch: chunks a message, at most; the board's largest batch bounds it too.
        window: requests on their way at a time.
        timeout: without an answer for so long, and without one to what was asked before, a request is sent again.
        resends: how often a request is sent again before the board counts as gone.
        heartbeat: a board that has said nothing for so long is sent a ping; after four times as long it is gone.
        connect_timeout: how long a run's beginning waits for the board.
        backoff: first pause between two attempts to reach the board; it doubles up to `longest_backoff`, and half of it
            is drawn at random, so that many clients do not come at once.
        longest_backoff: the longest such pause.
        sample_format: `ci8`, `ci16`, `cf32`, or `auto`: the smallest that the board says loses nothing.

    Raises:
        AmrqError: one is out of its range.
    """

    batch: int = 256
    window: int = 8
    timeout: float = 2.0
    resends: int = 2
    heartbeat: float = 0.5
    connect_timeout: float = 2.0
    backoff: float = 0.1
    longest_backoff: float = 2.0
    sample_format: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("batch", "window"):
            if getattr(self, name) < 1:
                raise AmrqError(
                    f"the {name} of a board's client must be at least 1, not {getattr(self, name)}."
                )
        for name in ("timeout", "heartbeat", "backoff", "longest_backoff"):
            if not 0 < getattr(self, name) < 3600:
                raise AmrqError(
                    f"the {name} of a board's client must be a number of seconds above 0, not {getattr(self, name)}."
                )
        if not 0 <= self.connect_timeout < 3600 or self.resends < 0:
            raise AmrqError("connect_timeout and resends of a board's client must not be negative.")
        if self.sample_format not in ("auto", "ci8", "ci16", "cf32"):
            raise AmrqError(
                f"there is no sample format {self.sample_format!r} for a board: take auto, ci8, ci16 or cf32."
            )


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
        LinkError: one is there already, or PyZMQ has no CURVE.
        OutputError: one cannot be written.
    """
    zmq = _curve()
    public, secret = zmq.curve_keypair()
    files = Path(f"{os.fspath(name)}{_PUBLIC}"), Path(f"{os.fspath(name)}{_SECRET}")
    for file in files:
        if os.path.lexists(file):
            raise LinkError(f"{file} already exists: give another name, so that no key is lost.")
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
            raise OutputError(f"{printable(file)} cannot be written: {printable(reason)}.") from None
    return files


def read_public_key(file: str | os.PathLike[str]) -> bytes:
    """Return the key in a file NAME.public, 40 characters of Z85.

    Raises:
        LinkError: it is missing, holds no key, or is by its name a secret one.
    """
    if Path(file).suffix == _SECRET:
        raise LinkError(
            f"{printable(file)} is a secret key by its name: give the other side's NAME{_PUBLIC}."
        )
    return _read(Path(file))


def read_secret_key(file: str | os.PathLike[str]) -> tuple[bytes, bytes]:
    """Return the public and the secret key that belong to a file NAME.secret.

    Raises:
        LinkError: it is missing, holds no key, is by its name a public one, or users other than its owner can read it.
    """
    file = Path(file)
    if file.suffix == _PUBLIC:
        raise LinkError(f"{printable(file)} is a public key by its name: give this side's NAME{_SECRET}.")
    secret = _read(file)
    if file.stat().st_mode & _OTHERS:
        raise LinkError(
            f"users other than its owner can read {printable(file)}: run 'chmod 600 {printable(file)}'."
        )
    return bytes(_curve().curve_public(secret)), secret


def _read(file: Path) -> bytes:
    if os.path.exists(file) and not os.path.isfile(file):  # a device or a pipe may never end
        raise LinkError(f"the key {printable(file)} cannot be read: it is not a file.")
    try:
        with file.open("rb") as stream:
            key = stream.read(_LONGEST).strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LinkError(f"the key {printable(file)} cannot be read: {printable(reason)}.") from None
    z85 = optional_package("zmq.utils.z85", "a board with keys")
    try:
        if len(key) != _LENGTH:
            raise ValueError
        z85.decode(key)
    except Exception:  # what it raises for other characters depends on which they are
        raise LinkError(f"{printable(file)} holds no key: 'amrq board keygen' makes one.") from None
    return key


def _curve() -> Any:
    zmq = optional_package("zmq", "a board with keys")
    if not zmq.has("curve"):
        raise LinkError("this ZeroMQ was built without CURVE: keys cannot be used.")
    return zmq
