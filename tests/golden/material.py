# SPDX-License-Identifier: GPL-3.0-or-later
"""What is classified: chunks and recordings made by NumPy alone, the same with any of its versions."""

import zlib
from pathlib import Path

import numpy as np
import recording_files
from seeds import rng

__all__ = ["DATA", "ROOT", "checksums", "chunks", "sequence", "write_recordings"]

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).with_name("data")
LENGTH = 32
_STEP = 2.0**-10
"""Samples are whole multiples, so that another processor's last bit changes none."""
_LEVELS_DB = (20.0, 8.0)
_EACH = 3


def _ring(count: int, turn: float = 0.0) -> np.ndarray:
    return np.exp(2j * np.pi * (np.arange(count) + turn) / count)


def _grid(side: int) -> np.ndarray:
    steps = np.arange(1 - side, side, 2)
    return (steps[:, None] + 1j * steps).ravel()


_CROSS = _grid(6)[np.abs(_grid(6).real) + np.abs(_grid(6).imag) < 10]
_POINTS = {
    "BPSK": np.array([1, -1]) + 0j,
    "4ASK": np.arange(-3, 4, 2) + 0j,
    "8ASK": np.arange(-7, 8, 2) + 0j,
    "QPSK": _ring(4, 0.5),
    "8PSK": _ring(8),
    "16PSK": _ring(16),
    "8QAM": (np.arange(-3, 4, 2)[:, None] + 1j * np.array([-1, 1])).ravel(),
    "16QAM": _grid(4),
    "32QAM": _CROSS,
    "OOK": np.array([0, 1]) + 0j,
    "noise": np.zeros(1) + 0j,
    "64QAM": _grid(8),
}


def _received(
    name: str, count: int, es_n0_db: float, turned: bool, generator: np.random.Generator
) -> np.ndarray:
    """Symbols in noise, complex64 [count, LENGTH]; a chunk's level is anything from 0.1 to 10."""
    points = _POINTS[name] / (np.sqrt(np.mean(np.abs(_POINTS[name]) ** 2)) or 1.0)
    sent = points[generator.integers(len(points), size=(count, LENGTH))]
    if turned:
        sent = sent * np.exp(2j * np.pi * generator.random((count, 1)))
    noise = generator.standard_normal((count, LENGTH, 2)) @ [1, 1j]
    level = 10.0 ** generator.uniform(-1, 1, (count, 1))
    return _stepped(level * (sent + noise * np.sqrt(0.5 * 10 ** (-es_n0_db / 10))))


def _stepped(samples: np.ndarray) -> np.ndarray:
    return ((np.round(samples.real / _STEP) + 1j * np.round(samples.imag / _STEP)) * _STEP).astype(
        np.complex64
    )


def chunks() -> np.ndarray:
    """Return complex64 [150, 32]: 12 kinds of signal, each with known and unknown phase, and odd ones at the end."""
    generator = rng("golden", "chunks")
    found = [
        _received(name, _EACH, level, turned, generator)
        for name in _POINTS
        for level in _LEVELS_DB
        for turned in (False, True)
    ]
    odd = np.zeros((6, LENGTH), np.complex64)  # the first is silence
    odd[1] = 1
    odd[2, 5] = 300
    odd[3, 7] = np.nan
    odd[4, ::2] = 1e-4
    odd[5, 3] = np.inf
    return np.concatenate([*found, odd])


def sequence() -> np.ndarray:
    """Return complex64 [220, 32]: transmissions one after the other, with a pause between, as a receiver meets them."""
    generator = rng("golden", "sequence")
    parts = [("QPSK", 50, 12.0), ("16QAM", 40, 15.0), ("", 10, 0.0), ("BPSK", 30, 3.0), ("OOK", 30, 20.0)]
    parts += [("noise", 30, 0.0), ("8PSK", 30, 7.0)]
    return np.concatenate(
        [
            _received(name, count, level, True, generator) / 4
            if name
            else np.zeros((count, LENGTH), np.complex64)
            for name, count, level in parts
        ]
    ).astype(np.complex64)


def checksums(rows: np.ndarray) -> list[str]:
    """Return a checksum a row, sixteen to a line."""
    texts = [f"{zlib.crc32(np.ascontiguousarray(row).tobytes()):08x}" for row in rows]
    return [" ".join(texts[start : start + 16]) for start in range(0, len(texts), 16)]


def write_recordings(folder: Path) -> None:
    """Write the same QPSK in all formats, and a symbol a sample."""
    signal, integers = recording_files.SIGNAL, recording_files.CI16
    values = signal.view(np.float32)
    signal.tofile(folder / "qpsk.cf32")
    integers.tofile(folder / "qpsk.ci16")
    np.round(values * 127).astype(np.int8).tofile(folder / "qpsk.ci8")
    np.round(values * 127 + 127.5).astype(np.uint8).tofile(folder / "qpsk.cu8")
    before = ((b"auxi", recording_files.auxi_chunk(145_000_000)),)
    (folder / "qpsk.wav").write_bytes(recording_files.wav_bytes(integers.tobytes(), before=before))
    integers.tofile(folder / "told.sigmf-data")
    captures = [{"sample_start": 0, "frequency": 433.92e6, "datetime": "2024-05-17T12:34:56.789Z"}]
    annotations = [{"sample_start": 0, "sample_count": 12_000, "label": "QPSK"}]
    recording_files.write_meta(folder / "told.sigmf-meta", "ci16_le", captures, annotations)
    signal[2::4].tofile(folder / "symbols.cf32")
