# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hypothesis lies where, as a table in Verilog."""

from collections.abc import Sequence

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
    beats = -(-len(positions) // per_beat)
    beat_bits, lane_bits = VerilogText.index(beats), VerilogText.index(lanes)
    width = 1 + 8 + 8 + group_bits + lane_bits
    lines = [
        "// SPDX-License-Identifier: GPL-3.0-or-later",
        "//",
        f"// Where the scores of {len(positions)} hypotheses lie, {per_beat} a beat, and which class each belongs to.",
        "`default_nettype none",
        "module amrq_score_map #(",
        "    parameter PLACE = 0  // in a beat",
        ") (",
        f"    input  wire [{beat_bits - 1}:0] beat,",
        f"    output wire [{group_bits - 1}:0] group,",
        f"    output wire [{lane_bits - 1}:0] lane,",
        "    output wire [7:0] hypothesis,",
        "    output wire [7:0] label,",
        "    output wire there",
        ");",
        f"    reg [{width - 1}:0] found;",
        "    assign {there, hypothesis, label, group, lane} = found;",
        "    generate",
    ]
    for place in range(per_beat):
        lines += [
            f"        if (PLACE == {place}) begin : place_{place}",
            "            always @*",
            "                case (beat)",
        ]
        for h in range(place, len(positions), per_beat):
            group, lane = divmod(positions[h], lanes)
            lines.append(
                f"                    {beat_bits}'d{h // per_beat}: found = {{1'b1, 8'd{h}, 8'd{labels[h]}, "
                f"{group_bits}'d{group}, {lane_bits}'d{lane}}};  // {VerilogText.quoted(names[h])}"
            )
        lines += [
            f"                    default: found = {width}'d0;",
            "                endcase",
            "        end",
        ]
    return "\n".join([*lines, "    endgenerate", "endmodule", "`default_nettype wire"]) + "\n"
