# SPDX-License-Identifier: GPL-3.0-or-later
"""What a receiver is told beside the chunk."""

from typing import NamedTuple

from amrq.evaluation.es_n0_axis import EsN0Axis
from amrq.model import Contract
from amrq.modulations import MODULATIONS

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
        """Return the states of knowledge that a model is evaluated in: none, and what it can make use of.

        That is the level if it takes one, and beside that Es/N0 if it weighs its modulations by Es/N0.
        """
        names = tuple(name for name in contract.classes if name in MODULATIONS)
        states = [Knowledge()]
        if contract.level_input:
            states.append(Knowledge(level=True))
        if EsN0Axis.of(contract, names) is not None:
            states.append(Knowledge(level=contract.level_input, es_n0=True))
        return tuple(states)
