# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines by name."""

import os
from collections.abc import Callable

from amrq.errors import AmrqError
from amrq.link.engine import Engine
from amrq.link.integer_engine import IntegerEngine
from amrq.link.onnx_engine import OnnxEngine

__all__ = ["ENGINES", "make_engine"]


def _rtl(model: str | os.PathLike[str]) -> Engine:
    raise AmrqError(
        "the engine rtl comes with the generated hardware and is not there yet: take integer, which computes the same."
    )


ENGINES: dict[str, Callable[[str | os.PathLike[str]], Engine]] = {
    "integer": IntegerEngine,
    "onnx": OnnxEngine,
    "rtl": _rtl,
}
"""Functions of a model's file or name."""


def make_engine(name: str, model: str | os.PathLike[str]) -> Engine:
    """Return an engine that runs a model.

    Args:
        name: of the engine, one of `ENGINES`.
        model: path of an ONNX file or of an exported image, name of a shipped model, or `default`.

    Raises:
        AmrqError: there is no such engine, or it cannot run the model.
    """
    if name not in ENGINES:
        raise AmrqError(f"there is no engine {name!r}: choose from {', '.join(ENGINES)}.")
    return ENGINES[name](model)
