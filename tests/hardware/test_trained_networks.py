# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as the training makes them, in integers."""

import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seeds import SEED

torch = pytest.importorskip("torch", reason="PyTorch is not installed: training is not tested")
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import run_by_onnxruntime  # noqa: E402

from amrq.hardware import IntegerNetwork, read_image, write_image  # noqa: E402
from amrq.model import Contract, write_contract  # noqa: E402
from amrq.training import (  # noqa: E402
    NetSettings,
    SignalBatches,
    SignalSettings,
    export,
    quantise,
)
from amrq.training.architectures import make_net  # noqa: E402

CHUNKS = 2_000


def made(path: Path, net: NetSettings, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Export an untrained network of that kind; return chunks, levels, and PyTorch's logits of them."""
    torch.manual_seed(SEED)
    batches = SignalBatches(SignalSettings(es_n0_levels=2), 32, SEED)
    network = make_net(len(batches.hypotheses), net)
    for parameter in network.parameters():
        if parameter.ndim == 1:  # biases, which begin as zeros
            torch.nn.init.normal_(parameter, std=0.1)
    iq = torch.from_numpy(batches.batch(0, CHUNKS).iq)
    level = 2 * torch.rand(CHUNKS, 3)
    inputs = (iq, level) if net.level_input else (iq,)
    quantise(network, bits, [tuple(x[:200] for x in inputs)])
    network.eval()
    export(network, path, 32, batches.hypotheses, net.level_input)
    classes = tuple(dict.fromkeys(h.label for h in batches.hypotheses))
    hypotheses = tuple(batches.hypotheses)
    write_contract(path, Contract("made", classes, 32, level_input=net.level_input, hypotheses=hypotheses))
    with torch.no_grad():
        logits = network(*inputs).numpy()
    return iq.numpy(), level.numpy(), logits


SMALL = NetSettings(symbol_channels=(24, 24), head_widths=(24,))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("level", [False, True])
def test_a_symbolwise_network_is_the_same_to_the_bit_everywhere(
    tmp_path: Path, bits: int, level: bool
) -> None:
    path = tmp_path / "net.onnx"
    settings = replace(SMALL, architecture="symbolwise", level_input=level)
    iq, levels, expected = made(path, settings, bits)
    network = IntegerNetwork.from_onnx(path)
    assert network.prefix.operations == ("Abs",)
    given = {"iq": iq, "level": levels} if level else {"iq": iq}
    found = network.run(network.round_inputs(*given.values())).logits
    assert len(np.unique(found)) > 100
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, run_by_onnxruntime(path, given))


def test_an_aligned_network_is_the_same_behind_its_alignment(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    iq, _, expected = made(path, replace(SMALL, first_kernel=3), 8)
    network = IntegerNetwork.from_onnx(path)
    found = network.run(network.round_inputs(iq)).logits
    # PyTorch's alignment adds in another order, so that a feature may fall to the other side of a tie; ONNX Runtime's
    # does not on x86-64.
    theirs = run_by_onnxruntime(path, {"iq": iq})
    for other in (expected, theirs):
        assert (found == other).all(axis=1).mean() > 0.98
        assert (found.argmax(axis=1) == other.argmax(axis=1)).mean() > 0.995
    if platform.machine().lower() in ("x86_64", "amd64"):
        np.testing.assert_array_equal(found, theirs)

    # From the first rounding on there is nothing left to differ.
    tensors = network.prefix.tensors
    values = dict(zip(tensors, network.prefix(iq), strict=True))
    model = onnx.load(str(path))
    for tensor, v in values.items():
        shape = ["N", *v.shape[1:]]
        model.graph.value_info.append(
            onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, shape)
        )
    part = onnx.utils.Extractor(model).extract_model(list(tensors), ["hypothesis_logits"])
    onnx.save(part, str(tmp_path / "part.onnx"))
    np.testing.assert_array_equal(found, run_by_onnxruntime(tmp_path / "part.onnx", values))


@pytest.mark.parametrize("bits", [4, 8])
def test_a_network_with_the_integer_aligner_is_the_same_to_the_bit_everywhere(
    tmp_path: Path, bits: int
) -> None:
    path = tmp_path / "net.onnx"
    iq, _, expected = made(path, replace(SMALL, first_kernel=3, aligner="integer"), bits)
    network = IntegerNetwork.from_onnx(path)
    assert network.prefix.operations == ("IntegerAligner",)
    found = network.run(network.round_inputs(iq)).logits
    assert len(np.unique(found)) > 100
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, run_by_onnxruntime(path, {"iq": iq}))
    write_image(path, tmp_path / "net.npz")
    image, _ = read_image(tmp_path / "net.npz")
    np.testing.assert_array_equal(found, image.run(image.round_inputs(iq)).logits)
