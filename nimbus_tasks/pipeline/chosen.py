"""The pages that `--path` chooses: a pattern as .gitignore has them, compared with source paths, or a page's id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.page_names import from_project, is_page_id, nearest_pages
from nimbus_tasks.project.patterns import matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nimbus_tasks.project.manifest import Pages


def by_path(pattern: str, folder: str) -> Callable[[str], bool]:
    """Return a test for source paths, from the project's folder or from the source folder on; without a pattern, all.

    Raises:
        SettingsError: it is no pattern.
    """
    if not pattern:
        return lambda _: True
    try:
        matches = matcher([_from_project(pattern)])
    except ValueError as error:
        raise SettingsError(f"--path={pattern} is not a pattern: {error}.", "Patterns are as in .gitignore.") from None
    inside = f"{folder}/"
    return lambda path: matches(path) or (path.startswith(inside) and matches(path.removeprefix(inside)))


def _from_project(pattern: str) -> str:
    """Return a pattern without `./`. An absolute path beneath the project is one from the project on."""
    inside = from_project(pattern) if pattern.startswith("/") else "/"
    return pattern.removeprefix("./") if inside == "." or inside.startswith("/") else f"/{inside}"


def choose(pages: Pages, pattern: str, folder: str) -> Callable[[str], bool]:
    """Return the test, once it has matched a page.

    Raises:
        SettingsError: it matches no page; names the nearest.
    """
    if is_page_id(pattern) and (chosen := pages.of_page(pattern)) is not None:
        return lambda path: path == chosen.source_path
    wanted = by_path(pattern, folder)
    if pattern and not any(wanted(entry.source_path) for _, entry in pages.entries.items()):
        hint = "Patterns are as in .gitignore: dist/blog/, about.html, *.html."
        if not set(pattern) & set("*?[!#") and not pattern.endswith("/"):
            near = nearest_pages(from_project(pattern), (entry.source_path for entry in pages.entries.values()), folder)
            hint = f"Nearest: {', '.join(near)}." if near else hint
        raise SettingsError(f"--path={pattern} matches none of the {len(pages.entries)} pages.", hint)
    return wanted


def chosen_ids(pages: Pages, pattern: str, folder: str) -> Iterator[str]:
    """Yield the ids of the pages that a pattern matches, the invalid ones too.

    Raises:
        SettingsError: it matches no page.
    """
    wanted = choose(pages, pattern, folder)
    return (entry.page_id for _, entry in pages.entries.items() if entry.page_id and wanted(entry.source_path))
