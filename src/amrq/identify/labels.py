# SPDX-License-Identifier: GPL-3.0-or-later
"""The most specific name that an emission of a known family can be given, and what is measured of that family."""

from collections.abc import Callable

from amrq.identify.look import EmissionLook
from amrq.identify.received import ReceivedLinear
from amrq.measure import FrequencyKeying, InnerModem, Subcarriers
from amrq.protocols import PARAMETERS, Measure
from amrq.text import engineering

__all__ = ["DETAILS", "describe_family", "ofdm_details"]

Details = dict[str, Measure]

DETAILS = frozenset(PARAMETERS) | {
    *("rms_deviation", "audio_low", "audio_high", "tone_low", "tone_high", "pilot_deviation", "rds", "depth"),
    *("speed", "width", "interval", "sweep_rate", "sweep_time", "chip_rate", "subcarriers", "levels"),
    "tones_seen",
}
"""Names of what is measured of families."""

_LIKELY, _SURE = 0.5, 0.8
"""Confidence of a measure that a name may rest on."""
_MSK, _MSK_WITHIN = 0.5, 0.06
"""Index of MSK, and how far a measured one may be off."""
_SHAPED = 1.0
"""BT of a Gaussian filter, below which shaping is named."""
_MODEM_RATES = (300, 1200, 2400, 4800)
_RATE_WITHIN = 0.02
_FFSK = 600.0, 150.0
"""Hz: distance of the tones of FFSK 1200, and how far it may be off."""
_ACARS = 2400, 1200.0, 400.0
"""Bd, and Hz: rate and distance of the tones of MSK in AM, and how far that may be off."""
_SYLLABLES, _VOICED = 14, 0.25
"""Pieces of 45 ms, in fewer of which syllables do not show; share of them that have a pitch."""
_ON_AXIS, _NO_CARRIER = 0.5, 0.05
"""Share of the power on one axis, and share of a carrier in it, at most, of double sidebands without a carrier."""
_VOICE_LOW, _VOICE_HIGH = 700.0, (1300.0, 4500.0)
"""Hz: where the audio band of a voice begins at most, and where it ends."""
_VOICE_PEAK = 2.3
"""Peak over RMS of a voice's deviation, at least: tones and data have less."""
_PAUSED = 1.2
"""Times a sweep from one to the next, from which on there are pauses: pulses, whose waves are not continuous."""
_PULSES = {"mode_s": "Mode S", "mode_ac": "Mode A/C", "dme": "DME"}
_CODES = {"nrz": "NRZ", "manchester": "Manchester", "pwm": "PWM", "ppm": "PPM"}
"""Line codes of on-off keying."""
_MORSE = 4.0, 70.0
"""Words a minute of Morse."""
_BY_CHANCE = 0.25
"""Confidence of OFDM's prefix, below which it is chance's mostly: of 22 simulated ones 19 were, of 16 up to .5 two."""
_BOX = 0.7
"""Confidence of a bandwidth."""


def describe_family(family: str, look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    """Return the label of an emission whose family is known, and what was measured, by name.

    Args:
        family: of `amrq.protocols.FAMILIES`, or one of a model's own: its name is the label.
        look: at the emission.
        received: what it was received as; None where it was not.
    """
    describe = _FAMILIES.get(family)
    label, details = (family, {}) if describe is None else describe(look, received)
    if look.measures.bandwidth > 0 and "bandwidth" not in details:
        details["bandwidth"] = Measure(look.measures.bandwidth, _BOX)
    return label, details


def _measured(confidence: float, **values: float | None) -> Details:
    """Return what was measured, without what was not, or what no parameter can be."""
    confidence = min(max(confidence, 0.0), 1.0)
    kept: Details = {}
    for name, value in values.items():
        known = PARAMETERS.get(name)
        if value is not None and (known is None or known.low <= value <= known.high):
            kept[name] = Measure(float(value), confidence)
    return kept


def _keyed(look: EmissionLook, fewest: int, most: int) -> tuple[FrequencyKeying, Details]:
    """Return what was measured of frequency keying; no number of tones where that is of another family."""
    found = look.frequency_keying
    details = _measured(
        found.confidence,
        symbol_rate=found.symbol_rate,
        deviation=found.deviation,
        index=found.index,
        spacing=found.spacing,
        tones=found.levels,
    )
    if found.confidence > _LIKELY:
        details |= _measured(found.confidence * _SURE, shaping=found.bt)
    if not fewest <= (found.levels or 0) <= most:
        return found, {
            name: one for name, one in details.items() if name not in ("tones", "index", "spacing")
        }
    if found.levels != found.tones_seen:  # of many tones some were not sent meanwhile
        likely = found.confidence * found.levels_likely
        details |= _measured(likely, tones=found.levels, deviation=found.deviation)
        details |= _measured(found.confidence, tones_seen=found.tones_seen)
        if found.levels_likely < _LIKELY:
            del details["tones"]  # there are at least those that were seen
    return found, details


def _two_tones(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found, details = _keyed(look, 2, 2)
    if found.confidence < _LIKELY or found.levels != 2 or found.index is None:
        return "2FSK", details
    shaped = found.bt is not None and found.bt < _SHAPED
    if abs(found.index - _MSK) < _MSK_WITHIN:
        return "GMSK" if shaped else "MSK", details
    return "GFSK" if shaped else "2FSK", details


def _many_tones(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found, details = _keyed(look, 5, 1000)
    sure = found.confidence * (found.levels_likely if found.levels != found.tones_seen else 1.0)
    clear = sure > _SURE and found.levels is not None and found.levels > 4
    return (f"{found.levels}FSK" if clear else "MFSK"), details


def _symbols(look: EmissionLook, received: ReceivedLinear | None) -> Details:
    """Return the symbol rate of what was received."""
    if received is None or received.symbol_rate is None:
        return {}
    known = None if received.measures is None else received.measures.symbol_rate.confidence
    return _measured(0.95 if known is None else max(known, _LIKELY), symbol_rate=received.symbol_rate)


def _turned(look: EmissionLook, received: ReceivedLinear | None) -> Details:
    """Return the symbol rate that the lines of its powers tell; where there are none, that of what was received."""
    found = look.phase_keying
    lines = _measured(found.confidence, symbol_rate=found.symbol_rate)
    return lines if found.confidence > _LIKELY else _symbols(look, received) or lines


def _linear(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    details = _symbols(look, received)
    if received is None:
        return "linear", details
    return received.turned or received.label or received.by_phases or "linear", details


def _ofdm(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    details = ofdm_details(look.subcarriers)
    if details or "keyed_carriers" not in look.__dict__:
        return "OFDM", details
    found = look.keyed_carriers
    return "OFDM", _measured(found.confidence, symbol_rate=found.symbol_rate) if found.confidence else {}


def ofdm_details(found: Subcarriers) -> Details:
    """Return what was measured of OFDM, by name; nothing where a prefix may as well be chance.

    >>> ofdm_details(Subcarriers(spacing=15e3, confidence=0.9))["spacing"].value
    15000.0
    """
    if found.confidence < _BY_CHANCE:
        return {}
    return _measured(
        found.confidence,
        spacing=found.spacing,
        prefix=found.prefix,
        symbol_rate=found.symbol_rate,
        subcarriers=found.occupied,
    )


def _chirp(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found = look.chirp
    details = _measured(
        found.confidence,
        bandwidth=found.bandwidth,
        symbol_rate=found.symbol_rate,
        spreading_factor=found.spreading_factor,
        sweep_rate=found.rate,
        sweep_time=found.sweep_time,
    )
    if found.confidence < _LIKELY or found.kind is None:
        return "chirp", details
    if found.kind != "lora":
        whole = (found.sweep_time or 0.0) * (2 if found.shape == "triangle" else 1)
        return ("chirp" if (found.period or 0.0) > _PAUSED * whole else "FMCW"), details
    return ("LoRa" if found.spreading_factor is None else f"LoRa SF{found.spreading_factor}"), details


def _spread(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found = look.spreading
    details = _measured(found.confidence, chip_rate=found.chip_rate, code_period=found.code_period)
    rate = _symbols(look, received).get("symbol_rate")
    if rate is not None:
        details |= _measured(rate.confidence, chip_rate=rate.value)
    if found.confidence < _SURE or not {"chip_rate", "code_period"} <= set(details):
        return "DSSS", details
    chips = engineering(details["chip_rate"].value, "chip/s", 4)
    return f"DSSS {chips}, code {PARAMETERS['code_period'].shown(details['code_period'].value, 3)}", details


def _modem(inner: InnerModem, modulation: str) -> tuple[str, Details]:
    """Return the label of a modem in the audio of a modulation, and its measures; empty where there is none."""
    rate, tones = inner.symbol_rate, inner.tones
    if tones is None or rate is None or inner.confidence < _LIKELY:
        return "", {}
    details = _measured(inner.confidence, inner_symbol_rate=rate, tone_low=tones[0], tone_high=tones[1])
    known = next((one for one in _MODEM_RATES if abs(rate / one - 1) < _RATE_WITHIN), None)
    if known is None and modulation == "AM":
        return "", {}  # tones of music are taken for a modem's
    baud = known or round(rate)
    apart = tones[1] - tones[0]
    if baud == _ACARS[0] and abs(apart - _ACARS[1]) < _ACARS[2] and modulation == "AM":
        return f"MSK{baud} in {modulation}", details
    ffsk = baud == 1200 and abs(apart - _FFSK[0]) < _FFSK[1]
    return f"{'FFSK' if ffsk else 'AFSK'}{baud} in {modulation}", details


def _narrow_fm(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found = look.fm
    details = _fm_details(look)
    inner, more = _modem(InnerModem(found.tones, found.inner_symbol_rate, found.inner_confidence), "FM")
    if inner:
        return inner, details | more
    voice = look.voice("fm")
    likely = voice.likely > _LIKELY
    if voice.pieces < _SYLLABLES:  # too short for syllables: what a vowel and a consonant tell
        likely = voice.voiced > _VOICED and _is_voice(found.audio_band, found.deviation, found.rms_deviation)
    return ("NBFM voice" if likely else "NBFM"), details


def _is_voice(band: tuple[float, float] | None, peak: float | None, rms: float | None) -> bool:
    """Return whether audio is as a voice is: its band, and peaks far above its mean."""
    if band is None or not peak or not rms:
        return False
    low, high = band
    return low < _VOICE_LOW and _VOICE_HIGH[0] < high < _VOICE_HIGH[1] and peak > _VOICE_PEAK * rms


def _fm_details(look: EmissionLook) -> Details:
    found = look.fm
    low, high = found.audio_band or (None, None)
    return _measured(
        found.confidence,
        deviation=found.deviation,
        rms_deviation=found.rms_deviation,
        audio_low=low,
        audio_high=high,
    )


def _wide_fm(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found = look.fm
    details = _fm_details(look)
    if found.pilot_deviation and found.pilot_confidence > _LIKELY:
        details |= _measured(found.pilot_confidence, pilot=19e3, pilot_deviation=found.pilot_deviation)
        if found.rds is not None:
            details |= _measured(found.rds_confidence, rds=float(found.rds))
        return "WFM stereo", details
    if look.video_lines.confidence > _LIKELY:
        return "FM video", details
    return "WFM", details


def _am(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    axis = look.__dict__.get("real_axis")
    if axis is not None and axis.alone > _ON_AXIS and axis.carrier < _NO_CARRIER:
        return "DSB-SC", {}
    found = look.am
    low, high = found.audio_band or (None, None)
    details = _measured(found.confidence, depth=found.depth, audio_low=low, audio_high=high)
    if look.voice("am").likely > _LIKELY:
        return "AM voice", details
    inner, more = _modem(look.am_modem(), "AM")
    return inner or "AM", details | more


def _ssb(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found, voice = look.ssb, look.voice("ssb")
    side = "S" if found.side is None or found.confidence < _SURE else found.side[0].upper()
    if voice.likely > _LIKELY:
        return f"{side}SB voice", {}
    return f"{side}SB", {}


def _on_off(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found = look.keying
    label = f"OOK {_CODES[found.code]}" if found.code is not None and found.confidence > _LIKELY else "OOK"
    return label, _measured(found.confidence, symbol_rate=found.symbol_rate, duty=found.duty)


def _pulses(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found = look.pulses
    details = _measured(
        found.confidence,
        symbol_rate=found.symbol_rate,
        duty=found.duty,
        width=found.width,
        interval=found.interval,
    )
    named = _PULSES.get(found.kind or "") if found.confidence > _LIKELY or found.checked else None
    return named or "Pulses", details


def _carrier(look: EmissionLook, received: ReceivedLinear | None) -> tuple[str, Details]:
    found = look.keying
    speed = found.speed
    if speed is None or found.confidence < _LIKELY or not _MORSE[0] < speed < _MORSE[1]:
        return "carrier", {}
    return "Morse", _measured(found.confidence, symbol_rate=found.symbol_rate, speed=speed, duty=found.duty)


_Describe = Callable[[EmissionLook, ReceivedLinear | None], tuple[str, Details]]
_FAMILIES: dict[str, _Describe] = {
    "noise": lambda look, received: ("noise", {}),
    "carrier": _carrier,
    "am": _am,
    "ssb": _ssb,
    "fm_narrow": _narrow_fm,
    "fm_wide": _wide_fm,
    "ook": _on_off,
    "pulse": _pulses,
    "fsk2": _two_tones,
    "fsk4": lambda look, received: ("4FSK", _keyed(look, 3, 4)[1]),
    "fskm": _many_tones,
    "linear": _linear,
    "pi4dqpsk": lambda look, received: ("pi/4-DQPSK", _turned(look, received)),
    "oqpsk": lambda look, received: ("OQPSK", _turned(look, received)),
    "ofdm": _ofdm,
    "chirp": _chirp,
    "dsss": _spread,
}
