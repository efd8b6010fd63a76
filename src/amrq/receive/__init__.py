# SPDX-License-Identifier: GPL-3.0-or-later
"""From samples of a radio to the symbols of one signal of unknown modulation, in NumPy."""

from amrq.receive.bursts import BurstReceiver, receive_all
from amrq.receive.equaliser import LINEAR_EQUALISER, ConstellationFitter, Equaliser
from amrq.receive.received import ReceivedSymbols, ReceiverReport
from amrq.receive.receiver import Receiver

__all__ = [
    "LINEAR_EQUALISER",
    "BurstReceiver",
    "ConstellationFitter",
    "Equaliser",
    "ReceivedSymbols",
    "Receiver",
    "ReceiverReport",
    "receive_all",
]
