"""A batch's report: gathered at the target in bulk, written as JSON and as a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct

from nimbus_tasks.batches.report.html import report_page
from nimbus_tasks.batches.report.report import Facts, Proposal, make_report
from nimbus_tasks.model import records
from nimbus_tasks.model.records import LogsRecord, PageStatus
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import REPORTS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.batches.report.report import Report
    from nimbus_tasks.model.records import BatchRecord
    from nimbus_tasks.publishing.target import OpenTarget


class _Optimization(Struct, frozen=True):
    optimized_blocks: Raw = Raw(b"[]")


class _Page(Struct):
    """Of a page's record what a report shows: the rest is many times as large."""

    batch_id: str = ""
    source_path: str = ""
    optimization: _Optimization = _Optimization()


async def gather(target: OpenTarget, batch: BatchRecord, advance: Callable[[int], None] = lambda _: None) -> Report:
    """Read what the target holds of a batch's pages.

    Statuses and logs, of which `advance` is told: two a page. Then the records of those for which something is
    proposed, and paths that the ledger does not know.
    """
    pages = list(batch.pages)
    statuses = await target.read([records.status_key(target.project_id, each) for each in pages], PageStatus, advance)
    logs = await target.read([records.logs_key(target.project_id, each) for each in pages], LogsRecord, advance)
    changed = [each for each, status in statuses.items() if status.result is not UNSET and status.result.changes]
    proposed = await target.read([records.page_key(target.project_id, each) for each in changed], _Page)
    # Their records have just been read: only the others need be asked for their paths.
    paths = {page_id: page.source_path for page_id, page in proposed.items() if page.source_path}
    facts = Facts(
        paths=paths | await target.paths([each for each in pages if each not in paths]),
        statuses=statuses,
        logs={page_id: log.entries for page_id, log in logs.items()},
        proposals={
            page_id: _proposals(page.optimization.optimized_blocks)
            for page_id, page in proposed.items()
            if page.batch_id == batch.batch_id  # else it was sent again since, and this is not what came of the batch
        },
    )
    return make_report(batch, facts, target.clock())


def _proposals(blocks: Raw) -> tuple[Proposal, ...]:
    try:
        return msgspec.json.decode(blocks, type=tuple[Proposal, ...])
    except msgspec.ValidationError:
        return ()  # another program's optimiser, which writes them its own way: their number is known all the same


def write(report: Report) -> tuple[str, str]:
    """Write both files of a report, each whole or not at all, and return where they are."""
    as_json, as_page = (f"{REPORTS_FOLDER}/{report.batch_id}_report.{kind}" for kind in ("json", "html"))
    files.write_json(Path(as_json), report)
    files.replace(Path(as_page), report_page(report).encode())
    return as_json, as_page
