# SPDX-License-Identifier: GPL-3.0-or-later
"""What pieces of hardware of any architecture have in common."""

from collections.abc import Mapping
from typing import Protocol

from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.rtl.input_port import InputPort

__all__ = ["Design"]


class Design(Protocol):
    """Verilog of a network of a known phase: symbols in, scores and class of each chunk out."""

    @property
    def architecture(self) -> str:
        """`pipeline` or `array`."""

    @property
    def network(self) -> IntegerNetwork:
        """What is computed."""

    @property
    def fold(self) -> int:
        """Clocks that a symbol takes."""

    @property
    def port(self) -> InputPort:
        """What I and Q are."""

    @property
    def module(self) -> str:
        """Name of the top level."""

    @property
    def symbol_bits(self) -> int:
        """Width of the input stream's tdata."""

    @property
    def side_bits(self) -> int:
        """Width of the input stream's tuser; 0 where there is none."""

    @property
    def beats(self) -> int:
        """Beats a packet."""

    @property
    def per_beat(self) -> int:
        """Scores a beat."""

    @property
    def latency(self) -> int:
        """Clocks from a chunk's last symbol to its packet's last beat, where nothing waits."""

    @property
    def clocks_a_chunk(self) -> int:
        """Clocks from one chunk to the next, where nothing waits."""

    @property
    def full_rate(self) -> bool:
        """Whether a symbol is taken every clock as long as the output does not stall."""

    @property
    def places(self) -> int:
        """Chunks that are kept where the output stalls."""

    @property
    def files(self) -> Mapping[str, str]:
        """Verilog and contents of memories by file name."""
