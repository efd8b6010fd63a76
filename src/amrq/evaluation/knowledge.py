# SPDX-License-Identifier: GPL-3.0-or-later
"""What a receiver is told beside the chunk."""

from typing import NamedTuple

from amrq.model import Contract

__all__ = ["Knowledge"]


class Knowledge(NamedTuple):
    """What the bound knows that a model is held against.

    Attributes:
        level: of the stream; otherwise only the chunk of unit RMS.
        es_n0: Es/N0; otherwise only its range.
    """

    level: bool = False
    es_n0: bool = False

    @staticmethod
    def of(contract: Contract) -> "tuple[Knowledge, ...]":
        """Return the states of knowledge that a model is evaluated in."""
        if not contract.level_input:
            return (Knowledge(),)
        return (Knowledge(), Knowledge(level=True), Knowledge(level=True, es_n0=True))
