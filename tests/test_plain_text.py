# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside cannot steer a terminal, and parsers' errors are one sentence."""

import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amrq.errors import AmrqError
from amrq.files import parsing
from amrq.text import is_printable, printable


@given(st.text())
def test_what_is_shown_is_one_harmless_line(text: str) -> None:
    shown = printable(text, 10_000)
    assert shown.isprintable()
    assert shown == text or not is_printable(text)


def test_escapes_are_visible_and_long_text_is_cut() -> None:
    assert printable("a\x1b]0;title\x07b") == "a\\x1b]0;title\\x07b"
    assert printable("one\ntwo\tthree") == "one two three"
    assert printable("\u202eabc") == "\\u202eabc"
    assert printable("\udc80") == "\\udc80"
    assert printable("x" * 50, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    "parse",
    [
        lambda: json.loads("[" * 100_000),
        lambda: zlib.decompress(b"no"),
        lambda: b"\xff".decode(),
        lambda: int(float("inf")),
        lambda: {}["missing"],
    ],
)
def test_whatever_a_parser_raises_is_one_sentence(parse: Callable[[], object]) -> None:
    with (
        pytest.raises(AmrqError, match=r"^bad\\x1b\.bin cannot be read: .*\.$") as caught,
        parsing("bad\x1b.bin"),
    ):
        parse()
    assert "\n" not in str(caught.value)


def test_an_error_that_says_what_to_change_passes_unchanged() -> None:
    error = AmrqError("this and that.")
    with pytest.raises(AmrqError) as caught, parsing("file"):
        raise error
    assert caught.value is error
