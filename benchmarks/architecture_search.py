#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which small network comes nearest to the bound: train a list of them alike, and draw weights against gap.

Every network is trained in floating point on the same ideal chunks with the likelihood classifier's probabilities as
targets, for the same number of chunks, and judged on the same held-out chunks as the bound itself. Rows that are in the
results already are not computed again, so that an interrupted search goes on where it stopped.

    python benchmarks/architecture_search.py --regime coherent
    python benchmarks/architecture_search.py --draw
"""

import argparse
import csv
import datetime
import platform
import sys
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress as Bar

from amrq.machine import optional_package
from amrq.training import (
    FitSettings,
    NetSettings,
    PruningSettings,
    QuantisationSettings,
    Recipe,
    RunControl,
    SignalBatches,
    SignalSettings,
    Teacher,
    TeacherSettings,
    fit,
    net_inputs,
    nonzero_weights,
)

FOLDER = Path(__file__).parent / "results"
SEED = 3
CHUNKS = {"coherent": 500_000, "any": 200_000}
"""Judged by the likelihoods for the training; turns, mirror images and orders make many of each."""
HELD_OUT = 40_000
STEPS, BATCH, RATE = 4_000, 512, 5e-3
EDGES = np.arange(0, 20.1, 2.5)


@dataclass(frozen=True)
class Candidate:
    """A network to try."""

    family: str
    net: NetSettings
    pruned: float = 0.0

    @property
    def name(self) -> str:
        """Name in the table: widths at a symbol - widths behind the mean."""
        n = self.net
        widths = "-".join(map(str, n.symbol_channels)) + " | " + "-".join(map(str, n.head_widths))
        extra = f" k{n.first_kernel}" if n.first_kernel > 1 else ""
        extra += f" x{n.phases}" if n.architecture == "candidate_phases" else ""
        extra += f" pruned {self.pruned:.0%}" if self.pruned else ""
        return f"{widths}{extra}"


def _net(architecture: str, symbol: str, head: str, **more: object) -> NetSettings:
    def widths(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("-") if part)

    return NetSettings(architecture, widths(symbol), widths(head), **more)  # type: ignore[arg-type]


CANDIDATES = {
    "coherent": [
        Candidate("per symbol, |I| and |Q|", _net("symbolwise", "56-88", "72")),
        Candidate("per symbol, I and Q", _net("symbolwise", "56-88", "72", folded=False)),
        Candidate(
            "convolution over 5 symbols", _net("symbolwise", "48-72", "64", folded=False, first_kernel=5)
        ),
        Candidate("per symbol, |I| and |Q|", _net("symbolwise", "24-32", "24")),
        Candidate("per symbol, |I| and |Q|", _net("symbolwise", "16-24", "20")),
        Candidate("per symbol, |I| and |Q|", _net("symbolwise", "40-56", "40")),
        Candidate("per symbol, |I| and |Q|", _net("symbolwise", "96", "72")),
        Candidate("per symbol, |I| and |Q|", _net("symbolwise", "32-48-48", "48")),
        Candidate("per symbol, |I| and |Q|", _net("symbolwise", "40-48", "36"), 0.62),
        Candidate("per symbol, |I| and |Q|", _net("symbolwise", "64-96", "64"), 0.85),
        Candidate("per symbol, I and Q", _net("symbolwise", "24-32", "24", folded=False)),
        Candidate("per symbol, |I| and |Q|", _net("symbolwise", "56-88", "")),
    ],
    "any": [
        Candidate("aligned copies, |I| and |Q|", _net("phase_aligned", "56-64", "64", first_kernel=3)),
        Candidate(
            "aligned copies, I and Q", _net("phase_aligned", "56-64", "64", first_kernel=3, folded=False)
        ),
        Candidate("aligned copies, |I| and |Q|", _net("phase_aligned", "64-80", "64")),
        Candidate("rotation invariants", _net("invariants", "56-88", "72")),
        Candidate("per symbol, I and Q", _net("symbolwise", "56-88", "72", folded=False)),
        Candidate("aligned copies, |I| and |Q|", _net("phase_aligned", "24-24", "24")),
        Candidate("aligned copies, |I| and |Q|", _net("phase_aligned", "36-44", "32"), 0.635),
        Candidate("aligned copies, |I| and |Q|", _net("phase_aligned", "16-20", "16")),
        Candidate("aligned copies, |I| and |Q|", _net("phase_aligned", "40-48", "40")),
        Candidate("candidate phases", _net("candidate_phases", "24-32", "24", phases=8)),
    ],
}
FIELDS = [
    "regime",
    "family",
    "network",
    "weights",
    "accuracy",
    "bound",
    "gap_points",
    "gap_low",
    "gap_high",
    "worst_gap_points",
    "worst_at_db",
    "divergence_nats",
    "seconds",
    "steps",
    "batch",
    "held_out",
    "date",
    "torch",
    "python",
    "machine",
]


def _recipe(regime: str, candidate: Candidate) -> Recipe:
    return Recipe(
        name="search",
        seed=SEED,
        signal=SignalSettings(
            phase="coherent" if regime == "coherent" else "any",
            es_n0_db=(0.0, 20.0),
            es_n0_levels=1,
            ideal_share=1.0,
            unknown_share=0.0,
        ),
        teacher=TeacherSettings(CHUNKS[regime]),
        net=candidate.net,
        fit=FitSettings(STEPS, BATCH, RATE),
        pruning=PruningSettings(candidate.pruned),
        quantisation=QuantisationSettings((32,)),
    )


def _judge(net: torch.nn.Module, recipe: Recipe, held_out: SignalBatches) -> dict[str, object]:
    """Hold a network against the bound on the held-out chunks, pair by pair."""
    right, best, nats, level = [], [], [], []
    for index in range(HELD_OUT // 2_000):
        batch = held_out.batch(index, 2_000)
        with torch.no_grad():
            logits = torch.log_softmax(net(*net_inputs(batch, recipe)), dim=1).numpy()
        right.append(logits.argmax(axis=1) == batch.labels)
        best.append(batch.targets.argmax(axis=1) == batch.labels)
        nats.append((batch.targets * (np.log(np.maximum(batch.targets, 1e-12)) - logits)).sum(axis=1))
        level.append(batch.es_n0_db)
    a, b = np.concatenate(right).astype(float), np.concatenate(best).astype(float)
    gap, bins = 100 * (b - a), np.digitize(np.concatenate(level), EDGES[1:-1])
    width = 1.96 * gap.std() / np.sqrt(len(gap))
    by_level = [gap[bins == i].mean() for i in range(len(EDGES) - 1)]
    worst = int(np.argmax(by_level))
    return {
        "accuracy": round(a.mean(), 5),
        "bound": round(b.mean(), 5),
        "gap_points": round(gap.mean(), 3),
        "gap_low": round(gap.mean() - width, 3),
        "gap_high": round(gap.mean() + width, 3),
        "worst_gap_points": round(by_level[worst], 2),
        "worst_at_db": float((EDGES[worst] + EDGES[worst + 1]) / 2),
        "divergence_nats": round(float(np.concatenate(nats).mean()), 5),
    }


def search(regime: str, path: Path) -> None:
    """Train every candidate of a regime that has no row yet, and append its row."""
    torch.set_num_threads(1)
    done = {(row["regime"], row["family"], row["network"]) for row in _rows(path)}
    todo = [c for c in CANDIDATES[regime] if (regime, c.family, c.name) not in done]
    with Bar() as bar:
        overall = bar.add_task(f"{regime}: networks", total=len(todo))
        likelihoods = bar.add_task("likelihoods", total=None)
        training = bar.add_task("training", total=STEPS)
        if not todo:
            return
        example = _recipe(regime, todo[0])

        def taught(done: int, of: int) -> None:
            bar.update(likelihoods, completed=done, total=of)

        teacher = Teacher(example.teacher, example.signal, 32, SEED, taught)
        judge = Teacher(replace(example.teacher, chunks=HELD_OUT), example.signal, 32, SEED + 1, taught)
        batches = SignalBatches(example.signal, 32, SEED, teacher)
        held_out = SignalBatches(example.signal, 32, SEED + 1, judge)
        for candidate in todo:
            recipe = _recipe(regime, candidate)
            bar.update(training, description=candidate.name, completed=0)
            begin = time.perf_counter()
            net = fit(
                recipe, batches, RunControl(progress=lambda at: bar.update(training, completed=at.step))
            )[32]
            row = {
                "regime": regime,
                "family": candidate.family,
                "network": candidate.name,
                "weights": nonzero_weights(net),
                **_judge(net, recipe, held_out),
                "seconds": round(time.perf_counter() - begin),
                "steps": STEPS,
                "batch": BATCH,
                "held_out": HELD_OUT,
                "date": datetime.date.today().isoformat(),
                "torch": version("torch"),
                "python": platform.python_version(),
                "machine": f"{platform.machine()}, one thread",
            }
            new = not path.is_file()
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, FIELDS)
                if new:
                    writer.writeheader()
                writer.writerow(row)
            bar.advance(overall)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def draw(path: Path, picture: Path) -> None:
    """Draw weights against the gap to the bound, with the front that no other network beats on both."""
    figure = optional_package("matplotlib.figure", "drawing pictures").Figure(
        figsize=(11, 4.8), layout="constrained"
    )
    rows = _rows(path)
    colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
    families = list(dict.fromkeys(row["family"] for row in rows))
    for axes, regime in zip(figure.subplots(1, 2), ("coherent", "any"), strict=True):
        mine = sorted((r for r in rows if r["regime"] == regime), key=lambda r: int(r["weights"]))
        for number, family in enumerate(families):
            some = [r for r in mine if r["family"] == family]
            if not some:
                continue
            gaps = np.array([[float(r[k]) for k in ("gap_points", "gap_low", "gap_high")] for r in some])
            axes.errorbar(
                [int(r["weights"]) for r in some],
                gaps[:, 0],
                yerr=[gaps[:, 0] - gaps[:, 1], gaps[:, 2] - gaps[:, 0]],
                fmt="osD^vP*"[number % 7],
                color=colours[number % 7],
                capsize=2,
                label=family,
            )
        front, least = [], np.inf
        for r in mine:
            if float(r["gap_points"]) < least:
                least = float(r["gap_points"])
                front.append((int(r["weights"]), least))
        if front:
            axes.plot(
                *zip(*front, strict=True), color="grey", linestyle="--", linewidth=1, label="Pareto front"
            )
        axes.set(xscale="log", yscale="log", xlabel="weights that are not zero", xlim=(900, 20_000))
        axes.set_xticks(
            [1_000, 2_000, 5_000, 10_000, 20_000], ["1,000", "2,000", "5,000", "10,000", "20,000"]
        )
        axes.set_xticks([], minor=True)
        axes.set(ylim=(0.4, 15))
        axes.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
        axes.set_yticks([], minor=True)
        axes.set_ylabel("points below the bound, mean over 0 to 20 dB")
        axes.set_title("phase known" if regime == "coherent" else "any phase")
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize="small")
    figure.suptitle(f"Networks trained alike, {STEPS} steps of {BATCH} chunks of 32 symbols; 95 % intervals")
    figure.savefig(picture, dpi=110)


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--regime", choices=sorted(CANDIDATES), action="append", help="default: both")
    parser.add_argument("--draw", action="store_true", help="only draw the picture from the results")
    parser.add_argument("--results", type=Path, default=FOLDER / "architecture_search.csv")
    arguments = parser.parse_args()
    if not arguments.draw:
        for regime in arguments.regime or sorted(CANDIDATES):
            search(regime, arguments.results)
    draw(arguments.results, arguments.results.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
