"""The pages that `--path` names: a pattern as .gitignore has them, compared with source paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError
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
        matches = matcher([pattern.removeprefix("./")])
    except ValueError as error:
        raise SettingsError(f"--path={pattern} is not a pattern: {error}.", "Patterns are as in .gitignore.") from None
    inside = f"{folder}/"
    return lambda path: matches(path) or (path.startswith(inside) and matches(path.removeprefix(inside)))


def choose(pages: Pages, pattern: str, folder: str) -> Callable[[str], bool]:
    """Return the test, once it has matched a page.

    Raises:
        SettingsError: it matches no page.
    """
    wanted = by_path(pattern, folder)
    if pattern and not any(wanted(entry.source_path) for _, entry in pages.entries.items()):
        raise SettingsError(
            f"--path={pattern} matches none of the {len(pages.entries)} pages.",
            "Patterns are as in .gitignore: dist/blog/, about.html, *.html.",
        )
    return wanted


def chosen_ids(pages: Pages, pattern: str, folder: str) -> Iterator[str]:
    """Yield the ids of the pages that a pattern matches, the invalid ones too.

    Raises:
        SettingsError: it matches no page.
    """
    wanted = choose(pages, pattern, folder)
    return (entry.page_id for _, entry in pages.entries.items() if entry.page_id and wanted(entry.source_path))
