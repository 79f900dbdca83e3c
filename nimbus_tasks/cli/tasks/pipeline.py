"""The stages of the pipeline as doit tasks. The docstrings are the texts of `doit help TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nimbus_tasks.cli.doit import UpToDate, UpToDateUnlessAsked, make_task, run
from nimbus_tasks.cli.tasks.session import command, commands, console, option, pipeline
from nimbus_tasks.cli.tasks.upload_options import CI_REPORTS, UPLOAD, request_of
from nimbus_tasks.project.manifest import PAGES, SOURCES
from nimbus_tasks.project.settings import SUMMARY_REPORT, UPLOAD_REPORT, VALIDATION_REPORT

if TYPE_CHECKING:
    from doit.task import Task

_extract_freshness = UpToDateUnlessAsked(
    lambda: pipeline.up_to_now().sources.nothing_to_do, lambda: str(pipeline.sources)
)
_upload_freshness = UpToDateUnlessAsked(lambda: pipeline.up_to_now().is_published(), pipeline.upload_needed)


def task_extract() -> Task:
    """HTML that changed -> map files in .nimbus/maps

    Reads [source] and [dimensions] of .nimbus/project.toml. Files that are not pages to publish (redirects,
    noindex, no HTML) are skipped and listed with their reason.

    Examples:
      doit extract
      doit clean extract    remove the maps that extraction made
    """
    return command(
        "extract",
        task_extract.__doc__ or "",
        commands.extract,
        targets=[SOURCES],
        uptodate=[_extract_freshness],
        clean=commands.clean_extraction,
    )


def task__validate() -> Task:
    """Map files that changed -> verdicts, for the stages that need them; invalid pages do not end it"""
    return make_task(
        "_validate",
        task__validate.__doc__ or "",
        lambda: run(console, commands.check),
        file_dep=[SOURCES],
        targets=[PAGES],
        uptodate=[UpToDate(lambda: pipeline.up_to_now().map_files.nothing_to_do, lambda: str(pipeline.map_files))],
        clean=lambda dry_run: commands.clean([PAGES, VALIDATION_REPORT], dry_run),
    )


def task_validate() -> Task:
    """Check every map, and name all that is wrong with each

    Each issue names the file, the place in it (a JSON pointer) and what to do. Warnings do not keep a page back.
    Everything is also in .nimbus/reports/validation.json. Ends with status 1 if a page is invalid.

    Examples:
      doit validate
      doit validate --verbose    every warning too
      doit validate --json
      doit validate --junit=junit.xml --code-quality=code-quality.json    reports for a CI
    """
    return command(
        "validate",
        task_validate.__doc__ or "",
        commands.validate,
        params=CI_REPORTS,
        task_dep=["extract", "_validate"],
    )


def task_upload() -> Task:
    """Send the pages that changed to the store, and queue them for optimisation

    Extracts and validates first. Invalid pages stay behind and are named; the others are sent. Killed or
    interrupted, the next run goes on where it stopped and sends nothing twice.

    Examples:
      doit upload
      doit upload --dry-run            what would be sent, and why
      doit upload --limit 100          at most 100 of the changed pages
      doit upload --force              every page again
      doit upload --batch batch_20240902_134500    more pages for a batch
      doit upload --json > upload.json
      doit nimbus:reconcile            ask the store what it holds, instead of believing the ledger
    """

    def upload(as_json: bool, **options: Any) -> int:
        return commands.upload(request_of(options), as_json=as_json)

    return command(
        "upload",
        task_upload.__doc__ or "",
        upload,
        params=UPLOAD,
        file_dep=[PAGES],
        uptodate=[_upload_freshness],
        clean=lambda dry_run: commands.clean([UPLOAD_REPORT], dry_run),
    )


def task_summarize() -> Task:
    """Say what is published and what is not, and write .nimbus/reports/summary.json

    In GitHub Actions it also adds a table to the job's summary page. The last stage: `doit` alone does it all.

    Examples:
      doit
      doit summarize --json
    """
    return command(
        "summarize",
        task_summarize.__doc__ or "",
        commands.summarize,
        task_dep=["upload"],
        clean=lambda dry_run: commands.clean([SUMMARY_REPORT], dry_run),
    )


def task_watch() -> Task:
    """Run the pipeline, then again after each change, until Ctrl-C

    One line a cycle says what was sent and how long it took. A session shares one batch. Invalid pages are shown
    and the watch goes on; what a lost store did not take is sent when it is back. A page counts as gone only after
    two seconds in which nothing changed, for a build may write it anew.

    Examples:
      doit watch
      doit watch --debounce 500    wait for half a second without a change
      doit watch --json            one line of JSON a cycle (NDJSON)
      doit watch --status .nimbus/watch.json    how it stands, for an editor's status bar
    """

    def watch(debounce: int, status: str, as_json: bool) -> int:
        from nimbus_tasks.cli.watch import watch as start

        return start(commands, debounce, as_json=as_json, status=status)

    debounce = option("debounce", 100, "ms without a change before a cycle starts")
    status = option("status", "", "a file that says how the watch stands, as JSON, always up to date")
    return command("watch", task_watch.__doc__ or "", watch, params=[debounce, status])
