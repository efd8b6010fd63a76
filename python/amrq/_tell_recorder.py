# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source's tags tell a recorder."""

from typing import Any

import pmt
from gnuradio.amrq._overflow_marker import OVERFLOW_KEY

from amrq.outputs import SigmfRecorder

__all__ = ["tell_recorder"]


def tell_recorder(recorder: SigmfRecorder, tag: Any, position: int, now: float) -> None:
    """Pass on `rx_time`, `rx_freq` and `rx_overflow`.

    Args:
        recorder: that is told.
        tag: any tag.
        position: of its sample in the recorder's stream.
        now: the computer's clock, seconds since 1970.
    """
    key, value = pmt.symbol_to_string(tag.key), tag.value
    if key == "rx_freq" and pmt.is_real(value):
        recorder.tell_frequency(position, pmt.to_double(value))
    elif key == "rx_time" and pmt.is_tuple(value) and pmt.length(value) == 2:
        whole, part = (pmt.tuple_ref(value, n) for n in range(2))
        recorder.tell_time(position, pmt.to_uint64(whole) + pmt.to_double(part), now)
    elif key == OVERFLOW_KEY:
        recorder.tell_break(position)
