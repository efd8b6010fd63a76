#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of the block carrier_recovery; what it computes is tested in tests/test_carrier_recovery.py."""

import threading

import numpy as np
import pmt
from gnuradio import blocks, gr, gr_unittest
from gnuradio.amrq.carrier_recovery import CARRIER_KEY, carrier_recovery
from patience import PATIENCE
from seeds import rng

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.measure import CarrierRecovery


def symbols(count, offset, seed=1):
    """QPSK at Es/N0 = 20 dB with an offset in cycles/symbol, complex64 [count]."""
    generator = rng("block of carrier recovery", seed)
    turn = np.exp(2j * np.pi * offset * np.arange(count))
    noise = generator.standard_normal(count) + 1j * generator.standard_normal(count)
    clean = generator.choice(THESIS_9["QPSK"].points, count) * turn
    return (clean + np.sqrt(0.005) * noise).astype(np.complex64)


def run(block, samples, tags=(), largest_call=0):
    """Put samples through the block; return what comes out and its tags."""
    source = blocks.vector_source_c(samples, False, 1, list(tags))
    sink = blocks.vector_sink_c()
    graph = gr.top_block()
    graph.connect(source, block, sink)
    if largest_call:
        graph.run(largest_call)
    else:
        graph.run()
    own = [tag for tag in sink.tags() if pmt.symbol_to_string(tag.key) != CARRIER_KEY]
    return np.array(sink.data(), np.complex64), own


class qa_carrier_recovery(gr_unittest.TestCase):
    def test_same_as_the_library(self):
        received = symbols(20_000, 0.04)
        after, _ = run(carrier_recovery(), received)
        expected = CarrierRecovery(hold=16).finish(received)
        self.assertEqual(len(after), len(expected))
        np.testing.assert_allclose(after, expected, atol=1e-4)

    def test_scheduling_does_not_matter(self):
        received = symbols(5_000, -0.06)
        after, _ = run(carrier_recovery(), received, largest_call=64)
        np.testing.assert_allclose(after, CarrierRecovery(hold=16).finish(received), atol=1e-4)

    def test_offset_can_be_read(self):
        block = carrier_recovery()
        run(block, symbols(5_000, 0.04))
        self.assertEqual(block.order(), 4)
        self.assertAlmostEqual(block.offset(), 0.04, delta=1e-3)

    def test_every_symbol_arrives(self):
        for count in (0, 1, 31, 32, 33, 1_000, 8_191, 8_193, 20_001):
            for largest_call in (0, 32, 96):
                received = symbols(count, 0.03) if count else []
                after, _ = run(carrier_recovery(), received, largest_call=largest_call)
                expected = CarrierRecovery(hold=16).finish(np.asarray(received, np.complex64))
                self.assertEqual(len(after), count)
                np.testing.assert_allclose(after, expected, atol=1e-4)

    def test_what_is_held_back_arrives_with_its_tags(self):
        generator = rng("block of carrier recovery", 3)
        noise = (generator.standard_normal(3_001) + 1j * generator.standard_normal(3_001)).astype(
            np.complex64
        )
        received = np.concatenate((noise, symbols(2_000, 0.03), noise[:701]))
        places = (0, 100, 3_001, 3_500, len(received) - 1)
        tags = []
        for offset in places:
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = offset, pmt.intern("here"), pmt.from_long(offset)
            tags.append(tag)
        for largest_call in (0, 96):
            after, found = run(carrier_recovery(), received, tags, largest_call)
            self.assertEqual(len(after), len(received))
            np.testing.assert_allclose(after, CarrierRecovery(hold=16).finish(received), atol=1e-3)
            self.assertEqual(tuple(tag.offset for tag in found), places)

    def test_a_retune_begins_anew(self):
        received = np.concatenate((symbols(4_000, 0.05), symbols(2_000, -0.06, 2)))
        tags = []
        for offset, frequency in ((0, 1e6), (1_000, 1e6), (4_000, 2e6)):
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = offset, pmt.intern("rx_freq"), pmt.from_double(frequency)
            tags.append(tag)
        after, _ = run(carrier_recovery(), received, tags)
        library = CarrierRecovery(hold=16)
        expected = [library.process(received[:4_000]), library.restart(), library.finish(received[4_000:])]
        np.testing.assert_allclose(after, np.concatenate(expected), atol=1e-3)

    def test_the_offset_is_told_where_a_line_is_seen(self):
        generator = rng("block of carrier recovery", 3)
        noise = (generator.standard_normal(3_200) + 1j * generator.standard_normal(3_200)).astype(
            np.complex64
        )
        received = np.concatenate((0.1 * noise, symbols(6_400, 0.03), 0.1 * noise)).astype(np.complex64)
        source = blocks.vector_source_c(received)
        block, sink, graph = carrier_recovery(), blocks.vector_sink_c(), gr.top_block()
        graph.connect(source, block, sink)
        graph.run()
        told = [(tag.offset, pmt.to_double(tag.value)) for tag in sink.tags()]
        steps = np.full(400, np.nan)  # what holds at each step
        for place, value in told:
            self.assertEqual(place % 32, 0)
            steps[place // 32 :] = value
        self.assertTrue(np.isnan(steps[:80]).all())
        self.assertTrue(np.isnan(steps[-50:]).all())
        np.testing.assert_allclose(steps[102:298], 0.03, atol=1.5e-3)

    def test_a_second_run_begins_anew(self):
        block = carrier_recovery()
        first, second = (run(block, symbols(1_000, 0.04))[0] for _ in range(2))
        np.testing.assert_allclose(first, second, atol=1e-4)

    def test_a_tag_on_the_last_symbol_arrives(self):
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = 1_000, pmt.intern("here"), pmt.from_long(1)
        _, after = run(carrier_recovery(), symbols(1_001, 0.02), [tag])
        self.assertEqual([tag.offset for tag in after], [1_000])

    def test_it_ends_when_what_follows_ends(self):
        block, head, sink = (
            carrier_recovery(),
            blocks.head(gr.sizeof_gr_complex, 2_000),
            blocks.vector_sink_c(),
        )
        source = blocks.vector_source_c(symbols(4_096, 0.02), True)
        graph = gr.top_block()
        graph.connect(source, block, head, sink)
        graph.start()
        waiting = threading.Thread(target=graph.wait, daemon=True)
        waiting.start()
        waiting.join(PATIENCE)
        ended = not waiting.is_alive()
        graph.stop()
        self.assertTrue(ended)
        self.assertEqual(len(sink.data()), 2_000)

    def test_tags_keep_their_offsets(self):
        tags = []
        for offset in (0, 1, 31, 32, 1_000, 4_095):
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = offset, pmt.intern("here"), pmt.from_long(offset)
            tags.append(tag)
        _, after = run(carrier_recovery(), symbols(4_096, 0.02), tags, largest_call=96)
        self.assertEqual([tag.offset for tag in after], [tag.offset for tag in tags])
        self.assertEqual([pmt.to_long(tag.value) for tag in after], [tag.offset for tag in tags])

    def test_bad_samples_pass(self):
        received = symbols(4_096, 0.02)
        received[100] = np.nan
        after, _ = run(carrier_recovery(), received)
        self.assertTrue(np.all(np.isfinite(after)))

    def test_an_error_ends_the_graph(self):
        block = carrier_recovery()
        block._steps._recovery = None
        after, _ = run(block, symbols(4_096, 0.02))
        self.assertEqual(len(after), 0)
        self.assertIsInstance(block.error, AttributeError)

    def test_bad_limit_is_refused(self):
        with self.assertRaisesRegex(AmrqError, r"max_offset 0\.4 .* cycles/symbol"):
            carrier_recovery(0.4)


if __name__ == "__main__":
    gr_unittest.run(qa_carrier_recovery)
