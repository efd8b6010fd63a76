# SPDX-License-Identifier: GPL-3.0-or-later
"""Verilog as text: expressions with their widths, and files made from the templates in `verilog/`."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from amrq.machine import optional_package
from amrq.text import markdown

__all__ = ["VerilogText", "bits_for", "module_text", "rendered"]

_FOLDER = files("amrq.hardware.rtl") / "verilog"


def bits_for(lowest: int, highest: int) -> int:
    """Return the bits that hold all integers of a range: in two's complement where it goes below zero, else unsigned.

    Args:
        lowest: least.
        highest: largest, not below `lowest`.

    >>> bits_for(0, 255), bits_for(-128, 127)
    (8, 8)
    """
    if lowest < 0:
        return max((~lowest).bit_length(), max(highest, 0).bit_length()) + 1
    return max(highest.bit_length(), 1)


class VerilogText:
    """Expressions with their widths spelled out, so that no tool has to guess and none warns."""

    @staticmethod
    def constant(value: int, bits: int) -> str:
        """Return a literal in two's complement."""
        return f"{bits}'d{value % (1 << bits)}"

    @staticmethod
    def widened(name: str, bits: int, signed: bool, left: int, wanted: int) -> str:
        """Return a number times 2^left in `wanted` bits; what lies above is cut off.

        Args:
            name: a vector of at least `bits` bits.
            bits: its width.
            signed: whether its first bit is a sign.
            left: places to shift.
            wanted: width of the result.
        """
        if wanted <= left:
            return f"{wanted}'d0"
        kept = min(bits, wanted - left)
        parts = []
        missing = wanted - left - kept
        if missing:
            parts.append(f"{{{missing}{{{name}[{bits - 1}]}}}}" if signed else f"{missing}'d0")
        parts.append(name if kept == bits else f"{name}[{kept - 1}:0]")
        if left:
            parts.append(f"{left}'d0")
        return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"

    @staticmethod
    def quoted(text: str) -> str:
        """Return a name from outside for people to read in a `//` comment: quoted, in ASCII, on one line.

        A comment ends with its line, and tools obey some that begin with their name (`// verilator lint_off`,
        `// synthesis translate_off`): a quote before the text and no character that means anything to a preprocessor
        make it plain text to all of them.
        """
        ascii_text = text.encode("ascii", "backslashreplace").decode("ascii")
        return '"' + re.sub(r"[^A-Za-z0-9 +\-/.,:;()=_#@%]", "_", ascii_text) + '"'

    @staticmethod
    def index(value: int) -> int:
        """Return the bits that numbers below `value` take, at least 1."""
        return max((value - 1).bit_length(), 1)


@cache
def _environment() -> Any:
    """Return Jinja, set up for Verilog.

    Verilog is full of braces, so `${width}` stands for a value and `<% if %>` for a statement; a statement at a line's
    end takes the line's end with it. A name that a template uses and nobody gave is an error.
    """
    jinja2 = optional_package("jinja2", "making Verilog")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (_FOLDER / name).read_text("utf-8")),
        undefined=jinja2.StrictUndefined,
        variable_start_string="${",
        variable_end_string="}",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # nothing of this is HTML; names from outside go through `quoted`
    )
    environment.globals.update(
        constant=VerilogText.constant,
        widened=VerilogText.widened,
        quoted=VerilogText.quoted,
        index_bits=VerilogText.index,
        parameters=_parameters,
        markdown=markdown,
    )
    return environment


def _parameters(values: Mapping[str, int]) -> str:
    """Return what stands in the brackets of `module #(...)`."""
    return ", ".join(f".{name}({value})" for name, value in values.items())


def rendered(template: str, **values: Any) -> str:
    """Return a file made from a template.

    Args:
        template: name of a file in `verilog/`, such as `testbench.v.in`.
        values: what it asks for.

    Raises:
        AmrqError: the package jinja2 is missing.
    """
    return str(_environment().get_template(template).render(values))


def module_text(name: str) -> str:
    """Return a module of the library, which is the same in every design: `amrq_mean` for instance."""
    return (_FOLDER / f"{name}.v").read_text("utf-8")
