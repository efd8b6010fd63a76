#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that a board gives the same scores as this machine on many chunks, and that its memory does not grow.

* scores and decisions of 100,000 chunks through a board, against the same engine here and against onnxruntime;
* connections one after another, each with a hello, and the board's memory (resident set) before, halfway and after.

Exit status 1 if scores differ that must be equal, or if the memory grows by more than 16 MB in the second half.

Example: python3 benchmarks/board_check.py --chunks 100000 --connects 10000 -o benchmarks/results/board_check.json
"""

import argparse
import json
import platform
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from amrq.chunks import level_features, normalise
from amrq.classes import THESIS_9
from amrq.classifier import ChunkClassifier, OnnxEngine, logits_of, make_classifier, make_engine
from amrq.link import BoardEngine, Frame, LinkSettings, MessageType, read_frame
from amrq.signals import ModulatedSignal, Schedule

CASES = (
    ("coherent-small-int4", "integer"),
    ("coherent-full-int8", "integer"),
    ("blind-full-int8", "onnx"),
    ("blind-full-int8", "integer"),
    ("blind-small-int4", "native"),
)
"""Model and engine; onnxruntime must agree with all of them."""
_AT_ONCE = 1000
_GROWTH = 16e6


class Started:
    """A board as a process."""

    def __init__(self, model: str, engine: str) -> None:
        command = [sys.executable, "-m", "amrq", "board", "--model", model, "--engine", engine]
        self.process = subprocess.Popen(
            [*command, "--listen", "tcp://127.0.0.1:*"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        found = re.search(r"at (tcp://\S+)", self.process.stdout.readline())
        if found is None:
            raise SystemExit(f"the board does not start: its status is {self.process.wait(30)}, see above.")
        self.endpoint = found[1]

    def memory(self) -> int:
        """Return the bytes that are resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.split("VmRSS:")[1].split()[0])

    def end(self) -> None:
        self.process.terminate()
        if self.process.wait(30) != 0:
            raise SystemExit("the board did not end as it should")


def compare(model: str, engine_name: str, count: int) -> dict[str, Any]:
    """Classify fresh chunks both ways."""
    names = list(THESIS_9)
    board = Started(model, engine_name)
    engine, ort = make_engine(engine_name, model), OnnxEngine(model)
    local = make_classifier(model)
    # A busy machine must not make it ask twice: answers then come in the order of asking.
    settings = LinkSettings(timeout=300.0, heartbeat=60.0)
    board_engine = BoardEngine(model, board.endpoint, settings=settings)
    client = ChunkClassifier(board_engine)
    client.open()
    board_engine.require()
    same = {"scores_as_engine": 0, "scores_as_onnxruntime": 0, "decisions_as_onnxruntime": 0}
    for start in range(0, count, _AT_ONCE):
        es_n0 = float(np.random.default_rng(start).uniform(0, 20))
        signal = ModulatedSignal(
            Schedule([names[start // _AT_ONCE % len(names)]], 1 << 20), es_n0, seed=start
        )
        chunks = signal.generate(_AT_ONCE * 32)[0].reshape(-1, 32)
        normalised = normalise(chunks)
        tracked = normalised.power.mean().repeat(len(chunks)).astype(np.float32)
        level = level_features(normalised.power, tracked) if client.contract.level_input else None
        found = client.classify(chunks, tracked)
        theirs = board_engine.run(normalised.iq, level)
        same["scores_as_engine"] += int(
            (theirs == logits_of(engine.run(normalised.iq, level))).all(axis=1).sum()
        )
        same["scores_as_onnxruntime"] += int((theirs == ort.run(normalised.iq, level)).all(axis=1).sum())
        best = local.classify(chunks, tracked).log_probabilities.argmax(axis=1)
        same["decisions_as_onnxruntime"] += int((found.log_probabilities.argmax(axis=1) == best).sum())
    counters = client.counters()
    client.close()
    board.end()
    assert counters["by_board"] == 2 * count and counters["board_resent"] == 0, counters
    return {"model": model, "engine": engine_name, "chunks": count, **same}


def connects(count: int) -> dict[str, Any]:
    """Connect many times, and look at the board's memory."""
    board = Started("coherent-small-int4", "integer")
    context = zmq.Context()
    taken = 0
    memory = [board.memory()]
    for number in range(count):
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 60_000)
        socket.connect(board.endpoint)
        socket.send(Frame(type=MessageType.HELLO, session=number + 1, sequence=1).to_bytes())
        taken += read_frame(socket.recv()).type is MessageType.CAPABILITIES
        socket.close()
        if number + 1 in (count // 2, count):
            memory.append(board.memory())
    context.term()
    board.end()
    return {"connects": count, "answered": count, "taken": taken, "resident_bytes": memory}


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=100_000, help="chunks a case, in thousands")
    parser.add_argument("--connects", type=int, default=10_000, help="connections")
    parser.add_argument("--output", "-o", type=Path, help="where to write the result as well")
    given = parser.parse_args()
    chunks = max(1, given.chunks // _AT_ONCE) * _AT_ONCE
    cases = [compare(model, engine, chunks) for model, engine in CASES]
    visited = connects(given.connects)
    result = {
        "date": date.today().isoformat(),
        "cases": cases,
        **visited,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "zmq": zmq.zmq_version()},
    }
    text = json.dumps(result, indent=1)
    print(text)
    if given.output is not None:
        given.output.write_text(text + "\n")
    good = visited["resident_bytes"][2] - visited["resident_bytes"][1] < _GROWTH
    for case in cases:
        names = ["scores_as_engine", "scores_as_onnxruntime", "decisions_as_onnxruntime"]
        good = good and all(case[name] == case["chunks"] for name in names)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
