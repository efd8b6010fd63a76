# SPDX-License-Identifier: GPL-3.0-or-later
"""What whoever builds a design in must know."""

from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.templates import rendered

__all__ = ["rtl_readme"]


def rtl_readme(design: Design, chunks: int) -> str:
    """Return the README of a folder.

    Args:
        design: what lies in the folder.
        chunks: of the testbench.
    """
    network = design.network
    return rendered(
        "README.md.in",
        design=design,
        network=network,
        port=design.port,
        side=network.head_layers[0].input,
        length=network.contract.chunk_length,
        chunks=chunks,
    )
