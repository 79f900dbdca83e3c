"""What can be wrong between pages, each of which is fine: two that would be stored as one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from nimbus_tasks.model.verdict import Issue, Verdict, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

#: How many of its rivals a file names. A folder copied by mistake must not give a megabyte of report.
_NAMED = 3


def cross_check(verdicts: Iterable[Verdict]) -> list[Issue]:
    """Return an error for each of the files that claim the same page; none of them may be sent.

    Maps with errors of their own count too: which of two was meant is not ours to guess.
    """
    claims: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.page_id:
            claims[verdict.page_id].append(verdict)
    contested = (rivals for rivals in claims.values() if len(rivals) > 1)
    return [_contest(verdict, rivals) for rivals in contested for verdict in rivals]


def _contest(verdict: Verdict, rivals: list[Verdict]) -> Issue:
    others = [rival for rival in rivals[: _NAMED + 1] if rival is not verdict][:_NAMED]
    more = len(rivals) - 1 - len(others)
    if all(rival.source_path == verdict.source_path for rival in rivals):
        named = _listed([printable(rival.file) for rival in (verdict, *others)], more)
        message = f"{named} describe the same page, {printable(verdict.source_path)}: keep one of them"
    else:
        named = _listed([f"{printable(r.source_path)} ({printable(r.file)})" for r in (verdict, *others)], more)
        message = f"{named} meet in one page id, {verdict.page_id}: rename one of the pages"
    return Issue(verdict.file, "/path", message)


def _listed(names: list[str], more: int) -> str:
    if more:
        return f"{', '.join(names)} and {more:,} more"
    return f"{', '.join(names[:-1])} and {names[-1]}"
