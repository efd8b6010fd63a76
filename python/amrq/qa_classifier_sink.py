#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""QA of classifier_sink."""

import importlib.util
import json
import os
import tempfile
import threading
import unittest

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr, gr_unittest
from patience import PATIENCE
from seeds import rng

from amrq.classes import ClassSet, NamedClass
from amrq.classifier import Classifier, Evidence
from amrq.errors import AmrqError
from amrq.model import Contract
from amrq.outputs import Origin
from amrq.signals import received_signal

CLASSES = ("BPSK", "QPSK")
NAMES_ALONE = ClassSet("names alone", tuple(NamedClass(name) for name in CLASSES))
LENGTH = 32


class SignClassifier(Classifier):
    """Says BPSK where the first sample's real part is positive, silence where it is 0; counts what it sees."""

    contract = Contract("sign", CLASSES, LENGTH, class_set=NAMES_ALONE)

    def __init__(self, before=None):
        self.before = before
        self.seen = []
        self.open_times = 0

    def open(self):
        self.open_times += 1

    def close(self):
        self.open_times -= 1

    def classify(self, chunks):
        if self.before is not None:
            self.before(chunks)
        self.seen.append(chunks.copy())
        first = chunks[:, 0].real
        usable = np.isfinite(first) & (first != 0)
        rows = np.where(first[:, None] > 0, [[-0.1, -2.35]], [[-2.35, -0.1]]).astype(np.float32)
        power = np.where(np.isfinite(first), first**2, np.nan).astype(np.float32)
        rows *= usable[:, None]
        return Evidence(rows, rows, power, usable)


class Collector(gr.basic_block):
    """Keep the messages that arrive."""

    def __init__(self):
        gr.basic_block.__init__(self, "collector", None, None)
        self.messages = []
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.keep)

    def keep(self, message):
        self.messages.append(message)


def ramp(chunks):
    """Chunk n holds n + 1 throughout."""
    return np.repeat(np.arange(1, chunks + 1), LENGTH).astype(np.complex64)


MISSING = [name for name in ("onnxruntime",) if importlib.util.find_spec(name) is None]


@unittest.skipIf(MISSING, f"the Python packages {MISSING} are not installed")
class qa_classifier_sink(gr_unittest.TestCase):
    def connect(self, source, classifier, **settings):
        self.decisions = []
        tb = gr.top_block()
        cut = blocks.stream_to_vector(gr.sizeof_gr_complex, LENGTH)
        sink = amrq.classifier_sink(
            backend=lambda model: classifier,
            on_decision=lambda decision, truth: self.decisions.append((decision, truth)),
            **settings,
        )
        tb.connect(source, cut, sink)
        self.kept = (source, cut)
        return tb, sink

    def test_every_chunk_once_and_in_order(self):
        classifier = SignClassifier()
        tb, sink = self.connect(
            blocks.vector_source_c(ramp(5000)), classifier, decision=amrq.DecisionOptions(7)
        )
        tb.run()
        np.testing.assert_array_equal(np.concatenate(classifier.seen)[:, 0].real, np.arange(1, 5001))
        statistics = sink.statistics()
        self.assertEqual((statistics.received, statistics.classified), (5000, 5000))
        self.assertEqual(statistics.decisions, len(self.decisions))
        self.assertEqual(sum(decision.chunks for decision, _ in self.decisions), 5000)
        starts = [decision.sample_index for decision, _ in self.decisions]
        self.assertEqual(starts, list(range(0, 5000 * LENGTH, 7 * LENGTH)))

    def test_another_model_takes_over_while_it_runs(self):
        first, second = SignClassifier(), SignClassifier()
        second.contract = Contract("second", ("left", "right"), LENGTH)
        models = {"default": first, "second": second}
        source, cut = (
            blocks.vector_source_c(ramp(5000)),
            blocks.stream_to_vector(gr.sizeof_gr_complex, LENGTH),
        )
        sink = amrq.classifier_sink(
            backend=lambda model: models[model],
            decision=amrq.DecisionOptions(7),
            on_decision=lambda decision, truth: self.decisions.append(decision),
        )
        self.decisions = []
        # In the middle of the first call, as another thread would.
        first.before = lambda chunks: sink.set_model("second") if sink.contract.name == "sign" else None
        tb = gr.top_block()
        tb.connect(source, cut, sink)
        tb.run()
        seen = [np.concatenate(classifier.seen)[:, 0].real for classifier in (first, second)]
        np.testing.assert_array_equal(np.concatenate(seen), np.arange(1, 5001))
        self.assertEqual(sink.statistics().classified, 5000)
        self.assertEqual(sum(decision.chunks for decision in self.decisions), 5000)
        labels = [decision.best for decision in self.decisions]
        border = labels.index("left")
        self.assertEqual(set(labels[:border]), {"BPSK"})
        self.assertEqual(set(labels[border:]), {"left"})
        self.assertEqual(self.decisions[border].sample_index, LENGTH * len(seen[0]))

    def test_a_model_is_open_only_while_it_runs(self):
        first, second = SignClassifier(), SignClassifier()
        second.contract = Contract("second", CLASSES, LENGTH)
        source, cut = blocks.vector_source_c(ramp(10)), blocks.stream_to_vector(gr.sizeof_gr_complex, LENGTH)
        sink = amrq.classifier_sink(backend=lambda model: first if model == "default" else second)
        sink.set_model("second")
        self.assertEqual((first.open_times, second.open_times), (0, 0))
        second.before = lambda chunks: self.assertEqual((first.open_times, second.open_times), (0, 1))
        tb = gr.top_block()
        tb.connect(source, cut, sink)
        tb.run()
        self.assertIsNone(sink.error)
        self.assertEqual((len(np.concatenate(second.seen)), second.open_times), (10, 0))

    def test_a_model_that_does_not_fit_does_not_take_over(self):
        longer = SignClassifier()
        longer.contract = Contract("longer", CLASSES, 2 * LENGTH)

        def backend(model):
            if model == "missing":
                raise AmrqError("there is no model missing.")
            return longer if model == "longer" else SignClassifier()

        sink = amrq.classifier_sink(backend=backend)
        with self.assertRaisesRegex(AmrqError, "its chunk_length is 64, not 32"):
            sink.set_model("longer")
        with self.assertRaisesRegex(AmrqError, "no model missing"):
            sink.set_model("missing")
        for message in (pmt.intern("missing"), pmt.from_long(3), pmt.PMT_NIL):
            sink._handle_model(message)  # says so in the log
        self.assertEqual(sink.contract.name, "sign")

    def test_publishes_decisions_and_statistics(self):
        tb, sink = self.connect(blocks.vector_source_c(ramp(640)), SignClassifier())
        decisions, statistics = Collector(), Collector()
        tb.msg_connect(sink, "decisions", decisions, "in")
        tb.msg_connect(sink, "statistics", statistics, "in")
        tb.run()
        self.assertEqual(len(decisions.messages), 20)
        values, vector = pmt.to_python(decisions.messages[1])
        self.assertEqual(values["label"], "BPSK")
        self.assertEqual(values["sample_index"], 1024)
        self.assertEqual(values["chunks"], 32)
        self.assertEqual(set(values["log_probabilities"]), set(CLASSES))
        np.testing.assert_allclose(vector, [values["log_probabilities"][c] for c in CLASSES], atol=1e-3)
        self.assertGreaterEqual(len(statistics.messages), 1)
        self.assertIn("dropped", pmt.to_python(statistics.messages[0]))

    def test_silence_ends_a_decision_and_is_said(self):
        samples = ramp(20)
        samples[10 * LENGTH :] = 0
        tb, _ = self.connect(
            blocks.vector_source_c(samples), SignClassifier(), decision=amrq.DecisionOptions(16)
        )
        tb.run()
        said = [(decision.label, decision.chunks) for decision, _ in self.decisions]
        self.assertEqual(said, [("BPSK", 10), ("no signal", 10)])

    def test_not_finite_samples_are_counted_not_classified(self):
        samples = ramp(64)
        samples[5 * LENGTH] = np.nan
        tb, sink = self.connect(blocks.vector_source_c(samples), SignClassifier())
        tb.run()
        self.assertEqual((sink.statistics().not_finite, sink.statistics().classified), (1, 63))

    def test_truth_and_sample_index_come_from_tags(self):
        tags = []
        for offset, name in ((0, "BPSK"), (640, "QPSK")):
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = offset, pmt.intern("modulation"), pmt.intern(name)
            tags.append(tag)
        self.decisions = []
        tb = gr.top_block()
        source = blocks.vector_source_c(ramp(40), False, 1, tags)
        chunker = amrq.chunker(hop=64)
        sink = amrq.classifier_sink(
            backend=lambda model: SignClassifier(),
            decision=amrq.DecisionOptions(4),
            on_decision=lambda decision, truth: self.decisions.append((decision.sample_index, truth)),
        )
        tb.connect(source, chunker, sink)
        tb.run()
        expected = [(0, "BPSK"), (256, "BPSK"), (512, None), (768, "QPSK"), (1024, "QPSK")]
        self.assertEqual(self.decisions, expected)

    def test_live_never_waits_and_counts_what_it_drops(self):
        # The classifier holds its first batch until the whole stream has passed: a sink that waited for it
        # would never end this flowgraph.
        passed = threading.Event()
        classifier = SignClassifier(before=lambda chunks: passed.wait(PATIENCE))
        tb, sink = self.connect(
            blocks.vector_source_c(ramp(20_000)),
            classifier,
            live=True,
            queue_chunks=100,
            decision=amrq.DecisionOptions(1),
        )
        tb.start()
        while sink.nitems_read(0) < 20_000:
            threading.Event().wait(0.001)
        statistics = sink.statistics()
        self.assertGreater(statistics.dropped, 10_000)
        passed.set()
        tb.stop()
        tb.wait()
        statistics = sink.statistics()
        self.assertEqual(statistics.received, 20_000)
        self.assertEqual(statistics.classified + statistics.dropped, 20_000)
        self.assertEqual(statistics.queued, 0)
        # What was decided carries the index of the chunk it was decided on: chunk n holds n + 1.
        for (decision, _), chunk in zip(self.decisions, np.concatenate(classifier.seen), strict=True):
            self.assertEqual(decision.sample_index, (chunk[0].real - 1) * LENGTH)

    def test_silence_is_seen_in_the_counters(self):
        with tempfile.TemporaryDirectory() as folder:
            counters = os.path.join(folder, "amrq.prom")
            tb, sink = self.connect(
                blocks.vector_source_c(ramp(64)),
                SignClassifier(),
                live=True,
                outputs=amrq.OutputOptions(counters=counters),
            )
            sink._last_arrival -= 1000
            self.assertGreater(sink._state().silent_seconds, 999)
            tb.run()
            with open(counters) as file:
                (value,) = [
                    line.split()[1] for line in file if line.startswith("amrq_source_silent_seconds ")
                ]
            self.assertLess(float(value), 999)

    def test_failing_inference_ends_an_endless_flowgraph(self):
        for live in (False, True):

            def fail(chunks):
                raise RuntimeError("the model is on fire")

            source = blocks.vector_source_c(ramp(64), True)
            tb, sink = self.connect(source, SignClassifier(before=fail), live=live)
            tb.run()  # returns, or the test's own time limit ends it
            self.assertIn("on fire", str(sink.error))

    def test_a_callback_that_exits_ends_an_endless_flowgraph(self):
        def leave(decision, truth):
            raise SystemExit(3)

        tb = gr.top_block()
        source = blocks.vector_source_c(ramp(64), True)
        cut = blocks.stream_to_vector(gr.sizeof_gr_complex, LENGTH)
        sink = amrq.classifier_sink(backend=lambda model: SignClassifier(), on_decision=leave)
        tb.connect(source, cut, sink)
        tb.run()
        self.assertIn("SystemExit", str(sink.error))

    def test_tags_of_the_front_end_end_decisions_and_give_es_n0(self):
        tags = []
        for offset, key, value in (
            (0, "snr_db", pmt.from_double(12.0)),
            (640, "burst_border", pmt.PMT_T),
            (640, "snr_db", pmt.from_double(float("nan"))),
            (1280, "snr_db", pmt.from_double(20.0)),
        ):
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = offset, pmt.intern(key), value
            tags.append(tag)
        found = []
        tb = gr.top_block()
        source = blocks.vector_source_c(ramp(72), False, 1, tags)
        chunker = amrq.chunker()
        sink = amrq.classifier_sink(
            backend=lambda model: SignClassifier(),
            on_decision=lambda decision, truth: found.append(
                (decision.sample_index, decision.chunks, decision.measured_es_n0_db)
            ),
        )
        tb.connect(source, chunker, sink)
        tb.run()
        # The median of what is known: 20 of the second decision's 32 chunks have no value.
        self.assertEqual(found, [(0, 20, 12.0), (640, 32, 20.0), (1664, 20, 20.0)])

    def test_decisions_say_where_the_equaliser_was_used_however_the_stream_is_cut(self):
        """The front end takes more samples at a time where these come faster; its symbols are the same."""
        random = rng("qa classifier_sink equaliser")
        sent = random.choice([1, 1j, -1, -1j], 6_000)
        sent[3_000:] += 0.6 * sent[2_999:-1]  # from there on there is an echo
        samples = received_signal(sent, 4.0, 0.35, 25.0, random)
        told = []
        for rate in (4e3, 200e3, 1e6):
            found = []
            tb = gr.top_block()
            source = blocks.vector_source_c(samples)
            front_end, chunker = amrq.symbol_front_end(rate, rate / 4), amrq.chunker()
            sink = amrq.classifier_sink(
                backend=lambda model: SignClassifier(),
                stream=amrq.StreamInfo(symbol_rate=rate / 4),
                on_decision=lambda decision, truth, found=found: found.append(decision),
            )
            tb.connect(source, front_end, chunker, sink)
            tb.run()
            origin = Origin("", rate / 4, "", "")
            places = [(decision.sample_index, decision.sample_count) for decision in found]
            located = [sink.timeline.locate(origin, *place) for place in places]
            told.append([(one.equaliser, one.snr_db, one.borders) for one in located])
        kinds = [equaliser for equaliser, _, _ in told[0]]
        self.assertEqual(kinds[:2], ["", ""])
        self.assertIn("linear", kinds)
        self.assertEqual(told[1:], [told[0], told[0]])

    def test_nothing_is_fused_across_a_retune(self):
        tags = []
        for offset, frequency in ((0, 1e9), (650, 2e9), (700, 2e9)):
            tag = gr.tag_t()
            tag.offset, tag.key, tag.value = offset, pmt.intern("rx_freq"), pmt.from_double(frequency)
            tags.append(tag)
        self.decisions = []
        tb = gr.top_block()
        source = blocks.vector_source_c(ramp(60), False, 1, tags)
        chunker = amrq.chunker()
        sink = amrq.classifier_sink(
            backend=lambda model: SignClassifier(),
            on_decision=lambda decision, truth: self.decisions.append(
                (decision.sample_index, decision.chunks)
            ),
        )
        tb.connect(source, chunker, sink)
        tb.run()
        self.assertEqual(self.decisions, [(0, 20), (650, 32), (650 + 1024, 7)])

    def test_level_is_tracked_for_a_model_that_takes_it_and_begins_anew_at_a_retune(self):
        class LevelClassifier(SignClassifier):
            contract = Contract("level", CLASSES, LENGTH, level_input=True)

            def __init__(self):
                super().__init__()
                self.levels = []

            def classify(self, chunks, tracked_power=None):
                self.levels.append(tracked_power)
                return super().classify(chunks)

        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = 40 * LENGTH, pmt.intern("rx_freq"), pmt.from_double(1e9)
        samples = np.full(80 * LENGTH, 2, np.complex64)
        for track in (True, False):
            classifier = LevelClassifier()
            tb = gr.top_block()
            source = blocks.vector_source_c(samples, False, 1, [tag])
            chunker = amrq.chunker()
            sink = amrq.classifier_sink(
                backend=lambda model, c=classifier: c, decision=amrq.DecisionOptions(track=track)
            )
            tb.connect(source, chunker, sink)
            tb.run()
            if not track:
                self.assertEqual(set(classifier.levels), {None})
                continue
            levels = np.concatenate(classifier.levels)
            known = np.arange(80) % 40 >= 16
            np.testing.assert_allclose(levels[known], 4, rtol=1e-6)
            self.assertTrue(np.isnan(levels[~known]).all())

    def test_memory_ends_at_a_retune_and_may_be_set(self):
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = 640, pmt.intern("rx_freq"), pmt.from_double(1e9)

        def confidences(memory, underway):
            decisions = []
            tb = gr.top_block()
            source = blocks.vector_source_c(ramp(40), False, 1, [tag])
            chunker = amrq.chunker()
            sink = amrq.classifier_sink(
                backend=lambda model: SignClassifier(),
                decision=amrq.DecisionOptions(1, memory=memory),
                on_decision=lambda decision, truth: decisions.append(decision.confidence),
            )
            sink.set_memory(underway)
            tb.connect(source, chunker, sink)
            tb.run()
            return decisions

        remembered, plain = confidences(0.0, 10.0), confidences(10.0, 0.0)
        self.assertEqual(len(remembered), 40)
        np.testing.assert_allclose(plain, plain[0], rtol=1e-6)
        for n in range(40):
            (self.assertAlmostEqual if n in (0, 20) else self.assertGreater)(remembered[n], plain[n])

    def test_fewer_records_where_that_is_wanted(self):
        with tempfile.TemporaryDirectory() as folder:
            times = {}
            for name, more in (
                ("all", {}),
                ("changes", {"changes": True}),
                ("every", {"every": 2.0}),
                ("both", {"changes": True, "every": 3.0}),
            ):
                log = os.path.join(folder, name)
                tb, sink = self.connect(
                    blocks.vector_source_c(ramp(160)),
                    SignClassifier(),
                    stream=amrq.StreamInfo(symbol_rate=1000.0),
                    outputs=amrq.OutputOptions(log=log, **more),
                )
                tb.run()
                self.assertIsNone(sink.error)
                with open(log) as file:
                    times[name] = [json.loads(line)["time"] for line in file]
        self.assertEqual(times["all"], [0.0, 1.024, 2.048, 3.072, 4.096])
        self.assertEqual(times["changes"], [0.0])  # the same answer all along
        self.assertEqual(times["every"], [0.0, 2.048, 4.096])
        self.assertEqual(times["both"], [0.0, 3.072])
        with self.assertRaisesRegex(AmrqError, "every must be at least 0 s"):
            amrq.OutputOptions(every=-1.0)

    def test_records_go_to_every_output_the_last_one_too(self):
        zmq = importlib.import_module("zmq")
        with tempfile.TemporaryDirectory() as folder:
            log, counters = (os.path.join(folder, name) for name in ("d.jsonl", "amrq.prom"))
            endpoint = f"ipc://{folder}/socket"
            tb, sink = self.connect(
                blocks.vector_source_c(ramp(75)),
                SignClassifier(),
                stream=amrq.StreamInfo(symbol_rate=1000.0, source="ramp"),
                outputs=amrq.OutputOptions(log=log, publish=endpoint, counters=counters),
            )
            subscriber = zmq.Context.instance().socket(zmq.SUB)
            subscriber.setsockopt(zmq.RCVTIMEO, 60_000)
            subscriber.subscribe(b"")
            subscriber.connect(endpoint)
            subscriber.poll(100)  # lets it subscribe: a PUB socket waits for nobody
            tb.run()
            with open(log) as file:
                records = [json.loads(line) for line in file]
            received = [json.loads(subscriber.recv()) for _ in records]
            subscriber.close()
            self.assertEqual(received, records)
            self.assertEqual([record["chunks"] for record in records], [32, 32, 11])
            self.assertEqual([record["time"] for record in records], [0.0, 1.024, 2.048])
            self.assertEqual({record["source"] for record in records}, {"ramp"})
            self.assertEqual({len(record["model_sha256"]) for record in records}, {64})
            with open(counters) as file:
                text = file.read()
            self.assertIn('amrq_decisions_total{label="BPSK"} 3.0\n', text)
            self.assertIn("amrq_chunks_classified_total 75.0\n", text)
            self.assertNotIn("silent_seconds", text)  # only what is live can fall silent
            tb.run()  # opens them again; the source has nothing more
            self.assertIsNone(sink.error)
        stream = blocks.vector_source_c(ramp(64), True)
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "d.jsonl")
            stream_info, outputs = amrq.StreamInfo(symbol_rate=1000.0), amrq.OutputOptions(log=log)
            tb, sink = self.connect(stream, SignClassifier(), stream=stream_info, outputs=outputs)
            tb.start()
            tb.stop()
            tb.wait()
        tb.run()  # the folder has gone
        self.assertIn("cannot be opened", str(sink.error))

    def test_an_output_that_fails_ends_the_flowgraph(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full")
        source = blocks.vector_source_c(ramp(64), True)
        stream, outputs = amrq.StreamInfo(symbol_rate=1000.0), amrq.OutputOptions(log="/dev/full")
        tb, sink = self.connect(source, SignClassifier(), stream=stream, outputs=outputs)
        tb.run()
        self.assertIn("/dev/full cannot be written", str(sink.error))

    def test_runs_again_after_a_stop(self):
        source = blocks.vector_source_c(ramp(64))
        tb, _ = self.connect(source, SignClassifier())
        tb.run()
        source.rewind()
        tb.run()
        self.assertEqual(len(self.decisions), 4)

    def test_default_model_tells_bpsk_from_16qam(self):
        for name in ("BPSK", "16QAM"):
            said = []
            tb = gr.top_block()
            source = amrq.modulation_source(name, es_n0_db=20.0, rotation=0.4)
            head = blocks.head(gr.sizeof_gr_complex, 4 * 1024)
            chunker = amrq.chunker()
            sink = amrq.classifier_sink(
                on_decision=lambda decision, truth, said=said: said.append((decision.label, truth))
            )
            tb.connect(source, head, chunker, sink)
            tb.run()
            self.assertEqual(said, [(name, name)] * 4)

    def test_the_stream_may_be_said_to_have_a_centre_frequency(self):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "d.jsonl")
            tb, sink = self.connect(
                blocks.vector_source_c(ramp(64)),
                SignClassifier(),
                stream=amrq.StreamInfo(symbol_rate=1000.0, frequency=433.92e6, offset=-5e3),
                outputs=amrq.OutputOptions(log=log),
            )
            tb.run()
            self.assertIsNone(sink.error)
            with open(log) as file:
                frequencies = [json.loads(line)["frequency_hz"] for line in file]
        self.assertEqual(frequencies, [433.915e6] * 2)

    def test_a_field_given_as_an_argument_is_shown_its_record(self):
        for name, wanted in (
            ("memory", "decision=DecisionOptions(memory=...)"),
            ("log", "outputs=OutputOptions(log=...)"),
            ("symbol_rate", "stream=StreamInfo(symbol_rate=...)"),
        ):
            with self.assertRaisesRegex(TypeError, f"{name} is a field of a record: give ") as raised:
                amrq.classifier_sink(**{name: 1})
            self.assertIn(wanted, str(raised.exception))
        with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'colour'"):
            amrq.classifier_sink(colour=1)

    def test_refuses_nonsense(self):
        def backend(model):
            return SignClassifier()

        known = amrq.StreamInfo(symbol_rate=1.0)
        for settings in (
            {"model": "no-such-model"},
            {"model": "/no/such/file.onnx"},
            {"model": __file__},
            {"backend": "abacus"},
            {"backend": backend, "stream": amrq.StreamInfo(chunk_length=64)},
            {"backend": backend, "stream": amrq.StreamInfo(samples_per_symbol=2)},
            {"backend": backend, "decision": amrq.StreamInfo()},
            {"backend": backend, "decision": {"memory": 1.0}},
            {"backend": backend, "queue_chunks": 0},
            {"backend": backend, "outputs": amrq.OutputOptions(log="decisions.jsonl")},
            {"backend": backend, "stream": known, "outputs": amrq.OutputOptions(log="/no/such/folder/log")},
            {"backend": backend, "stream": known, "outputs": amrq.OutputOptions(publish="nowhere")},
            {"backend": backend, "outputs": amrq.OutputOptions(counters="/no/such/folder/amrq.prom")},
            {"backend": amrq.BoardBackend(board_policy="wait"), "live": True},
        ):
            with self.assertRaises(AmrqError, msg=str(settings)):
                amrq.classifier_sink(**settings)


if __name__ == "__main__":
    gr_unittest.run(qa_classifier_sink)
