# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a family model and its page from a recipe: examples, training, rounding, export, calibration."""

import datetime
import functools
import hashlib
import itertools
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from amrq._version import __version__
from amrq.classifier import FamilyModel, level_chunks
from amrq.errors import AmrqError
from amrq.evaluation import clopper_pearson
from amrq.files import check_writable, whole_file, write_whole
from amrq.machine import memory_limit
from amrq.model import UNKNOWN, AccuracyRow, Contract, Hypothesis, write_contract
from amrq.signals import family_example
from amrq.text import markdown, printable
from amrq.training.architectures import FamilyNet, make_family_net
from amrq.training.control import FamilyRun, RunControl
from amrq.training.family_cache import FeatureCache, StoredFeatures
from amrq.training.family_recipe import FamilyRecipe
from amrq.training.loop import StepLoss, Trainer, TrainingStage, keep_state, resumed_state
from amrq.training.onnx_export import calibrate, export
from amrq.training.pruning import nonzero_weights
from amrq.training.quantisation import integer_ready, quantise

__all__ = ["family_page", "fit_family", "make_family_model", "write_family_model"]

_MOST_WEIGHTS = 60_000
"""And biases, batch norms folded."""
_CALIBRATION_BATCHES = 12
_CALIBRATION_STREAM = 1_000_000_000
"""Index of the first batch for the activation scales: out of reach of the steps."""
_SNR_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
"""Rows of the accuracy table."""
_HELD_OUT = 120
"""Signals of a family that temperature and fusion are fitted on, each of several chunks."""
_FUSED = (1, 2, 4)
_FUSION = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 0.0)


# --- weights to start from --------------------------------------------------------------------------------------------


def start_weights(path: Path, net: nn.Module, kept: Sequence[int]) -> None:
    """Give a network the weights of a file: by their names, or, where these are others, in their order.

    Args:
        path: what `torch.save` wrote of a state_dict.
        net: the network; it is changed. The file's last layer may have other outputs.
        kept: which of the file's outputs the network's first ones are.

    Raises:
        AmrqError: the file cannot be read, or is not of this network.
    """
    try:
        with memory_limit((1 << 30) + 8 * path.stat().st_size):
            found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
        wanted = net.state_dict()
        given = [value for name, value in found.items() if name in wanted or not name.startswith("front")]
        if set(found) >= set(wanted):
            given = [found[name] for name in wanted]
    except Exception as error:  # torch raises many types for a broken file
        raise AmrqError(f"{printable(path)} holds no weights ({type(error).__name__}).") from None
    if len(given) != len(wanted):
        raise AmrqError(
            f"{printable(path)} holds {len(given)} tensors of weights, the recipe's network has {len(wanted)}."
        )
    state = {}
    for number, (name, mine) in enumerate(wanted.items()):
        theirs = given[number]
        if number >= len(wanted) - 2 and max(kept) < len(theirs) and theirs.shape[1:] == mine.shape[1:]:
            # The last layer: outputs that are kept, and fresh ones before the last, which is `unknown`.
            rows = mine.clone()
            rows[: len(kept) - 1], rows[-1] = theirs[list(kept[:-1])], theirs[kept[-1]]
            theirs = rows
        if theirs.shape != mine.shape:
            raise AmrqError(
                f"{printable(path)} holds a tensor of shape {list(theirs.shape)} where the recipe's network has {name} "
                f"of shape {list(mine.shape)}."
            )
        state[name] = theirs
    net.load_state_dict(state)


# --- training ---------------------------------------------------------------------------------------------------------


class FamilyLoss:
    """The cross entropy of the families on the batches of a recipe.

    Args:
        batches: of the recipe.
        size: examples a batch.
        smoothing: share of the probability spread over all outputs.
    """

    def __init__(self, batches: StoredFeatures, size: int, smoothing: float) -> None:
        self._batches, self._size, self._smoothing = batches, size, smoothing

    def __call__(self, net: nn.Module, step: int) -> StepLoss:
        """See `amrq.training.loop.Loss`."""
        torch.manual_seed(step)  # what is dropped depends on the step alone, as all else does
        batch = self._batches.batch(step, self._size)
        labels = batch.labels
        assert isinstance(net, FamilyNet)  # its front end has done its part already
        logits = net.body(*batch.seen)
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=self._smoothing)
        return StepLoss(loss, loss, logits.argmax(dim=1) == labels)


def _stages(recipe: FamilyRecipe) -> list[TrainingStage]:
    parts = [(32, recipe.fit.steps, recipe.fit.learning_rate)]
    parts += [
        (bits, *recipe.quantisation.tuning(bits)) for bits in recipe.quantisation.weight_bits if bits < 32
    ]
    before = list(itertools.accumulate((steps for _, steps, _ in parts), initial=0))
    return [
        TrainingStage(bits, steps, rate, before[n], before[-1] - before[n + 1])
        for n, (bits, steps, rate) in enumerate(parts)
    ]


def _first_network(recipe: FamilyRecipe, outputs: int, start: Path | None) -> nn.Module:
    """Return the network that a training begins with; the seed of all that follows is set."""
    torch.manual_seed(recipe.seed)
    net = make_family_net(outputs, recipe.length, recipe.net)
    if start is not None:
        every = [*recipe.generators, UNKNOWN]
        start_weights(start, net, [every.index(name) for name in recipe.outputs])
    return net


def fit_family(
    recipe: FamilyRecipe, batches: StoredFeatures, control: RunControl, start: Path | None = None
) -> dict[int, nn.Module]:
    """Train a recipe's network, and fine-tune it with each precision's rounding in the loop.

    Args:
        recipe: the recipe.
        batches: its examples.
        control: how it runs; its checkpoint is of this recipe and these outputs.
        start: file of weights to start from.

    Returns:
        the networks by bits of a weight, 32 for floating point, batch norms folded, in evaluation mode; those that
        are finished where the control stopped the training.

    Raises:
        AmrqError: the network is too large, the weights do not fit, or the loss is no longer finite.
    """
    net = _first_network(recipe, len(batches.outputs), start)
    identity = repr((recipe, batches.outputs, None if start is None else start.name))
    example = torch.randn(8, 2, recipe.length, generator=torch.Generator().manual_seed(1)) / 2**0.5
    weights = sum(p.numel() for p in integer_ready(net, example).parameters())
    if weights > _MOST_WEIGHTS:
        raise AmrqError(
            f"the network has {weights:,} weights, more than {_MOST_WEIGHTS:,}: make net smaller."
        )
    resumed = resumed_state(control, identity)
    finished: dict[int, nn.Module] = {}
    loss = FamilyLoss(batches, recipe.fit.batch_size, recipe.fit.label_smoothing)
    if resumed:
        for bits, state in resumed["finished"].items():
            finished[bits] = _restored(integer_ready(net, example), state, bits)

    def save(stage: int, **other: Any) -> None:
        done = {bits: one.state_dict() for bits, one in finished.items()}
        keep_state(control, identity, {"stage": stage, "finished": done, **trainer.state(), **other})

    for number, stage in enumerate(_stages(recipe)):
        if stage.bits in finished:
            continue
        trainer = Trainer(loss, control)
        state = resumed if resumed and resumed["stage"] == number and resumed["step"] > 0 else None
        working: nn.Module = net
        if stage.bits < 32 and state is not None:
            working = _restored(integer_ready(net, example), state["net"], stage.bits)
        elif stage.bits < 32:
            working = integer_ready(finished[32], example)
            assert isinstance(working, FamilyNet)
            quantise(working, stage.bits, _calibration(batches, recipe.fit.batch_size), working.body)
        trainer.begin(working, stage)
        if state is not None:
            trainer.resume(state)
        if not trainer.run(functools.partial(save, number)):
            break
        finished[stage.bits] = integer_ready(working, example) if stage.bits == 32 else working
        save(number + 1, step=0)
    return finished


def _restored(net: nn.Module, state: dict[str, torch.Tensor], bits: int) -> nn.Module:
    net.load_state_dict(state)
    if bits < 32:
        quantise(net, bits, None)
    return net.eval()


def _calibration(batches: StoredFeatures, size: int) -> Iterator[tuple[torch.Tensor, ...]]:
    for number in range(_CALIBRATION_BATCHES):
        yield batches.batch(_CALIBRATION_STREAM + number, size).seen


# --- the finished model -----------------------------------------------------------------------------------------------


def make_family_model(
    recipe: FamilyRecipe,
    output: str | os.PathLike[str],
    control: RunControl | None = None,
    run: FamilyRun | None = None,
) -> list[Path]:
    """Make examples, train, round, export, calibrate; write ONNX files with their contracts, and their pages.

    Args:
        recipe: what to make.
        output: the file to write; where the recipe asks for several precisions, each has a file of its own, for
            example `models/family-int8.onnx`.
        control: how it runs. `taught` is called with the examples' shards as they are made.
        run: cache, processes, weights to start from.

    Returns:
        the files written.

    Raises:
        AmrqError: the recipe or what else is given cannot be used.
        KeyboardInterrupt: the control stopped the work; what is done is kept.
    """
    control, run, output = control or RunControl(), run or FamilyRun(), Path(output)
    check_writable(output)
    if run.start is not None:  # before the examples, which take long
        _first_network(recipe, len(recipe.outputs), run.start)
    cache = FeatureCache(run.examples or output.with_name(output.name + ".examples"), recipe)
    if not cache.make(run.workers, control.taught, control.stopped):
        raise KeyboardInterrupt
    nets = fit_family(recipe, cache.open(), control, run.start)
    wanted = recipe.quantisation.weight_bits
    if any(bits not in nets for bits in wanted):
        raise KeyboardInterrupt
    files = []
    for number, bits in enumerate(wanted):
        suffix = f"-{'float' if bits == 32 else 'int'}{bits}" if len(wanted) > 1 else ""
        file = output.with_name(f"{output.stem}{suffix}.onnx")

        def step(done: int, of: int, before: int = number) -> None:
            control.evaluated(before * 1_000 + done * 1_000 // of, len(wanted) * 1_000)

        write_family_model(recipe, nets[bits], bits, file, step, run.start)
        files.append(file)
    return files


def write_family_model(
    recipe: FamilyRecipe,
    net: nn.Module,
    bits: int,
    output: Path,
    evaluated: Callable[[int, int], None] = lambda done, of: None,
    start: Path | None = None,
) -> None:
    """Export a network, calibrate and evaluate it, and write it with its contract, and its page beside it.

    Args:
        recipe: what it was made by.
        net: the network with its layers ready for integers, in evaluation mode.
        bits: of a weight; 32 for floating point.
        output: the file to write; it appears when all is done.
        evaluated: called with (steps done, steps in all).
        start: file of weights that the training started from.

    Raises:
        AmrqError: the network cannot be exported, or the file not be written.
    """
    integer = bits < 32
    contract = Contract(
        name=output.stem,
        classes=recipe.outputs,
        chunk_length=recipe.length,
        es_n0_db=recipe.examples.snr_db,
        weight_bits=bits,
        activation_bits=recipe.quantisation.activation_bits if integer else 32,
        weights=nonzero_weights(net),
        input="samples",
        samples_per_bandwidth=recipe.samples_per_bandwidth,
        recipe={
            "name": recipe.name,
            "settings": recipe.as_dict(),
            "seed": recipe.seed,
            "start": "" if start is None else hashlib.sha256(start.read_bytes()).hexdigest(),
            "steps": recipe.fit.steps + (recipe.quantisation.tuning(bits)[0] if integer else 0),
            "date": datetime.date.today().isoformat(),
            "versions": {
                "gr-amrq": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "onnx", "onnxruntime", "numpy")},
            },
        },
    )
    with whole_file(output, suffix=".part.onnx") as file:
        temporary = Path(file.name)
        export(net, temporary, recipe.length, ())
        write_contract(temporary, contract)
        model, held_out = FamilyModel(temporary), _held_out(recipe)
        scores = np.stack([model.scores(iq) for iq in held_out.iq])
        temperature, n0 = _calibrated(recipe, scores, held_out.labels)
        agreement = _agreement(net, held_out.iq[:, 0], scores[:, 0])
        contract = replace(contract, temperature=temperature, fusion_chunks=n0)
        write_contract(temporary, contract)
        rows, shares, unknown = _judged(FamilyModel(temporary), recipe, evaluated)
        found = {"agreement": agreement, "right_at_10_db": shares, "left_out_unknown_at_10_db": unknown}
        contract = replace(contract, accuracy=rows, recipe={**contract.recipe, **found})
        write_contract(temporary, contract)
        write_whole(output.with_suffix(".md"), family_page(contract))


class _HeldOut(NamedTuple):
    """Fresh signals of several chunks each: float32 [n, chunks, 2, length], and int64 [n], their outputs."""

    iq: NDArray[np.float32]
    labels: NDArray[np.int64]


def _held_out(recipe: FamilyRecipe) -> _HeldOut:
    rng, signals, labels = np.random.default_rng([recipe.seed, 1 << 31]), [], []
    for name, kinds in recipe.learnt.items():
        for number in range(min(_HELD_OUT, recipe.accuracy_examples)):
            snr_db = float(rng.uniform(min(_SNR_DB), max(_SNR_DB)))
            length = recipe.length * max(_FUSED)
            made = family_example(rng, kinds[number % len(kinds)], length, (snr_db, snr_db))
            chunks = level_chunks(made.iq.reshape(-1, recipe.length))
            signals.append(np.stack([chunks.real, chunks.imag], axis=1))
            labels.append(recipe.outputs.index(name))
    return _HeldOut(np.stack(signals), np.array(labels))


def _agreement(net: nn.Module, iq: NDArray[np.float32], scores: NDArray[np.float32]) -> dict[str, int]:
    """Return on how many chunks PyTorch and ONNX Runtime, running the file, decide differently."""
    with torch.no_grad():
        mine = torch.cat([net(part) for part in torch.from_numpy(iq).split(64)]).numpy()
    differing = int((mine.argmax(axis=1) != scores.argmax(axis=1)).sum())
    return {"chunks": len(mine), "differing_decisions_of_torch_and_onnxruntime": differing}


def _calibrated(
    recipe: FamilyRecipe, scores: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the temperature and the `fusion_chunks` that give held-out signals the lowest cross entropy.

    Args:
        recipe: of the model.
        scores: float32 [n, chunks, outputs], the model's.
        labels: int64 [n].
    """
    outputs, truth = recipe.outputs, torch.from_numpy(labels)
    each = tuple(Hypothesis(name, None, 1 / len(outputs)) for name in outputs)
    flat = torch.from_numpy(scores.reshape(-1, len(outputs)))
    temperature = round(calibrate(flat, truth.repeat_interleave(scores.shape[1]), each), 4)
    logs = torch.log_softmax(torch.from_numpy(scores).double() / temperature, dim=2)

    def cost(n0: float) -> float:
        total = 0.0
        for fused in _FUSED:
            weight = 1 / (1 + (fused - 1) / n0) if n0 else 1.0
            total += float(nn.functional.cross_entropy(weight * logs[:, :fused].sum(dim=1), truth))
        return total

    return temperature, min(_FUSION, key=cost)


def _judged(
    model: FamilyModel,
    recipe: FamilyRecipe,
    evaluated: Callable[[int, int], None],
) -> tuple[tuple[AccuracyRow, ...], dict[str, float], dict[str, float]]:
    """Return the accuracy table, the share right of each family at 10 dB, and that of `unknown` of those left out."""
    rng = np.random.default_rng([recipe.seed, 1 << 31, 1])
    count, outputs = recipe.accuracy_examples, recipe.outputs
    rows: list[AccuracyRow] = []
    shares: dict[str, float] = {}
    unknown: dict[str, float] = {}
    for number, snr_db in enumerate(_SNR_DB):
        right = 0
        for name, kinds in recipe.generators.items():
            if name in recipe.leave_out and snr_db != 10:
                continue
            made = [
                family_example(rng, kinds[n % len(kinds)], recipe.length, (snr_db, snr_db)).iq
                for n in range(count)
            ]
            said = model.log_probabilities(np.stack(made)).argmax(axis=1)
            if name in recipe.leave_out:
                unknown[name] = round(float((said == outputs.index(UNKNOWN)).mean()), 4)
                continue
            good = int((said == outputs.index(name)).sum())
            right += good
            if snr_db == 10:
                shares[name] = round(good / count, 4)
        of = count * len(recipe.learnt)
        low, high = clopper_pearson(right, of)
        rows.append(AccuracyRow(snr_db, right / of, low, high, of))
        evaluated(number + 1, len(_SNR_DB))
    return tuple(rows), shares, unknown


def family_page(contract: Contract) -> str:
    """Return Markdown: what a family model is, how to make it again, how good it is on one chunk.

    Args:
        contract: of the finished model.
    """
    recipe, agreement = contract.recipe, contract.recipe["agreement"]
    versions = ", ".join(f"{name} {number}" for name, number in recipe["versions"].items())
    bits = (
        f"{contract.weight_bits}-bit weights and {contract.activation_bits}-bit activations"
        if contract.weight_bits < 32
        else "floating point"
    )
    low, high = contract.es_n0_db
    differing = agreement["differing_decisions_of_torch_and_onnxruntime"]
    name, start = recipe["name"], recipe["start"]
    began = f" from weights that were trained before (SHA-256 {start[:16]}...)" if start else ""
    given = " --start WEIGHTS" if start else ""
    given += "".join(f" --leave-out {printable(family)}" for family in recipe["settings"]["leave_out"])
    lines = [
        f"# {markdown(contract.name)}",
        "",
        f"Families: {markdown(', '.join(contract.classes))}. Chunks of {contract.chunk_length} samples, "
        f"{contract.samples_per_bandwidth:g} in the reciprocal of the signal's bandwidth, each of unit RMS outside its "
        f"padding. Trained on in-band SNR of {low:g} to {high:g} dB.",
        "",
        f"{contract.weights:,} weights, {bits}; temperature {contract.temperature:g}, fusion_chunks "
        f"{contract.fusion_chunks:g}. On {agreement['chunks']} examples PyTorch and ONNX Runtime decided differently "
        f"{differing} times.",
        "",
        f"Made on {recipe['date']} in {recipe['steps']} steps{began} with seed {recipe['seed']} and {versions}. To "
        "make it again:",
        "",
        "```sh",
        f"amrq train recipes/{printable(name)}.toml -o models/{printable(name)}.onnx --fresh{given}",
        "```",
        "",
        "## Accuracy",
        "",
        "One chunk, fresh examples of the recipe's generators with what receivers and channels do to them, every "
        "family as often; Clopper-Pearson intervals at 95 %.",
        "",
        "| in-band SNR, dB | accuracy | chunks |",
        "|---:|---:|---:|",
        *(
            f"| {row.es_n0_db:g} | {row.accuracy:.4f} ({row.low:.4f} to {row.high:.4f}) | {row.chunks} |"
            for row in contract.accuracy
        ),
        "",
        "Share right of each family at 10 dB: "
        + ", ".join(f"{markdown(one)} {share:.2f}" for one, share in recipe["right_at_10_db"].items())
        + ".",
        "",
    ]
    left_out = recipe["left_out_unknown_at_10_db"]
    if left_out:
        told = ", ".join(f"{markdown(one)} {share:.2f}" for one, share in left_out.items())
        lines += [f"Families left out of the training, share called `unknown` at 10 dB: {told}.", ""]
    return "\n".join(lines)
