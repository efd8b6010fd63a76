# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and pictures of what `families.py` measured: the page docs/family-figures.md, and a report for developers.

Intervals are Wilson's, 95 %: of signals that are drawn independently. Looks at one recording are not.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from resumable import between, read

from amrq.protocols import FAMILIES

__all__ = ["LEFT_OUT", "PAGE", "TABLES", "draw_pictures", "filled", "report"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "family-figures.md"
LEFT_OUT = ROOT / "benchmarks" / "results" / "families_left_out.csv"
Rows = list[dict[str, str]]

UNKNOWN = "unknown"
SURE = 90
"""Per cent from which on a claim is sure."""
KEYED, PARTS = ("fsk2", "fsk4", "fskm"), ("own", "faults", "strangers")
MEASURED = {
    "symbol_rate": "symbol rate, .5 %",
    "deviation": "deviation, 5 %",
    "spacing": "spacing, 1 %",
}
GOAL_LEVEL = 15.0
WORDS = {
    "own": "the module's generator",
    "faults": "the same, with faults of air and receiver",
    "strangers": "strangers",
    "recorded": "recordings",
    "placed": "recordings in wider noise",
}
CLAIMS = ((0, 50), (50, 60), (60, 70), (70, 80), (80, 90), (90, 95), (95, 100))
"""Per cent of confidence."""
BROAD_CLAIMS = ((50, 70), (70, 90), (90, 101))
"""The same, for single families, of which there are fewer; 100 is among the surest."""


class Found(NamedTuple):
    """Rows put together."""

    count: int
    right: int
    wrong: int
    unknown: int
    sure_wrong: int
    called: Counter[str]  # wrong names
    sure: Counter[str]  # wrong names that were sure


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    >>> [round(end, 3) for end in wilson(95, 100)]
    [0.888, 0.978]
    """
    z = 1.959964
    share = count / of
    middle = share + z * z / (2 * of)
    half = z * math.sqrt((share * (1 - share) + z * z / (4 * of)) / of)
    return max(0.0, (middle - half) / (1 + z * z / of)), min(1.0, (middle + half) / (1 + z * z / of))


def answers_in(row: Mapping[str, str]) -> Iterable[tuple[str, int, int]]:
    """Return families, confidences in per cent, and how many answers there were of each."""
    for pair in row["answers"].split():
        text, count = pair.rsplit(":", 1)
        family, confidence = text.split("/")
        yield family, int(confidence), int(count)


def together(rows: Rows) -> Found:
    """Add up rows."""
    called, sure = Counter[str](), Counter[str]()
    for row in rows:
        for family, confidence, count in answers_in(row):
            if family not in (row["sent"], UNKNOWN):
                called[f"{row['sent']} as {family}"] += count
                if confidence >= SURE:
                    sure[f"{row['sent']} as {family}"] += count
    sums = [total(rows, name) for name in ("signals_n", "right", "wrong", "unknown")]
    return Found(*sums, sum(sure.values()), called, sure)


def total(rows: Rows, name: str) -> int:
    """Add up a column."""
    return sum(int(row[name]) for row in rows)


def of(
    rows: Rows, part: str | None = None, level: float | None = None, sent: Iterable[str] | str = ()
) -> Rows:
    """Select rows."""
    families = (sent,) if isinstance(sent, str) else tuple(sent)
    return [
        row
        for row in rows
        if (part is None or row["part"] == part)
        and (level is None or row["snr_db"] == str(level))
        and (not families or row["sent"] in families)
    ]


def from_level(rows: Rows, least: float) -> Rows:
    """Select rows of signals from an SNR on."""
    return [row for row in rows if float(row["snr_db"]) >= least]


def levels_of(rows: Rows) -> list[float]:
    """Return the levels that were measured."""
    return sorted({float(row["snr_db"]) for row in rows if row["snr_db"] != "nan"})


def share(count: int, total_of: int, digits: int = 1, interval: bool = True) -> str:
    """Write a share in per cent with its interval; a dash where nothing was measured."""
    if not total_of:
        return "-"
    text = f"{100 * count / total_of:.{digits}f}"
    if not interval:
        return text
    low, high = wilson(count, total_of)
    return f"{text} ({100 * low:.{digits}f} to {100 * high:.{digits}f})".replace(" ", "\u00a0")


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], words: int = 1) -> str:
    """Write a table in Markdown; the first columns are words."""
    lines = [list(heads), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * words + ["---:"] * (len(lines[0]) - words))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def most(called: Counter[str], count: int = 8) -> str:
    """Write the commonest wrong names."""
    return ", ".join(f"{text} {n}" for text, n in called.most_common(count)) or "none"


# Tables of the page


def levels_table(rows: Rows) -> str:
    """How often the family is right, by part and SNR."""
    heads = ("", "SNR, dB", "n", "right, %", "unknown, %", "wrong, %", "wrong and sure by more than .9, %")
    lines = []
    for part in PARTS:
        for level in levels_of(of(rows, part)):
            found = together(of(rows, part, level))
            if found.count:
                counts = (found.right, found.unknown, found.wrong, found.sure_wrong)
                shares = [share(n, found.count) for n in counts]
                lines.append([WORDS[part], f"{level:g}", f"{found.count:,}", *shares])
    return table(heads, lines)


def families_table(rows: Rows) -> str:
    """How often the family is right, by family and SNR: the module's generator, and strangers."""
    levels = [5.0, 10.0, 15.0, 20.0]
    heads = ["family"]
    for part in ("own", "strangers"):
        heads += [f"{part}, {level:g} dB: right, unknown, %" for level in levels]
    lines = []
    for family in FAMILIES:
        cells = [f"`{family}`"]
        for part in ("own", "strangers"):
            for level in levels:
                found = together(of(rows, part, level, family))
                right = share(found.right, found.count, 0, interval=False)
                cells.append(f"{right}, {share(found.unknown, found.count, 0, interval=False)}")
        lines.append(cells)
    counts = [
        f"{together(of(rows, part, 15.0, 'fsk2')).count}" for part in ("own", "strangers") for _ in levels
    ]
    return table(heads, [*lines, ["n, each", *counts]])


def confusions_table(rows: Rows) -> str:
    """Wrong names from 10 dB on."""
    heads = ("from 10 dB on", "n", "wrong", "wrong names, the commonest", "sure by more than .9")
    lines = []
    for part in PARTS:
        found = together(from_level(of(rows, part), 10.0))
        if found.count:
            words = most(found.called, 10), most(found.sure, 10)
            lines.append([WORDS[part], f"{found.count:,}", f"{found.wrong}", *words])
    return table(heads, lines)


class Answer(NamedTuple):
    """What a recording was called: by most of its looks."""

    family: str
    share: float
    confidence: float


def answer_to(row: Mapping[str, str]) -> Answer:
    """Return the answer that most looks gave, of equally many the surer one; and its mean confidence."""
    votes: dict[str, list[int]] = defaultdict(list)
    for family, confidence, count in answers_in(row):
        votes[family] += [confidence] * count
    best = max(votes, key=lambda family: (len(votes[family]), sum(votes[family])))
    looks = sum(map(len, votes.values()))
    return Answer(best, len(votes[best]) / looks, sum(votes[best]) / len(votes[best]) / 100)


def recorded_table(rows: Rows) -> str:
    """Each recording, and the same in wider noise."""
    heads = ("recording", "is", "called", "confidence", "looks right", "unknown", "wrong", "10 dB", "20 dB")
    lines = []
    for row in of(rows, "recorded"):
        if not row["answers"]:
            continue
        answer = answer_to(row)
        looks = [f"{row['right']} of {row['signals_n']}", row["unknown"], row["wrong"]]
        called = answer.family if answer.family == row["sent"] else f"**{answer.family}**"
        placed = []
        for level in (10.0, 20.0):
            same = [one for one in of(rows, "placed", level) if one["name"] == row["name"] and one["answers"]]
            placed.append(", ".join(_names(same[0])) if same else "-")
        lines.append([row["name"], row["sent"], called, f"{answer.confidence:.2f}", *looks, *placed])
    return table(heads, lines, 3)


def _names(row: Mapping[str, str]) -> Iterable[str]:
    for family, _, count in answers_in(row):
        yield from [family if family in (row["sent"], UNKNOWN) else f"**{family}**"] * count


def recorded_sums(rows: Rows) -> str:
    """Recordings in sums."""
    answers = [(row["sent"], answer_to(row)) for row in of(rows, "recorded") if row["answers"]]
    right = sum(answer.family == sent for sent, answer in answers)
    unknown = sum(answer.family == UNKNOWN for _, answer in answers)
    sure = _surely_wrong(answers)
    lines = [["recordings, by most of their looks", *_sums(len(answers), right, unknown, sure)]]
    for words, part, level in (
        ("single looks at them", "recorded", None),
        ("looks at them in wider noise, 10 dB", "placed", 10.0),
        ("20 dB", "placed", 20.0),
    ):
        found = together(of(rows, part, level))
        lines.append([words, *_sums(found.count, found.right, found.unknown, found.sure_wrong)])
    heads = ("", "n", "right, %", "unknown, %", "wrong, %", "wrong and sure by more than .9")
    return table(heads, lines)


def _sums(count: int, right: int, unknown: int, sure: int) -> list[str]:
    wrong = count - right - unknown
    return [str(count), share(right, count), share(unknown, count), share(wrong, count), str(sure)]


def parameters_table(rows: Rows) -> str:
    """Parameters at 15 dB, and of recordings."""
    heads = ("", "family", "n", "right, %", "given, %", "right of those given, %")
    lines = []
    places: list[tuple[str, float | None]] = [("own", GOAL_LEVEL), ("strangers", GOAL_LEVEL)]
    for name, words in MEASURED.items():
        for part, level in [*places, ("recorded", None)]:
            for family in FAMILIES:
                some = of(rows, part, level, family)
                count, told, right = (total(some, f"{name}_{what}") for what in ("n", "told", "right"))
                if count > 3 and not (name == "symbol_rate" and family in _NO_CLOCK):
                    cells = [f"{words}: {WORDS[part]}", f"`{family}`", str(count), share(right, count)]
                    lines.append([*cells, share(told, count, 0, False), share(right, told, 0, False)])
    return table(heads, lines, 2)


_NO_CLOCK = ("noise", "am", "ssb", "fm_narrow", "fm_wide", "dsss", "chirp")


def order_table(rows: Rows) -> str:
    """Order of frequency and phase keying."""
    heads = ["", "SNR, dB", "n", "right, %", "no order given, %", "wrong, %"]
    lines = []
    for part in ("own", "strangers"):
        for words, families in (("2FSK, 4FSK", KEYED[:2]), ("more tones", KEYED[2:]), ("PSK", ("linear",))):
            for level in (10.0, 15.0, 20.0):
                some = of(rows, part, level, families)
                count, told, right = (total(some, f"order_{what}") for what in ("n", "told", "right"))
                cells = [f"{words}, {WORDS[part]}", f"{level:g}", str(count), share(right, count)]
                lines.append([*cells, share(count - told, count), share(told - right, count)])
    return table(heads, lines)


def confidence_table(rows: Rows) -> str:
    """How often claims of a confidence are right: all levels."""
    heads = ["confidence", *(f"{WORDS[part]}: n, right, %" for part in (*PARTS, "recorded"))]
    lines = []
    for low, high in CLAIMS:
        cells = [f".{low:02} to .{high:02}".replace(".100", "1") if low else "below .50"]
        for part in (*PARTS, "recorded"):
            count = right = 0
            for row in of(rows, part):
                for family, confidence, answers in answers_in(row):
                    if low <= confidence < high and family != UNKNOWN:
                        count += answers
                        right += answers * (family == row["sent"])
            cells.append(f"{count:,}: {share(right, count, 0)}" if count else "-")
        lines.append(cells)
    return table(heads, lines)


def calibration_table(rows: Rows) -> str:
    """How often claims of a family are right, by family and confidence: all levels, all families sent."""
    parts = ("own", "strangers")
    heads = ["called"]
    for part in parts:
        heads += [f"{part}, {_range(low, high)}: n, right, %" for low, high in BROAD_CLAIMS]
    counts: Counter[tuple[str, str, int]] = Counter()
    right: Counter[tuple[str, str, int]] = Counter()
    for part in parts:
        for row in of(rows, part):
            for family, confidence, answers in answers_in(row):
                place = next(
                    (k for k, (low, high) in enumerate(BROAD_CLAIMS) if low <= confidence < high), -1
                )
                counts[part, family, place] += answers
                right[part, family, place] += answers * (family == row["sent"])
    lines = []
    for family in FAMILIES:
        keys = [(part, family, place) for part in parts for place in range(len(BROAD_CLAIMS))]
        cells = [
            f"{counts[key]:,}: {share(right[key], counts[key], 0)}" if counts[key] else "-" for key in keys
        ]
        lines.append([f"`{family}`", *cells])
    return table(heads, lines)


def _range(low: int, high: int) -> str:
    return f".{low:02} to {'1' if high > 99 else f'.{high:02}'}"


def cost_table(rows: Rows) -> str:
    """Processor time by family, at 15 dB."""
    heads = ["processor time at 15 dB", "n", "mean"]
    at_goal = _at_goal(rows)
    lines = [[f"`{family}`", *_cost(of(at_goal, sent=family))] for family in FAMILIES]
    return table(heads, [*lines, ["all", *_cost(at_goal)]])


def left_out_table(rows: Rows) -> str:
    """Families that a model was trained without."""
    found = read(LEFT_OUT)
    if not found:
        return "Not measured yet.\n"
    heads = ["left out", "SNR, dB", "n", "unknown, %", "sure and wrong, %", "wrong names"]
    heads += [
        f"without its measures: {words}" for words in ("unknown, %", "sure and wrong, %", "wrong names")
    ]
    lines = []
    for family in dict.fromkeys(row["sent"] for row in found):
        for level in levels_of(of(found, sent=family)):
            cells = [f"`{family}`", f"{level:g}"]
            for part in ("left out", "unmeasured"):
                one = together(of(found, part, level, family))
                named = Counter({text.split(" as ")[1]: n for text, n in one.called.items()})
                cells += [] if part == "unmeasured" else [str(one.count)]
                cells += [
                    *(share(count, one.count) for count in (one.unknown, one.sure_wrong)),
                    most(named, 5),
                ]
            lines.append(cells)
    return table(heads, lines)


def goals_table(rows: Rows) -> str:
    """What issue and page promise, and what was measured."""
    heads = ("", "wanted", "n", "measured, %")
    lines = []

    def add(words: str, wanted: str, count: int, total_of: int, digits: int = 1) -> None:
        lines.append([words, wanted, f"{total_of:,}", share(count, total_of, digits)])

    for part in ("own", "strangers"):
        for level, wanted in ((10.0, "95 %"), (15.0, "99 %")):
            found = together(of(rows, part, level))
            add(f"family right at {level:g} dB: {WORDS[part]}", wanted, found.right, found.count)
        above = from_level(of(rows, part), 0.0)
        found = together(above)
        add(
            f"wrong with confidence above .9, all SNR: {WORDS[part]}",
            "at most 1 %",
            found.sure_wrong,
            found.count,
            2,
        )
        keyed = together(of(above, sent=KEYED))
        linear = sum(n for text, n in keyed.called.items() if text.endswith(" as linear"))
        add(f"frequency keying called linear, all SNR: {WORDS[part]}", "at most .5 %", linear, keyed.count, 2)
        found = together(from_level(of(rows, part, sent="linear"), 10.0))
        add(
            f"linear called anything else from 10 dB: {WORDS[part]}",
            "at most 1 %",
            found.wrong,
            found.count,
            2,
        )
        for name, words in _WANTED.items():
            some = [row for row in of(rows, part, GOAL_LEVEL) if row["sent"] in _GOALS[name]]
            count, right = total(some, f"{name}_n"), total(some, f"{name}_right")
            add(f"{words}, at 15 dB: {WORDS[part]}", "90 %", right, count)
    named = together(of(rows, "noise"))
    add("noise named", "none", named.wrong, named.count, 2)
    answers = [(row["sent"], answer_to(row)) for row in of(rows, "recorded") if row["answers"]]
    right = sum(answer.family == sent for sent, answer in answers)
    add("recordings right, by most of their looks", "95 %", right, len(answers))
    add("recordings wrong with confidence above .9", "none", _surely_wrong(answers), len(answers))
    for name, words in _WANTED.items():
        some = [row for row in of(rows, "recorded") if row["sent"] in _GOALS[name]]
        add(f"{words}: looks at recordings", "90 %", total(some, f"{name}_right"), total(some, f"{name}_n"))
    for words, part in (("", "left out"), (", its measures taken out as well", "unmeasured")):
        left = together(of(read(LEFT_OUT), part))
        add(f"a family left out of training is unknown{words}", "90 %", left.unknown, left.count)
    lines.append(["processor time of an identification, mean at 15 dB", "10 ms", *_cost(_at_goal(rows))])
    return table(heads, lines, 2)


_WANTED = {**MEASURED, "spacing": "OFDM's spacing, 1 %"}
_GOALS = {
    "symbol_rate": (*KEYED, "linear", "pi4dqpsk", "oqpsk", "ook", "pulse"),
    "deviation": (*KEYED, "fm_narrow", "fm_wide"),
    "spacing": ("ofdm",),
}
"""Families whose parameters count."""


def _surely_wrong(answers: Iterable[tuple[str, "Answer"]]) -> int:
    return sum(
        answer.family not in (sent, UNKNOWN) and answer.confidence > SURE / 100 for sent, answer in answers
    )


def _at_goal(rows: Rows) -> Rows:
    return of(rows, "own", GOAL_LEVEL) + of(rows, "strangers", GOAL_LEVEL)


def _cost(rows: Rows) -> tuple[str, str]:
    count = total(rows, "signals_n")
    return f"{count:,}", f"{total(rows, 'cpu_us') / count / 1000:.1f} ms" if count else "-"


TABLES: dict[str, Callable[[Rows], str]] = {
    "goals": goals_table,
    "levels": levels_table,
    "families": families_table,
    "confusions": confusions_table,
    "order": order_table,
    "recorded sums": recorded_sums,
    "recorded": recorded_table,
    "parameters": parameters_table,
    "confidence": confidence_table,
    "calibration": calibration_table,
    "left out": left_out_table,
    "cost": cost_table,
}
"""Tables of the page, by the mark between which they stand."""


def filled(text: str, rows: Rows, about: Mapping[str, Any]) -> str:
    """Return the page with the tables."""
    for mark, made in TABLES.items():
        text = between(text, mark, made(rows))
    words = ", ".join(f"{name} {about[name]}" for name in ("python", "numpy", "scipy", "onnxruntime"))
    return between(text, "made", f"Measured on {about['date']}, commit {about['commit']}; {words}.\n")


# For developers


def report(rows: Rows) -> str:
    """Return all in short: parts and levels, families, wrong names, parameters as right / given / n."""
    out = []
    for part in dict.fromkeys(row["part"] for row in rows):
        for level in dict.fromkeys(row["snr_db"] for row in of(rows, part)):
            some = [row for row in of(rows, part) if row["snr_db"] == level]
            found = together(some)
            if found.count:
                out += _reported(f"{part} {level} dB", some, found)
    if of(rows, "recorded"):
        out.append(recorded_sums(rows))
    return "\n".join(out) + "\n"


def _reported(words: str, some: Rows, found: Found) -> list[str]:
    order = "/".join(str(total(some, f"order_{what}")) for what in ("right", "told", "n"))
    cost = total(some, "cpu_us") / found.count / 1000
    shares = [share(n, found.count) for n in (found.right, found.wrong, found.sure_wrong, found.unknown)]
    out = ["{}: n {} right {} wrong {} sure wrong {} unknown {}".format(words, found.count, *shares)]
    out[0] += f" {cost:.1f} ms, order {order}"
    for name in MEASURED:
        cells = []
        for family in dict.fromkeys(row["sent"] for row in some):
            rows = of(some, sent=family)
            if total(rows, f"{name}_n"):
                cells.append(
                    f"{family} " + "/".join(str(total(rows, f"{name}_{w}")) for w in ("right", "told", "n"))
                )
        if cells:
            out.append(f"   {name}: " + ", ".join(cells))
    cells = []
    for family in dict.fromkeys(row["sent"] for row in some):
        one = together(of(some, sent=family))
        if one.count:
            cells.append(
                f"{family} {one.right / one.count:.2f}"
                + f"(u {one.unknown / one.count:.2f})" * (one.unknown > 0)
            )
    out.append("   " + " ".join(cells))
    out.append(f"   wrong: {most(found.called, 16)}")
    return [*out, f"   sure: {most(found.sure, 10)}"] if found.sure else out


def draw_pictures(rows: Rows, folder: Path) -> None:
    """Draw what each family was called, by SNR; and how often it is right."""
    import matplotlib.pyplot as plt
    import numpy as np

    names = [*FAMILIES, UNKNOWN]
    for part in ("own", "strangers"):
        levels = levels_of(of(rows, part))
        figure, axes = plt.subplots(2, 3, figsize=(15, 10.5), sharex=True, sharey=True, layout="constrained")
        for axis, level in zip(axes.flat, levels, strict=False):
            counts = np.zeros((len(FAMILIES), len(names)))
            for row in of(rows, part, level):
                for family, _, count in answers_in(row):
                    if family in names:
                        counts[FAMILIES.index(row["sent"]), names.index(family)] += count
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for y, x in zip(*np.nonzero(shares >= 0.005), strict=True):
                colour = "white" if shares[y, x] > 0.6 else "black"
                axis.text(
                    x, y, f"{100 * shares[y, x]:.0f}", ha="center", va="center", fontsize=6, color=colour
                )
            axis.set_title(f"{level:g} dB", fontsize=10)
            axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
            axis.set_yticks(range(len(FAMILIES)), FAMILIES, fontsize=7)
        figure.supylabel("sent")
        figure.supxlabel(f"called, % ({WORDS[part]}, in-band SNR)")
        figure.savefig(folder / f"families_{part}.png", dpi=100)
        plt.close(figure)
