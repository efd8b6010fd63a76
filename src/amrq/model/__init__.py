# SPDX-License-Identifier: GPL-3.0-or-later
"""A model: an ONNX file, and in its metadata the contract that says all a block must know."""

from amrq.model.contract import NO_SIGNAL, UNKNOWN, AccuracyRow, Contract, Hypothesis
from amrq.model.contract_file import read_contract, write_contract
from amrq.model.find_model import find_model, list_models

__all__ = [
    "NO_SIGNAL",
    "UNKNOWN",
    "AccuracyRow",
    "Contract",
    "Hypothesis",
    "find_model",
    "list_models",
    "read_contract",
    "write_contract",
]
