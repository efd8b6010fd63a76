# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of a family model, read from TOML: its input is samples of a signal, not symbols."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError
from amrq.model import UNKNOWN
from amrq.signals import FAMILY_CLASSES
from amrq.text import is_file_name, name_fault, printable
from amrq.training.recipe import QuantisationSettings, read_settings

__all__ = [
    "FamilyExampleSettings",
    "FamilyFitSettings",
    "FamilyNetSettings",
    "FamilyRecipe",
    "read_family_recipe",
]

_LONGEST = 1 << 16


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AmrqError(f"{what}.")


def _require_shares(part: str, settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _require(0 <= value < 1, f"{part}.{name} must be from 0 to below 1, not {value}")


@dataclass(frozen=True)
class FamilyExampleSettings:
    """The signals that are learnt. Examples are made once and kept.

    Attributes:
        count: examples that are made of all families together.
        shard: examples in a file of the cache.
        snr_db: lowest and highest in-band SNR.
        often_snr_db: a narrower range for most of them, where the answer is in doubt.
        often_share: share of examples in that range.
        cut_share: share that is cut to a shorter burst, zeros around it.
        shortest: samples of the shortest such burst.
        noise_share: share that gets more noise, down to `least_snr_db`.
        least_snr_db: in-band SNR.
        unknown_share: share that belongs to no family: two signals at once, and signals with the phase, the
            envelope or the order of another.
        unmirrored: outputs whose signals must not be mirrored in frequency, since they would be others.
    """

    count: int = 272_000
    shard: int = 6_800
    snr_db: tuple[float, float] = (0.0, 40.0)
    often_snr_db: tuple[float, float] = (5.0, 20.0)
    often_share: float = 0.6
    cut_share: float = 0.25
    shortest: int = 256
    noise_share: float = 0.4
    least_snr_db: float = 4.0
    unknown_share: float = 0.06
    unmirrored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no signal can be."""
        _require(1 <= self.shard <= self.count, "examples.count must be at least examples.shard, and that 1")
        for name in ("snr_db", "often_snr_db"):
            low, high = getattr(self, name)
            _require(-50 <= low <= high <= 100, f"examples.{name} must rise, within -50 to 100 dB")
        _require(self.shortest >= 16, f"examples.shortest must be at least 16, not {self.shortest}")
        _require_shares("examples", self, "cut_share", "noise_share", "unknown_share")
        _require(0 <= self.often_share <= 1, f"examples.often_share must be 0 to 1, not {self.often_share}")


@dataclass(frozen=True)
class FamilyNetSettings:
    """The network; see `amrq.training.architectures.FamilyNet`.

    Attributes:
        time_widths, frequency_widths, lag_widths, phase_widths: channels of the convolutions over time, frequency, lag
            and around a turn.
        hidden: width of the layer before the last.
    """

    time_widths: tuple[int, ...] = (16, 24, 32, 36)
    frequency_widths: tuple[int, ...] = (20, 28, 36, 40)
    lag_widths: tuple[int, ...] = (16, 24, 28, 32)
    phase_widths: tuple[int, ...] = (16, 24)
    hidden: int = 64

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        for name in ("time_widths", "frequency_widths", "lag_widths", "phase_widths"):
            widths = getattr(self, name)
            _require(
                1 <= len(widths) <= 6 and all(1 <= width <= 512 for width in widths),
                f"net.{name} must be 1 to 6 numbers from 1 to 512, not {list(widths)}",
            )
        _require(1 <= self.hidden <= 4096, f"net.hidden must be 1 to 4096, not {self.hidden}")


@dataclass(frozen=True)
class FamilyFitSettings:
    """The optimisation in floating point.

    Attributes:
        steps: batches; 0 where the weights are given.
        batch_size: examples a batch.
        learning_rate: Adam's, at its highest; it rises over the first 2 % of the steps and falls along a cosine.
        label_smoothing: share of the probability spread over all outputs.
    """

    steps: int = 40_000
    batch_size: int = 128
    learning_rate: float = 2e-3
    label_smoothing: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        _require(self.steps >= 0, f"fit.steps must not be negative, but is {self.steps}")
        _require(2 <= self.batch_size <= 4096, f"fit.batch_size must be 2 to 4096, not {self.batch_size}")
        _require(0 < self.learning_rate <= 1, f"fit.learning_rate must be above 0, not {self.learning_rate}")
        _require_shares("fit", self, "label_smoothing")


@dataclass(frozen=True)
class FamilyRecipe:
    """The recipe of a family model: everything that the result of a training depends on, but for recordings.

    Attributes:
        name: the model's name.
        input: `samples`, by which the file is known for a recipe of this kind.
        seed: of weights and examples.
        length: samples of a chunk.
        samples_per_bandwidth: the sample rate over the width of the signal's box; examples are made for 4.
        families: the model's outputs and the generators whose signals they stand for (`amrq.signals.FAMILY_CLASSES`),
            several for one output where these cannot be told apart; empty: an output for each generator.
        weights: how often an output is drawn, in units of the others; 1 for those that are not named.
        leave_out: outputs that are not learnt: whether their signals are then `unknown` tests that answer.
        accuracy_examples: of each family under each row of the accuracy table.
        examples, net, fit, quantisation: see there.

    >>> FamilyRecipe("mine", families={"fm": ("fm_narrow", "fm_wide"), "am": ("am",)}).outputs
    ('fm', 'am', 'unknown')
    """

    name: str
    input: str = "samples"
    seed: int = 1
    length: int = 4096
    samples_per_bandwidth: float = 4.0
    families: dict[str, tuple[str, ...]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    accuracy_examples: int = 100
    examples: FamilyExampleSettings = field(default_factory=FamilyExampleSettings)
    net: FamilyNetSettings = field(default_factory=FamilyNetSettings)
    fit: FamilyFitSettings = field(default_factory=FamilyFitSettings)
    quantisation: QuantisationSettings = field(default_factory=QuantisationSettings)

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        _require(
            is_file_name(self.name),
            f"name must be that of a file, not {printable(self.name, 100)!r}",
        )
        _require(self.input == "samples", f"input must be samples, not {printable(self.input, 40)!r}")
        _require(0 <= self.seed < 1 << 62, f"seed must be from 0 to below 2^62, not {self.seed}")
        _require(
            512 <= self.length <= _LONGEST and self.length % 64 == 0,
            f"length must be a multiple of 64 from 512 to {_LONGEST}, not {self.length}",
        )
        _require(
            self.samples_per_bandwidth == 4,
            f"samples_per_bandwidth must be 4, for which examples are made, not {self.samples_per_bandwidth:g}",
        )
        _require(
            self.examples.shortest <= self.length,
            f"examples.shortest must be at most length, not {self.examples.shortest}",
        )
        _require(1 <= self.accuracy_examples <= 100_000, "accuracy_examples must be 1 to 100,000")
        seen: set[str] = set()
        for output, generators in self.families.items():
            fault = name_fault(output, 64)
            _require(
                not fault and output != UNKNOWN, f"families: {printable(output, 60)!r} is no family's name"
            )
            for name in generators:
                _require(
                    name in FAMILY_CLASSES,
                    f"families.{output}: there is no generator {printable(name, 60)!r}: choose from "
                    f"{', '.join(FAMILY_CLASSES)}",
                )
                _require(name not in seen, f"families.{output}: {name} stands for two outputs")
                seen.add(name)
        for name in self.leave_out:
            _require(
                name in self.generators, f"leave_out: {printable(name, 60)!r} is not one of the families"
            )
        for name, weight in self.weights.items():
            _require(name in (*self.generators, UNKNOWN), f"weights.{printable(name, 60)} is not an output")
            _require(0 < weight <= 100, f"weights.{name} must be above 0, at most 100, not {weight}")
        _require(len(self.outputs) >= 3, "at least two families must be left to learn")

    @property
    def generators(self) -> dict[str, tuple[str, ...]]:
        """Every output but `unknown` with its generators, those left out too."""
        return self.families or {name: (name,) for name in FAMILY_CLASSES}

    @property
    def learnt(self) -> dict[str, tuple[str, ...]]:
        """The outputs that are learnt, with their generators."""
        return {name: kinds for name, kinds in self.generators.items() if name not in self.leave_out}

    @property
    def outputs(self) -> tuple[str, ...]:
        """The model's outputs: the families that are learnt, and `unknown`."""
        return (*self.learnt, UNKNOWN)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def read_family_recipe(path: str | os.PathLike[str]) -> FamilyRecipe:
    """Read the recipe of a family model from a TOML file.

    Raises:
        AmrqError: the file is missing or no TOML, a setting is unknown, mistyped or out of range.
    """
    return read_settings(Path(path), FamilyRecipe)
