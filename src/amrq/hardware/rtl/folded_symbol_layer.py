# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer that runs at every symbol, folded over several clocks."""

import numpy as np

from amrq.hardware.integer_layer import IntegerLayer
from amrq.hardware.rtl.adder_graph import AdderGraph
from amrq.hardware.rtl.adder_pipeline import adder_pipeline
from amrq.hardware.rtl.bits_for import bits_for
from amrq.hardware.rtl.verilog_text import VerilogText

__all__ = ["FoldedSymbolLayer"]

_BITS = 8
"""Of an input."""


class FoldedSymbolLayer:
    """A layer that takes its inputs a few bits a clock, the last ones first, and adds up what these weigh.

    The pipeline of adders is that of `SymbolLayer` for narrow inputs, so that adders are fewer bits wide; behind it
    each output has an accumulator, which moves on by as many places as a clock takes bits.

    Args:
        layer: with a kernel of 1 and an output.
        fold: clocks a symbol: 2, 4 or 8.

    Attributes:
        module: name of the Verilog module.
        fold: as given.
        latency: clocks from a symbol's inputs to its outputs.
        adder_bits: of the adders and accumulators together.
    """

    def __init__(self, layer: IntegerLayer, fold: int) -> None:
        assert layer.kernel == 1 and layer.output is not None and fold in (2, 4, 8)
        self._layer = layer
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
        layer, graph, digit = self._layer, self._graph, self._digit
        top = digit - 1
        # In numbers with a sign the first bit counts negative; turned over, they are 128 larger and have none.
        turned = f" ^ 8'd{1 << (_BITS - 1)}" if layer.input.signed else ""
        nonzero = int(np.count_nonzero(layer.weights))
        inputs: list[str] = []
        for i in range(layer.inputs):
            inputs += [
                f"    reg [7:0] kept{i};",
                f"    always @(posedge aclk) kept{i} <= start ? x[{8 * i} +: 8]{turned} : {{{digit}'d0, "
                f"kept{i}[7:{digit}]}};",
                f"    wire [{top}:0] x{i} = kept{i}[{top}:0];",
            ]
        levels = {max(graph.nodes[node].level, 0) for node in graph.outputs}
        marks = max(levels) + 1
        outputs: list[str] = []
        for number in range(layer.outputs):
            outputs += self._output(number)
        lines = [
            "// SPDX-License-Identifier: GPL-3.0-or-later",
            "//",
            f"// Layer {layer.name}: {layer.inputs} inputs, {layer.outputs} outputs, {nonzero} "
            f"weights that are not zero, of {layer.weight_bits} bits.",
            f"// {graph.additions} additions in {graph.levels} levels; a symbol every {self.fold} clocks, "
            f"{self.latency} clocks from x to y.",
            f"// Inputs are taken {digit} bit{'s' if digit > 1 else ''} a clock, the last first. "
            "Biases stand in the accumulators, with half a step of the",
            "// rounding added.",
            "`default_nettype none",
            f"module {self.module} (",
            "    input  wire aclk,",
            "    input  wire start,  // x is there",
            f"    input  wire [{8 * layer.inputs - 1}:0] x,",
            f"    output wire [{8 * layer.outputs - 1}:0] y",
            ");",
            f"    // --- {digit} bit{'s' if digit > 1 else ''} of each input a clock ---",
            "    /* verilator lint_off UNUSEDSIGNAL */  // an input may weigh nothing",
            *inputs,
            "    /* verilator lint_on UNUSEDSIGNAL */",
            "    /* verilator lint_off UNUSEDSIGNAL */  // one mark for each level of the adders, ends there or not",
            f"    reg [{marks - 1}:0] first;  // bits of a symbol",
            "    /* verilator lint_on UNUSEDSIGNAL */",
            "    always @(posedge aclk) first <= "
            + (f"{{first[{marks - 2}:0], start}};" if marks > 1 else "start;"),
            "",
            *adder_pipeline(graph),
            "    // --- adding up, rounding and saturation; early outputs wait for the last ---",
            *outputs,
            "endmodule",
            "`default_nettype wire",
        ]
        return "\n".join(lines) + "\n"

    def _output(self, n: int) -> list[str]:
        """Return an output's accumulator and what becomes of it."""
        layer, graph, digit, text = self._layer, self._graph, self._digit, VerilogText
        assert layer.output is not None
        node_number = graph.outputs[n]
        node, shift, w = graph.nodes[node_number], self._shifts[n], self._widths[n]
        level = max(node.level, 0)
        late = graph.levels - level
        low = digit * (self.fold - 1)
        width = w + low
        if node.constant:
            term = text.constant(node.lowest, w)
        else:
            term = text.widened(f"a{node_number}", node.bits, node.lowest < 0, 0, w)
        moved = f"{{{{{digit}{{high{n}[{w - 1}]}}}}, high{n}[{w - 1}:{digit}]}}"
        taken = f"high{n}[{digit - 1}:0]"
        return [
            f"    // output {n}: shifted by {shift}",
            f"    reg [{w - 1}:0] high{n};",
            f"    reg [{low - 1}:0] low{n};  // bits that later ones no longer reach",
            f"    wire [7:0] q{n};",
            f"    reg [7:0] {', '.join(f'y{n}_{d}' for d in range(late + 1))};",
            "    always @(posedge aclk) begin",
            # The plain operand first: the choice then goes into the same look-up table as the addition.
            f"        high{n} <= {term} + (first[{level}] ? {text.constant(int(self._biases[n]), w)} : {moved});",
            f"        low{n} <= "
            + (f"{{{taken}, low{n}[{low - 1}:{digit}]}};" if low > digit else f"{taken};"),
            f"        y{n}_0 <= q{n};",
            *(f"        y{n}_{d + 1} <= y{n}_{d};" for d in range(late)),
            "    end",
            f"    amrq_requantise #(.WIDTH({width}), .SIGNED(1), .LEFT({max(-shift, 0)}), "
            f".RIGHT({max(shift, 0)}), .OUT_SIGNED({int(layer.output.signed)}), .RELU({int(layer.relu)}))",
            f"        round{n} (.x({{high{n}, low{n}}}), .y(q{n}));",
            f"    assign y[{8 * n} +: 8] = y{n}_{late};",
        ]
