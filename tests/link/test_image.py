# SPDX-License-Identifier: GPL-3.0-or-later
"""A model without ONNX: the same to the bit, and served where there is nothing but NumPy and PyZMQ."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import board, chunks, client, image

from amrq.classifier import make_classifier
from amrq.errors import AmrqError
from amrq.hardware import IntegerNetwork, read_image, write_image
from amrq.link import LinkSettings
from amrq.model import find_model

MODELS = Path(__file__).parents[2] / "docs" / "thesis" / "models"
WITHOUT = """
import runpy, sys
for name in ("onnx", "onnxruntime", "typer", "rich", "sigmf", "soundfile", "matplotlib", "torch", "gnuradio", "scipy"):
    sys.modules[name] = None
sys.argv[0] = "amrq.link"
runpy.run_module("amrq.link", run_name="__main__")
"""


@pytest.mark.parametrize("model", ["blind-small-int8", "blind-full-int4", "coherent-full-int8"])
def test_an_image_computes_what_the_model_does(model: str) -> None:
    network, sha256 = read_image(image(model))
    original = IntegerNetwork.from_onnx(model)
    given = chunks(300, model)
    power = (np.abs(given) ** 2).mean(axis=1).astype(np.float32)
    ours, theirs = (one.scores(given, power) for one in (network, original))
    np.testing.assert_array_equal(ours.integers, theirs.integers)
    assert ours.exponent == theirs.exponent
    assert network.contract == original.contract
    assert sha256 == hashlib.sha256(find_model(model).read_bytes()).digest()


@pytest.mark.parametrize("bits", [4, 8])
def test_an_image_of_one_of_the_thesis_s_networks(bits: int, tmp_path: Path) -> None:
    model = MODELS / f"vgglike_2f_2c_2re_2mp_{bits}bit_pr_20.onnx"
    write_image(model, tmp_path / "image.npz")
    network, _ = read_image(tmp_path / "image.npz")
    given = chunks(300, "thesis")
    np.testing.assert_array_equal(
        network.scores(given).integers, IntegerNetwork.from_onnx(model).scores(given).integers
    )


def test_it_is_served_with_numpy_and_pyzmq_alone(tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(WITHOUT)
    model = "coherent-full-int4"  # takes a level
    given = chunks(500, "image")
    power = (np.abs(given) ** 2).mean(axis=1).astype(np.float32) * np.float32(1.2)
    with board(model, program=(str(script),)) as bare:
        with client(bare.endpoint, model=model) as classifier:
            found = classifier.classify(given, power)
        with client(bare.endpoint, model="board") as classifier:
            again = classifier.classify(given, power)
    expected = make_classifier(model, "integer").classify(given, power)
    for ours, others, theirs in zip(found[:4], again[:4], expected[:4], strict=True):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(others, theirs)


def test_a_board_whose_model_is_asked_for_must_be_there() -> None:
    with (
        pytest.raises(AmrqError, match="no board answers at"),
        client("tcp://127.0.0.1:9", model="board", settings=LinkSettings(connect_timeout=0.0)),
    ):
        pass
    with (
        pytest.raises(AmrqError, match="name it in place"),
        client("tcp://127.0.0.1:9", "local", model="board"),
    ):
        pass


def test_what_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(AmrqError, match=r"must end in \.npz"):
        write_image("coherent-small-int4", tmp_path / "image.bin")
    with pytest.raises(AmrqError, match="cannot be written"):
        write_image("coherent-small-int4", tmp_path / "none" / "image.npz")
    with pytest.raises(AmrqError, match="floating point"):
        write_image("coherent-small-float32", tmp_path / "image.npz")
    assert not list(tmp_path.iterdir())
    whole = Path(image("coherent-small-int4")).read_bytes()
    for number, damaged in enumerate((b"", b"nonsense", whole[:1000], whole[:-30])):
        file = tmp_path / f"{number}.npz"
        file.write_bytes(damaged)
        with pytest.raises(AmrqError, match="is not an image"):
            read_image(file)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(AmrqError, match="is not an image"):
        read_image(tmp_path / "other.npz")


def test_an_image_whose_numbers_are_beyond_all_bounds(tmp_path: Path) -> None:
    with np.load(image("coherent-small-int4")) as stored:
        arrays = dict(stored)
    described = json.loads(arrays["description"].tobytes())
    layer = described["layers"][0]["name"]

    def refused(why: str, description: dict[str, Any], **others: Any) -> None:
        text = np.frombuffer(json.dumps(description).encode(), np.uint8)
        np.savez_compressed(tmp_path / "bad.npz", **{**arrays, "description": text, **others})
        with pytest.raises(AmrqError, match=why):
            read_image(tmp_path / "bad.npz")

    least = np.full_like(arrays[f"{layer}/weight_exponents"], np.iinfo(np.int64).min)
    refused("weight exponents beyond", described, **{f"{layer}/weight_exponents": least})
    refused("has 40000 layers", {**described, "layers": 10_000 * described["layers"]})
    refused("has 0 layers", {**described, "layers": []})
