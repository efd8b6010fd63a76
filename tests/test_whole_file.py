# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are whole at any moment, nothing stays behind, and no link is followed."""

import os
import stat
import threading
from pathlib import Path

import pytest
from patience import PATIENCE

import amrq
from amrq.errors import AmrqError
from amrq.files import whole_file, write_whole


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "counters.prom"
    path.write_text("former")
    with whole_file(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_text() == "former"
        file.write(b" and half\n")
    assert path.read_bytes() == b"half and half\n"
    write_whole(path, "naïve\n", durable=False)
    assert path.read_bytes() == "naïve\n".encode()
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_former_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("former")
    with pytest.raises(error), whole_file(path) as file:
        file.write(b"new")
        raise error
    assert path.read_text() == "former"
    assert os.listdir(tmp_path) == [path.name]


def test_content_that_is_no_utf8_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "a.txt", "\udc80")
    assert os.listdir(tmp_path) == []


def test_links_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one at the name that others would guess, nor one at the very name, nor one at the file itself."""
    victim = tmp_path / "victim"
    victim.write_text("dear")
    path = tmp_path / "out.json"
    (tmp_path / "out.json.part").symlink_to(victim)
    path.symlink_to(victim)
    write_whole(path, "new")
    assert (victim.read_text(), path.read_text(), path.is_symlink()) == ("dear", "new", False)
    assert (tmp_path / "out.json.part").is_symlink()

    monkeypatch.setattr("secrets.token_hex", lambda length: "0" * 2 * length)
    for target in (victim, tmp_path / "dangling"):
        guessed = tmp_path / f"out.json.{'0' * 12}.part"
        guessed.symlink_to(target)
        with pytest.raises(AmrqError, match="exists"):
            write_whole(path, "newer")
        assert guessed.is_symlink()
        guessed.unlink()
    assert (victim.read_text(), path.read_text()) == ("dear", "new")
    assert not (tmp_path / "dangling").exists()


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    write_whole(path, "through")
    reader.join(PATIENCE)
    assert found == [b"through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_is_written_to_and_stays_one() -> None:
    before = os.stat("/dev/null")
    write_whole("/dev/null", "gone")
    assert os.path.samestat(before, os.stat("/dev/null"))
    with pytest.raises(AmrqError, match=r"^/dev/full cannot be written: No space left on device\.$"):
        write_whole("/dev/full", "x" * 100_000)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_permissions_are_those_of_any_new_file_and_long_names_fit(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    long = tmp_path / ("é" * 127)
    write_whole(long, "x")
    assert long.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_no_module_writes_files_beside_their_place_by_hand() -> None:
    """One place knows how; see `amrq.files`."""
    library = Path(amrq.__file__).parent
    by_hand = ("os.replace(", ".write_text(", ".write_bytes(")
    own_folder = ("simulation.py",)  # a new one of its own, which nobody else writes to
    offenders = [
        str(path.relative_to(library))
        for path in library.rglob("*.py")
        if path.name not in ("files.py", *own_folder)
        and any(words in path.read_text("utf-8") for words in by_hand)
    ]
    assert offenders == []


def test_a_pipe_that_nobody_reads_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AmrqError, match="no program reads from this pipe"):
        write_whole(tmp_path / "pipe", b"answer")
