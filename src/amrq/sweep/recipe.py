# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of a sweep, read from TOML."""

import hashlib
import itertools
import os
import re
from dataclasses import dataclass, field, replace
from functools import cached_property

from amrq.classes import THESIS_9, LinearSet
from amrq.errors import AmrqError
from amrq.text import is_file_name, is_printable, printable
from amrq.training import ConstellationSettings, class_text, make_class_set, read_settings

__all__ = [
    "ArchitectureSettings",
    "EvaluationSettings",
    "GridSettings",
    "RoundSettings",
    "SweepFitSettings",
    "SweepRecipe",
    "SweepSignalSettings",
    "read_sweep_recipe",
]

_SCALINGS = ("peak", "power")
_NORMALISATIONS = ("none", "unit-rms")
_MOST_EPOCHS = 1_000
_MOST_LAYERS = 64
_MOST_WEIGHTS = 1 << 27
_MOST_SYMBOLS = 1 << 28
"""Of all chunks that are in memory at a time."""
_MOST_CELLS = 10_000
_ARCHITECTURE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,99}")
"""A name that models, weights and rows of tables can be called by, and that leads to no other folder."""
_NARROW_BITS = 4


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AmrqError(f"{what}.")


@dataclass(frozen=True)
class SweepSignalSettings:
    """The chunks, made by Algorithm I; the carrier phase is known.

    Attributes:
        scaling: `peak` brings each constellation's largest level in I or Q to 1, as the thesis does, so that classes
            differ in mean power; `power` brings its mean power to 1.
        normalisation: `none` leaves the chunks as they are, so that their level is known; `unit-rms` divides each by
            its root mean square, so that it is not.
        noise_power: N_a, complex noise power a symbol; 0.005 is 23 dB below a power of 1.
        phase_noise: N_p, standard deviation of each symbol's phase, radians.
    """

    scaling: str = "power"
    normalisation: str = "unit-rms"
    noise_power: float = 0.005
    phase_noise: float = 0.005

    def __post_init__(self) -> None:
        """Refuse what no signal can be."""
        for name, known in (("scaling", _SCALINGS), ("normalisation", _NORMALISATIONS)):
            value = getattr(self, name)
            _require(value in known, f"signal.{name} must be {' or '.join(known)}, not {value!r}")
        _require(
            1e-4 <= self.noise_power <= 10,
            f"signal.noise_power must be 0.0001 to 10, not {self.noise_power}",
        )
        _require(0 <= self.phase_noise <= 1, f"signal.phase_noise must be 0 to 1, not {self.phase_noise}")


@dataclass(frozen=True)
class GridSettings:
    """The grid: each architecture is made in all combinations of these.

    Attributes:
        weight_bits: bits of a weight; 32 means floating point and must be among them, since the others start from it.
            Activations have 8 bits in all of the others.
        pruned: shares of the filters and neurons removed from each layer but the last; 0 must be among them.
    """

    weight_bits: tuple[int, ...] = (32, 8, 6, 4)
    pruned: tuple[float, ...] = (0.0, 0.2, 0.3)

    def __post_init__(self) -> None:
        """Refuse what is no grid."""
        for name, needed in (("weight_bits", 32), ("pruned", 0)):
            values = getattr(self, name)
            _require(
                len(set(values)) == len(values) and needed in values,
                f"grid.{name} must be different numbers with {needed} among them, not {list(values)}",
            )
        _require(
            all(bits == 32 or 2 <= bits <= 8 for bits in self.weight_bits),
            f"grid.weight_bits must be 2 to 8, or 32, not {list(self.weight_bits)}",
        )
        _require(
            all(0 <= share < 1 for share in self.pruned),
            f"grid.pruned must be from 0 to below 1, not {list(self.pruned)}",
        )


@dataclass(frozen=True)
class RoundSettings:
    """How long the cells of one kind train.

    Attributes:
        epochs: most epochs in all.
        hold: most epochs at a constant rate.
        anneal: epochs in which the rate then falls to nothing, before the gate is tried.
        retry: epochs of a further annealing, from a lower rate, before the gate is tried again.
        rate: highest learning rate, as a share of the architecture's.
    """

    epochs: int
    hold: int
    anneal: int
    retry: int
    rate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name, least in (("epochs", 1), ("hold", 0), ("anneal", 1), ("retry", 1)):
            value: int = getattr(self, name)
            _require(value >= least, f"{name} of a round must be at least {least}, not {value}")
        _require(0 < self.rate <= 1, f"rate of a round must be above 0, at most 1, not {self.rate}")

    def stretched(self, patience: float) -> "RoundSettings":
        """Return the same that many times as long, the retries apart, within the thesis's limit of 1,000 epochs."""
        return replace(
            self,
            epochs=min(max(self.epochs, _MOST_EPOCHS), round(patience * self.epochs)),
            hold=round(patience * self.hold),
            anneal=max(1, round(patience * self.anneal)),
        )


@dataclass(frozen=True)
class SweepFitSettings:
    """The optimisation: Adam on the cross entropy until the gate is passed or the epochs are used up.

    A cell trains at a constant rate until the mean loss of an epoch is below the threshold (or for `hold` epochs), then
    lets the rate fall to nothing, then tries the gate: fresh chunks, all of which must be classified rightly. Where it
    fails, the rate rises again to `retry_rate` of its highest, falls, and the gate is tried with other chunks.

    With `validation_chunks` a retry that fails and leaves the network worse, by its mistakes on these chunks (which are
    neither trained on nor those of a gate), is undone before the next.

    The batch may grow as the rate falls: the noise of a small batch's gradient keeps a network of coarse weights from
    settling.

    Attributes:
        epoch_chunks: chunks an epoch, fresh ones each.
        batch_size: chunks a step, until the rate has fallen to half its highest.
        late_batch_size: chunks a step from then on, and in retries.
        loss_threshold: mean cross entropy of an epoch, nats.
        gate_chunks: chunks of the gate.
        retry_rate: highest rate of a retry, as a share of that of the cell.
        validation_chunks: chunks on which a network is compared before and after a retry; 0 keeps every retry.
        whole: cells that start from nothing.
        pruned: pruned cells in floating point, which start from the whole one.
        quantised: cells on integers, which start from the one in floating point.
        narrow: those of them with weights of 4 bits or fewer, which have more to learn again.
    """

    epoch_chunks: int = 2_304
    batch_size: int = 64
    late_batch_size: int = 64
    loss_threshold: float = 0.02
    gate_chunks: int = 2_304
    retry_rate: float = 0.3
    validation_chunks: int = 0
    whole: RoundSettings = RoundSettings(1_000, 100, 150, 10)
    pruned: RoundSettings = RoundSettings(260, 20, 100, 10, 0.5)
    quantised: RoundSettings = RoundSettings(200, 5, 40, 10, 0.25)
    narrow: RoundSettings = RoundSettings(400, 30, 170, 15, 0.5)

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name in ("epoch_chunks", "batch_size", "late_batch_size", "gate_chunks"):
            _require(getattr(self, name) >= 1, f"fit.{name} must be at least 1, not {getattr(self, name)}")
        _require(
            self.validation_chunks >= 0,
            f"fit.validation_chunks must not be negative, but is {self.validation_chunks}",
        )
        for name in ("loss_threshold", "retry_rate"):
            value = getattr(self, name)
            _require(0 < value <= 1, f"fit.{name} must be above 0, at most 1, not {value}")

    def rounds(self, bits: int, from_nothing: bool) -> RoundSettings:
        """Return how long a cell trains: with weights of so many bits, from its parent or from nothing."""
        if bits == 32:
            return self.whole if from_nothing else self.pruned
        return self.narrow if bits <= _NARROW_BITS else self.quantised


@dataclass(frozen=True)
class EvaluationSettings:
    """Settings for the evaluation of finished cells.

    Attributes:
        chunks: fresh chunks at the noise trained on.
        es_n0_db: levels at which the accuracy is set beside the likelihood bound: noise power 10^(-x/10), dB.
        level_chunks: fresh chunks at each of them.
    """

    chunks: int = 16_384
    es_n0_db: tuple[float, ...] = (0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0)
    level_chunks: int = 2_304

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        for name in ("chunks", "level_chunks"):
            _require(
                getattr(self, name) >= 1, f"evaluation.{name} must be at least 1, not {getattr(self, name)}"
            )
        _require(
            all(-20 <= level <= 35 for level in self.es_n0_db)
            and list(self.es_n0_db) == sorted(set(self.es_n0_db)),
            f"evaluation.es_n0_db must rise, within -20 to 35 dB, not {list(self.es_n0_db)}",
        )


@dataclass(frozen=True)
class ArchitectureSettings:
    """One of the networks (see `VggLikeNet`).

    Attributes:
        name: as tables call it.
        channels: filters of each convolution.
        pools: how many of them, from the first on, are followed by a max pool.
        hidden: widths of the hidden dense layers.
        learning_rate: Adam's, at its highest.
        patience: factor on the epochs of the rounds: small networks have less to compute and more to learn.
    """

    name: str
    channels: tuple[int, ...]
    pools: int
    hidden: tuple[int, ...]
    learning_rate: float = 2e-3
    patience: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        _require(
            _ARCHITECTURE.fullmatch(self.name) is not None,
            "the name of an architecture must be 1 to 100 letters, digits and _ . + = -, beginning with a letter, a "
            f"digit or _, not {printable(self.name, 100)!r}",
        )
        widths = (*self.channels, *self.hidden)
        _require(
            bool(self.channels) and all(1 <= width <= 4096 for width in widths),
            f"widths of {self.name} must be from 1 to 4096, with at least one convolution, not {list(widths)}",
        )
        weights = sum(a * b for a, b in itertools.pairwise(widths))
        _require(
            len(widths) <= _MOST_LAYERS and weights <= _MOST_WEIGHTS,
            f"{self.name} can have {_MOST_LAYERS} layers and {_MOST_WEIGHTS:,} weights between them, not {len(widths)} "
            f"and {weights:,}",
        )
        _require(
            0 <= self.pools <= len(self.channels),
            f"{self.name} has {len(self.channels)} convolutions and cannot have {self.pools} max pools behind them",
        )
        _require(
            0 < self.learning_rate <= 1,
            f"learning_rate of {self.name} must be above 0, at most 1, not {self.learning_rate}",
        )
        _require(
            0 < self.patience <= 100,
            f"patience of {self.name} must be above 0, at most 100, not {self.patience}",
        )


@dataclass(frozen=True)
class SweepRecipe:
    """The recipe of a sweep: everything that its results depend on.

    Attributes:
        name: of the sweep.
        title: of the setting, for pages.
        architectures: the networks.
        seed: of weights and signals.
        chunk_length: symbols a chunk.
        signal, grid, fit, evaluation: see there.
        classes: the class set: its name, or names of classes and of sets in the order of the models' outputs.
        constellations: classes of the recipe's own, by name.
    """

    name: str
    architectures: tuple[ArchitectureSettings, ...]
    title: str = ""
    seed: int = 1
    chunk_length: int = 32
    signal: SweepSignalSettings = field(default_factory=SweepSignalSettings)
    grid: GridSettings = field(default_factory=GridSettings)
    fit: SweepFitSettings = field(default_factory=SweepFitSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    classes: tuple[str, ...] | str = THESIS_9.name
    constellations: dict[str, ConstellationSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        _require(
            is_file_name(self.name),
            "name must be that of a folder, at most 100 printable characters without a slash that do not begin with a "
            f"dot or a dash, not {printable(self.name, 100)!r}",
        )
        _require(len(self.class_set) >= 2, f"classes must name at least 2 classes, not {len(self.class_set)}")
        _require(is_printable(self.title), "title must be one printable line")
        _require(self.seed >= 0, f"seed must not be negative, but is {self.seed}")
        _require(self.seed < 1 << 31, f"seed must be below 2^31, not {self.seed}")
        _require(
            1 <= self.chunk_length <= 65_536, f"chunk_length must be 1 to 65536, not {self.chunk_length}"
        )
        most = _MOST_SYMBOLS // self.chunk_length
        for part, fields in (
            ("fit", ("epoch_chunks", "batch_size", "late_batch_size", "gate_chunks", "validation_chunks")),
            ("evaluation", ("chunks", "level_chunks")),
        ):
            for name in fields:
                chunks: int = getattr(getattr(self, part), name)
                _require(
                    chunks <= most,
                    f"{part}.{name} can be {most:,} for chunks of {self.chunk_length}, not {chunks:,}",
                )
        cells = len(self.architectures) * len(self.grid.weight_bits) * len(self.grid.pruned)
        _require(cells <= _MOST_CELLS, f"a sweep can have {_MOST_CELLS:,} cells, not {cells:,}")
        names = [a.name for a in self.architectures]
        _require(
            bool(names) and len(set(names)) == len(names),
            f"architectures must have different names, not {names}",
        )
        for a in self.architectures:
            _require(
                self.chunk_length >= 2**a.pools and self.chunk_length % 2**a.pools == 0,
                f"a chunk of {self.chunk_length} symbols cannot pass the {a.pools} max pools of {a.name}",
            )

    @cached_property
    def class_set(self) -> LinearSet:
        """The class set that `classes` names."""
        return make_class_set(self.classes, self.constellations, self.name)

    @property
    def identity(self) -> str:
        """Twelve hexadecimal digits that change with anything that the results depend on."""
        parts = (self.seed, self.chunk_length, self.signal, self.grid, self.fit, self.evaluation)
        text = repr((parts, self.architectures))
        if self.fit.late_batch_size == self.fit.batch_size:
            # Sweeps made before batches could grow keep their identity: they would come out the same.
            text = text.replace(f"late_batch_size={self.fit.late_batch_size}, ", "")
        if not self.fit.validation_chunks:
            # And so do those made before retries could be undone.
            text = text.replace("validation_chunks=0, ", "")
        if self.class_set != THESIS_9:
            # Sweeps made before there was a choice are of the thesis's classes, and keep their identity.
            text += class_text(self.class_set)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def architecture(self, name: str) -> ArchitectureSettings:
        """Return the architecture of that name, which must be one of the recipe's."""
        return next(a for a in self.architectures if a.name == name)


def read_sweep_recipe(path: str | os.PathLike[str]) -> SweepRecipe:
    """Read a sweep's recipe from a TOML file.

    Raises:
        AmrqError: the file is missing or no TOML, a setting is unknown, missing, mistyped or out of range.
    """
    return read_settings(path, SweepRecipe)
