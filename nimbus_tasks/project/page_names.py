"""The page that a name on the command line means, by one rule for all commands.

A name is a page id, or the path of the page's HTML: from the project's folder on, from the source folder on, or
absolute.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.model import keys
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.settings import Settings, Source

_PAGE_ID = re.compile(r"page_[0-9a-f]{12}")


class NamedPage(Struct, frozen=True):
    """A page that a name may mean. source_path: empty where only the id is known. here: this machine has it."""

    page_id: str
    source_path: str
    here: bool


def named_pages(name: str, settings: Settings, pages: Pages, files: Iterable[str] = ()) -> list[NamedPage]:
    """Return the page that a name means; where this machine knows none, those that it may mean, the likeliest first.

    files: HTML that extraction knows, for the id of a page whose map was not validated so far.

    Raises:
        SettingsError: the name is empty.
    """
    if not name:
        raise SettingsError("Name a page with --path.", "It is the path of its HTML, such as dist/index.html.")
    project, source = settings.project.id, settings.source
    if is_page_id(name):
        entry = pages.of_page(name)
        paths = [entry.source_path] if entry else map(source.source_path, files)
        path = next((path for path in paths if keys.page_id(project, path) == name), "")
        return [NamedPage(name, path, bool(path))]
    named = []
    for path in source_paths(name, source):
        page_id = keys.page_id(project, path)
        page = NamedPage(page_id, path, _has_html(path, source) or pages.of_page(page_id) is not None)
        if page.here:
            return [page]
        named.append(page)
    return named


def is_page_id(name: str) -> bool:
    return _PAGE_ID.fullmatch(name) is not None


def source_paths(name: str, source: Source) -> list[str]:
    """Return the source paths that a path may mean: as it is, and inside the source folder."""
    path = from_project(name)
    return list(dict.fromkeys([source.source_path(path), posixpath.normpath(posixpath.join(source.name, path))]))


def from_project(path: str) -> str:
    """Return a path as seen from the project's folder, without `./`. An absolute one that leads elsewhere stays so."""
    if path.startswith("/"):
        here = Path.cwd()
        real = Path(os.path.realpath(Path(path).parent), Path(path).name)
        for each in (Path(os.path.normpath(path)), real):
            if each.is_relative_to(here):
                return each.relative_to(here).as_posix()
    return posixpath.normpath(path)


def no_page(name: str, known: Iterable[str], source: Source, where: str = "") -> SettingsError:
    """Return the error for a name that means no page, with the known source paths that are nearest."""
    near = nearest_pages(source_paths(name, source)[0], known, source.name)
    hint = f"Nearest: {', '.join(near)}." if near else "No page is known here yet: run doit upload."
    return SettingsError(f"There is no page {name}{where}.", hint)


def nearest_pages(path: str, known: Iterable[str], folder: str) -> list[str]:
    """Return the most similar of the known source paths. The folder that they share says nothing."""
    inside = {each.removeprefix(f"{folder}/"): each for each in known if each}
    return [inside[name] for name in closest(path.removeprefix(f"{folder}/"), inside)]


def _has_html(source_path: str, source: Source) -> bool:
    file = source.file_of(source_path)
    return (source.folder == "." or file.startswith(f"{source.folder}/")) and os.path.lexists(file)
