# SPDX-License-Identifier: GPL-3.0-or-later
"""Families of one's own in a finished family model, from recordings: outputs are added, the others stay as they are.

The network is not trained again. What it computes of a signal before its last two layers goes into a small layer of
its own, which is trained with NumPy on cuts of recordings and on generated signals of the families that the model
knows. Its outputs stand before `unknown`. The logits of the known families stay, to the bit: they lose a signal only
where an own family claims it.

This module needs no PyTorch.
"""

import datetime
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import FamilyModel
from amrq.errors import AmrqError
from amrq.evaluation import clopper_pearson
from amrq.files import check_writable, whole_file, write_whole
from amrq.labels import FamilyFolder
from amrq.model import NO_SIGNAL, UNKNOWN, Contract, find_model, write_contract
from amrq.options import above, at_least, between, check, described, option
from amrq.signals import FAMILY_CLASSES, family_example
from amrq.text import markdown, printable
from amrq.training.family_examples import scrambled
from amrq.training.family_graph import AddedLayer, FamilyGraph, Seeing, Seen

__all__ = ["AddedFamilies", "OwnFamilySettings", "add_families"]

_Chunks = NDArray[np.complex64]
_Rows = NDArray[np.float64]

_SNR_DB = (5.0, 25.0)
"""In-band SNR that cuts are made noisy to, where they are better; as of the generated signals."""
_EDGES = (0.86, 1.16)
"""Of the bandwidth: how wrong edges of a detector are."""
_PLACE = 0.06
"""Of the bandwidth: how wrong its middle is."""
_CUT, _SHORTEST = 0.25, 512
"""Share of cuts of which only a burst is kept, and samples of the shortest."""
_HIDDEN = 24
_BATCH = 256
_CLEAR = 0.02
"""Of features: standard deviations below this share of the largest count as this share."""
_FEWEST = 5
_TEST = 60
"""Generated signals of each known family that the models before and after are compared on."""


@described
@dataclass(frozen=True)
class OwnFamilySettings:
    """How families of one's own are added to a family model.

    Raises:
        AmrqError: a value is out of its range.
    """

    examples: int = option(
        150,
        "Generated signals of each known family, which the own families are told from.",
        within=at_least(8),
    )
    views: int = option(
        24, "Times that a cut is used, each time with other noise, edges and place.", within=at_least(1)
    )
    steps: int = option(1_500, "Training steps.", within=at_least(1))
    learning_rate: float = option(3e-3, "Adam's learning rate at the beginning.", within=above(0, at_most=1))
    decay: float = option(1e-3, "Weight decay.", within=between(0, 1))
    seed: int = option(1, "Seed of signals, noise and weights.", within=at_least(0))

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)


@dataclass(frozen=True)
class AddedFamilies:
    """What was added, and what it costs.

    Attributes:
        file: that was written.
        families: that were added, with the cuts that were learnt and tested.
        found: share of the tested views of each that is called by its name; None where nothing was held out.
        before: share right of each known family, on fresh generated signals.
        after: likewise.
        claimed: share of each known family's signals that an own family claims.
        tested: views of each own family, and signals of each known one.
    """

    file: Path
    families: Mapping[str, tuple[int, int]]
    found: Mapping[str, float | None]
    before: Mapping[str, float]
    after: Mapping[str, float]
    claimed: Mapping[str, float]
    tested: Mapping[str, int]


def add_families(
    model: str | os.PathLike[str],
    folder: Path,
    output: Path,
    settings: OwnFamilySettings | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> AddedFamilies:
    """Add the families of a folder of cuts to a family model, and write it with its contract and its page.

    Args:
        model: file or name of the family model; a shipped one.
        folder: of cuts, as `amrq label --family` writes them.
        output: the ONNX file to write.
        settings: how; None: the defaults.
        progress: called with the work done and all of it; what it raises ends the work.

    Raises:
        AmrqError: the model or the folder cannot be used, or the file cannot be written.
    """
    settings, output = settings or OwnFamilySettings(), Path(output)
    check_writable(output)
    file = find_model(model)
    known = FamilyModel(file)
    if "added" in known.contract.recipe:
        raise AmrqError(
            f"{printable(known.contract.name)} has families of one's own already: start from a shipped family "
            "model, with all of the recordings in one folder."
        )
    cuts = FamilyFolder(folder).held_out()
    names = _own_names(cuts.learnt, known.families)
    graph = FamilyGraph(file)
    every = [name for name in known.families if name in _generators()]
    work = _Work(progress, len(names) * 2 + len(every) * 2 + 10)
    rng = np.random.default_rng([settings.seed, 11])
    with graph.seeing() as seen:
        mine = [(name, _views(rng, known, cuts.learnt.get(name), settings.views)) for name in names]
        seen_mine = [(number, seen.rows(views)) for number, (_, views) in enumerate(mine) if work.done()]
        seen_known = [
            (known.families.index(name), seen.rows(_generated(rng, name, settings.examples, known.length)))
            for name in every
            if work.done()
        ]
        # What is no family's must not become an own one: signals out of order, two at once.
        mixed = np.concatenate(
            [_generated(rng, name, settings.examples // 8, known.length) for name in every]
        )
        mixed = scrambled(rng, rng.permutation(mixed))
        seen_known.append((len(known.families) - 1, seen.rows(mixed)))
        for one in cuts.learnt:
            if one in known.families:  # more of what it knows
                rows = seen.rows(_views(rng, known, cuts.learnt[one], 1))
                seen_known.append((known.families.index(one), rows))
        layer = _fit(seen_mine, seen_known, known, settings, work)
        judged = _judge(rng, known, layer, seen, names, cuts.tested, min(_TEST, settings.examples), work)
    families = {name: (len(cuts.learnt[name]), len(cuts.tested.get(name, ()))) for name in names}
    added = AddedFamilies(output, families, *judged)
    _write(graph, known, layer, names, output, added, settings, folder)
    work.end()
    return added


def _generators() -> dict[str, tuple[str, ...]]:
    """Return which generators' signals stand for which output: those of its name, or that begin with it."""
    found: dict[str, tuple[str, ...]] = {name: (name,) for name in FAMILY_CLASSES}
    found["fm"] = tuple(name for name in FAMILY_CLASSES if name.startswith("fm_"))
    return found


def _own_names(learnt: Mapping[str, _Chunks], known: tuple[str, ...]) -> list[str]:
    names = [name for name in learnt if name not in known and name not in (UNKNOWN, NO_SIGNAL)]
    if not names:
        raise AmrqError(
            f"the folder holds no family that the model does not know: it knows {', '.join(known)}."
        )
    few = [name for name in names if len(learnt[name]) < _FEWEST]
    if few:
        raise AmrqError(
            f"there are fewer than {_FEWEST} cuts of {printable(', '.join(few))}: label more or longer recordings; 30 "
            "are a good beginning."
        )
    return names


class _Work:
    """Progress in steps."""

    def __init__(self, progress: Callable[[int, int], None], of: int) -> None:
        self._progress, self._of, self._done = progress, of, 0

    def done(self) -> bool:
        self._done = min(self._done + 1, self._of)
        self._progress(self._done, self._of)
        return True

    def end(self) -> None:
        self._progress(self._of, self._of)


# Signals


def _views(rng: np.random.Generator, model: FamilyModel, cuts: _Chunks | None, times: int) -> _Chunks:
    """Return cuts as a detector might hand them on: at other edges, with noise, some of them shorter."""
    if cuts is None or not len(cuts):
        return np.zeros((0, model.length), np.complex64)
    found = np.zeros((times * len(cuts), model.length), np.complex64)
    for row, cut in enumerate(np.tile(cuts, (times, 1))):
        width = rng.uniform(*_EDGES)
        place = rng.uniform(-_PLACE, _PLACE)
        chunk = model.prepare(_trimmed(cut), 4.0, (place - width / 2, place + width / 2), 1)[0]
        chunk *= np.complex64(np.exp(2j * np.pi * rng.random()))
        there = np.flatnonzero(np.abs(chunk) > 0)
        if not len(there):
            continue
        first, last = int(there[0]), int(there[-1]) + 1
        if rng.random() < _CUT and last - first > _SHORTEST:
            part = int(np.exp(rng.uniform(np.log(_SHORTEST), np.log(last - first))))
            start = first + int(rng.integers(last - first - part + 1))
            kept = chunk[start : start + part].copy()
            chunk[:] = 0
            first = (model.length - part) // 2
            last = first + part
            chunk[first:last] = kept
        power = float(np.mean(np.abs(chunk[first:last]) ** 2))
        size = np.sqrt(0.5 * power * 4 * 10 ** (-rng.uniform(*_SNR_DB) / 10))
        noise = rng.standard_normal((last - first, 2), dtype=np.float32) @ np.array([1, 1j], np.complex64)
        chunk[first:last] += np.complex64(size) * noise
        found[row] = chunk
    return found


def _trimmed(cut: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return a cut without the zeros around it."""
    there = np.flatnonzero(np.abs(cut) > 0)
    return cut[there[0] : there[-1] + 1] if len(there) else cut


def _generated(rng: np.random.Generator, name: str, count: int, length: int) -> _Chunks:
    kinds = _generators()[name]
    rows = [family_example(rng, kinds[n % len(kinds)], length, _SNR_DB).iq for n in range(count)]
    return np.stack(rows).astype(np.complex64)


# The layer


def _fit(
    mine: list[tuple[int, Seen]],
    known: list[tuple[int, Seen]],
    model: FamilyModel,
    settings: OwnFamilySettings,
    work: _Work,
) -> AddedLayer:
    """Train the layer: cross entropy over all outputs, of which the known ones stay as they are."""
    count, own = len(model.families), len(mine)
    features = np.concatenate([seen.features for _, seen in [*mine, *known]])
    logits = np.concatenate([seen.logits for _, seen in [*mine, *known]]) / model.contract.temperature
    labels = np.concatenate(
        [np.full(len(seen.logits), count + number) for number, seen in mine]
        + [np.full(len(seen.logits), place) for place, seen in known]
    )
    # Known signals that the model gets wrong teach nothing about the own ones but this: they are not own.
    share = np.where(labels >= count, 0.5 / own, 0.5 / max(1, count - 1))
    weights = share / np.bincount(labels, minlength=count + own)[labels]
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.maximum(spread, _CLEAR * max(float(spread.max()), 1e-9))
    features = (features - mean) / spread
    rng = np.random.default_rng([settings.seed, 12])
    size = features.shape[1]
    parts = [
        rng.normal(size=(size, _HIDDEN)) * np.sqrt(2 / size),
        np.zeros(_HIDDEN),
        rng.normal(size=(_HIDDEN, own)) * np.sqrt(1 / _HIDDEN),
        np.full(own, -2.0),
    ]
    moments = [(np.zeros_like(part), np.zeros_like(part)) for part in parts]
    for step in range(1, settings.steps + 1):
        rows = rng.choice(len(labels), _BATCH, p=weights / weights.sum())
        gradients = _gradients(parts, features[rows], logits[rows], labels[rows], count)
        rate = settings.learning_rate * 0.5 * (1 + np.cos(np.pi * step / settings.steps))
        for number, gradient in enumerate(gradients):
            one, two = moments[number]
            one += 0.1 * (gradient - one)
            two += 0.001 * (gradient**2 - two)
            moved = (one / (1 - 0.9**step)) / (np.sqrt(two / (1 - 0.999**step)) + 1e-8)
            decay = settings.decay * parts[number] if number in (0, 2) else 0.0
            parts[number] -= rate * (moved + decay)
        if step % max(1, settings.steps // 10) == 0:
            work.done()
    first, bias, second, last = parts
    # The model divides all of its logits by one temperature.
    scale = model.contract.temperature
    first = first / spread[:, None]
    return AddedLayer(first, bias - mean @ first, second * scale, last * scale)


def _gradients(
    parts: list[_Rows], features: _Rows, logits: _Rows, labels: NDArray[np.int64], count: int
) -> list[_Rows]:
    """Return the gradients of the mean cross entropy for the four parts of the layer."""
    first, bias, second, last = parts
    before = features @ first + bias
    hidden = np.maximum(before, 0.0)
    every = np.concatenate([logits, hidden @ second + last], axis=1)
    every -= every.max(axis=1, keepdims=True)
    likely = np.exp(every)
    likely /= likely.sum(axis=1, keepdims=True)
    likely[np.arange(len(labels)), labels] -= 1
    out = likely[:, count:] / len(labels)
    back = (out @ second.T) * (before > 0)
    return [features.T @ back, back.sum(axis=0), hidden.T @ out, out.sum(axis=0)]


def _judge(
    rng: np.random.Generator,
    model: FamilyModel,
    layer: AddedLayer,
    seen: Seeing,
    names: list[str],
    tested: Mapping[str, _Chunks],
    tests: int,
    work: _Work,
) -> tuple[dict[str, float | None], dict[str, float], dict[str, float], dict[str, float], dict[str, int]]:
    """Return what is found of the own families, and what is right of the known ones, before and after."""
    count = len(model.families)
    found: dict[str, float | None] = {}
    counts: dict[str, int] = {}

    def best(rows: Seen) -> NDArray[np.int64]:
        return np.concatenate([rows.logits, layer.logits(rows.features)], axis=1).argmax(axis=1)

    for number, name in enumerate(names):
        views = _views(rng, model, tested.get(name), 4)
        counts[name] = len(views)
        found[name] = float((best(seen.rows(views)) == count + number).mean()) if len(views) else None
        work.done()
    before, after, claimed = {}, {}, {}
    for name in (one for one in model.families if one in _generators()):
        rows, place = seen.rows(_generated(rng, name, tests, model.length)), model.families.index(name)
        answer = best(rows)
        before[name] = float((rows.logits.argmax(axis=1) == place).mean())
        after[name], claimed[name] = float((answer == place).mean()), float((answer >= count).mean())
        counts[name] = tests
        work.done()
    return found, before, after, claimed, counts


def _write(
    graph: FamilyGraph,
    known: FamilyModel,
    layer: AddedLayer,
    names: list[str],
    output: Path,
    added: AddedFamilies,
    settings: OwnFamilySettings,
    folder: Path,
) -> None:
    """Write the model with the layer and its outputs, its contract and its page."""
    model = graph.extended(layer, len(known.families), len(names))
    contract = known.contract
    figures = {
        "model": known.contract.name,
        "date": datetime.date.today().isoformat(),
        "folder": folder.name,
        "families": {name: list(counts) for name, counts in added.families.items()},
        "found": dict(added.found),
        "before": dict(added.before),
        "after": dict(added.after),
        "claimed": dict(added.claimed),
        "seed": settings.seed,
        "steps": settings.steps,
    }
    classes = (*known.families[:-1], *names, known.families[-1])
    weights = contract.weights + sum(part.size for part in layer)
    kept = {one.name: getattr(contract, one.name) for one in fields(Contract) if one.name != "class_set"}
    kept |= {"name": output.stem, "classes": classes, "weights": weights, "accuracy": ()}
    contract = Contract(**{**kept, "recipe": {**contract.recipe, "added": figures}})
    with whole_file(output, suffix=".part.onnx") as file:
        file.write(model.SerializeToString())
        file.flush()
        write_contract(Path(file.name), contract)
        FamilyModel(Path(file.name)).log_probabilities(np.ones((1, known.length), np.complex64))
    write_whole(output.with_suffix(".md"), _page(output.stem, known.contract.name, added).encode())


def _page(name: str, former: str, added: AddedFamilies) -> str:
    lines = [f"# {markdown(name)}", "", f"{markdown(former)} with families of one's own.", ""]
    lines += ["| family | cuts learnt | cuts held out | found |", "|---|---:|---:|---:|"]
    for one, (learnt, tested) in added.families.items():
        share = added.found[one]
        said = "not tested"
        if share is not None:
            low, high = clopper_pearson(round(share * added.tested[one]), added.tested[one])
            said = f"{share:.2f} ({low:.2f} to {high:.2f})"
        lines.append(f"| {markdown(one)} | {learnt} | {tested} | {said} |")
    lines += ["", "Signals of the known families, 5 to 25 dB, one chunk:", ""]
    lines += ["| family | right before | right after | claimed by an own family |", "|---|---:|---:|---:|"]
    for one in added.before:
        row = (added.before[one], added.after[one], added.claimed[one])
        lines.append(f"| {markdown(one)} | {row[0]:.2f} | {row[1]:.2f} | {row[2]:.3f} |")
    return "\n".join([*lines, ""])
