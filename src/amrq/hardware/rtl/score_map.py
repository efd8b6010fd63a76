# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hypothesis lies where, as a table in Verilog."""

from collections.abc import Sequence

from amrq.hardware.rtl.templates import rendered
from amrq.hardware.rtl.verilog_text import VerilogText

__all__ = ["score_map"]


def score_map(
    positions: Sequence[int],
    lanes: int,
    group_bits: int,
    labels: Sequence[int],
    per_beat: int,
    names: Sequence[str],
) -> str:
    """Return the module amrq_score_map: from the number of a beat to group, lane and class of a hypothesis.

    Args:
        positions: of each hypothesis: group * lanes + lane.
        lanes: number of lanes.
        group_bits: width of a group's number.
        labels: index of each hypothesis's class.
        per_beat: scores a beat.
        names: of the hypotheses, for people.
    """
    beat_bits, lane_bits = VerilogText.index(-(-len(positions) // per_beat)), VerilogText.index(lanes)
    scores = [
        {"hypothesis": number, "label": label, "group": place // lanes, "lane": place % lanes, "name": name}
        for number, (place, label, name) in enumerate(zip(positions, labels, names, strict=True))
    ]
    return rendered(
        "score_map.v.in",
        scores=scores,
        per_beat=per_beat,
        beat_bits=beat_bits,
        group_bits=group_bits,
        lane_bits=lane_bits,
        width=1 + 8 + 8 + group_bits + lane_bits,
    )
