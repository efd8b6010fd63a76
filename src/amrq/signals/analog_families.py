# SPDX-License-Identifier: GPL-3.0-or-later
"""Families without symbols of their own: noise, carriers, AM, SSB and FM, with voice, music, tones or a modem inside.

Audio is made at a rate of its own over a tenth of a second or longer, and a piece of it is taken: so a look of a
millisecond at a broadcast hears a piece of a vowel, as it does on the air.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.signals.family_signal import (
    FamilyClass,
    FamilyParameters,
    chosen,
    data_symbols,
    filtered,
    gaussian_noise,
    held_means,
    log_uniform,
    occupied_edges,
    phasor,
    with_bandwidth,
)
from amrq.signals.keyed_families import KeyedParameters, draw_morse, keyed_baseband

__all__ = [
    "ANALOG_FAMILIES",
    "AmParameters",
    "CarrierParameters",
    "FmParameters",
    "NoiseParameters",
    "SsbParameters",
]

_Real = NDArray[np.floating[Any]]
_Iq = NDArray[np.complex64]

_AUDIO_CYCLES = 400.0
"""Of the highest frequency are made at least: a tenth of a second of voice."""
_AUDIO_RATE = 5.0
"""Samples of audio for each Hz of its highest frequency."""

AFSK = {
    "AFSK1200": (1200.0, 1200.0, 2200.0),
    "FFSK1200": (1200.0, 1200.0, 1800.0),
    "AFSK1200 (900/2100)": (1200.0, 900.0, 2100.0),
    "MSK2400": (2400.0, 1200.0, 2400.0),
    "AFSK2400": (2400.0, 1200.0, 2400.0),
    "AFSK4800": (4800.0, 2400.0, 4800.0),
    "AFSK300": (300.0, 1600.0, 1800.0),
}
"""Modems inside FM or AM: Bd, and the two tones in Hz."""


_VOWEL = ((250.0, 850.0), (800.0, 2400.0), (1700.0, 3300.0))
_HISS = ((2000.0, 5000.0), (2500.0, 7000.0))
"""Formants, Hz: their lowest and highest."""


def _voice(rng: np.random.Generator, samples: int, rate: float, low: float, high: float) -> _Real:
    """Return speech: harmonics of a gliding pitch, or hiss, under three formants, syllable by syllable, and pauses.

    Pitch and formants are those of adults (Peterson and Barney 1952); a sound lasts 50 to 200 ms.
    """
    out = np.zeros(samples)
    pitch = log_uniform(rng, 80, 280)
    glide = np.interp(np.linspace(0, 4, samples), np.arange(5), rng.uniform(0.85, 1.15, 5))
    pulses = np.diff(np.floor(np.cumsum(pitch * glide) / rate), prepend=0.0)
    at, heard = -int(rng.uniform(0, 0.05) * rate), False
    ramp = 0.02 * rate
    while at < samples:
        length = int(rng.uniform(0.05, 0.2) * rate)
        kind = rng.random()
        if kind < 0.85 or not heard:
            heard = True
            vowel = kind < 0.65
            first, last = max(0, int(at - ramp)), min(samples, int(at + length + ramp))
            count = last - first
            frequency = fft.rfftfreq(count, 1 / rate)
            source = fft.rfft(pulses[first:last] if vowel else rng.standard_normal(count))
            shape = np.full(len(frequency), 0.02)
            for number, (bottom, top) in enumerate(_VOWEL if vowel else _HISS):
                formant, width = rng.uniform(bottom, top), rng.uniform(50, 140) * (1 if vowel else 6)
                shape += 0.5**number / (1 + ((frequency - formant) / width) ** 2)
            shape *= _band(frequency, low, high) / (1 + (frequency / 500) ** 2) ** (0.25 * vowel)
            sound = fft.irfft(source * shape, count)
            time = np.arange(first, last)
            window = np.clip(np.minimum(time - at, at + length - time) / ramp + 0.5, 0, 1)
            out[first:last] += window * sound * (10 ** (rng.uniform(-14, 0) / 20) / (sound.std() + 1e-12))
        at += length
    return out


def _band(frequency: _Real, low: float, high: float) -> _Real:
    """Return a band-pass with soft edges."""
    edges = (frequency / max(low, 1.0)) ** 8
    return np.asarray(np.sqrt(edges / (1 + edges)) / np.sqrt(1 + (frequency / high) ** 24))


def _music(rng: np.random.Generator, samples: int, rate: float, low: float, high: float) -> _Real:
    """Return notes with harmonics and a background that falls with frequency."""
    frequency = fft.rfftfreq(samples, 1 / rate)
    spectrum = fft.rfft(rng.standard_normal(samples)) / (1 + frequency / 150) ** rng.uniform(0.4, 1.1)
    spectrum *= log_uniform(rng, 0.05, 2)
    bins = samples / rate
    for _ in range(int(rng.integers(2, 7))):
        note = log_uniform(rng, 80, min(1200.0, high / 2))
        harmonics = np.arange(1, 1 + max(1, min(int(rng.integers(1, 12)), int(high / note))))
        place = np.round(harmonics * note * bins).astype(np.int64)
        level = harmonics ** -rng.uniform(0.2, 1.5) * samples / 3 * rng.uniform(0.2, 1)
        spectrum[np.minimum(place, len(spectrum) - 1)] += level * np.exp(
            2j * np.pi * rng.random(len(harmonics))
        )
    swell = np.interp(np.linspace(0, 4, samples), np.arange(5), rng.uniform(0.4, 1, 5))
    return np.asarray(fft.irfft(spectrum * _band(frequency, low, high), samples) * swell)


def _tones(rng: np.random.Generator, samples: int, rate: float, low: float, high: float) -> _Real:
    """Return one, two or three tones: test tones, selective calls, dialling."""
    time = np.arange(samples) / rate
    out = np.zeros(samples)
    for _ in range(int(rng.choice([1, 1, 2, 2, 3]))):
        out += rng.uniform(0.5, 1) * np.sin(2 * np.pi * (rng.uniform(low, high) * time + rng.random()))
    return out


def _modem(rng: np.random.Generator, samples: int, rate: float, kind: str) -> _Real:
    """Return audio keyed between two tones, with a continuous phase."""
    symbol_rate, mark, space = AFSK[kind]
    count = int(samples / rate * symbol_rate) + 2
    content = chosen(rng, {"random": 0.6, "idle": 0.2, "framed": 0.2})
    tones = np.where(data_symbols(rng, count, 2, content) > 0, mark, space)
    frequency = held_means((np.arange(count + 1) - rng.random()) / symbol_rate, tones, samples, rate)
    return np.sin(2 * np.pi * (np.cumsum(frequency) / rate + rng.random()))


def _audio(
    rng: np.random.Generator, samples: int, sample_rate: float, kind: str, band: tuple[float, float]
) -> _Real:
    """Return audio [samples] with a peak of about 1, whatever part of a sentence it is.

    Args:
        rng: source of randomness.
        samples: how many.
        sample_rate: samples a second.
        kind: `voice`, `music`, `tones`, `noise`, `silence`, or a modem of `AFSK`.
        band: its lowest and highest frequency, Hz.
    """
    low, high = band
    if kind == "silence":
        return np.zeros(samples)
    least = _AUDIO_CYCLES / high
    rate = _AUDIO_RATE * high
    if samples / sample_rate > least:
        rate = min(rate, sample_rate)
    if kind in AFSK:
        rate = max(rate, 2.5 * _AUDIO_RATE * AFSK[kind][2])
    seconds = max(samples / sample_rate, least)
    count = int(fft.next_fast_len(int(seconds * rate) + 3, real=True))
    if kind in AFSK:
        made = _modem(rng, count, rate, kind)
    elif kind == "noise":
        made = fft.irfft(
            fft.rfft(rng.standard_normal(count)) * _band(fft.rfftfreq(count, 1 / rate), *band), count
        )
    else:
        made = {"voice": _voice, "music": _music, "tones": _tones}[kind](rng, count, rate, low, high)
    peak = np.partition(np.abs(made), -(count // 200) - 1)[-(count // 200) - 1]
    made = np.clip(made / (peak + 1e-12), -1.2, 1.2)
    start = rng.uniform(0, max(0.0, count - 2 - samples / sample_rate * rate))
    return np.interp(start + np.arange(samples) * (rate / sample_rate), np.arange(count), made)


@dataclass(frozen=True, kw_only=True)
class NoiseParameters(FamilyParameters):
    """Noise alone.

    Attributes:
        colour: `white`, `sloped`, `hump` (of a receiver's filter) or `impulsive`.
    """

    colour: str = "white"


def _draw_noise(rng: np.random.Generator) -> NoiseParameters:
    colour = chosen(rng, {"white": 0.5, "sloped": 0.17, "hump": 0.25, "impulsive": 0.08})
    return NoiseParameters(label="noise", bandwidth=log_uniform(rng, 500, 5e6), colour=colour)


def _noise(parameters: NoiseParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    noise = gaussian_noise(rng, samples)
    place = parameters.bandwidth / sample_rate
    if parameters.colour == "sloped":
        slope, bend = rng.uniform(-3, 3), rng.uniform(0, 1)
        shape = 10 ** (rng.uniform(0.5, 1.5) / 10 * slope / 3)
        return np.asarray(
            filtered(noise, lambda f: shape ** np.sin(2 * np.pi * (f / place / 4 + bend))), dtype=np.complex64
        )
    if parameters.colour == "hump":
        middle, wide, order = (
            rng.uniform(-0.3, 0.3),
            rng.uniform(0.7, 2.0),
            int(rng.choice([2, 3, 4, 8, 16, 32])),
        )
        rest = 10 ** (-rng.uniform(3, 60) / 20)
        return np.asarray(
            filtered(
                noise, lambda f: rest + 1 / np.sqrt(1 + ((f / place - middle) / wide * 2) ** (2 * order))
            ),
            dtype=np.complex64,
        )
    if parameters.colour == "impulsive":
        hits = np.abs(filtered(rng.standard_normal(samples), lambda f: np.abs(f) < 0.2)) > rng.uniform(
            0.8, 1.6
        )
        return np.asarray(noise * (1 + hits * rng.uniform(0.5, 3)), dtype=np.complex64)
    return noise


@dataclass(frozen=True, kw_only=True)
class CarrierParameters(FamilyParameters):
    """A carrier that is not keyed; `bandwidth` is that of the look at it, of which the line takes next to nothing.

    Attributes:
        offset: of the line from the middle, of the bandwidth.
        drift: of the line, bandwidths a second of a look of 256 bandwidths times seconds.
        phase_noise: steps of the phase, radians RMS in one over the bandwidth.
        hum: depth of a slow amplitude modulation.
    """

    offset: float = 0.0
    drift: float = 0.0
    phase_noise: float = 0.0
    hum: float = 0.0


def _draw_carrier(rng: np.random.Generator) -> CarrierParameters | KeyedParameters:
    if rng.random() < 0.5:
        return draw_morse(rng)
    return CarrierParameters(
        label="carrier",
        bandwidth=log_uniform(rng, 20, 5e3),
        offset=rng.uniform(-0.35, 0.35) * (rng.random() < 0.7),
        drift=rng.uniform(-0.15, 0.15) * (rng.random() < 0.4),
        phase_noise=log_uniform(rng, 0.003, 0.12) * (rng.random() < 0.5),
        hum=rng.uniform(0, 0.1) * (rng.random() < 0.2),
    )


def _carrier(
    parameters: CarrierParameters | KeyedParameters,
    rng: np.random.Generator,
    samples: int,
    sample_rate: float,
) -> _Iq:
    if isinstance(parameters, KeyedParameters):
        return keyed_baseband(parameters, rng, samples, sample_rate)
    time = np.arange(samples) / sample_rate * parameters.bandwidth
    middle = time[-1] / 2 if samples > 1 else 0.0
    phase = parameters.offset * time + parameters.drift * (time - middle) ** 2 / 512 + rng.random()
    if parameters.phase_noise:
        step = parameters.phase_noise * np.sqrt(parameters.bandwidth / sample_rate) / (2 * np.pi)
        phase = phase + np.cumsum(rng.standard_normal(samples)) * step
    hum = 1 + parameters.hum * np.sin(2 * np.pi * (rng.uniform(0.01, 0.2) * time + rng.random()))
    return np.asarray(hum * phasor(phase), dtype=np.complex64)


@dataclass(frozen=True, kw_only=True)
class AmParameters(FamilyParameters):
    """Amplitude modulation with its carrier; `bandwidth` is twice the highest audio frequency.

    Attributes:
        depth: of the modulation at the audio's peaks.
        audio: `voice`, `music`, `tones`, or a modem.
        audio_band: lowest and highest frequency of the audio, Hz.
    """

    depth: float = 0.8
    audio: str = "voice"
    audio_band: tuple[float, float] = (300.0, 3400.0)


def _draw_am(rng: np.random.Generator) -> AmParameters:
    audio = chosen(rng, {"voice": 0.5, "music": 0.25, "tones": 0.12, "MSK2400": 0.1, "AFSK1200": 0.03})
    band = (rng.uniform(50, 400), rng.uniform(2.2e3, 4e3))
    if audio == "music":
        band = (rng.uniform(40, 150), rng.uniform(3e3, 9e3))
    elif audio in AFSK:
        band = (300.0, 1.3 * AFSK[audio][2])
    label = {"voice": "AM voice", "music": "AM broadcast", "tones": "AM tones"}.get(
        audio, f"{audio.split()[0]} in AM"
    )
    return AmParameters(
        label=label,
        bandwidth=2 * band[1],
        symbol_rate=AFSK[audio][0] if audio in AFSK else 0.0,
        depth=rng.uniform(0.25, 1.0),
        audio=audio,
        audio_band=band,
    )


def _am(parameters: AmParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    audio = _audio(rng, samples, sample_rate, parameters.audio, parameters.audio_band)
    # Few modulators are free of phase modulation.
    phase = rng.random() + rng.uniform(0, 0.02) * audio * (rng.random() < 0.3)
    return np.asarray(np.maximum(1 + parameters.depth * audio, 0) * phasor(phase), dtype=np.complex64)


@dataclass(frozen=True, kw_only=True)
class SsbParameters(FamilyParameters):
    """Single sideband; the occupied band, not the suppressed carrier, is at 0 Hz.

    Attributes:
        side: `upper` or `lower`.
        audio: `voice`, `music`, `tones` or `noise`.
        audio_band: lowest and highest frequency of the audio, Hz.
        middle: of the occupied band, Hz from the carrier.
        carrier: what is left of it, amplitude over the RMS of the sideband.
    """

    side: str = "upper"
    audio: str = "voice"
    audio_band: tuple[float, float] = (300.0, 2700.0)
    middle: float = 0.0
    carrier: float = 0.0


def _ssb(parameters: SsbParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    # One sideband's audio at a rate that holds it, then turned to the middle of the band at any rate.
    rate = max(sample_rate, 2.2 * parameters.audio_band[1])
    count = max(2, int(np.ceil(samples * rate / sample_rate)) + 2)
    audio = _audio(rng, count, rate, parameters.audio, parameters.audio_band)
    power = audio.std() + 1e-9
    background = log_uniform(rng, 0.003, 0.1 if parameters.audio == "voice" else 0.3) * power
    audio = audio + background * rng.standard_normal(count)
    spectrum = fft.fft(audio)
    spectrum[count // 2 + 1 :] = 0
    spectrum[0] = parameters.carrier * power * count
    one = np.asarray(fft.ifft(2 * spectrum))
    one *= phasor(-parameters.middle / rate * np.arange(count) + rng.random())
    if rate > sample_rate:
        place = np.arange(samples) * (rate / sample_rate)
        one = np.interp(place, np.arange(count), one.real) + 1j * np.interp(place, np.arange(count), one.imag)
    one = one[:samples]
    return np.asarray(one if parameters.side == "upper" else one.conj(), dtype=np.complex64)


def _draw_ssb(rng: np.random.Generator) -> SsbParameters:
    audio = chosen(rng, {"voice": 0.68, "music": 0.08, "tones": 0.17, "noise": 0.07})
    band = (rng.uniform(80, 400), rng.uniform(1.8e3, 3.4e3))
    side = chosen(rng, {"upper": 0.6, "lower": 0.4})
    drawn = SsbParameters(
        label=f"{side[0].upper()}SB voice" if audio == "voice" else "SSB",
        side=side,
        audio=audio,
        audio_band=band,
        carrier=10 ** (-rng.uniform(10, 40) / 20) * (rng.random() < 0.3),
    )
    rate = 2.5 * band[1]
    long = _ssb(replace(drawn, side="upper", carrier=0.0), rng, 4096, rate)
    lower, upper = occupied_edges(long, rate)
    if audio == "tones":  # a box of some width is drawn around lines
        width = rng.uniform(0.5, 1) * (band[1] - band[0])
        lower = rng.uniform(band[0], band[1] - width)
        upper = lower + width
    return replace(drawn, bandwidth=upper - lower, middle=(lower + upper) / 2)


@dataclass(frozen=True, kw_only=True)
class FmParameters(FamilyParameters):
    """Frequency modulation, narrow or wide.

    Attributes:
        deviation: at the audio's peaks, Hz.
        audio: `voice`, `music`, `tones`, `silence`, a modem, or `video`.
        audio_band: lowest and highest frequency of the audio, Hz.
        subaudio: frequency of a tone squelch, Hz; 0: none.
        pilot: deviation of a stereo pilot at 19 kHz, over the whole; 0: none. With it, the difference of both sides is
            on 38 kHz.
        rds: deviation of RDS on 57 kHz, over the whole; 0: none.
        noise: on the frequency, RMS over the deviation: a receiver's audio modulated once more.
        drive: of the limiter before the modulator; above 1 it clips.
        emphasis: time constant of the pre-emphasis, s.
    """

    deviation: float = 3e3
    audio: str = "voice"
    audio_band: tuple[float, float] = (300.0, 3000.0)
    subaudio: float = 0.0
    pilot: float = 0.0
    rds: float = 0.0
    noise: float = 0.0
    drive: float = 1.0
    emphasis: float = 0.0


def _fm(parameters: FmParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Iq:
    time = np.arange(samples) / sample_rate
    if parameters.audio == "video":
        message = _video(parameters, rng, samples, sample_rate)
    else:
        message = _audio(rng, samples, sample_rate, parameters.audio, parameters.audio_band)
        message *= 10 ** (-rng.uniform(0, 10) / 20) if parameters.audio in ("voice", "music") else 1.0
        if parameters.emphasis:
            lift = parameters.emphasis * sample_rate
            message = 0.5 * message + 0.5 * np.gradient(message) * lift
            message = np.clip(message, -1.1, 1.1)
    if parameters.drive > 1:
        message = np.clip(parameters.drive * message, -1, 1)
    if parameters.subaudio:
        message = message + 0.13 * np.sin(2 * np.pi * (parameters.subaudio * time + rng.random()))
    if parameters.pilot:
        turns = 19e3 * time + rng.random()
        side = _audio(rng, samples, sample_rate, "music", parameters.audio_band) * rng.uniform(0, 0.6)
        message = (1 - parameters.pilot) * (0.8 * message + side * np.sin(4 * np.pi * turns))
        message = message + parameters.pilot * np.sin(2 * np.pi * turns)
        if parameters.rds:
            bits = rng.integers(2, size=int(samples / sample_rate * 1187.5) + 3) * 2.0 - 1
            halves = np.column_stack([bits, -bits]).ravel()
            edges = (np.arange(len(halves) + 1) - 2 * rng.random()) / 2375
            shape = filtered(
                held_means(edges, halves, samples, sample_rate), lambda f: np.abs(f) < 2.4e3 / sample_rate
            )
            message = message + parameters.rds * shape * np.sin(6 * np.pi * turns)
    if parameters.noise:
        wide = min(0.45, parameters.audio_band[1] * rng.uniform(1, 2) / sample_rate)
        noise = filtered(rng.standard_normal(samples), lambda f: np.abs(f) < wide)
        message = message + parameters.noise * noise / (noise.std() + 1e-12)
    return phasor(np.cumsum(parameters.deviation * message) / sample_rate + rng.random())


def _video(parameters: FmParameters, rng: np.random.Generator, samples: int, sample_rate: float) -> _Real:
    """Return lines of a picture with their sync pulses (625 lines, ITU-R BT.470): peak to peak -1 to 1."""
    line = 64e-6
    time = np.arange(samples) / sample_rate + rng.random() * line
    place = np.mod(time, line)
    cells = rng.uniform(0.2, 1, (int(time[-1] / line) + 2, int(rng.integers(4, 40))))
    cells[1:] = 0.7 * cells[:1] + 0.3 * cells[1:]  # lines resemble each other
    cell = np.minimum((place / line * cells.shape[1]).astype(np.int64), cells.shape[1] - 1)
    luminance = cells[(time / line).astype(np.int64), cell]
    level = np.where(place < 4.7e-6, -1.0, np.where(place < 12e-6, -0.4, -0.4 + 1.4 * luminance))
    smooth = min(0.4, parameters.audio_band[1] / sample_rate)
    return filtered(level, lambda f: np.exp(-((f / smooth) ** 2)))


def _draw_fm_narrow(rng: np.random.Generator) -> FmParameters:
    audio = chosen(rng, {"voice": 0.5, "modem": 0.3, "tones": 0.08, "music": 0.05, "silence": 0.07})
    if audio == "modem":
        audio = str(rng.choice(list(AFSK)))
    band = (rng.uniform(200, 400), rng.uniform(2.5e3, 3.6e3))
    symbol_rate = AFSK[audio][0] if audio in AFSK else 0.0
    deviation = log_uniform(rng, 1.2e3, 6e3)
    subaudio = (
        rng.uniform(67, 255) if audio not in AFSK and (rng.random() < 0.3 or audio == "silence") else 0.0
    )
    if audio in AFSK:
        band = (300.0, 1.3 * AFSK[audio][2])
    label = {"voice": "NBFM voice", "silence": "NBFM", "tones": "Tones in FM", "music": "NBFM"}.get(
        audio, f"{audio.split()[0]} in FM"
    )
    drawn = FmParameters(
        label=label,
        symbol_rate=symbol_rate,
        deviation=deviation,
        audio=audio,
        audio_band=band,
        subaudio=subaudio,
        noise=log_uniform(rng, 0.02, 0.25) if rng.random() < 0.35 else 0.0,
        drive=log_uniform(rng, 1.1, 5) if rng.random() < 0.35 else 1.0,
        emphasis=530e-6 if audio == "voice" and rng.random() < 0.5 else 0.0,
    )
    measured = with_bandwidth(drawn, rng, _fm, 5 * (deviation + band[1]))
    return replace(measured, bandwidth=max(measured.bandwidth, 0.8 * band[1]))


def _draw_fm_wide(rng: np.random.Generator) -> FmParameters:
    if rng.random() < 0.15:
        top = log_uniform(rng, 2.5e6, 6e6)
        drawn = FmParameters(
            label="FM video",
            deviation=log_uniform(rng, 1.5e6, 9e6),
            audio="video",
            audio_band=(25.0, top),
        )
        return with_bandwidth(drawn, rng, _fm, 5 * (drawn.deviation + top))
    stereo = rng.random() < 0.75
    drawn = FmParameters(
        label="WFM stereo" if stereo else "WFM mono",
        deviation=rng.uniform(35e3, 80e3),
        audio=chosen(rng, {"music": 0.6, "voice": 0.35, "silence": 0.05 if stereo else 0.0}),
        audio_band=(40.0, rng.uniform(8e3, 15e3)),
        pilot=rng.uniform(0.07, 0.11) if stereo else 0.0,
        rds=rng.uniform(0.02, 0.06) if stereo and rng.random() < 0.7 else 0.0,
        noise=log_uniform(rng, 0.01, 0.1) if rng.random() < 0.15 else 0.0,
    )
    measured = with_bandwidth(drawn, rng, _fm, 4 * (drawn.deviation + 60e3))
    # A quiet moment is not the station's bandwidth.
    return replace(measured, bandwidth=max(measured.bandwidth, rng.uniform(0.8, 1.6) * drawn.deviation))


ANALOG_FAMILIES: tuple[FamilyClass, ...] = (
    FamilyClass("noise", _draw_noise, _noise),
    FamilyClass("carrier", _draw_carrier, _carrier, core=0.3),
    FamilyClass("am", _draw_am, _am, core=0.1),
    FamilyClass("ssb", _draw_ssb, _ssb, core=0.5),
    FamilyClass("fm_narrow", _draw_fm_narrow, _fm, core=0.4),
    FamilyClass("fm_wide", _draw_fm_wide, _fm),
)
"""Families without symbols of their own."""
