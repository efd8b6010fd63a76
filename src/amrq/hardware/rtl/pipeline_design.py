# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipelined design: one symbol a clock, or a few clocks a symbol; its layers."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, ModelError
from amrq.hardware import AlignerPrefix, IntegerLayer, IntegerNetwork
from amrq.hardware.rtl.aligner_design import AlignerDesign
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.templates import AdderGraph, AdderPipeline, VerilogText, bits_for, rendered

__all__ = ["FoldedSymbolLayer", "HeadLayer", "PipelineDesign", "Stage", "SymbolLayer"]


class SymbolLayer:
    """A fully unrolled layer: a new symbol every clock, one addition between registers, nothing multiplied.

    Args:
        layer: with a kernel of 1 and an output.

    Attributes:
        layer: as given.
        module: name of the Verilog module.
        latency: clocks from a symbol's inputs to its outputs.
        adders: additions of two numbers.
    """

    def __init__(self, layer: IntegerLayer) -> None:
        assert layer.kernel == 1 and layer.output is not None
        self.layer = layer
        self.module = layer.name
        shifts = [int(s) for s in layer.shifts]
        # Half a step comes with the bias; see amrq_requantise.v.
        half = np.array([1 << (s - 1) if s > 0 else 0 for s in shifts], np.int64)
        self._graph = AdderGraph(
            layer.weights[:, :, 0].astype(np.int64),
            layer.biases.astype(np.int64) + half,
            layer.input.lowest,
            layer.input.highest,
        )
        self._shifts = shifts
        self.latency = self._graph.levels + 1
        self.adders = self._graph.additions

    def verilog(self) -> str:
        """Return the module: aclk, x of 8 bits an input, y of 8 bits an output, input 0 in the lowest bits."""
        graph = self._graph
        outputs = []
        for number, shift in zip(graph.outputs, self._shifts, strict=True):
            node = graph.nodes[number]
            outputs.append(
                {
                    "bits": node.bits,
                    "signed": node.lowest < 0,
                    "shift": shift,
                    "value": VerilogText.constant(node.lowest, node.bits) if node.constant else f"a{number}",
                    "late": graph.levels - max(node.level, 0),
                }
            )
        return rendered(
            "symbol_layer.v.in",
            made=self,
            layer=self.layer,
            graph=graph,
            adders=AdderPipeline(graph),
            outputs=outputs,
        )


_BITS = 8
"""Of an input."""


class FoldedSymbolLayer:
    """A layer that takes its inputs a few bits a clock, the last ones first, and adds up what these weigh.

    The pipeline of adders is that of `SymbolLayer` for narrow inputs, so that adders are fewer bits wide; after it
    each output has an accumulator, which shifts by as many places as a clock takes bits.

    Args:
        layer: with a kernel of 1 and an output.
        fold: clocks a symbol: 2, 4 or 8.

    Attributes:
        layer: as given.
        module: name of the Verilog module.
        fold: as given.
        latency: clocks from a symbol's inputs to its outputs.
        adder_bits: of the adders and accumulators together.
    """

    def __init__(self, layer: IntegerLayer, fold: int) -> None:
        assert layer.kernel == 1 and layer.output is not None and fold in (2, 4, 8)
        self.layer = layer
        self.module = layer.name
        self.fold = fold
        self._digit = _BITS // fold
        self._shifts = [int(s) for s in layer.shifts]
        weights = layer.weights[:, :, 0].astype(np.int64)
        half = np.array([1 << (s - 1) if s > 0 else 0 for s in self._shifts], np.int64)
        # Half a step comes with the bias; see amrq_requantise.v. Numbers with a sign come in 128 too large.
        self._biases = layer.biases.astype(np.int64) + half
        if layer.input.signed:
            self._biases -= (1 << (_BITS - 1)) * weights.sum(axis=1)
        none = np.zeros(layer.outputs, np.int64)
        self._graph = AdderGraph(weights, none, 0, (1 << self._digit) - 1)
        self._widths = [self._width(n) for n in range(layer.outputs)]
        # Taking the inputs in, adders, accumulating, rounding.
        self.latency = 1 + self._graph.levels + fold + 1
        self.adder_bits = self._graph.adder_bits + sum(self._widths)

    def _width(self, output: int) -> int:
        """Return the bits of an accumulator without those that it is through with."""
        node, bias = self._graph.nodes[self._graph.outputs[output]], int(self._biases[output])
        least = most = bias
        ends = [least, most, -1]
        for k in range(self.fold):
            down = self._digit if k else 0
            least, most = (least >> down) + node.lowest, (most >> down) + node.highest
            ends += [least, most]
        return bits_for(min(ends), max(ends))

    def verilog(self) -> str:
        """Return the module: aclk, start, x of 8 bits an input, y of 8 bits an output, input 0 in the lowest bits.

        `start` is high in the clock in which x is there, and then low for fold - 1 clocks at least.
        """
        graph = self._graph
        outputs = []
        for n, number in enumerate(graph.outputs):
            node, bits = graph.nodes[number], self._widths[n]
            if node.constant:
                value = VerilogText.constant(node.lowest, bits)
            else:
                value = VerilogText.widened(f"a{number}", node.bits, node.lowest < 0, 0, bits)
            level = max(node.level, 0)
            outputs.append(
                {
                    "bits": bits,
                    "shift": self._shifts[n],
                    "value": value,
                    "bias": int(self._biases[n]),
                    "level": level,
                    "late": graph.levels - level,
                }
            )
        return rendered(
            "folded_symbol_layer.v.in",
            made=self,
            layer=self.layer,
            graph=graph,
            adders=AdderPipeline(graph),
            outputs=outputs,
            digit=self._digit,
            low=self._digit * (self.fold - 1),
            marks=max(max(graph.nodes[node].level, 0) for node in graph.outputs) + 1,
        )


_TABLE_INPUTS = 6
"""Of a look-up table of the 7-series; an ECP5 makes one of four of its own."""
_PLANES = 8


@dataclass(frozen=True)
class _Lane:
    """What makes one output in each group.

    Attributes:
        outputs: which, by group; -1 where there is none.
        weights: int64 [groups, in], brought to one unit by shifts to the left.
        biases: of each group, in that unit, half a step included.
        shift: places to shift the sums to the right (below zero to the left).
    """

    outputs: tuple[int, ...]
    weights: NDArray[np.int64]
    biases: tuple[int, ...]
    shift: int


@dataclass(frozen=True)
class _Range:
    """A number on a wire.

    Attributes:
        name: of the wire.
        lowest: least value.
        highest: largest value.
    """

    name: str
    lowest: int
    highest: int

    @property
    def bits(self) -> int:
        """Width; with a sign bit only where it can be below zero."""
        return bits_for(self.lowest, self.highest)

    def widened(self, bits: int) -> str:
        """Return it in so many bits."""
        return VerilogText.widened(self.name, self.bits, self.lowest < 0, 0, bits)


class HeadLayer:
    """A layer by distributed arithmetic: one plane of the inputs' bits a clock.

    Each lane computes one output in 8 clocks, and as many outputs as there are groups, one group after the other, so
    that a layer takes 8 times the groups in clocks. In a clock a lane adds what the set bits of one plane weigh. Four
    inputs and two bits of the group's number make one address of a table, which is one look-up table for each bit that
    comes out: weights cost no multiplier and no memory of their own.

    Args:
        layer: kernel 1; the last layer of a network gives scores, any other 8 bits.
        inputs: position of each of its inputs in the vector that it is given; positions may be left over.
        width: of that vector, in numbers.
        groups: a power of two.
        score_shifts: of the last layer: places to shift each output to the left for one unit.

    Attributes:
        layer: as given.
        module: name of the Verilog module.
        positions: of each output, group * lanes + lane.
        lanes: number of lanes.
        groups: number of groups.
        latency: clocks from `load` to the clock in which the last group is on y.
        y_bits: width of what a lane gives: 8, or that of a score.
    """

    def __init__(
        self,
        layer: IntegerLayer,
        inputs: tuple[int, ...],
        width: int,
        groups: int,
        score_shifts: NDArray[np.int64] | None = None,
    ) -> None:
        self.layer = layer
        self._width = width
        self.module = layer.name
        self.groups = groups
        self.group_bits = VerilogText.index(groups)
        right = layer.shifts if score_shifts is None else -score_shifts
        placed = np.zeros((layer.outputs, width), np.int64)
        placed[:, list(inputs)] = layer.weights[:, :, 0]
        order = np.argsort(right, kind="stable")  # alike shifts share a lane
        self.lanes = -(-layer.outputs // groups)
        self._lanes = [
            self._lane(order[n * groups : (n + 1) * groups], right, placed) for n in range(self.lanes)
        ]
        where = {
            o: g * self.lanes + n
            for n, lane in enumerate(self._lanes)
            for g, o in enumerate(lane.outputs)
            if o >= 0
        }
        self.positions = tuple(where[o] for o in range(layer.outputs))
        self.y_bits = 8
        if score_shifts is not None:
            ends = self._score_range(score_shifts)
            self.y_bits = bits_for(min(ends[0], -1), ends[1])
        address = _TABLE_INPUTS - (self.group_bits if groups > 1 else 0)
        self._tables = [
            [used[k : k + address] for k in range(0, len(used), address)] or [[0]]
            for used in ([int(i) for i in np.flatnonzero(lane.weights.any(axis=0))] for lane in self._lanes)
        ]
        self._levels = max(
            VerilogText.index(len(tables)) if len(tables) > 1 else 0 for tables in self._tables
        )
        # Planes, tables, adding up, accumulating, rounding.
        self.latency = _PLANES * groups + 1 + self._levels + 2

    def _lane(
        self, outputs: NDArray[np.int64], right: NDArray[np.int64], weights: NDArray[np.int64]
    ) -> _Lane:
        shift = int(right[outputs].max())
        raised = [shift - int(right[o]) for o in outputs]
        missing = self.groups - len(outputs)
        rows = [weights[o] << r for o, r in zip(outputs, raised, strict=True)]
        rows += [np.zeros(self._width, np.int64)] * missing
        half = 1 << (shift - 1) if shift > 0 else 0
        biases = [(int(self.layer.biases[o]) << r) + half for o, r in zip(outputs, raised, strict=True)]
        return _Lane(
            tuple(int(o) for o in outputs) + (-1,) * missing,
            np.stack(rows),
            tuple(biases + [0] * missing),
            shift,
        )

    def _score_range(self, score_shifts: NDArray[np.int64]) -> tuple[int, int]:
        layer = self.layer
        ends = np.stack(
            [layer.weights[:, :, 0].astype(np.int64) * e for e in (layer.input.lowest, layer.input.highest)]
        )
        lowest = (ends.min(axis=0).sum(axis=1) + layer.biases) << score_shifts
        highest = (ends.max(axis=0).sum(axis=1) + layer.biases) << score_shifts
        return int(lowest.min()), int(highest.max())

    # --- Verilog ------------------------------------------------------------------------------------------------------

    def verilog(self) -> str:
        """Return the module: `load` with x of 8 bits a number in; group by group valid, group, y out."""
        return rendered(
            "head_layer.v.in",
            made=self,
            layer=self.layer,
            inputs=self._width,
            signed=self.layer.input.signed,
            planes=_PLANES,
            delay=1 + self._levels,
            lanes=[self._lane_parts(number) for number in range(self.lanes)],
        )

    def _lane_parts(self, n: int) -> dict[str, Any]:
        """Return what the template needs of a lane: its tables, the sums of these, the accumulator."""
        lane = self._lanes[n]
        tables, ranges = [], []
        for k, used in enumerate(self._tables[n]):
            contents = self._contents(lane, used)
            bits = bits_for(min(contents), max(contents))
            weights = (" ".join(str(int(lane.weights[g, i])) for i in used) for g in range(self.groups))
            tables.append(
                {
                    "name": f"l{n}_t{k}",
                    "inputs": used,
                    "weights": "; ".join(weights),
                    "size": len(contents),
                    "bits": bits,
                    "contents": [
                        f"{sum(((v >> b) & 1) << a for a, v in enumerate(contents)):x}" for b in range(bits)
                    ],
                }
            )
            ranges.append(_Range(f"l{n}_t{k}", min(contents), max(contents)))
        sums = []
        for depth in range(self._levels):
            added = []
            for k in range(0, len(ranges), 2):
                pair = ranges[k : k + 2]
                total = _Range(
                    f"l{n}_s{depth}_{k // 2}", sum(p.lowest for p in pair), sum(p.highest for p in pair)
                )
                value = " + ".join(part.widened(total.bits) for part in pair)
                sums.append({"name": total.name, "bits": total.bits, "value": value})
                added.append(total)
            ranges = added
        (plane,) = ranges
        bits = self._accumulator_bits(lane, plane)
        return {
            "made": [(o, g) for g, o in enumerate(lane.outputs) if o >= 0],
            "tables": tables,
            "sums": sums,
            "plane": plane.widened(bits),
            "bits": bits,
            "biases": lane.biases,
            "shift": lane.shift,
        }

    def _contents(self, lane: _Lane, used: list[int]) -> list[int]:
        """Return a table's contents by address: the group's number above, the inputs' bits below."""
        found = []
        for g in range(self.groups):
            for address in range(1 << len(used)):
                found.append(sum(int(lane.weights[g, i]) for b, i in enumerate(used) if address >> b & 1))
        return found

    def _accumulator_bits(self, lane: _Lane, plane: _Range) -> int:
        """Return the width of a lane's accumulator without the bits that it is through with."""
        low, high = plane.lowest, plane.highest
        # The last plane of numbers with a sign counts negative.
        ends = [(low, high)] * (_PLANES - 1) + [(-high, -low) if self.layer.input.signed else (low, high)]
        least, most = min(lane.biases), max(lane.biases)
        reached = [*lane.biases, -1]
        for k, (lowest, highest) in enumerate(ends):
            # The bit that the shift drops goes into low; what stays is rounded down.
            down = 1 if k else 0
            least, most = (least >> down) + lowest, (most >> down) + highest
            reached += [least, most]
        return bits_for(min(reached), max(reached))


_MOST_GROUPS = 4
"""More would leave a table of six inputs too few of the layer's own."""
_FOLDS = (1, 2, 4, 8)
_ALIGNED_FOLD = 4
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
        network: its parts; chunks reach it normalised, or as received where it begins with the integer aligner.
        input_bits: width of I and of Q.
        fold: clocks a symbol: 1, 2, 4 or 8; 4 or 8 with the aligner. Layers at each symbol take their inputs 8 / fold
            bits a clock. None: the least.

    Attributes:
        aligner: what is between the port and the layers; None for a known phase.
        stages: the layers that run at every symbol, in order.
        heads: the layers that run once a chunk, in order.

    Raises:
        ModelError: the network is not one of magnitudes or of plain I and Q, has a layer that looks at neighbours, or
            is too large for the output.
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
        self.latency = (
            around + symbol_latency + sum(h.latency for h in self.heads) + self.beats + _BEYOND_SCORES
        )
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
            **(self.aligner.files if self.aligner else {}),
        }

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
            f"layer {layer.name} looks at {layer.kernel} symbols at a time: amrq rtl makes layers that look at one, "
            "like those of blind-small-int4 (first_kernel = 1 in a recipe)."
        )
    return SymbolLayer(layer) if fold == 1 else FoldedSymbolLayer(layer, fold)
