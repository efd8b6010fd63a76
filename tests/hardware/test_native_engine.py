# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled network gives the reference's integers, with every kind of instructions that this machine has."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from integer_chunks import extremes
from seeds import rng

from amrq.chunks import normalise
from amrq.classes import THESIS_9
from amrq.classifier import make_engine
from amrq.errors import AmrqError, ModelError
from amrq.evaluation import fresh_chunks
from amrq.hardware import (
    AlignerPrefix,
    FixedPoint,
    IntegerAligner,
    IntegerInputs,
    IntegerLayer,
    IntegerMean,
    IntegerNetwork,
    compiled,
    write_image,
)
from amrq.link import SampleFormat
from amrq.model import Contract, find_model
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


@pytest.mark.parametrize("model", ["blind-small-int4", "coherent-small-int4"])
def test_samples_as_the_integers_that_an_engine_names_give_the_same_scores(model: str) -> None:
    """So a board is sent half of what floats take."""
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    iq = normalise(
        received(rng("native sent", model), 10)[:, 0] + 1j * received(rng("native sent"), 10)[:, 1]
    ).iq
    for name in ("native", "integer"):
        engine = make_engine(name, model)
        assert engine.exact_bits == 16
        sent = SampleFormat.CI16.quantise(iq, engine.input_scale)
        given = SampleFormat.CI16.restore(sent, engine.input_scale)
        assert not np.array_equal(given, iq)
        ours, theirs = engine.run(given, None), engine.run(iq, None)
        np.testing.assert_array_equal(ours.integers, theirs.integers)  # type: ignore[union-attr]


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


def test_auto_runs_an_image_and_names_what_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    image = tmp_path / "small.npz"
    write_image("blind-small-int4", image)
    iq = rng("native image").standard_normal((9, 2, 32)).astype(np.float32)
    found = make_engine("auto", image)
    assert (found.name, found.source) == ("native", "small.npz")
    expected = make_engine("integer", "blind-small-int4").run(iq, None)
    np.testing.assert_array_equal(found.run(iq, None).integers, expected.integers)  # type: ignore[union-attr]
    monkeypatch.setattr("amrq.hardware.native_engine.kernels", lambda: None)
    assert make_engine("auto", image).name == "integer"
    image.write_bytes(b"PK")
    with pytest.raises(AmrqError, match=r"small\.npz is not an image that 'amrq board export' wrote"):
        make_engine("auto", image)
    with pytest.raises(AmrqError, match="there is no image"):
        make_engine("auto", tmp_path / "none.npz")


def test_a_file_that_does_not_align_as_it_is_marked_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    model = onnx.load(find_model("blind-small-int4"))
    assert IntegerNetwork.from_onnx(find_model("blind-small-int4")).prefix.operations == ("IntegerAligner",)
    scaled = next(node for node in model.graph.node if node.op_type == "Clip")
    scaled.op_type, scaled.input[:] = "Identity", scaled.input[:1]
    onnx.save(model, tmp_path / "same.onnx")  # not limited: no chunk of unit RMS is
    assert IntegerNetwork.from_onnx(tmp_path / "same.onnx").prefix.operations == ("IntegerAligner",)
    scaled.op_type = "Neg"
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=r"other\.onnx is marked as one that aligns in integers"):
        make_engine("native", tmp_path / "other.onnx")
    assert make_engine("auto", tmp_path / "other.onnx").name == "onnx"


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("signed", [True, False])
def test_long_kernels_large_weights_and_many_layers(instructions: str, signed: bool) -> None:
    """What AVX2 adds in 16 bits does not overflow, and no layer sees another one's rest at the ends of a chunk."""
    library = kernels()
    assert library is not None
    if instructions not in library.network_instructions():
        pytest.skip(f"this processor has no {instructions}")
    given, hidden, mean = FixedPoint(-5, signed), FixedPoint(-2, False), FixedPoint(-1, False)
    shapes = [(10, 6, 9), (17, 10, 3), (3, 17, 5), (9, 3, 1), (6, 9, 3)]
    generator = rng("native deep", int(signed))
    layers = [
        replace(
            _layer(f"symbol_{n}", shape, (hidden if n else given, mean if n == 4 else hidden), 8),
            weights=generator.choice(np.int8([-128, -127, 0, 126, 127]), shape),
            weight_exponents=np.full(shape[0], -8 if n else -7),
        )
        for n, shape in enumerate(shapes)
    ]
    network = IntegerNetwork(
        Contract("deep", ("a", "b", "c"), 32),
        _GivenPrefix(),  # type: ignore[arg-type]
        tuple(layers),
        IntegerMean(6, 32, mean, UNSIGNED),
        (_layer("head_0", (3, 6, 1), (UNSIGNED, None), 8),),
    )
    lowest, highest = given.lowest, given.highest
    symbols = generator.choice([lowest, highest], (70, 32, 6)) // generator.choice([1, 9], (70, 1, 1))
    side = np.zeros((70, 0), np.int64)
    expected = network.run(IntegerInputs(symbols, side)).integers
    assert len(np.unique(expected)) > 50
    np.testing.assert_array_equal(compiled(network, instructions).run_layers(symbols, side), expected)


class _GivenPrefix:
    """Takes the place of a prefix of six channels without operators."""

    tensors = ("symbols",)
    operations = ()

    def __call__(self, iq: np.ndarray, level: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(iq), 6, 32), np.float32), np.zeros((len(iq), 0), np.float32)


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
