# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a finished network on, with labelled chunks among the synthetic ones."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from amrq.errors import AmrqError
from amrq.training.checkpoint import load_checkpoint, save_checkpoint
from amrq.training.class_logits import class_logits
from amrq.training.fit import Progress
from amrq.training.labelled_batches import LabelledBatches
from amrq.training.learning_rate import learning_rate_share
from amrq.training.recipe import Recipe
from amrq.training.running_means import RunningMeans
from amrq.training.signal_batches import SignalBatches

__all__ = ["fine_tune"]

_HYPOTHESIS_WEIGHT = 0.5
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
