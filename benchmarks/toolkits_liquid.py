# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals of liquid-dsp's modulators and frame generators, by its shared library."""

import ctypes
import ctypes.util
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from toolkits_channel import Sent

__all__ = ["library", "signals", "version"]

Complex = NDArray[np.complex64]
_SYMBOLS = 30_000
_LINEAR = (
    "psk2 psk4 psk8 psk16 dpsk2 dpsk4 dpsk8 ask2 ask4 ask8 qam8 qam16 qam32 qam64 qam256 apsk8 apsk16 apsk32"
)
_SCHEMES = {
    **{name: ("linear",) for name in (*_LINEAR.split(), "sqam32", "V29", "arb16opt", "arb64vt")},
    **{"ook": ("ook",), "pi4dqpsk": ("pi4dqpsk",)},
}
_FREQUENCY_KEYED = (
    # bits, index, pulse (square, raised cosine, the same over several symbols, Gaussian), its beta
    (1, 0.5, 0, 1.0, "CPFSK 2, h .5"),
    (1, 1.0, 0, 1.0, "CPFSK 2, h 1"),
    (1, 0.7, 1, 1.0, "CPFSK 2, h .7, RC"),
    (1, 0.5, 2, 1.0, "CPFSK 2, h .5, RC partial"),
    (1, 0.5, 3, 0.3, "CPFSK 2, h .5, GMSK BT .3"),
    (2, 0.5, 0, 1.0, "CPFSK 4, h .5"),
    (2, 1.0, 1, 1.0, "CPFSK 4, h 1, RC"),
    (2, 0.3, 3, 0.5, "CPFSK 4, h .3, GMSK BT .5"),
    (3, 0.5, 0, 1.0, "CPFSK 8, h .5"),
)


class _Properties(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint) for name in ("check", "fec0", "fec1", "scheme")]


def library() -> ctypes.CDLL | None:
    """Return liquid-dsp's library; None where it is not installed."""
    name = ctypes.util.find_library("liquid")
    return ctypes.CDLL(name) if name else None


def version(toolkit: str) -> str | None:
    """Return its version; None where it is not installed."""
    lib = library()
    if lib is None:
        return None
    lib.liquid_libversion.restype = ctypes.c_char_p
    return str(lib.liquid_libversion().decode())


def _call(lib: ctypes.CDLL, name: str, *values: Any) -> int:
    """Call a function; floats are passed as C's float. Returns a pointer or an int, as 64 bits."""
    function = getattr(lib, name)
    function.restype = ctypes.c_void_p
    kinds = {float: ctypes.c_float, int: ctypes.c_uint}
    return function(*(kinds[type(value)](value) if type(value) in kinds else value for value in values)) or 0


def _made(lib: ctypes.CDLL, name: str, *values: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(_call(lib, name, *values))


def _at(samples: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(samples.ctypes.data)


def _number(lib: ctypes.CDLL, kind: str, name: str) -> int:
    """Return the number of a modulation (`mod`) or pulse (`firfilt`) by its name."""
    return _call(lib, f"liquid_getopt_str2{kind}", ctypes.c_char_p(name.encode())) & 0xFFFFFFFF


def _linear(lib: ctypes.CDLL, scheme: str, per_symbol: int, pulse: str, beta: float) -> Complex:
    numbers = _number(lib, "firfilt", pulse), _number(lib, "mod", scheme)
    stream = _made(lib, "symstreamcf_create_linear", numbers[0], per_symbol, 7, beta, numbers[1])
    samples = np.zeros(_SYMBOLS * per_symbol, np.complex64)
    _call(lib, "symstreamcf_write_samples", stream, _at(samples), len(samples))
    return samples


def _keyed(
    lib: ctypes.CDLL, kind: str, modulator: ctypes.c_void_p, symbols: NDArray[Any], size: int
) -> Complex:
    samples = np.zeros((len(symbols), size), np.complex64)
    for row, symbol in zip(samples, symbols, strict=True):
        _call(lib, f"{kind}_modulate", modulator, int(symbol), _at(row))
    return samples.ravel()


def _frames(
    lib: ctypes.CDLL, kind: str, maker: ctypes.c_void_p, length: int, gap: int, rng: np.random.Generator
) -> Complex:
    """Return frames of a frame generator with gaps between them."""
    parts: list[Complex] = []
    buffer = np.zeros(512, np.complex64)
    write = {"flexframegen": "write_samples", "fskframegen": "write_samples"}.get(kind, "write")
    more = (4, 1, 1) if kind in ("gmskframegen", "fskframegen") else ()  # check and codes: CRC 16, no code
    while sum(map(len, parts)) < 200_000:
        payload = rng.integers(256, size=length, dtype=np.uint8)
        _call(lib, f"{kind}_assemble", maker, _at(np.zeros(64, np.uint8)), _at(payload), length, *more)
        for _ in range(4000):
            ended = _call(lib, f"{kind}_{write}", maker, _at(buffer), len(buffer)) & 0xFFFFFFFF
            parts.append(buffer.copy())
            if ended:
                break
        parts.append(np.zeros(gap, np.complex64))
    return np.concatenate(parts)


def _audio(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Return something like speech, 300 to 3,000 Hz at 48,000 samples a second, in syllables."""
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hertz = np.fft.rfftfreq(size, 1 / 48e3)
    tones = np.fft.irfft(
        spectrum * ((hertz > 300) & (hertz < 3000)) / np.maximum(1, (hertz / 500) ** 1.0), size
    )
    swell = np.abs(np.convolve(rng.standard_normal(size // 2400 + 4), np.ones(3), "same"))
    audio = tones * np.interp(np.arange(size) / 2400, np.arange(len(swell)), swell)
    return np.asarray(0.9 * audio / np.abs(audio).max(), np.float32)


def signals(toolkit: str, rng: np.random.Generator) -> Iterator[Sent]:
    """Yield a signal of each kind; symbol rates between 20 kBd and 1 MBd are drawn."""
    lib = library()
    if lib is None:
        return
    for number, (name, families) in enumerate(_SCHEMES.items()):
        rate = float(np.round(np.exp(rng.uniform(np.log(2e4), np.log(1e6)))))
        pulse, beta = ("rrcos", "arkaiser")[number % 2], float(rng.choice([0.2, 0.25, 0.35, 0.5]))
        yield Sent(name, _linear(lib, name, 4, pulse, beta), 4 * rate, families, rate)
    for bt in (0.3, 0.5):
        rate = float(rng.choice([9600, 48e3, 250e3]))
        samples = _keyed(
            lib, "gmskmod", _made(lib, "gmskmod_create", 4, 3, bt), rng.integers(2, size=15_000), 4
        )
        yield Sent(f"GMSK BT {bt:g}", samples, 4 * rate, ("fsk2",), rate)
    for bits, index, pulse, beta, name in _FREQUENCY_KEYED:
        rate = float(rng.choice([4800, 50e3, 100e3]))
        size = 16 if bits > 1 else 8
        modulator = _made(lib, "cpfskmod_create", bits, index, size, 3, beta, pulse)
        samples = _keyed(lib, "cpfskmod", modulator, rng.integers(2**bits, size=10_000), size)
        family = ("fsk2", "fsk4", "fskm")[bits - 1]
        yield Sent(
            name, samples, size * rate, (family,), rate, index * rate / 2 if bits == 1 else 0.0,
            0.0 if bits == 1 else index * rate,
        )  # fmt: skip
    for bits, size, width in ((1, 8, 0.125), (2, 16, 0.1), (3, 32, 0.12), (4, 64, 0.125)):
        rate = float(rng.choice([1200, 10e3, 40e3]))
        maker = _made(lib, "fskmod_create", bits, size, width)
        samples = _keyed(lib, "fskmod", maker, rng.integers(2**bits, size=4000), size)
        spacing = 2 * width * size * rate / (2**bits - 1)
        yield Sent(
            f"FSK {2**bits}", samples, size * rate, (("fsk2", "fsk4", "fskm", "fskm")[bits - 1],), rate,
            spacing / 2 if bits == 1 else 0.0, 0.0 if bits == 1 else spacing,
        )  # fmt: skip
    yield from _of_frames(lib, rng)
    for name, kind, suppressed, families in (
        ("AM", 0, 0, ("am",)),
        ("AM, no carrier", 0, 1, ("am",)),
        ("USB", 1, 1, ("ssb",)),
        ("LSB", 2, 1, ("ssb",)),
    ):
        audio = _audio(rng, 96_000)
        samples = np.zeros(len(audio), np.complex64)
        _call(lib, "ampmodem_modulate_block", _made(lib, "ampmodem_create", 0.8, kind, suppressed), _at(audio),
              len(audio), _at(samples))  # fmt: skip
        yield Sent(name, samples, 48e3, families, width=6e3 if name == "AM" else 0.0)


def _of_frames(lib: ctypes.CDLL, rng: np.random.Generator) -> Iterator[Sent]:
    properties = ctypes.byref
    for size, prefix, taper in ((64, 16, 4), (256, 32, 8), (1024, 128, 16)):
        wanted = _Properties(4, 1, 1, _number(lib, "mod", str(rng.choice(["qpsk", "qam16", "qam64"]))))
        maker = _made(lib, "ofdmflexframegen_create", size, prefix, taper, None, properties(wanted))
        rate = float(rng.choice([1e6, 2e6, 4e6]))
        samples = _frames(lib, "ofdmflexframegen", maker, 2000, 4000, rng)
        yield Sent(
            f"OFDM frames, {size} subcarriers",
            samples,
            rate,
            ("ofdm",),
            rate / (size + prefix),
            0.0,
            rate / size,
        )
    for name, scheme in (("QPSK", "qpsk"), ("16QAM", "qam16"), ("8PSK", "psk8")):
        wanted = _Properties(4, 1, 1, _number(lib, "mod", scheme))
        maker = _made(lib, "flexframegen_create", properties(wanted))
        rate = float(rng.choice([50e3, 200e3, 1e6]))
        samples = _frames(lib, "flexframegen", maker, 1200, 3000, rng)
        yield Sent(f"frames, {name}", samples, 2 * rate, ("linear",), rate)
    rate = 100e3
    samples = _frames(lib, "gmskframegen", _made(lib, "gmskframegen_create"), 300, 2000, rng)
    yield Sent("frames, GMSK", samples, 2 * rate, ("fsk2",), rate)
