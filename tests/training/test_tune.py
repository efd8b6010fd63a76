# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished model trained on with labelled chunks: rebuilt from its file, mixed, resumed, compared, written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled_signals import labelled_chunks, write_recording
from run_amrq import amrq
from seeds import SEED, rng
from small_models import calibrate_quickly, linear_model

torch = pytest.importorskip("torch", reason="PyTorch is not installed: training is not tested")
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from typer.testing import CliRunner  # noqa: E402

from amrq.classes import THESIS_9  # noqa: E402
from amrq.classifier import make_classifier  # noqa: E402
from amrq.cli.main import app  # noqa: E402
from amrq.errors import AmrqError  # noqa: E402
from amrq.labels import LABELS, HeldOut, LabelsFolder, hold_out  # noqa: E402
from amrq.model import Contract, find_model, read_contract, write_contract  # noqa: E402
from amrq.training import (  # noqa: E402
    LabelledBatches,
    QuantisedLayer,
    RunControl,
    SignalBatches,
    TrainingStage,
    TuneSettings,
    class_logits,
    compare,
    export,
    fine_tune,
    fit,
    make_model,
    net_inputs,
    nonzero_weights,
    pruned_share,
    read_recipe,
    rebuild_net,
    tune_model,
)
from amrq.training.architectures import ARCHITECTURES  # noqa: E402

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "recipes" / "smoke.toml"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def changed(recipe, **settings):
    return replace(recipe, **{part: replace(getattr(recipe, part), **new) for part, new in settings.items()})


def signals(recipe, seed=SEED):
    return SignalBatches(recipe.signal, recipe.chunk_length, seed)


def small(architecture, **more):
    recipe = changed(
        read_recipe(SMOKE),
        net={"architecture": architecture, "phases": 2, "symbol_channels": (12, 12), "head_widths": (12,)},
        fit={"steps": 40, "batch_size": 128},
        quantisation={"steps": 10, "narrow_steps": 10, "weight_bits": (32, 8, 4)},
    )
    return changed(recipe, **more)


def written(net, bits, recipe, path):
    """Write a network with as much of a contract as rebuilding takes."""
    hypotheses = signals(recipe).hypotheses
    export(net, path, recipe.chunk_length, hypotheses, recipe.net.level_input)
    contract = Contract(
        path.stem,
        signals(recipe).classes,
        recipe.chunk_length,
        phase=recipe.signal.phase,
        level_input=recipe.net.level_input,
        weight_bits=bits,
        pruned=round(pruned_share(net), 6),
        hypotheses=hypotheses,
        recipe={"settings": recipe.as_dict()},
    )
    write_contract(path, contract)
    return path


def run_file(path, inputs):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return session.run(["hypothesis_logits"], dict(zip(names, (x.numpy() for x in inputs), strict=True)))[0]


def numbers(path):
    """Each layer's weights, biases and steps as the file holds them."""
    tensors = onnx.load(str(path)).graph.initializer
    return sorted(
        (t.name.replace("onnx::", ""), onnx.numpy_helper.to_array(t).tobytes())
        for t in tensors
        if t.name.startswith("net.") and t.data_type != onnx.TensorProto.INT64
    )


# From the file back to the network


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_a_rebuilt_network_is_the_one_in_the_file(architecture, tmp_path):
    """Weights, biases, steps and outputs are the same to the bit when it is written again; PyTorch decides alike."""
    known = {"phase": "coherent", "unknown_share": 0.0, "ideal_share": 1.0, "level_known_share": 0.5}
    symbolwise = architecture == "symbolwise"
    recipe = small(
        architecture,
        signal=known if symbolwise else {},
        net={"level_input": symbolwise},
        pruning={"share": 0.4 if symbolwise else 0.0},
    )
    nets = fit(recipe, signals(recipe, recipe.seed))
    inputs = net_inputs(signals(recipe).batch(1, 2_000), recipe)
    for bits, net in nets.items():
        path = written(net, bits, recipe, tmp_path / f"{bits}.onnx")
        rebuilt = rebuild_net(path)
        assert rebuilt.recipe == recipe and rebuilt.contract.weight_bits == bits
        again = tmp_path / "again.onnx"
        export(rebuilt.net, again, 32, signals(recipe).hypotheses, recipe.net.level_input)
        found = run_file(path, inputs)
        np.testing.assert_array_equal(run_file(again, inputs), found)
        if bits < 32:
            assert numbers(again) == numbers(path)
        with torch.no_grad():
            logits = rebuilt.net(*inputs).numpy()
        if symbolwise and bits < 32:
            np.testing.assert_array_equal(logits, found)
        else:
            # Before the integers lies floating point, where the last bit may differ.
            assert (logits.argmax(axis=1) == found.argmax(axis=1)).mean() >= 0.999
        if bits == 32:
            np.testing.assert_allclose(logits, found, rtol=1e-3, atol=1e-2)
        # What is removed stays so: no more weights than the file was said to have.
        assert nonzero_weights(rebuilt.net) <= nonzero_weights(net)
        assert bool(rebuilt.contract.pruned) == symbolwise
        for layer in (m for m in rebuilt.net.modules() if isinstance(m, QuantisedLayer)):
            assert layer.masked == (symbolwise and bool((layer.weight == 0).any()))


@pytest.mark.parametrize(
    "name", ["blind-full-int8", "blind-small-int4", "blind-small-float32", "coherent-full-int4"]
)
def test_shipped_models_are_rebuilt_to_the_bit(name, tmp_path):
    path = find_model(name)
    rebuilt = rebuild_net(path)
    inputs = net_inputs(signals(rebuilt.recipe).batch(1, 500), rebuilt.recipe)
    export(
        rebuilt.net,
        tmp_path / "again.onnx",
        32,
        signals(rebuilt.recipe).hypotheses,
        rebuilt.recipe.net.level_input,
    )
    found = run_file(path, inputs)
    np.testing.assert_array_equal(run_file(tmp_path / "again.onnx", inputs), found)
    if rebuilt.contract.weight_bits < 32:
        assert numbers(tmp_path / "again.onnx") == numbers(path)
    with torch.no_grad():
        logits = rebuilt.net(*inputs).numpy()
    if name.startswith("coherent"):
        np.testing.assert_array_equal(logits, found)
    assert (logits.argmax(axis=1) == found.argmax(axis=1)).mean() >= 0.998


def test_models_that_cannot_be_rebuilt_are_refused(tmp_path):
    with pytest.raises(AmrqError, match="was not made by 'amrq train'"):
        rebuild_net(linear_model(tmp_path / "linear.onnx"))
    recipe = small("phase_aligned", fit={"steps": 1}, quantisation={"weight_bits": (8,), "steps": 0})
    path = written(fit(recipe, signals(recipe))[8], 8, recipe, tmp_path / "good.onnx")
    contract = read_contract(path)

    def told(**settings):
        values = json.loads(json.dumps(contract.recipe["settings"]))
        for part, new in settings.items():
            values[part] = values[part] | new if isinstance(new, dict) else new
        write_contract(path, replace(contract, recipe={"settings": values}))
        return path

    for settings, words in (
        ({"net": {"symbol_channels": [12, 14]}}, r"does not hold the network .* in place of"),
        ({"net": {"symbol_channels": [12]}}, r"does not hold the network .*4 layers in place of 3"),
        ({"net": {"architecture": "guess"}}, "no architecture 'guess'"),
        ({"net": {"depth": 3}}, "net.depth is no setting"),
        ({"net": {"first_kernel": "wide"}}, "must be a whole number"),
        ({"signal": {"es_n0_levels": 2}}, "other outputs or chunks"),
        ({"chunk_length": 64}, "other outputs or chunks"),
    ):
        with pytest.raises(AmrqError, match=words):
            rebuild_net(told(**settings))
    assert rebuild_net(told()).recipe == recipe
    write_contract(path, replace(contract, weight_bits=32))
    with pytest.raises(AmrqError, match="does not hold the network"):
        rebuild_net(path)


# Labelled chunks among synthetic ones


def mixed(recordings, recipe, share=0.5, parts=None, batch_size=256):
    everything = [HeldOut(np.arange(len(r.labels)), np.empty(0, np.int64)) for r in recordings]
    batches = signals(recipe)
    generator = rng("judge")
    logits = generator.normal(size=(sum(len(r.labels) for r in recordings), len(batches.hypotheses)))
    labelled = LabelledBatches(
        recordings,
        parts or everything,
        lambda iq: 2 * logits[: len(iq)].astype(np.float32),
        batches.hypotheses,
        recipe,
        share,
        batch_size,
        SEED,
    )
    return labelled, batches


def test_each_modulation_keeps_its_weight():
    """However many chunks of a class there are, synthetic and labelled ones together weigh what the prior says."""
    recipe = small("phase_aligned")
    one = labelled_chunks("one", {"QPSK": 400, "unknown": 50}, rng("weights"))
    two = labelled_chunks("two", {"QPSK": 20, "BPSK": 1}, rng("weights", 2))
    labelled, batches = mixed([one, two], recipe, share=0.7)
    counted = dict.fromkeys(batches.classes, 0.0)
    for step in range(400):
        batch = labelled.batch(step)
        for number in batch.labels:
            counted[batches.classes[number]] += batch.weight / 400 / 256
    for name in batches.classes:
        own = [row for row, h in enumerate(batches.hypotheses) if h.label == name]
        prior = np.array([batches.hypotheses[row].prior for row in own])
        left = labelled.synthetic_weights[own]
        if name in ("QPSK", "BPSK"):
            assert counted[name] + (left * prior).sum() == pytest.approx(prior.sum(), rel=0.1)
            assert left.min() >= 0.3 - 1e-6
            continue
        assert (left == 1).all()
        # One more kind of other signal takes nothing from those there are.
        wanted = 0.7 * prior.sum() * 50 / 54 if name == "unknown" else 0.0
        assert counted[name] == pytest.approx(wanted, rel=0.1)
    qpsk, bpsk = (
        min(labelled.synthetic_weights[row] for row, h in enumerate(batches.hypotheses) if h.label == name)
        for name in ("QPSK", "BPSK")
    )
    assert qpsk == pytest.approx(0.3, abs=0.05)  # many chunks get all of their share
    assert bpsk > 0.8  # one chunk hardly shows what is typical


def test_labelled_chunks_come_turned_mirrored_and_repeatable():
    recipe = small("phase_aligned", signal={"level_known_share": 0.5})
    recording = labelled_chunks("one", {"QPSK": 60, "no signal": 10}, rng("turned"))
    labelled, batches = mixed([recording], recipe)
    batch = labelled.batch(7)
    np.testing.assert_array_equal(batch.iq, labelled.batch(7).iq)
    assert not np.array_equal(batch.iq, labelled.batch(8).iq)
    assert batch.iq.dtype == np.float32
    np.testing.assert_allclose((batch.iq**2).sum(axis=1).mean(axis=1), 1, rtol=1e-4)
    # Each is some chunk of the recording, turned, as it is or mirrored.
    own = recording.chunks / np.sqrt((np.abs(recording.chunks) ** 2).mean(axis=1, keepdims=True))
    seen = batch.iq[:, 0] + 1j * batch.iq[:, 1]
    straight = np.abs(seen @ own.conj().T) / 32
    mirrored = np.abs(seen @ own.T) / 32
    np.testing.assert_allclose(np.maximum(straight, mirrored).max(axis=1), 1, atol=1e-3)
    assert 0.2 < (straight.max(axis=1) > 0.999).mean() < 0.8
    best = np.maximum(straight, mirrored).argmax(axis=1)
    names = [batches.classes[number] for number in batch.labels]
    assert names == [LABELS[recording.labels[row]] for row in best]
    known = batch.level[:, 2] == 1
    assert 0.2 < known.mean() < 0.8 and not batch.level[~known].any()


def test_chunks_of_known_es_n0_stand_for_their_level():
    """Nobody is asked which hypothesis they belong to; of it alone they take weight, where levels are learnt too."""
    recipe = small("phase_aligned")
    told = labelled_chunks("told", {"QPSK": 400, "unknown": 20}, rng("told"), es_n0_db=14.0)
    told = replace(told, es_n0_db=np.full(420, 14.0, np.float32))
    untold = labelled_chunks("untold", {"BPSK": 400}, rng("told", 2))
    labelled, batches = mixed([told, untold], recipe)
    (own,) = (
        row
        for row, h in enumerate(batches.hypotheses)
        if h.label == "QPSK"
        and abs(h.es_n0_db - 14.0)
        <= min(abs(g.es_n0_db - 14.0) for g in batches.hypotheses if g.label == "QPSK")
    )
    others = [row for row, h in enumerate(batches.hypotheses) if h.label == "QPSK" and row != own]
    assert others and (labelled.synthetic_weights[others] == 1).all()
    assert labelled.synthetic_weights[own] == pytest.approx(0.5, abs=0.01)
    taken = np.flatnonzero(labelled.synthetic_level_weights < 1)
    assert taken.tolist() == [own]
    assert labelled.synthetic_level_weights[own] == pytest.approx(labelled.synthetic_weights[own])
    batch = labelled.batch(3)
    names = np.array(batches.classes)[batch.labels]
    assert {"QPSK", "BPSK"} <= set(names)
    assert (batch.hypotheses[names == "QPSK"] == own).all() and (
        batch.hypotheses[names != "QPSK"] == -1
    ).all()


@pytest.fixture(scope="module")
def clipped():
    """8QAM by a receiver that clips I, which no synthetic chunk is like, and some BPSK."""
    generator = rng("clipped")
    recording = labelled_chunks("clipped", {"8QAM": 300, "BPSK": 60}, generator)
    sent = THESIS_9["8QAM"].points[generator.integers(8, size=(300, 32))]
    noise = 0.07 * (generator.normal(size=(300, 32)) + 1j * generator.normal(size=(300, 32)))
    chunks = recording.chunks.copy()
    chunks[:300] = (np.clip(sent.real, -0.6, 0.6) + 1j * sent.imag + noise) * np.exp(
        2j * np.pi * generator.random((300, 1))
    )
    return replace(recording, chunks=chunks)


@pytest.fixture(scope="module")
def smoke():
    """A trained network of a few hundred weights for each precision, and its recipe."""
    recipe = small(
        "phase_aligned",
        net={"symbol_channels": (24, 24), "head_widths": (24,)},
        fit={"steps": 160, "batch_size": 256, "learning_rate": 8e-3},
        quantisation={"steps": 20, "narrow_steps": 40, "learning_rate": 1e-3},
    )
    return recipe, fit(recipe, signals(recipe, recipe.seed))


def right(net, recipe, chunks, labels):
    batches = signals(recipe)
    iq = (
        np.stack([chunks.real, chunks.imag], axis=1)
        / np.sqrt((np.abs(chunks) ** 2).mean(axis=1))[:, None, None]
    )
    with torch.no_grad():
        found = class_logits(net(torch.from_numpy(iq.astype(np.float32))), batches.hypotheses)
    names = np.array(batches.classes)[found.argmax(dim=1).numpy()]
    return float((names == np.array(LABELS)[labels]).mean())


@pytest.mark.parametrize(
    "bits", [pytest.param(32, marks=pytest.mark.long), pytest.param(8, marks=pytest.mark.long), 4]
)
def test_a_network_learns_labelled_chunks_and_forgets_nothing(bits, smoke, clipped, tmp_path):
    recipe, nets = smoke
    rebuilt = rebuild_net(written(nets[bits], bits, recipe, tmp_path / "net.onnx"))
    (part,) = hold_out([clipped])
    batches = signals(recipe, 99)
    hidden = signals(recipe).batch(5, 3_000)
    tested = part.tested[clipped.labels[part.tested] == LABELS.index("8QAM")]

    def accuracy(net):
        with torch.no_grad():
            logits = class_logits(net(torch.from_numpy(hidden.iq)), batches.hypotheses)
        synthetic = float((logits.argmax(dim=1).numpy() == hidden.labels).mean())
        return right(net, recipe, clipped.chunks[tested], clipped.labels[tested]), synthetic

    before = accuracy(rebuilt.net)
    steps = {name: value.clone() for name, value in rebuilt.net.state_dict().items() if "scale" in name}
    labelled = LabelledBatches(
        [clipped],
        [part],
        lambda iq: rebuilt.net(torch.from_numpy(iq)).detach().numpy(),
        batches.hypotheses,
        recipe,
        0.8,
        256,
        SEED,
    )
    assert fine_tune(rebuilt.net, TrainingStage(bits, 150, 4e-3), recipe, batches, labelled)
    after = accuracy(rebuilt.net)
    assert before[0] < 0.3 and after[0] > 0.6
    # So few weights of 4 bits settle slowly after steps as large as these.
    assert after[1] > before[1] - (0.05 if bits == 4 else 0.02)
    for name, value in steps.items():
        torch.testing.assert_close(rebuilt.net.state_dict()[name], value, rtol=0, atol=0)


def test_levels_are_learnt_from_chunks_of_known_es_n0(smoke, clipped, tmp_path):
    """The clipped 8QAM lies between two levels for a network that has not met it: told, it finds the right one."""
    recipe, nets = smoke
    known = replace(clipped, es_n0_db=np.full(len(clipped.labels), 20.0, np.float32))
    (part,) = hold_out([clipped])
    tested = part.tested[clipped.labels[part.tested] == LABELS.index("8QAM")]
    batches = signals(recipe, 99)
    own = [row for row, h in enumerate(batches.hypotheses) if h.label == "8QAM"]
    right_one = int(np.argmin([abs(batches.hypotheses[row].es_n0_db - 20.0) for row in own]))
    chunks = clipped.chunks[tested]
    rms = np.sqrt((np.abs(chunks) ** 2).mean(axis=1))[:, None, None]
    iq = torch.from_numpy((np.stack([chunks.real, chunks.imag], axis=1) / rms).astype(np.float32))
    shares = []
    for recording in (clipped, known):
        net = rebuild_net(written(nets[32], 32, recipe, tmp_path / "net.onnx")).net
        labelled, _ = mixed([recording], recipe, 0.8, [part])
        assert fine_tune(net, TrainingStage(32, 150, 4e-3), recipe, batches, labelled)
        with torch.no_grad():
            logits = net(iq)[:, own]
        shares.append(float(torch.softmax(logits, dim=1)[:, right_one].mean()))
    assert shares[1] > max(0.5, shares[0])


@pytest.mark.long
def test_resumed_fine_tuning_ends_in_the_same_weights(smoke, clipped, tmp_path):
    recipe, nets = smoke
    path = written(nets[8], 8, recipe, tmp_path / "net.onnx")
    batches = signals(recipe, 99)
    labelled, _ = mixed([clipped], recipe)

    def tuned(checkpoint=None, identity="this", **more):
        net = rebuild_net(path).net
        control = RunControl(checkpoint, save_every=10, **more)
        done = fine_tune(net, TrainingStage(8, 30, 1e-3), recipe, batches, labelled, control, identity)
        return done, net.state_dict()

    done, whole = tuned()
    assert done
    checkpoint = tmp_path / "state"
    asked = iter([False] * 5)
    for stop in ({"stop_at": 7}, {"stopped": lambda: next(asked, True)}, {"stop_at": 25}):
        assert not tuned(checkpoint, **stop)[0]
    seen = []
    done, parted = tuned(checkpoint, progress=seen.append)
    assert done and seen[-1].step == seen[-1].steps == 30
    for name, value in whole.items():
        torch.testing.assert_close(parted[name], value, rtol=1e-5, atol=1e-6)
    seen.clear()
    assert tuned(checkpoint, progress=seen.append)[0] and not seen  # nothing left to do
    tuned(checkpoint, progress=seen.append, fresh=True)
    assert seen
    with pytest.raises(AmrqError, match="belongs to another"):
        tuned(checkpoint, identity="that")


# The whole of it


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A file that `make_model` made, poor and quick."""
    recipe = replace(
        small(
            "phase_aligned",
            fit={"steps": 80, "batch_size": 256},
            quantisation={"weight_bits": (8,), "steps": 10},
            net={"symbol_channels": (24, 24), "head_widths": (24,)},
            teacher={"chunks": 100},
        ),
        accuracy_chunks=40,
    )
    with pytest.MonkeyPatch.context() as patch:
        calibrate_quickly(patch)
        (path,) = make_model(recipe, tmp_path_factory.mktemp("model") / "poor.onnx")
    return path


@pytest.fixture
def labelled(tmp_path, clipped):
    folder = LabelsFolder(tmp_path / "labelled")
    folder.make()
    folder.write(clipped)
    folder.write(labelled_chunks("more", {"QPSK": 100}, rng("more")))
    return folder.path


def train(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


@pytest.mark.long
def test_a_model_trained_on_says_what_was_added_and_what_it_did(model, labelled, tmp_path, quick_fusion):
    target = tmp_path / "mine.onnx"
    command = (
        "--add",
        labelled,
        "--from",
        model,
        "-o",
        target,
        "--learning-rate",
        "2e-3",
        "--tolerance",
        "100",
    )
    result = train(*command, "--steps", "20")
    assert result.exit_code == 0, result.output
    contract, former = read_contract(target), read_contract(model)
    assert contract.name == "mine" and contract.classes == former.classes
    assert contract.hypotheses == former.hypotheses and contract.weight_bits == 8
    assert contract.recipe["settings"] == former.recipe["settings"]
    assert contract.recipe["steps"] == former.recipe["steps"] + 20
    (added,) = contract.recipe["added"]
    assert added["from"]["name"] == "poor" and len(added["from"]["sha256"]) == 64
    assert (added["steps"], added["share"]) == (20, 0.5)
    assert [r["name"] for r in added["recordings"]] == ["clipped", "more"]
    assert added["recordings"][0]["tested"] == {"BPSK": 12, "8QAM": 60}
    # Before and after are of the files themselves, on the same chunks.
    recordings = LabelsFolder(labelled).read()
    parts = hold_out(recordings)
    assert [row["label"] for row in added["labelled"]] == ["BPSK", "QPSK", "8QAM"]
    for path, when in ((model, "before"), (target, "after")):
        classifier = make_classifier(path)
        for row in added["labelled"]:
            chunks = np.concatenate(
                [
                    r.chunks[p.tested[r.labels[p.tested] == LABELS.index(row["label"])]]
                    for r, p in zip(recordings, parts, strict=True)
                ]
            )
            said = classifier.classify(chunks).log_probabilities.argmax(axis=1)
            assert row["chunks"] == len(chunks)
            assert row[when] == sum(contract.classes[number] == row["label"] for number in said)
    assert [row["after"] for row in added["synthetic"]] == [
        pytest.approx(row.accuracy, abs=1e-6) for row in contract.accuracy
    ]
    assert [row["before"] for row in added["synthetic"]] == [
        pytest.approx(row.accuracy, abs=1e-6) for row in former.accuracy
    ]
    assert {row["kind"] for row in added["others"]} >= {"FSK", "noise"} and added["worse"] == []
    page = target.with_suffix(".md").read_text()
    assert "amrq train --add DIR --from poor.onnx --steps 20" in page and "## Trained on from poor" in page
    for words in ("Labelled chunks held out", "Synthetic chunks", "Other signals", "Written: "):
        assert words in result.output
    # It can be trained on again, and remembers both.
    again = tmp_path / "again.onnx"
    state = tmp_path / "elsewhere.state"
    more = ("--steps", "2", "--tolerance", "100", "--checkpoint", state, "--save-every", "1")
    result = train("--add", labelled, "--from", target, "-o", again, *more)
    assert result.exit_code == 0, result.output
    assert [entry["from"]["name"] for entry in read_contract(again).recipe["added"]] == ["poor", "mine"]
    assert state.is_file() and not (tmp_path / "again.onnx.checkpoint").exists()


def test_an_interrupted_training_goes_on_where_it_stopped(model, labelled, tmp_path, quick_fusion):
    target, checkpoint = tmp_path / "mine.onnx", tmp_path / "state"
    settings = TuneSettings(steps=30, tolerance=1.0)
    asked = iter([False] * 11)
    with pytest.raises(KeyboardInterrupt):
        tune_model(
            model, labelled, target, settings, RunControl(checkpoint, stopped=lambda: next(asked, True))
        )
    assert not target.exists() and checkpoint.is_file()
    seen = []
    added = tune_model(model, labelled, target, settings, RunControl(checkpoint, progress=seen.append))
    assert [at.step for at in seen] == [20, 30] and added["steps"] == 30
    LabelsFolder(labelled).write(labelled_chunks("third", {"8PSK": 20}, rng("third")))
    with pytest.raises(AmrqError, match="belongs to another"):
        tune_model(model, labelled, target, settings, RunControl(checkpoint))


def test_a_result_that_is_worse_is_called_so(model, labelled, tmp_path, quick_fusion):
    command = ("--add", labelled, "--from", model, "-o", tmp_path / "bad.onnx", "--steps", "40")
    result = train(*command, "--learning-rate", "0.9")
    assert result.exit_code == 1
    assert "WORSE THAN BEFORE: accuracy on synthetic chunks fell by more than 1 points at" in " ".join(
        result.output.split()
    )
    (added,) = read_contract(tmp_path / "bad.onnx").recipe["added"]
    assert added["worse"] and "**Worse than before**" in (tmp_path / "bad.md").read_text()


def test_what_cannot_be_trained_on_is_one_sentence(model, labelled, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    long = tmp_path / "long"
    LabelsFolder(long).make()
    LabelsFolder(long).write(labelled_chunks("long", {"BPSK": 30}, rng("long"), length=64))
    foreign = linear_model(tmp_path / "foreign.onnx")
    out = ("-o", tmp_path / "out.onnx")
    for arguments, words in (
        ((), "give a recipe, or"),
        (("--add", labelled), "--add needs a model"),
        (("--from", model), "--from needs a folder"),
        ((SMOKE, "--add", labelled, "--from", model), "is for a new model"),
        (
            (SMOKE, "--share", "0.3", "--hold-out", "a"),
            "--share and --hold-out can be given only with --add and --from",
        ),
        (("--add", tmp_path / "none", "--from", model), "there is no folder"),
        (("--add", empty, "--from", model), "holds no labelled chunks"),
        (("--add", long, "--from", model), "--chunk-length 32"),
        (("--add", labelled, "--from", foreign), "was not made by 'amrq train'"),
        (("--add", labelled, "--from", "nothing"), "there is no model 'nothing'"),
        (("--add", labelled, "--from", "coherent-small-int8"), "needs the carrier's phase"),
        (("--add", labelled, "--from", model, "--share", "1"), "--share must be"),
        (("--add", labelled, "--from", model, "--learning-rate", "nan"), "--learning-rate must be"),
        (("--add", labelled, "--from", model, "--tolerance", "nan"), "--tolerance must be"),
        (("--add", labelled, "--from", model, "--hold-out", "other"), "choose from clipped, more"),
        (("--add", labelled, "--from", model, "-o", tmp_path / "x" / "y.onnx"), "there is no folder"),
        (("--add", labelled, "--from", model, "-o", tmp_path / "y.bin"), "must end in .onnx"),
        (("--add", labelled, "--from", model, "-o", model), "is the model to begin with"),
    ):
        given = arguments if "-o" in arguments else (*arguments, *out)
        result = train(*given)
        assert isinstance(result.exception, AmrqError), (arguments, result.output)
        assert words in str(result.exception)
    assert not (tmp_path / "out.onnx").exists()


def test_labels_that_a_model_has_no_output_for_are_refused(labelled, tmp_path):
    recipe = small(
        "phase_aligned",
        signal={"unknown_share": 0.0},
        fit={"steps": 1},
        quantisation={"weight_bits": (8,), "steps": 0},
    )
    path = written(fit(recipe, signals(recipe))[8], 8, recipe, tmp_path / "nine.onnx")
    LabelsFolder(labelled).write(labelled_chunks("other", {"unknown": 20}, rng("other")))
    with pytest.raises(
        AmrqError, match=r"other in .* has chunks labelled 'unknown', which .* has no output for"
    ):
        tune_model(path, labelled, tmp_path / "out.onnx", TuneSettings())


def test_comparing_counts_the_same_chunks_twice(model, clipped):
    classifier = make_classifier(model)
    from amrq.evaluation import evaluate

    found = evaluate(classifier, 5)
    parts = hold_out([clipped])
    same = compare((classifier, found), (classifier, found), [clipped], parts, 0.0)
    assert all(
        row["before"] == row["after"] for key in ("labelled", "synthetic", "others") for row in same[key]
    )
    assert same["worse"] == [] and sum(row["chunks"] for row in same["labelled"]) == 72
    nothing = [HeldOut(np.arange(360), np.empty(0, np.int64))]
    assert compare((classifier, found), (classifier, found), [clipped], nothing, 0.0)["labelled"] == []


def test_from_a_recording_to_a_model_that_classifies_it(model, tmp_path, quick_fusion):
    """Record, annotate, label, train on, classify with the result."""
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    path = write_recording(tmp_path / "mine.sigmf-meta", ["BPSK", "16QAM"], 8000)
    result = amrq("label", path, "--symbol-rate", "25k", "-o", tmp_path / "labelled")
    assert result.returncode == 0, result.stderr
    target = tmp_path / "tuned.onnx"
    command = ("--add", tmp_path / "labelled", "--from", model, "-o", target, "--steps", "60")
    result = train(*command, "--learning-rate", "2e-3", "--tolerance", "100")
    assert result.exit_code == 0, result.output
    (added,) = read_contract(target).recipe["added"]
    before, after, chunks = (
        sum(row[key] for row in added["labelled"]) for key in ("before", "after", "chunks")
    )
    assert chunks > 80 and after >= before and after > 0.7 * chunks
    result = amrq("classify", path, "--symbol-rate", "25k", "--model", target, "--json")
    assert result.returncode == 0, result.stderr
    decisions = [json.loads(line) for line in result.stdout.splitlines()]
    settled = [d for d in decisions if d["chunks"] == 32 and d["symbol_index"] % 8192 > 1024]
    assert len(settled) >= 10
    assert np.mean([d["best"] == d["truth"] for d in settled]) > 0.8
    assert {d["truth"] for d in settled} <= set(THESIS_9)
