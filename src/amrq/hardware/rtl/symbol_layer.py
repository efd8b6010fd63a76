# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer that runs at every symbol, as a pipeline of adders."""

import numpy as np

from amrq.hardware.integer_layer import IntegerLayer
from amrq.hardware.rtl.adder_graph import AdderGraph
from amrq.hardware.rtl.adder_pipeline import adder_pipeline
from amrq.hardware.rtl.verilog_text import VerilogText

__all__ = ["SymbolLayer"]


class SymbolLayer:
    """A fully unrolled layer: a new symbol every clock, one addition between registers, nothing multiplied.

    Args:
        layer: with a kernel of 1 and an output.

    Attributes:
        module: name of the Verilog module.
        latency: clocks from a symbol's inputs to its outputs.
        adders: additions of two numbers.
    """

    def __init__(self, layer: IntegerLayer) -> None:
        assert layer.kernel == 1 and layer.output is not None
        self._layer = layer
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
        layer, graph, text = self._layer, self._graph, VerilogText
        assert layer.output is not None
        nonzero = int(np.count_nonzero(layer.weights))
        outputs: list[str] = []
        for number, (node_number, shift) in enumerate(zip(graph.outputs, self._shifts, strict=True)):
            node = graph.nodes[node_number]
            late = graph.levels - max(node.level, 0)
            value = text.constant(node.lowest, node.bits) if node.constant else f"a{node_number}"
            outputs += [
                f"    // output {number}: shifted by {shift}",
                f"    wire [7:0] q{number};",
                f"    amrq_requantise #(.WIDTH({node.bits}), .SIGNED({int(node.lowest < 0)}), .LEFT({max(-shift, 0)}), "
                f".RIGHT({max(shift, 0)}), .OUT_SIGNED({int(layer.output.signed)}), .RELU({int(layer.relu)}))",
                f"        round{number} (.x({value}), .y(q{number}));",
                f"    reg [7:0] {', '.join(f'y{number}_{d}' for d in range(late + 1))};",
                "    always @(posedge aclk) begin",
                f"        y{number}_0 <= q{number};",
                *(f"        y{number}_{d + 1} <= y{number}_{d};" for d in range(late)),
                "    end",
                f"    assign y[{8 * number} +: 8] = y{number}_{late};",
            ]
        lines = [
            "// SPDX-License-Identifier: GPL-3.0-or-later",
            "//",
            f"// Layer {layer.name}: {layer.inputs} inputs, {layer.outputs} outputs, {nonzero} "
            "weights that are not zero, of "
            f"{layer.weight_bits} bits.",
            f"// {graph.additions} additions in {graph.levels} levels; a symbol a clock, "
            f"{self.latency} clocks from x to y.",
            "// Biases stand in the sums as constants, with half a step of the rounding added.",
            "`default_nettype none",
            f"module {self.module} (",
            "    input  wire aclk,",
            f"    input  wire [{8 * layer.inputs - 1}:0] x,",
            f"    output wire [{8 * layer.outputs - 1}:0] y",
            ");",
            "    /* verilator lint_off UNUSEDSIGNAL */  // an input may weigh nothing",
            *(f"    wire [7:0] x{i} = x[{8 * i} +: 8];" for i in range(layer.inputs)),
            "    /* verilator lint_on UNUSEDSIGNAL */",
            "",
            *adder_pipeline(graph),
            "    // --- rounding and saturation; early outputs wait for the last ---",
            *outputs,
            "endmodule",
            "`default_nettype wire",
        ]
        return "\n".join(lines) + "\n"
