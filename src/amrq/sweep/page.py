# SPDX-License-Identifier: GPL-3.0-or-later
"""The sweep beside the thesis, as a page."""

import csv
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from amrq.errors import AmrqError
from amrq.evaluation import Share
from amrq.files import parsing
from amrq.sweep.cell import CellFigures
from amrq.sweep.folder import SweepResults
from amrq.sweep.speed import SpeedFigures
from amrq.text import markdown, printable

__all__ = [
    "CHUNKS",
    "COST",
    "DIFFERENCES",
    "GATE",
    "LEVELS",
    "SPEED",
    "UTILISATION",
    "PublishedRow",
    "read_published",
    "thesis_page",
]


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
            row["model"]: PublishedRow(
                float(row["throughput_samples_per_s"]),
                float(row["inference_time_ms_per_batch"]),
                *(int(row[key]) for key in ("dsp", "ff", "lut", "bram", "bits")),
            )
            for row in csv.DictReader(file)
        }


def _prose(text: str) -> str:
    return " ".join(text.split())


CHUNKS = _prose(
    """Chunks have 32 symbols at one sample a symbol, the carrier phase is known, and all come from Algorithm
    I. N_a is the complex noise power a symbol, where a power of 1 is that of a unit-power signal (Es/N0 =
    1/N_a for such a signal); N_p is the standard deviation of each symbol's phase in radians. Intervals are
    Clopper-Pearson at 95 %. Training, gate and evaluation draw their chunks from streams of their own."""
)
GATE = _prose(
    """The gate stops a training, so that passing it after many tries is partly luck: a network that is wrong
    on one chunk in 1,000 passes one try in ten. What it is worth is told by the other chunks, on which
    nothing was decided."""
)
COST = _prose(
    """The thesis's columns are from its slides: throughput and time of a batch of 32 on a GPU, resources by
    Algorithm II; its weights are what the DSP column implies."""
)
SPEED = _prose(
    """Times of the other model over this one's, in the same round: above 1, this one is faster; least and most
    of the rounds in brackets."""
)
UTILISATION = _prose(
    """The estimator gives DSP, FF and LUT of the thesis's 27 unpruned rows to the digit, and BRAM of 23: four
    rows are printed lower than the formula gives (5f_4c float32: 38 for 40; 5f_5c at 8, 6 and 4 bits: 14
    for 16, 9 for 11, 6 for 7). The figures above are lower where rounding made weights zero, which the
    algorithm does not count. It is a scaled count of parameters: 133,472 DSP slices for the smallest 8-bit
    network, where an XC7Z020 has 220."""
)
LEVELS = _prose(
    """The networks know one noise level and are tried at others; the likelihood classifier knows the level it
    is tried at, so that it bounds any model."""
)
DIFFERENCES = (
    _prose(
        """- **Not every cell passes the gate.** The thesis tweaked and repeated until each did; here a cell has the
        epochs of the recipe, one annealing and then short ones with other chunks, and the page says how it ended.
        As in the thesis, all that fail are of the smallest architecture, vgglike_2f_1c, or have weights of 4 bits.
        Two earlier recipes of this setting passed 42 and 60 cells: the first had short roundings; the second let the
        batch grow to the whole epoch while the rate falls, and went on from retries that had made the network
        worse (a 4-bit vgglike_3f_2c_2re_2mp from 26 mistakes in 16,384 to 114). Now batches end at 512, and each
        retry begins from the best network so far. The corrected setting was made before that; 15 of its 19 that
        fail have weights of 4 bits. What did not help in trials beside the sweeps (2026-11-24): chunks chosen for
        their loss, more noise in training, margins, uncommon mixes of symbols, learning from the parent's scores,
        other settings of the optimiser, other scales and clipping. The smallest network came down to 19 mistakes
        in floating point in 900 epochs of batches of 64; its pruned 4-bit children ended between 78 and 674,
        depending on the parent more than on the epochs."""
    ),
    _prose(
        """- **Pruned stays pruned.** The thesis masks the weakest filters and neurons and trains on without
        the mask, which brings most of the weights back: its rows "pruned by 20 %" hold some 10 % fewer
        weights. Here they are taken out, with the weights of the next layer that they fed, so that of a
        layer between two others 30 % fewer outputs leave 49 % of the weights. No training can undo it, and
        files, operations and estimates shrink with it."""
    ),
    _prose(
        """- **Quantised is not slower.** The thesis timed fake quantisation on a GPU at batches of 32 and
        found it 10 to 20 times slower than floating point. Here the exported graph holds int8 weights,
        int32 biases and scales that are powers of two, and ONNX Runtime runs its convolutions and dense
        layers in integers. Weights of 4 and 6 bits stand in bytes: as fast as those of 8 bits, not faster.
        Activations have 8 bits throughout."""
    ),
    _prose(
        """- **Where training starts matters more than how long it lasts.** Trained for 20 s at rate 0.003, the
        smallest network was wrong on 8.9 % of 16,384 fresh chunks with zero biases and equal taps (88 epochs,
        on a busier machine), on 5.8 % with spread biases (141), and on 0.4 % with these and small outer taps
        (144), as `VggLikeNet` starts. Every epoch has fresh chunks: on a fixed set of 2,304 the smallest network
        memorises them and stands at 49 % on others."""
    ),
    _prose(
        """- **100 % on 2,304 chunks proves little.** At this noise the likelihood bound is 100 % in both
        settings, with a margin. The networks' last mistakes are chunks with an uncommon mix of symbols,
        which no noise explains: of the smallest one, 8ASK with few symbols at its second level from
        outside, taken for 4ASK. Away from the noise that they were trained on they fall far below the
        bound, since they have learned one noise level and not to weigh it. The project's own networks are
        trained on 0 to 20 dB and stay within a few points of the bound there with a hundredth of the
        weights ([models](models.md))."""
    ),
    _prose(
        """- **Peak scaling gives classes away.** With the level known QPSK has 4.7 times the power of 8ASK.
        The corrected setting takes that away."""
    ),
)


_GOAL = 0.999
_LARGE = 1_024
_DIGITS = 4


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    rule = ["---" if number < left else "---:" for number in range(len(headings))]
    return ["", *(f"| {' | '.join(row)} |" for row in (headings, rule, *rows)), ""]


def _precision(bits: int) -> str:
    return "float32" if bits == 32 else f"{bits}-bit"


def _percent(right: int, of: int) -> str:
    share = Share(right, of)
    low, high = share.exact
    return f"{100 * share.value:.2f} ({100 * low:.2f} to {100 * high:.2f})"


def _speeds(sweep: SweepResults, batch: int, integers: bool) -> list[SpeedFigures]:
    """Return the speeds of all cells on integers, or of all pruned cells."""
    return [
        speed
        for (_, bits, pruned), cell in sweep.cells.items()
        if (bits < 32 if integers else pruned > 0) and (speed := sweep.speeds.get((cell.name, batch)))
    ]


def _span(ratios: Sequence[float]) -> str:
    ordered = sorted(ratios)
    return f"{ordered[0]:.2f} to {ordered[-1]:.2f}" if ordered else "not timed"


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
    row("worst cell", [f"{c.name}: {_percent(c.right, c.chunks)} %" for c in worst])
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


def _accuracy_tables(sweeps: Sequence[SweepResults], pruned: float) -> list[str]:
    first = sweeps[0]
    rows = []
    for architecture in first.architectures:
        for bits in first.bits:
            cells = [s.cells.get((architecture, bits, pruned)) for s in sweeps]
            if not any(cells):
                continue
            entries = []
            for cell in cells:
                if cell is None:
                    entries += ["-", "-", "-"]
                    continue
                gate = "passed" if not cell.gate_wrong else f"{cell.gate_wrong} wrong"
                entries += [
                    f"{gate}, try {cell.gate_tries}",
                    _percent(cell.right, cell.chunks),
                    str(cell.epochs),
                ]
            rows.append([architecture, _precision(bits), *entries])
    headings = ["architecture", "weights"]
    for sweep in sweeps:
        chunks = next(iter(sweep.cells.values())).chunks
        headings += [f"{markdown(sweep.title)}: gate", f"right of {chunks:,}, %", "epochs"]
    return _table(headings, rows, 2)


def _cost_table(sweep: SweepResults, pruned: float, published: Mapping[str, PublishedRow]) -> list[str]:
    headings = [
        "architecture",
        "weights",
        "weights left",
        "thesis",
        "kB",
        "chunks/s",
        "thesis",
        "ms at batch 1",
    ]
    headings += ["ms a batch, thesis", "DSP", "thesis", "FF", "thesis", "LUT", "thesis", "BRAM", "thesis"]
    rows = []
    for architecture in sweep.architectures:
        for bits in sweep.bits:
            cell = sweep.cells.get((architecture, bits, pruned))
            if cell is None:
                continue
            row = published.get(cell.name)
            large, single = (sweep.speeds.get((cell.name, batch)) for batch in (_LARGE, 1))
            theirs = (
                [
                    *(f"{row.weights:,}", f"{row.chunks_per_s:,.0f}", f"{row.ms:.2f}"),
                    *(f"{value:,}" for value in (row.dsp, row.ff, row.lut, row.bram)),
                ]
                if row
                else ["-"] * 7
            )
            rows.append(
                [
                    *(
                        architecture,
                        _precision(bits),
                        f"{cell.weights:,}",
                        theirs[0],
                        f"{cell.bytes / 1000:,.0f}",
                    ),
                    *(f"{large.chunks_per_s:,.0f}" if large else "-", theirs[1]),
                    *(f"{single.ms:.3f}" if single else "-", theirs[2]),
                    *(f"{cell.dsp:,}", theirs[3], f"{cell.ff:,}", theirs[4]),
                    *(f"{cell.lut:,}", theirs[5], f"{cell.bram:,}", theirs[6]),
                ]
            )
    return _table(headings, rows, 2)


def _speed_table(sweep: SweepResults) -> list[str]:
    rows = []
    for architecture in sweep.architectures:
        for bits in sweep.bits:
            if bits == 32:
                continue
            entries = []
            for batch in (_LARGE, 1):
                cell = sweep.cells.get((architecture, bits, 0.0))
                speed = sweep.speeds.get((cell.name, batch)) if cell else None
                entries.append(
                    f"{speed.over_float:.2f} ({speed.over_float_low:.2f} to {speed.over_float_high:.2f})"
                    if speed
                    else "-"
                )
            for pruned in sweep.pruned:
                cell = sweep.cells.get((architecture, bits, pruned))
                speed = sweep.speeds.get((cell.name, _LARGE)) if cell and pruned else None
                if pruned:
                    entries.append(
                        f"{speed.over_whole:.2f} ({speed.over_whole_low:.2f} to {speed.over_whole_high:.2f})"
                        if speed
                        else "-"
                    )
            rows.append([architecture, _precision(bits), *entries])
    headings = ["architecture", "weights", "over float32, 1,024 a call", "over float32, 1 a call"]
    headings += [f"{p:.0%} pruned over whole, 1,024 a call" for p in sweep.pruned if p]
    return _table(headings, rows, 2)


def _level_table(sweep: SweepResults) -> list[str]:
    some = next(iter(sweep.cells.values()))
    rows = []
    bound_row: list[str] = []
    for (architecture, bits, pruned), cell in sorted(
        sweep.cells.items(),
        key=lambda item: (sweep.architectures.index(item[0][0]), item[0][2], -item[0][1]),
    ):
        if not bound_row:
            shares = [f"{level.bound_right / cell.level_chunks:.3f}" for level in cell.levels]
            bound_row = ["likelihood bound", "", "", *shares, f"{cell.bound_right / cell.chunks:.{_DIGITS}f}"]
        shares = [f"{level.right / cell.level_chunks:.3f}" for level in cell.levels]
        rows.append(
            [
                architecture,
                _precision(bits),
                f"{pruned:.0%}",
                *shares,
                f"{cell.right / cell.chunks:.{_DIGITS}f}",
            ]
        )
    headings = ["architecture", "weights", "pruned", *(f"{level.es_n0_db:g} dB" for level in some.levels)]
    return _table([*headings, f"{sweep.es_n0_db:.1f} dB"], [bound_row, *rows], 3)


def _made(sweep: SweepResults) -> str:
    about = sweep.about
    recipe = shlex.quote(f"recipes/{about['name']}.toml").replace("`", "")
    versions = ", ".join(f"{markdown(name)} {markdown(number)}" for name, number in about["versions"].items())
    return (
        f"- **{markdown(sweep.title)}**: `amrq sweep {recipe} -o FOLDER`, {markdown(about['date'])}, seed "
        f"{about['settings']['seed']}, recipe {markdown(about['identity'])}; {versions}."
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

    def picture(name: str, words: str) -> list[str]:
        return [f"![{words}]({path})\n" for path in pictures if path.endswith(f"{name}.png")]

    timed = next(iter(first.speeds.values()), None)
    on = (
        f"Timed on {timed.processor}, one thread, ONNX Runtime {timed.onnxruntime}, {timed.date}; the median of "
        f"{timed.rounds} rounds in which all models of an architecture ran in turn."
        if timed
        else "Not timed."
    )
    lines = [
        "# The thesis's models, reproduced and put right",
        "",
        "J. Rothe's thesis (Johns Hopkins, 2024) trains seven VGG-like networks at four precisions and three pruning "
        "levels, 84 models, and tabulates 81 of them. Here is the whole grid, in "
        + (
            "two settings:"
            if len(sweeps) == 2
            else "one setting:"
            if len(sweeps) == 1
            else "several settings:"
        ),
        "",
        *_settings(sweeps),
        "",
        f"{CHUNKS} Noise stands {first.es_n0_db:.1f} dB below a power of 1.",
        "",
        *(_made(sweep) for sweep in sweeps),
        "",
        f"This page: `{command}`.",
        "",
        "## In short",
        *_summary(sweeps),
        GATE,
        "",
        *picture("mistakes", "Mistakes of every cell"),
    ]
    for pruned in first.pruned:
        name = "Nothing pruned" if not pruned else f"{pruned:.0%} of filters and neurons removed"
        lines += [
            f"## {name}",
            *_accuracy_tables(sweeps, pruned),
            f"What it costs ({markdown(first.title)}; the other setting's networks have the same shape). {COST}",
            *_cost_table(first, pruned, published),
        ]
    lines += [
        "## Speed",
        "",
        f"{SPEED} {on} ({markdown(first.title)}.)",
        *_speed_table(first),
        *picture("inference_time", "Inference time"),
        *picture("latency", "Latency"),
        "## Utilisation by Algorithm II",
        "",
        UTILISATION,
        "",
        *picture("utilisation", "Utilisation"),
        "## Against Es/N0, beside the bound",
        "",
        f"{LEVELS} {next(iter(first.cells.values())).level_chunks:,} chunks a level, the same for all.",
        "",
        *picture("es_n0", "Accuracy against Es/N0"),
    ]
    for sweep in sweeps:
        lines += [f"### {markdown(sweep.title)}", *_level_table(sweep)]
    lines += ["## What came out differently, and why", "", *DIFFERENCES]
    return "\n".join(lines).rstrip() + "\n"


def _settings(sweeps: Sequence[SweepResults]) -> list[str]:
    words = {
        "peak": "constellations scaled by their largest level in I or Q, so that classes differ in mean power",
        "power": "constellations of unit mean power",
        "none": "chunks as received, so that their level is known",
        "unit-rms": "each chunk divided by its root mean square, so that level gives nothing away",
    }
    lines = []
    for sweep in sweeps:
        signal = sweep.about["settings"]["signal"]
        lines.append(
            f"- **{markdown(sweep.title)}**: {words[signal['scaling']]}; {words[signal['normalisation']]}; N_a = "
            f"{signal['noise_power']:g}, N_p = {signal['phase_noise']:g}."
        )
    return lines
