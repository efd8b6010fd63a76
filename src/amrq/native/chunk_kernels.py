# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for what a receiver does chunk by chunk of its symbols.

What they compute, the modules of `amrq.receive` say with NumPy.
"""

import ctypes
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["UNKNOWN", "BurstLimits", "BurstNow", "ChunkKernels", "ClockNow", "LevelLimits", "LevelNow"]

UNKNOWN = -1000.0
"""What stands for a number that is not known."""

_LAGS, _MOST_FRAMES, _MOST_BURSTS = 64, 1024, 64
_LONGEST_MEAN, _SHORTEST_MEAN = 8, 4
_Complex = NDArray[np.complex64]
_Float = NDArray[np.float64]


class ClockNow(ctypes.Structure):
    """The phase of the clock where the next block begins, in cycles, the next symbol's number, and the block's."""

    _fields_ = [("phase", ctypes.c_double), ("number", ctypes.c_int64), ("block", ctypes.c_int64)]


class LevelLimits(ctypes.Structure):
    """What levels of chunks are found with; see `amrq.receive.receiver`."""

    _fields_ = [
        *((name, ctypes.c_double) for name in ("span", "change", "burst")),
        *((name, ctypes.c_int64) for name in ("long_mean", "short_mean", "memory")),
        *((name, ctypes.c_double) for name in ("hop", "bins", "passed", "rate", "least", "uncertain")),
    ]


class LevelNow(ctypes.Structure):
    """The level, of how many chunks it is the mean; whether a burst begins with the next chunk, or has just ended."""

    _fields_ = [
        ("level", ctypes.c_double),
        *((name, ctypes.c_int64) for name in ("levels", "begins", "ended")),
    ]


class BurstLimits(ctypes.Structure):
    """What bursts are found with; see `amrq.receive.bursts`."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("block", "learnt", "shortest", "longest")),
        *((name, ctypes.c_double) for name in ("quantile", "unbiased", "present")),
    ]


class BurstNow(ctypes.Structure):
    """Frames taken, where a burst has begun (-1: none), frames ahead; powers of the last one and of the noise."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("spent", "begun", "ahead")),
        *((name, ctypes.c_double) for name in ("last", "noise")),
    ]


class ChunkKernels:
    """Functions of the library for symbols and chunks.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
        declared: dict[str, tuple[Any, list[Any]]] = {
            "symbol_places": (number, [pointer, pointer, number, number, pointer, number, pointer]),
            "chunk_levels": (
                None,
                [pointer, number, pointer, number, number, pointer, number, number, *[pointer] * 4],
            ),
            "chunk_middles": (
                None,
                [pointer, number, pointer, number, number, number, real, real, real, pointer],
            ),
            "correlations": (None, [pointer, pointer, pointer, number, number, pointer]),
            "burst_frames": (
                number,
                [pointer, number, number, number, pointer, pointer, number, pointer, pointer],
            ),
            "largest_size": (ctypes.c_int32, [pointer, number]),
            "rails": (None, [pointer, number, pointer, pointer, pointer]),
        }
        for name, (result, arguments) in declared.items():
            function = getattr(library, f"amrq_{name}")
            function.argtypes, function.restype = arguments, result
            setattr(self, f"_{name}", function)

    _symbol_places: Any
    _chunk_levels: Any
    _chunk_middles: Any
    _correlations: Any
    _burst_frames: Any
    _largest_size: Any
    _rails: Any

    def symbol_places(self, phases: list[float], rates: list[float], hop: int, now: ClockNow) -> _Float:
        """Return the channel samples at which symbols come in blocks of `hop` samples, since the stream began.

        Args:
            phases: cycles of each block's clock at its first sample.
            rates: cycles a sample, above 0.
            hop: samples of a block.
            now: where the clock is, changed.
        """
        clocks = np.array((phases, rates), np.float64)
        if clocks.shape[1] and not clocks[1].min() > 0:
            raise ValueError(f"clocks run with rates above 0, not {clocks[1].min()}.")
        room = max(0, math.ceil(hop * clocks[1].sum() + abs(now.phase)) + 4 * len(phases) + 4 - now.number)
        room = max(room, math.ceil(hop * clocks[1].sum()) + 4 * len(phases) + 4)
        places = np.empty(room)
        row = address(clocks)
        count = self._symbol_places(
            *(row, row + clocks.strides[0], len(phases), hop, ctypes.addressof(now), room, address(places))
        )
        return places[: int(count)]

    def chunk_levels(
        self,
        ends: _Float,
        power: tuple[_Float, int],
        noises: tuple[list[float], int],
        limits: LevelLimits,
        now: LevelNow,
    ) -> tuple[_Float, NDArray[np.bool_]]:
        """Return levels of chunks, of how many each is the mean, and Es/N0 in dB; and where bursts begin or end.

        Args:
            ends: channel samples of first and last symbol, [chunks, 2].
            power: in the channel, and the number of its first value.
            noises: of blocks, NaN where it is not known, and the number of the first block.
            limits: of levels and Es/N0.
            now: the level, changed.

        Returns:
            [3, chunks], Es/N0 UNKNOWN where it does not show, and bool [chunks].
        """
        ends, held = np.ascontiguousarray(ends, np.float64), np.ascontiguousarray(power[0], np.float64)
        if ends.ndim != 2 or ends.shape[1] != 2 or held.ndim != 1:
            raise ValueError(f"two ends of each chunk are needed, not {list(ends.shape)}.")
        if limits.long_mean != _LONGEST_MEAN or limits.short_mean != _SHORTEST_MEAN:
            raise ValueError(f"means of {_LONGEST_MEAN} and {_SHORTEST_MEAN} values are needed.")
        density = np.nan_to_num(np.array(noises[0], np.float64), nan=-1.0)
        found, borders = np.empty((3, len(ends))), np.empty(len(ends), np.bool_)
        self._chunk_levels(
            *(address(ends), len(ends), address(held), len(held), power[1]),
            *(address(density), len(density), noises[1], ctypes.addressof(limits)),
            *(ctypes.addressof(now), address(found), address(borders)),
        )
        return found, borders

    def chunk_middles(
        self,
        turns: NDArray[np.complex128],
        chunks: NDArray[np.int64],
        window: tuple[int, int],
        limits: tuple[float, float, float],
    ) -> _Float:
        """Return the middle of the spectrum around chunks, cycles/symbol, UNKNOWN where it does not show.

        Args:
            turns: of blocks, [2, blocks].
            chunks: number of each chunk's block, from 0 on.
            window: blocks before a chunk's, and least blocks that count, from the first one on.
            limits: samples a symbol over 2 pi; cycles/symbol by which two measures may differ; share that is clear.
        """
        turns, chunks = np.ascontiguousarray(turns, np.complex128), np.ascontiguousarray(chunks, np.int64)
        if turns.ndim != 2 or len(turns) != 2 or (len(chunks) and chunks.min() < 0):
            raise ValueError(f"two turns of each block are needed, not {list(turns.shape)}.")
        found = np.empty(len(chunks))
        self._chunk_middles(
            *(address(turns), turns.shape[1], address(chunks), len(chunks), *window, *limits),
            address(found),
        )
        return found

    def correlations(
        self, symbols: _Complex, ends: NDArray[np.int64], lengths: NDArray[np.int64], most: int
    ) -> _Float:
        """Return the largest correlation of symbols 1 to `most` apart, 0 to 1, of those before each end.

        Args:
            symbols: [n].
            ends: [m].
            lengths: how many symbols, more than `most`, [m].
            most: up to 64.
        """
        held = np.ascontiguousarray(symbols, np.complex64)
        ends, lengths = np.ascontiguousarray(ends, np.int64), np.ascontiguousarray(lengths, np.int64)
        if ends.shape != lengths.shape or not 0 < most <= _LAGS:
            raise ValueError(f"{len(ends)} ends have {len(lengths)} lengths, or {most} is too far.")
        if len(ends) and not (
            lengths.min() > most and (ends - lengths).min() >= 0 and ends.max() <= len(held)
        ):
            raise ValueError(f"parts are not within {len(held)} symbols, or have no more than {most}.")
        found = np.empty(len(ends))
        self._correlations(address(held), address(ends), address(lengths), len(ends), most, address(found))
        return found

    def burst_frames(
        self, powers: _Float, before: int, margin: int, limits: BurstLimits, now: BurstNow
    ) -> list[tuple[int, int, float]]:
        """Take frames block by block; return those at which bursts begin and end, and the noise then.

        Args:
            powers: of frames, of which the first `before` are taken already.
            before: number of these.
            margin: frames after a block that must have come.
            limits: of bursts.
            now: what is known, changed.
        """
        held = np.ascontiguousarray(powers, np.float64)
        most = limits.learnt + limits.block + now.ahead
        if not 0 <= before <= len(held) or limits.block < 8 or most > 2 * _MOST_FRAMES or now.ahead < 0:
            raise ValueError(f"{before} of {len(held)} frames cannot be taken, or {most} are too many.")
        room = len(held) // 2 + _MOST_BURSTS
        bursts, noises = np.empty((2, room), np.int64), np.empty(room)
        count = self._burst_frames(
            *(address(held), before, len(held) - before, margin, ctypes.addressof(limits)),
            *(ctypes.addressof(now), room, address(bursts), address(noises)),
        )
        return list(zip(*bursts[:, :count].tolist(), noises[:count].tolist(), strict=True))

    def largest_part(self, samples: _Complex) -> float:
        """Return the largest real or imaginary part of samples, [n], by size; NaN or infinite where one is."""
        held = np.ascontiguousarray(samples, np.complex64)
        size = self._largest_size(address(held), 2 * held.size)
        return float(np.array(size, np.int32).view(np.float32))

    def rails(self, samples: _Complex, tops: _Float, at: _Float, beside: _Float) -> None:
        """Count the samples at the ends of the range: of the highest and the lowest value of either part.

        Args:
            samples: finite ones, [n], at least one.
            tops: largest sizes so far, of real parts, their negatives, imaginary parts, their negatives, [4], changed.
            at: samples so far at these, [4], changed.
            beside: samples so far at the next value below in the samples of a call, [4], changed.
        """
        held = np.ascontiguousarray(samples, np.complex64)
        kinds = (one.shape == (4,) and one.dtype == np.float64 for one in (tops, at, beside))
        if held.ndim != 1 or not len(held) or not all(kinds):
            raise ValueError("samples and three arrays of four numbers are needed.")
        self._rails(address(held), len(held), *(address(one) for one in (tops, at, beside)))
