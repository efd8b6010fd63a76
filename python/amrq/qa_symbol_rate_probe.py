#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of symbol_rate_probe."""

import threading

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest
from patience import PATIENCE
from seeds import rng

from amrq.classes import linear_class
from amrq.errors import AmrqError
from amrq.signals import received_signal

RATE = 100e3
PORT = "symbol_rate"


def signal(samples_per_symbol, count, seed=6, offset=0.0, name="QPSK"):
    """Samples of a signal at 20 dB, its offset in cycles a symbol."""
    generator = rng("symbol rate probe", seed)
    symbols = generator.choice(linear_class(name).points, int(count / samples_per_symbol) + 100)
    made = received_signal(symbols, samples_per_symbol, 0.35, 20.0, generator, offset)
    return made[:count].astype(np.complex64)


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


class qa_symbol_rate_probe(gr_unittest.TestCase):
    def estimates(self, samples, tags=(), **settings):
        """Run the probe over samples; return its messages and itself."""
        probe = amrq.symbol_rate_probe(**{"sample_rate": RATE, **settings})
        source, log = blocks.vector_source_c(samples, False, 1, list(tags)), blocks.message_debug()
        tb = gr.top_block()
        tb.connect(source, probe)
        tb.msg_connect(probe, PORT, log, "store")
        tb.run()
        self.assertIsNone(probe.error)
        return [pmt.to_python(log.get_message(n)) for n in range(log.num_messages())], probe

    def test_the_rate_is_found_and_told(self):
        found, probe = self.estimates(signal(4, 300_000))
        first = found[0]
        self.assertEqual(
            set(first),
            {
                "symbol_rate",
                "samples_per_symbol",
                "confidence",
                "sample_offset",
                "sample_count",
                "dropped",
                "offset",
                "bandwidth",
                "snr_db",
                "signals",
            },
        )
        for message in found:
            self.assertAlmostEqual(message["symbol_rate"] / 25e3, 1, 3)
            self.assertAlmostEqual(message["samples_per_symbol"], RATE / message["symbol_rate"])
            self.assertGreaterEqual(message["confidence"], 0.999)
            self.assertLessEqual(message["sample_offset"] + message["sample_count"], 300_000)
            self.assertLessEqual(message["sample_count"], 1 << 17)
        counts = probe.counts()
        self.assertEqual(counts.received, 300_000)
        self.assertGreaterEqual(counts.looks, len(found))
        self.assertEqual(counts.estimates, len(found))
        self.assertLessEqual(counts.looked_at + counts.dropped, counts.received)

    def test_a_stream_shorter_than_a_look_is_looked_at_at_its_end(self):
        (found,), probe = self.estimates(signal(5, 20_000))
        self.assertAlmostEqual(found["symbol_rate"] / 20e3, 1, 3)
        self.assertEqual((found["sample_offset"], found["sample_count"]), (0, 20_000))
        self.assertEqual(probe.counts().looked_at, 20_000)

    def test_nothing_is_told_of_noise_silence_or_too_little(self):
        generator = rng("symbol rate probe")
        noise = (generator.normal(size=70_000) + 1j * generator.normal(size=70_000)).astype(np.complex64)
        for samples in (noise, np.zeros(70_000, np.complex64), signal(4, 200), signal(4, 1)):
            found, probe = self.estimates(samples)
            self.assertEqual(found, [])
            self.assertEqual(probe.counts().received, len(samples))
        found, _ = self.estimates(noise, min_confidence=0.0)
        self.assertTrue(found)
        self.assertLess(found[0]["confidence"], 0.999)

    def test_samples_that_are_not_finite_do_no_harm(self):
        samples = signal(4, 40_000)
        samples[[7, 20_000]] = np.nan, np.inf
        (found,), _ = self.estimates(samples)
        self.assertAlmostEqual(found["symbol_rate"] / 25e3, 1, 3)

    def test_a_signal_beside_the_middle(self):
        samples = signal(8, 60_000, offset=2.0)  # at 25 kHz
        strong = 3 * signal(5, 60_000, seed=7) * np.exp(-2j * np.pi * 0.3 * np.arange(60_000))
        self.assertGreater(np.mean(np.abs(strong) ** 2), np.mean(np.abs(samples) ** 2))
        (found,), _ = self.estimates(samples, offset=25e3)
        self.assertAlmostEqual(found["symbol_rate"] / 12.5e3, 1, 3)

    def test_of_two_signals_the_stronger_one_is_found_or_the_one_near_the_offset(self):
        n = np.arange(60_000)
        both = signal(8, 60_000, offset=2.0) + 3 * signal(10, 60_000, seed=7) * np.exp(-2j * np.pi * 0.3 * n)
        for offset, symbol_rate, place in ((None, 10e3, -30e3), (-28e3, 10e3, -30e3), (24e3, 12.5e3, 25e3)):
            (found,), _ = self.estimates(both.astype(np.complex64), offset=offset)
            self.assertAlmostEqual(found["symbol_rate"] / symbol_rate, 1, 3)
            self.assertLess(abs(found["offset"] - place), 0.05 * symbol_rate)
            self.assertGreaterEqual(found["signals"], 2)
            self.assertGreater(found["snr_db"], 5)
            self.assertGreater(found["bandwidth"], symbol_rate)

    def test_the_search_is_limited_to_what_is_asked_for(self):
        turn = np.exp(-2j * np.pi * 0.25 * np.arange(60_000))
        both = (0.7 * signal(4, 60_000) * turn + signal(10, 60_000, seed=7) / turn).astype(np.complex64)
        (found,), _ = self.estimates(both, lowest=20e3)
        self.assertAlmostEqual(found["symbol_rate"] / 25e3, 1, 3)
        (found,), _ = self.estimates(both, highest=15e3)
        self.assertAlmostEqual(found["symbol_rate"] / 10e3, 1, 3)

    def test_another_frequency_or_rate_begins_anew(self):
        samples = np.concatenate([signal(4, 30_000), signal(5, 20_000, seed=7)])
        for tags, rate in (
            ([tag(30_000, "rx_freq", pmt.from_double(2e6))], 20e3),
            ([tag(30_000, "rx_rate", pmt.from_double(2 * RATE))], 40e3),
            (
                [
                    tag(0, "rx_rate", pmt.from_double(RATE)),
                    tag(0, "rx_freq", pmt.from_double(1e6)),
                    tag(30_000, "rx_freq", pmt.from_double(2e6)),
                ],
                20e3,
            ),
        ):
            (found,), probe = self.estimates(samples, tags)
            self.assertAlmostEqual(found["symbol_rate"] / rate, 1, 3)
            self.assertEqual((found["sample_offset"], found["sample_count"]), (30_000, 20_000))
            self.assertEqual((probe.counts().dropped, probe.counts().looked_at), (30_000, 20_000))

    def test_a_repeated_tag_and_a_rate_that_is_none_say_nothing(self):
        tags = [tag(n, "rx_freq", pmt.from_double(1e6)) for n in (0, 10_000, 20_000)]
        (found,), _ = self.estimates(signal(4, 30_000), tags)
        self.assertEqual(found["sample_count"], 30_000)
        for value in (pmt.from_double(0.0), pmt.from_double(float("nan")), pmt.intern("fast")):
            (found,), _ = self.estimates(signal(4, 30_000), [tag(10_000, "rx_rate", value)])
            self.assertEqual(found["sample_offset"], 10_000)
            self.assertAlmostEqual(found["symbol_rate"] / 25e3, 1, 3)

    def test_no_estimate_rests_on_samples_on_both_sides_of_a_gap(self):
        # Where most of a signal is lost every so often, the pieces put together repeat with the losses.
        whole, kept, tags = signal(4, 240_000), [], []
        for number, n in enumerate(range(0, 220_000, 20_000)):
            tags += [tag(sum(map(len, kept)), "rx_overflow", pmt.from_uint64(number))]
            kept.append(whole[n : n + 9_001])
        found, _ = self.estimates(np.concatenate(kept), tags)
        for message in found:
            self.assertAlmostEqual(message["symbol_rate"] / 25e3, 1, 3)
            self.assertLessEqual(message["sample_count"], 9_001)
            self.assertEqual(message["sample_offset"] % 9_001, 0)

    def test_the_stream_goes_on_while_an_estimate_takes_its_time(self):
        go_on, begun = threading.Event(), threading.Event()

        def slow(estimate):
            begun.set()
            go_on.wait(PATIENCE)

        probe = amrq.symbol_rate_probe(RATE, interval=0.0, length=4_096, on_estimate=slow)
        source, through = blocks.vector_source_c(signal(4, 400_000), True), blocks.head(8, 400_000)
        last = blocks.probe_signal_c()
        tb = gr.top_block()
        tb.connect(source, through, probe)
        tb.connect(through, last)
        tb.start()
        self.assertTrue(begun.wait(PATIENCE))
        limit = threading.Event()
        for _ in range(6_000):  # until all has passed, with the estimate still under way
            if probe.counts().received == 400_000:
                break
            limit.wait(0.01)
        self.assertEqual(probe.counts().received, 400_000)
        go_on.set()
        tb.wait()
        self.assertGreater(probe.counts().dropped, 300_000)
        self.assertIsNone(probe.error)

    def test_an_error_ends_the_flowgraph(self):
        def fail(estimate):
            raise ValueError("no more")

        probe = amrq.symbol_rate_probe(RATE, interval=0.0, length=4_096, on_estimate=fail)
        source = blocks.vector_source_c(signal(4, 50_000), True)  # without end
        tb = gr.top_block()
        tb.connect(source, probe)
        tb.run()
        self.assertIsInstance(probe.error, ValueError)

    def test_it_runs_again(self):
        probe = amrq.symbol_rate_probe(RATE)
        source, log = blocks.vector_source_c(signal(4, 20_000), False), blocks.message_debug()
        tb = gr.top_block()
        tb.connect(source, probe)
        tb.msg_connect(probe, PORT, log, "store")
        for number in (1, 2):
            source.rewind()
            tb.run()
            self.assertEqual(log.num_messages(), number)
            self.assertEqual(probe.counts().received, 20_000)

    def test_it_is_stopped_in_the_middle(self):
        probe = amrq.symbol_rate_probe(RATE, interval=0.0)
        source = blocks.vector_source_c(signal(4, 50_000), True)
        tb = gr.top_block()
        tb.connect(source, probe)
        tb.start()
        tb.stop()
        tb.wait()
        self.assertIsNone(probe.error)

    def test_setters(self):
        probe = amrq.symbol_rate_probe(RATE)
        probe.set_sample_rate(2 * RATE)
        probe.set_offset(90e3)
        with self.assertRaisesRegex(AmrqError, "outside the band"):
            probe.set_offset(110e3)
        with self.assertRaisesRegex(AmrqError, "above 0"):
            probe.set_sample_rate(0)

    def test_values_out_of_range_are_refused(self):
        for settings, words in (
            ({"sample_rate": 0.0}, "above 0"),
            ({"sample_rate": float("nan")}, "above 0"),
            ({"offset": 60e3}, "outside the band"),
            ({"interval": -1.0}, "interval"),
            ({"lowest": 30e3, "highest": 20e3}, "the lowest must be at least 0 and below"),
            ({"min_confidence": 1.5}, "min_confidence"),
            ({"length": 100}, "at least 256"),
            ({"length": "many"}, "whole number"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.symbol_rate_probe(**{"sample_rate": RATE, **settings})


if __name__ == "__main__":
    gr_unittest.run(qa_symbol_rate_probe)
