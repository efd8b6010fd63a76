# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of sweeps: the three of the thesis, and further ones."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from amrq.evaluation import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, Share
from amrq.files import whole_file
from amrq.machine import optional_package
from amrq.sweep.cell import CellFigures
from amrq.sweep.folder import SweepResults

__all__ = ["draw_thesis_pictures"]

_DPI = 100
_BY_BITS = {32: (BLACK, "o"), 8: (BLUE, "s"), 6: (GREEN, "^"), 4: (VERMILION, "v")}
_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
_MARKERS = "osv^D<>"


def _short(architecture: str) -> str:
    """Return `5f_5c` of `vgglike_5f_5c_4re_4mp`."""
    parts = architecture.split("_")
    return "_".join(parts[1:3]) if parts[0] == "vgglike" else architecture


def _bits(bits: int) -> str:
    return "float32" if bits == 32 else f"{bits} bit"


def _against_architecture(
    sweep: SweepResults,
    figure_class: Any,
    value: Callable[[CellFigures], float | None],
    label: str,
    title: str,
) -> Any:
    """Return a figure: a panel for each pruning level, a line for each precision, on a logarithmic scale."""
    figure = figure_class(figsize=(4.1 * len(sweep.pruned), 4.2), layout="constrained")
    panels = figure.subplots(1, len(sweep.pruned), sharey=True, squeeze=False)[0]
    for axes, pruned in zip(panels, sweep.pruned, strict=True):
        for number, bits in enumerate(sweep.bits):
            colour, marker = _BY_BITS.get(bits, (_COLOURS[number % 7], _MARKERS[number % 7]))
            points = [
                (place, found)
                for place, architecture in enumerate(sweep.architectures)
                if (cell := sweep.cells.get((architecture, bits, pruned)))
                and (found := value(cell)) is not None
            ]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, marker=marker, ms=5, label=_bits(bits))
        axes.set_yscale("log")
        axes.set_title(
            "not pruned" if not pruned else f"{pruned:.0%} of the channels removed", fontsize="medium"
        )
        axes.set_xticks(
            range(len(sweep.architectures)), [_short(a) for a in sweep.architectures], rotation=45
        )
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel(label)
    panels[-1].legend(fontsize="small")
    figure.suptitle(title)
    return figure


def _accuracy(sweeps: Sequence[SweepResults], figure_class: Any) -> Any:
    """Return a figure: mistakes at the noise trained on, of every cell, with intervals."""
    figure = figure_class(figsize=(9, 3.6 * len(sweeps)), layout="constrained")
    for axes, sweep in zip(figure.subplots(len(sweeps), 1, squeeze=False)[:, 0], sweeps, strict=True):
        width = len(sweep.pruned) * len(sweep.bits) + 2
        labelled: set[int] = set()
        for place, architecture in enumerate(sweep.architectures):
            for row, pruned in enumerate(sweep.pruned):
                for column, bits in enumerate(sweep.bits):
                    cell = sweep.cells.get((architecture, bits, pruned))
                    if cell is None:
                        continue
                    colour, marker = _BY_BITS.get(bits, (BLACK, "o"))
                    # Where a sweep is not finished, the first group may lack a precision.
                    wrong = Share(cell.chunks - cell.right, cell.chunks)
                    low, high = wrong.exact
                    axes.errorbar(
                        [place * width + row * len(sweep.bits) + column],
                        [100 * wrong.value],
                        yerr=[[100 * (wrong.value - low)], [100 * (high - wrong.value)]],
                        color=colour,
                        marker=marker,
                        ms=4,
                        capsize=1.5,
                        linewidth=1,
                        alpha=(1.0, 0.75, 0.5)[min(row, 2)],
                        label=None if bits in labelled else _bits(bits),
                    )
                    labelled.add(bits)
        axes.axhline(0.1, color=BLACK, linewidth=1, linestyle="--")
        middle = (width - 3) / 2
        names = [_short(a) for a in sweep.architectures]
        axes.set_xticks([place * width + middle for place in range(len(names))], names)
        axes.set(ylabel="wrong, %", title=f"{sweep.title}, {sweep.es_n0_db:.0f} dB", ylim=(0, None))
        axes.grid(alpha=0.3, axis="y")
        axes.legend(fontsize="small", ncols=4, loc="upper right")
    shares = ", ".join(f"{p:.0%}" for p in sweeps[0].pruned)
    figure.suptitle(
        f"Mistakes with 95 % intervals; in each group pruned by {shares}, paler the more; dashed: 0.1 %"
    )
    return figure


def _levels(sweeps: Sequence[SweepResults], figure_class: Any) -> Any:
    """Return a figure: accuracy of the whole networks in floating point and at the fewest bits against Es/N0."""
    figure = figure_class(figsize=(6 * len(sweeps), 8), layout="constrained")
    panels = figure.subplots(2, len(sweeps), sharey=True, sharex=True, squeeze=False)
    for column, sweep in enumerate(sweeps):
        for row, bits in enumerate((sweep.bits[0], sweep.bits[-1])):
            axes = panels[row][column]
            bound_drawn = False
            for number, architecture in enumerate(sweep.architectures):
                cell = sweep.cells.get((architecture, bits, 0.0))
                if cell is None or not cell.levels:
                    continue
                x = [level.es_n0_db for level in cell.levels]
                if not bound_drawn:
                    bound_drawn = True
                    y = [level.bound_right / cell.level_chunks for level in cell.levels]
                    axes.plot(x, y, color=BLACK, linewidth=2, label="likelihood bound")
                shares = [Share(level.right, cell.level_chunks) for level in cell.levels]
                axes.errorbar(
                    x,
                    [share.value for share in shares],
                    yerr=[
                        [share.value - share.exact[0] for share in shares],
                        [share.exact[1] - share.value for share in shares],
                    ],
                    color=_COLOURS[number % 7],
                    marker=_MARKERS[number % 7],
                    ms=4,
                    linewidth=1,
                    capsize=1.5,
                    label=_short(architecture),
                )
            axes.set(title=f"{sweep.title}, {_bits(bits)}", ylim=(0, 1.02))
            axes.grid(alpha=0.3)
        panels[1][column].set_xlabel("Es/N0 in dB (of a signal of power 1)")
    for row in panels:
        row[0].set_ylabel("share of right decisions")
    panels[0][0].legend(fontsize="small")
    figure.suptitle("Trained at one noise level, tried at others: networks that are not pruned")
    return figure


def draw_thesis_pictures(sweeps: Sequence[SweepResults], folder: str | os.PathLike[str]) -> list[Path]:
    """Write a PNG each of mistakes, accuracy against Es/N0, estimated resources and, where it was timed, speed.

    Args:
        sweeps: at least one; resources and speed are those of the first.
        folder: where to; it must be there.

    Returns:
        the files.

    Raises:
        AmrqError: matplotlib is missing.
    """
    # The class, not pyplot: no window system is needed or touched.
    figure_class = optional_package("matplotlib.figure", "drawing pictures").Figure
    first = sweeps[0]

    def ms(batch: int) -> Callable[[CellFigures], float | None]:
        def value(cell: CellFigures) -> float | None:
            speed = first.speeds.get((cell.name, batch))
            return None if speed is None else speed.ms / batch * 1000

        return value

    figures = {
        "mistakes": _accuracy(sweeps, figure_class),
        "es_n0": _levels(sweeps, figure_class),
        "utilisation": _against_architecture(
            first,
            figure_class,
            lambda cell: cell.dsp or None,
            "DSP slices by Algorithm II",
            "Utilisation as the thesis estimates it: a scaled count of weights",
        ),
    }
    if first.speeds:
        figures["latency"] = _against_architecture(
            first, figure_class, ms(1), "µs a chunk", "Latency: one chunk a call, ONNX Runtime, one thread"
        )
        figures["inference_time"] = _against_architecture(
            first,
            figure_class,
            ms(1024),
            "µs a chunk",
            "Inference time: 1,024 chunks a call, ONNX Runtime, one thread",
        )
    paths = []
    for name, figure in figures.items():
        path = Path(folder) / f"{name}.png"
        # No date and version inside, so that the same figures give the same file.
        with whole_file(path) as file:
            figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
        paths.append(path)
    return paths
