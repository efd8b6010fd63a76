# SPDX-License-Identifier: GPL-3.0-or-later
"""Recording of a stream, with annotations for the decisions on it."""

import time
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded, guarded_handler, guarded_run
from gnuradio.amrq._shown_decision import read_dictionary
from gnuradio.amrq._tags import add_tag

from amrq.errors import AmrqError
from amrq.machine import optional_package
from amrq.outputs import RecorderState, SigmfRecorder
from amrq.text import printable

__all__ = ["sigmf_recorder"]

_DECISIONS = pmt.intern("decisions")
_PATIENCE = 1.0  # seconds to wait for a decision after a stream's last sample
_LOOK = 2e-3  # seconds between two checks for new decisions


class sigmf_recorder(gr.sync_block):
    """Record a stream as SigMF while recording is switched on, annotated with the decisions on it.

    Connect it to the same source as the symbol front end: decisions give their time from the first sample of the
    stream. Each time recording is switched on, a take begins: `NAME-001.sigmf-data` and `.sigmf-meta`, then `NAME-002`
    and so on, with the next free number. The stream is never held up: if the disk is too slow, samples are left out
    and counted. A new SigMF capture begins after such a gap, after an overflow and after a retune. Stopping the
    flowgraph finishes the take, without the very last decisions. If the stream ends by itself, the block waits for
    them.

    Tags read: `rx_time`, `rx_freq`, `rx_overflow`. A stream without `rx_time` takes its time from the computer's clock.

    Message ports:
        decisions: from a `classifier_sink` that has a symbol rate.

    Args:
        name: path of the takes without number and suffix.
        sample_rate: samples a second.
        recording: begin with the first sample; otherwise at `set_recording`.
        frequency: centre frequency until a tag gives it, Hz; 0 if it is not known.
        bandwidth: of the classified signal, Hz, for the annotations' frequency edges; 0 leaves the edges out.
        queue_seconds: seconds of samples that may wait for the disk.

    Raises:
        AmrqError: the files cannot be written, a value is out of its range, or the package sigmf is missing.
    """

    @checked_arguments
    def __init__(
        self,
        name: str,
        sample_rate: float,
        recording: bool = False,
        frequency: float = 0.0,
        bandwidth: float = 0.0,
        queue_seconds: float = 2.0,
    ) -> None:
        optional_package("sigmf", "recording SigMF")
        gr.sync_block.__init__(self, name="amrq_sigmf_recorder", in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self._sample_rate = float(sample_rate)
        self._make = lambda: SigmfRecorder(
            name, self._sample_rate, frequency or None, bandwidth or None, queue_seconds
        )
        self._recorder = self._make()  # checks the arguments now
        self._wanted = bool(recording)
        self._under_way = False
        self._held = 0  # samples at the input's beginning that are recorded already
        self._patient_until = 0.0
        self._refused = ""  # why a take did not begin
        self.message_port_register_in(_DECISIONS)
        self.set_msg_handler(_DECISIONS, self._handle_decision)

    @checked_arguments
    def set_recording(self, recording: bool) -> None:
        """Begin a take, or end the one in progress, with the next samples."""
        self._wanted = bool(recording)

    def recording_state(self) -> RecorderState:
        """Return the state of the recording."""
        return self._recorder.state()

    def state_text(self) -> str:
        """Return the state of the recording in a few words, for a display."""
        state = self._recorder.state()
        if self._refused or state.failure:
            return f"failed: {self._refused or state.failure}"
        if not state.take:
            return "not recording"
        text = f"{'recording' if state.recording else 'recorded'} {state.take}"
        text += f": {state.samples / self._sample_rate:.1f} s"
        return text + (f", {state.dropped} samples left out" if state.dropped else "")

    @guarded_run
    def start(self) -> bool:
        """Begin a run."""
        self.error = None
        self._recorder.close()
        self._under_way, self._refused, self._last_complaint = False, "", ""
        self._held = 0
        try:
            self._recorder = self._make()
        except AmrqError as error:  # the folder has gone; the first take will say so
            self.logger.error(printable(error, 2000))
        return True

    @guarded_run
    def stop(self) -> bool:
        """End the run: finish the take in progress."""
        self._recorder.close()
        state = self._recorder.state()
        if state.failure:
            self.logger.error(printable(state.failure, 2000))
        if state.dropped:
            self.logger.warn(f"{state.dropped} samples of {state.take} were left out: the disk was too slow")
        return True

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Record the samples that have arrived, if recording is on."""
        new = input_items[0][self._held :]
        if len(new):
            first, now = self.nitems_read(0) + self._held, time.time()
            tags = self.get_tags_in_range(0, first, first + len(new))
            for tag in sorted(tags, key=lambda tag: tag.offset):
                add_tag(self._recorder, tag, tag.offset, now)
            self._recorder.add_arrival(first + len(new), now)
            self._switch()
            self._recorder.write(first, new)
            # The last sample is recorded but not consumed yet. Decisions lag behind the samples, and a block whose
            # stream is over gets no messages any more.
            self._held = int(bool(self._recorder.state().take))
            self._patient_until = time.monotonic() + _PATIENCE
        elif time.monotonic() < self._patient_until:
            time.sleep(_LOOK)
        else:
            self._held = 0
        return len(input_items[0]) - self._held

    def _switch(self) -> None:
        """Begin or end a take, if `set_recording` asked for it since the last call."""
        if self._wanted == self._under_way:
            return
        self._under_way, self._refused = self._wanted, ""
        if not self._under_way:
            self._recorder.end()
            return
        try:
            self._recorder.begin()
        except AmrqError as error:  # the rest of the flowgraph goes on
            self._refused = str(error)
            self.logger.error(self._refused)

    @guarded_handler("decisions are not recorded")
    def _handle_decision(self, message: Any) -> None:
        decision = read_dictionary(pmt.car(message) if pmt.is_pdu(message) else message)
        if "time" not in decision:
            raise AmrqError("decisions come without a time: give the classifier the symbol rate.")
        # A message counts symbols under the names that samples have in a record.
        symbols = {"symbol_index": decision["sample_index"], "symbol_count": decision["sample_count"]}
        self._recorder.annotate({"frequency_hz": None, **decision, **symbols})
        self._patient_until = time.monotonic() + _PATIENCE
