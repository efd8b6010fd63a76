# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer that runs at every symbol, folded over several clocks."""

import numpy as np

from amrq.hardware.integer_layer import IntegerLayer
from amrq.hardware.rtl.adder_graph import AdderGraph
from amrq.hardware.rtl.adder_pipeline import AdderPipeline
from amrq.hardware.rtl.bits_for import bits_for
from amrq.hardware.rtl.templates import rendered
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
