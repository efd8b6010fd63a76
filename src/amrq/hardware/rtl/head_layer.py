# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer that runs once a chunk, folded over the chunk's clocks."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from amrq.hardware.integer_layer import IntegerLayer
from amrq.hardware.rtl.bits_for import bits_for
from amrq.hardware.rtl.verilog_text import VerilogText

__all__ = ["HeadLayer"]

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
        self._layer = layer
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
        biases = [(int(self._layer.biases[o]) << r) + half for o, r in zip(outputs, raised, strict=True)]
        return _Lane(
            tuple(int(o) for o in outputs) + (-1,) * missing,
            np.stack(rows),
            tuple(biases + [0] * missing),
            shift,
        )

    def _score_range(self, score_shifts: NDArray[np.int64]) -> tuple[int, int]:
        layer = self._layer
        ends = np.stack(
            [layer.weights[:, :, 0].astype(np.int64) * e for e in (layer.input.lowest, layer.input.highest)]
        )
        lowest = (ends.min(axis=0).sum(axis=1) + layer.biases) << score_shifts
        highest = (ends.max(axis=0).sum(axis=1) + layer.biases) << score_shifts
        return int(lowest.min()), int(highest.max())

    # --- Verilog ------------------------------------------------------------------------------------------------------

    def verilog(self) -> str:
        """Return the module: `load` with x of 8 bits a number in; group by group valid, group, y out."""
        layer = self._layer
        delay = 1 + self._levels
        body: list[str] = []
        for number in range(self.lanes):
            body += self._lane_verilog(number, delay)
        signed = layer.input.signed

        def chain(name: str, source: str, length: int) -> str:
            """Return the next state of a mark on its way, newest in bit 0."""
            return source if length == 1 else f"{{{name}[{length - 2}:0], {source}}}"

        marks = [("ends_at", "active_0 & last_0", delay + 2), ("first_at", "first_0", delay)]
        marks += [("last_at", "last_0", delay)] if signed else []
        groups = [f"group_{s}" for s in range(delay + 3)]
        lines = [
            "// SPDX-License-Identifier: GPL-3.0-or-later",
            "//",
            f"// Layer {layer.name}: {layer.inputs} inputs, {layer.outputs} outputs, "
            f"{int(np.count_nonzero(layer.weights))} weights that are not zero, of {layer.weight_bits} bits.",
            f"// {self.lanes} lanes work on one output each for {_PLANES} clocks, {self.groups} times; "
            f"{self.latency} clocks from load to the last outputs.",
            "`default_nettype none",
            f"module {self.module} (",
            "    input  wire aclk,",
            "    input  wire aresetn,",
            "    input  wire load,",
            f"    input  wire [{8 * self._width - 1}:0] x,",
            "    output wire valid,",
            f"    output wire [{self.group_bits - 1}:0] group,",
            f"    output wire [{self.lanes * self.y_bits - 1}:0] y",
            ");",
            "    /* verilator lint_off UNUSEDSIGNAL */  // a position that is left over or weighs nothing",
            f"    wire [{self._width - 1}:0] bits;",
            "    /* verilator lint_on UNUSEDSIGNAL */",
            "    wire active_0, first_0, last_0;",
            f"    wire [{self.group_bits - 1}:0] group_0;",
            f"    amrq_bit_planes #(.INPUTS({self._width}), .GROUPS({self.groups}), "
            f".GROUP_BITS({self.group_bits})) planes (",
            "        .aclk(aclk), .aresetn(aresetn), .load(load), .x(x),",
            "        .bits(bits), .active(active_0), .first(first_0), .last(last_0), .group(group_0)",
            "    );",
            "",
            "    // --- what the planes' bits have meant, on their way: the end of a group, its "
            "first plane, its number ---",
            *(f"    reg [{length - 1}:0] {name};" for name, _, length in marks),
            f"    reg [{self.group_bits - 1}:0] {', '.join(groups[1:])};",
            "    always @(posedge aclk) begin",
            f"        ends_at <= aresetn ? {chain('ends_at', 'active_0 & last_0', delay + 2)} : {delay + 2}'d0;",
            *(f"        {name} <= {chain(name, source, length)};" for name, source, length in marks[1:]),
            *(f"        {new} <= {old};" for old, new in pairwise(groups)),
            "    end",
            f"    wire first = first_at[{delay - 1}];  // as the lanes' sums of a plane are there",
            *([f"    wire last = last_at[{delay - 1}];"] if signed else []),
            f"    wire [{self.group_bits - 1}:0] now = {groups[delay]};",
            f"    assign valid = ends_at[{delay + 1}];",
            f"    assign group = {groups[-1]};",
            "",
            *body,
            "endmodule",
            "`default_nettype wire",
        ]
        return "\n".join(lines) + "\n"

    def _lane_verilog(self, n: int, delay: int) -> list[str]:
        """Return a lane: tables, their sum, the accumulator, what becomes of it."""
        lane, text = self._lanes[n], VerilogText
        names = [f"{o} in group {g}" for g, o in enumerate(lane.outputs) if o >= 0]
        lines = [f"    // --- lane {n}: output {', '.join(names)} ---"]
        level: list[tuple[str, int, int]] = []  # name, least and largest value
        for k, used in enumerate(self._tables[n]):
            name = f"l{n}_t{k}"
            contents = self._contents(lane, used)
            bits = bits_for(min(contents), max(contents))
            picks = [f"bits[{i}]" for i in reversed(used)]
            address = f"{{{', '.join((['group_0'] if self.groups > 1 else []) + picks)}}}"
            size = len(contents)
            weights = "; ".join(
                " ".join(str(int(lane.weights[g, i])) for i in used) for g in range(self.groups)
            )
            lines += [
                f"    // inputs {' '.join(map(str, used))}, group by group weighing {weights}",
                *(
                    f"    localparam [{size - 1}:0] {name.upper()}_{b} = "
                    f"{size}'h{sum(((v >> b) & 1) << a for a, v in enumerate(contents)):x};"
                    for b in range(bits)
                ),
                f"    wire [{(size - 1).bit_length() - 1}:0] {name}_at = {address};",
                f"    reg [{bits - 1}:0] {name};",
                f"    always @(posedge aclk) {name} <= "
                f"{{{', '.join(f'{name.upper()}_{b}[{name}_at]' for b in reversed(range(bits)))}}};",
            ]
            level.append((name, min(contents), max(contents)))
        for depth in range(self._levels):
            following = []
            for k in range(0, len(level), 2):
                name = f"l{n}_s{depth}_{k // 2}"
                pair = level[k : k + 2]
                low, high = sum(p[1] for p in pair), sum(p[2] for p in pair)
                bits = bits_for(low, high)
                parts = [text.widened(p[0], bits_for(p[1], p[2]), p[1] < 0, 0, bits) for p in pair]
                lines += [
                    f"    reg [{bits - 1}:0] {name};",
                    f"    always @(posedge aclk) {name} <= {' + '.join(parts)};",
                ]
                following.append((name, low, high))
            level = following
        ((plane, low, high),) = level
        return lines + self._accumulator(n, plane, low, high)

    def _contents(self, lane: _Lane, used: list[int]) -> list[int]:
        """Return a table's contents by address: the group's number above, the inputs' bits below."""
        found = []
        for g in range(self.groups):
            for address in range(1 << len(used)):
                found.append(sum(int(lane.weights[g, i]) for b, i in enumerate(used) if address >> b & 1))
        return found

    def _accumulator(self, n: int, plane: str, low: int, high: int) -> list[str]:
        lane, text, layer = self._lanes[n], VerilogText, self._layer
        # The last plane of numbers with a sign counts negative.
        ends = [(low, high)] * (_PLANES - 1) + [(-high, -low) if layer.input.signed else (low, high)]
        least, most = min(lane.biases), max(lane.biases)
        ranges = []
        for k, (lowest, highest) in enumerate(ends):
            # The bit that the shift drops goes into low; what stays is rounded down.
            least, most = (
                (least if k == 0 else least >> 1) + lowest,
                (most if k == 0 else most >> 1) + highest,
            )
            ranges += [least, most]
        w = bits_for(min(*ranges, *lane.biases, -1), max(*ranges, *lane.biases))
        width = w + _PLANES - 1
        term = text.widened(plane, bits_for(low, high), low < 0, 0, w)
        if layer.input.signed:
            term = f"(last ? ~{term} + {w}'d1 : {term})"
        lines = [f"    reg [{w - 1}:0] l{n}_bias;", "    always @*", "        case (now)"]
        for g, bias in enumerate(lane.biases[1:], 1):
            lines.append(f"            {self.group_bits}'d{g}: l{n}_bias = {text.constant(bias, w)};")
        lines += [
            f"            default: l{n}_bias = {text.constant(lane.biases[0], w)};",
            "        endcase",
            f"    reg [{w - 1}:0] l{n}_high;",
            f"    reg [{_PLANES - 2}:0] l{n}_low;  // bits that later planes no longer reach",
            f"    reg [{self.y_bits - 1}:0] l{n}_y;",
            "    /* verilator lint_off UNUSEDSIGNAL */  // copies of the sign",
            f"    wire [{width - 1}:0] l{n}_sum = {{l{n}_high, l{n}_low}};",
            "    /* verilator lint_on UNUSEDSIGNAL */",
            "    always @(posedge aclk) begin",
            # The plain operand first: the choice then goes into the same look-up table as the addition.
            f"        l{n}_high <= {term} + (first ? l{n}_bias : {{l{n}_high[{w - 1}], l{n}_high[{w - 1}:1]}});",
            f"        l{n}_low <= {{l{n}_high[0], l{n}_low[{_PLANES - 2}:1]}};",
        ]
        if layer.output is None:
            taken = text.widened(f"l{n}_sum", width, True, max(-lane.shift, 0), self.y_bits)
            lines += [f"        l{n}_y <= {taken};", "    end"]
        else:
            lines += [
                f"        l{n}_y <= l{n}_q;",
                "    end",
                f"    wire [7:0] l{n}_q;",
                f"    amrq_requantise #(.WIDTH({width}), .SIGNED(1), .LEFT({max(-lane.shift, 0)}), "
                f".RIGHT({max(lane.shift, 0)}), .OUT_SIGNED({int(layer.output.signed)}), .RELU({int(layer.relu)}))",
                f"        l{n}_round (.x(l{n}_sum), .y(l{n}_q));",
            ]
        return [*lines, f"    assign y[{n * self.y_bits} +: {self.y_bits}] = l{n}_y;", ""]
