# SPDX-License-Identifier: GPL-3.0-or-later
"""Slow frequency keying, whose tones are closer than a line is wide, and carriers."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.identify import EmissionIdentity, steady_line
from amrq.scan import BandScanner, Findings

_RATE = 96e3
_NOISE = 0.01


def keyed(tones: int, spacing: float, seconds: float, count: int) -> NDArray[np.complex128]:
    """Return slow frequency keying with random symbols, of magnitude 1."""
    symbols = rng("slow keys", tones).integers(0, tones, count)
    at = (np.arange(count) / _RATE / seconds).astype(np.int64)
    return np.asarray(np.exp(2j * np.pi * np.cumsum(symbols[at] * spacing) / _RATE))


def wave(kind: str, count: int) -> NDArray[np.complex128]:
    """Return the wave of a kind, of magnitude 1."""
    time = np.arange(count) / _RATE
    if kind == "FT8":
        return keyed(8, 6.25, 0.16, count)
    if kind == "WSPR":
        return keyed(4, 1.4648, 0.6827, count)
    if kind == "drifting":
        return np.asarray(np.exp(2j * np.pi * (0.4 * time * time + 3 * np.sin(time / 4))))
    return np.ones(count, np.complex128)


@pytest.mark.parametrize("kind", ["FT8", "WSPR", "carrier", "drifting"])
def test_only_what_stays_in_one_place_is_a_sure_carrier(kind: str) -> None:
    count = int(10 * _RATE)
    level = _NOISE * np.sqrt(500 / _RATE) * 10 ** (18 / 20)
    noise = rng("noise about slow keys", kind).normal(size=(count, 2)) @ [_NOISE, 1j * _NOISE] / np.sqrt(2)
    made = noise + level * wave(kind, count) * np.exp(2j * np.pi * 11e3 / _RATE * np.arange(count))
    scanner = BandScanner(_RATE)
    seen = []
    for start in range(0, count, 16_000):
        scanner.process(made[start : start + 16_000])
        seen += [
            (start / _RATE, one.label, one.confidence)
            for one in scanner.snapshot().emissions
            if one.lower - 100 < 11e3 < one.upper + 100
        ]
    carriers = [(seconds, sure) for seconds, label, sure in seen if label == "carrier"]
    if kind in ("FT8", "WSPR"):
        assert seen and all(sure <= 0.9 for _, sure in carriers)
        return
    assert len(carriers) > len(seen) / 2
    assert all(sure < 0.9 for seconds, sure in carriers if seconds < 1.5)
    assert carriers[-1][1] > 0.9


def test_a_line_that_was_elsewhere_or_off_for_a_while_is_told_from_one_that_drifts() -> None:
    time = np.arange(4000) / 1000

    def steady(iq: NDArray[np.complex128]) -> steady_line.SteadyLine:
        return steady_line.steady_line(np.fft.fft(iq).astype(np.complex64), 1e3, 20.0, 100.0, 0.0)

    line = np.exp(2j * np.pi * 21.3 * time)
    plain, drifting = steady(line), steady(line * np.exp(2j * np.pi * 0.5 * time * time))
    assert plain.share > 0.98 and drifting.share > 0.95 and plain.seconds == pytest.approx(4.0)
    assert plain.place == pytest.approx(21.3, abs=0.05) and drifting.place == pytest.approx(23.3, abs=0.1)
    stepped = line * np.exp(2j * np.pi * np.where(time < 3, 0, 2.0 * (time - 3)))
    for other in (steady(stepped), steady(line * (time < 3))):
        assert other.moves and other.share < 0.8
    assert not plain.moves and not drifting.moves and not steady_line.SteadyLine().moves


def test_a_carrier_is_as_sure_as_it_was_long_in_one_place() -> None:
    def sure(*looks: tuple[float, float, float]) -> float:
        found = Findings()
        for until, seconds, share in looks:
            steady = steady_line.SteadyLine(share, 0.0, 0.0, seconds)
            found.add(EmissionIdentity("carrier", "carrier", "named", 0.9, steady=steady), {}, until)
        return float(found.fields(all=True)["confidence"])

    assert sure((1.0, 1.0, 1.0)) <= 0.85
    assert sure((1.0, 1.0, 1.0), (1.2, 1.2, 1.0), (1.4, 1.4, 1.0)) <= 0.85  # the same samples
    assert sure((2.0, 2.0, 1.0), (4.0, 2.0, 1.0)) > 0.95
    assert sure((2.0, 2.0, 1.0), (4.0, 2.0, 0.5), (6.0, 2.0, 0.5)) <= 0.7
