# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of top levels."""

import re
from collections.abc import Collection

__all__ = ["module_name"]


def module_name(name: str, others: Collection[str]) -> str:
    """Return a name in Verilog for a model's top level.

    Args:
        name: the model's.
        others: names of the modules in it.
    """
    module = "amrq_" + re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()
    return f"{module}_top" if module in others else module
