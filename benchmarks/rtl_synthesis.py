#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The size of generated hardware on an FPGA, by synthesis, compared with Algorithm II's estimate.

xc7: Yosys for the 7-series, as shares of an XC7Z020. ecp5: Yosys and nextpnr for a Lattice ECP5-85 of speed grade 6,
placed, routed and timed. A model's row in the results is replaced; each says tools and date. Minutes to an hour a row.
The row of a model file has the file's name, followed by the number of lanes if it is given.

Example: python3 benchmarks/rtl_synthesis.py coherent-small-int4 --target xc7
Example: python3 benchmarks/rtl_synthesis.py docs/thesis/models/vgglike_2f_2c_2re_2mp_8bit_pr_20.onnx --lanes 64
"""

import argparse
import csv
import datetime
import json
import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from amrq.hardware import IntegerNetwork, estimate, read_layer_sizes
from amrq.hardware.rtl import DesignOptions, make_design
from amrq.model import find_model

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "hardware" / "synthesis.csv"
COLUMNS = (
    *(
        "model",
        "input_bits",
        "fold",
        "target",
        "weights",
        "lut",
        "lut_memory",
        "ff",
        "carry",
        "dsp",
        "bram36",
    ),
    *("lut_share_xc7z020", "max_clock_mhz", "clocks_a_chunk", "latency_clocks", "classifications_per_s"),
    *("estimate_lut", "estimate_ff", "estimate_dsp", "tools", "seconds", "date"),
)
KEY = ("model", "input_bits", "fold", "target")
XC7Z020_LUT = 53_200
MEMORY_LUTS = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM64X1S": 1, "RAM32X1S": 1}


def version(command: list[str]) -> str:
    """Return how a tool calls itself."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).strip().splitlines()[-1].replace('"', "")


def run(command: list[str], folder: Path) -> str:
    """Run a tool; return all it said."""
    result = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"{command[0]} failed: {result.stdout[-1000:]}")
    return result.stdout


def cells(folder: Path, yosys: str, sources: str, synthesis: str) -> Counter[str]:
    """Synthesise; return how many cells of each type."""
    run([yosys, "-q", "-p", f"read_verilog {sources}; {synthesis}; tee -q -o stat.json stat -json"], folder)
    text = (folder / "stat.json").read_text()
    found = json.loads(text[text.index("{") :])
    (module,) = found["modules"].values()
    return Counter(module["num_cells_by_type"])


def xc7(folder: Path, yosys: str, top: str, sources: str) -> dict[str, object]:
    """Return the figures of a 7-series FPGA."""
    count = cells(folder, yosys, sources, f"synth_xilinx -family xc7 -flatten -top {top}")
    memory = sum(count[cell] * luts for cell, luts in MEMORY_LUTS.items())
    memory += sum(n for cell, n in count.items() if cell.startswith(("SRL", "SRLC")))
    lut = memory + sum(count[f"LUT{n}"] for n in range(1, 7)) + count["INV"]
    return {
        "lut": lut,
        "lut_memory": memory,
        "ff": sum(n for cell, n in count.items() if cell.startswith("FD")),
        "carry": count["CARRY4"],
        "dsp": count["DSP48E1"],
        "bram36": count["RAMB36E1"] + count["RAMB18E1"] / 2,
        "lut_share_xc7z020": round(lut / XC7Z020_LUT, 4),
        "tools": version([yosys, "-V"]),
    }


def ecp5(folder: Path, yosys: str, nextpnr: str, top: str, sources: str) -> dict[str, object]:
    """Return the figures of an ECP5-85."""
    count = cells(folder, yosys, sources, f"synth_ecp5 -top {top} -json ecp5.json")
    device = ["--85k", "--package", "CABGA756", "--speed", "6", "--lpf-allow-unconstrained"]
    said = run(
        [
            nextpnr,
            *device,
            "--freq",
            "100",
            "--timing-allow-fail",
            "--json",
            "ecp5.json",
            "--report",
            "r.json",
        ],
        folder,
    )
    used = {name: int(n) for name, n in re.findall(r"Info:\s+(\w+):\s+(\d+)/\s*\d+\s+\d+%", said)}
    clock = re.findall(r"Max frequency for clock[^:]*: ([\d.]+) MHz", said)[-1]
    (Path(tempfile.gettempdir()) / f"{top}-ecp5.log").write_text(said)  # the critical path stands in it
    return {
        "lut": used.get("TRELLIS_COMB", used.get("TRELLIS_SLICE", 0)),
        "lut_memory": 4 * count["TRELLIS_DPR16X4"],
        "ff": used.get("TRELLIS_FF", count["TRELLIS_FF"]),
        "carry": count["CCU2C"],
        "dsp": used.get("MULT18X18D", 0),
        "bram36": used.get("DP16KD", 0) / 2,
        "max_clock_mhz": float(clock),
        "tools": f"{version([yosys, '-V'])}; {version([nextpnr, '--version'])}",
    }


def main() -> None:
    """Synthesise models and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names of shipped models, or files")
    parser.add_argument("--target", choices=("xc7", "ecp5"), default="xc7")
    parser.add_argument("--input-bits", type=int, default=8)
    parser.add_argument("--fold", type=int)
    parser.add_argument("--lanes", type=int, help="multipliers of an array")
    parser.add_argument("--yosys", default="yosys")
    parser.add_argument("--nextpnr", default="nextpnr-ecp5")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    for model in arguments.models:
        network = IntegerNetwork.from_onnx(model)
        design = make_design(network, DesignOptions(arguments.input_bits, arguments.fold, arguments.lanes))
        name = network.contract.name + (f" ({arguments.lanes} lanes)" if arguments.lanes else "")
        layers = read_layer_sizes(find_model(model))
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for file, text in design.files.items():
                (folder / file).write_text(text)
            sources = " ".join(sorted(file for file in design.files if file.endswith(".v")))
            if arguments.target == "xc7":
                row = xc7(folder, arguments.yosys, design.module, sources)
            else:
                row = ecp5(folder, arguments.yosys, arguments.nextpnr, design.module, sources)
        estimated = estimate(layers)
        row |= {
            "model": name,
            "input_bits": arguments.input_bits,
            "fold": design.fold,
            "target": arguments.target,
            "weights": sum(layer.weights for layer in layers),
            "clocks_a_chunk": design.clocks_a_chunk,
            "latency_clocks": design.latency,
            "estimate_lut": estimated.lut,
            "estimate_ff": estimated.ff,
            "estimate_dsp": estimated.dsp,
            "seconds": round(time.monotonic() - began),
            "date": datetime.date.today().isoformat(),
        }
        if "max_clock_mhz" in row:
            row["classifications_per_s"] = round(
                float(str(row["max_clock_mhz"])) * 1e6 / design.clocks_a_chunk
            )
        rows = {tuple(str(row[name]) for name in KEY): row}
        if arguments.results.is_file():
            with arguments.results.open(newline="") as file_:
                for old in csv.DictReader(file_):
                    rows.setdefault(tuple(old[name] for name in KEY), dict(old))
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        with arguments.results.open("w", newline="") as file_:
            writer = csv.DictWriter(file_, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[key] for key in sorted(rows))
        print(", ".join(f"{column} {row[column]}" for column in COLUMNS if column in row), flush=True)


if __name__ == "__main__":
    main()
