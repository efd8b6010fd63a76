#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify simulated and recorded signals without a screen, and say how well it went.

1. The nine classes at the thesis's operating point (N_a = 0.005, so 23.0 dB Es/N0; N_p = 0.005 rad).
2. The nine classes from 0 to 25 dB Es/N0.
3. Recordings with known truth, through the symbol front end.

Everything runs through flowgraphs of this module's blocks. Pictures and a JSON file go to the output folder.

Example: python3 examples/headless.py --chunks 2000 --recordings examples/recordings
"""

import argparse
import json
import math
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import amrq, blocks, gr
from gnuradio.amrq.recording_flowgraph import recording_flowgraph
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.evaluation import clopper_pearson
from amrq.modulations import MODULATIONS
from amrq.signals import es_n0_db_from_noise_power

HERE = Path(__file__).resolve().parent
THESIS_NOISE_POWER = 0.005
THESIS_PHASE_NOISE = 0.005
GRID_DB = (0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0, 25.0)
SEED = 7
SYMBOLS = 1024
FRONT_END_DELAY = 17
"""Symbols by which the front end is late."""


class Simulation(gr.top_block):
    """modulation source -> chunker -> classifier, one class, every chunk decided on alone."""

    def __init__(self, modulation: str, es_n0_db: float, phase_noise: float, chunks: int, model: str) -> None:
        """Connect it."""
        gr.top_block.__init__(self, "headless simulation")
        self.decided: list[str] = []
        self.source = amrq.modulation_source(
            modulation, es_n0_db=es_n0_db, phase_noise=phase_noise, rotation=0.7, seed=SEED
        )
        self.sink = amrq.classifier_sink(
            model, chunks_per_decision=1, min_confidence=0.0, on_decision=self._keep
        )
        length = self.sink.contract.chunk_length
        self.head = blocks.head(gr.sizeof_gr_complex, chunks * length)
        self.chunker = amrq.chunker(length)
        self.connect(self.source, self.head, self.chunker, self.sink)

    def _keep(self, decision: Decision, truth: str | None) -> None:
        self.decided.append(decision.best)


@dataclass
class Recorded:
    """What came out for one recording."""

    name: str
    truth: str
    accepted: list[str]
    es_n0_db: float | None
    label: str = "too short"
    confidence: float = 0.0
    symbols: int = 0
    whole: dict[str, int] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether the label is among the accepted answers."""
        return self.label in self.accepted


def simulate(
    modulation: str, es_n0_db: float, phase_noise: float, arguments: argparse.Namespace
) -> Counter[str]:
    """Return how often each class was decided on."""
    flowgraph = Simulation(modulation, es_n0_db, phase_noise, arguments.chunks, arguments.model)
    flowgraph.run()
    if flowgraph.sink.error is not None:
        raise AmrqError(f"the classifier failed: {flowgraph.sink.error}")
    return Counter(flowgraph.decided)


def decide(path: Path, symbol_rate: float, start: int, count: int, model: str) -> list[Decision]:
    """Run a stretch of a recording through the flowgraph and return what it decides."""
    decisions: list[Decision] = []
    flowgraph = recording_flowgraph(
        str(path),
        symbol_rate,
        start=start,
        count=count,
        model=model,
        on_decision=lambda decision, _: decisions.append(decision),
    )
    flowgraph.run()
    flowgraph.raise_error()
    return decisions


def classify_recording(folder: Path, truth: dict[str, Any], model: str) -> Recorded:
    """Classify the longest stretch in which a recording's signal is on.

    The answer is what most of its first 1,024 symbols went into; the front end's settling is among them, and may
    come out as a decision of its own.
    """
    path = folder / f"{truth['name']}.sigmf-meta"
    start, stop = max(truth["segments"], key=lambda segment: segment[1] - segment[0])
    # Where no symbol rate exists (OFDM) any will do: the signal is none of the nine at all of them.
    symbol_rate = truth["symbol_rate"] or truth["sample_rate"] / 4
    beginning = math.ceil((SYMBOLS + FRONT_END_DELAY) * truth["sample_rate"] / symbol_rate)
    recorded = Recorded(
        truth["name"],
        truth["modulation"],
        truth["accepted"],
        truth.get("es_n0_db") or (truth.get("measured") or {}).get("snr_m2m4_db"),
    )
    first = decide(path, symbol_rate, start, min(beginning, stop - start), model)
    if first:
        answer = max(first, key=lambda decision: decision.chunks)
        recorded.label, recorded.confidence = answer.label, answer.confidence
        recorded.symbols = sum(decision.sample_count for decision in first)
    whole = decide(path, symbol_rate, start, stop - start, model)
    recorded.whole = dict(Counter(decision.label for decision in whole))
    return recorded


def confusion_picture(
    confusion: np.ndarray[Any, Any], rows: list[str], columns: list[str], path: Path
) -> None:
    """Draw the confusion matrix in per cent."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.0), layout="constrained")
    axes = figure.subplots()
    share = 100 * confusion / confusion.sum(axis=1, keepdims=True)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for i, j in np.ndindex(*share.shape):
        if share[i, j] >= 0.05:
            axes.text(
                j,
                i,
                f"{share[i, j]:.1f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if share[i, j] > 55 else "black",
            )
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("decided, from one chunk of 32 symbols")
    axes.set_ylabel("sent")
    es_n0_db = es_n0_db_from_noise_power(THESIS_NOISE_POWER)
    axes.set_title(
        f"Per cent of {int(confusion[0].sum()):,} chunks a class, Es/N0 {es_n0_db:.1f} dB, "
        f"phase noise {THESIS_PHASE_NOISE} rad",
        fontsize=10,
    )
    figure.savefig(path, dpi=110)


def accuracy_picture(accuracy: dict[str, list[float]], chunks: int, path: Path) -> None:
    """Draw accuracy against Es/N0, all classes together and each alone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    for name, values in accuracy.items():
        axes.plot(GRID_DB, values, lw=0.9, alpha=0.75, label=name)
    mean = np.mean(list(accuracy.values()), axis=0)
    total = chunks * len(accuracy)
    bounds = np.array([clopper_pearson(round(m * total), total) for m in mean]).T
    axes.fill_between(GRID_DB, bounds[0], bounds[1], color="black", alpha=0.2, lw=0)
    axes.plot(GRID_DB, mean, "k-o", ms=3.5, lw=2, label="all nine")
    axes.set_xlabel("Es/N0 [dB]")
    axes.set_ylabel("accuracy on one chunk of 32 symbols")
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(ncols=2, fontsize=8, loc="lower right")
    axes.set_title(f"{chunks:,} chunks a class and point, rotation unknown to the model", fontsize=10)
    figure.savefig(path, dpi=110)


def show_recordings(results: list[Recorded], console: Console) -> None:
    """Print truth beside decision."""
    title = f"Recordings: the decision after {SYMBOLS:,} symbols, or as many as there are"
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    for column in ("recording", "truth", "Es/N0", "", "decision", "all decisions"):
        table.add_column(column, no_wrap=column != "all decisions")
    for result in results:
        mark = "[green]✓" if result.right else "[yellow]?" if result.label == "unknown" else "[red]✗"
        # The last part of a chunk or a step of 32 symbols is not decided on: a little less is still all of it.
        fewer = "" if not 0 < result.symbols < SYMBOLS - 64 else f" ({result.symbols})"
        table.add_row(
            result.name.removesuffix("_iq_data_0"),
            result.truth.partition(" (")[0],
            "-" if result.es_n0_db is None else f"{result.es_n0_db:.1f}",
            mark,
            result.label + fewer,
            ", ".join(f"{label} {count}" for label, count in result.whole.items()),
        )
    console.print(table)
    console.print("✓ among the accepted answers   ? not recognised   ✗ wrong; Es/N0 in dB\n", highlight=False)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Run all three parts."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    names = list(MODULATIONS)
    folders = [folder for folder in arguments.recordings if (folder / "truth.json").is_file()]
    for folder in set(arguments.recordings) - set(folders):
        console.print(f"[yellow]{folder} has no truth.json: its recordings are left out")
    recordings = [
        (folder, entry) for folder in folders for entry in json.loads((folder / "truth.json").read_text())
    ]
    columns = [TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("thesis's operating point", total=len(names))
        es_n0_db = es_n0_db_from_noise_power(THESIS_NOISE_POWER)
        counts = {}
        for name in names:
            counts[name] = simulate(name, es_n0_db, THESIS_PHASE_NOISE, arguments)
            progress.advance(task)
        decided = names + sorted({label for count in counts.values() for label in count} - set(names))
        confusion = np.array([[counts[name][label] for label in decided] for name in names])

        task = progress.add_task("accuracy against Es/N0", total=len(names) * len(GRID_DB))
        accuracy: dict[str, list[float]] = {name: [] for name in names}
        for name in names:
            for level in GRID_DB:
                count = simulate(name, level, 0.0, arguments)
                accuracy[name].append(count[name] / count.total())
                progress.advance(task)

        task = progress.add_task("recordings", total=len(recordings))
        results = []
        for folder, entry in recordings:
            results.append(classify_recording(folder, entry, arguments.model))
            progress.advance(task)

    total, right = int(confusion.sum()), int(np.trace(confusion))
    low, high = clopper_pearson(right, total)
    console.print(
        f"At the thesis's operating point ({es_n0_db:.1f} dB Es/N0, phase noise {THESIS_PHASE_NOISE} rad, rotation "
        f"0.7 rad unknown to the model): {right} of {total} chunks right, {right / total:.4f} "
        f"(95 % interval {low:.4f} to {high:.4f})."
    )
    table = Table(
        title=f"Accuracy on one chunk, {arguments.chunks:,} chunks a class and point, Es/N0 in dB", box=SIMPLE
    )
    table.add_column("")
    for level in GRID_DB:
        table.add_column(f"{level:g}", justify="right")
    for name, values in {**accuracy, "all": np.mean(list(accuracy.values()), axis=0).tolist()}.items():
        table.add_row(name, *(f"{value:.2f}" for value in values))
    console.print(table)
    show_recordings(results, console)

    confusion_picture(confusion, names, decided, arguments.output / "confusion.png")
    accuracy_picture(accuracy, arguments.chunks, arguments.output / "accuracy.png")
    summary = {
        "model": arguments.model,
        "operating_point": {"chunks": total, "right": right, "interval": [low, high]},
        "es_n0_db": GRID_DB,
        "chunks_a_class_and_point": arguments.chunks,
        "accuracy": accuracy,
        "recordings": [asdict(result) | {"right": result.right} for result in results],
    }
    (arguments.output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    known = [result for result in results if set(result.accepted) & set(names)]
    foreign = [result for result in results if result not in known]
    console.print(
        f"{sum(r.right for r in known)} of {len(known)} recordings of known classes recognised; "
        f"{sum(r.right for r in foreign)} of {len(foreign)} of foreign ones called unknown. "
        f"Pictures: {arguments.output / 'confusion.png'}, {arguments.output / 'accuracy.png'}"
    )


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default", help="ONNX file or name of a shipped model")
    parser.add_argument("--chunks", type=int, default=500, help="chunks a class and point (default 500)")
    parser.add_argument("--output", type=Path, default=Path("demo-results"), help="folder for the results")
    parser.add_argument(
        "--recordings",
        type=Path,
        action="append",
        help="a folder of SigMF recordings with a truth.json; may be given again (default: examples/recordings, and "
        "shared/iq beside the repository if it is there)",
    )
    arguments = parser.parse_args()
    if arguments.recordings is None:
        beside = HERE.parents[1] / "shared" / "iq"
        arguments.recordings = [HERE / "recordings", *([beside] if beside.is_dir() else [])]
    console = Console()
    try:
        run(arguments, console)
    except AmrqError as error:
        console.print(f"headless: {error}", style="red", highlight=False)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
