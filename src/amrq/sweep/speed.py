# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast models run in ONNX Runtime, side by side."""

import datetime
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from amrq.errors import AmrqError
from amrq.machine import processor_name
from amrq.model import open_session
from amrq.plain_values import from_row
from amrq.sweep.cell import Cell

__all__ = ["SpeedFigures", "measure_speed"]

_SECONDS = 0.06
"""About how long one measurement lasts."""
_ROUNDS = 9
_WARM_CALLS = 3


@dataclass(frozen=True)
class SpeedFigures:
    """How fast a model runs at one batch size, on one thread.

    Ratios are of times in the same round, the median of the rounds with the least and the most: above 1, the model is
    the faster one.

    Attributes:
        name: of the cell.
        batch: chunks a call.
        ms: median time of a call, milliseconds.
        chunks_per_s: batch over that time.
        over_float, over_float_low, over_float_high: time of the floating-point model of the same architecture and
            pruning over this one's.
        over_whole, over_whole_low, over_whole_high: time of the model that is not pruned, of the same architecture and
            precision, over this one's.
        rounds: measurements of each.
        processor, onnxruntime, date: what it was measured on, with, and when.
    """

    name: str
    batch: int
    ms: float
    chunks_per_s: float
    over_float: float
    over_float_low: float
    over_float_high: float
    over_whole: float
    over_whole_low: float
    over_whole_high: float
    rounds: int
    processor: str
    onnxruntime: str
    date: str

    def as_row(self) -> dict[str, str]:
        """Return a row of a table."""
        return {k: f"{v:.5g}" if isinstance(v, float) else str(v) for k, v in asdict(self).items()}

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> "SpeedFigures":
        """Read what `as_row` gives.

        Raises:
            AmrqError: a column is missing or holds no number.
        """
        try:
            return from_row(row, cls)
        except AmrqError as error:
            raise AmrqError(f"a row of the speeds lacks or mistypes a column: {error}") from None


def measure_speed(
    models: Mapping[Cell, Path],
    batch: int,
    chunk_length: int,
    rounds: int = _ROUNDS,
    seconds: float = _SECONDS,
    stopped: Callable[[], bool] = lambda: False,
) -> list[SpeedFigures]:
    """Time models in turn, round after round, so that a machine whose speed drifts favours none.

    Args:
        models: ONNX files by cell, all of one architecture, those that the others are compared with among them.
        batch: chunks a call.
        chunk_length: samples a chunk.
        rounds: measurements of each.
        seconds: about how long one measurement lasts.
        stopped: asked between rounds; when it says so, KeyboardInterrupt is raised.

    Raises:
        AmrqError: a model cannot be loaded.
    """
    iq = np.random.default_rng(0).standard_normal((batch, 2, chunk_length)).astype(np.float32)
    calls: dict[Cell, Callable[[], Any]] = {}
    for cell, path in models.items():
        session = open_session(path)
        fed = {session.get_inputs()[0].name: iq}
        calls[cell] = lambda session=session, fed=fed: session.run(None, fed)  # type: ignore[misc]
    counts = {}
    for cell, call in calls.items():
        for _ in range(_WARM_CALLS):
            call()
        counts[cell] = max(1, round(seconds / max(_timed(call, 1), 1e-7)))
    times: dict[Cell, list[float]] = {cell: [] for cell in calls}
    order = list(calls)
    for number in range(rounds):
        if stopped():
            raise KeyboardInterrupt
        # Each round begins elsewhere, so that none always runs after the same one.
        shift = number % len(order)
        for cell in order[shift:] + order[:shift]:
            times[cell].append(_timed(calls[cell], counts[cell]))

    def ratio(cell: Cell, other: Cell) -> tuple[float, float, float]:
        ratios = [theirs / mine for theirs, mine in zip(times[other], times[cell], strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)

    now = datetime.date.today().isoformat()
    return [
        SpeedFigures(
            cell.name,
            batch,
            1000 * statistics.median(times[cell]),
            batch / statistics.median(times[cell]),
            *ratio(cell, Cell(cell.architecture, 32, cell.pruned)),
            *ratio(cell, Cell(cell.architecture, cell.bits, 0.0)),
            rounds,
            processor_name(),
            version("onnxruntime"),
            now,
        )
        for cell in order
    ]


def _timed(call: Callable[[], Any], count: int) -> float:
    """Return the mean time of a call, seconds."""
    begun = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begun) / count
