#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `amrq scan` finds in bands of other toolkits' signals with close neighbours, and what it calls them.

`band_composer.py` makes the bands: 1 to 10 MS/s, 8 to 14 emissions of all families at 6 to 30 dB, free space of .2 to
1.5 widths between neighbours, bursts, a floor that slopes, and in some a line at 0 Hz, a mirror image, 8 bits. Each is
scanned as a recording, told its sample rate alone.

Of the emissions that are clear of their neighbours' skirts:

* found: one of what the scan lists has its place at an intersection over union of .5 in frequency (what is narrower
  than a 1,200th of the band is widened to that), while it is on;
* in part: one of them lies in it, narrower, or wider and over it alone; split: several lie in it, and none has its
  place; merged: it is in a box with others; missed.

Of what the scan lists:

* false: where nothing was sent, or a piece of an emission (a sideband, a skirt) beside another that has or is a piece
  of it; sure: with a name and a confidence above .9;
* of those that are found: right, if the family is one that is right; unknown; wrong; sure: wrong above .9.

Examples:
  python3 benchmarks/toolkits_bands.py --list
  python3 benchmarks/toolkits_bands.py --seed 1 --bands 12 -o trial.csv
  python3 benchmarks/toolkits_bands.py --pages
"""

import argparse
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from band_composer import CLEAR_DB, SECONDS, Band, Truth, compose, versions
from families_tables import table, wilson
from resumable import Table, between, read, write_about

from amrq.scan import ScanSession
from amrq.sources import SourceOptions

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "toolkits_bands.csv"
PAGE = ROOT / "docs" / "scan.md"
MARK = "toolkits' bands"
SEED = 3
BANDS = 6
"""Of each sample rate."""
LIKE = 0.5
"""Intersection over union of edges that are right."""
FINEST = 1200
"""Of the band, what is narrower is widened to."""
INSIDE = 0.6
"""Of a box: it is a piece of what as much of it lies in."""
OVER = 0.5
"""Of an emission's width: what covers as much of several has merged them."""
SURE = 0.9
HOW = ("found", "in part", "split", "merged", "missed")
COUNTS = ("sent", *HOW, "hidden", "listed", "false", "false_sure", "right", "unknown", "wrong", "sure")


class Case(NamedTuple):
    """What is measured."""

    rate: float


@dataclass
class Listed:
    """An emission that the scan lists: all records of one id."""

    lower: float
    upper: float
    family: str
    label: str
    confidence: float
    stretches: list[tuple[int, int]] = field(default_factory=list)

    @property
    def named(self) -> bool:
        """Whether it has a name."""
        return self.family not in ("unknown", "noise")


@dataclass
class Score:
    """What became of a band's emissions, and what is false."""

    how: dict[int, str]
    """By an emission's place among those sent."""
    answers: dict[int, Listed]
    """Of those that were found."""
    false: list[Listed]


def scanned(band: Band) -> list[Listed]:
    """Return what a scan of a band lists."""
    listed: dict[int, Listed] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "band.cf32"
        band.samples.tofile(path)
        source = SourceOptions(file=path, sample_rate=band.rate)
        with ScanSession.of_recording(source) as session:
            for record in session.run():
                if record["event"] != "end" or record["part_of"]:
                    continue
                half, middle = record["bandwidth_hz"] / 2, record["offset_hz"]
                what = (record["family"], record["label"], record["confidence"])
                one = listed.get(record["id"])
                new = Listed(middle - half, middle + half, *what, one.stretches if one else [])
                start = record["sample_start"]
                new.stretches.append((start, start + record["sample_count"]))
                listed[record["id"]] = new
    return list(listed.values())


def _together(one: Iterable[tuple[int, int]], other: Iterable[tuple[int, int]]) -> bool:
    return any(a < d and c < b for a, b in one for c, d in other)


def _widened(edges: tuple[float, float], least: float) -> tuple[float, float]:
    middle, half = sum(edges) / 2, max(edges[1] - edges[0], least) / 2
    return middle - half, middle + half


def _shared(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def scored(truths: tuple[Truth, ...], listed: list[Listed], rate: float) -> Score:
    """Say what became of each emission."""
    least = rate / FINEST
    edges = [_widened((one.lower, one.upper), least) for one in listed]
    boxes = [[_widened(box, least) for box in truth.boxes] for truth in truths]

    def likeness(truth: int, one: int) -> float:
        if not _together(truths[truth].stretches, listed[one].stretches):
            return 0.0
        low, high = edges[one]
        shares = [(_shared(box, edges[one]), box) for box in boxes[truth]]
        return max(share / ((high - low) + (box[1] - box[0]) - share) for share, box in shares)

    def piece(truth: int, one: int) -> bool:
        low, high = edges[one]
        most = max(_shared(box, edges[one]) for box in boxes[truth])
        return most >= INSIDE * (high - low) and _together(truths[truth].stretches, listed[one].stretches)

    def over(truth: int, one: int) -> bool:
        low, high = boxes[truth][0]
        covers = _shared((low, high), edges[one]) >= OVER * (high - low)
        return covers and _together(truths[truth].stretches, listed[one].stretches)

    pairs = sorted(
        ((likeness(truth, one), truth, one) for truth in range(len(truths)) for one in range(len(listed))),
        reverse=True,
    )
    found: dict[int, int] = {}
    for share, truth, one in pairs:
        if share >= LIKE and truth not in found and one not in found.values():
            found[truth] = one
    used = set(found.values())
    how: dict[int, str] = {}
    for truth in range(len(truths)):
        pieces = [one for one in range(len(listed)) if one not in used and piece(truth, one)]
        covers = [one for one in range(len(listed)) if over(truth, one)]
        if truth in found:
            how[truth] = "found"
        elif any(sum(over(other, one) for other in range(len(truths))) > 1 for one in covers):
            how[truth] = "merged"
        elif len(pieces) > 1:
            how[truth] = "split"
            used.add(max(pieces, key=lambda one: likeness(truth, one)))
        elif pieces or any(one not in used for one in covers):
            how[truth] = "in part"
            used.update(pieces or covers[:1])
        else:
            how[truth] = "missed"
        if how[truth] == "merged":
            used.update(covers)
        if truths[truth].clear_db < CLEAR_DB and how[truth] != "found":
            how[truth] = "hidden"
            used.update(pieces)
    false = [one for place, one in enumerate(listed) if place not in used]
    return Score(how, {truth: listed[one] for truth, one in found.items()}, false)


def outcome(truth: Truth, one: Listed) -> str:
    """Return whether an answer is right, none, wrong, or wrong and sure."""
    if one.family in truth.families:
        return "right"
    if not one.named:
        return "unknown"
    return "sure" if one.confidence > SURE else "wrong"


def measure(case: Case, numbers: list[int], seed: int, told: bool = False) -> dict[str, Any]:
    """Scan some bands, and count; tell what is wrong."""
    counts: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    sure: list[float] = []
    for number in numbers:
        band = compose(case.rate, number, seed)
        listed = scanned(band)
        score = scored(band.truths, listed, band.rate)
        counts.update(score.how.values())
        counts["sent"] += sum(how != "hidden" for how in score.how.values())
        counts["listed"] += len(listed)
        counts["false"] += len(score.false)
        false_sure = [one for one in score.false if one.named and one.confidence > SURE]
        counts["false_sure"] += len(false_sure)
        for truth, one in score.answers.items():
            how = outcome(band.truths[truth], one)
            counts[how] += 1
            answers[f"{band.truths[truth].families[0]}>{one.family}"] += 1
            if how == "sure":
                sure.append(one.confidence)
        sure += [one.confidence for one in false_sure]
        if told:
            tell(band, number, listed, score)
    return {
        **case._asdict(),
        **{name: counts[name] for name in COUNTS},
        "answers": " ".join(f"{text}:{count}" for text, count in sorted(answers.items())),
        "confidence": " ".join(f"{one:.3f}" for one in sure),
    }


def tell(band: Band, number: int, listed: list[Listed], score: Score) -> None:
    """Print a band: what was sent, with what became of it, and what is false."""

    def edges(low: float, high: float) -> str:
        return f"{low / 1e3:10.2f} to {high / 1e3:10.2f} kHz"

    print(f"\n{band.rate / 1e6:g} MS/s, band {number}: {', '.join(band.faults) or 'no fault'}")
    lines: list[tuple[float, str]] = []
    for place, truth in enumerate(band.truths):
        one = score.answers.get(place)
        said = f"{outcome(truth, one)}: {one.label} {one.confidence:.2f}" if one else ""
        text = (
            f"  {edges(*truth.boxes[0])} {truth.snr_db:5.1f} dB, {truth.clear_db:5.1f} clear, "
            f"{len(truth.stretches)} x {truth.samples / len(truth.stretches) / band.rate:.3f} s "
            f"{truth.name}: {score.how[place]} {said}"
        )
        lines.append((truth.boxes[0][0], text))
    for other in listed:
        if all(other is not one for one in score.answers.values()):
            why = "false" if any(other is one for one in score.false) else "piece"
            seconds = sum(stop - start for start, stop in other.stretches) / band.rate
            text = f"  {edges(other.lower, other.upper)} *{why}*, {len(other.stretches)} x, {seconds:.3f} s: "
            lines.append((other.lower, f"{text}{other.label} {other.confidence:.2f}"))
    print("\n".join(text for _, text in sorted(lines)), flush=True)


def _share(count: int, total: int) -> str:
    low, high = wilson(count, max(1, total))
    share = f"{100 * count / max(1, total):.0f} % ({100 * low:.0f} to {100 * high:.0f})"
    return share.replace(" ", "\u00a0")


def page_tables(rows: Iterable[Mapping[str, str]]) -> str:
    """Write the table: by sample rate, and all."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for key in (f"{float(row['rate']) / 1e6:g} MS/s", "**all**"):
            counts[key].update({name: int(row[name]) for name in COUNTS})
    lines = []
    for key, count in sorted(
        counts.items(),
        key=lambda one: (one[0] == "**all**", float(one[0].split()[0]) if one[0][0] != "*" else 0),
    ):
        cells = [str(count[name]) for name in HOW[1:]]
        right = _share(count["right"], count["found"])
        sure = f"{count['false']} ({count['false_sure']})"
        lines.append(
            [key, str(count["sent"]), _share(count["found"], count["sent"]), *cells, sure, right]
            + [str(count[name]) for name in ("unknown", "wrong", "sure")]
        )
    heads = ["band", "sent", "found", *HOW[1:], "false boxes (named above .9)", "of the found, named right"]
    return table([*heads, "unknown", "wrong to .9", "wrong above .9"], lines, 1)


def main() -> None:
    """Measure, or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to append to")
    parser.add_argument("--bands", type=int, default=BANDS, help="of each sample rate")
    parser.add_argument("--seed", type=int, default=SEED, help="of the bands")
    parser.add_argument("--processes", type=int, default=1, help="side by side")
    parser.add_argument("--minutes", type=float, help="end after so many; a later run goes on")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--list", action="store_true", help="print each band, and write no file")
    parser.add_argument("--pages", action="store_true", help="write the page's table, measure nothing")
    arguments = parser.parse_args()
    if arguments.pages:
        text = between(PAGE.read_text("utf-8"), MARK, page_tables(read(arguments.output)))
        PAGE.write_text(text, "utf-8")
        return
    if arguments.list:
        rows = [
            measure(Case(rate), list(range(arguments.bands)), arguments.seed, told=True) for rate in SECONDS
        ]
        print(page_tables([{name: str(value) for name, value in row.items()} for row in rows]))
        return
    if arguments.anew:
        arguments.output.unlink(missing_ok=True)
    results = Table(arguments.output, Case._fields, COUNTS)
    wanted = [(Case(rate), arguments.bands) for rate in SECONDS]
    whole = results.run(wanted, partial(measure, seed=arguments.seed), arguments.processes, arguments.minutes)
    write_about(arguments.output, seed=arguments.seed, toolkits=versions(), whole=whole)
    sys.stdout.write(page_tables(read(arguments.output)))


if __name__ == "__main__":
    main()
