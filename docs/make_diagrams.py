#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the block diagrams of the hardware in docs/hardware: one of a pipeline, one of an array, of real designs.

Widths, adders, lanes and clocks in the pictures are those of the two designs, so that a picture cannot differ from what
`amrq rtl` writes. They are readable in a light and in a dark scheme.

Example: python3 docs/make_diagrams.py --output docs/hardware
"""

import argparse
import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from amrq.hardware import IntegerNetwork  # noqa: E402
from amrq.hardware.rtl import ArrayDesign, PipelineDesign  # noqa: E402

PIPELINE = "coherent-small-int4"
ARRAY = ROOT / "docs" / "thesis" / "models" / "vgglike_2f_2c_2re_2mp_8bit_pr_20.onnx"

_STYLE = """
    .card { fill: #ffffff; stroke: #c9ced6 }
    .zone { fill: #f2f4f7; stroke: none }
    .box { fill: #e3edf9; stroke: #35618e }
    .memory { fill: #fbf0d9; stroke: #8a6414 }
    .outside { fill: none; stroke: none }
    .wire { fill: none; stroke: #4a5361; stroke-width: 1.5 }
    .head { fill: #4a5361; stroke: none }
    text { font-family: 'DejaVu Sans', Verdana, sans-serif; font-size: 12px; fill: #1c2430; text-anchor: middle }
    .title { font-weight: bold }
    .note { fill: #4a5361; font-size: 11px }
    @media (prefers-color-scheme: dark) {
      .card { fill: #16191f; stroke: #3b424d }
      .zone { fill: #20252d }
      .box { fill: #1d3349; stroke: #7fb2e6 }
      .memory { fill: #3a2f17; stroke: #d9ae57 }
      .wire { stroke: #aab3c0 }
      .head { fill: #aab3c0 }
      text { fill: #e8ecf2 }
      .note { fill: #aab3c0 }
    }
"""
_LINE = 16
"""Height of a line of text."""


class Box(NamedTuple):
    """A part of the hardware; lines of text, the first one in bold.

    Attributes:
        x: of the left side.
        y: of the upper side.
        width: in pixels.
        height: in pixels.
        lines: what stands in it.
        kind: `box`, `memory` or `outside`.
    """

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    kind: str = "box"

    @property
    def left(self) -> tuple[float, float]:
        """The middle of the left side."""
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        """The middle of the right side."""
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> tuple[float, float]:
        """The middle of the upper side."""
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        """The middle of the lower side."""
        return self.x + self.width / 2, self.y + self.height


class Diagram:
    """Boxes, wires and notes, written as SVG."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._zones: list[str] = []
        self._parts: list[str] = []

    def box(self, box: Box) -> Box:
        """Draw a box."""
        self._parts.append(
            f'<rect class="{box.kind}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" '
            'rx="5"/>'
        )
        x = box.x + box.width / 2
        first = box.y + box.height / 2 - (len(box.lines) - 1) * _LINE / 2 + 4
        for number, line in enumerate(box.lines):
            kind = "title" if number == 0 else "note"
            self.text(x, first + number * _LINE, line, kind)
        return box

    def text(self, x: float, y: float, line: str, kind: str = "note", anchor: str = "middle") -> None:
        """Write a line."""
        self._parts.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" style="text-anchor: {anchor}">{escape(line)}</text>'
        )

    def wire(
        self, *points: tuple[float, float], label: str = "", at: tuple[float, float] | None = None
    ) -> None:
        """Draw a wire with an arrow at its last point."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(f'<polyline class="wire" points="{path}"/>')
        (x0, y0), (x, y) = points[-2:]
        dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
        corners = [
            (x, y),
            (x - 8 * dx - 4 * dy, y - 8 * dy - 4 * dx),
            (x - 8 * dx + 4 * dy, y - 8 * dy + 4 * dx),
        ]
        self._parts.append(f'<polygon class="head" points="{" ".join(f"{a:g},{b:g}" for a, b in corners)}"/>')
        if label:
            place = at or ((x0 + x) / 2, (y0 + y) / 2 - 6)
            self.text(*place, label)

    def zone(self, x: float, y: float, width: float, height: float, name: str) -> None:
        """Draw a field behind the boxes."""
        self._zones.append(
            f'<rect class="zone" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8"/>'
        )
        self.text(x + 10, y + 17, name, "note", "start")

    def svg(self) -> str:
        """Return the picture."""
        lines = [
            "<!-- SPDX-License-Identifier: GPL-3.0-or-later; made by docs/make_diagrams.py -->",
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" role="img">',
            f"<title>{escape(self.title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="10"/>',
            *self._zones,
            *self._parts,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


def pipeline_diagram(design: PipelineDesign) -> str:
    """Return the picture of a pipeline."""
    network, port = design.network, design.port
    name = network.contract.name
    length = network.contract.chunk_length
    picture = Diagram(960, 470, f"{name} as a pipeline")
    picture.text(20, 28, f"{name}, amrq rtl: a pipeline", "title", "start")
    picture.zone(20, 45, 920, 165, f"a symbol {design.symbol_clocks}")
    given = picture.box(Box(35, 95, 95, 70, ("s_axis", "I and Q of", f"{port.bits} bits"), "outside"))
    gate = picture.box(Box(150, 90, 115, 80, ("chunk gate", f"{length} symbols", "make a chunk")))
    fold = "magnitudes of I, Q" if port.fold else "I and Q as they are"
    taken = picture.box(Box(295, 90, 135, 80, ("input", fold, "saturated to 8 bits")))
    picture.wire(given.right, gate.left)
    picture.wire(gate.right, taken.left)
    before = taken
    room = 920 - 460
    width = (room - 30 * (len(design.stages) - 1)) / len(design.stages)
    for number, stage in enumerate(design.stages):
        made = stage.made
        box = picture.box(
            Box(
                460 + number * (width + 30),
                80,
                width,
                100,
                (
                    made.module,
                    f"{made.layer.inputs} to {made.layer.outputs} channels",
                    f"{made.adders} adders, no multiplier",
                    "rounding, saturation",
                    f"{made.latency} clocks",
                ),
            )
        )
        picture.wire(before.right, box.left)
        before = box
    picture.zone(20, 235, 920, 180, f"once a chunk of {length * design.fold} clocks")
    mean = picture.box(
        Box(790, 290, 130, 80, ("mean", f"{network.mean.channels} accumulators", "one a channel"))
    )
    picture.wire((mean.top[0], before.bottom[1]), mean.top)
    before = mean
    width = 165.0
    for number, head in enumerate(design.heads):
        box = picture.box(
            Box(
                760 - (number + 1) * (width + 30) + 30,
                280,
                width,
                100,
                (
                    head.module,
                    f"{head.layer.inputs} inputs, {head.layer.outputs} outputs",
                    "bit planes into tables",
                    f"{head.lanes} lanes, {head.groups} outputs each",
                    f"{head.latency} clocks",
                ),
            )
        )
        picture.wire(before.left, box.right)
        before = box
    scores = picture.box(
        Box(
            190,
            290,
            150,
            80,
            ("score stream", f"store of {design.places} chunks", "best score found"),
            "memory",
        )
    )
    picture.wire(before.left, scores.right)
    out = picture.box(
        Box(
            30,
            290,
            125,
            80,
            ("m_axis", f"{design.beats} scores a chunk", "class beside", "the last one"),
            "outside",
        )
    )
    picture.wire(scores.left, out.right)
    picture.wire(
        (scores.x + 20, scores.y),
        (scores.x + 20, gate.bottom[1]),
        label="sent: a place is free",
        at=(scores.x + 95, 228),
    )
    picture.text(
        480,
        442,
        f"{design.latency} clocks from a chunk's last symbol to its class; between gate and store nothing is ever "
        "stopped",
    )
    return picture.svg()


def array_diagram(design: ArrayDesign) -> str:
    """Return the picture of an array."""
    network, port = design.network, design.port
    name = network.contract.name
    length = network.contract.chunk_length
    picture = Diagram(960, 505, f"{name} as an array")
    picture.text(20, 28, f"{name}, amrq rtl: an array", "title", "start")
    given = picture.box(Box(25, 90, 90, 70, ("s_axis", "I and Q of", f"{port.bits} bits"), "outside"))
    gate = picture.box(Box(135, 85, 115, 80, ("chunk gate", f"{length} symbols", "make a chunk")))
    taken = picture.box(Box(275, 85, 115, 80, ("input", "shift,", "saturation")))
    symbols = picture.box(Box(412, 85, 146, 80, ("symbols", "memory of", "4 chunks"), "memory"))
    picture.wire(given.right, gate.left)
    picture.wire(gate.right, taken.left)
    picture.wire(taken.right, symbols.left)
    picture.zone(
        20,
        195,
        920,
        255,
        f"{len(design.layers)} layers one after the other, {design.clocks_a_chunk:,} clocks a chunk",
    )
    numbers = picture.box(
        Box(412, 235, 146, 80, ("numbers", "two halves: one read,", "one written"), "memory")
    )
    lanes = picture.box(
        Box(
            620,
            235,
            145,
            80,
            (f"{design.lanes} lanes", "a multiplier and an", "accumulator each", "an output each"),
        )
    )
    weights = picture.box(
        Box(
            620,
            85,
            145,
            80,
            (
                "weights",
                f"memory of {design.weight_words:,}",
                f"words of {design.lanes} weights",
            ),
            "memory",
        )
    )
    control = picture.box(
        Box(
            150,
            235,
            190,
            80,
            ("control", "table of the layers,", "counters: output, symbol,", "term of the sum"),
        )
    )
    rounder = picture.box(Box(800, 235, 125, 80, ("rounder", "bias, shift, half to", "even, saturation")))
    pool = picture.box(Box(620, 355, 145, 70, ("max pool", "larger of two symbols,", "where a layer has it")))
    scores = picture.box(
        Box(190, 355, 150, 70, ("score stream", "store of 4 chunks", "best score found"), "memory")
    )
    out = picture.box(
        Box(
            30,
            355,
            125,
            70,
            ("m_axis", f"{design.beats} scores a chunk", "class beside", "the last one"),
            "outside",
        )
    )
    picture.wire((symbols.x + symbols.width, 125), (585, 125), (585, 260), (lanes.x, 260))
    picture.text(578, 186, "first layer", "note", "end")
    picture.wire((numbers.x + numbers.width, 290), (lanes.x, 290))
    picture.wire(weights.bottom, lanes.top)
    picture.wire(lanes.right, rounder.left)
    picture.wire((control.x + control.width, control.left[1]), numbers.left, label="addresses")
    picture.wire(rounder.bottom, (rounder.bottom[0], pool.left[1]), pool.right)
    picture.wire(
        pool.left, (numbers.bottom[0] + 20, pool.left[1]), (numbers.bottom[0] + 20, numbers.bottom[1])
    )
    picture.wire(
        (rounder.bottom[0] + 25, rounder.bottom[1]),
        (rounder.bottom[0] + 25, 438),
        (375, 438),
        (375, scores.right[1]),
        scores.right,
    )
    picture.text(470, 432, "sums of the last layer", "note")
    picture.wire(scores.left, out.right)
    picture.text(
        480,
        482,
        f"{design.multiplications:,} products a chunk; {design.latency:,} clocks from a chunk's last symbol to its "
        "class",
    )
    return picture.svg()


def pictures() -> dict[str, str]:
    """Return all pictures by file name."""
    return {
        "pipeline.svg": pipeline_diagram(PipelineDesign(IntegerNetwork.from_onnx(PIPELINE))),
        "array.svg": array_diagram(ArrayDesign(IntegerNetwork.from_onnx(ARRAY))),
    }


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "hardware", help="folder (default: %(default)s)"
    )
    arguments = parser.parse_args()
    for name, svg in pictures().items():
        (arguments.output / name).write_text(svg)


if __name__ == "__main__":
    main()
