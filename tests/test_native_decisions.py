# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled search for changes of class finds those that the NumPy code beside it finds."""

import numpy as np
import pytest
from seeds import rng

from amrq.decision import DecisionMaker, decision_maker
from amrq.model import Hypothesis
from amrq.native import Kernels


def _maker() -> DecisionMaker:
    hypotheses = [Hypothesis(name, float(level), 1 / 27) for name in "abc" for level in range(0, 27, 3)]
    return DecisionMaker(hypotheses, 32)


@pytest.mark.parametrize("count", [2, 3, 32, 100])
def test_the_same_changes(native: Kernels, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    random = rng("native decisions", count)
    rows = random.normal(-5, 3, (60, count, 27)).astype(np.float32)
    for one in rows[::2]:  # half of the sets change, some of them within a class
        place, *columns = random.integers([1, 0, 0], [count, 27, 27]).tolist()
        one[:place, columns[0]] += 30
        one[place:, columns[1]] += 30
    changes, sums = _maker()._changes(rows)
    monkeypatch.setattr(decision_maker, "kernels", lambda: None)
    plain, plain_sums = _maker()._changes(rows)
    assert changes.tolist() == plain.tolist()
    np.testing.assert_array_equal(sums, plain_sums)
    assert 0 < np.count_nonzero(changes) < len(rows)


def test_what_the_kernel_does_not_take(native: Kernels) -> None:
    assert native.decision_splits(np.zeros((1, 2, 1025), np.float32)) is None
    with pytest.raises(ValueError, match="2 rows at least"):
        native.decision_splits(np.zeros((1, 1, 3), np.float32))
