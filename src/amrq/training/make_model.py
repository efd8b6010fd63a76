# SPDX-License-Identifier: GPL-3.0-or-later
"""From a recipe to a model file with its contract."""

import os
from collections.abc import Callable
from pathlib import Path

from amrq.training.fit import Progress, fit
from amrq.training.recipe import Recipe
from amrq.training.signal_batches import SignalBatches
from amrq.training.teacher import Teacher
from amrq.training.write_model import write_model
from amrq.whole_file import check_writable

__all__ = ["make_model"]


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
    check_writable(output)
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

        steps = recipe.fit.steps + (recipe.quantisation.tuning(bits)[0] if bits < 32 else 0)
        write_model(recipe, nets[bits], bits, file, step, steps)
        files.append(file)
    return files
