# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network does before its first layer, as far as hardware can do it."""

import numpy as np

from amrq.errors import AmrqError
from amrq.hardware.integer_network import IntegerNetwork

__all__ = ["port_fold"]


def port_fold(network: IntegerNetwork) -> bool:
    """Return whether the first layer is given magnitudes of I and Q, and not I and Q themselves.

    Raises:
        AmrqError: it is given something else.
    """
    operations = network.prefix.operations
    if operations not in ((), ("Abs",)):
        named = ", ".join(operations) if len(operations) < 6 else f"{len(operations)} operations"
        raise AmrqError(
            f"model {network.contract.name!r} computes in floating point before its first layer ({named}), as models "
            "of any phase do: amrq rtl makes models of a known phase, such as coherent-small-int4."
        )
    # Whether it is the magnitudes of I and Q and nothing else is seen from what comes out.
    rng = np.random.default_rng(0)
    iq = rng.uniform(-2, 2, (16, 2, network.contract.chunk_length)).astype(np.float32)
    level = rng.uniform(-2, 2, (16, network.side_inputs)).astype(np.float32)
    symbols, side = network.prefix(iq, level if network.contract.level_input else None)
    for fold in (False, True):
        expected = np.abs(iq) if fold else iq
        if np.array_equal(symbols, expected) and np.array_equal(side, level if network.side_inputs else side):
            return fold
    raise AmrqError(
        f"model {network.contract.name!r} gives its layers something else than I and Q, their magnitudes and its level "
        "input: amrq rtl cannot make that."
    )
