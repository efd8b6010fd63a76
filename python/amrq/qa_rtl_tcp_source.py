#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of rtl_tcp_source, against a small server."""

import contextlib
import socket
import struct
import threading

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest

from amrq.errors import AmrqError

HEADER = struct.pack(">4sII", b"RTL0", 5, 29)


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


class qa_rtl_tcp_source(gr_unittest.TestCase):
    def setUp(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listening.close)
        self.port = self.listening.getsockname()[1]
        self.over = threading.Event()
        self.data = np.arange(2_000, dtype=np.uint8).tobytes()

    def serve(self, *answers):
        """Greet one client after another with the header, send it an answer, and hang up; stay with the last one."""

        def run():
            for number, answer in enumerate(answers):
                with contextlib.suppress(OSError):
                    client, _ = self.listening.accept()
                    with client:
                        client.sendall(HEADER + answer)
                        if number == len(answers) - 1:
                            self.over.wait(60)
                        client.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.over.set)

    def test_samples_and_a_break_where_the_server_went_away(self):
        self.serve(self.data, self.data)
        source, sink = amrq.rtl_tcp_source("127.0.0.1", self.port, 250e3, 433e6, gain="20"), Collector(2_000)
        tb = gr.top_block()
        tb.connect(source, sink)
        tb.start()
        self.assertTrue(sink.enough.wait(60))
        tb.stop()
        tb.wait()
        source.feed.close()
        self.assertIsNone(source.error)
        values = (np.frombuffer(self.data, np.uint8) - 127.5) / 127.5
        expected = np.tile(values[::2] + 1j * values[1::2], 2)
        np.testing.assert_allclose(sink.samples, expected, atol=1e-6)
        tags = sorted((t.offset, pmt.symbol_to_string(t.key), pmt.to_python(t.value)) for t in sink.tags)
        first, again = (
            [(place, "rx_freq", 433e6), (place, "rx_rate", 250e3)] for place in (0, len(self.data) // 2)
        )
        self.assertEqual(tags, [*first, again[0], (again[0][0], "rx_overflow", 1), again[1]])
        counts = source.counts()
        self.assertEqual((counts.overflows, counts.reconnections), (0, 1))

    def test_ends_although_nothing_is_sent(self):
        self.serve(b"")
        source, sink = amrq.rtl_tcp_source("127.0.0.1", self.port), blocks.vector_sink_c()
        tb = gr.top_block()
        tb.connect(source, sink)
        tb.start()
        tb.stop()
        tb.wait()
        source.feed.close()
        self.assertEqual(len(sink.data()), 0)

    def test_refuses_what_cannot_be(self):
        self.listening.close()
        for arguments, words in (
            (("127.0.0.1", self.port), "no server answers at rtl_tcp://127.0.0.1"),
            (("127.0.0.1", 0), "must be from 1 to 65535"),
            (("127.0.0.1", self.port, 0.0), "sample rate from 1 to"),
            (("127.0.0.1", self.port, 1e6, 1e8, "LNA=20"), "one gain, that of its tuner"),
            (("127.0.0.1", self.port, 1e6, 1e8, None, 0.5), "whole number of ppm"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.rtl_tcp_source(*arguments)


if __name__ == "__main__":
    gr_unittest.run(qa_rtl_tcp_source)
