#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of modulation_source."""

import numpy as np
import pmt
from gnuradio import amrq, blocks, digital, filter, gr, gr_unittest
from gnuradio.filter import firdes

from amrq.classes import THESIS_9


class qa_modulation_source(gr_unittest.TestCase):
    def run_source(self, count, **settings):
        tb = gr.top_block()
        source = amrq.modulation_source(**settings)
        head = blocks.head(gr.sizeof_gr_complex, count)
        sink = blocks.vector_sink_c()
        tb.connect(source, head, sink)
        tb.run()
        changes = [(tag.offset, pmt.symbol_to_string(tag.value)) for tag in sink.tags()]
        return np.array(sink.data()), changes

    def test_symbols_are_constellation_points(self):
        for name, modulation in THESIS_9.items():
            symbols, changes = self.run_source(2000, modulations=name, es_n0_db=1000.0)
            self.assertEqual(changes, [(0, name)])
            distance = np.abs(symbols[:, None] - modulation.points).min(axis=1)
            self.assertLess(distance.max(), 1e-6)
            self.assertEqual(len(np.unique(np.round(symbols, 4))), modulation.order)

    def test_cycle_is_tagged_at_every_change(self):
        names = ["BPSK", "8PSK", "16QAM"]
        symbols, changes = self.run_source(3500, modulations=names, dwell=1000, es_n0_db=1000.0)
        self.assertEqual(changes, [(0, "BPSK"), (1000, "8PSK"), (2000, "16QAM"), (3000, "BPSK")])
        self.assertLess(np.abs(symbols[:1000].imag).max(), 1e-6)
        self.assertGreater(np.abs(symbols[1000:2000].imag).max(), 0.5)

    def test_noise_power_is_that_of_es_n0(self):
        # 200,000 samples: the power estimate's standard deviation is 0.22 %, the bounds are 4.5 of them.
        count = 200_000
        clean, _ = self.run_source(count, modulations="QPSK", es_n0_db=1000.0, seed=3)
        noisy, _ = self.run_source(count, modulations="QPSK", es_n0_db=7.0, seed=3)
        power = np.mean(np.abs(noisy - clean) ** 2)
        self.assertAlmostEqual(power / 10**-0.7, 1.0, delta=0.01)

    def test_shaped_symbols_come_back_behind_a_matched_filter(self):
        sps, rolloff, count = 4, 0.35, 4000
        tb = gr.top_block()
        source = amrq.modulation_source("16QAM", es_n0_db=20.0, pulse=amrq.PulseOptions(sps, rolloff))
        taps = np.array(firdes.root_raised_cosine(1.0, sps, 1.0, rolloff, 24 * sps + 1))
        taps /= np.sqrt(np.sum(taps**2))
        matched = filter.fir_filter_ccf(1, taps / np.sqrt(sps))
        sink = blocks.vector_sink_c()
        tb.connect(source, blocks_head := blocks.head(gr.sizeof_gr_complex, count * sps), matched, sink)
        tb.run()
        del blocks_head
        symbols = np.array(sink.data())[24 * sps :: sps]
        points = THESIS_9["16QAM"].points
        error = np.mean(np.abs(symbols[:, None] - points).min(axis=1) ** 2)
        # At 20 dB the nearest point is nearly always the right one; 1 % of noise, with its estimate's 5 % of spread.
        self.assertAlmostEqual(error, 0.01, delta=0.002)

    def test_setters_take_effect_and_refuse_nonsense(self):
        source = amrq.modulation_source("BPSK")
        source.set_modulations(["QPSK", "8PSK"])
        source.set_dwell(64)
        source.set_order("random")
        source.set_es_n0_db(10.0)
        source.set_phase_noise(0.1)
        source.set_rotation(0.5)
        source.set_samples_per_symbol(2)
        source.set_rolloff(0.2)
        for setter, value in (
            (source.set_modulations, "65QAM"),
            (source.set_dwell, 0),
            (source.set_order, "backwards"),
            (source.set_es_n0_db, float("nan")),
            (source.set_phase_noise, -1.0),
            (source.set_rotation, float("inf")),
            (source.set_samples_per_symbol, 0),
            (source.set_rolloff, 1.5),
        ):
            with self.assertRaises(ValueError):
                setter(value)

    def test_generic_receiver_agrees(self):
        # GNU Radio's own constellation decoder finds both points of BPSK equally often (2,000 symbols, 5 sigma).
        symbols, _ = self.run_source(2000, modulations="BPSK", es_n0_db=20.0)
        decoder = digital.constellation_bpsk()
        bits = [decoder.decision_maker_v([complex(symbol)]) for symbol in symbols]
        self.assertLess(abs(sum(bits) - 1000), 5 * np.sqrt(2000 / 4))


if __name__ == "__main__":
    gr_unittest.run(qa_modulation_source)
