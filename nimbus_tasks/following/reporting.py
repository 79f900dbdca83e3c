"""A batch's report: gathered at the target in bulk, written as JSON and as a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks import files, records
from nimbus_tasks.batches.report import Facts, make_report
from nimbus_tasks.batches.report_page import report_page
from nimbus_tasks.records import LogsRecord, PageStatus
from nimbus_tasks.settings import REPORTS_FOLDER

if TYPE_CHECKING:
    from nimbus_tasks.batches.report import Report
    from nimbus_tasks.following.target import OpenTarget
    from nimbus_tasks.records import BatchRecord


async def gather(target: OpenTarget, batch: BatchRecord) -> Report:
    """Read what the target holds of a batch's pages: statuses, logs, and paths that the ledger does not know."""
    pages = list(batch.pages)
    statuses = await target.read([records.status_key(target.project_id, each) for each in pages], PageStatus)
    logs = await target.read([records.logs_key(target.project_id, each) for each in pages], LogsRecord)
    facts = Facts(
        paths=await target.paths(pages),
        statuses=statuses,
        logs={page_id: log.entries for page_id, log in logs.items()},
    )
    return make_report(batch, facts, target.clock())


def write(report: Report) -> tuple[str, str]:
    """Write both files of a report, each whole or not at all, and return where they are."""
    as_json, as_page = (f"{REPORTS_FOLDER}/{report.batch_id}_report.{kind}" for kind in ("json", "html"))
    files.write_json(Path(as_json), report)
    files.replace(Path(as_page), report_page(report).encode())
    return as_json, as_page
