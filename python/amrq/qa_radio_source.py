#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of radio_source, as far as it goes without a radio: what it refuses, and how it marks breaks of the stream."""

import importlib.util
import unittest

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest
from gnuradio.amrq._overflow_marker import overflow_marker

from amrq.errors import AmrqError


def tags(*groups):
    """The tags of a Soapy source: at (offset, frequency), rate and frequency."""
    made = []
    for offset, frequency in groups:
        for key, value in (("rx_rate", 1e6), ("rx_freq", frequency)):
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = offset, pmt.intern(key), pmt.from_double(value)
            made.append(tag)
    return made


class marker_of_a_retune(overflow_marker):
    """Learns of a retune before the first sample comes."""

    def __init__(self, repeats_at_retunes, frequency):
        super().__init__(repeats_at_retunes)
        self.frequency = frequency

    def start(self):
        super().start()
        if self.frequency is not None:
            self.retuned(self.frequency)
        return True


class qa_radio_source(gr_unittest.TestCase):
    def run_marker(self, groups, repeats_at_retunes, retuned=None):
        samples = np.arange(1000, dtype=np.complex64)
        source = blocks.vector_source_c(samples, False, 1, tags(*groups))
        marker, sink = marker_of_a_retune(repeats_at_retunes, retuned), blocks.vector_sink_c()
        tb = gr.top_block()
        tb.connect(source, marker, sink)
        tb.run()
        np.testing.assert_array_equal(sink.data(), samples)
        found = sorted((t.offset, pmt.symbol_to_string(t.key), pmt.to_python(t.value)) for t in sink.tags())
        self.assertEqual(marker.overflows, sum(key == "rx_overflow" for _, key, _ in found))
        return [entry for entry in found if entry[1] != "rx_rate"]

    def test_a_repetition_is_an_overflow(self):
        found = self.run_marker([(0, 1e9), (300, 1e9), (700, 1e9)], False)
        self.assertEqual(
            found,
            [
                (0, "rx_freq", 1e9),
                (300, "rx_freq", 1e9),
                (300, "rx_overflow", 1),
                (700, "rx_freq", 1e9),
                (700, "rx_overflow", 2),
            ],
        )

    def test_a_retune_is_told(self):
        found = self.run_marker([(0, 1e9), (700, 2e9)], False, retuned=2e9)
        self.assertEqual(
            [entry for entry in found if entry[0] == 0], [(0, "rx_freq", 1e9), (0, "rx_freq", 2e9)]
        )
        self.assertIn(
            (700, "rx_overflow", 1), found
        )  # this source says nothing of a retune: samples were lost

    def test_a_retune_that_the_source_tells_too_is_no_overflow(self):
        found = self.run_marker([(0, 1e9), (300, 2e9), (700, 2e9)], True, retuned=2e9)
        self.assertEqual([entry for entry in found if entry[1] == "rx_overflow"], [(700, "rx_overflow", 1)])

    @unittest.skipIf(importlib.util.find_spec("gnuradio.soapy") is None, "this GNU Radio has no Soapy blocks")
    def test_refuses_what_is_no_radio(self):
        for arguments, words in (
            (("driver=nobody", 1e6, 1e8), "no radio answers to 'driver=nobody'"),
            (("driver=lime", 1e6, 1e8), "soapysdr-module-lms7 on Debian"),
            (("driver=nobody", 0.0, 1e8), "sample rate must be above 0 Hz"),
            (("driver=nobody", 1e6, float("nan")), "frequency must be above 0 Hz"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.radio_source(*arguments)


if __name__ == "__main__":
    gr_unittest.run(qa_radio_source)
