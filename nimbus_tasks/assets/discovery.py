"""Which files belong to a site: those that its pages refer to, and those that the settings name.

Only files whose stamp changed are read.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.assets.asset_file import AssetFile
from nimbus_tasks.assets.content_types import UNKNOWN, is_named_like_picture
from nimbus_tasks.assets.digests import read_all, size_of, why
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import Scan, is_utf8, scan, stamp_of
from nimbus_tasks.project.settings import STATE_FOLDER
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from nimbus_tasks.assets.ledger import AssetLedger
    from nimbus_tasks.project.scan import Stamp
    from nimbus_tasks.project.settings import Settings

#: Files that are read and then written to the ledger at once: it waits for the disk each time.
_AT_ONCE = 4000
#: Paths that are surely inside the project, and not hidden.
_PLAIN = re.compile(r"\w[\w-]*(?:[/.][\w-]+)*", re.ASCII)


class Problem(Struct, frozen=True):
    """What is wrong with a file. failed: it should be uploaded and cannot be; otherwise it is only worth a warning.

    sent: it is uploaded nevertheless.
    """

    path: str
    reason: str
    failed: bool = True
    sent: bool = False


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

    def add(self, file: AssetFile) -> None:
        """Add a file that was read."""
        self.files.append(file)
        if file.content_type == UNKNOWN and is_named_like_picture(file.path):
            why_odd = f"is named like a picture, and its bytes are none that browsers show: it is sent as {UNKNOWN}"
            self.problems.append(Problem(file.path, why_odd, failed=False, sent=True))


def discover(settings: Settings, ledger: AssetLedger, advance: Callable[[int], None] = lambda _: None) -> Discovery:
    """Return the files of the site. `advance` is called with the number of files that were looked at."""
    found = Discovery(version=ledger.version())
    for some in runs(_stamped(settings, ledger, found), _AT_ONCE):
        known = ledger.files(some)
        read = read_all({path: stamp[1] for path, stamp in some if known[path] is None})
        ledger.note_files(each.file for each in read.values() if each.file and each.stable)
        for path, file in known.items():
            if file := file or read[path].file:
                found.add(file)
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
        if reason := _why_not(pattern.rstrip("/"), ""):
            found.problems.append(Problem(pattern, reason))
            continue
        path = Path(pattern)
        named = path.rglob("*") if path.is_dir() else [path] if os.path.lexists(path) else Path().glob(pattern)
        files = [each.as_posix() for each in named if not each.is_dir()]
        paths.update(each for each in files if not _why_not(each, ""))
        if not files:
            found.problems.append(Problem(pattern, "names no file"))
    for path_, read in read_all({path: size_of(path) for path in sorted(paths)}).items():
        if read.file is None:
            found.problems.append(Problem(path_, read.reason))
        else:
            found.add(read.file)
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
    found.problems += [Problem(skipped.path, skipped.reason) for skipped in included.skipped]
    if assets.include and not (named or included.skipped):
        found.problems.append(Problem("[assets] include", f"matches no file in `{folder or '.'}`", failed=False))
    for path in list(ledger.used()):
        if path in named or excluded(path[offset:]):
            continue
        if reason := _why_not(path, folder):
            found.problems.append(Problem(path, reason))
            continue
        try:
            status = os.stat(path, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode) or not _is_page(path):
                named[path] = stamp_of(status)
        except (FileNotFoundError, NotADirectoryError):
            if _is_page(path):
                continue
            pages = ledger.pages_of(path)
            more = f" and {len(pages) - 1} more refer" if len(pages) > 1 else " refers"
            found.problems.append(Problem(path, f"was not found; {pages[0]}{more} to it", failed=False))
        except (OSError, ValueError) as error:
            found.problems.append(Problem(path, why(error)))
    yield from sorted(named.items())


def _is_page(path: str) -> bool:
    """Return whether a server would give a page at this address: `/v1.x`, `/about.us`."""
    return any(Path(f"{path}{end}").is_file() for end in (".html", "/index.html"))


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
