# SPDX-License-Identifier: GPL-3.0-or-later
"""What the front end of a family network makes of examples, made once by several processes and kept on disk.

An example takes some 2.5 ms to make and 1.3 ms to look at; the body of the network then learns it in .6 ms. So examples
are made once, each already cut, mixed or with noise, and their features are kept, in files of some thousand (shards).
"""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.files import parsing, whole_file, write_whole
from amrq.text import printable
from amrq.training.architectures import make_family_net
from amrq.training.family_examples import Examples, GeneratedExamples, learnable
from amrq.training.family_recipe import FamilyRecipe

__all__ = ["FeatureBatch", "FeatureCache", "StoredFeatures"]

_TABLE = "families.npz"


class FeatureBatch(NamedTuple):
    """Features of N examples, float32 [N, ...] each, as the network's body takes them; int64 [N], their outputs."""

    seen: tuple[torch.Tensor, ...]
    labels: torch.Tensor


class FeatureCache:
    """A folder of shards: `shard-0000.0.npy` and so on for each feature, and `shard-0000.families.npz`.

    Every shard follows from the recipe's seed and its own number, so that a folder that is not complete can be
    completed at any time, by any number of processes.

    Args:
        folder: made if it is not there.
        recipe: whose examples these are. It may have others of fit, quantisation, leave_out and weights.
        examples: source of the examples, in place of the generators of the recipe.

    Raises:
        AmrqError: the folder holds the examples of another recipe, or cannot be written.
    """

    def __init__(
        self, folder: str | os.PathLike[str], recipe: FamilyRecipe, examples: Examples | None = None
    ) -> None:
        self.folder, self._recipe = Path(folder), recipe
        self._examples = examples or GeneratedExamples(recipe.examples, recipe.length)
        settings = recipe.examples
        self._shards = -(-settings.count // settings.shard)
        with parsing(self.folder):
            identity = json.loads(json.dumps({**recipe.as_dict()["examples"], **self._told()}))
            self.folder.mkdir(parents=True, exist_ok=True)
            there = self.folder / "examples.json"
            if not there.is_file():
                write_whole(there, json.dumps(identity))
            elif json.loads(there.read_text(encoding="utf-8")) != identity:
                raise AmrqError(
                    f"{printable(self.folder)} holds the examples of another recipe: remove it, or give another folder."
                )

    def _told(self) -> dict[str, object]:
        generators = [name for kinds in self._recipe.generators.values() for name in kinds]
        return {"seed": self._recipe.seed, "length": self._recipe.length, "families": generators, "count": 0}

    def _table(self, number: int) -> Path:
        return self.folder / f"shard-{number:04d}.{_TABLE}"

    @property
    def missing(self) -> list[int]:
        """Numbers of the shards that are still to be made."""
        return [number for number in range(self._shards) if not self._table(number).is_file()]

    def make(
        self,
        workers: int = 1,
        progress: Callable[[int, int], None] = lambda done, of: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Make the missing shards.

        Args:
            workers: processes; 1: this one alone.
            progress: called with (shards there, shards in all).
            stopped: asked between shards; where it says so, those under way are finished and no more are begun.

        Returns:
            whether all are there.
        """
        missing = self.missing
        done = self._shards - len(missing)
        progress(done, self._shards)
        if workers == 1 or len(missing) < 2:
            for count, number in enumerate(missing, done + 1):
                if stopped():
                    return False
                make_shard(self._table(number), self._recipe, self._examples, number)
                progress(count, self._shards)
            return True
        with ProcessPoolExecutor(min(workers, len(missing)), mp_context=get_context("spawn")) as pool:
            waiting = [
                pool.submit(make_shard, self._table(number), self._recipe, self._examples, number)
                for number in missing
            ]
            for future in as_completed(waiting):
                if future.cancelled():
                    continue
                future.result()
                done += 1
                progress(done, self._shards)
                if stopped():
                    for other in waiting:
                        other.cancel()
        return not self.missing

    def open(self) -> "StoredFeatures":
        """Return the features that are there.

        Raises:
            AmrqError: there are none, or a file is broken.
        """
        tables = [self._table(number) for number in range(self._shards)]
        tables = [table for table in tables if table.is_file()]
        if not tables:
            raise AmrqError(f"{printable(self.folder)} holds no examples yet.")
        return StoredFeatures(tables, self._recipe)


def feature_file(table: Path, part: int) -> Path:
    """Return the file of one of the features of a shard, beside its table."""
    return table.with_name(table.name.replace(_TABLE, f"{part}.npy"))


def make_shard(table: Path, recipe: FamilyRecipe, examples: Examples, number: int) -> None:
    """Make one shard; its table last, by which it counts as made.

    Args:
        table: the file of its table.
        recipe: the recipe.
        examples: their source.
        number: of the shard.
    """
    torch.set_num_threads(1)
    rng = np.random.default_rng([recipe.seed, number])
    front = make_family_net(2, recipe.length, recipe.net).front
    generators = [(name, kind) for name, kinds in recipe.generators.items() for kind in kinds]
    count = recipe.examples.shard
    families = np.arange(count) % len(generators)
    parts: list[list[NDArray[np.int8] | NDArray[np.float16]]] = [[] for _ in front.scales]
    unknown = []
    for start in range(0, count, len(generators)):
        group = [generators[family] for family in families[start : start + len(generators)]]
        pieces = [examples(rng, kind) for _, kind in group]
        unmirrored = np.array([name in recipe.examples.unmirrored for name, _ in group])
        made = learnable(rng, pieces, recipe.examples, unmirrored)
        with torch.no_grad():
            seen = front(torch.from_numpy(made.iq))
        for kept, scale, rows in zip(parts, front.scales, seen, strict=True):
            kept.append(to_store(rows, scale))
        unknown.append(made.unknown)
    for part, rows in enumerate(parts):
        with whole_file(feature_file(table, part)) as file:
            np.save(file, np.concatenate(rows))
    with whole_file(table) as file:
        np.savez(file, families=families.astype(np.uint8), unknown=np.concatenate(unknown))


def to_store(rows: torch.Tensor, scale: float) -> NDArray[np.int8] | NDArray[np.float16]:
    """Return features as they are kept: bytes of so many steps for 1, or half floats without a scale.

    >>> to_store(torch.tensor([0.5, 9.0]), 20.0).tolist()
    [10, 127]
    """
    if not scale:
        return rows.numpy().astype(np.float16)
    return np.clip(np.rint(rows.numpy() * scale), -127, 127).astype(np.int8)


class StoredFeatures:
    """Features on disk, read where they are needed; batches of them follow from seed and number alone.

    Args:
        tables: of the shards.
        recipe: of the model: which outputs are learnt, and how often.

    Attributes:
        outputs: what the labels stand for; the last one is `unknown`.

    Raises:
        AmrqError: a file is broken, or no example of an output is there.
    """

    def __init__(self, tables: Sequence[Path], recipe: FamilyRecipe) -> None:
        self.outputs, self._recipe = recipe.outputs, recipe
        self._scales = make_family_net(2, recipe.length, recipe.net).front.scales
        with parsing(tables[0].parent):
            self._parts = [
                [np.load(feature_file(table, part), mmap_mode="r") for table in tables]
                for part in range(len(self._scales))
            ]
            told = [np.load(table) for table in tables]
            families = np.concatenate([one["families"] for one in told])
            unknown = np.concatenate([one["unknown"] for one in told])
            self._starts = np.cumsum([0, *(len(one["families"]) for one in told)])
        output_of = [name for name, kinds in recipe.generators.items() for _ in kinds]
        labels = np.array([recipe.outputs.index(n) if n in recipe.learnt else -1 for n in output_of])[
            families
        ]
        last = len(recipe.outputs) - 1
        labels = np.where(unknown & (labels >= 0), last, labels)
        self._places = [np.flatnonzero(labels == output) for output in range(last + 1)]
        empty = [name for name, there in zip(recipe.outputs, self._places, strict=True) if not len(there)]
        if empty and empty != [recipe.outputs[-1]]:
            raise AmrqError(f"there is no example of {', '.join(empty)}: make more examples.")
        weights = np.array([recipe.weights.get(name, 1.0) for name in recipe.outputs])
        weights[[not len(there) for there in self._places]] = 0
        self._shares = weights / weights.sum()

    def batch(self, number: int, size: int) -> FeatureBatch:
        """Return a batch.

        Args:
            number: of the batch.
            size: examples.
        """
        rng = np.random.default_rng([self._recipe.seed, 3, number])
        labels = rng.choice(len(self._shares), size=size, p=self._shares)
        places = np.array(
            [self._places[label][int(rng.integers(len(self._places[label])))] for label in labels]
        )
        order = np.argsort(places)
        places, labels = places[order], labels[order]
        shards = np.searchsorted(self._starts, places, "right") - 1
        seen = []
        for scale, files in zip(self._scales, self._parts, strict=True):
            rows = [
                files[shard][place - self._starts[shard]] for shard, place in zip(shards, places, strict=True)
            ]
            found = torch.from_numpy(np.array(rows)).float()
            seen.append(found / scale if scale else found)
        return FeatureBatch(tuple(seen), torch.from_numpy(labels))
