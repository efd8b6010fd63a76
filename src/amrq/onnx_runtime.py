# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to ONNX Runtime, through which it comes without its telemetry.

Since release 1.29 ONNX Runtime's official builds for Linux report to their maker by default: as soon as it is imported,
it writes a device identifier and a queue of events (the model file's name, the processor, the interpreter) under the
home folder and tries to send them. It reads the environment once, when it is initialised, so that the switch has to be
set before the first import.
"""

import os
import sys
from typing import Any

from amrq.optional_package import optional_package

__all__ = ["onnx_runtime", "switch_off_telemetry"]

_SWITCHES = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")
"""What releases read: the first one, and the name it had while the feature was being written."""


def switch_off_telemetry() -> None:
    """Switch off the telemetry of ONNX Runtime in this process and in those that it starts.

    `import amrq` does so. Where onnxruntime was imported before, it has read its environment already, and is asked to
    report nothing more.
    """
    os.environ.update(dict.fromkeys(_SWITCHES, "1"))
    loaded = sys.modules.get("onnxruntime")
    if loaded is not None:
        getattr(loaded, "disable_telemetry_events", _nothing)()


def _nothing() -> None:
    """Stand in for a function that a release lacks."""


def onnx_runtime(purpose: str = "running a model") -> Any:
    """Return the module onnxruntime, its telemetry switched off. Nothing else of ours imports it.

    Args:
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        AmrqError: it cannot be imported; the message says how to get it.
    """
    switch_off_telemetry()
    module = optional_package("onnxruntime", purpose)
    switch_off_telemetry()
    return module
