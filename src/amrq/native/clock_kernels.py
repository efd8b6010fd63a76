# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for the line of the symbol rate; what they compute, `amrq.receive.timing` says with NumPy."""

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["ClockKernels", "ClockLimits", "ClockTrack", "ClockWindow", "Tone"]

_LANES, _LONGEST, _MOST_BINS = 16, 256, 3072  # transforms side by side, and values of each and bins at most
_Complex = NDArray[np.complex64]
_Float = NDArray[np.float64]
_Whole = NDArray[np.int64]


class ClockLimits(ctypes.Structure):
    """What tones of the line are compared with: `struct clock_limits` of clock.c."""

    _fields_ = [
        *((name, ctypes.c_double) for name in ("symbols", "usual_error", "cost")),
        *((name, ctypes.c_double) for name in ("clear", "contradicted", "nominal")),
        *((name, ctypes.c_int64) for name in ("span", "lines", "ahead", "slowly", "settled")),
    ]


class Tone(ctypes.Structure):
    """A tone that was fitted: `struct tone` of clock.c."""

    _fields_ = [(name, ctypes.c_double) for name in ("rate", "phase", "middle", "score", "energy")]


class ClockTrack(ctypes.Structure):
    """What is known of the line: its tone, whether that was seen, and the last one in the longest window, if any."""

    _fields_ = [
        *((name, ctypes.c_double) for name in ("rate", "phase", "at")),
        ("lasting", Tone),
        *((name, ctypes.c_int64) for name in ("known", "clear")),
    ]


class _Window(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("window", "bins", "reach", "size")),
        *((name, ctypes.c_void_p) for name in ("turns", "roots")),
    ]


@lru_cache(64)
def _turn(bins: int) -> NDArray[np.float32]:
    """Return exp(-j 2 pi k / bins), real and imaginary parts, float32 [2, bins]."""
    turn = np.exp(-2j * np.pi * (np.arange(bins) / bins))
    return np.stack((turn.real, turn.imag)).astype(np.float32)


class ClockWindow:
    """A window of the line, and what its spectrum is made with.

    Args:
        window: samples of the line.
        bins: of the spectrum, 3,072 at most: a power of two, 4 to 256, times 16 at most.
        reach: bins on either side of 0 Hz that are looked at, less than half of them.
    """

    def __init__(self, window: int, bins: int, reach: int) -> None:
        size = 4
        while size * _LANES < bins:
            size *= 2
        if window < 1 or bins % size or size > _LONGEST or bins > _MOST_BINS or not 0 < 2 * reach < bins:
            raise ValueError(f"{bins} bins, {reach} of them on either side, cannot be looked at.")
        self.window = window
        turn = _turn(bins)
        # Kept as long as the structure that points to them.
        self._kept = [
            np.take(turn, np.arange(window)[:, None] * np.arange(_LANES) % bins, axis=1),
            np.ascontiguousarray(turn[:, :: bins // size]),
        ]
        self.structure = _Window(window, bins, reach, size, *(address(one) for one in self._kept))

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how it is made again: a pointer means nothing elsewhere."""
        given = self.structure
        return ClockWindow, (given.window, given.bins, given.reach)


class ClockKernels:
    """Functions of the library for the line of the symbol rate.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._clock_tones = library.amrq_clock_tones
        self._clock_tones.argtypes = [*[pointer] * 3, number, *[pointer] * 3]
        self._clock_follow = library.amrq_clock_follow
        self._clock_follow.argtypes = [pointer, *[number] * 4, *[pointer] * 5]
        self._clock_tones.restype = self._clock_follow.restype = None

    def clock_tones(
        self, line: _Complex, starts: _Whole, ends: _Whole, window: ClockWindow, limits: ClockLimits
    ) -> _Float:
        """Return the likeliest tone of windows of a line: rate, phase, middle, score and energy of each, [5, windows].

        Args:
            line: [n].
            starts: of the windows in it, [windows].
            ends: of the windows, counted from the stream's first sample, [windows].
            window: what is looked at.
            limits: what tones are compared with.
        """
        line, starts = np.ascontiguousarray(line, np.complex64), np.ascontiguousarray(starts, np.int64)
        ends = np.ascontiguousarray(ends, np.int64)
        if len(starts) and not 0 <= starts.min() <= starts.max() <= len(line) - window.window:
            raise ValueError(f"windows of {window.window} samples are not within {len(line)}.")
        if len(ends) != len(starts) or (len(ends) and ends.min() < 1):
            raise ValueError(f"ends above 0 of {len(starts)} windows are needed.")
        found = np.empty((5, len(starts)))
        self._clock_tones(
            *(address(line), address(starts), address(ends), len(starts)),
            *(ctypes.addressof(window.structure), ctypes.addressof(limits), address(found)),
        )
        return found

    def clock_follow(
        self,
        line: _Complex,
        count: int,
        blocks: tuple[int, int],
        windows: tuple[ClockWindow, ClockWindow, ClockWindow],
        limits: ClockLimits,
        now: ClockTrack,
    ) -> tuple[_Float, NDArray[np.bool_]]:
        """Tell the clocks of blocks, and change what is known of the line.

        Args:
            line: the last samples of a stream, [n].
            count: samples of the stream.
            blocks: number of the first one, and how many.
            windows: the short one, the middle one and the longest.
            limits: what tones are compared with.
            now: what is known, afterwards of the last block.

        Returns:
            cycles at each block's beginning and cycles a channel sample, [2, blocks], and whether each was seen.
        """
        line, (first, number) = np.ascontiguousarray(line, np.complex64), blocks
        begin, longest = count - len(line), max(window.window for window in windows)
        end = min((first + 1) * limits.lines + limits.ahead, count)
        if number < 1 or end - longest < begin or end < 1 or (first + number) * limits.lines > count:
            raise ValueError(f"blocks {first} to {first + number - 1} are not within {len(line)} samples.")
        told, seen = np.empty((2, number)), np.empty(number, np.bool_)
        pointers = (ctypes.c_void_p * 3)(*(ctypes.addressof(window.structure) for window in windows))
        self._clock_follow(
            *(address(line), begin, count, first, number, ctypes.addressof(pointers)),
            *(ctypes.addressof(limits), ctypes.addressof(now), address(told), address(seen)),
        )
        return told, seen
