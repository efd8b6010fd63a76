# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a finished model further with labelled chunks."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from amrq.chunks import LEVEL_FEATURES
from amrq.classes import THESIS_9
from amrq.classifier import ChunkClassifier, Classifier, make_classifier
from amrq.errors import AmrqError
from amrq.evaluation import Evaluation, evaluate
from amrq.files import check_writable, parsing
from amrq.hardware import OnnxGraph
from amrq.labels import HeldOut, LabelledChunks, LabelsFolder, hold_out
from amrq.machine import memory_limit
from amrq.model import Contract, find_model, open_session
from amrq.plain_values import from_plain
from amrq.training.architectures import make_net
from amrq.training.control import RunControl, TuneSettings
from amrq.training.labelled_batches import LabelledBatches, LabelledLoss
from amrq.training.loop import Trainer, TrainingStage, keep_state, net_inputs, resumed_state
from amrq.training.making import HELD_OUT_SEED, write_model
from amrq.training.quantisation import ActivationQuantiser, QuantisedLayer, quantise
from amrq.training.recipe import Recipe, class_text
from amrq.training.signal_batches import SignalBatches, Teacher

__all__ = ["RebuiltNet", "compare", "fine_tune", "rebuild_net", "tune_model"]


@dataclass(frozen=True)
class RebuiltNet:
    """A network that can be trained on.

    Attributes:
        net: in evaluation mode, on integers where the file is.
        recipe: what made it.
        contract: of the file.
    """

    net: nn.Module
    recipe: Recipe
    contract: Contract


@dataclass(frozen=True)
class _Layer:
    """A layer as the file has it: scales are None in floating point."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    weight_scale: NDArray[np.float32] | None


def rebuild_net(path: str | os.PathLike[str]) -> RebuiltNet:
    """Rebuild the network of an ONNX file that `amrq train` made, from the recipe in its contract and its own weights.

    Weights on integers come back as these times their steps, biases too, all steps as they are: exported again, the
    network gives the same integers. What is zero in a pruned file counts as removed and stays zero: whether it was
    removed or rounded to zero, a file does not tell.

    Args:
        path: the file.

    Raises:
        AmrqError: there is no such file, `amrq train` did not make it, or it is not what its recipe says.
    """
    path = Path(path)
    graph = OnnxGraph(path)
    contract = graph.contract()
    settings = contract.recipe.get("settings")
    if not isinstance(settings, dict) or "net" not in settings:
        raise AmrqError(
            f"{path} was not made by 'amrq train': its contract has no settings to rebuild the network from, so give a "
            "model that was."
        )
    try:
        recipe = from_plain(settings, Recipe)
    except AmrqError as error:
        raise AmrqError(f"the recipe in {path}: {error}") from None
    batches = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed, known=recipe.class_set)
    same = [(h.label, h.es_n0_db) for h in batches.hypotheses] == [
        (h.label, h.es_n0_db) for h in contract.hypotheses
    ]
    if not same or batches.classes != contract.classes or recipe.chunk_length != contract.chunk_length:
        raise AmrqError(
            f"{path} has other outputs or chunks than its recipe would make today: use the release that made it."
        )
    with parsing(path), memory_limit(1 << 31):
        net = make_net(len(batches.hypotheses), recipe.net)
    try:
        _fill(net, graph, contract)
    except (AmrqError, KeyError, IndexError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()).rpartition("hardware: ")[2][:150].rstrip(".")
        raise AmrqError(f"{path} does not hold the network that its recipe describes ({reason}).") from None
    return RebuiltNet(net.eval(), recipe, contract)


def _fill(net: nn.Module, graph: OnnxGraph, contract: Contract) -> None:
    """Put the file's numbers into the network, layer by layer in the order in which both run."""
    layers = [module for module in net.modules() if isinstance(module, QuantisedLayer)]
    nodes = [node for node in graph.model.graph.node if node.op_type in ("Conv", "Gemm")]
    if len(nodes) != len(layers):
        raise ValueError(f"{len(nodes)} layers in place of {len(layers)}")
    integer = contract.weight_bits < 32
    with torch.no_grad():
        for layer, node in zip(layers, nodes, strict=True):
            found = _layer(graph, node, integer)
            for parameter, values in ((layer.weight, found.weight), (layer.bias, found.bias)):
                if tuple(parameter.shape) != values.shape:
                    raise ValueError(f"a layer of shape {values.shape} in place of {tuple(parameter.shape)}")
                parameter.copy_(torch.tensor(values))
            if found.weight_scale is not None:
                layer.weight_scale.copy_(torch.tensor(found.weight_scale))
            if contract.pruned:
                layer.kept.copy_(layer.weight != 0)
                layer.masked = not bool(layer.kept.all())
        if integer:
            _fill_quantisers(net, graph)
            quantise(net, contract.weight_bits, None)


def _fill_quantisers(net: nn.Module, graph: OnnxGraph) -> None:
    quantisers = [module for module in net.modules() if isinstance(module, ActivationQuantiser)]
    nodes = [node for node in graph.model.graph.node if node.op_type == "QuantizeLinear"]
    if len(nodes) != len(quantisers):
        raise ValueError(f"{len(nodes)} roundings in place of {len(quantisers)}")
    for quantiser, node in zip(quantisers, nodes, strict=True):
        scale, zero = graph.constant(node.input[1]), graph.constant(node.input[2])
        if scale.size != 1 or zero.size != 1 or int(zero.ravel()[0]) != quantiser.zero_point:
            raise ValueError(f"a rounding about {zero.ravel()[:3]} in place of {quantiser.zero_point}")
        quantiser.scale.copy_(torch.tensor(float(scale.ravel()[0])))


def _layer(graph: OnnxGraph, node: Any, integer: bool) -> _Layer:
    """Read a Conv or Gemm."""
    if node.op_type == "Gemm":
        graph.require(node, alpha=1.0, beta=1.0, transA=0, transB=1)
    if not integer:
        weight, bias = (np.asarray(graph.constant(name), np.float32) for name in node.input[1:3])
        return _Layer(weight, bias, None)
    (weight, weight_scale), (bias, bias_scale) = (
        (graph.constant(read.input[0]), np.asarray(graph.constant(read.input[1]), np.float32))
        for read in (graph.made_by(name, "DequantizeLinear") for name in node.input[1:3])
    )
    steps = weight_scale.reshape(-1, *[1] * (weight.ndim - 1))
    # Steps are powers of two and the integers below 2^24: the products are exact.
    return _Layer(
        weight.astype(np.float32) * steps, bias.astype(np.float32) * bias_scale, weight_scale.ravel()
    )


def compare(
    before: tuple[Classifier, Evaluation],
    after: tuple[Classifier, Evaluation],
    recordings: Sequence[LabelledChunks],
    parts: Sequence[HeldOut],
    tolerance: float,
) -> dict[str, Any]:
    """Hold two models against the same chunks.

    Args:
        before: the one model, and what was found of it on synthetic chunks.
        after: the other one, and what was found of it on the same.
        recordings: labelled chunks.
        parts: which of them are held out.
        tolerance: share by which an accuracy may fall, or the share of other signals that are claimed rise, before it
            counts as worse.

    Returns:
        plain values. `labelled`, of single held-out chunks: label, how many, how many right before and after.
        `synthetic`: Es/N0, chunks, accuracy among the modulations before and after. `others`: kind, fused decisions,
        how many claim one of the modulations before and after. `tolerance`. `worse`: a sentence for each thing that is.
    """
    chunks = np.concatenate([r.chunks[p.tested] for r, p in zip(recordings, parts, strict=True)])
    labels = np.array(
        [r.names[label] for r, p in zip(recordings, parts, strict=True) for label in r.labels[p.tested]],
        dtype=object,
    )
    right = []
    for classifier, _ in (before, after):
        named = np.array(classifier.contract.classes, dtype=object)
        right.append(named[classifier.classify(chunks).log_probabilities.argmax(axis=1)] == labels)
    labelled = [
        {
            "label": label,
            "chunks": int((labels == label).sum()),
            "before": int(right[0][labels == label].sum()),
            "after": int(right[1][labels == label].sum()),
        }
        for label in (name for name in after[0].contract.classes if name in labels)
    ]
    synthetic = [
        {
            "es_n0_db": one.es_n0_db,
            "chunks": one.chunks,
            "before": round(one.accuracy, 6),
            "after": round(other.accuracy, 6),
        }
        for one, other in zip(
            *([level.row() for level in found.levels] for _, found in (before, after)), strict=True
        )
    ]
    others = [
        {
            "kind": one.kind,
            "decisions": one.claimed.of,
            "before": one.claimed.count,
            "after": other.claimed.count,
        }
        for one, other in zip(before[1].others, after[1].others, strict=True)
    ]
    return {
        "labelled": labelled,
        "synthetic": synthetic,
        "others": others,
        "tolerance": tolerance,
        "worse": _worse(synthetic, others, tolerance),
    }


def _worse(
    synthetic: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]], tolerance: float
) -> list[str]:
    found = []
    fell = [row for row in synthetic if row["before"] - row["after"] > tolerance]
    if fell:
        row = max(fell, key=lambda row: float(row["before"] - row["after"]))
        where = ", ".join(f"{row['es_n0_db']:g}" for row in fell)
        found.append(
            f"accuracy on synthetic chunks fell by more than {100 * tolerance:g} points at {where} dB, most at "
            f"{row['es_n0_db']:g} dB, from {row['before']:.4f} to {row['after']:.4f}"
        )
    decisions = sum(row["decisions"] for row in others)
    claims = [sum(row[when] for row in others) / max(1, decisions) for when in ("before", "after")]
    if claims[1] - claims[0] > tolerance:
        found.append(
            f"the share of other signals that it claims for one of its modulations rose by more than "
            f"{100 * tolerance:g} points, from {claims[0]:.4f} to {claims[1]:.4f}"
        )
    return found


_TAUGHT = 30_000
"""Chunks that the teacher judges at least, if the recipe has as many."""
_DRAWN_AGAIN = 20
"""How often a chunk of the teacher is drawn in a long fine-tuning: it comes back changed each time."""
_RATE_SHARE = 0.25
_AT_ONCE = 4_096
_CHECKED = 2_000
_LEAST_AGREEMENT = 0.995
"""Decisions in which file and rebuilt network agree: what lies before the integers may differ in a last bit."""


def fine_tune(
    net: nn.Module,
    stage: TrainingStage,
    recipe: Recipe,
    batches: SignalBatches,
    labelled: LabelledBatches,
    control: RunControl | None = None,
    identity: str = "",
) -> bool:
    """Train a finished network on with labelled chunks, its weights rounded in the loop where they are on integers.

    What is learnt from which chunks, `LabelledLoss` says. Steps of weights and activations, and removed weights, stay
    as they are.

    Args:
        net: the network; it is changed, and left in evaluation mode.
        stage: its precision, and for how long and how fast it is trained.
        recipe: that made it.
        batches: of the recipe's signals.
        labelled: labelled chunks.
        control: how it runs.
        identity: what a checkpoint must share with this training.

    Returns:
        whether it is finished.

    Raises:
        AmrqError: the checkpoint is of another training or unreadable, or the loss is no longer finite.
    """
    control = control or RunControl()
    trainer = Trainer(LabelledLoss(recipe, batches, labelled), control)
    trainer.begin(net, stage)
    resumed = resumed_state(control, identity)
    if resumed is not None:
        trainer.resume(resumed)
    begun_at = trainer.done

    def save() -> None:
        keep_state(control, identity, trainer.state())

    over = trainer.run(save)
    if over and trainer.done > begun_at:
        save()
    return over


def tune_model(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    settings: TuneSettings,
    control: RunControl | None = None,
) -> dict[str, Any]:
    """Train a model that `amrq train` made on, on the recipe's own signals and labelled chunks; write it and its page.

    Args:
        model: the model's file, or name; left as it is.
        folder: of labelled chunks.
        output: the file to write. It appears when all is done.
        settings: how.
        control: how it runs; `evaluated` counts the evaluation of both models.

    Returns:
        what was added and what it did, the last entry of `added` in the contract's recipe (see docs/label.md).

    Raises:
        AmrqError: the model was not made by `amrq train`, has no output for a label, takes other chunks or needs the
            carrier's phase; the folder holds nothing usable; the output cannot be written.
        KeyboardInterrupt: the control stopped the training; its state is kept.
    """
    control = control or RunControl()
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
        teacher = Teacher(fewer, recipe.signal, recipe.chunk_length, seed, control.taught, recipe.class_set)
    batches = SignalBatches(recipe.signal, recipe.chunk_length, seed, teacher, recipe.class_set)
    _require_same(
        source, rebuilt, SignalBatches(recipe.signal, recipe.chunk_length, seed, known=recipe.class_set)
    )
    labelled = LabelledBatches(
        recordings,
        parts,
        lambda iq: _logits(rebuilt, iq),
        batches.hypotheses,
        recipe,
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
                "learnt": _counts(recording, part.learnt),
                "tested": _counts(recording, part.tested),
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
        TrainingStage(bits, settings.steps, rate),
        recipe,
        batches,
        labelled,
        control,
        repr((added, recipe)) + (class_text(recipe.class_set) if recipe.class_set != THESIS_9 else ""),
    )
    if not finished:
        raise KeyboardInterrupt

    def judged(classifier: ChunkClassifier, found: Evaluation) -> dict[str, Any]:
        former = make_classifier(source)
        known = evaluate(
            former,
            recipe.accuracy_chunks,
            seed=recipe.seed + HELD_OUT_SEED,
            progress=lambda done, of: control.evaluated(of + done, 2 * of),
        )
        added.update(compare((former, known), (classifier, found), recordings, parts, settings.tolerance))
        return {"added": [*before, added]}

    steps = int(rebuilt.contract.recipe.get("steps", 0)) + settings.steps
    write_model(
        recipe, rebuilt.net, bits, target, lambda done, of: control.evaluated(done, 2 * of), steps, judged
    )
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


def _counts(recording: LabelledChunks, rows: NDArray[np.int64]) -> dict[str, int]:
    counted = Counter(recording.labels[rows].tolist())
    return {recording.names[label]: count for label, count in sorted(counted.items())}


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
                f"knows {', '.join(contract.classes)}. Take them for one of these (amrq label --alias "
                f"'{strange[0]}=LABEL'), or train a model of a recipe that has this class."
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
