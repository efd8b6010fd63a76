# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of Verilog that a person can read, try and synthesise."""

from pathlib import Path

from amrq.errors import AmrqError
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.rtl_readme import rtl_readme
from amrq.hardware.rtl.templates import rendered
from amrq.hardware.rtl.test_inputs import TestInputs
from amrq.hardware.rtl.testbench import testbench
from amrq.whole_file import write_whole

__all__ = ["write_rtl"]


def write_rtl(design: Design, folder: Path, inputs: TestInputs, seed: int = 1) -> None:
    """Write modules, a self-checking testbench with its vectors, a Makefile and a README.

    Args:
        design: what is written.
        folder: made where it is not there; files of the same names are overwritten, others stay.
        inputs: chunks for the testbench.
        seed: of the testbench's stalls.

    Raises:
        AmrqError: it cannot be written.
    """
    modules = sorted(name for name in design.files if name.endswith(".v"))
    found = {
        **design.files,
        **testbench(design, inputs.symbols, inputs.side, seed),
        "Makefile": rendered("Makefile.in", design=design, sources=modules),
        "README.md": rtl_readme(design, len(inputs.symbols)),
    }
    try:
        (folder / "vectors").mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            write_whole(folder / name, text, durable=False)
    except OSError as error:
        raise AmrqError(f"{folder} cannot be written: {error.strerror or error}.") from None
