# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled integer network: layers packed for the processor, and the call."""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = [
    "INSTRUCTIONS",
    "CompiledNetwork",
    "NetworkKernels",
    "NetworkLayer",
    "check_layers",
    "layer_arrays",
]

INSTRUCTIONS = ("plain", "avx2", "vnni")
"""What the layers can be computed with, by the library's number: plain C, AVX2, AVX-512 VNNI."""

_LANES, _ROOM, _LEFT = 32, 40, 4
_MOST_CHANNELS = 128
_ALIGNED, _SUMMARIES = 15, 8
_LARGEST_SUM = 2**30
_TABLES = {"level": (256,), "shrink": (512,), "weights": (6, 512), "magnitude": (512,), "cosine": (1024,)}


_COUNTS = ("kind", "symbol_layers", "head_layers", "mean_shift", "channels", "side")
_SIGNED = 12, 13
"""Channels of the aligner that have a sign."""
_ALIGNMENT = 64  # bytes


class NetworkLayer(NamedTuple):
    """A layer of an integer network.

    Attributes:
        weights: int8 `[outputs, inputs, kernel]`, kernel odd and at most 9.
        biases: int32 `[outputs]`.
        shifts: int64 `[outputs]`: to the right; of the last layer, whose sums are the scores, to the left.
        signed: its inputs are -128 to 127; otherwise 0 to 255.
    """

    weights: NDArray[np.int8]
    biases: NDArray[np.int32]
    shifts: NDArray[np.int64]
    signed: bool


_GIVEN = ("weights", "biases", "shifts", "offsets", "highest")
_MADE = ("words", "places", "ends", "starts", "roundings")


class _Layer(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in _GIVEN),
        *((name, ctypes.c_int32) for name in ("outputs", "inputs", "kernel", "reserved")),
        *((name, ctypes.c_void_p) for name in _MADE),
        *((name, ctypes.c_int32) for name in ("steps", "lefts")),
    ]


class _Network(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in (*_TABLES, "layers")),
        *((name, ctypes.c_int32) for name in _COUNTS),
    ]


def layer_arrays(layer: NetworkLayer, aligned: bool) -> dict[str, NDArray[Any]]:
    """Return what the library is given of a layer, by the name in its `struct layer`.

    Args:
        layer: of the network.
        aligned: it is the first one and takes what the integer aligner gives, so that most of its inputs have no sign.

    Returns:
        weights int8 `[outputs, inputs, kernel]`; biases and shifts int32 `[outputs]`; offsets uint8 `[inputs]`, added
        to the inputs so that they have no sign; highest uint8 `[inputs]`, the largest that they are then.

    >>> weights = np.ones((2, 3, 1), np.int8)
    >>> layer = NetworkLayer(weights, np.zeros(2, np.int32), np.zeros(2, np.int64), signed=True)
    >>> layer_arrays(layer, aligned=False)["offsets"].tolist()
    [128, 128, 128]
    """
    inputs = layer.weights.shape[1]
    signed = np.full(inputs, layer.signed)
    if aligned:
        signed[np.setdiff1d(np.arange(inputs), _SIGNED)] = False
    highest = np.where(signed, 255, 127) if aligned else np.full(inputs, 255)
    return {
        "weights": np.ascontiguousarray(layer.weights, np.int8),
        "biases": np.ascontiguousarray(layer.biases, np.int32),
        "shifts": np.ascontiguousarray(layer.shifts, np.int32),
        "offsets": np.where(signed, 128, 0).astype(np.uint8),
        "highest": highest.astype(np.uint8),
    }


class CompiledNetwork:
    """A network as the library runs it.

    Args:
        library: the loaded library.
        tables: of the aligner, by name: int64 arrays.
        symbol_layers: run at every symbol.
        head_layers: run once a chunk; the last one gives the scores.
        mean_shift: from the sum over the symbols to what the head is given, to the right.
        aligned: the integer aligner gives the first layer its inputs.
        instructions: one of `INSTRUCTIONS`; the best that the processor has where it is None.

    Raises:
        ValueError: the network is too large for the library, or the processor lacks the instructions.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        tables: Mapping[str, NDArray[np.int64]],
        symbol_layers: Sequence[NetworkLayer],
        head_layers: Sequence[NetworkLayer],
        mean_shift: int,
        aligned: bool,
        instructions: str | None = None,
    ) -> None:
        if instructions not in (None, *INSTRUCTIONS):
            raise ValueError(f"there are no instructions {instructions!r}, only {', '.join(INSTRUCTIONS)}.")
        best = int(library.amrq_network_kind())
        kind = best if instructions is None else INSTRUCTIONS.index(instructions)
        if kind > best:
            raise ValueError(f"the processor has no {INSTRUCTIONS[kind]}, only {INSTRUCTIONS[best]}.")
        self.instructions = INSTRUCTIONS[kind]
        layers = [*symbol_layers, *head_layers]
        self._channels, self._side = check_layers(symbol_layers, head_layers, mean_shift)
        if aligned and (self._channels, self._side) != (_ALIGNED, _SUMMARIES):
            raise ValueError("its first layers do not take what the integer aligner gives.")
        self._aligned = aligned
        self._arrays: list[NDArray[Any]] = []  # keeps what the library points to
        self._layers = (_Layer * len(layers))(
            *(self._described(layer, aligned and not number) for number, layer in enumerate(layers))
        )
        found = []
        for name, shape in _TABLES.items():
            table = np.ascontiguousarray(tables[name], np.int32)
            if table.shape != shape:
                raise ValueError(f"the table {name} must be of shape {list(shape)}, not {list(table.shape)}.")
            found.append(self._address(table))
        self._network = _Network(
            *found,
            ctypes.cast(self._layers, ctypes.c_void_p),
            kind,
            len(symbol_layers),
            len(head_layers),
            mean_shift,
            self._channels,
            self._side,
        )
        prepare = library.amrq_network_prepare
        prepare.argtypes, prepare.restype = [ctypes.c_void_p] * 2, ctypes.c_int64
        needed = int(prepare(ctypes.byref(self._network), None))
        memory = np.zeros(needed + _ALIGNMENT, np.uint8)
        prepare(ctypes.byref(self._network), self._address(memory[-address(memory) % _ALIGNMENT :]))
        self._outputs = len(layers[-1].weights)
        self._run = library.amrq_network_run
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
        self._run.restype = None
        self._run_layers = library.amrq_network_layers
        self._run_layers.argtypes = [*[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_void_p]
        self._run_layers.restype = None
        self._received = library.amrq_network_received
        self._received.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
        self._received.restype = None

    def _address(self, array: NDArray[Any]) -> int:
        self._arrays.append(array)
        return address(array)

    def _described(self, layer: NetworkLayer, aligned: bool) -> _Layer:
        arrays = layer_arrays(layer, aligned)
        return _Layer(*(self._address(arrays[name]) for name in _GIVEN), *layer.weights.shape)

    def received(self, iq: NDArray[np.float32]) -> NDArray[np.int16]:
        """Return chunks float32 `[N, 2, 32]` of unit RMS as integers: 2^12 times, rounded half to even, saturated."""
        given = np.ascontiguousarray(iq, np.float32)
        found = np.empty(given.shape, np.int16)
        self._received(address(given), given.size, address(found))
        return found

    def run(self, iq: NDArray[np.int16]) -> NDArray[np.int64]:
        """Return the scores `[N, outputs]` of chunks int16 `[N, 2, 32]`, at any level: aligner and layers."""
        if not self._aligned:
            raise ValueError("the network does not begin with the integer aligner.")
        if iq.dtype != np.int16 or iq.ndim != 3 or iq.shape[1:] != (2, _LANES):
            raise ValueError(f"chunks must be int16 [N, 2, {_LANES}], not {iq.dtype} {list(iq.shape)}.")
        given = np.ascontiguousarray(iq)
        scores = np.empty((len(given), self._outputs), np.int64)
        self._run(ctypes.byref(self._network), address(given), len(given), address(scores))
        return scores

    def run_layers(
        self, symbols: NDArray[np.integer[Any]], side: NDArray[np.integer[Any]]
    ) -> NDArray[np.int64]:
        """Return the scores `[N, outputs]` of what the layers take: symbols `[N, 32, channels]`, side `[N, numbers]`.

        All numbers must be within the range of the layer that takes them.
        """
        if self._aligned:
            raise ValueError("the network begins with the integer aligner.")
        wanted = (len(symbols), _LANES, self._channels), (len(symbols), self._side)
        if (symbols.shape, side.shape) != wanted:
            raise ValueError(f"the shapes must be {wanted}, not {(symbols.shape, side.shape)}.")
        rows = np.ascontiguousarray(symbols.transpose(0, 2, 1), np.int16)
        sides = np.ascontiguousarray(side, np.int16)
        scores = np.empty((len(rows), self._outputs), np.int64)
        self._run_layers(
            ctypes.byref(self._network), address(rows), address(sides), len(rows), address(scores)
        )
        return scores


def check_layers(
    symbol_layers: Sequence[NetworkLayer], head_layers: Sequence[NetworkLayer], mean_shift: int
) -> tuple[int, int]:
    """Return the channels of the first layer and how many numbers join the mean.

    Args:
        symbol_layers: run at every symbol.
        head_layers: run once a chunk.
        mean_shift: see `CompiledNetwork`.

    Raises:
        ValueError: the library does not run such a network.
    """
    if not symbol_layers or not head_layers:
        raise ValueError("a network needs layers at each symbol and once a chunk.")
    if not -8 <= mean_shift <= 16:
        raise ValueError(f"the mean must be shifted by -8 to 16 places, not {mean_shift}.")
    channels = given = symbol_layers[0].weights.shape[1]
    side = head_layers[0].weights.shape[1] - len(symbol_layers[-1].weights)
    for number, layer in enumerate([*symbol_layers, *head_layers]):
        outputs, inputs, kernel = layer.weights.shape
        in_head = number >= len(symbol_layers)
        if number == len(symbol_layers):
            given += side
        last = number == len(symbol_layers) + len(head_layers) - 1
        shifts = layer.shifts
        sums = 256 * np.abs(layer.weights.astype(np.int64)).sum(axis=(1, 2)) + np.abs(
            layer.biases.astype(np.int64)
        )
        good = (
            inputs == given
            and max(inputs, outputs) <= _MOST_CHANNELS - 4
            and kernel in ((1,) if in_head else (1, 3, 5, 7, 9))
            and layer.biases.shape == shifts.shape == (outputs,)
            and not (layer.signed and number)
            and sums.max() < _LARGEST_SUM
            and (0 if last else -8) <= shifts.min() <= shifts.max() <= (31 if last else 29)
        )
        if not good:
            raise ValueError(f"layer {number} of the network is not one that the library runs.")
        given = outputs
    if side < 0:
        raise ValueError("the first layer of the head takes less than the mean.")
    return channels, side


class NetworkKernels:
    """The integer network of the library.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        # Not in a library that was built before.
        self._kind = library.amrq_network_kind if hasattr(library, "amrq_network_prepare") else None
        self._library = library

    def network_instructions(self) -> tuple[str, ...]:
        """Return which of `INSTRUCTIONS` this processor has, the best one last; none in a library without network."""
        return INSTRUCTIONS[: int(self._kind()) + 1] if self._kind else ()

    def network(
        self,
        tables: Mapping[str, NDArray[np.int64]],
        symbol_layers: Sequence[NetworkLayer],
        head_layers: Sequence[NetworkLayer],
        mean_shift: int,
        aligned: bool,
        instructions: str | None = None,
    ) -> CompiledNetwork:
        """Return a network that the library runs; for the arguments see `CompiledNetwork`."""
        return CompiledNetwork(
            self._library, tables, symbol_layers, head_layers, mean_shift, aligned, instructions
        )
