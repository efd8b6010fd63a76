# SPDX-License-Identifier: GPL-3.0-or-later
"""A quantised model without ONNX: what a board needs of it, in one NumPy file."""

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from amrq.errors import AmrqError
from amrq.hardware import (
    FixedPoint,
    IntegerFlatten,
    IntegerLayer,
    IntegerMean,
    IntegerNetwork,
    NumpyPrefix,
)
from amrq.hardware.onnx_graph import OnnxGraph
from amrq.hardware.read_layers import read_layers
from amrq.model import Contract, find_model
from amrq.whole_file import whole_file

__all__ = ["IMAGE_SUFFIX", "read_image", "write_image"]

IMAGE_SUFFIX = ".npz"
_VERSION = 1


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
    prefix = NumpyPrefix.from_onnx(graph.model, read.symbols, read.side)
    # Any: NumPy 2's stubs take what stands behind ** for savez's own option too, which is a bool.
    arrays: dict[str, Any] = {f"prefix/{name}": value for name, value in prefix.constants.items()}
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
        "version": _VERSION,
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "contract": network.contract.to_json(),
        "layers": layers,
        **(
            {"mean": [*size, _point(between.input), _point(between.output)]}
            if isinstance(between, IntegerMean)
            else {"flatten": [*size, _point(between.output)]}
        ),
        "prefix": prefix.description(),
    }
    arrays["description"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    with whole_file(image) as file:
        np.savez_compressed(file, **arrays)


def read_image(image: str | os.PathLike[str]) -> tuple[IntegerNetwork, bytes]:
    """Return the network in an image, and the SHA-256 of the ONNX file that it was made from.

    Raises:
        AmrqError: the file is missing or no image.
    """
    image = Path(image)
    if not image.is_file():
        raise AmrqError(f"there is no image {image}.")
    try:
        with np.load(image, allow_pickle=False) as file:
            arrays = dict(file)
        description = json.loads(arrays["description"].tobytes())
        if description["version"] != _VERSION:
            raise AmrqError(
                f"it is of version {description['version']} and this program reads version {_VERSION}"
            )

        def point(found: Any) -> FixedPoint | None:
            return None if found is None else FixedPoint(int(found[0]), bool(found[1]))

        def layer(found: dict[str, Any]) -> IntegerLayer:
            name = found["name"]
            weights, biases, exponents = (
                arrays[f"{name}/{part}"] for part in ("weights", "biases", "weight_exponents")
            )
            given = point(found["input"])
            assert given is not None
            return IntegerLayer(
                name,
                weights,
                biases,
                exponents,
                given,
                point(found["output"]),
                found["relu"],
                found["per_symbol"],
                found.get("pool", 1),  # images from before there were pools have none
            )

        layers = [layer(found) for found in description["layers"]]
        kind = "flatten" if "flatten" in description else "mean"
        channels, symbols, *points = description[kind]
        around = [point(one) for one in points]
        between: IntegerMean | IntegerFlatten
        if kind == "flatten":
            (flat,) = around
            assert flat is not None
            between = IntegerFlatten(channels, symbols, flat)
        else:
            summed, given = around
            assert summed is not None and given is not None
            between = IntegerMean(channels, symbols, summed, given)
        constants = {
            name.removeprefix("prefix/"): value
            for name, value in arrays.items()
            if name.startswith("prefix/")
        }
        network = IntegerNetwork(
            Contract.from_json(description["contract"]),
            NumpyPrefix(description["prefix"], constants),
            tuple(one for one in layers if one.per_symbol),
            between,
            tuple(one for one in layers if not one.per_symbol),
        )
        return network, bytes.fromhex(description["model_sha256"])
    except (KeyError, TypeError, ValueError, AssertionError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise AmrqError(
            f"{image} is no image that 'amrq board export' wrote ({' '.join(str(error).split())[:200].rstrip('.')})."
        ) from None
