# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import amrq

LEAST = 100
"""Names of the rooms' faces that have an example, at least; more is better, fewer means that some were lost."""

NEEDS = {
    "amrq.classifier": ("onnxruntime",),
    "amrq.decision": ("onnxruntime",),
    "amrq.evaluation": ("onnxruntime",),
    "amrq.training": ("torch",),
    "amrq.sweep": ("torch", "distributed"),
    "amrq.hardware": ("onnx",),
    "amrq.link": ("zmq",),
}
FOLDER = Path(amrq.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(("amrq", *path.relative_to(FOLDER).with_suffix("").parts)).removesuffix(".__init__")
    for path in FOLDER.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_say(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room, packages in NEEDS.items():
        for package in packages if name.startswith(room) else ():
            pytest.importorskip(package, reason=f"the package {package} is not installed")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # what they make is removed with it
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert tried and not failed, f"{failed} of {tried} examples of {name} fail; the output is above"


def test_there_are_many() -> None:
    found = set()
    for name in WITH_EXAMPLES:
        module = importlib.import_module(name)
        finder = doctest.DocTestFinder(exclude_empty=True)
        found |= {test.name for test in finder.find(module) if test.examples}
    assert len(found) >= LEAST, sorted(found)
