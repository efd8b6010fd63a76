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
from amrq.model import Contract, write_contract
from amrq.model.contract_file import open_session
from amrq.modulations import MODULATIONS
from amrq.training.calibrate import calibrate
from amrq.training.calibrate_fusion import calibrate_fusion
from amrq.training.export import export
from amrq.training.fit import Progress, fit, net_inputs
from amrq.training.model_page import model_page
from amrq.training.prune import nonzero_weights, pruned_share
from amrq.training.recipe import Recipe
from amrq.training.signal_batches import Batch, SignalBatches
from amrq.training.teacher import Teacher

__all__ = ["make_model"]

_HELD_OUT_SEED = 1
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


def make_model(
    recipe: Recipe,
    output: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    taught: Callable[[int, int], None] = lambda done, of: None,
    evaluated: Callable[[int, int], None] = lambda done, of: None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """Train, quantise, export, calibrate and evaluate; write ONNX files with their contracts, and their pages.

    Args:
        recipe: what to make.
        output: the file to write, `models/full.onnx` say. Where the recipe asks for several precisions each has a file
            of
            its own: `models/full-float32.onnx`, `models/full-int8.onnx`. A file appears when all is done, and beside
            it a page of the same name in Markdown.
        checkpoint: where the training keeps its state, to go on from if interrupted.
        fresh: do not go on from a checkpoint there.
        progress: called as the training goes on.
        taught: called with (chunks judged, chunks in all) as the teacher gets ready.
        evaluated: called with (steps done, steps in all) of the evaluation.
        stopped: asked between training steps; when it says so, the state is saved and KeyboardInterrupt raised.

    Returns:
        the files written.

    Raises:
        AmrqError: the recipe cannot be used, or the output's folder is not there.
    """
    output = Path(output)
    if not output.parent.is_dir():
        raise AmrqError(f"there is no folder {output.parent} to write {output.name} to.")
    teacher = None
    if recipe.teacher.chunks:
        teacher = Teacher(recipe.teacher, recipe.signal, recipe.chunk_length, recipe.seed, taught)
    batches = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed, teacher)
    path = None if checkpoint is None else Path(checkpoint)
    nets = fit(recipe, batches, path, fresh, progress, stopped=stopped)
    wanted = recipe.quantisation.weight_bits
    if any(bits not in nets for bits in wanted):
        raise KeyboardInterrupt
    files = []
    for number, bits in enumerate(wanted):
        suffix = f"-{'float' if bits == 32 else 'int'}{bits}" if len(wanted) > 1 else ""
        file = output.with_name(f"{output.stem}{suffix}.onnx")
        steps_before = number * 1_000

        def step(done: int, of: int, before: int = steps_before) -> None:
            evaluated(before + done * 1_000 // of, len(wanted) * 1_000)

        _write(recipe, nets[bits], bits, file, step)
        files.append(file)
    return files


def _write(
    recipe: Recipe, net: nn.Module, bits: int, output: Path, evaluated: Callable[[int, int], None]
) -> None:
    """Export, calibrate and evaluate one network."""
    held_out_signals = SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed + _HELD_OUT_SEED)
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
            "steps": recipe.fit.steps + (recipe.quantisation.tuning(bits)[0] if integer else 0),
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
        export(net, temporary, recipe.chunk_length, held_out_signals.hypotheses, recipe.net.level_input)
        held_out = held_out_signals.batch(0, _HELD_OUT_CHUNKS)
        with torch.no_grad():
            logits = net(*net_inputs(held_out, recipe))
        temperature = calibrate(logits, torch.from_numpy(held_out.labels), held_out_signals.hypotheses)
        recorded = {**contract.recipe, "agreement": _agreement(temporary, held_out, recipe, logits)}
        contract = replace(contract, temperature=round(temperature, 4), recipe=recorded)
        write_contract(temporary, contract)
        held_out_seed = recipe.seed + _HELD_OUT_SEED
        n0 = calibrate_fusion(OnnxClassifier(temporary), held_out_seed)
        contract = replace(contract, fusion_chunks=n0)
        write_contract(temporary, contract)
        classifier = OnnxClassifier(temporary)
        found = evaluate(classifier, recipe.accuracy_chunks, seed=held_out_seed, progress=evaluated)
        contract = replace(contract, accuracy=tuple(level.row() for level in found.levels))
        write_contract(temporary, contract)
        output.with_suffix(".md").write_text(model_page(contract), encoding="utf-8")
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
