"""From source files to their map files, on all cores where there is enough work. Each costs only itself."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import SourceError, StateError
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import MAPS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.html.extract.rules import Rules
    from nimbus_tasks.model.progress import Progress

#: From so many pages on, starting more processes pays: it takes about as long as 100 pages do.
WORTH_MORE_PROCESSES = 200
#: Pages that a process gets at a time: few enough to keep all busy to the end.
PAGES_A_TURN = 32
#: Larger files are no pages. KV takes 25 MiB a value, and markup is a good part of HTML.
LARGEST_PAGE = 64 * 1024 * 1024


class Extracted(Struct, frozen=True, array_like=True):
    """What one source file became, as it comes back from a process. digest: of its bytes, where they were read."""

    path: str
    map_file: str
    written: bool = False
    skipped: str = ""
    failed: bool = False
    digest: str = ""


def map_file_of(source_path: str) -> str:
    """Return where extraction writes a page's map: the same path below the maps folder."""
    parent, name = os.path.split(source_path)
    if len(name.encode("utf-8", "surrogateescape")) > 240:
        # File systems take 255 bytes a name, and `.json` and a temporary name must fit too.
        name = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return os.path.join(MAPS_FOLDER, parent, f"{name}.json")


def extract_files(paths: tuple[str, ...], rules: Rules, progress: Progress) -> Iterator[Extracted]:
    """Extract source files, in several processes where there are many; results come in the order of the files.

    Raises:
        SourceError: a process was killed.
    """
    jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if len(paths) < WORTH_MORE_PROCESSES or jobs == 1:
        for path in paths:
            yield extract_file(path, rules)
            progress.advance()
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    turns = [paths[i : i + PAGES_A_TURN] for i in range(0, len(paths), PAGES_A_TURN)]
    with ProcessPoolExecutor(jobs, initializer=_leave_interrupts_to_the_parent) as pool:
        try:
            for results in pool.map(_extract_turn, turns, [rules] * len(turns)):
                yield from results
                progress.advance(len(results))
        except BrokenProcessPool:
            raise SourceError("A process that extracts pages was killed.", "Is there enough memory?") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent may heed it in its own way


def _extract_turn(paths: tuple[str, ...], rules: Rules) -> list[Extracted]:
    return [extract_file(path, rules) for path in paths]


def extract_file(path: str, rules: Rules) -> Extracted:
    """Extract one source file and write its map, if that says anything new."""
    try:
        html = _read(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Extracted(path, "", skipped=f"cannot be read: {reason}", failed=True)
    return extract_html(path, html, rules)


def extract_html(path: str, html: bytes, rules: Rules) -> Extracted:
    """Extract one page, wherever it was read, and write its map, if that says anything new."""
    from nimbus_tasks.html.extract import Skipped, extract

    map_file = map_file_of(path)
    if len(html) > LARGEST_PAGE:
        return too_large(path)
    page = extract(path, html, rules)
    digest = digest_of(html)
    if isinstance(page, Skipped):
        return Extracted(path, "", skipped=page.reason, digest=digest)
    try:
        written = _write_if_new(map_file, msgspec.json.encode(page))
    except StateError as error:
        return Extracted(path, "", skipped=str(error), failed=True)
    return Extracted(path, map_file, written, digest=digest)


def holds(path: str, digest: str) -> bool:
    """Say whether a source file holds the bytes of this digest: a twentieth of the time that extraction takes."""
    try:
        return digest_of(_read(path)) == digest
    except OSError:
        return False


def digest_of(html: bytes) -> str:
    return hashlib.blake2b(html, digest_size=16).hexdigest()


def too_large(path: str) -> Extracted:
    return Extracted(path, "", skipped=f"larger than {LARGEST_PAGE >> 20} MiB")


def _read(path: str) -> bytes:
    # A page that was exchanged for a link or a pipe since the scan is neither followed nor waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return file.read(LARGEST_PAGE + 1)


def _write_if_new(map_file: str, content: bytes) -> bool:
    try:
        with open(map_file, "rb") as file:
            if file.read() == content:
                return False
    except OSError:
        pass  # none yet, or not readable: writing says so
    files.replace(Path(map_file), content)
    return True
