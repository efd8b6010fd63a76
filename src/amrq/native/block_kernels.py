# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for what a receiver does from block to block of its channel.

What they compute, the modules of `amrq.receive` say with NumPy.
"""

import ctypes
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = [
    "BlockKernels",
    "FollowNow",
    "PlaceModel",
    "PulseChoice",
    "PulseKinds",
    "SpectrumLimits",
    "SpectrumNow",
    "SpectrumRun",
]

_MOST_CELLS, _MOST_PULSES, _MOST_LEVELS, _LONGEST = 256, 1024, 16, 64
_Single = NDArray[np.float32]
_Float = NDArray[np.float64]
_Bool = NDArray[np.bool_]


def _plain(values: NDArray[Any], kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return values without gaps, of a kind, after a check of their shape."""
    if values.shape != shape:
        raise ValueError(f"an array {list(shape)} is needed, not {list(values.shape)}.")
    return np.ascontiguousarray(values, kind)


class SpectrumLimits(ctypes.Structure):
    """What a running average of spectra is made with; see `amrq.receive.pulse`."""

    _fields_ = [
        *(
            (name, ctypes.c_double)
            for name in ("keep", "change", "flat_db", "flat_noise", "independent", "hann")
        ),
        *((name, ctypes.c_int64) for name in ("first", "memory", "often", "noise_often")),
    ]


class SpectrumNow(ctypes.Structure):
    """What such an average knows; `noise` is -1 where it is not known, `level` its own."""

    _fields_ = [
        *((name, ctypes.c_double) for name in ("blocks", "noise", "likelihood")),
        *((name, ctypes.c_int64) for name in ("seen", "fresh", "weak", "level")),
    ]


class PulseKinds(NamedTuple):
    """Which pulses are raised cosines, not the roots of some.

    Attributes:
        wholes: which are, [pulses].
        whole: whether one of these is chosen.
        likelier: log likelihood by which one of them must be likelier than the others, to be chosen after one of those.
        spectra: of pulses without noise, 0 to some 1, [pulses, cells].
        noises: of levels near each level, some 1e-5 to 1, [levels, most]; where a level has fewer, -1.
    """

    wholes: _Bool
    whole: bool
    likelier: float
    spectra: _Float
    noises: _Float


class PulseChoice(ctypes.Structure):
    """What a pulse is chosen from, and what was chosen last; without arguments, none is chosen here."""

    _fields_ = [
        *(
            (name, ctypes.c_int64)
            for name in ("known", "first", "cells", "pulses", "levels", "present", "rare")
        ),
        *((name, ctypes.c_double) for name in ("sure", "better", "rise", "inner", "rare_blocks")),
        *((name, ctypes.c_void_p) for name in ("weight", "inverse", "means", "away", "allowed")),
        *(("whole", ctypes.c_int64), ("likelier", ctypes.c_double)),
        *((name, ctypes.c_void_p) for name in ("wholes", "spectra", "noises")),
        ("most", ctypes.c_int64),
    ]
    held: list[NDArray[Any]]

    @classmethod
    def of(
        cls,
        models: tuple[_Single, _Single, _Single],
        cells: tuple[int, _Float],
        kinds: "PulseKinds",
        now: tuple[int, float, int],
        limits: tuple[float, float, float, float],
    ) -> "PulseChoice":
        """Return a choice.

        Args:
            models: weights of cells, [cells]; the models' spectra inverted, [levels, cells, pulses]; means, [levels,
                pulses].
            cells: the first one, and their distances from the middle, [cells].
            kinds: which pulses are raised cosines, and whether one of them is chosen, or another.
            now: number of the present pulse, -1 for none; blocks in the average from which, and blocks since a signal
                began up to which, it is asked which kind it is of.
            limits: log likelihood that a pulse needs, and by which another must be better; rise of the power, and
                distance from the middle, from which on another signal begins.
        """
        weight, inverse, means = models
        levels, count, pulses = inverse.shape
        if not (0 < count <= _MOST_CELLS and 0 < pulses <= _MOST_PULSES and levels <= _MOST_LEVELS):
            raise ValueError(f"models for {count} cells, {pulses} pulses and {levels} levels are too many.")
        allowed = kinds.wholes == kinds.whole
        if not -1 <= now[0] < pulses or not allowed.any():
            raise ValueError(f"pulse {now[0]} is not among {pulses}, or none is allowed.")
        held = [
            _plain(weight, np.float32, (count,)),
            _plain(inverse, np.float32, inverse.shape),
            _plain(means, np.float32, (levels, pulses)),
            _plain(cells[1], np.float64, (count,)),
            _plain(allowed, np.bool_, (pulses,)),
        ]
        most = kinds.noises.shape[1]
        more = [
            _plain(kinds.wholes, np.bool_, (pulses,)),
            _plain(kinds.spectra, np.float64, (pulses, count)),
            _plain(kinds.noises, np.float64, (levels, most)),
        ]
        numbers = (1, int(cells[0]), count, pulses, levels, now[0], now[2])
        asked = (int(kinds.whole), kinds.likelier, *(address(one) for one in more), most)
        made = cls(*numbers, *limits, now[1], *(address(one) for one in held), *asked)
        made.held = held + more
        return made


class PlaceModel(ctypes.Structure):
    """What tells the place of a block's spectrum; without arguments, nothing."""

    _fields_ = [
        ("inverse", ctypes.c_void_p * _MOST_LEVELS),
        ("log", ctypes.c_void_p * _MOST_LEVELS),
        ("weight", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("bins", "first", "width", "places", "step")),
        *((name, ctypes.c_double) for name in ("compared", "least", "independent", "sure")),
    ]
    held: list[NDArray[Any]]

    @classmethod
    def of(
        cls,
        tables: dict[int, tuple[_Single, _Single]],
        weight: _Single,
        bins: tuple[int, int, int],
        limits: tuple[float, float, float, float],
    ) -> "PlaceModel":
        """Return a model.

        Args:
            tables: by level of the noise: the spectrum at each place, inverted, times the weight, [places, width]; and
                the sum of its logarithm, [places].
            weight: of bins, [width].
            bins: of a block, the first that is compared, and bins from one place to the next.
            limits: bins that count, the first place, the share of bins that are independent, and the log likelihood
                from which on there is a signal.
        """
        width = len(weight)
        places = len(next(iter(tables.values()))[1])
        if not 0 < places <= _MOST_CELLS or not 0 <= bins[1] <= bins[0] - width:
            raise ValueError(
                f"{width} bins from {bins[1]} on are not in {bins[0]}, or {places} places too many."
            )
        made, held = cls(), [_plain(weight, np.float32, (width,))]
        made.weight = address(held[0])
        for level, (inverse, log) in tables.items():
            held += [_plain(inverse, np.float32, (places, width)), _plain(log, np.float32, (places,))]
            made.inverse[level], made.log[level] = (address(one) for one in held[-2:])
        made.bins, made.first, made.step, made.width, made.places = *bins, width, places
        made.compared, made.least, made.independent, made.sure = limits
        made.held = held
        return made


class FollowNow(ctypes.Structure):
    """The places of the last blocks.

    Args:
        places: bins.
        deviations: of these, 0 where there was no signal.
        number: blocks so far.
        blind: of them since the last with a signal.
        limits: lengths of two lines, up to 64, blocks from look to look, those without a signal after which the channel
            goes back, and deviations that are suspect.
    """

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("places", "deviations")),
        *(
            (name, ctypes.c_int64)
            for name in ("count", "number", "blind", "shorter", "longer", "often", "gone")
        ),
        ("suspect", ctypes.c_double),
        ("look", ctypes.c_int64),
    ]

    def __init__(
        self,
        places: list[float],
        deviations: list[float],
        number: int,
        blind: int,
        limits: tuple[int, int, int, int, float],
    ) -> None:
        if len(places) != len(deviations) or max(limits[:2]) > _LONGEST:
            raise ValueError(
                f"{len(places)} places have {len(deviations)} deviations, or lines are too long."
            )
        super().__init__(None, None, len(places), number, blind, *limits, 0)
        self._before = (places, deviations)

    def make_room(self, blocks: int) -> None:
        """Make room for so many blocks more."""
        self._held = np.zeros((2, self.count + blocks))
        self._held[:, : self.count] = self._before
        self.places, self.deviations = (address(row) for row in self._held)

    @property
    def taken(self) -> NDArray[np.float64]:
        """Places and deviations of the blocks that were taken, [2, blocks]."""
        return self._held[:, len(self._before[0]) : self.count]


class SpectrumRun:
    """All that `BlockKernels.spectrum_run` needs and changes, but the spectra.

    Args:
        now: what the average knows, changed.
        limits: of the average.
        choice: of a pulse.
        place: what tells the place of a block's spectrum.
        follow: the places of the last blocks, changed.
    """

    def __init__(
        self,
        now: SpectrumNow,
        limits: SpectrumLimits,
        choice: PulseChoice,
        place: PlaceModel,
        follow: FollowNow,
    ) -> None:
        self.now, self.limits, self.choice, self.place, self.follow = now, limits, choice, place, follow

    @property
    def pointers(self) -> tuple[int, ...]:
        """Where these are."""
        parts = (self.now, self.limits, self.choice, self.place, self.follow)
        return tuple(ctypes.addressof(part) for part in parts)


class BlockKernels:
    """Functions of the library for blocks of a channel.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._spectrum_run = library.amrq_spectrum_run
        arguments: list[Any] = [pointer, pointer, number, number, *[pointer] * 8, number, pointer]
        self._spectrum_run.argtypes = arguments
        self._spectrum_run.restype = number

    def spectrum_run(
        self, powers: _Single, cells: _Float, average: _Float, run: SpectrumRun, sides: list[NDArray[np.intp]]
    ) -> _Float:
        """Average blocks up to one that changes what is known.

        Args:
            powers: of bins, [blocks, bins].
            cells: power of cells, [blocks, cells].
            average: [cells], changed.
            run: what is known, changed.
            sides: cells of noise beside the signal, four lists of up to 256, or none.

        Returns:
            the noise that was known at each of these blocks, -1 where it was not.
        """
        blocks, count = cells.shape
        powers, cells = np.ascontiguousarray(powers, np.float32), np.ascontiguousarray(cells, np.float64)
        if average.shape != (count,) or average.dtype != np.float64 or not average.flags.c_contiguous:
            raise ValueError(f"an average of {count} cells is needed.")
        counts = np.array([len(side) for side in sides], np.int64)
        places = np.concatenate([*sides, np.zeros(0, np.int64)]).astype(np.int64)
        if len(sides) not in (0, 4) or (
            len(sides) and not (counts.min() > 0 and counts.max() <= _MOST_CELLS)
        ):
            raise ValueError(f"four lists of 1 to {_MOST_CELLS} cells are needed, or none.")
        if len(places) and not 0 <= places.min() <= places.max() < count:
            raise ValueError(f"cells beside a signal are not among {count}.")
        choice, place = run.choice, run.place
        if powers.shape[0] != blocks or (place.places and place.bins != powers.shape[1]):
            raise ValueError(f"powers of {place.bins} bins are needed of {blocks} blocks.")
        if choice.first < 0 or choice.first + choice.cells > count or count > _MOST_CELLS:
            raise ValueError(f"{choice.cells} cells from {choice.first} on are not among {count}.")
        known = 0 <= run.now.level < _MOST_LEVELS and place.inverse[run.now.level]
        if place.places and not known:
            raise ValueError(f"there is no model for level {run.now.level}.")
        run.follow.make_room(blocks)
        noises = np.empty(blocks)
        done = self._spectrum_run(
            *(address(powers), address(cells), blocks, count, address(average), *run.pointers),
            *(address(places), address(counts), len(sides), address(noises)),
        )
        return noises[: int(done)]
