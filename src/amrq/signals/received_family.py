# SPDX-License-Identifier: GPL-3.0-or-later
"""A family's signal as a scanner hands it on: its box a little wrong, others beside it, the receiver with faults.

What happens on the way is a record, `Reception`, drawn or given. The signal is made at twice the rate of the channel;
what the air and the receiver do is done there; then the channel's filter takes off what lies beside, as `amrq.channel`
does at four samples a bandwidth.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.errors import AmrqError
from amrq.signals.analog_families import ANALOG_FAMILIES
from amrq.signals.digital_families import DIGITAL_FAMILIES
from amrq.signals.family_signal import (
    OVERSAMPLING,
    FamilyClass,
    FamilyParameters,
    channel_response,
    gaussian_noise,
    log_uniform,
    phasor,
    unit_power,
)
from amrq.signals.keyed_families import KEYED_FAMILIES

__all__ = ["FAMILY_CLASSES", "FamilyExample", "Neighbour", "Reception", "family_example", "received_family"]

_Iq = NDArray[np.complex64]

_MARGIN = 24
_NARROWEST = 500.0
"""Hz of the narrowest box whose channel `amrq.scan` takes."""
_LEAST_KEPT = 0.02
"""Of a signal's power: a burst that holds less is none, for pulses may all lie outside it."""
_POOL = 96
"""Neighbours whose parameters are drawn once."""

FAMILY_CLASSES: Mapping[str, FamilyClass] = MappingProxyType(
    {family.name: family for family in (*ANALOG_FAMILIES, *KEYED_FAMILIES, *DIGITAL_FAMILIES)}
)
"""Every family, by name: what can be told of a signal in a band."""


class Neighbour(NamedTuple):
    """Another signal: family and parameters; power over the signal's, dB; its middle and its width, in bandwidths."""

    family: str
    parameters: FamilyParameters
    level_db: float
    place: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Reception:
    """What air and receiver do to a signal. Frequencies are in its occupied bandwidths, times in their reciprocal.

    The defaults do nothing.

    Attributes:
        snr_db: power of the signal while it is on, over that of the noise in its occupied bandwidth, dB.
        box: width of the box that a detector found, over the occupied bandwidth. The channel follows the box.
        offset: of the signal from the middle of the box.
        drift: by how much the signal's frequency changes from begin to end.
        phase_noise: of an oscillator: RMS step of the phase in one unit of time, radians.
        droop: of filters, dB at half a bandwidth from the middle; and slope, dB from one edge to the other.
        echoes: further paths: delay and complex amplitude.
        fading: share of the power that comes scattered, its amplitude changing a few times in the look.
        burst: where in the look the signal begins and ends, 0 to 1.
        neighbours: other signals.
        line: the receiver's line at 0 Hz: level over the signal, dB, and place.
        image: the receiver's mirror image: level, dB, and place of the mirror's middle.
        clip: where both rails end, over their RMS.
        step: of the converter, over the RMS of a rail.
        band: what the receiver's band holds, from and to; the rest is cut off.
    """

    snr_db: float = math.inf
    box: float = 1.0
    offset: float = 0.0
    drift: float = 0.0
    phase_noise: float = 0.0
    droop: tuple[float, float] = (0.0, 0.0)
    echoes: tuple[tuple[float, complex], ...] = ()
    fading: float = 0.0
    burst: tuple[float, float] = (0.0, 1.0)
    neighbours: tuple[Neighbour, ...] = ()
    line: tuple[float, float] = (-math.inf, 0.0)
    image: tuple[float, float] = (-math.inf, 0.0)
    clip: float = math.inf
    step: float = 0.0
    band: tuple[float, float] = (-math.inf, math.inf)

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        snr_db: tuple[float, float] = (0.0, 40.0),
        core: float = 0.7,
        narrow: float = 0.0,
        bandwidth: float = math.inf,
    ) -> "Reception":
        """Draw what a scanner meets: half of the signals undisturbed but for noise and box, others with some faults.

        Boxes are as `amrq.detect` was seen to draw them: from 15 dB on right within some 10 % for most, with some a
        third too wide or too narrow; at 5 dB as narrow as the family's core.

        Args:
            rng: source of randomness.
            snr_db: lowest and highest.
            core: of the family, see `FamilyClass`.
            narrow: of the family, see `FamilyClass`.
            bandwidth: of the signal, Hz: the scanner's channels are no narrower than for 500 Hz.

        >>> Reception.draw(np.random.default_rng(1), snr_db=(10.0, 10.0)).snr_db
        10.0
        """
        snr = rng.uniform(*snr_db)
        weak = min(max((18 - snr) / 13, 0.0), 1.0)
        lowest = core**weak * 0.8 ** (1 - weak)
        box = log_uniform(rng, lowest, 1.4) if rng.random() < 0.6 else rng.normal(1.0, 0.05)
        if rng.random() < weak:
            box = log_uniform(rng, lowest, 1.0)
        cut = rng.random() < narrow
        if cut:
            box = log_uniform(rng, core, min(1.0, 2.5 * core))
        if box * bandwidth < _NARROWEST and rng.random() < 0.5:
            box = min(_NARROWEST / bandwidth, 12.0)
        room = 0.04 + min(0.4 * abs(box - 1), 0.4)
        drawn: dict[str, Any] = {
            "snr_db": snr,
            "box": box,
            "offset": rng.uniform(-room, room),
            "drift": rng.normal(0, 0.06) if rng.random() < 0.25 else 0.0,
            "phase_noise": log_uniform(rng, 0.003, 0.08) if rng.random() < 0.3 else 0.0,
        }
        if rng.random() < 0.3:
            drawn["neighbours"] = _draw_neighbours(rng, box)
        if rng.random() < 0.2:
            drawn["burst"] = _draw_burst(rng)
        if rng.random() < 0.35:
            drawn["droop"] = (rng.exponential(2.0), rng.normal(0, 1.5))
        if rng.random() < 0.25:
            delays = rng.exponential(0.6, int(rng.integers(1, 4)))
            gains = 10 ** (-rng.uniform(3, 20, len(delays)) / 20) * np.exp(
                2j * np.pi * rng.random(len(delays))
            )
            drawn["echoes"] = tuple(zip(delays.tolist(), gains.tolist(), strict=True))
        if rng.random() < 0.1:
            drawn["fading"] = rng.uniform(0.05, 0.8)
        if rng.random() < 0.15:
            drawn["line"] = (rng.uniform(-30, 0), rng.uniform(-1.5, 1.5))
        if rng.random() < 0.12:
            drawn["image"] = (rng.uniform(-45, -18), rng.uniform(-0.8, 0.8))
        if rng.random() < 0.1:
            drawn["clip"] = rng.uniform(0.8, 2.5)
        if rng.random() < 0.1:
            drawn["step"] = log_uniform(rng, 0.05, 1.0)
        if cut:
            edge = rng.uniform(0.48, 0.8) * box
            drawn["band"] = (-edge, edge)
        elif rng.random() < 0.3:
            drawn["band"] = _draw_band(rng, box)
        return cls(**drawn)


def _draw_neighbours(rng: np.random.Generator, box: float) -> tuple[Neighbour, ...]:
    pool, found = _neighbour_pool(), []
    sides = [-1.0, 1.0] if rng.random() < 0.3 else [float(rng.choice([-1.0, 1.0]))]
    for side in sides:
        family, parameters = pool[int(rng.integers(len(pool)))]
        width = log_uniform(rng, 0.1, 4)
        away = box / 2 + width / 2 + rng.uniform(0.05, 1.2)
        found.append(Neighbour(family, parameters, rng.uniform(-10, 20), side * min(away, 3.5), width))
    return tuple(found)


@lru_cache(maxsize=1)
def _neighbour_pool() -> Sequence[tuple[str, FamilyParameters]]:
    """Draw neighbours once; the same in every process."""
    rng = np.random.default_rng(19)
    names = [name for name in FAMILY_CLASSES if name not in ("noise", "pulse", "dsss")]
    drawn = [str(rng.choice(names)) for _ in range(_POOL)]
    return [(name, FAMILY_CLASSES[name].draw(rng)) for name in drawn]


def _draw_burst(rng: np.random.Generator) -> tuple[float, float]:
    length = rng.uniform(0.25, 0.9)
    start = rng.uniform(-0.3, 1.3 - length)
    start = min(max(start, 0.25 - length), 0.75)
    return max(0.0, start), min(1.0, start + length)


def _draw_band(rng: np.random.Generator, box: float) -> tuple[float, float]:
    edges = [rng.uniform(0.45, 1.6) * box for _ in range(2)]
    kind = rng.random()
    if kind < 0.4:
        edges[int(rng.integers(2))] = math.inf
    elif kind < 0.8:  # a recording no wider than the signal
        edges[1] = edges[0]
    return -edges[0], edges[1]


def received_family(
    family: str,
    parameters: FamilyParameters,
    rng: np.random.Generator,
    reception: Reception,
    samples: int = 1024,
    samples_per_bandwidth: float = 4.0,
) -> _Iq:
    """Return complex64 [samples] of unit mean power: a signal as it comes out of a channel that fits its box.

    Args:
        family: a name of `FAMILY_CLASSES`.
        parameters: as its `draw` gives them.
        rng: draws content, moment, phases and noise.
        reception: what happens on the way.
        samples: how many.
        samples_per_bandwidth: sample rate over the width of the box, at least 1. In Hz, the sample rate is this times
            `reception.box` times `parameters.bandwidth`.

    Raises:
        AmrqError: there is no such family, or a number is out of its range.

    >>> rng = np.random.default_rng(1)
    >>> parameters = FAMILY_CLASSES["fsk2"].draw(rng)
    >>> received_family("fsk2", parameters, rng, Reception(snr_db=10.0, box=1.2), samples=500).shape
    (500,)
    """
    if family not in FAMILY_CLASSES:
        raise AmrqError(f"there is no family {family!r}: choose from {', '.join(FAMILY_CLASSES)}.")
    if samples < 1 or not 1 <= samples_per_bandwidth < 1e6 or not reception.box > 0:
        raise AmrqError("a look needs at least 1 sample, 1 to 1e6 samples a bandwidth and a box above 0.")
    delivered = int(fft.next_fast_len(samples + 2 * _MARGIN))
    total = delivered * OVERSAMPLING
    width = 1 / (samples_per_bandwidth * reception.box)  # of the signal, cycles a delivered sample
    step = width / OVERSAMPLING
    fine = unit_power(FAMILY_CLASSES[family].baseband(parameters, rng, total, parameters.bandwidth / step))
    fine = _on_the_air(fine, reception, rng, step)
    place = np.arange(total) * step
    for other in reception.neighbours:
        beside = FAMILY_CLASSES[other.family].baseband(
            other.parameters, rng, total, other.parameters.bandwidth / (other.width * step)
        )
        shift = phasor(other.place * place)
        fine = fine + np.float32(10 ** (other.level_db / 20)) * unit_power(beside) * shift
    fine = _in_the_receiver(fine, reception, rng, place)
    spectrum = fft.fft(fine)
    half = delivered // 2
    kept = np.concatenate([spectrum[: delivered - half], spectrum[total - half :]])
    if math.isfinite(reception.snr_db):
        # White noise, before the filter: its transform is white too.
        density = 10 ** (-reception.snr_db / 10) / width
        kept += gaussian_noise(rng, delivered) * np.float32(math.sqrt(density * delivered) * OVERSAMPLING)
    kept *= channel_response(delivered)
    if math.isfinite(reception.band[0]) or math.isfinite(reception.band[1]):
        at = fft.fftfreq(delivered) / width
        cut = (at - reception.band[0]) * 12 + 0.5, (reception.band[1] - at) * 12 + 0.5
        kept *= (np.clip(cut[0], 1e-3, 1) * np.clip(cut[1], 1e-3, 1)).astype(np.float32)
    return unit_power(np.asarray(fft.ifft(kept))[_MARGIN : _MARGIN + samples])


def _on_the_air(fine: _Iq, reception: Reception, rng: np.random.Generator, step: float) -> _Iq:
    """Offset, drift and the oscillator's noise; when it is on; and the paths to the receiver."""
    total = len(fine)
    time = np.arange(total) * step
    if reception.burst != (0.0, 1.0):
        on = np.asarray(reception.burst) * total
        ramp = max(2.0, 0.3 / step)
        index = np.arange(total)
        rises = 1.0 if on[0] <= 0 else np.clip((index - on[0]) / ramp, 0, 1)
        falls = 1.0 if on[1] >= total else np.clip((on[1] - index) / ramp, 0, 1)
        kept = np.asarray(fine * (rises * falls), dtype=np.complex64)
        if float(np.vdot(kept, kept).real) > _LEAST_KEPT * float(np.vdot(fine, fine).real):
            fine = kept
    if reception.offset or reception.drift or reception.phase_noise:
        phase = reception.offset * time
        if reception.drift:
            phase = phase + reception.drift / 2 * (time - time[-1] / 2) ** 2 / time[-1]
        if reception.phase_noise:
            steps = rng.standard_normal(total, dtype=np.float32)
            phase = phase + np.cumsum(steps) * (reception.phase_noise * math.sqrt(step) / (2 * np.pi))
        fine = fine * phasor(phase)
    on_air = float(np.vdot(fine, fine).real) / total
    if reception.echoes or any(reception.droop):
        at = fft.fftfreq(total) / step
        response: NDArray[Any] = np.ones(total)
        power = 1.0
        for delay, path in reception.echoes:
            response = response + path * np.exp(-2j * np.pi * at * delay)
            power += abs(path) ** 2
        lost = reception.droop[0] * np.minimum(4 * at**2, 4) + reception.droop[1] * np.clip(at, -1, 1)
        response = response * 10 ** (-lost / 20)
        fine = np.asarray(fft.ifft(fft.fft(fine) * (response / math.sqrt(power))), dtype=np.complex64)
        if any(reception.droop):
            fine = unit_power(fine) * np.float32(math.sqrt(on_air))
    if reception.fading:
        knots = gaussian_noise(rng, int(rng.integers(2, 9)))
        across = np.linspace(0, len(knots) - 1, total)
        scattered = np.interp(across, np.arange(len(knots)), knots.real) + 1j * np.interp(
            across, np.arange(len(knots)), knots.imag
        )
        gain = math.sqrt(1 - reception.fading) + math.sqrt(reception.fading) * scattered
        fine = np.asarray(fine * gain, dtype=np.complex64)
    return fine


def _in_the_receiver(fine: _Iq, reception: Reception, rng: np.random.Generator, place: NDArray[Any]) -> _Iq:
    """Mirror image, line at 0 Hz, clipping and a coarse converter."""
    if reception.image[0] > -math.inf:
        mirror = fine.conj() * phasor(2 * reception.image[1] * place + rng.random())
        fine = fine + np.float32(10 ** (reception.image[0] / 20)) * mirror
    if reception.line[0] > -math.inf:
        line = phasor(reception.line[1] * place + rng.random())
        fine = fine + np.float32(10 ** (reception.line[0] / 20)) * line
    if math.isfinite(reception.clip) or reception.step:
        rails = np.ascontiguousarray(fine).view(np.float32)
        size = float(np.sqrt(np.mean(rails**2))) or 1.0
        if math.isfinite(reception.clip):
            rails = np.clip(rails, -reception.clip * size, reception.clip * size)
        if reception.step:
            rails = np.round(rails / (reception.step * size)) * np.float32(reception.step * size)
            # A converter sees noise and other signals too, so that its errors are not the signal's alone.
            rails = rails + rng.standard_normal(len(rails), dtype=np.float32) * np.float32(0.02 * size)
        fine = rails.astype(np.float32).view(np.complex64)
    return fine


@dataclass(frozen=True)
class FamilyExample:
    """An example to train on or to test with.

    Attributes:
        iq: complex64 [samples], unit mean power.
        family: its family.
        parameters: what was sent.
        reception: what happened on the way.
    """

    iq: _Iq = field(compare=False)
    family: str
    parameters: FamilyParameters
    reception: Reception


def family_example(
    rng: np.random.Generator,
    family: str | None = None,
    samples: int = 1024,
    snr_db: tuple[float, float] = (0.0, 40.0),
    parameters: FamilyParameters | None = None,
) -> FamilyExample:
    """Return a signal drawn with everything that is open, as a scanner would hand it on.

    Args:
        rng: source of randomness.
        family: a name of `FAMILY_CLASSES`; None: any.
        samples: at four samples a bandwidth of the box.
        snr_db: lowest and highest in-band SNR.
        parameters: of that family, if they are not to be drawn, which takes longer than the rest.

    Raises:
        AmrqError: there is no such family.

    >>> one = family_example(np.random.default_rng(1), "ofdm")
    >>> one.family, one.iq.shape
    ('ofdm', (1024,))
    """
    name = family if family is not None else str(rng.choice(list(FAMILY_CLASSES)))
    if name not in FAMILY_CLASSES:
        raise AmrqError(f"there is no family {name!r}: choose from {', '.join(FAMILY_CLASSES)}.")
    told = parameters if parameters is not None else FAMILY_CLASSES[name].draw(rng)
    reception = Reception.draw(
        rng, snr_db, FAMILY_CLASSES[name].core, FAMILY_CLASSES[name].narrow, told.bandwidth
    )
    return FamilyExample(received_family(name, told, rng, reception, samples), name, told, reception)
