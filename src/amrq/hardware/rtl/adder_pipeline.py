# SPDX-License-Identifier: GPL-3.0-or-later
"""An adder graph as Verilog."""

from amrq.hardware.rtl.adder_graph import AdderGraph
from amrq.hardware.rtl.verilog_text import VerilogText

__all__ = ["adder_pipeline"]


def adder_pipeline(graph: AdderGraph) -> list[str]:
    """Return registers and additions, one between registers, each node's value as many clocks late as its level.

    Expects wires x0, x1, ... for the inputs, as wide as they, and a clock aclk. Node number n is on a<n>.
    """
    text = VerilogText
    delays: dict[int, int] = {}
    wires: list[str] = []
    steps: list[str] = []

    def name(node: int) -> str:
        return f"x{node}" if node < graph.inputs else f"a{node}"

    def at(node: int, level: int) -> str:
        """Name a node's value `level` clocks after the inputs, and see that it is kept until then."""
        late = level - graph.nodes[node].level
        delays[node] = max(delays.get(node, 0), late)
        return name(node) if late == 0 else f"{name(node)}_{late}"

    for index, node in enumerate(graph.nodes):
        if len(node.terms) != 2:
            continue
        operands, words = [], []
        # What counts negative comes second.
        for term in sorted(node.terms, key=lambda t: -t.sign):
            operand = graph.nodes[term.node]
            if operand.constant:
                number = operand.lowest << term.shift
                operands.append(text.constant(number, node.bits))
                words.append(str(number))
            else:
                source = at(term.node, node.level - 1)
                operands.append(text.widened(source, operand.bits, operand.lowest < 0, term.shift, node.bits))
                words.append(f"{1 << term.shift} {name(term.node)}" if term.shift else name(term.node))
        sign = "+" if all(t.sign > 0 for t in node.terms) else "-"
        wires.append(f"    reg [{node.bits - 1}:0] a{index};  // {words[0]} {sign} {words[1]}")
        steps.append(f"        a{index} <= {operands[0]} {sign} {operands[1]};")

    kept_wires, kept_steps = [], []
    for node_number, late in sorted(delays.items()):
        if late:
            stem = name(node_number)
            bits = graph.nodes[node_number].bits
            kept_wires.append(f"    reg [{bits - 1}:0] {', '.join(f'{stem}_{d + 1}' for d in range(late))};")
            kept_steps += [
                f"        {stem}_{d + 1} <= {stem if d == 0 else f'{stem}_{d}'};" for d in range(late)
            ]
    return [
        "    // --- sums; those that several outputs share are made once ---",
        "    /* verilator lint_off UNUSEDSIGNAL */  // a first bit for which the next sum is too small",
        *wires,
        "    /* verilator lint_on UNUSEDSIGNAL */",
        "    always @(posedge aclk) begin",
        *steps,
        "    end",
        "",
        "    // --- values kept until a later level needs them ---",
        *kept_wires,
        *(["    always @(posedge aclk) begin", *kept_steps, "    end"] if kept_steps else []),
        "",
    ]
