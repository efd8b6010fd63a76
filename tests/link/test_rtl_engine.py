# SPDX-License-Identifier: GPL-3.0-or-later
"""A board whose engine is the simulated hardware."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from boards import MODEL, board, chunks, client, image
from seeds import rng

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import quantised_onnx, random_layer, random_spec  # noqa: E402

from amrq.chunks import normalise  # noqa: E402
from amrq.classifier import make_classifier, make_engine  # noqa: E402
from amrq.errors import AmrqError  # noqa: E402
from amrq.hardware import IntegerEngine  # noqa: E402
from amrq.hardware.rtl import RtlEngine, Simulation  # noqa: E402
from amrq.link import Capabilities, LinkSettings, SampleFormat  # noqa: E402

# Icarus is built in no time, and a few chunks are soon through it.
SIMULATOR = next((name for name in ("iverilog", "verilator") if shutil.which(name)), None)
pytestmark = pytest.mark.skipif(SIMULATOR is None, reason="neither iverilog nor verilator is installed")

PATIENT = LinkSettings(timeout=200.0, heartbeat=100.0, connect_timeout=60.0)
COMMAND = ("-m", "amrq", "board", "--engine", "rtl", "--simulator", str(SIMULATOR), "--model")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network of a few neurons, so that Icarus is quick; it takes the level as well."""
    generator = rng("rtl engine")
    spec = random_spec(generator, 4, level=True)
    spec.symbol = [random_layer(generator, 2, 5, spec.symbol[0].exponent, 4)]
    spec.head = [random_layer(generator, 8, 5, -7, 4)]
    return str(quantised_onnx(tmp_path_factory.mktemp("rtl") / "few.onnx", spec))


def test_a_board_of_hardware_decides_as_the_integers_do(model: str) -> None:
    given = chunks(200, "rtl")
    power = np.linspace(0.5, 2, len(given)).astype(np.float32)
    with board(model, program=COMMAND) as started:
        with client(started.endpoint, settings=PATIENT, model=model) as asked:
            found = asked.classify(given, power)
            assert asked.counters()["by_board"] == len(given)
        summary = started.end()
    expected = make_classifier(model, "integer").classify(given, power)
    np.testing.assert_array_equal(found.log_likelihoods, expected.log_likelihoods)
    np.testing.assert_array_equal(found.log_probabilities.argmax(1), expected.log_probabilities.argmax(1))
    assert "building a simulation" in started.said[0]
    assert "scores equal to the integer reference's" in started.said[1]
    assert "200 chunks in" in summary


def test_a_shipped_model() -> None:
    iq = normalise(chunks(4, "rtl shipped")).iq
    with closing(make_engine("rtl", image(MODEL), simulator=SIMULATOR)) as engine:
        found = engine.run(iq, None)
    np.testing.assert_array_equal(found.integers, IntegerEngine(image(MODEL)).run(iq, None).integers)


@pytest.fixture(scope="module")
def engines(model: str) -> Iterator[dict[int, RtlEngine]]:
    made = {bits: RtlEngine(model, bits, SIMULATOR) for bits in (8, 9)}
    yield made
    for engine in made.values():
        engine.close()


@pytest.mark.parametrize("bits", [8, 9])
def test_formats_that_are_called_exact_are(engines: dict[int, RtlEngine], bits: int) -> None:
    engine = engines[bits]
    iq = normalise(chunks(200, "rtl formats", bits)).iq * np.float32(1.5)  # some beyond the port's end
    level = np.ones((len(iq), 3), np.float32)
    expected = engine.run(iq, level)
    exact = []
    for format in (SampleFormat.CI8, SampleFormat.CI16):
        scale = engine.input_scale
        found = engine.run(format.restore(format.quantise(iq, scale), scale), level)
        if np.array_equal(found.integers, expected.integers):
            exact.append(format)
        assert (format in exact) == bool(Capabilities.of(engine, 256).exact_formats & format.bit), format
    # With 8 bits the port itself is ci8; with 9 nothing is lost against the model.
    assert exact[0] == (SampleFormat.CI8 if bits == 8 else SampleFormat.CI16)
    integers = engine.network.run(engine.network.round_inputs(iq, level)).integers
    assert np.array_equal(integers, expected.integers) == (bits == 9)


def test_a_simulator_that_died_is_an_error_of_one_request(engines: dict[int, RtlEngine]) -> None:
    engine = engines[9]
    iq, level = normalise(chunks(1, "rtl dies")).iq, np.zeros((1, 3), np.float32)
    expected = engine.run(iq, level)
    assert engine.simulation._process is not None
    os.kill(engine.simulation._process.pid, signal.SIGKILL)
    with pytest.raises(AmrqError, match="ended by itself"):
        engine.run(iq, level)
    np.testing.assert_array_equal(engine.run(iq, level).integers, expected.integers)


def test_hardware_that_differs_is_not_served(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Simulation.run
    monkeypatch.setattr(Simulation, "run", lambda self, *given: right(self, *given) ^ 1)
    with pytest.raises(AmrqError, match="does not say what the integer reference says"):
        make_engine("rtl", model, simulator=SIMULATOR)
