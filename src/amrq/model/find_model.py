# SPDX-License-Identifier: GPL-3.0-or-later
"""Where models lie."""

import contextlib
import os
from pathlib import Path

from amrq.errors import AmrqError
from amrq.plain_text import printable

__all__ = ["DEFAULT_MODEL", "find_model", "list_models"]

DEFAULT_MODEL = "default"
_DEFAULT_STEM = "blind-full-int8"


def _folders() -> list[Path]:
    here = Path(__file__).resolve()
    own = os.environ.get("AMRQ_MODELS")
    # Installed, the shipped models lie inside the package; in a source tree, beside src.
    candidates = [Path(own)] if own else []
    candidates += [here.parents[1] / "models", here.parents[3] / "models"]
    return [folder for folder in candidates if os.path.isdir(folder)]


def list_models() -> list[Path]:
    """Return the model files in the folder $AMRQ_MODELS, if set, and among those shipped."""
    found: dict[str, Path] = {}
    for folder in _folders():
        with contextlib.suppress(OSError):  # a folder that may not be read holds none
            for path in sorted(folder.glob("*.onnx")):
                found.setdefault(path.stem, path)
    return list(found.values())


def find_model(name: str | os.PathLike[str] = DEFAULT_MODEL) -> Path:
    """Return the file of a model given by path (with a slash or the suffix), by name, or as `default`.

    Raises:
        AmrqError: there is none; the message lists the names there are.
    """
    path = Path(name)
    if path.suffix == ".onnx" or len(path.parts) > 1:
        if os.path.isfile(path):
            return path
        raise AmrqError(f"there is no model file {printable(path)}.")
    stem = _DEFAULT_STEM if str(name) == DEFAULT_MODEL else str(name)
    models = {model.stem: model for model in list_models()}
    if stem not in models:
        known = printable(", ".join(models), 1000) or "none"
        raise AmrqError(
            f"there is no model {printable(stem, 100)!r}: give the path of an ONNX file, or one of: {known}."
        )
    return models[stem]
