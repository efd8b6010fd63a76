#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of packet_source."""

import socket

import numpy as np
from gnuradio import amrq, gr_unittest
from receive_samples import receive, run_and_stop

from amrq.errors import AmrqError


class qa_packet_source(gr_unittest.TestCase):
    def receive(self, source, count, packets):
        """Run the source until so many samples have come; the packets are sent once it waits for them."""

        def send(over):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for packet in packets:
                    sender.sendto(packet, ("127.0.0.1", source.port))

        return receive(source, count, send).samples

    def test_packets_of_any_number_of_samples(self):
        samples = np.arange(5_000, dtype=np.complex64)
        data = samples.tobytes()
        for size in (8, 1_000, 40_000):
            packets = [data[n : n + size] for n in range(0, min(len(data), 200 * size), size)]
            count = sum(map(len, packets)) // 8
            source = amrq.packet_source(0)
            np.testing.assert_array_equal(self.receive(source, count, packets), samples[:count])
            self.assertEqual(source.counts().refused, 0)

    def test_what_is_no_whole_samples_is_left_out_and_counted(self):
        samples = np.arange(1_000, dtype=np.complex64)
        data = samples.tobytes()
        source = amrq.packet_source(0)
        told = []
        source.feed.report = told.append
        packets = []
        for n in range(0, len(data), 80):
            packets += [data[n : n + 80], b"x", data[n : n + 79], b'{"hello":"from someone"}']
        np.testing.assert_array_equal(self.receive(source, len(samples), packets), samples)
        self.assertEqual(source.counts().refused, 300)
        self.assertEqual(len(told), 3)  # the first, the tenth, the hundredth
        self.assertIn("a packet of 1 byte from 127.0.0.1:", told[0])
        self.assertIn("is not a whole number of cf32 samples of 8 bytes; it is left out.", told[0])
        self.assertIn("(100 so far)", told[2])

    def test_every_format(self):
        ramp = np.arange(0, 200)
        for name, values in (
            ("ci16", ((ramp - 100) * 256).astype("<i2")),
            ("ci8", (ramp - 100).astype("i1")),
            ("cu8", ramp.astype("u1")),
        ):
            got = self.receive(amrq.packet_source(0, format=name), 100, [values.tobytes()])
            numbers = (ramp - 127.5) / 127.5 if name == "cu8" else (ramp - 100) / 128
            np.testing.assert_allclose(got, numbers[::2] + 1j * numbers[1::2], atol=1e-6, err_msg=name)

    def test_an_empty_packet_ends_nothing(self):
        data = np.arange(4, dtype=np.complex64).tobytes()
        got = self.receive(amrq.packet_source(0), 4, [data[:16], b"", data[16:]])
        np.testing.assert_array_equal(got, np.arange(4))

    def test_ends_although_nobody_sends(self):
        self.assertEqual(run_and_stop(amrq.packet_source(0)), 0)

    def test_refuses_what_cannot_be(self):
        taken = amrq.packet_source(0)
        for arguments, words in (
            ((taken.port,), "packets cannot be received"),
            ((70_000,), "packets cannot be received"),
            ((0, "192.0.2.1"), "packets cannot be received"),
            ((0, "127.0.0.1", "mp3"), "there is no sample format 'mp3'"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.packet_source(*arguments)


if __name__ == "__main__":
    gr_unittest.run(qa_packet_source)
