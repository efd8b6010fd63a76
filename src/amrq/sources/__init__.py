# SPDX-License-Identifier: GPL-3.0-or-later
"""Where samples come from while they are received."""

from amrq.sources.silence_watch import SILENCE_IS_NEWS, SilenceWatch
from amrq.sources.source_counts import SourceCounts

__all__ = ["SILENCE_IS_NEWS", "SilenceWatch", "SourceCounts"]
