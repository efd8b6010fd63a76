# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a contract from, and writing it into, an ONNX file."""

import os
from pathlib import Path
from typing import Any

from amrq.chunks import LEVEL_FEATURES
from amrq.errors import AmrqError
from amrq.model.contract import Contract
from amrq.model.exact_products import exact_products
from amrq.onnx_runtime import onnx_runtime
from amrq.optional_package import optional_package
from amrq.whole_file import whole_file

__all__ = ["METADATA_KEY", "contract_of_session", "open_session", "read_contract", "write_contract"]

METADATA_KEY = "amrq.contract"


def open_session(path: str | os.PathLike[str], threads: int = 1, optimise: bool = True) -> Any:
    """Load an ONNX file into onnxruntime on the CPU.

    Args:
        path: the file.
        threads: threads inside one operator. One is fastest on small shared machines.
        optimise: let onnxruntime rewrite the graph.

    Raises:
        AmrqError: there is no such file, onnxruntime is missing, or it cannot load the file.
    """
    ort = onnx_runtime()
    path = Path(path)
    if not path.is_file():
        raise AmrqError(f"there is no model file {path}.")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that spins while it waits takes the processor from the radio's own threads.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not exact_products():
        # Takes the exact way, in twice the time for weights that use the whole byte.
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own that share no public base
        reason = " ".join(str(error).split())
        raise AmrqError(f"{path} cannot be loaded as an ONNX model: {reason[:200]}") from None


def contract_of_session(session: Any, path: str | os.PathLike[str]) -> Contract:
    """Return the contract of a loaded model, held against its graph.

    Raises:
        AmrqError: there is no contract, or the graph's input or output is not what it says.
    """
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise AmrqError(
            f"{path} carries no gr-amrq contract, so its classes and input are not known: "
            "add one with 'amrq model annotate'."
        )
    try:
        contract = Contract.from_json(text)
    except AmrqError as error:
        raise AmrqError(f"{path}: {error}") from None

    inputs, outputs = session.get_inputs(), session.get_outputs()
    wanted = 2 if contract.level_input else 1
    if len(inputs) != wanted or any(i.type != "tensor(float)" for i in inputs):
        found = ", ".join(f"{i.name}: {i.type}" for i in inputs)
        raise AmrqError(
            f"{path} must have {wanted} float32 input{'s' if wanted > 1 else ''}, but has {found}."
        )
    if contract.level_input and (inputs[1].name != "level" or list(inputs[1].shape)[1:] != [LEVEL_FEATURES]):
        raise AmrqError(
            f"{path} takes a second input {inputs[1].name} of shape {inputs[1].shape}, but its contract says "
            f"level [N, {LEVEL_FEATURES}]."
        )
    shape = list(inputs[0].shape)
    if len(shape) != 3 or shape[1] != 2 or shape[2] != contract.chunk_length:
        raise AmrqError(
            f"{path} takes input of shape {shape}, but its contract says [N, 2, {contract.chunk_length}]."
        )
    if isinstance(shape[0], int):
        raise AmrqError(
            f"{path} takes exactly {shape[0]} chunks a call: export it with a dynamic first dimension."
        )
    needed = [len(contract.classes)] + ([len(contract.hypotheses)] if contract.hypotheses else [])
    if [list(output.shape)[1:] for output in outputs] != [[width] for width in needed]:
        found = ", ".join(f"{o.name}: {o.shape}" for o in outputs)
        raise AmrqError(
            f"{path} gives {found}, but its contract names {len(contract.classes)} classes and "
            f"{len(contract.hypotheses)} hypotheses, so outputs of shape "
            f"{' and '.join(f'[N, {width}]' for width in needed)} are needed."
        )
    return contract


def read_contract(path: str | os.PathLike[str]) -> Contract:
    """Return the contract of a model file.

    Raises:
        AmrqError: the file is missing, no ONNX model, has no contract, or breaks it.
    """
    return contract_of_session(open_session(path, optimise=False), path)


def write_contract(path: str | os.PathLike[str], contract: Contract) -> None:
    """Write `contract` into the ONNX file `path`, in place of any it had, leaving all else as it is.

    Raises:
        AmrqError: the package onnx is missing, the file is missing or no ONNX model, or its graph does not
            keep the contract (the file is then left untouched).
    """
    onnx = optional_package("onnx", "writing a contract")
    path = Path(path)
    if not path.is_file():
        raise AmrqError(f"there is no model file {path}.")
    try:
        proto = onnx.load(str(path))
    except Exception as error:  # protobuf's DecodeError is not public API
        raise AmrqError(f"{path} cannot be read as an ONNX model: {error}.") from None
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    metadata[METADATA_KEY] = contract.to_json()
    onnx.helper.set_model_props(proto, metadata)
    with whole_file(path) as file:
        onnx.save(proto, file)
        file.flush()
        contract_of_session(open_session(file.name, optimise=False), path)
