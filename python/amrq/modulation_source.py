# SPDX-License-Identifier: GPL-3.0-or-later
"""A source of modulated symbols whose class is known."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded

from amrq.classes import LinearClass
from amrq.signals import ModulatedSignal, Order, PulseOptions, Schedule

__all__ = ["modulation_source"]


class modulation_source(gr.sync_block):
    """Send symbols of one class or of a schedule of classes, in noise.

    Output is complex, of mean signal power 1. A stream tag `modulation` with the class name (a PMT symbol)
    stands on the first sample of each class. Everything but the seed can be set while the flowgraph runs.

    Args:
        modulations: names of linear classes (see `amrq.classes`), or one name; or classes of your own,
            `LinearClass.of("star", [0, 1, 1j, -1])`.
        order: `cycle` sends the classes in turn, `random` draws one of the others each time.
        dwell: symbols before the next class.
        es_n0_db: Es/N0 in dB of unit-power symbols (complex noise power 10^(-x/10) a symbol); 1000: practically none.
        phase_noise: standard deviation of an independent Gaussian phase, radians, every sample.
        rotation: fixed phase, radians.
        pulse: samples per symbol and roll-off; None: bare symbols.
        seed: of all randomness.

    Raises:
        AmrqError: a value is out of its range; the message gives the range.
    """

    @checked_arguments
    def __init__(
        self,
        modulations: Sequence[str | LinearClass] | str = ("QPSK",),
        order: Order = "cycle",
        dwell: int = 4096,
        es_n0_db: float = 23.0,
        phase_noise: float = 0.0,
        rotation: float = 0.0,
        pulse: PulseOptions | None = None,
        seed: int = 0,
    ) -> None:
        gr.sync_block.__init__(self, name="amrq_modulation_source", in_sig=None, out_sig=[np.complex64])
        self.error: Exception | None = None
        self._modulations, self._order, self._dwell = modulations, order, dwell
        self._pulse = pulse or PulseOptions()
        self._lock = threading.Lock()  # setters are called from other threads than work
        self._signal = ModulatedSignal(
            Schedule(modulations, dwell, order),
            es_n0_db,
            phase_noise,
            rotation,
            self._pulse.samples_per_symbol,
            self._pulse.rolloff,
            seed,
        )

    @checked_arguments
    def set_modulations(self, modulations: Sequence[str | LinearClass] | str) -> None:
        """Send these classes from the next symbol on."""
        self._set_schedule(modulations, self._order, self._dwell)

    @checked_arguments
    def set_order(self, order: Order) -> None:
        """Send the classes in `cycle` or `random` order."""
        self._set_schedule(self._modulations, order, self._dwell)

    @checked_arguments
    def set_dwell(self, dwell: int) -> None:
        """Send this many symbols of each class."""
        self._set_schedule(self._modulations, self._order, dwell)

    @checked_arguments
    def set_es_n0_db(self, es_n0_db: float) -> None:
        """Set Es/N0 in dB."""
        with self._lock:
            self._signal.set_es_n0_db(es_n0_db)

    @checked_arguments
    def set_phase_noise(self, phase_noise: float) -> None:
        """Set the standard deviation of the phase noise in radians."""
        with self._lock:
            self._signal.set_phase_noise(phase_noise)

    @checked_arguments
    def set_rotation(self, rotation: float) -> None:
        """Set the fixed phase in radians."""
        with self._lock:
            self._signal.set_rotation(rotation)

    @checked_arguments
    def set_samples_per_symbol(self, samples_per_symbol: int) -> None:
        """Set the samples a symbol; the pulse filter starts again."""
        self._set_pulse(replace(self._pulse, samples_per_symbol=samples_per_symbol))

    @checked_arguments
    def set_rolloff(self, rolloff: float) -> None:
        """Set the excess bandwidth of the pulse; the filter starts again."""
        self._set_pulse(replace(self._pulse, rolloff=rolloff))

    def _set_schedule(self, modulations: Sequence[str | LinearClass] | str, order: Order, dwell: int) -> None:
        schedule = Schedule(modulations, dwell, order)
        self._modulations, self._order, self._dwell = modulations, order, dwell
        with self._lock:
            self._signal.set_schedule(schedule)

    def _set_pulse(self, pulse: PulseOptions) -> None:
        with self._lock:
            self._signal.set_pulse(pulse.samples_per_symbol, pulse.rolloff)
        self._pulse = pulse

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Fill the output buffer."""
        out = output_items[0]
        with self._lock:
            out[:], changes = self._signal.generate(len(out))
        for offset, name in changes:
            self.add_item_tag(0, self.nitems_written(0) + offset, pmt.intern("modulation"), pmt.intern(name))
        return len(out)
