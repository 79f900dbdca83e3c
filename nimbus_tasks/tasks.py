"""The commands as doit tasks: names, dependencies, options, one call each. No logic.

`from nimbus_tasks import *` in a dodo.py brings them, next to tasks of one's own. The docstrings are the texts of
`doit help TASK`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimbus_tasks.bridge import RememberingUpToDate, UpToDate, make_task, reporter_for, run
from nimbus_tasks.commands import Commands
from nimbus_tasks.console import Console
from nimbus_tasks.manifest import PAGES, SOURCES
from nimbus_tasks.request import Request
from nimbus_tasks.settings import (
    MAPS_FOLDER,
    STATE_FOLDER,
    SUMMARY_REPORT,
    UPLOAD_REPORT,
    VALIDATION_REPORT,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

_console = Console()
_commands = Commands(_console)
_pipeline = _commands.pipeline
_upload_freshness = RememberingUpToDate(lambda: _pipeline.up_to_now().is_published(), _pipeline.upload_needed)

DOIT_CONFIG = {
    "default_tasks": ["summarize"],
    "backend": "sqlite3",  # the only state file that two doit processes may write at once
    # A folder that does not exist would be a traceback; without a project there is no state to keep.
    "dep_file": f"{STATE_FOLDER}/doit.db" if Path(STATE_FOLDER).is_dir() else ":memory:",
    "verbosity": 2,
    "reporter": reporter_for(_console),
}


def task_extract() -> Task:
    """HTML that changed -> map files in .nimbus/maps

    Reads [source] and [dimensions] of .nimbus/project.toml. Files that are not pages to publish (redirects,
    noindex, no HTML) are skipped and listed with their reason.

    Examples:
      doit extract
      doit clean extract    remove the maps that extraction made
    """
    return make_task(
        "extract",
        task_extract.__doc__ or "",
        lambda: run(_console, _commands.extract),
        targets=[SOURCES],
        uptodate=[UpToDate(lambda: _pipeline.up_to_now().sources.nothing_to_do, lambda: str(_pipeline.sources))],
        clean=_commands.clean_extraction,
    )


def task__validate() -> Task:
    """Map files that changed -> verdicts, for the stages that need them; invalid pages do not end it"""
    return make_task(
        "_validate",
        task__validate.__doc__ or "",
        lambda: run(_console, _commands.check),
        file_dep=[SOURCES],
        targets=[PAGES],
        uptodate=[UpToDate(lambda: _pipeline.up_to_now().map_files.nothing_to_do, lambda: str(_pipeline.map_files))],
        clean=lambda dry_run: _commands.clean([PAGES, VALIDATION_REPORT], dry_run),
    )


def task_validate() -> Task:
    """Check every map, and name all that is wrong with each

    Each issue names the file, the place in it (a JSON pointer) and what to do. Warnings do not keep a page back.
    Everything is also in .nimbus/reports/validation.json. Ends with status 1 if a page is invalid.

    Examples:
      doit validate
      doit validate --verbose    every warning too
      doit validate --json
    """
    return make_task(
        "validate",
        task_validate.__doc__ or "",
        lambda json, verbose: run(_console, lambda: _commands.validate(verbose=verbose, as_json=json)),
        task_dep=["extract", "_validate"],
        params=[_JSON, _VERBOSE],
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
      doit forget upload               the next upload asks the store what it holds
    """

    def upload(json: bool, verbose: bool, **options: Any) -> object:
        request = _request(options, ask_target=not _upload_freshness.remembered)
        return run(
            _console,
            lambda: _commands.upload(request, verbose=verbose, as_json=json),
            # A dry run changes nothing, what doit remembers least of all.
            lambda: dict(_upload_freshness.remembered) if request.dry_run else {"site": _pipeline.pages.site},
        )

    return make_task(
        "upload",
        task_upload.__doc__ or "",
        upload,
        file_dep=[PAGES],
        uptodate=[_upload_freshness],
        params=_UPLOAD,
        clean=lambda dry_run: _commands.clean([UPLOAD_REPORT], dry_run),
    )


def task_summarize() -> Task:
    """Say what is published and what is not, and write .nimbus/reports/summary.json

    In GitHub Actions it also adds a table to the job's summary page. The last stage: `doit` alone does it all.

    Examples:
      doit
      doit summarize --json
    """
    return make_task(
        "summarize",
        task_summarize.__doc__ or "",
        lambda json: run(_console, lambda: _commands.summarize(as_json=json)),
        task_dep=["upload"],
        params=[_JSON],
        clean=lambda dry_run: _commands.clean([SUMMARY_REPORT], dry_run),
    )


def task_watch() -> Task:
    """Run the pipeline, then again after each change, until Ctrl-C

    One line a cycle says what was sent and how long it took. A session shares one batch. Invalid pages are shown
    and the watch goes on.

    Examples:
      doit watch
      doit watch --debounce 500    wait for half a second without a change
    """

    def watch(debounce: int) -> object:
        from nimbus_tasks.watch import watch as start  # noqa: PLC0415 - imports watchfiles

        return run(_console, lambda: start(_commands, debounce))

    debounce = _option("debounce", 100, "ms without a change before a cycle starts")
    return make_task("watch", task_watch.__doc__ or "", watch, params=[debounce])


def task_nimbus() -> Iterator[Task]:
    """The commands under the names that Gulp users type."""
    yield make_task(
        "nimbus:project:init",
        _INIT_HELP,
        lambda name, domain, source: run(_console, lambda: _commands.init(name, domain, source)),
        params=[
            _option("name", "", "the project's name (default: the folder's)"),
            _option("domain", "", "the site's domain"),
            _option("source", "", "folder with the built HTML (default: found by itself)"),
        ],
    )

    def upload(json: bool, verbose: bool, **options: Any) -> object:
        request = _request(options, folder=options["folder"])
        return run(_console, lambda: _commands.upload(request, verbose=verbose, as_json=json, validate_first=True))

    folder = _option("folder", MAPS_FOLDER, f"folder of map files ({MAPS_FOLDER})")
    yield make_task("nimbus:upload", _NIMBUS_UPLOAD_HELP, upload, params=[folder, *_UPLOAD])


_INIT_HELP = """Make a project here: .nimbus/project.toml and .gitignore

Finds the folder with the built HTML (dist, build, _site, public, out, site), and asks only on a terminal. Run
twice, it changes nothing.

Examples:
  doit nimbus:project:init
  doit nimbus:project:init --name="Swiss Watch Repair" --domain=example.com --source=dist
"""
_NIMBUS_UPLOAD_HELP = """Validate and upload a folder of maps that exists already, with no HTML at all

For projects that write .nimbus/maps/*.json themselves. A folder other than .nimbus/maps is taken as some of the
site's pages: those that are not in it stay as they are.

Examples:
  doit nimbus:upload --folder=.nimbus/maps --limit=100
  doit nimbus:upload --dry-run
"""


def _option(name: str, default: str | int | bool, text: str) -> dict[str, Any]:
    long = name.replace("_", "-")
    return {"name": name, "long": long, "type": type(default), "default": default, "help": text}


_JSON = _option("json", False, "one JSON document on standard output")
_VERBOSE = _option("verbose", False, "a line for each page")
_UPLOAD = [
    _option("limit", 0, "at most so many changed pages (0: all)"),
    _option("batch", "", "go on with this batch"),
    _option("concurrency", 0, "requests at a time (0: as in the settings, 5)"),
    _option("delay", -1, "least ms between two requests of a slot (-1: as in the settings, 0)"),
    _option("dry_run", False, "say what would be sent, and why"),
    _option("force", False, "send unchanged pages too"),
    _JSON,
    _VERBOSE,
]


def _request(options: dict[str, Any], *, ask_target: bool = False, folder: str = MAPS_FOLDER) -> Request:
    return Request(
        limit=options["limit"],
        batch=options["batch"],
        concurrency=options["concurrency"] or None,
        delay=None if options["delay"] < 0 else options["delay"],
        dry_run=options["dry_run"],
        force=options["force"],
        ask_target=ask_target,
        folder=folder,
    )
