# SPDX-License-Identifier: GPL-3.0-or-later
"""From a recipe to a model: signals, rounding, resuming, export, the commands."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seeds import SEED, rng

torch = pytest.importorskip("torch", reason="PyTorch is not installed: training is not tested")
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from typer.testing import CliRunner  # noqa: E402

from amrq.chunks import normalise  # noqa: E402
from amrq.classes import THESIS_9, LinearClass, class_set  # noqa: E402
from amrq.classifier import make_classifier  # noqa: E402
from amrq.cli.main import app  # noqa: E402
from amrq.errors import AmrqError  # noqa: E402
from amrq.likelihood import LikelihoodClassifier, Receiver  # noqa: E402
from amrq.model import NO_SIGNAL, UNKNOWN, Hypothesis, read_contract  # noqa: E402
from amrq.signals import add_noise, rotate  # noqa: E402
from amrq.training import (  # noqa: E402
    FitSettings,
    NetSettings,
    QuantisedLayer,
    RunControl,
    SignalBatches,
    SignalSettings,
    StepLoss,
    Teacher,
    TeacherSettings,
    Trainer,
    TrainingStage,
    calibrate,
    calibrate_fusion,
    class_logits,
    export,
    fit,
    make_model,
    nonzero_weights,
    power_of_two_scale,
    pruned_share,
    quantise,
    read_recipe,
)
from amrq.training.architectures import (  # noqa: E402
    PhaseAligner,
    make_net,
)

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke.toml"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def recipe():
    return read_recipe(SMOKE)


def signals(recipe):
    return SignalBatches(recipe.signal, recipe.chunk_length, recipe.seed)


@pytest.fixture(scope="module")
def net(recipe):
    """The smoke recipe's network, trained for half as long and rounded."""
    return fit(changed(recipe, fit={"steps": 150}, quantisation={"steps": 30}), signals(recipe))[8]


def changed(recipe, **settings):
    """The recipe with settings of its parts replaced: changed(recipe, fit={"steps": 3})."""
    return replace(recipe, **{part: replace(getattr(recipe, part), **new) for part, new in settings.items()})


@pytest.fixture(scope="module")
def coherent(recipe):
    """A small recipe for a known phase, with level, pruning and three precisions."""
    return changed(
        recipe,
        signal={"phase": "coherent", "unknown_share": 0.0, "ideal_share": 1.0, "level_known_share": 0.5},
        net={"architecture": "symbolwise", "level_input": True},
        fit={"steps": 120},
        pruning={"share": 0.4},
        quantisation={"steps": 40, "narrow_steps": 40, "weight_bits": (32, 8, 4)},
    )


@pytest.fixture(scope="module")
def coherent_nets(coherent):
    return fit(coherent, signals(coherent))


def test_batches_are_fresh_labelled_and_repeatable(recipe):
    batches = SignalBatches(recipe.signal, 32, SEED)
    first = batches.batch(0, 400)
    assert first.iq.dtype == np.float32
    assert first.iq.shape == (400, 2, 32)
    np.testing.assert_allclose((first.iq**2).sum(axis=1).mean(axis=1), 1, rtol=1e-4)
    assert batches.classes == (*THESIS_9, UNKNOWN, NO_SIGNAL)
    assert set(first.labels) == set(range(len(THESIS_9) + 2))
    assert (first.labels >= len(THESIS_9)).sum() == round(400 * recipe.signal.unknown_share)
    np.testing.assert_array_equal(first.targets, np.eye(len(THESIS_9) + 2)[first.labels])
    np.testing.assert_array_equal(first.iq, SignalBatches(recipe.signal, 32, SEED).batch(0, 400).iq)
    assert not np.array_equal(first.iq, batches.batch(1, 400).iq)


def test_hypotheses_are_classes_at_noise_levels(recipe):
    batches = SignalBatches(recipe.signal, 32, SEED)
    labels = [hypothesis.label for hypothesis in batches.hypotheses]
    assert list(dict.fromkeys(labels)) == [*THESIS_9, UNKNOWN, NO_SIGNAL]
    assert sum(hypothesis.prior for hypothesis in batches.hypotheses) == pytest.approx(1)
    batch = batches.batch(0, 20_000)
    classes = [*THESIS_9, UNKNOWN, NO_SIGNAL]
    np.testing.assert_array_equal([classes.index(labels[h]) for h in batch.hypotheses], batch.labels)
    shares = np.bincount(batch.hypotheses, minlength=len(labels)) / len(batch.labels)
    np.testing.assert_allclose(shares, [h.prior for h in batches.hypotheses], atol=0.01)
    # BPSK's power around its mean square tells the noise: it must rise as the level falls.
    bpsk = [i for i, h in enumerate(batches.hypotheses) if h.label == "BPSK"]
    squares = (batch.iq[:, 0] + 1j * batch.iq[:, 1]) ** 2
    order = [np.abs(squares[batch.hypotheses == i].mean(axis=1)).mean() for i in bpsk]
    assert order == sorted(order)
    levels = [batches.hypotheses[i].es_n0_db for i in bpsk]
    assert levels == sorted(levels)


def test_batches_depend_on_the_seed(recipe):
    first = SignalBatches(recipe.signal, 32, SEED).batch(0, 400)
    assert not np.array_equal(first.iq, SignalBatches(recipe.signal, 32, SEED + 1).batch(0, 400).iq)


def test_batches_without_impairments_are_the_constellations():
    clean = SignalSettings(es_n0_db=(90, 100), phase_noise=0, ideal_share=1, unknown_share=0.1)
    batch = SignalBatches(clean, 32, SEED).batch(0, 100)
    for iq, label in zip(batch.iq[:90], batch.labels, strict=False):
        points = list(THESIS_9.values())[label].points
        magnitudes = np.unique(np.abs(points).round(4))
        seen = np.hypot(iq[0], iq[1])
        # Unit RMS of 32 symbols scales the rings by one common factor.
        ratios = seen[:, None] / magnitudes
        spread = min(np.abs(seen[:, None] / scale - magnitudes).min(axis=1).max() for scale in ratios.ravel())
        assert spread < 1e-3


def test_alignment_undoes_any_rotation():
    align = PhaseAligner()
    generator = rng("alignment")
    for name, power in (("BPSK", 2), ("QPSK", 4), ("16QAM", 4), ("8PSK", 8)):
        m = THESIS_9[name]
        symbols = m.points[generator.integers(m.order, size=(50, 64))]
        turned = symbols * np.exp(1j * generator.uniform(0, 2 * np.pi, (50, 1)))
        both = [np.stack([z.real, z.imag], axis=1).astype(np.float32) for z in (symbols, turned)]
        (plain, strong), (other, also) = (align(torch.from_numpy(iq)) for iq in both)
        np.testing.assert_allclose(strong[:, :6], also[:, :6], atol=1e-3)
        copy = [2, 4, 4, 4, 8, 16].index(power)
        a = plain[:, copy] + 1j * plain[:, copy + 6]
        b = other[:, copy] + 1j * other[:, copy + 6]
        # The copies agree up to the constellation's own symmetry.
        np.testing.assert_allclose((a**power).numpy(), (b**power).numpy(), atol=0.1)
        assert np.isfinite(plain).all()


def test_copies_turn_together_or_not_at_all():
    align = PhaseAligner()
    generator = rng("together")
    for name in THESIS_9:
        m = THESIS_9[name]
        symbols = m.points[generator.integers(m.order, size=(200, 32))]
        received = add_noise(symbols, 0.02, generator)
        plain, _ = align(torch.from_numpy(normalise(received).iq))
        for angle in (0.3, 1.6, 3.0, -2.0):
            turned, _ = align(torch.from_numpy(normalise(rotate(received, angle)).iq))
            same = (plain - turned).abs().amax(dim=(1, 2)) < 0.02
            half_turn = torch.cat([-plain[:, :12], plain[:, 12:]], dim=1)
            opposite = (half_turn - turned).abs().amax(dim=(1, 2)) < 0.02
            # Float rounding decides the rare chunk whose sums lie at the jump, or a symbol between two grid points.
            assert (same | opposite).float().mean() > 0.97


def test_grid_copies_find_the_phase():
    """At 20 dB nearly every 16QAM and most 32QAM come out within 5 degrees of the registered constellation."""
    generator = rng("grids")
    for name, copy, share in (("16QAM", 2, 0.99), ("32QAM", 3, 0.85)):
        m = THESIS_9[name]
        symbols = m.points[generator.integers(m.order, size=(1_000, 32))]
        received = add_noise(rotate(symbols, generator.uniform(0, 2 * np.pi, 1_000)), 0.01, generator)
        features, _ = PhaseAligner()(torch.from_numpy(normalise(received).iq))
        copies = (features[:, copy] + 1j * features[:, copy + 6]).numpy()
        # Quarter turns do not count.
        error = np.angle((copies * symbols.conj()).mean(axis=1) ** 4) / 4
        assert (np.abs(error) < np.radians(5)).mean() > share


def test_alignment_is_finite_on_extremes():
    align = PhaseAligner()
    zero = torch.zeros(1, 2, 32)
    spike = torch.zeros(1, 2, 32)
    spike[0, 0, 3] = 32**0.5
    still = torch.zeros(1, 2, 32)
    still[:, 0] = -1
    for iq in (zero, spike, still, -spike, still.flip(1)):
        features, strength = align(iq)
        assert torch.isfinite(features).all() and torch.isfinite(strength).all()


def test_training_learns(recipe, net):
    batches = SignalBatches(recipe.signal, 32, SEED)
    batch = batches.batch(0, 2_000)
    with torch.no_grad():
        logits = class_logits(net(torch.from_numpy(batch.iq)), batches.hypotheses)
    right = logits.argmax(dim=1).numpy() == batch.labels
    assert right.mean() > 0.35  # guessing gives a tenth


def same_weights(one, other):
    assert set(one) == set(other)
    for bits, net in one.items():
        for name, value in net.state_dict().items():
            torch.testing.assert_close(other[bits].state_dict()[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_resumed_training_ends_in_the_same_weights(coherent, tmp_path):
    short = changed(coherent, fit={"steps": 120}, quantisation={"steps": 10, "narrow_steps": 10})
    batches = signals(short)
    whole = fit(short, batches)
    checkpoint = tmp_path / "state"
    # In float, at a pruning, at the change to 8 bits, in their fine-tuning, in that to 4 bits.
    for stop in (17, 100, 120, 126, 133, None):
        parted = fit(short, batches, RunControl(checkpoint, stop_at=stop))
    same_weights(whole, parted)
    seen = []
    same_weights(whole, fit(short, batches, RunControl(checkpoint, progress=seen.append)))
    assert not seen  # nothing left to do
    fit(short, batches, RunControl(checkpoint, fresh=True, progress=seen.append))
    assert seen[-1].step == seen[-1].steps == 140


class Distance:
    """A loss with nothing of modulations in it: how far a layer's output is from a number."""

    def __init__(self):
        self.steps = []

    def __call__(self, net, step):
        self.steps.append(step)
        missed = (net(torch.ones(4, 1)) - 3.0).abs()[:, 0]
        return StepLoss(missed.mean(), missed.mean(), missed < 0.5)


def test_a_trainer_minimises_whatever_it_is_given():
    net, loss, seen, prepared = torch.nn.Linear(1, 1), Distance(), [], []
    control = RunControl(save_every=30, progress=seen.append)
    trainer = Trainer(loss, control)
    trainer.begin(net, TrainingStage(8, 100, 0.2, before=5, after=7), prepared.append)
    saved = []
    assert trainer.run(lambda: saved.append(trainer.done))
    assert loss.steps == list(range(5, 105)) and prepared == list(range(100)) and saved == [30, 60, 90]
    assert [(at.step, at.steps, at.phase) for at in seen] == [
        (5 + n, 112, "int8") for n in (20, 40, 60, 80, 100)
    ]
    assert abs(net(torch.ones(1, 1)).item() - 3.0) < 0.5 and not net.training


def test_a_loss_that_is_not_finite_is_a_sentence():
    def lost(net, step):
        return Distance()(net, step)._replace(minimised=net(torch.ones(1, 1)).sum() * float("nan"))

    trainer = Trainer(lost, RunControl())
    trainer.begin(torch.nn.Linear(1, 1), TrainingStage(32, 50, 0.1))
    with pytest.raises(AmrqError, match=r"no longer finite at step 20: lower the learning rate"):
        trainer.run(lambda: None)
    with pytest.raises(AmrqError, match="save_every must be at least 1, not 0"):
        RunControl(save_every=0)


def test_checkpoints_of_others_are_refused(recipe, tmp_path):
    checkpoint = tmp_path / "state"
    short = changed(recipe, fit={"steps": 3})
    fit(short, signals(short), RunControl(checkpoint, stop_at=2))
    order = replace(short, classes=tuple(reversed(THESIS_9)))
    with pytest.raises(AmrqError, match="another recipe"):
        fit(order, signals(order), RunControl(checkpoint))
    assert fit(replace(short, classes=tuple(THESIS_9)), signals(short), RunControl(checkpoint))
    fit(short, signals(short), RunControl(checkpoint, fresh=True, stop_at=2))
    with pytest.raises(AmrqError, match="another recipe"):
        fit(replace(short, seed=8), signals(short), RunControl(checkpoint))
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(AmrqError, match="not a readable checkpoint"):
        fit(short, signals(short), RunControl(checkpoint))


def test_pruned_weights_stay_away_to_the_file(coherent, coherent_nets, tmp_path):
    """The promised share is gone after rounding and fine-tuning too, and the file holds zeros in its place."""
    for bits, net in coherent_nets.items():
        path = tmp_path / f"{bits}.onnx"
        export(net, path, 32, signals(coherent).hypotheses, level_input=True)
        weights = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}
        big = [w for w in weights.values() if w.ndim >= 2 and w[0].size >= 8]
        assert len(big) == 3
        for w in big:
            assert (w == 0).mean() >= 0.4 - 1 / w.size
        layers = [m for m in net.modules() if isinstance(m, QuantisedLayer)]
        left = sum(int(torch.count_nonzero(layer.parameters_as_run()[0])) for layer in layers)
        assert left <= nonzero_weights(net)
        assert 0.3 < pruned_share(net) < 0.4  # biases and the first layer stay


@pytest.mark.parametrize("phase", ["any", "coherent"])
def test_a_teacher_of_lopsided_classes_changes_nothing_that_matters(phase):
    lopsided = LinearClass.of("lopsided", [1, 1j, -0.5 + 0.2j, 0.3 - 2j])
    known = class_set(["BPSK", "lopsided", "4ASK (unipolar)"], {"lopsided": lopsided})
    settings = SignalSettings(phase=phase, es_n0_db=(0, 10), ideal_share=1, unknown_share=0)
    teacher = Teacher(TeacherSettings(chunks=60), settings, 8, SEED, known=known)
    taught = teacher.draw(120, rng("lopsided teacher"))
    receiver = Receiver("uniform" if phase == "any" else "known", (0.0, 20.0), "hidden")
    again = np.exp(LikelihoodClassifier(receiver, known).log_posteriors(taught.chunks))
    np.testing.assert_allclose(taught.posteriors, again, atol=0.02)


def test_teacher_agrees_with_the_labels_and_with_symmetry():
    settings = SignalSettings(es_n0_db=(0, 25), ideal_share=1, unknown_share=0.1)
    teacher = Teacher(TeacherSettings(chunks=600), settings, 32, SEED)
    generator = rng("teacher")
    taught = teacher.draw(3_000, generator)
    np.testing.assert_allclose(taught.posteriors.sum(axis=1), 1, atol=1e-5)
    # Mean probability of what was sent, and accuracy, say the same of exact posteriors (the pool: 600 draws).
    sent = taught.posteriors[np.arange(3_000), taught.labels].mean()
    right = (taught.posteriors.argmax(axis=1) == taught.labels).mean()
    assert sent > 0.6 and right > 0.65
    clear = taught.es_n0_db > 20
    np.testing.assert_array_equal(taught.posteriors[clear].argmax(axis=1), taught.labels[clear])
    # What `draw` changes, a judge who sees the changed chunk would not notice.
    receiver = Receiver(phase="uniform", es_n0_db=(0.0, 20.0), level="hidden")
    some = ~clear
    again = np.exp(LikelihoodClassifier(receiver).log_posteriors(taught.chunks[some][:150]))
    np.testing.assert_allclose(taught.posteriors[some][:150], again, atol=0.02)
    batch = SignalBatches(settings, 32, SEED, teacher).batch(0, 200)
    assert (batch.targets[:180, :9].max(axis=1) < 1).any()
    np.testing.assert_allclose(batch.targets.sum(axis=1), 1, atol=1e-5)


def test_level_is_known_as_often_as_asked(coherent):
    batch = signals(coherent).batch(0, 4_000)
    known = batch.level[:, 2] == 1
    assert known.mean() == pytest.approx(0.5, abs=0.03)
    assert not batch.level[~known].any()
    # 32 BPSK symbols in little noise are as strong as their stream.
    bpsk = known & (batch.labels == list(THESIS_9).index("BPSK"))
    assert batch.level[bpsk, :2].max() < 2
    assert batch.level.min() >= 0


def test_powers_of_two():
    generator = torch.Generator().manual_seed(SEED)
    values = torch.randn(50, 40, generator=generator) * torch.logspace(-3, 3, 50)[:, None]
    for levels in (7, 127, 255):
        limit = values.abs().amax(dim=1)
        scale = power_of_two_scale(values, limit, levels)
        assert torch.equal(torch.exp2(torch.round(torch.log2(scale))), scale)

        def error(scale, levels=levels):
            rounded = (values / scale[:, None]).round().clamp(-levels, levels) * scale[:, None]
            return (rounded - values).square().sum(dim=1)

        best = error(scale)
        assert (best <= error(2 * scale) + 1e-9).all()
        assert (best <= error(scale / 2) * (1 + 1e-5) + 1e-9).float().mean() > 0.9


def test_unknown_architecture_is_refused():
    with pytest.raises(AmrqError, match="phase_aligned"):
        make_net(10, NetSettings(architecture="guess"))


def test_training_and_evaluation_mode_agree(recipe):
    """In training the convolutions run as matrix products over rows."""
    fresh = make_net(10, replace(recipe.net, first_kernel=3))
    iq = torch.from_numpy(SignalBatches(recipe.signal, 32, SEED).batch(0, 50).iq)
    torch.testing.assert_close(fresh.train()(iq), fresh.eval()(iq), rtol=1e-4, atol=1e-5)


def test_onnxruntime_decides_as_torch(recipe, net, tmp_path):
    path = tmp_path / "net.onnx"
    batches = SignalBatches(recipe.signal, 32, SEED)
    export(net, path, 32, batches.hypotheses)
    iq = batches.batch(1, 10_000).iq
    with torch.no_grad():
        logits = net(torch.from_numpy(iq))
    expected = (class_logits(logits, batches.hypotheses).numpy(), logits.numpy())
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for torch_gave, found in zip(expected, session.run(None, {"iq": iq}), strict=True):
        assert found.shape == torch_gave.shape
        # The alignment before the integers is in floating point, where the last bit may differ.
        assert (found.argmax(axis=1) == torch_gave.argmax(axis=1)).mean() >= 0.999


def test_onnxruntime_gives_what_torch_gives_to_the_bit(coherent, coherent_nets, tmp_path):
    batches = SignalBatches(coherent.signal, 32, SEED)
    batch = batches.batch(1, 10_000)
    for bits in (8, 4):
        path = tmp_path / "net.onnx"
        export(coherent_nets[bits], path, 32, batches.hypotheses, level_input=True)
        with torch.no_grad():
            logits = coherent_nets[bits](torch.from_numpy(batch.iq), torch.from_numpy(batch.level))
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found = session.run(["hypothesis_logits"], {"iq": batch.iq, "level": batch.level})[0]
        np.testing.assert_array_equal(found, logits.numpy())


def test_dead_channels_and_equal_biases_are_exported(coherent, tmp_path):
    """A channel whose weights have all been pruned still has a bias; fresh layers of one width have equal ones."""
    batches = signals(coherent)
    net = make_net(
        len(batches.hypotheses), replace(coherent.net, symbol_channels=(24, 24), head_widths=(24,))
    )
    with torch.no_grad():
        net.symbol.layers[1].weight[3] = 0
        net.symbol.layers[1].bias[3] = 0.7
    batch = batches.batch(0, 500)
    inputs = (torch.from_numpy(batch.iq), torch.from_numpy(batch.level))
    quantise(net, 4, [inputs])
    export(net, tmp_path / "net.onnx", 32, batches.hypotheses, level_input=True)
    session = ort.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(["hypothesis_logits"], {"iq": batch.iq, "level": batch.level})[0]
    with torch.no_grad():
        np.testing.assert_array_equal(found, net.eval()(*inputs).numpy())


@pytest.mark.parametrize("weight_bits", [4, 8])
def test_export_runs_on_integer_kernels(recipe, tmp_path, weight_bits):
    few = changed(
        recipe,
        fit={"steps": 2, "batch_size": 64},
        quantisation={"steps": 0, "narrow_steps": 0, "weight_bits": (weight_bits,)},
    )
    path = tmp_path / "net.onnx"
    export(fit(few, signals(few))[weight_bits], path, 32, signals(few).hypotheses)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kernels = Counter(node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node)
    assert (kernels["QLinearConv"], kernels["QGemm"]) == (2, 2)
    assert not {"Conv", "Gemm", "MatMul", "FusedConv", "FusedGemm"} & set(kernels)
    weights = [
        onnx.numpy_helper.to_array(t)
        for t in onnx.load(str(path)).graph.initializer
        if t.name.endswith("weight.int")
    ]
    assert len(weights) == 4
    assert max(int(np.abs(w.astype(int)).max()) for w in weights) <= 2 ** (weight_bits - 1) - 1
    scales = [
        onnx.numpy_helper.to_array(t)
        for t in onnx.load(str(path)).graph.initializer
        if t.name.endswith("bias.scale")
    ]
    for scale in scales:
        assert (np.frexp(scale)[0] == 0.5).all()


def test_calibration_finds_the_temperature():
    generator = rng("temperature")
    hypotheses = [Hypothesis(name, None, 0.2) for name in "aabcc"]
    logits = generator.normal(0, 2, (20_000, 5))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = (generator.random((20_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    labels = np.array([0, 0, 1, 2, 2])[drawn]
    found = calibrate(torch.from_numpy(1.7 * logits), torch.from_numpy(labels), hypotheses)
    assert found == pytest.approx(1.7, rel=0.05)


def test_train_and_evaluate_commands(tmp_path, monkeypatch):
    """All that a training does, calibrated on fewer chunks and runs: shipped models say what all of them gave."""
    monkeypatch.setattr("amrq.training.making._HELD_OUT_CHUNKS", 4_000)
    monkeypatch.setattr("amrq.training.onnx_export._RUNS", 10)
    runner = CliRunner()
    model = tmp_path / "smoke.onnx"
    result = runner.invoke(app, ["train", str(SMOKE), "-o", str(model), "--steps", "30"])
    assert result.exit_code == 0, result.output
    contract = read_contract(model)
    assert contract.name == "smoke"
    assert contract.recipe["settings"]["fit"]["steps"] == 30
    assert len(contract.accuracy) == 11
    assert contract.outlier_share == 0.005
    others = {UNKNOWN, NO_SIGNAL}
    assert sum(h.prior for h in contract.hypotheses if h.label not in others) == pytest.approx(0.85)
    assert sum(h.prior for h in contract.hypotheses if h.label in others) == pytest.approx(
        0.15 * np.exp(-0.5)
    )
    assert len(contract.hypotheses) > len(contract.classes)
    page = model.with_suffix(".md").read_text()
    assert "amrq train recipes/smoke.toml" in page
    assert f"| {contract.accuracy[-1].accuracy:.4f}\u00a0(" in page
    # What it writes into a folder: tests/test_evaluation_command.py.
    command = ["evaluate", str(model), "--chunks", "8", "--es-n0", "5,20", "--sweeps", "none", "--json"]
    result = runner.invoke(app, command)
    assert result.exit_code == 0, result.output
    (found,) = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert [level["es_n0_db"] for level in found["levels"]] == [5, 20]
    assert found["levels"][0]["chunks"] == 8 * len(THESIS_9)
    result = runner.invoke(
        app, ["evaluate", str(model), "--chunks", "10", "--es-n0", "20", "--sweeps", "none"]
    )
    assert result.exit_code == 0
    assert "16QAM" in result.output
    result = runner.invoke(app, ["evaluate", str(model), "--es-n0", "loud"])
    assert isinstance(result.exception, AmrqError)


def test_output_without_a_folder_is_refused(recipe, tmp_path):
    with pytest.raises(AmrqError, match="there is no folder"):
        make_model(recipe, tmp_path / "none" / "model.onnx")


def test_each_precision_has_a_file(coherent, tmp_path, quick_fusion):
    few = replace(
        changed(
            coherent, fit={"steps": 4}, quantisation={"steps": 2, "narrow_steps": 2}, teacher={"chunks": 500}
        ),
        accuracy_chunks=20,
    )
    files = make_model(few, tmp_path / "model.onnx")
    assert [file.name for file in files] == ["model-float32.onnx", "model-int8.onnx", "model-int4.onnx"]
    for file, bits in zip(files, (32, 8, 4), strict=True):
        contract = read_contract(file)
        assert (contract.name, contract.weight_bits) == (file.stem, bits)
        assert contract.classes == tuple(THESIS_9)
        assert contract.level_input and contract.phase == "coherent"
        assert 0.2 < contract.pruned < 0.4
        chunks = rng("made").normal(size=(5, 64)).astype(np.float32).view(np.complex64)
        classifier = make_classifier(file)
        plain = classifier.classify(chunks).log_probabilities
        assert plain.shape == (5, 9)
        tracked = classifier.classify(chunks, np.full(5, 3.0, np.float32)).log_probabilities
        assert not np.array_equal(plain, tracked)
        unknown = classifier.classify(chunks, np.full(5, np.nan, np.float32)).log_probabilities
        np.testing.assert_array_equal(plain, unknown)


def test_model_file_is_whole_or_not_there(recipe, tmp_path, monkeypatch, quick_fusion):
    few = replace(
        recipe, fit=FitSettings(steps=2, batch_size=64), quantisation=replace(recipe.quantisation, steps=0)
    )

    def fails(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("amrq.training.making.evaluate", fails)
    with pytest.raises(KeyboardInterrupt):
        make_model(few, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_made_model_classifies(recipe, tmp_path, quick_fusion):
    few = replace(
        recipe,
        accuracy_chunks=20,
        fit=FitSettings(steps=2, batch_size=64),
        quantisation=replace(recipe.quantisation, steps=0),
    )
    make_model(few, tmp_path / "model.onnx")
    classifier = make_classifier(tmp_path / "model.onnx")
    chunks = rng("made").normal(size=(5, 64)).astype(np.float32).view(np.complex64)
    assert classifier.classify(chunks).log_probabilities.shape == (5, 11)


def test_evidence_that_errs_together_counts_less(monkeypatch):
    """A tenth of the runs that a training takes; shipped models say what those gave."""
    monkeypatch.setattr("amrq.training.onnx_export._RUNS", 10)
    small, large = map(make_classifier, ("coherent-small-int4", "coherent-full-float32"))
    assert calibrate_fusion(small, SEED) == pytest.approx(small.contract.fusion_chunks, rel=0.5)
    assert calibrate_fusion(large, SEED) >= 3 * small.contract.fusion_chunks
