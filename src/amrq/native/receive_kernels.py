# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for what a receiver does step by step and block by block.

What they compute, `amrq.measure.carrier_recovery` and the modules of `amrq.receive` say with NumPy.
"""

import ctypes
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native.line_kernels import roots
from amrq.native.pointers import address

__all__ = [
    "CarrierLimits",
    "CarrierLines",
    "CarrierNow",
    "ChannelFilters",
    "ReceiveKernels",
]

_FUNCTIONS, _SPAN, _TAPS = 6, 32, 8
_MOST_BINS = 512
_Complex = NDArray[np.complex64]
_Single = NDArray[np.float32]
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


class ChannelFilters(NamedTuple):
    """The filters of a channel's blocks, and what of their output is asked for."""

    responses: (
        _Single  # of the channel's, the matched and the timing's filter, each value twice, [any, 3, 2 bins]
    )
    which: NDArray[np.int64]  # those of each block, [blocks]
    first: int  # of the samples that are kept
    hop: int  # as many, a multiple of 32
    most: float  # that a span's mean power may be
    line_most: float  # that a sample's power may be in the line
    weights: _Single  # of both halves of the line in a span, real and imaginary parts, [4, 32]


class _Filters(ctypes.Structure):
    """`struct channel_filters` of filters.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("bins", "first", "hop")),
        *((name, ctypes.c_float) for name in ("most", "line_most")),
        *((name, ctypes.c_void_p) for name in ("weights", "roots")),
    ]


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
        real, single = ctypes.c_double, ctypes.c_float
        declared: dict[str, tuple[Any, list[Any]]] = {
            "span_powers": (None, [pointer, *[number] * 5, single, pointer]),
            "channel_filtered": (None, [pointer, number, *[pointer] * 6]),
            "block_turns": (None, [pointer, number, number, pointer, pointer]),
            "interpolate": (None, [pointer, pointer, number, pointer, number, pointer]),
            "correlation": (real, [pointer, number, number]),
        }
        for name, (result, arguments) in declared.items():
            function = getattr(library, f"amrq_{name}")
            function.argtypes, function.restype = arguments, result
            setattr(self, f"_{name}", function)
        self._carrier_turned = library.amrq_carrier_turned
        self._carrier_turned.argtypes = [pointer, number, *[pointer] * 5]
        self._carrier_turned.restype = None

    _span_powers: Any
    _channel_filtered: Any
    _block_turns: Any
    _interpolate: Any
    _correlation: Any

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
        given = _Lines(*(address(array) for array in held))
        told, which = np.empty((3, steps)), np.empty((4, steps), np.int64)
        known = np.isfinite(middles)
        coming = np.where(known, middles, 0.0)
        used = self._carrier_follow(
            steps,
            first,
            ctypes.addressof(given),
            ctypes.addressof(limits),
            address(coming),
            address(known),
            len(coming),
            ctypes.addressof(now),
            address(told),
            address(which),
        )
        return told, which, int(used)

    def carrier_turned(
        self, symbols: _Complex, rates: _Float, drifts: _Float | None, phases: _Single | None, turn: float
    ) -> tuple[_Complex, float]:
        """Return symbols of whole steps turned back, complex64 [32 steps], and the turn after the last step, cycles.

        Args:
            symbols: [32 steps].
            rates: of each step, cycles/symbol, [steps].
            drifts: cycles/symbol^2, [steps]; None for none.
            phases: cycles by which symbols are turned besides, [steps, 32]; None for none.
            turn: cycles by which the first step is turned in its beginning.
        """
        held, rates = np.ascontiguousarray(symbols, np.complex64), np.ascontiguousarray(rates, np.float64)
        drifts = None if drifts is None else np.ascontiguousarray(drifts, np.float64)
        if held.shape != (_SPAN * len(rates),) or (drifts is not None and drifts.shape != rates.shape):
            raise ValueError(f"{len(rates)} steps are not made of {held.shape} symbols.")
        if phases is not None:
            phases = np.ascontiguousarray(phases, np.float32).reshape(len(held))
        out, now = np.empty(len(held), np.complex64), ctypes.c_double(turn)
        self._carrier_turned(
            *(address(held), len(rates), address(rates)),
            *(None if one is None else address(one) for one in (drifts, phases)),
            *(ctypes.addressof(now), address(out)),
        )
        return out, float(now.value)

    def span_powers(self, samples: _Complex, first: int, hop: int, span: int, most: float) -> _Float:
        """Return mean powers of spans of samples, up to `most`, [blocks * hop / span].

        Args:
            samples: [blocks, n], of which `hop` are looked at, from `first` on.
            first: number of the first.
            hop: a multiple of span.
            span: samples of each, a multiple of 8.
            most: that a power may be.
        """
        held = _within(samples, first, hop)
        if span < 8 or span % 8 or hop % span:
            raise ValueError(f"spans of {span} samples do not fill {hop}, or are no multiple of 8.")
        out = np.empty(len(held) * (hop // span))
        self._span_powers(address(held), *held.shape, first, hop, span, most, address(out))
        return out

    def channel_filtered(
        self, spectra: _Complex, filters: ChannelFilters
    ) -> tuple[_Float, _Complex, _Complex]:
        """Filter blocks of a channel.

        Args:
            spectra: in the order of an FFT, [blocks, bins]; 32 to 512 bins, a power of two.
            filters: of the blocks.

        Returns:
            mean powers of spans of 32 samples out of the channel's filter, [blocks * hop / 32]; samples out of the
            matched filter, [blocks, hop]; what spans say of the line at the symbol rate, out of the timing's filter,
            complex64 [blocks * hop / 32, 2].
        """
        held = _within(spectra, filters.first, filters.hop)
        (blocks, bins), hop = held.shape, filters.hop
        if bins & (bins - 1) or not _SPAN <= bins <= _MOST_BINS or hop % _SPAN:
            raise ValueError(
                f"{hop} samples of {bins} bins, up to {_MOST_BINS}, are not made of spans of {_SPAN}."
            )
        responses, which = filters.responses, np.ascontiguousarray(filters.which, np.int64)
        if responses.shape[1:] != (3, 2 * bins) or responses.dtype != np.float32 or which.shape != (blocks,):
            raise ValueError(
                f"three responses of {bins} bins, each value twice, for {blocks} blocks are needed."
            )
        if blocks and not 0 <= which.min() <= which.max() < len(responses):
            raise ValueError(f"there are no more responses than {len(responses)}.")
        responses, weights = np.ascontiguousarray(responses), _weights(filters.weights)
        power, samples = np.empty(blocks * (hop // _SPAN)), np.empty((blocks, hop), np.complex64)
        halves = np.empty((len(power), 2), np.complex64)
        limits = (filters.most, filters.line_most)
        given = _Filters(bins, filters.first, hop, *limits, address(weights), address(roots(bins)))
        self._channel_filtered(
            *(address(held), blocks, address(responses), address(which), ctypes.addressof(given)),
            *(address(power), address(samples), address(halves)),
        )
        return power, samples, halves

    def block_turns(self, samples: _Complex, rate: _Single) -> NDArray[np.complex128]:
        """Return what tells the middle of a spectrum in blocks of samples: three sums of each, complex128 [3, blocks].

        Args:
            samples: [blocks, hop].
            rate: exp(-2 pi i k / samples a symbol), real and imaginary parts, [2, hop - 4].
        """
        held = np.ascontiguousarray(samples, np.complex64)
        if held.ndim != 2 or rate.shape != (2, held.shape[1] - 4) or rate.dtype != np.float32:
            raise ValueError(f"turns for blocks of {held.shape} samples are needed.")
        rate = np.ascontiguousarray(rate)
        out = np.empty((3, len(held)), np.complex128)
        self._block_turns(address(held), *held.shape, address(rate), address(out))
        return out

    def interpolate(self, samples: _Complex, places: _Float, taps: _Single) -> _Complex:
        """Return values between samples.

        Args:
            samples: [n].
            places: [m], 3 to n - 6.
            taps: [phases + 1, 8].
        """
        held, places = np.ascontiguousarray(samples, np.complex64), np.ascontiguousarray(places, np.float64)
        if (
            taps.ndim != 2
            or taps.shape[1] != _TAPS
            or taps.dtype != np.float32
            or not taps.flags.c_contiguous
        ):
            raise ValueError(f"{_TAPS} taps of each phase are needed.")
        if len(places) and not 3 <= places.min() <= places.max() < len(held) - 4:
            raise ValueError(f"places are not within {len(held)} samples.")
        out = np.empty(len(places), np.complex64)
        self._interpolate(
            address(held),
            address(places),
            len(places),
            address(taps),
            len(taps) - 1,
            address(out),
        )
        return out

    def correlation(self, symbols: _Complex, most: int) -> float:
        """Return the largest correlation of symbols 1 to `most` apart, 0 to 1."""
        held = np.ascontiguousarray(symbols, np.complex64)
        if held.ndim != 1 or not 0 < most < max(len(held), 2):
            raise ValueError(f"there are too few symbols, {held.shape}, for a distance of {most}.")
        return float(self._correlation(address(held), len(held), most))


def _weights(weights: _Single) -> _Single:
    """Return weights of a span's samples without gaps."""
    if weights.shape != (4, _SPAN) or weights.dtype != np.float32:
        raise ValueError(f"weights of {_SPAN} samples are needed, not {weights.shape}.")
    return np.ascontiguousarray(weights)


def _within(samples: _Complex, first: int, hop: int) -> _Complex:
    """Return blocks without gaps, in which so many samples are, from the first on."""
    held = np.ascontiguousarray(samples, np.complex64)
    if held.ndim != 2 or hop < 1 or not 0 <= first <= held.shape[1] - hop:
        raise ValueError(f"{hop} samples from {first} on are not in blocks of {held.shape}.")
    return held
