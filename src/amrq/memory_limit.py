# SPDX-License-Identifier: GPL-3.0-or-later
"""A bound on the memory that a piece of work may take, whatever a file claims."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import resource
except ImportError:  # not POSIX: there is no such limit
    resource = None  # type: ignore[assignment]

__all__ = ["memory_limit"]

_lock = threading.Lock()
_holders = 0
_former: tuple[int, int] | None = None


def _address_space() -> int | None:
    """Return the bytes that this process has mapped, None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
    except (OSError, ValueError, IndexError):
        return None


@contextmanager
def memory_limit(more: int) -> Iterator[None]:
    """Let this process take at most so much more memory inside; an allocation beyond it fails at once.

    The limit is one of address space (RLIMIT_AS), so that a claim is refused before a byte of it is touched:
    `MemoryError`, or what a library makes of a failed allocation. It holds for all threads meanwhile, which share it. A
    stricter limit that is in force already stays; where the system has none of this, nothing is limited.

    Args:
        more: bytes.
    """
    global _holders, _former
    taken = _address_space()
    if resource is None or taken is None:
        yield
        return
    with _lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        if not _holders:
            _former = (soft, hard)
        _holders += 1
        limits = [limit for limit in (taken + more, *(_former or ())) if limit != resource.RLIM_INFINITY]
        # Beside another one's, the wider of the two: neither may starve the other.
        wanted = min(limits)
        if _holders > 1 and soft != resource.RLIM_INFINITY:
            wanted = max(wanted, soft)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if not _holders and _former is not None:
                resource.setrlimit(resource.RLIMIT_AS, (_former[0], hard))
                _former = None
