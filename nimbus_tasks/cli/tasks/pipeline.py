"""The stages of the pipeline as doit tasks. The docstrings are the texts of `doit help TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nimbus_tasks.cli.ci_output import check_reports
from nimbus_tasks.cli.doit import UpToDate, UpToDateUnlessAsked, make_task, run
from nimbus_tasks.cli.tasks.assets import COMPRESS
from nimbus_tasks.cli.tasks.session import command, commands, console, option, optional
from nimbus_tasks.project.settings import MAPS_FOLDER, SUMMARY_REPORT, UPLOAD_REPORT, VALIDATION_REPORT
from nimbus_tasks.publishing.plan import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from doit.task import Task

_CI_REPORTS = [
    option("code_quality", "", "write the issues to this file, as GitLab's code quality report"),
    option("junit", "", "write the result of each page to this file, as JUnit XML"),
]
#: The options of `upload` and `nimbus:upload`.
UPLOAD = [
    option("limit", 0, "send at most this many of the changed pages (default: all)"),
    option("batch", "", "add the pages to this batch (default: a new one)"),
    option("concurrency", 0, "requests at a time (default: from the settings)"),
    option("delay", -1, "minimum ms between the starts of two requests in one slot (default: from the settings)"),
    option("dry_run", False, "print what would be sent, and why; send nothing"),
    option("diff", False, "with --dry-run: show how changed pages differ from what the store holds"),
    optional("path", "only pages whose source paths match this pattern, as in .gitignore: dist/blog/, about.html"),
    option("force", False, "send unchanged pages too"),
    *_CI_REPORTS,
]


def _check_reports(options: Mapping[str, Any]) -> None:
    check_reports(options["code_quality"], options["junit"])


def request_of(options: dict[str, Any], *, folder: str = MAPS_FOLDER) -> Request:
    from nimbus_tasks.cli.commands.target import text_of

    return Request(
        limit=options["limit"],
        batch=options["batch"],
        concurrency=options["concurrency"] or None,
        delay=None if options["delay"] == -1 else options["delay"],
        dry_run=options["dry_run"],
        force=options["force"],
        folder=folder,
        path=text_of("--path", options["path"]),
        diff=options["diff"],
        code_quality=options["code_quality"],
        junit=options["junit"],
    )


def task_extract() -> Task:
    """Extract HTML that changed into map files in .nimbus/maps

    Reads [source] and [dimensions] of .nimbus/project.toml. Files that are not pages to publish (redirects,
    noindex, no HTML) are skipped and listed with the reason.

    Examples:
      doit extract
      doit extract --relearn    learn anew what all pages have in common: navigation, banners, footers
      doit clean extract    remove the maps that extraction made
    """
    return command(
        "extract",
        task_extract.__doc__ or "",
        commands.extract,
        params=[option("relearn", False, "learn anew what the pages have in common besides their content")],
        uptodate=[UpToDateUnlessAsked(commands.is_extracted, commands.describe_extraction)],
        clean=commands.clean_extraction,
    )


def task__validate() -> Task:
    """Validate map files that changed, for the stages that need the results; invalid pages do not end the run"""
    return make_task(
        "_validate",
        task__validate.__doc__ or "",
        lambda: run(console, commands.check),
        task_dep=["extract"],
        uptodate=[UpToDate(commands.is_validated, commands.describe_validation)],
        clean=lambda dry_run: commands.clean([VALIDATION_REPORT], dry_run),
    )


def task_validate() -> Task:
    """Check every map, and list everything that is wrong with each

    Each issue names the file, the place in it (a JSON pointer) and what to do. Pages with warnings are published.
    The full list is in .nimbus/reports/validation.json. Ends with status 1 if a page is invalid.

    Examples:
      doit validate
      doit validate --verbose    print every warning
      doit validate --json
      doit validate --junit=junit.xml --code-quality=code-quality.json    write reports for a CI
    """
    return command(
        "validate",
        task_validate.__doc__ or "",
        commands.validate,
        params=_CI_REPORTS,
        check=_check_reports,
        task_dep=["extract", "_validate"],
    )


def task_assets() -> Task:
    """Upload the images and files that pages refer to and that changed

    They go to the blob store of [assets] in .nimbus/project.toml: a folder, S3 or IPFS. Equal files are stored once,
    and each has a record at the target that says where it is. Nothing is deleted. With [assets] store set, `doit`
    and `doit upload` do this too.

    Examples:
      doit assets
      doit assets --dry-run    print how many files, bytes and requests it would be
      doit assets --force      send every file again
      doit assets --compress   send smaller copies of pictures; always: [assets] compress
      doit assets --json
    """
    dry_run = option("dry_run", False, "print what would be sent; send nothing")
    force = option("force", False, "send unchanged files too")
    compress = option("compress", False, COMPRESS)
    params = [dry_run, force, compress]
    return command("assets", task_assets.__doc__ or "", commands.files.upload, params=params, task_dep=["_validate"])


def task_upload() -> Task:
    """Send the pages that changed to the store, and queue them for optimisation

    Extracts and validates first. Invalid pages are named and left out; the others are sent. After an interruption,
    the next run resumes and sends nothing twice.

    Examples:
      doit upload
      doit upload --dry-run            print what would be sent, and why
      doit upload --dry-run --diff     show what changed on each page
      doit upload --path dist/blog/    send only pages that match a pattern
      doit upload --limit 100          send at most 100 of the changed pages
      doit upload --force              send every page again
      doit upload --batch batch_20240902_134500    add pages to a batch
      doit upload --json > upload.json
      doit nimbus:reconcile            ask the store what it holds, instead of trusting the ledger
    """

    def upload(as_json: bool, **options: Any) -> int:
        return commands.upload(request_of(options), as_json=as_json)

    return command(
        "upload",
        task_upload.__doc__ or "",
        upload,
        params=UPLOAD,
        check=_check_reports,
        task_dep=["_validate"],
        uptodate=[UpToDateUnlessAsked(commands.is_published, commands.describe_upload)],
        clean=lambda dry_run: commands.clean([UPLOAD_REPORT], dry_run),
    )


def task_summarize() -> Task:
    """Print what is published and what is not, and write .nimbus/reports/summary.json

    In GitHub Actions it also adds a table to the job's summary page. This is the last stage: `doit` alone runs
    them all.

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

    Each cycle prints one line: what was sent, and how long it took. A session shares one batch. Invalid pages are
    listed and the watch continues; pages that an unreachable store did not take are sent when it is back. A page
    counts as removed only after two seconds without a change, because a build may write it again.

    Examples:
      doit watch
      doit watch --debounce 500    wait for half a second without a change
      doit watch --json            print one line of JSON for each cycle (NDJSON)
      doit watch --status .nimbus/watch.json    keep the state in a file, for an editor's status bar
    """

    def watch(debounce: int, status: str, as_json: bool) -> int:
        from nimbus_tasks.cli.watch import watch as start

        return start(console, debounce, as_json=as_json, status=status)

    debounce = option("debounce", 100, "ms without a change before a cycle starts (default: 100)")
    status = option("status", "", "keep the state of the watch in this file, as JSON")
    return command("watch", task_watch.__doc__ or "", watch, params=[debounce, status])


def maps_tasks() -> Iterator[Task]:
    """Yield `nimbus:upload`, `nimbus:reconcile` and `nimbus:explain`."""

    def upload(as_json: bool, **options: Any) -> int:
        request = request_of(options, folder=options["folder"])
        return commands.upload(request, as_json=as_json, validate_first=True)

    folder = option("folder", MAPS_FOLDER, f"folder of map files (default: {MAPS_FOLDER})")
    yield command("nimbus:upload", _UPLOAD_HELP, upload, params=[folder, *UPLOAD], check=_check_reports)
    dry_run = option("dry_run", False, "print the differences; change nothing")
    deep = option("deep", False, "read every value at the target, and check the digest of each page")
    repair = option("repair", False, "replace records at the target that cannot be read")
    requeue = option("requeue", False, "put stored pages that wait, but that the queue lacks, back into it")
    yield command("nimbus:reconcile", _RECONCILE_HELP, commands.reconcile, params=[dry_run, deep, repair, requeue])
    path = option("path", "", "the page: its path or its id")
    yield command("nimbus:explain", _EXPLAIN_HELP, commands.explain, params=[path])


_UPLOAD_HELP = """Validate and upload an existing folder of maps, without any HTML

For projects that write .nimbus/maps/*.json themselves. A folder other than .nimbus/maps is taken
as a part of the site: pages that are not in it are left alone.

Examples:
  doit nimbus:upload --folder=.nimbus/maps --limit=100
  doit nimbus:upload --dry-run
"""
_RECONCILE_HELP = """Ask the target what it holds, and correct the ledger where it differs

For when something else has written to the target: another machine, a restored backup, a person. The next doit upload
sends what is missing there. At the target, batches are brought in line with the statuses of their pages, as workers of
other programs leave them behind; --requeue also puts back what their uploaders lost in the queue and in batches.

--deep reads every value, not only the listing, and finds those that have changed by themselves (bit rot, a bad
restore): the next doit upload sends damaged pages of this site again, and other damaged records are named. Paid stores
bill each read; nothing is written there.

--repair also replaces records at the target that cannot be read: statuses, batches, logs and the queue are rebuilt
from the other records, and pages of this site are sent again by the next upload. What they held is kept under
.nimbus/repair. Look first, with --dry-run.

Examples:
  doit nimbus:reconcile
  doit nimbus:reconcile --dry-run
  doit nimbus:reconcile --deep
  doit nimbus:reconcile --repair --dry-run
  doit nimbus:reconcile --requeue --dry-run
"""
_EXPLAIN_HELP = """Say where the content of a page was found, and what was left out and why

Reads the page as the next doit extract would, and changes nothing. Where content is missing, or navigation is kept, set
[source] main or ignore in .nimbus/project.toml, or learn the site's template anew: doit extract --relearn.

Examples:
  doit nimbus:explain --path dist/about.html
  doit nimbus:explain --path dist/about.html --json
"""
