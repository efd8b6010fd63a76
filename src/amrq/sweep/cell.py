# SPDX-License-Identifier: GPL-3.0-or-later
"""A cell of a sweep: one model of the grid, the chunks it is measured on, its figures and its speed."""

import datetime
import math
import statistics
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import normalise
from amrq.errors import AmrqError
from amrq.evaluation import make_dataset
from amrq.likelihood import LikelihoodClassifier, Receiver
from amrq.machine import processor_name
from amrq.model import open_session
from amrq.plain_values import from_row
from amrq.sweep.recipe import SweepRecipe
from amrq.text import name_fault, printable

__all__ = [
    "Cell",
    "CellFigures",
    "LevelFigures",
    "PreparedChunks",
    "SpeedFigures",
    "SweepBound",
    "SweepChunks",
    "cells_of",
    "measure_speed",
    "measure_sweep_bound",
]

_FLOAT_BITS = 32


@dataclass(frozen=True)
class Cell:
    """An architecture at one precision and pruning level.

    Attributes:
        architecture: its name in the recipe.
        bits: of a weight; 32 means floating point.
        pruned: share of filters and neurons removed.

    >>> cell = Cell("vgglike_2f_1c_1re_1mp", 8, 0.2)
    >>> cell.name, cell.parent.name
    ('vgglike_2f_1c_1re_1mp_8bit_pr_20', 'vgglike_2f_1c_1re_1mp_pr_20')
    """

    architecture: str
    bits: int
    pruned: float

    @property
    def name(self) -> str:
        """The name as the thesis spells it, `vgglike_2f_1c_1re_1mp_8bit_pr_20` for instance."""
        bits = "" if self.bits == _FLOAT_BITS else f"_{self.bits}bit"
        return self.architecture + bits + (f"_pr_{100 * self.pruned:g}" if self.pruned else "")

    @property
    def parent(self) -> "Cell | None":
        """The cell whose weights it starts from: a quantised one from the float one, a pruned one from the whole."""
        if self.bits != _FLOAT_BITS:
            return Cell(self.architecture, _FLOAT_BITS, self.pruned)
        return Cell(self.architecture, _FLOAT_BITS, 0.0) if self.pruned else None

    @property
    def stream(self) -> int:
        """A number of its own for its randomness."""
        return zlib.crc32(self.name.encode())


def cells_of(recipe: SweepRecipe) -> tuple[Cell, ...]:
    """Return all cells of a recipe's grid, parents before their children."""
    bits = sorted(recipe.grid.weight_bits, reverse=True)
    return tuple(
        Cell(architecture.name, b, float(pruned))
        for architecture in recipe.architectures
        for pruned in sorted(recipe.grid.pruned)
        for b in bits
    )


_LEVEL_PARTS = ("right", "bound_right", "bound_only", "model_only")


@dataclass(frozen=True)
class LevelFigures:
    """Decisions at one noise level, beside those of the likelihood bound on the same chunks.

    Attributes:
        es_n0_db: dB; noise power 10^(-x/10).
        right: chunks that the model classified rightly.
        bound_right: chunks that the likelihood classifier classified rightly.
        bound_only: chunks on which it alone was right.
        model_only: chunks on which the model alone was right.
    """

    es_n0_db: float
    right: int
    bound_right: int
    bound_only: int
    model_only: int


@dataclass(frozen=True)
class CellFigures:
    """All that a sweep keeps of a cell.

    Attributes:
        name: of the cell.
        architecture: of the recipe.
        bits: of a weight, 32 for floating point.
        pruned: share of filters and neurons removed.
        epochs: trained, from the parent's weights on.
        gate_tries: how often the gate was tried.
        gate_wrong: mistakes at the last try; 0 where it was passed.
        gate_chunks: chunks of a try.
        loss: mean cross entropy of the last epoch, nats.
        right: chunks at the noise trained on that the exported model classified rightly.
        bound_right: those that the likelihood classifier did.
        chunks: of these.
        agree: those on which PyTorch and ONNX Runtime decided alike.
        weights: weights that are not zero.
        biases: biases that are not zero.
        multiplications: by weights that are not zero, a chunk.
        bytes: size of the ONNX file.
        integer_layers: convolutions and dense layers that ONNX Runtime runs in integers.
        float_layers: those that it runs in floating point.
        dsp, ff, lut, bram: what Algorithm II says.
        seconds: that training and measuring took.
        level_chunks: chunks at each of the levels.
        levels: accuracy against Es/N0.
    """

    name: str
    architecture: str
    bits: int
    pruned: float
    epochs: int
    gate_tries: int
    gate_wrong: int
    gate_chunks: int
    loss: float
    right: int
    bound_right: int
    chunks: int
    agree: int
    weights: int
    biases: int
    multiplications: int
    bytes: int
    integer_layers: int
    float_layers: int
    dsp: int
    ff: int
    lut: int
    bram: int
    seconds: float
    level_chunks: int
    levels: tuple[LevelFigures, ...]

    def as_row(self) -> dict[str, str]:
        """Return a row of a table, the levels side by side."""
        row = {f.name: _text(getattr(self, f.name)) for f in fields(self) if f.name != "levels"}
        for level in self.levels:
            for part in _LEVEL_PARTS:
                row[f"{part}@{level.es_n0_db:g}dB"] = str(getattr(level, part))
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> "CellFigures":
        """Read what `as_row` gives.

        Raises:
            AmrqError: a column is missing or holds no number.
        """
        levels = [
            {"es_n0_db": text, **{part: row.get(f"{part}@{text}dB") for part in _LEVEL_PARTS}}
            for text in (
                name.removeprefix("right@").removesuffix("dB") for name in row if name[:6] == "right@"
            )
        ]
        try:
            return from_row({**row, "levels": levels}, cls)
        except AmrqError as error:
            raise AmrqError(f"a row of the results lacks or mistypes a column: {error}") from None

    def __post_init__(self) -> None:
        """Refuse what no cell can have."""
        if not all(abs(x) < 2**63 for x in vars(self).values() if isinstance(x, int | float)):
            raise AmrqError(f"the figures of {printable(self.name, 60)} are larger than any.")
        if self.chunks < 1:
            raise AmrqError(f"chunks must be at least 1, not {self.chunks}.")
        for name in (self.name, self.architecture):
            fault = name_fault(name, 200)
            if fault:
                raise AmrqError(f"the name of a cell {fault}.")


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


# --- how fast models run ----------------------------------------------------------------------------------------------

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


_EPOCHS, _GATE, _EVALUATION, _CALIBRATION, _VALIDATION = range(5)


class PreparedChunks(NamedTuple):
    """Chunks ready for a network, and what they are.

    Attributes:
        iq: float32 [N, 2, L].
        labels: int64 [N], indices into the recipe's class set.
        chunks: complex64 [N, L], before any normalisation.
    """

    iq: NDArray[np.float32]
    labels: NDArray[np.int64]
    chunks: NDArray[np.complex64]


class SweepChunks:
    """Chunks of the recipe's classes by Algorithm I, each set of them drawn from a stream of its own.

    Args:
        recipe: of the sweep.
    """

    def __init__(self, recipe: SweepRecipe) -> None:
        self._recipe = recipe

    def epoch(self, stream: int, number: int) -> PreparedChunks:
        """Return what a cell trains on in one epoch."""
        return self._make(self._recipe.fit.epoch_chunks, (stream, _EPOCHS, number))

    def gate(self, stream: int, trial: int) -> PreparedChunks:
        """Return what a cell must classify without a mistake."""
        return self._make(self._recipe.fit.gate_chunks, (stream, _GATE, trial))

    def validation(self, stream: int) -> PreparedChunks:
        """Return what states of a cell's network are compared on."""
        return self._make(self._recipe.fit.validation_chunks, (stream, _VALIDATION))

    def calibration(self, stream: int) -> PreparedChunks:
        """Return what the scales of a cell's activations are set by."""
        return self._make(self._recipe.fit.epoch_chunks, (stream, _CALIBRATION))

    def evaluation(self) -> PreparedChunks:
        """Return the chunks at the noise trained on that all cells are evaluated on."""
        return self._make(self._recipe.evaluation.chunks, (_EVALUATION,))

    def level(self, es_n0_db: float) -> PreparedChunks:
        """Return the chunks at a noise power of 10^(-x/10) that all cells are evaluated on."""
        # In whole millidecibels, so that a level's chunks do not depend on which others there are.
        path = (_EVALUATION, round(1000 * es_n0_db) % 2**32)
        return self._make(self._recipe.evaluation.level_chunks, path, 10 ** (-es_n0_db / 10))

    def _make(self, count: int, path: tuple[int, ...], noise_power: float | None = None) -> PreparedChunks:
        signal, length = self._recipe.signal, self._recipe.chunk_length
        each = -(-count // len(self._recipe.class_set))
        data = make_dataset(
            signal.noise_power if noise_power is None else noise_power,
            signal.phase_noise,
            length,
            each * length,
            np.random.default_rng([self._recipe.seed, *path]),
            self._recipe.class_set,
            peak_scaled=signal.scaling == "peak",
        )
        # Where the count is no multiple of the classes, the last of the shuffled chunks are left out.
        chunks = data.chunks[:count]
        iq = normalise(chunks, unit_rms=signal.normalisation == "unit-rms").iq
        return PreparedChunks(iq, data.labels[:count], chunks)


class SweepBound(NamedTuple):
    """On which chunks the best possible classifier is right.

    Attributes:
        trained: bool [chunks], at the noise trained on.
        levels: bool [levels, level_chunks], at each Es/N0 of the recipe.
    """

    trained: NDArray[np.bool_]
    levels: NDArray[np.bool_]


def measure_sweep_bound(recipe: SweepRecipe) -> SweepBound:
    """Let the likelihood classifier decide.

    It knows Es/N0 and the phase noise, and the level where the chunks are not normalised: more than the models are
    given, so that none can surpass it but by chance.
    """
    signal, evaluation = recipe.signal, recipe.evaluation
    classes = [m.scaled_to_peak() if signal.scaling == "peak" else m for m in recipe.class_set.members]
    chunks = SweepChunks(recipe)

    def right(data: PreparedChunks, es_n0_db: float) -> NDArray[np.bool_]:
        receiver = Receiver(
            phase="known",
            es_n0_db=es_n0_db,
            level="known" if signal.normalisation == "none" else "hidden",
            phase_noise=signal.phase_noise,
        )
        decided = LikelihoodClassifier(receiver, classes).log_likelihoods(data.chunks).argmax(axis=1)
        return np.asarray(decided == data.labels)

    levels = [right(chunks.level(level), level) for level in evaluation.es_n0_db]
    return SweepBound(
        right(chunks.evaluation(), -10 * math.log10(signal.noise_power)),
        np.array(levels, dtype=np.bool_).reshape(len(levels), evaluation.level_chunks),
    )
