# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions on few chunks at the beginning of a signal, behind the front end."""

import numpy as np
import pytest
from seeds import rng

pytest.importorskip("gnuradio", reason="needs GNU Radio")

from gnuradio import blocks, gr
from gnuradio.amrq.symbol_front_end import symbol_front_end

from amrq.classes import THESIS_9
from amrq.classifier import make_classifier
from amrq.decision import Decision, DecisionMaker, DecisionOptions
from amrq.signals import received_signal

LENGTH, CHUNKS, MOST = 32, 13, 11


def first_chunks(modulation: str, es_n0_db: float, number: int) -> np.ndarray:
    """Return the first chunks of a signal whose carrier is off by some per cent of the symbol rate."""
    random = rng("short decisions", modulation, str(es_n0_db), number)
    sent = random.choice(THESIS_9[modulation].points, 32 * LENGTH)
    offset = float(random.choice([-1, 1]) * random.uniform(0.01, 0.05))
    samples = received_signal(sent, 4.7, 0.35, es_n0_db, random, offset=offset)
    graph = gr.top_block()
    source, front_end, sink = (
        blocks.vector_source_c(samples),
        symbol_front_end(4.7, 1.0),
        blocks.vector_sink_c(),
    )
    graph.connect(source, front_end, sink)
    graph.run()
    return np.array(sink.data(), np.complex64)[: CHUNKS * LENGTH].reshape(CHUNKS, LENGTH)


@pytest.mark.parametrize("es_n0_db", [12.5, 15.0, 17.5, 20.0])
def test_16qam_that_has_just_begun_is_not_called_32qam(es_n0_db: float) -> None:
    classifier = make_classifier("default")
    contract = classifier.contract
    found: list[Decision] = []
    for number in range(5):
        evidence = classifier.classify(first_chunks("16QAM", es_n0_db, number))
        for start in (0, 2):
            for count in range(4, MOST + 1):
                maker = DecisionMaker(
                    contract.weighed(),
                    LENGTH,
                    DecisionOptions(32, change_evidence=15.0),
                    contract.fusion_chunks,
                )
                indices = LENGTH * np.arange(count, dtype=np.int64)
                maker.update(evidence.part(start, start + count), indices)
                found += maker.flush()
    labels = [decision.label for decision in found]
    assert "32QAM" not in labels
    assert labels.count("16QAM") >= 0.9 * len(labels)
    assert all(decision.chunks <= MOST for decision in found)
