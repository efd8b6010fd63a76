# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of files that are read from outside: a good example of each, and what reads it.

A new reader is one more line in `KINDS`; `tests/test_mutations.py` and `make fuzz` then try it.
"""

import functools
import importlib.util
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from seeds import rng

from amrq.errors import AmrqError, LinkError, ModelError, RecordingError

__all__ = ["KINDS", "FileKind"]

ROOT = Path(__file__).resolve().parents[2]
_READ = 4096
"""Samples that are read of a recording's beginning, middle and end."""


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: for people.
        make: writes a good example into a folder; returns the file that is read.
        read: reads it, and does with it what is done first.
        mutators: names of mutators by the pattern of the file's name; files of no pattern stay as they are.
        needs: packages without which it cannot be read.
        slow: how many times fewer cases a short run tries.
        error: what is raised where it cannot be read.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    mutators: dict[str, str]
    needs: tuple[str, ...] = ()
    slow: int = 1
    error: type[AmrqError] = AmrqError

    def missing(self) -> str:
        """Return a package that is needed and not there; nothing where all are."""
        return next((name for name in self.needs if importlib.util.find_spec(name) is None), "")


# --- recordings ------------------------------------------------------------------------------------------------------


def _samples() -> np.ndarray:
    generator = rng("samples of a recording")
    return (generator.standard_normal(3000) + 1j * generator.standard_normal(3000)).astype(np.complex64)


def _sigmf(folder: Path) -> Path:
    meta = {
        "global": {
            "core:datatype": "cf32_le",
            "core:sample_rate": 40e3,
            "core:version": "1.0.0",
            "core:offset": 0,
        },
        "captures": [
            {"core:sample_start": 0, "core:frequency": 433.92e6, "core:datetime": "2026-01-02T03:04:05.5Z"},
            {"core:sample_start": 1000, "core:frequency": 434e6, "core:header_bytes": 8},
        ],
        "annotations": [
            {"core:sample_start": 10, "core:sample_count": 500, "core:label": "QPSK", "core:comment": "so"},
            {"core:sample_start": 600, "core:freq_lower_edge": 433.91e6, "core:freq_upper_edge": 433.93e6},
        ],
    }
    samples = _samples()
    data = samples[:1000].tobytes() + bytes(8) + samples[1000:].tobytes()
    (folder / "r.sigmf-data").write_bytes(data)
    (folder / "r.sigmf-meta").write_text(json.dumps(meta))
    return folder / "r.sigmf-meta"


def _archive(folder: Path) -> Path:
    inside = folder / "r"
    inside.mkdir()
    _sigmf(inside)
    with tarfile.open(folder / "r.sigmf", "w") as archive:
        archive.add(inside, "r")
    shutil.rmtree(inside)
    return folder / "r.sigmf"


def _wav(folder: Path) -> Path:
    import soundfile

    samples = _samples().view(np.float32).reshape(-1, 2) / 8
    soundfile.write(folder / "r.wav", samples, 48_000, "PCM_16")
    return folder / "r.wav"


def _flac(folder: Path) -> Path:
    import soundfile

    samples = _samples().view(np.float32).reshape(-1, 2) / 8
    soundfile.write(folder / "r.flac", samples, 48_000, "PCM_16")
    return folder / "r.flac"


def _raw(folder: Path) -> Path:
    (folder / "r.cf32").write_bytes(_samples().tobytes())
    return folder / "r.cf32"


def _read_recording(path: Path) -> object:
    from amrq.recordings import open_recording

    with_rate = 40e3 if path.suffix == ".cf32" else None
    recording = open_recording(path, sample_rate=with_rate)
    recording.truths()
    length = recording.length
    return [recording.read(max(0, min(at, length - 1)), min(_READ, length)) for at in (0, length // 2)]


def _read_annotations(path: Path) -> object:
    from amrq.outputs import AnnotationFile

    file = AnnotationFile(path, path.with_name("new.sigmf-meta"))
    return file


def _read_labelled_spans(path: Path) -> object:
    from amrq.labels import labelled_spans
    from amrq.recordings import open_recording

    return labelled_spans(open_recording(path))


# --- models ----------------------------------------------------------------------------------------------------------


def _contract(folder: Path) -> Path:
    from amrq.model import AccuracyRow, Contract, Hypothesis

    classes = ("BPSK", "pi/4-DQPSK", "unknown")
    contract = Contract(
        name="example",
        classes=classes,
        chunk_length=32,
        hypotheses=tuple(Hypothesis(label, es_n0, 1 / 6) for label in classes for es_n0 in (5.0, 15.0)),
        accuracy=(AccuracyRow(10.0, 0.8, 0.79, 0.81, 18000),),
        recipe={"name": "r", "settings": {"net": {"architecture": "symbolwise"}}},
    )
    (folder / "contract.json").write_text(contract.to_json())
    return folder / "contract.json"


def _read_contract_text(path: Path) -> object:
    from amrq.files import parsing
    from amrq.model import Contract

    with parsing(path, kind=ModelError):
        text = path.read_text(encoding="utf-8")
    return Contract.from_json(text).to_json()


def _shipped(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        return Path(shutil.copy(ROOT / "models" / f"{name}.onnx", folder / "m.onnx"))

    return make


def _read_model(path: Path) -> object:
    from amrq.model import read_contract

    return read_contract(path)


def _classify(path: Path) -> object:
    from amrq.classifier import make_classifier
    from amrq.errors import AmrqError

    classifier = make_classifier(path)
    length = min(classifier.contract.chunk_length, 4096)
    if length != classifier.contract.chunk_length:
        raise AmrqError("long chunks are left out here.")
    return classifier.classify(np.ones((3, length), np.complex64))


def _integers(path: Path) -> object:
    from amrq.hardware import IntegerNetwork

    network = IntegerNetwork.from_onnx(path)
    length = network.contract.chunk_length
    iq = np.ones((2, 2, length), np.float32)
    level = np.zeros((2, 3), np.float32) if network.contract.level_input else None
    return network.run(network.round_inputs(iq, level))


def _hardware(path: Path) -> object:
    from amrq.hardware import IntegerNetwork
    from amrq.hardware.rtl import make_design

    return make_design(IntegerNetwork.from_onnx(path)).files


def _sizes(path: Path) -> object:
    from amrq.hardware import read_layer_sizes

    return read_layer_sizes(path)


def _rebuild(path: Path) -> object:
    from amrq.training import rebuild_net

    return rebuild_net(path)


def _image(folder: Path) -> Path:
    from amrq.hardware import write_image

    write_image("coherent-small-int4", folder / "m.npz")
    return folder / "m.npz"


def _read_image(path: Path) -> object:
    from amrq.hardware import read_image

    network, _ = read_image(path)
    return network.run(network.round_inputs(np.ones((2, 2, network.contract.chunk_length), np.float32), None))


# --- training --------------------------------------------------------------------------------------------------------


def _copied(*parts: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        return Path(shutil.copy(ROOT.joinpath(*parts), folder / parts[-1]))

    return make


def _read_recipe(path: Path) -> object:
    from amrq.training import read_recipe

    return read_recipe(path)


def _read_protocol(path: Path) -> object:
    from amrq.protocols import read_protocol

    return read_protocol(path).as_dict()


def _read_sweep_recipe(path: Path) -> object:
    from amrq.sweep import cells_of, read_sweep_recipe

    recipe = read_sweep_recipe(path)
    if len(recipe.architectures) * len(recipe.grid.weight_bits) * len(recipe.grid.pruned) < 100_000:
        cells_of(recipe)
    return recipe.identity


def _sweep(folder: Path) -> Path:
    for name in ("sweep.json", "cells.csv", "speed.csv"):
        shutil.copy(ROOT / "docs" / "thesis" / "corrected" / name, folder)
    rows = (folder / "cells.csv").read_text().splitlines(keepends=True)
    (folder / "cells.csv").write_text("".join(rows[:6]))
    rows = (folder / "speed.csv").read_text().splitlines(keepends=True)
    (folder / "speed.csv").write_text("".join(rows[:6]))
    return folder


def _read_sweep(path: Path) -> object:
    from amrq.sweep import read_sweep_results, thesis_page

    return thesis_page([read_sweep_results(path)], {}, [], "amrq sweep-report")


def _evaluation(folder: Path) -> Path:
    values = json.loads((ROOT / "docs/evaluation/coherent-small-int4/evaluation.json").read_text())
    values |= {"levels": values["levels"][4:5], "sweeps": values["sweeps"][:1]}
    (folder / "evaluation.json").write_text(json.dumps(values))
    return folder


def _read_evaluation_page(path: Path) -> object:
    from amrq.evaluation import page_anew

    return page_anew(path)


def _read_published(path: Path) -> object:
    from amrq.sweep import read_published

    return read_published(path)


@functools.lru_cache
def _smoke() -> Any:
    from amrq.sweep import read_sweep_recipe

    return read_sweep_recipe(ROOT / "recipes" / "sweep-smoke.toml")


def _bound(folder: Path) -> Path:
    from amrq.sweep import SweepBound, SweepFolder

    recipe = _smoke()
    levels = (len(recipe.evaluation.es_n0_db), recipe.evaluation.level_chunks)
    SweepFolder(folder, recipe).keep_bound(
        SweepBound(np.ones(recipe.evaluation.chunks, np.bool_), np.ones(levels, np.bool_))
    )
    return folder / "bound.npz"


def _read_bound(path: Path) -> object:
    from amrq.sweep import SweepFolder

    return SweepFolder(path.parent, _smoke(), make=False).bound()


def _checkpoint(folder: Path) -> Path:
    import torch

    from amrq.training import save_checkpoint

    save_checkpoint(folder / "c.checkpoint", "me", {"step": 3, "net": {"weight": torch.ones(4, 4)}})
    return folder / "c.checkpoint"


def _read_checkpoint(path: Path) -> object:
    from amrq.training import load_checkpoint

    return load_checkpoint(path, "me")


def _labels(folder: Path) -> Path:
    from labelled_signals import labelled_chunks

    from amrq.labels import LabelsFolder

    LabelsFolder(folder).write(labelled_chunks("one", {"BPSK": 3, "unknown": 1}, rng("labels")))
    return folder


def _read_labels(path: Path) -> object:
    from amrq.labels import LabelsFolder

    return [(chunks.counts, chunks.chunk_length) for chunks in LabelsFolder(path).read()]


def _key(folder: Path) -> Path:
    from amrq.link import make_keys

    make_keys(folder / "board")
    return folder / "board.secret"


def _read_key(path: Path) -> object:
    from amrq.link import read_secret_key

    return read_secret_key(path)


_ONNX = {"*.onnx": "onnx"}
_META = {"*.sigmf-meta": "json"}

KINDS = (
    FileKind("SigMF metadata", _sigmf, _read_recording, _META, error=RecordingError),
    FileKind(
        "SigMF samples", _sigmf, _read_recording, {"*.sigmf-data": "bytes"}, slow=3, error=RecordingError
    ),
    FileKind("SigMF archive", _archive, _read_recording, {"*.sigmf": "bytes"}, error=RecordingError),
    FileKind("annotations", _sigmf, _read_annotations, _META),
    FileKind("labels in annotations", _sigmf, _read_labelled_spans, _META),
    FileKind("wav", _wav, _read_recording, {"*.wav": "bytes"}, ("soundfile",), error=RecordingError),
    FileKind(
        "FLAC", _flac, _read_recording, {"*.flac": "bytes"}, ("soundfile",), slow=2, error=RecordingError
    ),
    FileKind("raw samples", _raw, _read_recording, {"*.cf32": "bytes"}, slow=3, error=RecordingError),
    FileKind("contract", _contract, _read_contract_text, {"*.json": "json"}, error=ModelError),
    FileKind(
        "model",
        _shipped("coherent-small-int4"),
        _read_model,
        _ONNX,
        ("onnxruntime", "onnx"),
        slow=2,
        error=ModelError,
    ),
    FileKind(
        "model that runs",
        _shipped("coherent-small-float32"),
        _classify,
        _ONNX,
        ("onnxruntime", "onnx"),
        slow=3,
        error=ModelError,
    ),
    FileKind(
        "integers of a model",
        _shipped("coherent-small-int4"),
        _integers,
        _ONNX,
        ("onnx",),
        slow=3,
        error=ModelError,
    ),
    FileKind(
        "hardware of a model",
        _shipped("coherent-small-int4"),
        _hardware,
        _ONNX,
        ("onnx",),
        slow=6,
        error=ModelError,
    ),
    FileKind(
        "sizes of a model", _shipped("blind-small-int8"), _sizes, _ONNX, ("onnx",), slow=6, error=ModelError
    ),
    FileKind(
        "network of a model",
        _shipped("coherent-small-int8"),
        _rebuild,
        _ONNX,
        ("onnx", "torch"),
        slow=6,
        error=ModelError,
    ),
    FileKind("board's image", _image, _read_image, {"*.npz": "zip"}, ("onnx",), error=ModelError),
    FileKind("board's key", _key, _read_key, {"*.secret": "bytes"}, ("zmq",), error=LinkError),
    FileKind("recipe", _copied("recipes", "coherent-full.toml"), _read_recipe, {"*.toml": "text"}),
    FileKind(
        "sweep's recipe", _copied("recipes", "sweep-smoke.toml"), _read_sweep_recipe, {"*.toml": "text"}
    ),
    FileKind("sweep's settings", _sweep, _read_sweep, {"*.json": "json"}, slow=2),
    FileKind("sweep's tables", _sweep, _read_sweep, {"*.csv": "text"}, slow=2),
    FileKind("evaluation", _evaluation, _read_evaluation_page, {"*.json": "json"}, slow=3),
    FileKind("sweep's bound", _bound, _read_bound, {"*.npz": "zip"}),
    FileKind(
        "published tables", _copied("docs", "thesis", "published.csv"), _read_published, {"*.csv": "text"}
    ),
    FileKind(
        "protocol", _copied("src", "amrq", "protocols", "data", "ais.yml"), _read_protocol, {"*.yml": "text"}
    ),
    FileKind("checkpoint", _checkpoint, _read_checkpoint, {"*.checkpoint": "zip"}, ("torch",)),
    FileKind("labelled chunks", _labels, _read_labels, {"*.npz": "zip", "*.json": "json"}),
)
