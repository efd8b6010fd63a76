#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of rtl_tcp_source, against a small server."""

import socket

import numpy as np
from gnuradio import amrq, gr_unittest
from receive_samples import receive, run_and_stop, told
from rtl_tcp_server import RtlTcpServer

from amrq.errors import AmrqError


class qa_rtl_tcp_source(gr_unittest.TestCase):
    def serve(self, *answers):
        """Answer one client after another and hang up; stay with the last one."""
        clients = iter([*([answer] for answer in answers[:-1]), [answers[-1], None]])
        server = RtlTcpServer(lambda: iter(next(clients)))
        self.addCleanup(server.__exit__)
        return server.port

    def test_samples_and_a_break_where_the_server_went_away(self):
        data = np.arange(2_000, dtype=np.uint8).tobytes()
        source = amrq.rtl_tcp_source("127.0.0.1", self.serve(data, data), 250e3, 433e6, gain="20")
        sink = receive(source, 2_000)
        values = (np.frombuffer(data, np.uint8) - 127.5) / 127.5
        expected = np.tile(values[::2] + 1j * values[1::2], 2)
        np.testing.assert_allclose(sink.samples, expected, atol=1e-6)
        first, again = (
            [(place, "rx_freq", 433e6), (place, "rx_rate", 250e3)] for place in (0, len(data) // 2)
        )
        self.assertEqual(told(sink.tags), [*first, again[0], (again[0][0], "rx_overflow", 1), again[1]])
        counts = source.counts()
        self.assertEqual((counts.overflows, counts.reconnections), (0, 1))

    def test_ends_although_nothing_is_sent(self):
        self.assertEqual(run_and_stop(amrq.rtl_tcp_source("127.0.0.1", self.serve(b""))), 0)

    def test_refuses_what_cannot_be(self):
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        for arguments, words in (
            (("127.0.0.1", port), "no server answers at rtl_tcp://127.0.0.1"),
            (("127.0.0.1", 0), "must be from 1 to 65535"),
            (("127.0.0.1", port, 0.0), "sample rate from 1 to"),
            (("127.0.0.1", port, 1e6, 1e8, "LNA=20"), "one gain, that of its tuner"),
            (("127.0.0.1", port, 1e6, 1e8, None, 0.5), "whole number of ppm"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.rtl_tcp_source(*arguments)


if __name__ == "__main__":
    gr_unittest.run(qa_rtl_tcp_source)
