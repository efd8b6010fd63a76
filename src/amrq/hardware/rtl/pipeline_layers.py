# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of a pipeline: those that run at every symbol, and those that run once a chunk."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.hardware import IntegerLayer
from amrq.hardware.rtl.templates import AdderGraph, AdderPipeline, VerilogText, bits_for, rendered

__all__ = ["FoldedSymbolLayer", "HeadLayer", "SymbolLayer"]


def _columns(layer: IntegerLayer) -> NDArray[np.int64]:
    """Return weights int64 [out, kernel * in] for inputs as a window gives them: the earliest symbol first."""
    return layer.weights.astype(np.int64).transpose(0, 2, 1).reshape(layer.outputs, -1)


class SymbolLayer:
    """A fully unrolled layer: a new symbol every clock, one addition between registers, nothing multiplied.

    Args:
        layer: with an output.

    Attributes:
        layer: as given.
        module: name of the Verilog module.
        inputs: numbers that it takes at a time: those of a symbol, or of as many symbols as its kernel has.
        latency: clocks from a symbol's inputs to its outputs.
        adders: additions of two numbers.
    """

    def __init__(self, layer: IntegerLayer) -> None:
        assert layer.output is not None
        self.layer = layer
        self.module = layer.name
        self.inputs = layer.kernel * layer.inputs
        shifts = [int(s) for s in layer.shifts]
        # Half a step comes with the bias; see amrq_requantise.v.
        half = np.array([1 << (s - 1) if s > 0 else 0 for s in shifts], np.int64)
        self._graph = AdderGraph(
            _columns(layer),
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
        layer: with an output.
        fold: clocks a symbol: 2, 4 or 8.

    Attributes:
        layer: as given.
        module: name of the Verilog module.
        inputs: numbers that it takes at a time: those of a symbol, or of as many symbols as its kernel has.
        fold: as given.
        latency: clocks from a symbol's inputs to its outputs.
        adder_bits: of the adders and accumulators together.
    """

    def __init__(self, layer: IntegerLayer, fold: int) -> None:
        assert layer.output is not None and fold in (2, 4, 8)
        self.layer = layer
        self.module = layer.name
        self.inputs = layer.kernel * layer.inputs
        self.fold = fold
        self._digit = _BITS // fold
        self._shifts = [int(s) for s in layer.shifts]
        weights = _columns(layer)
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
