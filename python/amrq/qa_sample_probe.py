#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of sample_probe."""

import numpy as np
import pmt
from gnuradio import blocks, gr, gr_unittest
from gnuradio.amrq.sample_probe import sample_probe
from seeds import rng

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.measure import estimate_symbol_rate
from amrq.signals import received_signal


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


class qa_sample_probe(gr_unittest.TestCase):
    def probe(self, samples, tags, count=1000):
        source, probe = blocks.vector_source_c(samples, False, 1, tags), sample_probe(count)
        tb = gr.top_block()
        tb.connect(source, probe)
        tb.run()
        self.assertIsNone(probe.error)
        return probe

    def test_the_last_samples_are_kept(self):
        samples = np.arange(5_000, dtype=np.complex64)
        for length in (10, 1_000, 1_001, 5_000):
            probe = self.probe(samples[:length], [])
            np.testing.assert_array_equal(probe.samples(), samples[max(0, length - 1_000) : length])
            np.testing.assert_array_equal(probe.stretch(), probe.samples())
            self.assertEqual(probe.taken(), length)

    def test_a_stretch_has_no_break_in_it(self):
        samples = np.arange(5_000, dtype=np.complex64)
        overflow = [(place, "rx_overflow", n + 1) for n, place in enumerate((2_000, 4_300, 4_900))]
        for breaks, expected in (
            (overflow, (4_300, 4_900)),  # of what is kept, the longest part
            ([(4_500, "rx_overflow", 1)], (4_500, 5_000)),  # of two as long, the later one
            ([(4_999, "rx_freq", 2.0)], (4_000, 4_999)),
            ([(0, "rx_rate", 1.0), (4_200, "rx_rate", 1.0)], (4_000, 5_000)),  # nothing new
            ([(0, "rx_rate", 1.0), (4_200, "rx_rate", 2.0)], (4_200, 5_000)),
            ([(4_200, "modulation", 1)], (4_000, 5_000)),
            ([(4_000, "rx_overflow", 1)], (4_000, 5_000)),
        ):
            made = [tag(place, key, pmt.to_pmt(value)) for place, key, value in breaks]
            probe = self.probe(samples, made)
            np.testing.assert_array_equal(probe.stretch(), samples[slice(*expected)], err_msg=str(breaks))

    def test_what_came_after_the_last_break(self):
        samples = np.arange(5_000, dtype=np.complex64)
        for places, expected in (
            ([], 4_000),
            ([300], 4_000),
            ([2_000, 4_300, 4_900], 4_900),
            ([4_999], 4_999),
        ):
            made = [tag(place, "rx_overflow", pmt.from_uint64(n)) for n, place in enumerate(places)]
            np.testing.assert_array_equal(self.probe(samples, made).since_break(), samples[expected:])

    def test_no_symbol_rate_comes_from_a_break(self):
        # Where most of a signal is lost every so often, the pieces put together repeat with the losses.
        generator = rng("sample probe", 6)
        symbols = generator.choice(THESIS_9["QPSK"].points, 60_000)
        signal = received_signal(symbols, 4, 0.35, 20.0, generator).astype(np.complex64)
        kept, places = [], []
        for n in range(0, len(signal) - 20_000, 20_000):
            places.append(sum(map(len, kept)))
            kept.append(signal[n : n + 9_001])
        tags = [tag(place, "rx_overflow", pmt.from_uint64(n + 1)) for n, place in enumerate(places[1:])]
        probe = self.probe(np.concatenate(kept), tags, 1 << 17)
        self.assertEqual(len(probe.stretch()), 9_001)
        found = estimate_symbol_rate(probe.stretch(), 100e3)
        self.assertAlmostEqual(found.rate / 25e3, 1, 3)
        self.assertGreater(found.confidence, 0.999)

    def test_nothing_to_keep_is_refused(self):
        with self.assertRaisesRegex(AmrqError, "at least 1 sample"):
            sample_probe(0)


if __name__ == "__main__":
    gr_unittest.run(qa_sample_probe)
