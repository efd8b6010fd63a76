#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of band_scanner."""

import tempfile

import jsonschema
import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest

from amrq.errors import AmrqError
from amrq.outputs import emission_schema
from amrq.recordings import open_recording
from amrq.signals import SimulatedBand, SimulatedEmission

RATE, CENTRE = 240e3, 100e6
ON_AIR = (
    SimulatedEmission("QPSK", -600e3, 135e3, 22.0, 100e3),
    SimulatedEmission("carrier", 500e3, 0, 30.0),
)
"""Places of a band of 2.4 MHz; it is stretched to the rate."""


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def stored(log):
    return [pmt.to_python(log.get_message(n)) for n in range(log.num_messages())]


class qa_band_scanner(gr_unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.samples = SimulatedBand(RATE, 5, ON_AIR).next_samples(120_000).tolist()

    def run_block(self, samples, tags=(), **settings):
        """Run samples through the block; return it, its events and its counters."""
        scanner = amrq.band_scanner(**{"sample_rate": RATE, "frequency": CENTRE, "live": False} | settings)
        source = blocks.vector_source_c(samples, False, 1, list(tags))
        events, counters = blocks.message_debug(), blocks.message_debug()
        tb = gr.top_block()
        tb.connect(source, scanner)
        tb.msg_connect(scanner, "emissions", events, "store")
        tb.msg_connect(scanner, "statistics", counters, "store")
        tb.run()
        return scanner, stored(events), stored(counters)

    def test_what_begins_is_named_and_ends_is_told_even_at_the_end_of_the_stream(self):
        scanner, events, counters = self.run_block(self.samples, source="roof")
        self.assertIsNone(scanner.error)
        ends = {event["label"]: event for event in events if event["event"] == "end"}
        self.assertEqual({"QPSK", "carrier"}, set(ends))
        self.assertEqual(sum(event["event"] == "begin" for event in events), 2)
        for label, middle in (("QPSK", -60e3), ("carrier", 50e3)):
            self.assertLess(abs(ends[label]["offset_hz"] - middle), 1e3)
            self.assertLess(abs(ends[label]["frequency_hz"] - CENTRE - middle), 1e3)
        self.assertEqual((counters[-1]["samples"], counters[-1]["dropped"]), (len(self.samples), 0))
        self.assertEqual(counters[-1]["emissions"], 2)
        self.assertEqual(scanner.statistics(), counters[-1])

    def test_messages_have_the_names_of_records(self):
        _, events, _ = self.run_block(self.samples)
        schema = emission_schema()
        nothing = dict.fromkeys(schema["required"])
        for event in events:
            whole = nothing | {"measures": {}, "families": {}, "probabilities": {}} | event
            whole["protocols"] = event.get("protocols") or []
            jsonschema.validate(whole, schema)
            self.assertEqual(event["source"], "flowgraph")

    def test_times_are_told_where_the_stream_has_them(self):
        since = pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.25))
        _, events, _ = self.run_block(self.samples, [tag(0, "rx_time", since)])
        self.assertTrue(all(event["utc"].startswith("2023-11-14T22:13:2") for event in events))
        _, events, _ = self.run_block(self.samples)
        self.assertFalse(any("utc" in event for event in events))

    def test_a_retune_ends_all_and_another_band_begins(self):
        tags = [tag(60_000, "rx_freq", pmt.from_double(200e6))]
        _, events, _ = self.run_block(self.samples, tags)
        for event in events:
            former = event["sample_start"] < 60_000
            self.assertEqual(round(event["frequency_hz"] / 1e8), 1 if former else 2)
            if former:
                self.assertLessEqual(event["sample_start"] + event["sample_count"], 60_000 + 2_000)
        begun = sorted((event["id"], event["sample_start"]) for event in events if event["event"] == "begin")
        over = sorted((event["id"], event["sample_start"]) for event in events if event["event"] == "end")
        self.assertEqual([one for one, _ in begun], [one for one, _ in over])
        self.assertEqual({place >= 60_000 for _, place in over}, {True, False})

    def test_nothing_is_told_of_nothing(self):
        for samples in ([], [0j], [0j] * 5_000):
            scanner, events, _ = self.run_block(samples)
            self.assertEqual((scanner.error, events), (None, []))
            self.assertEqual(scanner.statistics()["samples"], len(samples))

    def test_emissions_that_meet_a_condition_are_recorded(self):
        with tempfile.TemporaryDirectory() as folder:
            scanner, _, _ = self.run_block(self.samples, record_on="label=QPSK", record_to=folder)
            [path] = scanner.recordings()
            recording = open_recording(path)
            self.assertGreater(recording.length / recording.sample_rate, 0.4)
            self.assertTrue(path.name.startswith("QPSK-"))
            for settings, words in (
                ({"record_on": "label~QPSK", "record_to": folder}, "label"),
                ({"record_on": "label=QPSK", "record_to": folder + "/none"}, "no such folder"),
            ):
                with self.assertRaisesRegex(AmrqError, words):
                    amrq.band_scanner(RATE, **settings)

    def test_a_live_stream_does_not_wait_and_what_is_dropped_is_counted(self):
        count = 3_000_000  # some seconds, as fast as a computer can
        scanner = amrq.band_scanner(RATE, live=True)
        source = blocks.null_source(gr.sizeof_gr_complex)
        log = blocks.message_debug()
        tb = gr.top_block()
        tb.connect(source, blocks.head(gr.sizeof_gr_complex, count), scanner)
        tb.msg_connect(scanner, "statistics", log, "store")
        tb.run()
        last = stored(log)[-1]
        self.assertEqual(last["samples"] + last["dropped"], count)
        self.assertIsNone(scanner.error)

    def test_it_is_stopped_in_the_middle_and_runs_again(self):
        scanner = amrq.band_scanner(RATE, live=False)
        source = blocks.vector_source_c(self.samples, True)
        tb = gr.top_block()
        tb.connect(source, scanner)
        for _ in range(2):
            tb.start()
            tb.stop()
            tb.wait()
            self.assertIsNone(scanner.error)

    def test_an_error_ends_the_flowgraph(self):
        scanner = amrq.band_scanner(RATE, live=False)

        def fail(worker, times):
            raise ValueError("no more")

        scanner._stream.take = fail
        tb = gr.top_block()
        tb.connect(blocks.vector_source_c(self.samples, True), scanner)  # without end
        tb.run()
        self.assertIsInstance(scanner.error, ValueError)

    def test_values_out_of_range_are_refused(self):
        for settings, words in (
            ({"sample_rate": 100.0}, "1 kS/s"),
            ({"scan": amrq.ScanOptions(model="nowhere.onnx")}, "nowhere"),
            ({"scan": 7}, "ScanOptions"),
            ({"frequency": "high"}, "number"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.band_scanner(**{"sample_rate": RATE} | settings)

    def test_setters(self):
        scanner = amrq.band_scanner(RATE)
        self.assertIsNone(scanner.snapshot())
        self.assertEqual(scanner.statistics(), {})
        scanner.set_frequency(7e6)
        tb = gr.top_block()
        tb.connect(blocks.vector_source_c(np.zeros(2_000).tolist()), scanner)
        tb.run()
        self.assertEqual(scanner.snapshot().centre_hz, 7e6)


if __name__ == "__main__":
    gr_unittest.run(qa_band_scanner)
