#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write recordings of the radio amateur's data modes, made by the toolkits that Debian has, for `toolkits_data.py`.

Each mode is sent by its own program, and goes on air as it does there: audio as an upper sideband, as narrow FM or as
AM, FreeDV's and `fsk_mod`'s complex samples as they are. Then it is resampled, moved off the middle, and white noise is
added. The module `amrq` is not imported.

Programs (Debian packages `minimodem direwolf wsjtx libcodec2-1.0 fldigi sox espeak-ng`, Python's `pysstv`): what is not
there is named in one line and left out. fldigi sends into a sound card, so `toolkits_fldigi.py` records it before.

SNR is the signal's power, its gaps left out, over the noise in the bandwidth that holds 99 % of that power.

usage: toolkits_amateur.py FOLDER [FOLDER OF toolkits_fldigi.py]
"""

import ctypes
import ctypes.util
import json
import subprocess
import sys
import tempfile
import wave
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

Array = NDArray[Any]

SECONDS = 5.0
TEXT = "CQ CQ de K1ABC the quick brown fox jumps over the lazy dog 0123456789 " * 20
WAYS = ((12e3, 20.0), (48e3, 12.0), (240e3, 30.0), (0.0, 20.0))
"""Sample rates and SNR in dB in which each mode is written; 0: a WAV file of the audio, real, at 12 kHz."""
WIDE = ((48e3, 20.0), (240e3, 12.0), (960e3, 30.0))
"""The same for what is wider than 12 kHz."""


@dataclass(frozen=True)
class Mode:
    """A mode that a toolkit sends.

    Attributes:
        toolkit, name: of it.
        families: names of families that are right; none: there is no name for it, only `unknown` is right.
        make: returns audio (real) or samples (complex) and their rate.
        air: `usb`, `lsb`, `am`, `iq`, or `fm` with the peak deviation, Hz.
        truth: symbol rate in Bd, tone spacing or deviation in Hz, as far as known.
        seconds: of the recording.
    """

    toolkit: str
    name: str
    families: tuple[str, ...]
    make: Callable[[], tuple[Array, float]]
    air: str = "usb"
    truth: dict[str, float] = field(default_factory=dict)
    seconds: float = SECONDS


def _wav(path: Path) -> tuple[Array, float]:
    with wave.open(str(path)) as file:
        raw = file.readframes(file.getnframes())
        kind = {1: np.uint8, 2: np.int16}[file.getsampwidth()]
        audio = np.frombuffer(raw, kind).astype(float).reshape(-1, file.getnchannels())[:, 0]
        if file.getsampwidth() == 1:
            audio = audio - 128
        return audio / (np.abs(audio).max() or 1.0), float(file.getframerate())


def _run(*words: str, text: str | None = None) -> tuple[Array, float]:
    """Run a program that writes a WAV file; `OUT` among its words stands for its name."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.wav"
        command = [str(out) if word == "OUT" else word for word in words]
        subprocess.run(
            command,
            input=text,
            encoding="utf-8",
            errors="replace",
            cwd=folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
        files = sorted(Path(folder).glob("*.wav"))
        if not files:
            raise FileNotFoundError(words[0])
        return _wav(files[0])


def _minimodem(*words: str) -> Callable[[], tuple[Array, float]]:
    return lambda: _run("minimodem", "--tx", "-R", "48000", "-f", "OUT", *words, text=TEXT[:600])


def _packets(*words: str) -> Callable[[], tuple[Array, float]]:
    # Without a file of messages it sends four; with `-n` it adds noise of its own.
    lines = "".join(
        f"K1ABC-{number % 16}>APDW16,WIDE1-1:{TEXT[number : number + 60]}\n" for number in range(60)
    )
    return lambda: _run("gen_packets", "-r", "48000", "-o", "OUT", *words, "-", text=lines)


def _wsjt(*words: str) -> Callable[[], tuple[Array, float]]:
    def make() -> tuple[Array, float]:
        audio, rate = _run(*words)
        return audio[round(1.5 * rate) :], rate  # begins with silence

    return make


def _wspr() -> tuple[Array, float]:
    with tempfile.TemporaryDirectory() as folder:
        words = ["wsprsim", "-s", "60", "-o", "out.c2", "K1ABC FN42 33"]
        subprocess.run(words, cwd=folder, capture_output=True, timeout=60, check=False)
        raw = np.fromfile(Path(folder) / "out.c2", np.float32, offset=26)  # a name, a mode and a frequency
        samples = raw[0::2] - 1j * raw[1::2]
        return samples[375 * 4 :], 375.0


def _voice(voice: str) -> Callable[[], tuple[Array, float]]:
    return lambda: _run("espeak-ng", "-v", voice, "-w", "OUT", TEXT[:200])


def _sox(*words: str) -> Callable[[], tuple[Array, float]]:
    return lambda: _run("sox", "-n", "-b", "16", "-r", "48000", "OUT", "synth", "6", *words)


def _sstv(name: str) -> Callable[[], tuple[Array, float]]:
    def make() -> tuple[Array, float]:
        from PIL import Image
        from pysstv import color, grayscale

        mode = getattr(color, name, None) or getattr(grayscale, name)
        random = np.random.default_rng(zlib.crc32(name.encode()))
        coarse = random.integers(0, 255, (16, 20, 3)).astype(np.uint8)
        picture = Image.fromarray(coarse).resize((mode.WIDTH, mode.HEIGHT), Image.Resampling.BICUBIC)
        sent = mode(picture, 48000, 16).gen_samples()
        audio = np.fromiter((one for one, _ in zip(sent, range(48000 * 9), strict=False)), float)
        return audio[48000 * 2 :] / 32768, 48000.0

    return make


def _fsk_mod(tones: int, rate: float, first: float, spacing: float) -> Callable[[], tuple[Array, float]]:
    def make() -> tuple[Array, float]:
        bits = np.random.default_rng(tones + round(rate)).integers(0, 2, 120_000).astype(np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "bits").write_bytes(bits[: round(8 * rate * np.log2(tones))].tobytes())
            numbers = [tones, 48000, rate, first, spacing]
            words = ["fsk_mod", "-c", *(f"{one:g}" for one in numbers), "bits", "out"]
            subprocess.run(words, cwd=folder, capture_output=True, timeout=60, check=True)
            raw = np.fromfile(Path(folder) / "out", np.int16).astype(float)
        return (raw[0::2] + 1j * raw[1::2]) / 32768, 48000.0

    return make


_FREEDV = {"1600": 0, "2400A": 3, "2400B": 4, "800XA": 5, "700C": 6, "700D": 7, "700E": 13}
_FREEDV |= {"datac1": 10, "datac3": 12, "datac0": 14}


def _freedv(name: str) -> Callable[[], tuple[Array, float]]:
    def make() -> tuple[Array, float]:
        found = ctypes.util.find_library("codec2")
        if found is None:
            raise FileNotFoundError("libcodec2")
        library = ctypes.CDLL(found)
        library.freedv_open.restype = ctypes.c_void_p
        modem = ctypes.c_void_p(library.freedv_open(_FREEDV[name]))
        count = library.freedv_get_n_tx_modem_samples(modem)
        rate = float(library.freedv_get_modem_sample_rate(modem))
        parts = []
        if name.startswith("datac"):
            random = np.random.default_rng(3)
            size = library.freedv_get_bits_per_modem_frame(modem) // 8
            while sum(map(len, parts)) < 8 * rate:
                data = random.integers(0, 256, size).astype(np.uint8).tobytes()
                out = (ctypes.c_short * (8 * count))()
                library.freedv_rawdatatx(modem, out, ctypes.c_char_p(data))
                parts.append(np.array(out[:count], float))
        else:
            speech = _resampled(_voice("en")()[0], 22050.0, 8000.0)
            take = library.freedv_get_n_speech_samples(modem)
            speech = np.tile((16000 * speech / np.abs(speech).max()).astype(np.int16), 3)
            for place in range(0, len(speech) - take, take):
                spoken = np.ascontiguousarray(speech[place : place + take])
                out = (ctypes.c_short * (8 * count))()
                library.freedv_tx(modem, out, spoken.ctypes.data_as(ctypes.POINTER(ctypes.c_short)))
                parts.append(np.array(out[:count], float))
                if sum(map(len, parts)) > 8 * rate:
                    break
        library.freedv_close(modem)
        return np.concatenate(parts) / 32768, rate

    return make


def _recorded(path: Path) -> Callable[[], tuple[Array, float]]:
    def make() -> tuple[Array, float]:
        audio = np.fromfile(path, np.int16).astype(float) / 32768
        on = np.flatnonzero(np.abs(audio) > 0.02)
        begin = on[0] + 120000  # behind RSID and the preamble
        return audio[begin : begin + 6 * 48000], 48000.0

    return make


FSK2, FSK4, FSKM, LINEAR, OFDM, FM = ("fsk2",), ("fsk4",), ("fskm",), ("linear",), ("ofdm",), ("fm_narrow",)
PARALLEL = ("linear", "ofdm")
"""Carriers side by side, each with phase keying of its own, are one of them, or all."""


def _keyed(rate: float, spacing: float, **more: float) -> dict[str, float]:
    return {"symbol_rate": rate, "spacing": spacing, **more}


def modes() -> list[Mode]:
    """Return all modes that are sent by a program as audio or samples."""
    out = [
        Mode("minimodem", "RTTY 45", FSK2, _minimodem("rtty"), truth=_keyed(45.45, 170)),
        Mode(
            "minimodem",
            "RTTY 75, 850 Hz",
            FSK2,
            _minimodem("--baudot", "-M", "1275", "-S", "2125", "75"),
            truth=_keyed(75, 850),
        ),
        Mode("minimodem", "TDD 45", FSK2, _minimodem("tdd"), truth=_keyed(45.45, 400)),
        Mode("minimodem", "Bell 103", FSK2, _minimodem("300"), truth=_keyed(300, 200)),
        Mode("minimodem", "Bell 202", FSK2, _minimodem("1200"), truth=_keyed(1200, 1000)),
        Mode("minimodem", "Bell 202 in FM", FM, _minimodem("1200"), "fm3000", {"inner_symbol_rate": 1200}),
        Mode("minimodem", "Bell 202 in AM", ("am",), _minimodem("1200"), "am", {"inner_symbol_rate": 1200}),
        Mode("minimodem", "SAME", FSK2, _minimodem("same"), truth=_keyed(520.83, 520.8)),
        Mode("minimodem", "SAME in FM", FM, _minimodem("same"), "fm4000", {"inner_symbol_rate": 520.83}),
        Mode(
            "minimodem",
            "110 Bd, 200 Hz",
            FSK2,
            _minimodem("-M", "1500", "-S", "1700", "110"),
            truth=_keyed(110, 200),
        ),
        Mode("minimodem", "V.21", FSK2, _minimodem("-M", "980", "-S", "1180", "300"), truth=_keyed(300, 200)),
        Mode(
            "minimodem",
            "600 Bd, 400 Hz",
            FSK2,
            _minimodem("-M", "1700", "-S", "1300", "600"),
            truth=_keyed(600, 400),
        ),
        Mode("direwolf", "HF packet 300", FSK2, _packets("-B", "300"), truth=_keyed(300, 200)),
        Mode(
            "direwolf", "AFSK 1200 in FM", FM, _packets("-B", "1200"), "fm3000", {"inner_symbol_rate": 1200}
        ),
        Mode("direwolf", "QPSK 2400 in FM", FM, _packets("-B", "2400", "-j"), "fm3000"),
        Mode("direwolf", "8PSK 4800 in FM", FM, _packets("-B", "4800"), "fm3000"),
        Mode("direwolf", "G3RUH 9600", FSK2, _packets("-B", "9600"), "fm3000", {"symbol_rate": 9600}),
        Mode(
            "direwolf",
            "PSK 2400 in USB",
            ("linear", "pi4dqpsk"),
            _packets("-B", "2400", "-j"),
            truth={"symbol_rate": 1200},
        ),
        Mode(
            "wsjtx",
            "FT8",
            FSKM,
            _wsjt("ft8sim", "K1ABC W9XYZ EN37", "1500", "0", "0", "0", "1", "99"),
            truth=_keyed(6.25, 6.25),
            seconds=10,
        ),
        Mode(
            "wsjtx",
            "FST4-15",
            FSK4,
            _wsjt("fst4sim", "K1JT K9AN EN50", "15", "1500", "0", "0", "0", "1", "99", "F"),
            truth=_keyed(16.67, 16.67),
            seconds=8,
        ),
        Mode(
            "wsjtx",
            "FST4-60",
            FSK4,
            _wsjt("fst4sim", "K1JT K9AN EN50", "60", "1500", "0", "0", "0", "1", "99", "F"),
            truth=_keyed(3.086, 3.086),
            seconds=20,
        ),
        Mode(
            "wsjtx",
            "Q65-15A",
            FSKM,
            _wsjt("q65sim", "K1ABC W9XYZ EN37", "A", "1500", "0", "0", "0", "1", "15", "1", "99"),
            truth=_keyed(6.667, 6.667),
            seconds=10,
        ),
        Mode(
            "wsjtx",
            "Q65-30C",
            FSKM,
            _wsjt("q65sim", "K1ABC W9XYZ EN37", "C", "1500", "0", "0", "0", "1", "30", "1", "99"),
            truth=_keyed(3.333, 13.33),
            seconds=15,
        ),
        Mode(
            "wsjtx",
            "JT9",
            FSKM,
            _wsjt("jt49sim", "K1ABC W9XYZ EN37", "9A", "1", "0", "0", "0", "1", "99"),
            truth=_keyed(1.736, 1.736),
            seconds=20,
        ),
        Mode(
            "wsjtx",
            "JT4G",
            FSK4,
            _wsjt("jt49sim", "K1ABC W9XYZ EN37", "4G", "1", "0", "0", "0", "1", "99"),
            truth=_keyed(4.375, 315),
            seconds=10,
        ),
        Mode(
            "wsjtx",
            "JT65B",
            FSKM,
            _wsjt("jt65sim", "-m", "B", "-n", "1", "-s", "99", "-F", "1500", "-f", "1"),
            truth=_keyed(2.69, 5.38),
            seconds=15,
        ),
        Mode(
            "wsjtx",
            "MSK144",
            FSK2,
            _wsjt("msk144sim", "K1ABC W9XYZ EN37", "15", "1500", "9.0", "60", "1"),
            truth={"symbol_rate": 2000},
        ),
        Mode("wsjtx", "WSPR", FSK4, _wspr, "iq", _keyed(1.4648, 1.4648), seconds=30),
        Mode("espeak-ng", "voice, USB", ("ssb",), _voice("en"), "usb3000"),
        Mode("espeak-ng", "voice, LSB", ("ssb",), _voice("de"), "lsb2700"),
        Mode("espeak-ng", "voice, AM", ("am",), _voice("en+f3"), "am"),
        Mode("espeak-ng", "voice, FM 2.5 kHz", FM, _voice("fr"), "fm2500"),
        Mode("espeak-ng", "voice, FM 5 kHz", FM, _voice("en+m3"), "fm5000"),
        Mode("sox", "pink noise, USB", ("ssb",), _sox("pinknoise"), "usb2700"),
        Mode("sox", "tone, FM", FM, _sox("sine", "1000"), "fm2500"),
        Mode("sox", "two tones, FM", FM, _sox("sine", "697", "sine", "1336", "remix", "1,2"), "fm3000"),
        Mode("sox", "tone, AM", ("am",), _sox("sine", "1000"), "am"),
        Mode(
            "sox", "two tones, USB", ("ssb", "carrier"), _sox("sine", "700", "sine", "1900", "remix", "1,2")
        ),
        Mode(
            "sox",
            "plucked strings, FM 50 kHz",
            ("fm_wide",),
            _sox("pluck", "C3", "pluck", "E4", "remix", "1,2"),
            "fm50000",
        ),
        Mode("sox", "sweep, FM", FM, _sox("sine", "300:3000"), "fm3000"),
        *(
            Mode("pysstv", f"{name}, USB", FM, _sstv(name))
            for name in ("MartinM1", "ScottieS2", "Robot36", "PD90")
        ),
        *(Mode("pysstv", f"{name}, FM", FM, _sstv(name), "fm3000") for name in ("MartinM2", "Robot8BW")),
    ]
    for name, families, rate in (
        ("1600", PARALLEL, 50),
        ("700C", PARALLEL, 75),
        ("700D", OFDM, 0),
        ("700E", OFDM, 0),
        ("datac0", OFDM, 0),
        ("datac1", OFDM, 0),
        ("datac3", OFDM, 0),
    ):
        out.append(
            Mode(
                "codec2",
                f"FreeDV {name}",
                families,
                _freedv(name),
                truth={"symbol_rate": rate} if rate else {},
            )
        )
    out += [
        Mode("codec2", "FreeDV 800XA", FSK4, _freedv("800XA"), truth=_keyed(400, 400)),
        Mode("codec2", "FreeDV 2400A", FSK4, _freedv("2400A"), truth=_keyed(1200, 1200)),
        Mode("codec2", "FreeDV 2400B in FM", (*FM, *FSK2), _freedv("2400B"), "fm3000"),
    ]
    for tones, rate, spacing in (
        (2, 100, 200),
        (2, 1200, 1200),
        (2, 1000, 4000),
        (4, 100, 200),
        (4, 2400, 2400),
        (4, 500, 500),
    ):
        families = {2: FSK2, 4: FSK4, 8: FSKM}[tones]
        out.append(
            Mode(
                "codec2",
                f"fsk_mod {tones} tones, {rate} Bd, {spacing} Hz",
                families,
                _fsk_mod(tones, rate, 1000, spacing),
                "iq",
                _keyed(rate, spacing),
            )
        )
    return out


def _mfsk(tones: int, rate: float, spacing: float) -> tuple[tuple[str, ...], dict[str, float]]:
    return {2: FSK2, 4: FSK4}.get(tones, FSKM), _keyed(rate, spacing, tones=tones)


FLDIGI: dict[str, tuple[tuple[str, ...], dict[str, float]]] = {
    "CW": (("carrier", "ook"), {}),
    "RTTY": _mfsk(2, 45.45, 170),
    "SITORB": _mfsk(2, 100, 170),
    "Cont-8/250": _mfsk(8, 31.25, 31.25),
    "Cont-16/1K": _mfsk(16, 62.5, 62.5),
    "OLIVIA-4/250": _mfsk(4, 62.5, 62.5),
    "OLIVIA-8/500": _mfsk(8, 62.5, 62.5),
    "OLIVIA-16/500": _mfsk(16, 31.25, 31.25),
    "OLIVIA-32/1K": _mfsk(32, 31.25, 31.25),
    "OLIVIA-64/2K": _mfsk(64, 31.25, 31.25),
    "DOMX11": _mfsk(18, 10.766, 10.766),
    "DOMX22": _mfsk(18, 21.533, 21.533),
    "DOMEX4": _mfsk(18, 3.90625, 7.8125),
    "THOR11": _mfsk(18, 10.766, 10.766),
    "THOR16": _mfsk(18, 15.625, 15.625),
    "THOR22": _mfsk(18, 21.533, 21.533),
    "THOR100": _mfsk(18, 100, 100),
    "MFSK8": _mfsk(32, 7.8125, 7.8125),
    "MFSK16": _mfsk(16, 15.625, 15.625),
    "MFSK32": _mfsk(16, 31.25, 31.25),
    "MFSK64": _mfsk(16, 62.5, 62.5),
    "MFSK128": _mfsk(16, 125, 125),
    "FSQ": _mfsk(33, 3, 8.7890625),
    "IFKP": _mfsk(33, 3.90625, 11.71875),
    "THROB2": (FSKM, {}),
    "THRBX4": (FSKM, {}),
    "FELDHELL": (("ook", "carrier"), {}),
    "HELL80": (("fsk2",), {}),
    "FSKH105": (("fsk2",), {}),
    **{f"BPSK{rate:.0f}": (LINEAR, {"symbol_rate": rate}) for rate in (31.25, 62.5, 125, 250, 500, 1000)},
    **{f"QPSK{rate:.0f}": (LINEAR, {"symbol_rate": rate}) for rate in (31.25, 62.5, 125, 250, 500)},
    **{f"8PSK{rate:.0f}": (LINEAR, {"symbol_rate": rate}) for rate in (125, 250, 500, 1000)},
    "8PSK1200F": (LINEAR, {"symbol_rate": 16000 / 13}),
    **{f"PSK{rate}R": (LINEAR, {"symbol_rate": rate}) for rate in (125, 500, 1000)},
    **{
        name: (PARALLEL, {})
        for name in ("PSK250C6", "PSK500C2", "PSK1000C2", "PSK63RC10", "PSK125RC16", "PSK250RC5")
    },
    **{name: (PARALLEL, {}) for name in ("OFDM500F", "OFDM750F", "OFDM2000F", "OFDM3500")},
    **{name: (("ofdm",), {}) for name in ("MT63-500S", "MT63-1KS", "MT63-2KL")},
}
"""Modes of fldigi: families, and what is known of them."""
for _name, _exact in (("BPSK31", 31.25), ("BPSK62", 62.5), ("QPSK31", 31.25), ("QPSK62", 62.5)):
    FLDIGI[_name.replace("62", "63")] = (LINEAR, {"symbol_rate": _exact})
    if "62" in _name:
        del FLDIGI[_name]


def fldigi_modes(folder: Path) -> list[Mode]:
    """Return the modes of fldigi that were recorded."""
    out = []
    for name, (families, truth) in FLDIGI.items():
        path = folder / f"fldigi_{name.replace('/', '-').replace(' ', '')}.s16"
        if path.is_file() and path.stat().st_size > 200_000:
            out.append(
                Mode(
                    "fldigi",
                    name,
                    families,
                    _recorded(path),
                    truth=truth,
                    seconds=7 if truth.get("symbol_rate", 99) < 40 else SECONDS,
                )
            )
    return out


# On air


def _resampled(samples: Array, rate: float, wanted: float) -> Array:
    ratio = np.gcd(round(wanted), round(rate))
    return np.asarray(signal.resample_poly(samples, round(wanted) // ratio, round(rate) // ratio))


def _band(audio: Array, rate: float, low: float, high: float) -> Array:
    filters = signal.butter(6, (low, high), "bandpass", fs=rate, output="sos")
    return np.asarray(signal.sosfilt(filters, audio))


def on_air(mode: Mode, samples: Array, rate: float) -> tuple[Array, float]:
    """Return what a transmitter sends of audio, complex, and its sample rate."""
    if np.iscomplexobj(samples):
        return samples, rate
    kind, number = mode.air.rstrip("0123456789"), float(mode.air.lstrip("abcdefghijklmnopqrstuvwxyz") or 0)
    if kind in ("usb", "lsb"):
        if number:
            samples = _band(samples, rate, 300, number)
        sent = signal.hilbert(samples, fft.next_fast_len(len(samples)))[: len(samples)]
        return (sent if kind == "usb" else sent.conj()), rate
    wanted = 48e3 if number < 10e3 else 240e3
    audio = _resampled(samples, rate, wanted)
    if mode.toolkit == "espeak-ng":
        audio = _band(audio, wanted, 300, 3000)
    audio = audio / np.quantile(np.abs(audio), 0.999)
    audio = np.clip(audio, -1, 1)
    if kind == "am":
        return 1 + 0.7 * audio + 0j, wanted
    return np.exp(2j * np.pi * number * np.cumsum(audio) / wanted), wanted


def occupied(samples: Array, rate: float) -> tuple[float, float]:
    """Return the edges between which 99 % of the power lies, Hz."""
    at, power = signal.welch(samples, rate, nperseg=min(len(samples), 8192), return_onesided=False)
    order = np.argsort(at)
    at, sums = at[order], np.cumsum(power[order])
    sums /= sums[-1]
    return float(at[np.searchsorted(sums, 0.005)]), float(at[np.searchsorted(sums, 0.995)])


def received(
    mode: Mode, sent: Array, rate: float, way: tuple[float, float], seed: int
) -> tuple[Array, dict[str, Any]]:
    """Return a recording, and what is known of it."""
    random = np.random.default_rng(seed)
    wanted, snr_db = way
    real = not wanted
    wanted = wanted or 12e3
    seconds = mode.seconds if wanted < 500e3 else 1.5
    samples = _resampled(sent[: round((seconds + 0.2) * rate)], rate, wanted)[: round(seconds * wanted)]
    lower, upper = occupied(samples, wanted)
    room = 0.4 * wanted - max(abs(lower), abs(upper))
    shift = 0.0 if real or wanted == 12e3 else float(random.uniform(-1, 1) * max(room, 0.0))
    if mode.name == "WSPR" and real:
        shift = 1500.0
    samples = samples * np.exp(2j * np.pi * shift / wanted * np.arange(len(samples)))
    power = np.abs(samples) ** 2
    smooth = signal.oaconvolve(power, np.full(max(1, round(0.01 * wanted)), 1.0), "same")
    on = smooth > 0.05 * np.quantile(smooth, 0.95)
    level = float(power[on].mean()) * wanted / max(upper - lower, 1.0) / 10 ** (snr_db / 10)
    noise = random.normal(size=(len(samples), 2)) @ np.array([1, 1j]) * np.sqrt(level / 2)
    samples = samples + noise
    samples *= 0.3 / np.quantile(np.abs(samples), 0.99)
    about = {"rate": wanted, "snr_db": snr_db, "real": real, "lower": lower + shift, "upper": upper + shift}
    return samples, about


def write(mode: Mode, folder: Path) -> list[dict[str, Any]]:
    """Write a mode's recordings, and return what is known of them."""
    samples, rate = mode.make()
    samples = samples[: round((mode.seconds + 1) * rate)]
    sent, rate = on_air(mode, samples, rate)
    lower, upper = occupied(sent, rate)
    narrow = max(abs(lower), abs(upper)) < 4500
    known = []
    for number, way in enumerate(WAYS if narrow else WIDE):
        if not way[0] and not mode.air.startswith("usb"):
            continue
        if number == 2 and mode.seconds > 12 and narrow:
            way = (48e3, 30.0)
        seed = zlib.crc32(f"{mode.toolkit} {mode.name} {number}".encode())
        made, about = received(mode, sent, rate, way, seed)
        name = "".join(one if one.isalnum() else "_" for one in f"{mode.toolkit}_{mode.name}_{number}")
        if about["real"]:
            file = f"{name}.wav"
            with wave.open(str(folder / file), "wb") as out:
                out.setnchannels(1)
                out.setsampwidth(2)
                out.setframerate(round(about["rate"]))
                out.writeframes((32767 * np.clip(made.real, -1, 1)).astype("<i2").tobytes())
        else:
            file = f"{name}.cf32"
            made.astype(np.complex64).tofile(folder / file)
        known.append(
            {
                "toolkit": mode.toolkit,
                "mode": mode.name,
                "families": mode.families,
                "truth": mode.truth,
                "file": file,
            }
            | about
        )
    return known


def main() -> None:
    """Write all modes of which the programs are there."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = modes() + (fldigi_modes(Path(sys.argv[2])) if len(sys.argv) > 2 else [])
    path, missing = folder / "known.json", set[str]()
    known = json.loads(path.read_text("utf-8")) if path.is_file() else []
    there = {(one["toolkit"], one["mode"]) for one in known}
    for mode in wanted:
        if (mode.toolkit, mode.name) in there:
            continue
        try:
            known += write(mode, folder)
            path.write_text(json.dumps(known, indent=1), encoding="utf-8")
        except (FileNotFoundError, ImportError, subprocess.SubprocessError) as error:
            missing.add(f"{mode.toolkit} ({error})")
    if missing:
        print(f"left out, as it is not installed: {', '.join(sorted(missing))}", file=sys.stderr)
    print(
        f"{len(known)} recordings of {len({(one['toolkit'], one['mode']) for one in known})} modes",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
