# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines by name."""

import os
from collections.abc import Callable
from typing import Any

from amrq.errors import AmrqError
from amrq.link.engine import Engine
from amrq.link.integer_engine import IntegerEngine
from amrq.link.onnx_engine import OnnxEngine

__all__ = ["ENGINES", "make_engine"]


def _rtl(model: str | os.PathLike[str], **options: Any) -> Engine:
    from amrq.link.rtl_engine import RtlEngine  # a board needs nothing of what makes Verilog

    return RtlEngine(model, **options)


ENGINES: dict[str, Callable[..., Engine]] = {"integer": IntegerEngine, "onnx": OnnxEngine, "rtl": _rtl}
"""Functions of a model's file or name, and of their own options."""


def make_engine(name: str, model: str | os.PathLike[str], **options: Any) -> Engine:
    """Return an engine that runs a model.

    Args:
        name: of the engine, one of `ENGINES`.
        model: path of an ONNX file or of an exported image, name of a shipped model, or `default`.
        options: of that engine: `rtl` takes those of `RtlEngine`, the others none.

    Raises:
        AmrqError: there is no such engine, or it cannot run the model.
    """
    if name not in ENGINES:
        raise AmrqError(f"there is no engine {name!r}: choose from {', '.join(ENGINES)}.")
    return ENGINES[name](model, **options)
