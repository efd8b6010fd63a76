# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a network by a recipe, and go on where an earlier run stopped."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from amrq.errors import AmrqError
from amrq.training.architectures import make_net
from amrq.training.class_logits import class_logits
from amrq.training.quantise import quantise
from amrq.training.recipe import Recipe
from amrq.training.signal_batches import SignalBatches

__all__ = ["Progress", "fit"]

_CALIBRATION_BATCHES = 20
_CALIBRATION_STREAM = 1_000_000_000
"""Index of the first batch for the activation scales: out of reach of the steps."""


class Progress(NamedTuple):
    """How a training stands.

    Attributes:
        step: steps done.
        steps: steps in all.
        phase: `float` or `quantised`.
        loss: cross entropy of the classes, nats, running mean.
        accuracy: share of right decisions on the batches just trained on (each is fresh), running mean.
    """

    step: int
    steps: int
    phase: str
    loss: float
    accuracy: float


def _rate(step: int, steps: int) -> float:
    """Return the share of the highest learning rate: a short rise, then a cosine (Loshchilov and Hutter 2017)."""
    warm = max(1, steps // 50)
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)))


def _identity(recipe: Recipe) -> str:
    """Return what a checkpoint must share with a recipe: all that the weights depend on."""
    r = recipe
    return repr((r.seed, r.chunk_length, r.signal, r.net, r.fit, r.quantisation))


def _save(path: Path, state: dict[str, object]) -> None:
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def fit(
    recipe: Recipe,
    checkpoint: Path | None = None,
    fresh: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    save_every: int = 500,
    stop_at: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> nn.Module:
    """Train the recipe's network: first in floating point, then with the rounding in the loop.

    Batch and learning rate depend on recipe and step alone and the checkpoint holds the optimiser, so that an
    interrupted training that is resumed on the same machine ends in the same weights.

    Args:
        recipe: what to make.
        checkpoint: file to keep the state in and to resume from; None keeps none.
        fresh: begin anew even if there is a checkpoint.
        progress: called every 20 steps.
        save_every: steps between two checkpoints.
        stop_at: stop after this many steps in all, leaving a checkpoint.
        stopped: asked between steps; stop, leaving a checkpoint, when it says so.

    Returns:
        the network, its outputs those of `SignalBatches.hypotheses`, in evaluation mode; quantised if the recipe
        says so and the last step was reached.

    Raises:
        AmrqError: the checkpoint is of another recipe or unreadable, or the loss is no longer finite.
    """
    torch.manual_seed(recipe.seed)
    batches = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed)
    net = make_net(len(batches.hypotheses), recipe.net)
    net.train()
    rounding = recipe.quantisation
    float_steps = recipe.fit.steps
    steps = float_steps + (rounding.steps if rounding.weight_bits < 32 else 0)
    optimiser = torch.optim.Adam(net.parameters())
    done = 0
    if checkpoint is not None and not fresh and checkpoint.is_file():
        try:
            state = torch.load(checkpoint, weights_only=True)
            same = state["recipe"] == _identity(recipe)
        except Exception as error:  # torch raises many types for a broken file
            reason = type(error).__name__  # torch's messages run over many lines
            raise AmrqError(
                f"{checkpoint} is no readable checkpoint ({reason}): remove it or use --fresh."
            ) from None
        if not same:
            raise AmrqError(f"{checkpoint} belongs to another recipe: remove it or use --fresh.")
        done = state["step"]
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        if done > float_steps:
            quantise(net, rounding.weight_bits, None)

    def begin_rounding() -> None:
        calibration = (
            torch.from_numpy(batches.batch(_CALIBRATION_STREAM + i, recipe.fit.batch_size).iq)
            for i in range(_CALIBRATION_BATCHES)
        )
        quantise(net, rounding.weight_bits, calibration)

    def state_now() -> dict[str, object]:
        return {
            "recipe": _identity(recipe),
            "step": done,
            "net": net.state_dict(),
            "optimiser": optimiser.state_dict(),
        }

    mean_loss = mean_accuracy = 0.0
    weight = 0.0
    while done < steps and (stop_at is None or done < stop_at) and not stopped():
        if done == float_steps:
            begin_rounding()
            optimiser = torch.optim.Adam(net.parameters())
        in_float = done < float_steps
        rate = (
            recipe.fit.learning_rate * _rate(done, float_steps)
            if in_float
            else rounding.learning_rate * _rate(done - float_steps, rounding.steps)
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = batches.batch(done, recipe.fit.batch_size)
        labels = torch.from_numpy(batch.labels)
        hypothesis_logits = net(torch.from_numpy(batch.iq))
        logits = class_logits(hypothesis_logits, batches.hypotheses)
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=recipe.fit.label_smoothing)
        # Both are proper: the classes are what single chunks are judged by, the hypotheses what is fused.
        hypotheses = torch.from_numpy(batch.hypotheses)
        both = 0.5 * (loss + nn.functional.cross_entropy(hypothesis_logits, hypotheses))
        optimiser.zero_grad()
        both.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        done += 1
        if done % 20 == 0 or done == steps:
            if not torch.isfinite(loss):
                raise AmrqError(f"the loss is no longer finite at step {done}: lower the learning rate.")
            accuracy = (logits.argmax(dim=1) == labels).float().mean().item()
            # Running means over some 1,000 steps, unbiased from the first on.
            weight = 0.98 * weight + 0.02
            mean_loss += (loss.item() - mean_loss) * 0.02 / weight
            mean_accuracy += (accuracy - mean_accuracy) * 0.02 / weight
            phase = "float" if done <= float_steps else "quantised"
            progress(Progress(done, steps, phase, mean_loss, mean_accuracy))
        if checkpoint is not None and (done % save_every == 0 or done == steps):
            _save(checkpoint, state_now())
    if done == steps == float_steps and rounding.weight_bits < 32:  # rounding without fine-tuning
        begin_rounding()
    if checkpoint is not None and done < steps:
        _save(checkpoint, state_now())
    return net.eval()
