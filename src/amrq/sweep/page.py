# SPDX-License-Identifier: GPL-3.0-or-later
"""A page that compares a finished sweep with the thesis, and its long tables as CSV."""

import csv
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from amrq.errors import AmrqError
from amrq.evaluation import Share
from amrq.files import parsing
from amrq.plain_values import from_row
from amrq.sweep.cell import CellFigures, SpeedFigures
from amrq.sweep.folder import SweepResults
from amrq.text import csv_text, markdown, printable, unbroken

__all__ = ["PublishedRow", "read_published", "thesis_page", "thesis_tables"]


@dataclass(frozen=True)
class PublishedRow:
    """A row of the tables in the slides of Rothe (2024).

    Attributes:
        chunks_per_s: throughput, on a GPU at batches of 32.
        ms: time of a batch, milliseconds.
        dsp, ff, lut, bram: by Algorithm II.
        bits: of a weight.
    """

    chunks_per_s: float
    ms: float
    dsp: int
    ff: int
    lut: int
    bram: int
    bits: int

    @property
    def weights(self) -> int:
        """Weights that are not zero, within 16 a layer at 4 bits: what DSP = sum 2 floor(N_w B / 32) leaves of them."""
        return round(self.dsp * 16 / self.bits)


_PUBLISHED = {
    "throughput_samples_per_s": "chunks_per_s",
    "inference_time_ms_per_batch": "ms",
    **{name: name for name in ("dsp", "ff", "lut", "bram", "bits")},
}
"""Fields by the columns of the thesis's tables."""


def read_published(path: str | os.PathLike[str]) -> dict[str, PublishedRow]:
    """Read the thesis's tables from a CSV file, by name of the model.

    Raises:
        AmrqError: the file is missing or is another one.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise AmrqError(f"there is no file {printable(path)} with the thesis's tables.")
    tables = f"{printable(path)}, which should hold the thesis's tables,"
    with parsing(tables), path.open(encoding="utf-8", newline="") as file:
        return {
            row["model"]: from_row({field: row[column] for column, field in _PUBLISHED.items()}, PublishedRow)
            for row in csv.DictReader(file)
        }


def _prose(text: str) -> str:
    return " ".join(text.split())


_CHUNKS = _prose(
    """A chunk has 32 symbols at one sample a symbol, and the carrier phase is known. Algorithm I makes all chunks.
    N_a is the power of the complex noise per symbol, so that Es/N0 = 1/N_a for a signal of unit power. N_p is
    the standard deviation of each symbol's phase in radians. Training, gate and evaluation use separate random
    streams."""
)
_GATE = _prose(
    """The gate of the thesis is a run over fresh chunks without a single mistake. A training ends when it passes. A
    network that is wrong on one chunk in 1,000 passes one try in ten, so a pass after many tries says little. The share
    of right decisions on other chunks, which decided nothing, is the better measure."""
)
_COST = _prose(
    """`cost.csv` holds the thesis's figures beside ours. The thesis measured throughput and time on a GPU, in batches
    of 32, and computed resources by Algorithm II. Its numbers of weights are computed here from its DSP column."""
)
_UTILISATION = _prose(
    """Algorithm II is a scaled count of parameters, not a synthesis: it asks for 133,472 DSP slices for the smallest
    8-bit network, and an XC7Z020 has 220. Our estimator gives the DSP, FF and LUT of the thesis's 27 unpruned rows to
    the digit, and the BRAM of 23. The other four are printed lower than the formula gives. Our figures are
    lower than the thesis's where rounding made weights zero, since the algorithm does not count those."""
)
_LEVELS = _prose(
    """The networks were trained at one noise level and are tried at others. The likelihood classifier knows the noise
    level at each point, so no model can be better. Away from their own noise level the networks fall far below it."""
)
_DIFFERENCES = (
    (
        "Not every cell passes the gate",
        """The author of the thesis changed settings and repeated the training until each network passed. Here each cell
        has a fixed number of epochs. Of the setting "as in the thesis", all cells that fail have the smallest
        architecture (vgglike_2f_1c) or weights of 4 bits, as in the thesis. Of the corrected setting, which was trained
        with an earlier recipe, 15 of the 19 that fail have weights of 4 bits.""",
        """Two changes of the recipe helped: batches end at 512 chunks, and each retry starts from the best network
        so far. These did not help: chunks chosen for their loss, more noise in training, margins, uncommon mixes of
        symbols, learning from the parent's scores, other settings of the optimiser, other scales and clipping.""",
    ),
    (
        "Pruned stays pruned",
        """The thesis masks the weakest filters and neurons, then trains on without the mask, which brings most of the
        weights back: its networks "pruned by 20 %" have about 10 % fewer weights. Here filters and neurons are
        removed, together with the weights of the next layer that they fed. Between two pruned layers, 30 % fewer
        outputs leave 49 % of the weights. Files, operations and estimates shrink with them.""",
    ),
    (
        "Quantised is not slower",
        """The thesis timed simulated quantisation on a GPU and found it 10 to 20 times slower than floating point. Here
        the exported graph holds int8 weights, int32 biases and scales that are powers of two, and ONNX Runtime
        computes its convolutions and dense layers in integers. Weights of 4 and 6 bits are stored in bytes, so they are
        as fast as 8 bits and not faster. Activations always have 8 bits.""",
    ),
    (
        "Where training starts matters more than how long it lasts",
        """The smallest network was trained for 20 s at rate 0.003 from three starting points. The table shows its
        mistakes on 16,384 fresh chunks. `VggLikeNet` starts from the third.""",
        (
            ("starting point", "epochs", "wrong, %"),
            ("zero biases, equal taps (on a busier machine)", "88", "8.9"),
            ("spread biases, equal taps", "141", "5.8"),
            ("spread biases, small outer taps", "144", "0.4"),
        ),
        """Every epoch has fresh chunks. Trained on the same 2,304 chunks again and again, the smallest network
        memorises them and is right on 49 % of others.""",
    ),
    (
        "100 % on 2,304 chunks proves little",
        """At this noise the likelihood classifier makes no mistake in either setting. What the networks still get
        wrong is not due to noise: it is chunks with an uncommon mix of symbols, such as 8ASK with few symbols at its
        second level from outside, which the smallest network takes for 4ASK. The project's own networks are
        trained on 0 to 20 dB. They stay within a few points of the bound there, with a hundredth of the weights
        ([models](models.md)).""",
    ),
    (
        "Peak scaling gives classes away",
        """Scaled by the largest level, QPSK has 4.7 times the power of 8ASK, and a network that sees the level can tell
        them apart by power alone. The corrected setting gives all constellations the same power.""",
    ),
)


_GOAL = 0.999
_LARGE = 1_024


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    rule = ["---" if number < left else "---:" for number in range(len(headings))]
    return ["", *(f"| {' | '.join(row)} |" for row in (headings, rule, *rows)), ""]


def _precision(bits: int) -> str:
    return "float32" if bits == 32 else f"{bits}-bit"


def _percent(right: int, of: int) -> str:
    share = Share(right, of)
    low, high = share.exact
    return unbroken(f"{100 * share.value:.2f} % ({100 * low:.2f} to {100 * high:.2f})")


def _speeds(sweep: SweepResults, batch: int, integers: bool) -> list[SpeedFigures]:
    """Return the speeds of all cells on integers, or of all pruned cells."""
    return [
        speed
        for (_, bits, pruned), cell in sweep.cells.items()
        if (bits < 32 if integers else pruned > 0) and (speed := sweep.speeds.get((cell.name, batch)))
    ]


def _span(ratios: Sequence[float]) -> str:
    ordered = sorted(ratios)
    return unbroken(f"{ordered[0]:.2f} to {ordered[-1]:.2f}") if ordered else "not timed"


def _summary(sweeps: Sequence[SweepResults]) -> list[str]:
    rows: list[list[str]] = []

    def row(about: str, value: Sequence[str]) -> None:
        rows.append([about, *value])

    def each(sweep: SweepResults) -> list[CellFigures]:
        return list(sweep.cells.values())

    def passed(cells: Sequence[CellFigures]) -> str:
        return f"{sum(not cell.gate_wrong for cell in cells)} of {len(cells)}"

    row(
        "cells made",
        [f"{len(each(s))} of {len(s.architectures) * len(s.bits) * len(s.pruned)}" for s in sweeps],
    )
    some = each(sweeps[0])[0]
    row(f"gate passed: no mistake on {some.gate_chunks:,} fresh chunks", [passed(each(s)) for s in sweeps])
    row(
        "of these at the first try",
        [str(sum(not c.gate_wrong and c.gate_tries == 1 for c in each(s))) for s in sweeps],
    )
    row("most tries", [str(max(c.gate_tries for c in each(s))) for s in sweeps])
    row(
        f"99.9 % or more of {some.chunks:,} other chunks right",
        [f"{sum(c.right >= _GOAL * c.chunks for c in each(s))} of {len(each(s))}" for s in sweeps],
    )
    worst = [min(each(s), key=lambda c: c.right / c.chunks) for s in sweeps]
    row("worst cell", [c.name for c in worst])
    row(f"its right decisions on {some.chunks:,} other chunks", [_percent(c.right, c.chunks) for c in worst])
    row("likelihood bound on the same chunks", [f"{100 * c.bound_right / c.chunks:.2f} %" for c in worst])
    row(
        "least agreement of PyTorch and ONNX Runtime",
        [f"{100 * min(c.agree / c.chunks for c in each(s)):.3f} %" for s in sweeps],
    )
    row(
        "quantised cells all of whose layers run in integers",
        [
            f"{sum(c.bits < 32 and not c.float_layers for c in each(s))} of {sum(c.bits < 32 for c in each(s))}"
            for s in sweeps
        ],
    )
    for batch in (_LARGE, 1):
        row(
            f"speed of quantised over float32, {batch:,} chunk{'s' if batch > 1 else ''} a call",
            [_span([speed.over_float for speed in _speeds(s, batch, True)]) for s in sweeps],
        )
        row(
            f"speed of pruned over whole, {batch:,} chunk{'s' if batch > 1 else ''} a call",
            [_span([speed.over_whole for speed in _speeds(s, batch, False)]) for s in sweeps],
        )
    hours = [sum(c.seconds for c in each(s)) / 3600 for s in sweeps]
    row("processor time for training and measuring, hours", [f"{h:.1f}" for h in hours])
    return _table(["", *(markdown(s.title) for s in sweeps)], rows)


def _architectures(sweeps: Sequence[SweepResults]) -> list[str]:
    """Return the small table: each architecture at all its precisions and pruning levels."""
    first = sweeps[0]
    rows = []
    for architecture in first.architectures:
        whole = first.cells.get((architecture, first.bits[0], 0.0))
        row = [architecture, f"{whole.weights:,}" if whole else "-"]
        for sweep in sweeps:
            cells = [cell for key, cell in sweep.cells.items() if key[0] == architecture]
            shares = [100 * cell.right / cell.chunks for cell in cells]
            row += [
                f"{sum(not cell.gate_wrong for cell in cells)} of {len(cells)}",
                unbroken(f"{min(shares):.2f} to {max(shares):.2f}") if shares else "-",
            ]
        names = {cell.name for key, cell in first.cells.items() if key[0] == architecture and key[1] < 32}
        timed = [speed for (name, batch), speed in first.speeds.items() if name in names and batch == _LARGE]
        rows.append([*row, _span([speed.over_float for speed in timed])])
    headings = ["architecture", "weights, unpruned"]
    for sweep in sweeps:
        headings += [f"{markdown(sweep.title)}: gate passed", "right, %"]
    return _table([*headings, "quantised over float32"], rows)


def _cells(sweep: SweepResults) -> list[tuple[tuple[object, ...], CellFigures]]:
    """Return what identifies each cell in a table, and the cell, in the order of the grid."""
    return [
        ((sweep.title, architecture, bits, pruned), cell)
        for architecture in sweep.architectures
        for pruned in sweep.pruned
        for bits in sweep.bits
        if (cell := sweep.cells.get((architecture, bits, pruned)))
    ]


_CELL = ("setting", "architecture", "weight_bits", "pruned")


def _accuracy_csv(sweeps: Sequence[SweepResults]) -> str:
    rows = []
    for key, cell in (item for sweep in sweeps for item in _cells(sweep)):
        share = Share(cell.right, cell.chunks)
        percent = [f"{100 * value:.2f}" for value in (share.value, *share.exact)]
        rows.append(
            [
                *key,
                cell.epochs,
                cell.gate_tries,
                cell.gate_wrong,
                cell.gate_chunks,
                cell.right,
                cell.chunks,
                *percent,
            ]
        )
    gate = ("epochs", "gate_tries", "gate_wrong", "gate_chunks")
    right = ("right", "chunks", "right_percent", "low_percent", "high_percent")
    return csv_text((*_CELL, *gate, *right), rows)


def _cost_csv(sweep: SweepResults, published: Mapping[str, PublishedRow]) -> str:
    rows = []
    for key, cell in _cells(sweep):
        row = published.get(cell.name)
        large, single = (sweep.speeds.get((cell.name, batch)) for batch in (_LARGE, 1))
        ours: list[object] = [
            cell.weights,
            cell.bytes,
            f"{large.chunks_per_s:.0f}" if large else "",
            f"{single.ms:.3f}" if single else "",
            *(cell.dsp, cell.ff, cell.lut, cell.bram),
        ]
        theirs: list[object] = [""] * 7
        if row:
            theirs = [row.weights, f"{row.chunks_per_s:.0f}", row.ms, row.dsp, row.ff, row.lut, row.bram]
        rows.append([*key, *ours, *theirs])
    names = ["weights", "bytes", "chunks_per_s", "ms_at_batch_1", "dsp", "ff", "lut", "bram"]
    beside = [
        f"thesis_{name}" for name in ("weights", "chunks_per_s", "ms_at_batch_32", "dsp", "ff", "lut", "bram")
    ]
    return csv_text((*_CELL, *names, *beside), rows)


def _speed_csv(sweep: SweepResults) -> str:
    rows = [
        [
            *(*key, batch, speed.ms, speed.chunks_per_s),
            *(speed.over_float, speed.over_float_low, speed.over_float_high),
            *(speed.over_whole, speed.over_whole_low, speed.over_whole_high),
        ]
        for key, cell in _cells(sweep)
        for batch in (1, _LARGE)
        if (speed := sweep.speeds.get((cell.name, batch)))
    ]
    over = [f"over_{other}{end}" for other in ("float32", "unpruned") for end in ("", "_least", "_most")]
    return csv_text((*_CELL, "chunks_a_call", "ms", "chunks_per_s", *over), rows)


def _levels_csv(sweeps: Sequence[SweepResults]) -> str:
    rows = [
        [*key, level.es_n0_db, level.right, level.bound_right, cell.level_chunks]
        for sweep in sweeps
        for key, cell in _cells(sweep)
        for level in cell.levels
    ]
    return csv_text((*_CELL, "es_n0_db", "right", "bound_right", "chunks"), rows)


def thesis_tables(sweeps: Sequence[SweepResults], published: Mapping[str, PublishedRow]) -> dict[str, str]:
    """Return the long tables as CSV text, by file name.

    Args:
        sweeps: at least one; speed and resources are those of the first.
        published: the thesis's rows by name of the model; may be empty.
    """
    return {
        "accuracy.csv": _accuracy_csv(sweeps),
        "cost.csv": _cost_csv(sweeps[0], published),
        "speed.csv": _speed_csv(sweeps[0]),
        "levels.csv": _levels_csv(sweeps),
    }


def _made(sweep: SweepResults) -> str:
    about = sweep.about
    recipe = shlex.quote(f"recipes/{about.name}.toml").replace("`", "")
    versions = ", ".join(f"{markdown(name)} {markdown(number)}" for name, number in about.versions.items())
    return (
        f"- **{markdown(sweep.title)}**: `amrq sweep {recipe} -o FOLDER`, {markdown(about.date)}, seed "
        f"{about.settings.seed}, recipe {markdown(about.identity)}; {versions}."
    )


def thesis_page(
    sweeps: Sequence[SweepResults],
    published: Mapping[str, PublishedRow],
    pictures: Sequence[str],
    command: str,
) -> str:
    """Return Markdown: what the thesis reports, what came out here, and why it differs.

    Args:
        sweeps: at least one; speed and resources are those of the first.
        published: the thesis's rows by name of the model; may be empty.
        pictures: paths of the pictures, as the page refers to them.
        command: that made the page.
    """
    first = sweeps[0]
    some = next(iter(first.cells.values()))

    def picture(name: str, words: str) -> list[str]:
        return ["", *(f"![{words}]({path})" for path in pictures if path.endswith(f"/{name}.png")), ""]

    lines = [
        "# The thesis's models, reproduced and put right",
        "",
        "## What was asked",
        "",
        "J. Rothe's thesis (Johns Hopkins, 2024) trains seven VGG-like networks at four precisions and three pruning "
        "levels, 84 models, and has 81 of them in its tables. Do its results hold, and what do quantisation and "
        f"pruning save? The whole grid was trained again, in {_counted_settings(len(sweeps))}:",
        "",
        *_settings(sweeps),
        "",
        "## What came out",
        "",
        *_conclusions(first),
        *picture("mistakes", "Mistakes of every cell"),
        *_summary(sweeps),
        _GATE,
        "",
        f"Each architecture, at all precisions and pruning levels; speed at {_LARGE:,} chunks a call "
        f"({markdown(first.title)}):",
        *_architectures(sweeps),
        "## Speed",
        "",
        _timed(first),
        *picture("inference_time", "Inference time"),
        *picture("latency", "Latency"),
        "## Resources by Algorithm II",
        "",
        _UTILISATION,
        *picture("utilisation", "Utilisation"),
        "## Against Es/N0, beside the bound",
        "",
        f"{_LEVELS} {some.level_chunks:,} chunks a level, the same for all.",
        *picture("es_n0", "Accuracy against Es/N0"),
        "## What came out differently, and why",
        "",
        *_differences(),
        "## All figures",
        "",
        "| table | what is in it |",
        "| --- | --- |",
        "| [accuracy.csv](thesis/accuracy.csv) | every cell: gate, epochs, right decisions with 95 % intervals |",
        "| [cost.csv](thesis/cost.csv) | weights, file size, throughput, resources, beside the thesis's |",
        "| [speed.csv](thesis/speed.csv) | times, and speed over float32 and over the unpruned network |",
        "| [levels.csv](thesis/levels.csv) | right decisions at each Es/N0, of the model and of the bound |",
        "",
        f"Weights are counted without zeros. {_COST}",
        "",
        "## How it was made",
        "",
        f"{_CHUNKS} Intervals are Clopper-Pearson at 95 %. The noise is {first.es_n0_db:.1f} dB below a power of 1.",
        "",
        *(_made(sweep) for sweep in sweeps),
        f"- This page: `{command}`.",
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _counted_settings(number: int) -> str:
    return {1: "one setting", 2: "two settings"}.get(number, f"{number} settings")


def _conclusions(sweep: SweepResults) -> list[str]:
    cells = list(sweep.cells.values())
    worst = min(cells, key=lambda cell: cell.right / cell.chunks)
    passed = [cell for cell in cells if not cell.gate_wrong]
    quantised = [cell for cell in cells if cell.bits < 32]
    integers = sum(not cell.float_layers for cell in quantised)
    lines = [
        f"- **Accuracy**: {len(passed)} of {len(cells)} networks pass the thesis's gate. The worst of all is right on "
        f"{_percent(worst.right, worst.chunks)} of other chunks; the likelihood bound is right on "
        f"{100 * worst.bound_right / worst.chunks:.2f} % of them.",
        f"- **Quantisation**: {integers} of {len(quantised)} quantised networks compute in integers only"
        f"{_faster(_speeds(sweep, _LARGE, True), 'over_float', 'in float32')}.",
        f"- **Pruning**: files and operations shrink with the weights"
        f"{_faster(_speeds(sweep, _LARGE, False), 'over_whole', 'before pruning')}.",
        "- **Noise**: the networks are good only at the noise level that they were trained at.",
    ]
    return [
        *lines,
        "",
        f"These are figures of the setting *{markdown(sweep.title).lower()}*; the table has all settings.",
    ]


def _faster(speeds: Sequence[SpeedFigures], ratio: str, than: str) -> str:
    """Return the end of a sentence that says how fast networks are; nothing where they were not timed."""
    span = _span([getattr(speed, ratio) for speed in speeds])
    return f"; the networks are {span} times as fast as {than}, at {_LARGE:,} chunks a call" if speeds else ""


def _timed(sweep: SweepResults) -> str:
    timed = next(iter(sweep.speeds.values()), None)
    if timed is None:
        return "Not timed."
    return (
        "Speed is the time of the other model divided by that of this one, in the same round: above 1, this one is "
        f"faster. Timed on {timed.processor}, one thread, ONNX Runtime {timed.onnxruntime}, {timed.date}: the median "
        f"of {timed.rounds} rounds, all models of an architecture in turn in each ({markdown(sweep.title)})."
    )


def _differences() -> list[str]:
    lines = []
    for title, *parts in _DIFFERENCES:
        lines += [f"### {title}", ""]
        for part in parts:
            lines += [_prose(part), ""] if isinstance(part, str) else _table(part[0], part[1:])
    return lines


def _settings(sweeps: Sequence[SweepResults]) -> list[str]:
    words = {
        "peak": "constellations scaled by their largest level in I or Q, so that classes differ in mean power",
        "power": "constellations of unit mean power",
        "none": "chunks as received, so that their level is known",
        "unit-rms": "each chunk divided by its root mean square, so that level gives nothing away",
    }
    lines = []
    for sweep in sweeps:
        signal = sweep.about.settings.signal
        lines.append(
            f"- **{markdown(sweep.title)}**: {words[signal.scaling]}; {words[signal.normalisation]}; N_a = "
            f"{signal.noise_power:g}, N_p = {signal.phase_noise:g}."
        )
    return lines
