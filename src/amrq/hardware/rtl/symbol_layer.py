# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer that runs at every symbol, as a pipeline of adders."""

import numpy as np

from amrq.hardware.integer_layer import IntegerLayer
from amrq.hardware.rtl.adder_graph import AdderGraph
from amrq.hardware.rtl.adder_pipeline import AdderPipeline
from amrq.hardware.rtl.templates import rendered
from amrq.hardware.rtl.verilog_text import VerilogText

__all__ = ["SymbolLayer"]


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
