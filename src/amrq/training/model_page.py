# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that lies beside a model file."""

import shlex
from collections.abc import Mapping
from typing import Any

from amrq.evaluation import clopper_pearson
from amrq.model import Contract
from amrq.plain_text import markdown, printable

__all__ = ["model_page"]


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
        + (
            " Takes the level of the stream beside a chunk, where that is known."
            if contract.level_input
            else ""
        ),
        "",
        f"Network: {net['architecture']}, widths {', '.join(map(str, net['symbol_channels']))} at each symbol and "
        f"{', '.join(map(str, net['head_widths']))} behind the mean; {contract.weights} weights{pruned}, {bits}; "
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
        "One chunk, the most probable of the nine; fresh ideal chunks, seed "
        f"{recipe['seed'] + 1}; Clopper-Pearson intervals at 95 %. What else there is to say of it, `amrq evaluate "
        f"{_word(contract.name).replace('`', '')} -o FOLDER` finds out.",
        "",
        "| Es/N0 dB | accuracy | 95 % interval | chunks |",
        "|---:|---:|:---:|---:|",
        *(
            f"| {row.es_n0_db:g} | {row.accuracy:.4f} | {row.low:.4f} to {row.high:.4f} | {row.chunks} |"
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
