#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of the confusion display."""

import os
import subprocess
import sys
import unittest

import pmt
from gnuradio import gr, gr_unittest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # no screen is needed

try:
    from PyQt5 import QtWidgets
    from qt_events import wait_until
except ImportError:
    QtWidgets = None

from gnuradio import amrq

from amrq.errors import AmrqError

CLASSES = ("BPSK", "QPSK", "8PSK", "unknown")


def decision(label, truth=None, **more):
    values = {
        "label": label,
        "confidence": 0.9,
        "log_probabilities": dict.fromkeys(CLASSES, -1.4),
        "chunks": 32,
    } | more
    if truth is not None:
        values["truth"] = truth
    return pmt.cons(pmt.to_pmt(values), pmt.init_f32vector(1, [0.0]))


class sender(gr.basic_block):
    """Publishes messages when it is told to."""

    def __init__(self):
        gr.basic_block.__init__(self, name="sender", in_sig=None, out_sig=None)
        self.message_port_register_out(pmt.intern("out"))

    def send(self, messages):
        for message in messages:
            self.message_port_pub(pmt.intern("out"), message)


@unittest.skipIf(QtWidgets is None, "PyQt5 is not installed, which the display is drawn with")
class qa_confusion_display(gr_unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["qa"])

    def run_with(self, display, messages, expected):
        graph, source = gr.top_block(), sender()
        graph.msg_connect(source, "out", display, "decisions")
        graph.start()
        source.send(messages)
        wait_until(lambda: sum(display.counts().values()) == expected)
        graph.stop()
        graph.wait()

    def picture(self, display):
        display.widget.resize(760, 560)
        return display.widget.grab().toImage()

    def test_counts_what_was_sent_and_what_was_decided(self):
        display = amrq.confusion_display()
        sent = [decision("BPSK", "BPSK")] * 3 + [
            decision("QPSK", "BPSK"),
            decision("unknown", "GMSK"),
            decision("8PSK"),
        ]
        self.run_with(display, sent, 5)
        self.assertEqual(display.counts(), {("BPSK", "BPSK"): 3, ("BPSK", "QPSK"): 1, ("GMSK", "unknown"): 1})
        self.assertEqual(display.right(), 4)  # a class that the model does not know is rightly unknown

    def test_what_is_unsure_is_undecided_whatever_was_sent(self):
        display = amrq.confusion_display()
        unsure = {"reason": "unsure", "best": "8PSK"}
        sent = [decision("unknown", truth, **unsure) for truth in ("8PSK", "QPSK", "GMSK")]
        sent += [decision("unknown", "QPSK", reason="foreign", best="unknown"), decision("QPSK", "QPSK")]
        self.run_with(display, sent, 5)
        self.assertEqual(display.verdicts(), {"right": 1, "wrong": 1, "undecided": 3})
        self.assertEqual(display.counts()["8PSK", "unsure"], 1)
        self.picture(display)
        self.assertFalse(display.widget._failed)

    def test_remembers_the_last_ones(self):
        display = amrq.confusion_display(memory=4)
        graph, source = gr.top_block(), sender()
        graph.msg_connect(source, "out", display, "decisions")
        graph.start()
        source.send([decision("BPSK", "BPSK")] * 6 + [decision("QPSK", "QPSK")] * 3)
        wait_until(lambda: display.counts().get(("QPSK", "QPSK")) == 3)
        self.assertEqual(display.counts(), {("BPSK", "BPSK"): 1, ("QPSK", "QPSK"): 3})
        display.set_memory(2)
        self.assertEqual(display.counts(), {("QPSK", "QPSK"): 2})
        display._on_clear(pmt.PMT_T)
        self.assertEqual(display.counts(), {})
        graph.stop()
        graph.wait()

    def test_what_is_drawn_changes_with_what_comes(self):
        display = amrq.confusion_display(title="Confusion")
        empty = self.picture(display)
        self.run_with(display, [decision("BPSK", "BPSK")] * 4, 4)
        right = self.picture(display)
        self.run_with(display, [decision("QPSK", "BPSK")] * 4, 4)
        wrong = self.picture(display)
        self.assertNotEqual(empty, right)
        self.assertNotEqual(right, wrong)
        self.assertFalse(display.widget._failed)

    def test_rubbish_is_survived(self):
        display = amrq.confusion_display()
        rubbish = [pmt.PMT_NIL, pmt.intern("QPSK"), pmt.to_pmt({"label": "QPSK"})]
        self.run_with(display, [*rubbish, decision("QPSK", "QPSK")], 1)

    def test_bad_values_are_refused(self):
        for memory in (-1, 10**7):
            with self.assertRaisesRegex(AmrqError, "can count the last"):
                amrq.confusion_display(memory=memory)

    def test_without_a_qt_application_it_is_refused(self):
        code = (
            "from gnuradio import amrq\nfrom amrq.errors import AmrqError\n"
            "try: amrq.confusion_display()\nexcept AmrqError as error: print(error)\n"
        )
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
        )
        self.assertIn("needs a Qt application", result.stdout, result.stderr)


if __name__ == "__main__":
    gr_unittest.run(qa_confusion_display)
