# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loops: a fit from scratch and a fine-tune."""

import copy
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.files import whole_file
from amrq.machine import memory_limit
from amrq.model import Hypothesis
from amrq.training.architectures import make_net
from amrq.training.labelled_batches import LabelledBatches
from amrq.training.pruning import prune
from amrq.training.quantisation import quantise
from amrq.training.recipe import Recipe, class_text
from amrq.training.signal_batches import Batch, SignalBatches

__all__ = [
    "Progress",
    "RunningMeans",
    "class_logits",
    "fine_tune",
    "fit",
    "learning_rate_share",
    "load_checkpoint",
    "net_inputs",
    "save_checkpoint",
]


def learning_rate_share(step: int, steps: int) -> float:
    """Return the share of the highest learning rate: a short rise, then a cosine (Loshchilov and Hutter 2017)."""
    warm = max(1, steps // 50)
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)))


class RunningMeans:
    """Means of loss and accuracy over some 1,000 steps, told of every 20th; unbiased from the first on."""

    def __init__(self) -> None:
        self.loss = self.accuracy = self._weight = 0.0

    def add(self, loss: float, accuracy: float) -> None:
        """Take in a step's."""
        self._weight = 0.98 * self._weight + 0.02
        self.loss += (loss - self.loss) * 0.02 / self._weight
        self.accuracy += (accuracy - self.accuracy) * 0.02 / self._weight


def class_logits(logits: torch.Tensor, hypotheses: Sequence[Hypothesis]) -> torch.Tensor:
    """Add up the probabilities of each class's hypotheses: float32 [N, hypotheses] -> [N, classes].

    Args:
        logits: of the hypotheses.
        hypotheses: what the columns stand for, grouped by class.
    """
    sizes = [len(list(group)) for _, group in groupby(hypothesis.label for hypothesis in hypotheses)]
    parts = torch.split(logits, sizes, dim=1)
    return torch.cat([torch.logsumexp(part, dim=1, keepdim=True) for part in parts], dim=1)


def save_checkpoint(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write a state, whole or not at all.

    Args:
        path: the file.
        identity: what must be the same for another run to go on from it.
        state: tensors, numbers, texts, and dicts and lists of them.
    """
    with whole_file(path) as file:
        torch.save({**state, "recipe": identity}, file)


def load_checkpoint(path: Path, identity: str) -> dict[str, Any]:
    """Return the state that `save_checkpoint` wrote.

    Raises:
        AmrqError: the file cannot be read, or is of another training.
    """
    try:
        with memory_limit((1 << 30) + 8 * path.stat().st_size):
            state: dict[str, Any] = torch.load(path, weights_only=True)
        same = state["recipe"] == identity
    except Exception as error:  # torch raises many types for a broken file
        reason = type(error).__name__  # torch's messages run over many lines
        raise AmrqError(f"{path} is no readable checkpoint ({reason}): remove it or use --fresh.") from None
    if not same:
        raise AmrqError(f"{path} belongs to another recipe: remove it or use --fresh.")
    return state


_CALIBRATION_BATCHES = 20
_CALIBRATION_STREAM = 1_000_000_000
"""Index of the first batch for the activation scales: out of reach of the steps."""
_PRUNE_EVERY = 50
_HYPOTHESIS_WEIGHT = 0.5


class Progress(NamedTuple):
    """How a training stands.

    Attributes:
        step: steps done, over all models of the recipe.
        steps: steps in all.
        phase: `float32`, or `int8` and the like.
        loss: cross entropy of the classes, nats, running mean.
        accuracy: share of right decisions on the batches just trained on (each is fresh), running mean.
    """

    step: int
    steps: int
    phase: str
    loss: float
    accuracy: float


def net_inputs(batch: Batch, recipe: Recipe) -> tuple[torch.Tensor, ...]:
    """Return what the recipe's network takes of a batch."""
    iq = torch.from_numpy(batch.iq)
    return (iq, torch.from_numpy(batch.level)) if recipe.net.level_input else (iq,)


def _identity(recipe: Recipe) -> str:
    """Return what a checkpoint must share with a recipe: all that the weights depend on."""
    r = recipe
    text = repr((r.seed, r.chunk_length, r.signal, r.teacher, r.net, r.fit, r.pruning, r.quantisation))
    # States from before there was a choice are of the thesis's classes, and stay good.
    return text if r.class_set == THESIS_9 else text + class_text(r.class_set)


def _losses(
    logits: torch.Tensor, batch: Batch, batches: SignalBatches, smoothing: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what to minimise, the cross entropy of the classes in it, and the classes' logits."""
    by_class = class_logits(logits, batches.hypotheses)
    log_probabilities = torch.log_softmax(by_class, dim=1)
    targets = torch.from_numpy(batch.targets) * (1 - smoothing) + smoothing / by_class.shape[1]
    entropy = -(targets * log_probabilities).sum(dim=1).mean()
    # Then the hypothesis, given the class: both parts are proper scores, together one of the hypotheses. The classes
    # are what single chunks are judged by, the hypotheses what is fused.
    index = torch.from_numpy(batch.hypotheses)[:, None]
    given = by_class.gather(1, torch.from_numpy(batch.labels)[:, None]) - logits.gather(1, index)
    return entropy + _HYPOTHESIS_WEIGHT * given.mean(), entropy, by_class


def fit(
    recipe: Recipe,
    batches: SignalBatches,
    checkpoint: Path | None = None,
    fresh: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    save_every: int = 500,
    stop_at: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Mapping[int, nn.Module]:
    """Train the recipe's network: first in floating point, then from there for each number of bits.

    Batch and learning rate depend on recipe and step alone and the checkpoint holds the optimiser, so that an
    interrupted training that is resumed on the same machine ends in the same weights.

    Args:
        recipe: what to make.
        batches: of the recipe's signals.
        checkpoint: file to keep the state in and to resume from; None keeps none.
        fresh: begin anew even if there is a checkpoint.
        progress: called every 20 steps.
        save_every: steps between two checkpoints.
        stop_at: stop after this many steps in all, leaving a checkpoint.
        stopped: asked between steps; stop, leaving a checkpoint, when it says so.

    Returns:
        networks by bits of a weight, in evaluation mode, their outputs those of `SignalBatches.hypotheses`: those of
        the recipe, and the one in floating point in any case. Those not reached before a stop are missing.

    Raises:
        AmrqError: the checkpoint is of another recipe or unreadable, or the loss is no longer finite.
    """
    torch.manual_seed(recipe.seed)
    stages = [32, *(bits for bits in recipe.quantisation.weight_bits if bits < 32)]
    lengths = [recipe.fit.steps, *(recipe.quantisation.tuning(bits)[0] for bits in stages[1:])]
    total = sum(lengths)
    net = make_net(len(batches.hypotheses), recipe.net)
    blank = copy.deepcopy(net)
    finished: dict[int, nn.Module] = {}
    resumed: dict[str, Any] | None = None
    if checkpoint is not None and not fresh and os.path.isfile(checkpoint):
        resumed = load_checkpoint(checkpoint, _identity(recipe))
        for bits, weights in resumed["finished"].items():
            finished[bits] = _with_weights(blank, bits, weights)

    def calibration() -> Iterator[tuple[torch.Tensor, ...]]:
        for i in range(_CALIBRATION_BATCHES):
            yield net_inputs(batches.batch(_CALIBRATION_STREAM + i, recipe.fit.batch_size), recipe)

    means = RunningMeans()
    before = 0
    for number, (bits, steps) in enumerate(zip(stages, lengths, strict=True)):
        if bits in finished:
            before += steps
            continue
        phase = "float32" if bits == 32 else f"int{bits}"
        mine = resumed is not None and resumed["stage"] == number and resumed["step"] > 0
        if mine:
            assert resumed is not None
            net = _with_weights(blank, bits, resumed["net"]).train()
        elif bits < 32:
            net = copy.deepcopy(finished[32])
            quantise(net, bits, calibration())
            net.train()
        else:
            net.train()
        optimiser = torch.optim.Adam(net.parameters())
        done = 0
        if mine:
            assert resumed is not None
            optimiser.load_state_dict(resumed["optimiser"])
            done = resumed["step"]
        highest = recipe.fit.learning_rate if bits == 32 else recipe.quantisation.tuning(bits)[1]

        def save(stage: int, step: int, net: nn.Module, optimiser: torch.optim.Optimizer) -> None:
            if checkpoint is not None:
                weights = {bits: other.state_dict() for bits, other in finished.items()}
                state = {"stage": stage, "step": step, "finished": weights}
                state |= {"net": net.state_dict(), "optimiser": optimiser.state_dict()}
                save_checkpoint(checkpoint, _identity(recipe), state)

        while done < steps:
            if (stop_at is not None and before + done >= stop_at) or stopped():
                save(number, done, net, optimiser)
                return finished
            if bits == 32 and recipe.pruning.share and done % _PRUNE_EVERY == 0:
                prune(net, _pruned_by(recipe, done / steps))
            for group in optimiser.param_groups:
                group["lr"] = highest * learning_rate_share(done, steps)
            # The stages follow each other in the stream of batches too: none sees a batch again.
            batch = batches.batch(before + done, recipe.fit.batch_size)
            logits = net(*net_inputs(batch, recipe))
            loss, entropy, by_class = _losses(logits, batch, batches, recipe.fit.label_smoothing)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            done += 1
            if done % 20 == 0 or done == steps:
                if not torch.isfinite(loss):
                    raise AmrqError(
                        f"the loss is no longer finite at step {before + done}: lower the learning rate."
                    )
                right = by_class.argmax(dim=1) == torch.from_numpy(batch.labels)
                means.add(entropy.item(), right.float().mean().item())
                progress(Progress(before + done, total, phase, means.loss, means.accuracy))
            if done % save_every == 0 and done < steps:
                save(number, done, net, optimiser)
        if bits == 32 and recipe.pruning.share:
            prune(net, recipe.pruning.share)
        finished[bits] = net.eval()
        before += steps
        save(number + 1, 0, net, optimiser)
    return finished


def _pruned_by(recipe: Recipe, at: float) -> float:
    """Return the share removed when a share `at` of the float steps is done (Zhu and Gupta 2017, eq. 1)."""
    p = recipe.pruning
    progress = min(max((at - p.begin) / (p.end - p.begin), 0.0), 1.0)
    return float(p.share * (1 - (1 - progress) ** 3))


def _with_weights(blank: nn.Module, bits: int, weights: dict[str, torch.Tensor]) -> nn.Module:
    """Return the network with the weights of a checkpoint, rounded to `bits`, in evaluation mode."""
    net = copy.deepcopy(blank)
    net.load_state_dict(weights)
    if bits < 32:
        quantise(net, bits, None)
    return net.eval()


_STREAM = 2_000_000_000
"""Index of the first synthetic batch: out of reach of the training before."""


def fine_tune(
    net: nn.Module,
    bits: int,
    recipe: Recipe,
    batches: SignalBatches,
    labelled: LabelledBatches,
    steps: int,
    learning_rate: float,
    identity: str = "",
    checkpoint: Path | None = None,
    fresh: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    save_every: int = 500,
    stop_at: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Train a network on, its weights rounded in the loop where they are on integers.

    The classes are learnt from both kinds of chunks. The hypotheses, classes at noise levels, are learnt from the
    synthetic ones, and from labelled ones whose Es/N0 is known: that of a recorded chunk nobody knows well enough to
    call another level wrong. Steps of weights and activations, and removed weights, stay as they are.

    Args:
        net: the network; it is changed, and left in evaluation mode.
        bits: of a weight, for people to see.
        recipe: that made it.
        batches: of the recipe's signals.
        labelled: labelled chunks.
        steps: batches.
        learning_rate: at its highest.
        identity: what a checkpoint must share with this training.
        checkpoint: file to keep the state in and to resume from; None keeps none.
        fresh: begin anew even if there is a checkpoint.
        progress: called every 20 steps.
        save_every: steps between two checkpoints.
        stop_at: stop after this many steps, leaving a checkpoint.
        stopped: asked between steps; stop, leaving a checkpoint, when it says so.

    Returns:
        whether it is finished.

    Raises:
        AmrqError: the checkpoint is of another training or unreadable, or the loss is no longer finite.
    """
    optimiser = torch.optim.Adam(net.parameters())
    done = 0
    if checkpoint is not None and not fresh and os.path.isfile(checkpoint):
        state = load_checkpoint(checkpoint, identity)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        done = state["step"]

    def save() -> None:
        if checkpoint is not None:
            state = {"step": done, "net": net.state_dict(), "optimiser": optimiser.state_dict()}
            save_checkpoint(checkpoint, identity, state)

    phase = "float32" if bits == 32 else f"int{bits}"
    means = RunningMeans()
    smoothing = recipe.fit.label_smoothing
    weights = _weights_by_level(batches, labelled.synthetic_weights)
    level_weights = torch.from_numpy(labelled.synthetic_level_weights)
    net.train()
    begun_at = done
    while done < steps:
        if (stop_at is not None and done >= stop_at) or stopped():
            save()
            net.eval()
            return False
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * learning_rate_share(done, steps)
        batch = batches.batch(_STREAM + done, recipe.fit.batch_size)
        more = labelled.batch(done)
        inputs = [torch.cat([torch.from_numpy(batch.iq), torch.from_numpy(more.iq)])]
        if recipe.net.level_input:
            inputs.append(torch.cat([torch.from_numpy(batch.level), torch.from_numpy(more.level)]))
        logits = net(*inputs)
        by_class = class_logits(logits, batches.hypotheses)
        labels = torch.cat([torch.from_numpy(batch.labels), torch.from_numpy(more.labels)])
        # A target is a probability under the priors of the synthetic chunks: where labelled ones stand for a part of a
        # class at a level, that much less of a synthetic chunk at that level is of the class.
        said = torch.from_numpy(batch.targets) * weights[torch.from_numpy(batch.hypotheses)]
        told = nn.functional.one_hot(torch.from_numpy(more.labels), by_class.shape[1])
        targets = torch.cat([said, told * more.weight])
        targets = targets * (1 - smoothing) + targets.sum(dim=1, keepdim=True) * smoothing / by_class.shape[1]
        size = len(batch.labels)
        entropy = -(targets * torch.log_softmax(by_class, dim=1)).sum() / size
        told_level = torch.from_numpy(more.hypotheses)
        index = torch.cat([torch.from_numpy(batch.hypotheses), told_level.clamp(min=0)])[:, None]
        given = (by_class.gather(1, labels[:, None]) - logits.gather(1, index))[:, 0]
        counted = torch.cat([level_weights[index[:size, 0]], (told_level >= 0) * more.weight])
        loss = entropy + _HYPOTHESIS_WEIGHT * (given * counted).sum() / size
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        done += 1
        if done % 20 == 0 or done == steps:
            if not torch.isfinite(loss):
                raise AmrqError(
                    f"the loss is no longer finite at step {done}: lower the learning rate (--learning-rate)."
                )
            right = by_class.argmax(dim=1) == labels
            means.add(entropy.item(), right.float().mean().item())
            progress(Progress(done, steps, phase, means.loss, means.accuracy))
        if done % save_every == 0 and done < steps:
            save()
    net.eval()
    if done > begun_at:
        save()
    return True


def _weights_by_level(batches: SignalBatches, weights: NDArray[np.float32]) -> torch.Tensor:
    """Return what each class's target is multiplied by, for a chunk drawn as each hypothesis: [hypotheses, classes].

    A class has the weight of its own hypothesis at the chunk's level, one without levels that of all of its own.
    """
    hypotheses, classes = batches.hypotheses, batches.classes
    found = np.ones((len(hypotheses), len(classes)), dtype=np.float32)
    for column, name in enumerate(classes):
        own = [row for row, h in enumerate(hypotheses) if h.label == name]
        prior = np.array([hypotheses[row].prior for row in own])
        together = float((weights[own] * prior).sum() / prior.sum())
        by_level = {hypotheses[row].es_n0_db: float(weights[row]) for row in own}
        for row, drawn in enumerate(hypotheses):
            if drawn.label == name:
                found[row, column] = weights[row]
            else:
                level = drawn.es_n0_db
                found[row, column] = together if level is None else by_level.get(level, together)
    return torch.from_numpy(found)
