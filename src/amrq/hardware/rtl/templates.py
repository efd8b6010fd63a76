# SPDX-License-Identifier: GPL-3.0-or-later
"""Files made from the templates in `verilog/`."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from amrq.hardware.rtl.adders import VerilogText
from amrq.machine import optional_package
from amrq.text import markdown

__all__ = ["module_text", "rendered"]

_FOLDER = files("amrq.hardware.rtl") / "verilog"


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
