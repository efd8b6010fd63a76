# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of a signal: its symbol rate, its carrier, its SNR; and what the symbol front end is told of it."""

from amrq.measure.front_end import FrontEndOptions, StreamInfo

__all__ = ["FrontEndOptions", "StreamInfo"]
