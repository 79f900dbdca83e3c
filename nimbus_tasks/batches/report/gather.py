"""Gathers a batch's report from the target in bulk, and writes it as JSON and as HTML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET, Raw, Struct, UnsetType

from nimbus_tasks.batches.report.html import report_page
from nimbus_tasks.batches.report.report import Facts, make_report
from nimbus_tasks.model import keys
from nimbus_tasks.model.changes import read_optimization
from nimbus_tasks.model.records import LogsRecord, PageStatus
from nimbus_tasks.project import files
from nimbus_tasks.project.secrets import hide
from nimbus_tasks.project.settings import REPORTS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.batches.report.report import Report
    from nimbus_tasks.model.records import BatchRecord
    from nimbus_tasks.publishing.target import OpenTarget


class _Page(Struct):
    """The part of a page record that a report shows; the rest is many times as large."""

    batch_id: str = ""
    source_path: str = ""
    optimization: Raw | UnsetType = UNSET


async def gather(target: OpenTarget, batch: BatchRecord, advance: Callable[[int], None] = lambda _: None) -> Report:
    """Return the report of a batch.

    Reads the status and log of each page, the record of each page with proposals, and paths that the ledger lacks.
    `advance` receives the number of statuses and logs read.
    """
    pages = list(batch.pages)
    statuses = await target.read([keys.status_key(target.project_id, each) for each in pages], PageStatus, advance)
    logs = await target.read([keys.logs_key(target.project_id, each) for each in pages], LogsRecord, advance)
    changed = [each for each, status in statuses.items() if status.result is not UNSET and status.result.changes]
    proposed = await target.read([keys.page_key(target.project_id, each) for each in changed], _Page)
    paths = {page_id: page.source_path for page_id, page in proposed.items() if page.source_path}
    facts = Facts(
        paths=paths | await target.paths([each for each in pages if each not in paths]),
        statuses=statuses,
        logs={page_id: log.entries for page_id, log in logs.items()},
        proposals={
            page_id: optimization.optimized_blocks
            for page_id, page in proposed.items()
            # A page sent again since holds the proposals of its later batch.
            if page.batch_id == batch.batch_id and (optimization := read_optimization(page.optimization))
        },
    )
    return make_report(batch, facts, target.clock())


def write(report: Report) -> tuple[str, str]:
    """Write both files, each atomically, and return their paths."""
    as_json, as_page = (f"{REPORTS_FOLDER}/{report.batch_id}_report.{kind}" for kind in ("json", "html"))
    files.write_json(Path(as_json), report)
    files.replace(Path(as_page), hide(report_page(report)).encode())
    return as_json, as_page
