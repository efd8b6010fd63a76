# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipelined design: one symbol a clock, or a few clocks a symbol."""

from typing import NamedTuple

from amrq.errors import AmrqError, ModelError
from amrq.hardware import AlignerPrefix, IntegerLayer, IntegerNetwork
from amrq.hardware.rtl.aligner_design import AlignerDesign
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.pipeline_layers import FoldedSymbolLayer, HeadLayer, SymbolLayer
from amrq.hardware.rtl.templates import VerilogText, bits_for, rendered

__all__ = ["Marks", "PipelineDesign", "Stage"]

_MOST_GROUPS = 4
"""More would leave a table of six inputs too few of the layer's own."""
_FOLDS = (1, 2, 4, 8)
_ALIGNED_FOLD = 4
_WIDEST_WINDOW = 3
_BEYOND_SCORES = 7
"""Clocks of a chunk's way that no layer and no beat accounts for: input, mean, the store and its reading."""


class Marks:
    """What goes along with symbols: that there is one, that it is a chunk's first, that it is its last.

    A window of several symbols delays the marks by as many symbols as it looks ahead, so that they begin anew there.

    Args:
        suffix: of the registers' names.
        sources: wires that are high in the clock before a symbol is there: any, the first, the last.

    Attributes:
        suffix: as given.
        sources: as given.
        delay: clocks that they are kept.
    """

    def __init__(self, suffix: str, sources: tuple[str, str, str]) -> None:
        self.suffix = suffix
        self.sources = sources
        self.delay = 1

    def at(self, delay: int) -> tuple[str, str, str]:
        """Return the marks so many clocks after their sources, from 1 on."""
        return (
            f"valid_at{self.suffix}[{delay - 1}]",
            f"first_at{self.suffix}[{delay - 1}]",
            f"last_at{self.suffix}[{delay - 1}]",
        )


class Stage(NamedTuple):
    """A layer in its place among those that run at every symbol.

    Attributes:
        made: the layer.
        given: name of the wire that its inputs are on.
        start: the marks of its inputs: high in the clock in which they are there.
        window: the marks of what a window before the layer takes, from the wire `given`; None without one.
        marks: that begin with the window; None without one.
    """

    made: SymbolLayer | FoldedSymbolLayer
    given: str
    start: tuple[str, str, str]
    window: tuple[str, str, str] | None = None
    marks: Marks | None = None


class PipelineDesign(Design):
    """A network that takes a mean over its symbols: a symbol every clock or every few, adders for each layer.

    Args:
        network: its parts; chunks reach it normalised, or as received where it begins with the integer aligner.
        input_bits: width of I and of Q.
        fold: clocks a symbol: 1, 2, 4 or 8; 4 or 8 with the aligner. Layers at each symbol take their inputs 8 / fold
            bits a clock. None: the least.

    Attributes:
        aligner: what is between the port and the layers; None for a known phase.
        stages: the layers that run at every symbol, in order; before one that looks at 3 symbols a window of them.
        heads: the layers that run once a chunk, in order.

    Raises:
        ModelError: the network is not one of magnitudes or of plain I and Q, has a layer that looks at more than 3
            symbols, or is too large for the output.
        AmrqError: the fold is not 1, 2, 4 or 8, or is less than 4 with the aligner.
    """

    architecture = "pipeline"
    copied = (
        "amrq_bit_planes",
        "amrq_chunk_gate",
        "amrq_gather",
        "amrq_input",
        "amrq_mean",
        "amrq_requantise",
        "amrq_score_stream",
        "amrq_window",
    )

    def __init__(self, network: IntegerNetwork, input_bits: int = 8, fold: int | None = None) -> None:
        super().__init__(network, input_bits)
        if fold is None:
            fold = _ALIGNED_FOLD if self.aligned else _FOLDS[0]
        if fold not in _FOLDS:
            raise AmrqError(f"a symbol can take 1, 2, 4 or 8 clocks (fold), not {fold}.")
        self.fold = fold
        if self.aligned:
            self.aligner = self._aligner()
        around = self.aligner.latency if self.aligner else 0
        length = network.mean.symbols * fold  # in clocks
        self.stages: list[Stage] = []
        self._marks = Marks("", ("take", "first", "last"))
        symbol_latency = self._symbol_stages()
        groups = 1
        while groups < _MOST_GROUPS and 16 * groups <= length:
            groups *= 2
        self.heads = self._head_layers(groups)
        scores = network.head_layers[-1].outputs
        self.score_bits = self.heads[-1].y_bits
        self._check_scores(self.score_bits)
        self.per_beat = -(-scores // length)
        self.beats = -(-scores // self.per_beat)
        self.latency = (
            around + symbol_latency + sum(h.latency for h in self.heads) + self.beats + _BEYOND_SCORES
        )
        self._spacing = max(8 * groups, symbol_latency + 3)
        self._bank_bits = VerilogText.index(-(-self.latency // max(length, self._spacing)) + 2)
        self.places = 1 << self._bank_bits
        self.clocks_a_chunk = max(length, self._spacing)
        self.full_rate = self._spacing <= length
        last = self.heads[-1]
        files = {
            f"{self.module}.v": self._top(),
            **{f"{stage.made.module}.v": stage.made.verilog() for stage in self.stages},
            **{f"{head.module}.v": head.verilog() for head in self.heads},
            **self._common_files(last.positions, last.lanes, last.group_bits),
            **(self.aligner.files if self.aligner else {}),
        }
        if not any(stage.window for stage in self.stages):
            del files["amrq_window.v"]
        self.files = files

    def _symbol_stages(self) -> int:
        """Fill `stages`; return clocks from a chunk's last symbol to what the last layer gives for it."""
        marks, given, before = self._marks, "symbol", 0
        for layer in self.network.symbol_layers:
            made = _symbol_layer(layer, self.fold)
            window, own = None, None
            if layer.kernel > 1:
                name = f"{made.module}_window"
                own = Marks(f"_{made.module}", (f"{name}_go", f"{name}_first", f"{name}_last"))
                # A chunk's last symbol is the middle of a window when the next one could be there.
                window, before = marks.at(marks.delay), before + marks.delay + self.fold
                marks, given = own, name
            self.stages.append(Stage(made, given, marks.at(marks.delay), window, own))
            given = f"{made.module}_y"
            marks.delay += made.latency
        self._mean_marks = marks
        return before + marks.delay - 1

    def _aligner(self) -> AlignerDesign:
        """Return the aligner, if the network takes what it gives."""
        network = self.network
        points = (network.symbol_layers[0].input, network.head_layers[0].input)
        if points != AlignerPrefix.points:
            raise ModelError(
                f"model {network.contract.name!r} does not take what the integer aligner gives, in units of 2^-5."
            )
        return AlignerDesign(self.port.bits, self.fold)

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
            marks=self._marks,
            mean_marks=self._mean_marks.at(self._mean_marks.delay),
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
    """Return the layer as hardware; refuse one that looks further than at its neighbours."""
    if layer.kernel > _WIDEST_WINDOW:
        raise ModelError(
            f"layer {layer.name} looks at {layer.kernel} symbols at a time: amrq rtl makes pipelines of layers that "
            f"look at 1 or {_WIDEST_WINDOW} (first_kernel in a recipe)."
        )
    return SymbolLayer(layer) if fold == 1 else FoldedSymbolLayer(layer, fold)
