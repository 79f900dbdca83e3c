"""JUnit XML with a test case for each page. Follows the schema of Jenkins, the strictest of its readers.

https://github.com/jenkinsci/xunit-plugin, junit-10.xsd
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.publishing.outcome import PageResult

#: Characters that XML 1.0 forbids even when escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FAILED = ("failed", "invalid")
_SKIPPED = ("skipped", "waiting")


def junit(pages: Sequence[PageResult], issues: Iterable[Issue], started: str) -> str:
    """Return the report: the result of each page, and the issues of its map.

    Args:
        pages: of the whole site.
        issues: of their maps; errors become the failure of a test case, warnings its output.
        started: ISO 8601.
    """
    issues_of: dict[str, list[Issue]] = defaultdict(list)
    for issue in issues:
        issues_of[issue.file].append(issue)
    cases = [_case(page, issues_of.get(page.map_file, [])) for page in pages]
    failed = sum(page.result in _FAILED for page in pages)
    skipped = sum(page.result in _SKIPPED for page in pages)
    counts = _attributes(tests=str(len(pages)), failures=str(failed), errors="0")
    seconds = f"{sum(page.ms for page in pages) / 1000:.3f}"
    suite = _attributes(name="nimbus", skipped=str(skipped), time=seconds, timestamp=started[:19])
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="nimbus"{counts} time="{seconds}">',
            f"<testsuite{suite}{counts}>",
            *cases,
            "</testsuite>",
            "</testsuites>\n",
        ]
    )


def _case(page: PageResult, issues: Sequence[Issue]) -> str:
    classname = page.path.rpartition("/")[0] or "."
    # Jenkins' schema has no `file` attribute.
    start = f"<testcase{_attributes(name=page.path, classname=classname, time=f'{page.ms / 1000:.3f}')}>"
    inside = ""
    if page.result in _FAILED:
        messages = [_line(issue) for issue in issues if issue.severity == "error"] or [page.error]
        inside += (
            f"<failure{_attributes(message=messages[0], type=page.result)}>{_text(chr(10).join(messages))}</failure>"
        )
    elif page.result in _SKIPPED:
        inside += f"<skipped{_attributes(message=page.error or 'left for later')}/>"
    if warnings := [f"warning: {_line(issue)}" for issue in issues if issue.severity == "warning"]:
        inside += f"<system-out>{_text(chr(10).join(warnings))}</system-out>"
    return f"{start}{inside}</testcase>"


def _line(issue: Issue) -> str:
    place = f" {issue.pointer}" if issue.pointer else ""
    return f"{issue.file}{place} - {issue.message}"


def _attributes(**values: str) -> str:
    return "".join(f" {name}={quoteattr(_allowed(value))}" for name, value in values.items())


def _text(text: str) -> str:
    return escape(_allowed(text))


def _allowed(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
