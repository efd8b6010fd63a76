# SPDX-License-Identifier: GPL-3.0-or-later
"""Training with linear constellations outside the class set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seeds import SEED

torch = pytest.importorskip("torch", reason="PyTorch is not installed: training is not tested")
pytest.importorskip("onnx", reason="the package onnx is not installed")

from amrq.errors import AmrqError  # noqa: E402
from amrq.model import NO_SIGNAL, UNKNOWN, read_contract  # noqa: E402
from amrq.signals import FOREIGN_KINDS  # noqa: E402
from amrq.training import (  # noqa: E402
    QuantisedLayer,
    RunControl,
    SignalBatches,
    SignalSettings,
    class_logits,
    fit,
    make_model,
    read_recipe,
    rebuild_net,
    widen,
)
from amrq.training.architectures import make_net  # noqa: E402

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke.toml"


@pytest.fixture(scope="module")
def recipe():
    """The smoke recipe, in two parts."""
    smoke = read_recipe(SMOKE)
    return replace(
        smoke,
        signal=replace(smoke.signal, foreign_share=0.3, foreign_es_n0_db=(10.0, smoke.signal.es_n0_db[1])),
        fit=replace(smoke.fit, steps=12, foreign_steps=10, batch_size=64),
        quantisation=replace(smoke.quantisation, steps=6, weight_bits=(32, 8)),
        teacher=replace(smoke.teacher, chunks=0),
        accuracy_chunks=4,
        foreign_caution={"square grid": (-0.5, 0.25), "random points": (0.125,)},
    )


def batches_of(recipe, **signal):
    return SignalBatches(replace(recipe.signal, **signal), recipe.chunk_length, recipe.seed)


SETTINGS = SignalSettings(es_n0_db=(0, 30), es_n0_levels=6, unknown_share=0.2, foreign_share=0.3)


def test_each_kind_is_a_hypothesis_at_each_level():
    batches = SignalBatches(SETTINGS, 32, SEED)
    assert batches.classes[-2:] == (UNKNOWN, NO_SIGNAL)
    foreign = [h for h in batches.hypotheses if h.label == UNKNOWN and h.es_n0_db is not None]
    assert [h.es_n0_db for h in foreign] == [12.5, 17.5, 22.5, 27.5] * len(FOREIGN_KINDS)
    assert sum(h.prior for h in foreign) == pytest.approx(0.3)
    assert sum(h.prior for h in batches.hypotheses) == pytest.approx(1)
    batch = batches.batch(0, 5_000)
    np.testing.assert_array_equal(batch.iq, SignalBatches(SETTINGS, 32, SEED).batch(0, 5_000).iq)
    np.testing.assert_allclose((batch.iq**2).sum(axis=1).mean(axis=1), 1, rtol=1e-4)
    own = [batches.hypotheses[number] for number in batch.hypotheses]
    assert [h.label for h in own] == [batches.classes[label] for label in batch.labels]
    np.testing.assert_array_equal(batch.targets.argmax(axis=1), batch.labels)
    levels = np.array([np.nan if h.es_n0_db is None else h.es_n0_db for h in own])
    assert np.nanmax(np.abs(levels - batch.es_n0_db)) <= 2.5
    is_foreign = np.array([h.label == UNKNOWN and h.es_n0_db is not None for h in own])
    assert is_foreign.sum() == 1_500 and batch.es_n0_db[is_foreign].min() >= 10
    # As often as the priors say: 1,500 chunks over 44 hypotheses, within five standard deviations.
    prior = np.array([h.prior for h in foreign])
    numbers = [n for n, h in enumerate(batches.hypotheses) if h in foreign]
    counts = np.bincount(batch.hypotheses, minlength=len(batches.hypotheses))[np.unique(numbers)]
    assert (np.abs(counts - 5_000 * prior) < 5 * np.sqrt(5_000 * prior) + 1).all()


def test_without_a_share_nothing_is_foreign():
    plain = SignalBatches(replace(SETTINGS, foreign_share=0.0), 32, SEED)
    assert all(h.es_n0_db is None for h in plain.hypotheses if h.label in (UNKNOWN, NO_SIGNAL))
    assert repr(SETTINGS) == repr(
        replace(SETTINGS, foreign_share=0.0)
    )  # states of earlier releases stay good


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[signal]\nforeign_share = 0.9\nunknown_share = 0.2", "signal.foreign_share must be"),
        ("[signal]\nforeign_share = 0.2\nunknown_share = 0", "signal.foreign_share must be"),
        ("[signal]\nforeign_share = -0.2", "signal.foreign_share must be"),
        ("[signal]\nforeign_share = 0.2\nes_n0_db = [0, 20]", "signal.foreign_es_n0_db must lie"),
        ("[signal]\nforeign_es_n0_db = [20, 10]", "signal.foreign_es_n0_db must rise"),
        ("[signal]\nforeign_kinds = {jazz = 1}", "signal.foreign_kinds.jazz is not a kind"),
        ("[signal]\nforeign_kinds = {'dense PSK' = 0}", "signal.foreign_kinds.dense PSK must be above 0"),
        ("[fit]\nforeign_steps = -1", "fit.foreign_steps must not"),
        ("[fit]\nforeign_learning_rate = 0", "fit.foreign_learning_rate must be"),
        ("foreign_caution = {jazz = [1]}", "foreign_caution.jazz is not a kind"),
        ("foreign_caution = {'dense PSK' = [0, 11]}", "foreign_caution.dense PSK must be"),
        ("foreign_caution = {'dense PSK' = []}", "foreign_caution.dense PSK must be"),
        ("[pruning]\nshare = 0.5\nforeign_share = 0.4", "pruning.foreign_share must be"),
    ],
)
def test_refusals(tmp_path, text, words):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(AmrqError, match=words):
        read_recipe(path)


def test_a_widened_network_still_knows_what_it_knew(recipe):
    narrow, wide = batches_of(recipe, foreign_share=0.0), batches_of(recipe)
    torch.manual_seed(SEED)
    old, new = (make_net(len(batches.hypotheses), recipe.net).eval() for batches in (narrow, wide))
    widen(old, narrow.hypotheses, new, wide.hypotheses)
    iq = torch.from_numpy(wide.batch(0, 300).iq)
    with torch.no_grad():
        before, after = old(iq), new(iq)
        known = len(narrow.classes) - 2
        torch.testing.assert_close(
            class_logits(after, wide.hypotheses)[:, :known],
            class_logits(before, narrow.hypotheses)[:, :known],
        )
        torch.testing.assert_close(after[:, -1], before[:, -1])
        # What is new begins as a less probable one of the modulations.
        first = len(narrow.hypotheses) - 1
        assert (after[:, first:-1].amax(dim=1) < before.amax(dim=1)).all()


def test_a_training_in_two_parts_goes_on_where_it_stopped(recipe, tmp_path):
    wide, narrow = batches_of(recipe), batches_of(recipe, foreign_share=0.0)
    whole = fit(recipe, wide, first=narrow)
    checkpoint = tmp_path / "state"
    for stop in (5, 12, 17, None):
        parted = fit(recipe, wide, RunControl(checkpoint, stop_at=stop), narrow)
    assert set(parted) == set(whole) == {8, 32}
    for bits, net in whole.items():
        for name, value in net.state_dict().items():
            torch.testing.assert_close(parted[bits].state_dict()[name], value, rtol=1e-5, atol=1e-6)
    # The first part is that of the recipe without the second.
    alone = fit(replace(recipe, signal=narrow.settings), narrow, RunControl(tmp_path / "alone", stop_at=12))[
        32
    ]
    kept = torch.load(checkpoint, weights_only=True)["finished"][0]
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(kept[name], value)
    other = replace(recipe, signal=replace(recipe.signal, foreign_kinds={"dense PSK": 2.0}))
    with pytest.raises(AmrqError, match="another recipe"):
        fit(other, wide, RunControl(checkpoint), narrow)


def test_pruned_weights_stay_away_and_more_follow_in_the_second_part(recipe, tmp_path):
    pruned = replace(
        recipe, pruning=replace(recipe.pruning, share=0.3, begin=0.0, end=0.5, foreign_share=0.45)
    )
    checkpoint = tmp_path / "state"
    net = fit(pruned, batches_of(recipe), RunControl(checkpoint), batches_of(recipe, foreign_share=0.0))[8]
    for layer in (m for m in net.modules() if isinstance(m, QuantisedLayer) and m.weight[0].numel() >= 8):
        assert (layer.parameters_as_run()[0] == 0).float().mean() >= 0.45 - 1 / layer.weight.numel()
    finished = torch.load(checkpoint, weights_only=True)["finished"]
    kept = [name for name, value in finished[0].items() if name.endswith(".kept") and value[0].numel() >= 8]
    for name in kept:
        before, after = finished[0][name], finished[32][name]
        assert 0.3 - 1 / before.numel() <= (before == 0).float().mean() < 0.35
        if before.shape == after.shape:
            assert not (after > before).any()


def test_from_recipe_to_file_and_back(recipe, tmp_path, quick_fusion):
    (file,) = make_model(
        replace(recipe, quantisation=replace(recipe.quantisation, weight_bits=(8,))), tmp_path / "two.onnx"
    )
    contract = read_contract(file)
    batches = batches_of(recipe)
    assert [(h.label, h.es_n0_db) for h in contract.hypotheses] == [
        (h.label, h.es_n0_db) for h in batches.hypotheses
    ]
    assert contract.recipe["steps"] == 12 + 10 + 6
    # The priors of other signals are understated by the caution, those of foreign constellations by their own.
    found = {}
    for number, (made, drawn) in enumerate(zip(contract.hypotheses, batches.hypotheses, strict=True)):
        caution = 0.0 if made.label in contract.class_set else recipe.caution
        if made.label == UNKNOWN and made.es_n0_db is not None:
            found[number] = np.log(drawn.prior / made.prior)
        else:
            assert made.prior == pytest.approx(drawn.prior * np.exp(-caution))
    levels = len(found) // len(FOREIGN_KINDS)
    stated = np.array(list(found.values())).reshape(len(FOREIGN_KINDS), levels)
    wanted = np.zeros_like(stated)
    wanted[0], wanted[0, 0], wanted[-1] = 0.25, -0.5, 0.125
    np.testing.assert_allclose(stated, wanted, atol=1e-6)
    assert rebuild_net(file).recipe.signal == recipe.signal
