# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that is the integer reference, and images: quantised models in a NumPy file, for a board without ONNX."""

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Engine, IntegerScores
from amrq.errors import AmrqError, ModelError
from amrq.files import parsing, read_arrays, whole_file
from amrq.hardware.integer_aligner import AlignerPrefix
from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.layers import FixedPoint, IntegerFlattening, IntegerLayer, IntegerMean
from amrq.hardware.prefix import NumpyPrefix
from amrq.hardware.read_layers import OnnxGraph, read_layers
from amrq.machine import memory_limit
from amrq.model import Contract, find_model
from amrq.text import printable

__all__ = ["IMAGE_SUFFIX", "IntegerEngine", "exact_input", "read_image", "read_network", "write_image"]

IMAGE_SUFFIX = ".npz"
_VERSION, _WITH_ALIGNER = 1, 2
"""Of images with a prefix in floating point, and of those that begin with the integer aligner."""
_LARGEST = 1 << 26
"""Bytes of all arrays of an image, 64 MiB, and of its file; the largest shipped model has some 20,000."""
_MOST_ARRAYS = 1000
_MOST_MEMORY = 1 << 30
_LONGEST_KERNEL = 1 << 10
_MOST_EXPONENT = 126
"""So that every scale is a normal number of float32."""
_KEPT = 8
"""Networks of files that are kept."""
_PARTS = ("weights", "biases", "weight_exponents")


class IntegerEngine(Engine):
    """What the hardware computes, to the bit, in NumPy; several times slower than ONNX Runtime.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`; or an image that `amrq board export` wrote,
            which needs neither onnx nor onnxruntime.

    Attributes:
        network: the model's layers.

    Raises:
        ModelError: as `IntegerNetwork.from_onnx` and `read_image`.
    """

    name = "integer"
    integer_scores = True

    def __init__(self, model: str | os.PathLike[str] = "default") -> None:
        self.network, self.model_sha256 = read_network(model)
        self.contract = self.network.contract
        self.input_scale, self.exact_bits = exact_input(self.network)

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> IntegerScores:
        """Return scores; see `Engine`."""
        return self.network.run(self.network.round_inputs(iq, level))


def _point(fixed_point: FixedPoint | None) -> list[Any] | None:
    return None if fixed_point is None else [fixed_point.exponent, fixed_point.signed]


def write_image(model: str | os.PathLike[str], image: str | os.PathLike[str]) -> None:
    """Write weights, biases, shifts, contract and what comes before the first rounding.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.
        image: the file to write, ending in .npz.

    Raises:
        AmrqError: the model cannot run in integers, or the file cannot be written.
    """
    path, image = find_model(model), Path(image)
    if image.suffix != IMAGE_SUFFIX:
        raise AmrqError(f"an image's name must end in {IMAGE_SUFFIX}, not {image.name!r}.")
    network = IntegerNetwork.from_onnx(path)
    graph = OnnxGraph(path)
    read = read_layers(graph, graph.outputs[-1], network.contract.chunk_length)
    integer = isinstance(network.prefix, AlignerPrefix)
    prefix = None if integer else NumpyPrefix.from_onnx(graph.model, read.symbols, read.side)
    # Any: NumPy 2's stubs take what stands behind ** for savez's own option too, which is a bool.
    constants = {} if prefix is None else prefix.constants
    arrays: dict[str, Any] = {f"prefix/{name}": value for name, value in constants.items()}
    layers = []
    for layer in network.layers:
        layers.append(
            {
                "name": layer.name,
                "input": _point(layer.input),
                "output": _point(layer.output),
                "relu": layer.relu,
                "per_symbol": layer.per_symbol,
                "pool": layer.pool,
            }
        )
        arrays[f"{layer.name}/weights"] = layer.weights
        arrays[f"{layer.name}/biases"] = layer.biases
        arrays[f"{layer.name}/weight_exponents"] = layer.weight_exponents
    between = network.between
    size = [between.channels, between.symbols]
    description = {
        "version": _VERSION if prefix else _WITH_ALIGNER,
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "contract": network.contract.to_json(oldest=True),
        "layers": layers,
        **(
            {"mean": [*size, _point(between.input), _point(between.output)]}
            if isinstance(between, IntegerMean)
            else {"flatten": [*size, _point(between.output)]}
        ),
        **({"prefix": prefix.description()} if prefix else {}),
    }
    arrays["description"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    with whole_file(image) as file:
        np.savez_compressed(file, **arrays)


def exact_input(network: IntegerNetwork) -> tuple[float, int | None]:
    """Return an engine's `input_scale` and `exact_bits`: samples as integers that give the same scores as float32.

    >>> exact_input(IntegerNetwork.from_onnx("blind-small-int4")) == (2.0**-12, 16)
    True
    """
    prefix, first = network.prefix, network.symbol_layers[0].input
    if isinstance(prefix, AlignerPrefix):
        return prefix.input_scale, 16  # it makes these very integers of float32
    scale = 2.0**first.exponent
    if prefix.operations not in ((), ("Abs",)) or not set(prefix.tensors[1:]) <= {"level"}:
        return scale, None
    # The first rounding is the client's own then; it stays so if nothing is cut off that the network would see.
    return scale, 8 if first.highest <= np.iinfo(np.int8).max else 16


def read_network(model: str | os.PathLike[str]) -> tuple[IntegerNetwork, bytes]:
    """Return the network in a model's file or an image, and the SHA-256 of the ONNX file.

    The networks of the files that were read last are kept: many sinks of one program run the same model.

    Raises:
        ModelError: as `IntegerNetwork.from_onnx` and `read_image`.
    """
    if Path(model).suffix == IMAGE_SUFFIX:
        return read_image(model)
    path = find_model(model)
    digest = hashlib.sha256(path.read_bytes()).digest()
    return _read_once(path, digest), digest


@lru_cache(maxsize=_KEPT)
def _read_once(path: Path, digest: bytes) -> IntegerNetwork:
    """Return the network in a file of this content. Reading takes a tenth of a second; nothing changes a network."""
    return IntegerNetwork.from_onnx(path)


def read_image(image: str | os.PathLike[str]) -> tuple[IntegerNetwork, bytes]:
    """Return the network in an image, and the SHA-256 of the ONNX file that it was made from.

    Raises:
        ModelError: the file is missing or no image.
    """
    image = Path(image)
    if not os.path.isfile(image):
        raise ModelError(f"there is no image {printable(image)}.")
    try:
        # The second bound is for what no claim in the file shows before it is worked out.
        with parsing(image, kind=ModelError), memory_limit(_MOST_MEMORY):
            return _network(read_arrays(image, _LARGEST, _MOST_ARRAYS))
    except AmrqError as error:
        raise ModelError(
            f"{printable(image)} is not an image that 'amrq board export' wrote ({printable(error, 300).rstrip('.')})."
        ) from None


def _network(arrays: dict[str, NDArray[Any]]) -> tuple[IntegerNetwork, bytes]:
    description = json.loads(arrays["description"].tobytes())
    if description["version"] not in (_VERSION, _WITH_ALIGNER):
        version = printable(description["version"], 40)
        raise ModelError(
            f"it is of version {version} and this program reads versions {_VERSION} and {_WITH_ALIGNER}"
        )
    if not 0 < len(description["layers"]) <= len(arrays):
        raise ModelError(f"it has {len(description['layers'])} layers")
    layers = [_layer(found, arrays) for found in description["layers"]]
    kind = "flatten" if "flatten" in description else "mean"
    channels, symbols, *points = description[kind]
    if not all(isinstance(size, int) and 0 < size <= _LARGEST for size in (channels, symbols)):
        raise ModelError(f"its {kind} is not of so many channels and symbols")
    around = [_given_point(one) for one in points]
    between: IntegerMean | IntegerFlattening
    if kind == "flatten":
        (flat,) = around
        between = IntegerFlattening(channels, symbols, flat)
    else:
        summed, given = around
        between = IntegerMean(channels, symbols, summed, given)
    constants = {
        name.removeprefix("prefix/"): value for name, value in arrays.items() if name.startswith("prefix/")
    }
    sha256 = bytes.fromhex(description["model_sha256"])
    if len(sha256) != hashlib.sha256().digest_size:
        raise ModelError("its model's SHA-256 is not valid")
    network = IntegerNetwork(
        Contract.from_json(description["contract"]),
        AlignerPrefix()
        if description["version"] == _WITH_ALIGNER
        else NumpyPrefix(description["prefix"], constants),
        tuple(one for one in layers if one.per_symbol),
        between,
        tuple(one for one in layers if not one.per_symbol),
    )
    return network, sha256


def _layer(found: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> IntegerLayer:
    name = str(found["name"])
    weights, biases, exponents = (arrays[f"{name}/{part}"] for part in _PARTS)
    if [array.dtype for array in (weights, biases, exponents)] != [np.int8, np.int32, np.int64]:
        raise ModelError(f"the layer {printable(name, 40)} has weights, biases or exponents of another type")
    if not weights.size or not weights.shape[-1] <= _LONGEST_KERNEL:
        raise ModelError(f"the layer {printable(name, 40)} has weights of shape {weights.shape}")
    # Not by their magnitude: that of the least int64 is negative.
    if not ((exponents >= -_MOST_EXPONENT) & (exponents <= _MOST_EXPONENT)).all():
        raise ModelError(f"the layer {printable(name, 40)} has weight exponents beyond {_MOST_EXPONENT}")
    return IntegerLayer(
        name,
        weights,
        biases,
        exponents,
        _given_point(found["input"]),
        None if found["output"] is None else _given_point(found["output"]),
        bool(found["relu"]),
        bool(found["per_symbol"]),
        found.get("pool", 1),  # images from before there were pools have none
    )


def _given_point(found: Any) -> FixedPoint:
    exponent, signed = found
    if not isinstance(exponent, int) or abs(exponent) > _MOST_EXPONENT:
        raise ModelError(
            f"an exponent is {printable(exponent, 40)}, not from {-_MOST_EXPONENT} to {_MOST_EXPONENT}"
        )
    return FixedPoint(exponent, bool(signed))
