# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx builds the documentation: `make docs`, which calls `sphinx-build -c docs . .build/docs`.

The source folder is the whole repository, of which the pages named below are taken: a link from one page to another
or to any other file here is the same relative path on a forge and in the site, and one that leads nowhere is an error.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / ".build"
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "docs" / "extensions")]

from amrq import __version__  # noqa: E402

project = "gr-amrq"
author = "The gr-amrq authors"
copyright = "the gr-amrq authors, GPL-3.0-or-later"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "plain_docstrings",
    "sphinx.ext.napoleon",
    "reading_order",
    "known_names",
    "command_reference",
    "block_reference",
    "library_reference",
]

root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "models/*.md",
    "benchmarks/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "build", "dist", "**/__pycache__"]  # not even looked into
source_suffix = {".md": "markdown"}

# A link that leads nowhere, to a page, a file or a heading, is an error.
nitpicky = True
# Types in signatures: many are private, or other projects', whose documentation is not at hand without a network.
nitpick_ignore_regex = [("py:.*", ".*")]
myst_heading_anchors = 4
smartquotes = False  # it makes one dash of the two before an option

autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
maximum_signature_line_length = 60  # a parameter a line, for narrow screens
default_role = "code"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # else every attribute of a dataclass is described twice
napoleon_attr_annotations = False  # types stand in the signature
autodoc_mock_imports = [
    name
    for name in ("torch", "dask", "distributed", "onnx", "matplotlib", "PyQt5", "pyqtgraph", "zmq", "tomli")
    if importlib.util.find_spec(name) is None
]
if "PyQt5" in autodoc_mock_imports:
    autodoc_mock_imports.append("gnuradio.amrq._display")  # `QColor | None` is more than a stand-in can do

# The blocks as gnuradio.amrq, from the source tree, whether or not there is a GNU Radio to take them in.
_stage = BUILT / "docs_modules" / "gnuradio"
_stage.mkdir(parents=True, exist_ok=True)
if not (_stage / "amrq").is_symlink():
    (_stage / "amrq").symlink_to(ROOT / "python" / "amrq", target_is_directory=True)
sys.path.insert(0, str(_stage.parent))
if importlib.util.find_spec("pmt") is None:
    autodoc_mock_imports.append("pmt")
    autodoc_mock_imports += [
        f"gnuradio.{room}"
        for room in ("gr", "analog", "blocks", "digital", "filter", "network", "qtgui", "soapy", "zeromq")
    ]

html_theme = "furo"
html_title = f"gr-amrq {release}"
html_copy_source = False
html_show_sourcelink = False
# The site's own front door, beside the pages' folder.
html_additional_pages = {"index": "front_door.html"}
templates_path = ["templates"]
