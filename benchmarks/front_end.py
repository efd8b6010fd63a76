#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the symbol front end costs: the same model on ideal symbols and on what the front end makes of a signal.

Signals of all nine classes pass symbol_front_end, chunks of 32 and the classifier with its tracking, as `amrq live`
connects them; ideal symbols (one sample each, any rotation, white noise of the same Es/N0) pass the classifier alone.
Counted are right decisions among the nine modulations, on one chunk and on 32 fused (1,024 symbols), after the first
512 symbols. One thing at a time is varied around 4.7 samples a symbol, roll-off 0.35, carrier off by 2 % of the symbol
rate, symbol rate right; and all of them drawn at random together (2.5 to 16 samples a symbol, roll-off 0.2 to 0.5,
carrier within 5 %, symbol rate within 0.2 %). For the latter, the first 2,048 symbols also show when the
front end has locked.

Finished rows are appended to the output; a run that is stopped, or ends after --minutes, is continued when it is
started again. It takes half an hour of a core. --pages writes the tables of benchmarks/README.md.

Examples:
  python3 benchmarks/front_end.py -o benchmarks/results/front_end.csv --anew && python3 benchmarks/front_end.py --pages
  python3 benchmarks/front_end.py -o trial.csv --draws 2
  python3 benchmarks/front_end.py -o benchmarks/results/front_end.csv --pictures benchmarks/results
"""

import argparse
import csv
import itertools
import json
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gnuradio import blocks, gr
from gnuradio.amrq.symbol_front_end import symbol_front_end
from numpy.typing import NDArray
from resumable import between, read, write_about

from amrq.classes import THESIS_9
from amrq.classifier import make_classifier
from amrq.evaluation import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, clopper_pearson, fuse
from amrq.signals import received_signal
from amrq.tracking import Tracker

LENGTH = 32
LOCK = 16  # chunks before anything is counted: 512 symbols
COUNTED = 64  # chunks behind them: two decisions on 1,024 symbols
LEVELS = (5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0, 25.0)
SWEPT_AT = (12.5, 20.0)
SWEEPS = {
    "samples a symbol": (2.5, 3.0, 4.7, 6.3, 8.0, 11.3, 16.0),
    "roll-off": (0.2, 0.25, 0.3, 0.35, 0.4, 0.5),
    "carrier offset": (-0.05, -0.035, -0.02, 0.0, 0.02, 0.035, 0.05),
    "symbol rate error": (-0.005, -0.002, -0.0005, 0.0, 0.0005, 0.002, 0.005),
}
USUAL = {"samples a symbol": 4.7, "roll-off": 0.35, "carrier offset": 0.02, "symbol rate error": 0.0}


class Point(NamedTuple):
    """What is measured in one go: one kind of signal, one class, one Es/N0."""

    kind: str  # ideal, at random, or what is varied
    value: float  # of what is varied
    es_n0_db: float
    modulation: str


FIELDS = (*Point._fields, "draws", "chunks", "right", "decisions", "right_decisions", "by_chunk")


def points() -> Iterator[Point]:
    """All that is measured."""
    for name in THESIS_9:
        for level in LEVELS:
            yield Point("ideal", 0.0, level, name)
            yield Point("at random", 0.0, level, name)
        for level in SWEPT_AT:
            for kind, values in SWEEPS.items():
                for value in values:
                    yield Point(kind, value, level, name)


def symbols_of(point: Point, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Draw one signal and return the symbols that reach the chunker."""
    count = (LOCK + COUNTED) * LENGTH
    sent = rng.choice(THESIS_9[point.modulation].points, count + 96)
    if point.kind == "ideal":
        noise = rng.standard_normal((count, 2)).view(np.complex128)[:, 0]
        turned = sent[:count] * np.exp(2j * np.pi * rng.random())
        return (turned + np.sqrt(0.5 * 10 ** (-point.es_n0_db / 10)) * noise).astype(np.complex64)
    if point.kind == "at random":
        values = {
            "samples a symbol": float(np.exp(rng.uniform(np.log(2.5), np.log(16)))),
            "roll-off": rng.uniform(0.2, 0.5),
            "carrier offset": rng.uniform(-0.05, 0.05),
            "symbol rate error": rng.uniform(-0.002, 0.002),
        }
    else:
        values = USUAL | {point.kind: point.value}
    # What the front end is told, and what is sent.
    told = values["samples a symbol"]
    real = told / (1 + values["symbol rate error"])
    samples = received_signal(
        sent, real, values["roll-off"], point.es_n0_db, rng, offset=values["carrier offset"]
    )
    flowgraph = gr.top_block()
    # Blocks in Python must be held by someone while they run.
    front_end, sink = symbol_front_end(told, 1.0), blocks.vector_sink_c()
    flowgraph.connect(blocks.vector_source_c(samples), front_end, sink)
    flowgraph.run()
    found = np.array(sink.data(), dtype=np.complex64)[:count]
    if len(found) < count:
        raise RuntimeError(f"only {len(found)} symbols of {count} came out of the front end at {point}.")
    return found


def measure(point: Point, draws: int, model: str) -> dict[str, Any]:
    """Draw so many signals and count."""
    classifier = make_classifier(model)
    contract = classifier.contract
    names = list(contract.classes[: len(THESIS_9)])
    truth = names.index(point.modulation)
    by_chunk = np.zeros(LOCK + COUNTED, dtype=int)
    decisions = right_decisions = 0
    for draw in range(draws):
        # The ideal symbols of a level do not depend on anything else, nor does any point on the order of points.
        rng = np.random.default_rng([20261124, zlib.crc32(repr(point).encode()), draw])
        chunks = symbols_of(point, rng).reshape(-1, LENGTH)
        tracker = Tracker(contract.weighed(), LENGTH)
        starts = LENGTH * np.arange(len(chunks), dtype=np.int64)
        level = tracker.level(chunks, starts)
        evidence = classifier.classify(chunks, level.power)
        refined = tracker.refine(evidence, tracker.noise(evidence, starts, level))
        by_chunk += refined.log_probabilities[:, : len(names)].argmax(axis=1) == truth
        for decision in fuse(contract, evidence.part(LOCK, len(chunks)), 32):
            decisions += 1
            best = max(names, key=lambda name: decision.log_probabilities[name])
            right_decisions += best == point.modulation
    return {
        **point._asdict(),
        "draws": draws,
        "chunks": draws * COUNTED,
        "right": int(by_chunk[LOCK:].sum()),
        "decisions": decisions,
        "right_decisions": right_decisions,
        "by_chunk": " ".join(map(str, by_chunk)) if point.kind in ("ideal", "at random") else "",
    }


def run(path: Path, draws: int, processes: int, model: str, minutes: float | None) -> None:
    """Measure what is missing: first signals with all at random, and ideal symbols."""
    done = {
        Point(row["kind"], float(row["value"]), float(row["es_n0_db"]), row["modulation"])
        for row in read(path)
    }
    todo = [point for point in points() if point not in done]
    todo.sort(key=lambda point: (point.kind in SWEEPS, zlib.crc32(repr(point).encode())))
    new, started = not path.is_file(), time.monotonic()
    with path.open("a", newline="", encoding="utf-8") as file, ProcessPoolExecutor(processes) as pool:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        left = iter(todo)
        while minutes is None or time.monotonic() - started < 60 * minutes:
            some = list(itertools.islice(left, 4 * processes))
            if not some:
                break
            # Fewer where one value is one of many.
            counts = [draws if point.kind not in SWEEPS else max(1, draws // 3) for point in some]
            writer.writerows(pool.map(measure, some, counts, [model] * len(some)))
            file.flush()
    whole = not set(points()) - {
        Point(row["kind"], float(row["value"]), float(row["es_n0_db"]), row["modulation"])
        for row in read(path)
    }
    write_about(
        path,
        model=make_classifier(model).contract.name,
        gnuradio=gr.version(),
        symbols_before_counting=LOCK * LENGTH,
        draws=draws,
        whole=whole,
    )


class Share(NamedTuple):
    """A share of right answers, with its 95 % interval."""

    value: float
    low: float
    high: float


def shares(rows: list[dict[str, str]], what: str = "chunks") -> Share:
    """Pool rows."""
    right, of = ("right", "chunks") if what == "chunks" else ("right_decisions", "decisions")
    hits, count = sum(int(row[right]) for row in rows), sum(int(row[of]) for row in rows)
    return Share(hits / count, *clopper_pearson(hits, count))


def locked_after(rows: list[dict[str, str]], within: float = 0.03) -> int | None:
    """Symbols after which the share of right chunks stays within 3 points of what it settles at."""
    curve = curve_of(rows)
    smooth = np.convolve(curve, np.full(4, 0.25), "valid")
    settled = curve[LOCK:].mean()
    late = np.flatnonzero(smooth < settled - within)
    first = 0 if not len(late) else int(late[-1]) + 1
    return None if first >= len(smooth) else LENGTH * first


def curve_of(rows: list[dict[str, str]]) -> NDArray[np.float64]:
    """Share of right chunks, chunk by chunk from the signal's first symbol on."""
    counts = np.array([[int(n) for n in row["by_chunk"].split()] for row in rows])
    return np.asarray(counts.sum(axis=0) / sum(int(row["draws"]) for row in rows))


def report(rows: list[dict[str, str]]) -> str:
    """Return tables in Markdown."""

    def of(kind: str, level: float, value: float = 0.0, name: str | None = None) -> list[dict[str, str]]:
        return [
            row
            for row in rows
            if row["kind"] == kind
            and float(row["es_n0_db"]) == level
            and float(row["value"]) == value
            and name in (None, row["modulation"])
        ]

    lines = [
        "| Es/N0 dB | ideal symbols | behind the front end | lost, points | 32 chunks: ideal | front end | locked |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for level in LEVELS:
        ideal, real = of("ideal", level), of("at random", level)
        a, b = shares(ideal), shares(real)
        c, d = shares(ideal, "decisions"), shares(real, "decisions")
        lock = locked_after(real)
        lines.append(
            f"| {level:g} | {a.value:.4f} | {b.value:.4f} | {100 * (a.value - b.value):.2f} "
            f"| {c.value:.4f} | {d.value:.4f} | {'later' if lock is None else lock} |"
        )
    lines += ["", "| lost, points | " + " | ".join(f"{level:g} dB" for level in LEVELS) + " |"]
    lines.append("|---" * (len(LEVELS) + 1) + "|")
    for name in THESIS_9:
        lost = [
            100
            * (shares(of("ideal", level, name=name)).value - shares(of("at random", level, name=name)).value)
            for level in LEVELS
        ]
        lines.append(f"| {name} | " + " | ".join(f"{value:.1f}" for value in lost) + " |")
    for kind, values in SWEEPS.items():
        lines += ["", f"| {kind} | " + " | ".join(f"{value:g}" for value in values) + " |"]
        lines.append("|---" * (len(values) + 1) + "|")
        for level in SWEPT_AT:
            ideal = shares(of("ideal", level)).value
            lost = [100 * (ideal - shares(of(kind, level, value)).value) for value in values]
            lines.append(f"| lost at {level:g} dB | " + " | ".join(f"{value:.1f}" for value in lost) + " |")
    return "\n".join(lines) + "\n"


PAGE = Path(__file__).parent / "README.md"
RESULTS = Path(__file__).parent / "results" / "front_end.csv"


def points_of(share: float) -> str:
    """Write a difference of shares in points."""
    return f"{round(100 * share, 1) + 0.0:.1f}"  # no minus before a 0


def tables(rows: list[dict[str, str]], about: dict[str, Any]) -> str:
    """Return what benchmarks/README.md says of the measurement, in Markdown."""

    def of(kind: str, level: float, **wanted: str) -> list[dict[str, str]]:
        return [
            row
            for row in rows
            if row["kind"] == kind
            and float(row["es_n0_db"]) == level
            and all(row[name] == value for name, value in wanted.items())
        ]

    def short(share: float) -> str:
        return "1.00" if share > 0.9995 else f"{share:.3f}".lstrip("0")

    lines = [f"Measured on {about['date']} with {about['model']}.", ""]
    heads = (
        "one chunk: ideal | front end | lost, points | 32 chunks: ideal | front end | locked after, symbols"
    )
    lines.append(f"| Es/N0 dB | {heads} |")
    lines.append("|---|---|---|---|---|---|---|")
    for level in LEVELS:
        ideal, real = of("ideal", level), of("at random", level)
        one, other = shares(ideal), shares(real)
        fused, fused_real = shares(ideal, "decisions"), shares(real, "decisions")
        lock = locked_after(real)
        cells = [f"{level:g}", short(one.value), short(other.value), points_of(one.value - other.value)]
        cells += [short(fused.value), short(fused_real.value), "later" if lock is None else str(lock)]
        lines.append(f"| {' | '.join(cells)} |")
    chunks, decisions = (
        sum(int(row[what]) for row in of("at random", LEVELS[0])) for what in ("chunks", "decisions")
    )
    lines += [
        "",
        f"Each level and column has {chunks:,} single chunks and {decisions:,} decisions on 1,024 symbols.",
    ]
    lines += ["Points lost by class, one chunk:", ""]
    lines.append("| sent | " + " | ".join(f"{level:g} dB" for level in LEVELS) + " |")
    lines.append("|---" + "|---:" * len(LEVELS) + "|")
    for name in THESIS_9:
        pairs = [[of(kind, level, modulation=name) for kind in ("ideal", "at random")] for level in LEVELS]
        lost = [points_of(shares(one).value - shares(other).value) for one, other in pairs]
        lines.append(f"| {name} | {' | '.join(lost)} |")
    lines += ["", "Most points lost where one thing is varied:", ""]
    lines += ["| varied | " + " | ".join(f"{level:g} dB" for level in SWEPT_AT) + " |", "|---|---|---|"]
    for kind, values in SWEEPS.items():
        most = []
        for level in SWEPT_AT:
            ideal_share = shares(of("ideal", level)).value
            lost_at = {
                value: 100 * (ideal_share - shares(some).value)
                for value in values
                if (some := of(kind, level, value=str(value)))
            }
            worst = max(lost_at, key=lambda value: lost_at[value], default=None)
            most.append("-" if worst is None else f"{lost_at[worst]:.1f}, at {worst:g}")
        lines.append(f"| {kind}, {values[0]:g} to {values[-1]:g} | {' | '.join(most)} |")
    return "\n".join(lines) + "\n"


def filled(page: str, rows: list[dict[str, str]], about: dict[str, Any]) -> str:
    """Return a page with what `tables` returns between its marks."""
    return between(page, "front end", tables(rows, about))


def draw(rows: list[dict[str, str]], folder: Path) -> None:
    """Write the pictures."""
    from matplotlib.figure import Figure

    styles = dict(
        zip(
            THESIS_9,
            zip((BLUE, SKY, BLACK, GREEN, ORANGE, VERMILION, PURPLE, GREY, BLUE), "o^sDvP*Xp", strict=True),
            strict=True,
        )
    )
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    levels = np.array(LEVELS)
    for kind, color, marker in (("ideal", BLACK, "o"), ("at random", VERMILION, "s")):
        found = [
            shares([r for r in rows if r["kind"] == kind and float(r["es_n0_db"]) == level])
            for level in levels
        ]
        value = np.array([share.value for share in found])
        bars = [value - [share.low for share in found], [share.high for share in found] - value]
        label = "ideal symbols" if kind == "ideal" else "behind the front end"
        left.errorbar(levels, value, bars, color=color, marker=marker, ms=4, capsize=2, label=label)
    left.set_ylabel("share of right decisions on one chunk")
    left.legend(loc="lower right")
    for name, (color, marker) in styles.items():
        lost = []
        for level in levels:
            pair = [
                [
                    r
                    for r in rows
                    if r["kind"] == k and float(r["es_n0_db"]) == level and r["modulation"] == name
                ]
                for k in ("ideal", "at random")
            ]
            lost.append(100 * (shares(pair[0]).value - shares(pair[1]).value))
        dashes = "--" if name == "32QAM" else "-"  # eight colours, nine classes
        middle.plot(levels, lost, color=color, marker=marker, ms=4, lw=1, ls=dashes, label=name)
    middle.fill_between([12.5, 26], -5, 3, color=GREY, alpha=0.3, lw=0)
    middle.set_xlim(4, 26)
    middle.set_ylabel("lost against ideal symbols, points")
    middle.legend(fontsize="small", ncols=2)
    for level, color in ((7.5, SKY), (12.5, BLUE), (15.0, GREEN), (20.0, VERMILION)):
        curve = curve_of([r for r in rows if r["kind"] == "at random" and float(r["es_n0_db"]) == level])
        right.plot(LENGTH * (np.arange(len(curve)) + 0.5), curve, color=color, lw=1.2, label=f"{level:g} dB")
    right.axvline(500, color=BLACK, lw=0.8, ls=":")
    right.set_xlabel("symbols since the signal's first")
    right.set_ylabel("share of right decisions on one chunk")
    right.legend(loc="lower right")
    for axes in (left, middle):
        axes.set_xlabel("Es/N0, dB")
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    figure.suptitle(
        "All at random: 2.5 to 16 samples a symbol, roll-off 0.2 to 0.5, carrier 5 %, symbol rate 0.2 %"
    )
    figure.savefig(folder / "front_end.png", dpi=110)

    figure = Figure(figsize=(12, 3.4), layout="constrained")
    grid = figure.subplots(1, len(SWEEPS), sharey=True)
    for axes, (kind, values) in zip(grid, SWEEPS.items(), strict=True):
        share = kind in ("carrier offset", "symbol rate error")
        scale = 100 if share else 1
        for level, color, marker in zip(SWEPT_AT, (BLUE, VERMILION), "os", strict=True):
            at = [r for r in rows if float(r["es_n0_db"]) == level]
            ideal = shares([r for r in at if r["kind"] == "ideal"]).value
            found = [shares([r for r in at if r["kind"] == kind and float(r["value"]) == v]) for v in values]
            lost = 100 * (ideal - np.array([share.value for share in found]))
            bars = 100 * np.array(
                [[share.high - share.value for share in found], [share.value - share.low for share in found]]
            )
            axes.errorbar(
                scale * np.array(values),
                lost,
                bars,
                color=color,
                marker=marker,
                ms=4,
                capsize=2,
                label=f"{level:g} dB",
            )
        axes.axhspan(-3, 3, color=GREY, alpha=0.3, lw=0)
        axes.set_xlabel(kind + (", % of the symbol rate" if share else ""))
        axes.grid(alpha=0.3)
    grid[0].set_ylabel("lost against ideal symbols, points")
    grid[0].legend(title="Es/N0")
    figure.savefig(folder / "front_end_sweeps.png", dpi=110)


def main() -> None:
    """Measure, tell, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to append to")
    parser.add_argument("--draws", type=int, default=48, help="signals a class and Es/N0 (default 48)")
    parser.add_argument("--processes", type=int, default=2, help="processes side by side (default 2)")
    parser.add_argument("--model", default="default", help="ONNX file or name of a shipped model")
    parser.add_argument(
        "--pictures", type=Path, help="draw what is there into this folder, and measure nothing"
    )
    parser.add_argument("--minutes", type=float, help="end after so many; a later run goes on")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--pages", action="store_true", help="write the page's tables, and measure nothing")
    arguments = parser.parse_args()
    if arguments.pages:
        about = json.loads(arguments.output.with_suffix(".json").read_text(encoding="utf-8"))
        text = filled(PAGE.read_text(encoding="utf-8"), read(arguments.output), about)
        PAGE.write_text(text, encoding="utf-8")
        return
    if arguments.pictures is None:
        if arguments.anew:
            arguments.output.unlink(missing_ok=True)
        run(arguments.output, arguments.draws, arguments.processes, arguments.model, arguments.minutes)
    rows = read(arguments.output)
    if {Point(r["kind"], float(r["value"]), float(r["es_n0_db"]), r["modulation"]) for r in rows} < set(
        points()
    ):
        sys.stdout.write(f"{len(rows)} points are measured; start it again for the others.\n")
        return
    if arguments.pictures is not None:
        draw(rows, arguments.pictures)
    sys.stdout.write(report(rows))


if __name__ == "__main__":
    main()
