#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify simulated and recorded signals without a screen, and count right and wrong decisions.

1. The nine classes at the thesis's operating point (N_a = 0.005, so 23.0 dB Es/N0; N_p = 0.005 rad).
2. The nine classes from 0 to 25 dB Es/N0, decided on one chunk (32 symbols) and on 32 chunks (1,024 symbols).
3. Recordings with known truth, through the symbol front end, twice: as `amrq classify FILE` does it, with nothing
   given; and with the symbol rate and the on-time given. The on-time is when the signal is on.

A decision on one of the nine classes is

- *right* if it names the modulation that was sent,
- a *wrong name* if it names another one,
- *missed* if it is `unknown` (outside the classes) or noise,
- *undecided* if it is `unsure`, or if there is no decision because no symbol rate was found.

For a signal outside the nine classes, `unknown` and noise are right. `amrq.evaluation.open_set` holds this definition.
Es/N0 is that of unit-power symbols in complex white noise of power 10^(-x/10) a symbol. In 1 and 2 the classifier gets
one clean sample a symbol; phase, level and Es/N0 are not given to it.

Everything runs through flowgraphs of this module's blocks. Pictures and a JSON file go to the output folder. The exit
status is 0 if everything ran, whatever was decided, and 2 if something could not be run.

Example: python3 examples/headless.py --chunks 1024 --recordings examples/recordings
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import amrq, blocks, gr
from gnuradio.amrq.recording_flowgraph import recording_flowgraph
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from amrq.classes import THESIS_9
from amrq.decision import Decision
from amrq.errors import AmrqError, OutputClosedError
from amrq.evaluation import NO_SYMBOL_RATE, Outcome, Tally, answer_of, clopper_pearson, outcome
from amrq.files import parsing
from amrq.live import find_in_recording
from amrq.outputs import Origin, own_stdout
from amrq.recordings import open_recording
from amrq.signals import es_n0_db_from_noise_power
from amrq.text import printable

HERE = Path(__file__).resolve().parent
THESIS_NOISE_POWER = 0.005
THESIS_PHASE_NOISE = 0.005
GRID_DB = (0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0, 25.0)
FUSED = 32
SEED = 7
WORDS = {"right": "right", "misnamed": "wrong name", "missed": "missed", "undecided": "undecided"}


class Simulation(gr.top_block):
    """modulation source -> chunker -> two classifiers: every chunk decided on alone, and 32 at a time."""

    def __init__(self, modulation: str, es_n0_db: float, phase_noise: float, chunks: int, model: str) -> None:
        """Connect it."""
        gr.top_block.__init__(self, "headless simulation")
        self.alone: Counter[str] = Counter()
        self.fused: Counter[str] = Counter()
        self.source = amrq.modulation_source(
            modulation, es_n0_db=es_n0_db, phase_noise=phase_noise, rotation=0.7, seed=SEED
        )
        self.sinks = [
            amrq.classifier_sink(model, amrq.DecisionOptions(1), on_decision=self._keep_alone),
            amrq.classifier_sink(model, amrq.DecisionOptions(FUSED), on_decision=self._keep_fused),
        ]
        length = self.sinks[0].contract.chunk_length
        self.head = blocks.head(gr.sizeof_gr_complex, chunks * length)
        self.chunker = amrq.chunker(length)
        self.connect(self.source, self.head, self.chunker)
        for sink in self.sinks:
            self.connect(self.chunker, sink)

    def _keep_alone(self, decision: Decision, truth: str | None) -> None:
        self.alone[answer_of(decision)] += 1

    def _keep_fused(self, decision: Decision, truth: str | None) -> None:
        if decision.chunks == FUSED:  # not what is left at the end
            self.fused[answer_of(decision)] += 1


@dataclass
class Answer:
    """The answers to a recording.

    Attributes:
        symbol_rate: that was given or found, symbols a second; None where none was found.
        symbols: answer to symbols that were decided so while the signal was on.
        decisions: answer to decisions, all of them.
        verdict: what most of the symbols were, while the signal was on.
        failed: why it could not be run, if it could not.
    """

    symbol_rate: float | None = None
    symbols: dict[str, int] = field(default_factory=dict)
    decisions: dict[str, int] = field(default_factory=dict)
    verdict: Outcome = "undecided"
    failed: str = ""


@dataclass
class Recorded:
    """What came out for one recording.

    Attributes:
        sent: the class that was sent; empty for a signal outside the classes.
        symbol_rate: nominal, symbols a second; None where there is none (OFDM).
        alone: nothing given, as `amrq classify FILE`.
        told: symbol rate and on-time given.
    """

    name: str
    truth: str
    sent: str
    symbol_rate: float | None
    es_n0_db: float | None
    alone: Answer
    told: Answer


def simulate(
    modulation: str, es_n0_db: float, phase_noise: float, arguments: argparse.Namespace
) -> tuple[Counter[str], Counter[str]]:
    """Return how often each answer was given: on one chunk, and on 32."""
    flowgraph = Simulation(modulation, es_n0_db, phase_noise, arguments.chunks, arguments.model)
    flowgraph.run()
    for sink in flowgraph.sinks:
        if sink.error is not None:
            raise AmrqError(f"the classifier failed: {sink.error}")
    return flowgraph.alone, flowgraph.fused


def classify(
    path: Path, sent: str, on: list[list[int]], symbol_rate: float | None, span: tuple[int, int], model: str
) -> Answer:
    """Run a stretch of a recording through the flowgraph.

    Args:
        path: of the recording.
        sent: what it is, a class or nothing.
        on: first sample and the one after the last of each stretch in which the signal is on.
        symbol_rate: None to have it found as `amrq classify` does, and the signal's place in the band.
        span: first sample and number of samples that are classified; 0 for all that follow.
        model: a file or name.
    """
    try:
        recording, offset = open_recording(path), 0.0
        if symbol_rate is None:
            try:
                signal = find_in_recording(recording)
            except AmrqError:  # the command would report this and end
                return Answer()
            assert signal.symbol_rate is not None
            symbol_rate, offset = signal.symbol_rate.rate, signal.offset
        decisions: list[Decision] = []
        sink = amrq.classifier_sink(
            model,
            stream=amrq.StreamInfo(symbol_rate=symbol_rate, offset=offset),
            on_decision=lambda decision, _: decisions.append(decision),
        )
        flowgraph = recording_flowgraph(recording, sink, start=span[0], count=span[1])
        flowgraph.run()
        flowgraph.raise_error()
    except AmrqError as error:
        return Answer(symbol_rate, failed=str(error))
    begin = span[0] / recording.sample_rate
    origin = Origin(
        source=path.name,
        symbol_rate=symbol_rate,
        model="",
        model_sha256="",
        start=begin,
        begun=None,
        tunings=(),
    )
    symbols: Counter[str] = Counter()
    for decision in decisions:
        seconds = flowgraph.sink.timeline.locate(origin, decision.sample_index).seconds(decision.sample_index)
        first = seconds * recording.sample_rate
        last = first + decision.sample_count * recording.sample_rate / symbol_rate
        shared = sum(max(0.0, min(last, stop) - max(first, start)) for start, stop in on)
        symbols[answer_of(decision)] += round(shared * symbol_rate / recording.sample_rate)
    most = symbols.most_common(1)
    verdict: Outcome = outcome(most[0][0], sent) if most and most[0][1] else "undecided"
    answers = Counter(map(answer_of, decisions))
    return Answer(symbol_rate, dict(symbols), dict(answers), verdict)


def classify_recording(folder: Path, truth: dict[str, Any], model: str) -> Recorded:
    """Classify a recording with nothing given, and with the symbol rate and on-time that truth.json gives."""
    path = folder / f"{truth['name']}.sigmf-meta"
    sent = "" if "unknown" in truth["accepted"] else truth["accepted"][0]
    on = truth["segments"]
    start, stop = max(on, key=lambda segment: segment[1] - segment[0])
    # Where no symbol rate exists (OFDM) any will do: the signal is outside the nine at all of them.
    symbol_rate = truth["symbol_rate"] or truth["sample_rate"] / 4
    return Recorded(
        truth["name"],
        truth["modulation"],
        sent,
        truth["symbol_rate"],
        truth.get("es_n0_db") or (truth.get("measured") or {}).get("snr_m2m4_db"),
        classify(path, sent, on, None, (0, 0), model),
        classify(path, sent, on, symbol_rate, (start, stop - start), model),
    )


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
    axes.set_xlabel("answer, from one chunk of 32 symbols")
    axes.set_ylabel("sent")
    es_n0_db = es_n0_db_from_noise_power(THESIS_NOISE_POWER)
    axes.set_title(
        f"Per cent of {int(confusion[0].sum()):,} chunks a class, Es/N0 {es_n0_db:.1f} dB, "
        f"phase noise {THESIS_PHASE_NOISE} rad",
        fontsize=10,
    )
    figure.savefig(path, dpi=110)


def accuracy_picture(alone: dict[str, list[Tally]], fused: dict[str, list[Tally]], path: Path) -> None:
    """Draw the share of right decisions against Es/N0: each class alone on one chunk, all of them on one and on 32."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    for name, tallies in alone.items():
        axes.plot(GRID_DB, [t.right / t.total for t in tallies], lw=0.9, alpha=0.75, label=name)
    for found, style, label in ((alone, "k-o", "all nine"), (fused, "k--s", "all nine, 32 chunks")):
        together = summed(found)
        bounds = np.array([clopper_pearson(t.right, t.total) for t in together]).T
        axes.fill_between(GRID_DB, bounds[0], bounds[1], color="black", alpha=0.2, lw=0)
        axes.plot(GRID_DB, [t.right / t.total for t in together], style, ms=3.5, lw=2, label=label)
    axes.set_xlabel("Es/N0 [dB]")
    axes.set_ylabel("share of right decisions")
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(ncols=2, fontsize=8, loc="lower right")
    axes.set_title("One chunk of 32 symbols; 95 % intervals; rotation unknown to the model", fontsize=10)
    figure.savefig(path, dpi=110)


def summed(found: dict[str, list[Tally]]) -> list[Tally]:
    """Add up the classes."""
    return [sum(column, Tally()) for column in zip(*found.values(), strict=True)]


def show_simulation(alone: dict[str, list[Tally]], fused: dict[str, list[Tally]], console: Console) -> None:
    """Print the shares of each outcome."""
    one, many = summed(alone), summed(fused)
    table = Table(
        title=f"Simulated, in per cent: decisions on one chunk of 32 symbols ({one[0].total:,} a level) and on {FUSED} "
        f"chunks ({many[0].total:,} a level)",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("Es/N0, dB")
    for level in GRID_DB:
        table.add_column(f"{level:g}", justify="right")
    for name, tallies in alone.items():
        table.add_row(f"{name} right", *(f"{100 * t.right / t.total:.0f}" for t in tallies))
    for what, column in (("1 chunk", one), (f"{FUSED} chunks", many)):
        table.add_section()
        for kind, word in WORDS.items():
            table.add_row(f"{what}: {word}", *(f"{100 * getattr(t, kind) / t.total:.0f}" for t in column))
    console.print(table)


MARKS = {"right": "[green]✓", "misnamed": "[red]✗", "missed": "[red]–", "undecided": "[yellow]?"}


def said(answer: Answer) -> str:
    """Write the answers to a recording."""
    if answer.failed:
        return "[red]failed"
    if answer.symbol_rate is None:
        return f"{MARKS['undecided']}[/] {NO_SYMBOL_RATE}"
    answers = ", ".join(f"{text} {count}" for text, count in answer.decisions.items())
    return f"{MARKS[answer.verdict]}[/] {answers or 'too short'}"


def show_recordings(results: list[Recorded], console: Console) -> None:
    """Print the answers to each recording, with nothing given and with symbol rate and on-time given."""
    table = Table(title="Recordings: how often each answer was given", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("recording and truth", no_wrap=True)
    table.add_column("nothing given: amrq classify FILE")
    table.add_column("symbol rate and on-time given")
    for result in results:
        name = result.name.removesuffix("_iq_data_0")
        outside = "" if result.sent else ", outside the classes"
        table.add_row(
            f"{name}\n  {result.truth.partition(' (')[0]}{outside}",
            *(said(answer) for answer in (result.alone, result.told)),
        )
    console.print(table)
    console.print(
        "The mark is what most of the symbols got while the signal was on: ✓ right, which for a signal outside the "
        "classes is unknown or noise; ✗ a wrong name; – missed; ? undecided. Between transmissions there is noise.\n",
        highlight=False,
    )


def count(results: Iterable[Recorded], told: bool) -> str:
    """Count recordings in one sentence."""
    answers = [(result.sent, result.told if told else result.alone) for result in results]
    known = Tally.of_outcomes(answer.verdict for sent, answer in answers if sent and not answer.failed)
    outside = Tally.of_outcomes(answer.verdict for sent, answer in answers if not sent and not answer.failed)
    return (
        f"of {known.total} recordings of the nine classes, {known.right} right, {known.misnamed} with a wrong name, "
        f"{known.missed} missed, {known.undecided} undecided; of {outside.total} recordings of other signals, "
        f"{outside.right} right, {outside.misnamed} with a wrong name, {outside.undecided} undecided."
    )


def read_truth(folder: Path) -> list[dict[str, Any]]:
    """Return what a folder's truth.json says of each recording."""
    with parsing(
        folder / "truth.json", "it lists name, modulation, symbol_rate, sample_rate, segments, accepted"
    ):
        entries = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        for entry in entries:
            if not (entry["segments"] and entry["accepted"] and entry["sample_rate"] > 0):
                raise ValueError(f"{entry['name']} lacks segments, accepted answers or a sample rate")
            str(entry["name"]), str(entry["modulation"]), float(entry["symbol_rate"] or 0)
    return list(entries)


@dataclass
class Simulated:
    """What came out of the simulations: one tally a class, and one a class and level."""

    thesis: Tally
    alone: dict[str, list[Tally]]
    fused: dict[str, list[Tally]]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "operating_point": {
                **asdict(self.thesis),
                "decisions": self.thesis.total,
                "interval": clopper_pearson(self.thesis.right, self.thesis.total),
            },
            "es_n0_db": GRID_DB,
            "one_chunk": {name: [asdict(tally) for tally in tallies] for name, tallies in self.alone.items()},
            "fused_chunks": FUSED,
            "fused": {name: [asdict(tally) for tally in tallies] for name, tallies in self.fused.items()},
        }

    def show(self, console: Console) -> None:
        """Print it."""
        thesis = self.thesis
        low, high = clopper_pearson(thesis.right, thesis.total)
        es_n0_db = es_n0_db_from_noise_power(THESIS_NOISE_POWER)
        console.print(
            f"Decisions on one chunk of 32 symbols at the thesis's operating point ({es_n0_db:.1f} dB Es/N0, phase "
            f"noise {THESIS_PHASE_NOISE} rad, rotation 0.7 rad unknown to the model): of {thesis.total:,}, "
            f"{thesis.right:,} right, {thesis.misnamed} with a wrong name, {thesis.missed} missed, {thesis.undecided} "
            f"undecided. Share right: {thesis.right / thesis.total:.4f} (95 % interval {low:.4f} to {high:.4f})."
        )
        show_simulation(self.alone, self.fused, console)


def run_simulations(arguments: argparse.Namespace, progress: Progress) -> Simulated:
    """Run the first two parts and draw them."""
    names = list(THESIS_9)
    task = progress.add_task("thesis's operating point", total=len(names))
    es_n0_db = es_n0_db_from_noise_power(THESIS_NOISE_POWER)
    counts = {}
    for name in names:
        counts[name], _ = simulate(name, es_n0_db, THESIS_PHASE_NOISE, arguments)
        progress.advance(task)
    decided = names + sorted({label for count in counts.values() for label in count} - set(names))
    confusion = np.array([[counts[name][label] for label in decided] for name in names])

    task = progress.add_task("the nine classes against Es/N0", total=len(names) * len(GRID_DB))
    alone: dict[str, list[Tally]] = {name: [] for name in names}
    fused: dict[str, list[Tally]] = {name: [] for name in names}
    for name in names:
        for level in GRID_DB:
            labels, of_many = simulate(name, level, 0.0, arguments)
            alone[name].append(Tally.of_answers(labels, name))
            fused[name].append(Tally.of_answers(of_many, name))
            progress.advance(task)
    confusion_picture(confusion, names, decided, arguments.output / "confusion.png")
    accuracy_picture(alone, fused, arguments.output / "accuracy.png")
    return Simulated(sum((Tally.of_answers(counts[name], name) for name in names), Tally()), alone, fused)


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Run all parts, write and print what comes out, and return whether all could be run."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    recordings = [(folder, entry) for folder in arguments.recordings for entry in read_truth(folder)]
    summary: dict[str, Any] = {
        "model": arguments.model,
        "date": time.strftime("%Y-%m-%d"),
        "gnuradio": gr.version(),
        **{package: version(package) for package in ("onnxruntime", "numpy")},
    }
    columns = [TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        simulated = None if arguments.recordings_only else run_simulations(arguments, progress)
        task = progress.add_task("recordings", total=len(recordings))
        results = []
        for folder, entry in recordings:
            results.append(classify_recording(folder, entry, arguments.model))
            progress.advance(task)
    # Files first: they are there even if nobody takes what is printed.
    summary |= {} if simulated is None else simulated.as_dict()
    summary["recordings"] = [asdict(result) for result in results]
    (arguments.output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    if simulated is not None:
        simulated.show(console)
    show_recordings(results, console)
    console.print(f"Nothing given: {count(results, told=False)}", highlight=False)
    console.print(f"Symbol rate and on-time given: {count(results, told=True)}", highlight=False)
    if simulated is not None:
        console.print(f"Pictures: {arguments.output / 'confusion.png'}, {arguments.output / 'accuracy.png'}")
    failed = {
        f"{result.name}: {answer.failed}": None
        for result in results
        for answer in (result.alone, result.told)
        if answer.failed
    }
    for line in failed:
        say(line)
    return not failed


def say(error: object) -> None:
    """Print an error on standard error."""
    print(f"headless: {printable(error, 2000)}", file=sys.stderr)


def at_least_32(text: str) -> int:
    """Read a number of chunks."""
    number = int(text)
    if number < FUSED:
        raise argparse.ArgumentTypeError(f"{number} is too few: it takes {FUSED} chunks or more")
    return number


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default", help="ONNX file or name of a shipped model")
    parser.add_argument(
        "--chunks", type=at_least_32, default=512, help="chunks a class and level, 32 or more (default 512)"
    )
    parser.add_argument("--output", type=Path, default=Path("demo-results"), help="folder for the results")
    parser.add_argument(
        "--recordings",
        type=Path,
        action="append",
        help="a folder of SigMF recordings with a truth.json; may be given again (default: examples/recordings, and "
        "shared/iq beside the repository if it is there)",
    )
    parser.add_argument("--recordings-only", action="store_true", help="leave the simulations out")
    arguments = parser.parse_args()
    if arguments.recordings is None:
        beside = HERE.parents[1] / "shared" / "iq"
        arguments.recordings = [HERE / "recordings"]
        if (beside / "truth.json").is_file():
            arguments.recordings.append(beside)
    try:
        with own_stdout() as out:
            return 0 if run(arguments, Console(file=out)) else 2
    except AmrqError as error:
        if not isinstance(error, OutputClosedError):  # whoever read it has enough
            say(error)
        return error.exit_status
    except OSError as error:
        say(f"{error}.")
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
