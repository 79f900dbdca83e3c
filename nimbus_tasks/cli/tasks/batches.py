"""The tasks about batches and pages at the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.tasks.session import command, console, option, optional, pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

    from nimbus_tasks.cli.commands.batches import BatchCommands


def batch_tasks() -> Iterator[Task]:
    batch = option("batch", "", "the batch's id")
    newest = option("batch", "", "the batch's id (default: the newest)")
    path = option("path", "", "the page: its path or its id")
    yield command("nimbus:batch:list", _LIST_HELP, lambda as_json: _commands().list(as_json=as_json))
    yield command(
        "nimbus:batch:status",
        _STATUS_HELP,
        lambda batch, as_json: _commands().status(batch, as_json=as_json),
        params=[batch],
    )
    yield command(
        "nimbus:batch:report",
        _REPORT_HELP,
        lambda batch, as_json: _commands().report(batch, as_json=as_json),
        params=[newest],
    )
    yield command(
        "nimbus:batch:retry",
        _RETRY_HELP,
        lambda batch, page, as_json: _commands().retry(batch, page, as_json=as_json),
        params=[batch, optional("page", "only this page: its path or its id")],
    )
    yield command(
        "nimbus:batch:cancel",
        _CANCEL_HELP,
        lambda batch, as_json: _commands().cancel(batch, as_json=as_json),
        params=[batch],
    )
    yield command(
        "nimbus:batch:monitor",
        _MONITOR_HELP,
        lambda batch, interval, as_json: _commands().monitor(batch, interval, as_json=as_json),
        params=[newest, option("interval", 5000, "milliseconds between looks (default: 5000)")],
    )
    yield command(
        "nimbus:page:status",
        _PAGE_STATUS_HELP,
        lambda path, as_json: _commands().page_status(path, as_json=as_json),
        params=[path],
    )
    yield command(
        "nimbus:render",
        _RENDER_HELP,
        lambda path, format, as_json: _commands().render(path, format, as_json=as_json),
        params=[path, option("format", "markdown", "markdown or html (default: markdown)")],
    )
    yield command(
        "nimbus:page:log",
        _PAGE_LOG_HELP,
        lambda path, as_json: _commands().page_log(path, as_json=as_json),
        params=[path],
    )


def _commands() -> BatchCommands:
    from nimbus_tasks.cli.commands.batches import BatchCommands

    return BatchCommands(console, pipeline)


_LIST_HELP = """List the batches of this project, newest first, with states and counts

Examples:
  doit nimbus:batch:list
  doit nimbus:batch:list --json
"""
_STATUS_HELP = """Show one batch: state, counts, progress, failed pages; without --batch, the list

Examples:
  doit nimbus:batch:status
  doit nimbus:batch:status --batch=batch_20240902_134500
  doit nimbus:batch:status --batch=batch_20240902_134500 --json
"""
_REPORT_HELP = """Write a batch's report and print its summary

Writes .nimbus/reports/batch_..._report.json, and an HTML file that needs neither network nor scripts: the proposed
changes, errors, statistics, and all pages.

Examples:
  doit nimbus:batch:report
  doit nimbus:batch:report --batch=batch_20240902_134500
  doit nimbus:batch:report --json > report.json
"""
_RETRY_HELP = """Put the failed pages of a batch back into the queue, ahead of all others

Other pages stay as they are. Safe to run twice, beside a worker, and after an interruption. Failed pages that never
reached the target are counted: doit upload sends those.

Examples:
  doit nimbus:batch:retry --batch=batch_20240902_134500
  doit nimbus:batch:retry --batch=batch_20240902_134500 --page=page_abc123def456
"""
_CANCEL_HELP = """Cancel the pages of a batch that are not yet processed

A batch that has ended cannot be cancelled. doit upload --force sends cancelled pages again.

Examples:
  doit nimbus:batch:cancel --batch=batch_20240902_134500
"""
_MONITOR_HELP = """Follow a batch to its end: progress, pages in work, time left, recent errors

Redrawn in place on a terminal; elsewhere a line for each change. Exit status: 0 if the batch completed, 1 if pages
failed, were cancelled or superseded, 130 after Ctrl-C (the batch continues). Each refresh reads the batch record and
statuses of pages that have not ended: all of them in the embedded store, up to 300 where a store bills reads.

Examples:
  doit nimbus:batch:monitor
  doit nimbus:batch:monitor --batch=batch_20240902_134500 --interval=1000
  doit nimbus:batch:monitor --json    prints the batch once it has ended
"""
_PAGE_STATUS_HELP = """Show one page: its upload, content here and at the target, batch, status, recent log

Examples:
  doit nimbus:page:status --path=dist/local/rolex-repair.html
  doit nimbus:page:status --path=page_abc123def456 --json
"""
_RENDER_HELP = """Print one page as Markdown or HTML, from its record alone

Its map here is used where there is one, else its record at the target. Links, lists, tables and code are written as
such; the text is the page's.

Examples:
  doit nimbus:render --path=dist/local/rolex-repair.html
  doit nimbus:render --path=dist/local/rolex-repair.html --format=html > page.html
"""
_PAGE_LOG_HELP = """Show one page's log, entry by entry

Examples:
  doit nimbus:page:log --path=dist/local/rolex-repair.html
"""
