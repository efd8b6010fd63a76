# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: what is read, what is refused. Needs no PyTorch."""

from dataclasses import replace
from pathlib import Path

import pytest
from run_amrq import python

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.plain_values import from_plain
from amrq.sweep import SweepChunks, read_sweep_recipe
from amrq.training import Recipe, read_family_recipe, read_recipe, takes_samples

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


SWEEPS = [path for path in RECIPES if "[[architectures]]" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path):
    read = read_sweep_recipe if path in SWEEPS else read_family_recipe if takes_samples(path) else read_recipe
    assert read(path).name == path.stem


def test_the_recipe_of_a_family_model_says_what_it_is():
    (family,) = [path for path in RECIPES if takes_samples(path)]
    with pytest.raises(AmrqError, match="recipe of a family model"):
        read_recipe(family)


def test_a_sweep_is_no_training_and_says_so():
    assert len(SWEEPS) == 3
    with pytest.raises(AmrqError, match="recipe of a sweep: use 'amrq sweep'"):
        read_recipe(SWEEPS[0])


def test_values_and_defaults(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "[fit]\nsteps = 7\nlearning_rate = 1\n[signal]\nes_n0_db = [1, 2.5]\nunknown_kinds = {FSK = 2}\n"
    )
    recipe = read_recipe(path)
    assert (recipe.name, recipe.fit.steps, recipe.fit.learning_rate) == ("mine", 7, 1.0)
    assert recipe.signal.es_n0_db == (1.0, 2.5)
    assert recipe.signal.unknown_kinds == {"FSK": 2.0}
    assert recipe.chunk_length == 32


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz = 3", "stepz is no setting"),
        ("[fit]\nstepz = 3", "fit.stepz is no setting"),
        ("fit = 3", "fit must be a table"),
        ("[fit]\nsteps = 'many'", "fit.steps must be a whole number"),
        ("[fit]\nsteps = true", "fit.steps must be a whole number"),
        ("[fit]\nsteps = 0", "fit.steps must be"),
        ("[fit]\nbatch_size = 0", "fit.batch_size must be"),
        ("[fit]\nlearning_rate = nan", "fit.learning_rate must be"),
        ("[signal]\nes_n0_db = [1]", "signal.es_n0_db must be a list of 2"),
        ("[signal]\nes_n0_db = [9, 1]", "signal.es_n0_db must rise"),
        ("[signal]\nunknown_share = 1.5", "signal.unknown_share must be"),
        ("[signal]\nunknown_kinds = {jazz = 1}", "jazz"),
        ("[net]\nsymbol_channels = []", "net.symbol_channels must"),
        ("[net]\nfirst_kernel = 2", "net.first_kernel must be odd"),
        ("[quantisation]\nweight_bits = [9]", "quantisation.weight_bits must be"),
        ("[quantisation]\nweight_bits = [8, 8]", "quantisation.weight_bits must be"),
        ("[quantisation]\nweight_bits = 8", "quantisation.weight_bits must be a list"),
        ("[pruning]\nshare = 1", "pruning.share must be"),
        ("[pruning]\nbegin = 0.9", "pruning.begin and pruning.end must rise"),
        ("[teacher]\nchunks = -1", "teacher.chunks must not"),
        ("[teacher]\nes_n0_db = [20, 20]", "teacher.es_n0_db must rise"),
        ("[signal]\nphase = 'some'", "signal.phase must be"),
        ("[signal]\nideal_es_n0_db = [0, 99]", "signal.ideal_es_n0_db must lie"),
        ("[quantisation]\nactivation_bits = 5", "quantisation.activation_bits must be"),
        ("chunk_length = 0", "chunk_length must be"),
        ("outlier_share = 1", "outlier_share must be"),
        ("caution = -1", "caution must be"),
        ("[signal]\nes_n0_levels = 0", "signal.es_n0_levels must be"),
        ("= 3", "not valid TOML"),
    ],
)
def test_refusals_are_one_clear_sentence(tmp_path, text, words):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(AmrqError) as caught:
        read_recipe(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_recipes_and_how_a_training_runs_need_no_torch():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['distributed'] = None\n"
        "from amrq.training import RunControl, TuneSettings, read_recipe\n"
        "from amrq.sweep import SweepFolder, cells_of, read_sweep_recipe\n"
        f"RunControl('x'); TuneSettings(); read_recipe({str(RECIPES[0])!r}); "
        f"print(len(cells_of(read_sweep_recipe({str(SWEEPS[0])!r}))))"
    )
    found = python("-c", code)
    assert found.returncode == 0 and int(found.stdout) > 0, found.stderr


def test_missing_file(tmp_path):
    with pytest.raises(AmrqError, match="there is no recipe file"):
        read_recipe(tmp_path / "none.toml")


STAR = "[constellations.star]\npoints = [[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]]\n"


def test_a_recipe_names_its_classes(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("")
    assert read_recipe(path).class_set is THESIS_9
    path.write_text(f'classes = ["thesis-9", "64QAM", "star"]\n{STAR}')
    recipe = read_recipe(path)
    assert list(recipe.class_set) == [*THESIS_9, "64QAM", "star"] and recipe.class_set.name == "mine"
    assert recipe.class_set["star"].symmetry == 4
    assert from_plain(recipe.as_dict(), Recipe) == recipe
    # States of a training that was begun before there was a choice of classes name their recipe by this text.
    assert "classes" not in repr(recipe) and "star" not in repr(recipe)
    path.write_text('classes = "thesis-9"')
    assert read_recipe(path).class_set is THESIS_9


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("classes = []", "at least one class"),
        ('classes = "QPSK"\n[signal]\nunknown_share = 0', "at least 2 classes"),
        ('classes = ["65QAM"]', "neither a class nor a class set"),
        ('classes = ["QPSK", "QPSK"]', "QPSK twice"),
        ("classes = 5", "classes must be"),
        ('classes = ["OQPSK", "QPSK"]', "OQPSK are turned or staggered"),
        (STAR, "constellations.star is not among classes"),
        ('classes = ["QPSK", "star"]\n' + STAR + "symmetry = 3", "a symmetry of 4, not of 3"),
        ('classes = ["QPSK", "a"]\n[constellations.a]\npoints = [[1, 0]]', "2 to 1,024 points"),
        ('classes = ["QPSK", "a"]\n[constellations.a]\npoints = [[1, 0, 0]]', "constellations.a.points"),
        (
            'classes = ["QPSK", "4ASK (unipolar)"]\n[signal]\nphase = "coherent"\n[net]\narchitecture = "symbolwise"',
            "set net.folded to false",
        ),
    ],
)
def test_classes_that_cannot_be_trained_are_named(tmp_path, text, words):
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(AmrqError, match=words):
        read_recipe(path)


def test_the_identity_of_a_sweep_is_that_of_its_classes(tmp_path):
    text = SWEEPS[0].read_text(encoding="utf-8")
    path = tmp_path / SWEEPS[0].name
    path.write_text(text)
    plain = read_sweep_recipe(path)
    path.write_text('classes = ["thesis-9"]\n' + text)
    assert read_sweep_recipe(path).identity == plain.identity
    path.write_text('classes = ["thesis-9", "64QAM"]\n' + text)
    more = read_sweep_recipe(path)
    assert more.identity != plain.identity and len(more.class_set) == 10
    chunks = SweepChunks(replace(more, fit=replace(more.fit, epoch_chunks=40))).epoch(1, 0)
    assert sorted(set(chunks.labels)) == list(range(10))
