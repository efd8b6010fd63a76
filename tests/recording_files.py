# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings as other programs leave them: QPSK of 25 kBd at 100 kS/s, in files that are not as planned."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from seeds import rng

RATE = 100_000
COUNT = 24_000


def _signal() -> np.ndarray:
    random = rng("recording_files")
    symbols = np.exp(0.25j * np.pi + 0.5j * np.pi * random.integers(4, size=COUNT // 4))
    noise = random.standard_normal((COUNT, 2)) @ [1, 1j] * 0.02
    return (0.5 * np.repeat(symbols, 4) + noise).astype(np.complex64)


SIGNAL = _signal()
CI16 = (SIGNAL.view(np.float32) * 32767).astype("<i2")


def write_meta(
    path: Path, datatype: str = "cf32_le", captures: Any = None, annotations: Any = (), **info: Any
) -> Path:
    """Write a `.sigmf-meta`; names in `info` are without their `core:`."""
    about = {"core:datatype": datatype, "core:sample_rate": RATE, "core:version": "1.2.0"}
    about |= {f"core:{name}": value for name, value in info.items()}
    if captures is None:
        captures = [{"core:sample_start": 0}]
    elif isinstance(captures, list):
        captures = [{f"core:{name}": value for name, value in capture.items()} for capture in captures]
    if isinstance(annotations, list | tuple):
        annotations = [
            {f"core:{name}": value for name, value in annotation.items()} for annotation in annotations
        ]
    path.write_text(json.dumps({"global": about, "captures": captures, "annotations": annotations}))
    return path


def wav_bytes(
    data: bytes,
    *,
    channels: int = 2,
    bits: int = 16,
    data_size: int | None = None,
    riff_size: int | None = None,
    before: tuple[tuple[bytes, bytes], ...] = (),
    behind: tuple[tuple[bytes, bytes], ...] = (),
    kind: bytes = b"RIFF",
) -> bytes:
    """Return a wav file, its sizes as they are given instead of the right ones."""

    def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
        return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)

    frame = channels * bits // 8
    format = struct.pack("<HHIIHH", 1, channels, RATE, RATE * frame, frame, bits)
    body = b"WAVE" + b"".join(chunk(*one) for one in before if one[0] == b"ds64") + chunk(b"fmt ", format)
    body += b"".join(chunk(*one) for one in before if one[0] != b"ds64")
    body += chunk(b"data", data, data_size) + b"".join(chunk(*one) for one in behind)
    return kind + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def auxi_chunk(frequency: int) -> bytes:
    """Return an `auxi` chunk as SpectraVue and HDSDR write it: begun 2024-05-17 12:34:56.789 UTC, a Friday."""
    moment = struct.pack("<8H", 2024, 5, 5, 17, 12, 34, 56, 789)
    return moment * 2 + struct.pack("<9I", frequency, RATE, 0, 0, 0, 0, 0, 0, 0) + b"\0" * 96
