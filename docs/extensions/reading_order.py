# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's table of contents, read from plain Markdown that a forge shows as it stands.

- In docs/index.md a list of links under a heading, `- [Install](install.md): ...`, is the order of the pages.
- In any page the comment `<!-- pages below: evaluation/*/evaluation.md -->` takes pages in below it.
- The evaluation of a shipped model, docs/evaluation/NAME/evaluation.md, stands below the model's page, models/NAME.md.
"""

import re

from sphinx.application import Sphinx

__all__ = ["add_toctrees", "setup"]

_ITEM = re.compile(r"^- \[[^\]]+\]\((?P<page>[^):#]+\.md)\)")
_HEADING = re.compile(r"^## (?P<title>.+)$")
_BELOW = re.compile(r"^<!-- pages below: (?P<pages>[^>]+?) -->$", re.MULTILINE)


def add_toctrees(app: Sphinx, name: str, source: list[str]) -> None:
    """Put hidden tables of contents into a page's text, `source[0]`, before it is parsed."""
    source[0] = _BELOW.sub(lambda found: _toctree("", found["pages"].split()), source[0])
    if name.startswith("models/"):
        page = f"docs/evaluation/{name.removeprefix('models/')}/evaluation"
        if page in app.env.found_docs:
            source[0] += _toctree("", [f"/{page}"])
    if name == app.config.root_doc:
        source[0] += "".join(_toctree(title, pages) for title, pages in _sections(source[0]).items() if pages)


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {"": []}
    title = ""
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            title = heading["title"]
            sections[title] = []
        elif item := _ITEM.match(line):
            sections[title].append(item["page"])
    return sections


def _toctree(caption: str, pages: list[str]) -> str:
    names = "\n".join(page.removesuffix(".md") for page in pages)
    captioned = f":caption: {caption}\n" if caption else ""
    return f"\n```{{toctree}}\n:hidden:\n:glob:\n{captioned}\n{names}\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in a build."""
    app.connect("source-read", add_toctrees)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
