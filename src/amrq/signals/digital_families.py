# SPDX-License-Identifier: GPL-3.0-or-later
"""Families of symbols on one, many or spreading carriers: linear ones, OFDM, chirps and direct sequences."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.classes import LINEAR_CLASSES, linear_class, root_raised_cosine
from amrq.signals.family_signal import (
    FamilyClass,
    FamilyParameters,
    chosen,
    data_symbols,
    drawn_content,
    filtered,
    log_uniform,
    phasor,
    symbol_edges,
    with_bandwidth,
)

__all__ = ["DIGITAL_FAMILIES", "ChirpParameters", "DsssParameters", "LinearParameters", "OfdmParameters"]

_Real = NDArray[np.floating[Any]]
_Iq = NDArray[np.complex64]

_PHASES = 256
"""Of a tabulated pulse, a symbol: an error of -50 dB."""
_REACH = 6
"""Symbols to either side whose pulses count; more below a roll-off of 0.3."""

LINEAR_WEIGHTS = {
    **{"BPSK": 4.0, "QPSK": 4.0, "8PSK": 3.0, "pi/2-DBPSK": 2.5, "16QAM": 3.0, "64QAM": 2.0, "256QAM": 1.0},
    **{"4ASK": 1.0, "8ASK": 0.5, "8QAM": 1.0, "32QAM": 1.0, "16PSK": 1.0, "128QAM": 0.5, "32PSK": 0.3},
    **{"8APSK (4+4)": 0.5, "16APSK (4+12)": 1.0, "32APSK (4+12+16)": 0.7, "D8PSK": 1.0, "16ASK": 0.2},
}
"""How often each class is drawn; D8PSK is 8PSK turned by pi/8 a symbol or not at all."""


@dataclass(frozen=True, kw_only=True)
class LinearParameters(FamilyParameters):
    """Linear modulation, turned (pi/4-DQPSK) or staggered (OQPSK) as its class says.

    Attributes:
        order: points of the constellation.
        pulse: `root raised cosine`, `raised cosine`, `half cosine` (of PSK31) or `low-pass` (held symbols, filtered).
        rolloff: excess bandwidth; of a low-pass, its 3 dB bandwidth over the symbol rate.
        saturation: of the amplifier: input RMS over its limit; 0: linear.
    """

    order: int = 2
    pulse: str = "root raised cosine"
    rolloff: float = 0.35
    saturation: float = 0.0


@lru_cache(maxsize=512)
def _pulse_table(pulse: str, rolloff: float) -> NDArray[np.float32]:
    """Return a pulse [phases, symbols]: row p holds it at times (p / phases - k), k from -reach + 1 to reach."""
    reach = _REACH if rolloff >= 0.3 else 8 if rolloff >= 0.2 else 16
    times = np.arange(_PHASES)[:, None] / _PHASES - np.arange(1 - reach, reach + 1)[None, :]
    if pulse == "root raised cosine":
        values = root_raised_cosine(times, rolloff)
    elif pulse == "raised cosine":
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.sinc(times) * np.cos(np.pi * rolloff * times) / (1 - (2 * rolloff * times) ** 2)
        at = np.abs(np.abs(2 * rolloff * times) - 1) < 1e-9
        values[at] = np.pi / 4 * np.sinc(1 / (2 * rolloff))
    else:  # half cosine: two symbols long
        values = np.where(np.abs(times) < 1, np.cos(np.pi / 2 * times) ** 2, 0)
    if pulse != "half cosine":
        values = values * np.cos(np.pi / 2 * np.clip(np.abs(times) / reach, 0, 1)) ** 0.5
    return values.astype(np.float32)


def _pulses(symbols: NDArray[np.complex64], at: _Real, pulse: str, rolloff: float) -> NDArray[np.complex64]:
    """Return the sum of pulses at times in symbols; symbols follow one another around a circle."""
    table = _pulse_table(pulse, rolloff)
    reach = table.shape[1] // 2
    near = np.floor(at).astype(np.int64)
    phase = np.minimum(((at - near) * _PHASES).astype(np.int64), _PHASES - 1)
    around = np.concatenate([symbols[-(reach - 1) :], symbols, symbols[:reach]])
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * reach)[near % len(symbols)]
    return np.asarray(np.einsum("ij,ij->i", windows, table[phase]), dtype=np.complex64)


def _linear(parameters: LinearParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    name = "8PSK" if parameters.label == "D8PSK" else parameters.label
    one = linear_class(name)
    length = samples / sample_rate * parameters.symbol_rate
    count = max(int(np.ceil(length)) + 2, 40)
    symbols = one.points[data_symbols(rng, count, one.order, parameters.content)]
    turn = one.turn or (np.pi / 8 if parameters.label == "D8PSK" and rng.random() < 0.5 else 0.0)
    if turn:
        symbols = np.asarray(symbols * np.exp(1j * turn * np.arange(count)), dtype=np.complex64)
    at = rng.random() + np.arange(samples) * (parameters.symbol_rate / sample_rate)
    cut = parameters.rolloff * parameters.symbol_rate / sample_rate
    shape: Callable[[NDArray[np.complex64], _Real], NDArray[np.complex64]]
    if parameters.pulse == "low-pass":

        def shape(values: NDArray[np.complex64], when: _Real) -> NDArray[np.complex64]:
            held = values[when.astype(np.int64) % count]
            return np.asarray(filtered(held, lambda f: 1 / (1 - (f / cut) ** 2 + 1.414j * f / cut)))
    else:

        def shape(values: NDArray[np.complex64], when: _Real) -> NDArray[np.complex64]:
            return _pulses(values, when, parameters.pulse, parameters.rolloff)

    if one.stagger:
        late = shape(symbols.imag.astype(np.complex64), at - one.stagger)
        made = np.asarray(
            shape(symbols.real.astype(np.complex64), at).real + 1j * late.real, dtype=np.complex64
        )
    else:
        made = shape(symbols, at)
    if parameters.saturation:
        size = np.abs(made) * parameters.saturation
        made = made / (1 + size**4) ** 0.25  # Rapp (1991), p = 2
    return np.asarray(made * phasor(rng.random(1)), dtype=np.complex64)


def _occupied(rolloff: float, pulse: str) -> float:
    """Return 99 % of the power of a root-raised-cosine pulse, in symbol rates: half of a percent is in each edge."""
    place = np.linspace(0, 1, 401)
    if pulse == "root raised cosine":
        outside = rolloff / 2 * ((1 - place) - np.sin(np.pi * place) / np.pi)
    else:  # the spectrum is the square of that
        across = np.linspace(0, 1, 401)
        density = (0.5 + 0.5 * np.cos(np.pi * across)) ** 2
        tail = rolloff * (density[::-1].cumsum()[::-1] / 401)
        outside = tail / ((1 - rolloff) + 2 * tail[0])
    found = np.interp(-0.005, -outside, place)
    return float(1 - rolloff + 2 * rolloff * found)


def _draw_linear_of(rng: np.random.Generator, label: str) -> LinearParameters:
    rate = log_uniform(rng, 30, 20e6)
    pulse = chosen(
        rng, {"root raised cosine": 0.72, "raised cosine": 0.08, "low-pass": 0.15, "half cosine": 0.05}
    )
    if label == "OQPSK" and pulse == "half cosine":
        pulse = "root raised cosine"
    rolloff = {"low-pass": log_uniform(rng, 0.5, 1.5), "half cosine": 1.0}.get(pulse, rng.uniform(0.1, 0.7))
    if pulse.endswith("raised cosine") and rng.random() < 0.5:
        rolloff = float(rng.choice([0.2, 0.25, 0.35, 0.5, 1.0]))
    rolloff = round(rolloff, 2)
    order = 8 if label == "D8PSK" else LINEAR_CLASSES[label].order
    drawn = LinearParameters(
        label=label,
        symbol_rate=rate,
        content=drawn_content(rng),
        order=order,
        pulse=pulse,
        rolloff=rolloff,
        saturation=rng.uniform(0.2, 0.8) if rng.random() < 0.15 else 0.0,
    )
    if pulse.endswith("raised cosine") and not drawn.saturation:
        return replace(drawn, bandwidth=_occupied(rolloff, pulse) * rate)
    return with_bandwidth(drawn, rng, _linear, 8 * rate)


def _draw_linear(rng: np.random.Generator) -> LinearParameters:
    return _draw_linear_of(rng, chosen(rng, LINEAR_WEIGHTS))


@dataclass(frozen=True, kw_only=True)
class OfdmParameters(FamilyParameters):
    """OFDM; `symbol_rate` counts OFDM symbols.

    Attributes:
        spacing: of subcarriers, Hz: one over the useful time.
        prefix: cyclic prefix over the useful time.
        subcarriers: that are used.
        points: class on the subcarriers.
        pilots: one subcarrier in so many is a pilot; 0: none.
        boost: amplitude of pilots over that of data.
        middle: the subcarrier at 0 Hz is used.
        spread: subcarriers carry the transform of symbols: SC-FDMA.
    """

    spacing: float = 1.0
    prefix: float = 0.25
    subcarriers: int = 52
    points: str = "QPSK"
    pilots: int = 0
    boost: float = 1.0
    middle: bool = False
    spread: bool = False


def _ofdm_size(used: int) -> int:
    """Return the size of the transform for so many subcarriers."""
    return int(fft.next_fast_len(int(2.5 * used) + 8))


def _ofdm(parameters: OfdmParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    used = parameters.subcarriers
    size = _ofdm_size(used)
    native = size * parameters.spacing
    prefix = round(size * parameters.prefix)
    count, whole = _whole_ratio(samples, native / sample_rate)
    blocks = -(-(count + size + prefix) // (size + prefix)) + 1
    order = LINEAR_CLASSES[parameters.points].order
    data = LINEAR_CLASSES[parameters.points].points[rng.integers(order, size=(blocks, used))]
    if parameters.spread:
        data = np.asarray(fft.fft(data, axis=1), dtype=np.complex64) / np.float32(np.sqrt(used))
    places = np.arange(used) - used // 2
    if not parameters.middle:
        places = places + (places >= 0)
    if parameters.pilots:
        first = int(rng.integers(parameters.pilots))
        tones = np.arange(first, used, parameters.pilots)
        signs = (rng.integers(2, size=len(tones)) * 2 - 1).astype(np.float32)
        flips = (rng.integers(2, size=(blocks, 1)) * 2 - 1).astype(np.float32)
        data[:, tones] = parameters.boost * signs * (flips if rng.random() < 0.5 else 1)
    quiet = 0
    if parameters.content == "framed":  # training: every fourth subcarrier twice, then one symbol twice
        short = np.zeros(used, dtype=np.complex64)
        short[::4] = 2 * data[0, ::4] / (np.abs(data[0, ::4]) + 1e-6)
        at = int(rng.integers(max(1, blocks - 2)))
        if rng.random() < 0.3:  # nothing before it, for half of the time at most
            at = quiet = min(at, int(0.5 * count / (size + prefix)))
        data[at : at + 2] = short
        data[at + 3 : at + 4] = data[at + 2 : at + 3]
    grid = np.zeros((blocks, size), dtype=np.complex64)
    grid[:, places % size] = data
    grid[:quiet] = 0
    bodies = fft.ifft(grid, axis=1)
    stream = (
        np.concatenate([bodies[:, size - prefix :], bodies], axis=1).ravel() if prefix else bodies.ravel()
    )
    start = int(rng.integers(size + prefix))
    piece = np.asarray(stream[start : start + count], dtype=np.complex64)
    return _resized(piece, whole)[:samples] * phasor(rng.random(1))


def _whole_ratio(samples: int, ratio: float) -> tuple[int, int]:
    """Return two whole numbers, the second at least `samples`, whose ratio is as near as possible to `ratio`."""
    whole = samples + 2 * np.arange(0, max(16, samples // 20))
    count = np.round(whole * ratio)
    best = int(np.argmin(np.abs(count / whole / ratio - 1)))
    return max(2, int(count[best])), int(whole[best])


def _resized(piece: _Iq, whole: int) -> _Iq:
    """Return the same time in another number of samples, by Fourier transforms."""
    spectrum = fft.fft(piece)
    half = min(len(piece), whole) // 2
    out = np.zeros(whole, dtype=np.complex64)
    out[:half] = spectrum[:half]
    out[whole - half :] = spectrum[len(piece) - half :]
    return np.asarray(fft.ifft(out) * np.float32(whole / len(piece)), dtype=np.complex64)


def _draw_ofdm(rng: np.random.Generator) -> OfdmParameters:
    spacing = log_uniform(rng, 40, 320e3)
    used = round(log_uniform(rng, 12, 1500)) if rng.random() < 0.5 else round(log_uniform(rng, 12, 120))
    middle = rng.random() < 0.4
    prefix = (
        float(rng.choice([1 / 4, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 0.07]))
        if rng.random() < 0.8
        else rng.uniform(0.03, 0.4)
    )
    size = _ofdm_size(used)
    prefix = round(size * prefix) / size  # what is sent is whole samples
    pilots = int(rng.integers(3, 15)) if rng.random() < 0.6 else 0
    spread = rng.random() < 0.15
    drawn = OfdmParameters(
        label="SC-FDMA" if spread else "OFDM",
        bandwidth=(0.99 * used + 0.01 + (not middle)) * spacing,
        symbol_rate=spacing / (1 + prefix),
        content="framed" if rng.random() < 0.25 else "random",
        spacing=spacing,
        prefix=prefix,
        subcarriers=used,
        points=chosen(rng, {"BPSK": 0.15, "QPSK": 0.4, "16QAM": 0.25, "64QAM": 0.2}),
        pilots=pilots,
        boost=rng.uniform(1, 1.5),
        middle=middle,
        spread=spread,
    )
    # The lobes beside a few subcarriers hold more than one percent of their power.
    return with_bandwidth(drawn, rng, _ofdm, 4 * used * spacing) if used < 100 else drawn


@dataclass(frozen=True, kw_only=True)
class ChirpParameters(FamilyParameters):
    """Chirps: LoRa's, or sweeps of a radar; `bandwidth` is what is swept.

    Attributes:
        sweep_time: of one chirp, s.
        spreading_factor: of LoRa: bandwidth times sweep time is 2^factor; 0: plain sweeps.
        shape: `up`, `down` or `triangle`.
        duty: share of the time that a sweep lasts, of plain sweeps.
    """

    sweep_time: float = 1.0
    spreading_factor: int = 0
    shape: str = "up"
    duty: float = 1.0


def _chirp(parameters: ChirpParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    period = parameters.sweep_time / parameters.duty
    edges, count = symbol_edges(rng, samples, sample_rate, 1 / period)
    if edges[0] < -parameters.sweep_time:  # not in the gap: there may be nothing else
        edges = edges - edges[0] - rng.random() * parameters.sweep_time
    time = np.arange(samples) / sample_rate
    number = np.clip(np.floor((time - edges[0]) / period).astype(np.int64), 0, count - 1)
    within = (time - edges[number]) / parameters.sweep_time
    shift = np.zeros(count)
    down = np.full(count, parameters.shape == "down")
    if parameters.shape == "triangle":
        down = (np.arange(count) + int(rng.integers(2))) % 2 == 1
    if parameters.spreading_factor:
        chips = 2**parameters.spreading_factor
        shift = rng.integers(chips, size=count) / chips
        if parameters.content == "framed":  # a preamble, two symbols of sync word, two and a quarter down
            at = int(rng.integers(count + 8)) - 8
            shift[max(0, at) : max(0, at + 8)] = 0
            down[max(0, at + 10) : max(0, at + 12)] ^= True
            shift[max(0, at + 10) : max(0, at + 12)] = 0
    product = parameters.bandwidth * parameters.sweep_time
    on = within < 1
    u, s = np.minimum(within, 1.0), shift[number]
    # The integral of (u + s) mod 1 - 1/2 from 0 to u; over a whole chirp it is nothing, so that phases join.
    phase = product * ((s - 0.5) * u + u**2 / 2 - np.maximum(0, u + s - 1))
    return np.asarray(on * phasor(np.where(down[number], -phase, phase) + rng.random()), dtype=np.complex64)


def _draw_chirp(rng: np.random.Generator) -> ChirpParameters:
    if rng.random() < 0.6:
        bandwidth = float(
            rng.choice([7.8e3, 10.4e3, 15.6e3, 20.8e3, 31.25e3, 41.7e3, 62.5e3, 125e3, 250e3, 500e3])
        )
        factor = int(rng.integers(5, 13))
        return ChirpParameters(
            label="LoRa",
            bandwidth=bandwidth,
            symbol_rate=bandwidth / 2**factor,
            content="framed" if rng.random() < 0.4 else "random",
            sweep_time=2**factor / bandwidth,
            spreading_factor=factor,
            shape="up" if rng.random() < 0.85 else "down",
        )
    bandwidth = log_uniform(rng, 2e3, 20e6)
    return ChirpParameters(
        label="FMCW",
        bandwidth=bandwidth,
        sweep_time=log_uniform(rng, 24, 3000) / bandwidth,
        shape=chosen(rng, {"up": 0.4, "down": 0.25, "triangle": 0.35}),
        duty=1.0 if rng.random() < 0.6 else rng.uniform(0.5, 1),
    )


@dataclass(frozen=True, kw_only=True)
class DsssParameters(FamilyParameters):
    """Direct sequences: a code is sent again and again, turned by the data; `symbol_rate` is that of the data.

    Attributes:
        chip_rate: chips a second.
        code: chips of the code.
        order: phases of the data.
        quadrature: a second code is on the other axis.
        rolloff: of the chips' root-raised-cosine pulses.
        staggered: the quadrature code is half a chip late.
    """

    chip_rate: float = 1.0
    code: int = 31
    order: int = 2
    quadrature: bool = False
    rolloff: float = 0.35
    staggered: bool = False


BARKER = np.array([1, -1, 1, 1, -1, 1, 1, 1, -1, -1, -1])
"""The code of IEEE 802.11."""


def _dsss(parameters: DsssParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    seconds = samples / sample_rate
    count = max(int(np.ceil(seconds * parameters.chip_rate)) + 2, 40)
    code = rng.integers(2, size=parameters.code) * 2 - 1
    code[0], code[-1] = 1, -1
    if parameters.code == 11:
        code = BARKER
    spread: NDArray[np.complex64] = code.astype(np.complex64)
    if parameters.quadrature:
        other = rng.integers(2, size=parameters.code) * 2 - 1
        spread = np.asarray((spread + 1j * other) * np.sqrt(0.5), dtype=np.complex64)
    place = np.arange(count) + int(rng.integers(parameters.code))
    data = data_symbols(rng, place[-1] // parameters.code + 1, parameters.order, parameters.content)
    chips = (
        spread[place % parameters.code]
        * np.exp(2j * np.pi * data / parameters.order)[place // parameters.code]
    )
    at = rng.random() + np.arange(samples) * (parameters.chip_rate / sample_rate)
    chips = chips.astype(np.complex64)
    made = _pulses(chips, at, "root raised cosine", parameters.rolloff)
    if parameters.staggered:
        late = _pulses(chips, at - 0.5, "root raised cosine", parameters.rolloff)
        made = np.asarray(made.real + 1j * late.imag, dtype=np.complex64)
    return np.asarray(made * phasor(rng.random(1)), dtype=np.complex64)


def _draw_dsss(rng: np.random.Generator) -> DsssParameters:
    chip_rate = log_uniform(rng, 10e3, 20e6)
    code = int(
        rng.choice([7, 11, 11, 13, 15, 16, 20, 31, 31, 32, 32, 63, 64, 127, 1023], p=[0.07] * 14 + [0.02])
    )
    rolloff = round(rng.uniform(0.2, 1.0), 2)
    quadrature = rng.random() < 0.25
    return DsssParameters(
        label="DSSS",
        bandwidth=_occupied(rolloff, "root raised cosine") * chip_rate,
        symbol_rate=chip_rate / code,
        chip_rate=chip_rate,
        code=code,
        order=int(rng.choice([2, 2, 4])),
        quadrature=quadrature,
        rolloff=rolloff,
        staggered=quadrature and rng.random() < 0.3,
    )


DIGITAL_FAMILIES: tuple[FamilyClass, ...] = (
    FamilyClass("linear", _draw_linear, _linear),
    FamilyClass("pi4dqpsk", lambda rng: _draw_linear_of(rng, "pi/4-DQPSK"), _linear),
    FamilyClass("oqpsk", lambda rng: _draw_linear_of(rng, "OQPSK"), _linear),
    FamilyClass("ofdm", _draw_ofdm, _ofdm),
    FamilyClass("chirp", _draw_chirp, _chirp),
    FamilyClass("dsss", _draw_dsss, _dsss),
)
"""Families of symbols on one, many or spreading carriers."""
