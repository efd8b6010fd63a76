# SPDX-License-Identifier: GPL-3.0-or-later
"""Classes of signals: what all of them have in common."""

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.text import printable

__all__ = ["LONGEST_NAME", "STREAMS", "NamedClass", "SignalClass"]

LONGEST_NAME = 64
"""Characters of a class's name."""

STREAMS = MappingProxyType(
    {
        name: number
        for number, name in enumerate(
            ("4ASK", "8ASK", "BPSK", "QPSK", "8PSK", "16PSK", "8QAM", "16QAM", "32QAM")
        )
    }
)
"""Numbers that seeds of the first nine classes have held from the beginning: their committed results rest on them."""


class SignalClass(ABC):
    """A class of signals that a model can be trained to name.

    Attributes:
        name: used in models, tags and decisions.
    """

    name: str

    @property
    @abstractmethod
    def family(self) -> str:
        """The family, for example `linear`."""

    @abstractmethod
    def render(
        self, rng: np.random.Generator, count: int, samples: int, rate: float = 1.0
    ) -> NDArray[np.complex64]:
        """Return pieces of the signal without noise or offset; all that the class leaves open is drawn at random.

        Args:
            rng: source of randomness.
            count: pieces (N).
            samples: of each (L).
            rate: samples in the class's unit of time: a symbol, or for a signal without symbols the reciprocal of its
                occupied bandwidth.

        Returns:
            complex64 [N, L], of unit mean power over many of them.

        Raises:
            AmrqError: the class cannot be rendered, or not at that rate.
        """

    @property
    def stream(self) -> int:
        """A number for seeds, which depends on the name alone and not on any list of classes."""
        return STREAMS.get(self.name, len(STREAMS) + zlib.crc32(self.name.encode()))


@dataclass(frozen=True)
class NamedClass(SignalClass):
    """A class of which only the name is known: a user's label.

    >>> NamedClass("GMSK").family
    'unknown'
    """

    name: str

    @property
    def family(self) -> str:
        """`unknown`."""
        return "unknown"

    def render(
        self, rng: np.random.Generator, count: int, samples: int, rate: float = 1.0
    ) -> NDArray[np.complex64]:
        """Refuse to render: only the name is known.

        Raises:
            AmrqError: always.
        """
        raise AmrqError(f"only the name is known of {printable(self.name)}, so no signal of it can be made.")
