# SPDX-License-Identifier: GPL-3.0-or-later
"""A source of a simulated band with several emissions."""

from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded

from amrq.signals import SimulatedBand

__all__ = ["band_source"]

_LARGEST = 32_768
"""Samples made in one call: 14 ms at 2.4 MS/s."""


class band_source(gr.sync_block):
    """Send a simulated band: a dozen emissions of several kinds in noise, some always on and some in bursts.

    The emissions are those of `amrq.signals.SIMULATED_EMISSIONS`, written for 2.4 MS/s: linear modulations, AM, FM,
    FSK, OOK and a carrier. At another sample rate the band is stretched. The block makes samples as fast as they are
    taken: put a Throttle behind it.

    Args:
        sample_rate: samples a second, at least 10 kS/s.
        seed: of all randomness.

    Raises:
        AmrqError: the sample rate is out of its range.
    """

    @checked_arguments
    def __init__(self, sample_rate: float = 2.4e6, seed: int = 0) -> None:
        gr.sync_block.__init__(self, name="amrq_band_source", in_sig=None, out_sig=[np.complex64])
        self.error: Exception | None = None
        self.band = SimulatedBand(sample_rate, seed)
        """What makes the samples, and says what is on the air."""

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Fill the output buffer."""
        count = min(len(output_items[0]), _LARGEST)
        output_items[0][:count] = self.band.next_samples(count)
        return count
