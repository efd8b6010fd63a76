# SPDX-License-Identifier: GPL-3.0-or-later
"""The outputs of a stream, opened and closed together."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from amrq.errors import AmrqError, all_closed
from amrq.options import OutputFile, described, option
from amrq.outputs.counters_file import CountersFile
from amrq.outputs.json_lines_file import JsonLinesFile
from amrq.outputs.json_lines_stdout import JsonLinesStdout
from amrq.outputs.record_thinner import RecordThinner, Thinning
from amrq.outputs.stream_state import StreamState
from amrq.outputs.zmq_publisher import ZmqPublisher

__all__ = ["DecisionOutputs", "OutputOptions"]


@described
@dataclass(frozen=True)
class OutputOptions(Thinning):
    """Where records of decisions and counters go, and which records.

    Raises:
        AmrqError: a value is out of its range.

    >>> OutputOptions().wanted, OutputOptions(log="decisions.jsonl").wanted
    (False, True)
    """

    log: OutputFile = option(
        "",
        "Append each decision to this file, as a line of JSON; '-' is standard output, which is for records alone then."
        " At 50 MB the file becomes FILE.1 and a new one begins.",
        label='JSON Lines to ("-" prints)',
        flag="--log FILE",
    )
    publish: str = option(
        "",
        "Publish the same records on a ZMQ PUB socket at tcp://127.0.0.1:5556, for instance.",
        label="JSON to ZMQ PUB at",
        flag="--publish ENDPOINT",
    )
    counters: OutputFile = option(
        "",
        "Write counters to this file every five seconds, in Prometheus's text format, for node_exporter.",
        label="Counters to (.prom)",
        flag="--counters FILE.prom",
    )

    @property
    def wanted(self) -> bool:
        """Whether there is any output."""
        return bool(self.log or self.publish or self.counters)


class DecisionOutputs:
    """Records to every output that has a name; an empty name is no output.

    Args:
        options: where records go, and which ones; the counters count all decisions.
        classes: that the model knows, for the counters.
        observe: tells how the stream stands, for the counters.

    Raises:
        AmrqError: one of them cannot be opened; none is then.
    """

    def __init__(
        self,
        options: OutputOptions,
        classes: Sequence[str],
        observe: Callable[[], StreamState],
    ) -> None:
        self._thinner = RecordThinner(options)
        self._writers: list[JsonLinesFile | JsonLinesStdout | ZmqPublisher | CountersFile] = []
        try:
            if options.log:
                self._writers.append(JsonLinesStdout() if options.log == "-" else JsonLinesFile(options.log))
            if options.publish:
                self._writers.append(ZmqPublisher(options.publish))
            if options.counters:
                self._writers.append(CountersFile(options.counters, classes, observe))
        except AmrqError:
            with contextlib.suppress(AmrqError):
                self.close()
            raise

    def write(self, record: Mapping[str, Any]) -> None:
        """Hand on a record of `decision_record`, to each output, whatever another one says.

        Raises:
            AmrqError: outputs cannot take it; what each of them says.
        """
        wanted = self._thinner.takes(record)
        with all_closed() as to_do:
            for writer in reversed(self._writers):
                if wanted or isinstance(writer, CountersFile):
                    to_do(partial(writer.write, record))

    def close(self) -> None:
        """Close them all.

        Raises:
            AmrqError: outputs cannot write their last; what each of them says.
        """
        writers, self._writers = self._writers, []
        with all_closed() as to_do:
            for writer in writers:
                to_do(writer.close)
