# SPDX-License-Identifier: GPL-3.0-or-later
"""Models: ONNX files whose metadata hold a contract with everything that a block must know."""

from amrq.model.contract import NO_SIGNAL, UNKNOWN, AccuracyRow, Contract, Hypothesis
from amrq.model.contract_file import (
    METADATA_KEY,
    exact_products,
    find_model,
    list_models,
    open_model,
    open_session,
    read_contract,
    write_contract,
)
from amrq.model.onnx_cut import cut_session
from amrq.model.onnx_scan import constants_of, load_onnx, scan_model

__all__ = [
    "METADATA_KEY",
    "NO_SIGNAL",
    "UNKNOWN",
    "AccuracyRow",
    "Contract",
    "Hypothesis",
    "constants_of",
    "cut_session",
    "exact_products",
    "find_model",
    "list_models",
    "load_onnx",
    "open_model",
    "open_session",
    "read_contract",
    "scan_model",
    "write_contract",
]
