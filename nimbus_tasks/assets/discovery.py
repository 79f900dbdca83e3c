"""Which files belong to a site: those that its pages refer to, and those that the settings name. Their digests.

Only maps that changed are read, and only files whose stamp changed are hashed, on all cores.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.asset_file import AssetFile, MappedPage
from nimbus_tasks.assets.content_types import content_type_of, picture_size
from nimbus_tasks.model import lenient
from nimbus_tasks.project import beneath
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import CLOCK_STEP_NS, Scan, cores, is_utf8, scan, stamp_of
from nimbus_tasks.project.settings import STATE_FOLDER
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nimbus_tasks.assets.ledger import AssetLedger
    from nimbus_tasks.project.scan import Stamp
    from nimbus_tasks.project.settings import Settings, Source

#: Bytes of a file that are hashed at once.
_AT_ONCE = 1024 * 1024
#: Files that are written to the ledger at once.
_NOTED_AT_ONCE = 1000
#: Paths that are surely inside the project, and not hidden.
_PLAIN = re.compile(r"\w[\w-]*(?:[/.][\w-]+)*", re.ASCII)
#: Bytes from which on a file is worth a thread (20,000 files of 20 kB: 2.0 s in one, 4.9 s in two).
LARGE = 1024 * 1024


class Problem(Struct, frozen=True):
    """A file that cannot be uploaded, and why. failed: it should have been; otherwise it is only worth a warning."""

    path: str
    reason: str
    failed: bool = True


class Discovery(Struct):
    """Files, by path. hashed: how many were read.

    stable: a later change of any gives it another stamp. included: how many the settings name. version: of the ledger,
    when it was asked which files pages use; None: these are not the files of the site.
    """

    files: list[AssetFile] = []
    problems: list[Problem] = []
    hashed: int = 0
    stable: bool = True
    included: int = 0
    version: int | None = None

    @property
    def failed(self) -> int:
        """How many files should be uploaded and cannot be."""
        return sum(problem.failed for problem in self.problems)


class _Block(Struct):
    type: str = ""
    content: str = ""
    attributes: dict[str, str] = {}


class _Map(Struct):
    """The part of a map that is read here."""

    path: str = ""
    url: object = ""
    assets: list[str] = []
    head: dict[str, object] = {}
    above_fold_blocks: list[_Block] = []
    rest_of_page_blocks: list[_Block] = []

    def page(self, folder: str) -> MappedPage:
        from nimbus_tasks.html.extract.addresses import path_on_site, url_of

        url = path_on_site(str(self.url)) or url_of(self.path, folder)
        return MappedPage(self.path, url, str(self.head.get("title", "")))

    def alts(self, folder: str) -> dict[str, list[str]]:
        """Return the alt texts of each file that the page refers to. folder: where source paths begin."""
        from nimbus_tasks.html.extract.addresses import base_of, local_file, origin_of, url_of

        found: dict[str, list[str]] = {path: [] for path in self.assets}
        base, origin = base_of(url_of(self.path, folder), None), origin_of(str(self.head.get("canonical", "")))
        for block in (*self.above_fold_blocks, *self.rest_of_page_blocks):
            if block.type == "img" and block.content and (src := block.attributes.get("src")):
                path = local_file(base.resolve(src), {origin} - {""}, folder)
                if path in found and block.content not in found[path]:
                    found[path].append(block.content)
        return found


def note_uses(ledger: AssetLedger, source: Source | None = None) -> None:
    """Read the maps that changed, and note which files they refer to. source: where their source paths lie."""
    changed, gone = ledger.stale_maps()
    ledger.forget_maps(gone)
    for map_file, stamp in changed:
        try:
            read = msgspec.json.decode(Path(map_file).read_bytes(), type=_Map)
        except (OSError, *lenient.UNDECODABLE):
            continue  # validation says so, and the next run reads it again
        folder = source.name if source else ""
        alts = read.alts(folder)
        files = {source.file_of(path) if source else path: alt for path, alt in alts.items()}
        ledger.note_uses(map_file, stamp, read.page(folder), files)


def discover(settings: Settings, ledger: AssetLedger, advance: Callable[[int], None] = lambda _: None) -> Discovery:
    """Return the files of the site. `advance` is called with the number of files that were looked at."""
    found = Discovery(version=ledger.version())
    for some in runs(_stamped(settings, ledger, found), _NOTED_AT_ONCE):
        known = ledger.files(some)
        read = _read_all([path for path, file in known.items() if file is None])
        ledger.note_files(each.file for each in read.values() if each.file and each.stable)
        for path, file in known.items():
            if file := file or read[path].file:
                found.files.append(file)
            else:
                found.problems.append(Problem(path, read[path].reason))
        found.hashed += len(read)
        found.stable = found.stable and all(each.stable for each in read.values())
        advance(len(some))
    return found


def find_named(patterns: Iterable[str]) -> Discovery:
    """Return the files that these paths and patterns name, relative to the project; of a folder, all files below it.

    A pattern that names nothing is a problem.
    """
    found, paths = Discovery(), set[str]()
    for pattern in patterns:
        if why := _why_not(pattern.rstrip("/"), ""):
            found.problems.append(Problem(pattern, why))
            continue
        path = Path(pattern)
        named = path.rglob("*") if path.is_dir() else [path] if os.path.lexists(path) else Path().glob(pattern)
        files = [each.as_posix() for each in named if not each.is_dir()]
        paths.update(each for each in files if not _why_not(each, ""))
        if not files:
            found.problems.append(Problem(pattern, "names no file"))
    for path_, read in _read_all(sorted(paths)).items():
        if read.file is None:
            found.problems.append(Problem(path_, read.reason))
        else:
            found.files.append(read.file)
    found.hashed = len(paths)
    return found


def _stamped(settings: Settings, ledger: AssetLedger, found: Discovery) -> Iterator[tuple[str, Stamp]]:
    """Yield the files as they are now; what is no plain file goes to the problems."""
    folder, assets = settings.source.folder, settings.assets
    excluded = matcher(assets.exclude) if assets.exclude else lambda _: False
    offset = len(folder) + 1 if folder else 0
    included = included_files(settings)
    named = dict(included.files)
    found.included = len(named)
    found.problems += [Problem(odd.path, odd.reason) for odd in included.odd]
    for path in list(ledger.used()):
        if path in named or excluded(path[offset:]):
            continue
        if reason := _why_not(path, folder):
            found.problems.append(Problem(path, reason))
            continue
        try:
            named[path] = stamp_of(os.stat(path, follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            pages = ledger.pages_of(path)
            more = f" and {len(pages) - 1} more refer" if len(pages) > 1 else " refers"
            found.problems.append(Problem(path, f"was not found; {pages[0]}{more} to it", failed=False))
        except (OSError, ValueError) as error:
            found.problems.append(Problem(path, _words(error)))
    yield from sorted(named.items())


def included_files(settings: Settings) -> Scan:
    """Return the files that the settings name, and what among them is no plain file."""
    assets = settings.assets
    if not assets.include:
        return Scan({})
    return scan(settings.source.folder or ".", matcher(assets.include, assets.exclude))


def _why_not(path: str, folder: str) -> str:
    """Return why a path must not be read; empty if it may be. Maps are untrusted: other programs write them too."""
    if (not folder or path.startswith(f"{folder}/")) and _PLAIN.fullmatch(path):
        return ""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "" in parts or "\0" in path or not is_utf8(path):
        return "is no path inside the project"
    if folder and not path.startswith(f"{folder}/"):
        return f"is outside the source folder {folder}"
    if STATE_FOLDER in parts or (not folder and any(part.startswith(".") for part in parts)):
        return "is hidden, and so not published"
    return ""


# --- reading ------------------------------------------------------------------------------------------


class _Read(NamedTuple):
    """What reading a file gave: the file, or the reason why not.

    stable: a later change of the file gives it another stamp.
    """

    file: AssetFile | None
    reason: str = ""
    stable: bool = False


def _read_all(paths: Sequence[str]) -> dict[str, _Read]:
    """Read files, large ones on all cores. Threads that hash small files wait for each other most of the time."""
    large = [path for path in paths if _size_of(path) >= LARGE]
    with ThreadPoolExecutor(cores()) as pool:
        reading = dict(zip(large, pool.map(read_file, large), strict=True)) if len(large) > 1 else {}
    return {path: reading.get(path) or read_file(path) for path in paths}


def _size_of(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.lstat(path).st_size
    return 0


def read_file(path: str) -> _Read:
    """Read a plain file in the project, which no link leads to."""
    *parents, name = path.split("/")
    try:
        with beneath.folder(".", parents) as at, beneath.opened(at, name) as (descriptor, before):
            # No more than is there: memory for a whole megabyte would take longer than hashing a small file.
            beginning = chunk = os.read(descriptor, min(before.st_size + 1, _AT_ONCE))
            digest = hashlib.sha256(chunk)
            while len(chunk) == _AT_ONCE or (chunk and before.st_size >= _AT_ONCE):
                chunk = os.read(descriptor, _AT_ONCE)
                digest.update(chunk)
            content_type = content_type_of(PurePath(name), beginning)
            width, height = _picture_size(descriptor) if content_type.startswith("image/") else (0, 0)
            stamp = stamp_of(os.fstat(descriptor))
    except beneath.LinkError:
        return _Read(None, "is, or lies behind, a link: only files inside the project are read")
    except OSError as error:
        return _Read(None, _words(error))
    if stamp != stamp_of(before):
        return _Read(None, "changed while it was read: run the same command again")
    file = AssetFile(path, stamp, digest.hexdigest(), content_type, width, height)
    return _Read(file, stable=stamp[2] < time.time_ns() - CLOCK_STEP_NS)


def _picture_size(descriptor: int) -> tuple[int, int]:
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return picture_size(file)


def _words(error: OSError | ValueError) -> str:
    why = getattr(error, "strerror", None) or str(error)
    return f"cannot be read: {why.lower()}"


def remove_if_unchanged(path: str, stamp: Stamp) -> bool:
    """Remove a file that is still the one that was read; return whether it was removed."""
    *parents, name = path.split("/")
    with contextlib.suppress(OSError), beneath.folder(".", parents) as at:
        if stamp_of(os.stat(name, dir_fd=at, follow_symlinks=False)) == stamp:
            os.unlink(name, dir_fd=at)
            return True
    return False
