"""What is wrong, at the file of the repository where a person would mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nimbus_tasks.model.issues import Severity, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.publishing.outcome import PageResult

Check = Literal["invalid-page", "page-warning", "unreadable-page", "failed-upload"]


class Problem(Struct, frozen=True):
    """One problem of one file.

    path: relative to the project.
    place: where in the page's map, as a JSON pointer; empty where the map is not what is wrong.
    line, column: from 1; 0 where they are not known.
    """

    path: str
    check: Check
    severity: Severity
    message: str
    place: str = ""
    line: int = 0
    column: int = 0


def of_issues(issues: Iterable[Issue], sources: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what validation found. `sources`: map file -> page, of the maps that extraction made.

    Such a map is no file of the repository: its page is named, of which the issue's line says nothing.
    """
    for issue in issues:
        check: Check = "invalid-page" if issue.severity == "error" else "page-warning"
        path = sources.get(issue.file)
        if path is None:
            place, line, column = issue.pointer, issue.line, issue.column
            yield Problem(printable(issue.file), check, issue.severity, issue.message, place, line, column)
        else:
            yield Problem(printable(path), check, issue.severity, issue.message, issue.pointer)


def of_failures(pages: Iterable[PageResult]) -> Iterator[Problem]:
    """Yield what failed. Invalid pages are not among it: their issues say more."""
    for page in pages:
        if page.result == "failed":
            check: Check = "failed-upload" if page.page_id else "unreadable-page"
            yield Problem(printable(page.path), check, "error", page.error)
