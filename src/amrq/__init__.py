# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognise the modulation of a radio signal with small neural networks.

The rooms, lowest first: `modulations`, `signals`, `chunks`, `model`, `classifier`, `decision`,
`recordings`; `training` (PyTorch) and `cli` stand on top. None of them imports GNU Radio except
the `amrq classify` command, when it runs; only `training` imports PyTorch.
"""

from amrq._version import __version__
from amrq.machine import switch_off_telemetry

__all__ = ["__version__"]

# Before anything can import onnxruntime, in this process or in one that it starts.
switch_off_telemetry()
