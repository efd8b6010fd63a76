# SPDX-License-Identifier: GPL-3.0-or-later
"""The directive `block-reference`: the blocks as the Companion's files and their classes describe them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from docutils.nodes import Node
from note_sources import note_sources
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["BlockReference", "setup"]

ROOT = Path(__file__).resolve().parents[2]
_REMARK = re.compile(r"^(?P<what>[A-Z][^:.]{2,40}|[a-z_]{2,20}): (?P<said>.+)$")
_HELPERS = re.compile(r"_|qa_")


class BlockReference(SphinxDirective):
    """A section for each block: what the Companion says of it, parameters, class; then what scripts alone use."""

    def run(self) -> list[Node]:
        """Return the sections."""
        files = sorted((ROOT / "grc").glob("*.block.yml"))
        note_sources(self.env, files)
        blocks = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
        shown = {block["id"].removeprefix("amrq_") for block in blocks}
        lines = [line for block in blocks for line in _section(block)]
        lines += ["## For scripts alone\n"]
        for path in sorted((ROOT / "python" / "amrq").glob("*.py")):
            if path.stem not in shown and not _HELPERS.match(path.stem):
                lines += [_documented(f"automodule:: gnuradio.amrq.{path.stem}")]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _section(block: dict[str, Any]) -> Iterator[str]:
    name = block["id"].removeprefix("amrq_")
    yield f"## {block['label']}\n"
    yield from _remarks(block["documentation"])
    yield "\n| in the Companion | argument | default | choices |\n|---|---|---|---|"
    for parameter in block["parameters"]:
        choices = "; ".join(
            value if value == label else f"{value}: {label}"
            for value, label in zip(
                map(str, parameter.get("options", ())),
                map(str, parameter.get("option_labels", parameter.get("options", ()))),
                strict=True,
            )
        )
        default = str(parameter.get("default", ""))
        shown = f"`{default}`" if default else ""
        yield f"| {parameter['label']} | `{parameter['id']}` | {shown} | {choices} |"
    yield "\n" + _documented(f"autoclass:: gnuradio.amrq::{name}")


def _remarks(text: str) -> Iterator[str]:
    """The documentation's paragraphs; lines that explain a parameter or a port as a list."""
    for line in text.splitlines():
        remark = _REMARK.match(line)
        yield f"- **{remark['what']}**: {remark['said']}" if remark else line


def _documented(directive: str) -> str:
    return f"```{{eval-rst}}\n.. {directive}\n   :members:\n```\n"


def _skip(app: Sphinx, what: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    # GNU Radio calls these, and start and stop, whose docstrings are for whoever reads the source.
    called_by_gnuradio = name in ("work", "general_work", "forecast", "start", "stop")
    return True if called_by_gnuradio and "gnuradio" in str(getattr(member, "__module__", "")) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in a build."""
    app.add_directive("block-reference", BlockReference)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
