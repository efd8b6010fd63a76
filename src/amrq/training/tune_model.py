# SPDX-License-Identifier: GPL-3.0-or-later
"""From a finished model and labelled chunks to a model that knows them."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from amrq.chunks import LEVEL_FEATURES
from amrq.classifier import OnnxClassifier
from amrq.errors import AmrqError
from amrq.evaluation import Evaluation, evaluate
from amrq.labels import LABELS, LabelledChunks, LabelsFolder, hold_out
from amrq.model import Contract, find_model
from amrq.model.contract_file import open_session
from amrq.training.compare import compare
from amrq.training.fine_tune import fine_tune
from amrq.training.fit import Progress, net_inputs
from amrq.training.labelled_batches import LabelledBatches
from amrq.training.rebuild_net import RebuiltNet, rebuild_net
from amrq.training.recipe import Recipe
from amrq.training.signal_batches import SignalBatches
from amrq.training.teacher import Teacher
from amrq.training.tune_settings import TuneSettings
from amrq.training.write_model import HELD_OUT_SEED, write_model
from amrq.whole_file import check_writable

__all__ = ["tune_model"]

_TAUGHT = 30_000
"""Chunks that the teacher judges at least, if the recipe has as many."""
_DRAWN_AGAIN = 20
"""How often a chunk of the teacher is drawn in a long fine-tuning: it comes back changed each time."""
_RATE_SHARE = 0.25
_AT_ONCE = 4_096
_CHECKED = 2_000
_LEAST_AGREEMENT = 0.995
"""Decisions in which file and rebuilt network agree: what lies before the integers may differ in a last bit."""


def tune_model(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    settings: TuneSettings,
    checkpoint: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    taught: Callable[[int, int], None] = lambda done, of: None,
    evaluated: Callable[[int, int], None] = lambda done, of: None,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train a model that `amrq train` made on, on the recipe's own signals and labelled chunks; write it and its page.

    Args:
        model: the model's file, or name; left as it is.
        folder: of labelled chunks.
        output: the file to write. It appears when all is done.
        settings: how.
        checkpoint: where the training keeps its state, to go on from if interrupted.
        fresh: do not go on from a checkpoint there.
        progress: called as the training goes on.
        taught: called with (chunks judged, chunks in all) as the teacher gets ready.
        evaluated: called with (steps done, steps in all) of the evaluation, of both models.
        stopped: asked between training steps; when it says so, the state is saved and KeyboardInterrupt raised.

    Returns:
        what was added and what it did, the last entry of `added` in the contract's recipe (see docs/label.md).

    Raises:
        AmrqError: the model was not made by `amrq train`, has no output for a label, takes other chunks or needs the
            carrier's phase; the folder holds nothing usable; the output cannot be written.
    """
    source, target = find_model(model), Path(output)
    check_writable(target)
    if target.suffix != ".onnx":
        raise AmrqError(f"a model's file must end in .onnx, unlike {target.name}.")
    if os.path.exists(target) and target.samefile(source):
        raise AmrqError(f"{target} is the model to begin with: give the new one another name.")
    recordings = LabelsFolder(folder).read()
    rebuilt = rebuild_net(source)
    _require_fit(rebuilt.contract, source, recordings, folder)
    parts = hold_out(recordings, settings.hold_out)
    recipe, bits = rebuilt.recipe, rebuilt.contract.weight_bits
    before = [dict(entry) for entry in rebuilt.contract.recipe.get("added", ())]
    # Another stream of signals each time that a model is trained on.
    seed = recipe.seed + 1_000 * (1 + len(before))
    teacher = None
    if recipe.teacher.chunks:
        drawn = settings.steps * recipe.fit.batch_size * recipe.signal.ideal_share
        taught_chunks = min(max(_TAUGHT, round(drawn / _DRAWN_AGAIN)), recipe.teacher.chunks)
        fewer = replace(recipe.teacher, chunks=taught_chunks)
        teacher = Teacher(fewer, recipe.signal, recipe.chunk_length, seed, taught)
    batches = SignalBatches(recipe.signal, recipe.chunk_length, seed, teacher)
    _require_same(source, rebuilt, SignalBatches(recipe.signal, recipe.chunk_length, seed))
    labelled = LabelledBatches(
        recordings,
        parts,
        lambda iq: _logits(rebuilt, iq),
        batches.hypotheses,
        recipe.signal,
        settings.share,
        recipe.fit.batch_size,
        seed,
    )
    rate = settings.learning_rate or _rate(recipe, bits)
    added: dict[str, Any] = {
        "from": {"name": rebuilt.contract.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()},
        "recordings": [
            {
                "name": recording.name,
                "source": recording.source,
                "sha256": recording.sha256,
                "learnt": _counts(recording.labels[part.learnt]),
                "tested": _counts(recording.labels[part.tested]),
            }
            for recording, part in zip(recordings, parts, strict=True)
        ],
        "held_out": list(settings.hold_out) or "the last fifth in time of each label in each recording",
        "share": settings.share,
        "steps": settings.steps,
        "learning_rate": rate,
        "seed": seed,
    }
    finished = fine_tune(
        rebuilt.net,
        bits,
        recipe,
        batches,
        labelled,
        settings.steps,
        rate,
        repr((added, recipe)),
        None if checkpoint is None else Path(checkpoint),
        fresh,
        progress,
        stopped=stopped,
    )
    if not finished:
        raise KeyboardInterrupt

    def judged(classifier: OnnxClassifier, found: Evaluation) -> dict[str, Any]:
        former = OnnxClassifier(source)
        known = evaluate(
            former,
            recipe.accuracy_chunks,
            seed=recipe.seed + HELD_OUT_SEED,
            progress=lambda done, of: evaluated(of + done, 2 * of),
        )
        added.update(compare((former, known), (classifier, found), recordings, parts, settings.tolerance))
        return {"added": [*before, added]}

    steps = int(rebuilt.contract.recipe.get("steps", 0)) + settings.steps
    write_model(recipe, rebuilt.net, bits, target, lambda done, of: evaluated(done, 2 * of), steps, judged)
    return added


def _rate(recipe: Recipe, bits: int) -> float:
    return _RATE_SHARE * (recipe.fit.learning_rate if bits == 32 else recipe.quantisation.tuning(bits)[1])


def _logits(rebuilt: RebuiltNet, iq: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the hypotheses' logits of chunks whose stream's level is not known."""
    parts = [np.empty((0, len(rebuilt.contract.hypotheses)), np.float32)]
    with torch.no_grad():
        for start in range(0, len(iq), _AT_ONCE):
            chunks = torch.from_numpy(iq[start : start + _AT_ONCE])
            level = [torch.zeros(len(chunks), LEVEL_FEATURES)] if rebuilt.recipe.net.level_input else []
            parts.append(rebuilt.net(chunks, *level).numpy())
    return np.concatenate(parts)


def _counts(labels: NDArray[np.uint8]) -> dict[str, int]:
    return {LABELS[label]: count for label, count in sorted(Counter(labels.tolist()).items())}


def _require_fit(
    contract: Contract,
    model: Path,
    recordings: Sequence[LabelledChunks],
    folder: str | os.PathLike[str],
) -> None:
    if contract.phase != "any":
        raise AmrqError(
            f"{model} needs the carrier's phase, which labelled chunks do not come with: choose a model for any phase."
        )
    length = recordings[0].chunk_length
    if length != contract.chunk_length:
        raise AmrqError(
            f"{folder} holds chunks of {length} symbols and {model} takes {contract.chunk_length}: label the "
            f"recordings anew with --chunk-length {contract.chunk_length}."
        )
    for recording in recordings:
        strange = [name for name in recording.counts if name not in contract.classes]
        if strange:
            raise AmrqError(
                f"{recording.name} in {folder} has chunks labelled {strange[0]!r}, which {model} has no output for: it "
                f"knows {', '.join(contract.classes)}."
            )


def _require_same(model: Path, rebuilt: RebuiltNet, batches: SignalBatches) -> None:
    """Hold the rebuilt network against the file: what is trained on must be what was shipped."""
    batch = batches.batch(0, _CHECKED)
    inputs = net_inputs(batch, rebuilt.recipe)
    session = open_session(model)
    names = [i.name for i in session.get_inputs()]
    fed = {name: values.numpy() for name, values in zip(names, inputs, strict=True)}
    found = session.run([session.get_outputs()[-1].name], fed)[0]
    with torch.no_grad():
        logits = rebuilt.net(*inputs).numpy()
    same = float((found.argmax(axis=1) == logits.argmax(axis=1)).mean())
    if same < _LEAST_AGREEMENT:
        raise AmrqError(
            f"the network rebuilt from {model} decides like the file on {same:.1%} of {_CHECKED} chunks only: it is "
            "not what its recipe describes."
        )
