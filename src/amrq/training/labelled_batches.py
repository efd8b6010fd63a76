# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled chunks of recordings for every step of a training, and the loss on them and on synthetic ones."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from amrq.chunks import level_features, normalise
from amrq.labels import HeldOut, LabelledChunks
from amrq.model import Hypothesis
from amrq.signals import rotate
from amrq.training.loop import HYPOTHESIS_WEIGHT, StepLoss, class_logits
from amrq.training.recipe import Recipe
from amrq.training.signal_batches import SignalBatches

__all__ = ["LabelledBatch", "LabelledBatches", "LabelledLoss"]

_STREAM = 2_000_000_000
"""Index of the first synthetic batch beside labelled chunks: out of reach of the training before."""
_AROUND = 16
"""Chunks to either side over which the level of a stream is averaged."""
_FEW = 4.0
"""Chunks of a hypothesis at which they get half of their share: fewer hardly show what is typical."""
_LEAST = 16
"""Rows a batch."""


class LabelledBatch(NamedTuple):
    """Labelled chunks.

    Attributes:
        iq: float32 [N, 2, L], each chunk of unit RMS.
        level: float32 [N, 3], what `level_features` says of the chunk.
        labels: int64 [N], index of the class.
        hypotheses: int64 [N], index of the hypothesis where the chunk's Es/N0 is known; -1 where it is not.
        weight: how many synthetic chunks each counts for.
    """

    iq: NDArray[np.float32]
    level: NDArray[np.float32]
    labels: NDArray[np.int64]
    hypotheses: NDArray[np.int64]
    weight: float


class LabelledBatches:
    """Chunks to learn from beside synthetic ones, such that what is learnt are probabilities at the same priors.

    A modulation has a hypothesis for each level of Es/N0. Which of them a labelled chunk belongs to, its Es/N0 says
    where that is known; else the model that is to be trained on estimates it. Where a hypothesis has labelled chunks,
    they get up to `share` of its weight, in place of as much of the synthetic ones, whose targets are to be multiplied
    by `synthetic_weights`. So however many chunks of which modulation somebody has recorded, none becomes more probable
    than another; and recordings of strong signals change nothing deep in noise. Chunks of other signals are one more
    kind of these, beside those of the recipe: they get `share` of the weight of their class and take none away.

    Each chunk comes turned by a random angle, and half of the time mirrored where its constellation is its own mirror
    image.

    Args:
        recordings: where the chunks are from.
        parts: which of them to learn from.
        judge: the hypotheses' logits of chunks, float32 [N, 2, L] -> [N, hypotheses].
        hypotheses: the network's outputs, grouped by class, their priors those of the synthetic chunks.
        recipe: of the model.
        share: above 0, below 1.
        batch_size: synthetic chunks a batch.
        seed: of all randomness. Batch `i` depends on the seed and `i` alone.
    """

    def __init__(
        self,
        recordings: Sequence[LabelledChunks],
        parts: Sequence[HeldOut],
        judge: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        hypotheses: Sequence[Hypothesis],
        recipe: Recipe,
        share: float,
        batch_size: int,
        seed: int,
    ) -> None:
        classes = list(dict.fromkeys(h.label for h in hypotheses))
        self._seed = seed
        self._level_known_share = recipe.signal.level_known_share
        self._chunks = np.concatenate([r.chunks[p.learnt] for r, p in zip(recordings, parts, strict=True)])
        es_n0_db = np.concatenate([_es_n0_db(r)[p.learnt] for r, p in zip(recordings, parts, strict=True)])
        self._labels = np.array(
            [
                classes.index(r.names[label])
                for r, p in zip(recordings, parts, strict=True)
                for label in r.labels[p.learnt]
            ],
            dtype=np.int64,
        )
        self._stream_power = np.concatenate(
            [_around(r.chunks)[p.learnt] for r, p in zip(recordings, parts, strict=True)]
        )
        known = recipe.class_set
        self._one_sided = np.array([name in known and not known[name].mirrored for name in classes])
        prior = np.array([h.prior for h in hypotheses])
        of_class = np.array([classes.index(h.label) for h in hypotheses])
        # A labelled `unknown` is any kind of other signal: the levels of some of these are not for it.
        levels = np.array([h.es_n0_db is not None and h.label in known for h in hypotheses])
        own = self._labels[:, None] == of_class[None, :]
        middles = np.array([np.inf if h.es_n0_db is None else h.es_n0_db for h in hypotheses])
        known = np.isfinite(es_n0_db) & (own & levels).any(axis=1)
        away = np.abs(es_n0_db[known, None] - middles)
        self._hypotheses = np.full(len(self._labels), -1, dtype=np.int64)
        self._hypotheses[known] = np.where(own[known], away, np.inf).argmin(axis=1)
        belongs = np.zeros(own.shape)
        belongs[known, self._hypotheses[known]] = 1.0
        if not known.all():
            logits = judge(normalise(self._chunks[~known]).iq).astype(np.float64)
            logits[~own[~known]] = -np.inf
            guessed = np.exp(logits - logits.max(axis=1, keepdims=True)) * levels
            belongs[~known] = guessed / np.maximum(guessed.sum(axis=1, keepdims=True), 1e-30)
        found = belongs.sum(axis=0)
        taken = share * found / (found + _FEW)
        weights = belongs @ np.divide(taken * prior, found, out=np.zeros_like(found), where=found > 0)
        for number in np.unique(of_class[~levels]):
            mine = self._labels == number
            count = int(mine.sum())
            if count:
                weights[mine] = share * prior[of_class == number].sum() / (count + _FEW)
        self._cumulated = np.cumsum(weights)
        wanted = share * prior[np.isin(of_class, self._labels)].sum() * batch_size
        self._size = max(_LEAST, round(wanted))
        self._weight = float(self._cumulated[-1] * batch_size / self._size)
        self.synthetic_weights = (1 - taken).astype(np.float32)
        """float32 [hypotheses], what the targets of synthetic chunks are to be multiplied by."""
        of_known_level = belongs[known].sum(axis=0)
        stood_for = np.divide(taken * of_known_level, found, out=np.zeros_like(found), where=found > 0)
        self.synthetic_level_weights = (1 - stood_for).astype(np.float32)
        """float32 [hypotheses], the same for the levels, about which chunks of unknown Es/N0 say nothing."""

    def batch(self, index: int) -> LabelledBatch:
        """Return batch number `index`."""
        rng = np.random.default_rng([self._seed, index])
        drawn = rng.random(self._size) * self._cumulated[-1]
        rows = np.minimum(np.searchsorted(self._cumulated, drawn, side="right"), len(self._labels) - 1)
        chunks = rotate(self._chunks[rows], rng.uniform(0, 2 * np.pi, len(rows)))
        mirrored = (rng.random(len(rows)) < 0.5) & ~self._one_sided[self._labels[rows]]
        chunks[mirrored] = chunks[mirrored].conj()
        normalised = normalise(chunks)
        stream = self._stream_power[rows].copy()
        stream[rng.random(len(rows)) >= self._level_known_share] = np.nan
        level = level_features(normalised.power, stream)
        return LabelledBatch(normalised.iq, level, self._labels[rows], self._hypotheses[rows], self._weight)


def _es_n0_db(recording: LabelledChunks) -> NDArray[np.float32]:
    """Return the Es/N0 of a recording's chunks, float32 [N], not a number where it is not known."""
    if recording.es_n0_db is None:
        return np.full(len(recording.labels), np.nan, dtype=np.float32)
    return recording.es_n0_db


def _around(chunks: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the mean power of a recording's chunks around each of them, float32 [N]."""
    power = (np.abs(chunks) ** 2).mean(axis=1)
    reach = min(_AROUND, len(power) - 1)
    window = np.ones(2 * reach + 1)
    counted = np.convolve(np.ones(len(power)), window)[reach : reach + len(power)]
    return np.asarray(np.convolve(power, window)[reach : reach + len(power)] / counted, dtype=np.float32)


class LabelledLoss:
    """The loss on the recipe's own signals and on labelled chunks.

    The classes are learnt from both. The hypotheses, classes at noise levels, are learnt from the synthetic chunks, and
    from labelled ones whose Es/N0 is known: that of a recorded chunk nobody knows well enough to call another level
    wrong.

    Args:
        recipe: that made the network.
        batches: of the recipe's signals.
        labelled: the labelled chunks.
    """

    def __init__(self, recipe: Recipe, batches: SignalBatches, labelled: LabelledBatches) -> None:
        self._recipe, self._batches, self._labelled = recipe, batches, labelled
        self._weights = _weights_by_level(batches, labelled.synthetic_weights)
        self._level_weights = torch.from_numpy(labelled.synthetic_level_weights)

    def __call__(self, net: nn.Module, step: int) -> StepLoss:
        """See `Loss`."""
        batch = self._batches.batch(_STREAM + step, self._recipe.fit.batch_size)
        more = self._labelled.batch(step)
        inputs = [torch.cat([torch.from_numpy(batch.iq), torch.from_numpy(more.iq)])]
        if self._recipe.net.level_input:
            inputs.append(torch.cat([torch.from_numpy(batch.level), torch.from_numpy(more.level)]))
        logits = net(*inputs)
        by_class = class_logits(logits, self._batches.hypotheses)
        labels = torch.cat([torch.from_numpy(batch.labels), torch.from_numpy(more.labels)])
        # A target is a probability under the priors of the synthetic chunks: where labelled ones stand for a part of a
        # class at a level, that much less of a synthetic chunk at that level is of the class.
        synthetic = torch.from_numpy(batch.targets) * self._weights[torch.from_numpy(batch.hypotheses)]
        labelled = nn.functional.one_hot(torch.from_numpy(more.labels), by_class.shape[1])
        targets = torch.cat([synthetic, labelled * more.weight])
        smoothing = self._recipe.fit.label_smoothing
        targets = targets * (1 - smoothing) + targets.sum(dim=1, keepdim=True) * smoothing / by_class.shape[1]
        size = len(batch.labels)
        entropy = -(targets * torch.log_softmax(by_class, dim=1)).sum() / size
        known = torch.from_numpy(more.hypotheses)
        index = torch.cat([torch.from_numpy(batch.hypotheses), known.clamp(min=0)])[:, None]
        given = (by_class.gather(1, labels[:, None]) - logits.gather(1, index))[:, 0]
        counted = torch.cat([self._level_weights[index[:size, 0]], (known >= 0) * more.weight])
        minimised = entropy + HYPOTHESIS_WEIGHT * (given * counted).sum() / size
        return StepLoss(minimised, entropy, by_class.argmax(dim=1) == labels)


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
