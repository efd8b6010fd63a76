# SPDX-License-Identifier: GPL-3.0-or-later
"""One layer, and the mean, in integers."""

from dataclasses import replace

import numpy as np
import pytest
from seeds import rng

from amrq.errors import AmrqError
from amrq.hardware import FixedPoint, IntegerLayer, IntegerMean


def layer_of(weights, biases=None, **changes) -> IntegerLayer:
    weights = np.array(weights, np.int8)
    biases = np.zeros(len(weights)) if biases is None else np.array(biases)
    given = {
        "name": "layer_1",
        "weights": weights,
        "biases": biases.astype(np.int32),
        "weight_exponents": np.zeros(len(weights), np.int64),
        "input": FixedPoint(0, signed=False),
        "output": FixedPoint(0, signed=False),
        "relu": True,
        "per_symbol": True,
    }
    return IntegerLayer(**(given | changes))


def test_a_convolution_sees_its_neighbours_and_zeros_beyond_the_ends():
    layer = layer_of([[[1, 10, 100]]])
    x = np.array([[[1], [2], [3]]])
    # At each symbol: 1 times the one before, 10 times itself, 100 times the next.
    assert layer.accumulate(x)[0, :, 0].tolist() == [210, 321, 32]


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("signed", [False, True])
def test_sums_are_those_of_plain_loops(kernel, signed):
    generator = rng("loops", kernel, signed)
    x = generator.integers(*((-128, 128) if signed else (0, 256)), (3, 8, 4))
    weights, biases = generator.integers(-128, 128, (5, 4, kernel)), generator.integers(-9999, 9999, 5)
    layer = layer_of(weights, biases, input=FixedPoint(0, signed))
    reach = kernel // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (0, 0)))
    expected = np.empty((3, 8, 5), np.int64)
    for n in range(8):
        for o in range(5):
            products = padded[:, n : n + kernel].transpose(0, 2, 1) * weights[o]
            expected[:, n, o] = products.sum(axis=(1, 2)) + biases[o]
    np.testing.assert_array_equal(layer.accumulate(x), expected)


def test_relu_and_the_range_of_the_output():
    x = np.array([[[3], [-3], [100], [-100]]])
    signed = {"input": FixedPoint(0, True)}
    assert layer_of([[[2]]], **signed).run(x)[0, :, 0].tolist() == [6, 0, 200, 0]
    both = FixedPoint(0, True)
    assert layer_of([[[2]]], **signed, output=both).run(x)[0, :, 0].tolist() == [6, 0, 127, 0]
    assert layer_of([[[2]]], **signed, output=both, relu=False).run(x)[0, :, 0].tolist() == [6, -6, 127, -128]
    assert layer_of([[[2]]], **signed, output=None).run(x)[0, :, 0].tolist() == [6, -6, 200, -200]


def test_exponents_become_shifts():
    layer = layer_of(
        [[[1]], [[1]]],
        weight_exponents=np.array([-9, -4]),
        input=FixedPoint(-5, False),
        output=FixedPoint(-6, False),
    )
    assert layer.accumulator_exponents.tolist() == [-14, -9]
    assert layer.shifts.tolist() == [8, 3]
    with pytest.raises(AmrqError, match="last one"):
        _ = replace(layer, output=None).shifts


@pytest.mark.parametrize("signed", [False, True])
def test_no_order_of_adding_leaves_the_accumulator(signed):
    """The bound is met by the worst inputs, added in the worst order, and by no bit more than is needed."""
    generator = rng("accumulator", signed)
    for _ in range(50):
        weights = generator.integers(-128, 128, (3, 5, 3))
        biases = generator.integers(-5000, 5000, 3)
        layer = layer_of(weights, biases, input=FixedPoint(0, signed))
        low, high = layer.input.lowest, layer.input.highest
        terms = [
            [*(max(low * w, high * w) for w in row.ravel()), b]
            for row, b in zip(weights, biases, strict=True)
        ]
        most = max(sum(t for t in row if t > 0) for row in terms)
        terms = [
            [*(min(low * w, high * w) for w in row.ravel()), b]
            for row, b in zip(weights, biases, strict=True)
        ]
        least = min(sum(t for t in row if t < 0) for row in terms)
        assert layer.accumulator_range == (least, most)
        bits = layer.accumulator_bits
        assert -(2 ** (bits - 1)) <= least and most < 2 ** (bits - 1)
        assert least < -(2 ** (bits - 2)) or most >= 2 ** (bits - 2)


@pytest.mark.parametrize(
    ("weights", "bits"), [([7, -7], 4), ([7, -8], 4), ([8, 0], 5), ([127, 1], 8), ([0, -1], 1), ([5, 6], 4)]
)
def test_width_of_weights(weights, bits):
    assert layer_of([[[w]] for w in weights]).weight_bits == bits


def test_sums_that_float32_cannot_hold_are_exact_and_those_of_more_than_32_bits_refused():
    inputs = 2**24 // (127 * 255)
    assert layer_of(np.full((1, inputs, 1), 127)).exact_in_float32
    wide = layer_of(np.full((1, inputs + 1, 1), 127), [1])
    assert not wide.exact_in_float32
    assert wide.accumulate(np.full((1, 1, inputs + 1), 255)).tolist() == [[[(inputs + 1) * 127 * 255 + 1]]]
    assert not layer_of([[[1]]], [2**24]).exact_in_float32
    with pytest.raises(AmrqError, match="2\\^31"):
        layer_of([[[1]]], [2**31 - 1])
    # The bound's edge itself is added exactly.
    x = np.full((1, 1, inputs), 255)
    edge = 2**24 - 1 - inputs * 127 * 255
    assert layer_of(np.full((1, inputs, 1), 127), [edge]).accumulate(x).tolist() == [[[2**24 - 1]]]


def test_what_is_no_layer_is_refused():
    with pytest.raises(AmrqError, match="as many biases"):
        layer_of([[[1]]], [1, 2])
    with pytest.raises(AmrqError, match="odd"):
        layer_of([[[1, 1]]])
    with pytest.raises(AmrqError, match="odd"):
        layer_of([[[1, 1, 1]]], per_symbol=False)


def test_the_mean_is_a_shift():
    mean = IntegerMean(2, 4, FixedPoint(-3, False), FixedPoint(-4, False))
    assert mean.shift == 1
    assert mean.accumulator_bits == 10
    # Sums 5 and 11 in units of 2^-3 / 4 become 2.5 and 5.5 in units of 2^-4.
    x = np.array([[[1, 2], [2, 3], [0, 3], [2, 3]]])
    assert mean.run(x).tolist() == [[2, 6]]
    with pytest.raises(AmrqError, match="power of two"):
        IntegerMean(2, 24, FixedPoint(0, False), FixedPoint(0, False))
