"""Read and replace pages on disk: atomically, never through a link, never outside of the site's folder.

The site's folder, and another one to write to, may themselves be links: the user named them. They are resolved once;
from then on a link in any part of a path is refused, also one that is put there between two calls.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from nimbus_tasks.model.errors import SourceError, StateError
from nimbus_tasks.project import atomic, beneath
from nimbus_tasks.project.files import reason_of
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BACKUP_FOLDER = f"{STATE_FOLDER}/backup"
_LARGEST = 64 * 1024 * 1024


class Site(Struct, frozen=True):
    """The folder of the pages as it was at the start.

    root: the project. folder: relative to it. real, state, output: real paths of the folder, of `.nimbus` and of
    another folder to write to (empty: in place). named: the folder as source paths name it.
    """

    root: str
    folder: str
    real: str
    state: str
    output: str = ""
    named: str = ""


def open_site(root: Path, folder: str, output: str = "", *, named: str = "") -> Site:
    """Resolve the folders of a run. named: the folder as source paths name it; empty: by its own name.

    Raises:
        SourceError: the other folder is, or lies in, the folder of the site.
    """
    real, other = os.path.realpath(root / folder), os.path.realpath(output) if output else ""
    if other and Path(other).is_relative_to(real):
        where = "is" if other == real else f"lies in {folder},"
        raise SourceError(f"{output} {where} the folder of the pages.", "Name a folder outside of it.")
    return Site(str(root), folder, real, os.path.realpath(root / STATE_FOLDER), other, named or folder)


def read_page(site: Site, path: str) -> bytes:
    """Return the bytes of a page. `path` is relative to the project.

    Raises:
        SourceError: the page is not a plain file in the folder, or cannot be read.
    """
    return _in_page_folder(site, path, lambda at, name: _read(at, name, path)[0])


def replace_page(site: Site, path: str, before: bytes, after: bytes, stamp: str) -> Path:
    """Replace a page, and return its backup: `.nimbus/backup/STAMP/PATH`. Both are on the disk then.

    Raises:
        SourceError: the page is not a plain file in the folder, or differs from `before`.
        StateError: it cannot be written.
    """
    backup = Path(site.root) / BACKUP_FOLDER / stamp / path
    parts = ("backup", stamp, *PurePosixPath(path).parts)

    def replace(at: int, name: str) -> None:
        found, status = _read(at, name, path)
        if found != before:
            raise SourceError(f"{path} has changed in the meantime.", "Run the command again.")
        mode = stat.S_IMODE(status.st_mode)
        try:
            with beneath.real_folder(site.state, parts[:-1], create=True) as kept:
                # Two runs may have the same stamp: the first backup holds the original page.
                if not beneath.exists(kept, name):
                    place = atomic.Place(kept, site.state, parts[:-1], site.state)
                    atomic.write(place, name, before, mode, durable=True)
        except OSError as error:
            raise _not_written(str(backup), error) from None
        try:
            place = atomic.Place(at, site.real, _parts_of(site, path)[:-1], site.state)
            atomic.write(place, name, after, mode, durable=True)
        except OSError as error:
            raise _not_written(path, error) from None

    _in_page_folder(site, path, replace)
    return backup


def put_page(site: Site, path: str, after: bytes) -> Path:
    """Write a page to the same place in the other folder, with the same mode, and return the new path.

    Raises:
        SourceError: a link leads out of the other folder.
        StateError: it cannot be written.
    """
    mode = stat.S_IMODE(_in_page_folder(site, path, lambda at, name: _read(at, name, path)[1]).st_mode)
    parts = _parts_of(site, path)
    target = Path(site.output, *parts)
    try:
        with beneath.real_folder(site.output, parts[:-1], create=True) as at:
            if beneath.is_link(at, parts[-1]):
                raise SourceError(f"{target} is, or lies behind, a link.", "Remove the link.")
            atomic.write(atomic.Place(at, site.output, parts[:-1], site.state), parts[-1], after, mode)
    except beneath.LinkError:
        raise SourceError(f"{target} is, or lies behind, a link.", "Remove the link.") from None
    except OSError as error:
        raise _not_written(str(target), error) from None
    return target


def _in_page_folder(site: Site, path: str, work: Callable[[int, str], T]) -> T:
    """Open the folder of a page and work on the page in it. A link in its path is refused."""
    parts = _parts_of(site, path)
    try:
        with beneath.real_folder(site.real, parts[:-1]) as at:
            return work(at, parts[-1])
    except beneath.LinkError:
        raise SourceError(f"{path} is, or lies behind, a link.", "Only plain files are read and changed.") from None
    except beneath.NotPlainError:
        raise SourceError(f"{path} is not a plain file.") from None
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {reason_of(error)}.") from None


def _parts_of(site: Site, path: str) -> tuple[str, ...]:
    """Return the parts of a page's path below the folder. Only paths as extraction writes them are right."""
    parts = PurePosixPath(path).parts
    if not parts or str(PurePosixPath(path)) != path or path.startswith("/") or ".." in parts or "\0" in path:
        raise SourceError(f"{path!r} is not the path of a page.")
    folder = PurePosixPath(site.named or site.folder).parts
    if parts[: len(folder)] != folder:
        raise SourceError(f"{path} is not in {site.named or site.folder}, the folder of the pages.")
    if parts == folder:
        raise SourceError(f"{path} is not a plain file.")
    return parts[len(folder) :]


def _read(at: int, name: str, path: str) -> tuple[bytes, os.stat_result]:
    html, status = beneath.read(at, name, _LARGEST + 1)
    if len(html) > _LARGEST:
        raise SourceError(f"{path} is larger than {_LARGEST >> 20} MiB.")
    return html, status


def _not_written(path: str, error: OSError) -> StateError:
    return StateError(f"{path} cannot be written: {reason_of(error)}.", "Free space or fix its permissions.")
