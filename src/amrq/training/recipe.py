# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of a model, read from TOML."""

import itertools
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from amrq.classes import THESIS_9, LinearClass, LinearSet, class_set
from amrq.errors import AmrqError
from amrq.files import parsing
from amrq.plain_values import from_plain
from amrq.signals import FOREIGN_KINDS, OTHER_SIGNALS
from amrq.text import is_file_name, printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "FitSettings",
    "NetSettings",
    "PruningSettings",
    "QuantisationSettings",
    "Recipe",
    "SignalSettings",
    "TeacherSettings",
    "read_recipe",
    "read_settings",
    "takes_samples",
]

_LARGEST_FILE = 1 << 20
"""Bytes of a recipe: those here have some 2,000."""

_Settings = TypeVar("_Settings")


def read_settings(path: str | os.PathLike[str], kind: type[_Settings]) -> _Settings:
    """Read a recipe from a TOML file into a dataclass with a `name`, which is by default that of the file.

    Tables become the dataclasses that the fields are annotated with, arrays tuples.

    Args:
        path: the file.
        kind: a frozen dataclass whose fields are numbers, texts, tuples, dicts or such dataclasses.

    Raises:
        AmrqError: the file is missing or no TOML, a setting is unknown, missing, mistyped or out of range.
    """
    path = Path(path)
    shown, values = printable(path), _values(path)
    values.setdefault("name", path.stem)
    if "architectures" in values and "architectures" not in {f.name for f in fields(kind)}:  # type: ignore[arg-type]
        raise AmrqError(f"{shown} is the recipe of a sweep: use 'amrq sweep'.")
    if values.get("input") == "samples" and "input" not in {f.name for f in fields(kind)}:  # type: ignore[arg-type]
        raise AmrqError(f"{shown} is the recipe of a family model, whose input is samples: use 'amrq train'.")
    try:
        return from_plain(values, kind)
    except AmrqError as error:
        raise AmrqError(f"the recipe {shown}: {error}") from None


def _values(path: Path) -> dict[str, Any]:
    shown = printable(path)
    if not os.path.isfile(path):
        raise AmrqError(f"there is no recipe file {shown}.")
    with parsing(f"the recipe {shown}"):
        if path.stat().st_size > _LARGEST_FILE:
            raise AmrqError(f"the recipe {shown} has more than {_LARGEST_FILE:,} bytes.")
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise AmrqError(f"the recipe {shown} is not valid TOML: {printable(error, 200)}.") from None


def takes_samples(path: str | os.PathLike[str]) -> bool:
    """Return whether a recipe is of a model of samples (`FamilyRecipe`), not of symbols (`Recipe`).

    Raises:
        AmrqError: the file is missing or no TOML.
    """
    return _values(Path(path)).get("input") == "samples"


_MOST_LAYERS = 64
_MOST_WEIGHTS = 1 << 27
_MOST_SYMBOLS = 1 << 28
"""Of all chunks that are in memory at a time."""


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AmrqError(f"{what}.")


@dataclass(frozen=True)
class ConstellationSettings:
    """A constellation of the recipe's own.

    Attributes:
        points: [I, Q] of each, at any scale: they are brought to unit mean power.
        symmetry: how often the constellation turns into itself in a circle; 0 to find it out.
    """

    points: tuple[tuple[float, float], ...]
    symmetry: int = 0


def make_class_set(
    classes: tuple[str, ...] | str, constellations: Mapping[str, ConstellationSettings], name: str
) -> LinearSet:
    """Return the class set that a recipe names.

    Args:
        classes: names of classes and of class sets, or one name.
        constellations: the recipe's own, by name.
        name: of the recipe, and of a set that has none.

    Raises:
        AmrqError: there is no such class, a class comes twice, or points are no constellation.
    """
    own = {
        name: LinearClass.of(name, [complex(i, q) for i, q in given.points], given.symmetry or None)
        for name, given in constellations.items()
    }
    names = (classes,) if isinstance(classes, str) else classes
    left_out = [name for name in own if name not in names]
    _require(not left_out, f"constellations.{', '.join(left_out)} is not among classes")
    found = class_set(names, own, name)
    special = [m.name for m in found.members if not m.plain]
    _require(
        not special,
        f"classes: symbols of {', '.join(special)} are turned or staggered, which is not trained on",
    )
    return found


def class_text(classes: LinearSet) -> str:
    """Return a text that changes with anything that a class set is made of."""
    return repr([(m.name, m.points.tolist()) for m in classes.members])


@dataclass(frozen=True)
class SignalSettings:
    """What the training signals go through, drawn chunk by chunk.

    Ranges of two numbers and the phase noise are drawn from uniformly; of the other impairments, the square of a
    uniform number is a chunk's share of the most, since a front end in lock leaves little.

    Attributes:
        phase: `any` turns each chunk by an angle of its own; `coherent` leaves the constellations as registered.
        es_n0_db: lowest and highest Es/N0, dB.
        ideal_es_n0_db: the same for the share of ideal chunks, within that range; empty for all of it.
        es_n0_levels: equal parts of that range that the model separates, each a hypothesis of its own for each class.
        phase_noise: most standard deviation of an independent phase a symbol, radians.
        ideal_share: share of the modulations' chunks that get rotation and noise alone.
        isi_db: least and most ratio of a symbol's power to that of its echoes, dB.
        timing_error: most sampling-time error, symbols.
        frequency_offset: most residual carrier frequency, cycles a symbol.
        phase_walk: most standard deviation of the step of a random phase walk, radians a symbol.
        gain_drift: most change of the gain over a chunk, relative.
        imbalance: most amplitude of the conjugate image, relative.
        dc_offset: most constant added, relative to the RMS.
        level_known_share: share of chunks that come with the level of their stream, for networks that take it.
        unknown_share: share of chunks that are none of the modulations; 0 for a model of these alone.
        unknown_kinds: weight of a kind of these (see `amrq.signals.other_signals`); 1 if not named.
        foreign_share: share of chunks, beside those, that are linear constellations outside the class set. They too are
            `unknown`, but each kind is a hypothesis of its own at each level of Es/N0.
        foreign_es_n0_db: lowest and highest Es/N0 of these, dB. Deep in noise a dense constellation looks like
            a modulation of the set.
        foreign_kinds: weight of a kind of these (see `amrq.signals.constellations`); 1 if not named.
    """

    phase: str = "any"
    es_n0_db: tuple[float, float] = (0.0, 25.0)
    ideal_es_n0_db: tuple[float, ...] = ()
    es_n0_levels: int = 5
    phase_noise: float = 0.02
    ideal_share: float = 0.5
    isi_db: tuple[float, float] = (18.0, 35.0)
    timing_error: float = 0.05
    frequency_offset: float = 0.001
    phase_walk: float = 0.01
    gain_drift: float = 0.05
    imbalance: float = 0.02
    dc_offset: float = 0.02
    level_known_share: float = 0.0
    unknown_share: float = 0.15
    unknown_kinds: dict[str, float] = field(default_factory=dict)
    # Not in the text that stands for a recipe where states are compared, but for those that use it.
    foreign_share: float = field(default=0.0, repr=False)
    foreign_es_n0_db: tuple[float, float] = field(default=(10.0, 30.0), repr=False)
    foreign_kinds: dict[str, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse what no signal can be."""
        _require(
            self.phase in ("any", "coherent"), f"signal.phase must be any or coherent, not {self.phase!r}"
        )
        _require(
            len(self.ideal_es_n0_db) in (0, 2),
            f"signal.ideal_es_n0_db must be empty or a list of 2, not {list(self.ideal_es_n0_db)}",
        )
        for name in ("es_n0_db", "ideal_range", "isi_db", "foreign_es_n0_db"):
            low, high = getattr(self, name)
            _require(
                -50 <= low <= high <= 100, f"signal.{name} must rise, within -50 to 100 dB, not {[low, high]}"
            )
        low, high = self.es_n0_db
        _require(
            low <= self.ideal_range[0] and self.ideal_range[1] <= high,
            f"signal.ideal_es_n0_db must lie within es_n0_db, but {list(self.ideal_es_n0_db)} does not",
        )
        _require(
            1 <= self.es_n0_levels <= 100, f"signal.es_n0_levels must be 1 to 100, not {self.es_n0_levels}"
        )
        _require(
            self.foreign_share == 0
            or (self.foreign_share > 0 and 0 < self.unknown_share < 1 - self.foreign_share),
            "signal.foreign_share must be 0, or above 0 where unknown_share is too, and below 1 with it, not "
            f"{self.foreign_share}",
        )
        _require(
            not self.foreign_share or (low <= self.foreign_es_n0_db[0] and self.foreign_es_n0_db[1] <= high),
            f"signal.foreign_es_n0_db must lie within es_n0_db, but {list(self.foreign_es_n0_db)} does not",
        )
        for name in ("ideal_share", "level_known_share"):
            share = getattr(self, name)
            _require(0 <= share <= 1, f"signal.{name} must be from 0 to 1, not {share}")
        _require(
            0 <= self.unknown_share < 1,
            f"signal.unknown_share must be from 0 to below 1, not {self.unknown_share}",
        )
        for name, most in (
            ("phase_noise", 1.0),
            ("timing_error", 0.5),
            ("frequency_offset", 0.5),
            ("phase_walk", 1.0),
            ("gain_drift", 1.0),
            ("imbalance", 1.0),
            ("dc_offset", 1.0),
        ):
            value = getattr(self, name)
            _require(0 <= value <= most, f"signal.{name} must be from 0 to {most:g}, not {value}")
        for name, kinds in (("unknown_kinds", OTHER_SIGNALS), ("foreign_kinds", FOREIGN_KINDS)):
            for kind, weight in getattr(self, name).items():
                _require(kind in kinds, f"signal.{name}.{kind} is not a kind: there are {', '.join(kinds)}")
                _require(0 < weight < 1e6, f"signal.{name}.{kind} must be above 0, not {weight}")

    @property
    def ideal_range(self) -> tuple[float, float]:
        """Lowest and highest Es/N0 of the ideal chunks, dB."""
        low, high = self.ideal_es_n0_db or self.es_n0_db
        return low, high


@dataclass(frozen=True)
class TeacherSettings:
    """The likelihood classifier as a teacher of the ideal chunks (distillation, Hinton et al. 2015).

    Its posteriors are the very function that the network is to learn, where a label is one draw from them: they take
    the noise out of the training. They are computed once, for chunks that come back turned, mirrored and in other
    orders of their symbols, none of which changes them.

    Attributes:
        chunks: chunks it judges; 0 for no teacher.
        es_n0_db: range of Es/N0 that it takes for granted, dB. Chunks with less noise have plain labels.
    """

    chunks: int = 0
    es_n0_db: tuple[float, float] = (0.0, 20.0)

    def __post_init__(self) -> None:
        """Refuse what it cannot do."""
        _require(self.chunks >= 0, f"teacher.chunks must not be negative, but is {self.chunks}")
        low, high = self.es_n0_db
        _require(
            -50 <= low < high <= 60, f"teacher.es_n0_db must rise, within -50 to 60 dB, not {[low, high]}"
        )


@dataclass(frozen=True)
class NetSettings:
    """The network.

    Attributes:
        architecture: its name in `amrq.training.architectures`.
        symbol_channels: widths of the layers that see one symbol at a time.
        head_widths: widths of the hidden layers after the mean over the symbols.
        first_kernel: symbols that the first layer sees at a time, odd.
        folded: let the network see magnitudes of I and Q where the phase is known or estimated.
        level_input: take the level of a chunk's stream as a second input.
        phases: candidate phases, for the architecture of that name.
        aligner: how `phase_aligned` finds the phases: in `float` arithmetic, or in `integer` (docs/integer-network.md),
            for chunks of 32 and folded.
    """

    architecture: str = "phase_aligned"
    symbol_channels: tuple[int, ...] = (64, 64, 64)
    head_widths: tuple[int, ...] = (64,)
    first_kernel: int = 1
    folded: bool = True
    level_input: bool = False
    phases: int = 8
    # See `SignalSettings`.
    aligner: str = field(default="float", repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        _require(
            self.aligner == "float" or (self.aligner == "integer" and self.folded),
            f"net.aligner must be float, or integer in a network that is folded, not {self.aligner}",
        )
        _require(
            1 <= self.first_kernel <= 31 and self.first_kernel % 2 == 1,
            f"net.first_kernel must be odd, 1 to 31, not {self.first_kernel}",
        )
        _require(1 <= self.phases <= 64, f"net.phases must be 1 to 64, not {self.phases}")
        _require(len(self.symbol_channels) >= 1, "net.symbol_channels must name at least one width")
        widths = (*self.symbol_channels, *self.head_widths)
        _require(len(widths) <= _MOST_LAYERS, f"net can have {_MOST_LAYERS} layers, not {len(widths)}")
        weights = sum(a * b for a, b in itertools.pairwise(widths))
        _require(weights <= _MOST_WEIGHTS, f"net can have {_MOST_WEIGHTS:,} weights, not {weights:,}")
        for name in ("symbol_channels", "head_widths"):
            widths = getattr(self, name)
            _require(
                all(1 <= w <= 4096 for w in widths), f"net.{name} must be from 1 to 4096, not {list(widths)}"
            )


@dataclass(frozen=True)
class FitSettings:
    """The optimisation.

    With `foreign_steps` the network first learns the modulations and other signals, without the linear constellations
    outside the set; then it gets outputs for these and learns all together.

    Attributes:
        steps: batches in all.
        batch_size: chunks a batch.
        learning_rate: Adam's, at its highest; it rises over the first 2 % of the steps and falls along a cosine.
        label_smoothing: share of the probability spread over all classes (Szegedy et al. 2016).
        foreign_steps: batches of the second part; 0 for no such parting.
        foreign_learning_rate: of the second part, at its highest.
        foreign_teacher: chunks that the teacher judges for the second part and for the fine-tuning on integers.
    """

    steps: int = 10_000
    batch_size: int = 576
    learning_rate: float = 2e-3
    label_smoothing: float = 0.0
    # See `SignalSettings`.
    foreign_steps: int = field(default=0, repr=False)
    foreign_learning_rate: float = field(default=2e-3, repr=False)
    foreign_teacher: int = field(default=60_000, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        _require(self.steps >= 1, f"fit.steps must be at least 1, not {self.steps}")
        _require(self.batch_size >= 1, f"fit.batch_size must be at least 1, not {self.batch_size}")
        for name in ("foreign_steps", "foreign_teacher"):
            value = getattr(self, name)
            _require(value >= 0, f"fit.{name} must not be negative, but is {value}")
        for name in ("learning_rate", "foreign_learning_rate"):
            rate = getattr(self, name)
            _require(0 < rate <= 1, f"fit.{name} must be above 0, at most 1, not {rate}")
        _require(
            0 <= self.label_smoothing < 1,
            f"fit.label_smoothing must be from 0 to below 1, not {self.label_smoothing}",
        )


@dataclass(frozen=True)
class PruningSettings:
    """Removal of single weights, gradual, in the middle of the training in floating point.

    Attributes:
        share: of the weights of each layer that is removed in the end.
        begin: share of the float steps after which removal begins.
        end: share of the float steps after which it is complete.
        foreign_share: share that is removed by the end of a second part (see `FitSettings`), which removes what it adds
            between the same shares of its own steps; 0: as large as `share`.
    """

    share: float = 0.0
    begin: float = 0.2
    end: float = 0.7
    # See `SignalSettings`.
    foreign_share: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        _require(0 <= self.share < 1, f"pruning.share must be from 0 to below 1, not {self.share}")
        _require(
            self.foreign_share == 0 or self.share <= self.foreign_share < 1,
            f"pruning.foreign_share must be 0, or from pruning.share to below 1, not {self.foreign_share}",
        )
        _require(
            0 <= self.begin < self.end <= 1,
            f"pruning.begin and pruning.end must rise, within 0 to 1, not {self.begin} and {self.end}",
        )


@dataclass(frozen=True)
class QuantisationSettings:
    """Weights and activations on integers.

    Attributes:
        weight_bits: a model each: 2 to 8, or 32 for one in floating point.
        activation_bits: of the models on integers.
        steps: batches of fine-tuning with the rounding in the loop, for weights of 8 bits.
        learning_rate: of the fine-tuning, at its highest, for weights of 8 bits.
        narrow_steps, narrow_learning_rate: the same for weights of fewer bits, which have more to learn again.
    """

    weight_bits: tuple[int, ...] = (8,)
    activation_bits: int = 8
    steps: int = 2_000
    learning_rate: float = 3e-4
    narrow_steps: int = 4_000
    narrow_learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse what cannot be exported."""
        bits = self.weight_bits
        _require(
            bool(bits) and len(set(bits)) == len(bits) and all(2 <= b <= 8 or b == 32 for b in bits),
            f"quantisation.weight_bits must be different numbers of 2 to 8, or 32 for none, not {list(bits)}",
        )
        # Fewer bits need clipping nodes in the ONNX file, which keep onnxruntime from its integer kernels.
        _require(
            self.activation_bits == 8, f"quantisation.activation_bits must be 8, not {self.activation_bits}"
        )
        for name in ("steps", "narrow_steps"):
            steps = getattr(self, name)
            _require(steps >= 0, f"quantisation.{name} must not be negative, but is {steps}")
        for name in ("learning_rate", "narrow_learning_rate"):
            rate = getattr(self, name)
            _require(0 < rate <= 1, f"quantisation.{name} must be above 0, at most 1, not {rate}")

    def tuning(self, bits: int) -> tuple[int, float]:
        """Return steps and highest learning rate of the fine-tuning for weights of `bits` bits."""
        return (
            (self.steps, self.learning_rate) if bits == 8 else (self.narrow_steps, self.narrow_learning_rate)
        )


@dataclass(frozen=True)
class Recipe:
    """The recipe of a model: everything that the result of a training depends on.

    Attributes:
        name: the model's name.
        seed: of weights and signals.
        chunk_length: symbols a chunk.
        accuracy_chunks: chunks a class under each row of the accuracy table.
        outlier_share: probability that a chunk belies the transmission it is from (a burst's edge, a click, a loop not
            yet locked). It bounds what one chunk can say against a class, and so what it can do to a sum of many.
        caution: how far a chunk's evidence leans towards `unknown` when many are fused, natural logarithm. The contract
            understates the priors of other signals by exp(caution). Noise alone and a dense constellation deep in noise
            differ by less than a model's own error, and calling noise by a name is the worse mistake.
        foreign_caution: the same for kinds of linear constellations outside the set, by level of Es/N0, lowest first;
            the last number is for all levels that follow, and kinds that are not named have 0. Below 0, names of the
            set's own are given more readily.
        signal, teacher, net, fit, pruning, quantisation: see there.
        classes: the class set: its name, or names of classes and of sets in the order of the model's outputs.
        constellations: classes of the recipe's own, by name.

    >>> recipe = Recipe(name="mine", chunk_length=64)
    >>> recipe.fit.steps > 0, len(recipe.class_set)
    (True, 9)
    """

    name: str
    seed: int = 1
    chunk_length: int = 32
    accuracy_chunks: int = 2_000
    outlier_share: float = 0.0
    caution: float = 0.0
    foreign_caution: dict[str, tuple[float, ...]] = field(default_factory=dict)
    signal: SignalSettings = field(default_factory=SignalSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    net: NetSettings = field(default_factory=NetSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    pruning: PruningSettings = field(default_factory=PruningSettings)
    quantisation: QuantisationSettings = field(default_factory=QuantisationSettings)
    # Not in the text that stands for a recipe where states are compared: those of earlier releases stay good.
    classes: tuple[str, ...] | str = field(default=THESIS_9.name, repr=False)
    constellations: dict[str, ConstellationSettings] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        _require(
            len(self.class_set) >= 2 or self.signal.unknown_share > 0,
            "classes must name at least 2 classes where signal.unknown_share is 0",
        )
        lopsided = [m.name for m in self.class_set.members if not m.mirrored or m.symmetry % 2]
        _require(
            not lopsided or not self.net.folded or self.signal.phase != "coherent",
            f"classes: {', '.join(lopsided)} is not its own mirror image in both axes, which magnitudes of I and "
            "Q do not show: set net.folded to false",
        )
        _require(
            is_file_name(self.name),
            "name must be that of a file, at most 100 printable characters without a slash that do not begin with a "
            f"dot or a dash, not {printable(self.name, 100)!r}",
        )
        _require(self.seed >= 0, f"seed must not be negative, but is {self.seed}")
        _require(
            2 <= self.chunk_length <= 65_536, f"chunk_length must be 2 to 65536, not {self.chunk_length}"
        )
        _require(
            self.net.aligner == "float" or self.chunk_length == 32,
            f"chunk_length must be 32 with the integer aligner, not {self.chunk_length}",
        )
        for name, chunks in (
            ("fit.batch_size", self.fit.batch_size),
            ("teacher.chunks", self.teacher.chunks),
            ("accuracy_chunks", self.accuracy_chunks),
        ):
            most = _MOST_SYMBOLS // self.chunk_length
            _require(
                chunks <= most, f"{name} can be {most:,} for chunks of {self.chunk_length}, not {chunks:,}"
            )
        _require(
            0 <= self.outlier_share < 1, f"outlier_share must be from 0 to below 1, not {self.outlier_share}"
        )
        _require(0 <= self.caution <= 10, f"caution must be from 0 to 10, not {self.caution}")
        for kind, cautions in self.foreign_caution.items():
            _require(
                kind in FOREIGN_KINDS,
                f"foreign_caution.{kind} is not a kind: there are {', '.join(FOREIGN_KINDS)}",
            )
            _require(
                bool(cautions) and all(abs(value) <= 10 for value in cautions),
                f"foreign_caution.{kind} must be numbers from -10 to 10, not {list(cautions)}",
            )
        _require(self.accuracy_chunks >= 1, f"accuracy_chunks must be at least 1, not {self.accuracy_chunks}")

    @cached_property
    def class_set(self) -> LinearSet:
        """The class set that `classes` names."""
        return make_class_set(self.classes, self.constellations, self.name)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe from a TOML file.

    Raises:
        AmrqError: the file is missing or no TOML, a setting is unknown, mistyped or out of range.
    """
    return read_settings(path, Recipe)
