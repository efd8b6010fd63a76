# SPDX-License-Identifier: GPL-3.0-or-later
"""The last seconds of a stream, so that the beginning of what was just found is not lost.

Samples are kept as their source gives them: 8-bit samples of 20 MS/s take 40 MB a second, complex64 four times as
much. A sample has the same number in the ring as in the stream, whatever has gone since.

A ring can be shared with another process, which reads what this one appends. Its memory is a file without a name: it
is gone with the last process that has it, whatever ends that.
"""

import mmap
import os
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.text import engineering

__all__ = ["RingFormat", "SampleRing", "SharedMemory"]

RingFormat = Literal["complex64", "ci8", "ci16"]
"""How a ring keeps samples: as complex64, or as integers I, Q of 8 or 16 bits; full scale of integers is 1."""

_STORED: dict[str, tuple[type[np.generic], tuple[int, ...], float]] = {
    "complex64": (np.complex64, (), 1.0),
    "ci8": (np.int8, (2,), 1 / 128),
    "ci16": (np.int16, (2,), 1 / 32768),
}
"""What a sample is stored as, its shape, and what a step stands for."""
_MOST_BYTES = 1 << 36
_PAGE = 4096
"""Bytes before the samples in shared memory: the numbers of the first sample and of the next one."""
_MOST_BREAKS = 65_536
"""Breaks that are known at most, the newest ones: a stream with more of them is not received."""


@dataclass(frozen=True)
class SharedMemory:
    """How another process reaches a ring.

    Attributes:
        descriptor: of the file that is the memory. It is closed by whoever asked for it.
        sample_rate: samples a second.
        capacity: samples.
        datatype: how they are stored.
    """

    descriptor: int
    sample_rate: float
    capacity: int
    datatype: RingFormat


class SampleRing:
    """Keeps the last samples of a stream; they are read by their number in the stream, which begins with 0.

    One thread appends. Any threads read, without waiting for the writer or holding it up: a read whose samples are
    overwritten meanwhile fails as if they had been gone before. Memory is allocated once.

    Args:
        sample_rate: samples a second, above 0.
        seconds: how much is kept, above 0.
        datatype: how samples are stored: `complex64`, `ci8` or `ci16`.

    Raises:
        AmrqError: a value is out of its range.

    >>> ring = SampleRing(sample_rate=1000.0, seconds=2.0, datatype="ci8")
    >>> ring.append(np.array([[64, 0], [0, -128]], dtype=np.int8))
    >>> ring.first, ring.end
    (0, 2)
    >>> ring.read(0, 2)
    array([0.5+0.j, 0. -1.j], dtype=complex64)
    """

    def __init__(self, sample_rate: float, seconds: float, datatype: RingFormat = "complex64") -> None:
        if datatype not in _STORED:
            raise AmrqError(f"a ring keeps samples as {', '.join(get_args(RingFormat))}, not as {datatype}.")
        if not 0 < sample_rate < 1e12:
            raise AmrqError(f"the sample rate must be above 0 Hz and below 1 THz, not {sample_rate:g}.")
        kind, shape, _ = _STORED[datatype]
        capacity = max(1, round(sample_rate * seconds)) if 0 < seconds < 1e9 else 0
        if not 0 < capacity * np.dtype(kind).itemsize * (2 if shape else 1) <= _MOST_BYTES:
            raise AmrqError(
                f"{seconds:g} s of samples at {engineering(sample_rate, 'S/s')} cannot be kept as {datatype}: give a "
                "time above 0 that needs at most 64 GiB."
            )
        self.sample_rate, self.datatype = float(sample_rate), datatype
        self._samples: NDArray[Any] = np.empty((capacity, *shape), dtype=kind)
        # The oldest sample that is there, which rises before its successor is overwritten; samples appended so far.
        self._marks = np.zeros(2, np.int64)
        self._broken: deque[int] = deque(maxlen=_MOST_BREAKS)
        self._lock = threading.Lock()  # of what is known, not of the samples

    @property
    def scale(self) -> float:
        """What 1 stands for in the samples as they are kept."""
        return _STORED[self.datatype][2]

    @property
    def capacity(self) -> int:
        """How many samples are kept."""
        return len(self._samples)

    @property
    def first(self) -> int:
        """Number of the oldest sample that is there."""
        return int(self._marks[0])

    @property
    def end(self) -> int:
        """Number of the sample that comes next: how many have come."""
        return int(self._marks[1])

    def share(self) -> SharedMemory:
        """Move the samples to memory that another process can be given; to be called before others use the ring.

        Returns:
            How `attached` finds it.

        Raises:
            OSError, AttributeError: there is no such memory on this machine.
        """
        stored = self._samples
        descriptor = os.memfd_create("amrq samples")
        try:
            os.ftruncate(descriptor, _PAGE + stored.nbytes)
            self._map(descriptor, stored)
        except BaseException:
            os.close(descriptor)
            raise
        return SharedMemory(descriptor, self.sample_rate, self.capacity, self.datatype)

    @classmethod
    def attached(cls, shared: SharedMemory) -> "SampleRing":
        """Return another process's ring, to be read only; breaks are not known here."""
        ring = cls(shared.sample_rate, shared.capacity / shared.sample_rate, shared.datatype)
        if ring.capacity != shared.capacity:
            ring._samples = np.empty((shared.capacity, *ring._samples.shape[1:]), ring._samples.dtype)
        ring._map(shared.descriptor)
        return ring

    def _map(self, descriptor: int, stored: NDArray[Any] | None = None) -> None:
        """Use a file's memory from now on; `stored` is what there is to be kept."""
        like, end = self._samples, self.end
        memory = mmap.mmap(descriptor, _PAGE + like.nbytes)
        marks = np.frombuffer(memory, np.int64, 2)
        samples = np.frombuffer(memory, like.dtype, like.size, _PAGE).reshape(like.shape)
        if stored is not None:
            marks[:] = self._marks
            samples[:end] = stored[:end]
        self._marks, self._samples = marks, samples

    def append(self, block: NDArray[Any]) -> None:
        """Add samples; they are copied.

        Args:
            block: complex [N] for complex64; integers [N, 2] or [2 N], I before Q, for ci8 and ci16.

        Raises:
            AmrqError: they are of another kind.
        """
        block = self._checked(block)
        end, capacity = self.end + len(block), len(self._samples)
        with self._lock:
            self._marks[0] = first = max(self.first, end - capacity)
            while self._broken and self._broken[0] <= first:
                self._broken.popleft()
        kept = block[-capacity:] if len(block) > capacity else block
        place = (end - len(kept)) % capacity
        until_wrap = min(len(kept), capacity - place)
        self._samples[place : place + until_wrap] = kept[:until_wrap]
        self._samples[: len(kept) - until_wrap] = kept[until_wrap:]
        with self._lock:
            self._marks[1] = end

    def add_break(self) -> None:
        """Note that samples were lost, or the radio was retuned, before the sample that comes next."""
        with self._lock:
            end = self.end
            if end and (not self._broken or self._broken[-1] != end):
                self._broken.append(end)

    def skip(self, count: int) -> None:
        """Count samples that were lost: they are read as zeros, between two breaks.

        Args:
            count: how many, at least 0.

        Raises:
            AmrqError: it is below 0.
        """
        if count < 0:
            raise AmrqError(f"{count} samples cannot be lost: give 0 or more.")
        if not count:
            return
        self.add_break()
        zeros = np.zeros(
            (min(count, len(self._samples), 1 << 20), *self._samples.shape[1:]), self._samples.dtype
        )
        if count > len(self._samples):  # what would be overwritten at once need not be written
            with self._lock:
                self._marks[:] = self.end + count - len(self._samples)
                self._broken.clear()
            count = len(self._samples)
        while count:
            self.append(zeros[:count])
            count -= min(count, len(zeros))
        self.add_break()

    def read(self, start: int, stop: int) -> NDArray[np.complex64]:
        """Return the samples from number `start` up to, but not with, number `stop`: complex64 [stop - start].

        Raises:
            AmrqError: some of them have gone, or have not come yet.
        """
        stored = self.stored(start, stop)
        if self.datatype == "complex64":
            return stored
        scaled: NDArray[np.float32] = np.multiply(stored, np.float32(self.scale), dtype=np.float32)
        return scaled.reshape(-1).view(np.complex64)

    def stored(self, start: int, stop: int) -> NDArray[Any]:
        """Return samples as they are kept: complex64 [N] or integers [N, 2]; times `scale` they are what `read` gives.

        Raises:
            AmrqError: some of them have gone, or have not come yet.
        """
        if not 0 <= start <= stop <= self.end:
            raise AmrqError(
                f"samples {start} to {stop} cannot be read: {self.end} have come so far, and reading goes forwards."
            )
        capacity = len(self._samples)
        if start >= self.first:
            place, count = start % capacity, stop - start
            until_wrap = min(count, capacity - place)
            found = np.empty((count, *self._samples.shape[1:]), self._samples.dtype)
            found[:until_wrap] = self._samples[place : place + until_wrap]
            found[until_wrap:] = self._samples[: count - until_wrap]
        if start < self.first:  # before it was copied, or meanwhile
            raise AmrqError(
                f"samples {start} to {stop} have gone: the last {engineering(capacity / self.sample_rate, 's')} are "
                f"kept, from sample {self.first} on."
            )
        return found

    def breaks(self, start: int, stop: int) -> list[int]:
        """Return the numbers of the samples in `start` < number < `stop` before which the stream broke, in order."""
        with self._lock:
            return [place for place in self._broken if start < place < stop]

    def _checked(self, block: NDArray[Any]) -> NDArray[Any]:
        given = block = np.asarray(block)
        if self.datatype == "complex64":
            if block.ndim == 1 and block.dtype.kind == "c":
                return block
            wanted = "a row of complex numbers"
        else:
            if block.ndim == 1 and len(block) % 2 == 0:
                block = block.reshape(-1, 2)
            if block.ndim == 2 and block.shape[1] == 2 and block.dtype == self._samples.dtype:
                return block
            wanted = f"{self._samples.dtype} [N, 2] or [2 N]"
        raise AmrqError(f"a ring of {self.datatype} takes {wanted}, not {given.dtype} {list(given.shape)}.")
