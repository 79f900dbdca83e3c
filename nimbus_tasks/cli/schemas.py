"""Every document that a command prints with `--json`, every report file, and the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from nimbus_tasks.backends.blobs.server_progress import Stats
from nimbus_tasks.batches.cancel import Cancelled
from nimbus_tasks.batches.listing import Batches
from nimbus_tasks.batches.page_detail import PageDetail, PageLog
from nimbus_tasks.batches.report.report import Report
from nimbus_tasks.batches.retry import Retried
from nimbus_tasks.cli.commands.project import CompletionScript, ProjectMade
from nimbus_tasks.cli.doctor.findings import Diagnosis
from nimbus_tasks.cli.json_output import Extracted
from nimbus_tasks.cli.messages.apply import Applied
from nimbus_tasks.cli.stream.publish import Answer
from nimbus_tasks.cli.watch.reporter import Cycle, Ended, Status
from nimbus_tasks.gateway.key_options import ListedKeys
from nimbus_tasks.gateway.keys import Revoked, ShownKey
from nimbus_tasks.gateway.local_worker import RunningWorker
from nimbus_tasks.gateway.worker_files import Written
from nimbus_tasks.html.extract.explain import Explanation
from nimbus_tasks.model.json_schema import schema_of_document, schema_of_settings
from nimbus_tasks.model.page_map import FullBlock, FullPage
from nimbus_tasks.model.records import BatchRecord
from nimbus_tasks.pipeline.asset_prune import Pruned
from nimbus_tasks.pipeline.asset_records import Assets
from nimbus_tasks.pipeline.asset_summary import AssetSummary
from nimbus_tasks.pipeline.asset_verify import Verification
from nimbus_tasks.pipeline.pointers import ShownPointer, ShownPointers
from nimbus_tasks.pipeline.reconcile import Reconciled
from nimbus_tasks.pipeline.render import Rendered
from nimbus_tasks.pipeline.summary import PlanDocument
from nimbus_tasks.pipeline.trial_upload import UploadTest
from nimbus_tasks.pipeline.validate import ValidationReport
from nimbus_tasks.processing.totals import Totals
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import (
    MAPS_FOLDER,
    PROJECT_FILE,
    SUMMARY_REPORT,
    UPLOAD_REPORT,
    VALIDATION_REPORT,
    Settings,
)
from nimbus_tasks.publishing.outcome import Summary
from nimbus_tasks.server.options import Running


class Document(Struct, frozen=True):
    """One kind of document.

    name: of its schema, without `.json`.
    shape: its struct.
    title: a short description.
    tasks: the commands that print it with `--json`.
    file: the file that it is written to.
    lines: printed once for each item, one per line (NDJSON).
    """

    name: str
    shape: Any
    title: str
    tasks: tuple[str, ...] = ()
    file: str = ""
    lines: bool = False

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema."""
        if self.shape is Settings:
            return schema_of_settings(Settings, self.title)
        return schema_of_document(self.shape, self.title)


class Map(FullPage):
    """A page map, as `doit extract` writes it. Maps of other tools may lack what is not required."""

    above_fold_blocks: list[FullBlock]  # type: ignore[assignment]
    rest_of_page_blocks: list[FullBlock]  # type: ignore[assignment]


DOCUMENTS = (
    Document("map", Map, "One page as structured content", (), f"{MAPS_FOLDER}/**/*.json"),
    Document("extract", Extracted, "The result of an extraction", ("extract",)),
    Document("explanation", Explanation, "What is in the map of a page, and what was left out", ("nimbus:explain",)),
    Document("validation", ValidationReport, "All issues of all maps", ("validate",), VALIDATION_REPORT),
    Document("assets", AssetSummary, "The result of an upload of images and files", ("assets", "nimbus:assets:upload")),
    Document("asset_records", Assets, "The files that are stored, and where", ("nimbus:assets:list",)),
    Document("asset_verification", Verification, "Stored files that were read back", ("nimbus:assets:verify",)),
    Document("service_files", Stats, "How far our own service is with the files", ("nimbus:assets:monitor",)),
    Document("pointer", ShownPointer, "The latest file of a group and a variant", ("nimbus:pointer:get",)),
    Document("pointers", ShownPointers, "The pointers of a target", ("nimbus:pointer:list",)),
    Document("asset_prune", Pruned, "Stored files that nothing used", ("nimbus:assets:prune",)),
    Document("upload_test", UploadTest, "The steps of a test upload", ("nimbus:test-upload",)),
    Document("upload", Summary, "The result of an upload", (), UPLOAD_REPORT),
    Document("summary", Summary, "The whole site", ("upload", "summarize", "nimbus:upload"), SUMMARY_REPORT),
    Document("plan", PlanDocument, "What an upload would do (--dry-run)", ("upload", "nimbus:upload")),
    Document(
        "watch",
        Cycle | Ended,
        "One cycle of a watch, and at its end all of them",
        ("watch",),
        lines=True,
    ),
    Document("watch_status", Status, "The state of a watch (--status=FILE)"),
    Document("stream", Answer, "The result of one page of a stream", ("nimbus:stream",), lines=True),
    Document("init", ProjectMade, "The project in this folder", ("nimbus:project:init",)),
    Document("reconcile", Reconciled, "Differences between ledger and target", ("nimbus:reconcile",)),
    Document("process", Totals, "The result of processing", ("nimbus:process",)),
    Document("batches", Batches, "The batches of a project", ("nimbus:batch:list", "nimbus:batch:status")),
    Document("batch", BatchRecord, "One batch", ("nimbus:batch:status", "nimbus:batch:monitor")),
    Document(
        "batch_report",
        Report,
        "The results of the pages of a batch",
        ("nimbus:batch:report",),
        ".nimbus/reports/batch_..._report.json",
    ),
    Document("retry", Retried, "Failed pages that were queued again", ("nimbus:batch:retry",)),
    Document("cancel", Cancelled, "Pages that were cancelled", ("nimbus:batch:cancel",)),
    Document("apply", Applied, "Proposals that were applied to the HTML", ("nimbus:apply",)),
    Document("page", PageDetail, "Everything known about one page", ("nimbus:page:status",)),
    Document("render", Rendered, "A page as Markdown or HTML", ("nimbus:render",)),
    Document("page_log", PageLog, "The log of one page", ("nimbus:page:log",)),
    Document("worker_files", Written, "The Worker's files in the project", ("nimbus:worker:init",)),
    Document("worker_dev", RunningWorker, "The Worker on this machine", ("nimbus:worker:dev",)),
    Document("key", ShownKey, "A new API key", ("nimbus:key:create",)),
    Document("keys", ListedKeys, "The API keys of a project's owner", ("nimbus:key:list",)),
    Document("revoked_key", Revoked, "A revoked API key", ("nimbus:key:revoke",)),
    Document("serve", Running, "The service, once it answers", ("nimbus:serve",)),
    Document("doctor", Diagnosis, "The checks of everything that an upload needs", ("nimbus:doctor",)),
    Document("completion", CompletionScript, "A completion script", ("nimbus:completion",)),
    Document("project", Settings, "The settings of a project", (), PROJECT_FILE),
)


def documents_of(task: str) -> tuple[Document, ...]:
    """Return the documents that a command prints with `--json`; which one may depend on its options."""
    return tuple(document for document in DOCUMENTS if task in document.tasks)


def write_schemas(folder: Path) -> list[Path]:
    """Write the schema of each document into a folder; return the files.

    Raises:
        StateError: a file cannot be written.
    """
    written = []
    for document in DOCUMENTS:
        path = folder / f"{document.name}.json"
        files.write_json(path, document.schema())
        written.append(path)
    return written
