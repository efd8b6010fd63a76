#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of sigmf_recorder."""

import importlib.util
import json
import os
import tempfile
import unittest

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest

from amrq.errors import AmrqError

MISSING = [name for name in ("sigmf", "onnxruntime") if importlib.util.find_spec(name) is None]
RATE, SPS, DWELL = 100e3, 4, 3_000


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


@unittest.skipIf(MISSING, f"the Python packages {MISSING} are not installed")
class qa_sigmf_recorder(gr_unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.name = os.path.join(self.folder, "take")

    def take(self, number=1):
        base = f"{self.name}-{number:03}"
        with open(base + ".sigmf-meta") as file:
            return np.fromfile(base + ".sigmf-data", np.complex64), json.load(file)

    def run_recorder(self, samples, tags=(), **settings):
        tb = gr.top_block()
        source = blocks.vector_source_c(samples, False, 1, list(tags))
        recorder = amrq.sigmf_recorder(self.name, RATE, **settings)
        tb.connect(source, recorder)
        tb.run()
        self.assertIsNone(recorder.error)
        return recorder, tb, source

    def test_records_all_with_time_and_frequency_of_the_tags(self):
        samples = np.arange(50_000, dtype=np.complex64)
        time = pmt.make_tuple(pmt.from_uint64(1_800_000_000), pmt.from_double(0.5))
        tags = [tag(0, "rx_time", time), tag(0, "rx_freq", pmt.from_double(1e9))]
        tags += [tag(20_001, "rx_freq", pmt.from_double(2e9)), tag(30_000, "rx_overflow", pmt.from_uint64(1))]
        recorder, _, _ = self.run_recorder(samples, tags, recording=True)
        got, document = self.take()
        np.testing.assert_array_equal(got, samples)
        captures = document["captures"]
        self.assertEqual([c["core:sample_start"] for c in captures], [0, 20_001, 30_000])
        self.assertEqual([c["core:frequency"] for c in captures], [1e9, 2e9, 2e9])
        self.assertEqual(captures[0]["core:datetime"], "2027-01-15T08:00:00.500000Z")
        self.assertEqual(captures[2]["core:datetime"], "2027-01-15T08:00:00.800000Z")
        self.assertEqual(recorder.state_text(), "recorded take-001: 0.5 s")

    def test_off_it_leaves_nothing_and_may_be_switched(self):
        samples = np.arange(1_000, dtype=np.complex64)
        recorder, tb, source = self.run_recorder(samples)
        self.assertEqual(os.listdir(self.folder), [])
        self.assertEqual(recorder.state_text(), "not recording")
        for number in (1, 2):
            recorder.set_recording(True)
            source.rewind()
            tb.run()
            self.assertEqual(recorder.recording_state().take, f"take-{number:03}")
            np.testing.assert_array_equal(self.take(number)[0], samples)
        recorder.set_recording(False)
        source.rewind()
        tb.run()
        self.assertEqual(len(os.listdir(self.folder)), 4)

    def test_decisions_stand_where_their_class_was_sent(self):
        tb = gr.top_block()
        names = ["BPSK", "8PSK", "4ASK", "QPSK"]
        sent = amrq.modulation_source(names, dwell=DWELL, es_n0_db=25.0, pulse=amrq.PulseOptions(SPS))
        head = blocks.head(gr.sizeof_gr_complex, 12 * DWELL * SPS)
        front_end = amrq.symbol_front_end(RATE, RATE / SPS)
        chunker = amrq.chunker()
        classifier = amrq.classifier_sink(
            decision=amrq.DecisionOptions(4), stream=amrq.StreamInfo(symbol_rate=RATE / SPS)
        )
        recorder = amrq.sigmf_recorder(self.name, RATE, recording=True)
        tb.connect(sent, head, front_end, chunker, classifier)
        tb.connect(head, recorder)
        tb.msg_connect(classifier, "decisions", recorder, "decisions")
        tb.run()
        _, document = self.take()
        known = [a for a in document["annotations"] if a["core:label"] != "unknown"]
        self.assertGreaterEqual(len(known), 12)
        self.assertGreater(known[-1]["core:sample_start"], 11 * DWELL * SPS)
        for annotation in known:
            begin = annotation["core:sample_start"]
            end = begin + annotation["core:sample_count"]
            # A decision of 4 chunks may hold a change; the middle of what it says is of its class.
            self.assertEqual(names[(begin + end) // 2 // (DWELL * SPS) % 4], annotation["core:label"])

    def test_decisions_without_time_are_told_of_once(self):
        recorder = amrq.sigmf_recorder(self.name, RATE)
        for message in (pmt.intern("nothing"), pmt.to_pmt({"label": "QPSK"}), pmt.PMT_NIL):
            recorder._handle_decision(message)  # says so in the log

    def test_a_folder_that_goes_away_ends_the_recording_alone(self):
        folder = os.path.join(self.folder, "inner")
        os.mkdir(folder)
        self.name = os.path.join(folder, "take")
        tb = gr.top_block()
        source, recorder = blocks.vector_source_c(np.zeros(1000)), amrq.sigmf_recorder(self.name, RATE, True)
        tb.connect(source, recorder)
        os.rmdir(folder)
        tb.run()
        self.assertIsNone(recorder.error)
        self.assertIn("cannot be written", recorder.state_text())

    def test_refuses_nonsense(self):
        for arguments, words in (
            (("/no/such/folder/take", RATE), "nothing can be recorded"),
            ((self.name, 0.0), "above 0 Hz"),
            ((self.name, RATE, False, 0.0, 0.0, -1.0), "up to an hour"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.sigmf_recorder(*arguments)


if __name__ == "__main__":
    gr_unittest.run(qa_sigmf_recorder)
