# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq evaluate`: how good a model is."""

import json
import platform
import shlex
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

import amrq
from amrq.classes import LinearSet
from amrq.classifier import engine_choices, engine_help, make_classifier
from amrq.cli.app import Fields, expanded, model_names, one_of
from amrq.errors import AmrqError, raise_together
from amrq.evaluation import (
    DEFAULT_ES_N0_DB,
    Evaluation,
    ReferenceReceivers,
    draw_pictures,
    evaluation_tables,
    measure_open_world,
    page_anew,
    report,
    verdict,
)
from amrq.evaluation import evaluate as evaluate_model
from amrq.files import made_folder, write_whole
from amrq.likelihood import LikelihoodClassifier, Receiver
from amrq.model import find_model
from amrq.options import at_least, described, option
from amrq.text import printable

__all__ = ["evaluate", "evaluate_report"]

_DEFAULT_LEVELS = ",".join(f"{level:g}" for level in DEFAULT_ES_N0_DB)
_SWEEP_LEVELS = "10,15"
_BOUND_BATCH = 250
"""Chunks that the bound takes at a time, so that the progress bar moves and Ctrl-C is heard."""


def _levels(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise AmrqError(f"{option} takes numbers in dB with commas between them, not {text!r}.") from None


class _Receiver:
    """The likelihood classifier, a few chunks at a time."""

    def __init__(
        self,
        *,
        classes: LinearSet,
        any_phase: bool,
        phase_noise: float,
        level_known: bool,
        es_n0_db: float | tuple[float, float],
    ) -> None:
        self._classifier = LikelihoodClassifier(
            Receiver(
                phase="uniform" if any_phase else "known",
                es_n0_db=es_n0_db,
                level="known" if level_known else "hidden",
                phase_noise=phase_noise,
            ),
            classes,
        )

    def __call__(self, chunks: NDArray[np.complex64]) -> NDArray[np.float64]:
        starts = range(0, len(chunks), _BOUND_BATCH)
        return np.concatenate(
            [self._classifier.log_posteriors(chunks[start : start + _BOUND_BATCH]) for start in starts]
        )


def _table(evaluation: Evaluation) -> Table:
    held = evaluation.bound_es_n0_db is not None
    extra = len(evaluation.outputs) > len(evaluation.truths)
    known = list(evaluation.levels[0].by_knowledge)[1:]
    chunks = evaluation.levels[0].named.share.of
    table = Table(
        title=f"{escape(evaluation.model)}: share of right decisions, {chunks} chunks a level", padding=(0, 0)
    )
    for heading, shown in (
        ("dB", True),
        ("one chunk", True),
        ("95 % interval", True),
        ("bound", held),
        ("gap", held),
        *((name, True) for name in known),
        ("all outputs", extra),
        ("calib. error", True),
        ("1,024 symbols", True),
    ):
        if shown:
            table.add_column(heading, justify="right", no_wrap="%" in heading, min_width=6)
    for level in evaluation.levels:
        share, gap = level.named.share, level.named.gap
        cells = [f"{level.es_n0_db:g}", f"{share.value:.4f}", "{:.3f}-{:.3f}".format(*share.exact)]
        if held:
            cells.append(f"{level.named.bound.share.value:.4f}" if level.named.bound else "-")
            cells.append(f"{100 * gap.difference:.2f}" if gap else "-")
        cells += [f"{level.by_knowledge[name].share.value:.4f}" for name in known]
        if extra:
            cells.append(f"{level.all_share.value:.4f}")
        cells.append(f"{level.calibration_error:.3f}")
        cells.append(f"{level.fused_share.value:.4f}" if level.fused_share else "-")
        table.add_row(*cells)
    return table


def _class_table(evaluation: Evaluation) -> Table:
    table = Table(title="by class", padding=(0, 0))
    table.add_column("dB", justify="right")
    for name in evaluation.truths:
        table.add_column(name, justify="right", no_wrap=True)
    for level in evaluation.levels:
        shares = level.named.class_shares()
        table.add_row(f"{level.es_n0_db:g}", *(f"{share.value:.3f}" for share in shares))
    return table


def _other_table(evaluation: Evaluation) -> Table:
    fused = evaluation.others[0].fused
    table = Table(title="signals outside the model's classes: share of decisions that claim one of them")
    table.add_column("signal")
    table.add_column("on one chunk", justify="right")
    table.add_column(f"on {fused} fused", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("goal", justify="right")
    table.add_column("mostly")
    for other in evaluation.others:
        table.add_row(
            other.kind,
            f"{other.chunks_claimed.value:.3f}",
            f"{other.claimed.value:.3f}",
            "{:.3f}-{:.3f}".format(*other.claimed.exact),
            "" if other.goal is None else f"{other.goal:g}",
            escape(other.mistaken_for),
        )
    return table


def _sweep_table(evaluation: Evaluation) -> Table:
    table = Table(title="robustness: one chunk, lowest share over each sweep")
    for heading in ("impairment", "Es/N0 dB", "without", "lowest", "at"):
        table.add_column(heading, justify="left" if heading == "impairment" else "right")
    for sweep in evaluation.impairments:
        shares = [share.value for share in sweep.shares()]
        least = int(np.argmin(shares))
        table.add_row(
            sweep.name,
            f"{sweep.es_n0_db:g}",
            f"{shares[sweep.values.index(0.0)]:.3f}",
            f"{shares[least]:.3f}",
            f"{sweep.values[least]:g} {sweep.unit}",
        )
    return table


def _open_table(evaluation: Evaluation) -> Table:
    table = Table(title="in the open: received signals with something wrong")
    for heading in ("what is wrong", "dB", "decisions", "right", "wrong name", "none"):
        table.add_column(heading, justify="left" if heading == "what is wrong" else "right")
    for row in evaluation.open_world:
        tally = row.tally
        shares = (tally.right, tally.misnamed, tally.missed + tally.undecided)
        table.add_row(
            f"{row.name} {row.value}",
            f"{row.es_n0_db:g}",
            str(tally.total),
            *(f"{count / max(1, tally.total):.2f}" for count in shares),
        )
    return table


def _show(console: Console, evaluation: Evaluation) -> None:
    console.print(_table(evaluation))
    console.print(_class_table(evaluation))
    console.print(_other_table(evaluation))
    if evaluation.impairments:
        console.print(_sweep_table(evaluation))
    if evaluation.open_world:
        console.print(_open_table(evaluation))
    colours = {True: "green", False: "red", None: "default"}
    for found in verdict(evaluation):
        words = found.goal.replace("*", "")
        goal = f" [{colours[found.met]}]Goal {words}.[/]" if found.goal else ""
        console.print(f"- {found.about}: {escape(found.text)}{goal}", highlight=False)


def _write(folder: Path, evaluation: Evaluation, command: str) -> list[str]:
    made_folder(folder)
    pictures = [picture.name for picture in draw_pictures(evaluation, folder)]
    made = (
        f"Made with `{command}` on {date.today().isoformat()}: amrq {amrq.__version__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}. All counts are in [evaluation.json](evaluation.json)."
    )
    write_whole(folder / "evaluation.json", json.dumps(evaluation.as_dict() | {"made": made}) + "\n")
    texts = {"evaluation.md": report(evaluation, pictures, made), **evaluation_tables(evaluation)}
    return [*_write_texts(folder, texts), "evaluation.json", *pictures]


def _write_texts(folder: Path, texts: dict[str, str]) -> list[str]:
    for name, text in texts.items():
        write_whole(folder / name, text)
    return list(texts)


def evaluate_report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders that `amrq evaluate -o` has written.")
    ],
) -> None:
    """Write the page and the tables of finished evaluations again, from evaluation.json. Nothing is measured.

    Pictures stay as they are.

    Example: **amrq evaluate-report docs/evaluation/***
    """
    console = Console()
    for folder, texts in [
        (folder, page_anew(folder)) for folder in folders
    ]:  # all are read before one is written
        console.print(
            f"Written to {printable(folder)}: {', '.join(_write_texts(folder, texts))}", markup=False
        )


def _folders(models: list[str], output: Path) -> list[Path]:
    if len(models) == 1:
        return [output]
    names = [find_model(model).stem for model in models]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise AmrqError(
            f"two models would write to the same folder {output / twice[0]}: evaluate them one by one."
        )
    return [output / name for name in names]


@described
@dataclass(frozen=True)
class _FreshChunks:
    """What a model is measured on."""

    chunks: int = option(1_000, "Chunks of each class at each Es/N0.", within=at_least(1))
    es_n0: str = option(_DEFAULT_LEVELS, "Es/N0 in dB, with commas between.")
    phase_noise: float = option(0.0, "Standard deviation of the phase noise.", unit="rad", within=at_least(0))
    seed: int = option(0, "Seed of the chunks.", within=at_least(0))
    open_world: int | None = option(
        None,
        "Decisions in each row of the table of the open world: signals with something wrong, through the receiver. "
        "0: no table. Without it, a fortieth of --chunks.",
        within=at_least(0),
    )
    sweeps: str = option(
        _SWEEP_LEVELS,
        "Es/N0 in dB, with commas between, at which rotation, frequency, timing, level and phase noise are swept. "
        "none: nothing is swept.",
    )


@expanded
def evaluate(
    fresh: Annotated[_FreshChunks, Fields("Chunks")],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            autocompletion=model_names,
            help="ONNX files, or names of shipped models. Several models are measured on the same chunks.  "
            "\\[default: default]",
            show_default=False,
        ),
    ] = None,
    bound: Annotated[
        bool | None,
        typer.Option(
            "--bound/--no-bound",
            help="Measure the likelihood bound on the same chunks (takes minutes). Default: only with -o.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help=engine_help(), autocompletion=one_of(engine_choices())),
    ] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for evaluation.md, evaluation.json, tables and pictures. Several models: a folder in it for "
            "each.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of tables, a line for each model.")
    ] = False,
) -> None:
    """Measure a model on fresh chunks: accuracy, calibration, robustness, and answers to signals outside its classes.

    With -o, the likelihood bound is measured too, and a page with pictures is written.

    Example: **amrq evaluate blind-full-int8 --chunks 2000 --es-n0 0,5,10,15,20 -o evaluation**
    """
    names = models or ["default"]
    levels = _levels("--es-n0", fresh.es_n0)
    swept = [] if fresh.sweeps.strip().lower() == "none" else _levels("--sweeps", fresh.sweeps)
    # All of them first: a name misspelt is refused before minutes of work, not after.
    classifiers = [make_classifier(name, engine) for name in names]
    folders: list[Path | None] = [None] * len(names)
    if output is not None:
        folders = [made_folder(folder) for folder in _folders(names, output)]
    with_bound = output is not None if bound is None else bound
    shared = ReferenceReceivers(_Receiver) if with_bound else None
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = Console()
    for name, classifier, folder in zip(names, classifiers, folders, strict=True):
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"evaluating {escape(classifier.contract.name)}")
            found = evaluate_model(
                classifier,
                fresh.chunks,
                levels,
                fresh.phase_noise,
                fresh.seed,
                lambda done, of, bar=bar, task=task: bar.update(task, completed=done, total=of),  # type: ignore[misc]
                shared,
                swept,
            )
            bar.update(task, description=f"{escape(classifier.contract.name)} in the open")
            found = replace(
                found,
                open_world=measure_open_world(
                    classifier,
                    fresh.chunks // 40 if fresh.open_world is None else fresh.open_world,
                    fresh.seed,
                    step=lambda done, of, bar=bar, task=task: bar.update(task, completed=done, total=of),  # type: ignore[misc]
                ),
            )
        written: list[str] = []
        failed: list[AmrqError] = []  # reported once what was measured is shown
        if folder is not None:
            words = [
                *("amrq", "evaluate", Path(name).name, "--chunks", str(fresh.chunks)),
                *("--es-n0", fresh.es_n0, "--phase-noise", f"{fresh.phase_noise:g}"),
                *("--seed", str(fresh.seed), "--sweeps", fresh.sweeps),
                *(() if fresh.open_world is None else ("--open-world", str(fresh.open_world))),
                *(() if with_bound else ("--no-bound",)),
                *(() if engine == "onnx" else ("--engine", engine)),
                *("-o", "evaluation"),
            ]
            try:
                written = _write(folder, found, shlex.join(words))
            except AmrqError as error:
                failed.append(error)
        if as_json:
            typer.echo(json.dumps(found.as_dict()))
            raise_together(failed)
            continue
        _show(console, found)
        raise_together(failed)
        if folder is not None:
            console.print(f"Written to {printable(folder)}: {', '.join(written)}", markup=False)
