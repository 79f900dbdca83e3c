"""Map file -> verdict: the page's ids and digest, or everything that is wrong with it, at once.

    bytes --syntax--> document --rules--> findings --> verdict          many verdicts --between--> issues

Nearly every page of a site is sound, so a page is first asked one cheap question ("is anything wrong?",
answered in C and with sets); only one that fails is walked value by value, to say what, where and what to do.
Nothing here raises for any bytes, except `extraction_of` for bytes that were never found valid.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import msgspec
from msgspec import Raw

from nimbus_tasks.html.validate import rules, syntax
from nimbus_tasks.html.validate.between import cross_check
from nimbus_tasks.html.validate.paths import fault_of_path
from nimbus_tasks.model import records
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.verdict import Finding, Issue, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Issue", "Verdict", "cross_check", "extraction_of", "validate_map"]

#: A generator gone wrong breaks every block of a page. Its author needs some of those, not ten thousand.
MAX_ISSUES = 100

#: KV's limits, in bytes. Metadata is made of two ids and a time, never of the page: it cannot reach 1,024.
MAX_KEY = 512
MAX_VALUE = 25 * 1024 * 1024

#: No page record has more bytes around its extraction, its project id and its path than this.
_ENVELOPE = 1024

#: How a map without white space begins. Writers of JSON are consistent, and a look at every byte would take as
#: long as removing white space that is not there.
_COMPACT = re.compile(rb'\{"[^"\\]*":[^\s]')

_members = msgspec.json.Decoder(dict[str, Raw])


def validate_map(file: str, data: bytes, project_id: str) -> Verdict:
    """Judge one map file. The page id is empty where its path is unusable, the digest where it is invalid."""
    try:
        document = syntax.read(data)
    except syntax.UnreadableError as unreadable:
        return Verdict(file, "", "", "", len(data), _issues(file, unreadable.findings))
    path = rules.path_of(document)
    page_id = "" if fault_of_path(path) else records.page_id(project_id, path)
    size = _record_size(document, data, project_id)
    findings = [*syntax.repeated(data, document), *rules.findings(document), *_limits(size, project_id)]
    issues = _issues(file, findings)
    digest = (
        ""
        if any(issue.severity == "error" for issue in issues)
        else content_digest(cast("dict[str, object]", document))
    )
    return Verdict(file, path, page_id, digest, size, issues)


def extraction_of(data: bytes) -> Raw:
    """Return the `extraction` of a valid map's page record: the map without `path`, and without white space.

    The members stay bytes throughout: unknown fields travel along as they were written, and a page that is
    sent costs two passes in C.
    """
    members = _members.decode(data)
    del members["path"]
    encoded = msgspec.json.encode(members)
    if b"\n" in data or not _COMPACT.match(data):
        encoded = msgspec.json.format(encoded, indent=-1)
    return Raw(encoded)


def _record_size(document: object, data: bytes, project_id: str) -> int:
    """Return an upper bound of the page record's bytes; a closer one where it matters."""
    around = _ENVELOPE + len(project_id.encode())
    if len(data) + around <= MAX_VALUE or not isinstance(document, dict):
        return len(data) + around
    # The file holds the path too, so a file that fits proves that its record does; an indented one may yet.
    return len(msgspec.json.format(msgspec.json.encode(document), indent=-1)) + around


def _limits(size: int, project_id: str) -> Iterator[Finding]:
    if size > MAX_VALUE:
        advice = "split the page, or leave part of it out with data-nimbus-ignore"
        yield Finding((), f"the page record would take {size:,} bytes, KV takes {MAX_VALUE:,}: {advice}")
    key = records.status_key(project_id, "page_" + "0" * 12)  # the longest of a page's keys, whatever its id
    if len(key.encode()) > MAX_KEY:
        taken = f"{len(key.encode()):,} bytes, KV takes {MAX_KEY}"
        yield Finding((), f"the page's keys would take {taken}: use a shorter project id")


def _issues(file: str, findings: Iterable[Finding]) -> tuple[Issue, ...]:
    """Return findings as issues of a file, errors first: a cut list must not hide that a page is invalid."""
    ordered = sorted(findings, key=lambda finding: finding.severity)  # "error" < "warning"
    issues = [finding.of(file) for finding in ordered[:MAX_ISSUES]]
    if more := len(ordered[MAX_ISSUES:]):
        message = f"{more:,} more issues are not listed: mend these first, then look again"
        issues.append(Issue(file, "", message, ordered[MAX_ISSUES].severity))
    return tuple(issues)
