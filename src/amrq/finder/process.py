# SPDX-License-Identifier: GPL-3.0-or-later
"""A finder in a process of its own, that reads samples out of a ring in shared memory.

The parent says which samples are searched next, by their numbers; answers come in the same order. The process is
started anew, not forked, since a flowgraph and a window have threads: it imports the detector and nothing of the
caller's script. It ends with the parent, whatever ends that: the connection closes then. Signals that a terminal or a
service sends to all processes are the parent's to follow, so they are blocked here from the beginning.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from amrq.channel import SampleRing, SharedMemory
from amrq.errors import AmrqError
from amrq.finder.finder import Finder, FinderOptions, Found, Job

__all__ = ["FinderProcess", "finder_process", "serve"]

_LOG = logging.getLogger(__name__)
_SWITCH = "AMRQ_DETECTOR_PROCESS"
_NAME = "amrq detector"
"""Of the process, in `top`; 15 characters at most."""
_LOOK_ROUND = 2.0
"""Seconds without a job after which the process looks whether its parent still lives."""
_START = 30.0
"""Seconds that the process may take to start: imports from a slow disk."""
_PATIENCE = 2.0
"""Seconds for the process to end by itself."""
_PREPARED = 0.15
"""Seconds of noise that are searched before the samples: a block and something more."""
_FOLLOWED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end the parent, and the process with it."""
_CODE = (
    "import sys; sys.path[:] = sys.argv[2:]; from amrq.finder.process import serve; serve(int(sys.argv[1]))"
)


@dataclass(frozen=True)
class _Start:
    """What the process is told first."""

    parent: int
    ring: SharedMemory
    options: FinderOptions


@dataclass(frozen=True)
class _Failure:
    """What the process says when it cannot go on."""

    error: Exception


def _is_wanted() -> bool:
    """Return whether a process may be started: this Python is not part of another program, and memory can be shared."""
    python = Path(sys.executable or "").name.lower().startswith("py")
    return os.environ.get(_SWITCH, "1") != "0" and python and hasattr(os, "memfd_create")


def finder_process(ring: SampleRing, options: FinderOptions) -> "FinderProcess | None":
    """Return a process that searches a ring; None where none can be started, or with `AMRQ_DETECTOR_PROCESS=0`.

    Args:
        ring: the samples; it moves to shared memory, and must not be in use by other threads yet.
        options: what the finder looks for.
    """
    if _is_wanted():
        try:
            return FinderProcess(ring, options)
        except OSError as error:
            _LOG.warning("the detector runs in a thread, since no process can be started: %s", error)
    return None


class FinderProcess:
    """A finder in a process of its own. Jobs are sent, their answers received, in the same order.

    At most `AT_ONCE` jobs may be on their way, so that sending never waits.

    Args:
        ring: the samples; it moves to shared memory, and must not be in use by other threads yet.
        options: what the finder looks for.

    Raises:
        OSError: the process cannot be started.

    >>> import numpy as np
    >>> ring = SampleRing(1e6, 1.0)
    >>> finder = FinderProcess(ring, FinderOptions())
    >>> ring.append(np.zeros(100_000, np.complex64))
    >>> finder.send(Job("samples", 0, 100_000))
    >>> finder.receive().now
    100000
    >>> finder.close()
    """

    AT_ONCE = 3
    """Jobs on their way: the process never waits for the next one."""

    def __init__(self, ring: SampleRing, options: FinderOptions) -> None:
        shared = ring.share()
        try:
            theirs, self._connection = Pipe()
            with theirs:
                descriptors = (theirs.fileno(), shared.descriptor)
                self._process = _started(theirs.fileno(), descriptors)
                self._connection.send(_Start(os.getpid(), shared, options))
        finally:
            os.close(shared.descriptor)
        self._ready = False

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def started(self, patience: float = _START) -> bool:
        """Wait until the process is ready; return whether it is. Otherwise it has ended, or is ended now."""
        try:
            if self._ready or (self._connection.poll(patience) and self._connection.recv() is None):
                self._ready = True
                return True
        except (OSError, EOFError):
            pass
        self.kill()
        return False

    def send(self, job: Job) -> None:
        """Give it a job."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `receive` says why
            self._connection.send(job)

    def receive(self) -> Found:
        """Return what came of the oldest job; wait for it.

        Raises:
            AmrqError: the process has ended.
        """
        if not self.started():
            raise AmrqError("the detector's process did not start")
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise AmrqError(f"the detector's process {self._fate()}") from None
        if isinstance(answer, _Failure):
            raise answer.error
        assert isinstance(answer, Found)
        return answer

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once; who waits for an answer gets an error."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)

    def _fate(self) -> str:
        try:
            status = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            return "does not answer"
        if status == -signal.SIGKILL:
            return "was killed: by somebody, or since there was too little memory"
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with exit status {status}"


def _started(connection: int, descriptors: tuple[int, ...]) -> "subprocess.Popen[bytes]":
    """Return a new Python that serves a connection."""
    # As this one finds its modules. An isolated Python reads nothing from the working folder before that.
    paths = [path or os.getcwd() for path in sys.path]
    command = [sys.executable, "-I", "-c", _CODE, str(connection), *paths]
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _FOLLOWED)
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=descriptors
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


# In the process


def serve(descriptor: int) -> None:
    """Do the jobs that come over a connection, until it closes."""
    with contextlib.suppress(OSError), Path("/proc/self/comm").open("w", encoding="ascii") as name:
        name.write(_NAME)
    connection: Connection[Any, Any] = Connection(descriptor)
    try:
        start = connection.recv()
    except (OSError, EOFError):  # the parent has gone
        return
    ring = SampleRing.attached(start.ring)
    os.close(start.ring.descriptor)
    _prepare(ring.sample_rate, start.options)
    finder = Finder(ring.sample_rate, start.options)
    try:
        connection.send(None)
        while (job := _next_job(connection, start.parent)) is not None:
            connection.send(_answer(finder, job, ring))
    except (OSError, EOFError, KeyboardInterrupt):  # the parent has gone
        pass


def _prepare(sample_rate: float, options: FinderOptions) -> None:
    """Search a block of noise, so that thresholds are computed before there are samples."""
    count = round(_PREPARED * sample_rate)
    noise = np.random.default_rng(1).standard_normal(2 * count, np.float32).view(np.complex64)
    Finder(sample_rate, options).process(noise)


def _answer(finder: Finder, job: Job, ring: SampleRing) -> Found | _Failure:
    began = time.thread_time()
    try:
        found = finder.do(job, ring)
    except Exception as error:  # whoever waits for it must learn of it
        return _Failure(AmrqError(f"{type(error).__name__}: {error}"))
    return Found(found.events, found.now, found.levels, time.thread_time() - began, found.gone)


def _next_job(connection: "Connection[Any, Any]", parent: int) -> Job | None:
    """Return the next job; None where the parent has gone. Another process of its may still hold the connection."""
    while not connection.poll(_LOOK_ROUND):
        if os.getppid() != parent:
            return None
    job: Job = connection.recv()
    return job
