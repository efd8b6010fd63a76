# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading, generating and running flowgraphs as GNU Radio Companion does, with the repository's own block files."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import run_amrq
from gnuradio import gr
from gnuradio.grc.core.platform import Platform
from gnuradio.grc.core.utils.extract_docs import SubprocessLoader

ROOT = Path(__file__).resolve().parents[2]
BLOCK_FILES = sorted((ROOT / "grc").glob("*.block.yml"))
EXAMPLES = sorted((ROOT / "examples").glob("*.grc"))
ONE_OUTPUT: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
"""What is written to standard error stands between what is written to standard output."""
RUN_LIMIT = 180.0  # seconds in which a flowgraph on a busy machine has made its decisions


@cache
def platform() -> Any:
    """Return GRC's library of blocks, this repository's own over whatever is installed."""
    logging.getLogger("gnuradio.grc").setLevel(logging.ERROR)
    grc = Platform(
        version=gr.version(),
        version_parts=(gr.major_version(), gr.api_version(), gr.minor_version()),
        prefs=gr.prefs(),
    )
    # The docstrings, which it looks for in another process, are of no interest here.
    with mock.patch.multiple(SubprocessLoader, start=lambda self: None, query=lambda self, *what: None):
        grc.build_library([*grc.config.block_paths, str(ROOT / "grc")])
    return grc


def load(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return a flowgraph and what its file holds."""
    grc = platform()
    data = grc.parse_flow_graph(str(path))
    graph = grc.make_flow_graph()
    graph.grc_file_path = str(path)
    graph.import_data(data)
    graph.rewrite()
    graph.validate()
    return graph, data


def generate(path: Path, folder: Path) -> Path:
    """Write a flowgraph's Python script into `folder`."""
    graph, _ = load(path)
    generator = platform().Generator(graph, str(folder))
    generator.write()
    return Path(generator.file_path)


@dataclass(frozen=True)
class Run:
    """What came of running a flowgraph.

    Attributes:
        status: of the process; 0 is good.
        output: what it printed and logged.
        history: (label, truth) of the decisions on the display.
        received: decisions that the display received.
        statistics: the counters that it received last.
        hidden: sizes of the window, width and height in pixels, at which a part of the display is not to be seen.
    """

    status: int
    output: str
    history: list[tuple[str, str | None]]
    received: int
    statistics: dict[str, int]
    hidden: list[tuple[int, int]]


def environment(script: Path) -> dict[str, str]:
    """Return what a generated script's environment has besides the usual one: no screen, no settings of the user."""
    return {
        "QT_QPA_PLATFORM": "offscreen",
        # Where FFTW's plans are kept: GNU Radio complains of a file that another process is about to write.
        "HOME": str(script.parent),
        # Where Qt keeps window sizes: neither the user's are taken nor are they changed.
        "XDG_CONFIG_HOME": str(script.parent),
        "XDG_RUNTIME_DIR": str(script.parent),
    }


def loaded(script: Path, *options: object) -> list[object]:
    """Return the command that runs a script; what flowgraphs load is loaded."""
    return run_amrq.warm(script, *options, more=("PyQt5.Qt", "PyQt5.QtWidgets", "pyqtgraph"))


@contextmanager
def beside(script: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a generated script without a window, in its folder, while something else goes on; then end it with Ctrl-C."""
    process = run_amrq.start(loaded(script, *options), environment(script), cwd=script.parent)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=RUN_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def run(script: Path, decisions: int, *options: str) -> Run:
    """Run a generated script in a process of its own until its display has shown so many decisions."""
    result = script.with_suffix(".json")
    driver = Path(__file__).with_name("run_flowgraph.py")
    process = run_amrq.run(
        loaded(driver, script, result, decisions, *options, "--limit", RUN_LIMIT),
        environment(script),
        cwd=script.parent,  # not the repository: examples must not depend on where they are started
        timeout=1.5 * RUN_LIMIT,
        **ONE_OUTPUT,
    )
    seen = json.loads(result.read_text()) if result.exists() else {}
    return Run(
        process.returncode,
        process.stdout,
        [(label, truth) for label, truth in seen.get("history", [])],
        seen.get("received", 0),
        seen.get("statistics", {}),
        [(width, height) for width, height in seen.get("hidden", [])],
    )
