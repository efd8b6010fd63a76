#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of the block emission_source; what it computes is tested in tests/test_channel.py."""

import threading

import numpy as np
import pmt
from gnuradio import blocks, gr, gr_unittest
from gnuradio.amrq.emission_source import emission_source
from patience import PATIENCE
from seeds import rng

from amrq.channel import extract
from amrq.errors import AmrqError

RATE = 1e6


def band(count, seed=1):
    """Noise and two tones, at 200 kHz and at -300 kHz: complex64 [count]."""
    generator = rng("emission source", seed)
    noise = 0.01 * (generator.standard_normal(count) + 1j * generator.standard_normal(count))
    times = np.arange(count) / RATE
    tones = np.exp(2j * np.pi * 200e3 * times) + 2 * np.exp(-2j * np.pi * 300e3 * times)
    return (noise + tones).astype(np.complex64)


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def run(block, samples, tags=(), largest_call=0):
    """Put samples through the block; return what comes out, and its tags as (offset, key, value)."""
    source = blocks.vector_source_c(samples, False, 1, list(tags))
    sink = blocks.vector_sink_c()
    graph = gr.top_block()
    graph.connect(source, block, sink)
    if largest_call:
        graph.run(largest_call)
    else:
        graph.run()
    found = [(one.offset, pmt.symbol_to_string(one.key), one.value) for one in sink.tags()]
    return np.array(sink.data(), np.complex64), found


def values(tags, key):
    return [(place, pmt.to_python(value)) for place, name, value in tags if name == key]


class qa_emission_source(gr_unittest.TestCase):
    def test_same_as_the_library(self):
        samples = band(300_000)
        for largest_call in (0, 1000):
            block = emission_source(RATE, 200e3, 10e3, frequency=100e6)
            after, tags = run(block, samples, largest_call=largest_call)
            expected = extract(samples, RATE, 200e3, 10e3)
            self.assertIsNone(block.error)
            self.assertEqual(len(after), len(expected.iq))
            np.testing.assert_allclose(after, expected.iq, atol=1e-4)
            self.assertEqual(values(tags, "rx_rate"), [(0, expected.sample_rate)])
            self.assertEqual(values(tags, "rx_freq"), [(0, 100.2e6)])
            self.assertEqual(values(tags, "source_sample"), [(0, (0, 0.0, expected.step))])
            self.assertEqual(block.output_rate(), expected.sample_rate)
            self.assertEqual(block.lost(), 0)

    def test_a_rate_is_kept(self):
        after, tags = run(emission_source(RATE, -300e3, 5e3, rate=8e3), band(250_000))
        self.assertEqual(len(after), 2000)
        self.assertEqual(values(tags, "rx_rate"), [(0, 8e3)])
        np.testing.assert_allclose(np.abs(after[100:-100]), 2, atol=0.02)

    def test_short_streams_end(self):
        for count in (0, 1, 2, 999):
            after, _ = run(emission_source(RATE, 200e3, 10e3, rate=20e3), band(count) if count else [])
            self.assertEqual(len(after), -(-count // 50))

    def test_nothing_is_chosen_at_first(self):
        after, tags = run(emission_source(RATE), band(100_000))
        self.assertEqual((len(after), tags), (0, []))

    def test_a_second_run_begins_anew(self):
        block, samples = emission_source(RATE, 200e3, 10e3), band(100_000)
        (first, _), (second, tags) = (run(block, samples) for _ in range(2))
        np.testing.assert_allclose(first, second, atol=1e-6)
        self.assertEqual(len(values(tags, "source_sample")), 1)

    def test_breaks_begin_anew_with_tags(self):
        samples = band(400_000)
        time = pmt.make_tuple(pmt.from_uint64(1000), pmt.from_double(0.75))
        tags = [
            tag(0, "rx_freq", pmt.from_double(100e6)),
            tag(0, "rx_time", time),
            tag(100_000, "rx_overflow", pmt.from_uint64(1)),
            tag(150_000, "rx_freq", pmt.from_double(100e6)),  # not new
            tag(200_000, "rx_freq", pmt.from_double(200e6)),
            tag(300_000, "rx_rate", pmt.from_double(2e6)),
        ]
        block = emission_source(RATE, 200e3, 10e3, rate=20e3, memory=0.3)
        after, found = run(block, samples, tags)
        self.assertIsNone(block.error)
        self.assertEqual(len(after), 2000 + 2000 + 2000 + 1000)
        self.assertEqual(
            values(found, "rx_freq"), [(0, 100.2e6), (2000, 100.2e6), (4000, 200.2e6), (6000, 200.2e6)]
        )
        starts = [(place, value[0]) for place, value in values(found, "source_sample")]
        self.assertEqual(starts, [(0, 0), (2000, 100_000), (4000, 200_000), (6000, 300_000)])
        self.assertEqual(values(found, "rx_overflow"), [(2000, 1)])
        times = values(found, "rx_time")
        self.assertEqual([place for place, _ in times], [0, 2000, 4000])
        np.testing.assert_allclose([whole + part for _, (whole, part) in times], [1000.75, 1000.85, 1000.95])
        expected = extract(samples[100_000:200_000], RATE, 200e3, 10e3, rate=20e3)
        turn = np.exp(-2j * np.pi * 200e3 / RATE * 100_000)
        np.testing.assert_allclose(after[2000:4000], expected.iq * turn, atol=1e-4)

    def test_messages_choose_another_emission(self):
        cases = [
            {"offset": -300e3, "bandwidth": 20e3},
            {"freq_lower_edge": 99.69e6, "freq_upper_edge": 99.71e6},
            {"offset": -300e3, "bandwidth": 20e3, "rate": 50e3, "sample_start": 60_000},
        ]
        for case in cases:
            block = emission_source(RATE, 200e3, 10e3, frequency=100e6)
            block._channel._handle_emission(pmt.to_pmt(case))  # before the first sample
            after, tags = run(block, band(200_000))
            start = case.get("sample_start", 0)  # in the future, here
            self.assertEqual(values(tags, "rx_freq"), [(0, 99.7e6)])
            [(_, (first, _, step))] = values(tags, "source_sample")
            self.assertEqual((first, len(after)), (start, -int(-(200_000 - start) // step)))
            np.testing.assert_allclose(np.abs(after[200:-200]), 2, atol=0.05)

    def test_another_emission_from_the_past_on(self):
        block = emission_source(RATE, 200e3, 10e3, rate=20e3, memory=0.3)
        channel, samples = block._channel, band(400_000)
        kept = channel._keep

        def keep(new, read):
            kept(new, read)
            if channel._ring.end >= 250_000 and channel.chosen[0] > 0:
                block.choose(-300e3, 10e3, 20e3, 50_000)

        channel._keep = keep
        after, found = run(block, samples)
        [(_, first), (place, second)] = values(found, "source_sample")
        self.assertEqual(first[0], 0)
        self.assertEqual(second[0], 50_000)
        self.assertEqual(len(after) - place, 7000)
        np.testing.assert_allclose(np.abs(after[place + 100 : -100]), 2, atol=0.05)

    def test_bad_messages_change_nothing(self):
        block = emission_source(RATE, 200e3, 10e3)
        for message in (
            pmt.PMT_NIL,
            pmt.to_pmt({"offset": "here"}),
            pmt.to_pmt({"offset": 0.0, "bandwidth": -1.0}),
            pmt.to_pmt({"offset": 9e6, "bandwidth": 1e3}),
            pmt.to_pmt({"offset": float("nan"), "bandwidth": 1e3}),
            pmt.to_pmt({"bandwidth": 5e3, "rate": 2e3}),
            pmt.to_pmt({"sample_start": "now"}),
            pmt.to_pmt({"offset": 0.0, "bandwidth": 1e-3}),
            pmt.to_pmt({"freq_lower_edge": float("nan"), "freq_upper_edge": 1e3}),
            pmt.to_pmt({"freq_lower_edge": 2e3, "freq_upper_edge": 1e3}),
            pmt.to_pmt({"freq_lower_edge": 2e6, "freq_upper_edge": 3e6}),
            pmt.cons(pmt.PMT_NIL, pmt.PMT_NIL),
            pmt.from_long(3),
        ):
            block._channel._handle_emission(message)
            self.assertEqual(block._channel.chosen, (200e3, 10e3, 0.0))

    def test_odd_tags_do_not_end_the_stream(self):
        whole = pmt.from_uint64(0)
        odd = [("rx_rate", pmt.from_double(rate)) for rate in (1e11, 1e-300, 1e3, -1.0, float("nan"))]
        odd += [("rx_freq", pmt.from_double(1e300)), ("rx_freq", pmt.PMT_NIL), ("rx_overflow", pmt.PMT_NIL)]
        odd += [("rx_time", pmt.make_tuple(whole, pmt.from_double(part))) for part in (-5.0, 1e30)]
        for key, value in odd:
            block = emission_source(RATE, 200e3, 10e3, memory=1.0)
            after, _ = run(block, band(60_000), [tag(30_000, key, value)])
            self.assertIsNone(block.error, (key, value))
            self.assertGreaterEqual(len(after), 375)  # what comes before the tag

    def test_it_ends_when_what_follows_ends(self):
        block = emission_source(RATE, 200e3, 100e3)
        head, sink = blocks.head(gr.sizeof_gr_complex, 2_000), blocks.vector_sink_c()
        source = blocks.vector_source_c(band(8_192), True)
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

    def test_an_error_ends_the_graph(self):
        block = emission_source(RATE, 200e3, 10e3)
        block._channel._ring = None
        block._channel._new_ring = lambda start: None
        after, _ = run(block, band(100_000))
        self.assertEqual(len(after), 0)
        self.assertIsInstance(block.error, AttributeError)

    def test_bad_samples_pass(self):
        samples = band(100_000)
        samples[50_000] = np.nan
        after, _ = run(emission_source(RATE, 200e3, 10e3), samples)
        self.assertTrue(np.all(np.isfinite(after)))

    def test_bad_values_are_refused(self):
        for arguments, words in (
            ((0.0,), "above 0 Hz"),
            ((RATE, 600e3, 1e3), "at most half the sample rate"),
            ((RATE, 0.0, 10e3, 5e3), "1.02 times the bandwidth"),
            ((RATE, 0.0, 10e3, 0.0, 1e6), "cannot be kept"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                emission_source(*arguments)


if __name__ == "__main__":
    gr_unittest.run(qa_emission_source)
