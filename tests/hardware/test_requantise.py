# SPDX-License-Identifier: GPL-3.0-or-later
"""Shifts that round half to even and saturate."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amrq.errors import AmrqError
from amrq.hardware import FixedPoint, requantise

whole = st.integers(-(2**53) + 1, 2**53 - 1)
ranges = st.sampled_from([(-128, 127), (0, 255), (0, 127), (-(2**15), 2**15 - 1)])


def expected(accumulator: int, shift: int, lowest: int, highest: int) -> int:
    # Python rounds fractions exactly, half to even.
    return min(max(round(Fraction(accumulator) / Fraction(2) ** shift), lowest), highest)


@given(st.lists(whole, min_size=1, max_size=20), st.integers(-80, 80), ranges)
def test_it_is_division_rounded_half_to_even_and_saturated(values, shift, limits):
    found = requantise(np.array(values, np.int64), shift, *limits)
    assert found.dtype == np.int64
    assert found.tolist() == [expected(value, shift, *limits) for value in values]


@given(st.integers(-200, 200), st.integers(1, 40), st.integers(-1, 1))
def test_ties_go_to_the_even_neighbour_and_nothing_else_does(whole_part, shift, beside):
    half = 2 ** (shift - 1)
    accumulator = whole_part * 2**shift + half + (beside if shift > 1 else 0)
    found = int(requantise(np.array([accumulator]), shift, -1000, 1000)[0])
    assert found == expected(accumulator, shift, -1000, 1000)
    if shift > 1 and beside:
        assert found == whole_part + (beside > 0)
    else:
        assert found % 2 == 0


@given(st.lists(st.tuples(whole, st.integers(-20, 40)), min_size=1, max_size=10))
def test_each_channel_has_its_own_shift(columns):
    accumulators, shifts = (np.array(column, np.int64) for column in zip(*columns, strict=True))
    together = requantise(np.stack([accumulators, -accumulators]), shifts, -128, 127)
    for column, (value, shift) in enumerate(columns):
        assert together[:, column].tolist() == [expected(v, shift, -128, 127) for v in (value, -value)]


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20),
    st.integers(-20, 10),
    st.booleans(),
)
def test_real_numbers_are_rounded_in_the_same_way(values, exponent, signed):
    fixed_point = FixedPoint(exponent, signed)
    found = fixed_point.integers(np.array(values, np.float32))
    for value, integer in zip(values, found.tolist(), strict=True):
        if np.isinf(value):
            assert integer == (fixed_point.highest if value > 0 else fixed_point.lowest)
        else:
            steps = round(Fraction(value) / Fraction(2) ** exponent)
            assert integer == min(max(steps, fixed_point.lowest), fixed_point.highest)


def test_nan_is_refused():
    with pytest.raises(AmrqError, match="NaN"):
        FixedPoint(0, True).integers(np.array([0.0, np.nan], np.float32))
