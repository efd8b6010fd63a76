# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that only some uses need."""

import importlib
from typing import Any

from amrq.errors import AmrqError

__all__ = ["distribution_of", "optional_package"]

_DISTRIBUTIONS = {"zmq": "pyzmq", "yaml": "pyyaml"}
"""Packages whose modules have another name than pip knows them by."""


def distribution_of(module: str) -> str:
    """Return the name that pip knows a module's package by: `pyzmq` for `zmq.utils.z85`."""
    package = module.partition(".")[0]
    return _DISTRIBUTIONS.get(package, package)


def optional_package(module: str, purpose: str) -> Any:
    """Import a module of a package that need not be there, when it is needed.

    Args:
        module: its name, `matplotlib.figure` for instance.
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        AmrqError: it cannot be imported; the message says how to get it.
    """
    package = distribution_of(module)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise AmrqError(
            f"{purpose} needs the Python package {package}, which cannot be imported ({error}): "
            f"install it, for example with 'pip install {package}'."
        ) from None
