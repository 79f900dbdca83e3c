"""Every document that a command prints with `--json`, every report file, and the settings: name, struct, schema.

`python -m nimbus_tasks.cli.schemas FOLDER` writes a JSON Schema of each.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from msgspec import Struct

from nimbus_tasks.batches.cancel import Cancelled
from nimbus_tasks.batches.listing import Batches
from nimbus_tasks.batches.page_detail import PageDetail, PageLog
from nimbus_tasks.batches.report.report import Report
from nimbus_tasks.batches.retry import Retried
from nimbus_tasks.cli.commands.project import ProjectMade
from nimbus_tasks.cli.completion import CompletionScript
from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.doctor.findings import Diagnosis
from nimbus_tasks.cli.json_output import Extracted
from nimbus_tasks.cli.messages.apply import Applied
from nimbus_tasks.cli.stream.answers import Answer
from nimbus_tasks.cli.watch.documents import Cycle, Ended, Status
from nimbus_tasks.gateway.keys import Revoked
from nimbus_tasks.gateway.printed import ListedKeys, RunningWorker, ShownKey
from nimbus_tasks.gateway.worker_files import Written
from nimbus_tasks.model.errors import NimbusError, SettingsError
from nimbus_tasks.model.json_schema import schema_of_document, schema_of_settings
from nimbus_tasks.model.records import BatchRecord
from nimbus_tasks.pipeline.reconcile import Reconciled
from nimbus_tasks.pipeline.summary import PlanDocument
from nimbus_tasks.pipeline.validate import ValidationReport
from nimbus_tasks.processing.totals import Totals
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import (
    PROJECT_FILE,
    SUMMARY_REPORT,
    UPLOAD_REPORT,
    VALIDATION_REPORT,
    Settings,
)
from nimbus_tasks.publishing.outcome import Summary


class Document(Struct, frozen=True):
    """One kind of document.

    name: of its schema, without `.json`.
    shape: the struct that it is made of.
    title: what it is, in a few words.
    tasks: the commands that print it with `--json`.
    file: where it is written too.
    lines: it is one of many, a line each (NDJSON).
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


DOCUMENTS = (
    Document("extract", Extracted, "What extraction did", ("extract",)),
    Document("validation", ValidationReport, "All issues of all maps", ("validate",), VALIDATION_REPORT),
    Document("upload", Summary, "What an upload did", (), UPLOAD_REPORT),
    Document("summary", Summary, "The whole site", ("upload", "summarize", "nimbus:upload"), SUMMARY_REPORT),
    Document("plan", PlanDocument, "What an upload would do (--dry-run)", ("upload", "nimbus:upload")),
    Document(
        "watch", Cycle | Ended, "What one cycle of a watch did, and at its end all of them", ("watch",), lines=True
    ),
    Document("watch_status", Status, "How a watch stands (--status=FILE)"),
    Document("stream", Answer, "What became of one page of a stream", ("nimbus:stream",), lines=True),
    Document("init", ProjectMade, "The project that is here", ("nimbus:project:init",)),
    Document("reconcile", Reconciled, "How ledger and target differed", ("nimbus:reconcile",)),
    Document("process", Totals, "What processing did", ("nimbus:process",)),
    Document("batches", Batches, "The batches of a project", ("nimbus:batch:list", "nimbus:batch:status")),
    Document("batch", BatchRecord, "One batch", ("nimbus:batch:status", "nimbus:batch:monitor")),
    Document(
        "batch_report",
        Report,
        "What became of a batch's pages",
        ("nimbus:batch:report",),
        ".nimbus/reports/batch_..._report.json",
    ),
    Document("retry", Retried, "Failed pages that wait again", ("nimbus:batch:retry",)),
    Document("cancel", Cancelled, "What was stopped", ("nimbus:batch:cancel",)),
    Document("apply", Applied, "What was put into the HTML", ("nimbus:apply",)),
    Document("page", PageDetail, "Everything known about one page", ("nimbus:page:status",)),
    Document("page_log", PageLog, "What was done with one page", ("nimbus:page:log",)),
    Document("worker_files", Written, "The Worker's files in the project", ("nimbus:worker:init",)),
    Document("worker_dev", RunningWorker, "The Worker on this machine", ("nimbus:worker:dev",)),
    Document("key", ShownKey, "A new API key", ("nimbus:key:create",)),
    Document("keys", ListedKeys, "The API keys of a project's owner", ("nimbus:key:list",)),
    Document("revoked_key", Revoked, "An API key that is shut out", ("nimbus:key:revoke",)),
    Document("doctor", Diagnosis, "What an upload needs, and how it stands", ("nimbus:doctor",)),
    Document("completion", CompletionScript, "A script for a shell", ("nimbus:completion",)),
    Document("project", Settings, "The settings of a project", (), PROJECT_FILE),
)


def documents_of(task: str) -> tuple[Document, ...]:
    """Return what a command prints with `--json`: more than one where it depends on its options."""
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


def main(arguments: list[str]) -> int:
    console = Console()
    try:
        if len(arguments) != 1:
            raise SettingsError("Say into which folder.", "python -m nimbus_tasks.cli.schemas FOLDER")
        written = write_schemas(Path(arguments[0]))
    except NimbusError as error:
        console.fail(str(error))
        return error.exit_status
    console.line(f"✅ {len(written)} schemas: {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
