# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and pictures of what `open_world.py` measured: of all, and for docs/limits.md of what must hold."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from open_world import (
    ECHOED,
    ECHOES_THAT_MUST_HOLD,
    FOREIGN_LEVELS,
    FOUND,
    GIVEN,
    KNOWN_LEVELS,
    OUTCOMES,
    RESULTS,
    ROOT,
    VALUES,
    WRONG_RATES,
    cases,
    number_in,
)
from resumable import read
from transmitters import FOREIGN, NINE, OTHERS, PULSES

from amrq.evaluation import Tally, clopper_pearson, outcome

__all__ = ["PAGE", "UNCHECKED", "Goal", "draw", "fill", "filled", "goals", "pooled", "report", "summary"]

PAGE = ROOT / "docs" / "limits.md"
UNCHECKED = RESULTS.with_name("open_world_unchecked.csv")
"""Results of `--through unchecked`, of some kinds."""
Rows = list[dict[str, str]]
Selected = Iterable[dict[str, str]]


def pooled(rows: Selected) -> tuple[Tally, int]:
    """Add the outcomes of rows; the second is the number of decisions."""
    total = sum((Tally(*(int(row[one]) for one in OUTCOMES)) for row in rows), Tally())
    return total, total.total


def answers_in(rows: Selected) -> Counter[tuple[str, str]]:
    """Return how often each answer was given to each signal: pairs of what was sent and the answer."""
    found = Counter[tuple[str, str]]()
    for row in rows:
        sent = row["kind"] if row["kind"] == "wrong symbol rate" else row["sent"]
        for pair in row["answers"].split():
            text, count = pair.rsplit(":", 1)
            found[sent, text.replace("_", " ")] += int(count)
    return found


class Goal(NamedTuple):
    """A line of the page's tables: some rows, and the shares of right decisions and wrong names that they must have."""

    part: str
    what: str
    kinds: tuple[str, ...]
    given: str = GIVEN
    values: tuple[str, ...] = ()  # all, where empty
    levels: tuple[float, ...] = ()
    sent: tuple[str, ...] = ()
    right: float | None = None  # at least
    wrong: float | None = 0.01  # at most

    def rows(self, rows: Selected) -> Rows:
        """Select."""
        return [
            row
            for row in rows
            if row["kind"] in self.kinds
            and row["given"] == self.given
            and (not self.values or row["value"] in self.values)
            and (not self.levels or float(row["es_n0_db"]) in self.levels)
            and (not self.sent or row["sent"] in self.sent)
        ]

    def met(self, tally: Tally) -> bool:
        """Whether shares are as they must be."""
        return (self.right is None or tally.right >= self.right * tally.total) and (
            self.wrong is None or tally.misnamed <= self.wrong * tally.total
        )


OUTSIDE, NINE_CLEAN, ECHOES = "Signals outside the nine", "The nine, nothing wrong", "Echoes"
RATES, BURSTS, WRONG = "Symbol rate", "Bursts", "The nine with something wrong"
SHAPES, TORCHSIG = "Pulses", "Signals of TorchSig"
PARTS = {
    OUTSIDE: f"`unknown` and noise are right. Other constellations are linear signals of {len(FOREIGN)} kinds. Of the "
    "kinds that are not linear, half of the decisions are at 10 dB, half at 20 dB.",
    NINE_CLEAN: "",
    ECHOES: "A second path at a random phase, up to 3 symbols late or early: "
    + ", ".join(ECHOED)
    + " in equal shares.",
    RATES: "Nothing is given; estimates are counted, at 10, 15 and 20 dB, 2 to 64 samples a symbol. Right is an error "
    "of at most 0.2 %; a wrong name is a wrong rate that is called clear. The neighbour is as strong as the signal.",
    BURSTS: "In noise, with 1,000 symbols of noise between bursts.",
    WRONG: "At 20 dB. Levels are powers below that of the signal.",
    SHAPES: "At 20 dB. Held: each sample is the symbol of its time, and nothing filters it.",
    TORCHSIG: "TorchSig 2.2's own classes among the nine, at its three levels of impairments, 12.5 to 40 dB "
    "(`benchmarks/torchsig_signals.py`).",
}
"""The parts of the page, and what is said before each table."""
CLIPPED_AT = "clipped at {} times the root mean square"
WORDS = {
    "line at 0 Hz": "line at 0 Hz, {minus} dB",
    "line on the carrier": "line on the carrier, {minus} dB",
    "image": "I/Q image, {minus} dB",
    "clipping": CLIPPED_AT.format("{}"),
    "drift": "carrier drifts by {} cycles/symbol²",
    "phase noise": "phase noise, {} rad a symbol",
    "symbol rate error": "symbol rate given, wrong by {per_cent} %",
    "neighbour at 1.6 symbol rates": "neighbour 1.6 symbol rates away, {} dB stronger",
    "off the middle": "{per_cent} % of the symbol rate off the middle, nothing given",
}
"""Kinds whose values are rows of `WRONG`, in words."""


def words_of(kind: str, value: str) -> str:
    """Write a kind and its value in words."""
    number = number_in(value)
    words = WORDS[kind].format(value, minus=f"−{-number:g}", per_cent=f"{100 * number:g}")
    return (
        words.replace("0 dB stronger", "as strong") if kind.startswith("neighbour") and not number else words
    )


def pulse_words(pulse: str) -> str:
    """Write the name of a pulse in words."""
    for short, long in (("RRC", "root raised cosine"), ("RC", "raised cosine")):
        if pulse.startswith(short):
            return f"{long}, roll-off {pulse.split()[1]}"
    return pulse


def goals() -> Iterator[Goal]:
    """The lines of the page, in order."""
    for level in FOREIGN_LEVELS:
        what = f"other constellations, {level:g} dB"
        yield Goal(OUTSIDE, what, ("another constellation",), levels=(level,), wrong=0.05)
    for name in OTHERS:
        yield Goal(OUTSIDE, name, ("not linear",), sent=(name,))
    for times in WRONG_RATES:
        what = f"one of the nine, {times:g} times its symbol rate given"
        yield Goal(OUTSIDE, what, ("wrong symbol rate",), values=(f"{times:g}",))
    yield Goal(OUTSIDE, "noise alone", ("noise alone",), wrong=0.0)
    for level in KNOWN_LEVELS:
        right = 0.995 if level >= 12.5 else 0.95 if level >= 10 else None
        yield Goal(NINE_CLEAN, f"{level:g} dB", ("nothing wrong",), levels=(level,), right=right)
    for level in KNOWN_LEVELS[3:]:
        yield Goal(NINE_CLEAN, f"{level:g} dB, nothing given", ("nothing wrong",), FOUND, levels=(level,))
    yield from _echoes()
    for pulse in PULSES:
        yield Goal(RATES, pulse_words(pulse), ("symbol rate",), FOUND, (pulse,), right=0.98, wrong=0.005)
    for pulse in PULSES:
        kind = "symbol rate beside a neighbour"
        yield Goal(
            RATES,
            f"{pulse_words(pulse)}, beside a neighbour",
            (kind,),
            FOUND,
            (pulse,),
            right=0.98,
            wrong=0.005,
        )
    for value, share in (("100", 0.7), ("200", 0.95), ("300", None), ("500", None)):
        yield Goal(BURSTS, f"{value} symbols, 15 dB", ("bursts",), values=(value,), right=share)
    for kind in WORDS:
        for number in VALUES[kind]:
            value = f"{number:g}"
            given = FOUND if kind == "off the middle" else GIVEN
            yield Goal(WRONG, words_of(kind, value), (kind,), given, (value,))
    for pulse in PULSES:
        yield Goal(SHAPES, pulse_words(pulse), ("pulse",), values=(pulse,))
        yield Goal(SHAPES, f"{pulse_words(pulse)}, nothing given", ("pulse",), FOUND, values=(pulse,))
    for level, given_rate, found_rate in ((0, 0.97, 0.93), (1, 0.95, 0.90), (2, 0.80, 0.70)):
        kinds = (f"TorchSig level {level}",)
        yield Goal(TORCHSIG, f"level {level}, symbol rate and place given", kinds, right=given_rate)
        yield Goal(TORCHSIG, f"level {level}, nothing given", kinds, FOUND, right=found_rate)


def _echoes() -> Iterator[Goal]:
    for kind in ("echo late", "echo early"):
        for number in VALUES[kind]:
            right = 0.95 if number <= ECHOES_THAT_MUST_HOLD else None
            when = kind.split()[1]
            yield Goal(ECHOES, f"−{-number:g} dB, {when}", (kind,), values=(f"{number:g}",), right=right)
    held = tuple(f"{number:g}" for number in VALUES["echo late"] if number <= ECHOES_THAT_MUST_HOLD)
    for name in ECHOED:
        what = f"{name}, −20 to −6 dB, late or early"
        yield Goal(ECHOES, what, ("echo late", "echo early"), values=held, sent=(name,), right=0.95)


def summary(rows: Rows) -> str:
    """Return the page's tables in Markdown: what must hold, and what was measured."""
    lines = []
    for part, some in groupby(goals(), key=lambda goal: goal.part):
        found = [(goal, *pooled(goal.rows(rows))) for goal in some]
        found = [one for one in found if one[2]]
        if not found:
            continue
        lines += [f"### {part}", "", *([PARTS[part], ""] if PARTS[part] else [])]
        right = "not named" if part == OUTSIDE else "right"
        wrong = "wrong, called clear" if part == RATES else "wrong name"
        none = "not clear" if part == RATES else "no name, or undecided"
        lines.append(f"| signals | decisions | {right}, % | {wrong}, % | {none}, % | wanted | |")
        lines.append("|---|---:|---:|---:|---:|---|---|")
        for goal, tally, n in found:
            asked = [f"right {100 * goal.right:g}"] if goal.right is not None else []
            asked += [f"wrong {100 * goal.wrong:g} at most"] if goal.wrong is not None else []
            shares = (tally.right, tally.misnamed, tally.undecided + tally.missed)
            cells = " | ".join(per_cent(count, n) for count in shares)
            met = "met" if goal.met(tally) else "**missed**"
            lines.append(f"| {goal.what} | {n:,} | {cells} | {'; '.join(asked)} | {met} |")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


IN_SHORT = (
    Goal("", "one of the nine, 12.5 dB and more", ("nothing wrong",), levels=KNOWN_LEVELS[5:]),
    *(Goal("", f"one of the nine, {db:g} dB", ("nothing wrong",), levels=(db,)) for db in (10.0, 5.0, 0.0)),
    Goal("", "one of the nine, 20 dB, symbol rate not given", ("nothing wrong",), FOUND, levels=(20.0,)),
    *(
        Goal("", f"another linear modulation, {db:g} dB", ("another constellation",), levels=(db,))
        for db in FOREIGN_LEVELS[:3]
    ),
    Goal("", "FSK, GMSK, OOK, AM, FM, voice, OFDM", ("not linear",)),
    Goal("", "noise", ("noise alone",)),
    Goal("", "one of the nine, symbol rate given wrongly by 2 %", ("symbol rate error",), values=("0.02",)),
    Goal("", "one of the nine, another symbol rate given", ("wrong symbol rate",)),
    *(
        Goal("", f"one of the nine, bursts of {value} symbols, 15 dB", ("bursts",), values=(value,))
        for value in ("100", "200")
    ),
    Goal(
        "",
        "five of the nine, an echo of −12 to −6 dB",
        ("echo late", "echo early"),
        values=("-12", "-9", "-6"),
    ),
    Goal("", "one of the nine, " + CLIPPED_AT.format(1.4), ("clipping",), values=("1.4",)),
    Goal("", "one of the nine, phase noise of 0.05 rad a symbol", ("phase noise",), values=("0.05",)),
    Goal("", "one of the nine, drift of 0.0001 cycles/symbol²", ("drift",), values=("0.0001",)),
)
"""What the page begins with."""


def short_table(rows: Rows) -> str:
    """Return the page's first table: what to expect."""
    lines = ["| signal | right, % | wrong name, % | otherwise |", "|---|---:|---:|---|"]
    for goal in IN_SHORT:
        chosen = goal.rows(rows)
        tally, n = pooled(chosen)
        if not n:
            continue
        rest = Counter[str]()
        for (sent, text), count in answers_in(chosen).items():
            if outcome(text, sent) in ("missed", "undecided"):
                rest[text] += count
        most = f"mostly `{rest.most_common(1)[0][0]}`" if rest else "-"
        shares = " | ".join(per_cent(count, n) for count in (tally.right, tally.misnamed))
        lines.append(f"| {goal.what} | {shares} | {most} |")
    return "\n".join(lines) + "\n"


def unchecked_table(rows: Rows, unchecked: Rows) -> str:
    """Return what the check of names takes and gives: the same kinds with it and without."""
    kinds = {row["kind"] for row in unchecked}
    lines = [
        "| signals | right, %: checked | not checked | wrong name, %: checked | not checked |",
        "|---|---:|---:|---:|---:|",
    ]
    for goal in goals():
        if not kinds.intersection(goal.kinds):
            continue
        (one, n), (other, m) = pooled(goal.rows(rows)), pooled(goal.rows(unchecked))
        if n and m:
            cells = [per_cent(one.right, n), per_cent(other.right, m)]
            cells += [per_cent(one.misnamed, n), per_cent(other.misnamed, m)]
            where = "TorchSig, " if goal.part == TORCHSIG else ""
            lines.append(f"| {where}{goal.what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


_PLACE = re.compile(r"<!-- open world: (?P<name>[a-z ]+) -->\n.*?<!-- end of open world -->", re.DOTALL)


def filled(page: str, rows: Rows, unchecked: Rows) -> str:
    """Return a page with its tables written anew."""
    tables = {
        "in short": lambda: short_table(rows),
        "all": lambda: summary(rows),
        "unchecked": lambda: unchecked_table(rows, unchecked),
    }

    def written(place: re.Match[str]) -> str:
        name = place["name"]
        return f"<!-- open world: {name} -->\n\n{tables[name]()}\n<!-- end of open world -->"

    return _PLACE.sub(written, page)


def fill(results: Path) -> None:
    """Write the page's tables."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(text, read(results), read(UNCHECKED)), encoding="utf-8")


def per_cent(count: int, of: int) -> str:
    """Return a share in per cent with its 95 % interval."""
    low, high = clopper_pearson(count, of)
    return f"{100 * count / of:.1f} ({100 * low:.1f} to {100 * high:.1f})".replace(" ", "\u00a0")


def cell(count: int, of: int) -> str:
    """Return a share with its 95 % interval."""
    low, high = clopper_pearson(count, of)
    return f"{count / of:.3f} ({low:.3f} to {high:.3f})"


def report(rows: Rows) -> str:
    """Return tables in Markdown of all that was measured: one a kind, one line a value and level."""
    lines = []
    for kind in dict.fromkeys(case.kind for case, _ in cases()):
        of_kind = [row for row in rows if row["kind"] == kind]
        if not of_kind:
            continue
        lines += [f"### {kind}", ""]
        lines += ["| value | Es/N0 dB | given | n | right | wrong name | undecided or missed |"]
        lines += ["|---|---|---|---|---|---|---|"]
        keys = dict.fromkeys((row["given"], row["value"], float(row["es_n0_db"])) for row in of_kind)
        for given, value, level in sorted(keys, key=lambda key: (key[0], number_in(key[1]), key[1], key[2])):
            tally, n = pooled(
                row
                for row in of_kind
                if (row["given"], row["value"], float(row["es_n0_db"])) == (given, value, level)
            )
            rest = tally.undecided + tally.missed
            lines.append(
                f"| {value or '–'} | {level:g} | {given} | {n} | {cell(tally.right, n)} "
                f"| {cell(tally.misnamed, n)} | {rest / n:.3f} |"
            )
        lines.append("")
        if len({row["sent"] for row in of_kind}) > 1:
            lines += ["| sent | n | right | wrong name | wrong names |", "|---|---|---|---|---|"]
            lines += [_by_class([row for row in of_kind if row["sent"] == name]) for name in _sent(of_kind)]
            lines.append("")
    return "\n".join(lines)


def _sent(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["sent"] for row in rows))


def _by_class(rows: Rows) -> str:
    tally, n = pooled(rows)
    names = Counter[str]()
    for (sent, text), count in answers_in(rows).items():
        if text in NINE and outcome(text, sent) == "misnamed":
            names[text] += count
    shown = ", ".join(f"{text} {count}" for text, count in names.most_common(3))
    return f"| {rows[0]['sent']} | {n} | {tally.right / n:.3f} | {tally.misnamed / n:.3f} | {shown} |"


def draw(rows: Rows, folder: Path) -> None:
    """Write a picture of all sweeps."""
    from matplotlib.figure import Figure

    from amrq.evaluation import BLUE, GREY, VERMILION

    sweeps = [kind for kind in VALUES if any(row["kind"] == kind for row in rows)]
    if not sweeps:
        return
    figure = Figure(figsize=(13, 9), layout="constrained")
    grid = figure.subplots(3, 4, sharey=True).ravel()
    for axes, kind in zip(grid, sweeps, strict=False):
        found = [
            (value, *pooled(r for r in rows if r["kind"] == kind and r["value"] == f"{value:g}"))
            for value in VALUES[kind]
        ]
        found = [one for one in found if one[2]]
        places = range(len(found))
        axes.plot(places, [t.right / n for _, t, n in found], color=BLUE, marker="o", label="right")
        axes.plot(
            places, [t.misnamed / n for _, t, n in found], color=VERMILION, marker="s", label="wrong name"
        )
        rest = [(t.undecided + t.missed) / n for _, t, n in found]
        axes.plot(places, rest, color=GREY, marker="^", label="undecided or missed")
        axes.set_xticks(list(places), [f"{value:g}" for value, _, _ in found])
        axes.set_title(kind, fontsize="medium")
        axes.grid(alpha=0.3)
    grid[0].legend(fontsize="small")
    grid[0].set_ylabel("share of decisions")
    figure.savefig(folder / "open_world.png", dpi=100)
