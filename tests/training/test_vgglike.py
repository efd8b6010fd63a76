# SPDX-License-Identifier: GPL-3.0-or-later
"""The thesis's networks: both ways of running them, and channels removed."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import SEED, seed
from thesis import RECIPE, network

from amrq.errors import AmrqError
from amrq.hardware import read_layer_sizes
from amrq.model import open_session
from amrq.sweep import integer_layers
from amrq.training import QuantisedLayer, export, quantise, remove_channels
from amrq.training.architectures import VggLikeNet

CHUNKS = torch.randn(257, 2, 32, generator=torch.Generator().manual_seed(SEED))
WEIGHTS = {  # of reference tables
    "vgglike_5f_5c_4re_4mp": 2_260_288,
    "vgglike_5f_4c_4re_4mp": 1_342_784,
    "vgglike_5f_3c_4re_3mp": 1_244_480,
    "vgglike_3f_3c_2re_3mp": 359_744,
    "vgglike_3f_2c_2re_2mp": 335_168,
    "vgglike_2f_2c_2re_2mp": 273_088,
    "vgglike_2f_1c_1re_1mp": 266_944,
}


def layers(net: VggLikeNet) -> list[QuantisedLayer]:
    return [module for module in net.modules() if isinstance(module, QuantisedLayer)]


@st.composite
def shapes(draw: st.DrawFn) -> VggLikeNet:
    torch.manual_seed(seed("vgglike", draw(st.integers(0, 1000))))
    channels = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    hidden = draw(st.lists(st.integers(1, 7), max_size=2))
    return VggLikeNet(5, channels, draw(st.integers(0, len(channels))), hidden, 16)


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_thesis_has_so_many_weights(name: str) -> None:
    assert sum(layer.weight.numel() for layer in layers(network(name))) == WEIGHTS[name]


def test_training_and_evaluation_compute_the_same() -> None:
    for bits in (32, 8, 4):
        torch.manual_seed(seed("vgglike", bits))
        net = network("vgglike_3f_2c_2re_2mp").eval()
        if bits < 32:
            quantise(net, bits, [(CHUNKS,)])
        with torch.no_grad():
            evaluated, trained = net(CHUNKS), net.train()(CHUNKS)
        # Sums in another order; a rounded network can take a value right between two steps to the other side.
        agree = torch.isclose(evaluated, trained, rtol=1e-3, atol=1e-3).float().mean()
        assert agree > (0.99 if bits < 32 else 0.9999)


@pytest.mark.parametrize("bits", [8, 6, 4])
@pytest.mark.parametrize("pruned", [0.0, 0.2])
def test_an_exported_network_runs_in_integers_and_decides_alike(
    bits: int, pruned: float, tmp_path: Path
) -> None:
    torch.manual_seed(seed("vgglike", bits))
    net = remove_channels(network("vgglike_3f_3c_2re_3mp"), pruned).eval()
    quantise(net, bits, [(CHUNKS,)])
    path = tmp_path / "net.onnx"
    export(net, path, 32, ())
    assert integer_layers(path.read_bytes()) == (6, 0)
    with torch.no_grad():
        expected = net(CHUNKS).argmax(dim=1).numpy()
    (found,) = open_session(path).run(["logits"], {"iq": CHUNKS.numpy()})
    assert (found.argmax(axis=1) == expected).mean() >= 0.999
    assert max(abs(int(w)) for w in _stored(path)) <= 2 ** (bits - 1) - 1


def _stored(path: Path) -> np.ndarray:
    import onnx

    tensors = [onnx.numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer]
    return np.concatenate([t.ravel().astype(np.int64) for t in tensors if t.dtype == np.int8 and t.size > 1])


@given(net=shapes(), share=st.sampled_from([0.1, 0.2, 0.3, 0.5]))
@settings(max_examples=60)
def test_at_least_the_promised_share_goes_and_its_inputs_with_it(net: VggLikeNet, share: float) -> None:
    widths = [*net.channels, *net.hidden]
    if any(width - math.ceil(share * width) < 1 for width in widths):
        with pytest.raises(AmrqError, match="leave a layer without any"):
            remove_channels(net, share)
        return
    smaller = remove_channels(net, share)
    left = [width - math.ceil(share * width) for width in widths]
    assert [*smaller.channels, *smaller.hidden] == left
    assert all(now <= (1 - share) * before + 1e-9 for now, before in zip(left, widths, strict=True))
    assert smaller(torch.randn(3, 2, 16)).shape == (3, 5)


@given(net=shapes())
@settings(max_examples=60)
def test_channels_that_do_nothing_are_removed_without_a_trace(net: VggLikeNet) -> None:
    """A law: with half of each layer's outputs silent, the network without them gives the same."""
    doubled = VggLikeNet(5, [2 * c for c in net.channels], len(net.pools), [2 * h for h in net.hidden], 16)
    positions = 16 >> len(net.pools)
    with torch.no_grad():
        for number, (big, small) in enumerate(zip(layers(doubled), layers(net), strict=True)):
            big.weight.zero_()
            big.bias.zero_()
            rows = slice(1, None, 2) if number < len(layers(net)) - 1 else slice(None)
            # Silent ones stand at the even places; in front of the dense layers each is some positions wide.
            columns = torch.arange(big.weight.shape[1])
            if number == len(net.channels):
                columns = columns[columns // positions % 2 == 1]
            elif number:
                columns = columns[1::2]
            big.weight[rows, columns] = small.weight
            big.bias[rows] = small.bias
    x = torch.randn(9, 2, 16)
    with torch.no_grad():
        expected = net.eval()(x)
        found = remove_channels(doubled, 0.5).eval()(x)
    silent = any(not layer.weight.abs().flatten(1).sum(dim=1).all() for layer in layers(net)[:-1])
    if not silent:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_training_brings_nothing_back(tmp_path: Path) -> None:
    torch.manual_seed(SEED)
    whole = network("vgglike_2f_1c_1re_1mp")
    before = copy.deepcopy(whole.state_dict())
    net = remove_channels(whole, 0.3)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), whole.state_dict().values(), strict=True))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(5):
        optimiser.zero_grad()
        net.train()(CHUNKS).square().mean().backward()
        optimiser.step()
    export(net, tmp_path / "net.onnx", 32, ())
    sizes = read_layer_sizes(tmp_path / "net.onnx")
    # 22 of 32 filters and 358 of 512 neurons are left: at most so many weights, whatever their values.
    most = [22 * 2 * 3, 0, 22 * 16 * 358, 358 * 9]
    assert all(size.weights <= limit for size, limit in zip(sizes, most, strict=True))
    assert sum(size.weights for size in sizes) > 0.99 * sum(most)


def test_a_share_that_is_none_is_refused() -> None:
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(AmrqError, match="from 0 to below 1"):
            remove_channels(network("vgglike_2f_1c_1re_1mp"), share)


def test_the_recipe_names_the_thesis_grid() -> None:
    assert len(RECIPE.architectures) * len(RECIPE.grid.weight_bits) * len(RECIPE.grid.pruned) == 84
