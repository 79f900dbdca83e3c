"""Problems at the file of the repository where a person would fix them: GitHub annotations, GitLab code quality.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nimbus_tasks.model.issues import Severity, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.publishing.outcome import PageResult

Check = Literal["invalid-page", "page-warning", "unreadable-page", "failed-upload"]

#: GitHub shows this many annotations of one severity for each step.
MAX_ANNOTATIONS = 10
#: Messages in one annotation.
MAX_MESSAGES = 5

_TITLES: dict[Check, str] = {
    "invalid-page": "Page is invalid",
    "page-warning": "Page can be better",
    "unreadable-page": "Page cannot be read",
    "failed-upload": "Page was not uploaded",
}


class Problem(Struct, frozen=True):
    """One problem of one file.

    path: relative to the project.
    place: a JSON pointer into the page's map; empty where the problem is not in the map.
    line, column: from 1; 0 where unknown.
    """

    path: str
    check: Check
    severity: Severity
    message: str
    place: str = ""
    line: int = 0
    column: int = 0

    @property
    def text(self) -> str:
        return f"{self.place} - {self.message}" if self.place else self.message

    def path_in(self, folder: str) -> str:
        """Return the path relative to the repository. `folder` is the project's; empty: the same."""
        return f"{folder}/{self.path}" if folder else self.path


def of_issues(issues: Iterable[Issue], sources: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the issues that validation found. `sources`: map file -> page, for the maps that extraction made.

    Such a map is not in the repository: its page is named instead, where the issue's line means nothing.
    """
    for issue in issues:
        check: Check = "invalid-page" if issue.severity == "error" else "page-warning"
        path = sources.get(issue.file)
        line, column = (issue.line, issue.column) if path is None else (0, 0)
        named = printable(issue.file if path is None else path)
        yield Problem(named, check, issue.severity, issue.message, issue.pointer, line, column)


def of_failures(pages: Iterable[PageResult]) -> Iterator[Problem]:
    """Yield the failed pages. Invalid pages are left out: their issues say more."""
    for page in pages:
        if page.result == "failed":
            check: Check = "failed-upload" if page.page_id else "unreadable-page"
            yield Problem(printable(page.path), check, "error", page.error)


def annotation_commands(
    problems: Iterable[Problem], report: str, room: int = MAX_ANNOTATIONS, folder: str = ""
) -> list[str]:
    """Return a GitHub workflow command for each file.

    Args:
        problems: all of one severity.
        report: the file that lists all of them.
        room: how many annotations GitHub will still show. With more files than that, the last one counts the rest.
        folder: the project's, relative to the repository; empty: the same.
    """
    by_file: dict[tuple[str, Check], list[Problem]] = {}
    for problem in problems:
        by_file.setdefault((problem.path, problem.check), []).append(problem)
    groups = list(by_file.values())
    shown = groups if len(groups) <= room else groups[: max(0, room - 1)]
    commands = [_annotation(group, folder) for group in shown]
    left = len(groups) - len(shown)
    if left and room > 0:
        kind = groups[0][0].severity
        commands.append(_command(kind, {"title": f"{left} more"}, f"{left} more: {report} lists all of them."))
    return commands


def _annotation(group: Sequence[Problem], folder: str) -> str:
    first = group[0]
    properties = {"file": first.path_in(folder)}
    if first.line:
        properties |= {"line": str(first.line)}
        properties |= {"col": str(first.column)} if first.column else {}
    properties["title"] = _TITLES[first.check]
    messages = [each.text for each in group[:MAX_MESSAGES]]
    if len(group) > MAX_MESSAGES:
        messages.append(f"… and {len(group) - MAX_MESSAGES} more")
    return _command(first.severity, properties, "\n".join(messages))


def _command(kind: str, properties: dict[str, str], message: str) -> str:
    values = ((name, _escaped(value).replace(":", "%3A").replace(",", "%2C")) for name, value in properties.items())
    return f"::{kind} {','.join(f'{name}={value}' for name, value in values)}::{_escaped(message)}"


def _escaped(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


class Lines(Struct, frozen=True):
    begin: int


class Location(Struct, frozen=True):
    """A file, relative to the repository, and its line; 1 where unknown."""

    path: str
    lines: Lines


class QualityIssue(Struct, frozen=True):
    """One entry of GitLab's report. fingerprint: stays the same as long as the problem does."""

    description: str
    check_name: str
    fingerprint: str
    severity: Literal["major", "minor"]
    location: Location


def code_quality(problems: Iterable[Problem], folder: str = "") -> list[QualityIssue]:
    """Return GitLab's report. `folder`: the project's, relative to the repository; empty: the same."""
    seen: Counter[tuple[str, ...]] = Counter()
    report = []
    for problem in problems:
        path = problem.path_in(folder)
        same = (path, problem.check, problem.place, problem.message)
        # GitLab keeps only one of the entries that share a fingerprint.
        seen[same] += 1
        fingerprint = "\0".join([*same, str(seen[same])]).encode("utf-8", "backslashreplace")
        report.append(
            QualityIssue(
                description=problem.text,
                check_name=f"nimbus/{problem.check}",
                fingerprint=hashlib.sha256(fingerprint).hexdigest()[:32],
                severity="major" if problem.severity == "error" else "minor",
                location=Location(path, Lines(max(1, problem.line))),
            )
        )
    return report
