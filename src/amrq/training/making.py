# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a model and its page from a recipe: train, write, evaluate."""

import datetime
import math
import os
import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from amrq._version import __version__
from amrq.classifier import ChunkClassifier, make_classifier
from amrq.evaluation import Evaluation, clopper_pearson, evaluate
from amrq.files import check_writable, whole_file, write_whole
from amrq.model import Contract, Hypothesis, open_session, write_contract
from amrq.signals import FOREIGN_KINDS
from amrq.text import markdown, printable, unbroken
from amrq.training.control import RunControl
from amrq.training.loop import fit, net_inputs
from amrq.training.onnx_export import calibrate, calibrate_fusion, export
from amrq.training.pruning import nonzero_weights, pruned_share
from amrq.training.recipe import Recipe
from amrq.training.signal_batches import SignalBatch, SignalBatches, Teacher

__all__ = ["HELD_OUT_SEED", "make_model", "model_page", "write_model"]


def model_page(contract: Contract) -> str:
    """Return Markdown: what the model is, how to make it again, how good it is on one chunk.

    Args:
        contract: of the finished model, with the recipe and the accuracy table in it.
    """
    recipe = contract.recipe
    versions = ", ".join(f"{name} {number}" for name, number in recipe["versions"].items())
    net = recipe["settings"]["net"]
    bits = (
        f"{contract.weight_bits}-bit weights and {contract.activation_bits}-bit activations"
        if contract.weight_bits < 32
        else "floating point"
    )
    low, high = contract.es_n0_db
    rotation = "at any rotation" if contract.phase == "any" else "the carrier phase known"
    pruned = f" that are not zero ({contract.pruned:.0%} were removed)" if contract.pruned else ""
    agreement = recipe["agreement"]
    added = recipe.get("added", [])
    name = recipe["name"]
    differing = agreement["differing_decisions_of_torch_and_onnxruntime"]
    head = [
        f"# {markdown(contract.name)}",
        "",
        f"Classes: {markdown(', '.join(contract.classes))}. Chunks of {contract.chunk_length} symbols, one sample a "
        f"symbol, each of unit RMS, {rotation}. Trained on Es/N0 of {low:g} to {high:g} dB."
        + (" Takes the level of the stream beside a chunk, if it is known." if contract.level_input else ""),
        "",
        f"Network: {net['architecture']}, widths {', '.join(map(str, net['symbol_channels']))} at each symbol and "
        f"{', '.join(map(str, net['head_widths']))} after the mean; {contract.weights} weights{pruned}, {bits}; "
        f"temperature {contract.temperature:g}, fusion_chunks {contract.fusion_chunks:g}. On {agreement['chunks']} "
        f"fresh chunks PyTorch and ONNX Runtime decided differently {differing} times.",
        "",
        f"Made on {recipe['date']} in {recipe['steps']} steps with seed {recipe['seed']} and {versions}. "
        "To make it again:",
        "",
        "```sh",
        f"amrq train {_word(f'recipes/{name}.toml')} -o {_word(f'models/{name}.onnx')} --fresh",
        *(_command(addition) for addition in added),
        "```",
        "",
    ]
    for addition in added:
        head += _addition(addition)
    table = [
        "## Accuracy",
        "",
        "One chunk, the most probable of the named modulations; fresh ideal chunks, seed "
        f"{recipe['seed'] + 1}; Clopper-Pearson intervals at 95 %. `amrq evaluate "
        f"{_word(contract.name).replace('`', '')} -o FOLDER` measures more.",
        "",
        "| Es/N0, dB | accuracy | chunks |",
        "|---:|---:|---:|",
        *(
            f"| {row.es_n0_db:g} | {unbroken(f'{row.accuracy:.4f} ({row.low:.4f} to {row.high:.4f})')} | {row.chunks} |"
            for row in contract.accuracy
        ),
        "",
    ]
    return "\n".join([*head, *table])


def _word(text: str) -> str:
    """Return a text as one word of a shell's command line."""
    return shlex.quote(printable(text))


def _command(addition: Mapping[str, Any]) -> str:
    """Return how a model was trained on."""
    held = addition["held_out"]
    named = "".join(f" --hold-out {_word(name)}" for name in held) if isinstance(held, list) else ""
    return (
        f"amrq train --add DIR --from {_word(addition['from']['name'] + '.onnx')} --steps {addition['steps']} "
        f"--share {addition['share']:g} --learning-rate {addition['learning_rate']:g}{named}"
    )


def _addition(addition: Mapping[str, Any]) -> list[str]:
    """Return what labelled chunks were added, and what that did."""
    held = markdown(
        addition["held_out"] if isinstance(addition["held_out"], str) else ", ".join(addition["held_out"])
    )
    lines = [
        f"## Trained on from {markdown(addition['from']['name'])}",
        "",
        f"The model it began with has SHA-256 {markdown(addition['from']['sha256'])}. Labelled chunks (DIR above) were "
        f"added; held out: {held}.",
        "",
        "| recording | learnt | held out | SHA-256 of its chunks |",
        "|---|---|---|---|",
    ]
    for recording in addition["recordings"]:
        counts = (
            ", ".join(f"{markdown(name)} {count}" for name, count in recording[part].items()) or "-"
            for part in ("learnt", "tested")
        )
        lines.append(
            f"| {markdown(recording['name'])} | {' | '.join(counts)} | {markdown(recording['sha256'])} |"
        )
    if addition["labelled"]:
        lines += [
            "",
            "Held-out labelled chunks, each alone, share right among all outputs; Clopper-Pearson intervals at 95 %, "
            "as if chunks of one recording were independent:",
            "",
            "| label | before | after | chunks |",
            "|---|---:|---:|---:|",
        ]
    for row in addition["labelled"]:
        shares = []
        for when in ("before", "after"):
            low, high = clopper_pearson(row[when], row["chunks"])
            shares.append(f"{row[when] / row['chunks']:.4f} ({low:.4f} to {high:.4f})")
        lines.append(f"| {markdown(row['label'])} | {' | '.join(shares)} | {row['chunks']} |")
    lines += [
        "",
        "Synthetic chunks, each alone, share right among the modulations:",
        "",
        "| Es/N0 dB | before | after | chunks |",
        "|---:|---:|---:|---:|",
        *(
            f"| {row['es_n0_db']:g} | {row['before']:.4f} | {row['after']:.4f} | {row['chunks']} |"
            for row in addition["synthetic"]
        ),
        "",
        "Other signals, share of fused decisions that claim one of the modulations: "
        + ", ".join(
            f"{markdown(row['kind'])} {row['before'] / row['decisions']:.3f} -> {row['after'] / row['decisions']:.3f}"
            for row in addition["others"]
        )
        + ".",
        "",
        *(f"**Worse than before**: {markdown(sentence)}.\n" for sentence in addition["worse"]),
    ]
    return lines


HELD_OUT_SEED = 1
"""Added to the recipe's seed for the chunks of the temperature and of the accuracy table."""
_HELD_OUT_CHUNKS = 20_000


def _agreement(path: Path, held_out: SignalBatch, recipe: Recipe, logits: torch.Tensor) -> dict[str, int]:
    """Return on how many chunks PyTorch and ONNX Runtime, running the file, decide differently."""
    session = open_session(path)
    fed = dict(
        zip(
            [i.name for i in session.get_inputs()],
            (values.numpy() for values in net_inputs(held_out, recipe)),
            strict=True,
        )
    )
    found = session.run(["hypothesis_logits"], fed)[0]
    differing = int((found.argmax(axis=1) != logits.numpy().argmax(axis=1)).sum())
    return {"chunks": len(found), "differing_decisions_of_torch_and_onnxruntime": differing}


def _stated_priors(hypotheses: Sequence[Hypothesis], recipe: Recipe) -> tuple[Hypothesis, ...]:
    """Return hypotheses with the priors of other signals understated by the recipe's caution."""
    foreign = [h for h in hypotheses if h.label not in recipe.class_set and h.es_n0_db is not None]
    levels = len({h.es_n0_db for h in foreign})
    cautions = []
    for number in range(len(foreign)):
        kind, level = divmod(number, levels)
        by_level = recipe.foreign_caution.get(tuple(FOREIGN_KINDS)[kind], (0.0,))
        cautions.append(by_level[min(level, len(by_level) - 1)])
    following = iter(cautions)
    return tuple(
        h
        if h.label in recipe.class_set
        else replace(
            h, prior=h.prior * math.exp(-(recipe.caution if h.es_n0_db is None else next(following)))
        )
        for h in hypotheses
    )


def write_model(
    recipe: Recipe,
    net: nn.Module,
    bits: int,
    output: Path,
    evaluated: Callable[[int, int], None],
    steps: int,
    judged: Callable[[ChunkClassifier, Evaluation], Mapping[str, Any]] = lambda *_: {},
) -> None:
    """Export a network, calibrate and evaluate it, and write it with its contract, and its page beside it.

    Args:
        recipe: what it was made by.
        net: the network, in evaluation mode.
        bits: of a weight; 32 for floating point.
        output: the file to write; it appears when all is done.
        evaluated: called with (steps done, steps in all) of the evaluation.
        steps: that it was trained for, in all.
        judged: called with the finished model and what was found of it; what it returns joins the contract's recipe.

    Raises:
        AmrqError: the network cannot be exported, or the file not be written.
    """
    held_out_signals = SignalBatches(
        recipe.signal, recipe.chunk_length, recipe.seed + HELD_OUT_SEED, known=recipe.class_set
    )
    integer = bits < 32
    contract = Contract(
        name=output.stem,
        classes=held_out_signals.classes,
        class_set=recipe.class_set,
        chunk_length=recipe.chunk_length,
        phase=recipe.signal.phase,
        level_input=recipe.net.level_input,
        es_n0_db=recipe.signal.es_n0_db,
        weight_bits=bits,
        activation_bits=recipe.quantisation.activation_bits if integer else 32,
        weights=nonzero_weights(net),
        pruned=round(pruned_share(net), 6),
        hypotheses=_stated_priors(held_out_signals.hypotheses, recipe),
        outlier_share=recipe.outlier_share,
        recipe={
            "name": recipe.name,
            "settings": recipe.as_dict(),
            "seed": recipe.seed,
            "steps": steps,
            "date": datetime.date.today().isoformat(),
            "versions": {
                "gr-amrq": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "onnx", "onnxruntime", "numpy")},
            },
        },
    )
    # The name must end in .onnx for the model to load.
    with whole_file(output, suffix=".part.onnx") as file:
        temporary = Path(file.name)
        export(net, temporary, recipe.chunk_length, held_out_signals.hypotheses, recipe.net.level_input)
        held_out = held_out_signals.batch(0, _HELD_OUT_CHUNKS)
        with torch.no_grad():
            logits = net(*net_inputs(held_out, recipe))
        temperature = calibrate(logits, torch.from_numpy(held_out.labels), held_out_signals.hypotheses)
        recorded = {**contract.recipe, "agreement": _agreement(temporary, held_out, recipe, logits)}
        contract = replace(contract, temperature=round(temperature, 4), recipe=recorded)
        write_contract(temporary, contract)
        held_out_seed = recipe.seed + HELD_OUT_SEED
        n0 = calibrate_fusion(make_classifier(temporary), held_out_seed)
        contract = replace(contract, fusion_chunks=n0)
        write_contract(temporary, contract)
        classifier = make_classifier(temporary)
        found = evaluate(classifier, recipe.accuracy_chunks, seed=held_out_seed, progress=evaluated)
        contract = replace(
            contract,
            accuracy=tuple(level.row() for level in found.levels),
            recipe={**contract.recipe, **judged(classifier, found)},
        )
        write_contract(temporary, contract)
        write_whole(output.with_suffix(".md"), model_page(contract))


def make_model(
    recipe: Recipe,
    output: str | os.PathLike[str],
    control: RunControl | None = None,
) -> list[Path]:
    """Train, quantise, export, calibrate and evaluate; write ONNX files with their contracts, and their pages.

    Args:
        recipe: what to make.
        output: the file to write, `models/full.onnx` say. Where the recipe asks for several precisions each has a file
            of its own: `models/full-float32.onnx`, `models/full-int8.onnx`. A file appears when all is done, and beside
            it a page of the same name in Markdown.
        control: how it runs.

    Returns:
        the files written.

    Raises:
        AmrqError: the recipe cannot be used, or the output's folder is not there.
        KeyboardInterrupt: the control stopped the training; its state is kept.
    """
    control = control or RunControl()
    output = Path(output)
    check_writable(output)
    teacher = None
    if recipe.teacher.chunks:
        teacher = Teacher(
            recipe.teacher, recipe.signal, recipe.chunk_length, recipe.seed, control.taught, recipe.class_set
        )
    batches = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed, teacher, recipe.class_set)
    first = None
    if recipe.signal.foreign_share and recipe.fit.foreign_steps:
        closed = replace(recipe.signal, foreign_share=0.0)
        first = SignalBatches(closed, recipe.chunk_length, recipe.seed, teacher, recipe.class_set)
        if teacher is not None:
            fewer = replace(recipe.teacher, chunks=recipe.fit.foreign_teacher)
            teacher = Teacher(
                fewer, recipe.signal, recipe.chunk_length, recipe.seed + 2, control.taught, recipe.class_set
            )
        batches = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed, teacher, recipe.class_set)
    nets = fit(recipe, batches, control, first)
    wanted = recipe.quantisation.weight_bits
    if any(bits not in nets for bits in wanted):
        raise KeyboardInterrupt
    files = []
    for number, bits in enumerate(wanted):
        suffix = f"-{'float' if bits == 32 else 'int'}{bits}" if len(wanted) > 1 else ""
        file = output.with_name(f"{output.stem}{suffix}.onnx")
        steps_before = number * 1_000

        def step(done: int, of: int, before: int = steps_before) -> None:
            control.evaluated(before + done * 1_000 // of, len(wanted) * 1_000)

        steps = recipe.fit.steps + (recipe.fit.foreign_steps if first else 0)
        steps += recipe.quantisation.tuning(bits)[0] if bits < 32 else 0
        write_model(recipe, nets[bits], bits, file, step, steps)
        files.append(file)
    return files
