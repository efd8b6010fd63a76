# SPDX-License-Identifier: GPL-3.0-or-later
"""The common parts of all Verilog designs: name, input port, scores."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, ModelError
from amrq.hardware import AlignerPrefix, FixedPoint, IntegerAligner, IntegerInputs, IntegerNetwork
from amrq.hardware.rtl.aligner_design import AlignerDesign
from amrq.hardware.rtl.templates import VerilogText, module_text, rendered

__all__ = ["Design", "InputPort", "Port", "ReceivedPort", "module_name", "port_fold", "score_map"]


def module_name(name: str, others: Collection[str]) -> str:
    """Return a name in Verilog for a model's top level.

    Args:
        name: the model's.
        others: names of the modules in it.
    """
    module = "amrq_" + re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()
    return f"{module}_top" if module in others else module


@dataclass(frozen=True)
class Port(ABC):
    """I and Q in two's complement.

    Attributes:
        bits: width of I and of Q, 8 to 16.

    Raises:
        AmrqError: the width is out of range.
    """

    bits: int

    def __post_init__(self) -> None:
        """Refuse other widths."""
        if not 8 <= self.bits <= 16:
            raise AmrqError(f"I and Q can have 8 to 16 bits each, not {self.bits}.")

    @property
    @abstractmethod
    def exponent(self) -> int:
        """Integer n on the port stands for n times 2^exponent."""

    @property
    def lowest(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - 1)) - 1

    @property
    def component(self) -> int:
        """Bits of the stream for I, and as many for Q: whole bytes."""
        return 8 * -(-self.bits // 8)

    def integers(self, iq: NDArray[np.float32]) -> NDArray[np.int64]:
        """Round normalised I and Q, half to even, and saturate.

        Args:
            iq: float32 [N, 2, L].

        Returns:
            int64 [N, L, 2].

        Raises:
            AmrqError: a value is NaN.
        """
        if np.isnan(iq).any():
            raise AmrqError("the chunks hold values that are not numbers (NaN): leave those chunks out.")
        steps = np.rint(np.ldexp(iq, -self.exponent)).clip(self.lowest, self.highest)
        return steps.astype(np.int64).transpose(0, 2, 1)

    @abstractmethod
    def exact_bits(self) -> int | None:
        """Return how few bits of a client lose nothing that the port keeps: 8, 16, or None where both do."""


@dataclass(frozen=True)
class InputPort(Port):
    """I and Q of a known phase and level, and what the hardware makes of them for the first layer.

    A first layer without sign reads 0 to 255. As signed numbers these need 9 bits, so a port of 8 bits counts in steps
    twice as large and covers the same range: it gives up the last bit. From 9 bits on the port counts in the layer's
    own steps and nothing is lost: what saturates there saturates in the layer too.

    Attributes:
        bits: width of I and of Q, 8 to 16.
        fold: whether the layer is given magnitudes.
        layer: what the first layer's inputs are.

    Raises:
        AmrqError: the width is out of range.
    """

    fold: bool
    layer: FixedPoint

    @property
    def left(self) -> int:
        """Places that hardware shifts to the left, from the port's steps to the layer's."""
        return max(self.layer.bits + (not self.layer.signed) - self.bits, 0)

    @property
    def exponent(self) -> int:
        """Integer n on the port stands for n times 2^exponent."""
        return self.layer.exponent + self.left

    def symbols(self, integers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what hardware hands to the first layer: int64 [N, L, 2] to the same.

        The magnitude of -128 is 128, since it has a bit more than the port.
        """
        values = np.abs(integers) if self.fold else integers
        return (values << self.left).clip(self.layer.lowest, self.layer.highest)

    def exact_bits(self) -> int | None:
        """Return 8 or 16 where what so many bits cut off is cut off by the port or the first layer as well."""
        steps = np.arange(self.lowest, self.highest + 1)
        exact = [
            bits
            for bits in (8, 16)
            if np.array_equal(
                self.symbols(steps.clip(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)), self.symbols(steps)
            )
        ]
        return exact[0] if exact else None


_RECEIVED_BITS = 4
"""Of a number's bits those before the point, sign included, where a chunk has an RMS of 1: none is beyond 5.7."""


@dataclass(frozen=True)
class ReceivedPort(Port):
    """I and Q of any phase and level, as they were received: the hardware controls the level.

    What a program has normalised comes in at an RMS of 2^(bits - 4), so that with 16 bits the integers are those of
    `IntegerAligner.received`, and the scores those of the other engines.
    """

    @property
    def exponent(self) -> int:
        """Integer n stands for n times 2^exponent where a chunk has been normalised."""
        return _RECEIVED_BITS - self.bits

    def exact_bits(self) -> int | None:
        """Return 8 where the port has no more, otherwise 16."""
        return 8 if self.bits == 8 else 16


def port_fold(network: IntegerNetwork) -> bool:
    """Return whether the first layer is given magnitudes of I and Q, and not I and Q themselves.

    Raises:
        ModelError: the first layer is given something else.
    """
    operations = network.prefix.operations
    if operations not in ((), ("Abs",)):
        named = ", ".join(operations) if len(operations) < 6 else f"{len(operations)} operations"
        raise ModelError(
            f"model {network.contract.name!r} computes more before its first layer ({named}): amrq rtl "
            "makes models of a known phase, such as coherent-small-int4, and those with the integer aligner."
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
    raise ModelError(
        f"model {network.contract.name!r} gives its layers something other than I and Q, their magnitudes and its "
        "level input: amrq rtl cannot make that."
    )


def score_map(
    positions: Sequence[int],
    lanes: int,
    group_bits: int,
    labels: Sequence[int],
    per_beat: int,
    names: Sequence[str],
) -> str:
    """Return the module amrq_score_map: from the number of a beat to group, lane and class of a hypothesis.

    Args:
        positions: of each hypothesis: group * lanes + lane.
        lanes: number of lanes.
        group_bits: width of a group's number.
        labels: index of each hypothesis's class.
        per_beat: scores a beat.
        names: of the hypotheses, for people.
    """
    beat_bits, lane_bits = VerilogText.index(-(-len(positions) // per_beat)), VerilogText.index(lanes)
    scores = [
        {"hypothesis": number, "label": label, "group": place // lanes, "lane": place % lanes, "name": name}
        for number, (place, label, name) in enumerate(zip(positions, labels, names, strict=True))
    ]
    return rendered(
        "score_map.v.in",
        scores=scores,
        per_beat=per_beat,
        beat_bits=beat_bits,
        group_bits=group_bits,
        lane_bits=lane_bits,
        width=1 + 8 + 8 + group_bits + lane_bits,
    )


_MOST_HYPOTHESES = 256
_MOST_SCORE_BITS = 32


class Design(ABC):
    """Verilog of a network: symbols in, scores and the class of each chunk out.

    Every architecture has the same ports: I/Q symbols as an AXI4-Stream in, a packet of scores for each chunk as an
    AXI4-Stream out, the class beside the packet's last beat.

    Args:
        network: its parts; chunks reach it normalised, or as received where it begins with the integer aligner.
        input_bits: width of I and of Q, 8 to 16.

    Attributes:
        architecture: `pipeline` or `array`.
        network: as given.
        aligned: whether it begins with the integer aligner, so that symbols may have any level and phase.
        port: what I and Q are, and what becomes of them before the first layer.
        module: name of the top level.
        fold: clocks that a symbol takes.
        beats: beats of a packet.
        per_beat: scores in a beat.
        latency: clocks from a chunk's last symbol to its packet's last beat, where nothing waits.
        clocks_a_chunk: clocks from one chunk to the next, where nothing waits.
        full_rate: whether a symbol is taken every `fold` clocks as long as the output does not stall.
        places: chunks that are kept where the output stalls.
        score_bits: of a score, in two's complement; it is sent in 32.
        files: Verilog and contents of memories by file name.

    Raises:
        ModelError: the network is not one of magnitudes or of plain I and Q.
        AmrqError: the width is out of range.
    """

    architecture: ClassVar[str]
    copied: ClassVar[tuple[str, ...]]
    """Modules that are copied: they are the same in every design of this architecture."""
    generated: ClassVar[tuple[str, ...]] = ("amrq_score_map",)
    """Modules that are made for each design under the same name."""

    fold = 1
    aligner: AlignerDesign | None = None
    per_beat = 1
    beats: int
    latency: int
    clocks_a_chunk: int
    full_rate = False
    places: int
    score_bits: int
    files: Mapping[str, str]

    def __init__(self, network: IntegerNetwork, input_bits: int = 8) -> None:
        self.network = network
        self.aligned = isinstance(network.prefix, AlignerPrefix)
        self.port: InputPort | ReceivedPort = (
            ReceivedPort(input_bits)
            if self.aligned
            else InputPort(input_bits, port_fold(network), network.symbol_layers[0].input)
        )
        parts = (*self.copied, *self.generated, AlignerDesign.module, *AlignerDesign.copied)
        self.module = module_name(network.contract.name, parts)

    @property
    def symbol_bits(self) -> int:
        """Width of the input stream's tdata."""
        return 2 * self.port.component

    @property
    def side_bits(self) -> int:
        """Width of the input stream's tuser; 0 where there is none."""
        return 8 * self.given_sides

    @property
    def given_sides(self) -> int:
        """Numbers that come in beside a chunk's symbols: 0 where the aligner makes them."""
        return 0 if self.aligned else self.network.side_inputs

    def given(self, symbols: NDArray[np.int64], side: NDArray[np.int64]) -> IntegerInputs:
        """Return what the network is given, by the reference.

        Args:
            symbols: int64 [N, L, 2], I and Q as the port takes them.
            side: int64 [N, given_sides].
        """
        if isinstance(self.port, InputPort):
            return IntegerInputs(self.port.symbols(symbols), side)
        return IntegerAligner().align(symbols.transpose(0, 2, 1))

    @property
    @abstractmethod
    def rate(self) -> str:
        """How fast symbols are taken and chunks are done, in words."""

    def _check_scores(self, bits: int) -> None:
        """Refuse more scores, or wider ones, than the output has room for."""
        count = self.network.head_layers[-1].outputs
        if count > _MOST_HYPOTHESES or bits > _MOST_SCORE_BITS:
            raise ModelError(
                f"model {self.network.contract.name!r} has {count} outputs of {bits} bits: amrq rtl sends at most "
                f"{_MOST_HYPOTHESES} of {_MOST_SCORE_BITS}."
            )

    def _common_files(self, positions: Sequence[int], lanes: int, group_bits: int) -> dict[str, str]:
        """Return the copied modules and the table of scores.

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
        return {"amrq_score_map.v": scores} | {f"{name}.v": module_text(name) for name in self.copied}
