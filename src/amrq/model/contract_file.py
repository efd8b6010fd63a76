# SPDX-License-Identifier: GPL-3.0-or-later
"""Model files: find them by name, open them safely, read and write their contract."""

import contextlib
import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from amrq.chunks import LEVEL_FEATURES
from amrq.errors import AmrqError, ModelError
from amrq.files import parsing, whole_file
from amrq.machine import memory_limit, onnx_runtime, optional_package
from amrq.model.contract import Contract
from amrq.model.onnx_scan import read_onnx
from amrq.text import printable

__all__ = [
    "DEFAULT_MODEL",
    "METADATA_KEY",
    "LoadedModel",
    "contract_of_session",
    "exact_products",
    "find_model",
    "list_models",
    "new_session",
    "open_model",
    "open_session",
    "read_contract",
    "write_contract",
]

DEFAULT_MODEL = "default"
_STANDS_FOR = {DEFAULT_MODEL: "blind-full-int8", "family": "family-int8"}
"""Names for whichever model is best for that: for linear modulations, and for families of signals."""


def _folders() -> list[Path]:
    here = Path(__file__).resolve()
    own = os.environ.get("AMRQ_MODELS")
    # Installed, the shipped models lie inside the package; in a source tree, beside src.
    candidates = [Path(own)] if own else []
    candidates += [here.parents[1] / "models", here.parents[3] / "models"]
    return [folder for folder in candidates if os.path.isdir(folder)]


def list_models() -> list[Path]:
    """Return the model files in the folder $AMRQ_MODELS, if set, and among those shipped.

    >>> "blind-full-int8" in [path.stem for path in list_models()]
    True
    """
    found: dict[str, Path] = {}
    for folder in _folders():
        with contextlib.suppress(OSError):  # a folder that may not be read holds none
            for path in sorted(folder.glob("*.onnx")):
                found.setdefault(path.stem, path)
    return list(found.values())


def find_model(name: str | os.PathLike[str] = DEFAULT_MODEL) -> Path:
    """Return the file of a model given by path (with a slash or the suffix), by name, or as `default` or `family`.

    Raises:
        ModelError: there is no such model; the message lists the names.

    >>> find_model("default").name
    'blind-full-int8.onnx'
    """
    path = Path(name)
    if path.suffix == ".onnx" or len(path.parts) > 1:
        if os.path.isfile(path):
            return path
        raise ModelError(f"there is no model file {printable(path)}.")
    stem = _STANDS_FOR.get(str(name), str(name))
    models = {model.stem: model for model in list_models()}
    if stem not in models:
        known = printable(", ".join(models), 1000) or "none"
        raise ModelError(
            f"there is no model {printable(stem, 100)!r}: give the path of an ONNX file, or one of: {known}."
        )
    return models[stem]


_CPUINFO = Path("/proc/cpuinfo")
_INSTRUCTIONS = {"avx512_vnni", "avx_vnni"}


@lru_cache(maxsize=1)
def exact_products() -> bool:
    """Return whether the processor has VNNI, which sums products of bytes in 32 bits.

    Older x86 processors first add two products in 16 bits, which can overflow. If the system does not report the
    processor's features, the result is False.
    """
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = [set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return bool(flags) and all(_INSTRUCTIONS & mine for mine in flags)


METADATA_KEY = "amrq.contract"
_MEMORY = 1 << 30
_TIMES_FILE = 8
"""A model may take so much memory, and so many times its file: weights are copied, turned and packed."""
_PATIENCE = 20.0
"""Seconds that one chunk may take."""
_LARGEST_CALL = 512
"""Chunks handed to onnxruntime at a time: enough to spread a call's fixed cost of some 30 us, few enough that the
activations of the shipped models stay in a core's cache."""
_LARGEST_INPUT = 1 << 17
"""Samples handed over at a time: a model of long chunks gets fewer of them, since what it holds of each is large."""


@dataclass(frozen=True)
class LoadedModel:
    """A model that has been loaded and tried.

    Attributes:
        session: of onnxruntime.
        contract: of the file, checked against its graph.
        largest_call: most chunks in a call; this many have been tried.
    """

    session: Any
    contract: Contract
    largest_call: int


def open_session(path: str | os.PathLike[str], threads: int = 1, optimise: bool = True) -> Any:
    """Load an ONNX file into onnxruntime on the CPU. For trusted files only; for others use `open_model`.

    Args:
        path: the file.
        threads: threads inside one operator. One is fastest on small shared machines.
        optimise: let onnxruntime rewrite the graph, which computes beforehand what does not depend on the input.

    Raises:
        ModelError: there is no such file, or onnxruntime cannot load it.
        AmrqError: onnxruntime is missing.
    """
    data, _ = read_onnx(path)
    return new_session(data, path, threads, optimise)


def new_session(data: bytes, path: str | os.PathLike[str], threads: int = 1, optimise: bool = True) -> Any:
    """Load an ONNX file's content, which has been looked through, as `open_session` does; `path` is for messages."""
    ort = onnx_runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that spins while it waits takes the processor from the radio's own threads.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Nothing but what has been looked through: onnxruntime has a format of its own, which it knows by its first bytes.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if not exact_products():
        # Takes the exact way, in twice the time for weights that use the whole byte.
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 4
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        with memory_limit(_MEMORY + _TIMES_FILE * len(data)):
            return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own that share no public base
        raise ModelError(f"{printable(path)} cannot be loaded as an ONNX model: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, MemoryError) or any(
        word in text for word in ("bad_alloc", "allocate memory", "BFCArena")
    ):
        return f"it takes more than {_MEMORY >> 30} GiB of memory"
    return printable(text, 200).strip().rstrip(".") or type(error).__name__


def open_model(path: str | os.PathLike[str], threads: int = 1) -> LoadedModel:
    """Load a model of any origin into onnxruntime on the CPU, and try it.

    The file's demands are bounded. Loops, weights in other files and sizes that depend on the samples are refused
    before the graph is run (`scan_model`). One chunk is run in the unoptimised graph, within 1 GiB of memory and 20
    seconds, before onnxruntime may optimise it. Calls are never larger than the largest one tried.

    Args:
        path: the file.
        threads: threads inside one operator.

    Raises:
        ModelError: the file is missing, is not an ONNX model, has no contract or breaks it, or exceeds these bounds.
    """
    data, _ = read_onnx(path)
    plain = new_session(data, path, threads, optimise=False)
    contract = contract_of_session(plain, path)
    _try(plain, path, contract, 1, len(data))
    session = new_session(data, path, threads)
    largest = 1
    while largest < _LARGEST_CALL and 8 * largest * contract.chunk_length <= _LARGEST_INPUT:
        try:
            _try(session, path, contract, 8 * largest, len(data))
        except AmrqError:
            break  # one is possible, so many are not
        largest *= 8
    return LoadedModel(session, contract, largest)


def _try(session: Any, path: str | os.PathLike[str], contract: Contract, count: int, size: int) -> None:
    """Run some chunks of noise."""
    generator = np.random.default_rng(count)
    fed = {i.name: generator.standard_normal((count, *i.shape[1:]), np.float32) for i in session.get_inputs()}
    run = onnx_runtime().RunOptions()
    run.log_severity_level = 4
    over = threading.Event()

    def stop() -> None:
        if not over.wait(_PATIENCE):
            run.terminate = True

    watch = threading.Thread(target=stop, name="amrq model trial", daemon=True)
    watch.start()
    try:
        with memory_limit(_MEMORY + _TIMES_FILE * size):
            outputs = session.run(None, fed, run)
    except Exception as error:  # as above
        reason = f"it takes more than {_PATIENCE:g} s" if run.terminate else _reason(error)
        raise ModelError(f"{printable(path)} cannot be run on {count} chunks: {reason}.") from None
    finally:
        over.set()
        watch.join()
    widths = [len(contract.classes)] + ([len(contract.hypotheses)] if contract.hypotheses else [])
    found = [getattr(output, "shape", None) for output in outputs]
    if found != [(count, width) for width in widths]:
        raise ModelError(
            f"{printable(path)} gives outputs of shape {found} for {count} chunks, but its contract says "
            f"{' and '.join(f'[N, {width}]' for width in widths)}."
        )


def contract_of_session(session: Any, path: str | os.PathLike[str]) -> Contract:
    """Return the contract of a loaded model, held against its graph.

    Raises:
        ModelError: there is no contract, or the graph's input or output differs from it.
    """
    with parsing(path, kind=ModelError):
        return _held_against(session, printable(path))


def _held_against(session: Any, path: str) -> Contract:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"{path} has no gr-amrq contract, so its classes and input are not known: "
            "add one with 'amrq model annotate'."
        )
    try:
        contract = Contract.from_json(text)
    except AmrqError as error:
        raise ModelError(f"{path}: {error}") from None

    inputs, outputs = session.get_inputs(), session.get_outputs()
    wanted = 2 if contract.level_input else 1
    if len(inputs) != wanted or any(i.type != "tensor(float)" for i in inputs):
        found = ", ".join(f"{i.name}: {i.type}" for i in inputs)
        raise ModelError(
            f"{path} must have {wanted} float32 input{'s' if wanted > 1 else ''}, but has {found}."
        )
    if contract.level_input and (inputs[1].name != "level" or list(inputs[1].shape)[1:] != [LEVEL_FEATURES]):
        raise ModelError(
            f"{path} takes a second input {inputs[1].name} of shape {inputs[1].shape}, but its contract says "
            f"level [N, {LEVEL_FEATURES}]."
        )
    shape = list(inputs[0].shape)
    if len(shape) != 3 or shape[1] != 2 or shape[2] != contract.chunk_length:
        raise ModelError(
            f"{path} takes input of shape {shape}, but its contract says [N, 2, {contract.chunk_length}]."
        )
    if isinstance(shape[0], int):
        raise ModelError(
            f"{path} takes exactly {shape[0]} chunks a call: export it with a dynamic first dimension."
        )
    needed = [len(contract.classes)] + ([len(contract.hypotheses)] if contract.hypotheses else [])
    if [list(output.shape)[1:] for output in outputs] != [[width] for width in needed]:
        found = ", ".join(f"{o.name}: {o.shape}" for o in outputs)
        raise ModelError(
            f"{path} gives {found}, but its contract names {len(contract.classes)} classes and "
            f"{len(contract.hypotheses)} hypotheses, so outputs of shape "
            f"{' and '.join(f'[N, {width}]' for width in needed)} are needed."
        )
    return contract


def read_contract(path: str | os.PathLike[str]) -> Contract:
    """Return the contract of a model file.

    Raises:
        ModelError: the file is missing, is not an ONNX model, has no contract, or breaks it.

    >>> contract = read_contract(find_model("default"))
    >>> contract.chunk_length, contract.classes[:3]
    (32, ('4ASK', '8ASK', 'BPSK'))
    """
    return contract_of_session(open_session(path, optimise=False), path)


def write_contract(path: str | os.PathLike[str], contract: Contract) -> None:
    """Write `contract` into the ONNX file `path`, replacing a former one; the rest of the file stays the same.

    Raises:
        AmrqError: the package onnx is missing.
        ModelError: the file is missing or no ONNX model, or its graph does not
            keep the contract (the file is then left untouched).
    """
    onnx = optional_package("onnx", "writing a contract")
    path = Path(path)
    if not os.path.isfile(path):
        raise ModelError(f"there is no model file {printable(path)}.")
    with parsing(path, kind=ModelError), memory_limit(_MEMORY + _TIMES_FILE * path.stat().st_size):
        # From a path, not from bytes: numbers that lie in other files of its folder are taken in.
        proto = onnx.load(str(path))
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    metadata[METADATA_KEY] = contract.to_json()
    onnx.helper.set_model_props(proto, metadata)
    with whole_file(path) as file:
        onnx.save(proto, file)
        file.flush()
        contract_of_session(open_session(file.name, optimise=False), path)
