# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place of the golden tests that knows the library's names: where these move, only this file changes.

Functions take file names, arrays and plain values and return such, so that what is recorded stays as it is.
"""

import importlib
import inspect
import pkgutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import typer.main
import yaml

import amrq
from amrq.chunks import level_features, normalise
from amrq.classifier import make_classifier, make_engine
from amrq.cli.main import app
from amrq.decision import DecisionMaker, DecisionOptions
from amrq.hardware import IntegerNetwork, estimate, read_layer_sizes, write_image
from amrq.likelihood import LikelihoodClassifier, Receiver
from amrq.machine import processor_name
from amrq.model import list_models, read_contract
from golden.material import ROOT

# Models


def models() -> dict[str, Path]:
    """Name -> file of every model of symbols that is shipped, and of the thesis's."""
    shipped = [path for path in list_models() if path.parent == ROOT / "models"]
    shipped = [path for path in shipped if read_contract(path).input == "symbols"]
    thesis = sorted((ROOT / "docs" / "thesis" / "models").glob("*.onnx"))
    return {path.stem: path for path in [*shipped, *thesis]}


def contract(path: Path) -> dict[str, Any]:
    """What is promised of a model."""
    c = read_contract(path)
    return {
        "classes": list(c.classes),
        "hypotheses": len(c.hypotheses),
        "chunk_length": c.chunk_length,
        "phase": c.phase,
        "normalisation": c.normalisation,
        "level_input": c.level_input,
        "weight_bits": c.weight_bits,
        "activation_bits": c.activation_bits,
        "weights": c.weights,
        "fusion_chunks": c.fusion_chunks,
        "temperature": c.temperature,
    }


def estimated(path: Path) -> dict[str, int]:
    """What Algorithm II says of a model."""
    found = estimate(read_layer_sizes(path, read_contract(path).weight_bits))
    return {name: int(getattr(found, name)) for name in ("dsp", "ff", "lut", "bram")}


def onnx_evidence(path: Path, chunks: np.ndarray, tracked_power: np.ndarray | None = None) -> Any:
    """log-probabilities [N, C], log-likelihoods [N, H], power [N], usable [N], by ONNX Runtime."""
    found = make_classifier(path).classify(chunks, tracked_power)
    return found.log_probabilities, found.log_likelihoods, found.power, found.usable


def integer_evidence(path: Path, chunks: np.ndarray, tracked_power: np.ndarray | None = None) -> Any:
    """The same by the integer reference."""
    found = make_classifier(path, "integer").classify(chunks, tracked_power)
    return found.log_probabilities, found.log_likelihoods, found.power, found.usable


def is_quantised(path: Path) -> bool:
    return read_contract(path).weight_bits < 32


def has_level_input(path: Path) -> bool:
    return bool(read_contract(path).level_input)


def exact_everywhere(path: Path) -> bool:
    """Whether nothing in floating point comes before the integers."""
    return read_contract(path).phase == "coherent"


def integer_scores(path: Path, chunks: np.ndarray) -> tuple[np.ndarray, int]:
    """int64 [N, H] and their exponent."""
    found = IntegerNetwork.from_onnx(path).scores(chunks)
    return np.asarray(found.integers, np.int64), int(found.exponent)


def board_scores(name: str, path: Path, chunks: np.ndarray, **options: Any) -> np.ndarray:
    """int64 or float32 [N, H] of what computes on a board: `onnx`, `integer`, `rtl`, or `image` for an exported one."""
    normalised = normalise(chunks, read_contract(path).normalisation == "unit-rms")
    level = level_features(normalised.power, None) if has_level_input(path) else None
    with tempfile.TemporaryDirectory() as folder:
        if name == "image":
            path = _image(path, Path(folder) / "board.npz")
            name = "integer"
        engine = make_engine(name, path, **options)
        try:
            found = engine.run(normalised.iq, level)
        finally:
            engine.close()
    return found if isinstance(found, np.ndarray) else np.asarray(found.integers, np.int64)


def _image(model: Path, target: Path) -> Path:
    write_image(model, target)
    return target


def decisions(path: Path, received: np.ndarray, **options: Any) -> list[dict[str, Any]]:
    """What a run of chunks is decided to be, in parts of 13 as a stream brings them."""
    classifier = make_classifier(path)
    c = classifier.contract
    maker = DecisionMaker(
        c.weighed(), c.chunk_length, DecisionOptions(**options), fusion_chunks=c.fusion_chunks
    )
    found = []
    for start in range(0, len(received), 13):
        part = received[start : start + 13]
        indices = c.chunk_length * np.arange(start, start + len(part), dtype=np.int64)
        found += maker.update(classifier.classify(part), indices)
    return [decision.as_dict() for decision in [*found, *maker.flush()]]


def bound(chunks: np.ndarray, phase: str) -> np.ndarray:
    """float [N, 9] of the likelihood classifier."""
    receiver = Receiver(phase=phase, es_n0_db=(0.0, 20.0), level="hidden")
    return np.asarray(LikelihoodClassifier(receiver).log_likelihoods(chunks))


# Training: only here is PyTorch imported, when asked


def sweep_rows() -> Iterator[dict[str, str]]:
    """Rows of the sweep that recipes/sweep-smoke.toml describes, without how long they took."""
    from amrq.sweep import cells_of, make_cell, measure_sweep_bound, read_sweep_recipe

    recipe = read_sweep_recipe(ROOT / "recipes" / "sweep-smoke.toml")
    measured = measure_sweep_bound(recipe)
    weights: dict[str, bytes] = {}
    for cell in cells_of(recipe):
        made = make_cell(recipe, cell, weights[cell.parent.name] if cell.parent else None, measured)
        weights[cell.name] = made.weights
        yield {name: text for name, text in made.figures.as_row().items() if name != "seconds"}


def trained(chunks: np.ndarray, recorded: tuple[np.ndarray, list[str]]) -> dict[str, Any]:
    """What a short training says as it goes on, and a fine-tuning of what it made with recorded chunks.

    Args:
        chunks: what the networks are asked about.
        recorded: labelled chunks to fine-tune with, and their labels.
    """
    import torch

    from amrq.training import fine_tune, fit

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _trained(chunks, recorded, fit, fine_tune)
    finally:
        torch.set_num_threads(before)


def _trained(
    chunks: np.ndarray, recorded: tuple[np.ndarray, list[str]], fit: Any, fine_tune: Any
) -> dict[str, Any]:
    from dataclasses import replace

    import torch

    from amrq.labels import LABELS, HeldOut, LabelledChunks
    from amrq.training import (
        LabelledBatches,
        RunControl,
        SignalBatches,
        TrainingStage,
        nonzero_weights,
        read_recipe,
    )

    recipe = read_recipe(ROOT / "recipes" / "smoke.toml")
    recipe = replace(
        recipe,
        fit=replace(recipe.fit, steps=120),
        pruning=replace(recipe.pruning, share=0.3),
        quantisation=replace(recipe.quantisation, steps=40, narrow_steps=40, weight_bits=(32, 8, 4)),
    )
    batches = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed)
    iq = torch.from_numpy(normalise(chunks).iq)

    def asked(net: Any) -> dict[str, Any]:
        with torch.no_grad():
            logits = net(iq).numpy()
        return {"weights": int(nonzero_weights(net)), "logits": logits.astype(float).tolist()}

    def progress(into: list[list[Any]]) -> Any:
        return lambda p: into.append([p.step, p.steps, p.phase, float(p.loss), float(p.accuracy)])

    fitted: list[list[Any]] = []
    nets = fit(recipe, batches, RunControl(progress=progress(fitted)))
    found: dict[str, Any] = {"fit": fitted, "nets": {str(bits): asked(net) for bits, net in nets.items()}}
    samples, labels = recorded
    labelled = LabelledChunks(
        "golden",
        "golden.sigmf-meta",
        "0" * 64,
        100_000,
        25_000,
        0.0,
        samples,
        np.array([LABELS.index(label) for label in labels], np.uint8),
        4 * samples.shape[1] * np.arange(len(samples), dtype=np.int64),
    )
    for bits in (32, 8):
        net = nets[bits]
        mixed = LabelledBatches(
            [labelled],
            [HeldOut(np.arange(len(labels)), np.empty(0, np.int64))],
            lambda iq, net=net: net(torch.from_numpy(iq)).detach().numpy(),
            batches.hypotheses,
            recipe,
            0.5,
            recipe.fit.batch_size,
            recipe.seed,
        )
        tuned: list[list[Any]] = []
        fine_tune(
            net, TrainingStage(bits, 40, 2e-3), recipe, batches, mixed, RunControl(progress=progress(tuned))
        )
        found[f"fine_tune {bits}"] = tuned
        found["nets"][f"{bits} tuned"] = asked(net)
    return found


# The command


def options() -> dict[str, Any]:
    """Every command's parameters by their name on the command line."""
    return dict(sorted(_options(typer.main.get_command(app), "amrq")))


def _options(command: Any, words: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield words, dict(sorted(_option(p) for p in command.params if not {*p.opts} & _TYPERS_OWN))
    for name, below in getattr(command, "commands", {}).items():
        yield from _options(below, f"{words} {name}")


_TYPERS_OWN = {"--help", "--install-completion", "--show-completion"}
_KINDS = {"text": "str", "integer": "int", "boolean": "bool", "path": "Path"}


def _option(parameter: Any) -> tuple[str, dict[str, Any]]:
    is_option = parameter.param_type_name == "option"
    names = [*parameter.opts, *parameter.secondary_opts] if is_option else [parameter.name]
    # Typer's own parameters say what they are; those of its versions on click have click's types.
    described = getattr(parameter, "type_descriptor", None)
    if described is not None:
        kind, bounds = getattr(described.annotation, "__name__", str(described.annotation)), parameter
    else:
        bounds = parameter.type
        kind = _KINDS.get(bounds.name.split()[0], bounds.name.split()[0])
    found: dict[str, Any] = {"kind": parameter.param_type_name, "type": kind}
    for bound in ("min", "max"):
        if getattr(bounds, bound, None) is not None:
            found[bound] = getattr(bounds, bound)
    default = parameter.default() if callable(parameter.default) else parameter.default
    if isinstance(default, list | tuple):
        default = [str(value) for value in default]
    found["default"] = default if isinstance(default, int | float | str | list | None) else str(default)
    for flag in ("required", "multiple", "is_flag", "hidden"):
        if getattr(parameter, flag, False):
            found[flag] = True
    if parameter.nargs != 1:
        found["nargs"] = parameter.nargs
    return " ".join(sorted(names)), found


# Blocks and faces


def blocks() -> dict[str, Any]:
    """Constructor parameters of every block, as text."""
    from gnuradio import amrq as module

    found = {}
    for name in sorted(module.__all__):
        kind = getattr(module, name)
        kind = getattr(kind, name, kind)  # a display's module, where that was imported by its own name
        signature = inspect.signature(kind.__init__)
        found[name] = {
            p.name: "required" if p.default is p.empty else repr(p.default)
            for p in signature.parameters.values()
            if p.name != "self"
        }
    return found


def grc_files() -> dict[str, Any]:
    """Parameters and ports of every block file."""
    found = {}
    for path in sorted((ROOT / "grc").glob("*.block.yml")):
        block = yaml.safe_load(path.read_text(encoding="utf-8"))
        parameters = {
            p["id"]: {key: str(p[key]) for key in ("dtype", "default", "options") if key in p}
            for p in block.get("parameters", [])
        }
        ports = {
            side: [
                {key: str(value) for key, value in sorted(port.items()) if key != "label"}
                for port in block[side]
            ]
            for side in ("inputs", "outputs")
            if side in block
        }
        found[path.name] = {"parameters": parameters, **ports}
    return found


def faces() -> dict[str, list[str]]:
    """Public names of the library and of each of its rooms."""
    found = {"amrq": sorted(amrq.__all__)}
    for entry in sorted(pkgutil.iter_modules(amrq.__path__), key=lambda entry: entry.name):
        if not entry.name.startswith("_"):
            module = importlib.import_module(f"amrq.{entry.name}")
            found[f"amrq.{entry.name}"] = sorted(getattr(module, "__all__", []))
    return found


def machine() -> dict[str, str]:
    """What the last digits of floating point depend on."""
    found = {"processor": processor_name()}
    for package in ("numpy", "onnxruntime", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found
