# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq live`."""

import contextlib
import json
import signal
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from amrq.cli.app import OUTPUT_HELPS, Fields, ModelOptions, expanded, model_names, no_stdout_log, say
from amrq.cli.views import LiveView, count_answers, refuted_text
from amrq.decision import DecisionOptions, answer_text
from amrq.link import BoardBackend
from amrq.live import LiveDecision, LiveSession, Recognition, SessionOptions, deferred_interrupt
from amrq.measure import FrontEndOptions
from amrq.outputs import OutputOptions, own_stdout
from amrq.sources import SourceOptions
from amrq.text import engineering, printable

__all__ = ["live"]

_REFRESH = 8  # pictures a second

_SOURCE = "Source (one of them)"
_SIGNAL = "Signal"
_OUTPUT = "Output"
_SOURCES = ("soapy", "rtl_tcp", "file", "recording_name", "stdin", "zmq", "udp", "simulate")


@expanded
def live(
    source: Annotated[SourceOptions, Fields(_SIGNAL, panels=dict.fromkeys(_SOURCES, _SOURCE))],
    front_end: Annotated[FrontEndOptions, Fields("Front end")],
    model: Annotated[ModelOptions, Fields("Decision", completions={"model": model_names})],
    decision: Annotated[DecisionOptions, Fields("Decision")],
    board: Annotated[
        BoardBackend | None, Fields("Board", needs="endpoint", defaults={"board_policy": "drop"})
    ],
    session: Annotated[
        SessionOptions, Fields(_OUTPUT, panels={"offset": _SIGNAL, "queue_chunks": "Decision"})
    ],
    outputs: Annotated[OutputOptions, Fields(_OUTPUT, helps=OUTPUT_HELPS)],
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print each decision as a line of JSON.", rich_help_panel=_OUTPUT),
    ] = False,
) -> None:
    """Name the modulation of a signal while it is received.

    Ctrl-C ends it, with a summary and exit status 0. The source never waits: chunks that the classifier has no
    time for are dropped, counted and shown.

    Example: **amrq live --simulate**

    A radio, recorded: **amrq live --soapy driver=rtlsdr --freq 433.92M --rate 2.4M --record evening**

    A board that classifies: **amrq live --simulate --board tcp://127.0.0.1:5555**

    An RTL-SDR on another machine: **amrq live --rtl-tcp raspberrypi.local --freq 433.92M --rate 2.4M**

    Another program: **rtl_sdr -f 433.92M -s 2.4M - | amrq live --stdin --rate 2.4M --symbol-rate 100k --json**
    """
    no_stdout_log(outputs)
    recognition = Recognition(model.model, front_end, decision, model.backend(board))
    with (
        deferred_interrupt(signal.SIGTERM, signal.SIGHUP) as ending,
        own_stdout(ending) as out,
        LiveSession(source, recognition, outputs, session, ending, say) as running,
    ):
        if as_json:
            for found in running.run():
                if found.wanted:
                    print(json.dumps(found.record), file=out, flush=True)
            for sentence in running.losses():
                say(sentence)
        else:
            _show(Console(file=out), running, outputs.changes or outputs.every > 0)
        out.check()


def _show(console: Console, session: LiveSession, thinned: bool) -> None:
    """Show the stream on a terminal; elsewhere a line for each change, or for what is left of it `thinned`; sum up."""
    stream = session.stream
    view = LiveView(session.source.name, session.classes, stream)
    votes: Counter[tuple[str, str]] = Counter()
    refuted: Counter[str] = Counter()
    # The picture is drawn again even when no decision falls: what is waited for, queue and drops are news too.
    picture = Live(get_renderable=lambda: view, console=console, refresh_per_second=_REFRESH, transient=True)
    said: tuple[str, str, float | None] = ("", "", None)
    with picture if console.is_terminal else contextlib.nullcontext():
        for found in session.run():
            decision = found.decision
            votes[decision.reason, decision.best] += 1
            if decision.refuted:
                refuted[decision.refuted] += 1
            view.show(decision, found.record)
            now = (decision.reason, decision.label, stream.symbol_rate)
            if console.is_terminal or not (found.wanted if thinned else now != said):
                continue
            print(_line(found, now[2] if now[2] != said[2] else None), file=console.file, flush=True)
            said = now
    _sum_up(console, session, votes, refuted)


def _line(found: LiveDecision, fresh_rate: float | None) -> str:
    """Return a decision in one line, with the symbol rate where that is new."""
    decision = found.decision
    rate = "" if fresh_rate is None else f"  {engineering(fresh_rate, 'Bd', 6)}"
    answer = printable(
        answer_text(decision.reason, decision.best, refuted=decision.refuted, alike=decision.alike)
    )
    return f"{found.record['time']:12.3f} s  {answer:28s}  {decision.confidence:.3f}{rate}"


def _sum_up(
    console: Console, session: LiveSession, votes: Counter[tuple[str, str]], refuted: Counter[str]
) -> None:
    """Say how often which answer was given, and what was lost."""
    counted = session.stream.statistics()
    name = printable(session.source.name)
    console.print(escape(f"{name}: of {votes.total()} decisions: {count_answers(votes)}"), soft_wrap=True)
    if sentence := refuted_text(refuted):
        console.print(escape(sentence), highlight=False, soft_wrap=True)
    console.print(
        f"{counted.received} chunks: {counted.classified} classified, {counted.silent} silent, {counted.dropped} "
        f"dropped, {counted.not_finite} not finite",
        highlight=False,
    )
    for sentence in session.losses():
        console.print(sentence, highlight=False)
    board = session.stream.board_statistics()
    if board:
        console.print(
            f"{board['by_board']} by the board, {board['locally']} on this machine, {board['lost']} lost; "
            f"{board['board_resent']} messages sent again"
            + (f"; {board['board_not_finite']} answers not finite" if board["board_not_finite"] else ""),
            highlight=False,
        )
