# SPDX-License-Identifier: GPL-3.0-or-later
"""A family of one's own: cut out of recordings, added to the family model, found. docs/bring-your-own.md."""

import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from run_amrq import amrq, python
from seeds import rng, seed

from amrq.classifier import FamilyModel
from amrq.errors import AmrqError
from amrq.labels import FamilyCuts, FamilyFolder
from amrq.live import FamilyLabeller, Naming

ROOT = Path(__file__).resolve().parents[1]
NAME = "two-tone sweep"
QUICK = {"examples": 8, "views": 4, "steps": 300}


def example() -> ModuleType:
    path = ROOT / "examples" / "beacon_recordings.py"
    about = importlib.util.spec_from_file_location("beacon_recordings", path)
    assert about is not None and about.loader is not None
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beacon")
    example().main(folder, seed("beacon"))
    return folder


@pytest.fixture(scope="module")
def cuts(recordings: Path) -> Path:
    labeller = FamilyLabeller(FamilyFolder(recordings / "cuts"), naming=Naming(NAME))
    for number in range(4):
        labeller.label(recordings / f"beacon{number}.sigmf-meta")
    return recordings / "cuts"


def test_a_signal_is_cut_where_it_stands_out_of_the_noise(cuts: Path) -> None:
    """One second is 15 chunks of 4,096 samples at four times a bandwidth of some 15 kHz, the signal in the middle."""
    for one in FamilyFolder(cuts).read():
        assert one.labels == (NAME,) and 12 <= len(one.chunks) <= 18
        assert one.chunks.shape[1] == 4096 and (np.diff(one.starts) > 0).all()
        spectrum = np.fft.fftshift((np.abs(np.fft.fft(one.chunks)) ** 2).mean(axis=0))
        at = np.arange(-2048, 2048) / 4096 * 4  # bandwidths
        inside = spectrum[np.abs(at) < 0.5].sum() / spectrum.sum()
        assert inside > 0.95


def test_labelling_again_writes_the_same(recordings: Path, cuts: Path, tmp_path: Path) -> None:
    shutil.copytree(cuts, tmp_path / "cuts")
    FamilyLabeller(FamilyFolder(tmp_path / "cuts"), naming=Naming(NAME)).label(
        recordings / "beacon0.sigmf-meta"
    )
    for before in cuts.iterdir():
        assert (tmp_path / "cuts" / before.name).read_bytes() == before.read_bytes()


def test_annotations_say_where_a_family_is(recordings: Path, tmp_path: Path) -> None:
    meta = json.loads((recordings / "band.sigmf-meta").read_text())
    about = {"core:sample_start": 0, "core:sample_count": 200_000, "core:label": "sweep"}
    meta["annotations"] = [about | {"core:freq_lower_edge": 27_500, "core:freq_upper_edge": 42_500}]
    (tmp_path / "band.sigmf-meta").write_text(json.dumps(meta))
    shutil.copy(recordings / "band.sigmf-data", tmp_path)
    folder = FamilyFolder(tmp_path / "cuts")
    naming = Naming(aliases={"sweep": NAME})
    assert FamilyLabeller(folder, naming=naming).label(tmp_path / "band.sigmf-meta").cuts[NAME] in range(
        12, 19
    )


def test_other_recordings_are_not_overwritten(cuts: Path, tmp_path: Path) -> None:
    shutil.copytree(cuts, tmp_path / "cuts")
    folder = FamilyFolder(tmp_path / "cuts")
    chunks = np.ones((1, 4096), np.complex64)
    other = FamilyCuts("beacon0", "x", "0" * 64, ("x",), chunks, np.zeros(1, np.uint8), np.zeros(1, np.int64))
    with pytest.raises(AmrqError, match="another recording"):
        folder.write(other)
    (tmp_path / "cuts" / "beacon1.npz").write_bytes(b"broken")
    with pytest.raises(AmrqError, match="is not the file"):
        folder.read()


def test_three_recordings_hold_one_out(cuts: Path) -> None:
    """Of four recordings the last is for testing, whole; of one, its last fifth."""
    found = FamilyFolder(cuts).held_out()
    recordings = FamilyFolder(cuts).read()
    assert len(found.tested[NAME]) == len(recordings[-1].chunks)
    assert len(found.learnt[NAME]) == sum(len(one.chunks) for one in recordings[:-1])


def test_what_is_not_labelled_is_refused(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(AmrqError, match="no annotations with a label"):
        FamilyLabeller(FamilyFolder(tmp_path / "cuts")).label(recordings / "band.sigmf-meta")


def test_a_family_is_added_and_the_others_stay_as_they_are(cuts: Path, tmp_path: Path) -> None:
    """The logits of what the model knows stay to the bit; the own family has the column before `unknown`."""
    pytest.importorskip("onnx")
    from amrq.training import OwnFamilySettings, add_families

    added = add_families("family", cuts, tmp_path / "mine.onnx", OwnFamilySettings(**QUICK))
    before, after = FamilyModel(), FamilyModel(tmp_path / "mine.onnx")
    assert after.families == (*before.families[:-1], NAME, before.families[-1])
    [held_out] = FamilyFolder(cuts).held_out().tested.values()
    chunks = np.concatenate([held_out, rng("own families").normal(size=(4, 4096, 2)) @ [1, 1j]])
    chunks = chunks.astype(np.complex64)
    iq = np.stack([chunks.real, chunks.imag], axis=1)
    known = [*range(len(before.families) - 1), len(after.families) - 1]
    np.testing.assert_array_equal(after.scores(iq)[:, known], before.scores(iq))
    # Of 18 outputs, chance would give one in 18.
    answers = after.log_probabilities(held_out).argmax(axis=1)
    assert (answers == len(after.families) - 2).mean() > 0.5
    assert added.found[NAME] is not None and set(added.claimed) == set(before.families[:-1])
    assert "held out" in (tmp_path / "mine.md").read_text()
    learnt = FamilyFolder(cuts).held_out().learnt[NAME]
    assert after.contract.recipe["added"]["families"][NAME] == [len(learnt), len(held_out)]
    with pytest.raises(AmrqError, match="start from a shipped family model"):
        add_families(tmp_path / "mine.onnx", cuts, tmp_path / "again.onnx", OwnFamilySettings(**QUICK))


def test_a_folder_without_a_new_family_is_refused(cuts: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from amrq.training import add_families

    one = FamilyFolder(cuts).read()[0]
    for label, count, words in (("ofdm", 15, "does not know"), ("few", 3, "fewer than 5")):
        folder = FamilyFolder(tmp_path / label)
        rows = slice(count)
        chosen = one.chunks[rows], one.families[rows], one.starts[rows]
        folder.write(FamilyCuts("a", "a", "0" * 64, (label,), *chosen))
        with pytest.raises(AmrqError, match=words):
            add_families("family", folder.path, tmp_path / "mine.onnx")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_tutorial(tmp_path: Path) -> None:
    """Its commands, in their order; at the end the scan has a line with the family."""
    page = (ROOT / "docs" / "bring-your-own.md").read_text(encoding="utf-8")
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
        if line.strip()
    ]
    said = ""
    for line in commands:
        words = shlex.split(line, comments=True)
        if words[0] == "python3":
            result = python(ROOT / words[1], *words[2:], cwd=tmp_path)
        else:
            files = [
                str(found)
                for word in words[1:]
                for found in (sorted(tmp_path.glob(word)) if "*" in word else [word])
            ]
            result = amrq(*files, cwd=tmp_path, timeout=600)
        assert result.returncode == 0, (line, result.stderr)
        said = result.stdout if words[1] in ("scan",) else said
    assert NAME in said
