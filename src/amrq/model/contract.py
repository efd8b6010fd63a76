# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of a model: its classes, its input and its accuracy."""

import itertools
import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from amrq.classes import (
    CLASS_SETS,
    LINEAR_CLASSES,
    THESIS_9,
    ClassSet,
    LinearClass,
    LinearSet,
    NamedClass,
    SignalClass,
    called,
    linear_class,
)
from amrq.errors import ModelError
from amrq.files import parsing
from amrq.text import name_fault, printable

__all__ = ["CONTRACT_VERSION", "NO_SIGNAL", "UNKNOWN", "AccuracyRow", "Contract", "Hypothesis"]

CONTRACT_VERSION = 2
"""What is written. Version 1 is read too: it has no `class_set` and no `input`, and its classes are the thesis's."""
_VERSIONS = (1, CONTRACT_VERSION)
_NOT_IN_1 = ("class_set", "input", "samples_per_bandwidth")
UNKNOWN = "unknown"
"""The label of an output that stands for everything that is none of the named modulations."""
NO_SIGNAL = "no signal"
"""The label of an output that stands for noise alone."""

_NORMALISATIONS = ("unit-rms", "none")
_PHASES = ("coherent", "any")
_INPUTS = ("symbols", "samples")
_LONGEST_NAME = 128
_LONGEST_LABEL = 64
_MOST_CLASSES = 1_000
_MOST_HYPOTHESES = 10_000
_LONGEST_CHUNK = 1 << 20
_MOST_SAMPLES = 1_000
"""In the reciprocal of a signal's bandwidth: of more, what prepares them takes memory without end."""
_MOST_BITS = 64
_DEEPEST_RECIPE = 20
"""Objects and lists within one another; shipped recipes have 4 at most."""
_REAL = ("samples_per_bandwidth", "temperature", "pruned", "outlier_share", "fusion_chunks", "phase_noise")
_LONGEST_TEXT = 1 << 22
"""Characters of a contract: shipped ones have some 10,000, most of them the recipe."""


_FROM_LABELS: ClassSet[SignalClass] = ClassSet("from the labels", ())
"""Stands for a class set that is still to be made of the labels."""


def _no_field_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ModelError(f"the contract has a field twice: {printable(name, 60)}.")
        found[name] = value
    return found


def _too_deep(value: object, left: int = _DEEPEST_RECIPE) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return left < 0 or any(_too_deep(one, left - 1) for one in inner if isinstance(one, dict | list | tuple))


def _whole(value: object, least: int, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


@dataclass(frozen=True)
class AccuracyRow:
    """Accuracy on fresh chunks of the named modulations at one noise level.

    Attributes:
        es_n0_db: Es/N0 in dB, finite.
        accuracy: share of right decisions on a chunk alone, 0 to 1.
        low: lower end of the 95 % Clopper-Pearson interval.
        high: upper end of it.
        chunks: number of chunks.
    """

    es_n0_db: float
    accuracy: float
    low: float
    high: float
    chunks: int

    def __post_init__(self) -> None:
        """Refuse what cannot be an accuracy."""
        if not (
            0 <= self.low <= self.accuracy <= self.high <= 1
            and _whole(self.chunks, 1)
            and math.isfinite(self.es_n0_db)
        ):
            raise ModelError(f"the accuracy row at {self.es_n0_db} dB is not one: {self}.")


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis of a model on a chunk: a class at a noise level.

    Attributes:
        label: the class.
        es_n0_db: middle of the range of Es/N0 in dB; None if it does not apply.
        prior: probability of the hypothesis in training, above 0: a posterior divided by it is a likelihood. A recipe's
            caution understates it for `unknown`, so that fused decisions lean that way.
    """

    label: str
    es_n0_db: float | None
    prior: float

    def __post_init__(self) -> None:
        """Refuse a prior that nothing can be divided by."""
        if not 0 < self.prior <= 1:
            raise ModelError(f"the prior of a hypothesis must be above 0 and at most 1, not {self.prior}.")
        if self.es_n0_db is not None and not math.isfinite(self.es_n0_db):
            raise ModelError(f"the Es/N0 of a hypothesis must be finite, not {self.es_n0_db}.")


@dataclass(frozen=True)
class Contract:
    """The metadata of a model file.

    Attributes:
        name: the model's name, printable, of at most 128 characters.
        classes: labels of the outputs, in order, printable, of at most 64 characters; `unknown` means a signal outside
            the other classes.
        chunk_length: samples a chunk (L).
        samples_per_symbol: samples a symbol that the model takes.
        normalisation: `unit-rms` (each chunk is divided by its RMS) or `none`.
        phase: `coherent` (constellations as registered) or `any` (any rotation).
        level_input: whether the graph has a second input `level` float32 [N, 3], what `amrq.chunks.level_features`
            gives: how a chunk's power compares with its stream's. All zero if the stream's level is not known.
        es_n0_db: lowest and highest Es/N0 in dB that it was trained on.
        weight_bits: bits of a weight (32 means floating point).
        activation_bits: bits of an activation (32 means floating point).
        weights: number of weights and biases that training left, before they were rounded; the commands count those
            in the file (`amrq.hardware.weights_of`).
        pruned: share of weights removed, 0 to 1.
        temperature: divide the logits by it before the softmax (Guo et al. 2017); fitted on held-out chunks.
        hypotheses: columns of the graph's second output `hypothesis_logits` [N, hypotheses], grouped by class in the
            order of `classes`; empty without such an output. Chunks of one transmission share its Es/N0,
            so that evidence has to be summed for each noise level apart before the levels are averaged.
        outlier_share: assumed share of spoilt chunks, 0 to below 1. It bounds the evidence of one chunk against a
            hypothesis.
        fusion_chunks: n0: a sum of log-likelihoods over n chunks is multiplied by 1 / (1 + (n - 1) / n0), since a
            model's errors on a signal repeat from chunk to chunk; 0: sums count in full. Fitted on held-out signals.
        phase_noise: standard deviation in radians of the phase noise in the accuracy table.
        accuracy: the accuracy table.
        recipe: how the model was made: name of the recipe, its settings, versions, date.
        input: `symbols`, what a symbol front end delivers, or `samples` of the signal at a rate of its own.
        samples_per_bandwidth: for `samples`, how many of them there are in the reciprocal of the signal's occupied
            bandwidth, 1 to 1,000; 0 for `symbols`.
        class_set: the classes of the labels, in the same order, without `unknown` and `no signal`. If it is not given,
            a label that is the name of a linear class means that class; any other label is a name only.

    >>> contract = Contract("mine", ("BPSK", "QPSK"), chunk_length=32)
    >>> contract.classes, contract.phase
    (('BPSK', 'QPSK'), 'any')
    """

    name: str
    classes: tuple[str, ...]
    chunk_length: int
    samples_per_symbol: int = 1
    normalisation: str = "unit-rms"
    phase: str = "any"
    level_input: bool = False
    es_n0_db: tuple[float, float] = (0.0, 20.0)
    weight_bits: int = 32
    activation_bits: int = 32
    weights: int = 0
    pruned: float = 0.0
    temperature: float = 1.0
    hypotheses: tuple[Hypothesis, ...] = ()
    outlier_share: float = 0.0
    fusion_chunks: float = 0.0
    phase_noise: float = 0.0
    accuracy: tuple[AccuracyRow, ...] = ()
    recipe: dict[str, Any] = field(default_factory=dict)
    input: str = "symbols"
    samples_per_bandwidth: float = 0.0
    class_set: ClassSet[SignalClass] = _FROM_LABELS

    def __post_init__(self) -> None:
        """Refuse a contract that no block could keep."""

        def require(holds: bool, what: str) -> None:
            if not holds:
                raise ModelError(f"the contract of model {self.name!r} is not valid: {what}.")

        fault = name_fault(self.name, _LONGEST_NAME)
        if fault:
            raise ModelError(f"the contract is not valid: its model's name {fault}.")
        require(
            len(self.classes) <= _MOST_CLASSES and len(self.hypotheses) <= _MOST_HYPOTHESES,
            f"it has {len(self.classes)} classes and {len(self.hypotheses)} hypotheses, more than {_MOST_CLASSES} and "
            f"{_MOST_HYPOTHESES}",
        )
        for number, label in enumerate(self.classes, 1):
            fault = name_fault(label, _LONGEST_LABEL)
            require(not fault, f"the name of class {number} {fault}")
        require(
            len(self.classes) >= 2 and len(set(self.classes)) == len(self.classes) and all(self.classes),
            f"it needs at least two different class names, not {list(self.classes)}",
        )
        alike = {unicodedata.normalize("NFKC", " ".join(label.split())) for label in self.classes}
        require(
            len(alike) == len(self.classes),
            f"two of its class names look the same: {list(self.classes)}",
        )
        if self.class_set is _FROM_LABELS:
            object.__setattr__(self, "class_set", _set_of(self.classes, LINEAR_CLASSES))
        require(
            [name for name in self.classes if name not in (UNKNOWN, NO_SIGNAL)] == list(self.class_set),
            f"its class set has {list(self.class_set)}, in place of its labels {list(self.classes)}",
        )
        require(self.input in _INPUTS, f"input must be one of {_INPUTS}, not {self.input!r}")
        require(
            1 <= self.samples_per_bandwidth <= _MOST_SAMPLES
            if self.input == "samples"
            else self.samples_per_bandwidth == 0,
            f"samples_per_bandwidth must be at least 1 and at most {_MOST_SAMPLES} for samples, and 0 for symbols, not "
            f"{self.samples_per_bandwidth}",
        )
        require(not _too_deep(self.recipe), f"its recipe is nested more than {_DEEPEST_RECIPE} deep")
        for whole, least, most in (
            ("chunk_length", 1, _LONGEST_CHUNK),
            ("samples_per_symbol", 1, _LONGEST_CHUNK),
            ("weight_bits", 1, _MOST_BITS),
            ("activation_bits", 1, _MOST_BITS),
            ("weights", 0, 1 << 53),
        ):
            value = getattr(self, whole)
            require(
                _whole(value, least, most),
                f"{whole} must be a whole number from {least} to {most}, not {value!r}",
            )
        require(
            self.normalisation in _NORMALISATIONS,
            f"normalisation must be one of {_NORMALISATIONS}, not {self.normalisation!r}",
        )
        require(self.phase in _PHASES, f"phase must be one of {_PHASES}, not {self.phase!r}")
        require(
            len(self.es_n0_db) == 2 and -math.inf < self.es_n0_db[0] <= self.es_n0_db[1] < math.inf,
            f"es_n0_db must be [lowest, highest], not {list(self.es_n0_db)}",
        )
        require(
            math.isfinite(self.temperature) and self.temperature > 0,
            f"temperature must be above 0, not {self.temperature}",
        )
        require(
            0 <= self.outlier_share < 1, f"outlier_share must be from 0 to below 1, not {self.outlier_share}"
        )
        require(
            0 <= self.fusion_chunks < math.inf,
            f"fusion_chunks must not be negative, but is {self.fusion_chunks}",
        )
        labels = [label for label, _ in itertools.groupby(h.label for h in self.hypotheses)]
        require(
            not labels or labels == list(self.classes),
            "the hypotheses must be grouped by class, in the order of the classes",
        )
        require(
            0 <= self.phase_noise < math.inf, f"phase_noise must not be negative, but is {self.phase_noise}"
        )
        require(0 <= self.pruned < 1, f"pruned must be from 0 to below 1, not {self.pruned}")

    @property
    def linear_classes(self) -> LinearSet:
        """The linear classes that are neither turned nor staggered, of which signals can be made and measured."""
        return called(ClassSet(self.class_set.name, self.class_set.linear))

    def require_symbols(self) -> None:
        """Refuse a model whose input is samples; the caller has symbols.

        Raises:
            ModelError: the model takes samples.
        """
        if self.input != "symbols":
            raise ModelError(
                f"model {self.name!r} takes samples of a signal, not the symbols of a front end: choose another."
            )

    def weighed(self) -> tuple[Hypothesis, ...]:
        """Return the hypotheses; without any, one for each class, equally probable."""
        return self.hypotheses or tuple(
            Hypothesis(label, None, 1 / len(self.classes)) for label in self.classes
        )

    def to_json(self, oldest: bool = False) -> str:
        """Return the contract as the JSON text of the model file.

        Args:
            oldest: write the oldest version that says the same, which programs of earlier releases read as well.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["hypotheses"] = [asdict(h) for h in self.hypotheses]
        values["accuracy"] = [asdict(row) for row in self.accuracy]
        values["class_set"] = _plain(self.class_set)
        version = CONTRACT_VERSION
        if oldest and self.input == "symbols" and self.class_set == _set_of(self.classes, THESIS_9):
            version = 1
            values = {name: value for name, value in values.items() if name not in _NOT_IN_1}
        return json.dumps({"contract_version": version, **values}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Read a contract.

        Raises:
            ModelError: the text is not a JSON object, is of another version, has missing or unknown fields, or
                contradicts itself.
        """
        if len(text) > _LONGEST_TEXT:
            raise ModelError(f"the contract has {len(text):,} characters, more than {_LONGEST_TEXT:,}.")
        with parsing("the contract", kind=ModelError):
            try:
                values = json.loads(text, object_pairs_hook=_no_field_twice)
            except json.JSONDecodeError as error:
                raise ModelError(f"the contract is not valid JSON: {error}.") from None
            if not isinstance(values, dict):
                raise ModelError("the contract is not a JSON object.")
            return cls._from_values(values)

    @classmethod
    def _from_values(cls, values: dict[str, Any]) -> "Contract":
        version = values.pop("contract_version", None)
        if version not in _VERSIONS or isinstance(version, bool):
            raise ModelError(
                f"the contract is of version {printable(version, 40)} and this program reads versions "
                f"{' and '.join(map(str, _VERSIONS))}: use the program's matching release, or annotate the model again."
            )
        known = {f.name for f in fields(cls)}.difference(_NOT_IN_1 if version == 1 else ())
        unknown = sorted(set(values) - known)
        if unknown:
            raise ModelError(f"the contract has unknown fields: {printable(', '.join(unknown), 200)}.")
        for name, kind in (("classes", list), ("hypotheses", list), ("accuracy", list), ("recipe", dict)):
            if not isinstance(values.get(name, kind()), kind):
                raise ModelError(
                    f"{name} in the contract must be a JSON {'object' if kind is dict else 'list'}."
                )
        if not isinstance(values.get("level_input", False), bool):
            raise ModelError(
                f"level_input must be true or false, not {printable(values['level_input'], 40)}."
            )
        try:
            values["accuracy"] = tuple(AccuracyRow(**row) for row in values.get("accuracy", ()))
            values["hypotheses"] = tuple(Hypothesis(**entry) for entry in values.get("hypotheses", ()))
            values["classes"] = tuple(values["classes"])
            if version == 1:
                # The nine are all that programs of that version knew: more names here must not change what a file says.
                values["class_set"] = _set_of(values["classes"], THESIS_9)
            elif "class_set" in values:
                values["class_set"] = _read_set(values["class_set"], values["classes"])
            for name in _REAL:
                if name in values:
                    if isinstance(values[name], bool | str):  # float() would take them
                        raise TypeError(f"{name} must be a number")
                    values[name] = float(values[name])
            if "es_n0_db" in values:
                values["es_n0_db"] = tuple(float(value) for value in values["es_n0_db"])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ModelError(f"the contract lacks or mistypes a field: {printable(error, 200)}.") from None


def _set_of(
    labels: tuple[str, ...], known: Mapping[str, LinearClass], name: str = "own"
) -> ClassSet[SignalClass]:
    """Return the set that labels stand for: the known class of that name, else the name alone."""
    meant = [label for label in dict.fromkeys(labels) if label not in (UNKNOWN, NO_SIGNAL)]
    members = [known.get(label) or NamedClass(label) for label in meant]
    named = next((found for found in CLASS_SETS.values() if list(found.members) == members), None)
    return ClassSet(name if named is None else named.name, tuple(members))


def _plain(classes: ClassSet[SignalClass]) -> dict[str, Any]:
    """Return a set as JSON has it: a name for a class that has one here, points for another; labels are left out."""
    entries: list[Any] = []
    for member in classes.members:
        if not isinstance(member, LinearClass):
            continue
        if LINEAR_CLASSES.get(member.name) == member:
            entries.append(member.name)
            continue
        points = [[float(point.real), float(point.imag)] for point in member.points]
        entry = {"name": member.name, "points": points, "turn": member.turn, "stagger": member.stagger}
        entries.append(entry)
    return {"name": classes.name, "classes": entries}


def _read_set(value: object, labels: tuple[str, ...]) -> ClassSet[SignalClass]:
    """Read what `_plain` made, or the name of a set."""
    if isinstance(value, str):
        if value not in CLASS_SETS:
            raise ModelError(
                f"there is no class set {printable(value, 60)!r}: choose from {', '.join(CLASS_SETS)}, or list classes."
            )
        value = {"name": value, "classes": list(CLASS_SETS[value])}
    if (
        not isinstance(value, dict)
        or not set(value) <= {"name", "classes"}
        or not isinstance(value.get("classes"), list)
    ):
        raise ModelError(
            "class_set in the contract must be the name of a set, or an object with name and classes."
        )
    known = {found.name: found for found in map(_read_class, value["classes"])}
    return _set_of((*labels, *known), known, str(value["name"]))


def _read_class(entry: object) -> LinearClass:
    if isinstance(entry, str):
        return linear_class(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("points"), list):
        raise ModelError(
            "a class of class_set must be a name, or an object with name and points [[I, Q], ...]."
        )
    if not set(entry) <= {"name", "points", "turn", "stagger"}:
        raise ModelError(f"a class of class_set has unknown fields: {printable(', '.join(entry), 200)}.")
    points = [complex(*pair) for pair in entry["points"]]
    return LinearClass.of(
        entry["name"], points, None, float(entry.get("turn", 0)), float(entry.get("stagger", 0))
    )
