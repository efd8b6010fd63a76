# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of blind_receiver."""

import json
import tempfile
import threading
from pathlib import Path

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest
from patience import PATIENCE
from seeds import rng

from amrq.classes import linear_class
from amrq.signals import received_signal

RATE = 100e3


def signal(name, symbol_rate, place, count):
    """Samples of a signal at 20 dB in unit noise density, at a place in the band."""
    generator = rng("qa blind_receiver", name, symbol_rate, place)
    per_symbol = RATE / symbol_rate
    symbols = generator.choice(linear_class(name).points, int(count / per_symbol) + 60)
    samples = received_signal(symbols, per_symbol, 0.35, 20.0, generator)[:count]
    return (samples * np.exp(2j * np.pi * place / RATE * np.arange(len(samples)))).astype(np.complex64)


class qa_blind_receiver(gr_unittest.TestCase):
    """Every test runs samples through the block and looks at its messages."""

    def received(self, samples, tags=(), **settings):
        """Run the block over samples with tags; return records of decisions, estimates and the block."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log.jsonl"
            block = amrq.blind_receiver(RATE, outputs=amrq.OutputOptions(log=str(log)), **settings)
            source, estimates = blocks.vector_source_c(samples, tags=tags), blocks.message_debug()
            tb = gr.top_block()
            tb.connect(source, block)
            tb.msg_connect(block, "estimates", estimates, "store")
            tb.run()
            self.assertIsNone(block.error)
            records = [json.loads(line) for line in log.read_text().splitlines()]
        found = [pmt.to_python(estimates.get_message(n)) for n in range(estimates.num_messages())]
        return records, found, block

    def test_a_signal_is_found_and_named(self):
        for name, symbol_rate, place in (("QPSK", 12.5e3, 21e3), ("8PSK", 9e3, -30e3)):
            records, estimates, block = self.received(signal(name, symbol_rate, place, 150_000))
            self.assertEqual({record["label"] for record in records}, {name})
            for record in records:
                self.assertAlmostEqual(record["symbol_rate_hz"] / symbol_rate, 1, 3)
                self.assertLess(abs(record["offset_hz"] - place), 0.01 * symbol_rate)
                self.assertGreaterEqual(record["symbol_rate_confidence"], 0.999)
            # What came before the signal was found is received too, and time is counted in samples.
            self.assertLess(records[0]["time"], 100 / symbol_rate)
            self.assertGreater(sum(record["duration"] for record in records), 0.9 * 150_000 / RATE)
            self.assertTrue(estimates)
            self.assertLess(abs(estimates[0]["offset"] - place), 0.05 * symbol_rate)
            self.assertAlmostEqual(block.estimate().symbol_rate / symbol_rate, 1, 3)
            self.assertAlmostEqual(block.report().symbol_rate / symbol_rate, 1, 4)

    def test_another_signal_is_followed(self):
        both = np.concatenate([signal("QPSK", 12.5e3, 21e3, 400_000), signal("BPSK", 9e3, -30e3, 500_000)])
        records, _, block = self.received(both)
        self.assertEqual((records[0]["label"], records[-1]["label"]), ("QPSK", "BPSK"))
        self.assertAlmostEqual(records[-1]["symbol_rate_hz"] / 9e3, 1, 3)
        self.assertLess(abs(records[-1]["offset_hz"] + 30e3), 90)
        self.assertAlmostEqual(block.estimate().symbol_rate / 9e3, 1, 3)
        last = records[-1]
        self.assertAlmostEqual(last["time"] + last["duration"], len(both) / RATE, 1)
        # Nothing is fused over the change.
        rates = [round(record["symbol_rate_hz"], -2) for record in records]
        self.assertEqual(rates, sorted(rates, reverse=True))

    def test_an_offset_chooses_and_a_symbol_rate_may_be_given(self):
        both = 3 * signal("QPSK", 12.5e3, 21e3, 150_000) + signal("BPSK", 9e3, -30e3, 150_000)
        records, _, _ = self.received(both.astype(np.complex64))
        self.assertEqual(records[1]["label"], "QPSK")
        records, _, _ = self.received(both.astype(np.complex64), offset=-29e3, symbol_rate=9.1e3)
        self.assertEqual({record["label"] for record in records[:-1]}, {"BPSK"})
        self.assertAlmostEqual(records[0]["symbol_rate_hz"] / 9e3, 1, 3)

    def test_bursts_are_received_as_a_whole(self):
        generator = rng("qa blind_receiver bursts")
        parts = []
        for _ in range(20):
            parts.append(np.zeros(generator.integers(150, 300)))
            parts.append(generator.choice(linear_class("QPSK").points, generator.integers(150, 400)))
        samples = received_signal(np.concatenate(parts), 8.0, 0.35, 20.0, generator).astype(np.complex64)
        records, _, _ = self.received(samples)
        bursts = [record for record in records if record["label"] == "QPSK"]
        self.assertEqual(len(bursts), 20)
        self.assertTrue(all(record["burst_begins"] for record in bursts))
        self.assertTrue(
            all(record["burst_ends"] for record in bursts[:-1])
        )  # the stream ends with the last one
        self.assertNotIn("amrq idle input", {thread.name for thread in threading.enumerate()})

    def test_a_stream_that_stalls_early_gives_what_came(self):
        samples = signal("QPSK", 12.5e3, 21e3, 20_000)
        named, done = [], threading.Event()

        class stalled(gr.sync_block):
            def __init__(self):
                gr.sync_block.__init__(self, "stalled", None, [np.complex64])
                self.at = 0

            def work(self, input_items, output_items):
                count = min(len(output_items[0]), len(samples) - self.at)
                if not count:
                    done.wait(0.02)
                    return 0
                output_items[0][:count] = samples[self.at : self.at + count]
                self.at += count
                return count

        def decided(decision, truth):
            named.append(decision.label)
            done.set()

        block = amrq.blind_receiver(RATE, live=True)
        block.sink._on_decision = decided
        tb, source = gr.top_block(), stalled()
        tb.connect(source, block)
        tb.start()
        self.assertTrue(done.wait(PATIENCE))
        tb.stop()
        tb.wait()
        self.assertEqual(set(named), {"QPSK"})

    def test_what_came_before_a_retune_is_received_by_itself(self):
        both = np.concatenate([signal("BPSK", 9e3, -30e3, 40_000), signal("QPSK", 12.5e3, 21e3, 400_000)])
        tags = []
        for place, frequency in ((0, 100e6), (40_000, 101e6)):
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = place, pmt.intern("rx_freq"), pmt.from_double(frequency)
            tags.append(tag)
        for live in (False, True):
            records, _, block = self.received(both, tags, live=live)
            self.assertLess(abs(block.estimate().offset - 21e3), 125)
            self.assertEqual(records[-1]["label"], "QPSK")
            first = [record for record in records if record["time"] < 0.39]
            if live:  # the stream does not wait until the first signal is found
                self.assertLess(max((abs(record["offset_hz"] + 30e3) for record in first), default=0), 90)
            else:
                self.assertEqual({record["label"] for record in first}, {"BPSK"})

    def test_after_a_retune_the_old_place_is_left_at_once(self):
        both = np.concatenate([signal("QPSK", 12.5e3, 21e3, 300_000), signal("BPSK", 9e3, -30e3, 200_000)])
        tags = []
        for place, frequency in ((0, 100e6), (300_000, 101e6)):
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = place, pmt.intern("rx_freq"), pmt.from_double(frequency)
            tags.append(tag)
        records, _, block = self.received(both, tags)
        before = [record for record in records if record["time"] < 2.999]
        after = records[len(before) :]
        self.assertEqual({record["label"] for record in before}, {"QPSK"})
        self.assertEqual({record["label"] for record in after}, {"BPSK"})
        self.assertLess(after[0]["time"], 3 + 100 / 9e3)
        self.assertLess(max(abs(record["offset_hz"] + 30e3) for record in after), 90)
        self.assertLess(abs(block.estimate().offset + 30e3), 90)

    def test_noise_gives_neither_estimates_nor_decisions(self):
        generator = rng("qa blind_receiver noise")
        noise = (generator.normal(size=300_000) + 1j * generator.normal(size=300_000)).astype(np.complex64)
        records, estimates, block = self.received(noise)
        self.assertEqual((records, estimates, block.estimate(), block.report()), ([], [], None, None))

    def test_a_short_stream_is_looked_at_at_its_end(self):
        records, _, _ = self.received(signal("QPSK", 25e3, -10e3, 20_000))
        self.assertEqual({record["label"] for record in records}, {"QPSK"})
        self.assertEqual(self.received(np.zeros(100, np.complex64))[0], [])

    def test_what_cannot_be_is_refused(self):
        for settings, words in (
            ({"sample_rate": 0.0}, "sample_rate 0"),
            ({"offset": 60e3}, "outside the band"),
            ({"symbol_rate": 60e3}, "below twice"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                amrq.blind_receiver(**{"sample_rate": RATE, **settings})


if __name__ == "__main__":
    gr_unittest.run(qa_blind_receiver)
