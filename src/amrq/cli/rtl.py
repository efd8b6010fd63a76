# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq rtl`: a model as Verilog."""

from pathlib import Path
from typing import Annotated

import typer

from amrq.cli.app import model_names, one_of
from amrq.hardware import IntegerNetwork
from amrq.hardware.rtl import cosimulate, make_design, test_inputs, write_rtl
from amrq.text import printable

__all__ = ["rtl"]


def rtl(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file with contract, or a shipped model's name.", autocompletion=model_names
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.", show_default=False)
    ],
    input_bits: Annotated[
        int,
        typer.Option(
            "--input-bits",
            min=8,
            max=16,
            help="Width of I and of Q. With 8 a model of magnitudes gives up its input's last bit; from 9 on "
            "scores equal the ONNX model's.",
        ),
    ] = 8,
    fold: Annotated[
        int,
        typer.Option(
            "--fold",
            metavar="CLOCKS",
            help="Clocks a symbol: 1, 2, 4 or 8. Layers at each symbol take their inputs 8, 4, 2 or 1 bits a clock and "
            "are smaller.",
        ),
    ] = 1,
    lanes: Annotated[
        int | None,
        typer.Option(
            "--lanes",
            min=1,
            max=256,
            metavar="N",
            help="Multipliers of an array: as many outputs are made at a time. By default 16.",
            show_default=False,
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            "--architecture",
            metavar="NAME",
            autocompletion=one_of(("pipeline", "array")),
            help="pipeline or array; a model that fits the other one is refused.",
            show_default=False,
        ),
    ] = None,
    chunks: Annotated[int, typer.Option("--chunks", min=16, help="Chunks of the testbench.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of these chunks.")] = 1,
    check: Annotated[
        str | None,
        typer.Option(
            "--check",
            metavar="SIMULATOR",
            autocompletion=one_of(("iverilog", "verilator")),
            help="Run the testbench as well: iverilog, or verilator, which is much faster on many chunks.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make synthesizable Verilog of a quantised model of a known phase.

    Nothing of this has run on an FPGA: it was simulated and synthesised. Only models for signals whose carrier phase is
    known (**coherent-...**, and the thesis's) become hardware; the default model, which classifies live signals, does
    not.

    I/Q symbols in, each chunk's scores and class out, AXI4-Stream on both sides; with a self-checking testbench, a
    Makefile (sim, lint, synth, ecp5) and a README that names ports, scales and latency. Chunks must come in normalised.
    A model that takes a mean over its symbols becomes a pipeline, one symbol a clock or every few; one with max pools
    and fully connected layers, as the thesis's, an array of multipliers that makes its layers in turn, weights in block
    RAM.

    Example: **amrq rtl coherent-small-int4 -o small**, then **make -C small sim**

    Example: **amrq rtl coherent-full-int4 -o full --input-bits 9 --chunks 10000 --check verilator**

    Example: **amrq rtl coherent-full-int8 -o full --fold 8**, a symbol every 8 clocks

    Example: **amrq rtl docs/thesis/models/vgglike_2f_2c_2re_2mp_8bit_pr_20.onnx -o vgglike --lanes 64**
    """
    if architecture not in (None, "pipeline", "array"):
        raise typer.BadParameter("give pipeline or array.", param_hint="'--architecture'")
    if check is not None and check not in ("iverilog", "verilator"):
        raise typer.BadParameter("give iverilog or verilator.", param_hint="'--check'")
    design = make_design(IntegerNetwork.from_onnx(model), input_bits, lanes, architecture, fold)
    write_rtl(design, output, test_inputs(design, chunks, seed), seed + 1)
    typer.echo(
        f"{printable(output)}: {design.module}, a chunk every {design.clocks_a_chunk} clocks, {design.latency} "
        "clocks from its last "
        f"symbol to its class; see {printable(output / 'README.md')}"
    )
    if check is not None:
        typer.echo(printable(cosimulate(output, check)))
