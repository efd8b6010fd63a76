# SPDX-License-Identifier: GPL-3.0-or-later
"""The emissions of a band from its samples, job by job: in this process, or in one of its own.

The detector takes most of a core at high rates, and Python runs one thread of a process at a time. In a process of its
own it neither waits for looks, window and flowgraph nor holds them up.
"""

from amrq.finder.finder import Finder, FinderOptions, Found, Job, Levels
from amrq.finder.process import FinderProcess, finder_process

__all__ = ["Finder", "FinderOptions", "FinderProcess", "Found", "Job", "Levels", "finder_process"]
