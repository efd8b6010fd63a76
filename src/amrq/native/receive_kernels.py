# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for what a receiver does step by step and block by block.

What they compute, `amrq.measure.carrier_recovery` and the modules of `amrq.receive` say with NumPy.
"""

import ctypes
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CarrierLimits", "CarrierLines", "CarrierNow", "ReceiveKernels"]

_FUNCTIONS = 6
_Float = NDArray[np.float64]
_Bool = NDArray[np.bool_]


class CarrierLimits(ctypes.Structure):
    """What a carrier's choice is made with; see `amrq.measure.carrier_recovery` and `carrier_lines`."""

    _fields_ = [
        *((name, ctypes.c_double) for name in ("steady", "same", "turning", "binary_away")),
        *((name, ctypes.c_double) for name in ("fit_ahead", "slow_ahead", "sure")),
        *((name, ctypes.c_int64) for name in ("fit", "slow_fit", "coast", "late")),
    ]


class CarrierNow(ctypes.Structure):
    """What is known of a carrier from step to step; `doubtful` and `known`: whether `doubt` and `middle` are."""

    _fields_ = [
        *((name, ctypes.c_double) for name in ("rate", "drift", "doubt", "middle")),
        *((name, ctypes.c_int64) for name in ("age", "blind", "half", "doubtful", "known")),
    ]


class _Lines(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("fits", "slow", "far", "binary", "wander_rates")),
        *((name, ctypes.c_void_p) for name in ("any", "fit_ok", "slow_ok", "readable", "wanders", "orders")),
    ]


class CarrierLines(NamedTuple):
    """What the steps of a batch show, each array [6, steps] unless said."""

    fits: _Float  # rates, drifts and quality, [3, 6, steps]
    slow: _Float  # the same
    far: _Float
    binary: _Float  # [steps], frequency of a line; 9 for none
    wander_rates: _Float
    any: _Bool  # [steps], whether anything is seen
    fit_ok: _Bool
    slow_ok: _Bool
    readable: _Bool
    wanders: _Bool
    orders: NDArray[np.int64]  # [6]


class ReceiveKernels:
    """Functions of the library for a receiver.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._carrier_follow = library.amrq_carrier_follow
        self._carrier_follow.argtypes = [number, number, *[pointer] * 4, number, *[pointer] * 3]
        self._carrier_follow.restype = number
        self._carrier_turns = library.amrq_carrier_turns
        self._carrier_turns.argtypes = [pointer, number, pointer, pointer]
        self._carrier_turns.restype = None

    def carrier_follow(
        self, first: int, lines: CarrierLines, limits: CarrierLimits, middles: _Float, now: CarrierNow
    ) -> tuple[_Float, NDArray[np.int64], int]:
        """Choose the carrier of each step of a batch, and change what is known of it.

        Args:
            first: number of the first step.
            lines: what the steps show.
            limits: of the choice.
            middles: of the spectrum in the steps that come, NaN where it is not known.
            now: what is known, afterwards of the last step.

        Returns:
            rate, drift and share of each step, [3, steps]; M, whether a line has been seen of late, whether the
            constellation turns by half its symmetry, and the function whose line wanders, -1 for none, [4, steps]; and
            how many middles are used up.
        """
        steps = len(lines.any)
        plane = (_FUNCTIONS, steps)
        shapes = (
            (3, *plane),
            (3, *plane),
            plane,
            (steps,),
            plane,
            (steps,),
            plane,
            plane,
            plane,
            plane,
            (6,),
        )
        kinds = (np.float64,) * 5 + (np.bool_,) * 5 + (np.int64,)
        held: list[NDArray[Any]] = [
            np.ascontiguousarray(array, kind) for array, kind in zip(lines, kinds, strict=True)
        ]  # kept until the call returns
        if tuple(array.shape for array in held) != shapes:
            raise ValueError(f"what {steps} steps show has other shapes than {shapes}.")
        given = _Lines(*(array.ctypes.data for array in held))
        told, which = np.empty((3, steps)), np.empty((4, steps), np.int64)
        coming = np.nan_to_num(middles)
        known = np.isfinite(middles)
        used = self._carrier_follow(
            steps,
            first,
            ctypes.addressof(given),
            ctypes.addressof(limits),
            coming.ctypes.data,
            known.ctypes.data,
            len(coming),
            ctypes.addressof(now),
            told.ctypes.data,
            which.ctypes.data,
        )
        return told, which, int(used)

    def carrier_turns(self, rates: _Float, turn: float) -> tuple[_Float, float]:
        """Return by how many cycles each step of a rate, [steps], is turned in its beginning, and after the last.

        Args:
            rates: cycles/symbol.
            turn: cycles by which the first step is turned.
        """
        rates = np.ascontiguousarray(rates, np.float64)
        starts, now = np.empty(len(rates)), ctypes.c_double(turn)
        self._carrier_turns(rates.ctypes.data, len(rates), ctypes.addressof(now), starts.ctypes.data)
        return starts, float(now.value)
