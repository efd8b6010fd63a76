# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals, other signals, the figures of an evaluation."""

import numpy as np
import pytest
from seeds import rng

from amrq.classifier import Evidence
from amrq.errors import AmrqError
from amrq.evaluation import clopper_pearson, evaluate, report
from amrq.model import UNKNOWN, Contract
from amrq.modulations import MODULATIONS
from amrq.signals import HELD_OUT_SIGNALS, OTHER_SIGNALS, other_signal


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

    def __init__(self, classes, says):
        self.contract = Contract(name="fixed", classes=classes, chunk_length=32)
        self._row = np.log(np.where(np.array(classes) == says, 0.9, 0.1 / (len(classes) - 1))).astype(
            np.float32
        )

    def classify(self, chunks):
        count = len(chunks)
        rows = np.tile(self._row, (count, 1))
        return Evidence(rows, rows, np.ones(count, np.float32), np.ones(count, bool))

    def close(self):
        """Nothing is open."""


def test_figures_of_a_known_classifier():
    # Outputs in another order than the registry's, `unknown` in the middle.
    found = evaluate(Fixed(("QPSK", UNKNOWN, "BPSK"), "BPSK"), 40, [10, 0])
    assert found.truths == ("QPSK", "BPSK")
    assert found.outputs == ("QPSK", "BPSK", UNKNOWN)
    assert [level.es_n0_db for level in found.levels] == [0, 10]
    level = found.levels[0]
    np.testing.assert_array_equal(level.confusion, [[0, 40, 0], [0, 40, 0]])
    assert level.row().accuracy == 0.5
    assert level.row().chunks == 80
    assert level.calibration_error == pytest.approx(0.4)
    assert all(other.unknown == other.unknown_fused == 0 for other in found.others)
    assert {other.mistaken_for for other in found.others} == {"BPSK"}
    page = report(found)
    assert "| 10 | 0.5000 |" in page
    assert "OFDM" in page


def test_foreign_classes_are_refused():
    with pytest.raises(AmrqError, match="knows none"):
        evaluate(Fixed(("cats", "dogs"), "cats"), 1, [0])
    with pytest.raises(AmrqError):
        evaluate(Fixed(tuple(MODULATIONS), "BPSK"), 1, [float("nan")])
