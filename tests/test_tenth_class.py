# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenth class: in a recipe, every command knows it; as a line in the table, it changes nothing else."""

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled_signals import SYMBOL_RATE, write_recording
from run_amrq import amrq_here, python, refused
from seeds import rng

from amrq.classes import THESIS_9, LinearClass
from amrq.classifier import make_classifier
from amrq.evaluation import fresh_chunks
from amrq.labels import LabelsFolder
from amrq.model import NO_SIGNAL, UNKNOWN, read_contract

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "tenth-class.toml"
STAR = LinearClass.of("STAR5", [0, 1, 1j, -1, -1j])
OUTPUTS = (*THESIS_9, STAR.name, UNKNOWN, NO_SIGNAL)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the tutorial, trained for less time."""
    pytest.importorskip("torch", reason="PyTorch is not installed: training is not tested")
    from amrq.training import make_model, read_recipe

    recipe = read_recipe(RECIPE)
    short = replace(recipe, accuracy_chunks=8, fit=replace(recipe.fit, steps=250, batch_size=192))
    with pytest.MonkeyPatch.context() as patch:
        # How sure fused decisions are is fitted on fewer signals: most of the time goes there.
        patch.setattr("amrq.training.onnx_export._RUNS", 8)
        (made,) = make_model(short, tmp_path_factory.mktemp("tenth") / "tenth.onnx")
    return made


def test_a_recipe_trains_a_class_of_its_own(model: Path) -> None:
    contract = read_contract(model)
    assert contract.classes == OUTPUTS
    assert contract.class_set.name == "tenth-class" and contract.linear_classes["STAR5"] == STAR
    classifier = make_classifier(model)
    chunks = fresh_chunks(STAR, 200, 32, 20.0, rng("tenth class"))
    named = [OUTPUTS[number] for number in classifier.classify(chunks).log_probabilities.argmax(axis=1)]
    assert Counter(named)["STAR5"] > 150


def recording(folder: Path) -> Path:
    """Of the tenth class alone, which somebody has annotated."""
    return write_recording(folder / "star.sigmf-meta", [STAR], 6_000)


def test_it_is_found_in_a_recording_and_labelled(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    path = recording(tmp_path)
    found = amrq_here(capfd, "classify", path, "--symbol-rate", SYMBOL_RATE, "--model", model, "--json")
    assert found.returncode == 0, found.stderr
    records = [json.loads(line) for line in found.stdout.splitlines()]
    assert Counter(record["label"] for record in records).most_common(1)[0][0] == "STAR5"
    # What the front end measures belongs to it as to any other class, and so does the truth of the recording.
    assert all(r["offset_hz"] is not None for r in records if r["label"] == "STAR5")
    labelled = tmp_path / "labelled"
    made = amrq_here(capfd, "label", path, "--symbol-rate", SYMBOL_RATE, "-o", labelled)
    assert made.returncode == 0, made.stderr
    assert "the library has no class STAR5" in " ".join(made.stdout.split())
    (chunks,) = LabelsFolder(labelled).read()
    assert set(chunks.counts) == {"STAR5"} and chunks.counts["STAR5"] > 100
    tuned = tmp_path / "tuned.onnx"
    steps = ("--steps", 3, "--tolerance", 100, "-o", tuned)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("amrq.training.onnx_export._RUNS", 2)
        result = amrq_here(capfd, "train", "--add", labelled, "--from", model, *steps)
    assert result.returncode == 0, result.stderr
    assert read_contract(tuned).class_set == read_contract(model).class_set
    (row,) = read_contract(tuned).recipe["added"][0]["labelled"]
    assert row["label"] == "STAR5" and row["before"] > 0.7 * row["chunks"]
    # A model of nine has no output for it, and says so.
    refused(
        amrq_here(capfd, "train", "--add", labelled, "--from", "default", "-o", tmp_path / "none.onnx"),
        "chunks labelled 'STAR5'",
    )


def test_a_simulation_sends_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    from gnuradio import blocks, gr
    from gnuradio.amrq import open_source

    from amrq.sources import SourceOptions

    monkeypatch.setattr(open_source, "_DWELL_SECONDS", 0.001)
    options = SourceOptions(simulate=True, sample_rate=1e6, symbol_rate=100e3)
    source = open_source.open_source(options, classes=read_contract(model).linear_classes)
    graph, sink = gr.top_block(), blocks.vector_sink_c()
    graph.connect(source.block, blocks.head(gr.sizeof_gr_complex, 30_000), sink)
    graph.run()
    sent = {str(tag.value) for tag in sink.tags() if str(tag.key) == "modulation"}
    assert sent == {*THESIS_9, "STAR5"}


@pytest.mark.long
def test_it_is_evaluated_against_its_own_bound(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report"
    result = amrq_here(capfd, "evaluate", model, "--chunks", 20, "--es-n0", "20", "-o", report)
    assert result.returncode == 0, result.stderr
    found = json.loads((report / "evaluation.json").read_text())
    assert found["classes"] == [*THESIS_9, "STAR5"]
    (level,) = found["levels"]
    star = level["named"]["bound"]["per_class"]["STAR5"]
    assert star["of"] == 20 and star["count"] >= 19
    settings = ("--symbols", 32, "--chunks", 20, "--es-n0", 20, "--json")
    bound = json.loads(amrq_here(capfd, "bound", "--classes", model, *settings).stdout)
    assert bound["classes"] == [*THESIS_9, "STAR5"]
    confusion = np.array(bound["curves"][0]["points"][0]["confusion"])
    assert confusion.shape == (10, 10) and confusion[9, 9] >= 19


def test_a_line_in_the_table_changes_nothing_else(tmp_path: Path) -> None:
    """With one line more at the head of the table, which moves every class, all that is drawn stays what it was."""
    code = """
import hashlib, json, sys
import numpy as np
from amrq.classes import LINEAR_CLASSES, THESIS_9, linear_class
from amrq.evaluation import fresh_chunks, make_dataset
from amrq.likelihood import Receiver, measure_bound
from amrq.model import find_model, list_models, read_contract
from amrq.signals import OTHER_SIGNALS, ModulatedSignal, Schedule, other_signal
from amrq.sweep import read_sweep_recipe
from seeds import rng

def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()

found = {
    "known": len(LINEAR_CLASSES),
    "thesis": list(THESIS_9),
    "data set": digest(*make_dataset(0.01, 0.01, 32, 64, rng("one line"))[:2]),
    "others": digest(*(other_signal(kind, 3, 32, rng("one line")) for kind in OTHER_SIGNALS)),
    "signal": digest(ModulatedSignal(Schedule(list(THESIS_9), 10), 20.0).generate(500)[0]),
    "bound": measure_bound(Receiver(es_n0_db=10.0), True, 32, [10.0], 10).points[0].confusion.tolist(),
    "models": {
        str(path.stem): list(read_contract(path).linear_classes)
        for path in list_models()
        if read_contract(path).input == "symbols"
    },
}
thesis = read_sweep_recipe(sys.argv[1])
found["sweep"] = [thesis.identity, len(thesis.class_set)]
try:
    import torch
    from amrq.training import SignalBatches, SignalSettings, rebuild_net
    batch = SignalBatches(SignalSettings(), 32, 1).batch(0, 64)
    found["batch"] = digest(batch.iq, batch.labels, batch.targets)
    # Rebuilding holds the outputs of the file against those that its recipe makes now.
    found["from"] = list(rebuild_net(find_model("blind-small-int8")).contract.classes)
except ImportError:
    pass
if "A TENTH" in LINEAR_CLASSES:
    new = LINEAR_CLASSES["A TENTH"]
    sent = ModulatedSignal(Schedule("A TENTH")).generate(9)[1]
    found["new"] = [new.symmetry, fresh_chunks(new, 2, 32, 20.0, rng("one line")).shape, sent]
print(json.dumps(found))
"""
    copied = tmp_path / "src"
    shutil.copytree(ROOT / "src", copied, ignore=shutil.ignore_patterns("__pycache__"))
    table = copied / "amrq" / "classes" / "linear.py"
    line = '    ("4ASK", _ask(4), 2),\n'
    assert table.read_text().count(line) == 1
    table.write_text(table.read_text().replace(line, '    ("A TENTH", _grid(6, 4)),\n' + line))
    models = {"AMRQ_MODELS": str(ROOT / "models")}
    results = [
        python("-c", code, ROOT / "recipes" / "thesis.toml", environment=models | path)
        for path in ({}, {"PYTHONPATH": os.pathsep.join([str(copied), str(ROOT / "tests")])})
    ]
    assert not any(result.returncode for result in results), results
    plain, added = (json.loads(result.stdout) for result in results)
    assert added.pop("new") == [2, [2, 32], [[0, "A TENTH"]]]
    assert added.pop("known") == plain.pop("known") + 1
    assert added == plain and len(plain["models"]) == 12 and plain["sweep"][1] == 9
    assert set(map(tuple, plain["models"].values())) == {tuple(THESIS_9)}
