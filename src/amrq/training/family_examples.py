# SPDX-License-Identifier: GPL-3.0-or-later
"""Examples of families: made once by several processes and kept on disk, then changed each time one is used.

An example takes some 2.5 ms to make, a step of the training has 64 of them. So they are made once, in files of some
thousand (shards) of 8-bit I/Q, and every use turns, mirrors, cuts or mixes them, or adds noise.

This module needs no PyTorch.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.errors import AmrqError
from amrq.files import parsing, whole_file, write_whole
from amrq.signals import family_example
from amrq.text import printable
from amrq.training.family_recipe import FamilyExampleSettings, FamilyRecipe

__all__ = ["ExampleCache", "Examples", "FamilyBatch", "FamilyBatches", "FamilyPiece", "generated_example"]

_Iq = NDArray[np.complex64]

_SCALE = 24.0
"""Steps of a byte for unit RMS: up to 5.3 times that, and a twenty-fourth of it the least."""
_NO_NOISE = 30.0
"""dB: as noisy counts a signal of which that is not known."""
_MIXED_DB = 6.0
_MIXED_PLACE = 0.12
_BAND = 0.42
"""Cycles a sample beyond which there is nothing in a signal that was put together of others."""
_SEGMENTS = (16, 512)
"""Samples of the pieces that a signal out of order is cut into."""


class FamilyPiece(NamedTuple):
    """A signal: complex64 [length] of unit RMS, and its in-band SNR in dB (infinite where it is not known)."""

    iq: _Iq
    snr_db: float = np.inf


Examples = Callable[[np.random.Generator, str], FamilyPiece]
"""Where examples come from: (generator, family) -> a signal of it. `generated_example` makes one of these."""


def generated_example(settings: FamilyExampleSettings, length: int) -> Examples:
    """Return what makes examples with `amrq.signals.family_example`.

    Args:
        settings: of the recipe.
        length: samples of an example.

    >>> make = generated_example(FamilyExampleSettings(), 512)
    >>> piece = make(np.random.default_rng(1), "ofdm")
    >>> len(piece.iq), 0 <= piece.snr_db <= 40
    (512, True)
    """

    def make(rng: np.random.Generator, family: str) -> FamilyPiece:
        often = rng.random() < settings.often_share
        made = family_example(rng, family, length, settings.often_snr_db if often else settings.snr_db)
        return FamilyPiece(made.iq, made.reception.snr_db)

    return make


# --- the cache --------------------------------------------------------------------------------------------------------


class ExampleCache:
    """A folder of shards, `shard-0000.npy` (int8 [n, length, 2], unit RMS is 24) and `shard-0000.npz` beside each.

    Every shard follows from the recipe's seed and its own number, so that a folder that is not complete can be
    completed at any time, by any number of processes.

    Args:
        folder: made if it is not there.
        recipe: whose examples these are.

    Raises:
        AmrqError: the folder holds the examples of another recipe, or cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str], recipe: FamilyRecipe) -> None:
        self.folder, self._recipe = Path(folder), recipe
        settings = recipe.examples
        self._generators = [name for kinds in recipe.generators.values() for name in kinds]
        self._shards = -(-settings.count // settings.shard)
        identity = {
            "seed": recipe.seed,
            "length": recipe.length,
            "families": self._generators,
            "shard": settings.shard,
            "snr_db": [*settings.snr_db, *settings.often_snr_db, settings.often_share],
        }
        with parsing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            there = self.folder / "examples.json"
            if not there.is_file():
                write_whole(there, json.dumps(identity))
            elif json.loads(there.read_text(encoding="utf-8")) != identity:
                raise AmrqError(
                    f"{printable(self.folder)} holds the examples of another recipe: remove it, or give another folder."
                )

    def _file(self, number: int) -> Path:
        return self.folder / f"shard-{number:04d}.npy"

    @property
    def missing(self) -> list[int]:
        """Numbers of the shards that are still to be made."""
        return [n for n in range(self._shards) if not self._file(n).with_suffix(".npz").is_file()]

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
        missing, settings = self.missing, self._recipe.examples
        progress(self._shards - len(missing), self._shards)
        jobs = [
            (self._file(n), self._generators, settings, self._recipe.length, [self._recipe.seed, n])
            for n in missing
        ]
        if workers == 1 or len(jobs) < 2:
            for number, job in enumerate(jobs, self._shards - len(missing) + 1):
                if stopped():
                    return False
                _make_shard(*job)
                progress(number, self._shards)
            return True
        done = self._shards - len(missing)
        with ProcessPoolExecutor(min(workers, len(jobs))) as pool:
            waiting = [pool.submit(_make_shard, *job) for job in jobs]
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

    def open(self) -> "StoredExamples":
        """Return the examples that are there.

        Raises:
            AmrqError: there is none, or a file is broken.
        """
        numbers = [n for n in range(self._shards) if n not in set(self.missing)]
        if not numbers:
            raise AmrqError(f"{printable(self.folder)} holds no examples yet.")
        with parsing(self.folder):
            shards = [np.load(self._file(n), mmap_mode="r") for n in numbers]
            told = [np.load(self._file(n).with_suffix(".npz")) for n in numbers]
            families = np.concatenate([one["families"] for one in told])
            snr_db = np.concatenate([one["snr_db"] for one in told])
        return StoredExamples(shards, [self._generators[n] for n in families], snr_db)


def _make_shard(
    path: Path,
    families: Sequence[str],
    settings: FamilyExampleSettings,
    length: int,
    seed: Sequence[int],
) -> None:
    """Make one shard; its table last, by which it counts as made."""
    rng, make = np.random.default_rng(seed), generated_example(settings, length)
    iq = np.empty((settings.shard, length, 2), np.int8)
    numbers = np.arange(settings.shard) % len(families)
    snr_db = np.empty(settings.shard, np.float32)
    for place, number in enumerate(numbers):
        piece = make(rng, families[int(number)])
        iq[place] = to_bytes(piece.iq)
        snr_db[place] = piece.snr_db
    with whole_file(path) as file:
        np.save(file, iq)
    with whole_file(path.with_suffix(".npz")) as file:
        np.savez(file, families=numbers.astype(np.uint8), snr_db=snr_db)


def to_bytes(iq: _Iq) -> NDArray[np.int8]:
    """Return complex64 [..., n] of unit RMS as int8 [..., n, 2].

    >>> to_bytes(np.array([1 - 1j, 9.0], np.complex64)).tolist()
    [[24, -24], [127, 0]]
    """
    parts = np.ascontiguousarray(iq, dtype=np.complex64).view(np.float32).reshape(*iq.shape, 2)
    return np.clip(np.rint(parts * _SCALE), -127, 127).astype(np.int8)


class StoredExamples:
    """Examples on disk, read where they are needed.

    Args:
        shards: int8 [n, length, 2] each.
        families: of every example, shard after shard.
        snr_db: likewise.
    """

    def __init__(
        self, shards: Sequence[NDArray[np.int8]], families: Sequence[str], snr_db: NDArray[np.float32]
    ) -> None:
        self._shards, self.snr_db = shards, snr_db
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])
        names = np.asarray(families)
        self.places = {name: np.flatnonzero(names == name) for name in dict.fromkeys(families)}

    def iq(self, places: NDArray[np.int64]) -> _Iq:
        """Return examples by their numbers: complex64 [n, length]."""
        rows = []
        for place in places:
            shard = int(np.searchsorted(self._starts, place, "right")) - 1
            rows.append(self._shards[shard][place - self._starts[shard]])
        parts = np.array(rows, dtype=np.float32) / np.float32(_SCALE)
        return np.ascontiguousarray(parts).view(np.complex64)[..., 0]


# --- batches ----------------------------------------------------------------------------------------------------------


class FamilyBatch(NamedTuple):
    """Examples to learn: float32 [N, 2, length] of unit RMS outside their padding, and int64 [N], their outputs."""

    iq: NDArray[np.float32]
    labels: NDArray[np.int64]


class FamilyBatches:
    """Batches of examples, each used in a new way; what a batch holds follows from seed and number alone.

    Args:
        recipe: of the model.
        stored: its examples.
        own: recordings of one's own by output: complex64 [n, length] each. Names that are no output of the recipe
            are outputs too, before `unknown`.
        seed: in place of the recipe's, for examples to test with.

    Attributes:
        outputs: what the labels stand for; the last one is `unknown`.
    """

    def __init__(
        self,
        recipe: FamilyRecipe,
        stored: StoredExamples,
        own: Mapping[str, _Iq] | None = None,
        seed: int | None = None,
    ) -> None:
        self._recipe, self._stored, self._own = recipe, stored, dict(own or {})
        added = [name for name in self._own if name not in recipe.outputs]
        self.outputs = (*recipe.outputs[:-1], *added, recipe.outputs[-1])
        self._places = {
            name: np.concatenate([stored.places.get(kind, np.zeros(0, np.int64)) for kind in kinds])
            for name, kinds in recipe.learnt.items()
        }
        empty = [name for name, places in self._places.items() if not len(places)]
        if empty:
            raise AmrqError(f"there is no example of {', '.join(empty)}: complete the cache of examples.")
        self._seed = recipe.seed if seed is None else seed

    def batch(self, number: int, size: int) -> FamilyBatch:
        """Return a batch.

        Args:
            number: of the batch.
            size: examples.
        """
        settings = self._recipe.examples
        rng = np.random.default_rng([self._seed, 3, number])
        iq, snr_db, labels = self._drawn(rng, size)
        inside = np.ones(iq.shape, np.bool_)
        _cut(rng, iq, inside, settings)
        _more_noise(rng, iq, inside, snr_db, settings)
        others = rng.permutation(size)[: int(rng.binomial(size, settings.unknown_share))]
        if len(others) > 1:
            iq[others] = scrambled(rng, iq[others])
            labels[others] = len(self.outputs) - 1
            inside[others] = True
        power = (iq.real**2 + iq.imag**2).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
        turn = np.exp(2j * np.pi * rng.random(size)) / np.sqrt(np.maximum(power, 1e-12))
        iq *= turn[:, None].astype(np.complex64)
        unmirrored = [n for n, name in enumerate(self.outputs) if name in settings.unmirrored]
        mirrored = (rng.random(size) < 0.5) & ~np.isin(labels, unmirrored)
        iq[mirrored] = iq[mirrored].conj()
        return FamilyBatch(np.stack([iq.real, iq.imag], axis=1), labels)

    def _drawn(
        self, rng: np.random.Generator, size: int
    ) -> tuple[_Iq, NDArray[np.float32], NDArray[np.int64]]:
        """Draw examples, every output as often; of recordings as many as their share says."""
        names = list(self._places)
        chosen = rng.integers(len(names), size=size)
        places = np.array([rng.choice(self._places[names[n]]) for n in chosen], dtype=np.int64)
        iq, snr_db = self._stored.iq(places), self._stored.snr_db[places].copy()
        labels = np.array([self.outputs.index(name) for name in names], dtype=np.int64)[chosen]
        if self._own:
            mine = list(self._own)
            for place in np.flatnonzero(rng.random(size) < self._recipe.examples.own_share):
                name = mine[int(rng.integers(len(mine)))]
                iq[place] = self._own[name][int(rng.integers(len(self._own[name])))]
                labels[place], snr_db[place] = self.outputs.index(name), np.inf
        return iq, snr_db, labels


def _cut(
    rng: np.random.Generator, iq: _Iq, inside: NDArray[np.bool_], settings: FamilyExampleSettings
) -> None:
    """Leave a part of some signals, in the middle or anywhere, and zeros around it."""
    length = iq.shape[1]
    for row in np.flatnonzero(rng.random(len(iq)) < settings.cut_share):
        part = int(np.exp(rng.uniform(np.log(settings.shortest), np.log(length))))
        start = int(rng.integers(length - part + 1))
        to = (length - part) // 2 if rng.random() < 0.7 else int(rng.integers(length - part + 1))
        kept = iq[row, start : start + part].copy()
        iq[row], inside[row] = 0, False
        iq[row, to : to + part], inside[row, to : to + part] = kept, True


def _more_noise(
    rng: np.random.Generator,
    iq: _Iq,
    inside: NDArray[np.bool_],
    snr_db: NDArray[np.float32],
    settings: FamilyExampleSettings,
) -> None:
    """Add noise to some of the signals that have little."""
    least = settings.least_snr_db
    rows = np.flatnonzero((rng.random(len(iq)) < settings.noise_share) & (snr_db > 2 * least))
    if not len(rows):
        return
    power = (iq[rows].real ** 2 + iq[rows].imag ** 2).sum(axis=1) / inside[rows].sum(axis=1)
    target = rng.uniform(least, np.minimum(snr_db[rows], _NO_NOISE))
    # Of four bandwidths, one holds the signal.
    size = np.sqrt(0.5 * power * 4 * 10 ** (-target / 10)).astype(np.float32)
    noise = rng.standard_normal((len(rows), iq.shape[1], 2), dtype=np.float32).view(np.complex64)[..., 0]
    iq[rows] += noise * size[:, None] * inside[rows]


def scrambled(rng: np.random.Generator, iq: _Iq) -> _Iq:
    """Return signals that belong to no family, made of at least two that do: complex64 [n, length] of each.

    Two at once; one times the conjugate of another; the envelope of one with the phase of another; one whose phase
    swings; one times the envelope of another; pieces of one in another order and pitch.

    >>> signals = np.exp(2j * np.pi * np.outer([0.01, 0.02], np.arange(256))).astype(np.complex64)
    >>> scrambled(np.random.default_rng(1), signals).shape
    (2, 256)
    """
    count, length = iq.shape
    time, made = np.arange(length), np.empty_like(iq)
    for row in range(count):
        one, other = iq[row], iq[(row + 1) % count]
        shift = np.exp(2j * np.pi * rng.uniform(-_MIXED_PLACE, _MIXED_PLACE) * time)
        kind = int(rng.integers(6))
        if kind == 0:
            found = one + other * shift * 10 ** (rng.uniform(-_MIXED_DB, _MIXED_DB) / 20)
        elif kind == 1:
            found = one * other.conj() * shift
        elif kind == 2:
            found = np.abs(one) * np.exp(1j * np.angle(other))
        elif kind == 3:
            rate = np.exp(rng.uniform(np.log(2 / length), np.log(0.1)))
            swing = np.sin(2 * np.pi * (time * rate + rng.random()))
            found = one * np.exp(1j * rng.uniform(1, 8) * swing)
        elif kind == 4:
            found = one * np.abs(other)
        else:
            found = _out_of_order(rng, one)
        spectrum = fft.fft(found)
        spectrum[int(length * _BAND) : length - int(length * _BAND)] = 0
        found = fft.ifft(spectrum)
        power = float(np.mean(np.abs(found) ** 2))
        noise = rng.standard_normal(2 * length).view(np.complex128)
        made[row] = found + noise * np.sqrt(2 * power * 10 ** (-rng.uniform(0, 30) / 10))
    return made


def _out_of_order(rng: np.random.Generator, iq: _Iq) -> NDArray[np.complex128]:
    """Return a signal whose pieces stand in another order, each shifted in frequency by an amount of its own."""
    low, high = _SEGMENTS
    size = int(np.exp(rng.uniform(np.log(low), np.log(min(high, len(iq) // 2)))))
    count = len(iq) // size
    pieces = iq[: count * size].reshape(count, size)[rng.permutation(count)]
    shift = rng.uniform(-_MIXED_PLACE, _MIXED_PLACE, (count, 1))
    found = np.zeros(len(iq), np.complex128)
    found[: count * size] = (pieces * np.exp(2j * np.pi * shift * np.arange(size))).ravel()
    return found
