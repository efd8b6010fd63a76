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


@pytest.mark.parametrize("name", ["linear", "oqpsk", "pi4dqpsk"])
def test_symbols_that_come_again_may_be_chips(name: str) -> None:
    for again, most in ((False, 1.0), (True, 0.85)):
        spreading = SimpleNamespace(confidence=0.0, turned=0.0, again=again)
        line = SimpleNamespace(share=0.0)
        case: Any = SimpleNamespace(
            look=SimpleNamespace(line=line, spreading=spreading, envelope=0.4),
            has=lambda *names: names == ("spreading",),
            code=lambda: 0.0,
        )
        assert look_alikes.most_of_alike(case, name) == most
