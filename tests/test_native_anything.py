# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled kernels do what the NumPy code does of whatever comes: silence, constants, steps, peaks, no numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from seeds import rng
from without_kernels import without_kernels

from amrq.detect import boxes, edges, noise_floor, segments
from amrq.measure import band, carrier_lines, cleaning, closed_eye, emission, looks, occupied, tone_levels
from amrq.native import Kernels
from amrq.receive import bursts, equaliser, pulse, receiver, timing

_Rng = np.random.Generator
_NOT_USABLE = (np.nan, np.inf, complex(1, np.inf), complex(np.nan, 2), 1e15, 3e19, 1e38)


class Kernel(NamedTuple):
    """Something that compiled code does where it is there.

    Attributes:
        draw: its arguments.
        do: what is done with them.
        within: of the largest value; 0 where nothing is rounded otherwise.
    """

    draw: Callable[[_Rng], tuple[Any, ...]]
    do: Callable[..., Any]
    within: float = 0.0


def reals(random: _Rng, count: int) -> NDArray[np.float64]:
    """Return numbers of any size, in one of several odd forms."""
    values = random.normal(size=count) if random.random() < 0.6 else random.exponential(size=count)
    values *= 10.0 ** random.integers(-6, 7)
    match random.integers(8):
        case 0:
            values[:] = 0
        case 1:
            values[:] = random.normal()
        case 2:
            values = np.rint(values)
        case 3:
            values[random.integers(0, max(count, 1)) :] *= 1e6
        case 4:
            values = np.abs(values)
        case 5:
            values = np.sort(values)
    return values


def samples(random: _Rng, count: int, finite: bool = True) -> NDArray[np.complex64]:
    """Return samples of odd parts; unless they are to be finite, some are not, or too large."""
    values = (reals(random, count) + 1j * reals(random, count)).astype(np.complex64)
    if not finite and count:
        values[random.integers(0, count, 3)] = random.choice(_NOT_USABLE, 3)
    return values


def keyed(random: _Rng, levels: int) -> NDArray[np.float64]:
    """Return averages over symbols of so many levels, some of which come again and again, in little or much noise."""
    count = int(random.integers(12, 300))
    sent = 2.0 * random.integers(0, levels, count) - (levels - 1)
    if random.random() < 0.3:
        sent = np.resize(sent[: random.integers(1, 5)], count)
    seen = np.convolve(sent, [0.1, 1, 0.15], "same") * 10.0 ** random.integers(-3, 4) + random.normal()
    return np.asarray(seen + seen.std() * 10.0 ** random.integers(-6, 0) * random.normal(size=count))


def size(random: _Rng, least: int = 0, most: int = 200) -> int:
    return int(random.integers(least, most))


def rails(values: NDArray[np.complex64]) -> tuple[Any, ...]:
    counted = cleaning._Rails()
    for part in np.array_split(values, 3):
        counted.look(part)
    return counted._tops, counted._at, counted._beside


def fitted(means: NDArray[np.float64], levels: int) -> Any:
    found = tone_levels._fit_keyed(means, means, levels, 100.0)
    if found is None:
        return None
    return np.array([found.half, found.centre]), np.array([found.eye, found.main, found.error]), found.numbers


def even(values: NDArray[np.float64], levels: int) -> tuple[Any, ...]:
    error, half, centre, numbers = closed_eye._decided(values, levels)
    return np.array([1.0, error]), np.array([half, centre]), numbers


def density(*given: Any) -> tuple[Any, ...]:
    found = band.power_density(*given)
    return found.parts, found.spectra


def line_of_free(random: _Rng) -> tuple[Any, ...]:
    bins = size(random, 2)
    free = random.random(bins) < random.choice([0, 0.01, 0.5, 1])
    return np.abs(reals(random, bins)), free, size(random, 1, bins + 1), random.uniform(0.5, 2, bins)


KERNELS = {
    "squares": Kernel(lambda r: (samples(r, size(r), False),), looks.squares, 1e-6),
    "largest squares": Kernel(lambda r: (samples(r, 40).reshape(5, 8),), looks.largest_squares, 1e-6),
    "moved": Kernel(
        lambda r: (samples(r, size(r)), r.normal() * r.choice([1e-6, 1, 50])), looks.turned, 3e-6
    ),
    "all usable": Kernel(lambda r: (samples(r, size(r), False),), cleaning.all_usable),
    "usable": Kernel(lambda r: (samples(r, size(r), False),), cleaning.usable),
    "rails": Kernel(lambda r: (samples(r, size(r, 3)),), rails),
    "images": Kernel(lambda r: (samples(r, 192).reshape(3, 64),), cleaning._pairs, 1e-5),
    "on and off": Kernel(
        lambda r: (reals(r, size(r, 1)), float(r.choice([0.1, 1, 10, 1e4]))), emission._two_states
    ),
    "falling": Kernel(
        lambda r: (reals(r, size(r)), float(r.choice([0, 0.1, 2])), float(r.choice([0, 0.1]))),
        occupied._falling,
        1e-9,
    ),
    "even levels": Kernel(lambda r: (reals(r, size(r, 2)), int(r.choice([2, 3, 4, 8]))), even, 1e-9),
    "levels of symbols": Kernel(lambda r: (keyed(r, n := int(r.choice([2, 3, 4, 8]))), n), fitted, 1e-4),
    "other levels": Kernel(lambda r: (reals(r, size(r, 12)), int(r.choice([2, 3, 4, 8]))), fitted, 1e-6),
    "density": Kernel(
        lambda r: (samples(r, size(r, 64, 900), False), 1e3, int(r.choice([16, 32, 64])), size(r, 1, 4)),
        density,
        2e-5,
    ),
    "turns": Kernel(lambda r: (reals(r, size(r)),), carrier_lines.turned, 3e-6),
    "reach": Kernel(
        lambda r: (
            *(reals(r, size(r)), int(r.choice([-1, 1])), float(r.exponential())),
            *(float(r.choice([0, 0.1])), float(r.choice([0, 0.5, 5]))),
        ),
        boxes._reach,
    ),
    "edges": Kernel(lambda r: (reals(r, size(r, 1)),), edges.occupied),
    "components": Kernel(
        lambda r: (r.random((size(r, 1, 30), size(r, 1, 60))) < r.random(),), segments._labelled
    ),
    "lower means": Kernel(
        lambda r: (reals(r, 64 * 3).astype(np.float32).reshape(r.choice([1, 3, 12, 64]), -1),),
        noise_floor._lower_mean,
    ),
    "free line": Kernel(line_of_free, noise_floor._local_mean),
    "middles": Kernel(lambda r: (samples(r, 160).reshape(4, 40), r.uniform(3, 9)), bursts._turns, 1e-4),
    "interpolation": Kernel(
        lambda r: (samples(r, 50), r.uniform(3, 44, size(r, 0, 30))), timing.interpolate, 3e-6
    ),
    "correlation": Kernel(lambda r: (samples(r, size(r, 8)),), equaliser._correlation, 1e-5),
    "powers of spans": Kernel(
        lambda r: (samples(r, 2 * pulse.BINS, False).reshape(2, -1),), receiver._span_powers, 1e-5
    ),
}


def assert_alike(found: Any, plain: Any, within: float) -> None:
    if isinstance(plain, tuple):
        for one, other in zip(found, plain, strict=True):
            assert_alike(one, other, within)
        return
    if plain is None or isinstance(plain, bool | int):
        assert found == plain
        return
    values, others = np.asarray(found), np.asarray(plain)
    assert values.shape == others.shape
    if not within or others.dtype.kind in "bi":
        np.testing.assert_array_equal(values, others)
        return
    largest = float(np.abs(others[np.isfinite(others)]).max(initial=0))
    np.testing.assert_allclose(values, others, rtol=within, atol=within * max(largest, 1e-12))


@pytest.mark.parametrize("name", KERNELS)
@given(st.integers(0, 1 << 30))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes(native: Kernels, name: str, number: int) -> None:
    kernel = KERNELS[name]
    with np.errstate(all="ignore"):
        found = kernel.do(*kernel.draw(rng("anything", name, number)))
        with without_kernels():
            plain = kernel.do(*kernel.draw(rng("anything", name, number)))
    assert_alike(found, plain, kernel.within)
