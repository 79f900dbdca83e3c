"""The commands that follow batches and pages, and change what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nimbus_tasks.cli.tasks.session import command, console, option, pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

    from nimbus_tasks.cli.commands.batches import FollowingCommands


def following_tasks() -> Iterator[Task]:
    batch = option("batch", "", "the batch's id")
    newest = option("batch", "", "the batch's id (default: the newest)")
    path = option("path", "", "the page's source path, or its id")
    yield command("nimbus:batch:list", _LIST_HELP, lambda as_json: _following().list(as_json=as_json))
    yield command(
        "nimbus:batch:status",
        _STATUS_HELP,
        lambda batch, as_json: _following().status(batch, as_json=as_json),
        params=[batch],
    )
    yield command(
        "nimbus:batch:report",
        _REPORT_HELP,
        lambda batch, as_json: _following().report(batch, as_json=as_json),
        params=[newest],
    )
    yield command(
        "nimbus:batch:retry",
        _RETRY_HELP,
        lambda batch, page, as_json: _following().retry(batch, page, as_json=as_json),
        params=[batch, _unless_given(option("page", "", "only this page, by its source path or its id"))],
    )
    yield command(
        "nimbus:batch:cancel",
        _CANCEL_HELP,
        lambda batch, as_json: _following().cancel(batch, as_json=as_json),
        params=[batch],
    )
    yield command(
        "nimbus:batch:monitor",
        _MONITOR_HELP,
        lambda batch, interval, as_json: _following().monitor(batch, interval, as_json=as_json),
        params=[newest, option("interval", 5000, "ms between two looks (5000)")],
    )
    yield command(
        "nimbus:apply",
        _APPLY_HELP,
        lambda output, dry_run, as_json: _following().apply(output, dry_run=dry_run, as_json=as_json),
        params=[
            _unless_given(
                option("output", "", "another folder for the changed pages (default: in place, with a backup)")
            ),
            option("dry_run", False, "show the differences, and change nothing"),
        ],
    )
    yield command(
        "nimbus:page:status",
        _PAGE_STATUS_HELP,
        lambda path, as_json: _following().page_status(path, as_json=as_json),
        params=[path],
    )
    yield command(
        "nimbus:page:log",
        _PAGE_LOG_HELP,
        lambda path, as_json: _following().page_log(path, as_json=as_json),
        params=[path],
    )


def _unless_given(made: dict[str, Any]) -> dict[str, Any]:
    """Let an option be None where it is not given: empty is something else, mostly a variable that is not set."""
    return made | {"default": None}


def _following() -> FollowingCommands:
    from nimbus_tasks.cli.commands.batches import FollowingCommands

    return FollowingCommands(console, pipeline)


_LIST_HELP = """List the batches of this project, the newest first, with their states and counts

Examples:
  doit nimbus:batch:list
  doit nimbus:batch:list --json
"""
_STATUS_HELP = """Show one batch: state, pages done and failed, and why; without --batch, the list

Examples:
  doit nimbus:batch:status
  doit nimbus:batch:status --batch=batch_20240902_134500
  doit nimbus:batch:status --batch=batch_20240902_134500 --json
"""
_REPORT_HELP = """Write a batch's report, and print its summary

Writes .nimbus/reports/batch_..._report.json, and the same as one HTML file that needs neither network nor script:
states, times, failures by error, and each page with what was done with it.

Examples:
  doit nimbus:batch:report
  doit nimbus:batch:report --batch=batch_20240902_134500
  doit nimbus:batch:report --json > report.json
"""
_RETRY_HELP = """Put the failed pages of a batch back into the queue, before all others

Other pages stay as they are. It may be run twice, while a worker runs, and again after it was interrupted. Pages that
failed in the upload and never came to the target are named: doit upload sends those.

Examples:
  doit nimbus:batch:retry --batch=batch_20240902_134500
  doit nimbus:batch:retry --batch=batch_20240902_134500 --page=page_abc123def456
"""
_CANCEL_HELP = """Stop what a batch has not processed yet; pages that are done stay done

A batch that has ended cannot be cancelled. To send pages again later: doit upload --force.

Examples:
  doit nimbus:batch:cancel --batch=batch_20240902_134500
"""
_MONITOR_HELP = """Watch a batch until it ends: progress, pages in work, time left, the last errors

On a terminal it is redrawn in place, elsewhere each change is one line. Ends with status 0 if the batch completed,
1 if pages failed or it was cancelled, 130 after Ctrl-C (the batch goes on). Each look reads the batch's record, and the
statuses of up to five pages in work: a paid store bills them.

Examples:
  doit nimbus:batch:monitor
  doit nimbus:batch:monitor --batch=batch_20240902_134500 --interval=1000
  doit nimbus:batch:monitor --json    the batch as it ended, once it has
"""
_APPLY_HELP = """Put what was proposed for the pages into their HTML; every other byte stays

A page that has changed since it was extracted is refused, and so is what cannot be placed with certainty; each with its
reason, and exit status 1. Applied twice, nothing more changes.

Examples:
  doit nimbus:apply --dry-run
  doit nimbus:apply                  in place; as they were: .nimbus/backup/
  doit nimbus:apply --output=edited
"""
_PAGE_STATUS_HELP = """Tell one page's whole story: upload, content here and there, batch, status, log

Examples:
  doit nimbus:page:status --path=dist/local/rolex-repair.html
  doit nimbus:page:status --path=page_abc123def456 --json
"""
_PAGE_LOG_HELP = """Show what was done with one page, entry by entry

Examples:
  doit nimbus:page:log --path=dist/local/rolex-repair.html
"""
