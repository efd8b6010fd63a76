#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of family_classifier."""

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


def signal(count=24_000, offset=0.0, name="QPSK", number=0):
    """Samples of a signal of 10 kBd at 20 dB, at an offset in Hz."""
    generator = rng("family classifier", number)
    symbols = generator.choice(linear_class(name).points, count // 10 + 100)
    made = received_signal(symbols, 10.0, 0.35, 20.0, generator, offset / 10e3)
    return made[:count].astype(np.complex64)


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def stored(log):
    return [pmt.to_python(log.get_message(n)) for n in range(log.num_messages())]


class qa_family_classifier(gr_unittest.TestCase):
    def run_block(self, samples, tags=(), **settings):
        """Run samples through the block; return it, its messages and its last counters."""
        known = {"sample_rate": RATE, "live": False, "watch": amrq.SignalOptions(period=0.1)}
        block = amrq.family_classifier(**known | settings)
        found, counters = blocks.message_debug(), blocks.message_debug()
        tb = gr.top_block()
        tb.connect(blocks.vector_source_c(np.asarray(samples).tolist(), False, 1, list(tags)), block)
        tb.msg_connect(block, "signal", found, "store")
        tb.msg_connect(block, "statistics", counters, "store")
        tb.run()
        self.assertIsNone(block.error)
        return block, stored(found), (stored(counters) or [{}])[-1]

    def test_a_signal_is_found_measured_and_named(self):
        block, found, counters = self.run_block(signal(offset=12e3))
        self.assertGreaterEqual(len(found), 3)
        last = found[-1]
        self.assertEqual((last["family"], last["label"]), ("linear", "QPSK"))
        self.assertAlmostEqual(last["symbol_rate_hz"] / 10e3, 1, 3)
        self.assertLess(abs(last["offset_hz"] - 12e3), 500)
        self.assertTrue(10e3 < last["bandwidth_hz"] < 16e3)
        self.assertTrue(0 < last["confidence"] <= 1)
        self.assertNotIn("frequency_hz", last)
        self.assertNotIn("bursts", last)
        self.assertEqual(last["looks"], len(found))
        self.assertEqual((counters["received"], counters["dropped"]), (24_000, 0))
        self.assertEqual(counters["looks"], len(found))
        self.assertEqual(block.statistics().received, 24_000)

    def test_place_and_bandwidth_may_be_given(self):
        both = signal(offset=-20e3) + 3 * signal(offset=20e3, name="BPSK", number=1)
        for place, label in ((-20e3, "QPSK"), (20e3, "BPSK")):
            _, found, _ = self.run_block(both, offset=place, bandwidth=13e3, frequency=144e6)
            self.assertEqual(found[-1]["label"], label)
            self.assertAlmostEqual(found[-1]["bandwidth_hz"], 13e3)
            self.assertAlmostEqual(found[-1]["frequency_hz"], 144e6 + place)
        for place, near in ((-25e3, -20e3), (0.0, 20e3)):  # the one nearest to it; the strongest
            _, found, _ = self.run_block(both[:12_000], offset=place)
            self.assertLess(abs(found[-1]["offset_hz"] - near), 500)

    def test_nothing_is_said_of_noise_silence_or_too_little(self):
        generator = rng("family classifier", 2)
        noise = (generator.normal(size=(20_000, 2)) @ [1, 1j]).astype(np.complex64)
        for samples in (noise, np.zeros(20_000, np.complex64), signal(100), []):
            block, found, _ = self.run_block(samples)
            self.assertTrue(all(one["family"] in ("noise", "unknown") for one in found))
            self.assertEqual(block.statistics().received, len(samples))

    def test_samples_that_are_not_finite_do_no_harm(self):
        samples = signal()
        samples[[7, 10_000]] = np.nan, np.inf
        _, found, _ = self.run_block(samples)
        self.assertEqual(found[-1]["family"], "linear")

    def test_a_retune_begins_anew_and_a_gap_does_not(self):
        samples = np.concatenate([signal(15_000), signal(20_000, name="BPSK", number=1)])
        tags = [tag(15_000, "rx_freq", pmt.from_double(7e6))]
        _, found, _ = self.run_block(samples, tags, frequency=1e6)
        self.assertEqual(found[-1]["label"], "BPSK")
        self.assertGreaterEqual(found[-1]["sample_start"], 15_000)
        self.assertLess(found[-1]["looks"], len(found))
        self.assertLess(abs(found[-1]["frequency_hz"] - 7e6), 500)
        tags = [tag(15_000, "rx_overflow", pmt.from_uint64(1))]
        _, found, _ = self.run_block(samples, tags)
        self.assertEqual(found[-1]["looks"], len(found))
        for one in found:  # nothing is looked at over the gap
            first, last = one["sample_start"], one["sample_start"] + one["sample_count"]
            self.assertFalse(first < 15_000 < last)

    def test_the_rate_of_an_emission_source_is_followed(self):
        channel = amrq.emission_source(
            RATE, offset=12e3, bandwidth=26e3
        )  # its rate is 32.5 kS/s, or little more
        block = amrq.family_classifier(RATE, live=False)
        log = blocks.message_debug()
        tb = gr.top_block()
        tb.connect(blocks.vector_source_c(signal(offset=12e3).tolist()), channel, block)
        tb.msg_connect(block, "signal", log, "store")
        tb.run()
        self.assertIsNone(block.error)
        last = stored(log)[-1]
        self.assertEqual(last["label"], "QPSK")
        self.assertAlmostEqual(last["symbol_rate_hz"] / 10e3, 1, 2)
        self.assertLess(block.statistics().received, 9_000)

    def test_the_stream_goes_on_while_a_look_takes_its_time(self):
        go_on, begun = threading.Event(), threading.Event()
        block = amrq.family_classifier(RATE, bandwidth=13e3)

        def slow(iq, *rest):
            begun.set()
            go_on.wait(PATIENCE)
            return None

        block._first._signal = slow
        through = blocks.head(gr.sizeof_gr_complex, 2_000_000)
        last = blocks.probe_signal_c()
        source = blocks.vector_source_c(signal().tolist(), True)
        tb = gr.top_block()
        tb.connect(source, through, block)
        tb.connect(through, last)
        tb.start()
        self.assertTrue(begun.wait(PATIENCE))
        limit = threading.Event()
        for _ in range(6_000):  # until all has passed, with the look still under way
            if block.statistics().received == 2_000_000:
                break
            limit.wait(0.01)
        self.assertEqual(block.statistics().received, 2_000_000)
        go_on.set()
        tb.wait()
        self.assertGreater(block.statistics().dropped, 1_000_000)
        self.assertIsNone(block.error)

    def test_an_error_ends_the_flowgraph(self):
        def fail(record):
            raise ValueError("no more")

        block = amrq.family_classifier(RATE, on_signal=fail)
        tb = gr.top_block()
        tb.connect(blocks.vector_source_c(signal().tolist(), True), block)  # without end
        tb.run()
        self.assertIsInstance(block.error, ValueError)

    def test_it_runs_again_and_is_stopped_in_the_middle(self):
        seen = []
        block = amrq.family_classifier(RATE, on_signal=seen.append, live=False)
        source = blocks.vector_source_c(signal(12_000).tolist(), False)
        tb = gr.top_block()
        tb.connect(source, block)
        for number in (1, 2):
            source.rewind()
            tb.run()
            self.assertEqual(seen[-1].label, "QPSK")
            self.assertEqual(block.statistics().received, 12_000)
            self.assertGreaterEqual(len(seen), number)
        tb.start()
        tb.stop()
        tb.wait()
        self.assertIsNone(block.error)

    def test_setters(self):
        both = signal(offset=-20e3) + 3 * signal(offset=20e3, name="BPSK", number=1)
        seen = []
        block = amrq.family_classifier(RATE, on_signal=seen.append, live=False)
        block.set_offset(-20e3)
        block.set_bandwidth(13e3)
        block.set_frequency(50e6)
        tb = gr.top_block()
        tb.connect(blocks.vector_source_c(both.tolist(), False), block)
        tb.run()
        self.assertEqual(seen[-1].label, "QPSK")
        for setting, words in ((lambda: block.set_offset(60e3), "outside the band"),
                               (lambda: block.set_bandwidth(200e3), "bandwidth")):  # fmt: skip
            with self.assertRaisesRegex(AmrqError, words):
                setting()

    def test_values_out_of_range_are_refused(self):
        for settings, words in (
            ({"sample_rate": 0.0}, "1 kS/s"),
            ({"offset": 60e3}, "outside the band"),
            ({"bandwidth": 1.0}, "bandwidth"),
            ({"bandwidth": -1.0}, "bandwidth"),
            ({"watch": amrq.SignalOptions(model="nowhere.onnx")}, "nowhere"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.family_classifier(**{"sample_rate": RATE} | settings)


if __name__ == "__main__":
    gr_unittest.run(qa_family_classifier)
