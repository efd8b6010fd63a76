# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings with annotations, and labelled chunks, for tests."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amrq.classes import THESIS_9, LinearClass
from amrq.labels import LABELS, LabelledChunks
from amrq.signals import ModulatedSignal, Schedule, add_noise, rotate

__all__ = ["SAMPLE_RATE", "SYMBOL_RATE", "annotation", "labelled_chunks", "write_recording"]

SAMPLE_RATE, SYMBOL_RATE = 100_000, 25_000
_SPS = SAMPLE_RATE // SYMBOL_RATE


def annotation(start: int, count: int, label: str, **more: Any) -> dict[str, Any]:
    """A SigMF annotation; `generator="gr-amrq 0.1.0"` for one of this program's own."""
    entry = {"core:sample_start": start, "core:sample_count": count, "core:label": label}
    return entry | {f"core:{key}": value for key, value in more.items()}


def write_recording(
    path: Path,
    names: Sequence[str | LinearClass],
    dwell: int,
    annotations: Sequence[dict[str, Any]] | None = None,
) -> Path:
    """Write cf32 SigMF: classes in turn, `dwell` symbols each, once; annotated with the truth unless told otherwise."""
    count = len(names) * dwell * _SPS
    signal = ModulatedSignal(Schedule(names, dwell), 20.0, 0.0, 0.4, _SPS, 0.35, seed=len(path.name))
    samples, changes = signal.generate(count)
    samples.astype(np.complex64).tofile(path.with_suffix(".sigmf-data"))
    if annotations is None:
        ends = [*(start for start, _ in changes[1:]), count]
        annotations = [
            annotation(start, end - start, name) for (start, name), end in zip(changes, ends, strict=True)
        ]
    meta = {
        "global": {"core:datatype": "cf32_le", "core:sample_rate": SAMPLE_RATE, "core:version": "1.0.0"},
        "captures": [{"core:sample_start": 0}],
        "annotations": list(annotations),
    }
    path.write_text(json.dumps(meta))
    return path


def labelled_chunks(
    name: str, counts: dict[str, int], rng: np.random.Generator, es_n0_db: float = 15.0, length: int = 32
) -> LabelledChunks:
    """Ideal chunks at any rotation; `unknown` stands for on-off keying, `no signal` for noise."""
    others = {"unknown": np.array([0, 2**0.5], np.complex64), "no signal": np.zeros(1, np.complex64)}
    chunks = []
    for label, count in counts.items():
        points = others[label] if label in others else THESIS_9[label].points
        symbols = points[rng.integers(len(points), size=(count, length))]
        turned = rotate(symbols, rng.uniform(0, 2 * np.pi, count))
        chunks.append(add_noise(turned, np.full(count, 10 ** (-es_n0_db / 10)), rng))
    total = sum(counts.values())
    return LabelledChunks(
        name,
        f"{name}.sigmf-meta",
        "0" * 64,
        SAMPLE_RATE,
        SYMBOL_RATE,
        0.0,
        np.concatenate(chunks).astype(np.complex64),
        np.repeat([LABELS.index(label) for label in counts], list(counts.values())).astype(np.uint8),
        _SPS * length * np.arange(total, dtype=np.int64),
    )
