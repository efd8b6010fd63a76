# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop, and a network trained by a recipe.

`Trainer` does the steps, whatever the loss is: `SyntheticLoss` for signals that are made, `LabelledLoss` for these and
labelled chunks. `fit` here and `fine_tune` say which network is trained with which loss, for how long.
"""

import copy
import functools
import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.files import check_writable, whole_file
from amrq.machine import memory_limit
from amrq.model import UNKNOWN, Hypothesis
from amrq.signals import FOREIGN_KINDS
from amrq.training.architectures import make_net
from amrq.training.control import Progress, RunControl
from amrq.training.pruning import prune
from amrq.training.quantisation import QuantisedLayer, quantise
from amrq.training.recipe import Recipe, class_text
from amrq.training.signal_batches import SignalBatch, SignalBatches

__all__ = [
    "HYPOTHESIS_WEIGHT",
    "Loss",
    "StepLoss",
    "SyntheticLoss",
    "Trainer",
    "TrainingStage",
    "class_logits",
    "fit",
    "keep_state",
    "load_checkpoint",
    "net_inputs",
    "resumed_state",
    "save_checkpoint",
    "widen",
]

_CALIBRATION_BATCHES = 20
_CALIBRATION_STREAM = 1_000_000_000
"""Index of the first batch for the activation scales: out of reach of the steps."""
_PRUNE_EVERY = 50
_REPORT_EVERY = 20
HYPOTHESIS_WEIGHT = 0.5
"""Of the hypothesis, given the class, in a loss."""
_LARGEST_GRADIENT = 1.0
_MUCH_LESS = 3.0
"""By how much the natural logarithm of an added output's probability lies below that of the output it is taken from."""


# --- the state of a training ------------------------------------------------------------------------------------------


def resumed_state(control: RunControl, identity: str) -> dict[str, Any] | None:
    """Return the state that a training goes on from; None where it begins.

    Args:
        control: of the training.
        identity: what the checkpoint must share with it.

    Raises:
        AmrqError: the checkpoint cannot be read, or is of another training, or could not be written.
    """
    if control.checkpoint is None:
        return None
    check_writable(control.checkpoint)
    if control.fresh or not os.path.isfile(control.checkpoint):
        return None
    return load_checkpoint(control.checkpoint, identity)


def keep_state(control: RunControl, identity: str, state: dict[str, Any]) -> None:
    """Write the state of a training where its control says, if anywhere."""
    if control.checkpoint is not None:
        save_checkpoint(control.checkpoint, identity, state)


def save_checkpoint(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write the state of a training, whole or not at all.

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
        raise AmrqError(
            f"{path} is not a readable checkpoint ({reason}): remove it or use --fresh."
        ) from None
    if not same:
        raise AmrqError(f"{path} belongs to another recipe: remove it or use --fresh.")
    return state


# --- losses -----------------------------------------------------------------------------------------------------------


class StepLoss(NamedTuple):
    """The loss of one step.

    Attributes:
        minimised: what to minimise.
        entropy: the cross entropy of the classes in it, nats.
        right: bool [N], on which chunks the classes' decision is right.
    """

    minimised: torch.Tensor
    entropy: torch.Tensor
    right: torch.Tensor


class Loss(Protocol):
    """What a training minimises: it draws a step's chunks and judges what the network makes of them."""

    def __call__(self, net: nn.Module, step: int) -> StepLoss:
        """Run the network on the chunks of a step, which depend on its number alone."""


class SyntheticLoss:
    """The loss on the recipe's own signals.

    Args:
        recipe: of the training.
        batches: of its signals.
    """

    def __init__(self, recipe: Recipe, batches: SignalBatches) -> None:
        self._recipe, self._batches = recipe, batches

    def __call__(self, net: nn.Module, step: int) -> StepLoss:
        """See `Loss`."""
        batch = self._batches.batch(step, self._recipe.fit.batch_size)
        logits = net(*net_inputs(batch, self._recipe))
        by_class = class_logits(logits, self._batches.hypotheses)
        log_probabilities = torch.log_softmax(by_class, dim=1)
        smoothing = self._recipe.fit.label_smoothing
        targets = torch.from_numpy(batch.targets) * (1 - smoothing) + smoothing / by_class.shape[1]
        entropy = -(targets * log_probabilities).sum(dim=1).mean()
        # Then the hypothesis, given the class: both parts are proper scores, together one of the hypotheses. The
        # classes are what single chunks are judged by, the hypotheses what is fused.
        labels = torch.from_numpy(batch.labels)
        index = torch.from_numpy(batch.hypotheses)[:, None]
        given = by_class.gather(1, labels[:, None]) - logits.gather(1, index)
        minimised = entropy + HYPOTHESIS_WEIGHT * given.mean()
        return StepLoss(minimised, entropy, by_class.argmax(dim=1) == labels)


def net_inputs(batch: SignalBatch, recipe: Recipe) -> tuple[torch.Tensor, ...]:
    """Return what the recipe's network takes of a batch."""
    iq = torch.from_numpy(batch.iq)
    return (iq, torch.from_numpy(batch.level)) if recipe.net.level_input else (iq,)


def class_logits(logits: torch.Tensor, hypotheses: Sequence[Hypothesis]) -> torch.Tensor:
    """Add up the probabilities of each class's hypotheses: float32 [N, hypotheses] -> [N, classes].

    Args:
        logits: of the hypotheses.
        hypotheses: what the columns stand for, grouped by class.
    """
    sizes = [
        len(list(group)) for _, group in itertools.groupby(hypothesis.label for hypothesis in hypotheses)
    ]
    parts = torch.split(logits, sizes, dim=1)
    return torch.cat([torch.logsumexp(part, dim=1, keepdim=True) for part in parts], dim=1)


# --- the loop ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingStage:
    """A part of a training: one network at one precision.

    Attributes:
        bits: of a weight; 32 for floating point.
        steps: batches.
        learning_rate: Adam's, at its highest; it rises over the first 2 % of the steps and falls along a cosine.
        before: steps of the stages before it.
        after: steps of those that follow.
        first: a part before the constellations outside the set are learnt (see `FitSettings`).
    """

    bits: int
    steps: int
    learning_rate: float
    before: int = 0
    after: int = 0
    first: bool = False

    @property
    def key(self) -> int:
        """What its network is kept by: the bits of a weight, 0 for the first part."""
        return 0 if self.first else self.bits

    @property
    def phase(self) -> str:
        """The precision, as people see it."""
        return "float32" if self.bits == 32 else f"int{self.bits}"


class Trainer:
    """Trains networks with Adam, step by step, one stage after the other, until one is over or something stops it.

    Batch and learning rate depend on the step's number alone and `state` holds the optimiser, so that a training that
    was stopped and goes on from its state, on the same machine, ends in the same weights.

    Args:
        loss: what to minimise.
        control: who sees it, and what stops it.
    """

    net: nn.Module
    """At work."""
    done: int
    """Steps of the stage that are done."""

    def __init__(self, loss: Loss, control: RunControl) -> None:
        self._loss, self._control = loss, control
        self._means = _RunningMeans()

    def begin(
        self, net: nn.Module, stage: TrainingStage, prepare: Callable[[int], None] = lambda done: None
    ) -> None:
        """Begin a stage.

        Args:
            net: the network; it is changed.
            stage: for how long, and how fast.
            prepare: called before each step with the number of the stage's steps done.
        """
        self.net, self.done = net, 0
        self._stage, self._prepare = stage, prepare
        self._optimiser = torch.optim.Adam(net.parameters())

    def state(self) -> dict[str, Any]:
        """Return all that `resume` needs."""
        return {
            "step": self.done,
            "net": self.net.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.net.load_state_dict(state["net"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.done = state["step"]

    def run(self, save: Callable[[], None]) -> bool:
        """Train until the stage is over; leave the network in evaluation mode.

        Args:
            save: called to keep the state: from time to time, and when something stops the training.

        Returns:
            whether the stage is over.

        Raises:
            AmrqError: the loss is no longer finite.
        """
        stage, control = self._stage, self._control
        self.net.train()
        while self.done < stage.steps:
            over = control.stop_at is not None and stage.before + self.done >= control.stop_at
            if over or control.stopped():
                save()
                self.net.eval()
                return False
            self._step()
            if self.done % control.save_every == 0 and self.done < stage.steps:
                save()
        self.net.eval()
        return True

    def _step(self) -> None:
        stage, optimiser = self._stage, self._optimiser
        self._prepare(self.done)
        for group in optimiser.param_groups:
            group["lr"] = stage.learning_rate * _learning_rate_share(self.done, stage.steps)
        # The stages follow each other in the stream of batches too: none sees a batch again.
        found = self._loss(self.net, stage.before + self.done)
        optimiser.zero_grad()
        found.minimised.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), _LARGEST_GRADIENT)
        optimiser.step()
        self.done += 1
        if self.done % _REPORT_EVERY == 0 or self.done == stage.steps:
            self._report(found)

    def _report(self, found: StepLoss) -> None:
        stage, means = self._stage, self._means
        at, of = stage.before + self.done, stage.before + stage.steps + stage.after
        if not torch.isfinite(found.minimised):
            raise AmrqError(
                f"the loss is no longer finite at step {at}: lower the learning rate, with --learning-rate or in the "
                "recipe."
            )
        means.add(found.entropy.item(), found.right.float().mean().item())
        self._control.progress(Progress(at, of, stage.phase, means.loss, means.accuracy))


class _RunningMeans:
    """Means of loss and accuracy over the last 1,000 steps or so, from every 20th of them; unbiased from the start."""

    def __init__(self) -> None:
        self.loss = self.accuracy = self._weight = 0.0

    def add(self, loss: float, accuracy: float) -> None:
        self._weight = 0.98 * self._weight + 0.02
        self.loss += (loss - self.loss) * 0.02 / self._weight
        self.accuracy += (accuracy - self.accuracy) * 0.02 / self._weight


def _learning_rate_share(step: int, steps: int) -> float:
    """Return the share of the highest learning rate: a short rise, then a cosine (Loshchilov and Hutter 2017)."""
    warm = max(1, steps // 50)
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)))


# --- a training by a recipe -------------------------------------------------------------------------------------------


def fit(
    recipe: Recipe,
    batches: SignalBatches,
    control: RunControl | None = None,
    first: SignalBatches | None = None,
) -> Mapping[int, nn.Module]:
    """Train the recipe's network: first in floating point, then from there for each number of bits.

    Batch and learning rate depend on recipe and step alone and the checkpoint holds the optimiser, so that an
    interrupted training that is resumed on the same machine ends in the same weights.

    Args:
        recipe: what to make.
        batches: of the recipe's signals.
        control: how it runs.
        first: signals of the first part of the training, for a recipe that has `foreign_steps`.

    Returns:
        networks by bits of a weight, in evaluation mode, their outputs those of `SignalBatches.hypotheses`: those of
        the recipe, and the one in floating point in any case. Those not reached before a stop are missing.

    Raises:
        AmrqError: the checkpoint is of another recipe or unreadable, or the loss is no longer finite.
    """
    control = control or RunControl()
    first = first or batches
    torch.manual_seed(recipe.seed)
    narrow = make_net(len(first.hypotheses), recipe.net)
    blank = narrow if first is batches else make_net(len(batches.hypotheses), recipe.net)
    identity = _identity(recipe)
    resumed = resumed_state(control, identity)
    finished: dict[int, nn.Module] = {}
    if resumed is not None:
        finished = {
            key: _with_weights(blank if key else narrow, key or 32, weights)
            for key, weights in resumed["finished"].items()
        }

    def save(stage: int, **other: Any) -> None:
        weights = {bits: net.state_dict() for bits, net in finished.items()}
        keep_state(control, identity, {"stage": stage, "finished": weights, **trainer.state(), **other})

    for number, stage in enumerate(_stages(recipe)):
        if stage.key in finished:
            continue
        trainer = Trainer(SyntheticLoss(recipe, first if stage.first else batches), control)
        state = resumed if resumed and resumed["stage"] == number and resumed["step"] > 0 else None
        if state is not None:
            net = _with_weights(narrow if stage.first else blank, stage.bits, state["net"])
        elif stage.bits < 32:
            net = copy.deepcopy(finished[32])
            quantise(net, stage.bits, _calibration(recipe, batches))
        elif 0 in finished:
            net = copy.deepcopy(blank)
            widen(finished[0], first.hypotheses, net, batches.hypotheses)
        else:
            net = copy.deepcopy(narrow)
        trainer.begin(net, stage, _pruning(net, recipe, stage))
        if state is not None:
            trainer.resume(state)
        if not trainer.run(functools.partial(save, number)):
            break
        if stage.bits == 32 and _pruned_shares(recipe, stage)[1]:
            prune(net, _pruned_shares(recipe, stage)[1])
        finished[stage.key] = net
        save(number + 1, step=0)
    return {bits: net for bits, net in finished.items() if bits}


def widen(
    old: nn.Module, old_hypotheses: Sequence[Hypothesis], new: nn.Module, hypotheses: Sequence[Hypothesis]
) -> None:
    """Give a network the weights of one with fewer outputs.

    An output that the old one has not begins as that of the modulation that its signals are most easily taken for, at
    the same Es/N0, and much less probable.

    Args:
        old: the network with fewer outputs.
        old_hypotheses: what these stand for.
        new: the network with more; it is changed.
        hypotheses: what its outputs stand for.
    """
    columns, kinds = [], iter(FOREIGN_KINDS.values())
    old_keys = [(h.label, h.es_n0_db) for h in old_hypotheses]
    others = iter(n for n, h in enumerate(old_hypotheses) if h.label == UNKNOWN)
    nearest, last = "", math.inf
    for h in hypotheses:
        if h.label != UNKNOWN:
            columns.append((old_keys.index((h.label, h.es_n0_db)), False))
        elif h.es_n0_db is None:
            columns.append((next(others), False))
        else:
            if h.es_n0_db <= last:
                nearest = next(kinds).nearest
            last = h.es_n0_db
            nearest = nearest if (nearest, last) in old_keys else old_hypotheses[0].label
            columns.append((old_keys.index((nearest, last)), True))
    rows, added = torch.tensor([column for column, _ in columns]), torch.tensor([new for _, new in columns])
    pairs = list(
        zip(*([m for m in net.modules() if isinstance(m, QuantisedLayer)] for net in (old, new)), strict=True)
    )
    with torch.no_grad():
        for before, after in pairs[:-1]:
            after.load_state_dict(before.state_dict())
            after.masked = before.masked
        before, after = pairs[-1]
        after.weight.copy_(before.weight[rows])
        after.bias.copy_(before.bias[rows] - _MUCH_LESS * added)
        after.kept.copy_(before.kept[rows])
        after.kept[added] = 1
        after.masked = before.masked


def _identity(recipe: Recipe) -> str:
    """Return what a checkpoint must share with a recipe: all that the weights depend on."""
    r = recipe
    text = repr((r.seed, r.chunk_length, r.signal, r.teacher, r.net, r.fit, r.pruning, r.quantisation))
    # States from before there was a choice are of the thesis's classes, and stay good.
    text = text if r.class_set == THESIS_9 else text + class_text(r.class_set)
    if not r.signal.foreign_share:
        return text
    foreign = [
        getattr(settings, f.name)
        for settings in (r.signal, r.fit, r.pruning)
        for f in fields(settings)
        if f.name.startswith("foreign_")
    ]
    return text + repr(foreign)


def _stages(recipe: Recipe) -> list[TrainingStage]:
    """Return what a recipe trains, one after the other: in floating point, then for each number of bits."""
    parts = [(32, recipe.fit.steps, recipe.fit.learning_rate)]
    parted = bool(recipe.signal.foreign_share and recipe.fit.foreign_steps)
    if parted:
        parts.append((32, recipe.fit.foreign_steps, recipe.fit.foreign_learning_rate))
    parts += [
        (bits, *recipe.quantisation.tuning(bits)) for bits in recipe.quantisation.weight_bits if bits < 32
    ]
    before = list(itertools.accumulate((steps for _, steps, _ in parts), initial=0))
    return [
        TrainingStage(
            bits, steps, rate, before[number], before[-1] - before[number + 1], parted and number == 0
        )
        for number, (bits, steps, rate) in enumerate(parts)
    ]


def _calibration(recipe: Recipe, batches: SignalBatches) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield what the scales of the activations are set by."""
    for i in range(_CALIBRATION_BATCHES):
        yield net_inputs(batches.batch(_CALIBRATION_STREAM + i, recipe.fit.batch_size), recipe)


def _pruned_shares(recipe: Recipe, stage: TrainingStage) -> tuple[float, float]:
    """Return which share of a float stage's weights is removed when it begins, and when it ends."""
    settings = recipe.pruning
    parted = bool(recipe.signal.foreign_share and recipe.fit.foreign_steps)
    if not parted or stage.first:
        return 0.0, settings.share
    return settings.share, settings.foreign_share or settings.share


def _pruning(net: nn.Module, recipe: Recipe, stage: TrainingStage) -> Callable[[int], None]:
    """Return what removes more and more weights as a stage goes on (Zhu and Gupta 2017, eq. 1)."""
    settings, steps = recipe.pruning, stage.steps
    low, high = _pruned_shares(recipe, stage)

    def prepare(done: int) -> None:
        if high and stage.bits == 32 and done % _PRUNE_EVERY == 0:
            progress = min(max((done / steps - settings.begin) / (settings.end - settings.begin), 0.0), 1.0)
            prune(net, float(high + (low - high) * (1 - progress) ** 3))

    return prepare


def _with_weights(blank: nn.Module, bits: int, weights: dict[str, torch.Tensor]) -> nn.Module:
    """Return the network with the weights of a checkpoint, rounded to `bits`, in evaluation mode."""
    net = copy.deepcopy(blank)
    net.load_state_dict(weights)
    if bits < 32:
        quantise(net, bits, None)
    return net.eval()
