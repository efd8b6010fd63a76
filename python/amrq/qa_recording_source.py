#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of recording_source."""

import importlib.util
import os
import tempfile
import unittest

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest

from amrq.errors import AmrqError

MISSING = [name for name in ("sigmf", "soundfile") if importlib.util.find_spec(name) is None]


@unittest.skipIf(MISSING, f"the Python packages {MISSING} are not installed")
class qa_recording_source(gr_unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write_sigmf(self, samples, annotations, capture=()):
        capture = dict(capture)
        import sigmf

        data = self.path("r.sigmf-data")
        samples.astype(np.complex64).tofile(data)
        meta = sigmf.SigMFFile(
            data_file=data, global_info={"core:datatype": "cf32_le", "core:sample_rate": 1000.0}
        )
        meta.add_capture(0, {"core:frequency": 145e6, **capture})
        for start, count, label in annotations:
            meta.add_annotation(start, count, {"core:label": label})
        meta.tofile(self.path("r.sigmf-meta"))
        return self.path("r.sigmf-meta")

    def run_source(self, *arguments, head=None, **settings):
        tb = gr.top_block()
        source = amrq.recording_source(*arguments, **settings)
        sink = blocks.vector_sink_c()
        if head:
            limit = blocks.head(gr.sizeof_gr_complex, head)
            tb.connect(source, limit, sink)
        else:
            tb.connect(source, sink)
        tb.run()
        tags = [(t.offset, pmt.symbol_to_string(t.key), pmt.to_python(t.value)) for t in sink.tags()]
        return np.array(sink.data()), tags, source

    def test_sigmf_with_truth(self):
        samples = np.arange(100_000, dtype=np.complex64)
        path = self.write_sigmf(samples, [(10, 20, "BPSK"), (50_000, 7, "QPSK")])
        data, tags, source = self.run_source(path)
        np.testing.assert_array_equal(data, samples)
        self.assertEqual(source.sample_rate(), 1000.0)
        self.assertEqual(
            sorted(tags),
            sorted(
                [
                    (0, "rx_rate", 1000.0),
                    (0, "rx_freq", 145e6),
                    (10, "modulation", "BPSK"),
                    (30, "modulation", None),
                    (50_000, "modulation", "QPSK"),
                    (50_007, "modulation", None),
                ]
            ),
        )

    def test_part_of_it_keeps_the_truth_in_force(self):
        path = self.write_sigmf(np.arange(1000), [(10, 500, "BPSK")])
        data, tags, _ = self.run_source(path, start=100, count=50)
        np.testing.assert_array_equal(data.real, np.arange(100, 150))
        self.assertIn((0, "modulation", "BPSK"), tags)

    def test_time_is_that_of_the_first_sample_sent(self):
        capture = {"core:datetime": "2026-02-28T23:59:59.750000Z"}
        path = self.write_sigmf(np.arange(1000), [], capture)
        _, tags, _ = self.run_source(path, start=500)
        ((offset, value),) = [(offset, value) for offset, key, value in tags if key == "rx_time"]
        self.assertEqual((offset, value), (0, (1772323200, 0.25)))

    def test_time_is_told_anew_behind_a_gap(self):
        path = self.write_sigmf(np.arange(1000), [], {"core:datetime": "2026-02-28T23:59:59.750000Z"})
        with open(path) as file:
            text = file.read()
        second = ', {"core:sample_start": 400, "core:datetime": "2026-03-01T00:00:02.000000Z"}'
        with open(path, "w") as file:
            start = text.index("]", text.index('"captures"'))
            file.write(text[:start] + second + text[start:])
        _, tags, _ = self.run_source(path, start=100)
        times = [(offset, value) for offset, key, value in tags if key == "rx_time"]
        self.assertEqual([offset for offset, _ in times], [0, 300])
        for (_, (whole, part)), expected in zip(times, (1772323199.85, 1772323202.0), strict=True):
            self.assertAlmostEqual(whole + part, expected, places=5)

    def test_repeat(self):
        path = self.write_sigmf(np.arange(100), [])
        data, _, _ = self.run_source(path, repeat=True, head=250)
        np.testing.assert_array_equal(data.real, np.arange(250) % 100)

    def test_runs_again(self):
        path = self.write_sigmf(np.arange(100), [])
        tb = gr.top_block()
        source, sink = amrq.recording_source(path), blocks.vector_sink_c()
        tb.connect(source, sink)
        tb.run()
        sink.reset()
        tb.run()
        np.testing.assert_array_equal(np.array(sink.data()).real, np.arange(100))

    def test_raw_formats(self):
        path = self.path("r.cu8")
        np.array([255, 0, 128, 127], np.uint8).tofile(path)
        data, _, _ = self.run_source(path, sample_rate=1e6)
        np.testing.assert_allclose(data, [1 - 1j, (1 - 1j) / 255], atol=1e-6)
        path = self.path("r.ci16")
        np.array([-32768, 16384], "<i2").tofile(path)
        data, _, _ = self.run_source(path, sample_rate=1e6)
        np.testing.assert_allclose(data, [-1 + 0.5j])

    def test_samples_that_are_not_finite_are_sent_as_they_are(self):
        samples = np.ones(100_000, np.complex64)
        samples[70_000] = np.nan
        path = self.path("r.cf32")
        samples.tofile(path)
        data, _, source = self.run_source(path, sample_rate=1e6)
        self.assertIsNone(source.error)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(data)), [70_000])

    def test_a_file_that_becomes_shorter_ends_the_flowgraph_with_one_sentence(self):
        path = self.path("r.cf32")
        np.ones(2_000_000, np.complex64).tofile(path)
        source = amrq.recording_source(path, sample_rate=1e6)
        os.truncate(path, 8_000)
        tb, sink = gr.top_block(), blocks.null_sink(gr.sizeof_gr_complex)
        tb.connect(source, sink)
        tb.run()
        self.assertIn("ends at sample 1000 of 2000000: it became shorter", str(source.error))

    def test_refuses_what_it_cannot_read(self):
        empty = self.path("empty.cf32")
        open(empty, "w").close()
        odd = self.path("odd.cf32")
        with open(odd, "wb") as file:
            file.write(b"12345")
        for arguments, settings in (
            (("/no/such/file.cf32",), {"sample_rate": 1.0}),
            ((empty,), {"sample_rate": 1.0}),
            ((odd,), {"sample_rate": 1.0}),
            ((__file__,), {}),
            ((odd,), {"format": "mp3"}),
        ):
            with self.assertRaises(AmrqError, msg=str(arguments)):
                amrq.recording_source(*arguments, **settings)


if __name__ == "__main__":
    gr_unittest.run(qa_recording_source)
