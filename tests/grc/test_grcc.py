# SPDX-License-Identifier: GPL-3.0-or-later
"""grcc and what it writes, on the Python that has the module and on one that has not."""

import os
import sys

import pytest
import run_amrq
import yaml
from flowgraphs import BLOCK_FILES, EXAMPLES, ONE_OUTPUT, ROOT, environment

ADVICE = ".venv/bin/grcc and .venv/bin/python"
WITHOUT_MODULE = "import sys; sys.modules['gnuradio.amrq'] = None; "
COMPILE = "from gnuradio.grc.compiler import main; sys.argv[0] = 'grcc'; sys.exit(main())"
LOOPBACK = ROOT / "examples" / "loopback.grc"


def ran(folder, *words):
    surroundings = environment(folder / "x") | {"GRC_BLOCKS_PATH": str(ROOT / "grc")}
    return run_amrq.run(words, surroundings, cwd=folder, **ONE_OUTPUT)


@pytest.fixture
def own_grcc(tmp_path):
    """scripts/grcc beside a Python, as make installs it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "share" / "gnuradio" / "grc").mkdir(parents=True)
    (tmp_path / "share" / "gnuradio" / "grc" / "blocks").symlink_to(ROOT / "grc")
    (tmp_path / "bin" / "grcc").symlink_to(ROOT / "scripts" / "grcc")
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return tmp_path / "bin" / "grcc"


def test_the_environments_grcc_writes_a_program(own_grcc, tmp_path, monkeypatch):
    monkeypatch.delenv("GRC_BLOCKS_PATH", raising=False)
    result = run_amrq.run([own_grcc, "-o", tmp_path, LOOPBACK], environment(own_grcc), **ONE_OUTPUT)
    assert result.returncode == 0, result.stdout
    program = (tmp_path / "loopback.py").read_text()
    assert "amrq.classifier_sink(" in program


def test_grcc_without_the_module_says_what_to_do(tmp_path):
    result = ran(tmp_path, sys.executable, "-c", WITHOUT_MODULE + COMPILE, "-o", tmp_path, LOOPBACK)
    assert result.returncode != 0
    assert ADVICE in result.stdout
    assert not (tmp_path / "loopback.py").exists()


def test_a_program_without_the_module_says_what_to_do(tmp_path):
    made = ran(tmp_path, sys.executable, "-c", "import sys; " + COMPILE, "-o", tmp_path, LOOPBACK)
    assert made.returncode == 0, made.stdout
    run = WITHOUT_MODULE + "import runpy; runpy.run_path('loopback.py', run_name='__main__')"
    result = ran(tmp_path, sys.executable, "-c", run)
    assert result.returncode != 0
    assert ADVICE in result.stdout


@pytest.mark.parametrize("path", [*BLOCK_FILES, *EXAMPLES], ids=lambda path: path.stem)
def test_every_import_says_what_to_do(path):
    data = yaml.safe_load(path.read_text())
    if path.suffix == ".grc":
        texts = [block["parameters"]["imports"] for block in data["blocks"] if block["id"] == "import"]
    else:
        texts = [data["templates"]["imports"]]
    lines = [line for text in texts for line in text.splitlines() if "amrq" in line]
    assert lines, "it imports nothing of this module"
    assert all(line.endswith(ADVICE) for line in lines)


def test_make_installs_grcc():
    makefile = (ROOT / "Makefile").read_text()
    assert "install -m 755 scripts/grcc $(VENV)/bin/grcc" in makefile
    assert os.access(ROOT / "scripts" / "grcc", os.X_OK)
