# SPDX-License-Identifier: GPL-3.0-or-later
"""Families that key amplitude or frequency: OOK, pulses, FSK with two, four and more tones, and Morse.

They are made of levels held between edges; the edges lie anywhere, so that any rate is exact. Then come what makes real
transmitters differ from the textbook: rise times, overshoot, oscillators that are pulled or start anew with each pulse,
drift, and noise on the frequency where a receiver's audio was modulated once more.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.signals.family_signal import (
    FamilyClass,
    FamilyParameters,
    chosen,
    data_symbols,
    drawn_content,
    filtered,
    gaussian_response,
    held_means,
    log_uniform,
    phasor,
    symbol_edges,
    with_bandwidth,
)

__all__ = ["KEYED_FAMILIES", "FskParameters", "KeyedParameters"]

_Real = NDArray[np.floating[Any]]
_Iq = NDArray[np.complex64]

_MORSE_SIGNS = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
    "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----. -..-. ..--.. -...-"
)
MORSE = tuple(_MORSE_SIGNS.split())
"""Letters, figures, and three signs (ITU-R M.1677)."""


@dataclass(frozen=True, kw_only=True)
class FskParameters(FamilyParameters):
    """Frequency keying.

    Attributes:
        order: tones.
        deviation: of the outermost tone from the middle, Hz.
        shaping: of the frequency pulse: `none`, `gaussian`, `raised cosine` or `low-pass`.
        bt: of the shaping: 3 dB bandwidth of the Gaussian filter or low-pass, or roll-off; 0 where there is none.
        noise: on the frequency, RMS over the deviation.
        audio: cut-off of a receiver's audio that was modulated once more, over the symbol rate; 0: there was none.
        skew: slow change of frequency, of the symbol rate: AC coupling and drift.
        continuous: the phase does not jump between tones.
    """

    order: int = 2
    deviation: float = 1.0
    shaping: str = "none"
    bt: float = 0.0
    noise: float = 0.0
    audio: float = 0.0
    skew: float = 0.0
    continuous: bool = True

    @property
    def spacing(self) -> float:
        """Distance of neighbouring tones, Hz."""
        return 2 * self.deviation / (self.order - 1)

    @property
    def index(self) -> float:
        """Modulation index: spacing of the tones over symbol rate."""
        return self.spacing / self.symbol_rate


def _fsk(parameters: FskParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    edges, count = symbol_edges(rng, samples, sample_rate, parameters.symbol_rate)
    symbols = data_symbols(rng, count, parameters.order, parameters.content)
    levels = (2 * symbols - (parameters.order - 1)) / (parameters.order - 1)
    frequency = held_means(edges, levels, samples, sample_rate)
    symbol = parameters.symbol_rate / sample_rate
    if parameters.shaping == "gaussian":
        frequency = filtered(frequency, gaussian_response(parameters.bt * symbol))
    elif parameters.shaping == "low-pass":  # two poles, as a simple filter before the modulator has
        cut = parameters.bt * symbol
        frequency = filtered(frequency, lambda f: 1 / (1 - (f / cut) ** 2 + 1.414j * f / cut))
    elif parameters.shaping == "raised cosine":
        frequency = filtered(frequency, lambda f: _nyquist(f / symbol, parameters.bt))
    if parameters.noise:
        noise = rng.standard_normal(samples)
        wide = min(0.45, log_uniform(rng, 0.6, 3) * symbol * (1 + parameters.index))
        noise = filtered(noise, lambda f: (np.abs(f) < wide) * (np.abs(f) if parameters.skew else 1.0))
        frequency = frequency + parameters.noise * noise / (noise.std() + 1e-12)
    if parameters.audio:
        top = parameters.audio * symbol
        frequency = filtered(frequency, lambda f: 1 / np.sqrt(1 + (f / top) ** 12))
    frequency = frequency * parameters.deviation
    if parameters.skew:
        slow = np.interp(np.linspace(0, 5, samples), np.arange(6), rng.standard_normal(6))
        frequency = frequency + parameters.skew * parameters.symbol_rate * slow
    phase = np.cumsum(frequency) / sample_rate + rng.random()
    if not parameters.continuous:
        jumps = rng.random(count)[np.searchsorted(edges, np.arange(samples) / sample_rate, side="right") - 1]
        phase = phase + filtered(jumps, gaussian_response(symbol))  # no synthesizer jumps at once
    return phasor(phase)


def _nyquist(f: _Real, rolloff: float) -> _Real:
    """Return what makes held symbols raised-cosine pulses: the transmit filter of C4FM (TIA-102.BAAA)."""
    beyond = np.clip((np.abs(f) - (1 - rolloff) / 2) / rolloff, 0, 1)
    return np.asarray((0.5 + 0.5 * np.cos(np.pi * beyond)) / np.sinc(np.clip(f, -0.95, 0.95)))


def _measured(parameters: FskParameters, rng: np.random.Generator) -> FskParameters:
    return with_bandwidth(
        parameters, rng, _fsk, 3 * (2 * parameters.deviation + 2.5 * parameters.symbol_rate)
    )


def _draw_fsk2(rng: np.random.Generator) -> FskParameters:
    rate = log_uniform(rng, 45, 1e6)
    kind = rng.random()
    if kind < 0.3:
        index = 0.5
    elif kind < 0.65:
        index = log_uniform(rng, 0.35, 1.2)
    else:
        index = log_uniform(rng, 1, 20 if rng.random() < 0.5 else 7)
    shaping = chosen(rng, {"none": 0.35, "gaussian": 0.45, "raised cosine": 0.05, "low-pass": 0.15})
    bt = {
        "none": 0.0,
        "gaussian": float(rng.choice([0.3, 0.5, 1.0])) if rng.random() < 0.5 else rng.uniform(0.25, 1.2),
        "raised cosine": rng.uniform(0.3, 1),
        "low-pass": log_uniform(rng, 0.5, 3 if index < 2 else 8),
    }[shaping]
    label = "GFSK" if shaping == "gaussian" else "2FSK"
    if abs(index - 0.5) < 1e-9:
        label = {"none": "MSK", "gaussian": "GMSK"}.get(shaping, label)
    again = rng.random() < 0.3
    return _measured(
        FskParameters(
            label=label,
            symbol_rate=rate,
            content=drawn_content(rng),
            deviation=index * rate / 2,
            shaping=shaping,
            bt=bt,
            noise=log_uniform(rng, 0.03, 0.4) if again else 0.0,
            audio=log_uniform(rng, 0.45, 4) if again and rng.random() < 0.6 else 0.0,
            skew=rng.uniform(0, 0.05) * index if again or rng.random() < 0.1 else 0.0,
        ),
        rng,
    )


def _draw_fsk4(rng: np.random.Generator) -> FskParameters:
    rate = log_uniform(rng, 45, 200e3)
    index = log_uniform(rng, 0.2, 0.5) if rng.random() < 0.6 else log_uniform(rng, 0.5, 3)
    shaping = chosen(rng, {"none": 0.2, "gaussian": 0.25, "raised cosine": 0.45, "low-pass": 0.1})
    bt = {
        "none": 0.0,
        "gaussian": rng.uniform(0.4, 2),
        "raised cosine": 0.2 if rng.random() < 0.6 else rng.uniform(0.15, 0.6),
        "low-pass": log_uniform(rng, 0.6, 3),
    }[shaping]
    again = rng.random() < 0.3
    return _measured(
        FskParameters(
            label="C4FM" if shaping == "raised cosine" else "4FSK",
            symbol_rate=rate,
            content=drawn_content(rng),
            order=4,
            deviation=1.5 * index * rate,
            shaping=shaping,
            bt=bt,
            noise=log_uniform(rng, 0.02, 0.15) if again else 0.0,
            audio=log_uniform(rng, 0.6, 3) if again and rng.random() < 0.6 else 0.0,
            skew=rng.uniform(0, 0.03) * index if again else 0.0,
        ),
        rng,
    )


def _draw_fskm(rng: np.random.Generator) -> FskParameters:
    rate = log_uniform(rng, 2, 5e3)
    order = int(rng.choice([5, 6, 8, 8, 8, 12, 16, 16, 18, 32, 32, 64]))
    index = float(rng.choice([1.0, 1.0, 2.0])) if rng.random() < 0.75 else log_uniform(rng, 0.6, 3)
    shaping = chosen(rng, {"none": 0.6, "gaussian": 0.35, "low-pass": 0.05})
    bt = {"none": 0.0, "gaussian": rng.uniform(1, 3), "low-pass": log_uniform(rng, 1, 3)}[shaping]
    again = rng.random() < 0.2
    # A piece short enough to be measured holds too few of many tones. This is right within 1 % (400,000 samples).
    continuous = rng.random() < 0.85
    spread = 0.985 * (order - 1) * index + (1.3 if shaping == "none" else 1.0)
    spread += 0.0 if continuous else 8.5 / order
    return FskParameters(
        label=f"{order}FSK",
        bandwidth=spread * rate,
        symbol_rate=rate,
        content="framed" if rng.random() < 0.1 else "random",
        order=order,
        deviation=(order - 1) * index * rate / 2,
        shaping=shaping,
        bt=bt,
        noise=log_uniform(rng, 0.2, 1.0) / order if again else 0.0,
        continuous=continuous,
    )


@dataclass(frozen=True, kw_only=True)
class KeyedParameters(FamilyParameters):
    """Amplitude keying: OOK, pulses and Morse.

    Attributes:
        code: `nrz`, `manchester`, `pwm`, `ppm` for OOK; `adsb`, `modeac`, `dme`, `radar` for pulses; `morse`.
        pulse: the shortest pulse, s.
        ratio: of a long pulse or gap to a short one; of radar, the interval between pulses over the pulse.
        duty: share of the time that the transmitter is on.
        rise: from 10 % to 90 %, s.
        rest: amplitude while it is off; above 0 for two-level amplitude keying.
        ring: quality of the edges' resonance; above 0.7 they overshoot.
        pull: frequency while on, less that at the beginning of a pulse, Hz: key chirp.
        coherent: the oscillator runs through the gaps, so that pulses have one phase.
        drift: of the oscillator, Hz a second.
        gap: between telegrams, s.
        speed: words (PARIS) a minute, of Morse; 0 of others.
    """

    code: str = "nrz"
    pulse: float = 1.0
    ratio: float = 2.0
    duty: float = 0.5
    rise: float = 0.0
    rest: float = 0.0
    ring: float = 0.0
    pull: float = 0.0
    coherent: bool = True
    drift: float = 0.0
    gap: float = 0.0
    speed: float = 0.0


def _units(parameters: KeyedParameters, rng: np.random.Generator, length: float) -> tuple[_Real, _Real]:
    """Return durations in pulses, and whether the transmitter is on, of at least `length` pulses."""
    count = int(length) + 4
    bits = data_symbols(rng, count, 2, parameters.content).astype(np.float64)
    code, ratio = parameters.code, parameters.ratio
    if code == "nrz":
        return np.ones(count), bits
    if code == "morse":
        return _morse(rng, count)
    if code == "manchester":
        return np.ones(2 * count), np.column_stack([bits, 1 - bits]).ravel()
    if code == "pwm":  # one period for both, a short or a long pulse in it
        on = np.where(bits > 0, ratio, 1.0)
        off = (1 + ratio) - on
    elif code == "ppm":  # equal pulses, short or long gaps
        on, off = np.ones(count), np.where(bits > 0, ratio, 1.0)
    elif code == "radar":
        on, off = np.ones(count), np.full(count, ratio - 1)
        if rng.random() < 0.3:  # staggered
            off = off * rng.choice([0.8, 1.0, 1.25], count)
    else:
        return _pulse_frames(code, bits, rng)
    return np.column_stack([on, off]).ravel(), np.tile([1.0, 0.0], count)


def _morse(rng: np.random.Generator, count: int) -> tuple[_Real, _Real]:
    durations: list[float] = []
    levels: list[float] = []
    total = 0.0
    while total < count:
        for _ in range(int(rng.integers(1, 7))):
            for mark in MORSE[int(rng.integers(len(MORSE)))]:
                durations += [1 if mark == "." else 3, 1]
                levels += [1, 0]
            durations[-1] = 3
        durations[-1] = 7
        total = float(np.sum(durations))
    # No hand is exact, and keyers have a weight.
    spread = rng.uniform(0, 0.15) * (rng.random() < 0.5)
    lengths = np.array(durations) * (1 + spread * rng.standard_normal(len(durations)).clip(-2, 2))
    return lengths, np.array(levels)


def _pulse_frames(code: str, bits: _Real, rng: np.random.Generator) -> tuple[_Real, _Real]:
    """Return half-pulse steps of frames of aeronautical pulses, in units of their shortest pulse."""
    if (
        code == "adsb"
    ):  # ICAO Annex 10 IV: pulses of 0.5 us; preamble at 0, 1, 3.5 and 4.5 us; data from 8 us on
        data = bits[: 112 if rng.random() < 0.7 else 56]
        frame = np.zeros(16 + 2 * len(data))
        frame[[0, 2, 7, 9]] = 1
        frame[16::2], frame[17::2] = data, 1 - data
        return np.ones(len(frame)), frame
    if code == "modeac":  # pulses of 0.45 us every 1.45 us, the first and the last always sent
        frame = bits[:15].copy()
        frame[[0, 14]], frame[7] = 1, 0
        width = 1.45 / 0.45
    else:  # dme: pairs, 12 or 36 us apart, of 3.5 us
        frame = np.array([1.0, 1.0])
        width = float(rng.choice([12, 36])) / 3.5
    on = np.column_stack([frame, np.zeros(len(frame))]).ravel()
    return np.tile([1.0, width - 1], len(frame)), on


def _keyed(parameters: KeyedParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    seconds = samples / sample_rate
    length = seconds / parameters.pulse
    gap = parameters.gap / parameters.pulse
    durations: list[_Real] = []
    levels: list[_Real] = []
    total = 0.0
    telegram = (
        rng.uniform(0.15, 1.2) * length if gap else length
    )  # the same time on the air, however long the look
    telegram = max(telegram, 16.0)
    while total < 1.1 * length + 2 * gap + telegram:
        if parameters.code in ("adsb", "modeac", "dme"):
            telegram = 120.0
        one, on = _units(parameters, rng, telegram)
        pause = gap * (rng.uniform(0.5, 1.5) if parameters.code in ("adsb", "modeac", "dme") else 1.0)
        if gap:
            one, on = np.append(one, pause), np.append(on, 0.0)
        durations.append(one)
        levels.append(on)
        total += float(one.sum())
    lengths, keyed = np.concatenate(durations), np.concatenate(levels)
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    # Begin at a random moment a little before a pulse, so that there is never nothing.
    begins = edges[:-1][(keyed > 0) & (edges[:-1] < max(total - length, 1.0))]
    if not len(begins):  # hardly ever: nothing but zeros was drawn
        keyed[0], begins = 1.0, edges[:1]
    start = max(0.0, float(rng.choice(begins)) - rng.uniform(0, 0.6) * length)
    edges = (edges - start) * parameters.pulse
    envelope = held_means(edges, keyed, samples, sample_rate)
    envelope = _edged(envelope, parameters, sample_rate)
    frequency = parameters.pull * envelope + parameters.drift * (
        np.arange(samples) / sample_rate - seconds / 2
    )
    phase = np.cumsum(frequency) / sample_rate + rng.random()
    if not parameters.coherent:
        jumps = np.cumsum(rng.random(len(keyed)) * (keyed > 0))
        at = (
            np.searchsorted(edges, np.arange(samples) / sample_rate + 1.5 * parameters.rise, side="right") - 1
        )
        phase = phase + jumps[np.clip(at, 0, len(jumps) - 1)]
    rest = parameters.rest
    return np.asarray((rest + (1 - rest) * envelope) * phasor(phase), dtype=np.complex64)


def _edged(envelope: _Real, parameters: KeyedParameters, sample_rate: float) -> _Real:
    """Give the edges their rise time, and their overshoot."""
    rise = parameters.rise * sample_rate
    if rise <= 0.5:
        return envelope
    if parameters.ring:
        natural = 0.27 / rise  # a second-order system of quality 0.7 rises in 0.34 / natural frequency
        return filtered(
            envelope, lambda f: 1 / (1 - (f / natural) ** 2 + 1j * f / (natural * parameters.ring))
        )
    return filtered(envelope, gaussian_response(0.34 / rise))


def _draw_ook(rng: np.random.Generator) -> KeyedParameters:
    pulse = 1 / log_uniform(rng, 100, 200e3)
    code = chosen(rng, {"nrz": 0.3, "manchester": 0.2, "pwm": 0.3, "ppm": 0.2})
    drawn = KeyedParameters(
        label="ASK" if (ask := rng.random() < 0.2) else "OOK",
        symbol_rate=1 / pulse,
        content=drawn_content(rng),
        code=code,
        pulse=pulse,
        ratio=float(rng.choice([2, 3])) if rng.random() < 0.7 else rng.uniform(1.5, 8),
        rise=pulse * (log_uniform(rng, 0.04, 0.7) if rng.random() < 0.6 else log_uniform(rng, 0.004, 0.08)),
        rest=rng.uniform(0.1, 0.6) if ask else rng.uniform(0, 0.03),
        ring=log_uniform(rng, 0.7, 3) if rng.random() < 0.2 else 0.0,
        pull=rng.uniform(-0.4, 0.4) / pulse * (rng.random() < 0.3),
        coherent=ask or rng.random() < 0.6,
        drift=rng.uniform(-1, 1) * 0.003 / pulse**2 * (rng.random() < 0.3),
        gap=pulse * log_uniform(rng, 6, 60) * (rng.random() < 0.5),
    )
    duty = {"ppm": 1 / (1 + (1 + drawn.ratio) / 2)}.get(code, 0.5)
    return with_bandwidth(replace(drawn, duty=duty), rng, _without_gaps, 40 / pulse)


def _without_gaps(
    parameters: KeyedParameters, rng: np.random.Generator, samples: int, sample_rate: float
) -> _Iq:
    return _keyed(replace(parameters, gap=0.0, drift=0.0), rng, samples, sample_rate)


def _draw_pulse(rng: np.random.Generator) -> KeyedParameters:
    code = chosen(rng, {"adsb": 0.45, "modeac": 0.15, "dme": 0.15, "radar": 0.25})
    pulse = {"adsb": 0.5e-6, "modeac": 0.45e-6, "dme": 3.5e-6, "radar": log_uniform(rng, 0.1e-6, 100e-6)}[
        code
    ]
    ratio = log_uniform(rng, 6, 200) if code == "radar" else 2.0
    duty = {"adsb": 0.45, "modeac": 0.15, "dme": 0.15, "radar": 1 / ratio}[code]
    drawn = KeyedParameters(
        label={"adsb": "Mode S", "modeac": "Mode A/C", "dme": "DME", "radar": "Pulses"}[code],
        symbol_rate=1e6 if code == "adsb" else 1 / pulse,
        code=code,
        pulse=pulse,
        ratio=ratio,
        duty=duty,
        rise=pulse * (log_uniform(rng, 0.1, 0.4) if code != "dme" else rng.uniform(0.5, 0.8)),
        pull=rng.uniform(-0.05, 0.05) / pulse * (rng.random() < 0.2),
        coherent=rng.random() < 0.7,
        gap=0.0 if code == "radar" else pulse * log_uniform(rng, 10, 300),
    )
    return with_bandwidth(drawn, rng, _keyed, 24 / pulse)


def draw_morse(rng: np.random.Generator) -> KeyedParameters:
    """Draw a carrier keyed in Morse code, 5 to 45 words a minute; a dot lasts 1.2 s over the speed."""
    speed = log_uniform(rng, 5, 45)
    pulse = 1.2 / speed
    drawn = KeyedParameters(
        label="Morse",
        symbol_rate=1 / pulse,
        code="morse",
        pulse=pulse,
        ratio=3.0,
        duty=0.45,
        rise=min(log_uniform(rng, 1e-3, 12e-3), 0.4 * pulse),
        pull=rng.normal(0, 30) * (rng.random() < 0.2),
        coherent=True,
        drift=rng.normal(0, 2) * (rng.random() < 0.3),
        speed=speed,
    )
    return with_bandwidth(drawn, rng, _without_gaps, 40 / pulse)


keyed_baseband = _keyed
"""Of Morse, for the family of carriers."""

KEYED_FAMILIES: tuple[FamilyClass, ...] = (
    FamilyClass("ook", _draw_ook, _keyed, core=0.25, narrow=0.25),
    FamilyClass("pulse", _draw_pulse, _keyed, core=0.25, narrow=0.6),
    FamilyClass("fsk2", _draw_fsk2, _fsk),
    FamilyClass("fsk4", _draw_fsk4, _fsk),
    FamilyClass("fskm", _draw_fskm, _fsk),
)
"""Families that key amplitude or frequency."""
