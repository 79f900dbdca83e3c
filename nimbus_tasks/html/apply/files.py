"""Read and replace pages on disk: atomically, never through a link, never outside of the site's folder."""

from __future__ import annotations

import contextlib
import os
import stat
from difflib import unified_diff
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.markup import UnsafeChangeError
from nimbus_tasks.html.apply.source import codec_of
from nimbus_tasks.model.errors import SourceError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKUP_FOLDER = ".nimbus/backup"
_LARGEST = 64 * 1024 * 1024


def read_page(root: Path, folder: str, path: str) -> bytes:
    """Return the bytes of a page. `folder` (the site) and `path` are relative to the project at `root`.

    Raises:
        SourceError: the page is not a plain file in the folder, or cannot be read.
    """
    return _read(_inside(root, folder, path), path)


def replace_page(root: Path, folder: str, path: str, before: bytes, after: bytes, stamp: str) -> Path:
    """Replace a page, and return its backup: `.nimbus/backup/STAMP/PATH`.

    Raises:
        SourceError: the page is not a plain file in the folder, or differs from `before`.
        StateError: it cannot be written.
    """
    page = _inside(root, folder, path)
    if _read(page, path) != before:
        raise SourceError(f"{path} has changed in the meantime.", "Run the command again.")
    mode = stat.S_IMODE(page.stat().st_mode)
    backup = root / BACKUP_FOLDER / stamp / path
    # Two runs may have the same stamp: the first backup holds the original page.
    if not backup.exists():
        _write(backup, before, mode)
    _write(page, after, mode)
    return backup


def put_page(root: Path, folder: str, path: str, after: bytes, output: Path) -> Path:
    """Write a page to the same place in another folder, with the same mode, and return the new path.

    Raises:
        SourceError: the other folder is within the site's, or a link leads out of it.
        StateError: it cannot be written.
    """
    page = _inside(root, folder, path)
    check_output(root, folder, output)
    parts = page.relative_to(root / folder).parts
    target = output.joinpath(*parts)
    if any(link.is_symlink() for link in _down(output, parts)):
        raise SourceError(f"{target} is, or lies behind, a link.", "Remove the link.")
    _write(target, after, stat.S_IMODE(page.stat().st_mode))
    return target


def check_output(root: Path, folder: str, output: Path) -> None:
    """Raise SourceError where the output folder is, or lies in, the folder of the site."""
    if output.resolve().is_relative_to((root / folder).resolve()):
        where = "is" if output.resolve() == (root / folder).resolve() else f"lies in {folder},"
        raise SourceError(f"{output} {where} the folder of the pages.", "Name a folder outside of it.")


def diff(path: str, before: bytes, after: bytes) -> str:
    """Return the changes of a page as `diff -u` prints them."""
    codec = "latin-1"
    with contextlib.suppress(UnsafeChangeError):
        codec = codec_of(before)
    old, new = (_lines(html.decode(codec, "backslashreplace")) for html in (before, after))
    found = unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in found)


def _lines(html: str) -> list[str]:
    *lines, last = html.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])


def _inside(root: Path, folder: str, path: str) -> Path:
    """Return the path of a page. Raise SourceError unless it is a plain file in the folder, not behind a link."""
    parts = PurePosixPath(path).parts
    # Only paths as extraction writes them: relative and normalised.
    if str(PurePosixPath(path)) != path or path.startswith("/") or ".." in parts or "\0" in path:
        raise SourceError(f"{path!r} is not the path of a page.")
    page = root / path
    if not page.is_relative_to(root / folder):
        raise SourceError(f"{path} is not in {folder}, the folder of the pages.")
    # The folder itself may be a link: the user set it.
    if any(link.is_symlink() for link in _down(root / folder, page.relative_to(root / folder).parts)):
        raise SourceError(f"{path} is, or lies behind, a link.", "Only plain files are changed.")
    if not page.is_file():
        raise SourceError(f"{path} does not exist." if not page.exists() else f"{path} is not a plain file.")
    return page


def _down(start: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    for part in parts:
        start /= part
        yield start


def _read(page: Path, path: str) -> bytes:
    try:
        # Do not follow a link or wait for a pipe that has taken the page's place since the check.
        descriptor = os.open(page, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            html = file.read(_LARGEST + 1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    if len(html) > _LARGEST:
        raise SourceError(f"{path} is larger than {_LARGEST >> 20} MiB.")
    return html


def _write(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_name(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # 0600 until the mode is set: never readable for others if the page is not.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise StateError(f"{path} cannot be written: {reason}.", "Free space or fix its permissions.") from None
