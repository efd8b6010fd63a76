# SPDX-License-Identifier: GPL-3.0-or-later
"""From samples of a radio to the symbols of one signal of unknown modulation, in NumPy."""

from amrq.receive.receiver import ReceivedSymbols, Receiver, ReceiverReport, receive_all

__all__ = ["ReceivedSymbols", "Receiver", "ReceiverReport", "receive_all"]
