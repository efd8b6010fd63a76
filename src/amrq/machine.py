# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine: optional packages, ONNX Runtime without its telemetry, memory limits, the processor's name."""

import atexit
import importlib
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError

try:
    import resource
except ImportError:  # not POSIX: there is no such limit
    resource = None  # type: ignore[assignment]

__all__ = [
    "distribution_of",
    "end_at_exit",
    "gnuradio_object",
    "memory_limit",
    "onnx_runtime",
    "optional_package",
    "processor_name",
    "switch_off_telemetry",
]

_DISTRIBUTIONS = {"zmq": "pyzmq", "yaml": "pyyaml"}
"""Packages whose modules have another name than pip knows them by."""


def distribution_of(module: str) -> str:
    """Return the name of a module's package for pip: `pyzmq` for `zmq.utils.z85`.

    >>> distribution_of("yaml"), distribution_of("onnxruntime")
    ('pyyaml', 'onnxruntime')
    """
    package = module.partition(".")[0]
    return _DISTRIBUTIONS.get(package, package)


def gnuradio_object(module: str, name: str, use: str) -> Any:
    """Return a flowgraph, block or function of `gnuradio.amrq`.

    Args:
        module: in which it is.
        name: of it there.
        use: purpose, as the subject of a sentence.

    Raises:
        AmrqError: GNU Radio or this module of it is not installed.

    Example:
        open_source = gnuradio_object("open_source", "open_source", "live classification")
    """
    try:
        return getattr(importlib.import_module(f"gnuradio.amrq.{module}"), name)
    except ImportError as error:
        raise AmrqError(
            f"{use} needs GNU Radio 3.10 with this module installed ({error}): see the README."
        ) from None


def optional_package(module: str, purpose: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: its name, `matplotlib.figure` for instance.
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        AmrqError: it cannot be imported; the message says how to get it.

    >>> optional_package("json", "an example").dumps([1])
    '[1]'
    """
    package = distribution_of(module)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise AmrqError(
            f"{purpose} needs the Python package {package}, which cannot be imported ({error}): "
            f"install it, for example with 'pip install {package}'."
        ) from None


# The one door to ONNX Runtime, through which it comes without its telemetry.
#
# Since release 1.29 ONNX Runtime's official builds for Linux report to their maker by default: as soon as it is
# imported,
# it writes a device identifier and a queue of events (the model file's name, the processor, the interpreter)
# under the
# home folder and tries to send them. It reads the environment once, when it is initialised, so that the switch
# has to be
# set before the first import.

_SWITCHES = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")
"""What releases read: the first one, and the name it had while the feature was being written."""


def switch_off_telemetry() -> None:
    """Switch off the telemetry of ONNX Runtime in this process and in its child processes.

    `import amrq` does so. Where onnxruntime was imported before, it has read its environment already, and is asked to
    report nothing more.
    """
    os.environ.update(dict.fromkeys(_SWITCHES, "1"))
    loaded = sys.modules.get("onnxruntime")
    if loaded is not None:
        getattr(loaded, "disable_telemetry_events", _nothing)()


def _nothing() -> None:
    """Stand in for a function that a release lacks."""


def onnx_runtime(purpose: str = "running a model") -> Any:
    """Return the module onnxruntime, its telemetry switched off. Nothing else of ours imports it.

    Args:
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        AmrqError: it cannot be imported; the message says how to get it.
    """
    switch_off_telemetry()
    module = optional_package("onnxruntime", purpose)
    switch_off_telemetry()
    return module


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


def processor_name() -> str:
    """Return the processor's name, if the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


_AT_EXIT = 5.0
"""Seconds that Python's end waits for threads."""
_running: dict[threading.Thread, Callable[[], None]] = {}


def end_at_exit(thread: threading.Thread, stop: Callable[[], None]) -> None:
    """Have a daemon thread end before Python does, some seconds at most.

    Python ends daemon threads where they come back from compiled code, by unwinding it. That of SciPy and of ONNX
    Runtime aborts the process then, with exit status 134.

    Args:
        thread: the thread, started.
        stop: makes it end soon.
    """
    for former in [one for one in tuple(_running) if not one.is_alive()]:
        _running.pop(former, None)
    _running[thread] = stop


@atexit.register
def _end_threads() -> None:
    until = time.monotonic() + _AT_EXIT
    threads = [(thread, stop) for thread, stop in tuple(_running.items()) if thread.is_alive()]
    for _, stop in threads:
        stop()
    for thread, _ in threads:
        thread.join(max(0.0, until - time.monotonic()))
