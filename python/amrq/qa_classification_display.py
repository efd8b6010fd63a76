#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of the display."""

import math
import os
import subprocess
import sys
import time
import unittest
import unittest.mock

import pmt
from gnuradio import gr, gr_unittest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # no screen is needed

try:
    from PyQt5 import QtCore, QtGui, QtWidgets
    from qt_events import wait_until
except ImportError:
    QtWidgets = None

from gnuradio import amrq

from amrq.classes import THESIS_9
from amrq.errors import AmrqError

DECISIONS, STATISTICS = pmt.intern("decisions"), pmt.intern("statistics")
COUNTERS = {
    "received": 7,
    "classified": 4,
    "silent": 2,
    "not_finite": 1,
    "dropped": 0,
    "queued": 0,
    "decisions": 2,
}


def decision(label="QPSK", truth=None, confidence=0.97, **more):
    """Make a PDU as classifier_sink publishes it."""
    classes = [*THESIS_9, "unknown"]
    rest = math.log((1 - confidence) / (len(classes) - 1))
    logarithms = {name: math.log(confidence) if name == label else rest for name in classes}
    values = {
        "label": label,
        "confidence": confidence,
        "best": label,
        "log_probabilities": {} if label == "no signal" else logarithms,
        "chunks": 32,
        "sample_index": 0,
        "sample_count": 1024,
        "power_db": None if label == "no signal" else -0.1,
    } | more
    if truth is not None:
        values["truth"] = truth
    return pmt.cons(pmt.to_pmt(values), pmt.init_f32vector(len(logarithms), list(logarithms.values())))


class sender(gr.basic_block):
    """Publishes messages when the flowgraph starts."""

    def __init__(self, messages):
        gr.basic_block.__init__(self, name="sender", in_sig=None, out_sig=None)
        self.messages = messages
        self.message_port_register_out(pmt.intern("out"))

    def send(self):
        for message in self.messages:
            self.message_port_pub(pmt.intern("out"), message)


@unittest.skipIf(QtWidgets is None, "PyQt5 is not installed, which the display is drawn with")
class qa_classification_display(gr_unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["qa"])

    def deliver(self, display, port, messages):
        """Send messages through a running flowgraph."""
        graph, source = gr.top_block(), sender(messages)
        graph.msg_connect(source, "out", display, port)
        graph.start()
        source.send()
        return graph, source

    def picture(self, display, width=760, height=560):
        display.widget.resize(width, height)
        return display.widget.grab().toImage()

    def test_decisions_arrive_in_order(self):
        display = amrq.classification_display(history=5)
        sent = [decision(name, truth) for name, truth in zip(THESIS_9, reversed(list(THESIS_9)), strict=True)]
        graph, _source = self.deliver(display, "decisions", sent)
        wait_until(lambda: display.received == len(sent))
        graph.stop()
        graph.wait()
        expected = list(zip(THESIS_9, reversed(list(THESIS_9)), strict=True))[-5:]
        self.assertEqual(display.history(), expected)

    def test_statistics_arrive(self):
        display = amrq.classification_display()
        graph, _source = self.deliver(display, "statistics", [pmt.to_pmt(COUNTERS)])
        wait_until(lambda: display.statistics() == COUNTERS)
        graph.stop()
        graph.wait()

    def test_what_a_signal_is_said_to_be_is_shown(self):
        display = amrq.classification_display()
        signals = [
            {
                "family": "fsk2",
                "label": "2FSK",
                "confidence": 0.9,
                "summary": "perhaps POCSAG 1200: 2FSK, 1,200 Bd",
                "families": {"fsk2": 0.9, "noise": 0.06, "unknown": 0.04},
            },
            {"family": "unknown", "label": "unknown", "reason": "of no known family"},
            {"family": "noise", "label": "noise", "confidence": 0.99},
        ]
        graph, _source = self.deliver(display, "decisions", [pmt.to_pmt(signal) for signal in signals])
        wait_until(lambda: display.received == len(signals))
        graph.stop()
        graph.wait()
        self.assertEqual([label for label, _ in display.history()], ["2FSK", "unknown", "noise"])
        first, second, third = display._snapshot()[0].history
        self.assertEqual((first.reason, first.name, first.row), ("named", "2FSK", "fsk2"))
        self.assertIn("perhaps POCSAG 1200", first.remark)
        self.assertEqual(list(first.probabilities), ["no signal", "fsk2", "unknown"])
        self.assertEqual((second.reason, second.remark), ("foreign", "of no known family"))
        self.assertEqual(third.row, "no signal")
        self.picture(display)  # draws it

    def test_rubbish_is_survived(self):
        display = amrq.classification_display()
        rubbish = [
            pmt.PMT_NIL,
            pmt.intern("QPSK"),
            pmt.from_long(3),
            pmt.to_pmt({"label": "QPSK"}),
            pmt.to_pmt({"label": "QPSK", "confidence": "high"}),
            pmt.to_pmt({"label": "QPSK", "confidence": 1.0, "log_probabilities": 3}),
            pmt.cons(pmt.intern("a"), pmt.intern("b")),
        ]
        graph, _source = self.deliver(display, "decisions", [*rubbish, decision("8PSK")])
        wait_until(lambda: display.received == 1)
        self.assertEqual(display.history(), [("8PSK", None)])
        graph.stop()
        graph.wait()
        graph, _source = self.deliver(display, "statistics", [*rubbish, pmt.to_pmt(COUNTERS)])
        wait_until(lambda: display.statistics() == COUNTERS)
        graph.stop()
        graph.wait()

    def test_a_dictionary_alone_is_taken(self):
        display = amrq.classification_display()
        graph, _source = self.deliver(display, "decisions", [pmt.car(decision("BPSK", "BPSK"))])
        wait_until(lambda: display.received == 1)
        graph.stop()
        graph.wait()
        self.assertEqual(display.history(), [("BPSK", "BPSK")])

    def test_flood_does_not_slow_down_nor_grow(self):
        display = amrq.classification_display(history=50)
        drawn = 0

        class Counter(QtCore.QObject):
            def eventFilter(self, watched, event):
                nonlocal drawn
                drawn += event.type() == QtCore.QEvent.Paint
                return False

        counter = Counter()
        display.widget.installEventFilter(counter)
        display.widget.show()
        began = time.monotonic()
        graph, _source = self.deliver(display, "decisions", [decision("QPSK", "QPSK")] * 5000)
        wait_until(lambda: display.received == 5000)
        took = time.monotonic() - began
        graph.stop()
        graph.wait()
        display.widget.close()
        self.assertEqual(len(display.history()), 50)
        self.assertGreater(drawn, 0)
        self.assertLessEqual(drawn, 15 * took + 5)

    def test_a_new_run_begins_empty(self):
        display = amrq.classification_display()
        graph, _source = self.deliver(display, "decisions", [decision()])
        wait_until(lambda: display.received == 1)
        graph.stop()
        graph.wait()
        graph.start()
        self.assertEqual((display.received, display.history(), display.statistics()), (0, [], {}))
        graph.stop()
        graph.wait()

    def test_pictures_differ_with_what_is_shown(self):
        display = amrq.classification_display()
        pictures = [self.picture(display)]
        for message in (
            decision("QPSK"),
            decision("QPSK", "QPSK"),
            decision("QPSK", "8PSK"),
            decision("unknown", "GMSK"),
            decision("no signal"),
        ):
            graph, _source = self.deliver(display, "decisions", [message])
            wait_until(lambda: display.received == 1)
            graph.stop()
            graph.wait()
            pictures.append(self.picture(display))
        for index, one in enumerate(pictures):
            self.assertFalse(any(one == other for other in pictures[:index]), index)

    def test_the_legend_names_the_colours_that_are_there(self):
        written = []
        for truth, differs in (("QPSK", False), ("8PSK", True)):
            display = amrq.classification_display()
            graph, _source = self.deliver(display, "decisions", [decision("QPSK", truth)] * 3 + [decision()])
            wait_until(lambda display=display: display.received == 4)
            graph.stop()
            graph.wait()
            written.clear()
            with unittest.mock.patch(
                "gnuradio.amrq._display.Pen.write",
                lambda _pen, _rect, text, *_more, **_named: written.append(text),
            ):
                self.picture(display)
            self.assertIn("decided", written)
            self.assertEqual("differs" in written, differs)

    def test_follows_size_and_palette(self):
        display = amrq.classification_display(title="A title")
        palette = QtGui.QPalette(QtGui.QColor(40, 40, 44))
        for size in ((480, 360), (760, 560), (2400, 1400), (300, 100)):
            bright = self.picture(display, *size)
            display.widget.setPalette(palette)
            dark = self.picture(display, *size)
            display.widget.setPalette(QtGui.QPalette(QtGui.QColor("white")))
            corner = bright.pixelColor(1, 1), dark.pixelColor(1, 1)
            self.assertGreater(corner[0].lightness(), corner[1].lightness())

    def test_truth_that_the_model_does_not_know(self):
        from gnuradio.amrq._shown_decision import read_decision

        verdicts = {
            ("QPSK", "QPSK"): "right",
            ("QPSK", "8PSK"): "wrong",
            ("unknown", "8PSK"): "wrong",
            ("unknown", "GMSK"): "right",
            ("QPSK", "GMSK"): "wrong",
            ("QPSK", None): None,
            ("no signal", "QPSK"): "wrong",
            ("no signal", "no signal"): "right",
        }
        for (label, truth), expected in verdicts.items():
            self.assertEqual(read_decision(decision(label, truth)).verdict, expected, (label, truth))

    def test_what_is_unsure_is_neither_right_nor_wrong(self):
        from gnuradio.amrq._shown_decision import read_decision

        for truth in ("8PSK", "QPSK", "GMSK"):
            unsure = decision("unknown", truth, 0.44, best="8PSK", reason="unsure")
            self.assertEqual(read_decision(unsure).verdict, "undecided")
            self.assertEqual(read_decision(unsure).row, "8PSK")
        noise = read_decision(decision("unknown", "QPSK", best="no signal", reason="noise"))
        self.assertEqual((noise.verdict, noise.row), ("wrong", "no signal"))
        # A sender that tells no reason.
        former = {("unknown", "unknown"): "foreign", ("unknown", "QPSK"): "unsure", ("QPSK", "QPSK"): "named"}
        for (label, best), reason in former.items():
            self.assertEqual(read_decision(decision(label, best=best)).reason, reason)

    def test_classes_are_in_the_tables_order(self):
        from gnuradio.amrq.classification_display import _ordered

        classes = dict.fromkeys(["zeta", "unknown", *reversed(list(THESIS_9))], 0.1)
        self.assertEqual(_ordered(classes), (*THESIS_9, "zeta", "unknown"))

    def test_counters_stay_short(self):
        from gnuradio.amrq.classification_display import _short

        values = (None, 0, 99_999, 100_000, 999_949, 999_951, 1_234_567, 98_765_432_100)
        expected = ["–", "0", "99999", "100.0 k", "999.9 k", "1.00 M", "1.23 M", "98.77 G"]
        self.assertEqual([_short(value) for value in values], expected)

    def test_bad_history(self):
        with self.assertRaisesRegex(AmrqError, "whole number"):
            amrq.classification_display(history=math.nan)
        for history in (0, -1, 1001):
            with self.assertRaisesRegex(AmrqError, "1 to 1000"):
                amrq.classification_display(history=history)
        with self.assertRaises(AmrqError):
            amrq.classification_display().set_history(0)

    def test_without_a_qt_application(self):
        code = "from gnuradio import amrq; amrq.classification_display()"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        process = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(process.returncode, 1)  # an exception, where Qt itself would abort the process
        self.assertIn("AmrqError: the classification display needs a Qt application", process.stderr)

    def test_setters(self):
        display = amrq.classification_display(history=3)
        graph, _source = self.deliver(display, "decisions", [decision(name) for name in THESIS_9])
        wait_until(lambda: display.received == 9)
        display.set_history(2)
        self.assertEqual([label for label, _ in display.history()], ["16QAM", "32QAM"])
        before = self.picture(display)
        display.set_title("Downlink")
        self.assertNotEqual(before, self.picture(display))
        graph.stop()
        graph.wait()

    def test_the_name_stays_the_class(self):
        # Loading the submodule of the same name must not hide it.
        self.assertIs(amrq.classification_display, amrq.classification_display)
        self.assertTrue(callable(amrq.classification_display))


if __name__ == "__main__":
    gr_unittest.run(qa_classification_display)
