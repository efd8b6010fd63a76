# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one model of a sweep."""

import copy
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
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from amrq._version import __version__
from amrq.errors import AmrqError
from amrq.evaluation import clopper_pearson
from amrq.files import parsing
from amrq.hardware import estimate, read_layer_sizes
from amrq.machine import memory_limit, onnx_runtime
from amrq.model import AccuracyRow, Contract, open_session, write_contract
from amrq.sweep.cell import Cell, CellFigures, LevelFigures, PreparedChunks, SweepBound, SweepChunks
from amrq.sweep.recipe import RoundSettings, SweepFitSettings, SweepRecipe
from amrq.training import export, nonzero_weights, quantise, remove_channels
from amrq.training.architectures import VggLikeNet

__all__ = ["FitResult", "MadeCell", "decide", "fit_to_gate", "integer_layers", "make_cell"]

_INTEGER = ("QLinearConv", "QGemm", "QLinearMatMul", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul")
_FLOAT = ("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")


def integer_layers(model: bytes) -> tuple[int, int]:
    """Return how many convolutions and dense layers of the optimised graph are integer kernels, and how many are not.

    Args:
        model: an ONNX file's content.
    """
    ort = onnx_runtime()
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(optimised)
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        operators = [node.op_type for node in onnx.load(str(optimised)).graph.node]
    return sum(o in _INTEGER for o in operators), sum(o in _FLOAT for o in operators)


_WARM_EPOCHS = 5
_LOWEST_RATE = 0.005
_LARGEST_GRADIENT = 1.0
_EVALUATED = 1_024
"""Chunks at a time, so that what the layers pass on stays in the processor's cache."""


class FitResult(NamedTuple):
    """How a training ended.

    Attributes:
        epochs: epochs trained.
        tries: how often the gate was tried.
        wrong: mistakes of the network that came out, at its try; 0 where the gate was passed.
        loss: mean cross entropy of the last epoch, nats.
    """

    epochs: int
    tries: int
    wrong: int
    loss: float


def decide(net: nn.Module, chunks: PreparedChunks) -> torch.Tensor:
    """Return int64 [N], the class that a network in evaluation mode finds most probable for each chunk."""
    with torch.no_grad():
        return torch.cat([net(part).argmax(dim=1) for part in torch.from_numpy(chunks.iq).split(_EVALUATED)])


def fit_to_gate(
    net: nn.Module,
    chunks: SweepChunks,
    stream: int,
    settings: SweepFitSettings,
    rounds: RoundSettings,
    learning_rate: float,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> FitResult:
    """Train as `SweepFitSettings` describes it, until the gate is passed or the epochs are used up.

    Every epoch has fresh chunks. All depends on the recipe, the stream and the weights at the start alone, so that a
    cell that is started again ends in the same weights on the same kind of machine.

    Args:
        net: the network; left in evaluation mode.
        chunks: of the sweep.
        stream: the cell's.
        settings: of the optimisation.
        rounds: how long it may take.
        learning_rate: of the architecture.
        progress: called after each epoch with its number, from 1 up, and its mean loss.

    Raises:
        AmrqError: the loss is no longer finite.
    """
    optimiser = torch.optim.Adam(net.parameters(), fused=True)
    epoch, loss = 0, math.inf

    def train(rate: float, size: int) -> None:
        nonlocal epoch, loss
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = _epoch(net, optimiser, chunks.epoch(stream, epoch), size)
        epoch += 1
        progress(epoch, loss)

    highest = learning_rate * rounds.rate
    anneal = min(rounds.anneal, rounds.epochs)
    hold = min(rounds.hold, rounds.epochs - anneal)
    net.train()
    while epoch < hold and not loss < settings.loss_threshold:
        train(highest * min(1.0, (epoch + 1) / _WARM_EPOCHS), settings.batch_size)
    validation = chunks.validation(stream) if settings.validation_chunks else None
    best: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    fewest, wrong = math.inf, 0
    tries = 0
    while True:
        net.train()
        for left in range(anneal - 1, -1, -1):
            early = not tries and left >= anneal / 2
            train(
                highest * max(_LOWEST_RATE, left / anneal),
                settings.batch_size if early else settings.late_batch_size,
            )
        net.eval()
        found = _mistakes(net, chunks.gate(stream, tries))
        tries += 1
        mistakes = _mistakes(net, validation) if found and validation is not None else 0
        if mistakes <= fewest:
            wrong = found
            if validation is not None:
                fewest, best = mistakes, copy.deepcopy((net.state_dict(), optimiser.state_dict()))
        else:
            net.load_state_dict(best[0])
            # It takes tensors for its own, and changes them.
            optimiser.load_state_dict(copy.deepcopy(best[1]))
        if not wrong or epoch + rounds.retry > rounds.epochs:
            return FitResult(epoch, tries, wrong, loss)
        anneal = rounds.retry
        highest = learning_rate * rounds.rate * settings.retry_rate


def _mistakes(net: nn.Module, chunks: PreparedChunks) -> int:
    return int((decide(net, chunks) != torch.from_numpy(chunks.labels)).sum())


def _epoch(net: nn.Module, optimiser: torch.optim.Optimizer, data: PreparedChunks, size: int) -> float:
    """Train on each chunk once; return the mean loss."""
    total = torch.zeros(())
    iq, labels = torch.from_numpy(data.iq), torch.from_numpy(data.labels)
    for x, y in zip(iq.split(size), labels.split(size), strict=True):
        loss = nn.functional.cross_entropy(net(x), y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), _LARGEST_GRADIENT)
        optimiser.step()
        total += loss.detach() * len(x)
    mean = float(total) / len(labels)
    if not math.isfinite(mean):
        raise AmrqError("the loss is no longer finite: lower the architecture's learning rate.")
    return mean


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
    with parsing("the weights of the cell that it starts from", "start again with --fresh"):
        with memory_limit((1 << 30) + 8 * len(packed)):
            state: dict[str, Any] = torch.load(io.BytesIO(packed), weights_only=True)
        net = VggLikeNet(len(recipe.class_set), **state["shape"], chunk_length=recipe.chunk_length)
        net.load_state_dict(state["weights"], strict=False)
        return net


def _start(recipe: SweepRecipe, cell: Cell, parent: bytes | None, chunks: SweepChunks) -> VggLikeNet:
    """Return the network that training starts from."""
    torch.manual_seed((recipe.seed << 32) + cell.stream)
    if parent is None:
        a = recipe.architecture(cell.architecture)
        return VggLikeNet(len(recipe.class_set), a.channels, a.pools, a.hidden, recipe.chunk_length)
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


def _decide(session: Any, data: PreparedChunks) -> NDArray[np.int64]:
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
    fitted: FitResult,
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
        classes=recipe.class_set.names,
        class_set=recipe.class_set,
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
