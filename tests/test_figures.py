# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures in the pages are those that the scripts of this repository wrote."""

import csv
import importlib
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE
from typer.testing import CliRunner

from amrq.classifier import make_classifier
from amrq.cli.main import app
from amrq.hardware import weights_of
from amrq.model import find_model

ROOT = Path(__file__).resolve().parents[1]
FRONT = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def read_csv(path: str) -> list[dict[str, str]]:
    with (ROOT / path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_json(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def table(page: str, heading: str, which: int = 0) -> list[list[str]]:
    """Return the cells of a table below a heading, without its first two lines."""
    text = (ROOT / page).read_text(encoding="utf-8")
    part = text[re.search(rf"^#+ {re.escape(heading)}$", text, re.MULTILINE).end() :]  # type: ignore[union-attr]
    found = re.findall(r"(?:^\|.*\|$\n?)+", part, re.MULTILINE)[which]
    return [[cell.strip().strip("`*") for cell in line[1:-1].split("|")] for line in found.splitlines()[2:]]


def number(text: str) -> float:
    return float(re.sub(r"[,% ]|MHz", "", text))


def evaluation(model: str) -> dict[str, Any]:
    return dict(read_json(f"docs/evaluation/{model}/evaluation.json"))


def test_the_front_page() -> None:
    contract = make_classifier("default").contract
    counted = weights_of(find_model("default"))  # as `amrq models` and `amrq estimate` do
    assert counted is not None
    assert f"{counted[0]:,} weights of {contract.weight_bits} bits" in FRONT
    assert f"a file of {round(find_model('default').stat().st_size / 1000)} kB" in FRONT

    found = evaluation(contract.name)
    gap = max(level["named"]["bound_minus_model"]["difference"] for level in found["levels"])
    assert f"within {100 * gap:.1f} points of" in FRONT
    (keying,) = (other["claimed"]["share"] for other in found["other_signals"] if other["kind"] == "FSK")
    assert f"(FSK) gets one of the nine names in {100 * keying:.0f} % of decisions" in FRONT

    designs = read_csv("docs/hardware/synthesis.csv")
    made = {
        row["target"]: row for row in designs if row["model"] == "coherent-small-int4" and row["fold"] == "1"
    }
    assert f"takes {int(made['xc7']['lut']):,} LUT of an XC7Z020" in FRONT
    assert f"({100 * float(made['xc7']['lut_share_xc7z020']):.1f} %, Yosys)" in FRONT
    assert f"an ECP5 reaches {made['ecp5']['max_clock_mhz']} MHz" in FRONT
    assert made["xc7"]["dsp"] == "0" and float(made["xc7"]["bram36"]) == 0
    boards = read_json("benchmarks/results/serial_board.json")
    routed = boards["blind-small-int4"]["bitstream, LFE5U-85F"]
    assert f"{routed['reached_mhz']:.1f} MHz, and {routed['classifications_a_second']:,} chunks" in FRONT
    assert f"at the {routed['wanted_mhz']:g} MHz that it is made for" in FRONT
    larger = boards["blind-full-int4"]["bitstream, LFE5U-85F"]
    assert f"reaches {larger['reached_mhz']:.1f} MHz there" in FRONT
    assert (
        f"made for {larger['wanted_mhz']:g}: {larger['classifications_a_second']:,} chunks a second" in FRONT
    )

    client = (ROOT / "examples" / "board-client-c" / "board_client.c").read_text(encoding="utf-8")
    board = " ".join((ROOT / "docs" / "board.md").read_text(encoding="utf-8").split())
    assert "a client in C with under 200 lines" in board and len(client.splitlines()) < 200


def test_the_accuracy_of_the_shipped_models() -> None:
    rows = table("docs/models.md", "The shipped models", 1)
    assert len(rows) == 14
    for cells in rows:
        name = re.sub(r"\[(.*)\]\(.*", r"\1", cells[0])
        if name.startswith("bound"):
            continue
        levels = evaluation(name)["levels"]
        assert [number(cell) for cell in cells[3:12]] == [round(level["accuracy"], 3) for level in levels]
        most = max(levels, key=lambda level: level["named"]["bound_minus_model"]["difference"])
        gap = 100 * most["named"]["bound_minus_model"]["difference"]
        assert cells[12] == f"{gap:.1f} points, at {most['es_n0_db']:g} dB"


def test_synthesis() -> None:
    rows = read_csv("docs/hardware/synthesis.csv")
    for cells in table("docs/hardware.md", "Synthesis"):
        (row,) = (r for r in rows if (r["model"], r["target"], r["fold"]) == (cells[0], "xc7", "1"))
        named = (
            "weights",
            "lut",
            "ff",
            "carry",
            "dsp",
            "bram36",
            "estimate_lut",
            "estimate_ff",
            "estimate_dsp",
        )
        said = [number(cells[k]) for k in (1, 2, 4, 6, 7, 8, 9, 10, 11)]
        assert said == [float(row[name]) for name in named]
        assert cells[3] == f"{100 * float(row['lut_share_xc7z020']):.1f} %"
    tried = read_csv("docs/hardware/cosimulation.csv")
    for cells in table("docs/hardware.md", "Models of any phase: from received symbols on", 1):
        name, _, fold = cells[0].replace("`", "").partition(", --fold ")
        (row,) = (r for r in rows if (r["model"], r["target"], r["fold"]) == (name, "xc7", fold or "4"))
        columns = ("lut", "ff", "dsp", "bram36", "clocks_a_chunk", "latency_clocks")
        assert [number(cells[k]) for k in (1, 3, 5, 7, 9, 10)] == [float(row[one]) for one in columns]
        assert cells[2] == f"{100 * float(row['lut_share_xc7z020']):.1f} %"
        assert row["latency_clocks"] in {r["latency_clocks"] for r in tried if r["model"] == name}


def test_cosimulation() -> None:
    rows = read_csv("docs/hardware/cosimulation.csv")
    for heading in ("Proof", "Proof of the array", "Models of any phase: from received symbols on"):
        for cells in table("docs/hardware.md", heading):
            name, *more = cells[0].replace("`", "").split(", ")
            name += "".join(f" ({what})" for what in more if what.endswith(" lanes"))
            fold = next((what.split()[1] for what in more if what.startswith("--fold")), "")
            wanted = {
                "model": name,
                "chunks": cells[-6].replace(",", ""),
                "right_by_onnx": cells[-2].replace(",", ""),
            }
            wanted |= {"right_by_class": cells[-4].replace(",", ""), "labelled": cells[-1].replace(",", "")}
            found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
            assert found and all("scores equal" in row["result"] for row in found), cells
            assert not fold or any(row["fold"] == fold for row in found)


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import a module of the benchmarks."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def test_what_the_front_end_costs(benchmarks: Callable[[str], Any]) -> None:
    front_end, short, times = map(benchmarks, ("front_end", "short_decisions", "receiver_time"))
    between = benchmarks("resumable").between
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    rows, about = front_end.read(front_end.RESULTS), read_json("benchmarks/results/front_end.json")
    assert page == front_end.filled(page, rows, about), "run benchmarks/front_end.py --pages"
    short_rows = read_json("benchmarks/results/short_decisions.json")
    assert page == short.filled(page, short_rows), "run benchmarks/short_decisions.py --pages"
    time_table = times.table(read_json("benchmarks/results/receiver_time.json"))
    assert page == between(page, "receiver time", time_table), "run benchmarks/receiver_time.py --pages"
    measured = {(row["kind"], row["modulation"], float(row["es_n0_db"])) for row in rows}
    assert measured == {(point.kind, point.modulation, point.es_n0_db) for point in front_end.points()}


@pytest.mark.parametrize(
    "name",
    [
        "front_end",
        "named",
        "open_world",
        "open_world_unchecked",
        "receiver_time",
        "recordings",
        "short_decisions",
        "symbol_rate",
    ],
)
def test_results_say_when_and_with_what_they_were_measured(name: str) -> None:
    about = read_json(f"benchmarks/results/{name}.json")
    assert re.fullmatch(r"2026-\d\d-\d\d", about["date"]) and about["numpy"]


def test_the_live_path() -> None:
    found = read_json("benchmarks/results/live_path.json")
    for page in ("docs/live.md", "benchmarks/README.md"):
        text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        assert f"{found['processor_share_of_one_core']:.2f} cores" in text
        assert f"{found['latency_ms']['median']:.0f} ms" in text
        assert f"{found['latency_ms']['99th percentile']:.0f} ms" in text
    assert f"{found['chunks']:,} chunks" in text and f"{found['decisions']:,} decisions right" in text
    assert (
        found["overflows"] == found["chunks_dropped"] == 0 and found["decisions"] == found["decisions_right"]
    )


def first_words(page: str, heading: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    return " ".join(text[text.index(f"{heading}\n") :].replace("*", "").split())[:600]


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("README.md", "## Hardware (FPGA)"),
        ("docs/hardware.md", "# Hardware"),
        ("docs/board.md", "# The board: classify somewhere else"),
    ],
)
def test_pages_about_hardware_begin_with_what_it_has_not_done(page: str, heading: str) -> None:
    said = first_words(page, heading)
    assert re.search(r"(None|Nothing|No FPGA board) .{0,40}has run (on|any)", said)
    assert re.search(r"simulate", said)


@pytest.mark.parametrize("command", ["rtl", "board"])
def test_so_does_the_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "100"})
    said = " ".join(re.sub(r"[│|]", " ", result.output).split())
    assert result.exit_code == 0
    assert re.search(r"[Nn]o FPGA board has run|has not run on an FPGA", said)
    assert re.search(r"simulate", said)


def test_make_help_says_how_long_things_take() -> None:
    said = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    for target in ("setup", "demo", "test"):
        (line,) = (line for line in said.stdout.splitlines() if line.startswith(f"  make {target} "))
        (minutes,) = re.findall(r"\((\d+ minutes?|half a minute)\)", line)
        assert minutes in FRONT, f"README and make help differ in how long make {target} takes"
