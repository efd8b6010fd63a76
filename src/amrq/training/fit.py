# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a network by a recipe, and go on where an earlier run stopped."""

import copy
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from amrq.errors import AmrqError
from amrq.training.architectures import make_net
from amrq.training.checkpoint import load_checkpoint, save_checkpoint
from amrq.training.class_logits import class_logits
from amrq.training.learning_rate import learning_rate_share
from amrq.training.prune import prune
from amrq.training.quantise import quantise
from amrq.training.recipe import Recipe
from amrq.training.running_means import RunningMeans
from amrq.training.signal_batches import Batch, SignalBatches

__all__ = ["Progress", "fit", "net_inputs"]

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
    return repr((r.seed, r.chunk_length, r.signal, r.teacher, r.net, r.fit, r.pruning, r.quantisation))


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
