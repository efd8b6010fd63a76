# SPDX-License-Identifier: GPL-3.0-or-later
"""A network as a pipeline: every layer has hardware of its own."""

from typing import NamedTuple

from amrq.errors import AmrqError, ModelError
from amrq.hardware import IntegerLayer, IntegerNetwork
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.pipeline_layers import FoldedSymbolLayer, HeadLayer, SymbolLayer
from amrq.hardware.rtl.templates import VerilogText, bits_for, rendered

__all__ = ["PipelineDesign", "Stage"]

_MOST_GROUPS = 4
"""More would leave a table of six inputs too few of the layer's own."""
_FOLDS = (1, 2, 4, 8)
_BEYOND_SCORES = 7
"""Clocks of a chunk's way that no layer and no beat accounts for: input, mean, the store and its reading."""


class Stage(NamedTuple):
    """A layer in its place among those that run at every symbol.

    Attributes:
        made: the layer.
        given: name of the wire that its inputs are on.
        start: clocks from the clock in which a symbol is taken to that in which the layer's inputs are ready.
    """

    made: SymbolLayer | FoldedSymbolLayer
    given: str
    start: int


class PipelineDesign(Design):
    """A network that takes a mean over its symbols: a symbol every clock or every few, adders for each layer.

    Args:
        network: its parts; chunks reach it normalised.
        input_bits: width of I and of Q.
        fold: clocks a symbol: 1, 2, 4 or 8. Layers at each symbol take their inputs 8 / fold bits a clock.

    Attributes:
        stages: the layers that run at every symbol, in order.
        heads: the layers that run once a chunk, in order.

    Raises:
        ModelError: the network is not one of magnitudes or of plain I and Q, has a layer that looks at neighbours, or
            is too large for the output.
        AmrqError: the fold is not 1, 2, 4 or 8.
    """

    architecture = "pipeline"
    library = (
        "amrq_bit_planes",
        "amrq_chunk_gate",
        "amrq_gather",
        "amrq_input",
        "amrq_mean",
        "amrq_requantise",
        "amrq_score_stream",
    )

    def __init__(self, network: IntegerNetwork, input_bits: int = 8, fold: int = 1) -> None:
        if fold not in _FOLDS:
            raise AmrqError(f"a symbol can take 1, 2, 4 or 8 clocks (fold), not {fold}.")
        super().__init__(network, input_bits)
        self.fold = fold
        length = network.mean.symbols * fold  # in clocks
        self.stages: list[Stage] = []
        given, delay = "symbol", 1
        for layer in network.symbol_layers:
            made = _symbol_layer(layer, fold)
            self.stages.append(Stage(made, given, delay))
            given, delay = f"{made.module}_y", delay + made.latency
        self._mean_delay = delay
        groups = 1
        while groups < _MOST_GROUPS and 16 * groups <= length:
            groups *= 2
        self.heads = self._head_layers(groups)
        scores = network.head_layers[-1].outputs
        self._check_scores(self.heads[-1].y_bits)
        self.per_beat = -(-scores // length)
        self.beats = -(-scores // self.per_beat)
        symbol_latency = delay - 1
        self.latency = symbol_latency + sum(h.latency for h in self.heads) + self.beats + _BEYOND_SCORES
        self._spacing = max(8 * groups, symbol_latency + 3)
        self._bank_bits = VerilogText.index(-(-self.latency // max(length, self._spacing)) + 2)
        self.places = 1 << self._bank_bits
        self.clocks_a_chunk = max(length, self._spacing)
        self.full_rate = self._spacing <= length
        last = self.heads[-1]
        self.files = {
            f"{self.module}.v": self._top(),
            **{f"{stage.made.module}.v": stage.made.verilog() for stage in self.stages},
            **{f"{head.module}.v": head.verilog() for head in self.heads},
            **self._common_files(last.positions, last.lanes, last.group_bits),
        }

    @property
    def symbol_clocks(self) -> str:
        """How often a symbol may come, in words."""
        return "a clock" if self.fold == 1 else f"every {self.fold} clocks"

    @property
    def rate(self) -> str:
        """How fast symbols are taken and chunks are done, in words."""
        if self.full_rate:
            taken = f"The input takes one symbol {self.symbol_clocks} while the output is taken"
        else:
            taken = "The input waits at each chunk's last symbol, even while the output is taken"
        return f"{taken}: a chunk every {self.clocks_a_chunk} clocks."

    def _head_layers(self, groups: int) -> list[HeadLayer]:
        """Return the layers once a chunk; each takes its inputs in the order in which the one before gives them."""
        network = self.network
        width = network.mean.channels + network.side_inputs
        inputs = tuple(range(width))
        heads: list[HeadLayer] = []
        for layer in network.head_layers:
            shifts = network.score_shifts if layer.output is None else None
            heads.append(HeadLayer(layer, inputs, width, groups, shifts))
            inputs, width = heads[-1].positions, heads[-1].lanes * groups
        return heads

    def _top(self) -> str:
        last, length = self.heads[-1], self.network.mean.symbols
        return rendered(
            "pipeline.v.in",
            design=self,
            port=self.port,
            mean=self.network.mean,
            sum_bits=self._sum_bits(),
            symbol_stages=self.stages,
            delay=self._mean_delay,
            heads=self.heads,
            gate={
                "LENGTH": length,
                "COUNT_BITS": length.bit_length(),
                "PLACES": self.places,
                "PLACE_BITS": self._bank_bits + 1,
                "SPACING": self._spacing,
                "SPACING_BITS": self._spacing.bit_length(),
                "FOLD": self.fold,
            },
            stream={
                "LANES": last.lanes,
                "LANE_BITS": VerilogText.index(last.lanes),
                "GROUPS": last.groups,
                "GROUP_BITS": last.group_bits,
                "WIDTH": last.y_bits,
                "BEATS": self.beats,
                "BEAT_BITS": VerilogText.index(self.beats),
                "PER_BEAT": self.per_beat,
                "BANK_BITS": self._bank_bits,
            },
        )

    def _sum_bits(self) -> int:
        mean = self.network.mean
        half = 1 << (mean.shift - 1) if mean.shift > 0 else 0
        ends = (mean.symbols * mean.input.lowest, mean.symbols * mean.input.highest + half)
        return max(bits_for(*ends), 9)


def _symbol_layer(layer: IntegerLayer, fold: int) -> SymbolLayer | FoldedSymbolLayer:
    """Return the layer as hardware; refuse one that looks at neighbours."""
    if layer.kernel != 1:
        raise ModelError(
            f"layer {layer.name} looks at {layer.kernel} symbols at a time: amrq rtl makes layers that look at one."
        )
    return SymbolLayer(layer) if fold == 1 else FoldedSymbolLayer(layer, fold)
