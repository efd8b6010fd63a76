# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a network until it makes no mistake on fresh chunks."""

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from amrq.errors import AmrqError
from amrq.training.sweep.sweep_chunks import LabelledChunks, SweepChunks
from amrq.training.sweep.sweep_recipe import RoundSettings, SweepFitSettings

__all__ = ["Fitted", "decide", "fit_to_gate"]

_WARM_EPOCHS = 5
_LOWEST_RATE = 0.005
_LARGEST_GRADIENT = 1.0
_EVALUATED = 1_024
"""Chunks at a time, so that what the layers pass on stays in the processor's cache."""


class Fitted(NamedTuple):
    """How a training ended.

    Attributes:
        epochs: epochs trained.
        tries: how often the gate was tried.
        wrong: mistakes of the network that came out, at its try; 0 where the gate was passed.
        loss: mean cross entropy of the last epoch, nats.
    """

    epochs: int
    tries: int
    wrong: int
    loss: float


def decide(net: nn.Module, chunks: LabelledChunks) -> torch.Tensor:
    """Return int64 [N], the class that a network in evaluation mode finds most probable for each chunk."""
    with torch.no_grad():
        return torch.cat([net(part).argmax(dim=1) for part in torch.from_numpy(chunks.iq).split(_EVALUATED)])


def fit_to_gate(
    net: nn.Module,
    chunks: SweepChunks,
    stream: int,
    settings: SweepFitSettings,
    rounds: RoundSettings,
    learning_rate: float,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Fitted:
    """Train as `SweepFitSettings` describes it, until the gate is passed or the epochs are used up.

    Every epoch has fresh chunks. All depends on the recipe, the stream and the weights at the start alone, so that a
    cell that is begun anew ends in the same weights on the same kind of machine.

    Args:
        net: the network; left in evaluation mode.
        chunks: of the sweep.
        stream: the cell's.
        settings: of the optimisation.
        rounds: how long it may take.
        learning_rate: of the architecture.
        progress: called after each epoch with its number, from 1 up, and its mean loss.

    Raises:
        AmrqError: the loss is no longer finite.
    """
    optimiser = torch.optim.Adam(net.parameters(), fused=True)
    epoch, loss = 0, math.inf

    def train(rate: float, size: int) -> None:
        nonlocal epoch, loss
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = _epoch(net, optimiser, chunks.epoch(stream, epoch), size)
        epoch += 1
        progress(epoch, loss)

    highest = learning_rate * rounds.rate
    anneal = min(rounds.anneal, rounds.epochs)
    hold = min(rounds.hold, rounds.epochs - anneal)
    net.train()
    while epoch < hold and not loss < settings.loss_threshold:
        train(highest * min(1.0, (epoch + 1) / _WARM_EPOCHS), settings.batch_size)
    validation = chunks.validation(stream) if settings.validation_chunks else None
    best: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    fewest, wrong = math.inf, 0
    tries = 0
    while True:
        net.train()
        for left in range(anneal - 1, -1, -1):
            early = not tries and left >= anneal / 2
            train(
                highest * max(_LOWEST_RATE, left / anneal),
                settings.batch_size if early else settings.late_batch_size,
            )
        net.eval()
        found = _mistakes(net, chunks.gate(stream, tries))
        tries += 1
        mistakes = _mistakes(net, validation) if found and validation is not None else 0
        if mistakes <= fewest:
            wrong = found
            if validation is not None:
                fewest, best = mistakes, copy.deepcopy((net.state_dict(), optimiser.state_dict()))
        else:
            net.load_state_dict(best[0])
            # It takes tensors for its own, and changes them.
            optimiser.load_state_dict(copy.deepcopy(best[1]))
        if not wrong or epoch + rounds.retry > rounds.epochs:
            return Fitted(epoch, tries, wrong, loss)
        anneal = rounds.retry
        highest = learning_rate * rounds.rate * settings.retry_rate


def _mistakes(net: nn.Module, chunks: LabelledChunks) -> int:
    return int((decide(net, chunks) != torch.from_numpy(chunks.labels)).sum())


def _epoch(net: nn.Module, optimiser: torch.optim.Optimizer, data: LabelledChunks, size: int) -> float:
    """Train on each chunk once; return the mean loss."""
    total = torch.zeros(())
    iq, labels = torch.from_numpy(data.iq), torch.from_numpy(data.labels)
    for x, y in zip(iq.split(size), labels.split(size), strict=True):
        loss = nn.functional.cross_entropy(net(x), y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), _LARGEST_GRADIENT)
        optimiser.step()
        total += loss.detach() * len(x)
    mean = float(total) / len(labels)
    if not math.isfinite(mean):
        raise AmrqError("the loss is no longer finite: lower the architecture's learning rate.")
    return mean
