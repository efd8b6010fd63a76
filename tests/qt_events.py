# SPDX-License-Identifier: GPL-3.0-or-later
"""Qt at work while something else is waited for."""

import time
from collections.abc import Callable

from patience import PATIENCE
from PyQt5 import QtCore

LOOK = 5  # milliseconds between two looks, in which the processor is left to what is waited for


def wait_until(condition: Callable[[], bool]) -> None:
    """Let Qt work until something holds."""
    end, waking = time.monotonic() + PATIENCE, QtCore.QTimer()
    waking.start(LOOK)
    while not condition():
        assert time.monotonic() < end, "it did not come"
        QtCore.QCoreApplication.processEvents(
            QtCore.QEventLoop.AllEvents | QtCore.QEventLoop.WaitForMoreEvents
        )
