# SPDX-License-Identifier: GPL-3.0-or-later
"""From a trained network to a model file with its contract."""

import datetime
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from amrq._version import __version__
from amrq.classifier import OnnxClassifier
from amrq.evaluation import Evaluation, evaluate
from amrq.model import Contract, write_contract
from amrq.model.contract_file import open_session
from amrq.modulations import MODULATIONS
from amrq.training.calibrate import calibrate
from amrq.training.calibrate_fusion import calibrate_fusion
from amrq.training.export import export
from amrq.training.fit import net_inputs
from amrq.training.model_page import model_page
from amrq.training.prune import nonzero_weights, pruned_share
from amrq.training.recipe import Recipe
from amrq.training.signal_batches import Batch, SignalBatches
from amrq.whole_file import whole_file, write_whole

__all__ = ["HELD_OUT_SEED", "write_model"]

HELD_OUT_SEED = 1
"""Added to the recipe's seed for the chunks of the temperature and of the accuracy table."""
_HELD_OUT_CHUNKS = 20_000


def _agreement(path: Path, held_out: Batch, recipe: Recipe, logits: torch.Tensor) -> dict[str, int]:
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


def write_model(
    recipe: Recipe,
    net: nn.Module,
    bits: int,
    output: Path,
    evaluated: Callable[[int, int], None],
    steps: int,
    judged: Callable[[OnnxClassifier, Evaluation], Mapping[str, Any]] = lambda *_: {},
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
    held_out_signals = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed + HELD_OUT_SEED)
    integer = bits < 32
    contract = Contract(
        name=output.stem,
        classes=held_out_signals.classes,
        chunk_length=recipe.chunk_length,
        phase=recipe.signal.phase,
        level_input=recipe.net.level_input,
        es_n0_db=recipe.signal.es_n0_db,
        weight_bits=bits,
        activation_bits=recipe.quantisation.activation_bits if integer else 32,
        weights=nonzero_weights(net),
        pruned=round(pruned_share(net), 6),
        hypotheses=tuple(
            h if h.label in MODULATIONS else replace(h, prior=h.prior * math.exp(-recipe.caution))
            for h in held_out_signals.hypotheses
        ),
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
        n0 = calibrate_fusion(OnnxClassifier(temporary), held_out_seed)
        contract = replace(contract, fusion_chunks=n0)
        write_contract(temporary, contract)
        classifier = OnnxClassifier(temporary)
        found = evaluate(classifier, recipe.accuracy_chunks, seed=held_out_seed, progress=evaluated)
        contract = replace(
            contract,
            accuracy=tuple(level.row() for level in found.levels),
            recipe={**contract.recipe, **judged(classifier, found)},
        )
        write_contract(temporary, contract)
        write_whole(output.with_suffix(".md"), model_page(contract))
