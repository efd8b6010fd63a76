# SPDX-License-Identifier: GPL-3.0-or-later
"""What whoever builds a design in must know."""

from importlib.resources import files
from string import Template

from amrq.hardware.rtl.array_design import ArrayDesign
from amrq.hardware.rtl.design import Design
from amrq.plain_text import markdown

__all__ = ["rtl_readme"]


def _how(design: Design) -> str:
    if not isinstance(design, ArrayDesign):
        return "A pipeline: each layer has adders of its own."
    clocks = "\n".join(
        f"| {one.layer.name} | {one.positions} x {one.layer.outputs} | {one.terms} | {one.clocks} |"
        for one in design.layers
    )
    return (
        f"An array: {design.lanes} multipliers make {len(design.layers)} layers in turn, {design.multiplications} "
        "products a chunk. Weights, biases and shifts\nare the contents of memories, the .hex files, which must lie "
        "where a tool runs (`$readmemh`).\n\n| layer | outputs | products each | clocks |\n|---|---:|---:|---:|\n"
        + clocks
    )


def _level(design: Design) -> str:
    if design.network.contract.normalisation == "none":
        return "**Chunks come in as the model was trained on them**: nothing sets their level, and it counts."
    return (
        f"**Chunks come in normalised** ({design.network.contract.normalisation}): what is before this design sets "
        "their level."
    )


def _rate(design: Design) -> str:
    if design.architecture == "array":
        return "One symbol a clock until three chunks have come in that have not left; as long as the output is taken"
    if design.full_rate:
        often = "a clock" if design.fold == 1 else f"every {design.fold} clocks"
        return f"One symbol {often} as long as the output is taken"
    return "The input waits at a chunk's last symbol as long as the output is taken"


def rtl_readme(design: Design, chunks: int) -> str:
    """Return the README of a folder.

    Args:
        design: what lies in the folder.
        chunks: of the testbench.
    """
    network, port = design.network, design.port
    component = design.symbol_bits // 2
    side, count = network.head_layers[0].input, network.side_inputs
    own_steps = "These are the first layer's own steps: scores equal those of the ONNX model to the bit."
    if port.left:
        own_steps = (
            "A step is two of the first layer's, so that 8 bits cover what it reads:\n  its last "
            "bit is given up, which "
            "`--input-bits 9` keeps; scores then equal those of the ONNX model to the bit."
        )
    side_port = side_scale = ""
    if count:
        kind = "signed" if side.signed else "unsigned"
        side_port = (
            f"| `s_axis_tuser` | in | {design.side_bits} bits: {count} level features of 8 bits, "
            f"{kind}, the first in bits "
            "7:0; read beside a chunk's last symbol |\n"
        )
        side_scale = (
            f"- Level features: n stands for n x 2^{side.exponent}, what "
            "`amrq.chunks.level_features` gives; all zero where "
            "the level is not known.\n"
        )
    fold_note = ""
    if design.fold > 1:
        fold_note = (
            f"\n- A symbol takes {design.fold} clocks: `s_axis_tready` is high in one and low in {design.fold - 1}; "
            "the drawing shows them as one."
        )
    values = {
        "name": markdown(network.contract.name),
        "module": design.module,
        "length": network.contract.chunk_length,
        "scores": network.head_layers[-1].outputs,
        "chunks": chunks,
        "symbol_bits": design.symbol_bits,
        "i_bits": f"{port.bits - 1}:0",
        "q_bits": f"{component + port.bits - 1}:{component}",
        "side_port": side_port,
        "side_scale": side_scale,
        "data_bits": 32 * design.per_beat,
        "per_beat": "one score" if design.per_beat == 1 else f"{design.per_beat} scores",
        "beats": design.beats,
        "exponent": port.exponent,
        "lowest": port.lowest,
        "highest": port.highest,
        "own_steps": own_steps,
        "level": _level(design),
        "fold": "- The design takes magnitudes of I and Q; that of the least number is one more than the largest.\n"
        if port.fold
        else "",
        "score_exponent": network.score_exponent,
        "classes": ", ".join(
            f"{number} {markdown(name)}" for number, name in enumerate(network.contract.classes)
        ),
        "last": f"{network.contract.chunk_length - 1:<3}",
        "last_beat": design.beats - 1,
        "latency": design.latency,
        "how": _how(design),
        "rate": _rate(design),
        "fold_note": fold_note,
        "clocks": design.clocks_a_chunk,
        "places": design.places,
    }
    source = (files("amrq.hardware.rtl") / "verilog" / "README.md.in").read_text()
    return Template(source).substitute({key: str(value) for key, value in values.items()})
