# SPDX-License-Identifier: GPL-3.0-or-later
"""From a recipe to a model file with its contract."""

import datetime
import math
import os
import platform
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from amrq._version import __version__
from amrq.classifier import OnnxClassifier
from amrq.errors import AmrqError
from amrq.evaluation import evaluate
from amrq.model import UNKNOWN, Contract, write_contract
from amrq.modulations import MODULATIONS
from amrq.training.calibrate import calibrate
from amrq.training.export import export
from amrq.training.fit import Progress, fit
from amrq.training.model_page import model_page
from amrq.training.quantise import QuantisedLayer
from amrq.training.recipe import Recipe
from amrq.training.signal_batches import SignalBatches

__all__ = ["make_model"]

_HELD_OUT_SEED = 1
"""Added to the recipe's seed for the chunks of the temperature and of the accuracy table."""
_HELD_OUT_CHUNKS = 20_000


def _weights(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def make_model(
    recipe: Recipe,
    output: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    evaluated: Callable[[int, int], None] = lambda done, of: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Contract:
    """Train, quantise, export, calibrate and evaluate; write the ONNX file with its contract, and its page.

    Args:
        recipe: what to make.
        output: the file to write; it appears when all is done, and beside it a page of the same name in Markdown.
        checkpoint: where the training keeps its state, to go on from if interrupted.
        fresh: do not go on from a checkpoint there.
        progress: called as the training goes on.
        evaluated: called with (steps done, steps in all) of the evaluation.
        stopped: asked between training steps; when it says so, the state is saved and KeyboardInterrupt raised.

    Returns:
        the contract in the file.

    Raises:
        AmrqError: the recipe cannot be used, or the output's folder is not there.
    """
    output = Path(output)
    if not output.parent.is_dir():
        raise AmrqError(f"there is no folder {output.parent} to write {output.name} to.")
    batches = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed + _HELD_OUT_SEED)
    net = fit(recipe, None if checkpoint is None else Path(checkpoint), fresh, progress, stopped=stopped)
    if stopped():
        raise KeyboardInterrupt
    layers = [m for m in net.modules() if isinstance(m, QuantisedLayer)]
    integer = all(layer.input.active for layer in layers)
    contract = Contract(
        name=recipe.name,
        classes=(*MODULATIONS, UNKNOWN),
        chunk_length=recipe.chunk_length,
        phase="any",
        es_n0_db=recipe.signal.es_n0_db,
        weight_bits=layers[0].weight_bits,
        activation_bits=8 if integer else 32,
        weights=_weights(net),
        hypotheses=tuple(
            replace(h, prior=h.prior * math.exp(-recipe.caution)) if h.label == UNKNOWN else h
            for h in batches.hypotheses
        ),
        outlier_share=recipe.outlier_share,
        recipe={
            "name": recipe.name,
            "settings": recipe.as_dict(),
            "seed": recipe.seed,
            "steps": recipe.fit.steps + (recipe.quantisation.steps if integer else 0),
            "date": datetime.date.today().isoformat(),
            "versions": {
                "gr-amrq": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "onnx", "onnxruntime", "numpy")},
            },
        },
    )
    # The name must end in .onnx for the model to load.
    temporary = output.with_name(output.stem + ".part.onnx")
    try:
        export(net, temporary, recipe.chunk_length, batches.hypotheses)
        held_out = batches.batch(0, _HELD_OUT_CHUNKS)
        with torch.no_grad():
            logits = net(torch.from_numpy(held_out.iq))
        temperature = calibrate(logits, torch.from_numpy(held_out.labels), batches.hypotheses)
        contract = replace(contract, temperature=round(temperature, 4))
        write_contract(temporary, contract)
        found = evaluate(
            OnnxClassifier(temporary),
            recipe.accuracy_chunks,
            seed=recipe.seed + _HELD_OUT_SEED,
            progress=evaluated,
        )
        contract = replace(contract, accuracy=tuple(level.row() for level in found.levels))
        write_contract(temporary, contract)
        output.with_suffix(".md").write_text(model_page(contract, found), encoding="utf-8")
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    return contract
