# SPDX-License-Identifier: GPL-3.0-or-later
"""What pieces of hardware of any architecture have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from amrq.errors import AmrqError
from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.rtl.input_port import InputPort
from amrq.hardware.rtl.module_name import module_name
from amrq.hardware.rtl.port_fold import port_fold
from amrq.hardware.rtl.score_map import score_map
from amrq.hardware.rtl.templates import module_text

__all__ = ["Design"]

_MOST_HYPOTHESES = 256
_MOST_SCORE_BITS = 32


class Design(ABC):
    """Verilog of a network for signals of known phase: symbols in, scores and the class of each chunk out.

    Every architecture has the same ports: I/Q symbols as an AXI4-Stream in, a packet of scores for each chunk as an
    AXI4-Stream out, the class beside the packet's last beat.

    Args:
        network: its parts; chunks reach it normalised.
        input_bits: width of I and of Q, 8 to 16.

    Attributes:
        architecture: `pipeline` or `array`.
        network: as given.
        port: what I and Q are, and what becomes of them before the first layer.
        module: name of the top level.
        fold: clocks that a symbol takes.
        beats: beats of a packet.
        per_beat: scores in a beat.
        latency: clocks from a chunk's last symbol to its packet's last beat, where nothing waits.
        clocks_a_chunk: clocks from one chunk to the next, where nothing waits.
        full_rate: whether a symbol is taken every `fold` clocks as long as the output does not stall.
        places: chunks that are kept where the output stalls.
        files: Verilog and contents of memories by file name.

    Raises:
        AmrqError: the network is not one of magnitudes or of plain I and Q, or the width is out of range.
    """

    architecture: ClassVar[str]
    library: ClassVar[tuple[str, ...]]
    """Modules that are the same in every design of this architecture."""
    generated: ClassVar[tuple[str, ...]] = ("amrq_score_map",)
    """Modules that are made for each design under the same name."""

    fold = 1
    per_beat = 1
    beats: int
    latency: int
    clocks_a_chunk: int
    full_rate = False
    places: int
    files: Mapping[str, str]

    def __init__(self, network: IntegerNetwork, input_bits: int = 8) -> None:
        self.network = network
        self.port = InputPort(input_bits, port_fold(network), network.symbol_layers[0].input)
        self.module = module_name(network.contract.name, (*self.library, *self.generated))

    @property
    def symbol_bits(self) -> int:
        """Width of the input stream's tdata."""
        return 2 * self.port.component

    @property
    def side_bits(self) -> int:
        """Width of the input stream's tuser; 0 where there is none."""
        return 8 * self.network.side_inputs

    @property
    @abstractmethod
    def rate(self) -> str:
        """How fast symbols are taken, as the beginning of a sentence."""

    def _check_scores(self, bits: int) -> None:
        """Refuse more scores, or wider ones, than the output has room for."""
        count = self.network.head_layers[-1].outputs
        if count > _MOST_HYPOTHESES or bits > _MOST_SCORE_BITS:
            raise AmrqError(
                f"model {self.network.contract.name!r} has {count} outputs of {bits} bits: amrq rtl sends at most "
                f"{_MOST_HYPOTHESES} of {_MOST_SCORE_BITS}."
            )

    def _common_files(self, positions: Sequence[int], lanes: int, group_bits: int) -> dict[str, str]:
        """Return the library's modules and the table of scores.

        Args:
            positions: of each hypothesis: group * lanes + lane.
            lanes: scores that are ready at the same time.
            group_bits: width of a group's number.
        """
        contract = self.network.contract
        hypotheses = contract.weighed()
        names = [h.label if h.es_n0_db is None else f"{h.label} at {h.es_n0_db:g} dB" for h in hypotheses]
        labels = [contract.classes.index(h.label) for h in hypotheses]
        scores = score_map(positions, lanes, group_bits, labels, self.per_beat, names)
        return {"amrq_score_map.v": scores} | {f"{name}.v": module_text(name) for name in self.library}
