#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of the symbol front end: signals made here go in as samples and must come out as their symbols."""

import threading

import numpy as np
import pmt
from gnuradio import blocks, gr, gr_unittest
from gnuradio.amrq.symbol_front_end import EQUALISER_KEY, INPUT_SECONDS_KEY, symbol_front_end
from patience import PATIENCE
from seeds import rng

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.measure import FrontEndOptions

CHUNK = 32
SETTLED = 640  # symbols after which a signal must be clean


def pulse(time, rolloff):
    """Root raised cosine of unit energy at times in symbols (Proakis and Salehi 2008, sec. 9.2)."""
    time = time + 1e-7  # steps around the three places where numerator and denominator are zero
    top = np.sin(np.pi * time * (1 - rolloff)) + 4 * rolloff * time * np.cos(np.pi * time * (1 + rolloff))
    return top / (np.pi * time * (1 - (4 * rolloff * time) ** 2))


def received(symbols, sps, rolloff, esn0, offset, generator, lead=0):
    """Samples of symbols after `lead` of noise, at random timing and phase; offset in cycles/symbol."""
    time = np.arange(int((lead + len(symbols) + 10) * sps)) / sps - lead + generator.random()
    near = np.floor(time).astype(int)[:, None] + np.arange(-12, 13)
    there = (near >= 0) & (near < len(symbols))
    sent = np.where(there, symbols[np.clip(near, 0, len(symbols) - 1)], 0)
    clean = (sent * pulse(time[:, None] - near, rolloff)).sum(axis=1)
    noise = np.sqrt(sps / 2 * 10 ** (-esn0 / 10)) * (
        generator.standard_normal(len(time)) + 1j * generator.standard_normal(len(time))
    )
    return (clean * np.exp(2j * np.pi * (offset * time + generator.random())) + noise).astype(np.complex64)


def run(front_end, samples, tags=()):
    """Put samples through; return the symbols and their tags."""
    source = blocks.vector_source_c(samples, False, 1, list(tags))
    sink = blocks.vector_sink_c()
    graph = gr.top_block()
    graph.connect(source, front_end, sink)
    graph.run()
    return np.array(sink.data(), np.complex128), sink.tags()


def place(output, symbols, first):
    """Where symbols[first] is in output, as a delay; -1 where the first came before the first sample."""
    scores = []
    for delay in range(-2, 80):
        part = output[first + delay : first + delay + 4 * CHUNK]
        product = part * symbols[first : first + len(part)].conj()
        scores.append(np.abs(product.reshape(-1, CHUNK).sum(axis=1)).sum())
    return int(np.argmax(scores)) - 2


def error_db(output, symbols, order, first=SETTLED):
    """Mean error power of chunks against their symbols, after each chunk's best turn and scale, in dB."""
    # Residual offsets of k/order cycles/symbol are allowed: try them.
    best = np.inf
    for k in range(order):
        turned = output * np.exp(2j * np.pi * k / order * np.arange(len(output)))
        delay = place(turned, symbols, first)
        count = (min(len(output) - delay, len(symbols)) - first) // CHUNK * CHUNK
        got = turned[first + delay : first + delay + count].reshape(-1, CHUNK)
        sent = symbols[first : first + count].reshape(-1, CHUNK)
        gain = (got * sent.conj()).sum(axis=1) / (np.abs(sent) ** 2).sum(axis=1)
        best = min(best, np.mean(np.abs(got / gain[:, None] - sent) ** 2))
    return 10 * np.log10(best)


class qa_symbol_front_end(gr_unittest.TestCase):
    def check(self, name, sps, rolloff=0.35, esn0=25.0, offset=0.03, worst=-21.0, seed=1, at=0.0):
        """More than 60 chunks of a class come out with an error power below `worst` dB."""
        generator = rng("symbol front end", seed)
        symbols = generator.choice(THESIS_9[name].points, 2_700)
        samples = received(symbols, sps, rolloff, esn0, offset, generator)
        output, _ = run(symbol_front_end(sps * 1_000.0, 1_000.0, offset=at), samples)
        self.assertGreater(len(output), len(symbols) - 32)
        with self.subTest(name=name, sps=sps, rolloff=rolloff, offset=offset):
            self.assertLess(error_db(output, symbols, THESIS_9[name].symmetry), worst)
        return output

    def test_all_classes(self):
        for name in THESIS_9:
            self.check(name, 4.7)

    def test_samples_a_symbol(self):
        for sps in (2.0, 2.5, 3.086, 8.0, 16.0, 24.0, 100.0):
            self.check("QPSK", sps)

    def test_rolloffs(self):
        for rolloff in (0.25, 0.5):
            self.check("16QAM", 5.0, rolloff)

    def test_offsets(self):
        for offset in (-0.07, 0.05):
            for sps in (2.0, 5.0):
                self.check("QPSK", sps, offset=offset)

    def test_signal_beside_the_middle_of_the_band(self):
        self.check("QPSK", 8.0, offset=2.02, at=2_000.0)

    def test_level_is_one_whatever_comes_in(self):
        generator = rng("symbol front end", 2)
        symbols = generator.choice(THESIS_9["QPSK"].points, 3_000)
        samples = received(symbols, 5.0, 0.35, 20.0, 0.02, generator)
        for level in (1e-6, 1.0, 1e4):
            output, _ = run(symbol_front_end(5.0, 1.0), samples * np.float32(level))
            self.assertAlmostEqual(np.sqrt(np.mean(np.abs(output[200:]) ** 2)), 1.0, delta=0.1)

    def test_burst_out_of_noise(self):
        """Clean from 320 symbols after its start, 20 dB above the noise, in each of 5 bursts."""
        for seed in range(5):
            generator = rng("symbol front end", seed)
            symbols = generator.choice(THESIS_9["BPSK"].points, 1_500)
            samples = received(symbols, 4.0, 0.5, 20.0, 0.04, generator, lead=1_000)
            output, _ = run(symbol_front_end(4.0, 1.0), samples)
            self.assertLess(error_db(output[1_000:], symbols, 2, first=320), -16.0)

    def test_noise_passes(self):
        generator = rng("symbol front end", 6)
        noise = generator.standard_normal(40_000) + 1j * generator.standard_normal(40_000)
        output, _ = run(symbol_front_end(4.0, 1.0), noise.astype(np.complex64))
        self.assertGreater(len(output), 9_900)
        self.assertAlmostEqual(np.sqrt(np.mean(np.abs(output[200:]) ** 2)), 0.7, delta=0.1)

    def test_silence_passes(self):
        output, _ = run(symbol_front_end(4.0, 1.0), np.zeros(4_000, np.complex64))
        self.assertFalse(np.any(output))

    def test_gate_turns_weak_noise_into_silence_and_opens_for_a_burst(self):
        generator = rng("symbol front end", 8)
        symbols = generator.choice(THESIS_9["QPSK"].points, 2_000)
        samples = received(
            symbols, 4.0, 0.35, 25.0, 0.02, generator, lead=1_000
        )  # the lead is noise at -25 dB
        output, _ = run(symbol_front_end(4.0, 1.0, options=FrontEndOptions(gate_db=-12.0)), samples)
        self.assertFalse(np.any(output[100:900]))
        self.assertTrue(np.all(output[1_100:] != 0))
        self.assertLess(error_db(output[1_000:], symbols, 4, first=320), -20.0)

    def test_bad_samples_do_no_lasting_harm(self):
        generator = rng("symbol front end", 3)
        symbols = generator.choice(THESIS_9["QPSK"].points, 3_000)
        samples = received(symbols, 5.0, 0.35, 25.0, 0.02, generator)
        samples[1_000:1_003] = (np.nan, np.inf, 3e38)
        output, _ = run(symbol_front_end(5.0, 1.0), samples)
        self.assertTrue(np.all(np.isfinite(output)))
        self.assertLess(error_db(output, symbols, 4, first=1_000), -21.0)

    def test_symbols_of_bad_samples_are_marked(self):
        generator = rng("symbol front end", 3)
        symbols = generator.choice(THESIS_9["QPSK"].points, 3_000)
        samples = received(symbols, 5.0, 0.35, 25.0, 0.02, generator)
        samples[2_500:3_000] = np.nan  # 100 symbols from symbol 500 on
        samples[10_000] = np.inf
        _, tags = run(symbol_front_end(5.0, 1.0), samples)
        marked = np.array(sorted({t.offset for t in tags if pmt.symbol_to_string(t.key) == "not_finite"}))
        # A mark stands on the first symbol of each chunk that holds such a sample.
        self.assertEqual(marked.tolist(), [480, 512, 544, 576, 1_984])

    def test_without_carrier_recovery_the_offset_stays(self):
        generator = rng("symbol front end", 4)
        symbols = generator.choice(THESIS_9["QPSK"].points, 3_000)
        samples = received(symbols, 5.0, 0.35, 25.0, 0.02, generator)
        output, _ = run(symbol_front_end(5.0, 1.0, options=FrontEndOptions(carrier_recovery=False)), samples)
        line = np.abs(np.fft.fft((output[-2_048:] / np.abs(output[-2_048:])) ** 4))
        self.assertAlmostEqual(np.fft.fftfreq(2_048)[line.argmax()], 0.08, delta=1e-3)

    def test_tags_stay_with_their_samples(self):
        """Each tag on the symbol that is nearest to its sample, and once."""
        for sps in (2.0, 5.0, 24.0):
            generator = rng("symbol front end", 5)
            symbols = generator.choice(THESIS_9["QPSK"].points, 2_000)
            samples = received(symbols, sps, 0.35, 30.0, 0.0, generator)
            tags = []
            for k in range(100, 1_900, 100):
                tag = gr.tag_t()
                tag.offset, tag.key, tag.value = round(k * sps), pmt.intern("symbol"), pmt.from_long(k)
                tags.append(tag)
            output, after = run(symbol_front_end(sps, 1.0), samples, tags)
            after = [
                tag for tag in after if pmt.symbol_to_string(tag.key) == "symbol"
            ]  # not the front end's own
            delay = place(output, symbols, SETTLED)
            self.assertEqual([pmt.to_long(tag.value) for tag in after], list(range(100, 1_900, 100)))
            for tag in after:
                self.assertLessEqual(abs(tag.offset - pmt.to_long(tag.value) - delay), 1)

    def test_symbols_tell_their_time_whatever_the_senders_clock_does(self):
        """To within a hundredth of a symbol; counting symbols would be 24 off at the end."""
        for sps in (2.0, 5.0, 24.0):
            generator = rng("symbol front end", 7)
            symbols = generator.choice(THESIS_9["QPSK"].points, 6_000)
            state = generator.bit_generator.state
            samples = received(symbols, sps, 0.35, 30.0, 0.0, generator)
            generator.bit_generator.state = state
            begins = generator.random()  # in symbols: how far into the first the first sample is
            nominal = 1.0 * (1 + 0.004)  # the sender is slower than was said
            rate = max(sps, 2 * nominal)
            output, after = run(symbol_front_end(rate, nominal), samples)
            told = [
                (tag.offset, pmt.to_double(tag.value))
                for tag in after
                if pmt.symbol_to_string(tag.key) == INPUT_SECONDS_KEY
            ]
            self.assertGreater(len(told), 10)
            delay = place(output, symbols, SETTLED)
            for number, seconds in told:
                self.assertAlmostEqual(seconds * rate / sps + begins, number - delay, delta=0.01)

    def test_tags_are_the_same_however_the_stream_is_cut(self):
        """Those of the front end, an equaliser's among them, and those that are passed on."""
        generator = rng("symbol front end", "cut")
        symbols = generator.choice(THESIS_9["QPSK"].points, 6_000)
        symbols[3_000:] += 0.6 * symbols[2_999:-1]  # from there on there is an echo
        samples = received(symbols, 4.03, 0.35, 25.0, 0.02, generator)
        given = []
        for k in range(40, len(samples), 97):
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = k, pmt.intern("given"), pmt.from_long(k)
            given.append(tag)

        def told(tags):
            return sorted((place, key, pmt.write_string(value)) for place, key, value in tags)

        _, tags = run(symbol_front_end(4_000.0, 1_000.0), samples, given)
        whole = told((tag.offset, pmt.symbol_to_string(tag.key), tag.value) for tag in tags)
        kinds = [(place, value) for place, key, value in whole if key == EQUALISER_KEY]
        self.assertEqual(kinds[0][1], "linear")
        self.assertGreater(kinds[0][0], 3_000)
        for cut in (331, 1_500, 9_000, len(samples)):
            front_end = symbol_front_end(4_000.0, 1_000.0)._symbols
            for first in range(0, len(samples), cut):
                tags = [tag for tag in given if first <= tag.offset < first + cut]
                front_end._tags += tags
                front_end._receive(samples[first : first + cut], first, tags)
            front_end._take(front_end.receiver.finish())
            with self.subTest(cut=cut):
                self.assertEqual(told(front_end._marks), whole)

    def test_a_source_that_pauses_holds_nothing_back(self):
        """More samples are waited for, but not if none come: when the source pauses, or when a flush is asked for."""
        generator = rng("qa symbol_front_end pause")
        symbols = generator.choice(THESIS_9["QPSK"].points, 2400)
        samples = received(symbols, 4, 0.35, 20.0, 0.0, generator)
        self.assertLess(len(samples), 0.018 * 1e6)  # fewer than work is done on at a time
        for asked in (False, True):
            enough = threading.Event()

            class paused(gr.sync_block):
                def __init__(self):
                    gr.sync_block.__init__(self, "paused", None, [np.complex64])
                    self.at = 0

                def work(self, input_items, output_items, enough=enough):
                    count = min(len(output_items[0]), len(samples) - self.at)
                    if not count:
                        enough.wait(0.01)
                        return 0
                    output_items[0][:count] = samples[self.at : self.at + count]
                    self.at += count
                    return count

            class counter(gr.sync_block):
                def __init__(self):
                    gr.sync_block.__init__(self, "counter", [np.complex64], None)
                    self.count = 0

                def work(self, input_items, output_items, enough=enough):
                    self.count += len(input_items[0])
                    if self.count >= 2400 // CHUNK * CHUNK - CHUNK:
                        enough.set()
                    return len(input_items[0])

            source, front_end, sink = paused(), symbol_front_end(1e6, 250e3), counter()
            graph = gr.top_block()
            graph.connect(source, front_end, sink)
            graph.start()
            if asked:
                front_end.flush()
            self.assertTrue(enough.wait(PATIENCE))
            graph.stop()
            graph.wait()
            self.assertIsNone(front_end.error)

    def test_settings_while_running(self):
        front_end = symbol_front_end(8_000.0, 1_000.0)
        front_end.set_offset(-1_500.0)
        front_end.set_timing_bandwidth(0.004)
        self.assertAlmostEqual(front_end.offset(), -1_500.0)
        self.assertAlmostEqual(front_end.timing_bandwidth(), 0.004)
        self.assertEqual(front_end.carrier_offset(), 0.0)
        self.assertIsNone(front_end.error)
        with self.assertRaises(AmrqError):
            front_end.set_offset(4_001.0)
        with self.assertRaises(AmrqError):
            front_end.set_timing_bandwidth(0.0)

    def test_bad_values_are_refused(self):
        nan = float("nan")
        for arguments, words in (
            ({"sample_rate": 8, "symbol_rate": 5}, "sample_rate 8 S/s is below twice the symbol_rate 5 Bd"),
            ({"sample_rate": 0, "symbol_rate": 1}, "sample_rate 0 S/s"),
            ({"sample_rate": nan, "symbol_rate": 1}, "sample_rate nan S/s"),
            ({"sample_rate": 8, "symbol_rate": -1}, "symbol_rate -1 Bd"),
            ({"rolloff": -1}, "rolloff must be from 0 to 1, not -1"),
            ({"sample_rate": 8, "symbol_rate": 1, "offset": 5}, "offset 5 Hz"),
            ({"sample_rate": 8, "symbol_rate": 1, "offset": nan}, "offset nan Hz"),
            ({"bandwidth": 0.5}, "bandwidth 0.5 Hz"),
            ({"timing_bandwidth": 1}, "timing_bandwidth must be .* not 1"),
            ({"max_carrier_offset": 1}, "max_carrier_offset must be .* not 1"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(AmrqError, words):
                rates = {"sample_rate": 8, "symbol_rate": 1}
                about = {name: arguments.pop(name) for name in (*rates, "offset") if name in arguments}
                symbol_front_end(**rates | about, options=FrontEndOptions(**arguments))


if __name__ == "__main__":
    gr_unittest.run(qa_symbol_front_end)
