#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of the band display: what it remembers, where it puts labels, what it shows; its block; its window."""

import os
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pmt
from gnuradio import blocks, gr, gr_unittest
from seeds import rng

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # no screen is needed

try:
    from PyQt5 import QtCore, QtGui, QtTest, QtWidgets
    from qt_events import wait_until
except ImportError:
    QtWidgets = None

from gnuradio import amrq

from amrq.errors import AmrqError
from amrq.identify import ProtocolGuess, guess_protocols
from amrq.protocols import FAMILIES, Measure
from amrq.scan import BandPicture, EmissionRecord, ScanCounters, ScanSnapshot
from amrq.signals import SimulatedBand, SimulatedEmission
from amrq.sources import RadioDevice, SourceOptions

if QtWidgets is not None:
    from gnuradio.amrq import _band_marks as marks
    from gnuradio.amrq._band_history import BandHistory
    from gnuradio.amrq._band_view import BandView
    from gnuradio.amrq.band_window import band_window

RATE, BINS = 2.4e6, 2048
SIZES = ((1280, 720), (1920, 1080))


class Log:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.errors = []

    def error(self, text):
        self.errors.append(text)


def record(number, middle, width=20e3, **more):
    values = {
        "id": number,
        "start": 0,
        "stop": 48_000,
        "first_seen": 0,
        "last_seen": 48_000,
        "lower": middle - width / 2,
        "upper": middle + width / 2,
        "snr_db": 15.0,
        "level_dbfs": -40.0,
        "label": "QPSK",
        "family": "linear",
        "reason": "named",
        "confidence": 0.97,
        "symbol_rate": 14.5e3,
        "looks": 1,
    } | more
    return EmissionRecord(**values)


def shown(emissions, now=48_000, centre=433.92e6):
    """Return a snapshot and a picture as a scanner gives them."""
    spectrum = np.full(BINS, -98.0, np.float32)
    for one in emissions:
        first, last = (int((edge / RATE + 0.5) * BINS) for edge in (one.lower, one.upper))
        spectrum[first : last + 1] += one.snr_db
    floor = np.full(BINS, -98.0, np.float32)
    counters = ScanCounters(samples=now, load=0.3)
    snapshot = ScanSnapshot(RATE, centre, now, tuple(emissions), counters)
    return snapshot, BandPicture(spectrum, spectrum, floor, floor + 4)


def pagers():
    """Return an emission that is a pager's by its frequency, and one that may be."""
    details = {"symbol_rate": Measure(1200.0, 0.95), "deviation": Measure(4480.0, 0.9)}
    return [
        record(
            number,
            middle,
            12e3,
            label="2FSK",
            family="fsk2",
            details=details,
            families={"fsk2": 0.9, "fsk4": 0.1},
            protocols=guess_protocols("fsk2", "2FSK", details, centre),
        )
        for number, middle, centre in ((1, -500e3, 466.075e6), (2, 300e3, None))
    ]


def footer_of(window):
    return window.display.widget._footer.text()


def fifty():
    """Return fifty emissions next to each other, of several kinds and widths."""
    kinds = [("QPSK", "linear"), ("carrier", "carrier"), ("unknown", "unknown"), ("16QAM", "linear")]
    return [
        record(n, -1.15e6 + 46e3 * n, 20e3 if n % 3 else 100.0, label=label, family=family)
        for n, (label, family) in enumerate(kinds[n % 4] for n in range(50))
    ]


@unittest.skipIf(QtWidgets is None, "PyQt5 is not installed, which the display is drawn with")
class qa_band_display(gr_unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["qa"])

    def view(self, *states, size=(1280, 720)):
        """Return a view that was shown these snapshots and pictures in turn, and its log."""
        log, left = Log(), list(states)
        view = BandView(lambda: left.pop(0) if left else None, lambda: "", log)
        view.end()
        view.resize(*size)
        view.show()
        for _ in states:
            view.tick()
        view._renew()
        view.grab()  # draws it
        self.assertEqual(log.errors, [])
        return view, log

    # -- labels, words, colours --------------------------------------------------------------------------------------

    def test_labels_never_cover_each_other(self):
        for case in range(20):
            random = rng("labels", case)
            wishes = [marks.LabelWish(x, w) for x, w in random.uniform((0, 30), (900, 90), (50, 2))]
            places = marks.place_labels(wishes, 0.0, 900.0, 5)
            boxes = [(*place, wish.width) for place, wish in zip(places, wishes, strict=True) if place]
            self.assertGreater(len(boxes), 30)
            for number, (row, left, width) in enumerate(boxes):
                self.assertTrue(left >= 0 and left + width <= 900)
                for other, start, size in boxes[:number]:
                    self.assertTrue(row != other or left >= start + size or left + width <= start)

    def test_a_label_alone_is_above_its_emission(self):
        self.assertEqual(marks.place_labels([marks.LabelWish(100.0, 40.0)], 0.0, 200.0, 3), [(0, 80.0)])
        self.assertEqual(marks.place_labels([marks.LabelWish(5.0, 40.0)], 0.0, 200.0, 3), [(0, 0.0)])
        self.assertEqual(marks.place_labels([marks.LabelWish(5.0, 400.0)], 0.0, 200.0, 3), [None])

    def test_colours_stand_out_and_stay_distinct(self):
        def linear(colour):
            value = np.array(colour.getRgbF()[:3])
            return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)

        def luminance(colour):
            return linear(colour) @ [0.2126, 0.7152, 0.0722]

        # Machado, Oliveira and Fernandes 2009, the full loss of one kind of cone.
        blind = {
            "normal": np.eye(3),
            "protan": [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ],
            "deutan": [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ],
            "tritan": [
                [1.255528, -0.076749, -0.178779],
                [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900],
            ],
        }
        grey = marks.emission_colour(record(0, 0.0, family="unknown"))
        for family in set(FAMILIES) - {"noise"}:
            self.assertNotEqual(marks.emission_colour(record(0, 0.0, family=family)), grey, family)
        colours = [
            marks.emission_colour(record(0, 0.0, family=family))
            for family in ("linear", "fm_wide", "fsk4", "am", "ook", "ofdm", "carrier")
        ]
        for colour in [*colours, marks.MUTED, marks.TEXT]:
            contrast = (luminance(colour) + 0.05) / (luminance(marks.GROUND) + 0.05)
            self.assertGreater(contrast, 4.5)  # what WCAG 2 asks of text, AA
        for kind, matrix in blind.items():
            seen = [np.cbrt(np.clip(np.array(matrix) @ linear(colour), 0, 1)) for colour in colours]
            distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
            self.assertGreater(min(distances), 0.1, kind)

    def test_words(self):
        self.assertEqual(marks.frequency_text(12_500.0, 433.92e6), "433.9325 MHz")
        self.assertEqual(marks.frequency_text(-850e3, None), "−850.0 kHz")
        self.assertEqual(marks.place_text(record(1, 30.0, 100.0), 7.1e6), "7.10003 MHz")
        self.assertEqual([marks.ago_text(s) for s in (0.24, 59.4, 3600)], ["0.2 s", "59 s", "1:00:00"])
        self.assertEqual(marks.emission_words(record(1, 0.0, label="unknown", looks=0)), "new")
        self.assertEqual(marks.emission_words(record(1, 0.0, label="a\nb")), "a b")
        for low, high in ((0.0, 1.0), (-1.2e6, 1.2e6), (432.7e6, 435.1e6)):
            values, step = marks.ticks(low, high, 6)
            self.assertTrue(2 <= len(values) <= 7 and all(low <= value <= high for value in values))
            np.testing.assert_allclose(np.diff(values), step)

    def test_protocols_in_words(self):
        sure, guessed = pagers()
        self.assertEqual(marks.label_texts(sure), ("2FSK · POCSAG 1200", "2FSK"))
        self.assertEqual(marks.label_texts(guessed), ("2FSK · POCSAG 1200?", "2FSK"))
        self.assertEqual(marks.label_texts(record(1, 0.0)), ("QPSK",))
        odd = replace(sure, protocols=(ProtocolGuess("a\nb" + 90 * "c", 0.9, False, "why\nnot", True),))
        self.assertEqual(marks.label_texts(odd), ("2FSK",))  # too long for a label
        self.assertNotIn("\n", marks.protocol_words(odd))

    # -- history -----------------------------------------------------------------------------------------------------

    def test_history_of_an_emission_in_bursts(self):
        history = BandHistory()
        for start, stop, now, on in (
            (100, 900, 900, True),
            (90, 1200, 2000, False),
            (5000, 5600, 5600, True),
        ):
            one = record(
                7,
                0.0,
                start=start,
                stop=stop,
                on=on,
                last_seen=stop,
                label="BPSK" if start < 5000 else "8PSK",
            )
            history.update(shown([one], now)[0])
        past = history.emissions[7]
        self.assertEqual([(s.start, s.stop) for s in past.stretches], [(90, 1200), (5000, 5600)])
        self.assertEqual([change.label for change in past.names], ["BPSK", "8PSK"])

    def test_what_is_not_reported_any_more_is_not_on_the_air(self):
        history = BandHistory()
        history.update(shown([record(1, 0.0), record(2, 50e3)])[0])
        history.update(shown([record(2, 50e3)], 96_000)[0])
        self.assertEqual([past.record.on for past in history.emissions.values()], [False, True])

    def test_history_has_an_end(self):
        history = BandHistory()
        for number in range(1000):
            history.update(shown([record(number, 0.0)])[0])
        self.assertLessEqual(len(history.emissions), 500)
        self.assertIn(999, history.emissions)

    # -- what is shown -----------------------------------------------------------------------------------------------

    def test_before_the_first_samples(self):
        view, _ = self.view()
        self.assertIsNone(view.snapshot)

    def test_every_one_of_fifty_emissions_has_a_label(self):
        for size in SIZES:
            view, _ = self.view(*(shown(fifty(), 48_000 * (n + 1)) for n in range(3)), size=size)
            spots = {identity for _, identity in view._waterfall._spots}
            self.assertEqual(spots, set(range(50)), size)

    def test_labels_have_protocols_where_there_is_room(self):
        few = pagers()
        many = [
            replace(few[0], id=n, lower=x, upper=x + 9e3)
            for n, x in enumerate(np.linspace(-1.1e6, 1.1e6, 50))
        ]
        for emissions, expected in ((few, {"2FSK · POCSAG 1200", "2FSK · POCSAG 1200?"}), (many, {"2FSK"})):
            view, _ = self.view(*(shown(emissions, 48_000 * (n + 1)) for n in range(3)))
            waterfall = view._waterfall
            wishes = waterfall._wishes(waterfall._in_view())
            self.assertEqual({text for text, _ in wishes}, expected)
            self.assertEqual({identity for _, identity in waterfall._spots}, {one.id for one in emissions})

    def test_labels_of_what_is_over_have_protocols_where_there_is_room(self):
        states = [shown(pagers(), 48_000 * (n + 1)) for n in range(3)]
        over = [replace(one, on=False, stop=144_000) for one in pagers()]
        states += [shown(over, 48_000 * (n + 1)) for n in range(3, 120)]
        view, _ = self.view(*states)
        lines = view._waterfall._lines
        widths = [box.width() for box, _ in view._waterfall._spots if box.top() >= lines.top()]
        self.assertGreater(len(widths), 0)
        metrics = QtGui.QFontMetricsF(view._waterfall._font(0.9, True))
        self.assertGreater(min(widths), metrics.horizontalAdvance("2FSK · POCSAG 1200"))

    def test_a_click_selects_in_picture_and_table(self):
        view, _ = self.view(shown([record(1, -500e3), record(2, 300e3, 100e3), record(3, 310e3, 5e3)]))
        box, _ = next(spot for spot in view._waterfall._spots if spot[1] == 2)
        QtTest.QTest.mouseClick(view._waterfall, QtCore.Qt.LeftButton, pos=box.center().toPoint())
        self.assertEqual(view.selected, 2)
        waterfall = view._waterfall
        place = QtCore.QPoint(round(waterfall._x(310e3)), waterfall._spectrum.center().y())
        QtTest.QTest.mouseClick(waterfall, QtCore.Qt.LeftButton, pos=place)
        self.assertEqual(view.selected, 3)  # the narrowest of several
        index = view._table.model().index(0, 1)
        QtTest.QTest.mouseClick(
            view._table.viewport(), QtCore.Qt.LeftButton, pos=view._table.visualRect(index).center()
        )
        self.assertEqual(view.selected, 1)
        self.assertEqual([i.row() for i in view._table.selectionModel().selectedRows()], [0])

    def test_keys_select_and_zoom(self):
        view, _ = self.view(shown([record(1, 300e3), record(2, -500e3), record(3, 310e3)]))
        keys, waterfall, seen = QtCore.Qt, view._waterfall, []
        view.select(2)
        for key in (keys.Key_Right, keys.Key_Right, keys.Key_Right, keys.Key_Left):
            QtTest.QTest.keyClick(waterfall, key)
            seen.append(view.selected)
        self.assertEqual(seen, [1, 3, 3, 1])
        place = waterfall._x(300e3)
        QtTest.QTest.keyClick(waterfall, keys.Key_Plus)
        self.assertAlmostEqual(waterfall._x(300e3), place, delta=1)  # what is looked at stays where it is
        self.assertAlmostEqual(waterfall._view[1] - waterfall._view[0], 0.8)
        QtTest.QTest.keyClick(waterfall, keys.Key_0)
        self.assertEqual(waterfall._view, (0.0, 1.0))
        view._table.setCurrentIndex(view._table.model().index(0, 0))
        QtTest.QTest.keyClick(view._table, keys.Key_PageDown)
        self.assertEqual(view.selected, 3)

    def test_empty_states_say_what_to_do(self):
        view, _ = self.view()
        empty = view._details.grab().toImage()
        view, _ = self.view(shown([]))
        nothing = view._details.grab().toImage()
        self.assertEqual(empty, nothing)  # no emission was found
        view, _ = self.view(shown([record(1, 0.0)]))
        view.select(None)
        view._band.selected = None
        self.assertNotEqual(view._details.grab().toImage(), nothing)

    def test_table_sorts_and_tells_units(self):
        view, _ = self.view(
            shown([record(1, -500e3, snr_db=3.0), record(2, 300e3, snr_db=30.0, symbol_rate=None)])
        )
        model = view._table.model()

        def column(number):
            return [model.data(model.index(row, number)) for row in range(model.rowCount())]

        self.assertEqual(column(3), ["433.4200 MHz", "434.2200 MHz"])
        self.assertEqual(column(4), ["20 kHz", "20 kHz"])
        self.assertEqual(column(7), ["14.5 kBd", "–"])
        view._table.sortByColumn(5, QtCore.Qt.DescendingOrder)
        self.assertEqual(column(5), ["30.0 dB", "3.0 dB"])

    def test_table_sorts_by_family_and_protocol_and_marks_guesses(self):
        view, _ = self.view(shown([*pagers(), record(9, 0.0, label="OFDM", family="ofdm")]))
        model = view._table.model()

        def column(number):
            return [model.data(model.index(row, number)) for row in range(model.rowCount())]

        view._table.sortByColumn(1, QtCore.Qt.AscendingOrder)
        self.assertEqual(column(1), ["fsk2", "fsk2", "ofdm"])
        view._table.sortByColumn(2, QtCore.Qt.AscendingOrder)
        self.assertEqual(column(2), ["POCSAG 1200", "POCSAG 1200?", "–"])  # none comes last
        self.assertIn("fits", model.data(model.index(0, 2), QtCore.Qt.ToolTipRole))
        for width in (1280, 1600, 2400):  # what is left out for want of room does not take the rest with it
            view.resize(width, 720)
            hidden = [view._table.isColumnHidden(number) for number in range(model.columnCount())]
            self.assertEqual(hidden[:8], [False] * 8)
            self.assertLessEqual(view._table.horizontalHeader().length(), view._table.viewport().width())
        self.assertFalse(any(hidden))

    def test_what_is_on_the_air_stands_first(self):
        view, _ = self.view(shown([record(1, -500e3, on=False, stop=10), record(2, 300e3)]))
        model = view._table.model()
        self.assertEqual([one.id for one in model.records], [2, 1])
        self.assertIn("ago", model.data(model.index(1, 10)))

    def test_constellation_spectrum_and_odd_values_are_drawn(self):
        random = rng("constellation")
        symbols = (random.standard_normal((500, 2)) @ [1, 1j]).astype(np.complex64)
        odd = [
            record(
                1,
                0.0,
                symbols=symbols,
                probabilities={"QPSK": 0.97, "8PSK": 0.03},
                measures={"level_db": -3.0},
            ),
            record(2, 1.19e6, 40e3),  # over the edge of the band
            record(
                3,
                -1.2e6,
                0.0,
                snr_db=float("nan"),
                confidence=0.0,
                symbol_rate=float("inf"),
                family="",
                label="",
            ),
            record(4, 0.0, symbols=np.full(3, np.nan, np.complex64), measures={"x": None, "y": float("nan")}),
            *(replace(one, id=one.id + 4) for one in pagers()),
            record(
                7,
                0.0,
                details={"speed": Measure(float("nan"), 1.0), "side": Measure(1.0, 0.0)},
                families={"": 7.0, "ook": float("nan")},
                protocols=(ProtocolGuess("", 2.0, False, " ".join(99 * ["long"]), True),),
            ),
        ]
        for selected in range(1, 8):
            view, _ = self.view(shown(odd))
            view.select(selected)
            view.grab()
            view._details.grab()
            self.assertEqual(view._logger.errors, [])

    def test_a_spectrum_that_is_not_finite_is_drawn(self):
        snapshot, picture = shown([record(1, 0.0)])
        bad = picture.mean.copy()
        bad[:100], bad[200] = np.nan, np.inf
        self.view(
            (snapshot, replace(picture, mean=bad, peak=bad)),
            (snapshot, replace(picture, mean=None, peak=None)),
        )

    def test_squelch_hides_what_is_weak(self):
        state = shown([record(1, -500e3, snr_db=3.0), record(2, 300e3, snr_db=30.0)])
        view, _ = self.view(state, state)
        view.set_squelch(10.0)
        self.assertEqual([one.id for one in view.snapshot.emissions], [2])
        self.assertEqual(list(view._band.history.emissions), [2])

    def test_lines_that_come_together_are_shown_one_in_each_picture(self):
        states = [shown([record(1, 0.0)], 48_000 * (n + 1)) for n in range(9)]
        view, _ = self.view()
        view._poll = lambda: states.pop(0) if states else None
        counts = []
        for _ in range(8):
            view.tick()
            counts.append(view._band.lines.count)
        # Nine at once are too many: as many as are too many come with the first.
        self.assertEqual(counts, [4, 5, 6, 7, 8, 9, 9, 9])

    def test_a_box_is_around_the_lines_of_its_emission(self):
        states = []
        for n in range(40):
            on = 10 <= n < 25
            one = [record(1, 0.0, start=480_000, stop=min(48_000 * (n + 1), 1_200_000), on=on)] * (n >= 10)
            snapshot, picture = shown(one if on else [], 48_000 * (n + 1))
            states.append((replace(snapshot, emissions=tuple(one)), replace(picture, stop=48_000 * (n + 1))))
        view, _ = self.view(*states)
        waterfall = view._waterfall
        [stretch] = view._band.history.emissions[1].stretches
        top, bottom = waterfall._band.lines.depth(stretch.stop), waterfall._band.lines.depth(stretch.start)
        pixels = waterfall._band.lines.pixels
        self.assertEqual((top, bottom), (15 * pixels, 30 * pixels))
        image = waterfall.grab().toImage()
        x, area = round(waterfall._x(0.0)), waterfall._lines
        bright = [QtGui.QColor(image.pixel(x, area.top() + row)).lightness() for row in range(40 * pixels)]
        inside = np.arange(40 * pixels)
        inside = (inside > top + 1) & (inside < bottom - 1)
        outside = np.arange(40 * pixels)
        outside = (outside < top - 1) & (outside > 1) | (outside > bottom + 1)  # a label's line ends above
        self.assertGreater(min(np.array(bright)[inside]), max(np.array(bright)[outside]))

    def test_a_band_torn_to_pieces_is_drawn_within_bounds(self):
        random = rng("torn")
        ended = [
            record(n, middle, on=False, start=int(stop) - 90_000, stop=int(stop))
            for n, (middle, stop) in enumerate(random.uniform((-1.1e6, 1e5), (1.1e6, 1e7), (100, 2)))
        ]
        view, _ = self.view(*(shown([], 48_000 * (n + 1)) for n in range(300)), shown(ended, 14_448_000))
        spots = [spot for spot, _ in view._waterfall._spots]
        beside = [spot for spot in spots if spot.top() >= view._waterfall._lines.top()]
        self.assertGreater(len(beside), 5)
        self.assertTrue(all(spot.bottom() <= view._waterfall._lines.bottom() + 1 for spot in beside))
        for number, spot in enumerate(spots):
            self.assertFalse(any(spot.intersects(other) for other in spots[:number]))

    def test_pause_keeps_the_picture(self):
        view, _ = self.view(shown([record(1, 0.0)]))
        states = [shown([record(2, 0.0)], 96_000)]
        view._poll = lambda: states.pop(0) if states else None
        view.set_paused(True)
        view.tick()
        self.assertEqual(view.snapshot.emissions[0].id, 1)
        view.set_paused(False)  # what came meanwhile is not shown any more
        states.append(shown([record(3, 0.0)], 144_000))
        view.tick()
        self.assertEqual(view.snapshot.emissions[0].id, 3)

    def test_losses_and_problems_are_told(self):
        snapshot, picture = shown([record(1, 0.0)])
        lossy = replace(snapshot, counters=ScanCounters(samples=75, dropped=25, missed=3, suppressed=2))
        view, _ = self.view((lossy, picture))
        for words in ("25.0 % of samples lost", "3 ended before a look", "2 reports held back"):
            self.assertIn(words, view._footer.text())
        view._problem = lambda: "the radio <b> has gone."
        view._tell()
        self.assertIn("the radio &lt;b&gt; has gone.", view._footer.text())

    def test_what_fails_is_told_and_does_not_end_the_program(self):
        def poll():
            raise RuntimeError("boom")

        log = Log()
        view = BandView(poll, lambda: "", log)
        view.end()
        view.tick()
        view.tick()
        self.assertEqual(len(log.errors), 1)
        self.assertIn("boom", view._footer.text())

    def test_another_frequency_begins_anew(self):
        view, _ = self.view(shown([record(1, 0.0)]), shown([record(9, 0.0)], 96_000, centre=100e6))
        self.assertEqual(list(view._band.history.emissions), [9])
        self.assertEqual(view._band.lines.count, 1)

    def test_zoom_shows_a_part_and_keeps_the_frequency_under_the_mouse(self):
        view, _ = self.view(*(shown(fifty(), 48_000 * (n + 1)) for n in range(3)))
        waterfall = view._waterfall
        point = QtCore.QPointF(waterfall._x(250e3), waterfall._lines.center().y())
        wheel = QtGui.QWheelEvent(
            point, point, QtCore.QPoint(), QtCore.QPoint(0, 480), QtCore.Qt.NoButton, QtCore.Qt.NoModifier,
            QtCore.Qt.ScrollUpdate, False,
        )  # fmt: skip
        waterfall.wheelEvent(wheel)
        waterfall.grab()
        self.assertAlmostEqual(waterfall._offset(point.x()), 250e3, delta=3e3)
        self.assertLess(waterfall._view[1] - waterfall._view[0], 0.5)
        QtTest.QTest.mouseDClick(waterfall, QtCore.Qt.LeftButton, pos=point.toPoint())
        self.assertEqual(waterfall._view, (0.0, 1.0))

    def test_the_waterfall_shows_the_newest_line_on_top_and_narrow_lines_too(self):
        states = [(shown([], 48_000)[0], shown([record(1, 0.0, 100.0, snr_db=60.0)])[1])]
        states += [shown([], 48_000 * (n + 2)) for n in range(4)]
        view, _ = self.view(*states)
        area = view._waterfall._lines
        image = view._waterfall.grab().toImage()
        x = round(view._waterfall._x(0.0))
        rows = [
            max(QtGui.QColor(image.pixel(x + dx, area.top() + row)).lightness() for dx in (-1, 0, 1))
            for row in range(5)
        ]
        self.assertEqual(int(np.argmax(rows)), 4, rows)

    # -- the block ---------------------------------------------------------------------------------------------------

    def run_block(self, samples, rate, tags=(), **settings):
        """Run samples through the block; return it, with what it showed last."""
        display = amrq.band_display(rate, live=False, **settings)
        display.widget.show()
        tb = gr.top_block()
        tb.connect(blocks.vector_source_c(samples.tolist(), False, 1, list(tags)), display)
        tb.run()
        while display._states or display.widget._coming:
            display.widget.tick()
        return display

    def test_finds_what_is_in_the_samples(self):
        on_air = [
            SimulatedEmission("QPSK", -600e3, 135e3, 22.0, 100e3),
            SimulatedEmission("carrier", 500e3, 0, 30.0),
        ]
        band = SimulatedBand(240e3, 5, on_air)
        display = self.run_block(band.next_samples(240_000), 240e3, frequency=100e6)
        snapshot = display.widget.snapshot
        self.assertEqual((snapshot.centre_hz, snapshot.sample_rate), (100e6, 240e3))
        for emission in band.emissions:
            self.assertTrue(
                any(one.lower - 2e3 < emission.centre < one.upper + 2e3 for one in snapshot.emissions),
                emission,
            )
        self.assertIsNone(display.error)

    def test_a_retune_begins_anew(self):
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = 60_000, pmt.intern("rx_freq"), pmt.from_double(200e6)
        samples = SimulatedBand(240e3, 5).next_samples(120_000)
        display = self.run_block(samples, 240e3, [tag], frequency=100e6)
        self.assertEqual(display.widget.snapshot.centre_hz, 200e6)
        self.assertTrue(all(one.first_seen >= 60_000 for one in display.widget.snapshot.emissions))

    def test_an_error_of_the_scanner_ends_the_flowgraph_and_is_shown(self):
        display = amrq.band_display(240e3)
        tb = gr.top_block()
        tb.connect(
            blocks.null_source(gr.sizeof_gr_complex), blocks.throttle(gr.sizeof_gr_complex, 240e3), display
        )
        tb.start()
        wait_until(lambda: display._worker is not None)
        display._worker.error = RuntimeError("out of luck")
        tb.wait()
        display.widget._tell()
        self.assertIn("out of luck", display.widget._footer.text())

    def test_a_picture_that_cannot_be_made_ends_the_flowgraph_and_is_shown(self):
        for live in (True, False):
            display = amrq.band_display(240e3, live=live)
            tb = gr.top_block()
            source = blocks.null_source(gr.sizeof_gr_complex)
            tb.connect(source, blocks.throttle(gr.sizeof_gr_complex, 960e3), display)
            tb.start()
            wait_until(lambda d=display: d._worker is not None)

            def broken(line=None):
                raise ValueError("no picture")

            display._worker.scanner.picture = broken
            tb.wait()
            display.widget._tell()
            self.assertIn("no picture", display.widget._footer.text())

    def test_the_waterfall_goes_on_after_there_was_no_time_for_it(self):
        display = amrq.band_display(240e3)
        tb = gr.top_block()
        tb.connect(
            blocks.null_source(gr.sizeof_gr_complex), blocks.throttle(gr.sizeof_gr_complex, 960e3), display
        )
        tb.start()
        self.addCleanup(tb.wait)
        self.addCleanup(tb.stop)
        wait_until(lambda: display._states)
        canvas = display._canvas
        with canvas._lock:  # nothing is drawn, until samples have to be left out
            wait_until(lambda: canvas._position > canvas._taken)
        canvas._states.clear()
        left_out = canvas._position
        wait_until(lambda: any(picture.stop > left_out for _, picture in list(canvas._states)))

    def test_bad_settings_are_refused(self):
        for bad, words in (
            ({"sample_rate": 10.0}, "1 kS/s"),
            ({"sample_rate": 1e6, "squelch": 1000.0}, "squelch"),
            ({"sample_rate": 1e6, "scan": amrq.ScanOptions(model="none")}, "no model"),
        ):
            with self.assertRaisesRegex(AmrqError, words):
                amrq.band_display(**bad)

    # -- the window --------------------------------------------------------------------------------------------------

    def window(self, **more):
        source = SourceOptions(simulate=True, sample_rate=100e3)
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        window = band_window(source, record=str(folder / "take"), **more)
        self.addCleanup(window.close)
        window.show()
        return window, folder

    def test_window_opens_records_pauses_and_ends_everything(self):
        window, folder = self.window()
        wait_until(lambda: window.display.widget.snapshot is not None)
        for size in SIZES:
            window.resize(*size)
            self.application.processEvents()
            self.assertEqual(
                window.display.widget.visibleRegion().boundingRect().size(), window.display.widget.size()
            )
        window.controls.record.click()
        wait_until(lambda: "recording take-001" in window.controls.state.text())
        window.controls.pause.click()
        window.close()
        self.assertTrue(window.all_ended)
        self.assertTrue((folder / "take-001.sigmf-meta").is_file())

    def test_what_cannot_be_recorded_is_told(self):
        window, folder = self.window()
        wait_until(lambda: window.display.widget.snapshot is not None)
        recorder = window._run.recorder
        recorder._recorder.begin = lambda: (_ for _ in ()).throw(AmrqError("the disk is full."))
        window.controls.record.click()
        wait_until(lambda: "nothing is recorded: the disk is full." in footer_of(window))
        self.assertFalse(window.controls.record.isChecked())
        window.close()
        source = SourceOptions(simulate=True, sample_rate=100e3)
        window = band_window(source, record=str(folder / "none" / "take"))
        self.addCleanup(window.close)
        window.controls.record.click()
        self.assertIn("nothing is recorded:", footer_of(window))
        self.assertFalse(window.controls.record.isChecked())

    def test_window_shrinks_again(self):
        window, _ = self.window()
        for size in ((1920, 1080), (1280, 720)):
            window.resize(*size)
            self.application.processEvents()
            self.assertEqual((window.width(), window.height()), size)

    def test_window_changes_rate_and_says_what_cannot_be_opened(self):
        window, _ = self.window()
        window.controls.rate.setCurrentText("200k")
        window.controls._on_rate()
        wait_until(lambda: getattr(window.display.widget.snapshot, "sample_rate", 0) == 200e3)
        window._choose(RadioDevice("driver=nosuchradio"))
        wait_until(lambda: "nosuchradio" in window.display.widget._footer.text())
        window._choose(None)  # back to the simulation
        wait_until(lambda: window.running and window.display.received > 0)

    def test_window_is_closed_from_outside(self):
        import threading

        ending = threading.Event()
        window, _ = self.window(ending=ending)
        ending.set()
        wait_until(lambda: not window.isVisible())
        self.assertTrue(window.all_ended)


if __name__ == "__main__":
    gr_unittest.run(qa_band_display)
