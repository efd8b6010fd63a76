# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of a format declares everything once: a new one is one file, and the command and the library know it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from run_amrq import ENVIRONMENT, amrq, python

from amrq.recordings import FORMATS, RAW_FORMATS, SUFFIXES, find_readers, open_recording

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "src" / "amrq"
QPSK = ROOT / "examples" / "recordings" / "dvbs2_qpsk.sigmf-meta"
RATES = ("--rate", "100k", "--symbol-rate", "25k", "--json")

TOY = '''
"""Text with the sample rate in its first line, then I and Q of a sample a line; and pairs of 64-bit floats."""

import numpy as np

from amrq.recordings.open_recording import Reader, Request
from amrq.recordings.recording import Recording, RecordingInfo
from amrq.recordings.sample_file import SampleFile, file_size, number_format

DOUBLES = number_format("cf64_le")


class Lines:
    real = False

    def __init__(self, values):
        self.values, self.length = values, len(values)

    def read(self, start, count):
        return self.values[start : start + count]


def open_text(request: Request) -> Recording:
    request.single()
    rate = float(request.path.open().readline())
    samples = np.loadtxt(request.path, np.float32, skiprows=1).reshape(-1, 2).view(np.complex64)[:, 0]
    return Recording(RecordingInfo(request.path, request.sample_rate or rate), Lines(samples))


def open_doubles(request: Request) -> Recording:
    count = file_size(request.path) // DOUBLES.sample_size
    samples = SampleFile(request.path, DOUBLES, count, [(0, 0)])
    return Recording(RecordingInfo(request.path, request.known_rate), samples)


READERS = (
    Reader("toy", "text, a sample a line", (".toy",), open_text),
    Reader("cf64", "raw, pairs of 64-bit floats", (".cf64",), open_doubles, False, DOUBLES),
)
'''


@pytest.fixture(scope="module")
def one_file_more(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which the library is this one, with one file more."""
    folder = tmp_path_factory.mktemp("library")
    for path in LIBRARY.iterdir():
        if path.name not in ("recordings", "__pycache__"):
            (folder / "amrq").mkdir(exist_ok=True)
            (folder / "amrq" / path.name).symlink_to(path)
    (folder / "amrq" / "recordings").mkdir()
    for path in (LIBRARY / "recordings").glob("*.py"):
        (folder / "amrq" / "recordings" / path.name).symlink_to(path)
    (folder / "amrq" / "recordings" / "toy_recording.py").write_text(TOY)
    return {"PYTHONPATH": f"{folder}:{ENVIRONMENT['PYTHONPATH']}"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the recording QPSK in the formats of the toy."""
    folder = tmp_path_factory.mktemp("toys")
    recording = open_recording(QPSK)
    samples = recording.read(0, 8_000)
    with (folder / "r.toy").open("w") as file:
        file.write(f"{recording.sample_rate}\n")
        np.savetxt(file, samples.view(np.float32).reshape(-1, 2))
    samples.astype(np.complex128).tofile(folder / "r.cf64")
    samples.tofile(folder / "r.cf32")
    return folder


def test_a_reader_is_one_file(one_file_more: dict[str, str], files: Path) -> None:
    code = """
import json, sys
from amrq.recordings import FORMATS, RAW_FORMATS, SUFFIXES, open_recording
from amrq.sources import SourceOptions
toy = open_recording("r.toy")
SourceOptions(file="r.toy", format="toy")
said = [list(FORMATS), list(RAW_FORMATS), SUFFIXES[".toy"]]
print(json.dumps([*said, toy.sample_rate, toy.length, str(toy.read(7, 1)[0])]))
"""
    done = python("-c", code, cwd=files, environment=one_file_more)
    assert done.returncode == 0, done.stderr
    formats, raw, format, rate, length, sample = json.loads(done.stdout)
    assert formats == ["auto", "sigmf", "toy", "wav", "cf32", "cf64", "ci16", "ci8", "cu8"]
    assert raw == ["cf32", "cf64", "ci16", "ci8", "cu8"]
    assert (format, rate, length) == ("toy", 100e3, 8_000)
    assert sample == str(open_recording(QPSK).read(7, 1)[0])


def test_the_commands_know_it(one_file_more: dict[str, str], files: Path) -> None:
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    labels: dict[str, list[str]] = {}
    # The rate that is given is that of the toy as well.
    for arguments in (("r.cf32", "r.toy", "r.cf64"), ("-", "--format", "cf64")):
        with (files / "r.cf64").open("rb") as piped:
            done = amrq("classify", *arguments, *RATES, cwd=files, environment=one_file_more, stdin=piped)
        assert done.returncode == 0, done.stderr
        for record in map(json.loads, done.stdout.splitlines()):
            labels.setdefault(record["source"], []).append(record["label"])
    assert len(labels) == 4 and len(labels["r.cf32"]) > 1
    assert all(found == labels["r.cf32"] for found in labels.values()), labels


def test_help_and_errors_follow(one_file_more: dict[str, str], files: Path) -> None:
    code = """
from typer.testing import CliRunner
from amrq.cli.main import app
from amrq.errors import AmrqError
from amrq.recordings import SampleStream, open_recording
for command in ("classify", "live", "label"):
    print(CliRunner().invoke(app, [command, "--help"]).output)
for tried in (lambda: open_recording("r.cf64"), lambda: SampleStream("-", "toy", 1e5)):
    try:
        tried()
    except AmrqError as error:
        print(error)
"""
    said = python("-c", code, cwd=files, environment=one_file_more).stdout
    assert len(re.findall(r"\btoy\b", said)) >= 4 and len(re.findall(r"\bcf64\b", said)) >= 5, said
    assert "r.cf64 is read as cf64, which does not state its sample rate: give it (--rate)." in said
    assert "standard input cannot be read as toy, which needs a file" in said


def test_the_companion_s_menus_follow(one_file_more: dict[str, str]) -> None:
    code = f"""
import sys, yaml
sys.path.insert(0, {str(ROOT / "scripts")!r})
from make_options import GRC, up_to_date
for block in ("recording", "zmq", "packet"):
    made = yaml.safe_load(up_to_date((GRC / f"amrq_{{block}}_source.block.yml").read_text()))
    (menu,) = [entry for entry in made["parameters"] if entry["id"] == "format"]
    print(block, dict(zip(menu["options"], menu["option_labels"], strict=True)))
"""
    said = python("-c", code, environment=one_file_more).stdout.splitlines()
    assert [line.partition(" ")[0] for line in said] == ["recording", "zmq", "packet"]
    assert all("'cf64': 'cf64: raw, pairs of 64-bit floats'" in line for line in said), said
    assert ["'toy': 'toy: text, a sample a line'" in line for line in said] == [True, False, False], said


def test_no_two_readers_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import amrq.recordings

    (tmp_path / "another_recording.py").write_text(TOY.replace(".toy", ".wav"))
    monkeypatch.setattr(amrq.recordings, "__path__", [*amrq.recordings.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match=r"\.wav is read by wav_recording and by another_recording"):
        find_readers()


def test_what_names_say_is_a_format_that_is_read() -> None:
    from amrq.recordings import facts_of_name

    facts = facts_of_name("gqrx_20240517_123456_145900000_100000_fc.raw")
    assert facts is not None and facts.format in RAW_FORMATS


def test_the_page_has_every_format_and_suffix() -> None:
    page = (ROOT / "docs" / "recordings.md").read_text()
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")
    ]
    listed = {
        re.sub("`", "", row[2]): set(re.findall(r"`(\.[\w-]+)`", row[1])) for row in rows[2:] if len(row) == 4
    }
    read = {name: {suffix for suffix, format in SUFFIXES.items() if format == name} for name in FORMATS}
    assert listed == {name: suffixes for name, suffixes in read.items() if name != "auto"}
