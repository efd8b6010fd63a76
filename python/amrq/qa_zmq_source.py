#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of zmq_source."""

import importlib.util
import tempfile
import threading
import unittest

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest

from amrq.errors import AmrqError


class Collector(gr.sync_block):
    """Keep samples and tags; `enough` is set once so many came. Head would not end a source that waits."""

    def __init__(self, count):
        gr.sync_block.__init__(self, "collector", [np.complex64], None)
        self.samples, self.tags = np.zeros(0, np.complex64), []
        self.enough = threading.Event()
        self.count = count

    def work(self, input_items, output_items):
        self.samples = np.concatenate([self.samples, input_items[0]])
        self.tags += self.get_tags_in_window(0, 0, len(input_items[0]))
        if len(self.samples) >= self.count:
            self.enough.set()
        return len(input_items[0])


MISSING = [name for name in ("zmq", "gnuradio.zeromq") if importlib.util.find_spec(name) is None]


@unittest.skipIf(MISSING, f"the Python packages {MISSING} are not installed")
class qa_zmq_source(gr_unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.endpoint = f"ipc://{folder.name}/socket"

    def receive(self, source, count, sending):
        """Run the source until so many samples have come; `sending` is run beside it until then."""
        over, sink = threading.Event(), Collector(count)
        tb = gr.top_block()
        tb.connect(source, sink)
        thread = threading.Thread(target=sending, args=(over,))
        thread.start()
        tb.start()
        self.assertTrue(sink.enough.wait(60))
        over.set()
        tb.stop()
        tb.wait()
        thread.join()
        self.assertIsNone(source.error)
        return sink.samples[:count], sink.tags

    def sender(self, kind, data):
        """Send pieces of the data, again and again."""
        import zmq

        def send(over):
            with zmq.Context() as context, context.socket(kind) as socket:
                socket.setsockopt(zmq.LINGER, 0)
                socket.setsockopt(zmq.SNDTIMEO, 20)
                socket.bind(self.endpoint)
                while not over.wait(0.001):
                    try:
                        socket.send(data)
                    except zmq.Again:
                        continue

        return send

    def test_every_format_of_a_pub_sink(self):
        import zmq

        ramp = np.arange(-8, 8)
        for name, values, scale in (
            ("cf32", ramp.astype("<f4"), 1),
            ("ci16", ramp.astype("<i2"), 2**15),
            ("ci8", ramp.astype("i1"), 2**7),
        ):
            source = amrq.zmq_source(self.endpoint, name)
            got, _ = self.receive(source, 64, self.sender(zmq.PUB, values.tobytes()))
            expected = np.tile((ramp[::2] + 1j * ramp[1::2]) / scale, 8)
            np.testing.assert_allclose(got, expected, atol=1e-7, err_msg=name)

    def test_a_push_sink_loses_nothing(self):
        from gnuradio import zeromq

        samples = np.arange(100_000, dtype=np.complex64)
        tb = gr.top_block()
        source, push = blocks.vector_source_c(samples), zeromq.push_sink(8, 1, self.endpoint, 100, False, -1)
        tb.connect(source, push)

        def send(over):
            tb.run()

        got, _ = self.receive(amrq.zmq_source(f"pull+{self.endpoint}"), len(samples), send)
        np.testing.assert_array_equal(got, samples)

    def test_tags_come_along(self):
        from gnuradio import zeromq

        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = 777, pmt.intern("modulation"), pmt.intern("QPSK")
        tb = gr.top_block()
        source = blocks.vector_source_c(np.zeros(5_000, np.complex64), False, 1, [tag])
        push = zeromq.push_sink(8, 1, self.endpoint, 100, True, -1)
        tb.connect(source, push)

        def send(over):
            tb.run()

        _, (found,) = self.receive(amrq.zmq_source(f"pull+{self.endpoint}", tags=True), 5_000, send)
        self.assertEqual((found.offset, pmt.to_python(found.value)), (777, "QPSK"))

    def test_ends_although_nobody_sends(self):
        source, sink = amrq.zmq_source(self.endpoint), blocks.vector_sink_c()
        tb = gr.top_block()
        tb.connect(source, sink)
        tb.start()
        tb.stop()
        tb.wait()
        self.assertEqual(len(sink.data()), 0)

    def test_refuses_nonsense(self):
        for arguments, words in (
            (("http://somewhere",), "no address that samples can come from"),
            (("tcp://",), "no address that samples can come from"),
            (("tcp://somewhere",), "samples cannot come from"),
            ((self.endpoint, "mp3"), "there is no sample format 'mp3'"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.zmq_source(*arguments)


if __name__ == "__main__":
    gr_unittest.run(qa_zmq_source)
