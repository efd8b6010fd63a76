# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutated files of a kind, one after the other: only the kind's error may come out, in bounded time and memory."""

import contextlib
import functools
import random
import resource
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from files.file_kinds import FileKind
from files.mutate import MUTATORS

from amrq.errors import AmrqError

__all__ = ["FindError", "cases_of", "good_files", "try_kind", "try_one"]

SECONDS = 20
"""For one file, far more than any takes."""
MEGABYTES = 1500
"""By which one file may raise the most memory that the process has had."""


class FindError(AssertionError):
    """A file that does what it should not."""


class Hang(BaseException):
    """Time is up; nothing that catches exceptions takes it for one of a parser's."""


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def over(*_: object) -> None:
        raise Hang

    former = signal.signal(signal.SIGALRM, over)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def good_files(kind: FileKind, folder: Path) -> tuple[Path, dict[Path, bytes]]:
    """Return the file that is read, and all files of an example, by path in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    main = kind.make(folder).relative_to(folder)
    kind.read(folder / main)  # it is a good one
    return main, {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def try_one(kind: FileKind, path: Path, what: str) -> None:
    """Read a file; raise `FindError` where something else than a sentence comes out."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with _in_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(path)
    except AmrqError as error:
        said = str(error)
        if not said.isprintable() or not said.strip() or len(said) > 3000:
            raise FindError(f"{kind.name}, {what}: it says {said[:500]!r}") from None
        if not isinstance(error, kind.error):
            raise FindError(
                f"{kind.name}, {what}: {type(error).__name__}, not {kind.error.__name__}"
            ) from error
    except Hang:
        raise FindError(f"{kind.name}, {what}: no end after {SECONDS} s") from None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise FindError(f"{kind.name}, {what}: {type(error).__name__}: {error}") from error
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    if more > MEGABYTES:
        raise FindError(f"{kind.name}, {what}: it took {more} MB")


def cases_of(kind: FileKind, folder: Path, seed: int, count: int) -> Iterator[Callable[[], None]]:
    """Write one mutated example after the other; each is tried by calling what comes out."""
    main, good = good_files(kind, folder)
    changing = {path: name for path in good for pattern, name in kind.mutators.items() if path.match(pattern)}
    assert changing, kind.name
    for case in range(count):
        generator = random.Random(f"{kind.name} {seed} {case}")
        path = generator.choice(list(changing))
        for other in changing:
            (folder / other).write_bytes(good[other])
        (folder / path).write_bytes(MUTATORS[changing[path]](good[path], generator))
        yield functools.partial(try_one, kind, folder / main, f"case {case} of seed {seed}")


def try_kind(kind: FileKind, folder: Path, seed: int, count: int) -> None:
    """Try so many mutated files. What is found lies in the folder, and its sentence names the case.

    Raises:
        FindError: a file did what it should not.
    """
    for case in cases_of(kind, folder, seed, count):
        case()
