# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq gui`."""

import signal
from dataclasses import dataclass
from typing import Annotated

import typer

from amrq.cli.app import Fields, expanded, model_names
from amrq.errors import AmrqError
from amrq.live import deferred_interrupt, leave_behind, load_flowgraph
from amrq.options import described
from amrq.outputs import own_stdout
from amrq.scan import ScanOptions
from amrq.sources import SourceOptions

__all__ = ["gui"]

_SOURCE = "Source (at most one of them)"
_BAND = "Band"
_SOURCES = ("soapy", "rtl_tcp", "file", "recording_name", "stdin", "zmq", "udp", "simulate")
_SIMULATED_RATE = 2.4e6
_HELPS = {
    "simulate": "A simulated band: a dozen emissions of several kinds, some of them in bursts.",
    "frequency": "Frequency that a radio is tuned to; of other sources, the centre frequency where it is known. "
    "Without it, a radio that is found begins at 433.92 MHz.",
}


@described
@dataclass(frozen=True)
class _Source(SourceOptions):
    """The source of the window: as `SourceOptions`; without any, the simulation.

    Raises:
        AmrqError: several sources are given, or a setting that the source does not have.
    """

    def __post_init__(self) -> None:
        """Check the values."""
        given = any(getattr(self, name) not in (None, False) for name in _SOURCES if name != "recording_name")
        object.__setattr__(self, "automatic", not given)
        if not given:
            object.__setattr__(self, "simulate", True)
        if self.simulate and self.sample_rate is None:
            object.__setattr__(self, "sample_rate", _SIMULATED_RATE)
        super().__post_init__()


@expanded
def gui(
    source: Annotated[
        _Source,
        Fields(
            _BAND,
            without={"symbol_rate", "es_n0_db"},
            panels=dict.fromkeys(_SOURCES, _SOURCE),
            helps=_HELPS,
        ),
    ],
    options: Annotated[ScanOptions, Fields("Scan", completions={"model": model_names})],
    squelch: Annotated[
        float, typer.Option(help="SNR in dB below which an emission is not shown.", rich_help_panel="Scan")
    ] = -30.0,
    record: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Path of the recordings that the button Record makes: NAME-001.sigmf-data, NAME-002 and so on.",
            rich_help_panel="Output",
        ),
    ] = "band",
) -> None:
    """Show what is on the air in a window: waterfall, spectrum, a table of emissions, and the one you click.

    Without a source, the first radio that SoapySDR finds is opened; without a radio, the window shows a simulated band.
    Closing the window ends everything, and so does Ctrl-C.

    Example: **amrq gui --simulate**

    A radio: **amrq gui --soapy driver=rtlsdr --freq 433.92M --rate 2.4M**

    A recording, as fast as it was made: **amrq gui --file band.sigmf-meta**
    """
    window_class = load_flowgraph("band_window", "the window")
    window_class.application()  # without a screen nothing else matters
    automatic: bool = source.automatic  # type: ignore[attr-defined]
    with deferred_interrupt(signal.SIGTERM, signal.SIGHUP) as ending, own_stdout(ending):  # drivers talk
        window = window_class(source, options, record, squelch, ending, automatic)
        window.run()
    if not window.all_ended:
        leave_behind()
        raise AmrqError("the source did not end when the window was closed, and was given up.")
