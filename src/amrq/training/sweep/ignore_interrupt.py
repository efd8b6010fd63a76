# SPDX-License-Identifier: GPL-3.0-or-later
"""What the workers of a local cluster do first: leave Ctrl-C to the command, which ends them in order."""

import signal

__all__ = ["dask_setup"]


def dask_setup(worker: object) -> None:
    """Ignore the interrupt that a terminal sends to every process it started; Dask calls this in each worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
