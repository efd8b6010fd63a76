#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of chunker."""

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


class qa_chunker(gr_unittest.TestCase):
    def run_chunker(self, samples, tags=(), **settings):
        tb = gr.top_block()
        source = blocks.vector_source_c(samples, False, 1, list(tags))
        chunker = amrq.chunker(**settings)
        length = settings.get("chunk_length", 32)
        sink = blocks.vector_sink_c(length)
        tb.connect(source, chunker, sink)
        tb.run()
        found = [(t.offset, pmt.symbol_to_string(t.key), pmt.to_python(t.value)) for t in sink.tags()]
        indices = [(n, value) for n, key, value in found if key == "sample_index"]
        others = [entry for entry in found if entry[1] != "sample_index"]
        return np.array(sink.data()).reshape(-1, length), indices, others, chunker

    def test_cuts_in_order_and_drops_only_the_tail(self):
        ramp = np.arange(32 * 5000 + 31, dtype=np.complex64)
        chunks, indices, _, _ = self.run_chunker(ramp)
        np.testing.assert_array_equal(chunks.ravel(), ramp[: 32 * 5000])
        self.assertEqual(indices, [(0, (0, 32))])

    def test_hop_shorter_than_chunk(self):
        ramp = np.arange(1000, dtype=np.complex64)
        chunks, indices, _, _ = self.run_chunker(ramp, hop=8)
        self.assertEqual(len(chunks), (1000 - 32) // 8 + 1)
        np.testing.assert_array_equal(chunks[:, 0].real, 8 * np.arange(len(chunks)))
        np.testing.assert_array_equal(chunks[:, -1].real, 8 * np.arange(len(chunks)) + 31)
        self.assertEqual(indices, [(0, (0, 8))])

    def test_hop_longer_than_chunk(self):
        ramp = np.arange(10_000, dtype=np.complex64)
        chunks, _, _, _ = self.run_chunker(ramp, chunk_length=16, hop=100)
        self.assertEqual(len(chunks), 100)
        np.testing.assert_array_equal(chunks[:, 0].real, 100 * np.arange(100))

    def test_tags_are_floored_to_the_chunk_that_holds_them(self):
        tags = [tag(n, "mark", pmt.from_long(n)) for n in (0, 15, 16, 31, 32, 63, 95)]
        _, _, others, _ = self.run_chunker(np.zeros(128, np.complex64), tags)
        self.assertEqual(others, [(n // 32, "mark", n) for n in (0, 15, 16, 31, 32, 63, 95)])

    def test_tag_between_chunks_goes_to_the_later_one(self):
        tags = [tag(50, "mark", pmt.from_long(50))]
        _, _, others, _ = self.run_chunker(np.zeros(500, np.complex64), tags, chunk_length=16, hop=100)
        self.assertEqual(others, [(1, "mark", 50)])

    def test_every_tag_arrives_once_with_overlapping_chunks(self):
        offsets = list(range(0, 4000, 7))
        tags = [tag(n, "mark", pmt.from_long(n)) for n in offsets]
        _, _, others, _ = self.run_chunker(np.zeros(5000, np.complex64), tags, hop=8)
        self.assertEqual(others, [(n // 8, "mark", n) for n in offsets])

    def test_no_chunk_straddles_a_retune(self):
        ramp = np.arange(32 * 4, dtype=np.complex64)
        tags = [tag(40, "rx_freq", pmt.from_double(1e9)), tag(50, "mark", pmt.from_long(50))]
        chunks, indices, others, chunker = self.run_chunker(ramp, tags)
        # 0..31 is whole; 32..39 belong to no whole chunk; from 40 on a new grid.
        np.testing.assert_array_equal(chunks[:, 0].real, [0, 40, 72])
        self.assertEqual(indices, [(0, (0, 32)), (1, (40, 32))])
        self.assertEqual(others, [(1, "rx_freq", 1e9), (1, "mark", 50)])
        self.assertEqual(chunker.discarded, 8)

    def test_retune_on_the_grid_discards_nothing(self):
        tags = [tag(64, "rx_time", pmt.make_tuple(pmt.from_uint64(1), pmt.from_double(0.5)))]
        chunks, indices, others, chunker = self.run_chunker(np.zeros(128, np.complex64), tags)
        self.assertEqual((len(chunks), chunker.discarded), (4, 0))
        self.assertEqual(indices, [(0, (0, 32)), (2, (64, 32))])
        self.assertEqual(others, [(2, "rx_time", (1, 0.5))])

    def test_an_unchanged_value_is_no_break(self):
        tags = [tag(n, "rx_freq", pmt.from_double(1e9)) for n in range(0, 3000, 7)]
        tags.append(tag(1500, "rx_freq", pmt.from_double(2e9)))
        tags = [t for t in tags if t.offset <= 1500]
        _, indices, others, chunker = self.run_chunker(np.zeros(3200, np.complex64), tags)
        self.assertEqual(indices, [(0, (0, 32)), (46, (1500, 32))])
        self.assertEqual(chunker.discarded, 1500 - 46 * 32)
        self.assertEqual(len(others), len(tags))

    def test_each_overflow_is_a_break_once(self):
        # A timing loop may repeat a tag with its value.
        places = [(40, 1), (44, 1), (200, 2)]
        tags = [tag(n, "rx_overflow", pmt.from_uint64(number)) for n, number in places]
        tags += [tag(n, "rx_freq", pmt.from_double(1e9)) for n in (0, 40, 200)]
        _, indices, others, chunker = self.run_chunker(np.zeros(320, np.complex64), tags)
        self.assertEqual([index for _, (index, _) in indices], [0, 40, 200])
        self.assertEqual(len(others), len(tags))
        self.assertEqual(chunker.discarded, 8)

    def test_every_tag_arrives_once_whatever_the_hop(self):
        count = 200_000
        for hop in (1, 8, 32, 40, 100, 1000, 20_000):
            offsets = list(range(0, count - 40_000, 37))
            tags = [tag(n, "mark", pmt.from_long(n)) for n in offsets]
            _, _, others, _ = self.run_chunker(np.zeros(count, np.complex64), tags, hop=hop)
            self.assertEqual(sorted(n for _, _, n in others), offsets)
            for chunk, _, n in others:
                self.assertGreater(chunk * hop + 32, n)
                self.assertTrue(chunk * hop <= n or (chunk - 1) * hop + 32 <= n)

    def test_breaks_restart_the_grid_whatever_the_hop(self):
        count = 100_000
        for hop in (5, 32, 64, 1000):
            breaks = list(range(777, count, 7777))
            tags = [tag(n, "rx_freq", pmt.from_double(n)) for n in breaks]
            ramp = np.arange(count, dtype=np.complex64)
            chunks, indices, others, _ = self.run_chunker(ramp, tags, hop=hop)
            self.assertEqual([index for _, (index, _) in indices], [0, *breaks])
            self.assertEqual(len(others), len(breaks))
            for chunk, (index, _) in indices:
                self.assertEqual(chunks[chunk, 0].real, index)
            spans = np.stack([chunks[:, 0].real, chunks[:, -1].real])
            for n in breaks:  # no chunk holds samples from both sides
                self.assertFalse(np.any((spans[0] < n) & (spans[1] >= n)))

    def test_runs_again(self):
        source = blocks.vector_source_c(np.zeros(300, np.complex64))
        chunker, sink = amrq.chunker(hop=64), blocks.vector_sink_c(32)
        tb = gr.top_block()
        tb.connect(source, chunker, sink)
        for _ in range(2):
            tb.run()
            self.assertEqual(len(sink.data()), 5 * 32)
            (found,) = [t for t in sink.tags() if pmt.symbol_to_string(t.key) == "sample_index"]
            self.assertEqual(pmt.to_python(found.value), (0, 64))
            source.rewind()
            sink.reset()

    def test_a_chunk_with_a_mark_becomes_not_finite(self):
        tags = [tag(n, "not_finite", pmt.PMT_T) for n in (31, 70, 71)] + [tag(130, "mark", pmt.PMT_T)]
        chunks, _, others, _ = self.run_chunker(np.ones(320, np.complex64), tags)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(chunks).any(axis=1)), [0, 2])
        self.assertEqual([(offset, key) for offset, key, _ in others], [(4, "mark")])

    def test_gate_silences_but_keeps_the_count_and_nan(self):
        samples = np.full(32 * 4, 0.1 + 0j, np.complex64)  # -20 dB
        samples[32:64] = 1.0
        samples[70] = np.nan
        chunks, _, _, _ = self.run_chunker(samples, gate_db=-10.0)
        self.assertEqual(len(chunks), 4)
        np.testing.assert_array_equal(chunks[0], 0)
        np.testing.assert_array_equal(chunks[1], 1)
        self.assertTrue(np.isnan(chunks[2]).any())
        np.testing.assert_array_equal(chunks[3], 0)

    def test_the_longest_hop(self):
        chunks, _, _, _ = self.run_chunker(np.arange(2**20 + 32, dtype=np.complex64), hop=2**20)
        self.assertEqual(len(chunks), 2)
        np.testing.assert_array_equal(chunks[1], np.arange(2**20, 2**20 + 32))

    def test_refuses_nonsense(self):
        for settings in (
            {"chunk_length": 0},
            {"chunk_length": 5000},
            {"hop": -1},
            {"hop": 2**20 + 1},
            {"hop": 2**30},
            {"hop": "32"},
            {"gate_db": float("nan")},
        ):
            with self.assertRaises(ValueError):
                amrq.chunker(**settings)


if __name__ == "__main__":
    gr_unittest.run(qa_chunker)
