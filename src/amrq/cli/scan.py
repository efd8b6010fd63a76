# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq scan` and `amrq history`."""

import contextlib
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from amrq.cli.app import Fields, expanded, model_names, no_stdout_log, one_of, quantity, say
from amrq.errors import AmrqError
from amrq.live import deferred_interrupt
from amrq.model import UNKNOWN
from amrq.options import OptionError, check, described
from amrq.outputs import HistoryQuery, OutputOptions, own_stdout, read_history
from amrq.protocols import FAMILIES
from amrq.scan import EmissionRecord, ScanOptions, ScanOutputOptions, ScanSession
from amrq.sources import SourceOptions
from amrq.text import counted, engineering, printable

__all__ = ["history", "scan"]

_REFRESH = 4  # pictures a second
_WIDE = 200  # characters of a line of a table that goes into a file
_SOURCE = "Source (one of these, or a recording)"
_BAND = "Band"
_OUTPUT = "Output"
_SOURCES = ("soapy", "rtl_tcp", "file", "recording_name", "stdin", "zmq", "udp", "simulate")
_LOG_HELPS = {
    "log": "Append each record to this file, as a line of JSON. At 50 MB the file is renamed to FILE.1 and a new one "
    "is started."
}

_SIMULATED_RATE = 2.4e6


@described
@dataclass(frozen=True)
class _Source(SourceOptions):
    """The source of a band; it may be left open, since a recording is named without an option."""

    def __post_init__(self) -> None:
        if all(getattr(self, name) in (None, False) for name in _SOURCES if name != "recording_name"):
            check(self)
            return
        if self.simulate and self.sample_rate is None:
            object.__setattr__(self, "sample_rate", _SIMULATED_RATE)
        super().__post_init__()


_Row = Mapping[str, Any]
_SORTS: dict[str, Callable[[_Row], Any]] = {
    "frequency": lambda row: row["offset_hz"],
    "time": lambda row: (row["time"], row["offset_hz"]),
    "snr": lambda row: -(row["snr_db"] if row["snr_db"] is not None else -999.0),
    "bandwidth": lambda row: -row["bandwidth_hz"],
    "label": lambda row: (row["label"] == UNKNOWN, row["label"], row["offset_hz"]),
    "duration": lambda row: -row["duration"],
}


@expanded
def scan(
    source: Annotated[
        _Source,
        Fields(
            _BAND,
            without={"symbol_rate", "es_n0_db"},
            panels=dict.fromkeys(_SOURCES, _SOURCE),
            helps={"simulate": "A simulated band with a dozen emissions, 2.4 MS/s."},
        ),
    ],
    options: Annotated[
        ScanOptions, Fields("Scan", completions={"model": model_names, "family_model": model_names})
    ],
    writing: Annotated[ScanOutputOptions, Fields(_OUTPUT, panels={"sweep": _BAND, "dwell": _BAND})],
    outputs: Annotated[OutputOptions, Fields(_OUTPUT, without={"changes", "every"}, helps=_LOG_HELPS)],
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RECORDING]", help="A recording, scanned as fast as possible: SigMF, wav or raw samples."
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print a line of JSON for each emission that is over.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    events: Annotated[
        bool,
        typer.Option(
            "--events",
            help="With --json: also when an emission begins, and when its name changes.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            help=f"Order of the table: {', '.join(_SORTS)}.",
            autocompletion=one_of(tuple(_SORTS)),
            rich_help_panel=_OUTPUT,
        ),
    ] = "frequency",
) -> None:
    """Find what is on the air in a band, and name it.

    Lists each emission with its frequency, bandwidth, SNR, name and likely protocol while it lasts and for a minute
    after it. A protocol with a question mark is a guess. What fits no family is **unknown**, with its measures. Ctrl-C
    ends it, with all records written and exit status 0.

    Example: **amrq scan --simulate**

    A recording: **amrq scan band.sigmf-meta --json**

    A radio, and what it receives kept: **amrq scan --soapy driver=rtlsdr --freq 433.92M --rate 2.4M --database
    scan.sqlite**

    Each strong FSK signal as a recording of its own: **amrq scan band.sigmf-meta --record-on "family=fsk2 and
    snr_db>10"**
    """
    no_stdout_log(outputs)
    if sort not in _SORTS:
        raise AmrqError(f"--sort must be one of {', '.join(_SORTS)}, not '{printable(sort, 40)}'.")
    if events and not as_json:
        raise AmrqError("--events belongs to --json: give that as well.")
    # Patient: the records of what is on the air are written in any case.
    with (
        deferred_interrupt(signal.SIGTERM, signal.SIGHUP, patient=True) as ending,
        own_stdout(ending) as out,
    ):
        session = _session(source, path, options, outputs, writing, ending)
        with session as running:
            if as_json:
                for record in running.run():
                    if events or record["event"] == "end":
                        print(json.dumps(record), file=out, flush=True)
            else:
                _show(Console(file=out), running, sort)
            for sentence in running.losses():
                say(sentence)
            for path in running.recordings():
                say(f"recorded {path}.")
        out.check()


def _session(
    source: _Source,
    recording: Path | None,
    options: ScanOptions,
    outputs: OutputOptions,
    writing: ScanOutputOptions,
    ending: Any,
) -> ScanSession:
    """Return the session of a recording, or of another source."""
    chosen = next((name for name in _SOURCES if getattr(source, name) not in (None, False)), None)
    if recording is None:
        if chosen in (None, "recording_name"):
            raise OptionError(
                _Source,
                "there is nothing to scan: give a recording, or one of {soapy}, {rtl_tcp}, {file}, {stdin}, {zmq}, "
                "{udp}, {simulate}.",
            )
        return ScanSession(source, options, outputs, writing, ending, say)
    if chosen not in (None, "recording_name"):
        raise OptionError(_Source, f"give a recording or {{{chosen}}}, not both.")
    if str(recording) == "-":
        raise OptionError(_Source, "{stdin} reads standard input, with {sample_rate}.")
    given = {name: getattr(source, name) for name in ("recording_name", "frequency", "sample_rate", "format")}
    return ScanSession.of_recording(_Source(file=recording, **given), options, outputs, writing, ending, say)


def _show(console: Console, session: ScanSession, sort: str) -> None:
    """Show the band on a terminal while it is received; elsewhere a line for each emission; then sum up."""
    live = not session.is_recording
    view = _View(session, sort)
    ended: list[dict[str, Any]] = []
    answers: Counter[str] = Counter()
    picture = Live(get_renderable=lambda: view, console=console, refresh_per_second=_REFRESH, transient=True)
    with picture if console.is_terminal and live else contextlib.nullcontext():
        for record in session.run():
            view.heard(record)
            if record["event"] != "end" or record["part_of"]:
                continue
            answers[record["label"]] += 1
            if live and not console.is_terminal:
                print(
                    *[_HEADING] * (answers.total() == 1),
                    _line(record),
                    sep="\n",
                    file=console.file,
                    flush=True,
                )
            elif not live:
                ended.append(record)
    if ended:
        rows = sorted(ended, key=_SORTS[sort])
        if console.is_terminal:
            console.print(_table(rows, None))
        else:
            print(_HEADING, *map(_line, rows), sep="\n", file=console.file)
    names = ", ".join(f"{printable(name)} {count}" for name, count in answers.most_common())
    name, seconds = printable(session.name), session.scanner.now / session.scanner.sample_rate
    found = counted(answers.total(), "emission")
    console.print(
        escape(f"{name}: {found} in {engineering(seconds, 's', 3)}{': ' if names else ''}{names}"),
        highlight=False,
        soft_wrap=True,
    )


class _View:
    """The table of a band as it is now, and what is not as it should be."""

    def __init__(self, session: ScanSession, sort: str) -> None:
        self._session, self._sort = session, sort
        self._begun = time.monotonic()
        self._swept: dict[int, dict[str, Any]] = {}

    def heard(self, record: dict[str, Any]) -> None:
        """Take in a record: of a sweep, whose bands are gone, the last ones are shown."""
        if self._session.sweeps:
            self._swept[round((record["frequency_hz"] or 0.0) / 2e3)] = record
            while len(self._swept) > 200:
                del self._swept[next(iter(self._swept))]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        shot = self._session.snapshot()
        seconds = shot.now / shot.sample_rate
        if self._session.sweeps:
            rows: list[_Row] = list(self._swept.values())
        else:
            rows = [_row(one, shot.sample_rate, shot.centre_hz) for one in shot.emissions]
        rows = sorted(rows, key=_SORTS[self._sort])
        room = max(5, (options.height or console.height) - 6)
        left = len(rows) - room
        yield _table(rows[:room], seconds)
        done = shot.counters
        on_air = sum(one.on for one in shot.emissions)
        about = f"{printable(self._session.name)}   {seconds:.1f} s   {on_air} on the air"
        about += f"   {done.load:.2f} cores   {done.looks} looks"
        if left > 0:
            about += f"   {left} more"
        yield Text(about, "dim")
        faults = {
            "samples lost": done.dropped,
            "waiting": done.waiting if done.waiting > len(rows) / 2 + 3 else 0,
            "not looked at in time": done.missed,
            "not reported": done.suppressed,
            "not looked at for long": done.unkept,
        }
        if said := "   ".join(f"{name}: {count}" for name, count in faults.items() if count):
            yield Text(said, "bold red")


def _row(one: EmissionRecord, sample_rate: float, centre_hz: float | None) -> _Row:
    """Return a row of the table, with the fields of a record that it shows."""
    return {
        "frequency_hz": None if centre_hz is None else centre_hz + one.centre,
        "offset_hz": one.centre,
        "bandwidth_hz": one.bandwidth,
        "snr_db": one.snr_db,
        "label": one.label,
        "family": one.family,
        "protocols": [guess.as_dict() for guess in one.protocols],
        "confidence": one.confidence,
        "reason": one.reason,
        "symbol_rate_hz": one.symbol_rate,
        "time": one.start / sample_rate,
        "duration": (one.stop - one.start) / sample_rate,
        "bursts": one.bursts,
        "on": one.on,
    }


def _table(rows: Sequence[_Row], now: float | None) -> Table:
    """Return a table of emissions; `now` is the time of the band that is received, None for a recording."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, side in (
        ("frequency", "right"),
        ("bandwidth", "right"),
        ("SNR", "right"),
        ("label", "left"),
        ("conf.", "right"),
        ("protocol", "left"),
        ("symbol rate", "right"),
        ("since" if now is not None else "from", "right"),
        ("seen" if now is not None else "for", "right"),
        ("bursts", "right"),
    ):
        table.add_column(title, justify="right" if side == "right" else "left", no_wrap=True)
    for row in rows:
        on = now is None or row.get("on", True)
        seen = "on the air" if now is not None and row.get("on") else _ago(row, now)
        table.add_row(*_cells(row), seen, str(row["bursts"]), style="" if on else "dim")
    return table


def _cells(row: _Row) -> list[str | Text]:
    frequency = row["frequency_hz"] if row["frequency_hz"] is not None else row["offset_hz"]
    name = Text(printable(row["label"], 20))
    if row["confidence"] > 0 and row["label"] != UNKNOWN:
        name.stylize("bold")
    return [
        engineering(frequency, "Hz", 7),
        engineering(row["bandwidth_hz"], "Hz", 3),
        "–" if row["snr_db"] is None else f"{row['snr_db']:.1f} dB".replace("-", "−"),
        name,
        f"{row['confidence']:.2f}" if row["confidence"] > 0 else "",
        _protocol(row),
        "" if row["symbol_rate_hz"] is None else engineering(row["symbol_rate_hz"], "Bd", 5),
        f"{row['time']:.3f} s",
    ]


def _protocol(row: _Row) -> str:
    """Return the protocol that an emission likely is: a guess has a question mark."""
    named = [one for one in row.get("protocols") or [] if one["named"]]
    if not named:
        return ""
    more = (
        f" or {len(named) - 1} more"
        if len(named) > 2
        else f" or {named[1]['name']}"
        if len(named) == 2
        else ""
    )
    return printable(f"{named[0]['name']}{more}{' ?' if named[0]['guess'] else ''}", 40)


def _ago(row: _Row, now: float | None) -> str:
    if now is None:
        return f"{1e3 * row['duration']:.4g} ms" if row["duration"] < 1 else f"{row['duration']:.3f} s"
    return f"{max(0.0, now - row['time'] - row['duration']):.0f} s ago"


def _line(record: _Row) -> str:
    """Return an emission that is over in one line, as text for a file."""
    return _columns(*(str(cell) for cell in _cells(record)), _ago(record, None))


def _columns(*cells: str) -> str:
    frequency, bandwidth, snr, name, confidence, protocol, rate, since, lasted = cells
    return (
        f"{since:>10s}  {lasted:>9s}  {frequency:>14s}  {bandwidth:>9s}  {snr:>8s}  {name:14s} {confidence:>5s}  "
        f"{rate:>11s}  {protocol}"
    ).rstrip()


_HEADING = _columns(
    "frequency", "bandwidth", "SNR", "label", "conf.", "protocol", "symbol rate", "from", "for"
)


def history(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What **amrq scan --database** has written.")],
    since: Annotated[
        str,
        typer.Option(
            "--since",
            help="Only emissions from this time on: a time ago (90s, 15m, 2h, 3d), or a date and time (2026-11-29, "
            "2026-11-29T18:30).",
        ),
    ] = "",
    until: Annotated[str, typer.Option("--until", help="Only emissions before this time; as --since.")] = "",
    freq: Annotated[
        str,
        typer.Option(
            "--freq",
            help="Only emissions at this frequency, or in this range: 433.92M, 433M:435M.",
        ),
    ] = "",
    label: Annotated[str, typer.Option("--label", help="Only emissions of this name.")] = "",
    family: Annotated[
        str,
        typer.Option(
            "--family", help="Only emissions of this family.", autocompletion=one_of((*FAMILIES, UNKNOWN))
        ),
    ] = "",
    most: Annotated[int, typer.Option("--most", help="The last so many; 0: all.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print each record as a line of JSON.")] = False,
) -> None:
    """List the emissions that **amrq scan --database** has kept.

    Times are those at which an emission began, where its source tells the time, and otherwise those at which it was
    scanned.

    Example: **amrq history scan.sqlite --since 2h --freq 433M:435M**
    """
    lower, upper = _frequencies(freq)
    query = HistoryQuery(_time(since, "--since"), _time(until, "--until"), lower, upper, label, most, family)
    with own_stdout() as out:
        found = read_history(file, query)
        if as_json:
            for record in found:
                print(json.dumps(record), file=out)
        else:
            _list(Console(file=out, width=None if out.isatty() else _WIDE), found)
        out.check()


def _list(console: Console, records: Iterable[Mapping[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    titles = (
        *("when", "frequency", "bandwidth", "SNR", "label", "conf.", "protocol", "symbol rate"),
        *("for", "source"),
    )
    for title in titles:
        left = title in ("when", "label", "protocol", "source")
        table.add_column(title, justify="left" if left else "right", no_wrap=True)
    count = 0
    for record in records:
        count += 1
        try:
            cells = _cells(record)[:-1]
            when = str(record["utc"])[:19].replace("T", " ") if record["utc"] else f"{record['time']:.3f} s"
            table.add_row(when, *cells, _ago(record, None), escape(printable(record["source"], 40)))
        except (KeyError, TypeError, ValueError):
            raise AmrqError(
                f"the history holds a record that is not of an emission (number {count} of those asked for)."
            ) from None
    if count:
        console.print(table)
    console.print(counted(count, "emission"), highlight=False)


_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _time(text: str, option: str) -> float | None:
    """Return a time in seconds since 1970; None for an empty text."""
    if not text:
        return None
    if ago := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h|d)", text.strip()):
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        local = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return local.timestamp()
    except (ValueError, OverflowError):
        raise AmrqError(
            f"{option} takes a time ago (90s, 15m, 2h, 3d) or a date and time in UTC (2026-11-29T18:30), not "
            f"'{printable(text, 40)}'."
        ) from None


def _frequencies(text: str) -> tuple[float | None, float | None]:
    """Return the range of frequencies that a text means, Hz."""
    if not text:
        return None, None
    low_text, colon, high_text = text.partition(":")
    try:
        low = quantity(low_text)
        high = quantity(high_text) if colon else low
    except typer.BadParameter:
        low, high = 1.0, 0.0
    if not low <= high:
        raise AmrqError(
            f"--freq takes a frequency or a range, as in 433.92M or 433M:435M, not '{printable(text, 40)}'."
        )
    return low, high
