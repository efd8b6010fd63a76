# SPDX-License-Identifier: GPL-3.0-or-later
"""The architecture that a network fits."""

from amrq.errors import AmrqError
from amrq.hardware.integer_mean import IntegerMean
from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.rtl.array_design import ArrayDesign
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.rtl_design import PipelineDesign

__all__ = ["make_design"]

_LANES = 16


def make_design(
    network: IntegerNetwork,
    input_bits: int = 8,
    lanes: int | None = None,
    architecture: str | None = None,
    fold: int = 1,
) -> Design:
    """Return a network's Verilog: a pipeline where it takes a mean over its symbols, an array where it does not.

    Args:
        network: chunks reach it normalised.
        input_bits: width of I and of Q.
        lanes: multipliers of an array; 16 where it is not said.
        architecture: `pipeline` or `array`, to be refused where the network fits the other one.
        fold: clocks that a symbol takes in a pipeline: 1, 2, 4 or 8.

    Raises:
        AmrqError: the architecture is another one than the network's, lanes are asked of a pipeline or folding of an
            array, or it cannot be made.
    """
    fits = "pipeline" if isinstance(network.between, IntegerMean) else "array"
    if architecture not in (None, fits):
        raise AmrqError(
            f"model {network.contract.name!r} fits the architecture {fits!r} alone, not {architecture!r}: "
            "pipelines are of models that take a mean over their symbols, arrays of those with max pools and fully "
            "connected layers."
        )
    if fits == "array" and fold != 1:
        raise AmrqError(
            f"model {network.contract.name!r} becomes an array, which is not folded: fewer lanes make it smaller."
        )
    if fits == "array":
        return ArrayDesign(network, input_bits, _LANES if lanes is None else lanes)
    if lanes is not None:
        raise AmrqError(
            f"model {network.contract.name!r} becomes a pipeline, which has no lanes: leave the number out."
        )
    return PipelineDesign(network, input_bits, fold)
