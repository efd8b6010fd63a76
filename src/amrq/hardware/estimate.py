# SPDX-License-Identifier: GPL-3.0-or-later
"""Algorithm II of the thesis: FPGA resources as a scaled count of parameters."""

from collections.abc import Iterable
from dataclasses import dataclass

from amrq.errors import AmrqError
from amrq.hardware.layer_size import LayerSize

__all__ = ["ResourceEstimate", "estimate"]

_WORD_BITS = 32
_WORDS_A_BLOCK = 32_000
_POOL_LUT = 100


@dataclass(frozen=True)
class ResourceEstimate:
    """FPGA resources of a network or of a layer.

    Attributes:
        dsp: DSP slices.
        ff: flip-flops.
        lut: look-up tables.
        bram: block RAMs.
    """

    dsp: int
    ff: int
    lut: int
    bram: int


def _of_layer(layer: LayerSize) -> ResourceEstimate:
    if layer.weights < 0 or layer.biases < 0 or not 1 <= layer.bits <= 64:
        raise AmrqError(f"layer {layer.name} is none: {layer}.")
    if layer.kind == "max pool":
        return ResourceEstimate(0, 0, _POOL_LUT * layer.bits // _WORD_BITS, 0)
    weights = layer.weights * layer.bits // _WORD_BITS
    biases = layer.biases * layer.bits // _WORD_BITS
    return ResourceEstimate(
        dsp=2 * weights,
        ff=2 * weights + biases,
        lut=4 * weights if layer.kind == "convolution" else weights,
        bram=weights // _WORDS_A_BLOCK,
    )


def estimate(layers: Iterable[LayerSize]) -> ResourceEstimate:
    """Return what Algorithm II says of a network (Rothe 2024).

    With c_w = floor(N_w B / 32) and c_b = floor(N_b B / 32) of each layer: DSP = sum 2 c_w, FF = sum (2 c_w + c_b),
    LUT = sum 4 c_w over convolutions + sum c_w over dense layers + floor(100 B / 32) for each max pool,
    BRAM = sum floor(c_w / 32000).

    It is no forecast of a synthesis: it grows with the number of weights alone, as if each had hardware of its own, and
    says 133,472 DSP slices for the thesis's smallest 8-bit network, where a Zynq XC7Z020 has 220. It serves to compare
    with the thesis's tables.

    Args:
        layers: of the network, in any order.

    Raises:
        AmrqError: a layer has a negative count or no sensible width.
    """
    parts = [_of_layer(layer) for layer in layers]
    return ResourceEstimate(
        dsp=sum(part.dsp for part in parts),
        ff=sum(part.ff for part in parts),
        lut=sum(part.lut for part in parts),
        bram=sum(part.bram for part in parts),
    )
