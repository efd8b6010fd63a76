# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a sweep on Dask."""

import itertools
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import dask
import distributed

from amrq.errors import AmrqError
from amrq.sweep.cell import Cell, CellFigures, SweepBound, measure_sweep_bound
from amrq.sweep.folder import SweepFolder
from amrq.sweep.recipe import SweepRecipe

__all__ = ["CellProgress", "SweepWatcher", "connect", "dask_setup", "run_sweep"]


def dask_setup(worker: object) -> None:
    """Ignore the interrupt that a terminal sends to every process it started; Dask calls this in each worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


_TOPIC = "amrq-sweep"
_REPORT_SECONDS = 0.5
_POLL_SECONDS = 0.5
_ANSWER_SECONDS = 10
"""How long a scheduler may take to answer."""
_ATTEMPTS = 10
"""Workers that may die under a cell before it is given up."""


_WORKERS_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1),
    # Dask has workers give back freed memory at once, and a training that asks for it again at each step is twice as
    # slow for it.
    "MALLOC_TRIM_THRESHOLD_": 2**30,
    "MALLOC_MMAP_THRESHOLD_": 2**25,
}


class CellProgress(NamedTuple):
    """The progress of a cell in training.

    Attributes:
        name: of the cell.
        epoch: epochs done.
        loss: mean cross entropy of the last one, nats.
    """

    name: str
    epoch: int
    loss: float


class SweepWatcher:
    """Receives a sweep's reports. This class ignores all of them; override the methods that you need."""

    def training(self, progress: CellProgress) -> None:
        """Receive a cell's progress. Called from a thread of the cluster's client."""

    def finished(self, cell: Cell, figures: CellFigures) -> None:
        """Receive a finished cell, which has been written."""

    def failed(self, cell: Cell, reason: str) -> None:
        """Receive the failure of a cell."""


def connect(scheduler: str | None, workers: int) -> distributed.Client:
    """Return a client of a cluster.

    Args:
        scheduler: address of a running one, `tcp://host:8786`; None starts one on this machine, which ends with the
            client.
        workers: processes to start, of one thread each.

    Raises:
        AmrqError: there is no scheduler at the address.
    """
    # Only problems are logged: the sweep itself reports what goes well.
    settings = {
        "distributed.scheduler.allowed-failures": _ATTEMPTS,
        "distributed.nanny.pre-spawn-environ": _WORKERS_ENVIRONMENT,
        "logging.distributed": "critical",
    }
    dask.config.set(settings)
    if scheduler is None:
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
            preload=["amrq.sweep.run"],
        )
        return distributed.Client(cluster, set_as_default=False)
    try:
        return distributed.Client(scheduler, timeout=_ANSWER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise AmrqError(
            f"there is no Dask scheduler at {scheduler} ({type(error).__name__}): start one with 'dask scheduler', or "
            "leave --scheduler out to use this machine."
        ) from None


def _work(recipe: SweepRecipe, cell: Cell, parent: bytes | None, bound: SweepBound) -> Any:
    """Make a cell on a worker, telling from time to time how it stands."""
    from amrq.sweep.making import make_cell  # PyTorch is for the workers

    worker = distributed.get_worker()
    reported = 0.0

    def progress(epoch: int, loss: float) -> None:
        nonlocal reported
        if epoch == 1 or time.monotonic() - reported > _REPORT_SECONDS:
            reported = time.monotonic()
            worker.log_event(_TOPIC, {"name": cell.name, "epoch": epoch, "loss": loss})

    return make_cell(recipe, cell, parent, bound, progress)


def _reason(error: BaseException) -> str:
    if isinstance(error, AmrqError):
        return str(error)
    if isinstance(error, distributed.scheduler.KilledWorker):
        return f"{_ATTEMPTS} workers died while they worked on it."
    if isinstance(error, ModuleNotFoundError):
        return f"the workers lack the module {error.name}: install amrq with its extra [train] on them."
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def run_sweep(
    folder: SweepFolder,
    cells: Sequence[Cell],
    client: distributed.Client,
    watcher: SweepWatcher | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Make all cells that are not finished, each once its parent is.

    Only this process writes to the folder, so that the cluster needs no file system in common. A worker that dies loses
    the cell in its hands, which is started again on another; a cell that cannot be made takes its children with it and
    leaves the others alone.

    Args:
        folder: where to keep what is made.
        cells: which; parents must be among them, or finished.
        client: of the cluster.
        watcher: what hears of the progress.
        stopped: asked every half second; when it says so, the cells at work are given up and KeyboardInterrupt raised.

    Returns:
        names of the cells that could not be made, their children and those without a parent included.

    Raises:
        AmrqError: the cluster is gone, or the folder cannot be written to.
    """
    watcher = watcher or SweepWatcher()
    recipe, done = folder.recipe, folder.finished()
    ready = {cell for cell in cells if folder.usable(cell, done)}
    waiting = [cell for cell in cells if cell not in ready]
    lost: list[str] = []
    running: dict[distributed.Future[Any], Cell] = {}

    def hear(event: tuple[float, dict[str, Any]]) -> None:
        what = event[1]  # Dask adds which worker it comes from
        watcher.training(CellProgress(what["name"], what["epoch"], what["loss"]))

    bound = folder.bound() if waiting else None
    if waiting and bound is None:
        bound = _wait_for(client.submit(measure_sweep_bound, recipe, pure=False), client, stopped)
        folder.keep_bound(bound)

    def submit(cell: Cell, weights: bytes | None) -> "distributed.Future[Any]":
        with warnings.catch_warnings():
            # Some networks are large, and each is sent once.
            warnings.filterwarnings("ignore", message="Sending large graph")
            return client.submit(
                _work,
                recipe,
                cell,
                weights,
                bound,
                key=f"{cell.name}-{recipe.identity}-{time.monotonic_ns()}",
                pure=False,
                # The deepest networks take longest: they go first, so that no worker idles at the end.
                priority=_cost(recipe, cell),
            )

    def submit_ready() -> None:
        for cell in list(waiting):
            parent = cell.parent
            if parent is not None and parent.name in lost:
                waiting.remove(cell)
                lost.append(cell.name)
                watcher.failed(cell, f"{parent.name}, which it starts from, could not be made.")
            elif parent is None or folder.usable(parent, done):
                waiting.remove(cell)
                weights = None if parent is None else folder.weights(parent).read_bytes()
                running[submit(cell, weights)] = cell

    client.subscribe_topic(_TOPIC, hear)
    try:
        submit_ready()
        while running:
            for future in _finished(running, client, stopped):
                cell = running.pop(future)
                if future.status == "finished":
                    made = future.result()
                    folder.keep(made.figures, cell, made.weights, made.model)
                    done[cell.name] = made.figures
                    watcher.finished(cell, made.figures)
                else:
                    reason = (
                        _reason(future.exception()) if future.status == "error" else "the cluster gave it up."
                    )
                    lost.append(cell.name)
                    watcher.failed(cell, reason)
                future.release()
            submit_ready()
    finally:
        client.unsubscribe_topic(_TOPIC)
        if running:
            client.cancel(list(running), force=True)
    return [*lost, *(cell.name for cell in waiting)]


def _cost(recipe: SweepRecipe, cell: Cell) -> int:
    a = recipe.architecture(cell.architecture)
    widths = [a.channels[-1] * (recipe.chunk_length >> a.pools), *a.hidden]
    return sum(x * y for x, y in itertools.pairwise(widths)) - round(100 * cell.pruned)


def _finished(
    running: dict["distributed.Future[Any]", Cell], client: distributed.Client, stopped: Callable[[], bool]
) -> list["distributed.Future[Any]"]:
    """Return those that are no longer at work, at least one."""
    while True:
        if stopped():
            raise KeyboardInterrupt
        if client.status != "running":
            raise AmrqError(
                "the connection to the Dask scheduler is lost: run the same command to continue from the finished "
                "cells."
            )
        over = [future for future in running if future.status != "pending"]
        if over:
            return over
        try:
            with client.as_current():
                distributed.wait(list(running), timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED")
        except (TimeoutError, distributed.TimeoutError):
            pass
        except distributed.CancelledError:
            time.sleep(_POLL_SECONDS)  # the status says more in a moment


def _wait_for(
    future: "distributed.Future[Any]", client: distributed.Client, stopped: Callable[[], bool]
) -> Any:
    (over,) = _finished({future: Cell("", 0, 0.0)}, client, stopped)
    if over.status != "finished":
        reason = _reason(over.exception()) if over.status == "error" else "the cluster gave it up."
        raise AmrqError(f"the likelihood bound could not be measured: {reason.rstrip('.')}.")
    return over.result()
