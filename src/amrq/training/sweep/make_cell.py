# SPDX-License-Identifier: GPL-3.0-or-later
"""Train, export and measure one model of a sweep."""

import datetime
import io
import math
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from amrq._version import __version__
from amrq.errors import AmrqError
from amrq.evaluation import clopper_pearson
from amrq.hardware import estimate, read_layer_sizes
from amrq.memory_limit import memory_limit
from amrq.model import AccuracyRow, Contract, write_contract
from amrq.model.contract_file import open_session
from amrq.modulations import MODULATIONS
from amrq.parsing import parsing
from amrq.training.architectures.vgglike import VggLikeNet
from amrq.training.export import export
from amrq.training.prune import nonzero_weights
from amrq.training.quantise import quantise
from amrq.training.remove_channels import remove_channels
from amrq.training.sweep.cell import Cell
from amrq.training.sweep.cell_figures import CellFigures, LevelFigures
from amrq.training.sweep.fit_to_gate import Fitted, decide, fit_to_gate
from amrq.training.sweep.integer_layers import integer_layers
from amrq.training.sweep.sweep_bound import SweepBound
from amrq.training.sweep.sweep_chunks import LabelledChunks, SweepChunks
from amrq.training.sweep.sweep_recipe import SweepRecipe

__all__ = ["MadeCell", "make_cell"]

_CALL = 512
"""Chunks handed to onnxruntime at a time."""


class MadeCell(NamedTuple):
    """A finished cell.

    Attributes:
        figures: what was measured.
        weights: the network for its children, empty for a cell that has none.
        model: content of its ONNX file.
    """

    figures: CellFigures
    weights: bytes
    model: bytes


def _pack(net: VggLikeNet) -> bytes:
    buffer = io.BytesIO()
    shape = {"channels": list(net.channels), "pools": len(net.pools), "hidden": list(net.hidden)}
    # A network in floating point whose channels are really removed has no mask and no scales worth sending.
    weights = {name: value for name, value in net.state_dict().items() if not name.endswith(".kept")}
    torch.save({"shape": shape, "weights": weights}, buffer)
    return buffer.getvalue()


def _unpack(packed: bytes, recipe: SweepRecipe) -> VggLikeNet:
    with parsing("the weights of the cell that it starts from", "begin anew with --fresh"):
        with memory_limit((1 << 30) + 8 * len(packed)):
            state: dict[str, Any] = torch.load(io.BytesIO(packed), weights_only=True)
        net = VggLikeNet(len(MODULATIONS), **state["shape"], chunk_length=recipe.chunk_length)
        net.load_state_dict(state["weights"], strict=False)
        return net


def _start(recipe: SweepRecipe, cell: Cell, parent: bytes | None, chunks: SweepChunks) -> VggLikeNet:
    """Return the network that training starts from."""
    torch.manual_seed((recipe.seed << 32) + cell.stream)
    if parent is None:
        a = recipe.architecture(cell.architecture)
        return VggLikeNet(len(MODULATIONS), a.channels, a.pools, a.hidden, recipe.chunk_length)
    net = _unpack(parent, recipe)
    if cell.bits == 32:
        return remove_channels(net, cell.pruned)
    seen = torch.from_numpy(chunks.calibration(cell.stream).iq)
    quantise(net.eval(), cell.bits, [(seen,)])
    return net


def make_cell(
    recipe: SweepRecipe,
    cell: Cell,
    parent: bytes | None,
    bound: SweepBound,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> MadeCell:
    """Train a cell from its parent's weights, export it, and measure the exported file.

    The result depends on the arguments alone (its `seconds` apart), so that a cell can be made anywhere and again.

    Args:
        recipe: of the sweep.
        cell: which one.
        parent: its parent's `weights`; None for a cell without one.
        bound: where the likelihood classifier is right on the chunks of the evaluation.
        progress: called after each epoch with its number and mean loss.

    Raises:
        AmrqError: the training broke down.
    """
    if (parent is None) != (cell.parent is None):
        raise AmrqError(f"{cell.name} starts from {cell.parent.name if cell.parent else 'nothing'}.")
    begun = time.monotonic()
    torch.set_num_threads(1)
    chunks = SweepChunks(recipe)
    net = _start(recipe, cell, parent, chunks)
    fit = recipe.fit
    rounds = fit.rounds(cell.bits, parent is None)
    architecture = recipe.architecture(cell.architecture)
    fitted = fit_to_gate(
        net,
        chunks,
        cell.stream,
        fit,
        rounds.stretched(architecture.patience),
        architecture.learning_rate,
        progress,
    )
    with tempfile.TemporaryDirectory() as folder:
        # The name must end in .onnx for the model to load.
        path = Path(folder) / f"{cell.name}.onnx"
        export(net, path, recipe.chunk_length, ())
        figures = _measure(recipe, cell, net, fitted, path, bound, chunks)
        model = path.read_bytes()
    figures = CellFigures(**{**_fields(figures), "seconds": time.monotonic() - begun, "bytes": len(model)})
    return MadeCell(figures, _pack(net) if cell.bits == 32 else b"", model)


def _fields(figures: CellFigures) -> dict[str, Any]:
    return {name: getattr(figures, name) for name in CellFigures.__dataclass_fields__}


def _decide(session: Any, data: LabelledChunks) -> NDArray[np.int64]:
    name = session.get_inputs()[0].name
    found = [
        session.run(None, {name: data.iq[start : start + _CALL]})[0].argmax(axis=1)
        for start in range(0, len(data.iq), _CALL)
    ]
    return np.concatenate(found)


def _measure(
    recipe: SweepRecipe,
    cell: Cell,
    net: VggLikeNet,
    fitted: Fitted,
    path: Path,
    bound: SweepBound,
    chunks: SweepChunks,
) -> CellFigures:
    """Return the figures of the exported file, and write its contract into it."""
    session = open_session(path)
    data = chunks.evaluation()
    decided = _decide(session, data)
    right = decided == data.labels
    levels = []
    for es_n0_db, bound_right in zip(recipe.evaluation.es_n0_db, bound.levels, strict=True):
        level = chunks.level(es_n0_db)
        mine = _decide(session, level) == level.labels
        levels.append(
            LevelFigures(
                es_n0_db,
                int(mine.sum()),
                int(bound_right.sum()),
                int((bound_right & ~mine).sum()),
                int((mine & ~bound_right).sum()),
            )
        )
    sizes = read_layer_sizes(path, cell.bits)
    resources = estimate(sizes)
    in_integers, in_float = integer_layers(path.read_bytes())
    figures = CellFigures(
        name=cell.name,
        architecture=cell.architecture,
        bits=cell.bits,
        pruned=cell.pruned,
        epochs=fitted.epochs,
        gate_tries=fitted.tries,
        gate_wrong=fitted.wrong,
        gate_chunks=recipe.fit.gate_chunks,
        loss=fitted.loss,
        right=int(right.sum()),
        bound_right=int(bound.trained.sum()),
        chunks=len(data.labels),
        agree=int((decide(net, data).numpy() == decided).sum()),
        weights=sum(size.weights for size in sizes),
        biases=sum(size.biases for size in sizes),
        multiplications=sum(size.multiplications for size in sizes),
        bytes=0,
        integer_layers=in_integers,
        float_layers=in_float,
        dsp=resources.dsp,
        ff=resources.ff,
        lut=resources.lut,
        bram=resources.bram,
        seconds=0.0,
        level_chunks=recipe.evaluation.level_chunks,
        levels=tuple(levels),
    )
    write_contract(path, _contract(recipe, cell, net, figures))
    return figures


def _contract(recipe: SweepRecipe, cell: Cell, net: VggLikeNet, figures: CellFigures) -> Contract:
    own_db = round(-10 * math.log10(recipe.signal.noise_power), 2)
    counts = [(level.es_n0_db, level.right, figures.level_chunks) for level in figures.levels]
    counts.append((own_db, figures.right, figures.chunks))
    packages = {name: version(name) for name in ("torch", "onnx", "onnxruntime", "numpy")}
    return Contract(
        name=cell.name,
        classes=tuple(MODULATIONS),
        chunk_length=recipe.chunk_length,
        normalisation=recipe.signal.normalisation,
        phase="coherent",
        es_n0_db=(own_db, own_db),
        weight_bits=cell.bits,
        activation_bits=32 if cell.bits == 32 else 8,
        weights=nonzero_weights(net),
        pruned=cell.pruned,
        phase_noise=recipe.signal.phase_noise,
        accuracy=tuple(
            AccuracyRow(level, right / count, *clopper_pearson(right, count), count)
            for level, right, count in sorted(counts)
        ),
        recipe={
            "name": recipe.name,
            "sweep": recipe.identity,
            "seed": recipe.seed,
            "date": datetime.date.today().isoformat(),
            "versions": {"gr-amrq": __version__, **packages},
        },
    )
