# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals, other signals, the figures of an evaluation."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from seeds import rng

from amrq.classes import THESIS_9, class_set
from amrq.classifier import Evidence
from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.evaluation import (
    IMPAIRMENTS,
    ImpairedChunks,
    Impairment,
    OpenSet,
    PairedDifference,
    ReferenceReceivers,
    Reliability,
    Tally,
    answer_of,
    clopper_pearson,
    draw_pictures,
    evaluate,
    evaluation_tables,
    outcome,
    page_anew,
    read_evaluation,
    report,
    verdict,
    wald,
)
from amrq.likelihood import LikelihoodClassifier, Receiver
from amrq.model import NO_SIGNAL, UNKNOWN, Contract, Hypothesis
from amrq.signals import HELD_OUT_SIGNALS, OTHER_SIGNALS, other_signal

COMMITTED = Path(__file__).parents[1] / "docs" / "evaluation"


def plain(page):
    return page.replace("\u00a0", " ")


def assert_close(found, expected):
    """Compare values of JSON; sums of confidences are rounded there."""
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert_close(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other)
    else:
        assert found == (pytest.approx(expected, abs=2e-4) if isinstance(expected, float) else expected)


def read_table(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # 2304 of 2304 is the thesis's gate; the others are scipy.stats.beta.ppf(.025, k, n-k+1), (.975, k+1,
        # n-k).
        (2304, 2304, 0.998400, 1.0),
        (0, 10, 0.0, 0.308497),
        (7, 10, 0.347547, 0.933260),
        (950, 1000, 0.934610, 0.962663),
    ],
)
def test_clopper_pearson(successes, trials, low, high):
    assert clopper_pearson(successes, trials) == pytest.approx((low, high), abs=2e-6)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 5), (6, 5)])
def test_clopper_pearson_refuses(successes, trials):
    with pytest.raises(AmrqError):
        clopper_pearson(successes, trials)


# p -+ 1.959964 sqrt(p (1 - p) / n), worked out by hand.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (2304, 2304, 1.0, 1.0),
        (7, 10, 0.415974, 0.984026),
        (1, 10, 0.0, 0.285938),
        (950, 1000, 0.936492, 0.963508),
    ],
)
def test_wald(successes, trials, low, high):
    assert wald(successes, trials) == pytest.approx((low, high), abs=2e-6)
    with pytest.raises(AmrqError):
        wald(trials + 1, trials)


def test_paired_difference():
    # Agresti 2013, section 11.1: approval by 1,600 people asked twice, 150 and 86 changed their mind.
    found = PairedDifference(150, 86, 1600)
    assert found.difference == pytest.approx(0.04)
    assert found.interval == pytest.approx((0.0214, 0.0586), abs=5e-4)
    assert PairedDifference(86, 150, 1600).interval == pytest.approx(
        tuple(-end for end in found.interval[::-1])
    )
    low, high = PairedDifference(0, 0, 1000).interval
    assert -0.004 < low < 0 < high < 0.004
    for counts in ((-1, 0, 5), (3, 3, 5), (0, 0, 0)):
        with pytest.raises(AmrqError):
            PairedDifference(*counts)


def test_reliability():
    table = Reliability.measure(
        np.array([0.9, 0.9, 0.9, 0.9, 0.3, 1.0]), np.array([1, 1, 0, 0, 1, 1], dtype=bool)
    )
    assert table.error == pytest.approx((4 * 0.4 + 0.7 + 0) / 6)
    assert Reliability.total([table, table]).error == pytest.approx(table.error)
    assert Reliability.total([table, table]).decisions == 12
    assert Reliability.total([]).error == 0


def test_calibration_error_by_chance():
    # 200 sets of 1,000 calibrated decisions: the mean error, of standard deviation 0.006 a set, is known to 0.0005.
    generator = rng("chance")
    errors, expected = [], []
    for _ in range(200):
        confidence = generator.uniform(0.2, 1, 1000)
        table = Reliability.measure(confidence, generator.random(1000) < confidence)
        errors.append(table.error)
        expected.append(table.error_by_chance)
    assert np.mean(errors) == pytest.approx(np.mean(expected), rel=0.05)


@pytest.mark.parametrize("kind", [*OTHER_SIGNALS, *HELD_OUT_SIGNALS])
@pytest.mark.parametrize(("count", "length"), [(1, 32), (7, 33), (3, 1024)])
def test_other_signals(kind, count, length):
    samples = other_signal(kind, count, length, rng(kind, length))
    assert samples.shape == (count, length)
    assert samples.dtype == np.complex64
    np.testing.assert_allclose((np.abs(samples) ** 2).mean(axis=1), 1, rtol=1e-3)
    np.testing.assert_array_equal(samples, other_signal(kind, count, length, rng(kind, length)))


def test_unknown_kind_is_refused():
    with pytest.raises(AmrqError, match="OOK"):
        other_signal("jazz", 1, 32, rng("jazz"))


class Fixed:
    """A classifier that always says the same."""

    def __init__(self, classes, says, **contract):
        self.contract = Contract(name="fixed", classes=classes, chunk_length=32, **contract)
        self._row = np.log(np.where(np.array(classes) == says, 0.9, 0.1 / (len(classes) - 1))).astype(
            np.float32
        )

    def classify(self, chunks, tracked_power=None):
        count = len(chunks)
        rows = np.tile(self._row, (count, 1))
        return Evidence(rows, rows, np.ones(count, np.float32), np.ones(count, bool))

    def close(self):
        """Nothing is open."""


class Weighing:
    """A coherent model that is as good as can be, takes the level or not, and weighs each class at three Es/N0."""

    levels = (6.0, 8.0, 10.0)

    def __init__(self, classes=("BPSK", "QPSK", "16QAM"), level_input=True):
        prior = 1 / len(classes) / len(self.levels)
        self.contract = Contract(
            name="weighing",
            classes=classes,
            chunk_length=32,
            phase="coherent",
            level_input=level_input,
            hypotheses=tuple(Hypothesis(name, level, prior) for name in classes for level in self.levels),
        )
        self._known = {
            level: LikelihoodClassifier(
                Receiver("known", level, "known" if level_input else "hidden"), classes
            )
            for level in self.levels
        }

    def classify(self, chunks, tracked_power=None):
        if tracked_power is None:
            tracked_power = (np.abs(chunks) ** 2).mean(axis=1)
            chunks = chunks / np.sqrt(tracked_power)[:, None]
        values = [self._known[level].log_likelihoods(chunks) for level in self.levels]
        values = np.stack(values, axis=2).reshape(len(chunks), -1)
        joint = np.logaddexp.reduce(values.reshape(len(chunks), -1, len(self.levels)), axis=2)
        joint -= np.logaddexp.reduce(joint, axis=1, keepdims=True)
        return Evidence(
            joint.astype(np.float32), values.astype(np.float32), tracked_power, np.ones(len(chunks), bool)
        )


class Receivers:
    """Make the bound's receivers, and count what they are asked."""

    def __init__(self):
        self.made, self.asked = [], 0

    def __call__(self, *, classes, any_phase, phase_noise, level_known, es_n0_db):
        self.made.append((any_phase, level_known, es_n0_db))
        receiver = Receiver(
            "uniform" if any_phase else "known", es_n0_db, "known" if level_known else "hidden", phase_noise
        )
        classifier = LikelihoodClassifier(receiver, classes)

        def posteriors(chunks):
            self.asked += len(chunks)
            return classifier.log_posteriors(chunks)

        return posteriors


def test_figures_of_a_known_classifier():
    # Outputs in another order than the registry's, `unknown` in the middle.
    found = evaluate(Fixed(("QPSK", UNKNOWN, "BPSK"), "BPSK"), 40, [10, 0])
    assert found.truths == ("QPSK", "BPSK")
    assert found.outputs == ("QPSK", "BPSK", UNKNOWN)
    assert [level.es_n0_db for level in found.levels] == [0, 10]
    level = found.levels[0]
    np.testing.assert_array_equal(level.confusion, [[0, 40, 0], [0, 40, 0]])
    np.testing.assert_array_equal(level.named.confusion, [[0, 40], [0, 40]])
    assert level.row() == level.all_row()
    assert (level.row().accuracy, level.row().chunks) == (0.5, 80)
    assert level.calibration_error == pytest.approx(0.9 / 0.95 - 0.5)
    assert level.reliability.error == pytest.approx(0.4)
    assert level.named.gap is None and level.level_known is None
    for other in found.others:
        assert other.claimed.value == other.chunks_claimed.value == 1
        assert other.mistaken_for == "BPSK"
    page = plain(report(found))
    assert "| 10 | 50.0 % (38.6 to 61.4) |" in page
    assert "OFDM" in page and "**missed** by 95.0 points" in page
    assert "bound |" not in page


def test_named_accuracy_leaves_other_outputs_out():
    found = evaluate(Fixed(("BPSK", "QPSK", UNKNOWN, NO_SIGNAL), NO_SIGNAL), 40, [10])
    (level,) = found.levels
    assert level.all_row().accuracy == 0
    # Both modulations are equally probable: the first is named.
    assert level.row().accuracy == 0.5
    np.testing.assert_array_equal(level.confusion, [[0, 0, 0, 40], [0, 0, 0, 40]])
    assert all(other.claimed.count == 0 for other in found.others)
    noise = next(finding for finding in verdict(found) if finding.about == "noise alone")
    assert noise.met
    assert "do not rule out" in noise.goal  # 20 decisions cannot prove 1 %


def test_other_signals_are_measured_without_an_output_for_them():
    found = evaluate(Fixed(("BPSK", "QPSK"), "QPSK"), 8, [10])
    assert all(other.mistaken_for == "QPSK" for other in found.others)
    assert found.levels[0].row() == found.levels[0].all_row()
    assert found.open_set is None  # too few chunks for a fused decision on the nine


def test_a_model_as_good_as_the_bound_has_no_gap_to_it():
    receivers = Receivers()
    found = evaluate(Weighing(), 60, Weighing.levels, seed=5, bound=ReferenceReceivers(receivers))
    for level in found.levels:
        # The hypothesis at the true Es/N0 is the receiver that knows it.
        assert (level.all_known.gap.first_only, level.all_known.gap.second_only) == (0, 0)
        assert level.all_known.share == level.all_known.bound.share
        assert level.all_known.reliability.error == pytest.approx(
            level.all_known.bound.reliability.error, abs=1e-3
        )
        assert level.named.gap.difference == pytest.approx(
            level.named.bound.share.value - level.named.share.value
        )
    assert (False, True, 8.0) in receivers.made and (False, False, (0.0, 20.0)) in receivers.made
    page = report(found)
    assert "What the stream's level and Es/N0 add" in page
    assert "| level and Es/N0 known | At most 0.0 points below the bound" in page


def test_es_n0_between_two_hypotheses_is_interpolated():
    found = evaluate(Weighing(), 150, [7.0, 5.0], seed=6, bound=ReferenceReceivers(Receivers()))
    outside, between = found.levels
    # 450 chunks, paired: a standard deviation below 0.01.
    assert abs(between.all_known.gap.difference) < 0.03
    # Likelihoods that bend are not where the line through the last two ends, half a spacing on: no more than a guess.
    assert abs(outside.all_known.gap.difference) < 0.15


def test_without_a_level_es_n0_alone_can_be_known():
    receivers, steps = Receivers(), []
    found = evaluate(
        Weighing(level_input=False),
        200,
        Weighing.levels,
        seed=8,
        bound=ReferenceReceivers(receivers),
        progress=lambda done, of: steps.append((done, of)),
    )
    assert {tuple(level.by_knowledge) for level in found.levels} == {("chunk alone", "Es/N0 known")}
    for level in found.levels:
        assert level.tracked is level.es_n0_known and level.all_known is level.level_known is None
        assert (level.tracked.gap.first_only, level.tracked.gap.second_only) == (0, 0)
        # Who knows Es/N0 is calibrated there: 600 decisions show what chance does, give or take half of it.
        assert level.tracked.reliability.error < 2 * level.tracked.reliability.error_by_chance
    # A receiver that knows Es/N0 serves all classes.
    knowing = [made[2] for made in receivers.made if made[2] != (0.0, 20.0)]
    assert knowing == list(Weighing.levels) and len(receivers.made) == 4
    assert steps[-2][0] == steps[-1][0] == steps[-1][1]  # every step was foreseen
    page = report(found)
    assert "## What the stream's Es/N0 adds" in page and "| one chunk, Es/N0 known |" in page
    tracked = next(finding for finding in verdict(found) if finding.about == "calibration, tracked")
    assert tracked.text.startswith("With Es/N0 known") and "2 %: " in tracked.goal
    values = found.as_dict()
    assert values["levels"][0]["es_n0_known"]["bound_minus_model"]["of"] == 600
    assert (
        values["all_levels"]["calibration_tracked"]["decisions"] == found.tracked_reliability.count.tolist()
    )


def test_calibration_with_level_and_es_n0_known():
    found = evaluate(Weighing(), 60, [6.0, 8.0], seed=9)
    assert all(level.tracked is level.all_known for level in found.levels)
    rows = read_table(evaluation_tables(found)["calibration.csv"])
    assert [row["expected_calibration_error"] for row in rows if row["decisions_by"] == "tracked"][:-1] == [
        f"{level.all_known.reliability.error:.4f}" for level in found.levels
    ]
    (tracked,) = [finding for finding in verdict(found) if finding.about == "calibration, tracked"]
    assert tracked.text.startswith("With level and Es/N0 known")
    # A model that does not weigh Es/N0 has no such line.
    other = evaluate(Fixed(("BPSK", "QPSK"), "BPSK"), 8, [10])
    assert other.tracked_reliability is None and "Es/N0 known |" not in report(other)
    assert all(finding.about != "calibration, tracked" for finding in verdict(other))


@pytest.mark.parametrize(("sure", "excused"), [(0.9, True), (0.5, False)])
def test_the_bound_excuses_a_calibration_only_where_it_errs_itself(sure, excused):
    # It says BPSK in half of all cases wrongly, and is 90 % sure of it or as sure as is right.
    row = np.log([sure, 1 - sure])
    bound = ReferenceReceivers(lambda **_: lambda chunks: np.tile(row, (len(chunks), 1)))
    found = evaluate(Fixed(("BPSK", "QPSK"), "BPSK"), 40, [10], bound=bound)
    (calibration,) = [finding for finding in verdict(found) if finding.about == "calibration"]
    assert not calibration.met
    assert ("due to the task" in calibration.text) == excused
    assert f"{100 * sure - 50:.1f} %" in calibration.text


def test_few_chunks_do_not_excuse():
    # The bound is as sure as is right, but 12 decisions look worse than that.
    row = np.log([0.6, 0.4])
    bound = ReferenceReceivers(lambda **_: lambda chunks: np.tile(row, (len(chunks), 1)))
    found = evaluate(Fixed(("BPSK", "QPSK"), "BPSK"), 6, [10], bound=bound)
    assert found.levels[0].named.bound.reliability.error == pytest.approx(0.1)
    assert "due to the task" not in verdict(found)[1].text


def test_goals_for_claims_do_not_apply_to_a_model_that_knows_nothing_else():
    found = evaluate(Fixed(("BPSK", "QPSK"), "QPSK"), 40, [10])
    assert not found.knows_others and all(other.goal is None for other in found.others)
    about = [finding for finding in verdict(found) if "signals" in finding.about or "noise" in finding.about]
    (finding,) = about
    assert finding.met is None and "not applicable" in finding.goal and "its 2 classes" in finding.text
    page = report(found)
    assert "| noise | 100.0 % | 100.0 % (" in plain(page)  # the shares stay
    assert "%: missed |" not in plain(page)
    for other in (UNKNOWN, NO_SIGNAL):
        open_minded = evaluate(Fixed(("BPSK", "QPSK", other), "QPSK"), 8, [10])
        assert open_minded.knows_others and {finding.met for finding in verdict(open_minded)} >= {False}
        assert any(finding.about == "noise alone" for finding in verdict(open_minded))


def test_models_share_the_bound():
    receivers = Receivers()
    bound = ReferenceReceivers(receivers)
    first = evaluate(Fixed(("BPSK", "QPSK"), "BPSK", phase="coherent"), 20, [5, 10], bound=bound)
    asked, made = receivers.asked, len(receivers.made)
    assert (asked, made) == (80, 1)
    steps = []
    second = evaluate(
        Fixed(("QPSK", "BPSK"), "BPSK", phase="coherent"),
        20,
        [5, 10],
        bound=bound,
        progress=lambda done, of: steps.append((done, of)),
    )
    assert (receivers.asked, len(receivers.made)) == (asked, made)
    for one, other in zip(first.levels, second.levels, strict=True):
        np.testing.assert_array_equal(one.named.bound.confusion, other.named.bound.confusion[::-1, ::-1])
    assert steps[-1][0] == steps[-1][1]
    assert all(done <= of for done, of in steps)
    # Another level, or another regime of phase, is something else.
    evaluate(Fixed(("BPSK", "QPSK"), "BPSK", phase="any"), 3, [5], bound=bound)
    assert receivers.asked == asked + 6


def test_chunks_do_not_depend_on_other_levels_or_classes():
    bound = ReferenceReceivers(Receivers())
    wide = evaluate(Fixed(("BPSK", "QPSK", "8PSK"), "BPSK", phase="coherent"), 30, [0, 3], bound=bound)
    receivers = Receivers()
    narrow = evaluate(
        Fixed(("8PSK", "BPSK"), "BPSK", phase="coherent"), 30, [3], bound=ReferenceReceivers(receivers)
    )
    both = evaluate(Fixed(("8PSK", "BPSK"), "BPSK", phase="coherent"), 30, [3], bound=bound)
    assert wide.levels[1].named.bound is not None
    np.testing.assert_array_equal(
        narrow.levels[0].named.bound.confusion, both.levels[0].named.bound.confusion
    )


def test_the_default_threshold_lies_on_the_open_set_curve():
    found = evaluate(Weighing(), 64, [12.0], seed=7)
    at = OpenSet.log_odds(found.open_set.min_confidence)
    assert found.open_set.min_confidence == 0.75
    for other in found.others:
        assert OpenSet.passed(found.open_set.others[other.kind], [at])[0] == other.claimed.count
    assert len(found.open_set.known) == 6
    values = found.open_set.as_dict()
    for shares in (values["known"]["named"], values["others"]["noise"]["named"]):
        assert shares == sorted(shares, reverse=True)


def clean(count=4, names=("BPSK", "16QAM"), any_phase=False):
    """Chunks next to no noise."""
    return ImpairedChunks(class_set(names), count, 32, 200.0, 3, any_phase, 0.0)


def kind(name):
    return next(impairment for impairment in IMPAIRMENTS if impairment.name == name)


def test_nothing_wrong_is_the_same_for_all_impairments():
    plain = clean().chunks(kind("level"), 0.0)
    for impairment in IMPAIRMENTS:
        np.testing.assert_allclose(clean().chunks(impairment, 0.0), plain, atol=1e-6)
        assert 0.0 in impairment.values


def test_impairments_do_what_they_say():
    material = clean()
    plain = material.chunks(kind("level"), 0.0)
    np.testing.assert_allclose(material.chunks(kind("level"), -40.0), 0.01 * plain, atol=1e-7)
    np.testing.assert_allclose(material.chunks(kind("rotation"), 90.0), 1j * plain, atol=1e-6)
    turned = material.chunks(kind("frequency offset"), 0.01) / plain
    np.testing.assert_allclose(turned[:, 15] * turned[:, 16], 1, atol=1e-5)  # the middle keeps its phase
    np.testing.assert_allclose(turned[:, 1:] / turned[:, :-1], np.exp(2j * np.pi * 0.01), atol=1e-5)
    # A raised cosine is zero at all other symbols: a whole symbol beside the peak is the neighbour.
    shifted = material.chunks(kind("timing error"), 1.0)
    assert (
        min(np.abs(shifted[:, 1:] - plain[:, :-1]).max(), np.abs(shifted[:, :-1] - plain[:, 1:]).max()) < 1e-5
    )
    # The pole of the pulse, at 1 / (2 roll-off) symbols, is no hole.
    near, at = (material.chunks(kind("timing error"), 1 / 0.7 - 1 + step) for step in (1e-3, 0.0))
    assert np.abs(near - at).max() < 0.02
    phases = np.angle(clean(400).chunks(kind("phase noise"), 0.1) / clean(400).chunks(kind("level"), 0.0))
    assert phases.std() == pytest.approx(0.1, rel=0.02)  # 25,600 phases: 0.5 % of it
    with pytest.raises(AmrqError):
        clean().chunks(Impairment("jam", "jars", (0.0,)), 1.0)


def test_a_rotation_is_the_only_one_in_its_sweep():
    for angle in (0.0, 90.0):
        turned = clean(any_phase=True).chunks(kind("rotation"), angle)
        np.testing.assert_allclose(turned, clean().chunks(kind("rotation"), angle), atol=1e-6)
    assert np.abs(clean(any_phase=True).chunks(kind("level"), 0.0)[:4].imag).max() > 0.1


def test_sweeps_show_how_a_coherent_model_breaks():
    found = evaluate(Weighing(("BPSK", "QPSK")), 40, [12.0], sweep_es_n0_db=[12.0])
    sweeps = {sweep.name: [share.value for share in sweep.shares()] for sweep in found.impairments}
    assert set(sweeps) == {impairment.name for impairment in IMPAIRMENTS}
    assert sweeps["rotation"][0] > 0.95  # of 20 chunks
    assert min(sweeps["rotation"]) <= 0.8  # at 45 degrees BPSK is what QPSK may send
    assert len(set(sweeps["level"])) == 1
    assert "This model is coherent" in report(found)


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib", reason="the package matplotlib is not installed")
    bound = ReferenceReceivers(lambda **_: lambda chunks: np.zeros((len(chunks), 3)))
    found = evaluate(Weighing(), 32, [4.0, 12.0], bound=bound, sweep_es_n0_db=[12.0])
    paths = draw_pictures(found, tmp_path)
    stems = ["accuracy", "classes", "confusion", "reliability", "open_set", "robustness"]
    assert [path.stem for path in paths] == stems
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5_000
    page = report(found, [path.name for path in paths])
    assert all(page.count(f"({stem}.png)") == 1 for stem in stems)


def test_an_evaluation_is_what_its_json_file_says(tmp_path):
    bound = ReferenceReceivers(Receivers())
    found = evaluate(Weighing(), 32, [4.0, 12.0], bound=bound, sweep_es_n0_db=[12.0])
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(found.as_dict() | {"made": "by a test"}))
    again, made = read_evaluation(path)
    assert made == "by a test" and again.open_set is not None
    assert_close(again.as_dict(), found.as_dict())
    assert report(again) == report(found) and evaluation_tables(again) == evaluation_tables(found)
    for wrong in ("[]", "{}", '{"levels": 1}'):
        path.write_text(wrong)
        with pytest.raises(AmrqError, match="should hold an evaluation"):
            read_evaluation(path)
    with pytest.raises(AmrqError, match="there is no file"):
        read_evaluation(tmp_path / "nothing.json")


def test_a_curve_keeps_the_count_at_its_default_threshold():
    scores = np.linspace(-3, 5, 101)
    found = OpenSet(0.77, 10.0, scores, scores > 0, {"noise": scores - 2})
    at = [OpenSet.log_odds(0.77)]
    again = OpenSet.from_dict(json.loads(json.dumps(found.as_dict())))
    for one, other in ((found.known, again.known), (found.others["noise"], again.others["noise"])):
        assert OpenSet.passed(one, at).tolist() == OpenSet.passed(other, at).tolist()


@pytest.mark.parametrize("name", ["blind-full-int8", "coherent-small-int4"])
def test_committed_pages_are_made_of_the_committed_counts(name):
    folder = COMMITTED / name
    texts = [*folder.glob("*.md"), *folder.glob("*.csv")]
    assert {path.name: path.read_text(encoding="utf-8") for path in texts} == page_anew(folder)
    assert all(path.stat().st_size < 100_000 for path in texts)
    found, _ = read_evaluation(folder / "evaluation.json")
    # Version 0.1 wrote no variances: all else comes out as it was read.
    counts = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    again = json.loads(json.dumps(found.as_dict()))
    for name in ("open_set", "other_signals", "sweeps", "classes"):
        assert again[name] == counts[name]
    for one, other in zip(again["levels"], counts["levels"], strict=True):
        assert one["named"]["accuracy"] == other["named"]["accuracy"] and one["low"] == other["low"]
        for key in ("named", "all_outputs", "fused"):
            for figure in ("expected_calibration_error", "error_by_chance"):
                assert one[key]["calibration"][figure] == pytest.approx(
                    other[key]["calibration"][figure], abs=2e-6
                )
            assert one[key]["confusion"] == other[key]["confusion"]


def test_foreign_classes_are_refused():
    with pytest.raises(AmrqError, match="no class whose constellation is known"):
        evaluate(Fixed(("cats", "dogs"), "cats"), 1, [0])
    for levels in ([float("nan")], []):
        with pytest.raises(AmrqError):
            evaluate(Fixed(tuple(THESIS_9), "BPSK"), 1, levels)
    with pytest.raises(AmrqError):
        evaluate(Fixed(tuple(THESIS_9), "BPSK"), 0, [0])


@pytest.mark.parametrize(
    ("answer", "sent", "worth"),
    [
        ("QPSK", "QPSK", "right"),
        ("16QAM", "QPSK", "misnamed"),
        ("unknown", "QPSK", "missed"),
        ("noise", "QPSK", "missed"),
        ("no signal", "QPSK", "missed"),
        ("unsure", "QPSK", "undecided"),
        ("no symbol rate", "QPSK", "undecided"),
        ("unknown", "64QAM", "right"),
        ("noise", "OFDM", "right"),
        ("16QAM", "64QAM", "misnamed"),
        ("unsure", "64QAM", "undecided"),
        ("no answer", "", "undecided"),
    ],
)
def test_what_an_answer_is_worth(answer, sent, worth):
    assert outcome(answer, sent) == worth


def test_answers_are_counted():
    tally = Tally.of_answers({"QPSK": 5, "16QAM": 2, "unknown": 3, "noise": 1, "unsure": 4}, "QPSK")
    assert tally == Tally(right=5, misnamed=2, missed=4, undecided=4) and tally.total == 15
    assert Tally.of_outcomes(["right", "missed", "right"]) + Tally(0, 1) == Tally(2, 1, 1, 0)


def test_an_answer_is_what_the_decision_says_by_its_reason():
    words = [("named", "QPSK", "QPSK"), ("unsure", "unknown", "unsure"), ("foreign", "unknown", "unknown")]
    words += [
        ("noise", "unknown", "noise"),
        ("noise", "no signal", "noise"),
        ("silent", "no signal", "no signal"),
    ]
    for reason, label, answer in words:
        decision = Decision(label, 0.9, "QPSK", {}, 32, 0, 1024, None, None, reason)
        assert answer_of(decision) == answer
