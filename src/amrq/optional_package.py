# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that only some uses need."""

import importlib
from typing import Any

from amrq.errors import AmrqError

__all__ = ["optional_package"]


def optional_package(module: str, purpose: str) -> Any:
    """Import a module of a package that need not be there, when it is needed.

    Args:
        module: its name, `matplotlib.figure` for instance.
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        AmrqError: it cannot be imported; the message says how to get it.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise AmrqError(
            f"{purpose} needs the Python package {package}, which cannot be imported ({error}): "
            f"install it, for example with 'pip install {package}'."
        ) from None
