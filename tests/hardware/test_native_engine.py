# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled network gives the reference's integers, with every kind of instructions that this machine has."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from integer_chunks import extremes
from seeds import rng

from amrq.classes import THESIS_9
from amrq.classifier import make_engine
from amrq.errors import AmrqError
from amrq.evaluation import fresh_chunks
from amrq.hardware import (
    AlignerPrefix,
    FixedPoint,
    IntegerAligner,
    IntegerLayer,
    IntegerMean,
    IntegerNetwork,
    compiled,
)
from amrq.model import Contract
from amrq.native import INSTRUCTIONS, kernels, missing

UNSIGNED = FixedPoint(-5, False)


@pytest.fixture(autouse=True)
def _compiled_library() -> None:
    library = kernels()
    if library is None or not library.network_instructions():
        pytest.skip(str(missing()))


def _layer(
    name: str, shape: tuple[int, int, int], points: Sequence[FixedPoint | None], bits: int
) -> IntegerLayer:
    generator = rng("native layer", name, bits, *shape)
    most = (1 << (bits - 1)) - 1
    first, after = points
    assert first is not None
    return IntegerLayer(
        name,
        generator.integers(-most, most + 1, shape).astype(np.int8),
        generator.integers(-3000, 3000, shape[0]).astype(np.int32),
        generator.integers(-9, -3, shape[0]) - (0 if bits > 4 else -4),
        first,
        after,
        after is not None,
        name.startswith("symbol"),
    )


def _network(bits: int, widths: Sequence[int], kernel: int) -> IntegerNetwork:
    """A network with the aligner and random weights."""
    one, two, hidden, outputs = widths
    symbol, mean, head = FixedPoint(-4, False), FixedPoint(-3, False), FixedPoint(-2, False)
    return IntegerNetwork(
        Contract("random", tuple(f"class {n}" for n in range(outputs)), 32),
        AlignerPrefix(),
        (
            _layer("symbol_0", (one, 15, kernel), (FixedPoint(-5, True), symbol), bits),
            _layer("symbol_1", (two, one, 1), (symbol, mean), bits),
        ),
        IntegerMean(two, 32, mean, UNSIGNED),
        (
            _layer("head_0", (hidden, two + 8, 1), (UNSIGNED, head), bits),
            _layer("head_1", (outputs, hidden, 1), (head, None), bits),
        ),
    )


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize(
    ("bits", "widths", "kernel"), [(8, (56, 64, 64, 65), 3), (4, (37, 43, 30, 11), 1), (8, (3, 5, 2, 3), 5)]
)
def test_scores_are_those_of_the_reference(
    instructions: str, bits: int, widths: tuple[int, ...], kernel: int
) -> None:
    library = kernels()
    assert library is not None
    if instructions not in library.network_instructions():
        pytest.skip(f"this processor has no {instructions}")
    network = _network(bits, widths, kernel)
    native = compiled(network, instructions)
    assert native.instructions == instructions
    generator = rng("native", bits, kernel)
    chunks = np.concatenate([*extremes(generator, 37).values(), received(generator, 60)]).astype(np.int16)
    expected = network.run(IntegerAligner().align(chunks)).integers
    assert len(np.unique(expected)) > 100
    np.testing.assert_array_equal(native.run(chunks), expected)
    for count in (0, 1, 31, 32, 33):
        np.testing.assert_array_equal(native.run(chunks[:count]), expected[:count])


def received(generator: np.random.Generator, count: int) -> np.ndarray:
    """Chunks of every class at 0 to 30 dB, any phase, levels over 60 dB: int64 [9 count, 2, 32]."""
    made = [fresh_chunks(name, count, 32, float(generator.uniform(0, 30)), generator) for name in THESIS_9]
    chunks = np.concatenate(made) * 10 ** generator.uniform(0.5, 3.5, (9 * count, 1))
    return (
        np.rint(np.stack([chunks.real, chunks.imag], axis=1)).clip(-(1 << 15), (1 << 15) - 1).astype(np.int64)
    )


def test_chunks_of_unit_rms_become_the_same_integers() -> None:
    iq = rng("native received").standard_normal((50, 2, 32)).astype(np.float32)
    iq[0, 0, :4] = 9.0, -9.0, 0.5 / 4096, 1.5 / 4096  # beyond 16 bits, and ties
    native = compiled(_network(8, (3, 5, 2, 3), 1))
    np.testing.assert_array_equal(native.received(iq), IntegerAligner.received(iq))


def test_other_networks_are_refused_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AmrqError, match="layer 1"):
        compiled(_network(8, (8, 130, 2, 3), 1))
    with pytest.raises(AmrqError, match="layer 0"):
        compiled(_network(8, (8, 8, 2, 3), 11))
    with pytest.raises(AmrqError, match="no instructions 'sse'"):
        compiled(_network(8, (8, 8, 2, 3), 1), "sse")
    monkeypatch.setattr("amrq.hardware.native_engine.kernels", lambda: None)
    with pytest.raises(AmrqError, match="compiled library"):
        compiled(_network(8, (8, 8, 2, 3), 1))


def test_a_model_for_a_known_phase_runs_too() -> None:
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    iq = rng("native coherent").standard_normal((70, 2, 32)).astype(np.float32)
    native, reference = (make_engine(name, "coherent-full-int8") for name in ("native", "integer"))
    level = np.abs(rng("native level").standard_normal((70, 3))).astype(np.float32)
    ours, theirs = native.run(iq, level), reference.run(iq, level)
    np.testing.assert_array_equal(ours.integers, theirs.integers)  # type: ignore[union-attr]
    assert ours.exponent == theirs.exponent  # type: ignore[union-attr]


def test_auto_is_native_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    assert make_engine("auto", "coherent-small-int4").name == "native"
    assert make_engine("auto", "coherent-small-float32").name == "onnx"
    with pytest.raises(AmrqError, match="no-such"):
        make_engine("auto", tmp_path / "no-such.onnx")
    with pytest.raises(AmrqError, match="auto has no option 'input_bits'"):
        make_engine("auto", "coherent-small-int4", input_bits=9)
    monkeypatch.setattr("amrq.hardware.native_engine.kernels", lambda: None)
    assert make_engine("auto", "coherent-small-int4", threads=2).name == "onnx"


def test_threads_run_side_by_side_on_one_network() -> None:
    network = _network(4, (8, 8, 8, 5), 1)
    native = compiled(network)
    chunks = received(rng("native threads"), 40).astype(np.int16)
    expected = native.run(chunks)
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(native.run(chunks))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(scores, expected) for scores in found)
