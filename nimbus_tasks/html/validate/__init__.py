"""Validate a map file: bytes in; the page's id and digest out, or everything that is wrong with it, at once.

In the order of the work: `syntax.py` (bytes to document), `rules.py` (errors and warnings of one page), then
`cross_check` here (pages against each other).

Nearly every page of a site is sound, so one cheap check comes first; only a page that fails it is walked value by
value, to say what is wrong, where, and what to do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, cast

import msgspec
from msgspec import Raw

from nimbus_tasks.html.addresses import path_on_site
from nimbus_tasks.html.validate import rules, syntax
from nimbus_tasks.html.validate.rules import path_error
from nimbus_tasks.model import keys
from nimbus_tasks.model.issues import Finding, Issue, Verdict, printable
from nimbus_tasks.model.page_map import content_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Issue", "Verdict", "cross_check", "extraction_of", "path_error", "validate_map"]

#: A broken generator breaks every block of a page. Some of the issues are enough to fix it.
MAX_ISSUES = 100

#: KV's limits in bytes. Metadata (1,024) cannot reach its own: it holds two ids and a time.
MAX_KEY = 512
MAX_VALUE = 25 * 1024 * 1024

#: No page record has more bytes than this around its extraction, project id and path.
_ENVELOPE = 1024

#: How a map without white space begins. JSON writers are consistent, and searching every byte would take as long as
#: removing white space.
_COMPACT = re.compile(rb'\{"[^"\\]*":[^\s]')

#: How many other files an error names. A folder copied by mistake must not give a megabyte of report.
_MAX_NAMED = 3

_members = msgspec.json.Decoder(dict[str, Raw])


def validate_map(file: str, data: bytes, project_id: str) -> Verdict:
    """Validate one map file. Never raises, whatever the bytes.

    The verdict has no page id where the path is invalid, and no digest where anything is.
    """
    try:
        document = syntax.read(data)
    except syntax.UnreadableError as unreadable:
        return Verdict(file, "", "", "", len(data), _issues(file, unreadable.findings))
    path = rules.path_of(document)
    page_id = "" if path_error(path) else keys.page_id(project_id, path)
    size = _record_size(document, data, project_id)
    findings = [*syntax.duplicate_members(data, document), *rules.findings(document), *_limits(size, project_id)]
    valid = all(finding.severity != "error" for finding in findings)
    digest = content_digest(cast("dict[str, object]", document)) if valid else ""
    return Verdict(file, path, page_id, digest, size, _issues(file, findings), _url_of(document))


def _url_of(document: object) -> str:
    url = document.get("url") if isinstance(document, dict) else None
    return path_on_site(url) if isinstance(url, str) else ""


def extraction_of(data: bytes) -> Raw:
    """Return the `extraction` of a valid map's page record: the map without `path` and without white space.

    Members stay bytes, so unknown fields are stored as they were written, and a page costs two passes in C.
    """
    members = _members.decode(data)
    del members["path"]
    encoded = msgspec.json.encode(members)
    if b"\n" in data or not _COMPACT.match(data):
        encoded = msgspec.json.format(encoded, indent=-1)
    return Raw(encoded)


def _record_size(document: object, data: bytes, project_id: str) -> int:
    """Return an upper bound of the page record's bytes; a closer one where the file is near the limit."""
    around = _ENVELOPE + len(project_id.encode())
    if len(data) + around <= MAX_VALUE or not isinstance(document, dict):
        return len(data) + around
    # An indented file may be too large although its record is not.
    return len(msgspec.json.format(msgspec.json.encode(document), indent=-1)) + around


def _limits(size: int, project_id: str) -> Iterator[Finding]:
    if size > MAX_VALUE:
        advice = "split the page, or leave part of it out with data-nimbus-ignore"
        yield Finding((), f"the page record would take {size:,} bytes, KV takes {MAX_VALUE:,}: {advice}")
    key = keys.status_key(project_id, "page_" + "0" * 12)  # the longest key of a page
    if len(key.encode()) > MAX_KEY:
        taken = f"{len(key.encode()):,} bytes, KV takes {MAX_KEY}"
        yield Finding((), f"the page's keys would take {taken}: use a shorter project id")


def _issues(file: str, findings: Iterable[Finding]) -> tuple[Issue, ...]:
    """Return findings as issues of a file, errors first: a cut list must not hide that a page is invalid."""
    ordered = sorted(findings, key=lambda finding: finding.severity)  # "error" < "warning"
    issues = [finding.of(file) for finding in ordered[:MAX_ISSUES]]
    if more := len(ordered[MAX_ISSUES:]):
        message = f"{more:,} more issues are not listed: fix these first, then run it again"
        issues.append(Issue(file, "", message, ordered[MAX_ISSUES].severity))
    return tuple(issues)


def cross_check(verdicts: Iterable[Verdict]) -> list[Issue]:
    """Return an error for each file that shares its page id with another; none of them may be sent.

    Invalid maps count too: which of two files is the right one is for the user to decide.
    """
    by_page: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.page_id:
            by_page[verdict.page_id].append(verdict)
    conflicts = (verdicts for verdicts in by_page.values() if len(verdicts) > 1)
    return [_conflict(verdict, conflict) for conflict in conflicts for verdict in conflict]


def _conflict(verdict: Verdict, conflict: list[Verdict]) -> Issue:
    others = [other for other in conflict[: _MAX_NAMED + 1] if other is not verdict][:_MAX_NAMED]
    more = len(conflict) - 1 - len(others)
    if all(other.source_path == verdict.source_path for other in conflict):
        named = _listed([printable(each.file) for each in (verdict, *others)], more)
        message = f"{named} describe the same page, {printable(verdict.source_path)}: keep one of them"
    else:
        named = _listed([f"{printable(e.source_path)} ({printable(e.file)})" for e in (verdict, *others)], more)
        message = f"{named} have the same page id, {verdict.page_id}: rename one of the pages"
    return Issue(verdict.file, "/path", message)


def _listed(names: list[str], more: int) -> str:
    if more:
        return f"{', '.join(names)} and {more:,} more"
    return f"{', '.join(names[:-1])} and {names[-1]}"
