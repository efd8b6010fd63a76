#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run many commands, each in a process of its own that is forked from this one once everything is imported.

Reads a JSON line from standard input for each case, until there is none any more: `arguments`, `stdout` (read, closed,
full, broken), `environment` (added; the whole of it where `own_environment` is true), `folder` (where it runs), `limit`
(bytes that a file may have), and `whole`: the process ends as one that was started would, Python tidies up, atexit
functions run, which takes longer than most commands. Prints a JSON line each: `status`, `out`, `err`, and whether it
was `late`. Commands that are named by arguments of this script are to come: what only they need is imported too.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import sys
import time
from typing import Any

import typer.main
from patience import PATIENCE

from amrq.cli.main import app, main

# What commands import when they run. Not GNU Radio: its log has a thread, which does not live on in the child and is
# waited for there.
AHEAD = ("onnx", "onnxruntime", "sigmf", "soundfile", "typer._adapters", "zmq", "amrq.signals")
AHEAD_OF = {
    "train": ("torch", "amrq.training.making"),
    "sweep": ("torch", "distributed"),
    "evaluate": ("matplotlib.pyplot",),
}


def become(case: dict[str, Any], out: int, err: int) -> None:
    """Take a command's place, in the child; returns where the command exits by returning."""
    kind = case.get("stdout", "read")
    if kind == "full":
        out = os.open("/dev/full", os.O_WRONLY)
    elif kind == "broken":
        read, out = os.pipe()
        os.close(read)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    if kind == "closed":
        os.close(1)
        sys.stdout = sys.__stdout__ = None  # type: ignore[assignment, misc]
    if case.get("own_environment"):
        os.environ.clear()
    os.environ.update(case.get("environment", {}))
    os.chdir(case.get("folder", "."))
    if case.get("limit"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (case["limit"], case["limit"]))
    sys.argv = ["amrq", *case["arguments"]]
    try:
        main()
    except SystemExit as end:
        if case.get("whole"):
            raise
        os._exit(int(end.code or 0))


def collect(child: int, reads: dict[int, str]) -> dict[str, Any]:
    """Read what the child writes until it ends."""
    texts = {"out": b"", "err": b""}
    late, until = False, time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        for descriptor in reads:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(max(0.0, until - time.monotonic())):
                data = os.read(key.fd, 65_536)
                texts[reads[key.fd]] += data
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
            if time.monotonic() > until and not late:
                late, until = True, time.monotonic() + PATIENCE
                os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "late": late,
        **{name: text.decode(errors="replace") for name, text in texts.items()},
    }


def run() -> None:
    """Run all cases."""
    for name in (*AHEAD, *(name for command in sys.argv[1:] for name in AHEAD_OF.get(command, ()))):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for _ in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        pass  # loads every command's module
    gc.freeze()  # children do not copy what they would only look through
    for line in sys.stdin:
        case = json.loads(line)
        sys.stdout.flush()
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            os.close(out)
            os.close(err)
            become(case, out_end, err_end)
            return
        os.close(out_end)
        os.close(err_end)
        print(json.dumps(case | collect(child, {out: "out", err: "err"})), flush=True)


if __name__ == "__main__":
    run()
