# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure a family may be that others look like."""

from types import SimpleNamespace
from typing import Any

import pytest

from amrq.identify import look_alikes


@pytest.mark.parametrize(("share", "most"), [(0.0, 1.0), (0.2, 1.0), (0.4, 0.85), (0.9, 0.85)])
def test_symbols_about_a_carrier_may_be_its_keys(share: float, most: float) -> None:
    """Slow keys in noise were `linear` with .92: what they lack of a linear modulation is that it leaves no carrier."""
    case: Any = SimpleNamespace(
        look=SimpleNamespace(line=SimpleNamespace(share=share)), has=lambda name: False
    )
    assert look_alikes.most_of_alike(case, "linear") == most
