"""GitLab's code quality report: shown in merge requests, compared with the target branch by fingerprint.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.cli.ci.problems import Problem


class Lines(Struct, frozen=True):
    begin: int


class Location(Struct, frozen=True):
    """A file, relative to the repository, and its line; 1 where no line is known."""

    path: str
    lines: Lines


class QualityIssue(Struct, frozen=True):
    """One entry of the report. fingerprint: the same as long as the problem is, whatever moves around it."""

    description: str
    check_name: str
    fingerprint: str
    severity: Literal["major", "minor"]
    location: Location


def code_quality(problems: Iterable[Problem], folder: str = "") -> list[QualityIssue]:
    """Return the report. `folder`: the project's, relative to the repository; empty: the same."""
    seen: Counter[tuple[str, ...]] = Counter()
    report = []
    for problem in problems:
        path = f"{folder}/{problem.path}" if folder else problem.path
        same = (path, problem.check, problem.place, problem.message)
        # GitLab keeps one of those that share a fingerprint.
        seen[same] += 1
        said = f"{problem.place} - {problem.message}" if problem.place else problem.message
        report.append(
            QualityIssue(
                description=said,
                check_name=f"nimbus/{problem.check}",
                fingerprint=_fingerprint(*same, str(seen[same])),
                severity="major" if problem.severity == "error" else "minor",
                location=Location(path, Lines(max(1, problem.line))),
            )
        )
    return report


def _fingerprint(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()[:32]
