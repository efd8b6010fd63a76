# SPDX-License-Identifier: GPL-3.0-or-later
"""The library as it is where nothing was compiled, within one process."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from amrq.native import kernels

__all__ = ["without_kernels"]


@contextmanager
def without_kernels() -> Iterator[None]:
    """Let every module that is loaded find no compiled kernels; what was made before keeps those that it has."""
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("amrq.") and vars(module).get("kernels") is kernels:
                stack.enter_context(mock.patch.object(module, "kernels", lambda: None))
        yield
