# SPDX-License-Identifier: GPL-3.0-or-later
"""What is recorded, part by part and case by case, and how near another run must come."""

import hashlib
import json
import string
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import run_amrq
from seeds import rng

from golden import engines, material
from golden.compare import Near, differences, plain, text_of

__all__ = ["CASES", "REAL", "compare", "file_of", "hold", "made", "read", "write"]

REAL = material.ROOT.parent / "shared" / "iq"
OURS = material.ROOT / "examples" / "recordings"
_SURE = 0.004
"""Log-probabilities nearer to each other than this name no class."""
_LETTERS = string.digits + string.ascii_letters + "!#$%&()*+,.:;<=>@"
_SHOWN = range(0, 150, 23)
"""Chunks whose scores are kept as numbers."""
_VERILOG = {
    "coherent-small-int4": ("coherent-small-int4",),
    "coherent-small-int8, 9 bits, folded": ("coherent-small-int8", "--input-bits", "9", "--fold", "4"),
    "vgglike 4 bits": (
        material.ROOT / "docs" / "thesis" / "models" / "vgglike_2f_2c_2re_2mp_4bit_pr_20.onnx",
        *("--lanes", "8"),
    ),
}


@cache
def _chunks() -> np.ndarray:
    return material.chunks()


# Scores


def _decided(values: np.ndarray, usable: np.ndarray) -> str:
    best = np.sort(values, axis=1)
    near = best[:, -1] - best[:, -2] < _SURE
    letters = [_LETTERS[column] for column in values.argmax(axis=1)]
    return "".join(
        "-" if not use else "?" if close else letter
        for use, close, letter in zip(usable, near, letters, strict=True)
    )


def _evidence(found: Any) -> dict[str, Any]:
    log_probabilities, log_likelihoods, power, usable = found
    rows = np.stack(
        [log_likelihoods.max(axis=1), log_likelihoods.mean(axis=1), log_likelihoods.min(axis=1)], axis=1
    )
    return {
        "decided": _decided(log_probabilities, usable),
        "log_probabilities": {i: log_probabilities[i].astype(float).tolist() for i in _SHOWN},
        "log_likelihoods, highest, mean, lowest": {i: rows[i].astype(float).tolist() for i in _SHOWN},
        "power": power[-20:].astype(float).tolist(),
    }


def _scores(path: Path) -> dict[str, Any]:
    chunks = _chunks()
    found: dict[str, Any] = {"contract": engines.contract(path), "estimate": engines.estimated(path)}
    evidence = engines.onnx_evidence(path, chunks)
    found["onnx"] = _evidence(evidence)
    if engines.has_level_input(path):
        power = np.where(np.arange(len(chunks)) % 3 == 0, np.nan, 1.25 * evidence[2]).astype(np.float32)
        found["onnx, level tracked"] = _evidence(engines.onnx_evidence(path, chunks, power))
    usable = chunks[evidence[3]]
    logits = engines.board_scores("onnx", path, usable)
    found["board's onnx"] = {
        "type": str(logits.dtype),
        "decided": _decided(logits, np.ones(len(logits), bool)),
        "scores": logits[3, :12].astype(float).tolist(),
    }
    if engines.is_quantised(path):
        found["integer"] = {"decided": _evidence(engines.integer_evidence(path, chunks))["decided"]}
        scores, exponent = engines.integer_scores(path, chunks)
        found["integer"] |= {
            "exponent": exponent,
            "shape": list(scores.shape),
            "scores": material.checksums(scores),
        }
        if path.stem == "coherent-small-int4":
            found["integer"]["first chunk"] = scores[0].tolist()
        rows = engines.integer_scores(path, usable)[0]
        for name in ("integer", "image"):
            same = (engines.board_scores(name, path, usable) == rows).all(axis=1)
            found[f"board's {name}"] = {"rows": len(same), "as the reference": int(same.sum())}
    return found


def _material() -> dict[str, Any]:
    return {
        "chunks": material.checksums(_chunks()),
        "sequence": material.checksums(material.sequence()),
    }


def _rtl() -> dict[str, Any]:
    path = engines.models()["coherent-small-int4"]
    scores = engines.board_scores("rtl", path, _chunks()[:24], simulator="iverilog")
    return {"scores": material.checksums(scores)}


def _bound() -> dict[str, Any]:
    chunks = _chunks()[:144]
    found = {}
    for phase in ("known", "uniform"):
        values = engines.bound(chunks, phase)
        decided = _decided(values, np.ones(len(values), bool))
        found[phase] = {"decided": decided, "log_likelihoods": {i: values[i].tolist() for i in (0, 50, 100)}}
    return found


_FUSED: dict[str, dict[str, Any]] = {
    "as it is": {},
    "8 chunks": {"chunks_per_decision": 8},
    "early": {"early_confidence": 0.99},
    "remembered": {"chunks_per_decision": 8, "memory": 64.0},
    "noise named": {"name_noise": True},
    "very sure": {"chunks_per_decision": 4, "min_confidence": 0.999},
    "changes easily": {"change_evidence": 4.0},
}


def _fused(model: str, options: dict[str, Any]) -> dict[str, Any]:
    lines = engines.decisions(engines.models()[model], material.sequence(), **options)
    for line in lines:
        best = sorted(line["log_probabilities"].items(), key=lambda item: -item[1])[:3]
        line["log_probabilities"] = dict(best) | {"in all": len(line["log_probabilities"])}
    return {"lines": lines}


# The command


def _lines(text: str, folder: Path) -> list[dict[str, Any]]:
    found = []
    for line in text.splitlines():
        record = json.loads(line)
        if "source" in record:
            record["source"] = record["source"].replace(f"{folder}/", "").replace(f"{OURS}/", "")
        found.append(record)
    # Where there are decisions, what was said of the emission before them is tested in test_survey.py.
    decided = {record.get("source") for record in found if "event" not in record}
    return [record for record in found if "event" not in record or record.get("source") not in decided]


def _classify(*arguments: Any, log: bool = False, annotate: bool = False) -> dict[str, Any]:
    """Run the command; arguments that are names of files become their paths."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        material.write_recordings(folder)
        words = [folder / word if (folder / str(word)).is_file() else word for word in arguments]
        extra = (
            ["--log", folder / "log.jsonl"]
            if log
            else ["--annotate", folder / "out.sigmf-meta"]
            if annotate
            else []
        )
        result = run_amrq.amrq("classify", *words, *extra, *([] if log or annotate else ["--json"]))
        found: dict[str, Any] = {"status": result.returncode}
        if log:
            found["lines"] = _lines((folder / "log.jsonl").read_text(), folder)
        elif annotate:
            meta = json.loads((folder / "out.sigmf-meta").read_text())
            found["annotations"] = meta["annotations"]
            for entry in found["annotations"]:
                # The version in it is another one with each release.
                entry["core:generator"] = entry.get("core:generator", "").split(" ")[0]
        else:
            found["lines"] = _lines(result.stdout, folder)
        return found


_SHIPPED = [OURS / f"{p.stem}.sigmf-meta" for p in sorted(OURS.glob("*.sigmf-meta"))]
_RAW = ("qpsk.cf32", "qpsk.ci16", "qpsk.ci8", "qpsk.cu8")
_COMMANDS: dict[str, Callable[[], dict[str, Any]]] = {
    "shipped": partial(_classify, *_SHIPPED),
    "shipped, symbol rate told": partial(_classify, *_SHIPPED, "--symbol-rate", "25k", "--chunks", "64"),
    "raw samples of four formats": partial(_classify, *_RAW, "--rate", "100k", "--chunks", "128"),
    "wav": partial(_classify, "qpsk.wav", "--chunks", "128"),
    "SigMF with truth, logged": partial(
        _classify, "told.sigmf-meta", "--symbol-rate", "25k", "--chunks", "50", log=True
    ),
    "annotated": partial(_classify, "told.sigmf-meta", "--symbol-rate", "25k", annotate=True),
    "a part of it, by a small model": partial(
        _classify,
        *("qpsk.cf32", "--rate", "100e3", "--start", "0.05", "--duration", "0.1", "--offset", "100"),
        *("--model", "blind-small-int4", "--rolloff", "0.25", "--min-confidence", "0.99", "--chunks", "16"),
    ),
    "named as another format": partial(
        _classify,
        "qpsk.ci16",
        "--format",
        "ci16",
        "--rate",
        "100k",
        "--symbol-rate",
        "25k",
        "--chunks",
        "200",
    ),
    "changes alone": partial(_classify, "qpsk.cf32", "--rate", "100k", "--changes"),
    "thinned": partial(_classify, "qpsk.cf32", "--rate", "100k", "--every", "0.1", "--chunks", "4"),
    "gated": partial(_classify, "qpsk.cf32", "--rate", "100k", "--symbol-rate", "25k", "--gate", "3"),
    "a symbol a sample, rate told": partial(
        _classify, "symbols.cf32", "--rate", "25k", "--symbol-rate", "25k"
    ),
    "a symbol a sample": partial(_classify, "symbols.cf32", "--rate", "25k"),
    "no rate": partial(_classify, "qpsk.cf32"),
}


def _real() -> dict[str, Any]:
    """Labels and how often each was decided, no more."""
    files = sorted(REAL.glob("*.sigmf-meta"))
    result = run_amrq.amrq("classify", *files, "--json")
    lines = _lines(result.stdout, REAL)
    found: dict[str, Any] = {"status": result.returncode}
    for path in files:
        mine = [line for line in lines if line["source"] == path.name]
        found[path.stem] = dict(sorted(Counter(f"{line['reason']} {line['label']}" for line in mine).items()))
    return found


def _verilog(*arguments: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        result = run_amrq.amrq("rtl", *arguments, "-o", name, "--chunks", "32")
        assert result.returncode == 0, result.stderr
        files = sorted(path for path in Path(name).rglob("*") if path.is_file())
        texts = {path.relative_to(name).as_posix(): path.read_bytes() for path in files}
    return {name: f"{len(text)} {hashlib.sha256(text).hexdigest()}" for name, text in texts.items()}


# Training


def _sweep() -> dict[str, Any]:
    found = {}
    for row in engines.sweep_rows():
        values = {}
        for name, text in row.items():
            try:
                values[name] = int(text)
            except ValueError:
                values[name] = text if name in ("name", "architecture") else float(text)
        found[row["name"]] = values
    return found


def _train() -> dict[str, Any]:
    random = rng("golden", "labelled")
    points = np.array([-1.3, -1, 1, 1.3])[random.integers(4, size=(160, 32))]
    noise = random.standard_normal((160, 32, 2)) @ [0.1, 0.1j]
    turned = points * np.exp(2j * np.pi * random.random((160, 1)))
    labels = ["4ASK"] * 100 + ["unknown"] * 60
    recorded = (turned + noise).astype(np.complex64)
    found = engines.trained(_chunks()[:144:12], (recorded, labels))
    for net in found["nets"].values():
        net["logits"] = {i: net["logits"][i] for i in (0, 5)}
    return found


CASES: dict[str, dict[str, Callable[[], Any]]] = {
    "scores": {
        "material": _material,
        **{name: partial(_scores, path) for name, path in engines.models().items()},
        "simulated hardware": _rtl,
        "bound": _bound,
    },
    "decisions": {
        f"{model}, {name}": partial(_fused, model, options)
        for model in ("blind-full-int8", "coherent-full-int4")
        for name, options in _FUSED.items()
        if model == "blind-full-int8" or not options
    },
    "classify": _COMMANDS,
    "real": {"counts": _real},
    "verilog": {name: partial(_verilog, *words) for name, words in _VERILOG.items()},
    "training": {"sweep": _sweep, "fit and fine-tune": _train},
    "surface": {
        "options": engines.options,
        "blocks": engines.blocks,
        "block files": engines.grc_files,
        "faces": engines.faces,
    },
}


# How near


_FIELDS = {
    "offset_hz": (0.05, 1e-4),
    "symbol_rate_hz": (0.0, 1e-6),
    "snr_db": (0.11, 0.0),
    "es_n0_db": (0.11, 0.0),
    "power_db": (0.02, 0.0),
    "time": (2e-6, 0.0),
    "duration": (2e-6, 0.0),
}
_WITHIN = {"log_probabilities": (5e-3, 1e-3), "logits": (5e-3, 1e-3)}
_COUNTED = ("right", "model_only", "bound_only", "gate_wrong")


def _near(part: str, here: bool, path: tuple[str, ...]) -> tuple[float, float]:
    """How far a number may be off; `here` is on the machine that recorded it."""
    name = path[-1]
    if part == "training":
        if "sweep" not in path:
            # [step, steps, phase, loss, accuracy], `weights` and logits.
            if name in ("3", "4") and "nets" not in path:
                return (2e-3, 0.0) if here else (0.05, 0.0)
            if "logits" in path:
                return (0.01, 0.0) if here else (1.0, 0.1)
        if name.startswith(_COUNTED):
            return (3, 0.0) if here else (15, 0.0)
        if name == "loss":
            return (2e-3, 0.0) if here else (0.05, 0.0)
        if name == "bytes":
            return 256, 0.0  # the contract, with versions of packages, is part of the file
        if name in ("bits", "pruned", "epochs", "chunks", "integer_layers", "float_layers", "0", "1"):
            return 0.0, 0.0
        return (0.0, 0.0) if here else (2.0, 0.01)
    if part in ("surface", "verilog", "real"):
        return 0.0, 0.0
    if name in _FIELDS:
        return _FIELDS[name]
    if part in ("decisions", "classify"):
        if "log_probabilities" in path and name != "in all":
            return 0.02, 2e-3
        whole = {"status", "schema", "chunks", "dropped", "in all"}
        return (2e-3, 0.0) if name not in whole and not name.endswith(("_count", "_index")) else (0.0, 0.0)
    if {"contract", "estimate", "first chunk", "exponent", "shape"} & {*path} or name in (
        "rows",
        "as the reference",
    ):
        return 0.0, 0.0
    return 2e-3, 1e-4


def compare(part: str, case: str, found: Any) -> list[str]:
    """Return what differs from what was recorded, a line each."""
    written = read(part)
    here = written["recorded_with"] == engines.machine()
    recorded = written["data"].get(case)
    if recorded is None:
        return [f"{case}: nothing is recorded"]
    near: Near = partial(_near, part, here)
    lines = differences(recorded, found, near, (case,))
    # Where floating point comes first, another machine may round a value at a tie the other way, in a few chunks.
    if part == "scores" and not here and case in engines.models():
        blind = not engines.exact_everywhere(engines.models()[case])
        if blind and "integer" in recorded and "integer" in found:
            odd = [line for line in lines if line.startswith(f"{case} / integer / scores / ")]
            sums = zip(*(" ".join(v["integer"]["scores"]).split() for v in (recorded, found)), strict=False)
            if sum(a != b for a, b in sums) <= 3:
                lines = [line for line in lines if line not in odd]
    return lines


def hold(part: str, case: str) -> None:
    """Compare what a case gives now with what was recorded of it."""
    lines = compare(part, case, made(part, case))
    shown = "\n  ".join(lines[:40] + ([f"... and {len(lines) - 40} more"] if len(lines) > 40 else []))
    assert not lines, f"not as recorded in {file_of(part).name} (meant? make golden):\n  {shown}"


# Files


def file_of(part: str) -> Path:
    return material.DATA / f"{part}.json"


def read(part: str) -> dict[str, Any]:
    """Return what is recorded of a part, nothing where nothing is."""
    if not file_of(part).is_file():
        return {"recorded_with": {}, "data": {}}
    return json.loads(file_of(part).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def made(part: str, case: str) -> Any:
    """Return what a case gives now, as it is recorded."""
    return plain(CASES[part][case](), 6 if part in ("classify", "decisions") else 4)


def write(part: str, data: dict[str, Any]) -> None:
    """Record it."""
    about = "SPDX-License-Identifier: GPL-3.0-or-later. Written by tests/golden/record.py (make golden); not by hand."
    content = {"about": about, "recorded_with": engines.machine(), "data": data}
    file_of(part).write_text(text_of(content) + "\n", encoding="utf-8")
