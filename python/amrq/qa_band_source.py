#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of band_source."""

import numpy as np
from gnuradio import amrq, blocks, gr, gr_unittest

from amrq.errors import AmrqError
from amrq.signals import SimulatedBand


class qa_band_source(gr_unittest.TestCase):
    def test_sends_what_the_library_makes(self):
        count = 100_000
        tb = gr.top_block()
        source, sink = amrq.band_source(240e3, seed=3), blocks.vector_sink_c()
        tb.connect(source, blocks.head(gr.sizeof_gr_complex, count), sink)
        tb.run()
        band = SimulatedBand(240e3, seed=3)
        steady = band.next_samples(count)
        # Noise is drawn in pieces, and the pieces are the scheduler's: what is left is the noise of both.
        rest = np.array(sink.data()) - steady
        self.assertLess(np.mean(np.abs(rest) ** 2), 0.1 * np.mean(np.abs(steady) ** 2))
        self.assertIsNone(source.error)

    def test_refuses_a_rate_without_room(self):
        with self.assertRaisesRegex(AmrqError, "10 kS/s"):
            amrq.band_source(1e3)


if __name__ == "__main__":
    gr_unittest.run(qa_band_source)
