# SPDX-License-Identifier: GPL-3.0-or-later
"""The outputs of a stream, opened and closed together."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from amrq.errors import AmrqError, all_closed
from amrq.outputs.counters_file import CountersFile
from amrq.outputs.json_lines_file import JsonLinesFile
from amrq.outputs.json_lines_stdout import JsonLinesStdout
from amrq.outputs.record_thinner import ALL, RecordThinner, Thinning
from amrq.outputs.stream_state import StreamState
from amrq.outputs.zmq_publisher import ZmqPublisher

__all__ = ["DecisionOutputs"]


class DecisionOutputs:
    """Records to every output that has a name; an empty name is no output.

    Args:
        log: a file that JSON lines are appended to, or `-`: standard output.
        publish: endpoint of a ZMQ PUB socket.
        counters: a file of counters in Prometheus's text format.
        classes: that the model knows, for the counters.
        observe: tells how the stream stands, for the counters.
        thinning: which records the log and the endpoint get; the counters count all.

    Raises:
        AmrqError: one of them cannot be opened; none is then.
    """

    def __init__(
        self,
        log: str,
        publish: str,
        counters: str,
        classes: Sequence[str],
        observe: Callable[[], StreamState],
        thinning: Thinning = ALL,
    ) -> None:
        self._thinner = RecordThinner(thinning)
        self._writers: list[JsonLinesFile | JsonLinesStdout | ZmqPublisher | CountersFile] = []
        try:
            if log:
                self._writers.append(JsonLinesStdout() if log == "-" else JsonLinesFile(log))
            if publish:
                self._writers.append(ZmqPublisher(publish))
            if counters:
                self._writers.append(CountersFile(counters, classes, observe))
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
