# SPDX-License-Identifier: GPL-3.0-or-later
"""An adder graph as registers and additions, one addition between registers."""

from typing import NamedTuple

from amrq.hardware.rtl.adder_graph import AdderGraph
from amrq.hardware.rtl.verilog_text import VerilogText

__all__ = ["AdderPipeline"]


class _Adder(NamedTuple):
    """An addition or subtraction of two numbers, and the register that holds its result.

    Attributes:
        name: of the register.
        bits: its width.
        value: what it takes over at the clock, in Verilog.
        meaning: the same for people, without widths.
    """

    name: str
    bits: int
    value: str
    meaning: str


class _Kept(NamedTuple):
    """A number that a later level needs.

    Attributes:
        bits: its width.
        names: its registers, the youngest first; before them the name of the number itself.
    """

    bits: int
    names: list[str]


class AdderPipeline:
    """An adder graph in Verilog, each node's value as many clocks late as its level: see `adder_pipeline.v.in`.

    The inputs are wires x0, x1, ..., as wide as the graph says, and node number n is on a<n>.

    Args:
        graph: what is computed.

    Attributes:
        sums: registers of sums, in the order of the graph's nodes.
        kept: values that later levels need.
    """

    def __init__(self, graph: AdderGraph) -> None:
        self._graph = graph
        self._delays: dict[int, int] = {}
        self.sums = [self._adder(number) for number, node in enumerate(graph.nodes) if len(node.terms) == 2]
        self.kept = [
            _Kept(
                graph.nodes[number].bits,
                [self._name(number), *(f"{self._name(number)}_{d + 1}" for d in range(late))],
            )
            for number, late in sorted(self._delays.items())
            if late
        ]

    def _name(self, node: int) -> str:
        return f"x{node}" if node < self._graph.inputs else f"a{node}"

    def _at(self, node: int, level: int) -> str:
        """Name a node's value `level` clocks after the inputs, and see that it is kept until then."""
        late = level - self._graph.nodes[node].level
        self._delays[node] = max(self._delays.get(node, 0), late)
        return self._name(node) if late == 0 else f"{self._name(node)}_{late}"

    def _adder(self, number: int) -> _Adder:
        text, node = VerilogText, self._graph.nodes[number]
        operands, words = [], []
        # What counts negative comes second.
        for term in sorted(node.terms, key=lambda t: -t.sign):
            operand = self._graph.nodes[term.node]
            if operand.constant:
                value = operand.lowest << term.shift
                operands.append(text.constant(value, node.bits))
                words.append(str(value))
            else:
                source = self._at(term.node, node.level - 1)
                operands.append(text.widened(source, operand.bits, operand.lowest < 0, term.shift, node.bits))
                name = self._name(term.node)
                words.append(f"{1 << term.shift} {name}" if term.shift else name)
        sign = " + " if all(t.sign > 0 for t in node.terms) else " - "
        return _Adder(f"a{number}", node.bits, sign.join(operands), sign.join(words))
