# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of a family model: examples, features, weights to start from, rounding, export, the command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seeds import SEED, rng

torch = pytest.importorskip("torch", reason="PyTorch is not installed: training is not tested")
pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from typer.testing import CliRunner  # noqa: E402

from amrq.classifier import FamilyModel  # noqa: E402
from amrq.cli.main import app  # noqa: E402
from amrq.errors import AmrqError  # noqa: E402
from amrq.model import read_contract  # noqa: E402
from amrq.signals import FAMILY_CLASSES  # noqa: E402
from amrq.training import (  # noqa: E402
    FamilyExampleSettings,
    FamilyFitSettings,
    FamilyNetSettings,
    FamilyPiece,
    FamilyRecipe,
    FeatureCache,
    QuantisationSettings,
    RunControl,
    family_making,
    fit_family,
    integer_ready,
    learnable,
    quantise,
    read_family_recipe,
    scrambled,
)
from amrq.training.architectures import make_family_net  # noqa: E402

RECIPE = Path(__file__).parents[2] / "recipes" / "family.toml"
TEXT = """
input = "samples"
seed = 3
length = 512
accuracy_examples = 2
families = {am = ["am"], fsk = ["fsk2", "fsk4"], carrier = ["carrier"]}
examples = {count = 48, shard = 24, unknown_share = 0.3, shortest = 64}
net = {time_widths = [4, 4], frequency_widths = [4, 4], lag_widths = [4, 4], phase_widths = [4], hidden = 8}
fit = {steps = 3, batch_size = 8}
quantisation = {weight_bits = [8, 4], steps = 2, narrow_steps = 2}
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("family")
    (folder / "tiny.toml").write_text(TEXT)
    return folder


@pytest.fixture(scope="module")
def recipe(folder):
    return read_family_recipe(folder / "tiny.toml")


@pytest.fixture(scope="module")
def stored(folder, recipe):
    cache = FeatureCache(folder / "tiny.onnx.examples", recipe)
    assert cache.make()
    return cache.open()


@pytest.fixture(scope="module")
def made(folder, stored):
    """What the command says, with the examples that are there already."""
    return CliRunner().invoke(app, ["train", str(folder / "tiny.toml"), "-o", str(folder / "tiny.onnx")])


def test_the_shipped_recipe_has_every_generator_once_and_few_weights():
    recipe = read_family_recipe(RECIPE)
    generators = [name for kinds in recipe.generators.values() for name in kinds]
    assert sorted(generators) == sorted(FAMILY_CLASSES)
    net = make_family_net(len(recipe.outputs), recipe.length, recipe.net)
    ready = integer_ready(net, torch.randn(2, 2, recipe.length))
    assert sum(p.numel() for p in ready.parameters()) <= 60_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"families": {"am": ("bam",)}}, "no generator 'bam'"),
        ({"families": {"am": ("am",), "fm": ("am",)}}, "stands for two outputs"),
        ({"families": {"unknown": ("am",)}}, "is no family's name"),
        ({"leave_out": ("sdr",)}, "not one of the families"),
        ({"leave_out": tuple(FAMILY_CLASSES)}, "two families must be left"),
        ({"weights": {"x": 1.0}}, "not an output"),
        ({"length": 100}, "multiple of 64"),
        ({"samples_per_bandwidth": 2.0}, "must be 4"),
        ({"input": "symbols"}, "input must be samples"),
    ],
)
def test_recipes_that_cannot_be(changes, words):
    with pytest.raises(AmrqError, match=words):
        FamilyRecipe("bad", **changes)


def test_signals_are_learnt_at_unit_rms_outside_their_padding():
    generator = rng("learnable")
    pieces = [FamilyPiece(5 * np.exp(2j * np.pi * 0.01 * np.arange(512)), np.inf)] * 60
    settings = FamilyExampleSettings(cut_share=0.5, shortest=64, noise_share=0.0, unknown_share=0.2)
    made = learnable(generator, pieces, settings)
    power = (made.iq**2).sum(axis=1)
    there = power > 0
    np.testing.assert_allclose(power.sum(axis=1) / there.sum(axis=1), 1, rtol=1e-3)
    assert 0 < made.unknown.sum() < 60
    assert (there.sum(axis=1) < 512).any() and there[made.unknown].all()


def test_signals_that_must_not_be_mirrored_are_not():
    pieces = [FamilyPiece(np.exp(2j * np.pi * 0.05 * np.arange(512)).astype(np.complex64))] * 40
    settings = FamilyExampleSettings(cut_share=0.0, noise_share=0.0, unknown_share=0.0)
    kept = np.arange(40) < 20
    iq = learnable(rng("mirror"), pieces, settings, kept).iq
    z = iq[:, 0] + 1j * iq[:, 1]
    rising = (z[:, 1:] * z[:, :-1].conj()).sum(axis=1).imag > 0
    assert rising[kept].all()
    assert 0 < rising[~kept].sum() < 20


def test_added_noise_leaves_the_snr_that_is_asked_for():
    """Noise over four bandwidths, at 4 to 4.1 dB in one of them: the power rises to 1 + 4 / 10^.4 of the signal's."""
    tone = np.exp(2j * np.pi * 0.05 * np.arange(4096)).astype(np.complex64)
    settings = FamilyExampleSettings(cut_share=0, noise_share=0.999, unknown_share=0, least_snr_db=4.0)
    iq = learnable(rng("noise"), [FamilyPiece(tone, 8.1)] * 50, settings).iq
    z = iq[:, 0] + 1j * iq[:, 1]
    lines = np.abs((z * np.exp(-2j * np.pi * 0.05 * np.arange(4096))).mean(axis=1)) ** 2
    lines = np.maximum(lines, np.abs((z * np.exp(2j * np.pi * 0.05 * np.arange(4096))).mean(axis=1)) ** 2)
    low, high = 1 / (1 + 4 / 10**0.4), 1 / (1 + 4 / 10**0.81)
    assert (lines > 0.9 * low).all() and (lines[lines < 0.99] < 1.1 * high).all()


def test_scrambled_signals_are_none_of_those_they_are_made_of():
    generator = rng("scrambled")
    signals = np.exp(2j * np.pi * generator.random((2, 1)) + 2j * np.pi * 0.02 * np.arange(1024)).astype(
        np.complex64
    )
    found = scrambled(generator, np.repeat(signals, 20, axis=0))
    assert np.isfinite(found).all()
    likeness = np.abs((found * signals[0].conj()).sum(axis=1)) / (
        np.linalg.norm(found, axis=1) * np.linalg.norm(signals[0])
    )
    # Two unlike signals of 1,024 samples: mixtures at equal level have 0.7, noise at 0 dB as well.
    assert np.median(likeness) < 0.9


def test_the_cache_goes_on_where_it_stopped_and_knows_its_recipe(folder, recipe, stored, tmp_path):
    cache = FeatureCache(tmp_path / "again", recipe)
    assert not cache.make(stopped=lambda: cache.missing == [1])
    assert cache.missing == [1]
    told = []
    assert cache.make(progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]
    first, again = stored.batch(5, 16), cache.open().batch(5, 16)
    assert all(torch.equal(a, b) for a, b in zip(first.seen, again.seen, strict=True))
    assert torch.equal(first.labels, again.labels)
    with pytest.raises(AmrqError, match="examples of another recipe"):
        FeatureCache(tmp_path / "again", replace(recipe, seed=4))


def test_examples_can_come_from_elsewhere(recipe, tmp_path):
    asked = []

    def mine(generator, family):
        asked.append(family)
        return FamilyPiece(generator.standard_normal(512) + 1j)

    cache = FeatureCache(
        tmp_path / "mine", replace(recipe, examples=replace(recipe.examples, count=8, shard=8)), mine
    )
    assert cache.make()
    assert asked == ["am", "fsk2", "fsk4", "carrier"] * 2


def test_batches_hold_every_output_as_often_as_its_weight(recipe, stored):
    assert stored.outputs == ("am", "fsk", "carrier", "unknown")
    labels = stored.batch(SEED, 1_000).labels.numpy()
    # 1,000 draws: four standard deviations of a share of a quarter are 0.055.
    np.testing.assert_allclose(np.bincount(labels) / 1_000, 0.25, atol=0.055)


def test_folding_and_rounding_keep_the_function(recipe, stored):
    torch.manual_seed(SEED)
    net = make_family_net(4, 512, recipe.net)
    net.train()
    for number in range(8):
        net.body(*stored.batch(number, 16).seen)
    net.eval()
    batch = stored.batch(100, 64)
    ready = integer_ready(net, torch.randn(4, 2, 512))
    with torch.no_grad():
        before, after = net.body(*batch.seen), ready.body(*batch.seen)
    np.testing.assert_allclose(after, before, atol=1e-5)
    quantise(ready, 8, [batch.seen], ready.body)
    with torch.no_grad():
        rounded = ready.body(*batch.seen)
    error = (rounded - before).square().mean().sqrt() / before.std()
    assert 0 < error < 0.1  # eight layers' roundings of 1/256 of their range each


def test_the_command_makes_models_that_run_without_torch(folder, made):
    assert made.exit_code == 0, made.output
    for bits in (8, 4):
        path = folder / f"tiny-int{bits}.onnx"
        contract = read_contract(path)
        assert (contract.input, contract.samples_per_bandwidth, contract.chunk_length) == ("samples", 4, 512)
        assert contract.classes == ("am", "fsk", "carrier", "unknown") and contract.weight_bits == bits
        assert contract.recipe["agreement"] == {
            "chunks": 6,
            "differing_decisions_of_torch_and_onnxruntime": 0,
        }
        assert [row.es_n0_db for row in contract.accuracy] == [0, 5, 10, 15, 20]
        model = FamilyModel(path)
        logs = model.log_probabilities(model.prepare(np.ones(1000, np.complex64), 1.0, (-0.1, 0.1)))
        np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, rtol=1e-5)
        page = path.with_suffix(".md").read_text()
        assert f"{bits}-bit weights" in page and "| 10 |" in page
    assert "in-band SNR dB" in made.output and "Written" in made.output


def test_weights_start_a_training_by_their_order_and_without_outputs_left_out(
    folder, recipe, stored, tmp_path
):
    torch.manual_seed(SEED)
    net = make_family_net(4, 512, recipe.net)
    torch.save(
        {f"their.{number}": value for number, value in enumerate(net.state_dict().values())},
        tmp_path / "w.pt",
    )
    only = replace(recipe, fit=replace(recipe.fit, steps=0), quantisation=QuantisationSettings((32,)))
    found = fit_family(only, stored, RunControl(), tmp_path / "w.pt")[32]
    batch = stored.batch(1, 8)
    net.eval()
    with torch.no_grad():
        expected = net.body(*batch.seen)
        np.testing.assert_allclose(found.body(*batch.seen), expected, atol=1e-5)
        fewer = replace(only, leave_out=("fsk",))
        rest = FeatureCache(folder / "tiny.onnx.examples", fewer).open()
        assert rest.outputs == ("am", "carrier", "unknown")
        left = fit_family(fewer, rest, RunControl(), tmp_path / "w.pt")[32]
        np.testing.assert_allclose(left.body(*batch.seen), expected[:, [0, 2, 3]], atol=1e-5)
    torch.save({"a": torch.ones(3)}, tmp_path / "bad.pt")
    with pytest.raises(AmrqError, match="holds 1 tensors"):
        fit_family(only, stored, RunControl(), tmp_path / "bad.pt")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(AmrqError, match="holds no weights"):
        fit_family(only, stored, RunControl(), tmp_path / "text.pt")


def test_a_stopped_training_goes_on_to_the_same_weights(recipe, stored, tmp_path):
    short = replace(
        recipe, fit=FamilyFitSettings(steps=4, batch_size=8), quantisation=QuantisationSettings((8,), steps=4)
    )
    whole = fit_family(short, stored, RunControl())[8]
    control = RunControl(tmp_path / "state", stop_at=2)
    assert fit_family(short, stored, control) == {}
    assert list(fit_family(short, stored, replace(control, stop_at=6))) == [32]
    again = fit_family(short, stored, replace(control, stop_at=None))[8]
    for one, other in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_options_of_family_models_are_for_these_alone(tmp_path):
    smoke = RECIPE.with_name("smoke.toml")
    result = CliRunner().invoke(app, ["train", str(smoke), "--workers", "2", "--leave-out", "am"])
    assert result.exit_code != 0
    assert "--workers and --leave-out can be given only" in str(result.exception) + result.output


def test_a_network_that_is_too_large_is_refused(recipe, stored):
    large = replace(recipe, net=FamilyNetSettings(hidden=4096, time_widths=(64, 64)))
    with pytest.raises(AmrqError, match="more than 60,000"):
        fit_family(large, stored, RunControl())


def test_the_page_tells_the_families_that_were_left_out():
    path = Path(__file__).parents[2] / "benchmarks" / "left_out" / "without-chirp-ofdm.onnx"
    page = family_making.family_page(read_contract(path))
    assert "--fresh --leave-out chirp --leave-out ofdm\n" in page
