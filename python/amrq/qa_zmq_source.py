#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of zmq_source."""

import importlib.util
import struct
import tempfile
import unittest

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest
from patience import PATIENCE
from receive_samples import receive, run_and_stop, told

from amrq.errors import AmrqError


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


MISSING = [name for name in ("zmq", "gnuradio.zeromq") if importlib.util.find_spec(name) is None]


@unittest.skipIf(MISSING, f"the Python packages {MISSING} are not installed")
class qa_zmq_source(gr_unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.endpoint = f"ipc://{folder.name}/socket"
        self.ramp = np.arange(5_000, dtype=np.complex64)

    def receive(self, source, count, sending):
        """Run the source until so many samples have come; `sending` is run beside it until then."""
        sink = receive(source, count, sending)
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

        tags = [tag(777, "modulation", pmt.intern("QPSK")), tag(4_999, "modulation", pmt.intern("BPSK"))]

        def send(over):
            tb = gr.top_block()
            source = blocks.vector_source_c(self.ramp, False, 1, tags)
            push = zeromq.push_sink(8, 1, self.endpoint, 100, True, -1)
            tb.connect(source, push)
            tb.run()

        for wanted in (True, False):  # whether they are sent is seen in the messages
            samples, found = self.receive(
                amrq.zmq_source(f"pull+{self.endpoint}", tags=wanted), len(self.ramp), send
            )
            np.testing.assert_array_equal(samples, self.ramp)
            got = [(tag.offset, pmt.to_python(tag.value)) for tag in found]
            self.assertEqual(got, [(777, "QPSK"), (4_999, "BPSK")] if wanted else [])

    def messages(self, *parts):
        """Send these messages once the other end is there; each is bytes or a list of parts."""
        import zmq

        def send(over):
            with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
                socket.setsockopt(zmq.LINGER, 0)
                socket.bind(self.endpoint)
                for message in parts:
                    socket.send_multipart(message if isinstance(message, list) else [message])
                over.wait(PATIENCE)

        return send

    def test_what_is_no_samples_is_left_out_counted_and_reported(self):
        data = self.ramp.tobytes()
        pdu = pmt.serialize_str(pmt.cons(pmt.PMT_NIL, pmt.init_c32vector(4, [1j] * 4)))
        text = b'{"label": "QPSK", "confidence": 1.0}'
        reals = np.zeros(101, np.float32).tobytes()  # a sink of type Float: half of its messages show it
        for wrong, words in (
            (b"x", "a message of 1 byte is not a whole number of cf32 samples of 8 bytes"),
            (data[:-4], "the sink's type or vector length is another"),
            (reals, "type complex sends cf32; --format"),
            (pdu, "is a PMT, as a ZMQ Message Sink sends it"),
            (text, "is JSON, not samples"),
            (
                struct.pack("<HBQQ", 0x5FF0, 1, 0, 9) + data,
                "begins as one with tags does, and goes on otherwise",
            ),
            ([b"a", b"b", data], "a message of 3 parts is not what a ZMQ sink of GNU Radio sends"),
        ):
            source, reports = amrq.zmq_source(f"pull+{self.endpoint}"), []
            source.feed.report = reports.append
            got, found = self.receive(source, 15_000, self.messages(data, wrong, data, wrong, [b"key", data]))
            np.testing.assert_array_equal(got, np.tile(self.ramp, 3))
            self.assertEqual((source.counts().refused, found), (2, []))
            self.assertEqual(len(reports), 1)
            self.assertIn(words, reports[0])

    def test_another_type_is_named(self):
        shorts = (np.arange(20_000) % 701 - 350).astype("<i2")
        source, reports = amrq.zmq_source(f"pull+{self.endpoint}"), []
        source.feed.report = reports.append
        self.receive(source, 5_000, self.messages(shorts.tobytes()))
        self.assertEqual(len(reports), 1)
        self.assertIn("the samples are not likely to be cf32", reports[0])

    def test_what_is_lost_on_the_way_is_noticed_where_tags_are_passed(self):
        def message(offset, tags=b"", count=0):
            return struct.pack("<HBQQ", 0x5FF0, 1, offset, count) + tags + self.ramp[:1_000].tobytes()

        overflow = struct.pack("<Q", 4_010) + b"".join(
            map(pmt.serialize_str, (pmt.intern("rx_overflow"), pmt.from_uint64(1), pmt.PMT_F))
        )
        source = amrq.zmq_source(f"pull+{self.endpoint}")
        got, found = self.receive(
            source,
            5_000,
            self.messages(
                message(0), message(1_000), message(4_000, overflow, 1), message(5_000), message(0)
            ),
        )
        np.testing.assert_array_equal(got, np.tile(self.ramp[:1_000], 5))
        # What the sender lost before counts with what was lost on the way, so that no value comes twice.
        self.assertEqual(
            told(found), [(2_000, "rx_overflow", 1), (2_010, "rx_overflow", 2), (4_000, "rx_overflow", 3)]
        )
        self.assertEqual(source.counts().lost, 2)

    def test_tags_that_are_not_what_their_key_says_are_left_out(self):
        t, f = pmt.PMT_T, pmt.PMT_F
        time = pmt.make_tuple(pmt.from_uint64(1_600_000_000), pmt.from_double(0.5))
        given = [
            ("rx_freq", pmt.from_double(1e9)), ("rx_freq", pmt.from_double(float("nan"))), ("rx_freq", t),
            ("rx_rate", pmt.intern("fast")), ("rx_time", time), ("rx_time", t),
            ("rx_time", pmt.make_tuple(pmt.from_uint64(2**63), pmt.from_double(0.0))),
            ("rx_time", pmt.make_tuple(pmt.from_uint64(1), pmt.from_double(float("inf")))),
            ("modulation", pmt.intern("QPSK")), ("modulation", pmt.intern("QP\x1b[2J")),
            ("sample_index", t), ("input_seconds", t), ("my_own", f),
        ]  # fmt: skip
        data = b"".join(
            struct.pack("<Q", 0) + b"".join(map(pmt.serialize_str, (pmt.intern(key), value, f)))
            for key, value in given
        )
        bad = (  # a symbol that is not UTF-8
            struct.pack("<Q", 0)
            + pmt.serialize_str(pmt.intern("modulation"))
            + b"\x02\x00\x02\xff\xfe"
            + b"\x01"
        )
        message = struct.pack("<HBQQ", 0x5FF0, 1, 0, len(given) + 1) + data + bad + self.ramp.tobytes()
        got, found = self.receive(amrq.zmq_source(f"pull+{self.endpoint}"), 5_000, self.messages(message))
        np.testing.assert_array_equal(got, self.ramp)
        kept = sorted(pmt.symbol_to_string(tag.key) for tag in found)
        self.assertEqual(kept, ["modulation", "my_own", "rx_freq", "rx_time"])

    def test_ends_although_nobody_sends(self):
        self.assertEqual(run_and_stop(amrq.zmq_source(self.endpoint)), 0)

    def test_refuses_nonsense(self):
        for arguments, words in (
            (("http://somewhere",), "not an address that samples can come from"),
            (("tcp://",), "not an address that samples can come from"),
            (("inproc://somewhere",), "not an address that samples can come from"),
            (("tcp://somewhere",), "samples cannot come from"),
            ((self.endpoint, "mp3"), "there is no sample format 'mp3'"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.zmq_source(*arguments)


if __name__ == "__main__":
    gr_unittest.run(qa_zmq_source)
